//! Tests of the sudo probe; `agent/tests/access.rs` holds it against `cvtsudoers` and `visudo`.

use holdpoint_common::row::hardening_row::Value;

use super::*;
use crate::scan::look::tests::{host, rows_of};

fn facts(files: &[(&str, &str)]) -> (Vec<HardeningRow>, Vec<String>) {
    let mut all = vec![("usr/bin/sudo", ""), ("etc/passwd", "")];
    all.extend_from_slice(files);
    let (_dir, host) = host(&all);
    let host = host.limited_to(crate::host::ReadList::new(READS));
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    (rows, faults)
}

fn list(rows: &[HardeningRow], id: &str) -> Vec<String> {
    let row = rows.iter().find(|it| it.id == id).unwrap();
    let Some(Value::List(list)) = &row.value else { panic!("{row:?}") };
    list.items.clone()
}

fn setting<'a>(rows: &'a [HardeningRow], name: &str, scope: Option<&str>) -> &'a HardeningRow {
    let id = format!("sudo.defaults.{name}");
    rows.iter().find(|it| it.id == id && it.subject.as_deref() == scope).unwrap()
}

const DEBIAN: &str = "#\n# This file MUST be edited with visudo\n#\nDefaults\tenv_reset\nDefaults\tmail_badpass\n\
    Defaults\tsecure_path=\"/usr/local/sbin:/usr/bin\"\n# Defaults:%sudo env_keep += \"EDITOR\"\n\
    root\tALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n";

#[test]
fn the_file_of_a_distribution_is_read_as_it_stands() {
    let (rows, faults) = facts(&[
        ("etc/sudoers", DEBIAN),
        ("etc/sudoers.d/vendor", "vendor ALL = NOPASSWD: ALL\n"),
        ("etc/sudoers.d/README.txt", "no rule\n"),
        ("etc/sudoers.d/old~", "no rule\n"),
    ]);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(list(&rows, "sudo.all_commands"), ["root as (ALL:ALL)", "%sudo as (ALL:ALL)", "vendor"]);
    assert_eq!(list(&rows, "sudo.nopasswd"), ["vendor: ALL"]);
    let row = rows.iter().find(|it| it.id == "sudo.nopasswd").unwrap();
    assert_eq!(row.source, "etc/sudoers.d/vendor");
    assert_eq!(setting(&rows, "env_reset", None).value, Some(Value::Flag(true)));
    assert_eq!(
        setting(&rows, "secure_path", None).value,
        Some(Value::Text("/usr/local/sbin:/usr/bin".to_owned()))
    );
    assert_eq!(setting(&rows, "targetpw", None).reason.as_deref(), Some("sudo's default"));
    assert_eq!(setting(&rows, "use_pty", None).state, "absent");
}

#[test]
fn aliases_tags_and_continued_lines_are_written_out() {
    let (rows, faults) = facts(&[(
        "etc/sudoers",
        "User_Alias OPS = anna, ben : HELP = eva\nCmnd_Alias NET = /sbin/ip, \\\n  /sbin/ss -t \\, x, !/sbin/ip link\n\
         Host_Alias HMI = hmi1, 10.0.0.0/8, fe80::1\n\
         OPS HMI = (root) NOPASSWD: NET, PASSWD: /bin/cat /a\\:b, (op:op) NOEXEC: /usr/bin/vi : ALL = /bin/ls\n\
         #1000, %#20, \"%domain users\" ALL = sudoedit /etc/x # comment\n\
         HELP ALL = CWD=/tmp TIMEOUT=1h NOPASSWD: SETENV: sha224:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA== /bin/true, ^/bin/[a,b]+$ x\n",
    )]);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(
        list(&rows, "sudo.nopasswd"),
        [
            "anna on hmi1, 10.0.0.0/8, fe80::1 as (root): /sbin/ip, /sbin/ss -t , x",
            "ben on hmi1, 10.0.0.0/8, fe80::1 as (root): /sbin/ip, /sbin/ss -t , x",
            "eva: sha224:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA== /bin/true, ^/bin/[a,b]+$ x",
        ]
    );
    assert_eq!(
        list(&rows, "sudo.noexec"),
        [
            "anna on hmi1, 10.0.0.0/8, fe80::1 as (op:op): /usr/bin/vi",
            "ben on hmi1, 10.0.0.0/8, fe80::1 as (op:op): /usr/bin/vi"
        ]
    );
    let rules = list(&rows, "sudo.rules");
    assert!(rules.contains(&"anna: /bin/ls".to_owned()), "{rules:?}");
    assert!(rules.contains(&"#1000: sudoedit /etc/x".to_owned()), "{rules:?}");
    assert!(rules.contains(&"%domain users: sudoedit /etc/x".to_owned()), "{rules:?}");
    assert!(list(&rows, "sudo.all_commands").is_empty());
}

