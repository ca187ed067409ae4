//! Sockets that accept traffic, and the program and service behind each.
//!
//! Sources of truth: the tables of the IP helper (`GetExtendedTcpTable`, `GetExtendedUdpTable`), which every
//! user may ask; the path of each process, for whose sake it is opened with the least right there is; the
//! service control manager for the service, and the mark that a service leaves on its endpoints where one
//! process runs several. A captured machine has no such source.
//!
//! UDP sockets on ports that the system hands out to clients are left out: they come and go with every
//! look-up and would move by themselves. Of TCP only what listens is told, on every port: ports of remote
//! procedure calls (49664 and above) are dealt anew when the system starts.
//!
//! Known lies: where a program shares its port through the HTTP driver, the driver's process ("System")
//! is the owner. An administrator can widen the range of clients' ports; what is outside the usual one
//! is told.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;

use holdpoint_common::row::{ListenerRow, SectionKind};

use super::services::lasting_name;
use crate::host::windows::network::{Endpoint, Table};
use crate::host::windows::services::State;
use crate::host::{Windows, is_absent};
use crate::scan::probe::Probe;
use crate::scan::{Look, Reading};

/// The probes of this file.
pub(in crate::scan) const PROBES: &[Probe] =
    &[Probe { name: "windows/listeners", kind: SectionKind::Listeners, reads: &[], run: probe }];

const TABLES: [(Table, &str); 4] =
    [(Table::Tcp, "tcp"), (Table::Tcp6, "tcp6"), (Table::Udp, "udp"), (Table::Udp6, "udp6")];
/// What the system hands out to clients, since Windows Vista.
const EPHEMERAL: RangeInclusive<u16> = 49_152..=u16::MAX;
/// `Type` of an instance for one user.
const INSTANCE: u32 = 0x80;

/// Reads every endpoint.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(windows) = look.host.windows.clone() else {
        return look.missing("endpoints are known to a running system alone");
    };
    let mut found: Vec<(Table, &str, Endpoint)> = Vec::new();
    let mut tables = 0;
    for (table, protocol) in TABLES {
        let result = look.in_time().and_then(|()| windows.network.endpoints(table));
        let Some(all) = look.note(&format!("the table of {protocol}"), result) else { continue };
        tables += 1;
        found.extend(all.into_iter().filter(|it| listens(table, *it)).map(|it| (table, protocol, it)));
    }
    if tables == 0 {
        return look.missing("this system has no table of endpoints");
    }
    let mut owners = Owners::of(look, &windows);
    let rows: Vec<ListenerRow> = found
        .into_iter()
        .map(|(_, protocol, it)| ListenerRow {
            source: "windows/endpoints".to_owned(),
            protocol: protocol.to_owned(),
            address: it.address.to_string(),
            port: u32::from(it.port),
            program: owners.program(look, it.process),
            service: owners.service(look, it),
            package: None,
        })
        .collect();
    owners.tell(look);
    Reading::of(&rows)
}

fn listens(table: Table, it: Endpoint) -> bool {
    match table {
        Table::Tcp | Table::Tcp6 => true,
        Table::Udp | Table::Udp6 => !EPHEMERAL.contains(&it.port),
    }
}

/// Whose the endpoints are; each process is asked once.
struct Owners<'a> {
    windows: &'a Windows,
    programs: BTreeMap<u32, Option<String>>,
    /// Services that run, by process.
    services: BTreeMap<u32, Vec<String>>,
    is_denied: bool,
}

impl<'a> Owners<'a> {
    fn of(look: &mut Look<'_>, windows: &'a Windows) -> Self {
        let mut services: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        let all = look.in_time().and_then(|()| windows.services.list());
        for it in look.note("the service control manager", all).into_iter().flatten() {
            if it.process != 0 && it.state != State::Stopped {
                let name = if it.kind & INSTANCE == 0 { &it.name } else { lasting_name(&it.name) };
                services.entry(it.process).or_default().push(name.to_owned());
            }
        }
        Self { windows, programs: BTreeMap::new(), services, is_denied: false }
    }

