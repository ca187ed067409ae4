//! The messages themselves: what is known of one thing, as far as the policy shows it.

use std::collections::BTreeMap;

use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{AssetRecord, AuditEntry, ChangeEntry, TargetVerdict};
use holdpoint_common::proto::summary as pb;
use holdpoint_common::proto::v1::{SectionKind, SectionStatus};
use holdpoint_common::section::Digest;
use prost::Message;

use super::MAX_VERDICTS;
use super::policy::{Field, Level, Policy};
use crate::assess::{Brief, FindingView};
use crate::change::fold::Change;
use crate::change::word::State;
use crate::hardening::Score;
use crate::knowledge::FeedState;
use crate::knowledge::placement::Placed;
use crate::store::StoreError;
use crate::zone::Zone;

/// How an asset stands now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) freshness: &'static str,
    /// Only while it does not move.
    pub(super) last_seen_ms: Option<i64>,
}

pub(super) fn asset(
    record: &AssetRecord,
    placed: Option<&Placed>,
    brief: &Brief,
    now: Now,
    policy: &Policy,
) -> pb::AssetSummary {
    let of = |text: fn(&Placed) -> Option<&String>| placed.and_then(text).cloned().unwrap_or_default();
    let level = placed.and_then(|it| it.level).map(|it| it.to_string());
    let criticality = placed.map_or_else(String::new, criticality);
    let os = |text: &Option<String>| policy.show(Field::AssetOs, text.clone().unwrap_or_default());
    let mut alarms: Vec<String> = record.alarms.iter().map(|it| it.kind.clone()).collect();
    alarms.sort_unstable();
    alarms.dedup();
    let verdicts = brief.verdicts.iter().map(|(it, count)| (it.as_str(), *count));
    pb::AssetSummary {
        name: policy.show(Field::AssetName, record.name.as_str()),
        role: placed.and_then(|it| it.role.clone()).or_else(|| record.role.clone()).unwrap_or_default(),
        level: level.or_else(|| record.level.map(|it| it.to_string())).unwrap_or_default(),
        criticality: policy.show(Field::AssetCriticality, criticality),
        line: policy.show(Field::AssetLine, of(|it| it.process_line.as_ref())),
        owner: policy.show(Field::AssetOwner, of(|it| it.owner.as_ref())),
        os: os(&record.os_name),
        os_version: os(&record.os_version),
        freshness: now.freshness.to_owned(),
        last_seen_ms: now.last_seen_ms,
        incomplete: incomplete(record),
        verdicts: counts(verdicts),
        alarms,
        software: record.software_count.into(),
    }
}

fn criticality(placed: &Placed) -> String {
    match (&placed.criticality, placed.safety, placed.mission) {
        (Some(own), _, _) => own.clone(),
        (None, None, None) => String::new(),
        (None, safety, mission) => format!("{}/{}", safety.unwrap_or("?"), mission.unwrap_or("?")),
    }
}

/// Sections whose newest attempt was not complete, with its status in the place of a count.
fn incomplete(record: &AssetRecord) -> Vec<pb::SectionState> {
    let newest = |it: &holdpoint_common::proto::store::HeldRecord| {
        let status = it.attempt.as_ref().or(it.shown.as_ref())?.status;
        let status = SectionStatus::try_from(status).ok()?;
        let kind = SectionKind::try_from(it.kind).ok()?;
        let word = |it: &str, prefix: &str| it.trim_start_matches(prefix).to_lowercase();
        (status != SectionStatus::Complete).then(|| pb::SectionState {
            section: word(kind.as_str_name(), "SECTION_KIND_"),
            status: word(status.as_str_name(), "SECTION_STATUS_"),
        })
    };
    let mut states: Vec<_> = record.sections.iter().filter_map(newest).collect();
    states.sort_by(|a, b| a.section.cmp(&b.section));
    states
}

pub(super) fn findings(findings: Vec<FindingView>, open: u64, policy: &Policy) -> pb::FindingsSummary {
    let findings: Vec<_> = findings.into_iter().map(|it| finding(it, policy)).collect();
    let shown = u64::try_from(findings.len()).unwrap_or(u64::MAX);
    pb::FindingsSummary { findings, beyond: open.saturating_sub(shown) }
}

fn finding(view: FindingView, policy: &Policy) -> pb::FindingSummary {
    let text = |it: Option<&'static str>| it.unwrap_or_default().to_owned();
    pb::FindingSummary {
        subject: view.subject,
        verdict: view.outcome.verdict().as_str().to_owned(),
        reason: text(view.outcome.reason().map(crate::assess::Reason::as_str)),
        state: view.state,
        product: policy.show(Field::FindingProduct, view.product.unwrap_or_default()),
        installed: policy.show(Field::FindingInstalled, view.installed.unwrap_or_default()),
        required: view.required.unwrap_or_default(),
        triage: text(view.triage),
        disposition: text(view.disposition),
    }
}

