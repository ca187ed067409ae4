//! What operators do to assets. Each act is one transaction with its entry of the audit log.

use std::sync::Arc;

use holdpoint_common::identity::Name;
use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::proto::v1::{
    Asset, MergeAssetsRequest, RenameAssetRequest, RetireAssetRequest, SplitAssetRequest,
};
use tonic::Status;

use super::view;
use crate::audit::Act;
use crate::intake::{DUPLICATE, clear, copies};
use crate::store::Txn;
use crate::zone::{Assets, Zone, amend, event};

/// Longest display name, in bytes.
const MAX_NAME: usize = 63;
/// Longest reason, in bytes.
const MAX_REASON: usize = 500;

/// Gives an asset another display name; its id stays.
pub(super) async fn rename(
    zone: &Arc<Zone>,
    by: String,
    request: RenameAssetRequest,
) -> Result<Asset, Status> {
    let RenameAssetRequest { id, name } = request;
    let id = zone.find_asset(&id)?.id.clone();
    let name = text("name", name.trim(), MAX_NAME)?;
    let taken = zone.assets().into_iter().find(|it| it.id != id && (it.name == name || it.id == name));
    if let Some(other) = taken.filter(|it| it.retired_ms.is_none()) {
        return Err(Status::already_exists(format!("asset `{}` has that name", other.id)));
    }
    let now = zone.now_ms();
    zone.change_asset_in(&id, Txn::admin(), |record, txn| {
        let told = format!("renamed from {} to {name}", record.name);
        record.name = name;
        amend(txn, |it| it.add_event(event(now, &record.id, "renamed", told.clone())));
        Ok((
            (),
            vec![Act { by, action: "asset-renamed", subject: record.id.clone(), text: told, detail: None }],
        ))
    })
    .await?;
    shown(zone, &id)
}

/// Takes an asset out of service: its certificates are revoked, what is known of it stays, and
/// nothing about it counts as fixed.
pub(super) async fn retire(
    zone: &Arc<Zone>,
    by: String,
    request: RetireAssetRequest,
) -> Result<Asset, Status> {
    let RetireAssetRequest { id, reason } = request;
    let record = zone.find_asset(&id)?;
    let id = record.id.clone();
    let reason = text("reason", reason.trim(), MAX_REASON)?;
    let mut ids = vec![id.as_str()];
    ids.extend(record.copy_of.as_deref());
    let now = zone.now_ms();
    let others = other_copies(zone, record.copy_of.as_deref(), &id);
    zone.change_assets(&ids, Txn::admin(), |assets, txn| {
        let record = taken(assets, &id)?;
        if record.retired_ms.is_some() {
            return Err(Status::failed_precondition(format!("asset `{id}` is retired already")));
        }
        put_away(record, &reason, now);
        let original = record.copy_of.clone();
        settle(assets, original.as_deref(), others);
        amend(txn, |it| it.add_event(event(now, &id, "retired", reason.clone())));
        Ok(((), vec![Act { by, action: "asset-retired", subject: id.clone(), text: reason, detail: None }]))
    })
    .await?;
    shown(zone, &id)
}

/// Takes a copy for the same machine with new hardware, or restored from an image.
pub(super) async fn merge(
    zone: &Arc<Zone>,
    by: String,
    request: MergeAssetsRequest,
) -> Result<Asset, Status> {
    let MergeAssetsRequest { copy, into } = request;
    let (copy, into) = (zone.find_asset(&copy)?.id.clone(), zone.find_asset(&into)?.id.clone());
    let now = zone.now_ms();
    let others = other_copies(zone, Some(&into), &copy);
    zone.change_assets(&[&copy, &into], Txn::admin(), |assets, txn| {
        let source = taken(assets, &copy)?;
        is_copy(source)?;
        if source.copy_of.as_deref() != Some(into.as_str()) {
            return Err(Status::failed_precondition(format!("`{copy}` is no copy of `{into}`")));
        }
        let (fingerprint, boot_id) = (source.fingerprint.clone(), source.boot_id.clone());
        put_away(source, &format!("merged into {into}"), now);

        let target = taken(assets, &into)?;
        if target.retired_ms.is_some() {
            return Err(Status::failed_precondition(format!("asset `{into}` is retired")));
        }
        target.fingerprint = fingerprint;
        // The boot of the machine that goes is superseded by the one that stays.
        let before = std::mem::replace(&mut target.boot_id, boot_id.clone());
        target.earlier_boot_ids.retain(|it| *it != boot_id);
        if !before.is_empty() && before != boot_id {
            target.earlier_boot_ids.insert(0, before);
        }
        settle(assets, Some(&into), others);
        let told = format!("{copy} is taken for the same machine");
        amend(txn, |it| it.add_event(event(now, &into, "merged", told.clone())));
        Ok(((), vec![Act { by, action: "asset-merged", subject: into.clone(), text: told, detail: None }]))
    })
    .await?;
    shown(zone, &into)
}

