//! Placement, triage and suppliers' statements as operators ask for them.

use holdpoint_common::proto::store::decision_record::What;
use holdpoint_common::proto::store::{
    DecisionRecord, OverrideRecord, TriageComputed, TriageInput, TriageRecord,
};
use holdpoint_common::proto::v1 as pb;
use prost::Message;
use tonic::Status;

use crate::knowledge::Source;
use crate::knowledge::placement::Placed;
use crate::knowledge::text::{folded, shown};
use crate::triage::decide::{self, Scheme};
use crate::triage::ledger::Ledger;
use crate::triage::places::Places;
use crate::triage::table::EXPOSURE;

use super::{KnowledgeService, Office, why};

/// Most faults that a check lists.
const MAX_FAULTS: usize = 1_000;
/// Most statements of one answer.
const MAX_STATEMENTS: usize = 20_000;

impl<O: Office> KnowledgeService<O> {
    pub(super) async fn placement(&self) -> Result<pb::ListPlacementResponse, Status> {
        let office = std::sync::Arc::clone(&self.office);
        self.ask(move |board, now_ms, _| {
            board.look(now_ms, |places, _| {
                let mut assets: Vec<pb::PlacedAsset> = places
                    .all()
                    .into_iter()
                    .map(|(placed, source)| {
                        placed_message(places, placed, Some(source), office.enrolled(&placed.asset))
                    })
                    .collect();
                // Who stands nowhere is shown as well: triage takes the worst for such an asset.
                let enrolled = office.assets().into_iter().filter(|it| it.retired_ms.is_none());
                for asset in enrolled.map(|it| it.id.clone()) {
                    if places.asset(&asset).is_none() {
                        let enrolled = office.enrolled(&asset);
                        let placed = Placed { asset, ..Placed::default() };
                        assets.push(placed_message(places, &placed, None, enrolled));
                    }
                }
                assets.sort_by(|one, two| one.asset.cmp(&two.asset));
                let conduits = places.conduits().map(|(it, source)| pb::Conduit {
                    from: it.from.clone(),
                    to: it.to.clone(),
                    both_ways: it.both_ways,
                    protocols: it.protocols.clone(),
                    device: it.device.clone(),
                    file: source.file.clone(),
                });
                pb::ListPlacementResponse { conduits: conduits.collect(), assets }
            })
        })
        .await
    }

    pub(super) async fn triage(&self, request: pb::TriageRequest) -> Result<pb::TriageResponse, Status> {
        let pb::TriageRequest { asset, subject } = request;
        let asset = self.office.asset_id(&asset)?;
        let id = asset.clone();
        let view = self.ask(move |board, now_ms, seen| board.triage(&id, &subject, now_ms, seen)).await?;
        let ledger = self.board.ledger();
        let recorded = ledger.triage(&asset).filter(|it| it.1.subject == view.subject);
        Ok(pb::TriageResponse {
            verdict: view.outcome.verdict().as_str().to_owned(),
            decisions: view.decisions.iter().map(|it| decision_message(it.record())).collect(),
            recorded: recorded.filter_map(|(record, said)| recorded_message(record, said)).collect(),
            epss: view.epss,
            subject: view.subject,
            asset,
        })
    }

    pub(super) async fn record(
        &self,
        by: String,
        request: pb::RecordTriageRequest,
    ) -> Result<pb::RecordedTriage, Status> {
        let pb::RecordTriageRequest { asset, subject, scheme, override_outcome, override_reason } = request;
        let asset = self.office.asset_id(&asset)?;
        let name = if scheme.is_empty() { "ssvc-deployer" } else { scheme.as_str() };
        let scheme = Scheme::named(name).ok_or_else(|| {
            let known = Scheme::ALL.map(|it| it.table().scheme).join(", ");
            Status::invalid_argument(format!("there is no such scheme: use one of {known}"))
        })?;
        let overridden = match (override_outcome, override_reason) {
            (None, None) => None,
            (Some(outcome), reason) => {
                let table = scheme.table();
                if !table.outcomes.contains(&outcome.as_str()) {
                    let known = table.outcomes.join(", ");
                    return Err(Status::invalid_argument(format!(
                        "{name} has no such outcome: use one of {known}"
                    )));
                }
                let reason = why(&reason.unwrap_or_default(), "an override needs its reason")?;
                Some(OverrideRecord { outcome, reason })
            }
            (None, Some(_)) => return Err(Status::invalid_argument("a reason without an override")),
        };
        let id = asset.clone();
        let view = self.ask(move |board, now_ms, seen| board.triage(&id, &subject, now_ms, seen)).await?;
        let decision = view.decisions.iter().find(|it| it.scheme == scheme);
        let decision = decision.ok_or_else(|| {
            Status::failed_precondition(
                "a requirement of the site is no vulnerability, so there is no triage",
            )
        })?;
        let text = match &overridden {
            Some(it) => format!("{name}: {} instead of {}: {}", it.outcome, decision.outcome, it.reason),
            None => format!("{name}: {}", decision.outcome),
        };
        let audited = format!("{asset} {}", view.subject);
        let what = What::Triage(TriageRecord {
            asset,
            subject: view.subject.clone(),
            computed: decision.record().encode_to_vec(),
            r#override: overridden,
        });
        let record = self.decide_with(by, "triage-recorded", |_| Ok((what, audited, text))).await?;
        let Some(What::Triage(said)) = &record.what else {
            return Err(Status::internal("the decision was recorded and is not shown"));
        };
        recorded_message(&record, said).ok_or_else(|| Status::internal("the decision cannot be shown"))
    }

