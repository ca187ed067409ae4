//! Sockets that accept traffic, and the program, service and package behind each.
//!
//! Sources of truth: `proc/net/{tcp,tcp6,udp,udp6}`, the open files of each process, its
//! executable and its control group; the lists of packages' files for the package. Whose socket it is needs
//! root; without it those fields are absent and the section is partial. Only the network
//! namespace of the agent is seen. UDP sockets on ports that the kernel hands out to clients are
//! left out: they come and go with every lookup and would move by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use holdpoint_common::row::ListenerRow;

use super::packages::owner;
use super::processes::{self, Process, is_denial};
use crate::host::Reads;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("proc/sys/net/ipv4/ip_local_port_range"),
    Reads::content("proc/*/net/tcp"),
    Reads::content("proc/*/net/tcp6"),
    Reads::content("proc/*/net/udp"),
    Reads::content("proc/*/net/udp6"),
    Reads::content("proc/net/*"),
    Reads::content("proc/*/fd"),
    Reads::metadata("proc/*/fd/*"),
];

const TABLES: [&str; 4] = ["tcp", "tcp6", "udp", "udp6"];
const MAX_TABLE: usize = 16 * 1024 * 1024;
const MAX_OPEN_FILES: usize = 65_536;
/// The kernel's own default.
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// States of `proc/net`: a TCP socket that listens, a UDP socket without a peer.
const TCP_LISTEN: &str = "0A";
const UDP_UNCONNECTED: &str = "07";

/// Reads every listening socket.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let ephemeral =
        look.value("proc/sys/net/ipv4/ip_local_port_range").and_then(|it| range(&it)).unwrap_or(EPHEMERAL);
    let mut sockets = Vec::new();
    let mut tables = 0;
    for protocol in TABLES {
        let Some(text) = look.text(&format!("proc/net/{protocol}"), MAX_TABLE) else { continue };
        tables += 1;
        let (found, malformed) = parse(protocol, &text, &ephemeral);
        if malformed {
            look.fault(format!("proc/net/{protocol}: a line cannot be read"));
        }
        sockets.extend(found);
    }
    if tables == 0 {
        return look.missing("proc/net is not there: this is no running system");
    }
    let owners = owners(look, sockets.iter().map(|it| it.inode).filter(|it| *it != 0).collect());
    let programs = owners.values().filter_map(|it| it.program.clone()).collect();
    let packages = owner::packages(look, &programs);
    let rows: Vec<ListenerRow> = sockets
        .into_iter()
        .map(|socket| {
            let owner = owners.get(&socket.inode).cloned().unwrap_or_default();
            ListenerRow {
                source: "linux/sockets".to_owned(),
                protocol: socket.protocol.to_owned(),
                address: socket.address,
                port: u32::from(socket.port),
                package: owner.program.as_ref().and_then(|it| packages.get(it)).cloned(),
                program: owner.program,
                service: owner.service,
            }
        })
        .collect();
    Reading::of(&rows)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Socket {
    protocol: &'static str,
    address: String,
    port: u16,
    inode: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Owner {
    program: Option<String>,
    service: Option<String>,
}

impl Owner {
    fn of(process: &Process) -> Self {
        let program = process.path().map(str::to_owned);
        Self { program, service: process.service_name().map(str::to_owned) }
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut words = text.split_whitespace();
    Some(words.next()?.parse().ok()?..=words.next()?.parse().ok()?)
}

fn parse(protocol: &'static str, text: &str, ephemeral: &RangeInclusive<u16>) -> (Vec<Socket>, bool) {
    let mut sockets = Vec::new();
    let mut malformed = false;
    for line in text.lines().skip(1).filter(|it| !it.trim().is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(local), Some(state), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9)) else {
            malformed = true;
            continue;
        };
        let (Some((address, port)), Ok(inode)) = (endpoint(local), inode.parse()) else {
            malformed = true;
            continue;
        };
        let is_udp = protocol.starts_with("udp");
        let listens = if is_udp {
            *state == UDP_UNCONNECTED && !ephemeral.contains(&port)
        } else {
            *state == TCP_LISTEN
        };
        if listens {
            sockets.push(Socket { protocol, address, port, inode });
        }
    }
    (sockets, malformed)
}

/// `0100007F:0016`: the address as the machine's own words in hexadecimal, then the port.
fn endpoint(text: &str) -> Option<(String, u16)> {
    let (address, port) = text.split_once(':')?;
    if !address.is_ascii() {
        return None;
    }
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let address = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string(),
        _ => return None,
    };
    Some((address, port))
}

