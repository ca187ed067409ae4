//! Mandatory access control, integrity and allow-listing: what confines programs here, and how strictly.
//!
//! Sources of truth: `sys/fs/selinux`, AppArmor's parameter and its list of profiles (needs
//! `CAP_MAC_ADMIN`: mostly denied), the kernel's lists of security modules and lockdown, IMA's policy,
//! fapolicyd's configuration, and what is configured for the next start. A running system without one
//! of the kernel's directories does not have that part, or `securityfs` is not mounted.

use holdpoint_common::row::HardeningRow;

use super::layers::{assignments, digest, drop_ins, number_or_text, tell};
use super::modules::CommandLine;
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/fs/selinux/enforce"),
    Reads::content("sys/fs/selinux/policyvers"),
    Reads::content("sys/fs/selinux/deny_unknown"),
    Reads::content("etc/selinux/config"),
    Reads::content("sys/module/apparmor/parameters/enabled"),
    Reads::content("sys/kernel/security/apparmor/profiles"),
    Reads::content("sys/kernel/security/lsm"),
    Reads::content("sys/kernel/security/lockdown"),
    Reads::metadata("sys/kernel/security/ima/policy"),
    Reads::metadata("sys/kernel/security/integrity/ima/policy"),
    Reads::metadata("etc/ima/ima-policy"),
    Reads::content("etc/fapolicyd/fapolicyd.conf"),
    Reads::content("etc/fapolicyd/rules.d/*.rules"),
    Reads::content("etc/fapolicyd/fapolicyd.rules"),
];

const CHECKS: &[&str] = &["L17"];
const MAX_BYTES: usize = 1024 * 1024;
const PROFILES: &str = "sys/kernel/security/apparmor/profiles";
/// Words of the kernel's command line that switch any of it.
const WORDS: [&str; 8] =
    ["selinux", "enforcing", "apparmor", "security", "lsm", "lockdown", "ima_policy", "ima_appraise"];

/// Values of one file, and the facts that they are.
const VALUES: [(&str, &str); 6] = [
    ("sys/fs/selinux/enforce", "selinux.enforcing"),
    ("sys/fs/selinux/policyvers", "selinux.policy_version"),
    ("sys/fs/selinux/deny_unknown", "selinux.deny_unknown"),
    ("sys/module/apparmor/parameters/enabled", "apparmor.enabled"),
    ("sys/kernel/security/lsm", "security_modules.active"),
    ("sys/kernel/security/lockdown", "lockdown.mode"),
];

/// Reads what confines programs.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut rows = Vec::new();
    let command_line = CommandLine::read(look);
    let runs = command_line.is_some();
    for (path, id) in VALUES {
        let outcome = look.value_or_state(path);
        if outcome == Outcome::Absent && !runs {
            continue;
        }
        rows.push(tell(Fact::new(id, CHECKS, path), outcome, "needs root", |fact, value| match id {
            "security_modules.active" => fact.list(value.split(',').map(str::to_owned)),
            "lockdown.mode" => fact.text(chosen(&value)),
            _ => number_or_text(fact, &value),
        }));
    }
    profiles(look, runs, &mut rows);
    configured(
        look,
        &mut rows,
        "etc/selinux/config",
        &[("SELINUX", "selinux.configured_mode"), ("SELINUXTYPE", "selinux.configured_policy")],
    );
    for path in ["sys/kernel/security/ima/policy", "sys/kernel/security/integrity/ima/policy"] {
        if look.exists(path) {
            rows.push(Fact::new("ima.present", CHECKS, path).flag(true));
            break;
        }
    }
    if look.exists("etc/ima/ima-policy") {
        rows.push(Fact::new("ima.configured_policy", CHECKS, "etc/ima/ima-policy").flag(true));
    }
    configured(
        look,
        &mut rows,
        "etc/fapolicyd/fapolicyd.conf",
        &[
            ("permissive", "fapolicyd.permissive"),
            ("integrity", "fapolicyd.integrity"),
            ("trust", "fapolicyd.trust"),
        ],
    );
    let mut rules = drop_ins(look, &["etc/fapolicyd/rules.d"], ".rules");
    rules.push("etc/fapolicyd/fapolicyd.rules".to_owned());
    for path in rules {
        let read = look.in_time().and_then(|()| look.host.root.read(&path, MAX_BYTES));
        let outcome = look.outcome(&path, read);
        if outcome != Outcome::Absent {
            let fact = Fact::new("fapolicyd.rules", CHECKS, &path).about(&path);
            rows.push(tell(fact, outcome, "needs root", |fact, bytes| fact.text(&digest(&bytes))));
        }
    }
    if let Some(line) = command_line {
        let fact = Fact::new("security_modules.kernel_command_line", CHECKS, "proc/cmdline");
        let words = WORDS.iter().flat_map(|key| line.words(key).map(move |value| format!("{key}={value}")));
        rows.push(fact.list(words));
    }
    if rows.is_empty() {
        return look.missing("nothing here confines programs");
    }
    Reading::of(&rows)
}

