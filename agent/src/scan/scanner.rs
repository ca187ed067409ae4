//! The thread that scans: caged once, alive as long as the agent, one scan after the other.
//!
//! It is not made anew for each scan, because the program's other threads are walled in by then
//! (see [`crate::cage`]) and would pass their walls on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use holdpoint_common::row::SectionKind;
use tokio::sync::oneshot;

use super::{Budget, ScanError, Snapshot, TIME_LIMIT, take_as};
use crate::cage::{self, Gap, SharedWalls};
use crate::host::Host;

/// A scan that may be told to stop. It stops when this is dropped, too.
#[derive(Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What becomes of a scan, on the thread that took it; `None` when it was stopped.
type Done = Box<dyn FnOnce(Result<Option<Snapshot>, ScanError>) + Send>;

struct Job {
    host: Arc<Host>,
    kinds: Vec<SectionKind>,
    stop: Arc<AtomicBool>,
    done: Done,
}

/// Hands scans to the thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Scanner {
    jobs: mpsc::Sender<Job>,
    /// Where the network half says how it is walled in.
    pub(crate) walls: SharedWalls,
    /// What the system refused the thread, and what holds for it.
    pub(crate) cage: (Vec<Gap>, Vec<&'static str>),
}

impl Scanner {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refused it.
    pub(crate) fn start() -> Result<Self, ScanError> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let (say, caged) = mpsc::channel();
        let walls = SharedWalls::default();
        let shared = Arc::clone(&walls);
        thread::Builder::new()
            .name("scan".to_owned())
            .spawn(move || {
                // Whoever asked may be gone; the cage is what counts.
                let _ = say.send((cage::enter_scan(), cage::active(None)));
                for job in waiting {
                    run(job, &shared);
                }
            })
            .map_err(ScanError::Thread)?;
        Ok(Self { jobs, walls, cage: caged.recv().map_err(|_| ScanError::Panicked)? })
    }

    /// Starts a scan, which `done` gets on the thread that took it.
    ///
    /// # Errors
    /// The thread is gone.
    pub(crate) fn scan(
        &self,
        host: &Arc<Host>,
        kinds: &[SectionKind],
        stop: &Stop,
        done: impl FnOnce(Result<Option<Snapshot>, ScanError>) + Send + 'static,
    ) -> Result<(), ScanError> {
        let job = Job {
            host: Arc::clone(host),
            kinds: kinds.to_vec(),
            stop: Arc::clone(&stop.0),
            done: Box::new(done),
        };
        self.jobs.send(job).map_err(|_| ScanError::Panicked)
    }

    /// Scans; whoever drops the answer before it is there stops the scan.
    ///
    /// # Errors
    /// A probe panicked, or the thread is gone.
    pub(crate) async fn ask(&self, host: &Arc<Host>, kinds: &[SectionKind]) -> Result<Snapshot, ScanError> {
        let stop = Stop::default();
        let (give, taken) = oneshot::channel();
        self.scan(host, kinds, &stop, move |found| {
            // Nobody waits any more: nobody wants it.
            let _ = give.send(found);
        })?;
        taken.await.map_err(|_| ScanError::Panicked)??.ok_or(ScanError::Panicked)
    }

    /// Scans and waits for it.
    ///
    /// # Errors
    /// A probe panicked, or the thread is gone.
    pub(crate) fn wait(&self, host: &Arc<Host>, kinds: &[SectionKind]) -> Result<Snapshot, ScanError> {
        let (give, taken) = mpsc::channel();
        let stop = Stop::default();
        self.scan(host, kinds, &stop, move |found| {
            // Nobody waits any more: nobody wants it.
            let _ = give.send(found);
        })?;
        taken.recv().map_err(|_| ScanError::Panicked)??.ok_or(ScanError::Panicked)
    }
}

fn run(job: Job, walls: &SharedWalls) {
    let Job { host, kinds, stop, done } = job;
    let is_stopped = || stop.load(Ordering::Relaxed);
    let taken = catch_unwind(AssertUnwindSafe(|| {
        if is_stopped() {
            return None;
        }
        let budget = Budget::starting_now(TIME_LIMIT).until(Arc::clone(&stop));
        Some(take_as(&host, &kinds, &budget, walls.get()))
    }));
    // Half a look is none.
    let found = taken.map(|it| it.filter(|_| !is_stopped())).map_err(|_| ScanError::Panicked);
    // A defect there is the asker's; the next scan comes all the same.
    let _ = catch_unwind(AssertUnwindSafe(|| done(found)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::host;

    #[test]
    fn a_scan_that_is_told_to_stop_gives_nothing_and_the_next_one_everything() {
        let (_dir, host) = host(&[("etc/passwd", "root:x:0:0::/root:/bin/sh\n")]);
        let host = Arc::new(host);
        let scanner = Scanner::start().unwrap();
        let (give, taken) = mpsc::channel();
        let stop = Stop::default();
        let asked = Arc::clone(&stop.0);
        drop(stop);
        assert!(asked.load(Ordering::Relaxed), "dropping it stops it");
        let stop = Stop(asked);
        scanner.scan(&host, &[SectionKind::Accounts], &stop, move |it| give.send(it).unwrap()).unwrap();
        assert!(taken.recv().unwrap().unwrap().is_none());
        let snapshot = scanner.wait(&host, &[SectionKind::Accounts]).unwrap();
        assert_eq!(snapshot.section(SectionKind::Accounts).map(|it| it.rows.len()), Some(1));
    }

    #[test]
    fn a_defect_ends_one_scan_and_not_the_thread() {
        let (_dir, host) = host(&[]);
        let host = Arc::new(host);
        let scanner = Scanner::start().unwrap();
        let (give, taken) = mpsc::channel::<()>();
        scanner
            .scan(&host, &[SectionKind::Platform], &Stop::default(), move |_| {
                let _gone = give;
                panic!("a defect");
            })
            .unwrap();
        assert!(taken.recv().is_err());
        assert!(scanner.wait(&host, &[SectionKind::Platform]).is_ok());
    }
}
