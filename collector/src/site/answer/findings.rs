//! What is to be done, over all zones. A zone that says only how many answers with how many.

use holdpoint_common::bundle::Class;
use holdpoint_proto::summary::{FindingSummary, FindingsSummary};
use holdpoint_proto::v1 as pb;

use super::{counts, facts, zone_name};
use crate::site::fleet::{Fleet, Member};

/// Most findings of one answer.
const MAX_FINDINGS: usize = 10_000;
/// The same when nobody says how many.
const FINDINGS: usize = 1_000;
/// The policy under which a zone names its findings.
const FULL: &str = "full";

/// The findings that match.
pub fn status(fleet: &Fleet, request: &pb::FleetStatusRequest, now_ms: i64) -> pb::FleetStatusResponse {
    let pb::FleetStatusRequest { zone, verdict, advisory, limit } = request;
    let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
    let limit = if limit == 0 { FINDINGS } else { limit.min(MAX_FINDINGS) };
    let mut answer = pb::FleetStatusResponse::default();
    for (name, member) in fleet.members() {
        if zone.as_ref().is_some_and(|it| it != name.as_str()) {
            continue;
        }
        let mut unnamed = 0_u64;
        for (asset, fact, said) in facts::<FindingsSummary>(member, Class::Finding) {
            let FindingsSummary { findings, beyond } = said;
            unnamed = unnamed.saturating_add(beyond);
            for finding in findings {
                let matches = verdict.as_ref().is_none_or(|it| finding.verdict.eq_ignore_ascii_case(it))
                    && advisory.as_ref().is_none_or(|it| finding.subject.starts_with(it.as_str()));
                if !matches {
                    continue;
                }
                if answer.findings.len() < limit {
                    answer.findings.push(row(member, asset, fact.said_ms, finding, now_ms));
                } else {
                    answer.beyond = answer.beyond.saturating_add(1);
                }
            }
        }
        // The zone's own counts say what its list does not.
        if unnamed > 0 || member.summary.as_ref().is_none_or(|it| it.policy != FULL) {
            answer.counts.push(how_many(member, now_ms));
        }
    }
    answer
}

/// The findings of one asset, and how many more there are.
pub(super) fn of_asset(member: &Member, asset: &str, now_ms: i64) -> (Vec<pb::FleetFinding>, u64) {
    let found = facts::<FindingsSummary>(member, Class::Finding).find(|(name, _, _)| *name == asset);
    let Some((_, fact, FindingsSummary { findings, beyond })) = found else { return (Vec::new(), 0) };
    let rows = findings.into_iter().map(|it| row(member, asset, fact.said_ms, it, now_ms)).collect();
    (rows, beyond)
}

fn row(member: &Member, asset: &str, said_ms: i64, finding: FindingSummary, now_ms: i64) -> pb::FleetFinding {
    let FindingSummary { subject, verdict, reason, state, product, installed, required, triage, disposition } =
        finding;
    pb::FleetFinding {
        zone: zone_name(member),
        asset: asset.to_owned(),
        subject,
        verdict,
        reason,
        state,
        product,
        installed,
        required,
        triage,
        disposition,
        said_ms,
        uncertain_since_ms: member.zone.uncertain_since(now_ms),
    }
}

fn how_many(member: &Member, now_ms: i64) -> pb::FleetZoneCounts {
    let said = member.summary.clone().unwrap_or_default();
    let name = zone_name(member);
    let key = holdpoint_common::bundle::Key::new(Class::Zone, name.as_str()).ok();
    let fact = key.and_then(|it| member.zone.facts().find(&it)).map(|it| it.said_ms);
    pb::FleetZoneCounts {
        zone: name,
        policy: said.policy,
        verdicts: counts(said.verdicts),
        reasons: counts(said.reasons),
        said_ms: fact,
        uncertain_since_ms: member.zone.uncertain_since(now_ms),
    }
}
