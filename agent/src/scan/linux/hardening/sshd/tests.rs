//! Tests of the sshd probe; `agent/tests/access.rs` holds it against `sshd -T`.

use holdpoint_common::row::hardening_row::Value;

use super::*;
use crate::scan::look::tests::{host, rows_of};

const PROGRAM: (&str, &str) = ("usr/sbin/sshd", "\u{7f}ELF..OpenSSH_\0..OpenSSH_9.2p1 Debian\0");

fn facts(files: &[(&str, &str)]) -> (Vec<HardeningRow>, Vec<String>) {
    let mut all = vec![PROGRAM];
    all.extend_from_slice(files);
    let (_dir, host) = host(&all);
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    (rows, faults)
}

fn find<'a>(rows: &'a [HardeningRow], fact: &str, subject: Option<&str>) -> Option<&'a HardeningRow> {
    let id = format!("sshd.{fact}");
    rows.iter().find(|it| it.id == id && it.subject.as_deref() == subject)
}

fn value(rows: &[HardeningRow], fact: &str) -> String {
    said(find(rows, fact, None).unwrap())
}

fn said(row: &HardeningRow) -> String {
    match &row.value {
        Some(Value::Flag(it)) => it.to_string(),
        Some(Value::Number(it)) => it.to_string(),
        Some(Value::Text(it)) => it.clone(),
        Some(Value::List(it)) => it.items.join(","),
        None => row.state.clone(),
    }
}

#[test]
fn without_a_server_one_fact_says_so() {
    let (_dir, host) = host(&[("etc/ssh/ssh_config", "")]);
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].id.as_str(), rows[0].value.clone()), ("sshd.installed", Some(Value::Flag(false))));
    assert!(faults.is_empty());
}

#[test]
fn an_empty_file_has_the_defaults_and_no_list_is_guessed() {
    let (rows, faults) = facts(&[("etc/ssh/sshd_config", "")]);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(value(&rows, "permit_root_login"), "prohibit-password");
    assert_eq!(value(&rows, "password_authentication"), "true");
    assert_eq!(value(&rows, "login_grace_time"), "120");
    assert_eq!(value(&rows, "port"), "22");
    assert_eq!(value(&rows, "ciphers"), "absent");
    assert_eq!(value(&rows, "authorized_keys_file"), ".ssh/authorized_keys,.ssh/authorized_keys2");
    let old = [("usr/sbin/sshd", "OpenSSH_6.6.1p1"), ("etc/ssh/sshd_config", "")];
    let (_dir, host) = host(&old);
    let (rows, _, _) = rows_of::<HardeningRow>(&host, probe);
    assert_eq!(value(&rows, "permit_root_login"), "yes");
}

#[test]
fn the_first_value_wins_and_its_file_is_the_source() {
    let (rows, _) = facts(&[
        (
            "etc/ssh/sshd_config",
            "Include sshd_config.d/*.conf\nPermitRootLogin yes\nPort 22\nAllowUsers a\nallowusers b c\n",
        ),
        ("etc/ssh/sshd_config.d/20-b.conf", "PermitRootLogin yes\n"),
        ("etc/ssh/sshd_config.d/10-a.conf", "permitrootlogin=without-password\nPort 2222\n"),
        ("etc/ssh/sshd_config.d/.hidden.conf", "PermitRootLogin no\n"),
        ("etc/ssh/sshd_config.d/00.conf.dpkg-old", "PermitRootLogin no\n"),
    ]);
    assert_eq!(value(&rows, "permit_root_login"), "prohibit-password");
    assert_eq!(find(&rows, "permit_root_login", None).unwrap().source, "etc/ssh/sshd_config.d/10-a.conf");
    assert_eq!(value(&rows, "port"), "2222,22");
    assert_eq!(value(&rows, "allow_users"), "a,b,c");
}

#[test]
fn a_block_is_about_its_criteria_and_ends_with_its_file() {
    let (rows, _) = facts(&[
        (
            "etc/ssh/sshd_config",
            "Match User op\n Include /etc/ssh/sshd_config.d/op.conf\n MaxAuthTries 2\nMatch all\nX11Forwarding yes\n",
        ),
        (
            "etc/ssh/sshd_config.d/op.conf",
            "PasswordAuthentication no\nMatch Address 10.0.0.0/8\nPermitRootLogin no\n",
        ),
    ]);
    assert_eq!(said(find(&rows, "max_auth_tries", Some("User op")).unwrap()), "2");
    assert_eq!(said(find(&rows, "password_authentication", Some("User op")).unwrap()), "false");
    assert_eq!(said(find(&rows, "permit_root_login", Some("User op and Address 10.0.0.0/8")).unwrap()), "no");
    assert_eq!(value(&rows, "x11_forwarding"), "true", "what is for all is no block");
    assert_eq!(value(&rows, "max_auth_tries"), "6");
}

