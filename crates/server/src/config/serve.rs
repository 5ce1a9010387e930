//! What `serve` asks of a configuration beyond being right.
//! `serve` calls `fit_to_serve` before it opens a door; other commands need no upstream.

use std::collections::BTreeSet;

use countersign_core::request::Mode;

use super::checked::Config;
use super::notes::ConfigError;
use super::send::{AccountFrom, Listener, ListenerKind, ListenerTls};
use super::upstream::Upstream;

impl Config {
    /// Whether mail can be served with it. Call it after the store's mode was laid over.
    ///
    /// # Errors
    /// Every reason why not.
    pub fn fit_to_serve(&self) -> Result<(), ConfigError> {
        let mut reasons: Vec<String> = self.send.listeners.iter().flat_map(unfit_identity).collect();
        reasons.extend(self.send.listeners.iter().flat_map(unsafe_listener));
        reasons.extend(self.api.unsafe_reason());
        reasons.extend(self.send.upstreams.iter().filter_map(two_identities));
        reasons.extend(self.twice());
        reasons.extend(self.upstream_reasons());
        match reasons.is_empty() {
            true => Ok(()),
            false => Err(ConfigError::Unfit(reasons)),
        }
    }

    /// What is right but will surprise: warnings of `load`.
    pub(super) fn oddities(&self) -> Vec<String> {
        let mut words: Vec<String> = self.send.upstreams.iter().filter_map(idle_issuer).collect();
        let useless =
            |listener: &&Listener| listener.tls == ListenerTls::Implicit && listener.plaintext_loopback;
        words.extend(self.send.listeners.iter().filter(useless).map(|listener| {
            let place = place(listener);
            format!("{place}: `plaintext = \"loopback\"` has no effect with `tls = \"implicit\"`")
        }));
        words.extend(self.send.listeners.iter().flat_map(wide_trust));
        words.extend(self.near_sink());
        words
    }

    /// What sets the data directory back takes a file in it along.
    fn near_sink(&self) -> Option<String> {
        let file = self.second_sink.as_ref().filter(|file| file.starts_with(&self.server.data_dir))?;
        Some(format!(
            "`[ledger] second_sink`: `{}` is in the data directory: whatever happens to the one happens to the other; \
             name a file on another volume",
            file.display()
        ))
    }

    fn twice(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let listeners = self.send.listeners.iter().filter(|listener| listener.listen.port() != 0);
        let doors = listeners.map(|listener| (place(listener), "listens twice: give each its own port"));
        let upstreams = self.send.upstreams.iter();
        let names = upstreams
            .map(|up| (format!("upstream `{}`", up.name), "is there twice: give each its own `name`"));
        let witnesses = self.witnesses.iter();
        let cosigners = witnesses
            .map(|witness| (format!("witness `{}`", witness.key.name()), "is there twice: once is enough"));
        doors
            .chain(names)
            .chain(cosigners)
            .filter(|(what, _)| !seen.insert(what.clone()))
            .map(|(what, why)| format!("{what}: {why}"))
            .collect()
    }

    fn upstream_reasons(&self) -> Vec<String> {
        if self.send.upstreams.is_empty() && !self.send.listeners.is_empty() {
            return vec!["there is no [[send.upstream]]: mail that may pass has nowhere to go".to_owned()];
        }
        let blind = |upstream: &&Upstream| self.send.mode == Mode::Enforce && upstream.egress.is_empty();
        let blind = self.send.upstreams.iter().filter(blind);
        blind
            .map(|upstream| {
                format!(
                    "upstream `{}`: it has no `egress`, so SPF cannot be checked and mode enforce would hold \
                     everything: name the networks from which mail leaves, or use mode observe",
                    upstream.name
                )
            })
            .collect()
    }
}

fn place(listener: &Listener) -> String {
    format!("listener `{}`", listener.listen)
}

/// Who sends through a listener has to be known, and by the means of its kind.
fn unfit_identity(listener: &Listener) -> Vec<String> {
    let relay = listener.kind == ListenerKind::Relay;
    let auth = listener.account_from == AccountFrom::Auth;
    [
        (
            relay && listener.trusted.is_empty(),
            "a relay needs `trusted`: the networks of the MTAs that it believes",
        ),
        (
            relay && auth,
            "a relay needs `account_from`, as in `header:X-Account` or `account:acme`: nobody signs in there",
        ),
        (!relay && !auth, "`account_from` other than `auth` is for `kind = \"relay\"`"),
        (!relay && !listener.trusted.is_empty(), "`trusted` is for `kind = \"relay\"`: customers sign in"),
        (relay && listener.plaintext_loopback, "`plaintext` is for customers who sign in, not for a relay"),
    ]
    .into_iter()
    .filter(|(wrong, _)| *wrong)
    .map(|(_, why)| format!("{}: {why}", place(listener)))
    .collect()
}

/// Nobody has so many MTAs or balancers.
fn wide_trust(listener: &Listener) -> Vec<String> {
    let trusted = (&listener.trusted, "trusted", "sends without signing in", "MTAs");
    let balancers = (&listener.proxy_protocol, "proxy_protocol", "is whoever it says", "balancers");
    let warnings = [trusted, balancers].into_iter().flat_map(|(nets, key, does, whose)| {
        nets.iter().filter(|net| net.prefix_len() < 8).map(move |net| {
            format!(
                "{}: `{key}` has `{net}`: whoever connects from there {does}; name the addresses of your {whose}",
                place(listener)
            )
        })
    });
    warnings.collect()
}

fn idle_issuer(upstream: &Upstream) -> Option<String> {
    let idle = upstream.ca_file.is_some() && !upstream.tls_verify;
    idle.then(|| format!("upstream `{}`: `ca_file` has no effect with `tls_verify = false`", upstream.name))
}

/// XCLIENT replaces who has signed in by whom it names, for all that follows on the connection.
fn two_identities(upstream: &Upstream) -> Option<String> {
    let both = upstream.xclient && upstream.auth_file.is_some();
    both.then(|| {
        format!(
            "upstream `{}`: `xclient` and `auth_file` do not go together: whoever is named with XCLIENT is taken \
             for who has signed in; let the upstream trust our address",
            upstream.name
        )
    })
}

fn unsafe_listener(listener: &Listener) -> Option<String> {
    let off = listener.kind == ListenerKind::Submission && listener.tls == ListenerTls::Off;
    match (off, listener.is_loopback(), listener.plaintext_loopback) {
        (true, false, _) => Some(format!(
            "{}: `tls = \"off\"` is allowed on loopback only: passwords would cross the network in the clear",
            place(listener)
        )),
        (true, true, false) => Some(format!(
            "{}: nobody could sign in with `tls = \"off\"` and without `plaintext = \"loopback\"`",
            place(listener)
        )),
        _ => None,
    }
}
