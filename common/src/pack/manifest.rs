//! What a pack says of itself: the part that is signed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{InvalidPack, MAX_MANIFEST, MAX_MEMBER, MAX_MEMBERS, is_archive};
use crate::bundle::KeyId;
use crate::identity::ZoneName;
use crate::section::Digest;

/// The form that this version writes and reads.
pub const FORMAT: u32 = 1;
/// Longest title, in characters.
pub const MAX_TITLE: usize = 200;
/// Longest name of a member, in characters.
pub const MAX_NAME: usize = 200;
/// Most zones that one pack names.
pub const MAX_ZONES: usize = 256;
/// Longest word for the kind of a member, in bytes.
const MAX_KIND: usize = 32;
/// Digits of the key in the name of a pack.
const ID_DIGITS: usize = 8;

/// The manifest, in its canonical form as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// What people call the content.
    pub title: String,
    /// Rises from pack to pack of one signer, from 1.
    pub serial: u64,
    /// When it was made by the clock of whoever made it, Unix milliseconds. It is shown and decides nothing.
    pub made_ms: i64,
    /// "SITE/ZONE" of each zone that it is for; none: for every zone that trusts the signer.
    pub zones: Vec<String>,
    /// What it holds, in the order in which it is to be taken.
    pub members: Vec<Listed>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its file name without directories. It is shown, and is never a path.
    pub name: String,
    /// The kind that its maker saw in it: "csaf", "kev", ...
    pub kind: String,
    /// In bytes.
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// Why a manifest is none, or can be none.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// A form of another version.
    #[error("the pack has format {0}, and this version reads {FORMAT}: use a newer one")]
    Format(u32),
    /// No manifest.
    #[error("the pack's manifest cannot be read")]
    Json(#[from] serde_json::Error),
    /// The same said in other bytes.
    #[error("the pack's manifest is not in its canonical form")]
    NotCanonical,
    /// A title or name that nobody could read.
    #[error("the pack's title is empty, longer than {MAX_TITLE} characters, or holds control characters")]
    Title,
    /// A number below 1.
    #[error("a pack's serial begins at 1")]
    Serial,
    /// A name that is no zone's.
    #[error("`{0}` is no zone: write SITE/ZONE")]
    Zone(String),
    /// More zones than a pack names.
    #[error("a pack is for at most {MAX_ZONES} zones, or for all")]
    TooManyZones,
    /// No member, or too many.
    #[error("a pack holds 1 to {MAX_MEMBERS} files")]
    Members,
    /// A name that a file could not have everywhere, or twice.
    #[error("`{0}` is no name for a file in a pack, or is there twice")]
    Name(String),
    /// A member without a kind, of an impossible size or without a digest.
    #[error("`{0}` is listed without its kind, digest or a size up to {max} MiB", max = MAX_MEMBER / 1024 / 1024)]
    Listed(String),
    /// Over [`MAX_MANIFEST`].
    #[error("the pack's manifest is too long: make two packs of it")]
    TooLong,
}

#[derive(Deserialize)]
struct Probe {
    format: u32,
}

impl Manifest {
    /// The canonical form.
    ///
    /// # Errors
    /// Something in it no pack may have.
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidManifest> {
        self.check()?;
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        if bytes.len() > MAX_MANIFEST { Err(InvalidManifest::TooLong) } else { Ok(bytes) }
    }

    /// Reads a manifest in its canonical form.
    ///
    /// # Errors
    /// It is none, of another version, or has something that no pack may have.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        let Probe { format } = serde_json::from_slice(bytes)?;
        if format != FORMAT {
            return Err(InvalidManifest::Format(format));
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.to_bytes()? != bytes {
            return Err(InvalidManifest::NotCanonical);
        }
        Ok(manifest)
    }

    /// What people call a pack: its signer and its serial, "3b6a91c4-7".
    pub fn id(&self, signer: &KeyId) -> String {
        id(signer, self.serial)
    }

    /// Whether it is for that zone.
    pub fn is_for(&self, zone: &ZoneName) -> bool {
        self.zones.is_empty() || self.zones.contains(&zone.to_string())
    }

    /// Bytes of all members.
    pub fn total(&self) -> usize {
        self.members.iter().map(Listed::bytes).fold(0, usize::saturating_add)
    }

    fn check(&self) -> Result<(), InvalidManifest> {
        let Self { format, title, serial, made_ms: _, zones, members } = self;
        if *format != FORMAT {
            return Err(InvalidManifest::Format(*format));
        }
        if title.trim().is_empty() || !is_line(title, MAX_TITLE) {
            return Err(InvalidManifest::Title);
        }
        if *serial == 0 {
            return Err(InvalidManifest::Serial);
        }
        if zones.len() > MAX_ZONES {
            return Err(InvalidManifest::TooManyZones);
        }
        if let Some(other) = zones.iter().find(|it| zone(it).is_none()) {
            return Err(InvalidManifest::Zone(short(other)));
        }
        if members.is_empty() || members.len() > MAX_MEMBERS {
            return Err(InvalidManifest::Members);
        }
        let mut names = BTreeSet::new();
        for member in members {
            if !is_name(&member.name) || !names.insert(member.name.as_str()) {
                return Err(InvalidManifest::Name(short(&member.name)));
            }
            if !member.is_possible() {
                return Err(InvalidManifest::Listed(short(&member.name)));
            }
        }
        Ok(())
    }
}

impl Listed {
    /// Lists a member.
    pub fn of(name: &str, kind: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            sha256: Digest::of(bytes).to_string(),
        }
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    /// Whether these bytes are this member.
    ///
    /// # Errors
    /// They are others, or an archive.
    pub fn check(&self, bytes: &[u8]) -> Result<(), InvalidPack> {
        if bytes.len() != self.bytes() || Digest::of(bytes).to_string() != self.sha256 {
            return Err(InvalidPack::Member(self.name.clone()));
        }
        if is_archive(bytes) { Err(InvalidPack::Archive(self.name.clone())) } else { Ok(()) }
    }

    fn is_possible(&self) -> bool {
        let Self { name: _, kind, size: _, sha256 } = self;
        let is_word = |it: &str| it.bytes().all(|it| it.is_ascii_lowercase() || it == b'-');
        let is_hex = |it: &str| it.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it));
        (1..=MAX_KIND).contains(&kind.len())
            && is_word(kind)
            && (1..=MAX_MEMBER).contains(&self.bytes())
            && sha256.len() == 64
            && is_hex(sha256)
    }
}

/// The name of a pack of that signer with that serial.
pub fn id(signer: &KeyId, serial: u64) -> String {
    let key: String = signer.to_string().chars().take(ID_DIGITS).collect();
    format!("{key}-{serial}")
}

/// Reads "SITE/ZONE".
fn zone(text: &str) -> Option<ZoneName> {
    let (site, zone) = text.split_once('/')?;
    Some(ZoneName { site: site.parse().ok()?, zone: zone.parse().ok()? })
}

/// One line that can be shown as it is.
fn is_line(text: &str, max: usize) -> bool {
    text.chars().count() <= max && !text.chars().any(char::is_control)
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && is_line(name, MAX_NAME) && !name.contains(['/', '\\'])
}

/// What a refusal repeats of somebody's text.
fn short(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
