use super::*;
use crate::knowledge::map_file::read;

fn rule(id: &str, decision: &str, name: &str, padded: bool) -> String {
    let ground = if decision == "same" { "scheme = \"natural\"\nevidence" } else { "reason" };
    let padded = if padded { "zero_padded = \"integers\"\n" } else { "" };
    format!(
        "[[map]]\nid = \"{id}\"\ndecision = \"{decision}\"\n{padded}{ground} = \"x\"\nauthor = \"kim\"\n\
         date = \"2026-05-01\"\n[map.installed]\nsource = \"msi\"\nname = \"{name}\"\n[map.advisory]\n\
         vendors = [\"V\"]\nproducts = [\"P\"]\n"
    )
}

fn remarks(rules: &[String]) -> Vec<(Severity, String)> {
    let file = read(&rules.concat()).unwrap();
    lint([&file], 0).into_iter().map(|it| (it.severity, format!("{}: {}", it.rule, it.text))).collect()
}

#[test]
fn rules_that_contradict_or_overlap_are_named() {
    let contradicting =
        remarks(&[rule("a", "same", "Mixer *", false), rule("b", "not", "Mixer View", false)]);
    assert_eq!(contradicting[0].0, Severity::Error);
    assert!(contradicting[0].1.starts_with("a: it contradicts `b`"), "{contradicting:?}");
    let differing = remarks(&[rule("a", "same", "Mixer View", false), rule("b", "same", "Mixer View", true)]);
    assert!(differing.iter().any(|it| it.1.contains("reads the version otherwise")), "{differing:?}");
    let equal = remarks(&[rule("a", "same", "Mixer View", false), rule("b", "same", "Mixer View", false)]);
    assert!(equal.contains(&(Severity::Note, "a: it overlaps `b`".into())), "{equal:?}");
    let apart = remarks(&[rule("a", "same", "Mixer View", false), rule("b", "not", "Mixer Edit", false)]);
    assert!(apart.iter().all(|it| !it.1.contains("contradicts")), "{apart:?}");
}

#[test]
fn a_thousand_rules_about_one_product_are_held_against_each_other_within_bounds() {
    let many: Vec<String> =
        (0..2_000).map(|it| rule(&format!("r{it}"), "same", "Mixer View", it % 2 == 0)).collect();
    assert_eq!(remarks(&many).len(), MAX_LINTS);
}
