use super::*;
use crate::knowledge::map_file::{VersionFrom, read};

fn decision(id: &str, word: &str) -> MapRuleRecord {
    MapRuleRecord {
        id: id.into(),
        decision: word.into(),
        vendor: String::new(),
        product: "PI \"Vision\" {2017}".into(),
        installed_name: "pi * vision\\".into(),
        installed_publisher: Some("OSIsoft".into()),
        source: "registry64".into(),
        scheme: (word == CONFIRMED).then(|| "natural".into()),
        by: "kim".into(),
        at_ms: 1_777_593_600_123,
        why: "nameplate".into(),
        expires_ms: Some(1_809_129_600_000),
        details: None,
    }
}

#[test]
fn decisions_become_rules_for_exactly_their_pair_and_the_first_of_an_id_stays() {
    let decisions = [decision("a1", CONFIRMED), decision("b2", REJECTED)];
    let written = write(&decisions, []);
    assert_eq!(written.left_out, Vec::<String>::new());
    let file = read(&written.text).unwrap();
    let [same, not] = file.rules.as_slice() else { panic!("{}", written.text) };
    assert_eq!(same.installed.name.as_ref().and_then(|it| it.literal()), Some("pi * vision\\"));
    assert_eq!((same.signed.at_ms, same.signed.expires_ms), (1_777_593_600_123, Some(1_809_129_600_000)));
    assert_eq!(not.decision, Decision::Not { revision: None });
    let again = write(&decisions, [&file]);
    assert_eq!(again.text, written.text, "its own file brings nothing new");
    assert_eq!(write(&[], [&file]).text, written.text, "another site writes the same file");
}

#[test]
fn what_a_file_cannot_say_is_left_out_by_name() {
    let mut odd = decision("a1", CONFIRMED);
    odd.installed_publisher = Some("a*b".into());
    let written = write(&[odd, decision("b2", "guessed")], []);
    assert_eq!(written.items, 0);
    assert_eq!(written.left_out.len(), 2, "{:?}", written.left_out);
}

#[test]
fn a_decision_by_a_starter_rule_keeps_how_it_reads_the_version() {
    let details = "[[map]]\nid = \"s\"\ndecision = \"same\"\nscheme = \"natural\"\nzero_padded = \"integers\"\n\
                   version_from = \"name\"\nevidence = \"e\"\nauthor = \"a\"\ndate = \"2026-05-01\"\n[map.installed]\n\
                   name = \"Studio v{version}\"\n[map.advisory]\nvendors = [\"v\"]\nproducts = [\"p\"]\n";
    let mut made = decision("a1", CONFIRMED);
    made.installed_name = "Studio v33.01".into();
    made.details = Some(details.into());
    let file = read(&write(&[made], []).text).unwrap();
    assert_eq!(file.rules[0].version_from, VersionFrom::Text("33.01".into()));
    assert_eq!(file.rules[0].reading.unwrap().padded, Padded::Integers);
}
