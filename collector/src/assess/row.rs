//! One software row: what knowledge looks at it, and what follows for each subject.
//!
//! Depends on the row and the index alone, so equal rows are judged once for the whole zone.

use holdpoint_common::proto::v1::SoftwareRow;
use prost::Message;

use crate::knowledge::text::shown;
use crate::knowledge::{NameKind, Wanted};

use super::explain::{Step, Trace};
use super::index::{Index, Of, SubjectId};
use super::map_rules;
use super::mapped;
use super::qualifiers::Qualifiers;
use super::requirement;
use super::verdict::{Outcome, Reason};

/// Rows of this source are remains of something that is no longer installed.
pub(super) const LEFTOVER: &str = "leftover-dpkg";

/// What knowledge has to say of an installed thing, for the count of what can be matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Match {
    /// A rule binds it to a product of an advisory.
    Confirmed,
    /// It is called like a product of an advisory, or a rule for it has expired.
    Candidate,
    /// A person has said that it is none of the products.
    Rejected,
    /// A requirement looks at it, no advisory does.
    Required,
    /// Nothing that is held speaks of it.
    NoFeed,
}

/// What follows from one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowResult {
    pub(super) matched: Match,
    /// At most one outcome for each subject, ascending; empty for most rows.
    pub(super) outcomes: Vec<(SubjectId, Outcome)>,
    /// The installed name, for findings that rest on several rows.
    pub(super) name: Box<str>,
    /// Version with architecture, as it is shown beside the findings.
    pub(super) installed: Box<str>,
}

/// The part of a row that decides whether anybody looks at it.
#[derive(Clone, PartialEq, Message)]
struct NamesOnly {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "4")]
    source: String,
    #[prost(string, optional, tag = "6")]
    source_package: Option<String>,
    #[prost(string, optional, tag = "13")]
    path: Option<String>,
    #[prost(string, optional, tag = "15")]
    product_code: Option<String>,
}

/// Judges a row; `None` for a row that is not of something installed.
pub(super) fn judge(index: &Index, encoded: &[u8], facts: &Qualifiers) -> Option<RowResult> {
    let NamesOnly { name, source, source_package, path, product_code } = NamesOnly::decode(encoded).ok()?;
    if source == LEFTOVER {
        return None;
    }
    let looked_at = !index.rules_for(&name).is_empty()
        || !index.candidates_for(&name).is_empty()
        || !index.requirements_for(&name, source_package.as_deref(), &source).is_empty()
        || index.map_rules.look_at(|| {
            let (name, source) = (name.clone(), source.clone());
            let names =
                SoftwareRow { name, source, source_package, path, product_code, ..SoftwareRow::default() };
            map_rules::keys_of(&names)
        });
    if !looked_at {
        let nothing = Box::<str>::default();
        return Some(RowResult {
            matched: Match::NoFeed,
            outcomes: Vec::new(),
            name: nothing.clone(),
            installed: nothing,
        });
    }
    let row = SoftwareRow::decode(encoded).ok()?;
    let (matched, outcomes) = outcomes(index, &row, facts, None, &mut Trace::off());
    Some(RowResult { matched, outcomes, name: shown(&name, 120).into(), installed: installed(&row).into() })
}

/// The version as it is shown: with its architecture, where the row has one.
fn installed(row: &SoftwareRow) -> String {
    let version = shown(row.version.as_deref().unwrap_or("(no version)"), 100);
    match &row.architecture {
        Some(architecture) => format!("{version} ({})", shown(architecture, 20)),
        None => version,
    }
}

/// A row retold for one subject.
pub(super) struct Explained {
    /// The installed name.
    pub(super) name: String,
    /// What follows from the row alone.
    pub(super) outcome: Outcome,
    /// How.
    pub(super) steps: Vec<Step>,
}

/// Explains a row for one subject; `None` when the row has nothing to do with it.
pub(super) fn explain(
    index: &Index,
    encoded: &[u8],
    facts: &Qualifiers,
    subject: SubjectId,
) -> Option<Explained> {
    let row = SoftwareRow::decode(encoded).ok().filter(|it| it.source != LEFTOVER)?;
    let mut trace = Trace::on();
    let (_, outcomes) = outcomes(index, &row, facts, Some(subject), &mut trace);
    let outcome = outcomes.into_iter().find(|it| it.0 == subject)?.1;
    let SoftwareRow { name, source, publisher, .. } = &row;
    let publisher = publisher.as_ref().map(|it| format!(", publisher {}", shown(it, 80))).unwrap_or_default();
    let text = format!("{} {} is installed (source {source}{publisher})", shown(name, 120), installed(&row));
    let digest = holdpoint_common::section::Digest::of(encoded).to_string();
    let mut steps = vec![Step::new("row", text).resting_on(digest)];
    steps.extend(trace.take());
    Some(Explained { name: shown(name, 120), outcome, steps })
}

/// The outcomes of a row, ascending by subject and each subject once. With `only`, the trace is about that one.
fn outcomes(
    index: &Index,
    row: &SoftwareRow,
    facts: &Qualifiers,
    only: Option<SubjectId>,
    trace: &mut Trace,
) -> (Match, Vec<(SubjectId, Outcome)>) {
    let mut found = Vec::new();
    let mut matched = Match::NoFeed;
    let wanted = |subject: SubjectId| only.is_none_or(|it| it == subject);
    for number in index.requirements_for(&row.name, row.source_package.as_deref(), &row.source) {
        let (Some(requirement), Some(&subject)) =
            (index.requirement(number), super::index::at(&index.requirement_subjects, number))
        else {
            continue;
        };
        matched = matched.min(Match::Required);
        if !wanted(subject) {
            continue;
        }
        let version = match &requirement.wanted {
            Wanted::Software { by: NameKind::SourcePackage, .. } => {
                row.source_version.as_deref().or(row.version.as_deref())
            }
            Wanted::Software { by: NameKind::Name, .. } | Wanted::Build { .. } | Wanted::Kernel => {
                row.version.as_deref()
            }
        };
        found.push((subject, requirement::judge_version(requirement, version, trace)));
    }
    let mut into = mapped::Found { only, found: &mut found, trace };
    matched = matched.min(mapped::judge(index, row, facts, &mut into));
    found.sort_by_key(|it| it.0);
    found.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.worse(next.1);
        }
        same
    });
    (matched, found)
}

/// The subject's own place in the knowledge, for an explanation without any row.
pub(super) fn nothing_found(index: &Index, subject: SubjectId) -> (Outcome, Step) {
    let product = match index.subject(subject).map(|it| it.of) {
        Some(Of::Entry { product, .. }) => index.product(product),
        Some(Of::Requirement(_)) | None => {
            return (
                Outcome::NO_PRODUCT,
                Step::new("row", "nothing that is installed matches the requirement"),
            );
        }
    };
    match product {
        Some(product) if product.confirmed > 0 => {
            let text = format!(
                "nothing that {} confirmed rules bind to the product is installed",
                product.confirmed
            );
            (Outcome::NO_PRODUCT, Step::new("row", text))
        }
        Some(_) | None => {
            let text = "no valid rule says what the product is called where it is installed, so its absence cannot be shown";
            (Outcome::unknown(Reason::NoMapRule), Step::new("map", text))
        }
    }
}
