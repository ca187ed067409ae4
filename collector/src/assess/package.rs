//! A package of a Linux distribution against the records about its source package.
//!
//! The identity is certain where the host runs the distribution's release: advisories of distributions name
//! source packages, and the package database says which source a package was built from. What is stated is a
//! list of events in the distribution's own order (the OSV schema's evaluation): affected from `introduced`
//! on, no longer from `fixed` on, and up to `last_affected` including it. `0` is before every version.
//!
//! Three-valued: a version that cannot be placed beside every event is unknown, and so is a record whose
//! events contradict each other or name nothing.

use std::borrow::Cow;
use std::cmp::Ordering;

use holdpoint_common::proto::v1::SoftwareRow;
use holdpoint_common::version::{Incomparable, Scheme};

use crate::knowledge::text::shown;
use crate::knowledge::{Advisory, Branch, Ecosystem, Entry, Event, Stated, Versions, Vulnerability};

use super::asset::PlatformFacts;
use super::compare::{self, Within};
use super::explain::{Step, Trace};
use super::verdict::{Outcome, Reason};

/// Stands before every version in an event.
const BEFORE_ALL: &str = "0";

/// Distributions whose hosts state a point release (`9.3`) of the release that records name (`9`), and get
/// the same packages.
const POINT_RELEASES: [&str; 6] = ["alpine", "almalinux", "centos", "ol", "rhel", "rocky"];

/// What a host says of the distribution that it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Distribution {
    /// `ID` of os-release.
    id: Option<Box<str>>,
    /// `VERSION_ID` of os-release.
    release: Option<Box<str>>,
}

/// Whether a record's distribution is the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// The host runs that release.
    Yes,
    /// The host may run it, and does not say.
    Unclear,
    /// The host runs something else.
    No,
}

impl Distribution {
    /// The distribution of a host; nothing is known where there is no platform row.
    pub(super) fn of(platform: Option<&PlatformFacts>) -> Self {
        let Some(platform) = platform else { return Self::default() };
        // Every Windows is alike here: no package of a distribution is installed on it.
        let release = platform.os_version.as_deref().filter(|_| !platform.is_windows());
        Self { id: platform.os_id.as_deref().map(Into::into), release: release.map(Into::into) }
    }

    /// Whether a record about `ecosystem` speaks of the host.
    pub(super) fn fit(&self, ecosystem: &Ecosystem) -> Fit {
        let Some(id) = self.id.as_deref() else { return Fit::Unclear };
        if id != ecosystem.distribution {
            return Fit::No;
        }
        match (ecosystem.release.as_deref(), self.release.as_deref()) {
            (None, _) => Fit::Yes,
            (Some(_), None) => Fit::Unclear,
            (Some(wanted), Some(own)) if wanted == own => Fit::Yes,
            (Some(wanted), Some(own)) => {
                let is_point = own.strip_prefix(wanted).is_some_and(|it| it.starts_with('.'));
                if is_point && POINT_RELEASES.contains(&id) { Fit::Yes } else { Fit::No }
            }
        }
    }

    /// What the host says of itself, for people.
    pub(super) fn text(&self) -> String {
        let id = self.id.as_deref().map_or_else(|| "an unknown distribution".to_owned(), |it| shown(it, 60));
        match &self.release {
            Some(release) => format!("{id} {}", shown(release, 60)),
            None => format!("{id}, release not known"),
        }
    }
}

/// Why a row is the package that a record names.
pub(super) fn identity_step(ecosystem: &Ecosystem, distribution: &Distribution, row: &SoftwareRow) -> Step {
    let version = Installed::of(row).version.map_or_else(|| "(no version)".to_owned(), |it| shown(&it, 100));
    let text = format!(
        "source package {} {version} of {}; the record is about {}",
        shown(source_name(&row.name, row.source_package.as_deref()), 120),
        distribution.text(),
        named(ecosystem)
    );
    Step::new("identity", text)
}

/// Where a release is named for people: "debian 12".
pub(super) fn named(ecosystem: &Ecosystem) -> String {
    match &ecosystem.release {
        Some(release) => format!("{} {release}", ecosystem.distribution),
        None => ecosystem.distribution.clone(),
    }
}

/// Whether rows of a source come from the package manager whose order a record uses.
pub(super) fn is_kept_by(source: &str, scheme: Scheme) -> bool {
    match scheme {
        Scheme::Deb => source == "dpkg",
        Scheme::Rpm => source == "rpm",
        Scheme::Alpine => source == "apk",
        Scheme::Win4 | Scheme::Intdot | Scheme::Semver | Scheme::Natural => false,
    }
}

