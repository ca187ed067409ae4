//! The order of Windows file versions and builds: up to four unsigned numbers.
//!
//! Leading zeros carry no meaning and an absent part is zero, as in `VS_FIXEDFILEINFO`. One leading
//! `v` is allowed because advisories write it. Whether two builds belong to one servicing branch at
//! all is not known here.

use std::cmp::Ordering;

use super::{Incomparable, Scheme, digits};

const PARTS: usize = 4;

pub(super) fn compare(a: &str, b: &str) -> Result<Ordering, Incomparable> {
    let (a, b) = (read(a)?, read(b)?);
    Ok(a.iter().zip(b).map(|(a, b)| digits::by_value(a, b)).find(|it| it.is_ne()).unwrap_or(Ordering::Equal))
}

fn read(text: &str) -> Result<[&str; PARTS], Incomparable> {
    let invalid = |fault| Incomparable::invalid(Scheme::Win4, text, fault);
    let trimmed = text.trim();
    let numbers = trimmed.strip_prefix(['v', 'V']).unwrap_or(trimmed);
    let mut parts = ["0"; PARTS];
    for (index, part) in numbers.split('.').enumerate() {
        if !digits::are_digits(part) {
            return Err(invalid("a part is not a number"));
        }
        *parts.get_mut(index).ok_or_else(|| invalid("it has more than four parts"))? = part;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_four_numbers_is_refused() {
        for bad in ["1.2.3.4.5", "1..2", "1.2.", ".1", "1.2a", "1,2,3", "-1", "vv1", "v", "1.2 beta"] {
            assert!(compare(bad, "1").is_err(), "{bad}");
        }
        assert_eq!(compare("V13.2.0.12", "13.2.0.9"), Ok(Ordering::Greater));
    }
}
