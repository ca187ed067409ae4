//! CISA's catalogue of known exploited vulnerabilities.
//!
//! Source of truth: the JSON that the agency publishes. An entry without a usable CVE is left out and said;
//! absence from the catalogue is no statement about a vulnerability.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::json::{self, InvalidJson};
use super::skipped::Skipped;
use super::text::shown;
use super::tracking::moment;

/// Most vulnerabilities of one catalogue.
pub const MAX_LISTED: usize = 50_000;
/// Longest action, in characters.
const MAX_ACTION: usize = 1_000;

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

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKev {
    /// Not JSON, cut off, too deep or of another form.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// A catalogue that lists nothing would read as if nothing were exploited.
    #[error("it is a catalogue of exploited vulnerabilities and lists none")]
    Empty,
    /// More than an honest catalogue has.
    #[error("it lists more than {MAX_LISTED} vulnerabilities")]
    TooMany,
    /// The file says how many it lists, and lists another number: it was cut or changed.
    #[error("it says that it lists {said} vulnerabilities and lists {found}")]
    Count {
        /// What its `count` says.
        said: u64,
        /// What is in it.
        found: usize,
    },
    /// Two entries for one vulnerability.
    #[error("`{0}` is listed twice")]
    Duplicate(String),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    catalog_version: String,
    #[serde(default)]
    date_released: String,
    count: Option<u64>,
    vulnerabilities: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(rename = "cveID", default)]
    cve_id: String,
    #[serde(default)]
    date_added: String,
    #[serde(default)]
    required_action: String,
    due_date: Option<String>,
    known_ransomware_campaign_use: Option<String>,
}

/// Reads a catalogue and says what was left out.
pub fn read(bytes: &[u8]) -> Result<(Catalog, Vec<String>), InvalidKev> {
    let File { catalog_version, date_released, count, vulnerabilities } = json::read(bytes)?;
    let mut skipped = Skipped::default();
    if vulnerabilities.len() > MAX_LISTED {
        return Err(InvalidKev::TooMany);
    }
    if let Some(said) = count.filter(|it| usize::try_from(*it) != Ok(vulnerabilities.len())) {
        return Err(InvalidKev::Count { said, found: vulnerabilities.len() });
    }
    let released_ms = moment(&date_released);
    if released_ms.is_none() {
        skipped.add(|| format!("the release date `{}` cannot be read", shown(&date_released, 40)));
    }
    let mut listed = BTreeMap::new();
    for (index, it) in vulnerabilities.into_iter().enumerate() {
        let cve = it.cve_id.trim().to_ascii_uppercase();
        if super::epss::cve(&cve).is_none() {
            skipped.add(|| format!("entry {}: `{}` is no CVE", index + 1, shown(&it.cve_id, 40)));
            continue;
        }
        let known_use = it.known_ransomware_campaign_use.unwrap_or_default();
        let exploited = Exploited {
            added: shown(&it.date_added, 40),
            due: it.due_date.map(|it| shown(&it, 40)).filter(|it| !it.is_empty()),
            action: shown(&it.required_action, MAX_ACTION),
            ransomware: known_use.trim().eq_ignore_ascii_case("known"),
        };
        if listed.insert(cve.clone(), exploited).is_some() {
            return Err(InvalidKev::Duplicate(cve));
        }
    }
    if listed.is_empty() {
        return Err(InvalidKev::Empty);
    }
    Ok((Catalog { version: shown(&catalog_version, 60), released_ms, listed }, skipped.into_lines()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOG: &[u8] = include_bytes!("../../fixtures/kev/catalog.json");

    #[test]
    fn a_catalogue_is_read_by_its_cves() {
        let (catalog, skipped) = read(CATALOG).unwrap();
        assert_eq!((catalog.version.as_str(), catalog.listed.len()), ("2026.11.20", 2));
        assert_eq!(catalog.released_ms, moment("2026-11-20T17:00:04.9213Z"));
        let first = &catalog.listed["CVE-2026-1001"];
        assert_eq!(first.added, "2026-11-20");
        assert_eq!(first.due.as_deref(), Some("2026-12-11"));
        assert!(first.ransomware);
        assert!(!catalog.listed["CVE-2025-20001"].ransomware, "unknown is not known");
        assert_eq!(skipped, ["entry 3: `none` is no CVE"]);
    }

    #[test]
    fn a_catalogue_that_was_cut_or_is_empty_is_refused() {
        let text = String::from_utf8(CATALOG.to_vec()).unwrap();
        let miscounted = text.replace("\"count\": 3", "\"count\": 4");
        assert_eq!(read(miscounted.as_bytes()).unwrap_err(), InvalidKev::Count { said: 4, found: 3 });
        let empty = br#"{"catalogVersion": "1", "count": 0, "vulnerabilities": []}"#;
        assert_eq!(read(empty).unwrap_err(), InvalidKev::Empty);
        let twice = text.replace("CVE-2025-20001", "cve-2026-1001");
        assert_eq!(read(twice.as_bytes()).unwrap_err(), InvalidKev::Duplicate("CVE-2026-1001".into()));
        assert!(matches!(read(&CATALOG[..200]), Err(InvalidKev::Json(InvalidJson::Truncated { .. }))));
    }
}
