//! Getting and renewing an identity, for hosts and operators alike.
//!
//! The key is made here and never travels; the answer is believed only when it fits it: the
//! certificate is for our key, signed by a zone CA that we trust, and names whom the collector
//! says. Nothing here decides when to renew by itself or where files live: see
//! [`renewal_is_due`] and [`crate::credentials`].

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tonic::transport::Channel;

use crate::channel::{self, ChannelSettings, ConnectError};
use crate::clock::Clock;
use crate::credentials::{Credentials, CredentialsError, new_key};
use crate::identity::Identity;
use crate::proto::v1::enrollment_client::EnrollmentClient;
use crate::proto::v1::{EnrollRequest, EnrollResponse, HostFacts, RenewRequest};
use crate::section::Digest;
use crate::tls::{self, Anchor, Leaf, Purpose, TlsError, Trust};
use crate::token::Token;

/// Most certificates in a chain or among the anchors of an answer.
pub const MAX_CERTIFICATES: usize = 16;

/// The share of a certificate's life, as one part of this many, that is left when renewal begins.
const RENEW_AT_ONE_IN: i64 = 3;

/// A new identity and what came with it.
#[derive(Debug)]
pub struct Enrolled {
    /// To be saved.
    pub credentials: Credentials,
    /// Of an operator; empty for a host.
    pub roles: Vec<String>,
    /// The collector's wall clock, Unix milliseconds.
    pub collector_time_ms: i64,
}

/// Why there is no new identity.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No connection.
    #[error("no connection to the collector")]
    Connect(#[from] ConnectError),
    /// No TLS configuration.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// No key, or one that does not fit.
    #[error("no usable key")]
    Key(#[from] CredentialsError),
    /// The certificate request could not be made.
    #[error("the certificate request cannot be made")]
    Request(#[source] rcgen::Error),
    /// The collector said no; its status holds the reason and the next step.
    #[error("the collector refused: {}", .0.message())]
    Refused(tonic::Status),
    /// The answer does not fit what was asked.
    #[error("the collector's answer is not usable: {0}")]
    Answer(&'static str),
}

/// Exchanges a token for an identity; `host` is absent when an operator enrols.
///
/// Nobody is trusted but the collector whose zone CA the token pins.
pub async fn enrol(
    collector: &str,
    token: &Token,
    host: Option<HostFacts>,
    clock: Arc<dyn Clock>,
) -> Result<Enrolled, EnrolError> {
    let config = tls::client_config(None, Trust::Pin(token.pin), clock)?;
    let channel = channel::connect(collector, Arc::new(config), ChannelSettings::default()).await?;
    let is_host = host.is_some();
    let key = new_key()?;
    let request = EnrollRequest { token: token.secret.reveal().to_string(), csr: request_for(&key)?, host };
    let answer = EnrollmentClient::new(channel).enroll(request).await.map_err(EnrolError::Refused)?;
    let enrolled = accept(answer.into_inner(), &key)?;

    let names_a_host = matches!(enrolled.credentials.identity.subject, crate::identity::Subject::Agent(_));
    if names_a_host != is_host {
        return Err(EnrolError::Answer("the token is for another kind of peer"));
    }
    if !enrolled.credentials.anchors.iter().any(|it| Digest::of(it) == token.pin) {
        return Err(EnrolError::Answer("it does not trust the zone CA that the token pins"));
    }
    Ok(enrolled)
}

/// Exchanges the held certificate for a new one with a new key, over a channel that presents the held one.
pub async fn renew(
    channel: Channel,
    held: &Credentials,
    host: Option<HostFacts>,
) -> Result<Enrolled, EnrolError> {
    let key = new_key()?;
    let request = RenewRequest { csr: request_for(&key)?, host };
    let answer = EnrollmentClient::new(channel).renew(request).await.map_err(EnrolError::Refused)?;
    let renewed = accept(answer.into_inner(), &key)?;
    if renewed.credentials.identity != held.identity {
        return Err(EnrolError::Answer("it is for another identity"));
    }
    Ok(renewed)
}

/// Whether a third or less of the certificate's life is left at `now_ms`.
pub fn renewal_is_due(leaf: &Leaf, now_ms: i64) -> bool {
    let life = leaf.not_after_ms.saturating_sub(leaf.not_before_ms);
    now_ms >= leaf.not_after_ms.saturating_sub(life / RENEW_AT_ONE_IN)
}

/// A certificate request that says nothing but the public key, and proves that the key is held.
fn request_for(key: &KeyPair) -> Result<Vec<u8>, EnrolError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key).map_err(EnrolError::Request)?.der().to_vec())
}

fn accept(answer: EnrollResponse, key: &KeyPair) -> Result<Enrolled, EnrolError> {
    let EnrollResponse { identity, chain, anchors, collector_time_ms, roles } = answer;
    if chain.is_empty() || chain.len() > MAX_CERTIFICATES {
        return Err(EnrolError::Answer("its chain is empty or too long"));
    }
    if anchors.is_empty() || anchors.len() > MAX_CERTIFICATES {
        return Err(EnrolError::Answer("it names no zone CA or too many"));
    }
    let said = identity.parse::<Identity>().map_err(|_| EnrolError::Answer("its identity is malformed"))?;
    let chain = chain.into_iter().map(CertificateDer::from).collect::<Vec<_>>();
    let anchors = anchors.into_iter().map(CertificateDer::from).collect::<Vec<_>>();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));

    // Refuses a certificate for another key.
    let credentials = Credentials::new(chain, private, anchors)?;
    if credentials.identity != said {
        return Err(EnrolError::Answer("the certificate names somebody else"));
    }
    let leaf = credentials.leaf()?;
    let signed = |it: &CertificateDer<'static>| {
        let anchor = Anchor::new(it.clone()).map_err(|_| EnrolError::Answer("a zone CA is malformed"))?;
        Ok(anchor.signed(&credentials.chain[0], &leaf, Purpose::Client))
    };
    // Every anchor is read, so that a malformed one is noticed now and not at the next connection.
    let signed = credentials.anchors.iter().map(signed).collect::<Result<Vec<_>, EnrolError>>()?;
    if !signed.contains(&true) {
        return Err(EnrolError::Answer("the certificate is not from one of its zone CAs"));
    }
    Ok(Enrolled { credentials, roles, collector_time_ms })
}
