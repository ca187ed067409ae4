//! What operators ask and record about duties: patch sources, evaluations, compensating controls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdpoint_common::proto::store::duty_entry::What;
use holdpoint_common::proto::store::{
    ControlEnded, ControlRecord, ControlRegistered, ControlTested, DutyEntry, EvaluationRecorded,
    PatchSourceNamed,
};
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::row::SectionKind;
use tonic::Status;

use super::{Caller, ChangeBook, blocking};
use crate::assess::{BoardError, Held};
use crate::baseline::sections::rows_of;
use crate::duty::books::{Books, Deed};
use crate::duty::due::{self, Duty, Known};
use crate::duty::{AssetShort, ChangeShort, Control};
use crate::hardening::Exception;
use crate::knowledge::text::shown;
use crate::knowledge::{AllowedAges, Knowledge};
use crate::triage::control::{self, Tested, Typed};
use crate::zone::Zone;

/// Longest name, in characters.
const MAX_NAME: usize = 200;
/// Longest words, in characters.
const MAX_WORDS: usize = 2_000;

/// Lists what is due and overdue, soonest first; with what is done when `all`.
///
/// # Errors
/// Everything is changing.
pub async fn list(
    books: &Arc<Books>,
    changes: &dyn ChangeBook,
    knowledge: &Arc<Knowledge>,
    request: pb::ListDutiesRequest,
) -> Result<pb::ListDutiesResponse, Status> {
    let pb::ListDutiesRequest { all } = request;
    let changes: Vec<ChangeShort> = changes.changes().iter().map(|it| ChangeShort::of(it)).collect();
    let (books, knowledge) = (Arc::clone(books), Arc::clone(knowledge));
    blocking(move || {
        let (zone, board) = (books.zone(), books.board());
        let (duties, baselines, ledger) = (books.duties(), books.baselines(), board.ledger());
        let now_ms = zone.now_ms();
        let seen = |asset: &str| zone.last_seen(asset).map(|it| it.seen_ms);
        let subjects = due::subjects(&duties, &ledger);
        let settled: BTreeMap<String, BTreeSet<String>> = board
            .settled_on(&subjects, now_ms, &seen)
            .map_err(|it: BoardError| Status::unavailable(it.to_string()))?;
        let exceptions: Vec<&Exception> =
            knowledge.hardening.iter().flat_map(|it| &it.content.exceptions).collect();
        let assets: Vec<AssetShort> = zone.assets().iter().filter_map(|it| AssetShort::of(it)).collect();
        let known = Known {
            duties: &duties,
            baselines: &baselines,
            ledger: &ledger,
            changes: &changes,
            exceptions: &exceptions,
            assets: &assets,
            settled: &|subject| settled.get(subject).cloned().unwrap_or_default(),
            tested: &|asset, control| tested(zone, board.ages(), asset, control),
            now_ms,
        };
        Ok(pb::ListDutiesResponse { duties: due::due(&known, all).into_iter().map(message).collect() })
    })
    .await
}

/// Whether a control holds on an asset now, by the facts that its agent said last.
fn tested(zone: &Zone, ages: &AllowedAges, asset: &str, control: &ControlRecord) -> Tested {
    let Some(record) = zone.asset(asset).filter(|it| it.retired_ms.is_none()) else {
        return Tested::Open("the asset is not in service".to_owned());
    };
    let held = Held::of(&record, SectionKind::Hardening);
    let rows = held.digest.and_then(|it| rows_of(zone.store(), SectionKind::Hardening, &it).ok().flatten());
    let heard_ms = held.heard_ms(zone.last_seen(asset).map(|it| it.seen_ms));
    let allowed_ms = i64::try_from(ages.inventory.as_millis()).unwrap_or(i64::MAX);
    let current = heard_ms.is_some_and(|it| zone.now_ms().saturating_sub(it) <= allowed_ms);
    control::test(control, rows.as_ref().map(|it| it.as_slice()), current)
}

fn message(duty: Duty) -> pb::Duty {
    let Duty { kind, subject, asset, due_ms, state, text, rule } = duty;
    pb::Duty {
        kind: kind.as_str().to_owned(),
        subject,
        asset,
        due_ms,
        state: state.as_str().to_owned(),
        text,
        rule: rule.to_owned(),
    }
}

/// Names a patch source and the assets that it is for.
///
/// # Errors
/// It is none, or names assets that nobody knows.
pub async fn name_source(
    books: &Arc<Books>,
    caller: Caller,
    request: pb::NamePatchSourceRequest,
) -> Result<(), Status> {
    let pb::NamePatchSourceRequest { source, kind, contact, assets } = request;
    let (source, contact) = (shown(&source, MAX_NAME), shown(&contact, MAX_WORDS));
    let assets = assets
        .iter()
        .map(|it| Ok(books.zone().find_asset(it)?.id.clone()))
        .collect::<Result<Vec<String>, Status>>()?;
    let text = format!("{kind}, {contact}, for {} assets", assets.len());
    let named = PatchSourceNamed { source: source.clone(), kind: shown(&kind, MAX_NAME), contact, assets };
    write(books, caller, "patch-source-named", source, text, What::Source(named)).await
}

