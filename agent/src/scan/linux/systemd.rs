//! Services of systemd: which there are, whether they start, whether they run.
//!
//! Sources of truth: unit files in systemd's own order of directories (the first that has a name
//! wins), their drop-ins, the links that enabling makes, and the control group tree, which holds
//! a group with processes for each service that runs. All world readable. systemd is not asked.
//!
//! Known lies: a service of type `oneshot` that did its work has no processes, and one that is
//! about to run has them for a moment; its state is `unknown` so that rows do not move by
//! themselves. Units that a program makes at run time and instances that nothing enables are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use holdpoint_common::row::ServiceRow;

use super::unit::Unit;
use crate::host::{EntryKind, HostRoot, Reads};
use crate::scan::{Look, Reading};

/// Directories of unit files, the strongest first.
const DIRECTORIES: [&str; 9] = [
    "etc/systemd/system.control",
    "etc/systemd/system",
    "run/systemd/system",
    "run/systemd/generator.early",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
    "run/systemd/generator",
    "run/systemd/generator.late",
];
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("etc/systemd/system.control/**"),
    Reads::content("etc/systemd/system/**"),
    Reads::content("run/systemd/system/**"),
    Reads::content("run/systemd/generator.early/**"),
    Reads::content("usr/local/lib/systemd/system/**"),
    Reads::content("usr/lib/systemd/system/**"),
    Reads::content("lib/systemd/system/**"),
    Reads::content("run/systemd/generator/**"),
    Reads::content("run/systemd/generator.late/**"),
    Reads::content("sys/fs/cgroup"),
    Reads::content("sys/fs/cgroup/**/cgroup.procs"),
];

const SUFFIX: &str = ".service";
const MAX_ENTRIES: usize = 16_384;
const MAX_UNIT: usize = 256 * 1024;
const MAX_DROP_INS: usize = 256;
/// Where the control groups of services are, by the layouts that the kernel has had.
const GROUPS: [&str; 3] = ["sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/systemd"];
const MAX_GROUPS: usize = 8_192;
const MAX_DEPTH: usize = 8;
const MAX_PROCS: usize = 1024 * 1024;

/// Reads every service unit.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let found = Found::read(look);
    if found.directories == 0 {
        return look.missing("no systemd unit directory is there");
    }
    let running = running(look);
    let mut rows = Vec::new();
    for (name, place) in &found.units {
        if let Err(late) = look.in_time() {
            look.fault(format!("services after {name}: {late}"));
            break;
        }
        rows.push(row(look, &found, name, place, running.as_ref()));
    }
    for instance in &found.enabled {
        if let Some(template) = template_of(instance)
            && !found.units.contains_key(instance)
            && let Some(place) = found.units.get(&template)
        {
            rows.push(row(look, &found, instance, place, running.as_ref()));
        }
    }
    Reading::of(&rows)
}

/// The row of one service, by its name without the suffix; `None` without such a unit.
pub(super) fn of_name(look: &mut Look<'_>, service: &str) -> Option<ServiceRow> {
    let name = format!("{service}{SUFFIX}");
    let found = Found::read(look);
    let place = found.units.get(&name).or_else(|| found.units.get(&template_of(&name)?))?.clone();
    let running = running(look);
    Some(row(look, &found, &name, &place, running.as_ref()))
}

/// Where a unit is and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    path: String,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A unit file, or a link to one of the same name.
    Unit,
    /// A unit file that a generator wrote at boot.
    Generated,
    /// Another name of a unit.
    Alias,
    /// Nothing: the service cannot start.
    Masked,
}

/// Everything that the directories name.
#[derive(Debug, Default)]
struct Found {
    directories: usize,
    units: BTreeMap<String, Place>,
    /// Names that links in `*.wants` and the like start at boot.
    enabled: BTreeSet<String>,
    /// Names with a directory of drop-ins.
    drop_ins: BTreeMap<String, Vec<String>>,
}

