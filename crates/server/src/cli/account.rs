//! `account ls|show|block|unblock`.

use std::path::Path;

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{NoAnswer, ask};
use super::config::load;
use super::exit::{Code, Failure, data, talk};
use crate::accounts::Directory;
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
    /// Stop an account: its mail is refused until it is unblocked; nothing is deleted
    Block {
        id: String,
        /// Why; it is recorded
        #[arg(long)]
        reason: String,
    },
    /// Let an account act again
    Unblock { id: String },
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
            Self::Block { id, reason } => {
                let body = json!({ "reason": reason });
                ask(&dir, Method::POST, &format!("/v1/accounts/{id}/block"), Some(&body)).await?;
                talk(&format!("account `{id}` is blocked"));
            }
            Self::Unblock { id } => {
                ask(&dir, Method::POST, &format!("/v1/accounts/{id}/unblock"), None).await?;
                talk(&format!("account `{id}` may act again"));
            }
        }
        Ok(Code::Ok)
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
