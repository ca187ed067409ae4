//! How soon each finding has to be dealt with, as a byte beside it: what `status` sorts and counts by.
//!
//! What a vulnerability contributes is worked out once for each subject, what an asset contributes once for each asset;
//! the two together are an entry of a table of all combinations, so that ranking a zone is a walk over bytes. Ranks do
//! not depend on the verdict: whether a finding is open is only known when somebody asks, by the age of things.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use crate::knowledge::{AllowedAges, Kind, Knowledge};
use crate::triage::decide::Scheme;
use crate::triage::inputs::{Of as Vulnerable, Sources};
use crate::triage::ledger::Ledger;
use crate::triage::table::{AUTOMATABLE, DEPLOYER, DEPLOYER_OUTCOMES, EXPLOITATION, ValueSet};
use crate::triage::{Places, Tracks};

use super::asset::AssetFacts;
use super::index::{Index, at};
use super::judge::Judged;
use super::page;
use super::subject::{Of, SubjectId};
use super::verdict::Outcome;

/// Ranks, worst first: the four outcomes with open requirements before the mildest, and what is closed.
pub(super) const RANKS: usize = 6;
/// Open findings that no triage is made for: the site's own requirements.
pub(super) const REQUIREMENT: u8 = 3;
/// Findings that are not open.
pub(super) const CLOSED: u8 = 5;
/// By outcome of the deployer's table.
const BY_OUTCOME: [u8; 4] = [4, 2, 1, 0];
/// What is open could change the rank.
const UNDETERMINED: u8 = 0x80;

/// From this number on, shared answers about findings that are gone are forgotten.
const MAX_SHARED: usize = 20_000;

/// Kinds of feeds that findings come from.
const KINDS: [Kind; 4] = [Kind::Csaf, Kind::Osv, Kind::Microsoft, Kind::Requirements];
/// Outcome, kind, and whether the platform decides.
pub(super) const CLASSES: usize = Outcome::ALL.len() * SOURCES;
/// Kind, and whether the platform decides.
const SOURCES: usize = KINDS.len() * 2;

/// Rank of every combination: exploitation in bits 0 to 2, exposure in 3 to 5, automatable in 6 and 7, human impact in
/// 8 to 11.
static RANK_OF: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let rank = |bits: u16| {
        let part = |from: u32, count: u32| {
            ValueSet::of_bits(u8::try_from((bits >> from) & ((1 << count) - 1)).unwrap_or(0))
        };
        let answer = DEPLOYER.answer(&[part(0, 3), part(3, 3), part(6, 2), part(8, 4)]);
        let worst = BY_OUTCOME.get(usize::from(answer.worst)).copied().unwrap_or(0);
        if answer.is_undetermined() { worst | UNDETERMINED } else { worst }
    };
    (0..1 << 12).map(rank).collect()
});

/// The word of a rank; `None` for what no triage is made for.
pub(super) fn word(rank: u8) -> Option<&'static str> {
    let outcome = BY_OUTCOME.iter().position(|it| *it == rank)?;
    DEPLOYER_OUTCOMES.get(outcome).copied()
}

/// The rank of a word.
pub fn rank_of(word: &str) -> Option<u8> {
    let outcome = DEPLOYER_OUTCOMES.iter().position(|it| *it == word)?;
    BY_OUTCOME.get(outcome).copied()
}

/// The class of a finding as it was judged.
fn class(outcome: Outcome, source: u8) -> usize {
    outcome.number() * SOURCES + usize::from(source)
}

/// What a subject contributes to the class of its findings: its kind, and whether the platform decides.
fn source_of(index: &Index, of: Of) -> u8 {
    let kind = page::kind_of(index, of);
    let kind = (0..).zip(KINDS).find(|it| it.1 == kind).map_or(0, |it: (u8, Kind)| it.0);
    kind * 2 + u8::from(page::decides_by_platform(index, of))
}

/// What a class stands for: an outcome, the kind, and whether the platform decides.
fn classes() -> impl Iterator<Item = (Outcome, Kind, bool)> {
    let kinds =
        |outcome| KINDS.into_iter().flat_map(move |kind| [(outcome, kind, false), (outcome, kind, true)]);
    Outcome::ALL.into_iter().flat_map(kinds)
}

/// Ranks of an asset's findings.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    /// In the order of the findings.
    each: Box<[u8]>,
    /// By rank, for each class that occurs: few do on one host.
    pub(super) counts: Box<[(usize, [u32; RANKS])]>,
}

impl Ranks {
    /// The rank of a finding by its position, were it open.
    pub(super) fn of(&self, position: usize) -> u8 {
        self.each.get(position).map_or(0, |it| it & !UNDETERMINED)
    }

