//! The findings of every asset, kept at hand: told of what changed, judged before anybody reads.
//!
//! One thread judges in the background; whoever asks first judges what is left himself, so an
//! answer never misses a change that was announced before the question. Only compact findings are
//! kept; what a person reads is rendered when it is asked for. The rows come from a [`RowSource`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::thread;

use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::proto::v1::{SectionKind, SoftwareRow};
use holdpoint_common::section::Digest;
use prost::Message;
use tracing::warn;

use crate::knowledge::map::{self, Candidate, InstalledName, Question};
use crate::knowledge::text::shown;
use crate::knowledge::{AllowedAges, Knowledge};

use super::asset::{AssetFacts, Coverage, Held, PlatformFacts, RowSource};
use super::chain;
use super::explain::Explanation;
use super::firmware;
use super::in_effect::NotInEffect;
use super::index::Index;
use super::judge::{self, Image, Judged, Remembered};
use super::page::{self, Filter, Page, Weather};
use super::qualifiers::Qualifiers;
use super::row;
use super::summary::{self, Summary};

/// How often a question is tried again when knowledge changes under it.
const MAX_TRIES: usize = 8;
/// Images that are remembered beyond those in use.
const SPARE_IMAGES: usize = 256;

/// A question cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// What is known changes faster than it can be judged. Asking again helps.
    #[error("what is known is changing at this moment; ask again")]
    Busy,
    /// There is no such asset, or it is not judged because it was retired.
    #[error("there is no asset `{0}` that is judged")]
    UnknownAsset(String),
    /// Nothing that is held has such a subject.
    #[error("nothing that is held begins with `{0}`")]
    UnknownSubject(String),
}

/// When an asset last called, Unix milliseconds; `None` when that is not known.
pub type LastSeen<'a> = &'a dyn Fn(&str) -> Option<i64>;

/// See the module. Always behind an [`Arc`].
pub struct Board {
    rows: Arc<dyn RowSource>,
    ages: AllowedAges,
    state: RwLock<State>,
    work: Mutex<Work>,
    bell: Arc<Bell>,
}

/// What questions read.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) index: Arc<Index>,
    /// Counts indexes; findings of an older one mean nothing.
    generation: u64,
    pub(super) assets: BTreeMap<Arc<str>, OnBoard>,
    pending: BTreeSet<Arc<str>>,
}

/// An asset with its findings.
#[derive(Debug)]
pub(super) struct OnBoard {
    pub(super) facts: AssetFacts,
    judged: Option<(u64, Arc<Judged>)>,
}

impl OnBoard {
    /// The findings; nothing while the asset waits to be judged, which no question sees.
    pub(super) fn judged(&self) -> Option<&Judged> {
        self.judged.as_ref().map(|it| it.1.as_ref())
    }
}

/// What judging remembers between assets.
#[derive(Debug, Default)]
struct Work {
    generation: u64,
    images: HashMap<Image, Arc<Judged>>,
    memory: Remembered,
    not_in_effect: HashMap<Option<Digest>, Arc<NotInEffect>>,
    firmware: HashMap<Digest, Arc<Vec<Vec<u8>>>>,
}

/// Wakes the thread that judges.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<Ring>,
    waiting: Condvar,
}

#[derive(Debug, Default)]
struct Ring {
    work: bool,
    closed: bool,
}

impl Bell {
    fn ring(&self) {
        lock(&self.rung).work = true;
        self.waiting.notify_one();
    }

    /// Waits for work; says no when the board is gone.
    fn wait(&self) -> bool {
        let mut ring = lock(&self.rung);
        while !ring.work && !ring.closed {
            ring = self.waiting.wait(ring).unwrap_or_else(PoisonError::into_inner);
        }
        ring.work = false;
        !ring.closed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("ages", &self.ages).finish_non_exhaustive()
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        lock(&self.bell.rung).closed = true;
        self.bell.waiting.notify_one();
    }
}

impl Board {
    /// An empty board and its thread, which ends with the board.
    pub fn open(rows: Arc<dyn RowSource>, ages: AllowedAges) -> Arc<Self> {
        let board = Arc::new(Self {
            rows,
            ages,
            state: RwLock::default(),
            work: Mutex::default(),
            bell: Arc::default(),
        });
        let (weak, bell) = (Arc::downgrade(&board), Arc::clone(&board.bell));
        let started = thread::Builder::new().name("judge".to_owned()).spawn(move || run(&weak, &bell));
        if let Err(error) = started {
            // Questions judge what is left themselves; the first one just takes longer.
            warn!(error = &error as &dyn std::error::Error, "no thread for judging in the background");
        }
        board
    }

