//! An operator in the test's own process, who looks at what the collector has.
//!
//! Each question takes a connection of its own, so that it does not matter how often the
//! collector was killed in between.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use holdpoint_common::channel::{self, ChannelSettings};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::Credentials;
use holdpoint_common::enrolment;
use holdpoint_common::proto::v1::inventory_client::InventoryClient;
use holdpoint_common::proto::v1::{Asset, GetAssetRequest, GetAssetResponse, ListAssetsRequest};
use holdpoint_common::tls;
use serde::Deserialize;
use tonic::transport::Channel;

/// Largest answer that is read: a page of 1,000 assets, or the rows of one.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// An enrolled operator.
#[derive(Debug)]
pub struct Operator {
    collector: String,
    credentials: Credentials,
}

#[derive(Deserialize)]
struct Profile {
    collector: String,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

impl Operator {
    /// The operator of a profile that `holdpoint enroll` wrote.
    ///
    /// # Errors
    /// A file of it cannot be read.
    pub fn from_profile(profile: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(profile).with_context(|| profile.display().to_string())?;
        let Profile { collector, certificate, key, ca } = toml::from_str(&text)?;
        let dir = profile.parent().unwrap_or(Path::new("."));
        let credentials = Credentials::load_files(&dir.join(certificate), &dir.join(key), &dir.join(ca))?;
        Ok(Self { collector, credentials })
    }

    /// Enrols with a token.
    ///
    /// # Errors
    /// It is no token, or the collector's answer.
    pub async fn enrol(collector: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let collector = collector.to_string();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let enrolled = enrolment::enrol(&collector, &token.parse()?, None, clock).await?;
        Ok(Self { collector, credentials: enrolled.credentials })
    }

    /// Every asset by its id.
    ///
    /// # Errors
    /// No connection, or the collector's answer.
    pub async fn assets(&self) -> anyhow::Result<BTreeMap<String, Asset>> {
        let mut inventory = self.inventory().await?;
        let (mut assets, mut after) = (BTreeMap::new(), String::new());
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

    /// One asset with its rows.
    ///
    /// # Errors
    /// No connection, or the collector's answer.
    pub async fn asset(&self, id: &str) -> anyhow::Result<GetAssetResponse> {
        let mut inventory = self.inventory().await?;
        Ok(inventory.get_asset(GetAssetRequest { id: id.to_owned() }).await?.into_inner())
    }

    async fn inventory(&self) -> anyhow::Result<InventoryClient<Channel>> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = tls::client_config(Some(&self.credentials), self.credentials.trust(), clock)?;
        let channel = channel::connect(&self.collector, Arc::new(config), ChannelSettings::default()).await?;
        Ok(InventoryClient::new(channel).max_decoding_message_size(MAX_ANSWER))
    }
}
