//! Replacing a small file so that a crash leaves the old bytes or the new ones.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::private;
pub use crate::private::Readable;

/// Writes `bytes` beside `path`, syncs them, and renames them over it.
///
/// # Errors
/// Whatever the file system says; `path` then still holds what it held.
pub fn replace(path: &Path, bytes: &[u8], readable: Readable) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let mut new_name = name.to_os_string();
    new_name.push(".new");
    let new = path.with_file_name(new_name);

    // A leftover may have another mode; a fresh file never inherits one.
    match fs::remove_file(&new) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let written = private::create_file(&new, readable).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(cause) = written.and_then(|()| private::rename(&new, path)) {
        // The write has failed already; a leftover is removed by the next one.
        let _ = fs::remove_file(&new);
        return Err(cause);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_key_is_readable_by_its_owner_alone_even_over_a_loose_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        fs::write(&path, b"old").unwrap();

        replace(&path, b"secret", Readable::Owner).unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_refused_write_keeps_the_old_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sequence");
        fs::write(&path, b"7").unwrap();
        fs::create_dir(dir.path().join("sequence.new")).unwrap();

        assert!(replace(&path, b"8", Readable::Owner).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"7");
    }
}
