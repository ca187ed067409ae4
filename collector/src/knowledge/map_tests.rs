use super::*;

fn product(vendor: &str, product: &str) -> ProductName {
    ProductName { vendor: vendor.into(), product: product.into() }
}

fn installed(name: &str, publisher: &str) -> InstalledName {
    InstalledName { name: name.into(), publisher: Some(publisher.into()), source: "registry64".into() }
}

#[test]
fn the_likeliest_pair_comes_first_and_says_why() {
    let names = BTreeMap::from([
        (installed("SIMATIC WinCC V7.5 SP2", "Siemens AG"), 3),
        (installed("SIMATIC WinCC OA", "ETM"), 1),
        (installed("7-Zip", "Igor Pavlov"), 9),
    ]);
    let mut question = Question {
        products: BTreeMap::from([(product("Siemens", "SIMATIC WinCC V7.5"), BTreeSet::new())]),
        installed: names,
        decided: BTreeSet::new(),
    };
    let found = suggest(&question);
    assert_eq!(found[0].installed.name, "SIMATIC WinCC V7.5 SP2");
    assert_eq!(found[0].assets, 3);
    assert!(found[0].reasons.contains(&"vendor equal".to_owned()), "{:?}", found[0].reasons);
    assert!(found[0].reasons.iter().any(|it| it.starts_with("words only in the installed name: sp2")));
    assert!(found.iter().all(|it| it.installed.name != "7-Zip"));
    assert!(found.windows(2).all(|it| it[0].score >= it[1].score));

    assert!(found[0].reasons.contains(&"product line equal".to_owned()), "{:?}", found[0].reasons);
    assert_eq!(found[0].starter.map(|it| it.id.as_str()), Some("siemens-wincc-v7-5"));
    question.decided.insert(found[0].id());
    assert!(suggest(&question).iter().all(|it| it.id() != found[0].id()));
}

#[test]
fn an_order_number_a_spelling_and_a_starter_rule_bring_pairs_that_share_no_word() {
    let number = BTreeSet::from(["6AV21240GC010AX0".to_owned()]);
    let question = Question {
        products: BTreeMap::from([
            (product("Siemens", "SIMATIC HMI TP700"), number),
            (product("Rockwell Automation ", "1756-EN2T Series A"), BTreeSet::new()),
        ]),
        installed: BTreeMap::from([
            (installed("Panel 6AV2 124-0GC01-0AX0", "Plant"), 1),
            (installed("1756-EN2T Series A", "Allen-Bradley"), 1),
        ]),
        decided: BTreeSet::new(),
    };
    let found = suggest(&question);
    let reason = |name: &str, text: &str| {
        let of = found.iter().find(|it| it.installed.name == name).unwrap();
        assert!(of.reasons.iter().any(|it| it.starts_with(text)), "{:?}", of.reasons);
    };
    reason("Panel 6AV2 124-0GC01-0AX0", "order number equal: 6AV21240GC010AX0");
    reason("1756-EN2T Series A", "vendor equal in another spelling");
    reason("1756-EN2T Series A", "starter rule `rockwell-1756-en2t` (ICSA-23-193-01)");
}

#[test]
fn the_id_of_a_pair_is_stable_and_its_parts_cannot_run_together() {
    let id = pair_id(&product("a", "b"), &installed("c", "d"));
    assert_eq!(id.len(), 12);
    assert_eq!(id, pair_id(&product("a", "b"), &installed("c", "d")));
    assert_ne!(id, pair_id(&product("ab", ""), &installed("c", "d")));
    assert_ne!(id, pair_id(&product("a", "b"), &installed("c", "e")));
}

#[test]
fn only_case_punctuation_and_the_vendor_are_folded_away() {
    let pi = product("OSIsoft LLC", "PI Vision");
    assert!(same_folded_name(&pi, "pi-vision"));
    assert!(same_folded_name(&pi, "OSIsoft PI Vision"));
    assert!(!same_folded_name(&pi, "PI Vision 2020"));
    assert!(!same_folded_name(&pi, "PI"));
    assert!(!same_folded_name(&product("x", ""), ""));
}

#[test]
fn an_expired_rule_does_not_count() {
    let rule = MapRuleRecord { expires_ms: Some(10), ..MapRuleRecord::default() };
    assert!(is_valid(&rule, 9) && !is_valid(&rule, 10));
    assert!(is_valid(&MapRuleRecord::default(), i64::MAX));
}
