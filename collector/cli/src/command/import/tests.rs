use std::fs;

use holdpoint_common::decision::{sign, to_file};
use holdpoint_common::proto::store::Decision;

use super::super::fake;
use super::*;
use crate::args::Format;

async fn import(files: Vec<PathBuf>) -> (Import, Result<(), Failure>) {
    let mut import = Import::default();
    let connection = fake::collector().await;
    let out = Output::plain(Format::Json, None);
    let options = Options { files, pack: None, as_asset: None };
    let ended = send_all(&options, &connection, &mut import, &out).await;
    (import, ended)
}

fn names(import: &Import) -> serde_json::Value {
    let json = serde_json::to_value(import).unwrap();
    let names = |of: &str| {
        let files = json[of].as_array().unwrap().iter();
        files
            .map(|it| {
                Path::new(it["file"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect::<Vec<_>>()
    };
    serde_json::json!({"taken": names("taken"), "refused": names("refused")})
}

#[tokio::test]
async fn one_bad_file_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    for (name, bytes) in [
        ("a/1.json", 10),
        ("a/refused.json", 0),
        ("a/b/broken.json", 3),
        ("z.csv", 1_000_000),
        (".hidden", 1),
    ] {
        fs::write(dir.path().join(name), vec![b'x'; bytes]).unwrap();
    }
    let (import, ended) = import(vec![dir.path().join("gone.json"), dir.path().to_owned()]).await;
    ended.unwrap();
    assert_eq!(
        names(&import),
        serde_json::json!({"taken": ["1.json", "z.csv"], "refused": ["gone.json", "broken.json", "refused.json"]})
    );
    assert!(!import.is_complete());
}

#[tokio::test]
async fn a_collector_that_does_not_permit_it_ends_the_command() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["1.json", "2-forbidden.json", "3.json"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    let (import, ended) = import(vec![dir.path().to_owned()]).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::Unreachable);
    assert_eq!(names(&import)["taken"], serde_json::json!(["1.json"]), "what was done is told");
}

#[tokio::test]
async fn a_decision_goes_to_the_change_that_it_is_about() {
    let dir = tempfile::tempdir().unwrap();
    let decision = Decision {
        change: fake::CHANGE.into(),
        plan_digest: Digest::of(fake::PLAN.as_bytes()).to_vec(),
        kind: "sign-off".into(),
        ..Decision::default()
    };
    let signed = sign(&decision, &fake::operator()).unwrap();
    let mut changed = signed.clone();
    changed.decision[3] ^= 1;
    fs::write(dir.path().join("1.hpd"), to_file(&signed)).unwrap();
    fs::write(dir.path().join("2-changed.hpd"), to_file(&changed)).unwrap();
    fs::write(dir.path().join("3-cut.hpd"), &to_file(&signed)[..20]).unwrap();
    let (import, ended) = import(vec![dir.path().to_owned()]).await;
    ended.unwrap();
    assert_eq!(
        names(&import),
        serde_json::json!({"taken": ["1.hpd"], "refused": ["2-changed.hpd", "3-cut.hpd"]})
    );
    let json = serde_json::to_value(&import).unwrap();
    assert_eq!(json["taken"][0]["kind"], "decision");
}

#[cfg(unix)]
#[test]
fn links_to_directories_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
    fs::write(dir.path().join("one.json"), "x").unwrap();
    let mut files = Vec::new();
    walk::collect(dir.path(), 0, &mut files, &mut |path: &Path, reason: String| {
        panic!("{}: {reason}", path.display())
    });
    assert_eq!(files, [dir.path().join("one.json")]);
}

#[tokio::test]
async fn a_pack_is_brought_whole_or_not_at_all() {
    use holdpoint_common::pack::{FORMAT, Listed, Manifest, generate, make, signing_key};
    let dir = tempfile::tempdir().unwrap();
    let key = signing_key(generate().unwrap().private_pem.as_bytes()).unwrap();
    let title = "November".to_owned();
    let manifest =
        Manifest { format: FORMAT, title, serial: 1, made_ms: 1, zones: Vec::new(), members: Vec::new() };
    let bytes = make(manifest, &[(Listed::of("k", "kev", b"{}"), b"{}".to_vec())], &key).unwrap();
    let connection = fake::collector().await;
    let out = Output::plain(Format::Json, None);
    let bring = async |name: &str, bytes: &[u8]| {
        fs::write(dir.path().join(name), bytes).unwrap();
        let options = Options { files: Vec::new(), pack: Some(dir.path().join(name)), as_asset: None };
        run(&options, &connection, &out).await
    };
    assert_eq!(bring("good.pack", &bytes).await.unwrap(), Exit::Done);
    let refused = bring("refused.pack", &bytes).await.unwrap_err();
    assert!(refused.exit() == Exit::No && refused.to_string().ends_with("nobody trusts it"), "{refused}");
    let cut = bring("cut.pack", &bytes[..bytes.len() - 1]).await.unwrap_err();
    assert!(cut.to_string().ends_with("the pack is cut off: copy it again"), "{cut}");

    let (plain, ended) = import(vec![dir.path().join("good.pack")]).await;
    ended.unwrap();
    assert_eq!(names(&plain)["refused"], serde_json::json!(["good.pack"]), "not by the way of plain files");
}
