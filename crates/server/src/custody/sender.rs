//! The reverse path of held mail: sealed by itself, so that a list opens no message.
//! Acts seal it with the row; `rows` and `page` open it.

use countersign_core::ids::{AccountId, Ref};
use countersign_core::request::Envelope;

use super::held::Held;
use super::rows::held;
use crate::seal::SealError;
use crate::store::{AccountKey, Keys, Row, Store, StoreError, Value, Write};

/// The reverse path of an envelope, sealed for the row of this ref.
///
/// # Errors
/// When the system gives no randomness.
pub fn seal_sender(
    key: &AccountKey,
    account: &AccountId,
    reference: Ref,
    envelope: &Envelope,
) -> Result<Vec<u8>, SealError> {
    let path = envelope.mail_from.as_ref().map_or_else(|| "<>".to_owned(), ToString::to_string);
    key.seal(&tie(account, reference), path.as_bytes())
}

/// Held mail of rows, with its reverse paths; one whose key was destroyed, or that was erased, is empty.
pub(super) async fn opened(keys: &Keys, rows: &[Row]) -> Result<Vec<Held>, StoreError> {
    let mut list = rows.iter().map(held).collect::<Result<Vec<_>, _>>()?;
    let broken = |error: SealError| StoreError::Damaged(error.to_string());
    keys.ready(list.iter().map(|held| &held.account)).await.map_err(broken)?;
    for (row, held) in rows.iter().zip(&mut list) {
        if let Some(sealed) = row.get::<Option<Vec<u8>>>("sender")? {
            let key = keys.existing(&held.account).await.map_err(broken)?;
            let path = key.and_then(|key| key.open(&tie(&held.account, held.reference), &sealed).ok());
            held.mail_from = path.and_then(|path| String::from_utf8(path).ok()).unwrap_or_default();
        }
    }
    Ok(list)
}

/// Seals what an earlier version left in the clear.
///
/// # Errors
/// When the store cannot be read or written, or a key is not to be had.
pub async fn seal_senders(store: &Store, keys: &Keys) -> Result<(), SealError> {
    let failed = |cause: StoreError| SealError::Store { account: String::new(), cause: cause.to_string() };
    loop {
        let rows = store.rows(IN_CLEAR, vec![]).await.map_err(failed)?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut writes = Vec::with_capacity(rows.len());
        for row in &rows {
            let (account, path): (String, String) =
                (row.get("account_id").map_err(failed)?, row.get("mail_from").map_err(failed)?);
            let place = [Value::text(&account), Value::text(row.get::<String>("ref").map_err(failed)?)];
            let sealed = sealed_row(keys, row, &account, &path).await?;
            writes.push(Write::new(SEAL, place.into_iter().chain([Value::or_null(sealed)]).collect()));
        }
        store.change(&writes).await.map_err(failed)?;
    }
}

/// What is of no account, or has no ref, cannot be shown either: nothing of it is kept.
async fn sealed_row(keys: &Keys, row: &Row, account: &str, path: &str) -> Result<Option<Value>, SealError> {
    let reference = row.get::<String>("ref").ok().and_then(|text| Ref::parse(&text).ok());
    let (Ok(account), Some(reference)) = (AccountId::parse(account), reference) else { return Ok(None) };
    let key = keys.of(&account).await?;
    Ok(Some(Value::blob(key.seal(&tie(&account, reference), path.as_bytes())?)))
}

fn tie(account: &AccountId, reference: Ref) -> Vec<u8> {
    format!("held-sender\0{account}\0{reference}").into_bytes()
}

const IN_CLEAR: &str = "SELECT account_id, ref, mail_from FROM held WHERE mail_from <> '' LIMIT 1000";
const SEAL: &str = "UPDATE held SET mail_from = '', sender = $3 WHERE account_id = $1 AND ref = $2";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_core::address::EmailAddress;
    use jiff::Timestamp;

    use super::super::{Which, page};
    use super::*;
    use crate::seal::RootKey;
    use crate::store::fresh::Fresh;

    const PUT: &str = "INSERT INTO held (account_id, ref, gate, state, mail_from, sender, recipients, size, reasons, at_us, \
        until_us) VALUES ('acme', $1, 'send', 'held', $2, $3, 1, 1, '[]', $4, 9)";

    #[tokio::test]
    async fn reverse_paths_are_listed_and_stand_nowhere_in_the_clear() {
        let fresh = Fresh::new().await;
        let clock = Arc::new(|| Timestamp::UNIX_EPOCH);
        let keys = Keys::open(&RootKey::of(&[7; 32]), fresh.store.clone(), clock).await.unwrap();
        let (account, reference) = (AccountId::parse("acme").unwrap(), Ref::from_random(1));
        let mail_from = Some(EmailAddress::parse("ana@acme.example").unwrap());
        let envelope = Envelope { mail_from, recipients: vec![] };
        let key = keys.of(&account).await.unwrap();
        let sealed = seal_sender(&key, &account, reference, &envelope).unwrap();
        let old = Ref::from_random(2);
        let row = |reference: Ref, clear: &str, sealed, at| {
            Write::new(PUT, vec![Value::text(reference.as_str()), Value::text(clear), sealed, Value::int(at)])
        };
        let rows = [
            row(reference, "", Value::blob(sealed.clone()), 3),
            // Of an earlier version; and a seal that was moved to another row.
            row(old, "bo@acme.example", Value::Null, 2),
            row(Ref::from_random(3), "", Value::blob(sealed), 1),
        ];
        fresh.store.change(&rows).await.unwrap();
        for _ in 0..2 {
            let listed = page(&fresh.store, &keys, Which::All, None, None, 9).await.unwrap();
            let listed: Vec<&str> = listed.iter().map(|held| held.mail_from.as_str()).collect();
            assert_eq!(listed, ["ana@acme.example", "bo@acme.example", ""]);
            seal_senders(&fresh.store, &keys).await.unwrap();
        }
        assert!(fresh.store.rows(IN_CLEAR, vec![]).await.unwrap().is_empty());
        fresh.store.change(&[Write::new("DELETE FROM account_keys", vec![])]).await.unwrap();
        keys.forget(&account);
        let listed = page(&fresh.store, &keys, Which::All, None, None, 9).await.unwrap();
        assert!(listed.iter().all(|held| held.mail_from.is_empty()), "the key is gone");
    }
}
