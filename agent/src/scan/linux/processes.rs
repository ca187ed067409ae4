//! The processes that run, each with its program and its service.
//!
//! Sources of truth: `proc/PID/exe` and `proc/PID/cgroup`, read once in a scan and shared by the
//! probes that look at processes. The program of another user's process needs `CAP_SYS_PTRACE`;
//! a process can also hide itself from root. Kernel threads have no program and are left out, and
//! so is what ended while it was looked at: neither is a gap.
//!
//! Known lie: a program whose name truly ends in ` (deleted)` is named without it.

use std::io;
use std::rc::Rc;

use crate::host::{Reads, is_absent};
use crate::scan::Look;

/// What this source may touch.
pub(super) const READS: &[Reads] = &[
    Reads::content("proc"),
    Reads::metadata("proc/*/exe"),
    Reads::content("proc/*/cgroup"),
    Reads::metadata("proc/stat"),
];

const MAX_PROCESSES: usize = 65_536;
const MAX_CGROUP: usize = 64 * 1024;
/// What the kernel appends to the name of a file that is no longer there.
pub(super) const DELETED: &str = " (deleted)";
/// `ESRCH`: the process ended between opening a file of its directory and reading it.
const NO_SUCH_PROCESS: i32 = 3;

/// All processes that run a program.
#[derive(Debug, Default)]
pub(in crate::scan) struct Processes {
    /// In the order of their directories' names.
    pub(super) list: Vec<Process>,
    /// The process that must be there is not: `proc` shows a part of what runs.
    pub(super) is_partly_hidden: bool,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// Its number, which never gets into a row.
    pub(super) number: String,
    /// `None` when it may not be known.
    pub(super) program: Option<Program>,
    /// `None` when it belongs to no service.
    pub(super) service: Option<Service>,
}

/// What a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// Absolute path as the process's own name space has it.
    pub(super) path: String,
    /// Whether the file is no longer there under that name.
    pub(super) is_deleted: bool,
}

/// A service by the control group of its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// Its name without `.service`.
    pub(super) name: String,
    /// Whether the host's own service manager started it, not that of a user's session or of a container.
    pub(super) is_system: bool,
}

impl Processes {
    /// Every path whose package is likely to be asked for: the programs, and the units of services.
    pub(super) fn paths(&self) -> impl Iterator<Item = String> {
        let programs = self.list.iter().filter_map(|it| it.path().map(str::to_owned));
        let units = self.list.iter().filter_map(|it| it.service.as_ref()).filter(|it| it.is_system);
        programs.chain(units.map(Service::unit))
    }
}

impl Service {
    /// The unit file as a package ships it; an instance has that of its template.
    pub(super) fn unit(&self) -> String {
        match self.name.split_once('@') {
            Some((template, _)) => format!("/usr/lib/systemd/system/{template}@.service"),
            None => format!("/usr/lib/systemd/system/{}.service", self.name),
        }
    }
}

impl Process {
    /// The program's path, where it is known.
    pub(super) fn path(&self) -> Option<&str> {
        self.program.as_ref().map(|it| it.path.as_str())
    }

    /// The service's name, where there is one.
    pub(super) fn service_name(&self) -> Option<&str> {
        self.service.as_ref().map(|it| it.name.as_str())
    }

    /// A file of its directory.
    pub(super) fn file(&self, name: &str) -> String {
        format!("proc/{}/{name}", self.number)
    }
}

/// Whether the root is that of a running system; `proc/stat` is there on every one.
pub(super) fn is_running(look: &mut Look<'_>) -> bool {
    look.exists("proc/stat")
}

/// Lists the processes; `None` when that is not possible, which is on record then.
pub(super) fn read(look: &mut Look<'_>) -> Option<Rc<Processes>> {
    let shared = Rc::clone(&look.shared);
    if let Some(None) = shared.processes.get() {
        look.fault("proc could not be listed");
    }
    shared.processes.get_or_init(|| list(look).map(Rc::new)).clone()
}

fn list(look: &mut Look<'_>) -> Option<Processes> {
    let listing = look.list("proc", MAX_PROCESSES)?;
    let root = &look.host.root;
    let mut processes = Processes { is_partly_hidden: true, ..Processes::default() };
    for entry in listing.entries.iter().filter(|it| it.name.bytes().all(|it| it.is_ascii_digit())) {
        if let Err(late) = look.in_time() {
            look.fault(format!("processes: {late}"));
            break;
        }
        // Every name space of processes has a first one.
        processes.is_partly_hidden &= entry.name != "1";
        let program = match root.read_link(&format!("proc/{}/exe", entry.name)) {
            Ok(target) => Some(program_of(&target.to_string_lossy())),
            Err(cause) if is_denial(&cause) => None,
            // A kernel thread, or a process that has ended.
            Err(_) => continue,
        };
        let service = root
            .read(&format!("proc/{}/cgroup", entry.name), MAX_CGROUP)
            .ok()
            .and_then(|it| service_of(&String::from_utf8_lossy(&it)));
        processes.list.push(Process { number: entry.name.clone(), program, service });
    }
    Some(processes)
}

