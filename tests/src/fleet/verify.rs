//! Looks up every acknowledged report with an operator's own call.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use holdpoint_common::channel::{self, ChannelSettings};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::Credentials;
use holdpoint_common::proto::v1::inventory_client::InventoryClient;
use holdpoint_common::proto::v1::{Asset, ListAssetsRequest};
use holdpoint_common::tls;
use serde::Deserialize;

use super::Acked;

/// Largest answer that is read: a page of 1,000 assets.
const MAX_PAGE: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Profile {
    collector: String,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

/// The number of acknowledged reports that the collector does not have.
pub(super) async fn lost(profile: &Path, acked: &[Acked]) -> anyhow::Result<u64> {
    let assets = all_assets(profile).await?;
    let missing = acked.iter().filter(|it| !assets.get(&it.asset).is_some_and(|asset| holds(asset, it)));
    Ok(u64::try_from(missing.count())?)
}

fn holds(asset: &Asset, acked: &Acked) -> bool {
    asset.sequence >= acked.sequence
        && acked.digests.iter().all(|(kind, digest)| {
            asset.sections.iter().any(|section| section.kind == *kind && section.digest == *digest)
        })
}

async fn all_assets(profile: &Path) -> anyhow::Result<HashMap<String, Asset>> {
    let text = std::fs::read_to_string(profile).with_context(|| profile.display().to_string())?;
    let read: Profile = toml::from_str(&text)?;
    let dir = profile.parent().unwrap_or(Path::new("."));
    let credentials =
        Credentials::load_files(&dir.join(read.certificate), &dir.join(read.key), &dir.join(read.ca))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = tls::client_config(Some(&credentials), credentials.trust(), clock)?;
    let channel = channel::connect(&read.collector, Arc::new(config), ChannelSettings::default()).await?;
    let mut inventory = InventoryClient::new(channel).max_decoding_message_size(MAX_PAGE);

    let mut assets = HashMap::new();
    let mut after = String::new();
    loop {
        let request = ListAssetsRequest { limit: 0, after, with_retired: true };
        let page = inventory.list_assets(request).await?.into_inner();
        assets.extend(page.assets.into_iter().map(|it| (it.id.clone(), it)));
        match page.next_after {
            Some(next) => after = next,
            None => return Ok(assets),
        }
    }
}