/// Records that somebody has evaluated what a source released, also when that was nothing.
///
/// # Errors
/// The source is not known, or something in between would be left out.
pub async fn record_evaluation(
    books: &Arc<Books>,
    caller: Caller,
    request: pb::RecordEvaluationRequest,
) -> Result<(), Status> {
    let pb::RecordEvaluationRequest { source, from_ms, to_ms, items, text } = request;
    if to_ms > books.zone().now_ms() {
        return Err(Status::invalid_argument("nobody can evaluate what is not released yet"));
    }
    let mut items: Vec<String> = items.iter().map(|it| shown(it, MAX_NAME)).collect();
    items.sort_unstable();
    items.dedup();
    let (source, text) = (shown(&source, MAX_NAME), shown(&text, MAX_WORDS));
    let told = format!("{} items: {text}", items.len());
    let recorded = EvaluationRecorded { source: source.clone(), from_ms, to_ms, items, text };
    write(books, caller, "evaluation-recorded", source, told, What::Evaluation(recorded)).await
}

/// Lists controls; with those that have ended when `all`.
///
/// # Errors
/// Rows cannot be read.
pub async fn list_controls(
    books: &Arc<Books>,
    request: pb::ListControlsRequest,
) -> Result<pb::ListControlsResponse, Status> {
    let pb::ListControlsRequest { all } = request;
    let books = Arc::clone(books);
    blocking(move || {
        let duties = books.duties();
        let controls = duties.controls().all().map(|it| control_message(&books, it));
        Ok(pb::ListControlsResponse { controls: controls.filter(|it| all || it.state != "ended").collect() })
    })
    .await
}

fn control_message(books: &Books, control: &Control) -> pb::Control {
    let Control { said, since_ms: _, tested: last, ended } = control;
    let ControlRegistered { id, asset, subject, owner, description, fact, interval_days, until_ms } =
        said.clone();
    let (zone, ages) = (books.zone(), books.board().ages());
    let machine = fact.as_ref().map(|it| tested(zone, ages, &asset, it));
    let text = match (ended, &machine, last) {
        (Some((_, why)), _, _) | (None, Some(Tested::Broken(why) | Tested::Open(why)), _) => why.clone(),
        (None, Some(Tested::Holds), _) => "a machine sees it".to_owned(),
        (None, None, Some((_, _, text))) => text.clone(),
        (None, None, None) => String::new(),
    };
    pb::Control {
        id,
        asset,
        subject,
        owner,
        description,
        fact: fact.map(|it| Typed(&it).to_string()),
        interval_days,
        until_ms,
        state: control.state(machine.as_ref(), zone.now_ms()).to_owned(),
        text,
        tested_ms: last.as_ref().map(|it| it.0),
    }
}

async fn control_of(books: &Arc<Books>, id: String) -> Result<pb::Control, Status> {
    let books = Arc::clone(books);
    blocking(move || {
        let duties = books.duties();
        let control = duties.controls().get(&id);
        let control = control.ok_or_else(|| Status::not_found(format!("there is no control `{id}`")))?;
        Ok(control_message(&books, control))
    })
    .await
}

/// Registers a compensating control.
///
/// # Errors
/// Something of it is missing, its end is over already, or its name was used.
pub async fn register_control(
    books: &Arc<Books>,
    caller: Caller,
    request: pb::RegisterControlRequest,
) -> Result<pb::Control, Status> {
    let pb::RegisterControlRequest { id, asset, subject, owner, description, fact, interval_days, until_ms } =
        request;
    let asset = books.zone().find_asset(&asset)?.id.clone();
    if until_ms <= books.zone().now_ms() {
        return Err(Status::invalid_argument("the control would have ended already"));
    }
    let fact = fact.filter(|it| !it.is_empty()).map(|it| control::read(&it)).transpose();
    let fact = fact.map_err(|it| Status::invalid_argument(it.to_string()))?;
    let (id, owner) = (shown(&id, MAX_NAME), shown(&owner, MAX_NAME));
    let (subject, description) = (shown(&subject, MAX_NAME), shown(&description, MAX_WORDS));
    let text = format!("{subject} on {asset}, owner {owner}, every {interval_days} days: {description}");
    let said = ControlRegistered {
        id: id.clone(),
        asset,
        subject,
        owner,
        description,
        fact,
        interval_days,
        until_ms,
    };
    write(books, caller, "control-registered", id.clone(), text, What::Control(said)).await?;
    control_of(books, id).await
}

/// Records a test of a control.
///
/// # Errors
/// There is no such control, or it was ended.
pub async fn test_control(
    books: &Arc<Books>,
    caller: Caller,
    request: pb::TestControlRequest,
) -> Result<pb::Control, Status> {
    let pb::TestControlRequest { id, works, text } = request;
    let text = shown(&text, MAX_WORDS);
    let told = format!("{}: {text}", if works { "works" } else { "does not work" });
    let tested = ControlTested { id: id.clone(), works, text };
    write(books, caller, "control-tested", id.clone(), told, What::Tested(tested)).await?;
    control_of(books, id).await
}

/// Ends a control: what rests on it is open again.
///
/// # Errors
/// There is no such control, or it was ended before.
pub async fn end_control(
    books: &Arc<Books>,
    caller: Caller,
    request: pb::EndControlRequest,
) -> Result<pb::Control, Status> {
    let pb::EndControlRequest { id, reason } = request;
    let reason = shown(&reason, MAX_WORDS);
    let ended = ControlEnded { id: id.clone(), reason: reason.clone() };
    write(books, caller, "control-ended", id.clone(), reason, What::Ended(ended)).await?;
    control_of(books, id).await
}

async fn write(
    books: &Arc<Books>,
    caller: Caller,
    action: &'static str,
    subject: String,
    text: String,
    what: What,
) -> Result<(), Status> {
    let deed = Deed { by: caller.by, action, subject, text };
    books.write_duty(DutyEntry { what: Some(what) }, deed).await
}
