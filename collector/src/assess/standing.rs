//! What stands beside a finding when somebody looks at it: triage, disposition, tracks of its patch, derived status.
//!
//! Looked up for what is shown and never for a whole zone; only ranks are kept at hand.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::Arc;

use holdpoint_common::proto::store::{ControlRecord, DecisionRecord, DispositionRecord, OwnerStepRecord};
use holdpoint_common::proto::v1::SectionKind;
use holdpoint_common::section::Digest;

use crate::knowledge::statement::Statement;
use crate::knowledge::text::shown;
use crate::knowledge::{Source, Versions};
use crate::triage::control::{self, Tested};
use crate::triage::decide::{Decision, Gathered, Scheme};
use crate::triage::disposition::{self, Disposed, Disposition, Standing};
use crate::triage::inputs::{Input, Sources};
use crate::triage::owner::{self, OwnerState};
use crate::triage::service::{self, Seen};
use crate::triage::state::{self, Axes};
use crate::triage::table::{AUTOMATABLE, EXPLOITATION, SERVICE};
use crate::triage::{Ledger, Places, tracks};

use super::asset::{AssetFacts, Coverage, Held};
use super::board::{Board, BoardError, LastSeen, OnBoard, State};
use super::chain;
use super::explain::Step;
use super::index::{Index, at};
use super::judge::Compact;
use super::page::{self, Weather, time_text};
use super::rank;
use super::row;
use super::subject::{Of, SubjectId};
use super::verdict::{Outcome, Verdict};
use super::work::Sections;

/// A finding with its triage by every scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriageView {
    /// The subject in full.
    pub subject: String,
    /// What holds now.
    pub outcome: Outcome,
    /// One for each scheme; none for a requirement.
    pub decisions: Vec<Decision>,
    /// The probability of exploitation in words.
    pub epss: Option<String>,
}

type SharedRows = Option<Arc<Vec<Vec<u8>>>>;

/// Looks up what stands beside findings, each section once.
pub(super) struct Clerk<'a> {
    sections: &'a Sections,
    state: &'a State,
    weather: &'a Weather,
    now_ms: i64,
    rows: RefCell<HashMap<Digest, SharedRows>>,
}

impl<'a> Clerk<'a> {
    pub(super) fn new(sections: &'a Sections, state: &'a State, weather: &'a Weather, now_ms: i64) -> Self {
        Self { sections, state, weather, now_ms, rows: RefCell::default() }
    }

    fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    fn rows(&self, kind: SectionKind, held: &Held) -> SharedRows {
        let digest = held.digest?;
        self.rows.borrow_mut().entry(digest).or_insert_with(|| self.sections.rows(kind, &digest)).clone()
    }

    /// The outcome of triage and what it lacks; nothing for what is not open or no vulnerability.
    pub(super) fn triage(
        &self,
        on_board: &OnBoard,
        finding: Compact,
        position: Option<usize>,
    ) -> (Option<&'static str>, Vec<&'static str>) {
        let Some(position) = position.filter(|_| finding.outcome.verdict().is_open()) else {
            return (None, Vec::new());
        };
        let word = rank::word(on_board.ranks.of(position));
        if word.is_none() || !on_board.ranks.is_undetermined(position) {
            return (word, Vec::new());
        }
        let mut missing = Vec::new();
        if let Some(Of::Entry { advisory, vulnerability, .. }) =
            self.state.index.subject(finding.subject).map(|it| it.of)
            && let Some(of) = rank::vulnerable(&self.state.index, advisory, vulnerability)
        {
            let sources = self.sources();
            let known = [sources.exploitation(of), sources.automatable(of)].map(|it| it.set.is_known());
            let names = [EXPLOITATION.name, AUTOMATABLE.name];
            missing.extend(names.into_iter().zip(known).filter(|it| !it.1).map(|it| it.0));
        }
        let places = &self.state.ranker.places;
        let (safety, mission, _) = places.impact(&on_board.facts.id);
        let stated = [places.exposure(&on_board.facts.id), safety, mission];
        missing.extend(stated.iter().filter(|it| !it.set.is_known()).map(|it| it.point.name));
        (word, missing)
    }

