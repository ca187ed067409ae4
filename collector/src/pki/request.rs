//! Certificate requests from strangers.
//!
//! A request is worth its public key and the proof that the sender holds it. Names, extensions and attributes in it are ignored: who
//! somebody is comes from a token or a certificate.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// Largest request, in bytes.
pub const MAX_REQUEST: usize = 8 * 1024;

/// A request whose sender holds the key that it asks for.
#[derive(Debug)]
pub struct Request {
    key: SubjectPublicKeyInfo,
}

/// Why bytes are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Over [`MAX_REQUEST`].
    #[error("the certificate request is over {MAX_REQUEST} bytes")]
    TooLarge,
    /// Not PKCS#10 in DER.
    #[error("the certificate request is malformed")]
    Malformed,
    /// Another kind of key.
    #[error("the certificate request is not for an ECDSA P-256 key")]
    Key,
    /// The sender does not hold the key.
    #[error("the certificate request is not signed with its own key")]
    Signature,
}

impl Request {
    /// Reads a request and checks its own signature.
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
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(InvalidRequest::Key);
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.der_bytes())
            .verify(info.raw, &request.signature_value.data)
            .map_err(|_| InvalidRequest::Signature)?;
        Ok(Self { key })
    }

    pub(super) fn key(&self) -> &SubjectPublicKeyInfo {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};

    fn request(key: &KeyPair) -> Vec<u8> {
        CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
    }

    #[test]
    fn only_the_holder_of_a_p256_key_may_ask() {
        let key = KeyPair::generate().unwrap();
        let good = request(&key);
        assert_eq!(Request::read(&good).unwrap().key().der_bytes(), key.public_key_raw());

        let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(Request::read(&request(&other)).unwrap_err(), InvalidRequest::Key);

        let at = good.windows(8).position(|it| it == &key.public_key_raw()[1..9]).unwrap();
        let mut stolen = good.clone();
        let victim = KeyPair::generate().unwrap();
        stolen[at..at + 64].copy_from_slice(&victim.public_key_raw()[1..]);
        assert_eq!(Request::read(&stolen).unwrap_err(), InvalidRequest::Signature);

        assert_eq!(Request::read(&[good.as_slice(), b"x"].concat()).unwrap_err(), InvalidRequest::Malformed);
        assert_eq!(Request::read(&good[..good.len() - 1]).unwrap_err(), InvalidRequest::Malformed);
        assert_eq!(Request::read(&vec![0; MAX_REQUEST + 1]).unwrap_err(), InvalidRequest::TooLarge);
    }
}
