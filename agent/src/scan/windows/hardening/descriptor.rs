//! Security descriptors: who may do what, as Windows keeps it in bytes (MS-DTYP 2.4.6, self-relative).
//!
//! Only the owner and the entries of the access list are read. Every offset, size and count is checked
//! against the bytes before it is used; what does not fit is an error and never a shorter list, because a
//! list without its last entry says something else.

use std::collections::BTreeSet;
use std::fmt;

/// Largest descriptor; an access list has at most 64 KiB.
const MAX_BYTES: usize = 128 * 1024;
/// Most parts of a security identifier, by its definition.
const MAX_PARTS: u8 = 15;
/// Size of the header, and of an entry's.
const HEADER: usize = 20;
const LIST_HEADER: usize = 8;
const ENTRY_HEADER: usize = 4;

/// Bits of the descriptor's control word.
const HAS_ACCESS_LIST: u16 = 0x0004;
const SELF_RELATIVE: u16 = 0x8000;
/// Bit of an entry's flags: it is for what is made below, not for this.
const INHERIT_ONLY: u8 = 0x08;

/// Rights of files that change something: write, append, attributes, delete, take over, everything.
pub const FILE_WRITE: u32 = 0x0002
    | 0x0004
    | 0x0010
    | 0x0040
    | 0x0100
    | 0x0001_0000
    | 0x0004_0000
    | 0x0008_0000
    | 0x4000_0000
    | 0x1000_0000;

/// Who owns something and who may do what with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The owner, where one is named.
    pub owner: Option<Sid>,
    /// The entries in order; `None` without a list, which allows everything to everybody.
    pub entries: Option<Vec<Entry>>,
}

/// One line of an access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it does.
    pub effect: Effect,
    /// Whether it is for what is made below alone.
    pub is_inherit_only: bool,
    /// The rights that it is about.
    pub mask: u32,
    /// Whom it is about.
    pub sid: Sid,
}

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Gives the rights.
    Allow,
    /// Takes them.
    Deny,
    /// Gives or takes them under a condition, or says something else (a label); the number of its type.
    Other(u8),
}

/// A security identifier: `S-1-5-32-544`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sid(String);

/// Why bytes are no descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDescriptor {
    /// Longer than any can be.
    #[error("a security descriptor of more than {MAX_BYTES} bytes")]
    Long,
    /// Something stands beyond the end.
    #[error("a security descriptor that is cut off")]
    Cut,
    /// Not the form that is kept in bytes, or not the revision that is known.
    #[error("no self-relative security descriptor of revision 1")]
    Form,
    /// A security identifier that is none.
    #[error("a security descriptor with a broken identifier")]
    Sid,
}

impl Descriptor {
    /// Reads a descriptor.
    ///
    /// # Errors
    /// The bytes are not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidDescriptor> {
        if bytes.len() > MAX_BYTES {
            return Err(InvalidDescriptor::Long);
        }
        let header = bytes.get(..HEADER).ok_or(InvalidDescriptor::Cut)?;
        let control = u16::from_le_bytes([header[2], header[3]]);
        if header[0] != 1 || control & SELF_RELATIVE == 0 {
            return Err(InvalidDescriptor::Form);
        }
        let owner = match number(bytes, 4)? {
            0 => None,
            at => Some(Sid::parse(from(bytes, at)?)?.0),
        };
        let entries = match (control & HAS_ACCESS_LIST != 0, number(bytes, 16)?) {
            (false, _) | (true, 0) => None,
            (true, at) => Some(entries(from(bytes, at)?)?),
        };
        Ok(Self { owner, entries })
    }

    /// The rights that somebody gets by entries that name exactly him, in the order in which Windows looks
    /// at them: what was denied first is not given later.
    pub fn rights_of(&self, wanted: impl Fn(&Sid) -> bool) -> u32 {
        let Some(entries) = &self.entries else { return u32::MAX };
        let (mut given, mut denied) = (0, 0);
        for entry in entries.iter().filter(|it| !it.is_inherit_only && wanted(&it.sid)) {
            match entry.effect {
                Effect::Allow => given |= entry.mask & !denied,
                Effect::Deny => denied |= entry.mask & !given,
                Effect::Other(_) => {}
            }
        }
        given
    }

    /// Everybody who is named and gets one of these rights, each once and in order of identifiers. Nobody
    /// where there is no list: then everybody does.
    pub fn who_gets(&self, rights: u32) -> impl Iterator<Item = &Sid> {
        let named: BTreeSet<&Sid> = self.entries.iter().flatten().map(|it| &it.sid).collect();
        // These two stand for others: for who makes something below, and for the owner, who is told apart.
        let is_somebody = |it: &&Sid| !matches!(it.as_str(), "S-1-3-0" | "S-1-3-1" | "S-1-3-4");
        named.into_iter().filter(is_somebody).filter(move |sid| self.rights_of(|it| it == *sid) & rights != 0)
    }

    /// The groups that hold about everybody and get one of these rights, by name and in order.
    pub fn open_to(&self, rights: u32) -> Vec<String> {
        if self.entries.is_none() {
            return vec!["everybody (no access list)".to_owned()];
        }
        let broad = NAMES.iter().filter(|(_, _, is_broad)| *is_broad);
        broad
            .filter(|(sid, _, _)| self.rights_of(|it| it.0 == *sid) & rights != 0)
            .map(|(_, name, _)| (*name).to_owned())
            .collect()
    }
}