impl Found {
    fn read(look: &mut Look<'_>) -> Self {
        let mut found = Self::default();
        let mut seen = BTreeSet::new();
        for directory in DIRECTORIES {
            // With a merged /usr two names lead to one directory.
            if look.host.root.canonical(directory).is_ok_and(|it| !seen.insert(it)) {
                continue;
            }
            let Some(listing) = look.list(directory, MAX_ENTRIES) else { continue };
            found.directories += 1;
            for entry in &listing.entries {
                let path = format!("{directory}/{}", entry.name);
                if entry.name.ends_with(SUFFIX) {
                    let form = form_of(&look.host.root, &path, &entry.name, entry.kind);
                    if let Some(form) = form {
                        found.units.entry(entry.name.clone()).or_insert(Place { path, form });
                    }
                } else if let Some(name) = entry.name.strip_suffix(".d").filter(|it| it.ends_with(SUFFIX)) {
                    found.drop_ins.entry(name.to_owned()).or_default().push(path);
                } else if is_administered(directory) && is_dependency_directory(&entry.name) {
                    let wanted = look.host.root.list(&path, MAX_ENTRIES);
                    let names = wanted.into_iter().flat_map(|it| it.entries).map(|it| it.name);
                    found.enabled.extend(names.filter(|it| it.ends_with(SUFFIX)));
                }
            }
        }
        found
    }
}

/// Links of a package's own directory are part of the system, not somebody's decision.
fn is_administered(directory: &str) -> bool {
    directory.starts_with("etc/") || directory.starts_with("run/")
}

fn is_dependency_directory(name: &str) -> bool {
    [".wants", ".requires", ".upholds"].iter().any(|it| name.ends_with(it))
}

fn form_of(root: &HostRoot, path: &str, name: &str, kind: EntryKind) -> Option<Form> {
    if kind == EntryKind::Link {
        let target = root.read_link(path).ok()?;
        if target == Path::new("/dev/null") {
            return Some(Form::Masked);
        }
        let target_name = target.file_name()?.to_str()?.to_owned();
        let is_instance = template_of(name).is_some_and(|it| it == target_name);
        if target_name != name && !is_instance {
            return Some(Form::Alias);
        }
    }
    match root.facts(path) {
        Ok(facts) if facts.kind == EntryKind::File && facts.bytes == 0 => Some(Form::Masked),
        Ok(facts) if facts.kind != EntryKind::File => None,
        _ if path.starts_with("run/systemd/generator") => Some(Form::Generated),
        _ => Some(Form::Unit),
    }
}

/// `getty@tty1.service` is an instance of `getty@.service`.
fn template_of(name: &str) -> Option<String> {
    let (start, instance) = name.strip_suffix(SUFFIX)?.split_once('@')?;
    (!instance.is_empty()).then(|| format!("{start}@{SUFFIX}"))
}

fn row(
    look: &mut Look<'_>,
    found: &Found,
    name: &str,
    place: &Place,
    running: Option<&BTreeSet<String>>,
) -> ServiceRow {
    let mut row = ServiceRow {
        source: "linux/systemd".to_owned(),
        name: name.strip_suffix(SUFFIX).unwrap_or(name).to_owned(),
        ..ServiceRow::default()
    };
    let runs = running.map(|it| it.contains(name));
    let state = |is_oneshot: bool| match runs {
        Some(true) if !is_oneshot => "running",
        Some(false) if !is_oneshot => "stopped",
        _ => "unknown",
    };
    match place.form {
        Form::Alias => {
            row.start_mode = Some("alias".to_owned());
            return row;
        }
        Form::Masked => {
            row.start_mode = Some("masked".to_owned());
            row.state = Some(state(false).to_owned());
            return row;
        }
        Form::Unit | Form::Generated => {}
    }
    let unit = read_unit(look, found, name, place);
    let start_mode = if place.form == Form::Generated {
        "generated"
    } else if found.enabled.contains(name) {
        "enabled"
    } else if unit.can_be_enabled {
        "disabled"
    } else {
        "static"
    };
    row.start_mode = Some(start_mode.to_owned());
    // A template does not run; its instances do.
    row.state = (!name.ends_with("@.service")).then(|| state(unit.is_oneshot).to_owned());
    row.display_name.clone_from(&unit.description);
    row.image_path = unit.program();
    row.account = unit.user;
    row
}

