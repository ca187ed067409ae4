use super::*;

const MONTH: &[u8] = include_bytes!("../../../fixtures/microsoft/2026-nov.xml");
const ONE: &[u8] = include_bytes!("../../../fixtures/microsoft/cve-2026-2001.json");

fn fix(build: &str, track: &str, update: &str) -> KnownFix {
    KnownFix { build: Some(build.into()), track: track.into(), update: Some(update.into()) }
}

fn told(advisory: &Advisory) -> Vec<(&str, &str, Vec<KnownFix>)> {
    let of = |versions: &Versions| {
        let Versions::Builds(fixes) = versions else { panic!("{versions:?}") };
        fixes.clone()
    };
    let windows = advisory.entries.iter().filter(|it| it.identity == Identity::Windows);
    windows.map(|it| (it.id.as_str(), it.product.as_str(), of(&it.versions))).collect()
}

#[test]
fn a_month_says_which_build_fixes_which_release() {
    let (advisory, skipped) = read(MONTH).unwrap();
    assert_eq!(advisory.kind, Kind::Microsoft);
    assert_eq!(advisory.revision.id, "2026-Nov");
    assert_eq!(advisory.revision.version, "2026-11-17T08:00:00");
    assert_eq!(advisory.revision.released_ms, moment("2026-11-10T08:00:00Z"), "the month that it is of");
    assert_eq!(advisory.publisher, "Example & Response Center");
    assert_eq!(
        told(&advisory),
        [
            ("10047", "Windows 7 for 32-bit Systems Service Pack 1", vec![]),
            ("11571", "Windows Server 2019", vec![fix("10.0.17763.8001", "Security Update", "KB5070001")]),
            (
                "11923",
                "Windows Server 2022",
                vec![
                    fix("10.0.20348.4830", "SecurityHotpatchUpdate", "KB5070003"),
                    fix("10.0.20348.4893", "Security Update", "KB5070002"),
                ]
            ),
        ]
    );
    let [first, second] = advisory.vulnerabilities.as_slice() else { panic!("two vulnerabilities") };
    assert_eq!((first.id.as_str(), first.statements.len()), ("CVE-2026-2001", 3));
    assert_eq!(first.severity.as_deref(), Some("7.8 HIGH"));
    assert_eq!(second.statements, [(1, Stated::Affected)], "the same fixes are the same entry");
    assert_eq!(
        skipped,
        [
            "CVE-2026-2002: the unknown product `99`",
            "1 vulnerabilities of products that are no release of Windows"
        ]
    );
}

#[test]
fn only_releases_of_windows_are_taken() {
    for name in [
        "Windows 10 Version 1809 for 32-bit Systems",
        "Windows 11 version 22H2 for ARM64-based Systems",
        "Windows 7 for x64-based Systems Service Pack 1",
        "Windows Server 2008 R2 for x64-based Systems Service Pack 1 (Server Core installation)",
        "Windows Server, version 1903 (Server Core installation)",
        "Windows RT 8.1",
    ] {
        assert!(is_release(name), "{name}");
    }
    for name in [
        "Windows Admin Center",
        "Windows Defender Antimalware Platform",
        "Windows Server Update Services",
        "Internet Explorer 11 on Windows 10 Version 1809 for 32-bit Systems",
        "Microsoft SQL Server 2019",
        "Windows",
    ] {
        assert!(!is_release(name), "{name}");
    }
}

#[test]
fn a_document_that_is_something_else_is_refused_in_one_sentence() {
    let refused = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
    let month = String::from_utf8(MONTH.to_vec()).unwrap();
    assert_eq!(refused("<html/>"), "it is XML and not a CVRF document: its root is `html`");
    assert_eq!(
        refused(&month.replace(">Windows ", ">Word ")),
        "it is a CVRF document that names no release of Windows"
    );
    assert_eq!(refused(&month.replace("2026-Nov", "")), "its tracking identifier is empty");
    assert_eq!(
        refused(
            &month.replace("<cvrf:InitialReleaseDate>2026-11-10T08:00:00", "<cvrf:InitialReleaseDate>soon")
        ),
        "its initial release date `soon` cannot be read"
    );
    let twice = month.replacen("\"11571\">", "\"11923\">", 1);
    assert_eq!(refused(&twice), "the product id `11923` is given two names");
    assert_eq!(refused(&month[..month.len() / 2]), "it is cut off: the XML ends in the middle");
    let bomb = month.replace("<cvrf:cvrfdoc", "<!DOCTYPE x [<!ENTITY a \"b\">]><cvrf:cvrfdoc");
    assert_eq!(refused(&bomb), "it declares a document type, which is never read");
}

#[test]
fn one_vulnerability_in_csaf_says_the_same() {
    let (advisory, skipped) = super::super::csaf::read(ONE).unwrap();
    assert_eq!(advisory.kind, Kind::Microsoft);
    assert_eq!(advisory.revision.released_ms, moment("2026-11-10T08:00:00Z"));
    assert_eq!(
        told(&advisory),
        [
            ("1", "Windows Server 2019", vec![fix("10.0.17763.8001", "Security Update", "KB5070001")]),
            (
                "2",
                "Windows Server 2022",
                vec![
                    fix("10.0.20348.4893", "Security Update", "KB5070002"),
                    fix("10.0.20348.4830", "SecurityHotpatchUpdate", "KB5070003"),
                ]
            ),
        ]
    );
    let named: Vec<_> = advisory.entries.iter().filter(|it| it.identity == Identity::Named).collect();
    assert_eq!(named.len(), 1, "a program is an ordinary entry");
    assert_eq!(named[0].product, "Windows Admin Center");
    let stated: Vec<_> = advisory.vulnerabilities[0].statements.iter().map(|it| it.1).collect();
    assert_eq!(stated, [Stated::Affected; 3]);
    assert_eq!(skipped, Vec::<String>::new());
}

#[test]
fn another_publishers_document_of_that_shape_stays_ordinary() {
    let text = String::from_utf8(ONE.to_vec())
        .unwrap()
        .replace("https://msrc.microsoft.com", "https://example.invalid");
    let (advisory, _) = super::super::csaf::read(text.as_bytes()).unwrap();
    assert_eq!(advisory.kind, Kind::Csaf);
    assert!(advisory.entries.iter().all(|it| it.identity == Identity::Named));
    assert!(!csaf::is_microsoft("https://msrc.microsoft.com.example.invalid/"));
    assert!(!csaf::is_microsoft("https://notmicrosoft.com"));
}
