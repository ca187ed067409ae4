//! Kernel parameters: the values in effect, and what files on disk ask for.
//!
//! Source of truth: `proc/sys`, world readable but for a few keys; beside it `sysctl.configured.*`,
//! so that a drift between file and kernel shows. Files count as sysctl.d(5) says: `etc/sysctl.d`,
//! `run`, `usr/local/lib`, `usr/lib`, in the order of names, the last one wins, a plain key is stronger
//! than a pattern. `etc/sysctl.conf` is read last, as procps does; systemd reads it only where a link
//! in `sysctl.d` leads to it. A key that no file names has no `configured` fact.
//!
//! Known lies: `net` is of the agent's network namespace. An interface may differ from `all` and
//! `default`; interfaces come and go, and are not asked.

use std::collections::BTreeMap;

use super::layers::{drop_ins, number_or_text, tell};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("proc/sys/net/ipv4/*"),
    Reads::content("proc/sys/net/ipv4/conf/all/*"),
    Reads::content("proc/sys/net/ipv4/conf/default/*"),
    Reads::content("proc/sys/net/ipv6/conf/all/*"),
    Reads::content("proc/sys/net/ipv6/conf/default/*"),
    Reads::content("proc/sys/net/core/bpf_jit_harden"),
    Reads::content("proc/sys/kernel/*"),
    Reads::content("proc/sys/kernel/yama/ptrace_scope"),
    Reads::content("proc/sys/fs/*"),
    Reads::content("proc/sys/user/max_user_namespaces"),
    Reads::content("proc/sys/vm/mmap_min_addr"),
    Reads::content("proc/sys/vm/unprivileged_userfaultfd"),
    Reads::content("proc/sys/dev/tty/ldisc_autoload"),
    Reads::content("etc/sysctl.conf"),
    Reads::content("etc/sysctl.d/*.conf"),
    Reads::content("run/sysctl.d/*.conf"),
    Reads::content("usr/local/lib/sysctl.d/*.conf"),
    Reads::content("usr/lib/sysctl.d/*.conf"),
    Reads::content("lib/sysctl.d/*.conf"),
];

const DIRECTORIES: [&str; 5] =
    ["etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d"];
const LAST: &str = "etc/sysctl.conf";
const MAX_BYTES: usize = 256 * 1024;

/// Forwarding, source routing and what a neighbour may make the host believe.
const NETWORK: [&str; 21] = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/forwarding",
    "net/ipv4/conf/all/accept_source_route",
    "net/ipv4/conf/default/accept_source_route",
    "net/ipv4/conf/all/accept_redirects",
    "net/ipv4/conf/default/accept_redirects",
    "net/ipv4/conf/all/secure_redirects",
    "net/ipv4/conf/all/send_redirects",
    "net/ipv4/conf/default/send_redirects",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/default/rp_filter",
    "net/ipv4/conf/all/log_martians",
    "net/ipv4/icmp_echo_ignore_broadcasts",
    "net/ipv4/tcp_syncookies",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
    "net/ipv6/conf/all/accept_source_route",
    "net/ipv6/conf/default/accept_source_route",
    "net/ipv6/conf/all/accept_redirects",
    "net/ipv6/conf/default/accept_redirects",
    "net/ipv6/conf/all/accept_ra",
];
/// How much an attacker with an account finds.
const PROTECTION: [&str; 23] = [
    "kernel/randomize_va_space",
    "kernel/kptr_restrict",
    "kernel/dmesg_restrict",
    "kernel/yama/ptrace_scope",
    "kernel/unprivileged_bpf_disabled",
    "kernel/unprivileged_userns_clone",
    "kernel/apparmor_restrict_unprivileged_userns",
    "kernel/kexec_load_disabled",
    "kernel/modules_disabled",
    "kernel/sysrq",
    "kernel/perf_event_paranoid",
    "kernel/core_pattern",
    "kernel/io_uring_disabled",
    "net/core/bpf_jit_harden",
    "user/max_user_namespaces",
    "vm/mmap_min_addr",
    "vm/unprivileged_userfaultfd",
    "dev/tty/ldisc_autoload",
    "fs/protected_hardlinks",
    "fs/protected_symlinks",
    "fs/protected_fifos",
    "fs/protected_regular",
    "fs/suid_dumpable",
];

