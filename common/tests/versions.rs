//! The version schemes and the range reader against published vectors, and against their own laws.
//!
//! The vectors are facts about other programs' orders and our own policy for vendors' spellings; each
//! file names its source. Fields are separated by tabs and escaped with a backslash; `?` must be refused.

use std::cmp::Ordering;
use std::path::Path;

use holdpoint_common::version::range::{Containment, Range, among_siblings};
use holdpoint_common::version::{Comparison, Padded, Scheme};
use proptest::prelude::*;

const DEB_UPSTREAM: &str = include_str!("vectors/deb_upstream.tsv");
const DEB_VALIDITY: &str = include_str!("vectors/deb_validity.tsv");
const RPM_UPSTREAM: &str = include_str!("vectors/rpm_upstream.tsv");
const SEMVER: &str = include_str!("vectors/semver_osv_scalibr.tsv");
const WIN_BUILD: &str = include_str!("vectors/win_build_own.tsv");
const OT_NATURAL: &str = include_str!("vectors/ot_natural_own.tsv");
const OT_RANGES: &str = include_str!("vectors/ot_ranges_cisa.tsv");
const VERS_CONTAINMENT: &str = include_str!("vectors/vers_spec_containment.tsv");
const VERS_PARSE: &str = include_str!("vectors/vers_spec_parse.tsv");

/// The rows of a vector file by column name, without comments.
fn rows(file: &str) -> Vec<impl Fn(&str) -> String> {
    let mut lines = file.lines().filter(|it| !it.starts_with("# "));
    let header: Vec<_> = lines.next().expect("a header line").split('\t').map(str::to_owned).collect();
    lines
        .map(|line| {
            let fields: Vec<_> = line.split('\t').map(unescape).collect();
            let header = header.clone();
            move |column: &str| {
                let index = header.iter().position(|it| it == column).expect("a known column");
                fields.get(index).cloned().unwrap_or_default()
            }
        })
        .collect()
}

fn unescape(field: &str) -> String {
    let mut plain = String::new();
    let mut signs = field.chars();
    while let Some(sign) = signs.next() {
        plain.push(match sign {
            '\\' => match signs.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                other => other.expect("a sign behind the backslash"),
            },
            sign => sign,
        });
    }
    plain
}

fn sign(comparison: &Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "-1",
        Comparison::Equal => "0",
        Comparison::Greater => "1",
        Comparison::NotComparable(_) => "?",
    }
}

fn reversed(sign: &str) -> &str {
    match sign {
        "-1" => "1",
        "1" => "-1",
        other => other,
    }
}

/// Compares every row both ways round and lists what differs.
fn disagreements(file: &str, scheme: Scheme, column: &str) -> Vec<String> {
    let mut found = Vec::new();
    for row in rows(file) {
        let (a, b, expected) = (row("a"), row("b"), row(column));
        let forth = sign(&scheme.compare(&a, &b));
        let back = sign(&scheme.compare(&b, &a));
        if forth != expected || back != reversed(&expected) {
            found.push(format!("{a:?} {b:?}: expected {expected}, got {forth} and back {back}"));
        }
    }
    found
}

const NONE: [String; 0] = [];

/// The same vectors as they lie beside the workspace, where they may be newer than the committed ones.
fn beside(file: &str) -> Option<String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../../shared/data/vectors", "../../../shared/data/vectors"];
    found.iter().find_map(|it| std::fs::read_to_string(own.join(it).join(file)).ok())
}

#[test]
fn vectors_beside_the_workspace_agree_row_by_row() {
    for (file, scheme, column) in [
        ("deb_upstream.tsv", Scheme::Deb, "expected"),
        ("rpm_upstream.tsv", Scheme::Rpm, "expected"),
        ("semver_osv_scalibr.tsv", Scheme::Semver, "expected"),
        ("win_build_own.tsv", Scheme::Win4, "expected"),
        ("ot_natural_own.tsv", Scheme::Natural, "expected"),
        ("ot_natural_own.tsv", Scheme::Intdot, "intdot"),
    ] {
        let Some(text) = beside(file) else {
            println!("no {file} beside this workspace");
            continue;
        };
        assert!(!rows(&text).is_empty(), "{file}");
        assert_eq!(disagreements(&text, scheme, column), NONE, "{file}");
    }
    for (file, check) in [
        ("deb_validity.tsv", debian_validity as fn(&str)),
        ("ot_ranges_cisa.tsv", ot_ranges),
        ("vers_spec_containment.tsv", vers_containment),
        ("vers_spec_parse.tsv", vers_parse),
    ] {
        if let Some(text) = beside(file) {
            check(&text);
        }
    }
}

#[test]
fn debian_versions_compare_as_dpkg_says() {
    assert_eq!(rows(DEB_UPSTREAM).len(), 51);
    assert_eq!(disagreements(DEB_UPSTREAM, Scheme::Deb, "expected"), NONE);
}

