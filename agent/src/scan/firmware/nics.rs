//! Network cards: identifiers of their bus, the driver that serves them, and their firmware.
//!
//! Source of truth: `sys/class/net/*/device`, world readable, and on a running system the driver's own
//! answer (`ETHTOOL_GDRVINFO`, see [`Live::nics`](crate::host::Live::nics)), which needs no right. The
//! revision of a card's firmware is in no file; in a captured root it is absent. Bridges, tunnels and
//! the like have no device and no row.
//!
//! Known lies: a revision is written as its driver likes, often together with the board's ("1.61,
//! 0x80000f76, 1.2684.0"); many drivers write nothing.

use holdpoint_common::row::FirmwareRow;

use super::dmi::is_placeholder;
use crate::host::{Nics, Reads, is_absent};
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/class/net";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/class/net"),
    Reads::metadata("sys/class/net/*/device"),
    Reads::metadata("sys/class/net/*/device/driver"),
    Reads::content("sys/class/net/*/device/vendor"),
    Reads::content("sys/class/net/*/device/device"),
    Reads::content("sys/devices/**/vendor"),
    Reads::content("sys/devices/**/device"),
    Reads::metadata("sys/devices/**"),
];

const MAX_NICS: usize = 1_024;
const MAX_VALUE: usize = 4_096;

/// Reads one row for each card.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(nics) = look.list(DIRECTORY, MAX_NICS) else {
        return look.missing(format!("{DIRECTORY} is not there"));
    };
    let root = &look.host.root;
    let cards: Vec<_> = nics
        .entries
        .into_iter()
        .filter(|it| root.exists(&format!("{DIRECTORY}/{}/device", it.name)))
        .collect();
    // Without a card there is no question, and so no socket.
    let drivers = look.host.live.as_ref().filter(|_| !cards.is_empty()).and_then(|live| match live.nics() {
        Ok(drivers) => Some(drivers),
        Err(cause) => {
            look.fault(format!("the drivers of network cards: {cause}"));
            None
        }
    });
    let rows: Vec<FirmwareRow> =
        cards.iter().map(|card| describe(look, &card.name, drivers.as_ref())).collect();
    Reading::of(&rows)
}

fn describe(look: &mut Look<'_>, nic: &str, drivers: Option<&Nics>) -> FirmwareRow {
    let root = &look.host.root;
    let value = |name: &str| {
        let bytes = root.read(&format!("{DIRECTORY}/{nic}/{name}"), MAX_VALUE).ok()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let link = root.read_link(&format!("{DIRECTORY}/{nic}/device/driver")).ok();
    let (vendor, model) = (value("device/vendor"), value("device/device"));
    let said = drivers.and_then(|drivers| match look.in_time().and_then(|()| drivers.driver(nic)) {
        Ok(said) => Some(said),
        // It went away meanwhile.
        Err(cause) if is_absent(&cause) => None,
        Err(cause) => {
            look.fault(format!("{DIRECTORY}/{nic}: its driver does not answer: {cause}"));
            None
        }
    });
    let said = said.unwrap_or_default();
    FirmwareRow {
        source: "firmware/nics".to_owned(),
        kind: "nic".to_owned(),
        name: Some(nic.to_owned()),
        vendor,
        model,
        version: said.firmware.filter(|it| !is_placeholder(it)),
        driver: link.and_then(|it| Some(it.file_name()?.to_str()?.to_owned())).or(said.driver),
        ..FirmwareRow::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use crate::scan::look::tests::{host, rows_of};

    #[test]
    fn a_card_has_a_row_and_a_bridge_has_none() {
        let (_dir, host) = host(&[
            ("sys/class/net/eno1/device/vendor", "0x8086\n"),
            ("sys/class/net/eno1/device/device", "0x1533\n"),
            ("sys/class/net/br0/address", "aa:bb:cc:00:11:22\n"),
        ]);
        let (rows, _, _) = rows_of::<FirmwareRow>(&host, probe);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].vendor.as_deref(), rows[0].model.as_deref()), (Some("0x8086"), Some("0x1533")));
        assert_eq!(
            (&rows[0].driver, &rows[0].version),
            (&None, &None),
            "a captured root has no driver to ask"
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_driver_is_where_the_kernel_links_to() {
        let (dir, host) = host(&[("sys/class/net/eno1/device/vendor", "0x8086\n")]);
        let link = dir.path().join("sys/class/net/eno1/device/driver");
        std::os::unix::fs::symlink("../../../../bus/pci/drivers/igb", link).unwrap();
        assert_eq!(rows_of::<FirmwareRow>(&host, probe).0[0].driver.as_deref(), Some("igb"));
    }

    #[test]
    fn every_card_of_this_machine_says_its_driver() {
        let (_dir, mut captured) = host(&[("sys/class/net/lo/address", "00:00:00:00:00:00\n")]);
        captured.live = Host::running().live;
        assert!(rows_of::<FirmwareRow>(&captured, probe).0.is_empty(), "no card, no question");

        let running = Host::running();
        if std::fs::read_dir("/sys/class/net").is_err() {
            println!("left out: this machine shows no network cards");
            return;
        }
        let (rows, faults, _) = rows_of::<FirmwareRow>(&running, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert!(rows.iter().all(|it| it.driver.is_some()), "{rows:#?}");
    }
}
