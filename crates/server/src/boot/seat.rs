//! The seat of a witness: a directory with its memory and, unless it is elsewhere, its key. One owner at a time.
//! `ledger witness` takes it. A witness that forgets would cosign a second history: so memory and key go together.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use countersign_core::ledger::{Algorithm, KeyError, KeyName, Signer, VerifierKey};
use zeroize::Zeroizing;

use super::data::{DataError, hold};
use crate::store::{Store, StoreError};

/// What a witness needs.
pub struct Seat {
    /// What it cosigned last of each log.
    pub store: Store,
    pub signer: Signer,
    /// Held as long as the directory is ours.
    pub lock: File,
}

impl Seat {
    /// Takes a directory; the first time it is made, with a memory and a key of this name.
    ///
    /// # Errors
    /// When another process has it, memory and key are not both there, or are not of each other.
    pub async fn take(
        dir: &Path,
        key_file: Option<&Path>,
        name: Option<&KeyName>,
    ) -> Result<Self, SeatError> {
        let failed = |cause| SeatError::Directory { dir: dir.to_owned(), cause };
        if !dir.exists() {
            fs::create_dir_all(dir).map_err(failed)?;
            fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let lock = hold(dir).map_err(|error| match error {
            DataError::Locked(dir) => SeatError::Locked(dir),
            other => SeatError::Data(other),
        })?;
        let (memory, owner) = (dir.join("witness.db"), dir.join("witness.pub"));
        let key = key_file.map_or_else(|| dir.join("witness.key"), Path::to_owned);
        let first = !owner.exists();
        // The public key is written last: without it the making was cut off, and nothing was ever cosigned.
        let signer = match (first, key.exists(), memory.exists()) {
            (false, false, _) => {
                return Err(SeatError::NoKey { key, owner: read_owner(&owner)?.to_string() });
            }
            (false, true, false) => return Err(SeatError::NoMemory { memory }),
            (_, true, _) => read_key(&key)?,
            (true, false, _) => make_key(&key, name.ok_or_else(|| SeatError::Name(key.clone()))?)?,
        };
        check_name(&signer, name)?;
        if !first {
            let owner = read_owner(&owner)?;
            if owner != *signer.verifier() {
                let (owner, key) = (owner.to_string(), signer.verifier().to_string());
                return Err(SeatError::Other { dir: dir.to_owned(), owner, key });
            }
        }
        let store = Store::open(&memory).await?;
        if first {
            let text = format!("{}\n", signer.verifier());
            write_new(&owner, 0o644, text.as_bytes())
                .map_err(|cause| SeatError::Write { file: owner, cause })?;
        }
        Ok(Self { store, signer, lock })
    }
}

fn check_name(signer: &Signer, name: Option<&KeyName>) -> Result<(), SeatError> {
    let is = signer.verifier().name();
    match name {
        Some(name) if name != is => {
            Err(SeatError::OtherName { is: is.to_string(), wanted: name.to_string() })
        }
        _ => Ok(()),
    }
}

fn make_key(file: &Path, name: &KeyName) -> Result<Signer, SeatError> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(seed.as_mut_slice()).map_err(|_| SeatError::Random)?;
    let wrong = |cause| SeatError::Key { file: file.to_owned(), cause };
    let signer = Signer::of(name.clone(), Algorithm::Cosignature, &seed).map_err(wrong)?;
    let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(signer.text(&seed))));
    let written = write_new(file, 0o600, text.as_bytes());
    written.map_err(|cause| SeatError::Write { file: file.to_owned(), cause })?;
    Ok(signer)
}

fn read_key(path: &Path) -> Result<Signer, SeatError> {
    let failed = |cause| SeatError::Read { file: path.to_owned(), cause };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SeatError::Mode { file: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(LONGEST_KEY));
    file.take(LONGEST_KEY as u64).read_to_string(&mut text).map_err(failed)?;
    let signer = Signer::parse(text.trim_end());
    let signer = signer.map_err(|cause| SeatError::Key { file: path.to_owned(), cause })?;
    match signer.verifier().algorithm() {
        Algorithm::Cosignature => Ok(signer),
        Algorithm::Ed25519 => Err(SeatError::LogKey(path.to_owned())),
    }
}

fn read_owner(file: &Path) -> Result<VerifierKey, SeatError> {
    let text = fs::read_to_string(file).map_err(|cause| SeatError::Read { file: file.to_owned(), cause })?;
    VerifierKey::parse(text.trim_end()).map_err(|cause| SeatError::Key { file: file.to_owned(), cause })
}

