//! What people decided, as a list that only grows, and how it is found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use holdpoint_common::proto::store::decision_record::What;
use holdpoint_common::proto::store::{DecisionRecord, DispositionRecord, OwnerStepRecord, TriageRecord};

/// Most decisions that a zone keeps.
pub const MAX_DECISIONS: usize = 200_000;

/// Every decision, in the order of their numbers.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    records: BTreeMap<u64, Arc<DecisionRecord>>,
    /// The withdrawal of a number.
    withdrawn: HashMap<u64, u64>,
    dispositions: HashMap<String, Vec<u64>>,
    triage: HashMap<String, Vec<u64>>,
    steps: BTreeMap<(String, String), Vec<u64>>,
}

impl Ledger {
    /// A ledger of these records.
    pub fn of(records: impl IntoIterator<Item = DecisionRecord>) -> Self {
        let mut ledger = Self::default();
        records.into_iter().for_each(|it| ledger.add(it));
        ledger
    }

    /// Adds one; a record of the same number takes the place of the first.
    pub fn add(&mut self, record: DecisionRecord) {
        let number = record.number;
        match &record.what {
            Some(What::Disposition(it)) => {
                self.dispositions.entry(it.asset.clone()).or_default().push(number);
            }
            Some(What::Triage(it)) => self.triage.entry(it.asset.clone()).or_default().push(number),
            Some(What::OwnerStep(it)) => {
                self.steps.entry((it.patch.to_lowercase(), it.scope.clone())).or_default().push(number);
            }
            Some(What::Withdrawal(it)) => {
                self.withdrawn.insert(it.number, number);
            }
            None => {}
        }
        self.records.insert(number, Arc::new(record));
    }

    /// The number of the next record.
    pub fn next(&self) -> u64 {
        self.records.last_key_value().map_or(1, |it| it.0 + 1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nobody has decided anything.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record of a number.
    pub fn record(&self, number: u64) -> Option<&Arc<DecisionRecord>> {
        self.records.get(&number)
    }

    /// Whether a decision was taken back.
    pub fn is_withdrawn(&self, number: u64) -> bool {
        self.withdrawn.contains_key(&number)
    }

    /// Dispositions about an asset, newest first.
    pub fn dispositions(&self, asset: &str) -> impl Iterator<Item = (&DecisionRecord, &DispositionRecord)> {
        let numbers = self.dispositions.get(asset).into_iter().flatten().rev();
        numbers.filter_map(|it| match self.records.get(it) {
            Some(record) => match &record.what {
                Some(What::Disposition(disposition)) => Some((record.as_ref(), disposition)),
                Some(What::Triage(_) | What::OwnerStep(_) | What::Withdrawal(_)) | None => None,
            },
            None => None,
        })
    }

    /// Assets about which there are dispositions, sorted.
    pub fn disposed_assets(&self) -> Vec<&str> {
        let mut assets: Vec<&str> = self.dispositions.keys().map(String::as_str).collect();
        assets.sort_unstable();
        assets
    }

    /// Recorded triage about an asset, newest first.
    pub fn triage(&self, asset: &str) -> impl Iterator<Item = (&DecisionRecord, &TriageRecord)> {
        let numbers = self.triage.get(asset).into_iter().flatten().rev();
        numbers.filter_map(|it| self.triage_of(*it))
    }

    fn triage_of(&self, number: u64) -> Option<(&DecisionRecord, &TriageRecord)> {
        let record = self.records.get(&number)?;
        match &record.what {
            Some(What::Triage(triage)) => Some((record.as_ref(), triage)),
            Some(What::Disposition(_) | What::OwnerStep(_) | What::Withdrawal(_)) | None => None,
        }
    }

    /// All recorded triage, oldest first.
    pub fn all_triage(&self) -> impl Iterator<Item = (&DecisionRecord, &TriageRecord)> {
        self.records.keys().filter_map(|it| self.triage_of(*it))
    }

    /// Every track of a patch: its name in lower case, its scope, its steps in order.
    pub fn tracks(&self) -> impl Iterator<Item = (&str, &str, Vec<(&DecisionRecord, &OwnerStepRecord)>)> {
        self.steps
            .iter()
            .map(|((patch, scope), numbers)| (patch.as_str(), scope.as_str(), self.steps_of(numbers)))
    }

    /// The steps of a patch in a scope, in order.
    pub fn steps(&self, patch: &str, scope: &str) -> Vec<(&DecisionRecord, &OwnerStepRecord)> {
        let key = (patch.to_lowercase(), scope.to_owned());
        self.steps.get(&key).map(|it| self.steps_of(it)).unwrap_or_default()
    }

    fn steps_of(&self, numbers: &[u64]) -> Vec<(&DecisionRecord, &OwnerStepRecord)> {
        let step = |number: &u64| {
            let record = self.records.get(number)?;
            match &record.what {
                Some(What::OwnerStep(step)) => Some((record.as_ref(), step)),
                Some(What::Disposition(_) | What::Triage(_) | What::Withdrawal(_)) | None => None,
            }
        };
        numbers.iter().filter_map(step).collect()
    }
}
