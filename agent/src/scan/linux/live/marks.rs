//! The marks that package managers leave when they want a restart of the whole system.
//!
//! Sources of truth: `run/reboot-required` with the packages in `run/reboot-required.pkgs` (Debian,
//! Ubuntu) and `run/reboot-needed` (SUSE). World readable. No mark proves nothing: Red Hat's
//! systems have none, and Debian's needs a program that leaves it.

use std::collections::BTreeSet;

use holdpoint_common::row::LiveRow;

use super::at_rest;
use crate::host::Reads;
use crate::scan::linux::processes;
use crate::scan::{Look, Reading};

const REQUIRED: &str = "run/reboot-required";
const PACKAGES: &str = "run/reboot-required.pkgs";
const NEEDED: &str = "run/reboot-needed";
/// What this probe may touch.
pub(super) const READS: &[Reads] =
    &[Reads::metadata(REQUIRED), Reads::content(PACKAGES), Reads::metadata(NEEDED)];

const MAX_PACKAGES: usize = 64 * 1024;

/// Reads the marks.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    if !processes::is_running(look) {
        return at_rest(look);
    }
    let mut rows = Vec::new();
    let mut add = |source: &str, package: Option<String>| {
        rows.push(LiveRow {
            source: source.to_owned(),
            kind: "restart-mark".to_owned(),
            state: "pending".to_owned(),
            package,
            ..LiveRow::default()
        });
    };
    if look.exists(REQUIRED) {
        let text = look.text(PACKAGES, MAX_PACKAGES).unwrap_or_default();
        let packages: BTreeSet<&str> = text.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
        if packages.is_empty() {
            add(REQUIRED, None);
        }
        for package in packages {
            add(REQUIRED, Some(package.to_owned()));
        }
    }
    if look.exists(NEEDED) {
        add(NEEDED, None);
    }
    Reading::of(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host, rows_of};

    fn packages(files: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let (_dir, host) = host(&[files, &[("proc/stat", "")]].concat());
        let (rows, faults, _) = rows_of::<LiveRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        rows.into_iter().map(|it| (it.source, it.package)).collect()
    }

    #[test]
    fn every_package_that_asks_for_a_restart_has_a_row() {
        let required = || REQUIRED.to_owned();
        assert_eq!(packages(&[]), []);
        assert_eq!(packages(&[(REQUIRED, "")]), [(required(), None)]);
        assert_eq!(packages(&[(NEEDED, "")]), [(NEEDED.to_owned(), None)]);
        assert_eq!(
            packages(&[
                (REQUIRED, "*** System restart required ***\n"),
                (PACKAGES, "libc6\n\ndbus\nlibc6\n")
            ]),
            [(required(), Some("dbus".into())), (required(), Some("libc6".into()))]
        );
    }

    #[test]
    fn a_mark_in_an_image_that_does_not_run_means_nothing() {
        let (_dir, host) = host(&[(REQUIRED, "")]);
        let budget = ample();
        assert!(matches!(probe(&mut Look::new(&host, &budget, "test")), Reading::Absent(_)));
    }
}
