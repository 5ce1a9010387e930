//! The checks of the house itself: configuration, data directory, store, root key, ledger, clock, notices.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;

use super::line::Line;
use crate::accounts::Directory;
use crate::boot::{Data, DataError, House};
use crate::cli::exit::Code;
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::store::{self, Entry, ReadError, VerifyError};

/// The file, the environment, and every file that they name.
pub(super) fn configuration(loaded: &Loaded) -> Line {
    const CHECK: &str = "configuration";
    if let Err(error) = loaded.config.fit_to_serve() {
        let remedy = "`countersign config check` says what it would do";
        return Line::fail(CHECK, Code::Configuration, error, remedy);
    }
    if let Err(error) = House::rehearse(&loaded.config) {
        return Line::failed(CHECK, Code::Configuration, error);
    }
    let from = match &loaded.path {
        Some(path) => path.display().to_string(),
        None => "defaults: there is no file".to_owned(),
    };
    let mode = loaded.config.send.mode.name();
    match loaded.warnings.as_slice() {
        [] => Line::ok(CHECK, format!("{from}, mode {mode}")),
        warnings => Line::warn(CHECK, warnings.join("\n"), "see whether that is what you mean"),
    }
}

/// Who may look into the data directory, and into the files of keys.
pub(super) fn data_dir(config: &Config) -> Vec<Line> {
    let dir = &config.server.data_dir;
    let mut lines = vec![match mode(dir) {
        None => Line::fail(
            "data directory",
            Code::Configuration,
            format!("`{}` is not there", dir.display()),
            "`countersign init` makes it, or a first `countersign serve`",
        ),
        Some(mode) if mode & 0o077 != 0 => Line::warn(
            "data directory",
            format!("`{}` has mode {mode:03o}: others may look into it", dir.display()),
            format!("chmod 700 {}", dir.display()),
        ),
        Some(_) => Line::ok("data directory", format!("`{}`, for its owner only", dir.display())),
    }];
    for name in ["tls-key.pem", "control.sock"] {
        let path = dir.join(name);
        if let Some(mode) = mode(&path).filter(|mode| mode & 0o077 != 0) {
            let what = format!("`{}` has mode {mode:03o}: others may use it", path.display());
            lines.push(Line::warn("data directory", what, format!("chmod 600 {}", path.display())));
        }
    }
    lines
}

fn mode(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode() & 0o777)
}

/// Whether the store opens, in the version of this program.
pub(super) fn store(opened: &Result<Data, DataError>, config: &Config) -> Line {
    match opened {
        Ok(data) => Line::ok("store", format!("`{}` opens", data.store.name())),
        // What stands in the way of the key is told by the next line.
        Err(DataError::RootKey(_) | DataError::Seal(_)) => Line::skipped(
            "store",
            format!("in `{}`: not opened without its key", config.server.data_dir.display()),
        ),
        Err(error) => Line::failed("store", Code::Configuration, error),
    }
}

/// Whether the root key opens what is sealed.
pub(super) async fn root_key(opened: &Result<Data, DataError>) -> Line {
    const CHECK: &str = "root key";
    let remedy = "put back the key that was made with the store, for its owner only (mode 0600)";
    let data = match opened {
        Ok(data) => data,
        Err(error @ (DataError::RootKey(_) | DataError::Seal(_) | DataError::KeyMissing { .. })) => {
            return Line::fail(CHECK, Code::Configuration, error, remedy);
        }
        Err(_) => return Line::skipped(CHECK, "there is no open store"),
    };
    match data.keys.check().await {
        Ok(()) => Line::ok(CHECK, "opens the keys of the store"),
        Err(error) => Line::fail(CHECK, Code::Configuration, error, remedy),
    }
}

/// A short ledger as a whole; of a long one the last entries. What second sink or witness say `against` it counts first.
pub(super) async fn ledger(open: Option<&Data>, tail: u32, against: Option<String>) -> Line {
    const CHECK: &str = "ledger";
    let Some(data) = open else { return Line::skipped(CHECK, "there is no open store") };
    if let Some(says) = against {
        return Line::fail(CHECK, Code::LedgerBroken, says, BROKEN);
    }
    let entries = match store::recent(&data.store, &data.keys, tail.saturating_add(1)).await {
        Ok(entries) => entries,
        Err(error) => return unread(&error),
    };
    if entries.len() as u64 > u64::from(tail) {
        let what = format!("the last {tail} entries are as their leaves say (`ledger verify` looks at all)");
        return match follow(&entries) {
            true => Line::ok(CHECK, what),
            false => {
                Line::fail(CHECK, Code::LedgerBroken, "the last entries do not follow each other", BROKEN)
            }
        };
    }
    match store::verify(&data.store, Some(&data.keys), |_, _| {}).await {
        Ok(report) if report.leaves() == 0 => Line::ok(CHECK, "nothing is recorded yet"),
        Ok(report) => Line::ok(CHECK, format!("all {} leaves verify", report.leaves())),
        Err(VerifyError::Broken(broken)) => Line::fail(CHECK, Code::LedgerBroken, broken, BROKEN),
        Err(error) => Line::failed(CHECK, Code::Internal, error),
    }
}

