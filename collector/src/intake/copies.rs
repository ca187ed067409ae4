//! Two machines with one identity: the copy is refused, shown, and never takes the original's place.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::refusal::Reason;
use tonic::Status;

use super::admit::{CopySign, DUPLICATE, copy_id, raise};
use super::parse::Speaker;
use crate::store::Txn;
use crate::zone::{Zone, amend, event};

/// Most copies of one asset that are shown; a stolen certificate cannot fill the list.
const MAX_COPIES: usize = 8;

/// Records a copy that called with an asset's certificate, and says how it is refused.
pub(super) async fn refuse(
    zone: &Arc<Zone>,
    record: &AssetRecord,
    speaker: &Speaker,
    sign: CopySign,
) -> Status {
    let id = record.id.as_str();
    if let Some(own) = own_asset(zone, record, speaker) {
        return Reason::Duplicate.refuse(format!(
            "this machine is asset `{own}` and presents the certificate of `{id}`: enrol it with a token of its own \
             (token create --for {own})"
        ));
    }
    let copy = copy_id(id, speaker);
    let advice = format!(
        "another machine reports as `{id}` ({}). If this is the same machine with new hardware or restored from an \
         image: holdpoint asset merge {copy} {id}. If it is a machine of its own: holdpoint asset split {copy} NAME",
        sign.text()
    );
    if shown_already(zone, record, &copy) {
        zone.seen(&copy, None);
    } else if copies(zone, id).len() < MAX_COPIES {
        match show(zone, id, &copy, speaker, sign).await {
            Ok(()) => zone.seen(&copy, None),
            Err(cause) => {
                tracing::warn!(
                    asset = id,
                    copy,
                    error = &cause as &dyn std::error::Error,
                    "a copy is not recorded"
                );
            }
        }
    }
    Reason::Duplicate.refuse(advice)
}

/// The asset that was enrolled or split off for this machine.
fn own_asset(zone: &Zone, record: &AssetRecord, speaker: &Speaker) -> Option<String> {
    zone.machines(speaker.fingerprint.as_bytes())
        .into_iter()
        .filter(|id| *id != record.id)
        .find(|id| zone.asset(id).is_some_and(|it| it.copy_of.is_none() && it.retired_ms.is_none()))
}

fn shown_already(zone: &Zone, record: &AssetRecord, copy: &str) -> bool {
    let alarmed = |it: &AssetRecord| it.alarms.iter().any(|it| it.kind == DUPLICATE);
    let waits = |it: &AssetRecord| it.copy_of.as_deref() == Some(&record.id) && it.retired_ms.is_none();
    alarmed(record) && zone.asset(copy).is_some_and(|it| alarmed(&it) && waits(&it))
}

/// The ids of an asset's copies that wait for a decision.
pub(crate) fn copies(zone: &Zone, id: &str) -> Vec<String> {
    let found = zone.assets_starting_with(&format!("{id}.copy-"));
    let waiting = found.iter().filter(|it| it.copy_of.as_deref() == Some(id) && it.retired_ms.is_none());
    waiting.map(|it| it.id.clone()).collect()
}

async fn show(
    zone: &Arc<Zone>,
    id: &str,
    copy: &str,
    speaker: &Speaker,
    sign: CopySign,
) -> Result<(), Status> {
    let now = zone.now_ms();
    zone.change_assets(&[id, copy], Txn::report(), |assets, txn| {
        // An asset that was enrolled under that very name is nobody's copy.
        if assets.get(copy).is_some_and(|it| it.copy_of.as_deref() != Some(id)) {
            return Err(Status::already_exists(format!("`{copy}` is an asset of its own")));
        }
        let original = assets.get_mut(id).ok_or_else(|| Status::not_found("the asset is gone"))?;
        let text = format!(
            "another machine presents this asset's certificate and is refused; it is shown as `{copy}`"
        );
        raise(original, DUPLICATE, &text, now);
        let (name, hostname) = (format!("{} (copy)", original.name), original.hostname.clone());

        let shown = assets.entry(copy.to_owned()).or_insert_with(|| AssetRecord {
            id: copy.to_owned(),
            name,
            hostname,
            copy_of: Some(id.to_owned()),
            enrolled_ms: now,
            ..AssetRecord::default()
        });
        // One that was merged or split and calls again as a copy is a copy again.
        shown.retired_ms = None;
        shown.retired_reason.clear();
        shown.fingerprint = speaker.fingerprint.to_vec();
        shown.boot_id.clone_from(&speaker.boot_id);
        shown.agent_version.clone_from(&speaker.agent_version);
        raise(shown, DUPLICATE, &format!("it presents the certificate of `{id}`: {}", sign.text()), now);

        let machine = HEXLOWER.encode(&speaker.fingerprint.as_bytes()[..4]);
        let text = format!("a second machine ({machine}...) reports as `{id}`: {}", sign.text());
        let told = [event(now, id, DUPLICATE, text.clone()), event(now, copy, DUPLICATE, text)];
        amend(txn, |txn| told.into_iter().fold(txn, Txn::add_event));
        Ok(((), Vec::new()))
    })
    .await
}
