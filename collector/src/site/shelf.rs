//! Which pages of a zone have to be written again: those that are otherwise than when they were written last.
//!
//! Facts say themselves what became of them. The other pages are few and small, so all of them are made and
//! compared by their digest.

use std::collections::BTreeMap;

use holdpoint_common::bundle::Key;
use holdpoint_common::section::Digest;
use prost::Message;

use super::facts::Touch;
use super::page::{self, Tag};
use super::zone::Zone;

/// Pages to write, by their key; `None` for one that is to be removed.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What was written last of a zone, besides its facts.
#[derive(Debug, Default)]
pub struct Shelf {
    written: BTreeMap<Vec<u8>, Digest>,
    touched: BTreeMap<Key, Touch>,
}

impl Shelf {
    /// Begins with the pages that are there.
    pub fn of_pages<'a>(pages: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let written = pages.map(|(key, bytes)| (key.to_vec(), Digest::of(bytes))).collect();
        Self { written, touched: BTreeMap::new() }
    }

    /// Notes what became otherwise of the facts of a zone; gives it, for whoever else wants to know.
    pub fn note(&mut self, zone: &mut Zone) -> BTreeMap<Key, Touch> {
        let touched = zone.take_touched();
        for (key, touch) in &touched {
            let held = self.touched.entry(key.clone()).or_insert(*touch);
            *held = (*held).max(*touch);
        }
        touched
    }

    /// Adds what has to be written. From then on it counts as written: the caller keeps it until it is.
    pub fn collect(&mut self, zone: &mut Zone, changes: &mut Changes) {
        self.note(zone);
        let name = zone.stream().zone.zone.to_string();
        for key in std::mem::take(&mut self.touched).into_keys() {
            let page = zone.facts().find(&key).map(|it| it.to_page().encode_to_vec());
            changes.insert(page::key(Tag::Fact, &name, &page::of_record(&key)), page);
        }
        let mut written = BTreeMap::new();
        for (tag, rest, bytes) in zone.pages() {
            let (key, digest) = (page::key(tag, &name, &rest), Digest::of(&bytes));
            if self.written.remove(&key) != Some(digest) {
                changes.insert(key.clone(), Some(bytes));
            }
            written.insert(key, digest);
        }
        for key in std::mem::replace(&mut self.written, written).into_keys() {
            changes.insert(key, None);
        }
    }
}
