//! One zone: a bundle goes in with the time of its receipt, and what is believed of the zone changes.

mod kept;

use std::collections::BTreeMap;

use holdpoint_common::bundle::{Body, Bundle, Class, Epoch, Header, Key, Kind, Record, Stream};
use holdpoint_common::section::Digest;

use super::alarm::{Alarms, Kind as AlarmKind, Refusal, Refusals};
use super::clock::Clock;
use super::facts::{Applied, Facts, Origin, Touch};
use super::incarnation::{Fork, Incarnation, Judged, MAX_JUMP, MAX_PAST, reach};
use super::places::{Hole, Tally};
use super::ruling::{Counters, Ruling};
use super::words;

pub use kept::Page;

/// Most bundles that wait for a confirmation: one that is later than the first is enough to confirm it.
pub const MAX_HELD: usize = 8;
/// Most content of them, in bytes: one bundle of the largest size.
pub const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;
/// Most incarnations that are told apart without being believed.
pub const MAX_STRANGERS: usize = 16;
/// Most forks that are described; a frozen incarnation adds none.
pub const MAX_FORKS: usize = 16;
/// Silence is that nothing was heard for so many intervals.
pub const SILENT_AFTER: i64 = 3;
/// So many bundles that beacons speak of and that did not come are no accident.
pub const UNHEARD_BUNDLES: u64 = 3;
/// The shortest and the longest interval that a sender's word is taken for, in milliseconds: a second, and a
/// day. Else a sender could make itself never late.
pub const INTERVALS_MS: (i64, i64) = (1_000, 24 * 3_600_000);

/// What a site knows of a zone's way of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// In what time the sender says its whole state once, in milliseconds.
    pub cycle_ms: i64,
    /// How far signs of life may be apart, in milliseconds; `None` believes what the sender says is due. A
    /// zone whose bundles are carried by hand has its own.
    pub interval_ms: Option<i64>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { cycle_ms: 3_600_000, interval_ms: None }
    }
}

/// Whether what is believed here is the sender's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// Nothing was heard of it.
    Unknown,
    /// It was, at the newest place that is known, and ever since this time.
    Same {
        /// By the receiver's clock, Unix milliseconds.
        since_ms: i64,
    },
    /// It is not, since this time.
    Differs {
        /// By the receiver's clock, Unix milliseconds.
        since_ms: i64,
    },
}

/// An incarnation that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// What is known of it.
    pub incarnation: Incarnation,
    /// The highest place that there was when it ended.
    pub high: u64,
    /// When the next one was first heard.
    pub ended_ms: i64,
}

/// An incarnation that nobody believes yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger {
    /// Which one.
    pub epoch: Epoch,
    /// When it was first heard.
    pub first_ms: i64,
    /// How many bundles and beacons came.
    pub count: u64,
    /// The highest place that it spoke of.
    pub high: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    bundle: Bundle,
    received_ms: i64,
}

/// What is believed and known of one zone.
#[derive(Debug, Clone)]
pub struct Zone {
    stream: Stream,
    terms: Terms,
    current: Option<Incarnation>,
    /// Oldest first.
    past: Vec<Past>,
    /// Missing places of incarnations that are remembered no more.
    past_forgotten: Tally,
    strangers: Vec<Stranger>,
    strangers_beyond: u64,
    /// From which key epoch on the zone's root lets a new incarnation begin, whatever was before.
    by_root: Option<u64>,
    by_person: Option<Epoch>,
    held: Vec<Held>,
    forks: Vec<(Fork, i64)>,
    facts: Facts,
    records: Applied,
    clock: Clock,
    agreement: Agreement,
    heard_ms: Option<i64>,
    counters: Counters,
    refusals: Refusals,
    alarms: Alarms,
}

impl Zone {
    /// A zone of which nothing is known but its stream.
    pub fn new(stream: Stream, terms: Terms) -> Self {
        Self {
            stream,
            terms,
            current: None,
            past: Vec::new(),
            past_forgotten: Tally::default(),
            strangers: Vec::new(),
            strangers_beyond: 0,
            by_root: None,
            by_person: None,
            held: Vec::new(),
            forks: Vec::new(),
            facts: Facts::default(),
            records: Applied::default(),
            clock: Clock::default(),
            agreement: Agreement::Unknown,
            heard_ms: None,
            counters: Counters::default(),
            refusals: Refusals::default(),
            alarms: Alarms::default(),
        }
    }