/// Takes a copy for a machine of its own, which has to enrol with a token made for it.
pub(super) async fn split(zone: &Arc<Zone>, by: String, request: SplitAssetRequest) -> Result<Asset, Status> {
    let SplitAssetRequest { copy, name } = request;
    let source = zone.find_asset(&copy)?;
    let copy = source.id.clone();
    let original = source.copy_of.clone().unwrap_or_default();
    let name: Name = name.parse().map_err(|cause| Status::invalid_argument(format!("{cause}")))?;
    let id = name.to_string();
    let now = zone.now_ms();
    let others = other_copies(zone, Some(&original), &copy);
    zone.change_assets(&[&copy, &original, &id], Txn::admin(), |assets, txn| {
        if assets.contains_key(&id) {
            return Err(Status::already_exists(format!("asset `{id}` exists already")));
        }
        let source = taken(assets, &copy)?;
        is_copy(source)?;
        let own = AssetRecord {
            id: id.clone(),
            name: id.clone(),
            hostname: source.hostname.clone(),
            fingerprint: source.fingerprint.clone(),
            agent_version: source.agent_version.clone(),
            enrolled_ms: now,
            ..AssetRecord::default()
        };
        put_away(source, &format!("split off as {id}"), now);
        assets.insert(id.clone(), own);
        settle(assets, Some(&original), others);
        let told = format!("{copy} is a machine of its own; a token made for {id} enrols it");
        amend(txn, |it| it.add_event(event(now, &id, "split", told.clone())));
        Ok(((), vec![Act { by, action: "asset-split", subject: id.clone(), text: told, detail: None }]))
    })
    .await?;
    shown(zone, &id)
}

/// Retires a record: nobody speaks for it any more and nothing is asked of it.
fn put_away(record: &mut AssetRecord, reason: &str, now_ms: i64) {
    record.retired_ms = Some(now_ms);
    reason.clone_into(&mut record.retired_reason);
    record.challenges.clear();
    clear(record, DUPLICATE);
    for certificate in record.certificates.iter_mut().filter(|it| it.revoked_ms.is_none()) {
        certificate.revoked_ms = Some(now_ms);
        "retired".clone_into(&mut certificate.revoked_reason);
    }
}

/// Clears the alarm of an original whose last copy is dealt with.
fn settle(assets: &mut Assets, original: Option<&str>, other_copies: bool) {
    if let Some(record) = original.and_then(|it| assets.get_mut(it))
        && !other_copies
    {
        clear(record, DUPLICATE);
    }
}

/// Whether an asset has copies besides that one.
fn other_copies(zone: &Zone, original: Option<&str>, copy: &str) -> bool {
    let Some(original) = original else { return false };
    copies(zone, original).iter().any(|it| it != copy)
}

fn is_copy(record: &AssetRecord) -> Result<(), Status> {
    if record.copy_of.is_some() && record.retired_ms.is_none() {
        return Ok(());
    }
    Err(Status::failed_precondition(format!("`{}` is no copy that waits for a decision", record.id)))
}

fn taken<'a>(assets: &'a mut Assets, id: &str) -> Result<&'a mut AssetRecord, Status> {
    assets.get_mut(id).ok_or_else(|| Status::not_found(format!("no asset has the id `{id}`")))
}

fn text(what: &str, text: &str, max: usize) -> Result<String, Status> {
    if text.is_empty() || text.len() > max || text.chars().any(char::is_control) {
        return Err(Status::invalid_argument(format!(
            "the {what} must be printable text of 1 to {max} bytes"
        )));
    }
    Ok(text.to_owned())
}

fn shown(zone: &Zone, id: &str) -> Result<Asset, Status> {
    let record = zone.asset(id).ok_or_else(|| Status::internal("the asset is gone"))?;
    Ok(view::asset(zone, &record))
}
