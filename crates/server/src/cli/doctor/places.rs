//! The checks of where else the ledger is known: its second sink, and its witnesses. What they say against it is told
//! with them, and by the line of the ledger.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use countersign_core::ledger::witness::Answer;
use rustix::fs::{Access, access};

use super::line::Line;
use crate::boot::{Data, watchers};
use crate::cli::exit::Code;
use crate::config::Config;
use crate::doors::cosign::Watcher;
use crate::store::{self, Dispute, Known};

/// What was found, and the first thing that is said against the ledger.
#[derive(Default)]
pub(super) struct Places {
    pub(super) lines: Vec<Line>,
    pub(super) against: Option<String>,
}

/// Looks at the second sink and asks every witness.
pub(super) async fn look(config: &Config, open: Option<&Data>) -> Places {
    let mut places = Places::default();
    if let Some(file) = &config.second_sink {
        places.sink(file, &config.server.data_dir, open).await;
    }
    if let Some(data) = open
        && let Ok(Some(Dispute { origin, says })) = Dispute::in_dir(&data.dir)
    {
        places.against = places.against.or_else(|| Some(format!("log `{origin}`: {says}")));
    }
    match watchers(config) {
        Ok(watchers) => {
            for watcher in &watchers {
                places.witness(watcher, open).await;
            }
        }
        Err(error) => places.lines.push(Line::failed(WITNESS, Code::Configuration, error)),
    }
    places
}

impl Places {
    async fn sink(&mut self, file: &Path, data_dir: &Path, open: Option<&Data>) {
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let what = format!("`{}`", file.display());
        let Ok(metadata) = dir.metadata() else {
            let why = format!("{what}: its directory is not there");
            let remedy = "mount its volume: until then mail is answered with 451";
            return self.lines.push(Line::fail(SINK, Code::Configuration, why, remedy));
        };
        if let Err(error) = access(dir, Access::WRITE_OK | Access::EXEC_OK) {
            let why = format!("{what}: its directory cannot be written: {error}");
            let remedy = "let the account of the server write there";
            return self.lines.push(Line::fail(SINK, Code::Configuration, why, remedy));
        }
        let Some(data) = open else {
            return self.lines.push(Line::skipped(SINK, "there is no open store"));
        };
        let seen = match store::sight(&data.store, file).await {
            Err(error) => return self.lines.push(Line::failed(SINK, Code::Configuration, error)),
            Ok(None) => {
                let remedy = "the next start of the server makes it";
                return self.lines.push(Line::warn(SINK, format!("{what} is not there yet"), remedy));
            }
            Ok(Some(seen)) => seen,
        };
        let (leaves, stored) = (seen.leaves, seen.stored);
        if !seen.stands {
            let log = seen.origin.unwrap_or_default();
            let why = format!(
                "{what} ends with leaf {} of log `{log}`, and the store, which has {stored} of its leaves, does not have that one",
                leaves.saturating_sub(1)
            );
            self.against = Some(format!("the second sink {why}"));
            let remedy = "was the store set back, or is it the file of another server? The next start begins a new log, or says whose it is";
            return self.lines.push(Line::fail(SINK, Code::LedgerBroken, why, remedy));
        }
        self.lines.push(match stored.saturating_sub(leaves) {
            _ if data_dir.metadata().is_ok_and(|ours| ours.dev() == metadata.dev()) => Line::warn(
                SINK,
                format!("{what} has {leaves} of {stored} leaves, on the same volume as the data directory"),
                "put it on another volume: what takes one away takes both",
            ),
            0 => Line::ok(SINK, format!("{what} has all {leaves} leaves")),
            behind => Line::warn(
                SINK,
                format!("{what} is {behind} leaves behind the store"),
                "the next entry or start writes them; see what the log of the server says",
            ),
        });
    }

    async fn witness(&mut self, watcher: &Watcher, open: Option<&Data>) {
        let (url, name) = (&watcher.url, watcher.key.name());
        let Some(data) = open else {
            return self.lines.push(Line::skipped(WITNESS, format!("{url}: there is no open store")));
        };
        let asked = async {
            let log = Known::named(&data.store, None, &data.dir).await?;
            store::question(&data.store, &log).await
        };
        let asked = match asked.await {
            Ok(asked) => asked,
            Err(error) => return self.lines.push(Line::skipped(WITNESS, format!("{url}: {error}"))),
        };
        let size = asked.checkpoint.size;
        let posted = match watcher.destination.post(asked.to_string()).await {
            Ok(posted) => posted,
            Err(error) => {
                let remedy = "mail goes on; what it misses it cosigns when it is back";
                return self.lines.push(Line::warn(
                    WITNESS,
                    format!("{url} does not answer: {error}"),
                    remedy,
                ));
            }
        };
        let disputed = |says: String| {
            let remedy = "the next start begins a new log; see docs/how-to/witness.md";
            (Line::fail(WITNESS, Code::LedgerBroken, format!("{url}: {says}"), remedy), Some(says))
        };
        let (line, against) = match Answer::read(&asked, posted.status, &posted.body, &watcher.key) {
            Ok(Answer::Cosigned(_)) => {
                (Line::ok(WITNESS, format!("{url} (`{name}`) cosigns all {size} leaves")), None)
            }
            Ok(Answer::From(known)) => {
                let behind = size.saturating_sub(known);
                let what = format!("{url} (`{name}`) is {behind} leaves behind the last checkpoint");
                (Line::warn(WITNESS, what, "a server that runs shows it the rest; see /readyz"), None)
            }
            Ok(Answer::Ahead(known)) => disputed(format!(
                "witness `{name}` has cosigned {known} leaves of our log, and here are {size}"
            )),
            Ok(Answer::Forked) => disputed(format!("witness `{name}` knows another history of our log")),
            Ok(Answer::UnknownLog | Answer::Unsigned) => {
                let remedy = "tell its owner the key: `countersign ledger head --json` prints it";
                (
                    Line::warn(WITNESS, format!("{url} (`{name}`) does not know our log or its key"), remedy),
                    None,
                )
            }
            Err(error) => {
                let remedy = "is `key` the one that it prints when it starts?";
                (Line::warn(WITNESS, format!("{url}: {error}"), remedy), None)
            }
        };
        self.lines.push(line);
        self.against = self.against.take().or(against);
    }
}

const SINK: &str = "second sink";
const WITNESS: &str = "witness";
