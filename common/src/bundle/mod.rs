//! Bundles: what leaves a zone, numbered, signed and packed, to be believed by who gets it without asking
//! back.
//!
//! ```text
//! object   COSE_Sign1, tagged; see `envelope`; at most 64 MiB
//! payload  header || packed                       bytes of one string; packed is empty when the length is 0
//! header   CBOR map, at most 4 KiB, keys in this order
//!    1  stream      [site, zone, first key]       text, text, 32 bytes
//!    2  epoch       16 bytes                      incarnation of the collector
//!    3  sequence    from 1; a beacon has that of the bundle to come, and is kept apart from bundles wherever
//!                   "same sequence, other hash" is called a fork
//!    4  kind        [1] delta, [2, i, n] slice, [3] evidence, [4] key statement, [5] drop record, [6] beacon
//!    5  created     Unix ms, sender's clock
//!    6  clock       0 unknown, 1 unsynchronised, 2 synchronised
//!    7  key epoch   from 1; place of the key in its line, see `statement`
//!    8  state       32 bytes                      the sender's whole state after this bundle; see `state`
//!    9  links       [hash or null, ...]           of sequence - 1, - 2, - 4 ... - 1024, where there are
//!   10  length      of the body, unpacked         at most 64 MiB
//!   11  digest      SHA-256 over the unpacked body
//!   12  counts      {class: records}
//!   13  spool       [bundles waiting, created of the oldest in Unix ms or null]
//!   14  drops       {class: records dropped in this epoch}
//!   15  next due    ms after created
//!   16  before      [epoch, sequence]             head of the incarnation before; left out when none
//! packed   one zstd frame: states its size, window at most 8 MiB, no dictionary, nothing behind it,
//!          at most 200 times smaller than the body where that is over 1 MiB
//! body     [record, ...]                          strictly rising by class and name, at most 65,536
//!          or [certified statement, ...]          of a key statement, at most 64
//! record   [class, name, revision, content]       content: bytes, at most 1 MiB, or null for a tombstone
//! classes  1 zone, 2 asset, 3 finding, 4 hardening, 5 change, 6 feed, 7 health, 8 audit
//! ```
//! Everything is CBOR in its one shortest form (`strict`), so an object can be written in one way only.
//!
//! Order and holes never keep a record from being applied ([`State`]). Links and sequence are evidence of
//! completeness, the digest of the state tells a receiver that it has converged. A hash names what was signed
//! and not the signature, so that nobody but the key's holder can make a second bundle of the same place.
//!
//! Nothing here knows a file, a clock or a socket, and nothing reads the content of a record. Bytes of
//! strangers are judged in the order of [`open`]; nothing is unpacked before the signature is known to be
//! right, and a length that is stated is never allocated before the bytes are there.
//!
//! A receiver reads headers with keys behind the last that it knows, and refuses kinds and classes that it
//! does not know: receivers are renewed before senders.

mod apply;
mod body;
mod envelope;
mod header;
mod key;
mod make;
mod open;
mod record;
pub mod resend;
mod state;
mod statement;
mod stream;
mod strict;
#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;

pub use apply::{Outcome, State};
pub use body::{Body, FREE_OF_RATIO, MAX_BODY, MAX_RATIO, MAX_STATEMENTS};
pub use envelope::{Content, Sealed, claim};
pub use header::{ClockQuality, Header, Kind, MAX_HEADER, Spool, Summary};
pub use key::{
    Algorithm, InvalidKey as InvalidPublicKey, KeyId, Keyring, PublicKey, SigningError, SigningKey, Trusted,
};
pub use make::{MakeError, make, seal};
pub use open::{Bundle, Checked, InvalidBundle, claimed_kind, open};
pub use record::{ByClass, Class, InvalidKey, Key, MAX_CONTENT, MAX_NAME, MAX_RECORDS, Record};
pub use state::slice_of;
pub use statement::{CertifyError, Line, MAX_EARLIER, MAX_STATEMENT, News, NotAccepted, Statement};
pub use stream::{Before, Epoch, Links, MAX_LINKS, Stream};
pub use strict::{Flaw, MAX_DEPTH, MAX_ITEMS};

/// Largest object, in bytes.
pub const MAX_OBJECT: usize = 64 * 1024 * 1024;
/// What an envelope adds to its payload at most, in bytes; 163 is what it is today.
const MAX_OVERHEAD: usize = 512;
