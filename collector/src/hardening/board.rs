//! What the rules say of every asset, remembered by what was judged: equal facts of equal machines are judged once.
//!
//! The rules and the rows come from outside; a clock does too. What is remembered is what follows from facts, two
//! bytes a rule; exceptions end, so they are laid over it for each question, and what a person reads is worded
//! for the page that is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdpoint_common::proto::store::{AssetRecord, SnapshotRecord};
use holdpoint_common::proto::v1::SectionKind;
use holdpoint_common::row::{PlatformRow, SoftwareRow};
use holdpoint_common::section::Digest;
use prost::Message;

use super::facts::Facts;
use super::file::RuleFile;
use super::judge::{Asset, Products};
pub use super::page::{DEFAULT_LIMIT, Filter, Line, MAX_LIMIT, Page, Scores, World};
use super::result::{Elsewhere, Missing, Outcome, Verdict};
use super::rule::{Family, is_named};
use super::ruleset::{Entry, Ruleset};
use super::score::Score;
use super::told::tell;
use crate::assess::{Coverage, Held, RowSource};
use crate::baseline::sections::rows_of;
use crate::baseline::{Baselines, Shelf, Stated};
use crate::knowledge;

/// Images that are remembered beyond one for each asset.
const SPARE_IMAGES: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub struct Board {
    memory: Mutex<Memory>,
    /// What was approved of each asset.
    baselines: Shelf,
}

#[derive(Debug, Default)]
struct Memory {
    rules: Option<(Vec<Digest>, Arc<Ruleset>)>,
    images: HashMap<Image, Arc<Judged>>,
    platforms: HashMap<Digest, Arc<Platform>>,
    products: HashMap<Digest, Arc<Vec<String>>>,
}

/// Everything that an answer follows from, beside the rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Image {
    sections: [(Option<Digest>, Coverage); 5],
    /// What was approved.
    approved: Option<[Stated; 5]>,
    asset: Asset,
}

/// Number of the rule, what follows, and its weight; rules for other systems are left out.
type Judged = Vec<(u16, Outcome, u32)>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Platform {
    family: Option<Family>,
    build: Option<u32>,
    runs: bool,
}

type Add = fn(&mut Facts, &[Vec<u8>]);

/// Sections from which facts come, with the beginning of their names.
const SECTIONS: [(SectionKind, &[&str], Add); 5] = [
    (SectionKind::Hardening, &[], Facts::add_rows),
    (SectionKind::Live, &["live."], Facts::add_live),
    (SectionKind::Self_, &["agent."], Facts::add_self),
    (SectionKind::Listeners, &["agent.listeners", "listeners."], Facts::add_listeners),
    (SectionKind::Services, &["services."], Facts::add_services),
];

impl Board {
    /// A board that compares with these baselines, as they are whenever it is asked.
    pub fn with(baselines: Shelf) -> Self {
        Self { baselines, ..Self::default() }
    }

    /// The baselines that it compares with.
    pub fn baselines(&self) -> &Shelf {
        &self.baselines
    }

    /// The rules that hold.
    pub fn rules(&self, files: &[knowledge::Held<RuleFile>]) -> Arc<Ruleset> {
        let digests: Vec<Digest> = files.iter().map(|it| it.source.digest).collect();
        let mut memory = self.memory();
        match &memory.rules {
            Some((known, rules)) if *known == digests => Arc::clone(rules),
            Some(_) | None => {
                let rules = Arc::new(Ruleset::new(files));
                *memory = Memory { rules: Some((digests, Arc::clone(&rules))), ..Memory::default() };
                rules
            }
        }
    }

