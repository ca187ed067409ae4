//! How many repair symbols an object gets, and how long its symbols are.
//!
//! A percentage would be wrong for small objects: what is needed depends on the number of symbols. So the
//! tail of the binomial distribution decides: fewest repair symbols for which fewer objects than the target
//! are lost in one pass when each datagram is lost by itself with the design loss. Each pass keeps that
//! promise alone, because a burst may take all of another; what arrives of several passes adds up.
//!
//! Bytes on the wire count the UDP and IPv4 headers, and not what lies below.

use super::datagram::HEADER;
use super::shape::{MAX_BLOCKS, MAX_SOURCES, Shape};

/// UDP and IPv4 headers, in bytes.
pub const BELOW: u32 = 28;
/// What a frame of Ethernet adds, the gap before it included, in bytes. Not counted as bytes on the wire, and
/// so that short symbols are not chosen for nothing.
const FRAME: u64 = 38;
/// Objects of at most so many full symbols are cut into shorter ones where that needs fewer bytes in all: ten
/// short symbols are repaired with fewer bytes than three long ones.
const FEW: u32 = 8;
/// Into how many at most.
const MANY: u32 = 24;

/// What losses a pass must bear, and how seldom it may fail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Odds {
    loss: f64,
    target: f64,
}

impl Odds {
    /// `loss_permille` of the datagrams are lost, each by itself; of the objects at most `target` are.
    pub fn new(loss_permille: u16, target: f64) -> Self {
        Self { loss: f64::from(loss_permille) / 1_000.0, target }
    }

    /// Fewest repair symbols for each of `blocks` blocks of `sources` symbols. No loss needs none.
    pub fn repair(self, sources: u16, blocks: u16) -> u16 {
        self.at_least(0, sources, blocks)
    }

    /// The same where fewer than `enough` are known not to be.
    fn at_least(self, enough: u16, sources: u16, blocks: u16) -> u16 {
        // A failure of exactly the target is allowed, also where the arithmetic ends a little above it.
        let target = self.target / f64::from(blocks.max(1)) * (1.0 + 1e-9);
        let most = MAX_SOURCES * 8;
        (enough..most).find(|it| self.failure(sources, *it) <= target).unwrap_or(most)
    }

    /// The probability that of `sources + repair` datagrams more than `repair` are lost.
    pub fn failure(self, sources: u16, repair: u16) -> f64 {
        if self.loss <= 0.0 {
            return 0.0;
        }
        let sent = f64::from(sources) + f64::from(repair);
        let odds = (self.loss / (1.0 - self.loss)).ln();
        // Logarithm of the probability that exactly `lost` are lost: the numbers themselves would underflow.
        let mut term = sent * (1.0 - self.loss).ln();
        let mut lost = 0.0;
        let mut sum = 0.0;
        while lost < sent {
            term += ((sent - lost) / (lost + 1.0)).ln() + odds;
            lost += 1.0;
            if lost > f64::from(repair) {
                sum += term.exp();
            }
        }
        sum
    }
}

/// How objects of one link are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    odds: Odds,
    symbol: u16,
    /// Repair symbols of an object of one block, by the number of its sources less one.
    repair: Vec<u16>,
}

/// How one object is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Its shape.
    pub shape: Shape,
    /// Repair symbols of each block and pass.
    pub repair: u16,
}

impl Cut {
    /// Datagrams of one pass.
    pub fn datagrams(self) -> u32 {
        self.shape.symbols() + u32::from(self.shape.blocks()) * u32::from(self.repair)
    }

    /// Bytes of one pass on the wire.
    pub fn wire_bytes(self) -> u64 {
        u64::from(self.datagrams()) * (u64::from(self.shape.symbol()) + u64::from(OVERHEAD))
    }
}

/// Bytes of a datagram beside its symbol.
const OVERHEAD: u32 = 64 + BELOW;
const _: () = assert!(HEADER == 64, "the overhead counts the header");

impl Plan {
    /// A plan for symbols of at most `symbol` bytes, an even number.
    pub fn new(odds: Odds, symbol: u16) -> Self {
        let mut last = 0;
        let repair = (1..=MAX_SOURCES).map(|sources| {
            last = odds.at_least(last, sources, 1);
            last
        });
        Self { odds, symbol, repair: repair.collect() }
    }

    /// Most datagrams of one block and pass.
    pub fn most_of_block(&self) -> u16 {
        MAX_SOURCES.saturating_add(self.repair(MAX_SOURCES, MAX_BLOCKS))
    }

    fn repair(&self, sources: u16, blocks: u16) -> u16 {
        let alone = self.repair.get(usize::from(sources.saturating_sub(1))).copied().unwrap_or(0);
        if blocks == 1 { alone } else { self.odds.at_least(alone, sources, blocks) }
    }

