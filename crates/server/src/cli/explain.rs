//! `explain REF`: what was decided, why, on which evidence, what would change it, and what became of it.

use std::path::Path;

use countersign_core::ids::Ref;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{NoAnswer, ask};
use super::config::load;
use super::exit::{Code, Failure, data, versioned};
use crate::boot::Data;
use crate::clock::Clock;
use crate::store::{self, Entry};

/// Explain a ruling by its ref
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The ref of a reply, a log line or a page
    reference: String,
    /// The ledger's entries as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let reference = Ref::parse(&self.reference).map_err(Failure::usage)?;
        let config = load(file)?.config;
        let answer =
            match ask(&config.server.data_dir, Method::GET, &format!("/v1/ledger/entries/{reference}"), None)
                .await
            {
                Ok(answer) => answer,
                Err(NoAnswer::NoServer) => {
                    let read = Data::read(&config, &Clock::system()).await?;
                    let entries =
                        store::find(&read.store, &read.keys, reference).await.map_err(Failure::internal)?;
                    json!({ "entries": entries.iter().map(Entry::to_json).collect::<Vec<_>>() })
                }
                Err(problem) => return Err(problem.into()),
            };
        let entries = answer.get("entries").and_then(Value::as_array).cloned().unwrap_or_default();
        if entries.is_empty() {
            return Err(Failure::usage(format!("no ruling has the ref `{reference}`")));
        }
        match self.json {
            true => entries.iter().for_each(|entry| data(&versioned(with_ruling(entry)).to_string())),
            false => entries.iter().for_each(|entry| data(story(entry).trim_end())),
        }
        Ok(Code::Ok)
    }
}

/// An entry with the fields of its ruling beside its own, as the ruling's JSON is everywhere.
fn with_ruling(entry: &Value) -> Value {
    let mut line = entry.clone();
    let ruling = entry.pointer("/payload/ruling").and_then(Value::as_object);
    if let (Some(line), Some(ruling)) = (line.as_object_mut(), ruling) {
        let more = ruling.iter().filter(|(name, _)| !["ref", "account", "at"].contains(&name.as_str()));
        line.extend(more.map(|(name, value)| (name.clone(), value.clone())));
    }
    line
}

/// One entry of the ledger, told.
fn story(entry: &Value) -> String {
    let payload = entry.get("payload").unwrap_or(&Value::Null);
    match (payload.get("ruling"), payload.get("outcome")) {
        (Some(ruling), _) => told_ruling(entry, payload, ruling),
        (None, Some(outcome)) => format!(
            "then, {}: {} ({})\n",
            text(entry, "at"),
            text(outcome, "result"),
            text(outcome, "upstream")
        ),
        (None, None) => format!("entry {}: the payload is erased", number(entry, "idx")),
    }
}

fn told_ruling(entry: &Value, payload: &Value, ruling: &Value) -> String {
    let how = ruling.get("how").and_then(Value::as_str).map(|how| format!(" ({how})")).unwrap_or_default();
    let mut out = format!(
        "{}  {}{how}  gate {}  account {}  mode {}\n{}  by {}  leaf {}\n",
        text(ruling, "ref"),
        text(ruling, "decision").to_uppercase(),
        text(ruling, "gate"),
        text(ruling, "account"),
        text(ruling, "mode"),
        text(ruling, "at"),
        text(payload, "actor"),
        number(entry, "idx"),
    );
    // What was let pass, or kept, heard none of its reasons.
    let custody = text(ruling, "how") == "custody" && text(ruling, "mode") == "enforce";
    let passed = custody || text(ruling, "mode") == "observe" || text(ruling, "decision") == "allow";
    for reason in list(ruling, "reasons") {
        out += &format!("\n  why      {}\n", text(reason, "sentence"));
        out += &format!("           {} by {}\n", text(reason, "code"), text(reason, "policy"));
        out += &format!("  remedy   {}\n", text(reason, "remedy"));
        if !passed {
            out += &format!("  said     {}\n", text(reason, "smtp"));
        }
    }
    if custody {
        out += &format!("\n  said     250 2.0.0 held ref={}\n", text(ruling, "ref"));
    }
    let evidence = list(ruling, "evidence");
    if !evidence.is_empty() {
        out += "\n  evidence\n";
    }
    for fact in evidence {
        out += &format!("    {:<14} {:<8} {}\n", text(fact, "kind"), text(fact, "finding"), values(fact));
    }
    for refused in list(payload, "recipients") {
        out += &format!(
            "  recipient {} refused by {}: {}\n",
            text(refused, "address"),
            text(refused, "by"),
            text(refused, "reply")
        );
    }
    out
}

fn values(fact: &Value) -> String {
    let why = fact.get("why").and_then(Value::as_str).map(|why| format!("why={why}"));
    let pairs = fact.get("value").and_then(Value::as_object).into_iter().flatten();
    let shown = pairs.filter(|(name, value)| *name != "cost_us" && *value != "").map(|(name, value)| {
        format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    });
    why.into_iter().chain(shown).collect::<Vec<_>>().join("  ")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> i64 {
    value.get(name).and_then(Value::as_i64).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
