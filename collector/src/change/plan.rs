//! A change as it is planned: a TOML file that a person writes, read whole before anything is refused.
//!
//! Every fault is told at once, with the key that it stands at. What reading proves is the form; whether assets
//! exist and stages follow the order is [`super::resolve`]'s to say, whether the board has all that it asks for is
//! [`Plan::missing`]'s.

use std::collections::BTreeSet;

use crate::knowledge::Requirement;
use crate::knowledge::name_pattern::NamePattern;
use holdpoint_common::proto::store::ControlRecord;
use holdpoint_common::row::SectionKind;

mod read;
mod table;
#[cfg(test)]
mod tests;

pub use read::read;

/// Largest plan, in bytes.
pub const MAX_PLAN: usize = 256 * 1024;
/// Most stages.
pub const MAX_STAGES: usize = 50;
/// Most expectations.
pub const MAX_EXPECTATIONS: usize = 200;
/// Most faults that are listed.
pub const MAX_FAULTS: usize = 200;

/// A plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// A few words for people.
    pub title: String,
    /// Why, in the planner's words.
    pub reason: Option<String>,
    /// The change that was vetoed or failed before this one.
    pub refers_to: Option<String>,
    /// When work may be done.
    pub window: Option<Window>,
    /// The way back.
    pub rollback: Rollback,
    /// What the way back starts from.
    pub backup: Backup,
    /// What plant safety looked at.
    pub safety_review: SafetyReview,
    /// Where the patch came from and how that is known.
    pub package: Package,
    /// In the order in which they are worked through.
    pub stages: Vec<Stage>,
    /// What has to hold afterwards.
    pub expectations: Vec<Expectation>,
    /// What may move beside the expectations: by section, a pattern over the item.
    pub allowed: Vec<Allowed>,
    /// Functional tests.
    pub tests: Vec<Procedure>,
    /// How long after closure later reports are compared, in days.
    pub soak_days: u32,
    /// Largest age of the backup when a stage opens, in days.
    pub backup_max_age_days: u32,
    /// How long after `complete` an answer still counts, in minutes.
    pub answer_within_min: u32,
}

/// When work may be done. Times are Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Nothing opens before this.
    pub start_ms: i64,
    /// Nothing opens after this.
    pub end_ms: i64,
    /// Work ends here, whatever its state.
    pub hard_stop_ms: i64,
    /// Later than this a rollback no longer fits.
    pub latest_rollback_ms: i64,
}

/// The way back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollback {
    /// What is done, or where it is written.
    pub procedure: Option<String>,
    /// Who has verified that it works.
    pub verified_by: Option<String>,
}

/// What the way back starts from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backup {
    /// Where it lies.
    pub place: Option<String>,
    /// SHA-256, hexadecimal.
    pub sha256: Option<String>,
    /// When it was taken, Unix milliseconds.
    pub taken_ms: Option<i64>,
    /// When it was last restored for a test, Unix milliseconds.
    pub restore_tested_ms: Option<i64>,
}

/// What plant safety looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SafetyReview {
    /// Who.
    pub by: Option<String>,
    /// What came out.
    pub summary: Option<String>,
}

/// Where the patch came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// The patch source.
    pub source: Option<String>,
    /// SHA-256 of the media, hexadecimal.
    pub sha256: Option<String>,
    /// Who signed it and how that was checked, or why there is no signature. A hash alone says nothing of origin.
    pub signature: Option<String>,
}

/// Which assets are worked on together, and when in the order.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// A few words for people.
    pub title: String,
    /// Where in the order of the plant.
    pub tier: Tier,
    /// Which assets.
    pub targets: Targets,
    /// Expectations by position; all when the plan does not say.
    pub expectations: Vec<usize>,
    /// Where work waits for a release, and where somebody is only told.
    pub points: Vec<Point>,
}

/// The order of the plant: supporting servers first, controllers last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Servers that support, as historians and domain controllers.
    Supporting,
    /// Operator stations and SCADA.
    Hmi,
    /// Controllers.
    Controllers,
}

impl Tier {
    /// Every tier, in order.
    pub const ALL: [Self; 3] = [Self::Supporting, Self::Hmi, Self::Controllers];

    /// The word in plans and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supporting => "supporting",
            Self::Hmi => "hmi",
            Self::Controllers => "controllers",
        }
    }
}

/// Which assets a stage means: all that any of these names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// Identifiers or display names.
    pub assets: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Assets that `status` shows as affected by this advisory or requirement on the day of planning.
    pub affected_by: Vec<String>,
}

/// A hold point or a witness point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// What is held for.
    pub name: String,
    /// Work waits for a release by a person; else somebody is told and work goes on.
    pub holds: bool,
}

/// Something that has to hold afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The planner's word for it; unique in the plan.
    pub id: String,
    /// What.
    pub wanted: Wanted,
}

