//! Tests of the PAM probe.

use holdpoint_common::row::hardening_row::Value;

use super::*;
use crate::scan::look::tests::{host, rows_of};

fn facts(files: &[(&str, &str)]) -> (Vec<HardeningRow>, Vec<String>) {
    let (_dir, host) = host(files);
    let host = host.limited_to(crate::host::ReadList::new(READS));
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    (rows, faults)
}

fn find<'a>(rows: &'a [HardeningRow], id: &str, service: Option<&str>) -> &'a HardeningRow {
    rows.iter().find(|it| it.id == id && it.subject.as_deref() == service).unwrap()
}

fn said(rows: &[HardeningRow], id: &str, service: Option<&str>) -> String {
    let row = find(rows, id, service);
    match &row.value {
        Some(Value::Flag(it)) => it.to_string(),
        Some(Value::Number(it)) => it.to_string(),
        Some(Value::Text(it)) => it.clone(),
        Some(Value::List(it)) => it.items.join(";"),
        None => row.state.clone(),
    }
}

const RHEL: &[(&str, &str)] = &[
    ("etc/pam.d/sshd", "auth substack password-auth\npassword include password-auth\n"),
    ("etc/pam.d/passwd", "password substack system-auth\n"),
    (
        "etc/pam.d/su",
        "auth sufficient pam_rootok.so\n#auth required pam_wheel.so\nauth required pam_wheel.so use_uid\n",
    ),
    (
        "etc/authselect/password-auth",
        "auth required pam_faillock.so preauth silent deny=4\nauth sufficient pam_unix.so\nauth required pam_deny.so\n",
    ),
    (
        "etc/authselect/system-auth",
        "password requisite pam_pwquality.so local_users_only minlen=14\n\
         password requisite pam_pwhistory.so use_authtok\npassword sufficient pam_unix.so sha512 shadow use_authtok\n",
    ),
    ("etc/security/faillock.conf", "# deny = 3\ndeny = 9\nunlock_time=0\neven_deny_root\n"),
    ("etc/security/pwquality.conf", "minlen = 8\nminclass = 3 # classes\n"),
    ("etc/security/pwquality.conf.d/10-site.conf", "minclass=4\ndcredit = -1\n"),
    ("etc/security/pwhistory.conf", "remember = 5\n"),
];

#[test]
fn an_argument_is_stronger_than_a_file_and_the_source_says_which_it_was() {
    let (dir, host) = host(RHEL);
    for name in ["password-auth", "system-auth"] {
        std::os::unix::fs::symlink(
            format!("/etc/authselect/{name}"),
            dir.path().join("etc/pam.d").join(name),
        )
        .unwrap();
    }
    let host = host.limited_to(crate::host::ReadList::new(READS));
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    let (sshd, passwd) = (Some("sshd"), Some("passwd"));
    assert_eq!(said(&rows, "pam.lockout.module", sshd), "pam_faillock");
    assert_eq!(said(&rows, "pam.lockout.deny", sshd), "4");
    assert_eq!(find(&rows, "pam.lockout.deny", sshd).source, "etc/pam.d/password-auth");
    assert_eq!(said(&rows, "pam.lockout.unlock_time", sshd), "0");
    assert_eq!(said(&rows, "pam.lockout.fail_interval", sshd), "900");
    assert_eq!(said(&rows, "pam.lockout.even_deny_root", sshd), "true");
    assert_eq!(said(&rows, "pam.nullok", sshd), "false");
    assert_eq!(said(&rows, "pam.quality.minlen", passwd), "14");
    assert_eq!(said(&rows, "pam.quality.minclass", passwd), "3", "the main file comes last");
    assert_eq!(
        find(&rows, "pam.quality.dcredit", passwd).source,
        "etc/security/pwquality.conf.d/10-site.conf"
    );
    assert_eq!(said(&rows, "pam.quality.ucredit", passwd), "absent");
    assert_eq!(said(&rows, "pam.hash", passwd), "sha512");
    assert_eq!(said(&rows, "pam.remember", passwd), "5");
    assert_eq!(said(&rows, "pam.wheel", Some("su")), "required use_uid");
    assert_eq!(
        said(&rows, "pam.stack", sshd),
        "auth required pam_faillock;auth sufficient pam_unix;auth required pam_deny"
    );
}

#[test]
fn debians_stacks_have_no_lockout_and_take_the_method_from_login_defs() {
    let (rows, faults) = facts(&[
        ("etc/pam.d/login", "auth optional pam_faildelay.so delay=3000000\n@include common-auth\n"),
        (
            "etc/pam.d/common-auth",
            "auth\t[success=1 default=ignore]\tpam_unix.so nullok\nauth requisite pam_deny.so\n",
        ),
        ("etc/pam.d/passwd", "@include common-password\n"),
        ("etc/pam.d/common-password", "password [success=1 default=ignore] pam_unix.so obscure\n"),
        (
            "etc/login.defs",
            "ENCRYPT_METHOD SHA512\nPASS_MAX_DAYS\t99999\nUMASK 022\nFAILLOG_ENAB yes\n#LOGIN_RETRIES 5\n",
        ),
    ]);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(said(&rows, "pam.nullok", Some("login")), "true");
    assert_eq!(find(&rows, "pam.nullok", Some("login")).source, "etc/pam.d/common-auth");
    assert_eq!(said(&rows, "pam.lockout.module", Some("login")), "absent");
    assert_eq!(said(&rows, "pam.quality.module", Some("passwd")), "absent");
    assert_eq!(said(&rows, "pam.hash", Some("passwd")), "sha512");
    assert_eq!(find(&rows, "pam.hash", Some("passwd")).source, "etc/login.defs");
    assert_eq!(said(&rows, "pam.remember", Some("passwd")), "absent");
    assert_eq!(said(&rows, "login_defs.pass_max_days", None), "99999");
    assert_eq!(said(&rows, "login_defs.umask", None), "022");
    assert_eq!(said(&rows, "login_defs.faillog_enab", None), "true");
    assert_eq!(said(&rows, "login_defs.login_retries", None), "absent");
}

#[test]
fn arguments_of_modules_that_are_not_known_stay_here() {
    let (rows, _) = facts(&[("etc/pam.d/sshd", "auth required pam_mysql.so user=a passwd=SECRET\n")]);
    assert_eq!(said(&rows, "pam.stack", Some("sshd")), "auth required pam_mysql");
    assert!(!format!("{rows:?}").contains("SECRET"));
}

#[test]
fn a_stack_that_cannot_be_read_is_not_one_without_lockout() {
    let (rows, faults) = facts(&[("etc/pam.d/sshd", "auth include /srv/pam/x\n"), ("srv/pam/x", "")]);
    assert_eq!(faults, ["srv/pam/x: /srv/pam/x is not on the agent's read list"]);
    assert_eq!(said(&rows, "pam.lockout.module", Some("sshd")), "error");
    assert_eq!(said(&rows, "pam.nullok", Some("sshd")), "error");
}