    /// A page of results.
    pub fn page(&self, filter: &Filter, world: &World<'_>) -> Page {
        let rules = self.rules(world.files);
        let limit = match filter.limit {
            0 => DEFAULT_LIMIT,
            limit => limit.min(MAX_LIMIT),
        };
        let wanted: Vec<bool> = rules.rules.iter().map(|it| is_wanted(filter, it)).collect();
        let mut page = Page::default();
        let baselines = self.baselines.current();
        let assets = chosen(world.assets, filter.asset.as_deref(), filter.role.as_deref());
        let after = filter.after.as_ref();
        for record in assets.filter(|it| after.is_none_or(|after| it.id >= after.0)) {
            let (asset, judged) = self.judged(&rules, record, &baselines, world);
            let skip = after.filter(|it| it.0 == record.id).map(|it| place(&rules, &it.1));
            let mut facts = None;
            for &(number, outcome, _) in judged.iter() {
                let number = usize::from(number);
                if !wanted[number] || skip.is_some_and(|it| number < it) {
                    continue;
                }
                let entry = &rules.rules[number];
                let verdict = verdict(&rules, entry, &asset, record, outcome, world.now_ms);
                if filter.verdict.is_some_and(|it| it != verdict) {
                    continue;
                }
                if page.lines.len() == limit {
                    page.next_after = page.lines.last().map(|it| (it.asset.clone(), it.rule.clone()));
                    return page;
                }
                let approved = approved(&baselines, record);
                let facts = facts.get_or_insert_with(|| all_facts(record, approved, world.rows));
                page.lines.push(line(&rules, entry, &asset, record, facts, world.now_ms));
            }
        }
        page
    }

    /// The scores of a page of assets, and of all that are asked for.
    pub fn scores(
        &self,
        asset: Option<&str>,
        role: Option<&str>,
        limit: usize,
        after: &str,
        world: &World<'_>,
    ) -> Scores {
        let limit = match limit {
            0 => DEFAULT_LIMIT,
            limit => limit.min(MAX_LIMIT),
        };
        let mut scores = Scores::default();
        for record in chosen(world.assets, asset, role) {
            let score = self.score(record, world);
            scores.zone.merge(&score);
            if record.id.as_str() <= after && !after.is_empty() {
                continue;
            }
            if scores.assets.len() == limit {
                scores.next_after = scores.assets.last().map(|it| it.0.clone());
            } else {
                scores.assets.push((record.id.clone(), record.role.clone(), score));
            }
        }
        scores
    }

