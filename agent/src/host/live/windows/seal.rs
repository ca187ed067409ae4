//! A private key sealed by DPAPI for this machine (`CryptProtectData`, wincrypt.h).
//!
//! Machine scope: any program of this machine that has both the sealed key and the entropy beside it opens it,
//! so both lie where the service's account, administrators and SYSTEM alone can read. What it keeps off is a copy: files from a backup,
//! a share or a lost disk image without the machine's own secrets are of no use.
#![expect(unsafe_code, reason = "DPAPI has no safe interface")]

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use aws_lc_rs::rand;
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::credentials::Seal;
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Cryptography::{
    CRYPT_INTEGER_BLOB, CRYPTPROTECT_LOCAL_MACHINE, CRYPTPROTECT_UI_FORBIDDEN, CryptProtectData,
    CryptUnprotectData,
};
use zeroize::{Zeroize, Zeroizing};

use super::done;

/// The file of random bytes that opening needs as well.
const ENTROPY: &str = "key.entropy";
const ENTROPY_BYTES: usize = 32;
/// Longest key or sealed key, bytes.
const MAX_BYTES: usize = 64 * 1024;

/// A seal of this machine, with the entropy of one state directory.
#[derive(Debug)]
struct Dpapi {
    entropy: PathBuf,
}

pub(in crate::host) fn seal(state: &Path) -> Option<Box<dyn Seal>> {
    Some(Box::new(Dpapi { entropy: state.join(ENTROPY) }))
}

impl Dpapi {
    fn entropy(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(Vec::new());
        let limit = u64::try_from(ENTROPY_BYTES).map_err(io::Error::other)? + 1;
        File::open(&self.entropy)?.take(limit).read_to_end(&mut bytes)?;
        match bytes.len() {
            ENTROPY_BYTES => Ok(bytes),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "key.entropy is damaged")),
        }
    }

    /// The entropy, made when there is none yet. A new identity may come over one whose entropy was
    /// damaged: that one is lost anyway.
    fn entropy_or_new(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        match self.entropy() {
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                let mut bytes = Zeroizing::new(vec![0; ENTROPY_BYTES]);
                rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gave no random bytes"))?;
                atomic_file::replace(&self.entropy, &bytes, Readable::Agent)?;
                Ok(bytes)
            }
            other => other,
        }
    }
}

impl Seal for Dpapi {
    fn protection(&self) -> &'static str {
        "dpapi-machine"
    }

    fn seal(&self, key: &[u8]) -> io::Result<Vec<u8>> {
        let entropy = self.entropy_or_new()?;
        let (key, entropy) = (blob(key)?, blob(&entropy)?);
        let mut sealed = EMPTY;
        let flags = CRYPTPROTECT_LOCAL_MACHINE | CRYPTPROTECT_UI_FORBIDDEN;
        // SAFETY: the two blobs are read during the call and live over it; the system allocates the third.
        done(unsafe {
            CryptProtectData(
                &raw const key,
                null(),
                &raw const entropy,
                null(),
                null(),
                flags,
                &raw mut sealed,
            )
        })?;
        take(&sealed).map(|it| it.to_vec())
    }

    fn open(&self, sealed: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        let entropy = self.entropy()?;
        let (sealed, entropy) = (blob(sealed)?, blob(&entropy)?);
        let mut key = EMPTY;
        // SAFETY: as in `seal`; no description is asked for.
        done(unsafe {
            CryptUnprotectData(
                &raw const sealed,
                null_mut(),
                &raw const entropy,
                null(),
                null(),
                CRYPTPROTECT_UI_FORBIDDEN,
                &raw mut key,
            )
        })?;
        take(&key)
    }
}

const EMPTY: CRYPT_INTEGER_BLOB = CRYPT_INTEGER_BLOB { cbData: 0, pbData: null_mut() };

/// Bytes as the system takes them; to be used while they live. It writes to none of them.
fn blob(bytes: &[u8]) -> io::Result<CRYPT_INTEGER_BLOB> {
    if bytes.len() > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than any key"));
    }
    let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    Ok(CRYPT_INTEGER_BLOB { cbData: size, pbData: bytes.as_ptr().cast_mut() })
}

/// A copy of what the system allocated, which is wiped and given back.
fn take(made: &CRYPT_INTEGER_BLOB) -> io::Result<Zeroizing<Vec<u8>>> {
    if made.pbData.is_null() {
        return Err(io::Error::other("the system gave nothing"));
    }
    let size = usize::try_from(made.cbData).map_err(io::Error::other)?;
    // SAFETY: the system allocated `cbData` bytes there for us; they are given back once, after the copy.
    unsafe {
        let bytes = std::slice::from_raw_parts_mut(made.pbData, size);
        let copy = Zeroizing::new(bytes.to_vec());
        bytes.zeroize();
        LocalFree(made.pbData.cast());
        Ok(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_with_its_own_entropy_alone() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = b"a private key of some bytes";
        let sealed = seal(one.path()).unwrap().seal(key).unwrap();
        assert!(!sealed.windows(8).any(|it| key.windows(8).any(|part| part == it)), "it is not in there");
        assert_eq!(seal(one.path()).unwrap().open(&sealed).unwrap().as_slice(), key);
        assert_eq!(
            seal(other.path()).unwrap().open(&sealed).unwrap_err().kind(),
            io::ErrorKind::NotFound,
            "no entropy is made for opening"
        );
        seal(other.path()).unwrap().seal(key).unwrap();
        assert!(seal(other.path()).unwrap().open(&sealed).is_err());
    }

    #[test]
    fn entropy_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let seal = seal(dir.path()).unwrap();
        let first = seal.seal(b"one").unwrap();
        let entropy = std::fs::read(dir.path().join(ENTROPY)).unwrap();
        seal.seal(b"two").unwrap();
        assert_eq!(std::fs::read(dir.path().join(ENTROPY)).unwrap(), entropy);
        assert_eq!(seal.open(&first).unwrap().as_slice(), b"one");
        std::fs::write(dir.path().join(ENTROPY), b"short").unwrap();
        assert!(seal.open(&first).is_err());
    }

    #[test]
    fn what_is_longer_than_a_key_is_refused_before_the_system_sees_it() {
        let dir = tempfile::tempdir().unwrap();
        let seal = seal(dir.path()).unwrap();
        assert_eq!(seal.seal(&vec![0; MAX_BYTES + 1]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
