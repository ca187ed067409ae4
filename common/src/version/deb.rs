//! The order of Debian packages: `[epoch:]upstream[-revision]`.
//!
//! Source of truth: dpkg (`lib/dpkg/parsehelp.c` and `version.c`; deb-version(7)). What dpkg calls
//! malformed, or warns about, is refused. An empty revision is the one exception: dpkg's own library
//! orders it as no revision, so it is read like that.

use std::cmp::Ordering;

use super::{Incomparable, Scheme, digits};

/// The largest epoch that dpkg accepts.
const MAX_EPOCH: &str = "2147483647";

struct Version<'a> {
    epoch: &'a str,
    upstream: &'a str,
    revision: &'a str,
}

pub(super) fn compare(a: &str, b: &str) -> Result<Ordering, Incomparable> {
    let (a, b) = (read(a)?, read(b)?);
    Ok(digits::by_value(a.epoch, b.epoch)
        .then_with(|| compare_part(a.upstream, b.upstream))
        .then_with(|| compare_part(a.revision, b.revision)))
}

fn read(text: &str) -> Result<Version<'_>, Incomparable> {
    check(text.trim_matches(is_space)).map_err(|fault| Incomparable::invalid(Scheme::Deb, text, fault))
}

/// The white space of the C locale, which dpkg strips from both ends.
fn is_space(it: char) -> bool {
    matches!(it, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

fn check(text: &str) -> Result<Version<'_>, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    if !digits::are_digits(epoch) {
        return Err("the epoch is not a number");
    }
    if digits::by_value(epoch, MAX_EPOCH) == Ordering::Greater {
        return Err("the epoch is too large");
    }
    // The revision is what follows the last hyphen; upstream may hold hyphens of its own.
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    if upstream.is_empty() {
        return Err("the upstream version is empty");
    }
    if !upstream.starts_with(|it: char| it.is_ascii_digit()) {
        return Err("the upstream version does not start with a digit");
    }
    if !upstream.chars().all(|it| it.is_ascii_alphanumeric() || ".-+~:".contains(it)) {
        return Err("the upstream version has a sign that is not allowed");
    }
    if !revision.chars().all(|it| it.is_ascii_alphanumeric() || ".+~".contains(it)) {
        return Err("the revision has a sign that is not allowed");
    }
    Ok(Version { epoch, upstream, revision })
}

/// Compares by turns a run without digits and a number, until they differ or both end.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let (a_text, a_rest) = split_text(a);
        let (b_text, b_rest) = split_text(b);
        let (a_number, a_rest) = digits::split(a_rest);
        let (b_number, b_rest) = digits::split(b_rest);
        let order = compare_text(a_text, b_text).then_with(|| digits::by_value(a_number, b_number));
        if order.is_ne() {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
    Ordering::Equal
}

fn split_text(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(|it| !it.is_ascii_digit()).count())
}

fn compare_text(a: &str, b: &str) -> Ordering {
    // The end weighs more than a tilde and less than anything else, so it takes part.
    let weighed = |text: &str| text.bytes().map(weigh).chain([END]).collect::<Vec<_>>();
    weighed(a).cmp(&weighed(b))
}

const END: (u8, u8) = (1, 0);

/// A tilde comes before the end, letters before the other signs.
fn weigh(byte: u8) -> (u8, u8) {
    match byte {
        b'~' => (0, 0),
        it if it.is_ascii_alphabetic() => (2, it),
        it => (3, it),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_longer_than_any_integer() {
        let (a, b) = ("9".repeat(40), format!("1{}", "0".repeat(40)));
        assert_eq!(compare(&a, &b), Ok(Ordering::Less));
    }

    #[test]
    fn an_epoch_beyond_dpkg_is_refused() {
        assert_eq!(compare("2147483647:1", "1"), Ok(Ordering::Greater));
        assert!(compare("2147483648:1", "1").is_err());
        assert!(compare("+1:1", "1").is_err());
    }
}