fn entries(list: &[u8]) -> Result<Vec<Entry>, InvalidDescriptor> {
    let header = list.get(..LIST_HEADER).ok_or(InvalidDescriptor::Cut)?;
    if !matches!(header[0], 2 | 4) {
        return Err(InvalidDescriptor::Form);
    }
    let size = usize::from(u16::from_le_bytes([header[2], header[3]]));
    let count = u16::from_le_bytes([header[4], header[5]]);
    let mut rest = list.get(LIST_HEADER..size).ok_or(InvalidDescriptor::Cut)?;
    // A count that the bytes cannot hold reserves nothing.
    let mut entries = Vec::with_capacity(usize::from(count).min(rest.len() / (ENTRY_HEADER + 12)));
    for _ in 0..count {
        let header = rest.get(..ENTRY_HEADER).ok_or(InvalidDescriptor::Cut)?;
        let size = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let body = rest.get(ENTRY_HEADER..size).ok_or(InvalidDescriptor::Cut)?;
        entries.extend(entry(header[0], header[1], body)?);
        rest = &rest[size..];
    }
    Ok(entries)
}

/// One entry; `None` for a type of which neither the size nor the meaning is known.
fn entry(kind: u8, flags: u8, body: &[u8]) -> Result<Option<Entry>, InvalidDescriptor> {
    let effect = match kind {
        0x00 | 0x05 => Effect::Allow,
        0x01 | 0x06 => Effect::Deny,
        0x02 | 0x07 | 0x09..=0x13 => Effect::Other(kind),
        _ => return Ok(None),
    };
    let mask = number(body, 0)?;
    // Entries about one kind of object name it between the rights and the identifier.
    let is_of_object = matches!(kind, 0x05..=0x07 | 0x0b | 0x0c | 0x0f | 0x10);
    let at = if is_of_object {
        let present = number(body, 4)?;
        8 + 16 * usize::from(present & 1 != 0) + 16 * usize::from(present & 2 != 0)
    } else {
        4
    };
    let (sid, _) = Sid::parse(body.get(at..).ok_or(InvalidDescriptor::Cut)?)?;
    Ok(Some(Entry { effect, is_inherit_only: flags & INHERIT_ONLY != 0, mask, sid }))
}

fn number(bytes: &[u8], at: usize) -> Result<u32, InvalidDescriptor> {
    let four = bytes.get(at..at + 4).and_then(|it| it.try_into().ok()).ok_or(InvalidDescriptor::Cut)?;
    Ok(u32::from_le_bytes(four))
}

/// What stands from an offset on, which is never within the header.
fn from(bytes: &[u8], at: u32) -> Result<&[u8], InvalidDescriptor> {
    let at = usize::try_from(at).map_err(|_| InvalidDescriptor::Cut)?;
    bytes.get(at..).filter(|_| at >= HEADER).ok_or(InvalidDescriptor::Cut)
}

impl Sid {
    /// Reads an identifier from the start of bytes; also says how many there are of it.
    ///
    /// # Errors
    /// The bytes do not start with one.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), InvalidDescriptor> {
        let [revision, count, authority @ ..] = bytes.get(..8).ok_or(InvalidDescriptor::Cut)? else {
            return Err(InvalidDescriptor::Cut);
        };
        if *revision != 1 || *count > MAX_PARTS {
            return Err(InvalidDescriptor::Sid);
        }
        let authority = authority.iter().fold(0_u64, |sum, it| sum << 8 | u64::from(*it));
        let size = 8 + 4 * usize::from(*count);
        let parts = bytes.get(8..size).ok_or(InvalidDescriptor::Cut)?;
        let mut text = format!("S-1-{authority}");
        for part in parts.chunks_exact(4) {
            text = format!("{text}-{}", u32::from_le_bytes([part[0], part[1], part[2], part[3]]));
        }
        Ok((Self(text), size))
    }

    /// As text: `S-1-5-32-544`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The English name of an identifier that is the same on every Windows.
    pub fn name(&self) -> Option<&'static str> {
        known(&self.0)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or(&self.0))
    }
}