#[test]
fn debian_versions_are_valid_as_dpkg_says() {
    debian_validity(DEB_VALIDITY);
}

fn debian_validity(file: &str) {
    for row in rows(file) {
        let version = row("version");
        let comparable = !matches!(Scheme::Deb.compare(&version, "1"), Comparison::NotComparable(_));
        assert_eq!(comparable, row("valid") == "1", "{version:?}");
    }
}

#[test]
fn rpm_versions_compare_as_rpm_says() {
    assert_eq!(disagreements(RPM_UPSTREAM, Scheme::Rpm, "expected"), NONE);
}

#[test]
fn semantic_versions_compare_as_published() {
    assert_eq!(disagreements(SEMVER, Scheme::Semver, "expected"), NONE);
}

#[test]
fn windows_builds_compare_by_number() {
    assert_eq!(disagreements(WIN_BUILD, Scheme::Win4, "expected"), NONE);
}

#[test]
fn vendors_spellings_compare_strictly() {
    assert_eq!(disagreements(OT_NATURAL, Scheme::Natural, "expected"), NONE);
}

#[test]
fn vendors_spellings_compare_as_integers_where_a_rule_says_so() {
    assert_eq!(disagreements(OT_NATURAL, Scheme::Intdot, "intdot"), NONE);
}

fn word(containment: &Containment) -> &'static str {
    match containment {
        Containment::In => "in",
        Containment::Out => "out",
        Containment::Unknown(_) => "unknown",
    }
}

/// Ranges that stand beside the quoted one in the same advisory, for the same product name.
const SIBLINGS: [(&str, &str); 2] = [("ICSA-23-193-01", "<= 5.008"), ("ICSA-23-341-06", "<4.9.9")];

#[test]
fn ranges_of_advisories_are_decided_as_a_careful_person_would() {
    assert_eq!(rows(OT_RANGES).len(), 22);
    ot_ranges(OT_RANGES);
}

fn ot_ranges(file: &str) {
    for row in rows(file) {
        let (text, installed, advisory) = (row("range_raw"), row("installed"), row("advisory"));
        let sibling = SIBLINGS.iter().find(|(id, range)| *id == advisory && *range != text);
        let all: Vec<_> =
            [text.as_str()].into_iter().chain(sibling.map(|(_, range)| *range)).map(Range::parse).collect();
        let answer = among_siblings(&all, Scheme::Natural, &installed);
        assert_eq!(word(&answer), row("expected"), "{text:?} {installed:?}: {answer:?}");
    }
}

#[test]
fn vers_ranges_of_every_type_hold_for_plain_numbers() {
    vers_containment(VERS_CONTAINMENT);
}

fn vers_containment(file: &str) {
    for row in rows(file) {
        let (text, version) = (row("vers"), row("version"));
        let expected = if row("contained") == "1" { Containment::In } else { Containment::Out };
        for scheme in [Scheme::Natural, Scheme::Intdot, Scheme::Semver, Scheme::Win4] {
            assert_eq!(Range::parse(&text).contains(scheme, &version), expected, "{text} {version} {scheme}");
        }
    }
}

#[test]
fn vers_ranges_that_must_be_rejected_decide_nothing() {
    vers_parse(VERS_PARSE);
}

fn vers_parse(file: &str) {
    for row in rows(file) {
        let text = row("input");
        if row("must_fail") == "1" {
            for version in ["0.1", "1.0.0", "1.5.0", "2.0.0", "9"] {
                let answer = Range::parse(&text).contains(Scheme::Semver, version);
                assert_eq!(word(&answer), "unknown", "{text} {version}");
            }
        } else {
            assert!(!matches!(Range::parse(&text), Range::Unparsed { .. }), "{text}");
        }
    }
}

