//! What triage knows of a vulnerability: each input with its value, or all values that are possible, and its source.
//!
//! Exploitation is active when the catalogue of known exploited vulnerabilities lists it, or the publisher's own vector
//! says "attacked"; a proof of concept only counts when a source says so. EPSS is shown and decides nothing. When the
//! catalogue is missing, too old, or cannot know the identifier, active stays possible.

use std::sync::Arc;

use holdpoint_common::proto::store::TriageInput;
use holdpoint_common::section::Digest;

use crate::knowledge::epss::Score;
use crate::knowledge::{Knowledge, Source};

use super::table::{AUTOMATABLE, EXPLOITATION, IN_KEV, Point, TECHNICAL, ValueSet};
use super::vector::Vector;

const ACTIVE: ValueSet = ValueSet::one(2);

/// An input of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Which one, with its words.
    pub point: Point,
    /// What it can be.
    pub set: ValueSet,
    /// What says so.
    pub source: String,
    /// When that was brought in or received, Unix milliseconds.
    pub as_of_ms: Option<i64>,
    /// SHA-256 of the file or section.
    pub digest: Option<Digest>,
}

impl Input {
    /// An input that a source speaks of.
    pub fn known(point: Point, set: ValueSet, source: impl Into<String>) -> Self {
        Self { point, set, source: source.into(), as_of_ms: None, digest: None }
    }

    /// An input of which nothing is known.
    pub fn open(point: Point, why: impl Into<String>) -> Self {
        Self::known(point, point.any(), why)
    }

    /// The input with the file that it rests on.
    #[must_use]
    pub fn from(self, source: &Source) -> Self {
        Self { as_of_ms: Some(source.imported_ms), digest: Some(source.digest), ..self }
    }

    /// As it is recorded.
    pub fn record(&self) -> TriageInput {
        TriageInput {
            name: self.point.name.to_owned(),
            values: self.point.words(self.set).into_iter().map(str::to_owned).collect(),
            source: self.source.clone(),
            as_of_ms: self.as_of_ms,
            digest: self.digest.map(|it| it.as_bytes().to_vec()).unwrap_or_default(),
        }
    }
}

/// What is known of a vulnerability, and how far it can be trusted now.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Everything that the zone was told.
    pub knowledge: &'a Knowledge,
    /// The catalogue is missing or older than allowed.
    pub kev_stale: bool,
}

/// A vulnerability of an advisory.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// Its identifier.
    pub vulnerability: &'a str,
    /// Its vector.
    pub vector: Option<&'a str>,
    /// The advisory's file.
    pub source: &'a Arc<Source>,
}

impl Sources<'_> {
    /// Whether the catalogue lists it.
    pub fn in_kev(&self, of: Of<'_>) -> Input {
        let Some(kev) = &self.knowledge.kev else {
            return Input::open(IN_KEV, "no catalogue of exploited vulnerabilities is held");
        };
        let version = &kev.content.version;
        let input = if let Some(listed) = kev.content.listed.get(of.vulnerability) {
            let said = format!("KEV {version} lists it since {}", listed.added);
            Input::known(IN_KEV, ValueSet::one(1), said)
        } else if self.kev_stale {
            Input::open(IN_KEV, format!("KEV {version} does not list it and is older than allowed"))
        } else if !of.vulnerability.starts_with("CVE-") {
            Input::open(IN_KEV, format!("KEV {version} knows no identifier but a CVE's"))
        } else {
            Input::known(IN_KEV, ValueSet::one(0), format!("KEV {version} does not list it"))
        };
        input.from(&kev.source)
    }

    /// What is known of exploitation.
    pub fn exploitation(&self, of: Of<'_>) -> Input {
        let listed = self.in_kev(of);
        let stated = of.vector.and_then(Vector::read).and_then(|it| it.exploitation());
        if listed.set == ValueSet::one(1) {
            return Input { point: EXPLOITATION, set: ACTIVE, ..listed };
        }
        if stated == Some(ACTIVE) {
            let said = format!("{}: the publisher's vector says attacked", of.source.file);
            return Input::known(EXPLOITATION, ACTIVE, said).from(of.source);
        }
        let (least, said) = match stated {
            Some(set) => (set, "the publisher's vector says that an exploit is public"),
            None => (ValueSet::one(0), "no source says that an exploit is public"),
        };
        let set = match (listed.set.is_known(), stated) {
            (true, _) => least,
            (false, Some(set)) => set.or(ACTIVE),
            (false, None) => EXPLOITATION.any(),
        };
        Input { point: EXPLOITATION, set, source: format!("{}; {said}", listed.source), ..listed }
    }

    /// Whether exploitation can be automated.
    pub fn automatable(&self, of: Of<'_>) -> Input {
        by_vector(of, AUTOMATABLE)
    }

    /// What the attacker gains.
    pub fn technical_impact(&self, of: Of<'_>) -> Input {
        by_vector(of, TECHNICAL)
    }

    /// The score of a vulnerability with its day; shown, never decisive.
    pub fn epss(&self, vulnerability: &str) -> Option<(Score, String)> {
        let held = self.knowledge.epss.as_ref()?;
        let (year, number) = vulnerability.strip_prefix("CVE-")?.split_once('-')?;
        let score = held.content.by_cve.get(&(year.parse().ok()?, number.parse().ok()?))?;
        let said = format!(
            "{}.{:03} % within 30 days ({} of {})",
            score.probability / 1_000,
            score.probability % 1_000,
            held.content.model,
            held.content.scored
        );
        Some((*score, said))
    }
}

