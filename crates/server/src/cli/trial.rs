//! `try`: plays made-up customers against the real doors, shows a table, verifies the ledger.

use std::path::PathBuf;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use serde_json::json;

use super::exit::{Code, Failure, data, talk, versioned};
use crate::sandbox::cast::{Scene, scenes};
use crate::sandbox::stage::{Played, Stage, line};

/// Show what it does: made-up customers, real SMTP, on loopback only
#[derive(Debug, clap::Args)]
pub(super) struct Try {
    /// End after the table; exit 0 when every verdict is the expected one
    #[arg(long)]
    once: bool,
    /// JSON lines instead of a table
    #[arg(long)]
    json: bool,
    /// Where it writes
    #[arg(long, default_value = "countersign-try")]
    dir: PathBuf,
    /// The first port to try
    #[arg(long, default_value_t = 2525)]
    base_port: u16,
}

impl Try {
    pub(super) async fn run(self) -> Result<Code, Failure> {
        let stage = Stage::set(&self.dir, self.base_port).await;
        let stage = stage.map_err(|error| Failure::new(Code::Configuration, error))?;
        if self.json {
            data(&serde_json::to_string(&stage.running.ready).map_err(Failure::internal)?);
        }
        let (mut ok, mut rows) = (true, Vec::new());
        for scene in scenes() {
            let played = stage.play(&scene).await.map_err(Failure::internal)?;
            ok &= played.as_expected;
            if self.json {
                data(&versioned(line(&scene, &played)).to_string());
            }
            rows.push((scene, played));
        }
        let report = stage.verify().await;
        ok &= report.is_ok();
        self.tell(&stage, &rows, ok, report.map(|r| r.leaves()).map_err(|e| e.to_string()));
        if !self.once {
            talk("\nit goes on running: send it mail of your own, or press Ctrl-C");
            let _pressed = tokio::signal::ctrl_c().await;
        }
        stage.close().await;
        Ok(if ok { Code::Ok } else { Code::Internal })
    }

    fn tell(&self, stage: &Stage, rows: &[(Scene, Played)], ok: bool, leaves: Result<u64, String>) {
        if self.json {
            let verified = leaves.is_ok();
            let ledger = json!({ "leaves": leaves.unwrap_or_default(), "verified": verified });
            return data(&json!({ "v": 1, "done": true, "ok": ok, "ledger": ledger }).to_string());
        }
        data(&table(rows).to_string());
        match leaves {
            Ok(leaves) => data(&format!("\nledger verified: {leaves} leaves")),
            Err(error) => data(&format!("\nledger: {error}")),
        }
        let door = stage.running.ready.listeners.get("send.0").map(ToString::to_string).unwrap_or_default();
        let config = stage.dir.join("countersign.toml");
        // With `--once` it is closed by the time that somebody reads this.
        if !self.once {
            data(&format!("submission at {door}: log in as bakery, password bakery-secret"));
        }
        if let Some((_, held)) =
            rows.iter().find(|(_, played)| played.reasons.iter().any(|r| r == "spf-lost"))
        {
            let reference = held.reference.map(|r| r.to_string()).unwrap_or_default();
            data(&format!("next:  countersign explain {reference} --config {}", config.display()));
            data(&format!("       countersign held ls --config {}", config.display()));
        }
        if !ok {
            talk("countersign: not every verdict is the expected one");
        }
    }
}

fn table(rows: &[(Scene, Played)]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if std::env::var_os("COLUMNS").is_none() {
        table.set_width(140);
    }
    table.set_header(["", "decision", "account", "what", "why", "ref"]);
    for (scene, played) in rows {
        let mark = if played.as_expected { "ok" } else { "UNEXPECTED" };
        let why = if played.sentence.is_empty() { played.smtp.clone() } else { played.sentence.clone() };
        let reference = played.reference.map(|r| r.to_string()).unwrap_or_default();
        let how = if played.smtp.starts_with('2') && played.decision != "allow" { " (250)" } else { "" };
        table.add_row([
            mark,
            &format!("{}{how}", played.decision),
            scene.account,
            scene.name,
            &why,
            &reference,
        ]);
    }
    table
}