    /// Takes a bundle whose signature is good. What its body says of keys is the caller's to read.
    pub fn take(&mut self, bundle: Bundle, now_ms: i64) -> Ruling {
        self.counters.taken = self.counters.taken.saturating_add(1);
        let ruling = self.rule(bundle, now_ms);
        self.counters.count(ruling);
        ruling
    }

    /// Notes that something came for this zone that is no bundle of it. Says whether somebody should be told
    /// now.
    pub fn refuse(&mut self, refusal: Refusal, now_ms: i64) -> bool {
        self.refusals.note(refusal, &mut self.alarms, now_ms)
    }

    /// From now on this is known of its way of sending.
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// Notes that somebody has seen an alarm. Gives how many were meant.
    pub fn acknowledge(&mut self, kind: AlarmKind, sequence: Option<u64>, by: &str, now_ms: i64) -> usize {
        self.alarms.acknowledge(kind, sequence, by, now_ms)
    }

    /// Notes that a statement about its keys does not count, and why that is somebody's business.
    pub fn doubt_keys(&mut self, why: &str, now_ms: i64) {
        self.alarms.raise(AlarmKind::Keys, None, words::keys(why), now_ms);
    }

    /// What became otherwise of its facts since this was asked last.
    pub fn take_touched(&mut self) -> BTreeMap<Key, Touch> {
        self.facts.take_touched()
    }

    /// Notes that the root of the zone named a new key, the `key_epoch`-th. The next incarnation that such a
    /// key signs is believed, whatever was before: that ends a fork or a spoilt count.
    pub fn recertified(&mut self, key_epoch: u64) {
        self.by_root = self.by_root.max(Some(key_epoch));
    }

    /// Notes that a person believes an incarnation that does not name the present one.
    pub fn admit(&mut self, epoch: Epoch) {
        self.by_person = Some(epoch);
    }

    /// Raises and ends the alarms that only time brings. To be called every few seconds.
    pub fn look(&mut self, now_ms: i64) {
        // Who is frozen is not heard on purpose.
        let frozen = self.current.as_ref().is_some_and(|it| it.frozen.is_some());
        if let Some(since_ms) = self.silent_since(now_ms)
            && !frozen
        {
            let text = words::silent(now_ms.saturating_sub(since_ms));
            self.alarms.raise(AlarmKind::Silent, None, text, now_ms);
        }
        let cycle_ms = self.terms.cycle_ms;
        if let Agreement::Differs { since_ms } = self.agreement
            && now_ms.saturating_sub(since_ms) > cycle_ms
        {
            let holes = self.current.as_ref().map_or(0, |it| it.holes().open().count());
            let text = words::not_converged(holes);
            let sequence = self.current.as_ref().map(Incarnation::high);
            self.alarms.raise(AlarmKind::NotConverged, sequence, text, now_ms);
        }
    }

    fn rule(&mut self, bundle: Bundle, now_ms: i64) -> Ruling {
        if bundle.header.stream != self.stream {
            return Ruling::Elsewhere;
        }
        if let Err(ruling) = self.incarnation_of(&bundle.header, now_ms) {
            return ruling;
        }
        let Some(current) = &self.current else { return Ruling::Stranger };
        if current.frozen.is_some() {
            return Ruling::Frozen;
        }
        match current.judge(&bundle.header, bundle.hash, false) {
            Judged::Far => self.hold(bundle, now_ms),
            judged @ (Judged::New | Judged::Late | Judged::Duplicate | Judged::Old | Judged::Fork(_)) => {
                self.settle(bundle, judged, now_ms)
            }
        }
    }

    /// Makes the incarnation of a header the present one if it may be, and says what else it is.
    fn incarnation_of(&mut self, header: &Header, now_ms: i64) -> Result<(), Ruling> {
        let epoch = header.epoch;
        let Some(current) = &self.current else {
            // Nobody knows what was before, so nothing of it is missing.
            self.current = Some(Incarnation::begin(epoch, header.sequence));
            return Ok(());
        };
        if current.epoch == epoch {
            return Ok(());
        }
        if let Some(past) = self.past.iter().find(|it| it.incarnation.epoch == epoch) {
            let text = if reach(header) > past.high { words::ENDED_GOES_ON } else { words::ENDED };
            self.alarms.raise(AlarmKind::Replay, Some(header.sequence), text.to_owned(), now_ms);
            return Err(Ruling::Ended);
        }
        let follows = current.frozen.is_none() && header.before.is_some_and(|it| it.epoch == current.epoch);
        let by_root = self.by_root.is_some_and(|it| header.key_epoch >= it);
        if follows || by_root || self.by_person == Some(epoch) {
            self.succeed(header, now_ms);
            return Ok(());
        }
        self.estrange(header, now_ms);
        Err(Ruling::Stranger)
    }

