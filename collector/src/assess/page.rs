//! Reading the board page by page, with the age of inventory and feeds laid over every finding.

use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::knowledge::{AllowedAges, FeedState, HeldAdvisory, Kind, Knowledge};
use crate::zone::Grade;

use super::asset::{AssetFacts, Coverage, Held};
use super::board::{LastSeen, OnBoard, State};
use super::explain::Step;
use super::index::{Index, at};
use super::judge::{self, Compact, Judged};
use super::rank::{self, CLASSES, Now};
use super::standing::Clerk;
use super::subject::Of;
use super::verdict::{Outcome, Reason, Verdict};

/// Findings of a page when nothing is said.
pub const DEFAULT_LIMIT: usize = 200;
/// Most findings of a page.
pub const MAX_LIMIT: usize = 1_000;

/// Which findings are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one asset.
    pub asset: Option<String>,
    /// Of one advisory, by its identifier with or without the update letter.
    pub advisory: Option<String>,
    /// With one verdict.
    pub verdict: Option<Verdict>,
    /// Of assets with this role.
    pub role: Option<String>,
    /// Of assets that did not call for this long.
    pub stale: Option<Duration>,
    /// At most this many; 0 means [`DEFAULT_LIMIT`].
    pub limit: usize,
    /// With this outcome of triage.
    pub triage: Option<String>,
    /// After this finding.
    pub after: Option<Cursor>,
}

/// Where a page ends: rank, asset and subject of its last finding. It stays the same text for the same finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    rank: u8,
    asset: String,
    subject: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.rank, self.asset, self.subject)
    }
}

/// The text is no cursor that a page gave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that a page gave")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut parts = text.splitn(3, '/');
        let (Some(rank), Some(asset), Some(subject)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidCursor);
        };
        let rank = rank.parse().ok().filter(|it| *it <= rank::CLOSED).ok_or(InvalidCursor)?;
        Ok(Self { rank, asset: asset.to_owned(), subject: subject.to_owned() })
    }
}

/// One finding as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingView {
    /// The asset.
    pub asset: String,
    /// `ADVISORY/CVE/ENTRY`, or a requirement's identifier.
    pub subject: String,
    /// Where the statement comes from.
    pub kind: Kind,
    /// For an advisory: its identifier.
    pub advisory: Option<String>,
    /// For an advisory: the vulnerability.
    pub vulnerability: Option<String>,
    /// The product as the advisory or the requirement writes it.
    pub product: Option<String>,
    /// What holds now.
    pub outcome: Outcome,
    /// What is installed.
    pub installed: Option<String>,
    /// What is required, or the range that is affected.
    pub required: Option<String>,
    /// When the rows that decide were received, Unix milliseconds.
    pub as_of_ms: Option<i64>,
    /// Age of the newest import of this kind.
    pub feed_age: Duration,
    /// How far the rows that decide can be trusted; `None` when there are none.
    pub grade: Option<Grade>,
    /// The derived status, one word with what belongs to it.
    pub state: String,
    /// What was decided, of an open finding.
    pub disposition: Option<&'static str>,
    /// The outcome of triage, of an open finding about a vulnerability.
    pub triage: Option<&'static str>,
    /// What triage does not know and could change its outcome.
    pub triage_missing: Vec<&'static str>,
}

/// A part of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The findings, worst triage first, then by asset and subject.
    pub findings: Vec<FindingView>,
    /// Where to go on; `None` when this was all.
    pub next_after: Option<Cursor>,
    /// The rank of the last finding.
    last_rank: Option<u8>,
    /// Whether anything in the whole answer is open.
    pub any_open: bool,
}

/// How old everything is.
#[derive(Debug)]
pub(super) struct Weather {
    now_ms: i64,
    inventory: Duration,
    /// In the order of [`Kind::ALL`].
    feeds: [FeedState; Kind::ALL.len()],
}

impl Weather {
    pub(super) fn new(knowledge: &Knowledge, ages: &AllowedAges, now_ms: i64) -> Self {
        Self {
            now_ms,
            inventory: ages.inventory,
            feeds: Kind::ALL.map(|it| knowledge.feed(it, ages, now_ms)),
        }
    }

    pub(super) fn feeds(&self) -> &[FeedState; Kind::ALL.len()] {
        &self.feeds
    }

    fn feed(&self, kind: Kind) -> &FeedState {
        &self.feeds[kind as usize]
    }

