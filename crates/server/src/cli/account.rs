//! `account ls|show|block|unblock`.

use std::path::Path;

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{NoAnswer, ask};
use super::config::load;
use super::exit::{Code, Failure, data, talk, versioned};
use crate::accounts::{Directory, PLATFORM};
use crate::boot::Data;
use crate::clock::Clock;

/// Accounts
#[derive(Debug, Subcommand)]
pub(super) enum AccountVerb {
    /// List accounts, one JSON line each
    Ls {
        /// As it is printed anyway
        #[arg(long)]
        json: bool,
    },
    /// Show an account
    Show {
        /// The account
        id: String,
        /// One JSON line
        #[arg(long)]
        json: bool,
    },
    /// Stop an account, one of its credentials, or a domain: mail is refused until it is unblocked; nothing
    /// is deleted
    Block {
        #[command(flatten)]
        target: Target,
        /// Why; it is recorded
        #[arg(long)]
        reason: String,
        /// One JSON line
        #[arg(long)]
        json: bool,
    },
    /// Let an account, one of its credentials, or a domain act again
    Unblock {
        #[command(flatten)]
        target: Target,
        /// One JSON line
        #[arg(long)]
        json: bool,
    },
}

/// What is blocked, or acts again.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The account; may be left out with --domain, which then means all accounts
    #[arg(required_unless_present = "domain")]
    id: Option<String>,
    /// Only mail as this domain and those below it
    #[arg(long, conflicts_with = "credential")]
    domain: Option<String>,
    /// Only this login
    #[arg(long)]
    credential: Option<String>,
}

impl AccountVerb {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let config = load(file)?.config;
        let dir = config.server.data_dir.clone();
        match self {
            Self::Ls { json: _ } => {
                let accounts = match ask(&dir, Method::GET, "/v1/accounts", None).await {
                    Ok(answer) => {
                        answer.get("accounts").and_then(Value::as_array).cloned().unwrap_or_default()
                    }
                    Err(NoAnswer::NoServer) => from_store(&config).await?,
                    Err(problem) => return Err(problem.into()),
                };
                accounts.into_iter().for_each(|account| data(&versioned(account).to_string()));
            }
            Self::Show { id, json } => {
                let account = match ask(&dir, Method::GET, &format!("/v1/accounts/{id}"), None).await {
                    Ok(account) => account,
                    Err(NoAnswer::NoServer) => one_from_store(&config, &id).await?,
                    Err(problem) => return Err(problem.into()),
                };
                let account = versioned(account);
                data(&match json {
                    true => account.to_string(),
                    false => serde_json::to_string_pretty(&account).map_err(Failure::internal)?,
                });
            }
            Self::Block { target, reason, json } => {
                let answer = target.change(&dir, "block", Some(&reason)).await?;
                let owed = is_owed(&answer);
                let note = if owed { "; the ledger cannot write now and is owed the entry" } else { "" };
                match json {
                    true => data(&target.line(true, &answer).to_string()),
                    false => talk(&format!("{target} is blocked{note}")),
                }
            }
            Self::Unblock { target, json } => {
                let answer = target.change(&dir, "unblock", None).await?;
                match json {
                    true => data(&target.line(false, &answer).to_string()),
                    false => talk(&format!("{target} may act again")),
                }
            }
        }
        Ok(Code::Ok)
    }
}

impl Target {
    async fn change(&self, dir: &Path, verb: &str, reason: Option<&str>) -> Result<Value, Failure> {
        let mut body = json!({ "domain": self.domain, "credential": self.credential });
        if let (Some(reason), Some(body)) = (reason, body.as_object_mut()) {
            body.insert("reason".to_owned(), json!(reason));
        }
        let id = self.id.as_deref().unwrap_or(PLATFORM);
        Ok(ask(dir, Method::POST, &format!("/v1/accounts/{id}/{verb}"), Some(&body)).await?)
    }

    fn line(&self, blocked: bool, answer: &Value) -> Value {
        json!({
            "v": 1, "account": self.id, "domain": self.domain, "credential": self.credential, "blocked": blocked,
            "owed": is_owed(answer), "ref": answer.pointer("/ruling/ref"),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self { id: Some(id), domain: Some(domain), .. } => {
                write!(f, "domain `{domain}` of account `{id}`")
            }
            Self { domain: Some(domain), .. } => write!(f, "domain `{domain}`"),
            Self { id: Some(id), credential: Some(login), .. } => {
                write!(f, "login `{login}` of account `{id}`")
            }
            Self { id, .. } => write!(f, "account `{}`", id.as_deref().unwrap_or_default()),
        }
    }
}

/// Whether the ledger could not write, and is owed the entry.
fn is_owed(answer: &Value) -> bool {
    answer.get("owed").and_then(Value::as_bool).unwrap_or_default()
}

async fn from_store(config: &crate::config::Config) -> Result<Vec<Value>, Failure> {
    let store = Data::read(config, &Clock::system()).await?.store;
    let directory = Directory::of_store(store);
    let mut rows = Vec::new();
    for id in directory.ids().await.map_err(Failure::internal)? {
        rows.push(directory.account(&id).await.map_err(Failure::internal)?.summary());
    }
    Ok(rows)
}

async fn one_from_store(config: &crate::config::Config, id: &str) -> Result<Value, Failure> {
    let accounts = from_store(config).await?;
    let found = accounts.into_iter().find(|account| account.get("id").and_then(Value::as_str) == Some(id));
    found.ok_or_else(|| Failure::usage(format!("there is no account `{id}`")))
}
