//! Quiet hours: when a host is not looked at, in its own local time.
//!
//! ```text
//! "22:00-02:00"            every day, over midnight
//! "Mon-Fri 05:30-06:30"    a shift change
//! "Sat,Sun 00:00-24:00"    whole days
//! ```
//! A day belongs to the start of a window: `"Sun 22:00-06:00"` ends on Monday. Minutes are those of the
//! host's clock as people read it; when that clock is moved, also by daylight saving, so are the hours.

use std::str::FromStr;

use serde::Deserialize;

/// Most windows that one host has.
pub const MAX_WINDOWS: usize = 64;

const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
const MINUTE_MS: i64 = 60_000;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A moment as the host's people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Minutes since Monday 00:00.
    pub minute_of_week: u32,
    /// Milliseconds since that minute began.
    pub into_minute_ms: i64,
}

impl LocalTime {
    /// A moment of the week.
    pub fn new(days_since_monday: u32, hour: u32, minute: u32, into_minute_ms: i64) -> Self {
        let minute = (days_since_monday * DAY + hour * 60 + minute) % WEEK;
        Self { minute_of_week: minute, into_minute_ms }
    }
}

/// Windows of the week.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct QuietHours(Vec<Window>);

/// A window on one or more days.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// On which days it starts, from Monday.
    days: [bool; 7],
    /// Minute of the day.
    start: u32,
    /// Minutes, at least one and at most a day.
    length: u32,
}

/// Why a text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no window of quiet hours: {why}; write \"22:00-02:00\" or \"Mon-Fri 05:30-06:30\"")]
pub struct InvalidHours {
    text: String,
    why: &'static str,
}

impl QuietHours {
    /// Whether there is no window at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Milliseconds until it is quiet no more; `None` when it is not quiet now, and
    /// `Some(None)` when the windows cover the whole week.
    pub fn left_ms(&self, now: LocalTime) -> Option<Option<i64>> {
        let mut minutes = self.left(now.minute_of_week)?;
        // Windows that follow each other are one.
        while let Some(more) = self.left((now.minute_of_week + minutes) % WEEK) {
            minutes += more;
            if minutes >= WEEK {
                return Some(None);
            }
        }
        Some(Some(i64::from(minutes) * MINUTE_MS - now.into_minute_ms))
    }

    /// Minutes that the longest window around a minute of the week still has.
    fn left(&self, minute: u32) -> Option<u32> {
        self.0.iter().filter_map(|it| it.left(minute)).max()
    }
}

impl TryFrom<Vec<String>> for QuietHours {
    type Error = InvalidHours;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidHours> {
        match texts.get(MAX_WINDOWS) {
            Some(text) => Err(InvalidHours { text: text.clone(), why: "a host has at most 64" }),
            None => texts.iter().map(|it| it.parse()).collect::<Result<_, _>>().map(Self),
        }
    }
}

impl Window {
    fn left(&self, minute: u32) -> Option<u32> {
        let starts = (0..7).zip(self.days).filter(|(_, is_meant)| *is_meant);
        starts
            .filter_map(|(day, _)| {
                let since = (minute + WEEK - (day * DAY + self.start)) % WEEK;
                self.length.checked_sub(since).filter(|it| *it > 0)
            })
            .max()
    }
}

impl FromStr for Window {
    type Err = InvalidHours;

