//! When to call again after a call that failed. Pure: time and chance are arguments.
//!
//! Exponential back-off with full jitter: after a blackout of a whole plant the agents' calls
//! spread over the delay instead of arriving in waves.

use std::time::{Duration, Instant};

/// First delay after a failure.
pub const FIRST: Duration = Duration::from_secs(1);
/// Longest delay.
pub const CAP: Duration = Duration::from_mins(5);

/// Most doublings that are counted.
const MAX_DOUBLINGS: u32 = 16;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Call.
    Go,
    /// Not before this moment.
    WaitUntil(Instant),
}

/// The schedule of attempts towards one collector.
#[derive(Debug, Clone)]
pub struct Retry {
    first: Duration,
    cap: Duration,
    failures: u32,
    until: Option<Instant>,
}

impl Retry {
    /// A schedule without failures.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, failures: 0, until: None }
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The call succeeded: the next failure starts over.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// The call failed; `chance` is in 0..1.
    pub fn failed(&mut self, now: Instant, chance: f64) {
        let doublings = self.failures.min(MAX_DOUBLINGS);
        let most = self.first.saturating_mul(1 << doublings).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + most.mul_f64(chance.clamp(0.0, 1.0)));
    }

    /// The collector answered and refused: trying soon cannot help, a person has to act. The
    /// delay is the upper half of the longest one.
    pub fn refused(&mut self, now: Instant, chance: f64) {
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + self.cap.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0));
    }

    /// Whether to call now.
    pub fn next(&self, now: Instant) -> Step {
        match self.until {
            Some(until) if now < until => Step::WaitUntil(until),
            Some(_) | None => Step::Go,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wait(retry: &Retry, now: Instant) -> Duration {
        match retry.next(now) {
            Step::WaitUntil(at) => at - now,
            Step::Go => Duration::ZERO,
        }
    }

    #[test]
    fn an_outage_of_a_week_never_waits_longer_than_the_cap() {
        let mut now = Instant::now();
        let mut retry = Retry::new(FIRST, CAP);
        for attempt in 0..2_016_u32 {
            retry.failed(now, 0.999);
            let wait = wait(&retry, now);
            assert!(wait <= CAP);
            if attempt > 9 {
                assert!(wait > CAP / 2, "back-off has grown to the cap");
            }
            now += wait;
            assert_eq!(retry.next(now), Step::Go);
        }
    }

    #[test]
    fn success_starts_over() {
        let now = Instant::now();
        let mut retry = Retry::new(FIRST, CAP);
        (0..20).for_each(|_| retry.failed(now, 0.9));
        retry.succeeded();
        assert_eq!((retry.failures(), retry.next(now)), (0, Step::Go));
        retry.failed(now, 1.0);
        assert_eq!(wait(&retry, now), FIRST);
    }

    #[test]
    fn a_refusal_waits_minutes_from_the_first_time() {
        let now = Instant::now();
        let mut retry = Retry::new(FIRST, CAP);
        retry.refused(now, 0.0);
        assert_eq!(wait(&retry, now), CAP / 2);
    }

    proptest! {
        #[test]
        fn waits_lie_between_nothing_and_the_cap(failures in 1..100_u32, chance in -1.0..2.0_f64) {
            let now = Instant::now();
            let mut retry = Retry::new(FIRST, CAP);
            for _ in 0..failures { retry.failed(now, chance); }
            prop_assert!(wait(&retry, now) <= CAP);
        }
    }
}
