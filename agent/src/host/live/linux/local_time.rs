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
