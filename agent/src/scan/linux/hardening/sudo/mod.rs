//! L12: who may run what as somebody else, by sudo and doas.
//!
//! Sources of truth: `etc/sudoers` (`usr/etc/sudoers` when that is not there; sudo-rs reads
//! `etc/sudoers-rs` first) with what it includes by `@include`, `#include` and `@includedir`, which
//! leaves out names with a dot or a tilde at the end; `etc/nsswitch.conf` for other
//! places that rules come from; `etc/doas.conf`. Only root may read `sudoers`. Aliases are written out; rules
//! stand in the order of the files, and the last one that fits decides, so a `NOPASSWD` here can be
//! taken back by a later rule. Of `Defaults` the last setting counts.
//!
//! Absence: without the program one fact says so. Settings that are not written are facts where
//! every build of sudo has the same default.
//!
//! Known lies: rules in LDAP or sssd are not seen (`sudo.sources` names them); a file with wrong
//! owner or mode is ignored by sudo and read here; a policy plugin of `sudo.conf` can replace all of this.

mod grammar;
mod policy;

use holdpoint_common::row::HardeningRow;

use self::grammar::{Command, Item, Kind, Runas};
use self::policy::{Policy, Rule};
use super::files::{self, Found};
use crate::host::Reads;
use crate::scan::fact::{self, Fact};
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::metadata("usr/bin/sudo"),
    Reads::metadata("etc/alternatives/sudo"),
    Reads::metadata("usr/lib/cargo/bin/sudo"),
    Reads::metadata("usr/bin/doas"),
    Reads::content("etc/sudoers*"),
    Reads::content("etc/sudoers*/*"),
    Reads::content("usr/etc/sudoers*"),
    Reads::content("usr/etc/sudoers*/*"),
    Reads::content("etc/nsswitch.conf"),
    Reads::content("etc/authselect/nsswitch.conf"),
    Reads::content("etc/doas.conf"),
    Reads::content("etc/doas.d/*.conf"),
];

const CHECKS: &[&str] = &["L12"];
const PROGRAM: &str = "usr/bin/sudo";
const POLICIES: [&str; 3] = ["etc/sudoers-rs", "etc/sudoers", "usr/etc/sudoers"];

/// Settings that are facts, with the default of every build.
const DEFAULTS: [(&str, Option<bool>); 19] = [
    ("authenticate", Some(true)),
    ("env_reset", Some(true)),
    ("env_keep", None),
    ("exempt_group", None),
    ("log_input", Some(false)),
    ("log_output", Some(false)),
    ("logfile", None),
    ("noexec", Some(false)),
    ("passwd_tries", None),
    ("pwfeedback", None),
    ("requiretty", Some(false)),
    ("rootpw", Some(false)),
    ("runaspw", Some(false)),
    ("secure_path", None),
    ("setenv", Some(false)),
    ("syslog", None),
    ("targetpw", Some(false)),
    ("timestamp_timeout", None),
    ("use_pty", None),
];

/// Reads the rules.
pub fn probe(look: &mut Look<'_>) -> Reading {
    if !files::is_a_system(look) {
        return look.missing("etc is not there");
    }
    let mut rows = Vec::new();
    let installed = Fact::new("sudo.installed", CHECKS, PROGRAM);
    match files::exists(look, PROGRAM) {
        Some(true) => {
            rows.push(installed.flag(true));
            sudo(look, &mut rows);
        }
        Some(false) => rows.push(installed.flag(false)),
        None => rows.push(installed.because("it could not be looked for").error()),
    }
    doas(look, &mut rows);
    Reading::of(&rows)
}

fn sudo(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    let path = POLICIES.into_iter().find(|it| files::exists(look, it) != Some(false)).unwrap_or(POLICIES[1]);
    let policy = Policy::of(look, path);
    rows.push(listed(&policy, "sudo.rules", path, |_| true, Show::Everything));
    rows.push(listed(
        &policy,
        "sudo.nopasswd",
        path,
        |it| it.tags.without_password == Some(true) && !it.item.is_negative,
        Show::Commands,
    ));
    rows.push(listed(
        &policy,
        "sudo.noexec",
        path,
        |it| it.tags.noexec == Some(true) && !it.item.is_negative,
        Show::Commands,
    ));
    rows.push(listed(&policy, "sudo.all_commands", path, is_all, Show::Who));
    for (name, default) in DEFAULTS {
        settings(&policy, path, name, default, rows);
    }
    rows.push(sources(look));
}

fn is_all(command: &Command) -> bool {
    command.item.text == "ALL" && !command.item.is_negative
}

