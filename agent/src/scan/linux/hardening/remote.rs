//! L20: ways to become root or to come in from far away that no login shows.
//!
//! Sources of truth: owner and mode of the sockets of container engines (whoever may write there is root),
//! the members of groups that may, `etc/docker/daemon.json` and what the unit files of docker say; the
//! places of known remote-support programs, networks over networks and tunnels (`remote_tools`); names of VPN
//! configurations, of which the content, with its keys, is not read.
//!
//! Absence: a socket is there while its engine runs or systemd listens for it; without it there is
//! no fact. Lists are empty where nothing was found.
//!
//! Known lies: a program under another name or in a home directory is not seen; nor is an access list (ACL)
//! on a socket. Who is in a group by a directory service is not known here.

use std::collections::BTreeSet;

use holdpoint_common::row::HardeningRow;
use serde_json::Value;

use super::super::accounts::MAX_BYTES;
use super::files::{self, Found};
use super::remote_tools::PLACES;
use crate::host::{Facts, Reads};
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[&[Reads]] = &[OWN, &TOOLS, MERGED];

const OWN: &[Reads] = &[
    Reads::content("etc/passwd"),
    Reads::content("etc/group"),
    Reads::metadata("run/docker.sock"),
    Reads::metadata("run/podman/podman.sock"),
    Reads::metadata("run/containerd/containerd.sock"),
    Reads::metadata("run/crio/crio.sock"),
    Reads::metadata("run/libvirt/libvirt-sock"),
    Reads::metadata("run/incus/unix.socket"),
    Reads::metadata("var/lib/lxd/unix.socket"),
    Reads::metadata("var/snap/lxd/common/lxd/unix.socket"),
    Reads::content("etc/docker/daemon.json"),
    Reads::content("usr/lib/systemd/system/docker.service"),
    Reads::content("lib/systemd/system/docker.service"),
    Reads::content("etc/systemd/system/docker.service"),
    Reads::content("etc/systemd/system/docker.service.d/*.conf"),
    Reads::content("etc/wireguard"),
    Reads::content("etc/openvpn"),
    Reads::content("etc/openvpn/client"),
    Reads::content("etc/openvpn/server"),
    Reads::content("etc/swanctl/conf.d"),
];

/// Where programs of `sbin` are on hosts on which it leads to `bin`.
const MERGED: &[Reads] = &[
    Reads::metadata("usr/bin/guacd"),
    Reads::metadata("usr/bin/ipsec"),
    Reads::metadata("usr/bin/openconnect"),
    Reads::metadata("usr/bin/openvpn"),
    Reads::metadata("usr/bin/swanctl"),
    Reads::metadata("usr/bin/tailscaled"),
    Reads::metadata("usr/bin/tincd"),
    Reads::metadata("usr/bin/tor"),
    Reads::metadata("usr/bin/waagent"),
    Reads::metadata("usr/bin/xrdp"),
    Reads::metadata("usr/bin/zabbix_agentd"),
    Reads::metadata("usr/bin/zerotier-one"),
    Reads::metadata("usr/local/bin/guacd"),
];

/// The places of the table, of which nothing is read but that they are there.
const TOOLS: [Reads; PLACES.len()] = {
    let mut reads = [Reads::metadata(""); PLACES.len()];
    let mut at = 0;
    while at < PLACES.len() {
        reads[at] = Reads::metadata(PLACES[at].1);
        at += 1;
    }
    reads
};

const CHECKS: &[&str] = &["L20"];
const SOCKETS: [&str; 8] = [
    "run/docker.sock",
    "run/podman/podman.sock",
    "run/containerd/containerd.sock",
    "run/crio/crio.sock",
    "run/libvirt/libvirt-sock",
    "run/incus/unix.socket",
    "var/lib/lxd/unix.socket",
    "var/snap/lxd/common/lxd/unix.socket",
];
/// Groups that may use one of these sockets.
const GROUPS: [&str; 6] = ["docker", "podman", "libvirt", "lxd", "incus", "incus-admin"];
const DOCKER_UNITS: [&str; 3] = [
    "etc/systemd/system/docker.service",
    "usr/lib/systemd/system/docker.service",
    "lib/systemd/system/docker.service",
];
/// Directories of VPN configurations, and how their names end.
const NETWORKS: [(&str, &[&str]); 5] = [
    ("etc/wireguard", &[".conf"]),
    ("etc/openvpn", &[".conf", ".ovpn"]),
    ("etc/openvpn/client", &[".conf", ".ovpn"]),
    ("etc/openvpn/server", &[".conf", ".ovpn"]),
    ("etc/swanctl/conf.d", &[".conf"]),
];

