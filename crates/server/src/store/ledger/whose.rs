//! Whose a second sink is: a file of this node is gone on with or set aside, that of anybody else is left alone.
//! `Log::of_node` asks before anything is written.

use countersign_core::ledger::export::Header;
use countersign_core::ledger::{Checkpoint, Note};

use super::log::{Node, signer_of};
use super::logs::Known;
use super::sink::{End, SinkError};
use crate::store::{Keys, Store, StoreError};

/// Sees that a file is of this node, whose log has the name `own` as far as is known.
///
/// # Errors
/// When it is of another installation or of another node, or the store cannot be read.
pub(super) async fn is_of_node(
    store: &Store,
    keys: &Keys,
    node: Node<'_>,
    own: Option<&str>,
    end: Option<&End>,
) -> Result<(), StoreError> {
    let (Some(file), Some(header)) = (node.sink, end.and_then(|end| end.header.as_ref())) else {
        return Ok(());
    };
    let logs = Known::all(store).await?;
    let is_in_store = logs.iter().any(|log| log.origin == header.origin);
    let whose = match () {
        () if !is_derived(header, keys) => "of another installation: its key does not come from our root key",
        () if own.is_some_and(|own| is_of(own, &logs, header)) => return Ok(()),
        // Without a directory that knows more, or a store that does, only the name is left.
        () if is_named_like(node.hostname, header)
            && (own.is_none() || !store.is_shared() || !is_in_store) =>
        {
            return Ok(());
        }
        () if is_in_store => "of another node of this store",
        () => "of a node that is not this one",
    };
    let (file, origin) = (file.to_owned(), header.origin.clone());
    Err(SinkError::NotOurs { file, origin, whose }.into())
}

/// Whether the log of a file has a key that our root key makes.
fn is_derived(header: &Header, keys: &Keys) -> bool {
    signer_of(&header.origin, keys).is_ok_and(|signer| signer.verifier().to_string() == header.key)
}

/// Whether the log of a file is this one, one that it goes on from, or one that went on from any of them and that
/// the store, set back, knows nothing of.
fn is_of(own: &str, logs: &[Known], header: &Header) -> bool {
    let before = header.continues.as_ref().and_then(|continued| origin_of(&continued.note));
    let (mut next, mut left) = (Some(own.to_owned()), logs.len().saturating_add(1));
    while let Some(origin) = next
        && left > 0
    {
        if origin == header.origin || before.as_ref() == Some(&origin) {
            return true;
        }
        let log = logs.iter().find(|log| log.origin == origin);
        next = log.and_then(|log| origin_of(log.continues.as_ref()?));
        left -= 1;
    }
    false
}

fn origin_of(note: &str) -> Option<String> {
    Some(Checkpoint::parse(Note::parse(note).ok()?.text()).ok()?.origin)
}

/// Names of logs are `HOSTNAME/ID`.
fn is_named_like(hostname: &str, header: &Header) -> bool {
    header.origin.rsplit_once('/').is_some_and(|(host, _)| host == hostname)
}
