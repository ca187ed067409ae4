//! CISA's catalogue of known exploited vulnerabilities.

use std::collections::BTreeMap;

/// The catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// Its version as written: "2026.11.20".
    pub version: String,
    /// When it was released, Unix milliseconds; `None` when that cannot be read.
    pub released_ms: Option<i64>,
    /// By CVE.
    pub listed: BTreeMap<String, Exploited>,
}

/// What the catalogue says of a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exploited {
    /// The day on which it was added: "2026-11-20".
    pub added: String,
    /// The day by which agencies have to act.
    pub due: Option<String>,
    /// What they have to do, as written.
    pub action: String,
    /// Used by ransomware, as far as is known.
    pub ransomware: bool,
}
