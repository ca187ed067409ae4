//! When the next bytes may leave: a token bucket that never saves up more than a scheduler's delay.

use std::time::{Duration, Instant};

/// Delay of the sending thread that is made up for by sending faster. More would be a burst that a receiver's
/// buffers have to bear; less would make the rate too low on a busy machine.
const CATCH_UP: Duration = Duration::from_millis(5);
/// One call into the kernel takes at most so much of the line's time, so that a slow line gets no bursts.
const BATCH: Duration = Duration::from_millis(1);

/// The pace of one line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Bits per second.
    rate: u64,
    due: Option<Instant>,
}

impl Pace {
    /// A pace of so many bits per second, not zero.
    pub(super) fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), due: None }
    }

    /// How long to wait before the next bytes.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |it| it.saturating_duration_since(now))
    }

    /// Counts bytes that leave now, headers included.
    pub(super) fn sent(&mut self, bytes: u64, now: Instant) {
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let from = self.due.map_or(now, |it| it.max(earliest));
        let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(self.rate);
        let took = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.due = from.checked_add(took);
    }

    /// Forgets a delay: there was nothing to send, and nothing to make up for.
    pub(super) fn rest(&mut self, now: Instant) {
        self.due = self.due.filter(|it| *it > now);
    }

    /// Most datagrams of so many bytes, headers included, in one call; at least one.
    pub(super) fn batch(&self, bytes: u64) -> usize {
        let bits = u128::from(self.rate) * BATCH.as_nanos() / 1_000_000_000;
        usize::try_from(bits / 8 / u128::from(bytes.max(1))).unwrap_or(usize::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends batches for a second of a clock whose sleeps are `late`; gives the bits that left.
    fn bits_in_a_second(rate: u64, bytes: u64, late: Duration) -> u64 {
        let start = Instant::now();
        let mut now = start;
        let (mut pace, mut bits) = (Pace::new(rate), 0);
        let batch = u64::try_from(pace.batch(bytes).min(44)).unwrap() * bytes;
        while now < start + Duration::from_secs(1) {
            let wait = pace.wait(now);
            if !wait.is_zero() {
                now += wait + late;
            }
            pace.sent(batch, now);
            bits += batch * 8;
        }
        bits
    }

    #[test]
    fn the_rate_is_kept_from_slow_to_fast_also_by_a_late_sleeper() {
        for rate in [1_000_000, 50_000_000, 1_200_000_000, 10_000_000_000] {
            for late in [0, 60, 900] {
                let bits = bits_in_a_second(rate, 1_492, Duration::from_micros(late));
                let batch = 44 * 1_492 * 8 + rate / 100;
                assert!(bits.abs_diff(rate) <= batch, "{rate} {late}: {bits}");
            }
        }
    }

    #[test]
    fn nothing_is_saved_up_over_a_rest() {
        let start = Instant::now();
        let mut pace = Pace::new(8_000);
        pace.sent(1_000, start);
        let later = start + Duration::from_mins(1);
        pace.rest(later);
        assert_eq!(pace.wait(later), Duration::ZERO);
        pace.sent(1_000, later);
        assert_eq!(pace.wait(later), Duration::from_secs(1));
    }

    #[test]
    fn a_batch_is_a_millisecond_of_the_line() {
        assert_eq!(Pace::new(1_000_000).batch(1_492), 1);
        assert_eq!(Pace::new(1_200_000_000).batch(1_500), 100);
    }
}
