//! Findings as events of OCSF 1.4.0 (Open Cybersecurity Schema Framework), one JSON object a line.
//!
//! A finding of an advisory is a Vulnerability Finding (class 2002, category 2), one of a requirement a Compliance
//! Finding (class 2003), which is the site's own. The four words that OCSF has for a status are fewer than ours:
//! ours stand in `unmapped`, with the reason of an UNKNOWN, which is status 0 and never resolved.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{PRODUCT, VERSION, without_null};
use crate::view::finding::Finding;

/// The version of the schema.
pub const SCHEMA: &str = "1.4.0";
const CATEGORY: u32 = 2;
const VULNERABILITY_FINDING: u32 = 2002;
const COMPLIANCE_FINDING: u32 = 2003;
/// "Create": this export knows nothing of the ones before it.
const ACTIVITY: u32 = 1;

/// One event. `now_ms` is used where the finding has no time.
pub fn finding(it: &Finding, now_ms: i64) -> Value {
    let class = if it.kind == "requirement" { COMPLIANCE_FINDING } else { VULNERABILITY_FINDING };
    let time = it.as_of.as_deref().and_then(millis).unwrap_or(now_ms);
    let (status_id, status) = match it.verdict.as_str() {
        "AFFECTED" => (1, "New"),
        "INSTALLED_NOT_LIVE" => (2, "In Progress"),
        "FIXED" | "NOT_AFFECTED" | "NO_PRODUCT" => (4, "Resolved"),
        _ => (0, "Unknown"),
    };
    let title = match (&it.advisory, &it.vulnerability) {
        (Some(advisory), Some(cve)) => format!("{advisory}: {cve}"),
        (Some(only), None) | (None, Some(only)) => only.clone(),
        (None, None) => it.subject.clone(),
    };
    let mut event = json!({
        "activity_id": ACTIVITY,
        "category_uid": CATEGORY,
        "class_uid": class,
        "type_uid": class * 100 + ACTIVITY,
        "time": time,
        // No finding says how bad it is; whether it holds is the status.
        "severity_id": 0,
        "status_id": status_id,
        "status": status,
        "status_detail": it.reason,
        "metadata": {
            "version": SCHEMA,
            "product": { "name": PRODUCT, "vendor_name": PRODUCT, "version": VERSION },
            "uid": format!("{}/{}", it.asset, it.subject),
        },
        "finding_info": { "uid": format!("{}/{}", it.asset, it.subject), "title": title, "types": [it.kind] },
        "resources": [{ "uid": it.asset, "name": it.asset, "type": "host" }],
        "unmapped": {
            "verdict": it.verdict,
            "reason": it.reason,
            "state": it.state,
            "triage": it.triage,
            "disposition": it.disposition,
            "evidence_grade": it.grade,
            "feed_age_s": it.feed_age_s,
        },
    });
    let own = if class == COMPLIANCE_FINDING {
        ("compliance", compliance(it))
    } else {
        ("vulnerabilities", json!([vulnerability(it)]))
    };
    if let Value::Object(fields) = &mut event {
        fields.insert(own.0.to_owned(), own.1);
        without_null(fields);
    }
    event
}

fn compliance(it: &Finding) -> Value {
    // What could not be told is a warning: "did not yield a result due to missing information".
    let (id, word) = match it.verdict.as_str() {
        "FIXED" | "NOT_AFFECTED" => (1, "Pass"),
        "AFFECTED" | "INSTALLED_NOT_LIVE" => (3, "Fail"),
        _ => (2, "Warning"),
    };
    json!({
        "standards": ["site requirements"],
        "requirements": [it.subject],
        "control": it.required,
        "status_id": id,
        "status": word,
        "status_detail": it.reason,
    })
}

