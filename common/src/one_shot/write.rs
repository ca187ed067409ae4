//! Writing a one-shot.

use prost::Message;

use super::{MAGIC, MAX_MESSAGE, MAX_PAYLOADS, MAX_SECTIONS, VERSION, statement};
use crate::credentials::{Credentials, CredentialsError};
use crate::proto::v1::{HostFacts, OneShotHead, SectionBody, SectionPart};
use crate::section::Digest;

/// What a one-shot says.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Which machine was looked at.
    pub host: HostFacts,
    /// The host's wall clock, Unix milliseconds.
    pub host_time_ms: i64,
    /// Each with its whole packed payload.
    pub sections: Vec<SectionPart>,
}

/// Why no one-shot is written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Over a limit of the layout.
    #[error("{what} is larger than {max} {unit}: name fewer sections with --section")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// How much may be.
        max: usize,
        /// Of what.
        unit: &'static str,
    },
    /// The key did not sign.
    #[error("the file cannot be signed")]
    Sign(#[from] CredentialsError),
}

/// The bytes of a one-shot; signed when there is somebody to sign it, who gives his next sequence too.
///
/// # Errors
/// It would be larger than readers allow, or the key does not sign.
pub fn write(contents: Contents, signer: Option<(&Credentials, u64)>) -> Result<Vec<u8>, WriteError> {
    let Contents { host, host_time_ms, sections } = contents;
    let too_large = |what, max, unit| WriteError::TooLarge { what, max, unit };
    if sections.len() > MAX_SECTIONS {
        return Err(too_large("the list of sections", MAX_SECTIONS, "sections"));
    }
    if sections.iter().map(|it| it.payload.len()).sum::<usize>() > MAX_PAYLOADS {
        return Err(too_large("the scan", MAX_PAYLOADS, "bytes"));
    }
    let chain = signer.map(|(it, _)| it.chain.iter().map(|it| it.to_vec()).collect()).unwrap_or_default();
    let sequence = signer.map_or(0, |it| it.1);
    let head = OneShotHead { host: Some(host), sequence, host_time_ms, chain };

    let mut file = MAGIC.to_vec();
    file.extend(VERSION.to_le_bytes());
    let put = |file: &mut Vec<u8>, what, message: Vec<u8>| {
        if message.len() > MAX_MESSAGE {
            return Err(too_large(what, MAX_MESSAGE, "bytes"));
        }
        put_bytes(file, &message);
        Ok(())
    };
    put(&mut file, "what it says of the host", head.encode_to_vec())?;
    file.extend(length(sections.len()).to_le_bytes());
    for mut section in sections {
        let payload = std::mem::take(&mut section.payload);
        section.body = SectionBody::Full.into();
        section.payload_bytes = length(payload.len());
        put(&mut file, "what a section says of itself", section.encode_to_vec())?;
        file.extend_from_slice(&payload);
    }
    let digest = Digest::of(&file);
    let signature = signer.map(|(it, _)| it.sign(&statement(&digest))).transpose()?.unwrap_or_default();
    file.extend_from_slice(digest.as_bytes());
    put_bytes(&mut file, &signature);
    Ok(file)
}

fn put_bytes(file: &mut Vec<u8>, bytes: &[u8]) {
    file.extend(length(bytes.len()).to_le_bytes());
    file.extend_from_slice(bytes);
}

/// Never more than the limits above, which all fit.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