    fn sources(&self) -> Sources<'_> {
        Sources { knowledge: &self.state.index.knowledge, kev_stale: self.state.ranker.kev_stale }
    }

    /// The derived status and the disposition of a finding.
    pub(super) fn decided(
        &self,
        on_board: &OnBoard,
        finding: Compact,
        seen_ms: Option<i64>,
    ) -> (String, Option<&'static str>) {
        let index = self.state.index.as_ref();
        let Some(subject) = index.subject(finding.subject) else { return (String::new(), None) };
        let axes = self.axes(on_board, &subject.text, subject.of, seen_ms);
        let disposition = finding.outcome.verdict().is_open().then(|| match &axes.disposed {
            Some(disposed) if disposed.standing.counts() => disposed.kind.as_str(),
            Some(_) | None => "open",
        });
        (state::state(finding.outcome, &axes), disposition)
    }

    fn axes(&self, on_board: &OnBoard, subject: &str, of: Of, seen_ms: Option<i64>) -> Axes {
        let index = self.state.index.as_ref();
        let facts = &on_board.facts;
        let (keys, vulnerability) = keys_of(index, of);
        let stated = self.stated(&keys);
        let lent: Vec<&Statement> = stated.iter().map(|it| it.0).collect();
        Axes {
            never_reported: page::decides(index, facts, of).digest.is_none(),
            disposed: self.disposed(facts, subject, vulnerability, seen_ms),
            supplier: tracks::worst(&lent),
            owner: self.owner(facts, &keys).map(|it| it.1),
        }
    }

    /// What was decided last about a finding.
    fn disposed(
        &self,
        facts: &AssetFacts,
        subject: &str,
        vulnerability: Option<&str>,
        seen_ms: Option<i64>,
    ) -> Option<Disposed> {
        let tested = |it: &ControlRecord| self.test(facts, it, seen_ms);
        let mut disposed =
            disposition::of(self.ledger(), &facts.id, subject, vulnerability, self.now_ms, tested)?;
        let kept = || self.state.controls.kept(&facts.id, subject, vulnerability, self.now_ms, tested);
        if disposed.kind == Disposition::Mitigate
            && let Some(kept) = kept()
        {
            disposed.standing = kept.over(disposed.standing);
        }
        Some(disposed)
    }

    /// Whether a disposition as a whole stands, with the controls that were registered for it.
    fn standing(
        &self,
        record: &DecisionRecord,
        said: &DispositionRecord,
        tested: impl Fn(&ControlRecord) -> Tested,
    ) -> Standing {
        let alone = disposition::standing(self.ledger(), record, said, self.now_ms, &tested);
        if said.kind != Disposition::Mitigate.as_str() {
            return alone;
        }
        match self.state.controls.kept_of(&said.asset, &said.subject, self.now_ms, tested) {
            Some(kept) => kept.over(alone),
            None => alone,
        }
    }

    /// Whether a control holds on an asset.
    fn test(&self, facts: &AssetFacts, control: &ControlRecord, seen_ms: Option<i64>) -> Tested {
        let held = &facts.hardening;
        let rows = self.rows(SectionKind::Hardening, held);
        let current = !self.weather.is_outdated(held.heard_ms(seen_ms));
        control::test(control, rows.as_ref().map(|it| it.as_slice()), current)
    }

    /// What suppliers state of any of these patches.
    fn stated(&self, keys: &[String]) -> Vec<(&Statement, &Arc<Source>)> {
        keys.iter().flat_map(|it| self.state.ranker.tracks.of_patch(it)).collect()
    }

    /// Where a patch of a finding stands with the owner, in the asset's zone or for its role.
    fn owner(&self, facts: &AssetFacts, keys: &[String]) -> Option<(String, OwnerState)> {
        if self.ledger().is_empty() {
            return None;
        }
        let placed = self.state.ranker.places.asset(&facts.id).map(|it| it.0);
        let scopes = [
            placed.and_then(|it| it.zone.as_deref()),
            placed.and_then(|it| it.role.as_deref()),
            facts.role.as_deref(),
        ];
        let states = keys.iter().flat_map(|key| {
            scopes.into_iter().flatten().filter_map(move |scope| {
                let steps = self.ledger().steps(key, scope);
                let steps: Vec<&OwnerStepRecord> = steps.iter().map(|it| it.1).collect();
                (!steps.is_empty()).then(|| (format!("{key} in {scope}"), owner::fold(&steps)))
            })
        });
        // Of several the one that got furthest: a patch that is authorised is one that may be used.
        states.max_by_key(|it| it.1)
    }

    /// The steps of an explanation that tell of triage, disposition and tracks.
    pub(super) fn steps(&self, on_board: &OnBoard, number: SubjectId, seen_ms: Option<i64>) -> Vec<Step> {
        let index = self.state.index.as_ref();
        let Some(subject) = index.subject(number) else { return Vec::new() };
        let facts = &on_board.facts;
        let (keys, vulnerability) = keys_of(index, subject.of);
        let mut steps = Vec::new();
        if let (Some(gathered), Some(judged)) = (self.gathered(facts, number), on_board.judged()) {
            let decision = gathered.decide(Scheme::Deployer);
            let table = decision.scheme.table();
            let mut text = format!("{} {}: {}", table.scheme, table.version, decision.outcome);
            if decision.undetermined {
                let _ = write!(text, "; undetermined, not known: {}", decision.missing.join(", "));
            }
            let shown_rank = rank::position(judged, number).map(|it| on_board.ranks.of(it));
            if let Some(word) = shown_rank.and_then(rank::word).filter(|it| *it != decision.outcome) {
                let _ = write!(text, "; a person decided {word}");
            }
            steps.push(Step::new("triage", text).resting_on(table.digest.to_string()));
        }
        for (record, said) in self.ledger().dispositions(&facts.id) {
            if !disposition::covers(&said.subject, &subject.text, vulnerability) {
                continue;
            }
            let tested = |it: &ControlRecord| self.test(facts, it, seen_ms);
            let standing = self.standing(record, said, tested);
            let until = said.until_ms.map(|it| format!(" until {}", time_text(it))).unwrap_or_default();
            let text = format!(
                "{}{until} by {} (owner {}): {}; {}",
                said.kind,
                record.by,
                said.owner,
                said.reason,
                standing.text()
            );
            steps.push(Step::new("disposition", text).resting_on(format!("decision {}", record.number)));
        }
        let of_patch = self.stated(&keys);
        let of_product = match subject.of {
            Of::Entry { advisory, entry, .. } => index
                .advisory(advisory)
                .and_then(|it| at(&it.advisory.entries, entry))
                .map(|it| self.state.ranker.tracks.of_product(&it.vendor, &it.product))
                .unwrap_or_default(),
            Of::Requirement(_) => Vec::new(),
        };
        let other = of_product.iter().filter(|it| !of_patch.iter().any(|one| std::ptr::eq(one.0, it.0)));
        steps.extend(of_patch.iter().map(|it| supplier_step(it.0, it.1, "")));
        steps.extend(other.take(10).map(|it| supplier_step(it.0, it.1, "; it decides nothing here")));
        if let Some((place, state)) = self.owner(facts, &keys) {
            steps.push(Step::new("owner", format!("{place}: {}", state.as_str())));
        }
        steps
    }

    /// Everything that triage of a finding rests on; `None` for a requirement.
    fn gathered(&self, facts: &AssetFacts, number: SubjectId) -> Option<Gathered> {
        let index = self.state.index.as_ref();
        let Of::Entry { advisory, vulnerability, .. } = index.subject(number)?.of else { return None };
        let of = rank::vulnerable(index, advisory, vulnerability)?;
        let service = self.service(facts, number);
        Some(Gathered::of(self.sources(), &self.state.ranker.places, of, &facts.id, service))
    }

    fn service(&self, facts: &AssetFacts, number: SubjectId) -> Input {
        let index = self.state.index.as_ref();
        let platform = self.sections.platform(&facts.platform);
        let beside = self.sections.beside(index, facts, platform.as_ref());
        let rows = self.rows(SectionKind::Software, &facts.software).unwrap_or_default();
        let mut names: Vec<String> =
            rows.iter().filter_map(|it| row::explain(index, &beside, it, number)).map(|it| it.name).collect();
        names.sort_unstable();
        names.dedup();
        let (listeners, services) = (
            self.rows(SectionKind::Listeners, &facts.listeners),
            self.rows(SectionKind::Services, &facts.services),
        );
        if !rows.is_empty() || !names.is_empty() {
            return service::service(
                &names,
                seen(&facts.listeners, listeners.as_ref()),
                seen(&facts.services, services.as_ref()),
            );
        }
        Input::open(SERVICE, "there are no software rows")
    }
}

