//! What connections are judged and answered with at one moment.
//!
//! A value that never changes: a rotation or a refresh makes another one. The collector's own key
//! lives in memory alone and is made anew each time.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use holdpoint_common::credentials::new_key;
use holdpoint_common::identity::ZoneName;
use holdpoint_common::tls::{self, Anchor, pin_hint};
use rustls::DistinguishedName;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::authority::Authority;
use super::{BACKDATE_MS, COLLECTOR_LIFE_MS, PkiError};

/// The trusted authorities and the collector's own certificates.
pub struct Serving {
    /// All that are on disk, newest first; one outside its dates may come back when the clock is corrected.
    known: Vec<Arc<Authority>>,
    /// Those that are valid, newest first.
    valid: Vec<Arc<Authority>>,
    leaves: Vec<OwnLeaf>,
    /// Outside this time, Unix milliseconds, all of it is to be made again.
    fresh: Range<i64>,
}

/// The collector's own certificate under one zone CA.
struct OwnLeaf {
    /// Name of the authority, DER.
    subject: Vec<u8>,
    /// What a client that knows only the pin sends instead, DER.
    pin: Vec<u8>,
    key: Arc<CertifiedKey>,
}

impl Serving {
    /// Makes the collector's certificates under every authority that is valid at `now_ms`.
    pub(super) fn new(zone: &ZoneName, known: Vec<Arc<Authority>>, now_ms: i64) -> Result<Self, PkiError> {
        let lives = |it: &Authority| (it.anchor.not_before_ms()..=it.anchor.not_after_ms()).contains(&now_ms);
        let valid = known.iter().filter(|it| lives(it)).cloned().collect::<Vec<_>>();
        if valid.is_empty() {
            return Err(PkiError::NoneValid);
        }
        let key = new_key()?;
        let mut leaves = Vec::with_capacity(valid.len());
        // Never later than a third of the life, never past an authority that ends before.
        let mut until = now_ms.saturating_add(COLLECTOR_LIFE_MS / 3 * 2);
        for authority in &valid {
            let issued = authority.issue(&zone.collector(), &key, COLLECTOR_LIFE_MS, now_ms)?;
            let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let key =
                CertifiedKey::from_der(issued.chain, private, &tls::provider()).map_err(PkiError::Serving)?;
            leaves.push(OwnLeaf {
                subject: authority.anchor.subject().to_vec(),
                pin: pin_hint(authority.anchor.fingerprint()).as_ref().to_vec(),
                key: Arc::new(key),
            });
            until = until.min(authority.anchor.not_after_ms());
        }
        let fresh = now_ms.saturating_sub(BACKDATE_MS)..until;
        Ok(Self { known, valid, leaves, fresh })
    }

    /// Every authority that is on disk, newest first.
    pub(super) fn known(&self) -> &[Arc<Authority>] {
        &self.known
    }

    /// The authority that issues.
    pub(super) fn newest(&self) -> Option<&Authority> {
        self.valid.first().map(Arc::as_ref)
    }

    /// Whether nothing needs to be made again.
    pub(super) fn is_fresh(&self, now_ms: i64) -> bool {
        self.fresh.contains(&now_ms)
    }

    /// The trusted zone CAs, newest first.
    pub fn anchors(&self) -> impl Iterator<Item = &Anchor> {
        self.valid.iter().map(|it| &it.anchor)
    }

    /// The newest certificate of the collector that a client with these hints can verify.
    ///
    /// A client that names no authority gets the newest; one that names only strangers gets none.
    pub fn leaf_for(&self, hints: Option<&[DistinguishedName]>) -> Option<Arc<CertifiedKey>> {
        let found = match hints {
            None => self.leaves.first(),
            Some(hints) => self.leaves.iter().find(|leaf| {
                let named = |it: &DistinguishedName| it.as_ref() == leaf.subject || it.as_ref() == leaf.pin;
                hints.iter().any(named)
            }),
        };
        found.map(|it| Arc::clone(&it.key))
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.anchors()).finish()
    }
}
