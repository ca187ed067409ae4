//! Numbers of any length, compared as text.
//!
//! Build numbers and serials outgrow every machine integer, and a peer chooses how long they are.

use std::cmp::Ordering;

/// Compares two runs of ASCII digits by value; an empty run is zero.
pub(super) fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Compares two runs of ASCII digits as what follows a decimal point: `028` is less than `9`.
pub(super) fn by_fraction(a: &str, b: &str) -> Ordering {
    a.trim_end_matches('0').cmp(b.trim_end_matches('0'))
}

/// Whether the text is one or more ASCII digits.
pub(super) fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

/// Splits off the ASCII digits that `text` starts with.
pub(super) fn split(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Whether zeros stand before the number, so that it may be meant as a fraction.
pub(super) fn is_padded(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0')
}

/// The next number.
pub(super) fn successor(digits: &str) -> String {
    let kept = digits.trim_end_matches('9');
    let nines = digits.len() - kept.len();
    let mut next = String::with_capacity(digits.len() + 1);
    match kept.char_indices().next_back() {
        Some((at, last)) => {
            next.push_str(&kept[..at]);
            // The last kept digit is below nine, so the next character is a digit too.
            next.push(char::from_digit(last.to_digit(10).unwrap_or(0) + 1, 10).unwrap_or('9'));
        }
        None => next.push('1'),
    }
    next.extend(std::iter::repeat_n('0', nines));
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_every_integer_compare_by_value() {
        let huge = "9".repeat(60);
        assert_eq!(by_value(&huge, &successor(&huge)), Ordering::Less);
        assert_eq!(by_value("007", "7"), Ordering::Equal);
        assert_eq!(by_value("", "0"), Ordering::Equal);
        assert_eq!(by_value("10", "9"), Ordering::Greater);
    }

    #[test]
    fn a_fraction_reads_from_the_left() {
        assert_eq!(by_fraction("028", "9"), Ordering::Less);
        assert_eq!(by_fraction("10", "1"), Ordering::Equal);
        assert_eq!(by_fraction("0", "00"), Ordering::Equal);
    }

    #[test]
    fn the_successor_carries() {
        assert_eq!(successor("0"), "1");
        assert_eq!(successor("19"), "20");
        assert_eq!(successor("999"), "1000");
        assert_eq!(successor("09"), "10");
    }
}
