//! Processes that still run code of a file that was deleted or replaced.
//!
//! Sources of truth: the mappings of code in `proc/PID/maps` and the program itself, `proc/PID/exe`;
//! the kernel marks a file that lost its name with ` (deleted)`. What stands under the name now is
//! only asked for its device and number: nothing there means `deleted`, another file means
//! `replaced`. Other users' processes need `CAP_SYS_PTRACE`; one that may not be read makes the
//! section partial. Kernel threads have no maps, and a process that ends meanwhile is no gap.
//!
//! A process in a container or another root has other files under the same names. What is deleted
//! there is said without a package and under a source of its own, `linux/mapped-elsewhere`;
//! whether it was replaced is not known. btrfs and overlayfs number a file differently in maps and
//! in stat(2): without the kernel's mark, only a file on the same device counts as another one.
//!
//! Known lies: code that a program unpacks into a temporary place, maps and deletes itself is left
//! out; scripts are not mapped as code, see `services`; a file that was overwritten in place is the
//! same file; one that NFS still keeps under a `.nfs` name is not deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use holdpoint_common::row::LiveRow;

use super::at_rest;
use super::maps::{self, Mapping};
use super::views::Views;
use crate::host::{HostRoot, Reads};
use crate::scan::linux::packages::owner;
use crate::scan::linux::processes::{self, DELETED, Process, has_ended, is_denial};
use crate::scan::{Look, Reading};

/// What this probe may touch: mapped files can be anywhere, and are only asked what they are.
pub(super) const READS: &[Reads] =
    &[Reads::content("proc/*/maps"), Reads::content("proc/*/comm"), Reads::metadata("**")];

/// Largest text of one process: the kernel allows some 65,000 mappings.
const MAX_MAPS: u64 = 32 * 1024 * 1024;
const MAX_COMM: usize = 64;
/// Bytes of paths that are remembered, so that each file is looked at once.
const MAX_HELD: usize = 4 * 1024 * 1024;
/// Most findings that become rows.
const MAX_FINDINGS: usize = 4_096;
/// Most programs that a refusal names.
const MAX_NAMED: usize = 3;
/// Where programs put files that are nobody's but theirs.
const TEMPORARY: [&str; 4] = ["/tmp/", "/var/tmp/", "/run/", "/var/run/"];

/// Compares the code in memory with the files on disk.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    if !processes::is_running(look) {
        return at_rest(look);
    }
    let Some(processes) = processes::read(look) else { return look.missing("proc has no processes") };
    if processes.is_partly_hidden {
        look.fault("proc shows a part of the processes only (mount option hidepid)");
    }
    let mut files = Files::default();
    let mut views = Views::default();
    let mut findings = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for process in &processes.list {
        if let Err(late) = look.in_time() {
            look.fault(format!("maps: {late}"));
            break;
        }
        let (suspects, result) = suspects(&look.host.root, process, &mut files);
        for suspect in suspects {
            findings.extend(finding(look, &mut views, process, &suspect));
        }
        let named = process.path().unwrap_or("a program");
        match result {
            Ok(true) => {}
            Ok(false) => look.fault(format!("maps of {named}: not all of them can be read")),
            Err(cause) if is_denial(&cause) => _ = refused.insert(name_of(look, process)),
            Err(cause) if has_ended(&cause) => {}
            Err(cause) => look.fault(format!("maps of {named}: {cause}")),
        }
        if findings.len() > MAX_FINDINGS {
            look.fault(format!("more than {MAX_FINDINGS} programs and files differ"));
            break;
        }
    }
    if !refused.is_empty() {
        let names = if refused.len() > MAX_NAMED {
            "other users' processes".to_owned()
        } else {
            Vec::from_iter(refused).join(", ")
        };
        let refusal = Err::<(), _>(io::ErrorKind::PermissionDenied.into());
        look.note(&format!("maps of {names} (needs CAP_SYS_PTRACE)"), refusal);
    }
    rows(look, findings)
}

fn rows(look: &mut Look<'_>, findings: BTreeSet<Finding>) -> Reading {
    let here = findings.iter().filter(|it| !it.is_elsewhere).map(|it| it.file.clone()).collect();
    let packages = owner::packages(look, &here);
    let rows: Vec<LiveRow> = findings
        .into_iter()
        .map(|it| LiveRow {
            source: if it.is_elsewhere { "linux/mapped-elsewhere" } else { "linux/mapped" }.to_owned(),
            kind: "mapped-file".to_owned(),
            state: it.state.to_owned(),
            program: it.program,
            service: it.service,
            package: if it.is_elsewhere { None } else { packages.get(&it.file).cloned() },
            file: Some(it.file),
            ..LiveRow::default()
        })
        .collect();
    Reading::of(&rows)
}

/// What a row says, without the package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    program: Option<String>,
    service: Option<String>,
    file: String,
    state: &'static str,
    is_elsewhere: bool,
}

/// Whether a suspect of a process is really not what is on disk.
fn finding(look: &Look<'_>, views: &mut Views, process: &Process, suspect: &Suspect) -> Option<Finding> {
    let is_here = views.agree(look, &process.number, &suspect.file);
    let state = match suspect.now {
        _ if !is_here => suspect.is_deleted.then_some("deleted"),
        Some((_, inode)) if inode == suspect.inode => None,
        Some(_) => Some("replaced"),
        None => suspect.is_deleted.then_some("deleted"),
    };
    Some(Finding {
        program: process.path().map(str::to_owned),
        service: process.service_name().map(str::to_owned),
        file: suspect.file.clone(),
        state: state?,
        is_elsewhere: !is_here,
    })
}

