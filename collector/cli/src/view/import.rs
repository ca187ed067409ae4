//! What an import took and what it refused: `import`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{hex, joined, number, some_text};
use crate::output::{Answer, Page, Table};

/// All files of one call.
#[derive(Debug, Default, Serialize)]
pub struct Import {
    taken: Vec<Taken>,
    refused: Vec<Refused>,
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
        let pb::Taken { file: _, kind, digest, items, unchanged, skipped, asset, grade } = wire;
        self.taken.push(Taken {
            file,
            kind,
            digest: hex(&digest),
            items,
            unchanged,
            skipped,
            asset: some_text(asset),
            grade: some_text(grade),
        });
    }

    /// Adds a file that was not taken.
    pub fn refuse(&mut self, file: String, reason: impl Into<String>) {
        self.refused.push(Refused { file, reason: reason.into() });
    }

    /// Whether every file was taken.
    pub fn is_complete(&self) -> bool {
        self.refused.is_empty()
    }

    /// Whether anything happened at all.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.refused.is_empty()
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
            let notes: Vec<_> = unchanged.into_iter().chain(skipped).collect();
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
        Page::of(taken.dense()).table(refused).or_line("there was no file to import")
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
            ]);
        }
        table
    }
}
