use super::*;
use crate::knowledge::map_file::{Severity, lint, write};

pub(in crate::knowledge) const RULES: &str = r#"
# reviewed
[[map]]
id = "en2t-series-a"
decision = "same"
scheme = "natural"
zero_padded = "integers"
author = "kim"
date = 2026-05-01
evidence = "nameplate, photo 17"
expires = "2027-05-01"
[map.installed]
source = "firmware"
publisher = "Example*"
name = "1756-EX2T Series A"
[map.advisory]
vendors = ["Example Controls"]
products = ["1756-EX2T Series A"]
[[map.choice]]
fact = "controller.firmware-signed"
value = "no"
ranges = ["<= 5.008"]
[[map.choice]]
fact = "controller.firmware-signed"
value = "yes"
ranges = ["<= 5.028"]

[[map]]
id = "studio"
decision = "same"
scheme = "natural"
version_from = "name"
line = "V33"
branch = 1
author = "kim"
date = "2026-05-01T08:00:00Z"
evidence = "order"
[map.installed]
name = "Studio 5000 Designer v{version} (*)"
[map.advisory]
vendors = ["Example Controls", ""]
products = ["Studio"]
order_numbers = ["6ES7 518-4AX00-1AB0"]

[[map]]
id = "not-the-viewer"
decision = "not"
reason = "the viewer has no driver"
author = "kim"
date = "2026-05-01"
[map.installed]
package = "Mixer-View"
publisher = ""
[map.advisory]
vendors = ["Example Controls"]
products = ["Mixer View"]
document = "EXC-26-001"
revision = "2"

[[fact]]
asset = "plc-1"
fact = "controller.firmware-signed"
value = "no"
author = "kim"
date = "2026-05-01"
evidence = "seal"
"#;

#[test]
fn every_key_is_read_and_written_text_reads_back() {
    let file = read(RULES).unwrap();
    assert_eq!((file.rules.len(), file.declared.len()), (3, 1));
    let [first, second, third] = file.rules.as_slice() else { panic!("three rules") };
    assert_eq!(first.reading.unwrap().padded, Padded::Integers);
    assert_eq!(first.signed.expires_ms, Some(1_809_129_600_000));
    assert_eq!(first.choices[1].ranges.first().map(String::as_str), Some("<= 5.028"));
    assert_eq!(second.version_from, VersionFrom::Name);
    assert_eq!(second.reading.unwrap().branch, Some(1));
    assert!(second.advisory.order_numbers.contains("6ES75184AX001AB0"));
    assert_eq!(third.installed.publisher, Some(Publisher::Absent));
    assert_eq!(third.installed.package.as_deref(), Some("mixer-view"));
    assert!(matches!(&third.decision, Decision::Not { revision: Some(it) } if it.revision == "2"));

    let written = write(&[], [&file]);
    assert_eq!(written.left_out, Vec::<String>::new());
    assert_eq!(written.items, 4);
    assert_eq!(read(&written.text).unwrap(), file, "{}", written.text);
    assert!(looks_like_map(&written.text) && looks_like_map(RULES) && !looks_like_map("[[requirement]]"));
}

/// The first rule with one thing changed.
fn changed(from: &str, to: &str) -> String {
    let one = RULES.split("\n[[map]]").nth(1).unwrap();
    assert!(one.contains(from), "{from}");
    let text = format!("[[map]]{}", one.replacen(from, to, 1));
    read(&text).unwrap_err().to_string()
}

