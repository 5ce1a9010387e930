//! `store copy`: moves an installation from SQLite to Postgres, or back.
//! No server may run on either side; afterwards `[store] url` names the new one.

use std::cell::RefCell;
use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::config::load;
use super::exit::{Code, Failure, data, talk};
use crate::boot::hold;
use crate::config::StoreUrl;
use crate::store::copy::{CopyError, Progress, copy};
use crate::store::{Store, VerifyError};

/// The store
#[derive(Debug, Subcommand)]
pub(super) enum StoreVerb {
    /// Copy everything into another database that has no rows, and verify the ledger there
    Copy(CopyStore),
}

#[derive(Debug, clap::Args)]
pub(super) struct CopyStore {
    /// Where everything is: `sqlite:PATH` or `postgres://...`
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where it is to go: `sqlite:PATH` or `postgres://...`
    #[arg(long, value_name = "URL")]
    to: String,
    /// One JSON line
    #[arg(long)]
    json: bool,
}

impl StoreVerb {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        match self {
            Self::Copy(copy) => copy.run(file).await,
        }
    }
}

impl CopyStore {
    async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let dir = load(file)?.config.server.data_dir;
        let url = |option: &str, text: &str| {
            let wrong = |why| Failure::usage(format!("`{option}` is `{}`: {why}", without_password(text)));
            StoreUrl::parse(text, &dir).map_err(wrong)
        };
        let (from, to) = (url("--from", &self.from)?, url("--to", &self.to)?);
        if from == to {
            return Err(CopyError::Itself(name(&from)).into());
        }
        let _ours = held(&[&from, &to])?;
        let source = Store::read_at(&from).await.map_err(CopyError::Store)?;
        let bar = RefCell::new(("", ProgressBar::hidden()));
        let copied = copy(&source, &to, Progress(&|what, done, total| tell(&bar, what, done, total))).await;
        bar.into_inner().1.finish_and_clear();
        source.close().await;
        let copied = copied?;
        let (tables, rows, leaves) = (copied.tables, copied.rows, copied.ledger.leaves());
        data(&match self.json {
            true => json!({ "v": 1, "rows": rows, "tables": tables, "leaves": leaves }).to_string(),
            false => format!(
                "copied {rows} rows of {tables} tables; the ledger is the same on both and verified: {leaves} leaves"
            ),
        });
        talk(&format!(
            "set `url` in [store] to the new address and keep the root key; `{}` is as it was",
            name(&from)
        ));
        Ok(Code::Ok)
    }
}

/// Keeps servers away from files; those of a database are seen by their connections.
fn held(urls: &[&StoreUrl]) -> Result<Vec<File>, Failure> {
    let mut dirs: Vec<PathBuf> = urls.iter().filter_map(|url| directory(url)).collect();
    dirs.sort();
    dirs.dedup();
    dirs.iter().map(|dir| Ok(hold(dir)?)).collect()
}

/// Where a file is, when that is there.
fn directory(url: &StoreUrl) -> Option<PathBuf> {
    match url {
        StoreUrl::Sqlite(path) if path.parent() == Some(Path::new("")) => Path::new(".").canonicalize().ok(),
        StoreUrl::Sqlite(path) => path.parent()?.canonicalize().ok(),
        StoreUrl::Postgres(_) => None,
    }
}

fn name(url: &StoreUrl) -> String {
    match url {
        StoreUrl::Sqlite(path) => path.display().to_string(),
        StoreUrl::Postgres(url) => url.to_string(),
    }
}

/// What is no address may still have a password in it.
fn without_password(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => text.to_owned(),
    }
}

/// A bar on stderr for each step, on a terminal only.
fn tell(bar: &RefCell<(&'static str, ProgressBar)>, what: &'static str, done: u64, total: u64) {
    let mut bar = bar.borrow_mut();
    if bar.0 != what {
        bar.1.finish_and_clear();
        *bar = (what, new_bar(what));
    }
    bar.1.set_length(total);
    bar.1.set_position(done);
}

fn new_bar(what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {eta}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        let code = match &error {
            CopyError::Verify { error: VerifyError::Broken(_), .. } => Code::LedgerBroken,
            CopyError::Itself(_) => Code::Usage,
            CopyError::InUse { .. } | CopyError::NotEmpty { .. } | CopyError::Unlike(_) => {
                Code::Configuration
            }
            CopyError::Store(_) => Code::Configuration,
            CopyError::Verify { .. } | CopyError::Differs(_) | CopyError::Left { .. } => Code::Internal,
        };
        Self::new(code, error)
    }
}
