//! Archives that are carried in: read member by member, in memory, bounded; nothing is ever written or opened by
//! a name from inside.
//!
//! The kind is seen in the content. A member is at most [`MAX_MEMBER`] bytes; how many members, how much they
//! unpack to and how that stands to the archive's own size are bounded before anything is handed on, so that no
//! archive costs more than a few members' memory or an unbounded time. Links, devices and directories are no files.

mod meter;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use flate2::bufread::MultiGzDecoder;
use holdpoint_collector::knowledge::MAX_FILE;

/// Largest member, in bytes: no larger file is imported.
pub const MAX_MEMBER: u64 = MAX_FILE as u64;
/// Most members of one archive.
pub const MAX_MEMBERS: u64 = 100_000;
/// Most bytes that one archive may unpack to.
pub const MAX_TOTAL: u64 = 16 * 1024 * 1024 * 1024;
/// How many times its own size an archive may unpack to; text packs ten to thirty times.
pub const MAX_RATIO: u64 = 150;
/// What any archive may unpack to, whatever its size.
pub const FREE: u64 = 64 * 1024 * 1024;
/// Longest name of a member that is shown, in characters.
const MAX_NAME: usize = 200;
/// Memory that a compressed frame may ask for, as a power of two.
const ZSTD_WINDOW: u32 = 25;
/// A file of tar says so at this place.
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// What kind of archive a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Zip.
    Zip,
    /// Tar as it is.
    Tar,
    /// Tar in gzip.
    TarGzip,
    /// Tar in Zstandard.
    TarZstd,
}

/// Why an archive is not read any further, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum InvalidArchive {
    /// Not readable, or damaged.
    #[error("the archive cannot be read: {0}")]
    Read(String),
    /// More members than an honest archive has.
    #[error("it has more than {MAX_MEMBERS} members; the rest is not read")]
    TooMany,
    /// More than any archive may unpack to.
    #[error("it unpacks to more than {} GiB; the rest is not read", MAX_TOTAL >> 30)]
    TooLarge,
    /// Packed far tighter than text.
    #[error("it unpacks to more than {MAX_RATIO} times its size; the rest is not read")]
    Ratio,
}

impl From<io::Error> for InvalidArchive {
    fn from(error: io::Error) -> Self {
        Self::Read(shown(&error.to_string()))
    }
}

/// A member of an archive.
#[derive(Debug)]
pub struct Member {
    /// Its path inside, harmless: it is only shown.
    pub name: String,
    /// Its bytes, or why it is not read, in one sentence.
    pub content: Result<Vec<u8>, String>,
}

/// Sees what kind of archive a file is; `None` for everything else, also for a gzip or zstd file that holds no tar.
///
/// # Errors
/// The file cannot be read.
pub fn kind_of<R: Read + Seek>(file: &mut R) -> io::Result<Option<Kind>> {
    let mut head = [0; 512];
    file.seek(SeekFrom::Start(0))?;
    let read = fill(file, &mut head)?;
    file.seek(SeekFrom::Start(0))?;
    let head = &head[..read];
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Ok(Some(Kind::Zip));
    }
    if is_tar(head) {
        return Ok(Some(Kind::Tar));
    }
    let packed = if head.starts_with(&[0x1f, 0x8b, 8]) {
        Kind::TarGzip
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Kind::TarZstd
    } else {
        return Ok(None);
    };
    let mut first = [0; 512];
    let read = unpacking(packed, &mut *file).and_then(|mut it| fill(&mut it, &mut first));
    file.seek(SeekFrom::Start(0))?;
    // A damaged frame is no archive; whoever reads the file says what is wrong with it.
    Ok(read.ok().filter(|it| is_tar(&first[..*it])).map(|_| packed))
}

fn is_tar(head: &[u8]) -> bool {
    head.get(TAR_MAGIC.0..).is_some_and(|it| it.starts_with(TAR_MAGIC.1))
}

fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// The bytes inside a packed stream. The memory of either packing is bounded.
fn unpacking<'a>(kind: Kind, file: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let file: Box<dyn BufRead + 'a> = Box::new(BufReader::new(file));
    Ok(match kind {
        Kind::Zip | Kind::Tar => Box::new(file),
        Kind::TarGzip => Box::new(MultiGzDecoder::new(file)),
        Kind::TarZstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
    })
}

