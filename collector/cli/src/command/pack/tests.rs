use std::fs;
use std::path::Path;

use super::super::fake;
use super::make::{Make, key, run as compile};
use super::*;
use crate::args::Format;

const LIST: &[u8] = b"id,product,min_version,scheme\nR-CURL,curl,8.0,deb\n";

fn out() -> Output {
    Output::plain(Format::Json, None)
}

fn options(dir: &Path, files: &[&str], to: &str) -> Make {
    Make {
        files: files.iter().map(|it| dir.join(it)).collect(),
        key: dir.join("keys/pack.key"),
        title: "November".into(),
        zones: vec!["plant/line-1".into()],
        out: dir.join(to),
        serial: None,
    }
}

fn whole<T>(path: &Path, look: impl FnOnce(&Whole<'_>) -> T) -> T {
    look(&Whole::read(&fs::read(path).unwrap()).unwrap())
}

#[test]
fn a_pack_is_compiled_shown_and_numbered() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    key(&dir.join("keys")).unwrap();
    assert!(matches!(key(&dir.join("keys")), Err(Failure::Exists(_))), "a key is not replaced");
    fs::write(dir.join("site.csv"), LIST).unwrap();
    for (to, serial) in [("1.pack", 1), ("2.pack", 2)] {
        compile(&options(dir, &["site.csv"], to), &out(), 1_000).unwrap();
        whole(&dir.join(to), |it| {
            assert_eq!(it.manifest.serial, serial);
            assert_eq!(it.manifest.members[0].kind, "requirements");
            assert_eq!(it.members, [LIST]);
        });
    }
    let again = compile(&options(dir, &["site.csv"], "2.pack"), &out(), 1_000);
    assert!(matches!(again, Err(Failure::Exists(_))));
    compile(&Make { serial: Some(9), ..options(dir, &["site.csv"], "9.pack") }, &out(), 1_000).unwrap();
    compile(&Make { serial: Some(4), ..options(dir, &["site.csv"], "4.pack") }, &out(), 1_000).unwrap();
    compile(&options(dir, &["site.csv"], "10.pack"), &out(), 1_000).unwrap();
    assert_eq!(whole(&dir.join("10.pack"), |it| it.manifest.serial), 10, "no number is given twice");

    let own = Show { file: dir.join("1.pack"), key: Some(dir.join("keys/pack.pub")) };
    assert_eq!(show(&own, &out()).unwrap(), Exit::Done);
    key(&dir.join("other")).unwrap();
    let others = Show { key: Some(dir.join("other/pack.pub")), ..own };
    assert_eq!(show(&others, &out()).unwrap_err().exit(), Exit::No);
    let mut bytes = fs::read(dir.join("1.pack")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(dir.join("changed.pack"), bytes).unwrap();
    let changed = Show { file: dir.join("changed.pack"), key: None };
    assert!(show(&changed, &out()).unwrap_err().to_string().contains("changed afterwards"));
}

#[test]
fn what_no_zone_can_read_is_put_into_no_pack() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    key(&dir.join("keys")).unwrap();
    fs::write(dir.join("site.csv"), LIST).unwrap();
    fs::write(dir.join("notes.txt"), "hello").unwrap();
    fs::write(dir.join("a.zip"), b"PK\x03\x04").unwrap();
    fs::create_dir(dir.join("same")).unwrap();
    fs::write(dir.join("same/site.csv"), [LIST, b"R-VIM,vim,9.1,deb\n"].concat()).unwrap();
    for files in [&["site.csv", "notes.txt"][..], &["a.zip"], &["site.csv", "same/site.csv"]] {
        let failure = compile(&options(dir, files, "x.pack"), &out(), 1_000).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage, "{failure}");
        assert!(!dir.join("x.pack").exists());
    }
    let zone = Make { zones: vec!["line-1".into()], ..options(dir, &["site.csv"], "x.pack") };
    assert!(compile(&zone, &out(), 1_000).unwrap_err().to_string().contains("write SITE/ZONE"));
    fs::write(dir.join("keys/pack.key.serial"), "many").unwrap();
    let failure = compile(&options(dir, &["site.csv"], "x.pack"), &out(), 1_000).unwrap_err();
    assert!(failure.to_string().contains("holds no number"), "{failure}");
}

#[test]
fn a_mapping_is_taken_before_the_list_that_it_reads() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    key(&dir.join("keys")).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/mappings");
    let mapping = fs::read_dir(shipped).unwrap().map(|it| it.unwrap().path());
    let mapping = mapping.filter(|it| it.extension().is_some_and(|it| it == "toml")).min().unwrap();
    fs::copy(mapping, dir.join("z-mapping.toml")).unwrap();
    fs::write(dir.join("site.csv"), LIST).unwrap();
    compile(&options(dir, &["site.csv", "z-mapping.toml"], "x.pack"), &out(), 1_000).unwrap();
    let names = whole(&dir.join("x.pack"), |it| {
        it.manifest.members.iter().map(|it| it.kind.clone()).collect::<Vec<_>>()
    });
    assert_eq!(names, ["mapping", "requirements"]);
}

#[tokio::test]
async fn a_signer_is_trusted_when_its_fingerprint_is_typed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    key(dir).unwrap();
    let shown = pack::fingerprint(&public_key(&dir.join("pack.pub")).unwrap());
    let options = |fingerprint: Option<&str>| Trust {
        file: dir.join("pack.pub"),
        name: None,
        fingerprint: fingerprint.map(str::to_owned),
    };
    let typed = |text: &str| trust(options(None), &out(), text.as_bytes());
    assert_eq!(typed(&format!("{shown}\n")).unwrap().name, "pack");
    for wrong in ["", "\n", "yes\n", &shown[..20], &"0".repeat(64)] {
        assert_eq!(typed(wrong).unwrap_err().exit(), Exit::No, "{wrong}");
    }
    assert!(trust(options(Some("0000")), &out(), shown.as_bytes()).is_err());
    let connection = fake::collector().await;
    run(Command::Trust(options(Some(&shown))), &connection, &out()).await.unwrap();
    let private = Trust { file: dir.join("pack.key"), ..options(Some(&shown)) };
    assert_eq!(trust(private, &out(), io::empty()).unwrap_err().exit(), Exit::No);
}

#[tokio::test]
async fn decisions_about_packs_reach_the_collector() {
    let connection = fake::collector().await;
    let out = out();
    let ask = |command| run(command, &connection, &out);
    ask(Command::List(List { pack: None })).await.unwrap();
    ask(Command::List(List { pack: Some("3b6a91c4-7".into()) })).await.unwrap();
    ask(Command::Reject(Reject { pack: "3b6a91c4-7".into(), reason: "r".into() })).await.unwrap();
    let refused = ask(Command::Release(Release { pack: "3b6a91c4-7".into() })).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::No);
}
