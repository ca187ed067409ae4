//! What is done to a store that nobody has open: restore and conversion.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::backend::{self, Engine, Upkeep};
use super::catalog::Catalog;
use super::error::StoreError;
use super::export::{self, BackupSummary};
use super::marker::Marker;
use super::open::{self, data_dir, new_dir, old_dir};
use super::{Store, StoreConfig, files, lock, maintain};

impl Store {
    /// Restores a backup into `dir`, which must be missing or empty. The directory appears only
    /// after the backup was read to its end and its digest was right.
    pub fn restore(input: &mut dyn Read, dir: &Path, engine: Engine) -> Result<BackupSummary, StoreError> {
        match fs::read_dir(dir).map(|mut entries| entries.next().is_some()) {
            Ok(false) => {}
            Ok(true) => return Err(StoreError::NotEmpty { dir: dir.to_owned() }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(StoreError::file("read", dir)(cause)),
        }
        let work = beside(dir);
        files::remove_tree(&work).map_err(StoreError::file("remove", &work))?;
        fs::create_dir_all(&work).map_err(StoreError::file("create", &work))?;
        let done = fill(input, &work, engine).and_then(|summary| {
            files::sync_tree(&work).map_err(StoreError::file("sync", &work))?;
            if dir.exists() {
                fs::remove_dir(dir).map_err(StoreError::file("replace", dir))?;
            }
            fs::rename(&work, dir).map_err(StoreError::file("create", dir))?;
            let parent = dir.parent().unwrap_or(Path::new("."));
            files::sync_dir(parent).map_err(StoreError::file("sync", parent))?;
            Ok(summary)
        });
        if done.is_err() {
            // What is left is never taken for a store, and the next restore removes it.
            let _ = files::remove_tree(&work);
        }
        done
    }

    /// Moves the store in `dir` to another engine. The old files stay until the next clean opening.
    pub fn convert(dir: &Path, to: Engine) -> Result<BackupSummary, StoreError> {
        // Opening and closing finishes whatever a crash has left to do.
        let config = StoreConfig { ballast_bytes: 0, ..StoreConfig::default() };
        let opened = open::open(dir, &config)?;
        let open::Opened { shared, lock: _lock, mut marker, report: _, upkeep: _ } = opened;
        let from = marker.engine;
        let (backend, record) = {
            let mut core = shared.write();
            (core.backend.take(), core.catalog.record.clone())
        };
        let backend = backend.ok_or(StoreError::Unavailable { why: "it is closed" })?;
        if from == to {
            let summary = export::export(backend.as_ref(), (&record.id, record.sequence), &mut io::sink());
            backend.close().map_err(StoreError::engine("close"))?;
            return summary;
        }
        let new = new_dir(dir, to);
        let copied = maintain::copy(backend.as_ref(), &record, to, &new);
        backend.close().map_err(StoreError::engine("close"))?;
        let summary = copied?;
        let (data, old) = (data_dir(dir, to), old_dir(dir, from));
        fs::rename(&new, &data).map_err(StoreError::file("take into use", &new))?;
        files::sync_dir(dir).map_err(StoreError::file("sync", dir))?;
        // From here on the copy is the store.
        marker.engine = to;
        marker.write(dir)?;
        files::remove_tree(&old).map_err(StoreError::file("remove", &old))?;
        let from_dir = data_dir(dir, from);
        fs::rename(&from_dir, &old).map_err(StoreError::file("set aside", &from_dir))?;
        files::sync_dir(dir).map_err(StoreError::file("sync", dir))?;
        Ok(summary)
    }
}

fn beside(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    dir.with_file_name(name)
}

fn fill(input: &mut dyn Read, work: &Path, engine: Engine) -> Result<BackupSummary, StoreError> {
    let _lock = lock::take(work)?;
    let data = data_dir(work, engine);
    let (backend, _) = backend::open(engine, &data, Upkeep::Normal).map_err(|source| StoreError::Open {
        engine,
        dir: data.clone(),
        source,
    })?;
    let summary = export::import(input, backend.as_ref())?;
    let (catalog, damaged) = Catalog::load(backend.as_ref())?;
    let id = <[u8; 16]>::try_from(catalog.record.id.as_slice());
    let (Ok(id), true) = (id, damaged.is_empty()) else {
        return Err(StoreError::Backup { why: "its records contradict each other" });
    };
    backend.close().map_err(StoreError::engine("close"))?;
    Marker { id, engine, sequence: catalog.record.sequence, lost: None }.write(work)?;
    Ok(summary)
}
