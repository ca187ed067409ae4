//! One incarnation of a zone's collector: which of its bundles there must be, and which came.
//!
//! [`Incarnation::judge`] says what a bundle or beacon is before anything of it is believed; the `take`
//! functions note it afterwards.

mod kept;

use std::collections::VecDeque;

use holdpoint_common::bundle::{Before, Bundle, Class, Epoch, Header, Kind};
use holdpoint_common::section::Digest;

use super::places::{Hole, HoleState, Holes, Place, Window};

/// How far a bundle may be ahead of what is known until something confirms it: 69 days of a bundle a minute.
/// Who holds the key can say any number; who made a mistake shall not spoil the count.
pub const MAX_JUMP: u64 = 100_000;
/// Beacons of one place that are told apart: ten minutes of a beacon every ten seconds, when bundles come
/// every minute.
pub const MAX_BEACONS: usize = 64;
/// Incarnations that are remembered after their end: one begins with an installation or a restore.
pub const MAX_PAST: usize = 64;
/// How long a sender repeats what no later record replaces, in milliseconds: seven days. A hole that is open
/// for longer may have had some that came and went.
pub const REPEATED_MS: i64 = 7 * 24 * 3_600_000;

/// What a sender drops of these, nothing replaces.
const EVIDENCE: [Class; 2] = [Class::Change, Class::Audit];

/// What a bundle or beacon is to an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// Its place lies behind all others.
    New,
    /// Its place was missing.
    Late,
    /// It came before.
    Duplicate,
    /// It lies so far back that nobody can say whether it came.
    Old,
    /// Too far ahead.
    Far,
    /// Another bundle has its place, or it names another one as the one before it.
    Fork(Fork),
}

/// Two bundles of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// The place.
    pub sequence: u64,
    /// The hash that was known first.
    pub held: Digest,
    /// The other hash.
    pub other: Digest,
}

/// The newest thing that the sender said of its whole state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The place after which the state was so.
    pub sequence: u64,
    /// The digest of it.
    pub state: Digest,
    /// When it came, by the receiver's clock, Unix milliseconds.
    pub received_ms: i64,
    /// The header that said so.
    pub header: Header,
}

/// Beacons of the present head, so that an old one is no sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Beacons {
    sequence: u64,
    hashes: VecDeque<(Digest, i64)>,
    /// The newest date of those that are told apart no more.
    before_ms: Option<i64>,
}

/// What is known of one incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation {
    /// Which one.
    pub epoch: Epoch,
    /// The first place that must be here: 1, or the first that came when nothing was known before.
    pub floor: u64,
    /// Places that came, from the floor on.
    pub seen: u64,
    /// Places that came from before the floor.
    pub seen_before: u64,
    /// The newest that the sender said of its state.
    pub head: Option<Head>,
    /// The highest place that came as a bundle.
    pub last_bundle: u64,
    /// The two bundles of one place that ended all belief in this incarnation.
    pub frozen: Option<(Fork, i64)>,
    window: Window,
    holes: Holes,
    beacons: Beacons,
}

/// What a sender dropped of what no later record replaces.
pub fn dropped_evidence(header: &Header) -> u64 {
    EVIDENCE.iter().fold(0, |sum, class| sum.saturating_add(header.drops.of(*class)))
}

/// The place up to which a header knows the stream: its own, or the one before for a beacon.
pub fn reach(header: &Header) -> u64 {
    if header.kind == Kind::Beacon { header.sequence.saturating_sub(1) } else { header.sequence }
}

impl Incarnation {
    /// Begins with nothing received. `floor` is the first place that must be here.
    pub fn begin(epoch: Epoch, floor: u64) -> Self {
        let mut window = Window::default();
        window.advance(floor.saturating_sub(1));
        Self {
            epoch,
            floor,
            seen: 0,
            seen_before: 0,
            head: None,
            last_bundle: 0,
            frozen: None,
            window,
            holes: Holes::default(),
            beacons: Beacons::default(),
        }
    }

    /// The highest place that there must be.
    pub fn high(&self) -> u64 {
        self.window.high()
    }

    /// The places that were missing.
    pub fn holes(&self) -> &Holes {
        &self.holes
    }