/// The word in brackets: `none [integrity] confidentiality`.
fn chosen(value: &str) -> &str {
    value.split_once('[').and_then(|it| it.1.split_once(']')).map_or(value, |it| it.0)
}

/// How many profiles AppArmor has in each mode.
fn profiles(look: &mut Look<'_>, runs: bool, rows: &mut Vec<HardeningRow>) {
    let read = look.in_time().and_then(|()| look.host.root.read(PROFILES, MAX_BYTES));
    let outcome = look.outcome(PROFILES, read);
    if outcome == Outcome::Absent && !runs {
        return;
    }
    let Outcome::Seen(bytes) = outcome else {
        let fact = Fact::new("apparmor.profiles", CHECKS, PROFILES);
        rows.push(tell(fact, outcome, "needs CAP_MAC_ADMIN", |fact, _| fact.absent()));
        return;
    };
    let text = String::from_utf8_lossy(&bytes);
    for mode in ["enforce", "complain", "kill", "unconfined", "user"] {
        let end = format!("({mode})");
        let count = text.lines().filter(|it| it.trim_end().ends_with(&end)).count();
        let fact = Fact::new("apparmor.profiles", CHECKS, PROFILES).about(mode);
        rows.push(fact.number(i64::try_from(count).unwrap_or(i64::MAX)));
    }
}

fn configured(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>, file: &str, keys: &[(&str, &str)]) {
    let read = look.in_time().and_then(|()| look.host.root.read(file, MAX_BYTES));
    let outcome = look.outcome(file, read);
    let text = match &outcome {
        Outcome::Seen(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Outcome::Absent => return,
        Outcome::Denied | Outcome::Failed(_) => String::new(),
    };
    for (key, id) in keys {
        let value = assignments(&text).filter(|it| it.0 == *key).last().map(|it| it.1.to_owned());
        rows.push(tell(Fact::new(id, CHECKS, file), outcome.clone(), "needs root", |fact, _| match value {
            Some(value) => number_or_text(fact, &value),
            None => fact.because("the file does not say it").absent(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};
    use holdpoint_common::row::hardening_row::Value;

    #[test]
    fn modes_are_numbers_words_and_counts() {
        let (_dir, host) = host(&[
            ("proc/cmdline", "quiet apparmor=1 security=apparmor\n"),
            ("sys/kernel/security/lsm", "lockdown,capability,yama,apparmor"),
            ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
            ("sys/module/apparmor/parameters/enabled", "Y\n"),
            (PROFILES, "/usr/sbin/chronyd (enforce)\nman_groff (enforce)\nx//y (complain)\n"),
            ("etc/selinux/config", "# x\nSELINUX=permissive\n"),
            ("etc/fapolicyd/fapolicyd.conf", "permissive = 1\n"),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let find = |id: &str| rows.iter().find(|it| it.id == id).unwrap();
        assert_eq!(find("lockdown.mode").value, Some(Value::Text("integrity".into())));
        assert_eq!(find("selinux.enforcing").state, "absent");
        assert_eq!(find("selinux.configured_mode").value, Some(Value::Text("permissive".into())));
        assert_eq!(find("selinux.configured_policy").state, "absent");
        assert_eq!(find("apparmor.profiles").value, Some(Value::Number(2)));
        assert_eq!(find("fapolicyd.permissive").value, Some(Value::Number(1)));
        assert!(
            matches!(&find("security_modules.active").value, Some(Value::List(it)) if it.items.len() == 4)
        );
        assert!(matches!(&find("security_modules.kernel_command_line").value,
            Some(Value::List(it)) if it.items == ["apparmor=1", "security=apparmor"]));
    }
}
