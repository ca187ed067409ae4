//! The receiving side of a test: what arrived of each step.

use std::time::{Duration, Instant};

use super::super::code::BELOW;
use super::super::datagram::Pattern;
use super::ramp::{MAX_COUNT, MAX_STEPS};

/// What arrived of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its rate as sent, in bits per second, UDP and IP headers included.
    pub rate: u64,
    /// Datagrams that were sent.
    pub sent: u64,
    /// Different datagrams that arrived.
    pub received: u64,
    /// Datagrams that arrived once more.
    pub duplicates: u64,
    /// Datagrams that arrived behind a later one.
    pub late: u64,
    /// Most datagrams in a row that did not arrive.
    pub longest_burst: u64,
    /// Longest time in which none of it arrived.
    pub longest_silence: Duration,
    /// From the first to the last that arrived.
    pub took: Duration,
    /// Rate at which they arrived, lost ones counted, in bits per second: lower than the rate where the sender
    /// did not reach it.
    pub reached: u64,
}

impl Step {
    /// Datagrams that did not arrive.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Lost ones of a million.
    pub fn lost_ppm(&self) -> u64 {
        self.lost().saturating_mul(1_000_000) / self.sent.max(1)
    }

    /// The rate, or what was reached of it. A sender that is a little late has reached it.
    pub fn real_rate(&self) -> u64 {
        if self.reached >= self.rate / 100 * 95 { self.rate } else { self.reached }
    }

    /// How long the longest burst was at the rate of the step, or the longest silence if that was longer.
    pub fn outage(&self, length: Duration) -> Duration {
        let burst = length.as_nanos() * u128::from(self.longest_burst) / u128::from(self.sent.max(1));
        let burst = Duration::from_nanos(u64::try_from(burst).unwrap_or(u64::MAX));
        if self.lost() == 0 { burst } else { burst.max(self.longest_silence) }
    }
}

/// Counts the datagrams of one test.
#[derive(Debug, Default)]
pub struct Survey {
    done: Vec<(u16, Step)>,
    now: Option<Counting>,
    steps: u16,
}

#[derive(Debug)]
struct Counting {
    number: u16,
    /// Of each datagram, headers of IPv4 included.
    wire_bits: u64,
    step: Step,
    /// One bit a datagram, as far as they came.
    seen: Vec<u64>,
    highest: u64,
    first: Instant,
    last: Instant,
}

impl Survey {
    /// Counts one datagram. A new step ends the one before; what still comes of that is counted as late there
    /// and not as received.
    pub fn take(&mut self, pattern: &Pattern, now: Instant) {
        if pattern.step >= MAX_STEPS || pattern.count > MAX_COUNT {
            return;
        }
        self.steps = self.steps.max(pattern.steps);
        if let Some((_, step)) = self.done.iter_mut().find(|it| it.0 == pattern.step) {
            step.late += 1;
            return;
        }
        if self.now.as_ref().is_none_or(|it| it.number != pattern.step) {
            self.end_step();
            self.now = Some(Counting::new(pattern, now));
        }
        if let Some(counting) = &mut self.now {
            counting.take(pattern.place, now);
        }
    }

    /// Whether the last step has come to its last datagram.
    pub fn is_complete(&self) -> bool {
        self.now.as_ref().is_some_and(|it| it.number + 1 == self.steps && it.highest + 1 == it.step.sent)
    }

    /// When the last datagram came.
    pub fn last(&self) -> Option<Instant> {
        self.now.as_ref().map(|it| it.last)
    }

    /// What arrived of each step of which anything did, in their order, and how many steps were sent.
    pub fn finish(mut self) -> (Vec<Step>, u16) {
        self.end_step();
        self.done.sort_by_key(|it| it.0);
        (self.done.into_iter().map(|it| it.1).collect(), self.steps)
    }

    fn end_step(&mut self) {
        if let Some(counting) = self.now.take() {
            self.done.push((counting.number, counting.finish()));
        }
    }
}

impl Counting {
    fn new(pattern: &Pattern, now: Instant) -> Self {
        let step = Step {
            rate: pattern.rate,
            sent: u64::from(pattern.count),
            received: 0,
            duplicates: 0,
            late: 0,
            longest_burst: 0,
            longest_silence: Duration::ZERO,
            took: Duration::ZERO,
            reached: 0,
        };
        let wire_bits = (u64::from(pattern.symbol) + 64 + u64::from(BELOW)) * 8;
        Self { number: pattern.step, wire_bits, step, seen: Vec::new(), highest: 0, first: now, last: now }
    }

    fn take(&mut self, place: u64, now: Instant) {
        if place >= self.step.sent {
            return;
        }
        let (word, bit) = (usize::try_from(place / 64).unwrap_or(usize::MAX), 1 << (place % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let Some(word) = self.seen.get_mut(word) else { return };
        if *word & bit != 0 {
            self.step.duplicates += 1;
            return;
        }
        *word |= bit;
        self.step.received += 1;
        self.step.late += u64::from(place < self.highest);
        self.highest = self.highest.max(place);
        let silence = now.saturating_duration_since(self.last);
        self.step.longest_silence = self.step.longest_silence.max(silence);
        self.last = now;
    }

    fn finish(self) -> Step {
        let Self { mut step, seen, first, last, highest, wire_bits, .. } = self;
        let mut run = 0;
        for place in 0..step.sent {
            let word = usize::try_from(place / 64).ok().and_then(|it| seen.get(it)).copied().unwrap_or(0);
            run = if word >> (place % 64) & 1 == 1 { 0 } else { run + 1 };
            step.longest_burst = step.longest_burst.max(run);
        }
        step.took = last.saturating_duration_since(first);
        let bits = u128::from(highest) * u128::from(wire_bits) * 1_000_000_000;
        let reached = bits.checked_div(step.took.as_nanos()).unwrap_or(u128::from(step.rate));
        step.reached = u64::try_from(reached).unwrap_or(u64::MAX);
        step
    }
}
