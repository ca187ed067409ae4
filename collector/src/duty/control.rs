//! Compensating controls: who answers for one, how it is seen to work, how often, and until when.
//!
//! Where a fact of the host shows it, the machine's word of this moment counts; what a person recorded counts for the
//! interval. Of two words the worse one holds. A control that lapsed opens again what rests on it, at once: nobody
//! has to write that.

use std::collections::BTreeMap;

use holdpoint_common::proto::store::{ControlRecord, ControlRegistered, ControlTested};

use super::DAY_MS;
use crate::triage::control::Tested;
use crate::triage::disposition::{Standing, covers};

/// A control as its entries make it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Control {
    /// As it was registered.
    pub said: ControlRegistered,
    /// When, Unix milliseconds.
    pub since_ms: i64,
    /// The newest test that a person recorded: when, whether it works, and the words.
    pub tested: Option<(i64, bool, String)>,
    /// When somebody ended it, and why.
    pub ended: Option<(i64, String)>,
}

/// Why a control no longer stands in for a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lapse {
    /// Somebody ended it.
    Ended(String),
    /// Its time is over.
    Expired,
    /// A machine or a person saw that it does not work.
    Failed(String),
    /// Nobody has seen it working within its interval.
    Overdue,
}

impl Lapse {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::Ended(why) => format!("it was ended: {why}"),
            Self::Expired => "its time is over".to_owned(),
            Self::Failed(why) => format!("it does not work: {why}"),
            Self::Overdue => "nobody has seen it working within its interval".to_owned(),
        }
    }
}

impl Control {
    /// The next test by a person is due then, Unix milliseconds.
    pub fn test_due_ms(&self) -> i64 {
        let last = self.tested.as_ref().map_or(self.since_ms, |it| it.0);
        last.saturating_add(i64::from(self.said.interval_days).saturating_mul(DAY_MS))
    }

    /// The word in answers: works, fails, untested, overdue, ended.
    pub fn state(&self, machine: Option<&Tested>, now_ms: i64) -> &'static str {
        match lapsed(self, machine, now_ms) {
            Some(Lapse::Ended(_) | Lapse::Expired) => "ended",
            Some(Lapse::Failed(_)) => "fails",
            Some(Lapse::Overdue) => "overdue",
            None if self.tested.is_some() || matches!(machine, Some(Tested::Holds)) => "works",
            None => "untested",
        }
    }
}

/// Why a control does not count now; `None` while it does. `machine` is what the host's facts say, where the control
/// has a fact.
pub fn lapsed(control: &Control, machine: Option<&Tested>, now_ms: i64) -> Option<Lapse> {
    if let Some((_, why)) = &control.ended {
        return Some(Lapse::Ended(why.clone()));
    }
    if now_ms >= control.said.until_ms {
        return Some(Lapse::Expired);
    }
    if let Some(why) = fails(control, machine) {
        return Some(Lapse::Failed(why.to_owned()));
    }
    if matches!(machine, Some(Tested::Holds)) {
        return None;
    }
    (now_ms > control.test_due_ms()).then_some(Lapse::Overdue)
}

/// Why a control does not work, whether its time is over or not; `None` when nobody saw it failing.
pub(super) fn fails<'a>(control: &'a Control, machine: Option<&'a Tested>) -> Option<&'a str> {
    match (machine, &control.tested) {
        (Some(Tested::Broken(why)), _) | (_, Some((_, false, why))) => Some(why),
        (_, _) => None,
    }
}

/// What the controls of a finding say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A machine sees all of them working.
    Seen,
    /// Persons saw them working, within their intervals.
    Told,
    /// Nobody has tested one yet: which.
    Open(String),
    /// One lapsed: which, and why. What rests on it is open.
    Lapsed(String),
}

impl Kept {
    /// Whether a mitigation stands, given whether its disposition alone does. Controls never make it stand longer.
    pub fn over(self, alone: Standing) -> Standing {
        match (self, alone) {
            (_, Standing::Withdrawn) => Standing::Withdrawn,
            (_, Standing::Expired) => Standing::Expired,
            (_, Standing::Failed(why)) | (Self::Lapsed(why), _) => Standing::Failed(why),
            (Self::Seen, Standing::InForce) => Standing::Verified,
            (Self::Open(why), Standing::InForce) => Standing::NotTested(why),
            (_, alone) => alone,
        }
    }
}

