//! What the commands answer, as programs see it: the JSON contract and its tables.
//!
//! Each view is built from the wire's message, field by field, so that a new field breaks the
//! build here. Absent is `null` and never empty text; times are RFC 3339 in UTC. The shapes
//! are described in `schemas/`, and the tests hold the two together.

pub mod asset;
pub mod audit;
pub mod baseline;
pub mod change;
pub mod comparison;
pub mod control;
pub mod disposition;
pub mod drift;
pub mod duty;
pub mod enrolled;
pub mod event;
pub mod evidence;
pub mod explanation;
pub mod feed;
pub mod finding;
pub mod fleet;
pub mod hardening;
pub mod import;
pub mod joined;
pub mod lint;
pub mod map;
pub mod map_whole;
pub mod pack;
pub mod patch;
pub mod placement;
pub mod rescan;
#[cfg(test)]
mod schema;
pub mod section;
pub mod software;
pub mod statement;
pub mod summary;
pub mod triage;
pub mod version;

use holdpoint_common::proto::v1::SectionKind;
use holdpoint_common::row::section_name;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const NS_PER_MS: i128 = 1_000_000;

/// RFC 3339 in UTC; `None` for a time that no calendar has.
pub(crate) fn rfc3339(unix_ms: i64) -> Option<String> {
    time(unix_ms)
}

/// RFC 3339 in UTC; `None` for a time that no calendar has.
fn time(unix_ms: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * NS_PER_MS).ok()?.format(&Rfc3339).ok()
}

/// The same for people: to the second, which is as good as plant clocks are.
fn short_time(time: Option<&str>) -> Option<String> {
    let time = time?;
    let (seconds, _) = time.split_once(['.', 'Z'])?;
    Some(format!("{}Z", seconds.replace('T', " ")))
}

/// Empty text is absent.
fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// An optional text in which empty means absent too.
fn some_text(it: Option<String>) -> Option<String> {
    it.and_then(text)
}

/// Bytes as hexadecimal digits; no bytes are absent.
fn hex(bytes: &[u8]) -> Option<String> {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    text(bytes.iter().flat_map(|it| [digit(it >> 4), digit(it & 0xf)]).collect())
}

/// The name of a section's kind; a newer collector's kind keeps its number.
fn kind_name(kind: i32) -> String {
    SectionKind::try_from(kind).map_or_else(|_| format!("kind-{kind}"), |it| section_name(it).to_owned())
}

/// A list in one cell.
fn joined(list: &[String]) -> Option<String> {
    text(list.join(", "))
}

/// A number in a cell.
#[expect(clippy::unnecessary_wraps, reason = "a cell is optional, and this one is always there")]
fn number(it: impl Copy + ToString) -> Option<String> {
    Some(it.to_string())
}

/// An age in a cell: the two largest units.
#[expect(clippy::unnecessary_wraps, reason = "a cell is optional, and this one is always there")]
fn age(seconds: u64) -> Option<String> {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", rest / size));
            rest %= size;
        }
    }
    Some(if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_impossible_ones_absent() {
        assert_eq!(time(1_700_000_000_123).as_deref(), Some("2023-11-14T22:13:20.123Z"));
        assert_eq!(time(i64::MAX), None);
        assert_eq!(short_time(Some("2023-11-14T22:13:20.123Z")).as_deref(), Some("2023-11-14 22:13:20Z"));
        assert_eq!(short_time(Some("2023-11-14T22:13:20Z")).as_deref(), Some("2023-11-14 22:13:20Z"));
    }

    #[test]
    fn absent_is_never_empty_text() {
        assert_eq!((text(String::new()), some_text(Some(String::new())), hex(&[])), (None, None, None));
        assert_eq!(hex(&[0, 255]).as_deref(), Some("00ff"));
        assert_eq!(kind_name(99), "kind-99");
    }

    #[test]
    fn ages_show_their_two_largest_units() {
        let ages: Vec<_> = [0, 59, 3_600, 90_061].into_iter().filter_map(age).collect();
        assert_eq!(ages, ["0 s", "59 s", "1 h", "1 d 1 h"]);
    }
}