/// Reads an archive and hands on the members that are wanted, in its order. `open` gives the file from its beginning,
/// as often as it is asked; `wanted` sees a member's name. The receiver may end it at any time.
///
/// # Errors
/// The archive is damaged or over a limit; what was handed on before stays handed on.
pub fn read<R: Read + Seek>(
    kind: Kind,
    open: impl Fn() -> io::Result<R>,
    wanted: impl Fn(&str) -> bool,
    mut receive: impl FnMut(Member) -> ControlFlow<()>,
) -> Result<(), InvalidArchive> {
    let mut file = open()?;
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut counts = Counts { members: 0, total: 0, size };
    match kind {
        Kind::Zip => zip::read(file, open()?, &mut counts, &wanted, &mut receive),
        Kind::Tar | Kind::TarGzip | Kind::TarZstd => {
            tar::read(unpacking(kind, file)?, &mut counts, &wanted, &mut receive)
        }
    }
}

/// What an archive has cost so far.
struct Counts {
    members: u64,
    total: u64,
    /// Of the archive itself, in bytes.
    size: u64,
}

impl Counts {
    /// One more member, whether it is a file or not.
    fn member(&mut self) -> Result<(), InvalidArchive> {
        self.members += 1;
        if self.members > MAX_MEMBERS { Err(InvalidArchive::TooMany) } else { Ok(()) }
    }

    /// More bytes out of it.
    fn bytes(&mut self, more: u64) -> Result<(), InvalidArchive> {
        self.total = self.total.saturating_add(more);
        if self.total > MAX_TOTAL {
            return Err(InvalidArchive::TooLarge);
        }
        if self.total > FREE && self.total > self.size.saturating_mul(MAX_RATIO) {
            return Err(InvalidArchive::Ratio);
        }
        Ok(())
    }
}

/// Reads a member's bytes up to the limit.
fn content(mut member: impl Read, counts: &mut Counts) -> Result<Result<Vec<u8>, String>, InvalidArchive> {
    let mut bytes = Vec::new();
    let read = (&mut member).take(MAX_MEMBER + 1).read_to_end(&mut bytes);
    counts.bytes(len(&bytes))?;
    Ok(match read {
        Err(error) => Err(format!("it cannot be unpacked: {}", shown(&error.to_string()))),
        Ok(_) if len(&bytes) > MAX_MEMBER => {
            Err(format!("it is larger than {} MiB", MAX_MEMBER / 1024 / 1024))
        }
        Ok(_) if is_archive(&bytes) => {
            Err("it is an archive inside an archive, which is not opened".to_owned())
        }
        Ok(_) => Ok(bytes),
    })
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn is_archive(bytes: &[u8]) -> bool {
    let mut bytes = io::Cursor::new(bytes);
    matches!(kind_of(&mut bytes), Ok(Some(_)))
}

/// A member's path as it may be shown: no root, no way up, no control characters. `None` for hidden files, which
/// are no more wanted here than in a directory.
fn harmless(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let parts: Vec<&str> = text
        .split(['/', '\\'])
        .filter(|it| !it.is_empty() && *it != "." && *it != ".." && !it.ends_with(':'))
        .collect();
    if parts.is_empty() || parts.iter().any(|it| it.starts_with('.')) || parts[0] == "__MACOSX" {
        return None;
    }
    let joined = parts.join("/");
    let count = joined.chars().count();
    // The end of a path says more than its beginning, and half a part of it could be a root or a way up.
    let cut = count.saturating_sub(MAX_NAME);
    let end: String = joined.chars().skip(cut).collect();
    let end = match end.split_once('/') {
        Some((_, whole_parts)) if cut > 0 => whole_parts,
        Some(_) | None => &end,
    };
    Some(end.chars().map(|it| if it.is_control() { ' ' } else { it }).collect())
}

fn shown(text: &str) -> String {
    holdpoint_collector::knowledge::text::shown(text, 150)
}
