//! Which of two revisions of an advisory is the newer one.
//!
//! Revisions of one advisory share a *family*: the tracking identifier without its update letter
//! (`ICSA-17-187-03F` is of the family `ICSA-17-187-03`). Within a family the letter decides, then
//! the tracking version, then the release date; what cannot be ordered is refused, not guessed.

use std::cmp::Ordering;

use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, OffsetDateTime, PrimitiveDateTime};

/// What orders revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The tracking identifier as written.
    pub id: String,
    /// The tracking version as written: a number, a semantic version, or the time of the last change.
    pub version: String,
    /// Release date of this revision, Unix milliseconds; `None` when it cannot be read.
    pub released_ms: Option<i64>,
}

impl Revision {
    /// The identifier without its update letter.
    pub fn family(&self) -> &str {
        family(&self.id)
    }

    /// How this revision stands to another one of the family; `None` when nobody can tell.
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        let letter = letter(&self.id).cmp(&letter(&other.id));
        if letter != Ordering::Equal {
            return Some(letter);
        }
        match versions(&self.version, &other.version) {
            Some(Ordering::Equal) | None => match (self.released_ms, other.released_ms) {
                (Some(one), Some(two)) => {
                    let dates = one.cmp(&two);
                    // Equal dates settle nothing for versions that cannot be compared.
                    (dates != Ordering::Equal || self.version == other.version).then_some(dates)
                }
                _ => (self.version == other.version).then_some(Ordering::Equal),
            },
            decided => decided,
        }
    }
}

/// The identifier without its update letter.
pub fn family(id: &str) -> &str {
    match letter(id) {
        Some(_) => &id[..id.len() - 1],
        None => id,
    }
}

/// The update letter: a single capital after a digit at the end.
fn letter(id: &str) -> Option<char> {
    let mut backwards = id.chars().rev();
    let last = backwards.next().filter(char::is_ascii_uppercase)?;
    backwards.next().filter(char::is_ascii_digit).map(|_| last)
}

/// A date or time as files write it, in Unix milliseconds: RFC 3339; a time without an offset and a day alone are
/// UTC. `None` when it cannot be read.
pub fn moment(text: &str) -> Option<i64> {
    i64::try_from(instant(text)? / 1_000_000).ok()
}

/// The same in Unix nanoseconds.
fn instant(text: &str) -> Option<i128> {
    let text = text.trim();
    // Longer than any date; parsers of dates need not see more.
    if text.len() > 64 {
        return None;
    }
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| PrimitiveDateTime::parse(text, &Iso8601::DATE_TIME).map(PrimitiveDateTime::assume_utc))
        .or_else(|_| Date::parse(text, &Iso8601::DATE).map(|it| it.midnight().assume_utc()));
    time.ok().map(OffsetDateTime::unix_timestamp_nanos)
}

/// Orders two tracking versions of the same kind.
fn versions(one: &str, two: &str) -> Option<Ordering> {
    match (Version::read(one)?, Version::read(two)?) {
        (Version::Number(one), Version::Number(two)) => Some(one.cmp(&two)),
        (Version::Semantic(one), Version::Semantic(two)) => Some(one.cmp(&two)),
        (Version::Moment(one), Version::Moment(two)) => Some(one.cmp(&two)),
        (Version::Number(_) | Version::Semantic(_) | Version::Moment(_), _) => None,
    }
}

enum Version {
    Number(u64),
    /// Core, then whether it is a release, then the pre-release parts.
    Semantic(([u64; 3], bool, Vec<Part>)),
    /// Unix nanoseconds.
    Moment(i128),
}

/// A part of a pre-release: numbers come before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

impl Version {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Some(Self::Number(number));
        }
        if let Some(moment) = instant(text) {
            return Some(Self::Moment(moment));
        }
        let text = text.split('+').next()?;
        let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        let core: Vec<u64> = core.split('.').map(|it| it.parse().ok()).collect::<Option<_>>()?;
        let core = <[u64; 3]>::try_from(core).ok()?;
        let parts = pre.into_iter().flat_map(|it| it.split('.'));
        let parts =
            parts.map(|it| it.parse().map_or_else(|_| Part::Word(it.to_owned()), Part::Number)).collect();
        Some(Self::Semantic((core, pre.is_none(), parts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(id: &str, version: &str, released_ms: i64) -> Revision {
        Revision { id: id.into(), version: version.into(), released_ms: Some(released_ms) }
    }

    fn order(one: &str, two: &str) -> Option<Ordering> {
        revision("A-1", one, 5).order(&revision("A-1", two, 5))
    }

    #[test]
    fn an_update_letter_is_no_part_of_the_family() {
        assert_eq!(family("ICSA-17-187-03F"), "ICSA-17-187-03");
        assert_eq!(family("ICSA-17-187-03"), "ICSA-17-187-03");
        assert_eq!(family("SSA-123456"), "SSA-123456");
        assert_eq!(family("NOTICE"), "NOTICE");
        assert_eq!(family(""), "");
        let (first, sixth) = (revision("ICSA-17-187-03", "9", 0), revision("ICSA-17-187-03F", "1", 0));
        assert_eq!(first.order(&sixth), Some(Ordering::Less));
    }

    #[test]
    fn versions_are_ordered_as_numbers_and_not_as_text() {
        assert_eq!(order("9", "10"), Some(Ordering::Less));
        assert_eq!(order("1.9.0", "1.10.0"), Some(Ordering::Less));
        assert_eq!(order("1.0.0-rc.2", "1.0.0-rc.10"), Some(Ordering::Less));
        assert_eq!(order("1.0.0-rc.1", "1.0.0"), Some(Ordering::Less));
        assert_eq!(order("2", "2"), Some(Ordering::Equal));
    }

    #[test]
    fn a_time_of_change_is_a_version() {
        assert_eq!(order("2026-11-20T08:00:00", "2026-11-20T08:00:00.5Z"), Some(Ordering::Less));
        assert_eq!(order("2026-11-20T08:00:00+02:00", "2026-11-20T07:00:00Z"), Some(Ordering::Less));
        assert_eq!(moment("1970-01-02"), Some(86_400_000));
        assert_eq!(moment("1970-01-01T00:00:01.5Z"), Some(1_500));
        assert_eq!(moment("yesterday"), None);
        assert_eq!(moment(&"1".repeat(100_000)), None);
        assert_eq!(order("2026-11-20T08:00:00Z", "1.0.0"), None);
    }

    #[test]
    fn what_cannot_be_ordered_is_left_to_the_date_and_else_refused() {
        assert_eq!(order("2", "1.0.0"), None);
        assert_eq!(order("two", "three"), None);
        let (one, two) = (revision("A-1", "2", 5), revision("A-1", "1.0.0", 9));
        assert_eq!(one.order(&two), Some(Ordering::Less));
    }
}
