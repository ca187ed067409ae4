//! W42: what starts without anybody asking.
//!
//! Sources of truth: the `Run` keys of the machine, of 32-bit programs and of users whose hives are
//! loaded, Winlogon, libraries that are loaded into others, debuggers that run instead of a program, packages
//! of the local security authority, names in the cache of the task scheduler, and the folder of what starts
//! with a logon. Services are a section of their own. Everybody may read most of it.
//!
//! Absence: a key that is not there starts nothing.
//!
//! Known lies: what a task does stands in bytes of its own and is not read. Consumers of WMI are kept in a
//! repository that no key shows; it is not read, and WMI is not asked.

use holdpoint_common::row::HardeningRow;
use holdpoint_common::section::Digest;

use super::ground::{self, Ground};
use super::keys::{control, software};
use super::setting::{Absent, Place, RIGHTS, Setting, places, reads, rows, tell};
use super::users;
use crate::host::Reads;
use crate::scan::fact::{Fact, tell as say};
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    users::READS,
    &reads::<{ places(SETTINGS) }>(SETTINGS),
    &[
        Reads::key(software!(r"Windows\CurrentVersion\Run")),
        Reads::key(software!(r"Windows\CurrentVersion\RunOnce")),
        Reads::key(software!(r"Windows\CurrentVersion\Policies\Explorer\Run")),
        Reads::key(r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Run"),
        Reads::key(r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\RunOnce"),
        Reads::key(r"HKU\*\Software\Microsoft\Windows\CurrentVersion\Run"),
        Reads::key(r"HKU\*\Software\Microsoft\Windows\CurrentVersion\RunOnce"),
        Reads::key(software!(r"Windows NT\CurrentVersion\Image File Execution Options")),
        Reads::key(software!(r"Windows NT\CurrentVersion\Image File Execution Options\*")),
        Reads::key(software!(r"Windows NT\CurrentVersion\Schedule\TaskCache\Tree\**")),
        Reads::content("ProgramData/Microsoft/Windows/Start Menu/Programs/StartUp"),
    ],
];

const CHECKS: &[&str] = &["W42"];
const WINLOGON: &str = software!(r"Windows NT\CurrentVersion\Winlogon");
const WINDOWS: &str = software!(r"Windows NT\CurrentVersion\Windows");
const IMAGES: &str = software!(r"Windows NT\CurrentVersion\Image File Execution Options");
const TREE: &str = software!(r"Windows NT\CurrentVersion\Schedule\TaskCache\Tree");
const FOLDER: &str = "ProgramData/Microsoft/Windows/Start Menu/Programs/StartUp";
const MAX_IMAGES: usize = 4_096;
const MAX_TASKS: usize = 8_192;
const MAX_DEPTH: usize = 16;
const MAX_FILES: usize = 256;

const SETTINGS: &[Setting] = &[
    Setting::text("start.shell", CHECKS, &[Place::at(WINLOGON, "Shell")], Absent::Means("explorer.exe")),
    Setting::text(
        "start.userinit",
        CHECKS,
        &[Place::at(WINLOGON, "Userinit")],
        Absent::Means("userinit.exe"),
    ),
    Setting::text(
        "start.libraries",
        CHECKS,
        &[Place::at(WINDOWS, "AppInit_DLLs")],
        Absent::Means("no library is loaded into every program"),
    ),
    Setting::flag(
        "start.loads_libraries",
        CHECKS,
        &[Place::at(WINDOWS, "LoadAppInit_DLLs")],
        Absent::Means("off"),
    ),
    Setting::list(
        "start.security_packages",
        CHECKS,
        &[Place::at(control!("Lsa"), "Security Packages")],
        Absent::Means("none is added"),
    ),
    Setting::list(
        "start.authentication_packages",
        CHECKS,
        &[Place::at(control!("Lsa"), "Authentication Packages")],
        Absent::Means("msv1_0"),
    ),
    Setting::list(
        "start.notification_packages",
        CHECKS,
        &[Place::at(control!("Lsa"), "Notification Packages")],
        Absent::Means("none"),
    ),
    Setting::list(
        "start.boot_execute",
        CHECKS,
        &[Place::at(control!("Session Manager"), "BootExecute")],
        Absent::Means("nothing"),
    ),
];

/// Keys of the machine, by what the row calls them.
const RUN: [(&str, &str); 5] = [
    ("Run", software!(r"Windows\CurrentVersion\Run")),
    ("RunOnce", software!(r"Windows\CurrentVersion\RunOnce")),
    ("policy Run", software!(r"Windows\CurrentVersion\Policies\Explorer\Run")),
    ("32-bit Run", r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Run"),
    ("32-bit RunOnce", r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\RunOnce"),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        for (subject, key) in RUN {
            rows.push(run(look, ground, subject, key));
        }
        for user in users::loaded(look, rows, "start.run_of_users", CHECKS) {
            for name in ["Run", "RunOnce"] {
                let key = format!(r"HKU\{user}\Software\Microsoft\Windows\CurrentVersion\{name}");
                rows.push(run(look, ground, &format!("{user} {name}"), &key));
            }
        }
        rows.push(debuggers(look, ground));
        tasks(look, ground, rows);
        rows.push(folder(look));
        rows.push(
            Fact::new("start.wmi_consumers", CHECKS, "WMI")
                .because("the repository of WMI is not read")
                .absent(),
        );
    })
}

