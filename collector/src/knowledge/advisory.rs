//! Advisories in the form in which they are judged, whatever kind of file they came in.
//!
//! Product entries, and what is stated of each for each vulnerability. Nothing here reads a range; that
//! needs a scheme, which only a confirmed rule or a certain identity can name.

use std::borrow::Cow;

use holdpoint_common::version::Scheme;

use super::import::Kind;
use super::tracking::Revision;

/// An advisory in the form in which it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// The kind of feed that it came with.
    pub kind: Kind,
    /// Identifier, version and date of this revision.
    pub revision: Revision,
    /// The document's title, repaired.
    pub title: String,
    /// Who published it, repaired.
    pub publisher: String,
    /// `final`, `interim` or `draft`, as written.
    pub status: String,
    /// The document says of itself that it is withdrawn or superseded.
    pub withdrawn: bool,
    /// The vendor's own document that this one repeats, where it says so: the vendor's outranks it.
    pub original: Option<String>,
    /// The products that it names.
    pub entries: Vec<Entry>,
    /// The vulnerabilities, each with what is stated of which entry.
    pub vulnerabilities: Vec<Vulnerability>,
}

/// One product as an advisory names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The document's own identifier of the entry.
    pub id: String,
    /// The vendor as written, repaired; empty when the document names none.
    pub vendor: String,
    /// The product as written, repaired.
    pub product: String,
    /// Which versions the entry is about.
    pub versions: Versions,
    /// How it is recognised where it is installed.
    pub identity: Identity,
    /// What else must hold (a service pack, a language, a second product). Not empty: no version alone decides.
    pub conditions: Vec<String>,
    /// Order numbers.
    pub model_numbers: Vec<String>,
    /// Package URL.
    pub purl: Option<String>,
}

/// Which versions an entry is about, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// A range.
    Range(String),
    /// One version; real files write ranges here too.
    One(String),
    /// The product as such.
    All,
    /// Whatever the full name says; nobody can tell which part of it is a version.
    InName,
    /// Events in the order of a scheme that the entry's identity names.
    Events(Vec<Branch>),
    /// Fixed builds of a Windows: what is older is affected, by the judge's rules for Windows.
    Builds(Vec<KnownFix>),
}

/// One range of an OSV entry: its events in file order, and versions that are listed one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Branch {
    /// Where affection begins and ends.
    pub events: Vec<Event>,
    /// Versions that are affected whatever the events say.
    pub listed: Vec<String>,
}

/// Where affection begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Affected from this version on; `0` is before every version.
    Introduced(String),
    /// No longer affected from this version on.
    Fixed(String),
    /// Affected up to this version and including it.
    LastAffected(String),
}

/// A package that fixes a Windows, as the document lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFix {
    /// The build that it leads to, as written; `None` where none was published.
    pub build: Option<String>,
    /// How it is serviced, as written.
    pub track: String,
    /// The update that brings it: "KB5031356".
    pub update: Option<String>,
}

/// How the product of an entry is recognised where it is installed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// By a name that people wrote: only a confirmed rule of the map binds it.
    Named,
    /// A source package of a distribution: certain wherever that release runs. `Entry::product` is its name.
    Package(Ecosystem),
    /// A Windows release. `Entry::product` is its name as the vendor writes it.
    Windows,
}

/// A distribution's release, or a distribution as a whole, whose package names are certain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ecosystem {
    /// The distribution as hosts write it in `ID` of os-release: "debian".
    pub distribution: String,
    /// The release as hosts write it in `VERSION_ID`: "12"; `None` for all of them.
    pub release: Option<String>,
    /// Whose order decides.
    pub scheme: Scheme,
}

impl Versions {
    /// The text as written; what stands for it where there is none.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Range(text) | Self::One(text) => text.into(),
            Self::All => "all versions".into(),
            Self::InName => "only in the product's full name".into(),
            Self::Events(branches) => {
                branches.iter().map(Branch::text).collect::<Vec<_>>().join(" || ").into()
            }
            Self::Builds(fixes) => {
                let build = |it: &KnownFix| it.build.clone().or_else(|| it.update.clone());
                let builds: Vec<String> = fixes.iter().filter_map(build).collect();
                format!("< {}", builds.join(" | ")).into()
            }
        }
    }
}

impl Branch {
    /// The events as a range that people can read.
    fn text(&self) -> String {
        let event = |it: &Event| match it {
            Event::Introduced(version) => format!(">= {version}"),
            Event::Fixed(version) => format!("< {version}"),
            Event::LastAffected(version) => format!("<= {version}"),
        };
        let events = self.events.iter().map(event);
        events.chain(self.listed.iter().map(|it| format!("= {it}"))).collect::<Vec<_>>().join(" ")
    }
}

/// A vulnerability of an advisory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vulnerability {
    /// The CVE, another identifier, or `vulnerability-N` by position.
    pub id: String,
    /// The highest base severity that is given.
    pub severity: Option<String>,
    /// The CVSS vector that the severity is from, as written.
    pub vector: Option<String>,
    /// What is stated of which entry, by position; each entry once for each status.
    pub statements: Vec<(u32, Stated)>,
    /// Categories of the remediations that are offered.
    pub remediations: Vec<String>,
    /// What is written about fixes, bounded; for people and the lint, it decides nothing.
    pub fixes: Vec<FixText>,
}

/// A sentence about a fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixText {
    /// `vendor_fix`, or `recommended` for a version that the vendor advises.
    pub category: String,
    /// The text as written, cut.
    pub text: String,
    /// The entries that it is for, by position.
    pub entries: Vec<u32>,
}

/// What an advisory states of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stated {
    /// Known to be affected.
    Affected,
    /// Known not to be affected.
    NotAffected,
    /// Contains the fix.
    Fixed,
    /// The vendor does not know yet.
    UnderInvestigation,
}

impl Stated {
    /// The word of the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Affected => "known_affected",
            Self::NotAffected => "known_not_affected",
            Self::Fixed => "fixed",
            Self::UnderInvestigation => "under_investigation",
        }
    }
}
