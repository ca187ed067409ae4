//! The agent's own cage: what it gives up before it looks at anything, and when it does not look.
//!
//! The agent is two halves in one process, because what each has to give up is what the other needs:
//!
//! | | thread `scan` | everything else (the network half) |
//! |---|---|---|
//! | processor | nice 19 and `SCHED_IDLE` | nice 19 |
//! | disk | idle class | as the service manager gave it |
//! | whole process | private memory 64 MiB, address space 512 MiB, no core dump | the same |
//! | rights | no new privileges | no new privileges |
//! | calls refused | execve, new processes, listen, ptrace, mount, modules, bpf, keys, clocks, ... | the same |
//! | | whatever changes a file; sockets but `AF_UNIX` and `AF_NETLINK` | |
//! | files (Landlock) | - | its state read and written, what name look-up needs read, nothing else |
//! | TCP (Landlock) | no such socket | to the collector's port, nowhere else |
//!
//! So what reads everything can neither write nor reach a network, and what reaches the network can
//! read nothing of the host. Landlock is not for the scan: with it the kernel counts every
//! other process as out of bounds and takes `/proc/PID/exe` and `fd` away, which is what listeners and
//! live facts are made of. It is a property of a thread and of those that it starts; the thread that
//! scans therefore starts before the first one is walled in, and lives as long as the agent.
//!
//! The network half is not `SCHED_IDLE`: it has milliseconds of work, and an operator who asks for a
//! rescan gets an answer (also "declined") within seconds on a busy host. The scan waits for idle time.
//!
//! The program `holdpoint-agent` does all of this at its start. A program that runs an agent inside
//! itself (`holdpoint quickstart`, a test) gets what concerns the scan's thread and nothing else; the
//! filters are the thread's own, never another's. Whatever a system refuses is logged with its reason and
//! missing in the section `self`, which asks the system what holds; the agent still runs: Landlock
//! came with Linux 5.13, its network rules with 6.7, and filters of calls are as old as 3.5.
//!
//! Windows has other bars for the same cage, by their names in the section `self`:
//!
//! | name | what holds | since |
//! |---|---|---|
//! | `background-mode` | the scan's thread: processor, disk and memory only when nobody else wants them | 7 |
//! | `low-priority` | the whole process comes after every program of normal priority | 7 |
//! | `memory-ceiling` | a job object: committed memory 64 MiB | 7 |
//! | `cpu-ceiling` | a job object: a quarter of one processor, hard | 8 |
//! | `no-child-process` | a job object of one process; from 10 1709 on a mitigation policy too | 7 |
//! | `no-desktop` | a job object: no clipboard, no foreign windows, no shutting down of Windows | 7 |
//! | `no-dynamic-code`, `no-extension-points`, `no-remote-images` | mitigation policies | 8, 8, 10 |
//! | `few-privileges` | what a token may beyond its rights to files and keys is given up, but for what reading needs | 7 |
//! | `write-restricted` | writes only where the service's own name is granted it: its state; set by `service install` | 7 |
//!
//! `few-privileges` and `write-restricted` stand for what Landlock and the filters do on Linux. What a host's
//! old Windows does not know is missing in the section and logged once, as on Linux.
//!
//! Nothing here kills: a refused call is an error where it happens. What a list of refused calls
//! cannot be is complete, so it is not alone: a call newer than the list does not exist for the agent,
//! and the systemd unit beside it works with a list of allowed ones.
//!
//! The two other files are about time: [`hours`] are the administrator's, [`hold`] says what keeps the
//! agent from looking now.

// The table is Linux's; it is tested everywhere.
#[cfg(any(unix, test))]
pub(crate) mod filter;
pub mod hold;
pub mod hours;

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tracing::{debug, info};

use crate::host::restrict;

/// Ceiling of private memory, bytes. Well above the peak of a scan (24 MiB by contract), so that it
/// is met by a defect alone; the process then ends and its service manager starts it again.
pub(crate) const MOST_MEMORY: u64 = 64 * 1024 * 1024;

/// What name look-up reads. Not single files: network managers replace `resolv.conf` by a new file, and a
/// rule belongs to the old one. Only for collectors that are known by a name.
const NAMES: [&str; 4] = ["/etc", "/run/systemd/resolve", "/run/nscd", "/run/resolvconf"];
/// What the C library reads by itself: name services, time zones, random numbers.
const LIBRARY: [&str; 7] =
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/localtime", "/dev/urandom"];
/// What the agent says of itself with each check-in: memory, processor time, uptime.
const OWN_USE: [&str; 2] = ["/proc/self", "/proc/uptime"];
/// Where names are asked when an answer is too long for UDP.
const DNS: u16 = 53;

/// What the network half keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Directories in which it writes.
    pub(crate) write: Vec<PathBuf>,
    /// Files and directories that it reads.
    pub(crate) read: Vec<PathBuf>,
    /// TCP ports that it calls.
    pub(crate) ports: Vec<u16>,
}

impl Needs {
    /// What talking to a collector needs.
    pub(crate) fn link(state: &Path, collector: &str) -> Self {
        let mut needs = Self { write: vec![state.to_owned()], ..Self::default() };
        needs.read.extend(LIBRARY.iter().chain(&OWN_USE).map(PathBuf::from));
        let (host, port) = collector.rsplit_once(':').unwrap_or((collector, ""));
        needs.ports.extend(port.parse::<u16>().ok());
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if !is_address {
            needs.read.extend(NAMES.map(PathBuf::from));
            needs.ports.push(DNS);
        }
        needs
    }

