//! Thousands of random histories of a change against a reference that knows nothing of rows or signatures, and the
//! properties T1 to T10 of `verdicts.md` after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use holdpoint_common::credentials::Credentials;
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    AnswerRefused, Attestation, ChangeClosed, ChangeEntry, ChangeSubmitted, CollateralExplained, Decision,
    LeftOut, LessonsRecorded, Regressed, RollbackRecorded, RuleDigest, SignedDecision, SnapshotTaken,
    StageCompleted, StageJudged, StageOpening, TargetVerdict,
};
use holdpoint_common::row::LiveRow;
use proptest::prelude::*;

use super::fold::Change;
use super::judge::{Judged, Question, judge, regressed};
use super::plan::{Tier, Wanted};
use super::snapshot::Snapshot;
use super::testing::{
    FIXED, Host, Shelf, WRITTEN, advisory_of, at_least, challenge, expectation, next, nonce, operator, plan,
    signed,
};
use super::word::{BoardRole, StageState, State, Verdict};
use crate::assess::RowSource;
use crate::knowledge::{AllowedAges, Knowledge};

mod reference;

use reference::{Model, Step};

/// Targets by stage, in the order of the plant. No agent speaks for the controller.
const STAGES: [&[&str]; 3] = [&["hist-1"], &["hmi-1", "hmi-2"], &["plc-1"]];
const MACHINES: [&str; 3] = ["hist-1", "hmi-1", "hmi-2"];
const PERSONS: [&str; 3] = ["kim", "lee", "sam"];
const EXPECTED: [&str; 2] = ["tls", "adv"];
const DAY_MS: i64 = 24 * 3_600_000;

/// What a host is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Truth {
    #[default]
    Old,
    /// Fixed on disk, and the old code still runs.
    OldCode,
    Fixed,
}

/// What the zone knows of the advisory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Known {
    #[default]
    Held,
    Deleted,
    Revised,
    Stale,
}

/// How an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trick {
    Honest,
    OldNonce,
    OldSequence,
    OtherHost,
}