/// Reads sockets, groups, docker's settings and what is installed.
pub fn probe(look: &mut Look<'_>) -> Reading {
    if !files::is_a_system(look) {
        return look.missing("etc is not there");
    }
    let mut rows = Vec::new();
    let passwd = files::read_up_to(look, "etc/passwd", MAX_BYTES).text().unwrap_or_default();
    let group = files::read_up_to(look, "etc/group", MAX_BYTES);
    let groups = if let Found::Text(text) = &group { text.as_str() } else { "" };
    for path in SOCKETS {
        if let Some(facts) = look.facts(path) {
            rows.push(fact("containers.socket", path).about(path).text(&owned(facts, &passwd, groups)));
        }
    }
    members(&group, groups, &passwd, &mut rows);
    docker(look, &mut rows);
    tools(look, &mut rows);
    Reading::of(&rows)
}

fn fact(id: &str, source: &str) -> Fact {
    Fact::new(id, CHECKS, source)
}

/// "root docker 0660"
fn owned(facts: Facts, passwd: &str, groups: &str) -> String {
    let owner = name_of(passwd, facts.uid).unwrap_or_else(|| facts.uid.to_string());
    let group = name_of(groups, facts.gid).unwrap_or_else(|| facts.gid.to_string());
    format!("{owner} {group} {:04o}", facts.mode)
}

/// The name with a number, in `passwd` or `group`.
fn name_of(text: &str, number: u32) -> Option<String> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

fn members(found: &Found, groups: &str, passwd: &str, rows: &mut Vec<HardeningRow>) {
    let fact = |group: &str| fact("containers.group_members", "etc/group").about(group);
    if matches!(found, Found::Denied | Found::Broken(_)) {
        return rows.push(found.unanswered(fact(GROUPS[0])));
    }
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, listed] = fields.as_slice() else { continue };
        if !GROUPS.contains(name) {
            continue;
        }
        let listed = listed.split(',').map(str::trim).filter(|it| !it.is_empty());
        let primary = passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let user = fields.next()?;
            (fields.nth(2)? == *gid).then_some(user)
        });
        let members: BTreeSet<&str> = listed.chain(primary).collect();
        rows.push(fact(name).list(members.into_iter().map(str::to_owned)));
    }
}

fn docker(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const CONFIG: &str = "etc/docker/daemon.json";
    let found = files::read(look, CONFIG);
    match &found {
        Found::Text(text) => match serde_json::from_str::<Value>(text) {
            Ok(config) => settings(&config, CONFIG, rows),
            // The text of the error says a place and nothing of the content.
            Err(error) => {
                let why = format!("line {}: not JSON", error.line());
                look.fault(format!("{CONFIG}: {why}"));
                rows.push(fact("docker.hosts", CONFIG).because(why).error());
            }
        },
        Found::Absent => {}
        gap @ (Found::Denied | Found::Broken(_)) => rows.push(gap.unanswered(fact("docker.hosts", CONFIG))),
    }
    let unit = DOCKER_UNITS.into_iter().find_map(|it| Some((it, files::read(look, it).text()?)));
    let Some((unit, text)) = unit else { return };
    let mut lines = vec![(unit.to_owned(), text)];
    let parts = files::read_all(look, "etc/systemd/system/docker.service.d", |it| it.ends_with(".conf"));
    lines.extend(parts.into_iter().filter_map(|(path, found)| Some((path, found.text()?))));
    let mut hosts: Vec<String> = Vec::new();
    let mut source = unit.to_owned();
    for (path, text) in &lines {
        for command in text.lines().filter_map(|it| it.trim().strip_prefix("ExecStart=")) {
            // A later command replaces the earlier one, and an empty one takes it away.
            hosts = hosts_of(command);
            source.clone_from(path);
        }
    }
    rows.push(fact("docker.unit_hosts", &source).list(hosts));
}

/// What `-H` and `--host` of a command name.
fn hosts_of(command: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    let mut words = command.split_whitespace();
    while let Some(word) = words.next() {
        if matches!(word, "-H" | "--host") {
            hosts.extend(words.next().map(str::to_owned));
        } else if let Some(host) = word.strip_prefix("--host=").or_else(|| word.strip_prefix("-H")) {
            hosts.push(host.trim_start_matches('=').to_owned());
        }
    }
    hosts
}

fn settings(config: &Value, source: &str, rows: &mut Vec<HardeningRow>) {
    for (name, id) in [("hosts", "docker.hosts"), ("insecure-registries", "docker.insecure_registries")] {
        rows.push(match config.get(name).and_then(Value::as_array) {
            Some(items) => fact(id, source).list(items.iter().filter_map(Value::as_str).map(str::to_owned)),
            None => fact(id, source).absent(),
        });
    }
    for (name, id) in [
        ("tls", "docker.tls"),
        ("tlsverify", "docker.tls_verify"),
        ("icc", "docker.icc"),
        ("no-new-privileges", "docker.no_new_privileges"),
    ] {
        rows.push(match config.get(name).and_then(Value::as_bool) {
            Some(flag) => fact(id, source).flag(flag),
            None => fact(id, source).absent(),
        });
    }
    rows.push(match config.get("userns-remap").and_then(Value::as_str) {
        Some(user) => fact("docker.userns_remap", source).text(user),
        None => fact("docker.userns_remap", source).absent(),
    });
}

