//! Patch sources, evaluations and controls as their entries in the audit log make them: the one place that says what
//! may follow what. As for baselines, nothing here asks for the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::duty_entry::What;
use holdpoint_common::proto::store::{
    AuditEntry, ControlEnded, ControlRegistered, ControlTested, DutyEntry, EvaluationRecorded,
    PatchSourceNamed,
};
use prost::Message;

use super::EVALUATE_MS;
use super::control::Controls;
use crate::baseline::fold::{MAX_TEXT, Refused};
use crate::change::fold::Written;

/// Longest name, in bytes.
pub const MAX_NAME: usize = 200;
/// Most patch sources of a zone.
pub const MAX_SOURCES: usize = 1_000;
/// Most assets of a source.
pub const MAX_ASSETS: usize = 10_000;
/// Most items of an evaluation.
pub const MAX_ITEMS: usize = 2_000;
/// Most controls of a zone, ended ones included.
pub const MAX_CONTROLS: usize = 50_000;
/// Longest interval between tests of a control, in days.
pub const MAX_INTERVAL: u32 = 3_660;
/// What a patch source can be. The last one says that there is none.
pub const KINDS: [&str; 4] = ["oem", "integrator", "aggregator", NO_SOURCE];
/// The word for assets that nobody releases patches for.
pub const NO_SOURCE: &str = "none";

/// A patch source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    /// As it was named last.
    pub named: PatchSourceNamed,
    /// When it was first said that there is one, Unix milliseconds; `None` before.
    pub since_ms: Option<i64>,
    /// Oldest first.
    pub evaluations: Vec<Evaluation>,
}

/// An evaluation of what a source released.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// What was evaluated.
    pub said: EvaluationRecorded,
    /// When it was written, Unix milliseconds.
    pub at_ms: i64,
    /// Who.
    pub by: String,
    /// When it was due, Unix milliseconds.
    pub due_ms: i64,
    /// The source's assets then.
    pub assets: Arc<Vec<String>>,
}

impl Source {
    /// Until when everything was evaluated, Unix milliseconds; `None` before the first evaluation.
    pub fn evaluated_to_ms(&self) -> Option<i64> {
        self.evaluations.iter().map(Evaluation::end_ms).max()
    }

    /// The next evaluation is due then, Unix milliseconds; `None` where there is no source.
    pub fn due_ms(&self) -> Option<i64> {
        let from = self.evaluated_to_ms().or(self.since_ms)?;
        (self.named.kind != NO_SOURCE).then(|| from.saturating_add(EVALUATE_MS))
    }
}

impl Evaluation {
    /// Up to where it counts: nobody evaluates what is not released yet.
    pub fn end_ms(&self) -> i64 {
        self.said.to_ms.min(self.at_ms)
    }
}

/// What was recorded of duties in a zone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Duties {
    sources: BTreeMap<String, Arc<Source>>,
    controls: Arc<Controls>,
    /// Number of the newest entry of the audit log that was taken.
    taken: u64,
}