/// A file in memory that seems not to be the one on disk.
#[derive(Debug, PartialEq, Eq)]
struct Suspect {
    file: String,
    /// 0 when only its name is known.
    inode: u64,
    is_deleted: bool,
    /// Device and number of what the agent sees under that name.
    now: Option<(u64, u64)>,
}

/// The files in memory that were looked at, by device and number.
#[derive(Debug, Default)]
struct Files {
    seen: BTreeMap<(u64, u64), Vec<Seen>>,
    bytes: usize,
}

/// One name of a file in memory; no suspect when it is as on disk.
#[derive(Debug)]
struct Seen {
    path: Vec<u8>,
    suspect: Option<Rc<Suspect>>,
}

impl Files {
    fn suspect(&mut self, root: &HostRoot, mapping: Mapping<'_>) -> Option<Rc<Suspect>> {
        let known = self.seen.entry((mapping.device, mapping.inode)).or_default();
        if let Some(seen) = known.iter().find(|it| it.path == mapping.path) {
            return seen.suspect.clone();
        }
        let path = maps::path_of(mapping.path);
        let suspect = compare(root, &path, mapping.device, mapping.inode).map(Rc::new);
        self.bytes += mapping.path.len();
        if self.bytes < MAX_HELD {
            known.push(Seen { path: mapping.path.to_vec(), suspect: suspect.clone() });
        }
        suspect
    }
}

fn suspects(root: &HostRoot, process: &Process, files: &mut Files) -> (Vec<Rc<Suspect>>, io::Result<bool>) {
    let mut found: Vec<Rc<Suspect>> = Vec::new();
    let result = root.pieces(&process.file("maps")).and_then(|text| {
        maps::code(text.into_reader(), MAX_MAPS, |mapping| {
            let suspect = files.suspect(root, mapping);
            found.extend(suspect.filter(|it| !found.contains(it)));
        })
    });
    // A program can move its code to memory that is no file; its own name still tells.
    if let Some(program) =
        process.program.as_ref().filter(|it| it.is_deleted && maps::is_file(it.path.as_bytes()))
        && !found.iter().any(|it| it.file == settled(&program.path))
    {
        let path = format!("{}{DELETED}", program.path);
        found.extend(compare(root, &path, 0, 0).map(Rc::new));
    }
    (found, result)
}

/// Compares a file in memory with what the agent sees under its name.
fn compare(root: &HostRoot, path: &str, device: u64, inode: u64) -> Option<Suspect> {
    let at = |path: &str| root.facts(path).ok().map(|it| (it.device, it.inode));
    let Some(name) = path.strip_suffix(DELETED) else {
        let now = at(path)?;
        let is_other = now.0 == device && now.1 != inode;
        return is_other.then(|| Suspect { file: path.to_owned(), inode, is_deleted: false, now: Some(now) });
    };
    // The name can end so in truth.
    if at(path).is_some_and(|it| it.1 == inode || inode == 0) {
        return None;
    }
    let file = settled(name);
    let now = at(file);
    // What is there again under its name was only away for a moment.
    let is_back = now == Some((device, inode));
    let is_own = now.is_none() && TEMPORARY.iter().any(|it| file.starts_with(it));
    (!is_back && !is_own).then(|| Suspect { file: file.to_owned(), inode, is_deleted: true, now })
}

/// The name that a package manager means by the one it uses while it works: `a.so.dpkg-new`, `a.so;5f3a0b1c`.
fn settled(path: &str) -> &str {
    const HEX_DIGITS: usize = 8;
    if let Some(name) = path.strip_suffix(".dpkg-new").or_else(|| path.strip_suffix(".dpkg-tmp")) {
        return name;
    }
    match path.rsplit_once(';') {
        Some((name, mark)) if mark.len() == HEX_DIGITS && mark.bytes().all(|it| it.is_ascii_hexdigit()) => {
            name
        }
        Some(_) | None => path,
    }
}

/// Whether a process runs the very file that its program's name leads to now.
pub(super) fn runs_what_is_on_disk(look: &Look<'_>, process: &Process) -> bool {
    let Some(program) = process.path() else { return false };
    let root = &look.host.root;
    let Ok(now) = root.facts(program) else { return false };
    let mut is_same = false;
    let text = root.pieces(&process.file("maps"));
    let read = text.and_then(|text| {
        maps::code(text.into_reader(), MAX_MAPS, |it| {
            is_same |= it.inode == now.inode && maps::path_of(it.path) == program;
        })
    });
    read.is_ok() && is_same
}

fn name_of(look: &Look<'_>, process: &Process) -> String {
    let comm = look.host.root.read(&process.file("comm"), MAX_COMM).unwrap_or_default();
    let name = String::from_utf8_lossy(comm.trim_ascii()).into_owned();
    if name.is_empty() { "a process".to_owned() } else { name }
}

#[cfg(test)]
#[path = "mapped_tests.rs"]
mod tests;
