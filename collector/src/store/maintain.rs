//! Checking, copying and re-indexing a store. Copying is export and import, nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::thread;

use data_encoding::HEXLOWER;
use holdpoint_proto::store::StoreRecord;
use prost::Message;

use super::backend::{self, Backend, Batch, Engine, Upkeep};
use super::catalog::{Catalog, each, each_checked};
use super::error::StoreError;
use super::export::{self, BackupSummary};
use super::keys::{self, SectionKey, Table};
use super::open::{data_dir, new_dir, old_dir};
use super::plan::{View, index_entries};
use super::sections::{self, Cache};
use super::{StoreConfig, document, files, rows, value};

/// Index changes per batch while the index is rebuilt.
const INDEX_BATCH: usize = 400;

/// Something in the store is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which kind of record.
    pub table: &'static str,
    /// Hexadecimal, or the name where there is one.
    pub key: String,
    /// What is wrong.
    pub text: String,
}

/// Bytes on disk when they are too many for what is in them: above the configured least size,
/// the contents are counted.
pub(super) fn overgrown(backend: &dyn Backend, config: &StoreConfig) -> Result<Option<u64>, StoreError> {
    let size = backend.size_on_disk().map_err(StoreError::engine("measure its files"))?;
    if size <= config.rebuild_min_bytes {
        return Ok(None);
    }
    let mut live = 0_u64;
    for table in Table::ALL {
        each_checked(backend, &table.prefix(), |key, content| {
            live += u64::try_from(key.len() + content.map_or(0, |it| it.len())).unwrap_or(0);
            Ok(())
        })?;
    }
    Ok((size > live.saturating_mul(config.rebuild_factor)).then_some(size))
}

/// Copies everything into a new engine in `to_dir` and proves that it is the same.
pub(super) fn copy(
    from: &dyn Backend,
    record: &StoreRecord,
    to: Engine,
    to_dir: &Path,
) -> Result<BackupSummary, StoreError> {
    files::remove_tree(to_dir).map_err(StoreError::file("remove", to_dir))?;
    let (new, _) = backend::open(to, to_dir, Upkeep::Normal).map_err(|source| StoreError::Open {
        engine: to,
        dir: to_dir.to_owned(),
        source,
    })?;
    let store = (record.id.as_slice(), record.sequence);
    let (input, output) = io::pipe().map_err(|source| StoreError::Stream { doing: "write", source })?;
    let (sent, received) = thread::scope(|scope| {
        let sending = scope.spawn(move || export::export(from, store, &mut BufWriter::new(output)));
        let received = export::import(&mut BufReader::new(input), new.as_ref());
        (sending.join(), received)
    });
    let Ok(sent) = sent else { return Err(StoreError::Backup { why: "its writer has panicked" }) };
    // A reader that gives up breaks the pipe: its reason is the better one.
    let received = received?;
    let sent = sent?;
    let again = export::export(new.as_ref(), store, &mut io::sink())?;
    if sent != received || sent != again {
        return Err(StoreError::Backup { why: "the copy differs from the original" });
    }
    new.close().map_err(StoreError::engine("close the copy"))?;
    files::sync_tree(to_dir).map_err(StoreError::file("sync", to_dir))?;
    Ok(sent)
}

/// A rewriting that failed.
pub(super) struct NotRewritten {
    /// The engine as it was, when it is still usable.
    pub(super) kept: Option<Box<dyn Backend>>,
    pub(super) error: StoreError,
}

/// Writes the store anew with the same engine and goes on with the copy. The old files stay
/// until the next clean opening.
pub(super) fn rewrite(
    dir: &Path,
    backend: Box<dyn Backend>,
    record: &StoreRecord,
) -> Result<Box<dyn Backend>, NotRewritten> {
    let engine = backend.engine();
    let new = new_dir(dir, engine);
    if let Err(error) = copy(backend.as_ref(), record, engine, &new) {
        // The next opening removes what is left.
        let _ = files::remove_tree(&new);
        return Err(NotRewritten { kept: Some(backend), error });
    }
    swap(dir, backend, &new).map_err(|error| NotRewritten { kept: None, error })
}

