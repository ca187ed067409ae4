//! The server's side of TLS: which certificate it shows and which ones it lets in.
//!
//! Both are asked anew at every handshake, so a rotation of the zone CA needs no restart. A client
//! certificate is optional, because enrolment has none. One that no zone CA signed is refused by
//! alert; dates never decide here, so that an expired agent is told so in words.

use std::fmt;
use std::sync::Arc;

use holdpoint_common::tls::{ALPN, Leaf, Purpose, provider};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::Peer;
use crate::pki::Pki;

/// TLS 1.3 alone, HTTP/2 alone, no session that could be resumed past a revocation.
///
/// # Errors
/// The library refused its own algorithms.
pub fn server_config(pki: Pki) -> Result<Arc<ServerConfig>, Error> {
    let algorithms = provider().signature_verification_algorithms;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(ZoneClients { pki: pki.clone(), algorithms }))
        .with_cert_resolver(Arc::new(OwnCertificates(pki)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// Who the peer of a finished handshake is.
pub(super) fn peer_of(pki: &Pki, certificates: Option<&[CertificateDer<'_>]>) -> Option<Peer> {
    let Some(certificate) = certificates.and_then(<[_]>::first) else {
        return Some(Peer::NoCertificate);
    };
    let leaf = Leaf::read(certificate).ok()?;
    let serving = pki.serving();
    // The handshake has checked the signature; a second look is needed only between namesakes.
    let mut named = serving.anchors().filter(|it| it.subject() == leaf.issuer);
    let anchor = match (named.next(), named.next()) {
        (Some(only), None) => only,
        _ => serving.anchors().find(|it| it.signed(certificate, &leaf, Purpose::Client))?,
    };
    let (not_before_ms, not_after_ms) = (leaf.not_before_ms, leaf.not_after_ms);
    let issuer = anchor.fingerprint();
    let Leaf { identity, fingerprint, .. } = leaf;
    Some(Peer::Certificate { identity, fingerprint, issuer, not_before_ms, not_after_ms })
}

/// Shows the certificate that the client can verify.
struct OwnCertificates(Pki);

impl ResolvesServerCert for OwnCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let serving = self.0.serving();
        // A client that names only strangers gets the newest: its own diagnosis says more than an alert.
        serving.leaf_for(hello.certificate_authorities()).or_else(|| serving.leaf_for(None))
    }
}

impl fmt::Debug for OwnCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnCertificates")
    }
}

/// Lets in whom a zone CA certified.
#[derive(Debug)]
struct ZoneClients {
    pki: Pki,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for ZoneClients {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let leaf = Leaf::read(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        if self.pki.serving().anchors().any(|it| it.signed(end_entity, &leaf, Purpose::Client)) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
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
