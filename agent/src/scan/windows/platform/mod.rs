//! The operating system and the machine it runs on: exactly one row.
//!
//! Sources of truth: the registry for what Windows says it is, the file version of the kernel's image,
//! and calls for what only the running system knows.
//!
//! **Boot id.** `COUNTER-TIME`: the counter `BootId` of the prefetcher's parameters, which the kernel
//! itself raises by one while it starts (also where prefetching is off), and the time of the boot by the
//! clock of that moment, in units of 100 ns since 1601. The kernel shifts its record of the boot
//! time with every change of the clock and keeps the sum of the shifts beside it; their difference never
//! moves (`SystemTimeOfDayInformation`: `BootTime` less `BootTimeBias`). Neither alone would do:
//! under a write filter the counter starts from the same value each time, and with an empty clock battery
//! the time does. Waking from sleep or from hibernation, and a start by Fast Startup, are no boots: the
//! same kernel goes on. Known lie: whoever writes the counter by hand changes the id once.
//!
//! **Running kernel.** Nothing says which revision runs. The image on disk runs when servicing waits for
//! nothing and the file was there, as it is, before the boot; otherwise the field stays empty.

mod kernel;
mod release;
mod restart;
mod time_sources;

use holdpoint_common::row::{IdentityPart, PlatformRow, SectionKind};

use super::firmware::smbios;
use super::values::{self, Values};
use crate::host::Reads;
use crate::scan::linux::virtualization::judge;
use crate::scan::look::Outcome;
use crate::scan::probe::Probe;
use crate::scan::{Look, Reading};

pub(super) use kernel::{READS as KERNEL_READS, file_version, running};
pub(super) use release::{READS as RELEASE_READS, Release, read as read_release};
pub(super) use restart::{READS as RESTART_READS, read as read_marks};

const ENVIRONMENT: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment";
const NETWORK: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";
const PREFETCHER: &str =
    r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters";
const CRYPTOGRAPHY: &str = r"HKLM\SOFTWARE\Microsoft\Cryptography";
/// What firmware says of the machine, made anew at every start.
const BIOS: &str = r"HKLM\HARDWARE\DESCRIPTION\System\BIOS";
/// The same, kept on disk since the last start.
const BIOS_KEPT: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\SystemInformation";

/// What this probe may touch beside what its parts may.
const READS: &[Reads] = &[
    Reads::key(ENVIRONMENT),
    Reads::key(NETWORK),
    Reads::key(PREFETCHER),
    Reads::key(CRYPTOGRAPHY),
    Reads::key(BIOS),
    Reads::key(BIOS_KEPT),
];

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[Probe {
    name: "windows/platform",
    kind: SectionKind::Platform,
    reads: &[
        READS,
        release::READS,
        restart::READS,
        time_sources::READS,
        kernel::READS,
        smbios::IDENTITY_READS,
    ],
    run: probe,
}];

/// Reads the platform.
fn probe(look: &mut Look<'_>) -> Reading {
    let Some(release) = release::read(look) else {
        return look.missing("the registry has no key of Windows's own version");
    };
    let marks = restart::read(look);
    let image = kernel::file_version(look);
    let row = PlatformRow {
        source: "windows/platform".to_owned(),
        hostname: hostname(look),
        os_id: Some("windows".to_owned()),
        os_name: release.name,
        os_version: release.version,
        build: release.build.as_ref().map(ToString::to_string),
        edition: release.edition,
        architecture: architecture(look),
        kernel_running: kernel::running(look, &marks, image.as_deref()),
        kernel_newest: image,
        boot_id: boot_id(look),
        restart_pending: marks.pending(),
        restart_reasons: marks.list.into_iter().map(|it| it.reason).collect(),
        time_sources: time_sources::read(look),
        virtualization: virtualization(look),
        identity: identity(look),
        installation_type: release.installation,
    };
    Reading::of(&[row])
}

/// The name that the host has now; that of an image is the one that it will have.
fn hostname(look: &mut Look<'_>) -> Option<String> {
    [(NETWORK, "Hostname"), (restart::ACTIVE_NAME, "ComputerName"), (restart::NAME, "ComputerName")]
        .into_iter()
        .find_map(|(key, name)| restart::text(look, key, name))
}

/// The machine's architecture in the words of the other systems.
pub(super) fn architecture(look: &mut Look<'_>) -> Option<String> {
    let own = restart::text(look, ENVIRONMENT, "PROCESSOR_ARCHITECTURE")?;
    Some(match own.to_ascii_uppercase().as_str() {
        "AMD64" => "x86_64".to_owned(),
        "ARM64" => "aarch64".to_owned(),
        "X86" => "x86".to_owned(),
        _ => own,
    })
}

/// What [`architecture`] may touch.
pub(super) const ARCHITECTURE_READS: &[Reads] = &[Reads::key(ENVIRONMENT)];

/// Changes with every boot and at no other time; `None` for a machine that does not run, and where a
/// part of it could not be read: half an id would be another id.
fn boot_id(look: &mut Look<'_>) -> Option<String> {
    let windows = look.host.windows.clone()?;
    let begun = look.note("time of the boot", windows.system.booted())?;
    let counter = match look.registry_outcome(PREFETCHER, "BootId") {
        Outcome::Seen(data) => data.number()?,
        Outcome::Absent => 0,
        Outcome::Denied => {
            look.fault(format!("{PREFETCHER}: permission denied, so that the boot has no id"));
            return None;
        }
        Outcome::Failed(_) => return None,
    };
    Some(format!("{counter}-{begun:016x}"))
}

/// What runs below, as firmware says it. Known lie: a hypervisor can hide itself.
fn virtualization(look: &mut Look<'_>) -> Option<String> {
    let mut fields = [None, None, None];
    for key in [BIOS, BIOS_KEPT] {
        let values = look.registry_values(key).map(Values::new).unwrap_or_default();
        for (field, name) in fields.iter_mut().zip(["SystemManufacturer", "SystemProductName", "BIOSVendor"])
        {
            if field.is_none() {
                *field = values.text(name).map(|it| it.to_lowercase());
            }
        }
    }
    judge(&fields, false).map(str::to_owned)
}

/// What tells this machine from another: of the installation, and of its firmware.
fn identity(look: &mut Look<'_>) -> Vec<IdentityPart> {
    let mut parts = Vec::new();
    let guid = look.registry_value(CRYPTOGRAPHY, "MachineGuid").as_ref().and_then(values::text);
    let is_guid = |it: &String| {
        let digits = it.bytes().filter(u8::is_ascii_hexdigit);
        it.len() == 36 && digits.clone().count() == 32 && digits.clone().any(|it| it != b'0')
    };
    let guid = guid.map(|it| it.to_lowercase()).filter(is_guid);
    parts.extend(guid.map(|value| IdentityPart { kind: "machine-id".to_owned(), value }));
    parts.extend(smbios::identity(look));
    parts
}

#[cfg(test)]
mod tests;
