//! What people decide: dispositions of findings and steps of patches. Each is a record that is never edited and an
//! entry of the audit log, in one transaction.

use std::sync::Arc;

use holdpoint_common::proto::store::decision_record::What;
use holdpoint_common::proto::store::{
    DecisionRecord, DeviationRecord, DispositionRecord, OwnerStepRecord, WithdrawalRecord,
};
use holdpoint_common::proto::v1 as pb;
use tonic::Status;

use crate::assess::Listed;
use crate::knowledge::statement::Statement;
use crate::knowledge::text::shown;
use crate::store::Txn;
use crate::triage::control::{self, Typed};
use crate::triage::disposition::Disposition;
use crate::triage::ledger::{Ledger, MAX_DECISIONS};
use crate::triage::owner;

use super::{Deed, KnowledgeService, Office, why};

/// Longest name, subject, patch or scope, in characters.
const MAX_NAME: usize = 200;
/// Most people who answer for a deviation.
const MAX_DEVIATION: usize = 10;

impl<O: Office> KnowledgeService<O> {
    /// Writes what a person decided and shows it. `build` makes it from the decisions so far, of which none can be
    /// added meanwhile.
    pub(super) async fn decide_with(
        &self,
        by: String,
        action: &'static str,
        build: impl FnOnce(&Ledger) -> Result<(What, String, String), Status> + Send,
    ) -> Result<DecisionRecord, Status> {
        let _turn = self.library.turn().await;
        let mut ledger = (*self.board.ledger()).clone();
        if ledger.len() >= MAX_DECISIONS {
            return Err(Status::resource_exhausted(format!("there are {MAX_DECISIONS} decisions already")));
        }
        let (what, subject, text) = build(&ledger)?;
        let asset = match &what {
            What::Disposition(it) => Some(it.asset.clone()),
            What::Triage(it) => Some(it.asset.clone()),
            // What is taken back may have been about triage, which ranks.
            What::Withdrawal(it) => ledger.record(it.number).and_then(|it| match &it.what {
                Some(What::Disposition(it)) => Some(it.asset.clone()),
                Some(What::Triage(it)) => Some(it.asset.clone()),
                Some(What::OwnerStep(_) | What::Withdrawal(_)) | None => None,
            }),
            What::OwnerStep(_) => None,
        };
        let (number, at_ms) = (ledger.next(), self.office.now_ms());
        let record = DecisionRecord { number, at_ms, by: by.clone(), what: Some(what) };
        let deed = Deed { by, action, subject, text };
        self.office.commit(Txn::admin().put_decision(record.clone()), deed).await?;
        ledger.add(record.clone());
        // Steps of a patch and their like change no rank; an asset that nobody has is the quickest to rank.
        self.board.decided(Arc::new(ledger), Some(asset.as_deref().unwrap_or("")));
        Ok(record)
    }

    pub(super) async fn decide_disposition(
        &self,
        by: String,
        request: pb::DisposeRequest,
    ) -> Result<pb::Disposition, Status> {
        let pb::DisposeRequest { asset, subject, kind, owner, until_ms, reason, control } = request;
        let asset = self.office.asset_id(&asset)?;
        let invalid = |why: &str| Status::invalid_argument(why);
        let kind = Disposition::named(&kind)
            .ok_or_else(|| invalid("a disposition is one of patch, mitigate, accept, defer, avoid"))?;
        let reason = why(&reason, "a disposition needs its reason")?;
        let owner = shown(&owner, MAX_NAME);
        if kind != Disposition::Patch && (owner.is_empty() || until_ms.is_none()) {
            return Err(invalid(&format!(
                "{} needs an owner and an end: nothing is put off for ever",
                kind.as_str()
            )));
        }
        if until_ms.is_some_and(|it| it <= self.office.now_ms()) {
            return Err(invalid("the disposition would have ended already"));
        }
        let control = control.filter(|it| !it.is_empty());
        let control =
            control.map(|it| control::read(&it)).transpose().map_err(|it| invalid(&it.to_string()))?;
        if control.is_some() && kind != Disposition::Mitigate {
            return Err(invalid("only what is mitigated has a control"));
        }
        // A disposition about nothing would look like one that works.
        let (id, wanted) = (asset.clone(), subject.clone());
        let covered = self.ask(move |board, now_ms, _| board.covers(&id, &wanted, now_ms)).await?;
        if !covered {
            let (subject, asset) = (shown(&subject, 80), shown(&asset, 80));
            return Err(Status::not_found(format!(
                "no finding of `{asset}` is `{subject}`, begins with it, or is about that vulnerability"
            )));
        }
        let control_text = control.as_ref().map(|it| format!(", control {}", Typed(it))).unwrap_or_default();
        let text = format!("{}, owner {owner}{control_text}: {reason}", kind.as_str());
        let audited = format!("{asset} {subject}");
        let what = What::Disposition(DispositionRecord {
            asset: asset.clone(),
            subject,
            kind: kind.as_str().to_owned(),
            owner,
            until_ms,
            reason,
            control,
        });
        let record = self.decide_with(by, "finding-disposed", |_| Ok((what, audited, text))).await?;
        self.disposition(record.number).await
    }

