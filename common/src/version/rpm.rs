//! The order of RPM packages: `[epoch:]version[-release]`.
//!
//! Source of truth: `rpmvercmp` as reimplemented by the crate rpm-version. What rpm itself would not
//! build (white space, an empty field, a second hyphen, an epoch that is no number) is refused here,
//! because the crate answers it somehow. A missing release comes before every release.

use std::cmp::Ordering;

use rpm_version::Evr;

use super::{Incomparable, Scheme, digits};

/// The largest epoch that rpm can store.
const MAX_EPOCH: &str = "4294967295";

pub(super) fn compare(a: &str, b: &str) -> Result<Ordering, Incomparable> {
    Ok(read(a)?.cmp(&read(b)?))
}

fn read(text: &str) -> Result<Evr<'_>, Incomparable> {
    check(text).map_err(|fault| Incomparable::invalid(Scheme::Rpm, text, fault))
}

fn check(text: &str) -> Result<Evr<'_>, &'static str> {
    if text.chars().any(|it| it.is_whitespace() || it.is_control()) {
        return Err("it holds white space");
    }
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    if !digits::are_digits(epoch) {
        return Err("the epoch is not a number");
    }
    if digits::by_value(epoch, MAX_EPOCH) == Ordering::Greater {
        return Err("the epoch is too large");
    }
    let (version, release) = match rest.split_once('-') {
        Some((_, "")) => return Err("the release is empty"),
        Some(parts) => parts,
        None => (rest, ""),
    };
    if version.is_empty() {
        return Err("the version is empty");
    }
    if release.contains('-') {
        return Err("it has more than one hyphen");
    }
    if rest.contains(':') {
        return Err("it has more than one colon");
    }
    Ok(Evr::new(epoch, version, release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_decides_before_the_version_and_the_version_before_the_release() {
        assert_eq!(compare("1:1.0-1", "9.0-9"), Ok(Ordering::Greater));
        assert_eq!(compare("0:1.0-1.el9", "1.0-1.el9"), Ok(Ordering::Equal));
        assert_eq!(compare("1.0-2.el9", "1.0-10.el9"), Ok(Ordering::Less));
        assert_eq!(compare("1.0", "1.0-1"), Ok(Ordering::Less));
    }

    #[test]
    fn what_rpm_would_not_build_is_refused() {
        for bad in ["1-", "-1", "1-2-3", "a:1-1", ":1-1", "1:2:3", "1 0", "4294967296:1"] {
            assert!(compare(bad, "1").is_err(), "{bad}");
        }
    }
}
