//! Bodies: received within a size, a pace and the octets that all messages share; JSON read strictly.
//! The guard receives them before a handler runs.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use countersign_wire::limits::Limits;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::Api;
use super::problem::{Kind, Problem};
use super::query::unknown;
use crate::doors::smtp::{Pace, Share};

/// What a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// No body, or an object without fields.
    Nothing,
    /// A JSON object of this schema with these fields.
    Json(&'static str, &'static [&'static str]),
    /// An accounts file with its secrets, as JSON.
    Accounts,
    /// `message/rfc822`.
    Message,
}

impl Takes {
    pub(super) fn most(self, limits: &Limits) -> usize {
        match self {
            Self::Nothing | Self::Json(..) => SMALL,
            Self::Accounts => ACCOUNTS,
            Self::Message => limits.message_bytes,
        }
    }

    /// The type that the body must say it has, if it says one and there is a body.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Nothing | Self::Json(..) | Self::Accounts => "application/json",
            Self::Message => "message/rfc822",
        }
    }
}

/// Takes a whole body in. The share of octets stands as long as the body is needed.
pub(super) async fn receive(
    api: &Api,
    takes: Takes,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<(Bytes, Share), Problem> {
    let most = takes.most(&api.settings.limits);
    let mut share = api.capacity.budget.share();
    if let Some(announced) = announced(headers) {
        if announced > most as u64 {
            return Err(too_large(most));
        }
        if !share.grow_to(announced) {
            return Err(no_room());
        }
    }
    let mut pace = Pace::new(api.settings.min_data_rate, Instant::now());
    let mut octets: Vec<u8> = Vec::new();
    while let Some(data) = next(&mut body, &mut pace).await? {
        if octets.len().saturating_add(data.len()) > most {
            return Err(too_large(most));
        }
        if !share.grow_to((octets.len() + data.len()) as u64) {
            return Err(no_room());
        }
        octets.extend_from_slice(&data);
    }
    if !octets.is_empty() {
        has_type(headers, takes.media_type())?;
    }
    if takes == Takes::Nothing {
        // What is asked for in vain must not look as if it were done.
        json::<Map<String, Value>>(&octets, &[])?;
    }
    Ok((Bytes::from(octets), share))
}

/// The next octets of a body that comes fast enough; nothing at its end.
async fn next(body: &mut Body, pace: &mut Pace) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = match pace.until() {
            Some(until) => match tokio::time::timeout_at(until, body.frame()).await {
                Ok(frame) => frame,
                Err(_) if pace.is_too_slow(Instant::now()) => {
                    let why = "the body comes too slowly: send it faster, or in a better network";
                    return Err(Problem::new(Kind::TooSlow, why).closing());
                }
                Err(_) => continue,
            },
            None => body.frame().await,
        };
        match frame.map(|frame| frame.map(hyper::body::Frame::into_data)) {
            None => return Ok(None),
            Some(Ok(Ok(data))) => {
                pace.came(data.len());
                return Ok(Some(data));
            }
            // Trailers say nothing to us.
            Some(Ok(Err(_))) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "a body cannot be read");
                return Err(
                    Problem::bad_request("the body ended early, or its chunks are malformed").closing()
                );
            }
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(most: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body has more than {most} octets, which is the limit here"))
        .closing()
}

fn no_room() -> Problem {
    Problem::unavailable("no-room", "too many messages are being received at once; try again later").closing()
}

/// A body whose type is not said is taken for what it must be.
fn has_type(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let Some(field) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = field.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match essence.eq_ignore_ascii_case(expected) {
        true => Ok(()),
        false => Err(Problem::new(Kind::WrongType, format!("the body must be `Content-Type: {expected}`"))),
    }
}

/// Reads a JSON object of known fields; no body is an empty object.
pub(in crate::doors) fn json<T: DeserializeOwned>(body: &[u8], known: &[&str]) -> Result<T, Problem> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let malformed =
        |error: serde_json::Error| Problem::bad_request(format!("the body is no such JSON: {error}"));
    let object: Map<String, Value> = serde_json::from_slice(body).map_err(malformed)?;
    if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown("field", name, known.iter().copied()));
    }
    // From the octets, not from the object: a field that is there twice has two readings.
    serde_json::from_slice(body).map_err(malformed)
}

const SMALL: usize = 65_536;
const ACCOUNTS: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Block {
        reason: Option<String>,
    }

    fn read(body: &str) -> Result<Option<String>, String> {
        json::<Block>(body.as_bytes(), &["reason"])
            .map(|block| block.reason)
            .map_err(|problem| problem.detail())
    }

    #[test]
    fn fields_are_known_and_there_once() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(r#"{"reason": "phish"}"#), Ok(Some("phish".to_owned())));
        assert_eq!(
            read(r#"{"reson": "phish"}"#),
            Err("unknown field `reson`: did you mean `reason`?".to_owned())
        );
        assert!(read(r#"{"reason": "a", "reason": "b"}"#).unwrap_err().contains("duplicate field `reason`"));
        for wrong in ["[]", "1", "{", "{\"reason\": 1}", "{} {}", "\u{0}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
