//! The Postfix of this machine, as `postconf` tells it. Nothing of it is written.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use tokio::process::Command;

/// What `init` wants to know of a Postfix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Postfix {
    pub(super) version: String,
    pub(super) hostname: String,
    pub(super) networks: String,
    pub(super) relay_host: String,
    /// `smtp_bind_address` and `smtp_bind_address6`; empty when not set.
    bind: [String; 2],
    protocols: String,
    pub(super) message_size_limit: String,
}

impl Postfix {
    /// The Postfix that is installed, if one is.
    pub(super) async fn found() -> Option<Self> {
        for program in ["postconf", "/usr/sbin/postconf"] {
            let mut command = Command::new(program);
            command.arg("-h").args(NAMES).kill_on_drop(true);
            let asked = tokio::time::timeout(PATIENCE, command.output()).await;
            if let Ok(Ok(output)) = asked
                && output.status.success()
            {
                return Self::read(&String::from_utf8_lossy(&output.stdout));
            }
        }
        None
    }

    /// Reads the values, one a line in the order of the names.
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(|line| line.trim().to_owned());
        let mut next = || lines.next();
        Some(Self {
            version: next()?,
            hostname: next()?,
            networks: next()?,
            relay_host: next()?,
            bind: [next()?, next()?],
            protocols: next()?,
            message_size_limit: next()?,
        })
    }

    /// From where it sends: what it binds to, else what the routing table picks, for each protocol that it uses.
    pub(super) fn egress(&self) -> Vec<IpAddr> {
        let uses = |name: &str| self.protocols.split([' ', ',']).any(|word| word == "all" || word == name);
        let [four, six] = &self.bind;
        let four = uses("ipv4").then(|| four.parse().ok().or_else(|| route("0.0.0.0:0", "192.0.2.1:25")));
        let six = uses("ipv6").then(|| six.parse().ok().or_else(|| route("[::]:0", "[2001:db8::1]:25")));
        four.into_iter().chain(six).flatten().collect()
    }

    /// Whether `smtpd_forbid_bare_newline` knows `reject`. A version that cannot be read is believed to be new.
    pub(super) fn knows_reject(&self) -> bool {
        let digits = |part: Option<&str>| {
            part.and_then(|part| part.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok())
        };
        let mut parts = self.version.split('.');
        let (Some(major), Some(minor)) = (digits(parts.next()), digits(parts.next())) else { return true };
        let patch = digits(parts.next()).unwrap_or(0);
        let least = FIRST.iter().find(|(of, _)| *of == (major, minor)).map(|(_, patch)| *patch);
        least.map_or((major, minor) >= (3, 9), |least| patch >= least)
    }

    /// Whether only this machine is in `mynetworks`.
    pub(super) fn trusts_only_itself(&self) -> bool {
        let mut networks = self.networks.split([' ', ',']).filter(|network| !network.is_empty());
        networks.all(|network| {
            let bare = network.trim_start_matches('[').split([']', '/']).next().unwrap_or_default();
            bare.trim_start_matches("::ffff:").parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        })
    }
}

/// The source address of a packet to there. None is sent.
fn route(from: &str, to: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Whether others can see mail come from an address. Behind a translation of addresses it is another.
pub(super) fn is_seen_by_the_world(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // RFC 6598: 100.64.0.0/10 is shared address space of carriers.
            let shared = v4.octets().starts_with(&[100]) && (v4.to_bits() >> 22) & 0b11 == 0b01;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_unique_local())
        }
    }
}

/// In the order of `Postfix::read`.
const NAMES: [&str; 8] = [
    "mail_version",
    "myhostname",
    "mynetworks",
    "relayhost",
    "smtp_bind_address",
    "smtp_bind_address6",
    "inet_protocols",
    "message_size_limit",
];

/// Per branch, the first version whose `smtpd_forbid_bare_newline` knows `reject`.
const FIRST: [((u32, u32), u32); 4] = [((3, 5), 24), ((3, 6), 14), ((3, 7), 10), ((3, 8), 5)];
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn read(values: &str) -> Postfix {
        Postfix::read(values).unwrap()
    }

    fn postfix(version: &str, networks: &str) -> Postfix {
        Postfix { version: version.to_owned(), networks: networks.to_owned(), ..Postfix::default() }
    }

    #[test]
    fn versions_that_do_not_know_reject_are_known() {
        for (version, knows) in [
            ("3.5.23", false),
            ("3.5.24", true),
            ("3.7.9", false),
            ("3.7.11", true),
            ("3.8.4", false),
            ("3.4.29", false),
            ("3.9-20240101", true),
            ("3.10.1", true),
            ("4.0.0", true),
            ("snapshot", true),
        ] {
            assert_eq!(postfix(version, "").knows_reject(), knows, "{version}");
        }
    }

    #[test]
    fn networks_beyond_this_machine_are_seen() {
        for (networks, only) in [
            ("127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128", true),
            ("127.0.0.0/8, 192.0.2.0/24", false),
            ("hash:/etc/postfix/networks", false),
        ] {
            assert_eq!(postfix("3.9", networks).trusts_only_itself(), only, "{networks}");
        }
    }

    #[test]
    fn addresses_that_only_a_network_of_ones_own_sees_are_no_egress() {
        for (address, seen) in [
            ("192.0.2.25", true),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("169.254.1.1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("2001:db8::25", true),
        ] {
            assert_eq!(is_seen_by_the_world(address.parse().unwrap()), seen, "{address}");
        }
    }

    #[test]
    fn what_postfix_binds_to_is_its_egress() {
        let values = "3.7.11\nmx.esp.example\n127.0.0.0/8\n\n192.0.2.25\n2001:db8::25\nipv4, ipv6\n0\n";
        let postfix = Postfix::read(values).unwrap();
        let egress: Vec<String> = postfix.egress().iter().map(ToString::to_string).collect();
        assert_eq!(egress, ["192.0.2.25", "2001:db8::25"]);
        assert_eq!((postfix.hostname.as_str(), postfix.message_size_limit.as_str()), ("mx.esp.example", "0"));
        assert_eq!(Postfix::read("3.7.11\n"), None);
    }
}
