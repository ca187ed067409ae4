//! A code that a person reads at the site and types at a collector: "send these bundles again".
//!
//! ```text
//! code    = group "-" group "-" group "-" group "-" group "-" group       29 characters
//! group   = four of 0123456789ABCDEFGHJKMNPQRSTVWXYZ, in either case      five bits each, the highest first
//! bits    18  first bits of SHA-256 over "holdpoint resend 1", a zero byte, and the stream as it is signed
//!         18  first bits of the epoch
//!         40  first number, from 1
//!         14  how many numbers follow it
//!         30  check
//! ```
//! The check is the BCH code of Bech32m (BIP 350) over the 18 symbols, behind one symbol with the version of this
//! grammar: up to four wrong symbols are always found, so a single wrong character and two that changed places
//! are too; anything else passes once in a thousand million times. Letters that look like digits (I, L, O) and U
//! are in no code.
//!
//! It is procedure and no channel: it carries which numbers, nothing else, and whatever it says a collector does
//! no more than hand on again what it has sent already. It proves nothing about who made it.

use std::fmt;
use std::str::FromStr;

use super::stream::{Epoch, Stream};
use crate::section::Digest;

/// Length of a code, in characters.
pub const CODE_LENGTH: usize = 29;
/// Most bundles of one code.
pub const MAX_RANGE: u64 = 1 << COUNT_BITS;
/// Highest number that a code can name.
pub const MAX_SEQUENCE: u64 = (1 << FROM_BITS) - 1;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PURPOSE: &[u8] = b"holdpoint resend 1\0";
/// Version of the grammar, before the symbols.
const VERSION: u8 = 1;
const GROUP: usize = 4;
const DATA: usize = 18;
const CHECK: usize = 6;
const TAG_BITS: u32 = 18;
const FROM_BITS: u32 = 40;
const COUNT_BITS: u32 = 14;
/// What Bech32m ends with.
const END: u32 = 0x2bc8_30a3;
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];

/// Which bundles of which incarnation are to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    stream: u32,
    epoch: u32,
    from: u64,
    count: u64,
}

/// No code names these bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a code names 1 to {MAX_RANGE} bundles with numbers from 1 to {MAX_SEQUENCE}, the first before the last"
)]
pub struct InvalidRange;

/// A text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCode {
    /// Another length, or dashes elsewhere.
    #[error("a code is six groups of four characters with a dash between them")]
    Form,
    /// A character that is in no code.
    #[error("`{}` is in no code: there are the digits and the letters without I, L, O and U", .0.escape_debug())]
    Character(char),
    /// It was misread or mistyped.
    #[error("the code does not fit together: compare it character by character")]
    Check,
    /// It fits together and names no bundles.
    #[error("the code names no bundles")]
    Range,
}

/// The code is for somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHere {
    /// Another collector.
    #[error("the code is for another collector: compare the stream that the site shows beside it")]
    Stream,
    /// An incarnation that has ended.
    #[error(
        "the code is for an earlier incarnation of this collector, whose bundles are not kept: everything was \
         sent anew since"
    )]
    Epoch,
}

impl Code {
    /// The code for the bundles `from` to `to`, both of them included.
    ///
    /// # Errors
    /// More than [`MAX_RANGE`], none, or numbers over [`MAX_SEQUENCE`].
    pub fn of(stream: &Stream, epoch: &Epoch, from: u64, to: u64) -> Result<Self, InvalidRange> {
        let count = to.checked_sub(from).ok_or(InvalidRange)?;
        if from == 0 || to > MAX_SEQUENCE || count >= MAX_RANGE {
            return Err(InvalidRange);
        }
        Ok(Self { stream: stream_tag(stream), epoch: tag(epoch.as_bytes()), from, count })
    }

    /// The first number.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The last number.
    pub fn to(&self) -> u64 {
        self.from + self.count
    }

    /// Whether it is for that incarnation of that collector, as far as 36 bits tell.
    ///
    /// # Errors
    /// It is for another.
    pub fn is_for(&self, stream: &Stream, epoch: &Epoch) -> Result<(), NotHere> {
        if self.stream != stream_tag(stream) {
            return Err(NotHere::Stream);
        }
        if self.epoch == tag(epoch.as_bytes()) { Ok(()) } else { Err(NotHere::Epoch) }
    }

