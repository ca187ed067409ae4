//! Reading a one-shot, whoever wrote it: every length is judged before anything is copied.

use prost::Message;
use rustls::pki_types::CertificateDer;

use super::{
    MAGIC, MAX_CHAIN, MAX_FILE, MAX_MESSAGE, MAX_PAYLOADS, MAX_SECTIONS, MAX_SIGNATURE, VERSION, statement,
};
use crate::proto::v1::{HostFacts, OneShotHead, SectionBody, SectionPart};
use crate::section::{Digest, MAX_PACKED};
use crate::tls::{InvalidLeaf, Leaf};

/// A whole file whose digest fits and, when it is signed, whose signature fits its own certificate.
#[derive(Debug, Clone)]
pub struct OneShot {
    /// Which machine was looked at, by its own account.
    pub host: HostFacts,
    /// The host's wall clock, Unix milliseconds; negative before 1970.
    pub host_time_ms: i64,
    /// Each kind once, with its whole payload, still packed and unread.
    pub sections: Vec<SectionPart>,
    /// Whose word it is.
    pub proof: Proof,
}

/// What a file proves of its origin.
#[derive(Debug, Clone)]
pub enum Proof {
    /// Nothing.
    Unsigned,
    /// The holder of this certificate's key wrote every byte.
    Signed {
        /// DER.
        certificate: CertificateDer<'static>,
        /// What it says; who issued it is still to be asked.
        leaf: Box<Leaf>,
        /// Higher than that of everything which that agent said before.
        sequence: u64,
    },
}

/// Why bytes are no one-shot, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOneShot {
    /// It begins otherwise.
    #[error("it is no one-shot of holdpoint-agent")]
    OtherKind,
    /// A layout of the future.
    #[error(
        "it has layout {0}, this version reads {VERSION}: use a newer collector or the agent of this one"
    )]
    Version(u32),
    /// The end is missing.
    #[error("it is cut off: copy it again")]
    CutOff,
    /// Something follows.
    #[error("{0} bytes follow its end: copy it again")]
    Trailing(usize),
    /// A count or length over its limit.
    #[error("{what} is {found}, over the limit of {max}")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// What it says.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A message that cannot be read.
    #[error("its {0} cannot be read")]
    Message(&'static str),
    /// A section twice, or one that is not whole in itself.
    #[error("its section {kind} {why}")]
    Section {
        /// The number of its kind.
        kind: i32,
        /// What is wrong.
        why: &'static str,
    },
    /// The bytes are not those that were written.
    #[error("it was damaged or changed: its digest does not fit; copy it again")]
    Digest,
    /// A certificate without a signature, or the reverse.
    #[error("it has a certificate or a signature, and not both: it was changed")]
    HalfSigned,
    /// The certificate is none of a zone.
    #[error("the certificate in it cannot be used: {0}")]
    Leaf(#[from] InvalidLeaf),
    /// Signed reports are numbered from 1.
    #[error("it is signed and has no sequence")]
    NoSequence,
    /// Another key signed, or something else was signed.
    #[error("its signature is not by the key of the certificate in it: it was changed")]
    Signature,
}

/// Whether bytes begin as a one-shot does.
pub fn is_one_shot(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

impl OneShot {
    /// Reads a file.
    ///
    /// # Errors
    /// It is not whole, not what it says, or over a limit.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidOneShot> {
        limit("its size", bytes.len(), MAX_FILE)?;
        let mut rest = Rest(bytes.strip_prefix(&MAGIC).ok_or(InvalidOneShot::OtherKind)?);
        match rest.number()? {
            VERSION => {}
            other => return Err(InvalidOneShot::Version(other)),
        }
        let head = rest.counted("the head", MAX_MESSAGE)?;
        let sections = rest.sections()?;
        let said = bytes.len() - rest.0.len();
        let digest = rest.take(32)?;
        let signature = rest.counted("the signature", MAX_SIGNATURE)?;
        if !rest.0.is_empty() {
            return Err(InvalidOneShot::Trailing(rest.0.len()));
        }
        let found = Digest::of(&bytes[..said]);
        if found.as_bytes() != digest {
            return Err(InvalidOneShot::Digest);
        }

        let OneShotHead { host, sequence, host_time_ms, chain } =
            OneShotHead::decode(head).map_err(|_| InvalidOneShot::Message("head"))?;
        let host = host.ok_or(InvalidOneShot::Message("host"))?;
        limit("the chain of certificates", chain.len(), MAX_CHAIN)?;
        let proof = match (chain.into_iter().next(), signature) {
            (None, []) => Proof::Unsigned,
            (None, _) | (Some(_), []) => return Err(InvalidOneShot::HalfSigned),
            (Some(leaf), signature) => signed(leaf, sequence, &found, signature)?,
        };
        Ok(Self { host, host_time_ms, sections, proof })
    }
}

fn signed(
    certificate: Vec<u8>,
    sequence: u64,
    digest: &Digest,
    signature: &[u8],
) -> Result<Proof, InvalidOneShot> {
    let certificate = CertificateDer::from(certificate);
    let leaf = Box::new(Leaf::read(&certificate)?);
    if !leaf.made(&statement(digest), signature) {
        return Err(InvalidOneShot::Signature);
    }
    if sequence == 0 {
        return Err(InvalidOneShot::NoSequence);
    }
    Ok(Proof::Signed { certificate, leaf, sequence })
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], InvalidOneShot> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(InvalidOneShot::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, InvalidOneShot> {
        let (taken, rest) = self.0.split_first_chunk::<4>().ok_or(InvalidOneShot::CutOff)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*taken))
    }

    fn count(&mut self, what: &'static str, max: usize) -> Result<usize, InvalidOneShot> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        limit(what, count, max)?;
        Ok(count)
    }

    fn counted(&mut self, what: &'static str, max: usize) -> Result<&'a [u8], InvalidOneShot> {
        let bytes = self.count(what, max)?;
        self.take(bytes)
    }

    fn sections(&mut self) -> Result<Vec<SectionPart>, InvalidOneShot> {
        let count = self.count("the number of sections", MAX_SECTIONS)?;
        let mut sections: Vec<SectionPart> = Vec::new();
        let mut payloads = 0;
        for _ in 0..count {
            let opening = self.counted("the opening of a section", MAX_MESSAGE)?;
            let mut section =
                SectionPart::decode(opening).map_err(|_| InvalidOneShot::Message("opening of a section"))?;
            let kind = section.kind;
            let wrong = |why| Err(InvalidOneShot::Section { kind, why });
            if sections.iter().any(|it| it.kind == kind) {
                return wrong("is there twice");
            }
            if section.body != i32::from(SectionBody::Full) || !section.base.is_empty() {
                return wrong("refers to what a file cannot carry");
            }
            if !section.payload.is_empty() {
                return wrong("has its payload in the wrong place");
            }
            let bytes = usize::try_from(section.payload_bytes).unwrap_or(usize::MAX);
            limit("the size of a section", bytes, MAX_PACKED)?;
            payloads += bytes;
            limit("the size of all sections", payloads, MAX_PAYLOADS)?;
            section.payload = self.take(bytes)?.to_vec();
            sections.push(section);
        }
        Ok(sections)
    }
}

fn limit(what: &'static str, found: usize, max: usize) -> Result<(), InvalidOneShot> {
    if found > max { Err(InvalidOneShot::Limit { what, found, max }) } else { Ok(()) }
}
