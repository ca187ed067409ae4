//! Evidence that this host is backed up: which tools and which of their configurations are there.
//!
//! Sources of truth: the programs and configuration files of known tools, the timers that are enabled,
//! snapper's and timeshift's configurations. Only that they are there is read. Whether the last backup
//! worked, free space and free inodes move by themselves and are not said; a site can add its own
//! marker in `facts.d`. A backup made from outside (an image of the virtual machine) leaves nothing here.

use super::layers::enabled;
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::metadata("usr/bin/*"),
    Reads::metadata("usr/sbin/*"),
    Reads::metadata("etc/rsnapshot.conf"),
    Reads::metadata("etc/borgmatic/config.yaml"),
    Reads::metadata("etc/bacula/bacula-fd.conf"),
    Reads::metadata("etc/bareos/bareos-fd.d"),
    Reads::metadata("etc/veeam/veeam.ini"),
    Reads::metadata("etc/timeshift/timeshift.json"),
    Reads::metadata("etc/backup.d"),
    Reads::metadata("etc/amanda"),
    Reads::metadata("etc/urbackup/urbackupclient.conf"),
    Reads::metadata("etc/rear/local.conf"),
    Reads::metadata("opt/tivoli/tsm/client/ba/bin/dsm.sys"),
    Reads::metadata("opt/simpana"),
    Reads::metadata("opt/commvault"),
    Reads::metadata("usr/openv/netbackup"),
    Reads::metadata("opt/acronis"),
    Reads::metadata("usr/lib/Acronis"),
    Reads::content("etc/snapper/configs"),
];

const CHECKS: &[&str] = &["L22"];
const MAX_CONFIGS: usize = 64;

/// Tools, by what they leave on the host.
const TOOLS: [(&str, &str); 25] = [
    ("borg", "usr/bin/borg"),
    ("borgmatic", "etc/borgmatic/config.yaml"),
    ("restic", "usr/bin/restic"),
    ("rsnapshot", "usr/bin/rsnapshot"),
    ("rsnapshot configuration", "etc/rsnapshot.conf"),
    ("duplicity", "usr/bin/duplicity"),
    ("bacula", "etc/bacula/bacula-fd.conf"),
    ("bareos", "etc/bareos/bareos-fd.d"),
    ("veeam", "usr/bin/veeam"),
    ("veeam configuration", "etc/veeam/veeam.ini"),
    ("timeshift", "usr/bin/timeshift"),
    ("timeshift configuration", "etc/timeshift/timeshift.json"),
    ("snapper", "usr/bin/snapper"),
    ("backupninja", "etc/backup.d"),
    ("amanda", "etc/amanda"),
    ("urbackup", "etc/urbackup/urbackupclient.conf"),
    ("relax-and-recover", "usr/sbin/rear"),
    ("relax-and-recover configuration", "etc/rear/local.conf"),
    ("spectrum-protect", "opt/tivoli/tsm/client/ba/bin/dsm.sys"),
    ("commvault", "opt/commvault"),
    ("commvault (simpana)", "opt/simpana"),
    ("netbackup", "usr/openv/netbackup"),
    ("acronis", "opt/acronis"),
    ("acronis (cyber protect)", "usr/lib/Acronis"),
    ("clonezilla", "usr/sbin/clonezilla"),
];
/// Words in the names of timers that make backups.
const TIMERS: [&str; 7] = ["backup", "borg", "restic", "snapper", "rsnapshot", "timeshift", "snapshot"];

/// Looks for marks of backups.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let is_system = look.exists("usr/bin") || look.exists("etc/snapper/configs");
    let mut tools = Vec::new();
    for (tool, path) in TOOLS {
        if look.exists(path) {
            tools.push(format!("{tool}: {path}"));
        }
    }
    if !is_system && tools.is_empty() {
        return look.missing("no programs are here");
    }
    let mut rows = vec![Fact::new("backup.tools", CHECKS, "usr/bin, etc, opt").list(tools)];
    let timers = enabled(look).into_iter().filter(|unit| {
        unit.strip_suffix(".timer").is_some_and(|name| TIMERS.iter().any(|it| name.contains(it)))
    });
    rows.push(Fact::new("backup.timers", CHECKS, "etc/systemd/system/timers.target.wants").list(timers));
    if let Some(listing) = look.list("etc/snapper/configs", MAX_CONFIGS) {
        let names = listing.entries.into_iter().map(|it| it.name);
        rows.push(Fact::new("backup.snapper_configurations", CHECKS, "etc/snapper/configs").list(names));
    }
    Reading::of(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};
    use holdpoint_common::row::HardeningRow;
    use holdpoint_common::row::hardening_row::Value;

    #[test]
    fn tools_timers_and_snapshots_leave_marks() {
        let (_dir, host) = host(&[
            ("usr/bin/borg", ""),
            ("etc/snapper/configs/root", ""),
            ("etc/systemd/system/timers.target.wants/borgmatic.timer", ""),
            ("etc/systemd/system/timers.target.wants/apt-daily.timer", ""),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let items = |id: &str| match &rows.iter().find(|it| it.id == id).unwrap().value {
            Some(Value::List(list)) => list.items.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(items("backup.tools"), ["borg: usr/bin/borg"]);
        assert_eq!(items("backup.timers"), ["borgmatic.timer"]);
        assert_eq!(items("backup.snapper_configurations"), ["root"]);
    }
}
