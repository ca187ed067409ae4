//! Start scripts of System V init, where systemd has no unit of the same name.
//!
//! Sources of truth: `etc/init.d` and the links `etc/rc[2-5].d/S??NAME`. Whether such a service
//! runs is in no file; its state is `unknown`.

use std::collections::BTreeSet;

use holdpoint_common::row::ServiceRow;

use crate::host::{EntryKind, Reads};
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "etc/init.d";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("etc/init.d"),
    Reads::content("etc/rc.d/init.d"),
    Reads::content("etc/rc2.d"),
    Reads::content("etc/rc3.d"),
    Reads::content("etc/rc4.d"),
    Reads::content("etc/rc5.d"),
    Reads::content("etc/rc.d/rc2.d"),
    Reads::content("etc/rc.d/rc3.d"),
    Reads::content("etc/rc.d/rc4.d"),
    Reads::content("etc/rc.d/rc5.d"),
    Reads::metadata("etc/systemd/system/*"),
    Reads::metadata("run/systemd/system/*"),
    Reads::metadata("usr/lib/systemd/system/*"),
    Reads::metadata("lib/systemd/system/*"),
];

const MAX_SCRIPTS: usize = 4_096;

/// Files of the directory that start nothing.
const NOT_SERVICES: [&str; 8] =
    ["README", "functions", "skeleton", "rc", "rcS", "rc.local", "single", "halt"];

/// Reads every script.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(scripts) = look.list(DIRECTORY, MAX_SCRIPTS) else {
        return look.missing(format!("{DIRECTORY} is not there"));
    };
    let mut enabled = BTreeSet::new();
    for level in 2..=5 {
        let links = look.list(&format!("etc/rc{level}.d"), MAX_SCRIPTS);
        for link in links.into_iter().flat_map(|it| it.entries) {
            let number = link.name.strip_prefix('S').and_then(|it| it.split_at_checked(2));
            if let Some((digits, name)) = number
                && digits.bytes().all(|it| it.is_ascii_digit())
            {
                enabled.insert(name.to_owned());
            }
        }
    }
    let root = &look.host.root;
    let has_unit = |name: &str| {
        ["etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"]
            .iter()
            .any(|it| {
                root.read_link(&format!("{it}/{name}.service")).is_ok()
                    || root.exists(&format!("{it}/{name}.service"))
            })
    };
    let rows: Vec<ServiceRow> = scripts
        .entries
        .iter()
        .filter(|it| it.kind != EntryKind::Directory && !it.name.starts_with('.'))
        .map(|it| &it.name)
        .filter(|it| !NOT_SERVICES.contains(&it.as_str()) && !has_unit(it.strip_suffix(".sh").unwrap_or(it)))
        .map(|name| ServiceRow {
            source: "linux/sysv".to_owned(),
            name: name.clone(),
            state: Some("unknown".to_owned()),
            start_mode: Some(if enabled.contains(name) { "enabled" } else { "disabled" }.to_owned()),
            image_path: Some(format!("/{DIRECTORY}/{name}")),
            ..ServiceRow::default()
        })
        .collect();
    Reading::of(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    #[test]
    fn scripts_without_a_unit_are_services() {
        let (_dir, host) = host(&[
            ("etc/init.d/historian", "#!/bin/sh"),
            ("etc/init.d/old.sh", "#!/bin/sh"),
            ("etc/init.d/ssh", "#!/bin/sh"),
            ("etc/init.d/README", ""),
            ("lib/systemd/system/ssh.service", "[Service]\n"),
            ("etc/rc3.d/S05historian", ""),
            ("etc/rc3.d/K01old.sh", ""),
        ]);
        let (rows, _, _) = rows_of::<ServiceRow>(&host, probe);
        let said: Vec<_> =
            rows.iter().map(|it| (it.name.as_str(), it.start_mode.as_deref().unwrap())).collect();
        assert_eq!(said, [("historian", "enabled"), ("old.sh", "disabled")]);
    }
}
