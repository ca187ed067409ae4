//! Marvin32, the hash by which Windows tells a whole log entry from one that was cut off.
//!
//! Source: the same specification, and .NET's `Marvin.cs`, which is the same function with another seed.

use super::field::u32_at;

/// Windows' seed for log entries.
const SEED: u64 = 0x82EF_4D88_7A4E_55C5;

/// A hash over bytes that arrive in parts, each but the last a multiple of four.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marvin {
    low: u32,
    high: u32,
}

impl Marvin {
    /// The hash of log entries over nothing yet.
    pub(super) fn new() -> Self {
        Self::seeded(SEED)
    }

    fn seeded(seed: u64) -> Self {
        let bytes = seed.to_le_bytes();
        Self { low: u32_at(&bytes, 0), high: u32_at(&bytes, 4) }
    }

    /// Takes whole words.
    pub(super) fn add(&mut self, words: &[u8]) {
        for word in words.chunks_exact(4) {
            self.mix(u32_at(word, 0));
        }
    }

    /// Takes the last bytes, fewer than four, and says the hash.
    pub(super) fn end(mut self, rest: &[u8]) -> u64 {
        let mut last = 0x80;
        for byte in rest.iter().rev() {
            last = last << 8 | u32::from(*byte);
        }
        self.mix(last);
        self.mix(0);
        u64::from(self.high) << 32 | u64::from(self.low)
    }

    fn mix(&mut self, word: u32) {
        self.low = self.low.wrapping_add(word);
        self.high ^= self.low;
        self.low = self.low.rotate_left(20).wrapping_add(self.high);
        self.high = self.high.rotate_left(9) ^ self.low;
        self.low = self.low.rotate_left(27).wrapping_add(self.high);
        self.high = self.high.rotate_left(19);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of .NET's own tests.
    #[test]
    fn known_answers() {
        for (bytes, hash) in [
            (&[][..], 0x30ED_35C1_00CD_3C7D),
            (&[0xAF], 0x48E7_3FC7_7D75_DDC1),
            (&[0xE7, 0x0F], 0xB5F6_E1FC_485D_BFF8),
            (&[0x37, 0xF4, 0x95], 0xF0B0_7C78_9B8C_F7E8),
            (&[0x86, 0x42, 0xDC, 0x59], 0x7008_F2E8_7E9C_F556),
        ] {
            let mut hasher = Marvin::seeded(0x004F_B61A_001B_DBCC);
            let whole = bytes.len() / 4 * 4;
            hasher.add(&bytes[..whole]);
            assert_eq!(hasher.end(&bytes[whole..]), hash, "{bytes:02x?}");
        }
    }
}
