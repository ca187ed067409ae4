//! What leaves a zone, as contents of records: one message for each class of the bundle.
//!
//! ```text
//! zone, board, hardening, changes, library ─► look ─► (key, content) ─► outbox
//! ```
//! Nothing in a content moves by itself: an asset that calls every minute is "fresh" every minute, and the time
//! of its last call is there only when it stopped calling. What is the same as before so has the same bytes.
//!
//! An interval looks at what changed, as far as that costs nothing to see, and at its own part of all assets; so
//! what changes by time alone (a deviation that expires, a feed that grows old) is seen within one cycle.

mod policy;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use holdpoint_common::bundle::{Class, Key, slice_of};
use holdpoint_common::proto::store::{AssetRecord, AuditEntry};
use holdpoint_common::proto::summary as pb;
use prost::Message;

use crate::assess::{Board, BoardError, Brief, Reason, Stamp, Verdict};
use crate::change::ChangeOffice;
use crate::hardening;
use crate::hardening::Score;
use crate::knowledge::{Kind, Knowledge, Library};
use crate::outbox::ledger::Content;
use crate::store::{Store, StoreError};
use crate::triage::Places;
use crate::zone::Zone;

pub use policy::{Field, Level, Policy, UnknownField};

/// Most open findings of an asset that leave, the most urgent first; how many more there are leaves too.
pub const MAX_FINDINGS: usize = 100;
/// Most verdicts of a change that leave.
pub const MAX_VERDICTS: usize = 5_000;
/// Assets whose findings are worded while the board is held.
const PAGE: usize = 256;

/// Where it all comes from.
#[derive(Clone)]
pub struct Sources {
    /// Assets and when they called.
    pub zone: Arc<Zone>,
    /// Findings.
    pub board: Arc<Board>,
    /// Results of hardening.
    pub hardening: Arc<hardening::Board>,
    /// Feeds and placement.
    pub library: Arc<Library>,
    /// Changes.
    pub changes: Arc<ChangeOffice>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("zone", self.zone.name()).finish_non_exhaustive()
    }
}

/// What is told of the sender's way of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// From one interval to the next, in milliseconds.
    pub interval_ms: u64,
    /// In what time everything is said once, in milliseconds.
    pub cycle_ms: u64,
    /// From one beacon to the next, in milliseconds.
    pub beacon_ms: u64,
    /// Into how many parts the whole is cut.
    pub slices: NonZeroU16,
}

/// The part of all assets that is looked at although nothing about them seems to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    All,
    /// Those whose records are in this slice, from 0.
    Slice(u16),
}

