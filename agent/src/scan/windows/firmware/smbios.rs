//! BIOS or UEFI, system, boards, chassis; and what of it tells one machine from another.
//!
//! Sources of truth: the SMBIOS tables as Windows hands them out (`GetSystemFirmwareTable`), which every
//! user may ask; where they are broken or there is no running system, the excerpts that Windows keeps in
//! the registry: `HARDWARE\DESCRIPTION\System\BIOS`, which is made at every start and in no hive file, then
//! `SYSTEM\HardwareConfig`, which stays (since Windows 8) and is of the last start. Never two of them.
//!
//! Known lies: those of the tables themselves; placeholders of vendors are left out.

use holdpoint_common::row::IdentityPart;

use crate::host::Reads;
use crate::scan::firmware::dmi::{self, is_placeholder};
use crate::scan::firmware::signatures;
use crate::scan::firmware::smbios::{Handed, Structures};
use crate::scan::{Look, Outcome, Reading};

const EXCERPT: &str = r"HKLM\HARDWARE\DESCRIPTION\System\BIOS";
const KEPT: &str = r"HKLM\SYSTEM\HardwareConfig";
/// The key that only machines have which started by UEFI.
const SECURE_BOOT: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\SecureBoot\State";

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    &[
        Reads::key(r"HKLM\HARDWARE\DESCRIPTION\System\BIOS"),
        Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Control\SecureBoot\State"),
    ],
    IDENTITY_READS,
];

/// What [`identity`] touches.
pub const IDENTITY_READS: &[Reads] =
    &[Reads::key(r"HKLM\SYSTEM\HardwareConfig"), Reads::key(r"HKLM\SYSTEM\HardwareConfig\*")];

/// Values of the excerpts by the names that Linux gives them.
const NAMES: [(&str, &str); 9] = [
    ("bios_vendor", "BIOSVendor"),
    ("bios_version", "BIOSVersion"),
    ("bios_date", "BIOSReleaseDate"),
    ("sys_vendor", "SystemManufacturer"),
    ("product_name", "SystemProductName"),
    ("product_version", "SystemVersion"),
    ("board_vendor", "BaseBoardManufacturer"),
    ("board_name", "BaseBoardProduct"),
    ("board_version", "BaseBoardVersion"),
];
/// Releases that are told in two numbers.
const RELEASES: [(&str, &str, &str); 2] = [
    ("bios_release", "BiosMajorRelease", "BiosMinorRelease"),
    ("ec_firmware_release", "ECFirmwareMajorRelease", "ECFirmwareMinorRelease"),
];

/// From this version on the first numbers of a machine's identifier are little endian.
const LITTLE_ENDIAN: (u8, u8) = (2, 6);

/// Reads the tables, or what Windows kept of them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let uefi = started_by_uefi(look);
    if let Some(bytes) = handed(look) {
        match Handed::parse(&bytes) {
            Ok(it) => {
                let tables = Structures::read(it.entry, it.tables);
                if let Some(why) = tables.fault {
                    look.fault(format!("SMBIOS: {why}"));
                }
                let rows = dmi::described(&tables, uefi);
                if !rows.is_empty() {
                    return Reading::of(&rows);
                }
            }
            Err(why) => look.fault(format!("SMBIOS: {why}")),
        }
    }
    let Some(key) = excerpt(look) else {
        return look.missing("there are neither SMBIOS tables nor an excerpt of them");
    };
    Reading::of(&dmi::excerpt(uefi, |name| value(look, &key, name)))
}

/// The tables of the running system, with their header.
pub(super) fn handed(look: &mut Look<'_>) -> Option<Vec<u8>> {
    let windows = look.host.windows.clone()?;
    let result = look.in_time().and_then(|()| windows.hardware.smbios());
    look.note("SMBIOS", result)
}

/// How the machine started; `None` where nobody says it.
fn started_by_uefi(look: &mut Look<'_>) -> Option<bool> {
    if let Some(windows) = look.host.windows.clone() {
        let result = look.in_time().and_then(|()| windows.hardware.started_by_uefi());
        if let Outcome::Seen(uefi) = look.outcome("how the machine started", result) {
            return Some(uefi);
        }
    }
    look.registry_values(SECURE_BOOT).map(|_| true)
}

/// The key of the excerpt that is there.
fn excerpt(look: &mut Look<'_>) -> Option<String> {
    if look.registry_values(EXCERPT).is_some() {
        return Some(EXCERPT.to_owned());
    }
    let key = format!(r"{KEPT}\{}", last(look)?);
    look.registry_values(&key).map(|_| key)
}

/// The identifier of the machine that this Windows ran on last, in braces.
fn last(look: &mut Look<'_>) -> Option<String> {
    let id = look.registry_value(KEPT, "LastConfig")?.text()?.trim().to_owned();
    let inner = id.strip_prefix('{')?.strip_suffix('}')?;
    let is_id = inner.len() == 36 && inner.bytes().all(|it| it.is_ascii_hexdigit() || it == b'-');
    is_id.then_some(id)
}

