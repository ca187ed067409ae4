//! What any running Windows answers; Wine is one. Each answer is one of those that the traits name.

use super::*;
use std::io::ErrorKind;

#[test]
fn the_manager_lists_services_and_says_how_each_is_set_up() {
    let all = Running.list().unwrap();
    assert!(!all.is_empty());
    assert!(all.iter().all(|it| !it.name.is_empty() && it.kind != 0), "{all:?}");
    let setups: Vec<_> = all.iter().map(|it| Running.setup(&it.name)).collect();
    assert!(setups.iter().any(|it| it.as_ref().is_ok_and(|it| it.image.is_some())), "{setups:?}");
    assert_eq!(Running.setup("no such service").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn the_own_socket_is_in_the_table_with_the_own_process() {
    // UDP: an agent opens no port, and its tests open none that listens.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let own = std::process::id();
    let found = Running.endpoints(Table::Udp).unwrap();
    // Wine knows no process where it may not look through the files of the others: then it says 0.
    let it = found.iter().find(|it| it.port == port && [own, 0].contains(&it.process));
    assert_eq!(it.map(|it| it.address.to_string()).as_deref(), Some("127.0.0.1"), "{found:?}");
    for table in [Table::Tcp, Table::Tcp6, Table::Udp6] {
        if let Err(cause) = Running.endpoints(table) {
            assert_eq!(cause.kind(), ErrorKind::NotFound, "{table:?}: {cause}");
        }
    }
}

#[test]
fn the_own_program_is_known_by_its_process() {
    let path = Running.program(std::process::id()).unwrap().to_lowercase();
    let own = std::env::current_exe().unwrap().to_string_lossy().to_lowercase();
    assert_eq!(path, own.trim_start_matches(r"\\?\"));
    assert_eq!(Running.program(4).unwrap(), "System");
    assert_eq!(Running.program(0).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Running.program(0xffff_fff0).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Running.marked_by(0, 1).unwrap(), None);
    // A mark that nobody left.
    let _ = Running.marked_by(std::process::id(), 1);
}

#[test]
fn adapters_say_their_names_and_addresses() {
    let all = Running.adapters().unwrap();
    assert!(all.iter().any(|it| it.addresses.iter().any(std::net::IpAddr::is_loopback)), "{all:?}");
    assert!(all.iter().all(|it| !it.name.is_empty()), "{all:?}");
}

#[test]
fn shares_are_listed_or_refused_with_a_reason() {
    if let Ok(all) = Running.shares() {
        assert!(all.iter().all(|it| !it.name.is_empty()), "{all:?}");
    }
}

#[test]
fn smbios_tables_are_as_long_as_they_say() {
    match Running.smbios() {
        Ok(bytes) => {
            let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
            assert_eq!(bytes.len() - 8, usize::try_from(length).unwrap());
        }
        Err(cause) => assert_eq!(cause.kind(), ErrorKind::NotFound, "{cause}"),
    }
}

#[test]
fn variables_of_firmware_are_told_or_refused_by_kind() {
    Running.started_by_uefi().unwrap();
    let vendor = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
    let cause = Running.variable("no such variable", vendor).unwrap_err();
    assert!(matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied), "{cause}");
}

#[test]
fn a_module_has_a_family_that_exists() {
    match Running.tpm_family() {
        Ok(family) => assert!(matches!(family, 1 | 2), "{family}"),
        Err(cause) => println!("no family: {cause}"),
    }
}

#[test]
fn disks_are_listed_without_a_right_to_any() {
    for disk in Running.disks().unwrap() {
        assert!(disk.descriptor.is_ok_and(|it| it.len() >= 32), "{:?}", disk.number);
    }
}
