//! Knowledge packs: what a zone is to be told, as one signed file that a person carries in.
//!
//! ```text
//! magic      8          89 "HPK" 0d 0a 1a 0a: no text, and broken by a transfer as text
//! algorithm  1          1 Ed25519, 2 ES256
//! key        32 or 65   the public key of whoever compiled the pack
//! signature  64         over "holdpoint pack 1", a zero byte, the name of the key, SHA-256 of the manifest
//! length     4          of the manifest, the highest byte first; at most 2 MiB
//! manifest              JSON in its one canonical form: title, serial, zones, and each member with size and SHA-256
//! members               one behind the other, as the manifest lists them; nothing follows
//! ```
//! Every byte is decided: the signature fixes the manifest, the manifest the members. There is no compression and
//! no directory, so nothing of a pack is unpacked and no name from inside becomes a path; a member that is an
//! archive itself is refused. [`Head`] reads what stands before the members and judges nothing: its key decides
//! whether anybody believes it. [`Head::open`] checks the signature before the manifest is parsed, [`Pack::read`]
//! all of it.
//!
//! A pack is named by its signer and its serial ([`Manifest::id`]), so that two packs cannot share a name, and is
//! known again by the digest of what was signed, not by its signature: nobody but the key's holder makes a second
//! pack of the same content.
//!
//! Nothing here knows a file, a clock or a socket, and nothing reads what a member says.

mod head;
mod manifest;
#[cfg(test)]
mod pack_tests;
mod signer;

use crate::bundle::{PublicKey, SigningError, SigningKey};
use crate::section::Digest;

pub use head::{Head, MAX_HEAD};
pub use manifest::{FORMAT, InvalidManifest, Listed, MAX_NAME, MAX_TITLE, MAX_ZONES, Manifest, id};
pub use signer::{Generated, InvalidSigner, MAX_KEY_FILE, MIN_TYPED, fingerprint, generate, is_typed};
pub use signer::{public_key, public_pem, signing_key};

const MIB: usize = 1024 * 1024;

/// The first bytes of a pack.
pub const MAGIC: [u8; 8] = *b"\x89HPK\r\n\x1a\n";
/// Largest pack, in bytes.
pub const MAX_PACK: usize = 128 * MIB;
/// Largest member, in bytes: no larger file is imported.
pub const MAX_MEMBER: usize = 32 * MIB;
/// Most members of one pack.
pub const MAX_MEMBERS: usize = 4_096;
/// Largest manifest, in bytes.
pub const MAX_MANIFEST: usize = 2 * MIB;

/// Keeps a signature of a pack from being one of anything else that the key signs.
const PURPOSE: &[u8] = b"holdpoint pack 1\0";

/// How archives begin, and where: none of them is a member.
const ARCHIVES: [(usize, &[u8]); 8] = [
    (0, &MAGIC),
    (0, b"PK\x03\x04"),
    (0, b"PK\x05\x06"),
    (0, b"\x28\xb5\x2f\xfd"),
    (0, b"7z\xbc\xaf\x27\x1c"),
    (0, b"\xfd7zXZ\0"),
    (0, b"Rar!\x1a\x07"),
    (257, b"ustar"),
];

/// Why bytes are no pack, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPack {
    /// It begins otherwise.
    #[error("it is no pack: `holdpoint pack make` makes one")]
    OtherKind,
    /// Over [`MAX_PACK`].
    #[error("the pack is larger than {} MiB", MAX_PACK / MIB)]
    TooLarge,
    /// It ends before it should.
    #[error("the pack is cut off: copy it again")]
    Cut,
    /// Bytes that nobody signed.
    #[error("{0} bytes follow the pack that do not belong to it")]
    Longer(usize),
    /// An algorithm or key of another form.
    #[error("the pack names a key of a form that is not used here")]
    Key,
    /// A manifest of no possible size.
    #[error("the pack's manifest is empty or larger than {} MiB", MAX_MANIFEST / MIB)]
    ManifestSize,
    /// Changed after it was signed.
    #[error("the pack's signature does not fit: it was changed after it was signed")]
    Signature,
    /// What was signed is no manifest.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// A member that is not what was signed.
    #[error("`{0}` is not what was signed: it was changed afterwards")]
    Member(String),
    /// An archive in a pack.
    #[error("`{0}` is an archive: a pack holds the files themselves")]
    Archive(String),
}

