//! A hive: the file that Windows keeps a part of the registry in (regf), read by place.
//!
//! Layout: "Windows registry file format specification" (M. Suhanov). Everything that a hive says of
//! itself is a claim: a place is checked against the bins, a length against its cell, a count against a
//! bound before anything is held for it. Keys point to keys, so that a hive could say that a key is its
//! own ancestor; nothing here follows such pointers but along a path that somebody asked for.
//!
//! A hive that was not closed is completed by its logs ([`log`]); where that cannot be, [`Hive::gap`]
//! says what may be missing.

mod base;
mod cell;
mod field;
mod log;
mod marvin;
mod pages;
#[cfg(test)]
pub(super) mod written;

use std::io;

use super::super::root::HostRoot;
use super::data::decode;
use super::limit::{Held, MAX_VALUE};
use super::name::{fold, same};
use super::{Data, Value};
use base::{BLOCK, Base};
use cell::Hint;
pub(super) use cell::Key;
use pages::Pages;

/// Most keys on the way that are remembered; few paths of Windows have more parts.
const MAX_TRAIL: usize = 32;

/// An open hive.
#[derive(Debug)]
pub(super) struct Hive {
    pages: Pages,
    root: u32,
    /// The keys on the way to the key that was found last: the next one is mostly beside or below it.
    trail: Vec<(String, Key)>,
    /// Since minor version 4 a large value stands in several cells.
    has_big_data: bool,
    gap: Option<String>,
}

/// What stands at the end of a path.
#[derive(Debug)]
pub(super) enum Found {
    /// The key.
    Key(Key),
    /// A key on the way is a link to another key, by its path in the kernel's names; how many parts of
    /// the path led to it.
    Link(String, usize),
}

impl Hive {
    /// Opens a hive and what its logs hold.
    ///
    /// # Errors
    /// It cannot be read, or its first block is of no hive.
    pub(super) fn open(root: &HostRoot, path: &str) -> io::Result<Self> {
        let file = root.pieces(path)?;
        let base = Base::read(&first_block(&file)?)?;
        let mut pages = Pages::new(file, base.bins);
        let gap = if base.is_closed() { None } else { log::complete(root, path, &base, &mut pages)? };
        Ok(Self { pages, root: base.root, trail: Vec::new(), has_big_data: base.minor > 3, gap })
    }

    /// What may be missing, where the hive was not closed and its logs do not complete it.
    pub(super) fn gap(&self) -> Option<&str> {
        self.gap.as_deref()
    }

    /// The key at the end of a path.
    ///
    /// # Errors
    /// There is none (`NotFound`), or the hive is broken on the way.
    pub(super) fn find(&mut self, path: &[&str]) -> io::Result<Found> {
        let known = self.trail.iter().zip(path).take_while(|((name, _), part)| same(name, part)).count();
        self.trail.truncate(known);
        let mut key = match self.trail.last() {
            Some((_, key)) => key.clone(),
            None => self.key(self.root)?,
        };
        for (at, part) in path.iter().enumerate().skip(known) {
            let no_key = || io::Error::new(io::ErrorKind::NotFound, "no such key");
            key = self.child(&key, part)?.ok_or_else(no_key)?;
            if key.is_link {
                return Ok(Found::Link(self.target(&key)?, at + 1));
            }
            if at < MAX_TRAIL {
                self.trail.push(((*part).to_owned(), key.clone()));
            }
        }
        Ok(Found::Key(key))
    }

    /// Names of the keys below a key.
    pub(super) fn keys(&mut self, key: &Key) -> io::Result<Vec<String>> {
        let (mut names, mut held) = (Vec::new(), Held::default());
        for entry in self.below(key)? {
            let name = self.key(entry.at)?.name;
            held.add(name.len())?;
            names.push(name);
        }
        Ok(names)
    }

    /// The values of a key.
    pub(super) fn values(&mut self, key: &Key) -> io::Result<Vec<Value>> {
        let (mut values, mut held) = (Vec::new(), Held::default());
        for at in self.value_list(key)? {
            let value = self.value_head(at)?;
            held.add(value.name.len() + value.bytes)?;
            let data = self.data(&value)?;
            values.push(Value { name: value.name, data });
        }
        Ok(values)
    }

    /// One value of a key.
    pub(super) fn value(&mut self, key: &Key, name: &str) -> io::Result<Data> {
        for at in self.value_list(key)? {
            let head = self.value_head(at)?;
            if same(&head.name, name) {
                return self.data(&head);
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "no such value"))
    }

    fn child(&mut self, key: &Key, name: &str) -> io::Result<Option<Key>> {
        // Of another letter Windows may know another upper case than we do; then every name is read.
        let hash = name.is_ascii().then(|| cell::hash(&fold(name)));
        for entry in self.below(key)? {
            let is_other = match entry.hint {
                Hint::Hash(listed) => hash.is_some_and(|wanted| wanted != listed),
                Hint::Letters(letters) => hash.is_some() && cell::starts_otherwise(letters, name),
                Hint::None => false,
            };
            if is_other {
                continue;
            }
            let at = entry.at;
            let key = self.key(at)?;
            if same(&key.name, name) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Where a link leads.
    fn target(&mut self, key: &Key) -> io::Result<String> {
        const LINK: u32 = 6;
        match self.value(key, "SymbolicLinkValue")? {
            Data::Bytes { kind: LINK, bytes } => Ok(super::data::lossy(&bytes)),
            Data::Text(_)
            | Data::Expand(_)
            | Data::Number(_)
            | Data::Wide(_)
            | Data::List(_)
            | Data::Bytes { .. } => {
                Err(broken(format!("the link {:?} does not say where it leads", key.name)))
            }
        }
    }

    fn data(&mut self, head: &cell::ValueHead) -> io::Result<Data> {
        if head.bytes > MAX_VALUE {
            return Err(broken(format!("a value of {} bytes, more than {MAX_VALUE}", head.bytes)));
        }
        Ok(decode(head.kind, self.value_bytes(head)?))
    }
}

fn first_block(file: &super::super::root::Pieces) -> io::Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    file.read_at(0, &mut block).map_err(|cause| {
        if cause.kind() == io::ErrorKind::UnexpectedEof { broken("no hive of a registry") } else { cause }
    })?;
    Ok(block)
}

fn broken(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
