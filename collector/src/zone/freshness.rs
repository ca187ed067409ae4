//! How long an asset has been quiet, in the four words that operators see.
//!
//! Judged by the collector's clock alone: a host's own clock never makes it look alive.

use std::fmt;
use std::time::Duration;

/// How recently an agent called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freshness {
    /// It called within the time that a working agent needs.
    Fresh,
    /// It is overdue: what is shown may have changed.
    Stale,
    /// It has been quiet for so long that somebody should look.
    Silent,
    /// It never called.
    Never,
}

impl Freshness {
    /// The word in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Silent => "silent",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// From when on an asset counts as stale and as silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Quiet for longer than this is stale.
    pub stale: Duration,
    /// Quiet for longer than this is silent.
    pub silent: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { stale: Duration::from_hours(1), silent: Duration::from_hours(24) }
    }
}

impl Thresholds {
    /// Judges the last sign of life. A time in the future (the collector's clock was set back) is fresh.
    pub fn judge(&self, seen_ms: Option<i64>, now_ms: i64) -> Freshness {
        let Some(seen) = seen_ms else { return Freshness::Never };
        let quiet = Duration::from_millis(u64::try_from(now_ms.saturating_sub(seen)).unwrap_or(0));
        if quiet > self.silent {
            Freshness::Silent
        } else if quiet > self.stale {
            Freshness::Stale
        } else {
            Freshness::Fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_assets_age_from_fresh_to_silent() {
        let (hour, at) = (3_600_000, Thresholds::default());
        assert_eq!(at.judge(None, 0), Freshness::Never);
        assert_eq!(at.judge(Some(0), hour), Freshness::Fresh);
        assert_eq!(at.judge(Some(0), hour + 1), Freshness::Stale);
        assert_eq!(at.judge(Some(0), 24 * hour), Freshness::Stale);
        assert_eq!(at.judge(Some(0), 24 * hour + 1), Freshness::Silent);
        assert_eq!(at.judge(Some(hour), 0), Freshness::Fresh);
    }
}
