//! How an object is cut into symbols and blocks.
//!
//! All of it follows from two numbers that every datagram carries, the length of the object and of a symbol:
//! no third number can contradict them. Blocks are nearly equal, so that no short one is weaker than the rest.

/// Largest object, in bytes: that of a bundle.
pub const MAX_OBJECT: u32 = 64 * 1024 * 1024;
/// Longest symbol, in bytes: what a jumbo frame of 9,000 bytes takes beside headers.
pub const MAX_SYMBOL: u16 = 8_880;
/// Most source symbols of one block. Decoding costs little up to here and gains little beyond.
pub const MAX_SOURCES: u16 = 256;
/// Most blocks of one object: 64 MiB in symbols of 256 bytes.
pub const MAX_BLOCKS: u16 = 1_024;
/// Shards of one block that can be named, all passes together. What decoding needs grows with the highest
/// number: this bounds it to 36 MB for the longest symbols and 6 MB for usual ones.
pub const MAX_SHARDS: u16 = 4_096;

/// The shape of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    length: u32,
    symbol: u16,
}

impl Shape {
    /// Before every other one.
    pub(super) const LEAST: Self = Self { length: 0, symbol: 0 };

    /// The shape of an object of `length` bytes in symbols of `symbol` bytes; `None` when it is out of bounds.
    pub fn new(length: u32, symbol: u16) -> Option<Self> {
        let shape = Self { length, symbol };
        let fits = (1..=MAX_OBJECT).contains(&length)
            && (2..=MAX_SYMBOL).contains(&symbol)
            && symbol.is_multiple_of(2)
            && shape.symbols().div_ceil(u32::from(MAX_SOURCES)) <= u32::from(MAX_BLOCKS);
        fits.then_some(shape)
    }

    /// Bytes of the object.
    pub fn length(self) -> u32 {
        self.length
    }

    /// Bytes of one symbol; even, because the code works on pairs.
    pub fn symbol(self) -> u16 {
        self.symbol
    }

    /// Source symbols of the whole object.
    pub fn symbols(self) -> u32 {
        self.length.div_ceil(u32::from(self.symbol))
    }

    /// Blocks of the object.
    pub fn blocks(self) -> u16 {
        u16::try_from(self.symbols().div_ceil(u32::from(MAX_SOURCES))).unwrap_or(u16::MAX)
    }

    /// Source symbols of a block. The first blocks have one more than the last ones.
    pub fn sources(self, block: u16) -> u16 {
        let blocks = u32::from(self.blocks());
        let extra = u32::from(u32::from(block) < self.symbols() % blocks);
        u16::try_from(self.symbols() / blocks + extra).unwrap_or(MAX_SOURCES)
    }

    /// Source symbols of the largest block.
    pub fn most_sources(self) -> u16 {
        self.sources(0)
    }

    /// Place of the block's first byte in the object.
    pub fn start(self, block: u16) -> usize {
        let blocks = u32::from(self.blocks());
        let (each, rest) = (self.symbols() / blocks, self.symbols() % blocks);
        let block = u32::from(block);
        let symbols = u64::from(block * each + block.min(rest));
        usize::try_from(symbols * u64::from(self.symbol)).unwrap_or(usize::MAX)
    }

    /// The block's bytes of the object; those of the last one may end within a symbol.
    pub fn of(self, object: &[u8], block: u16) -> &[u8] {
        let start = self.start(block).min(object.len());
        let end = self.start(block.saturating_add(1)).min(object.len());
        object.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_cover_the_object_without_gap_or_overlap(length in 1..=MAX_OBJECT, half in 128..=4_440_u16) {
            let shape = Shape::new(length, half * 2).unwrap();
            let mut sum = 0_u32;
            for block in 0..shape.blocks() {
                let sources = shape.sources(block);
                prop_assert!((1..=MAX_SOURCES).contains(&sources));
                prop_assert!(shape.most_sources() - sources <= 1);
                let start = usize::try_from(u64::from(sum) * u64::from(half) * 2).unwrap();
                prop_assert_eq!(shape.start(block), start);
                sum += u32::from(sources);
            }
            prop_assert_eq!(sum, shape.symbols());
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_no_shape() {
        for (length, symbol) in
            [(0, 1_400), (MAX_OBJECT + 1, 1_400), (10, 0), (10, 1_399), (10, 8_882), (MAX_OBJECT, 254)]
        {
            assert_eq!(Shape::new(length, symbol), None, "{length} {symbol}");
        }
        for (length, symbol) in [(1, 2), (1, 1_400), (MAX_OBJECT, 256), (MAX_OBJECT, 8_880)] {
            assert!(Shape::new(length, symbol).is_some(), "{length} {symbol}");
        }
    }
}
