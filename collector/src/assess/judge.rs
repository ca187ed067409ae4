//! From the rows of an asset to its findings: rows are judged one by one and joined by subject.
//!
//! What is kept of a finding is small: its subject, its outcome, and what is shown as installed.
//! Age of the inventory and of the feeds is not part of it; that is laid over when somebody asks.

use std::collections::HashMap;
use std::sync::Arc;

use holdpoint_common::section::Digest;

use crate::knowledge::{Identity, Wanted};

use super::asset::{Coverage, PlatformFacts};
use super::change::Products;
use super::explain::Trace;
use super::in_effect::NotInEffect;
use super::index::{Index, at};
use super::requirement::judge_platform;
use super::row::{Beside, Match, RowResult};
use super::subject::{Of, SubjectId};
use super::verdict::{Outcome, Reason};

/// Most instances that are named beside one finding.
const MAX_NAMED: usize = 8;
/// Everything that the findings of an asset depend on, knowledge apart. Equal images are judged once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Image {
    pub(super) software: Option<Digest>,
    pub(super) coverage: Coverage,
    /// What decides beside each row.
    pub(super) beside: Arc<Beside>,
    /// `None` unless a requirement looks at the platform, or records of Windows at a Windows.
    pub(super) platform: Option<Arc<PlatformFacts>>,
    pub(super) platform_coverage: Coverage,
    /// Updates that are installed, of a Windows that records look at.
    pub(super) updates: Arc<[Box<str>]>,
    pub(super) role: Option<Arc<str>>,
    pub(super) not_in_effect: Arc<NotInEffect>,
    /// Rows of firmware that something speaks of, in the form of software.
    pub(super) firmware: Arc<Vec<Vec<u8>>>,
    pub(super) firmware_coverage: Coverage,
}

/// A finding as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compact {
    pub(super) subject: SubjectId,
    /// Position in [`Judged::values`].
    pub(super) installed: u32,
    pub(super) outcome: Outcome,
}

/// The findings of an image.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Ascending by subject, each subject once.
    pub(super) findings: Box<[Compact]>,
    /// What is shown as installed; the first one is empty and means nothing.
    pub(super) values: Arc<[Box<str>]>,
    /// Installed things by what speaks of them, in the order of [`Match`].
    pub(super) matched: [u32; 5],
}

impl Judged {
    pub(super) fn finding(&self, subject: SubjectId) -> Option<Compact> {
        self.findings.binary_search_by_key(&subject, |it| it.subject).ok().map(|it| self.findings[it])
    }

    /// What is shown as installed; `None` when no row decides.
    pub(super) fn installed(&self, finding: Compact) -> Option<&str> {
        at(&self.values, finding.installed).map(AsRef::as_ref).filter(|it: &&str| !it.is_empty())
    }

    /// The findings by the new numbers of their subjects, the same ones where these are the old numbers; `None` when
    /// a subject is gone.
    pub(super) fn renumbered(self: &Arc<Self>, products: &Products) -> Option<Arc<Self>> {
        if products.keeps_numbers() {
            let stays = |it: &Compact| products.subject(it.subject).is_some();
            return self.findings.iter().all(stays).then(|| Arc::clone(self));
        }
        // There are millions: room for all of them at once.
        let mut findings = Vec::with_capacity(self.findings.len());
        for it in &self.findings {
            findings.push(Compact { subject: products.subject(it.subject)?, ..*it });
        }
        let (findings, values) = (findings.into(), Arc::clone(&self.values));
        Some(Arc::new(Self { findings, values, matched: self.matched }))
    }

    /// How many installed things nothing speaks of.
    pub(super) fn unidentified(&self) -> u32 {
        self.matched[Match::NoFeed as usize]
    }
}

/// What follows from the rows of an image.
#[derive(Debug)]
pub(super) struct Rows {
    /// Of its software; `None` when there are none to be read.
    pub(super) software: Option<Spoken>,
    /// Of its firmware that something speaks of.
    pub(super) firmware: Spoken,
}

/// Rows of a section, as far as something speaks of them.
#[derive(Debug)]
pub(super) struct Spoken {
    /// Rows from which something follows.
    rows: Vec<Arc<RowResult>>,
    /// All rows by what speaks of them, in the order of [`Match`].
    matched: [u32; 5],
}

impl Spoken {
    pub(super) fn of(mut rows: Vec<Arc<RowResult>>) -> Self {
        let mut matched = [0; 5];
        for row in &rows {
            matched[row.matched as usize] += 1;
        }
        rows.retain(|it| !it.outcomes.is_empty());
        Self { rows, matched }
    }
}

