//! The sending side of a test: steps of rising rates.

use std::time::Duration;

use super::super::datagram::{Pattern, write_pattern};
use super::super::keys::Keys;
use super::super::pace::Pace;
use super::super::profile::{Profile, RATES};
use super::super::wire::{Route, Traffic, Wire, WireError};

/// Most steps of one test.
pub(super) const MAX_STEPS: u16 = 32;
/// Most datagrams of one step: a minute of 10 Gbit/s.
pub(super) const MAX_COUNT: u32 = 1 << 26;
/// Rates of each power of ten.
const OF_TEN: [u64; 3] = [1, 2, 5];

/// The rates of a test, rising, and how long each is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ramp {
    rates: Vec<u64>,
    step: Duration,
}

/// A ramp that is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a test has rates from {} to {} bits per second and 1 to 60 s a step",
    RATES.start(),
    RATES.end()
)]
pub struct InvalidRamp;

impl Ramp {
    /// Rates of 1, 2 and 5 times a power of ten, with `from` and `to` as the ends, in bits per second.
    pub fn between(from: u64, to: u64, step: Duration) -> Result<Self, InvalidRamp> {
        let fits = RATES.contains(&from) && RATES.contains(&to) && from <= to;
        if !fits || !(Duration::from_secs(1)..=Duration::from_mins(1)).contains(&step) {
            return Err(InvalidRamp);
        }
        let powers = std::iter::successors(Some(1_u64), |it| it.checked_mul(10).filter(|it| *it <= to));
        let round = powers.flat_map(|power| OF_TEN.map(|it| it.saturating_mul(power)));
        let mut rates: Vec<u64> = round.filter(|it| (from..=to).contains(it)).chain([from, to]).collect();
        rates.sort_unstable();
        rates.dedup();
        Ok(Self { rates, step })
    }

    /// The rates, in bits per second.
    pub fn rates(&self) -> &[u64] {
        &self.rates
    }

    /// How long the whole test takes.
    pub fn length(&self) -> Duration {
        self.step * u32::try_from(self.rates.len()).unwrap_or(u32::MAX)
    }

    /// The steps as patterns without place, for symbols of so many bytes and datagrams of `wire_bytes`.
    fn steps(&self, symbol: u16, wire_bytes: u64) -> Vec<Pattern> {
        let steps = u16::try_from(self.rates.len()).unwrap_or(MAX_STEPS);
        let numbered = (0..steps).zip(&self.rates);
        numbered
            .map(|(step, rate)| {
                let datagrams = u128::from(*rate) * self.step.as_millis() / 8_000 / u128::from(wire_bytes);
                let count = u32::try_from(datagrams).unwrap_or(MAX_COUNT).clamp(1, MAX_COUNT);
                Pattern { step, steps, rate: *rate, place: 0, count, symbol }
            })
            .collect()
    }
}

/// Sends the test and tells of each step before it begins. Takes as long as [`Ramp::length`] says, or longer
/// where this host is too slow for a rate: what counts is what arrives.
pub fn send(
    route: &Route,
    profile: &Profile,
    keys: Keys,
    ramp: &Ramp,
    mut tell: impl FnMut(u64),
) -> Result<Traffic, WireError> {
    let mut wire = Wire::open(route, keys, profile.stream(), profile.rate())?;
    for step in ramp.steps(profile.symbol(), wire.wire_bytes(profile.symbol())) {
        tell(step.rate);
        *wire.pace() = Pace::new(step.rate);
        for place in 0..u64::from(step.count) {
            let pattern = Pattern { place, ..step };
            wire.push(step.symbol, |to, keys, origin| write_pattern(to, keys, origin, &pattern));
        }
        wire.flush();
    }
    Ok(wire.traffic())
}
