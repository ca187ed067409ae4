//! Tests of headers.

use proptest::prelude::*;

use super::super::written::{Value, header, number, package, text, texts};
use super::*;

fn with<T>(bytes: &Vec<u8>, ask: impl FnOnce(&mut Header<'_, '_>) -> T) -> io::Result<T> {
    let mut blob = Blob::new();
    blob.push(bytes, 0, super::super::blob::size(bytes));
    Header::read(&mut blob).map(|mut it| ask(&mut it))
}

#[test]
fn what_was_added_counts_instead_of_what_was_brought() {
    let bytes = header(
        &[(1000, text("old")), (1117, texts(&["a", "b"]))],
        &[(1008, number(7)), (1000, text("new")), (268, Value::Binary(vec![1, 2, 3]))],
    );
    with(&bytes, |header| {
        assert_eq!(header.text(Tag::NAME).unwrap().as_deref(), Some("new"));
        assert_eq!(header.number(Tag::INSTALLTIME).unwrap(), Some(7));
        assert_eq!(header.signature(Tag::RSAHEADER).unwrap(), Some(vec![1, 2, 3]));
        assert_eq!(header.list(Tag::BASENAMES).unwrap(), Some(b"a\0b\0".to_vec()));
        assert_eq!(header.text(Tag::BASENAMES).unwrap().as_deref(), Some("a"));
        assert_eq!(header.text(Tag::VENDOR).unwrap(), None);
        assert!(header.number(Tag::NAME).is_err() && header.list(Tag::NAME).is_err());
    })
    .unwrap();
}

#[test]
fn long_lists_are_read_whole_and_no_further_than_their_bound() {
    let names: Vec<String> = (0..40_000).map(|it| format!("file-{it}")).collect();
    let whole: Vec<u8> = names.iter().flat_map(|it| [it.as_bytes(), &[0]].concat()).collect();
    let many = header(&[(1117, Value::Texts(names)), (1118, Value::Texts(vec!["x".repeat(MAX_LIST)]))], &[]);
    with(&many, |header| {
        assert_eq!(header.list(Tag::BASENAMES).unwrap(), Some(whole));
        assert!(header.list(Tag::DIRNAMES).is_err());
    })
    .unwrap();
}

#[test]
fn text_that_is_not_utf_8_is_shown_as_far_as_it_is() {
    let mut bytes = header(&[(1000, text("caf?"))], &[]);
    let place = bytes.windows(4).position(|it| it == b"caf?").unwrap();
    bytes[place + 3] = 0xe9;
    let name = with(&bytes, |header| header.text(Tag::NAME).unwrap()).unwrap();
    assert_eq!(name.as_deref(), Some("caf\u{fffd}"));
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let whole = package("one", 9);
    for end in 0..whole.len() {
        assert!(with(&whole[..end].to_vec(), |_| ()).is_err(), "{end}");
    }
    for (counts, offset) in [([0, 0], 0), ([0x1_0000, 0], 0), ([u32::MAX, u32::MAX], 0), ([1, 0], 4)] {
        let mut bytes = whole.clone();
        bytes[0..4].copy_from_slice(&counts[0].to_be_bytes());
        bytes[4..8].copy_from_slice(&(counts[1] + offset).to_be_bytes());
        assert!(with(&bytes, |_| ()).is_err(), "{counts:?}");
    }
}

#[test]
fn values_outside_the_header_or_without_an_end_are_refused() {
    for (tag, kind, offset, count) in [
        (1000_u32, 6_u32, 1_000_000_u32, 1_u32),
        (1000, 6, u32::MAX, 1),
        (1008, 4, 10_000, 1),
        (1008, 4, 0, 0),
        (1116, 4, 0, u32::MAX),
        (1117, 8, 0, u32::MAX),
        (268, 7, 0, u32::MAX),
    ] {
        let mut bytes = [1_u32, 4].iter().flat_map(|it| it.to_be_bytes()).collect::<Vec<u8>>();
        bytes.extend([tag, kind, offset, count].iter().flat_map(|it| it.to_be_bytes()));
        bytes.extend(b"text");
        let refused = with(&bytes, |header| match tag {
            1000 => header.text(Tag::NAME).is_err(),
            1008 => header.number(Tag::INSTALLTIME).is_err(),
            1116 => header.numbers(Tag::DIRINDEXES).is_err(),
            1117 => header.list(Tag::BASENAMES).is_err(),
            _ => header.signature(Tag::RSAHEADER).is_err(),
        });
        assert!(refused.unwrap(), "{tag} {offset} {count}");
    }
}

proptest! {
    #[test]
    fn no_damage_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = package("one", 300);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = with(&bytes, |header| {
            for tag in Tag::ALL {
                drop((header.text(tag), header.number(tag), header.list(tag), header.numbers(tag)));
                drop((header.bytes(tag), header.signature(tag), header.first_text(tag)));
            }
        });
    }
}