fn run(look: &mut Look<'_>, ground: &Ground, subject: &str, key: &str) -> HardeningRow {
    let outcome = look.registry_values_outcome(key);
    let fact = Fact::new("start.run", CHECKS, key).about(subject);
    tell(ground, key, fact, outcome, "nothing", |fact, values| {
        let line = |name: &str, command: Option<&str>| format!("{name} = {}", command.unwrap_or("?"));
        let mut lines: Vec<String> = values.iter().map(|it| line(&it.name, it.data.text())).collect();
        lines.sort();
        fact.list(lines)
    })
}

/// Programs in whose place another one starts.
fn debuggers(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let fact = Fact::new("start.debuggers", CHECKS, IMAGES);
    let names = match look.registry_keys_outcome(IMAGES) {
        Outcome::Seen(names) => names,
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            return tell(ground, IMAGES, fact, other, "none", |fact, _| fact.absent());
        }
    };
    if names.len() > MAX_IMAGES {
        return fact.because(format!("more than {MAX_IMAGES} programs")).error();
    }
    let mut lines = Vec::new();
    for name in &names {
        match look.registry_outcome(&format!("{IMAGES}\\{name}"), "Debugger") {
            Outcome::Seen(data) => lines.push(format!("{name}: {}", data.text().unwrap_or("?"))),
            Outcome::Absent => {}
            Outcome::Denied => return fact.because(RIGHTS).denied(),
            Outcome::Failed(why) => return fact.because(why).error(),
        }
    }
    lines.sort();
    fact.list(lines)
}

/// Names of the scheduler's tasks: all of them as a digest, those that are not Windows' own as a list.
fn tasks(look: &mut Look<'_>, ground: &Ground, rows: &mut Vec<HardeningRow>) {
    let names = task_names(look);
    let fact = |id: &str| Fact::new(id, CHECKS, TREE);
    rows.push(tell(ground, TREE, fact("start.tasks_digest"), names.clone(), "no tasks", |fact, names| {
        fact.because(format!("SHA-256 of {} names", names.len()))
            .text(&Digest::of(names.join("\n").as_bytes()).to_string())
    }));
    rows.push(tell(ground, TREE, fact("start.tasks"), names, "no tasks", |fact, names| {
        fact.because("those of Windows itself are left out")
            .list(names.into_iter().filter(|it| !it.to_lowercase().starts_with(r"\microsoft\windows\")))
    }));
}

fn task_names(look: &mut Look<'_>) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![(String::new(), 0_usize)];
    let mut asked = 0_usize;
    while let Some((folder, depth)) = folders.pop() {
        let key = format!("{TREE}{folder}");
        let below = match look.registry_keys_outcome(&key) {
            Outcome::Seen(below) => below,
            // It went away while it was read, if it is not the tree itself.
            Outcome::Absent if depth > 0 => continue,
            other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => return other,
        };
        asked += below.len() + 1;
        if asked > MAX_TASKS || depth > MAX_DEPTH {
            return Outcome::Failed(format!(
                "more than {MAX_TASKS} tasks, or folders deeper than {MAX_DEPTH}"
            ));
        }
        // What has nothing below it is a task, but for the tree itself.
        if below.is_empty() && depth > 0 {
            names.push(folder);
            continue;
        }
        folders.extend(below.into_iter().map(|it| (format!("{folder}\\{it}"), depth + 1)));
    }
    names.sort();
    Outcome::Seen(names)
}

/// What starts with everybody's logon because it lies in a folder.
fn folder(look: &mut Look<'_>) -> HardeningRow {
    let fact = Fact::new("start.folder", CHECKS, FOLDER);
    let result = look.in_time().and_then(|()| look.host.root.list(FOLDER, MAX_FILES));
    match look.outcome(FOLDER, result) {
        Outcome::Absent => fact.because("there is no such folder").absent(),
        there @ (Outcome::Seen(_) | Outcome::Denied | Outcome::Failed(_)) => {
            say(fact, there, RIGHTS, |fact, it| {
                fact.list(
                    it.entries
                        .into_iter()
                        .map(|it| it.name)
                        .filter(|it| !it.eq_ignore_ascii_case("desktop.ini")),
                )
            })
        }
    }
}
