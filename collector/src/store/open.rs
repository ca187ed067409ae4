//! Opening a store: which files are the store, what is left over, what is missing.
//!
//! The directory holds `data.sled/` or `data.redb/`, the marker, the lock and the ballast; a copy
//! in the making ends in `.new`, what a finished copy replaced ends in `.old` until the next
//! clean opening, and `quarantine.N/` holds files that no engine could open.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use holdpoint_proto::store::{SeenRecord, StoreRecord};
use prost::Message;

use super::backend::{self, Backend, BackendError, Batch, Engine, Repairs, Upkeep};
use super::catalog::{Catalog, FORMAT, each_checked};
use super::error::StoreError;
use super::keys::{self, Table};
use super::lock::{self, Lock};
use super::maintain::NotRewritten;
use super::marker::{LostData, Marker};
use super::shared::{Core, Seen, Shared};
use super::{StoreConfig, files, maintain, space, value};

/// What opening found and did.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each tells of one thing that happened or did not")]
pub struct OpenReport {
    /// The engine in use; the store's own, whatever the configuration says.
    pub engine: Engine,
    /// The store's identity.
    pub store_id: [u8; 16],
    /// The last transaction that is in the store.
    pub sequence: u64,
    /// There was no store here before.
    pub created: bool,
    /// Acknowledged data is missing: agents must send their inventory again. Told at every
    /// opening until [`super::Store::acknowledge_loss`].
    pub lost_data: Option<LostData>,
    /// Where files that could not be opened were moved to.
    pub quarantined: Option<PathBuf>,
    /// Records that are damaged and were left out.
    pub damaged: Vec<StoreError>,
    /// Half-written snapshots that were removed.
    pub swept_snapshots: usize,
    /// Snapshots were damaged and the engine's log was read in their stead.
    pub snapshots_set_aside: bool,
    /// The disk was full and the ballast was given up.
    pub ballast_released: bool,
    /// The index was incomplete and was rebuilt.
    pub reindexed: bool,
    /// The files had grown too far and were rewritten: bytes before and after.
    pub rebuilt: Option<(u64, u64)>,
}

/// What the writer takes over.
pub(super) struct Opened {
    pub(super) shared: Shared,
    pub(super) lock: Lock,
    pub(super) marker: Marker,
    pub(super) report: OpenReport,
    /// How the engine was opened.
    pub(super) upkeep: Upkeep,
}

/// Where the engine's files are.
pub(super) fn data_dir(dir: &Path, engine: Engine) -> PathBuf {
    dir.join(format!("data.{engine}"))
}

/// Where a copy is made.
pub(super) fn new_dir(dir: &Path, engine: Engine) -> PathBuf {
    dir.join(format!("data.{engine}.new"))
}

/// What a copy has replaced.
pub(super) fn old_dir(dir: &Path, engine: Engine) -> PathBuf {
    dir.join(format!("data.{engine}.old"))
}

/// Directories of damaged files; somebody should have looked long before.
const MAX_QUARANTINES: u32 = 1000;
const ENGINES: [Engine; 2] = [Engine::Sled, Engine::Redb];

