//! L18: daemons that speak in clear text or trust whoever asks.
//!
//! Sources of truth: unit files and the links that start them (sockets too, which are no services), `etc/xinetd.d`,
//! `etc/inetd.conf`; the communities of `snmpd.conf`, which only root may read; `etc/exports`; files that let
//! whole hosts in. A community is a password: it is counted, and told apart only from the two that everybody knows.
//!
//! Absence: a list is empty where none is there. SNMP and NFS have facts where they are configured.
//!
//! Known lies: a daemon that is started by hand, or under another name, is not seen here but in
//! `listeners`; what an SNMP daemon keeps in its own state (`var/lib/snmp`) is not read.

use std::collections::BTreeSet;

use holdpoint_common::row::HardeningRow;

use super::files::{self, Found};
use crate::host::{EntryKind, Reads, is_absent};
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("etc/systemd/system"),
    Reads::content("etc/systemd/system/*.wants"),
    Reads::content("etc/systemd/system/*.requires"),
    Reads::content("usr/lib/systemd/system"),
    Reads::content("lib/systemd/system"),
    Reads::content("etc/init.d"),
    Reads::content("etc/rc.d/init.d"),
    Reads::content("etc/rc3.d"),
    Reads::content("etc/rc.d/rc3.d"),
    Reads::content("etc/xinetd.conf"),
    Reads::content("etc/xinetd.d/*"),
    Reads::content("etc/inetd.conf"),
    Reads::content("etc/inetd.d/*"),
    Reads::content("etc/snmp/snmpd.conf"),
    Reads::content("etc/snmp/snmpd.local.conf"),
    Reads::content("etc/snmp/snmpd.conf.d/*.conf"),
    Reads::content("etc/snmp/snmptrapd.conf"),
    Reads::content("etc/exports"),
    Reads::content("etc/exports.d/*.exports"),
    Reads::metadata("etc/hosts.equiv"),
    Reads::metadata("etc/shosts.equiv"),
    Reads::metadata("etc/ssh/shosts.equiv"),
    Reads::metadata("root/.rhosts"),
    Reads::metadata("root/.shosts"),
];

const CHECKS: &[&str] = &["L18"];
const UNITS: &str = "etc/systemd/system";
const MAX_UNITS: usize = 16_384;

/// Names of units and of scripts of `init.d`, without `.service`, `.socket` or `@`.
const DAEMONS: [&str; 42] = [
    "atftpd",
    "bootparamd",
    "chargen-dgram",
    "chargen-stream",
    "daytime-dgram",
    "daytime-stream",
    "discard-dgram",
    "discard-stream",
    "echo-dgram",
    "echo-stream",
    "finger",
    "fingerd",
    "ftpd",
    "inetd",
    "inetutils-inetd",
    "ncpfs",
    "nfs-kernel-server",
    "nfs-server",
    "nis",
    "ntalk",
    "openbsd-inetd",
    "proftpd",
    "pure-ftpd",
    "rexec",
    "rlogin",
    "rpcbind",
    "rsh",
    "rsyncd",
    "rwhod",
    "snmpd",
    "snmptrapd",
    "talk",
    "telnet",
    "telnetd",
    "tftp",
    "tftpd",
    "tftpd-hpa",
    "vsftpd",
    "xinetd",
    "ypbind",
    "ypserv",
    "yppasswdd",
];
/// Files that let users of other hosts in without a password.
const TRUSTING: [&str; 5] =
    ["etc/hosts.equiv", "etc/shosts.equiv", "etc/ssh/shosts.equiv", "root/.rhosts", "root/.shosts"];

/// Reads which of them there are, which start, and how two of them are set.
pub fn probe(look: &mut Look<'_>) -> Reading {
    if !files::is_a_system(look) {
        return look.missing("etc is not there");
    }
    let mut rows = Vec::new();
    units(look, &mut rows);
    rows.push(xinetd(look));
    rows.push(inetd(look));
    snmp(look, &mut rows);
    exports(look, &mut rows);
    let mut trusting = Vec::new();
    for path in TRUSTING {
        match files::exists(look, path) {
            Some(true) => trusting.push(path.to_owned()),
            Some(false) => {}
            None => return Reading::of(&rows),
        }
    }
    rows.push(fact("trusting_files", "etc/hosts.equiv").list(trusting));
    Reading::of(&rows)
}

fn fact(id: &str, source: &str) -> Fact {
    Fact::new(&format!("legacy.{id}"), CHECKS, source)
}

fn is_daemon(name: &str) -> bool {
    let name = name.strip_suffix(".service").or_else(|| name.strip_suffix(".socket")).unwrap_or(name);
    DAEMONS.contains(&name.split('@').next().unwrap_or_default())
}

