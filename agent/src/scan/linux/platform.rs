//! The operating system and the machine it runs on: exactly one row.
//!
//! Sources of truth: os-release, `proc/sys/kernel`, kernels on disk, the marks of package
//! managers that want a restart, and the identifiers of firmware and network cards. Serial
//! numbers need root; without it the section is partial and says so. A host without any of
//! these files is no Linux system that this probe knows.

use holdpoint_common::row::{IdentityPart, PlatformRow};

use super::{kernel, release, time_sources, virtualization};
use crate::host::Reads;
use crate::scan::firmware::dmi;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("proc/sys/kernel/osrelease"),
    Reads::content("proc/sys/kernel/random/boot_id"),
    Reads::content("proc/cpuinfo"),
    Reads::content("etc/hostname"),
    Reads::content("etc/machine-id"),
    Reads::content("var/lib/dbus/machine-id"),
    Reads::metadata("run/reboot-required"),
    Reads::content("run/reboot-required.pkgs"),
    Reads::content("sys/class/dmi/id/*"),
    Reads::content("sys/devices/virtual/dmi/id/*"),
    Reads::content("sys/class/net/*/address"),
    Reads::content("sys/class/net/*/addr_assign_type"),
    Reads::content("sys/devices/**/net/*/address"),
    Reads::content("sys/devices/**/net/*/addr_assign_type"),
    Reads::metadata("sys/class/net/*/device/subsystem"),
    Reads::metadata("sys/devices/**"),
];

const MAX_CPUINFO: usize = 4 * 1024 * 1024;
const MAX_NICS: usize = 1_024;
const MAX_PACKAGES: usize = 64 * 1024;
/// Most packages named as reason of a pending restart.
const MAX_REASONS: usize = 64;

/// Reads the platform.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let release = release::read(look);
    let live = look.host.live.clone();
    let kernel_running = look.value("proc/sys/kernel/osrelease");
    if release.is_none() && kernel_running.is_none() {
        let why = "neither etc/os-release nor a running kernel is here";
        return look.missing(why);
    }
    let release = release.unwrap_or_default();
    let cpuinfo = look.text("proc/cpuinfo", MAX_CPUINFO);
    let virtualization = virtualization::detect(look, cpuinfo.as_deref());
    let in_container = virtualization.as_deref() == Some("container");
    // A container runs its host's kernel; what lies in its own file system is never booted.
    let kernel_newest = if in_container { None } else { kernel::newest(look) };
    let (restart_pending, restart_reasons) =
        restart(look, kernel_running.as_deref(), kernel_newest.as_deref());

    let row = PlatformRow {
        source: "linux/platform".to_owned(),
        hostname: live.as_ref().and_then(|it| it.hostname.clone()).or_else(|| look.value("etc/hostname")),
        os_id: release.id,
        os_name: release.name,
        os_version: release.version,
        build: release.build,
        edition: release.variant,
        architecture: live.and_then(|it| it.architecture),
        kernel_running,
        kernel_newest,
        boot_id: look.value("proc/sys/kernel/random/boot_id"),
        restart_pending,
        restart_reasons,
        time_sources: time_sources::read(look),
        virtualization,
        identity: identity(look),
        installation_type: None,
    };
    Reading::of(&[row])
}

/// Whether something waits for a restart. A missing mark proves nothing, because not every
/// distribution leaves one; "no" needs a comparison of kernels.
fn restart(look: &mut Look<'_>, running: Option<&str>, newest: Option<&str>) -> (Option<bool>, Vec<String>) {
    let mut reasons = Vec::new();
    if look.exists("run/reboot-required") {
        let packages = look.text("run/reboot-required.pkgs", MAX_PACKAGES).unwrap_or_default();
        reasons.extend(packages.lines().map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned));
        reasons.sort_unstable();
        reasons.dedup();
        reasons.truncate(MAX_REASONS);
        if reasons.is_empty() {
            reasons.push("reboot-required".to_owned());
        }
    }
    let order = running.zip(newest).map(|(running, newest)| kernel::compare(running, newest));
    if let (Some(std::cmp::Ordering::Less), Some(newest)) = (order, newest) {
        reasons.push(format!("kernel {newest} is installed and does not run"));
    }
    let pending = if reasons.is_empty() { order.map(|_| false) } else { Some(true) };
    (pending, reasons)
}

fn identity(look: &mut Look<'_>) -> Vec<IdentityPart> {
    let mut parts = Vec::new();
    let mut add = |kind: &str, value: Option<String>| {
        parts.extend(value.map(|value| IdentityPart { kind: kind.to_owned(), value }));
    };
    let machine_id = look.value("etc/machine-id").or_else(|| look.value("var/lib/dbus/machine-id"));
    add("machine-id", machine_id.filter(|it| is_machine_id(it)));
    for (kind, file) in [
        ("smbios-uuid", "product_uuid"),
        ("smbios-serial", "product_serial"),
        ("board-serial", "board_serial"),
    ] {
        let value = look.value(&format!("sys/class/dmi/id/{file}"));
        add(kind, value.map(|it| it.to_lowercase()).filter(|it| !dmi::is_placeholder(it)));
    }
    for address in physical_addresses(look) {
        add("mac", Some(address));
    }
    parts
}

