//! The system's side of the cage: each function does one thing and says whether the system took it.
//!
//! Everything but the ceilings is a property of the calling thread and of threads that it starts
//! afterwards; nothing here reaches threads that run already (no `TSYNC`).
#![expect(unsafe_code, reason = "scheduling classes, filters and local time have no safe interface")]

use std::fs::File;
use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use libc::{c_int, c_long, c_ulong};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{LOWEST, calls, has_nice};
use crate::cage::filter::{Instruction, assemble};
use crate::cage::{MOST_MEMORY, Needs, Restriction, Walls};

/// Ceiling of the address space, bytes: libraries, stacks and what allocators reserve without using.
const MOST_ADDRESSES: u64 = 512 * 1024 * 1024;
/// `SCHED_IDLE` of sched.h: runs when nothing else wants to.
const SCHED_IDLE: c_long = 5;
/// `IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT` of linux/ioprio.h.
const IO_IDLE: c_long = 3 << 13;
const IO_CLASS_SHIFT: u32 = 13;
const IOPRIO_WHO_PROCESS: c_long = 1;
/// What prctl(2) says of a thread with a filter, and how it is asked for one.
const FILTERED: c_int = 2;
const BY_FILTER: c_ulong = 2;
/// An argument that is not used.
const NONE: c_ulong = 0;

/// The newest Landlock that this version knows how to use.
const LANDLOCK: ABI = ABI::V7;

const NICE: Restriction = Restriction { name: "nice", enter: Some(nice), holds: Some(has_nice) };
const NO_NEW_PRIVILEGES: Restriction = Restriction {
    name: "no-new-privileges",
    enter: Some(no_new_privileges),
    holds: Some(has_no_new_privileges),
};

pub(in crate::host) const PROGRAM: &[Restriction] = &[
    NICE,
    // The system says of itself whether it would write one; nobody else asks.
    Restriction { name: "no-core-dump", enter: Some(no_core), holds: None },
    Restriction {
        name: "memory-ceiling",
        enter: Some(|| limit_memory(MOST_MEMORY, MOST_ADDRESSES)),
        holds: Some(|| has_limited_memory(MOST_MEMORY)),
    },
    NO_NEW_PRIVILEGES,
    Restriction { name: "seccomp", enter: Some(|| refuse_calls(false)), holds: Some(has_refused_calls) },
];

pub(in crate::host) const SCAN: &[Restriction] = &[
    NICE,
    Restriction { name: "idle-cpu", enter: Some(idle_cpu), holds: Some(has_idle_cpu) },
    Restriction { name: "idle-io", enter: Some(idle_io), holds: Some(has_idle_io) },
    NO_NEW_PRIVILEGES,
    Restriction { name: "no-write", enter: Some(|| refuse_calls(true)), holds: Some(has_refused_changes) },
];

fn nice() -> io::Result<()> {
    Ok(rustix::process::setpriority_process(None, LOWEST)?)
}

fn idle_cpu() -> io::Result<()> {
    // The kernel's `struct sched_param` is one number: the priority, of which this class has none.
    let parameter: c_int = 0;
    // SAFETY: the parameter lives over the call, which only reads it. The C library's own function
    // is not used because one of them (musl) refuses it.
    answer(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, SCHED_IDLE, &raw const parameter) })
}

fn has_idle_cpu() -> bool {
    // SAFETY: takes a number and gives one; 0 is the calling thread.
    (unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) }) == SCHED_IDLE
}

fn idle_io() -> io::Result<()> {
    // SAFETY: takes numbers alone; 0 is the calling thread.
    answer(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IO_IDLE) })
}

fn has_idle_io() -> bool {
    // SAFETY: takes numbers and gives one; 0 is the calling thread.
    let class = unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) };
    class >> IO_CLASS_SHIFT == IO_IDLE >> IO_CLASS_SHIFT
}

