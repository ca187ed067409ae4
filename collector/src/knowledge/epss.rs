//! EPSS: how likely the exploitation of a vulnerability is within 30 days.
//!
//! Source of truth: the daily CSV of FIRST. Its first line says model and day
//! (`#model_version:v2025.03.14,score_date:2026-11-20T00:00:00+0000`), the second names the columns.
//! A line that cannot be read is left out and said.

use std::collections::HashMap;

use super::skipped::Skipped;
use super::text::shown;

/// Most scores of one file.
pub const MAX_SCORES: usize = 1_000_000;
/// Longest line of an honest file, in bytes; checked before a parser splits anything.
const MAX_LINE: usize = 200;
/// How a score is counted.
const WHOLE: u32 = 100_000;

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

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEpss {
    /// Bytes that are no text.
    #[error("it is a list of scores and not UTF-8 text")]
    NotText,
    /// A score without its day and model can be neither aged nor recomputed.
    #[error("its first line does not say model_version and score_date")]
    Undated,
    /// Columns of another list.
    #[error("its columns are not cve,epss,percentile")]
    Columns,
    /// A line that no list of scores has.
    #[error("line {0} is longer than {MAX_LINE} bytes")]
    LongLine(usize),
    /// Two scores for one vulnerability.
    #[error("line {line}: `{cve}` is scored twice")]
    Duplicate {
        /// Which line, from 1.
        line: usize,
        /// Of what.
        cve: String,
    },
    /// Nothing in it.
    #[error("it is a list of scores and holds none")]
    Empty,
    /// More than an honest list has.
    #[error("it has more than {MAX_SCORES} scores")]
    TooMany,
}

/// Whether bytes begin as a list of scores does.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    bytes.starts_with(b"#model_version:") || bytes.starts_with(b"cve,epss,percentile")
}

/// The year and number of a CVE; `None` for anything else.
pub fn cve(text: &str) -> Option<(u16, u32)> {
    let (year, number) = text.strip_prefix("CVE-")?.split_once('-')?;
    let digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    let plain = year.len() == 4 && (4..=9).contains(&number.len()) && digits(year) && digits(number);
    plain.then_some((year.parse().ok()?, number.parse().ok()?))
}

/// Reads a list and says what was left out.
pub fn read(bytes: &[u8]) -> Result<(Scores, Vec<String>), InvalidEpss> {
    let text = std::str::from_utf8(bytes).map_err(|_| InvalidEpss::NotText)?;
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let (model, scored) = lines.next().and_then(|(_, it)| heading(it)).ok_or(InvalidEpss::Undated)?;
    match lines.next() {
        Some((_, "cve,epss,percentile")) => {}
        _ => return Err(InvalidEpss::Columns),
    }
    let mut by_cve = HashMap::new();
    let mut skipped = Skipped::default();
    for (number, line) in lines {
        if line.len() > MAX_LINE {
            return Err(InvalidEpss::LongLine(number));
        }
        if line.is_empty() {
            continue;
        }
        let Some((cve, score)) = read_line(line) else {
            skipped.add(|| format!("line {number}: `{}` is no score", shown(line, 60)));
            continue;
        };
        if by_cve.len() == MAX_SCORES {
            return Err(InvalidEpss::TooMany);
        }
        if by_cve.insert(cve, score).is_some() {
            return Err(InvalidEpss::Duplicate { line: number, cve: format!("CVE-{}-{:04}", cve.0, cve.1) });
        }
    }
    if by_cve.is_empty() {
        return Err(InvalidEpss::Empty);
    }
    Ok((Scores { model, scored, by_cve }, skipped.into_lines()))
}

/// Model and day, both as written.
fn heading(line: &str) -> Option<(String, String)> {
    let line = line.get(..MAX_LINE.min(line.len()))?.strip_prefix('#')?;
    let field = |name: &str| {
        let value = line.split(',').find_map(|it| it.strip_prefix(name)?.strip_prefix(':'))?;
        Some(shown(value, 60)).filter(|it| !it.is_empty())
    };
    Some((field("model_version")?, field("score_date")?))
}

fn read_line(line: &str) -> Option<((u16, u32), Score)> {
    let mut fields = line.split(',');
    let (name, probability, percentile) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    Some((cve(name)?, Score { probability: share(probability)?, percentile: share(percentile)? }))
}

/// A number from 0 to 1 in hundred thousandths, read as decimal digits: no rounding of a binary fraction.
fn share(text: &str) -> Option<u32> {
    // Very small probabilities are written as `5e-05`.
    if text.contains(['e', 'E']) {
        let value: f64 = text.parse().ok().filter(|it| (0.0..=1.0).contains(it))?;
        return format!("{value:.5}").strip_prefix("0.").and_then(|it| it.parse().ok());
    }
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 20 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let fraction: u32 = format!("{digits:0<5}")[..5].parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(WHOLE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: &[u8] = include_bytes!("../../fixtures/epss/scores.csv");

    #[test]
    fn scores_are_read_with_their_model_and_day() {
        let (scores, skipped) = read(SCORES).unwrap();
        assert_eq!(scores.model, "v2025.03.14");
        assert_eq!(scores.scored, "2026-11-20T00:00:00+0000");
        assert_eq!(scores.by_cve[&(2026, 1001)], Score { probability: 94_301, percentile: 99_912 });
        assert_eq!(scores.by_cve[&(2025, 20_001)], Score { probability: 43, percentile: WHOLE });
        assert_eq!(scores.by_cve[&(2025, 1)], Score { probability: 5, percentile: 1_000 });
        assert_eq!(skipped, ["line 6: `CVE-2025-0002,2.0,0.1` is no score"]);
    }

    #[test]
    fn a_list_without_its_day_is_refused() {
        let text = |it: &str| read(it.as_bytes()).unwrap_err();
        assert_eq!(text("cve,epss,percentile\nCVE-2025-0001,0.1,0.1\n"), InvalidEpss::Undated);
        assert_eq!(text("#model_version:v1,score_date:\ncve,epss,percentile\n"), InvalidEpss::Undated);
        assert_eq!(text("#model_version:v1,score_date:d\ncve,epss\n"), InvalidEpss::Columns);
        assert_eq!(text("#model_version:v1,score_date:d\ncve,epss,percentile\n"), InvalidEpss::Empty);
        let columns =
            format!("#model_version:v1,score_date:d\ncve,epss,percentile\n{}", ",".repeat(1_000_000));
        assert_eq!(text(&columns), InvalidEpss::LongLine(3));
    }

    #[test]
    fn a_vulnerability_that_is_scored_twice_refuses_the_list() {
        let twice = [SCORES, b"CVE-2026-1001,0.1,0.1\n"].concat();
        let error = read(&twice).unwrap_err();
        assert_eq!(error, InvalidEpss::Duplicate { line: 7, cve: "CVE-2026-1001".into() });
    }

    #[test]
    fn a_cve_has_a_year_and_at_least_four_digits() {
        assert_eq!(cve("CVE-2024-0001"), Some((2024, 1)));
        for text in ["CVE-2024-1", "CVE-24-0001", "CVE-2024-+001", "cve-2024-0001", "CVE-2024-9999999999", ""]
        {
            assert_eq!(cve(text), None, "{text}");
        }
    }
}
