//! From a file's bytes to what it says: the kind is seen in the content, never in the name.
//!
//! One file a call, so a bad file never stops the next one. Everything that is refused is refused
//! in one sentence; nothing is taken from a refused file.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Knowledge;
use super::advisory::Advisory;
use super::csaf::{self, InvalidCsaf};
use super::epss::{self, InvalidEpss, Scores};
use super::hardening::{self, InvalidRules, RuleFile};
use super::json::{self, InvalidJson};
use super::kev::{self, Catalog, InvalidKev};
use super::map_file::{self, InvalidMap, MapFile};
use super::microsoft::{self, InvalidMicrosoft};
use super::osv::{self, InvalidOsv};
use super::placement::{self, InvalidPlacement, Placement};
use super::requirement::{self, InvalidRequirements, Requirement};
use super::statement::{self, InvalidMapping, InvalidStatements, Mapping, Statements};
use super::{mapping, vpc};

/// Largest file, in bytes.
pub const MAX_FILE: usize = 32 * 1024 * 1024;

/// How a file that is packed with gzip begins.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An advisory of any kind.
    Advisory(Box<Advisory>),
    /// What is known to be exploited.
    Kev(Box<Catalog>),
    /// How likely exploitation is.
    Epss(Box<Scores>),
    /// What a supplier states.
    Statements(Box<Statements>),
    /// How a supplier's lists are read.
    Mapping(Box<Mapping>),
    /// Where assets stand.
    Placement(Box<Placement>),
    /// A list of the site's requirements.
    Requirements(Vec<Requirement>),
    /// Expectations of hardening facts.
    Hardening(Box<RuleFile>),
    /// Identity rules.
    Map(Box<MapFile>),
}

impl Content {
    /// The word for this kind of file.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Advisory(advisory) => advisory.kind,
            Self::Kev(_) => Kind::Kev,
            Self::Epss(_) => Kind::Epss,
            Self::Statements(_) => Kind::Statements,
            Self::Mapping(_) => Kind::Mapping,
            Self::Placement(_) => Kind::Placement,
            Self::Requirements(_) => Kind::Requirements,
            Self::Hardening(_) => Kind::Hardening,
            Self::Map(_) => Kind::Map,
        }
    }

    /// Product entries of an advisory, requirements, listed vulnerabilities, ...
    pub fn items(&self) -> u32 {
        let items = match self {
            Self::Advisory(advisory) => advisory.entries.len(),
            Self::Kev(catalog) => catalog.listed.len(),
            Self::Epss(scores) => scores.by_cve.len(),
            Self::Requirements(listed) => listed.len(),
            Self::Statements(list) => list.stated.len(),
            Self::Mapping(mapping) => mapping.states.len(),
            Self::Placement(placement) => placement.assets.len() + placement.conduits.len(),
            Self::Hardening(rules) => rules.items(),
            Self::Map(file) => file.rules.len() + file.declared.len(),
        };
        u32::try_from(items).unwrap_or(u32::MAX)
    }
}

/// The kinds of files that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// CSAF advisories.
    Csaf,
    /// OSV records of Linux distributions.
    Osv,
    /// Microsoft's monthly security updates.
    Microsoft,
    /// The catalogue of known exploited vulnerabilities.
    Kev,
    /// Probabilities of exploitation.
    Epss,
    /// Suppliers' statements about patches.
    Statements,
    /// How suppliers' lists are read.
    Mapping,
    /// Where assets stand.
    Placement,
    /// The site's requirements.
    Requirements,
    /// Expectations of hardening facts.
    Hardening,
    /// Identity rules.
    Map,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Csaf,
        Self::Osv,
        Self::Microsoft,
        Self::Kev,
        Self::Epss,
        Self::Statements,
        Self::Mapping,
        Self::Placement,
        Self::Requirements,
        Self::Hardening,
        Self::Map,
    ];

    /// The word in answers and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csaf => "csaf",
            Self::Osv => "osv",
            Self::Microsoft => "microsoft",
            Self::Kev => "kev",
            Self::Epss => "epss",
            Self::Statements => "statements",
            Self::Mapping => "mapping",
            Self::Placement => "placement",
            Self::Requirements => "requirements",
            Self::Hardening => "hardening",
            Self::Map => "map",
        }
    }

    /// The kind of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// Whether files of this kind are advisories.
    pub fn is_advisory(self) -> bool {
        matches!(self, Self::Csaf | Self::Osv | Self::Microsoft)
    }
}

