//! Opening what a probe reads so that nothing on the host can hold the agent up.
//!
//! A link in the last place is refused, and so is everything but a regular file: a FIFO
//! would block, a device could act on being opened. The file is opened without blocking and
//! judged by what was opened, not by what was there a moment before.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a regular file for reading and says how large it claims to be, in bytes.
///
/// # Errors
/// The file cannot be opened, is a link, or is no regular file.
pub(super) fn regular(path: &Path) -> io::Result<(File, u64)> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// Should it be a pipe after all, its other end learns who asks and gets no rights of its own. A link is
/// refused before: opened as itself (`FILE_FLAG_OPEN_REPARSE_POINT`), a file that Windows keeps compressed or
/// elsewhere, which is marked in the same way, could show its mark in place of its content.
#[cfg(windows)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;
    /// `SECURITY_IDENTIFICATION` of winbase.h.
    const IDENTIFICATION: u32 = 0x0001_0000;
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    std::fs::OpenOptions::new().read(true).security_qos_flags(IDENTIFICATION).open(path)
}

/// Fills a buffer from a place in a file.
///
/// # Errors
/// The file ends before the buffer is full, or cannot be read there.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
pub(super) fn read_exact_at(mut file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}
