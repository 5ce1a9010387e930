//! `apply`: loads accounts from a file, through the server when one runs, else into the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hyper::Method;
use serde_json::json;

use super::client::{NoAnswer, ask};
use super::config::load;
use super::exit::{Code, Failure, data, talk};
use super::log::start_log;
use super::time::clock_goes_on;
use crate::accounts::file::AccountsFile;
use crate::boot::House;
use crate::clock::Clock;
use crate::config::{Config, read_secret};
use crate::doors::control;

/// Load accounts from a file
#[derive(Debug, clap::Args)]
pub(super) struct Apply {
    /// The accounts file
    file: PathBuf,
    /// Accept `proved = true` in the file as proof
    #[arg(long)]
    trust_proof: bool,
    /// Delete accounts, domains, logins and staff that the file does not name
    #[arg(long)]
    prune: bool,
    /// Without a server: go on though the ledger has later entries than the clock says
    #[arg(long)]
    clock_is_right: bool,
    /// One JSON line
    #[arg(long)]
    json: bool,
}

impl Apply {
    pub(super) async fn run(self, config: Option<&Path>) -> Result<Code, Failure> {
        let wrong = |error: &dyn std::fmt::Display| Failure::new(Code::Configuration, error);
        let text = std::fs::read_to_string(&self.file)
            .map_err(|e| wrong(&format!("accounts file `{}` cannot be read: {e}", self.file.display())))?;
        let file = AccountsFile::parse(&text, &self.file, self.trust_proof).map_err(|e| wrong(&e))?;
        file.warnings.iter().for_each(|warning| talk(&format!("countersign: {warning}")));
        let mut secrets = BTreeMap::new();
        for credential in file.accounts.iter().flat_map(|account| &account.credentials) {
            if let Some(path) = &credential.secret_file {
                let secret = read_secret(path).map_err(|e| wrong(&e))?;
                secrets.insert(credential.login.clone(), secret.to_string());
            }
        }
        let mut staff_secrets = BTreeMap::new();
        for staff in &file.staff {
            if let Some(path) = &staff.api_secret_file {
                let secret = read_secret(path).map_err(|e| wrong(&e))?;
                staff_secrets.insert(staff.email.to_string(), secret.to_string());
            }
        }
        let name = self.file.display().to_string();
        let (trust_proof, prune) = (self.trust_proof, self.prune);
        let request = control::Apply { file: name, text, secrets, staff_secrets, trust_proof, prune };
        let loaded = load(config)?;
        let body = serde_json::to_value(&request).map_err(Failure::internal)?;
        let dir = loaded.config.server.data_dir.clone();
        match ask(&dir, Method::POST, "/v1/apply", Some(&body)).await {
            Ok(_) => {}
            Err(NoAnswer::NoServer) => self.apply_alone(loaded.config, request).await?,
            Err(problem) => return Err(problem.into()),
        }
        if self.json {
            let ids: Vec<&str> = file.accounts.iter().map(|account| account.id.as_str()).collect();
            data(&json!({ "v": 1, "applied": ids }).to_string());
            return Ok(Code::Ok);
        }
        let count = file.accounts.len();
        talk(&format!("applied {count} account{}", if count == 1 { "" } else { "s" }));
        for account in &file.accounts {
            data(account.id.as_str());
        }
        Ok(Code::Ok)
    }

    /// No server runs: this process is the house for a moment, without doors.
    async fn apply_alone(&self, config: Config, request: control::Apply) -> Result<(), Failure> {
        start_log(false, "warn");
        if !self.clock_is_right {
            clock_goes_on(&config, Clock::system().now()).await?;
        }
        let house = House::build(config, Clock::system()).await?;
        let applied = house.control().apply_here(request).await;
        house.close().await;
        applied.map_err(|problem| Failure::new(Code::Configuration, problem))
    }
}
