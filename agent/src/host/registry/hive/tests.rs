use super::marvin::Marvin;
use super::written::{List, WRITTEN, hive, key, log, old_log, opened, place_of, put, seal, wide};
use super::*;
use crate::host::registry::data::time;
use proptest::prelude::*;
use std::fs;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

fn open(files: &[(&str, &[u8])]) -> (TempDir, io::Result<Hive>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let hive = Hive::open(&HostRoot::at(dir.path()), "hive");
    (dir, hive)
}

fn whole(bytes: &[u8]) -> (TempDir, Hive) {
    let (dir, hive) = open(&[("hive", bytes)]);
    (dir, hive.unwrap())
}

fn found(hive: &mut Hive, path: &str) -> Key {
    match hive.find(&path.split('\\').filter(|it| !it.is_empty()).collect::<Vec<_>>()).unwrap() {
        Found::Key(key) => key,
        Found::Link(target, _) => panic!("a link to {target}"),
    }
}

fn keys(hive: &mut Hive, path: &str) -> Vec<String> {
    let key = found(hive, path);
    hive.keys(&key).unwrap()
}

fn value(hive: &mut Hive, path: &str, name: &str) -> io::Result<Data> {
    let key = found(hive, path);
    hive.value(&key, name)
}

fn marvin(bytes: &[u8]) -> u64 {
    let mut hash = Marvin::new();
    hash.add(bytes);
    hash.end(&[])
}

