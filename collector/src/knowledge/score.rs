//! CVSS: from a vector to the score that it really gives.
//!
//! A published score is checked against its vector; where the two disagree the vector's own is used and said.

use std::str::FromStr;

use cvss::Cvss;

use super::skipped::Skipped;
use super::text::shown;

/// Longest vector, in bytes: every metric of version 4 fits several times.
const MAX_VECTOR: usize = 400;
/// How far a published score may be from the computed one: scores have one digit after the point.
const TOLERANCE: f64 = 0.05;

/// A score as a file gives it: as a vector, as a number, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scored {
    pub(super) vector: Option<String>,
    pub(super) score: Option<f64>,
    pub(super) word: Option<String>,
}

impl Scored {
    /// Of a vector alone.
    pub(super) fn of_vector(vector: &str) -> Self {
        Self { vector: Some(vector.to_owned()), ..Self::default() }
    }
}

/// The score that counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Highest {
    /// Score and word: "8.1 HIGH".
    pub(super) severity: Option<String>,
    /// The vector that it is of, as written.
    pub(super) vector: Option<String>,
}

/// The highest of several scores; says which vectors cannot be read or give another score than was published.
pub(super) fn highest(all: impl Iterator<Item = Scored>, skipped: &mut Skipped) -> Option<Highest> {
    let mut best: Option<(f64, Highest)> = None;
    for scored in all {
        let Scored { vector, score, word } = scored;
        let vector = vector.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        let computed = vector.as_deref().and_then(|it| {
            let computed = compute(it);
            if computed.is_none() {
                skipped.add(|| format!("the CVSS vector `{}` cannot be read", shown(it, 60)));
            }
            computed
        });
        if let (Some((computed, _)), Some(said)) = (&computed, score)
            && (computed - said).abs() > TOLERANCE
        {
            skipped.add(|| {
                let vector = shown(vector.as_deref().unwrap_or(""), 60);
                format!("the published score {said} is not the one of its vector `{vector}`: {computed:.1}")
            });
        }
        let published = score.filter(|it| (0.0..=10.0).contains(it));
        let word = word.map(|it| shown(&it, 20)).filter(|it| !it.is_empty());
        let (number, word) = match computed {
            Some((number, own)) => (Some(number), Some(own)),
            None => (published, word),
        };
        let severity = match (number, word) {
            (Some(number), Some(word)) => Some(format!("{number:.1} {word}")),
            (Some(number), None) => Some(format!("{number:.1}")),
            (None, word) => word,
        };
        let vector = vector.filter(|it| it.len() <= MAX_VECTOR).map(|it| shown(&it, MAX_VECTOR));
        let rank = number.unwrap_or(0.0);
        if best.as_ref().is_none_or(|(known, _)| rank > *known) {
            best = Some((rank, Highest { severity, vector }));
        }
    }
    best.map(|(_, it)| it).filter(|it| it.severity.is_some() || it.vector.is_some())
}

/// The base score of a vector of any version, with its word in capitals.
fn compute(vector: &str) -> Option<(f64, String)> {
    if vector.len() > MAX_VECTOR {
        return None;
    }
    let bare = vector.trim_start_matches('(').trim_end_matches(')');
    // Only base scores are compared: temporal metrics age.
    let (score, severity) = match Cvss::from_str(bare).ok()? {
        Cvss::CvssV20(it) => (it.score().value(), it.score().severity()),
        Cvss::CvssV30(it) | Cvss::CvssV31(it) => (it.base_score().value(), it.base_score().severity()),
        Cvss::CvssV40(it) => (it.score().value(), it.score().severity()),
        _ => return None,
    };
    Some((score, severity.to_string().to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_computed_again_and_a_wrong_one_is_said() {
        let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
        let mut skipped = Skipped::default();
        let of = |score| Scored { vector: Some(vector.into()), score: Some(score), word: Some("LOW".into()) };
        let found = highest([of(9.8)].into_iter(), &mut skipped).unwrap();
        assert_eq!(found.severity.as_deref(), Some("9.8 CRITICAL"));
        assert_eq!(found.vector.as_deref(), Some(vector));
        let found = highest([of(3.0)].into_iter(), &mut skipped).unwrap();
        assert_eq!(found.severity.as_deref(), Some("9.8 CRITICAL"), "the vector counts");
        let lines = skipped.into_lines();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("the published score 3 is not the one of its vector"), "{lines:?}");
    }

    #[test]
    fn vectors_of_every_version_are_read_and_damaged_ones_are_said() {
        assert_eq!(compute("AV:N/AC:L/Au:N/C:P/I:P/A:P").map(|it| it.0), Some(7.5));
        let four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";
        assert_eq!(compute(four).map(|it| it.0), Some(9.3));
        let temporal = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O/RC:C";
        assert_eq!(
            compute(temporal).map(|it| it.0),
            Some(9.8),
            "temporal metrics do not change a base score"
        );
        let mut skipped = Skipped::default();
        let kept = highest([Scored::of_vector("CVSS:3.1/AV:X")].into_iter(), &mut skipped);
        assert_eq!(kept.and_then(|it| it.severity), None);
        assert_eq!(skipped.into_lines(), ["the CVSS vector `CVSS:3.1/AV:X` cannot be read"]);
    }
}
