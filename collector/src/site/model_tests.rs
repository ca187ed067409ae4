//! The state oracle: a sender whose every state is remembered, a network that does what networks and hostile
//! relays do, and after each step what may be known of the one is compared with what is believed here.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::bundle::{Bundle, Key, Kind, Record};
use holdpoint_common::section::Digest;

use super::alarm::Kind as AlarmKind;
use super::page::Tag;
use super::places::HoleState;
use super::ruling::Ruling;
use super::shelf::{Changes, Shelf};
use super::testing::{MINUTE, SLICES, Sender, key, stream};
use super::zone::{Agreement, Terms, Zone};

/// Thousands where somebody waits for them; some hundred with every change.
const SCHEDULES: u64 = if cfg!(debug_assertions) { 400 } else { 4_000 };
const STEPS: u64 = 40;
/// How long a sender keeps a tombstone: three cycles.
const TOMBSTONES: u64 = 3 * SLICES as u64;
const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

type Epoch = [u8; 16];
type Live = BTreeMap<Key, (u64, Vec<u8>)>;

/// `SplitMix64`: a schedule is its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.below(u64::try_from(from.len()).unwrap().max(1));
        from.get(usize::try_from(at).unwrap())
    }
}

/// One collector that sends, with all that it ever said.
struct Writer {
    sender: Sender,
    tombstones: Vec<(u64, Key)>,
    deltas: Vec<Vec<Record>>,
}

struct World {
    seed: u64,
    random: Random,
    now: u64,
    one: Writer,
    /// A second writer with the same key.
    other: Option<Writer>,
    backup: Sender,
    epochs: u8,
    /// What travels, and until when.
    network: Vec<(u64, Bundle)>,
    /// All that was ever sent.
    capture: Vec<Bundle>,
    loss: u64,
    zone: Zone,
    /// Every form of every record that an incarnation could say.
    said: BTreeSet<(Epoch, Key, u64, Option<Vec<u8>>)>,
    /// What was there after each bundle.
    states: BTreeMap<(Epoch, u64), Live>,
    heads: BTreeMap<Epoch, u64>,
    got: BTreeMap<(Epoch, u64), Digest>,
    counted: BTreeSet<Digest>,
    delivered: u64,
    seen: Seen,
    /// What is written of the zone, in schedules that look at it.
    written: Option<Written>,
}

/// The pages of a zone, and a zone that was read from them at some time and rules ever since.
struct Written {
    shelf: Shelf,
    pages: Changes,
    read: Option<Zone>,
    same: u64,
}

impl Written {
    fn new() -> Self {
        Self { shelf: Shelf::default(), pages: Changes::new(), read: None, same: 0 }
    }

    /// Writes what became otherwise, as a transaction would.
    fn write(&mut self, zone: &mut Zone) {
        let mut changes = Changes::new();
        self.shelf.collect(zone, &mut changes);
        for (key, page) in changes {
            match page {
                Some(page) => drop(self.pages.insert(key, Some(page))),
                None => drop(self.pages.remove(&key)),
            }
        }
    }

    fn read(&self, terms: Terms) -> Zone {
        let start = super::page::prefix(Tag::Fact, "line-1");
        let (mut pages, mut facts) = (Vec::new(), Vec::new());
        for tag in [Tag::Zone, Tag::Present, Tag::Past, Tag::Places, Tag::Listed, Tag::Held] {
            let all = self.pages.iter().filter(|(key, _)| key[0] == tag.byte());
            pages.extend(all.map(|(key, page)| (tag, key.clone(), page.clone().unwrap())));
        }
        for (key, page) in self.pages.iter().filter(|(key, _)| key.starts_with(&start)) {
            facts.push((key[start.len()..].to_vec(), page.clone().unwrap()));
        }
        Zone::of_pages(pages, facts, terms).unwrap()
    }
}

