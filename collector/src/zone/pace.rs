//! When agents call next, and how often one may call at all.
//!
//! The collector paces its agents. Each asset has a place of its own in the interval (from its
//! name), so that a herd that returns together after a blackout is spread over one interval
//! and stays spread, with nothing to remember. Pure: time and load are arguments.

use std::time::Duration;

use holdpoint_common::section::Digest;

/// Longest time that a check-in is held.
pub const MAX_HOLD: Duration = Duration::from_mins(1);
/// After a full hold the agent comes back this soon to be held again.
const RESUME: Duration = Duration::from_secs(1);
/// Longest delay that is ever given.
const MAX_DELAY: Duration = Duration::from_mins(15);

/// How fast check-ins shall come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time between the check-ins of one agent.
    pub interval: Duration,
    /// Check-ins that the collector takes per second before it stretches the interval.
    pub max_per_s: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { interval: Duration::from_mins(1), max_per_s: 500 }
    }
}

impl Pace {
    /// The interval for a zone of `agents`, of which `recent_per_s` called per second lately.
    pub fn stretched(&self, agents: usize, recent_per_s: u32) -> Duration {
        let rate = u64::from(self.max_per_s.max(1));
        let all_once =
            Duration::from_millis(u64::try_from(agents).unwrap_or(u64::MAX).saturating_mul(1_000) / rate);
        let base = self.interval.max(all_once);
        let overload = f64::from(recent_per_s) / f64::from(self.max_per_s.max(1));
        base.mul_f64(overload.clamp(1.0, 8.0)).min(MAX_DELAY)
    }

    /// How long an asset waits before its next check-in: until its place in the interval comes
    /// round, at least half an interval from now and less than one and a half.
    pub fn delay(interval: Duration, asset: &str, now_ms: i64) -> Duration {
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
        let now = u64::try_from(now_ms).unwrap_or(0);
        let earliest = now + interval_ms / 2;
        let place = place_of(asset) % interval_ms;
        let wait = (place + interval_ms - earliest % interval_ms) % interval_ms;
        Duration::from_millis(interval_ms / 2 + wait)
    }
}

/// What remains of a delay after the call was held for `held`. An agent that was held as long
/// as allowed comes back at once, so that it hears of a challenge in time, unless the
/// collector is stretching the interval.
pub fn remaining(delay: Duration, held: Duration, interval: Duration) -> Duration {
    let rest = delay.saturating_sub(held);
    if held.is_zero() || interval > MAX_HOLD { rest } else { rest.min(RESUME) }
}

/// When an agent comes back after a report: at once, to be held, unless the collector is
/// stretching the interval.
pub fn after_report(interval: Duration, asset: &str, now_ms: i64) -> Duration {
    if interval > MAX_HOLD { Pace::delay(interval, asset, now_ms) } else { RESUME }
}

fn place_of(asset: &str) -> u64 {
    let digest = Digest::of(asset.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |sum, &byte| (sum << 8) | u64::from(byte))
}

/// Counts events over the last seconds.
#[derive(Debug, Default)]
pub struct Recent {
    window: i64,
    now: u32,
    before: u32,
}

impl Recent {
    /// Length of a counting window, milliseconds.
    const WINDOW_MS: i64 = 5_000;

    /// Counts one event and says how many there were per second lately.
    pub fn count(&mut self, now_ms: i64) -> u32 {
        let window = now_ms.div_euclid(Self::WINDOW_MS);
        if window != self.window {
            self.before = if window == self.window + 1 { self.now } else { 0 };
            self.now = 0;
            self.window = window;
        }
        self.now = self.now.saturating_add(1);
        self.before.max(self.now) / 5
    }
}

/// How many calls one agent may make: bursts, and how they refill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Calls that may come at once.
    pub burst: u32,
    /// Calls per minute in the long run.
    pub per_minute: u32,
}

/// The calls of one agent that are left.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// Thousandths of a call.
    left: u64,
    at_ms: i64,
}

