//! What a body holds: records that can be applied in any order and any number of times.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

use super::strict::{Flaw, Reader, Writer};

/// Most records of one bundle.
pub const MAX_RECORDS: usize = 65_536;
/// Longest name of a record, in bytes.
pub const MAX_NAME: usize = 512;
/// Largest content of a record, in bytes.
pub const MAX_CONTENT: usize = 1024 * 1024;

/// What a record is about. The numbers are those of the wire and are never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The zone itself.
    Zone = 1,
    /// An asset with its placement and freshness.
    Asset = 2,
    /// A finding and its triage.
    Finding = 3,
    /// The score of a host's hardening.
    Hardening = 4,
    /// A change and its verdicts.
    Change = 5,
    /// A feed of knowledge and its age.
    Feed = 6,
    /// The health of the collector.
    Health = 7,
    /// The head of the audit log.
    Audit = 8,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Zone,
        Self::Asset,
        Self::Finding,
        Self::Hardening,
        Self::Change,
        Self::Feed,
        Self::Health,
        Self::Audit,
    ];

    /// The number of the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    fn from_number(number: u64) -> Result<Self, Flaw> {
        let known = Self::ALL.into_iter().find(|it| u64::from(it.number()) == number);
        known.ok_or(Flaw::Value("a class of records that only a newer version knows"))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zone => "zone",
            Self::Asset => "asset",
            Self::Finding => "finding",
            Self::Hardening => "hardening",
            Self::Change => "change",
            Self::Feed => "feed",
            Self::Health => "health",
            Self::Audit => "audit",
        })
    }
}

/// A number for each class; a class that is not there has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByClass(BTreeMap<Class, NonZeroU64>);

impl ByClass {
    /// The number of a class.
    pub fn of(&self, class: Class) -> u64 {
        self.0.get(&class).map_or(0, |it| it.get())
    }

    /// Adds to the number of a class.
    pub fn add(&mut self, class: Class, more: u64) {
        if let Some(sum) = NonZeroU64::new(self.of(class).saturating_add(more)) {
            self.0.insert(class, sum);
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.map(self.0.len());
        for (class, number) in &self.0 {
            writer.unsigned(class.number().into()).unsigned(number.get());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Flaw> {
        let mut read = BTreeMap::new();
        for _ in 0..reader.map("numbers by class")? {
            let class = Class::from_number(reader.unsigned("a class")?)?;
            let number =
                NonZeroU64::new(reader.unsigned("a number")?).ok_or(Flaw::Value("a class of none"))?;
            read.insert(class, number);
        }
        Ok(Self(read))
    }
}

impl FromIterator<Class> for ByClass {
    fn from_iter<T: IntoIterator<Item = Class>>(classes: T) -> Self {
        let mut sum = Self::default();
        classes.into_iter().for_each(|it| sum.add(it, 1));
        sum
    }
}

/// What a record is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    class: Class,
    name: String,
}

/// A text that is no name of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a record has 1 to {MAX_NAME} bytes and no control character")]
pub struct InvalidKey;

impl Key {
    /// A key. Its name is the sender's, such as `hmi-01` or `hmi-01/ADV-7/CVE-1`: nothing here reads it, and
    /// nobody makes a path of it.
    ///
    /// # Errors
    /// The name is empty, longer than [`MAX_NAME`] bytes, or has a control character.
    pub fn new(class: Class, name: impl Into<String>) -> Result<Self, InvalidKey> {
        let name = name.into();
        let fits = !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
        if fits { Ok(Self { class, name }) } else { Err(InvalidKey) }
    }

    /// What the record is about.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Which one of its class.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// One record at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which record.
    pub key: Key,
    /// Higher than that of every earlier form of this record, across incarnations of the collector too.
    pub revision: NonZeroU64,
    /// What it says, at most [`MAX_CONTENT`] bytes that nothing here reads. `None` is a tombstone: the record
    /// is gone.
    pub content: Option<Vec<u8>>,
}

impl Record {
    pub(super) fn write(&self, writer: &mut Writer) {
        let Self { key: Key { class, name }, revision, content } = self;
        writer.array(4).unsigned(class.number().into()).text(name).unsigned(revision.get());
        match content {
            Some(content) => writer.bytes(content),
            None => writer.null(),
        };
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Flaw> {
        reader.array_of(4, "a record")?;
        let class = Class::from_number(reader.unsigned("a class")?)?;
        let key = Key::new(class, reader.text("the name of a record")?)
            .map_err(|_| Flaw::Value("a record with an impossible name"))?;
        let revision =
            NonZeroU64::new(reader.unsigned("a revision")?).ok_or(Flaw::Value("a record of revision 0"))?;
        let content = if reader.null() { None } else { Some(reader.bytes("the content of a record")?) };
        if content.is_some_and(|it| it.len() > MAX_CONTENT) {
            return Err(Flaw::Value("a record that is too large"));
        }
        Ok(Self { key, revision, content: content.map(<[u8]>::to_vec) })
    }
}