fn swap(dir: &Path, backend: Box<dyn Backend>, new: &Path) -> Result<Box<dyn Backend>, StoreError> {
    let engine = backend.engine();
    let (data, old) = (data_dir(dir, engine), old_dir(dir, engine));
    backend.close().map_err(StoreError::engine("close"))?;
    files::remove_tree(&old).map_err(StoreError::file("remove", &old))?;
    fs::rename(&data, &old).map_err(StoreError::file("set aside", &data))?;
    fs::rename(new, &data).map_err(StoreError::file("take into use", new))?;
    files::sync_dir(dir).map_err(StoreError::file("sync", dir))?;
    let (backend, _) = backend::open(engine, &data, Upkeep::Normal).map_err(|source| StoreError::Open {
        engine,
        dir: data.clone(),
        source,
    })?;
    Ok(backend)
}

/// Builds the software index anew; returns the number of entries. A crash in between is noticed
/// at the next opening, which starts over.
pub(super) fn reindex(
    backend: &dyn Backend,
    catalog: &mut Catalog,
    cache: &Cache,
) -> Result<u64, StoreError> {
    let write = |batch: &Batch| backend.apply(batch).map_err(StoreError::engine("write the index"));
    let mark = |stale: bool, record: &mut StoreRecord| {
        record.index_stale = stale;
        let mut batch = Batch::default();
        value::put_new(&mut batch, keys::store(), &record.encode_to_vec());
        write(&batch)?;
        backend.flush().map_err(StoreError::engine("flush"))
    };
    mark(true, &mut catalog.record)?;

    let prefix = Table::Software.prefix();
    loop {
        let page = backend.page(&prefix, None, INDEX_BATCH).map_err(StoreError::engine("read the index"))?;
        if page.is_empty() {
            break;
        }
        let mut batch = Batch::default();
        for (key, _) in page {
            value::delete(backend, &mut batch, key)?;
        }
        write(&batch)?;
    }
    let mut count = 0;
    let mut batch = Batch::default();
    for (section, _) in catalog.sections() {
        for (stem, rows) in index_entries(View { backend, catalog, cache }, section)? {
            value::put_new(&mut batch, keys::software(&stem, section.digest()), &rows::encode(&rows));
            count += 1;
            if batch.len() >= INDEX_BATCH {
                write(&std::mem::take(&mut batch))?;
            }
        }
    }
    write(&batch)?;
    mark(false, &mut catalog.record)?;
    Ok(count)
}

/// Reads everything and lists what is wrong.
pub(super) fn verify(view: View<'_>) -> Result<Vec<Fault>, StoreError> {
    let mut faults = Vec::new();
    check_values(view.backend, &mut faults)?;
    check_memory(view, &mut faults)?;
    check_sections(view, &mut faults)?;
    check_index(view, &mut faults)?;
    check_documents(view.backend, &mut faults)?;
    Ok(faults)
}

fn fault(faults: &mut Vec<Fault>, table: Table, key: String, text: &str) {
    faults.push(Fault { table: table.name(), key, text: text.to_owned() });
}

fn check_values(backend: &dyn Backend, faults: &mut Vec<Fault>) -> Result<(), StoreError> {
    for table in Table::ALL {
        each_checked(backend, &table.prefix(), |key, content| {
            match content {
                Err(StoreError::Corrupt { table, key, why }) => {
                    faults.push(Fault { table, key, text: why.to_owned() });
                }
                Err(error) => return Err(error),
                Ok(_) if table == Table::Chunk => {
                    let owner = value::chunk_owner(key).unwrap_or_default();
                    if backend.get(owner).map_err(StoreError::engine("read"))?.is_none() {
                        fault(faults, table, HEXLOWER.encode(key), "nothing is made of this chunk");
                    }
                }
                Ok(_) => {}
            }
            Ok(())
        })?;
    }
    let prefix = Table::Audit.prefix();
    let mut expected = None;
    each_checked(backend, &prefix, |key, _| {
        if expected.as_deref().is_some_and(|it| it != key) {
            fault(faults, Table::Audit, HEXLOWER.encode(key), "entries before this one are missing");
        }
        let number = key.get(1..).and_then(|it| it.try_into().ok()).map_or(0, u64::from_be_bytes);
        expected = Some(keys::audit(number + 1));
        Ok(())
    })
}

/// What was counted while running against what is counted now.
fn check_memory(view: View<'_>, faults: &mut Vec<Fault>) -> Result<(), StoreError> {
    let (fresh, _) = Catalog::load(view.backend)?;
    if fresh != *view.catalog {
        fault(faults, Table::Store, String::new(), "the counts in memory differ from those on disk");
    }
    Ok(())
}