    /// How an object of so many bytes is sent; `None` when it is empty or too large.
    pub fn cut(&self, length: u32) -> Option<Cut> {
        let fewest = length.div_ceil(u32::from(self.symbol));
        let most = if fewest <= FEW { MANY.min(length.div_ceil(2)) } else { fewest };
        (fewest..=most.max(fewest))
            .filter_map(|symbols| self.with(length, symbols))
            .min_by_key(|cut| cut.wire_bytes() + u64::from(cut.datagrams()) * FRAME)
    }

    /// How an object is sent as one datagram without repair; `None` when it does not fit into one.
    pub fn single(&self, length: u32) -> Option<Cut> {
        let symbol = u16::try_from(length).ok()?.checked_next_multiple_of(2)?;
        let shape = Shape::new(length, symbol).filter(|_| symbol <= self.symbol)?;
        Some(Cut { shape, repair: 0 })
    }

    fn with(&self, length: u32, symbols: u32) -> Option<Cut> {
        let symbol = u16::try_from(length.checked_div(symbols)?).ok()?;
        let short = u32::from(symbol) * symbols < length;
        let symbol = symbol.checked_add(u16::from(short))?.checked_next_multiple_of(2)?;
        let shape = Shape::new(length, symbol)?;
        Some(Cut { shape, repair: self.repair(shape.most_sources(), shape.blocks()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: f64 = 1e-6;

    #[test]
    fn repair_is_that_of_the_published_table() {
        let sources = [1, 4, 8, 16, 32, 64, 128, 256];
        let table = [
            (1, [1, 2, 2, 2, 3, 3, 4, 5]),
            (10, [2, 3, 4, 5, 6, 7, 10, 13]),
            (50, [4, 6, 7, 9, 11, 16, 23, 35]),
            (100, [5, 8, 9, 12, 17, 25, 37, 59]),
            (200, [8, 12, 15, 20, 28, 43, 67, 112]),
            (300, [11, 16, 21, 28, 41, 64, 104, 176]),
        ];
        for (loss, row) in table {
            let odds = Odds::new(loss, TARGET);
            let computed = sources.map(|it| odds.repair(it, 1));
            assert_eq!(computed, row, "{loss}");
        }
    }

    #[test]
    fn the_tail_is_that_of_small_cases_by_hand() {
        let odds = Odds::new(100, TARGET);
        assert!((odds.failure(1, 0) - 0.1).abs() < 1e-12);
        assert!((odds.failure(1, 2) - 0.001).abs() < 1e-12);
        // Of three, two or three are lost: 3 * 0.01 * 0.9 + 0.001.
        assert!((odds.failure(2, 1) - 0.028).abs() < 1e-12);
        assert_eq!(Odds::new(0, TARGET).repair(256, 1), 0);
    }

    #[test]
    fn many_blocks_share_one_target() {
        let odds = Odds::new(100, TARGET);
        assert!(odds.failure(256, odds.repair(256, 188)) * 188.0 <= TARGET);
        assert!(odds.repair(256, 188) > odds.repair(256, 1));
    }

    #[test]
    fn a_small_object_stays_within_its_bytes_on_the_wire() {
        // Each pass: all datagrams, with repair and all headers.
        for (loss, most) in [(10, 10_000), (100, 16_000)] {
            let cut = Plan::new(Odds::new(loss, TARGET), 1_400).cut(4_096).unwrap();
            assert!(cut.wire_bytes() <= most, "{loss}: {}", cut.wire_bytes());
        }
    }

    #[test]
    fn every_length_has_a_cut_within_the_symbol() {
        for symbol in [256, 1_400, 8_880] {
            let plan = Plan::new(Odds::new(300, TARGET), symbol);
            for length in (1..20_000).step_by(37).chain([100_000, 1 << 20, 64 << 20]) {
                let cut = plan.cut(length).unwrap();
                assert!(cut.shape.symbol() <= symbol && cut.shape.length() == length, "{cut:?}");
            }
            assert_eq!(plan.cut(0), None);
            assert_eq!(plan.cut((64 << 20) + 1), None);
        }
    }

    #[test]
    fn a_beacon_is_one_datagram_of_its_own_length() {
        let plan = Plan::new(Odds::new(100, TARGET), 1_400);
        let cut = plan.single(401).unwrap();
        assert_eq!((cut.datagrams(), cut.shape.symbol(), cut.wire_bytes()), (1, 402, 494));
        assert_eq!(plan.single(1_401), None);
        assert_eq!(plan.single(0), None);
    }
}