    pub(super) async fn dispositions(
        &self,
        asset: Option<String>,
        all: bool,
    ) -> Result<Vec<pb::Disposition>, Status> {
        let asset = asset.map(|it| self.office.asset_id(&it)).transpose()?;
        let listed = self
            .ask(move |board, now_ms, seen| board.dispositions(asset.as_deref(), all, now_ms, seen))
            .await?;
        let ledger = self.board.ledger();
        Ok(listed.into_iter().filter_map(|it| disposition_message(&ledger, &it)).collect())
    }

    async fn disposition(&self, number: u64) -> Result<pb::Disposition, Status> {
        let gone = || Status::not_found(format!("there is no disposition {number}"));
        let ledger = self.board.ledger();
        let asset = match ledger.record(number).and_then(|it| it.what.as_ref()) {
            Some(What::Disposition(it)) => it.asset.clone(),
            Some(What::Triage(_) | What::OwnerStep(_) | What::Withdrawal(_)) | None => return Err(gone()),
        };
        let listed =
            self.ask(move |board, now_ms, seen| board.dispositions(Some(&asset), true, now_ms, seen)).await?;
        let one = listed.iter().find(|it| it.number == number).ok_or_else(gone)?;
        disposition_message(&ledger, one).ok_or_else(gone)
    }

    pub(super) async fn withdraw(
        &self,
        by: String,
        request: pb::WithdrawDispositionRequest,
    ) -> Result<pb::Disposition, Status> {
        let pb::WithdrawDispositionRequest { number, reason } = request;
        let reason = why(&reason, "a withdrawal needs its reason")?;
        self.decide_with(by, "disposition-withdrawn", |ledger| {
            let record = ledger.record(number).and_then(|it| it.what.as_ref());
            let Some(What::Disposition(said)) = record else {
                return Err(Status::not_found(format!("there is no disposition {number}")));
            };
            if ledger.is_withdrawn(number) {
                return Err(Status::failed_precondition(format!(
                    "disposition {number} was taken back already"
                )));
            }
            let subject = format!("{} {}", said.asset, said.subject);
            let text = format!("{} of decision {number}: {reason}", said.kind);
            Ok((What::Withdrawal(WithdrawalRecord { number, reason }), subject, text))
        })
        .await?;
        self.disposition(number).await
    }

    pub(super) async fn decide_step(
        &self,
        by: String,
        request: pb::DecidePatchRequest,
    ) -> Result<pb::PatchTrack, Status> {
        let pb::DecidePatchRequest { patch, scope, step, reason, deviation, condition } = request;
        let invalid = |why: &str| Status::invalid_argument(why);
        let (patch, scope) = (shown(&patch, MAX_NAME), shown(&scope, MAX_NAME));
        if patch.is_empty() || scope.is_empty() {
            return Err(invalid("a patch is decided about in a zone or for a class of assets"));
        }
        let reason = match step.as_str() {
            // These two say nothing else.
            "test" | "post" => shown(&reason, 2_000),
            _ => why(&reason, "this step needs its reason")?,
        };
        if deviation.len() > MAX_DEVIATION {
            return Err(invalid("that are too many people"));
        }
        let deviation: Option<Vec<DeviationRecord>> = deviation.iter().map(|it| person(it)).collect();
        let deviation = deviation.ok_or_else(|| invalid("write who deviates as NAME (ROLE)"))?;
        let next = OwnerStepRecord {
            patch: patch.clone(),
            scope: scope.clone(),
            step: step.clone(),
            reason,
            deviation,
            condition,
        };
        let (name, wanted) = (patch.clone(), next.clone());
        let ledger = self.board.ledger();
        let place = scope.clone();
        let checked = self
            .ask(move |board, now_ms, _| {
                board.look(now_ms, |_, tracks| {
                    let stated = tracks.of_patch(&name);
                    let stated: Vec<&Statement> = stated.iter().map(|it| it.0).collect();
                    let steps = ledger.steps(&name, &place);
                    let steps: Vec<&OwnerStepRecord> = steps.iter().map(|it| it.1).collect();
                    owner::check(&steps, &stated, &wanted)
                })
            })
            .await?;
        checked.map_err(|it| Status::failed_precondition(it.to_string()))?;
        let audited = format!("{patch} in {scope}");
        let who: Vec<String> = next.deviation.iter().map(|it| format!("{} ({})", it.name, it.role)).collect();
        let text = match who.as_slice() {
            [] => format!("{step}: {}", next.reason),
            who => format!("{step}, deviation by {}: {}", who.join(" and "), next.reason),
        };
        self.decide_with(by, "patch-decided", |_| Ok((What::OwnerStep(next), audited, text))).await?;
        let listed = self.patches(pb::ListPatchesRequest { patch: Some(patch) }).await?.patches;
        let track = listed.into_iter().find(|it| it.scope == scope);
        track.ok_or_else(|| Status::internal("the step was recorded and is not shown"))
    }

