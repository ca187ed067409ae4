//! Places of one incarnation: which of them came, with which hash, and which are missing.
//!
//! The newest [`WINDOW`] places are known one by one. Before them only the holes are remembered: a place in
//! none of them came, or is so old that nobody can say.

mod kept;

use std::collections::VecDeque;

use holdpoint_common::section::Digest;

pub use kept::PLACES_A_PAGE;

/// Places that are known one by one: three days of a bundle a minute. A place with its hash costs 33 bytes,
/// so this is 135 kB a zone.
pub const WINDOW: u64 = 4_096;
/// Most holes that are remembered: a stream with more of them has lost its link and not its bundles.
pub const MAX_HOLES: usize = 1_024;

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nothing.
    Unknown,
    /// A later bundle or a beacon says which hash it has.
    Claimed(Digest),
    /// A bundle of this hash came.
    Seen(Digest),
}

/// The newest places up to the highest that there must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    high: u64,
    /// The last is the place `high`.
    places: VecDeque<Place>,
}

impl Window {
    /// The highest place that there must be; 0 before the first.
    pub fn high(&self) -> u64 {
        self.high
    }

    /// What is known of a place; `None` when it lies before the window or after its end.
    pub fn at(&self, sequence: u64) -> Option<Place> {
        self.position(sequence).and_then(|it| self.places.get(it)).copied()
    }

    /// Moves the end forward, never back.
    pub fn advance(&mut self, high: u64) {
        let Some(more) = high.checked_sub(self.high) else { return };
        let kept = WINDOW.min(high);
        self.high = high;
        let more = usize::try_from(more.min(kept)).unwrap_or(usize::MAX);
        self.places.extend(std::iter::repeat_n(Place::Unknown, more));
        let over = self.places.len().saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX));
        self.places.drain(..over);
    }

    /// Notes that a place came.
    pub fn see(&mut self, sequence: u64, hash: Digest) {
        if let Some(place) = self.place(sequence) {
            *place = Place::Seen(hash);
        }
    }

    /// Notes what is said of a place, when nothing else is known of it.
    pub fn claim(&mut self, sequence: u64, hash: Digest) {
        if let Some(place @ Place::Unknown) = self.place(sequence) {
            *place = Place::Claimed(hash);
        }
    }

    fn place(&mut self, sequence: u64) -> Option<&mut Place> {
        self.position(sequence).and_then(|it| self.places.get_mut(it))
    }

    fn position(&self, sequence: u64) -> Option<usize> {
        let back = usize::try_from(self.high.checked_sub(sequence)?).ok()?;
        self.places.len().checked_sub(back.checked_add(1)?)
    }
}

/// What became of missing places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoleState {
    /// They are missing, and something that they said may be too.
    Open,
    /// They came late.
    Arrived,
    /// They never came, and the sender's state shows that nothing is missing of what they said.
    Superseded,
    /// They never came, and what only they said will not come either.
    Lost,
}

impl HoleState {
    /// The word that is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Arrived => "arrived",
            Self::Superseded => "superseded",
            Self::Lost => "lost",
        }
    }
}

/// Places that were missing when a later one was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
    /// When they were first missed, by the receiver's clock, Unix milliseconds.
    pub noticed_ms: i64,
    /// What became of them.
    pub state: HoleState,
    /// When that was known; `None` as long as they are open.
    pub closed_ms: Option<i64>,
    /// What the sender had dropped of what no later record replaces, as far as it was known when they were
    /// missed.
    pub dropped_before: u64,
}

impl Hole {
    /// How many places it has.
    pub fn places(&self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }
}

/// Numbers of places by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Missing.
    pub open: u64,
    /// Came late.
    pub arrived: u64,
    /// Not missed any more.
    pub superseded: u64,
    /// Gone.
    pub lost: u64,
}

impl Tally {
    fn add(&mut self, hole: &Hole) {
        let sum = match hole.state {
            HoleState::Open => &mut self.open,
            HoleState::Arrived => &mut self.arrived,
            HoleState::Superseded => &mut self.superseded,
            HoleState::Lost => &mut self.lost,
        };
        *sum = sum.saturating_add(hole.places());
    }

    /// Adds another tally to this one.
    pub fn absorb(&mut self, other: Self) {
        let Self { open, arrived, superseded, lost } = other;
        self.open = self.open.saturating_add(open);
        self.arrived = self.arrived.saturating_add(arrived);
        self.superseded = self.superseded.saturating_add(superseded);
        self.lost = self.lost.saturating_add(lost);
    }

