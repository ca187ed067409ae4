//! How much a caller may send in a minute, and how long a sender waits after a failure. Pure.

use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_mins(1);

/// What one caller has left of its minute. It starts full; what was overdrawn is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    objects: f64,
    bytes: f64,
    at: Instant,
}

/// What a minute has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) objects: u32,
    pub(super) bytes: u32,
}

impl Bucket {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self { objects: rate.objects.into(), bytes: rate.bytes.into(), at: now }
    }

    /// Takes one object of so many bytes out; how long to wait before it is read.
    pub(super) fn take(&mut self, rate: Rate, bytes: u32, now: Instant) -> Duration {
        let (objects_most, bytes_most) = (f64::from(rate.objects.max(1)), f64::from(rate.bytes.max(1)));
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / MINUTE.as_secs_f64();
        self.at = now;
        self.objects = (self.objects + minutes * objects_most).min(objects_most) - 1.0;
        self.bytes = (self.bytes + minutes * bytes_most).min(bytes_most) - f64::from(bytes);
        let overdrawn = (-self.objects / objects_most).max(-self.bytes / bytes_most).clamp(0.0, 1.0);
        MINUTE.mul_f64(overdrawn)
    }
}

/// The wait after so many failures in a row: twice as long each time, never over `most`, and spread over its upper
/// half by `random`, so that all zones do not come back in the same second.
pub(super) fn wait(failures: u32, first: Duration, most: Duration, random: u8) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let whole = doubled.min(most);
    whole / 2 + (whole / 2).mul_f64(f64::from(random) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { objects: 60, bytes: 6_000 };

    #[test]
    fn a_minute_is_free_and_what_is_over_it_waits() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        for _ in 0..60 {
            assert_eq!(bucket.take(RATE, 100, start), Duration::ZERO);
        }
        let wait = bucket.take(RATE, 100, start);
        assert!((0.9..=1.1).contains(&wait.as_secs_f64()), "{wait:?}");
        // It waited, and its minute came back.
        assert_eq!(bucket.take(RATE, 100, start + Duration::from_mins(2)), Duration::ZERO);
    }

    #[test]
    fn one_large_object_waits_a_minute_at_most() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        assert_eq!(bucket.take(RATE, u32::MAX, start), MINUTE);
    }

    #[test]
    fn waiting_doubles_up_to_its_most_and_is_spread() {
        let (first, most) = (Duration::from_secs(1), Duration::from_mins(5));
        assert_eq!(wait(1, first, most, 255), first);
        assert_eq!(wait(1, first, most, 0), first / 2);
        assert_eq!(wait(3, first, most, 255), Duration::from_secs(4));
        for failures in 0..2_000 {
            let found = wait(failures, first, most, 255);
            assert!(found <= most && found >= first / 2, "{failures}: {found:?}");
        }
    }
}
