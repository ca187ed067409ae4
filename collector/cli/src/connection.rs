//! The way to the collector: a profile's credentials, mutual TLS, and the services behind it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::channel::{self, ChannelSettings};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::{ANCHORS_FILE, CERTIFICATE_FILE, Credentials, KEY_FILE};
use holdpoint_common::proto::store::{Decision, SignedDecision};
use holdpoint_common::proto::v1::admin_client::AdminClient;
use holdpoint_common::proto::v1::changes_client::ChangesClient;
use holdpoint_common::proto::v1::inventory_client::InventoryClient;
use holdpoint_common::proto::v1::knowledge_client::KnowledgeClient;
use holdpoint_common::{decision, enrolment, tls};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::failure::Failure;
use crate::output::Output;
use crate::profile::{Found, Profile};

/// Largest answer, in bytes: one asset with every section, decoded.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// How long an answer may take before the operator is told.
const PATIENCE: Duration = Duration::from_mins(1);

/// An open channel to the collector of the profile.
#[derive(Debug, Clone)]
pub struct Connection {
    channel: Channel,
    /// As whom it was opened.
    operator: Option<Arc<Credentials>>,
}

impl Connection {
    /// Connects as the profile's operator, and renews a certificate that has a third of its life left.
    pub async fn open(found: &Found, out: &Output) -> Result<Self, Failure> {
        let credentials = found.credentials()?;
        if found.key_is_exposed() {
            out.warn(&format!("other accounts can read {}", found.profile.key.display()));
            out.hint(&format!("chmod 600 {}", found.profile.key.display()));
        }
        let connection = Self::connect(&found.profile.collector, &credentials).await?;
        connection.renew_when_due(found, &credentials, out).await;
        Ok(Self { operator: Some(Arc::new(credentials)), ..connection })
    }

    /// Uses a channel that exists already.
    #[cfg(test)]
    pub fn over(channel: Channel) -> Self {
        Self { channel, operator: None }
    }

    /// The same channel for somebody who can sign.
    #[cfg(test)]
    #[must_use]
    pub fn signing_as(self, operator: Credentials) -> Self {
        Self { operator: Some(Arc::new(operator)), ..self }
    }

    async fn connect(collector: &str, credentials: &Credentials) -> Result<Self, Failure> {
        let config = tls::client_config(Some(credentials), credentials.trust(), Arc::new(SystemClock))
            .map_err(Failure::Tls)?;
        let channel = channel::connect(collector, Arc::new(config), ChannelSettings::default())
            .await
            .map_err(|cause| Failure::Connect(Box::new(cause)))?;
        Ok(Self { channel, operator: None })
    }

    /// A failed renewal is no reason to withhold an answer: the certificate is valid still.
    async fn renew_when_due(&self, found: &Found, held: &Credentials, out: &Output) {
        let Some(directory) = own_directory(&found.profile) else { return };
        let due = held.leaf().is_ok_and(|it| enrolment::renewal_is_due(&it, SystemClock.now_ms()));
        if !due {
            return;
        }
        match enrolment::renew(self.channel.clone(), held, None).await {
            Ok(renewed) => match renewed.credentials.save(directory) {
                Ok(()) => {}
                Err(error) => out.warn(&format!("the renewed certificate could not be saved: {error}")),
            },
            Err(error) => out.warn(&format!("the operator's certificate could not be renewed: {error}")),
        }
    }

    /// Assets, software, events.
    pub fn inventory(&self) -> InventoryClient<Channel> {
        InventoryClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Imports and findings.
    pub fn knowledge(&self) -> KnowledgeClient<Channel> {
        KnowledgeClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Changes, baselines, duties.
    pub fn changes(&self) -> ChangesClient<Channel> {
        ChangesClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Signs a decision with the operator's own key, which never leaves this machine.
    pub fn sign(&self, decision: &Decision) -> Result<SignedDecision, Failure> {
        let operator = self.operator.as_deref().ok_or(Failure::Incomplete("an operator who can sign"))?;
        decision::sign(decision, operator).map_err(Failure::Sign)
    }

    /// The collector's own record.
    pub fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }
}

/// Waits for the answer of one call, but not for ever.
pub async fn answer<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
    let seconds = PATIENCE.as_secs();
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answered) => Ok(answered?.into_inner()),
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {seconds} s")).into()),
    }
}

/// The directory that `enroll` made for this profile; files that somebody else placed are left alone.
fn own_directory(profile: &Profile) -> Option<&Path> {
    let directory = profile.key.parent()?;
    let is_ours = profile.key == directory.join(KEY_FILE)
        && profile.certificate == directory.join(CERTIFICATE_FILE)
        && profile.ca == directory.join(ANCHORS_FILE);
    is_ours.then_some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_enroll_made_are_replaced() {
        let profile = |key: &str| Profile {
            collector: "a:1".into(),
            name: "anna".into(),
            certificate: "/p/operator/certificate.pem".into(),
            key: key.into(),
            ca: "/p/operator/anchors.pem".into(),
        };
        assert_eq!(own_directory(&profile("/p/operator/key.pem")), Some(Path::new("/p/operator")));
        assert_eq!(own_directory(&profile("/smartcard/key.pem")), None);
    }
}