/// Writes beside the name and then takes the name, so that half a file never bears it.
fn write_new(file: &Path, mode: u32, octets: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("new");
    let _gone = fs::remove_file(&beside);
    let mut written = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    written.write_all(octets)?;
    written.sync_all()?;
    fs::rename(&beside, file)?;
    match file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Why there is no witness.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    /// It cannot be made.
    #[error("`{}` cannot be made: {cause}", .dir.display())]
    Directory { dir: PathBuf, cause: io::Error },
    /// Another process has it.
    #[error("`{}` is in use by another witness: stop it, or name another directory with --state", .0.display())]
    Locked(PathBuf),
    /// A key is to be made and has no name.
    #[error("there is no key `{}` yet: --name says what the witness is called in its cosignatures, as in \
             `witness.example`", .0.display())]
    Name(PathBuf),
    /// The key has another name.
    #[error("the key of the witness is called `{is}`, not `{wanted}`: leave out --name")]
    OtherName { is: String, wanted: String },
    /// The key is gone.
    #[error("the key `{}` is not there, and the memory is of `{owner}`: put the key back, or begin anew in another \
             directory (logs must then be told the new key)", .key.display())]
    NoKey { key: PathBuf, owner: String },
    /// The memory is gone.
    #[error("the memory `{}` is not there: a witness that has forgotten would cosign a second history (put it \
             back as it was last, or begin anew with a new key in another directory)", .memory.display())]
    NoMemory { memory: PathBuf },
    /// Memory and key are of different witnesses.
    #[error("the memory in `{}` is of `{owner}`, and the key is that of `{key}`: name the directory and the key that \
             belong together", .dir.display())]
    Other { dir: PathBuf, owner: String, key: String },
    /// Others may read the key.
    #[error("the key `{}` has mode {mode:04o}, others may use it (chmod 600 it)", .file.display())]
    Mode { file: PathBuf, mode: u32 },
    /// It holds no key.
    #[error("`{}` holds no key of a witness: {cause}", .file.display())]
    Key { file: PathBuf, cause: KeyError },
    /// It holds a key of another kind.
    #[error("`{}` holds the key of a log, not of a witness", .0.display())]
    LogKey(PathBuf),
    /// It cannot be read.
    #[error("`{}` cannot be read: {cause}", .file.display())]
    Read { file: PathBuf, cause: io::Error },
    /// It cannot be written.
    #[error("`{}` cannot be written: {cause}", .file.display())]
    Write { file: PathBuf, cause: io::Error },
    /// The system gives no random octets.
    #[error("no random octets are to be had")]
    Random,
    /// It cannot be locked.
    #[error(transparent)]
    Data(DataError),
    /// The memory cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const LONGEST_KEY: usize = 1024;

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn name(text: &str) -> KeyName {
        KeyName::parse(text).unwrap()
    }

    async fn refused(dir: &Path, key: Option<&Path>, name: Option<&KeyName>) -> String {
        Seat::take(dir, key, name).await.map(|_| ()).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn memory_and_key_are_made_together_and_only_go_together() {
        let dir = TempDir::new().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        assert!(refused(&one, None, None).await.contains("--name"), "a key has a name");
        let seat = Seat::take(&one, None, Some(&name("w.example"))).await.unwrap();
        let key = seat.signer.verifier().clone();
        assert!(refused(&one, None, None).await.contains("in use"));
        drop(seat);
        let mode = fs::metadata(one.join("witness.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Seat::take(&one, None, None).await.unwrap().signer.verifier(), &key);
        assert!(refused(&one, None, Some(&name("x.example"))).await.contains("is called `w.example`"));
        drop(Seat::take(&two, None, Some(&name("v.example"))).await.unwrap());
        let other = two.join("witness.key");
        assert!(refused(&one, Some(&other), None).await.contains("is of `w.example+"));
        fs::rename(one.join("witness.db"), dir.path().join("db")).unwrap();
        assert!(refused(&one, None, None).await.contains("has forgotten"));
        fs::rename(dir.path().join("db"), one.join("witness.db")).unwrap();
        fs::remove_file(one.join("witness.key")).unwrap();
        assert!(refused(&one, None, Some(&name("w.example"))).await.contains("put the key back"));
    }

    #[tokio::test]
    async fn a_bad_key_says_what_is_wrong_and_nothing_of_itself() {
        let dir = TempDir::new().unwrap();
        let (seat, key) = (dir.path().join("seat"), dir.path().join("key"));
        fs::write(&key, "PRIVATE+KEY+w.example+00000000+c2VjcmV0").unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        assert!(refused(&seat, Some(&key), None).await.contains("chmod 600"));
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let says = refused(&seat, Some(&key), None).await;
        assert!(says.contains("holds no key of a witness") && !says.contains("c2VjcmV0"), "{says}");
        let log = Signer::of(name("gate.example/1"), Algorithm::Ed25519, &[1; 32]).unwrap();
        fs::write(&key, log.text(&[1; 32])).unwrap();
        assert!(refused(&seat, Some(&key), None).await.contains("the key of a log"));
    }
}
