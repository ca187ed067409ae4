//! From the rows of an asset to its findings: rows are judged one by one and joined by subject.
//!
//! What is kept of a finding is small: its subject, its outcome, and what is shown as installed.
//! Age of the inventory and of the feeds is not part of it; that is laid over when somebody asks.

use std::collections::HashMap;
use std::sync::Arc;

use holdpoint_common::section::Digest;

use crate::knowledge::Wanted;

use super::asset::{Coverage, PlatformFacts};
use super::explain::Trace;
use super::in_effect::NotInEffect;
use super::index::{Index, Of, SubjectId, at};
use super::qualifiers::Qualifiers;
use super::requirement::judge_platform;
use super::row::{self, Match, RowResult};
use super::verdict::{Outcome, Reason};

/// Most instances that are named beside one finding.
const MAX_NAMED: usize = 8;
/// Most distinct rows whose results are remembered.
const MAX_REMEMBERED: usize = 400_000;

/// Everything that the findings of an asset depend on, knowledge apart. Equal images are judged once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Image {
    pub(super) software: Option<Digest>,
    pub(super) coverage: Coverage,
    /// `None` unless a requirement looks at the platform.
    pub(super) platform: Option<Arc<PlatformFacts>>,
    pub(super) platform_coverage: Coverage,
    pub(super) role: Option<Arc<str>>,
    pub(super) not_in_effect: Arc<NotInEffect>,
    /// Rows of firmware that something speaks of, in the form of software.
    pub(super) firmware: Arc<Vec<Vec<u8>>>,
    pub(super) firmware_coverage: Coverage,
    /// Facts that rules of the map ask for.
    pub(super) facts: Arc<Qualifiers>,
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
    pub(super) values: Box<[Box<str>]>,
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

    /// How many installed things nothing speaks of.
    pub(super) fn unidentified(&self) -> u32 {
        self.matched[Match::NoFeed as usize]
    }
}

/// Results of rows that were judged before with the same index.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// By the first half of the row's SHA-256: nobody can make two rows that meet there.
    rows: HashMap<[u8; 16], Option<Arc<RowResult>>>,
    unnoticed: Option<Arc<RowResult>>,
}

impl Remembered {
    fn judge(&mut self, index: &Index, row: &[u8], facts: &Qualifiers) -> Option<Arc<RowResult>> {
        let mut key = facts.mark();
        key.iter_mut().zip(Digest::of(row).as_bytes()).for_each(|(mark, byte)| *mark ^= byte);
        if let Some(known) = self.rows.get(&key) {
            return known.clone();
        }
        let judged = row::judge(index, row, facts).map(|it| {
            if it.matched != Match::NoFeed {
                return Arc::new(it);
            }
            // Most rows concern nobody; they share one result.
            self.unnoticed.get_or_insert_with(|| Arc::new(it)).clone()
        });
        if self.rows.len() < MAX_REMEMBERED {
            self.rows.insert(key, judged.clone());
        }
        judged
    }
}

/// Judges an image. `rows` are the software rows; `None` when there are none to be read.
pub(super) fn judge(
    index: &Index,
    image: &Image,
    rows: Option<&[Vec<u8>]>,
    memory: &mut Remembered,
) -> Judged {
    let coverage = if rows.is_some() { image.coverage } else { Coverage::Missing };
    let mut results = Vec::new();
    let mut judged = Judged::default();
    for row in rows.unwrap_or_default() {
        let Some(result) = memory.judge(index, row, &image.facts) else { continue };
        judged.matched[result.matched as usize] += 1;
        if !result.outcomes.is_empty() {
            results.push(result);
        }
    }
    let of_software = results.len();
    for row in image.firmware.iter() {
        let Some(result) = memory.judge(index, row, &image.facts) else { continue };
        judged.matched[result.matched as usize] += 1;
        if !result.outcomes.is_empty() {
            results.push(result);
        }
    }
    let applies = |subject: SubjectId| match index.subject(subject).map(|it| it.of) {
        Some(Of::Requirement(number)) => applies(index, number, image.role.as_deref()),
        Some(Of::Entry { .. }) => true,
        None => false,
    };
    let mut hits: Vec<(SubjectId, Outcome, usize)> = results
        .iter()
        .enumerate()
        .flat_map(|(at, result)| {
            let in_effect = move |outcome| {
                let outcome = image.not_in_effect.over(&result.name, outcome);
                if at < of_software { outcome } else { covered(outcome, image.firmware_coverage) }
            };
            result.outcomes.iter().map(move |&(subject, outcome)| (subject, in_effect(outcome), at))
        })
        .filter(|it| applies(it.0))
        .collect();
    hits.sort_unstable_by_key(|it| (it.0, it.2));

    let mut shown = Shown::default();
    let mut findings = Vec::new();
    for group in hits.chunk_by(|one, two| one.0 == two.0) {
        let Some(&(subject, first, _)) = group.first() else { continue };
        let outcome = group.iter().fold(first, |worst, it| worst.worse(it.1));
        let installed = shown.add(&instances(group.iter().filter_map(|it| results.get(it.2))));
        findings.push(Compact { subject, installed, outcome: covered(outcome, coverage) });
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
