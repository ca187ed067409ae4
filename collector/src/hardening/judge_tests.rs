use super::super::cases::{asset, row};
use super::super::read::read;
use super::*;
use proptest::prelude::*;

fn rule(expect: &str) -> Rule {
    let text = format!("kind = \"hardening\"\n[[rule]]\nid = \"S1\"\ntitle = \"t\"\n{expect}\n");
    read(&text).unwrap_or_else(|it| panic!("{it}")).rules.remove(0)
}

fn outcome(expect: &str, facts: &[(&str, &str)]) -> Outcome {
    judged(expect, facts, &asset(Family::Windows))
}

fn judged(expect: &str, facts: &[(&str, &str)], asset: &Asset) -> Outcome {
    let rule = rule(&format!("expect = {expect}"));
    let facts = Facts::of(facts.iter().map(|(name, said)| row(name, said)));
    judge(&rule, &rule.asks, asset, &facts).outcome
}

#[test]
fn a_value_is_held_against_what_is_expected() {
    use Outcome::{Fail, Pass};
    for (expect, said, expected) in [
        ("equals = true", "true", Pass),
        ("equals = true", "false", Fail),
        ("equals = 5", "5", Pass),
        ("equals = 'Enforcing'", "\"enforcing\"", Pass),
        ("one_of = [1, 2]", "2", Pass),
        ("none_of = ['md5', 'des']", "\"md5\"", Fail),
        ("at_least = 1, at_most = 900", "900", Pass),
        ("at_least = 1, at_most = 900", "901", Fail),
        ("matches = ['*userinit.exe']", "\"C:\\userinit.exe\"", Pass),
        ("matches = ['root']", "[root; toor]", Fail),
        ("contains = ['nodev', 'noexec']", "[rw; noexec; nodev]", Pass),
        ("contains = ['nodev', 'noexec']", "[rw; nodev]", Fail),
        ("contains_none = ['*: ALL']", "[x: ALL]", Fail),
        ("contains_none = ['*: ALL']", "[]", Pass),
        ("empty = true", "[]", Pass),
        ("empty = false", "[]", Fail),
        ("present = true", "\"x\"", Pass),
        ("present = false", "\"x\"", Fail),
        ("present = false", "absent", Pass),
        ("present = true", "absent", Fail),
    ] {
        let condition = format!("{{ fact = 'x.y', {expect} }}");
        assert_eq!(outcome(&condition, &[("x.y", said)]), expected, "{expect} of {said}");
    }
}

#[test]
fn another_type_is_an_error_and_no_failure() {
    assert_eq!(outcome("{ fact = 'x.y', equals = true }", &[("x.y", "1")]), Outcome::Error);
    assert_eq!(outcome("{ fact = 'x.y', at_least = 1 }", &[("x.y", "\"many\"")]), Outcome::Error);
    assert_eq!(outcome("{ fact = 'x.y', contains = ['a'] }", &[("x.y", "\"a\"")]), Outcome::Error);
}

#[test]
fn absence_is_what_the_rule_documents_by_build() {
    const BY_BUILD: &str =
        "{ fact = 'x.y', equals = false, absent = [{ before = 16299, value = true }, { value = false }] }";
    let with = |build| Asset { build, ..asset(Family::Windows) };
    let facts = [("x.y", "absent")];
    assert_eq!(judged(BY_BUILD, &facts, &with(Some(7_601))), Outcome::Fail);
    assert_eq!(judged(BY_BUILD, &facts, &with(Some(16_299))), Outcome::Pass);
    assert_eq!(judged(BY_BUILD, &facts, &with(None)), Outcome::NotChecked(Missing::BuildUnknown));
    let silent = outcome("{ fact = 'x.y', equals = false }", &facts);
    assert_eq!(silent, Outcome::NotChecked(Missing::AbsenceUndetermined), "nothing is guessed");
}

#[test]
fn subjects_are_all_held_unless_one_is_enough() {
    let facts = [("x.y[a]", "true"), ("x.y[b]", "false")];
    assert_eq!(outcome("{ fact = 'x.y', equals = true }", &facts), Outcome::Fail);
    assert_eq!(outcome("{ fact = 'x.y', equals = true, each = 'some' }", &facts), Outcome::Pass);
    assert_eq!(outcome("{ fact = 'x.y', subject = 'A', equals = true }", &facts), Outcome::Pass);
    let nobody = "{ fact = 'x.y', subject = 'c', equals = true }";
    assert_eq!(outcome(nobody, &facts), Outcome::NotChecked(Missing::FactMissing));
    assert_eq!(outcome(nobody, &[("x.y", "denied")]), Outcome::NotChecked(Missing::Denied));
    let whole = outcome(nobody, &[("x.y", "absent")]);
    assert_eq!(whole, Outcome::NotChecked(Missing::AbsenceUndetermined));
}

#[test]
fn of_a_cut_list_only_what_is_there_is_certain() {
    let of = |expect: &str, items: &str| {
        let rule = rule(&format!("expect = {{ fact = 'x.y', {expect} }}"));
        let mut cut = row("x.y", items);
        cut.reason = Some("and 72 more".to_owned());
        judge(&rule, &rule.asks, &asset(Family::Linux), &Facts::of([cut])).outcome
    };
    let doubt = Outcome::NotChecked(Missing::ListCut);
    assert_eq!(of("contains_none = ['bad']", "[good]"), doubt);
    assert_eq!(of("contains_none = ['bad']", "[bad]"), Outcome::Fail);
    assert_eq!(of("contains = ['good']", "[good]"), Outcome::Pass);
    assert_eq!(of("contains = ['good']", "[bad]"), doubt);
    assert_eq!(of("empty = false", "[x]"), Outcome::Pass);
    assert_eq!(of("matches = ['good']", "[good]"), doubt);
}