    /// How old knowledge and inventories may be.
    pub fn ages(&self) -> &AllowedAges {
        &self.ages
    }

    /// Takes in an asset's record as it is now. Quick: judging happens elsewhere.
    pub fn asset_changed(&self, record: &AssetRecord) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let Some(facts) = AssetFacts::of(record) else {
            state.assets.remove(record.id.as_str());
            state.pending.remove(record.id.as_str());
            return;
        };
        let id = Arc::clone(&facts.id);
        match state.assets.get_mut(&id) {
            Some(known) if known.facts == facts => return,
            Some(known) => known.facts = facts,
            None => {
                state.assets.insert(Arc::clone(&id), OnBoard { facts, judged: None });
            }
        }
        state.pending.insert(id);
        drop(state);
        self.bell.ring();
    }

    /// Takes in new knowledge: everything is judged again, in the background.
    pub fn knowledge_changed(&self, knowledge: &Arc<Knowledge>, now_ms: i64) {
        let index = Arc::new(Index::build(knowledge, now_ms));
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Of two changes at the same time the newer one stays.
        if index.knowledge.revision < state.index.knowledge.revision {
            return;
        }
        state.index = index;
        state.generation += 1;
        state.pending = state.assets.keys().cloned().collect();
        drop(state);
        self.bell.ring();
    }

    /// A page of findings.
    pub fn page(&self, filter: &Filter, now_ms: i64, seen: LastSeen<'_>) -> Result<Page, BoardError> {
        let state = self.settled(filter.asset.as_deref(), now_ms)?;
        if let Some(asset) = &filter.asset
            && !state.assets.contains_key(asset.as_str())
        {
            return Err(BoardError::UnknownAsset(shown(asset, 80)));
        }
        let weather = Weather::new(&state.index.knowledge, &self.ages, now_ms);
        Ok(page::page(&state, filter, &weather, seen))
    }

    /// Counts over all findings.
    pub fn summary(&self, now_ms: i64, seen: LastSeen<'_>) -> Result<Summary, BoardError> {
        let state = self.settled(None, now_ms)?;
        let weather = Weather::new(&state.index.knowledge, &self.ages, now_ms);
        Ok(summary::summary(&state, &weather, seen))
    }

    /// Explains what holds for an asset and a subject, or the beginning of one: of several, the worst.
    pub fn explain(
        &self,
        asset: &str,
        subject: &str,
        now_ms: i64,
        seen: LastSeen<'_>,
    ) -> Result<Explanation, BoardError> {
        let (index, facts, judged, weather) = {
            let state = self.settled(Some(asset), now_ms)?;
            let on_board =
                state.assets.get(asset).ok_or_else(|| BoardError::UnknownAsset(shown(asset, 80)))?;
            let judged = on_board.judged.as_ref().map(|it| Arc::clone(&it.1)).unwrap_or_default();
            let weather = Weather::new(&state.index.knowledge, &self.ages, now_ms);
            (Arc::clone(&state.index), on_board.facts.clone(), judged, weather)
        };
        let number = chain::chosen(&index, &judged, subject)
            .ok_or_else(|| BoardError::UnknownSubject(shown(subject, 80)))?;
        Ok(self.chain(&index, &facts, &judged, number, &weather, seen))
    }

    /// Ranks what a person could confirm, best first, for all advisories or for one.
    pub fn suggest(&self, advisory: Option<&str>, now_ms: i64) -> Result<Vec<Candidate>, BoardError> {
        let (index, facts) = {
            let state = self.settled(None, now_ms)?;
            (
                Arc::clone(&state.index),
                state.assets.values().map(|it| (it.facts.software, it.facts.firmware)).collect::<Vec<_>>(),
            )
        };
        let mut products = index.product_numbers();
        if let Some(wanted) = advisory {
            let named = |it: &super::index::Place| {
                index.advisory(it.advisory).is_some_and(|it| page::is_named(it, wanted))
            };
            let kept: HashSet<_> =
                index.products.iter().filter(|it| it.places.iter().any(named)).map(|it| &it.name).collect();
            products.retain(|it, _| kept.contains(it));
        }
        let rules = index.knowledge.rules.iter().filter(|it| map::is_valid(it, now_ms));
        let mut decided: BTreeSet<String> = rules.map(|it| it.id.clone()).collect();
        let installed = self.installed_names(&facts);
        for name in installed.keys() {
            decided.extend(index.decided_by_files(name).iter().map(|it| map::pair_id(it, name)));
        }
        Ok(map::suggest(&Question { products, installed, decided }))
    }

    /// Every distinct installed thing, firmware included, with the number of assets that have it.
    fn installed_names(&self, held: &[(Held, Held)]) -> BTreeMap<InstalledName, u32> {
        let mut images: HashMap<_, u32> = HashMap::new();
        for (software, firmware) in held {
            let software = software.digest.map(|it| (true, it));
            for image in software.into_iter().chain(firmware.digest.map(|it| (false, it))) {
                *images.entry(image).or_default() += 1;
            }
        }
        let mut names: BTreeMap<InstalledName, u32> = BTreeMap::new();
        for ((is_software, digest), assets) in images {
            let rows = if is_software {
                self.software_rows(&digest).unwrap_or_default()
            } else {
                Arc::new(self.firmware_rows(&digest))
            };
            let rows = rows.iter().filter_map(|it| SoftwareRow::decode(it.as_slice()).ok());
            let distinct: HashSet<InstalledName> = rows
                .filter(|it| it.source != row::LEFTOVER)
                .map(|it| InstalledName { name: it.name, publisher: it.publisher, source: it.source })
                .collect();
            for name in distinct {
                *names.entry(name).or_default() += assets;
            }
        }
        names
    }

    pub(super) fn software_rows(
        &self,
        digest: &holdpoint_common::section::Digest,
    ) -> Option<Arc<Vec<Vec<u8>>>> {
        self.section_rows(SectionKind::Software, digest)
    }

    fn section_rows(
        &self,
        kind: SectionKind,
        digest: &holdpoint_common::section::Digest,
    ) -> Option<Arc<Vec<Vec<u8>>>> {
        match self.rows.rows(kind, digest) {
            Ok(rows) => rows,
            Err(why) => {
                warn!(%digest, why, "rows cannot be read for judging");
                None
            }
        }
    }

    /// Judges what waits, for one asset or for all, and lends the state in which nothing does.
    pub(super) fn settled(
        &self,
        asset: Option<&str>,
        now_ms: i64,
    ) -> Result<RwLockReadGuard<'_, State>, BoardError> {
        self.let_rules_expire(now_ms);
        for _ in 0..MAX_TRIES {
            match asset {
                Some(asset) => self.judge_one(asset),
                None => while self.judge_next() {},
            }
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let is_ready =
                |it: &OnBoard| it.judged.as_ref().is_some_and(|judged| judged.0 == state.generation);
            let ready = match asset {
                Some(asset) => state.assets.get(asset).is_none_or(is_ready),
                None => state.assets.values().all(is_ready),
            };
            if ready {
                return Ok(state);
            }
        }
        Err(BoardError::Busy)
    }

    fn let_rules_expire(&self, now_ms: i64) {
        let knowledge = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let expired = state.index.good_until_ms.is_some_and(|it| now_ms >= it);
            expired.then(|| Arc::clone(&state.index.knowledge))
        };
        if let Some(knowledge) = knowledge {
            self.knowledge_changed(&knowledge, now_ms);
        }
    }

    /// Judges one asset that waits; says no when none does.
    fn judge_next(&self) -> bool {
        let mut work = lock(&self.work);
        let next = self.state.write().unwrap_or_else(PoisonError::into_inner).pending.pop_first();
        let Some(id) = next else { return false };
        self.judge_asset(&mut work, &id);
        true
    }

    fn judge_one(&self, asset: &str) {
        let mut work = lock(&self.work);
        if self.state.write().unwrap_or_else(PoisonError::into_inner).pending.remove(asset) {
            self.judge_asset(&mut work, asset);
        }
    }

    fn judge_asset(&self, work: &mut Work, id: &str) {
        let (index, generation, facts) = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let Some(on_board) = state.assets.get(id) else { return };
            (Arc::clone(&state.index), state.generation, on_board.facts.clone())
        };
        if work.generation != generation {
            *work = Work { generation, ..Work::default() };
        }
        let image = self.image(work, &index, &facts);
        let judged = match work.images.get(&image) {
            Some(judged) => Arc::clone(judged),
            None => {
                let rows = facts.software.digest.and_then(|it| self.software_rows(&it));
                let rows = rows.as_ref().map(|it| it.as_slice());
                let judged = Arc::new(judge::judge(&index, &image, rows, &mut work.memory));
                // Rows that could not be read just now may be readable the next time.
                if rows.is_some() || facts.software.digest.is_none() {
                    work.images.insert(image, Arc::clone(&judged));
                }
                judged
            }
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let limit = 2 * state.assets.len() + SPARE_IMAGES;
        let unchanged = state.generation == generation;
        // Whoever changed the asset or the knowledge meanwhile has put it back on the list.
        if let Some(on_board) = state.assets.get_mut(id).filter(|it| unchanged && it.facts == facts) {
            on_board.judged = Some((generation, judged));
        }
        drop(state);
        if work.not_in_effect.len() > limit {
            work.not_in_effect.clear();
        }
        if work.firmware.len() > limit {
            work.firmware.clear();
        }
        if work.images.len() > limit {
            work.images.retain(|_, judged| Arc::strong_count(judged) > 1);
        }
    }

    fn image(&self, work: &mut Work, index: &Index, facts: &AssetFacts) -> Image {
        let platform = if index.platform.is_empty() { None } else { self.platform(&facts.platform) };
        let AssetFacts { role, software, live, .. } = facts;
        Image {
            software: software.digest,
            coverage: software.coverage,
            platform: platform.map(Arc::new),
            platform_coverage: if index.platform.is_empty() {
                Coverage::Missing
            } else {
                facts.platform.coverage
            },
            role: role.clone(),
            firmware: facts.firmware.digest.map(|it| self.spoken_of(work, index, it)).unwrap_or_default(),
            firmware_coverage: facts.firmware.coverage,
            facts: Arc::new(self.qualifiers(index, facts)),
            not_in_effect: Arc::clone(
                work.not_in_effect.entry(live.digest).or_insert_with(|| Arc::new(self.not_in_effect(live))),
            ),
        }
    }

    /// Rows of firmware that something speaks of. Most components are nobody's product, and their serial numbers
    /// would make every image another one.
    fn spoken_of(&self, work: &mut Work, index: &Index, firmware: Digest) -> Arc<Vec<Vec<u8>>> {
        if let Some(known) = work.firmware.get(&firmware) {
            return Arc::clone(known);
        }
        let none = Qualifiers::default();
        let rows = self.firmware_rows(&firmware).into_iter();
        let is_spoken_of =
            |row: &Vec<u8>| row::judge(index, row, &none).is_some_and(|it| it.matched != row::Match::NoFeed);
        let rows = Arc::new(rows.filter(is_spoken_of).collect::<Vec<_>>());
        work.firmware.insert(firmware, Arc::clone(&rows));
        rows
    }

    /// Firmware in the form of software.
    pub(super) fn firmware_rows(&self, digest: &Digest) -> Vec<Vec<u8>> {
        let rows = self.section_rows(SectionKind::Firmware, digest);
        rows.map(|it| firmware::as_software(&it)).unwrap_or_default()
    }

    /// What is known of the facts that rules of the map ask for.
    pub(super) fn qualifiers(&self, index: &Index, facts: &AssetFacts) -> Qualifiers {
        let mut known = Qualifiers::default();
        if index.facts.is_empty() {
            return known;
        }
        let observed = facts.hardening.digest.filter(|_| facts.hardening.coverage == Coverage::Complete);
        if let Some(rows) = observed.and_then(|it| self.section_rows(SectionKind::Hardening, &it)) {
            known.observe(&rows, &|it| index.facts.contains(it));
        }
        for (name, value) in index.declared.get(&*facts.id).into_iter().flatten() {
            if index.facts.contains(name) {
                known.add(name, value);
            }
        }
        known
    }

    pub(super) fn not_in_effect(&self, live: &Held) -> NotInEffect {
        let rows = live.digest.and_then(|it| self.section_rows(SectionKind::Live, &it));
        rows.map(|it| NotInEffect::read(&it)).unwrap_or_default()
    }

    pub(super) fn platform(&self, held: &Held) -> Option<PlatformFacts> {
        PlatformFacts::read(&self.section_rows(SectionKind::Platform, &held.digest?)?)
    }
}

fn run(board: &Weak<Board>, bell: &Bell) {
    while bell.wait() {
        // The board is held for one asset at a time, so that it can go at any moment.
        while board.upgrade().is_some_and(|it| it.judge_next()) {}
    }
}
