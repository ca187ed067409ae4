//! Tests of what is asked of the headers' files and times.

use super::super::written::{Value, header, ndb, number, package, sqlite, text, texts};
use super::*;
use crate::host::Host;
use crate::scan::look::tests::{agent, ample, write};

fn host(content: &[u8], file: &str) -> (tempfile::TempDir, Host) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &format!("var/lib/rpm/{file}"), content);
    let host = Host::captured(dir.path(), agent());
    (dir, host)
}

fn owners_of(host: &Host, paths: &[&str]) -> (BTreeMap<String, String>, Vec<String>) {
    let budget = ample();
    let mut look = Look::new(host, &budget, "test");
    let paths: Vec<String> = paths.iter().map(|it| (*it).to_owned()).collect();
    let mut names: BTreeMap<Vec<u8>, &String> = BTreeMap::new();
    for path in &paths {
        names.insert(path.as_bytes().to_vec(), path);
        if let Some(short) = path.strip_prefix("/usr") {
            names.insert(short.as_bytes().to_vec(), path);
        }
    }
    let mut found = BTreeMap::new();
    owners(&mut look, &names, &mut found);
    (found, look.finish().1)
}

fn files(name: &str, time: u32, directories: &[&str], files: &[(u32, &str, u8)]) -> Vec<u8> {
    header(
        &[
            (1000, text(name)),
            (1029, Value::Chars(files.iter().map(|it| it.2).collect())),
            (1116, Value::Numbers(files.iter().map(|it| it.0).collect())),
            (1117, texts(&files.iter().map(|it| it.1).collect::<Vec<_>>())),
            (1118, texts(directories)),
        ],
        &[(1008, number(time))],
    )
}

#[test]
fn a_file_belongs_to_the_package_that_put_it_there() {
    let headers = [
        files("libx.i686", 1, &["/lib/", "/usr/lib/"], &[(0, "a.so", 0), (1, "shared", 4)]),
        files("libx", 1, &["/usr/lib/", "/usr/lib64/"], &[(0, "shared", 0), (1, "a.so", 0)]),
        files("nodocs", 1, &["/usr/share/doc/"], &[(0, "x", 2)]),
        header(&[(1000, text("gpg-pubkey"))], &[]),
        package("tool", 5_000),
    ];
    let (_dir, host) = host(&sqlite(&headers, 512), "rpmdb.sqlite");
    let paths =
        ["/usr/lib/shared", "/usr/lib/a.so", "/usr/lib64/a.so", "/usr/bin/tool", "/usr/share/doc/x", "/tool"];
    let (found, faults) = owners_of(&host, &paths);
    let said: Vec<_> = found.iter().map(|(path, package)| (path.as_str(), package.as_str())).collect();
    assert_eq!(
        said,
        [
            ("/usr/bin/tool", "tool"),
            ("/usr/lib/a.so", "libx.i686"),
            ("/usr/lib/shared", "libx"),
            ("/usr/lib64/a.so", "libx"),
        ]
    );
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn a_package_whose_files_are_broken_is_said_and_the_others_answer() {
    let broken = header(&[(1000, text("broken")), (1118, texts(&["/usr/bin/"]))], &[]);
    let outside = files("outside", 1, &["/usr/bin/"], &[(7, "tool", 0)]);
    let (_dir, host) = host(&ndb(&[broken, outside, package("tool", 1)]), "Packages.db");
    let (found, faults) = owners_of(&host, &["/usr/bin/tool"]);
    assert_eq!(found["/usr/bin/tool"], "tool");
    assert_eq!(faults, ["packages of programs: var/lib/rpm/Packages.db: header 1: its files have no names"]);
}

#[test]
fn of_a_package_that_is_there_twice_the_later_installation_counts() {
    let kernel = |time| files("kernel", time, &["/boot/"], &[(0, "x", 0)]);
    let headers = [kernel(5), kernel(9), kernel(7), files("other", 1, &["/"], &[(0, "x", 0)])];
    let (_dir, host) = host(&ndb(&headers), "Packages.db");
    let budget = ample();
    let mut look = Look::new(&host, &budget, "test");
    let packages = ["kernel".to_owned(), "absent".to_owned()].into();
    assert_eq!(changed(&mut look, &packages), BTreeMap::from([("kernel".to_owned(), 9)]));
    assert!(look.finish().1.is_empty());
}

#[test]
fn without_a_database_or_a_question_nothing_is_read_and_nothing_said() {
    let (_dir, host) = host(b"broken", "Packages");
    assert_eq!(owners_of(&host, &[]), (BTreeMap::new(), vec![]));
    let empty = tempfile::tempdir().unwrap();
    let host = Host::captured(empty.path(), agent());
    assert_eq!(owners_of(&host, &["/usr/bin/x"]), (BTreeMap::new(), vec![]));
}

/// As `tests/rpm.rs` finds them.
fn real(name: &str) -> Option<Vec<u8>> {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/rpmdb");
    let folder = std::env::var_os("HOLDPOINT_RPMDB").map_or(beside, Into::into);
    std::fs::read(folder.join(name)).ok()
}

#[test]
fn real_databases_know_the_owners_of_their_files() {
    let cases = [
        ("bdb-libuuid.Packages", "Packages", "/usr/lib64/libuuid.so.1.3.0", "libuuid", 1_696_444_673),
        ("ndb-sle15-bci.Packages.db", "Packages.db", "/usr/bin/bash", "bash", 1_638_530_310),
    ];
    for (name, file, path, package, time) in cases {
        let Some(content) = real(name) else { continue };
        let (_dir, host) = host(&content, file);
        let (found, faults) = owners_of(&host, &[path, "/usr/bin/absent"]);
        assert_eq!((found, faults), ([(path.to_owned(), package.to_owned())].into(), vec![]));
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        assert_eq!(changed(&mut look, &[package.to_owned()].into()), [(package.to_owned(), time)].into());
    }
}
