//! Rows that were judged before, so that equal rows are judged once, and again only when knowledge about them
//! changes.
//!
//! A row is kept as it was encoded: what changes is judged again from here, and the store is not read. The same
//! row on hosts that differ in what decides beside it (their distribution, facts) is a different row here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use holdpoint_common::section::Digest;

use super::change::Difference;
use super::index::Index;
use super::row::{self, Beside, Match, Names, RowResult};

/// Most distinct rows that are remembered; what is beyond is judged and forgotten.
const MAX_REMEMBERED: usize = 400_000;

/// Number of a remembered row.
pub(super) type RowId = u32;
/// By the first half of the row's SHA-256: nobody can make two rows that meet there. With the number of what stands beside it.
type Key = ([u8; 16], u32);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memory {
    ids: HashMap<Key, RowId>,
    rows: Vec<Option<Known>>,
    free: Vec<RowId>,
    besides: HashMap<Arc<Beside>, u32>,
    /// Most rows concern nobody; they share one result.
    unnoticed: Option<Arc<RowResult>>,
}

#[derive(Debug)]
struct Known {
    key: Key,
    encoded: Box<[u8]>,
    beside: Arc<Beside>,
    /// `None` when it has to be judged again.
    judged: Option<Installed>,
}

/// What follows from a row; `None` when it is not of something installed.
type Installed = Option<Arc<RowResult>>;

/// Rows of a section: what follows from each, and their numbers when all of them are remembered.
pub(super) type Looked = (Vec<Arc<RowResult>>, Option<Box<[RowId]>>);

impl Memory {
    /// Judges the rows of a section.
    pub(super) fn look(&mut self, index: &Index, beside: &Arc<Beside>, rows: &[Vec<u8>]) -> Looked {
        let next = u32::try_from(self.besides.len()).unwrap_or(u32::MAX);
        let of = *self.besides.entry(Arc::clone(beside)).or_insert(next);
        let (mut results, mut ids) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for encoded in rows {
            let mut digest = [0; 16];
            digest.copy_from_slice(&Digest::of(encoded).as_bytes()[..16]);
            let key = (digest, of);
            let id = self.ids.get(&key).copied().or_else(|| self.keep(key, encoded, beside));
            match id {
                Some(id) => {
                    results.extend(self.result(index, id));
                    ids.push(id);
                }
                None => results.extend(self.judge(index, beside, encoded)),
            }
        }
        let all = ids.len() == rows.len();
        (results, all.then(|| ids.into()))
    }

    /// What follows from rows that are remembered.
    pub(super) fn again(&mut self, index: &Index, ids: &[RowId]) -> Vec<Arc<RowResult>> {
        ids.iter().filter_map(|&id| self.result(index, id)).collect()
    }

    fn result(&mut self, index: &Index, id: RowId) -> Installed {
        let at = usize::try_from(id).ok()?;
        let known = self.rows.get(at)?.as_ref()?;
        if let Some(judged) = &known.judged {
            return judged.clone();
        }
        let judged = row::judge(index, &known.beside, &known.encoded);
        let judged = self.shared(judged);
        self.rows.get_mut(at)?.as_mut()?.judged = Some(judged.clone());
        judged
    }

    fn judge(&mut self, index: &Index, beside: &Beside, encoded: &[u8]) -> Installed {
        let judged = row::judge(index, beside, encoded);
        self.shared(judged)
    }

    fn shared(&mut self, judged: Option<RowResult>) -> Installed {
        judged.map(|it| {
            if it.matched != Match::NoFeed {
                return Arc::new(it);
            }
            self.unnoticed.get_or_insert_with(|| Arc::new(it)).clone()
        })
    }

    fn keep(&mut self, key: Key, encoded: &[u8], beside: &Arc<Beside>) -> Option<RowId> {
        if self.ids.len() >= MAX_REMEMBERED {
            return None;
        }
        let beside = Arc::clone(beside);
        let known = Some(Known { key, encoded: encoded.into(), beside, judged: None });
        let id = match self.free.pop() {
            Some(id) => {
                *self.rows.get_mut(usize::try_from(id).ok()?)? = known;
                id
            }
            None => {
                self.rows.push(known);
                u32::try_from(self.rows.len() - 1).ok()?
            }
        };
        self.ids.insert(key, id);
        Some(id)
    }

    /// Forgets every row that none of these images has.
    pub(super) fn keep_only<'a>(&mut self, used: impl Iterator<Item = &'a [RowId]>) {
        let used: HashSet<RowId> = used.flatten().copied().collect();
        for (id, slot) in (0_u32..).zip(&mut self.rows) {
            if slot.is_some() && !used.contains(&id) {
                if let Some(known) = slot.take() {
                    self.ids.remove(&known.key);
                }
                self.free.push(id);
            }
        }
    }

    /// Takes over into a new index what the change does not touch. Says of each row whether it was touched.
    pub(super) fn advance(&mut self, old: &Index, new: &Index, difference: &Difference) -> Vec<bool> {
        let touched = self.rows.iter_mut().map(|slot| {
            let Some(known) = slot else { return false };
            let Some(judged) = &known.judged else { return true };
            let kept = match judged {
                None => Some(None),
                Some(_) if is_touched(old, new, difference, known) => None,
                Some(result) if result.outcomes.is_empty() => Some(Some(Arc::clone(result))),
                Some(result) => {
                    let outcomes = difference.renumbered(&result.outcomes);
                    outcomes.map(|it| match it {
                        None => Some(Arc::clone(result)),
                        Some(outcomes) => Some(Arc::new(RowResult { outcomes, ..(**result).clone() })),
                    })
                }
            };
            known.judged = kept;
            known.judged.is_none()
        });
        touched.collect()
    }
}

fn is_touched(old: &Index, new: &Index, difference: &Difference, known: &Known) -> bool {
    match difference {
        Difference::Everything => true,
        Difference::Products(products) => Names::read(&known.encoded).is_none_or(|names| {
            old.may_mean(&names, &known.beside, &products.gone)
                || new.may_mean(&names, &known.beside, &products.come)
        }),
    }
}
