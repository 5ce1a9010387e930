//! The connections of a load balancer: its PROXY header says who is there, before TLS and before any greeting.
//! The listener hands them over; a peer that is no balancer is never believed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use countersign_wire::limits::Limits;
use countersign_wire::proxy::{Progress, Proxied, ProxyError, read};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::admission::Place;
use super::conversation::{Closing, Peer};
use super::{Door, within};

/// Why nobody knows who is there. The connection is closed without a word: whoever sent this speaks no SMTP.
#[derive(Debug, thiserror::Error)]
enum BalancerError {
    #[error(transparent)]
    Header(#[from] ProxyError),
    #[error("no PROXY header came within {} s", PATIENCE.as_secs())]
    Late,
    #[error("the connection ended inside of the PROXY header")]
    CutOff,
    /// Nothing at all was sent, as by a check whether the port is open.
    #[error("the connection ended before the first octet")]
    Nothing,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Door {
    /// Whether a peer has to say for whom it connects.
    pub(super) fn is_balancer(&self, ip: IpAddr) -> bool {
        within(&self.settings.balancers, ip)
    }

    /// Reads the header, and goes on with whom it names as if they had connected themselves. Until then the
    /// connection has a place of the balancer's, who is held to the number altogether only.
    pub(super) async fn receive_proxied(
        self: Arc<Self>,
        mut socket: TcpStream,
        balancer: SocketAddr,
        current: watch::Receiver<Arc<Self>>,
        closing: watch::Receiver<Closing>,
        waiting: Place,
    ) {
        let header = read_header(&mut socket, &self.settings.limits);
        let header = tokio::time::timeout(PATIENCE, header).await.unwrap_or(Err(BalancerError::Late));
        drop(waiting);
        let from = match header {
            Ok(Proxied::Local) => balancer,
            Ok(Proxied::Given { source, .. }) => source,
            Err(BalancerError::Nothing) => return,
            Err(error) => {
                metrics::counter!("countersign_connections_refused_total", "code" => "proxy").increment(1);
                tracing::warn!(%balancer, %error, "a connection of a balancer is closed");
                return;
            }
        };
        match self.admit(from.ip()) {
            Ok(place) => {
                let peer = Peer::new(from.ip(), current, closing).through(balancer.ip());
                self.receive(socket, peer, place).await;
            }
            Err(reply) => self.turn_away(socket, from, reply),
        }
    }
}

/// Takes the octets of the header and none of what follows it.
async fn read_header(
    socket: &mut (impl AsyncRead + Unpin),
    limits: &Limits,
) -> Result<Proxied, BalancerError> {
    let mut octets = Vec::new();
    loop {
        match read(&octets, limits)? {
            Progress::Whole(proxied) => return Ok(proxied),
            Progress::More(more) => match socket.take(more as u64).read_buf(&mut octets).await? {
                0 if octets.is_empty() => return Err(BalancerError::Nothing),
                0 => return Err(BalancerError::CutOff),
                _ => {}
            },
        }
    }
}

/// The specification asks for "at least 3 seconds to cover a TCP retransmit".
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_follows_the_header_is_left_for_whom_it_is() {
        let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\xc6\x33\x64\x01\xc0\x01\x02\x4b";
        let all = [header.as_slice(), b"EHLO client.example\r\n"].concat();
        let mut socket = all.as_slice();
        let Proxied::Given { source, .. } = read_header(&mut socket, &Limits::default()).await.unwrap()
        else {
            panic!("nobody is given");
        };
        assert_eq!(
            (source.to_string().as_str(), socket),
            ("192.0.2.9:49153", &b"EHLO client.example\r\n"[..])
        );
        for (octets, why) in [
            (&b""[..], "before the first octet"),
            (&header[..20], "inside of the PROXY header"),
            (b"EHLO", "no PROXY header"),
        ] {
            let error = read_header(&mut &*octets, &Limits::default()).await.unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