fn read_unit(look: &mut Look<'_>, found: &Found, name: &str, place: &Place) -> Unit {
    let root = &look.host.root;
    let mut unit = Unit::default();
    let mut problems = Vec::new();
    match root.read(&place.path, MAX_UNIT) {
        Ok(bytes) => unit.add(&String::from_utf8_lossy(&bytes)),
        Err(cause) => problems.push(format!("{}: {cause}", place.path)),
    }
    // One name of a drop-in counts once, in the strongest directory; they apply in the order of names.
    let template = template_of(name);
    let directories = [Some(name), template.as_deref()]
        .into_iter()
        .flatten()
        .filter_map(|it| found.drop_ins.get(it))
        .flatten();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for directory in directories {
        for entry in root.list(directory, MAX_DROP_INS).into_iter().flat_map(|it| it.entries) {
            if entry.name.ends_with(".conf") {
                files.entry(entry.name.clone()).or_insert_with(|| format!("{directory}/{}", entry.name));
            }
        }
    }
    for path in files.into_values() {
        match root.read(&path, MAX_UNIT) {
            Ok(bytes) => unit.add(&String::from_utf8_lossy(&bytes)),
            Err(cause) => problems.push(format!("{path}: {cause}")),
        }
    }
    for problem in problems {
        look.fault(problem);
    }
    unit
}

/// The services whose control group holds processes; `None` when systemd does not run here.
fn running(look: &mut Look<'_>) -> Option<BTreeSet<String>> {
    // systemd's own test of whether it is the running init.
    if !look.exists("run/systemd/system") {
        return None;
    }
    let tree = GROUPS.into_iter().find(|it| look.host.root.exists(&format!("{it}/system.slice")))?;
    let root = &look.host.root;
    let mut services = BTreeSet::new();
    let mut waiting = vec![(tree.to_owned(), 0)];
    let mut seen = 0;
    while let Some((group, depth)) = waiting.pop() {
        seen += 1;
        if seen > MAX_GROUPS || depth > MAX_DEPTH {
            look.fault("the control group tree is larger than expected");
            break;
        }
        for entry in root.list(&group, MAX_ENTRIES).into_iter().flat_map(|it| it.entries) {
            let path = format!("{group}/{}", entry.name);
            if entry.kind != EntryKind::Directory {
                continue;
            }
            if entry.name.ends_with(SUFFIX) {
                if is_populated(root, &path, 0) {
                    services.insert(entry.name);
                }
            } else if entry.name.ends_with(".slice") && entry.name != "user.slice" {
                waiting.push((path, depth + 1));
            }
        }
    }
    Some(services)
}

