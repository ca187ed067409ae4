//! The chain from a row to a verdict, as steps that a person can follow and check.

use crate::zone::Grade;

use super::verdict::Outcome;

/// One step of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `row`, `section`, `requirement`, `document`, `map`, `identity`, `range`, `comparison`,
    /// `siblings`, `live`, `feed`, `verdict`.
    pub step: &'static str,
    /// A sentence.
    pub text: String,
    /// Digest or identifier of what this step rests on.
    pub evidence: Option<String>,
}

impl Step {
    /// A step without evidence of its own.
    pub fn new(step: &'static str, text: impl Into<String>) -> Self {
        Self { step, text: text.into(), evidence: None }
    }

    /// The step with what it rests on.
    #[must_use]
    pub fn resting_on(mut self, evidence: impl Into<String>) -> Self {
        self.evidence = Some(evidence.into());
        self
    }
}

/// Collects steps when somebody wants to read them, and costs nothing when nobody does.
#[derive(Debug)]
pub(super) struct Trace(Option<Vec<Step>>);

impl Trace {
    pub(super) fn off() -> Self {
        Self(None)
    }

    pub(super) fn on() -> Self {
        Self(Some(Vec::new()))
    }

    pub(super) fn add(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.0 {
            steps.push(step());
        }
    }

    /// Adds steps that were made elsewhere.
    pub(super) fn extend(&mut self, more: impl IntoIterator<Item = Step>) {
        if let Some(steps) = &mut self.0 {
            steps.extend(more);
        }
    }

    /// Takes the steps that were collected since the last time.
    pub(super) fn take(&mut self) -> Vec<Step> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// Why an asset's finding is what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The subject in full.
    pub subject: String,
    /// What holds now.
    pub outcome: Outcome,
    /// How it came about.
    pub chain: Vec<Step>,
    /// How far the rows that decide can be trusted; `None` when there are none.
    pub grade: Option<Grade>,
}
