//! What stands before any comparison: whether there are two answers, of one machine, by one program, under the rules
//! that the board knew.

use std::collections::BTreeSet;

use holdpoint_common::proto::store::SnapshotRecord;
use holdpoint_common::row::{SectionKind, section_name};

use super::Question;
use super::pair::Said;
use crate::change::collateral::is_allowed;
use crate::change::expectation::Pair;
use crate::change::fold::{Change, Target};
use crate::change::plan::{self, Plan, Wanted};
use crate::change::snapshot::Snapshot;
use crate::change::word::{Verdict, Why};
use crate::knowledge::Wanted as Required;

/// The package that brings the agent.
const AGENT_PACKAGE: &str = "holdpoint-agent";

/// The answers of a target before and after, or what is said without them.
pub(super) fn answered<'a>(
    change: &Change,
    stage: u32,
    asset: &str,
    target: &'a Target,
) -> Result<(&'a SnapshotRecord, &'a SnapshotRecord), Said> {
    let Target { pre_asked: _, pre, left_out, post_asked, post, refused, old_nonces: _ } = target;
    if !target.was_asked() {
        // Nobody asked a machine: there is none to ask, or it was left out.
        return Err(if change.is_attested(stage, asset) {
            Said::new(Verdict::AttestedOnly, "two persons attest every expectation, and no machine can")
        } else {
            let because = left_out.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
            Said::new(
                Verdict::NotAssessed,
                format!("no machine looked, and no two persons attest it{because}"),
            )
        });
    }
    let refused = refused.as_ref().map(|(why, text)| Said::inconclusive(*why, text.clone()));
    match (pre, post) {
        (Some(pre), Some(post)) if post.sequence <= pre.sequence => Err(Said::inconclusive(
            Why::SequenceNotHigher,
            format!("the answer has sequence {}, and before the work it was {}", post.sequence, pre.sequence),
        )),
        (Some(pre), Some(post)) => Ok((pre, post)),
        (None, _) => {
            let because = left_out.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
            Err(Said::inconclusive(
                Why::NoPreSnapshot,
                format!("there is nothing from before the work to compare with{because}"),
            ))
        }
        (Some(_), None) => Err(refused.unwrap_or_else(|| match post_asked {
            Some(_) => Said::inconclusive(Why::Stale, "no answer to the question after the work"),
            None => Said::inconclusive(Why::Stale, "it was not asked after the work"),
        })),
    }
}

/// Why the two answers are not of one machine and one program.
pub(super) fn same_speaker(
    plan: &Plan,
    stage: &plan::Stage,
    pre: &Snapshot,
    post: &Snapshot,
) -> Option<Said> {
    if pre.record.fingerprint != post.record.fingerprint {
        let text = "another machine answered than before the work: its identity parts differ";
        return Some(Said::inconclusive(Why::IdentityMismatch, text));
    }
    let (before, after) = (pre.agent_digest(), post.agent_digest());
    let is_other = match (&before, &after) {
        (Some(before), Some(after)) => before != after,
        (Some(_), None) => {
            let text = "the agent no longer says which program it is";
            return Some(Said::inconclusive(Why::CoverageLower, text));
        }
        (None, _) => pre.record.agent_version != post.record.agent_version,
    };
    if !is_other
        || is_allowed(&plan.allowed, SectionKind::Self_, "agent_digest")
        || updates_agent(plan, stage)
    {
        return None;
    }
    let shown =
        |it: &Option<String>| it.as_ref().map_or("not known", |it| it.get(..12).unwrap_or(it)).to_owned();
    Some(Said::inconclusive(
        Why::AgentAltered,
        format!(
            "the agent is another program than before the work: {} {} was, {} {} is",
            pre.record.agent_version,
            shown(&before),
            post.record.agent_version,
            shown(&after)
        ),
    ))
}

/// Whether the stage is about the agent's own package.
fn updates_agent(plan: &Plan, stage: &plan::Stage) -> bool {
    stage.expectations.iter().filter_map(|&it| plan.expectations.get(it)).any(|it| match &it.wanted {
        Wanted::AtLeast(requirement) => match &requirement.wanted {
            Required::Software { name, .. } => !name.is_anything() && name.matches(AGENT_PACKAGE),
            Required::Build { .. } | Required::Kernel => false,
        },
        Wanted::NotAffected { .. }
        | Wanted::Fact(_)
        | Wanted::Absent { .. }
        | Wanted::ServiceRunning(_)
        | Wanted::Listener { .. }
        | Wanted::Restarted => false,
    })
}

/// Why an expectation is not judged by what the board decided on.
pub(super) fn same_rule(question: &Question<'_>, expectation: &plan::Expectation) -> Option<Said> {
    let Wanted::NotAffected { subject, .. } = &expectation.wanted else { return None };
    let rule = subject.split('/').next()?;
    let digest = |all: &[(String, Vec<u8>)]| all.iter().find(|it| it.0 == rule).map(|it| it.1.clone());
    match (digest(&question.change.rules), digest(question.rules)) {
        (Some(then), Some(now)) if then == now => None,
        (_, None) => Some(Said::inconclusive(Why::NoRule, format!("`{rule}` is not held any more"))),
        (_, Some(_)) => Some(Said::inconclusive(
            Why::RuleChangedBetween,
            format!("`{rule}` is another one than the board decided on"),
        )),
    }
}

/// Sections among these that were complete before and are not after, in words.
pub(super) fn lowered(pair: &Pair<'_>, kinds: &BTreeSet<SectionKind>) -> Option<String> {
    let lower = |it: &&SectionKind| pair.pre.is_complete(**it) && !pair.post.is_complete(**it);
    let names: Vec<&str> = kinds.iter().filter(lower).map(|it| section_name(*it)).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
