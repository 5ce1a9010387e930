//! `observe` and `enforce`: sets the mode of a gate, or of one account.

use std::path::Path;

use countersign_core::request::Mode;
use hyper::Method;
use serde_json::json;

use super::client::ask;
use super::config::load;
use super::exit::{Code, Failure, talk};

/// Set the mode of a gate or an account
#[derive(Debug, clap::Args)]
pub(super) struct SetMode {
    /// The gate
    #[arg(value_parser = ["send", "receive", "lists", "signin", "desk"])]
    gate: String,
    /// One account only
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

impl SetMode {
    pub(super) async fn run(self, file: Option<&Path>, mode: Mode) -> Result<Code, Failure> {
        let loaded = load(file)?;
        if self.gate != "send" {
            talk(&format!("countersign: gate `{}` is not built yet: its mode is kept and has no effect", self.gate));
        }
        let body = json!({ "gate": self.gate, "mode": mode, "account": self.account });
        ask(&loaded.config.server.data_dir, Method::POST, "/v1/modes", Some(&body)).await?;
        let whose = self.account.map(|id| format!(" for account `{id}`")).unwrap_or_default();
        talk(&format!("gate `{}` is in mode {}{whose}", self.gate, mode.name()));
        Ok(Code::Ok)
    }
}
