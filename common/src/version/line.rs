//! The answers of the version commands, one line each: a sign or word, a tab, and the reason.
//!
//! The reason is empty when the answer needs none, and never holds a tab or a line break.

use super::range::{Containment, Range};
use super::{Comparison, Scheme};

/// Compares two versions: `<`, `=`, `>` or `?`, a tab, and why they are not comparable.
pub fn vercmp_line(scheme: Scheme, a: &str, b: &str) -> String {
    match scheme.compare(a, b) {
        Comparison::Less => "<\t".to_owned(),
        Comparison::Equal => "=\t".to_owned(),
        Comparison::Greater => ">\t".to_owned(),
        Comparison::NotComparable(reason) => format!("?\t{}", one_line(&reason.to_string())),
    }
}

/// Reads a range and asks for a version: `in`, `out` or `unknown`, a tab, and why it is unknown.
pub fn range_line(scheme: Scheme, range: &str, version: &str) -> String {
    match Range::parse(range).contains(scheme, version) {
        Containment::In => "in\t".to_owned(),
        Containment::Out => "out\t".to_owned(),
        Containment::Unknown(reason) => format!("unknown\t{}", one_line(&reason.to_string())),
    }
}

fn one_line(reason: &str) -> String {
    reason.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decided_comparison_has_a_sign_and_no_reason() {
        assert_eq!(vercmp_line(Scheme::Natural, "V7.5", "V7.5 SP1"), "<\t");
        assert_eq!(vercmp_line(Scheme::Deb, "1.0-0", "1.0"), "=\t");
        assert_eq!(vercmp_line(Scheme::Rpm, "1:1", "2"), ">\t");
        assert_eq!(
            vercmp_line(Scheme::Natural, "5.028", "5.9"),
            "?\ta zero before a number: as an integer and as a fraction they differ"
        );
    }

    #[test]
    fn a_line_has_one_tab_whatever_was_asked() {
        for hostile in ["a\tb", "< 1\n2", "\u{1}", "", "< 1 if\tx", "vers:all/\t"] {
            for line in [
                vercmp_line(Scheme::Semver, hostile, "1"),
                range_line(Scheme::Natural, hostile, "1"),
                range_line(Scheme::Natural, "< 2", hostile),
            ] {
                assert_eq!(line.matches('\t').count(), 1, "{line:?}");
                assert!(!line.contains('\n'), "{line:?}");
            }
        }
    }
}