/// The name under which records speak of a row's package: its source's.
pub(super) fn source_name<'a>(name: &'a str, source_package: Option<&'a str>) -> &'a str {
    source_package.unwrap_or(name)
}

/// The version that is compared.
struct Installed<'a> {
    version: Option<Cow<'a, str>>,
    /// The database does not say the epoch of the source.
    without_epoch: bool,
}

impl<'a> Installed<'a> {
    /// The version of the source; of an rpm it lacks the epoch, which the package itself has when the two are
    /// the same otherwise.
    fn of(row: &'a SoftwareRow) -> Self {
        let own = row.version.as_deref();
        let Some(source) = row.source_version.as_deref() else {
            return Self { version: own.map(Cow::Borrowed), without_epoch: false };
        };
        if row.source != "rpm" {
            return Self { version: Some(source.into()), without_epoch: false };
        }
        match own {
            Some(own) if without_epoch(own) == source => {
                Self { version: Some(own.into()), without_epoch: false }
            }
            Some(_) | None => Self { version: Some(source.into()), without_epoch: true },
        }
    }
}

fn without_epoch(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, rest)| rest)
}

/// Judges every entry of `group` (positions in the advisory, all of one package and release) that the
/// vulnerability speaks of.
pub(super) fn judge(
    advisory: &Advisory,
    vulnerability: &Vulnerability,
    group: &[u32],
    (ecosystem, fit): (&Ecosystem, Fit),
    row: &SoftwareRow,
    withdrawn: bool,
    trace: &mut Trace,
) -> Vec<(u32, Outcome)> {
    let spoken = vulnerability.statements.iter().filter(|(entry, _)| group.binary_search(entry).is_ok());
    let entry = |position: u32| advisory.entries.get(usize::try_from(position).ok()?);
    let mut members: Vec<Member<'_>> = spoken
        .filter_map(|&(position, stated)| Some(Member { position, stated, entry: entry(position)? }))
        .collect();
    let joint = match fit {
        Fit::No => None,
        Fit::Unclear if withdrawn => None,
        Fit::Unclear => {
            members.retain(|it| matches!(it.stated, Stated::Affected | Stated::UnderInvestigation));
            trace.add(|| {
                let text = format!("it is about {}, and the host does not say its release", named(ecosystem));
                Step::new("identity", text)
            });
            (!members.is_empty()).then(|| Outcome::unknown(Reason::BranchUnknown))
        }
        Fit::Yes => joint(&members, ecosystem.scheme, row, trace),
    };
    let Some(joint) = joint else { return Vec::new() };
    let Some(joint) = advisory_still_says(joint, withdrawn, trace) else { return Vec::new() };
    let mut found: Vec<(u32, Outcome)> = members.iter().map(|it| (it.position, joint)).collect();
    found.dedup_by_key(|it| it.0);
    found
}

/// What is left of an outcome when the statement was taken back; a statement that did not apply leaves nothing
/// to wonder about.
pub(super) fn advisory_still_says(joint: Outcome, withdrawn: bool, trace: &mut Trace) -> Option<Outcome> {
    match (withdrawn, joint.verdict().is_open()) {
        (false, _) => Some(joint),
        (true, true) => {
            trace.add(|| {
                Step::new("document", "this statement was taken back; whether it still holds is not known")
            });
            Some(Outcome::unknown(Reason::AdvisoryWithdrawn))
        }
        (true, false) => None,
    }
}

struct Member<'a> {
    position: u32,
    stated: Stated,
    entry: &'a Entry,
}

/// Where a version stands to an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stand {
    /// The entry is about it.
    In(String),
    /// It is at or above a fix of what was introduced before it.
    Past(String),
    /// The entry is not about it.
    Out(String),
    /// Nobody can tell.
    Unknown(Reason, String),
}

