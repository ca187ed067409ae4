//! Reading a certificate of the conduit. Source of truth: the DER bytes.

use std::net::IpAddr;

use holdpoint_common::conduit::{InvalidParty, Party};
use holdpoint_common::section::Digest;
use holdpoint_common::tls::leaf::MAX_CERTIFICATE;
use holdpoint_common::tls::{Anchor, Purpose};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::request::MAX_NAMES;

const MS_PER_S: i64 = 1_000;

/// What a certificate says. Saying proves nothing: see [`PartyLeaf::is_by`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyLeaf {
    /// From its one URI.
    pub party: Party,
    /// Host names and addresses, as text.
    pub names: Vec<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: Digest,
    /// Unix milliseconds.
    pub not_before_ms: i64,
    /// Unix milliseconds.
    pub not_after_ms: i64,
    /// The public key with its algorithm (`SubjectPublicKeyInfo`, DER).
    pub public_key: Vec<u8>,
    issuer: Vec<u8>,
}

/// Why a certificate is nobody's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLeaf {
    /// Too large or not DER.
    #[error("the certificate is malformed")]
    Malformed,
    /// Not exactly one URI, too many names, or names of another kind.
    #[error("the certificate does not carry exactly one URI, or other names than those of hosts")]
    Names,
    /// The URI names nobody of a conduit.
    #[error("the certificate's name is no party")]
    Party(#[from] InvalidParty),
    /// A CA certificate cannot speak for anybody.
    #[error("the certificate is a certificate authority's")]
    Authority,
}

impl PartyLeaf {
    /// Reads a certificate.
    ///
    /// # Errors
    /// It is not of this form.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, InvalidLeaf> {
        if certificate.len() > MAX_CERTIFICATE {
            return Err(InvalidLeaf::Malformed);
        }
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| InvalidLeaf::Malformed)?;
        if !rest.is_empty() {
            return Err(InvalidLeaf::Malformed);
        }
        if parsed.is_ca() {
            return Err(InvalidLeaf::Authority);
        }
        let names = parsed.subject_alternative_name().ok().flatten().ok_or(InvalidLeaf::Names)?;
        let (uri, names) = names_of(&names.value.general_names).ok_or(InvalidLeaf::Names)?;
        Ok(Self {
            party: uri.parse()?,
            names,
            fingerprint: Digest::of(certificate),
            not_before_ms: parsed.validity().not_before.timestamp().saturating_mul(MS_PER_S),
            not_after_ms: parsed.validity().not_after.timestamp().saturating_mul(MS_PER_S),
            public_key: parsed.public_key().raw.to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
        })
    }

    /// Whether this authority signed it, for that purpose. Dates do not matter here.
    pub fn is_by(&self, anchor: &Anchor, certificate: &CertificateDer<'_>, purpose: Purpose) -> bool {
        anchor.issued(certificate, &self.issuer, self.not_before_ms, purpose)
    }
}

/// The one URI, and the names and addresses of hosts; `None` when there is anything else.
pub(super) fn names_of<'a>(names: &[GeneralName<'a>]) -> Option<(&'a str, Vec<String>)> {
    let (mut uri, mut hosts) = (None, Vec::new());
    for name in names {
        if let GeneralName::URI(found) = name {
            if uri.replace(*found).is_some() {
                return None;
            }
        } else if let GeneralName::DNSName(host) = name {
            hosts.push((*host).to_owned());
        } else if let GeneralName::IPAddress(bytes) = name {
            hosts.push(address(bytes)?.to_string());
        } else {
            return None;
        }
    }
    (hosts.len() <= MAX_NAMES).then_some((uri?, hosts))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
