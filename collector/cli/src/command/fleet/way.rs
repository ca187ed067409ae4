//! The way to a site: certificates of the conduit on both sides.

use std::future::Future;
use std::sync::Arc;

use holdpoint_collector::conduit::{Credentials, tls};
use holdpoint_common::channel::{self, ChannelSettings};
use holdpoint_common::clock::SystemClock;
use holdpoint_common::conduit::Party;
use holdpoint_common::proto::v1::fleet_client::FleetClient;
use holdpoint_common::tls::ALPN;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::connection::answer;
use crate::failure::Failure;
use crate::output::Output;
use crate::profile::Found;

/// Largest answer, in bytes: a zone's whole state, signed.
const MAX_ANSWER: usize = 512 * 1024 * 1024;

/// An open channel to a site.
#[derive(Debug, Clone)]
pub struct Way {
    channel: Channel,
}

impl Way {
    /// Connects as the operator of the profile.
    ///
    /// # Errors
    /// The profile is not one of a site, or the site cannot be reached.
    pub async fn open(found: &Found, out: &Output) -> Result<Self, Failure> {
        if found.key_is_exposed() {
            out.warn(&format!("other accounts can read {}", found.profile.key.display()));
            out.hint(&format!("chmod 600 {}", found.profile.key.display()));
        }
        let directory = found.profile.key.parent().unwrap_or(&found.path);
        let unusable = |cause| Failure::SiteProfile { path: found.path.clone(), source: Box::new(cause) };
        let own = Credentials::load(directory).map_err(unusable)?;
        let site = own.party.site().clone();
        let admits = move |party: &Party| *party == Party::Site { site: site.clone() };
        let config =
            tls::client_config(&own, Arc::new(SystemClock), Arc::new(admits), ALPN).map_err(unusable)?;
        let channel =
            channel::connect(&found.profile.collector, Arc::new(config), ChannelSettings::default())
                .await
                .map_err(|cause| Failure::SiteConnect(Box::new(cause)))?;
        Ok(Self { channel })
    }

    /// Uses a channel that exists already.
    #[cfg(test)]
    pub fn over(channel: Channel) -> Self {
        Self { channel }
    }

    /// Waits for the answer of one call. What the site refuses is told as its word, not a collector's.
    ///
    /// # Errors
    /// The site refuses, or does not answer.
    pub async fn answer<T, F>(&self, call: impl FnOnce(FleetClient<Channel>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let client = FleetClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        answer(call(client)).await.map_err(Failure::of_site)
    }
}
