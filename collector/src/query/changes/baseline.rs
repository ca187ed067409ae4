//! What operators ask and decide about baselines and drift.

use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::proto::store::baseline_entry::What;
use holdpoint_common::proto::store::{
    AssetRecord, BaselineApproved, BaselineEntry, ChallengePurpose, DriftDisposed, SnapshotRecord,
};
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::section::Digest;
use tokio::time::Instant;
use tonic::Status;

use super::{Caller, ChangeBook, blocking};
use crate::baseline::fold::lacking;
use crate::baseline::sections::rows_of;
use crate::baseline::{
    Approved, Baselines, Difference, Drift, DriftWord, Gap, Items, Part, Stated, approve, drift, parts,
};
use crate::change::Snapshot;
use crate::duty::books::{Books, Deed};
use crate::knowledge::AllowedAges;
use crate::knowledge::text::shown;
use crate::zone::{Zone, status_of};

/// Most items that one answer lists.
const MAX_LISTED: usize = 20_000;
/// Longest reason, in characters.
const MAX_WHY: usize = 2_000;
/// How long a fresh snapshot is waited for.
const FRESH: Duration = Duration::from_mins(2);
/// What a fresh snapshot is asked for.
const PHASE: &str = "baseline";
/// Shortest beginning of a digest that names drift, in characters.
const MIN_PREFIX: usize = 4;

/// Shows a version of a baseline.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn show(books: &Arc<Books>, request: pb::GetBaselineRequest) -> Result<pb::Baseline, Status> {
    let pb::GetBaselineRequest { asset, version } = request;
    let asset = books.zone().find_asset(&asset)?.id.clone();
    let baselines = books.baselines();
    let history = baselines.of(&asset);
    let found = history.and_then(|it| match version {
        0 => it.newest(),
        version => it.versions.iter().find(|it| it.version == version),
    });
    let approved = found.cloned().ok_or_else(|| {
        Status::not_found(format!("no such baseline of `{asset}` is approved: `holdpoint baseline approve`"))
    })?;
    let zone = Arc::clone(books.zone());
    blocking(move || {
        let snapshot = zone.store().snapshot(&approved.nonce).map_err(|it| status_of(&it))?;
        let snapshot =
            snapshot.ok_or_else(|| Status::data_loss("the approved snapshot is not in the store"))?;
        message(&zone, &asset, approved, snapshot)
    })
    .await
}

fn message(
    zone: &Zone,
    asset: &str,
    approved: Approved,
    snapshot: SnapshotRecord,
) -> Result<pb::Baseline, Status> {
    let read = |part: Part| -> Result<pb::BaselinePart, String> {
        let stated: Vec<_> = part.kinds().iter().map(|&kind| (kind, Stated::then(&snapshot, kind))).collect();
        let (mut complete, mut all) =
            (stated.iter().any(|it| matches!(it.1, Stated::Whole(_))), Items::new());
        for (kind, stated) in stated {
            match stated {
                Stated::Whole(digest) => match rows_of(zone.store(), kind, &digest)? {
                    Some(rows) => all.extend(parts::items(part, kind, rows.iter().map(Vec::as_slice))),
                    None => complete = false,
                },
                Stated::Unsupported => {}
                Stated::Not(_) => complete = false,
            }
        }
        if !complete {
            all.clear();
        }
        let mut items: Vec<String> =
            all.iter().take(MAX_LISTED).map(|(item, said)| format!("{item} {}", said.text)).collect();
        if all.len() > MAX_LISTED {
            items.push(format!("and {} more", all.len() - MAX_LISTED));
        }
        let digest = if complete { parts::digest(part, &all).to_vec() } else { Vec::new() };
        Ok(pb::BaselinePart { part: part.as_str().to_owned(), digest, items, complete })
    };
    let parts: Vec<pb::BaselinePart> =
        Part::ALL.into_iter().map(read).collect::<Result<_, _>>().map_err(Status::unavailable)?;
    let grade = Snapshot::load(snapshot, zone.store()).map_err(Status::unavailable)?.grade();
    let Approved { version, at_ms, by, person, change, reason, sequence, .. } = approved;
    let approved_by = if person.is_empty() { by } else { person };
    Ok(pb::Baseline {
        asset: asset.to_owned(),
        version,
        parts,
        approved_ms: at_ms,
        approved_by,
        change,
        reason,
        sequence,
        grade: grade.map(|it| it.to_string()).unwrap_or_default(),
    })
}

