//! From the words of a plan to assets: who is meant, and whether the stages follow the order of the plant.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{MAX_FAULTS, Plan, Targets, Tier};
use crate::knowledge::text::shown;

/// Most assets of one change.
pub const MAX_ASSETS: usize = 10_000;
/// Words of criticality whose order is known, the least first.
const CRITICALITIES: [&str; 4] = ["low", "medium", "high", "critical"];

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

/// The assets of each stage, in order; within a stage sorted by identifier.
///
/// # Errors
/// Every fault: unknown assets, empty stages, an asset in two stages, partners in one stage, stages out of order,
/// subjects that nobody holds.
pub fn resolve(plan: &Plan, zone: &dyn Inventory) -> Result<Vec<Vec<String>>, Vec<String>> {
    let assets = zone.assets();
    let site = Site::of(&assets, zone);
    let mut faults = Vec::new();
    if let Some(id) = plan.refers_to.as_ref().filter(|it| !zone.has_change(it)) {
        faults.push(format!("refers_to: there is no change `{}`", shown(id, 60)));
    }
    for subject in plan.subjects().into_iter().filter(|it| !zone.knows(it)) {
        let subject = shown(subject, 100);
        faults.push(format!("expectation: no advisory or requirement `{subject}` was imported"));
    }
    let stages: Vec<BTreeSet<&str>> =
        (1..).zip(&plan.stages).map(|(number, it)| site.meant_by(number, &it.targets, &mut faults)).collect();
    twice(&stages, &mut faults);
    for (number, stage) in (1..).zip(&stages) {
        site.partners_in(number, stage, &mut faults);
    }
    out_of_order(plan, &stages, &site, &mut faults);
    let total: usize = stages.iter().map(BTreeSet::len).sum();
    if total > MAX_ASSETS {
        faults.push(format!("stage: {total} assets are meant, over the limit of {MAX_ASSETS}"));
    }
    if faults.is_empty() {
        let owned = |it: BTreeSet<&str>| it.into_iter().map(str::to_owned).collect();
        return Ok(stages.into_iter().map(owned).collect());
    }
    if faults.len() > MAX_FAULTS {
        let more = faults.len() - MAX_FAULTS + 1;
        faults.truncate(MAX_FAULTS - 1);
        faults.push(format!("and {more} more"));
    }
    Err(faults)
}