/// Opens or creates the store in `dir`.
pub(super) fn open(dir: &Path, config: &StoreConfig) -> Result<Opened, StoreError> {
    fs::create_dir_all(dir).map_err(StoreError::file("create", dir))?;
    let lock = lock::take(dir)?;
    let marker = Marker::read(dir)?;
    let engine = choose(dir, marker.as_ref(), config);
    tidy(dir, engine)?;

    let upkeep = space::upkeep(dir, config);
    let (mut backend, repairs, ballast_released, quarantined) = open_engine(dir, engine, upkeep)?;
    let (mut catalog, damaged) = Catalog::load(backend.as_ref())?;
    if catalog.record.format > FORMAT {
        return Err(StoreError::Newer { found: catalog.record.format, known: FORMAT });
    }
    let lost_data = loss(marker.as_ref(), &catalog.record);
    let created = marker.is_none() && catalog.record.id.is_empty();
    settle_identity(backend.as_ref(), &mut catalog, marker.as_ref())?;
    let marker = Marker {
        id: catalog.record.id.as_slice().try_into().unwrap_or_default(),
        engine,
        sequence: catalog.record.sequence,
        lost: lost_data,
    };

    let reindexed = catalog.record.index_stale;
    if reindexed {
        maintain::reindex(backend.as_ref(), &mut catalog, &super::sections::Cache::default())?;
    }
    let mut rebuilt = None;
    if let Some(before) = maintain::overgrown(backend.as_ref(), config)? {
        backend = match maintain::rewrite(dir, backend, &catalog.record) {
            Ok(copy) => {
                rebuilt =
                    Some((before, copy.size_on_disk().map_err(StoreError::engine("measure its files"))?));
                copy
            }
            Err(NotRewritten { kept: Some(old), error }) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the store could not be rewritten");
                old
            }
            Err(NotRewritten { kept: None, error }) => return Err(error),
        };
    }
    let seen = load_seen(backend.as_ref(), &catalog)?;

    // On a full disk the old marker still says the truth; the ballast waits for space.
    match marker.write(dir) {
        Ok(()) | Err(StoreError::Full) => {}
        Err(error) => return Err(error),
    }
    if let Err(error) = space::restore_ballast(dir, config) {
        tracing::warn!(error = &error as &dyn std::error::Error, "the store's ballast could not be made");
    }
    if lost_data.is_none() && quarantined.is_none() && rebuilt.is_none() {
        for engine in ENGINES {
            let old = old_dir(dir, engine);
            files::remove_tree(&old).map_err(StoreError::file("remove", &old))?;
        }
    }

    let Repairs { swept, snapshots_set_aside } = repairs;
    let report = OpenReport {
        engine,
        store_id: marker.id,
        sequence: catalog.record.sequence,
        created,
        lost_data,
        quarantined,
        damaged,
        swept_snapshots: swept,
        snapshots_set_aside,
        ballast_released,
        reindexed,
        rebuilt,
    };
    let shared = Shared::new(dir, config, Core { backend: Some(backend), catalog }, seen);
    Ok(Opened { shared, lock, marker, report, upkeep })
}

/// The marker decides; without one, the files that are there.
fn choose(dir: &Path, marker: Option<&Marker>, config: &StoreConfig) -> Engine {
    let there = |&engine: &Engine| data_dir(dir, engine).exists();
    match marker {
        Some(marker) => marker.engine,
        None if there(&config.engine) => config.engine,
        None => ENGINES.into_iter().find(there).unwrap_or(config.engine),
    }
}

/// Finishes or undoes what a crash has left of a copy.
fn tidy(dir: &Path, engine: Engine) -> Result<(), StoreError> {
    let (data, old) = (data_dir(dir, engine), old_dir(dir, engine));
    if !data.exists() && old.exists() {
        fs::rename(&old, &data).map_err(StoreError::file("take back", &old))?;
    }
    for other in ENGINES {
        let new = new_dir(dir, other);
        files::remove_tree(&new).map_err(StoreError::file("remove", &new))?;
        let data = data_dir(dir, other);
        if other != engine && data.exists() {
            let old = old_dir(dir, other);
            files::remove_tree(&old).map_err(StoreError::file("remove", &old))?;
            fs::rename(&data, &old).map_err(StoreError::file("set aside", &data))?;
        }
    }
    files::sync_dir(dir).map_err(StoreError::file("sync", dir))
}

type OpenedEngine = (Box<dyn Backend>, Repairs, bool, Option<PathBuf>);

