//! The listening sockets, by the name of their door: handed over by a supervisor or by the program that ran
//! before in this process, or bound now. `doors` opens them; `program` hands them on.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use listenfd::ListenFd;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::house::BootError;

/// Sockets that somebody has bound for us, and copies of those that are in use.
#[derive(Debug, Default)]
pub struct Sockets {
    given: Vec<(String, Socket)>,
    open: Vec<(String, Socket)>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Sockets as another program finds them: open, side by side, and named.
pub(super) struct Passed {
    pub(super) first: RawFd,
    pub(super) names: Vec<String>,
    _copies: Vec<OwnedFd>,
}

impl Sockets {
    /// Those that this process was started with (`LISTEN_FDS`, as systemd and our predecessor say it). Asked
    /// once and before anything else: it takes the variables away.
    #[must_use]
    pub fn handed_over() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let (mut names, mut fds) = (names.split(':'), ListenFd::from_env());
        let mut given = Vec::new();
        for place in 0..fds.len() {
            let name = names.next().unwrap_or_default().to_owned();
            match taken(&mut fds, place) {
                Ok(Some(socket)) => given.push((name, socket)),
                Ok(None) => {}
                Err(error) => tracing::warn!(name, %error, "what was handed over is no listening socket"),
            }
        }
        Self { given, open: vec![] }
    }

    /// Whether somebody has handed any over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.given.is_empty() && self.open.is_empty()
    }

    /// The socket of a TCP door: one that was handed over under its name or for its address, or bound now.
    pub(super) async fn tcp(
        &mut self,
        name: &str,
        address: SocketAddr,
    ) -> Result<tokio::net::TcpListener, BootError> {
        let failed = |cause| BootError::Bind { what: name.to_owned(), address: address.to_string(), cause };
        let listener = match self.given_for(name, address) {
            Some(listener) => listener,
            None => {
                tokio::net::TcpListener::bind(address).await.and_then(|l| l.into_std()).map_err(failed)?
            }
        };
        listener.set_nonblocking(true).map_err(failed)?;
        self.open.push((name.to_owned(), Socket::Tcp(listener.try_clone().map_err(failed)?)));
        tokio::net::TcpListener::from_std(listener).map_err(failed)
    }

    /// The socket of a door at a path, for its owner alone. A dead one is replaced: the lock of the directory
    /// says that no other server lives.
    pub(super) fn unix(&mut self, name: &str, path: &Path) -> Result<tokio::net::UnixListener, BootError> {
        let shown = || path.display().to_string();
        let failed = |cause| BootError::Bind { what: name.to_owned(), address: shown(), cause };
        let listener = match self.given_at(path).filter(|_| path.exists()) {
            Some(listener) => listener,
            None => bound_at(path).map_err(failed)?,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        self.open.push((name.to_owned(), Socket::Unix(listener.try_clone().map_err(failed)?)));
        tokio::net::UnixListener::from_std(listener).map_err(failed)
    }

    /// Binds what others will ask for and is not open yet, so that they find it: all of it or nothing.
    pub(super) fn prepare(&mut self, wanted: &[(String, SocketAddr)]) -> Result<(), BootError> {
        let mut free: Vec<(&str, &Socket)> = named(&self.open).collect();
        let mut bound = Vec::new();
        for (name, address) in wanted {
            if let Some(place) = place_for(free.iter().copied(), name, *address) {
                free.remove(place);
                continue;
            }
            let failed = |cause| BootError::Bind { what: name.clone(), address: address.to_string(), cause };
            bound.push((name.clone(), Socket::Tcp(TcpListener::bind(address).map_err(failed)?)));
        }
        self.open.append(&mut bound);
        Ok(())
    }

    /// All doors are open: what nobody asked for is closed.
    pub(super) fn settle(&mut self) {
        for (name, socket) in self.given.drain(..) {
            let at = socket.place();
            tracing::warn!(
                name,
                at,
                "a socket was handed over for which no door is configured: it is closed"
            );
        }
    }

    /// The same sockets for the next who opens doors in this process.
    pub(super) fn again(self) -> Self {
        Self { given: self.given.into_iter().chain(self.open).collect(), open: vec![] }
    }

    /// Copies of all of them that survive an exec.
    pub(super) fn pass_on(&self) -> io::Result<Passed> {
        let sockets: Vec<&(String, Socket)> = self.given.iter().chain(&self.open).collect();
        let mut first = FIRST;
        for _ in 0..MOST_TRIES {
            let copies = sockets.iter().zip(first..).map(|((_, socket), at)| fcntl_dupfd_cloexec(socket, at));
            let copies: Vec<OwnedFd> = copies.collect::<Result<_, _>>()?;
            let in_place = copies.iter().zip(first..).all(|(copy, at)| copy.as_raw_fd() == at);
            if in_place {
                copies.iter().try_for_each(|copy| fcntl_setfd(copy, FdFlags::empty()))?;
                let names = sockets.iter().map(|(name, _)| name.clone()).collect();
                return Ok(Passed { first, names, _copies: copies });
            }
            // Somebody has one of these numbers: look behind it.
            first = copies.last().map_or(first, AsRawFd::as_raw_fd).saturating_add(1);
        }
        Err(io::Error::other("no numbers side by side are free for the sockets"))
    }

    fn given_for(&mut self, name: &str, address: SocketAddr) -> Option<TcpListener> {
        let place = place_for(named(&self.given), name, address)?;
        match self.given.remove(place).1 {
            Socket::Tcp(listener) => Some(listener),
            Socket::Unix(_) => None,
        }
    }

    fn given_at(&mut self, path: &Path) -> Option<UnixListener> {
        let is_there = |socket: &Socket| match socket {
            Socket::Unix(listener) => listener.local_addr().is_ok_and(|at| at.as_pathname() == Some(path)),
            Socket::Tcp(_) => false,
        };
        let place = self.given.iter().position(|(_, socket)| is_there(socket))?;
        match self.given.remove(place).1 {
            Socket::Unix(listener) => Some(listener),
            Socket::Tcp(_) => None,
        }
    }
}