#[test]
fn ranges_with_traps_are_unknown_exactly_between_their_readings() {
    for (range, version, expected) in [
        // A lost word: this was once "V17 Update 4".
        ("< 17 | 4", "V3", "in"),
        ("< 17 | 4", "V16", "unknown"),
        ("< 17 | 4", "V17", "unknown"),
        ("< 17 | 4", "V17 Update 3", "unknown"),
        ("< 17 | 4", "V17 Update 5", "unknown"),
        ("< 17 | 4", "V18", "out"),
        ("< 4.8 | SP5", "4.7", "in"),
        ("< 4.8 | SP5", "4.8 SP4", "unknown"),
        ("< 4.8 | SP5", "4.8 SP6", "out"),
        ("< 1.99 | 2.20 | 2.40", "1.98", "in"),
        ("< 1.99 | 2.20 | 2.40", "2.20", "unknown"),
        ("< 1.99 | 2.20 | 2.40", "2.41", "out"),
        (">= 1.0. | <=4.9.0 | 4.10.0 | 4.12.0", "3.0", "in"),
        (">= 1.0. | <=4.9.0 | 4.10.0 | 4.12.0", "4.9.1", "unknown"),
        (">= 1.0. | <=4.9.0 | 4.10.0 | 4.12.0", "5.0", "out"),
        // Intervals and lists.
        (">= 1.0 | <= 1.32", "1.33", "out"),
        (">= 1.0 | <= 1.32", "0.9", "out"),
        (">= V7.80 < V9.30", "V9.29", "in"),
        ("< 2.0 and >= 1.0", "0.9", "out"),
        ("< 2.0 and >= 1.0", "1.5", "in"),
        ("< 2.0 and >= 1.0", "2.0", "out"),
        ("< 1.0 | >= 2.0", "1.5", "out"),
        ("< 1.0 | >= 2.0", "2.5", "in"),
        ("1.0 through 2.0", "2.0", "in"),
        ("1.0 through 2.0", "2.1", "out"),
        ("vers:all/>=V5.4<V5.5 SP1", "V5.5", "in"),
        (">= 11.0.0 | <= 11.0.6 | >= 11.1.0 | <= 11.1.6", "11.0.7", "out"),
        (">= 11.0.0 | <= 11.0.6 | >= 11.1.0 | <= 11.1.6", "11.1.3", "in"),
        (">= 2.0 | <= 1.0", "0.5", "unknown"),
        ("1.1 | 1.2.3 | 2.0", "1.2.3", "in"),
        ("1.1 | 1.2.3 | 2.0", "1.2.4", "out"),
        // Does the advisory's "7.4" mean 7.4 alone, or its service packs too?
        ("7.4", "7.4", "in"),
        ("7.4", "7.4 SP1", "unknown"),
        ("7.4", "7.5", "out"),
        ("2017 Update 1", "2017 Update 1", "in"),
        ("2017 Update 1", "2017 Update 1 HF2", "unknown"),
        ("2017 Update 1", "2017 Update 2", "out"),
        // Wildcards.
        ("< 3.x", "2.9", "in"),
        ("< 3.x", "3.0", "unknown"),
        ("< 3.x", "4.0", "out"),
        ("<=2.x", "2.4", "unknown"),
        ("< V3.X.17", "V3.1.2", "unknown"),
        ("< V3.X.17", "V2.9", "in"),
        ("8.0.x", "8.0.4", "unknown"),
        ("8.0.x", "8.1", "out"),
        ("R15x", "R150", "unknown"),
        ("R15x", "R16", "unknown"),
        ("R15x", "R160", "out"),
        (">= 4.6.0 | =< 4.6.20304.x", "4.6.20304.5", "unknown"),
        (">= 4.6.0 | =< 4.6.20304.x", "4.6.20305", "out"),
        (">= 4.6.0 | =< 4.6.20304.x", "4.6.1", "in"),
        // Zeros, labels, other lines, missing bounds.
        ("< 5.9", "5.028", "unknown"),
        (">= 3.00 | <= C4.93", "3.50", "unknown"),
        ("< WinCC 7.2 Upd 15", "7.1", "unknown"),
        ("< V16 Update 4", "16.0.0.3", "unknown"),
        ("< SE2020MP13", "SE2020MP12", "in"),
        ("< SE2020MP13", "2020", "unknown"),
        ("MV720", "MV720", "unknown"),
        ("<", "1", "unknown"),
        ("", "1", "unknown"),
        ("< 2", "", "unknown"),
        ("<= 3.5 (12)", "3.4", "unknown"),
        ("<4.04E_10.95.210.01", "10.90", "unknown"),
        ("<V33.017_V34.014_V35.013_V36.011", "33.017", "unknown"),
        ("vers:all/*", "", "in"),
    ] {
        let answer = Range::parse(range).contains(Scheme::Natural, version);
        assert_eq!(word(&answer), expected, "{range:?} {version:?}: {answer:?}");
    }
}

#[test]
fn ranges_follow_the_scheme_of_the_rule() {
    for (scheme, range, version, expected) in [
        (Scheme::Deb, "vers:deb/<2:1.0-1", "1:9", "in"),
        (Scheme::Deb, "vers:deb/>=1.0~rc1|<1.0", "1.0~rc2", "in"),
        (Scheme::Rpm, "vers:rpm/<1.0-2.el9", "1.0-10.el9", "out"),
        (Scheme::Alpine, "vers:alpine/<1.2.3-r4", "1.2.3-r3", "in"),
        (Scheme::Intdot, "< 5.9", "5.028", "out"),
        (Scheme::Win4, "vers:all/<V13.2.0.12", "13.2.0.9", "in"),
        (Scheme::Semver, "vers:npm/<1.0.0", "1.0.0-rc.1", "in"),
        // The package's order is not the rule's.
        (Scheme::Semver, "vers:deb/<1.0-2", "1.0-1", "unknown"),
        (Scheme::Natural, "vers:pypi/<1.0rc1", "1.0", "unknown"),
    ] {
        let answer = Range::parse(range).contains(scheme, version);
        assert_eq!(word(&answer), expected, "{scheme} {range:?} {version:?}: {answer:?}");
    }
}

