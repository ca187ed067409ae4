//! Every range string of the real advisories with how it is read, as a text that people review.
//!
//! `HOLDPOINT_BLESS=1` rewrites `fixtures/csaf/ranges.tsv` where the real files lie beside the workspace; elsewhere the
//! committed table is held against the reader by itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use holdpoint_common::version::range::{Constraint, Range};

use super::advisory::Versions;
use super::import::{self, Content};
use super::{Knowledge, csaf_tests::real_files};

fn table_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/csaf/ranges.tsv")
}

/// The class, and what was understood.
fn read(text: &str) -> (&'static str, String) {
    let list = |it: &[Constraint]| it.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match Range::parse(text) {
        Range::All => ("all", String::new()),
        Range::Constraints(it) => ("constraints", list(it.list())),
        Range::Conditional { .. } => ("conditional", String::new()),
        Range::BranchList { bounds, .. } => ("branches", list(&bounds)),
        Range::Unparsed { .. } => ("unparsed", String::new()),
    }
}

/// Texts with the number of entries that have them, by the field in which they stand.
fn texts(dir: &Path) -> BTreeMap<(&'static str, String), u32> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()) {
        if file.extension().is_none_or(|it| it != "json") {
            continue;
        }
        let (content, _) = import::read("a.json", &fs::read(&file).unwrap(), &Knowledge::default()).unwrap();
        let Content::Advisory(advisory) = content else { panic!("{} is an advisory", file.display()) };
        for entry in &advisory.entries {
            let key = match &entry.versions {
                Versions::Range(text) => ("range", text.clone()),
                Versions::One(text) => ("version", text.clone()),
                Versions::All | Versions::InName | Versions::Events(_) | Versions::Builds(_) => continue,
            };
            *found.entry(key).or_insert(0) += 1;
        }
    }
    found
}

fn table(texts: &BTreeMap<(&'static str, String), u32>) -> String {
    let mut rows = Vec::new();
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for ((field, text), entries) in texts {
        let (class, understood) = read(text);
        let count = counts.entry(class).or_default();
        count.0 += 1;
        count.1 += entries;
        rows.push(format!(
            "{class}\t{field}\t{entries}\t{}\t{}",
            text.escape_debug(),
            understood.escape_debug()
        ));
    }
    rows.sort();
    let mut table = String::from(
        "# How each range string of the real advisories is read. Made by `ranges_tests`, reviewed as text.\n",
    );
    for (class, (texts, entries)) in counts {
        let _ = writeln!(table, "# {class}: {texts} texts of {entries} entries");
    }
    table.push_str("class\tfield\tentries\ttext\tread as\n");
    for row in rows {
        table.push_str(&row);
        table.push('\n');
    }
    table
}

#[test]
fn every_range_of_the_real_advisories_is_read_as_was_reviewed() {
    let Some(dir) = real_files() else {
        println!("no real advisories beside this workspace");
        return;
    };
    let found = table(&texts(&dir));
    if std::env::var_os("HOLDPOINT_BLESS").is_some() {
        fs::write(table_file(), &found).unwrap();
    }
    let kept = fs::read_to_string(table_file()).unwrap();
    assert!(found == kept, "HOLDPOINT_BLESS=1 rewrites the table; review it:\n{found}");
}

#[test]
fn the_reviewed_table_is_what_the_reader_says_today() {
    let table = fs::read_to_string(table_file()).unwrap();
    let rows: Vec<&str> = table.lines().filter(|it| !it.starts_with("# ")).skip(1).collect();
    assert!(rows.len() > 100, "{}", rows.len());
    for row in rows {
        let columns: Vec<&str> = row.split('\t').collect();
        let [class, _, _, text, understood] = columns.as_slice() else { panic!("{row}") };
        // What is escaped in the table is read from the real files alone.
        if !text.contains('\\') {
            let (found, as_what) = read(text);
            assert_eq!((found, as_what.escape_debug().to_string().as_str()), (*class, *understood), "{text}");
        }
    }
}
