//! Keeps the checked-in generated code equal to the schemas.

use std::fs;
use std::path::Path;

const ROWS: [&str; 13] = [
    "PlatformRow",
    "IdentityPart",
    "FirmwareRow",
    "SoftwareRow",
    "ServiceRow",
    "UpdateRow",
    "ListenerRow",
    "AccountRow",
    "LiveRow",
    "HardeningRow",
    "TextList",
    "SelfRow",
    "Coverage",
];

const SCHEMAS: [&str; 20] = [
    "holdpoint/v1/rows.proto",
    "holdpoint/v1/enrollment.proto",
    "holdpoint/v1/agent_link.proto",
    "holdpoint/v1/one_shot.proto",
    "holdpoint/v1/inventory.proto",
    "holdpoint/v1/hardening.proto",
    "holdpoint/v1/lint.proto",
    "holdpoint/v1/triage.proto",
    "holdpoint/v1/pack.proto",
    "holdpoint/v1/knowledge.proto",
    "holdpoint/v1/map.proto",
    "holdpoint/v1/changes.proto",
    "holdpoint/v1/admin.proto",
    "holdpoint/v1/fleet.proto",
    "holdpoint/store/v1/records.proto",
    "holdpoint/store/v1/change.proto",
    "holdpoint/store/v1/outbox.proto",
    "holdpoint/store/v1/fleet.proto",
    "holdpoint/store/v1/pack.proto",
    "holdpoint/summary/v1/summary.proto",
];

#[test]
fn generated_code_is_what_the_schemas_say() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(SCHEMAS, [crate_dir]).expect("schemas compile");
    let out = tempfile::tempdir().expect("temporary directory");

    let mut builder = tonic_prost_build::configure().out_dir(out.path()).emit_rerun_if_changed(false);
    for row in ROWS {
        builder = builder.type_attribute(format!(".holdpoint.v1.{row}"), "#[derive(serde::Serialize)]");
    }
    // In JSON a fact's value is the value itself, not the name of its type.
    builder = builder
        .enum_attribute(".holdpoint.v1.HardeningRow.value", "#[serde(untagged)]")
        .type_attribute(".holdpoint.v1.TextList", "#[serde(transparent)]");
    fs::write(out.path().join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))
        .expect("write");
    builder.compile_fds(descriptors).expect("generate");

    let mut stale = Vec::new();
    for file in ["holdpoint.v1.rs", "holdpoint.store.v1.rs", "holdpoint.summary.v1.rs", "descriptors.bin"] {
        let fresh = fs::read(out.path().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let kept = crate_dir.join("src/generated").join(file);
        if fs::read(&kept).ok().as_deref() != Some(&fresh) {
            fs::write(&kept, &fresh).expect("rewrite");
            stale.push(file);
        }
    }
    assert!(stale.is_empty(), "rewritten, review and commit: {stale:?}");
}
