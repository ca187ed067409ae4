//! The agent's read list: which paths a probe may touch, as patterns.
//!
//! A pattern is a path relative to the root, with `/` on every OS. In one of its parts `*` stands
//! for any text without `/`; a part `**` stands for any number of parts. A directory may be listed
//! when it matches itself, or when it is followed by a part with a star. Directories on the way
//! to a listed path may be looked at, because links in them have to be followed.
//!
//! The list is not advice: [`HostRoot`](super::HostRoot) refuses what is not on it, after links
//! are resolved, so that a link cannot lead a probe to a file that nobody agreed to.

use std::fmt;
use std::path::Path;

/// What may be done with the paths of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// A key of the Windows registry: its values and the names below it are read. Such a pattern is of
    /// keys, with `\` between its parts, and compared without regard to case.
    Key,
    /// Only asked what it is: kind, size, times, owner, where a link leads.
    Look,
    /// Read or listed.
    Read,
}

/// A pattern and what may be done with its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reads {
    /// The pattern.
    pub pattern: &'static str,
    /// How far the access goes.
    pub access: Access,
}

impl Reads {
    /// Files that are read, or directories that are listed.
    pub const fn content(pattern: &'static str) -> Self {
        Self { pattern, access: Access::Read }
    }

    /// Paths of which only the metadata is read.
    pub const fn metadata(pattern: &'static str) -> Self {
        Self { pattern, access: Access::Look }
    }

    /// Keys of the Windows registry, of which the values and the names below are read.
    pub const fn key(pattern: &'static str) -> Self {
        Self { pattern, access: Access::Key }
    }

    /// How many patterns several lists have together, for [`Self::joined`].
    pub const fn count(lists: &[&[Self]]) -> usize {
        let (mut count, mut at) = (0, 0);
        while at < lists.len() {
            count += lists[at].len();
            at += 1;
        }
        count
    }

    /// Several lists as one, where a source is made of others: `N` is [`Self::count`] of them.
    pub const fn joined<const N: usize>(lists: &[&[Self]]) -> [Self; N] {
        let mut all = [Self::metadata(""); N];
        let (mut filled, mut list) = (0, 0);
        while list < lists.len() {
            let mut at = 0;
            while at < lists[list].len() {
                all[filled] = lists[list][at];
                (filled, at) = (filled + 1, at + 1);
            }
            list += 1;
        }
        all
    }
}

/// What the program itself reads beside its probes: the loader, threads, name look-up, clock and
/// entropy. It is here to be published and held against a trace; the probes' root does not use it.
pub const RUNTIME: &[Reads] = &[
    // The loader, in a build that is not static.
    Reads::content("etc/ld.so.cache"),
    Reads::metadata("etc/ld.so.preload"),
    Reads::content("lib/**"),
    Reads::content("lib64/**"),
    Reads::content("usr/lib/**"),
    Reads::content("usr/lib64/**"),
    // Itself: executable (its digest), memory, limits, number of processors.
    Reads::content("proc/self/*"),
    Reads::content("proc/thread-self/*"),
    Reads::content("proc/uptime"),
    // Whether a service manager hides a part of the system from this program.
    Reads::metadata("proc/self/ns/mnt"),
    Reads::metadata("proc/1/ns/mnt"),
    Reads::metadata("proc/1/root"),
    Reads::content("sys/devices/system/cpu/online"),
    Reads::content("sys/fs/cgroup/**"),
    Reads::content("proc/sys/vm/overcommit_memory"),
    Reads::content("sys/kernel/mm/transparent_hugepage/**"),
    // The kernel's own random numbers, where the system call is missing.
    Reads::content("dev/urandom"),
    Reads::content("dev/random"),
    Reads::content("dev/null"),
    // Tells a cryptographic library that a virtual machine was copied.
    Reads::content("dev/sysgenid"),
    // Host names.
    Reads::content("etc/resolv.conf"),
    Reads::content("etc/hosts"),
    Reads::content("etc/host.conf"),
    Reads::content("etc/nsswitch.conf"),
    Reads::content("etc/gai.conf"),
    Reads::content("etc/services"),
    Reads::metadata("var/run/nscd/**"),
    Reads::metadata("run/nscd/**"),
    Reads::content("run/systemd/resolve/*"),
    // Local time, for quiet hours.
    Reads::content("etc/localtime"),
    Reads::content("usr/share/zoneinfo/**"),
    // Whether a write filter throws the state away at the next restart (see `host::home`).
    Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services\uwfvol"),
    Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services\uwfvol\Parameters\Static"),
    Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services\uwfvol\Parameters\Static\**"),
    Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services\ewf"),
    Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services\fbwf"),
];