fn program_of(target: &str) -> Program {
    match target.strip_suffix(DELETED) {
        Some(path) => Program { path: path.to_owned(), is_deleted: true },
        None => Program { path: target.to_owned(), is_deleted: false },
    }
}

/// Whether looking needs more rights.
pub(super) fn is_denial(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::PermissionDenied
}

/// Whether the process has ended.
pub(super) fn has_ended(cause: &io::Error) -> bool {
    is_absent(cause) || cause.raw_os_error() == Some(NO_SUCH_PROCESS)
}

/// The service in a process's control groups: the last component that names one.
fn service_of(cgroup: &str) -> Option<Service> {
    const SUFFIX: &str = ".service";
    cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2)).find_map(|group| {
        let parts: Vec<&str> = group.split('/').filter(|it| !it.is_empty()).collect();
        let at = parts.iter().rposition(|it| it.len() > SUFFIX.len() && it.ends_with(SUFFIX))?;
        let above = &parts[..at];
        let is_system = above.iter().all(|it| it.ends_with(".slice") || it.ends_with(SUFFIX))
            && above.first().is_some_and(|it| !matches!(*it, "user.slice" | "machine.slice"));
        Some(Service { name: parts[at].strip_suffix(SUFFIX)?.to_owned(), is_system })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host, write};
    use std::os::unix::fs::symlink;

    fn service(cgroup: &str) -> Option<(String, bool)> {
        service_of(cgroup).map(|it| (it.name, it.is_system))
    }

    #[test]
    fn the_service_is_the_innermost_one() {
        assert_eq!(service("0::/system.slice/a.service/inner\n"), Some(("a".into(), true)));
        assert_eq!(
            service("1:name=systemd:/user.slice/user@0.service/app.slice/b.service\n"),
            Some(("b".into(), false))
        );
        assert_eq!(service("0::/\n"), None);
        assert_eq!(service("rubbish\n:\n::/.service"), None);
    }

    #[test]
    fn services_of_sessions_and_containers_are_not_the_hosts() {
        for (group, is_system) in [
            ("/system.slice/ssh.service", true),
            ("/system.slice/system-getty.slice/getty@tty1.service", true),
            ("/plant.slice/historian.service", true),
            ("/lxc.payload.a/system.slice/ssh.service", false),
            ("/system.slice/docker-0a.scope/system.slice/ssh.service", false),
            ("/machine.slice/a.service", false),
            ("/user.slice/user-0.slice/user@0.service", false),
        ] {
            assert_eq!(service(&format!("0::{group}\n")).map(|it| it.1), Some(is_system), "{group}");
        }
    }

    #[test]
    fn kernel_threads_are_left_out_and_a_proc_without_the_first_process_is_known() {
        let (dir, host) = host(&[
            ("proc/2/cgroup", "0::/\n"),
            ("proc/70/cgroup", "0::/system.slice/a.service\n"),
            ("proc/self/cgroup", ""),
        ]);
        symlink("/usr/bin/a (deleted)", dir.path().join("proc/70/exe")).unwrap();
        let budget = ample();
        let read_all = || {
            let mut look = Look::new(&host, &budget, "test");
            read(&mut look).unwrap()
        };
        let processes = read_all();
        assert_eq!(processes.list.len(), 1);
        let only = &processes.list[0];
        assert_eq!((only.path(), only.service_name()), (Some("/usr/bin/a"), Some("a")));
        assert!(only.program.as_ref().unwrap().is_deleted && processes.is_partly_hidden);
        write(dir.path(), "proc/1/cgroup", b"");
        assert!(!read_all().is_partly_hidden);
    }

    #[test]
    fn processes_are_read_once_in_a_scan() {
        let (dir, host) = host(&[("proc/70/cgroup", "")]);
        symlink("/a", dir.path().join("proc/70/exe")).unwrap();
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        let first = read(&mut look).unwrap();
        std::fs::remove_dir_all(dir.path().join("proc")).unwrap();
        assert!(Rc::ptr_eq(&first, &read(&mut look).unwrap()));
    }
}