pub(super) fn score(score: &Score) -> pb::Hardening {
    pb::Hardening {
        passed: score.passed,
        failed: score.failed,
        unknown: score.not_checked.saturating_add(score.errors),
        excused: score.excepted.saturating_add(score.not_applicable),
        permille: score.permille(),
    }
}

pub(super) fn change(change: &Change, policy: &Policy) -> pb::ChangeSummary {
    let stages = (1_u32..).zip(&change.stages);
    let stages =
        stages.map(|(number, it)| pb::StageSummary { number, state: it.state().as_str().to_owned() });
    let whole = change.stages.iter().flat_map(|it| &it.verdicts);
    let mut by_verdict = BTreeMap::new();
    for verdict in whole.clone().filter(|it| it.expectation.is_empty()) {
        *by_verdict.entry(verdict.verdict.as_str()).or_insert(0) += 1;
    }
    let by_verdict = counts(by_verdict);
    let mut summary = pb::ChangeSummary {
        title: String::new(),
        state: change.state.as_str().to_owned(),
        stages: stages.collect(),
        verdicts: Vec::new(),
        beyond: 0,
        vetoed: change.state == State::Vetoed || !change.vetoes.is_empty(),
        by_verdict,
    };
    if policy.level >= Level::Assets {
        summary.title = policy.show(Field::ChangeTitle, change.plan.title.as_str());
        (summary.verdicts, summary.beyond) = verdicts(whole, policy);
    }
    summary
}

fn verdicts<'a>(
    all: impl Iterator<Item = &'a TargetVerdict>,
    policy: &Policy,
) -> (Vec<pb::VerdictSummary>, u64) {
    let mut shown: Vec<_> = all
        .map(|it| pb::VerdictSummary {
            asset: it.asset.clone(),
            expectation: policy.show(Field::ChangeExpectation, it.expectation.as_str()),
            verdict: it.verdict.clone(),
            reason: it.reason.clone(),
            modifiers: it.modifiers.clone(),
        })
        .collect();
    // Targets as a whole go before their expectations where not all have room.
    if shown.len() > MAX_VERDICTS {
        shown.sort_by_key(|it| !it.expectation.is_empty());
    }
    let beyond = u64::try_from(shown.len().saturating_sub(MAX_VERDICTS)).unwrap_or(u64::MAX);
    shown.truncate(MAX_VERDICTS);
    (shown, beyond)
}

pub(super) fn feed(feed: &FeedState) -> pb::FeedSummary {
    pb::FeedSummary {
        imported_ms: feed.imported_ms,
        items: feed.items.into(),
        allowed_s: feed.allowed.as_secs(),
        usable: !feed.stale,
    }
}

pub(super) fn audit_head(zone: &Zone) -> Result<Option<pb::AuditSummary>, StoreError> {
    let length = zone.store().next_audit().saturating_sub(1);
    let key = Digest::of(zone.audit().key().public()).as_bytes().to_vec();
    Ok(zone.store().last_audit()?.map(|it| pb::AuditSummary { length, head: it.chain, key }))
}

/// The judgement of a stage that an entry of the audit log holds, with the name of its record.
pub(super) fn judgement(
    number: u64,
    entry: &AuditEntry,
    chain: &[u8],
    policy: &Policy,
) -> Option<(String, pb::Judgement)> {
    let Some(Detail::Change(detail)) = &entry.detail else { return None };
    let ChangeEntry { change, what, .. } = ChangeEntry::decode(detail.as_slice()).ok()?;
    let Some(What::Judged(judged)) = what else { return None };
    let (verdicts, beyond) = match policy.level {
        Level::Counts => (Vec::new(), 0),
        Level::Assets | Level::Full => verdicts(judged.verdicts.iter(), policy),
    };
    let mut by_verdict = BTreeMap::new();
    for verdict in judged.verdicts.iter().filter(|it| it.expectation.is_empty()) {
        *by_verdict.entry(verdict.verdict.as_str()).or_insert(0) += 1;
    }
    let judgement = pb::Judgement {
        change: change.clone(),
        stage: judged.stage,
        judged_ms: entry.at_ms,
        judge: judged.judge,
        verdicts,
        beyond,
        audit_number: number,
        audit_hash: chain.to_vec(),
        by_verdict: counts(by_verdict),
    };
    Some((format!("change/{change}/{}/{number}", judged.stage), judgement))
}

/// Words with their counts, in order of the words.
pub(super) fn counts<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<pb::Count> {
    let counts: BTreeMap<&str, u64> = counts.into_iter().filter(|it| it.1 > 0).collect();
    counts.into_iter().map(|(word, count)| pb::Count { word: word.to_owned(), count }).collect()
}
