//! What the zone is told: advisories, the site's requirements, and the product map.
//!
//! Everything comes in as files that a person carries in; their bytes and digests are kept, and
//! what they say is read again from the bytes whenever the collector starts. Nothing here judges
//! an asset. The source of truth is the store; [`Knowledge`] is one consistent state of it.

pub mod advisory;
pub mod csaf;
#[cfg(test)]
mod csaf_tests;
mod csaf_wire;
mod difference;
pub mod epss;
mod feed;
pub mod hardening;
pub mod import;
pub mod json;
pub mod kev;
pub(crate) mod library;
pub mod lint;
pub mod map;
pub mod map_file;
pub mod mapping;
pub mod microsoft;
pub mod name_pattern;
pub mod osv;
pub mod pattern;
pub mod placement;
#[cfg(test)]
mod ranges_tests;
pub mod requirement;
mod score;
pub mod sheet;
mod skipped;
pub mod starter;
pub mod statement;
pub(crate) mod supersede;
pub mod text;
pub mod tracking;
pub mod vpc;
pub mod xml;

use std::sync::Arc;

use holdpoint_common::proto::store::MapRuleRecord;
use holdpoint_common::section::Digest;

pub use advisory::{
    Advisory, Branch, Ecosystem, Entry, Event, FixText, Identity, KnownFix, Stated, Versions, Vulnerability,
};
pub use csaf::InvalidCsaf;
pub(crate) use feed::age;
pub use feed::default_days;
pub use feed::{AllowedAges, FeedState};
pub use import::{Content, ImportError, Kind, MAX_FILE, read};
pub use library::{Library, LibraryError, MAX_DOCUMENTS, Prepared, Rehearsal, Rehearsed};
pub use pattern::{InvalidPattern, Pattern};
pub use requirement::{KERNEL, NameKind, Requirement, Wanted};
pub use tracking::Revision;

/// Where something that is known comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// SHA-256 of the file.
    pub digest: Digest,
    /// The file's name as it was imported.
    pub file: String,
    /// When it was last brought in, Unix milliseconds.
    pub imported_ms: i64,
    /// Who brought it.
    pub imported_by: String,
}

/// What one file says, and where it is from.
#[derive(Debug, Clone)]
pub struct Held<T> {
    /// What it says.
    pub content: Arc<T>,
    /// The file.
    pub source: Arc<Source>,
}

/// An advisory that is held.
#[derive(Debug, Clone)]
pub struct HeldAdvisory {
    /// What it says.
    pub advisory: Arc<Advisory>,
    /// The file.
    pub source: Arc<Source>,
    /// These are statements of an earlier revision that the newest one no longer makes.
    pub superseded: bool,
}

impl HeldAdvisory {
    /// The first part of its subjects. Statements of an earlier revision carry its version.
    pub fn label(&self) -> String {
        let id = self.advisory.revision.id.replace('/', "-");
        if self.superseded {
            format!("{id}@{}", self.advisory.revision.version.replace('/', "-"))
        } else {
            id
        }
    }

    /// Whether what it says was taken back.
    pub fn is_withdrawn(&self) -> bool {
        self.superseded || self.advisory.withdrawn
    }
}

/// A requirement that is held.
#[derive(Debug, Clone)]
pub struct HeldRequirement {
    /// What it says.
    pub requirement: Arc<Requirement>,
    /// The file.
    pub source: Arc<Source>,
}

/// Everything that the zone was told, at one moment. Changes make a new one.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    /// Grows with every change while the collector runs.
    pub revision: u64,
    /// The newest revision of every advisory, and what earlier ones said beyond it.
    pub advisories: Vec<HeldAdvisory>,
    /// The site's requirements, each identifier once.
    pub requirements: Vec<HeldRequirement>,
    /// Every decision about the product map, valid or expired.
    pub rules: Arc<Vec<MapRuleRecord>>,
    /// What is known to be exploited.
    pub kev: Option<Held<kev::Catalog>>,
    /// How likely exploitation is.
    pub epss: Option<Held<epss::Scores>>,
    /// Lists of what suppliers state about patches, oldest first.
    pub statements: Vec<Held<statement::Statements>>,
    /// How lists of suppliers are read.
    pub mappings: Vec<Held<statement::Mapping>>,
    /// Where assets stand, one file for each name.
    pub placements: Vec<Held<placement::Placement>>,
    /// Expectations of hardening facts, beside those that are shipped.
    pub hardening: Vec<Held<hardening::RuleFile>>,
    /// The site's files of identity rules.
    pub maps: Vec<Held<map_file::MapFile>>,
    /// Files that are held and could not be read again: their kind, name and the reason.
    pub unreadable: Vec<(Kind, String, String)>,
}
