//! Secrets in files of their own: never in a configuration, a flag or a variable.
//! `apply` reads credentials' with it, the SMTP client its user and password.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why a secret cannot be read. No message repeats any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be opened or read.
    #[error("cannot read the secret in `{}`: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// It is there but not as it should be.
    #[error("the secret in `{}` {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

/// Reads a secret of one line; the newline at its end is cut.
///
/// # Errors
/// When the file cannot be read, is empty, has a second line or more than 1 KiB.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let text = read(path)?;
    let line = without_newline(&text);
    match (line.is_empty(), line.contains(['\n', '\r', '\0'])) {
        (true, _) => Err(wrong(path, "is empty")),
        (false, true) => Err(wrong(path, "has more than one line")),
        (false, false) => Ok(Zeroizing::new(line.to_owned())),
    }
}

/// Reads an `auth_file`: user on the first line, password on the second.
///
/// # Errors
/// When the file cannot be read, everybody may read it, or it has not exactly two lines or more than 1 KiB.
pub fn read_auth_file(path: &Path) -> Result<(String, Zeroizing<String>), SecretError> {
    let mode = std::fs::metadata(path).map(|file| file.permissions().mode());
    if mode.is_ok_and(|mode| mode & READ_BY_OTHERS != 0) {
        return Err(wrong(path, "can be read by everybody (`chmod 0640`, or 0600)"));
    }
    let text = read(path)?;
    let lines = without_newline(&text).split_once('\n');
    let (user, password) = lines.ok_or_else(|| wrong(path, "has not two lines, user then password"))?;
    let user = user.strip_suffix('\r').unwrap_or(user);
    let bad = |line: &str| line.is_empty() || line.contains(['\n', '\r', '\0']);
    match bad(user) || bad(password) {
        true => Err(wrong(path, "has not two lines, user then password")),
        false => Ok((user.to_owned(), Zeroizing::new(password.to_owned()))),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let unreadable = |cause| SecretError::Unreadable { path: path.to_owned(), cause };
    let file = File::open(path).map_err(unreadable)?;
    // Room for all of it from the start: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST as usize + 64));
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST {
        return Err(wrong(path, "is longer than 1024 octets"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(wrong(path, "is not UTF-8")),
    }
}

fn without_newline(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

fn wrong(path: &Path, why: &'static str) -> SecretError {
    SecretError::Wrong { path: path.to_owned(), why }
}

const MOST: u64 = 1024;
const READ_BY_OTHERS: u32 = 0o004;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn secret(content: &[u8]) -> Result<String, String> {
        let file = file(content);
        let shown = file.path().display().to_string();
        read_secret(file.path())
            .map(|secret| secret.as_str().to_owned())
            .map_err(|error| error.to_string().replace(&shown, "F"))
    }

    #[test]
    fn one_trailing_newline_is_cut_and_nothing_else() {
        assert_eq!(secret(b"s3cret\n").unwrap(), "s3cret");
        assert_eq!(secret(b"s3cret\r\n").unwrap(), "s3cret");
        assert_eq!(secret(b" s3cret ").unwrap(), " s3cret ");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_repeating_it() {
        assert_eq!(secret(b"").unwrap_err(), "the secret in `F` is empty");
        assert_eq!(secret(b"\n").unwrap_err(), "the secret in `F` is empty");
        assert_eq!(secret(b"one\ntwo\n").unwrap_err(), "the secret in `F` has more than one line");
        assert_eq!(secret(b"one\n\n").unwrap_err(), "the secret in `F` has more than one line");
        assert_eq!(secret(b"\xff\xfe").unwrap_err(), "the secret in `F` is not UTF-8");
        assert_eq!(secret(&[b'a'; 1025]).unwrap_err(), "the secret in `F` is longer than 1024 octets");
        assert!(secret(&[b'a'; 1024]).is_ok());
    }

    #[test]
    fn a_secret_that_is_not_there_names_its_file() {
        let error = read_secret(Path::new("/nowhere/secret")).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot read the secret in `/nowhere/secret`: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn an_auth_file_has_user_and_password() {
        let (user, password) = read_auth_file(file(b"relay\r\npass word\r\n").path()).unwrap();
        assert_eq!((user.as_str(), password.as_str()), ("relay", "pass word"));
        for bad in [&b"relay\n"[..], b"\npass\n", b"relay\n\n", b"relay\npass\nmore\n"] {
            let error = read_auth_file(file(bad).path()).unwrap_err().to_string();
            assert!(error.ends_with("has not two lines, user then password"), "{error}");
        }
        let open = file(b"relay\npass\n");
        std::fs::set_permissions(open.path(), PermissionsExt::from_mode(0o644)).unwrap();
        let error = read_auth_file(open.path()).unwrap_err().to_string();
        assert!(error.ends_with("can be read by everybody (`chmod 0640`, or 0600)"), "{error}");
        std::fs::set_permissions(open.path(), PermissionsExt::from_mode(0o640)).unwrap();
        assert!(read_auth_file(open.path()).is_ok());
    }
}
