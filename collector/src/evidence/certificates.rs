//! The certificates of a pack: who issued whom, and whether that leads to somebody who is trusted already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::section::Digest;
use holdpoint_common::tls::{Anchor, InvalidAnchor, Leaf, Purpose, provider};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

/// Most authorities in one pack.
pub const MAX_AUTHORITIES: usize = 64;
const MS_PER_S: i64 = 1_000;

/// Certificates that were read.
#[derive(Debug, Default)]
pub struct Certificates {
    leaves: BTreeMap<Digest, (CertificateDer<'static>, Leaf)>,
    authorities: Vec<Anchor>,
}

/// Authorities that whoever checks knows by another way.
#[derive(Default)]
pub struct Pinned {
    anchors: Vec<Anchor>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl std::fmt::Debug for Pinned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pinned").field(&self.anchors).finish()
    }
}

impl Certificates {
    /// Reads certificates, each under its SHA-256.
    ///
    /// # Errors
    /// One sentence on the first that cannot be used.
    pub fn read<'a>(all: impl IntoIterator<Item = (Digest, &'a [u8])>) -> Result<Self, String> {
        let mut read = Self::default();
        for (digest, bytes) in all {
            if Digest::of(bytes) != digest {
                return Err(format!("the certificate {digest} has another SHA-256 than its name says"));
            }
            let certificate = CertificateDer::from(bytes.to_vec());
            if let Ok(leaf) = Leaf::read(&certificate) {
                read.leaves.insert(digest, (certificate, leaf));
            } else if let Ok(anchor) = Anchor::new(certificate) {
                read.authorities.push(anchor);
            } else {
                return Err(format!("the certificate {digest} cannot be read"));
            }
            if read.authorities.len() > MAX_AUTHORITIES {
                return Err(format!("there are more than {MAX_AUTHORITIES} certificates of authorities"));
            }
        }
        Ok(read)
    }

    /// A certificate of a person or an agent; `None` when the pack does not hold it.
    pub fn leaf(&self, digest: &Digest) -> Option<(&CertificateDer<'static>, &Leaf)> {
        self.leaves.get(digest).map(|(certificate, leaf)| (certificate, leaf))
    }

    /// The authority in the pack that issued a certificate; `None` when none did.
    pub fn issuer(&self, certificate: &CertificateDer<'_>, leaf: &Leaf) -> Option<Digest> {
        let signed = |it: &&Anchor| it.signed(certificate, leaf, Purpose::Client);
        self.authorities.iter().find(signed).map(Anchor::fingerprint)
    }
}

impl Pinned {
    /// Reads what is trusted.
    ///
    /// # Errors
    /// One of them is no certificate of an authority.
    pub fn new(anchors: &[CertificateDer<'static>]) -> Result<Self, InvalidAnchor> {
        if anchors.is_empty() {
            return Ok(Self::default());
        }
        let mut roots = RootCertStore::empty();
        for it in anchors {
            roots.add(it.clone()).map_err(|_| InvalidAnchor)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let anchors = anchors.iter().cloned().map(Anchor::new).collect::<Result<_, _>>()?;
        Ok(Self { anchors, verifier: Some(verifier.map_err(|_| InvalidAnchor)?) })
    }

    /// Whether anything is trusted.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// Whether a certificate was issued by what is trusted, or by an authority in the pack that was. Dates do not
    /// matter here: it is asked at the moment at which the certificate's own life began.
    pub fn issued(&self, certificate: &CertificateDer<'_>, leaf: &Leaf, pack: &Certificates) -> bool {
        if self.anchors.iter().any(|it| it.signed(certificate, leaf, Purpose::Client)) {
            return true;
        }
        let seconds = u64::try_from(leaf.not_before_ms.max(0) / MS_PER_S).unwrap_or(0);
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let between: Vec<CertificateDer<'_>> =
            pack.authorities.iter().map(|it| it.certificate().clone()).collect();
        let verifier = self.verifier.as_ref();
        verifier.is_some_and(|it| it.verify_client_cert(certificate, &between, at).is_ok())
    }
}
