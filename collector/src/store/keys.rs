//! Every key of the store: a one-byte table, then the table's own bytes.
//!
//! Knows how keys look and sort, not what the values say. All tables live in one tree of the
//! engine, because a batch over several trees is not atomic there.

use holdpoint_proto::v1::SectionKind;

/// SHA-256.
pub type Digest = [u8; 32];

/// Longest name, identifier or setting that makes a key, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// Longest key of a page, in bytes: a class, the longest name of a record and its surroundings.
pub const MAX_PAGE_KEY_BYTES: usize = 1024;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Asset,
    Section,
    Chunk,
    Document,
    DocumentBytes,
    Event,
    EventByAsset,
    Audit,
    Store,
    Software,
    Operator,
    Payload,
    MapRule,
    Seen,
    Token,
    Setting,
    Decision,
    Snapshot,
    Outbox,
    Fleet,
    Packs,
}

/// Pages that another part of the program keeps in its own order; the store does not read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volume {
    /// What leaves a zone: revisions, parcels, numbers.
    Outbox,
    /// What a site knows of its zones.
    Fleet,
    /// Knowledge packs, and whose are taken.
    Packs,
}

impl Volume {
    pub(crate) fn table(self) -> Table {
        match self {
            Self::Outbox => Table::Outbox,
            Self::Fleet => Table::Fleet,
            Self::Packs => Table::Packs,
        }
    }
}

impl Table {
    /// Every table.
    pub(crate) const ALL: [Table; 21] = [
        Table::Asset,
        Table::Section,
        Table::Chunk,
        Table::Document,
        Table::DocumentBytes,
        Table::Event,
        Table::EventByAsset,
        Table::Audit,
        Table::Store,
        Table::Software,
        Table::Operator,
        Table::Payload,
        Table::MapRule,
        Table::Seen,
        Table::Token,
        Table::Setting,
        Table::Decision,
        Table::Snapshot,
        Table::Outbox,
        Table::Fleet,
        Table::Packs,
    ];

    /// The prefix of all its keys.
    pub(crate) fn prefix(self) -> [u8; 1] {
        [match self {
            Table::Asset => b'A',
            Table::Section => b'B',
            Table::Chunk => b'C',
            Table::Document => b'D',
            Table::DocumentBytes => b'd',
            Table::Event => b'E',
            Table::EventByAsset => b'e',
            Table::Audit => b'L',
            Table::Store => b'M',
            Table::Software => b'N',
            Table::Operator => b'O',
            Table::Payload => b'P',
            Table::MapRule => b'R',
            Table::Seen => b'S',
            Table::Token => b'T',
            Table::Setting => b'X',
            Table::Decision => b'Y',
            Table::Snapshot => b'H',
            Table::Outbox => b'Q',
            Table::Fleet => b'Z',
            Table::Packs => b'K',
        }]
    }

    /// A key of this table.
    pub(crate) fn key(self, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(1 + rest.len());
        key.extend_from_slice(&self.prefix());
        key.extend_from_slice(rest);
        key
    }

    /// The table that a key belongs to.
    pub(crate) fn of(key: &[u8]) -> Option<Table> {
        let first = key.first()?;
        Table::ALL.into_iter().find(|it| it.prefix()[0] == *first)
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Table::Asset => "assets",
            Table::Section => "sections",
            Table::Chunk => "chunks",
            Table::Document => "documents",
            Table::DocumentBytes => "document bytes",
            Table::Event => "events",
            Table::EventByAsset => "events by asset",
            Table::Audit => "audit log",
            Table::Store => "store record",
            Table::Software => "software index",
            Table::Operator => "operators",
            Table::Payload => "section rows",
            Table::MapRule => "map rules",
            Table::Seen => "last seen",
            Table::Token => "tokens",
            Table::Setting => "settings",
            Table::Decision => "decisions",
            Table::Snapshot => "snapshots",
            Table::Outbox => "outbox",
            Table::Fleet => "fleet",
            Table::Packs => "packs",
        }
    }
}

/// Names the rows of a section. The kind belongs to it: equal bytes mean other things in
/// another kind, and a host must not choose what another host's rows are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SectionKey {
    kind: u8,
    digest: Digest,
}

impl SectionKey {
    /// The rows of a kind with that digest.
    pub fn new(kind: SectionKind, digest: Digest) -> Self {
        // Every kind is a small positive number; 0 is the one that nobody may send.
        Self { kind: u8::try_from(i32::from(kind)).unwrap_or(0), digest }
    }

    /// As records write it; `None` when the kind is not known here or the digest is not 32 bytes.
    pub fn of(kind: i32, digest: &[u8]) -> Option<Self> {
        let kind = SectionKind::try_from(kind).ok().filter(|&it| it != SectionKind::Unspecified)?;
        Some(Self::new(kind, digest.try_into().ok()?))
    }

    /// What the rows are.
    pub fn kind(&self) -> SectionKind {
        SectionKind::try_from(i32::from(self.kind)).unwrap_or(SectionKind::Unspecified)
    }

    /// SHA-256 over the length-prefixed rows.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The same kind with another digest.
    pub(crate) fn sibling(&self, digest: Digest) -> Self {
        Self { kind: self.kind, digest }
    }

