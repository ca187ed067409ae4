//! Clocks, and which time a host may believe.
//!
//! [`SystemClock`] is the one place that reads the operating system's clock. Plant clocks lie,
//! so an agent judges certificates by the latest time it has reason to believe: its wall clock,
//! the last time that its collector told it, and the start of its own certificate. Nothing here
//! sets a clock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds of one second.
const MS_PER_S: i64 = 1_000;

/// A source of wall-clock time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Unix milliseconds.
    fn now_ms(&self) -> i64;
}

/// The operating system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let milliseconds = |it: std::time::Duration| i64::try_from(it.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => milliseconds(since),
            Err(before) => -milliseconds(before.duration()),
        }
    }
}

/// A clock that stands still until it is set, for tests and for replaying a moment.
#[derive(Debug, Default)]
pub struct SetClock(AtomicI64);

impl SetClock {
    /// A clock that shows `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Shows another time, earlier or later.
    pub fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }

    /// Moves the time; backwards when `by_ms` is negative.
    pub fn advance(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The latest time that a host has reason to believe.
#[derive(Debug)]
pub struct BelievedClock {
    wall: Arc<dyn Clock>,
    floor_ms: AtomicI64,
}

impl BelievedClock {
    /// Starts from the wall clock and the latest time known from elsewhere (0 when none is).
    pub fn new(wall: Arc<dyn Clock>, floor_ms: i64) -> Self {
        Self { wall, floor_ms: AtomicI64::new(floor_ms) }
    }

    /// Takes a time told by the collector or proven by a certificate; an earlier one changes nothing.
    pub fn learn(&self, at_ms: i64) {
        self.floor_ms.fetch_max(at_ms, Ordering::SeqCst);
    }

    /// The latest time learned, to be kept over a restart.
    pub fn floor_ms(&self) -> i64 {
        self.floor_ms.load(Ordering::SeqCst)
    }
}

impl Clock for BelievedClock {
    fn now_ms(&self) -> i64 {
        self.wall.now_ms().max(self.floor_ms())
    }
}

/// A time for a person: RFC 3339, UTC, whole seconds.
pub fn readable(at_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(MS_PER_S))
        .ok()
        .and_then(|it| it.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{at_ms} ms after 1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_known_time_is_believed_and_never_unlearned() {
        let wall = Arc::new(SetClock::new(1_000));
        let believed = BelievedClock::new(Arc::clone(&wall) as Arc<dyn Clock>, 5_000);
        assert_eq!(believed.now_ms(), 5_000);
        believed.learn(4_000);
        assert_eq!(believed.floor_ms(), 5_000);
        wall.set(9_000);
        assert_eq!(believed.now_ms(), 9_000);
    }

    #[test]
    fn times_are_readable_before_1970_and_beyond_the_calendar() {
        assert_eq!(readable(0), "1970-01-01T00:00:00Z");
        assert_eq!(readable(-1), "1969-12-31T23:59:59Z");
        assert_eq!(readable(i64::MAX), format!("{} ms after 1970", i64::MAX));
    }
}
