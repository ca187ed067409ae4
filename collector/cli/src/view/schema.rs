//! Holds the views against the committed schemas, in both directions: what a view writes is
//! described, and what is described is written.
//!
//! Knows the few keywords that `schemas/` uses (type, enum, required, properties,
//! additionalProperties, items, minimum, maximum, `$ref` to another file) and fails on others.

use std::collections::BTreeSet;

use holdpoint_collector::change::{StageState, State, Verdict};
use holdpoint_collector::site::medium::Contents;
use holdpoint_collector::site::report::{File, Report};
use holdpoint_common::proto::store::Decision;
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::proto::v1::SiteTakeResponse;
use holdpoint_common::section::{Digest, Rows};
use serde::Serialize;
use serde_json::{Value, json};

use super::asset::{Asset, Changed, Details};
use super::audit::Audit;
use super::baseline::Baseline;
use super::change::{Carried, Change, Listed, Written};
use super::comparison::Comparison;
use super::control::Control;
use super::disposition::Disposition;
use super::drift::Drift;
use super::duty::Duty;
use super::event::Event;
use super::evidence::{Checked as CheckedEvidence, Exported as ExportedEvidence};
use super::explanation::Explanation;
use super::feed::Feed;
use super::finding::Finding;
use super::fleet::asset::AssetPage;
use super::fleet::change::Change as FleetChange;
use super::fleet::finding::Status as FleetStatus;
use super::fleet::site::Overview;
use super::fleet::zone::Zone as FleetZone;
use super::fleet::{Exported as FleetExported, Zones};
use super::hardening::{Linted, Rules, Scores, Tested};
use super::import::Import;
use super::joined::Joined;
use super::lint::Lint;
use super::map::{Candidate, Rule};
use super::map_whole::{Entry, Exported, Remark, Remarks, Standings};
use super::pack;
use super::patch::Track;
use super::placement::{Conduit, Placed};
use super::rescan::Rescan;
use super::software::Software;
use super::statement::Statement;
use super::summary::Summary;
use super::triage::{Checked, Recorded, Triage};
use super::version::{AllJudged, Judged};

const KEYWORDS: [&str; 13] = [
    "$schema",
    "title",
    "description",
    "type",
    "enum",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "minimum",
    "maximum",
    "format",
    "pattern",
];

fn load(file: &str) -> Value {
    let path = format!("{}/schemas/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{path}: {cause}"));
    serde_json::from_str(&text).unwrap_or_else(|cause| panic!("{path}: {cause}"))
}

