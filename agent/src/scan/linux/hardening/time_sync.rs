//! Who sets this host's clock, and from where.
//!
//! Sources of truth: units that are enabled, the configuration of chrony, timesyncd and ntpd (shared
//! with the platform), PTP clocks of the kernel, `etc/adjtime`. How far the clock is off moves by itself
//! and is never here; whether a daemon runs is in the section `services`.

use super::super::time_sources;
use super::layers::{digest, enabled};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/class/ptp"),
    Reads::content("sys/devices/**/ptp/*/clock_name"),
    Reads::content("etc/adjtime"),
    Reads::content("etc/linuxptp/ptp4l.conf"),
    Reads::content("etc/ptp4l.conf"),
];

const CHECKS: &[&str] = &["L16"];
const MAX_CLOCKS: usize = 64;
const MAX_BYTES: usize = 256 * 1024;

/// Units that set a clock; an instance counts as its template.
const DAEMONS: [&str; 11] = [
    "chrony.service",
    "chronyd.service",
    "systemd-timesyncd.service",
    "ntp.service",
    "ntpd.service",
    "ntpsec.service",
    "openntpd.service",
    "ptp4l.service",
    "ptp4l@.service",
    "phc2sys.service",
    "phc2sys@.service",
];

/// Reads who sets the clock.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut rows = Vec::new();
    let units = enabled(look);
    let is_daemon = |unit: &&String| {
        let template = unit.split_once('@').map(|it| format!("{}@.service", it.0));
        DAEMONS.contains(&unit.as_str()) || template.is_some_and(|it| DAEMONS.contains(&it.as_str()))
    };
    let sources = time_sources::read(look);
    if !units.is_empty() || !sources.is_empty() {
        let daemons: Vec<String> = units.iter().filter(is_daemon).cloned().collect();
        rows.push(Fact::new("time.enabled", CHECKS, "etc/systemd/system/*.wants").list(daemons));
        rows.push(Fact::new("time.sources", CHECKS, "chrony, timesyncd, ntpd").list(sources));
    }
    if let Some(listing) = look.list("sys/class/ptp", MAX_CLOCKS) {
        let mut clocks = Vec::new();
        for entry in &listing.entries {
            let name = look.value(&format!("sys/class/ptp/{}/clock_name", entry.name));
            clocks.push(format!("{}: {}", entry.name, name.as_deref().unwrap_or("?")));
        }
        rows.push(Fact::new("time.ptp_clocks", CHECKS, "sys/class/ptp").list(clocks));
    }
    for file in ["etc/linuxptp/ptp4l.conf", "etc/ptp4l.conf"] {
        if let Some(bytes) = look.bytes(file, MAX_BYTES) {
            rows.push(Fact::new("time.ptp4l_configuration", CHECKS, file).text(&digest(&bytes)));
        }
    }
    if let Some(text) = look.text("etc/adjtime", MAX_BYTES) {
        // The two lines before it are drift and calibration, which move.
        if let Some(zone) = text.lines().nth(2).map(str::trim).filter(|it| matches!(*it, "UTC" | "LOCAL")) {
            rows.push(Fact::new("time.hardware_clock", CHECKS, "etc/adjtime").text(zone));
        }
    }
    if rows.is_empty() {
        return look.missing("nothing here sets a clock");
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
    fn daemons_sources_and_clocks_are_listed() {
        let (dir, host) = host(&[
            ("etc/systemd/system/multi-user.target.wants/chrony.service", ""),
            ("etc/systemd/system/multi-user.target.wants/ptp4l@eth0.service", ""),
            ("etc/systemd/system/multi-user.target.wants/ssh.service", ""),
            ("etc/chrony/chrony.conf", "server gps.plant\n"),
            ("sys/devices/virtual/ptp/ptp0/clock_name", "KVM virtual PTP\n"),
            ("sys/class/ptp/README", ""),
            ("etc/adjtime", "0.0 1700000000 0.0\n1700000000\nLOCAL\n"),
        ]);
        std::fs::remove_file(dir.path().join("sys/class/ptp/README")).unwrap();
        symlink("../../devices/virtual/ptp/ptp0", dir.path().join("sys/class/ptp/ptp0")).unwrap();
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let items = |id: &str| match &rows.iter().find(|it| it.id == id).unwrap().value {
            Some(Value::List(list)) => list.items.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(items("time.enabled"), ["chrony.service", "ptp4l@eth0.service"]);
        assert_eq!(items("time.sources"), ["gps.plant"]);
        assert_eq!(items("time.ptp_clocks"), ["ptp0: KVM virtual PTP"]);
        assert!(rows.iter().any(|it| it.value == Some(Value::Text("LOCAL".into()))));
    }
}
