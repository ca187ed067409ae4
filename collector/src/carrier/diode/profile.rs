//! What is agreed about a link: how lossy, how fast, how often, and with which keys.
//!
//! Both ends read the same words. A person writes them once, from what the test of the link measured (see
//! [`super::commission`]), because the sender is never told how a link does.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::code::{Odds, Plan};
use super::keys::Slot;
use super::shape::{MAX_SHARDS, MAX_SYMBOL};

/// Shortest allowed symbol, in bytes: the largest object has few enough blocks with it.
pub const MIN_SYMBOL: u16 = 256;
/// Most loss that can be designed for, in permille.
pub const MAX_LOSS: u16 = 500;
/// Most copies.
pub const MAX_COPIES: u8 = 8;
/// Slowest and fastest rate, in bits per second.
pub const RATES: RangeInclusive<u64> = 10_000..=100_000_000_000;
/// Longest spacing, in milliseconds: below the age at which a receiver drops what is incomplete.
pub const MAX_SPACING: u32 = 300_000;

/// A profile by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// 10 % loss.
    Default,
    /// 30 % loss.
    Heavy,
}

/// A checked profile.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Profile {
    written: Written,
    plan: Plan,
}

/// A profile as it is written, in TOML.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Written {
    /// Of a thousand datagrams so many are lost, each by itself; 0 to 500.
    pub design_loss_permille: u16,
    /// So many objects may fail in one pass at that loss; 1e-12 to 0.1.
    pub target: f64,
    /// Longest symbol, in bytes, even, 256 to 8,880: MTU less 92 over IPv4, less 112 over IPv6.
    pub symbol_bytes: u16,
    /// Bits per second, UDP and IP headers included; 10 kbit/s to 100 Gbit/s.
    pub rate_bits_per_s: u64,
    /// Passes of each object, 1 to 8.
    pub copies: u8,
    /// From the end of one pass to the start of the next, at most 300,000: longer than the longest silence.
    pub spacing_ms: u32,
    /// Which sender this is.
    pub stream: u64,
    /// One or two keys; the sender uses the first.
    pub keys: Vec<Slot>,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            design_loss_permille: 100,
            target: 1e-6,
            symbol_bytes: 1_400,
            rate_bits_per_s: 50_000_000,
            copies: 2,
            spacing_ms: 5_000,
            stream: 0,
            keys: Vec::new(),
        }
    }
}

/// A profile that is not used, and which number of it is why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidProfile {
    /// Loss out of bounds.
    #[error("design_loss_permille is {0}, must be at most {MAX_LOSS}")]
    Loss(u16),
    /// Target out of bounds.
    #[error("target is {0}, must lie between 1e-12 and 0.1")]
    Target(f64),
    /// Symbol out of bounds.
    #[error("symbol_bytes is {0}, must be even and between {MIN_SYMBOL} and {MAX_SYMBOL}")]
    Symbol(u16),
    /// Rate out of bounds.
    #[error("rate_bits_per_s is {0}, must lie between {low} and {high}", low = RATES.start(), high = RATES.end())]
    Rate(u64),
    /// Copies out of bounds.
    #[error("copies is {0}, must lie between 1 and {MAX_COPIES}")]
    Copies(u8),
    /// Spacing out of bounds.
    #[error("spacing_ms is {0}, must be at most {MAX_SPACING}")]
    Spacing(u32),
    /// More shards than can be numbered.
    #[error(
        "{copies} copies at that loss need {shards} shards of a block, at most {MAX_SHARDS} have numbers"
    )]
    Shards {
        /// Copies asked for.
        copies: u8,
        /// What they need.
        shards: u32,
    },
}

impl TryFrom<Written> for Profile {
    type Error = InvalidProfile;

    fn try_from(written: Written) -> Result<Self, InvalidProfile> {
        let Written {
            design_loss_permille: loss,
            target,
            symbol_bytes: symbol,
            rate_bits_per_s: rate,
            copies,
            spacing_ms: spacing,
            stream: _,
            keys: _,
        } = written;
        if loss > MAX_LOSS {
            return Err(InvalidProfile::Loss(loss));
        }
        if !(1e-12..=0.1).contains(&target) {
            return Err(InvalidProfile::Target(target));
        }
        if !(MIN_SYMBOL..=MAX_SYMBOL).contains(&symbol) || !symbol.is_multiple_of(2) {
            return Err(InvalidProfile::Symbol(symbol));
        }
        if !RATES.contains(&rate) {
            return Err(InvalidProfile::Rate(rate));
        }
        if !(1..=MAX_COPIES).contains(&copies) {
            return Err(InvalidProfile::Copies(copies));
        }
        if spacing > MAX_SPACING {
            return Err(InvalidProfile::Spacing(spacing));
        }
        let plan = Plan::new(Odds::new(loss, target), symbol);
        let shards = u32::from(plan.most_of_block()) * u32::from(copies);
        if shards > u32::from(MAX_SHARDS) {
            return Err(InvalidProfile::Shards { copies, shards });
        }
        Ok(Self { written, plan })
    }
}

impl From<Profile> for Written {
    fn from(profile: Profile) -> Self {
        profile.written
    }
}

impl Profile {
    /// What a named profile says; the rate, the stream and the keys are a link's own.
    pub fn written(preset: Preset) -> Written {
        match preset {
            Preset::Default => Written::default(),
            Preset::Heavy => Written { design_loss_permille: 300, ..Written::default() },
        }
    }

    /// How objects are cut and repaired.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bits per second, UDP and IP headers included.
    pub fn rate(&self) -> u64 {
        self.written.rate_bits_per_s
    }

    /// Passes of each object.
    pub fn copies(&self) -> u8 {
        self.written.copies
    }

    /// From the end of one pass to the start of the next.
    pub fn spacing(&self) -> Duration {
        Duration::from_millis(u64::from(self.written.spacing_ms))
    }

    /// Which sender this is.
    pub fn stream(&self) -> u64 {
        self.written.stream
    }

    /// Longest symbol, in bytes.
    pub fn symbol(&self) -> u16 {
        self.written.symbol_bytes
    }

    /// Where the keys are kept.
    pub fn slots(&self) -> &[Slot] {
        &self.written.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Profile, String> {
        toml::from_str(text).map_err(|it| it.to_string())
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = "stream = 7\nrate_bits_per_s = 60000000\n[[keys]]\nid = 1\nfile = \"/etc/link.key\"\n";
        let profile = read(text).unwrap();
        assert_eq!((profile.stream(), profile.rate(), profile.copies()), (7, 60_000_000, 2));
        assert_eq!(profile.spacing(), Duration::from_secs(5));
        let again = toml::to_string(&profile).unwrap();
        assert_eq!(read(&again).unwrap(), profile);
        assert_eq!(Profile::written(Preset::Heavy).design_loss_permille, 300);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        for (text, word) in [
            ("design_loss_permille = 501", "design_loss_permille"),
            ("target = 0.0", "target"),
            ("target = nan", "target"),
            ("symbol_bytes = 1401", "symbol_bytes"),
            ("symbol_bytes = 254", "symbol_bytes"),
            ("rate_bits_per_s = 9999", "rate_bits_per_s"),
            ("copies = 0", "copies"),
            ("copies = 9", "copies"),
            ("spacing_ms = 300001", "spacing_ms"),
            ("design_loss_permille = 500\ncopies = 8", "shards"),
            ("surprise = 1", "surprise"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        for preset in [Preset::Default, Preset::Heavy] {
            Profile::try_from(Written { copies: 4, ..Profile::written(preset) }).unwrap();
        }
    }
}
