//! Whether a pack may wait here, and whether it may be released: functions of what is kept.

use holdpoint_common::bundle::PublicKey;
use holdpoint_common::identity::ZoneName;
use holdpoint_common::pack::{Manifest, fingerprint};
use holdpoint_common::proto::store::pack_page::State;
use holdpoint_common::section::Digest;

use super::quarantine::{Record, Signer};
use super::{MAX_WAITING, MAX_WAITING_BYTES};

/// Why a pack does not come in, or is not released, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody here trusts its key.
    #[error(
        "it is signed by {fingerprint}, whom this zone does not trust: `holdpoint pack trust KEYFILE` says that it \
         does, once two people have compared the key"
    )]
    UnknownSigner {
        /// The beginning of its fingerprint.
        fingerprint: String,
    },
    /// Its key was trusted once.
    #[error("its signer `{0}` is not trusted any more")]
    Distrusted(String),
    /// It is for others.
    #[error("it is for {zones}, and this is {own}")]
    OtherZone {
        /// The zones that it is for.
        zones: String,
        /// This one.
        own: ZoneName,
    },
    /// A later one of the same signer was released.
    #[error(
        "its serial is {serial}, and {released} of the same signer was released already: it is out of date"
    )]
    Replay {
        /// Its own.
        serial: u64,
        /// The newest that was released.
        released: u64,
    },
    /// The signer gave one number to two packs.
    #[error("its signer gave the serial {serial} to another pack too ({digest}): ask who compiled them")]
    Twice {
        /// The number.
        serial: u64,
        /// The beginning of the other's digest.
        digest: String,
    },
    /// Somebody looked at it and said no.
    #[error("it was rejected by {person}: {reason}")]
    Rejected {
        /// Who.
        person: String,
        /// Why.
        reason: String,
    },
    /// Too many wait.
    #[error("{MAX_WAITING} packs wait already: release or reject one of them first")]
    TooMany,
    /// Too much waits.
    #[error("with it more than {} MiB would wait: release or reject another pack first", MAX_WAITING_BYTES >> 20)]
    TooLarge,
    /// The four eyes are two.
    #[error("`{0}` brought it, so another person releases it")]
    SamePerson(String),
    /// There is nothing to decide any more.
    #[error("it is {0} already")]
    Decided(&'static str),
}

/// Whether the zone takes packs of a key.
///
/// # Errors
/// It does not.
pub fn signer<'a>(found: Option<&'a Signer>, key: &PublicKey) -> Result<&'a Signer, Refusal> {
    let signer = found.ok_or_else(|| {
        let shown: String = fingerprint(key).chars().take(SHOWN).collect();
        Refusal::UnknownSigner { fingerprint: format!("{shown} ...") }
    })?;
    if signer.is_trusted() { Ok(signer) } else { Err(Refusal::Distrusted(signer.page.name.clone())) }
}

/// Characters of a fingerprint in a sentence.
const SHOWN: usize = 24;
/// Digits of a digest in a sentence.
const SHORT: usize = 12;

/// What is to be judged of a pack that somebody brought.
#[derive(Debug)]
pub struct Brought<'a> {
    /// What it says of itself.
    pub manifest: &'a Manifest,
    /// What it is known by.
    pub digest: &'a Digest,
    /// Its own size, in bytes.
    pub bytes: u64,
}

/// Whether a pack of a trusted signer may wait here. Gives the record when the very same pack is known.
///
/// # Errors
/// It is for another zone, out of date, rejected, or there is no room.
pub fn arrival<'a>(
    pack: &Brought<'_>,
    signer: &Signer,
    own: &ZoneName,
    held: &'a [Record],
) -> Result<Option<&'a Record>, Refusal> {
    let Brought { manifest, digest, bytes } = pack;
    if !manifest.is_for(own) {
        let mut zones: Vec<&str> = manifest.zones.iter().map(String::as_str).take(4).collect();
        if manifest.zones.len() > zones.len() {
            zones.push("others");
        }
        return Err(Refusal::OtherZone { zones: zones.join(", "), own: own.clone() });
    }
    if let Some(same) = held.iter().find(|it| it.digest == **digest) {
        return match same.state() {
            State::Rejected => {
                let (person, reason) = (same.page.decided_person.clone(), same.page.reason.clone());
                Err(Refusal::Rejected { person, reason })
            }
            State::Unspecified | State::Arriving | State::Waiting | State::Releasing | State::Released => {
                Ok(Some(same))
            }
        };
    }
    let released = signer.page.released_serial;
    if manifest.serial <= released {
        return Err(Refusal::Replay { serial: manifest.serial, released });
    }
    if let Some(other) = held.iter().find(|it| it.is_of(&signer.id()) && it.page.serial == manifest.serial) {
        let digest = other.digest.to_string().chars().take(SHORT).collect();
        return Err(Refusal::Twice { serial: manifest.serial, digest });
    }
    let waiting: Vec<_> = held.iter().filter(|it| it.is_open()).collect();
    if waiting.len() >= MAX_WAITING {
        return Err(Refusal::TooMany);
    }
    let sum = waiting.iter().map(|it| it.page.bytes).fold(*bytes, u64::saturating_add);
    if sum > MAX_WAITING_BYTES { Err(Refusal::TooLarge) } else { Ok(None) }
}

/// Whether a pack can be released at all, by whomever.
///
/// # Errors
/// It is decided, out of date by now, or its signer is not trusted any more.
pub fn release(record: &Record, signer: Option<&Signer>) -> Result<(), Refusal> {
    match record.state() {
        State::Waiting => {}
        // What was begun goes on, whatever came in between.
        State::Releasing => return Ok(()),
        State::Released => return Err(Refusal::Decided("released")),
        State::Rejected => return Err(Refusal::Decided("rejected")),
        State::Arriving | State::Unspecified => return Err(Refusal::Decided("gone")),
    }
    let trusted = signer.filter(|it| it.is_trusted()).ok_or_else(|| {
        let name = signer.map_or_else(|| "unknown".to_owned(), |it| it.page.name.clone());
        Refusal::Distrusted(name)
    })?;
    let (serial, released) = (record.page.serial, trusted.page.released_serial);
    if serial <= released { Err(Refusal::Replay { serial, released }) } else { Ok(()) }
}

/// Whether that person may release it: another one than who brought it.
///
/// # Errors
/// It is the same.
pub fn second_person(record: &Record, by: &str, person: &str) -> Result<(), Refusal> {
    let page = &record.page;
    if page.brought_person == person || page.brought_by == by {
        return Err(Refusal::SamePerson(page.brought_person.clone()));
    }
    Ok(())
}
