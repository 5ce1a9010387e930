//! Problems: errors as RFC 9457 `application/problem+json`, with our `code` and `ref`.
//! Every handler and the guard before it answer with one when they cannot do what was asked.

use std::fmt::Display;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_core::policy::Ruling;
use serde_json::{Value, json};

/// An error of a request.
#[derive(Debug)]
pub(in crate::doors) struct Problem(Box<Told>);

#[derive(Debug)]
struct Told {
    kind: Kind,
    /// What the peer reads: a code in place of the kind's, a sentence, the ruling behind it.
    code: Option<String>,
    detail: String,
    ruling: Option<(Value, Value)>,
    /// What only the log reads.
    log: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The problems there are; each has a heading in `docs/reference/problems.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::doors) enum Kind {
    BadRequest,
    Unauthorized,
    MissingScope,
    NotPermitted,
    NotFound,
    NoSuchMethod,
    TooSlow,
    Conflict,
    InFlight,
    Erased,
    Changed,
    TooLarge,
    WrongType,
    KeyReused,
    TooMany,
    Internal,
    Unavailable,
}

impl Kind {
    #[cfg(test)]
    const ALL: [Self; 17] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::MissingScope,
        Self::NotPermitted,
        Self::NotFound,
        Self::NoSuchMethod,
        Self::TooSlow,
        Self::Conflict,
        Self::InFlight,
        Self::Erased,
        Self::Changed,
        Self::TooLarge,
        Self::WrongType,
        Self::KeyReused,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The word, the status and the title. // flat table
    fn words(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::BadRequest => {
                ("bad-request", StatusCode::BAD_REQUEST, "The request cannot be read in one way only")
            }
            Self::Unauthorized => {
                ("unauthorized", StatusCode::UNAUTHORIZED, "There is no API key, or it opens nothing here")
            }
            Self::MissingScope => {
                ("missing-scope", StatusCode::FORBIDDEN, "The API key has not the scope for this")
            }
            Self::NotPermitted => ("not-permitted", StatusCode::FORBIDDEN, "Policy does not permit this"),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is no such thing"),
            Self::NoSuchMethod => {
                ("no-such-method", StatusCode::METHOD_NOT_ALLOWED, "This is not done to such a thing")
            }
            Self::TooSlow => ("too-slow", StatusCode::REQUEST_TIMEOUT, "The request came too slowly"),
            Self::Conflict => ("conflict", StatusCode::CONFLICT, "It has changed meanwhile"),
            Self::InFlight => ("in-flight", StatusCode::CONFLICT, "The first such request is still at work"),
            Self::Erased => ("erased", StatusCode::GONE, "What was recorded is erased"),
            Self::Changed => {
                ("changed", StatusCode::PRECONDITION_FAILED, "It is no longer as the request expects it")
            }
            Self::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
            Self::WrongType => (
                "wrong-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body has another type than is read here",
            ),
            Self::KeyReused => (
                "key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "This Idempotency-Key was used for another request",
            ),
            Self::TooMany => ("too-many-failures", StatusCode::TOO_MANY_REQUESTS, "Too many keys were wrong"),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Something of ours failed"),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "This cannot be done now"),
        }
    }
}

impl Problem {
    pub(in crate::doors) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (detail, headers) = (detail.into(), vec![]);
        Self(Box::new(Told { kind, code: None, detail, ruling: None, log: None, headers }))
    }

    /// Something of ours failed: the log says what, the peer only that.
    pub(in crate::doors) fn of(error: impl Display) -> Self {
        let detail = "something of ours failed; the server's log says what, under the request's id";
        let mut problem = Self::new(Kind::Internal, detail);
        problem.0.log = Some(error.to_string());
        problem
    }

    pub(in crate::doors) fn not_found(what: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, what)
    }

    pub(in crate::doors) fn bad_request(why: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, why)
    }

    pub(in crate::doors) fn not_permitted(ruling: &Ruling) -> Self {
        let sentences: Vec<&str> = ruling.reasons().iter().map(|cause| cause.sentence.as_str()).collect();
        let mut problem = Self::new(Kind::NotPermitted, sentences.join(" ")).with(ruling);
        problem.0.code = ruling.reasons().first().map(|cause| cause.code.to_owned());
        problem
    }

    pub(in crate::doors) fn conflict(ruling: &Ruling) -> Self {
        let why = "somebody else changed this meanwhile, or it is no longer held";
        Self::new(Kind::Conflict, why).with(ruling)
    }

    /// It has ended already, so nothing is left to do it to.
    pub(in crate::doors) fn over(why: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, why)
    }

    /// Something that is needed is not there now.
    pub(in crate::doors) fn unavailable(code: &str, why: impl Into<String>) -> Self {
        let mut problem = Self::new(Kind::Unavailable, why);
        problem.0.code = Some(code.to_owned());
        problem.header(header::RETRY_AFTER, HeaderValue::from_static("5"))
    }

    pub(in crate::doors) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The rest of the request is not read, so nothing more can come over the connection.
    pub(in crate::doors) fn closing(self) -> Self {
        self.header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// The sentence, as the owner of the data directory reads it.
    pub(in crate::doors) fn detail(&self) -> String {
        self.0.log.clone().unwrap_or_else(|| self.0.detail.clone())
    }

    fn with(mut self, ruling: &Ruling) -> Self {
        self.0.ruling = Some((json!(ruling.reference()), json!(ruling.missing())));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Told { kind, code, detail, ruling, log, headers } = *self.0;
        if let Some(log) = log {
            tracing::error!(why = log, "a request failed");
        }
        let (word, status, title) = kind.words();
        // RFC 9457 3.1.1: "type" is a URI reference; ours leads to the page that this server has of it.
        let mut body = json!({
            "type": format!("{PAGE}#{word}"),
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
            "code": code.as_deref().unwrap_or(word),
        });
        if let (Some((reference, missing)), Some(body)) = (ruling, body.as_object_mut()) {
            body.insert("ref".to_owned(), reference);
            body.insert("missing".to_owned(), missing);
        }
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, kind, body.to_string()).into_response();
        response.headers_mut().extend(headers);
        response
    }
}

/// What each problem is and what helps: the page that `type` leads to.
pub(super) async fn page() -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
    (kind, include_str!("../../../../../docs/reference/problems.md"))
}

pub(super) const PAGE: &str = "/problems";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_problem_has_a_heading_on_its_page_and_every_heading_a_problem() {
        let page = include_str!("../../../../../docs/reference/problems.md");
        let headings: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let words: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.words().0).collect();
        assert_eq!(headings, words);
    }

    #[test]
    fn what_the_log_says_is_not_told() {
        let problem = Problem::of("the store `data/countersign.db` failed");
        assert_eq!(problem.detail(), "the store `data/countersign.db` failed");
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!format!("{response:?}").contains("countersign.db"));
    }
}