/// What all entries together say of the row.
fn joint(members: &[Member<'_>], scheme: Scheme, row: &SoftwareRow, trace: &mut Trace) -> Option<Outcome> {
    let installed = Installed::of(row);
    let stands: Vec<(Stated, Stand)> = members
        .iter()
        .map(|member| {
            let stand = stand(member.entry, scheme, row, &installed);
            trace.add(|| step(member, scheme, &stand));
            (member.stated, stand)
        })
        .collect();
    let is_in = |stated: Stated| stands.iter().any(|it| it.0 == stated && matches!(it.1, Stand::In(_)));
    let doubt = stands.iter().find_map(|(_, stand)| match stand {
        Stand::Unknown(reason, _) => Some(Outcome::unknown(*reason)),
        Stand::In(_) | Stand::Past(_) | Stand::Out(_) => None,
    });
    if is_in(Stated::Affected) {
        if is_in(Stated::Fixed) || is_in(Stated::NotAffected) {
            trace.add(|| {
                Step::new("siblings", "one entry says affected and another says fixed or not affected")
            });
            return Some(Outcome::unknown(Reason::SiblingConflict));
        }
        return Some(Outcome::AFFECTED);
    }
    if stands.is_empty() || doubt.is_some() {
        return doubt;
    }
    if is_in(Stated::UnderInvestigation) {
        return Some(Outcome::unknown(Reason::AdvisoryOutdated));
    }
    let affected = || stands.iter().filter(|it| it.0 == Stated::Affected);
    if is_in(Stated::Fixed) || affected().any(|it| matches!(it.1, Stand::Past(_))) {
        return Some(Outcome::FIXED);
    }
    if is_in(Stated::NotAffected) || affected().next().is_some() {
        return Some(Outcome::NOT_AFFECTED);
    }
    // Only fixed or not-affected versions are named, and this is none of them: nobody says what it is.
    Some(Outcome::unknown(Reason::BranchUnknown))
}

fn step(member: &Member<'_>, scheme: Scheme, stand: &Stand) -> Step {
    let (word, why) = match stand {
        Stand::In(why) => ("inside", why),
        Stand::Past(why) => ("fixed", why),
        Stand::Out(why) => ("outside", why),
        Stand::Unknown(_, why) => ("not decided", why),
    };
    let Member { entry, stated, .. } = member;
    let text = format!(
        "entry {} ({}) is written `{}` and read as {} in the order of {scheme}; {word}: {why}",
        entry.id,
        stated.as_str(),
        shown(&entry.versions.text(), 400),
        compare::read_as(entry)
    );
    Step::new("range", text).resting_on(entry.id.clone())
}

fn stand(entry: &Entry, scheme: Scheme, row: &SoftwareRow, installed: &Installed<'_>) -> Stand {
    if let Some(condition) = entry.conditions.first() {
        return Stand::Unknown(
            Reason::RangeConditional,
            format!("the entry holds only with: {}", shown(condition, 200)),
        );
    }
    if let Some(module) = &row.module {
        let why = format!(
            "the package is of the stream {}, and the record does not say of which stream it speaks",
            shown(module, 100)
        );
        return Stand::Unknown(Reason::BranchUnknown, why);
    }
    let version = installed.version.as_deref();
    let branches = match &entry.versions {
        Versions::Events(branches) => branches,
        Versions::Range(_) | Versions::One(_) | Versions::All | Versions::InName | Versions::Builds(_) => {
            return match compare::within(entry, Some(scheme.into()), version) {
                Within::In => Stand::In("the version is inside".to_owned()),
                Within::Out => Stand::Out("the version is outside".to_owned()),
                Within::Unknown(reason, why) => Stand::Unknown(reason, why),
            };
        }
    };
    let Some(version) = version else {
        let why = "the source does not say which version is installed".to_owned();
        return Stand::Unknown(Reason::VersionMissing, why);
    };
    if installed.without_epoch && branches.iter().any(names_epoch) {
        let why = format!(
            "the database names no epoch of the source {}, and the record's versions have one",
            shown(version, 100)
        );
        return Stand::Unknown(Reason::VersionNotComparable, why);
    }
    across(branches.iter().map(|it| in_branch(it, scheme, version)))
}

/// Inside any range is inside; one that cannot be decided leaves the whole unknown.
fn across(stands: impl Iterator<Item = Stand>) -> Stand {
    let nothing = "the record names no range".to_owned();
    let mut all = stands.collect::<Vec<_>>();
    let rank = |it: &Stand| match it {
        Stand::In(_) => 0,
        Stand::Unknown(..) => 1,
        Stand::Past(_) => 2,
        Stand::Out(_) => 3,
    };
    all.sort_by_key(rank);
    all.into_iter().next().unwrap_or(Stand::Unknown(Reason::RangeUnparsed, nothing))
}

fn names_epoch(branch: &Branch) -> bool {
    let has_epoch = |it: &str| it.split_once(':').is_some_and(|(epoch, _)| epoch != "0");
    branch.events.iter().any(|it| has_epoch(at(it))) || branch.listed.iter().any(|it| has_epoch(it))
}

/// The version of an event.
fn at(event: &Event) -> &str {
    match event {
        Event::Introduced(version) | Event::Fixed(version) | Event::LastAffected(version) => version,
    }
}

/// One range: the last event at or below the version says what holds.
fn in_branch(branch: &Branch, scheme: Scheme, version: &str) -> Stand {
    let (mut doubt, mut is_introduced, mut last) = (None, false, None::<&Event>);
    for listed in &branch.listed {
        if listed == version {
            return Stand::In(format!("{} is listed", shown(version, 100)));
        }
        match scheme.order(version, listed) {
            Ok(Ordering::Equal) => return Stand::In(format!("{} is listed", shown(version, 100))),
            Ok(Ordering::Less | Ordering::Greater) => {}
            Err(why) => doubt = Some(not_comparable(version, listed, &why)),
        }
    }
    if branch.events.is_empty() && branch.listed.is_empty() {
        return Stand::Unknown(Reason::RangeUnparsed, "the range names no version".to_owned());
    }
    if !branch.events.is_empty() && !branch.events.iter().any(|it| matches!(it, Event::Introduced(_))) {
        let why = "the range does not say where affection begins".to_owned();
        return Stand::Unknown(Reason::RangeUnparsed, why);
    }
    for event in &branch.events {
        let order = match order(scheme, version, at(event)) {
            Ok(order) => order,
            Err(why) => return not_comparable(version, at(event), &why),
        };
        let is_reached = match event {
            Event::Introduced(_) | Event::Fixed(_) => order != Ordering::Less,
            Event::LastAffected(_) => order == Ordering::Greater,
        };
        if !is_reached {
            continue;
        }
        is_introduced |= matches!(event, Event::Introduced(_));
        last = match last {
            None => Some(event),
            Some(known) => match order_of(scheme, known, event) {
                Ok(Ordering::Less) => Some(event),
                Ok(Ordering::Greater) => Some(known),
                Ok(Ordering::Equal) => match together(known, event) {
                    Some(both) => Some(both),
                    None => {
                        let why = format!("affection begins and ends at {}", shown(at(event), 100));
                        return Stand::Unknown(Reason::RangeUnparsed, why);
                    }
                },
                Err(why) => return not_comparable(at(known), at(event), &why),
            },
        };
    }
    let version = shown(version, 100);
    match last {
        Some(Event::Introduced(from)) if from == BEFORE_ALL => {
            Stand::In(format!("{version} is affected as all versions are, until one is fixed"))
        }
        Some(Event::Introduced(from)) => Stand::In(format!("{version} is at or above {}", shown(from, 100))),
        Some(_) | None if doubt.is_some() => doubt.unwrap_or(Stand::Out(version)),
        Some(Event::Fixed(fix)) if is_introduced => {
            Stand::Past(format!("{version} is at or above the fix {}", shown(fix, 100)))
        }
        Some(Event::Fixed(fix)) => {
            Stand::Out(format!("{version} is above the fix {} and before what was affected", shown(fix, 100)))
        }
        Some(Event::LastAffected(end)) => {
            Stand::Out(format!("{version} is above the last affected {}", shown(end, 100)))
        }
        None => Stand::Out(format!("{version} is not reached by any event of the range")),
    }
}

/// Of two events at one version the one that speaks afterwards; `None` when they contradict each other.
fn together<'a>(one: &'a Event, two: &'a Event) -> Option<&'a Event> {
    let rank = |it: &Event| match it {
        Event::Introduced(_) => 0,
        // What is affected at this one version is not affected after it.
        Event::LastAffected(_) => 1,
        Event::Fixed(_) => 2,
    };
    match (rank(one), rank(two)) {
        (0, 2) | (2, 0) => None,
        (first, second) => Some(if first < second { two } else { one }),
    }
}

fn order(scheme: Scheme, version: &str, event: &str) -> Result<Ordering, Incomparable> {
    if event == BEFORE_ALL { Ok(Ordering::Greater) } else { scheme.order(version, event) }
}

fn order_of(scheme: Scheme, one: &Event, two: &Event) -> Result<Ordering, Incomparable> {
    match (at(one) == BEFORE_ALL, at(two) == BEFORE_ALL) {
        (true, true) => Ok(Ordering::Equal),
        (true, false) => Ok(Ordering::Less),
        (false, true) => Ok(Ordering::Greater),
        (false, false) => scheme.order(at(one), at(two)),
    }
}

fn not_comparable(one: &str, two: &str, why: &Incomparable) -> Stand {
    let text = format!("{} and {} cannot be compared: {why}", shown(one, 100), shown(two, 100));
    Stand::Unknown(Reason::VersionNotComparable, text)
}

#[cfg(test)]
#[path = "package_tests.rs"]
mod tests;
