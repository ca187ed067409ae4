use super::*;

fn faults(body: &str) -> Vec<String> {
    read(&format!("kind = \"hardening\"\n{body}")).err().map(|it| it.faults).unwrap_or_default()
}

fn rule(keys: &str) -> String {
    format!("[[rule]]\nid = \"S1\"\ntitle = \"t\"\n{keys}\n")
}

#[test]
fn a_whole_file_is_read() {
    let text = r#"
# The site's own.
kind = "hardening"

[profile]
name = "pcs7"
document = "Security concept, edition 2024-11, 5.3"
applies = { products = ["SIMATIC PCS 7*"], os = "windows" }

[roles]
operator-station = ["bedienstation"]

[[rule]]
id = "PLANT.marker"
title = "The marker is there"
severity = "low"
weight = 7
references = ["site standard 4.2"]
expect = { fact = "site.marker", equals = true }

[[override]]
rule = "W20"
expect = { fact = "lockout.threshold", equals = 0 }
reason = "operators are never locked out"

[[disable]]
rule = "W26"
applies = { roles = ["operator-station"] }
reason = "scripts of the HMI"

[[exception]]
rule = "W06"
asset = "hmi-07"
reason = "old storage, replaced in spring"
owner = "the process engineer"
expires = 2027-03-31
"#;
    assert!(looks_like(text));
    let file = read(text).unwrap();
    assert_eq!(file.items(), 4);
    assert_eq!((file.rules[0].weight(), file.rules[0].check()), (7, "PLANT"));
    let exception = &file.exceptions[0];
    assert_eq!((exception.last_day.as_str(), exception.scope().as_str()), ("2027-03-31", "asset hmi-07"));
    assert_eq!(exception.expires_ms, 1_806_537_600_000, "the day itself is still good");
    assert!(exception.is_valid(1_806_537_599_999) && !exception.is_valid(1_806_537_600_000));
}

#[test]
fn only_a_text_that_says_so_is_a_file_of_rules() {
    assert!(looks_like("\n# x\nkind='hardening' # rules\n"));
    for other in
        ["[[requirement]]\n", "kind = \"map\"\n", "id,product\n", "x = 1\nkind = \"hardening\"\n", ""]
    {
        assert!(!looks_like(other), "{other}");
    }
}

#[test]
fn everything_that_is_wrong_is_refused_with_its_place() {
    for (body, expected) in [
        ("[[rules]]\nid = 1\n", "`rules` is not known"),
        ("rule = 5\n", "`rule` is a integer, not a list of tables"),
        (&rule("expct = 1"), "unknown field `expct`"),
        (&rule(""), "either `expect` or `not_checked`"),
        (&rule("expect = { fact = 'x.y' }"), "nothing is expected of `x.y`"),
        (&rule("expect = { fact = 'X Y', equals = 1 }"), "`X Y` is no name of a fact"),
        (&rule("expect = { fact = 'smb1', equals = 1 }"), "`smb1` is no name of a fact"),
        (&rule("expect = { fact = 'smb1.server', equals = 1 }"), "`smb1.server` is a flag"),
        (&rule("expect = { fact = 'smb1.server', at_least = 1 }"), "`smb1.server` is a flag"),
        (&rule("expect = { fact = 'x.y', at_least = '1' }"), "invalid type: string \"1\", expected i64"),
        (&rule("expect = { fact = 'x.y', equals = 1.5 }"), "`equals` is a float"),
        (&rule("expect = { fact = 'x.y', one_of = [1, 'a'] }"), "of different types"),
        (&rule("expect = { fact = 'x.y', at_least = 5, at_most = 4 }"), "above `at_most`"),
        (&rule("expect = { fact = 'x.y', equals = true, absent = { value = 1 } }"), "says nothing"),
        (&rule("expect = { fact = 'x.y', equals = true, absent = 'maybe' }"), "`absent` is pass, fail"),
        (
            &rule("expect = { fact = 'x.y', equals = true, absent = [{ before = 1, value = true }] }"),
            "the last one alone has no `before`",
        ),
        (&rule("expect = { all = [], any = [] }"), "one of `all`, `any` and `fact`"),
        (&rule("expect = { all = [] }"), "has no parts"),
        (&rule("expect = { fact = 'x.y', equals = 1, missing = 'pass' }"), "`missing` is `pass`"),
        (&rule("severity = 'huge'\nexpect = { fact = 'x.y', equals = 1 }"), "`severity` is `huge`"),
        (&rule("applies = { os = 'plan9' }\nexpect = { fact = 'x.y', equals = 1 }"), "`os` is `plan9`"),
        (&rule("not_checked = { reason = 'lazy', text = 't' }"), "`not_checked.reason` is `lazy`"),
        ("[[exception]]\nrule = 'W06'\nrole = 'hmi'\nreason = 'r'\nowner = 'o'\n", "missing field `expires`"),
        (
            "[[exception]]\nrule = 'W06'\nrole = 'hmi'\nreason = 'r'\nowner = ' '\nexpires = 2027-01-01\n",
            "`owner` is not one line",
        ),
        (
            "[[exception]]\nrule = 'W06'\nreason = 'r'\nowner = 'o'\nexpires = 2027-01-01\n",
            "it is for nobody",
        ),
        (
            "[[exception]]\nrule = 'W06'\nasset = '*'\nreason = 'r'\nowner = 'o'\nexpires = 2027-01-01\n",
            "would be every asset",
        ),
        (
            "[profile]\nname = 'v'\napplies = { products = ['X*'] }\n[[override]]\nrule = 'W20'\n\
             not_applicable = true\nreason = 'r'\n",
            "names the document",
        ),
        ("[[override]]\nrule = 'W20'\nreason = 'r'\n", "it changes nothing"),
        ("# nothing\n", "it holds no rule"),
        ("[[rule]\n", "line 2"),
    ] {
        let found = faults(body);
        assert!(found.iter().any(|it| it.contains(expected)), "{body}: {found:#?} without {expected}");
    }
}

#[test]
fn every_fault_is_named_and_nothing_is_taken() {
    let one = rule("expect = { fact = 'x.y' }");
    let found = faults(&format!("{one}{one}{}", rule("nothing = 1")));
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found.iter().any(|it| it.starts_with("rule 1 (S1): ")), "{found:#?}");
    let twice = rule("expect = { fact = 'x.y', equals = 1 }").repeat(2);
    assert_eq!(faults(&twice), ["rule S1: the identifier is there twice"]);
}

#[test]
fn hostile_files_are_bounded() {
    let deep = format!("{}{}", "{ all = [".repeat(200), "] }".repeat(200));
    assert!(!faults(&rule(&format!("expect = {deep}"))).is_empty());
    let leaf = "{ fact = 'x.y', equals = 1 },";
    let wide = rule(&format!("expect = {{ all = [{}] }}", leaf.repeat(150)));
    assert!(faults(&wide).iter().any(|it| it.contains("more than 100 expectations")));
    let many = rule("expect = { fact = 'x.y' }").repeat(300);
    assert_eq!(faults(&many).len(), MAX_FAULTS + 1, "faults are counted, not all named");
    assert!(faults(&"[".repeat(1_000_000)).len() == 1);
    let large = format!("# {}\n", "x".repeat(MAX_BYTES));
    assert!(faults(&large)[0].contains("larger than 2 MiB"));
}
