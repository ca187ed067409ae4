//! What keeps the agent from looking at its host now: quiet hours, or a person with `touch`.
//!
//! Source of truth: the host's clock and the existence of one file. The agent goes on talking to its
//! collector, and answers a challenge with the reason and the time at which it may look again.
//! A file that cannot be looked at counts as there: when in doubt the agent does less.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::hours::{LocalTime, QuietHours};
use crate::host::local_time;

/// What an administrator chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holds {
    pub(crate) quiet_hours: QuietHours,
    pub(crate) kill_file: PathBuf,
}

/// Why the agent does not look now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// The kill file is there.
    KillFile {
        /// Where.
        path: PathBuf,
    },
    /// The host's clock is within quiet hours.
    QuietHours {
        /// When they end, Unix milliseconds; `None` when they never do.
        until_ms: Option<i64>,
    },
}

impl Hold {
    /// The word of the wire.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::KillFile { .. } => "kill-file",
            Self::QuietHours { .. } => "quiet-hours",
        }
    }

    /// When the agent may look again, Unix milliseconds; `None` when nobody can say.
    pub fn until_ms(&self) -> Option<i64> {
        match self {
            Self::KillFile { .. } => None,
            Self::QuietHours { until_ms } => *until_ms,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillFile { path } => {
                write!(f, "the kill file {} is there; remove it to let the agent look", path.display())
            }
            Self::QuietHours { until_ms: Some(until_ms) } => {
                write!(f, "quiet hours last until {}", holdpoint_common::clock::readable(*until_ms))
            }
            Self::QuietHours { until_ms: None } => f.write_str("quiet hours cover the whole week"),
        }
    }
}

impl Holds {
    /// What holds now.
    pub(crate) fn now(&self, now_ms: i64) -> Option<Hold> {
        self.of(&self.kill_file.symlink_metadata().map(|_| ()), now_ms, local_time)
    }

    fn of(
        &self,
        kill_file: &io::Result<()>,
        now_ms: i64,
        local_time: impl Fn(i64) -> Option<LocalTime>,
    ) -> Option<Hold> {
        let is_absent =
            |it: &io::Error| matches!(it.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        if !kill_file.as_ref().is_err_and(is_absent) {
            return Some(Hold::KillFile { path: self.kill_file.clone() });
        }
        if self.quiet_hours.is_empty() {
            return None;
        }
        match local_time(now_ms) {
            // Nobody can say what the host's people call this hour: it may be a quiet one.
            None => Some(Hold::QuietHours { until_ms: None }),
            Some(local) => {
                let left = self.quiet_hours.left_ms(local)?;
                Some(Hold::QuietHours { until_ms: left.map(|it| now_ms.saturating_add(it)) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn holds(hours: &[&str]) -> Holds {
        let hours: Vec<String> = hours.iter().map(|it| (*it).to_owned()).collect();
        Holds { quiet_hours: hours.try_into().unwrap(), kill_file: "/state/kill".into() }
    }

    fn absent() -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }

    #[test]
    fn a_file_that_is_there_or_may_be_there_holds() {
        let at = |file| holds(&[]).of(&file, NOW, |_| None).map(|it| it.reason());
        assert_eq!(at(Ok(())), Some("kill-file"));
        assert_eq!(at(Err(io::ErrorKind::PermissionDenied.into())), Some("kill-file"));
        assert_eq!(at(absent()), None);
        assert_eq!(at(Err(io::ErrorKind::NotADirectory.into())), None);
    }

    #[test]
    fn quiet_hours_say_when_they_end_and_a_file_outlasts_them() {
        let holds = holds(&["05:30-06:30"]);
        let at = |hour, minute| move |_| Some(LocalTime::new(2, hour, minute, 1_000));
        assert_eq!(holds.of(&absent(), NOW, at(5, 29)), None);
        let hold = holds.of(&absent(), NOW, at(6, 0)).unwrap();
        assert_eq!((hold.reason(), hold.until_ms()), ("quiet-hours", Some(NOW + 29 * 60_000 + 59_000)));
        assert_eq!(holds.of(&Ok(()), NOW, at(6, 0)).unwrap().until_ms(), None);
        assert_eq!(holds.of(&absent(), NOW, |_| None), Some(Hold::QuietHours { until_ms: None }));
    }

    #[test]
    fn a_person_reads_what_holds_and_what_to_do() {
        let hold = Hold::KillFile { path: "/var/lib/holdpoint-agent/kill".into() };
        assert!(hold.to_string().contains("/var/lib/holdpoint-agent/kill is there; remove it"));
        let hold = Hold::QuietHours { until_ms: Some(0) };
        assert_eq!(hold.to_string(), "quiet hours last until 1970-01-01T00:00:00Z");
    }
}