/// Finds the processes that hold sockets. Of several that share one, the first by name of its
/// program speaks, because process numbers move.
fn owners(look: &mut Look<'_>, mut wanted: BTreeSet<u64>) -> BTreeMap<u64, Owner> {
    let mut owners: BTreeMap<u64, Owner> = BTreeMap::new();
    if wanted.is_empty() {
        return owners;
    }
    let Some(processes) = processes::read(look) else { return owners };
    let (mut is_denied, mut is_nameless) = (false, false);
    for process in &processes.list {
        if let Err(late) = look.in_time() {
            look.fault(format!("owners of sockets: {late}"));
            break;
        }
        let root = &look.host.root;
        let files = match root.list(&process.file("fd"), MAX_OPEN_FILES) {
            Ok(files) => files,
            // A process may end while it is looked at.
            Err(cause) => {
                is_denied |= is_denial(&cause);
                continue;
            }
        };
        let held: BTreeSet<u64> = files
            .entries
            .iter()
            .filter_map(|it| {
                let target = files.read_link(it);
                is_denied |= target.as_ref().is_err_and(is_denial);
                let target = target.ok()?;
                target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
            })
            .filter(|it| wanted.contains(it))
            .collect();
        if held.is_empty() {
            continue;
        }
        is_nameless |= process.program.is_none();
        let owner = Owner::of(process);
        for inode in held {
            let known = owners.entry(inode).or_insert_with(|| owner.clone());
            if (&owner.program, &owner.service) < (&known.program, &known.service) {
                known.clone_from(&owner);
            }
        }
    }
    wanted.retain(|it| !owners.contains_key(it));
    // Sockets of the kernel itself belong to no process, so only a refusal is a gap.
    if is_nameless || is_denied && !wanted.is_empty() {
        look.note("open files of other processes", Err::<(), _>(io::ErrorKind::PermissionDenied.into()));
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of, write};
    use std::os::unix::fs::symlink;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn line(local: &str, state: &str, inode: u64) -> String {
        format!(
            "   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 100 0 0 10 0\n"
        )
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_of_both_families_are_read() {
        assert_eq!(endpoint("0100007F:0016"), Some(("127.0.0.1".into(), 22)));
        assert_eq!(endpoint("00000000000000000000000001000000:1F90"), Some(("::1".into(), 8080)));
        for text in ["", "01:", "0100007F", "0100007F:FFFFF", "zz:1", "é00007F:0016", "0100007F0100007F:1"] {
            assert_eq!(endpoint(text), None, "{text}");
        }
    }

    #[test]
    fn a_listener_names_program_service_and_package() {
        let tcp = [HEAD, &line("00000000:0016", "0A", 11), &line("00000000:0050", "01", 12)].concat();
        let udp = [HEAD, &line("00000000:007B", "07", 13), &line("00000000:9C40", "07", 14)].concat();
        let (dir, host) = host(&[
            ("proc/net/tcp", &tcp),
            ("proc/net/udp", &udp),
            ("proc/7/cgroup", "0::/system.slice/ssh.service\n"),
            ("proc/7/fd/note", ""),
            ("var/lib/dpkg/info/openssh-server.list", "/usr/sbin/sshd\n"),
        ]);
        symlink("socket:[11]", dir.path().join("proc/7/fd/3")).unwrap();
        symlink("/usr/sbin/sshd (deleted)", dir.path().join("proc/7/exe")).unwrap();
        let (rows, faults, _) = rows_of::<ListenerRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(rows.len(), 2, "neither the connection nor the client's port listens: {rows:?}");
        assert_eq!((rows[0].protocol.as_str(), rows[0].port), ("tcp", 22));
        assert_eq!(rows[0].program.as_deref(), Some("/usr/sbin/sshd"));
        assert_eq!(rows[0].service.as_deref(), Some("ssh"));
        assert_eq!(rows[0].package.as_deref(), Some("openssh-server"));
        assert_eq!((rows[1].port, rows[1].program.clone()), (123, None));
    }

    #[test]
    fn a_malformed_line_is_a_gap_and_the_rest_stays() {
        let text = [HEAD, "   0: rubbish\n", &line("00000000:0016", "0A", 0)].concat();
        let (sockets, malformed) = parse("tcp", &text, &EPHEMERAL);
        assert!(malformed);
        assert_eq!(sockets.len(), 1);
    }

    #[test]
    fn files_in_the_place_of_processes_do_no_harm() {
        let tcp = [HEAD, &line("00000000:0016", "0A", 11)].concat();
        let (dir, host) = host(&[("proc/net/tcp", &tcp), ("proc/9/fd", "no directory")]);
        write(dir.path(), "proc/8", b"no process");
        let (rows, _, _) = rows_of::<ListenerRow>(&host, probe);
        assert_eq!((rows.len(), rows[0].program.clone()), (1, None));
    }
}