fn named(sockets: &[(String, Socket)]) -> impl Iterator<Item = (&str, &Socket)> + Clone {
    sockets.iter().map(|(name, socket)| (name.as_str(), socket))
}

/// Which of these sockets a TCP door takes: that of its name, whatever its port if any will do, else one at its address.
fn place_for<'s>(
    mut sockets: impl Iterator<Item = (&'s str, &'s Socket)> + Clone,
    name: &str,
    address: SocketAddr,
) -> Option<usize> {
    let fits = |socket: &Socket, port: u16| match socket {
        Socket::Tcp(listener) => listener
            .local_addr()
            .is_ok_and(|local| local.ip() == address.ip() && (local.port() == address.port() || port == 0)),
        Socket::Unix(_) => false,
    };
    let by_name = sockets.clone().position(|(given, s)| given == name && fits(s, address.port()));
    // systemd gives all sockets of one unit the same name.
    by_name.or_else(|| sockets.position(|(_, socket)| fits(socket, 1)))
}

fn taken(fds: &mut ListenFd, place: usize) -> io::Result<Option<Socket>> {
    match fds.take_tcp_listener(place) {
        Ok(listener) => Ok(listener.map(Socket::Tcp)),
        Err(_) => Ok(fds.take_unix_listener(place)?.map(Socket::Unix)),
    }
}

fn bound_at(path: &Path) -> io::Result<UnixListener> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl Socket {
    fn place(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(|at| at.to_string()).unwrap_or_default(),
            Self::Unix(listener) => listener.local_addr().map(|at| format!("{at:?}")).unwrap_or_default(),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

/// Behind stdin, stdout and stderr, as systemd has it.
const FIRST: RawFd = 3;
const MOST_TRIES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn given(names: &[&str]) -> (Sockets, Vec<SocketAddr>) {
        let listeners: Vec<_> = names.iter().map(|_| TcpListener::bind(local(0)).unwrap()).collect();
        let places = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let given = names.iter().map(|name| (*name).to_owned()).zip(listeners.into_iter().map(Socket::Tcp));
        (Sockets { given: given.collect(), open: vec![] }, places)
    }

    async fn at(sockets: &mut Sockets, name: &str, address: SocketAddr) -> SocketAddr {
        sockets.tcp(name, address).await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_door_takes_the_socket_of_its_name_or_of_its_address() {
        let (mut sockets, places) = given(&["send.1", "send.0", "countersign.socket"]);
        assert_eq!(at(&mut sockets, "send.0", local(0)).await, places[1], "by name, whatever its port");
        assert_eq!(at(&mut sockets, "send.1", places[0]).await, places[0]);
        assert_eq!(at(&mut sockets, "metrics", places[2]).await, places[2], "by address");
        sockets.settle();
        let again = sockets.again();
        assert_eq!(again.given.len(), 3, "all that are open stay so for who comes next");
    }

    #[tokio::test]
    async fn a_socket_for_another_address_is_not_taken() {
        let (mut sockets, places) = given(&["send.0"]);
        let other = SocketAddr::from(([127, 0, 0, 2], places[0].port()));
        assert_eq!(at(&mut sockets, "send.0", other).await, other, "the configuration says where");
        sockets.settle();
        assert!(TcpListener::bind(places[0]).is_ok(), "what nobody asked for is closed");
    }

    #[test]
    fn copies_stand_side_by_side_and_survive_an_exec() {
        let (sockets, _) = given(&["a", "b", "c"]);
        let passed = sockets.pass_on().unwrap();
        assert_eq!(passed.names, ["a", "b", "c"]);
        for (copy, at) in passed._copies.iter().zip(passed.first..) {
            assert_eq!(copy.as_raw_fd(), at);
            assert!(rustix::io::fcntl_getfd(copy).unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_socket_at_a_path_is_for_its_owner_and_stays_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let mut sockets = Sockets::default();
        let first = sockets.unix("control", &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();
        drop(first);
        let mut sockets = sockets.again();
        let second = sockets.unix("control", &path).unwrap();
        second.accept().await.unwrap();
        drop(waiting);
        // Somebody has taken the path away: the old socket leads nowhere.
        std::fs::remove_file(&path).unwrap();
        let mut sockets = sockets.again();
        let _third = sockets.unix("control", &path).unwrap();
        assert!(path.exists());
    }
}