    /// Says what a bundle or a beacon is. `confirmed` lifts the limit on how far ahead it may be.
    pub fn judge(&self, header: &Header, hash: Digest, confirmed: bool) -> Judged {
        let beacon = header.kind == Kind::Beacon;
        if !beacon {
            let fork = |held| Judged::Fork(Fork { sequence: header.sequence, held, other: hash });
            match self.window.at(header.sequence) {
                Some(Place::Seen(held)) if held == hash => return Judged::Duplicate,
                Some(Place::Seen(held)) => return fork(held),
                Some(Place::Claimed(held)) if held != hash => return fork(held),
                Some(Place::Claimed(_) | Place::Unknown) | None => {}
            }
        }
        if reach(header).saturating_sub(self.high()) > MAX_JUMP && !confirmed {
            return Judged::Far;
        }
        for (sequence, other) in header.links.claims(header.sequence) {
            if let Some(Place::Seen(held) | Place::Claimed(held)) = self.window.at(sequence)
                && held != other
            {
                return Judged::Fork(Fork { sequence, held, other });
            }
        }
        if beacon {
            return if self.is_news(header, hash) { Judged::New } else { Judged::Duplicate };
        }
        if header.sequence > self.high() {
            return Judged::New;
        }
        let in_window = self.window.at(header.sequence).is_some();
        let missing = self.holes.at(header.sequence).is_some_and(|it| it != HoleState::Arrived);
        if in_window || missing { Judged::Late } else { Judged::Old }
    }

    /// Notes a bundle that [`Incarnation::judge`] called new or late.
    pub fn take(&mut self, bundle: &Bundle, now_ms: i64) {
        let Bundle { header, hash, .. } = bundle;
        let sequence = header.sequence;
        if sequence > self.high() {
            self.reach(sequence.saturating_sub(1), now_ms);
            self.window.advance(sequence);
        } else if sequence >= self.floor {
            self.holes.fill(sequence, now_ms);
        }
        self.window.see(sequence, *hash);
        let seen = if sequence < self.floor { &mut self.seen_before } else { &mut self.seen };
        *seen = seen.saturating_add(1);
        self.last_bundle = self.last_bundle.max(sequence);
        self.believe(header, now_ms);
    }

    /// Notes a beacon that is news.
    pub fn take_beacon(&mut self, header: &Header, hash: Digest, now_ms: i64) {
        self.reach(reach(header), now_ms);
        if self.beacons.sequence < header.sequence {
            self.beacons = Beacons { sequence: header.sequence, ..Beacons::default() };
        }
        self.beacons.hashes.push_back((hash, header.created_ms));
        if self.beacons.hashes.len() > MAX_BEACONS
            && let Some((_, created_ms)) = self.beacons.hashes.pop_front()
        {
            self.beacons.before_ms = self.beacons.before_ms.max(Some(created_ms));
        }
        self.believe(header, now_ms);
    }

    /// Closes what is open: the sender's whole state is known. Gives what is lost nevertheless, because the
    /// sender dropped evidence since it was missed, or because it is open for longer than evidence is
    /// repeated.
    pub fn cover(&mut self, now_ms: i64) -> Vec<Hole> {
        let dropped = self.dropped();
        self.holes.close(now_ms, |hole| {
            let long = now_ms.saturating_sub(hole.noticed_ms) > REPEATED_MS;
            if long || dropped > hole.dropped_before { HoleState::Lost } else { HoleState::Superseded }
        })
    }

    /// Ends it: `before` is what the one that follows knows of it, `None` when that is nothing. What is
    /// missing behind it is lost, and given; what is missing up to it stays open until the one that follows
    /// has told its state.
    pub fn end(&mut self, before: Option<Before>, now_ms: i64) -> Vec<Hole> {
        let known = before.map_or(0, |it| it.sequence);
        self.reach(known, now_ms);
        self.holes.cut(known);
        // No late bundle of it is taken any more.
        (self.window, self.beacons) = (Window::default(), Beacons::default());
        let state = |hole: &Hole| {
            if hole.from > known { HoleState::Lost } else { HoleState::Open }
        };
        self.holes.close(now_ms, state)
    }

    fn is_news(&self, header: &Header, hash: Digest) -> bool {
        let Beacons { sequence, hashes, before_ms } = &self.beacons;
        let current = reach(header) >= self.high() && header.sequence >= *sequence;
        let known = *sequence == header.sequence && hashes.iter().any(|it| it.0 == hash);
        let older = *sequence == header.sequence && before_ms.is_some_and(|it| header.created_ms <= it);
        current && !known && !older
    }

    /// There must be bundles up to here.
    fn reach(&mut self, high: u64, now_ms: i64) {
        if high > self.high() {
            let first = self.high().saturating_add(1);
            self.holes.miss(first, high, now_ms, self.dropped());
            self.window.advance(high);
        }
    }

    fn believe(&mut self, header: &Header, now_ms: i64) {
        for (sequence, hash) in header.links.claims(header.sequence) {
            self.window.claim(sequence, hash);
        }
        let sequence = reach(header);
        if self.head.as_ref().is_none_or(|it| it.sequence <= sequence) {
            let (state, header) = (header.state, header.clone());
            self.head = Some(Head { sequence, state, received_ms: now_ms, header });
        }
    }

    fn dropped(&self) -> u64 {
        self.head.as_ref().map_or(0, |it| dropped_evidence(&it.header))
    }
}
