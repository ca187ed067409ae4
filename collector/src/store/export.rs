//! Backup and restore, and with them compaction and conversion: one format, one code path.
//!
//! A backup is one zstd stream: a title, a `BackupRecord`, then every key and content as two
//! length-prefixed byte strings (u32, little-endian) in the order of the keys, then an end mark,
//! the number of entries and the SHA-256 of all before it. Chunks are an affair of the engine
//! and do not travel. Nothing is taken into use before the trailer was right.

use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use holdpoint_proto::store::BackupRecord;
use prost::Message;

use super::backend::{Backend, Batch};
use super::catalog::each;
use super::error::StoreError;
use super::keys::{Digest, Table};
use super::value::{self, MAX_VALUE};

const TITLE: &[u8; 24] = b"holdpoint store backup 1";
pub(super) const FORMAT: u32 = 1;
const END: u32 = u32::MAX;
const MAX_KEY: usize = 4096;
const LEVEL: i32 = 3;
/// Size of a batch on import, in bytes and changes: a large one would double the engine's memory.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_CHANGES: usize = 400;

/// What went into a backup or came out of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupSummary {
    /// Records, without those that describe the backup.
    pub entries: u64,
    /// Bytes of keys and contents before compression.
    pub bytes: u64,
    /// SHA-256 over the uncompressed stream: equal for equal stores.
    pub digest: Digest,
    /// The last transaction that is in it.
    pub sequence: u64,
}

/// Writes everything that the engine holds.
pub(super) fn export(
    backend: &dyn Backend,
    store: (&[u8], u64),
    out: &mut dyn Write,
) -> Result<BackupSummary, StoreError> {
    let failed = |source| StoreError::Stream { doing: "write", source };
    let (id, sequence) = store;
    let zstd = zstd::stream::write::Encoder::new(out, LEVEL).map_err(failed)?;
    let mut out = Hashed { inner: zstd, context: Context::new(&SHA256) };

    let head = BackupRecord {
        format: FORMAT,
        store_id: id.to_vec(),
        sequence,
        // The digest is the same for the same records, whichever engine holds them.
        engine: String::new(),
    };
    out.write_all(TITLE).map_err(failed)?;
    write_bytes(&mut out, &head.encode_to_vec()).map_err(failed)?;
    let (mut entries, mut bytes) = (0, 0);
    for table in Table::ALL.into_iter().filter(|&it| it != Table::Chunk) {
        each(backend, &table.prefix(), |key, content| {
            entries += 1;
            // A usize has at most 64 bits on every target that this runs on.
            bytes += u64::try_from(key.len() + content.len()).unwrap_or(0);
            write_bytes(&mut out, key).and_then(|()| write_bytes(&mut out, content)).map_err(failed)
        })?;
    }
    out.write_all(&END.to_le_bytes())
        .and_then(|()| out.write_all(&u64::to_le_bytes(entries)))
        .map_err(failed)?;
    let Hashed { inner: mut zstd, context } = out;
    let digest = finish(context);
    zstd.write_all(&digest).map_err(failed)?;
    zstd.finish().and_then(Write::flush).map_err(failed)?;
    Ok(BackupSummary { entries, bytes, digest, sequence })
}

/// Reads a backup into an empty engine and flushes it. What was read before a fault is in the
/// engine all the same: the caller throws it away.
pub(super) fn import(input: &mut dyn Read, backend: &dyn Backend) -> Result<BackupSummary, StoreError> {
    let zstd = zstd::stream::read::Decoder::new(input).map_err(cut)?;
    let mut input = Hashed { inner: zstd, context: Context::new(&SHA256) };
    let mut title = [0; TITLE.len()];
    input.read_exact(&mut title).map_err(cut)?;
    if title != *TITLE {
        return Err(StoreError::Backup { why: "it is no backup of a Holdpoint store" });
    }
    let length = read_length(&mut input)?;
    let head = BackupRecord::decode(read_bytes(&mut input, length, MAX_KEY)?.as_slice())
        .map_err(|_| StoreError::Backup { why: "its head cannot be read" })?;
    if head.format != FORMAT {
        return Err(StoreError::Backup { why: "its format is not known to this version" });
    }

    let mut batch = Batch::default();
    let (mut entries, mut bytes) = (0_u64, 0);
    let mut last: Vec<u8> = Vec::new();
    loop {
        let length = read_length(&mut input)?;
        if length == END {
            break;
        }
        let key = read_bytes(&mut input, length, MAX_KEY)?;
        let length = read_length(&mut input)?;
        let content = read_bytes(&mut input, length, MAX_VALUE)?;
        if Table::of(&key).is_none_or(|it| it == Table::Chunk) || key == last {
            return Err(StoreError::Backup { why: "it holds a record that no store has" });
        }
        last.clone_from(&key);
        entries += 1;
        bytes += u64::try_from(key.len() + content.len()).unwrap_or(0);
        value::put_new(&mut batch, key, &content);
        if batch.bytes() >= BATCH_BYTES || batch.len() >= BATCH_CHANGES {
            backend.apply(&std::mem::take(&mut batch)).map_err(StoreError::engine("restore"))?;
        }
    }
    let mut count = [0; 8];
    input.read_exact(&mut count).map_err(cut)?;
    let Hashed { inner: mut zstd, context } = input;
    let (digest, mut trailer) = (finish(context), [0; 32]);
    zstd.read_exact(&mut trailer).map_err(cut)?;
    if trailer != digest || u64::from_le_bytes(count) != entries {
        return Err(StoreError::Backup { why: "it was altered: its digest differs" });
    }
    if zstd.read(&mut [0]).map_err(cut)? != 0 {
        return Err(StoreError::Backup { why: "something follows its end" });
    }
    if !batch.is_empty() {
        backend.apply(&batch).map_err(StoreError::engine("restore"))?;
    }
    backend.flush().map_err(StoreError::engine("flush"))?;
    Ok(BackupSummary { entries, bytes, digest, sequence: head.sequence })
}

/// A stream that ends or cannot be unpacked is a truncated or altered backup.
fn cut(source: io::Error) -> StoreError {
    let kind = source.kind();
    if kind == io::ErrorKind::UnexpectedEof {
        StoreError::Backup { why: "it is truncated" }
    } else if matches!(kind, io::ErrorKind::Other | io::ErrorKind::InvalidData) {
        StoreError::Backup { why: "it cannot be unpacked" }
    } else {
        StoreError::Stream { doing: "read", source }
    }
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

fn read_length(input: &mut impl Read) -> Result<u32, StoreError> {
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(cut)?;
    Ok(u32::from_le_bytes(length))
}

/// Allocates only what really arrives.
fn read_bytes(input: &mut impl Read, length: u32, limit: usize) -> Result<Vec<u8>, StoreError> {
    if usize::try_from(length).is_ok_and(|length| length <= limit) {
        let mut bytes = Vec::new();
        input.take(u64::from(length)).read_to_end(&mut bytes).map_err(cut)?;
        if u32::try_from(bytes.len()) == Ok(length) {
            return Ok(bytes);
        }
        return Err(StoreError::Backup { why: "it is truncated" });
    }
    Err(StoreError::Backup { why: "it holds a record that is too large" })
}

fn finish(context: Context) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Hashes what passes.
struct Hashed<T> {
    inner: T,
    context: Context,
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.context.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.context.update(&bytes[..read]);
        Ok(read)
    }
}
