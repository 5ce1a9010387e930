//! `ledger erase`: a command to the server, which judges and records it like any other.

use countersign_core::ids::{AccountId, Ref};
use hyper::Method;
use serde_json::{Value, json};

use crate::cli::client::ask;
use crate::cli::exit::{Code, Failure, talk};
use crate::config::Config;

/// Erase what was said in the entries of a ref or an account; that there were entries stays
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct Erase {
    /// The ref of a reply, a log line or a page
    reference: Option<String>,
    /// Everything of an account, which must be blocked, and its key
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

impl Erase {
    pub(super) async fn run(self, config: &Config) -> Result<Code, Failure> {
        let body = match (&self.reference, &self.account) {
            (Some(reference), _) => json!({ "ref": Ref::parse(reference).map_err(Failure::usage)? }),
            (None, Some(account)) => json!({ "account": AccountId::parse(account).map_err(Failure::usage)? }),
            (None, None) => return Err(Failure::usage("name a ref, or an account with --account")),
        };
        let answer = ask(&config.server.data_dir, Method::POST, "/v1/ledger/erase", Some(&body)).await?;
        let by = answer.pointer("/ruling/ref").and_then(Value::as_str).unwrap_or_default();
        let count = answer.get("payloads").and_then(Value::as_u64).unwrap_or_default();
        let (payloads, leaves) =
            if count == 1 { ("payload", "its leaf stays") } else { ("payloads", "their leaves stay") };
        talk(&format!("erased {count} {payloads} (recorded as {by}); {leaves}"));
        if let Some(reference) = &self.reference {
            talk(&format!(
                "a letter that is still held under {reference} stays until it is released or discarded, or its days are over"
            ));
        }
        if answer.get("key").and_then(Value::as_str) == Some("kept") {
            talk("the key of the account stays: other nodes may be using it");
        }
        Ok(Code::Ok)
    }
}
