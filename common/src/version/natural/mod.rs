//! The order of vendors' spellings, read strictly.
//!
//! A version is a label, dotted numbers, at most one revision letter, and qualifiers: `V7.5 SP1 Update
//! 3`. Two versions compare only where every sensible reading agrees. Refused are: different labels
//! (hardware lines, trains), wildcards, a zero before a number where it changes the answer (`5.028` and
//! `5.9`), a service pack beside longer numbers (`V17 Update 6` and `17.0.0.6`: a marketing name and a
//! file version), and different kinds of qualifier at the same place (`HF10` and `SP1`).
//!
//! A single word outside this grammar, such as `SE2020MP13`, compares with a word that has the same
//! letters and signs around its numbers. There is no vendor's document behind this order: it is our own
//! policy, to refuse rather than to guess.

mod read;

use std::cmp::Ordering;

pub(super) use read::has_wildcard;
use read::{NEUTRAL_LABELS, PRE_RELEASES, QUALIFIERS, Qualifier, Reading, Structured, read};

use super::{Incomparable, digits};

/// What a dotted part of a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    /// Nobody said: a zero in front may make it a fraction, so both readings must agree.
    Strict,
    /// Integers, as a product rule declares.
    Integers,
    /// Fractions where a zero stands in front, as a product rule declares.
    Decimals,
}

/// How much of the grammar a text fits, for readers that must know before they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Numbers with a neutral or release label: surely a version.
    Version,
    /// Something that could be a model, an order number or a hardware line as well.
    Doubtful,
    /// Not one word and not in the grammar, or a wildcard.
    Unreadable,
}

pub(super) fn compare(a: &str, b: &str, parts: Parts) -> Result<Ordering, Incomparable> {
    let (a, b) = (a.trim(), b.trim());
    if a == b {
        return Ok(Ordering::Equal);
    }
    match (read(a)?, read(b)?) {
        (Reading::Structured(a), Reading::Structured(b)) => compare_structured(&a, &b, parts),
        (Reading::Opaque(a), Reading::Opaque(b)) if a.skeleton == b.skeleton => {
            let places = a.numbers.iter().zip(&b.numbers).enumerate();
            first_difference(places.map(|(place, (a, b))| compare_part(place, a, b, parts)))
        }
        (Reading::Structured(_) | Reading::Opaque(_), Reading::Structured(_) | Reading::Opaque(_)) => {
            Err(Incomparable::Undecided("the versions are not built alike"))
        }
    }
}

/// Says how well `text` fits the grammar.
pub(super) fn shape(text: &str) -> Shape {
    match read(text.trim()) {
        Ok(Reading::Structured(it)) if it.label.is_empty() || it.label == "r" => Shape::Version,
        Ok(Reading::Structured(_) | Reading::Opaque(_)) => Shape::Doubtful,
        Err(_) => Shape::Unreadable,
    }
}

/// Whether `word` is a label or qualifier of the grammar, in any case.
pub(super) fn is_known_word(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let of_phrase = |(phrase, _): &(&str, u8)| phrase.split(' ').any(|it| it == word);
    NEUTRAL_LABELS.contains(&word.as_str())
        || QUALIFIERS.iter().any(of_phrase)
        || PRE_RELEASES.iter().any(of_phrase)
}

fn compare_structured(a: &Structured, b: &Structured, parts: Parts) -> Result<Ordering, Incomparable> {
    if a.label != b.label {
        return Err(Incomparable::Undecided("the labels differ: they may be different lines of a product"));
    }
    if (!a.qualifiers.is_empty() && b.core.len() > a.core.len())
        || (!b.qualifiers.is_empty() && a.core.len() > b.core.len())
    {
        return Err(Incomparable::Undecided(
            "one has a qualifier where the other has more numbers: a marketing name and a file version differ",
        ));
    }
    let part = |core: &[String], place: usize| core.get(place).map_or("0", String::as_str).to_owned();
    let places = 0..a.core.len().max(b.core.len());
    let core = first_difference(
        places.map(|place| compare_part(place, &part(&a.core, place), &part(&b.core, place), parts)),
    )?;
    if core.is_ne() {
        return Ok(core);
    }
    let qualified = !(a.qualifiers.is_empty() && b.qualifiers.is_empty());
    if qualified && a.letter.is_some() != b.letter.is_some() {
        return Err(Incomparable::Undecided("one has a revision letter where the other has a qualifier"));
    }
    let letter = a.letter.cmp(&b.letter);
    if letter.is_ne() {
        return Ok(letter);
    }
    let places = 0..a.qualifiers.len().max(b.qualifiers.len());
    first_difference(places.map(|place| compare_qualifier(a.qualifiers.get(place), b.qualifiers.get(place))))
}

