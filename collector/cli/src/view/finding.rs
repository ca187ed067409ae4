//! Findings: `status`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{age, joined, number, short_time, some_text, time};
use crate::output::{Answer, Page, Table};

/// The six words of a verdict.
pub const VERDICTS: [&str; 6] =
    ["AFFECTED", "INSTALLED_NOT_LIVE", "FIXED", "NOT_AFFECTED", "UNKNOWN", "NO_PRODUCT"];

/// Whether a verdict leaves something to do or to find out. A word that this version does not know does.
pub fn is_open(verdict: &str) -> bool {
    !matches!(verdict, "FIXED" | "NOT_AFFECTED" | "NO_PRODUCT")
}

/// One verdict about one asset.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub(crate) asset: String,
    pub(crate) subject: String,
    pub(crate) kind: String,
    pub(crate) advisory: Option<String>,
    pub(crate) vulnerability: Option<String>,
    pub(crate) product: Option<String>,
    pub(crate) verdict: String,
    pub(crate) reason: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) installed: Option<String>,
    pub(crate) required: Option<String>,
    pub(crate) as_of: Option<String>,
    pub(crate) feed_age_s: Option<u64>,
    pub(crate) triage: Option<String>,
    pub(crate) disposition: Option<String>,
    pub(crate) grade: Option<String>,
    pub(crate) triage_missing: Vec<String>,
}

impl From<pb::Finding> for Finding {
    fn from(wire: pb::Finding) -> Self {
        let pb::Finding {
            asset,
            subject,
            kind,
            advisory,
            vulnerability,
            product,
            verdict,
            reason,
            state,
            installed,
            required,
            as_of_ms,
            feed_age_s,
            triage,
            disposition,
            grade,
            triage_missing,
        } = wire;
        Self {
            asset,
            subject,
            kind,
            advisory: some_text(advisory),
            vulnerability: some_text(vulnerability),
            product: some_text(product),
            verdict,
            reason: some_text(reason),
            state: some_text(state),
            installed: some_text(installed),
            required: some_text(required),
            as_of: as_of_ms.and_then(time),
            feed_age_s,
            triage: some_text(triage),
            disposition: some_text(disposition),
            grade: some_text(grade),
            triage_missing,
        }
    }
}

impl Finding {
    /// See [`is_open`].
    pub fn is_open(&self) -> bool {
        is_open(&self.verdict)
    }

    /// The outcome of triage; what is not known could change one with a question mark.
    fn marked(&self, triage: &str) -> String {
        format!("{triage}{}", if self.triage_missing.is_empty() { "" } else { "?" })
    }
}

impl Answer for Vec<Finding> {
    fn cef(&self) -> Option<Vec<String>> {
        Some(self.iter().map(crate::export::cef::finding).collect())
    }

    fn page(&self) -> Page {
        let mut table = Table::new([
            "asset",
            "verdict",
            "reason",
            "subject",
            "product",
            "installed",
            "required",
            "state",
            "triage",
            "disposition",
            "grade",
            "as_of",
            "feed_age",
        ]);
        for it in self {
            table.row([
                Some(it.asset.clone()),
                Some(it.verdict.clone()),
                it.reason.clone(),
                Some(it.subject.clone()),
                it.product.clone(),
                it.installed.clone(),
                it.required.clone(),
                it.state.clone(),
                it.triage.as_ref().map(|word| it.marked(word)),
                it.disposition.clone(),
                it.grade.clone(),
                short_time(it.as_of.as_deref()),
                it.feed_age_s.and_then(age),
            ]);
        }
        Page::of(table.dense()).or_line("no findings; this is not an all-clear: see `holdpoint feeds`")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "asset",
            "subject",
            "kind",
            "advisory",
            "vulnerability",
            "product",
            "verdict",
            "reason",
            "state",
            "installed",
            "required",
            "as_of",
            "feed_age_s",
            "triage",
            "disposition",
            "grade",
            "triage_missing",
        ]);
        for it in self {
            table.row([
                Some(it.asset.clone()),
                Some(it.subject.clone()),
                Some(it.kind.clone()),
                it.advisory.clone(),
                it.vulnerability.clone(),
                it.product.clone(),
                Some(it.verdict.clone()),
                it.reason.clone(),
                it.state.clone(),
                it.installed.clone(),
                it.required.clone(),
                it.as_of.clone(),
                it.feed_age_s.and_then(number),
                it.triage.clone(),
                it.disposition.clone(),
                it.grade.clone(),
                joined(&it.triage_missing),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;
    use crate::output::Output;

    #[test]
    fn a_word_of_a_newer_collector_is_open() {
        let open: Vec<_> = VERDICTS.into_iter().filter(|it| is_open(it)).collect();
        assert_eq!(open, ["AFFECTED", "INSTALLED_NOT_LIVE", "UNKNOWN"]);
        assert!(is_open("SOMETHING_NEW") && is_open(""));
    }

    #[test]
    fn the_table_shows_what_decides_and_no_empty_columns() {
        let finding = pb::Finding {
            asset: "hmi-01".into(),
            subject: "SITE-1".into(),
            kind: "requirement".into(),
            verdict: "AFFECTED".into(),
            installed: Some("3.0.11".into()),
            required: Some(">= 3.0.16".into()),
            as_of_ms: Some(1_700_000_000_123),
            feed_age_s: Some(7_260),
            ..Default::default()
        };
        let text = Output::plain(Format::Table, None).render(&vec![Finding::from(finding)]).unwrap();
        assert_eq!(
            text,
            "ASSET   VERDICT   SUBJECT  INSTALLED  REQUIRED   AS OF                 FEED AGE\n\
             hmi-01  AFFECTED  SITE-1   3.0.11     >= 3.0.16  2023-11-14 22:13:20Z  2 h 1 min\n"
        );
    }
}