/// Reads the parameters in effect and the configured ones.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let runs = look.exists("proc/sys/kernel");
    let configured = configured(look);
    let keys = NETWORK.iter().map(|it| (*it, "L08")).chain(PROTECTION.iter().map(|it| (*it, "L09")));
    let mut rows = Vec::new();
    for (key, check) in keys {
        let dotted = key.replace('/', ".");
        let setting = configured.get(key);
        let path = format!("proc/sys/{key}");
        let fact = Fact::new(&format!("sysctl.{dotted}"), &[check], &path);
        if runs {
            let outcome = look.value_or_state(&path);
            rows.push(tell(fact, outcome, "needs root", |fact, value| number_or_text(fact, &value)));
        } else if setting.is_some() {
            rows.push(fact.because("not a running system").absent());
        }
        if let Some(Setting { value, source }) = setting {
            let fact = Fact::new(&format!("sysctl.configured.{dotted}"), &[check], source);
            let fact = if source == LAST {
                fact.because("systemd does not read this file, procps does")
            } else {
                fact
            };
            rows.push(number_or_text(fact, value));
        }
    }
    if rows.is_empty() {
        return look.missing("neither proc/sys nor a file of sysctl.d is there");
    }
    Reading::of(&rows)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    value: String,
    source: String,
}

/// What the files ask for, by keys of interest.
fn configured(look: &mut Look<'_>) -> BTreeMap<&'static str, Setting> {
    let mut files = drop_ins(look, &DIRECTORIES, ".conf");
    let has_link = files.iter().any(|it| look.host.root.canonical(it).is_ok_and(|it| it.ends_with(LAST)));
    if !has_link {
        files.push(LAST.to_owned());
    }
    let mut lines = Vec::new();
    for file in files {
        let Some(text) = look.text(&file, MAX_BYTES) else { continue };
        lines.extend(parse(&text).into_iter().map(|line| (line, file.clone())));
    }
    settle(&lines)
}

/// One line: a key or pattern with `/` between its parts; a value of `None` keeps patterns off it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    key: String,
    value: Option<String>,
}

fn parse(text: &str) -> Vec<Line> {
    let line = |line: &str| {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return None;
        }
        match line.split_once('=') {
            Some((key, value)) => {
                // A dash before a key with a value only silences errors.
                let key = key.trim().trim_start_matches('-');
                Some(Line { key: slashed(key), value: Some(value.trim().to_owned()) })
            }
            None => line.strip_prefix('-').map(|key| Line { key: slashed(key.trim()), value: None }),
        }
    };
    text.lines().filter_map(line).collect()
}