#[derive(Debug, Clone, Copy)]
enum Action {
    /// Whatever comes next when all goes well.
    Advance,
    Submit,
    Sign {
        role: usize,
        who: usize,
        rollback: bool,
    },
    Veto {
        role: usize,
        who: usize,
    },
    Open {
        stage: usize,
    },
    Answer {
        host: usize,
        trick: Trick,
    },
    Decline {
        host: usize,
    },
    Become {
        host: usize,
        truth: Truth,
    },
    /// A package that nobody planned comes or goes.
    Spoil {
        host: usize,
    },
    Learn(Known),
    Complete {
        stage: usize,
        all: bool,
    },
    RollBack {
        stage: usize,
    },
    Judge {
        stage: usize,
    },
    /// An entry that says what nobody saw.
    Forge {
        stage: usize,
        verdict: Verdict,
    },
    Attest {
        who: usize,
        expectation: usize,
    },
    AttestMachine {
        who: usize,
    },
    Explain {
        who: usize,
    },
    Lessons,
    Close(State),
    /// A report after everything.
    Later {
        host: usize,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let host = || 0..MACHINES.len();
    let who = || 0..PERSONS.len();
    let stage = || 0..STAGES.len();
    let role = || 0..BoardRole::ALL.len();
    let truths: &[Truth] = &[Truth::Old, Truth::OldCode, Truth::Fixed];
    let tricks: &[Trick] = &[Trick::OldNonce, Trick::OldSequence, Trick::OtherHost, Trick::Honest];
    let known: &[Known] = &[Known::Held, Known::Held, Known::Deleted, Known::Revised, Known::Stale];
    let ends: &[State] = &[State::Closed, State::ClosedUnremediated, State::RolledBack];
    prop_oneof![
        60 => Just(Action::Advance),
        1 => Just(Action::Submit),
        4 => (role(), who(), any::<bool>())
            .prop_map(|(role, who, rollback)| Action::Sign { role, who, rollback }),
        1 => (role(), who()).prop_map(|(role, who)| Action::Veto { role, who }),
        3 => stage().prop_map(|stage| Action::Open { stage }),
        4 => (host(), proptest::sample::select(tricks))
            .prop_map(|(host, trick)| Action::Answer { host, trick }),
        2 => host().prop_map(|host| Action::Decline { host }),
        4 => (host(), proptest::sample::select(truths))
            .prop_map(|(host, truth)| Action::Become { host, truth }),
        1 => host().prop_map(|host| Action::Spoil { host }),
        3 => proptest::sample::select(known).prop_map(Action::Learn),
        2 => (stage(), any::<bool>()).prop_map(|(stage, all)| Action::Complete { stage, all }),
        1 => stage().prop_map(|stage| Action::RollBack { stage }),
        3 => stage().prop_map(|stage| Action::Judge { stage }),
        3 => (stage(), proptest::sample::select(Verdict::ALL))
            .prop_map(|(stage, verdict)| Action::Forge { stage, verdict }),
        2 => (who(), 0..EXPECTED.len())
            .prop_map(|(who, expectation)| Action::Attest { who, expectation }),
        1 => who().prop_map(|who| Action::AttestMachine { who }),
        1 => who().prop_map(|who| Action::Explain { who }),
        1 => Just(Action::Lessons),
        2 => proptest::sample::select(ends).prop_map(Action::Close),
        2 => host().prop_map(|host| Action::Later { host }),
    ]
}

static OPERATORS: LazyLock<[Credentials; 3]> = LazyLock::new(|| PERSONS.map(operator));

/// The plant, the log, and what the reference makes of it.
struct World {
    shelf: Arc<Shelf>,
    blank: Change,
    change: Change,
    log: Vec<ChangeEntry>,
    model: Model,
    hosts: BTreeMap<&'static str, Truth>,
    spoiled: BTreeSet<&'static str>,
    known: Known,
    counter: u64,
    sequences: BTreeMap<&'static str, u64>,
}

impl World {
    fn new() -> Self {
        let adv = Wanted::NotAffected { subject: "DSA-1".into(), control: None };
        let expected = vec![at_least("tls", "openssl", FIXED), expectation("adv", adv)];
        let plan = plan(expected, &[Tier::Supporting, Tier::Hmi, Tier::Controllers]);
        let stages = STAGES.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
        let blank = Change::of_plan("CHG-0001", plan, &stages);
        Self {
            shelf: Arc::default(),
            change: blank.clone(),
            blank,
            log: Vec::new(),
            model: Model::new(),
            hosts: MACHINES.map(|it| (it, Truth::Old)).into(),
            spoiled: BTreeSet::new(),
            known: Known::Held,
            counter: 0,
            sequences: MACHINES.map(|it| (it, 1)).into(),
        }
    }

    fn nonce(&mut self) -> Vec<u8> {
        self.counter += 1;
        nonce(self.counter)
    }

    fn decision(&mut self, who: usize, decision: Decision) -> SignedDecision {
        let decision = Decision {
            change: self.change.id.clone(),
            plan_digest: self.change.plan_digest.to_vec(),
            nonce: self.nonce(),
            text: "so it is".into(),
            ..decision
        };
        signed(&OPERATORS[who], PERSONS[who], &decision)
    }

    /// Asks for an entry, and holds the answer against what the reference says.
    fn offer(&mut self, what: What, allowed: bool) -> bool {
        let entry = next(&self.change, what);
        let (before, stages) = (self.change.clone(), self.model.stages.clone());
        let answer = self.change.take(&entry, WRITTEN);
        assert_eq!(answer.is_ok(), allowed, "{answer:?} of {entry:?}\n{stages:#?}");
        if answer.is_ok() {
            self.log.push(entry);
            self.hold_the_order(&before);
        } else {
            assert_eq!(self.change, before, "what is refused changes nothing");
        }
        allowed
    }

    fn host(&self, asset: &str) -> Host {
        let host = Host::new(4);
        let host = if self.spoiled.contains(asset) { host.install("nmap", "7.93") } else { host };
        match self.hosts[asset] {
            Truth::Old => host,
            Truth::Fixed => host.patched(),
            Truth::OldCode => {
                let mut host = host.patched();
                host.live.push(LiveRow {
                    kind: "mapped-file".into(),
                    state: "deleted".into(),
                    package: Some("libssl3".into()),
                    ..LiveRow::default()
                });
                host
            }
        }
    }

    fn challenges(
        &mut self,
        stage: usize,
        all: bool,
    ) -> Vec<holdpoint_common::proto::store::ChangeChallenge> {
        let mut asked = Vec::new();
        for (number, asset) in STAGES[stage].iter().enumerate() {
            if MACHINES.contains(asset) && (all || number == 0) {
                let nonce = self.nonce();
                asked.push(challenge(asset, nonce, self.sequences[asset]));
            }
        }
        asked
    }

