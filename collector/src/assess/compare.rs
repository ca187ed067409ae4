//! Whether a version lies inside what an advisory's entry is about.
//!
//! The scheme is the confirmed rule's; the range is the entry's text. Everything that cannot be
//! read, or holds only under a condition, is unknown with its reason.

use holdpoint_common::version::range::{Containment, Range, Reading, Undecided};

use crate::knowledge::text::shown;
use crate::knowledge::{Branch, Entry, Event, Versions};

use super::verdict::Reason;

/// Where a version stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Within {
    /// The entry is about this version.
    In,
    /// The entry is not about this version.
    Out,
    /// Nobody can tell, for this reason in these words.
    Unknown(Reason, String),
}

/// Asks whether an entry is about a version. Without a scheme only an entry about all versions answers.
pub(super) fn within(entry: &Entry, scheme: Option<Reading>, version: Option<&str>) -> Within {
    if let Some(condition) = entry.conditions.first() {
        return Within::Unknown(Reason::RangeConditional, format!("the entry holds only with: {condition}"));
    }
    let range = match &entry.versions {
        Versions::All => Range::All,
        Versions::Range(text) | Versions::One(text) => Range::parse(text),
        Versions::InName => {
            let text = "the entry has a name and no version of its own".to_owned();
            return Within::Unknown(Reason::RangeUnparsed, text);
        }
        Versions::Events(_) | Versions::Builds(_) => {
            let text = "the entry is of another kind than a name on a map".to_owned();
            return Within::Unknown(Reason::RangeUnparsed, text);
        }
    };
    if range == Range::All {
        return Within::In;
    }
    let Some(version) = version else {
        return Within::Unknown(
            Reason::VersionMissing,
            "the source does not say which version is installed".into(),
        );
    };
    let Some(scheme) = scheme else {
        let text = "the rule names no version scheme".to_owned();
        return Within::Unknown(Reason::VersionNotComparable, text);
    };
    match range.contains(scheme, version) {
        Containment::In => Within::In,
        Containment::Out => Within::Out,
        Containment::Unknown(why) => Within::Unknown(reason(&why), why.to_string()),
    }
}

/// How a range was read, for people.
pub(super) fn read_as(entry: &Entry) -> String {
    let text = match &entry.versions {
        Versions::All => return "all versions".to_owned(),
        Versions::InName => return "not readable as a range".to_owned(),
        Versions::Events(branches) => return events(branches),
        Versions::Builds(fixes) => return format!("{} packages that fix", fixes.len()),
        Versions::Range(text) | Versions::One(text) => text,
    };
    match Range::parse(text) {
        Range::All => "all versions".to_owned(),
        Range::Conditional { .. } => "a range under a condition".to_owned(),
        Range::BranchList { bounds, .. } => format!("bounds of {} branches", bounds.len()),
        Range::Unparsed { .. } => "not readable as a range".to_owned(),
        Range::Constraints(constraints) => {
            constraints.list().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Events in words.
fn events(branches: &[Branch]) -> String {
    let event = |it: &Event| match it {
        Event::Introduced(version) if version == "0" => "affected from the first version on".to_owned(),
        Event::Introduced(version) => format!("affected from {version} on"),
        Event::Fixed(version) => format!("fixed in {version}"),
        Event::LastAffected(version) => format!("affected up to {version}"),
    };
    let branch = |it: &Branch| {
        let listed = (!it.listed.is_empty()).then(|| format!("{} versions listed", it.listed.len()));
        it.events.iter().map(event).chain(listed).collect::<Vec<_>>().join(", ")
    };
    let text = branches.iter().map(branch).collect::<Vec<_>>().join("; or ");
    shown(&text, 400)
}

fn reason(why: &Undecided) -> Reason {
    match why {
        Undecided::VersionMissing => Reason::VersionMissing,
        Undecided::NotComparable(_) => Reason::VersionNotComparable,
        Undecided::Conditional(_) => Reason::RangeConditional,
        Undecided::Branch(_) => Reason::BranchUnknown,
        Undecided::Unparsed(_) | Undecided::Readings(_) => Reason::RangeUnparsed,
        Undecided::Siblings => Reason::SiblingConflict,
    }
}
