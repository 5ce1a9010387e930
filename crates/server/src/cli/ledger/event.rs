//! An entry as an event for other programs: OCSF 1.3 for a SIEM, a line of CSV for a spreadsheet.
//! `ledger export --format` prints them. Nobody can verify these forms.

use countersign_core::ledger::Kind;
use serde_json::{Map, Value, json};

use crate::store::{Entry, Payload};

/// The first line of the CSV.
pub(super) const HEADINGS: &str = "time,log,idx,kind,ref,account,payload,action,actor,decision,mode,reasons,\
    client,mail_from,recipients,message_id,command,result,reply\r\n";

/// What is said of an entry in either form; empty where it says nothing, or is erased.
struct Said<'a>(Option<&'a Value>);

impl<'a> Said<'a> {
    fn of(entry: &'a Entry) -> Self {
        match &entry.payload {
            Payload::Opened(value) => Self(Some(value)),
            Payload::Erased => Self(None),
        }
    }

    fn text(&self, pointer: &str) -> &'a str {
        self.0.and_then(|value| value.pointer(pointer)).and_then(Value::as_str).unwrap_or_default()
    }

    fn list(&self, pointer: &str, within: &str) -> Vec<&'a str> {
        let list = self.0.and_then(|value| value.pointer(pointer)).and_then(Value::as_array);
        let text = |value: &'a Value| value.pointer(within).and_then(Value::as_str);
        list.into_iter().flatten().filter_map(text).collect()
    }

    fn reasons(&self) -> Vec<&'a str> {
        self.list("/ruling/reasons", "/code")
    }

    fn recipients(&self) -> Vec<&'a str> {
        self.list("/envelope/recipients", "")
    }
}

/// An entry as a line of CSV (RFC 4180), with its CRLF.
pub(super) fn csv(entry: &Entry, origin: &str) -> String {
    let said = Said::of(entry);
    let (at, idx) = (entry.at.to_string(), entry.index.to_string());
    let (reasons, recipients) = (said.reasons().join(" "), said.recipients().join(" "));
    let cells = [
        at.as_str(),
        origin,
        &idx,
        word(entry.kind),
        entry.reference.as_str(),
        entry.account.as_str(),
        if said.0.is_some() { "opened" } else { "erased" },
        said.text("/action"),
        said.text("/actor"),
        said.text("/ruling/decision"),
        said.text("/ruling/mode"),
        &reasons,
        said.text("/client/ip"),
        said.text("/envelope/mail_from"),
        &recipients,
        said.text("/message_id"),
        said.text("/command/verb"),
        said.text("/outcome/result"),
        said.text("/outcome/upstream"),
    ];
    cells.map(cell).join(",") + "\r\n"
}

/// A cell. What a spreadsheet would take for a formula gets an apostrophe in front: senders choose some of these texts.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    // RFC 4180 2: "Fields containing line breaks (CRLF), double quotes, and commas should be enclosed in double-quotes."
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// An entry as an event: Email Activity for mail that was ruled on, API Activity for a command, else a base event
/// (what became of mail, and what is erased: neither has the addresses that the others require).
pub(super) fn ocsf(entry: &Entry, origin: &str) -> Value {
    let said = Said::of(entry);
    let (class, activity) = match (entry.kind, said.0.is_some()) {
        (Kind::Ruling, true) => (EMAIL_ACTIVITY, SCAN),
        (Kind::Command, true) => (API_ACTIVITY, OTHER),
        _ => (BASE_EVENT, OTHER),
    };
    let decision = said.text("/ruling/decision");
    let (severity, status) = match decision {
        "refuse" => (3, 2),
        "hold" | "ask" => (2, OTHER),
        "allow" => (1, 1),
        _ => (1, 0),
    };
    let mut event = Map::from_iter([
        ("class_uid".to_owned(), json!(class)),
        ("category_uid".to_owned(), json!(class / 1000)),
        ("activity_id".to_owned(), json!(activity)),
        ("type_uid".to_owned(), json!(class * 100 + activity)),
        ("severity_id".to_owned(), json!(severity)),
        ("time".to_owned(), json!(entry.at.as_millisecond())),
        ("status_id".to_owned(), json!(status)),
        ("metadata".to_owned(), metadata(entry, origin)),
        ("unmapped".to_owned(), unmapped(entry, &said)),
    ]);
    let mut add = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
    if status == OTHER {
        add("status", json!(decision));
    }
    if let Some(reason) = said.reasons().first() {
        add("status_code", json!(reason));
    }
    match class {
        EMAIL_ACTIVITY => {
            let (from, to) = (said.text("/envelope/mail_from"), said.recipients());
            add("direction_id", json!(OUTBOUND));
            add(
                "email",
                json!({ "from": from, "to": to, "smtp_from": from, "smtp_to": to, "message_uid": said.text("/message_id") }),
            );
            add("src_endpoint", json!({ "ip": said.text("/client/ip") }));
            add("message_trace_uid", json!(entry.reference));
        }
        API_ACTIVITY => {
            add("activity_name", json!(said.text("/command/verb")));
            add("api", json!({ "operation": said.text("/command/verb") }));
            add("actor", json!({ "user": { "name": said.text("/actor") } }));
            add("src_endpoint", json!({ "name": origin.split('/').next() }));
        }
        _ => add("activity_name", json!(word(entry.kind))),
    }
    Value::Object(event)
}

fn metadata(entry: &Entry, origin: &str) -> Value {
    let product =
        json!({ "name": "Countersign", "vendor_name": "Countersign", "version": env!("CARGO_PKG_VERSION") });
    json!({
        "version": "1.3.0", "product": product, "uid": format!("{origin}/{}", entry.index),
        "log_name": origin, "sequence": entry.index, "correlation_uid": entry.reference,
        "tenant_uid": entry.account,
    })
}

fn unmapped(entry: &Entry, said: &Said<'_>) -> Value {
    json!({
        "kind": word(entry.kind), "decision": said.text("/ruling/decision"), "mode": said.text("/ruling/mode"),
        "reasons": said.reasons(), "result": said.text("/outcome/result"), "reply": said.text("/outcome/upstream"),
        "payload": if said.0.is_some() { "opened" } else { "erased" },
    })
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Ruling => "ruling",
        Kind::Outcome => "outcome",
        Kind::Command => "command",
    }
}

const BASE_EVENT: u32 = 0;
const EMAIL_ACTIVITY: u32 = 4009;
const API_ACTIVITY: u32 = 6003;
const SCAN: u32 = 3;
const OUTBOUND: u32 = 2;
const OTHER: u32 = 99;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_ends_early() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=cmd|' /C x'!A1,\"", "\"'=cmd|' /C x'!A1,\"\"\""),
            ("a\r\nb", "\"a\r\nb\""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
