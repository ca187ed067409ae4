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
    looked(root).0
}

/// The facts and the reasons why there are not more.
fn looked(root: &Path) -> (Vec<HardeningRow>, Vec<String>) {
    let agent = Agent { version: "0.0.0-test".into(), digest: None, config_digest: None };
    let budget = Budget::measured_by(Duration::MAX, || Duration::ZERO);
    let snapshot = scan::take(&Host::captured(root, agent), &[SectionKind::Hardening], &budget);
    let section = snapshot.section(SectionKind::Hardening).unwrap();
    let rows = section.rows.as_slice().iter().map(|it| HardeningRow::decode(it.as_slice()).unwrap());
    (rows.collect(), section.reasons.clone())
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

// ---------------------------------------------------------------------------------------- sudo

/// Policies that are in order; the second part is `sudoers.d/part`.
const SUDOERS: &[(&str, &str)] = &[
    ("", ""),
    (
        "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir {ROOT}/etc/sudoers.d\n",
        "op ALL=(root) NOPASSWD: ALL\n",
    ),
    ("#include {ROOT}/etc/sudoers.d/part\nx ALL = /bin/x\n", "y ALL = /bin/y\n"),
    ("User_Alias OPS = anna, ben : HELP = eva\nOPS, HELP ALL = NOPASSWD: /bin/a, PASSWD: /bin/b\n", ""),
    (
        "Cmnd_Alias NET = /sbin/ip, \\\n  /sbin/ss -t \\, x, !/sbin/ip link\nop ALL = (root) NOPASSWD: NET\n",
        "",
    ),
    (
        "Host_Alias HMI = hmi1, 10.0.0.0/8, fe80::1 : SRV = srv\nop HMI = /bin/a : SRV = /bin/b, (op:op) /bin/c\n",
        "",
    ),
    ("#1000, %#20, \"%domain users\", +net ALL = sudoedit /etc/x # comment\n", ""),
    (
        "op ALL = NOPASSWD: SETENV: sha224:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA== /bin/true, ^/bin/[a,b]+$ x\n",
        "",
    ),
    ("op ALL = (a, b) /bin/x a\\:b c\\=d \"\", NOEXEC: NOPASSWD: /usr/bin/vi *\n", ""),
    ("ALL, !guest ALL, !srv = ALL, !/bin/su\n", ""),
    (
        "Runas_Alias DB = pg, my\nop ALL = (DB) NOPASSWD: /opt/, EXEC: PASSWD: list\nCmnd_Alias A = B\nCmnd_Alias B = /b\nz ALL = A\n",
        "",
    ),
    ("  op\tALL=\\\n\t(ALL)\\\n NOPASSWD:ALL\n# a comment \\\ng ALL = ALL\n", ""),
    ("op ALL = ( : adm) /bin/x, () /bin/y\n", ""),
];

/// Policies that sudo refuses, and ones that it takes, beside those above.
const SYNTAX: &[&str] = &[
    "op ALL = NOPASSWD ALL\n",
    "op\n",
    "op ALL\n",
    "op ALL =\n",
    "op ALL = bin/x\n",
    "op ALL = (root /bin/x\n",
    "User_Alias lower = x\n",
    "User_Alias A\n",
    "Defaults\n",
    "Defaults env_reset,\n",
    "Defaults env_keep += \"A B\", !env_reset, timestamp_timeout=-1\n",
    "Defaults:op !authenticate\nDefaults@hmi use_pty\nDefaults!/bin/ls noexec\nDefaults>root !lecture\n",
    "Defaults secure_path=\"/bin:/sbin\"\nDefaults badpass_message = \"no, really\"\n",
    "op ALL = CWD=/tmp TIMEOUT=1h NOPASSWD: /bin/true\n",
    "op ALL = NOTBEFORE=20300101000000Z ROLE=a /bin/true # x\n",
    "op ALL, = ALL\n",
    "op ALL = ALL : \n",
    "op ALL = ALL,\n",
    "= ALL\n",
    "\"op ALL = ALL\n",
    "op ALL = /bin/x : y\n",
    "op ALL = sha256:xyz /bin/x\n",
];

#[test]
fn sudo_says_the_same_about_every_policy() {
    for (main, part) in SUDOERS {
        let dir = tempfile::tempdir().unwrap();
        let real = policy(dir.path(), main, part);
        let Some(output) = run("cvtsudoers", &["-e", "-f", "json", real.to_str().unwrap()]) else { return };
        assert!(output.status.success(), "{main:?}: {}", String::from_utf8_lossy(&output.stderr));
        let (facts, reasons) = looked(dir.path());
        assert!(reasons.is_empty(), "{main:?}: {reasons:?}");
        let row = facts.iter().find(|it| it.id == "sudo.rules").unwrap();
        let Some(Value::List(ours)) = &row.value else { panic!("{row:?}") };
        let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!(ours.items, rules(&theirs), "{main:?}");
    }
}

#[test]
fn sudo_refuses_the_same_lines() {
    let mut differ = Vec::new();
    for text in SYNTAX {
        let dir = tempfile::tempdir().unwrap();
        let real = policy(dir.path(), text, "");
        let Some(output) = run("visudo", &["-c", "-f", real.to_str().unwrap()]) else { return };
        let reasons = looked(dir.path()).1;
        if reasons.is_empty() != output.status.success() {
            differ.push(format!("{text:?}: {reasons:?}, but {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

fn policy(root: &Path, main: &str, part: &str) -> std::path::PathBuf {
    write(root, "usr/bin/sudo", "");
    write(root, "etc/sudoers.d/part", part);
    write(root, "etc/sudoers.d/ignored.by-its-name", "nonsense");
    write(root, "etc/sudoers", &main.replace("{ROOT}", ""));
    write(root, "real", &main.replace("{ROOT}", root.to_str().unwrap()));
    root.join("real")
}

/// The rules of `cvtsudoers` in the words of the fact.
fn rules(policy: &serde_json::Value) -> Vec<String> {
    let mut rules = Vec::new();
    for rule in array(&policy["User_Specs"]) {
        let hosts = names(&rule["Host_List"], "%");
        let hosts = if hosts == "ALL" { String::new() } else { format!(" on {hosts}") };
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for spec in array(&rule["Cmnd_Specs"]) {
            let has = |name: &str, value: bool| array(&spec["Options"]).any(|it| it[name] == value);
            let runas = match (names(&spec["runasusers"], "%"), names(&spec["runasgroups"], "")) {
                _ if spec["runasusers"].is_null() && spec["runasgroups"].is_null() => String::new(),
                (users, groups) if groups.is_empty() => format!(" as ({users})"),
                (users, groups) => format!(" as ({users}:{groups})"),
            };
            for command in array(&spec["Commands"]) {
                let digest = command["sha224"].as_str().map(|it| format!("sha224:{it} ")).unwrap_or_default();
                let negation = if command["negated"] == true { "!" } else { "" };
                let nopasswd = if has("authenticate", false) { "NOPASSWD: " } else { "" };
                let noexec = if has("noexec", true) { "NOEXEC: " } else { "" };
                let text = command["command"].as_str().unwrap();
                let said = format!("{nopasswd}{noexec}{negation}{digest}{text}");
                match groups.last_mut().filter(|it| it.0 == runas) {
                    Some((_, commands)) => commands.push(said),
                    None => groups.push((runas.clone(), vec![said])),
                }
            }
        }
        for user in array(&rule["User_List"]).filter(|it| it["negated"] != true) {
            for (runas, commands) in &groups {
                rules.push(format!("{}{hosts}{runas}: {}", name(user, "%"), commands.join(", ")));
            }
        }
    }
    rules
}

fn array(value: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    value.as_array().into_iter().flatten()
}

fn names(list: &serde_json::Value, group: &str) -> String {
    let names: Vec<String> = array(list)
        .map(|it| format!("{}{}", if it["negated"] == true { "!" } else { "" }, name(it, group)))
        .collect();
    names.join(", ")
}

fn name(member: &serde_json::Value, group: &str) -> String {
    let marks = [
        ("username", ""),
        ("userid", "#"),
        ("usergroup", group),
        ("usergid", "%#"),
        ("netgroup", "+"),
        ("hostname", ""),
        ("networkaddr", ""),
        ("useralias", ""),
        ("runasalias", ""),
    ];
    let (mark, value) = marks.iter().find_map(|it| member.get(it.0).map(|value| (it.1, value))).unwrap();
    format!("{mark}{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

// ----------------------------------------------------------------------------------------- apt

/// `apt.conf.d/20a`, `apt.conf.d/50b.conf` and `apt.conf`.
const APT: &[(&str, &str, &str)] = &[
    ("", "", ""),
    ("APT::Periodic::Unattended-Upgrade \"1\";\n", "apt::periodic::unattended-upgrade \"0\";\n", ""),
    (
        "APT { Periodic { Update-Package-Lists \"1\"; Download-Upgradeable-Packages 3; }; };\n",
        "Unattended-Upgrade::Allowed-Origins { \"a:b\"; \"c//d\"; };\n",
        "Unattended-Upgrade::Allowed-Origins { \"e\"; };\nAPT::Periodic::Enable \"0\";\n",
    ),
    (
        "// x\n# y\n/* z\n \"q */ Unattended-Upgrade::Automatic-Reboot \"true\"; // t\n",
        "Unattended-Upgrade::Package-Blacklist:: \"one\"; Unattended-Upgrade::Package-Blacklist:: \"two\";\n",
        "Unattended-Upgrade::Automatic-Reboot-Time \"02:00\";\n",
    ),
    (
        "Unattended-Upgrade { Allowed-Origins { \"a\"; \"b\"; }; Automatic-Reboot \"true\"; };\n",
        "#clear Unattended-Upgrade::Allowed-Origins;\nUnattended-Upgrade::Allowed-Origins { \"c\"; };\n",
        "#clear Unattended-Upgrade::Automatic-Reboot;\n",
    ),
    (
        "APT::Get::AllowUnauthenticated \"true\";Acquire{AllowInsecureRepositories \"1\";}\n",
        "APT\n{\n  Periodic\n  {\n    Unattended-Upgrade\n      \"always\";\n  }\n}\n",
        "Acquire::AllowWeakRepositories yes;\n",
    ),
];

/// Fact, setting, and what the fact says when nothing is set.
const APT_SETTINGS: &[(&str, &str, &str)] = &[
    ("updates.apt.enable", "APT::Periodic::Enable", "1"),
    ("updates.apt.update_package_lists", "APT::Periodic::Update-Package-Lists", "0"),
    ("updates.apt.download_upgradeable", "APT::Periodic::Download-Upgradeable-Packages", "0"),
    ("updates.apt.unattended_upgrade", "APT::Periodic::Unattended-Upgrade", "0"),
    ("updates.apt.automatic_reboot", "Unattended-Upgrade::Automatic-Reboot", "false"),
    ("updates.apt.automatic_reboot_time", "Unattended-Upgrade::Automatic-Reboot-Time", "now"),
    ("updates.apt.allowed_origins", "Unattended-Upgrade::Allowed-Origins", ""),
    ("updates.apt.package_blacklist", "Unattended-Upgrade::Package-Blacklist", ""),
    ("repositories.apt.allow_unauthenticated", "APT::Get::AllowUnauthenticated", "false"),
    ("repositories.apt.allow_insecure", "Acquire::AllowInsecureRepositories", "false"),
    ("repositories.apt.allow_weak", "Acquire::AllowWeakRepositories", "false"),
];

#[test]
fn apt_says_the_same_about_every_configuration() {
    for (first, second, main) in APT {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for path in ["usr/bin/apt-get", "usr/bin/unattended-upgrade"] {
            write(root, path, "");
        }
        write(root, "etc/apt/apt.conf.d/20a", first);
        write(root, "etc/apt/apt.conf.d/50b.conf", second);
        write(root, "etc/apt/apt.conf.d/60c.conf.dpkg-old", "nonsense {");
        write(root, "etc/apt/apt.conf", main);
        write(root, "start", &format!("Dir \"{}\";\n", root.display()));
        let start = root.join("start");
        let Some(output) = run("env", &[&format!("APT_CONFIG={}", start.display()), "apt-config", "dump"])
        else {
            return;
        };
        if output.stdout.is_empty() {
            println!("left out: apt-config is not here");
            return;
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (facts, reasons) = looked(root);
        assert!(reasons.is_empty(), "{reasons:?}");
        for (fact, setting, default) in APT_SETTINGS {
            let values = said.lines().filter_map(|line| {
                let (name, value) = line.split_once(' ')?;
                let is_it = name.trim_end_matches("::").eq_ignore_ascii_case(setting);
                is_it.then(|| value.trim_matches(['"', ';']).to_owned())
            });
            let theirs = values.filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
            let ours = value(&facts, fact, None).unwrap();
            let theirs = match theirs.as_str() {
                "" => (*default).to_owned(),
                "1" | "yes" if ours == "true" => ours.clone(),
                "0" | "no" if ours == "false" => ours.clone(),
                _ => theirs,
            };
            assert_eq!(ours, theirs, "{setting} of {first:?} {second:?} {main:?}");
        }
    }
}

// ---------------------------------------------------------------------------------------- keys

#[test]
fn ssh_keygen_prints_the_same_fingerprints() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = String::new();
    let mut theirs = Vec::new();
    for (kind, bits) in [("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "384")] {
        let key = dir.path().join(kind);
        let key = key.to_str().unwrap();
        let made = run("ssh-keygen", &["-q", "-t", kind, "-b", bits, "-N", "", "-f", key]);
        if made.is_none() {
            return;
        }
        let public = fs::read_to_string(format!("{key}.pub")).unwrap();
        let said = run("ssh-keygen", &["-l", "-f", &format!("{key}.pub")]).unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let words: Vec<&str> = said.split(' ').collect();
        let bits = if kind == "rsa" { format!(" {}", words[0]) } else { String::new() };
        theirs.push(format!("{}{bits} {}", public.split(' ').next().unwrap(), words[1]));
        all.push_str(&public);
    }
    write(dir.path(), "etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    write(dir.path(), "root/.ssh/authorized_keys", &all);
    let facts = facts(dir.path());
    let row = facts.iter().find(|it| it.id == "ssh.authorized_keys").unwrap();
    let Some(Value::List(ours)) = &row.value else { panic!("{row:?}") };
    assert_eq!(ours.items, theirs);
}
