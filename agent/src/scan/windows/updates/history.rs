//! How the host came to its updates: the outcome of the update agent's log, replayed in the order of time.
//!
//! Source of truth: `Windows/SoftwareDistribution/ReportingEvents.log`, UTF-16 with a byte-order mark, one
//! event a line, 12 or 13 fields between tabs: the second is the time with its offset from UTC, the
//! fourth `NUMBER [NAME]`, the twelfth a sentence that ends in the update's title. Microsoft's support
//! describes it ("How to read ReportingEvents.log"); names of events are the same in every language.
//!
//! An installation that succeeds adds, one that waits for a restart adds what is not in effect, a removal
//! that succeeds removes, and a failure changes nothing: it is a row only where nothing else is known of
//! the update. None of these rows says that something is fixed: the log is explanation. It is gone
//! after somebody deleted the folder, and has never heard of what was installed without the update agent.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use holdpoint_common::row::UpdateRow;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::kb;
use crate::host::Reads;
use crate::scan::look::said;
use crate::scan::{Look, Reading};

const LOG: &str = "Windows/SoftwareDistribution/ReportingEvents.log";
/// What this probe may touch.
pub(super) const READS: &[Reads] = &[Reads::content(LOG)];

/// Largest log that is read; Windows starts a new one long before.
const MAX_LOG: u64 = 32 * 1024 * 1024;
/// Longest line that is kept, in code units.
const MAX_LINE: usize = 8 * 1024;
/// Most updates that are remembered.
const MAX_UPDATES: usize = 4_096;
/// Longest title, in characters.
const MAX_TITLE: usize = 512;

/// "2024-07-09 16:11:25:187+0200"; the milliseconds may stand behind a dot.
const TIME: &[BorrowedFormatItem<'_>] = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second]:[subsecond digits:3][offset_hour sign:mandatory][offset_minute]"
);

/// Reads and replays the log.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let opened = look.in_time().and_then(|()| look.host.root.pieces(LOG));
    let Some(file) = look.note(LOG, opened) else {
        return look.missing("the update agent has left no log");
    };
    if file.bytes() > MAX_LOG {
        return Reading::Failed(format!("{LOG}: more than {MAX_LOG} bytes"));
    }
    let mut history = History::default();
    let read = each_line(file.into_reader().take(MAX_LOG), |line| {
        look.in_time()?;
        history.add(line)
    });
    if let Err(cause) = read {
        look.fault(format!("{LOG}: {cause}"));
    }
    Reading::of(&history.rows())
}

/// Calls a function with each line; lines over [`MAX_LINE`] are cut.
fn each_line(file: impl Read, mut with: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    const MARK: [u8; 2] = [0xff, 0xfe];
    let mut file = BufReader::new(file);
    let mut unit = [0; 2];
    let mut line: Vec<u16> = Vec::new();
    let mut is_first = true;
    loop {
        let is_over = match file.read_exact(&mut unit) {
            Ok(()) => false,
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => true,
            Err(cause) => return Err(cause),
        };
        if std::mem::take(&mut is_first) {
            if is_over {
                return Ok(());
            }
            if unit != MARK {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no UTF-16 text"));
            }
            continue;
        }
        let code = u16::from_le_bytes(unit);
        if is_over || code == u16::from(b'\n') {
            with(&String::from_utf16_lossy(&line))?;
            line.clear();
        } else if line.len() < MAX_LINE {
            line.push(code);
        }
        if is_over {
            return Ok(());
        }
    }
}

/// What became of an update in one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Installed,
    Pending,
    Failed,
    Removed,
}

