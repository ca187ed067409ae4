//! Sending kept bundles once more, because a person typed a code that the site printed.
//!
//! Off unless `[outbox] resend_codes` says otherwise. The code ([`Code`]) is all that comes in, at most one a
//! minute, and each is an entry of the audit log. Nothing is made anew: the very same bundles are handed to the
//! carriers again, which a receiver knows as duplicates of those that it has.

use std::sync::{Mutex, PoisonError};

use holdpoint_common::bundle::resend::{Code, NotHere};

use super::run::{NotNow, Outbox};

/// How long the next code has to wait.
pub const PACE_MS: u64 = 60_000;

/// What became of a code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resent {
    /// Bundles that at least one carrier took.
    pub bundles: u64,
    /// Numbers that are kept no longer, or were never given: first and last of each run.
    pub missing: Vec<(u64, u64)>,
    /// Numbers that no carrier had room for.
    pub no_room: Vec<(u64, u64)>,
}

/// Why nothing is sent again.
#[derive(Debug, thiserror::Error)]
pub enum NotResent {
    /// The code is for somebody else.
    #[error(transparent)]
    NotHere(#[from] NotHere),
    /// There is nobody to hand bundles to.
    #[error(
        "no carrier runs by itself here: `holdpoint-collector outbox carry` writes what is kept onto a medium"
    )]
    NoCarrier,
    /// The outbox.
    #[error(transparent)]
    NotNow(#[from] NotNow),
}

impl Outbox {
    /// Hands the kept bundles of a code to the carriers again.
    ///
    /// # Errors
    /// The code is for another collector or incarnation, no carrier runs, or the outbox does not work.
    pub fn resend(&self, code: &Code) -> Result<Resent, NotResent> {
        self.ask(|office, _| office.resend(code))?
    }
}

/// Adds a number to runs that rise.
pub(super) fn add(runs: &mut Vec<(u64, u64)>, number: u64) {
    match runs.last_mut() {
        Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
        _ => runs.push((number, number)),
    }
}

/// Lets one code in and then none for a minute.
#[derive(Debug, Default)]
pub struct Turnstile {
    last_ms: Mutex<Option<i64>>,
}

impl Turnstile {
    /// Lets somebody in, or says how many seconds there are to wait. A clock that was set back lets nobody in
    /// earlier.
    ///
    /// # Errors
    /// The last one came less than a minute ago.
    pub fn pass(&self, now_ms: i64) -> Result<(), u64> {
        let mut last = self.last_ms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gone) = last.map(|it| now_ms.abs_diff(it)).filter(|it| *it < PACE_MS) {
            return Err((PACE_MS - gone).div_ceil(1_000));
        }
        *last = Some(now_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_code_a_minute_passes() {
        let turnstile = Turnstile::default();
        assert_eq!(turnstile.pass(1_000_000), Ok(()));
        assert_eq!(turnstile.pass(1_000_001), Err(60));
        assert_eq!(turnstile.pass(1_059_999), Err(1));
        assert_eq!(turnstile.pass(999_000), Err(59), "the clock was set back");
        assert_eq!(turnstile.pass(1_060_000), Ok(()));
        assert_eq!(turnstile.pass(1_060_001), Err(60));
    }

    #[test]
    fn numbers_become_runs() {
        let mut runs = Vec::new();
        for number in [3, 4, 5, 9, 11, 12] {
            add(&mut runs, number);
        }
        assert_eq!(runs, [(3, 5), (9, 9), (11, 12)]);
    }
}
