//! The programs of Postgres where Debian or the search path has them, and as whom they run.
//! `Postgres` starts them.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{GUARDED, OWNER};

/// A folder with `initdb`, `postgres` and `psql`, and the user that Postgres wants where we are root.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    folder: PathBuf,
    user: Option<User>,
}

#[derive(Debug, Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Programs {
    /// The newest that is installed.
    pub(super) fn find() -> Option<Self> {
        let folder = debian()
            .into_iter()
            .chain(search_path())
            .find(|folder| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file()))?;
        match rustix::process::geteuid().is_root() {
            // `initdb cannot be run as root`
            true => Some(Self { folder, user: Some(user(OWNER)?) }),
            false => Some(Self { folder, user: None }),
        }
    }

    /// Gives a directory to the user.
    pub(super) fn give(&self, dir: &Path) -> io::Result<()> {
        match self.user {
            Some(user) => chown(dir, Some(user.uid), Some(user.gid)),
            None => Ok(()),
        }
    }

    /// A program as the user, in a group of its own: a signal of the terminal is not for it.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.current_dir("/").env_remove("PGDATA").process_group(0);
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Makes the files of a server. Text is sorted as people sort it, so that whoever forgets COLLATE notices.
    pub(super) fn init(&self, data: &Path) -> io::Result<()> {
        let mut command = self.command("initdb");
        command.args(["-A", "trust", "--no-sync", "-U", OWNER, "-E", "UTF8", "--locale=C"]);
        command.args(["--locale-provider=icu", "--icu-locale=en-US", "-D"]).arg(data);
        output(&mut command)?;
        // One role has to say a password; everybody else on this machine is trusted.
        let rules = data.join("pg_hba.conf");
        let trust = fs::read_to_string(&rules)?;
        fs::write(rules, format!("host all {GUARDED} 127.0.0.1/32 scram-sha-256\n{trust}"))
    }

    /// Runs statements.
    pub(super) fn psql(&self, socket: &Path, port: u16, database: &str, said: &str) -> io::Result<String> {
        let mut command = Command::new(self.folder.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", OWNER, "-p", &port.to_string()]);
        command.arg("-h").arg(socket).args(["-d", database, "-c", said]).env("PGCONNECT_TIMEOUT", "10");
        output(&mut command)
    }
}

fn output(command: &mut Command) -> io::Result<String> {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output()?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned()),
        false => Err(io::Error::other(String::from_utf8_lossy(&stderr).trim_end().to_owned())),
    }
}

fn debian() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin"))))
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, folder)| folder).collect()
}

fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// A line of the password file: `name:password:uid:gid:...`.
fn user(name: &str) -> Option<User> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        Some(User { uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}
