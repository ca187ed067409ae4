//! One asset as a CycloneDX 1.6 document: what is installed, and a VEX statement for each finding.
//!
//! AFFECTED and `INSTALLED_NOT_LIVE` are `exploitable`, FIXED is `resolved`, `NOT_AFFECTED` is `not_affected`, and
//! everything else is `in_triage`. A justification is given only where somebody stated one, and no finding does.
//! A section that is not complete makes the composition `incomplete`: what is not listed may still be there.

use std::collections::HashMap;

use holdpoint_common::proto::v1::{GetAssetResponse, SectionContent, SectionKind, SectionStatus};
use holdpoint_common::row::{FirmwareRow, SoftwareRow};
use holdpoint_common::section::Digest;
use prost::Message;
use serde_json::{Value, json};

use super::{VERSION, without_null};
use crate::failure::Failure;
use crate::view::finding::Finding;
use crate::view::rfc3339;

/// Reference of the host itself.
const HOST: &str = "host";
/// Rows that are no installed software.
const LEFTOVER: &str = "leftover-dpkg";

/// The document.
pub fn document(found: &GetAssetResponse, findings: &[Finding], now_ms: i64) -> Result<Value, Failure> {
    let asset = found.asset.as_ref().ok_or(Failure::Incomplete("the asset"))?;
    let mut components = Vec::new();
    let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
    for (number, row) in rows::<SoftwareRow>(found, SectionKind::Software).into_iter().enumerate() {
        if row.source == LEFTOVER {
            continue;
        }
        let reference = format!("software-{number}");
        by_name.entry(row.name.to_lowercase()).or_default().push(reference.clone());
        components.push(software(&reference, &row));
    }
    for (number, row) in rows::<FirmwareRow>(found, SectionKind::Firmware).into_iter().enumerate() {
        components.extend(firmware(&format!("firmware-{number}"), &row));
    }
    let advisories = findings.iter().filter(|it| it.kind != "requirement" && it.asset == asset.id);
    let vulnerabilities: Vec<Value> = advisories.map(|it| vulnerability(it, &by_name)).collect();
    let is_whole =
        [SectionKind::Software, SectionKind::Firmware].into_iter().all(|kind| is_complete(found, kind));
    let aggregate = if is_whole { "complete" } else { "incomplete" };
    let properties = [
        ("holdpoint:zone", Some(asset.zone.clone())),
        ("holdpoint:role", asset.role.clone()),
        ("holdpoint:os", asset.os.clone()),
        ("holdpoint:os_version", asset.os_version.clone()),
        ("holdpoint:evidence_grade", asset.grade.clone()),
        ("holdpoint:last_seen", asset.last_seen_ms.and_then(rfc3339)),
    ];
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": rfc3339(now_ms),
            "tools": { "components": [{ "type": "application", "name": "holdpoint", "version": VERSION }] },
            "component": {
                "type": "device",
                "bom-ref": HOST,
                "name": asset.name,
                "properties": said(&properties),
            },
        },
        "components": components,
        "compositions": [{ "aggregate": aggregate, "assemblies": [HOST] }],
        "vulnerabilities": vulnerabilities,
    });
    let serial = serial(&serde_json::to_vec(&document)?);
    if let Value::Object(fields) = &mut document {
        fields.insert("serialNumber".to_owned(), Value::String(serial));
        without_null(fields);
    }
    Ok(document)
}

fn section(found: &GetAssetResponse, kind: SectionKind) -> Option<&SectionContent> {
    found.sections.iter().find(|it| it.kind == i32::from(kind))
}

fn rows<R: Message + Default>(found: &GetAssetResponse, kind: SectionKind) -> Vec<R> {
    let rows = section(found, kind).into_iter().flat_map(|it| &it.rows);
    rows.filter_map(|it| R::decode(it.as_slice()).ok()).collect()
}

/// A source that the host has not is complete in its own way.
fn is_complete(found: &GetAssetResponse, kind: SectionKind) -> bool {
    section(found, kind).is_some_and(|it| {
        [SectionStatus::Complete, SectionStatus::Unsupported]
            .iter()
            .any(|status| it.status == i32::from(*status))
    })
}