impl Outcome {
    /// `NUMBER [NAME]`; Windows 7 wrote the number alone. `None` for an event that changes nothing.
    fn of(field: &str) -> Option<Self> {
        let (number, name) = field.split_once(' ').unwrap_or((field, ""));
        match (name.trim_matches(['[', ']']), number) {
            ("AGENT_INSTALLING_SUCCEEDED", _) | ("", "183") => Some(Self::Installed),
            ("AGENT_INSTALLING_PENDING" | "AGENT_INSTALL_COMPLETE_WITH_REBOOT", _) => Some(Self::Pending),
            ("AGENT_INSTALLING_FAILED" | "AGENT_INSTALLING_FAILED_POST_REBOOT", _) | ("", "182") => {
                Some(Self::Failed)
            }
            ("AGENT_UNINSTALLING_SUCCEEDED", _) => Some(Self::Removed),
            _ => None,
        }
    }
}

/// One event of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    title: Title,
    at: OffsetDateTime,
    outcome: Outcome,
}

/// What an update is called; its version apart, where the title ends in one: daily signatures differ in
/// nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Title {
    name: String,
    version: Option<String>,
}

impl Event {
    fn of(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim_end_matches('\r').split('\t').collect();
        let [_, at, _, event, _, _, _, _, _, _, _, sentence, ..] = fields.as_slice() else { return None };
        let outcome = Outcome::of(event.trim())?;
        let at = OffsetDateTime::parse(&at.trim().replace('.', ":"), TIME).ok()?;
        Some(Self { title: Title::of(sentence)?, at, outcome })
    }
}

impl Title {
    fn of(sentence: &str) -> Option<Self> {
        const BEFORE: &str = "following update";
        const VERSION: &str = " (Version ";
        // In another language the title cannot be told from the words before it; the article can.
        let title = match sentence.split_once(BEFORE).and_then(|(_, rest)| rest.split_once(": ")) {
            Some((_, title)) => title.to_owned(),
            None => kb(sentence).unwrap_or_else(|| sentence.to_owned()),
        };
        let title: String = title.trim().trim_end_matches('.').chars().take(MAX_TITLE).collect();
        let (name, version) = match title.split_once(VERSION) {
            Some((name, version)) => (name, said(version.trim_end_matches(')'))),
            None => (title.as_str(), None),
        };
        Some(Self { name: said(name)?, version })
    }
}

/// The state of every update after all events so far. Lines need not be in order: clocks are set back.
#[derive(Debug, Default)]
struct History(BTreeMap<String, Vec<Event>>);

impl History {
    /// Adds a line; one that is no event of an update is passed over.
    fn add(&mut self, line: &str) -> io::Result<()> {
        /// Most events that are kept of one update: the newest by the clock.
        const MAX_EVENTS: usize = 32;
        let Some(event) = Event::of(line) else { return Ok(()) };
        if self.0.len() == MAX_UPDATES && !self.0.contains_key(&event.title.name) {
            return Err(io::Error::other(format!("more than {MAX_UPDATES} updates")));
        }
        let events = self.0.entry(event.title.name.clone()).or_default();
        // Behind its equals: of one moment the later line is the later event.
        let place = events.partition_point(|it| it.at <= event.at);
        events.insert(place, event);
        if events.len() > MAX_EVENTS {
            events.remove(0);
        }
        Ok(())
    }

    fn rows(&self) -> Vec<UpdateRow> {
        self.0.values().filter_map(|it| replay(it)).map(row).collect()
    }
}

/// The event that says what holds after all of them, which are in the order of time.
fn replay(events: &[Event]) -> Option<&Event> {
    events.iter().rfind(|it| it.outcome != Outcome::Failed).or_else(|| events.last())
}

fn row(event: &Event) -> UpdateRow {
    let state = match event.outcome {
        Outcome::Installed => "installed",
        Outcome::Pending => "install-pending",
        Outcome::Failed => "failed",
        Outcome::Removed => "removed",
    };
    let is_there = matches!(event.outcome, Outcome::Installed | Outcome::Pending);
    UpdateRow {
        source: "windows/history".to_owned(),
        name: event.title.name.clone(),
        version: event.title.version.clone(),
        kb: kb(&event.title.name),
        state: state.to_owned(),
        kind: None,
        architecture: None,
        install_date: event
            .at
            .checked_to_offset(UtcOffset::UTC)
            .filter(|_| is_there)
            .map(|it| it.date().to_string()),
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
