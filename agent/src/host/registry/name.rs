//! Names of keys and values: compared without regard to case, character by character, as Windows does.

use std::cmp::Ordering;

/// A character as names are compared. Windows maps one code unit to one; where Unicode's upper case is
/// longer, or turns a foreign letter into an ASCII one, Windows leaves the letter alone.
fn folded(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(it), None) if it.is_ascii() == letter.is_ascii() => it,
        _ => letter,
    }
}

/// A name in the one case in which names are compared.
pub(super) fn fold(name: &str) -> Box<str> {
    name.chars().map(folded).collect::<String>().into_boxed_str()
}

/// Whether two names are the same.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.chars().map(folded).cmp(b.chars().map(folded)) == Ordering::Equal
}

/// The parts of a key's path.
pub(super) fn parts(key: &str) -> impl Iterator<Item = &str> {
    key.split('\\').filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_any_case_and_no_letter_becomes_another() {
        assert!(same("Überwachung", "ÜBERWACHUNG") && same("WOW6432Node", "Wow6432NODE"));
        for (a, b) in [("STRASSE", "straße"), ("kernel", "\u{212A}ernel"), ("I", "ı"), ("a", "ab")] {
            assert!(!same(a, b), "{a} {b}");
        }
        assert_eq!(&*fold("Straße"), "STRAßE");
    }
}