/// Why nothing can be said now.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// Findings are being judged.
    #[error("the findings cannot be read")]
    Board(#[from] BoardError),
    /// The audit log.
    #[error("the audit log cannot be read")]
    Store(#[from] StoreError),
}

/// What was seen of an asset when it was looked at last.
#[derive(Debug)]
struct Seen {
    record: Arc<AssetRecord>,
    stamp: Stamp,
    freshness: &'static str,
    score: Score,
    slice: u16,
}

/// Looks at a zone and says what of it may have changed.
#[derive(Debug)]
pub struct Summariser {
    sources: Sources,
    policy: Policy,
    told: Told,
    assets: BTreeMap<Arc<str>, Seen>,
    knowledge: Option<Arc<Knowledge>>,
    changes: BTreeMap<String, u64>,
}

/// The present contents of what may have changed; `None` is gone.
pub type Looked = Vec<(Key, Option<Content>)>;

impl Summariser {
    /// One that has seen nothing yet.
    pub fn new(sources: Sources, policy: Policy, told: Told) -> Self {
        let (assets, changes) = (BTreeMap::new(), BTreeMap::new());
        Self { sources, policy, told, assets, knowledge: None, changes }
    }

    /// Where it looks.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Looks at what changed since it looked last, and at a part of everything.
    ///
    /// # Errors
    /// The findings change faster than they are judged, or the audit log cannot be read. Then nothing counts
    /// as seen that was not seen before.
    pub fn look(&mut self, part: Part, now_ms: i64) -> Result<Looked, SummaryError> {
        let zone = Arc::clone(&self.sources.zone);
        let seen = |id: &str| zone.last_seen(id).map(|it| it.seen_ms);
        let records: Vec<_> = zone.assets().into_iter().filter(|it| it.retired_ms.is_none()).collect();
        let briefs = self.sources.board.briefs(now_ms, &seen)?;
        let knowledge = self.sources.library.current();
        let other = self.knowledge.as_ref().is_none_or(|it| !Arc::ptr_eq(it, &knowledge));
        let mut looked = Looked::new();

        let verdicts = sum(&briefs, |it| &it.verdicts);
        let reasons = sum(&briefs, |it| &it.reasons);
        let chosen = self.chosen(&records, &briefs, part, other);
        self.look_at_assets(&chosen, &records, &knowledge, now_ms, &seen, &mut looked)?;
        let there: BTreeSet<&str> = records.iter().map(|it| it.id.as_str()).collect();
        let gone: Vec<_> = self.assets.keys().filter(|it| !there.contains(&***it)).cloned().collect();
        for id in gone {
            self.assets.remove(&id);
            for class in [Class::Asset, Class::Finding, Class::Hardening] {
                say(&mut looked, class, &id, None);
            }
        }
        self.look_at_changes(&mut looked);
        for kind in Kind::ALL {
            let feed = knowledge.feed(kind, self.sources.board.ages(), now_ms);
            say(&mut looked, Class::Feed, kind.as_str(), Some(record::feed(&feed).encode_to_vec()));
        }
        let head = record::audit_head(&zone)?;
        say(&mut looked, Class::Audit, "head", head.map(|it| it.encode_to_vec()));
        let own = self.zone_record(&records, verdicts, reasons);
        say(&mut looked, Class::Zone, zone.name().zone.as_str(), Some(own.encode_to_vec()));
        self.knowledge = Some(knowledge);
        Ok(looked)
    }

    /// The assets that are to be looked at, with what they are now.
    fn chosen<'a>(
        &self,
        records: &'a [Arc<AssetRecord>],
        briefs: &'a [Brief],
        part: Part,
        other: bool,
    ) -> Vec<(&'a Arc<AssetRecord>, &'a Brief, &'static str)> {
        // Both are in order of the identifiers.
        let mut chosen = Vec::new();
        for record in records {
            let Ok(at) = briefs.binary_search_by(|it| (*it.asset).cmp(record.id.as_str())) else { continue };
            let Some(brief) = briefs.get(at) else { continue };
            let freshness = self.sources.zone.freshness(record).as_str();
            let due = match self.assets.get(record.id.as_str()) {
                None => true,
                Some(seen) => {
                    let same = Arc::ptr_eq(&seen.record, record)
                        && seen.stamp == brief.stamp
                        && seen.freshness == freshness;
                    let turn = match part {
                        Part::All => true,
                        Part::Slice(slice) => seen.slice == slice,
                    };
                    other || turn || !same
                }
            };
            if due {
                chosen.push((record, brief, freshness));
            }
        }
        chosen
    }

    fn look_at_assets(
        &mut self,
        chosen: &[(&Arc<AssetRecord>, &Brief, &'static str)],
        all: &[Arc<AssetRecord>],
        knowledge: &Arc<Knowledge>,
        now_ms: i64,
        seen: &dyn Fn(&str) -> Option<i64>,
        looked: &mut Looked,
    ) -> Result<(), SummaryError> {
        let Sources { board, hardening, .. } = &self.sources;
        let places = Places::of(knowledge, false);
        let world = hardening::page::World {
            assets: all,
            rows: self.sources.zone.store(),
            files: &knowledge.hardening,
            ages: board.ages(),
            seen,
            now_ms,
        };
        let mut noted = Vec::new();
        for page in chosen.chunks(PAGE) {
            let mut worst = Vec::new();
            if self.policy.level == Level::Full {
                let ids = page.iter().map(|it| it.0.id.as_str());
                worst = board.worst(ids, MAX_FINDINGS, now_ms, seen)?;
            }
            let mut worst = worst.into_iter();
            for &(record, brief, freshness) in page {
                let score = hardening.score(record, &world);
                let id: Arc<str> = record.id.as_str().into();
                if self.policy.level >= Level::Assets {
                    let stands = places.asset(&record.id).map(|it| it.0);
                    let last_seen_ms = seen(&record.id).filter(|_| freshness != "fresh");
                    let now = record::Now { freshness, last_seen_ms };
                    let asset = record::asset(record, stands, brief, now, &self.policy);
                    say(looked, Class::Asset, &id, Some(asset.encode_to_vec()));
                    let result = pb::HardeningSummary { score: Some(record::score(&score)) };
                    say(looked, Class::Hardening, &id, Some(result.encode_to_vec()));
                }
                if let Some(findings) = worst.next() {
                    let open = record::findings(findings, brief.open(), &self.policy);
                    let content = (!open.findings.is_empty()).then(|| open.encode_to_vec());
                    say(looked, Class::Finding, &id, content);
                }
                let key = Key::new(Class::Asset, &*id);
                let slice = key.map_or(0, |it| slice_of(&it, self.told.slices.get()));
                let (record, stamp) = (Arc::clone(record), brief.stamp.clone());
                noted.push((id, Seen { record, stamp, freshness, score, slice }));
            }
        }
        self.assets.extend(noted);
        Ok(())
    }

    fn look_at_changes(&mut self, looked: &mut Looked) {
        for change in self.sources.changes.changes() {
            if self.changes.get(&change.id) != Some(&change.revision) {
                let content = record::change(&change, &self.policy).encode_to_vec();
                say(looked, Class::Change, &change.id, Some(content));
                self.changes.insert(change.id.clone(), change.revision);
            }
        }
    }

    fn zone_record(
        &self,
        records: &[Arc<AssetRecord>],
        verdicts: BTreeMap<Verdict, u64>,
        reasons: BTreeMap<Reason, u64>,
    ) -> pb::ZoneSummary {
        let thresholds = self.sources.zone.settings().thresholds;
        let (mut score, mut freshness, mut states) = (Score::default(), BTreeMap::new(), BTreeMap::new());
        for seen in self.assets.values() {
            score.merge(&seen.score);
        }
        for record in records {
            *freshness.entry(self.sources.zone.freshness(record).as_str()).or_insert(0) += 1;
        }
        for change in self.sources.changes.changes() {
            *states.entry(change.state.as_str()).or_insert(0) += 1;
        }
        let Told { interval_ms, cycle_ms, beacon_ms, .. } = self.told;
        pb::ZoneSummary {
            policy: self.policy.level.as_str().to_owned(),
            redacted: self.policy.redacted.iter().map(ToString::to_string).collect(),
            collector_version: env!("CARGO_PKG_VERSION").to_owned(),
            interval_ms,
            cycle_ms,
            beacon_ms,
            stale_after_s: thresholds.stale.as_secs(),
            silent_after_s: thresholds.silent.as_secs(),
            assets: u64::try_from(records.len()).unwrap_or(u64::MAX),
            freshness: record::counts(freshness),
            verdicts: record::counts(verdicts.into_iter().map(|(it, count)| (it.as_str(), count))),
            reasons: record::counts(reasons.into_iter().map(|(it, count)| (it.as_str(), count))),
            changes: record::counts(states),
            hardening: Some(record::score(&score)),
        }
    }
}

/// What was judged since an entry of the audit log, as evidence: its key, its content, and the entry.
///
/// # Errors
/// The log cannot be read.
pub fn judgements(
    store: &Store,
    after: u64,
    policy: &Policy,
) -> Result<(Vec<(Key, Content)>, u64), StoreError> {
    let (mut found, mut last) = (Vec::new(), after);
    loop {
        let page = store.audit_numbered(last.saturating_add(1), 500)?;
        let Some((newest, _)) = page.last() else { return Ok((found, last)) };
        last = *newest;
        for (number, record) in &page {
            let Ok(entry) = AuditEntry::decode(record.entry.as_slice()) else { continue };
            let Some((name, judgement)) = record::judgement(*number, &entry, &record.chain, policy) else {
                continue;
            };
            let content = Content::try_from(judgement.encode_to_vec()).ok();
            found.extend(Key::new(Class::Audit, name).ok().zip(content));
        }
    }
}

/// The health of the collector.
pub fn health(content: &pb::HealthSummary) -> Option<(Key, Content)> {
    let key = Key::new(Class::Health, "collector").ok()?;
    Some((key, Content::try_from(content.encode_to_vec()).ok()?))
}

/// A content that is too large for a record is no content: the bounds above keep it from being so.
fn say(looked: &mut Looked, class: Class, name: &str, content: Option<Vec<u8>>) {
    let Ok(key) = Key::new(class, name) else { return };
    match content.map(Content::try_from).transpose() {
        Ok(content) => looked.push((key, content)),
        Err(error) => tracing::warn!(%error, %class, name, "a record is left out of the summary"),
    }
}

fn sum<T: Ord + Copy>(briefs: &[Brief], of: impl Fn(&Brief) -> &BTreeMap<T, u64>) -> BTreeMap<T, u64> {
    let mut sum = BTreeMap::new();
    for (word, count) in briefs.iter().flat_map(of) {
        *sum.entry(*word).or_insert(0) += count;
    }
    sum
}
