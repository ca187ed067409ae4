//! The outbox at work: it looks at the zone, keeps what it says, and hands sealed bundles to carriers.
//!
//! ```text
//! DIR/outbox/           keys, see `signer`        DIR/outbox/kept/     the last cycle, for media
//! DIR/outbox/witness    see `sequence`            DIR/outbox/relay/    trays of carriers
//! DIR/outbox/restored   somebody restored the store: the next opening begins a new incarnation
//! ```
//! Everything else is in the store. A step that fails leaves memory ahead of the disk, so all of memory is
//! dropped and taken up again from what is kept: after a full disk it goes on as after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::bundle::resend::Code;
use holdpoint_common::bundle::{
    Body, Class, ClockQuality, Epoch, Header, Key, Kind, MakeError, Record, Sealed, Stream, make,
};
use holdpoint_common::proto::summary as pb;
use holdpoint_common::section::Digest;

use super::kept::{Kept, Place};
use super::ledger::{At, Content, Ledger};
use super::pages::{self, PagesError, Rest};
use super::resend::{self, NotResent, Resent};
use super::schedule::{Interval, Rhythm, Schedule};
use super::sequence::{Opening, Sequence, Start};
use super::signer::{Signer, SignerError};
use super::spool::{self, Item, Limits, Load, Next, Relief, Spool, cut};
use crate::carrier::tray::{self, Filler, TrayError};
use crate::store::{Store, StoreError, Txn};
use crate::summary::{self, Part, Policy, Sources, Summariser, SummaryError, Told};

/// Objects that may lie in a carrier's tray before its carrier counts as slow: what waits longer is better kept
/// where it can still be replaced by something newer.
const AHEAD: usize = 128;
/// Bundles between two writes of what has left.
const BATCH: usize = 64;
/// Most of the last cycle that is kept for media, in bytes.
const MAX_KEPT: u64 = 512 * 1024 * 1024;
/// Most of a carrier's tray, in bytes: far beyond [`AHEAD`] bundles of usual size.
const MAX_TRAY: u64 = 1024 * 1024 * 1024;

/// How the outbox works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory of the outbox.
    pub dir: PathBuf,
    /// What leaves.
    pub policy: Policy,
    /// When what is said.
    pub rhythm: Rhythm,
    /// How much may wait.
    pub limits: Limits,
    /// Names of the carriers that run by themselves; each has the tray of its name.
    pub carriers: Vec<&'static str>,
}

