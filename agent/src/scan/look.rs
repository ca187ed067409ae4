//! How a probe looks: every source it asks for is counted, and every gap leaves a reason.
//!
//! A source that is not there, one that may not be read and one that is broken are three
//! different answers. Counts are of named sources, never of processes or packages, so that they
//! do not move by themselves.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use holdpoint_common::row::{Coverage, Row};

use super::shared::Shared;
use crate::host::registry::{Data, Registry, Value};
use crate::host::{Facts, Host, Listing, is_absent};

/// Most reasons that one probe gives; the rest is counted.
const MAX_FAULTS: usize = 16;

/// How long a scan may take, and how much of that has passed.
pub struct Budget {
    limit: Duration,
    elapsed: Box<dyn Fn() -> Duration>,
    stop: Option<Arc<AtomicBool>>,
}

impl Budget {
    /// A budget that starts to run now.
    pub fn starting_now(limit: Duration) -> Self {
        let start = Instant::now();
        Self::measured_by(limit, move || start.elapsed())
    }

    /// A budget over any measure of passed time.
    pub fn measured_by(limit: Duration, elapsed: impl Fn() -> Duration + 'static) -> Self {
        Self { limit, elapsed: Box::new(elapsed), stop: None }
    }

    /// The same budget, which also ends when somebody says so.
    #[must_use]
    pub fn until(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop: Some(stop), ..self }
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|it| it.load(Ordering::Relaxed))
    }

    fn is_spent(&self) -> bool {
        (self.elapsed)() >= self.limit
    }

    /// How much has passed.
    pub fn elapsed(&self) -> Duration {
        (self.elapsed)()
    }
}

/// What became of a source whose row has a state of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was read.
    Seen(T),
    /// It is not there.
    Absent,
    /// Reading it needs more rights. No fault: the row says it.
    Denied,
    /// It is there and broken, or time is up; also recorded as a fault.
    Failed(String),
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Encoded rows; none is an answer too.
    Rows(Vec<Vec<u8>>),
    /// This host has no such source; says which one.
    Absent(String),
    /// The source is there and could not be read; says why.
    Failed(String),
}

impl Reading {
    /// Encodes typed rows.
    pub fn of<R: Row>(rows: &[R]) -> Self {
        Self::Rows(rows.iter().map(prost::Message::encode_to_vec).collect())
    }
}

/// One probe's view of a host.
pub struct Look<'a> {
    /// The host. Probes that read through it directly report to [`Look::note`].
    pub host: &'a Host,
    /// What other probes of the same scan read already.
    pub(in crate::scan) shared: Rc<Shared>,
    budget: &'a Budget,
    coverage: Coverage,
    faults: Vec<String>,
    more_faults: usize,
}

impl<'a> Look<'a> {
    /// A view that has asked for nothing yet.
    pub fn new(host: &'a Host, budget: &'a Budget, probe: &str) -> Self {
        let coverage = Coverage { probe: probe.to_owned(), ..Coverage::default() };
        Self { host, shared: Rc::default(), budget, coverage, faults: Vec::new(), more_faults: 0 }
    }

    /// The same view, which knows what other probes of this scan read already.
    #[must_use]
    pub(in crate::scan) fn sharing(self, shared: &Rc<Shared>) -> Self {
        Self { shared: Rc::clone(shared), ..self }
    }

    /// Reads a source of at most `max_bytes`; `None` when it could not be read, for whatever reason.
    pub fn bytes(&mut self, path: &str, max_bytes: usize) -> Option<Vec<u8>> {
        let result = self.in_time().and_then(|()| self.host.root.read(path, max_bytes));
        self.note(path, result)
    }

    /// Reads a source as text; bytes that are not UTF-8 become replacement characters.
    pub fn text(&mut self, path: &str, max_bytes: usize) -> Option<String> {
        self.bytes(path, max_bytes).map(|it| String::from_utf8_lossy(&it).into_owned())
    }

    /// Reads a source of one value: the trimmed first line; `None` also when it is empty.
    pub fn value(&mut self, path: &str) -> Option<String> {
        const MAX_VALUE: usize = 4 * 1024;
        let text = self.text(path, MAX_VALUE)?;
        text.lines().next().and_then(said)
    }

