//! The guard: what every request passes before its handler: a caller with the scope, a query and a body that are
//! read, and the answer that it was given before. The router lays it around every route.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::body::{self, Takes};
use super::caller::{Caller, Needs, Origin};
use super::problem::Problem;
use super::query::{Parameter, Query};
use super::{Api, Current, once};
use crate::clock::draw_ref;

/// What the guard knows of a route.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) current: Current,
    pub(super) needs: Needs,
    pub(super) query: &'static [Parameter],
    pub(super) takes: Takes,
}

/// Lets a request through to its handler, or answers in its place.
pub(super) async fn pass(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let api = guard.current.api();
    let (mut parts, body) = request.into_parts();
    let caller = guard.caller(&api, &parts).await?;
    caller.meets(guard.needs)?;
    let query = Query::parse(parts.uri.query(), guard.query)?;
    parts.extensions.insert(caller.clone());
    parts.extensions.insert(query);
    if parts.method != Method::POST {
        return Ok(next.run(Request::from_parts(parts, Body::empty())).await);
    }
    let (octets, share) = body::receive(&api, guard.takes, &parts.headers, body).await?;
    let request = Request::from_parts(parts, Body::from(octets.clone()));
    // The client may hang up: what has begun goes on to its end, and so does the answer that is kept of it.
    let gate = api.control.gate.clone();
    let work = async move {
        let response = once::answer(&api, &caller, request, octets, next).await;
        drop(share);
        response
    };
    gate.apart(work.in_current_span()).await.map_err(Problem::of)?
}

impl Guard {
    async fn caller(&self, api: &Api, request: &Parts) -> Result<Caller, Problem> {
        match (request.extensions.get::<Origin>(), self.needs) {
            (Some(Origin::Local(actor)), _) => Ok(Caller::local(actor.clone())),
            (Some(Origin::Network(_)), Needs::Nobody) => Ok(Caller::nobody()),
            (Some(Origin::Network(ip)), _) => api.caller(&request.headers, *ip).await,
            (None, _) => Err(Problem::of("a request has no origin")),
        }
    }
}

/// Gives every request an id, in its answer and in its line of the log, and the answer the fields that all have.
pub(super) async fn named(request: Request, next: Next) -> Response {
    let id = draw_ref().map_or_else(|_| "unnamed".to_owned(), |id| id.to_string());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id);
    let mut response = match has_host(&request) {
        true => next.run(request).instrument(span).await,
        false => {
            let why = "the field `Host` is needed, once (RFC 9112 3.2)";
            Problem::bad_request(why).closing().into_response()
        }
    };
    tracing::debug!(id, %method, path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // What it answers belongs to the caller alone, and may be another thing the next time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// RFC 9112 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
/// lacks a Host header field and to any request message that contains more than one Host header field line"
fn has_host(request: &Request) -> bool {
    match request.headers().get_all(header::HOST).iter().count() {
        0 => request.version() != Version::HTTP_11,
        lines => lines == 1,
    }
}

pub(super) async fn no_such_path(request: Request) -> Response {
    let path = super::query::shown(request.uri().path());
    Problem::not_found(format!("there is nothing at `{path}`: /openapi.json says what there is"))
        .into_response()
}

pub(super) async fn no_such_method(request: Request) -> Response {
    let (method, path) = (request.method().as_str(), super::query::shown(request.uri().path()));
    let why =
        format!("`{}` is not done to `{path}`: the field `Allow` says what is", super::query::shown(method));
    Problem::new(super::problem::Kind::NoSuchMethod, why).into_response()
}
