//! EPSS: how likely the exploitation of a vulnerability is within 30 days.

use std::collections::HashMap;

/// One day's scores.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scores {
    /// The model as written: "v2025.03.14".
    pub model: String,
    /// The day of the scores as written.
    pub scored: String,
    /// By CVE, packed as year and number.
    pub by_cve: HashMap<(u16, u32), Score>,
}

/// A score, in hundred thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    /// Probability of exploitation.
    pub probability: u32,
    /// Share of all vulnerabilities with the same or a lower probability.
    pub percentile: u32,
}
