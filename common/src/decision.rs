//! What a person decides, signed with this person's own key, on a station that may have no network.
//!
//! The signature is ECDSA P-256 with SHA-256 (ASN.1) over "holdpoint decision 1", a zero byte, and the SHA-256 of the
//! encoded [`Decision`]; a handshake or a certificate request begins otherwise, so none of them is ever a decision.
//! Whose certificate it is, and whether it still counts, is not known here: that is the collector's question, and
//! later that of whoever checks the evidence.

use prost::Message;
use rustls::pki_types::CertificateDer;

use crate::credentials::{Credentials, CredentialsError};
use crate::proto::store::{Decision, SignedDecision};
use crate::section::Digest;
use crate::tls::{InvalidLeaf, Leaf};

/// Largest encoded decision, in bytes.
pub const MAX_DECISION: usize = 256 * 1024;
/// Largest file with signed decisions, in bytes.
pub const MAX_FILE: usize = 2 * MAX_DECISION;
/// The first bytes of a file with one signed decision: no text, and broken by a transfer as text.
pub const MAGIC: [u8; 8] = *b"\x89HPD\r\n\x1a\n";
/// Most certificates of a chain: the leaf and those above it.
const MAX_CHAIN: usize = 8;
/// Keeps a signature of a decision from being one of anything else that the key signs.
const PURPOSE: &[u8] = b"holdpoint decision 1\0";

/// A decision whose signature fits the certificate beside it.
#[derive(Debug, Clone)]
pub struct Verified {
    /// What was decided.
    pub decision: Decision,
    /// What the certificate says; who issued it is still to be asked.
    pub leaf: Box<Leaf>,
    /// The certificate, DER.
    pub certificate: CertificateDer<'static>,
    /// SHA-256 of the encoded decision.
    pub digest: Digest,
}

/// Why bytes are no signed decision, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecision {
    /// It begins otherwise.
    #[error("it is no signed decision of `holdpoint change`")]
    OtherKind,
    /// More than a decision can be.
    #[error("it is {0} bytes long, over the limit of {MAX_FILE}")]
    TooLarge(usize),
    /// A message that cannot be read.
    #[error("its content cannot be read: copy it again")]
    Malformed,
    /// The chain is empty or too long.
    #[error("it carries no certificate, or too many")]
    Chain,
    /// The certificate cannot be read.
    #[error("its certificate cannot be read")]
    Leaf(#[from] InvalidLeaf),
    /// The signature is not that key's.
    #[error("its signature does not fit its certificate: it was changed after it was signed")]
    Signature,
}

/// Signs a decision.
///
/// # Errors
/// The key does not work.
pub fn sign(decision: &Decision, credentials: &Credentials) -> Result<SignedDecision, CredentialsError> {
    let decision = decision.encode_to_vec();
    let signature = credentials.sign(&statement(&Digest::of(&decision)))?;
    let chain = credentials.chain.iter().map(|it| it.to_vec()).collect();
    Ok(SignedDecision { decision, signature, chain, person: String::new() })
}

/// Reads a signed decision and checks that its signature fits the certificate beside it.
///
/// # Errors
/// It is not whole, over a limit, or not what was signed.
pub fn verify(signed: &SignedDecision) -> Result<Verified, InvalidDecision> {
    let SignedDecision { decision, signature, chain, person: _ } = signed;
    if decision.len() > MAX_DECISION {
        return Err(InvalidDecision::TooLarge(decision.len()));
    }
    let leaf = chain.first().filter(|_| chain.len() <= MAX_CHAIN).ok_or(InvalidDecision::Chain)?;
    let certificate = CertificateDer::from(leaf.clone());
    let leaf = Box::new(Leaf::read(&certificate)?);
    let digest = Digest::of(decision);
    if !leaf.made(&statement(&digest), signature) {
        return Err(InvalidDecision::Signature);
    }
    let read = Decision::decode(decision.as_slice()).map_err(|_| InvalidDecision::Malformed)?;
    Ok(Verified { decision: read, leaf, certificate, digest })
}

/// Whether bytes begin as a file with a signed decision does.
pub fn is_decision(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// A signed decision as a file, to be carried to the collector.
pub fn to_file(signed: &SignedDecision) -> Vec<u8> {
    [&MAGIC[..], &signed.encode_to_vec()].concat()
}

/// Reads a carried decision; its signature is still to be checked.
///
/// # Errors
/// It is not whole or over the limit.
pub fn from_file(bytes: &[u8]) -> Result<SignedDecision, InvalidDecision> {
    if bytes.len() > MAX_FILE {
        return Err(InvalidDecision::TooLarge(bytes.len()));
    }
    let body = bytes.strip_prefix(&MAGIC).ok_or(InvalidDecision::OtherKind)?;
    SignedDecision::decode(body).map_err(|_| InvalidDecision::Malformed)
}

fn statement(digest: &Digest) -> Vec<u8> {
    [PURPOSE, digest.as_bytes()].concat()
}
