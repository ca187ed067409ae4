//! What operators are answered: functions of the fleet and the time. Nothing is filled in that no zone said.

mod export;
mod findings;
mod zone;

use holdpoint_common::bundle::Class;
use holdpoint_proto::store;
use holdpoint_proto::summary::{AssetSummary, ChangeSummary, Count, Hardening, HardeningSummary};
use holdpoint_proto::v1 as pb;
use prost::Message;

use super::alarm::Alarm;
use super::facts::Fact;
use super::fleet::{Fleet, Member};

pub use export::state;
pub use findings::status;
pub use zone::zone;

/// All zones and what belongs to none.
pub fn zones(fleet: &Fleet, now_ms: i64) -> pb::FleetZonesResponse {
    pb::FleetZonesResponse {
        site: fleet.site().to_string(),
        now_ms,
        zones: fleet.members().map(|(_, it)| zone(it, now_ms)).collect(),
        alarms: fleet.nobodys().alarms.active().map(alarm).collect(),
        quarantined: 0,
        quarantined_bytes: 0,
        stopped: None,
    }
}

/// The asset of a zone that has this id, or this name and no other has it.
pub fn find_asset<'a>(member: &'a Member, wanted: &str) -> Option<(&'a str, &'a Fact, AssetSummary)> {
    let mut named = None;
    for (id, fact, asset) in facts::<AssetSummary>(member, Class::Asset) {
        if id == wanted {
            return Some((id, fact, asset));
        }
        if asset.name == wanted {
            // Two of one name: only the id says which.
            named = if named.is_none() { Some(Some((id, fact, asset))) } else { Some(None) };
        }
    }
    named.flatten()
}

/// An asset with its findings; its history is the caller's to add.
pub fn asset(
    member: &Member,
    (id, fact, said): (&str, &Fact, AssetSummary),
    now_ms: i64,
) -> pb::FleetAssetResponse {
    let (findings, findings_beyond) = findings::of_asset(member, id, now_ms);
    pb::FleetAssetResponse {
        asset: Some(asset_row(member, id, fact, said)),
        findings,
        findings_beyond,
        history: Vec::new(),
        history_beyond: 0,
        hardening: hardening(member, id),
        uncertain_since_ms: member.zone.uncertain_since(now_ms),
    }
}

fn asset_row(member: &Member, id: &str, fact: &Fact, said: AssetSummary) -> pb::FleetAsset {
    let AssetSummary { name, role, level, criticality, line, owner, os, os_version, freshness, .. } = said;
    let AssetSummary { last_seen_ms, incomplete, verdicts, alarms, software, .. } = said;
    pb::FleetAsset {
        zone: zone_name(member),
        id: id.to_owned(),
        name,
        role,
        level,
        criticality,
        line,
        owner,
        os,
        os_version,
        freshness,
        last_seen_ms,
        verdicts: counts(verdicts),
        alarms,
        software,
        incomplete: incomplete.into_iter().map(|it| format!("{} {}", it.section, it.status)).collect(),
        since_ms: fact.since_ms,
        said_ms: fact.said_ms,
        inherited: member.zone.incarnation().is_none_or(|it| it.epoch != fact.epoch),
        gone: false,
    }
}

fn hardening(member: &Member, id: &str) -> Option<pb::FleetHardening> {
    let (_, _, summary) =
        facts::<HardeningSummary>(member, Class::Hardening).find(|(name, _, _)| *name == id)?;
    let Hardening { passed, failed, unknown, excused, permille } = summary.score?;
    Some(pb::FleetHardening { passed, failed, unknown, excused, permille })
}

/// An asset that its zone has taken back and that is remembered.
pub fn gone_asset(member: &Member, id: &str, now_ms: i64) -> pb::FleetAssetResponse {
    let asset = pb::FleetAsset {
        zone: zone_name(member),
        id: id.to_owned(),
        gone: true,
        ..pb::FleetAsset::default()
    };
    pb::FleetAssetResponse {
        asset: Some(asset),
        uncertain_since_ms: member.zone.uncertain_since(now_ms),
        ..pb::FleetAssetResponse::default()
    }
}

/// The changes of a zone; their histories are the caller's to add.
pub fn changes(member: &Member, now_ms: i64) -> Vec<pb::FleetChange> {
    let change = |(id, fact, said): (&str, &Fact, ChangeSummary)| {
        let ChangeSummary { title, state, stages, vetoed, by_verdict, .. } = said;
        pb::FleetChange {
            zone: zone_name(member),
            id: id.to_owned(),
            title,
            state,
            vetoed,
            stages: stages
                .into_iter()
                .map(|it| pb::FleetStage { number: it.number, state: it.state })
                .collect(),
            verdicts: counts(by_verdict),
            since_ms: fact.since_ms,
            said_ms: fact.said_ms,
            history: Vec::new(),
            history_beyond: 0,
            uncertain_since_ms: member.zone.uncertain_since(now_ms),
        }
    };
    facts::<ChangeSummary>(member, Class::Change).map(change).collect()
}

/// A history as people see it: newest first, and how many older moments are not kept.
pub fn history(kept: store::FleetHistory) -> (Vec<pb::FleetMoment>, u64) {
    let store::FleetHistory { version: _, moments, beyond } = kept;
    let moment = |it: store::FleetMoment| {
        let store::FleetMoment { at_ms, sequence, state, gone, verdicts, vetoed } = it;
        let verdicts =
            verdicts.into_iter().map(|it| pb::FleetCount { word: it.word, count: it.count }).collect();
        pb::FleetMoment { at_ms, sequence, state, gone, verdicts, vetoed }
    };
    (moments.into_iter().rev().map(moment).collect(), beyond)
}

/// What a zone says of all things of a class. What cannot be read is passed over: it is of a newer zone.
fn facts<M: Message + Default>(member: &Member, class: Class) -> impl Iterator<Item = (&str, &Fact, M)> {
    member.zone.facts().of(class).filter_map(|(key, fact)| {
        let content = fact.content.as_deref()?;
        Some((key.name(), fact, M::decode(content).ok()?))
    })
}

fn zone_name(member: &Member) -> String {
    member.zone.stream().zone.zone.to_string()
}

fn counts(counts: Vec<Count>) -> Vec<pb::FleetCount> {
    counts.into_iter().map(|Count { word, count }| pb::FleetCount { word, count }).collect()
}

fn alarm(alarm: &Alarm) -> pb::FleetAlarm {
    let Alarm { kind, sequence, text, first_ms, last_ms, told_ms: _, count, ended_ms, acknowledged } = alarm;
    let (acknowledged_by, acknowledged_ms) = acknowledged.clone().unzip();
    pb::FleetAlarm {
        kind: kind.as_str().to_owned(),
        sequence: *sequence,
        text: text.clone(),
        first_ms: *first_ms,
        last_ms: *last_ms,
        count: *count,
        ended_ms: *ended_ms,
        acknowledged_by,
        acknowledged_ms,
    }
}
