//! The kernel that runs, beside the newest that is installed: always one row.
//!
//! Sources of truth: `proc/sys/kernel/osrelease` and what `linux/kernel` finds on disk. A
//! distribution can ship a new build under the same release (Debian does within an ABI); where
//! the image says its build (the header of an x86 `bzImage`, Documentation/arch/x86/boot), that is
//! compared with `proc/sys/kernel/version` too, and both are then part of the row.
//!
//! `unknown` is the answer in a container, which runs its host's kernel, and where no kernel is on
//! disk or only older ones: the one that runs came from elsewhere. Known lie: of kernels of several
//! flavours the newest by number counts.

use std::cmp::Ordering;
use std::io;

use holdpoint_common::row::LiveRow;

use super::at_rest;
use crate::host::{HostRoot, Reads, is_absent};
use crate::scan::linux::{kernel, processes, virtualization};
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[Reads] = &[
    Reads::content("proc/sys/kernel/osrelease"),
    Reads::content("proc/sys/kernel/version"),
    Reads::content("boot/vmlinuz-*"),
];

/// Compares the kernels.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    if !processes::is_running(look) {
        return at_rest(look);
    }
    let running = look.value("proc/sys/kernel/osrelease");
    let installed = if virtualization::is_container(look) { None } else { kernel::newest(look) };
    let mut row = LiveRow {
        source: "linux/kernel".to_owned(),
        kind: "kernel".to_owned(),
        state: "unknown".to_owned(),
        running,
        installed,
        ..LiveRow::default()
    };
    if let (Some(running), Some(installed)) = (&row.running, &row.installed) {
        match kernel::compare(running, installed) {
            Ordering::Less => "older".clone_into(&mut row.state),
            Ordering::Greater => {}
            Ordering::Equal => {
                "current".clone_into(&mut row.state);
                if let Some((runs, lies)) = other_build(look, installed) {
                    "older".clone_into(&mut row.state);
                    row.running = Some(format!("{running} {runs}"));
                    row.installed = Some(format!("{installed} {lies}"));
                }
            }
        }
    }
    Reading::of(&[row])
}

/// The build that runs and the one on disk, where both are known and differ.
fn other_build(look: &mut Look<'_>, release: &str) -> Option<(String, String)> {
    let runs = look.value("proc/sys/kernel/version")?;
    let path = format!("boot/vmlinuz-{release}");
    let lies = match build(&look.host.root, &path) {
        Ok(build) => build?,
        Err(cause) if is_absent(&cause) => return None,
        Err(cause) => look.note(&path, Err(cause))?,
    };
    (runs.starts_with('#') && runs != lies).then_some((runs, lies))
}

/// `#1 SMP ...` of a kernel image; `None` when it does not say it.
fn build(root: &HostRoot, path: &str) -> io::Result<Option<String>> {
    const MAGIC: u64 = 0x202;
    const VERSION: u64 = 0x20e;
    /// The offset of the text is counted from here.
    const BASE: u64 = 0x200;
    const MAX_TEXT: usize = 512;
    let image = root.pieces(path)?;
    let mut magic = [0; 4];
    let mut offset = [0; 2];
    let mut text = [0; MAX_TEXT];
    let header = image.read_at(MAGIC, &mut magic).and_then(|()| image.read_at(VERSION, &mut offset));
    let at = BASE + u64::from(u16::from_le_bytes(offset));
    // What is no such image, or ends too early, says nothing.
    if header.is_err() || &magic != b"HdrS" || at == BASE || image.read_at(at, &mut text).is_err() {
        return Ok(None);
    }
    let end = text.iter().position(|it| *it == 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&text[..end]);
    Ok(text.split_once(") #").map(|(_, build)| format!("#{}", build.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of, write};

    const RUNS: [(&str, &str); 2] = [("proc/stat", ""), ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")];

    fn says(files: &[(&str, &str)]) -> (String, Option<String>, Option<String>) {
        let (_dir, host) = host(&[&RUNS, files].concat());
        let (rows, faults, _) = rows_of::<LiveRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let [row] = <[LiveRow; 1]>::try_from(rows).unwrap();
        (row.state, row.running, row.installed)
    }

    #[test]
    fn the_kernel_that_runs_is_compared_with_the_newest_on_disk() {
        let runs = Some("6.1.0-18-amd64".to_owned());
        for (disk, state) in
            [("6.1.0-21-amd64", "older"), ("6.1.0-18-amd64", "current"), ("5.10.0", "unknown")]
        {
            assert_eq!(
                says(&[(&format!("boot/vmlinuz-{disk}"), "")]),
                (state.to_owned(), runs.clone(), Some(disk.to_owned()))
            );
        }
        assert_eq!(says(&[]), ("unknown".to_owned(), runs, None));
    }

    #[test]
    fn a_container_has_no_kernel_of_its_own() {
        let (state, running, installed) = says(&[(".dockerenv", ""), ("boot/vmlinuz-6.1.0-99-amd64", "")]);
        assert_eq!((state.as_str(), installed), ("unknown", None));
        assert!(running.is_some());
    }

    fn image(text: &str, length: usize) -> Vec<u8> {
        let mut image = vec![0; length];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x400_u16.to_le_bytes());
        image[0x600..0x600 + text.len()].copy_from_slice(text.as_bytes());
        image
    }

    #[test]
    fn another_build_under_the_same_release_is_told_apart() {
        let (dir, host) = host(
            &[&RUNS[..], &[("proc/sys/kernel/version", "#1 SMP Debian 6.1.76-1 (2024-02-01)\n")]].concat(),
        );
        let state = || rows_of::<LiveRow>(&host, probe).0.remove(0);
        let put = |build: &str, length| {
            let text = format!("6.1.0-18-amd64 (debian-kernel@lists.debian.org) {build}");
            write(dir.path(), "boot/vmlinuz-6.1.0-18-amd64", &image(&text, length));
        };
        put("#1 SMP Debian 6.1.76-1 (2024-02-01)", 4_096);
        assert_eq!(state().state, "current");
        put("#1 SMP Debian 6.1.82-1 (2024-03-28)", 4_096);
        let row = state();
        assert_eq!(row.state, "older");
        assert_eq!(row.installed.as_deref(), Some("6.1.0-18-amd64 #1 SMP Debian 6.1.82-1 (2024-03-28)"));
        // Cut off in the middle of the text.
        put("#1 SMP Debian 6.1.82-1 (2024-03-28)", 0x700);
        assert_eq!(state().state, "current");
    }
}