/// Texts made of the pieces that versions are made of, with a few that they are not.
fn version() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[0-9]{1,3}",
        6 => Just(".".to_owned()),
        2 => prop::sample::select(vec![
            "0", "00", "1", "10", "09", "v", "V", "R", " SP1", " SP2", " Update 3", " HF4", "-HF10", " Build 7",
            "-beta", "-rc1", "a", "b", "x", "*", "~", "^", "+", "-", "-r1", "_p1", "_rc1", "_", ":", "1:", " ",
            "\t", "é", "\u{200b}", "١", "(", ")", "/",
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        4 => "[1-3](\\.[0-3]|\\.0[0-3]){0,2}( SP[12]| Update [12]| HF[12]|a|b|-rc[12]|-r[12])?",
        3 => prop::collection::vec(piece, 0..8).prop_map(|it| it.concat()),
        1 => "\\PC{0,12}",
    ]
}

fn range_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => version(),
        4 => prop::sample::select(vec![
            "<", "<=", ">", ">=", "=<", "=", "!=", "|", " | ", " and ", " or ", ",", "vers:", "vers:all/",
            "vers:npm/", "All versions ", " and earlier", "%", "%41", "_", " ",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|it| it.concat())
}

fn scheme() -> impl Strategy<Value = Scheme> {
    prop::sample::select(Scheme::all().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn turning_a_comparison_round_reverses_it_and_refusals_stay(scheme in scheme(), a in version(), b in version()) {
        let forth = scheme.order(&a, &b);
        let back = scheme.order(&b, &a);
        prop_assert_eq!(forth.is_err(), back.is_err());
        prop_assert_eq!(forth.ok(), back.ok().map(Ordering::reverse));
    }

    #[test]
    fn a_version_equals_itself_unless_it_is_refused(scheme in scheme(), a in version()) {
        if let Ok(order) = scheme.order(&a, &a) {
            prop_assert_eq!(order, Ordering::Equal);
        }
    }

    #[test]
    fn comparable_versions_are_in_one_order(scheme in scheme(), a in version(), b in version(), c in version()) {
        let mut all = [a, b, c];
        // Any rotation may be the rising one.
        for _ in 0..all.len() {
            let [a, b, c] = &all;
            if let (Ok(ab), Ok(bc), Ok(ac)) = (scheme.order(a, b), scheme.order(b, c), scheme.order(a, c))
                && ab.is_le()
                && bc.is_le()
            {
                prop_assert!(ac.is_le(), "{} {:?}", scheme, all);
                prop_assert_eq!(ac.is_eq(), ab.is_eq() && bc.is_eq(), "{} {:?}", scheme, all);
            }
            all.rotate_left(1);
        }
    }

    #[test]
    fn what_a_rule_says_of_zeros_is_an_order_as_well(decimals: bool, a in version(), b in version(), c in version()) {
        let padded = if decimals { Padded::Decimals } else { Padded::Integers };
        let order = |a: &str, b: &str| Scheme::Natural.order_padded(padded, a, b);
        let (ab, ba) = (order(&a, &b), order(&b, &a));
        prop_assert_eq!(ab.is_err(), ba.is_err());
        prop_assert_eq!(ab.clone().ok(), ba.ok().map(Ordering::reverse));
        if let (Ok(ab), Ok(bc), Ok(ac)) = (ab, order(&b, &c), order(&a, &c))
            && ab.is_le()
            && bc.is_le()
        {
            prop_assert!(ac.is_le(), "{:?} {:?}", padded, [a, b, c]);
        }
    }

    #[test]
    fn no_range_and_no_version_makes_the_reader_panic(scheme in scheme(), range in range_text(), version in version()) {
        let read = Range::parse(&range);
        let answer = read.contains(scheme, &version);
        prop_assert_eq!(read.contains(scheme, &version), answer);
    }

    #[test]
    fn an_upper_bound_is_what_the_comparison_says_or_unknown(a in version(), bound in "V?[1-9](\\.[0-9]{1,2}){1,3}") {
        let answer = Range::parse(&format!("< {bound}")).contains(Scheme::Natural, &a);
        match Scheme::Natural.order(&a, &bound) {
            Ok(Ordering::Less) => prop_assert_eq!(answer, Containment::In),
            Ok(Ordering::Equal | Ordering::Greater) => prop_assert_eq!(answer, Containment::Out),
            Err(_) => prop_assert_eq!(word(&answer), "unknown"),
        }
    }
}