    /// The score of one asset, for whoever asks for some of many again and again.
    pub fn score(&self, record: &AssetRecord, world: &World<'_>) -> Score {
        let rules = self.rules(world.files);
        let baselines = self.baselines.current();
        let (asset, judged) = self.judged(&rules, record, &baselines, world);
        let mut score = Score::default();
        for &(number, outcome, weight) in judged.iter() {
            let entry = &rules.rules[usize::from(number)];
            score.add(verdict(&rules, entry, &asset, record, outcome, world.now_ms), weight);
        }
        score
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judged(
        &self,
        rules: &Arc<Ruleset>,
        record: &AssetRecord,
        baselines: &Baselines,
        world: &World<'_>,
    ) -> (Asset, Arc<Judged>) {
        let asset = self.asset(rules, record, world);
        let sections = SECTIONS.map(|(kind, _, _)| {
            let held = Held::of(record, kind);
            (held.digest, held.coverage)
        });
        let snapshot = approved(baselines, record);
        let approved = snapshot.map(|it| SECTIONS.map(|(kind, _, _)| Stated::then(it, kind)));
        let image = Image { sections, approved, asset };
        if let Some(known) = self.memory().images.get(&image) {
            return (image.asset, Arc::clone(known));
        }
        let facts = all_facts(record, snapshot, world.rows);
        let mut judged = Judged::new();
        for (number, entry) in rules.rules.iter().enumerate() {
            let (chosen, seen) = rules.judge(entry, &image.asset, &facts);
            let Ok(number) = u16::try_from(number) else { break };
            if seen.outcome != Outcome::NotApplicable(Elsewhere::OtherSystem) {
                judged.push((number, seen.outcome, chosen.weight()));
            }
        }
        let judged = Arc::new(judged);
        let asset = image.asset.clone();
        // Rows that could not be read just now may be readable the next time.
        let is_readable = |it: &Facts| it.gap("") != Missing::RowsUnreadable;
        if is_readable(&facts) && facts.approved().is_none_or(is_readable) {
            let mut memory = self.memory();
            if memory.images.len() > world.assets.len() + SPARE_IMAGES {
                memory.images.clear();
            }
            // The rules may have changed meanwhile; then this is nobody's answer any more.
            if memory.rules.as_ref().is_some_and(|it| Arc::ptr_eq(&it.1, rules)) {
                memory.images.insert(image, Arc::clone(&judged));
            }
        }
        (asset, judged)
    }

    fn asset(&self, rules: &Ruleset, record: &AssetRecord, world: &World<'_>) -> Asset {
        let platform = Held::of(record, SectionKind::Platform);
        let platform = platform.digest.and_then(|it| self.platform(&it, world.rows));
        let hardening = Held::of(record, SectionKind::Hardening);
        let quiet = hardening.heard_ms((world.seen)(&record.id)).map(|it| world.now_ms.saturating_sub(it));
        let allowed = i64::try_from(world.ages.inventory.as_millis()).unwrap_or(i64::MAX);
        let gap = match hardening.coverage {
            Coverage::Missing => Some(Missing::SectionMissing),
            Coverage::Incomplete => Some(Missing::SectionIncomplete),
            Coverage::Complete if quiet.is_some_and(|it| it > allowed) => Some(Missing::InventoryStale),
            Coverage::Complete => None,
        };
        let mut tags = record.tags.clone();
        tags.sort_unstable();
        Asset {
            role: record.role.clone(),
            level: record.level,
            tags,
            family: platform.as_ref().and_then(|it| it.family),
            build: platform.as_ref().and_then(|it| it.build),
            runs: platform.as_ref().map(|it| it.runs),
            gap,
            products: self.products(rules, record, world.rows),
        }
    }

    fn platform(&self, digest: &Digest, rows: &dyn RowSource) -> Option<Arc<Platform>> {
        if let Some(known) = self.memory().platforms.get(digest) {
            return Some(Arc::clone(known));
        }
        let rows = rows.rows(SectionKind::Platform, digest).ok().flatten()?;
        let platform = Arc::new(Platform::read(&PlatformRow::decode(rows.first()?.as_slice()).ok()?));
        self.memory().platforms.insert(*digest, Arc::clone(&platform));
        Some(platform)
    }

    fn products(&self, rules: &Ruleset, record: &AssetRecord, rows: &dyn RowSource) -> Products {
        if rules.products.is_empty() {
            return Products::default();
        }
        let held = Held::of(record, SectionKind::Software);
        let Some(digest) = held.digest else { return Products::default() };
        let are_all = held.coverage == Coverage::Complete;
        if let Some(known) = self.memory().products.get(&digest) {
            return Products { installed: known.to_vec(), are_all };
        }
        let Ok(Some(software)) = rows.rows(SectionKind::Software, &digest) else {
            return Products::default();
        };
        let names: Vec<String> = software
            .iter()
            .filter_map(|it| SoftwareRow::decode(it.as_slice()).ok())
            .filter(|it| it.source != "leftover-dpkg")
            .map(|it| it.name.to_lowercase())
            .collect();
        let installed: Vec<String> = rules
            .products
            .iter()
            .filter(|it| names.iter().any(|name| it.matches_lower(name)))
            .map(|it| it.as_str().to_owned())
            .collect();
        self.memory().products.insert(digest, Arc::new(installed.clone()));
        Products { installed, are_all }
    }
}

impl Platform {
    fn read(row: &PlatformRow) -> Self {
        let family = match (row.os_id.as_deref(), row.source.split('/').next()) {
            (Some("windows"), _) | (_, Some("windows")) => Some(Family::Windows),
            (_, Some("linux")) => Some(Family::Linux),
            (_, _) => None,
        };
        // "10.0.19044.4529": the third part is the build.
        let build = row.build.as_deref().filter(|_| family == Some(Family::Windows));
        let build = build.and_then(|it| it.split('.').nth(2)?.parse().ok());
        Self { family, build, runs: row.boot_id.is_some() }
    }
}

fn is_wanted(filter: &Filter, entry: &Entry) -> bool {
    filter.rule.as_deref().is_none_or(|it| is_named(it, &entry.rule.id))
}

/// The assets in service that a question is about.
fn chosen<'a>(
    assets: &'a [Arc<AssetRecord>],
    asset: Option<&'a str>,
    role: Option<&'a str>,
) -> impl Iterator<Item = &'a AssetRecord> {
    assets
        .iter()
        .map(AsRef::as_ref)
        .filter(|it: &&AssetRecord| it.retired_ms.is_none())
        .filter(move |it| asset.is_none_or(|id| it.id == id))
        .filter(move |it| {
            role.is_none_or(|role| it.role.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(role)))
        })
}

