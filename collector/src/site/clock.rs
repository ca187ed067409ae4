//! What a zone's clock is worth, seen from here. It decides nothing.
//!
//! Arrival less creation is the difference of the clocks and the delay of the way. The delay is never below
//! zero, so the smallest of many is the difference and the shortest delay. The smallest is kept by the hour,
//! so that a clock that drifts or is set shows.

use std::collections::VecDeque;

use holdpoint_proto::store as pb;

/// How far before the smallest difference a bundle may be dated until it is flagged, in milliseconds.
pub const TOLERANCE_MS: i64 = 5 * 60 * 1_000;
/// Hours that are looked back on: two days show a drift of a second a day above the noise of a carrier.
pub const MAX_HOURS: usize = 48;
/// Hours that are needed before a drift is told.
pub const MIN_HOURS: usize = 6;
/// So many future-dated bundles in a row are a clock that was set, and not a bundle that was dated wrongly.
const STEP: u8 = 3;
const HOUR_MS: i64 = 3_600_000;

/// The smallest difference of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hour {
    /// Hours since 1970, by the receiver's clock.
    number: i64,
    smallest_ms: i64,
}

/// What is known of a sender's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clock {
    hours: VecDeque<Hour>,
    /// Differences of the latest bundles, as long as all of them are too far ahead.
    ahead: Vec<i64>,
    steps: u64,
}

impl Clock {
    /// Notes when a bundle was made and when it came. Says whether it is dated in the future.
    pub fn note(&mut self, created_ms: i64, now_ms: i64) -> bool {
        let difference = now_ms.saturating_sub(created_ms);
        let Some(offset) = self.behind_ms() else {
            self.keep(difference, now_ms);
            return false;
        };
        if difference >= offset.saturating_sub(TOLERANCE_MS) {
            self.ahead.clear();
            self.keep(difference, now_ms);
            return false;
        }
        self.ahead.push(difference);
        if self.ahead.len() >= usize::from(STEP) {
            self.steps = self.steps.saturating_add(1);
            self.hours.clear();
            let smallest = self.ahead.drain(..).min().unwrap_or(difference);
            self.keep(smallest, now_ms);
        }
        true
    }

    /// How far the zone's clock is behind this one, in milliseconds, the shortest delay included; negative
    /// when it is ahead. `None` before the first bundle.
    pub fn behind_ms(&self) -> Option<i64> {
        self.hours.iter().map(|it| it.smallest_ms).min()
    }

    /// By how much it loses on this one, in milliseconds a day; negative when it gains. `None` until there
    /// are enough hours to say.
    pub fn drift_ms_per_day(&self) -> Option<i64> {
        if self.hours.len() < MIN_HOURS {
            return None;
        }
        let (first, last) = (self.hours.front()?, self.hours.back()?);
        let hours = last.number.checked_sub(first.number).filter(|it| *it > 0)?;
        last.smallest_ms.saturating_sub(first.smallest_ms).saturating_mul(24).checked_div(hours)
    }

    /// How often it was set forward.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// For whoever keeps it.
    pub fn to_page(&self) -> pb::FleetClock {
        let hour = |it: &Hour| pb::FleetHour { number: it.number, smallest_ms: it.smallest_ms };
        let Self { hours, ahead, steps } = self;
        pb::FleetClock { hours: hours.iter().map(hour).collect(), ahead: ahead.clone(), steps: *steps }
    }

    /// What [`Clock::to_page`] gave.
    pub fn of_page(page: pb::FleetClock) -> Self {
        let pb::FleetClock { hours, ahead, steps } = page;
        let hour = |it: pb::FleetHour| Hour { number: it.number, smallest_ms: it.smallest_ms };
        Self { hours: hours.into_iter().map(hour).collect(), ahead, steps }
    }

    fn keep(&mut self, difference: i64, now_ms: i64) {
        let number = now_ms.div_euclid(HOUR_MS);
        match self.hours.back_mut() {
            // The receiver's own clock may have been set back: then this still is the newest hour.
            Some(hour) if hour.number >= number => hour.smallest_ms = hour.smallest_ms.min(difference),
            Some(_) | None => self.hours.push_back(Hour { number, smallest_ms: difference }),
        }
        let over = self.hours.len().saturating_sub(MAX_HOURS);
        self.hours.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_do_not_move_the_offset_and_a_drift_shows() {
        let mut clock = Clock::default();
        assert_eq!((clock.behind_ms(), clock.drift_ms_per_day()), (None, None));
        for minute in 0..48 * 60 {
            let now = minute * 60_000;
            let delay = 40 + (minute * 7_919) % 30_000;
            // 37 s behind, and two seconds a day more.
            let created = now - 37_000 - 2_000 * minute / 1_440;
            assert!(!clock.note(created, now + delay));
        }
        let behind = clock.behind_ms().unwrap();
        assert!((37_000..37_600).contains(&behind), "{behind}");
        let drift = clock.drift_ms_per_day().unwrap();
        assert!((1_500..2_500).contains(&drift), "{drift}");
        assert_eq!(clock.hours.len(), MAX_HOURS);
    }

    #[test]
    fn one_date_in_the_future_is_flagged_and_moves_nothing() {
        let mut clock = Clock::default();
        assert!(!clock.note(1_000, 2_000));
        assert!(!clock.note(2_000 + TOLERANCE_MS, 3_000));
        assert!(clock.note(3_001 + 2 * TOLERANCE_MS + 1_000, 4_000));
        assert!(!clock.note(9_000, 10_000));
        assert_eq!(clock.steps(), 0);
        assert_eq!(clock.behind_ms(), Some(1_000 - TOLERANCE_MS));
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let mut clock = Clock::default();
        assert!(!clock.note(0, 100));
        let hour = 3_600_000;
        let flagged: Vec<_> = (1..6).map(|it| clock.note(it * 1_000 + hour, it * 1_000 + 100)).collect();
        assert_eq!(flagged, [true, true, true, false, false]);
        assert_eq!((clock.steps(), clock.behind_ms()), (1, Some(100 - hour)));
    }

    #[test]
    fn no_time_is_too_far_away() {
        let mut clock = Clock::default();
        for created in [i64::MIN, i64::MAX, 0, i64::MIN, i64::MAX, i64::MAX, i64::MAX, i64::MAX] {
            clock.note(created, i64::MAX);
            clock.note(created, i64::MIN);
        }
        assert!(clock.behind_ms().is_some());
    }
}
