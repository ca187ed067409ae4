//! What a host's people read in the system's own log: a handful of events with numbers, in whole sentences.
//!
//! A notice is an ordinary log line with the field `notice`. Where the system has a log for such
//! events (Windows), [`Notices`] hands them on to it; everywhere else they are lines among others.
//! Nothing but notices goes there: a plant's event log is not a place for details.

use std::fmt::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The field by which a notice is known.
const FIELD: &str = "notice";
/// How long the same sentence is not said again.
const QUIET: Duration = Duration::from_hours(1);
/// Longest text of a notice, bytes; the event log takes 31,839 characters, a reader far less.
const MAX_TEXT: usize = 4_096;

/// An event that concerns people. Numbers are part of the contract with whoever filters by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// The agent runs.
    Started,
    /// The agent was stopped.
    Stopped,
    /// This host got its identity.
    Enrolled,
    /// This host has no identity yet; says how it gets one.
    NotEnrolled,
    /// The collector refuses this host; with the reason code.
    Refused,
    /// The host is not looked at now: quiet hours or the kill file.
    Paused,
    /// The host is looked at again.
    Resumed,
    /// What the agent writes may not be there after a restart.
    Volatile,
    /// The agent cannot run.
    Failed,
}

/// How serious a notice is; the three words of the Windows event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// For the record.
    Information,
    /// Someone should look this week.
    Warning,
    /// The agent cannot do its job.
    Error,
}

const ALL: [Notice; 9] = [
    Notice::Started,
    Notice::Stopped,
    Notice::Enrolled,
    Notice::NotEnrolled,
    Notice::Refused,
    Notice::Paused,
    Notice::Resumed,
    Notice::Volatile,
    Notice::Failed,
];

impl Notice {
    /// Its number: the event id.
    pub fn id(self) -> u16 {
        match self {
            Self::Started => 1,
            Self::Stopped => 2,
            Self::Enrolled => 3,
            Self::NotEnrolled => 4,
            Self::Refused => 5,
            Self::Paused => 6,
            Self::Resumed => 7,
            Self::Volatile => 8,
            Self::Failed => 9,
        }
    }

    /// How serious it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Started | Self::Stopped | Self::Enrolled | Self::Paused | Self::Resumed => {
                Severity::Information
            }
            Self::NotEnrolled | Self::Refused | Self::Volatile => Severity::Warning,
            Self::Failed => Severity::Error,
        }
    }

    fn of(id: u64) -> Option<Self> {
        ALL.into_iter().find(|it| u64::from(it.id()) == id)
    }
}

/// Where notices go: takes one with its text.
pub type Sink = Box<dyn Fn(Notice, &str) + Send + Sync>;

/// Hands notices on; a sentence that was just said is not said again within an hour.
pub struct Notices {
    sink: Sink,
    last: Mutex<Option<(Notice, String, Instant)>>,
}

impl Notices {
    /// Notices for one log.
    pub fn to(sink: Sink) -> Self {
        Self { sink, last: Mutex::new(None) }
    }

    fn say(&self, notice: Notice, text: String) {
        // A panic elsewhere while it was held leaves a whole value.
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_repeated =
            last.as_ref().is_some_and(|(n, t, at)| *n == notice && *t == text && at.elapsed() < QUIET);
        if !is_repeated {
            (self.sink)(notice, &text);
            *last = Some((notice, text, Instant::now()));
        }
    }
}

impl<S: Subscriber> Layer<S> for Notices {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut sentence = Sentence::default();
        event.record(&mut sentence);
        if let Some(notice) = sentence.notice {
            self.say(notice, sentence.text());
        }
    }
}

/// A log line as one text: the message, then what belongs to it.
#[derive(Default)]
struct Sentence {
    notice: Option<Notice>,
    message: String,
    details: String,
}

impl Sentence {
    fn text(self) -> String {
        let mut text = if self.details.is_empty() {
            self.message
        } else {
            format!("{} ({})", self.message, self.details)
        };
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text
    }

    fn detail(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let between = if self.details.is_empty() { "" } else { ", " };
        // Writing to a text does not fail.
        let _ = write!(self.details, "{between}{}: {value}", field.name());
    }
}

impl Visit for Sentence {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            FIELD => {}
            _ => self.detail(field, format_args!("{value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            FIELD => {}
            _ => self.detail(field, format_args!("{value}")),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == FIELD {
            self.notice = Notice::of(value);
        } else {
            self.detail(field, format_args!("{value}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.detail(field, format_args!("{}", holdpoint_common::chain::Chain(value)));
    }
}

#[cfg(test)]
#[path = "notice_tests.rs"]
mod tests;