fn by_vector(of: Of<'_>, point: Point) -> Input {
    let input = match of.vector.map(|text| (text, Vector::read(text))) {
        None => Input::open(point, "the advisory has no CVSS vector"),
        Some((text, None)) => Input::open(
            point,
            format!("`{}` is no vector that is read", crate::knowledge::text::shown(text, 100)),
        ),
        Some((text, Some(vector))) => {
            let set = if point == TECHNICAL { vector.technical_impact() } else { vector.automatable() };
            Input::known(point, set, format!("by rule from {text}"))
        }
    };
    input.from(of.source)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, HashMap};

    use proptest::prelude::*;

    use super::*;
    use crate::knowledge::epss::Scores;
    use crate::knowledge::kev::{Catalog, Exploited};
    use crate::knowledge::{Held, Source};

    pub(crate) fn source(file: &str) -> Arc<Source> {
        Arc::new(Source {
            digest: Digest::of(file.as_bytes()),
            file: file.into(),
            imported_ms: 1_000,
            imported_by: "kim".into(),
        })
    }

    /// A catalogue that lists these.
    pub(crate) fn kev(listed: &[&str]) -> Held<Catalog> {
        let exploited = |it: &&str| {
            (
                (*it).to_owned(),
                Exploited { added: "2026-11-01".into(), due: None, action: String::new(), ransomware: false },
            )
        };
        let listed: BTreeMap<_, _> = listed.iter().map(exploited).collect();
        let content = Catalog { version: "2026.11.20".into(), released_ms: None, listed };
        Held { content: Arc::new(content), source: source("kev.json") }
    }

    fn exploitation(
        knowledge: &Knowledge,
        kev_stale: bool,
        id: &str,
        vector: Option<&str>,
    ) -> Vec<&'static str> {
        let of = Of { vulnerability: id, vector, source: &source("a.json") };
        EXPLOITATION.words(Sources { knowledge, kev_stale }.exploitation(of).set)
    }

    #[test]
    fn the_catalogue_says_active_and_nothing_but_a_source_says_proof_of_concept() {
        let knowledge = Knowledge { kev: Some(kev(&["CVE-2026-1"])), ..Knowledge::default() };
        assert_eq!(exploitation(&knowledge, false, "CVE-2026-1", None), ["active"]);
        assert_eq!(
            exploitation(&knowledge, true, "CVE-2026-1", None),
            ["active"],
            "age takes no listing back"
        );
        assert_eq!(exploitation(&knowledge, false, "CVE-2026-2", None), ["none"]);
        let poc = Some("CVSS:3.1/AV:N/E:P");
        assert_eq!(exploitation(&knowledge, false, "CVE-2026-2", poc), ["public-poc"]);
        assert_eq!(exploitation(&knowledge, false, "CVE-2026-2", Some("CVSS:4.0/AV:N/E:A")), ["active"]);
    }

    #[test]
    fn without_a_catalogue_that_can_know_active_stays_possible() {
        let empty = Knowledge::default();
        assert_eq!(exploitation(&empty, true, "CVE-2026-2", None), ["none", "public-poc", "active"]);
        let knowledge = Knowledge { kev: Some(kev(&[])), ..Knowledge::default() };
        assert_eq!(exploitation(&knowledge, true, "CVE-2026-2", None).len(), 3);
        assert_eq!(exploitation(&knowledge, false, "vulnerability-1", None).len(), 3);
        let poc = Some("CVSS:3.1/AV:N/E:P");
        assert_eq!(exploitation(&knowledge, true, "CVE-2026-2", poc), ["public-poc", "active"]);
    }

    proptest! {
        #[test]
        fn no_score_ever_changes_what_is_known_of_exploitation(probability in 0..=100_000_u32, listed: bool) {
            let ids: &[&str] = if listed { &["CVE-2026-7"] } else { &[] };
            let mut knowledge = Knowledge { kev: Some(kev(ids)), ..Knowledge::default() };
            let before = exploitation(&knowledge, false, "CVE-2026-7", None);
            let score = Score { probability, percentile: probability };
            let by_cve = HashMap::from([((2026, 7), score)]);
            let content = Scores { by_cve, ..Scores::default() };
            knowledge.epss = Some(Held { content: Arc::new(content), source: source("epss.csv") });
            prop_assert_eq!(exploitation(&knowledge, false, "CVE-2026-7", None), before);
            let shown = Sources { knowledge: &knowledge, kev_stale: false }.epss("CVE-2026-7");
            prop_assert_eq!(shown.map(|it| it.0), Some(score));
        }
    }
}