fn value(look: &mut Look<'_>, key: &str, name: &str) -> Option<String> {
    if let Some((_, value)) = NAMES.iter().find(|(it, _)| *it == name) {
        let text = look.registry_value(key, value)?.text()?.trim().to_owned();
        return (!text.is_empty()).then_some(text);
    }
    let (_, major, minor) = RELEASES.iter().find(|(it, _, _)| *it == name)?;
    let mut number = |value: &str| look.registry_value(key, value)?.number();
    Some(format!("{}.{}", number(major)?, number(minor)?))
}

/// The parts of SMBIOS that tell one machine from another: `smbios-uuid`, `smbios-serial`,
/// `board-serial`, written as Linux writes them. Placeholders are left out. A machine that does not run
/// says the identifier that Windows kept of it.
pub fn identity(look: &mut Look<'_>) -> Vec<IdentityPart> {
    let mut parts = Vec::new();
    let mut add = |kind: &str, value: Option<String>| {
        let value = value.map(|it| it.to_lowercase()).filter(|it| !is_placeholder(it));
        parts.extend(value.map(|value| IdentityPart { kind: kind.to_owned(), value }));
    };
    let bytes = handed(look);
    match bytes.as_deref().and_then(|it| Handed::parse(it).ok()) {
        Some(it) => {
            let tables = Structures::read(it.entry, it.tables);
            let system = tables.of(1).next();
            let uuid = system.and_then(|system| system.bytes(8, 16));
            add("smbios-uuid", uuid.map(|uuid| written(uuid, it.version)));
            add("smbios-serial", system.and_then(|it| it.text(7)));
            add("board-serial", tables.of(2).next().and_then(|it| it.text(7)));
        }
        None => {
            let id = last(look);
            add("smbios-uuid", id.map(|it| it.trim_matches(['{', '}']).to_owned()));
        }
    }
    parts
}