fn is_machine_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|it| it.is_ascii_hexdigit()) && text.bytes().any(|it| it != b'0')
}

/// Permanent hardware addresses of network cards that are built in: those on USB come and go.
fn physical_addresses(look: &mut Look<'_>) -> Vec<String> {
    const PERMANENT: &str = "0";
    let Some(nics) = look.list("sys/class/net", MAX_NICS) else { return Vec::new() };
    let root = &look.host.root;
    let read = |path: String| {
        let bytes = root.read(&path, 4_096).ok()?;
        String::from_utf8(bytes).ok().map(|it| it.trim().to_lowercase())
    };
    let mut addresses: Vec<String> = nics
        .entries
        .iter()
        .map(|it| format!("sys/class/net/{}", it.name))
        .filter(|nic| root.exists(&format!("{nic}/device")))
        .filter(|nic| {
            let bus = root.read_link(&format!("{nic}/device/subsystem"));
            !bus.is_ok_and(|it| it.file_name().is_some_and(|it| it == "usb"))
        })
        .filter(|nic| read(format!("{nic}/addr_assign_type")).is_none_or(|it| it == PERMANENT))
        .filter_map(|nic| read(format!("{nic}/address")))
        .filter(|it| it.len() == 17 && it != "00:00:00:00:00:00" && it != "ff:ff:ff:ff:ff:ff")
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    fn platform(files: &[(&str, &str)]) -> PlatformRow {
        let (_dir, host) = host(files);
        let (rows, _, _) = rows_of::<PlatformRow>(&host, probe);
        assert_eq!(rows.len(), 1);
        rows.into_iter().next().unwrap()
    }

    const RELEASE: (&str, &str) = ("etc/os-release", "ID=debian\nNAME=Debian\nVERSION_ID=12\n");

    #[test]
    fn an_image_that_does_not_run_has_no_kernel_running_and_no_boot() {
        let row = platform(&[RELEASE, ("etc/hostname", "hmi-01\n"), ("boot/vmlinuz-6.1.0-18-amd64", "")]);
        assert_eq!(row.hostname.as_deref(), Some("hmi-01"));
        assert_eq!(row.kernel_newest.as_deref(), Some("6.1.0-18-amd64"));
        assert_eq!((row.kernel_running, row.boot_id, row.architecture), (None, None, None));
        assert_eq!(row.restart_pending, None);
    }

    #[test]
    fn a_newer_kernel_on_disk_waits_for_a_restart() {
        let running = ("proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
        let row = platform(&[RELEASE, running, ("boot/vmlinuz-6.1.0-18-amd64", "")]);
        assert_eq!(row.restart_pending, Some(true));
        assert_eq!(row.restart_reasons, ["kernel 6.1.0-18-amd64 is installed and does not run"]);
        let row = platform(&[RELEASE, running, ("boot/vmlinuz-6.1.0-9-amd64", "")]);
        assert_eq!((row.restart_pending, row.restart_reasons), (Some(false), vec![]));
    }

    #[test]
    fn the_mark_of_the_package_manager_names_its_packages() {
        let row = platform(&[
            RELEASE,
            ("run/reboot-required", "*** System restart required ***"),
            ("run/reboot-required.pkgs", "libc6\nlinux-base\nlibc6\n"),
        ]);
        assert_eq!(row.restart_pending, Some(true));
        assert_eq!(row.restart_reasons, ["libc6", "linux-base"]);
    }

    #[test]
    fn placeholders_are_no_identity() {
        let row = platform(&[
            RELEASE,
            ("etc/machine-id", "uninitialized\n"),
            ("sys/class/dmi/id/product_uuid", "03000200-0400-0500-0006-000700080009\n"),
            ("sys/class/dmi/id/product_serial", "To be filled by O.E.M.\n"),
            ("sys/class/dmi/id/board_serial", "BSS-0123456789\n"),
            ("sys/class/net/eth0/device/vendor", "0x8086"),
            ("sys/class/net/eth0/address", "AA:bb:cc:00:11:22\n"),
            ("sys/class/net/br0/address", "aa:bb:cc:00:11:33\n"),
        ]);
        let parts: Vec<(&str, &str)> =
            row.identity.iter().map(|it| (it.kind.as_str(), it.value.as_str())).collect();
        assert_eq!(parts, [("board-serial", "bss-0123456789"), ("mac", "aa:bb:cc:00:11:22")]);
    }
}
