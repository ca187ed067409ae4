//! What decides about a device that somebody plugs in.
//!
//! Sources of truth: `authorized_default` of each USB host controller (0: nothing is used before it
//! is authorized, 2: only what is inside), and `USBGuard`'s configuration, which its packages make
//! readable for root alone. Rules name serial numbers of devices: only their digest and number are said.

use super::layers::{assignments, digest, number_or_text, tell};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/bus/usb/devices"),
    Reads::content("sys/devices/**/authorized_default"),
    Reads::content("etc/usbguard/usbguard-daemon.conf"),
    Reads::content("etc/usbguard/rules.conf"),
];

const DEVICES: &str = "sys/bus/usb/devices";
const DAEMON: &str = "etc/usbguard/usbguard-daemon.conf";
const RULES: &str = "etc/usbguard/rules.conf";
const MAX_DEVICES: usize = 4_096;
const MAX_BYTES: usize = 1024 * 1024;

/// `USBGuard`'s keys and the facts that they are.
const KEYS: [(&str, &str); 4] = [
    ("ImplicitPolicyTarget", "usbguard.implicit_policy"),
    ("PresentDevicePolicy", "usbguard.present_device_policy"),
    ("InsertedDevicePolicy", "usbguard.inserted_device_policy"),
    ("RestoreControllerDeviceState", "usbguard.restore_controller_state"),
];

/// Reads controllers and `USBGuard`.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut rows = Vec::new();
    let listing = look.list(DEVICES, MAX_DEVICES);
    for entry in listing.into_iter().flat_map(|it| it.entries) {
        let is_host = entry.name.strip_prefix("usb").is_some_and(|it| it.parse::<u16>().is_ok());
        if is_host {
            let path = format!("{DEVICES}/{}/authorized_default", entry.name);
            let fact = Fact::new("usb.authorized_default", &["L10"], &path).about(&entry.name);
            let outcome = look.value_or_state(&path);
            rows.push(tell(fact, outcome, "needs root", |fact, value| number_or_text(fact, &value)));
        }
    }
    let read = look.in_time().and_then(|()| look.host.root.read(DAEMON, MAX_BYTES));
    match look.outcome(DAEMON, read) {
        Outcome::Absent => {}
        Outcome::Seen(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            for (key, id) in KEYS {
                let fact = Fact::new(id, &["L10"], DAEMON);
                let value = assignments(&text).filter(|it| it.0 == key).last();
                rows.push(match value {
                    Some((_, value)) => fact.text(value),
                    None => fact.because("the file does not say it").absent(),
                });
            }
            let rules = look.in_time().and_then(|()| look.host.root.read(RULES, MAX_BYTES));
            let rules = look.outcome(RULES, rules);
            let fact = Fact::new("usbguard.rules", &["L10"], RULES);
            rows.push(tell(fact, rules, "needs root", |fact, bytes| {
                let text = String::from_utf8_lossy(&bytes);
                let count = text.lines().filter(|it| !it.trim().is_empty() && !it.starts_with('#')).count();
                fact.because(format!("{count} rules")).text(&digest(&bytes))
            }));
        }
        Outcome::Denied => {
            rows.push(Fact::new("usbguard.implicit_policy", &["L10"], DAEMON).because("needs root").denied());
        }
        Outcome::Failed(why) => {
            rows.push(Fact::new("usbguard.implicit_policy", &["L10"], DAEMON).because(why).error());
        }
    }
    if rows.is_empty() {
        return look.missing("neither USB controllers nor USBGuard are there");
    }
    Reading::of(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};
    use holdpoint_common::row::HardeningRow;
    use holdpoint_common::row::hardening_row::Value;
    use std::os::unix::fs::symlink;

    #[test]
    fn controllers_and_usbguard_say_what_they_decide() {
        let (dir, host) = host(&[
            ("sys/devices/pci0000:00/0000:00:14.0/usb1/authorized_default", "1\n"),
            ("sys/bus/usb/devices/1-1/authorized_default", "5\n"),
            (DAEMON, "# x\nImplicitPolicyTarget=block\nPresentDevicePolicy=apply-policy\n"),
            (RULES, "allow id 1d6b:0002 serial \"x\"\n\n"),
        ]);
        symlink("../../../devices/pci0000:00/0000:00:14.0/usb1", dir.path().join("sys/bus/usb/devices/usb1"))
            .unwrap();
        let host = host.limited_to(crate::host::ReadList::new(READS));
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let find = |id: &str| rows.iter().find(|it| it.id == id).unwrap();
        assert_eq!(find("usb.authorized_default").value, Some(Value::Number(1)));
        assert_eq!(find("usb.authorized_default").subject.as_deref(), Some("usb1"));
        assert_eq!(find("usbguard.implicit_policy").value, Some(Value::Text("block".into())));
        assert_eq!(find("usbguard.inserted_device_policy").state, "absent");
        assert_eq!(find("usbguard.rules").reason.as_deref(), Some("1 rules"));
    }
}
