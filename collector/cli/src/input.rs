//! What people type beside plain names: durations, dates, cursors.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// A duration such as `30s`, `5m` or `1d 2h`.
pub fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// When a decision ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// At this moment, Unix milliseconds.
    At(i64),
    /// This long from now.
    In(Duration),
}

/// Neither a date nor a duration.
#[derive(Debug, thiserror::Error)]
#[error("write a date (2027-06-30), a time (2027-06-30T12:00:00Z) or a duration (180d)")]
pub struct InvalidExpiry;

/// A date (it ends when that day begins, UTC), a time, or a duration.
pub fn expiry(text: &str) -> Result<Expiry, InvalidExpiry> {
    let day =
        Date::parse(text, format_description!("[year]-[month]-[day]")).map(|it| it.midnight().assume_utc());
    if let Ok(at) = day.or_else(|_| OffsetDateTime::parse(text, &Rfc3339)) {
        let milliseconds = at.unix_timestamp_nanos() / 1_000_000;
        return i64::try_from(milliseconds).map(Expiry::At).map_err(|_| InvalidExpiry);
    }
    duration(text).map(Expiry::In).map_err(|_| InvalidExpiry)
}

/// Neither a date nor a time.
#[derive(Debug, thiserror::Error)]
#[error("write a date (2027-06-30) or a time (2027-06-30T12:00:00Z)")]
pub struct InvalidMoment;

/// A date (the moment when that day begins, UTC) or a time, in Unix milliseconds.
pub fn moment(text: &str) -> Result<i64, InvalidMoment> {
    match expiry(text) {
        Ok(Expiry::At(at_ms)) => Ok(at_ms),
        Ok(Expiry::In(_)) | Err(_) => Err(InvalidMoment),
    }
}

/// What stands before and behind the first `=`, neither of them empty.
pub fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=').map(|(left, right)| (left.trim(), right.trim())) {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => Err("write NAME=TEXT"),
    }
}

impl Expiry {
    /// Unix milliseconds, when it is now `now_ms`.
    pub fn resolve(self, now_ms: i64) -> i64 {
        match self {
            Self::At(at_ms) => at_ms,
            Self::In(duration) => {
                now_ms.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
            }
        }
    }
}

/// The collector's cursor as a person can type it: whatever a shell or a terminal acts on is `%XX`.
pub fn cursor_to_type(cursor: &str) -> String {
    let mut typed = String::with_capacity(cursor.len());
    for byte in cursor.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./:,+@".contains(&byte) {
            typed.push(char::from(byte));
        } else {
            typed.push('%');
            typed.extend([byte >> 4, byte & 0xf].map(hex_digit));
        }
    }
    typed
}

fn hex_digit(half: u8) -> char {
    char::from_digit(half.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// The text is not a cursor that this program printed.
#[derive(Debug, thiserror::Error)]
#[error("not a cursor: use the one that the page before named")]
pub struct InvalidCursor;

/// Undoes [`cursor_to_type`].
pub fn cursor(typed: &str) -> Result<String, InvalidCursor> {
    let mut bytes = Vec::with_capacity(typed.len());
    let mut rest = typed.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let (digits, after) = after.split_at_checked(2).ok_or(InvalidCursor)?;
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidCursor)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| InvalidCursor)?);
            rest = after;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cursor_can_be_typed() {
        for text in ["hmi-01/ICSA-1/CVE-2/CSAFPID-0001", "a\0b c%41'$(x)", "\u{1b}[2J日本", ""] {
            let typed = cursor_to_type(text);
            assert!(typed.bytes().all(|it| it.is_ascii_graphic()), "{typed}");
            assert_eq!(cursor(&typed).unwrap(), text);
        }
        for typed in ["%", "%4", "%zz", "%ff", "%é"] {
            assert!(cursor(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn a_decision_ends_at_a_date_or_after_a_while() {
        assert_eq!(expiry("1970-01-02").unwrap().resolve(5), 86_400_000);
        assert_eq!(expiry("1970-01-01T00:00:01+00:00").unwrap().resolve(5), 1_000);
        assert_eq!(expiry("2h").unwrap().resolve(5), 7_200_005);
        assert!(expiry("soon").is_err());
        assert_eq!(moment("1970-01-02").unwrap(), 86_400_000);
        assert!(moment("2h").is_err());
        assert_eq!(pair("a = b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(pair("a").is_err() && pair("=b").is_err() && pair("a=").is_err());
    }
}
