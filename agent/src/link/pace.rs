//! When to call again after a call that succeeded: as the collector says, spread a little.
//!
//! Pure: chance is an argument.

use std::time::Duration;

/// However short the collector's pace, the agent leaves this long between two calls.
const LEAST: Duration = Duration::from_millis(250);
/// However long the collector's pace, the agent calls at least this often.
const MOST: Duration = Duration::from_hours(24);
/// The share of the delay by which it may be shorter or longer.
const SPREAD: f64 = 0.1;

/// The delay before the next check-in; `chance` is in 0..1.
pub fn delay(next_check_in_ms: u32, chance: f64) -> Duration {
    let asked = Duration::from_millis(next_check_in_ms.into());
    asked.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * chance.clamp(0.0, 1.0)).clamp(LEAST, MOST)
}

/// The wait before the first contact, at most `spread`.
pub fn first_contact(spread: Duration, chance: f64) -> Duration {
    spread.mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_collectors_pace_is_kept_within_a_tenth(asked in 1_000..80_000_000_u32, chance in 0.0..1.0_f64) {
            let (delay, asked) = (delay(asked, chance), Duration::from_millis(asked.into()));
            prop_assert!(delay >= asked.mul_f64(0.899) && delay <= asked.mul_f64(1.101));
        }
    }

    #[test]
    fn no_pace_makes_the_agent_spin_or_fall_silent() {
        assert_eq!(delay(0, 0.5), LEAST);
        assert_eq!(delay(u32::MAX, 0.5), MOST);
        assert_eq!(first_contact(Duration::from_secs(10), 0.5), Duration::from_secs(5));
    }
}