/// The number of the first rule behind that one.
fn place(rules: &Ruleset, rule: &str) -> usize {
    let at = rules.rules.iter().position(|it| it.rule.id.eq_ignore_ascii_case(rule));
    at.map_or(rules.rules.len(), |it| it + 1)
}

/// The word for an outcome, with exceptions laid over it.
fn verdict(
    rules: &Ruleset,
    entry: &Entry,
    asset: &Asset,
    record: &AssetRecord,
    outcome: Outcome,
    now_ms: i64,
) -> Verdict {
    let is_excepted = outcome == Outcome::Fail
        && rules
            .exception(&entry.rule.id, asset, &record.id, &record.name, now_ms)
            .is_some_and(|it| it.0.is_valid(now_ms));
    if is_excepted { Verdict::Exception } else { outcome.verdict() }
}

fn line(
    rules: &Ruleset,
    entry: &Entry,
    asset: &Asset,
    record: &AssetRecord,
    facts: &Facts,
    now_ms: i64,
) -> Line {
    let (chosen, seen) = rules.judge(entry, asset, facts);
    let exception = rules.exception(&entry.rule.id, asset, &record.id, &record.name, now_ms);
    let held = Held::of(record, SectionKind::Hardening);
    Line {
        asset: record.id.clone(),
        rule: entry.rule.id.clone(),
        title: entry.rule.title.clone(),
        severity: chosen.severity,
        profile: chosen.file.to_owned(),
        told: tell(&chosen, &seen, asset, exception, now_ms),
        as_of_ms: held.received_ms,
        grade: held.grade,
    }
}

/// What was approved of an asset last.
fn approved<'a>(baselines: &'a Baselines, record: &AssetRecord) -> Option<&'a SnapshotRecord> {
    baselines.of(&record.id).map(|it| it.snapshot.as_ref())
}

/// Reads the facts of an asset, now and as they were approved.
fn all_facts(record: &AssetRecord, approved: Option<&SnapshotRecord>, source: &dyn RowSource) -> Facts {
    let approved = approved.and_then(|it| facts_then(it, source)).map(Arc::new);
    facts_of(record, source).against(approved)
}

/// Reads the facts of a snapshot; `None` when its facts were not read completely: then none of them was approved.
fn facts_then(snapshot: &SnapshotRecord, source: &dyn RowSource) -> Option<Facts> {
    let mut facts = Facts::default();
    for (kind, beginnings, add) in SECTIONS {
        let is_own = kind == SectionKind::Hardening;
        let Stated::Whole(digest) = Stated::then(snapshot, kind) else {
            if is_own {
                return None;
            }
            for beginning in beginnings {
                facts.add_gap(beginning, Missing::NoBaseline);
            }
            continue;
        };
        match rows_of(source, kind, &digest) {
            Ok(Some(rows)) => add(&mut facts, &rows),
            Ok(None) | Err(_) => facts.add_gap("", Missing::RowsUnreadable),
        }
    }
    Some(facts)
}

/// Reads the facts of an asset.
fn facts_of(record: &AssetRecord, source: &dyn RowSource) -> Facts {
    let mut facts = Facts::default();
    for (kind, beginnings, add) in SECTIONS {
        let held = Held::of(record, kind);
        let is_own = kind == SectionKind::Hardening;
        match held.digest.map(|it| source.rows(kind, &it)) {
            // Of a section of hardening that is not whole nothing is concluded, whatever its rows say.
            Some(Ok(Some(rows))) if is_own || held.coverage == Coverage::Complete => add(&mut facts, &rows),
            Some(Ok(Some(_))) => {
                for beginning in beginnings {
                    facts.add_gap(beginning, Missing::SectionIncomplete);
                }
            }
            Some(Ok(None) | Err(_)) => facts.add_gap("", Missing::RowsUnreadable),
            None if is_own => {}
            None => {
                for beginning in beginnings {
                    facts.add_gap(beginning, Missing::SectionMissing);
                }
            }
        }
    }
    facts
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
