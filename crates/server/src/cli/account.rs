//! `account ls|show|block|unblock`.

use std::path::Path;

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{NoAnswer, ask};
use super::config::load;
use super::exit::{Code, Failure, data, talk};
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
        id: String,
        /// As it is printed anyway
        #[arg(long)]
        json: bool,
    },
    /// Stop an account, one of its credentials, or a domain: mail is refused until it is unblocked; nothing
    /// is deleted
    Block {
        /// The account; may be left out with --domain, which is then stopped for all accounts
        #[arg(required_unless_present = "domain")]
        id: Option<String>,
        /// Only mail as this domain and those below it
        #[arg(long, conflicts_with = "credential")]
        domain: Option<String>,
        /// Only this login
        #[arg(long)]
        credential: Option<String>,
        /// Why; it is recorded
        #[arg(long)]
        reason: String,
    },
    /// Let an account, one of its credentials, or a domain act again
    Unblock {
        /// The account; may be left out with --domain
        #[arg(required_unless_present = "domain")]
        id: Option<String>,
        /// The domain that was blocked
        #[arg(long, conflicts_with = "credential")]
        domain: Option<String>,
        /// The login that was blocked
        #[arg(long)]
        credential: Option<String>,
    },
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
                accounts.iter().for_each(|account| data(&account.to_string()));
            }
            Self::Show { id, json: _ } => {
                let account = match ask(&dir, Method::GET, &format!("/v1/accounts/{id}"), None).await {
                    Ok(account) => account,
                    Err(NoAnswer::NoServer) => one_from_store(&config, &id).await?,
                    Err(problem) => return Err(problem.into()),
                };
                data(&serde_json::to_string_pretty(&account).map_err(Failure::internal)?);
            }
            Self::Block { id, domain, credential, reason } => {
                let body = json!({ "reason": reason, "domain": domain, "credential": credential });
                let what = named(id.as_deref(), domain.as_deref(), credential.as_deref());
                let owed = change(&dir, id.as_deref(), "block", &body).await?;
                let note = if owed { "; the ledger cannot write now and is owed the entry" } else { "" };
                talk(&format!("{what} is blocked{note}"));
            }
            Self::Unblock { id, domain, credential } => {
                let body = json!({ "domain": domain, "credential": credential });
                change(&dir, id.as_deref(), "unblock", &body).await?;
                let what = named(id.as_deref(), domain.as_deref(), credential.as_deref());
                talk(&format!("{what} may act again"));
            }
        }
        Ok(Code::Ok)
    }
}

/// Blocks or unblocks; whether the ledger is owed the entry.
async fn change(dir: &Path, id: Option<&str>, verb: &str, body: &Value) -> Result<bool, Failure> {
    let id = id.unwrap_or(PLATFORM);
    let answer = ask(dir, Method::POST, &format!("/v1/accounts/{id}/{verb}"), Some(body)).await?;
    Ok(answer.get("owed").and_then(Value::as_bool).unwrap_or_default())
}

fn named(id: Option<&str>, domain: Option<&str>, credential: Option<&str>) -> String {
    match (id, domain, credential) {
        (Some(id), Some(domain), _) => format!("domain `{domain}` of account `{id}`"),
        (None, Some(domain), _) => format!("domain `{domain}`"),
        (Some(id), _, Some(login)) => format!("login `{login}` of account `{id}`"),
        _ => format!("account `{}`", id.unwrap_or_default()),
    }
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
