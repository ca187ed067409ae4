use super::*;
use crate::knowledge::{FixText, Kind, Revision, Stated, Vulnerability};

fn entry(id: &str, product: &str, versions: Versions) -> Entry {
    Entry {
        id: id.to_owned(),
        vendor: "Example".to_owned(),
        product: product.to_owned(),
        versions,
        identity: Identity::Named,
        conditions: Vec::new(),
        model_numbers: Vec::new(),
        purl: None,
    }
}

fn advisory(entries: Vec<Entry>, fixes: Vec<FixText>) -> Advisory {
    let statements = (0..).zip(&entries).map(|(at, _)| (at, Stated::Affected)).collect();
    let vulnerability = Vulnerability {
        id: "CVE-2026-0001".to_owned(),
        severity: None,
        vector: None,
        statements,
        remediations: Vec::new(),
        fixes,
    };
    Advisory {
        kind: Kind::Csaf,
        revision: Revision { id: "A-1".to_owned(), version: "1".to_owned(), released_ms: None },
        title: String::new(),
        publisher: String::new(),
        status: String::new(),
        withdrawn: false,
        original: None,
        entries,
        vulnerabilities: vec![vulnerability],
    }
}

/// The kinds of faults of one entry with this range.
fn of_range(text: &str) -> Vec<FaultKind> {
    let one = vec![entry("P", "Mixer", Versions::Range(text.to_owned()))];
    lint(&advisory(one, Vec::new())).into_iter().map(|it| it.kind).collect()
}

#[test]
fn a_line_that_can_be_decided_has_no_fault() {
    for text in [
        "< V4.1.3",
        "vers:all/*",
        ">= 1.0 | <= 1.32",
        "<= 5.8",
        "< 6.00.204",
        "All versions < V7.5 SP2",
        "= 1.2",
    ] {
        assert_eq!(of_range(text), [], "{text}");
    }
}

#[test]
fn each_trap_of_real_ranges_is_named() {
    use FaultKind::{
        BranchList, Condition, EmptyRange, LowerBoundOnly, RangeUnparsed, SeveralReadings, ZeroPadded,
    };
    for (text, expected) in [
        ("<April/20/2023", RangeUnparsed),
        ("<=the_first_5_digits_of_serial_number_22081", Condition),
        ("<V33.017_V34.014_V35.013_V36.011", BranchList),
        ("< 17 | 4", SeveralReadings),
        ("<= 5.028", ZeroPadded),
        (">= V5.1.1", LowerBoundOnly),
        (">= 4.0 < 3.0", EmptyRange),
    ] {
        assert!(of_range(text).contains(&expected), "{text}: {:?}", of_range(text));
    }
}

#[test]
fn an_order_number_is_no_version() {
    for (text, expected) in
        [("1763-L16DWD", true), ("DH-IPC-HDW1XXX", true), ("1.2.3-RC1", false), ("V17", false)]
    {
        let one = vec![entry("P", "Controller", Versions::One(text.to_owned()))];
        let found = lint(&advisory(one, Vec::new())).iter().any(|it| it.kind == FaultKind::OrderNumber);
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn entries_without_a_version_or_under_a_condition_are_named() {
    let mut conditional = entry("C", "Mixer C", Versions::Range("< 2".to_owned()));
    conditional.conditions.push("together with Cabinet A".to_owned());
    let all =
        vec![entry("A", "Mixer A", Versions::All), entry("B", "Mixer B 3", Versions::InName), conditional];
    let found = lint(&advisory(all, Vec::new()));
    let told: Vec<_> = found.iter().map(|it| (it.kind, it.entry.as_str())).collect();
    assert_eq!(told, [(FaultKind::Condition, "C"), (FaultKind::NoVersion, "A"), (FaultKind::NoVersion, "B")]);
}

#[test]
fn siblings_that_disagree_are_one_fault_of_their_product() {
    let of = |id: &str, product: &str, text: &str| entry(id, product, Versions::Range(text.to_owned()));
    let found = lint(&advisory(vec![of("1", "Link", "<4.9.9"), of("2", "LINK", "<4.17.0")], Vec::new()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, FaultKind::Siblings);
    assert!(found[0].text.contains("`<4.9.9`, `<4.17.0`"), "{}", found[0].text);
    assert_eq!(lint(&advisory(vec![of("1", "Link", "<4.9.9"), of("2", "Link", "<4.9.9")], Vec::new())), []);
    let exact = |id: &str, text: &str| entry(id, "Link", Versions::One(text.to_owned()));
    assert_eq!(lint(&advisory(vec![exact("1", "1.0"), exact("2", "1.1")], Vec::new())), []);
}

#[test]
fn a_fix_that_is_none_and_a_fix_inside_its_range_are_named() {
    let fix = |text: &str| {
        vec![FixText { category: "vendor_fix".to_owned(), text: text.to_owned(), entries: vec![0] }]
    };
    let kinds = |text: &str| -> Vec<FaultKind> {
        let one = vec![entry("P", "Mixer", Versions::Range("< 3.2".to_owned()))];
        lint(&advisory(one, fix(text))).into_iter().map(|it| it.kind).collect()
    };
    assert_eq!(kinds("Currently no fix is available"), [FaultKind::FixDenied]);
    assert_eq!(kinds("The product is discontinued."), [FaultKind::FixDenied]);
    assert_eq!(kinds("Update to V3.1 or later"), [FaultKind::FixInsideRange]);
    assert_eq!(kinds("Update to V3.2 or later"), []);
    assert_eq!(kinds("Update to V3.3 or later"), []);
}

#[test]
fn what_was_taken_back_is_not_linted_and_the_number_is_bounded() {
    let many: Vec<Entry> =
        (0..2 * MAX_FAULTS).map(|at| entry(&at.to_string(), &format!("P {at}"), Versions::InName)).collect();
    let mut all = advisory(many, Vec::new());
    assert_eq!(lint(&all).len(), MAX_FAULTS);
    all.withdrawn = true;
    assert_eq!(lint(&all), []);
}

#[test]
fn every_kind_has_its_own_word() {
    let words: BTreeSet<&str> = FaultKind::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(words.len(), FaultKind::ALL.len());
}
