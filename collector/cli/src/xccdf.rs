//! Results of hardening as XCCDF 1.2 (NIST IR 7275 revision 4), for tools that read what scanners write.
//!
//! One asset is a `TestResult` of its own; several are a `Benchmark` with the rules and a `TestResult` for each.
//! A result is `pass`, `fail`, `notapplicable`, `notchecked` or `error`; an exception is `informational` with an
//! `override` that says who accepts it, so that no tool counts it as a pass.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::failure::Failure;
use crate::view::hardening::{Rule, Rules, Score, Scores, Tested};
use crate::view::rfc3339;

const NAMESPACE: &str = "http://checklists.nist.gov/xccdf/1.2";
/// How identifiers begin: the standard wants a name that somebody owns in them.
const OWNER: &str = "org.holdpoint";
const BENCHMARK: &str = "xccdf_org.holdpoint_benchmark_hardening";
/// What the scores mean; the standard's own models do not know weights of what was not checked.
const SCORING: &str = "urn:holdpoint:scoring:checked-weight";
const FACTS: &str = "urn:holdpoint:facts";

/// The document.
pub fn document(results: &[Tested], rules: &Rules, scores: &Scores, now_ms: i64) -> Result<Vec<u8>, Failure> {
    let now = rfc3339(now_ms).unwrap_or_default();
    let mut assets: Vec<&str> = results.iter().map(|it| it.asset.as_str()).collect();
    assets.dedup();
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    let written = match assets.as_slice() {
        [asset] => declaration(&mut xml)
            .and_then(|()| test_result(&mut xml, asset, results, rules, scores, &now, true)),
        [] => return Err(Failure::No("there are no results to write".to_owned())),
        several => {
            declaration(&mut xml).and_then(|()| benchmark(&mut xml, several, results, rules, scores, &now))
        }
    };
    written.map_err(Failure::Stdout)?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

type Xml = Writer<Vec<u8>>;

fn declaration(xml: &mut Xml) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))
}

fn text(xml: &mut Xml, name: &str, content: &str) -> io::Result<()> {
    xml.create_element(name).write_text_content(BytesText::new(&plain(content)))?;
    Ok(())
}

