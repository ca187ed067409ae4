//! L14: what a password has to be, and when an account is locked.
//!
//! Sources of truth: the stacks of services in `etc/pam.d` (then `usr/lib/pam.d` and `usr/etc/pam.d`),
//! with `include`, `substack` and `@include` put in place; the files of their modules
//! (`etc/security/pwquality.conf` after the files of `pwquality.conf.d`, `faillock.conf`,
//! `pwhistory.conf`); `etc/login.defs`. All world readable. An argument of a module is stronger than its file.
//! Of modules that are not known here no argument is told, because some take passwords there.
//!
//! Absence: a service without a file is not told of; PAM itself then takes `other`. A host without
//! any of these directories has no PAM, and its `login.defs` is still read.
//!
//! Known lies: a control such as `[success=2 default=ignore]` can jump over a module, and a
//! `sufficient` one ends the stack, which is not followed: a module that is told of is there, not certain to be asked.
//! `etc/pam.conf` of hosts without the directory is not read. `pam.stack` names what is asked in which order.

mod rules;
mod stack;

use holdpoint_common::row::HardeningRow;

use self::rules::Rules;
use self::stack::{Files, Module, Stack, Type};
use super::files::{self, Found};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch. On RHEL the stacks are links to what authselect made.
pub const READS: &[Reads] = &[
    Reads::content("etc/pam.d/*"),
    Reads::content("usr/lib/pam.d/*"),
    Reads::content("usr/etc/pam.d/*"),
    Reads::content("etc/authselect/*"),
    Reads::content("etc/security/pwquality.conf"),
    Reads::content("etc/security/pwquality.conf.d/*.conf"),
    Reads::content("etc/security/faillock.conf"),
    Reads::content("etc/security/pwhistory.conf"),
    Reads::content("usr/etc/security/pwquality.conf"),
    Reads::content("usr/etc/security/faillock.conf"),
    Reads::content("usr/etc/security/pwhistory.conf"),
    Reads::content("etc/login.defs"),
    Reads::content("usr/etc/login.defs"),
    Reads::content("etc/login.defs.d/*.defs"),
];

const CHECKS: &[&str] = &["L14"];
/// Services whose stacks are facts.
const SERVICES: [&str; 7] = ["login", "sshd", "gdm-password", "su", "sudo", "passwd", "other"];
/// Services by which somebody gets in.
const LOGINS: [&str; 3] = ["login", "sshd", "gdm-password"];
/// Where a password is changed, by the order in which hosts have it.
const CHANGES: [&str; 3] = ["passwd", "common-password", "system-auth"];

const QUALITY: [&str; 3] = ["pam_pwquality", "pam_cracklib", "pam_passwdqc"];
const LOCKOUT: [&str; 3] = ["pam_faillock", "pam_tally2", "pam_tally"];
/// Settings of `pam_pwquality`, with the default that every version has.
const QUALITY_NUMBERS: [(&str, Option<i64>); 13] = [
    ("difok", None),
    ("minlen", None),
    ("dcredit", None),
    ("ucredit", None),
    ("lcredit", None),
    ("ocredit", None),
    ("minclass", Some(0)),
    ("maxrepeat", Some(0)),
    ("maxclassrepeat", Some(0)),
    ("dictcheck", None),
    ("usercheck", None),
    ("enforcing", Some(1)),
    ("retry", Some(1)),
];
/// Settings of `pam_faillock` with their defaults.
const LOCKOUT_NUMBERS: [(&str, i64); 3] = [("deny", 3), ("fail_interval", 900), ("unlock_time", 600)];
const HASHES: [&str; 8] =
    ["yescrypt", "gost_yescrypt", "sha512", "sha256", "blowfish", "md5", "bigcrypt", "des"];

/// Settings of `login.defs` that are facts.
const LOGIN_DEFS: [&str; 18] = [
    "ENCRYPT_METHOD",
    "FAILLOG_ENAB",
    "FAIL_DELAY",
    "HOME_MODE",
    "LOGIN_RETRIES",
    "LOGIN_TIMEOUT",
    "LOG_OK_LOGINS",
    "LOG_UNKFAIL_ENAB",
    "PASS_MAX_DAYS",
    "PASS_MIN_DAYS",
    "PASS_MIN_LEN",
    "PASS_WARN_AGE",
    "SHA_CRYPT_MAX_ROUNDS",
    "SHA_CRYPT_MIN_ROUNDS",
    "SU_WHEEL_ONLY",
    "SYSLOG_SU_ENAB",
    "UMASK",
    "YESCRYPT_COST_FACTOR",
];
const DEFS: &str = "etc/login.defs";

