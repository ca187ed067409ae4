//! Patches of the running kernel.
//!
//! Sources of truth: `sys/kernel/livepatch/NAME/{enabled,transition}` of the kernel's own live
//! patching, and `sys/kernel/kpatch/[patches/]NAME/enabled` of the module that Red Hat used before.
//! World readable. A kernel without either has no patches. What a patch repairs is not said there;
//! `running` names it.

use holdpoint_common::row::LiveRow;

use super::at_rest;
use crate::host::{EntryKind, Reads};
use crate::scan::linux::processes;
use crate::scan::{Look, Reading};

const LIVEPATCH: &str = "sys/kernel/livepatch";
const PLACES: [&str; 3] = [LIVEPATCH, "sys/kernel/kpatch", "sys/kernel/kpatch/patches"];
/// What this probe may touch.
pub(super) const READS: &[Reads] = &[
    Reads::content("sys/kernel/livepatch/*/enabled"),
    Reads::content("sys/kernel/livepatch/*/transition"),
    Reads::content("sys/kernel/kpatch/*/enabled"),
    Reads::content("sys/kernel/kpatch/patches/*/enabled"),
];

const MAX_PATCHES: usize = 1_024;
const MAX_FLAG: usize = 4_096;

/// Reads every patch.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    if !processes::is_running(look) {
        return at_rest(look);
    }
    let mut rows = Vec::new();
    for place in PLACES {
        let Some(listing) = look.list(place, MAX_PATCHES) else { continue };
        for entry in listing.entries.iter().filter(|it| it.kind == EntryKind::Directory) {
            let patch = format!("{place}/{}", entry.name);
            let Some(is_enabled) = flag(look, &format!("{patch}/enabled")) else { continue };
            let is_moving = place == LIVEPATCH && flag(look, &format!("{patch}/transition")) == Some(true);
            let state = match (is_moving, is_enabled) {
                (true, _) => "in-transition",
                (false, true) => "enabled",
                (false, false) => "disabled",
            };
            rows.push(LiveRow {
                source: place.to_owned(),
                kind: "livepatch".to_owned(),
                state: state.to_owned(),
                running: Some(entry.name.clone()),
                ..LiveRow::default()
            });
        }
    }
    Reading::of(&rows)
}

/// `None` when it is not there, or cannot be read, which is on record then.
fn flag(look: &mut Look<'_>, path: &str) -> Option<bool> {
    match look.text(path, MAX_FLAG)?.trim() {
        "0" => Some(false),
        "1" => Some(true),
        _ => {
            look.fault(format!("{path}: neither 0 nor 1"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    #[test]
    fn each_patch_has_a_state_and_a_broken_one_is_a_gap() {
        let (_dir, host) = host(&[
            ("proc/stat", ""),
            ("sys/kernel/livepatch/a/enabled", "1\n"),
            ("sys/kernel/livepatch/a/transition", "0\n"),
            ("sys/kernel/livepatch/b/enabled", "1\n"),
            ("sys/kernel/livepatch/b/transition", "1\n"),
            ("sys/kernel/livepatch/c/enabled", "0\n"),
            ("sys/kernel/livepatch/d/enabled", "?"),
            ("sys/kernel/livepatch/note", ""),
            ("sys/kernel/kpatch/patches/e/enabled", "1\n"),
        ]);
        let (rows, faults, _) = rows_of::<LiveRow>(&host, probe);
        let said: Vec<_> =
            rows.iter().map(|it| (it.running.as_deref().unwrap(), it.state.as_str())).collect();
        assert_eq!(said, [("a", "enabled"), ("b", "in-transition"), ("c", "disabled"), ("e", "enabled")]);
        assert_eq!(faults, ["sys/kernel/livepatch/d/enabled: neither 0 nor 1"]);
    }

    #[test]
    fn a_kernel_without_live_patching_has_no_patches() {
        let (_dir, host) = host(&[("proc/stat", "")]);
        let (rows, faults, _) = rows_of::<LiveRow>(&host, probe);
        assert!(rows.is_empty() && faults.is_empty());
    }
}
