//! The host's local time, as its people read it.
#![expect(unsafe_code, reason = "the time zone is the C library's to know")]

use std::mem::MaybeUninit;

use crate::cage::hours::LocalTime;

pub(in crate::host) fn local_time(unix_ms: i64) -> Option<LocalTime> {
    let seconds: i64 = unix_ms.div_euclid(1_000);
    let mut parts = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both read the environment, which no part of this program ever changes, and the time zone's
    // files. `seconds` is read and `parts` is written during the call alone; what was written is
    // read only when the answer says that it was.
    let parts = unsafe {
        // Without this a change of the zone would be seen after a restart only.
        tzset();
        if libc::localtime_r(&raw const seconds, parts.as_mut_ptr()).is_null() {
            return None;
        }
        parts.assume_init()
    };
    let number = |it: i32| u32::try_from(it).ok();
    // The C library counts days from Sunday.
    let day = (number(parts.tm_wday)? + 6) % 7;
    let second = i64::from(parts.tm_sec.min(59));
    let into_minute_ms = second * 1_000 + unix_ms.rem_euclid(1_000);
    Some(LocalTime::new(day, number(parts.tm_hour)?, number(parts.tm_min)?, into_minute_ms))
}

// SAFETY: this is the declaration of time.h.
unsafe extern "C" {
    fn tzset();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_follow_the_clock_and_days_follow_each_other() {
        const MINUTE: i64 = 60_000;
        let at = |unix_ms| local_time(unix_ms).unwrap();
        // A Thursday in the middle of a month in which no zone moves its clock.
        let start = 1_736_942_400_000;
        let week = 7 * 24 * 60;
        for minutes in [1, 59, 60, 24 * 60, 6 * 24 * 60] {
            let (before, after) = (at(start), at(start + i64::from(minutes) * MINUTE));
            assert_eq!((before.minute_of_week + minutes) % week, after.minute_of_week);
        }
        assert_eq!(at(start + 1_234).into_minute_ms, 1_234);
        assert_eq!(at(start + MINUTE - 1).into_minute_ms, 59_999);
    }
}
