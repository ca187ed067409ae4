//! Reading advisories: our own documents, real ones where they lie beside the workspace, and broken ones.

use std::fs;
use std::path::{Path, PathBuf};

use super::Knowledge;
use super::advisory::{Stated, Versions};
use super::csaf::{InvalidCsaf, read};
use super::import::{self, Content, ImportError, MAX_FILE};
use super::json::InvalidJson;
use super::supersede::{Standing, standing};

const MIXER: &[u8] = include_bytes!("../../fixtures/csaf/exc-26-001.json");
const SCALES: &[u8] = include_bytes!("../../fixtures/csaf/exc-26-002.json");

const GATEWAY: &[u8] = include_bytes!("../../fixtures/csaf/exc-26-003.json");
const CONVERTED: &[u8] = include_bytes!("../../fixtures/csaf/exc-26-001-converted.json");

pub(super) fn real_files() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/csaf");
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/csaf");
    [dir, beside].into_iter().find(|it| it.join("INDEX.tsv").is_file())
}

#[test]
fn real_advisories_import_with_the_entries_that_were_counted() {
    let Some(dir) = real_files() else {
        println!("no real advisories beside this workspace");
        return;
    };
    let listing = fs::read_to_string(dir.join("INDEX.tsv")).unwrap();
    let mut files = 0;
    for line in listing.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (id, file, products, vulnerabilities) = (columns[0], columns[1], columns[6], columns[8]);
        let (content, skipped) =
            import::read(file, &fs::read(dir.join(file)).unwrap(), &Knowledge::default()).unwrap();
        let Content::Advisory(advisory) = content else { panic!("{file} is an advisory") };
        assert_eq!(advisory.revision.id, id);
        assert_eq!(advisory.entries.len().to_string(), products, "{file}");
        assert_eq!(advisory.vulnerabilities.len().to_string(), vulnerabilities, "{file}");
        assert!(skipped.is_empty(), "{file}: {skipped:?}");
        assert!(advisory.revision.released_ms.is_some(), "{file}");
        assert!(advisory.entries.iter().all(|it| !it.product.is_empty() && !it.vendor.is_empty()), "{file}");
        assert!(advisory.vulnerabilities.iter().all(|it| !it.statements.is_empty()), "{file}");
        files += 1;
    }
    assert_eq!(files, 60);
}

#[test]
fn sloppy_parts_are_left_out_by_name_and_the_rest_is_taken() {
    let (advisory, skipped) = read(SCALES).unwrap();
    assert_eq!(advisory.entries[0].vendor, "Gerätebau Müller GmbH");
    assert_eq!(advisory.entries[1].conditions, ["service_pack SP1"]);
    assert_eq!(advisory.entries[2].versions, Versions::InName);
    assert_eq!(advisory.entries[2].model_numbers, ["WT-3"]);
    assert_eq!(advisory.entries[2].purl.as_deref(), Some("pkg:generic/waage@3"));
    assert_eq!(
        advisory.entries[3].conditions,
        ["together with Waage Terminal 3 only in the product's full name"]
    );
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    assert!(skipped[0].contains("`C2` combines products that are not there"), "{skipped:?}");
    assert!(skipped[1].contains("known_affected names the unknown product `NOWHERE`"), "{skipped:?}");
    assert_eq!(advisory.vulnerabilities[1].id, "VDE-1");
    assert_eq!(
        advisory.vulnerabilities[1].statements,
        [(0, Stated::NotAffected), (2, Stated::UnderInvestigation)]
    );
    assert_eq!(advisory.vulnerabilities[0].severity.as_deref(), Some("8.1 HIGH"));
}

#[test]
fn version_2_1_is_read_as_well() {
    let (advisory, skipped) = read(GATEWAY).unwrap();
    assert_eq!(advisory.entries[0].purl.as_deref(), Some("pkg:generic/mixer-gateway"));
    assert_eq!(advisory.entries[3].id, "P1");
    assert_eq!(advisory.entries[3].conditions, ["together with Cabinet A"]);
    let vulnerability = &advisory.vulnerabilities[0];
    assert_eq!(vulnerability.id, "EX-7");
    assert_eq!(
        vulnerability.statements,
        [(0, Stated::Affected), (3, Stated::UnderInvestigation)],
        "unknown is no statement of health, and recommended none at all"
    );
    assert_eq!(vulnerability.severity.as_deref(), Some("9.3 CRITICAL"));
    assert!(vulnerability.vector.as_deref().unwrap().starts_with("CVSS:4.0/"));
    let fixes: Vec<_> =
        vulnerability.fixes.iter().map(|it| (it.category.as_str(), it.text.as_str())).collect();
    assert_eq!(
        fixes,
        [
            ("vendor_fix", "Update to 2.4.0 or later. https://example.invalid/240"),
            ("recommended", "Mixer Gateway 2.4.0")
        ]
    );
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    assert!(skipped[0].contains("`P2` combines products that are not there"), "{skipped:?}");
    assert!(skipped[1].starts_with("the published score 7 is not the one of its vector"), "{skipped:?}");
}

