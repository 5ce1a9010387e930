//! The log of this node and who watches it: a log that a witness knows otherwise is not gone on with.
//! `house` asks for it before anything is recorded.

use std::path::Path;

use super::data::Data;
use super::house::BootError;
use crate::clock::Clock;
use crate::config::{Config, Witness};
use crate::doors::cosign::{Cosigner, Watcher};
use crate::net::post::Destination;
use crate::net::tls::TlsError;
use crate::store::{Checkpoints, Log, Node};

/// The log of this node, what signs its checkpoints, and what shows them to witnesses.
///
/// # Errors
/// When store or data directory cannot be read or written.
pub(super) async fn log(
    data: &Data,
    watchers: &[Watcher],
    node: Node<'_>,
    clock: &Clock,
) -> Result<(Log, Checkpoints, Cosigner), BootError> {
    let (log, checkpoints, cosigner) = found(data, watchers, node, clock).await?;
    let Some(says) = cosigner.first_word().await else { return Ok((log, checkpoints, cosigner)) };
    // Store and data directory were set back together, or another machine has a copy of both: only a witness sees.
    checkpoints.dispute(&says)?;
    found(data, watchers, node, clock).await
}

async fn found(
    Data { store, keys, .. }: &Data,
    watchers: &[Watcher],
    node: Node<'_>,
    clock: &Clock,
) -> Result<(Log, Checkpoints, Cosigner), BootError> {
    let log = Log::of_node(store, keys, node, clock.now()).await?;
    let checkpoints = Checkpoints::of(store.clone(), keys, log.clone(), clock.function())?;
    let cosigner = Cosigner::of(watchers.to_vec(), checkpoints.clone());
    Ok((log, checkpoints, cosigner))
}

/// The witnesses of a configuration. Nobody is asked.
///
/// # Errors
/// When a file of issuers cannot be read.
pub fn watchers(config: &Config) -> Result<Vec<Watcher>, TlsError> {
    config.witnesses.iter().map(watcher).collect()
}

fn watcher(witness: &Witness) -> Result<Watcher, TlsError> {
    let Witness { url, key, ca_file } = witness;
    let plain = Destination::plain(&url.host, url.port, &format!("{}/add-checkpoint", url.prefix));
    let destination = match url.secured {
        true => plain.secured(ca_file.as_deref().map(Path::new))?,
        false => plain,
    };
    Ok(Watcher { url: url.to_string(), key: key.clone(), destination })
}
