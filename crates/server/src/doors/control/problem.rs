//! Problems: errors as RFC 9457 `application/problem+json`, with our `code` and `ref`.

use std::fmt::Display;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_core::policy::Ruling;
use serde_json::{Value, json};

/// An error of a command.
#[derive(Debug)]
pub(in crate::doors) struct Problem {
    status: StatusCode,
    body: Value,
}

impl Problem {
    fn new(status: StatusCode, code: &str, detail: &str) -> Self {
        Self {
            status,
            body: json!({ "status": status.as_u16(), "code": code, "title": code, "detail": detail }),
        }
    }

    /// Something of ours failed.
    pub(super) fn of(error: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string())
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", what)
    }

    pub(super) fn bad_request(why: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", why)
    }

    pub(super) fn not_permitted(ruling: &Ruling) -> Self {
        let sentences: Vec<&str> = ruling.reasons().iter().map(|cause| cause.sentence.as_str()).collect();
        let code = ruling.reasons().first().map_or("not-permitted", |cause| cause.code);
        Self::new(StatusCode::FORBIDDEN, code, &sentences.join(" ")).with(ruling)
    }

    pub(super) fn conflict(ruling: &Ruling) -> Self {
        let why = "somebody else changed this meanwhile, or it is no longer held";
        Self::new(StatusCode::CONFLICT, "conflict", why).with(ruling)
    }

    /// It has ended already, so nothing is left to do it to.
    pub(super) fn over(why: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", why)
    }

    pub(super) fn unavailable(code: &str, why: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, why)
    }

    /// The sentence.
    pub(in crate::doors) fn detail(&self) -> String {
        self.body.get("detail").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn with(mut self, ruling: &Ruling) -> Self {
        if let Some(body) = self.body.as_object_mut() {
            body.insert("ref".to_owned(), json!(ruling.reference()));
            body.insert("missing".to_owned(), json!(ruling.missing()));
        }
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, kind, Json(self.body).into_response().into_body()).into_response()
    }
}