fn seen<'a>(held: &Held, rows: Option<&'a Arc<Vec<Vec<u8>>>>) -> Seen<'a> {
    Seen {
        rows: rows.map(|it| it.as_slice()),
        complete: held.coverage == Coverage::Complete && rows.is_some(),
        received_ms: held.received_ms,
        digest: held.digest,
    }
}

fn supplier_step(said: &Statement, source: &Source, more: &str) -> Step {
    let Statement { vendor, product, versions, patch, state, raw, conditions, date, .. } = said;
    let versions = versions.as_deref().unwrap_or("");
    let raw = if raw.is_empty() { "no word" } else { raw };
    let mut text = format!("{vendor}, {product} {versions}: {patch} is {} (\"{raw}\")", state.as_str());
    if let Some(conditions) = conditions {
        let _ = write!(text, ", on condition: {conditions}");
    }
    if let Some(date) = date {
        let _ = write!(text, ", {date}");
    }
    Step::new("supplier", format!("{}{more}", shown(&text, 1_000))).resting_on(source.digest.to_string())
}

/// The names under which a patch of a finding may be spoken of, and its vulnerability.
fn keys_of(index: &Index, of: Of) -> (Vec<String>, Option<&str>) {
    let Of::Entry { advisory, vulnerability, entry, .. } = of else { return (Vec::new(), None) };
    let Some(held) = index.advisory(advisory) else { return (Vec::new(), None) };
    let said = index.vulnerability(advisory, vulnerability).map(|it| it.id.as_str());
    let mut keys = vec![held.advisory.revision.id.clone()];
    keys.extend(said.map(str::to_owned));
    if let Some(Versions::Builds(fixes)) = at(&held.advisory.entries, entry).map(|it| &it.versions) {
        keys.extend(fixes.iter().filter_map(|it| it.update.clone()));
    }
    keys.dedup();
    (keys, said)
}

