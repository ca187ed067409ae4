//! The file of cases, and a host that is one of them.

use std::io;
use std::time::SystemTime;

use holdpoint_common::row::hardening_row::Value as Said;
use holdpoint_common::row::{HardeningRow, SectionKind};
use prost::Message;

use super::super::PROBES;
use super::answers::answers;
use crate::host::registry::{Data, Registry, Source, Value};
use crate::scan::look::tests::{ample, windows_host, write};
use crate::scan::take_of;

const CASES: &str = include_str!("../../../../../fixtures/windows/hardening.cases");

/// A case of the file of cases.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) line: usize,
    pub(super) check: String,
    pub(super) kind: String,
    pub(super) answers: Option<String>,
    pub(super) base: String,
    pub(super) denied: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) expected: Vec<Expected>,
    pub(super) never: bool,
    pub(super) reg: String,
}

/// What one fact has to say.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) id: String,
    pub(super) subject: Option<String>,
    pub(super) said: String,
    pub(super) source: Option<String>,
    pub(super) reason: Option<String>,
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in CASES.lines().enumerate() {
        if let Some(head) = line.strip_prefix("== ") {
            let mut words = head.split(' ');
            let (check, kind) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
            let answers = words.nth(1).map(str::to_owned);
            let base = "19044".to_owned();
            cases.push(Case { line: number + 1, check, kind, answers, base, ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if !case.reg.is_empty() || line.starts_with('[') {
            case.reg = format!("{}{line}\n", case.reg);
        } else if let Some(base) = line.strip_prefix("base ") {
            base.clone_into(&mut case.base);
        } else if let Some(key) = line.strip_prefix("deny ") {
            case.denied.push(key.to_lowercase());
        } else if let Some(path) = line.strip_prefix("file ") {
            case.files.push(path.to_owned());
        } else if line.starts_with("never: ") {
            case.never = true;
        } else if !line.is_empty() && !line.starts_with(';') {
            case.expected.push(expected(line).unwrap_or_else(|| panic!("line {}: {line}", number + 1)));
        }
    }
    cases
}

fn expected(line: &str) -> Option<Expected> {
    let (name, rest) = line.split_once(" = ")?;
    let (rest, reason) = cut_at(rest, " # ");
    let (said, source) = cut_at(rest, " @ ");
    let (id, subject) = match name.split_once('[') {
        Some((id, subject)) => (id, Some(subject.strip_suffix(']')?.to_owned())),
        None => (name, None),
    };
    Some(Expected { id: id.to_owned(), subject, said: said.to_owned(), source, reason })
}

fn cut_at<'a>(text: &'a str, mark: &str) -> (&'a str, Option<String>) {
    match text.split_once(mark) {
        Some((start, end)) => (start, Some(end.to_owned())),
        None => (text, None),
    }
}

/// A registry of which some keys may not be read.
#[derive(Debug)]
struct Guarded {
    registry: Registry,
    denied: Vec<String>,
}

impl Guarded {
    fn check(&self, key: &str) -> io::Result<()> {
        let key = key.to_lowercase();
        let is_below = |it: &String| {
            key.strip_prefix(it.as_str()).is_some_and(|it| it.is_empty() || it.starts_with('\\'))
        };
        if self.denied.iter().any(is_below) { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }
}

impl Source for Guarded {
    fn keys(&self, key: &str) -> io::Result<Vec<String>> {
        self.check(key)?;
        self.registry.keys(key)
    }

    fn values(&self, key: &str) -> io::Result<Vec<Value>> {
        self.check(key)?;
        self.registry.values(key)
    }

    fn value(&self, key: &str, name: &str) -> io::Result<Data> {
        self.check(key)?;
        self.registry.value(key, name)
    }

    fn written(&self, key: &str) -> io::Result<SystemTime> {
        self.check(key)?;
        self.registry.written(key)
    }
}

pub(super) fn base(build: &str) -> String {
    let edition =
        if build == "none" { String::new() } else { format!("\"CurrentBuildNumber\"=\"{build}\"\n") };
    format!(
        "[HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion]\n\"SystemRoot\"=\"C:\\\\Windows\"\n{edition}\
         [HKLM\\SYSTEM\\CurrentControlSet\\Control\\ProductOptions]\n\"ProductType\"=\"WinNT\"\n"
    )
}

pub(super) fn rows_of(case: &Case) -> Vec<HardeningRow> {
    let (dir, mut host) = windows_host(&format!("{}{}", base(&case.base), case.reg));
    for file in &case.files {
        write(dir.path(), file, b"");
    }
    if let Some(registry) = host.registry.take() {
        host.registry = Some(Registry::new(Guarded { registry, denied: case.denied.clone() }));
    }
    host.windows = case.answers.as_deref().map(answers);
    let section = take_of(SectionKind::Hardening, PROBES.iter(), &host, &ample());
    assert!(
        !section.reasons.iter().any(|it| it.contains("read list")),
        "line {}: {:?}",
        case.line,
        section.reasons
    );
    section.rows.as_slice().iter().map(|it| HardeningRow::decode(it.as_slice()).unwrap()).collect()
}

pub(super) fn said(row: &HardeningRow) -> String {
    match &row.value {
        None => row.state.clone(),
        Some(Said::Flag(it)) => it.to_string(),
        Some(Said::Number(it)) => it.to_string(),
        Some(Said::Text(it)) => format!("\"{it}\""),
        Some(Said::List(it)) => format!("[{}]", it.items.join("; ")),
    }
}
