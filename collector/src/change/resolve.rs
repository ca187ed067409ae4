//! From the words of a plan to assets: who is meant, and whether the stages follow the order of the plant.

use std::collections::BTreeSet;

use super::plan::Plan;

/// Most assets of one change.
pub const MAX_ASSETS: usize = 10_000;

/// What is known of an asset when a change is planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its identifier.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its role, by enrolment or by placement.
    pub role: Option<String>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// The site's own word for how critical it is.
    pub criticality: Option<String>,
    /// The asset that takes over.
    pub partner: Option<String>,
    /// An agent speaks for it; else a person has to attest.
    pub has_agent: bool,
}

/// The zone as a plan may name it.
pub trait Inventory {
    /// Every asset that is not retired, enrolled or placed, sorted by id.
    fn assets(&self) -> Vec<Known>;
    /// Assets that an advisory or requirement affects now.
    fn affected_by(&self, subject: &str) -> Vec<String>;
    /// Whether something of that name is held: an advisory, a requirement.
    fn knows(&self, subject: &str) -> bool;
    /// Whether there is a change of that number.
    fn has_change(&self, id: &str) -> bool;
}

/// The assets of each stage, in order.
///
/// # Errors
/// Every fault: unknown assets, empty stages, an asset in two stages, partners in one stage, stages out of order.
pub fn resolve(plan: &Plan, zone: &dyn Inventory) -> Result<Vec<Vec<String>>, Vec<String>> {
    let _ = (plan, zone);
    Err(vec!["not yet".to_owned()])
}
