//! `check spf D --ip IP`: evaluates SPF and says mechanism, lookups and voids, as one JSON line.

use std::net::IpAddr;
use std::path::Path;

use countersign_core::spf::{Answers, Identity, Outcome, Step, check_host};
use serde_json::json;

use super::config::load;
use super::exit::{Code, Failure, data, talk};
use crate::boot::resolver;
use crate::clock::Clock;
use crate::probes::spf::resolve;

/// Evaluate SPF (RFC 7208) for a domain and an address
#[derive(Debug, clap::Args)]
pub(super) struct CheckSpf {
    /// The domain
    domain: String,
    /// The address that sends
    #[arg(long)]
    ip: IpAddr,
    /// The reverse path [default: postmaster@DOMAIN]
    #[arg(long, value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// The name given in HELO [default: DOMAIN]
    #[arg(long, value_name = "NAME")]
    helo: Option<String>,
    /// Nothing but the JSON line; without it the steps are told on stderr
    #[arg(long)]
    json: bool,
}

impl CheckSpf {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let config = load(file)?.config;
        let resolver = resolver(&config).map_err(|error| Failure::new(Code::Configuration, error))?;
        let helo = self.helo.clone().unwrap_or_else(|| self.domain.clone());
        let mail_from = self.mail_from.clone().unwrap_or_else(|| format!("postmaster@{}", self.domain));
        let identity = Identity {
            helo: &helo,
            mail_from: &mail_from,
            receiver: &config.server.hostname,
            now: Clock::system().now().as_second(),
        };
        let mut answers = Answers::new();
        let outcome = loop {
            match check_host(self.ip, &identity, &answers) {
                Step::Done(outcome) => break outcome,
                Step::Ask(queries) => resolve(&resolver, queries, &mut answers).await,
            }
        };
        if !self.json {
            tell(&outcome);
        }
        data(&as_json(&outcome).to_string());
        Ok(Code::Ok)
    }
}

fn as_json(outcome: &Outcome) -> serde_json::Value {
    json!({
        "v": 1,
        "result": outcome.result.as_str(),
        "mechanism": outcome.mechanism,
        "lookups": outcome.lookups,
        "void": outcome.voids,
        "explanation": outcome.explanation,
        "why": outcome.why,
        "authorises_everyone": outcome.authorises_everyone,
    })
}

/// The steps, and the result in a sentence.
fn tell(outcome: &Outcome) {
    outcome.trace.iter().for_each(|step| talk(&format!("  {step}")));
    let by = outcome.mechanism.as_deref().map(|m| format!(" by {m}")).unwrap_or_default();
    let why = outcome.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let (result, lookups, voids) = (outcome.result.as_str(), outcome.lookups, outcome.voids);
    talk(&format!("{result}{by}{why} ({lookups} of 10 lookups, {voids} of 2 void)"));
}
