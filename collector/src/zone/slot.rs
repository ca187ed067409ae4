//! One asset in memory: its durable record, and what is known of it only while the collector runs.
//!
//! The record is replaced as a whole after it became durable, never edited. What else an
//! agent said (pace, declined challenges, refused sections) may be lost in a crash and harms nobody.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::row::SectionKind;
use holdpoint_common::section::Digest;
use tokio::sync::Notify;

use super::pace::{Allowance, Bucket};

/// Most challenges of one asset that are remembered as declined.
const MAX_DECLINED: usize = 16;

/// How many calls one agent may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowances {
    /// Check-ins.
    pub check_ins: Allowance,
    /// Reports.
    pub reports: Allowance,
    /// Entries of the journal that become events.
    pub journal: Allowance,
}

impl Default for Allowances {
    fn default() -> Self {
        Self {
            check_ins: Allowance { burst: 12, per_minute: 12 },
            reports: Allowance { burst: 6, per_minute: 3 },
            journal: Allowance { burst: 2_000, per_minute: 20 },
        }
    }
}

/// What an agent answered to a challenge that it may not act on now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclinedNow {
    /// The challenge.
    pub nonce: Vec<u8>,
    /// `quiet-hours` or `kill-file`.
    pub reason: &'static str,
    /// When it may look again by its own clock, Unix milliseconds.
    pub until_ms: Option<i64>,
}

/// What is known only while the collector runs.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) check_ins: Bucket,
    pub(crate) reports: Bucket,
    pub(crate) journal: Bucket,
    pub(crate) declined: Vec<DeclinedNow>,
    /// Sections that were refused: not asked for again until they change.
    pub(crate) refused: BTreeMap<SectionKind, Digest>,
}

/// One asset.
#[derive(Debug)]
pub(crate) struct Slot {
    record: RwLock<Arc<AssetRecord>>,
    live: Mutex<Live>,
    /// Who holds it may change the record.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    /// Told whenever the record, or what was declined, changed, or a newer check-in came.
    pub(crate) changed: Notify,
    /// Number of the newest check-in: an older one that is still held lets go.
    check_in: AtomicU64,
    reporting: AtomicBool,
}

impl Slot {
    pub(crate) fn new(record: AssetRecord, allow: &Allowances, now_ms: i64) -> Self {
        Self {
            record: RwLock::new(Arc::new(record)),
            live: Mutex::new(Live {
                check_ins: Bucket::full(allow.check_ins, now_ms),
                reports: Bucket::full(allow.reports, now_ms),
                journal: Bucket::full(allow.journal, now_ms),
                declined: Vec::new(),
                refused: BTreeMap::new(),
            }),
            turn: Arc::default(),
            changed: Notify::new(),
            check_in: AtomicU64::new(0),
            reporting: AtomicBool::new(false),
        }
    }

    pub(crate) fn record(&self) -> Arc<AssetRecord> {
        Arc::clone(&self.record.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows a record that is durable, and wakes whoever waits for a change.
    pub(crate) fn publish(&self, record: Arc<AssetRecord>) {
        *self.record.write().unwrap_or_else(PoisonError::into_inner) = record;
        self.changed.notify_waiters();
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a check-in; one that is still held from before lets go.
    pub(crate) fn newer_check_in(&self) -> u64 {
        let number = self.check_in.fetch_add(1, Ordering::SeqCst) + 1;
        self.changed.notify_waiters();
        number
    }

    pub(crate) fn is_newest_check_in(&self, number: u64) -> bool {
        self.check_in.load(Ordering::SeqCst) == number
    }

    /// Starts a report; `None` while another one of this asset is being taken.
    pub(crate) fn start_report(self: &Arc<Self>) -> Option<Reporting> {
        let free = self.reporting.compare_exchange(false, true, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        free.then(|| Reporting(Arc::clone(self)))
    }

    /// Remembers what the agent declined, as far as it is still asked.
    pub(crate) fn decline(&self, declined: Vec<DeclinedNow>) {
        let record = self.record();
        let mut live = self.live();
        let asked = |nonce: &[u8]| record.challenges.iter().any(|it| it.nonce == nonce);
        let mut kept: Vec<_> = declined.into_iter().filter(|it| asked(&it.nonce)).collect();
        kept.truncate(MAX_DECLINED);
        if live.declined != kept {
            live.declined = kept;
            drop(live);
            self.changed.notify_waiters();
        }
    }
}

/// A report of an asset is being taken.
pub(crate) struct Reporting(Arc<Slot>);

impl Drop for Reporting {
    fn drop(&mut self) {
        self.0.reporting.store(false, Ordering::SeqCst);
    }
}
