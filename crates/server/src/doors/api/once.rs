//! Once: a POST with an Idempotency-Key is carried out once, and answered the same again for a day.
//! The guard calls it around every handler of a POST. What is kept is sealed; the key itself is not.

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use countersign_core::ids::AccountId;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::Api;
use super::caller::Caller;
use super::problem::{Kind, Problem};
use crate::store::answers::{self, Claim, Claimed};
use crate::store::lease::later;

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Carries a request out, unless it was carried out before.
pub(super) async fn answer(
    api: &Api,
    caller: &Caller,
    request: Request,
    octets: Bytes,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = key_of(request.headers())? else { return Ok(next.run(request).await) };
    let claim = claim(api, caller, &request, &octets, &key);
    drop(octets);
    match answers::claim(&api.control.store, &claim).await {
        Ok(Claimed::Ours) => {
            let response = next.run(request).await;
            keep(api, &claim, response).await
        }
        Ok(Claimed::OtherRequest) => {
            let why = "another request was sent with this `Idempotency-Key`: give each its own";
            Err(Problem::new(Kind::KeyReused, why))
        }
        Ok(Claimed::InFlight) => {
            let why = "the first request with this `Idempotency-Key` is still at work: ask again";
            Err(Problem::new(Kind::InFlight, why).header(header::RETRY_AFTER, HeaderValue::from_static("1")))
        }
        Ok(Claimed::Answered(sealed)) => replay(api, &claim, &sealed).await,
        Err(error) => {
            // A store that cannot write lets nothing pass; a block goes on without it.
            tracing::warn!(%error, "an Idempotency-Key cannot be kept");
            Ok(next.run(request).await)
        }
    }
}

/// draft-ietf-httpapi-idempotency-key-header-07 2.1: "Idempotency-Key is an Item Structured Header [...]. Its
/// value MUST be a String". The same without its quotes is taken, too.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut fields = headers.get_all("idempotency-key").iter();
    let field = match (fields.next(), fields.next()) {
        (None, _) => return Ok(None),
        (Some(field), None) => field.to_str().unwrap_or_default().trim(),
        (Some(_), Some(_)) => return Err(Problem::bad_request("`Idempotency-Key` is there twice")),
    };
    let inner = field.strip_prefix('"').map_or(Some(field), |rest| rest.strip_suffix('"'));
    let plain = |key: &&str| (1..=LONGEST).contains(&key.len()) && key.bytes().all(is_plain);
    match inner.filter(plain) {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(Problem::bad_request(format!(
            "`Idempotency-Key` is no key: up to {LONGEST} letters, digits and signs in quotes are allowed, no \
             spaces, quotes or backslashes among them"
        ))),
    }
}

fn is_plain(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'"' | b'\\')
}

/// What names this request: keys of different callers are different keys.
fn claim(api: &Api, caller: &Caller, request: &Request, octets: &[u8], key: &str) -> Claim {
    let keys = &api.control.keys;
    let account = caller.only.clone().unwrap_or_else(AccountId::platform);
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let expects = request.headers().get(header::IF_MATCH).map_or(&[][..], HeaderValue::as_bytes);
    let body = digest(&SHA256, octets);
    let asked = [request.method().as_str().as_bytes(), target.as_bytes(), expects, body.as_ref()].join(&0);
    let at = api.control.clock.now();
    Claim {
        account,
        key: keys.hmac("idempotency-key", format!("{}\0{key}", caller.actor).as_bytes()),
        request: keys.hmac("idempotency-request", &asked),
        at,
        lease: later(at, LEASE),
        until: later(at, REMEMBERED),
    }
}

/// Keeps an answer. What failed on our side may be tried again, so nothing is kept of it.
async fn keep(api: &Api, claim: &Claim, response: Response) -> Result<Response, Problem> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(Problem::of)?;
    let kept = match parts.status.is_server_error() {
        true => answers::forget(&api.control.store, claim).await.map_err(|error| error.to_string()),
        false => match sealed(api, claim, parts.status, &parts.headers, &body).await {
            Ok(sealed) => answers::keep(&api.control.store, claim, sealed).await.map_err(|e| e.to_string()),
            Err(error) => Err(error),
        },
    };
    if let Err(error) = kept {
        tracing::error!(error, "an answer cannot be kept: the same request would be carried out again");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

async fn sealed(
    api: &Api,
    claim: &Claim,
    status: StatusCode,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Vec<u8>, String> {
    let text = |name: &HeaderName| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    let headers = [header::CONTENT_TYPE, header::ETAG, header::LINK].iter().filter_map(text).collect();
    let body = String::from_utf8(body.to_vec()).map_err(|error| error.to_string())?;
    let kept =
        serde_json::to_vec(&Kept { status: status.as_u16(), headers, body }).map_err(|e| e.to_string())?;
    let key = api.control.keys.of(&claim.account).await.map_err(|error| error.to_string())?;
    key.seal(&tie(claim), &kept).map_err(|error| error.to_string())
}

async fn replay(api: &Api, claim: &Claim, sealed: &[u8]) -> Result<Response, Problem> {
    let key = api.control.keys.of(&claim.account).await.map_err(Problem::of)?;
    let plain = key.open(&tie(claim), sealed).map_err(Problem::of)?;
    let kept: Kept = serde_json::from_slice(&plain).map_err(Problem::of)?;
    let status = StatusCode::from_u16(kept.status).map_err(Problem::of)?;
    let mut response = (status, kept.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in kept.headers {
        let name = HeaderName::try_from(name).map_err(Problem::of)?;
        headers.insert(name, HeaderValue::try_from(value).map_err(Problem::of)?);
    }
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

/// An answer opens for its caller and key only.
fn tie(claim: &Claim) -> Vec<u8> {
    [b"answer", claim.account.as_str().as_bytes(), &claim.key, &claim.request].join(&0)
}

const LONGEST: usize = 255;
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// Who claimed a key and was killed holds it no longer than this.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fields: &[&str]) -> Option<Option<String>> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("idempotency-key", field.parse().unwrap());
        }
        key_of(&headers).ok()
    }

    #[test]
    fn a_key_is_a_string_with_or_without_its_quotes() {
        assert_eq!(key(&[]), Some(None));
        for field in ["\"8e03978e-40d5\"", "8e03978e-40d5", " \"8e03978e-40d5\" "] {
            assert_eq!(key(&[field]), Some(Some("8e03978e-40d5".to_owned())), "{field}");
        }
        let long = "x".repeat(256);
        for wrong in ["", "\"\"", "\"a", "a\"", "a b", "\"a\\\"b\"", long.as_str()] {
            assert_eq!(key(&[wrong]), None, "{wrong}");
        }
        assert_eq!(key(&["a", "a"]), None);
    }
}