fn benchmark(
    xml: &mut Xml,
    assets: &[&str],
    results: &[Tested],
    rules: &Rules,
    scores: &Scores,
    now: &str,
) -> io::Result<()> {
    let element = xml
        .create_element("Benchmark")
        .with_attribute(("xmlns", NAMESPACE))
        .with_attribute(("id", BENCHMARK))
        .with_attribute(("xml:lang", "en"));
    element.write_inner_content(|xml| {
        xml.create_element("status")
            .with_attribute(("date", now.get(..10).unwrap_or(now)))
            .write_text_content(BytesText::new("draft"))?;
        text(xml, "title", "Hardening of plant hosts")?;
        text(xml, "version", env!("CARGO_PKG_VERSION"))?;
        for rule in &rules.rules {
            one_rule(xml, rule)?;
        }
        for asset in assets {
            test_result(xml, asset, results, rules, scores, now, false)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn one_rule(xml: &mut Xml, rule: &Rule) -> io::Result<()> {
    let element = xml
        .create_element("Rule")
        .with_attribute(("id", rule_id(&rule.id).as_str()))
        .with_attribute(("severity", severity(&rule.severity)))
        .with_attribute(("weight", rule.weight.to_string().as_str()));
    element.write_inner_content(|xml| {
        text(xml, "title", &rule.title)?;
        text(xml, "description", &rule.expected)?;
        for it in &rule.references {
            let kind = if it.mapping { "mapping: " } else { "" };
            text(xml, "reference", &format!("{kind}{}", it.text))?;
        }
        if let Some(why) = &rule.why {
            text(xml, "rationale", why)?;
        }
        for it in rule.references.iter().filter(|it| is_ident(&it.text)) {
            ident(xml, &it.text)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn test_result(
    xml: &mut Xml,
    asset: &str,
    results: &[Tested],
    rules: &Rules,
    scores: &Scores,
    now: &str,
    is_root: bool,
) -> io::Result<()> {
    let of_asset: Vec<&Tested> = results.iter().filter(|it| it.asset == asset).collect();
    let as_of = of_asset.iter().find_map(|it| it.as_of.as_deref()).unwrap_or(now);
    let id = format!("xccdf_{OWNER}_testresult_{}", token(asset));
    let mut element = xml.create_element("TestResult");
    if is_root {
        element = element.with_attribute(("xmlns", NAMESPACE));
    }
    let element = element
        .with_attribute(("id", id.as_str()))
        .with_attribute(("start-time", as_of))
        .with_attribute(("end-time", now))
        .with_attribute(("test-system", concat!("holdpoint ", env!("CARGO_PKG_VERSION"))))
        .with_attribute(("version", env!("CARGO_PKG_VERSION")));
    element.write_inner_content(|xml| {
        xml.create_element("benchmark")
            .with_attribute(("href", if is_root { "urn:holdpoint:hardening" } else { "#" }))
            .with_attribute(("id", BENCHMARK))
            .write_empty()?;
        text(xml, "title", &format!("Hardening of {asset}"))?;
        text(xml, "target", asset)?;
        for it in &of_asset {
            rule_result(xml, it, rules, now)?;
        }
        let score = scores.assets.iter().find(|it| it.asset.as_deref() == Some(asset));
        score_of(xml, score)
    })?;
    Ok(())
}

fn rule_result(xml: &mut Xml, it: &Tested, rules: &Rules, now: &str) -> io::Result<()> {
    let rule = rules.rules.iter().find(|rule| rule.id == it.rule);
    let weight = rule.map_or(1, |it| it.weight).to_string();
    let element = xml
        .create_element("rule-result")
        .with_attribute(("idref", rule_id(&it.rule).as_str()))
        .with_attribute(("time", it.as_of.as_deref().unwrap_or(now)))
        .with_attribute(("severity", severity(&it.severity)))
        .with_attribute(("weight", weight.as_str()));
    element.write_inner_content(|xml| {
        text(xml, "result", result(&it.result))?;
        if it.result == "EXCEPTION" {
            let remark = it.reason.as_deref().unwrap_or("accepted");
            xml.create_element("override")
                .with_attribute(("time", it.as_of.as_deref().unwrap_or(now)))
                .with_attribute(("authority", "the site's file of rules"))
                .write_inner_content(|xml| {
                    text(xml, "old-result", "fail")?;
                    text(xml, "new-result", "informational")?;
                    text(xml, "remark", remark)
                })?;
        }
        for reference in rule.into_iter().flat_map(|it| &it.references).filter(|it| is_ident(&it.text)) {
            ident(xml, &reference.text)?;
        }
        if let Some(reason) = &it.reason {
            xml.create_element("message")
                .with_attribute(("severity", if it.result == "ERROR" { "error" } else { "info" }))
                .write_text_content(BytesText::new(&plain(reason)))?;
        }
        let part = |name: &str, value: &Option<String>| value.as_ref().map(|it| format!("{name}: {it}"));
        let told = [
            part("observed", &it.observed),
            part("expected", &it.expected),
            part("source", &it.source),
            part("profile", &Some(it.profile.clone())),
        ];
        let told: Vec<String> = told.into_iter().flatten().collect();
        xml.create_element("check")
            .with_attribute(("system", FACTS))
            .write_inner_content(|xml| text(xml, "check-content", &told.join("; ")))?;
        Ok(())
    })?;
    Ok(())
}

fn score_of(xml: &mut Xml, score: Option<&Score>) -> io::Result<()> {
    // Nothing checked is no score of nothing: the standard has no word for it but 0.
    let value = score.and_then(|it| it.score).unwrap_or(0.0);
    xml.create_element("score")
        .with_attribute(("system", SCORING))
        .with_attribute(("maximum", "100"))
        .write_text_content(BytesText::new(&format!("{value:.1}")))?;
    Ok(())
}

fn ident(xml: &mut Xml, reference: &str) -> io::Result<()> {
    let system = match reference.split([' ', '-']).next() {
        Some("SR") => "urn:iec:std:iec:62443-3-3",
        Some("C8") => "https://www.cisecurity.org/controls/v8",
        _ => "urn:nerc:cip",
    };
    xml.create_element("ident")
        .with_attribute(("system", system))
        .write_text_content(BytesText::new(&plain(reference)))?;
    Ok(())
}

fn is_ident(reference: &str) -> bool {
    ["SR ", "C8 ", "CIP-"].iter().any(|it| reference.starts_with(it))
}

fn rule_id(id: &str) -> String {
    format!("xccdf_{OWNER}_rule_{}", token(id))
}

/// What may stand in an identifier.
fn token(text: &str) -> String {
    let is_fine = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_');
    text.chars().map(|it| if is_fine(it) { it } else { '-' }).collect()
}

/// What XML can hold: it has no way to write most control characters.
fn plain(text: &str) -> String {
    text.chars()
        .map(|it| if it.is_control() || matches!(it, '\u{fffe}' | '\u{ffff}') { ' ' } else { it })
        .collect()
}

fn severity(word: &str) -> &'static str {
    match word {
        "low" => "low",
        "medium" => "medium",
        "high" | "critical" => "high",
        _ => "unknown",
    }
}

/// The standard's words; one that this version does not know was not checked.
fn result(word: &str) -> &'static str {
    match word {
        "PASS" => "pass",
        "FAIL" => "fail",
        "EXCEPTION" => "informational",
        "NOT_APPLICABLE" => "notapplicable",
        "ERROR" => "error",
        _ => "notchecked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::v1 as pb;
    use quick_xml::Reader;

    fn tested(asset: &str, rule: &str, result: &str, reason: &str) -> Tested {
        Tested::from(pb::HardeningResult {
            asset: asset.into(),
            rule: rule.into(),
            result: result.into(),
            observed: Some("smb1.server = <true> & \u{1b}[31m\"on\"".into()),
            reason: Some(reason.into()),
            severity: "critical".into(),
            profile: "windows".into(),
            as_of_ms: Some(1_790_000_000_000),
            ..Default::default()
        })
    }

    fn rules() -> Rules {
        let rule = pb::HardeningRule {
            id: "W06.server".into(),
            title: "The SMBv1 server is off".into(),
            severity: "critical".into(),
            weight: 10,
            references: vec![
                pb::HardeningReference { text: "SR 7.7".into(), mapping: true },
                pb::HardeningReference { text: "Guide 4711".into(), mapping: false },
            ],
            ..Default::default()
        };
        Rules::from(pb::ListHardeningRulesResponse { rules: vec![rule], warnings: Vec::new() })
    }

    /// Names of elements in the order in which they begin; panics where it is no XML.
    fn elements(bytes: &[u8]) -> Vec<String> {
        let mut reader = Reader::from_reader(bytes);
        let (mut names, mut depth, mut buffer) = (Vec::new(), 0, Vec::new());
        loop {
            match reader.read_event_into(&mut buffer).unwrap() {
                Event::Start(it) => {
                    names.push(format!("{depth}{}", it.name().as_ref()));
                    depth += 1;
                }
                Event::Empty(it) => {
                    names.push(format!("{depth}{}", it.name().as_ref()));
                }
                Event::End(_) => depth -= 1,
                Event::Eof => return names,
                Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_)
                | Event::GeneralRef(_) => {}
            }
        }
    }

    #[test]
    fn one_asset_is_a_result_of_its_own_in_the_standards_order() {
        let results = [tested("hmi 01", "W06.server", "EXCEPTION", "accepted until 2027-03-31 by ann")];
        let bytes = document(&results, &rules(), &Scores::default(), 1_790_000_000_000).unwrap();
        assert_eq!(
            elements(&bytes),
            [
                "0TestResult",
                "1benchmark",
                "1title",
                "1target",
                "1rule-result",
                "2result",
                "2override",
                "3old-result",
                "3new-result",
                "3remark",
                "2ident",
                "2message",
                "2check",
                "3check-content",
                "1score",
            ]
        );
        let text = String::from_utf8(bytes).unwrap();
        for part in [
            "id=\"xccdf_org.holdpoint_testresult_hmi-01\"",
            "idref=\"xccdf_org.holdpoint_rule_W06.server\"",
            "<result>informational</result>",
            "<ident system=\"urn:iec:std:iec:62443-3-3\">SR 7.7</ident>",
            "smb1.server = &lt;true&gt; &amp;  [31m",
            "severity=\"high\" weight=\"10\"",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("Guide 4711"), "a document is no identifier");
    }

    #[test]
    fn several_assets_are_a_benchmark_with_their_results() {
        let results = [
            tested("a", "W06.server", "FAIL", "x"),
            tested("a", "W02", "NOT_CHECKED", "no-lifecycle: x"),
            tested("b", "W06.server", "PASS", "x"),
        ];
        let bytes = document(&results, &rules(), &Scores::default(), 1_790_000_000_000).unwrap();
        let top: Vec<String> = elements(&bytes).into_iter().filter(|it| it.starts_with(['0', '1'])).collect();
        assert_eq!(
            top,
            ["0Benchmark", "1status", "1title", "1version", "1Rule", "1TestResult", "1TestResult"]
        );
        let text = String::from_utf8(bytes).unwrap();
        for (word, count) in [("fail", 1), ("notchecked", 1), ("pass", 1)] {
            assert_eq!(text.matches(&format!("<result>{word}</result>")).count(), count, "{word}");
        }
        assert!(document(&[], &rules(), &Scores::default(), 0).is_err());
    }
}
