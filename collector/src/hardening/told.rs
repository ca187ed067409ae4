//! An outcome in words: what was seen, what was expected, where it stands, and why nobody can say more.

use super::condition::{Condition, Meaning};
use super::file::Exception;
use super::judge::{Asset, Part, Seen};
use super::result::{Elsewhere, Missing, Outcome, Verdict};
use super::rule::Asks;
use super::ruleset::{Chosen, Laid, LaidChange};
use super::value::Value;
use crate::knowledge::text::shown;

/// Most facts that one answer names; the others are counted.
const MAX_PARTS: usize = 6;
/// Longest text of one part, in characters.
const MAX_VALUE: usize = 600;
/// Longest reason, in characters.
const MAX_REASON: usize = 1_000;

/// A result as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// One of the six words.
    pub verdict: Verdict,
    /// The facts that decide.
    pub observed: Option<String>,
    /// What was expected of them.
    pub expected: Option<String>,
    /// Where they come from.
    pub source: Option<String>,
    /// For `NOT_CHECKED` a code, a colon and what is missing; else what there is to know.
    pub reason: Option<String>,
    /// When an exception ends, Unix milliseconds.
    pub expires_ms: Option<i64>,
}

/// Words a result. The exception is the best one that is for this rule and asset, valid or not.
pub(super) fn tell(
    chosen: &Chosen<'_>,
    seen: &Seen<'_>,
    asset: &Asset,
    exception: Option<(&Exception, &str)>,
    now_ms: i64,
) -> Told {
    let excepted = exception.filter(|_| seen.outcome == Outcome::Fail);
    let valid = excepted.filter(|it| it.0.is_valid(now_ms));
    let verdict = if valid.is_some() { Verdict::Exception } else { seen.outcome.verdict() };
    let expected = match chosen.asks {
        Asks::Facts(condition) => Some(condition.text()),
        Asks::Nothing(_, _) => None,
    };
    let is_single = matches!(chosen.asks, Asks::Facts(Condition::Fact(_)))
        && seen.parts.len() == 1
        && !matches!(seen.outcome, Outcome::NotApplicable(_));
    let mut observed: Vec<String> = Vec::new();
    let mut sources: Vec<&str> = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    reasons.extend(match excepted {
        Some((it, file)) if valid.is_some() => Some(format!(
            "accepted until {} by {} for {} ({file}): {}",
            it.last_day,
            it.owner,
            it.scope(),
            it.reason
        )),
        Some((it, file)) => Some(format!("the exception of {} ended on {} ({file})", it.owner, it.last_day)),
        None => None,
    });
    reasons.extend(why(chosen, seen.outcome));
    for part in seen.parts.iter().take(MAX_PARTS) {
        let Some(row) = part.row else { continue };
        observed.push(said(part, asset, is_single));
        if !sources.contains(&row.source.as_str()) {
            sources.push(&row.source);
        }
        if let Some(reason) =
            row.reason.as_deref().filter(|_| seen.outcome.verdict() != Verdict::Pass || is_single)
        {
            let subject = row.subject.as_deref().filter(|_| !is_single);
            let reason = match subject {
                Some(subject) => format!("{subject}: {reason}"),
                None => reason.to_owned(),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        if part.outcome == Outcome::Error && row.state == "observed" {
            reasons.push(format!("{} is of another type than the rule expects", row.id));
        }
    }
    if seen.parts.len() > MAX_PARTS {
        observed.push(format!("and {} more", seen.parts.len() - MAX_PARTS));
    }
    let is_gone = |it: &&Part<'_>| it.row.is_none() && it.outcome == Outcome::Fail && it.leaf.asks_baseline();
    reasons.extend(
        seen.parts
            .iter()
            .filter(is_gone)
            .map(|it| format!("something of {} that was approved is not there any more", it.leaf.fact)),
    );
    let unsaid = seen.parts.iter().filter(|it| it.row.is_none() && !is_gone(it));
    let unsaid: Vec<&str> = unsaid.map(|it| it.leaf.fact.as_str()).collect();
    if !unsaid.is_empty() {
        reasons.push(format!("nothing is said of {}", unsaid.join(", ")));
    }
    reasons.extend(chosen.laid.filter(|_| !is_about_laid(seen.outcome)).map(laid));
    let line = |texts: &[String], between: &str, max: usize| {
        let text = shown(&texts.join(between), max);
        (!text.is_empty()).then_some(text)
    };
    let code = match seen.outcome {
        Outcome::NotChecked(missing) => format!("{}: ", missing.as_str()),
        Outcome::Pass | Outcome::Fail | Outcome::NotApplicable(_) | Outcome::Error => String::new(),
    };
    let reason = line(&reasons, "; ", MAX_REASON).map(|it| format!("{code}{it}"));
    Told {
        verdict,
        observed: line(&observed, "; ", MAX_VALUE * 2),
        expected,
        source: line(&sources.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), ", ", MAX_VALUE),
        reason,
        expires_ms: valid.map(|it| it.0.expires_ms),
    }
}

/// Whether the outcome itself says what was laid over the rule.
fn is_about_laid(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::NotChecked(Missing::Disabled)
            | Outcome::NotApplicable(Elsewhere::Profile | Elsewhere::OtherAsset)
    )
}

fn laid(it: &Laid) -> String {
    match &it.document {
        Some(document) => format!("expected by {}: {} ({document})", it.file, it.reason),
        None => format!("expected by {}: {}", it.file, it.reason),
    }
}

fn why(chosen: &Chosen<'_>, outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Pass | Outcome::Fail | Outcome::Error => None,
        Outcome::NotChecked(Missing::Disabled) => {
            let laid = chosen.laid.filter(|it| matches!(it.change, LaidChange::Disabled))?;
            Some(format!("{} does not check it: {}", laid.file, laid.reason))
        }
        Outcome::NotChecked(missing) => match chosen.asks {
            Asks::Nothing(own, text) if *own == missing => Some(text.clone()),
            Asks::Nothing(_, _) | Asks::Facts(_) => Some(missing.text().to_owned()),
        },
        Outcome::NotApplicable(Elsewhere::Profile) => {
            let laid = chosen.laid?;
            let document = laid.document.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
            Some(format!("{}: {}{document}", laid.file, laid.reason))
        }
        Outcome::NotApplicable(Elsewhere::OtherAsset) => Some(format!("it is for: {}", chosen.rule.applies)),
        Outcome::NotApplicable(Elsewhere::NothingThere) => Some("there is nothing to check".to_owned()),
        Outcome::NotApplicable(Elsewhere::OtherSystem) => Some("it is for another system".to_owned()),
    }
}

/// `names.netbios[Tcpip_{..}] = enabled`, or the value alone where there is one fact only.
fn said(part: &Part<'_>, asset: &Asset, is_single: bool) -> String {
    let Some(row) = part.row else { return String::new() };
    let value = match &row.value {
        Some(value) => Value::of_row(value).to_string(),
        None if row.state == "absent" => match part.leaf.meaning(asset) {
            Some(Meaning::Value(value)) => format!("absent, which means {value}"),
            Some(_) | None => row.state.clone(),
        },
        None => row.state.clone(),
    };
    let value = shown(&value, MAX_VALUE);
    match &row.subject {
        Some(subject) => format!("{}[{subject}] = {value}", row.id),
        None if is_single => value,
        None => format!("{} = {value}", row.id),
    }
}
