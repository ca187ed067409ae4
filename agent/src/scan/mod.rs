//! One look at a host: which probes run, in which order, and how their readings become sections.
//!
//! Probes run one after the other on the thread of the caller, because a control host has better
//! things to do. A probe is a function in the table `PROBES` of its folder; adding one is a file and a line there.
//!
//! Nothing is opinion: a section says what was read, how completely, and why not more.

pub mod firmware;
pub mod linux;
pub(crate) mod look;
mod own;
mod probe;
pub(crate) mod scanner;
mod shared;
mod snapshot;
pub mod windows;

use std::rc::Rc;
use std::time::Duration;

use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{Coverage, MAX_ROW, REPORTED, SectionKind, section_name};
use holdpoint_common::section::{MAX_REASON, MAX_REASONS, MAX_ROWS, Rows, Section};

use crate::cage::{self, Walls};
use crate::host::{Family, Host, RUNTIME, ReadList};
use shared::Shared;

pub use look::{Budget, Look, Outcome, Reading};
pub use probe::Probe;
pub use snapshot::{HostIdentity, Snapshot};

/// How long one scan may take before it stops and says what it did not see. Of work there is less
/// than a tenth of a second; at the lowest priority a busy host lets it wait.
pub const TIME_LIMIT: Duration = Duration::from_mins(2);

/// The tables of probes of a Linux host. `self` is assembled last, from the coverage of these.
const LINUX: &[&[Probe]] = &[
    linux::PROBES,
    firmware::PROBES,
    linux::packages::PROBES,
    linux::live::PROBES,
    linux::hardening::PROBES,
];

/// Every probe of one family of hosts, in the order in which it runs.
pub fn probes_of(family: Family) -> impl Iterator<Item = &'static Probe> {
    let tables = match family {
        Family::Linux => LINUX,
        Family::Windows => windows::TABLES,
    };
    tables.iter().copied().flatten()
}

/// Every probe of every family.
pub fn probes() -> impl Iterator<Item = &'static Probe> {
    [Family::Linux, Family::Windows].into_iter().flat_map(probes_of)
}

/// All that the program may touch, as published in `READS.md`: every probe's list, and what the
/// libraries read that it is built with. Its state directory and the paths of `facts.d` come on top.
pub fn read_list() -> ReadList {
    ReadList::new(probes().flat_map(|it| it.reads.iter().copied().flatten()).chain(RUNTIME))
}

/// Looks at the given sections of a host, within a time.
pub fn take(host: &Host, kinds: &[SectionKind], budget: &Budget) -> Snapshot {
    take_as(host, kinds, budget, None)
}

/// The same, in a program whose network half is walled in.
fn take_as(host: &Host, kinds: &[SectionKind], budget: &Budget, walls: Option<&Walls>) -> Snapshot {
    let mut coverage = Vec::new();
    let mut sections = Vec::new();
    let shared = Rc::default();
    for kind in REPORTED.into_iter().filter(|it| *it != SectionKind::Self_ && kinds.contains(it)) {
        let probes = probes_of(host.family()).filter(|it| it.kind == kind);
        sections.push(run(kind, probes, host, budget, &shared, &mut coverage));
    }
    if kinds.contains(&SectionKind::Self_) {
        sections.push(own::section(host, &coverage, walls));
    }
    Snapshot { sections, took: budget.elapsed() }
}

/// Runs some probes of one section, and no others: what a parser's own test wants.
pub fn take_of<'a>(
    kind: SectionKind,
    probes: impl Iterator<Item = &'a Probe>,
    host: &Host,
    budget: &Budget,
) -> Section {
    run(kind, probes, host, budget, &Rc::default(), &mut Vec::new())
}

