//! Pages of a list: `limit`, `after`, and a Link to the next one (RFC 8288). There are no totals.
//! Handlers of lists read one row more than they show, so that they know whether there is a next page.

use axum::http::{HeaderName, HeaderValue, header};

use super::query::{Parameter, ParameterKind, Query};

/// The part of a list that is asked for.
#[derive(Debug)]
pub(in crate::doors) struct Page<'q> {
    query: &'q Query,
    /// At most so many.
    pub(in crate::doors) limit: usize,
    /// The place after which it begins, as the page before gave it.
    pub(in crate::doors) after: Option<&'q str>,
}

impl<'q> Page<'q> {
    pub(in crate::doors) fn of(query: &'q Query) -> Self {
        let limit = query.count("limit").unwrap_or(USUAL);
        Self { query, limit: limit as usize, after: query.one("after") }
    }

    /// How many rows to read.
    pub(in crate::doors) fn wanted(&self) -> u32 {
        u32::try_from(self.limit).unwrap_or(MOST).saturating_add(1)
    }

    /// Cuts what was read to the page, and says where the next one begins.
    pub(in crate::doors) fn cut<T>(&self, rows: &mut Vec<T>, place: impl Fn(&T) -> String) -> Option<String> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        rows.last().filter(|_| more).map(place)
    }

    /// The Link field of the next page.
    pub(in crate::doors) fn link(&self, path: &str, next: Option<&str>) -> Option<(HeaderName, HeaderValue)> {
        // RFC 8288 3: a target in angle brackets, relative to the request, and its relation.
        let link = format!("<{path}?{}>; rel=\"next\"", self.query.with("after", next?));
        Some((header::LINK, HeaderValue::from_str(&link).ok()?))
    }
}

pub(super) const LIMIT: Parameter =
    Parameter { name: "limit", kind: ParameterKind::Count(MOST), says: "how many at most; 100 when absent" };
pub(super) const AFTER: Parameter = Parameter {
    name: "after",
    kind: ParameterKind::Text,
    says: "where the page begins: `next` of the page before",
};
const USUAL: u32 = 100;
const MOST: u32 = 1000;