    /// Whether an asset has been quiet for so long that its rows prove nothing any more.
    pub(super) fn is_outdated(&self, seen_ms: Option<i64>) -> bool {
        seen_ms.is_none() || self.quiet(seen_ms) > self.inventory
    }

    fn quiet(&self, seen_ms: Option<i64>) -> Duration {
        crate::knowledge::age(seen_ms, self.now_ms)
    }

    /// The outcome now. What is known of the host may be outdated altogether; old knowledge only takes
    /// the good news away, since what was affected still is.
    pub(super) fn over(&self, outcome: Outcome, kind: Kind, seen_ms: Option<i64>) -> Outcome {
        self.aged(outcome, kind, self.is_outdated(seen_ms))
    }

    /// The same where it is known whether the rows are outdated.
    pub(super) fn aged(&self, outcome: Outcome, kind: Kind, outdated: bool) -> Outcome {
        let outcome = if outdated { outcome.doubt_all(Reason::InventoryStale) } else { outcome };
        if self.feed(kind).stale { outcome.doubt_good(Reason::FeedStale) } else { outcome }
    }

    pub(super) fn feed_step(&self, kind: Kind) -> Step {
        let feed = self.feed(kind);
        let age = days(feed.age);
        let text = match (feed.imported_ms, feed.stale) {
            (None, _) => format!("nothing of kind {} is held", kind.as_str()),
            (Some(at), false) => format!("newest {} import {}, {age} old", kind.as_str(), time_text(at)),
            (Some(at), true) => format!(
                "newest {} import {}, {age} old, and no good news may rest on it (allowed: {})",
                kind.as_str(),
                time_text(at),
                days(feed.allowed)
            ),
        };
        Step::new("feed", text)
    }

    pub(super) fn age_step(&self, seen_ms: Option<i64>) -> Option<Step> {
        self.is_outdated(seen_ms).then(|| {
            let seen = seen_ms.map_or_else(|| "never".to_owned(), time_text);
            Step::new(
                "section",
                format!("the asset was last seen {seen}; allowed are {}", days(self.inventory)),
            )
        })
    }
}

fn days(age: Duration) -> String {
    let hours = age.as_secs() / 3_600;
    if hours < 48 { format!("{hours} h") } else { format!("{} d", hours / 24) }
}

/// A time as people read it.
pub(super) fn time_text(at_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000)
        .ok()
        .and_then(|it| it.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{at_ms} ms"))
}

/// Whether an advisory is the one that is meant.
pub(super) fn is_named(held: &HeldAdvisory, wanted: &str) -> bool {
    let revision = &held.advisory.revision;
    revision.id.eq_ignore_ascii_case(wanted) || revision.family().eq_ignore_ascii_case(wanted)
}

/// An asset that a question is about, with what its outcomes are now.
struct Candidate<'a> {
    on_board: &'a OnBoard,
    judged: &'a Judged,
    seen_ms: Option<i64>,
    outcomes: &'a [Outcome; CLASSES],
}

/// What a question asks for, beside the assets.
struct Wanted<'a> {
    filter: &'a Filter,
    /// The rank of the triage that is asked for.
    rank: Option<u8>,
}

impl Wanted<'_> {
    /// How many findings of a candidate have a rank now.
    fn count(&self, candidate: &Candidate<'_>, rank: u8) -> u32 {
        let counts = candidate.on_board.ranks.counts.iter();
        let counts =
            counts.filter_map(|(class, by_rank)| Some((by_rank, candidate.outcomes.get(*class)?.verdict())));
        let counted = counts.map(|(by_rank, verdict)| match verdict.is_open() {
            _ if self.filter.verdict.is_some_and(|it| it != verdict) => 0,
            true if rank != rank::CLOSED => by_rank.get(usize::from(rank)).copied().unwrap_or(0),
            false if rank == rank::CLOSED => by_rank.iter().sum(),
            true | false => 0,
        });
        counted.sum()
    }

    /// The outcome and rank of a finding now; `None` when it is not asked for.
    fn of(
        &self,
        index: &Index,
        candidate: &Candidate<'_>,
        position: usize,
        finding: Compact,
        weather: &Weather,
    ) -> Option<(u8, Outcome)> {
        let of = index.subject(finding.subject)?.of;
        let heard_ms = decides(index, &candidate.on_board.facts, of).heard_ms(candidate.seen_ms);
        let outcome = weather.over(finding.outcome, kind_of(index, of), heard_ms);
        let verdict = outcome.verdict();
        let rank = if verdict.is_open() { candidate.on_board.ranks.of(position) } else { rank::CLOSED };
        let wanted =
            self.filter.verdict.is_none_or(|it| it == verdict) && self.rank.is_none_or(|it| it == rank);
        wanted.then_some((rank, outcome))
    }
}