/// What can be expected.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// A product, build or kernel of at least a version.
    AtLeast(Box<Requirement>),
    /// An advisory, or one vulnerability of it, no longer affects.
    NotAffected {
        /// A subject of `status`, or the beginning of one in whole parts.
        subject: String,
        /// The control that is expected to work while the advisory still affects.
        control: Option<ControlRecord>,
    },
    /// A hardening fact has a value.
    Fact(ControlRecord),
    /// Nothing of that name is installed.
    Absent {
        /// The whole name.
        name: NamePattern,
        /// Only rows of this source.
        source: Option<String>,
    },
    /// A service runs.
    ServiceRunning(String),
    /// Something listens, or nothing does.
    Listener {
        /// `tcp` or `udp`, either family.
        protocol: Protocol,
        /// The port.
        port: u16,
        /// It is expected to be open.
        open: bool,
    },
    /// The host was restarted between the snapshots.
    Restarted,
}

/// Transport of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP over either family.
    Tcp,
    /// UDP over either family.
    Udp,
}

/// What may move beside the expectations.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowed {
    /// The section.
    pub kind: SectionKind,
    /// The whole item, as `compare` names it; `*` stands for anything.
    pub item: String,
}

/// A functional test: what a person does and what has to come out.
#[derive(Debug, Clone, PartialEq)]
pub struct Procedure {
    /// The planner's word for it; unique in the plan.
    pub id: String,
    /// A few words for people.
    pub title: String,
    /// Roles of the board that may sign it.
    pub may_sign: Vec<String>,
    /// In order.
    pub steps: Vec<TestStep>,
}

/// One step of a functional test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestStep {
    /// The planner's word for it; unique in the procedure.
    pub id: String,
    /// What is done.
    pub text: String,
    /// What has to come out.
    pub limits: Limits,
}

/// What has to come out of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Limits {
    /// A number between two, in a unit.
    Number {
        /// The least that will do.
        min: Option<f64>,
        /// The most that will do.
        max: Option<f64>,
        /// In what it is measured.
        unit: String,
    },
    /// This very text, but for blanks around it and its case.
    Equals(String),
    /// A person says whether it passed.
    Judged,
}

impl Limits {
    /// Whether an observation will do: text of a number, a text, or "pass" and "fail".
    ///
    /// # Errors
    /// One sentence on what the observation should look like.
    pub fn admit(&self, observed: &str) -> Result<bool, String> {
        let observed = observed.trim();
        match self {
            Self::Number { min, max, unit } => {
                let number = observed.strip_suffix(unit.as_str()).unwrap_or(observed).trim();
                let number: f64 = number
                    .parse()
                    .ok()
                    .filter(|it: &f64| it.is_finite())
                    .ok_or_else(|| format!("`{observed}` is no number of {unit}"))?;
                Ok(min.is_none_or(|it| number >= it) && max.is_none_or(|it| number <= it))
            }
            Self::Equals(wanted) => Ok(observed.eq_ignore_ascii_case(wanted.trim())),
            Self::Judged => match observed {
                "pass" => Ok(true),
                "fail" => Ok(false),
                _ => Err(format!("`{observed}` is neither `pass` nor `fail`")),
            },
        }
    }
}

impl std::fmt::Display for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number { min: Some(min), max: Some(max), unit } => write!(f, "{min} to {max} {unit}"),
            Self::Number { min: Some(min), max: None, unit } => write!(f, "at least {min} {unit}"),
            Self::Number { min: None, max: Some(max), unit } => write!(f, "at most {max} {unit}"),
            Self::Number { min: None, max: None, unit } => write!(f, "any number of {unit}"),
            Self::Equals(wanted) => write!(f, "`{wanted}`"),
            Self::Judged => f.write_str("pass or fail"),
        }
    }
}

impl Plan {
    /// What the board asks for and the plan does not say, each as one sentence.
    pub fn missing(&self) -> Vec<&'static str> {
        let Self { window, rollback, backup, safety_review, package, .. } = self;
        let given = [
            (window.is_some(), "[window] with start, end, hard_stop and latest_rollback"),
            (rollback.procedure.is_some(), "[rollback] procedure"),
            (rollback.verified_by.is_some(), "[rollback] verified_by: who has verified that it works"),
            (backup.place.is_some(), "[backup] place"),
            (backup.sha256.is_some(), "[backup] sha256"),
            (backup.taken_ms.is_some(), "[backup] taken: when"),
            (
                backup.restore_tested_ms.is_some(),
                "[backup] restore_tested: when it was last restored for a test",
            ),
            (safety_review.by.is_some(), "[safety_review] by"),
            (safety_review.summary.is_some(), "[safety_review] summary"),
            (package.source.is_some(), "[package] source: where the patch comes from"),
            (package.sha256.is_some(), "[package] sha256 of the media"),
            (package.signature.is_some(), "[package] signature: who signed it, or why nobody did"),
        ];
        given.into_iter().filter(|it| !it.0).map(|it| it.1).collect()
    }

    /// Advisories and requirements that expectations name.
    pub fn subjects(&self) -> BTreeSet<&str> {
        let mut named = BTreeSet::new();
        for expectation in &self.expectations {
            if let Wanted::NotAffected { subject, .. } = &expectation.wanted {
                named.extend(subject.split('/').next());
            }
        }
        named
    }
}