/// The separator that stands first separates; the other one then is part of a name.
fn slashed(key: &str) -> String {
    match key.find(['.', '/']).map(|at| key.as_bytes()[at]) {
        Some(b'.') => key
            .chars()
            .map(|it| match it {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => key.to_owned(),
    }
}

fn settle(lines: &[(Line, String)]) -> BTreeMap<&'static str, Setting> {
    let mut settled = BTreeMap::new();
    for key in NETWORK.into_iter().chain(PROTECTION) {
        let plain = lines.iter().rev().find(|(line, _)| line.key == key);
        let found = plain.or_else(|| {
            lines.iter().rev().find(|(line, _)| line.key.contains(['*', '?']) && fits(&line.key, key))
        });
        if let Some((Line { value: Some(value), .. }, source)) = found {
            settled.insert(key, Setting { value: value.clone(), source: source.clone() });
        }
    }
    settled
}

/// glob(7) without classes, part by part.
fn fits(pattern: &str, key: &str) -> bool {
    let (mut pattern, mut key) = (pattern.split('/'), key.split('/'));
    loop {
        match (pattern.next(), key.next()) {
            (None, None) => return true,
            (Some(pattern), Some(key)) if part_fits(pattern.as_bytes(), key.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// Walks back to the last star only, so that many stars take no longer than their product.
fn part_fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(it) if *it == b'?' || *it == text[seen] => {
                at += 1;
                seen += 1;
            }
            Some(_) | None => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                seen = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|it| *it == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host, rows_of};
    use holdpoint_common::row::HardeningRow;
    use holdpoint_common::row::hardening_row::Value;
    use std::os::unix::fs::symlink;

    fn find<'a>(rows: &'a [HardeningRow], id: &str) -> &'a HardeningRow {
        rows.iter().find(|it| it.id == id).unwrap_or_else(|| panic!("no {id}"))
    }

    #[test]
    fn the_value_in_effect_and_the_configured_one_stand_side_by_side() {
        let (_dir, host) = host(&[
            ("proc/sys/kernel/sysrq", "1\n"),
            ("proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P\n"),
            ("proc/sys/net/ipv4/ip_forward", "1\n"),
            ("etc/sysctl.d/90-site.conf", "net.ipv4.ip_forward = 0\n-kernel/sysrq=0\n"),
            ("usr/lib/sysctl.d/90-site.conf", "net.ipv4.ip_forward = 7\n"),
            ("etc/sysctl.conf", "# x\nkernel.kptr_restrict=2\n"),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(find(&rows, "sysctl.net.ipv4.ip_forward").value, Some(Value::Number(1)));
        let configured = find(&rows, "sysctl.configured.net.ipv4.ip_forward");
        assert_eq!(
            (&configured.value, configured.source.as_str()),
            (&Some(Value::Number(0)), "etc/sysctl.d/90-site.conf")
        );
        assert_eq!(find(&rows, "sysctl.configured.kernel.sysrq").value, Some(Value::Number(0)));
        assert!(find(&rows, "sysctl.configured.kernel.kptr_restrict").reason.is_some());
        assert_eq!(find(&rows, "sysctl.kernel.kptr_restrict").state, "absent");
        assert!(matches!(find(&rows, "sysctl.kernel.core_pattern").value, Some(Value::Text(_))));
        assert!(rows.iter().all(|it| it.id != "sysctl.configured.fs.suid_dumpable"));
    }

    #[test]
    fn without_a_kernel_only_what_is_configured_is_said() {
        let (_dir, host) = host(&[("usr/lib/sysctl.d/50-default.conf", "kernel.sysrq = 16\n")]);
        let (rows, _, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(rows.len(), 2);
        let effective = find(&rows, "sysctl.kernel.sysrq");
        assert_eq!(
            (effective.state.as_str(), effective.reason.as_deref()),
            ("absent", Some("not a running system"))
        );
    }

    #[test]
    fn a_linked_sysctl_conf_counts_at_its_place() {
        let (dir, host) =
            host(&[("etc/sysctl.conf", "kernel.sysrq=1\n"), ("etc/sysctl.d/99-zz.conf", "kernel.sysrq=2\n")]);
        symlink("../sysctl.conf", dir.path().join("etc/sysctl.d/99-sysctl.conf")).unwrap();
        let (rows, _, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(find(&rows, "sysctl.configured.kernel.sysrq").value, Some(Value::Number(2)));
    }

    #[test]
    fn a_plain_key_is_stronger_than_a_pattern_and_an_exclusion_than_both() {
        let lines = |text| parse(text).into_iter().map(|it| (it, "f".to_owned())).collect::<Vec<_>>();
        let settled = settle(&lines(
            "net.ipv4.conf.all.rp_filter=1\nnet.ipv4.conf.*.rp_filter=2\nnet/ipv4/conf/*/send_redirects=0\n\
             -net.ipv4.conf.all.send_redirects\n",
        ));
        let value = |key| settled.get(key).map(|it| it.value.as_str());
        assert_eq!(value("net/ipv4/conf/all/rp_filter"), Some("1"));
        assert_eq!(value("net/ipv4/conf/default/rp_filter"), Some("2"));
        assert_eq!(value("net/ipv4/conf/all/send_redirects"), None);
        assert_eq!(value("net/ipv4/conf/default/send_redirects"), Some("0"));
    }

    #[test]
    fn patterns_of_many_stars_end() {
        assert!(!part_fits("*a".repeat(64).as_bytes(), "a".repeat(63).as_bytes()));
        assert!(part_fits(b"a*c?", b"abbcd"));
    }

    #[test]
    fn what_may_not_be_read_is_an_answer() {
        let budget = ample();
        let (_dir, host) = host(&[]);
        let mut look = Look::new(&host, &budget, "test");
        assert_eq!(
            probe(&mut look),
            Reading::Absent("neither proc/sys nor a file of sysctl.d is there".into())
        );
    }
}
