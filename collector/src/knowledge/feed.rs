//! How old knowledge is. An answer that rests on knowledge past its allowed age is never good.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Held, Kind, Knowledge};

const DAY: Duration = Duration::from_hours(24);

/// How old the newest import of each kind may be, and the inventory of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedAges {
    /// By kind; what is not named has its default.
    pub feeds: BTreeMap<Kind, Duration>,
    /// Time since an asset last called.
    pub inventory: Duration,
}

impl Default for AllowedAges {
    fn default() -> Self {
        Self { feeds: BTreeMap::new(), inventory: 7 * DAY }
    }
}

impl AllowedAges {
    /// The limit for a kind.
    pub fn of(&self, kind: Kind) -> Duration {
        self.feeds.get(&kind).copied().unwrap_or_else(|| default_days(kind) * DAY)
    }
}

/// The limit for a kind when nobody sets one, in days.
pub fn default_days(kind: Kind) -> u32 {
    match kind {
        Kind::Csaf | Kind::Osv | Kind::Microsoft | Kind::Statements => 45,
        Kind::Kev | Kind::Epss => 14,
        // The site's own words, which are true until the site says otherwise.
        Kind::Mapping | Kind::Placement | Kind::Requirements | Kind::Hardening | Kind::Map => 400,
    }
}

/// The state of one kind of knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedState {
    /// Which kind.
    pub kind: Kind,
    /// Advisories or requirements that are judged.
    pub items: u32,
    /// When the newest file was brought in, Unix milliseconds; `None` when there is none.
    pub imported_ms: Option<i64>,
    /// Its age; zero when there is none or the clock was set back.
    pub age: Duration,
    /// The limit.
    pub allowed: Duration,
    /// Too old, empty, or partly unreadable: what is good may not be believed.
    pub stale: bool,
}

impl Knowledge {
    /// The state of a kind of knowledge.
    pub fn feed(&self, kind: Kind, allowed: &AllowedAges, now_ms: i64) -> FeedState {
        let (items, imported_ms) = self.imports(kind);
        let age = age(imported_ms, now_ms);
        let allowed = allowed.of(kind);
        let unreadable = self.unreadable.iter().any(|it| it.0 == kind);
        FeedState {
            kind,
            items: u32::try_from(items).unwrap_or(u32::MAX),
            imported_ms,
            age,
            allowed,
            stale: imported_ms.is_none() || unreadable || age > allowed,
        }
    }

    /// How much is held of a kind, and when the newest file of it was brought in.
    fn imports(&self, kind: Kind) -> (usize, Option<i64>) {
        fn of<T>(held: &[Held<T>]) -> (usize, Option<i64>) {
            (held.len(), held.iter().map(|it| it.source.imported_ms).max())
        }
        match kind {
            Kind::Csaf | Kind::Osv | Kind::Microsoft => {
                let own = self.advisories.iter().filter(|it| !it.superseded && it.advisory.kind == kind);
                let times = own.map(|it| it.source.imported_ms);
                (times.clone().count(), times.max())
            }
            Kind::Requirements => {
                let times = self.requirements.iter().map(|it| it.source.imported_ms);
                (times.len(), times.max())
            }
            Kind::Kev => self
                .kev
                .as_ref()
                .map_or((0, None), |it| (it.content.listed.len(), Some(it.source.imported_ms))),
            Kind::Epss => self
                .epss
                .as_ref()
                .map_or((0, None), |it| (it.content.by_cve.len(), Some(it.source.imported_ms))),
            Kind::Statements => of(&self.statements),
            Kind::Mapping => of(&self.mappings),
            Kind::Placement => of(&self.placements),
            Kind::Hardening => of(&self.hardening),
            Kind::Map => of(&self.maps),
        }
    }
}

/// Time since a moment; zero when there was none or it lies ahead.
pub(crate) fn age(since_ms: Option<i64>, now_ms: i64) -> Duration {
    let quiet = since_ms.map_or(0, |it| now_ms.saturating_sub(it));
    Duration::from_millis(u64::try_from(quiet).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_feed_is_stale() {
        let feed = Knowledge::default().feed(Kind::Csaf, &AllowedAges::default(), 5);
        assert!(feed.stale && feed.items == 0 && feed.imported_ms.is_none());
    }

    #[test]
    fn a_file_that_cannot_be_read_again_makes_its_kind_stale() {
        let knowledge = Knowledge {
            unreadable: vec![(Kind::Csaf, "a.json".into(), "damaged".into())],
            ..Knowledge::default()
        };
        assert!(knowledge.feed(Kind::Csaf, &AllowedAges::default(), 0).stale);
    }
}