/// Every control that was ever registered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Controls(pub(super) BTreeMap<String, Control>);

impl Controls {
    /// Those of these registrations; for tests of what rests on them.
    pub fn of(controls: impl IntoIterator<Item = Control>) -> Self {
        Self(controls.into_iter().map(|it| (it.said.id.clone(), it)).collect())
    }

    /// A control by its identifier.
    pub fn get(&self, id: &str) -> Option<&Control> {
        self.0.get(id)
    }

    /// Every one, sorted by identifier.
    pub fn all(&self) -> impl Iterator<Item = &Control> {
        self.0.values()
    }

    /// What the controls that are about a finding say; `None` when none is, so that a disposition stands by itself.
    /// `tested` asks the host's facts.
    pub fn kept(
        &self,
        asset: &str,
        finding: &str,
        vulnerability: Option<&str>,
        now_ms: i64,
        tested: impl Fn(&ControlRecord) -> Tested,
    ) -> Option<Kept> {
        let is_meant = |it: &&Control| covers(&it.said.subject, finding, vulnerability);
        word(self.all().filter(|it| it.said.asset == asset).filter(is_meant), now_ms, tested)
    }

    /// The same for a disposition as a whole: a control about a part of what it is about is one of its controls.
    pub fn kept_of(
        &self,
        asset: &str,
        subject: &str,
        now_ms: i64,
        tested: impl Fn(&ControlRecord) -> Tested,
    ) -> Option<Kept> {
        let is_meant = |it: &&Control| {
            let own = it.said.subject.as_str();
            let has = |whole: &str, part: &str| whole.split('/').any(|it| it == part);
            covers(own, subject, None) || covers(subject, own, None) || has(own, subject) || has(subject, own)
        };
        word(self.all().filter(|it| it.said.asset == asset).filter(is_meant), now_ms, tested)
    }

    pub(super) fn register(&mut self, said: &ControlRegistered, at_ms: i64) {
        let control = Control { said: said.clone(), since_ms: at_ms, ..Control::default() };
        self.0.insert(said.id.clone(), control);
    }

    pub(super) fn test(&mut self, test: &ControlTested, at_ms: i64) {
        if let Some(control) = self.0.get_mut(&test.id) {
            control.tested = Some((at_ms, test.works, test.text.clone()));
        }
    }

    pub(super) fn end(&mut self, id: &str, reason: &str, at_ms: i64) {
        if let Some(control) = self.0.get_mut(id) {
            control.ended = Some((at_ms, reason.to_owned()));
        }
    }
}

/// What these controls say together; `None` when there is none.
fn word<'a>(
    meant: impl Iterator<Item = &'a Control>,
    now_ms: i64,
    tested: impl Fn(&ControlRecord) -> Tested,
) -> Option<Kept> {
    let (ended, standing): (Vec<_>, Vec<_>) = meant.partition(|it| it.ended.is_some());
    // One that was ended is out of the way once another one stands in its place.
    let meant = if standing.is_empty() { ended } else { standing };
    let mut word = None;
    for control in meant {
        let id = &control.said.id;
        let machine = control.said.fact.as_ref().map(&tested);
        if let Some(lapse) = lapsed(control, machine.as_ref(), now_ms) {
            return Some(Kept::Lapsed(format!("control {id}: {}", lapse.text())));
        }
        let own = match (&machine, &control.tested) {
            (Some(Tested::Holds), _) => Kept::Seen,
            (_, Some(_)) => Kept::Told,
            (Some(Tested::Open(why)), None) => Kept::Open(format!("control {id}: {why}")),
            (_, None) => Kept::Open(format!("control {id} was not tested yet")),
        };
        word = Some(match (word, own) {
            (None, own) => own,
            (Some(Kept::Open(why)), _) | (_, Kept::Open(why)) => Kept::Open(why),
            (Some(Kept::Seen), Kept::Seen) => Kept::Seen,
            (Some(_), _) => Kept::Told,
        });
    }
    word
}
