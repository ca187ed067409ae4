//! Inputs for the targets: what a seed becomes by damage. Deterministic: the same number makes
//! the same input, so a failure is found again by its number alone.

/// Largest input that a mutation makes, in bytes.
pub const MAX_INPUT: usize = 16 * 1024;
/// Most changes to one input.
const MAX_CHANGES: u64 = 4;
/// Longest piece that one change repeats or takes from another seed, in bytes.
const MAX_PIECE: usize = 512;
/// Most repetitions of a piece.
const MAX_REPEATS: u64 = 64;

/// Pieces that parsers treat specially.
const WORDS: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\t",
    b" ",
    b":",
    b"=",
    b"/",
    b".",
    b"-",
    b"~",
    b"\"",
    b"\\",
    b"[",
    b"{",
    b"|",
    b"<=",
    b"\xff\xff\xff\xff",
    b"\x80",
    b"99999999999999999999",
    "\u{130}".as_bytes(),
    "\u{2028}".as_bytes(),
    b"vers:",
];

/// A small generator of numbers that look random (xorshift64*).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// The sequence of a seed.
    pub fn from_seed(seed: u64) -> Self {
        // A zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`; 0 when that is 0.
    fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// An index below `end`; 0 when that is 0.
    pub fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(u64::try_from(end).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// Fills a buffer.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            for (to, from) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Damages an input in one to four places; `other` is what splices are taken from.
pub fn mutate(input: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=numbers.below(MAX_CHANGES) {
        change(&mut bytes, other, numbers);
        bytes.truncate(MAX_INPUT);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.index(bytes.len() + 1);
    match numbers.below(8) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << numbers.below(8);
            }
        }
        1 => {
            let new = numbers.byte();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = new;
            }
        }
        2 => insert(bytes, at, WORDS[numbers.index(WORDS.len())]),
        3 => {
            let piece = piece(other, numbers).to_vec();
            insert(bytes, at, &piece);
        }
        4 => bytes.truncate(at),
        5 => {
            let end = at + numbers.index((bytes.len() - at).min(MAX_PIECE) + 1);
            bytes.drain(at..end);
        }
        6 => {
            let piece = piece(bytes, numbers).to_vec();
            insert(bytes, at, &piece);
        }
        _ => {
            let length = 1 + numbers.index(8);
            let end = (at + length).min(bytes.len());
            let times = usize::try_from(numbers.below(MAX_REPEATS)).unwrap_or(0);
            let run = bytes[at..end].repeat(times);
            insert(bytes, at, &run);
        }
    }
}

fn piece<'a>(from: &'a [u8], numbers: &mut Numbers) -> &'a [u8] {
    let start = numbers.index(from.len() + 1);
    let length = numbers.index((from.len() - start).min(MAX_PIECE) + 1);
    &from[start..start + length]
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    drop(bytes.splice(at..at, piece.iter().copied()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seed: u64) -> Vec<Vec<u8>> {
        let mut numbers = Numbers::from_seed(seed);
        (0..200).map(|_| mutate(b"Package: a\nVersion: 1\n", b"Status: b", &mut numbers)).collect()
    }

    #[test]
    fn the_same_number_makes_the_same_inputs_and_another_makes_others() {
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }

    #[test]
    fn inputs_shrink_grow_and_stay_within_their_limit() {
        let mut numbers = Numbers::from_seed(1);
        let (mut input, mut shortest, mut longest) = (b"seed".to_vec(), usize::MAX, 0);
        for _ in 0..2_000 {
            input = mutate(&input, &[b'x'; 4_096], &mut numbers);
            (shortest, longest) = (shortest.min(input.len()), longest.max(input.len()));
        }
        assert!(shortest < 4 && longest > 1_000 && longest <= MAX_INPUT, "{shortest} {longest}");
    }

    #[test]
    fn nothing_can_be_made_from_nothing() {
        let mut numbers = Numbers::from_seed(0);
        assert!((0..200).any(|_| !mutate(b"", b"", &mut numbers).is_empty()));
    }
}