fn resolve(schema: &Value) -> Value {
    let Some(reference) = schema["$ref"].as_str() else { return schema.clone() };
    let (file, pointer) = reference.split_once('#').unwrap();
    load(file).pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere")).clone()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Every way in which the value is not what the schema describes.
fn faults(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema = resolve(schema);
    for keyword in schema.as_object().unwrap().keys() {
        assert!(KEYWORDS.contains(&keyword.as_str()), "{at}: the checker does not know {keyword}");
    }
    let types: Vec<&str> = match schema["type"].as_str() {
        Some(one) => vec![one],
        None => schema["type"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect(),
    };
    let kind = type_of(value);
    let is_whole_number = kind == "integer" && types.contains(&"number");
    if !types.contains(&kind) && !is_whole_number {
        found.push(format!("{at}: {kind} instead of {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array().filter(|it| !it.contains(value)) {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    for (bound, is_broken) in [("minimum", f64::lt as fn(&f64, &f64) -> bool), ("maximum", f64::gt)] {
        let broken = |limit: f64| value.as_f64().is_some_and(|it| is_broken(&it, &limit));
        if schema[bound].as_f64().is_some_and(broken) {
            found.push(format!("{at}: {value} is over its {bound}"));
        }
    }
    match value {
        Value::String(text) if text.is_empty() && types.contains(&"null") => {
            found.push(format!("{at}: empty text instead of null"));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, it)| faults(&schema["items"], it, &format!("{at}/{n}"), found));
        }
        Value::Object(fields) => {
            for name in schema["required"].as_array().unwrap().iter().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    found.push(format!("{at}: {name} is missing"));
                }
            }
            for (name, it) in fields {
                let at = format!("{at}/{name}");
                let any = Some(&schema["additionalProperties"]).filter(|it| it.is_object());
                let names_fields = schema["properties"].as_object().is_some_and(|it| !it.is_empty());
                match schema["properties"].get(name).or(any) {
                    Some(described) => faults(described, it, &at, found),
                    None if names_fields => found.push(format!("{at} is not described")),
                    None => {}
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn check(file: &str, view: &impl Serialize) {
    let mut found = Vec::new();
    faults(&load(file), &serde_json::to_value(view).unwrap(), "", &mut found);
    assert!(found.is_empty(), "{file}: {found:#?}");
}

/// A field that holds something, and the same field with nothing.
fn both<T: Default>(full: T) -> [T; 2] {
    [full, T::default()]
}

#[expect(clippy::unnecessary_wraps, reason = "the wire's fields are optional")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn asset() -> pb::Asset {
    pb::Asset {
        id: "hmi-01".into(),
        name: "HMI 1".into(),
        zone: "line-1".into(),
        role: some("hmi"),
        level: Some(2),
        os: some("Debian GNU/Linux"),
        os_version: some("12"),
        last_seen_ms: Some(1_700_000_000_000),
        freshness: "stale".into(),
        sections: vec![pb::SectionSummary {
            kind: pb::SectionKind::Software.into(),
            status: pb::SectionStatus::Complete.into(),
            ..Default::default()
        }],
        software_count: 3,
        alarms: vec![pb::Alarm { kind: "clock".into(), text: "2 h behind".into(), since_ms: 5 }],
        retired: true,
        tags: vec!["line-1".into()],
        agent_version: some("0.1.0"),
        sequence: 7,
        boot_id: some("b"),
        grade: some("B"),
    }
}

/// An asset of which only the identifier is known.
fn unknown_asset() -> pb::Asset {
    pb::Asset { id: "a".into(), freshness: "never".into(), ..Default::default() }
}

fn finding() -> pb::Finding {
    pb::Finding {
        asset: "hmi-01".into(),
        subject: "ICSA-1/CVE-1/P-1".into(),
        kind: "advisory".into(),
        advisory: some("ICSA-1"),
        vulnerability: some("CVE-1"),
        product: some("P"),
        verdict: "UNKNOWN".into(),
        reason: some("no-map-rule"),
        state: some("open"),
        installed: some("1"),
        required: some("2"),
        as_of_ms: Some(1),
        feed_age_s: Some(2),
        triage: some("act"),
        disposition: some("patch"),
        grade: some("C"),
        triage_missing: vec!["safety_impact".into()],
    }
}

#[test]
fn assets_are_as_described() {
    check("assets.json", &[asset(), unknown_asset()].map(Asset::from));
    check("asset-change.json", &Changed::from(asset()));
    let rows =
        Rows::encode(&[pb::SoftwareRow { name: "a".into(), source: "dpkg".into(), ..Default::default() }]);
    let section = pb::SectionContent {
        kind: pb::SectionKind::Software.into(),
        status: pb::SectionStatus::Partial.into(),
        reasons: vec!["r".into()],
        digest: rows.digest().to_vec(),
        rows: rows.as_slice().to_vec(),
        grade: some("D"),
    };
    let found = pb::GetAssetResponse { asset: Some(asset()), sections: both(section).into() };
    check("asset-show.json", &Details::new(found, Vec::new()).unwrap());
}

#[test]
fn lists_are_as_described() {
    let software = pb::InstalledSoftware {
        asset: "a".into(),
        name: "zlib1g".into(),
        version: some("1"),
        source: "dpkg".into(),
        architecture: some("amd64"),
    };
    check("software.json", &both(software).map(Software::from));
    let event = pb::Event {
        at_ms: 1,
        asset: "a".into(),
        kind: "enrolled".into(),
        text: "t".into(),
        host_time_ms: Some(2),
    };
    check("events.json", &both(event).map(Event::from));
    let feed =
        pb::Feed { kind: "csaf".into(), items: 1, imported_ms: 2, age_s: 3, allowed_age_s: 4, stale: true };
    check("feeds.json", &both(feed.clone()).map(Feed::from));
    let count = || vec![pb::Count { name: "UNKNOWN".into(), count: 1 }];
    let summary = pb::SummarizeResponse {
        by_verdict: count(),
        by_reason: count(),
        matchability: count(),
        feeds: vec![feed],
        assets: 1,
        by_triage: count(),
    };
    for it in both(summary) {
        check("status-summary.json", &Summary::from(it));
    }
}

#[test]
fn findings_are_as_described() {
    let bare = pb::Finding { kind: "requirement".into(), verdict: "FIXED".into(), ..Default::default() };
    check("status.json", &[finding(), bare].map(Finding::from));
    let steps = both(pb::Step { step: "row".into(), text: "t".into(), evidence: some("e") });
    let explained = pb::ExplainResponse {
        asset: "a".into(),
        subject: "s".into(),
        verdict: "AFFECTED".into(),
        reason: some("r"),
        chain: steps.into(),
        grade: some("B"),
    };
    check("explain.json", &Explanation::from(explained));
}

#[test]
fn hardening_is_as_described() {
    let full = pb::HardeningResult {
        asset: "hmi-01".into(),
        rule: "W06.server".into(),
        result: "EXCEPTION".into(),
        observed: some("true"),
        expected: some("is false"),
        source: some("s"),
        reason: some("r"),
        title: "t".into(),
        severity: "high".into(),
        expires_ms: Some(1),
        profile: "windows".into(),
        as_of_ms: Some(2),
        grade: some("B"),
    };
    let bare = pb::HardeningResult { result: "PASS".into(), severity: "low".into(), ..Default::default() };
    check("hardening.json", &[full, bare].map(Tested::from));
    let score = pb::HardeningScore {
        asset: some("a"),
        role: some("hmi"),
        passed: 1,
        score: Some(50.0),
        checked: Some(1.5),
        ..Default::default()
    };
    let mut scores = Scores::default();
    scores.add(pb::ScoreHardeningResponse {
        assets: both(score).into(),
        zone: Some(pb::HardeningScore::default()),
        next_after: None,
    });
    check("hardening-score.json", &scores);
    let rule = pb::HardeningRule {
        id: "W06.server".into(),
        severity: "low".into(),
        why: "w".into(),
        references: vec![pb::HardeningReference { text: "SR 7.7".into(), mapping: true }],
        facts: vec!["smb1.server".into()],
        changes: vec!["c".into()],
        ..Default::default()
    };
    let bare = pb::HardeningRule { severity: "high".into(), ..Default::default() };
    let rules = pb::ListHardeningRulesResponse { rules: vec![rule, bare], warnings: vec!["w".into()] };
    check("hardening-rules.json", &Rules::from(rules));
    let lint = holdpoint_collector::hardening::lint("kind = \"hardening\"\n", 0);
    check("hardening-lint.json", &Linted::from(lint));
}

#[test]
fn decisions_are_as_described() {
    let candidate = pb::MapCandidate {
        id: "c".into(),
        vendor: "v".into(),
        product: "p".into(),
        installed_name: "n".into(),
        installed_publisher: some("p"),
        source: "dpkg".into(),
        score: 100,
        reasons: vec!["r".into()],
        assets: 1,
        starter: some("s"),
        scheme: some("natural"),
    };
    check("map-suggest.json", &both(candidate).map(Candidate::from));
    let rule = pb::MapRule {
        id: "c".into(),
        decision: "confirmed".into(),
        vendor: "v".into(),
        product: "p".into(),
        installed_name: "n".into(),
        installed_publisher: some("p"),
        source: "dpkg".into(),
        scheme: some("deb"),
        by: "anna".into(),
        at_ms: 1,
        why: "w".into(),
        expires_ms: Some(2),
    };
    check("map-rule.json", &Rule::from(rule));
    check("map-rule.json", &Rule::from(pb::MapRule { decision: "rejected".into(), ..Default::default() }));
}

#[test]
fn the_whole_map_is_as_described() {
    let entry = pb::MapEntry {
        kind: "rule".into(),
        id: "r".into(),
        decision: "same".into(),
        valid: true,
        file: some("f"),
        vendors: vec!["v".into()],
        products: vec!["p".into()],
        installed: "n".into(),
        scheme: some("deb"),
        by: "anna".into(),
        at_ms: 1,
        why: "w".into(),
        expires_ms: Some(2),
        bound: 3,
    };
    let bare = pb::MapEntry { kind: "fact".into(), ..Default::default() };
    check("map-list.json", &[entry, bare].map(Entry::from));
    check("map-export.json", &Exported { file: "f".into(), items: 1, left_out: vec!["x".into()] });
    let lint = pb::MapLint { severity: "note".into(), rule: "r".into(), text: "t".into() };
    let remarks = vec![Remark::from(lint), Remark::of("error", None, "t".into())];
    check("map-lint.json", &Remarks(remarks));
    let standing = pb::MapStanding {
        class: "no-feed".into(),
        company: some("c"),
        name: "n".into(),
        source: some("dpkg"),
        assets: 1,
        advisories: 2,
    };
    let bare = pb::MapStanding { class: "no-data".into(), ..Default::default() };
    let count = pb::MapCount { class: "no-feed".into(), count: 1 };
    let answer = pb::MapStatusResponse { standings: vec![standing, bare], counts: vec![count], total: 2 };
    check("map-status.json", &Standings::from(answer));
    check("map-status.json", &Standings::from(pb::MapStatusResponse::default()));
}

#[test]
fn placement_is_as_described() {
    let placed = pb::PlacedAsset {
        asset: "hmi-01".into(),
        zone: some("line-1"),
        level: some("2"),
        role: some("hmi"),
        safety_impact: some("critical"),
        mission_impact: some("mef-failure"),
        criticality: some("high"),
        process_line: some("filling"),
        owner: some("ada"),
        partner: some("hmi-02"),
        location: some("room 4"),
        exposure: some("small"),
        exposure_reason: some("cabinet"),
        file: some("p.csv"),
        imported_ms: Some(1),
        imported_by: some("kim"),
        enrolled: true,
        own_role: some("hmi"),
        own_level: Some(2),
        conflicts: vec!["c".into()],
        exposure_counts_as: vec!["small".into()],
        exposure_source: "s".into(),
    };
    check("placement.json", &both(placed).map(Placed::from));
    let conduit = pb::Conduit {
        from: "a".into(),
        to: "b".into(),
        both_ways: true,
        protocols: some("rdp"),
        device: some("fw"),
        file: "p.csv".into(),
    };
    check("placement-conduits.json", &both(conduit).map(Conduit::from));
}

#[test]
fn triage_is_as_described() {
    let input = pb::TriageValue {
        name: "automatable".into(),
        values: vec!["no".into()],
        source: "s".into(),
        as_of_ms: Some(1),
        digest: vec![1],
    };
    let decision = pb::TriageDecision {
        scheme: "ssvc-deployer".into(),
        version: "1.0.0".into(),
        table_digest: vec![1],
        inputs: both(input).into(),
        outcome: "defer".into(),
        undetermined: true,
        missing: vec!["exposure".into()],
    };
    let recorded = pb::RecordedTriage {
        number: 1,
        asset: "a".into(),
        subject: "s".into(),
        at_ms: 1,
        by: "kim".into(),
        decision: Some(decision.clone()),
        override_outcome: some("immediate"),
        override_reason: some("r"),
    };
    for it in both(recorded.clone()) {
        check("triage-recorded.json", &Recorded::from(it));
    }
    let triage = pb::TriageResponse {
        asset: "a".into(),
        subject: "s".into(),
        verdict: "AFFECTED".into(),
        decisions: both(decision).into(),
        recorded: vec![recorded],
        epss: some("1 %"),
    };
    for it in both(triage) {
        check("triage.json", &Triage::from(it));
    }
    let fault = pb::TriageFault { number: 1, asset: "a".into(), subject: "s".into(), text: "t".into() };
    for it in both(pb::CheckTriageResponse { checked: 1, faults: vec![fault] }) {
        check("triage-check.json", &Checked::from(it));
    }
}

#[test]
fn tracks_and_dispositions_are_as_described() {
    let disposition = pb::Disposition {
        number: 1,
        asset: "a".into(),
        subject: "s".into(),
        kind: "mitigate".into(),
        owner: "ada".into(),
        until_ms: Some(1),
        reason: "r".into(),
        control: some("a=b"),
        status: "verified".into(),
        by: "kim".into(),
        at_ms: 1,
        findings: 2,
    };
    let bare = pb::Disposition { kind: "patch".into(), ..pb::Disposition::default() };
    check("dispositions.json", &[disposition, bare].map(Disposition::from));
    let statement = pb::SupplierStatement {
        vendor: "v".into(),
        product: "p".into(),
        versions: some("1"),
        patch: "KB1".into(),
        state: "Approved".into(),
        raw: some("ok"),
        conditions: some("c"),
        date: some("2026-01-01"),
        superseded_by: some("KB2"),
        note: some("n"),
        file: "f".into(),
        digest: vec![1],
        imported_ms: 1,
        mapping: some("m"),
        current: true,
    };
    let bare = pb::SupplierStatement { state: "NoStatement".into(), ..pb::SupplierStatement::default() };
    check("statements.json", &[statement, bare].map(Statement::from));
    let step = pb::OwnerStep {
        number: 1,
        step: "authorize".into(),
        reason: "r".into(),
        deviation: vec!["Ada (safety officer)".into()],
        condition: some("c"),
        by: "kim".into(),
        at_ms: 1,
    };
    let track = pb::PatchTrack {
        patch: "KB1".into(),
        scope: "line-1".into(),
        state: "Authorized".into(),
        steps: both(step).into(),
        supplier: vec!["Approved".into()],
        unacknowledged: vec!["c".into()],
    };
    let bare = pb::PatchTrack { state: "Unevaluated".into(), ..pb::PatchTrack::default() };
    check("patch.json", &[track, bare].map(Track::from));
}

#[test]
fn packs_are_as_described() {
    use holdpoint_common::pack::{FORMAT, Listed, Manifest, Pack, generate, make, signing_key};
    let key = signing_key(generate().unwrap().private_pem.as_bytes()).unwrap();
    let file = std::path::Path::new("f");
    check("pack-key.json", &pack::Made::new(&key.public(), file, file));
    let manifest = Manifest {
        format: FORMAT,
        title: "t".into(),
        serial: 7,
        made_ms: 1,
        zones: vec!["plant/line-1".into()],
        members: Vec::new(),
    };
    let member = (Listed::of("kev.json", "kev", b"{}"), b"{}".to_vec());
    let bytes = make(manifest, &[member], &key).unwrap();
    check("pack-show.json", &pack::Shown::new(&Pack::read(&bytes).unwrap(), file, bytes.len()));
    let member = pb::PackMember {
        name: "kev.json".into(),
        kind: "kev".into(),
        size: 2,
        digest: vec![1],
        items: 1,
        unchanged: true,
        skipped: vec!["s".into()],
        changes: vec!["c".into()],
        faults: 1,
        left_out: some("older"),
    };
    let whole = pb::Pack {
        id: "3b6a91c4-7".into(),
        digest: vec![1],
        title: "t".into(),
        serial: 7,
        state: "released".into(),
        signer: "desk".into(),
        key: vec![2],
        made_ms: 1,
        zones: vec!["plant/line-1".into()],
        files: 1,
        bytes: 2,
        file: "f".into(),
        brought_ms: 3,
        brought_by: "b".into(),
        brought_person: "kim".into(),
        decided_ms: Some(4),
        decided_by: "d".into(),
        decided_person: "ada".into(),
        reason: "r".into(),
        known: true,
        hindrance: some("h"),
        members: both(member).into(),
    };
    let bare = pb::Pack { state: "waiting".into(), ..pb::Pack::default() };
    for it in [whole.clone(), bare.clone()] {
        check("pack.json", &pack::Pack::from(it));
    }
    check("pack-list.json", &[whole, bare].map(pack::Pack::from));
    let signer = pb::PackSigner {
        name: "desk".into(),
        key: vec![1],
        algorithm: "ed25519".into(),
        trusted_ms: 1,
        trusted_by: "b".into(),
        distrusted_ms: Some(2),
        distrusted_by: "d".into(),
        reason: "r".into(),
        released_serial: 7,
    };
    let bare = pb::PackSigner { algorithm: "es256".into(), ..pb::PackSigner::default() };
    check("pack-signers.json", &[signer, bare].map(pack::Signer::from));
}

#[expect(clippy::too_many_lines, reason = "every field has a value, so that the schema sees it")]
fn change() -> pb::Change {
    let sign_off = pb::SignOff {
        role: "operations".into(),
        person: "kim".into(),
        operator: "o".into(),
        at_ms: 1,
        text: "t".into(),
        rollback_verified: true,
        digest: vec![1],
    };
    let target = pb::StageTarget {
        asset: "a".into(),
        pre: "taken".into(),
        post: "REPLAYED".into(),
        pre_sequence: Some(1),
        post_sequence: Some(2),
        pre_boot_id: some("b"),
        post_boot_id: some("c"),
        attested: true,
    };
    let bare_target = pb::StageTarget { pre: "missing".into(), ..pb::StageTarget::default() };
    let check =
        pb::Check { check: "clock".into(), asset: "a".into(), result: "fail".into(), text: "t".into() };
    let point = |kind: &str, by: &str| pb::StagePoint {
        name: "n".into(),
        kind: kind.into(),
        released: true,
        by: by.into(),
    };
    let stage = pb::ChangeStage {
        n: 1,
        title: "t".into(),
        state: "open".into(),
        tier: "hmi".into(),
        targets: vec![target, bare_target],
        preflight: vec![check, pb::Check { result: "pass".into(), ..pb::Check::default() }],
        r#override: "o".into(),
        points: vec![point("hold", "kim"), point("witness", "")],
        answers_until_ms: Some(1),
        expectations: vec!["e".into()],
    };
    let bare_stage =
        pb::ChangeStage { state: "pending".into(), tier: "controllers".into(), ..pb::ChangeStage::default() };
    let evidence = pb::ChangeEvidence {
        phase: "post".into(),
        what: "w".into(),
        value: "v".into(),
        digest: vec![1],
        section: "software".into(),
    };
    let verdict = pb::ChangeVerdict {
        asset: "a".into(),
        expectation: "e".into(),
        verdict: "INCONCLUSIVE".into(),
        reason: "STALE".into(),
        modifiers: vec!["COLLATERAL_CHANGE".into()],
        text: "t".into(),
        evidence: both(evidence).into(),
        grade: "B".into(),
        stage: 1,
    };
    let bare_verdict = pb::ChangeVerdict { verdict: "REMEDIATED".into(), ..pb::ChangeVerdict::default() };
    let collateral = pb::Collateral {
        number: 1,
        stage: 1,
        asset: "a".into(),
        section: "software".into(),
        item: "i".into(),
        before: some("1"),
        after: some("2"),
        explained_by: "kim".into(),
        explanation: "e".into(),
    };
    let test = pb::TestRun {
        procedure: "p".into(),
        person: "kim".into(),
        role: "operations".into(),
        at_ms: 1,
        passed: true,
        steps: both(pb::TestStep {
            step: "s".into(),
            observed: "1".into(),
            limits: "l".into(),
            passed: true,
        })
        .into(),
    };
    let step = pb::ChangeStep {
        revision: 1,
        audit_number: 2,
        at_ms: 3,
        by: "b".into(),
        action: "a".into(),
        text: "t".into(),
    };
    pb::Change {
        id: "CHG-0001".into(),
        title: "t".into(),
        state: "in_progress".into(),
        plan_digest: vec![1],
        plan: "p".into(),
        stages: vec![stage, bare_stage],
        vetoes: vec![pb::SignOff { role: "plant-safety".into(), ..pb::SignOff::default() }],
        sign_offs: vec![sign_off],
        missing_roles: vec!["maintenance".into()],
        verdicts: vec![verdict, bare_verdict],
        collateral: both(collateral).into(),
        tests: both(test).into(),
        procedures: vec!["p".into()],
        steps: both(step).into(),
        window_start_ms: Some(1),
        window_end_ms: Some(2),
        hard_stop_ms: Some(3),
        latest_rollback_ms: Some(4),
        blocked_by: vec!["b".into()],
        next: "n".into(),
        meetings: vec!["m".into()],
        lessons: "l".into(),
        soak_until_ms: Some(5),
        revision: 6,
        refers_to: "CHG-0000".into(),
    }
}

#[test]
fn changes_are_as_described() {
    let bare = pb::Change { state: "draft".into(), ..pb::Change::default() };
    for it in [change(), bare] {
        check("change-show.json", &Change::from(it));
    }
    check("change-log.json", &Change::from(change()).into_log());
    let summary = pb::ChangeSummary {
        id: "CHG-0001".into(),
        title: "t".into(),
        state: "draft".into(),
        assets: 1,
        stages: 1,
        window_start_ms: Some(1),
        window_end_ms: Some(2),
        next: "n".into(),
    };
    let bare = pb::ChangeSummary { state: "vetoed".into(), ..pb::ChangeSummary::default() };
    check("change-list.json", &[summary, bare].map(Listed::from));
    let file = std::path::Path::new("f");
    for role in ["operations", ""] {
        let decision = Decision { kind: "veto".into(), role: role.into(), ..Decision::default() };
        check("change-carried.json", &Carried::new(&decision, "o".into(), file, &Digest::of(b"d")));
    }
    check("change-skeleton.json", &Written::new("DSA-1", file, 2, 1));
    check("evidence-export.json", &ExportedEvidence::new("CHG-0001", file, "rows", 8, &[1]));
    let all = |text: &str| vec![text.to_owned()];
    check(
        "evidence-check.json",
        &CheckedEvidence::new(true, some("c"), some("closed"), some("0a"), all("p"), all("n"), all("f")),
    );
    check("evidence-check.json", &CheckedEvidence::new(true, None, some(""), None, vec![], vec![], vec![]));
}

#[test]
fn baselines_and_duties_are_as_described() {
    let part = |part: &str| pb::BaselinePart {
        part: part.into(),
        digest: vec![1],
        items: vec!["i".into()],
        complete: true,
    };
    let baseline = pb::Baseline {
        asset: "a".into(),
        version: 1,
        parts: vec![part("software"), pb::BaselinePart { digest: vec![], ..part("ports") }],
        approved_ms: 1,
        approved_by: "kim".into(),
        change: "CHG-0001".into(),
        reason: "r".into(),
        sequence: 2,
        grade: "B".into(),
    };
    for it in both(baseline) {
        check("baseline.json", &Baseline::from(it));
    }
    let drift = pb::DriftItem {
        asset: "a".into(),
        part: "software".into(),
        item: "i".into(),
        baseline: some("1"),
        now: some("2"),
        digest: vec![1],
        disposition: "open".into(),
        reason: "r".into(),
        until_ms: Some(1),
        kind: 3,
        undetermined: "no-baseline".into(),
    };
    check("drift.json", &both(drift).map(Drift::from));
    let duty = |state: &str| pb::Duty {
        kind: "evaluate".into(),
        subject: "s".into(),
        asset: "a".into(),
        due_ms: 1,
        state: state.into(),
        text: "t".into(),
        rule: "r".into(),
    };
    let bare = pb::Duty { state: "done".into(), ..pb::Duty::default() };
    check("due.json", &[duty("due"), duty("overdue"), bare].map(Duty::from));
    let control = pb::Control {
        id: "C-7".into(),
        asset: "a".into(),
        subject: "s".into(),
        owner: "ada".into(),
        description: "d".into(),
        fact: some("a=b"),
        interval_days: 90,
        until_ms: 1,
        state: "works".into(),
        text: "t".into(),
        tested_ms: Some(1),
    };
    let bare = pb::Control { state: "untested".into(), ..pb::Control::default() };
    check("control.json", &[control, bare].map(Control::from));
}

#[test]
fn the_words_of_changes_are_those_of_the_collector() {
    let schema = load("change-show.json");
    let words = |pointer: &str| -> Vec<String> {
        let listed = schema.pointer(pointer).unwrap().as_array().unwrap();
        listed.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let all = |known: &[&str], pointer: &str| assert_eq!(words(pointer), known, "{pointer}");
    all(&State::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>(), "/properties/state/enum");
    all(
        &StageState::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
        "/properties/stages/items/properties/state/enum",
    );
    all(
        &Verdict::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
        "/properties/verdicts/items/properties/verdict/enum",
    );
}

#[test]
fn the_other_answers_are_as_described() {
    let mut import = Import::default();
    for taken in both(pb::Taken {
        kind: "csaf".into(),
        digest: vec![1],
        skipped: vec!["s".into()],
        asset: some("a"),
        grade: some("C"),
        changes: vec!["c".into()],
        faults: 2,
        ..Default::default()
    }) {
        import.take("f".into(), taken);
    }
    import.companion("f.sha256".into(), "matches");
    import.refuse("g".into(), "not JSON");
    check("import.json", &import);

    let fault = pb::Fault {
        advisory: "a".into(),
        entry: "e".into(),
        product: "p".into(),
        vulnerability: some("CVE-1"),
        kind: "condition".into(),
        consequence: "never-decided".into(),
        text: "t".into(),
    };
    let mut lint = Lint::default();
    lint.counts(2, 1, vec![pb::FaultCount { kind: "condition".into(), count: 2 }]);
    lint.add([fault.clone(), pb::Fault { vulnerability: None, ..fault }].into_iter());
    check("feeds-lint.json", &lint);

    let answer = pb::RescanAnswer {
        asset: "a".into(),
        answered: true,
        nonce: vec![1],
        sequence: Some(2),
        boot_id: some("b"),
        took_ms: Some(1_500),
        reason: some("waiting"),
    };
    check("rescan.json", &both(answer).map(Rescan::from));

    let differences = both(pb::Difference { kind: 3, item: "i".into(), left: some("1"), right: some("2") });
    let compared =
        pb::CompareAssetsResponse { differences: differences.into(), incomplete: vec!["live".into()] };
    check("compare.json", &Comparison::new("a".into(), "b".into(), compared));

    let faults = vec!["f".into()];
    let audit = pb::VerifyAuditResponse { valid: true, entries: 1, head: vec![1], key: vec![2], faults };
    for it in both(audit) {
        check("audit-verify.json", &Audit::from(it));
    }

    let judged = |result| {
        AllJudged(vec![
            Judged::new(some("1").zip(some("2")), result, "r".into()),
            Judged::new(None, result, String::new()),
        ])
    };
    check("vercmp.json", &judged("?"));
    check("range.json", &judged("unknown"));
    check(
        "enroll.json",
        &json!({"identity": "spiffe://s/zone/z/operator/a", "roles": ["viewer"], "collector": "a:1", "profile": "f"}),
    );
    check(
        "quickstart.json",
        &json!({"asset": Asset::from(asset()), "software_count": 3, "findings": [Finding::from(finding())], "next": []}),
    );
}

fn fleet_zone() -> pb::FleetZone {
    let count = |word: &str| vec![pb::FleetCount { word: word.into(), count: 1 }];
    pb::FleetZone {
        zone: "line-1".into(),
        collector: "5f0c".into(),
        last_sequence: Some(4),
        age_s: Some(5),
        gaps: ["open", "healed", "lost"]
            .map(|state| pb::FleetGap {
                from: 1,
                to: 2,
                state: state.into(),
                noticed_ms: 1,
                closed_ms: Some(2),
                how: "arrived".into(),
                epoch: "ab".into(),
                resend: "code".into(),
            })
            .into(),
        alarms: vec![fleet_alarm(), pb::FleetAlarm::default()],
        converged_since_ms: Some(1),
        uncertain_since_ms: Some(1),
        covered_by_ms: Some(1),
        clock_behind_ms: Some(37_000),
        clock_drift_ms_per_day: Some(2_000),
        clock_source: "unsynchronised".into(),
        drops: count("finding"),
        policy: "full".into(),
        redacted: vec!["asset.owner".into()],
        epoch: "ab".into(),
        key_epoch: 2,
        counters: count("taken"),
        past: vec![pb::FleetPast { epoch: "cd".into(), high: 3, ended_ms: 1, lost: 1, open: 0 }],
        strangers: vec![pb::FleetStranger { epoch: "ef".into(), first_ms: 1, count: 2, high: 3 }],
        forks: vec![pb::FleetFork { sequence: 3, held: vec![1], other: vec![2], at_ms: 1 }],
        frozen_since_ms: Some(1),
        silent_since_ms: Some(1),
        verdicts: count("AFFECTED"),
        reasons: count("feed-stale"),
        freshness: count("fresh"),
        version: "0.1.0".into(),
        refused: count("corrupt"),
        feeds: vec![pb::FleetFeed { kind: "csaf".into(), imported_ms: Some(1), ..Default::default() }],
        keys: vec![pb::FleetKey { id: "5f0c".into(), epoch: 1, expires_ms: Some(1) }],
        forgotten: count("lost"),
        trusted_by: "local".into(),
        ..pb::FleetZone::default()
    }
}

fn fleet_alarm() -> pb::FleetAlarm {
    pb::FleetAlarm {
        kind: "fork".into(),
        sequence: Some(3),
        text: "t".into(),
        first_ms: 1,
        last_ms: 2,
        count: 3,
        ended_ms: None,
        acknowledged_by: some("operator/anna"),
        acknowledged_ms: Some(3),
    }
}

#[test]
fn the_fleet_is_as_described() {
    for zone in [fleet_zone(), pb::FleetZone { zone: "line-2".into(), ..pb::FleetZone::default() }] {
        check("fleet-zone.json", &FleetZone::new(zone));
    }
    let zones = pb::FleetZonesResponse {
        site: "plant".into(),
        zones: vec![fleet_zone()],
        alarms: vec![fleet_alarm()],
        stopped: some("the disk is full"),
        ..pb::FleetZonesResponse::default()
    };
    check("fleet.json", &Zones::new(zones.clone()));
    check("fleet-site.json", &Overview::from(zones));

    let moment = || pb::FleetMoment { at_ms: 1, state: "fresh".into(), ..pb::FleetMoment::default() };
    let finding = || pb::FleetFinding {
        zone: "line-1".into(),
        asset: "hmi-01".into(),
        subject: "s".into(),
        verdict: "AFFECTED".into(),
        reason: "r".into(),
        uncertain_since_ms: Some(1),
        ..pb::FleetFinding::default()
    };
    let asset = pb::FleetAssetResponse {
        asset: Some(pb::FleetAsset { name: "n".into(), last_seen_ms: Some(1), ..pb::FleetAsset::default() }),
        findings: vec![finding()],
        history: vec![moment(), pb::FleetMoment::default()],
        hardening: Some(pb::FleetHardening { permille: Some(900), ..pb::FleetHardening::default() }),
        uncertain_since_ms: Some(1),
        ..pb::FleetAssetResponse::default()
    };
    for it in both(asset) {
        check("fleet-asset.json", &AssetPage::from(it));
    }
    let counts =
        both(pb::FleetZoneCounts { policy: "counts".into(), said_ms: Some(1), ..Default::default() });
    let status = pb::FleetStatusResponse { findings: vec![finding()], beyond: 1, counts: counts.into() };
    check("fleet-status.json", &FleetStatus::from(status));
    let change = pb::FleetChange {
        title: "t".into(),
        state: "closed".into(),
        stages: vec![pb::FleetStage { number: 1, state: "verified".into() }],
        history: vec![moment()],
        uncertain_since_ms: Some(1),
        ..pb::FleetChange::default()
    };
    check("fleet-changes.json", &both(change).map(FleetChange::from));
    check("fleet-export.json", &FleetExported::new("line-1".into(), "f".as_ref(), b"{}"));
    check("join.json", &Joined::new("spiffe://s/site/operator/a", "a:1", "r".as_ref(), "p".as_ref()));

    let mut report = Report::of(&Contents::default());
    let taken = |outcome: &str| SiteTakeResponse {
        outcome: outcome.into(),
        zone: "line-1".into(),
        sequence: Some(1),
        reason: "r".into(),
    };
    for outcome in ["accepted", "late", "set_aside", "refused"] {
        report.add(File::taken("f".into(), 1, taken(outcome)));
    }
    report.add(File::taken(
        "f".into(),
        1,
        SiteTakeResponse { outcome: "beacon".into(), ..Default::default() },
    ));
    report.add(File::not_read("f".into(), "w".into()));
    check("site-ingest.json", &report);
}

#[test]
fn a_checker_that_sees_nothing_would_be_worthless() {
    let mut view = serde_json::to_value([Finding::from(finding())]).unwrap();
    view[0].as_object_mut().unwrap().remove("advisory");
    view[0]["installed"] = json!("");
    view[0]["verdict"] = json!("FINE");
    view[0]["feed_age_s"] = json!("1");
    view[0]["nothing"] = json!(1);
    let mut found = Vec::new();
    faults(&load("status.json"), &view, "", &mut found);
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn every_schema_is_checked() {
    let source = include_str!("schema.rs");
    let dir = format!("{}/schemas", env!("CARGO_MANIFEST_DIR"));
    let files: BTreeSet<_> =
        std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    for file in files {
        assert!(source.contains(&format!("\"{file}\"")), "{file} is checked by no test");
        let schema = load(&file);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{file}");
    }
}