    fn from_str(text: &str) -> Result<Self, InvalidHours> {
        parse(text).map_err(|why| InvalidHours { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<Window, &'static str> {
    let mut words = text.split_whitespace();
    let (days, hours) = match (words.next(), words.next(), words.next()) {
        (Some(hours), None, _) => ([true; 7], hours),
        (Some(days), Some(hours), None) => (days_of(days)?, hours),
        _ => return Err("it has at most two words, days and hours"),
    };
    let (start, end) = hours.split_once('-').ok_or("hours are two times with a dash between")?;
    let (start, end) = (time(start)?, time(end)?);
    if start == DAY {
        return Err("a day starts at 00:00");
    }
    // "00:00-24:00" is a whole day; "05:00-05:00" could be that or nothing.
    let length = if end > start { end - start } else { end + DAY - start };
    if end == start { Err("it starts when it ends") } else { Ok(Window { days, start, length }) }
}

fn days_of(text: &str) -> Result<[bool; 7], &'static str> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (day(first)?, self::day(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}

fn day(text: &str) -> Result<usize, &'static str> {
    DAYS.iter()
        .position(|it| it.eq_ignore_ascii_case(text))
        .ok_or("days are Mon, Tue, Wed, Thu, Fri, Sat, Sun")
}

/// Minutes since midnight, at most 24:00.
fn time(text: &str) -> Result<u32, &'static str> {
    const WHAT: &str = "times are HH:MM, from 00:00 to 24:00";
    let (hour, minute) = text.split_once(':').ok_or(WHAT)?;
    let number = |it: &str| {
        let is_two = it.len() == 2 && it.bytes().all(|it| it.is_ascii_digit());
        is_two.then(|| it.parse::<u32>().ok()).flatten().ok_or(WHAT)
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let minutes = hour * 60 + minute;
    if minute < 60 && minutes <= DAY { Ok(minutes) } else { Err(WHAT) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hours(texts: &[&str]) -> QuietHours {
        QuietHours::try_from(texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    /// Minutes left on a day of the week at a time; -1 when it is not quiet.
    fn left(texts: &[&str], day: u32, hour: u32, minute: u32) -> i64 {
        match hours(texts).left_ms(LocalTime::new(day, hour, minute, 0)) {
            None => -1,
            Some(None) => i64::MAX,
            Some(Some(left)) => left / MINUTE_MS,
        }
    }

    #[test]
    fn a_window_holds_from_its_first_minute_to_before_its_last() {
        let shift = ["Mon-Fri 05:30-06:30"];
        assert_eq!(left(&shift, 0, 5, 29), -1);
        assert_eq!(left(&shift, 0, 5, 30), 60);
        assert_eq!(left(&shift, 4, 6, 29), 1);
        assert_eq!(left(&shift, 4, 6, 30), -1);
        assert_eq!(left(&shift, 5, 6, 0), -1, "not on Saturday");
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_starts() {
        assert_eq!(left(&["22:00-02:00"], 2, 23, 0), 180);
        assert_eq!(left(&["22:00-02:00"], 2, 1, 0), 60);
        let sunday = ["Sun 22:00-06:00"];
        assert_eq!(left(&sunday, 6, 21, 59), -1);
        assert_eq!(left(&sunday, 6, 23, 0), 420);
        assert_eq!(left(&sunday, 0, 5, 0), 60, "over the week's end");
        assert_eq!(left(&sunday, 1, 5, 0), -1);
        assert_eq!(left(&["Sat,Sun 00:00-24:00"], 5, 0, 0), 2 * 24 * 60);
        assert_eq!(left(&["Fri-Mon 12:00-13:00"], 0, 12, 0), 60);
        assert_eq!(left(&["fri-mon 12:00-13:00"], 3, 12, 0), -1);
    }

    #[test]
    fn windows_that_follow_each_other_are_one_and_a_whole_week_has_no_end() {
        assert_eq!(left(&["20:00-22:00", "21:00-23:00", "23:00-01:00"], 1, 20, 30), 4 * 60 + 30);
        assert_eq!(left(&["00:00-24:00"], 3, 12, 0), i64::MAX);
        let part = hours(&["10:00-10:01"]).left_ms(LocalTime::new(0, 10, 0, 59_000));
        assert_eq!(part, Some(Some(1_000)));
        assert_eq!(hours(&[]).left_ms(LocalTime::new(0, 0, 0, 0)), None);
    }

    #[test]
    fn what_is_no_window_is_refused_with_the_reason() {
        for (text, word) in [
            ("", "two words"),
            ("Mon Tue 05:00-06:00", "two words"),
            ("05:00", "dash"),
            ("5:00-6:00", "HH:MM"),
            ("05:00-25:00", "HH:MM"),
            ("05:60-06:00", "HH:MM"),
            ("24:00-06:00", "00:00"),
            ("05:00-05:00", "starts when it ends"),
            ("Mo 05:00-06:00", "Mon"),
            ("Mon- 05:00-06:00", "Mon"),
            ("+1:00-02:00", "HH:MM"),
        ] {
            let error = text.parse::<Window>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(QuietHours::try_from(vec!["22:00-02:00".to_owned(); MAX_WINDOWS + 1]).is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic_and_every_end_comes(text in "[A-Za-z,]{0,8} ?[0-9:-]{0,12}", minute in 0..WEEK) {
            if let Ok(window) = text.parse::<Window>() {
                let hours = QuietHours(vec![window]);
                let now = LocalTime { minute_of_week: minute, into_minute_ms: 0 };
                if let Some(Some(left)) = hours.left_ms(now) {
                    prop_assert!(left > 0);
                    let then = (minute + u32::try_from(left / MINUTE_MS).unwrap()) % WEEK;
                    prop_assert_eq!(hours.left_ms(LocalTime { minute_of_week: then, ..now }), None);
                }
            }
        }
    }
}