impl Duties {
    /// What these entries of the audit log make. Entries that may not follow change nothing.
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a AuditEntry>) -> Self {
        let mut duties = Self::default();
        entries.into_iter().for_each(|it| duties.follow(it));
        duties
    }

    /// Takes one entry of the audit log, if it is about a duty and was not taken before.
    pub fn follow(&mut self, entry: &AuditEntry) {
        let Some(Detail::Duty(bytes)) = &entry.detail else { return };
        let read = DutyEntry::decode(bytes.as_slice()).map_err(|it| Refused(it.to_string()));
        if let Err(error) = read.and_then(|it| self.take(&it, entry.into())) {
            tracing::warn!(number = entry.number, %error, "an entry about a duty counts for nothing");
        }
    }

    /// Every patch source, sorted by name.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Arc<Source>)> {
        self.sources.iter().map(|(name, it)| (name.as_str(), it))
    }

    /// Every control.
    pub fn controls(&self) -> &Arc<Controls> {
        &self.controls
    }

    /// Says whether an entry may come next.
    ///
    /// # Errors
    /// The reason why not.
    pub fn admit(&self, entry: &DutyEntry) -> Result<(), Refused> {
        match &entry.what {
            None => Err(Refused("the entry says nothing".to_owned())),
            Some(What::Source(it)) => self.admit_source(it),
            Some(What::Evaluation(it)) => self.admit_evaluation(it),
            Some(What::Control(it)) => self.admit_control(it),
            Some(What::Tested(ControlTested { id, works: _, text })) => {
                self.standing(id)?;
                worded("a test", text)
            }
            Some(What::Ended(ControlEnded { id, reason })) => {
                self.standing(id)?;
                worded("ending a control", reason)
            }
        }
    }

    fn admit_source(&self, it: &PatchSourceNamed) -> Result<(), Refused> {
        let PatchSourceNamed { source, kind, contact, assets } = it;
        named("a patch source", source)?;
        if contact.len() > MAX_TEXT {
            return Err(Refused(format!("the contact is longer than {MAX_TEXT} bytes")));
        }
        if !KINDS.contains(&kind.as_str()) {
            return Err(Refused(format!("a patch source is one of {}", KINDS.join(", "))));
        }
        if assets.len() > MAX_ASSETS || assets.iter().any(|it| it.is_empty() || it.len() > MAX_NAME) {
            return Err(Refused(format!("a patch source has at most {MAX_ASSETS} assets, each with a name")));
        }
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(source) {
            return Err(Refused(format!("there are {MAX_SOURCES} patch sources already")));
        }
        Ok(())
    }

    fn admit_evaluation(&self, it: &EvaluationRecorded) -> Result<(), Refused> {
        let EvaluationRecorded { source, from_ms, to_ms, items, text } = it;
        let known = self.sources.get(source);
        let known =
            known.ok_or_else(|| Refused(format!("there is no patch source `{source}`: name it first")))?;
        if known.named.kind == NO_SOURCE {
            return Err(Refused(format!("`{source}` says that there is no source: nothing can be released")));
        }
        if from_ms >= to_ms {
            return Err(Refused("an evaluation ends after it begins".to_owned()));
        }
        // What was released in a hole would never be evaluated.
        if let Some(end) = known.evaluated_to_ms().filter(|it| from_ms > it) {
            return Err(Refused(format!(
                "what was released since {} would be left out: begin there",
                holdpoint_common::clock::readable(end)
            )));
        }
        if items.len() > MAX_ITEMS || items.iter().any(|it| it.trim().is_empty() || it.len() > MAX_NAME) {
            return Err(Refused(format!("an evaluation has at most {MAX_ITEMS} items, each with a name")));
        }
        if items.is_empty() {
            return worded("an evaluation that names nothing", text);
        }
        if known.named.assets.is_empty() {
            return Err(Refused(format!(
                "say first which assets `{source}` is for: somebody has to act on them"
            )));
        }
        bounded(text)
    }

    fn admit_control(&self, it: &ControlRegistered) -> Result<(), Refused> {
        let ControlRegistered { id, asset, subject, owner, description, fact: _, interval_days, until_ms } =
            it;
        for (what, text) in
            [("a control", id), ("its asset", asset), ("its subject", subject), ("its owner", owner)]
        {
            named(what, text)?;
        }
        worded("a control", description)?;
        if self.controls.get(id).is_some() {
            return Err(Refused(format!("there was a control `{id}` before: take another name")));
        }
        if self.controls.0.len() >= MAX_CONTROLS {
            return Err(Refused(format!("there are {MAX_CONTROLS} controls already")));
        }
        if !(1..=MAX_INTERVAL).contains(interval_days) {
            return Err(Refused(format!("a control is tested every 1 to {MAX_INTERVAL} days")));
        }
        if *until_ms <= 0 {
            return Err(Refused("a control has an end: nothing is put off for ever".to_owned()));
        }
        Ok(())
    }

    fn standing(&self, id: &str) -> Result<(), Refused> {
        match self.controls.get(id) {
            None => Err(Refused(format!("there is no control `{id}`"))),
            Some(it) if it.ended.is_some() => Err(Refused(format!("the control `{id}` was ended"))),
            Some(_) => Ok(()),
        }
    }

    /// Takes an entry. One that was taken before changes nothing.
    ///
    /// # Errors
    /// It may not come next; then nothing changes.
    pub fn take(&mut self, entry: &DutyEntry, written: Written<'_>) -> Result<(), Refused> {
        if written.number <= self.taken {
            return Ok(());
        }
        self.admit(entry)?;
        self.taken = written.number;
        match &entry.what {
            Some(What::Source(it)) => self.take_source(it, written.at_ms),
            Some(What::Evaluation(it)) => {
                let Some(source) = self.sources.get_mut(&it.source) else { return Ok(()) };
                let source = Arc::make_mut(source);
                let evaluation = Evaluation {
                    said: it.clone(),
                    at_ms: written.at_ms,
                    by: written.by.to_owned(),
                    due_ms: source.due_ms().unwrap_or(i64::MAX),
                    assets: Arc::new(source.named.assets.clone()),
                };
                source.evaluations.push(evaluation);
            }
            Some(What::Control(it)) => Arc::make_mut(&mut self.controls).register(it, written.at_ms),
            Some(What::Tested(it)) => Arc::make_mut(&mut self.controls).test(it, written.at_ms),
            Some(What::Ended(it)) => Arc::make_mut(&mut self.controls).end(&it.id, &it.reason, written.at_ms),
            None => {}
        }
        Ok(())
    }

    fn take_source(&mut self, it: &PatchSourceNamed, at_ms: i64) {
        let mut named = it.clone();
        let assets: BTreeSet<String> = std::mem::take(&mut named.assets).into_iter().collect();
        named.assets = assets.into_iter().collect();
        match self.sources.get_mut(&it.source) {
            None => {
                let since_ms = (named.kind != NO_SOURCE).then_some(at_ms);
                let source = Source { named, since_ms, evaluations: Vec::new() };
                self.sources.insert(it.source.clone(), Arc::new(source));
            }
            Some(source) => {
                let source = Arc::make_mut(source);
                // A word of "none" in between stops no clock that ran before.
                source.since_ms = source.since_ms.or((named.kind != NO_SOURCE).then_some(at_ms));
                source.named = named;
            }
        }
    }
}

fn named(what: &str, text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(Refused(format!("{what} needs a name of 1 to {MAX_NAME} printable bytes")));
    }
    Ok(())
}

fn worded(what: &str, text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused(format!("{what} needs words")));
    }
    bounded(text)
}

fn bounded(text: &str) -> Result<(), Refused> {
    if text.chars().count() > MAX_TEXT {
        return Err(Refused(format!("the text is longer than {MAX_TEXT} characters")));
    }
    Ok(())
}
