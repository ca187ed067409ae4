//! Expectations that rows answer by themselves: facts, what is absent, services, listeners, restarts.

use holdpoint_common::proto::store::ControlRecord;
use holdpoint_common::proto::v1::{HardeningRow, ListenerRow, LiveRow, ServiceRow, SoftwareRow};
use holdpoint_common::row::SectionKind;
use prost::Message;

use super::{Finding, Pair, Reading, why_open};
use crate::change::plan::Protocol;
use crate::change::snapshot::Snapshot;
use crate::change::word::Why;
use crate::knowledge::name_pattern::{NamePattern, normal};
use crate::knowledge::text::shown;
use crate::triage::control::{self, Tested, Typed};

/// Rows of this source are remains of something that is no longer installed.
const LEFTOVER: &str = "leftover-dpkg";
/// Longest name or value that is told, in characters.
const MAX_SHOWN: usize = 120;

/// A hardening fact against the value that it is expected to have.
pub(super) fn fact(snapshot: &Snapshot, control: &ControlRecord) -> Reading {
    let kind = SectionKind::Hardening;
    let open = why_open(snapshot.section(kind));
    let rows = snapshot.section(kind).and_then(|it| it.rows.as_deref()).map(Vec::as_slice);
    let (finding, text) = match control::test(control, rows, true) {
        Tested::Broken(why) => (Finding::Fails, why),
        Tested::Holds => match open {
            None => (Finding::Holds, format!("`{}` holds", Typed(control))),
            Some(why) => (Finding::Unknown(why), "the hardening facts were not read completely".to_owned()),
        },
        Tested::Open(text) => {
            let why = open.unwrap_or_else(|| why_undecided(snapshot, control));
            (Finding::Unknown(why), text)
        }
    };
    let value = text.clone();
    Reading::new(finding, text).resting_on(snapshot, kind, &control.fact, &value)
}

/// Why the row of a fact decides nothing, in a section that was read completely.
fn why_undecided(snapshot: &Snapshot, control: &ControlRecord) -> Why {
    let mut rows = decoded::<HardeningRow>(snapshot, SectionKind::Hardening);
    let row =
        rows.find(|it| it.id == control.fact && (control.subject.is_none() || it.subject == control.subject));
    match row.as_ref().map(|it| it.state.as_str()) {
        // The agent does not ask for it.
        None => Why::CoverageLower,
        Some("observed") => Why::UnparsedVersion,
        Some("denied") => Why::AccessDenied,
        Some(_) => Why::CollectionError,
    }
}

/// Software that has to be gone.
pub(super) fn absent(
    pair: &Pair<'_>,
    snapshot: &Snapshot,
    name: &NamePattern,
    source: Option<&str>,
) -> Reading {
    let kind = SectionKind::Software;
    let is_it = |row: &SoftwareRow| {
        row.source != LEFTOVER
            && source.is_none_or(|it| it == row.source)
            && name.matches(&normal(&row.name)).is_some()
    };
    let found: Vec<SoftwareRow> = decoded::<SoftwareRow>(snapshot, kind).filter(is_it).collect();
    let what = name.as_str();
    if let Some(row) = found.first() {
        let version = shown(row.version.as_deref().unwrap_or("(no version)"), MAX_SHOWN);
        let text = format!("{} {version} is installed", shown(&row.name, MAX_SHOWN));
        return Reading::new(Finding::Fails, text).resting_on(snapshot, kind, what, &version);
    }
    let text = format!("`{what}` is not installed");
    let reading = Reading::new(Finding::Holds, text).resting_on(snapshot, kind, what, "not there");
    match why_open(snapshot.section(kind)) {
        Some(why) => Reading {
            finding: Finding::Unknown(why),
            text: format!("`{what}` was not found, and not everything was read"),
            ..reading
        },
        None if std::ptr::eq(snapshot, pair.post) => {
            gone(reading, pair, &|package| name.matches(&normal(package)).is_some())
        }
        None => reading,
    }
}

/// What is not installed any more may still run: its code in memory, from files that nobody owns now.
pub(super) fn gone(reading: Reading, pair: &Pair<'_>, is_it: &dyn Fn(&str) -> bool) -> Reading {
    let kind = SectionKind::Live;
    let before: Vec<LiveRow> = decoded::<LiveRow>(pair.pre, kind).collect();
    let runs = |row: &LiveRow| {
        row.kind == "mapped-file"
            && match &row.package {
                Some(package) => is_it(package),
                None => row.state == "deleted" && !before.contains(row),
            }
    };
    if let Some(why) = why_open(pair.post.section(kind)) {
        let text = format!("{}, and what runs was not read completely", reading.text);
        let reading = reading.resting_on(pair.post, kind, "in effect", "not read completely");
        return Reading { finding: Finding::Unknown(why), text, ..reading };
    }
    let Some(row) = decoded::<LiveRow>(pair.post, kind).find(runs) else {
        return reading.resting_on(pair.post, kind, "in effect", "nothing of it runs");
    };
    let file = shown(row.file.as_deref().unwrap_or("a file"), MAX_SHOWN);
    let text = format!("{}, and code of {file} still runs", reading.text);
    let reading = reading.resting_on(pair.post, kind, "in effect", &file);
    Reading { finding: Finding::NotLive(Why::OldCodeMapped), text, ..reading }
}