    /// Whether what is open could change it.
    pub(super) fn is_undetermined(&self, position: usize) -> bool {
        self.each.get(position).is_some_and(|it| it & UNDETERMINED != 0)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ranker {
    /// Where assets stand.
    pub(super) places: Places,
    /// What suppliers state.
    pub(super) tracks: Tracks,
    /// The catalogue is missing or too old.
    pub(super) kev_stale: bool,
    /// What every subject contributes, by its number.
    subjects: Vec<Contribution>,
    /// From this time on something is too old that was not, Unix milliseconds.
    pub(super) good_until_ms: Option<i64>,
    /// Ranks of findings that many assets share, by the findings' address and what the asset contributes.
    shared: Mutex<HashMap<(usize, u16), Shared>>,
}

/// What a subject contributes, whichever asset has it.
#[derive(Debug, Clone, Copy, Default)]
struct Contribution {
    /// Exploitation and automatable; 0 for a requirement.
    bits: u8,
    /// See [`source_of`].
    source: u8,
}

/// The findings, which are not kept alive for this, and their ranks.
type Shared = (Weak<Judged>, Arc<Ranks>);

impl Ranker {
    pub(super) fn build(index: &Index, ages: &AllowedAges, now_ms: i64) -> Self {
        let knowledge = &index.knowledge;
        let (kev_stale, kev_until) = staleness(knowledge, Kind::Kev, ages, now_ms);
        let (placement_stale, placement_until) = staleness(knowledge, Kind::Placement, ages, now_ms);
        let sources = Sources { knowledge, kev_stale };
        let mut last: Option<((u32, u32), u8)> = None;
        let mut bits = |of: Of| match of {
            Of::Requirement(_) => 0,
            Of::Entry { advisory, vulnerability, .. } => {
                let key = (advisory, vulnerability);
                match last {
                    Some((known, bits)) if known == key => bits,
                    _ => {
                        let bits = vulnerable(index, advisory, vulnerability).map_or_else(
                            || bits(EXPLOITATION.any(), AUTOMATABLE.any()),
                            |of| bits(sources.exploitation(of).set, sources.automatable(of).set),
                        );
                        last = Some((key, bits));
                        bits
                    }
                }
            }
        };
        let mut subjects = vec![Contribution::default(); index.subjects.end()];
        for (number, it) in index.subjects.iter() {
            let slot = usize::try_from(number).ok().and_then(|it| subjects.get_mut(it));
            if let Some(slot) = slot {
                *slot = Contribution { bits: bits(it.of), source: source_of(index, it.of) };
            }
        }
        Self {
            subjects,
            places: Places::of(knowledge, placement_stale),
            tracks: Tracks::of(knowledge),
            kev_stale,
            good_until_ms: [kev_until, placement_until].into_iter().flatten().min(),
            shared: Mutex::default(),
        }
    }

    /// Whether every finding that both know has the rank that the one before gives it: nothing that ranks rest on
    /// beside the advisories has changed.
    pub(super) fn ranks_as(&self, index: &Index, before: &Self, index_before: &Index) -> bool {
        let (now, then) = (&index.knowledge, &index_before.knowledge);
        let kev = match (&now.kev, &then.kev) {
            (Some(one), Some(two)) => Arc::ptr_eq(&one.content, &two.content),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let placements = now.placements.len() == then.placements.len()
            && now
                .placements
                .iter()
                .zip(&then.placements)
                .all(|(one, two)| Arc::ptr_eq(&one.content, &two.content));
        kev && placements
            && self.kev_stale == before.kev_stale
            && self.places.is_stale() == before.places.is_stale()
    }

    /// Ranks the findings of an asset. Assets with equal findings that stand alike share one answer.
    pub(super) fn ranks(
        &self,
        index: &Index,
        facts: &AssetFacts,
        judged: &Arc<Judged>,
        ledger: &Ledger,
    ) -> Arc<Ranks> {
        let exposure = u16::from(self.places.exposure(&facts.id).set.bits());
        let human = u16::from(self.places.impact(&facts.id).2.set.bits());
        let asset = exposure << 3 | human << 8;
        let overridden = overridden(ledger, &facts.id);
        if !overridden.is_empty() {
            return Arc::new(self.each(index, judged, asset, &overridden));
        }
        let key = (Arc::as_ptr(judged).addr(), asset);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        // An address is not given away while something weak points at it.
        if let Some((_, ranks)) = shared.get(&key).filter(|it| it.0.as_ptr() == Arc::as_ptr(judged)) {
            return Arc::clone(ranks);
        }
        let ranks = Arc::new(self.each(index, judged, asset, &overridden));
        if shared.len() >= MAX_SHARED {
            shared.retain(|_, it| it.0.strong_count() > 0);
        }
        shared.insert(key, (Arc::downgrade(judged), Arc::clone(&ranks)));
        ranks
    }

    fn each(&self, index: &Index, judged: &Judged, asset: u16, overridden: &HashMap<&str, u8>) -> Ranks {
        // Hashing a text for every finding of a zone is left out where nobody has said anything.
        let by_person = |subject: SubjectId| {
            if overridden.is_empty() {
                return None;
            }
            overridden.get(&*index.subject(subject)?.text).copied()
        };
        let mut counts = [[0; RANKS]; CLASSES];
        let each = judged.findings.iter().map(|finding| {
            let Some(subject) = at(&self.subjects, finding.subject) else { return 0 };
            let rank = by_person(finding.subject).unwrap_or_else(|| match subject.bits {
                0 => REQUIREMENT,
                bits => RANK_OF.get(usize::from(u16::from(bits) | asset)).copied().unwrap_or(0),
            });
            let class = class(finding.outcome, subject.source);
            if let Some(count) =
                counts.get_mut(class).and_then(|it| it.get_mut(usize::from(rank & !UNDETERMINED)))
            {
                *count += 1;
            }
            rank
        });
        let each = each.collect();
        let occurring = counts.into_iter().enumerate().filter(|it| it.1 != [0; RANKS]);
        Ranks { each, counts: occurring.collect() }
    }
}

fn bits(exploitation: ValueSet, automatable: ValueSet) -> u8 {
    exploitation.bits() | automatable.bits() << 6
}

/// A vulnerability as triage asks for it.
pub(super) fn vulnerable(index: &Index, advisory: u32, vulnerability: u32) -> Option<Vulnerable<'_>> {
    let said = index.vulnerability(advisory, vulnerability)?;
    let source = &index.advisory(advisory)?.source;
    Some(Vulnerable { vulnerability: &said.id, vector: said.vector.as_deref(), source })
}

/// Whether a kind is too old now, and until when it is not.
fn staleness(knowledge: &Knowledge, kind: Kind, ages: &AllowedAges, now_ms: i64) -> (bool, Option<i64>) {
    let feed = knowledge.feed(kind, ages, now_ms);
    let allowed = i64::try_from(feed.allowed.as_millis()).unwrap_or(i64::MAX);
    let until = feed.imported_ms.map(|it| it.saturating_add(allowed).saturating_add(1));
    (feed.stale, until.filter(|_| !feed.stale))
}

/// What people said instead of the computed outcome, by subject. The newest record of a subject counts.
fn overridden<'a>(ledger: &'a Ledger, asset: &str) -> HashMap<&'a str, u8> {
    let mut newest: HashMap<&str, Option<u8>> = HashMap::new();
    for (record, said) in ledger.triage(asset) {
        if ledger.is_withdrawn(record.number) {
            continue;
        }
        let rank = said.r#override.as_ref().and_then(|it| rank_of(&it.outcome));
        // Of the other schemes nothing is sorted.
        if rank.is_none() && said.r#override.is_some() {
            continue;
        }
        newest.entry(said.subject.as_str()).or_insert(rank);
    }
    newest.into_iter().filter_map(|(subject, rank)| Some((subject, rank?))).collect()
}

