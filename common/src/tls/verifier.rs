//! How a host decides that it speaks with its collector.
//!
//! The collector's name is its SPIFFE identity; DNS names and addresses do not matter, because
//! plants renumber. Dates are judged by the clock that the caller hands in.

use std::error::Error as StdError;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::leaf::{Anchor, InvalidLeaf, Leaf, Purpose};
use super::{Trust, pin_hint, provider};
use crate::clock::{Clock, readable};
use crate::identity::{Subject, ZoneName};
use crate::section::Digest;

/// Why a collector is not believed, as advice to a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The certificate's life has not begun.
    #[error(
        "this host's clock says {believed}, but the collector's certificate is valid only from {from}: \
         set the clock of whichever is wrong"
    )]
    NotYetValid {
        /// RFC 3339.
        believed: String,
        /// RFC 3339.
        from: String,
    },
    /// The certificate's life is over.
    #[error(
        "this host believes it is {believed}, but the collector's certificate ended {until}: \
         check this host's clock, then the collector's (it renews its own certificate while it runs)"
    )]
    Expired {
        /// RFC 3339.
        believed: String,
        /// RFC 3339.
        until: String,
    },
    /// None of the held zone CAs signed it.
    #[error(
        "the collector's certificate is not from a zone CA that is trusted here: \
         check the address, or enrol again with a new token of this collector"
    )]
    UnknownAuthority,
    /// The presented chain does not hold the zone CA that the token pins.
    #[error(
        "the token is for another collector or an older zone CA (it pins {pin}): \
         check the address, or make a new token on this collector"
    )]
    OtherPin {
        /// The pinned digest.
        pin: Digest,
    },
    /// The certificate names a collector of another zone.
    #[error("this is the collector of zone {presented}, not of {expected}: check the address")]
    OtherZone {
        /// Whose identity is held here.
        expected: ZoneName,
        /// Who answered.
        presented: ZoneName,
    },
    /// The certificate names an agent or an operator.
    #[error("the peer is {0}, not a collector: check the address")]
    NotACollector(String),
    /// The certificate cannot be read.
    #[error("the collector's certificate cannot be read: {0}")]
    Unreadable(InvalidLeaf),
}

impl Distrust {
    /// Finds the diagnosis inside the error of a failed handshake.
    pub fn inside<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |&it| it.source()).find_map(|it| {
            let tls = match it.downcast_ref::<std::io::Error>() {
                Some(io) => io.get_ref()?.downcast_ref::<Error>()?,
                None => it.downcast_ref::<Error>()?,
            };
            let Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = tls else {
                return None;
            };
            inner.downcast_ref()
        })
    }
}

/// Judges collectors.
#[derive(Debug)]
pub(super) struct CollectorVerifier {
    trust: Trusted,
    hints: Vec<DistinguishedName>,
    clock: Arc<dyn Clock>,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Trusted {
    Anchors { anchors: Vec<Anchor>, zone: ZoneName },
    Pin(Digest),
}

impl CollectorVerifier {
    pub(super) fn new(trust: Trust, clock: Arc<dyn Clock>) -> Result<Self, super::InvalidAnchor> {
        let algorithms = provider().signature_verification_algorithms;
        let (trust, hints) = match trust {
            Trust::Pin(pin) => (Trusted::Pin(pin), vec![pin_hint(pin)]),
            Trust::Anchors { anchors, zone } => {
                let anchors = anchors.into_iter().map(Anchor::new).collect::<Result<Vec<_>, _>>()?;
                let hints = anchors.iter().map(|it| DistinguishedName::from(it.subject().to_vec())).collect();
                (Trusted::Anchors { anchors, zone }, hints)
            }
        };
        Ok(Self { trust, hints, clock, algorithms })
    }

    fn judge(&self, certificate: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), Distrust> {
        let leaf = Leaf::read(certificate).map_err(Distrust::Unreadable)?;
        let pinned;
        let (anchors, zone) = match &self.trust {
            Trusted::Anchors { anchors, zone } => (anchors.as_slice(), Some(zone)),
            Trusted::Pin(pin) => {
                let found = rest.iter().find(|it| Digest::of(it) == *pin);
                let anchor = found.and_then(|it| Anchor::new(it.clone().into_owned()).ok());
                pinned = [anchor.ok_or(Distrust::OtherPin { pin: *pin })?];
                (pinned.as_slice(), None)
            }
        };
        if !anchors.iter().any(|it| it.signed(certificate, &leaf, Purpose::Server)) {
            return Err(Distrust::UnknownAuthority);
        }
        if leaf.identity.subject != Subject::Collector {
            return Err(Distrust::NotACollector(leaf.identity.to_string()));
        }
        if let Some(expected) = zone.filter(|it| **it != leaf.identity.zone) {
            let expected = expected.clone();
            return Err(Distrust::OtherZone { expected, presented: leaf.identity.zone });
        }
        let now_ms = self.clock.now_ms();
        if now_ms < leaf.not_before_ms {
            let from = readable(leaf.not_before_ms);
            return Err(Distrust::NotYetValid { believed: readable(now_ms), from });
        }
        if now_ms > leaf.not_after_ms {
            let until = readable(leaf.not_after_ms);
            return Err(Distrust::Expired { believed: readable(now_ms), until });
        }
        Ok(())
    }
}

impl ServerCertVerifier for CollectorVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end_entity, intermediates)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|why| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why)))))
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

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        Some(&self.hints)
    }
}