#[test]
fn an_image_says_nothing_of_a_system_that_runs() {
    let rule = rule("needs_running = true\nexpect = { fact = 'x.y', equals = 1 }");
    let facts = Facts::of([row("x.y", "1")]);
    let with = |runs| {
        let asset = Asset { runs, ..asset(Family::Linux) };
        judge(&rule, &rule.asks, &asset, &facts).outcome
    };
    assert_eq!(with(Some(true)), Outcome::Pass);
    assert_eq!(with(Some(false)), Outcome::NotChecked(Missing::NotRunning));
    assert_eq!(with(None), Outcome::NotChecked(Missing::SectionMissing));
}

#[test]
fn what_is_not_installed_is_not_checked_further() {
    let rule = rule("when = { fact = 'x.there', equals = true }\nexpect = { fact = 'x.y', equals = 1 }");
    let of = |said: &str| {
        let facts = Facts::of([row("x.there", said), row("x.y", "1")]);
        judge(&rule, &rule.asks, &asset(Family::Linux), &facts).outcome
    };
    assert_eq!(of("true"), Outcome::Pass);
    assert_eq!(of("false"), Outcome::NotApplicable(Elsewhere::NothingThere));
    assert_eq!(of("denied"), Outcome::NotChecked(Missing::Denied));
}

#[test]
fn what_is_not_known_of_an_asset_is_no_answer() {
    let groups = RoleGroups::from([("operator".to_owned(), vec!["hmi".to_owned()])]);
    let applies = Applies { roles: vec!["operator".to_owned()], ..Applies::default() };
    let role = |role: &str| Asset { role: Some(role.to_owned()), ..Asset::default() };
    assert_eq!(applies.reaches(&role("HMI"), &groups), Reach::Yes);
    assert_eq!(applies.reaches(&role("ews"), &groups), Reach::No(Elsewhere::OtherAsset));
    let windows = Applies { os: Some(Family::Windows), from_build: Some(10_240), ..Applies::default() };
    assert_eq!(windows.reaches(&Asset::default(), &groups), Reach::Unknown(Missing::SystemUnknown));
    let unknown = Asset { family: Some(Family::Windows), ..Asset::default() };
    assert_eq!(windows.reaches(&unknown, &groups), Reach::Unknown(Missing::BuildUnknown));
    assert_eq!(windows.reaches(&asset(Family::Linux), &groups), Reach::No(Elsewhere::OtherSystem));

    let pattern = Pattern::new("SIMATIC PCS 7*").unwrap();
    let vendor = Applies { products: vec![pattern.clone()], ..Applies::default() };
    let with = |installed: &[&str], are_all| {
        let installed = installed.iter().map(|it| (*it).to_owned()).collect();
        Asset { products: Products { installed, are_all }, ..Asset::default() }
    };
    assert_eq!(vendor.reaches(&with(&[pattern.as_str()], false), &groups), Reach::Yes);
    assert_eq!(vendor.reaches(&with(&[], true), &groups), Reach::No(Elsewhere::OtherAsset));
    assert_eq!(vendor.reaches(&with(&[], false), &groups), Reach::Unknown(Missing::SectionIncomplete));
}

fn any_row() -> impl Strategy<Value = HardeningRow> {
    let said = prop_oneof![
        Just("absent".to_owned()),
        Just("denied".to_owned()),
        Just("error".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("0".to_owned()),
        Just("255".to_owned()),
        Just("[]".to_owned()),
        Just("\"disabled\"".to_owned()),
    ];
    let facts: Vec<String> = super::super::facts::catalog().facts().map(str::to_owned).collect();
    (proptest::sample::select(facts), said).prop_map(|(fact, said)| row(&fact, &said))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the facts say: a section that is not whole, not there or too old makes no rule pass or fail.
    #[test]
    fn a_section_that_is_not_whole_never_passes(
        rows in prop::collection::vec(any_row(), 0..200),
        gap in prop_oneof![
            Just(Missing::SectionIncomplete), Just(Missing::SectionMissing), Just(Missing::InventoryStale)
        ],
        linux in any::<bool>(),
    ) {
        let rules = super::super::Ruleset::new(&[]);
        let family = if linux { Family::Linux } else { Family::Windows };
        let asset = Asset { gap: Some(gap), ..asset(family) };
        let facts = Facts::of(rows);
        for entry in &rules.rules {
            let outcome = rules.judge(entry, &asset, &facts).1.outcome;
            prop_assert!(
                matches!(outcome, Outcome::NotChecked(_) | Outcome::NotApplicable(_)),
                "{}: {outcome:?}", entry.rule.id
            );
        }
    }

    /// Taking a fact away, or the right to read it, never makes a rule pass that asks for that fact alone.
    #[test]
    fn less_is_never_better(rows in prop::collection::vec(any_row(), 1..100)) {
        let rules = super::super::Ruleset::new(&[]);
        for entry in &rules.rules {
            let Asks::Facts(Condition::Fact(leaf)) = &entry.rule.asks else { continue };
            let asset = asset(if entry.rule.id.starts_with('W') { Family::Windows } else { Family::Linux });
            let without = Facts::of(rows.iter().filter(|it| it.id != leaf.fact).cloned());
            prop_assert_ne!(rules.judge(entry, &asset, &without).1.outcome, Outcome::Pass, "{}", &entry.rule.id);
            let denied = rows.iter().cloned().map(|mut it| {
                if it.id == leaf.fact { it.value = None; "denied".clone_into(&mut it.state); }
                it
            });
            let denied = Facts::of(denied);
            prop_assert_ne!(rules.judge(entry, &asset, &denied).1.outcome, Outcome::Pass, "{}", &entry.rule.id);
        }
    }
}
