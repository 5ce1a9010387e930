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
            Self::Ls { json, all } => {
                let rows = rows(&config, all).await?;
                if rows.is_empty() {
                    talk("nothing is held");
                }
                rows.into_iter().for_each(|row| {
                    data(&if json { versioned(row).to_string() } else { line(&row) });
                });
            }
            Self::Show { reference, json } => {
                let reference = parse(&reference)?;
                let all = rows(&config, true).await?;
                let found = all.iter().find(|row| text(row, "ref") == reference.as_str());
                let row =
                    found.ok_or_else(|| Failure::usage(format!("no mail is held under `{reference}`")))?;
                let row = versioned(row.clone());
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

async fn rows(config: &Config, all: bool) -> Result<Vec<Value>, Failure> {
    match pages(config, all).await {
        Ok(rows) => Ok(rows),
        Err(NoAnswer::NoServer) => {
            let store = Data::read(config, &Clock::system()).await?.store;
            let which = if all { Which::All } else { Which::Open };
            let held = custody::list(&store, which, MOST).await.map_err(Failure::internal)?;
            Ok(held.iter().map(|row| json!(row)).collect())
        }
        Err(problem) => Err(problem.into()),
    }
}

/// Every page of a server's list.
async fn pages(config: &Config, all: bool) -> Result<Vec<Value>, NoAnswer> {
    let mut rows = Vec::new();
    let mut path = format!("/v1/held?all={all}&limit=1000");
    loop {
        let answer = ask(&config.server.data_dir, Method::GET, &path, None).await?;
        rows.extend(answer.get("held").and_then(Value::as_array).into_iter().flatten().cloned());
        match answer.get("next").and_then(Value::as_str) {
            Some(next) => path = format!("/v1/held?all={all}&limit=1000&after={next}"),
            None => return Ok(rows),
        }
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
        text(row, "mail_from"),
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

const MOST: u32 = 10_000;