#[test]
fn the_vendors_own_document_outranks_what_was_made_of_it() {
    let (own, _) = read(MIXER).unwrap();
    let (converted, _) = read(CONVERTED).unwrap();
    assert_eq!((own.original.as_deref(), converted.original.as_deref()), (None, Some("EXC-26-001")));
    assert_eq!(standing(&own, &converted), Standing::Newer, "whatever their versions are");
    assert_eq!(standing(&converted, &own), Standing::Outranked);
    assert_eq!(standing(&converted, &converted), Standing::Equal);
    let (other, _) = read(GATEWAY).unwrap();
    assert_eq!(standing(&other, &converted), Standing::Unrelated);
}

#[test]
fn real_scores_are_those_of_their_vectors() {
    let Some(dir) = real_files() else { return };
    for file in fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()) {
        if file.extension().is_some_and(|it| it == "json") {
            let (advisory, skipped) = read(&fs::read(&file).unwrap()).unwrap();
            assert!(skipped.is_empty(), "{}: {skipped:?}", file.display());
            for it in advisory.vulnerabilities.iter().filter(|it| it.severity.is_some()) {
                assert!(it.vector.is_some(), "{}: {}", file.display(), it.id);
            }
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_as_cut_off() {
    for tenth in 1..10 {
        let error =
            import::read("a.json", &MIXER[..MIXER.len() * tenth / 10], &Knowledge::default()).unwrap_err();
        assert!(matches!(error, ImportError::Json(InvalidJson::Truncated { .. })), "{tenth}/10: {error}");
    }
}

#[test]
fn no_single_damaged_byte_panics() {
    for at in (0..MIXER.len()).step_by(7) {
        let mut damaged = MIXER.to_vec();
        damaged[at] ^= 0x15;
        let _ = import::read("a.json", &damaged, &Knowledge::default());
    }
}

#[test]
fn ten_levels_too_many_are_refused_and_deep_trees_within_the_limit_are_read() {
    let nested = |levels: usize| {
        let mut branch =
            r#"{"category":"product_version","name":"1","product":{"name":"x","product_id":"P"}}"#.to_owned();
        for _ in 0..levels {
            branch = format!(r#"{{"category":"product_family","name":"f","branches":[{branch}]}}"#);
        }
        format!(
            r#"{{"document":{{"csaf_version":"2.0","tracking":{{"id":"A","version":"1"}}}},"product_tree":{{"branches":[{branch}]}}}}"#
        )
    };
    // Each level of branches is an object in a list; what is around the innermost one takes five.
    let (advisory, _) = read(nested(29).as_bytes()).unwrap();
    assert_eq!(advisory.entries.len(), 1);
    let error = read(nested(34).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "it is nested more than 64 levels");
}

#[test]
fn a_product_id_that_is_given_twice_refuses_the_file() {
    let doubled = String::from_utf8(MIXER.to_vec()).unwrap().replace("\"P2\"", "\"P1\"");
    assert_eq!(read(doubled.as_bytes()).unwrap_err(), InvalidCsaf::DuplicateProduct("P1".into()));
}

#[test]
fn each_bad_file_is_refused_in_one_sentence() {
    let refused =
        |file: &str, bytes: &[u8]| import::read(file, bytes, &Knowledge::default()).unwrap_err().to_string();
    assert_eq!(refused("a.json", b""), "it is empty");
    assert_eq!(refused("a.json", b"<html></html>"), "it is not JSON, although its name says so");
    assert!(refused("a.json", b"{\"document\": nonsense}").starts_with("it is not JSON: "));
    assert!(refused("a.json", b"{\"a\": 1}").contains("no document.csaf_version"));
    assert!(refused("a.json", b"[1, 2]").contains("no document.csaf_version"));
    assert!(
        refused(
            "a.json",
            b"{\"document\": {\"csaf_version\": \"9\", \"tracking\": {\"id\": \"A\", \"version\": \"1\"}}}"
        )
        .starts_with("it is CSAF 9")
    );
    assert!(refused("a.bin", b"\x7fELF\xff").starts_with("it is no kind of file"));
    assert!(refused("a.csv", b"\xff\xfei\0d\0").contains("UTF-16"));
    assert!(refused("a.csv", b"id,product\n\xff").contains("not UTF-8"));
    assert_eq!(refused("a.json", &vec![b' '; MAX_FILE + 1]), "it is larger than 32 MiB");
    assert_eq!(refused("a.json", &vec![b'{'; 100_000_000]), "it is larger than 32 MiB");
}