    /// One of the forgotten came after all. Which of them it was is forgotten too, so the worst is the last
    /// to be made better.
    fn found(&mut self) {
        let kinds = [&mut self.open, &mut self.superseded, &mut self.lost];
        if let Some(kind) = kinds.into_iter().find(|it| **it > 0) {
            *kind -= 1;
            self.arrived = self.arrived.saturating_add(1);
        }
    }

    /// Places that never came.
    pub fn missing(&self) -> u64 {
        self.open.saturating_add(self.superseded).saturating_add(self.lost)
    }
}

/// The holes of one incarnation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holes {
    /// In rising order, none touching another of the same kind.
    list: Vec<Hole>,
    /// Those beyond [`MAX_HOLES`], by what they were when they were forgotten.
    forgotten: Tally,
}

impl Holes {
    /// All that are remembered, in rising order.
    pub fn iter(&self) -> impl Iterator<Item = &Hole> {
        self.list.iter()
    }

    /// The places of holes that are remembered no more.
    pub fn forgotten(&self) -> Tally {
        self.forgotten
    }

    /// All places that were ever missing.
    pub fn tally(&self) -> Tally {
        let mut sum = self.forgotten;
        self.list.iter().for_each(|it| sum.add(it));
        sum
    }

    /// When the oldest that is still open was missed.
    pub fn open_since(&self) -> Option<i64> {
        self.open().map(|it| it.noticed_ms).min()
    }

    /// Those that are open.
    pub fn open(&self) -> impl Iterator<Item = &Hole> {
        self.list.iter().filter(|it| it.state == HoleState::Open)
    }

    /// What became of a place; `None` when it is in no hole that is remembered.
    pub fn at(&self, sequence: u64) -> Option<HoleState> {
        self.list.get(self.position(sequence)?).map(|it| it.state)
    }

    /// Notes that places from the first to the last are missing; they lie behind all others.
    pub fn miss(&mut self, from: u64, to: u64, now_ms: i64, dropped_before: u64) {
        if from > to || self.list.last().is_some_and(|it| it.to >= from) {
            return;
        }
        let state = HoleState::Open;
        self.list.push(Hole { from, to, noticed_ms: now_ms, state, closed_ms: None, dropped_before });
        self.tidy();
    }

    /// Notes that a missing place came late.
    pub fn fill(&mut self, sequence: u64, now_ms: i64) {
        let Some(position) = self.position(sequence) else {
            self.forgotten.found();
            return;
        };
        let hole = self.list.remove(position);
        let before = Hole { to: sequence.saturating_sub(1), ..hole.clone() };
        let after = Hole { from: sequence.saturating_add(1), ..hole.clone() };
        let (from, to, state, closed_ms) = (sequence, sequence, HoleState::Arrived, Some(now_ms));
        let middle = Hole { from, to, state, closed_ms, ..hole.clone() };
        let parts =
            [(hole.from < sequence).then_some(before), Some(middle), (sequence < hole.to).then_some(after)];
        self.list.splice(position..position, parts.into_iter().flatten());
        self.tidy();
    }

    /// Closes what is open, as `state` says of each. Gives those that are lost.
    pub fn close(&mut self, now_ms: i64, state: impl Fn(&Hole) -> HoleState) -> Vec<Hole> {
        let mut lost = Vec::new();
        for hole in self.list.iter_mut().filter(|it| it.state == HoleState::Open) {
            hole.state = state(hole);
            hole.closed_ms = (hole.state != HoleState::Open).then_some(now_ms);
            if hole.state == HoleState::Lost {
                lost.push(hole.clone());
            }
        }
        self.tidy();
        lost
    }

    /// Cuts an open hole in two behind a place, so that its halves can become different things.
    pub fn cut(&mut self, behind: u64) {
        if let Some(position) = self.position(behind)
            && let Some(hole) = self.list.get_mut(position)
            && hole.state == HoleState::Open
            && hole.to > behind
        {
            let after = Hole { from: behind.saturating_add(1), ..hole.clone() };
            hole.to = behind;
            self.list.insert(position.saturating_add(1), after);
        }
    }

    fn position(&self, sequence: u64) -> Option<usize> {
        let position = self.list.partition_point(|it| it.to < sequence);
        self.list.get(position).filter(|it| it.from <= sequence).map(|_| position)
    }