    /// The key in a table of sections.
    pub(crate) fn key(&self, table: Table) -> Vec<u8> {
        let mut rest = [0; 33];
        rest[0] = self.kind;
        rest[1..].copy_from_slice(&self.digest);
        table.key(&rest)
    }

    /// The reverse of [`SectionKey::key`].
    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let (&kind, digest) = key.get(1..)?.split_first()?;
        Self::of(i32::from(kind), digest)
    }
}

/// The number of an event, so that newer ones sort first.
fn newest_first(number: u64) -> [u8; 8] {
    (u64::MAX - number).to_be_bytes()
}

pub(crate) fn event(number: u64) -> Vec<u8> {
    Table::Event.key(&newest_first(number))
}

/// The prefix of an asset's events.
pub(crate) fn events_of(asset: &str) -> Vec<u8> {
    let mut key = Table::EventByAsset.key(asset.as_bytes());
    key.push(0);
    key
}

pub(crate) fn event_by_asset(asset: &str, number: u64) -> Vec<u8> {
    let mut key = events_of(asset);
    key.extend_from_slice(&newest_first(number));
    key
}

/// The number that ends the key of an event.
pub(crate) fn event_number(key: &[u8]) -> Option<u64> {
    let at = key.len().checked_sub(8)?;
    Some(u64::MAX - u64::from_be_bytes(key[at..].try_into().ok()?))
}

pub(crate) fn audit(number: u64) -> Vec<u8> {
    Table::Audit.key(&number.to_be_bytes())
}

/// The number that ends the key of an entry of the audit log.
pub(crate) fn audit_number(key: &[u8]) -> Option<u64> {
    let at = key.len().checked_sub(8)?;
    Some(u64::from_be_bytes(key.get(at..)?.try_into().ok()?))
}

/// What people decided, by its number.
pub(crate) fn decision(number: u64) -> Vec<u8> {
    Table::Decision.key(&number.to_be_bytes())
}

/// The store's record about itself.
pub(crate) fn store() -> Vec<u8> {
    Table::Store.key(b"")
}

/// What a program's name becomes in the index. Names that are too long share a stem, and NUL is
/// replaced because it ends the stem: whoever reads the entry compares the rows' own names.
pub(crate) fn stem(name: &str) -> Vec<u8> {
    let mut stem: Vec<u8> = name.bytes().take(MAX_NAME_BYTES).collect();
    for byte in &mut stem {
        if *byte == 0 {
            *byte = 1;
        }
    }
    stem
}

/// The name that a stem stands for, when it stands for exactly one.
pub(crate) fn stem_name(stem: &[u8]) -> Option<&str> {
    if stem.len() >= MAX_NAME_BYTES || stem.contains(&1) { None } else { std::str::from_utf8(stem).ok() }
}

/// The prefix of all index entries of a stem.
pub(crate) fn software_of(stem: &[u8]) -> Vec<u8> {
    let mut key = Table::Software.key(stem);
    key.push(0);
    key
}

pub(crate) fn software(stem: &[u8], digest: &Digest) -> Vec<u8> {
    let mut key = software_of(stem);
    key.extend_from_slice(digest);
    key
}

/// Sorts after every entry of the stem and before the next stem.
pub(crate) fn software_after(stem: &[u8]) -> Vec<u8> {
    let mut key = software_of(stem);
    key.extend_from_slice(&[0xff; 33]);
    key
}

/// Stem and digest of an index key.
pub(crate) fn software_parts(key: &[u8]) -> Option<(&[u8], Digest)> {
    let at = key.len().checked_sub(32)?;
    let stem = key.get(1..at.checked_sub(1)?)?;
    Some((stem, key[at..].try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_prefix_of_its_own() {
        for table in Table::ALL {
            assert_eq!(Table::of(&table.key(b"x")), Some(table));
        }
        assert_eq!(Table::of(b"?"), None);
        assert_eq!(Table::of(b""), None);
    }

    #[test]
    fn newer_events_sort_first() {
        assert!(event(2) < event(1));
        assert_eq!(event_number(&event_by_asset("a", 77)), Some(77));
    }

    #[test]
    fn index_keys_part_again_whatever_the_name_holds() {
        for name in ["", "zlib1g", "a\0b", &"x".repeat(999)] {
            let key = software(&stem(name), &[7; 32]);
            assert_eq!(software_parts(&key), Some((stem(name).as_slice(), [7; 32])));
        }
        assert_eq!(stem_name(&stem("zlib1g")), Some("zlib1g"));
        assert_eq!(stem_name(&stem("a\0b")), None);
    }

    #[test]
    fn a_section_key_knows_its_kind_and_refuses_the_unknown() {
        let key = SectionKey::new(SectionKind::Software, [9; 32]);
        assert_eq!(SectionKey::parse(&key.key(Table::Section)), Some(key));
        assert_eq!(SectionKey::of(0, &[9; 32]), None);
        assert_eq!(SectionKey::of(3, &[9; 31]), None);
        assert_eq!(SectionKey::of(250, &[9; 32]), None);
    }
}
