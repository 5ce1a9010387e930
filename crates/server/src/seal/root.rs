//! The root key: 32 random octets in a file of their own, outside the store and its backups.
//! Boot makes or reads it; `Keys` derives everything else from it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::envelope::SealError;

/// The root key. It never leaves this module; only what is derived from it does.
pub struct RootKey(Prk);

impl RootKey {
    /// Makes a key and writes it to a new file of mode 0600, as base64 and a line end.
    ///
    /// # Errors
    /// When the file is there already: a key that is overwritten takes the store with it.
    pub fn create(path: &Path) -> Result<Self, RootKeyError> {
        let mut key = Zeroizing::new([0_u8; LENGTH]);
        aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| RootKeyError::Random)?;
        // Room for all of it, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LENGTH));
        STANDARD.encode_string(key.as_slice(), &mut text);
        text.push('\n');
        match write_new(path, text.as_bytes()) {
            Ok(()) => Ok(Self::of(&key)),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                Err(RootKeyError::Exists { path: path.to_owned() })
            }
            Err(cause) => Err(RootKeyError::Write { path: path.to_owned(), cause }),
        }
    }

    /// Reads the key.
    ///
    /// # Errors
    /// When others may read the file, or it does not hold 32 octets as base64.
    pub fn read(path: &Path) -> Result<Self, RootKeyError> {
        let failed = |cause| RootKeyError::Read { path: path.to_owned(), cause };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(RootKeyError::Mode { path: path.to_owned(), mode });
        }
        // Room for one octet more than any right file has: a longer one is seen to be longer.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LENGTH * 2));
        let read = file.take(TEXT_LENGTH as u64 * 2).read_to_string(&mut text);
        read.map_err(failed)?;
        let wrong = || RootKeyError::Content { path: path.to_owned() };
        let octets = Zeroizing::new(STANDARD.decode(text.trim_end()).map_err(|_| wrong())?);
        let key: Zeroizing<[u8; LENGTH]> = Zeroizing::new(octets.as_slice().try_into().map_err(|_| wrong())?);
        Ok(Self::of(&key))
    }

    /// The HKDF-SHA256 pseudorandom key of it; the octets themselves are not kept.
    pub(crate) fn of(key: &[u8; LENGTH]) -> Self {
        Self(Salt::new(HKDF_SHA256, b"countersign/root/1").extract(key))
    }

    /// A key for one purpose, by HKDF-SHA256.
    pub(crate) fn derive(&self, label: &str) -> Result<Zeroizing<[u8; LENGTH]>, SealError> {
        let mut out = Zeroizing::new([0_u8; LENGTH]);
        let info = [label.as_bytes()];
        let filled = self.0.expand(&info, HKDF_SHA256).and_then(|okm| okm.fill(out.as_mut_slice()));
        filled.map_err(|_| SealError::Broken)?;
        Ok(out)
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey(..)")
    }
}

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// A key is there already.
    #[error("the root key file `{}` exists already and is not overwritten: the store cannot be read without it", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("the root key file `{}` cannot be written: {cause}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file cannot be read.
    #[error("the root key file `{}` cannot be read: {cause}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others may read it.
    #[error("the root key file `{}` has mode {mode:04o}, others may use it (chmod 600 it)", .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not a key.
    #[error("the root key file `{}` does not hold a key: 32 octets as one line of base64 are expected", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("the system gives no random numbers")]
    Random,
}

const LENGTH: usize = 32;
/// 32 octets as base64 and a line end.
const TEXT_LENGTH: usize = 45;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, content: &str, mode: u32) -> PathBuf {
        let path = dir.join("root.key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn what_is_created_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.key");
        let made = RootKey::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), TEXT_LENGTH as u64);
        assert_eq!(made.derive("x").unwrap(), RootKey::read(&path).unwrap().derive("x").unwrap());
        assert_ne!(made.derive("x").unwrap(), made.derive("y").unwrap());
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.key");
        let made = RootKey::create(&path).unwrap();
        assert!(matches!(RootKey::create(&path), Err(RootKeyError::Exists { .. })));
        assert_eq!(made.derive("x").unwrap(), RootKey::read(&path).unwrap().derive("x").unwrap());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), &STANDARD.encode([7; 32]), 0o640);
        let error = RootKey::read(&path).unwrap_err().to_string();
        assert!(error.ends_with("has mode 0640, others may use it (chmod 600 it)"), "{error}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["", "x", &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33]), &"A".repeat(500)] {
            let path = write(dir.path(), content, 0o600);
            assert!(matches!(RootKey::read(&path), Err(RootKeyError::Content { .. })), "{content}");
        }
        let path = write(dir.path(), &STANDARD.encode([7; 32]), 0o400);
        assert!(RootKey::read(&path).is_ok(), "without a line end, read-only");
    }

    #[test]
    fn it_does_not_print_itself() {
        assert_eq!(format!("{:?}", RootKey::of(&[7; 32])), "RootKey(..)");
    }
}
