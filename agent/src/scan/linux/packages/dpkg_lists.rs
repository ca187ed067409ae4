//! What dpkg says about files: whose they are, and when their package last changed.
//!
//! Sources of truth: `var/lib/dpkg/info/NAME.list`, one path a line as the package ships it, and
//! `var/lib/dpkg/diversions`, three lines each: the shipped path, where it was put instead, and the
//! one package whose own file keeps the path. World readable. A list is written whenever its
//! package is unpacked, so its time is that of the last change. Known lies: a file that a package
//! makes when it is configured is on no list, and an image builder can set any time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::time::UNIX_EPOCH;

use super::dpkg::{INFO, MAX_INFO};
use crate::host::{Reads, is_absent};
use crate::scan::Look;

const DIVERSIONS: &str = "var/lib/dpkg/diversions";
/// What this source may touch.
pub(super) const READS: &[Reads] =
    &[Reads::content("var/lib/dpkg/info/*.list"), Reads::content("var/lib/dpkg/diversions")];

const MAX_LIST: usize = 16 * 1024 * 1024;
const MAX_DIVERSIONS: usize = 1024 * 1024;

/// Finds the packages of files by their names, and adds them under the text that each name stands for.
pub(super) fn owners(
    look: &mut Look<'_>,
    names: &BTreeMap<Vec<u8>, &String>,
    found: &mut BTreeMap<String, String>,
) {
    let Some(listing) = look.list(INFO, MAX_INFO) else { return };
    let text = look.text(DIVERSIONS, MAX_DIVERSIONS).unwrap_or_default();
    let diversions = Diversions::of(&text, names);
    let sought = Sought::new(names.keys().map(Vec::as_slice).chain(diversions.shipped()));
    let mut list = Vec::new();
    for entry in &listing.entries {
        let package = entry.name.strip_suffix(".list").filter(|it| !it.is_empty());
        let Some(package) = package else { continue };
        if let Err(late) = look.in_time() {
            look.fault(format!("packages of files: {late}"));
            return;
        }
        match listing.read_into(entry, MAX_LIST, &mut list) {
            Ok(()) => {}
            // Removed since it was listed.
            Err(cause) if is_absent(&cause) => continue,
            Err(cause) => {
                look.fault(format!("{INFO}/{}: {cause}", entry.name));
                continue;
            }
        }
        let package = package.split(':').next().unwrap_or(package);
        for line in lines(&list).filter(|it| sought.may_be(it)) {
            if let Some(name) = names.get(diversions.place(line, package)) {
                found.entry((*name).clone()).or_insert_with(|| package.to_owned());
            }
        }
    }
}

/// Lines by the C library's search for a byte: this is most of the work of a scan that needs an owner.
fn lines(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let text = rest;
        let length = rest.skip_until(b'\n').ok().filter(|it| *it > 0)?;
        let line = &text[..length];
        Some(line.strip_suffix(b"\n").unwrap_or(line))
    })
}

/// When packages last changed, in seconds since 1970. Of a package with several architectures only
/// the machine's own is asked.
pub(super) fn changed(look: &mut Look<'_>, packages: &BTreeSet<String>) -> BTreeMap<String, i64> {
    let machine = look.host.live.as_ref().and_then(|it| it.architecture.as_deref());
    let architecture = machine.and_then(architecture);
    let root = &look.host.root;
    packages
        .iter()
        .filter_map(|package| {
            let plain = root.facts(&format!("{INFO}/{package}.list"));
            let facts = match (plain, architecture) {
                (Ok(facts), _) => facts,
                (Err(_), Some(it)) => root.facts(&format!("{INFO}/{package}:{it}.list")).ok()?,
                (Err(_), None) => return None,
            };
            let since = facts.modified?.duration_since(UNIX_EPOCH).ok()?;
            Some((package.clone(), i64::try_from(since.as_secs()).ok()?))
        })
        .collect()
}

/// Debian's word for a machine.
fn architecture(machine: &str) -> Option<&'static str> {
    Some(match machine {
        "x86_64" => "amd64",
        "i386" | "i486" | "i586" | "i686" => "i386",
        "aarch64" => "arm64",
        "armv6l" | "armv7l" => "armhf",
        "ppc64le" => "ppc64el",
        "riscv64" => "riscv64",
        "s390x" => "s390x",
        _ => return None,
    })
}

/// Files that one package put elsewhere to make room for its own, as far as they were asked for.
#[derive(Debug, Default)]
struct Diversions<'a> {
    /// By the shipped path: where it is now, and whose own file has that path.
    moved: BTreeMap<&'a [u8], (&'a str, &'a str)>,
}