    /// What writing one file needs: it is written beside its place and renamed. The state of who signs it, too.
    pub(crate) fn file(out: Option<&Path>, signer: Option<&Path>) -> Self {
        let named = |it: &Path| if it.as_os_str().is_empty() { ".".into() } else { it.to_owned() };
        let folder = out.and_then(Path::parent).map(named);
        let state = signer.map(Path::to_owned);
        Self { write: folder.into_iter().chain(state).collect(), ..Self::default() }
    }
}

/// What Landlock gave the network half.
#[derive(Debug)]
pub(crate) struct Walls {
    /// Whether this kernel knows every rule; an older one leaves TCP or signals open.
    pub(crate) is_whole: bool,
    /// Places that have to stay open for their rules to stay theirs.
    #[expect(dead_code, reason = "held, not used")]
    pub(crate) kept: Vec<File>,
}

impl Walls {
    /// Their name in the section `self`.
    pub(crate) fn name(&self) -> &'static str {
        if self.is_whole { "landlock" } else { "landlock-partial" }
    }
}

/// Where the network half says how it is walled in, for the section `self`.
pub(crate) type SharedWalls = Arc<OnceLock<Walls>>;

/// Something that the agent gives up.
#[derive(Clone, Copy)]
pub(crate) struct Restriction {
    /// Its name in the section `self`.
    pub(crate) name: &'static str,
    /// Gives it up; `None` where only whoever starts the agent can take it.
    pub(crate) enter: Option<fn() -> io::Result<()>>,
    /// Whether it holds for the calling thread, by the system's own word; `None` where nobody can say.
    pub(crate) holds: Option<fn() -> bool>,
}

/// A restriction that the system refused, and why.
pub(crate) type Gap = (&'static str, io::Error);

/// Cages the whole program; before any thread, because a thread inherits what its parent gave up.
pub(crate) fn enter() -> Vec<Gap> {
    entered(restrict::PROGRAM)
}

/// Cages the thread that scans.
pub(crate) fn enter_scan() -> Vec<Gap> {
    entered(restrict::SCAN)
}

fn entered(restrictions: &[Restriction]) -> Vec<Gap> {
    let tried = restrictions.iter().filter_map(|it| it.enter.map(|enter| (it.name, enter())));
    tried.filter_map(|(name, done)| done.err().map(|cause| (name, cause))).collect()
}

/// Walls the network half in; after the thread that scans was started.
pub(crate) fn enter_network(needs: &Needs, walls: &SharedWalls) -> Option<Gap> {
    match restrict::wall_in(needs) {
        Ok(built) => {
            // There is one network half, and it comes here once.
            let _ = walls.set(built);
            None
        }
        Err(cause) => Some(("landlock", cause)),
    }
}

/// Restrictions that hold for the calling thread now, by the system's own word, in order of names.
pub(crate) fn active(walls: Option<&Walls>) -> Vec<&'static str> {
    let mut active: Vec<&str> = restrict::PROGRAM
        .iter()
        .chain(restrict::SCAN)
        .filter_map(|it| it.holds.is_some_and(|holds| holds()).then_some(it.name))
        .chain(walls.map(Walls::name))
        .collect();
    active.sort_unstable();
    active.dedup();
    active
}

/// Says what the system refused. One restriction may have been tried twice: where the service
/// manager set it before, a refusal takes nothing away.
pub(crate) fn log(gaps: &[Gap], active: &[&str], loudly: bool) {
    let open = gaps.iter().filter(|(name, _)| !active.contains(name));
    for (restriction, cause) in open {
        let error = cause as &dyn std::error::Error;
        if loudly {
            info!(restriction, error, "this system does not take a restriction of the agent");
        } else {
            debug!(restriction, error, "this system does not take a restriction of the agent");
        }
    }
    if loudly {
        info!(active = active.join(" "), "the agent is caged");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(paths: &[PathBuf], path: &str) -> bool {
        paths.iter().any(|it| it == Path::new(path))
    }

    #[test]
    fn an_address_needs_no_names_and_a_name_needs_its_files() {
        for collector in ["10.1.2.3:7443", "[fd00::1]:7443"] {
            let needs = Needs::link(Path::new("/state"), collector);
            assert_eq!(needs.ports, [7443], "{collector}");
            assert!(!has(&needs.read, "/etc"), "{collector}");
            assert_eq!(needs.write, [Path::new("/state")]);
        }
        let needs = Needs::link(Path::new("/state"), "collector.plant.example:7443");
        assert_eq!(needs.ports, [7443, DNS]);
        assert!(has(&needs.read, "/etc"));
    }

    #[test]
    fn a_result_is_written_in_its_own_directory_alone() {
        assert_eq!(Needs::file(None, None).write, Vec::<PathBuf>::new());
        assert_eq!(Needs::file(Some(Path::new("a")), None).write, [Path::new(".")]);
        assert_eq!(Needs::file(Some(Path::new("/x/a")), None).write, [Path::new("/x")]);
        let signed = Needs::file(Some(Path::new("/x/a")), Some(Path::new("/state")));
        assert_eq!(signed.write, [Path::new("/x"), Path::new("/state")]);
        assert!(signed.ports.is_empty() && signed.read.is_empty());
    }
}