fn tools(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    let mut found = Vec::new();
    for (product, path) in PLACES {
        // A link to a place that is not on the list is there all the same.
        let is_link = look.host.root.read_link(path).is_ok();
        if is_link || files::exists(look, path) == Some(true) {
            found.push(format!("{product}: {path}"));
        }
    }
    rows.push(fact("remote_access.tools", "usr/bin").list(found));
    for (directory, endings) in NETWORKS {
        let fact = fact("remote_access.networks", directory).about(directory);
        match files::names(look, directory, |it| endings.iter().any(|end| it.ends_with(end))) {
            Ok(names) if names.is_empty() => {}
            Ok(names) => rows.push(fact.list(names)),
            Err(gap) => rows.push(gap.unanswered(fact)),
        }
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_common::row::hardening_row::Value as Kind;

    use super::*;
    use crate::host::ReadList;
    use crate::scan::look::tests::{host, rows_of};

    fn said(rows: &[HardeningRow], id: &str, about: Option<&str>) -> String {
        let row = rows.iter().find(|it| it.id == id && it.subject.as_deref() == about);
        let row = row.unwrap_or_else(|| panic!("{id} {about:?}"));
        match &row.value {
            Some(Kind::Flag(it)) => it.to_string(),
            Some(Kind::Number(it)) => it.to_string(),
            Some(Kind::Text(it)) => it.clone(),
            Some(Kind::List(it)) => it.items.join(";"),
            None => row.state.clone(),
        }
    }

    #[test]
    fn who_may_use_a_container_engine_is_told() {
        let (dir, host) = host(&[
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\nsvc:x:9:998::/:/bin/sh\n"),
            ("etc/group", "root:x:0:\ndocker:x:998:op,anna\nusers:x:100:op\n"),
            ("run/docker.sock", ""),
            (
                "etc/docker/daemon.json",
                "{\"hosts\": [\"tcp://0.0.0.0:2375\"], \"icc\": false, \"x\": {\"secret\": 1}}",
            ),
            ("usr/lib/systemd/system/docker.service", "[Service]\nExecStart=/usr/bin/dockerd -H fd://\n"),
            (
                "etc/systemd/system/docker.service.d/o.conf",
                "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -H fd:// --host=tcp://10.0.0.1:2376\n",
            ),
            ("usr/bin/anydesk", ""),
            ("etc/wireguard/wg0.conf", "PrivateKey = SECRET"),
            ("etc/wireguard/notes.txt", ""),
        ]);
        let socket = dir.path().join("run/docker.sock");
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o660);
        std::fs::set_permissions(&socket, mode).unwrap();
        let host = host.limited_to(ReadList::new(READS.iter().copied().flatten()));
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert!(said(&rows, "containers.socket", Some("run/docker.sock")).ends_with(" 0660"));
        assert_eq!(said(&rows, "containers.group_members", Some("docker")), "anna;op;svc");
        assert_eq!(said(&rows, "docker.hosts", None), "tcp://0.0.0.0:2375");
        assert_eq!(said(&rows, "docker.unit_hosts", None), "fd://;tcp://10.0.0.1:2376");
        assert_eq!(said(&rows, "docker.icc", None), "false");
        assert_eq!(said(&rows, "docker.tls", None), "absent");
        assert_eq!(said(&rows, "remote_access.tools", None), "AnyDesk: usr/bin/anydesk");
        assert_eq!(said(&rows, "remote_access.networks", Some("etc/wireguard")), "wg0.conf");
        assert!(!format!("{rows:?}").contains("SECRET"));
    }

    #[test]
    fn a_configuration_that_is_no_json_is_an_error() {
        let (_dir, host) = host(&[("etc/docker/daemon.json", "{\n\"hosts\": [")]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(faults, ["etc/docker/daemon.json: line 2: not JSON"]);
        assert_eq!(said(&rows, "docker.hosts", None), "error");
    }

    #[test]
    fn a_merged_sbin_hides_no_place_and_is_no_fault() {
        let (dir, host) = host(&[("usr/bin/xrdp", ""), ("etc/group", "")]);
        std::os::unix::fs::symlink("bin", dir.path().join("usr/sbin")).unwrap();
        std::fs::create_dir(dir.path().join("usr/local")).unwrap();
        std::fs::create_dir(dir.path().join("usr/local/bin")).unwrap();
        std::os::unix::fs::symlink("bin", dir.path().join("usr/local/sbin")).unwrap();
        std::os::unix::fs::symlink("/etc/alternatives/vncserver", dir.path().join("usr/bin/vncserver"))
            .unwrap();
        let host = host.limited_to(ReadList::new(READS.iter().copied().flatten()));
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(said(&rows, "remote_access.tools", None), "VNC: usr/bin/vncserver;xrdp: usr/sbin/xrdp");
    }

    #[test]
    fn every_place_is_named_once() {
        let places: BTreeSet<&str> = PLACES.iter().map(|it| it.1).collect();
        assert_eq!(places.len(), PLACES.len());
    }
}