/// The patterns of one probe, ready to be asked.
#[derive(Clone, Default)]
pub struct ReadList {
    patterns: Vec<Pattern>,
}

#[derive(Clone)]
struct Pattern {
    parts: Vec<Box<str>>,
    access: Access,
}

impl ReadList {
    /// A list of patterns.
    pub fn new<'a>(reads: impl IntoIterator<Item = &'a Reads>) -> Self {
        let mut list = Self::default();
        for it in reads {
            list.add(it.pattern, it.access);
        }
        list
    }

    /// Adds a pattern that the host's administrator wrote.
    pub fn add(&mut self, pattern: &str, access: Access) {
        let parts = match access {
            Access::Key => key_parts(pattern).map(Into::into).collect(),
            Access::Look | Access::Read => parts(pattern).map(Into::into).collect(),
        };
        self.patterns.push(Pattern { parts, access });
    }

    /// Whether a key of the registry may be read. Keys on the way to a listed one may not: unlike a
    /// directory on the way to a file, nothing has to be followed there.
    pub fn may_read_key(&self, key: &str) -> bool {
        let folded: Vec<String> = key_parts(key).collect();
        let key: Vec<&str> = folded.iter().map(String::as_str).collect();
        self.patterns.iter().any(|it| it.access == Access::Key && fits(&it.parts, &key))
    }

    /// Whether the content of a file at that path may be read.
    pub fn may_read(&self, path: &Path) -> bool {
        self.any(path, |pattern, path| pattern.access == Access::Read && fits(&pattern.parts, path))
    }

    /// Whether a directory at that path may be listed.
    pub fn may_list(&self, path: &Path) -> bool {
        let needs_names = |part: &str| part.contains('*');
        self.any(path, |pattern, path| {
            pattern.access == Access::Read
                && (fits(&pattern.parts, path) || leads(&pattern.parts, path, needs_names))
        })
    }

    /// Whether the metadata of that path may be read.
    pub fn may_look(&self, path: &Path) -> bool {
        self.any(path, |pattern, path| fits(&pattern.parts, path) || leads(&pattern.parts, path, |_| true))
    }

    fn any(&self, path: &Path, allows: impl Fn(&Pattern, &[&str]) -> bool) -> bool {
        // A name that is not UTF-8 is on no list but a starred one, and replacement does not change that.
        let text = path.to_string_lossy();
        let path: Vec<&str> = parts(&text).collect();
        self.patterns.iter().filter(|it| it.access != Access::Key).any(|it| allows(it, &path))
    }
}

/// Whether a path is one of a pattern's.
fn fits(pattern: &[Box<str>], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((part, rest)) if &**part == "**" => {
            rest.is_empty() || (0..=path.len()).any(|below| fits(rest, &path[below..]))
        }
        Some((part, rest)) => {
            path.split_first().is_some_and(|(first, path)| part_fits(part, first) && fits(rest, path))
        }
    }
}

/// Whether a path is a directory above paths of a pattern, the next part of which `is_meant`.
fn leads(pattern: &[Box<str>], path: &[&str], is_meant: fn(&str) -> bool) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, _) => false,
        (Some((part, _)), _) if &**part == "**" => true,
        (Some((part, _)), None) => is_meant(part),
        (Some((part, rest)), Some((first, path))) => part_fits(part, first) && leads(rest, path, is_meant),
    }
}