/// A finding on its way to a page. The order of its parts is the order of the answer.
type Hit = (u8, usize, usize, Outcome);

/// Reads a page off the board: worst triage first, then by asset and subject.
pub(super) fn page(
    state: &State,
    filter: &Filter,
    weather: &Weather,
    seen: LastSeen<'_>,
    clerk: &Clerk<'_>,
) -> Page {
    let index = state.index.as_ref();
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit.min(MAX_LIMIT) };
    let now = Now::new(weather);
    let candidates = candidates(state, filter, weather, &now, seen);
    let wanted =
        Wanted { filter, rank: filter.triage.as_deref().map(|it| rank::rank_of(it).unwrap_or(u8::MAX)) };
    if filter.verdict == Some(Verdict::NoProduct) {
        return absent_page(index, &candidates, filter, limit, weather, clerk);
    }
    let (hits, any_open) = match &filter.advisory {
        Some(advisory) => named(index, &candidates, &wanted, advisory, limit + 1, weather),
        None => (
            ranked(index, &candidates, &wanted, limit + 1, weather),
            candidates.iter().any(|candidate| {
                let mut ranks = (0..rank::CLOSED).filter(|it| wanted.rank.is_none_or(|wanted| wanted == *it));
                ranks.any(|it| wanted.count(candidate, it) > 0)
            }),
        ),
    };
    let mut page = Page { any_open, ..Page::default() };
    for &(rank, candidate, position, outcome) in &hits {
        let Some((candidate, finding)) =
            candidates.get(candidate).and_then(|it| Some((it, *it.judged.findings.get(position)?)))
        else {
            continue;
        };
        if page.findings.len() == limit {
            page.next_after = page.findings.last().zip(page.last_rank).map(|(it, rank)| Cursor {
                rank,
                asset: it.asset.clone(),
                subject: it.subject.clone(),
            });
            break;
        }
        let finding = Compact { outcome, ..finding };
        page.findings.push(view(index, candidate, finding, Some(position), weather, clerk));
        page.last_rank = Some(rank);
    }
    page
}

fn candidates<'a>(
    state: &'a State,
    filter: &Filter,
    weather: &Weather,
    now: &'a Now,
    seen: LastSeen<'_>,
) -> Vec<Candidate<'a>> {
    let one = filter.asset.as_deref().map(|it| state.assets.get(it));
    let assets: Box<dyn Iterator<Item = &OnBoard>> = match one {
        Some(one) => Box::new(one.into_iter()),
        None => Box::new(state.assets.values()),
    };
    let candidate = |on_board: &'a OnBoard| {
        let facts = &on_board.facts;
        if filter.role.is_some() && filter.role.as_deref() != facts.role.as_deref() {
            return None;
        }
        let judged = on_board.judged()?;
        let seen_ms = seen(&facts.id);
        let heard_ms = facts.heard_ms(seen_ms);
        if filter.stale.is_some_and(|it| heard_ms.is_some() && weather.quiet(heard_ms) <= it) {
            return None;
        }
        let outdated = |held: &Held| weather.is_outdated(held.heard_ms(seen_ms));
        let outcomes = now.of(outdated(&facts.software), outdated(&facts.platform));
        Some(Candidate { on_board, judged, seen_ms, outcomes })
    };
    assets.filter_map(candidate).collect()
}