/// Why the outbox does not go on.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The pages in the store.
    #[error("what the outbox keeps cannot be read")]
    Pages(#[from] PagesError),
    /// The store.
    #[error("the outbox cannot be written")]
    Store(#[from] StoreError),
    /// The keys.
    #[error("the keys of the outbox cannot be used")]
    Signer(#[from] SignerError),
    /// The zone cannot be looked at.
    #[error("the zone cannot be summed up")]
    Summary(#[from] SummaryError),
    /// A bundle that no receiver would take.
    #[error("a bundle cannot be made")]
    Make(#[from] MakeError),
    /// A tray.
    #[error("a carrier's tray cannot be used")]
    Tray(#[from] TrayError),
    /// A file beside the store.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A bundle would leave under a number that no reservation holds; what waits stays.
    #[error("the number {0} is not reserved")]
    Number(u64),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for a new incarnation")]
    Random,
}

/// A carrier as the outbox sees it: a tray.
#[derive(Debug)]
struct Carrier {
    name: &'static str,
    tray: Filler,
    /// Objects that were put into its tray since the outbox was opened.
    sent: u64,
    /// Bundles that found its tray full: holes for whoever is behind it.
    skipped: u64,
}

/// What a person may know of the outbox. Nothing in it says that anything arrived.
#[derive(Debug, Clone)]
pub struct Show {
    /// The incarnation.
    pub epoch: Epoch,
    /// The newest number.
    pub head: u64,
    /// Bundles that wait.
    pub waiting: usize,
    /// Their bytes, as the limit counts them.
    pub waiting_bytes: u64,
    /// When the oldest of them was made, Unix milliseconds.
    pub oldest_ms: Option<i64>,
    /// Intervals that were made.
    pub intervals: u64,
    /// When the newest interval was made.
    pub made_ms: Option<i64>,
    /// Slices of a cycle.
    pub slices: u16,
    /// Different slices among what is kept for media.
    pub kept_slices: usize,
    /// What became of records.
    pub tally: spool::Tally,
    /// By carrier: objects that were handed on, and bundles that it had no room for.
    pub carriers: Vec<(&'static str, u64, u64)>,
    /// Place of the key in use.
    pub key_epoch: u64,
    /// Numbers that were skipped after a crash.
    pub skips: Vec<super::sequence::Skip>,
}

/// The outbox of a zone.
#[derive(Debug)]
pub struct Office {
    settings: Settings,
    store: Store,
    signer: Signer,
    summariser: Summariser,
    ledger: Ledger,
    schedule: Schedule,
    spool: Spool,
    sequence: Sequence,
    kept: Kept,
    carriers: Vec<Carrier>,
    /// Sizes of the contents, which the ledger does not know.
    sizes: BTreeMap<Key, u64>,
    evidence: BTreeMap<Key, (NonZeroU64, u64)>,
    audited: u64,
    /// A person writes a medium: the spool empties into it.
    by_hand: bool,
}

impl Office {
    /// Takes up what is kept and looks at all of the zone.
    ///
    /// # Errors
    /// Something of it cannot be read or written; trying again later is safe.
    pub fn open(settings: Settings, sources: Sources) -> Result<Self, OutboxError> {
        let Settings { dir, rhythm, limits, .. } = &settings;
        let (rhythm, limits) = (*rhythm, *limits);
        let store = sources.zone.store().clone();
        let now_ms = sources.zone.now_ms();
        let signer = Signer::open(dir, sources.zone.name())?;
        let kept = pages::read(&store)?;
        let told = Told {
            interval_ms: rhythm.interval_ms.into(),
            cycle_ms: u64::try_from(rhythm.cycle_ms()).unwrap_or(u64::MAX),
            beacon_ms: rhythm.beacon_ms.into(),
            slices: rhythm.slices,
        };
        let mut summariser = Summariser::new(sources, settings.policy.clone(), told);
        let looked = summariser.look(Part::All, now_ms)?;

        let restored = dir.join("restored");
        let start = Start {
            kept: kept.rest.numbers.clone(),
            witness: read_witness(dir)?,
            place: place(dir),
            restored: restored.exists(),
            fresh: fresh()?,
        };
        let (sequence, opening) = Sequence::open(start);
        let above = match opening {
            Opening::Continued(_) => None,
            Opening::New { above, .. } => Some(above),
        };
        tracing::info!(?opening, epoch = %sequence.epoch(), "the outbox is taken up");

        let at = At { now_ms, interval: kept.rest.progress.intervals };
        let mut present: BTreeMap<Key, Content> = BTreeMap::new();
        present.extend(looked.into_iter().filter_map(|(key, content)| Some((key, content?))));
        let mut sizes: BTreeMap<Key, u64> =
            present.iter().map(|(key, it)| (key.clone(), length(it.as_bytes()))).collect();
        let health = kept.said.iter().filter(|it| it.0.class() == Class::Health);
        for (key, said) in health {
            // The collector's health is said with the next interval; until then what was said holds.
            if let Some(content) = said.content.clone().and_then(|it| Content::try_from(it).ok()) {
                sizes.insert(key.clone(), length(content.as_bytes()));
                present.insert(key.clone(), content);
            }
        }
        let (ledger, changed) = Ledger::resume(rhythm, kept.ledger(), present.clone(), at, above);
        let evidence: BTreeMap<_, _> =
            kept.evidence.iter().map(|(key, it)| (key.clone(), (it.revision, it.repeated.bytes))).collect();
        let repeated = kept.evidence.iter().map(|(key, it)| (key.clone(), it.repeated)).collect();
        let mut schedule = Schedule::resume(rhythm, kept.rest.progress, &ledger, repeated);
        for record in &changed {
            schedule.changed(record.key.clone());
        }
        let parcels = spool::Kept {
            parcels: kept.parcels,
            tally: kept.rest.tally.clone(),
            undeclared: kept.rest.undeclared,
        };
        let mut spool = Spool::resume(limits, parcels);
        if above.is_some() {
            spool.new_epoch();
        }
        let io = |source| OutboxError::File { doing: "open", path: dir.join("kept"), source };
        let media = Kept::open(&dir.join("kept"), MAX_KEPT, above.is_none()).map_err(io)?;
        let carriers = settings.carriers.iter().map(|name| carrier(dir, name)).collect::<Result<_, _>>()?;
        let audited = kept.rest.audited;
        let mut office = Self {
            settings,
            store,
            signer,
            summariser,
            ledger,
            schedule,
            spool,
            sequence,
            kept: media,
            carriers,
            sizes,
            evidence,
            audited,
            by_hand: false,
        };
        let contents = |key: &Key| present.get(key).map(Content::as_bytes);
        office.begin(&changed, above.is_some(), &contents)?;
        if restored.exists() {
            let io = |source| OutboxError::File { doing: "remove", path: restored.clone(), source };
            fs::remove_file(&restored).map_err(io)?;
        }
        Ok(office)
    }

    /// Writes what the opening has changed: of a new incarnation everything.
    fn begin<'a>(
        &mut self,
        changed: &[Record],
        all: bool,
        contents: &dyn Fn(&Key) -> Option<&'a [u8]>,
    ) -> Result<(), OutboxError> {
        let mut txn = Txn::report();
        if all {
            for (key, said) in self.ledger.iter() {
                txn = pages::put_said(txn, key, said, contents(key));
            }
        } else {
            for record in changed {
                if let Some(said) = self.ledger.get(&record.key) {
                    txn = pages::put_said(txn, &record.key, said, record.content.as_deref());
                }
            }
        }
        self.commit(txn)?;
        self.reserve()
    }

    /// Does what is due: an interval, bundles for carriers that have room, a beacon. Returns how long there is
    /// nothing to do, in milliseconds.
    ///
    /// # Errors
    /// A step failed. The office is to be dropped and opened again.
    pub fn step(&mut self, now_ms: i64) -> Result<u64, OutboxError> {
        let due = self.schedule.due(now_ms);
        if due.interval {
            self.make_interval(now_ms)?;
        }
        self.send(now_ms)?;
        if due.beacon {
            self.beacon(now_ms)?;
        }
        Ok(self.schedule.rest_ms(now_ms))
    }

    /// Makes an interval: says what changed, and puts what is to leave into the spool.
    fn make_interval(&mut self, now_ms: i64) -> Result<(), OutboxError> {
        let slices = u64::from(self.settings.rhythm.slices.get());
        let slice = u16::try_from(self.schedule.coming() % slices).unwrap_or_default();
        let mut txn = Txn::report();
        let mut looked = self.summariser.look(Part::Slice(slice), now_ms)?;
        looked.extend(summary::health(&self.health()).map(|(key, content)| (key, Some(content))));
        let at = At { now_ms, interval: self.schedule.coming() };
        for (key, content) in looked {
            let Some(record) = self.ledger.say(key, content, at) else { continue };
            if let Some(said) = self.ledger.get(&record.key) {
                txn = pages::put_said(txn, &record.key, said, record.content.as_deref());
            }
            self.sizes.insert(record.key.clone(), record.content.as_deref().map_or(0, length));
            self.schedule.changed(record.key);
        }
        txn = self.take_evidence(txn, now_ms)?;

        let interval = self.schedule.make(&self.ledger, now_ms);
        for key in &interval.over {
            self.evidence.remove(key);
            txn = pages::delete_evidence(txn, key);
        }
        txn = self.fill(txn, &interval, now_ms);
        self.commit(txn)?;
        self.kept.trim(self.schedule.coming(), self.settings.rhythm.slices.get());
        Ok(())
    }

    fn take_evidence(&mut self, mut txn: Txn, now_ms: i64) -> Result<Txn, OutboxError> {
        let (found, audited) = summary::judgements(&self.store, self.audited, &self.settings.policy)
            .map_err(SummaryError::from)?;
        for (key, content) in found {
            let bytes = length(content.as_bytes());
            let repeated = self.schedule.witnessed(key.clone(), bytes, now_ms);
            let revision = NonZeroU64::MIN;
            let piece = pages::Evidence { repeated, revision, content: content.as_bytes().to_vec() };
            txn = pages::put_evidence(txn, &key, &piece);
            self.evidence.insert(key, (revision, bytes));
        }
        self.audited = audited;
        Ok(txn)
    }

    /// Puts the parcels of an interval into the spool, and writes what became of all.
    fn fill(&mut self, mut txn: Txn, interval: &Interval, now_ms: i64) -> Txn {
        let Interval { fresh, again, evidence, evidence_again, slice, of, .. } = interval;
        let mut loads: Vec<(Load, Vec<Item>)> = Vec::new();
        for (load, keys) in [
            (Load::Delta { again: false }, fresh),
            (Load::Delta { again: true }, again),
            (Load::Evidence { again: false }, evidence),
            (Load::Evidence { again: true }, evidence_again),
        ] {
            let items = keys.iter().filter_map(|it| self.item(it)).collect();
            loads.extend(cut(items).into_iter().map(|it| (load, it)));
        }
        let items = self.ledger.slice(*slice).filter_map(|(key, _)| self.item(key)).collect();
        loads.push((Load::Slice { index: *slice, of: of.get() }, items));
        if *slice == 0 {
            let statements = self.signer.statements();
            let digest = Digest::of(&statements.concat());
            let bytes = statements.iter().map(|it| length(it)).sum();
            loads.push((Load::Statements { digest, bytes }, Vec::new()));
        }
        let (mut touched, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for (load, items) in loads {
            let (number, Relief { smaller, gone: more, lost }) = self.spool.put(load, items, now_ms);
            touched.extend(number);
            touched.extend(smaller);
            gone.extend(more);
            for key in lost {
                self.schedule.forget(&key);
                self.evidence.remove(&key);
                txn = pages::delete_evidence(txn, &key);
            }
        }
        for number in touched {
            txn = match self.spool.parcel(number) {
                Some(parcel) => pages::put_parcel(txn, number, parcel),
                None => pages::delete_parcel(txn, number),
            };
        }
        gone.into_iter().fold(txn, pages::delete_parcel)
    }

    fn item(&self, key: &Key) -> Option<Item> {
        if let Some(said) = self.ledger.get(key) {
            let bytes = self.sizes.get(key).copied().unwrap_or_default();
            return Some(Item {
                key: key.clone(),
                revision: said.revision,
                bytes,
                gone: said.content.is_none(),
            });
        }
        let (revision, bytes) = self.evidence.get(key).copied()?;
        Some(Item { key: key.clone(), revision, bytes, gone: false })
    }

    fn health(&self) -> pb::HealthSummary {
        let zone = &self.summariser.sources().zone;
        let stats = self.store.stats();
        let lost = &self.spool.tally().evidence;
        let lost = Class::ALL.map(|it| pb::Count { word: it.to_string(), count: lost.of(it) });
        pb::HealthSummary {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: stats.engine.to_string(),
            refuses_reports: !stats.admits_reports,
            skipped: self
                .sequence
                .numbers()
                .skips
                .iter()
                .map(|it| pb::Skip { from: it.from, to: it.to })
                .collect(),
            evidence_dropped: lost.into_iter().filter(|it| it.count > 0).collect(),
            agents: u64::try_from(zone.asset_count()).unwrap_or(u64::MAX),
        }
    }

    /// Hands on what waits, as long as a carrier has room.
    fn send(&mut self, now_ms: i64) -> Result<(), OutboxError> {
        while self.has_taker() {
            let mut txn = Txn::report();
            let mut sent = 0;
            while sent < BATCH && self.has_taker() {
                self.reserve()?;
                let Some(next) = self.spool.next(now_ms) else { break };
                let left = match next {
                    Next::DropRecord => None,
                    Next::Parcel(number, parcel) => Some((number, parcel.clone())),
                };
                match left {
                    None => {
                        self.seal(Kind::DropRecord, Body::Records(Vec::new()), now_ms)?;
                        self.spool.declared(now_ms);
                    }
                    Some((number, parcel)) => {
                        self.send_parcel(&parcel, now_ms)?;
                        txn = self.left(txn, number, &parcel);
                    }
                }
                sent += 1;
            }
            if sent == 0 {
                return Ok(());
            }
            self.commit(txn)?;
        }
        Ok(())
    }

    fn send_parcel(&mut self, parcel: &spool::Parcel, now_ms: i64) -> Result<(), OutboxError> {
        let kind = parcel.load.kind();
        if matches!(parcel.load, Load::Statements { .. }) {
            let statements = self.signer.statements().to_vec();
            // They travel by themselves too, for who cannot read any bundle without them.
            for statement in &statements {
                self.offer(statement)?;
            }
            return self.seal(kind, Body::Statements(statements), now_ms);
        }
        let mut records = Vec::new();
        for item in &parcel.items {
            // What is said of it now goes, though something older waited: it replaces it anyway.
            records.extend(pages::current(&self.store, &item.key)?);
        }
        match self.seal(kind, Body::Records(records.clone()), now_ms) {
            // Records that are very much alike: smaller bundles are free of that limit. A slice is none then,
            // and what it says leaves all the same.
            Err(OutboxError::Make(MakeError::Ratio { .. } | MakeError::TooLarge { .. }))
                if records.len() > 1 =>
            {
                let items = cut(records.iter().map(Item::from).collect());
                let kind = if matches!(kind, Kind::Slice { .. }) { Kind::Delta } else { kind };
                let mut records = records.into_iter();
                for part in items {
                    let body = records.by_ref().take(part.len()).collect();
                    self.reserve()?;
                    self.seal(kind, Body::Records(body), now_ms)?;
                }
                Ok(())
            }
            other => other,
        }
    }

    /// Seals a bundle and hands it to everybody.
    fn seal(&mut self, kind: Kind, body: Body, now_ms: i64) -> Result<(), OutboxError> {
        let number = self.sequence.next();
        let header = self.header(kind, number, now_ms);
        let Sealed { bytes, hash } = make(&header, body, self.signer.key())?;
        // Only now: a number that was given and not used looks like a lost bundle.
        if self.sequence.give(self.ledger.highest()) != Some(number) {
            return Err(OutboxError::Number(number));
        }
        let slice = match kind {
            Kind::Slice { index, .. } => Some(index),
            Kind::Delta | Kind::Evidence | Kind::KeyStatement | Kind::DropRecord | Kind::Beacon => None,
        };
        let interval = self.schedule.coming();
        let kept = self.kept.put(number, interval, slice, &bytes);
        kept.map_err(|source| OutboxError::File {
            doing: "write",
            path: self.settings.dir.join("kept"),
            source,
        })?;
        self.sequence.sealed(number, hash);
        self.offer(&bytes).map(|_| ())
    }

    fn header(&mut self, kind: Kind, sequence: u64, now_ms: i64) -> Header {
        let Rhythm { interval_ms, beacon_ms, .. } = self.settings.rhythm;
        // Carriers that run have beacons; a medium comes when it comes.
        let next_due_ms = if self.carriers.is_empty() { interval_ms } else { beacon_ms };
        Header {
            stream: self.signer.stream().clone(),
            epoch: self.sequence.epoch(),
            sequence,
            kind,
            created_ms: now_ms,
            clock: clock(),
            key_epoch: self.signer.epoch(),
            state: self.ledger.digest(),
            links: self.sequence.links(sequence),
            spool: self.spool.depth(),
            // What else was dropped is said again by itself: nothing of it is lost, and `outbox show` counts it.
            drops: self.spool.tally().evidence.clone(),
            next_due_ms: next_due_ms.into(),
            before: self.sequence.before(),
        }
    }

    fn beacon(&mut self, now_ms: i64) -> Result<(), OutboxError> {
        self.schedule.beacon(now_ms);
        let beacon = self.sealed_beacon(now_ms)?;
        self.offer(&beacon).map(|_| ())
    }

    fn sealed_beacon(&mut self, now_ms: i64) -> Result<Vec<u8>, OutboxError> {
        let number = self.sequence.next();
        let header = self.header(Kind::Beacon, number, now_ms);
        Ok(make(&header, Body::Nothing, self.signer.key())?.bytes)
    }

    /// Puts an object into every tray that has room, and says into how many.
    fn offer(&mut self, object: &[u8]) -> Result<usize, OutboxError> {
        let mut taken = 0;
        for carrier in &mut self.carriers {
            match carrier.tray.put(object) {
                Ok(_) => {
                    carrier.sent = carrier.sent.saturating_add(1);
                    taken += 1;
                }
                Err(TrayError::Full { .. }) => {
                    carrier.skipped = carrier.skipped.saturating_add(1);
                    tracing::debug!(carrier = carrier.name, "a carrier's tray is full");
                }
                Err(other) => return Err(other.into()),
            }
        }
        Ok(taken)
    }

    fn has_taker(&mut self) -> bool {
        self.by_hand || self.carriers.iter_mut().any(|it| it.tray.lying().is_ok_and(|lying| lying < AHEAD))
    }

    /// Notes that a parcel has left.
    fn left(&mut self, mut txn: Txn, number: u64, parcel: &spool::Parcel) -> Txn {
        self.spool.left(number);
        if matches!(parcel.load, Load::Slice { .. }) {
            let items: Vec<_> = parcel.items.iter().map(|it| (&it.key, it.revision)).collect();
            for (key, said) in self.ledger.slice_left(items) {
                txn = match said {
                    Some(said) => pages::put_said(txn, &key, &said, None),
                    None => {
                        self.sizes.remove(&key);
                        pages::delete_said(txn, &key)
                    }
                };
            }
        }
        pages::delete_parcel(txn, number)
    }

    /// Makes sure that there is a number to give, in the store and beside it.
    fn reserve(&mut self) -> Result<(), OutboxError> {
        let Some((numbers, witness)) = self.sequence.reserve(self.ledger.highest()) else { return Ok(()) };
        let rest = Rest { numbers: Some(numbers), ..self.rest() };
        self.store.commit_blocking(pages::put_rest(Txn::report(), &rest))?;
        let path = self.settings.dir.join("witness");
        atomic_file::replace(&path, &pages::witness_bytes(&witness), Readable::Owner)
            .map_err(|source| OutboxError::File { doing: "write", path, source })?;
        self.sequence.reserved(&witness);
        Ok(())
    }

    fn commit(&self, txn: Txn) -> Result<(), OutboxError> {
        self.store.commit_blocking(pages::put_rest(txn, &self.rest()))?;
        Ok(())
    }

    fn rest(&self) -> Rest {
        Rest {
            progress: self.schedule.progress(),
            floor: self.ledger.floor(),
            tally: self.spool.tally().clone(),
            undeclared: self.spool.is_undeclared(),
            numbers: Some(self.sequence.numbers().clone()),
            audited: self.audited,
        }
    }

    /// Lets everything that waits leave for a person who carries it, and says what belongs on the medium. The
    /// bundles are files that stay until a cycle is over.
    ///
    /// # Errors
    /// As [`Office::step`].
    pub fn carry(&mut self, now_ms: i64) -> Result<Carried, OutboxError> {
        self.by_hand = true;
        let sent = self.send(now_ms);
        self.by_hand = false;
        sent?;
        Ok(Carried {
            stream: self.stream().clone(),
            epoch: self.sequence.epoch(),
            statements: self.signer.statements().to_vec(),
            bundles: self.kept.places().map(|it| (it, self.kept.path(&it))).collect(),
            beacon: self.sealed_beacon(now_ms)?,
            slices: (self.kept.slices(), self.settings.rhythm.slices.get()),
        })
    }

    /// Hands the kept bundles of a code to the carriers again. What came into a tray stays there, whatever follows.
    ///
    /// # Errors
    /// A tray cannot be used.
    pub fn resend(&mut self, code: &Code) -> Result<Result<Resent, NotResent>, OutboxError> {
        if let Err(other) = code.is_for(self.stream(), &self.sequence.epoch()) {
            return Ok(Err(other.into()));
        }
        if self.carriers.is_empty() {
            return Ok(Err(NotResent::NoCarrier));
        }
        let kept: BTreeMap<u64, PathBuf> =
            self.kept.places().map(|it| (it.sequence, self.kept.path(&it))).collect();
        let mut resent = Resent::default();
        for number in code.from()..=code.to() {
            // Its cycle may be over by now; then the next one has said it again.
            let Some(object) = kept.get(&number).and_then(|it| tray::read_object(it).ok()) else {
                resend::add(&mut resent.missing, number);
                continue;
            };
            if self.offer(&object)? > 0 {
                resent.bundles += 1;
            } else {
                resend::add(&mut resent.no_room, number);
            }
        }
        Ok(Ok(resent))
    }

    /// Lets the next key follow. Statements about it leave with the next cycle, and at once.
    ///
    /// # Errors
    /// The key cannot be brought, or the disk refuses.
    pub fn rotate(&mut self, now_ms: i64) -> Result<u64, OutboxError> {
        self.signer.rotate(now_ms)?;
        for statement in self.signer.statements().to_vec() {
            self.offer(&statement)?;
        }
        Ok(self.signer.epoch())
    }

    /// What a person may know of it.
    pub fn show(&self) -> Show {
        let waiting = self.spool.depth();
        Show {
            epoch: self.sequence.epoch(),
            head: self.sequence.next().saturating_sub(1),
            waiting: usize::try_from(waiting.depth).unwrap_or(usize::MAX),
            waiting_bytes: self.spool.bytes(),
            oldest_ms: waiting.oldest_ms,
            intervals: self.schedule.progress().intervals,
            made_ms: self.schedule.progress().made_ms,
            slices: self.settings.rhythm.slices.get(),
            kept_slices: self.kept.slices(),
            tally: self.spool.tally().clone(),
            carriers: self.carriers.iter().map(|it| (it.name, it.sent, it.skipped)).collect(),
            key_epoch: self.signer.epoch(),
            skips: self.sequence.numbers().skips.clone(),
        }
    }

    /// Whose bundles these are.
    pub fn stream(&self) -> &Stream {
        self.signer.stream()
    }
}

/// What goes on a medium.
#[derive(Debug)]
pub struct Carried {
    /// Whose bundles these are.
    pub stream: Stream,
    /// The incarnation.
    pub epoch: Epoch,
    /// Statements about its keys.
    pub statements: Vec<Vec<u8>>,
    /// Bundles in order of their numbers, and where their bytes are.
    pub bundles: Vec<(Place, PathBuf)>,
    /// The newest that the collector says of its whole state.
    pub beacon: Vec<u8>,
    /// Different slices among the bundles, and of how many.
    pub slices: (usize, u16),
}

fn carrier(dir: &Path, name: &&'static str) -> Result<Carrier, OutboxError> {
    let limits = crate::carrier::tray::Limits { bytes: MAX_TRAY, ..Default::default() };
    Ok(Carrier { name, tray: Filler::open(&dir.join(name), limits)?, sent: 0, skipped: 0 })
}

fn read_witness(dir: &Path) -> Result<Option<super::sequence::Witness>, OutboxError> {
    let path = dir.join("witness");
    match fs::read(&path) {
        // One that cannot be read is none: then a new incarnation begins, which is always safe.
        Ok(bytes) => Ok(pages::witness(&bytes)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OutboxError::File { doing: "read", path, source }),
    }
}

/// What a copy on another machine does not share: the machine's own identifier, and where the directory is.
pub(super) fn place(dir: &Path) -> Digest {
    let machine = fs::read("/etc/machine-id").unwrap_or_default();
    let host = hostname::get().map(OsString::into_encoded_bytes).unwrap_or_default();
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    Digest::of(&[machine.as_slice(), b"\0", &host, b"\0", dir.as_os_str().as_encoded_bytes()].concat())
}

fn fresh() -> Result<Epoch, OutboxError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| OutboxError::Random)?;
    Ok(Epoch::from(bytes))
}

/// What the system says of its own clock: systemd and others leave this file when they have set it since the
/// machine started. Where it is missing nothing is known.
fn clock() -> ClockQuality {
    let synchronised = Path::new("/run/systemd/timesync/synchronized").exists();
    if synchronised { ClockQuality::Synchronised } else { ClockQuality::Unknown }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
