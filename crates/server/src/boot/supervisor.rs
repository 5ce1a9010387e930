//! The supervisor: systemd, or whoever else has set `NOTIFY_SOCKET`, hears what we are about (sd_notify(3)).
//! `serve` tells it.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::clock;

/// Where to tell it; nowhere when nobody asked.
#[derive(Debug)]
pub struct Supervisor(Option<OsString>);

impl Supervisor {
    /// The one that has started this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self(std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()))
    }

    /// The doors are open, or a reload is done.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is read again, or another program comes up in this process; `ready` follows.
    pub fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::monotonic_microseconds()));
    }

    /// The doors close.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        if let Some(Err(error)) = self.0.as_ref().map(|path| send(path.as_bytes(), state.as_bytes())) {
            tracing::warn!(%error, "the supervisor at NOTIFY_SOCKET cannot be told");
        }
    }
}

fn send(path: &[u8], state: &[u8]) -> io::Result<()> {
    let address = match path.split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut octets = [0; 200];
        let length = socket.recv(&mut octets).unwrap();
        String::from_utf8(octets[..length].to_vec()).unwrap()
    }

    #[test]
    fn the_supervisor_hears_at_a_path_or_a_name_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("countersign-test-{}", std::process::id());
        let named = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, told) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&named).unwrap(), format!("@{name}").into()),
        ] {
            let supervisor = Supervisor(Some(told));
            supervisor.ready();
            assert_eq!(heard(&socket), "READY=1");
            supervisor.reloading();
            let (first, second) = (heard(&socket), "RELOADING=1\nMONOTONIC_USEC=");
            assert!(first.strip_prefix(second).unwrap().parse::<u64>().unwrap() > 0, "{first}");
            supervisor.stopping();
            assert_eq!(heard(&socket), "STOPPING=1");
        }
        Supervisor(None).ready();
    }
}