/// How much of a rule an item of a list says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    Who,
    Commands,
    Everything,
}

/// Most members of aliases that the items of one fact are made of: each level of aliases multiplies
/// those below it.
const MAX_WRITTEN_OUT: usize = 16_384;

/// What the rules come to: the items that a fact shows, and how many there are besides.
#[derive(Debug, Default)]
struct Items {
    kept: Vec<String>,
    more: usize,
    written_out: usize,
}

impl Items {
    /// A list with its aliases written out; empty when that would be too much for one fact.
    fn written_out(&mut self, policy: &Policy, kind: Kind, items: &[Item]) -> Vec<Item> {
        if self.are_cut() {
            return Vec::new();
        }
        let members = policy.written_out(kind, items);
        self.written_out += members.len();
        members
    }

    fn are_cut(&self) -> bool {
        self.written_out >= MAX_WRITTEN_OUT
    }

    fn count(&self) -> usize {
        self.kept.len() + self.more
    }

    /// Adds an item; what a fact would not show is only counted.
    fn push(&mut self, item: impl FnOnce() -> String) {
        if self.kept.len() < fact::MAX_ITEMS { self.kept.push(item()) } else { self.more += 1 }
    }
}

/// The rules with a command that is meant, one item for each user.
fn listed(
    policy: &Policy,
    id: &str,
    path: &str,
    is_meant: impl Fn(&Command) -> bool,
    show: Show,
) -> HardeningRow {
    let mut items = Items::default();
    let mut source: Option<&str> = None;
    for rule in &policy.rules {
        let before = items.count();
        add_rule(policy, rule, &is_meant, show, &mut items);
        if items.count() > before {
            // Where several files say something, it is the policy as a whole.
            source = Some(if source.is_none_or(|it| it == &*rule.file) { &rule.file } else { path });
        }
    }
    let mut fact = Fact::new(id, CHECKS, source.unwrap_or(path));
    let mut reasons = Vec::new();
    if let Some((file, found)) = &policy.gap {
        if items.count() == 0 {
            return found.unanswered(fact);
        }
        reasons.push(format!("there may be more: {file} could not be read as a whole"));
    }
    if items.are_cut() {
        reasons.push(format!("cut: the aliases stand for more than {MAX_WRITTEN_OUT} members"));
    }
    if !reasons.is_empty() {
        fact = fact.because(reasons.join("; "));
    }
    fact.list_and_more(items.kept, items.more)
}

fn add_rule(
    policy: &Policy,
    rule: &Rule,
    is_meant: &impl Fn(&Command) -> bool,
    show: Show,
    items: &mut Items,
) {
    let users = items.written_out(policy, Kind::User, &rule.users);
    for privilege in &rule.privileges {
        let hosts = grammar::joined(&items.written_out(policy, Kind::Host, &privilege.hosts));
        let hosts = if hosts == "ALL" { String::new() } else { format!(" on {hosts}") };
        // Commands for which other users are named are items of their own.
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for command in &privilege.commands {
            let members = items.written_out(policy, Kind::Command, std::slice::from_ref(&command.item));
            let runas = command.runas.as_ref().map(|it| as_whom(policy, it, items)).unwrap_or_default();
            for item in members {
                let whole = Command { item, ..command.clone() };
                if !is_meant(&whole) {
                    continue;
                }
                let said = said(&whole, show);
                match groups.last_mut().filter(|it| it.0 == runas) {
                    Some((_, commands)) => commands.push(said),
                    None => groups.push((runas.clone(), vec![said])),
                }
            }
        }
        if items.are_cut() {
            // Half a list of commands would say something else.
            return;
        }
        let groups: Vec<String> = groups
            .into_iter()
            .map(|(runas, commands)| match show {
                Show::Who => format!("{hosts}{runas}"),
                Show::Commands | Show::Everything => format!("{hosts}{runas}: {}", commands.join(", ")),
            })
            .collect();
        for user in users.iter().filter(|it| !it.is_negative) {
            for group in &groups {
                items.push(|| format!("{user}{group}"));
            }
        }
    }
}

fn as_whom(policy: &Policy, runas: &Runas, items: &mut Items) -> String {
    let users = grammar::joined(&items.written_out(policy, Kind::Runas, &runas.users));
    let groups = grammar::joined(&items.written_out(policy, Kind::Runas, &runas.groups));
    if groups.is_empty() { format!(" as ({users})") } else { format!(" as ({users}:{groups})") }
}

