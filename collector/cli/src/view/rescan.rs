//! Answers of hosts that were asked to look again: `rescan`.

use std::collections::BTreeSet;

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{hex, number, some_text};
use crate::output::{Answer, Page, Table};

/// Why an asset has no answer when the collector said nothing about it.
const NOT_TOLD: &str = "not-told";

/// What the collector calls a challenge that is out and not answered yet.
const WAITING: &str = "waiting";

const MS_PER_S: f64 = 1_000.0;

/// One asset's answer, or its absence.
#[derive(Debug, Serialize)]
pub struct Rescan {
    asset: String,
    answered: bool,
    nonce: Option<String>,
    sequence: Option<u64>,
    boot_id: Option<String>,
    took_s: Option<f64>,
    reason: Option<String>,
}

impl From<pb::RescanAnswer> for Rescan {
    fn from(wire: pb::RescanAnswer) -> Self {
        let pb::RescanAnswer { asset, answered, nonce, sequence, boot_id, took_ms, reason } = wire;
        // Waiting is bounded by an hour, so the milliseconds fit; an absurd value is absent.
        let took_s = took_ms.and_then(|it| u32::try_from(it).ok()).map(|it| f64::from(it) / MS_PER_S);
        Self {
            asset,
            answered,
            nonce: hex(&nonce),
            sequence,
            boot_id: some_text(boot_id),
            took_s,
            reason: some_text(reason),
        }
    }
}

impl Rescan {
    /// Which asset.
    pub fn asset(&self) -> &str {
        &self.asset
    }

    /// One line for a person who waits.
    pub fn progress(&self) -> String {
        match (self.answered, self.took_s, &self.reason) {
            (true, Some(seconds), _) => format!("{} answered after {seconds:.1} s", self.asset),
            (true, None, _) => format!("{} answered", self.asset),
            (false, _, Some(reason)) => format!("{} did not answer: {reason}", self.asset),
            (false, _, None) => format!("{} did not answer", self.asset),
        }
    }

    /// Whether the host did what was asked: it answered, or nobody waited and it will.
    pub fn is_good(&self, waited: bool) -> bool {
        self.answered || (!waited && self.reason.as_deref() == Some(WAITING))
    }
}

/// One row for each asset that was asked: the newest answer, or that there was none.
pub fn complete(asked: &[String], answers: Vec<Rescan>) -> Vec<Rescan> {
    let mut seen = BTreeSet::new();
    let mut rows: Vec<Rescan> =
        answers.into_iter().rev().filter(|it| seen.insert(it.asset.clone())).collect();
    rows.reverse();
    for asset in asked {
        if seen.insert(asset.clone()) {
            rows.push(Rescan {
                asset: asset.clone(),
                answered: false,
                nonce: None,
                sequence: None,
                boot_id: None,
                took_s: None,
                reason: Some(NOT_TOLD.into()),
            });
        }
    }
    rows
}

impl Answer for Vec<Rescan> {
    fn page(&self) -> Page {
        Page::of(
            self.records().only(&["asset", "answered", "reason", "took_s", "sequence", "boot_id"]).dense(),
        )
        .or_line("no asset was asked")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["asset", "answered", "nonce", "sequence", "boot_id", "took_s", "reason"]);
        for it in self {
            table.row([
                Some(it.asset.clone()),
                number(it.answered),
                it.nonce.clone(),
                it.sequence.and_then(number),
                it.boot_id.clone(),
                it.took_s.and_then(number),
                it.reason.clone(),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(asset: &str, answered: bool, reason: Option<&str>) -> Rescan {
        pb::RescanAnswer {
            asset: asset.into(),
            answered,
            took_ms: Some(1_250),
            reason: reason.map(Into::into),
            ..Default::default()
        }
        .into()
    }

    #[test]
    fn an_asset_without_an_answer_is_still_listed() {
        let asked = ["a".to_owned(), "b".to_owned()];
        let rows = complete(&asked, vec![answer("a", false, Some("waiting")), answer("a", true, None)]);
        assert_eq!(rows.len(), 2);
        assert!(rows[0].answered && rows[0].took_s == Some(1.25));
        assert_eq!((rows[1].answered, rows[1].reason.as_deref()), (false, Some(NOT_TOLD)));
        assert!(!rows[1].is_good(false));
    }

    #[test]
    fn waiting_is_good_only_when_nobody_waited() {
        assert!(answer("a", false, Some(WAITING)).is_good(false));
        assert!(!answer("a", false, Some(WAITING)).is_good(true));
        assert!(!answer("a", false, Some("retired")).is_good(false));
        assert_eq!(answer("a", true, None).progress(), "a answered after 1.2 s");
    }
}
