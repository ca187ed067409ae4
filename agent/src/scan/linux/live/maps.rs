//! Reads `proc/PID/maps`: which files a process has in memory as code.
//!
//! Format: `proc_pid_maps(5)`. A path ends the line and may hold anything but a newline, which is
//! written `\012`. The text is read in pieces and never held as a whole: a large program has tens
//! of thousands of lines.

use std::io::{self, BufRead, BufReader, Read};

/// Bytes of the text that are held at once.
const PIECE: usize = 16 * 1024;

/// A file in memory that may be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mapping<'a> {
    /// Device of the file as stat(2) would number it.
    pub(super) device: u64,
    /// Number of the file there; never 0.
    pub(super) inode: u64,
    /// Absolute path as the kernel writes it.
    pub(super) path: &'a [u8],
}

/// Calls back with each mapping of code from a file. `false` when a line could not be read or the
/// text is larger than `max_bytes`: then some may be missing.
///
/// # Errors
/// The text cannot be read.
pub(super) fn code(text: impl Read, max_bytes: u64, mut each: impl FnMut(Mapping<'_>)) -> io::Result<bool> {
    let mut text = BufReader::with_capacity(PIECE, text.take(max_bytes));
    let mut line = Vec::new();
    let mut is_whole = true;
    loop {
        line.clear();
        if text.read_until(b'\n', &mut line)? == 0 {
            return Ok(is_whole && text.get_ref().limit() > 0);
        }
        match parse(line.trim_ascii_end()) {
            Some(Line::Code(mapping)) => each(mapping),
            Some(Line::Other) => {}
            None => is_whole = false,
        }
    }
}

enum Line<'a> {
    Code(Mapping<'a>),
    Other,
}

/// `7f00-7f01 r-xp 00002000 fe:00 247282    /usr/bin/head`; `None` when it is no such line.
fn parse(line: &[u8]) -> Option<Line<'_>> {
    let (_, rest) = word(line)?;
    let (permissions, rest) = word(rest)?;
    if *permissions.get(2)? != b'x' {
        return Some(Line::Other);
    }
    let (_, rest) = word(rest)?;
    let (device, rest) = word(rest)?;
    let (inode, path) = word(rest)?;
    let device = std::str::from_utf8(device).ok()?;
    let (major, minor) = device.split_once(':')?;
    let device = number(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    let inode = std::str::from_utf8(inode).ok()?.parse().ok()?;
    let path = path.trim_ascii_start();
    Some(if inode != 0 && is_file(path) { Line::Code(Mapping { device, inode, path }) } else { Line::Other })
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|it| *it == b' ').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// The number of a device as `st_dev` has it.
fn number(major: u32, minor: u32) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

/// Names that the kernel gives to memory that is no file of a file system, and kernel file systems.
const NO_FILES: [&str; 9] =
    ["/memfd:", "/SYSV", "/dev/", "/proc/", "/sys/", "/anon_hugepage", "/[", "/drm mm object", "/i915"];

/// Whether a name may be that of a file with code that somebody installed.
pub(super) fn is_file(path: &[u8]) -> bool {
    path.starts_with(b"/") && !NO_FILES.iter().any(|it| path.starts_with(it.as_bytes()))
}

/// A path as a file system has it: `\012` is a newline.
pub(super) fn path_of(written: &[u8]) -> String {
    let text = String::from_utf8_lossy(written);
    if text.contains("\\012") { text.replace("\\012", "\n") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (Vec<(u64, u64, String)>, bool) {
        let mut found = Vec::new();
        let is_whole =
            code(text.as_bytes(), 1 << 20, |it| found.push((it.device, it.inode, path_of(it.path)))).unwrap();
        (found, is_whole)
    }

    #[test]
    fn only_code_from_files_counts() {
        let text = "\
55d0-55d1 r--p 00000000 fe:00 247282                     /usr/bin/head
55d1-55d2 r-xp 00002000 fe:00 247282                     /usr/bin/head
7f00-7f01 r-xp 00000000 00:00 0 
7f01-7f02 r-xp 00000000 08:11 5                          /opt/a b (deleted)
7f02-7f03 rwxp 00000000 00:01 9                          /memfd:jit (deleted)
7f03-7f04 rwxs 00000000 00:05 3                          /dev/zero (deleted)
7f04-7f05 rwxs 00000000 00:01 7                          /SYSV00000000 (deleted)
7f05-7f06 r-xp 00000000 00:00 0                          [vdso]
7f06-7f07 r-xp 00000000 00:0d 77                         anon_inode:kvm-vcpu:0
7f07-7f08 r-xs 00000000 103:12345 18446744073709551615   /opt/line\\012break
ffff-ffff --xp 00000000 00:00 0                          [vsyscall]
";
        let (found, is_whole) = read(text);
        assert!(is_whole);
        assert_eq!(
            found,
            [
                (number(0xfe, 0), 247_282, "/usr/bin/head".to_owned()),
                (number(8, 0x11), 5, "/opt/a b (deleted)".to_owned()),
                (number(0x103, 0x1_2345), u64::MAX, "/opt/line\nbreak".to_owned()),
            ]
        );
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_numbered_as_by_stat() {
        for (major, minor) in [(0, 0), (0xfe, 0), (8, 0x11), (0x103, 0x1_2345), (0xfff_ffff, 0xf_ffff)] {
            assert_eq!(number(major, minor), rustix::fs::makedev(major, minor));
        }
    }

    #[test]
    fn a_broken_line_is_a_gap_and_the_rest_stays() {
        let (found, is_whole) = read("rubbish\n7f01-7f02 r-xp 0 08:01 5 /a\n7f01-7f02 r-xp 0 zz:01 5 /b\n");
        assert_eq!((found.len(), is_whole), (1, false));
        assert_eq!(read(""), (vec![], true));
        assert_eq!(read("7f01-7f02 r-x"), (vec![], false));
    }

    #[test]
    fn a_text_without_an_end_is_cut_off_and_said() {
        let mut lines = 0;
        let endless = b"7f01-7f02 r-xp 0 08:01 5 /a\n".repeat(100);
        assert!(!code(endless.as_slice(), 1_000, |_| lines += 1).unwrap());
        assert!((30..40).contains(&lines));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            code(text.as_slice(), 1_000, |it| assert!(it.inode != 0 && it.path.starts_with(b"/"))).unwrap();
        }
    }
}