fn said(command: &Command, show: Show) -> String {
    let tag = |is_on: Option<bool>, name: &str| {
        if show == Show::Everything && is_on == Some(true) { format!("{name}: ") } else { String::new() }
    };
    let (nopasswd, noexec) =
        (tag(command.tags.without_password, "NOPASSWD"), tag(command.tags.noexec, "NOEXEC"));
    format!("{nopasswd}{noexec}{}", Item::to_string(&command.item))
}

/// A setting for everybody, and one for each scope that names it.
fn settings(policy: &Policy, path: &str, name: &str, default: Option<bool>, rows: &mut Vec<HardeningRow>) {
    let mut last: Vec<(Option<&str>, HardeningRow)> = Vec::new();
    for line in &policy.defaults {
        for setting in line.settings.iter().filter(|it| it.name == name) {
            let scope = line.scope.as_deref();
            let mut fact = Fact::new(&format!("sudo.defaults.{name}"), CHECKS, &line.file);
            if let Some(scope) = scope {
                fact = fact.about(scope);
            }
            let row = match &setting.value {
                Some(("=", value)) => match value.parse::<i64>() {
                    Ok(number) => fact.number(number),
                    Err(_) => fact.text(value),
                },
                Some((operator, value)) => {
                    let start = if *operator == "+=" { "+" } else { "-" };
                    fact.text(&format!("{start} {value}"))
                }
                None => fact.flag(!setting.is_negative),
            };
            let adds = matches!(setting.value, Some(("+=" | "-=", _)));
            match last.iter_mut().find(|it| it.0 == scope) {
                // Lists that are added to are shown as they are written.
                Some((_, row_before)) if adds => {
                    row_before.reason = Some("a later line adds to it or takes from it".to_owned());
                }
                Some((_, row_before)) => *row_before = row,
                None => last.push((scope, row)),
            }
        }
    }
    let has_global = last.iter().any(|it| it.0.is_none());
    rows.extend(last.into_iter().map(|it| it.1));
    if !has_global {
        let fact = Fact::new(&format!("sudo.defaults.{name}"), CHECKS, path);
        rows.push(match (&policy.gap, default) {
            (Some((_, found @ (Found::Denied | Found::Broken(_)))), _) => found.unanswered(fact),
            (_, Some(default)) => fact.because("sudo's default").flag(default),
            (_, None) => fact.because("not set: what holds depends on how sudo was built").absent(),
        });
    }
}

/// Where rules come from, by the switch that sudo itself asks.
fn sources(look: &mut Look<'_>) -> HardeningRow {
    const SWITCH: &str = "etc/nsswitch.conf";
    let fact = Fact::new("sudo.sources", CHECKS, SWITCH);
    let text = match files::read(look, SWITCH) {
        Found::Text(text) => text,
        Found::Absent => String::new(),
        gap @ (Found::Denied | Found::Broken(_)) => return gap.unanswered(fact),
    };
    let line = text.lines().find_map(|it| it.trim_start().strip_prefix("sudoers:"));
    match line {
        Some(line) => {
            let line = line.split('#').next().unwrap_or_default();
            fact.list(line.split_whitespace().filter(|it| !it.starts_with('[')).map(str::to_owned))
        }
        None => fact.because("not set: sudo reads its file").list(["files".to_owned()]),
    }
}

/// doas(1): `permit [nopass ...] WHO [as WHOM] [cmd COMMAND [args ...]]`; a hash starts a comment.
fn doas(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const PROGRAM: &str = "usr/bin/doas";
    const CONFIG: &str = "etc/doas.conf";
    if files::exists(look, PROGRAM) != Some(true) {
        return;
    }
    rows.push(Fact::new("doas.installed", CHECKS, PROGRAM).flag(true));
    let mut found = vec![(CONFIG.to_owned(), files::read(look, CONFIG))];
    found.extend(files::read_all(look, "etc/doas.d", |it| it.ends_with(".conf")));
    let fact = |id: &str| Fact::new(id, CHECKS, CONFIG);
    if let Some((_, gap)) = found.iter().find(|it| matches!(it.1, Found::Denied | Found::Broken(_))) {
        rows.push(gap.unanswered(fact("doas.rules")));
        rows.push(gap.unanswered(fact("doas.nopass")));
        return;
    }
    let texts: Vec<String> = found.into_iter().filter_map(|it| it.1.text()).collect();
    let rules: Vec<String> = texts
        .iter()
        .flat_map(|it| it.lines())
        .map(|it| it.split('#').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|it| !it.is_empty())
        .collect();
    let is_free = |it: &&String| it.starts_with("permit") && it.split(' ').any(|word| word == "nopass");
    rows.push(fact("doas.nopass").list(rules.iter().filter(is_free).cloned()));
    rows.push(fact("doas.rules").list(rules));
}

#[cfg(test)]
mod tests;
