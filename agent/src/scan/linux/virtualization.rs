//! What a system runs on: hardware, a hypervisor, or another system's kernel.
//!
//! Sources of truth: the marks that container engines leave (`run/systemd/container`,
//! `.dockerenv`, `run/.containerenv`), the DMI vendor and product, and the CPU flag
//! `hypervisor`. Known lie: a hypervisor can hide itself from all of them.

use crate::host::Reads;
use crate::scan::Look;

/// What this source may touch.
pub(super) const READS: &[Reads] = &[
    Reads::metadata("run/systemd/container"),
    Reads::metadata(".dockerenv"),
    Reads::metadata("run/.containerenv"),
    Reads::content("sys/class/dmi/id/*"),
    Reads::content("sys/devices/virtual/dmi/id/*"),
];

/// A word of a DMI field and the hypervisor that writes it.
const KNOWN: [(&str, &str); 11] = [
    ("qemu", "kvm"),
    ("kvm", "kvm"),
    ("vmware", "vmware"),
    ("virtualbox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("virtual machine", "hyper-v"),
    ("xen", "xen"),
    ("parallels", "parallels"),
    ("bhyve", "bhyve"),
    ("google compute engine", "kvm"),
    ("amazon ec2", "kvm"),
];

/// Names what runs below; `None` when nothing says it.
pub(super) fn detect(look: &mut Look<'_>, cpuinfo: Option<&str>) -> Option<String> {
    if is_container(look) {
        return Some("container".to_owned());
    }
    let fields = ["sys_vendor", "product_name", "bios_vendor"]
        .map(|it| look.value(&format!("sys/class/dmi/id/{it}")).map(|it| it.to_lowercase()));
    let flagged = cpuinfo.is_some_and(|it| {
        it.lines()
            .any(|line| line.starts_with("flags") && line.split_whitespace().any(|it| it == "hypervisor"))
    });
    judge(&fields, flagged).map(str::to_owned)
}

/// Whether a container engine left its mark.
pub(super) fn is_container(look: &mut Look<'_>) -> bool {
    ["run/systemd/container", ".dockerenv", "run/.containerenv"].iter().any(|it| look.exists(it))
}

/// What the maker, the product and the BIOS's maker say, in lower case; `flagged` where the processor says
/// that it is not a real one.
pub(in crate::scan) fn judge(fields: &[Option<String>; 3], flagged: bool) -> Option<&'static str> {
    let text: Vec<&str> = fields.iter().flatten().map(String::as_str).collect();
    // A metal instance of a cloud says the cloud's name and has no hypervisor.
    let is_metal = text.iter().any(|it| it.ends_with(".metal"));
    let known = KNOWN.iter().find(|(word, _)| text.iter().any(|it| it.contains(word)));
    match known {
        Some((_, name)) if !is_metal => Some(name),
        _ if flagged => Some("hypervisor"),
        _ if !text.is_empty() => Some("physical"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(vendor: &str, product: &str, flagged: bool) -> Option<&'static str> {
        let field = |it: &str| Some(it.to_lowercase()).filter(|it| !it.is_empty());
        judge(&[field(vendor), field(product), None], flagged)
    }

    #[test]
    fn common_platforms_are_told_apart() {
        assert_eq!(says("QEMU", "Standard PC (Q35 + ICH9, 2009)", true), Some("kvm"));
        assert_eq!(says("VMware, Inc.", "VMware7,1", true), Some("vmware"));
        assert_eq!(says("Microsoft Corporation", "Virtual Machine", true), Some("hyper-v"));
        assert_eq!(says("Microsoft Corporation", "Surface Pro 7", false), Some("physical"));
        assert_eq!(says("Amazon EC2", "c5.metal", false), Some("physical"));
        assert_eq!(says("SIEMENS AG", "SIMATIC IPC427E", false), Some("physical"));
    }

    #[test]
    fn without_firmware_tables_only_the_flag_speaks() {
        assert_eq!(says("", "", true), Some("hypervisor"));
        assert_eq!(says("", "", false), None);
    }
}
