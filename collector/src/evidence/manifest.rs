//! What a pack holds, and the signature over that.

use data_encoding::HEXLOWER;
use holdpoint_common::section::Digest;
use serde::{Deserialize, Serialize};

use super::member::Member;
use crate::audit::{self, AuditKey};

/// The form that this version writes and reads.
pub const FORMAT: u32 = 1;
/// Keeps a signature of a manifest from being one of anything else that the key signs.
const PURPOSE: &[u8] = b"holdpoint evidence 1\0";

/// How much of the snapshots a pack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Every row that a snapshot names.
    Rows,
    /// Digests of sections alone: what is installed stays in the zone.
    Digests,
}

impl Policy {
    /// The word in manifests and requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Digests => "digests",
        }
    }

    /// Reads the word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Rows, Self::Digests].into_iter().find(|it| it.as_str() == word)
    }
}

/// The head of a pack, in its canonical form as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// "CHG-0001".
    pub change: String,
    /// The site and zone: "plant/line-1".
    pub zone: String,
    /// When it was made by the collector's clock, RFC 3339.
    pub exported: String,
    /// How much it holds.
    pub policy: Policy,
    /// What made it: "holdpoint-collector 0.1.0".
    pub made_by: String,
    /// The public key of the audit log, 32 bytes in hexadecimal.
    pub audit_key: String,
    /// Which entries of the log the change has.
    pub log: Span,
    /// Every member but the manifest and its signature, in order.
    pub members: Vec<Listed>,
}

/// Part of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Number of the change's first entry.
    pub first: u64,
    /// Number of the change's last entry.
    pub last: u64,
    /// The chain value of the last one, in hexadecimal.
    pub head: String,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its name in the archive.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl Listed {
    /// Lists a member.
    pub fn of(member: Member, bytes: &[u8]) -> Self {
        Self {
            name: member.to_string(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            sha256: Digest::of(bytes).to_string(),
        }
    }
}

/// Why bytes are no manifest.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// A form of another version.
    #[error("the manifest has format {0}, and this version reads {FORMAT}: use a newer one")]
    Format(u32),
    /// No manifest.
    #[error("the manifest cannot be read")]
    Json(#[from] serde_json::Error),
    /// The same said in other bytes.
    #[error("the manifest is not in its canonical form")]
    NotCanonical,
    /// The key is no key.
    #[error("the manifest's audit key is not 32 bytes in hexadecimal")]
    Key,
}

#[derive(Deserialize)]
struct Probe {
    format: u32,
}

impl Manifest {
    /// The canonical form.
    ///
    /// # Errors
    /// Memory is short.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest in its canonical form.
    ///
    /// # Errors
    /// It is none, or of another version.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        let Probe { format } = serde_json::from_slice(bytes)?;
        if format != FORMAT {
            return Err(InvalidManifest::Format(format));
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.to_bytes()? != bytes {
            return Err(InvalidManifest::NotCanonical);
        }
        manifest.key()?;
        Ok(manifest)
    }

    /// The audit key that it names.
    ///
    /// # Errors
    /// It is no key.
    pub fn key(&self) -> Result<[u8; 32], InvalidManifest> {
        let key = HEXLOWER.decode(self.audit_key.as_bytes()).ok();
        key.and_then(|it| it.try_into().ok()).ok_or(InvalidManifest::Key)
    }
}

/// Signs a manifest.
pub fn sign(manifest: &[u8], key: &AuditKey) -> Vec<u8> {
    key.sign(&statement(manifest))
}

/// Whether the audit key of `public` signed a manifest.
pub fn is_signed(manifest: &[u8], signature: &[u8], public: &[u8; 32]) -> bool {
    audit::is_signed(public, &statement(manifest), signature)
}

fn statement(manifest: &[u8]) -> Vec<u8> {
    [PURPOSE, Digest::of(manifest).as_bytes()].concat()
}
