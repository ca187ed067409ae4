//! The keys of a link: symmetric, brought to both ends by hand, never sent over it.
//!
//! A link key keeps noise out: who has it can waste memory up to the budget and no more, because what arrives
//! is believed for the signature on the object alone. There are two slots, so that a key is replaced without
//! both ends being touched at once: the receiver accepts both, the sender uses the first.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Length of a link key, in bytes.
pub const KEY: usize = 32;
/// Length of a MAC, in bytes: HMAC-SHA-256 cut to half.
pub const MAC: usize = 16;
/// Most slots.
pub const SLOTS: usize = 2;
/// A key file has 64 digits and perhaps a line end.
const MAX_FILE: u64 = 256;

/// Where a key is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The number that datagrams name the key by.
    pub id: u8,
    /// A file of 64 hexadecimal digits that nobody but its owner may read.
    pub file: PathBuf,
}

/// A key file that is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read link key {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error("link key {} is open to others: mode {mode:o}, must be 600", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is something else than 64 hexadecimal digits.
    #[error("link key {} is not {KEY} bytes in hexadecimal digits", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
    },
    /// No slot, more than two, or two of the same number.
    #[error("a link has one or two keys with numbers of their own")]
    Slots,
}

/// The keys of a link, ready for use.
#[derive(Clone)]
pub struct Keys {
    /// The one to send with comes first.
    slots: Vec<(u8, Key)>,
}

impl Keys {
    /// Takes keys that are known already, the one to send with first.
    pub fn new(keys: &[(u8, [u8; KEY])]) -> Result<Self, KeyError> {
        let distinct = |(at, (id, _)): (usize, &(u8, [u8; KEY]))| keys.iter().take(at).all(|it| it.0 != *id);
        if keys.is_empty() || keys.len() > SLOTS || !keys.iter().enumerate().all(distinct) {
            return Err(KeyError::Slots);
        }
        Ok(Self { slots: keys.iter().map(|(id, key)| (*id, Key::new(HMAC_SHA256, key))).collect() })
    }

    /// Reads the files of a link's slots.
    pub fn read(slots: &[Slot]) -> Result<Self, KeyError> {
        let mut keys = Zeroizing::new(Vec::with_capacity(SLOTS));
        for slot in slots.iter().take(SLOTS + 1) {
            keys.push((slot.id, read(&slot.file)?));
        }
        Self::new(&keys)
    }

    /// The number of the key to send with.
    pub(super) fn sending(&self) -> u8 {
        self.slots.first().map_or(0, |(id, _)| *id)
    }

    /// The MAC under the key to send with.
    pub(super) fn sign(&self, header: &[u8], symbol: &[u8]) -> [u8; MAC] {
        self.slots.first().map_or([0; MAC], |(_, key)| mac(key, header, symbol))
    }

    /// Whether the key of that number is known.
    pub(super) fn knows(&self, id: u8) -> bool {
        self.slots.iter().any(|it| it.0 == id)
    }

    /// Whether the MAC is right, in a time that does not depend on where it is wrong.
    pub(super) fn verify(&self, id: u8, header: &[u8], symbol: &[u8], claimed: &[u8]) -> bool {
        let key = self.slots.iter().find(|it| it.0 == id);
        key.is_some_and(|(_, key)| verify_slices_are_equal(&mac(key, header, symbol), claimed).is_ok())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots.iter().map(|it| it.0)).finish()
    }
}

fn mac(key: &Key, header: &[u8], symbol: &[u8]) -> [u8; MAC] {
    let mut context = Context::with_key(key);
    context.update(header);
    context.update(symbol);
    let tag = context.sign();
    let mut mac = [0; MAC];
    for (to, from) in mac.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    mac
}

fn read(path: &Path) -> Result<[u8; KEY], KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned(), mode });
        }
    }
    let malformed = || KeyError::Malformed { path: path.to_owned() };
    if metadata.len() > MAX_FILE {
        return Err(malformed());
    }
    let text = Zeroizing::new(fs::read(path).map_err(failed)?);
    let bytes = HEXLOWER_PERMISSIVE.decode(text.trim_ascii()).map(Zeroizing::new).map_err(|_| malformed())?;
    <[u8; KEY]>::try_from(bytes.as_slice()).map_err(|_| malformed())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn slot(dir: &Path, text: &str, mode: u32) -> Slot {
        use std::os::unix::fs::PermissionsExt;
        let file = dir.join(format!("key-{}-{mode:o}", text.len()));
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        Slot { id: 3, file }
    }

    #[test]
    fn a_key_is_read_from_a_file_that_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::read(&[slot(dir.path(), &format!("{}\n", "ab".repeat(32)), 0o600)]).unwrap();
        let known = Keys::new(&[(3, [0xab; 32])]).unwrap();
        assert_eq!(keys.sign(b"header", b"symbol"), known.sign(b"header", b"symbol"));
        assert_eq!(format!("{keys:?}"), "[3]");
        let refused = |text: &str, mode| Keys::read(&[slot(dir.path(), text, mode)]).unwrap_err();
        assert!(matches!(refused(&"ab".repeat(32), 0o640), KeyError::Open { mode: 0o640, .. }));
        for text in ["", "ab", &"ab".repeat(33), &"xy".repeat(32), &" ".repeat(300)] {
            assert!(matches!(refused(text, 0o600), KeyError::Malformed { .. }), "{text}");
        }
        let missing = Slot { id: 1, file: dir.path().join("none") };
        assert!(matches!(Keys::read(&[missing]).unwrap_err(), KeyError::Read { .. }));
    }

    #[test]
    fn slots_are_one_or_two_with_numbers_of_their_own() {
        let key = |id| (id, [id; KEY]);
        for keys in [&[][..], &[key(1), key(1)], &[key(1), key(2), key(3)]] {
            assert!(matches!(Keys::new(keys), Err(KeyError::Slots)));
        }
        let both = Keys::new(&[key(1), key(2)]).unwrap();
        let old = Keys::new(&[key(2)]).unwrap();
        assert_eq!(both.sending(), 1);
        assert!(both.verify(2, b"h", b"s", &old.sign(b"h", b"s")), "the second slot is accepted");
        assert!(!both.verify(1, b"h", b"s", &old.sign(b"h", b"s")));
        assert!(!both.verify(9, b"h", b"s", &old.sign(b"h", b"s")));
    }

    #[test]
    fn a_mac_of_another_length_is_wrong() {
        let keys = Keys::new(&[(1, [1; KEY])]).unwrap();
        let mac = keys.sign(b"h", b"s");
        assert!(keys.verify(1, b"h", b"s", &mac));
        assert!(!keys.verify(1, b"h", b"s", &mac[..15]) && !keys.verify(1, b"h", b"s", &[]));
    }
}
