//! From the domain's words to the wire's: outwards only, and never failing.

use holdpoint_common::proto::store::MapRuleRecord;
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::proto::v1::import_result;

use crate::assess::FindingView;
use crate::intake::carried::Kept;
use crate::knowledge::FeedState;
use crate::knowledge::map::Candidate;
use crate::knowledge::map_file::{AdvisorySide, MapRule, rule_text};

pub(super) fn refused(file: String, reason: &str) -> pb::ImportResult {
    let reason = reason.to_owned();
    pb::ImportResult { result: Some(import_result::Result::Refused(pb::Refused { file, reason })) }
}

pub(super) fn one_shot_message(file: String, kept: Kept) -> pb::ImportResult {
    let Kept { asset, grade, digest, sections, unchanged, notes } = kept;
    let taken = pb::Taken {
        file,
        kind: "one-shot".to_owned(),
        digest: digest.to_vec(),
        items: sections,
        unchanged,
        skipped: notes,
        asset: Some(asset),
        grade: Some(grade.to_string()),
        changes: Vec::new(),
        faults: 0,
    };
    pb::ImportResult { result: Some(import_result::Result::Taken(taken)) }
}

pub(super) fn finding_message(view: FindingView) -> pb::Finding {
    let FindingView {
        asset,
        subject,
        kind,
        advisory,
        vulnerability,
        product,
        outcome,
        installed,
        required,
        as_of_ms,
        feed_age,
        grade,
        state,
        disposition,
        triage,
        triage_missing,
    } = view;
    pb::Finding {
        asset,
        subject,
        kind: if kind.is_advisory() { "advisory" } else { "requirement" }.to_owned(),
        advisory,
        vulnerability,
        product,
        verdict: outcome.verdict().as_str().to_owned(),
        reason: outcome.reason().map(|it| it.as_str().to_owned()),
        state: Some(state).filter(|it| !it.is_empty()),
        installed,
        required,
        as_of_ms,
        feed_age_s: Some(feed_age.as_secs()),
        triage: triage.map(str::to_owned),
        disposition: disposition.map(str::to_owned),
        grade: grade.map(|it| it.to_string()),
        triage_missing: triage_missing.into_iter().map(str::to_owned).collect(),
    }
}

pub(super) fn feed_message(feed: &FeedState) -> pb::Feed {
    pb::Feed {
        kind: feed.kind.as_str().to_owned(),
        items: feed.items,
        imported_ms: feed.imported_ms.unwrap_or(0),
        age_s: feed.age.as_secs(),
        allowed_age_s: feed.allowed.as_secs(),
        stale: feed.stale,
    }
}

pub(super) fn candidate_message(candidate: Candidate) -> pb::MapCandidate {
    let id = candidate.id();
    let Candidate { product, installed, score, reasons, assets, starter } = candidate;
    pb::MapCandidate {
        id,
        vendor: product.vendor,
        product: product.product,
        installed_name: installed.name,
        installed_publisher: installed.publisher,
        source: installed.source,
        score,
        reasons,
        assets,
        starter: starter.map(|it| it.id.clone()),
        scheme: starter.and_then(|it| it.reading).map(|it| it.scheme.name().to_owned()),
    }
}

/// What a decision about a candidate starts from. How a starter rule has versions read goes with it, for this pair.
pub(super) fn rule_of(candidate: Candidate) -> MapRuleRecord {
    let id = candidate.id();
    let Candidate { product, installed, starter, .. } = candidate;
    let details = starter.map(|it| {
        let advisory = AdvisorySide {
            vendors: vec![product.vendor.clone()],
            products: vec![product.product.clone()],
            ..AdvisorySide::default()
        };
        rule_text(&MapRule { advisory, ..it.clone() })
    });
    MapRuleRecord {
        id,
        vendor: product.vendor,
        product: product.product,
        installed_name: installed.name,
        installed_publisher: installed.publisher,
        source: installed.source,
        details,
        ..MapRuleRecord::default()
    }
}

pub(super) fn rule_message(rule: MapRuleRecord) -> pb::MapRule {
    let MapRuleRecord {
        id,
        decision,
        vendor,
        product,
        installed_name,
        installed_publisher,
        source,
        scheme,
        by,
        at_ms,
        why,
        expires_ms,
        details: _,
    } = rule;
    pb::MapRule {
        id,
        decision,
        vendor,
        product,
        installed_name,
        installed_publisher,
        source,
        scheme,
        by,
        at_ms,
        why,
        expires_ms,
    }
}
