//! The kernel that runs, beside the newest that is installed: always one row.
//!
//! Sources of truth: the version that the kernel's image on disk states, what servicing waits with, and
//! the build and revision of the registry. `current`: servicing waits for nothing, the image was there
//! before the boot, and states no later revision than the registry. `older`: a cumulative update of a
//! higher revision waits for a restart. Everything else is `unknown`: a restart is pending for a reason
//! that does not say whether it is the kernel's, or the image changed since the boot.
//!
//! The image's revision is that of the update which last changed the kernel, and may stay behind that of
//! the system; its build may too (19041 on 19045, which share one kernel).

use holdpoint_common::row::LiveRow;

use super::super::platform::{self, Release};
use super::super::updates::{pending_rollup, revision};
use super::at_rest;
use crate::scan::{Look, Reading};

/// Compares the kernels.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    if look.host.windows.is_none() {
        return at_rest(look);
    }
    let release = platform::read_release(look).unwrap_or_default();
    let marks = platform::read_marks(look);
    let image = platform::file_version(look);
    let running = platform::running(look, &marks, image.as_deref());
    let waiting = pending_rollup(look).filter(|it| is_newer(it, &release));
    let build = release.build.as_ref();
    let mut row = LiveRow {
        source: "windows/kernel".to_owned(),
        kind: "kernel".to_owned(),
        state: "unknown".to_owned(),
        running: running.clone().or_else(|| build.map(ToString::to_string)),
        installed: image,
        ..LiveRow::default()
    };
    if let (Some(waiting), Some(build)) = (waiting.as_deref().and_then(revision), build) {
        "older".clone_into(&mut row.state);
        row.installed = Some(format!("{}.{}.{}", build.line, waiting.0, waiting.1));
    } else if running.is_some_and(|it| !is_ahead(&it, &release)) {
        "current".clone_into(&mut row.state);
    }
    Reading::of(&[row])
}

/// Whether a cumulative update brings a higher revision than the system has; both are of one branch, or
/// it would not have been accepted.
fn is_newer(rollup: &str, release: &Release) -> bool {
    let own = release.build.as_ref().and_then(|it| it.revision);
    revision(rollup).zip(own).is_some_and(|((_, waits), own)| waits > own)
}

/// Whether an image states a later revision than the registry.
fn is_ahead(image: &str, release: &Release) -> bool {
    let own = release.build.as_ref().and_then(|it| it.revision);
    let states = image.rsplit('.').next().and_then(|it| it.parse::<u64>().ok());
    states.zip(own).is_some_and(|(states, own)| states > own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Windows;
    use crate::host::windows::recorded;
    use crate::host::windows::system::Recorded;
    use crate::scan::look::tests::{rows_of, windows_host, write};
    use crate::scan::windows::version_resource::tests::program;
    use std::sync::Arc;

    /// After every file that a test writes.
    const LATER: u64 = u64::MAX / 2;
    const VERSION: &str = r#"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion]
"CurrentBuildNumber"="19045"
"UBR"=dword:000013d3
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"#;

    fn says(reg: &str, image: [u16; 4], booted: u64) -> (String, Option<String>, Option<String>) {
        let (dir, mut host) = windows_host(&format!("{VERSION}{reg}"));
        write(dir.path(), "Windows/System32/ntoskrnl.exe", &program(image, "Microsoft Corporation"));
        let system = Arc::new(Recorded { booted: booted.into(), ..Recorded::default() });
        host.windows = Some(Windows { system, ..recorded() });
        let (rows, faults, _) = rows_of::<LiveRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let [row] = <[LiveRow; 1]>::try_from(rows).unwrap();
        (row.state, row.running, row.installed)
    }

    #[test]
    fn an_image_from_before_the_boot_is_what_runs() {
        let image = Some("10.0.19041.5072".to_owned());
        assert_eq!(says("", [10, 0, 19_041, 5_072], LATER), ("current".to_owned(), image.clone(), image));
    }

    #[test]
    fn an_image_that_came_after_the_boot_or_is_ahead_is_not_known_to_run() {
        // 2001: every file of this test came later.
        let long_ago = 126_000_000_000_000_000;
        let own = Some("10.0.19045.5075".to_owned());
        let image = |it: &str| Some(it.to_owned());
        assert_eq!(
            says("", [10, 0, 19_041, 5_072], long_ago),
            ("unknown".to_owned(), own, image("10.0.19041.5072"))
        );
        let ahead = image("10.0.19041.5200");
        assert_eq!(says("", [10, 0, 19_041, 5_200], LATER), ("unknown".to_owned(), ahead.clone(), ahead));
    }

    #[test]
    fn a_cumulative_update_that_waits_makes_the_kernel_older() {
        let waits = r#"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending]
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Package_for_RollupFix~31bf3856ad364e35~amd64~~19041.5131.1.10]
"CurrentState"=dword:00000060
"Visibility"=dword:00000001
"#;
        let (state, running, installed) = says(waits, [10, 0, 19_041, 5_072], LATER);
        assert_eq!(state, "older");
        assert_eq!(running.as_deref(), Some("10.0.19045.5075"));
        assert_eq!(installed.as_deref(), Some("10.0.19041.5131"));
    }

    #[test]
    fn a_restart_for_another_reason_of_servicing_leaves_it_open() {
        let waits = r"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending]
";
        assert_eq!(says(waits, [10, 0, 19_041, 5_072], LATER).0, "unknown");
    }
}