/// A service that has to run.
pub(super) fn service(snapshot: &Snapshot, name: &str) -> Reading {
    let kind = SectionKind::Services;
    let rows: Vec<ServiceRow> =
        decoded::<ServiceRow>(snapshot, kind).filter(|it| is_service(&it.name, name)).collect();
    let states: Vec<&str> = rows.iter().filter_map(|it| it.state.as_deref()).collect();
    let open = why_open(snapshot.section(kind));
    let state = states.first().copied().unwrap_or("not there");
    let (finding, text) = match open {
        Some(why) if !states.contains(&"stopped") => {
            (Finding::Unknown(why), "the services were not read completely".to_owned())
        }
        Some(_) | None if states.contains(&"running") => match stale(snapshot, name) {
            Some(because) => (Finding::NotLive(Why::ServiceNotRestarted), because),
            None => (Finding::Holds, format!("service {name} runs")),
        },
        Some(_) | None if rows.iter().any(|it| it.state.is_none()) || states.contains(&"unknown") => {
            (Finding::Unknown(Why::CollectionError), format!("nobody knows whether service {name} runs"))
        }
        Some(_) | None => (Finding::Fails, format!("service {name} is {state}")),
    };
    Reading::new(finding, text).resting_on(snapshot, kind, name, state)
}

/// Why a service that runs is an old one.
fn stale(snapshot: &Snapshot, name: &str) -> Option<String> {
    let is_stale = |row: &LiveRow| {
        row.kind == "service"
            && row.state == "stale"
            && row.service.as_deref().is_some_and(|it| is_service(it, name))
    };
    let row = decoded::<LiveRow>(snapshot, SectionKind::Live).find(is_stale)?;
    let package = row.package.map(|it| format!(" ({})", shown(&it, MAX_SHOWN))).unwrap_or_default();
    Some(format!("service {name} was started before its package{package} last changed"))
}

/// Whether two names mean one service: Windows ignores case, systemd's ending may be left out.
pub(in crate::change) fn is_service(one: &str, two: &str) -> bool {
    let bare = |it: &str| it.strip_suffix(".service").unwrap_or(it).to_lowercase();
    bare(one) == bare(two)
}

/// A port that has to be open, or closed.
pub(super) fn listener(snapshot: &Snapshot, protocol: Protocol, port: u16, open: bool) -> Reading {
    let kind = SectionKind::Listeners;
    let word = protocol_word(protocol);
    let found = decoded::<ListenerRow>(snapshot, kind).find(|it| is_port(it, protocol, port));
    let what = format!("{word}/{port}");
    let (is_open, value) = match &found {
        Some(row) => (true, format!("open on {}", shown(&row.address, MAX_SHOWN))),
        None => (false, "closed".to_owned()),
    };
    let (finding, text) = match why_open(snapshot.section(kind)) {
        // A port that is seen open is open, whatever else was not read.
        Some(_) if is_open && !open => (Finding::Fails, format!("{what} is {value}")),
        Some(why) => (Finding::Unknown(why), "the listeners were not read completely".to_owned()),
        None if is_open == open => (Finding::Holds, format!("{what} is {value}")),
        None => (Finding::Fails, format!("{what} is {value}")),
    };
    Reading::new(finding, text).resting_on(snapshot, kind, &what, &value)
}

/// Whether a row is a listener on that port, of either family.
fn is_port(row: &ListenerRow, protocol: Protocol, port: u16) -> bool {
    let word = protocol_word(protocol);
    row.port == u32::from(port) && row.protocol.strip_suffix('6').unwrap_or(&row.protocol) == word
}

fn protocol_word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// A restart since the snapshot before the work. That one is held against itself: nothing was restarted yet.
pub(super) fn restarted(snapshot: &Snapshot, pre: &Snapshot) -> Reading {
    let (before, now) = (pre.record.boot_id.as_str(), snapshot.record.boot_id.as_str());
    let (finding, text) = if now.is_empty() || before.is_empty() {
        (Finding::Unknown(Why::CollectionError), "the host does not say since when it runs".to_owned())
    } else if now == before {
        (Finding::NotLive(Why::RestartPending), format!("the host runs since boot {}", shown(now, MAX_SHOWN)))
    } else {
        (Finding::Holds, format!("the host runs since boot {}", shown(now, MAX_SHOWN)))
    };
    Reading::new(finding, text).resting_on(snapshot, SectionKind::Platform, "boot id", now)
}

/// Rows of a section that can be read.
pub(in crate::change) fn decoded<R: Message + Default>(
    snapshot: &Snapshot,
    kind: SectionKind,
) -> impl Iterator<Item = R> {
    snapshot.rows(kind).iter().filter_map(|it| R::decode(it.as_slice()).ok())
}
