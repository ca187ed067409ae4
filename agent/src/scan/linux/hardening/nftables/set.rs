//! Sets and maps: what they are and what they hold.

use std::collections::BTreeMap;

use holdpoint_common::section::Digest;

use super::attributes::{attributes, find, number, text};
use super::canonical::{ELEMENT, record};

/// Most elements that a short form shows.
const MAX_SHOWN: usize = 16;
/// Most elements of one set that are kept for showing; all count in its digest.
const MAX_KEPT: usize = 64;

const ANONYMOUS: u32 = 0x1;
const INTERVAL: u32 = 0x4;
const MAP: u32 = 0x8;
const TIMEOUT: u32 = 0x10;
const DYNAMIC: u32 = 0x20;
const INTERVAL_END: u32 = 1;

/// One set of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    flags: u32,
    /// What its definition says, in canonical form.
    definition: Vec<u8>,
    /// One digest an element: order does not count, and the kernel may change it.
    digests: Vec<Digest>,
    /// How many of them are no mere ends of intervals.
    count: usize,
    shown: Vec<Element>,
    /// Why its elements are not known.
    pub(super) unread: Option<String>,
}

#[derive(Debug, Clone)]
struct Element {
    key: Vec<u8>,
    end: Option<Vec<u8>>,
    data: Option<Vec<u8>>,
    is_end: bool,
}

/// The sets of one table, by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sets<'a>(pub(super) Option<&'a BTreeMap<String, Set>>);

impl<'a> Sets<'a> {
    /// What a rule means by the name of a set: its name, or what it holds when the name was made up.
    pub(super) fn meaning(self, name: &str) -> Vec<u8> {
        match self.get(name) {
            Some(set) if set.is_anonymous() => set.canonical(""),
            Some(_) | None => name.as_bytes().to_vec(),
        }
    }

    pub(super) fn get(self, name: &str) -> Option<&'a Set> {
        self.0.and_then(|it| it.get(name))
    }
}

impl Set {
    /// Reads the attributes of `NFT_MSG_NEWSET`.
    pub(super) fn of(message: &[u8]) -> Self {
        let mut definition = Vec::new();
        // Flags, types, lengths, description, timeout, kind of object, expressions.
        for kind in [3, 4, 5, 6, 7, 9, 11, 15, 17, 18] {
            if let Some(value) = find(message, kind) {
                record(&mut definition, &[u8::try_from(kind).unwrap_or(0)]);
                record(&mut definition, value);
            }
        }
        Self { flags: number(message, 3).unwrap_or(0), definition, ..Self::default() }
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.flags & ANONYMOUS != 0
    }

    /// Whether packets or time change what it holds: then only its definition counts.
    pub(super) fn moves(&self) -> bool {
        self.flags & (DYNAMIC | TIMEOUT) != 0
    }

    /// Adds the elements of `NFT_MSG_NEWSETELEM`.
    pub(super) fn add(&mut self, elements: &[u8]) {
        for element in attributes(elements).filter(|it| it.kind == ELEMENT) {
            let element = element.value;
            let mut canonical = Vec::new();
            // Key, data, flags, object, end of the key. Not expiry, counters and comments.
            for kind in [1, 2, 3, 9, 10] {
                if let Some(value) = find(element, kind) {
                    record(&mut canonical, &[u8::try_from(kind).unwrap_or(0)]);
                    record(&mut canonical, value);
                }
            }
            self.digests.push(Digest::of(&canonical));
            let is_end = number(element, 3).unwrap_or(0) & INTERVAL_END != 0;
            self.count += usize::from(!is_end);
            if self.shown.len() < MAX_KEPT {
                let value = |kind| find(element, kind).and_then(|it| find(it, 1)).map(<[u8]>::to_vec);
                self.shown.push(Element {
                    key: value(1).unwrap_or_default(),
                    end: value(10),
                    data: find(element, 2).map(<[u8]>::to_vec),
                    is_end,
                });
            }
        }
    }

    /// The canonical form, with the name unless it was made up.
    pub(super) fn canonical(&self, name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        record(&mut out, name.as_bytes());
        record(&mut out, &self.definition);
        let mut digests = self.digests.clone();
        digests.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        for digest in &digests {
            out.extend(digest.as_bytes());
        }
        record(&mut out, self.unread.as_deref().unwrap_or_default().as_bytes());
        out
    }

    /// What it is, for a list.
    pub(super) fn line(&self) -> String {
        let word = if self.flags & MAP == 0 { "set" } else { "map" };
        match (&self.unread, self.moves()) {
            (Some(why), _) => format!("{word}, elements not read: {why}"),
            (None, true) => format!("{word}, its elements move"),
            (None, false) => format!("{word}, {} elements", self.count),
        }
    }

    /// The elements of a set without a name, in braces.
    pub(super) fn braces(
        &self,
        key: impl Fn(&[u8]) -> String,
        data: impl Fn(&[u8]) -> Option<String>,
    ) -> String {
        let mut elements = self.shown.clone();
        elements.sort_by(|a, b| a.key.cmp(&b.key).then(b.is_end.cmp(&a.is_end)));
        let mut words = Vec::new();
        let mut elements = elements.iter().peekable();
        while let Some(element) = elements.next() {
            if element.is_end {
                continue;
            }
            let mut word = key(&element.key);
            let next = elements.peek().filter(|it| self.flags & INTERVAL != 0 && it.is_end);
            let last = element.end.clone().or_else(|| next.map(|it| one_less(&it.key)));
            if let Some(last) = last.filter(|it| *it != element.key) {
                word = format!("{word}-{}", key(&last));
            }
            if let Some(data) = element.data.as_deref().and_then(&data) {
                word = format!("{word} : {data}");
            }
            words.push(word);
        }
        let is_cut = words.len() > MAX_SHOWN || self.digests.len() > self.shown.len();
        words.truncate(MAX_SHOWN);
        if is_cut {
            words.push("...".to_owned());
        }
        format!("{{ {} }}", words.join(", "))
    }
}

/// The big-endian number before another one of the same length.
fn one_less(key: &[u8]) -> Vec<u8> {
    let mut key = key.to_vec();
    for byte in key.iter_mut().rev() {
        let (less, borrows) = byte.overflowing_sub(1);
        *byte = less;
        if !borrows {
            break;
        }
    }
    key
}

/// Name and table of `NFT_MSG_NEWSET` or `NFT_MSG_NEWSETELEM`.
pub(super) fn place(message: &[u8]) -> Option<(String, String)> {
    Some((text(message, 1)?, text(message, 2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_before_borrows() {
        assert_eq!(one_less(&[1, 0]), [0, 255]);
        assert_eq!(one_less(&[0, 0]), [255, 255]);
        assert!(one_less(&[]).is_empty());
    }
}
