//! Services that were started before their package last changed.
//!
//! Sources of truth: the start of each process in `proc/PID/stat`, the boot in `proc/stat`, and the
//! time at which the package database says that a package changed. A service has up to two
//! packages: that of its program, and that of its unit file, which is the one that counts when
//! the program is an interpreter. Services of sessions and of containers are not asked.
//!
//! Clocks lie, so a service is `stale` only when the change is later by a clear margin, and never
//! when it lies in the future. A process that runs the very file that its package put there is not
//! stale, whatever the times say: a package manager never writes into the old file, so the process
//! started again without becoming a new one. Where a service left older processes behind, the
//! newest one counts: too few rows rather than a wrong one.
//!
//! Known lies: a clock that was set back after an upgrade makes a restarted script look stale; a
//! change of a package that only the program's configuration or data need is not told apart.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::row::LiveRow;

use super::at_rest;
use super::mapped::runs_what_is_on_disk;
use super::views::Views;
use crate::host::Reads;
use crate::scan::linux::packages::owner;
use crate::scan::linux::processes::{self, Process, Processes};
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[Reads] =
    &[Reads::content("proc/stat"), Reads::content("proc/uptime"), Reads::content("proc/*/stat")];

/// `proc/stat` has a line for each interrupt of each processor.
const MAX_STAT: usize = 4 * 1024 * 1024;
const MAX_PROCESS_STAT: usize = 4_096;
/// By how much a change must be later, in seconds: the boot is known to a second, and clocks are adjusted.
const MARGIN: i64 = 5;
/// Ticks of `proc/PID/stat` per second; part of the kernel's interface on every architecture.
const TICKS_PER_SECOND: i64 = 100;
/// The first process, which starts services.
const FIRST: u32 = 1;

/// Compares starts with changes.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    if !processes::is_running(look) {
        return at_rest(look);
    }
    let Some(processes) = processes::read(look) else { return look.missing("proc has no processes") };
    let text = look.text("proc/stat", MAX_STAT);
    let uptime = look.value("proc/uptime");
    let (Some(boot), Some(uptime)) = (text.as_deref().and_then(boot), uptime.as_deref().and_then(seconds))
    else {
        return Reading::Failed("proc does not say when the system started".to_owned());
    };
    let started = started(look, &processes);
    let paths = started.iter().flat_map(|it| [Some(it.unit.clone()), it.program()]).flatten().collect();
    let packages = owner::packages(look, &paths);
    let changes = owner::changed(look, &packages.values().cloned().collect());
    let mut views = Views::default();
    let mut stale = BTreeSet::new();
    let mut in_future = BTreeSet::new();
    for it in started {
        let start = boot.saturating_add(it.ticks / TICKS_PER_SECOND);
        let path = it.program().unwrap_or_default();
        let of_program = packages.get(&path);
        let of_unit = packages.get(&it.unit).filter(|_| it.is_newest);
        for package in [of_program, of_unit].into_iter().flatten() {
            let Some(change) = changes.get(package) else { continue };
            if *change > boot.saturating_add(uptime).saturating_add(MARGIN) {
                in_future.insert(package.clone());
                continue;
            }
            if change.saturating_sub(start) < MARGIN {
                continue;
            }
            let is_programs = of_program == Some(package);
            let is_here = views.agree(look, &it.process.number, &path);
            if is_programs && is_here && runs_what_is_on_disk(look, it.process) {
                continue;
            }
            // In another root the program is of another package, whatever the host has under its name.
            if is_here || of_unit == Some(package) {
                let program = it.process.path().map(str::to_owned);
                stale.insert((it.service.to_owned(), program, package.clone()));
            }
        }
    }
    for package in in_future {
        look.fault(format!("{package} changed in the future: whether its services are older is not known"));
    }
    let rows: Vec<LiveRow> = stale
        .into_iter()
        .map(|(service, program, package)| LiveRow {
            source: "linux/services".to_owned(),
            kind: "service".to_owned(),
            state: "stale".to_owned(),
            program,
            service: Some(service),
            package: Some(package),
            ..LiveRow::default()
        })
        .collect();
    Reading::of(&rows)
}

/// The newest process of one program of a service.
#[derive(Debug)]
struct Started<'a> {
    service: &'a str,
    unit: String,
    process: &'a Process,
    /// Since boot.
    ticks: i64,
    /// Whether no other program of the service is newer.
    is_newest: bool,
}

impl Started<'_> {
    fn program(&self) -> Option<String> {
        self.process.path().map(str::to_owned)
    }
}

/// The newest process of each program of a service.
type Programs<'a> = BTreeMap<Option<&'a str>, Newest<'a>>;

#[derive(Debug, Clone, Copy)]
struct Newest<'a> {
    /// Whether the first process is its parent.
    is_main: bool,
    ticks: i64,
    process: &'a Process,
}

fn started<'a>(look: &mut Look<'_>, processes: &'a Processes) -> Vec<Started<'a>> {
    let mut services: BTreeMap<&str, Programs<'_>> = BTreeMap::new();
    let mut is_malformed = false;
    for process in &processes.list {
        let Some(service) = process.service.as_ref().filter(|it| it.is_system) else { continue };
        if let Err(late) = look.in_time() {
            look.fault(format!("starts of services: {late}"));
            break;
        }
        // A process may end while it is looked at.
        let Ok(stat) = look.host.root.read(&process.file("stat"), MAX_PROCESS_STAT) else { continue };
        let Some((parent, ticks)) = parent_and_start(&String::from_utf8_lossy(&stat)) else {
            is_malformed = true;
            continue;
        };
        let this = Newest { is_main: parent == FIRST, ticks, process };
        let newest = services.entry(&service.name).or_default().entry(process.path()).or_insert(this);
        if (this.is_main, this.ticks) > (newest.is_main, newest.ticks) {
            *newest = this;
        }
    }
    if is_malformed {
        look.fault("starts of services: a line cannot be read");
    }
    let mut started = Vec::new();
    for (service, programs) in services {
        // Workers come and go; what the service manager started itself is the service.
        let has_main = programs.values().any(|it| it.is_main);
        let mains: Vec<Newest<'_>> = programs.into_values().filter(|it| it.is_main || !has_main).collect();
        let newest = mains.iter().map(|it| it.ticks).max().unwrap_or_default();
        started.extend(mains.into_iter().filter_map(|Newest { ticks, process, .. }| {
            let unit = process.service.as_ref()?.unit();
            Some(Started { service, unit, process, ticks, is_newest: ticks == newest })
        }));
    }
    started
}

/// When the system started, in seconds since 1970, by the clock as it is now.
fn boot(stat: &str) -> Option<i64> {
    stat.lines().find_map(|it| it.strip_prefix("btime "))?.trim().parse().ok()
}

fn seconds(uptime: &str) -> Option<i64> {
    uptime.split(['.', ' ']).next()?.parse().ok()
}

/// The number of the parent and the ticks from boot to start: the 4th and the 22nd field. The name
/// stands in parentheses and may hold anything.
fn parent_and_start(stat: &str) -> Option<(u32, i64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    Some((parent, fields.nth(17)?.parse().ok()?))
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
