//! From a file's bytes to what it says: the kind is seen in the content, never in the name.
//!
//! One file a call, so a bad file never stops the next one. Everything that is refused is refused
//! in one sentence; nothing is taken from a refused file.

use super::Knowledge;
use super::advisory::Advisory;
use super::csaf::{self, InvalidCsaf};
use super::epss::Scores;
use super::hardening::RuleFile;
use super::kev::Catalog;
use super::map_file::MapFile;
use super::placement::{self, InvalidPlacement, Placement};
use super::requirement::{self, InvalidRequirements, Requirement};
use super::statement::{self, InvalidMapping, InvalidStatements, Mapping, Statements};
use super::{mapping, vpc};

/// Largest file, in bytes.
pub const MAX_FILE: usize = 32 * 1024 * 1024;

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
            Self::Hardening(_) | Self::Map(_) => 0,
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
    /// No kind of file that this release reads.
    #[error("it is neither a CSAF advisory (JSON) nor a list of requirements (CSV or TOML)")]
    UnknownKind,
    /// Something that calls itself JSON.
    #[error("it is not JSON, although its name says so")]
    NotJson,
    /// A text in another encoding.
    #[error("it is UTF-16 text; save it as UTF-8")]
    Utf16,
    /// An advisory with a fault.
    #[error(transparent)]
    Csaf(#[from] InvalidCsaf),
    /// A list of requirements with a fault.
    #[error(transparent)]
    Requirements(#[from] InvalidRequirements),
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
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err(ImportError::Utf16);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Some(first) = bytes.iter().find(|it| !it.is_ascii_whitespace()) else {
        return Err(ImportError::Empty);
    };
    if *first == b'{' {
        let (advisory, skipped) = csaf::read(bytes)?;
        return Ok((Content::Advisory(Box::new(advisory)), skipped));
    }
    let named_json = file.len() > 5 && file.to_ascii_lowercase().ends_with(".json");
    let unknown = || if named_json { ImportError::NotJson } else { ImportError::UnknownKind };
    let Ok(text) = std::str::from_utf8(bytes) else {
        let lower = file.to_ascii_lowercase();
        let is_list = [".csv", ".toml"].iter().any(|it| lower.ends_with(it));
        return Err(if is_list { InvalidRequirements::NotText.into() } else { unknown() });
    };
    if let Some(read) = of_the_site(bytes, text, held) {
        return read;
    }
    let (listed, skipped) = match requirement::looks_like_toml(text) {
        Some(true) => requirement::read_toml(text)?,
        Some(false) => requirement::read_csv(bytes)?,
        None if *first == b'[' => {
            // A list is no advisory; whether it is JSON at all decides the wording.
            super::json::read::<serde::de::IgnoredAny>(bytes).map_err(InvalidCsaf::Json)?;
            return Err(InvalidCsaf::OtherKind.into());
        }
        None => return Err(unknown()),
    };
    Ok((Content::Requirements(listed), skipped))
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