    /// Lists a source of at most `max_entries` names.
    pub fn list(&mut self, path: &str, max_entries: usize) -> Option<Listing<'a>> {
        let result = self.in_time().and_then(|()| self.host.root.list(path, max_entries));
        let listing = self.note(path, result)?;
        if listing.unreadable_names > 0 {
            self.fault(format!("{path}: names that are not UTF-8 were left out"));
        }
        Some(listing)
    }

    /// Says what a source is.
    pub fn facts(&mut self, path: &str) -> Option<Facts> {
        let result = self.in_time().and_then(|()| self.host.root.facts(path));
        self.note(path, result)
    }

    /// Whether a source is there.
    pub fn exists(&mut self, path: &str) -> bool {
        self.facts(path).is_some()
    }

    /// One value of a key of the registry; `None` when it could not be read, for whatever reason.
    pub fn registry_value(&mut self, key: &str, name: &str) -> Option<Data> {
        let result = self.registry(|it| it.value(key, name));
        self.note(&value_name(key, name), result)
    }

    /// One value of a key whose row has a state of its own.
    pub fn registry_outcome(&mut self, key: &str, name: &str) -> Outcome<Data> {
        let result = self.registry(|it| it.value(key, name));
        self.outcome(&value_name(key, name), result)
    }

    /// The values of a key.
    pub fn registry_values(&mut self, key: &str) -> Option<Vec<Value>> {
        let result = self.registry(|it| it.values(key));
        self.note(key, result)
    }

    /// Names of the keys directly below a key.
    pub fn registry_keys(&mut self, key: &str) -> Option<Vec<String>> {
        let result = self.registry(|it| it.keys(key));
        self.note(key, result)
    }

    fn registry<T>(&self, ask: impl FnOnce(&Registry) -> io::Result<T>) -> io::Result<T> {
        self.in_time()?;
        self.host.registry.as_ref().map_or_else(|| Err(io::ErrorKind::NotFound.into()), ask)
    }

    /// Counts what became of a source and keeps the reason of a gap.
    pub fn note<T>(&mut self, source: &str, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.coverage.read += 1;
                Some(value)
            }
            Err(cause) if is_absent(&cause) => {
                self.coverage.absent += 1;
                None
            }
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                self.coverage.denied += 1;
                self.fault(format!("{source}: permission denied"));
                None
            }
            Err(cause) => {
                self.coverage.failed += 1;
                self.fault(format!("{source}: {}", plain(&cause)));
                None
            }
        }
    }

    /// Counts what became of a source whose row has a state of its own: that rights are missing is
    /// then an answer and no gap of the section.
    pub fn outcome<T>(&mut self, source: &str, result: io::Result<T>) -> Outcome<T> {
        match result {
            Ok(value) => {
                self.coverage.read += 1;
                Outcome::Seen(value)
            }
            Err(cause) if is_absent(&cause) => {
                self.coverage.absent += 1;
                Outcome::Absent
            }
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                self.coverage.denied += 1;
                Outcome::Denied
            }
            Err(cause) => {
                self.coverage.failed += 1;
                let why = plain(&cause);
                self.fault(format!("{source}: {why}"));
                Outcome::Failed(why)
            }
        }
    }

    /// Reads a source of one value, trimmed, whose row has a state of its own.
    pub fn value_or_state(&mut self, path: &str) -> Outcome<String> {
        const MAX_VALUE: usize = 4 * 1024;
        let result = self.in_time().and_then(|()| self.host.root.read(path, MAX_VALUE));
        self.outcome(path, result.map(|it| said(&String::from_utf8_lossy(&it)).unwrap_or_default()))
    }

    /// Records that something could not be read, so that the section is not complete.
    pub fn fault(&mut self, reason: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(reason.into());
        } else {
            self.more_faults += 1;
        }
    }

    /// How many gaps are on record.
    pub(in crate::scan) fn gaps(&self) -> usize {
        self.faults.len() + self.more_faults
    }

    /// The reading of a probe whose only source gave nothing: absent when it is not there, failed
    /// when there was another reason.
    pub fn missing(&mut self, absent: impl Into<String>) -> Reading {
        match self.faults.pop() {
            Some(why) => Reading::Failed(why),
            None => Reading::Absent(absent.into()),
        }
    }

    /// Fails when the scan's time is used up or somebody stopped it; long loops ask before each step.
    pub fn in_time(&self) -> io::Result<()> {
        if self.budget.is_stopped() {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the scan was stopped"))
        } else if self.budget.is_spent() {
            let limit = humantime::format_duration(self.budget.limit);
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("the scan's time of {limit} is used up")))
        } else {
            Ok(())
        }
    }

    /// What was asked, and the reasons of what was not answered.
    pub fn finish(mut self) -> (Coverage, Vec<String>) {
        if self.more_faults > 0 {
            self.faults.push(format!("and {} more", self.more_faults));
        }
        (self.coverage, self.faults)
    }
}

fn value_name(key: &str, name: &str) -> String {
    format!("{key}\\{name}")
}

