//! Facts about who gets in, held against the programs that decide it: `sshd -T`, `cvtsudoers`, `apt-config`.
//!
//! A comparison is left out where its program is not installed; each says so.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops, and says what it leaves out"
)]
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use holdpoint_agent::host::{Agent, Host};
use holdpoint_agent::scan::{self, Budget};
use holdpoint_common::row::hardening_row::Value;
use holdpoint_common::row::{HardeningRow, SectionKind};
use prost::Message;

/// Runs a program; `None` when it is not here.
#[expect(clippy::disallowed_methods, reason = "the agent starts nothing; its test asks the real program")]
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match std::process::Command::new(program).args(arguments).env("LC_ALL", "C").output() {
        Ok(output) => Some(output),
        Err(_) => {
            println!("left out: {program} is not here");
            None
        }
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn facts(root: &Path) -> Vec<HardeningRow> {
    let agent = Agent { version: "0.0.0-test".into(), digest: None, config_digest: None };
    let budget = Budget::measured_by(Duration::MAX, || Duration::ZERO);
    let snapshot = scan::take(&Host::captured(root, agent), &[SectionKind::Hardening], &budget);
    let section = snapshot.section(SectionKind::Hardening).unwrap();
    section.rows.as_slice().iter().map(|it| HardeningRow::decode(it.as_slice()).unwrap()).collect()
}

/// The value of a fact as text, list items separated by blanks; its absence is an empty text.
fn value(facts: &[HardeningRow], id: &str, subject: Option<&str>) -> Option<String> {
    let row = facts.iter().find(|it| it.id == id && it.subject.as_deref() == subject)?;
    assert!(row.state == "observed" || row.state == "absent", "{row:?}");
    Some(match &row.value {
        Some(Value::Flag(it)) => it.to_string(),
        Some(Value::Number(it)) => it.to_string(),
        Some(Value::Text(it)) => it.clone(),
        Some(Value::List(it)) => it.items.join(" "),
        None => String::new(),
    })
}

// ---------------------------------------------------------------------------------------- sshd

/// Fact, and the keyword of `sshd -T`.
const SSHD: &[(&str, &str)] = &[
    ("permit_root_login", "permitrootlogin"),
    ("password_authentication", "passwordauthentication"),
    ("kbd_interactive_authentication", "kbdinteractiveauthentication"),
    ("pubkey_authentication", "pubkeyauthentication"),
    ("permit_empty_passwords", "permitemptypasswords"),
    ("allow_users", "allowusers"),
    ("allow_groups", "allowgroups"),
    ("deny_users", "denyusers"),
    ("deny_groups", "denygroups"),
    ("authentication_methods", "authenticationmethods"),
    ("x11_forwarding", "x11forwarding"),
    ("allow_tcp_forwarding", "allowtcpforwarding"),
    ("allow_agent_forwarding", "allowagentforwarding"),
    ("max_auth_tries", "maxauthtries"),
    ("login_grace_time", "logingracetime"),
    ("client_alive_interval", "clientaliveinterval"),
    ("client_alive_count_max", "clientalivecountmax"),
    ("use_pam", "usepam"),
    ("log_level", "loglevel"),
    ("port", "port"),
    ("authorized_keys_file", "authorizedkeysfile"),
    ("gateway_ports", "gatewayports"),
    ("permit_tunnel", "permittunnel"),
    ("permit_user_environment", "permituserenvironment"),
    ("strict_modes", "strictmodes"),
    ("host_based_authentication", "hostbasedauthentication"),
    ("ignore_rhosts", "ignorerhosts"),
    ("banner", "banner"),
    ("ciphers", "ciphers"),
    ("macs", "macs"),
    ("kex_algorithms", "kexalgorithms"),
    ("trusted_user_ca_keys", "trustedusercakeys"),
    ("subsystem_sftp", "subsystem"),
];

/// Configurations; `{ROOT}` is where the files lie. A second part is an included file.
const SSHD_CONFIGS: &[(&str, &str)] = &[
    ("", ""),
    ("PermitRootLogin without-password\nPasswordAuthentication no\nUsePAM yes\n", ""),
    ("permitrootlogin=forced-commands-only\nPORT = 2222\nPort 22\nLoginGraceTime 1m30s\n", ""),
    (
        "Include {ROOT}/etc/ssh/sshd_config.d/*.conf\nPermitRootLogin yes\nX11Forwarding no\n",
        "PermitRootLogin no\nX11Forwarding yes\n",
    ),
    (
        "PermitRootLogin yes\nInclude {ROOT}/etc/ssh/sshd_config.d/*.conf\n",
        "PermitRootLogin no\nMatch User a\nMaxAuthTries 2\n",
    ),
    (
        "AllowUsers a b\nAllowUsers \"c\" d@10.0.0.1\nDenyGroups x y # why\nAllowGroups wheel\nDenyUsers z\n",
        "",
    ),
    ("ChallengeResponseAuthentication no\nKbdInteractiveAuthentication yes\n", ""),
    ("KbdInteractiveAuthentication no\nPubkeyAuthentication no\nPermitEmptyPasswords yes\n", ""),
    ("AuthenticationMethods publickey,password publickey,keyboard-interactive\nUsePAM yes\n", ""),
    (
        "AllowTcpForwarding all\nGatewayPorts clientspecified\nPermitTunnel point-to-point\nIgnoreRhosts shosts-only\n",
        "",
    ),
    (
        "AllowTcpForwarding LOCAL\nLogLevel verbose\nStrictModes no\nHostbasedAuthentication yes\nBanner /etc/issue.net\n",
        "",
    ),
    ("ClientAliveInterval 5m\nClientAliveCountMax 0\nMaxAuthTries 3\nLoginGraceTime 0\n", ""),
    (
        "AuthorizedKeysFile /etc/keys/%u .ssh/authorized_keys\nPermitUserEnvironment LANG,LC_*\nAllowAgentForwarding no\n",
        "",
    ),
    ("Ciphers aes256-gcm@openssh.com,aes128-ctr\nMACs hmac-sha2-512\nKexAlgorithms curve25519-sha256\n", ""),
    ("Subsystem sftp internal-sftp -l INFO\nTrustedUserCAKeys /etc/ssh/ca.pub\n", ""),
    ("\t PasswordAuthentication\tno  \r\n\n#PermitRootLogin yes\nBanner \"/etc/a b\"\n", ""),
    (
        "Include {ROOT}/etc/ssh/sshd_config.d/[0-9]?-*.conf {ROOT}/etc/ssh/none.conf\nPort 1\n",
        "Port 2\nBanner none\n",
    ),
    ("Match all\nX11Forwarding yes\n", ""),
];

#[test]
fn sshd_says_the_same_about_every_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let Some(_) = run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()]) else {
        return;
    };
    // Where the daemon is not run by a service manager nobody has made it yet.
    let _ = fs::create_dir("/run/sshd");
    for (config, included) in SSHD_CONFIGS {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "etc/ssh/sshd_config.d/10-x.conf", included);
        write(root, "etc/ssh/sshd_config", &config.replace("{ROOT}", ""));
        write(root, "real", &config.replace("{ROOT}", root.to_str().unwrap()));
        fs::create_dir_all(root.join("usr/sbin")).unwrap();
        let real = root.join("real");
        let host_key = format!("HostKey={}", key.display());
        let Some(output) = run("/usr/sbin/sshd", &["-T", "-f", real.to_str().unwrap(), "-o", &host_key])
        else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{config:?}: {}", String::from_utf8_lossy(&output.stderr));
        fs::copy("/usr/sbin/sshd", root.join("usr/sbin/sshd")).unwrap();
        compare(config, &facts(root), &said, None);
    }
}

