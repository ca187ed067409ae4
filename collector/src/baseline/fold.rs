//! Baselines as their entries in the audit log make them: the one place that says what may follow what.
//!
//! Nothing here asks for the time or for rows. Whether an end lies ahead is asked when a person writes it; the log is
//! folded the same at any time.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::baseline_entry::What;
use holdpoint_common::proto::store::{
    AuditEntry, BaselineApproved, BaselineEntry, DriftDisposed, SnapshotRecord,
};
use holdpoint_common::section::Digest;
use prost::Message;

use super::parts::Part;
use super::sections::{Gap, Stated};
use crate::change::fold::Written;

/// Longest text of a person, in characters.
pub const MAX_TEXT: usize = 4_000;
/// Most items of one disposition.
pub const MAX_ITEMS: usize = 20_000;

/// Why an entry may not follow, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// What is done about drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftWord {
    /// It was meant; the baseline has to follow within 30 days.
    Authorised,
    /// Somebody looks into it.
    Investigate,
    /// It will be undone.
    Revert,
}

impl DriftWord {
    /// Every word.
    pub const ALL: [Self; 3] = [Self::Authorised, Self::Investigate, Self::Revert];

    /// The word in answers and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::Investigate => "investigate",
            Self::Revert => "revert",
        }
    }

    /// Reads the word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// What a person decided about one difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposed {
    /// What is done.
    pub word: DriftWord,
    /// Why.
    pub reason: String,
    /// From then on it is open again, Unix milliseconds.
    pub until_ms: Option<i64>,
    /// When it was written, Unix milliseconds.
    pub at_ms: i64,
    /// Who.
    pub by: String,
    /// When it was first authorised, Unix milliseconds: saying so again gives no more time.
    pub authorised_ms: Option<i64>,
}

impl Disposed {
    /// Whether it still counts.
    pub fn counts(&self, now_ms: i64) -> bool {
        self.until_ms.is_none_or(|it| now_ms < it)
    }
}

/// A version of an asset's baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// Counts from 1.
    pub version: u64,
    /// When it was approved, Unix milliseconds.
    pub at_ms: i64,
    /// The operator who approved it.
    pub by: String,
    /// The person behind the operator.
    pub person: String,
    /// The change whose verified snapshot it is; empty when it belongs to none.
    pub change: String,
    /// Why.
    pub reason: String,
    /// The question that the snapshot answers: its rows are in the store under it.
    pub nonce: Vec<u8>,
    /// Sequence of the report.
    pub sequence: u64,
    /// Parts that are not approved because something was not read, with the reason.
    pub lacks: Vec<(Part, Gap)>,
}

/// The baselines of one asset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Oldest first, without a gap.
    pub versions: Vec<Approved>,
    /// What the newest one holds. Older ones stand in the store.
    pub snapshot: Arc<SnapshotRecord>,
    /// By digest of the difference; about the newest version alone.
    pub disposed: BTreeMap<Digest, Disposed>,
}

impl History {
    /// The newest version.
    pub fn newest(&self) -> Option<&Approved> {
        self.versions.last()
    }

    /// When drift was first authorised that the newest version does not hold, Unix milliseconds.
    pub fn authorised_ms(&self) -> Option<i64> {
        let authorised = self.disposed.values().filter(|it| it.word == DriftWord::Authorised);
        authorised.filter_map(|it| it.authorised_ms).min()
    }
}

/// Every baseline of a zone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Baselines {
    assets: BTreeMap<String, Arc<History>>,
    /// Number of the newest entry of the audit log that was taken.
    taken: u64,
}