/// Why a file is refused, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// Over [`MAX_FILE`].
    #[error("it is larger than {} MiB", MAX_FILE / 1024 / 1024)]
    TooLarge,
    /// Over [`MAX_FILE`] once it is unpacked.
    #[error("it unpacks to more than {} MiB", MAX_FILE / 1024 / 1024)]
    Expands,
    /// A packed file with a fault.
    #[error("it is packed with gzip and cannot be unpacked: {0}")]
    Packed(String),
    /// No kind of file that this release reads.
    #[error(
        "it is no kind of file that is read here: advisories (CSAF, OSV, CVRF of Microsoft), exploited \
         vulnerabilities (KEV, EPSS), lists of the site (CSV or TOML)"
    )]
    UnknownKind,
    /// JSON of a kind that is not read.
    #[error(
        "it is JSON of no kind that is read here: it has no document.csaf_version (CSAF), no id with modified \
         (OSV), no catalogVersion (KEV)"
    )]
    OtherJson,
    /// Something that is not even whole JSON.
    #[error(transparent)]
    Json(InvalidJson),
    /// Something that calls itself JSON.
    #[error("it is not JSON, although its name says so")]
    NotJson,
    /// A text in another encoding.
    #[error("it is UTF-16 text; save it as UTF-8")]
    Utf16,
    /// An advisory with a fault.
    #[error(transparent)]
    Csaf(#[from] InvalidCsaf),
    /// A record with a fault.
    #[error(transparent)]
    Osv(#[from] InvalidOsv),
    /// A month of updates with a fault.
    #[error(transparent)]
    Microsoft(#[from] InvalidMicrosoft),
    /// A catalogue with a fault.
    #[error(transparent)]
    Kev(#[from] InvalidKev),
    /// A list of scores with a fault.
    #[error(transparent)]
    Epss(#[from] InvalidEpss),
    /// A list of requirements with a fault.
    #[error(transparent)]
    Requirements(#[from] InvalidRequirements),
    /// A file of hardening rules with a fault.
    #[error(transparent)]
    Hardening(#[from] InvalidRules),
    /// A file of identity rules with a fault.
    #[error(transparent)]
    Map(#[from] InvalidMap),
    /// A file of placement with a fault.
    #[error(transparent)]
    Placement(#[from] InvalidPlacement),
    /// A list of a supplier with a fault.
    #[error(transparent)]
    Statements(#[from] InvalidStatements),
    /// A mapping with a fault.
    #[error(transparent)]
    Mapping(#[from] InvalidMapping),
    /// A newer revision is held, or this one cannot be placed.
    #[error("{0}")]
    Revision(String),
    /// More files than a zone can mean.
    #[error("there are {max} documents already")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

/// Reads a file; `file` is its name and only helps to word a refusal. `held` is what is known already: a list of
/// a supplier is read by a mapping that was brought before. The lines say what was left out.
pub fn read(file: &str, bytes: &[u8], held: &Knowledge) -> Result<(Content, Vec<String>), ImportError> {
    if bytes.len() > MAX_FILE {
        return Err(ImportError::TooLarge);
    }
    if bytes.starts_with(&GZIP) {
        let plain = file.strip_suffix(".gz").unwrap_or(file);
        return read_plain(plain, &unpacked(bytes)?, held);
    }
    read_plain(file, bytes, held)
}

/// The bytes in a file that is packed with gzip, at most [`MAX_FILE`].
fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, ImportError> {
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut plain);
    read.map_err(|error| ImportError::Packed(super::text::shown(&error.to_string(), 100)))?;
    if plain.len() > MAX_FILE { Err(ImportError::Expands) } else { Ok(plain) }
}

fn read_plain(file: &str, bytes: &[u8], held: &Knowledge) -> Result<(Content, Vec<String>), ImportError> {
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err(ImportError::Utf16);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = bytes.iter().position(|it| !it.is_ascii_whitespace()).ok_or(ImportError::Empty)?;
    let (first, rest) = (bytes[start], &bytes[start..]);
    if first == b'{' {
        return read_json(bytes);
    }
    if microsoft::looks_like(rest) {
        return Ok(advisory(microsoft::read(rest)?));
    }
    if epss::looks_like(rest) {
        let (scores, skipped) = epss::read(rest)?;
        return Ok((Content::Epss(Box::new(scores)), skipped));
    }
    let named_json = file.len() > 5 && file.to_ascii_lowercase().ends_with(".json");
    let unknown = || if named_json { ImportError::NotJson } else { ImportError::UnknownKind };
    let Ok(text) = std::str::from_utf8(bytes) else {
        let lower = file.to_ascii_lowercase();
        let is_list = [".csv", ".toml"].iter().any(|it| lower.ends_with(it));
        return Err(if is_list { InvalidRequirements::NotText.into() } else { unknown() });
    };
    if hardening::looks_like(text) {
        return Ok((Content::Hardening(Box::new(hardening::read(text)?)), Vec::new()));
    }
    if map_file::looks_like_map(text) {
        return Ok((Content::Map(Box::new(map_file::read(text)?)), Vec::new()));
    }
    if let Some(read) = of_the_site(bytes, text, held) {
        return read;
    }
    let (listed, skipped) = match requirement::looks_like_toml(text) {
        Some(true) => requirement::read_toml(text)?,
        Some(false) => requirement::read_csv(bytes)?,
        None if first == b'[' => {
            // A list is none of the kinds; whether it is JSON at all decides the wording.
            json::read::<IgnoredAny>(bytes).map_err(ImportError::Json)?;
            return Err(ImportError::OtherJson);
        }
        None => return Err(unknown()),
    };
    Ok((Content::Requirements(listed), skipped))
}

fn advisory((advisory, skipped): (Advisory, Vec<String>)) -> (Content, Vec<String>) {
    (Content::Advisory(Box::new(advisory)), skipped)
}

/// What tells the kinds of JSON apart; everything else in a document is passed over.
#[derive(Debug, Deserialize)]
struct Peek {
    document: Option<PeekDocument>,
    id: Option<IgnoredAny>,
    modified: Option<IgnoredAny>,
    #[serde(rename = "catalogVersion")]
    catalog_version: Option<IgnoredAny>,
    vulnerabilities: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct PeekDocument {
    csaf_version: Option<IgnoredAny>,
}

fn read_json(bytes: &[u8]) -> Result<(Content, Vec<String>), ImportError> {
    let peek: Peek = json::read(bytes).map_err(|error| match error {
        // A `document` that is no object, and the like: another kind.
        InvalidJson::OtherForm { .. } => ImportError::OtherJson,
        InvalidJson::NotJson { .. }
        | InvalidJson::Truncated { .. }
        | InvalidJson::TooDeep
        | InvalidJson::TooMany => ImportError::Json(error),
    })?;
    if peek.document.is_some_and(|it| it.csaf_version.is_some()) {
        return Ok(advisory(csaf::read(bytes)?));
    }
    if peek.catalog_version.is_some() && peek.vulnerabilities.is_some() {
        let (catalog, skipped) = kev::read(bytes)?;
        return Ok((Content::Kev(Box::new(catalog)), skipped));
    }
    if peek.id.is_some() && peek.modified.is_some() {
        return Ok(advisory(osv::read(bytes)?));
    }
    Err(ImportError::OtherJson)
}

/// Placement, statements of suppliers and how these are read.
fn of_the_site(
    bytes: &[u8],
    text: &str,
    held: &Knowledge,
) -> Option<Result<(Content, Vec<String>), ImportError>> {
    if mapping::looks_like(text) {
        let read = Mapping::read(text).map(|it| (Content::Mapping(Box::new(it)), Vec::new()));
        return Some(read.map_err(ImportError::from));
    }
    if text.trim_start().starts_with('<') {
        let read = vpc::recognise(text)?;
        return Some(read.map(|it| (Content::Statements(Box::new(it.0)), it.1)).map_err(ImportError::from));
    }
    // A mapping is a person's word on these very columns, so it goes before what they look like.
    if let Some(read) = statement::recognise(bytes, text, held) {
        return Some(read.map(|it| (Content::Statements(Box::new(it.0)), it.1)).map_err(ImportError::from));
    }
    let read = placement::recognise(bytes, text)?;
    Some(read.map(|it| (Content::Placement(Box::new(it.0)), it.1)).map_err(ImportError::from))
}