#[test]
fn the_last_setting_counts_and_scopes_are_subjects() {
    let (rows, faults) = facts(&[(
        "etc/sudoers",
        "Defaults requiretty, timestamp_timeout=15\nDefaults !requiretty\nDefaults:op !authenticate\n\
         Defaults@hmi,hmi2 use_pty\nDefaults!/bin/ls noexec\nDefaults>root log_output\nDefaults env_keep += \"A B\"\n",
    )]);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(setting(&rows, "requiretty", None).value, Some(Value::Flag(false)));
    assert_eq!(setting(&rows, "timestamp_timeout", None).value, Some(Value::Number(15)));
    assert_eq!(setting(&rows, "authenticate", Some("op")).value, Some(Value::Flag(false)));
    assert_eq!(setting(&rows, "authenticate", None).value, Some(Value::Flag(true)));
    assert_eq!(setting(&rows, "use_pty", Some("@hmi, hmi2")).value, Some(Value::Flag(true)));
    assert_eq!(setting(&rows, "noexec", Some("!/bin/ls")).value, Some(Value::Flag(true)));
    assert_eq!(setting(&rows, "log_output", Some(">root")).value, Some(Value::Flag(true)));
    assert_eq!(setting(&rows, "env_keep", None).value, Some(Value::Text("+ A B".to_owned())));
}

#[test]
fn a_line_that_is_wrong_is_named_and_the_others_stay() {
    let (rows, faults) = facts(&[(
        "etc/sudoers",
        "op ALL = NOPASSWD ALL\nguest ALL = ALL\nUser_Alias lower = x\n@include /etc/none\n@include /etc/passwd\nx\n",
    )]);
    assert_eq!(
        faults,
        [
            "etc/sudoers: line 1: not a command",
            "etc/sudoers: line 3: not a name of an alias",
            "etc/none: /etc/none is not on the agent's read list",
            "etc/passwd: /etc/passwd is not on the agent's read list",
            "etc/sudoers: line 6: something is missing",
        ]
    );
    assert_eq!(list(&rows, "sudo.all_commands"), ["guest"]);
    let empty = rows.iter().find(|it| it.id == "sudo.nopasswd").unwrap();
    assert_eq!(
        (empty.state.as_str(), empty.value.clone()),
        ("error", None),
        "an empty list would be a claim"
    );
}

#[test]
fn files_that_include_each_other_end() {
    let (rows, faults) = facts(&[
        ("etc/sudoers", "a ALL = ALL\n@includedir sudoers.d\n"),
        ("etc/sudoers.d/x", "@include ../sudoers\n"),
        ("etc/sudoers.d/y", "User_Alias A = B\nUser_Alias B = A, A, A\nA ALL = ALL\n"),
    ]);
    assert!(!faults.is_empty() && faults.len() < 4, "{faults:?}");
    assert!(!list(&rows, "sudo.all_commands").is_empty());
}

#[test]
fn a_few_lines_that_stand_for_everybody_and_everything_are_cut() {
    let alias = |kind: &str, name: String, members: Vec<String>| {
        format!("{kind}_Alias {name} = {}\n", members.join(","))
    };
    let mut lines = vec![
        alias("User", "U0".to_owned(), (0..9).map(|it| format!("u{it}")).collect()),
        alias("Cmnd", "C0".to_owned(), (0..9).map(|it| format!("/c{it}")).collect()),
    ];
    for n in 1..6 {
        for (kind, letter) in [("User", 'U'), ("Cmnd", 'C')] {
            lines.push(alias(kind, format!("{letter}{n}"), vec![format!("{letter}{}", n - 1); 9]));
        }
    }
    lines.push(format!("U5 ALL = {}\n", vec!["(x) C5, (y) C5"; 40].join(", ")));
    let text = lines.concat();
    let (rows, _) = facts(&[("etc/sudoers", &text.repeat(20))]);
    let row = rows.iter().find(|it| it.id == "sudo.rules").unwrap();
    let reason = row.reason.as_deref().unwrap();
    assert!(reason.starts_with("cut: the aliases stand for more than 16384 members"), "{reason}");
    // One rule of two users and a few commands is not touched by the bound.
    let (rows, _) = facts(&[("etc/sudoers", "a, b ALL = (x) /bin/c, (y) /bin/d\n")]);
    assert_eq!(
        list(&rows, "sudo.rules"),
        ["a as (x): /bin/c", "a as (y): /bin/d", "b as (x): /bin/c", "b as (y): /bin/d"]
    );
}

#[test]
fn lines_of_one_character_are_read_in_no_time() {
    let blanks = " \\\n".repeat(60_000);
    let colons = format!("Host_Alias A = {}\n", ":".repeat(200_000));
    for text in [blanks, colons] {
        let start = std::time::Instant::now();
        let _ = facts(&[("etc/sudoers", &text)]);
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

#[test]
fn without_sudo_one_fact_says_so_and_doas_is_read() {
    let (_dir, host) = host(&[
        ("usr/bin/doas", ""),
        ("etc/doas.conf", "# x\npermit nopass keepenv :wheel as root # y\npermit persist op\ndeny guest\n"),
    ]);
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    assert!(faults.is_empty());
    assert_eq!(rows[0].value, Some(Value::Flag(false)));
    assert_eq!(list(&rows, "doas.nopass"), ["permit nopass keepenv :wheel as root"]);
    assert_eq!(list(&rows, "doas.rules").len(), 3);
    assert_eq!(rows.len(), 4);
}

#[test]
fn other_sources_of_rules_are_named() {
    let (rows, _) = facts(&[
        ("etc/sudoers", ""),
        ("etc/nsswitch.conf", "passwd: files\nsudoers:  files [NOTFOUND=return] sss\n"),
    ]);
    assert_eq!(list(&rows, "sudo.sources"), ["files", "sss"]);
}
