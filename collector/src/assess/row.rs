//! One software row: what knowledge looks at it, and what follows for each subject.
//!
//! Depends on the row, what stands beside it and the index alone, so equal rows are judged once for all
//! hosts that agree in that.

use holdpoint_common::proto::v1::SoftwareRow;
use prost::Message;

use crate::knowledge::text::shown;
use crate::knowledge::{Identity, NameKind, Wanted};

use super::explain::{Step, Trace};
use super::index::Index;
use super::map_rules;
use super::mapped;
use super::package::{self, Distribution, Fit};
use super::product::Place;
use super::qualifiers::Qualifiers;
use super::requirement;
use super::subject::{Of, SubjectId};
use super::verdict::{Outcome, Reason};

/// Rows of this source are remains of something that is no longer installed.
pub(super) const LEFTOVER: &str = "leftover-dpkg";

/// What knowledge has to say of an installed thing, for the count of what can be matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Match {
    /// A rule binds it to a product of an advisory, or it is a package of the distribution that a record names.
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

/// What of the host, beside the row itself, decides what follows from a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Beside {
    /// Whose records speak of its packages.
    pub(super) distribution: Distribution,
    /// Facts that rules of the map ask for.
    pub(super) facts: Qualifiers,
}

/// The part of a row that decides whether anybody looks at it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Names {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) source: String,
    #[prost(string, optional, tag = "6")]
    source_package: Option<String>,
    #[prost(string, optional, tag = "13")]
    path: Option<String>,
    #[prost(string, optional, tag = "15")]
    product_code: Option<String>,
}

impl Names {
    /// Reads the names of a row; `None` when it is none.
    pub(super) fn read(encoded: &[u8]) -> Option<Self> {
        Self::decode(encoded).ok()
    }

    /// The name under which records of distributions speak of the row.
    pub(super) fn package(&self) -> &str {
        package::source_name(&self.name, self.source_package.as_deref())
    }

    /// The keys under which rules of the map would stand for the row.
    pub(super) fn keys(&self) -> Vec<String> {
        let Self { name, source, source_package, path, product_code } = self.clone();
        map_rules::keys_of(&SoftwareRow {
            name,
            source,
            source_package,
            path,
            product_code,
            ..SoftwareRow::default()
        })
    }
}

/// Judges a row; `None` for a row that is not of something installed.
pub(super) fn judge(index: &Index, beside: &Beside, encoded: &[u8]) -> Option<RowResult> {
    let names = Names::read(encoded)?;
    if names.source == LEFTOVER {
        return None;
    }
    let looked_at = index.packages_for(names.package(), &names.source, &beside.distribution).next().is_some()
        || !index.rules_for(&names.name).is_empty()
        || !index.candidates_for(&names.name).is_empty()
        || !index.requirements_for(&names.name, names.source_package.as_deref(), &names.source).is_empty()
        || index.map_rules.look_at(|| names.keys());
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
    let (matched, outcomes) = outcomes(index, beside, &row, None, &mut Trace::off());
    Some(RowResult {
        matched,
        outcomes,
        name: shown(&row.name, 120).into(),
        installed: installed(&row).into(),
    })
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
    beside: &Beside,
    encoded: &[u8],
    subject: SubjectId,
) -> Option<Explained> {
    let row = SoftwareRow::decode(encoded).ok().filter(|it| it.source != LEFTOVER)?;
    let mut trace = Trace::on();
    let (_, outcomes) = outcomes(index, beside, &row, Some(subject), &mut trace);
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
    beside: &Beside,
    row: &SoftwareRow,
    only: Option<SubjectId>,
    trace: &mut Trace,
) -> (Match, Vec<(SubjectId, Outcome)>) {
    let Beside { distribution, facts } = beside;
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
    let package = package::source_name(&row.name, row.source_package.as_deref());
    for (product, fit) in index.packages_for(package, &row.source, distribution) {
        matched = matched.min(if fit == Fit::Yes { Match::Confirmed } else { Match::Candidate });
        bind_package(index, product, fit, distribution, row, only, &mut found, trace);
    }
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

/// A package of the host's distribution: every statement about it is judged, without a rule.
#[expect(clippy::too_many_arguments, reason = "what binds a row to a product, and where the answers go")]
fn bind_package(
    index: &Index,
    product: u32,
    fit: Fit,
    distribution: &Distribution,
    row: &SoftwareRow,
    only: Option<SubjectId>,
    found: &mut Vec<(SubjectId, Outcome)>,
    trace: &mut Trace,
) {
    let Some(product) = index.product(product) else { return };
    let Identity::Package(ecosystem) = &product.identity else { return };
    for place in &product.places {
        let Some(held) = index.advisory(place.advisory) else { continue };
        for here in place.by_vulnerability() {
            let Some(&(vulnerability, ..)) = here.first() else { continue };
            if only.is_some_and(|it| here.iter().all(|subject| subject.2 != it)) {
                continue;
            }
            let Some(said) = index.vulnerability(place.advisory, vulnerability) else { continue };
            trace.add(|| package::identity_step(ecosystem, distribution, row));
            let judged = package::judge(
                &held.advisory,
                said,
                &place.entries,
                (ecosystem, fit),
                row,
                held.is_withdrawn(),
                trace,
            );
            Place::put(here, judged, found);
        }
    }
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