/// Text that says something: trimmed, `None` when nothing is left.
pub(crate) fn said(text: &str) -> Option<String> {
    let text = text.trim().trim_matches('\0').trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// An error without the number that the standard library appends.
fn plain(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.rsplit_once(" (os error ") {
        Some((start, _)) => start.to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::host::Agent;
    use std::fs;
    use std::path::Path;

    /// An agent that is the same on every machine.
    pub(crate) fn agent() -> Agent {
        Agent { version: "0.0.0-test".into(), digest: None, config_digest: None }
    }

    /// Writes a captured host: each path with its content.
    pub(crate) fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            write(dir.path(), path, content.as_bytes());
        }
        let host = Host::captured(dir.path(), agent());
        (dir, host)
    }

    /// A captured Windows machine that has these keys and no files. The text is an export of the
    /// registry, as regedit writes it; its first line may be left out.
    pub(crate) fn windows_host(reg: &str) -> (tempfile::TempDir, Host) {
        const FIRST: &str = "Windows Registry Editor Version 5.00";
        let reg = reg.trim_start();
        let reg = if reg.starts_with(FIRST) { reg.to_owned() } else { format!("{FIRST}\n{reg}") };
        host(&[("registry.reg", &reg)])
    }

    pub(crate) fn write(dir: &Path, path: &str, content: &[u8]) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A budget that never ends.
    pub(crate) fn ample() -> Budget {
        Budget::measured_by(Duration::MAX, || Duration::ZERO)
    }

    /// Runs one probe and decodes its rows.
    pub(crate) fn rows_of<R: Row>(
        host: &Host,
        probe: fn(&mut Look<'_>) -> Reading,
    ) -> (Vec<R>, Vec<String>, Coverage) {
        let budget = ample();
        let mut look = Look::new(host, &budget, "test");
        let reading = probe(&mut look);
        let (coverage, faults) = look.finish();
        let Reading::Rows(rows) = reading else { panic!("no rows but {reading:?}") };
        (rows.iter().map(|it| R::decode(it.as_slice()).unwrap()).collect(), faults, coverage)
    }

    #[test]
    fn what_is_absent_and_what_is_broken_are_counted_apart() {
        let (_dir, host) = host(&[("etc/hostname", "hmi-01\n")]);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        assert_eq!(look.value("etc/hostname").as_deref(), Some("hmi-01"));
        assert_eq!(look.value("etc/nothing"), None);
        assert_eq!(look.bytes("etc", 10), None);
        assert_eq!(look.bytes("etc/hostname", 2), None);
        let (coverage, faults) = look.finish();
        assert_eq!((coverage.read, coverage.absent, coverage.denied, coverage.failed), (1, 1, 0, 2));
        assert_eq!(faults, ["etc: not a regular file", "etc/hostname: more than 2 bytes"]);
    }

    #[test]
    fn keys_of_a_registry_are_counted_as_files_are() {
        let (_dir, host) = windows_host("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]\n\"Version\"=\"4.1\"");
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        let key = r"HKLM\SOFTWARE\Vendor";
        assert_eq!(look.registry_value(key, "VERSION"), Some(Data::Text("4.1".into())));
        assert_eq!(look.registry_value(key, "Build"), None);
        assert_eq!(look.registry_keys(r"HKLM\SAM"), None);
        let (coverage, faults) = look.finish();
        assert_eq!((coverage.read, coverage.absent, coverage.denied, coverage.failed), (1, 1, 0, 1));
        assert_eq!(faults, [r"HKLM\SAM: HKLM\SAM holds secrets, which the agent never reads"]);
    }

    #[test]
    fn a_broken_export_is_a_reason_for_every_question() {
        let (_dir, host) = windows_host("[HKLM\\SOFTWARE]\n\"Version\"=4.1");
        assert_eq!(host.family(), crate::host::Family::Windows);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        assert_eq!(look.registry_keys("HKLM"), None);
        let (_, faults) = look.finish();
        let why = "HKLM: registry.reg: line 3: data is neither text in quotes nor dword:, hex: or hex(type):";
        assert_eq!(faults, [why]);
    }

    #[test]
    fn after_its_time_nothing_more_is_read() {
        let (_dir, host) = host(&[("etc/hostname", "hmi-01\n")]);
        let spent = Budget::measured_by(Duration::from_secs(10), || Duration::from_secs(10));
        let mut look = Look::new(&host, &spent, "test");
        assert_eq!(look.value("etc/hostname"), None);
        let (coverage, faults) = look.finish();
        assert_eq!(coverage.failed, 1);
        assert_eq!(faults, ["etc/hostname: the scan's time of 10s is used up"]);
    }

    #[test]
    fn a_scan_that_is_stopped_reads_nothing_more() {
        let (_dir, host) = host(&[("etc/hostname", "hmi-01")]);
        let stop = Arc::new(AtomicBool::new(false));
        let budget = ample().until(Arc::clone(&stop));
        let mut look = Look::new(&host, &budget, "test");
        assert!(look.value("etc/hostname").is_some());
        stop.store(true, Ordering::Relaxed);
        assert!(look.value("etc/hostname").is_none());
        assert_eq!(look.finish().1, ["etc/hostname: the scan was stopped"]);
    }

    #[test]
    fn reasons_are_bounded() {
        let (_dir, host) = host(&[]);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        for _ in 0..1_000 {
            look.fault("broken");
        }
        assert_eq!(look.finish().1.last().unwrap(), "and 984 more");
    }
}
