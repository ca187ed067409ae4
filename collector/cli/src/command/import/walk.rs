//! Which files a directory holds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::companion::Companion;

/// Deepest directory below one that was named.
const MAX_DEPTH: usize = 32;

/// Finds the files below a path in the order of their names. Hidden ones count only when named, and what lies
/// beside a file as its hash or signature is no file of its own.
pub(super) fn collect(
    path: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    refuse: &mut impl FnMut(&Path, String),
) {
    let kind = match fs::metadata(path) {
        Ok(it) => it.file_type(),
        Err(cause) => return refuse(path, format!("cannot be read: {cause}")),
    };
    if kind.is_file() {
        if !has_file_beside(path) {
            files.push(path.to_owned());
        }
        return;
    }
    if !kind.is_dir() {
        return refuse(path, "neither a file nor a directory".into());
    }
    if depth > MAX_DEPTH {
        return refuse(path, format!("more than {MAX_DEPTH} directories deep"));
    }
    let listed = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match listed {
        Ok(it) => it,
        Err(cause) => return refuse(path, format!("cannot be listed: {cause}")),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        let is_linked_directory = entry.file_type().is_ok_and(|it| it.is_symlink()) && path.is_dir();
        if !is_hidden && !is_linked_directory {
            collect(&path, depth + 1, files, refuse);
        }
    }
}

/// Whether this is a hash or signature of a file that lies beside it.
fn has_file_beside(path: &Path) -> bool {
    let name = path.to_string_lossy();
    Companion::named(&name).is_some_and(|it| Path::new(&it.of).is_file())
}