    fn succeed(&mut self, header: &Header, now_ms: i64) {
        let Some(mut incarnation) = self.current.replace(Incarnation::begin(header.epoch, 1)) else { return };
        let high = incarnation.high();
        // A fork says that nobody knows what the one before really was.
        let before = header.before.filter(|it| it.epoch == incarnation.epoch && incarnation.frozen.is_none());
        let lost = incarnation.end(before, now_ms);
        match before {
            Some(before) if before.sequence >= high => {}
            Some(_) | None => {
                let text = words::rolled_back(before, high);
                self.alarms.raise(AlarmKind::RolledBack, Some(high), text, now_ms);
            }
        }
        self.past.push(Past { incarnation, high, ended_ms: now_ms });
        self.report_lost(&lost, now_ms);
        let over = self.past.len().saturating_sub(MAX_PAST);
        for past in self.past.drain(..over) {
            self.past_forgotten.absorb(past.incarnation.holes().tally());
        }
        self.facts.begin();
        self.strangers.retain(|it| it.epoch != header.epoch);
        (self.by_root, self.by_person) = (None, None);
        let held = u64::try_from(self.held.drain(..).count()).unwrap_or(u64::MAX);
        self.counters.given_up = self.counters.given_up.saturating_add(held);
        self.agreement = Agreement::Differs { since_ms: now_ms };
        for kind in [AlarmKind::Jump, AlarmKind::NotConverged, AlarmKind::NoBundles] {
            self.alarms.end(kind, now_ms);
        }
        if self.strangers.is_empty() {
            self.alarms.end(AlarmKind::Incarnation, now_ms);
        }
    }

    fn estrange(&mut self, header: &Header, now_ms: i64) {
        let (epoch, high) = (header.epoch, reach(header));
        if let Some(known) = self.strangers.iter_mut().find(|it| it.epoch == epoch) {
            (known.count, known.high) = (known.count.saturating_add(1), known.high.max(high));
        } else if self.strangers.len() < MAX_STRANGERS {
            self.strangers.push(Stranger { epoch, first_ms: now_ms, count: 1, high });
        } else {
            self.strangers_beyond = self.strangers_beyond.saturating_add(1);
        }
        let text = words::stranger(epoch);
        self.alarms.raise(AlarmKind::Incarnation, Some(header.sequence), text, now_ms);
    }

    /// Keeps a bundle that is too far ahead, or believes it with those that it confirms.
    fn hold(&mut self, bundle: Bundle, now_ms: i64) -> Ruling {
        if self.held.iter().any(|it| it.bundle.hash == bundle.hash) {
            return if bundle.header.kind == Kind::Beacon { Ruling::OldBeacon } else { Ruling::Duplicate };
        }
        let at = reach(&bundle.header);
        let confirms = |it: &Held| reach(&it.bundle.header).abs_diff(at) <= MAX_JUMP;
        if !self.held.iter().any(confirms) {
            let text = words::jump(at);
            self.alarms.raise(AlarmKind::Jump, Some(at), text, now_ms);
            self.held.push(Held { bundle, received_ms: now_ms });
            let bytes =
                |held: &[Held]| held.iter().fold(0_usize, |sum, it| sum.saturating_add(size(&it.bundle)));
            while self.held.len() > MAX_HELD || (self.held.len() > 1 && bytes(&self.held) > MAX_HELD_BYTES) {
                self.held.remove(0);
                self.counters.given_up = self.counters.given_up.saturating_add(1);
            }
            return Ruling::Held;
        }
        let (confirmed, rest) = std::mem::take(&mut self.held).into_iter().partition(confirms);
        self.held = rest;
        let hash = bundle.hash;
        let mut all: Vec<Held> = confirmed;
        all.push(Held { bundle, received_ms: now_ms });
        all.sort_by_key(|it| (reach(&it.bundle.header), it.bundle.header.kind == Kind::Beacon));
        let mut own = Ruling::Frozen;
        for Held { bundle, received_ms } in all {
            let this = bundle.hash == hash;
            let ruling = self.confirm(bundle, received_ms);
            if this {
                own = ruling;
            } else {
                self.counters.count(ruling);
            }
        }
        if self.held.is_empty() {
            self.alarms.end(AlarmKind::Jump, now_ms);
        }
        own
    }

    fn confirm(&mut self, bundle: Bundle, received_ms: i64) -> Ruling {
        match &self.current {
            Some(current) if current.frozen.is_none() => {
                let judged = current.judge(&bundle.header, bundle.hash, true);
                self.settle(bundle, judged, received_ms)
            }
            Some(_) | None => Ruling::Frozen,
        }
    }