/// The zone's assets, found by whatever a plan can call them.
struct Site<'a> {
    zone: &'a dyn Inventory,
    by_id: BTreeMap<&'a str, &'a Known>,
    by_name: BTreeMap<String, Vec<&'a str>>,
    by_role: BTreeMap<String, Vec<&'a str>>,
    by_tag: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Site<'a> {
    fn of(assets: &'a [Known], zone: &'a dyn Inventory) -> Self {
        let mut site = Self {
            zone,
            by_id: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_role: BTreeMap::new(),
            by_tag: BTreeMap::new(),
        };
        for it in assets {
            site.by_id.insert(&it.id, it);
            site.by_name.entry(it.name.to_lowercase()).or_default().push(&it.id);
            if let Some(role) = &it.role {
                site.by_role.entry(role.to_lowercase()).or_default().push(&it.id);
            }
            for tag in &it.tags {
                site.by_tag.entry(tag).or_default().push(&it.id);
            }
        }
        site
    }

    /// One asset by its identifier, else by its display name.
    fn named(&self, name: &str) -> Result<&'a str, String> {
        if let Some(it) = self.by_id.get(name) {
            return Ok(&it.id);
        }
        match self.by_name.get(&name.to_lowercase()).map(Vec::as_slice) {
            Some([only]) => Ok(only),
            Some(several @ [_, _, ..]) => {
                let ids = several.iter().take(5).copied().collect::<Vec<_>>().join(", ");
                Err(format!("`{name}` is the name of several assets: write one of {ids}"))
            }
            Some([]) | None => Err(format!("there is no asset `{}`", shown(name, 60))),
        }
    }

    /// Everybody whom any word of a stage names.
    fn meant_by(&self, number: usize, targets: &Targets, faults: &mut Vec<String>) -> BTreeSet<&'a str> {
        let Targets { assets, roles, tags, affected_by } = targets;
        let before = faults.len();
        let mut meant = BTreeSet::new();
        let mut add = |key: &str, found: Result<Vec<&'a str>, String>| match found {
            Ok(found) => meant.extend(found),
            Err(why) => faults.push(format!("stage[{number}].{key}: {why}")),
        };
        for name in assets {
            add("assets", self.named(name).map(|it| vec![it]));
        }
        for role in roles {
            let found = self.by_role.get(&role.to_lowercase()).cloned();
            add("roles", found.ok_or_else(|| format!("no asset has the role `{role}`")));
        }
        for tag in tags {
            let found = self.by_tag.get(tag.as_str()).cloned();
            add("tags", found.ok_or_else(|| format!("no asset has the tag `{tag}`")));
        }
        for subject in affected_by {
            add("affected_by", self.affected_by(subject));
        }
        if meant.is_empty() && faults.len() == before {
            faults.push(format!("stage[{number}]: it names no asset"));
        }
        meant
    }

    fn affected_by(&self, subject: &str) -> Result<Vec<&'a str>, String> {
        let first = subject.split('/').next().unwrap_or_default();
        if !self.zone.knows(first) {
            return Err(format!("no advisory or requirement `{first}` was imported"));
        }
        let affected = self.zone.affected_by(subject);
        // Whoever is retired meanwhile is no target.
        let found: Vec<&str> =
            affected.iter().filter_map(|it| self.by_id.get(it.as_str())).map(|it| it.id.as_str()).collect();
        if found.is_empty() {
            return Err(format!("`{subject}` affects no asset now"));
        }
        Ok(found)
    }

    /// Redundancy partners that would be down together, each pair once.
    fn partners_in(&self, number: usize, stage: &BTreeSet<&'a str>, faults: &mut Vec<String>) {
        let mut pairs = BTreeSet::new();
        for &one in stage {
            let partner = self.by_id.get(one).and_then(|it| it.partner.as_deref());
            let Some(two) = partner.and_then(|it| self.named(it).ok()) else { continue };
            if two != one && stage.contains(two) {
                pairs.insert((one.min(two), one.max(two)));
            }
        }
        for (one, two) in pairs {
            faults.push(format!(
                "stage[{number}]: `{one}` and `{two}` are redundancy partners: put them into two stages"
            ));
        }
    }

    /// The highest criticality in a stage, among the words whose order is known.
    fn criticality(&self, stage: &BTreeSet<&str>) -> Option<(usize, &'static str)> {
        let words = stage.iter().filter_map(|it| self.by_id.get(it)?.criticality.as_deref());
        words.filter_map(rank).max()
    }
}

/// The place of a criticality; a site's other words are not compared.
fn rank(word: &str) -> Option<(usize, &'static str)> {
    CRITICALITIES.into_iter().enumerate().find(|it| it.1.eq_ignore_ascii_case(word.trim()))
}

fn twice(stages: &[BTreeSet<&str>], faults: &mut Vec<String>) {
    let mut first = BTreeMap::new();
    for (number, stage) in (1_usize..).zip(stages) {
        for asset in stage {
            match first.get(asset) {
                Some(before) => {
                    faults.push(format!("stage[{number}]: `{asset}` is in stage {before} as well"));
                }
                None => {
                    first.insert(asset, number);
                }
            }
        }
    }
}

/// Supporting servers, operator stations, controllers; within each the least critical first.
fn out_of_order(plan: &Plan, stages: &[BTreeSet<&str>], site: &Site<'_>, faults: &mut Vec<String>) {
    // The furthest that a stage went before, with its number.
    let mut furthest: Option<(Tier, usize)> = None;
    let mut highest: Option<((usize, &str), usize)> = None;
    for (number, (planned, stage)) in (1_usize..).zip(plan.stages.iter().zip(stages)) {
        match furthest {
            Some((tier, before)) if planned.tier < tier => {
                faults.push(format!(
                    "stage[{number}].tier: {} comes before {}, and stage {before} is {} already",
                    planned.tier.as_str(),
                    tier.as_str(),
                    tier.as_str()
                ));
                continue;
            }
            Some((tier, _)) if planned.tier == tier => {}
            Some(_) | None => {
                furthest = Some((planned.tier, number));
                highest = None;
            }
        }
        let Some(now) = site.criticality(stage) else { continue };
        match highest {
            Some((before, at)) if now < before => faults.push(format!(
                "stage[{number}]: its criticality is {}, and stage {at} before it is {}: the least critical \
                 goes first",
                now.1, before.1
            )),
            Some(_) | None => highest = Some((now, number)),
        }
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