fn first_difference(
    mut places: impl Iterator<Item = Result<Ordering, Incomparable>>,
) -> Result<Ordering, Incomparable> {
    places.find(|it| *it != Ok(Ordering::Equal)).unwrap_or(Ok(Ordering::Equal))
}

/// Compares one number of both versions. Nobody writes the first one as a fraction.
fn compare_part(place: usize, a: &str, b: &str, parts: Parts) -> Result<Ordering, Incomparable> {
    let by_value = digits::by_value(a, b);
    let padded = place > 0 && (digits::is_padded(a) || digits::is_padded(b));
    match parts {
        Parts::Strict if padded && by_value != digits::by_fraction(a, b) => Err(Incomparable::Undecided(
            "a zero before a number: as an integer and as a fraction they differ",
        )),
        Parts::Decimals if padded => Ok(digits::by_fraction(a, b)),
        Parts::Strict | Parts::Integers | Parts::Decimals => Ok(by_value),
    }
}

fn compare_qualifier(a: Option<&Qualifier>, b: Option<&Qualifier>) -> Result<Ordering, Incomparable> {
    use Qualifier::{After, Before};
    match (a, b) {
        (Some(Before { rank: a, number: m }), Some(Before { rank: b, number: n })) => {
            Ok(a.cmp(b).then_with(|| digits::by_value(m, n)))
        }
        (Some(After { rank: a, number: m }), Some(After { rank: b, number: n })) if a == b => {
            Ok(digits::by_value(m, n))
        }
        (Some(After { .. }), Some(After { .. })) => {
            Err(Incomparable::Undecided("they have different kinds of qualifier at the same place"))
        }
        (Some(Before { .. }), None | Some(After { .. })) | (None, Some(After { .. })) => Ok(Ordering::Less),
        (None | Some(After { .. }), Some(Before { .. })) | (Some(After { .. }), None) => {
            Ok(Ordering::Greater)
        }
        (None, None) => Ok(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(a: &str, b: &str) -> Option<Ordering> {
        compare(a, b, Parts::Strict).ok()
    }

    #[test]
    fn qualifiers_of_different_kinds_at_one_place_are_refused() {
        assert_eq!(strict("V4.8 HF10", "V4.8 SP1"), None);
        assert_eq!(strict("V7.5 SP1 HF2", "V7.5 SP1 Update 3"), None);
        assert_eq!(strict("V7.5 SP1 HF2", "V7.5 SP2 Update 3"), Some(Ordering::Less));
    }

    #[test]
    fn qualifiers_that_are_stacked_the_wrong_way_round_are_no_version() {
        assert_eq!(strict("V8.0 HF3 SP1", "V8.0"), None);
        assert_eq!(strict("V8.0 SP1 SP2", "V8.0"), None);
    }

    #[test]
    fn pre_releases_come_before_their_release() {
        assert_eq!(strict("3.1 beta 2", "3.1"), Some(Ordering::Less));
        assert_eq!(strict("3.1-rc1", "3.1 SP1"), Some(Ordering::Less));
        assert_eq!(strict("3.1 SP1 beta", "3.1 SP1"), Some(Ordering::Less));
        assert_eq!(strict("3.1 SP1 beta", "3.1"), Some(Ordering::Greater));
    }

    #[test]
    fn a_label_of_two_names_still_has_to_match() {
        assert_eq!(strict("WinCC 7.2 Upd 15", "WinCC V7.3"), Some(Ordering::Less));
        assert_eq!(strict("WinCC 7.2 Upd 15", "7.3"), None);
        assert_eq!(strict("R5.1", "R6"), Some(Ordering::Less));
        assert_eq!(strict("R5.1", "6"), None);
    }

    #[test]
    fn wildcards_are_seen_in_every_place_vendors_put_them() {
        for text in ["11.*", "8.0.x", "v3.x.17", "r15x", "4.2x", "r210.x", "x.1"] {
            assert!(has_wildcard(text), "{text}");
        }
        for text in ["1.0", "xp 5", "linux 3", "1.0.212n", "6es7671-0rc08"] {
            assert!(!has_wildcard(text), "{text}");
        }
    }

    #[test]
    fn a_hardware_line_or_order_number_is_doubtful() {
        assert_eq!(shape("V17 Update 5"), Shape::Version);
        assert_eq!(shape("R511.5_TCU4_HF4"), Shape::Version);
        assert_eq!(shape("1763-L16DWD"), Shape::Doubtful);
        assert_eq!(shape("MV720"), Shape::Doubtful);
        assert_eq!(shape("NMC2 6.9.6"), Shape::Unreadable);
        assert_eq!(shape("4.04E_10.95.210.01"), Shape::Unreadable);
    }
}
