//! What was judged: a verdict for every target, each resting on a section of that target's own snapshots.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::proto::store::{SnapshotRecord, StageJudged};

use super::super::shown;
use super::Checked;
use crate::change::{Change, Verdict};

/// Most targets that one sentence names.
const MOST_NAMED: usize = 10;

/// Checks that what verdicts rest on is in the snapshots, as the change was when it was judged.
pub(super) fn evidence(change: &Change, judged: &StageJudged, said: &mut Checked) {
    let Some(stage) = change.stage(judged.stage) else { return };
    for verdict in &judged.verdicts {
        let Some(target) = stage.targets.get(&verdict.asset) else { continue };
        let digests: BTreeSet<&[u8]> =
            [&target.pre, &target.post].into_iter().flatten().flat_map(digests).collect();
        for it in verdict.evidence.iter().filter(|it| it.kind != 0 && !it.digest.is_empty()) {
            if !digests.contains(it.digest.as_slice()) {
                said.fault(format!(
                    "stage {}: the verdict on `{}` rests on a section that is in none of its snapshots",
                    judged.stage,
                    shown(&verdict.asset)
                ));
            }
        }
    }
}

fn digests(it: &SnapshotRecord) -> impl Iterator<Item = &[u8]> {
    it.sections.iter().filter_map(|it| Some(it.state.as_ref()?.digest.as_slice()))
}

/// Checks that every target of a stage that was judged has its verdicts, and counts them.
pub(super) fn check(change: &Change, said: &mut Checked) {
    let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
    let mut without = Vec::new();
    let mut unjudged = Vec::new();
    for (number, stage) in (1_u32..).zip(&change.stages) {
        if stage.judged_at.is_none() {
            unjudged.push(format!("stage {number} ({} targets)", stage.targets.len()));
            continue;
        }
        let expectations: Vec<&str> = change
            .planned_stage(number)
            .map(|it| {
                it.expectations
                    .iter()
                    .filter_map(|it| change.plan.expectations.get(*it))
                    .map(|it| it.id.as_str())
                    .collect()
            })
            .unwrap_or_default();
        for asset in stage.targets.keys() {
            let of = |expectation: &str| {
                stage.verdicts.iter().find(|it| it.asset == *asset && it.expectation == expectation)
            };
            match of("").and_then(|it| Verdict::named(&it.verdict)) {
                Some(verdict) => *counts.entry(verdict).or_default() += 1,
                None => said.fault(format!("stage {number}: `{}` has no verdict", shown(asset))),
            }
            without.extend(
                expectations
                    .iter()
                    .filter(|it| of(it).is_none())
                    .map(|it| format!("`{}` on `{}`", shown(it), shown(asset))),
            );
        }
    }
    if !counts.is_empty() {
        let total: usize = counts.values().sum();
        let each: Vec<String> = counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        said.proves(format!("each of {total} targets that were judged has a verdict: {}", each.join(", ")));
    }
    let open = change.collateral.iter().filter(|it| it.explained.is_none()).count();
    if open > 0 {
        said.leaves_open(format!(
            "that nothing else moved: {open} of {} undeclared changes are explained by nobody",
            change.collateral.len()
        ));
    }
    if let Some(count) = counts.get(&Verdict::AttestedOnly) {
        said.leaves_open(format!(
            "what {count} attested targets are: no machine saw them, two persons each say so (grade E)"
        ));
    }
    if !unjudged.is_empty() {
        said.leaves_open(format!("anything about the outcome of {}: not judged", unjudged.join(", ")));
    }
    if !without.is_empty() {
        let more = without.len().saturating_sub(MOST_NAMED);
        let named = without.into_iter().take(MOST_NAMED).collect::<Vec<_>>().join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        said.leaves_open(format!("anything about {named}{more}: no verdict of their own"));
    }
}