    /// The symbols without the check.
    fn symbols(&self) -> [u8; DATA] {
        let Self { stream, epoch, from, count } = *self;
        let mut bits = u128::from(stream);
        bits = bits << TAG_BITS | u128::from(epoch);
        bits = bits << FROM_BITS | u128::from(from);
        bits = bits << COUNT_BITS | u128::from(count);
        let mut symbols = [0; DATA];
        for symbol in symbols.iter_mut().rev() {
            *symbol = low(bits);
            bits >>= 5;
        }
        symbols
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbols = self.symbols();
        let check = remainder(symbols.iter().copied().chain([0; CHECK])) ^ END;
        let check = (0..CHECK).rev().map(|at| low(u128::from(check >> (5 * at))));
        for (at, symbol) in symbols.into_iter().chain(check).enumerate() {
            if at > 0 && at % GROUP == 0 {
                f.write_str("-")?;
            }
            let letter = ALPHABET.get(usize::from(symbol)).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

impl FromStr for Code {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        let mut symbols = Vec::with_capacity(DATA + CHECK);
        for (at, letter) in text.chars().enumerate() {
            let is_dash = at % (GROUP + 1) == GROUP;
            if at >= CODE_LENGTH || is_dash != (letter == '-') {
                return Err(InvalidCode::Form);
            }
            if !is_dash {
                symbols.push(symbol(letter).ok_or(InvalidCode::Character(letter))?);
            }
        }
        if symbols.len() != DATA + CHECK {
            return Err(InvalidCode::Form);
        }
        if remainder(symbols.iter().copied()) != END {
            return Err(InvalidCode::Check);
        }
        let bits = symbols.iter().take(DATA).fold(0_u128, |bits, it| bits << 5 | u128::from(*it));
        let part = |shift: u32, width: u32| bits >> shift & ((1 << width) - 1);
        let number = |shift, width| u64::try_from(part(shift, width)).unwrap_or(u64::MAX);
        let short = |shift| u32::try_from(part(shift, TAG_BITS)).unwrap_or(u32::MAX);
        let code = Self {
            stream: short(COUNT_BITS + FROM_BITS + TAG_BITS),
            epoch: short(COUNT_BITS + FROM_BITS),
            from: number(COUNT_BITS, FROM_BITS),
            count: number(0, COUNT_BITS),
        };
        if code.from == 0 || code.to() > MAX_SEQUENCE { Err(InvalidCode::Range) } else { Ok(code) }
    }
}

fn symbol(letter: char) -> Option<u8> {
    let letter = u8::try_from(letter).ok()?.to_ascii_uppercase();
    let at = ALPHABET.iter().position(|it| *it == letter)?;
    u8::try_from(at).ok()
}

/// The lowest five bits.
fn low(bits: u128) -> u8 {
    u8::try_from(bits & 31).unwrap_or_default()
}

/// The remainder of Bech32's polynomial over the version and these symbols.
fn remainder(symbols: impl Iterator<Item = u8>) -> u32 {
    [VERSION].into_iter().chain(symbols).fold(1, |rest: u32, symbol| {
        let top = rest >> 25;
        let shifted = (rest & 0x01ff_ffff) << 5 ^ u32::from(symbol);
        let terms = GENERATOR.iter().enumerate().filter(|(at, _)| top >> at & 1 == 1);
        terms.fold(shifted, |rest, (_, term)| rest ^ term)
    })
}

fn stream_tag(stream: &Stream) -> u32 {
    tag(Digest::of(&[PURPOSE, &stream.external()].concat()).as_bytes())
}

/// The first 18 bits.
fn tag(bytes: &[u8]) -> u32 {
    let first = bytes.iter().chain(&[0; 4]).take(4).fold(0_u32, |bits, it| bits << 8 | u32::from(*it));
    first >> (u32::BITS - TAG_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::KeyId;
    use crate::identity::ZoneName;

    fn stream(zone: &str) -> Stream {
        let zone = ZoneName { site: "plant".parse().unwrap(), zone: zone.parse().unwrap() };
        Stream { zone, collector: KeyId::from([7; 32]) }
    }

    fn codes() -> Vec<Code> {
        let epoch = Epoch::from([0xa5; 16]);
        [(1, 1), (1_204, 1_207), (1, MAX_RANGE), (MAX_SEQUENCE, MAX_SEQUENCE), (987_654_321, 987_660_000)]
            .map(|(from, to)| Code::of(&stream("line-1"), &epoch, from, to).unwrap())
            .into()
    }

    #[test]
    fn a_code_survives_paper_and_says_whose_bundles_it_means() {
        for code in codes() {
            let text = code.to_string();
            assert_eq!(text.len(), CODE_LENGTH, "{text}");
            assert_eq!(text.parse(), Ok(code));
            assert_eq!(text.to_lowercase().parse(), Ok(code));
            assert_eq!(code.is_for(&stream("line-1"), &Epoch::from([0xa5; 16])), Ok(()));
            assert_eq!(code.is_for(&stream("line-2"), &Epoch::from([0xa5; 16])), Err(NotHere::Stream));
            assert_eq!(code.is_for(&stream("line-1"), &Epoch::from([0xa6; 16])), Err(NotHere::Epoch));
        }
        // Written down once: a code that was printed by an older site is read by a newer collector.
        assert_eq!(codes()[1].to_string(), "FTSE-JTB0-0000-0JT0-03QV-DFB5");
    }

    #[test]
    fn every_wrong_character_is_found() {
        for code in codes() {
            let text = code.to_string();
            for (at, own) in text.char_indices() {
                for other in (0..=0x7f_u8).map(char::from).filter(|it| !it.eq_ignore_ascii_case(&own)) {
                    let mut wrong = text.clone();
                    wrong.replace_range(at..=at, &other.to_string());
                    assert!(wrong.parse::<Code>().is_err(), "{text} read as {wrong}");
                }
            }
        }
    }

    #[test]
    fn characters_that_changed_places_are_found() {
        for code in codes() {
            let text: Vec<char> = code.to_string().chars().collect();
            for one in 0..text.len() {
                for two in one + 1..text.len() {
                    let mut wrong = text.clone();
                    wrong.swap(one, two);
                    let wrong: String = wrong.into_iter().collect();
                    let is_same = text[one] == text[two];
                    assert_eq!(wrong.parse::<Code>().is_ok(), is_same, "{wrong}");
                }
            }
        }
    }

    #[test]
    fn one_more_and_one_less_and_two_wrong_are_found() {
        let code = codes()[4];
        let text = code.to_string();
        for at in 0..text.len() {
            let mut short = text.clone();
            short.remove(at);
            assert_eq!(short.parse::<Code>(), Err(InvalidCode::Form));
            let mut long = text.clone();
            long.insert(at, '7');
            assert_eq!(long.parse::<Code>(), Err(InvalidCode::Form));
        }
        let places: Vec<usize> = (0..CODE_LENGTH).filter(|it| it % 5 != 4).collect();
        for &one in &places {
            for &two in places.iter().filter(|it| **it > one) {
                for (a, b) in [('0', '0'), ('Z', 'Z'), ('7', 'K'), ('H', '3')] {
                    let mut wrong: Vec<char> = text.chars().collect();
                    (wrong[one], wrong[two]) = (a, b);
                    let wrong: String = wrong.into_iter().collect();
                    assert!(wrong == text || wrong.parse::<Code>().is_err(), "{wrong}");
                }
            }
        }
    }

    #[test]
    fn only_the_grammar_is_read() {
        for (text, why) in [
            ("", InvalidCode::Form),
            ("0000-0000-0000-0000-0000-0000", InvalidCode::Check),
            ("00000-000-0000-0000-0000-0000", InvalidCode::Form),
            ("O000-0000-0000-0000-0000-0000", InvalidCode::Character('O')),
            ("é000-0000-0000-0000-0000-0000", InvalidCode::Character('é')),
            (" 000-0000-0000-0000-0000-0000", InvalidCode::Character(' ')),
        ] {
            assert_eq!(text.parse::<Code>(), Err(why), "{text}");
        }
        let epoch = Epoch::from([1; 16]);
        for (from, to) in [(0, 1), (2, 1), (1, MAX_RANGE + 1), (MAX_SEQUENCE, MAX_SEQUENCE + 1)] {
            assert_eq!(Code::of(&stream("line-1"), &epoch, from, to), Err(InvalidRange));
        }
    }
}