/// The English name of an identifier, as text, that is the same on every Windows.
pub fn known(sid: &str) -> Option<&'static str> {
    NAMES.iter().find(|(it, _, _)| *it == sid).map(|it| it.1)
}

/// Identifiers that are the same everywhere (MS-DTYP 2.4.2.4), and whether about everybody is meant.
const NAMES: [(&str, &str, bool); 33] = [
    ("S-1-0-0", "Nobody", false),
    ("S-1-1-0", "Everyone", true),
    ("S-1-2-0", "Local", true),
    ("S-1-3-0", "Creator Owner", false),
    ("S-1-3-1", "Creator Group", false),
    ("S-1-3-4", "Owner Rights", false),
    ("S-1-5-2", "Network", true),
    ("S-1-5-4", "Interactive", true),
    ("S-1-5-6", "Service", false),
    ("S-1-5-7", "Anonymous", true),
    ("S-1-5-10", "Self", false),
    ("S-1-5-11", "Authenticated Users", true),
    ("S-1-5-12", "Restricted", false),
    ("S-1-5-18", "System", false),
    ("S-1-5-19", "Local Service", false),
    ("S-1-5-20", "Network Service", false),
    ("S-1-5-32-544", "Administrators", false),
    ("S-1-5-32-545", "Users", true),
    ("S-1-5-32-546", "Guests", true),
    ("S-1-5-32-547", "Power Users", false),
    ("S-1-5-32-550", "Print Operators", false),
    ("S-1-5-32-551", "Backup Operators", false),
    ("S-1-5-32-552", "Replicator", false),
    ("S-1-5-32-555", "Remote Desktop Users", false),
    ("S-1-5-32-556", "Network Configuration Operators", false),
    ("S-1-5-32-558", "Performance Monitor Users", false),
    ("S-1-5-32-559", "Performance Log Users", false),
    ("S-1-5-32-562", "Distributed COM Users", false),
    ("S-1-5-32-573", "Event Log Readers", false),
    ("S-1-5-32-578", "Hyper-V Administrators", false),
    ("S-1-5-32-580", "Remote Management Users", false),
    ("S-1-15-2-1", "All Application Packages", false),
    ("S-1-15-2-2", "All Restricted Application Packages", false),
];

/// Bytes of descriptors that tests need.
#[cfg(test)]
pub(in crate::scan) mod made {
    /// An identifier: its authority and its parts.
    pub(in crate::scan) fn sid(authority: u8, parts: &[u32]) -> Vec<u8> {
        let mut bytes = vec![1, u8::try_from(parts.len()).unwrap(), 0, 0, 0, 0, 0, authority];
        bytes.extend(parts.iter().flat_map(|it| it.to_le_bytes()));
        bytes
    }

    /// A descriptor owned by administrators: entries as type, flags, rights, identifier.
    pub(in crate::scan) fn descriptor(entries: &[(u8, u8, u32, Vec<u8>)]) -> Vec<u8> {
        let owner = sid(5, &[32, 544]);
        let mut list = Vec::new();
        for (kind, flags, mask, sid) in entries {
            let size = u16::try_from(8 + sid.len()).unwrap();
            list.extend([*kind, *flags]);
            list.extend(size.to_le_bytes());
            list.extend(mask.to_le_bytes());
            list.extend(sid);
        }
        let size = u16::try_from(8 + list.len()).unwrap();
        let count = u16::try_from(entries.len()).unwrap();
        let at = u32::try_from(20 + owner.len()).unwrap();
        let mut bytes = vec![1, 0];
        bytes.extend(0x8004_u16.to_le_bytes());
        bytes.extend([20_u32, 0, 0, at].iter().flat_map(|it| it.to_le_bytes()));
        bytes.extend(owner);
        bytes.extend([2, 0]);
        bytes.extend(size.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(list);
        bytes
    }
}

#[cfg(test)]
#[path = "descriptor_tests.rs"]
mod tests;
