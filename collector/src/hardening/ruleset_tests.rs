use super::super::cases::{asset, row};
use super::super::read::read;
use super::super::result::Verdict;
use super::super::rule::Family;
use super::super::told::tell;
use super::*;
use crate::knowledge::Source;
use holdpoint_common::section::Digest;

const NOW: i64 = 1_790_000_000_000;

fn held(file: &str, body: &str) -> Held<RuleFile> {
    let text = format!("kind = \"hardening\"\n{body}");
    let content = Arc::new(read(&text).unwrap_or_else(|it| panic!("{it}")));
    let source = Source {
        digest: Digest::of(text.as_bytes()),
        file: file.to_owned(),
        imported_ms: 1,
        imported_by: "kim".to_owned(),
    };
    Held { content, source: Arc::new(source) }
}

fn told(rules: &Ruleset, rule: &str, asset: &Asset, facts: &[(&str, &str)]) -> super::super::told::Told {
    let entry = rules.rules.iter().find(|it| it.rule.id == rule).unwrap();
    let facts = Facts::of(facts.iter().map(|(name, said)| row(name, said)));
    let (chosen, seen) = rules.judge(entry, asset, &facts);
    tell(&chosen, &seen, asset, rules.exception(rule, asset, "hmi-07", "Mixer 3", NOW), NOW)
}

fn operator() -> Asset {
    Asset { role: Some("hmi".to_owned()), ..asset(Family::Windows) }
}

#[test]
fn a_sites_file_adds_overrides_and_disables_with_reasons() {
    let rules = Ruleset::new(&[held(
        "site.toml",
        r#"
[[rule]]
id = "W19"
title = "Passwords have fourteen characters or more"
expect = { fact = "password.min_length", at_least = 14 }
[[rule]]
id = "PLANT.marker"
title = "The marker is there"
expect = { fact = "site.marker", equals = true }
[[disable]]
rule = "W26"
reason = "scripts of the HMI"
[[override]]
rule = "W33"
applies = { tags = ["bench"] }
not_applicable = true
reason = "the test bench"
[[override]]
rule = "W99"
not_applicable = true
reason = "a typing error"
"#,
    )]);
    let length = [("password.min_length", "12")];
    let it = told(&rules, "W19", &operator(), &length);
    assert_eq!((it.verdict, it.expected.as_deref()), (Verdict::Fail, Some("is at least 14")));
    assert_eq!(told(&rules, "PLANT.marker", &operator(), &[("site.marker", "true")]).verdict, Verdict::Pass);
    let it = told(&rules, "W26", &operator(), &[("script_host.enabled[64-bit]", "true")]);
    assert_eq!(it.verdict, Verdict::NotChecked, "what is not checked is never good");
    assert_eq!(it.reason.as_deref(), Some("disabled: site.toml does not check it: scripts of the HMI"));
    let bench = Asset { tags: vec!["bench".to_owned()], ..operator() };
    let open = [
        ("rdp.enabled", "true"),
        ("rdp.security_layer", "\"rdp\""),
        ("rdp.network_level_authentication", "false"),
    ];
    assert_eq!(told(&rules, "W33", &bench, &open).verdict, Verdict::NotApplicable);
    assert_eq!(told(&rules, "W33", &operator(), &open).verdict, Verdict::Fail);
    assert_eq!(rules.warnings, ["site.toml: an override names `W99`, and there is no such rule"]);
}

#[test]
fn a_vendors_profile_speaks_where_its_product_is_installed_and_is_cited() {
    let rules = Ruleset::new(&[held(
        "pcs7.toml",
        r#"
[profile]
name = "pcs7"
document = "Security concept 5.3"
applies = { products = ["SIMATIC PCS 7*"] }
[[override]]
rule = "W11.level"
expect = { fact = "ntlm.lm_compatibility", at_least = 3, absent = { value = 3 } }
severity = "low"
reason = "the historian speaks the older form"
"#,
    )]);
    let facts = [("ntlm.lm_compatibility", "3")];
    assert_eq!(told(&rules, "W11.level", &operator(), &facts).verdict, Verdict::Fail);
    let installed = vec!["SIMATIC PCS 7*".to_owned()];
    let asset = Asset { products: super::super::judge::Products { installed, are_all: true }, ..operator() };
    let it = told(&rules, "W11.level", &asset, &facts);
    assert_eq!((it.verdict, it.expected.as_deref()), (Verdict::Pass, Some("is at least 3")));
    let reason = it.reason.unwrap();
    assert_eq!(reason, "expected by pcs7: the historian speaks the older form (Security concept 5.3)");
    let entry = rules.rules.iter().find(|it| it.rule.id == "W11.level").unwrap();
    assert_eq!(rules.choose(entry, &asset).0.weight(), 1);
    assert_eq!(rules.choose(entry, &operator()).0.weight(), 6);
}

#[test]
fn an_exception_holds_until_its_last_day_and_excuses_failures_alone() {
    let file = |day: &str| {
        held(
            "site.toml",
            &format!(
                "[[exception]]\nrule = \"W06\"\nasset = \"HMI-*\"\nreason = \"old storage\"\n\
                 owner = \"the process engineer\"\nexpires = {day}\n"
            ),
        )
    };
    let on = [("smb1.server", "true")];
    let rules = Ruleset::new(&[file("2026-12-31")]);
    let it = told(&rules, "W06.server", &operator(), &on);
    assert_eq!((it.verdict, it.expires_ms), (Verdict::Exception, Some(1_798_761_600_000)));
    assert!(it.reason.unwrap().starts_with("accepted until 2026-12-31 by the process engineer"));
    let off = told(&rules, "W06.server", &operator(), &[("smb1.server", "false")]);
    assert_eq!(off.verdict, Verdict::Pass);
    let denied = told(&rules, "W06.server", &operator(), &[("smb1.server", "denied")]);
    assert_eq!(denied.verdict, Verdict::NotChecked, "an exception is no answer");

    let rules = Ruleset::new(&[file("2026-01-01")]);
    let it = told(&rules, "W06.server", &operator(), &on);
    assert_eq!((it.verdict, it.expires_ms), (Verdict::Fail, None));
    assert_eq!(it.reason.unwrap(), "the exception of the process engineer ended on 2026-01-01 (site.toml)");
}

#[test]
fn an_answer_names_its_facts_their_source_and_what_absence_means() {
    let rules = Ruleset::new(&[]);
    let it = told(&rules, "W11.level", &operator(), &[("ntlm.lm_compatibility", "absent")]);
    assert_eq!(it.observed.as_deref(), Some("absent, which means 3"));
    assert_eq!((it.source.as_deref(), it.expected.as_deref()), (Some("case"), Some("is at least 5")));
    let it = told(
        &rules,
        "W29.on",
        &operator(),
        &[("firewall.enabled[public]", "false"), ("firewall.enabled[domain]", "true")],
    );
    assert_eq!(it.observed.as_deref(), Some("firewall.enabled[public] = false"), "what decides is shown");
    let it = told(&rules, "W02", &operator(), &[]);
    assert_eq!(it.reason.as_deref(), Some("no-lifecycle: no list of supported versions is held"));
    assert_eq!((it.observed, it.expected, it.source), (None, None, None));
}
