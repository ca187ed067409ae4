//! Making a bundle. The same header, body and Ed25519 key always give the same bytes.

use std::io;

use super::body::{self, Body, MAX_BODY, MAX_STATEMENTS, allowed};
use super::envelope::{self, Content, Sealed};
use super::header::{Header, MAX_HEADER, Summary};
use super::key::{SigningError, SigningKey};
use super::record::{MAX_CONTENT, MAX_RECORDS};
use super::statement::MAX_STATEMENT;
use super::stream::Stream;
use super::{MAX_OBJECT, MAX_OVERHEAD};
use crate::section::Digest;

/// Why no bundle is made: nobody would take it.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The header contradicts itself.
    #[error("the header has {0}")]
    Header(&'static str),
    /// A body that this kind of bundle does not have.
    #[error("this kind of bundle does not have such a body")]
    Kind,
    /// Two records of one key.
    #[error("the {class} `{name}` is there twice", class = .0.class(), name = .0.name())]
    Twice(super::Key),
    /// Over a limit.
    #[error("{what} is {found}, over the limit of {max}: make smaller bundles")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// How large it is.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// Packed so well that readers would take it for a bomb.
    #[error("{bytes} bytes are packed into {packed}: make bundles of at most {}", body::FREE_OF_RATIO)]
    Ratio {
        /// Packed size.
        packed: usize,
        /// Unpacked size.
        bytes: usize,
    },
    /// The compressor failed: memory is short.
    #[error("the body cannot be packed")]
    Pack(#[source] io::Error),
    /// The key did not sign.
    #[error("the bundle cannot be signed")]
    Sign(#[from] SigningError),
}

/// Makes a bundle. Records may come in any order.
///
/// # Errors
/// A reader would refuse it, or the key does not sign.
pub fn make(header: &Header, mut body: Body, key: &SigningKey) -> Result<Sealed, MakeError> {
    if let Some(fault) = header.fault() {
        return Err(MakeError::Header(fault));
    }
    if !body.fits(header.kind) {
        return Err(MakeError::Kind);
    }
    match &mut body {
        Body::Records(records) => {
            records.sort_by(|a, b| a.key.cmp(&b.key));
            at_most("the number of records", records.len(), MAX_RECORDS)?;
            for record in &*records {
                at_most("a record", record.content.as_ref().map_or(0, Vec::len), MAX_CONTENT)?;
            }
            let twice = records.iter().zip(records.iter().skip(1)).find(|(a, b)| a.key == b.key);
            if let Some((record, _)) = twice {
                return Err(MakeError::Twice(record.key.clone()));
            }
        }
        Body::Statements(statements) => {
            at_most("the number of statements", statements.len(), MAX_STATEMENTS)?;
            for statement in &*statements {
                at_most("a statement", statement.len(), MAX_STATEMENT)?;
            }
        }
        Body::Nothing => {}
    }
    let written = body.write();
    at_most("the body", written.len(), MAX_BODY)?;
    let packed = body::pack(&written).map_err(MakeError::Pack)?;
    if written.len() > allowed(packed.len()) {
        return Err(MakeError::Ratio { packed: packed.len(), bytes: written.len() });
    }
    let length = u64::try_from(written.len()).unwrap_or(u64::MAX);
    let summary = Summary { length, digest: Digest::of(&written), counts: body.counts() };
    let mut payload = header.write(&summary);
    at_most("the header", payload.len(), MAX_HEADER)?;
    payload.extend_from_slice(&packed);
    at_most("the bundle", payload.len(), MAX_OBJECT - MAX_OVERHEAD)?;
    Ok(seal(&payload, &header.stream, key)?)
}

/// Signs a payload, whatever it is: for [`make`], and for those who test what readers do with a hostile
/// collector.
///
/// # Errors
/// The key does not sign.
pub fn seal(payload: &[u8], stream: &Stream, key: &SigningKey) -> Result<Sealed, SigningError> {
    envelope::seal(Content::Bundle, payload, &stream.external(), key)
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), MakeError> {
    if found > max { Err(MakeError::TooLarge { what, found, max }) } else { Ok(()) }
}