/// Approves the verified snapshot of a change, or asks the host and approves what it answers.
///
/// # Errors
/// There is no such snapshot, the host does not answer in time, or nothing of it was read completely.
pub async fn approve(
    books: &Arc<Books>,
    changes: &dyn ChangeBook,
    caller: Caller,
    request: pb::ApproveBaselineRequest,
) -> Result<pb::Baseline, Status> {
    let pb::ApproveBaselineRequest { asset, change, reason } = request;
    let Caller { by, person } = caller;
    let record = books.zone().find_asset(&asset)?;
    if record.retired_ms.is_some() || record.copy_of.is_some() {
        return Err(Status::failed_precondition(format!("`{}` is out of service, or a copy", record.id)));
    }
    // A change is a reason: it says itself why.
    let reason = if reason.trim().is_empty() && !change.is_empty() {
        format!("as {} left it", shown(&change, 40))
    } else {
        why(&reason, "a baseline needs its reason")?
    };
    let snapshot = if change.is_empty() {
        fresh(books.zone(), &record.id, &by).await?
    } else {
        let found = changes.change(&change);
        let found =
            found.ok_or_else(|| Status::not_found(format!("there is no change `{}`", shown(&change, 40))))?;
        approve::of_change(&found, &record.id).map_err(Status::failed_precondition)?.clone()
    };
    let lacks: Vec<String> = lacking(&snapshot)
        .iter()
        .map(|(part, gap)| format!("{} ({})", part.as_str(), gap.as_str()))
        .collect();
    let version = books.baselines().of(&record.id).and_then(|it| it.newest()).map_or(0, |it| it.version) + 1;
    let without = if lacks.is_empty() { String::new() } else { format!(", without {}", lacks.join(", ")) };
    let deed = Deed {
        by,
        action: "baseline-approved",
        subject: record.id.clone(),
        text: format!("version {version} from sequence {}{without}: {reason}", snapshot.sequence),
    };
    let what = BaselineApproved { snapshot: Some(snapshot), change, reason, by_person: person };
    let entry = BaselineEntry { asset: record.id.clone(), version, what: Some(What::Approved(what)) };
    books.write_baseline(entry, deed).await?;
    show(books, pb::GetBaselineRequest { asset: record.id.clone(), version }).await
}

