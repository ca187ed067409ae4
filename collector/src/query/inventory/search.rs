//! Who has a program installed: from the index of sections to assets, page by page.

use std::collections::{BTreeMap, HashMap};

use holdpoint_common::proto::v1::{InstalledSoftware, SearchSoftwareResponse, SoftwareRow};
use prost::Message;
use tonic::Status;

use crate::store::{NamePattern, SectionKey};
use crate::zone::{Zone, status_of};

/// Longest query, in bytes.
const MAX_QUERY: usize = 200;
/// Sections that the index brings at once.
const PAGE: usize = 256;
/// Most matching rows in distinct sections that one question may bring.
const MAX_MATCHES: usize = 200_000;

/// A page of what matches, sorted by asset and name. Retired assets are left out.
pub(super) fn search(
    zone: &Zone,
    query: &str,
    limit: usize,
    after: &str,
) -> Result<SearchSoftwareResponse, Status> {
    let query = query.trim();
    if query.is_empty() || query.len() > MAX_QUERY {
        return Err(Status::invalid_argument(
            "say a part of a name, or a pattern with `*`, of at most 200 bytes",
        ));
    }
    let pattern =
        if query.contains('*') { NamePattern::new(query) } else { NamePattern::new(&format!("*{query}*")) };
    let matches = matching(zone, &pattern)?;

    let mut assets: BTreeMap<String, Vec<SectionKey>> = BTreeMap::new();
    for key in matches.keys() {
        for asset in zone.store().assets_with_section(*key) {
            if zone.asset(&asset).is_some_and(|it| it.retired_ms.is_none()) {
                assets.entry(asset.to_string()).or_default().push(*key);
            }
        }
    }
    let (after_asset, after_name) = after.split_once('\0').unwrap_or((after, ""));
    let mut found: Vec<InstalledSoftware> = Vec::new();
    for (asset, keys) in assets.range(after_asset.to_owned()..) {
        let mut rows: Vec<&SoftwareRow> = keys.iter().filter_map(|it| matches.get(it)).flatten().collect();
        rows.sort_by(|a, b| (&a.name, &a.version, &a.source).cmp(&(&b.name, &b.version, &b.source)));
        for row in rows {
            if !after.is_empty() && asset == after_asset && row.name.as_str() <= after_name {
                continue;
            }
            // A page ends between two names, so that the next one can start there.
            if let Some(last) = found.last().filter(|_| found.len() >= limit)
                && (last.asset != *asset || last.name != row.name)
            {
                let next_after = Some(format!("{}\0{}", last.asset, last.name));
                return Ok(SearchSoftwareResponse { found, next_after });
            }
            found.push(InstalledSoftware {
                asset: asset.clone(),
                name: row.name.clone(),
                version: row.version.clone(),
                source: row.source.clone(),
                architecture: row.architecture.clone(),
            });
        }
    }
    Ok(SearchSoftwareResponse { found, next_after: None })
}

fn matching(zone: &Zone, pattern: &NamePattern) -> Result<HashMap<SectionKey, Vec<SoftwareRow>>, Status> {
    let mut matches: HashMap<SectionKey, Vec<SoftwareRow>> = HashMap::new();
    let (mut after, mut count) = (None, 0);
    loop {
        let page = zone
            .store()
            .software_matching(pattern, after.as_deref(), PAGE)
            .map_err(|cause| status_of(&cause))?;
        for hit in page.hits {
            count += hit.rows.len();
            if count > MAX_MATCHES {
                return Err(Status::out_of_range("the query matches too much: say more of the name"));
            }
            let rows = hit.rows.iter().filter_map(|row| SoftwareRow::decode(row.as_slice()).ok());
            matches.entry(hit.section).or_default().extend(rows);
        }
        let Some(next) = page.next else { return Ok(matches) };
        after = Some(next);
    }
}