/// Reads stacks and settings.
pub fn probe(look: &mut Look<'_>) -> Reading {
    if !files::is_a_system(look) {
        return look.missing("etc is not there");
    }
    let mut defs = Rules::of_first(look, &[DEFS, "usr/etc/login.defs"]);
    for (path, found) in files::read_all(look, "etc/login.defs.d", |it| it.ends_with(".defs")) {
        defs.add(&path, found);
    }
    let mut rows = Vec::new();
    if !defs.is_absent() {
        rows.extend(LOGIN_DEFS.into_iter().map(|it| login_def(&defs, it)));
    }
    let faillock = Rules::of_first(look, &["etc/security/faillock.conf", "usr/etc/security/faillock.conf"]);
    let mut services = Files::default();
    for service in SERVICES {
        let Some(stack) = services.stack(look, service) else { continue };
        rows.push(whole(service, &stack));
        if LOGINS.contains(&service) {
            rows.push(nullok(service, &stack));
            lockout(service, &stack, &faillock, &mut rows);
        }
        if service == "su" {
            rows.push(wheel(&stack));
        }
    }
    let change = CHANGES.into_iter().find_map(|it| Some((it, services.stack(look, it)?)));
    if let Some((service, stack)) = change {
        quality(look, service, &stack, &mut rows);
        rows.push(hash(service, &stack, &defs));
        rows.push(remembered(look, service, &stack));
    }
    Reading::of(&rows)
}

fn fact(id: &str, service: &str, source: &str) -> Fact {
    Fact::new(&format!("pam.{id}"), CHECKS, source).about(service)
}

fn file_of(service: &str) -> String {
    format!("{}/{service}", stack::DIRECTORIES[0])
}

/// A module that is not in a stack is absent only when the whole stack was read.
fn not_there(fact: Fact, stack: &Stack) -> HardeningRow {
    match &stack.gap {
        Some((_, gap @ (Found::Denied | Found::Broken(_)))) => gap.unanswered(fact),
        Some((_, Found::Text(_) | Found::Absent)) | None => fact.absent(),
    }
}

fn whole(service: &str, stack: &Stack) -> HardeningRow {
    let mut fact = fact("stack", service, &file_of(service));
    if let Some((path, _)) = &stack.gap {
        fact = fact.because(format!("there may be more: {path} could not be read as a whole"));
    }
    fact.list(stack.modules.iter().map(|it| format!("{} {} {}", it.kind.name(), it.control, it.name)))
}

/// Whether somebody without a password gets in.
fn nullok(service: &str, stack: &Stack) -> HardeningRow {
    let unix = stack.modules.iter().filter(|it| it.kind == Type::Auth && it.name == "pam_unix");
    let mut last = None;
    for module in unix {
        let lets_in = module.has("nullok") || module.has("nullok_secure");
        let row = fact("nullok", service, &module.file).flag(lets_in);
        if lets_in {
            return row;
        }
        last.get_or_insert(row);
    }
    last.unwrap_or_else(|| not_there(fact("nullok", service, &file_of(service)), stack))
}

fn lockout(service: &str, stack: &Stack, conf: &Rules, rows: &mut Vec<HardeningRow>) {
    let Some(module) = LOCKOUT.iter().find_map(|it| stack.first(Type::Auth, it)) else {
        return rows.push(not_there(fact("lockout.module", service, &file_of(service)), stack));
    };
    rows.push(fact("lockout.module", service, &module.file).text(&module.name));
    let none = Rules::default();
    // Only the newest of the three has a file, and an argument can name another one.
    let is_faillock = module.name == LOCKOUT[0];
    if let Some(other) = module.value("conf") {
        let row = fact("lockout.deny", service, other.trim_start_matches('/'));
        return rows.push(row.because("the module reads a file of its own, which is not followed").error());
    }
    let conf = if is_faillock { conf } else { &none };
    for (name, default) in LOCKOUT_NUMBERS {
        let id = format!("lockout.{name}");
        if is_faillock || module.value(name).is_some() {
            rows.push(number(&id, service, module, name, conf, is_faillock.then_some(default)));
        }
    }
    rows.push(switch("lockout.even_deny_root", service, module, "even_deny_root", conf));
}

fn wheel(stack: &Stack) -> HardeningRow {
    match stack.first(Type::Auth, "pam_wheel") {
        Some(module) => {
            let said = [std::slice::from_ref(&module.control), &module.arguments].concat().join(" ");
            fact("wheel", "su", &module.file).text(&said)
        }
        None => not_there(fact("wheel", "su", &file_of("su")), stack),
    }
}

