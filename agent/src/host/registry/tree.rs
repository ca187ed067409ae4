//! A registry in memory: what exports are read into.
//!
//! Keys and values stand in two flat maps ordered by their parent, so that nothing here recurses, one
//! question costs a few look-ups however many siblings there are, and a key costs what it holds.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::time::SystemTime;

use super::name::{fold, parts, same};
use super::{Data, Source, Value};

/// Most keys below one another; the limit of Windows ("Registry Element Size Limits").
const MAX_DEPTH: usize = 512;
/// Most characters of a key's name; the limit of Windows.
const MAX_KEY_NAME: usize = 255;
/// Most characters of a value's name; the limit of Windows.
const MAX_VALUE_NAME: usize = 16_383;
/// Most bytes that keys, values and their bookkeeping may have together. The agent's own budget is
/// 24 MiB at its peak, and an export is the smaller of what it looks at.
const MAX_HELD: usize = 8 * 1024 * 1024;
/// What a key or a value costs beside its names and data, in bytes.
const ENTRY: usize = 96;

/// Number of the key above all keys.
const TOP: u32 = 0;

/// A registry in memory.
#[derive(Debug)]
pub struct Tree {
    keys: BTreeMap<(u32, Box<str>), Key>,
    values: BTreeMap<(u32, Box<str>), Value>,
    last: u32,
    held: usize,
    /// Why the list of users is not whole, where it is not.
    users: Option<&'static str>,
}

#[derive(Debug)]
struct Key {
    id: u32,
    name: Box<str>,
}

/// Why something is not taken into a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("more than {MAX_DEPTH} keys below one another")]
    Depth,
    #[error("the name of a key has more than {MAX_KEY_NAME} characters")]
    KeyName,
    #[error("the name of a value has more than {MAX_VALUE_NAME} characters")]
    ValueName,
    #[error("more than {MAX_HELD} bytes of keys and values; export fewer keys")]
    Full,
}

impl Default for Tree {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), values: BTreeMap::new(), last: TOP, held: 0, users: None }
    }
}

impl Tree {
    /// Makes sure that a key is there, and says its number.
    pub(super) fn add_key(&mut self, path: &str) -> Result<u32, Refused> {
        if parts(path).count() > MAX_DEPTH {
            return Err(Refused::Depth);
        }
        let mut at = TOP;
        for part in parts(path) {
            if part.chars().count() > MAX_KEY_NAME {
                return Err(Refused::KeyName);
            }
            let place = (at, fold(part));
            if let Some(key) = self.keys.get(&place) {
                at = key.id;
                continue;
            }
            self.hold(key_cost(part))?;
            self.last += 1;
            at = self.last;
            self.keys.insert(place, Key { id: at, name: part.into() });
        }
        Ok(at)
    }

    /// Sets a value of a key.
    pub(super) fn set(&mut self, key: u32, value: Value) -> Result<(), Refused> {
        if value.name.chars().count() > MAX_VALUE_NAME {
            return Err(Refused::ValueName);
        }
        self.remove_value(key, &value.name);
        self.hold(value_cost(&value))?;
        self.values.insert((key, fold(&value.name)), value);
        Ok(())
    }

    /// Removes a value of a key, where it is there.
    pub(super) fn remove_value(&mut self, key: u32, name: &str) {
        if let Some(value) = self.values.remove(&(key, fold(name))) {
            self.held -= value_cost(&value);
        }
    }

    /// Removes a key with all below it, where it is there.
    pub(super) fn remove_key(&mut self, path: &str) {
        let Some((parent, name)) = self.place_of(path) else { return };
        let Some(key) = self.keys.remove(&(parent, name)) else { return };
        let mut gone = vec![key];
        while let Some(key) = gone.pop() {
            self.held -= key_cost(&key.name);
            // One by one: what stays is many times what goes.
            while let Some(place) = self.keys.range(below(key.id)).next().map(|(it, _)| it.clone()) {
                gone.extend(self.keys.remove(&place));
            }
            while let Some(place) = self.values.range(below(key.id)).next().map(|(it, _)| it.clone()) {
                self.held -= self.values.remove(&place).as_ref().map_or(0, value_cost);
            }
        }
    }

    /// Says that users are missing, and why.
    pub(super) fn lacks_users(&mut self, why: &'static str) {
        self.users = Some(why);
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Refused> {
        if self.held + bytes > MAX_HELD {
            return Err(Refused::Full);
        }
        self.held += bytes;
        Ok(())
    }

    fn place_of(&self, path: &str) -> Option<(u32, Box<str>)> {
        let all: Vec<&str> = parts(path).collect();
        let (name, above) = all.split_last()?;
        Some((self.descend(TOP, above)?, fold(name)))
    }

    fn descend(&self, from: u32, path: &[&str]) -> Option<u32> {
        path.iter().try_fold(from, |at, part| Some(self.keys.get(&(at, fold(part)))?.id))
    }

    fn find(&self, path: &str) -> io::Result<u32> {
        let all: Vec<&str> = parts(path).collect();
        let found = self.descend(TOP, &all).or_else(|| self.in_current_set(&all));
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such key"))
    }

    /// `CurrentControlSet` is a link that an export of hive files does not have.
    fn in_current_set(&self, path: &[&str]) -> Option<u32> {
        let [machine, system, link, rest @ ..] = path else { return None };
        let is_linked = same(machine, "HKLM") && same(system, "SYSTEM") && same(link, "CurrentControlSet");
        if !is_linked || self.descend(TOP, &path[..3]).is_some() {
            return None;
        }
        let system = self.descend(TOP, &path[..2])?;
        let select = self.descend(system, &["Select"])?;
        let current = self.values.get(&(select, fold("Current")))?.data.number()?;
        self.descend(self.descend(system, &[&format!("ControlSet{current:03}")])?, rest)
    }
}

impl Source for Tree {
    fn keys(&self, key: &str) -> io::Result<Vec<String>> {
        let id = self.find(key)?;
        match self.users {
            Some(why) if same(key.trim_matches('\\'), "HKU") => return Err(io::Error::other(why)),
            Some(_) | None => {}
        }
        Ok(self.keys.range(below(id)).map(|(_, it)| it.name.to_string()).collect())
    }

    fn values(&self, key: &str) -> io::Result<Vec<Value>> {
        let id = self.find(key)?;
        Ok(self.values.range(below(id)).map(|(_, it)| it.clone()).collect())
    }

    fn value(&self, key: &str, name: &str) -> io::Result<Data> {
        let value = self.values.get(&(self.find(key)?, fold(name)));
        value
            .map(|it| it.data.clone())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such value"))
    }

    fn written(&self, key: &str) -> io::Result<SystemTime> {
        self.find(key)?;
        Err(io::Error::new(io::ErrorKind::Unsupported, "an export does not say when a key was written"))
    }
}

/// The places of all that stands directly below a key.
fn below(id: u32) -> Range<(u32, Box<str>)> {
    (id, "".into())..(id + 1, "".into())
}

fn key_cost(name: &str) -> usize {
    ENTRY + 2 * name.len()
}

fn value_cost(value: &Value) -> usize {
    let data = match &value.data {
        Data::Text(it) | Data::Expand(it) => it.len(),
        Data::Number(_) | Data::Wide(_) => 0,
        Data::List(all) => all.iter().map(|it| it.len() + size_of::<String>()).sum(),
        Data::Bytes { bytes, .. } => bytes.len(),
    };
    ENTRY + 2 * value.name.len() + data
}