fn units(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    let mut present = BTreeSet::new();
    let mut started = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut gap = None;
    for directory in [UNITS, "usr/lib/systemd/system", "lib/systemd/system", "etc/init.d"] {
        // With a merged /usr two names lead to one directory.
        if look.host.root.canonical(directory).is_ok_and(|it| !seen.insert(it)) {
            continue;
        }
        let result = look.in_time().and_then(|()| look.host.root.list(directory, MAX_UNITS));
        if result.as_ref().is_err_and(|it| !is_absent(it)) {
            gap.get_or_insert(directory);
        }
        let Some(listing) = look.note(directory, result) else { continue };
        for entry in &listing.entries {
            if directory == UNITS && (entry.name.ends_with(".wants") || entry.name.ends_with(".requires")) {
                // Enabled is what is linked; the content of a link does not matter here.
                match files::names(look, &format!("{directory}/{}", entry.name), is_daemon) {
                    Ok(names) => started.extend(names),
                    Err(_) => gap = Some(directory),
                }
            } else if entry.kind != EntryKind::Directory && is_daemon(&entry.name) {
                present.insert(entry.name.clone());
            }
        }
    }
    for directory in ["etc/rc3.d", "etc/rc.d/rc3.d"] {
        match files::names(look, directory, |it| script_of(it).is_some_and(is_daemon)) {
            Ok(names) => started.extend(names.iter().filter_map(|it| script_of(it)).map(str::to_owned)),
            Err(_) => gap = Some(directory),
        }
    }
    for (id, names) in [("daemons", present), ("daemons_enabled", started)] {
        let fact = fact(id, UNITS);
        rows.push(match gap {
            // An empty list would be a claim.
            Some(gap) if names.is_empty() => fact.because(format!("{gap} could not be listed")).error(),
            Some(gap) => fact.because(format!("there may be more: {gap} could not be listed")).list(names),
            None => fact.list(names),
        });
    }
}

/// The script that a link of a runlevel starts: "S20snmpd".
fn script_of(link: &str) -> Option<&str> {
    link.strip_prefix('S').map(|it| it.trim_start_matches(|it: char| it.is_ascii_digit()))
}

/// Services of xinetd that are not disabled: `service NAME { ... disable = no ... }`.
fn xinetd(look: &mut Look<'_>) -> HardeningRow {
    const MAIN: &str = "etc/xinetd.conf";
    const PARTS: &str = "etc/xinetd.d";
    let mut all = vec![(MAIN.to_owned(), files::read(look, MAIN))];
    all.extend(files::read_all(look, PARTS, |it| !it.contains('.') && !it.ends_with('~')));
    let mut enabled = BTreeSet::new();
    let mut disabled: BTreeSet<String> = BTreeSet::new();
    let mut only: Option<BTreeSet<String>> = None;
    for (path, found) in all {
        let text = match &found {
            Found::Text(text) => text,
            Found::Absent => continue,
            gap @ (Found::Denied | Found::Broken(_)) => return gap.unanswered(fact("xinetd", &path)),
        };
        let mut name: Option<String> = None;
        let mut is_disabled = false;
        for line in text.lines().map(str::trim).filter(|it| !it.starts_with('#')) {
            if let Some(service) = line.strip_prefix("service ") {
                name = Some(service.trim().trim_end_matches('{').trim().to_owned());
                is_disabled = false;
            } else if line == "defaults" {
                name = None;
            } else if line.starts_with('}') {
                if let Some(name) = name.take().filter(|_| !is_disabled) {
                    enabled.insert(name);
                }
            } else if let Some((key, value)) = line.split_once('=') {
                let value = value.trim();
                let words = || value.split_whitespace().map(str::to_owned);
                match key.trim().trim_end_matches('+').trim() {
                    "disable" => is_disabled = value == "yes",
                    "disabled" => disabled.extend(words()),
                    "enabled" => only.get_or_insert_default().extend(words()),
                    _ => {}
                }
            }
        }
    }
    let is_on = |it: &String| !disabled.contains(it) && only.as_ref().is_none_or(|only| only.contains(it));
    fact("xinetd", PARTS).list(enabled.into_iter().filter(is_on))
}