fn vulnerability(it: &Finding) -> Value {
    // Only a name that is one of CVE's is said to be one.
    let cve = it.vulnerability.as_deref().filter(|it| it.starts_with("CVE-"));
    let advisory = it.advisory.as_deref().unwrap_or(&it.subject);
    let package = it.product.as_ref().zip(it.installed.as_ref()).map(
        |(name, version)| json!([{ "name": name, "version": version, "fixed_in_version": it.required }]),
    );
    json!({
        "cve": cve.map(|it| json!({ "uid": it })),
        "advisory": { "uid": advisory },
        "title": it.vulnerability.as_deref().unwrap_or(advisory),
        "affected_packages": package,
    })
}

fn millis(time: &str) -> Option<i64> {
    let nanos = OffsetDateTime::parse(time, &Rfc3339).ok()?.unix_timestamp_nanos();
    i64::try_from(nanos / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::v1 as pb;

    fn of(kind: &str, verdict: &str, reason: Option<&str>, cve: Option<&str>) -> Value {
        let it = Finding::from(pb::Finding {
            asset: "hmi-01".into(),
            subject: "ICSA-1/CVE-2026-1/P".into(),
            kind: kind.into(),
            advisory: (kind == "advisory").then(|| "ICSA-1".into()),
            vulnerability: cve.map(Into::into),
            product: Some("Mixer".into()),
            installed: Some("1.0".into()),
            verdict: verdict.into(),
            reason: reason.map(Into::into),
            as_of_ms: Some(1_790_000_000_000),
            ..Default::default()
        });
        finding(&it, 5)
    }

    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Object(fields) => fields.values().any(has_null),
            Value::Array(items) => items.iter().any(has_null),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }

    #[test]
    fn every_event_has_what_its_class_requires() {
        for (kind, own) in [("advisory", "vulnerabilities"), ("requirement", "compliance")] {
            let event = of(kind, "AFFECTED", None, Some("CVE-2026-1"));
            for required in [
                "activity_id",
                "category_uid",
                "class_uid",
                "type_uid",
                "time",
                "severity_id",
                "metadata",
                "finding_info",
                own,
            ] {
                assert!(!event[required].is_null(), "{kind} lacks {required}");
            }
            assert!(
                event["metadata"]["version"] == SCHEMA
                    && event["metadata"]["product"]["vendor_name"].is_string()
            );
            assert!(event["finding_info"]["uid"].is_string() && event["finding_info"]["title"].is_string());
            let class = event["class_uid"].as_u64().unwrap();
            assert_eq!(event["type_uid"], class * 100 + 1);
            assert!(!has_null(&event), "{event}");
        }
        let event = of("advisory", "AFFECTED", None, Some("CVE-2026-1"));
        assert_eq!((&event["class_uid"], &event["time"]), (&json!(2002), &json!(1_790_000_000_000_i64)));
        assert_eq!(event["vulnerabilities"][0]["cve"]["uid"], "CVE-2026-1");
        assert_eq!(event["vulnerabilities"][0]["affected_packages"][0]["version"], "1.0");
        assert_eq!(of("requirement", "AFFECTED", None, None)["compliance"]["status_id"], 3);
    }

    #[test]
    fn a_doubt_is_never_resolved() {
        let event = of("advisory", "UNKNOWN", Some("range-unparsed"), None);
        assert_eq!((&event["status_id"], &event["status_detail"]), (&json!(0), &json!("range-unparsed")));
        assert_eq!(event["unmapped"]["verdict"], "UNKNOWN");
        assert!(event["vulnerabilities"][0]["cve"].is_null(), "no CVE is made up");
        assert_eq!(event["vulnerabilities"][0]["advisory"]["uid"], "ICSA-1");
        assert_eq!(of("requirement", "UNKNOWN", None, None)["compliance"]["status_id"], 2);
        assert_eq!(of("advisory", "A_NEW_WORD", None, None)["status_id"], 0);
        assert_eq!(of("advisory", "FIXED", None, None)["status_id"], 4);
    }
}
