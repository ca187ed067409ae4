//! CEF (`ArcSight` Common Event Format, revision 27) lines of events and findings, and their frame for syslog
//! (RFC 5424).
//!
//! In the header a backslash and a bar are escaped, in a value a backslash, an equals sign and line breaks; in the
//! header a line break has no form and becomes a blank. Other control characters are left out: a host's own text
//! is in here, and nobody's log should take orders from it.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{PRODUCT, VERSION};
use crate::view::event::Event;
use crate::view::finding::Finding;

/// Facility 13 of RFC 5424, "log audit".
const FACILITY: u8 = 13;

/// A finding.
pub fn finding(it: &Finding) -> String {
    let severity = match it.verdict.as_str() {
        "AFFECTED" => 8,
        "INSTALLED_NOT_LIVE" => 6,
        "FIXED" | "NOT_AFFECTED" | "NO_PRODUCT" => 1,
        // A doubt, and a word that this version does not know.
        _ => 5,
    };
    let name = match &it.reason {
        Some(reason) => format!("{} ({reason})", it.verdict),
        None => it.verdict.clone(),
    };
    let mut line = header(&format!("finding:{}", it.verdict), &name, severity);
    let fields = [
        ("cat", Some(it.kind.as_str())),
        ("dhost", Some(it.asset.as_str())),
        ("externalId", Some(it.subject.as_str())),
        ("cs1Label", it.advisory.as_ref().map(|_| "advisory")),
        ("cs1", it.advisory.as_deref()),
        ("cs2Label", it.vulnerability.as_ref().map(|_| "vulnerability")),
        ("cs2", it.vulnerability.as_deref()),
        ("cs3Label", it.product.as_ref().map(|_| "product")),
        ("cs3", it.product.as_deref()),
        ("cs4Label", it.installed.as_ref().map(|_| "installed")),
        ("cs4", it.installed.as_deref()),
        ("cs5Label", it.required.as_ref().map(|_| "required")),
        ("cs5", it.required.as_deref()),
        ("cs6Label", it.grade.as_ref().map(|_| "evidenceGrade")),
        ("cs6", it.grade.as_deref()),
        ("outcome", Some(it.verdict.as_str())),
        ("reason", it.reason.as_deref()),
    ];
    extend(&mut line, it.as_of.as_deref(), &fields);
    line
}

/// Something that happened.
pub fn event(it: &Event) -> String {
    let severity = match it.kind.as_str() {
        "duplicate" | "clock" | "refused" | "silent" => 6,
        _ => 3,
    };
    let mut line = header(&format!("event:{}", it.kind), &it.kind, severity);
    let fields = [
        ("cat", Some("event")),
        ("dhost", it.asset.as_deref()),
        ("msg", it.text.as_deref()),
        ("deviceCustomDate1Label", it.host_time.as_ref().map(|_| "hostTime")),
        ("deviceCustomDate1", it.host_time.as_deref()),
    ];
    extend(&mut line, it.at.as_deref(), &fields);
    line
}

/// A line in the frame of syslog; `asset` stands for the host name, which is where RFC 5424 wants the origin.
pub fn framed(line: &str, time: Option<&str>, asset: Option<&str>) -> String {
    // CEF counts from 0 to 10, syslog from emergency (0) to debug (7).
    let severity = match line.split('|').nth(6).and_then(|it| it.parse::<u8>().ok()) {
        Some(7..) => 4,
        Some(4..) => 5,
        Some(_) | None => 6,
    };
    let time = time.and_then(micros).unwrap_or_else(|| "-".to_owned());
    let host: String = asset.unwrap_or_default().chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    // The mark before the message says that it is UTF-8.
    format!("<{}>1 {time} {host} holdpoint - - - \u{feff}{line}", FACILITY * 8 + severity)
}

/// RFC 5424 takes no more than six digits of a second.
fn micros(time: &str) -> Option<String> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    let whole = time.replace_nanosecond(time.nanosecond() / 1_000 * 1_000).ok()?;
    whole.format(&Rfc3339).ok()
}

fn header(signature: &str, name: &str, severity: u8) -> String {
    format!("CEF:0|{PRODUCT}|holdpoint|{VERSION}|{}|{}|{severity}|", in_header(signature), in_header(name))
}

fn extend(line: &mut String, time: Option<&str>, fields: &[(&str, Option<&str>)]) {
    let millis = time
        .and_then(|it| OffsetDateTime::parse(it, &Rfc3339).ok())
        .map(|it| (it.unix_timestamp_nanos() / 1_000_000).to_string());
    let mut parts: Vec<String> = millis.map(|it| format!("rt={it}")).into_iter().collect();
    let told = fields.iter().filter_map(|(key, value)| Some((key, value.filter(|it| !it.is_empty())?)));
    parts.extend(told.map(|(key, value)| format!("{key}={}", in_value(value))));
    line.push_str(&parts.join(" "));
}

fn in_header(text: &str) -> String {
    let mut out = String::new();
    for it in text.chars() {
        match it {
            '\\' | '|' => out.extend(['\\', it]),
            it if it.is_control() => out.push(' '),
            it => out.push(it),
        }
    }
    out
}

fn in_value(text: &str) -> String {
    let mut out = String::new();
    for it in text.chars() {
        match it {
            '\\' | '=' => out.extend(['\\', it]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            it if it.is_control() => {}
            it => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::v1 as pb;

    #[test]
    fn what_would_change_the_meaning_is_escaped() {
        let hostile = Event::from(pb::Event {
            at_ms: 1_790_000_000_123,
            asset: "hmi|01".into(),
            kind: "a|b\\c\nCEF:0|x".into(),
            text: "first\r\nsecond\u{1b}[31m a=b \\ | c".into(),
            host_time_ms: None,
        });
        assert_eq!(
            event(&hostile),
            format!(
                "CEF:0|Holdpoint|holdpoint|{VERSION}|event:a\\|b\\\\c CEF:0\\|x|a\\|b\\\\c CEF:0\\|x|3|\
                 rt=1790000000123 cat=event dhost=hmi|01 msg=first\\r\\nsecond[31m a\\=b \\\\ | c"
            )
        );
        assert_eq!(event(&hostile).lines().count(), 1);
    }

    #[test]
    fn a_finding_keeps_its_doubt() {
        let it = Finding::from(pb::Finding {
            asset: "hmi-01".into(),
            subject: "ICSA-1/CVE-1/P".into(),
            kind: "advisory".into(),
            advisory: Some("ICSA-1".into()),
            verdict: "UNKNOWN".into(),
            reason: Some("range-unparsed".into()),
            as_of_ms: Some(1_790_000_000_000),
            ..Default::default()
        });
        let line = finding(&it);
        assert!(line.contains("|finding:UNKNOWN|UNKNOWN (range-unparsed)|5|rt=1790000000000 "), "{line}");
        assert!(
            line.ends_with("cs1Label=advisory cs1=ICSA-1 outcome=UNKNOWN reason=range-unparsed"),
            "{line}"
        );
    }

    #[test]
    fn the_frame_is_that_of_rfc_5424() {
        let framed = framed("CEF:0|a|b|1|x|y|8|", Some("2026-09-21T14:13:20.123456789Z"), Some("hmi 01é"));
        assert_eq!(
            framed,
            "<108>1 2026-09-21T14:13:20.123456Z hmi01 holdpoint - - - \u{feff}CEF:0|a|b|1|x|y|8|"
        );
        let bare = super::framed("CEF:0|a|b|1|x|y|1|", None, None);
        assert!(bare.starts_with("<110>1 - - holdpoint - - - "), "{bare}");
    }
}