/// Opens the engine. A full disk costs the ballast; damaged files are moved out of the way.
fn open_engine(dir: &Path, engine: Engine, upkeep: Upkeep) -> Result<OpenedEngine, StoreError> {
    let data = data_dir(dir, engine);
    let failed = |source| {
        if matches!(source, BackendError::Full) {
            StoreError::Full
        } else {
            StoreError::Open { engine, dir: data.clone(), source }
        }
    };
    let mut ballast_released = false;
    let mut opened = backend::open(engine, &data, upkeep);
    if matches!(opened, Err(BackendError::Full)) && space::release_ballast(dir) {
        ballast_released = true;
        opened = backend::open(engine, &data, upkeep);
    }
    match opened {
        Ok((backend, repairs)) => Ok((backend, repairs, ballast_released, None)),
        Err(error @ (BackendError::Corrupt { .. } | BackendError::Poisoned { .. })) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the store's files cannot be opened and are set aside; inventory must be sent again"
            );
            let aside = quarantine(dir, &data)?;
            let (backend, repairs) = backend::open(engine, &data, upkeep).map_err(failed)?;
            Ok((backend, repairs, ballast_released, Some(aside)))
        }
        Err(error) => Err(failed(error)),
    }
}

fn quarantine(dir: &Path, data: &Path) -> Result<PathBuf, StoreError> {
    let aside = (1..=MAX_QUARANTINES)
        .map(|number| dir.join(format!("quarantine.{number}")))
        .find(|it| !it.exists())
        .ok_or(StoreError::Unavailable { why: "there is no name left for damaged files" })?;
    fs::rename(data, &aside).map_err(StoreError::file("set aside", data))?;
    files::sync_dir(dir).map_err(StoreError::file("sync", dir))?;
    Ok(aside)
}

/// What the marker promises and the engine does not hold. An old, unacknowledged loss stays.
pub(super) fn loss(marker: Option<&Marker>, record: &StoreRecord) -> Option<LostData> {
    let marker = marker?;
    let same = record.id == marker.id;
    if same && record.sequence >= marker.sequence {
        return marker.lost;
    }
    Some(LostData { expected: marker.sequence, found: same.then_some(record.sequence) })
}

/// Gives a new or emptied store its record. Numbers go on after those that were lost, so that no
/// sequence is used twice.
fn settle_identity(
    backend: &dyn Backend,
    catalog: &mut Catalog,
    marker: Option<&Marker>,
) -> Result<(), StoreError> {
    let mut record = catalog.record.clone();
    if record.id.is_empty() {
        let mut id = [0; 16];
        match marker {
            Some(marker) => id = marker.id,
            None => rand::fill(&mut id)
                .map_err(|_| StoreError::Unavailable { why: "the system has no random bytes" })?,
        }
        record.id = id.to_vec();
        record.format = FORMAT;
        record.first_event = record.first_event.max(1);
        record.next_event = record.next_event.max(1);
        record.next_audit = record.next_audit.max(1);
    }
    if let Some(marker) = marker {
        record.sequence = record.sequence.max(marker.sequence);
    }
    if record != catalog.record {
        let mut batch = Batch::default();
        value::put_new(&mut batch, keys::store(), &record.encode_to_vec());
        backend.apply(&batch).map_err(StoreError::engine("write its record"))?;
        backend.flush().map_err(StoreError::engine("flush"))?;
        catalog.record = record;
    }
    Ok(())
}

/// Last-seen of the assets that exist. A damaged one is as good as none.
fn load_seen(backend: &dyn Backend, catalog: &Catalog) -> Result<Seen, StoreError> {
    let mut seen = Seen::default();
    each_checked(backend, &Table::Seen.prefix(), |key, content| {
        let id = key.get(1..).and_then(|it| std::str::from_utf8(it).ok());
        let record = content.and_then(|content| value::decode::<SeenRecord>(key, &content));
        if let (Some(id), Ok(record)) = (id, record)
            && catalog.asset(id).is_some()
        {
            seen.put_clean(id, record);
        }
        Ok(())
    })?;
    Ok(seen)
}