    pub(super) async fn patches(
        &self,
        request: pb::ListPatchesRequest,
    ) -> Result<pb::ListPatchesResponse, Status> {
        let ledger = self.board.ledger();
        let wanted = request.patch.map(|it| it.to_lowercase());
        let patches = self
            .ask(move |board, now_ms, _| {
                board.look(now_ms, |_, tracks| {
                    let wanted = ledger.tracks().filter(|it| wanted.as_ref().is_none_or(|one| one == it.0));
                    let track =
                        |(patch, scope, steps): (&str, &str, Vec<(&DecisionRecord, &OwnerStepRecord)>)| {
                            let stated = tracks.of_patch(patch);
                            let stated: Vec<&Statement> = stated.iter().map(|it| it.0).collect();
                            track_message(scope, &steps, &stated)
                        };
                    wanted.map(track).collect()
                })
            })
            .await?;
        Ok(pb::ListPatchesResponse { patches })
    }
}

/// `NAME (ROLE)`.
fn person(text: &str) -> Option<DeviationRecord> {
    let (name, role) = text.trim().strip_suffix(')')?.split_once('(')?;
    let (name, role) = (shown(name, MAX_NAME), shown(role, MAX_NAME));
    (!name.is_empty() && !role.is_empty()).then_some(DeviationRecord { name, role })
}

fn disposition_message(ledger: &Ledger, listed: &Listed) -> Option<pb::Disposition> {
    let record = ledger.record(listed.number)?;
    let Some(What::Disposition(said)) = &record.what else { return None };
    let DispositionRecord { asset, subject, kind, owner, until_ms, reason, control } = said.clone();
    Some(pb::Disposition {
        number: record.number,
        asset,
        subject,
        kind,
        owner,
        until_ms,
        reason,
        control: control.map(|it| Typed(&it).to_string()),
        status: listed.standing.text(),
        by: record.by.clone(),
        at_ms: record.at_ms,
        findings: listed.findings,
    })
}

fn track_message(
    scope: &str,
    steps: &[(&DecisionRecord, &OwnerStepRecord)],
    stated: &[&Statement],
) -> pb::PatchTrack {
    let plain: Vec<&OwnerStepRecord> = steps.iter().map(|it| it.1).collect();
    let mut supplier: Vec<String> = stated.iter().map(|it| it.state.as_str().to_owned()).collect();
    supplier.sort_unstable();
    supplier.dedup();
    let step = |(record, said): &(&DecisionRecord, &OwnerStepRecord)| pb::OwnerStep {
        number: record.number,
        step: said.step.clone(),
        reason: said.reason.clone(),
        deviation: said.deviation.iter().map(|it| format!("{} ({})", it.name, it.role)).collect(),
        condition: Some(said.condition.clone()).filter(|it| !it.is_empty()),
        by: record.by.clone(),
        at_ms: record.at_ms,
    };
    pb::PatchTrack {
        patch: steps.first().map(|it| it.1.patch.clone()).unwrap_or_default(),
        scope: scope.to_owned(),
        state: owner::fold(&plain).as_str().to_owned(),
        steps: steps.iter().map(step).collect(),
        supplier,
        unacknowledged: owner::unacknowledged(&plain, stated),
    }
}
