//! Reading the board page by page, with the age of inventory and feeds laid over every finding.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::knowledge::{AllowedAges, FeedState, HeldAdvisory, Kind, Knowledge};
use crate::zone::Grade;

use super::asset::{AssetFacts, Coverage, Held};
use super::board::{LastSeen, OnBoard, State};
use super::explain::Step;
use super::index::{Index, Of, SubjectId, at};
use super::judge::{self, Compact, Judged};
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
    /// After this asset and subject.
    pub after: Option<(String, String)>,
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
}

/// A part of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The findings, by asset and subject.
    pub findings: Vec<FindingView>,
    /// Where to go on; `None` when this was all.
    pub next_after: Option<(String, String)>,
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
    fn is_outdated(&self, seen_ms: Option<i64>) -> bool {
        seen_ms.is_none() || self.quiet(seen_ms) > self.inventory
    }

    fn quiet(&self, seen_ms: Option<i64>) -> Duration {
        crate::knowledge::age(seen_ms, self.now_ms)
    }

    /// The outcome now. What is known of the host may be outdated altogether; old knowledge only takes
    /// the good news away, since what was affected still is.
    pub(super) fn over(&self, outcome: Outcome, kind: Kind, seen_ms: Option<i64>) -> Outcome {
        let outcome =
            if self.is_outdated(seen_ms) { outcome.doubt_all(Reason::InventoryStale) } else { outcome };
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

/// Reads a page off the board.
pub(super) fn page(state: &State, filter: &Filter, weather: &Weather, seen: LastSeen<'_>) -> Page {
    let index = state.index.as_ref();
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit.min(MAX_LIMIT) };
    let advisories: Option<Vec<bool>> = filter
        .advisory
        .as_deref()
        .map(|wanted| index.knowledge.advisories.iter().map(|it| is_named(it, wanted)).collect());
    let is_wanted = |subject: SubjectId| match (&advisories, index.subject(subject).map(|it| it.of)) {
        (None, Some(_)) => true,
        (Some(wanted), Some(Of::Entry { advisory, .. })) => at(wanted, advisory).copied().unwrap_or(false),
        (Some(_), Some(Of::Requirement(_))) | (_, None) => false,
    };
    let one = filter.asset.as_deref().map(|it| it.to_owned()..=it.to_owned());
    let assets: Box<dyn Iterator<Item = &OnBoard>> = match &one {
        Some(range) => Box::new(state.assets.get(range.start().as_str()).into_iter()),
        None => Box::new(state.assets.values()),
    };
    let mut page = Page::default();
    for on_board in assets {
        let facts = &on_board.facts;
        if filter.role.is_some() && filter.role.as_deref() != facts.role.as_deref() {
            continue;
        }
        let Some(judged) = on_board.judged() else { continue };
        let before = filter.after.as_ref().is_some_and(|it| *facts.id < *it.0.as_str());
        if before && page.any_open {
            continue;
        }
        let seen_ms = seen(&facts.id);
        let heard_ms = facts.heard_ms(seen_ms);
        if filter.stale.is_some_and(|it| heard_ms.is_some() && weather.quiet(heard_ms) <= it) {
            continue;
        }
        let findings = if filter.verdict == Some(Verdict::NoProduct) {
            Box::new(absent(index, on_board, judged)) as Box<dyn Iterator<Item = Compact>>
        } else {
            Box::new(judged.findings.iter().copied())
        };
        for finding in findings {
            let Some(subject) = index.subject(finding.subject) else { continue };
            let kind = kind_of(index, subject.of);
            let heard_ms = decides(index, facts, subject.of).heard_ms(seen_ms);
            let outcome = weather.over(finding.outcome, kind, heard_ms);
            if filter.verdict.is_some_and(|it| it != outcome.verdict()) || !is_wanted(finding.subject) {
                continue;
            }
            page.any_open |= outcome.verdict().is_open();
            let comes = filter
                .after
                .as_ref()
                .is_none_or(|(asset, after)| (&*facts.id, &*subject.text) > (asset.as_str(), after.as_str()));
            if !comes {
                continue;
            }
            if page.findings.len() < limit {
                page.findings.push(view(index, on_board, judged, Compact { outcome, ..finding }, weather));
            } else if page.next_after.is_none() {
                page.next_after = page.findings.last().map(|it| (it.asset.clone(), it.subject.clone()));
            }
            if page.next_after.is_some() && (page.any_open || filter.verdict.is_some()) {
                return page;
            }
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
    match of {
        Of::Requirement(number) if index.platform.contains(&number) => &facts.platform,
        Of::Entry { product, .. } if index.is_windows(product) => &facts.platform,
        Of::Requirement(_) | Of::Entry { .. } => &facts.software,
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
    let count = u32::try_from(index.subjects.len()).unwrap_or(u32::MAX);
    (0..count).filter_map(move |number| {
        let complete = |held: &Held| held.coverage == Coverage::Complete;
        let looked = match index.subject(number)?.of {
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
    on_board: &OnBoard,
    judged: &Judged,
    finding: Compact,
    weather: &Weather,
) -> FindingView {
    let facts = &on_board.facts;
    let subject = index.subject(finding.subject);
    let of = subject.map_or(Of::Requirement(u32::MAX), |it| it.of);
    let kind = kind_of(index, of);
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