    /// Puts together what touches and is the same, then forgets what is over the limit: first what matters
    /// least.
    fn tidy(&mut self) {
        self.list.dedup_by(|next, hole| {
            let touch = hole.to.checked_add(1) == Some(next.from);
            let same = hole.state == next.state
                && hole.noticed_ms == next.noticed_ms
                && hole.dropped_before == next.dropped_before;
            if touch && same {
                hole.to = next.to;
                hole.closed_ms = hole.closed_ms.max(next.closed_ms);
            }
            touch && same
        });
        while self.list.len() > MAX_HOLES {
            let order = [HoleState::Arrived, HoleState::Superseded, HoleState::Lost, HoleState::Open];
            let oldest =
                order.into_iter().find_map(|state| self.list.iter().position(|it| it.state == state));
            let Some(oldest) = oldest else { return };
            let hole = self.list.remove(oldest);
            self.forgotten.add(&hole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(holes: &Holes) -> Vec<(u64, u64, HoleState)> {
        holes.iter().map(|it| (it.from, it.to, it.state)).collect()
    }

    fn hash(sequence: u64) -> Digest {
        Digest::of(&sequence.to_be_bytes())
    }

    #[test]
    fn a_window_forgets_what_is_old_and_never_goes_back() {
        let mut window = Window::default();
        assert_eq!(window.at(0), None);
        for sequence in [1, 2, WINDOW, WINDOW + 1] {
            window.advance(sequence);
            window.see(sequence, hash(sequence));
        }
        window.advance(1);
        assert_eq!(window.high(), WINDOW + 1);
        assert_eq!(window.at(1), None, "it lies before the window");
        assert_eq!(window.at(2), Some(Place::Seen(hash(2))));
        assert_eq!(window.at(3), Some(Place::Unknown));
        assert_eq!(window.at(WINDOW + 2), None);
        window.claim(2, hash(0));
        window.claim(3, hash(3));
        assert_eq!(window.at(2), Some(Place::Seen(hash(2))), "what came is known better than what is said");
        assert_eq!(window.at(3), Some(Place::Claimed(hash(3))));
        window.advance(u64::MAX);
        assert_eq!(window.at(u64::MAX), Some(Place::Unknown));
        assert_eq!(window.at(u64::MAX - WINDOW), None);
        assert_eq!(u64::try_from(window.places.len()), Ok(WINDOW));
    }

    #[test]
    fn a_hole_is_filled_from_any_side_and_stays_in_the_book() {
        let mut holes = Holes::default();
        holes.miss(4, 7, 10, 0);
        holes.fill(6, 20);
        assert_eq!(
            parts(&holes),
            [(4, 5, HoleState::Open), (6, 6, HoleState::Arrived), (7, 7, HoleState::Open)]
        );
        holes.fill(4, 30);
        holes.fill(5, 40);
        assert_eq!(parts(&holes), [(4, 6, HoleState::Arrived), (7, 7, HoleState::Open)]);
        assert_eq!(holes.open_since(), Some(10));
        assert!(holes.close(50, |_| HoleState::Superseded).is_empty());
        assert_eq!(holes.at(7), Some(HoleState::Superseded));
        holes.fill(7, 60);
        assert_eq!(parts(&holes), [(4, 7, HoleState::Arrived)]);
        assert_eq!(holes.iter().next().unwrap().closed_ms, Some(60));
        assert_eq!((holes.at(3), holes.at(8)), (None, None));
        assert_eq!(holes.tally(), Tally { arrived: 4, ..Tally::default() });
    }

    #[test]
    fn what_is_over_the_limit_is_forgotten_in_order_of_its_worth_and_counted() {
        let mut holes = Holes::default();
        let most = u64::try_from(MAX_HOLES).unwrap();
        for number in 1..=most {
            holes.miss(number * 10, number * 10 + 2, i64::try_from(number).unwrap(), 0);
        }
        holes.fill(51, 1);
        assert_eq!(holes.list.len(), MAX_HOLES);
        let Tally { open, arrived, .. } = holes.forgotten();
        assert_eq!((open, arrived), (3, 1), "one that came late, then the oldest that is open");
        assert_eq!(holes.tally(), Tally { open: most * 3 - 1, arrived: 1, ..Tally::default() });
        assert_eq!(holes.at(10), None);
    }

    #[test]
    fn holes_that_were_missed_at_other_times_stay_apart() {
        let mut holes = Holes::default();
        holes.miss(1, 2, 10, 0);
        holes.miss(3, 4, 20, 0);
        holes.miss(5, 5, 20, 1);
        holes.miss(6, 6, 20, 1);
        let open = HoleState::Open;
        assert_eq!(parts(&holes), [(1, 2, open), (3, 4, open), (5, 6, open)]);
        assert_eq!(holes.open_since(), Some(10));
    }

    #[test]
    fn a_hole_is_cut_behind_a_place() {
        let mut holes = Holes::default();
        holes.miss(4, 7, 10, 0);
        holes.cut(5);
        holes.cut(7);
        let lost = |it: &Hole| if it.from > 5 { HoleState::Lost } else { HoleState::Open };
        assert_eq!(holes.close(20, lost).len(), 1);
        assert_eq!(parts(&holes), [(4, 5, HoleState::Open), (6, 7, HoleState::Lost)]);
    }
}
