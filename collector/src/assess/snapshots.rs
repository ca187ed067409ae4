//! Judging a host as it was at a moment, by a few subjects: what the verification of a change asks.
//!
//! The same rows, images and rules as the board's, without the board. The age of an inventory does not count here:
//! whoever asks holds a snapshot that answers a question. The age of knowledge does. Of a pair of snapshots both are
//! asked for the same subjects, so that what is gone from one of them is answered and not passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use holdpoint_common::row::SectionKind;
use holdpoint_common::section::Digest;

use crate::knowledge::{AllowedAges, HeldRequirement, Identity, Knowledge, Requirement, Source};

use super::asset::{AssetFacts, PlatformFacts, RowSource};
use super::chain;
use super::in_effect::NotInEffect;
use super::index::Index;
use super::judge::{self, Compact, Judged};
use super::page::{self, Weather};
use super::row::RowResult;
use super::subject::{Of, SubjectId};
use super::verdict::{Outcome, Reason};
use super::work::{Sections, Work};

pub use super::in_effect::Waiting;

/// What is asked of every host.
#[derive(Debug, Clone)]
pub enum Asked {
    /// A product, build or kernel of at least a version.
    Requirement(Arc<Requirement>),
    /// A subject of `status`, or the beginning of one in whole parts.
    Subject(String),
}

/// What is said of a host and what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What holds for all subjects together: the worst.
    pub outcome: Outcome,
    /// Sections that decide, in order.
    pub decides: BTreeSet<SectionKind>,
    /// What was found, each with what holds for it alone.
    pub instances: Vec<Instance>,
}

/// An installed thing that something that was asked is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// The subject; empty for a requirement of the asker.
    pub subject: String,
    /// The section that names it.
    pub kind: SectionKind,
    /// Its installed name; `build` or `kernel` of the platform.
    pub name: String,
    /// What is shown as its version.
    pub installed: String,
    /// What holds for it.
    pub outcome: Outcome,
    /// What it waits for until it is in effect, and that in words.
    pub waits: Option<(Waiting, String)>,
}

/// A host that was looked at.
#[derive(Debug)]
pub struct Looked {
    facts: AssetFacts,
    judged: Arc<Judged>,
    platform: Option<PlatformFacts>,
    instances: BTreeMap<SubjectId, Vec<Instance>>,
}

/// See the module.
#[derive(Debug)]
pub struct Snapshots {
    index: Arc<Index>,
    work: Work,
    sections: Sections,
    weather: Weather,
    asked: Vec<Subjects>,
    hosts: usize,
}

/// Subjects that something that is asked means.
#[derive(Debug, Clone, Default)]
struct Subjects {
    ranges: Vec<Range<SubjectId>>,
    /// The requirement is the asker's own: no feed is behind it.
    is_own: bool,
}

impl Subjects {
    fn contains(&self, subject: SubjectId) -> bool {
        self.ranges.iter().any(|it| it.contains(&subject))
    }

    fn all(&self) -> impl Iterator<Item = SubjectId> + '_ {
        self.ranges.iter().cloned().flatten()
    }
}

impl Snapshots {
    /// Arranges what is known and what is asked. `hosts` says how many will be looked at, at most.
    pub fn new(
        rows: Arc<dyn RowSource>,
        knowledge: &Knowledge,
        ages: &AllowedAges,
        now_ms: i64,
        asked: &[Asked],
        hosts: usize,
    ) -> Self {
        let weather = Weather::new(knowledge, ages, now_ms);
        let mut known = knowledge.clone();
        // Who asks for no advisory needs none of them.
        if asked.iter().all(|it| matches!(it, Asked::Requirement(_))) {
            known.advisories.clear();
        }
        let mut own_at: Vec<Option<usize>> = Vec::new();
        for (number, it) in asked.iter().enumerate() {
            own_at.push(match it {
                Asked::Requirement(requirement) => {
                    known.requirements.push(held(number, requirement, now_ms));
                    Some(known.requirements.len() - 1)
                }
                Asked::Subject(_) => None,
            });
        }
        let index = Arc::new(Index::build(&Arc::new(known), now_ms, &Index::default()));
        let subjects = |(it, own): (&Asked, Option<usize>)| match it {
            Asked::Requirement(_) => {
                let subject = own.and_then(|it| index.requirement_subjects.get(it)).copied();
                Subjects { ranges: subject.map(|it| it..it + 1).into_iter().collect(), is_own: true }
            }
            Asked::Subject(beginning) => Subjects { ranges: meant(&index, beginning), is_own: false },
        };
        let asked = asked.iter().zip(own_at).map(subjects).collect();
        let mut work = Work::default();
        work.advance(&index);
        Self { index, work, sections: Sections(rows), weather, asked, hosts }
    }

    /// Judges a host.
    pub fn look(&mut self, facts: AssetFacts) -> Looked {
        let judged = self.work.judge(&self.sections, &facts, self.hosts);
        let (software, firmware, not_in_effect) = self.work.rows(&self.sections, &facts);
        let platform = self.sections.platform(&facts.platform);
        let mut instances: BTreeMap<SubjectId, Vec<Instance>> = BTreeMap::new();
        let firmware = firmware.iter().map(|it| (SectionKind::Firmware, it));
        for (kind, row) in software.iter().map(|it| (SectionKind::Software, it)).chain(firmware) {
            for &(subject, on_disk) in &row.outcomes {
                if self.asked.iter().any(|it| it.contains(subject)) {
                    let found = self.instance((kind, row), subject, on_disk, &not_in_effect);
                    instances.entry(subject).or_default().push(found);
                }
            }
        }
        Looked { facts, judged, platform, instances }
    }