fn run<'a>(
    kind: SectionKind,
    probes: impl Iterator<Item = &'a Probe>,
    host: &Host,
    budget: &Budget,
    shared: &Rc<Shared>,
    coverage: &mut Vec<Coverage>,
) -> Section {
    let mut parts = Vec::new();
    let mut probes = probes.peekable();
    if probes.peek().is_none() {
        let nothing = format!("this kind of host has no {}", section_name(kind));
        parts.push(("", Reading::Absent(nothing), Vec::new()));
    }
    for probe in probes {
        let host = host.limited_to(probe.read_list());
        let mut look = Look::new(&host, budget, probe.name).sharing(shared);
        let reading = match look.in_time() {
            Ok(()) => (probe.run)(&mut look),
            Err(late) => Reading::Failed(late.to_string()),
        };
        let (counted, faults) = look.finish();
        coverage.push(counted);
        parts.push((probe.name, reading, faults));
    }
    assemble(kind, parts)
}

/// Looks at a host on a thread that is caged and yields to everything else, and waits for it.
///
/// # Errors
/// The system refused the thread, or a probe panicked.
pub fn take_gently(host: &Host, kinds: &[SectionKind]) -> Result<Snapshot, ScanError> {
    std::thread::scope(|scope| {
        let scan = std::thread::Builder::new()
            .name("scan".to_owned())
            .spawn_scoped(scope, || {
                // A host that refuses is scanned all the same; the section `self` says which it was.
                let _ = cage::enter_scan();
                take(host, kinds, &Budget::starting_now(TIME_LIMIT))
            })
            .map_err(ScanError::Thread)?;
        scan.join().map_err(|_| ScanError::Panicked)
    })
}

/// A scan that gave no snapshot at all.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// No thread for it.
    #[error("cannot start the scan's thread")]
    Thread(#[source] std::io::Error),
    /// A defect in a probe.
    #[error("the scan stopped because of a defect; the previous one is still reported")]
    Panicked,
}

fn assemble(kind: SectionKind, parts: Vec<(&str, Reading, Vec<String>)>) -> Section {
    let mut rows: Vec<Vec<u8>> = Vec::new();
    let mut faults = Vec::new();
    let mut absent = Vec::new();
    let mut anything_read = false;
    let mut anything_failed = false;
    for (probe, reading, said) in parts {
        match reading {
            Reading::Rows(read) => {
                anything_read = true;
                rows.extend(read);
            }
            Reading::Absent(what) => absent.push(what),
            Reading::Failed(why) => {
                anything_failed = true;
                faults.push(format!("{probe}: {why}"));
            }
        }
        faults.extend(said.into_iter().map(|it| format!("{probe}: {it}")));
    }
    let before = rows.len();
    rows.retain(|it| it.len() <= MAX_ROW);
    if rows.len() < before {
        faults.push(format!("rows over {MAX_ROW} bytes were left out"));
    }
    let mut rows = Rows::from_encoded(rows);
    if rows.len() > MAX_ROWS {
        faults.push(format!("{} has more than {MAX_ROWS} rows", section_name(kind)));
        rows = Rows::from_encoded(rows.as_slice()[..MAX_ROWS].to_vec());
    }
    let status = match (anything_read, anything_failed || !faults.is_empty()) {
        (true, false) => SectionStatus::Complete,
        (true, true) => SectionStatus::Partial,
        (false, true) => SectionStatus::Failed,
        (false, false) => SectionStatus::Unsupported,
    };
    // What is absent explains a section without rows; beside rows it is coverage.
    if !anything_read {
        absent.dedup();
        faults.append(&mut absent);
    }
    Section::new(kind, status, bounded(faults), rows)
}

