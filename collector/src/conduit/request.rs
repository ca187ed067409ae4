//! Requests for a certificate of the conduit: PKCS#10 files that say whom they are for.
//!
//! Unlike in a zone, where a token says who somebody is, the name stands in the request: a person looks at it
//! and at the key's fingerprint before the authority signs. What is asked for beyond that is bounded: host names,
//! and the use as server or client as far as the party has it ([`Party::purposes`]).
//!
//! Keys of machines are Ed25519: its signatures have one length, and so has everything that a server of the
//! conduit ever sends. ECDSA P-256 is taken as well, for keys of people.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use holdpoint_common::conduit::{InvalidParty, Party};
use holdpoint_common::section::Digest;
use holdpoint_common::tls::Purpose;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, PublicKeyData, SanType, SubjectPublicKeyInfo,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, ParsedExtension};
use zeroize::Zeroizing;

use super::ConduitError;
use super::leaf::names_of;

/// Largest request, in bytes.
pub const MAX_REQUEST: usize = 8 * 1024;
/// Most names and addresses of hosts in one certificate.
pub const MAX_NAMES: usize = 16;
/// Longest host name.
const MAX_HOST: usize = 253;

/// Why a request is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Over [`MAX_REQUEST`].
    #[error("the certificate request is over {MAX_REQUEST} bytes")]
    TooLarge,
    /// Not PKCS#10.
    #[error("the certificate request is malformed")]
    Malformed,
    /// Another kind of key.
    #[error("the certificate request is for neither an Ed25519 nor an ECDSA P-256 key")]
    Key,
    /// The sender does not hold the key.
    #[error("the certificate request is not signed with its own key")]
    Signature,
    /// Not exactly one URI, too many names, or names of another kind.
    #[error("the certificate request does not name exactly one party, or names other things than hosts")]
    Names,
    /// The URI names nobody of a conduit.
    #[error("the certificate request's name is no party")]
    Party(#[from] InvalidParty),
    /// A use that this party does not have.
    #[error("{0} does not have the use that the certificate request asks for")]
    Purpose(Box<Party>),
}

/// A request whose sender holds the key that it asks for.
#[derive(Debug)]
pub struct Requested {
    /// Whom it is for, by its own word.
    pub party: Party,
    /// Names and addresses of hosts.
    pub names: Vec<String>,
    /// What the certificate is to be good for.
    pub purposes: BTreeSet<Purpose>,
    key: SubjectPublicKeyInfo,
}

/// Makes a key and the request for its certificate, both PEM. The key is for the machine that it is made on.
///
/// # Errors
/// A name is no host's, there are too many of them, or no key can be made.
pub fn request(
    party: &Party,
    purposes: &[Purpose],
    names: &[String],
) -> Result<(Zeroizing<String>, String), ConduitError> {
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, party.file_stem());
    params.subject_alt_names = alt_names(party, names)?;
    params.extended_key_usages = purposes.iter().copied().map(usage).collect();
    let request = params.serialize_request(&key)?.pem()?;
    Ok((Zeroizing::new(key.serialize_pem()), request))
}

impl Requested {
    /// Reads a request in DER and checks its own signature.
    ///
    /// # Errors
    /// It is not of this form, or asks for more than its party has.
    pub fn read(der: &[u8]) -> Result<Self, InvalidRequest> {
        if der.len() > MAX_REQUEST {
            return Err(InvalidRequest::TooLarge);
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| InvalidRequest::Malformed)?;
        if !rest.is_empty() {
            return Err(InvalidRequest::Malformed);
        }
        let info = &request.certification_request_info;
        let key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw).map_err(|_| InvalidRequest::Key)?;
        check(&key, info.raw, &request.signature_value.data)?;

        let (mut subject, mut purposes) = (None, BTreeSet::new());
        for extension in request.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(names) = extension {
                let found = names_of(&names.general_names).ok_or(InvalidRequest::Names)?;
                if subject.replace(found).is_some() {
                    return Err(InvalidRequest::Names);
                }
            } else if let ParsedExtension::ExtendedKeyUsage(usage) = extension {
                purposes.extend(usage.server_auth.then_some(Purpose::Server));
                purposes.extend(usage.client_auth.then_some(Purpose::Client));
            }
        }
        let (uri, names) = subject.ok_or(InvalidRequest::Names)?;
        let party: Party = uri.parse()?;
        let allowed: BTreeSet<_> = party.purposes().iter().copied().collect();
        if purposes.is_empty() {
            purposes.clone_from(&allowed);
        }
        if !purposes.is_subset(&allowed) {
            return Err(InvalidRequest::Purpose(Box::new(party)));
        }
        if names.iter().any(|it| !is_host(it)) {
            return Err(InvalidRequest::Names);
        }
        Ok(Self { party, names, purposes, key })
    }

    /// SHA-256 of the public key with its algorithm: what two people compare over the telephone.
    pub fn key_fingerprint(&self) -> Digest {
        Digest::of(&self.key.subject_public_key_info())
    }

    pub(super) fn key(&self) -> &SubjectPublicKeyInfo {
        &self.key
    }
}

fn check(key: &SubjectPublicKeyInfo, signed: &[u8], signature: &[u8]) -> Result<(), InvalidRequest> {
    let outcome = if key.algorithm() == &PKCS_ED25519 {
        UnparsedPublicKey::new(&ED25519, key.der_bytes()).verify(signed, signature)
    } else if key.algorithm() == &PKCS_ECDSA_P256_SHA256 {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.der_bytes()).verify(signed, signature)
    } else {
        return Err(InvalidRequest::Key);
    };
    outcome.map_err(|_| InvalidRequest::Signature)
}

pub(super) fn usage(purpose: Purpose) -> ExtendedKeyUsagePurpose {
    match purpose {
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }
}

/// The party first, then the names of its hosts.
pub(super) fn alt_names(party: &Party, names: &[String]) -> Result<Vec<SanType>, ConduitError> {
    if names.len() > MAX_NAMES {
        return Err(ConduitError::Name(format!("{} names", names.len())));
    }
    let mut all = vec![SanType::URI(party.to_string().try_into()?)];
    for name in names {
        all.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) if is_host(name) => SanType::DnsName(name.as_str().try_into()?),
            Err(_) => return Err(ConduitError::Name(name.chars().take(MAX_HOST).collect())),
        });
    }
    Ok(all)
}

/// An address, or labels of letters, digits and hyphens; no wildcard.
fn is_host(name: &str) -> bool {
    let label = |it: &str| {
        let plain = it.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        plain && (1..=63).contains(&it.len()) && !it.starts_with('-') && !it.ends_with('-')
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= MAX_HOST && name.split('.').all(label))
}
