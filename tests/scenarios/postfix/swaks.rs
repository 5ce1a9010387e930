//! swaks: sends one letter as it is, signed in, and says what it heard.
//! The scenarios of Postfix use it in the place of a customer's program.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::process::Command;

use crate::client::{Reply, password, stuffed};
use crate::world::within;

use super::mta::missing;

/// Whether it can be used; if not, that has been said.
pub(super) fn is_here() -> bool {
    let found = std::process::Command::new("swaks").arg("--version").stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success()) || missing("swaks is not installed")
}

/// Sends a letter, by TLS where swaks can: the reply that decides it.
pub(super) async fn send(
    door: SocketAddr,
    login: &str,
    mail_from: &str,
    recipient: &str,
    message: &[u8],
) -> Reply {
    let data = tempfile::NamedTempFile::new().unwrap();
    let stuffed = stuffed(message);
    // Told to leave the data alone, swaks adds the last line end and nothing else.
    std::fs::write(data.path(), stuffed.strip_suffix(b"\r\n").unwrap()).unwrap();
    let mut command = Command::new("swaks");
    command.args(["--server", &door.to_string(), "--tls-optional", "--helo", "client.example"]);
    command.args(["--auth", "PLAIN", "--auth-user", login, "--auth-password", &password(login)]);
    command.args(["--from", mail_from, "--to", recipient, "--no-data-fixup", "--data"]);
    command.arg(format!("@{}", data.path().display())).stdin(Stdio::null()).kill_on_drop(true);
    let output = within(60, "the end of swaks", command.output()).await.unwrap();
    let transcript = String::from_utf8_lossy(&output.stdout);
    last_reply(&transcript).unwrap_or_else(|| panic!("no reply in what swaks says:\n{transcript}"))
}

/// The reply before the one to QUIT. Lines that swaks heard begin with `<-`, `<~` (TLS) or `<**` (a no).
fn last_reply(transcript: &str) -> Option<Reply> {
    let (before_quit, _) = transcript.rsplit_once("> QUIT")?;
    let (mut reply, mut lines) = (None, Vec::new());
    for line in before_quit.lines().filter(|line| line.starts_with('<')) {
        let heard = line.trim_start_matches(['<', '-', '~', '*', ' ']);
        let (code, rest) = heard.split_at_checked(3)?;
        lines.push(rest.get(1..).unwrap_or_default().to_owned());
        if !rest.starts_with('-') {
            reply = Some(Reply { code: code.parse().ok()?, lines: std::mem::take(&mut lines) });
        }
    }
    reply
}
