//! From what a test measured to the words of a profile.

use std::fmt::Write;
use std::time::Duration;

use super::super::profile::{MAX_SPACING, RATES};
use super::survey::Step;

/// Loss that does not spoil a step, in lost ones of a million: what a line has at any rate is for the code to
/// bear.
const CLEAN_PPM: u64 = 1_000;
/// Deviations that are chance.
const CHANCE: u64 = 3;
/// Of the highest clean rate so much is used, in percent.
const USED: u64 = 60;
/// Design losses to choose from, in permille.
const LOSSES: [u16; 4] = [10, 50, 100, 300];
/// Shortest spacing that is proposed, in milliseconds.
const SPACING: u64 = 5_000;

/// What to type into the profiles of both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// 60 % of the highest clean rate, in bits per second, rounded down to two digits.
    pub rate_bits_per_s: u64,
    /// Highest clean rate that was really reached, in bits per second.
    pub clean: u64,
    /// Measured loss with margin, rounded up.
    pub design_loss_permille: u16,
    /// Longer than twice the longest outage, in milliseconds.
    pub spacing_ms: u32,
    /// What a person should know.
    pub remarks: Vec<String>,
}

/// Why nothing can be proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No datagram of the test arrived.
    #[error("nothing arrived: no way through, another key, or another port")]
    Nothing,
    /// At the lowest rate already too much is lost.
    #[error("{lost_permille} permille are lost at the lowest rate: too many for any profile")]
    Lossy {
        /// Loss of the lowest step.
        lost_permille: u64,
    },
    /// What is lost for longest is longer than passes can be apart.
    #[error("the line is silent for {seconds} s at a time")]
    Silent {
        /// Longest outage.
        seconds: u64,
    },
}

impl Proposal {
    /// Judges the steps of a test of which `sent` were sent, each of `length`.
    ///
    /// A step is clean when it loses at most a thousandth more than those before it, chance left aside, and all
    /// before it are.
    pub fn of(steps: &[Step], sent: u16, length: Duration) -> Result<Self, Unfit> {
        let base = steps.first().ok_or(Unfit::Nothing)?.lost_ppm();
        let clean = clean(steps);
        let highest = clean.iter().map(|it| it.real_rate()).max().ok_or(Unfit::Nothing)?;
        let worst = with_margin(&clean);
        let design_loss_permille = LOSSES
            .into_iter()
            .find(|it| worst <= u64::from(*it) * 1_000)
            .ok_or(Unfit::Lossy { lost_permille: base / 1_000 })?;
        let outage = clean.iter().map(|it| it.outage(length)).max().unwrap_or_default();
        let twice = u64::try_from(outage.as_millis()).unwrap_or(u64::MAX).saturating_mul(2);
        let spacing = twice.max(SPACING).div_ceil(1_000).saturating_mul(1_000);
        let spacing_ms = u32::try_from(spacing).unwrap_or(u32::MAX);
        if spacing_ms > MAX_SPACING {
            return Err(Unfit::Silent { seconds: outage.as_secs() });
        }
        let rate_bits_per_s = round(highest / 100 * USED).max(*RATES.start());
        let mut remarks = Vec::new();
        if let Some(slow) = clean.iter().find(|it| it.real_rate() < it.rate) {
            remarks.push(format!("the sender did not reach {} Mbit/s", slow.rate / 1_000_000));
        } else if clean.len() == usize::from(sent) {
            remarks.push("every rate was clean: a test with higher ones may allow more".to_owned());
        }
        if clean.iter().any(|it| it.duplicates > 0) {
            remarks.push("the line makes copies of datagrams; they do no harm".to_owned());
        }
        if clean.iter().any(|it| it.late > 0) {
            remarks.push("the line changes the order of datagrams; that does no harm".to_owned());
        }
        Ok(Self { rate_bits_per_s, clean: highest, design_loss_permille, spacing_ms, remarks })
    }

    /// The lines of a profile, in TOML.
    pub fn to_toml(&self) -> String {
        let Self { rate_bits_per_s, design_loss_permille, spacing_ms, .. } = self;
        format!(
            "rate_bits_per_s = {rate_bits_per_s}\ndesign_loss_permille = {design_loss_permille}\nspacing_ms = {spacing_ms}\ncopies = 2\n"
        )
    }
}

/// The steps before the first that loses more than those before it. The lowest rates have few datagrams, in which
/// a lossy line is lucky or not: three deviations of the difference of two shares are for that.
fn clean(steps: &[Step]) -> Vec<&Step> {
    let (mut sent, mut lost) = (0_u64, 0_u64);
    let is_clean = |step: &&Step| {
        let all = sent.saturating_add(step.sent);
        let share = lost.saturating_add(step.lost()).saturating_mul(1_000_000) / all.max(1);
        let variance = u128::from(share) * u128::from(1_000_000_u64.saturating_sub(share)) * u128::from(all)
            / (u128::from(sent) * u128::from(step.sent)).max(1);
        let chance = u64::try_from(variance.isqrt()).unwrap_or(u64::MAX).saturating_mul(CHANCE);
        let before = lost.saturating_mul(1_000_000) / sent.max(1);
        let first = sent == 0;
        (sent, lost) = (all, lost.saturating_add(step.lost()));
        first || step.lost_ppm() <= before.saturating_add(CLEAN_PPM).saturating_add(chance)
    };
    steps.iter().take_while(is_clean).collect()
}

/// Rounds down to two digits: a person types it.
fn round(rate: u64) -> u64 {
    let unit = 10_u64.pow(rate.max(1).ilog10().saturating_sub(1));
    rate / unit * unit
}

/// Twice the worst loss and what chance adds at three deviations, in lost ones of a million: a test of seconds
/// sees little of a year.
fn with_margin(clean: &[&Step]) -> u64 {
    let margin = |it: &&Step| {
        let lost = it.lost();
        let most = lost.saturating_mul(2) + lost.isqrt().saturating_mul(3) + 3;
        most.saturating_mul(1_000_000) / it.sent.max(1)
    };
    // A short step at a low rate has too few datagrams to say much; the best of all that were clean counts.
    let enough = |it: &&Step| it.sent >= 10_000;
    let long = clean.iter().copied().filter(enough).map(|it| margin(&it)).max();
    long.unwrap_or_else(|| clean.iter().map(margin).min().unwrap_or(0))
}

/// What was measured, for people.
pub fn table(steps: &[Step], length: Duration) -> String {
    let mut text = format!(
        "{:>12} {:>9} {:>10} {:>10} {:>9} {:>7} {:>9} {:>7} {:>7}\n",
        "Mbit/s", "reached", "sent", "received", "loss %", "burst", "outage ms", "late", "copies"
    );
    for step in steps {
        let Step { rate, sent, received, duplicates, late, longest_burst, .. } = step;
        let (mega, kilo) = (rate / 1_000_000, rate / 1_000 % 1_000);
        let (percent, rest) = (step.lost_ppm() / 10_000, step.lost_ppm() % 10_000);
        let (outage, reached) = (step.outage(length).as_millis(), step.reached / 1_000_000);
        let line = writeln!(
            text,
            "{mega:>8}.{kilo:03} {reached:>9} {sent:>10} {received:>10} {percent:>4}.{rest:04} {longest_burst:>7} {outage:>9} {late:>7} {duplicates:>7}"
        );
        debug_assert!(line.is_ok(), "a string takes everything");
    }
    text
}