/// A disposition with what it does now, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The decision's number.
    pub number: u64,
    /// Whether it stands.
    pub standing: Standing,
    /// How many open findings it is about.
    pub findings: u32,
}

impl Board {
    /// What triage of a finding rests on and how it comes out now, by every scheme.
    ///
    /// # Errors
    /// There is no such asset or subject, or everything is changing.
    pub fn triage(
        &self,
        asset: &str,
        subject: &str,
        now_ms: i64,
        last_seen: LastSeen<'_>,
    ) -> Result<TriageView, BoardError> {
        let state = self.settled(Some(asset), now_ms)?;
        let on_board = state.assets.get(asset).ok_or_else(|| BoardError::UnknownAsset(shown(asset, 80)))?;
        let index = state.index.as_ref();
        let unknown = || BoardError::UnknownSubject(shown(subject, 80));
        let judged = on_board.judged().ok_or(BoardError::Busy)?;
        let number = chain::chosen(index, judged, subject).ok_or_else(unknown)?;
        let finding = judged.finding(number).ok_or_else(unknown)?;
        let weather = Weather::new(&index.knowledge, self.ages(), now_ms);
        let clerk = Clerk::new(&self.sections, &state, &weather, now_ms);
        let found = index.subject(number).ok_or_else(unknown)?;
        let heard_ms = page::decides(index, &on_board.facts, found.of).heard_ms(last_seen(asset));
        let outcome = weather.over(finding.outcome, page::kind_of(index, found.of), heard_ms);
        let gathered = clerk.gathered(&on_board.facts, number);
        let decisions = gathered.iter().flat_map(|it| Scheme::ALL.map(|scheme| it.decide(scheme))).collect();
        let epss = keys_of(index, found.of).1.and_then(|it| clerk.sources().epss(it)).map(|it| it.1);
        Ok(TriageView { subject: found.text.to_string(), outcome, decisions, epss })
    }

    /// Dispositions about one asset or all, with what they do now; with those that ended when `all`.
    ///
    /// # Errors
    /// Everything is changing.
    pub fn dispositions(
        &self,
        asset: Option<&str>,
        all: bool,
        now_ms: i64,
        last_seen: LastSeen<'_>,
    ) -> Result<Vec<Listed>, BoardError> {
        let state = self.settled(asset, now_ms)?;
        let weather = Weather::new(&state.index.knowledge, self.ages(), now_ms);
        let clerk = Clerk::new(&self.sections, &state, &weather, now_ms);
        let assets = asset.map_or_else(|| state.ledger.disposed_assets(), |it| vec![it]);
        let mut listed = Vec::new();
        for asset in assets {
            let on_board = state.assets.get(asset);
            let seen_ms = last_seen(asset);
            for (record, said) in state.ledger.dispositions(asset) {
                let tested = |it: &ControlRecord| match on_board {
                    Some(on_board) => clerk.test(&on_board.facts, it, seen_ms),
                    None => Tested::Open("the asset is not judged".to_owned()),
                };
                let standing = clerk.standing(record, said, tested);
                if !all && matches!(standing, Standing::Withdrawn | Standing::Expired) {
                    continue;
                }
                let findings = on_board.map_or(0, |it| covered(&state, &weather, it, &said.subject, seen_ms));
                listed.push(Listed { number: record.number, standing, findings });
            }
        }
        listed.sort_unstable_by_key(|it| std::cmp::Reverse(it.number));
        Ok(listed)
    }

