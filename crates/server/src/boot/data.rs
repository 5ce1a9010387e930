//! The data directory: one owner at a time, a root key that is made once, the store.
//! Boot takes it to write; `explain`, `held ls` and `ledger verify` open it to read.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use countersign_core::ids::AccountId;
use rustix::fs::{FlockOperation, flock};

use crate::clock::Clock;
use crate::config::{Config, StoreUrl};
use crate::seal::{RootKey, RootKeyError, SealError};
use crate::store::{Keys, Store, StoreError};

/// An open data directory.
pub struct Data {
    pub store: Store,
    pub keys: Keys,
    pub dir: PathBuf,
    /// Held as long as the directory is ours; `None` when it is open for reading only.
    _lock: Option<File>,
}

impl Data {
    /// Takes the directory: makes it when it is not there, with root key and store.
    ///
    /// # Errors
    /// When another process has it, a key is missing beside a store, or something cannot be made.
    pub async fn take(config: &Config, clock: &Clock) -> Result<Self, DataError> {
        let dir = config.server.data_dir.clone();
        make_dir(&dir)?;
        let lock = take_lock(&dir)?;
        let (root, store) = match &config.store {
            StoreUrl::Sqlite(file) => (root_key_beside(config, file)?, Store::open(file).await?),
            StoreUrl::Postgres(url) => {
                let store = Store::connect(url).await?;
                (root_key_of(config, &store).await?, store)
            }
        };
        let keys = Keys::open(&root, store.clone(), clock.function()).await?;
        keys.check().await?;
        // From now on whoever comes with another root key is seen to.
        keys.of(&AccountId::platform()).await?;
        Ok(Self { store, keys, dir, _lock: Some(lock) })
    }

    /// Opens the directory for reading, beside a server or without one.
    ///
    /// # Errors
    /// When there is no store, no key, or one of another version.
    pub async fn read(config: &Config, clock: &Clock) -> Result<Self, DataError> {
        if let StoreUrl::Sqlite(file) = &config.store
            && !file.exists()
        {
            return Err(DataError::NoStore(file.clone()));
        }
        let root = RootKey::read(&key_file(config))?;
        let store = Store::read_at(&config.store).await?;
        let keys = Keys::open(&root, store.clone(), clock.function()).await?;
        Ok(Self { store, keys, dir: config.server.data_dir.clone(), _lock: None })
    }
}

/// Keeps every server out of a directory for as long as the file is there.
///
/// # Errors
/// When one has it, or it cannot be written.
pub fn hold(dir: &Path) -> Result<File, DataError> {
    take_lock(dir)
}

/// Whether a server has a data directory now.
#[must_use]
pub fn is_in_use(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join("lock")) else { return false };
    flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
}

/// The root key beside a file: made together with it, never later.
fn root_key_beside(config: &Config, store: &Path) -> Result<RootKey, DataError> {
    let key = key_file(config);
    match (key.exists(), store.exists()) {
        (true, _) => Ok(RootKey::read(&key)?),
        (false, false) => Ok(RootKey::create(&key)?),
        (false, true) => Err(DataError::KeyMissing { key, store: store.display().to_string() }),
    }
}

/// The root key of a database that several nodes share: made by the first of them.
async fn root_key_of(config: &Config, store: &Store) -> Result<RootKey, DataError> {
    let key = key_file(config);
    match (key.exists(), Keys::are_in(store).await?) {
        (true, _) => Ok(RootKey::read(&key)?),
        (false, false) => Ok(RootKey::create(&key)?),
        (false, true) => Err(DataError::KeyMissing { key, store: store.name().to_owned() }),
    }
}

fn key_file(config: &Config) -> PathBuf {
    let key = config.server.root_key_file.clone();
    key.unwrap_or_else(|| config.server.data_dir.join("root.key"))
}

fn make_dir(dir: &Path) -> Result<(), DataError> {
    let failed = |cause| DataError::Directory { dir: dir.to_owned(), cause };
    if !dir.exists() {
        fs::create_dir_all(dir).map_err(failed)?;
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

fn take_lock(dir: &Path) -> Result<File, DataError> {
    let path = dir.join("lock");
    let failed = |cause| DataError::Directory { dir: path.clone(), cause };
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = open.map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(DataError::Locked(dir.to_owned())),
    }
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be made or written.
    #[error("`{}` cannot be made or opened: {cause}", .dir.display())]
    Directory { dir: PathBuf, cause: std::io::Error },
    /// Another server has it.
    #[error("data directory `{}` is in use by another server: stop it, or set another `data_dir`", .0.display())]
    Locked(PathBuf),
    /// The key that opens the store is gone; a new one would open nothing.
    #[error(
        "the store `{store}` is there but its root key `{}` is not: put the key back, or copy that of another node \
         (a new key would open nothing)",
        .key.display()
    )]
    KeyMissing { key: PathBuf, store: String },
    /// There is no store to read.
    #[error("there is no store `{}`: run `countersign serve`, `try` or `apply` first, or name a configuration with --config", .0.display())]
    NoStore(PathBuf),
    /// The root key cannot be used.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys in the store do not open.
    #[error(transparent)]
    Seal(#[from] SealError),
}
