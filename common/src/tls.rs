//! TLS as Holdpoint speaks it: version 1.3 only, both sides by certificate, no resumption.
//!
//! The hybrid key exchange X25519MLKEM768 is preferred. A resumed session would skip the check
//! of the client certificate, so neither side keeps or accepts sessions. What a certificate means
//! is read in [`leaf`]; why a collector is not believed is said by [`Distrust`]. The collector's
//! own side is in its `server` module, on top of [`provider`].

pub mod leaf;
mod verifier;

use std::sync::Arc;

use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::version::TLS13;
use rustls::{DistinguishedName, NamedGroup};

pub use leaf::{Anchor, InvalidAnchor, InvalidLeaf, Leaf, Purpose};
pub use verifier::Distrust;

use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::identity::ZoneName;
use crate::section::Digest;

/// The one application protocol: HTTP/2.
pub const ALPN: &[u8] = b"h2";

/// The key exchange that both sides prefer.
pub const PREFERRED_GROUP: NamedGroup = NamedGroup::X25519MLKEM768;

/// Whom a client takes for its collector.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The collector of this zone, signed by one of these zone CAs.
    Anchors {
        /// Zone CA certificates, each trusted directly.
        anchors: Vec<CertificateDer<'static>>,
        /// The zone whose collector it must be.
        zone: ZoneName,
    },
    /// Before enrolment: a collector whose chain holds the zone CA with this SHA-256.
    Pin(Digest),
}

/// Why no TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A held zone CA certificate cannot be used.
    #[error("a zone CA certificate cannot be used")]
    Anchor(#[from] InvalidAnchor),
    /// The certificate and key do not work, or not together.
    #[error("the certificate and its key cannot be used")]
    Credentials(#[source] rustls::Error),
    /// The library refused its own algorithms.
    #[error("TLS 1.3 is not available")]
    Version(#[source] rustls::Error),
}

/// The cryptography of every connection.
pub fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::{cipher_suite as suite, kx_group};
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            suite::TLS13_AES_128_GCM_SHA256,
            suite::TLS13_AES_256_GCM_SHA384,
            suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    })
}

/// The client side of agents and operators.
///
/// `believed` is asked at every handshake: see [`crate::clock::BelievedClock`].
pub fn client_config(
    credentials: Option<&Credentials>,
    trust: Trust,
    believed: Arc<dyn Clock>,
) -> Result<ClientConfig, TlsError> {
    let verifier = verifier::CollectorVerifier::new(trust, believed)?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Version)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match credentials {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
            .map_err(TlsError::Credentials)?,
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    // The name would tell a listener which host talks to whom, and nothing here uses it.
    config.enable_sni = false;
    Ok(config)
}

/// The authority hint by which a client that knows only a pin asks for the chain of that zone CA.
///
/// A name (`CN=` and the pin in hexadecimal) that no authority has; the collector compares the
/// bytes with those of its own CAs, so a token outlives a rotation of the zone CA.
pub fn pin_hint(pin: Digest) -> DistinguishedName {
    // Name { RelativeDistinguishedName { commonName (2.5.4.3), UTF8String of 64 } }
    const HEAD: [u8; 13] = [0x30, 75, 0x31, 73, 0x30, 71, 0x06, 3, 0x55, 0x04, 0x03, 0x0c, 64];
    let mut name = HEAD.to_vec();
    name.extend_from_slice(pin.to_string().as_bytes());
    DistinguishedName::from(name)
}

/// Names a set of trusted zone CAs in 8 bytes, whatever their order, so that a peer notices a change.
pub fn anchors_digest(anchors: &[CertificateDer<'_>]) -> [u8; 8] {
    let mut digests = anchors.iter().map(|it| *Digest::of(it).as_bytes()).collect::<Vec<_>>();
    digests.sort_unstable();
    digests.dedup();
    let mut first = [0; 8];
    first.copy_from_slice(&Digest::of(&digests.concat()).as_bytes()[..8]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, X509Name};

    #[test]
    fn a_pin_hint_is_a_well_formed_name() {
        let pin = Digest::of(b"zone CA");
        let hint = pin_hint(pin);
        let (rest, name) = X509Name::from_der(hint.as_ref()).unwrap();
        assert!(rest.is_empty());
        assert_eq!(name.iter_common_name().next().unwrap().as_str(), Ok(pin.to_string().as_str()));
    }

    #[test]
    fn a_set_of_anchors_has_one_digest_in_any_order() {
        let [one, two] = [b"one", b"two"].map(|it| CertificateDer::from(it.to_vec()));
        let both = anchors_digest(&[one.clone(), two.clone()]);
        assert_eq!(both, anchors_digest(&[two, one.clone()]));
        assert_ne!(both, anchors_digest(&[one]));
    }

    #[test]
    fn the_hybrid_group_comes_first_and_everything_is_tls_1_3() {
        let provider = provider();
        assert_eq!(provider.kx_groups[0].name(), PREFERRED_GROUP);
        assert!(provider.cipher_suites.iter().all(|it| it.tls13().is_some()));
    }
}