impl Bucket {
    /// A full bucket.
    pub fn full(allowance: Allowance, now_ms: i64) -> Self {
        Self { left: u64::from(allowance.burst) * 1_000, at_ms: now_ms }
    }

    /// Takes one call.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&mut self, allowance: Allowance, now_ms: i64) -> Result<(), Duration> {
        let passed = u64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(0);
        self.at_ms = now_ms;
        let refill = passed.saturating_mul(u64::from(allowance.per_minute)) / 60;
        self.left = self.left.saturating_add(refill).min(u64::from(allowance.burst) * 1_000);
        if let Some(left) = self.left.checked_sub(1_000) {
            self.left = left;
            return Ok(());
        }
        let missing = 1_000 - self.left;
        Err(Duration::from_millis(missing * 60 / u64::from(allowance.per_minute.max(1)) + 1))
    }

    /// Gives calls back, for what the collector itself asked for.
    pub fn grant(&mut self, calls: u32) {
        self.left = self.left.saturating_add(u64::from(calls) * 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_agents_that_return_together_are_spread_and_none_waits_too_long() {
        let interval = Pace::default().stretched(10_000, 1_200);
        assert_eq!(interval, Duration::from_secs(144));
        let mut per_second = vec![0_u32; 300];
        for agent in 0..10_000 {
            let wait = Pace::delay(interval, &format!("hmi-{agent}"), 1_700_000_000_123);
            assert!(wait >= interval / 2 && wait < interval * 3 / 2, "{wait:?}");
            per_second[usize::try_from(wait.as_secs()).unwrap()] += 1;
        }
        let busiest = per_second.iter().max().copied().unwrap_or_default();
        assert!(busiest < 150, "{busiest} in one second");
    }

    #[test]
    fn an_agent_that_obeys_keeps_its_place() {
        let interval = Duration::from_mins(1);
        let mut now = 1_700_000_000_000_i64;
        now += i64::try_from(Pace::delay(interval, "hmi-1", now).as_millis()).unwrap();
        for late_ms in [0, 3, 40, 250] {
            let wait = Pace::delay(interval, "hmi-1", now + late_ms);
            assert!(wait.abs_diff(interval) < Duration::from_millis(300), "{wait:?}");
        }
    }

    #[test]
    fn a_held_agent_returns_at_once_but_not_under_load() {
        let (delay, second) = (Duration::from_secs(90), Duration::from_secs(1));
        assert_eq!(remaining(delay, MAX_HOLD, Duration::from_mins(1)), second);
        assert_eq!(remaining(delay, MAX_HOLD, Duration::from_secs(90)), Duration::from_secs(30));
        assert_eq!(remaining(delay, Duration::ZERO, Duration::from_mins(1)), delay);
    }

    #[test]
    fn a_bucket_empties_and_refills() {
        let allowance = Allowance { burst: 2, per_minute: 6 };
        let mut bucket = Bucket::full(allowance, 0);
        assert!(bucket.take(allowance, 0).is_ok());
        assert!(bucket.take(allowance, 0).is_ok());
        let wait = bucket.take(allowance, 0).unwrap_err();
        assert!(wait > Duration::from_secs(9) && wait <= Duration::from_secs(11), "{wait:?}");
        assert!(bucket.take(allowance, 11_000).is_ok());
        assert!(bucket.take(allowance, 11_000).is_err());
        bucket.grant(1);
        assert!(bucket.take(allowance, 11_000).is_ok());
    }

    #[test]
    fn load_is_forgotten_after_a_quiet_spell() {
        let mut recent = Recent::default();
        let mut rate = 0;
        for _ in 0..5_000 {
            rate = recent.count(1_000_000);
        }
        assert_eq!(rate, 1_000);
        assert_eq!(recent.count(1_000_000 + 5_000), 1_000);
        assert_eq!(recent.count(1_000_000 + 60_000), 0);
    }
}