/// What outcomes of an asset are now, class by class.
pub(super) struct Now {
    /// By whether the rows that decide are outdated, first those of software, then of the platform.
    outcomes: [[Outcome; CLASSES]; 4],
}

impl Now {
    pub(super) fn new(weather: &page::Weather) -> Self {
        let mut outcomes = [[Outcome::NO_PRODUCT; CLASSES]; 4];
        for (case, outcomes) in outcomes.iter_mut().enumerate() {
            for (slot, (outcome, kind, on_platform)) in outcomes.iter_mut().zip(classes()) {
                let outdated = if on_platform { case & 2 != 0 } else { case & 1 != 0 };
                *slot = weather.aged(outcome, kind, outdated);
            }
        }
        Self { outcomes }
    }

    /// For an asset whose software and platform rows are outdated or not.
    pub(super) fn of(&self, software: bool, platform: bool) -> &[Outcome; CLASSES] {
        &self.outcomes[usize::from(software) | usize::from(platform) << 1]
    }
}

/// The outcomes that `status` can be asked for.
pub fn outcomes() -> &'static [&'static str] {
    Scheme::Deployer.table().outcomes
}

/// Findings at a position of a board, for whoever explains one.
pub(super) fn position(judged: &Judged, subject: SubjectId) -> Option<usize> {
    judged.findings.binary_search_by_key(&subject, |it| it.subject).ok()
}