fn software(reference: &str, row: &SoftwareRow) -> Value {
    let properties = [
        ("holdpoint:source", Some(row.source.clone())),
        ("holdpoint:architecture", row.architecture.clone()),
        ("holdpoint:source_package", row.source_package.clone()),
        ("holdpoint:source_version", row.source_version.clone()),
        ("holdpoint:install_date", row.install_date.clone()),
        ("holdpoint:product_code", row.product_code.clone()),
        ("holdpoint:path", row.path.clone()),
    ];
    json!({
        "type": "application",
        "bom-ref": reference,
        "name": row.name,
        "version": row.version,
        "publisher": row.publisher,
        "purl": row.purl,
        "properties": said(&properties),
    })
}

/// A component of firmware; a row that names nothing is none.
fn firmware(reference: &str, row: &FirmwareRow) -> Option<Value> {
    if matches!(row.kind.as_str(), "secure-boot" | "secure-boot-key") {
        return None;
    }
    let name = row.model.clone().or_else(|| row.name.clone()).unwrap_or_else(|| row.kind.clone());
    let properties = [
        ("holdpoint:source", Some(row.source.clone())),
        ("holdpoint:firmware_kind", Some(row.kind.clone())),
        ("holdpoint:device", row.name.clone()),
        ("holdpoint:date", row.date.clone()),
    ];
    Some(json!({
        "type": "firmware",
        "bom-ref": reference,
        "name": name,
        "version": row.version,
        "manufacturer": row.vendor.as_ref().map(|it| json!({ "name": it })),
        "properties": said(&properties),
    }))
}

fn vulnerability(it: &Finding, by_name: &HashMap<String, Vec<String>>) -> Value {
    let state = match it.verdict.as_str() {
        "AFFECTED" | "INSTALLED_NOT_LIVE" => "exploitable",
        "FIXED" => "resolved",
        "NOT_AFFECTED" => "not_affected",
        // A doubt, and a word that this version does not know.
        _ => "in_triage",
    };
    let detail = match &it.reason {
        Some(reason) => format!("{} ({reason})", it.verdict),
        None => it.verdict.clone(),
    };
    let advisory = it.advisory.as_deref().unwrap_or(&it.subject);
    // The advisory's name of a product is seldom the installed one; then it is the host that is affected.
    let named = it.product.as_ref().and_then(|it| by_name.get(&it.to_lowercase()));
    let affects: Vec<Value> = match named {
        Some(references) => references.iter().map(|it| json!({ "ref": it })).collect(),
        None => vec![json!({ "ref": HOST })],
    };
    let properties = [
        ("holdpoint:verdict", Some(it.verdict.clone())),
        ("holdpoint:reason", it.reason.clone()),
        ("holdpoint:product", it.product.clone()),
        ("holdpoint:installed", it.installed.clone()),
        ("holdpoint:required", it.required.clone()),
        ("holdpoint:triage", it.triage.clone()),
        ("holdpoint:disposition", it.disposition.clone()),
        ("holdpoint:as_of", it.as_of.clone()),
    ];
    json!({
        "bom-ref": format!("finding/{}", it.subject),
        "id": it.vulnerability.as_deref().unwrap_or(advisory),
        "source": { "name": advisory },
        "analysis": { "state": state, "detail": detail },
        "affects": affects,
        "properties": said(&properties),
    })
}

fn said(properties: &[(&str, Option<String>)]) -> Vec<Value> {
    let told =
        properties.iter().filter_map(|(name, it)| Some((name, it.as_ref().filter(|it| !it.is_empty())?)));
    told.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// A number that is the document's own: a UUID of version 8 (RFC 9562) over its content.
fn serial(content: &[u8]) -> String {
    let hex = Digest::of(content).to_string();
    let parts = [&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]];
    format!("urn:uuid:{}-{}-8{}-a{}-{}", parts[0], parts[1], parts[2], parts[3], parts[4])
}

#[cfg(test)]
#[path = "cyclonedx_tests.rs"]
mod tests;