    /// Whether any finding of an asset is one that a disposition with that subject would be about.
    ///
    /// # Errors
    /// There is no such asset, or everything is changing.
    pub fn covers(&self, asset: &str, subject: &str, now_ms: i64) -> Result<bool, BoardError> {
        let state = self.settled(Some(asset), now_ms)?;
        let on_board = state.assets.get(asset).ok_or_else(|| BoardError::UnknownAsset(shown(asset, 80)))?;
        let index = state.index.as_ref();
        let findings = on_board.judged().map(|it| it.findings.as_ref()).unwrap_or_default();
        Ok(findings
            .iter()
            .filter_map(|it| index.subject(it.subject))
            .any(|found| disposition::covers(subject, &found.text, keys_of(index, found.of).1)))
    }

    /// For each of these subjects the assets on which a machine sees nothing of it open: there are findings about it,
    /// and every one is `FIXED` or `NOT_AFFECTED` today. An asset without a finding is none of them.
    ///
    /// # Errors
    /// Everything is changing.
    pub fn settled_on(
        &self,
        subjects: &BTreeSet<String>,
        now_ms: i64,
        last_seen: LastSeen<'_>,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, BoardError> {
        let state = self.settled(None, now_ms)?;
        let index = state.index.as_ref();
        let weather = Weather::new(&index.knowledge, self.ages(), now_ms);
        let mut settled = BTreeMap::new();
        for wanted in subjects {
            let about = index
                .subjects
                .iter()
                .filter(|(_, found)| disposition::covers(wanted, &found.text, keys_of(index, found.of).1));
            let about: Vec<(Of, SubjectId)> = about.map(|(number, found)| (found.of, number)).collect();
            let is_settled = |on_board: &OnBoard| {
                let Some(judged) = on_board.judged() else { return false };
                let seen_ms = last_seen(&on_board.facts.id);
                let mut found = about.iter().filter_map(|it| Some((it.0, judged.finding(it.1)?))).peekable();
                found.peek().is_some()
                    && found.all(|(of, finding)| {
                        let heard_ms = page::decides(index, &on_board.facts, of).heard_ms(seen_ms);
                        let outcome = weather.over(finding.outcome, page::kind_of(index, of), heard_ms);
                        matches!(outcome.verdict(), Verdict::Fixed | Verdict::NotAffected)
                    })
            };
            let assets = state.assets.iter().filter(|it| !about.is_empty() && is_settled(it.1));
            settled.insert(wanted.clone(), assets.map(|it| it.0.to_string()).collect());
        }
        Ok(settled)
    }

    /// Looks at where assets stand and what suppliers state.
    ///
    /// # Errors
    /// Everything is changing.
    pub fn look<T>(
        &self,
        now_ms: i64,
        question: impl FnOnce(&Places, &tracks::Tracks) -> T,
    ) -> Result<T, BoardError> {
        // Both belong to the index; no finding is asked for, so nothing has to be judged.
        let state = self.settled(Some(""), now_ms)?;
        Ok(question(&state.ranker.places, &state.ranker.tracks))
    }
}

/// How many open findings of an asset a disposition is about.
fn covered(state: &State, weather: &Weather, on_board: &OnBoard, subject: &str, seen_ms: Option<i64>) -> u32 {
    let index = state.index.as_ref();
    let findings = on_board.judged().map(|it| it.findings.as_ref()).unwrap_or_default();
    let count = findings.iter().filter(|finding| {
        let Some(found) = index.subject(finding.subject) else { return false };
        if !disposition::covers(subject, &found.text, keys_of(index, found.of).1) {
            return false;
        }
        let heard_ms = page::decides(index, &on_board.facts, found.of).heard_ms(seen_ms);
        weather.over(finding.outcome, page::kind_of(index, found.of), heard_ms).verdict().is_open()
    });
    u32::try_from(count.count()).unwrap_or(u32::MAX)
}
