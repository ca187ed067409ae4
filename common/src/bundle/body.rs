//! The body: a list, packed by zstd, and unpacked within bounds that are known before the first byte is.

use std::io::Read;

use zstd::zstd_safe::{get_dict_id_from_frame, get_frame_content_size};

use super::header::Kind;
use super::open::InvalidBundle;
use super::record::{ByClass, MAX_RECORDS, Record};
use super::strict::{self, Flaw, Reader, Writer};

/// Largest body, unpacked, in bytes.
pub const MAX_BODY: usize = 64 * 1024 * 1024;
/// How many times larger than its packed form a body may be.
pub const MAX_RATIO: usize = 200;
/// Up to this size, in bytes, the ratio is not asked for: so much hurts nobody, and a sender whose records
/// are very much alike can always cut its bundles down to it.
pub const FREE_OF_RATIO: usize = 1024 * 1024;
/// Most statements of one bundle.
pub const MAX_STATEMENTS: usize = 64;

/// Largest window that a frame may ask for, as a power of two: 8 MiB.
const WINDOW_LOG: u32 = 23;
/// The bit of a frame's descriptor that says that its window is its content.
const SINGLE_SEGMENT: u8 = 0x20;
/// As for sections: CPU of the sender matters more than the last tenth of the size.
const LEVEL: i32 = 3;
/// The first bytes of a zstd frame. Older formats and frames to be skipped begin otherwise.
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a bundle carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// In rising order of their keys, each key once.
    Records(Vec<Record>),
    /// Certified statements about keys, as they travel by themselves.
    Statements(Vec<Vec<u8>>),
    /// A beacon's.
    Nothing,
}

impl Body {
    /// Its records by class.
    pub fn counts(&self) -> ByClass {
        match self {
            Self::Records(records) => records.iter().map(|it| it.key.class()).collect(),
            Self::Statements(_) | Self::Nothing => ByClass::default(),
        }
    }

    /// Whether a bundle of this kind has such a body.
    pub(super) fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::Records(records) => match kind {
                Kind::Delta | Kind::Slice { .. } | Kind::Evidence => true,
                Kind::DropRecord => records.is_empty(),
                Kind::KeyStatement | Kind::Beacon => false,
            },
            Self::Statements(_) => kind == Kind::KeyStatement,
            Self::Nothing => kind == Kind::Beacon,
        }
    }

    /// The bytes as they travel, unpacked.
    pub fn write(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Records(records) => {
                writer.array(records.len());
                for record in records {
                    record.write(&mut writer);
                }
            }
            Self::Statements(statements) => {
                writer.array(statements.len());
                for statement in statements {
                    writer.bytes(statement);
                }
            }
            Self::Nothing => {}
        }
        writer.finish()
    }

    /// Reads an unpacked body of a bundle of this kind.
    ///
    /// # Errors
    /// It is not in strict form, not of the layout, or over a limit.
    pub fn read(kind: Kind, bytes: &[u8]) -> Result<Self, Flaw> {
        if kind == Kind::Beacon {
            return if bytes.is_empty() {
                Ok(Self::Nothing)
            } else {
                Err(Flaw::Value("a body behind a beacon"))
            };
        }
        strict::only(bytes)?;
        let mut reader = Reader::new(bytes);
        if kind == Kind::KeyStatement {
            let count =
                at_most(reader.array("a list of statements")?, MAX_STATEMENTS, "too many statements")?;
            let statement = |_| reader.bytes("a statement").map(<[u8]>::to_vec);
            return (0..count).map(statement).collect::<Result<_, _>>().map(Self::Statements);
        }
        let count = at_most(reader.array("a list of records")?, MAX_RECORDS, "too many records")?;
        let mut records: Vec<Record> = Vec::new();
        for _ in 0..count {
            let record = Record::read(&mut reader)?;
            if records.last().is_some_and(|last| last.key >= record.key) {
                return Err(Flaw::Value("records that are not in order, or one of them twice"));
            }
            records.push(record);
        }
        let body = Self::Records(records);
        if body.fits(kind) { Ok(body) } else { Err(Flaw::Value("records where there may be none")) }
    }
}

fn at_most(count: u64, max: usize, fault: &'static str) -> Result<usize, Flaw> {
    usize::try_from(count).ok().filter(|it| *it <= max).ok_or(Flaw::Value(fault))
}

/// Packs a body; an empty one is packed as nothing.
pub(super) fn pack(body: &[u8]) -> std::io::Result<Vec<u8>> {
    if body.is_empty() { Ok(Vec::new()) } else { zstd::bulk::compress(body, LEVEL) }
}

/// Largest body that so many packed bytes may become.
pub(super) fn allowed(packed: usize) -> usize {
    packed.saturating_mul(MAX_RATIO).clamp(FREE_OF_RATIO, MAX_BODY)
}

/// Unpacks a body that is to have so many bytes.
pub(super) fn unpack(packed: &[u8], length: u64) -> Result<Vec<u8>, InvalidBundle> {
    let wrong = |why| Err(InvalidBundle::Packing(why));
    let declared = usize::try_from(length).unwrap_or(usize::MAX);
    if declared > MAX_BODY {
        return Err(InvalidBundle::Body { bytes: length });
    }
    if declared == 0 && packed.is_empty() {
        return Ok(Vec::new());
    }
    if declared == 0 || !packed.starts_with(&FRAME) {
        return wrong("is no zstd frame");
    }
    match get_frame_content_size(packed) {
        Ok(Some(stated)) if stated == length => {}
        Ok(Some(_)) => return wrong("states another size than the header"),
        Ok(None) => return wrong("does not state its size"),
        Err(_) => return wrong("begins with a damaged zstd frame"),
    }
    if get_dict_id_from_frame(packed).is_some() {
        return wrong("asks for a dictionary");
    }
    if declared > allowed(packed.len()) {
        return Err(InvalidBundle::Ratio { packed: packed.len(), bytes: declared });
    }
    // The decoder looks at its own bound only when it needs a window: a small body could ask for any.
    if window(packed, length).is_none_or(|it| it > 1 << WINDOW_LOG) {
        return wrong("asks for a window over 8 MiB");
    }
    let damaged = |_| InvalidBundle::Packing("is no whole zstd frame");
    let mut decoder = zstd::Decoder::with_buffer(packed).map_err(damaged)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(damaged)?;
    // Grows with what is really there, chunk by chunk: what is stated is a promise of the sender and no more.
    let mut body = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = decoder.read(&mut chunk).map_err(damaged)?;
        if read == 0 {
            break;
        }
        if body.len() + read > declared {
            return wrong("holds more than it states");
        }
        body.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
    if body.len() != declared {
        return wrong("holds less than it states");
    }
    if !decoder.finish().is_empty() {
        return wrong("goes on after its frame");
    }
    Ok(body)
}

/// The window that a frame asks for, in bytes, by RFC 8878 3.1.1.1.2: an exponent, and a mantissa in eighths.
fn window(packed: &[u8], length: u64) -> Option<u64> {
    let (descriptor, rest) = packed.strip_prefix(&FRAME)?.split_first()?;
    if descriptor & SINGLE_SEGMENT != 0 {
        return Some(length);
    }
    let window = rest.first()?;
    let base = 1_u64 << (10 + (window >> 3));
    Some(base + base / 8 * u64::from(window & 7))
}
