//! Keeps the published read list equal to the code: `agent/READS.md`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use holdpoint_agent::host::{Access, CAPTURED, RUNTIME, Reads};
use holdpoint_agent::scan::probes;
use holdpoint_common::row::section_name;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/READS.md");

const HEAD: &str = "\
# What the agent reads

Made from the code by a test; do not edit. A probe that asks for anything else is refused by the
agent itself, judged after links are followed, so a link cannot lead it to another file. `*` stands
for any text within a part of a path, `**` for any number of parts. \"Only looked at\" means kind, size,
times, owner and where a link leads, never the content. With `--root DIR` every path is below `DIR`.
`HKLM` and `HKU` begin keys of the Windows registry, of which the values and the names below are read.
On a running Windows the system is also asked who may write the programs that services name, wherever they are,
and the files of `facts.d`.

Beyond this list the agent reads its state directory (identity, settings, journal) and what the host's own
administrator names in `facts.d/*.toml` (below `/etc/holdpoint-agent` or `ProgramData\\Holdpoint`). It
writes to its state directory alone.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for probe in probes() {
        let kind = section_name(probe.kind);
        write!(page, "\n## {} ({kind})\n\n", probe.name).unwrap();
        list(&mut page, probe.reads.iter().copied().flatten());
    }
    page.push_str("\n## The program itself\n\nStart, threads, name look-up, clock and entropy of the libraries that it is built with.\n\n");
    list(&mut page, RUNTIME);
    page.push_str("\n## The registry of another root\n\nWith `--root DIR` alone, where that is a Windows: exports of its registry, else its hives and their logs.\n\n");
    list(&mut page, CAPTURED);
    page
}

fn list<'a>(page: &mut String, reads: impl IntoIterator<Item = &'a Reads>) {
    let mut once: BTreeMap<&str, Access> = BTreeMap::new();
    for it in reads {
        let access = once.entry(it.pattern).or_insert(it.access);
        *access = (*access).max(it.access);
    }
    if once.is_empty() {
        page.push_str("Nothing of files or keys: the running system is asked.\n");
    }
    for (pattern, access) in once {
        match access {
            Access::Read => writeln!(page, "- `/{pattern}`"),
            Access::Look => writeln!(page, "- `/{pattern}`: only looked at"),
            Access::Key => writeln!(page, "- `{pattern}`"),
        }
        .unwrap();
    }
}

#[test]
fn the_published_list_is_what_the_code_says() {
    let fresh = page();
    let kept = fs::read_to_string(Path::new(FILE)).unwrap_or_default();
    if kept != fresh {
        fs::write(FILE, &fresh).unwrap();
        panic!("agent/READS.md was rewritten: review what the agent reads now, and commit it");
    }
}

#[test]
fn no_pattern_is_wider_than_a_directory_with_a_purpose() {
    for probe in probes() {
        for it in probe.reads.iter().copied().flatten() {
            let first = it.pattern.split(['/', '\\']).next().unwrap();
            let is_wide = first.contains('*') && it.access != Access::Look;
            assert!(!is_wide, "{}: {} would read anything", probe.name, it.pattern);
            assert!(!it.pattern.starts_with('/') && !it.pattern.is_empty(), "{}", it.pattern);
        }
    }
}
