//! TLS of the conduit: version 1.3 only, both sides by certificate, nothing that could be resumed.
//!
//! Both sides judge in this order: form, authority and purpose, dates by the clock that is handed in, the file of
//! revoked certificates, and whether this party is one to speak with. A refusal is part of the handshake.

use std::fmt;
use std::sync::Arc;

use holdpoint_common::clock::{Clock, readable};
use holdpoint_common::conduit::Party;
use holdpoint_common::tls::{Purpose, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::ConduitError;
use super::credentials::Credentials;
use super::leaf::{InvalidLeaf, PartyLeaf};

/// Says who may be spoken with.
pub type Admits = Arc<dyn Fn(&Party) -> bool + Send + Sync>;

/// Why a peer is not believed, for the log of the side that refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The certificate cannot be read.
    #[error("the peer's certificate cannot be read: {0}")]
    Unreadable(#[from] InvalidLeaf),
    /// No authority that is trusted here signed it for this use.
    #[error("the certificate of {0} is not from the conduit CA that is trusted here, or not for this use")]
    UnknownAuthority(Box<Party>),
    /// The certificate's life has not begun.
    #[error(
        "this clock says {believed}, but the certificate of {party} is valid only from {from}: set the clock of whichever is wrong"
    )]
    NotYetValid {
        /// Whose it is.
        party: Box<Party>,
        /// RFC 3339.
        believed: String,
        /// RFC 3339.
        from: String,
    },
    /// The certificate's life is over.
    #[error("it is {believed}, and the certificate of {party} ended {until}: issue a new one")]
    Expired {
        /// Whose it is.
        party: Box<Party>,
        /// RFC 3339.
        believed: String,
        /// RFC 3339.
        until: String,
    },
    /// Its fingerprint is in the file `revoked`, or this file cannot be understood.
    #[error("the certificate of {0} is revoked")]
    Revoked(Box<Party>),
    /// The file of revoked certificates is damaged, so nobody is let in.
    #[error("{0}: nobody is believed until it is put right")]
    NoRevocations(String),
    /// It is somebody who has no business here.
    #[error("{0} is not somebody to speak with here")]
    NotExpected(Box<Party>),
}

impl From<Distrust> for Error {
    fn from(why: Distrust) -> Self {
        tracing::info!(reason = %why, "peer refused");
        // The alert that the peer gets says the kind and no more.
        let kind = match why {
            Distrust::Unreadable(_) => CertificateError::BadEncoding,
            Distrust::UnknownAuthority(_) => CertificateError::UnknownIssuer,
            Distrust::NotYetValid { .. } => CertificateError::NotValidYet,
            Distrust::Expired { .. } => CertificateError::Expired,
            Distrust::Revoked(_) => CertificateError::Revoked,
            Distrust::NotExpected(_) => CertificateError::ApplicationVerificationFailure,
            Distrust::NoRevocations(_) => CertificateError::Other(OtherError(Arc::new(why))),
        };
        Self::InvalidCertificate(kind)
    }
}

/// The side that is called. `protocol` is the one application protocol that it speaks.
///
/// # Errors
/// The certificate and its key do not work.
pub fn server_config(
    own: &Credentials,
    clock: Arc<dyn Clock>,
    admits: Admits,
    protocol: &[u8],
) -> Result<ServerConfig, ConduitError> {
    let judge = Judge::new(own, clock, admits, Purpose::Client);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(ConduitError::Tls)?
        .with_client_cert_verifier(Arc::new(judge))
        .with_single_cert(own.chain.clone(), own.key.clone_key())
        .map_err(ConduitError::Tls)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    // A ticket would be bytes towards the zone, and a resumed session would pass the check of the certificate.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

/// The side that calls.
///
/// # Errors
/// The certificate and its key do not work.
pub fn client_config(
    own: &Credentials,
    clock: Arc<dyn Clock>,
    admits: Admits,
    protocol: &[u8],
) -> Result<ClientConfig, ConduitError> {
    let judge = Judge::new(own, clock, admits, Purpose::Server);
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(ConduitError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge))
        .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
        .map_err(ConduitError::Tls)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// Judges the peers of one side.
struct Judge {
    own: Credentials,
    clock: Arc<dyn Clock>,
    admits: Admits,
    purpose: Purpose,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Judge({})", self.own.party)
    }
}

impl Judge {
    fn new(own: &Credentials, clock: Arc<dyn Clock>, admits: Admits, purpose: Purpose) -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Self { own: own.clone(), clock, admits, purpose, algorithms }
    }

    fn judge(&self, certificate: &CertificateDer<'_>) -> Result<(), Distrust> {
        let leaf = PartyLeaf::read(certificate)?;
        let party = || Box::new(leaf.party.clone());
        if !self.own.ca.iter().any(|it| leaf.is_by(it, certificate, self.purpose)) {
            return Err(Distrust::UnknownAuthority(party()));
        }
        still_counts(&self.own, &*self.clock, &*self.admits, &leaf)
    }
}

/// Whether a certificate that was once accepted counts now: its dates, the file of revoked ones, and whether its
/// party is one to speak with. For connections that last longer than that may stay true.
///
/// # Errors
/// The first of them that does not hold.
pub fn still_counts(
    own: &Credentials,
    clock: &dyn Clock,
    admits: &dyn Fn(&Party) -> bool,
    leaf: &PartyLeaf,
) -> Result<(), Distrust> {
    let party = || Box::new(leaf.party.clone());
    let now_ms = clock.now_ms();
    if now_ms < leaf.not_before_ms {
        let (believed, from) = (readable(now_ms), readable(leaf.not_before_ms));
        return Err(Distrust::NotYetValid { party: party(), believed, from });
    }
    if now_ms > leaf.not_after_ms {
        let (believed, until) = (readable(now_ms), readable(leaf.not_after_ms));
        return Err(Distrust::Expired { party: party(), believed, until });
    }
    match own.revoked.holds(&leaf.fingerprint) {
        Ok(false) => {}
        Ok(true) => return Err(Distrust::Revoked(party())),
        Err(damaged) => return Err(Distrust::NoRevocations(damaged.to_string())),
    }
    if admits(&leaf.party) { Ok(()) } else { Err(Distrust::NotExpected(party())) }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity).map(|()| ClientCertVerified::assertion()).map_err(Error::from)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // The configuration offers TLS 1.3 alone.
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end_entity).map(|()| ServerCertVerified::assertion()).map_err(Error::from)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // The configuration offers TLS 1.3 alone.
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The party of a finished handshake.
pub fn party_of(certificates: Option<&[CertificateDer<'_>]>) -> Option<PartyLeaf> {
    PartyLeaf::read(certificates?.first()?).ok()
}
