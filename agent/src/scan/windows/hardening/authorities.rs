//! W41: whom this host believes when it checks a certificate.
//!
//! Sources of truth: the machine's stores of certificates, below which each has a key by its thumbprint.
//! Everybody may read them; certificates are public.
//!
//! Absence: a store without a key is empty.
//!
//! Known lies: roots that Windows fetches by itself when it first needs one appear in `third-party` then;
//! stores of single users come on top and are not read.

use holdpoint_common::row::HardeningRow;
use holdpoint_common::section::Digest;

use super::ground::{self, Ground};
use super::keys::{policy, software};
use super::setting::{Absent, Place, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    &reads::<{ places(SETTINGS) }>(SETTINGS),
    &[
        Reads::key(software!(r"SystemCertificates\*\Certificates")),
        Reads::key(policy!(r"SystemCertificates\*\Certificates")),
        Reads::key(software!(r"EnterpriseCertificates\*\Certificates")),
    ],
];

const CHECKS: &[&str] = &["W41"];

const SETTINGS: &[Setting] = &[Setting::flag(
    "authorities.no_automatic_update",
    CHECKS,
    &[Place::at(policy!(r"SystemCertificates\AuthRoot"), "DisableRootAutoUpdate")],
    Absent::Means("Windows fetches roots that it does not have yet"),
)];

/// Stores of roots, and where they are.
const ROOTS: [(&str, &str); 4] = [
    ("machine", software!(r"SystemCertificates\ROOT\Certificates")),
    ("policy", policy!(r"SystemCertificates\ROOT\Certificates")),
    ("enterprise", software!(r"EnterpriseCertificates\ROOT\Certificates")),
    ("third-party", software!(r"SystemCertificates\AuthRoot\Certificates")),
];
/// Stores of what is believed or refused by itself.
const OTHERS: [(&str, &str, &str); 3] = [
    ("authorities.publishers", "machine", software!(r"SystemCertificates\TrustedPublisher\Certificates")),
    ("authorities.publishers", "policy", policy!(r"SystemCertificates\TrustedPublisher\Certificates")),
    ("authorities.refused", "machine", software!(r"SystemCertificates\Disallowed\Certificates")),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        for (subject, key) in ROOTS {
            store(look, ground, rows, "authorities.roots", subject, key);
        }
        for (id, subject, key) in OTHERS {
            store(look, ground, rows, id, subject, key);
        }
    })
}

/// A store as list of thumbprints, and as the digest that a baseline compares.
fn store(
    look: &mut Look<'_>,
    ground: &Ground,
    rows: &mut Vec<HardeningRow>,
    id: &str,
    subject: &str,
    key: &str,
) {
    let thumbprints = look.registry_keys_outcome(key).map_seen(|names| {
        let mut names: Vec<String> = names.iter().map(|it| it.to_lowercase()).collect();
        names.sort();
        names
    });
    let fact = |id: &str| Fact::new(id, CHECKS, key).about(subject);
    let digest = format!("{id}_digest");
    rows.push(tell(ground, key, fact(&digest), thumbprints.clone(), "the store is empty", |fact, names| {
        fact.because(format!("SHA-256 of {} thumbprints", names.len()))
            .text(&Digest::of(names.join("\n").as_bytes()).to_string())
    }));
    rows.push(tell(ground, key, fact(id), thumbprints, "the store is empty", Fact::list));
}