    fn instance(
        &self,
        (kind, row): (SectionKind, &RowResult),
        subject: SubjectId,
        on_disk: Outcome,
        not_in_effect: &NotInEffect,
    ) -> Instance {
        let outcome = not_in_effect.over(&row.name, on_disk);
        Instance {
            subject: self.text(subject),
            kind,
            name: row.name.to_string(),
            installed: row.installed.to_string(),
            outcome,
            waits: not_in_effect.waiting(&row.name).filter(|_| outcome != on_disk),
        }
    }

    /// The subject as people write it; empty for a requirement of the asker.
    fn text(&self, subject: SubjectId) -> String {
        let text = self.index.subject(subject).map_or("", |it| &it.text);
        if text.starts_with('/') { String::new() } else { text.to_owned() }
    }

    /// What is said of a host and what was asked at that position, beside the other snapshot of the host; `None` when
    /// nothing that is held has such a subject, or it is for another role.
    pub fn answer(&self, asked: usize, looked: &Looked, beside: &Looked) -> Option<Answer> {
        let asked = self.asked.get(asked)?;
        let mut subjects: BTreeSet<SubjectId> = BTreeSet::new();
        for it in [looked, beside] {
            subjects.extend(found(&it.judged, asked).map(|it| it.subject));
        }
        if subjects.is_empty() {
            subjects.extend(asked.all().filter(|&it| self.applies(it, looked)));
        }
        let mut answer: Option<Answer> = None;
        for subject in subjects {
            let one = self.one(subject, asked.is_own, looked)?;
            answer = Some(match answer {
                None => one,
                Some(mut all) => {
                    all.outcome = all.outcome.worse(one.outcome);
                    all.decides.extend(one.decides);
                    all.instances.extend(one.instances);
                    all
                }
            });
        }
        answer
    }

    fn applies(&self, subject: SubjectId, looked: &Looked) -> bool {
        match self.index.subject(subject).map(|it| it.of) {
            Some(Of::Requirement(it)) => judge::applies(&self.index, it, looked.facts.role.as_deref()),
            Some(Of::Entry { .. }) => true,
            None => false,
        }
    }

    fn one(&self, subject: SubjectId, is_own: bool, looked: &Looked) -> Option<Answer> {
        let (index, facts) = (&*self.index, &looked.facts);
        let of = index.subject(subject)?.of;
        let is_kernel = matches!(of, Of::Requirement(it)
            if index.requirement(it).is_some_and(|it| it.wanted == crate::knowledge::Wanted::Kernel));
        let on_platform = index.identity(subject) == Some(&Identity::Windows)
            || matches!(of, Of::Requirement(it) if index.platform.contains(&it));
        let mut decides =
            BTreeSet::from([if on_platform { SectionKind::Platform } else { SectionKind::Software }]);
        if matches!(index.identity(subject), Some(Identity::Package(_))) {
            decides.insert(SectionKind::Platform);
        }
        let finding = looked.judged.finding(subject);
        let outcome = match finding {
            Some(finding) => finding.outcome,
            None => {
                let outcome = chain::nothing_found(index, subject, looked.platform.as_ref()).0;
                let coverage = page::decides(index, facts, of).coverage;
                judge::released(index, subject, judge::covered(outcome, coverage), facts.platform.coverage)
            }
        };
        let outcome =
            if is_own { outcome } else { self.weather.aged(outcome, page::kind_of(index, of), false) };
        let mut instances = Vec::new();
        for instance in looked.instances.get(&subject).into_iter().flatten() {
            decides.insert(instance.kind);
            instances.push(instance.clone());
        }
        if let Some(finding) = finding.filter(|_| on_platform) {
            let installed = looked.judged.installed(finding).unwrap_or("not known").to_owned();
            let waits = (finding.outcome == Outcome::RESTART_PENDING && is_kernel)
                .then(|| (Waiting::Kernel, "the new kernel is on disk and not booted".to_owned()));
            let name = if is_kernel { "kernel" } else { "build" }.to_owned();
            let (subject, kind) = (self.text(subject), SectionKind::Platform);
            instances.push(Instance { subject, kind, name, installed, outcome: finding.outcome, waits });
        }
        Some(Answer { outcome, decides, instances })
    }
}

/// The asker's own requirement, under an identifier that no file can give: those have no slash.
fn held(number: usize, requirement: &Requirement, now_ms: i64) -> HeldRequirement {
    let id = format!("/{number}");
    let source = Source {
        digest: Digest::of(requirement.id.as_bytes()),
        file: String::new(),
        imported_ms: now_ms,
        imported_by: String::new(),
    };
    let requirement = Requirement { id, ..requirement.clone() };
    HeldRequirement { requirement: Arc::new(requirement), source: Arc::new(source) }
}

/// Subjects that are called so, or begin so in whole parts.
fn meant(index: &Index, beginning: &str) -> Vec<Range<SubjectId>> {
    let beginning = beginning.trim_end_matches('/');
    if beginning.is_empty() || beginning.starts_with('/') {
        return Vec::new();
    }
    let exact = index.subjects.called(beginning);
    let below = index.subjects.starting_with(&format!("{beginning}/"));
    [exact, below].into_iter().filter(|it| !it.is_empty()).collect()
}

/// Findings about what was asked.
fn found<'a>(judged: &'a Judged, asked: &'a Subjects) -> impl Iterator<Item = &'a Compact> {
    asked.ranges.iter().flat_map(|range| {
        let from = judged.findings.partition_point(|it| it.subject < range.start);
        judged.findings.get(from..).unwrap_or_default().iter().take_while(|it| it.subject < range.end)
    })
}

/// Whether an outcome says that entries for one product contradict each other.
pub fn is_contradicted(outcome: Outcome) -> bool {
    outcome.reason() == Some(Reason::SiblingConflict)
}
