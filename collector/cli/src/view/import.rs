//! What an import took and what it refused: `import`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{hex, joined, number, some_text};
use crate::output::{Answer, Page, Table};

/// What is said of a hash that is right.
pub const MATCHES: &str = "matches";

/// All files of one call.
#[derive(Debug, Default, Serialize)]
pub struct Import {
    taken: Vec<Taken>,
    refused: Vec<Refused>,
    companions: Vec<Companion>,
}

/// A hash or signature that lies beside a file.
#[derive(Debug, Serialize)]
pub struct Companion {
    file: String,
    result: String,
}

/// A file that the collector keeps.
#[derive(Debug, Serialize)]
pub struct Taken {
    file: String,
    kind: String,
    digest: Option<String>,
    items: u32,
    unchanged: bool,
    skipped: Vec<String>,
    asset: Option<String>,
    grade: Option<String>,
    changes: Vec<String>,
    faults: u32,
}

/// A file that it does not keep.
#[derive(Debug, Serialize)]
pub struct Refused {
    file: String,
    reason: String,
}

impl Import {
    /// Adds what the collector took; `file` is the path as this machine knows it.
    pub fn take(&mut self, file: String, wire: pb::Taken) {
        let pb::Taken { file: _, kind, digest, items, unchanged, skipped, asset, grade, changes, faults } =
            wire;
        self.taken.push(Taken {
            file,
            kind,
            digest: hex(&digest),
            items,
            unchanged,
            skipped,
            asset: some_text(asset),
            grade: some_text(grade),
            changes,
            faults,
        });
    }

    /// Adds a file that was not taken.
    pub fn refuse(&mut self, file: String, reason: impl Into<String>) {
        self.refused.push(Refused { file, reason: reason.into() });
    }

    /// Adds what a hash or signature beside a file shows.
    pub fn companion(&mut self, file: String, result: impl Into<String>) {
        self.companions.push(Companion { file, result: result.into() });
    }

    /// Lines of advisories that cannot be decided or need a look.
    pub fn faults(&self) -> u64 {
        self.taken.iter().map(|it| u64::from(it.faults)).sum()
    }

    /// Whether every file was taken.
    pub fn is_complete(&self) -> bool {
        self.refused.is_empty()
    }

    /// Whether anything happened at all.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.refused.is_empty() && self.companions.is_empty()
    }
}

impl Answer for Import {
    fn page(&self) -> Page {
        let mut taken = Table::new(["taken", "kind", "asset", "grade", "items", "note"]);
        for it in &self.taken {
            let unchanged = it.unchanged.then(|| "these very bytes were there already".to_owned());
            // Of a one-shot these are remarks; nothing of a host's sections is left out.
            let lead = if it.asset.is_some() { "" } else { "left out: " };
            let skipped = joined(&it.skipped).map(|skipped| format!("{lead}{skipped}"));
            let faults = (it.faults > 0).then(|| format!("{} lines to look at", it.faults));
            let notes: Vec<_> = unchanged.into_iter().chain(faults).chain(skipped).collect();
            taken.row([
                Some(it.file.clone()),
                Some(it.kind.clone()),
                it.asset.clone(),
                it.grade.clone(),
                number(it.items),
                joined(&notes),
            ]);
        }
        let mut refused = Table::new(["refused", "reason"]);
        for it in &self.refused {
            refused.row([Some(it.file.clone()), Some(it.reason.clone())]);
        }
        let mut changed = Table::new(["revised", "what it says otherwise"]);
        for it in &self.taken {
            for line in &it.changes {
                changed.row([Some(it.file.clone()), Some(line.clone())]);
            }
        }
        // Hundreds of hashes that match are one line; each that does not is its own.
        let mut beside = Table::new(["beside a file", "result"]);
        for it in self.companions.iter().filter(|it| it.result != MATCHES) {
            beside.row([Some(it.file.clone()), Some(it.result.clone())]);
        }
        let matching = self.companions.iter().filter(|it| it.result == MATCHES).count();
        let page = Page::of(taken.dense()).table(changed).table(beside).table(refused);
        let page = if matching > 0 { page.facts([("hashes that match", number(matching))]) } else { page };
        page.or_line("there was no file to import")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "file",
            "result",
            "kind",
            "digest",
            "items",
            "unchanged",
            "skipped",
            "reason",
            "asset",
            "grade",
            "changes",
            "faults",
        ]);
        for it in &self.taken {
            table.row([
                Some(it.file.clone()),
                Some("taken".into()),
                Some(it.kind.clone()),
                it.digest.clone(),
                number(it.items),
                number(it.unchanged),
                joined(&it.skipped),
                None,
                it.asset.clone(),
                it.grade.clone(),
                joined(&it.changes),
                number(it.faults),
            ]);
        }
        for it in &self.companions {
            let none = || None::<String>;
            table.row([
                Some(it.file.clone()),
                Some("beside".into()),
                none(),
                none(),
                none(),
                none(),
                none(),
                Some(it.result.clone()),
                none(),
                none(),
                none(),
                none(),
            ]);
        }
        for it in &self.refused {
            let none = || None::<String>;
            table.row([
                Some(it.file.clone()),
                Some("refused".into()),
                none(),
                none(),
                none(),
                none(),
                none(),
                Some(it.reason.clone()),
                none(),
                none(),
                none(),
                none(),
            ]);
        }
        table
    }
}
