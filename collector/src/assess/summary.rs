//! Counts over the whole board: verdicts, reasons, and how much of the inventory knowledge speaks of at all.

use std::collections::BTreeMap;

use crate::knowledge::{FeedState, Identity, Kind};

use super::asset::Held;
use super::board::{LastSeen, State};
use super::matchability::{Class, product_classes};
use super::page::Weather;
use super::rank::{self, Now};
use super::row::Match;
use super::verdict::{Reason, Verdict};

/// The counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Findings by verdict.
    pub by_verdict: BTreeMap<Verdict, u64>,
    /// Findings by reason.
    pub by_reason: BTreeMap<Reason, u64>,
    /// What can be matched at all, by name.
    pub matchability: Vec<(&'static str, u64)>,
    /// The state of the feeds.
    pub feeds: [FeedState; Kind::ALL.len()],
    /// Assets that are judged.
    pub assets: u32,
    /// Open findings by outcome of triage; `none` where no triage is made.
    pub by_triage: BTreeMap<&'static str, u64>,
}

pub(super) fn summary(state: &State, weather: &Weather, seen: LastSeen<'_>) -> Summary {
    let index = state.index.as_ref();
    let (mut by_verdict, mut by_reason) = (BTreeMap::new(), BTreeMap::new());
    let mut installed = [0_u64; 5];
    let mut without_rows = 0_u64;
    let (now, mut by_triage) = (Now::new(weather), BTreeMap::new());
    for on_board in state.assets.values() {
        let facts = &on_board.facts;
        let Some(judged) = on_board.judged() else { continue };
        let seen_ms = seen(&facts.id);
        let outdated = |held: &Held| weather.is_outdated(held.heard_ms(seen_ms));
        let outcomes = now.of(outdated(&facts.software), outdated(&facts.platform));
        for (class, counts) in &on_board.ranks.counts {
            let Some(outcome) = outcomes.get(*class) else { continue };
            let all: u64 = counts.iter().copied().map(u64::from).sum();
            *by_verdict.entry(outcome.verdict()).or_insert(0) += all;
            if let Some(reason) = outcome.reason() {
                *by_reason.entry(reason).or_insert(0) += all;
            }
            let open = (0_u8..).zip(counts).filter(|it| outcome.verdict().is_open() && *it.1 > 0);
            for (rank, count) in open {
                *by_triage.entry(rank::word(rank).unwrap_or("none")).or_insert(0) += u64::from(*count);
            }
        }
        without_rows += u64::from(facts.software.digest.is_none());
        for (sum, count) in installed.iter_mut().zip(judged.matched) {
            *sum += u64::from(count);
        }
    }
    let classes = product_classes(state);
    let by_people = index.products.iter().map(|it| it.identity == Identity::Named);
    let classes: Vec<Class> =
        classes.into_iter().zip(by_people).filter(|it| it.1).map(|((class, _), _)| class).collect();
    let named =
        |class: Class| u64::try_from(classes.iter().filter(|it| **it == class).count()).unwrap_or(u64::MAX);
    let of = |class: Match| installed[class as usize];
    let matchability = vec![
        ("installed-confirmed", of(Match::Confirmed)),
        ("installed-candidate", of(Match::Candidate)),
        ("installed-rejected", of(Match::Rejected)),
        ("installed-required", of(Match::Required)),
        ("installed-no-feed", of(Match::NoFeed)),
        ("assets-no-data", without_rows),
        ("advisory-confirmed", named(Class::Confirmed)),
        ("advisory-candidate", named(Class::Candidate)),
        ("advisory-rejected", named(Class::Rejected)),
        ("advisory-no-feed", named(Class::NoFeed)),
        ("advisory-no-data", named(Class::NoData)),
    ];
    Summary {
        by_verdict,
        by_reason,
        matchability,
        feeds: *weather.feeds(),
        assets: u32::try_from(state.assets.len()).unwrap_or(u32::MAX),
        by_triage,
    }
}