/// Asks a host to look, and waits for what it says.
async fn fresh(zone: &Arc<Zone>, asset: &str, by: &str) -> Result<SnapshotRecord, Status> {
    let purpose = ChallengePurpose { change: String::new(), stage: 0, phase: PHASE.to_owned() };
    let asked = zone.question(by, Some(purpose))?;
    let nonce = asked.nonce.clone();
    zone.change_asset(asset, |record, _| {
        if record.challenges.len() >= crate::zone::MAX_CHALLENGES {
            return Err(Status::resource_exhausted("the host has too many questions to answer already"));
        }
        record.challenges.push(asked);
        Ok(())
    })
    .await?;
    let gone = || Status::not_found(format!("`{asset}` is gone"));
    let slot = zone.slot(asset).ok_or_else(gone)?;
    {
        // What the collector asks for does not count against the agent's budget.
        let mut live = slot.live();
        live.check_ins.grant(2);
        live.reports.grant(2);
    }
    let (deadline, mut shutdown) = (Instant::now() + FRESH, zone.shutdown());
    loop {
        let changed = slot.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if slot.record().answers.iter().any(|it| it.nonce == nonce) {
            let found = zone.store().snapshot(&nonce).map_err(|it| status_of(&it))?;
            return found.ok_or_else(|| Status::internal("the answer was not kept"));
        }
        if let Some(declined) = zone.declined(asset, &nonce) {
            return Err(Status::failed_precondition(format!(
                "`{asset}` does not look now: {}; what it may answer later is not approved",
                declined.reason
            )));
        }
        if Instant::now() >= deadline || *shutdown.borrow() {
            return Err(Status::deadline_exceeded(format!(
                "`{asset}` has not answered: nothing is approved"
            )));
        }
        tokio::select! {
            () = changed => {}
            _ = shutdown.changed() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

/// Lists drift: what is open and what cannot be said; with what was disposed of when `all`.
///
/// # Errors
/// Rows cannot be read now, or there is more than one answer holds.
pub async fn list_drift(
    books: &Arc<Books>,
    ages: &AllowedAges,
    request: pb::ListDriftRequest,
) -> Result<pb::ListDriftResponse, Status> {
    let pb::ListDriftRequest { asset, all } = request;
    let asset = asset.map(|it| books.zone().find_asset(&it)).transpose()?;
    let (books, ages) = (Arc::clone(books), ages.clone());
    blocking(move || {
        let records = match asset {
            Some(record) => vec![record],
            None => {
                // Assets out of service and copies are no drift of the zone; who asks for one is told why.
                let is_meant = |it: &Arc<AssetRecord>| it.retired_ms.is_none() && it.copy_of.is_none();
                books.zone().assets().into_iter().filter(is_meant).collect()
            }
        };
        let (baselines, mut items) = (books.baselines(), Vec::new());
        for record in records {
            items.extend(of_asset(books.zone(), &baselines, &record, &ages, all)?);
            if items.len() > MAX_LISTED {
                return Err(Status::resource_exhausted(format!(
                    "there are more than {MAX_LISTED} items of drift: ask for one asset"
                )));
            }
        }
        Ok(pb::ListDriftResponse { items })
    })
    .await
}

fn of_asset(
    zone: &Zone,
    baselines: &Baselines,
    record: &AssetRecord,
    ages: &AllowedAges,
    all: bool,
) -> Result<Vec<pb::DriftItem>, Status> {
    let now_ms = zone.now_ms();
    let allowed_ms = i64::try_from(ages.inventory.as_millis()).unwrap_or(i64::MAX);
    let seen_ms = zone.last_seen(&record.id).map(|it| it.seen_ms);
    let undetermined = |part: &str, gap: Gap| pb::DriftItem {
        asset: record.id.clone(),
        part: part.to_owned(),
        disposition: "open".to_owned(),
        undetermined: gap.as_str().to_owned(),
        ..pb::DriftItem::default()
    };
    let Some(history) = baselines.of(&record.id) else {
        return Ok(vec![undetermined("", Gap::NoBaseline)]);
    };
    if let Some(gap) = drift::gap_of(record, seen_ms, allowed_ms, now_ms) {
        return Ok(vec![undetermined("", gap)]);
    }
    let mut items = Vec::new();
    for part in Part::ALL {
        match drift::compare(part, &history.snapshot, record, zone.store()).map_err(Status::unavailable)? {
            Drift::Unsupported => {}
            Drift::Undetermined(gap) => items.push(undetermined(part.as_str(), gap)),
            Drift::Compared(found) => {
                for it in found {
                    let disposed = history.disposed.get(&it.digest).filter(|it| it.counts(now_ms));
                    if disposed.is_some() && !all {
                        continue;
                    }
                    let Difference { part, kind, item, approved, now, digest } = it;
                    items.push(pb::DriftItem {
                        asset: record.id.clone(),
                        part: part.as_str().to_owned(),
                        item,
                        baseline: approved,
                        now,
                        digest: digest.to_vec(),
                        disposition: disposed.map_or("open", |it| it.word.as_str()).to_owned(),
                        reason: disposed.map(|it| it.reason.clone()).unwrap_or_default(),
                        until_ms: disposed.and_then(|it| it.until_ms),
                        kind: kind.into(),
                        undetermined: String::new(),
                    });
                }
            }
        }
    }
    Ok(items)
}

/// Decides what is done about drift of an asset.
///
/// # Errors
/// There is no such drift, or it is not said what is done, why, and until when.
pub async fn dispose(
    books: &Arc<Books>,
    ages: &AllowedAges,
    by: String,
    request: pb::DisposeDriftRequest,
) -> Result<pb::ListDriftResponse, Status> {
    let pb::DisposeDriftRequest { asset, items, r#as: word, reason, until_ms } = request;
    let asset = books.zone().find_asset(&asset)?.id.clone();
    let reason = why(&reason, "what is done about drift needs its reason")?;
    let word = DriftWord::named(&word)
        .ok_or_else(|| Status::invalid_argument("drift is authorised, investigate or revert"))?;
    if word != DriftWord::Authorised && until_ms.is_none() {
        return Err(Status::invalid_argument("say until when: only authorised drift needs no end"));
    }
    if until_ms.is_some_and(|it| it <= books.zone().now_ms()) {
        return Err(Status::invalid_argument("it would have ended already"));
    }
    let version = books.baselines().of(&asset).and_then(|it| it.newest()).map_or(0, |it| it.version);
    let ask = || pb::ListDriftRequest { asset: Some(asset.clone()), all: true };
    let there = list_drift(books, ages, ask()).await?.items;
    let digests = chosen(&there, &items)?;
    let deed = Deed {
        by,
        action: "drift-disposed",
        subject: asset.clone(),
        text: format!("{} items against version {version}: {}: {reason}", digests.len(), word.as_str()),
    };
    let what = DriftDisposed { items: digests, r#as: word.as_str().to_owned(), reason, until_ms };
    let entry = BaselineEntry { asset: asset.clone(), version, what: Some(What::Disposed(what)) };
    books.write_baseline(entry, deed).await?;
    list_drift(books, ages, ask()).await
}

/// The digests that are meant: each beginning names exactly one difference.
fn chosen(there: &[pb::DriftItem], named: &[String]) -> Result<Vec<Vec<u8>>, Status> {
    let differs = || there.iter().filter(|it| it.undetermined.is_empty());
    if named.is_empty() {
        let open: Vec<Vec<u8>> =
            differs().filter(|it| it.disposition == "open").map(|it| it.digest.clone()).collect();
        return if open.is_empty() { Err(Status::not_found("no drift is open")) } else { Ok(open) };
    }
    let one = |prefix: &String| {
        let prefix = shown(prefix, 64).to_lowercase();
        let begins = |it: &&pb::DriftItem| {
            Digest::try_from(it.digest.as_slice()).is_ok_and(|it| it.to_string().starts_with(&prefix))
        };
        let mut found = differs().filter(begins);
        match (found.next(), found.next()) {
            _ if prefix.len() < MIN_PREFIX => Err(Status::invalid_argument(format!(
                "`{prefix}` is too short: give at least {MIN_PREFIX} characters of the digest"
            ))),
            (Some(it), None) => Ok(it.digest.clone()),
            (Some(_), Some(_)) => {
                Err(Status::failed_precondition(format!("`{prefix}` begins several digests")))
            }
            (None, _) => Err(Status::not_found(format!("no drift has a digest that begins with `{prefix}`"))),
        }
    };
    named.iter().map(one).collect()
}

fn why(text: &str, needed: &'static str) -> Result<String, Status> {
    let why = shown(text, MAX_WHY);
    if why.is_empty() { Err(Status::invalid_argument(needed)) } else { Ok(why) }
}
