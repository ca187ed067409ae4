//! The Windows registry as probes see it: keys by path, values as data, and nothing that writes.
//!
//! A path starts with `HKLM` or `HKU` and is always that of the 64-bit view: what 32-bit programs see
//! stands below `WOW6432Node`. Names are compared without regard to case, as Windows does. With a read
//! list ([`Registry::limited_to`]) only the keys on it can be asked for, and the keys that hold secrets
//! (`is_secret`) never, with a list or without.

mod captured;
mod data;
mod export;
mod hive;
mod hives;
mod limit;
mod lines;
#[cfg(windows)]
mod live;
mod name;
mod tree;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use super::reads::ReadList;

pub(super) use captured::captured;
pub use export::InvalidExport;
pub use tree::Tree;

/// What a value holds; the types of `RegSetValueExW`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// `REG_SZ`.
    Text(String),
    /// `REG_EXPAND_SZ`: text with `%NAME%` in it, as written.
    Expand(String),
    /// `REG_DWORD`.
    Number(u32),
    /// `REG_QWORD`.
    Wide(u64),
    /// `REG_MULTI_SZ`.
    List(Vec<String>),
    /// `REG_BINARY` and every other type, and what is not of the type that it says: a number of three
    /// bytes, text with half a surrogate pair.
    Bytes {
        /// Number of the type, by `winnt.h`.
        kind: u32,
        /// The bytes, as stored.
        bytes: Vec<u8>,
    },
}

impl Data {
    /// The text of a text value, up to its first NUL: what a program that asks Windows for it sees. What
    /// stands behind, in values that were overwritten by a shorter text, is kept in the variant.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(it) | Self::Expand(it) => Some(it.split('\0').next().unwrap_or(it)),
            Self::Number(_) | Self::Wide(_) | Self::List(_) | Self::Bytes { .. } => None,
        }
    }

    /// As [`Data::text`], for a person: text that is broken is shown with replacement characters instead
    /// of being none, so that nothing hides behind half a character.
    pub fn text_as_shown(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Bytes { kind: data::TEXT | data::EXPAND, bytes } => Some(Cow::Owned(data::lossy(bytes))),
            Self::Text(_) | Self::Expand(_) => self.text().map(Cow::Borrowed),
            Self::Number(_) | Self::Wide(_) | Self::List(_) | Self::Bytes { .. } => None,
        }
    }

    /// The number of a number value.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(it) => Some(u64::from(*it)),
            Self::Wide(it) => Some(*it),
            Self::Text(_) | Self::Expand(_) | Self::List(_) | Self::Bytes { .. } => None,
        }
    }

    /// About how many bytes it holds in memory.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(it) | Self::Expand(it) => it.len(),
            Self::Number(_) | Self::Wide(_) => 0,
            Self::List(all) => all.iter().map(|it| it.len() + size_of::<String>()).sum(),
            Self::Bytes { bytes, .. } => bytes.len(),
        }
    }

    /// Its type as `regedit` writes it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "REG_SZ",
            Self::Expand(_) => "REG_EXPAND_SZ",
            Self::Number(_) => "REG_DWORD",
            Self::Wide(_) => "REG_QWORD",
            Self::List(_) => "REG_MULTI_SZ",
            Self::Bytes { kind, .. } => data::type_name(*kind),
        }
    }
}

/// One value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its name; empty for the key's default value.
    pub name: String,
    /// What it holds.
    pub data: Data,
}

/// Where keys come from: the running system, hive files, or an export as text.
///
/// Every answer is bounded by the source; what is beyond a bound is an error, never a shorter answer.
pub trait Source: fmt::Debug + Send + Sync {
    /// Names of the keys directly below a key, in the source's own order.
    ///
    /// # Errors
    /// The key is not there (`NotFound`), may not be read (`PermissionDenied`), or is broken.
    fn keys(&self, key: &str) -> io::Result<Vec<String>>;

    /// The values of a key.
    ///
    /// # Errors
    /// As [`Source::keys`].
    fn values(&self, key: &str) -> io::Result<Vec<Value>>;

    /// One value of a key.
    ///
    /// # Errors
    /// As [`Source::keys`]; also where the key has no such value (`NotFound`).
    fn value(&self, key: &str, name: &str) -> io::Result<Data>;

    /// When a key or one of its values last changed.
    ///
    /// # Errors
    /// As [`Source::keys`]; `Unsupported` where the source does not keep it.
    fn written(&self, key: &str) -> io::Result<SystemTime>;

    /// What may be missing from answers about a key although they are no errors, and why: a hive that was
    /// copied while Windows wrote to it.
    fn gap(&self, _key: &str) -> Option<String> {
        None
    }
}

/// A registry that probes read and never write.
#[derive(Debug, Clone)]
pub struct Registry {
    source: Arc<dyn Source>,
    reads: Option<Arc<ReadList>>,
}

impl Registry {
    /// A registry over a source.
    pub fn new(source: impl Source + 'static) -> Self {
        Self { source: Arc::new(source), reads: None }
    }

    /// The same registry, of which only what is on a list can be read.
    #[must_use]
    pub fn limited_to(&self, reads: &ReadList) -> Self {
        Self { reads: Some(Arc::new(reads.clone())), ..self.clone() }
    }

    /// Names of the keys directly below a key.
    ///
    /// # Errors
    /// As [`Source::keys`], or the key is not on the read list.
    pub fn keys(&self, key: &str) -> io::Result<Vec<String>> {
        self.allowed(key)?;
        self.source.keys(key)
    }

    /// The values of a key.
    ///
    /// # Errors
    /// As [`Source::values`], or the key is not on the read list.
    pub fn values(&self, key: &str) -> io::Result<Vec<Value>> {
        self.allowed(key)?;
        self.source.values(key)
    }

    /// One value of a key.
    ///
    /// # Errors
    /// As [`Source::value`], or the key is not on the read list.
    pub fn value(&self, key: &str, name: &str) -> io::Result<Data> {
        self.allowed(key)?;
        self.source.value(key, name)
    }

    /// When a key last changed.
    ///
    /// # Errors
    /// As [`Source::written`], or the key is not on the read list.
    pub fn written(&self, key: &str) -> io::Result<SystemTime> {
        self.allowed(key)?;
        self.source.written(key)
    }

    /// What may be missing from answers about a key although they are no errors.
    pub fn gap(&self, key: &str) -> Option<String> {
        self.allowed(key).ok().and_then(|()| self.source.gap(key))
    }

    fn allowed(&self, key: &str) -> io::Result<()> {
        if is_secret(key) {
            return Err(io::Error::other(format!("{key} holds secrets, which the agent never reads")));
        }
        match &self.reads {
            Some(reads) if !reads.may_read_key(key) => {
                Err(io::Error::other(format!("{key} is not on the agent's read list")))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The registry of the system that runs the agent; `None` where it is no Windows.
pub(super) fn running() -> Option<Registry> {
    #[cfg(windows)]
    return Some(Registry::new(live::Running));
    #[cfg(not(windows))]
    None
}

/// Whether a key holds password hashes or secrets of the machine. These are never opened, whatever a
/// list says: in memory, in a hive, or in the running system.
fn is_secret(key: &str) -> bool {
    let mut parts = name::parts(key);
    let is_of_machine = parts.next().is_some_and(|it| name::same(it, "HKLM"));
    is_of_machine
        && parts.next().is_some_and(|it| ["SAM", "SECURITY"].iter().any(|secret| name::same(it, secret)))
}