fn limit_memory(data: u64, addresses: u64) -> io::Result<()> {
    for (resource, most) in [(Resource::Data, data), (Resource::As, addresses)] {
        let most = getrlimit(resource).maximum.map_or(most, |it| it.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

fn has_limited_memory(data: u64) -> bool {
    getrlimit(Resource::Data).current.is_some_and(|it| it <= data)
}

fn no_core() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

fn no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

fn has_no_new_privileges() -> bool {
    rustix::thread::no_new_privs() == Ok(true)
}

fn refuse_calls(changing: bool) -> io::Result<()> {
    let machine = calls::MACHINE.ok_or(io::ErrorKind::Unsupported)?;
    let mut rules = if changing { calls::changing() } else { Vec::new() };
    rules.extend(calls::never(std::process::id()));
    install(&assemble(machine, &rules))
}

fn has_refused_calls() -> bool {
    // Whether there is a filter, and whether one of its calls is really refused: the file that it
    // names does not exist, which is what the answer says where nothing is refused.
    // SAFETY: takes numbers alone; no namespace has the descriptor -1.
    is_filtered() && is_refused(unsafe { libc::syscall(libc::SYS_setns, -1, 0) })
}

fn has_refused_changes() -> bool {
    // SAFETY: takes numbers alone; no file has the descriptor -1.
    is_filtered() && is_refused(unsafe { libc::syscall(libc::SYS_ftruncate, -1, 0) })
}

fn is_filtered() -> bool {
    // SAFETY: takes numbers and gives one.
    (unsafe { libc::prctl(libc::PR_GET_SECCOMP, NONE, NONE, NONE, NONE) }) == FILTERED
}

fn is_refused(result: c_long) -> bool {
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

fn install(program: &[Instruction]) -> io::Result<()> {
    let mut code: Vec<libc::sock_filter> = program
        .iter()
        .map(|it| libc::sock_filter { code: it.code, jt: it.when_true, jf: it.when_false, k: it.value })
        .collect();
    let len = u16::try_from(code.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: code.as_mut_ptr() };
    // SAFETY: the kernel copies `len` instructions from `filter` during the call; both live until
    // after it. It checks the program itself and refuses one that could leave its bounds.
    answer(c_long::from(unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, BY_FILTER, &raw const program, NONE, NONE)
    }))
}

fn answer(result: c_long) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(in crate::host) fn wall_in(needs: &Needs) -> io::Result<Walls> {
    let reads = AccessFs::ReadFile | AccessFs::ReadDir;
    let whole = AccessFs::from_all(LANDLOCK);
    let created = Ruleset::default()
        .handle_access(whole)
        .and_then(|it| it.handle_access(AccessNet::from_all(LANDLOCK)))
        .and_then(|it| it.scope(Scope::from_all(LANDLOCK)))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    // These stay open, and so stay what they are: the kernel makes an entry of `proc` anew when
    // nobody holds it, and a rule belongs to one of its lives.
    let mut kept = Vec::new();
    let mut ruleset = created;
    for (paths, access) in [(&needs.write, whole), (&needs.read, reads)] {
        for path in paths {
            // What is not there needs no rule.
            let Some(place) = open(path)? else { continue };
            let fits =
                if place.metadata()?.is_dir() { access } else { access & AccessFs::from_file(LANDLOCK) };
            ruleset = ruleset.add_rule(rule(&place, fits)).map_err(io::Error::other)?;
            kept.push(place);
        }
    }
    for port in &needs.ports {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp)).map_err(io::Error::other)?;
    }
    let status = ruleset.restrict_self().map_err(io::Error::other)?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(Walls { is_whole: true, kept }),
        RulesetStatus::PartiallyEnforced => Ok(Walls { is_whole: false, kept }),
        RulesetStatus::NotEnforced => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel has no Landlock"))
        }
    }
}

fn rule(place: &File, access: BitFlags<AccessFs>) -> PathBeneath<&File> {
    PathBeneath::new(place, access)
}

/// Opens a place to name it, not to read it; `None` when it is not there.
fn open(path: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{Mode, OFlags};
    match rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(place) => Ok(Some(place.into())),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::ACCESS) => Ok(None),
        Err(cause) => Err(cause.into()),
    }
}

#[cfg(test)]
#[path = "cage_tests.rs"]
mod tests;
