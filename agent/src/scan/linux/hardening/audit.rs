//! Linux audit: what auditd is told, which rules it loads, and whether the kernel starts with it.
//!
//! Sources of truth: `etc/audit/auditd.conf`, the rules in `etc/audit` and the kernel's command line.
//! Distributions make the directory readable for root alone. What the kernel holds now is behind a
//! netlink family that needs `CAP_AUDIT_CONTROL` and is not asked; whether auditd runs is in the
//! section `services`. `augenrules` merges `rules.d` into `audit.rules`, which is what is loaded.

use holdpoint_common::row::HardeningRow;

use super::layers::{assignments, digest, drop_ins, enabled, number_or_text, tell};
use super::modules::CommandLine;
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("etc/audit/auditd.conf"),
    Reads::content("etc/audit/audit.rules"),
    Reads::content("etc/audit/rules.d/*.rules"),
];

const DAEMON: &str = "etc/audit/auditd.conf";
const LOADED: &str = "etc/audit/audit.rules";
const CHECKS: &[&str] = &["L15"];
const MAX_BYTES: usize = 1024 * 1024;

/// Keys that say whether records are kept and what happens when they cannot be.
const KEYS: [&str; 15] = [
    "local_events",
    "write_logs",
    "log_file",
    "log_format",
    "flush",
    "max_log_file",
    "num_logs",
    "max_log_file_action",
    "space_left_action",
    "admin_space_left_action",
    "disk_full_action",
    "disk_error_action",
    "tcp_listen_port",
    "distribute_network",
    "name_format",
];

/// Reads auditd's configuration and rules.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut rows = Vec::new();
    daemon(look, &mut rows);
    let mut files = vec![LOADED.to_owned()];
    files.extend(drop_ins(look, &["etc/audit/rules.d"], ".rules"));
    for file in files {
        rules(look, &mut rows, &file);
    }
    if !rows.is_empty() {
        let is_enabled = enabled(look).contains("auditd.service");
        rows.push(Fact::new("audit.enabled", CHECKS, "etc/systemd/system/*.wants").flag(is_enabled));
    }
    if let Some(line) = CommandLine::read(look) {
        let fact = Fact::new("audit.kernel_command_line", CHECKS, "proc/cmdline");
        let words: Vec<String> = ["audit", "audit_backlog_limit"]
            .iter()
            .flat_map(|key| line.words(key).map(move |value| format!("{key}={value}")))
            .collect();
        rows.push(if words.is_empty() { fact.absent() } else { fact.list(words) });
    }
    if rows.is_empty() {
        return look.missing("neither etc/audit nor a running kernel is there");
    }
    Reading::of(&rows)
}

fn daemon(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    let read = look.in_time().and_then(|()| look.host.root.read(DAEMON, MAX_BYTES));
    match look.outcome(DAEMON, read) {
        Outcome::Absent => {}
        Outcome::Denied => {
            rows.push(Fact::new("audit.daemon", CHECKS, DAEMON).because("needs root").denied());
        }
        Outcome::Failed(why) => rows.push(Fact::new("audit.daemon", CHECKS, DAEMON).because(why).error()),
        Outcome::Seen(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            for key in KEYS {
                let value = assignments(&text).filter(|it| it.0.eq_ignore_ascii_case(key)).last();
                if let Some((_, value)) = value {
                    rows.push(number_or_text(Fact::new(&format!("audit.{key}"), CHECKS, DAEMON), value));
                }
            }
        }
    }
}

fn rules(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>, file: &str) {
    let read = look.in_time().and_then(|()| look.host.root.read(file, MAX_BYTES));
    let outcome = look.outcome(file, read);
    if outcome == Outcome::Absent {
        return;
    }
    let fact = Fact::new("audit.rules", CHECKS, file).about(file);
    rows.push(tell(fact, outcome, "needs root", |fact, bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let lines = || text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
        let count =
            lines().filter(|it| it.starts_with("-a") || it.starts_with("-A") || it.starts_with("-w")).count();
        let locked = if lines().any(|it| it.split_whitespace().eq(["-e", "2"])) {
            ", locked until restart"
        } else {
            ""
        };
        fact.because(format!("{count} rules{locked}")).text(&digest(&bytes))
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};
    use holdpoint_common::row::hardening_row::Value;

    #[test]
    fn daemon_rules_and_kernel_are_told() {
        let (_dir, host) = host(&[
            (DAEMON, "# x\nmax_log_file = 8\nspace_left_action = SYSLOG\n"),
            (LOADED, "-D\n-w /etc/passwd -p wa\n-a always,exit -F arch=b64 -S execve\n-e 2\n"),
            ("etc/audit/rules.d/10.rules", "# none\n"),
            ("etc/systemd/system/multi-user.target.wants/auditd.service", ""),
            ("proc/cmdline", "quiet audit=1\n"),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let find = |id: &str| rows.iter().find(|it| it.id == id).unwrap();
        assert_eq!(find("audit.max_log_file").value, Some(Value::Number(8)));
        assert_eq!(find("audit.space_left_action").value, Some(Value::Text("SYSLOG".into())));
        assert_eq!(find("audit.rules").reason.as_deref(), Some("2 rules, locked until restart"));
        assert_eq!(find("audit.enabled").value, Some(Value::Flag(true)));
        assert!(
            matches!(&find("audit.kernel_command_line").value, Some(Value::List(it)) if it.items == ["audit=1"])
        );
    }
}