/// A pack cannot be made of this.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A title, name or number that no pack has.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// A member that no pack has.
    #[error("`{0}` is an archive: name the files in it instead")]
    Archive(String),
    /// Over [`MAX_PACK`].
    #[error("the pack would be larger than {} MiB: make two of it", MAX_PACK / MIB)]
    TooLarge,
    /// The key.
    #[error("the pack cannot be signed")]
    Sign(#[from] SigningError),
}

/// A whole pack: its signature fits the key that it names, its members are those that were signed.
#[derive(Debug)]
pub struct Pack<'a> {
    /// Who signed. Whether that is anybody is not known here.
    pub key: PublicKey,
    /// What it holds.
    pub manifest: Manifest,
    /// SHA-256 of what was signed: what a pack is known by.
    pub digest: Digest,
    /// Everything before the members.
    pub head: &'a [u8],
    /// The members' bytes, in the order of the manifest.
    pub members: Vec<&'a [u8]>,
}

impl<'a> Pack<'a> {
    /// Reads a whole pack.
    ///
    /// # Errors
    /// It is over a limit, cut off, or any byte is another than what was signed.
    pub fn read(bytes: &'a [u8]) -> Result<Self, InvalidPack> {
        if bytes.len() > MAX_PACK {
            return Err(InvalidPack::TooLarge);
        }
        let (head, mut rest) = Head::read(bytes)?;
        let (manifest, digest) = head.open()?;
        let mut members = Vec::with_capacity(manifest.members.len());
        for listed in &manifest.members {
            let (member, more) = rest.split_at_checked(listed.bytes()).ok_or(InvalidPack::Cut)?;
            listed.check(member)?;
            members.push(member);
            rest = more;
        }
        if !rest.is_empty() {
            return Err(InvalidPack::Longer(rest.len()));
        }
        let length = bytes.len() - members.iter().map(|it| it.len()).sum::<usize>();
        let (own, _) = bytes.split_at_checked(length).ok_or(InvalidPack::Cut)?;
        Ok(Self { key: head.key().clone(), manifest, digest, head: own, members })
    }

    /// What people call it.
    pub fn id(&self) -> String {
        self.manifest.id(&self.key.id())
    }
}

/// Whether bytes begin as a pack does.
pub fn is_pack(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Whether bytes begin as an archive does. gzip is none: advisories come packed with it, one file each.
pub fn is_archive(bytes: &[u8]) -> bool {
    ARCHIVES.iter().any(|(at, magic)| bytes.get(*at..).is_some_and(|it| it.starts_with(magic)))
}

/// Signs a pack of these members, whose list in `manifest` is made here.
///
/// # Errors
/// It would be over a limit, or the key does not sign.
pub fn make(
    manifest: Manifest,
    members: &[(Listed, Vec<u8>)],
    key: &SigningKey,
) -> Result<Vec<u8>, MakeError> {
    let manifest = Manifest { members: members.iter().map(|it| it.0.clone()).collect(), ..manifest };
    let text = manifest.to_bytes()?;
    if let Some((listed, _)) = members.iter().find(|(_, bytes)| is_archive(bytes)) {
        return Err(MakeError::Archive(listed.name.clone()));
    }
    let mut bytes = head::seal(&text, key)?;
    let size = members.iter().try_fold(bytes.len(), |sum, it| sum.checked_add(it.1.len()));
    if size.is_none_or(|it| it > MAX_PACK) {
        return Err(MakeError::TooLarge);
    }
    for (_, member) in members {
        bytes.extend_from_slice(member);
    }
    Ok(bytes)
}