    fn judged(&self, stage: usize) -> Judged {
        self.ask(stage, |question| judge(question).unwrap())
    }

    fn ask<T>(&self, stage: usize, with: impl FnOnce(&Question<'_>) -> T) -> T {
        let held =
            Knowledge { advisories: vec![advisory_of("DSA-1", "openssl", FIXED)], ..Knowledge::default() };
        let (knowledge, digest) = match self.known {
            Known::Deleted => (Knowledge::default(), None),
            Known::Revised => (held, Some(2)),
            Known::Held | Known::Stale => (held, Some(1)),
        };
        let rules: Vec<_> = digest.map(|it| ("DSA-1".to_owned(), vec![it])).into_iter().collect();
        with(&Question {
            change: &self.change,
            stage: u32::try_from(stage).unwrap() + 1,
            rows: Arc::clone(&self.shelf) as Arc<dyn RowSource>,
            knowledge: &Arc::new(knowledge),
            ages: &AllowedAges::default(),
            now_ms: if self.known == Known::Stale { 400 * DAY_MS } else { 2_000 },
            role: &|_| None,
            rules: &rules,
        })
    }

    /// What comes next when all goes well.
    fn natural(&self) -> Action {
        let model = &self.model;
        let Some(stage) = (0..STAGES.len()).find(|it| model.stages[*it].state() != StageState::Verified)
        else {
            let is_explained = self.change.collateral.iter().all(|it| it.explained.is_some());
            return match (is_explained, model.lessons) {
                (false, _) => Action::Explain { who: 0 },
                (true, false) => Action::Lessons,
                (true, true) => Action::Close(State::Closed),
            };
        };
        let waits = |it: &&str| model.stages[stage].targets[*it].asked;
        let waiting = MACHINES.iter().position(|it| STAGES[stage].contains(it) && waits(it));
        let old = MACHINES.iter().position(|it| STAGES[stage].contains(it) && self.hosts[it] != Truth::Fixed);
        match (model.state(), model.stages[stage].step) {
            (State::Draft, _) => Action::Submit,
            (State::InReview, _) => {
                let role = BoardRole::ALL.iter().position(|it| !model.signed.contains_key(it)).unwrap();
                Action::Sign { role, who: role % 3, rollback: role == 1 }
            }
            (_, Step::Pending) => Action::Open { stage },
            (_, Step::Opening | Step::Complete) if waiting.is_some() => {
                Action::Answer { host: waiting.unwrap(), trick: Trick::Honest }
            }
            (_, Step::Opening | Step::Judged(_)) if old.is_some() => {
                Action::Become { host: old.unwrap(), truth: Truth::Fixed }
            }
            (_, Step::Opening | Step::Judged(_)) => Action::Complete { stage, all: true },
            (_, Step::Complete) if stage == 2 && !model.is_attested() => {
                let missing = |it: &usize| !model.attested.contains(&(EXPECTED[it / 2], it % 2));
                (0..4)
                    .find(missing)
                    .map_or(Action::Judge { stage }, |it| Action::Attest { who: it % 2, expectation: it / 2 })
            }
            (_, Step::Complete) if self.known != Known::Held => Action::Learn(Known::Held),
            (_, Step::Complete) => Action::Judge { stage },
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Advance => {
                let natural = self.natural();
                self.act(natural);
            }
            Action::Become { host, truth } => {
                self.hosts.insert(MACHINES[host], truth);
            }
            Action::Spoil { host } => {
                if !self.spoiled.remove(MACHINES[host]) {
                    self.spoiled.insert(MACHINES[host]);
                }
            }
            Action::Learn(known) => self.known = known,
            Action::Submit => {
                let rules = vec![RuleDigest { rule: "DSA-1".into(), digest: vec![1] }];
                let allowed = self.model.state() == State::Draft;
                if self.offer(What::Submitted(ChangeSubmitted { rules }), allowed) {
                    self.model.submitted = true;
                }
            }
            Action::Sign { role, who, rollback } => self.sign(BoardRole::ALL[role], who, rollback),
            Action::Veto { role, who } => {
                let role = BoardRole::ALL[role];
                let decision =
                    Decision { kind: "veto".into(), role: role.as_str().into(), ..Decision::default() };
                let decision = self.decision(who, decision);
                let allowed = self.model.may_veto(role);
                if self.offer(What::Decision(decision), allowed) {
                    self.model.vetoed = true;
                }
            }
            Action::Open { stage } => self.open(stage),
            Action::Answer { host, trick } => self.answer(MACHINES[host], trick),
            Action::Decline { host } => self.decline(MACHINES[host]),
            Action::Complete { stage, all } => self.complete(stage, all),
            Action::RollBack { stage } => self.roll_back(stage),
            Action::Judge { stage } => self.judge(stage),
            Action::Forge { stage, verdict } => self.forge(stage, verdict),
            Action::Attest { who, expectation } => self.attest(who, "plc-1", expectation),
            Action::AttestMachine { who } => self.attest(who, "hmi-1", 0),
            Action::Explain { who } => self.explain(who),
            Action::Lessons => {
                let allowed = self.model.ended.is_none();
                if self.offer(What::Lessons(LessonsRecorded { text: "none".into() }), allowed) {
                    self.model.lessons = true;
                }
            }
            Action::Close(state) => self.close(state),
            Action::Later { host } => self.later(MACHINES[host]),
        }
    }

    fn sign(&mut self, role: BoardRole, who: usize, rollback_verified: bool) {
        let decision = Decision {
            kind: "sign-off".into(),
            role: role.as_str().into(),
            rollback_verified,
            ..Decision::default()
        };
        let decision = self.decision(who, decision);
        let allowed = self.model.may_sign(role, who, rollback_verified);
        if self.offer(What::Decision(decision), allowed) {
            self.model.signed.insert(role, (who, rollback_verified));
        }
    }

    fn open(&mut self, stage: usize) {
        let challenges = self.challenges(stage, true);
        let left = STAGES[stage].iter().filter(|it| !MACHINES.contains(it));
        let left_out =
            left.map(|it| LeftOut { asset: (*it).into(), reason: "a controller".into() }).collect();
        let number = u32::try_from(stage).unwrap() + 1;
        let opening = StageOpening { stage: number, challenges, left_out, ..StageOpening::default() };
        let allowed = self.model.may_open(stage);
        if self.offer(What::Opening(opening), allowed) {
            let it = &mut self.model.stages[stage];
            it.step = Step::Opening;
            for (asset, target) in &mut it.targets {
                target.machine = MACHINES.contains(asset);
                target.asked = target.machine;
            }
        }
    }

    fn stage_of(asset: &str) -> usize {
        STAGES.iter().position(|it| it.contains(&asset)).unwrap()
    }

    fn answer(&mut self, asset: &'static str, trick: Trick) {
        let stage = Self::stage_of(asset);
        let is_pre = self.model.stages[stage].step == Step::Opening;
        let target = &self.change.stages[stage].targets[asset];
        let asked = if is_pre { target.pre_asked.clone() } else { target.post_asked.clone() };
        let right = asked.map_or_else(|| nonce(0), |it| it.nonce);
        let nonce = if trick == Trick::OldNonce { nonce(u64::MAX) } else { right };
        let sequence = self.sequences[asset] + u64::from(trick != Trick::OldSequence);
        let named = if trick == Trick::OtherHost { "hist-9" } else { asset };
        let record = self.host(asset).report(&self.shelf, named, sequence, &nonce);
        let phase = if is_pre { "pre" } else { "post" };
        let number = u32::try_from(stage).unwrap() + 1;
        let taken = SnapshotTaken { stage: number, phase: phase.into(), snapshot: Some(record) };
        let waits = match self.model.stages[stage].step {
            Step::Opening | Step::Complete | Step::Judged(StageState::Inconclusive) => {
                self.model.stages[stage].targets[asset].asked
            }
            Step::Pending | Step::Judged(_) => false,
        };
        let allowed = self.model.ended.is_none() && waits && trick == Trick::Honest;
        if self.offer(What::Snapshot(taken), allowed) {
            self.sequences.insert(asset, sequence);
            let truth = self.hosts[asset];
            let target = self.model.stages[stage].targets.get_mut(asset).unwrap();
            target.asked = false;
            if is_pre { target.pre = Some(truth) } else { target.post = Some(truth) }
        }
    }

    fn decline(&mut self, asset: &'static str) {
        let number = u32::try_from(Self::stage_of(asset)).unwrap() + 1;
        let refused = AnswerRefused {
            stage: number,
            asset: asset.into(),
            reason: "HOST_DECLINED".into(),
            text: "quiet hours".into(),
            at_ms: 1,
        };
        let allowed = self.model.ended.is_none();
        self.offer(What::Refused(refused), allowed);
    }

    fn complete(&mut self, stage: usize, all: bool) {
        let challenges = self.challenges(stage, all);
        let number = u32::try_from(stage).unwrap() + 1;
        let done = StageCompleted { stage: number, challenges, answers_until_ms: 9, note: String::new() };
        let allowed = self.model.may_complete(stage);
        if self.offer(What::Completed(done), allowed) {
            self.asked_again(stage, all, false);
        }
    }

    fn roll_back(&mut self, stage: usize) {
        let challenges = self.challenges(stage, true);
        let number = u32::try_from(stage).unwrap() + 1;
        let back = RollbackRecorded {
            stage: number,
            reason: "the HMI did not start".into(),
            challenges,
            ..RollbackRecorded::default()
        };
        let allowed = self.model.may_roll_back(stage);
        if self.offer(What::RolledBack(back), allowed) {
            self.asked_again(stage, true, true);
        }
    }

    fn asked_again(&mut self, stage: usize, all: bool, rolled_back: bool) {
        let it = &mut self.model.stages[stage];
        (it.step, it.rolled_back) = (Step::Complete, rolled_back);
        for (number, asset) in STAGES[stage].iter().enumerate() {
            let target = it.targets.get_mut(asset).unwrap();
            target.post = None;
            target.asked = MACHINES.contains(asset) && (all || number == 0);
        }
    }

    fn judge(&mut self, stage: usize) {
        let Judged { verdicts, collateral } = self.judged(stage);
        for asset in STAGES[stage] {
            for expectation in EXPECTED {
                let said = verdicts.iter().find(|it| it.asset == *asset && it.expectation == expectation);
                let wanted = self.model.verdict(stage, asset, expectation, self.known);
                let said = said.unwrap();
                assert_eq!(
                    said.verdict,
                    wanted.as_str(),
                    "{asset} {expectation}: {said:?}\n{:#?}",
                    self.model
                );
            }
        }
        let number = u32::try_from(stage).unwrap() + 1;
        let judged = StageJudged { stage: number, verdicts, collateral, ..StageJudged::default() };
        let allowed = self.model.may_judge(stage);
        if self.offer(What::Judged(judged), allowed) {
            self.model.judge(stage, self.known);
        }
    }

    /// Whatever is claimed of what nobody saw is refused.
    fn forge(&mut self, stage: usize, verdict: Verdict) {
        let has_pair = |asset: &&str| {
            let target = &self.model.stages[stage].targets[asset];
            target.pre.is_some() && target.post.is_some()
        };
        let unseen = STAGES[stage].iter().any(|it| !has_pair(it));
        let is_claim = verdict.needs_snapshots() && unseen
            || verdict == Verdict::AttestedOnly && (stage != 2 || !self.model.is_attested());
        if !is_claim {
            return;
        }
        let whole = |asset: &&str| TargetVerdict {
            asset: (*asset).into(),
            verdict: verdict.as_str().into(),
            ..TargetVerdict::default()
        };
        let number = u32::try_from(stage).unwrap() + 1;
        let verdicts = STAGES[stage].iter().map(whole).collect();
        self.offer(What::Judged(StageJudged { stage: number, verdicts, ..StageJudged::default() }), false);
    }

    fn attest(&mut self, who: usize, asset: &str, expectation: usize) {
        let stage = Self::stage_of(asset);
        let expectation = EXPECTED[expectation];
        let decision = Decision {
            kind: "attest".into(),
            stage: u32::try_from(stage).unwrap() + 1,
            attestation: Some(Attestation {
                asset: asset.into(),
                expectation: expectation.into(),
                method: "download compare".into(),
                artefact_digest: vec![4; 32],
                artefact: "project file".into(),
                claim: "remediated".into(),
            }),
            ..Decision::default()
        };
        let decision = self.decision(who, decision);
        let again = asset == "plc-1" && self.model.attested.contains(&(expectation, who))
            || self.change.attestations.iter().any(|it| {
                it.word.asset == asset && it.word.expectation == expectation && it.by.person == PERSONS[who]
            });
        let allowed = matches!(self.model.state(), State::InProgress | State::Vetoed) && !again;
        // T3: a person's word changes nothing of what machines say. Looked at once, it is slow.
        let is_first = allowed && self.change.attestations.is_empty();
        let machine = is_first.then(|| self.judged(1));
        if self.offer(What::Decision(decision), allowed) {
            if asset == "plc-1" {
                self.model.attested.insert((expectation, who));
            }
            assert!(machine.is_none_or(|it| it == self.judged(1)), "T3");
        }
    }

    fn explain(&mut self, who: usize) {
        let items: Vec<u32> = self.change.collateral.iter().map(|it| it.item.number).collect();
        let allowed = self.model.ended.is_none() && !items.is_empty();
        let explain = Decision { kind: "explain".into(), items: items.clone(), ..Decision::default() };
        let decision = self.decision(who, explain);
        self.offer(What::Explained(CollateralExplained { items, decision: Some(decision) }), allowed);
    }

    fn close(&mut self, state: State) {
        let model = &self.model;
        let opened: Vec<_> = model.stages.iter().filter(|it| it.step != Step::Pending).collect();
        let allowed = model.ended.is_none()
            && !model.vetoed
            && match state {
                State::Closed => {
                    model.lessons
                        && model.stages.iter().all(|it| it.state() == StageState::Verified)
                        && self.change.collateral.iter().all(|it| it.explained.is_some())
                }
                State::ClosedUnremediated => opened.iter().all(|it| matches!(it.step, Step::Judged(_))),
                State::Draft
                | State::InReview
                | State::Authorised
                | State::InProgress
                | State::Verified
                | State::Vetoed
                | State::RolledBack => {
                    let is_back = |(stage, said): (&reference::Stage, &super::fold::Stage)| {
                        let mut own = said.verdicts.iter().filter(|it| it.expectation.is_empty());
                        stage.step == Step::Pending
                            || matches!(stage.step, Step::Judged(_))
                                && own.all(|it| it.verdict == "ROLLED_BACK")
                    };
                    !opened.is_empty() && model.stages.iter().zip(&self.change.stages).all(is_back)
                }
            };
        let closed =
            ChangeClosed { r#as: state.as_str().into(), reason: "so it is".into(), soak_until_ms: 1 };
        if self.offer(What::Closed(closed), allowed) {
            self.model.ended = Some(state);
        }
    }

    /// T8: a later report of the old version after a good verdict is a regression that names that verdict.
    fn later(&mut self, asset: &'static str) {
        let stage = Self::stage_of(asset);
        let record = self.host(asset).report(&self.shelf, asset, self.sequences[asset] + 1, &nonce(7));
        let later = Snapshot::load(record, self.shelf.as_ref()).unwrap();
        let found = self.ask(stage, |question| regressed(question, asset, &later).unwrap());
        let met = self.model.stages[stage].targets[asset].met.get("tls") == Some(&true);
        // Who was asked again, after more work or after going back, is judged by that answer.
        let is_judged = matches!(self.model.stages[stage].step, Step::Judged(_));
        let is_old = met && is_judged && self.hosts[asset] == Truth::Old;
        // A regression is told once for each verdict.
        let was_said = self.change.regressions.iter().any(|it| {
            it.asset == asset
                && it.expectation == "tls"
                && Some(it.verdict_revision) == self.change.stages[stage].judged_at
        });
        assert_eq!(found.iter().any(|it| it.expectation == "tls"), is_old && !was_said, "{found:?}");
        for it in found {
            assert_eq!(Some(it.verdict_revision), self.change.stages[stage].judged_at);
            self.offer(What::Regressed(it), true);
        }
        let unheard = Regressed { asset: asset.into(), expectation: "other".into(), ..Regressed::default() };
        self.offer(What::Regressed(unheard), false);
    }

    /// T2, T9 and T10 at the step that was just taken.
    fn hold_the_order(&self, before: &Change) {
        let (was, is) = (&before.stages, &self.change.stages);
        for (number, (was, is)) in was.iter().zip(is).enumerate() {
            if !was.is_opened() && is.is_opened() {
                assert!(before.vetoes.is_empty(), "T2");
                let earlier = before.stages[..number].iter();
                assert!(earlier.clone().all(|it| it.state() == StageState::Verified), "T9");
                let mut whole = earlier.flat_map(|it| &it.verdicts);
                assert!(whole.all(|it| Verdict::named(&it.verdict).unwrap().closes()), "T9");
                let person = |role| self.change.sign_offs[&role].person.as_str();
                let mut three: BTreeSet<&str> =
                    [BoardRole::Operations, BoardRole::PlantSafety].map(person).into();
                three.extend(
                    self.change
                        .sign_offs
                        .values()
                        .filter(|it| it.rollback_verified)
                        .map(|it| it.person.as_str()),
                );
                assert!(three.len() > 1, "T10");
            }
        }
        assert!(before.vetoes.len() <= self.change.vetoes.len());
        assert!(self.change.vetoes.is_empty() || self.change.state == State::Vetoed, "T2");
    }

    /// T1, and that reference and change agree.
    fn hold(&self) {
        assert_eq!(self.change.state, self.model.state());
        for (one, two) in self.change.stages.iter().zip(&self.model.stages) {
            assert_eq!(one.state(), two.state());
        }
        for stage in &self.change.stages {
            if stage.state() != StageState::Verified {
                continue;
            }
            for (asset, target) in &stage.targets {
                let pair = target.pre.as_ref().zip(target.post.as_ref());
                let answers = pair.is_some_and(|(pre, post)| {
                    let is_own = |it: &holdpoint_common::proto::store::SnapshotRecord| it.asset == *asset;
                    let asked = target.post_asked.as_ref().map(|it| &it.nonce);
                    is_own(pre) && is_own(post) && asked == Some(&post.nonce) && post.sequence > pre.sequence
                });
                let attested = !target.was_asked() && self.change.is_attested(3, asset);
                assert!(answers || attested, "T1: {asset}");
            }
        }
    }

    /// The change, folded again from a prefix of the log and then to its end.
    fn fold(&self, prefix: usize) -> (Change, Change) {
        let mut change = self.blank.clone();
        for entry in &self.log[..prefix] {
            change.take(entry, WRITTEN).unwrap();
        }
        let then = change.clone();
        for entry in &self.log[prefix..] {
            change.take(entry, WRITTEN).unwrap();
        }
        (then, change)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_history_of_a_change_breaks_its_properties(
        actions in proptest::collection::vec(action(), 1..90),
        kill in any::<proptest::sample::Index>(),
    ) {
        let mut world = World::new();
        let mut killed = None;
        let at = kill.index(actions.len());
        for (number, action) in actions.into_iter().enumerate() {
            if number == at {
                killed = Some((world.log.len(), world.change.clone()));
            }
            world.act(action);
            world.hold();
        }
        // A process that died there finds the state that was acknowledged, and from it comes to the same end.
        let (entries, acknowledged) = killed.unwrap();
        let (then, end) = world.fold(entries);
        prop_assert_eq!(then, acknowledged);
        prop_assert_eq!(end, world.change);
    }
}

#[test]
fn a_change_in_which_all_goes_well_is_closed_and_every_way_to_its_end_is_walked() {
    let mut world = World::new();
    for _ in 0..80 {
        world.act(Action::Advance);
        world.hold();
        if world.model.ended.is_some() {
            break;
        }
    }
    assert_eq!(world.change.state, State::Closed);
    world.act(Action::Become { host: 1, truth: Truth::Old });
    world.act(Action::Later { host: 1 });
    assert_eq!(world.change.regressions.len(), 2, "both expectations of it");
}

/// T4 and T5: whatever is deleted, nothing becomes better by it.
#[test]
fn deleting_rows_rules_or_advisories_never_reads_as_fixed() {
    let mut world = World::new();
    while world.model.stages[0].step != Step::Complete || world.model.stages[0].targets["hist-1"].asked {
        world.act(Action::Advance);
    }
    let good =
        |judged: &Judged| judged.verdicts.iter().all(|it| Verdict::named(&it.verdict).unwrap().closes());
    assert!(good(&world.judged(0)));
    for known in [Known::Deleted, Known::Revised, Known::Stale] {
        world.known = known;
        let judged = world.judged(0);
        let adv = judged.verdicts.iter().find(|it| it.expectation == "adv").unwrap();
        assert_eq!(adv.verdict, "INCONCLUSIVE", "{known:?}");
        assert!(!good(&judged));
    }
    world.known = Known::Held;
    world.shelf.burn();
    assert!(world.judged(0).verdicts.iter().all(|it| it.verdict == "INCONCLUSIVE"));
}
