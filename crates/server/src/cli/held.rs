//! `held ls|show|release|refuse`.

use std::path::Path;

use clap::Subcommand;
use countersign_core::ids::Ref;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{NoAnswer, ask};
use super::config::load;
use super::exit::{Code, Failure, data, talk, versioned};
use crate::boot::Data;
use crate::clock::Clock;
use crate::config::Config;
use crate::custody::{self, Which};

/// Held mail
#[derive(Debug, Subcommand)]
pub(super) enum HeldVerb {
    /// List held mail, newest first
    Ls {
        /// One JSON line each
        #[arg(long)]
        json: bool,
        /// Also what was released, refused or has expired
        #[arg(long)]
        all: bool,
        /// How many at most
        #[arg(short, long, default_value_t = 200)]
        number: u32,
    },
    /// Show one held mail
    Show {
        /// Its ref
        reference: String,
        /// One JSON line
        #[arg(long)]
        json: bool,
    },
    /// Send it on; it is judged again for who it is from and whether the account is blocked
    Release {
        /// Its ref
        reference: String,
        /// One JSON line
        #[arg(long)]
        json: bool,
    },
    /// Refuse it; the message is then gone
    Refuse {
        /// Its ref
        reference: String,
        /// One JSON line
        #[arg(long)]
        json: bool,
    },
}

impl HeldVerb {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let config = load(file)?.config;
        match self {
            Self::Ls { json, all, number } => {
                let (rows, more) = rows(&config, all, number).await?;
                if rows.is_empty() {
                    talk("nothing is held");
                }
                rows.into_iter().for_each(|row| {
                    data(&if json { versioned(row).to_string() } else { line(&row) });
                });
                if more {
                    talk(&format!("there are older ones than these {number} (-n shows more)"));
                }
            }
            Self::Show { reference, json } => {
                let reference = parse(&reference)?;
                let row = versioned(one(&config, reference).await?);
                data(&match json {
                    true => row.to_string(),
                    false => serde_json::to_string_pretty(&row).map_err(Failure::internal)?,
                });
            }
            Self::Release { reference, json } => {
                act(&config, &reference, ("release", "released"), json).await?
            }
            Self::Refuse { reference, json } => act(&config, &reference, ("refuse", "refused"), json).await?,
        }
        Ok(Code::Ok)
    }
}

/// Carries a verb out and says that it is done.
async fn act(
    config: &Config,
    reference: &str,
    (verb, done): (&str, &str),
    json: bool,
) -> Result<(), Failure> {
    let reference = parse(reference)?;
    let path = format!("/v1/held/{reference}/{verb}");
    let answer = ask(&config.server.data_dir, Method::POST, &path, None).await?;
    let by = answer.pointer("/ruling/ref").and_then(Value::as_str).unwrap_or_default();
    match json {
        true => data(&json!({ "v": 1, "ref": reference, "state": done, "recorded_as": by }).to_string()),
        false => talk(&format!("{done} {reference} (recorded as {by})")),
    }
    Ok(())
}

/// The newest rows, so many, and whether there are more.
async fn rows(config: &Config, all: bool, number: u32) -> Result<(Vec<Value>, bool), Failure> {
    match pages(config, all, number).await {
        Ok(rows) => Ok(rows),
        Err(NoAnswer::NoServer) => {
            let read = Data::read(config, &Clock::system()).await?;
            let which = if all { Which::All } else { Which::Open };
            let wanted = number.saturating_add(1);
            let held = custody::page(&read.store, &read.keys, which, None, None, wanted)
                .await
                .map_err(Failure::internal)?;
            let rows: Vec<Value> = held.iter().map(|row| json!(row)).collect();
            Ok(cut(rows, number))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// The first pages of a server's list.
async fn pages(config: &Config, all: bool, number: u32) -> Result<(Vec<Value>, bool), NoAnswer> {
    let mut rows = Vec::new();
    let first = format!("/v1/held?all={all}&limit={}", number.clamp(1, PAGE));
    let mut path = first.clone();
    loop {
        let answer = ask(&config.server.data_dir, Method::GET, &path, None).await?;
        rows.extend(answer.get("held").and_then(Value::as_array).into_iter().flatten().cloned());
        match answer.get("next").and_then(Value::as_str) {
            Some(_) if rows.len() >= usize::try_from(number).unwrap_or(usize::MAX) => {
                return Ok((cut(rows, number).0, true));
            }
            Some(next) => path = format!("{first}&after={next}"),
            None => return Ok(cut(rows, number)),
        }
    }
}

fn cut(mut rows: Vec<Value>, number: u32) -> (Vec<Value>, bool) {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let more = rows.len() > number;
    rows.truncate(number);
    (rows, more)
}

async fn one(config: &Config, reference: Ref) -> Result<Value, Failure> {
    let unknown = || Failure::usage(format!("no mail is held under `{reference}`"));
    match ask(&config.server.data_dir, Method::GET, &format!("/v1/held/{reference}"), None).await {
        Ok(row) => Ok(row),
        Err(NoAnswer::NoServer) => {
            let read = Data::read(config, &Clock::system()).await?;
            let found = custody::load(&read.store, &read.keys, reference).await.map_err(Failure::internal)?;
            found.map(|(held, _)| json!(held)).ok_or_else(unknown)
        }
        Err(problem) => Err(problem.into()),
    }
}

fn line(row: &Value) -> String {
    let reasons: Vec<&str> = row
        .get("reasons")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    format!(
        "{}  {:<9} {:<16} {}  from {}, {} recipients, {} octets, until {}",
        text(row, "ref"),
        text(row, "state"),
        text(row, "account"),
        reasons.join(","),
        Some(text(row, "mail_from")).filter(|path| !path.is_empty()).unwrap_or("(erased)"),
        row.get("rcpts").and_then(Value::as_i64).unwrap_or_default(),
        row.get("size").and_then(Value::as_i64).unwrap_or_default(),
        text(row, "until"),
    )
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn parse(reference: &str) -> Result<Ref, Failure> {
    Ref::parse(reference).map_err(Failure::usage)
}

/// As many as a server gives at once.
const PAGE: u32 = 1000;
