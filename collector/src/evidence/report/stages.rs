//! What was done and seen, stage by stage.

use data_encoding::HEXLOWER;
use holdpoint_common::clock::readable;
use holdpoint_common::proto::store::{SnapshotRecord, TargetVerdict};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{SectionKind, section_name};

use super::html::{Cell, Look, Page};
use super::verdict_cell;
use crate::change::Change;
use crate::change::fold::{Stage, Target};

pub(super) fn write(page: &mut Page, change: &Change) {
    for (number, (planned, stage)) in (1_u32..).zip(change.plan.stages.iter().zip(&change.stages)) {
        page.heading(&format!("Stage {number}: {} ({})", planned.title, stage.state()));
        page.facts([
            ("Opened all the same, because", stage.overridden.clone()),
            ("Answers count until", stage.answers_until_ms.map(readable).unwrap_or_default()),
            ("Rolled back, because", stage.rollback.clone().unwrap_or_default()),
            (
                "Points released",
                stage
                    .released
                    .iter()
                    .map(|(point, by)| format!("{point} by {by}"))
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
        ]);
        preflight(page, stage);
        targets(page, stage);
        verdicts(page, stage);
    }
}

fn preflight(page: &mut Page, stage: &Stage) {
    page.subheading("Checked before it opened");
    page.table(
        ["Check", "Target", "Result", "In words"],
        stage.preflight.iter().map(|it| {
            let look = match it.result.as_str() {
                "pass" => Look::Good,
                "fail" => Look::Bad,
                _ => Look::Open,
            };
            [(&it.check).into(), (&it.asset).into(), Cell::new(&it.result, look), (&it.text).into()]
        }),
        "Nothing was checked.",
    );
}

fn targets(page: &mut Page, stage: &Stage) {
    page.subheading("Snapshots");
    page.table(
        ["Target", "When", "Answered", "Question (nonce)", "Sequence", "Boot", "Agent", "Not whole"],
        stage.targets.iter().flat_map(|(asset, target)| [before(asset, target), after(asset, target)]),
        "The stage has no target.",
    );
}

fn before(asset: &str, target: &Target) -> [Cell; 8] {
    let why = match &target.left_out {
        Some(reason) => format!("left out: {reason}"),
        None if target.pre_asked.is_some() => "asked, no answer".to_owned(),
        None => "not asked".to_owned(),
    };
    snapshot(asset, "before", target.pre.as_ref(), &why)
}

fn after(asset: &str, target: &Target) -> [Cell; 8] {
    let why = match &target.refused {
        Some((why, text)) => format!("{why}: {text}"),
        None if target.post_asked.is_some() => "asked, no answer".to_owned(),
        None => "not asked".to_owned(),
    };
    snapshot(asset, "after", target.post.as_ref(), &why)
}

fn snapshot(asset: &str, when: &str, found: Option<&SnapshotRecord>, why: &str) -> [Cell; 8] {
    let Some(it) = found else {
        let none = || Cell::from("");
        return [
            asset.into(),
            when.into(),
            Cell::new(why, Look::Open),
            none(),
            none(),
            none(),
            none(),
            none(),
        ];
    };
    [
        asset.into(),
        when.into(),
        readable(it.received_ms).into(),
        hex(&it.nonce).into(),
        it.sequence.to_string().into(),
        (&it.boot_id).into(),
        (&it.agent_version).into(),
        partial(it).into(),
    ]
}

/// Sections that were not read completely.
fn partial(it: &SnapshotRecord) -> String {
    let not_whole = it
        .sections
        .iter()
        .filter(|it| it.state.as_ref().is_none_or(|it| it.status != i32::from(SectionStatus::Complete)));
    not_whole.map(|it| section(it.kind)).collect::<Vec<_>>().join(", ")
}

fn verdicts(page: &mut Page, stage: &Stage) {
    page.subheading("Verdicts");
    page.table(
        ["Target", "Expectation", "Verdict", "Reason", "Grade", "Why", "Evidence"],
        stage.verdicts.iter().map(|it| {
            let TargetVerdict { asset, expectation, verdict, reason, modifiers, text, grade, .. } = it;
            let whole = if expectation.is_empty() { "as a whole" } else { expectation.as_str() };
            let reasons: Vec<&str> =
                [reason.as_str()].into_iter().chain(modifiers.iter().map(String::as_str)).collect();
            [
                asset.into(),
                whole.into(),
                verdict_cell(verdict),
                reasons.join(" ").trim().into(),
                grade.into(),
                text.into(),
                evidence(it).into(),
            ]
        }),
        "Not judged.",
    );
}

/// What a verdict rests on, a line each.
fn evidence(it: &TargetVerdict) -> String {
    let line = |it: &holdpoint_common::proto::store::Evidence| {
        let kind = if it.kind == 0 { String::new() } else { format!(" [{} ", section(it.kind)) };
        let digest = hex(&it.digest);
        let digest = digest.get(..12).unwrap_or_default();
        let close = if kind.is_empty() { "" } else { "]" };
        format!("{} {}: {}{kind}{digest}{close}", it.phase, it.what, it.value).trim().to_owned()
    };
    it.evidence.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The name of a section.
pub(super) fn section(kind: i32) -> String {
    SectionKind::try_from(kind).map_or_else(|_| format!("section {kind}"), |it| section_name(it).to_owned())
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}
