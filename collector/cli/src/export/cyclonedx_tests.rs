use std::collections::BTreeSet;

use holdpoint_common::proto::v1 as pb;
use holdpoint_common::section::Rows;

use super::*;

fn content<R: holdpoint_common::row::Row>(status: SectionStatus, rows: &[R]) -> SectionContent {
    let encoded = Rows::encode(rows);
    SectionContent {
        kind: R::KIND.into(),
        status: status.into(),
        digest: encoded.digest().to_vec(),
        rows: encoded.as_slice().to_vec(),
        ..SectionContent::default()
    }
}

fn found(status: SectionStatus) -> GetAssetResponse {
    let row = |name: &str, source: &str| SoftwareRow {
        name: name.into(),
        source: source.into(),
        version: Some("1.0".into()),
        purl: (source == "dpkg").then(|| format!("pkg:deb/debian/{name}@1.0")),
        publisher: Some("Somebody".into()),
        ..SoftwareRow::default()
    };
    let bios = FirmwareRow {
        source: "dmi".into(),
        kind: "bios".into(),
        vendor: Some("Maker".into()),
        version: Some("2.1".into()),
        ..FirmwareRow::default()
    };
    let boot = FirmwareRow { kind: "secure-boot".into(), ..FirmwareRow::default() };
    let rows = [row("openssl", "dpkg"), row("Mixer", "registry64"), row("gone", "leftover-dpkg")];
    GetAssetResponse {
        asset: Some(pb::Asset { id: "hmi-01".into(), name: "HMI 1".into(), ..pb::Asset::default() }),
        sections: vec![content(status, &rows), content(SectionStatus::Complete, &[bios, boot])],
    }
}

fn finding(verdict: &str, product: &str, reason: Option<&str>) -> Finding {
    Finding::from(pb::Finding {
        asset: "hmi-01".into(),
        subject: format!("ICSA-1/CVE-2026-1/{verdict}"),
        kind: "advisory".into(),
        advisory: Some("ICSA-1".into()),
        vulnerability: Some("CVE-2026-1".into()),
        product: Some(product.into()),
        verdict: verdict.into(),
        reason: reason.map(Into::into),
        ..Default::default()
    })
}

#[test]
fn the_document_has_what_the_schema_requires() {
    let findings = [finding("AFFECTED", "mixer", None), finding("UNKNOWN", "other", Some("no-map-rule"))];
    let it = document(&found(SectionStatus::Complete), &findings, 1_790_000_000_000).unwrap();
    assert_eq!(
        (&it["bomFormat"], &it["specVersion"], &it["version"]),
        (&json!("CycloneDX"), &json!("1.6"), &json!(1))
    );
    let serial = it["serialNumber"].as_str().unwrap();
    let parts: Vec<usize> = serial.strip_prefix("urn:uuid:").unwrap().split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{serial}");
    assert_eq!(it["metadata"]["timestamp"], "2026-09-21T14:13:20Z");

    let components = it["components"].as_array().unwrap();
    let names: BTreeSet<&str> = components.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["openssl", "Mixer", "bios"]), "neither leftovers nor switches");
    let by_name = |name: &str| components.iter().find(|it| it["name"] == name).unwrap();
    assert_eq!(by_name("openssl")["purl"], "pkg:deb/debian/openssl@1.0");
    assert!(by_name("Mixer").get("purl").is_none(), "only where it is certain");
    assert_eq!(by_name("Mixer")["publisher"], "Somebody");
    assert_eq!(by_name("bios")["manufacturer"]["name"], "Maker");
    assert_eq!(by_name("bios")["type"], "firmware");

    let mut references: Vec<&str> = components.iter().map(|it| it["bom-ref"].as_str().unwrap()).collect();
    references.push("host");
    let vulnerabilities = it["vulnerabilities"].as_array().unwrap();
    for vulnerability in vulnerabilities {
        for affected in vulnerability["affects"].as_array().unwrap() {
            assert!(references.contains(&affected["ref"].as_str().unwrap()), "{affected}");
        }
        references.push(vulnerability["bom-ref"].as_str().unwrap());
    }
    let distinct: BTreeSet<&&str> = references.iter().collect();
    assert_eq!(distinct.len(), references.len(), "every reference is there once");
    assert_eq!(vulnerabilities[0]["affects"][0]["ref"], by_name("Mixer")["bom-ref"]);
    assert_eq!(vulnerabilities[1]["affects"][0]["ref"], "host");
    assert!(!it.to_string().contains("null"), "{it}");
}

#[test]
fn a_verdict_becomes_its_state_and_no_justification_is_made_up() {
    let state = |verdict: &str| {
        let findings = [finding(verdict, "x", Some("no-map-rule"))];
        let it = document(&found(SectionStatus::Complete), &findings, 0).unwrap();
        let analysis = it["vulnerabilities"][0]["analysis"].clone();
        assert!(analysis.get("justification").is_none());
        analysis["state"].as_str().unwrap().to_owned()
    };
    for (verdict, expected) in [
        ("AFFECTED", "exploitable"),
        ("INSTALLED_NOT_LIVE", "exploitable"),
        ("FIXED", "resolved"),
        ("NOT_AFFECTED", "not_affected"),
        ("UNKNOWN", "in_triage"),
        ("A_NEW_WORD", "in_triage"),
    ] {
        assert_eq!(state(verdict), expected, "{verdict}");
    }
    let requirement = Finding::from(pb::Finding {
        asset: "hmi-01".into(),
        kind: "requirement".into(),
        ..Default::default()
    });
    let it = document(&found(SectionStatus::Complete), &[requirement], 0).unwrap();
    assert_eq!(it["vulnerabilities"], json!([]), "a requirement is no vulnerability");
}

#[test]
fn what_is_not_whole_says_so() {
    let aggregate = |found: &GetAssetResponse| {
        document(found, &[], 0).unwrap()["compositions"][0]["aggregate"].as_str().unwrap().to_owned()
    };
    assert_eq!(aggregate(&found(SectionStatus::Complete)), "complete");
    assert_eq!(aggregate(&found(SectionStatus::Partial)), "incomplete");
    let mut bare = found(SectionStatus::Complete);
    bare.sections.clear();
    assert_eq!(aggregate(&bare), "incomplete");
}
