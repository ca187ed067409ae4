//! Making files and directories that nobody reads but those they are for, and replacing them for good.
//!
//! | for | Unix | Windows |
//! |---|---|---|
//! | the owner | mode 0600, directories 0700 | the owner, administrators and SYSTEM |
//! | the agent | the same | the same, and the service `holdpoint-agent` |
//! | everybody | mode 0644 | as the directory passes on |
//!
//! On Windows such a file inherits nothing: whatever its directory grants, these alone are in its list.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as os;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as os;

use std::fs::File;
use std::io;
use std::path::Path;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readable {
    /// The owner alone: an operator's key, a certificate authority.
    Owner,
    /// The owner and the agent's service: its key and its state, which an administrator makes and the
    /// service's own account goes on with.
    Agent,
    /// Everybody: certificates, reports.
    All,
}

/// Creates a file that is not there yet, for writing.
///
/// # Errors
/// There is something of that name (`AlreadyExists`), or the file system refuses.
pub fn create_file(path: &Path, readable: Readable) -> io::Result<File> {
    os::create_file(path, readable)
}

/// Creates a directory that is not there yet. What is made inside without a list of its own is for the
/// same readers.
///
/// # Errors
/// As [`create_file`].
pub fn create_directory(path: &Path, readable: Readable) -> io::Result<()> {
    os::create_directory(path, readable)
}

/// Puts a file in the place of another one of the same directory; when this returns, the new name is on
/// disk.
///
/// # Errors
/// Whatever the file system says; the other file is then still there.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    os::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        for readable in [Readable::Owner, Readable::Agent, Readable::All] {
            let (file, folder) =
                (dir.path().join(format!("{readable:?}")), dir.path().join(format!("{readable:?}.d")));
            create_file(&file, readable).unwrap();
            create_directory(&folder, readable).unwrap();
            assert_eq!(create_file(&file, readable).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(create_directory(&folder, readable).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
    }

    #[test]
    fn a_file_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new"), dir.path().join("old"));
        std::fs::write(&new, b"new").unwrap();
        std::fs::write(&old, b"old").unwrap();
        rename(&new, &old).unwrap();
        assert_eq!(std::fs::read(&old).unwrap(), b"new");
        assert_eq!(rename(&new, &old).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
