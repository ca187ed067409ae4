//! A one-shot: one scan of one host as a file, which a person carries to the collector.
//!
//! For hosts that no network reaches, and for systems that the agent's service is too new for.
//! ```text
//! magic      8 bytes    89 48 50 4f 0d 0a 1a 0a: no text, and broken by a transfer as text
//! version    u32        1
//! head       u32 bytes  message `OneShotHead`, at most 64 KiB
//! sections   u32        how many follow, at most 64, each kind once
//!   opening  u32 bytes  message `SectionPart` without its payload, at most 64 KiB; its body is FULL
//!   payload  bytes      as on the wire: zstd over the section's listing; its size is in the opening,
//!                       at most 4 MiB, all together at most 16 MiB
//! digest     32 bytes   SHA-256 over everything before it
//! signature  u32 bytes  ECDSA P-256 with SHA-256 (ASN.1) by the agent's key over "holdpoint one-shot 1",
//!                       a zero byte, and the digest; empty when the file is unsigned
//! ```
//! "u32" is little endian, "u32 bytes" a length and that many bytes. Nothing follows the signature.
//!
//! Signed is a file whose head has the agent's certificate and whose signature fits it: everything before
//! the digest is then that agent's word, its sequence included. Who issued the certificate, and whether
//! it still counts, is not known here: that is the collector's question. An unsigned file is shown to be
//! whole by its digest and proves nothing else.

mod read;
#[cfg(test)]
#[path = "one_shot_tests.rs"]
mod tests;
mod write;

pub use read::{InvalidOneShot, OneShot, Proof, is_one_shot};
pub use write::{Contents, WriteError, write};

use crate::section::{Digest, MAX_PACKED};

/// The first bytes of a one-shot.
pub const MAGIC: [u8; 8] = *b"\x89HPO\r\n\x1a\n";
/// The layout that is written.
pub const VERSION: u32 = 1;
/// Largest head or opening of a section, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Most sections.
pub const MAX_SECTIONS: usize = 64;
/// Most payload of all sections together, in bytes: as much as a report on the wire.
pub const MAX_PAYLOADS: usize = 4 * MAX_PACKED;
/// Longest signature, in bytes.
pub const MAX_SIGNATURE: usize = 256;
/// Largest file, in bytes.
pub const MAX_FILE: usize = MAX_PAYLOADS + (MAX_SECTIONS + 1) * MAX_MESSAGE + 1_024;
/// Most certificates of a chain: the leaf and those above it.
pub const MAX_CHAIN: usize = 8;

/// Keeps a signature of a one-shot from being one of anything else that the key signs.
const PURPOSE: &[u8] = b"holdpoint one-shot 1\0";

/// What is signed: never the bytes of a handshake or of a certificate request, which begin otherwise.
fn statement(digest: &Digest) -> Vec<u8> {
    [PURPOSE, digest.as_bytes()].concat()
}
