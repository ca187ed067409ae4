//! Judging again from what a pack holds, by the judge that a collector has.
//!
//! Everything but what rests on advisories is judged again from the rows of both snapshots: what is installed, gone,
//! set, running, listening, restarted, what moved beside it, and what that makes of the target. Advisories and the
//! product map stay in the zone: verdicts on them, and the products that they declare to move, remain the
//! collector's word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdpoint_common::proto::store::{CollateralItem, SnapshotRecord, StageJudged, TargetVerdict};
use holdpoint_common::row::{SectionKind, section_name};
use holdpoint_common::section::{Digest, Rows};

use crate::assess::RowSource;
use crate::change::Change;
use crate::change::judge::{self, Question};
use crate::change::plan::{Expectation, Wanted};
use crate::change::word::COLLATERAL_CHANGE;
use crate::knowledge::{AllowedAges, Knowledge};

/// Most bytes of rows that are read for judging again: a thousand targets, twice. A pack in which a stage was judged
/// ever so often keeps nobody busy.
const MAX_READ: usize = 4 * 1024 * 1024 * 1024;

/// What judging a stage again came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Again {
    /// Verdicts that were judged again, with the same result.
    pub verdicts: usize,
    /// Targets of which what moved was compared again, with the same result.
    pub compared: usize,
    /// Targets of which only what the entry names was found to have moved: what else did may have been declared.
    pub confirmed: usize,
    /// Targets that were not judged again: their rows are not here, or too many were read.
    pub left: usize,
    /// What came out otherwise than the entry says, each as one sentence.
    pub other: Vec<String>,
}

/// The rows in a pack.
#[derive(Debug, Default)]
pub struct PackRows {
    sections: BTreeMap<Digest, Vec<u8>>,
    read: AtomicUsize,
}

impl PackRows {
    /// Sections, packed, by the digest of their rows.
    pub fn new(sections: BTreeMap<Digest, Vec<u8>>) -> Self {
        Self { sections, read: AtomicUsize::new(0) }
    }

    /// Whether every section that a snapshot names is here.
    fn has(&self, snapshot: &SnapshotRecord) -> bool {
        snapshot.sections.iter().filter_map(|it| it.state.as_ref()).all(|state| {
            let digest = Digest::try_from(state.digest.as_slice());
            state.digest.is_empty() || digest.is_ok_and(|it| self.sections.contains_key(&it))
        })
    }
}

impl RowSource for PackRows {
    fn rows(&self, _: SectionKind, digest: &Digest) -> Result<Option<Arc<Vec<Vec<u8>>>>, String> {
        let Some(packed) = self.sections.get(digest) else { return Ok(None) };
        let rows = Rows::unpack(packed).map_err(|it| it.to_string())?;
        let is_it = rows.digest() == *digest;
        let rows = rows.into_encoded();
        let bytes: usize = rows.iter().map(Vec::len).sum();
        if self.read.fetch_add(bytes, Ordering::Relaxed) > MAX_READ {
            return Err("too many rows were read".to_owned());
        }
        Ok(is_it.then(|| Arc::new(rows)))
    }
}