/// What the schedules brought about, so that none of it is missing from the test by accident.
#[derive(Debug, Default)]
struct Seen {
    late: u64,
    duplicates: u64,
    ended: u64,
    strangers: u64,
    forks: u64,
    frozen: u64,
    lost: u64,
    superseded: u64,
    arrived: u64,
    restored: u64,
    gone: u64,
    went_back: u64,
    same: u64,
    same_with_inheritance: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let one = Writer { sender: Sender::new(), tombstones: Vec::new(), deltas: Vec::new() };
        Self {
            seed,
            random: Random(seed),
            now: 0,
            backup: one.sender.clone(),
            one,
            other: None,
            epochs: 1,
            network: Vec::new(),
            capture: Vec::new(),
            loss: 0,
            zone: Zone::new(stream(), Terms { cycle_ms: i64::from(SLICES) * MINUTE, interval_ms: None }),
            said: BTreeSet::new(),
            states: BTreeMap::new(),
            heads: BTreeMap::new(),
            got: BTreeMap::new(),
            counted: BTreeSet::new(),
            delivered: 0,
            seen: Seen::default(),
            written: None,
        }
    }

    /// The process ends here and begins again with what was written.
    fn restart(&mut self) {
        let Some(mut written) = self.written.take() else { return };
        written.write(&mut self.zone);
        let terms = Terms { cycle_ms: i64::from(SLICES) * MINUTE, interval_ms: None };
        let mut read = written.read(terms);
        assert!(read.is_the_same(&mut self.zone), "seed {}: another zone came back", self.seed);
        if self.random.percent(30) {
            written.read = Some(read);
        }
        written.same += 1;
        self.written = Some(written);
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.now).unwrap() * MINUTE
    }

    fn step(&mut self) {
        self.now += 1;
        if self.random.percent(10) {
            self.loss = *self.random.pick(&[0, 0, 5, 30, 100]).unwrap();
        }
        if self.random.percent(8) {
            self.backup = self.one.sender.clone();
        }
        if self.other.is_none() && self.random.percent(2) {
            self.restore(false);
        }
        // One schedule in four has a second writer from some step on.
        if self.seed.is_multiple_of(4) && self.other.is_none() && self.random.percent(5) {
            let sender = Sender { writer: 1, ..self.one.sender.clone() };
            self.other = Some(Writer { sender, tombstones: Vec::new(), deltas: Vec::new() });
        }
        let mut other = self.other.take();
        if let Some(other) = &mut other {
            self.act(other);
        }
        self.other = other;
        self.act_one();
        // A relay repeats what it caught, whenever that was.
        if self.random.percent(30) {
            for _ in 0..self.random.below(4) {
                if let Some(bundle) = self.random.pick(&self.capture).cloned() {
                    self.network.push((self.now, bundle));
                }
            }
        }
        self.deliver();
    }

    /// Goes on from a backup, or from now, as a new incarnation.
    fn restore(&mut self, with_new_key: bool) {
        self.epochs += 1;
        let from = if self.random.percent(50) { &self.one.sender } else { &self.backup };
        let mut sender = from.next(self.epochs);
        sender.key_epoch += u64::from(with_new_key);
        for record in sender.records.values() {
            let Record { key, revision, content } = record.clone();
            self.said.insert(([self.epochs; 16], key, revision.get(), content));
        }
        let tombstones =
            sender.state.tombstones().map(|(key, _)| (self.now + TOMBSTONES, key.clone())).collect();
        self.backup = sender.clone();
        self.one = Writer { sender, tombstones, deltas: Vec::new() };
        self.seen.restored += 1;
    }

    fn act_one(&mut self) {
        let idle = Writer { sender: Sender::new(), tombstones: Vec::new(), deltas: Vec::new() };
        let mut one = std::mem::replace(&mut self.one, idle);
        self.act(&mut one);
        self.one = one;
    }

    /// A minute of a collector: changes, a delta with repetitions, a slice, a beacon.
    fn act(&mut self, writer: &mut Writer) {
        let Writer { sender, tombstones, deltas } = writer;
        let epoch = [sender.epoch; 16];
        tombstones.retain(|(until, key)| {
            if *until <= self.now {
                sender.forget(key);
            }
            *until > self.now
        });
        let mut records: Vec<Record> = Vec::new();
        for _ in 0..self.random.below(3) {
            let name = self.random.pick(&NAMES).unwrap();
            let content = format!("{name} of {} at {}", sender.writer, self.random.next());
            let content = (!self.random.percent(25)).then_some(content.as_str());
            let record = sender.set(name, content);
            tombstones.retain(|it| it.1 != record.key);
            if content.is_none() {
                tombstones.push((self.now + TOMBSTONES, key(name)));
            }
            records.retain(|it| it.key != record.key);
            self.said.insert((epoch, record.key.clone(), record.revision.get(), record.content.clone()));
            records.push(record);
        }
        deltas.push(records.clone());
        for back in [2, 4] {
            let again = deltas.len().checked_sub(back).and_then(|it| deltas.get(it)).cloned();
            for record in again.into_iter().flatten() {
                if records.iter().all(|it| it.key != record.key) {
                    records.push(record);
                }
            }
        }
        let ms = self.now_ms();
        let delta = sender.send(Kind::Delta, records, ms);
        self.states.insert((epoch, sender.head), sender.live());
        let slice = sender.slice(u16::try_from(self.now % u64::from(SLICES)).unwrap(), ms);
        self.states.insert((epoch, sender.head), sender.live());
        let beacon = sender.beacon(ms);
        let head = self.heads.entry(epoch).or_default();
        *head = sender.head.max(*head);
        for bundle in [delta, slice, beacon] {
            self.transmit(&bundle);
        }
    }

    fn transmit(&mut self, bundle: &Bundle) {
        self.capture.push(bundle.clone());
        if self.random.percent(self.loss) {
            return;
        }
        for _ in 0..if self.random.percent(15) { 2 } else { 1 } {
            let delay = match self.random.below(20) {
                0 => self.random.below(30),
                1..5 => self.random.below(4),
                _ => 0,
            };
            self.network.push((self.now + delay, bundle.clone()));
        }
    }

    fn deliver(&mut self) {
        let (mut due, rest) =
            std::mem::take(&mut self.network).into_iter().partition::<Vec<_>, _>(|it| it.0 <= self.now);
        self.network = rest;
        // Reordered within the minute, often.
        if self.random.percent(50) {
            for at in (1..due.len()).rev() {
                due.swap(at, usize::try_from(self.random.below(u64::try_from(at + 1).unwrap())).unwrap());
            }
        }
        for (_, bundle) in due {
            self.take(bundle);
        }
        self.check_places();
    }

    fn take(&mut self, bundle: Bundle) {
        let seed = self.seed;
        let (now_ms, hash, header) = (self.now_ms(), bundle.hash, bundle.header.clone());
        let place = (*header.epoch.as_bytes(), header.sequence);
        let before = self.zone.digest();
        let current = self.zone.incarnation().map(|it| it.epoch);
        let copy = self.written.is_some().then(|| bundle.clone());
        let ruling = self.zone.take(bundle, now_ms);
        self.delivered += 1;
        if let Some(read) = self.written.as_mut().and_then(|it| it.read.as_mut()) {
            assert_eq!(read.take(copy.unwrap(), now_ms), ruling, "seed {seed}: it rules otherwise");
            read.look(now_ms);
            self.zone.look(now_ms);
            assert!(read.is_the_same(&mut self.zone), "seed {seed}: after {ruling:?}");
        }

        let applied = matches!(ruling, Ruling::Accepted | Ruling::Late);
        if applied || ruling == Ruling::Beacon {
            assert!(self.counted.insert(hash), "seed {seed}: counted twice");
        }
        if applied {
            let held = self.got.insert(place, hash);
            assert_eq!(held, None, "seed {seed}: a second bundle of one place was applied");
        } else if current.is_none_or(|it| it == header.epoch) {
            assert_eq!(self.zone.digest(), before, "seed {seed}: {ruling:?} changed the state");
        }
        let contradicts = self.got.get(&place).is_some_and(|it| *it != hash);
        if contradicts && header.kind != Kind::Beacon && current == Some(header.epoch) {
            assert!(matches!(ruling, Ruling::Fork | Ruling::Frozen), "seed {seed}: {ruling:?}");
        }
        // What does not follow in a way that shows is for a person.
        if ruling == Ruling::Stranger && self.one.sender.epoch == header.epoch.as_bytes()[0] {
            self.zone.admit(header.epoch);
            if let Some(read) = self.written.as_mut().and_then(|it| it.read.as_mut()) {
                read.admit(header.epoch);
            }
        }
        self.check();
    }

    fn check(&mut self) {
        let seed = self.seed;
        let counters = self.zone.counters();
        let held = u64::try_from(self.zone.held()).unwrap();
        assert_eq!(counters.taken, self.delivered, "seed {seed}");
        assert_eq!(counters.taken, counters.sum() + held, "seed {seed}");
        for alarm in self.zone.alarms().iter() {
            let forked = matches!(alarm.kind, AlarmKind::Fork | AlarmKind::Conflict);
            assert!(!forked || self.other.is_some(), "seed {seed}: {alarm:?}");
        }

        let Some(current) = self.zone.incarnation() else { return };
        let epoch = *current.epoch.as_bytes();
        assert!(current.high() <= self.heads[&epoch], "seed {seed}: newer than the sender");
        for (key, fact) in self.zone.facts().live() {
            let form = (*fact.epoch.as_bytes(), key.clone(), fact.revision.get(), fact.content.clone());
            assert!(self.said.contains(&form), "seed {seed}: nobody said {form:?}");
        }
        // Two writers have two states.
        if self.other.is_none()
            && let Agreement::Same { .. } = self.zone.agreement()
            && let Some(head) = &current.head
            && let Some(state) = self.states.get(&(epoch, head.sequence))
        {
            let live = |(key, it): (&Key, &super::Fact)| {
                (key.clone(), (it.revision.get(), it.content.clone().unwrap()))
            };
            let believed: Live = self.zone.facts().live().map(live).collect();
            assert_eq!(believed, *state, "seed {seed}: the same, and it is not");
            assert_eq!(current.holes().open().count(), 0, "seed {seed}");
            self.seen.same += 1;
            self.seen.same_with_inheritance += u64::from(!self.zone.past().is_empty());
        }
    }

    /// Every place that there must be came, or is in a hole that says what became of it.
    fn check_places(&self) {
        let seed = self.seed;
        let Some(current) = self.zone.incarnation() else { return };
        let epoch = *current.epoch.as_bytes();
        let (floor, high) = (current.floor, current.high());
        let missing = current.holes().tally().missing();
        assert_eq!(high + 1 - floor, current.seen + missing, "seed {seed}: places do not add up");
        for sequence in floor..=high {
            let came = self.got.contains_key(&(epoch, sequence));
            let state = current.holes().at(sequence);
            match state {
                None | Some(HoleState::Arrived) => assert!(came, "seed {seed}: {sequence} is not missed"),
                Some(HoleState::Open | HoleState::Superseded | HoleState::Lost) => {
                    assert!(!came, "seed {seed}: {sequence} came");
                }
            }
        }
    }

    /// The link is back: after one cycle nothing is open and both sides hold the same.
    fn finish(mut self) -> Seen {
        self.loss = 0;
        self.now += 40;
        self.deliver();
        if self.zone.incarnation().is_some_and(|it| it.frozen.is_some()) {
            let before = self.zone.digest();
            self.zone.recertified(2);
            self.other = None;
            self.restore(true);
            assert_eq!(self.zone.digest(), before);
            self.other = None;
        } else if self.other.is_some() {
            // The second writer was never seen against the first, or was the only one that was.
            return self.tell();
        }
        let forked = self.zone.counters().forks > 0;
        for _ in 0..SLICES {
            self.now += 1;
            let sent = self.capture.len();
            self.network.clear();
            self.act_one();
            let sent = self.capture.split_off(sent);
            self.network.clear();
            for bundle in sent {
                if forked {
                    self.zone.take(bundle, self.now_ms());
                } else {
                    self.take(bundle.clone());
                    // A person admits what does not follow, and the sender repeats.
                    if self.zone.incarnation().is_some_and(|it| it.epoch != bundle.header.epoch) {
                        self.take(bundle);
                    }
                }
            }
        }
        let seed = self.seed;
        assert!(matches!(self.zone.agreement(), Agreement::Same { .. }), "seed {seed}: did not converge");
        let live =
            |(key, it): (&Key, &super::Fact)| (key.clone(), (it.revision.get(), it.content.clone().unwrap()));
        let believed: Live = self.zone.facts().live().map(live).collect();
        assert_eq!(believed, self.one.sender.live(), "seed {seed}");
        assert_eq!(self.zone.uncertain_since(self.now_ms()), None, "seed {seed}");
        let past = self.zone.past().iter().map(|it| &it.incarnation);
        for incarnation in past.chain(self.zone.incarnation()) {
            assert_eq!(incarnation.holes().open().count(), 0, "seed {seed}");
        }
        self.tell()
    }

    fn tell(mut self) -> Seen {
        let counters = self.zone.counters();
        (self.seen.late, self.seen.duplicates) = (counters.late, counters.duplicates + counters.old_beacons);
        (self.seen.ended, self.seen.strangers) = (counters.ended, counters.strangers);
        (self.seen.forks, self.seen.frozen) = (counters.forks, counters.frozen);
        let past = self.zone.past().iter().map(|it| &it.incarnation);
        for incarnation in past.chain(self.zone.incarnation()) {
            let tally = incarnation.holes().tally();
            self.seen.lost += tally.lost;
            self.seen.superseded += tally.superseded;
            self.seen.arrived += tally.arrived;
        }
        (self.seen.gone, self.seen.went_back) = (self.zone.records().gone, self.zone.records().went_back);
        self.seen
    }
}