fn check_sections(view: View<'_>, faults: &mut Vec<Fault>) -> Result<(), StoreError> {
    let name = |key: SectionKey| HEXLOWER.encode(key.digest());
    for (key, stored) in view.catalog.sections() {
        if view.catalog.references(key) == 0 {
            fault(faults, Table::Section, name(key), "nobody refers to it");
        }
        if stored.base.and_then(|base| view.catalog.section(base)).is_some_and(|it| it.base.is_some()) {
            fault(faults, Table::Section, name(key), "its base is a difference itself");
        }
        let loaded = if stored.base.is_some() {
            sections::load(view, key).map(|rows| rows.map_or(0, |it| it.len()))
        } else {
            sections::load_stored(view, key).map(|rows| rows.len())
        };
        match loaded {
            Ok(rows) if u32::try_from(rows) != Ok(stored.rows) => {
                fault(faults, Table::Section, name(key), "its number of rows differs");
            }
            Ok(_) => {}
            Err(StoreError::Corrupt { table, key, why }) => {
                faults.push(Fault { table, key, text: why.to_owned() });
            }
            Err(error) => return Err(error),
        }
    }
    each_checked(view.backend, &Table::Payload.prefix(), |key, _| {
        if SectionKey::parse(key).and_then(|it| view.catalog.section(it)).is_none() {
            fault(faults, Table::Payload, HEXLOWER.encode(key), "they belong to no section");
        }
        Ok(())
    })?;
    for (id, references) in view.catalog.assets() {
        for reference in references.iter().filter(|it| it.needed) {
            if view.catalog.section(reference.key).is_none() {
                fault(faults, Table::Asset, id.to_string(), "it is shown with rows that are missing");
            }
        }
    }
    Ok(())
}

fn check_index(view: View<'_>, faults: &mut Vec<Fault>) -> Result<(), StoreError> {
    let mut found: BTreeMap<SectionKey, usize> = BTreeMap::new();
    each(view.backend, &Table::Software.prefix(), |key, _| {
        let kind = holdpoint_proto::v1::SectionKind::Software;
        match keys::software_parts(key) {
            Some((_, digest)) => *found.entry(SectionKey::new(kind, digest)).or_default() += 1,
            None => fault(faults, Table::Software, HEXLOWER.encode(key), "it is no index key"),
        }
        Ok(())
    })
    .or_else(skip_corrupt)?;
    for (key, _) in view.catalog.sections() {
        let entries = match index_entries(view, key) {
            Err(StoreError::Corrupt { .. }) => continue,
            entries => entries?,
        };
        let mut wrong = found.remove(&key).unwrap_or(0) != entries.len();
        for (stem, rows) in &entries {
            let stored = value::get(view.backend, &keys::software(stem, key.digest()));
            wrong |= !matches!(stored, Ok(Some(content)) if content == rows::encode(rows));
        }
        if wrong {
            fault(
                faults,
                Table::Software,
                HEXLOWER.encode(key.digest()),
                "it does not match the rows: reindex",
            );
        }
    }
    for key in found.into_keys().filter(|&key| view.catalog.section(key).is_none()) {
        fault(faults, Table::Software, HEXLOWER.encode(key.digest()), "it belongs to no section: reindex");
    }
    Ok(())
}

fn check_documents(backend: &dyn Backend, faults: &mut Vec<Fault>) -> Result<(), StoreError> {
    each_checked(backend, &Table::DocumentBytes.prefix(), |key, content| {
        if let Ok(content) = content
            && document::unpacked(content, key.get(1..).unwrap_or_default()).is_none()
        {
            fault(faults, Table::DocumentBytes, HEXLOWER.encode(key), "the bytes have another digest");
        }
        Ok(())
    })?;
    each_checked(backend, &Table::Document.prefix(), |key, _| {
        let bytes = Table::DocumentBytes.key(key.get(1..).unwrap_or_default());
        if backend.get(&bytes).map_err(StoreError::engine("read"))?.is_none() {
            fault(faults, Table::Document, HEXLOWER.encode(key), "its bytes are missing");
        }
        Ok(())
    })
}

/// Damaged values are listed by the first check already.
fn skip_corrupt(error: StoreError) -> Result<(), StoreError> {
    if matches!(error, StoreError::Corrupt { .. }) { Ok(()) } else { Err(error) }
}