    /// Lets a bundle of the present incarnation be what it was judged to be.
    fn settle(&mut self, bundle: Bundle, judged: Judged, now_ms: i64) -> Ruling {
        let beacon = bundle.header.kind == Kind::Beacon;
        let ruling = match judged {
            Judged::Duplicate if beacon => Ruling::OldBeacon,
            Judged::Duplicate => Ruling::Duplicate,
            Judged::Old => Ruling::Old,
            Judged::Fork(fork) => return self.freeze(fork, now_ms),
            Judged::New if beacon => {
                self.note(&bundle, true, now_ms);
                Ruling::Beacon
            }
            Judged::New => {
                self.note(&bundle, true, now_ms);
                self.apply(bundle, now_ms);
                Ruling::Accepted
            }
            // Nothing is far that was confirmed.
            Judged::Late | Judged::Far => {
                self.note(&bundle, false, now_ms);
                self.apply(bundle, now_ms);
                Ruling::Late
            }
        };
        self.compare(now_ms);
        ruling
    }

    fn freeze(&mut self, fork: Fork, now_ms: i64) -> Ruling {
        if let Some(current) = &mut self.current {
            current.frozen = Some((fork, now_ms));
        }
        if self.forks.len() < MAX_FORKS {
            self.forks.push((fork, now_ms));
        }
        let text = words::fork(fork.sequence);
        self.alarms.raise(AlarmKind::Fork, Some(fork.sequence), text, now_ms);
        Ruling::Fork
    }

    /// Notes a bundle or beacon without its body.
    fn note(&mut self, bundle: &Bundle, news: bool, now_ms: i64) {
        let Bundle { header, hash, .. } = bundle;
        if self.clock.note(header.created_ms, now_ms) {
            self.counters.future_dated = self.counters.future_dated.saturating_add(1);
            let text = words::FUTURE;
            self.alarms.raise(AlarmKind::Clock, Some(header.sequence), text.to_owned(), now_ms);
        }
        let Some(current) = &mut self.current else { return };
        let dropped = current.head.as_ref().map(|it| it.header.drops.clone()).unwrap_or_default();
        if header.kind == Kind::Beacon {
            current.take_beacon(header, *hash, now_ms);
            let unheard =
                current.high().saturating_sub(current.last_bundle.max(current.floor.saturating_sub(1)));
            if unheard >= UNHEARD_BUNDLES {
                let text = words::no_bundles(unheard);
                self.alarms.raise(AlarmKind::NoBundles, Some(current.high()), text, now_ms);
            }
        } else {
            current.take(bundle, now_ms);
            self.alarms.end(AlarmKind::NoBundles, now_ms);
        }
        if news {
            self.heard_ms = Some(now_ms);
            self.alarms.end(AlarmKind::Silent, now_ms);
            let more = |class: &Class| header.drops.of(*class) > dropped.of(*class);
            if Class::ALL.iter().any(more) {
                let text = words::dropped(header);
                self.alarms.raise(AlarmKind::Dropped, Some(header.sequence), text, now_ms);
            }
        }
    }

    fn apply(&mut self, bundle: Bundle, now_ms: i64) {
        let Bundle { header: Header { epoch, sequence, kind, .. }, body, .. } = bundle;
        let Body::Records(records) = body else { return };
        let from = Origin { epoch, sequence, now_ms };
        let keys: Option<Vec<_>> = match kind {
            Kind::Slice { .. } => Some(records.iter().map(|it| it.key.clone()).collect()),
            Kind::Delta | Kind::Evidence | Kind::KeyStatement | Kind::DropRecord | Kind::Beacon => None,
        };
        let mut came = if kind == Kind::Evidence {
            self.facts.witness(records, from)
        } else {
            self.facts.apply(records, from)
        };
        if let (Kind::Slice { index, of }, Some(keys)) = (kind, keys) {
            came.gone = self.facts.list(index, of, &keys, from);
        }
        if came.conflicts > 0 {
            let text = words::CONFLICT;
            self.alarms.raise(AlarmKind::Conflict, Some(sequence), text.to_owned(), now_ms);
        }
        if came.over_limit > 0 {
            let text = words::NO_ROOM;
            self.alarms.raise(AlarmKind::Limit, Some(sequence), text.to_owned(), now_ms);
        }
        self.records.absorb(came);
    }

