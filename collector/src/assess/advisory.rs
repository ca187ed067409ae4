//! One vulnerability of an advisory against one installed thing that a person has confirmed to be the product.
//!
//! All entries of the product in that vulnerability are judged together: entries that disagree speak
//! of lines that their text does not tell apart, so neither union nor intersection is an answer. An
//! entry with a lower bound alone is read with its siblings by the same rule.

use holdpoint_common::version::range::Reading;

use crate::knowledge::text::{leading_numbers, line};
use crate::knowledge::{Advisory, Entry, Stated, Vulnerability};

use super::compare::{Within, read_as, within};
use super::explain::{Step, Trace};
use super::verdict::{Outcome, Reason};

/// The installed side of a confirmed pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound<'a> {
    /// The installed name.
    pub(super) name: &'a str,
    /// The installed version; `None` when the source does not say.
    pub(super) version: Option<&'a str>,
    /// How the rule has versions read.
    pub(super) scheme: Option<Reading>,
}

/// Judges every entry of `group` (positions in the advisory, all of one product) that the vulnerability
/// speaks of. The trace explains `traced` alone.
pub(super) fn judge(
    advisory: &Advisory,
    vulnerability: &Vulnerability,
    group: &[u32],
    bound: Bound<'_>,
    withdrawn: bool,
    trace: &mut Trace,
) -> Vec<(u32, Outcome)> {
    let members: Vec<Member<'_>> = vulnerability
        .statements
        .iter()
        .filter(|(entry, _)| group.binary_search(entry).is_ok())
        .filter_map(|&(position, stated)| {
            let entry = advisory.entries.get(usize::try_from(position).ok()?)?;
            let within = within(entry, bound.scheme, bound.version);
            Some(Member { position, stated, entry, within })
        })
        .collect();
    for member in &members {
        trace.add(|| member.step(bound));
    }
    let joint = line_outcome(&members, bound, trace).or_else(|| joint(&members, trace));
    let Some(joint) = joint else { return Vec::new() };
    let joint = match (withdrawn, joint.verdict().is_open()) {
        (false, _) => joint,
        (true, true) => {
            trace.add(|| {
                Step::new("document", "this statement was taken back; whether it still holds is not known")
            });
            Outcome::unknown(Reason::AdvisoryWithdrawn)
        }
        // A statement that did not apply leaves nothing to wonder about.
        (true, false) => return Vec::new(),
    };
    let mut found: Vec<(u32, Outcome)> = members.iter().map(|it| (it.position, joint)).collect();
    found.dedup_by_key(|it| it.0);
    found
}

struct Member<'a> {
    position: u32,
    stated: Stated,
    entry: &'a Entry,
    within: Within,
}

impl Member<'_> {
    fn step(&self, bound: Bound<'_>) -> Step {
        let version = bound.version.unwrap_or("(no version)");
        let by = bound.scheme.map_or("no scheme", |it| it.scheme.name());
        let answer = match &self.within {
            Within::In => format!("{version} is inside by {by}"),
            Within::Out => format!("{version} is outside by {by}"),
            Within::Unknown(_, why) => format!("not decided for {version}: {why}"),
        };
        let Entry { id, versions, .. } = self.entry;
        let text = format!(
            "entry {id} ({}) is written `{}` and read as {}; {answer}",
            self.stated.as_str(),
            versions.text(),
            read_as(self.entry)
        );
        Step::new("range", text).resting_on(id.clone())
    }
}

/// A name that states a line speaks of nothing else: the installed name or version has to show the line.
fn line_outcome(members: &[Member<'_>], bound: Bound<'_>, trace: &mut Trace) -> Option<Outcome> {
    let wanted = members.first().and_then(|it| line(&it.entry.product))?;
    let shown = line(bound.name).unwrap_or_else(|| bound.version.map(leading_numbers).unwrap_or_default());
    if shown.starts_with(&wanted) {
        return None;
    }
    trace.add(|| {
        let wanted: Vec<String> = wanted.iter().map(u64::to_string).collect();
        let text = format!(
            "the product's name states the line V{}, and neither the installed name nor its version shows it",
            wanted.join(".")
        );
        Step::new("map", text)
    });
    Some(Outcome::unknown(Reason::LineUnbound))
}

/// What all statements about one product say together; `None` when nothing is stated of this version.
fn joint(members: &[Member<'_>], trace: &mut Trace) -> Option<Outcome> {
    let of = |stated: Stated| members.iter().filter(move |it| it.stated == stated);
    let says = |stated: Stated| of(stated).any(|it| it.within == Within::In);
    let affected = among(of(Stated::Affected).map(|it| &it.within));
    let siblings = |trace: &mut Trace, text: &str| trace.add(|| Step::new("siblings", text));

    // What contradicts a statement of affection is a conflict, whichever of the two is right.
    if says(Stated::Fixed) || says(Stated::NotAffected) {
        return Some(match affected {
            Some(Joint::In | Joint::Conflict) => {
                siblings(trace, "one entry says affected and another says fixed or not affected");
                Outcome::unknown(Reason::SiblingConflict)
            }
            Some(Joint::Unknown(reason)) => {
                siblings(trace, "an entry that says affected cannot be decided");
                Outcome::unknown(reason)
            }
            Some(Joint::Out) | None if says(Stated::Fixed) => Outcome::FIXED,
            Some(Joint::Out) | None => Outcome::NOT_AFFECTED,
        });
    }
    match affected {
        Some(Joint::In) => return Some(Outcome::AFFECTED),
        Some(Joint::Conflict) => {
            siblings(
                trace,
                "the version is inside one entry's bound and outside another's: they may speak of different lines",
            );
            return Some(Outcome::unknown(Reason::SiblingConflict));
        }
        Some(Joint::Unknown(reason)) => return Some(Outcome::unknown(reason)),
        Some(Joint::Out) | None => {}
    }
    if says(Stated::UnderInvestigation) {
        return Some(Outcome::unknown(Reason::AdvisoryOutdated));
    }
    if affected.is_some() {
        siblings(trace, "the version is outside every entry of this product");
        return Some(Outcome::NOT_AFFECTED);
    }
    // Only fixed or not-affected versions are named, and this is none of them: nobody says what it is.
    let unknown = members.iter().find_map(|it| match &it.within {
        Within::Unknown(reason, _) => Some(*reason),
        Within::In | Within::Out => None,
    });
    (!members.is_empty()).then(|| Outcome::unknown(unknown.unwrap_or(Reason::BranchUnknown)))
}

enum Joint {
    In,
    Out,
    Conflict,
    Unknown(Reason),
}

/// Folds the answers of all entries; one that is unknown leaves the whole unknown.
fn among<'a>(all: impl Iterator<Item = &'a Within>) -> Option<Joint> {
    let (mut inside, mut outside) = (false, false);
    for within in all {
        match within {
            Within::In => inside = true,
            Within::Out => outside = true,
            Within::Unknown(reason, _) => return Some(Joint::Unknown(*reason)),
        }
    }
    match (inside, outside) {
        (true, true) => Some(Joint::Conflict),
        (true, false) => Some(Joint::In),
        (false, true) => Some(Joint::Out),
        (false, false) => None,
    }
}