/// Findings in their order, rank by rank: an asset without any of a rank is passed by.
fn ranked(
    index: &Index,
    candidates: &[Candidate<'_>],
    wanted: &Wanted<'_>,
    limit: usize,
    weather: &Weather,
) -> Vec<Hit> {
    let mut hits = Vec::new();
    let after = wanted.filter.after.as_ref();
    for rank in after.map_or(0, |it| it.rank)..=rank::CLOSED {
        if wanted.rank.is_some_and(|it| it != rank) {
            continue;
        }
        let after = after.filter(|it| it.rank == rank);
        let from = after.map_or(0, |it| candidates.partition_point(|one| *one.on_board.facts.id < *it.asset));
        for (number, candidate) in candidates.iter().enumerate().skip(from) {
            if wanted.count(candidate, rank) == 0 {
                continue;
            }
            let begin = after.filter(|it| *candidate.on_board.facts.id == *it.asset).map_or(0, |it| {
                let before =
                    |one: &Compact| index.subject(one.subject).is_some_and(|one| *one.text <= *it.subject);
                candidate.judged.findings.partition_point(before)
            });
            for (position, finding) in candidate.judged.findings.iter().enumerate().skip(begin) {
                if rank != rank::CLOSED && candidate.on_board.ranks.of(position) != rank {
                    continue;
                }
                match wanted.of(index, candidate, position, *finding, weather) {
                    Some((of, outcome)) if of == rank => hits.push((rank, number, position, outcome)),
                    Some(_) | None => continue,
                }
                if hits.len() == limit {
                    return hits;
                }
            }
        }
    }
    hits
}

/// Findings of an advisory in their order, and whether any of all of them is open.
fn named(
    index: &Index,
    candidates: &[Candidate<'_>],
    wanted: &Wanted<'_>,
    advisory: &str,
    limit: usize,
    weather: &Weather,
) -> (Vec<Hit>, bool) {
    let meant: Vec<bool> = index.knowledge.advisories.iter().map(|it| is_named(it, advisory)).collect();
    let labels = index.knowledge.advisories.iter().zip(&meant).filter(|it| *it.1).map(|it| it.0.label());
    let mut ranges: Vec<_> = labels.map(|it| index.subjects.starting_with(&format!("{it}/"))).collect();
    ranges.sort_unstable_by_key(|it| (it.start, it.end));
    ranges.dedup();
    let (mut heap, mut any_open) = (BinaryHeap::new(), false);
    for (number, candidate) in candidates.iter().enumerate() {
        for range in &ranges {
            let from = candidate.judged.findings.partition_point(|it| it.subject < range.start);
            let here = candidate.judged.findings.iter().enumerate().skip(from);
            for (position, finding) in here.take_while(|it| it.1.subject < range.end) {
                let Some(subject) = index.subject(finding.subject) else { continue };
                let of_it = match subject.of {
                    Of::Entry { advisory, .. } => at(&meant, advisory).copied().unwrap_or(false),
                    Of::Requirement(_) => false,
                };
                let found = wanted.of(index, candidate, position, *finding, weather);
                let Some((rank, outcome)) = found.filter(|_| of_it) else { continue };
                any_open |= outcome.verdict().is_open();
                let comes = wanted.filter.after.as_ref().is_none_or(|it| {
                    (rank, &*candidate.on_board.facts.id, &*subject.text)
                        > (it.rank, &*it.asset, &*it.subject)
                });
                if comes {
                    heap.push((rank, number, position, outcome));
                    if heap.len() > limit {
                        heap.pop();
                    }
                }
            }
        }
    }
    (heap.into_sorted_vec(), any_open)
}

/// What was looked for and is not there. Nothing of it is open.
fn absent_page(
    index: &Index,
    candidates: &[Candidate<'_>],
    filter: &Filter,
    limit: usize,
    weather: &Weather,
    clerk: &Clerk<'_>,
) -> Page {
    let mut page = Page::default();
    if filter.triage.is_some() {
        return page;
    }
    let is_meant = |of: Of| match (&filter.advisory, of) {
        (None, _) => true,
        (Some(wanted), Of::Entry { advisory, .. }) => {
            index.advisory(advisory).is_some_and(|it| is_named(it, wanted))
        }
        (Some(_), Of::Requirement(_)) => false,
    };
    for candidate in candidates {
        let facts = &candidate.on_board.facts;
        if filter.after.as_ref().is_some_and(|it| *facts.id < *it.asset) {
            continue;
        }
        for finding in absent(index, candidate.on_board, candidate.judged) {
            let Some(subject) = index.subject(finding.subject) else { continue };
            let heard_ms = decides(index, facts, subject.of).heard_ms(candidate.seen_ms);
            let outcome = weather.over(finding.outcome, kind_of(index, subject.of), heard_ms);
            let comes = filter
                .after
                .as_ref()
                .is_none_or(|it| (&*facts.id, &*subject.text) > (it.asset.as_str(), it.subject.as_str()));
            if outcome.verdict() != Verdict::NoProduct || !comes || !is_meant(subject.of) {
                continue;
            }
            if page.findings.len() == limit {
                page.next_after = page.findings.last().map(|it| Cursor {
                    rank: rank::CLOSED,
                    asset: it.asset.clone(),
                    subject: it.subject.clone(),
                });
                return page;
            }
            page.findings.push(view(index, candidate, finding, None, weather, clerk));
        }
    }
    page
}

/// The kind of feed that a subject comes from.
pub(super) fn kind_of(index: &Index, of: Of) -> Kind {
    match of {
        Of::Requirement(_) => Kind::Requirements,
        Of::Entry { advisory, .. } => index.advisory(advisory).map_or(Kind::Csaf, |it| it.advisory.kind),
    }
}

/// The section whose rows decide.
pub(super) fn decides<'a>(index: &Index, facts: &'a AssetFacts, of: Of) -> &'a Held {
    if decides_by_platform(index, of) { &facts.platform } else { &facts.software }
}

/// Whether the platform decides, not software.
pub(super) fn decides_by_platform(index: &Index, of: Of) -> bool {
    match of {
        // In the order of the knowledge, so ascending.
        Of::Requirement(number) => index.platform.binary_search(&number).is_ok(),
        Of::Entry { product, .. } => index.is_windows(product),
    }
}

/// What was looked for in a complete section and not found: requirements that apply, and products that a valid
/// rule would have bound.
fn absent<'a>(
    index: &'a Index,
    on_board: &'a OnBoard,
    judged: &'a Judged,
) -> impl Iterator<Item = Compact> + 'a {
    let facts = &on_board.facts;
    index.subjects.iter().filter_map(move |(number, subject)| {
        let complete = |held: &Held| held.coverage == Coverage::Complete;
        let looked = match subject.of {
            Of::Requirement(requirement) => {
                complete(decides(index, facts, Of::Requirement(requirement)))
                    && judge::applies(index, requirement, facts.role.as_deref())
            }
            Of::Entry { product, advisory, .. } => {
                complete(&facts.software)
                    && index.product(product).is_some_and(|it| it.confirmed > 0)
                    && index.advisory(advisory).is_some_and(|it| !it.is_withdrawn())
            }
        };
        let absent = looked && judged.finding(number).is_none();
        absent.then_some(Compact { subject: number, installed: 0, outcome: Outcome::NO_PRODUCT })
    })
}