#[test]
fn options_of_the_service_come_before_every_file() {
    let (rows, _) = facts(&[
        ("etc/ssh/sshd_config", "Port 22\nCiphers aes128-ctr\nPermitRootLogin no\n"),
        ("etc/default/ssh", "# x\nSSHD_OPTS='-o PermitRootLogin=yes -p 2022'\n"),
        (
            "etc/crypto-policies/back-ends/opensshserver.config",
            "CRYPTO_POLICY='-oCiphers=aes256-gcm@openssh.com -oMACs=hmac-sha2-256'\n",
        ),
    ]);
    assert_eq!(value(&rows, "permit_root_login"), "yes");
    assert_eq!(find(&rows, "permit_root_login", None).unwrap().source, "etc/default/ssh");
    assert_eq!(value(&rows, "ciphers"), "aes256-gcm@openssh.com");
    assert_eq!(value(&rows, "port"), "2022,22");
}

#[test]
fn crypto_policies_are_followed_to_where_they_lie() {
    let policy = "usr/share/crypto-policies/DEFAULT/opensshserver.txt";
    let (dir, host) = host(&[
        PROGRAM,
        ("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n"),
        (
            "etc/ssh/sshd_config.d/50-redhat.conf",
            "Include /etc/crypto-policies/back-ends/opensshserver.config\n",
        ),
        (policy, "KexAlgorithms curve25519-sha256\n"),
    ]);
    let link = dir.path().join("etc/crypto-policies/back-ends");
    std::fs::create_dir_all(&link).unwrap();
    std::os::unix::fs::symlink(format!("/{policy}"), link.join("opensshserver.config")).unwrap();
    let host = host.limited_to(crate::host::ReadList::new(READS));
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(value(&rows, "kex_algorithms"), "curve25519-sha256");
}

#[test]
fn what_comes_after_a_file_that_cannot_be_read_is_not_certain() {
    let (dir, host) = host(&[
        PROGRAM,
        ("etc/ssh/sshd_config", "PermitRootLogin no\nInclude /srv/more.conf\nMaxAuthTries 3\n"),
        ("srv/more.conf", "MaxAuthTries 9\n"),
    ]);
    let host = host.limited_to(crate::host::ReadList::new(READS));
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    assert_eq!(faults, ["srv/more.conf: /srv/more.conf is not on the agent's read list"]);
    assert_eq!(value(&rows, "permit_root_login"), "no");
    assert_eq!(value(&rows, "max_auth_tries"), "error");
    assert_eq!(value(&rows, "password_authentication"), "error");
    drop(dir);
}

#[test]
fn what_is_no_value_is_an_error_and_a_fault() {
    let (rows, faults) = facts(&[("etc/ssh/sshd_config", "PermitRootLogin maybe\nBanner \"x\nPort\n")]);
    assert_eq!(value(&rows, "permit_root_login"), "error");
    assert_eq!(
        faults,
        [
            "etc/ssh/sshd_config: line 2: a quote that does not end",
            "etc/ssh/sshd_config: line 3: a keyword without a value",
            "etc/ssh/sshd_config: \"maybe\" is no value of it",
        ]
    );
}

#[test]
fn files_that_include_themselves_end() {
    let (_, faults) = facts(&[
        ("etc/ssh/sshd_config", "Include sshd_config.d/*\n"),
        ("etc/ssh/sshd_config.d/a", "Include sshd_config.d/*\nInclude sshd_config\n"),
        ("etc/ssh/sshd_config.d/b", "Include sshd_config.d/*\n"),
    ]);
    assert_eq!(faults.len(), 1, "{faults:?}");
}

#[test]
fn a_version_on_the_border_of_two_pieces_is_found() {
    for before in [65_520, 65_530, 65_535, 131_060] {
        let program = format!("{}OpenSSH_9.9p1", "O".repeat(before));
        let (_dir, host) = host(&[("usr/sbin/sshd", &program), ("etc/ssh/sshd_config", "")]);
        let (rows, _, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(value(&rows, "permit_root_login"), "prohibit-password", "{before}");
    }
}