impl fmt::Debug for ReadList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.patterns.iter().map(|it| it.parts.join("/"))).finish()
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(std::path::is_separator).filter(|it| !it.is_empty() && *it != ".")
}

/// The parts of a key's path, in the one case in which they are compared.
fn key_parts(key: &str) -> impl Iterator<Item = String> {
    key.split('\\').filter(|it| !it.is_empty()).map(str::to_lowercase)
}

/// Whether a part of a path fits a part of a pattern; `*` stands for any text.
fn part_fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return text.ends_with(piece);
        }
        // The first fit leaves the most for the pieces that follow.
        let Some(at) = text.find(piece) else { return false };
        text = &text[at + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_read_in_any_case_and_its_parents_are_not() {
        let list =
            ReadList::new(&[Reads::key(r"HKLM\SOFTWARE\Vendor\*\Setup"), Reads::content("etc/passwd")]);
        assert!(list.may_read_key(r"hklm\Software\VENDOR\17\setup"));
        for key in [r"HKLM\SOFTWARE\Vendor\17", r"HKLM\SOFTWARE\Vendor\17\Setup\Keys", r"etc\passwd"] {
            assert!(!list.may_read_key(key), "{key}");
        }
        assert!(!list.may_read(Path::new("HKLM/SOFTWARE/Vendor/17/Setup")), "a key is no file");
    }

    fn list() -> ReadList {
        ReadList::new(&[
            Reads::content("etc/os-release"),
            Reads::content("var/lib/dpkg/info/*.list"),
            Reads::content("proc/*/maps"),
            Reads::content("sys/firmware/efi/efivars/**"),
            Reads::content("sys/devices/**/firmware_rev"),
            Reads::metadata("usr/**"),
        ])
    }

    #[test]
    fn what_is_not_named_is_not_read() {
        let list = list();
        for path in [
            "etc/os-release",
            "var/lib/dpkg/info/a.list",
            "proc/1/maps",
            "sys/firmware/efi/efivars/db",
            "sys/devices/pci/nvme0/firmware_rev",
        ] {
            assert!(list.may_read(Path::new(path)) && list.may_look(Path::new(path)), "{path}");
        }
        for path in [
            "",
            "etc",
            "etc/shadow",
            "var/lib/dpkg/info/a.prerm",
            "proc/1/2/maps",
            "usr/bin/sh",
            "sys/devices/x/serial",
        ] {
            assert!(!list.may_read(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_directory_is_listed_only_where_names_are_needed() {
        let list = list();
        for path in ["var/lib/dpkg/info", "proc", "sys/firmware/efi/efivars", "sys/firmware/efi/efivars/x"] {
            assert!(list.may_list(Path::new(path)), "{path}");
        }
        for path in ["", "etc", "var", "var/lib/dpkg", "usr", "usr/bin"] {
            assert!(!list.may_list(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn metadata_may_be_read_on_the_way_and_where_it_is_said() {
        let list = list();
        for path in ["etc", "var/lib", "proc/7", "usr", "usr/bin/sh"] {
            assert!(list.may_look(Path::new(path)), "{path}");
        }
        assert!(!list.may_look(Path::new("home")));
        assert!(!list.may_look(Path::new("etc/shadow")));
    }

    #[test]
    fn stars_stand_for_any_text_within_a_part() {
        for (pattern, text) in
            [("*", "x"), ("a*c", "abbc"), ("*.d", ".d"), ("a*b*c", "aXbYc"), ("*a*", "bab")]
        {
            assert!(part_fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a*c", "ab"), ("a*a", "a"), ("a*b*c", "acb"), ("x", "xx")] {
            assert!(!part_fits(pattern, text), "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_path_is_always_on_its_own_list(path in "[a-z.]{1,4}(/[a-z.]{1,4}){0,4}") {
            let mut list = ReadList::default();
            list.add(&path, Access::Read);
            prop_assert!(list.may_read(Path::new(&path)));
            prop_assert!(list.may_look(Path::new(&path)));
        }
    }
}
