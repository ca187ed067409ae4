//! How assets and changes became what they are: a moment for each time that their verdicts or their state
//! became otherwise. What only was said again is no moment.

use holdpoint_common::bundle::{Class, Key};
use holdpoint_proto::store as pb;
use holdpoint_proto::summary::{AssetSummary, ChangeSummary, Count};
use prost::Message;

use super::facts::Fact;
use super::page::{InvalidPage, VERSION, version};

/// Most moments of one asset or change.
pub const MAX_MOMENTS: usize = 200;
/// How long a moment is kept, in milliseconds: 400 days, but never the newest.
pub const KEPT_MS: i64 = 400 * 24 * 3_600_000;

/// What a fact says at this moment, where its history is kept; `None` for a fact of another class, and for
/// content that cannot be read. A fact that is gone says that it is gone.
pub fn moment(key: &Key, fact: Option<&Fact>, now_ms: i64) -> Option<pb::FleetMoment> {
    let class = key.class();
    if !matches!(class, Class::Asset | Class::Change) {
        return None;
    }
    let live = fact.and_then(|it| it.content.as_deref().map(|content| (it, content)));
    let Some((fact, content)) = live else {
        let sequence = fact.map_or(0, |it| it.sequence);
        return Some(pb::FleetMoment { at_ms: now_ms, sequence, gone: true, ..pb::FleetMoment::default() });
    };
    let said =
        pb::FleetMoment { at_ms: fact.since_ms, sequence: fact.sequence, ..pb::FleetMoment::default() };
    if class == Class::Asset {
        let AssetSummary { freshness, verdicts, .. } = AssetSummary::decode(content).ok()?;
        Some(pb::FleetMoment { state: freshness, verdicts: counts(verdicts), ..said })
    } else {
        let ChangeSummary { state, by_verdict, vetoed, .. } = ChangeSummary::decode(content).ok()?;
        Some(pb::FleetMoment { state, verdicts: counts(by_verdict), vetoed, ..said })
    }
}

/// Adds a moment to a history if it says something else than the newest. Says whether it did.
pub fn add(history: &mut pb::FleetHistory, moment: pb::FleetMoment) -> bool {
    let says = |it: &pb::FleetMoment| {
        let pb::FleetMoment { at_ms: _, sequence: _, state, gone, verdicts, vetoed } = it.clone();
        (state, gone, verdicts, vetoed)
    };
    let newest = history.moments.last();
    // What was never there cannot be gone.
    if newest.is_some_and(|it| says(it) == says(&moment)) || (newest.is_none() && moment.gone) {
        return false;
    }
    let since_ms = moment.at_ms.saturating_sub(KEPT_MS);
    history.moments.push(moment);
    let over = history.moments.len().saturating_sub(MAX_MOMENTS);
    let old = history.moments.iter().take_while(|it| it.at_ms < since_ms).count();
    let forgotten = history.moments.drain(..over.max(old.min(history.moments.len() - 1))).count();
    history.beyond = history.beyond.saturating_add(u64::try_from(forgotten).unwrap_or(u64::MAX));
    true
}

/// A history from its page; a new one when there is none.
///
/// # Errors
/// It is not what was written.
pub fn read(page: Option<&[u8]>) -> Result<pb::FleetHistory, InvalidPage> {
    let Some(bytes) = page else {
        return Ok(pb::FleetHistory { version: VERSION, ..pb::FleetHistory::default() });
    };
    let history = pb::FleetHistory::decode(bytes).map_err(|_| InvalidPage("a history"))?;
    version(history.version)?;
    Ok(history)
}

fn counts(counts: Vec<Count>) -> Vec<pb::FleetCount> {
    counts.into_iter().map(|Count { word, count }| pb::FleetCount { word, count }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: i64, state: &str) -> pb::FleetMoment {
        pb::FleetMoment { at_ms, state: state.to_owned(), ..pb::FleetMoment::default() }
    }

    #[test]
    fn what_is_said_again_is_no_moment_and_what_was_never_there_is_not_gone() {
        let mut history = read(None).unwrap();
        let gone = pb::FleetMoment { gone: true, ..at(1, "") };
        assert!(!add(&mut history, gone.clone()));
        assert!(add(&mut history, at(2, "fresh")));
        assert!(!add(&mut history, at(3, "fresh")));
        assert!(add(&mut history, gone));
        assert!(add(&mut history, at(5, "fresh")));
        assert_eq!(history.moments.iter().map(|it| it.at_ms).collect::<Vec<_>>(), [2, 1, 5]);
    }

    #[test]
    fn old_moments_go_and_are_counted_and_the_newest_stays() {
        let mut history = read(None).unwrap();
        for number in 0..i64::try_from(MAX_MOMENTS).unwrap() + 5 {
            add(&mut history, at(number, if number % 2 == 0 { "fresh" } else { "stale" }));
        }
        assert_eq!((history.moments.len(), history.beyond), (MAX_MOMENTS, 5));
        add(&mut history, at(2 * KEPT_MS, "silent"));
        assert_eq!((history.moments.len(), history.beyond), (1, 205));
    }
}
