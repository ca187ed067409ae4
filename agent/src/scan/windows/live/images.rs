//! Processes whose program was deleted or replaced since they were started.
//!
//! Sources of truth: the path that the kernel has of each process's program, which is that of the moment
//! when it was started, the time of that moment, and the times of the file that stands there now.
//! Windows lets nobody write to a program that runs, nor delete it; installers rename it and put another
//! one in its place. Nothing under the name means `deleted` (or renamed). A file that came to be, or was
//! written, after the process was started means `replaced`: it cannot be the one that runs.
//!
//! Known lies: a new file that has the times of an old one is not seen (an installer may set them, and
//! Windows gives a file that is created within seconds of a removal the old one's time of creation); a
//! process that was started while the clock was wrong is judged by that clock. Programs on other than
//! fixed drives are not looked at: asking for one could reach into the network.

use std::collections::BTreeMap;
use std::time::SystemTime;

use holdpoint_common::row::LiveRow;

use super::at_rest;
use crate::host::Reads;
use crate::host::is_absent;
use crate::scan::{Look, Reading};

/// What this probe may touch: programs can be anywhere, and are only asked for their times.
pub(super) const READS: &[Reads] = &[Reads::metadata("**")];

/// Compares each program that runs with its file.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let Some(windows) = look.host.windows.clone() else { return at_rest(look) };
    let listed = look.in_time().and_then(|()| windows.system.processes());
    let Some(processes) = look.note("processes", listed) else {
        return look.missing("the system lists no processes");
    };
    // Of several processes the one that was started first has the oldest program.
    let mut first: BTreeMap<String, SystemTime> = BTreeMap::new();
    for process in processes {
        let Some(program) = process.program else { continue };
        let started = first.entry(program).or_insert(process.started);
        *started = process.started.min(*started);
    }
    let mut rows = Vec::new();
    for (program, started) in first {
        let times = look.in_time().and_then(|()| windows.system.file_times(&program));
        let state = match times {
            Ok(times) if times.created > started || times.written > started => "replaced",
            Ok(_) => continue,
            Err(cause) if is_absent(&cause) => "deleted",
            Err(cause) => {
                look.fault(format!("{program}: {cause}"));
                continue;
            }
        };
        rows.push(LiveRow {
            source: "windows/processes".to_owned(),
            kind: "mapped-file".to_owned(),
            state: state.to_owned(),
            file: Some(program.clone()),
            program: Some(program),
            ..LiveRow::default()
        });
    }
    Reading::of(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use crate::host::windows::system::{FileTimes, Process, Recorded};
    use crate::host::windows::{Answer, recorded};
    use crate::scan::look::tests::{ample, host, rows_of};
    use std::sync::Arc;
    use std::time::Duration;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn running(system: Recorded) -> (tempfile::TempDir, Host) {
        let (dir, mut host) = host(&[]);
        host.windows = Some(crate::host::Windows { system: Arc::new(system), ..recorded() });
        (dir, host)
    }

    fn process(program: &str, started: u64) -> Process {
        Process { program: Some(program.to_owned()), started: at(started) }
    }

    fn times(created: u64, written: u64) -> Answer<FileTimes> {
        FileTimes { created: at(created), written: at(written) }.into()
    }

    #[test]
    fn a_program_is_compared_with_the_oldest_process_that_runs_it() {
        let (_dir, host) = running(Recorded {
            processes: vec![
                process(r"C:\same.exe", 100),
                process(r"C:\new.exe", 300),
                process(r"C:\new.exe", 100),
                process(r"C:\written.exe", 100),
                process(r"C:\gone.exe", 100),
                Process { program: None, started: at(1) },
            ]
            .into(),
            file_times: vec![
                (r"C:\same.exe", times(100, 50)),
                (r"C:\new.exe", times(200, 50)),
                (r"C:\written.exe", times(50, 101)),
            ],
            ..Recorded::default()
        });
        let (rows, faults, _) = rows_of::<LiveRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let said: Vec<_> = rows.iter().map(|it| (it.file.as_deref().unwrap(), it.state.as_str())).collect();
        let expected =
            [(r"C:\gone.exe", "deleted"), (r"C:\new.exe", "replaced"), (r"C:\written.exe", "replaced")];
        assert_eq!(said, expected);
    }

    #[test]
    fn what_may_not_be_looked_at_is_a_gap_and_no_verdict() {
        let (_dir, host) = running(Recorded {
            processes: vec![process(r"D:\hmi.exe", 100)].into(),
            file_times: vec![(r"D:\hmi.exe", Answer::denied())],
            ..Recorded::default()
        });
        let (rows, faults, _) = rows_of::<LiveRow>(&host, probe);
        assert_eq!((rows, faults), (vec![], vec![r"D:\hmi.exe: permission denied".to_owned()]));
    }

    #[test]
    fn an_image_runs_nothing_and_a_list_that_is_refused_is_a_failure() {
        let (_dir, image) = host(&[]);
        let budget = ample();
        let reading = probe(&mut Look::new(&image, &budget, "test"));
        assert_eq!(reading, Reading::Absent("this is no running Windows".to_owned()));
        let (_dir, refused) = running(Recorded { processes: Answer::denied(), ..Recorded::default() });
        let reading = probe(&mut Look::new(&refused, &budget, "test"));
        assert_eq!(reading, Reading::Failed("processes: permission denied".to_owned()));
    }
}
