//! Assets and their sections as operators see them.

use holdpoint_common::proto::store::{AssetRecord, HeldRecord};
use holdpoint_common::proto::v1::{
    Alarm, Asset, GetAssetResponse, ListAssetsResponse, SectionContent, SectionKind, SectionStatus,
    SectionSummary,
};
use tonic::Status;

use crate::store::SectionKey;
use crate::zone::{Grade, Zone, status_of};

/// One page of assets, sorted by id.
pub(super) fn list(zone: &Zone, limit: usize, after: &str, with_retired: bool) -> ListAssetsResponse {
    let (mut assets, mut after) = (Vec::new(), after.to_owned());
    loop {
        let page = zone.assets_after(&after, limit);
        let Some(last) = page.last() else { return ListAssetsResponse { assets, next_after: None } };
        after.clone_from(&last.id);
        for record in page.iter().filter(|it| with_retired || it.retired_ms.is_none()) {
            if assets.len() == limit {
                let next_after = assets.last().map(|it: &Asset| it.id.clone());
                return ListAssetsResponse { assets, next_after };
            }
            assets.push(asset(zone, record));
        }
    }
}

/// An asset as operators see it.
pub(super) fn asset(zone: &Zone, record: &AssetRecord) -> Asset {
    let seen = zone.last_seen(&record.id);
    Asset {
        id: record.id.clone(),
        name: record.name.clone(),
        zone: zone.name().zone.to_string(),
        role: record.role.clone(),
        level: record.level,
        os: record.os_name.clone(),
        os_version: record.os_version.clone(),
        last_seen_ms: seen.map(|it| it.seen_ms),
        freshness: zone.freshness(record).to_string(),
        sections: record.sections.iter().filter_map(summary).collect(),
        software_count: record.software_count,
        alarms: record
            .alarms
            .iter()
            .map(|it| Alarm { kind: it.kind.clone(), text: it.text.clone(), since_ms: it.since_ms })
            .collect(),
        retired: record.retired_ms.is_some(),
        tags: record.tags.clone(),
        agent_version: some(&record.agent_version),
        sequence: record.sequence,
        boot_id: some(&record.boot_id),
        grade: Grade::of_asset(record).map(|it| it.to_string()),
    }
}

/// An asset with the rows of its sections.
pub(super) fn with_sections(zone: &Zone, record: &AssetRecord) -> Result<GetAssetResponse, Status> {
    let mut sections = Vec::new();
    for held in &record.sections {
        let Some(summary) = summary(held) else { continue };
        let SectionSummary { kind, status, reasons, digest, grade, .. } = summary;
        let rows = match SectionKey::of(kind, &digest) {
            Some(key) => zone.store().section(key).map_err(|cause| status_of(&cause))?,
            None => None,
        };
        let rows = rows.map(|it| it.to_vec()).unwrap_or_default();
        sections.push(SectionContent { kind, status, reasons, digest, rows, grade });
    }
    Ok(GetAssetResponse { asset: Some(asset(zone, record)), sections })
}

/// The status is that of the newest attempt; the rows are those that are shown and judged.
fn summary(held: &HeldRecord) -> Option<SectionSummary> {
    let shown = held.shown.as_ref()?;
    let newest = held.attempt.as_ref().unwrap_or(shown);
    Some(SectionSummary {
        kind: held.kind,
        status: newest.status,
        reasons: newest.reasons.clone(),
        digest: shown.digest.clone(),
        rows: shown.rows,
        received_ms: shown.received_ms,
        grade: Some(Grade::of(shown).to_string()),
    })
}

/// Whether the newest attempt at a section was complete.
pub(super) fn is_complete(record: &AssetRecord, kind: SectionKind) -> bool {
    let held = record.sections.iter().find(|it| it.kind == i32::from(kind));
    held.and_then(summary).is_some_and(|it| it.status == i32::from(SectionStatus::Complete))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