/// Whether a group or one below it holds a process.
fn is_populated(root: &HostRoot, group: &str, depth: usize) -> bool {
    if root.read(&format!("{group}/cgroup.procs"), MAX_PROCS).is_ok_and(|it| !it.trim_ascii().is_empty()) {
        return true;
    }
    depth < MAX_DEPTH
        && root
            .list(group, MAX_ENTRIES)
            .into_iter()
            .flat_map(|it| it.entries)
            .filter(|it| it.kind == EntryKind::Directory)
            .any(|it| is_populated(root, &format!("{group}/{}", it.name), depth + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of, write};
    use std::os::unix::fs::symlink;

    /// Name, start mode, state, program.
    type Service = (String, Option<String>, Option<String>, Option<String>);

    const UNIT: &str =
        "[Unit]\nDescription=D\n[Service]\nExecStart=/usr/sbin/d -x\n[Install]\nWantedBy=multi-user.target\n";

    fn scan(files: &[(&str, &str)], links: &[(&str, &str)]) -> Vec<Service> {
        let (dir, host) = host(files);
        for (link, target) in links {
            write(dir.path(), &format!("{link}.parent"), b"");
            symlink(target, dir.path().join(link)).unwrap();
        }
        let (rows, faults, _) = rows_of::<ServiceRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        rows.into_iter().map(|it| (it.name, it.start_mode, it.state, it.image_path)).collect()
    }

    fn service(name: &str, mode: &str, state: Option<&str>, program: Option<&str>) -> Service {
        (name.into(), Some(mode.into()), state.map(Into::into), program.map(Into::into))
    }

    #[test]
    fn enabling_masking_and_aliasing_are_told_apart() {
        let rows = scan(
            &[
                ("usr/lib/systemd/system/a.service", UNIT),
                ("usr/lib/systemd/system/b.service", UNIT),
                ("usr/lib/systemd/system/c.service", "[Service]\nExecStart=/c\n"),
                ("usr/lib/systemd/system/d.service", UNIT),
                ("etc/systemd/system/e.service", ""),
            ],
            &[
                ("etc/systemd/system/multi-user.target.wants/a.service", "/usr/lib/systemd/system/a.service"),
                ("etc/systemd/system/d.service", "/dev/null"),
                ("etc/systemd/system/dbus-a.service", "/usr/lib/systemd/system/a.service"),
            ],
        );
        let unknown = Some("unknown");
        assert_eq!(
            rows,
            [
                service("a", "enabled", unknown, Some("/usr/sbin/d")),
                service("b", "disabled", unknown, Some("/usr/sbin/d")),
                service("c", "static", unknown, Some("/c")),
                service("d", "masked", unknown, None),
                service("dbus-a", "alias", None, None),
                service("e", "masked", unknown, None),
            ]
        );
    }

    #[test]
    fn the_control_groups_say_what_runs() {
        let rows = scan(
            &[
                ("usr/lib/systemd/system/a.service", UNIT),
                ("usr/lib/systemd/system/b.service", UNIT),
                ("usr/lib/systemd/system/c.service", "[Service]\nType=oneshot\nExecStart=/c\n"),
                ("usr/lib/systemd/system/g@.service", UNIT),
                ("run/systemd/system/x.target", ""),
                ("sys/fs/cgroup/system.slice/a.service/inner/cgroup.procs", "7\n"),
                ("sys/fs/cgroup/system.slice/b.service/cgroup.procs", ""),
                ("sys/fs/cgroup/system.slice/c.service/cgroup.procs", "9\n"),
                ("sys/fs/cgroup/system.slice/system-g.slice/g@tty1.service/cgroup.procs", "8\n"),
                ("sys/fs/cgroup/user.slice/user@0.service/cgroup.procs", "8\n"),
            ],
            &[("etc/systemd/system/getty.target.wants/g@tty1.service", "/usr/lib/systemd/system/g@.service")],
        );
        let program = Some("/usr/sbin/d");
        assert_eq!(
            rows,
            [
                service("a", "disabled", Some("running"), program),
                service("b", "disabled", Some("stopped"), program),
                service("c", "static", Some("unknown"), Some("/c")),
                service("g@", "disabled", None, program),
                service("g@tty1", "enabled", Some("running"), program),
            ]
        );
    }

    #[test]
    fn the_strongest_directory_wins_and_drop_ins_apply_in_order() {
        let rows = scan(
            &[
                ("usr/lib/systemd/system/a.service", UNIT),
                ("etc/systemd/system/a.service", "[Service]\nExecStart=/etc/a\n"),
                ("usr/lib/systemd/system/b.service", UNIT),
                ("usr/lib/systemd/system/b.service.d/10-x.conf", "[Service]\nExecStart=\nExecStart=/weak\n"),
                ("etc/systemd/system/b.service.d/10-x.conf", "[Service]\nExecStart=\nExecStart=/strong\n"),
                ("etc/systemd/system/b.service.d/README", "[Service]\nExecStart=\n"),
            ],
            &[],
        );
        assert_eq!(rows[0].3.as_deref(), Some("/etc/a"));
        assert_eq!(rows[1].3.as_deref(), Some("/strong"));
    }
}
