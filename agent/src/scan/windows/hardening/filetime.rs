//! Windows' own count of time: 100 nanoseconds since 1601, as `FILETIME`.

use time::OffsetDateTime;

/// Seconds between 1601 and 1970.
const TO_UNIX: i64 = 11_644_473_600;

/// The day of a count, "YYYY-MM-DD"; `None` for 0, which is "never", and for what no calendar has.
pub(super) fn day(count: u64) -> Option<String> {
    if count == 0 {
        return None;
    }
    let seconds = i64::try_from(count / 10_000_000).ok()? - TO_UNIX;
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok()?.date();
    (0..=9_999)
        .contains(&date.year())
        .then(|| format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()))
}

/// The day of a count as a value of the registry keeps it.
pub(super) fn day_of_bytes(bytes: &[u8]) -> Option<String> {
    day(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?))
}

/// The month of a count of seconds since 1970, "YYYY-MM"; `None` for what no calendar has. Of what people do
/// every day no more is told, or it would move by itself.
pub(in crate::scan::windows) fn month(seconds: i64) -> Option<String> {
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok()?.date();
    (1_970..=9_999)
        .contains(&date.year())
        .then(|| format!("{:04}-{:02}", date.year(), u8::from(date.month())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_day() {
        assert_eq!(day(132_223_104_000_000_000).as_deref(), Some("2020-01-01"));
        assert_eq!(day(0), None);
        assert_eq!(day(u64::MAX), None);
        assert_eq!(day_of_bytes(&132_223_104_000_000_000u64.to_le_bytes()).as_deref(), Some("2020-01-01"));
        assert_eq!(day_of_bytes(&[1, 2, 3]), None);
        assert_eq!(month(1_700_000_000).as_deref(), Some("2023-11"));
        assert_eq!((month(i64::MAX), month(-1)), (None, None));
    }
}
