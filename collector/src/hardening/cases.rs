//! Files of cases: facts as text, for tests. The form is that of `agent/fixtures/windows/hardening.cases`.

use std::fs;
use std::path::Path;

use holdpoint_common::row::{HardeningRow, TextList, hardening_row::Value as Said};

use super::facts::Facts;
use super::judge::Asset;
use super::rule::Family;

/// One case.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) line: usize,
    /// A check or a rule.
    pub(super) of: String,
    /// `pass`, `fail`, `absent` or `denied`.
    pub(super) kind: String,
    pub(super) asset: Asset,
    pub(super) rows: Vec<HardeningRow>,
}

impl Case {
    pub(super) fn facts(&self) -> Facts {
        Facts::of(self.rows.iter().cloned())
    }
}

/// An asset on which everything can be checked.
pub(super) fn asset(family: Family) -> Asset {
    let build = (family == Family::Windows).then_some(19_044);
    Asset { family: Some(family), build, runs: Some(true), ..Asset::default() }
}

/// A row of a fact: `id[subject]` and what it says.
pub(super) fn row(name: &str, said: &str) -> HardeningRow {
    let (id, subject) = match name.split_once('[') {
        Some((id, subject)) => (id, Some(subject.strip_suffix(']').unwrap().to_owned())),
        None => (name, None),
    };
    let value = match said {
        "absent" | "denied" | "error" => None,
        "true" => Some(Said::Flag(true)),
        "false" => Some(Said::Flag(false)),
        text if text.starts_with('"') => Some(Said::Text(text.trim_matches('"').to_owned())),
        list if list.starts_with('[') => {
            let inner = list.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap();
            let items = inner.split("; ").filter(|it| !it.is_empty()).map(str::to_owned).collect();
            Some(Said::List(TextList { items }))
        }
        number => Some(Said::Number(number.parse().unwrap_or_else(|_| panic!("{name} = {said}")))),
    };
    let state = if value.is_some() { "observed" } else { said };
    HardeningRow {
        id: id.to_owned(),
        subject,
        source: "case".to_owned(),
        state: state.to_owned(),
        value,
        ..HardeningRow::default()
    }
}

/// Reads a file of cases below the repository; only what the facts say is taken.
pub(super) fn read(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    let mut cases: Vec<Case> = Vec::new();
    let mut is_registry = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(head) = line.strip_prefix("== ") {
            let words: Vec<&str> = head.split(' ').collect();
            let family = if words[0].starts_with('W') { Family::Windows } else { Family::Linux };
            let mut asset = asset(family);
            for word in &words[2..] {
                match word.split_once('=') {
                    Some(("role", role)) => asset.role = Some(role.to_owned()),
                    Some(("tag", tag)) => asset.tags.push(tag.to_owned()),
                    Some(("build", build)) => asset.build = Some(build.parse().unwrap()),
                    Some(_) | None => {}
                }
            }
            is_registry = false;
            let (of, kind) = (words[0].to_owned(), words[1].to_owned());
            cases.push(Case { line: number + 1, of, kind, asset, rows: Vec::new() });
            continue;
        }
        is_registry |= line.starts_with('[');
        let Some(case) = cases.last_mut().filter(|_| !is_registry) else { continue };
        if let Some(build) = line.strip_prefix("base ") {
            case.asset.build = build.parse().ok();
        } else if let Some((name, said)) = line.split_once(" = ").filter(|_| !line.starts_with(';')) {
            let said = said.split(" # ").next().unwrap().split(" @ ").next().unwrap();
            case.rows.push(row(name, said));
        }
    }
    cases
}

/// Holds a text against a kept file; a file that differs is rewritten and has to be read again by a person.
pub(super) fn reviewed(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if fs::read_to_string(&path).ok().as_deref() != Some(text) {
        fs::write(&path, text).unwrap();
        panic!("{file} was rewritten: review and commit it");
    }
}
