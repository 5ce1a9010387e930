//! `policy whatif --since 7d DIR`: what draft policies would have decided about what was recorded.
//! The ledger is read in pieces; of what changed only the first lines are kept.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_core::policy::{HoldAs, Rules};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::replayed::{Change, Replayed, Tally, replay};
use super::rules_of;
use crate::boot::Data;
use crate::cli::config::load;
use crate::cli::exit::{Code, Failure, data, talk};
use crate::clock::Clock;
use crate::store::{self, Entry};

/// Replay what was ruled against draft policies, and show what would be decided otherwise
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each ruling is replayed on the facts that were recorded with it; nothing is asked anew. Where a \
                        draft lets pass what was refused before DNS was asked, nobody knows what DNS would have said: \
                        that is `unsettled`."
)]
pub(in crate::cli) struct WhatIf {
    /// The directory with the draft's *.cedar files, or `built-in`
    dir: PathBuf,
    /// From when on: a time (RFC 3339), or how long ago, as in 90m, 12h, 7d, 2w
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = Since::parse)]
    since: Since,
    /// The most changed rulings that are listed (with --json: all of them)
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// One JSON line a changed ruling, and one at the end
    #[arg(long)]
    json: bool,
}

impl WhatIf {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let config = load(file)?.config;
        let rules = Arc::new(rules_of(&self.dir)?);
        let hold = HoldAs(config.send.hold);
        let clock = Clock::system();
        let now = clock.now();
        let since = self.since.at(now)?;
        let read = Data::read(&config, &clock).await?;
        let bar = progress(since, now);
        let mut tally = Tally::default();
        let mut listed = Vec::new();
        for start in store::starts(&read.store, since).await.map_err(Failure::internal)? {
            let mut next = Some(start);
            while let Some(start) = next {
                let piece = store::onward(&read.store, &read.keys, start, PIECE).await;
                let (entries, more) = piece.map_err(Failure::internal)?;
                next = more;
                bar.set_position(entries.last().map_or(0, |last| seconds(since, last.at)));
                for replayed in judge(entries, since, &rules, hold).await? {
                    tally.add(&replayed);
                    match replayed {
                        Replayed::Changed(change) if self.json => {
                            bar.suspend(|| data(&change.line().to_string()));
                        }
                        Replayed::Changed(change) if listed.len() < self.limit => listed.push(*change),
                        _ => {}
                    }
                }
            }
        }
        bar.finish_and_clear();
        match self.json {
            true => data(&self.last_line(since, &tally, &rules).to_string()),
            false => self.tell(since, &tally, &listed),
        }
        Ok(Code::Ok)
    }

    fn last_line(&self, since: Timestamp, tally: &Tally, rules: &Rules) -> serde_json::Value {
        let mut line = tally.line();
        if let Some(line) = line.as_object_mut() {
            line.insert("since".to_owned(), json!(since));
            line.insert("policy_digest".to_owned(), json!(rules.digest()));
        }
        line
    }

    fn tell(&self, since: Timestamp, tally: &Tally, listed: &[Change]) {
        if tally.is_empty() {
            talk(&format!("nothing was ruled since {since}"));
            return;
        }
        data(&format!("since {since}, with `{}`:", self.dir.display()));
        data(&tally.table().to_string());
        tally.remarks().iter().for_each(|remark| data(remark));
        listed.iter().for_each(|change| data(&change.sentence()));
        let rest = tally.changed().saturating_sub(listed.len());
        if rest > 0 {
            talk(&format!("and {rest} more: --limit {} shows them, --json all", tally.changed()));
        }
    }
}

/// Replays entries on a thread that may be busy.
async fn judge(
    entries: Vec<Entry>,
    since: Timestamp,
    rules: &Arc<Rules>,
    hold: HoldAs,
) -> Result<Vec<Replayed>, Failure> {
    let rules = Arc::clone(rules);
    let work = move || {
        let late = entries.iter().filter(|entry| entry.at >= since);
        late.filter_map(|entry| replay(entry, &rules, hold)).collect()
    };
    tokio::task::spawn_blocking(work).await.map_err(Failure::internal)
}

/// A bar on stderr, if that is a terminal. It goes by time: how many entries there are is not asked.
fn progress(since: Timestamp, now: Timestamp) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(seconds(since, now));
    match ProgressStyle::with_template("{bar:40} {percent} % of the time replayed, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    At(Timestamp),
    Ago(Duration),
}

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let wrong = || format!("`{text}` is no time: write 90m, 12h, 7d, 2w or 2026-11-24T06:00:00Z");
        let unit = text.char_indices().next_back().ok_or_else(wrong)?;
        let seconds: u64 = match unit.1 {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        let number = text.get(..unit.0).and_then(|digits| digits.parse::<u32>().ok()).ok_or_else(wrong)?;
        Ok(Self::Ago(Duration::from_secs(u64::from(number).saturating_mul(seconds))))
    }

    fn at(self, now: Timestamp) -> Result<Timestamp, Failure> {
        match self {
            Self::At(at) => Ok(at),
            Self::Ago(ago) => {
                let ago = SignedDuration::try_from(ago).map_err(Failure::usage)?;
                now.checked_sub(ago).map_err(|_| Failure::usage("that is before the first day: say less"))
            }
        }
    }
}

/// Entries that are read at once.
const PIECE: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_or_how_long_ago() {
        let now: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
        for (text, at) in [
            ("7d", "2026-11-17T06:00:00Z"),
            ("90m", "2026-11-24T04:30:00Z"),
            ("0s", "2026-11-24T06:00:00Z"),
            ("2w", "2026-11-10T06:00:00Z"),
            ("2026-01-01T00:00:00+02:00", "2025-12-31T22:00:00Z"),
        ] {
            assert_eq!(Since::parse(text).unwrap().at(now).unwrap(), at.parse().unwrap(), "{text}");
        }
        for wrong in ["", "7", "d", "7y", "-7d", "7.5d", "soon", "7\u{e4}"] {
            assert!(Since::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Since::parse("4000000000w").unwrap().at(now).is_err());
    }
}