/// Services of inetd: `NAME TYPE PROTOCOL ...`.
fn inetd(look: &mut Look<'_>) -> HardeningRow {
    const MAIN: &str = "etc/inetd.conf";
    let mut all = vec![(MAIN.to_owned(), files::read(look, MAIN))];
    all.extend(files::read_all(look, "etc/inetd.d", |it| !it.starts_with('.')));
    let mut services = Vec::new();
    for (path, found) in all {
        match &found {
            Found::Text(text) => {
                for line in text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')) {
                    let mut words = line.split_whitespace();
                    if let (Some(name), Some(_), Some(protocol)) = (words.next(), words.next(), words.next())
                    {
                        services.push(format!("{name}/{protocol}"));
                    }
                }
            }
            Found::Absent => {}
            gap @ (Found::Denied | Found::Broken(_)) => return gap.unanswered(fact("inetd", &path)),
        }
    }
    fact("inetd", MAIN).list(services)
}

/// Communities of SNMP 1 and 2c.
#[derive(Debug, Default, PartialEq, Eq)]
struct Communities {
    read: i64,
    write: i64,
    well_known: BTreeSet<&'static str>,
}

impl Communities {
    fn add(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with('#') {
            return;
        }
        let mut words = line.split_whitespace();
        let Some(directive) = words.next() else { return };
        let (community, writes) = match directive.to_ascii_lowercase().as_str() {
            "rocommunity" | "rocommunity6" => (words.next(), false),
            "rwcommunity" | "rwcommunity6" => (words.next(), true),
            // `com2sec [-Cn CONTEXT] NAME SOURCE COMMUNITY`: what it may do is said elsewhere.
            "com2sec" | "com2sec6" | "com2secunix" => (words.next_back(), false),
            // `authCommunity TYPES COMMUNITY`
            "authcommunity" => (words.nth(1), false),
            _ => return,
        };
        let Some(community) = community.map(|it| it.trim_matches('"')) else { return };
        if writes {
            self.write += 1;
        } else {
            self.read += 1;
        }
        self.well_known.extend(["public", "private"].iter().filter(|it| **it == community));
    }
}

fn snmp(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const MAIN: &str = "etc/snmp/snmpd.conf";
    let mut all: Vec<(String, Found)> = [MAIN, "etc/snmp/snmpd.local.conf", "etc/snmp/snmptrapd.conf"]
        .into_iter()
        .map(|it| (it.to_owned(), files::read(look, it)))
        .collect();
    all.extend(files::read_all(look, "etc/snmp/snmpd.conf.d", |it| it.ends_with(".conf")));
    let fact = |id: &str, source: &str| Fact::new(&format!("snmp.{id}"), CHECKS, source);
    if all.iter().all(|it| it.1 == Found::Absent) {
        return;
    }
    if let Some((path, gap)) = all.iter().find(|it| matches!(it.1, Found::Denied | Found::Broken(_))) {
        rows.extend(
            ["read_communities", "write_communities", "well_known_communities"]
                .map(|it| gap.unanswered(fact(it, path))),
        );
        return;
    }
    let mut communities = Communities::default();
    for text in all.into_iter().filter_map(|it| it.1.text()) {
        text.lines().for_each(|it| communities.add(it));
    }
    rows.push(fact("read_communities", MAIN).number(communities.read));
    rows.push(fact("write_communities", MAIN).number(communities.write));
    rows.push(
        fact("well_known_communities", MAIN).list(communities.well_known.into_iter().map(str::to_owned)),
    );
}

/// Directories that are given to other hosts, and where root there is root here.
fn exports(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const MAIN: &str = "etc/exports";
    let mut all = vec![(MAIN.to_owned(), files::read(look, MAIN))];
    all.extend(files::read_all(look, "etc/exports.d", |it| it.ends_with(".exports")));
    let fact = |id: &str| Fact::new(&format!("nfs.{id}"), CHECKS, MAIN);
    if all.iter().all(|it| it.1 == Found::Absent) {
        return;
    }
    if let Some((_, gap)) = all.iter().find(|it| matches!(it.1, Found::Denied | Found::Broken(_))) {
        rows.extend(["exports", "no_root_squash"].map(|it| gap.unanswered(fact(it))));
        return;
    }
    let texts: Vec<String> = all.into_iter().filter_map(|it| it.1.text()).collect();
    let exports: Vec<String> = texts.iter().flat_map(|it| exported(it)).collect();
    let trusts_root = exports.iter().filter(|it| {
        let options = it.rsplit_once('(').map_or("", |it| it.1.trim_end_matches(')'));
        options.split(',').any(|it| it == "no_root_squash")
    });
    rows.push(fact("no_root_squash").list(trusts_root.cloned()));
    rows.push(fact("exports").list(exports));
}

