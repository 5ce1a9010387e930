//! Keys: one data key for each account, wrapped under the root key and kept in the store.
//! The ledger seals payloads with them; rooms make pseudonyms and secrets with what is derived beside them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use countersign_core::ids::AccountId;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::seal::{Cipher, RootKey, SealError};
use crate::store::{Row, Store, StoreError, Value, Write};

/// Every key of the server. Cloning shares it.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    wrap: Cipher,
    pseudonyms: hmac::Key,
    secrets: hmac::Key,
    /// Owner: `remember` and `remembered`. Read-through; what it holds is in the store.
    cache: RwLock<HashMap<AccountId, Arc<AccountKey>>>,
}

/// The data key of an account, made ready.
pub struct AccountKey {
    /// Which key it is; the leaf says so.
    pub id: [u8; 16],
    cipher: Cipher,
}

impl AccountKey {
    /// Seals; what `aad` says must be said again to open it.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.cipher.seal(aad, plain)
    }

    /// Opens what was sealed under the same key and `aad`.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.cipher.open(aad, sealed)
    }
}

impl Keys {
    /// Derives what is derived, and sees whether the root key is the one of this store.
    pub async fn open(
        root: &RootKey,
        store: Store,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Result<Self, SealError> {
        let keys = Self(Arc::new(Inner {
            store,
            clock,
            wrap: Cipher::new(&*root.derive("account-key-wrap")?)?,
            pseudonyms: hmac::Key::new(HMAC_SHA256, root.derive("pseudonym")?.as_slice()),
            secrets: hmac::Key::new(HMAC_SHA256, root.derive("secret")?.as_slice()),
            cache: RwLock::default(),
        }));
        let row = keys.0.store.row(ANY, vec![]).await;
        if let Some(row) = row.map_err(|cause| unavailable("", &cause))? {
            keys.unwrap_row(&name(&row)?, &row)?;
        }
        Ok(keys)
    }

    /// Whether a store has keys already, so that it has a root key somewhere.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn are_in(store: &Store) -> Result<bool, StoreError> {
        Ok(store.row(ANY, vec![]).await?.is_some())
    }

    /// The key of an account, made on first use.
    pub async fn of(&self, account: &AccountId) -> Result<Arc<AccountKey>, SealError> {
        if let Some(key) = self.remembered(account) {
            return Ok(key);
        }
        let key = match self.read(account).await? {
            Some(key) => key,
            None => {
                self.create(account).await?;
                // Somebody else may have been faster; then theirs is the key.
                let key = self.read(account).await?;
                key.ok_or_else(|| SealError::Root { account: account.to_string() })?
            }
        };
        Ok(self.remember(account, key))
    }

    /// The key of an account that has this id; `None` when it was destroyed.
    pub async fn by_id(
        &self,
        account: &AccountId,
        id: &[u8; 16],
    ) -> Result<Option<Arc<AccountKey>>, SealError> {
        let newest = self.existing(account).await?;
        if newest.as_ref().is_some_and(|key| key.id == *id) {
            return Ok(newest);
        }
        let row =
            self.0.store.row(BY_ID, vec![Value::text(account.as_str()), Value::blob(id.to_vec())]).await;
        let row = row.map_err(|cause| unavailable(account.as_str(), &cause))?;
        row.map(|row| self.unwrap_row(account.as_str(), &row).map(Arc::new)).transpose()
    }

    /// The key of an account, if it has one: for reading, which makes none.
    ///
    /// # Errors
    /// When the store cannot be read, or the key does not open.
    pub async fn existing(&self, account: &AccountId) -> Result<Option<Arc<AccountKey>>, SealError> {
        match self.remembered(account) {
            Some(key) => Ok(Some(key)),
            None => Ok(self.read(account).await?.map(|key| self.remember(account, key))),
        }
    }

    /// Reads the keys of many accounts together, as far as they are not known.
    ///
    /// # Errors
    /// As [`Keys::existing`].
    pub async fn ready(&self, accounts: impl Iterator<Item = &AccountId>) -> Result<(), SealError> {
        let wanted: BTreeSet<&AccountId> =
            accounts.filter(|account| self.remembered(account).is_none()).collect();
        let wanted: Vec<Value> = wanted.iter().map(|account| Value::text(account.as_str())).collect();
        for some in wanted.chunks(1000) {
            let rows = self.0.store.rows_in(AMONG, vec![], some.to_vec()).await;
            for row in &rows.map_err(|cause| unavailable("", &cause))? {
                let name = name(row)?;
                let key = self.unwrap_row(&name, row)?;
                let account = AccountId::parse(&name).map_err(|_| SealError::Root { account: name })?;
                self.remember(&account, key);
            }
        }
        Ok(())
    }