    fn program(&mut self, look: &mut Look<'_>, process: u32) -> Option<String> {
        if let Some(known) = self.programs.get(&process) {
            return known.clone();
        }
        let said = look.in_time().and_then(|()| self.windows.network.program(process));
        let program = self.said(look, said);
        self.programs.insert(process, program.clone());
        program
    }

    fn service(&mut self, look: &mut Look<'_>, it: Endpoint) -> Option<String> {
        match self.services.get(&it.process).map(Vec::as_slice) {
            None | Some([]) => None,
            Some([only]) => Some(only.clone()),
            Some(several) => {
                let several = several.to_vec();
                let marked = self.windows.network.marked_by(it.process, it.mark);
                let name = self.said(look, marked)??;
                // The mark has the name of an instance, if it is one.
                let lasting = lasting_name(&name);
                Some(if several.contains(&name) { name } else { lasting.to_owned() })
            }
        }
    }

    /// A process may end while it is looked at; only a refusal and a failure are gaps.
    fn said<T>(&mut self, look: &mut Look<'_>, said: io::Result<T>) -> Option<T> {
        match said {
            Ok(it) => Some(it),
            Err(cause) if is_absent(&cause) => None,
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                self.is_denied = true;
                None
            }
            Err(cause) => look.note("the program of a process", Err(cause)),
        }
    }

    /// Refusals are one gap, however many processes there are.
    fn tell(&self, look: &mut Look<'_>) {
        if self.is_denied {
            look.note("programs of other accounts", Err::<(), _>(io::ErrorKind::PermissionDenied.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::windows::services::Service;
    use crate::host::windows::{Answer, network, recorded, services};
    use crate::scan::look::tests::{rows_of, windows_host};
    use std::sync::Arc;

    fn endpoint(address: &str, port: u16, process: u32, mark: u32) -> Endpoint {
        Endpoint { address: address.parse().unwrap(), port, process, mark }
    }

    fn running(name: &str, kind: u32, process: u32) -> Service {
        Service { name: name.into(), kind, state: State::Running, process, ..Service::default() }
    }

    /// An HMI: the system's shares, two services in one process, one that serves OPC UA.
    fn hmi() -> network::Recorded {
        let tcp = vec![
            endpoint("0.0.0.0", 445, 4, 0),
            endpoint("0.0.0.0", 135, 900, 21),
            endpoint("10.1.2.3", 4840, 1_200, 0),
            endpoint("0.0.0.0", 49_670, 700, 0),
        ];
        let udp = vec![
            endpoint("0.0.0.0", 123, 900, 22),
            endpoint("0.0.0.0", 51_234, 1_200, 0),
            endpoint("0.0.0.0", 5050, 1_300, 0),
        ];
        network::Recorded {
            endpoints: vec![
                (Table::Tcp, tcp.into()),
                (Table::Udp, udp.into()),
                (Table::Udp6, vec![endpoint("::", 123, 900, 22)].into()),
            ],
            programs: vec![
                (4, "System".to_owned().into()),
                (900, r"C:\Windows\System32\svchost.exe".to_owned().into()),
                (1_200, r"C:\HMI\ua.exe".to_owned().into()),
                (1_300, r"C:\Windows\System32\svchost.exe".to_owned().into()),
            ],
            marks: vec![
                ((900, 21), Some("RpcEptMapper".to_owned()).into()),
                ((900, 22), Some("W32Time".to_owned()).into()),
            ],
            ..network::Recorded::default()
        }
    }

    fn said(network: network::Recorded, services: Answer<Vec<Service>>) -> (Vec<String>, Vec<String>) {
        let (_dir, mut host) = windows_host("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]");
        let services = services::Recorded { list: services, ..services::Recorded::default() };
        host.windows =
            Some(Windows { network: Arc::new(network), services: Arc::new(services), ..recorded() });
        let (rows, faults, _) = rows_of::<ListenerRow>(&host, probe);
        let line = |it: &ListenerRow| {
            let (program, service) = (it.program.as_deref(), it.service.as_deref());
            let owner = [program.unwrap_or("?"), service.unwrap_or("-")].join(" ");
            format!("{} {} {} {owner}", it.protocol, it.address, it.port)
        };
        (rows.iter().map(line).collect(), faults)
    }

    fn services() -> Answer<Vec<Service>> {
        vec![
            running("RpcEptMapper", 0x20, 900),
            running("W32Time", 0x20, 900),
            running("UaServer", 0x10, 1_200),
            running("CDPUserSvc_3f2a1", 0xe0, 1_300),
            Service { name: "Spooler".into(), kind: 0x110, process: 900, ..Service::default() },
        ]
        .into()
    }

    #[test]
    fn an_endpoint_names_its_program_and_the_one_service_that_opened_it() {
        let (rows, faults) = said(hmi(), services());
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            rows,
            [
                "tcp 0.0.0.0 445 System -",
                r"tcp 0.0.0.0 135 C:\Windows\System32\svchost.exe RpcEptMapper",
                r"tcp 10.1.2.3 4840 C:\HMI\ua.exe UaServer",
                "tcp 0.0.0.0 49670 ? -",
                r"udp 0.0.0.0 123 C:\Windows\System32\svchost.exe W32Time",
                r"udp 0.0.0.0 5050 C:\Windows\System32\svchost.exe CDPUserSvc",
                r"udp6 :: 123 C:\Windows\System32\svchost.exe W32Time",
            ],
            "neither the client's port nor a session's number is told"
        );
    }

    #[test]
    fn two_scans_of_an_idle_host_are_equal_whatever_its_processes_are_called() {
        let mut later = hmi();
        let all = std::mem::take(&mut later.endpoints);
        later.endpoints = all
            .into_iter()
            .map(|(table, answer)| {
                let mut all = answer.0.unwrap();
                for it in &mut all {
                    it.process += if it.process == 4 { 0 } else { 4_000 };
                }
                if table == Table::Udp {
                    all.push(endpoint("0.0.0.0", 60_001, 5_200, 0));
                }
                (table, all.into())
            })
            .collect();
        for it in &mut later.programs {
            it.0 += if it.0 == 4 { 0 } else { 4_000 };
        }
        for it in &mut later.marks {
            it.0.0 += 4_000;
        }
        let mut again = services().0.unwrap();
        for it in &mut again {
            it.process += 4_000;
            it.name = it.name.replace("3f2a1", "77b2c");
        }
        assert_eq!(said(hmi(), services()), said(later, again.into()));
    }

    #[test]
    fn refusals_are_one_gap_and_the_endpoints_stay() {
        let mut network = hmi();
        network.programs =
            vec![(900, Answer::denied()), (1_200, Answer::denied()), (1_300, Answer::denied())];
        network.marks = vec![((900, 21), Answer::denied())];
        let (rows, faults) = said(network, services());
        assert_eq!(rows.len(), 7);
        assert_eq!(rows[2], "tcp 10.1.2.3 4840 ? UaServer");
        assert_eq!(faults, ["programs of other accounts: permission denied"]);
    }

    #[test]
    fn a_table_that_is_refused_is_a_gap_and_one_that_is_not_there_is_none() {
        let mut network = hmi();
        network.endpoints[0].1 = Answer::denied();
        let (rows, faults) = said(network, Answer::default());
        assert_eq!(rows.len(), 3);
        assert_eq!(faults, ["the table of tcp: permission denied"]);
    }

    #[test]
    fn a_machine_that_does_not_run_has_no_endpoints() {
        let (_dir, host) = windows_host("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]");
        let budget = crate::scan::look::tests::ample();
        let reading = probe(&mut Look::new(&host, &budget, "test"));
        assert_eq!(reading, Reading::Absent("endpoints are known to a running system alone".into()));
    }
}
