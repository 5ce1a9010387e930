//! What `init` has made so far. Unless it is kept, all of it is taken away again, the last first.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::exit::{Code, Failure, talk};

/// Files and directories in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Made {
    things: Vec<Thing>,
    /// So many more steps succeed.
    #[cfg(test)]
    pub(super) steps_left: Option<usize>,
}

#[derive(Debug)]
enum Thing {
    File(PathBuf),
    /// Made by us, and empty again once what is in it is gone.
    Dir(PathBuf),
    /// Ours with everything in it.
    Tree(PathBuf),
    /// It was there, and empty: what is in it now is ours.
    Filled(PathBuf),
}

impl Made {
    /// Writes a new file, and the directories on the way to it.
    pub(super) fn file(&mut self, path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
        self.step(&path.display().to_string())?;
        let failed = |cause: io::Error| wrong(path, &cause);
        self.parents(path)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
        self.things.push(Thing::File(path.to_owned()));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// A directory whose whole contents are going to be ours; only its owner may look into it.
    pub(super) fn tree(&mut self, path: &Path) -> Result<(), Failure> {
        self.step(&path.display().to_string())?;
        if path.is_dir() {
            let private = fs::Permissions::from_mode(0o700);
            fs::set_permissions(path, private).map_err(|cause| wrong(path, &cause))?;
            self.things.push(Thing::Filled(path.to_owned()));
            return Ok(());
        }
        self.parents(path)?;
        DirBuilder::new().mode(0o700).create(path).map_err(|cause| wrong(path, &cause))?;
        self.things.push(Thing::Tree(path.to_owned()));
        Ok(())
    }

    /// Before each step: where tests let it fail.
    pub(super) fn step(&mut self, what: &str) -> Result<(), Failure> {
        #[cfg(test)]
        if let Some(left) = &mut self.steps_left {
            *left =
                left.checked_sub(1).ok_or_else(|| Failure::internal(format!("no step left for {what}")))?;
        }
        let _only_tests_ask = what;
        Ok(())
    }

    /// Nothing is taken away any more; what was made.
    pub(super) fn keep(mut self) -> Vec<PathBuf> {
        let things = std::mem::take(&mut self.things);
        let path = |thing| match thing {
            Thing::File(path) | Thing::Tree(path) | Thing::Filled(path) => Some(path),
            Thing::Dir(_) => None,
        };
        things.into_iter().filter_map(path).collect()
    }

    fn parents(&mut self, path: &Path) -> Result<(), Failure> {
        let mut missing: Vec<&Path> = Vec::new();
        for dir in path.ancestors().skip(1) {
            if dir.as_os_str().is_empty() || dir.exists() {
                break;
            }
            missing.push(dir);
        }
        for dir in missing.into_iter().rev() {
            DirBuilder::new().mode(0o755).create(dir).map_err(|cause| wrong(dir, &cause))?;
            self.things.push(Thing::Dir(dir.to_owned()));
        }
        Ok(())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for thing in self.things.drain(..).rev() {
            let (path, gone) = match &thing {
                Thing::File(path) => (path, fs::remove_file(path)),
                Thing::Dir(path) => (path, fs::remove_dir(path)),
                Thing::Tree(path) => (path, fs::remove_dir_all(path)),
                Thing::Filled(path) => (path, empty(path)),
            };
            if let Err(cause) = gone {
                talk(&format!(
                    "countersign: `{}` was made and cannot be removed again: {cause}",
                    path.display()
                ));
            }
        }
    }
}

fn empty(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

fn wrong(path: &Path, cause: &io::Error) -> Failure {
    Failure::new(Code::Configuration, format!("`{}` cannot be written: {cause}", path.display()))
}
