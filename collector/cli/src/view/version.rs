//! Answers about versions: `vercmp` and `range`. Their text form is a contract of its own:
//! the word, a tab, the reason.

use serde::Serialize;

use super::text;
use crate::output::escape::visible;
use crate::output::{Answer, Page, Table};

/// One question and its answer.
#[derive(Debug, Serialize)]
pub struct Judged {
    left: Option<String>,
    right: Option<String>,
    result: &'static str,
    reason: Option<String>,
}

impl Judged {
    /// `left` and `right` are what was asked about, absent when the line held no two fields.
    pub fn new(asked: Option<(String, String)>, result: &'static str, reason: String) -> Self {
        let (left, right) = asked.unzip();
        Self { left, right, result, reason: text(reason) }
    }

    /// `RESULT TAB REASON`, on one line whatever the reason quotes.
    pub fn line(&self) -> String {
        format!("{}\t{}", self.result, visible(self.reason.as_deref().unwrap_or_default()))
    }
}

/// All questions of one call.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct AllJudged(pub Vec<Judged>);

impl Answer for AllJudged {
    fn page(&self) -> Page {
        Page::of(self.records())
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["left", "right", "result", "reason"]);
        for it in &self.0 {
            table.row([it.left.clone(), it.right.clone(), Some(it.result.into()), it.reason.clone()]);
        }
        table
    }
}
