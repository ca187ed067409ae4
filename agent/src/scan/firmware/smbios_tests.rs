use super::*;
use proptest::prelude::*;

/// A structure as firmware lays it out; `fields` are those after the header.
pub(crate) fn structure(kind: u8, handle: u16, fields: &[u8], strings: &[&str]) -> Vec<u8> {
    let mut bytes = vec![kind, u8::try_from(fields.len() + HEADER).unwrap()];
    bytes.extend(handle.to_le_bytes());
    bytes.extend(fields);
    for string in strings {
        bytes.extend(string.bytes());
        bytes.push(0);
    }
    bytes.extend(if strings.is_empty() { &[0, 0][..] } else { &[0] });
    bytes
}

fn sealed(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] = bytes.iter().fold(0_u8, |sum, it| sum.wrapping_sub(*it));
    bytes
}

/// An entry point of version 3 for tables of at most that length.
pub(crate) fn entry_3(length: usize) -> Vec<u8> {
    let mut bytes = b"_SM3_\0\x18\x03\x03\0\x01\0".to_vec();
    bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
    bytes.extend(0xe_0000_u64.to_le_bytes());
    sealed(bytes, 5)
}

/// An entry point of version 2.8.
pub(crate) fn entry_2(length: usize, count: u16) -> Vec<u8> {
    let mut inner = b"_DMI_\0".to_vec();
    inner.extend(u16::try_from(length).unwrap().to_le_bytes());
    inner.extend(0xe_0000_u32.to_le_bytes());
    inner.extend(count.to_le_bytes());
    inner.push(0x28);
    let mut bytes = b"_SM_\0\x1f\x02\x08\xff\0\0\0\0\0\0\0".to_vec();
    bytes.extend(sealed(inner, 5));
    sealed(bytes, 4)
}

/// Tables behind the header of Windows, which says version 2.8.
pub(crate) fn handed(tables: &[u8]) -> Vec<u8> {
    let length = u32::try_from(tables.len()).unwrap().to_le_bytes();
    [&[0, 2, 8, 0], length.as_slice(), tables].concat()
}

fn entry(bytes: &[u8]) -> EntryPoint {
    EntryPoint::parse(bytes).unwrap()
}

fn tables() -> Vec<u8> {
    [
        structure(0, 0, &[1, 2, 0, 0, 3], &["Acme", "1.2", "01/02/2024"]),
        structure(1, 1, &[1, 9, 0], &["Acme"]),
        structure(126, 2, &[1], &["not in use"]),
        structure(2, 3, &[], &[]),
        structure(127, 4, &[], &[]),
    ]
    .concat()
}

#[test]
fn both_versions_of_the_entry_point_lead_to_the_tables() {
    let tables = tables();
    for bytes in [entry_3(64 * 1024), entry_2(tables.len(), 5), entry_2(tables.len(), 0)] {
        let found = Structures::read(entry(&bytes), &tables);
        assert_eq!(found.fault, None);
        let kinds: Vec<_> = found.all.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [0, 1, 2]);
        let bios = found.of(0).next().unwrap();
        assert_eq!(bios.text(4).as_deref(), Some("Acme"));
        assert_eq!(bios.text(8).as_deref(), Some("01/02/2024"));
    }
    let old = entry_2(tables.len(), 5)[16..].to_vec();
    assert_eq!(EntryPoint::parse(&old).unwrap().end, End::Count(5));
}

#[test]
fn an_entry_point_that_does_not_add_up_leads_nowhere() {
    for bytes in [entry_3(100), entry_2(100, 5)] {
        for end in 0..bytes.len() {
            assert!(EntryPoint::parse(&bytes[..end]).is_err());
        }
        let mut broken = bytes.clone();
        broken[12] ^= 1;
        assert!(EntryPoint::parse(&broken).is_err());
    }
    assert_eq!(EntryPoint::parse(b""), Err(InvalidEntryPoint::Anchor));
    assert_eq!(EntryPoint::parse(b"_SM_\0"), Err(InvalidEntryPoint::Cut));
}

