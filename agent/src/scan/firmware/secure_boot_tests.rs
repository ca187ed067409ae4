use super::super::signatures::tests::{SHA256, list};
use super::*;
use crate::host::Host;
use crate::scan::look::tests::{ample, host, rows_of, write};
use rcgen::{CertificateParams, DnType, KeyPair};
use signatures::X509;

/// Variables of a machine, with their attributes.
fn machine(variables: &[(&str, &str, &[u8])]) -> (tempfile::TempDir, Host) {
    let (dir, host) = host(&[("sys/firmware/efi/fw_platform_size", "64\n")]);
    for (name, vendor, value) in variables {
        let bytes = [&[6, 0, 0, 0], *value].concat();
        write(dir.path(), &format!("{DIRECTORY}/{name}-{vendor}"), &bytes);
    }
    (dir, host)
}

fn signed_by_itself(name: &str) -> Vec<u8> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.serial_number = Some(vec![0x61, 0x07, 0x76].into());
    parameters.not_after = rcgen::date_time_ymd(2026, 10, 19);
    parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn line(it: &FirmwareRow) -> String {
    let fields = [&it.name, &it.model, &it.vendor, &it.version, &it.serial, &it.date, &it.state];
    format!(
        "{}: {}",
        it.kind,
        fields.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" | ")
    )
}

fn lines(host: &Host) -> (Vec<String>, Vec<String>) {
    let (rows, faults, _) = rows_of::<FirmwareRow>(host, probe);
    (rows.iter().map(line).collect(), faults)
}

#[test]
fn a_machine_says_whom_it_trusts_and_what_it_forbids() {
    let (windows, uefi) = (signed_by_itself("Windows Production PCA"), signed_by_itself("UEFI CA 2023"));
    let forbidden: Vec<[u8; 32]> = (0..3).map(|it| [it; 32]).collect();
    let hashes: Vec<&[u8]> = forbidden.iter().rev().map(<[u8; 32]>::as_slice).collect();
    let (_dir, host) = machine(&[
        ("SecureBoot", GLOBAL, &[1]),
        ("SetupMode", GLOBAL, &[0]),
        ("PK", GLOBAL, &list(X509, &[&signed_by_itself("Platform Key")])),
        ("KEK", GLOBAL, &list(X509, &[&signed_by_itself("KEK CA 2011")])),
        ("db", SECURITY, &[list(X509, &[&windows]), list(X509, &[&uefi])].concat()),
        ("dbx", SECURITY, &[list(SHA256, &hashes[..2]), list(SHA256, &hashes[1..])].concat()),
    ]);
    let (rows, faults, _) = rows_of::<FirmwareRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(
        rows.iter().map(line).collect::<Vec<_>>(),
        [
            "secure-boot: enabled",
            "secure-boot-key: PK | Platform Key | Platform Key | 610776 | 2026-10-19",
            "secure-boot-key: KEK | KEK CA 2011 | KEK CA 2011 | 610776 | 2026-10-19",
            "secure-boot-key: db | Windows Production PCA | Windows Production PCA | 610776 | 2026-10-19",
            "secure-boot-key: db | UEFI CA 2023 | UEFI CA 2023 | 610776 | 2026-10-19",
            "secure-boot-key: dbx | SHA-256 | 3 hashes",
        ]
    );
    assert_eq!(rows[3].digest, Some(Digest::of(&windows).to_string()));
    assert_eq!(rows[3].guid.as_deref(), Some("77fa9abd-0359-4d32-bd60-28f4e78f784b"));
    assert_eq!(
        rows[5].digest,
        Some(Digest::of(&forbidden.concat()).to_string()),
        "in order, whatever theirs is"
    );
}

#[test]
fn without_its_owner_or_switched_off_it_does_not_hold() {
    for (enabled, setup, state) in [(0, 1, "setup"), (0, 0, "disabled"), (1, 0, "enabled")] {
        let (_dir, host) = machine(&[("SecureBoot", GLOBAL, &[enabled]), ("SetupMode", GLOBAL, &[setup])]);
        assert_eq!(lines(&host).0, [format!("secure-boot: {state}")]);
    }
}

#[test]
fn a_shim_that_checks_nothing_is_said() {
    let (_dir, host) = machine(&[("SecureBoot", GLOBAL, &[1]), ("MokSBStateRT", SHIM, &[1])]);
    assert_eq!(lines(&host).0, ["secure-boot: enabled", "secure-boot: shim | disabled"]);
}

#[test]
fn malformed_variables_are_gaps_and_the_others_are_read() {
    let good = signed_by_itself("Good");
    let mut bytes = list(X509, &[b"no certificate"]);
    bytes.extend(list(X509, &[&[good.as_slice(), &[0; 9]].concat()]));
    bytes.extend(&list(SHA256, &[&[1; 32]])[..40]);
    let (dir, host) =
        machine(&[("SecureBoot", GLOBAL, &[2]), ("SetupMode", GLOBAL, &[]), ("db", SECURITY, &bytes)]);
    write(dir.path(), &format!("{DIRECTORY}/dbx-{SECURITY}"), &[7, 0]);
    let (rows, faults, _) = rows_of::<FirmwareRow>(&host, probe);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].digest, Some(Digest::of(&good).to_string()), "padding is no part of a certificate");
    assert_eq!(
        faults,
        [
            "SecureBoot: neither yes nor no",
            "SetupMode: neither yes nor no",
            "db: a list is cut off",
            "db: entry 1 is no certificate",
            "dbx: the variable is cut off",
        ]
    );
}

#[test]
fn another_start_no_secure_boot_and_no_variables_are_three_answers() {
    let reading = |host: &Host| {
        let budget = ample();
        let mut look = Look::new(host, &budget, "test");
        probe(&mut look)
    };
    let (_dir, legacy) = host(&[("sys/class/net/lo/address", "")]);
    assert!(matches!(reading(&legacy), Reading::Absent(_)));
    let (_dir, old) = machine(&[("BootOrder", GLOBAL, &[0, 0])]);
    assert_eq!(reading(&old), Reading::Absent(format!("{DIRECTORY} has no Secure Boot")));
    let (_dir, hidden) = machine(&[]);
    assert_eq!(lines(&hidden).0, ["secure-boot: unknown"]);
}
