//! How much of what was checked is as it should be. What was not checked is counted beside it and never in it.

use super::result::Verdict;

/// Counts and weights of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// PASS.
    pub passed: u64,
    /// FAIL.
    pub failed: u64,
    /// EXCEPTION.
    pub excepted: u64,
    /// `NOT_APPLICABLE`.
    pub not_applicable: u64,
    /// `NOT_CHECKED`.
    pub not_checked: u64,
    /// ERROR.
    pub errors: u64,
    passed_weight: u64,
    checked_weight: u64,
    applying_weight: u64,
}

impl Score {
    /// Counts one result.
    pub fn add(&mut self, verdict: Verdict, weight: u32) {
        let weight = u64::from(weight);
        let count = match verdict {
            Verdict::Pass => &mut self.passed,
            Verdict::Fail => &mut self.failed,
            Verdict::Exception => &mut self.excepted,
            Verdict::NotApplicable => &mut self.not_applicable,
            Verdict::NotChecked => &mut self.not_checked,
            Verdict::Error => &mut self.errors,
        };
        *count += 1;
        match verdict {
            Verdict::Pass => {
                self.passed_weight += weight;
                self.checked_weight += weight;
                self.applying_weight += weight;
            }
            Verdict::Fail | Verdict::Exception | Verdict::Error => {
                self.checked_weight += weight;
                self.applying_weight += weight;
            }
            Verdict::NotChecked => self.applying_weight += weight,
            Verdict::NotApplicable => {}
        }
    }

    /// Adds the results of another asset.
    pub fn merge(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.excepted += other.excepted;
        self.not_applicable += other.not_applicable;
        self.not_checked += other.not_checked;
        self.errors += other.errors;
        self.passed_weight += other.passed_weight;
        self.checked_weight += other.checked_weight;
        self.applying_weight += other.applying_weight;
    }

    /// Weight of PASS in percent of what was checked; `None` when nothing was.
    pub fn percent(&self) -> Option<f64> {
        share(self.passed_weight, self.checked_weight)
    }

    /// Weight of PASS in thousandths of what was checked; `None` when nothing was.
    pub fn permille(&self) -> Option<u32> {
        let whole = (self.checked_weight > 0).then_some(self.checked_weight)?;
        u32::try_from(self.passed_weight.saturating_mul(1_000) / whole).ok()
    }

    /// Weight of what was checked in percent of what applies; `None` when nothing does.
    pub fn checked_percent(&self) -> Option<f64> {
        share(self.checked_weight, self.applying_weight)
    }
}

/// In percent, to one place.
fn share(part: u64, whole: u64) -> Option<f64> {
    const TENTHS: u64 = 1_000;
    if whole == 0 {
        return None;
    }
    // Rounded down, so that 100 is said of everything alone.
    let tenths = u32::try_from(part.saturating_mul(TENTHS) / whole).unwrap_or(u32::MAX);
    Some(f64::from(tenths) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checked_is_beside_the_score_and_never_in_it() {
        let mut score = Score::default();
        assert_eq!((score.percent(), score.checked_percent()), (None, None));
        score.add(Verdict::NotChecked, 10);
        assert_eq!((score.percent(), score.checked_percent()), (None, Some(0.0)));
        score.add(Verdict::Pass, 6);
        score.add(Verdict::Fail, 3);
        score.add(Verdict::Exception, 1);
        score.add(Verdict::NotApplicable, 10);
        assert_eq!((score.percent(), score.checked_percent()), (Some(60.0), Some(50.0)));
    }

    #[test]
    fn only_everything_is_a_hundred() {
        let mut score = Score::default();
        score.add(Verdict::Pass, 1_000_000);
        score.add(Verdict::Fail, 1);
        assert_eq!(score.percent(), Some(99.9));
    }
}
