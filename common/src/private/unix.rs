//! Unix: permission bits.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::Readable;

pub(super) fn create_file(path: &Path, readable: Readable) -> io::Result<File> {
    let mode = match readable {
        Readable::Owner | Readable::Agent => 0o600,
        Readable::All => 0o644,
    };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

pub(super) fn create_directory(path: &Path, readable: Readable) -> io::Result<()> {
    let mode = match readable {
        Readable::Owner | Readable::Agent => 0o700,
        Readable::All => 0o755,
    };
    DirBuilder::new().mode(mode).create(path)
}

/// A name is on disk when its directory is.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    let parent = to.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