    /// Forgets the key of an account: it is read anew when it is wanted, or made anew when it was destroyed.
    pub fn forget(&self, account: &AccountId) {
        let mut cache = self.0.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.remove(account);
    }

    /// Opens every key that the store has, and says whose does not.
    pub async fn check(&self) -> Result<(), SealError> {
        let mut last = (String::new(), 0_i64);
        loop {
            let rows = self.0.store.rows(AFTER, vec![Value::text(&last.0), Value::Int(last.1)]).await;
            let rows = rows.map_err(|cause| unavailable("", &cause))?;
            for row in &rows {
                last = (name(row)?, row.get("generation").map_err(|_| SealError::Broken)?);
                self.unwrap_row(&last.0, row)?;
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// A name that says nothing to whoever does not have the root key: HMAC-SHA256, cut to 128 bits.
    #[must_use]
    pub fn pseudonym(&self, label: &str, text: &str) -> [u8; 16] {
        let tag = keyed(&self.0.pseudonyms, label, text.as_bytes());
        tag.first_chunk().copied().unwrap_or_default()
    }

    /// HMAC-SHA256 for one purpose, as the store keeps secrets that we generated ourselves.
    #[must_use]
    pub fn hmac(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        keyed(&self.0.secrets, purpose, bytes)
    }

    async fn read(&self, account: &AccountId) -> Result<Option<AccountKey>, SealError> {
        let row = self.0.store.row(NEWEST, vec![Value::text(account.as_str())]).await;
        let row = row.map_err(|cause| unavailable(account.as_str(), &cause))?;
        row.map(|row| self.unwrap_row(account.as_str(), &row)).transpose()
    }

    async fn create(&self, account: &AccountId) -> Result<(), SealError> {
        let mut key = Zeroizing::new([0_u8; 32]);
        let mut id = [0_u8; 16];
        aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| SealError::Random)?;
        aws_lc_rs::rand::fill(&mut id).map_err(|_| SealError::Random)?;
        let created_at = (self.0.clock)().as_microsecond();
        let wrapped = self.0.wrap.seal(&wrap_aad(account.as_str(), &id, created_at), key.as_slice())?;
        let values = vec![
            Value::text(account.as_str()),
            Value::blob(id.to_vec()),
            Value::Blob(wrapped),
            Value::Int(created_at),
        ];
        let done = self.0.store.change(&[Write::new(INSERT, values)]).await;
        done.map_err(|cause| unavailable(account.as_str(), &cause))
    }

    fn unwrap_row(&self, account: &str, row: &Row) -> Result<AccountKey, SealError> {
        let wrong = || SealError::Root { account: account.to_owned() };
        let id: Vec<u8> = row.get("key_id").map_err(|_| wrong())?;
        let id: [u8; 16] = id.try_into().map_err(|_| wrong())?;
        let wrapped: Vec<u8> = row.get("wrapped").map_err(|_| wrong())?;
        let created_at: i64 = row.get("created_at").map_err(|_| wrong())?;
        let opened = self.0.wrap.open(&wrap_aad(account, &id, created_at), &wrapped);
        let key = Zeroizing::new(opened.map_err(|_| wrong())?);
        let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| wrong())?;
        Ok(AccountKey { id, cipher: Cipher::new(key)? })
    }

    fn remembered(&self, account: &AccountId) -> Option<Arc<AccountKey>> {
        let cache = self.0.cache.read().unwrap_or_else(PoisonError::into_inner);
        cache.get(account).cloned()
    }

    fn remember(&self, account: &AccountId, key: AccountKey) -> Arc<AccountKey> {
        let mut cache = self.0.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= REMEMBERED {
            cache.clear();
        }
        let key = Arc::new(key);
        cache.insert(account.clone(), Arc::clone(&key));
        key
    }
}

fn name(row: &Row) -> Result<String, SealError> {
    row.get("account_id").map_err(|_| SealError::Broken)
}

fn keyed(key: &hmac::Key, label: &str, bytes: &[u8]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    context.update(&(label.len() as u64).to_be_bytes());
    context.update(label.as_bytes());
    context.update(bytes);
    let mut out = [0; 32];
    out.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// A wrapped key cannot be moved to another account, id or time.
fn wrap_aad(account: &str, id: &[u8; 16], created_at: i64) -> Vec<u8> {
    let mut aad = b"countersign/account-key/1".to_vec();
    aad.extend(id);
    aad.extend(created_at.to_be_bytes());
    aad.extend(account.as_bytes());
    aad
}

fn unavailable(account: &str, cause: &StoreError) -> SealError {
    SealError::Store { account: account.to_owned(), cause: cause.to_string() }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKey(..)")
    }
}

const ANY: &str = "SELECT account_id, key_id, wrapped, created_at FROM account_keys LIMIT 1";
const AFTER: &str = "SELECT account_id, generation, key_id, wrapped, created_at FROM account_keys \
    WHERE (account_id, generation) > ($1, $2) ORDER BY account_id, generation LIMIT 1000";
const AMONG: &str = "SELECT k.account_id, k.key_id, k.wrapped, k.created_at FROM account_keys k WHERE k.generation = \
    (SELECT MAX(n.generation) FROM account_keys n WHERE n.account_id = k.account_id) AND k.account_id IN";
const NEWEST: &str = "SELECT key_id, wrapped, created_at FROM account_keys \
    WHERE account_id = $1 ORDER BY generation DESC LIMIT 1";
const BY_ID: &str =
    "SELECT key_id, wrapped, created_at FROM account_keys WHERE account_id = $1 AND key_id = $2";
const INSERT: &str = "INSERT INTO account_keys (account_id, generation, key_id, wrapped, created_at) \
    VALUES ($1, 1, $2, $3, $4) ON CONFLICT (account_id, generation) DO NOTHING";
const REMEMBERED: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::super::fresh::Fresh;
    use super::*;