/// Judges a stage again: `change` is as it was before the entry `judged`, which was written at `at_ms` (Unix
/// milliseconds). A target whose rows are not all here is counted and not judged.
pub fn again(change: &Change, judged: &StageJudged, at_ms: i64, rows: &Arc<PackRows>) -> Again {
    let mut said = Again::default();
    let (Some(stage), Ok(planned)) = (change.stage(judged.stage), change.planned_stage(judged.stage)) else {
        return said;
    };
    let both_here = |asset: &str| {
        let target = stage.targets.get(asset);
        let pair = target.and_then(|it| it.pre.as_ref().zip(it.post.as_ref()));
        pair.is_some_and(|(pre, post)| rows.has(pre) && rows.has(post))
    };
    let here: BTreeSet<&str> = stage.targets.keys().map(String::as_str).filter(|it| both_here(it)).collect();
    said.left =
        stage.targets.values().filter(|it| it.pre.is_some() && it.post.is_some()).count() - here.len();
    if here.is_empty() {
        return said;
    }
    let question = Question {
        change,
        stage: judged.stage,
        rows: Arc::clone(rows) as Arc<dyn RowSource>,
        knowledge: &Arc::new(Knowledge::default()),
        ages: &AllowedAges::default(),
        now_ms: at_ms,
        role: &|_| None,
        rules: &[],
    };
    // What is wrong with rows is told where they are checked.
    let Ok(now) = judge::judge(&question) else {
        said.left += here.len();
        return said;
    };
    let expected: Vec<&Expectation> =
        planned.expectations.iter().filter_map(|&it| change.plan.expectations.get(it)).collect();
    let rests_here = |it: &Expectation| !matches!(it.wanted, Wanted::NotAffected { .. });
    let all_rest_here = expected.iter().all(|it| rests_here(it));
    for it in &now.verdicts {
        let is_whole = it.expectation.is_empty();
        let is_judged = if is_whole {
            all_rest_here
        } else {
            expected.iter().any(|expected| expected.id == it.expectation && rests_here(expected))
        };
        if !is_judged || !here.contains(it.asset.as_str()) {
            continue;
        }
        let entry =
            judged.verdicts.iter().find(|one| one.asset == it.asset && one.expectation == it.expectation);
        if entry.is_some_and(|entry| word(entry) == word(it)) {
            said.verdicts += 1;
        } else {
            let of = if is_whole { "as a whole" } else { it.expectation.as_str() };
            let entry = entry.map_or_else(|| "nothing".to_owned(), word);
            said.other.push(format!(
                "{}, {of}: the entry says {entry}, and its rows come to {}: {}",
                it.asset,
                word(it),
                it.text
            ));
        }
    }
    for asset in here {
        let (entry, now) = (moved(&judged.collateral, asset), moved(&now.collateral, asset));
        let whole = judged.verdicts.iter().find(|it| it.asset == asset && it.expectation.is_empty());
        if whole.is_some_and(|it| it.modifiers.iter().any(|it| it == COLLATERAL_CHANGE) == entry.is_empty()) {
            said.other.push(format!("{asset}, as a whole: the entry says otherwise whether anything moved"));
        }
        // Where more moved than an entry names one by one, less that was declared takes the place of more.
        let is_cut = now.iter().any(|it| it.0 == i32::from(SectionKind::Unspecified));
        if all_rest_here {
            let missing = now.difference(&entry);
            let missing =
                missing.map(|it| format!("{asset}: {} moved, and the entry does not say so", told(it)));
            let before = said.other.len();
            said.other.extend(missing.chain(invented(asset, &entry, &now)));
            said.compared += usize::from(said.other.len() == before);
        } else if !is_cut {
            // What an advisory's products let move is only known in the zone: more may have moved.
            let before = said.other.len();
            said.other.extend(invented(asset, &entry, &now));
            said.confirmed += usize::from(said.other.len() == before);
        }
    }
    said
}

/// What an entry names although it did not move.
fn invented<'a>(
    asset: &'a str,
    entry: &'a BTreeSet<Item<'_>>,
    now: &'a BTreeSet<Item<'_>>,
) -> impl Iterator<Item = String> + 'a {
    let invented = entry.difference(now);
    invented.map(move |it| format!("{asset}: the entry says that {} moved, and it did not", told(it)))
}

fn word(verdict: &TargetVerdict) -> String {
    let TargetVerdict { verdict, reason, modifiers, grade, .. } = verdict;
    let reason = if reason.is_empty() { String::new() } else { format!("({reason})") };
    let with = if modifiers.is_empty() { "" } else { " with " };
    let grade = if grade.is_empty() { String::new() } else { format!(" at grade {grade}") };
    format!("{verdict}{reason}{with}{}{grade}", modifiers.join(", "))
}

/// Section, item, and its value before and after.
type Item<'a> = (i32, &'a str, Option<&'a str>, Option<&'a str>);

fn moved<'a>(items: &'a [CollateralItem], asset: &str) -> BTreeSet<Item<'a>> {
    let items = items.iter().filter(|it| it.asset == asset);
    items.map(|it| (it.kind, it.item.as_str(), it.before.as_deref(), it.after.as_deref())).collect()
}

fn told((kind, item, before, after): &Item<'_>) -> String {
    let kind = SectionKind::try_from(*kind).map_or("a section", section_name);
    let value = |it: Option<&str>| it.map_or_else(|| "nothing".to_owned(), |it| format!("`{it}`"));
    format!("{kind} `{item}` from {} to {}", value(*before), value(*after))
}