    pub(super) async fn statements(
        &self,
        request: pb::ListStatementsRequest,
    ) -> Result<pb::ListStatementsResponse, Status> {
        let pb::ListStatementsRequest { product, patch } = request;
        let product = product.map(|it| folded(&it));
        let patch = patch.map(|it| it.to_lowercase());
        let statements = self
            .ask(move |board, now_ms, _| {
                board.look(now_ms, |_, tracks| {
                    let all = tracks.all().into_iter().filter(|(said, ..)| {
                        product.as_ref().is_none_or(|it| folded(&said.product).contains(it.as_str()))
                            && patch.as_ref().is_none_or(|it| said.patch.to_lowercase().contains(it.as_str()))
                    });
                    let message = |(said, source, mapping, current): (
                        &crate::knowledge::statement::Statement,
                        &std::sync::Arc<Source>,
                        Option<&str>,
                        bool,
                    )| pb::SupplierStatement {
                        vendor: said.vendor.clone(),
                        product: said.product.clone(),
                        versions: said.versions.clone(),
                        patch: said.patch.clone(),
                        state: said.state.as_str().to_owned(),
                        raw: Some(said.raw.clone()).filter(|it| !it.is_empty()),
                        conditions: said.conditions.clone(),
                        date: said.date.clone(),
                        superseded_by: said.superseded_by.clone(),
                        note: said.note.clone(),
                        file: source.file.clone(),
                        digest: source.digest.to_vec(),
                        imported_ms: source.imported_ms,
                        mapping: mapping.map(str::to_owned),
                        current,
                    };
                    all.take(MAX_STATEMENTS).map(message).collect()
                })
            })
            .await?;
        Ok(pb::ListStatementsResponse { statements })
    }
}

fn placed_message(
    places: &Places,
    person: &Placed,
    source: Option<&std::sync::Arc<Source>>,
    enrolled: Option<(Option<String>, Option<u32>)>,
) -> pb::PlacedAsset {
    let Placed {
        asset,
        zone,
        level,
        role,
        safety,
        mission,
        criticality,
        process_line,
        owner,
        partner,
        location,
        exposure,
        exposure_reason,
    } = person.clone();
    let (is_enrolled, (own_role, own_level)) = (enrolled.is_some(), enrolled.unwrap_or_default());
    let mut conflicts = Vec::new();
    if let (Some(said), Some(own)) = (&role, &own_role)
        && said != own
    {
        conflicts.push(format!("role: placement says {said}, enrolment {own}"));
    }
    if let (Some(said), Some(own)) = (level, own_level)
        && u32::from(said.tenths()) != own.saturating_mul(10)
    {
        conflicts.push(format!("level: placement says {said}, enrolment {own}"));
    }
    let counts_as = places.exposure(&asset);
    pb::PlacedAsset {
        exposure_counts_as: EXPOSURE.words(counts_as.set).into_iter().map(str::to_owned).collect(),
        exposure_source: counts_as.source,
        asset,
        zone,
        level: level.map(|it| it.to_string()),
        role,
        safety_impact: safety.map(str::to_owned),
        mission_impact: mission.map(str::to_owned),
        criticality,
        process_line,
        owner,
        partner,
        location,
        exposure: exposure.map(str::to_owned),
        exposure_reason,
        file: source.map(|it| it.file.clone()),
        imported_ms: source.map(|it| it.imported_ms),
        imported_by: source.map(|it| it.imported_by.clone()),
        enrolled: is_enrolled,
        own_role,
        own_level,
        conflicts,
    }
}

fn decision_message(computed: TriageComputed) -> pb::TriageDecision {
    let TriageComputed { scheme, version, table_digest, inputs, outcome, undetermined, missing } = computed;
    let input = |it: TriageInput| {
        let TriageInput { name, values, source, as_of_ms, digest } = it;
        pb::TriageValue { name, values, source, as_of_ms, digest }
    };
    let inputs = inputs.into_iter().map(input).collect();
    pb::TriageDecision { scheme, version, table_digest, inputs, outcome, undetermined, missing }
}

fn recorded_message(record: &DecisionRecord, said: &TriageRecord) -> Option<pb::RecordedTriage> {
    let computed = TriageComputed::decode(said.computed.as_slice()).ok()?;
    Some(pb::RecordedTriage {
        number: record.number,
        asset: said.asset.clone(),
        subject: said.subject.clone(),
        at_ms: record.at_ms,
        by: record.by.clone(),
        decision: Some(decision_message(computed)),
        override_outcome: said.r#override.as_ref().map(|it| it.outcome.clone()),
        override_reason: said.r#override.as_ref().map(|it| it.reason.clone()),
    })
}

/// Computes every recorded decision again and compares bytes.
pub(super) fn check(ledger: &Ledger) -> pb::CheckTriageResponse {
    let mut answer = pb::CheckTriageResponse::default();
    for (record, said) in ledger.all_triage() {
        answer.checked += 1;
        let again = TriageComputed::decode(said.computed.as_slice())
            .map_err(|_| "what was recorded cannot be read".to_owned())
            .and_then(|it| decide::recompute(&it));
        let text = match again {
            Ok(again) if again.encode_to_vec() == said.computed => continue,
            Ok(again) => format!("it comes out as {} now", again.outcome),
            Err(why) => why,
        };
        if answer.faults.len() < MAX_FAULTS {
            answer.faults.push(pb::TriageFault {
                number: record.number,
                asset: said.asset.clone(),
                subject: said.subject.clone(),
                text: shown(&text, 500),
            });
        }
    }
    answer
}