impl Baselines {
    /// The baselines that these entries of the audit log make. Entries that may not follow change nothing.
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a AuditEntry>) -> Self {
        let mut baselines = Self::default();
        entries.into_iter().for_each(|it| baselines.follow(it));
        baselines
    }

    /// Takes one entry of the audit log, if it is about a baseline and was not taken before.
    pub fn follow(&mut self, entry: &AuditEntry) {
        let Some(Detail::Baseline(bytes)) = &entry.detail else { return };
        let read = BaselineEntry::decode(bytes.as_slice()).map_err(|it| Refused(it.to_string()));
        if let Err(error) = read.and_then(|it| self.take(&it, entry.into())) {
            tracing::warn!(number = entry.number, %error, "an entry about a baseline counts for nothing");
        }
    }

    /// The baselines of an asset.
    pub fn of(&self, asset: &str) -> Option<&Arc<History>> {
        self.assets.get(asset)
    }

    /// Every asset that has one, sorted.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Arc<History>)> {
        self.assets.iter().map(|(asset, it)| (asset.as_str(), it))
    }

    /// Whether the newest baseline of an asset is this snapshot or a later one, and lacks no part that the snapshot
    /// has: what a change needs before it closes.
    pub fn covers(&self, snapshot: &SnapshotRecord) -> bool {
        let could = lacking(snapshot);
        let is_lost = |part: Part| could.iter().all(|it| it.0 != part);
        let newest = self.of(&snapshot.asset).and_then(|it| it.newest());
        newest.is_some_and(|it| it.sequence >= snapshot.sequence && !it.lacks.iter().any(|it| is_lost(it.0)))
    }

    /// Says whether an entry may come next.
    ///
    /// # Errors
    /// The reason why not.
    pub fn admit(&self, entry: &BaselineEntry) -> Result<(), Refused> {
        let BaselineEntry { asset, version, what } = entry;
        let refused = |why: &str| Err(Refused(why.to_owned()));
        if asset.is_empty() {
            return refused("a baseline belongs to an asset");
        }
        let newest = self.of(asset).and_then(|it| it.newest());
        let count = newest.map_or(0, |it| it.version);
        match what {
            None => refused("the entry says nothing"),
            Some(What::Approved(BaselineApproved { snapshot, reason, .. })) => {
                if *version != count + 1 {
                    return Err(Refused(format!("version {version} does not follow version {count}")));
                }
                worded(reason)?;
                let Some(snapshot) = snapshot else { return refused("a baseline needs a snapshot") };
                if snapshot.asset != *asset || snapshot.nonce.len() != 16 {
                    return refused("the snapshot is of another asset, or answers no question");
                }
                if newest.is_some_and(|it| snapshot.sequence <= it.sequence) {
                    return refused("the snapshot is not newer than the one that is approved already");
                }
                if lacking(snapshot).len() == Part::ALL.len() {
                    return refused("no part was read completely: there is nothing to approve");
                }
                Ok(())
            }
            Some(What::Disposed(DriftDisposed { items, r#as: word, reason, until_ms })) => {
                if count == 0 {
                    return refused("there is no baseline to differ from");
                }
                if *version != count {
                    return refused("the drift is against an older baseline");
                }
                worded(reason)?;
                if items.is_empty() || items.len() > MAX_ITEMS || items.iter().any(|it| it.len() != 32) {
                    return refused("the disposition is about no drift, or about too much");
                }
                match DriftWord::named(word) {
                    None => refused("drift is authorised, investigate or revert"),
                    Some(DriftWord::Investigate | DriftWord::Revert) if until_ms.is_none() => {
                        refused("only authorised drift needs no end")
                    }
                    Some(DriftWord::Authorised | DriftWord::Investigate | DriftWord::Revert) => Ok(()),
                }
            }
        }
    }

    /// Takes an entry. One that was taken before changes nothing.
    ///
    /// # Errors
    /// It may not come next; then nothing changes.
    pub fn take(&mut self, entry: &BaselineEntry, written: Written<'_>) -> Result<(), Refused> {
        if written.number <= self.taken {
            return Ok(());
        }
        self.admit(entry)?;
        self.taken = written.number;
        let history = Arc::make_mut(self.assets.entry(entry.asset.clone()).or_default());
        match &entry.what {
            Some(What::Approved(BaselineApproved {
                snapshot: Some(snapshot),
                change,
                reason,
                by_person,
            })) => {
                history.versions.push(Approved {
                    version: entry.version,
                    at_ms: written.at_ms,
                    by: written.by.to_owned(),
                    person: by_person.clone(),
                    change: change.clone(),
                    reason: reason.clone(),
                    nonce: snapshot.nonce.clone(),
                    sequence: snapshot.sequence,
                    lacks: lacking(snapshot),
                });
                history.snapshot = Arc::new(snapshot.clone());
                // What the new one holds is no drift any more, and what it does not hold is decided about anew.
                history.disposed.clear();
            }
            Some(What::Disposed(DriftDisposed { items, r#as: word, reason, until_ms })) => {
                let Some(word) = DriftWord::named(word) else { return Ok(()) };
                for digest in items.iter().filter_map(|it| Digest::try_from(it.as_slice()).ok()) {
                    let before = history.disposed.get(&digest).and_then(|it| it.authorised_ms);
                    let disposed = Disposed {
                        word,
                        reason: reason.clone(),
                        until_ms: *until_ms,
                        at_ms: written.at_ms,
                        by: written.by.to_owned(),
                        authorised_ms: before.or((word == DriftWord::Authorised).then_some(written.at_ms)),
                    };
                    history.disposed.insert(digest, disposed);
                }
            }
            Some(What::Approved(_)) | None => {}
        }
        Ok(())
    }
}

/// Parts of a snapshot that cannot be approved, with the reason.
pub fn lacking(snapshot: &SnapshotRecord) -> Vec<(Part, Gap)> {
    let gap = |part: Part| {
        part.kinds().iter().find_map(|&kind| match Stated::then(snapshot, kind) {
            Stated::Not(gap) => Some((part, gap)),
            Stated::Whole(_) | Stated::Unsupported => None,
        })
    };
    Part::ALL.into_iter().filter_map(gap).collect()
}

fn worded(reason: &str) -> Result<(), Refused> {
    if reason.trim().is_empty() || reason.chars().count() > MAX_TEXT {
        return Err(Refused(format!("it needs a reason of at most {MAX_TEXT} characters")));
    }
    Ok(())
}

/// The baselines that hold now, for whoever reads them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shelf(Arc<RwLock<Arc<Baselines>>>);

impl Shelf {
    /// The baselines as they are now.
    pub fn current(&self) -> Arc<Baselines> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows others from now on.
    pub fn publish(&self, baselines: Arc<Baselines>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = baselines;
    }
}
