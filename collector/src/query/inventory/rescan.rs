//! Asking hosts to look again, and waiting for what they find.
//!
//! A challenge is on disk before anybody waits for it, and stays asked when the wait is over.

use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::proto::store::ChallengeRecord;
use holdpoint_common::proto::v1::{RescanAnswer, RescanRequest};
use holdpoint_common::refusal::Reason;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::audit::Act;
use crate::store::Txn;
use crate::zone::{Freshness, Zone};

/// Most assets of one request.
const MAX_ASSETS: usize = 1_000;
/// Longest wait, in seconds.
const MAX_WAIT_S: u32 = 3_600;

/// Challenges every asset and streams each answer as it comes.
pub(super) async fn rescan(
    zone: &Arc<Zone>,
    by: String,
    request: RescanRequest,
) -> Result<ReceiverStream<Result<RescanAnswer, Status>>, Status> {
    let RescanRequest { assets, wait_s } = request;
    if assets.is_empty() || assets.len() > MAX_ASSETS || wait_s > MAX_WAIT_S {
        return Err(Status::invalid_argument(format!(
            "say 1 to {MAX_ASSETS} assets and a wait of at most {MAX_WAIT_S} s"
        )));
    }
    let mut ids =
        assets.iter().map(|it| Ok(zone.find_asset(it)?.id.clone())).collect::<Result<Vec<_>, Status>>()?;
    ids.sort_unstable();
    ids.dedup();
    let act = Act {
        by: by.clone(),
        action: "rescan-asked",
        subject: ids.join(" "),
        text: String::new(),
        detail: None,
    };
    zone.commit(Txn::admin(), vec![act]).await?;

    let deadline = Instant::now() + Duration::from_secs(wait_s.into());
    let (answers, stream) = mpsc::channel(ids.len());
    let zone = Arc::clone(zone);
    tokio::spawn(async move {
        let mut waiting = JoinSet::new();
        for id in ids {
            waiting.spawn(one(Arc::clone(&zone), id, by.clone(), deadline));
        }
        loop {
            tokio::select! {
                // Dropping the set ends the waits; the challenges stay asked.
                () = answers.closed() => return,
                done = waiting.join_next() => match done {
                    Some(Ok(answer)) => {
                        if answers.send(answer).await.is_err() {
                            return;
                        }
                    }
                    Some(Err(_)) => {}
                    None => return,
                },
            }
        }
    });
    Ok(ReceiverStream::new(stream))
}

/// Challenges one asset and waits for its answer.
async fn one(zone: Arc<Zone>, id: String, by: String, deadline: Instant) -> Result<RescanAnswer, Status> {
    match zone.challenge(&id, &by).await {
        Ok(challenge) => Ok(answer(&zone, id, challenge, deadline).await),
        Err(cause) if Reason::of(&cause) == Some(Reason::Retired) => {
            Ok(RescanAnswer { asset: id, reason: Some("retired".into()), ..RescanAnswer::default() })
        }
        Err(cause) => Err(cause),
    }
}

async fn answer(zone: &Zone, asset: String, challenge: ChallengeRecord, deadline: Instant) -> RescanAnswer {
    let ChallengeRecord { nonce, issued_ms, .. } = challenge;
    let mut shutdown = zone.shutdown();
    let without = |reason: &str, asset: &str| RescanAnswer {
        asset: asset.to_owned(),
        nonce: nonce.clone(),
        reason: Some(reason.to_owned()),
        ..RescanAnswer::default()
    };
    loop {
        let Some(slot) = zone.slot(&asset) else { return without("retired", &asset) };
        let changed = slot.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let record = slot.record();
        if let Some(found) = record.answers.iter().find(|it| it.nonce == nonce) {
            return RescanAnswer {
                asset,
                answered: true,
                nonce: found.nonce.clone(),
                sequence: Some(found.sequence),
                boot_id: (!found.boot_id.is_empty()).then(|| found.boot_id.clone()),
                took_ms: u64::try_from(found.answered_ms.saturating_sub(issued_ms)).ok(),
                reason: None,
            };
        }
        if record.retired_ms.is_some() {
            return without("retired", &asset);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(declined) = zone.declined(&asset, &nonce) {
            // Nobody waits for what will not come in time.
            let until = declined.until_ms.map(|it| it.saturating_sub(zone.now_ms()));
            let in_time = until.is_some_and(|it| u128::try_from(it).unwrap_or(0) < left.as_millis());
            if !in_time {
                return without(declined.reason, &asset);
            }
        }
        if left.is_zero() || *shutdown.borrow() {
            return match zone.freshness(&record) {
                Freshness::Silent | Freshness::Never => without("silent", &asset),
                Freshness::Fresh | Freshness::Stale => without("waiting", &asset),
            };
        }
        tokio::select! {
            () = changed => {}
            _ = shutdown.changed() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}