impl<'a> Diversions<'a> {
    fn of(text: &'a str, names: &BTreeMap<Vec<u8>, &String>) -> Self {
        let mut moved = BTreeMap::new();
        let mut lines = text.lines();
        while let (Some(shipped), Some(to), Some(by)) = (lines.next(), lines.next(), lines.next()) {
            if [shipped, to].iter().any(|it| names.contains_key(it.as_bytes())) {
                moved.insert(shipped.as_bytes(), (to, by));
            }
        }
        Self { moved }
    }

    fn shipped(&self) -> impl Iterator<Item = &[u8]> {
        self.moved.keys().copied()
    }

    /// Where the file is that a package ships under a path.
    fn place<'b>(&self, path: &'b [u8], package: &str) -> &'b [u8]
    where
        'a: 'b,
    {
        match self.moved.get(path) {
            Some((to, by)) if *by != package => to.as_bytes(),
            Some(_) | None => path,
        }
    }
}

/// A quick "no" for nearly every one of some hundred thousand lines.
struct Sought {
    marks: Vec<bool>,
}

impl Sought {
    const SIZE: usize = 4_096;

    fn new<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut marks = vec![false; Self::SIZE];
        for name in names {
            marks[Self::mark(name)] = true;
        }
        Self { marks }
    }

    fn may_be(&self, name: &[u8]) -> bool {
        self.marks[Self::mark(name)]
    }

    fn mark(name: &[u8]) -> usize {
        let byte = |at: usize| name.get(at).copied().map_or(0, usize::from);
        let end = name.len();
        (end * 61 + byte(end.wrapping_sub(1)) * 31 + byte(end.wrapping_sub(3)) * 17 + byte(end / 2) * 7)
            % Self::SIZE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Live;
    use crate::scan::look::tests::{ample, host};
    use std::fs::File;
    use std::time::Duration;

    fn found(files: &[(&str, &str)], names: &[&str]) -> Vec<(String, String)> {
        let (_dir, host) = host(files);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        let texts: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let names = texts.iter().map(|it| (it.as_bytes().to_vec(), it)).collect();
        let mut found = BTreeMap::new();
        owners(&mut look, &names, &mut found);
        found.into_iter().collect()
    }

    #[test]
    fn a_diverted_file_belongs_to_whoever_shipped_what_is_there() {
        let files = [
            (
                "var/lib/dpkg/diversions",
                "/usr/bin/a\n/usr/bin/a.old\nours\n/usr/bin/b\n/usr/bin/b.local\n:\n",
            ),
            ("var/lib/dpkg/info/ours.list", "/usr/bin/a\n"),
            ("var/lib/dpkg/info/theirs.list", "/usr/bin/a\n/usr/bin/b\n/usr/bin/c"),
        ];
        let owner = |path: &str| found(&files, &[path]).pop().map(|it| it.1);
        assert_eq!(owner("/usr/bin/a").as_deref(), Some("ours"));
        assert_eq!(owner("/usr/bin/a.old").as_deref(), Some("theirs"));
        assert_eq!(owner("/usr/bin/b"), None);
        assert_eq!(owner("/usr/bin/b.local").as_deref(), Some("theirs"));
        assert_eq!(owner("/usr/bin/c").as_deref(), Some("theirs"));
    }

    #[test]
    fn broken_lists_do_no_harm() {
        let files = [
            ("var/lib/dpkg/diversions", "/usr/bin/a\n/usr/bin/x"),
            ("var/lib/dpkg/info/a.list", "\n\n/usr/bin/a\r\n/usr/bin/a"),
            ("var/lib/dpkg/info/b.md5sums", "/usr/bin/b\n"),
            ("var/lib/dpkg/info/.list", "/usr/bin/c\n"),
        ];
        assert_eq!(found(&files, &["/usr/bin/a", "/usr/bin/b"]), [("/usr/bin/a".into(), "a".into())]);
        assert!(found(&[], &["/usr/bin/a"]).is_empty());
    }

    #[test]
    fn a_package_changed_when_its_list_was_written() {
        let (dir, mut host) = host(&[
            ("var/lib/dpkg/info/a.list", ""),
            ("var/lib/dpkg/info/b:amd64.list", ""),
            ("var/lib/dpkg/info/b:i386.list", ""),
        ]);
        host.live = Some(Live { architecture: Some("x86_64".to_owned()), ..Live::default() });
        for (file, at) in [("a.list", 100), ("b:amd64.list", 200), ("b:i386.list", 300)] {
            let file = File::options().write(true).open(dir.path().join(INFO).join(file)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(at)).unwrap();
        }
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        let packages = ["a", "b", "c"].map(str::to_owned).into();
        let changed: Vec<_> = changed(&mut look, &packages).into_iter().collect();
        assert_eq!(changed, [("a".into(), 100), ("b".into(), 200)]);
    }
}
