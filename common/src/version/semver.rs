//! The order of Semantic Versioning 2.0, a little wider than its text.
//!
//! Vendors who follow it still write a leading `v`, leave out parts, or add more; those numbers are
//! compared with missing parts as zero. Build metadata takes no part. Leading zeros and empty
//! identifiers stay refused: they are the sign of a vendor who does not follow it.

use std::cmp::Ordering;

use super::{Incomparable, Scheme, digits};

struct Version<'a> {
    numbers: Vec<&'a str>,
    /// Empty for a release.
    pre_release: Vec<&'a str>,
}

pub(super) fn compare(a: &str, b: &str) -> Result<Ordering, Incomparable> {
    let (a, b) = (read(a)?, read(b)?);
    Ok(compare_numbers(&a.numbers, &b.numbers)
        .then_with(|| compare_pre_releases(&a.pre_release, &b.pre_release)))
}

fn read(text: &str) -> Result<Version<'_>, Incomparable> {
    check(text).map_err(|fault| Incomparable::invalid(Scheme::Semver, text, fault))
}

fn check(text: &str) -> Result<Version<'_>, &'static str> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (text, build) = text.split_once('+').map_or((text, None), |(it, build)| (it, Some(build)));
    let (core, pre_release) = text.split_once('-').map_or((text, None), |(it, pre)| (it, Some(pre)));

    let numbers: Vec<_> = core.split('.').collect();
    if !numbers.iter().all(|it| digits::are_digits(it)) {
        return Err("a part is not a number");
    }
    let pre_release: Vec<_> = pre_release.map_or_else(Vec::new, |it| it.split('.').collect());
    let mut identifiers = pre_release.iter().copied().chain(build.into_iter().flat_map(|it| it.split('.')));
    if !identifiers.all(is_identifier) {
        return Err("an identifier is empty or has a sign that is not allowed");
    }
    let padded = |it: &&str| digits::are_digits(it) && digits::is_padded(it);
    if numbers.iter().any(padded) || pre_release.iter().any(padded) {
        return Err("a number has leading zeros");
    }
    Ok(Version { numbers, pre_release })
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

fn compare_numbers(a: &[&str], b: &[&str]) -> Ordering {
    (0..a.len().max(b.len()))
        .map(|index| {
            digits::by_value(a.get(index).copied().unwrap_or("0"), b.get(index).copied().unwrap_or("0"))
        })
        .find(|it| it.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_pre_releases(a: &[&str], b: &[&str]) -> Ordering {
    // A release comes after all of its pre-releases.
    a.is_empty().cmp(&b.is_empty()).then_with(|| {
        a.iter()
            .zip(b)
            .map(|(a, b)| compare_identifiers(a, b))
            .find(|it| it.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len()))
    })
}

fn compare_identifiers(a: &str, b: &str) -> Ordering {
    match (digits::are_digits(a), digits::are_digits(b)) {
        (true, true) => digits::by_value(a, b),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_resembles_a_semantic_version_is_refused() {
        for bad in ["1.02.3", "1.2.3-", "1.2.3-a..b", "1.2.3+", "1.2.3-01", "1.2.x", "V", "1.2.3 SP1", "1..2"]
        {
            assert!(compare(bad, "1.0.0").is_err(), "{bad}");
        }
    }

    #[test]
    fn missing_parts_are_zero() {
        assert_eq!(compare("v1", "1.0.0"), Ok(Ordering::Equal));
        assert_eq!(compare("1.2", "1.2.1"), Ok(Ordering::Less));
    }
}
