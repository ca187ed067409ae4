//! Reading a leaf certificate and asking who signed it.
//!
//! A zone CA signs leaves directly, so a chain is one signature: no intermediate that a peer
//! sends is ever followed. Dates are read here and judged elsewhere, because a plant's clocks
//! lie and a person needs to be told which one. Source of truth: the DER bytes.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use x509_parser::prelude::{FromDer, GeneralName, SubjectPublicKeyInfo, X509Certificate};

use super::provider;
use crate::identity::{Identity, InvalidIdentity};
use crate::section::Digest;

/// Largest certificate that is parsed, in bytes.
pub const MAX_CERTIFICATE: usize = 8 * 1024;

const MS_PER_S: i64 = 1_000;

/// What a leaf certificate says. Saying proves nothing: see [`Anchor::signed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// From its one subject alternative name.
    pub identity: Identity,
    /// SHA-256 of the certificate.
    pub fingerprint: Digest,
    /// Unix milliseconds.
    pub not_before_ms: i64,
    /// Unix milliseconds.
    pub not_after_ms: i64,
    /// The issuer's name, DER.
    pub issuer: Vec<u8>,
    /// The public key with its algorithm (`SubjectPublicKeyInfo`, DER).
    pub public_key: Vec<u8>,
}

/// Why bytes are no leaf of a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLeaf {
    /// Over [`MAX_CERTIFICATE`] or not DER.
    #[error("the certificate is malformed")]
    Malformed,
    /// Not exactly one subject alternative name, or one that is no URI.
    #[error("the certificate does not carry exactly one URI name")]
    Names,
    /// The URI names nobody of a zone.
    #[error("the certificate's name is not an identity")]
    Identity(#[from] InvalidIdentity),
    /// A CA certificate cannot speak for anybody.
    #[error("the certificate is a certificate authority's")]
    Authority,
}

impl Leaf {
    /// Reads a certificate.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, InvalidLeaf> {
        let parsed = parse(certificate).ok_or(InvalidLeaf::Malformed)?;
        if parsed.is_ca() {
            return Err(InvalidLeaf::Authority);
        }
        let names = parsed.subject_alternative_name().ok().flatten().ok_or(InvalidLeaf::Names)?;
        let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
            return Err(InvalidLeaf::Names);
        };
        Ok(Self {
            identity: uri.parse()?,
            fingerprint: Digest::of(certificate),
            not_before_ms: parsed.validity().not_before.timestamp().saturating_mul(MS_PER_S),
            not_after_ms: parsed.validity().not_after.timestamp().saturating_mul(MS_PER_S),
            issuer: parsed.issuer().as_raw().to_vec(),
            public_key: parsed.public_key().raw.to_vec(),
        })
    }

    /// Whether the certificate's key made this signature (ECDSA P-256 with SHA-256, ASN.1) over a statement.
    /// Whether anybody has to believe the certificate is another question: see [`Anchor::signed`].
    pub fn made(&self, statement: &[u8], signature: &[u8]) -> bool {
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(&self.public_key) else { return false };
        // A key of another kind is no point of this curve.
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.subject_public_key.data)
            .verify(statement, signature)
            .is_ok()
    }
}

/// What a leaf is presented as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// By a collector to those who call it.
    Server,
    /// By an agent or operator to its collector.
    Client,
}

/// A zone CA certificate that is trusted directly, whoever signed it.
#[derive(Clone)]
pub struct Anchor {
    certificate: CertificateDer<'static>,
    fingerprint: Digest,
    subject: Vec<u8>,
    not_before_ms: i64,
    not_after_ms: i64,
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
}

/// The bytes are no CA certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate of a certificate authority")]
pub struct InvalidAnchor;

impl Anchor {
    /// Reads a CA certificate.
    pub fn new(certificate: CertificateDer<'static>) -> Result<Self, InvalidAnchor> {
        let parsed = parse(&certificate).filter(|it| it.is_ca()).ok_or(InvalidAnchor)?;
        let subject = parsed.subject().as_raw().to_vec();
        let not_before_ms = parsed.validity().not_before.timestamp().saturating_mul(MS_PER_S);
        let not_after_ms = parsed.validity().not_after.timestamp().saturating_mul(MS_PER_S);
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).map_err(|_| InvalidAnchor)?;
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .build()
            .map_err(|_| InvalidAnchor)?;
        let fingerprint = Digest::of(&certificate);
        Ok(Self { certificate, fingerprint, subject, not_before_ms, not_after_ms, roots, clients })
    }

    /// The certificate itself.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of the certificate: what a token pins.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// The authority's name, DER.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// Start of the authority's life, Unix milliseconds.
    pub fn not_before_ms(&self) -> i64 {
        self.not_before_ms
    }

    /// End of the authority's life, Unix milliseconds.
    pub fn not_after_ms(&self) -> i64 {
        self.not_after_ms
    }

    /// Whether this authority signed the certificate, for that purpose. Dates do not matter here.
    pub fn signed(&self, certificate: &CertificateDer<'_>, leaf: &Leaf, purpose: Purpose) -> bool {
        self.issued(certificate, &leaf.issuer, leaf.not_before_ms, purpose)
    }

    /// The same for a certificate that is no zone's: its issuer (DER) and the start of its life are told.
    pub fn issued(
        &self,
        certificate: &CertificateDer<'_>,
        issuer: &[u8],
        not_before_ms: i64,
        purpose: Purpose,
    ) -> bool {
        if issuer != self.subject {
            return false;
        }
        // The one moment at which the leaf's own dates cannot object.
        let within = u64::try_from(not_before_ms.max(0) / MS_PER_S).unwrap_or(0);
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(within));
        match purpose {
            Purpose::Client => self.clients.verify_client_cert(certificate, &[], at).is_ok(),
            Purpose::Server => ParsedCertificate::try_from(certificate).is_ok_and(|parsed| {
                let algorithms = provider().signature_verification_algorithms.all;
                verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, &[], at, algorithms).is_ok()
            }),
        }
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchor({})", self.fingerprint)
    }
}

/// Parses a bounded certificate with nothing behind it.
fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    if certificate.len() > MAX_CERTIFICATE {
        return None;
    }
    let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    rest.is_empty().then_some(parsed)
}
