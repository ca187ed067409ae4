//! The order of vendors who count each dotted part, declared by a product rule.
//!
//! The spellings are those of [`super::natural`]; the one difference is that a zero before a number
//! has no meaning, so `5.028` is newer than `5.9`. Only a rule may say that this holds.

use std::cmp::Ordering;

use super::{Incomparable, natural};

pub(super) fn compare(a: &str, b: &str) -> Result<Ordering, Incomparable> {
    natural::compare(a, b, natural::Parts::Integers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_has_no_meaning() {
        assert_eq!(compare("5.028", "5.9"), Ok(Ordering::Greater));
        assert_eq!(compare("v36.011", "36.11.0"), Ok(Ordering::Equal));
    }
}
