//! The findings of every asset, kept at hand: told of what changed, judged before anybody reads.
//!
//! One thread judges in the background; whoever asks judges what is left beside it, so an
//! answer never misses a change that was announced before the question. Of a burst of changes of what is
//! known the thread takes the last one, once it is quiet. Only compact findings are
//! kept; what a person reads is rendered when it is asked for. The rows come from a [`RowSource`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::thread;
use std::time::Duration;

use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::proto::v1::{SectionKind, SoftwareRow};
use prost::Message;
use tracing::warn;

use crate::duty::Controls;
use crate::knowledge::map::{self, Candidate, InstalledName, Question};
use crate::knowledge::text::shown;
use crate::knowledge::{AllowedAges, Knowledge};
use crate::triage::Ledger;

use super::asset::{AssetFacts, Held, RowSource};
use super::chain;
use super::explain::Explanation;
use super::index::Index;
use super::judge::Judged;
use super::page::{self, Filter, Page, Weather};
use super::rank::{Ranker, Ranks};
use super::row;
use super::standing::Clerk;
use super::summary::{self, Summary};
use super::work::{Looked, Sections, Untouched, Work};

/// How often a question is tried again when knowledge changes under it.
const MAX_TRIES: usize = 8;
/// Knowledge is arranged in the background when it did not change for this long ...
const QUIET: Duration = Duration::from_millis(100);
/// ... or when this many such times have passed.
const MAX_QUIET: u32 = 30;

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
    pub(super) sections: Sections,
    ages: AllowedAges,
    state: RwLock<State>,
    work: Mutex<Work>,
    /// Held for reading from when an asset is taken off the list until its findings are on the board.
    judging: RwLock<()>,
    bell: Arc<Bell>,
}

/// What questions read.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) index: Arc<Index>,
    /// Counts indexes; findings of an older one mean nothing.
    generation: u64,
    pub(super) assets: BTreeMap<Arc<str>, OnBoard>,
    /// What triage knows of the index, and what people decided.
    pub(super) ranker: Arc<Ranker>,
    pub(super) ledger: Arc<Ledger>,
    /// What stands in for patches.
    pub(super) controls: Arc<Controls>,
    pending: BTreeSet<Arc<str>>,
    /// What is known by now and not arranged yet, with the time at which it was told.
    next: Option<(Arc<Knowledge>, i64)>,
}

impl State {
    /// Ranks the findings of one asset or of all.
    fn rank(&mut self, asset: Option<&str>) {
        let (index, ranker, ledger) =
            (Arc::clone(&self.index), Arc::clone(&self.ranker), Arc::clone(&self.ledger));
        match asset {
            Some(asset) => {
                if let Some(it) = self.assets.get_mut(asset) {
                    it.rank(&index, &ranker, &ledger);
                }
            }
            None => self.assets.values_mut().for_each(|it| it.rank(&index, &ranker, &ledger)),
        }
    }

    /// Goes on to the next index: assets that it does not touch keep their findings, the others wait to be judged.
    fn take_over(&mut self, index: Arc<Index>, ranker: Ranker, untouched: &Untouched) {
        let keeps_ranks = ranker.ranks_as(&index, &self.ranker, &self.index);
        self.index = index;
        self.ranker = Arc::new(ranker);
        let (index, ranker, ledger) = (&self.index, &self.ranker, &self.ledger);
        let before = self.generation;
        self.generation += 1;
        for (id, on_board) in &mut self.assets {
            let judged = on_board.judged.as_ref().filter(|it| it.0 == before && !self.pending.contains(id));
            match judged.and_then(|it| untouched.findings(&on_board.facts, &it.1)) {
                Some(findings) => {
                    on_board.judged = Some((self.generation, Arc::clone(findings)));
                    if !keeps_ranks {
                        on_board.rank(index, ranker, ledger);
                    }
                }
                None => {
                    self.pending.insert(Arc::clone(id));
                }
            }
        }
    }

    /// Takes an asset off the list of those that wait; says no when it does not. Its findings of before are gone: they
    /// must not be taken for those that are being joined.
    fn take(&mut self, asset: &str) -> bool {
        let waited = self.pending.remove(asset);
        if let Some(on_board) = self.assets.get_mut(asset).filter(|_| waited) {
            on_board.judged = None;
        }
        waited
    }

    /// Takes the first asset off the list.
    fn take_next(&mut self) -> Option<Arc<str>> {
        let next = self.pending.first().map(Arc::clone)?;
        self.take(&next).then_some(next)
    }

    /// The newest knowledge that was told of.
    fn told(&self) -> &Arc<Knowledge> {
        self.next.as_ref().map_or(&self.index.knowledge, |it| &it.0)
    }
}