/// An identifier as it is written: older tables have all of it in the order of writing.
fn written(uuid: &[u8], version: (u8, u8)) -> String {
    if version >= LITTLE_ENDIAN {
        return signatures::guid(uuid);
    }
    let mut swapped = uuid.to_vec();
    for part in [0..4, 4..6, 6..8] {
        if let Some(it) = swapped.get_mut(part) {
            it.reverse();
        }
    }
    signatures::guid(&swapped)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::windows::{Answer, hardware, recorded};
    use crate::host::{Host, Windows};
    use crate::scan::firmware::dmi::tests::server;
    use crate::scan::firmware::smbios::tests::{handed, structure};
    use crate::scan::look::tests::{ample, rows_of, windows_host};
    use holdpoint_common::row::FirmwareRow;
    use std::sync::Arc;

    /// A running machine with these answers and keys.
    pub(in super::super) fn machine(hardware: hardware::Recorded, reg: &str) -> (tempfile::TempDir, Host) {
        let (dir, mut host) = windows_host(reg);
        host.windows = Some(Windows { hardware: Arc::new(hardware), ..recorded() });
        (dir, host)
    }

    /// What every row says, beside its source.
    pub(in super::super) fn lines(
        host: &Host,
        probe: fn(&mut Look<'_>) -> Reading,
    ) -> (Vec<String>, Vec<String>) {
        let (rows, faults, _) = rows_of::<FirmwareRow>(host, probe);
        let line = |it: &FirmwareRow| {
            let fields = [&it.name, &it.vendor, &it.model, &it.version, &it.date, &it.serial, &it.state];
            let said: Vec<&str> = fields.into_iter().flatten().map(String::as_str).collect();
            format!("{}: {}", it.kind, said.join(" | "))
        };
        (rows.iter().map(line).collect(), faults)
    }

    const KEYS: &str = r#"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\SecureBoot\State]
"UEFISecureBootEnabled"=dword:00000001

[HKEY_LOCAL_MACHINE\HARDWARE\DESCRIPTION\System\BIOS]
"BIOSVendor"="SIEMENS AG"
"BIOSVersion"="V25.02.07"
"BIOSReleaseDate"="03/11/2021"
"BiosMajorRelease"=dword:00000005
"BiosMinorRelease"=dword:0000000c
"ECFirmwareMajorRelease"=dword:000000ff
"ECFirmwareMinorRelease"=dword:000000ff
"SystemManufacturer"="SIEMENS AG"
"SystemProductName"="SIMATIC IPC427E"
"SystemVersion"="Default string"
"#;

    const KEPT_KEYS: &str = r#"
[HKEY_LOCAL_MACHINE\SYSTEM\HardwareConfig]
"LastConfig"="{4C4C4544-0042-3510-8051-B4C04F313232}"

[HKEY_LOCAL_MACHINE\SYSTEM\HardwareConfig\{4C4C4544-0042-3510-8051-B4C04F313232}]
"BIOSVersion"="V25.02.07"
"SystemManufacturer"="SIEMENS AG"
"SystemProductName"="SIMATIC IPC427E"
"#;

    #[test]
    fn the_tables_give_the_same_rows_as_on_linux() {
        let hardware = hardware::Recorded {
            smbios: handed(&server()).into(),
            started_by_uefi: true.into(),
            ..hardware::Recorded::default()
        };
        let (_dir, host) = machine(hardware, KEYS);
        let (rows, faults) = lines(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            rows[..3],
            [
                "bios: uefi | Dell Inc. | 2.19.1 | 06/04/2023",
                "device: bios-release | 2.19",
                "system: Dell Inc. | PowerEdge R740 | 4XK2B93",
            ]
        );
        assert_eq!(rows.len(), 6, "the excerpt adds nothing: {rows:?}");
    }

    #[test]
    fn without_tables_the_excerpt_speaks_then_what_was_kept() {
        let (_dir, host) = windows_host(KEYS);
        let (rows, faults) = lines(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            rows,
            [
                "bios: uefi | SIEMENS AG | V25.02.07 | 03/11/2021",
                "device: bios-release | 5.12",
                "system: SIEMENS AG | SIMATIC IPC427E",
            ]
        );
        let (_dir, host) = windows_host(KEPT_KEYS);
        let (rows, faults) = lines(&host, probe);
        assert_eq!(rows, ["bios: V25.02.07", "system: SIEMENS AG | SIMATIC IPC427E"]);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn broken_tables_are_a_gap_and_the_excerpt_still_speaks() {
        for (bytes, why) in [
            (vec![0; 4], "SMBIOS: the entry point is cut off"),
            (handed(&[0; 64]), "SMBIOS: a structure is cut off or broken"),
        ] {
            let hardware = hardware::Recorded { smbios: bytes.into(), ..hardware::Recorded::default() };
            let (_dir, host) = machine(hardware, KEYS);
            let (rows, faults) = lines(&host, probe);
            assert_eq!((rows.len(), faults), (3, vec![why.to_owned()]));
        }
    }

    #[test]
    fn a_machine_without_any_of_it_has_no_such_source() {
        let (_dir, host) = windows_host("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]");
        let budget = ample();
        let reading = probe(&mut Look::new(&host, &budget, "test"));
        let expected = "there are neither SMBIOS tables nor an excerpt of them";
        assert_eq!(reading, Reading::Absent(expected.into()));
    }

    fn parts(host: &Host) -> Vec<(String, String)> {
        let budget = ample();
        let found = identity(&mut Look::new(host, &budget, "test"));
        found.into_iter().map(|it| (it.kind, it.value)).collect()
    }

    fn said(kind: &str, value: &str) -> (String, String) {
        (kind.to_owned(), value.to_owned())
    }

    #[test]
    fn an_identifier_is_written_as_linux_writes_it() {
        let uuid: Vec<u8> = (0x10..0x20).collect();
        let system = [&[1, 2, 0, 3][..], &uuid, &[0; 3]].concat();
        let board = [1, 2, 0, 3];
        let tables = [
            structure(1, 1, &system, &["Acme", "HMI", "SVPK1234567"]),
            structure(2, 2, &board, &["Acme", "B1", "To be filled by O.E.M."]),
            structure(127, 3, &[], &[]),
        ]
        .concat();
        for (version, id) in [
            ([2, 8], "13121110-1514-1716-1819-1a1b1c1d1e1f"),
            ([2, 5], "10111213-1415-1617-1819-1a1b1c1d1e1f"),
        ] {
            let mut bytes = handed(&tables);
            bytes[1..3].copy_from_slice(&version);
            let hardware = hardware::Recorded { smbios: bytes.into(), ..hardware::Recorded::default() };
            let (_dir, host) = machine(hardware, KEPT_KEYS);
            assert_eq!(parts(&host), [said("smbios-uuid", id), said("smbios-serial", "svpk1234567")]);
        }
    }

    #[test]
    fn a_machine_that_does_not_run_says_the_identifier_that_was_kept() {
        let (_dir, host) = windows_host(KEPT_KEYS);
        assert_eq!(parts(&host), [said("smbios-uuid", "4c4c4544-0042-3510-8051-b4c04f313232")]);
        for id in ["FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "..\\\\..\\\\x"] {
            let (_dir, host) = windows_host(&KEPT_KEYS.replace("4C4C4544-0042-3510-8051-B4C04F313232", id));
            assert_eq!(parts(&host), []);
        }
    }

    #[test]
    fn a_refusal_is_a_gap_of_the_tables_alone() {
        let hardware =
            hardware::Recorded { started_by_uefi: Answer::denied(), ..hardware::Recorded::default() };
        let (_dir, host) = machine(hardware, KEYS);
        let (rows, faults) = lines(&host, probe);
        assert_eq!(rows[0], "bios: uefi | SIEMENS AG | V25.02.07 | 03/11/2021");
        assert!(faults.is_empty(), "the registry says it too: {faults:?}");
    }
}
