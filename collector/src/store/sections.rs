//! Reading the rows of a section: from its payload, or from its base and a difference.
//!
//! Whatever comes back has the digest that it was asked for by.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use holdpoint_proto::store::OverlayRecord;

use super::error::StoreError;
use super::keys::{SectionKey, Table};
use super::plan::{View, read};
use super::rows::{self, Rows};
use super::value;

/// Most bytes of rows that are kept decoded.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// What a row costs besides its bytes.
const ROW_OVERHEAD: usize = 48;

/// Rows that were read not long ago; overlays share their bases through it.
#[derive(Default)]
pub(super) struct Cache {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<(SectionKey, Arc<Rows>, usize)>,
    bytes: usize,
}

impl Cache {
    fn get(&self, key: SectionKey) -> Option<Arc<Rows>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.entries.iter().position(|it| it.0 == key)?;
        let entry = kept.entries.remove(at)?;
        let rows = entry.1.clone();
        kept.entries.push_back(entry);
        Some(rows)
    }

    fn put(&self, key: SectionKey, rows: &Arc<Rows>) {
        let bytes = rows.iter().map(|row| row.len() + ROW_OVERHEAD).sum();
        if bytes > CACHE_BYTES {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.entries.iter().any(|it| it.0 == key) {
            return;
        }
        kept.entries.push_back((key, rows.clone(), bytes));
        kept.bytes += bytes;
        while kept.bytes > CACHE_BYTES {
            let Some((_, _, bytes)) = kept.entries.pop_front() else { break };
            kept.bytes -= bytes;
        }
    }
}

/// The rows of a section, verified against its digest; `None` when it is not in the store.
pub(super) fn load(view: View<'_>, key: SectionKey) -> Result<Option<Arc<Rows>>, StoreError> {
    let Some(stored) = view.catalog.section(key) else { return Ok(None) };
    let Some(base) = stored.base else {
        return load_complete(view, key).map(Some);
    };
    let base = load_complete(view, base)?;
    let at = key.key(Table::Payload);
    let overlay: OverlayRecord =
        read(view.backend, &at)?.ok_or_else(|| value::corrupt(&at, "the difference is missing"))?;
    verified(key, rows::overlaid(&base, &overlay)).map(|rows| Some(Arc::new(rows)))
}

fn load_complete(view: View<'_>, key: SectionKey) -> Result<Arc<Rows>, StoreError> {
    if let Some(rows) = view.cache.get(key) {
        return Ok(rows);
    }
    load_stored(view, key).inspect(|rows| view.cache.put(key, rows))
}

/// The rows of a complete section as they are on disk, past the cache.
pub(super) fn load_stored(view: View<'_>, key: SectionKey) -> Result<Arc<Rows>, StoreError> {
    let at = key.key(Table::Payload);
    let payload =
        value::get(view.backend, &at)?.ok_or_else(|| value::corrupt(&at, "the rows are missing"))?;
    let rows =
        rows::decompress(&payload).ok_or_else(|| value::corrupt(&at, "the rows cannot be unpacked"))?;
    Ok(Arc::new(verified(key, rows)?))
}

fn verified(key: SectionKey, rows: Rows) -> Result<Rows, StoreError> {
    if rows::section_digest(&rows) == *key.digest() {
        Ok(rows)
    } else {
        Err(value::corrupt(&key.key(Table::Payload), "the rows have another digest"))
    }
}
