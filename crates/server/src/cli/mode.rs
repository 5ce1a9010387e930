//! `observe` and `enforce`: sets the mode of a gate, or of one account.

use std::path::Path;

use countersign_core::request::Mode;
use hyper::Method;
use serde_json::{Value, json};

use super::client::ask;
use super::config::load;
use super::exit::{Code, Failure, data, talk};

/// Set the mode of a gate or an account
#[derive(Debug, clap::Args)]
pub(super) struct SetMode {
    /// The gate
    #[arg(value_parser = ["send", "receive", "lists", "signin", "desk"])]
    gate: String,
    /// One account only
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// One JSON line
    #[arg(long)]
    json: bool,
}

impl SetMode {
    pub(super) async fn run(self, file: Option<&Path>, mode: Mode) -> Result<Code, Failure> {
        let loaded = load(file)?;
        if self.gate != "send" {
            talk(&format!(
                "countersign: gate `{}` is not built yet: its mode is kept and has no effect",
                self.gate
            ));
        }
        let body = json!({ "gate": self.gate, "mode": mode, "account": self.account });
        let answer = ask(&loaded.config.server.data_dir, Method::POST, "/v1/modes", Some(&body)).await?;
        let by = answer.pointer("/ruling/ref").and_then(Value::as_str).unwrap_or_default();
        if self.json {
            let line = json!({ "v": 1, "gate": self.gate, "mode": mode, "account": self.account, "ref": by });
            data(&line.to_string());
            return Ok(Code::Ok);
        }
        let whose = self.account.map(|id| format!(" for account `{id}`")).unwrap_or_default();
        talk(&format!("gate `{}` is in mode {}{whose} (recorded as {by})", self.gate, mode.name()));
        Ok(Code::Ok)
    }
}