fn unread(error: &ReadError) -> Line {
    let code = if matches!(error, ReadError::Damaged { .. }) { Code::LedgerBroken } else { Code::Internal };
    Line::fail("ledger", code, error, BROKEN)
}

/// Newest first, in each log without a gap and no time after a later one.
fn follow(entries: &[Entry]) -> bool {
    let mut later: BTreeMap<i64, &Entry> = BTreeMap::new();
    entries.iter().all(|entry| match later.insert(entry.log, entry) {
        Some(later) => later.index == entry.index + 1 && later.at >= entry.at,
        None => true,
    })
}

/// Whether the clock goes on from where the ledger ends, and whether somebody sets it.
pub(super) async fn clock(open: Option<&Data>, clock: &Clock) -> Line {
    const CHECK: &str = "clock";
    let now = clock.now();
    if let Some(data) = open
        && let Ok(entries) = store::recent(&data.store, &data.keys, 1).await
        && let Some(last) = entries.first().filter(|last| last.at > now)
        && last.at.duration_since(now) > SignedDuration::from_secs(2)
    {
        let what = format!("it is {now}, and the ledger ends at {}", last.at);
        return Line::fail(
            CHECK,
            Code::Configuration,
            what,
            "set the clock right: times in the ledger only rise",
        );
    }
    match synchronised().await {
        Some(true) => Line::ok(CHECK, format!("{now}, synchronised")),
        Some(false) => Line::warn(
            CHECK,
            format!("{now}, not synchronised"),
            "run an NTP client: `timedatectl set-ntp true`",
        ),
        None => Line::ok(CHECK, format!("{now}; whether it is synchronised cannot be told here")),
    }
}

async fn synchronised() -> Option<bool> {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Some(true);
    }
    let mut command = tokio::process::Command::new("timedatectl");
    command.args(["show", "--property=NTPSynchronized", "--value"]).kill_on_drop(true);
    let asked = tokio::time::timeout(Duration::from_secs(3), command.output()).await;
    match asked.ok()?.ok()?.stdout.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

/// Whether our own mail can leave.
pub(super) async fn notices(config: &Config, open: Option<&Data>) -> Line {
    const CHECK: &str = "notices";
    let remedy = "see docs/how-to/notices.md; until then they wait";
    let (Some(id), Some(from)) = (&config.server.notice_account, &config.server.notice_from) else {
        return Line::warn(
            CHECK,
            "`[server] notice_account` and `notice_from` are not set: owners are told nothing",
            remedy,
        );
    };
    let Some(data) = open else { return Line::skipped(CHECK, "there is no open store") };
    let account = match Directory::of_store(data.store.clone()).account(id).await {
        Ok(account) => account,
        Err(error) => return Line::warn(CHECK, format!("`notice_account`: {error}"), remedy),
    };
    let obstacle = match () {
        () if account.block_on("", &[from.domain()]).is_some() => {
            "is blocked, or the domain of `notice_from` is"
        }
        () if !account.networks.is_empty() => "has `networks`, and its mail comes from none",
        () if !account.has_proved(from.domain()) => "has not proved the domain of `notice_from`",
        () => return Line::ok(CHECK, format!("leave as {from}, account `{id}`")),
    };
    Line::warn(CHECK, format!("the notice account `{id}` {obstacle}"), remedy)
}

const BROKEN: &str =
    "`countersign ledger verify` names the first leaf; keep the store as it is, and restore a copy elsewhere";

#[cfg(test)]
mod tests {
    use countersign_core::ids::{AccountId, Ref};
    use countersign_core::ledger::Kind;
    use jiff::Timestamp;

    use super::*;
    use crate::store::Payload;

    fn entry(log: i64, index: u64, second: i64) -> Entry {
        Entry {
            account: AccountId::parse("acme").unwrap(),
            reference: Ref::from_random(7),
            kind: Kind::Ruling,
            log,
            index,
            at: Timestamp::from_second(second).unwrap(),
            payload: Payload::Erased,
        }
    }

    #[test]
    fn a_gap_and_a_time_that_falls_are_seen_in_each_log() {
        assert!(follow(&[entry(0, 9, 30), entry(1, 5, 25), entry(0, 8, 20), entry(1, 4, 25)]));
        assert!(!follow(&[entry(0, 9, 30), entry(1, 5, 25), entry(0, 7, 20)]));
        assert!(!follow(&[entry(0, 9, 30), entry(0, 8, 31)]));
    }
}