fn bounded(mut reasons: Vec<String>) -> Vec<String> {
    if reasons.len() > MAX_REASONS {
        let rest = reasons.len() - (MAX_REASONS - 1);
        reasons.truncate(MAX_REASONS - 1);
        reasons.push(format!("and {rest} more"));
    }
    for reason in &mut reasons {
        if reason.len() > MAX_REASON {
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::look::tests::{ample, host};
    use super::*;
    use holdpoint_common::row::SoftwareRow;

    fn row(name: &str) -> Reading {
        Reading::of(&[SoftwareRow { name: name.into(), source: "dpkg".into(), ..Default::default() }])
    }

    fn status(parts: Vec<(&str, Reading, Vec<String>)>) -> (SectionStatus, Vec<String>) {
        let section = assemble(SectionKind::Software, parts);
        (section.status, section.reasons)
    }

    #[test]
    fn absent_is_not_empty() {
        let absent = || Reading::Absent("no var/lib/dpkg/status".into());
        assert_eq!(
            status(vec![("a", absent(), vec![])]),
            (SectionStatus::Unsupported, vec!["no var/lib/dpkg/status".to_owned()])
        );
        assert_eq!(status(vec![("a", Reading::Rows(vec![]), vec![])]), (SectionStatus::Complete, vec![]));
        assert_eq!(
            status(vec![("a", row("x"), vec![]), ("b", absent(), vec![])]),
            (SectionStatus::Complete, vec![])
        );
    }

    #[test]
    fn a_database_that_cannot_be_read_is_never_silent() {
        let failed = || Reading::Failed("found".into());
        assert_eq!(status(vec![("a", row("x"), vec![]), ("b", failed(), vec![])]).0, SectionStatus::Partial);
        assert_eq!(
            status(vec![("b", failed(), vec![])]),
            (SectionStatus::Failed, vec!["b: found".to_owned()])
        );
        assert_eq!(
            status(vec![("a", row("x"), vec!["cut off".into()])]),
            (SectionStatus::Partial, vec!["a: cut off".to_owned()])
        );
    }

    #[test]
    fn a_row_over_the_limit_is_left_out_and_said() {
        let (status, reasons) = status(vec![("a", row(&"x".repeat(MAX_ROW)), vec![])]);
        assert_eq!(status, SectionStatus::Partial);
        assert_eq!(reasons, ["rows over 16384 bytes were left out"]);
    }

    #[test]
    fn reasons_stay_within_the_wires_limits() {
        let reasons = bounded((0..200).map(|_| "ü".repeat(400)).collect());
        assert_eq!(reasons.len(), MAX_REASONS);
        assert!(reasons.iter().all(|it| it.len() <= MAX_REASON));
    }

    #[test]
    fn an_empty_root_supports_nothing_but_the_agent_itself() {
        let (_dir, host) = host(&[]);
        let snapshot = take(&host, &REPORTED, &ample());
        for section in &snapshot.sections {
            let expected = if section.kind == SectionKind::Self_ {
                SectionStatus::Complete
            } else {
                SectionStatus::Unsupported
            };
            assert_eq!(section.status, expected, "{:?}: {:?}", section.kind, section.reasons);
            assert_eq!(section.reasons.is_empty(), expected == SectionStatus::Complete);
        }
    }

    #[test]
    fn a_scan_out_of_time_says_so_in_every_section() {
        let (_dir, host) = host(&[("var/lib/dpkg/status", ""), ("etc/passwd", "")]);
        let spent = Budget::measured_by(Duration::ZERO, || Duration::ZERO);
        for section in take(&host, &REPORTED, &spent).sections {
            if section.kind != SectionKind::Self_ {
                assert_eq!(section.status, SectionStatus::Failed, "{:?}", section.kind);
                assert!(section.reasons[0].contains("time"), "{:?}", section.reasons);
            }
        }
    }

    #[test]
    fn only_the_sections_that_were_asked_for_are_read() {
        let (_dir, host) = host(&[("etc/passwd", "root:x:0:0::/root:/bin/sh\n")]);
        let snapshot = take(&host, &[SectionKind::Accounts], &ample());
        assert_eq!(snapshot.sections.len(), 1);
        assert_eq!(snapshot.section(SectionKind::Accounts).map(|it| it.rows.len()), Some(1));
    }
}
