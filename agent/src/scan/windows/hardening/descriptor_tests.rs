use super::made::{descriptor, sid};
use super::*;
use proptest::prelude::*;

fn everyone() -> Vec<u8> {
    sid(1, &[0])
}

#[test]
fn owner_and_entries_are_read_in_order() {
    let bytes = descriptor(&[(1, 0, 4, sid(5, &[7])), (0, 3, 0x1f, sid(5, &[32, 544]))]);
    let found = Descriptor::parse(&bytes).unwrap();
    assert_eq!(found.owner.unwrap().name(), Some("Administrators"));
    let entries = found.entries.unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!((entries[0].effect, entries[0].mask, entries[0].sid.as_str()), (Effect::Deny, 4, "S-1-5-7"));
    assert_eq!(entries[1].sid.to_string(), "Administrators");
}

#[test]
fn no_list_is_everybody_and_an_empty_list_is_nobody() {
    let mut without = descriptor(&[]);
    without[2] = 0;
    let without = Descriptor::parse(&without).unwrap();
    assert_eq!((without.entries.as_ref(), without.rights_of(|_| true)), (None, u32::MAX));
    assert_eq!(without.open_to(FILE_WRITE), ["everybody (no access list)"]);
    let empty = Descriptor::parse(&descriptor(&[])).unwrap();
    assert_eq!(empty.rights_of(|_| true), 0);
    assert!(empty.open_to(u32::MAX).is_empty());
}

#[test]
fn what_is_denied_first_is_not_given_later_and_what_is_for_others_does_not_count() {
    let list = [(1, 0, 2, everyone()), (0, 0, 3, everyone()), (0, INHERIT_ONLY, 0x40, everyone())];
    let found = Descriptor::parse(&descriptor(&list)).unwrap();
    assert_eq!(found.rights_of(|it| it.as_str() == "S-1-1-0"), 1);
    assert!(found.open_to(FILE_WRITE).is_empty());
    let found = Descriptor::parse(&descriptor(&[(0, 0, 2, everyone())])).unwrap();
    assert_eq!(found.open_to(FILE_WRITE), ["Everyone"]);
}

#[test]
fn an_entry_about_one_kind_of_object_has_its_identifier_behind_it() {
    let mut with_object = 1_u32.to_le_bytes().to_vec();
    with_object.extend([7; 16]);
    with_object.extend(everyone());
    let found = entry(5, 0, &[&8_u32.to_le_bytes()[..], &with_object].concat()).unwrap().unwrap();
    assert_eq!((found.effect, found.mask, found.sid.as_str()), (Effect::Allow, 8, "S-1-1-0"));
}

#[test]
fn what_is_cut_off_is_an_error_and_never_a_shorter_list() {
    let whole = descriptor(&[(0, 0, 1, everyone()), (0, 0, 2, sid(5, &[11]))]);
    for end in 0..whole.len() {
        assert!(Descriptor::parse(&whole[..end]).is_err(), "{end}");
    }
    let mut more = whole.clone();
    let list = 20 + sid(5, &[32, 544]).len();
    more[list + 4] = 9;
    assert_eq!(Descriptor::parse(&more), Err(InvalidDescriptor::Cut), "more entries than bytes");
    let mut zero = whole;
    zero[list + LIST_HEADER + 2] = 0;
    assert!(Descriptor::parse(&zero).is_err(), "an entry of no size");
}

#[test]
fn other_forms_are_refused() {
    let mut absolute = descriptor(&[]);
    absolute[3] = 0;
    assert_eq!(Descriptor::parse(&absolute), Err(InvalidDescriptor::Form));
    let mut newer = descriptor(&[]);
    newer[0] = 2;
    assert_eq!(Descriptor::parse(&newer), Err(InvalidDescriptor::Form));
    assert_eq!(Descriptor::parse(&vec![1; MAX_BYTES + 1]), Err(InvalidDescriptor::Long));
    let mut header = descriptor(&[]);
    header[4] = 4;
    assert_eq!(Descriptor::parse(&header), Err(InvalidDescriptor::Cut), "an owner within the header");
    assert_eq!(Sid::parse(&[1, 16, 0, 0, 0, 0, 0, 5]), Err(InvalidDescriptor::Sid));
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Descriptor::parse(&bytes);
    }

    #[test]
    fn a_damaged_descriptor_is_an_answer(at in 0_usize..60, byte in any::<u8>()) {
        let mut bytes = descriptor(&[(0, 0, 1, everyone()), (5, 0, 2, sid(5, &[11]))]);
        if let Some(it) = bytes.get_mut(at) {
            *it = byte;
        }
        if let Ok(found) = Descriptor::parse(&bytes) {
            let _ = found.open_to(FILE_WRITE);
        }
    }
}
