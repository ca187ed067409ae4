//! The board in short, asset by asset, for whoever tells others of it again and again: counts of every asset at
//! hand, and a stamp that stays the same as long as nothing about an asset's findings has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::duty::Controls;
use crate::triage::Ledger;

use super::asset::Held;
use super::board::{Board, BoardError, LastSeen, OnBoard};
use super::judge::Judged;
use super::page::{self, Filter, FindingView, Weather};
use super::rank::{Now, Ranks};
use super::standing::Clerk;
use super::verdict::{Outcome, Reason, Verdict};

/// Counts of one asset.
#[derive(Debug, Clone)]
pub struct Brief {
    /// The asset.
    pub asset: Arc<str>,
    /// Findings by verdict.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Findings by reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// What they rest on.
    pub stamp: Stamp,
}

impl Brief {
    /// Findings that somebody has to look at.
    pub fn open(&self) -> u64 {
        self.verdicts.iter().filter(|(verdict, _)| verdict.is_open()).map(|(_, count)| count).sum()
    }
}

/// What the findings of an asset rest on, kept alive so that nothing else can take its place.
#[derive(Debug, Clone)]
pub struct Stamp {
    judged: Arc<Judged>,
    ranks: Arc<Ranks>,
    ledger: Arc<Ledger>,
    controls: Arc<Controls>,
    /// What outcomes have become with age, by class.
    aged: Arc<[Outcome]>,
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.judged, &other.judged)
            && Arc::ptr_eq(&self.ranks, &other.ranks)
            && Arc::ptr_eq(&self.ledger, &other.ledger)
            && Arc::ptr_eq(&self.controls, &other.controls)
            && (Arc::ptr_eq(&self.aged, &other.aged) || self.aged == other.aged)
    }
}

impl Board {
    /// Counts of every asset, by id.
    ///
    /// # Errors
    /// What is known changes faster than it is judged.
    pub fn briefs(&self, now_ms: i64, seen: LastSeen<'_>) -> Result<Vec<Brief>, BoardError> {
        let state = self.settled(None, now_ms)?;
        let weather = Weather::new(&state.index.knowledge, self.ages(), now_ms);
        let now = Now::new(&weather);
        // Outdated or not, by software and platform: few cases, shared by all assets.
        let mut cases: BTreeMap<(bool, bool), Arc<[Outcome]>> = BTreeMap::new();
        let brief = |on_board: &OnBoard| {
            let facts = &on_board.facts;
            let seen_ms = seen(&facts.id);
            let outdated = |held: &Held| weather.is_outdated(held.heard_ms(seen_ms));
            let case = (outdated(&facts.software), outdated(&facts.platform));
            let outcomes = cases.entry(case).or_insert_with(|| now.of(case.0, case.1).as_slice().into());
            let (mut verdicts, mut reasons) = (BTreeMap::new(), BTreeMap::new());
            for (class, counts) in &on_board.ranks.counts {
                let Some(outcome) = outcomes.get(*class) else { continue };
                let all: u64 = counts.iter().copied().map(u64::from).sum();
                *verdicts.entry(outcome.verdict()).or_insert(0) += all;
                if let Some(reason) = outcome.reason() {
                    *reasons.entry(reason).or_insert(0) += all;
                }
            }
            let stamp = Stamp {
                judged: on_board.findings()?,
                ranks: Arc::clone(&on_board.ranks),
                ledger: Arc::clone(&state.ledger),
                controls: Arc::clone(&state.controls),
                aged: Arc::clone(outcomes),
            };
            Some(Brief { asset: Arc::clone(&facts.id), verdicts, reasons, stamp })
        };
        Ok(state.assets.values().filter_map(brief).collect())
    }

    /// The open findings of some assets, most urgent first, at most `most` of each. One that is not on the board
    /// has none.
    ///
    /// # Errors
    /// What is known changes faster than it is judged.
    pub fn worst<'a>(
        &self,
        assets: impl IntoIterator<Item = &'a str>,
        most: usize,
        now_ms: i64,
        seen: LastSeen<'_>,
    ) -> Result<Vec<Vec<FindingView>>, BoardError> {
        let state = self.settled(None, now_ms)?;
        let weather = Weather::new(&state.index.knowledge, self.ages(), now_ms);
        let clerk = Clerk::new(&self.sections, &state, &weather, now_ms);
        let worst = |asset: &str| {
            let filter = Filter { asset: Some(asset.to_owned()), limit: most, ..Filter::default() };
            let page = page::page(&state, &filter, &weather, seen, &clerk);
            page.findings.into_iter().filter(|it| it.outcome.verdict().is_open()).collect()
        };
        Ok(assets.into_iter().map(worst).collect())
    }
}