#[test]
fn whatever_a_network_does_nothing_wrong_is_believed_and_nothing_missing_is_hidden() {
    let mut sum = Seen::default();
    for seed in 0..SCHEDULES {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        let Seen { late, duplicates, ended, strangers, forks, frozen, lost, superseded, arrived, .. } = {
            let seen = world.finish();
            sum.restored += seen.restored;
            sum.gone += seen.gone;
            sum.went_back += seen.went_back;
            sum.same += seen.same;
            sum.same_with_inheritance += seen.same_with_inheritance;
            seen
        };
        sum.late += late;
        sum.duplicates += duplicates;
        sum.ended += ended;
        sum.strangers += strangers;
        sum.forks += forks;
        sum.frozen += frozen;
        sum.lost += lost;
        sum.superseded += superseded;
        sum.arrived += arrived;
    }
    println!("{sum:?}");
    let Seen { late, duplicates, ended, strangers, forks, frozen, lost, superseded, arrived, .. } = sum;
    let Seen { restored, gone, went_back, same, same_with_inheritance, .. } = sum;
    for (what, number) in [
        ("late", late),
        ("duplicates", duplicates),
        ("ended", ended),
        ("strangers", strangers),
        ("forks", forks),
        ("frozen", frozen),
        ("lost", lost),
        ("superseded", superseded),
        ("arrived", arrived),
        ("restored", restored),
        ("gone", gone),
        ("went back", went_back),
        ("same", same),
        ("same after a restore", same_with_inheritance),
    ] {
        assert!(number >= SCHEDULES / 100, "the schedules bring too little of this: {what} {number}");
    }
}

#[test]
fn a_zone_that_was_written_and_read_is_the_same_and_rules_the_rest_the_same() {
    let mut read = 0;
    for seed in 0..SCHEDULES / 4 {
        let mut world = World::new(seed);
        world.written = Some(Written::new());
        for _ in 0..STEPS {
            world.step();
            world.restart();
        }
        read += world.written.unwrap().same;
    }
    assert_eq!(read, SCHEDULES / 4 * STEPS);
}