fn compare(config: &str, facts: &[HardeningRow], said: &str, subject: Option<&str>) {
    let mut real: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in said.lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        real.entry(keyword).or_default().push(value);
    }
    for (fact, keyword) in SSHD {
        let Some(mut ours) = value(facts, &format!("sshd.{fact}"), subject) else {
            assert!(subject.is_some(), "no fact {fact}");
            continue;
        };
        let mut theirs = real.get(keyword).map(|it| it.join(" ")).unwrap_or_default();
        match ours.as_str() {
            "true" => "yes".clone_into(&mut ours),
            "false" => "no".clone_into(&mut ours),
            _ => {}
        }
        match *fact {
            // Its old name is what is printed.
            "permit_root_login" => theirs = theirs.replace("without-password", "prohibit-password"),
            "subsystem_sftp" if !ours.is_empty() => ours = format!("sftp {ours}"),
            // What is not set is the version's own list, and no fact.
            "ciphers" | "macs" | "kex_algorithms" if ours.is_empty() => continue,
            "trusted_user_ca_keys" if ours.is_empty() => "none".clone_into(&mut ours),
            _ => {}
        }
        assert_eq!(ours, theirs, "{keyword} of {config:?} {subject:?}");
    }
}

#[test]
fn sshd_says_the_same_about_what_a_block_sets() {
    let config = "PermitRootLogin no\nMaxAuthTries 5\n\
        Match User op Address 10.0.0.0/8\n PasswordAuthentication no\n MaxAuthTries 2\n AllowTcpForwarding remote\n\
        Match Group none User guest\n PermitRootLogin yes\n\
        Match User guest\n PermitRootLogin forced-commands-only\n X11Forwarding yes\n Banner /etc/guest\n";
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    if run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()]).is_none() {
        return;
    }
    let _ = fs::create_dir("/run/sshd");
    write(dir.path(), "etc/ssh/sshd_config", config);
    write(dir.path(), "usr/sbin/sshd", "OpenSSH_9.2");
    let facts = facts(dir.path());
    let real = dir.path().join("etc/ssh/sshd_config");
    let host_key = format!("HostKey={}", key.display());
    for (user, block) in [("op", "User op Address 10.0.0.0/8"), ("guest", "User guest")] {
        let who = format!("user={user},host=h,addr=10.1.2.3");
        let arguments = ["-T", "-f", real.to_str().unwrap(), "-o", &host_key, "-C", &who];
        let Some(output) = run("/usr/sbin/sshd", &arguments) else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(value(&facts, "sshd.permit_root_login", Some(block)).is_some() || user == "op");
        compare(config, &facts, &String::from_utf8_lossy(&output.stdout), Some(block));
    }
}