#[test]
fn a_text_that_is_not_there_is_no_text() {
    let tables = tables();
    let found = Structures::read(entry(&entry_3(1_000)), &tables);
    let system = found.of(1).next().unwrap();
    assert_eq!(system.text(4).as_deref(), Some("Acme"));
    assert_eq!(system.text(5), None, "the ninth of one");
    assert_eq!(system.text(6), None, "none is meant");
    assert_eq!(system.text(200), None, "beyond the structure");
    assert_eq!(found.of(2).next().unwrap().text(4), None);
}

#[test]
fn a_cut_table_gives_what_is_whole_and_says_so() {
    let tables = tables();
    for end in 0..tables.len() - 6 {
        for bytes in [entry_3(64 * 1024), entry_2(tables.len(), 5)] {
            let found = Structures::read(entry(&bytes), &tables[..end]);
            assert!(found.fault.is_some(), "{end}");
            assert!(found.all.len() <= 4);
        }
    }
}

#[test]
fn an_old_table_that_is_read_to_its_length_is_whole_whatever_its_count_says() {
    let tables = [structure(0, 0, &[0], &[]), structure(1, 1, &[0], &[])].concat();
    for count in [1, 2, 3] {
        let found = Structures::read(entry(&entry_2(tables.len(), count)), &tables);
        assert_eq!((found.all.len(), found.fault), (usize::from(count).min(2), None));
    }
    let found = Structures::read(entry(&entry_3(tables.len())), &tables);
    assert_eq!(found.fault, Some("the tables end without an end marker"));
}

#[test]
fn what_windows_hands_out_is_whole_when_it_is_as_long_as_it_says() {
    let with_marker = handed(&tables());
    let without = handed(&[structure(0, 0, &[0], &[]), structure(1, 1, &[0], &[])].concat());
    for (bytes, count) in [(&with_marker, 3), (&without, 2)] {
        let it = Handed::parse(bytes).unwrap();
        assert_eq!(it.version, (2, 8));
        let found = Structures::read(it.entry, it.tables);
        assert_eq!((found.all.len(), found.fault), (count, None));
    }
    for end in 8..without.len() {
        let it = Handed::parse(&without[..end]).unwrap();
        assert!(Structures::read(it.entry, it.tables).fault.is_some(), "{end}");
    }
    for end in 0..8 {
        assert_eq!(Handed::parse(&without[..end]), Err(InvalidEntryPoint::Cut));
    }
}

#[test]
fn structures_without_length_and_without_number_end_the_walk() {
    let zeros = vec![0; 100_000];
    let found = Structures::read(entry(&entry_3(1 << 20)), &zeros);
    assert_eq!((found.all.len(), found.fault), (0, Some("a structure is cut off or broken")));
    let many = structure(3, 0, &[], &[]).repeat(MAX_STRUCTURES * 2);
    let found = Structures::read(entry(&entry_3(1 << 20)), &many);
    assert_eq!((found.all.len(), found.fault), (MAX_STRUCTURES, Some("the tables have too many structures")));
}

#[test]
fn texts_are_bounded_and_foreign_bytes_replaced() {
    let long = "x".repeat(4_000);
    let mut bytes = structure(0, 0, &[1, 2], &[&long, "a?"]);
    let at = bytes.len() - 3;
    bytes[at] = 0xff;
    bytes.extend(structure(127, 1, &[], &[]));
    let found = Structures::read(entry(&entry_3(1 << 16)), &bytes);
    assert_eq!(found.all[0].text(4).unwrap().len(), MAX_TEXT);
    assert_eq!(found.all[0].text(5).as_deref(), Some("a\u{fffd}"));
}

proptest! {
    #[test]
    fn any_bytes_are_walked_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        for entry_point in [entry_3(4_096), entry_2(4_096, 20)] {
            for structure in Structures::read(entry(&entry_point), &bytes).all {
                let _ = (structure.text(4), structure.dword(250), structure.bytes(200, 100));
            }
        }
        let _ = EntryPoint::parse(&bytes);
        if let Ok(it) = Handed::parse(&bytes) {
            let _ = Structures::read(it.entry, it.tables);
        }
    }
}