fn quality(look: &mut Look<'_>, service: &str, stack: &Stack, rows: &mut Vec<HardeningRow>) {
    let Some(module) = QUALITY.iter().find_map(|it| stack.first(Type::Password, it)) else {
        return rows.push(not_there(fact("quality.module", service, &file_of(service)), stack));
    };
    rows.push(fact("quality.module", service, &module.file).text(&module.name));
    let mut conf = Rules::default();
    if module.name == QUALITY[0] {
        // The files of the directory come first, and later settings are stronger.
        for (path, found) in
            files::read_all(look, "etc/security/pwquality.conf.d", |it| it.ends_with(".conf"))
        {
            conf.add(&path, found);
        }
        for path in ["etc/security/pwquality.conf", "usr/etc/security/pwquality.conf"] {
            let found = files::read(look, path);
            if found != Found::Absent {
                conf.add(path, found);
                break;
            }
        }
    } else if module.name == QUALITY[2] {
        return rows
            .push(fact("quality.passwdqc", service, &module.file).list(module.arguments.iter().cloned()));
    }
    let has_defaults = module.name == QUALITY[0];
    for (name, default) in QUALITY_NUMBERS {
        let default = default.filter(|_| has_defaults);
        rows.push(number(&format!("quality.{name}"), service, module, name, &conf, default));
    }
    rows.push(switch("quality.enforce_for_root", service, module, "enforce_for_root", &conf));
}

/// A number from an argument, else from the file, else the default where that is certain.
fn number(
    id: &str,
    service: &str,
    module: &Module,
    name: &str,
    conf: &Rules,
    default: Option<i64>,
) -> HardeningRow {
    let (value, source) = match (module.value(name), conf.get(name)) {
        (Some(value), _) => (value, &*module.file),
        (None, Some(found)) => found,
        (None, None) => {
            let fact = fact(id, service, &module.file);
            return match (&conf.gap, default) {
                (Some((_, gap)), _) => gap.unanswered(fact),
                (None, Some(default)) => fact.because(format!("{}'s default", module.name)).number(default),
                (None, None) => fact.because("not set: its default depends on its version").absent(),
            };
        }
    };
    let fact = fact(id, service, source);
    match value.parse() {
        Ok(number) => fact.number(number),
        // pam_faillock has a word for "until somebody unlocks it".
        Err(_) if value == "never" => fact.because("never").number(0),
        Err(_) => fact.because(format!("{value:?} is no number")).error(),
    }
}

fn switch(id: &str, service: &str, module: &Module, name: &str, conf: &Rules) -> HardeningRow {
    if module.has(name) {
        return fact(id, service, &module.file).flag(true);
    }
    match (conf.get(name), &conf.gap) {
        (Some((_, source)), _) => fact(id, service, source).flag(true),
        (None, Some((_, gap))) => gap.unanswered(fact(id, service, &module.file)),
        (None, None) => fact(id, service, &module.file).flag(false),
    }
}

/// By which method a new password is kept.
fn hash(service: &str, stack: &Stack, defs: &Rules) -> HardeningRow {
    let Some(module) = stack.first(Type::Password, "pam_unix") else {
        return not_there(fact("hash", service, &file_of(service)), stack);
    };
    if let Some(method) = HASHES.iter().find(|it| module.has(it)) {
        return fact("hash", service, &module.file).text(method);
    }
    match (defs.get("ENCRYPT_METHOD"), &defs.gap) {
        (Some((method, source)), _) => fact("hash", service, source).text(&method.to_ascii_lowercase()),
        (None, Some((_, gap))) => gap.unanswered(fact("hash", service, DEFS)),
        (None, None) => fact("hash", service, &module.file)
            .because("not set: its default depends on its version")
            .absent(),
    }
}

/// How many old passwords may not be taken again.
fn remembered(look: &mut Look<'_>, service: &str, stack: &Stack) -> HardeningRow {
    const ID: &str = "remember";
    if let Some(module) = stack.first(Type::Password, "pam_pwhistory") {
        let conf = Rules::of_first(look, &["etc/security/pwhistory.conf", "usr/etc/security/pwhistory.conf"]);
        return number(ID, service, module, ID, &conf, Some(10));
    }
    match stack.first(Type::Password, "pam_unix").filter(|it| it.value(ID).is_some()) {
        Some(module) => number(ID, service, module, ID, &Rules::default(), None),
        None => not_there(fact(ID, service, &file_of(service)), stack),
    }
}

fn login_def(defs: &Rules, name: &str) -> HardeningRow {
    let fact = |source: &str| Fact::new(&format!("login_defs.{}", name.to_ascii_lowercase()), CHECKS, source);
    match (defs.get(name), &defs.gap) {
        (Some((value, source)), _) => {
            let value = value.trim_matches('"');
            match (value.parse::<i64>(), value) {
                // A mask is a mask and not a number of tens.
                (Ok(number), _) if !name.ends_with("MASK") && !name.ends_with("MODE") => {
                    fact(source).number(number)
                }
                (_, "yes") => fact(source).flag(true),
                (_, "no") => fact(source).flag(false),
                (_, value) => fact(source).text(value),
            }
        }
        (None, Some((_, gap))) => gap.unanswered(fact(DEFS)),
        (None, None) => fact(DEFS).absent(),
    }
}

#[cfg(test)]
mod tests;