#[test]
fn each_fault_refuses_the_file_in_one_sentence() {
    for (from, to, why) in [
        ("id = \"en2t-series-a\"", "id = \"a b\"", "blanks"),
        ("id = \"en2t-series-a\"", "", "missing field `id`"),
        ("decision = \"same\"", "decision = \"maybe\"", "neither `same` nor `not`"),
        ("decision = \"same\"", "decision = \"not\"", "reads no version"),
        ("scheme = \"natural\"", "", "need a `scheme`"),
        ("scheme = \"natural\"", "scheme = \"best\"", "unknown version scheme"),
        ("scheme = \"natural\"", "scheme = \"deb\"", "means nothing in the scheme deb"),
        ("zero_padded = \"integers\"", "zero_padded = \"yes\"", "neither `integers`"),
        ("zero_padded = \"integers\"", "branch = 9", "1 to 4"),
        ("author = \"kim\"", "author = \" \"", "`author` is missing"),
        ("author = \"kim\"", "autor = \"kim\"", "unknown field `autor`"),
        ("date = 2026-05-01", "date = \"May\"", "no date like"),
        ("date = 2026-05-01", "date = 5", "`date` is no date"),
        ("expires = \"2027-05-01\"", "expires = \"2026-04-01\"", "expires before"),
        ("evidence = \"nameplate, photo 17\"", "", "`evidence` is missing"),
        ("name = \"1756-EX2T Series A\"", "name = \"*\"", "begin with a whole word"),
        ("name = \"1756-EX2T Series A\"", "", "needs a name, package"),
        ("name = \"1756-EX2T Series A\"", "name = \"a {version}\"", "is not `name`"),
        ("name = \"1756-EX2T Series A\"", "file = \"c:\\\\a.exe\"", "without its directories"),
        ("vendors = [\"Example Controls\"]", "", "two vendors may sell"),
        ("products = [\"1756-EX2T Series A\"]", "", "needs `products`"),
        ("products = [\"1756-EX2T Series A\"]", "order_numbers = [\"6ES7*\"]", "given in full"),
        ("products = [\"1756-EX2T Series A\"]", "products = [\"a\"]\nrevision = \"1\"", "go together"),
        ("products = [\"1756-EX2T Series A\"]", "products = [\"a\\nb\"]", "line break"),
        ("products = [\"1756-EX2T Series A\"]", "products = [\"a\"]\nshown_in = \"X\"", "starter rules"),
        ("ranges = [\"<= 5.008\"]", "", "names the `ranges`"),
    ] {
        let error = changed(from, to);
        assert!(error.starts_with("rule 1") && error.contains(why), "{from} -> {to}: {error}");
    }
}

#[test]
fn hostile_toml_is_refused_within_bounds() {
    let syntax = |text: &str| matches!(read(text), Err(InvalidMap::Syntax(_)));
    assert!(syntax("[[map]"));
    assert!(syntax("map = 3"));
    assert!(syntax("[[map]]\n[other]\n"));
    assert!(syntax(&format!("map = {}", "[".repeat(100_000))));
    assert!(syntax(&format!("[[map]]\nid = {}", "{a=".repeat(50_000))));
    assert_eq!(read(""), Err(InvalidMap::Empty));
    assert_eq!(read(&" ".repeat(MAX_MAP_FILE + 1)), Err(InvalidMap::TooLarge));
    assert_eq!(read(&"[[map]]\n".repeat(MAX_RULES + 1)), Err(InvalidMap::TooMany));
    let long = format!("[[map]]\nid = \"{}\"", "x".repeat(MAX_VALUE + 1));
    assert!(read(&long).unwrap_err().to_string().contains("longer than 1000 bytes"));
    let wide = format!("[[map]]\nid = [{}]", "1,".repeat(MAX_LIST + 1));
    assert!(read(&wide).unwrap_err().to_string().contains("more than 200 items"));
    let many = faults(&"[[map]]\nid = 1\n".repeat(5_000)).unwrap();
    assert_eq!(many.len(), MAX_FAULTS);
    let doubled = format!("{RULES}{}", RULES.replace("[[fact]]", "[[fact]] # "));
    let error = read(&doubled).unwrap_err().to_string();
    assert!(error.contains("rule 1 has the same id") && error.contains("and 2 more"), "{error}");
}

#[test]
fn a_starter_rule_names_an_advisory_and_may_use_patterns() {
    let rule = RULES.split("\n[[map]]").nth(1).unwrap();
    let text = format!("[[map]]{rule}")
        .replace("products = [\"1756-EX2T Series A\"]", "products = [\"1756-EX2T *\"]");
    assert!(read_starter(&text).unwrap_err().to_string().contains("shown_in"));
    let text = text.replace("products =", "shown_in = \"EXC-1\"\nproducts =");
    assert_eq!(read_starter(&text).unwrap().rules.len(), 1);
    let text = text.replace("\"1756-EX2T *\"", "\"*\"");
    assert!(read_starter(&text).unwrap_err().to_string().contains("whole word"));
}

#[test]
fn a_file_says_what_is_wrong_with_it_before_it_is_taken() {
    let found = lint([&read(RULES).unwrap()], 1_809_129_600_000 - 86_400_000);
    let has = |severity, rule: &str, text: &str| {
        found.iter().any(|it| it.severity == severity && it.rule == rule && it.text.contains(text))
    };
    assert!(has(Severity::Warning, "en2t-series-a", "expires in 1 days"), "{found:#?}");
    assert!(has(Severity::Warning, "studio", "any publisher"), "{found:#?}");
    assert!(has(Severity::Note, "studio", "never expires"), "{found:#?}");
}

#[test]
fn the_sample_that_is_shipped_can_be_read() {
    let file = read(include_str!("../../../../deploy/config/map.toml")).unwrap();
    assert_eq!((file.rules.len(), file.declared.len()), (3, 1));
    assert!(lint([&file], 0).iter().all(|it| it.severity != Severity::Error));
}