    async fn keys(fresh: &Fresh, root: u8) -> Result<Keys, SealError> {
        let store = fresh.again().await;
        Keys::open(&RootKey::of(&[root; 32]), store, Arc::new(|| Timestamp::UNIX_EPOCH)).await
    }

    fn account(name: &str) -> AccountId {
        AccountId::parse(name).unwrap()
    }

    #[tokio::test]
    async fn an_account_keeps_its_key_over_a_restart() {
        let fresh = Fresh::new().await;
        let first = keys(&fresh, 7).await.unwrap().of(&account("acme")).await.unwrap();
        let sealed = first.seal(b"aad", b"plain").unwrap();
        let again = keys(&fresh, 7).await.unwrap();
        let key = again.of(&account("acme")).await.unwrap();
        assert_eq!((key.id, key.open(b"aad", &sealed).unwrap()), (first.id, b"plain".to_vec()));
        assert!(again.by_id(&account("acme"), &first.id).await.unwrap().is_some());
        assert!(again.by_id(&account("acme"), &[0; 16]).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_account_asked_for_by_many_at_once_has_one_key() {
        let fresh = Fresh::new().await;
        let keys = keys(&fresh, 7).await.unwrap();
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let keys = keys.clone();
            asking.spawn(async move { keys.of(&account("acme")).await.unwrap().id });
        }
        let mut ids = asking.join_all().await;
        ids.dedup();
        assert_eq!(ids.len(), 1);
    }

    #[tokio::test]
    async fn another_root_key_is_refused_at_once() {
        let fresh = Fresh::new().await;
        keys(&fresh, 7).await.unwrap().of(&account("acme")).await.unwrap();
        let error = keys(&fresh, 8).await.unwrap_err().to_string();
        assert_eq!(
            error,
            "the key of account `acme` does not open: the root key is not the one of this store"
        );
    }

    #[tokio::test]
    async fn a_wrapped_key_cannot_be_moved_to_another_account() {
        let fresh = Fresh::new().await;
        let keys = keys(&fresh, 7).await.unwrap();
        keys.of(&account("acme")).await.unwrap();
        let moved = Write::new("UPDATE account_keys SET account_id = 'globex'", vec![]);
        keys.0.store.change(&[moved]).await.unwrap();
        assert!(matches!(keys.of(&account("globex")).await, Err(SealError::Root { .. })));
        assert!(keys.check().await.is_err());
    }

    #[tokio::test]
    async fn pseudonyms_differ_by_label_and_text_and_tell_nothing() {
        let fresh = Fresh::new().await;
        let keys = keys(&fresh, 7).await.unwrap();
        assert_eq!(keys.pseudonym("account", "acme"), keys.pseudonym("account", "acme"));
        assert_ne!(keys.pseudonym("account", "acme"), keys.pseudonym("actor", "acme"));
        assert_ne!(keys.pseudonym("ab", "c"), keys.pseudonym("a", "bc"));
        assert_ne!(keys.hmac("api-key", b"x"), keys.hmac("smtp", b"x"));
        let key = keys.of(&account("acme")).await.unwrap();
        assert_eq!(format!("{keys:?} {key:?}"), "Keys(..) AccountKey(..)");
    }
}