/// What a walk over everything meets first that is broken.
fn fault(bytes: &[u8]) -> String {
    let (_dir, hive) = open(&[("hive", bytes)]);
    let error = match hive {
        Ok(mut hive) => walk(&mut hive).unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    error.to_string()
}

/// Reads everything, but for what is deeper than a path is ever asked for.
fn walk(hive: &mut Hive) -> io::Result<usize> {
    let mut paths = vec![Vec::<String>::new()];
    let mut count = 0;
    while let Some(path) = paths.pop() {
        count += 1;
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let Found::Key(key) = hive.find(&parts)? else { continue };
        hive.values(&key)?;
        let below = hive.keys(&key)?;
        if path.len() < 4 && count < 200 {
            paths.extend(below.into_iter().map(|it| path.iter().cloned().chain([it]).collect()));
        }
    }
    Ok(count)
}

fn some() -> written::Key {
    let mut vendor = key("Vendor").text("Version", "4.1").text("", "default").number("Build", 17);
    for kind in [List::Lf, List::Li, List::Ri] {
        vendor = vendor.below(key(&format!("{kind:?}")).list(kind).below(key("One")).below(key("Two")));
    }
    key("ROOT")
        .below(vendor)
        .below(key("Überwachung").text("Zähler", "Prüfstand"))
        .below(key("監視").text("名", "値"))
}

#[test]
fn keys_are_found_by_every_kind_of_list_and_in_any_case() {
    let (_dir, mut hive) = whole(&hive(&some()));
    assert_eq!(keys(&mut hive, ""), ["Vendor", "Überwachung", "監視"]);
    for list in ["Lf", "Li", "Ri"] {
        assert_eq!(keys(&mut hive, &format!("VENDOR\\{list}")), ["One", "Two"]);
        assert_eq!(found(&mut hive, &format!("vendor\\{list}\\TWO")).name, "Two");
    }
    assert_eq!(value(&mut hive, "ÜBERWACHUNG", "zÄHLER").unwrap(), Data::Text("Prüfstand".into()));
    assert_eq!(value(&mut hive, "監視", "名").unwrap(), Data::Text("値".into()));
    assert_eq!(value(&mut hive, "vendor", "build").unwrap(), Data::Number(17));
    assert_eq!(value(&mut hive, "vendor", "").unwrap(), Data::Text("default".into()));
    assert_eq!(value(&mut hive, "vendor", "nothing").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(hive.find(&["vendor", "x", "y"]).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(hive.gap(), None);
}

#[test]
fn a_key_is_found_whatever_was_found_before_it() {
    let (_dir, mut hive) = whole(&hive(&some()));
    for path in ["Vendor\\Lf\\One", "vendor\\LF", "VENDOR\\Li\\two", "", "Vendor\\Ri\\One", "Überwachung"] {
        let last = path.rsplit('\\').next().filter(|it| !it.is_empty()).unwrap_or("ROOT");
        assert!(same(&found(&mut hive, path).name, last), "{path}");
        assert!(hive.find(&["Vendor", "Lf", "Three"]).is_err());
    }
}

#[test]
fn the_first_letters_of_a_list_pass_over_other_keys_alone() {
    for (letters, name, is_other) in
        [(*b"Vend", "vendor", false), (*b"Vena", "Vendor", true), (*b"V\0\0\0", "Vendor", false)]
    {
        assert_eq!(cell::starts_otherwise(letters, name), is_other, "{name}");
    }
    assert!(!cell::starts_otherwise([0xDC, b'b', b'e', b'r'], "xber"), "no letter of ASCII");
    assert!(!cell::starts_otherwise(*b"abcd", "ab"), "the name is compared afterwards");
}

#[test]
fn a_key_says_when_it_was_written() {
    let (_dir, mut hive) = whole(&hive(&some()));
    let written = found(&mut hive, "Vendor").written;
    assert_eq!(written, WRITTEN);
    assert_eq!(time(written), SystemTime::UNIX_EPOCH + Duration::from_hours(473_352));
    assert!(time(0) < SystemTime::UNIX_EPOCH && time(u64::MAX) > SystemTime::UNIX_EPOCH);
}

#[test]
fn values_are_read_wherever_their_data_stands() {
    let large: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    let root = key("ROOT")
        .value("none", 0, &[])
        .value("two", 3, &[1, 2])
        .value("five", 3, &[1, 2, 3, 4, 5])
        .value("wide", 11, &(1_u64 << 40).to_le_bytes())
        .value("large", 3, &large)
        .value("edge", 3, &large[..16_344]);
    let (_dir, mut hive) = whole(&hive(&root));
    let bytes = |bytes: &[u8], kind| Data::Bytes { kind, bytes: bytes.to_vec() };
    for (name, data) in [
        ("none", bytes(&[], 0)),
        ("two", bytes(&[1, 2], 3)),
        ("five", bytes(&[1, 2, 3, 4, 5], 3)),
        ("wide", Data::Wide(1 << 40)),
        ("large", bytes(&large, 3)),
        ("edge", bytes(&large[..16_344], 3)),
    ] {
        assert_eq!(value(&mut hive, "", name).unwrap(), data, "{name}");
    }
    let root = found(&mut hive, "");
    assert_eq!(hive.values(&root).unwrap().len(), 6);
}

#[test]
fn what_a_hive_holds_of_its_file_is_bounded() {
    let many = (0..4_500).fold(key("ROOT"), |all, at| all.below(key(&format!("Key {at}")).text("a", "b")));
    let bytes = hive(&many);
    assert!(bytes.len() > 512 * 1024);
    let (_dir, mut hive) = whole(&bytes);
    let root = found(&mut hive, "");
    for name in hive.keys(&root).unwrap() {
        assert_eq!(value(&mut hive, &name, "a").unwrap(), Data::Text("b".into()));
    }
    assert!(hive.pages.held() <= 256 * 1024, "{}", hive.pages.held());
}

#[test]
fn a_link_is_said_with_what_led_to_it() {
    let target = r"\REGISTRY\MACHINE\SOFTWARE\Classes";
    let (_dir, mut hive) = whole(&hive(&key("ROOT").below(key("Node").below(key("Classes").link(target)))));
    let Found::Link(said, crossed) = hive.find(&["Node", "classes", "CLSID"]).unwrap() else {
        panic!("no link")
    };
    assert_eq!((said.as_str(), crossed), (target, 2));
}

#[test]
fn what_is_no_hive_is_refused() {
    let sound = hive(&some());
    assert_eq!(fault(b"regf"), "no hive of a registry");
    assert_eq!(fault(&[0; 8192]), "no hive of a registry");
    let mut newer = sound.clone();
    put(&mut newer, 24, 7);
    assert_eq!(fault(&newer), "a hive of version 1.7, which is not known");
    assert!(fault(&sound[..4096]).contains("behind the end of the hive"));
}

#[test]
fn damage_is_an_error_where_it_is_met() {
    let sound = hive(&some());
    let damaged = |name: &str, field: usize, word: u32| {
        let mut bytes = sound.clone();
        let at = place_of(&bytes, name) + field;
        put(&mut bytes, at, word);
        fault(&bytes)
    };
    let own = u32::try_from(place_of(&sound, "Vendor") - 4 - 4096).unwrap();
    for (field, word, why) in [
        (20, 4, "4 keys below \"Vendor\", but 3 are listed"),
        (20, 2, "more keys are listed than there are said to be"),
        (20, u32::MAX, "more than 131072"),
        (28, 0xFFFF_FFF0, "behind the end of the hive"),
        (28, own, "is no list of keys"),
        (28, own + 1, "is no cell in use, or too short"),
        (36, 65_537, "65537 values in \"Vendor\", more than 65536"),
        (36, 300, "is no cell in use, or too short"),
        (40, own, "behind the end of the hive"),
        (72, 0xFFFF, "is too long"),
    ] {
        let said = damaged("Vendor", field, word);
        assert!(said.contains(why), "{field}: {said}");
    }
    assert!(damaged("One", 0, u32::from_le_bytes(*b"xk\0\0")).contains("is no key"));
    let mut freed = sound.clone();
    let cell = place_of(&freed, "Vendor") - 4;
    put(&mut freed, cell, 96);
    assert!(fault(&freed).contains("is no cell in use"));
    put(&mut freed, cell, 0x8000_0000);
    assert!(fault(&freed).contains("goes beyond the end of the hive"));
}

#[test]
fn a_key_that_is_its_own_ancestor_costs_what_the_path_costs() {
    let mut bytes = hive(&key("ROOT").below(key("Loop").below(key("Inner"))));
    // The list of "Loop" names "Loop" itself.
    let own = u32::try_from(place_of(&bytes, "Loop") - 4 - 4096).unwrap();
    let inner = u32::try_from(place_of(&bytes, "Inner") - 4 - 4096).unwrap().to_le_bytes();
    let at = bytes.windows(8).position(|it| it.starts_with(b"lh\x01\0") && it.ends_with(&inner)).unwrap();
    put(&mut bytes, at + 4, own);
    let hash = "LOOP".bytes().fold(0_u32, |sum, it| sum.wrapping_mul(37).wrapping_add(u32::from(it)));
    put(&mut bytes, at + 8, hash);
    let (_dir, mut hive) = whole(&bytes);
    let path = ["Loop"; 512];
    assert!(matches!(hive.find(&path).unwrap(), Found::Key(key) if key.name == "Loop"));
}

#[test]
fn values_over_their_bounds_are_errors() {
    let fat = (0..5).fold(key("ROOT"), |all, at| all.value(&format!("{at}"), 3, &vec![7; 1_000_000]));
    assert_eq!(fault(&hive(&fat)), "more than 4194304 bytes of names and values in one key");
    let one = key("ROOT").value("one", 3, &vec![7; 1_048_577]);
    assert_eq!(fault(&hive(&one)), "a value of 1048577 bytes, more than 1048576");
}

/// A hive that was not closed, in which "Vendor" has another name in the sectors of its log.
fn half_written() -> (Vec<u8>, u32, Vec<u8>) {
    let mut bytes = hive(&some());
    let at = place_of(&bytes, "Vendor");
    let sector = at / 512 * 512;
    let mut newer = bytes[sector..sector + 512].to_vec();
    newer[at - sector + 76..at - sector + 82].copy_from_slice(b"VENDOX");
    opened(&mut bytes, 9, 8);
    (bytes, u32::try_from(sector - 4096).unwrap(), newer)
}

fn first_key(files: &[(&str, &[u8])]) -> (String, Option<String>) {
    let (_dir, hive) = open(files);
    let mut hive = hive.unwrap();
    let name = keys(&mut hive, "").remove(0);
    (name, hive.gap().map(str::to_owned))
}

#[test]
fn a_hive_that_was_not_closed_is_completed_by_its_logs() {
    let (bytes, at, newer) = half_written();
    let between = newer.iter().map(|it| if *it == b'X' { b'Y' } else { *it }).collect::<Vec<u8>>();
    let stale = log(&bytes, 5, &[vec![(at, between.clone())]], marvin);
    let one = log(&bytes, 8, &[vec![(at, between)]], marvin);
    let two = log(&bytes, 9, &[vec![(at, newer.clone())]], marvin);
    let done = |name: &str| (name.to_owned(), None);
    assert_eq!(first_key(&[("hive", &bytes), ("hive.LOG1", &one), ("hive.LOG2", &two)]), done("VENDOX"));
    assert_eq!(first_key(&[("hive", &bytes), ("hive.LOG1", &two), ("hive.LOG2", &one)]), done("VENDOX"));
    assert_eq!(first_key(&[("hive", &bytes), ("hive.LOG1", &two), ("hive.LOG2", &stale)]), done("VENDOX"));
    let mut cut = two.clone();
    let last = cut.len() - 1;
    cut[last] ^= 1;
    assert_eq!(first_key(&[("hive", &bytes), ("hive.LOG1", &one), ("hive.LOG2", &cut)]), done("VENDOY"));
    let (name, gap) = first_key(&[("hive", &bytes), ("hive.LOG1", &stale)]);
    assert_eq!(name, "Vendor");
    assert!(gap.unwrap().ends_with("no log beside it continues it"));
    // A closed hive does not ask.
    let mut closed = bytes.clone();
    opened(&mut closed, 9, 9);
    assert_eq!(first_key(&[("hive", &closed), ("hive.LOG1", &one)]), done("Vendor"));
}

#[test]
fn a_log_may_make_a_hive_longer() {
    let bytes = hive(&key("ROOT").below(key("Vendor")));
    let longer = hive(&key("ROOT").below(key("Vendor")).text("large", &"x".repeat(5_000)));
    let mut short = bytes.clone();
    let root = u32::from_le_bytes(longer[36..40].try_into().unwrap());
    put(&mut short, 36, root);
    opened(&mut short, 2, 1);
    let log = log(&short, 1, &[vec![(0, longer[4096..].to_vec())]], marvin);
    let (_dir, hive) = open(&[("hive", &short), ("hive.LOG1", &log)]);
    let mut hive = hive.unwrap();
    assert_eq!(value(&mut hive, "", "large").unwrap(), Data::Text("x".repeat(5_000)));
}

#[test]
fn a_log_of_an_older_windows_is_read_too() {
    let (bytes, at, newer) = half_written();
    let sector = usize::try_from(at).unwrap() / 512;
    let log = old_log(&bytes, 8, &[(sector, newer.clone().try_into().unwrap())]);
    assert_eq!(first_key(&[("hive", &bytes), ("hive.LOG1", &log)]), ("VENDOX".to_owned(), None));
    let (name, gap) = first_key(&[("hive", &bytes), ("hive.LOG", &log[..log.len() - 1])]);
    assert_eq!((name.as_str(), gap.unwrap().ends_with("a log is cut off")), ("Vendor", true));
}

#[test]
fn a_hive_without_its_log_is_read_and_says_what_may_be_missing() {
    let (mut bytes, ..) = half_written();
    let (name, gap) = first_key(&[("hive", &bytes)]);
    assert_eq!(name, "Vendor");
    let why = "hive was not closed when it was copied, and its last changes may be missing: there is no log beside it";
    assert_eq!(gap.as_deref(), Some(why));
    bytes[508] ^= 1;
    assert!(first_key(&[("hive", &bytes)]).1.unwrap().ends_with("the checksum of its first block is wrong"));
}

#[test]
fn a_value_may_be_text_of_any_kind_of_end() {
    let root = key("ROOT").value("a", 1, &wide("x")).value("b", 7, &wide("x\0y\0\0")).value("c", 4, &[1, 2]);
    let (_dir, mut hive) = whole(&hive(&root));
    assert_eq!(value(&mut hive, "", "a").unwrap(), Data::Text("x".into()));
    assert_eq!(value(&mut hive, "", "b").unwrap(), Data::List(vec!["x".into(), "y".into()]));
    assert_eq!(value(&mut hive, "", "c").unwrap(), Data::Bytes { kind: 4, bytes: vec![1, 2] });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_is_too_strange(places in prop::collection::vec((4096..8192_usize, any::<u8>()), 1..12), cut in 0..9000_usize) {
        let mut bytes = hive(&some());
        for (at, byte) in places {
            bytes[at] = byte;
        }
        bytes.truncate(cut.max(4600));
        seal(&mut bytes);
        let (_dir, hive) = open(&[("hive", &bytes)]);
        if let Ok(mut hive) = hive {
            let _ = walk(&mut hive);
        }
    }
}