    /// Compares what is believed with what the sender said last of its whole state.
    fn compare(&mut self, now_ms: i64) {
        let Some(current) = &mut self.current else { return };
        let Some(head) = &current.head else { return };
        if head.state != self.facts.digest() {
            if !matches!(self.agreement, Agreement::Differs { .. }) {
                self.agreement = Agreement::Differs { since_ms: now_ms };
            }
            return;
        }
        if !matches!(self.agreement, Agreement::Same { .. }) {
            self.agreement = Agreement::Same { since_ms: now_ms };
        }
        self.alarms.end(AlarmKind::NotConverged, now_ms);
        let gone = self.facts.settle(current.epoch);
        self.records.absorb(Applied { gone, ..Applied::default() });
        let mut lost = current.cover(now_ms);
        for past in &mut self.past {
            lost.extend(past.incarnation.cover(now_ms));
        }
        self.report_lost(&lost, now_ms);
    }

    fn report_lost(&mut self, lost: &[Hole], now_ms: i64) {
        let Some(first) = lost.first() else { return };
        let text = words::lost(first.from, lost);
        self.alarms.raise(AlarmKind::Lost, Some(first.from), text, now_ms);
    }
}

/// What may be asked of a zone.
impl Zone {
    /// Whose bundles these are.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What it said and has not taken back.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The digest over what its present incarnation said.
    pub fn digest(&mut self) -> Digest {
        self.facts.digest()
    }

    /// The present incarnation; `None` before the first bundle.
    pub fn incarnation(&self) -> Option<&Incarnation> {
        self.current.as_ref()
    }

    /// Those that have ended, oldest first.
    pub fn past(&self) -> &[Past] {
        &self.past
    }

    /// Missing places of incarnations that are remembered no more.
    pub fn past_forgotten(&self) -> Tally {
        self.past_forgotten
    }

    /// Those that nobody believes yet, and how many bundles came of others.
    pub fn strangers(&self) -> (&[Stranger], u64) {
        (&self.strangers, self.strangers_beyond)
    }

    /// The forks that were found, and when.
    pub fn forks(&self) -> &[(Fork, i64)] {
        &self.forks
    }

    /// How many bundles wait for a confirmation.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether what is believed here is the sender's state.
    pub fn agreement(&self) -> Agreement {
        self.agreement
    }

    /// What became of all bundles.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What became of all records.
    pub fn records(&self) -> &Applied {
        &self.records
    }

    /// What was refused.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// What people have to look at.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// What the zone's clock is worth.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// When it was last heard: a bundle or beacon that nobody could have repeated from before.
    pub fn heard_ms(&self) -> Option<i64> {
        self.heard_ms
    }

    /// When it was last heard, if that is longer ago than it may be.
    pub fn silent_since(&self, now_ms: i64) -> Option<i64> {
        let due_ms = self.current.as_ref()?.head.as_ref()?.header.next_due_ms;
        let said_ms = i64::try_from(due_ms).unwrap_or(i64::MAX).clamp(INTERVALS_MS.0, INTERVALS_MS.1);
        let interval_ms = self.terms.interval_ms.unwrap_or(said_ms);
        let heard_ms = self.heard_ms?;
        let silent = now_ms.saturating_sub(heard_ms) > interval_ms.saturating_mul(SILENT_AFTER);
        silent.then_some(heard_ms)
    }

    /// Since when what is shown may not be what the zone holds; `None` when it is known to be the same.
    pub fn uncertain_since(&self, now_ms: i64) -> Option<i64> {
        let current = self.current.as_ref()?;
        let differs = match self.agreement {
            Agreement::Differs { since_ms } => Some(since_ms),
            Agreement::Unknown | Agreement::Same { .. } => None,
        };
        let frozen = current.frozen.map(|it| it.1);
        [differs, frozen, self.silent_since(now_ms), current.holes().open_since()].into_iter().flatten().min()
    }

    /// When the holes that are open now are covered at the latest, if the sender goes on; `None` when there
    /// is none.
    pub fn covered_by_ms(&self) -> Option<i64> {
        let open = self.current.as_ref()?.holes().open().map(|it| it.noticed_ms).max()?;
        Some(open.saturating_add(self.terms.cycle_ms))
    }
}

/// The content of a bundle, in bytes.
fn size(bundle: &Bundle) -> usize {
    let add = |sum: usize, more: usize| sum.saturating_add(more);
    match &bundle.body {
        Body::Records(records) => {
            let size = |it: &Record| add(it.key.name().len(), it.content.as_ref().map_or(0, Vec::len));
            records.iter().map(size).fold(0, add)
        }
        Body::Statements(statements) => statements.iter().map(Vec::len).fold(0, add),
        Body::Nothing => 0,
    }
}