/// An asset with its findings.
#[derive(Debug)]
pub(super) struct OnBoard {
    pub(super) facts: AssetFacts,
    judged: Option<(u64, Arc<Judged>)>,
    /// Of the findings, in their order.
    pub(super) ranks: Arc<Ranks>,
}

impl OnBoard {
    /// The findings; nothing while the asset waits to be judged, which no question sees.
    pub(super) fn judged(&self) -> Option<&Judged> {
        self.judged.as_ref().map(|it| it.1.as_ref())
    }

    /// The same, shared.
    pub(super) fn findings(&self) -> Option<Arc<Judged>> {
        self.judged.as_ref().map(|it| Arc::clone(&it.1))
    }

    /// To be called whenever findings, knowledge, or decisions about the asset have changed.
    fn rank(&mut self, index: &Index, ranker: &Ranker, ledger: &Ledger) {
        let judged = self.judged.as_ref().map(|it| &it.1);
        self.ranks = judged.map(|it| ranker.ranks(index, &self.facts, it, ledger)).unwrap_or_default();
    }
}

/// An asset that was taken off the list. Should judging it end in a panic, it is put back.
struct Taken<'a> {
    board: &'a Board,
    id: &'a str,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = self.board.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = state.assets.get_key_value(self.id).map(|it| Arc::clone(it.0)) {
            state.pending.insert(id);
        }
    }
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

    /// Waits for a while; says no when the board is gone.
    fn pause(&self, time: Duration) -> bool {
        let waited = self.waiting.wait_timeout_while(lock(&self.rung), time, |it| !it.closed);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
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
            sections: Sections(rows),
            ages,
            state: RwLock::default(),
            work: Mutex::default(),
            judging: RwLock::default(),
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
                state.assets.insert(Arc::clone(&id), OnBoard { facts, judged: None, ranks: Arc::default() });
            }
        }
        state.pending.insert(id);
        drop(state);
        self.bell.ring();
    }

    /// Takes in new knowledge. Quick: it is arranged, and what it touches judged again, in the background or
    /// when somebody asks.
    pub fn knowledge_changed(&self, knowledge: &Arc<Knowledge>, now_ms: i64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Of two changes at the same time the newer one stays.
        if knowledge.revision < state.told().revision {
            return;
        }
        state.next = Some((Arc::clone(knowledge), now_ms));
        drop(state);
        self.bell.ring();
    }

    /// Arranges what is known by now, if that changed.
    fn arrange(&self, work: &mut Work) {
        let next = self.state.read().unwrap_or_else(PoisonError::into_inner).next.clone();
        let Some((knowledge, now_ms)) = next else { return };
        let index = Arc::new(Index::build(&knowledge, now_ms, work.index()));
        let untouched = work.advance(&index);
        let ranker = Ranker::build(&index, &self.ages, now_ms);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.take_over(index, ranker, &untouched);
        let is_last = |it: &(Arc<Knowledge>, i64)| Arc::ptr_eq(&it.0, &knowledge) && it.1 == now_ms;
        if state.next.as_ref().is_some_and(is_last) {
            state.next = None;
        }
    }

    /// Takes in what people decided; `asset` when it is about one only.
    pub fn decided(&self, ledger: Arc<Ledger>, asset: Option<&str>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.ledger = ledger;
        state.rank(asset);
    }

    /// Takes in which controls stand in for patches: what rests on one that lapsed is open from now on. They change
    /// no rank.
    pub fn controls_changed(&self, controls: Arc<Controls>) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).controls = controls;
    }

    /// What people decided.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).ledger)
    }

    /// Ranks everything again when a file that triage rests on has become too old.
    fn let_triage_age(&self, now_ms: i64) {
        let is_good = |it: &State| it.ranker.good_until_ms.is_none_or(|it| now_ms < it);
        if is_good(&self.state.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.ranker = Arc::new(Ranker::build(&state.index, &self.ages, now_ms));
        state.rank(None);
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
        let clerk = Clerk::new(&self.sections, &state, &weather, now_ms);
        Ok(page::page(&state, filter, &weather, seen, &clerk))
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
        let (index, facts, judged, weather, told) = {
            let state = self.settled(Some(asset), now_ms)?;
            let on_board =
                state.assets.get(asset).ok_or_else(|| BoardError::UnknownAsset(shown(asset, 80)))?;
            let judged = on_board.judged.as_ref().map(|it| Arc::clone(&it.1)).unwrap_or_default();
            let weather = Weather::new(&state.index.knowledge, &self.ages, now_ms);
            let number = chain::chosen(&state.index, &judged, subject)
                .ok_or_else(|| BoardError::UnknownSubject(shown(subject, 80)))?;
            let clerk = Clerk::new(&self.sections, &state, &weather, now_ms);
            let steps = clerk.steps(on_board, number, seen(asset));
            (Arc::clone(&state.index), on_board.facts.clone(), judged, weather, (number, steps))
        };
        let (number, steps) = told;
        let mut explained = self.chain(&index, &facts, &judged, number, &weather, seen);
        explained.chain.extend(steps);
        Ok(explained)
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
            let named = |it: &super::product::Place| {
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
                self.sections.rows(SectionKind::Software, &digest).unwrap_or_default()
            } else {
                Arc::new(self.sections.firmware(&digest))
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

    /// Judges what waits, for one asset or for all, and lends the state in which nothing does: of everything
    /// that was told before the question.
    pub(super) fn settled(
        &self,
        asset: Option<&str>,
        now_ms: i64,
    ) -> Result<RwLockReadGuard<'_, State>, BoardError> {
        self.let_triage_age(now_ms);
        let told = self.state.read().unwrap_or_else(PoisonError::into_inner).told().revision;
        let is_arranged = |state: &State| {
            let expires = state.index.good_until_ms;
            state.index.knowledge.revision >= told && expires.is_none_or(|it| now_ms < it)
        };
        for _ in 0..MAX_TRIES {
            self.let_rules_expire(now_ms);
            let arranged = is_arranged(&self.state.read().unwrap_or_else(PoisonError::into_inner));
            if !arranged {
                self.arrange(&mut lock(&self.work));
            }
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
            if ready && is_arranged(&state) {
                return Ok(state);
            }
            drop(state);
            // Somebody else has what is missing in hand.
            self.wait_for_others();
        }
        Err(BoardError::Busy)
    }

    /// Has everything arranged again when a rule has expired, unless that is to happen anyway.
    fn let_rules_expire(&self, now_ms: i64) {
        let expired = |state: &State| state.index.good_until_ms.is_some_and(|it| now_ms >= it);
        if !expired(&self.state.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if expired(&state) {
            let knowledge = Arc::clone(state.told());
            state.next = Some((knowledge, now_ms));
        }
    }

    /// Judges one asset that waits; says no when none does.
    fn judge_next(&self) -> bool {
        let _judging = self.judging.read().unwrap_or_else(PoisonError::into_inner);
        // Whoever only asks takes nothing from others who ask.
        if self.state.read().unwrap_or_else(PoisonError::into_inner).pending.is_empty() {
            return false;
        }
        let work = lock(&self.work);
        let next = self.state.write().unwrap_or_else(PoisonError::into_inner).take_next();
        let Some(id) = next else { return false };
        self.judge_asset(work, &id);
        true
    }

    fn judge_one(&self, asset: &str) {
        let _judging = self.judging.read().unwrap_or_else(PoisonError::into_inner);
        let work = lock(&self.work);
        if self.state.write().unwrap_or_else(PoisonError::into_inner).take(asset) {
            self.judge_asset(work, asset);
        }
    }

    /// Judges an asset by the index that the work has, which changes under its lock only. The lock is given up while
    /// findings are joined: that takes long, and others can join beside it.
    fn judge_asset(&self, mut work: MutexGuard<'_, Work>, id: &str) {
        let (generation, facts, assets) = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let Some(on_board) = state.assets.get(id) else { return };
            (state.generation, on_board.facts.clone(), state.assets.len())
        };
        let taken = Taken { board: self, id };
        let judged = match work.look(&self.sections, &facts, assets) {
            Looked::Known(judged) => Some(judged),
            Looked::ToJoin(job) => {
                drop(work);
                let judged = Arc::new(job.join());
                lock(&self.work).keep(*job, &judged)
            }
        };
        // From here on nothing panics.
        std::mem::forget(taken);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever changed the asset meanwhile, or the index, has put it back on the list.
        if state.generation != generation {
            return;
        }
        if let (Some(judged), Some(on_board)) =
            (judged, state.assets.get_mut(id).filter(|it| it.facts == facts))
        {
            on_board.judged = Some((generation, judged));
            state.rank(Some(id));
        }
    }

    /// Waits until nobody judges an asset.
    fn wait_for_others(&self) {
        drop(self.judging.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// What is told of and not arranged yet, by its number.
    fn waits(&self) -> Option<u64> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.next.as_ref().map(|it| it.0.revision)
    }
}

fn run(board: &Weak<Board>, bell: &Bell) {
    while bell.wait() {
        // A burst of changes is arranged once, when it is over or has lasted for long enough.
        let mut last = None;
        for _ in 0..MAX_QUIET {
            let waits = board.upgrade().and_then(|it| it.waits());
            if waits.is_none() || waits == last {
                break;
            }
            last = waits;
            if !bell.pause(QUIET) {
                return;
            }
        }
        if last.is_some()
            && let Some(board) = board.upgrade()
        {
            board.arrange(&mut lock(&board.work));
        }
        // The board is held for one asset at a time, so that it can go at any moment.
        while board.upgrade().is_some_and(|it| it.judge_next()) {}
    }
}