fn view(
    index: &Index,
    candidate: &Candidate<'_>,
    finding: Compact,
    position: Option<usize>,
    weather: &Weather,
    clerk: &Clerk<'_>,
) -> FindingView {
    let Candidate { on_board, judged, seen_ms, .. } = *candidate;
    let facts = &on_board.facts;
    let subject = index.subject(finding.subject);
    let of = subject.map_or(Of::Requirement(u32::MAX), |it| it.of);
    let kind = kind_of(index, of);
    let (triage, triage_missing) = clerk.triage(on_board, finding, position);
    let (state, disposition) = clerk.decided(on_board, finding, seen_ms);
    let mut view = FindingView {
        asset: facts.id.to_string(),
        subject: subject.map(|it| it.text.to_string()).unwrap_or_default(),
        kind,
        advisory: None,
        vulnerability: None,
        product: None,
        outcome: finding.outcome,
        installed: judged.installed(finding).map(str::to_owned),
        required: None,
        as_of_ms: decides(index, facts, of).received_ms,
        feed_age: weather.feed(kind).age,
        grade: decides(index, facts, of).grade,
        state,
        disposition,
        triage,
        triage_missing,
    };
    match of {
        Of::Requirement(number) => {
            if let Some(requirement) = index.requirement(number) {
                view.required = Some(requirement.required());
                view.product = Some(requirement.product().to_owned());
            }
        }
        Of::Entry { advisory, vulnerability, entry, .. } => {
            let Some(held) = index.advisory(advisory) else { return view };
            view.advisory = Some(held.advisory.revision.id.clone());
            view.vulnerability = index.vulnerability(advisory, vulnerability).map(|it| it.id.clone());
            if let Some(entry) = at(&held.advisory.entries, entry) {
                view.product = Some(entry.product.clone()).filter(|it| !it.is_empty());
                view.required = Some(format!("not {}", entry.versions.text()));
            }
        }
    }
    view
}