/// `PATH [-OPTIONS] HOST(OPTIONS) ...`, one item for each host; a host without options has the common ones.
fn exported(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let mut exports = Vec::new();
    for line in joined.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let (path, rest) = match line.strip_prefix('"').and_then(|it| it.split_once('"')) {
            Some(quoted) => quoted,
            None => line.split_at(line.find([' ', '\t']).unwrap_or(line.len())),
        };
        if path.is_empty() {
            continue;
        }
        let mut common = "";
        let before = exports.len();
        for word in rest.split_whitespace() {
            if let Some(options) = word.strip_prefix('-') {
                common = options;
                continue;
            }
            let (host, own) =
                word.split_once('(').map_or((word, ""), |it| (it.0, it.1.trim_end_matches(')')));
            // Without a host before the parenthesis it is everybody.
            let host = if host.is_empty() { "*" } else { host };
            let options = [common, own].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(",");
            exports.push(format!("{path} {host}({options})"));
        }
        if exports.len() == before {
            exports.push(format!("{path} *({common})"));
        }
    }
    exports
}

#[cfg(test)]
mod tests {
    use holdpoint_common::row::hardening_row::Value;

    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    fn said(rows: &[HardeningRow], id: &str) -> String {
        let row = rows.iter().find(|it| it.id == id).unwrap_or_else(|| panic!("{id}"));
        match &row.value {
            Some(Value::Flag(it)) => it.to_string(),
            Some(Value::Number(it)) => it.to_string(),
            Some(Value::Text(it)) => it.clone(),
            Some(Value::List(it)) => it.items.join(";"),
            None => row.state.clone(),
        }
    }

    #[test]
    fn daemons_are_there_or_started_or_neither() {
        let (dir, host) = host(&[
            ("usr/lib/systemd/system/telnet.socket", ""),
            ("usr/lib/systemd/system/vsftpd.service", ""),
            ("usr/lib/systemd/system/ssh.service", ""),
            ("etc/init.d/snmpd", ""),
            ("etc/rc3.d/S01snmpd", ""),
            ("etc/rc3.d/K01tftpd-hpa", ""),
            ("etc/hosts.equiv", "+\n"),
            ("etc/xinetd.conf", "defaults\n{\n  disabled = rsh\n}\n"),
            ("etc/xinetd.d/telnet", "service telnet\n{\n  disable = no\n}\n"),
            ("etc/xinetd.d/tftp", "service tftp {\n  disable = yes\n}\n"),
            ("etc/xinetd.d/rsh", "service shell\n{\n}\nservice rsh\n{\n}\n"),
            ("etc/inetd.conf", "# x\nftp stream tcp nowait root /x x\n#y\n"),
        ]);
        let wants = dir.path().join("etc/systemd/system/sockets.target.wants");
        std::fs::create_dir_all(&wants).unwrap();
        std::os::unix::fs::symlink("/usr/lib/systemd/system/telnet.socket", wants.join("telnet.socket"))
            .unwrap();
        let host = host.limited_to(crate::host::ReadList::new(READS));
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(said(&rows, "legacy.daemons"), "snmpd;telnet.socket;vsftpd.service");
        assert_eq!(said(&rows, "legacy.daemons_enabled"), "snmpd;telnet.socket");
        assert_eq!(said(&rows, "legacy.xinetd"), "shell;telnet");
        assert_eq!(said(&rows, "legacy.inetd"), "ftp/tcp");
        assert_eq!(said(&rows, "legacy.trusting_files"), "etc/hosts.equiv");
        assert!(!rows.iter().any(|it| it.id.starts_with("snmp.") || it.id.starts_with("nfs.")));
    }

    #[test]
    fn a_community_is_counted_and_never_said() {
        let (_dir, host) = host(&[(
            "etc/snmp/snmpd.conf",
            "# rocommunity x\nrocommunity public default\nrwcommunity SECRET 10.0.0.1\ncom2sec -Cn c name src SECRET2\n\
             rouser op\n",
        )]);
        let (rows, _, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(said(&rows, "snmp.read_communities"), "2");
        assert_eq!(said(&rows, "snmp.write_communities"), "1");
        assert_eq!(said(&rows, "snmp.well_known_communities"), "public");
        assert!(!format!("{rows:?}").contains("SECRET"));
    }

    #[test]
    fn exports_are_one_item_for_each_host() {
        let text = "# x\n/srv -ro,no_root_squash 10.0.0.1 hmi(rw)\n\"/a b\" \\\n *.plant(rw,no_root_squash)\n/open\n/all (rw)\n";
        assert_eq!(
            exported(text),
            [
                "/srv 10.0.0.1(ro,no_root_squash)",
                "/srv hmi(ro,no_root_squash,rw)",
                "/a b *.plant(rw,no_root_squash)",
                "/open *()",
                "/all *(rw)",
            ]
        );
        let (_dir, host) = host(&[("etc/exports", text)]);
        let (rows, _, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(said(&rows, "nfs.no_root_squash").split(';').count(), 3);
    }
}