/// Joins what follows from the rows of an image and from its Windows.
pub(super) fn judge(
    index: &Index,
    image: &Image,
    rows: &Rows,
    of_windows: &[(SubjectId, Outcome)],
) -> Judged {
    let coverage = if rows.software.is_some() { image.coverage } else { Coverage::Missing };
    let mut judged = Judged::default();
    for spoken in rows.software.iter().chain([&rows.firmware]) {
        for (sum, count) in judged.matched.iter_mut().zip(spoken.matched) {
            *sum += count;
        }
    }
    let software = rows.software.as_ref().map_or(&[][..], |it| it.rows.as_slice());
    let of_software = software.len();
    let results: Vec<&Arc<RowResult>> = software.iter().chain(&rows.firmware.rows).collect();
    let without_requirements = index.requirement_subjects.is_empty();
    let applies = |subject: SubjectId| {
        without_requirements
            || match index.subject(subject).map(|it| it.of) {
                Some(Of::Requirement(number)) => applies(index, number, image.role.as_deref()),
                Some(Of::Entry { .. }) => true,
                None => false,
            }
    };
    let mut hits: Vec<(SubjectId, Outcome, usize)> =
        Vec::with_capacity(results.iter().map(|it| it.outcomes.len()).sum());
    let all = results
        .iter()
        .enumerate()
        .flat_map(|(at, result)| {
            let waits = image.not_in_effect.of(&result.name);
            let in_effect = move |outcome: Outcome| {
                let outcome = waits.filter(|_| outcome.verdict().is_good()).unwrap_or(outcome);
                if at < of_software { outcome } else { covered(outcome, image.firmware_coverage) }
            };
            result.outcomes.iter().map(move |&(subject, outcome)| (subject, in_effect(outcome), at))
        })
        .filter(|it| applies(it.0));
    hits.extend(all);
    // Every row's outcomes are ascending: a sort that keeps order merges them.
    hits.sort_by_key(|it| it.0);

    let mut shown = Shown::default();
    // Most findings rest on one row: its value is looked for once.
    let mut of_row: Vec<Option<u32>> = vec![None; results.len()];
    let mut findings = Vec::with_capacity(hits.len());
    for group in hits.chunk_by(|one, two| one.0 == two.0) {
        let Some(&(subject, first, at)) = group.first() else { continue };
        let outcome = group.iter().fold(first, |worst, it| worst.worse(it.1));
        let installed = match (group, of_row.get_mut(at)) {
            ([_], Some(known)) => {
                *known.get_or_insert_with(|| shown.add(&instances(results.get(at).copied().into_iter())))
            }
            (_, _) => shown.add(&instances(group.iter().filter_map(|it| results.get(it.2).copied()))),
        };
        let outcome = released(index, subject, covered(outcome, coverage), image.platform_coverage);
        findings.push(Compact { subject, installed, outcome });
    }
    if coverage != Coverage::Complete {
        // Nothing was found, and nobody has looked everywhere.
        let missing = |number: u32| {
            let subject = *at(&index.requirement_subjects, number)?;
            let requirement = index.requirement(number)?;
            let open = matches!(requirement.wanted, Wanted::Software { .. })
                && applies(subject)
                && hits.binary_search_by_key(&subject, |it| it.0).is_err();
            let outcome = Outcome::unknown(Reason::SectionIncomplete);
            open.then_some(Compact { subject, installed: 0, outcome })
        };
        let count = u32::try_from(index.requirement_subjects.len()).unwrap_or(u32::MAX);
        findings.extend((0..count).filter_map(missing));
    }
    for &number in &index.platform {
        let (Some(requirement), Some(&subject)) =
            (index.requirement(number), at(&index.requirement_subjects, number))
        else {
            continue;
        };
        let platform = image.platform.as_deref();
        let judged = judge_platform(requirement, platform, image.platform_coverage, &mut Trace::off());
        if let Some((outcome, installed)) = judged.filter(|_| applies(subject)) {
            let installed = shown.add(installed.as_deref().unwrap_or(""));
            findings.push(Compact { subject, installed, outcome });
        }
    }
    if !of_windows.is_empty() {
        let build = image.platform.as_ref().and_then(|it| it.build.as_deref());
        let installed = shown.add(&crate::knowledge::text::shown(build.unwrap_or(""), 60));
        let compact = |&(subject, outcome): &(SubjectId, Outcome)| Compact { subject, installed, outcome };
        findings.extend(of_windows.iter().map(compact));
    }
    findings.sort_unstable_by_key(|it| it.subject);
    judged.findings = findings.into();
    judged.values = shown.values.into();
    judged
}

/// Whether a requirement is for assets of a role.
pub(super) fn applies(index: &Index, requirement: u32, role: Option<&str>) -> bool {
    index.requirement(requirement).is_some_and(|it| it.role.is_none() || it.role.as_deref() == role)
}

/// Good news from a section that was not read completely is none.
pub(super) fn covered(outcome: Outcome, coverage: Coverage) -> Outcome {
    match coverage {
        Coverage::Complete => outcome,
        Coverage::Incomplete | Coverage::Missing => outcome.doubt_good(Reason::SectionIncomplete),
    }
}

/// Good news about a package rests on the release that the host runs: not where that was not read completely.
pub(super) fn released(index: &Index, subject: SubjectId, outcome: Outcome, platform: Coverage) -> Outcome {
    if platform == Coverage::Complete || outcome.verdict().is_open() {
        return outcome;
    }
    match index.identity(subject) {
        Some(Identity::Package(_)) => covered(outcome, platform),
        Some(Identity::Named | Identity::Windows) | None => outcome,
    }
}

/// What is installed, in words: the version, or each name with its version when there are several.
fn instances<'a>(rows: impl Iterator<Item = &'a Arc<RowResult>>) -> String {
    let rows: Vec<_> = rows.collect();
    match rows.as_slice() {
        [] => String::new(),
        [one] => one.installed.to_string(),
        several => {
            let named = several.iter().take(MAX_NAMED).map(|it| format!("{} {}", it.name, it.installed));
            let mut text = named.collect::<Vec<_>>().join(", ");
            if several.len() > MAX_NAMED {
                text.push_str(", …");
            }
            text
        }
    }
}

/// Values that are shown, each once.
struct Shown {
    values: Vec<Box<str>>,
    known: HashMap<Box<str>, u32>,
}

impl Default for Shown {
    fn default() -> Self {
        let empty = Box::<str>::default();
        Self { values: vec![empty.clone()], known: HashMap::from([(empty, 0)]) }
    }
}

impl Shown {
    fn add(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.known.get(text) {
            return known;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(0);
        self.values.push(text.into());
        self.known.insert(text.into(), number);
        number
    }
}
