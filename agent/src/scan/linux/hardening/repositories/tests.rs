//! Tests of the repositories.

use holdpoint_common::row::hardening_row::Value;

use super::*;
use crate::scan::look::tests::{host, rows_of};

fn facts(files: &[(&str, &str)]) -> (Vec<HardeningRow>, Vec<String>) {
    let (_dir, host) = host(files);
    let host = host.limited_to(crate::host::ReadList::new(READS.iter().copied().flatten()));
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    (rows, faults)
}

fn said(rows: &[HardeningRow], id: &str, about: Option<&str>) -> String {
    let row = rows
        .iter()
        .find(|it| it.id == id && it.subject.as_deref() == about)
        .unwrap_or_else(|| panic!("{id} {about:?}"));
    match &row.value {
        Some(Value::Flag(it)) => it.to_string(),
        Some(Value::Number(it)) => it.to_string(),
        Some(Value::Text(it)) => it.clone(),
        Some(Value::List(it)) => it.items.join(";"),
        None => row.state.clone(),
    }
}

#[test]
fn nobodys_password_is_in_a_url() {
    for (url, expected) in [
        ("http://user:pw@host/debian", "http://host/debian"),
        ("http://a:b@c@host:80?token=x&repo=y", "http://host:80?repo=y"),
        ("https://host/p@th?AccessKey=1", "https://host/p@th"),
        ("file:///mnt/a@b", "file:///mnt/a@b"),
        ("cdrom:[Debian]/", "cdrom:[Debian]/"),
        ("http://user:pw@host", "http://host"),
    ] {
        assert_eq!(public(url), expected, "{url}");
    }
}

#[test]
fn both_formats_of_apt_say_the_same_things() {
    let (rows, faults) = facts(&[
        (
            "etc/apt/sources.list",
            "# x\ndeb http://u:p@mirror/debian bookworm main contrib # y\n\
             deb [ arch=amd64 trusted=yes signed-by=/etc/apt/keyrings/v.gpg ] http://vendor ./\n",
        ),
        (
            "etc/apt/sources.list.d/site.sources",
            "Types: deb deb-src\nURIs: http://site\nSuites: stable\n stable-updates\nComponents: main\n\
             Signed-By: /usr/share/keyrings/site.gpg\nEnabled: no\n\n# c\nTypes: deb\nURIs: http://inline\nSuites: x\n\
             Components: y\nAllow-Insecure: yes\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n",
        ),
        ("etc/apt/sources.list.d/old.list.save", "nonsense"),
        ("etc/apt/keyrings/v.gpg", "key"),
        ("etc/apt/trusted.gpg.d/debian.asc", "key"),
        ("etc/apt/apt.conf.d/99x", "APT::Get::AllowUnauthenticated \"true\";\n"),
    ]);
    assert!(faults.is_empty(), "{faults:?}");
    let debian = Some("deb http://mirror/debian bookworm main contrib");
    assert_eq!(said(&rows, "repository.urls", debian), "http://mirror/debian");
    assert_eq!(said(&rows, "repository.signature_check", debian), "true");
    assert_eq!(said(&rows, "repository.keys", debian), "absent");
    let vendor = Some("deb http://vendor ./");
    assert_eq!(said(&rows, "repository.signature_check", vendor), "false");
    assert!(said(&rows, "repository.keys", vendor).starts_with("etc/apt/keyrings/v.gpg sha256:2c70e12b"));
    let site = Some("deb deb-src http://site stable stable-updates main");
    assert_eq!(said(&rows, "repository.enabled", site), "false");
    assert_eq!(
        said(&rows, "repository.keys", site),
        "usr/share/keyrings/site.gpg",
        "a key that is not there"
    );
    let inline = Some("deb http://inline x y");
    assert_eq!(said(&rows, "repository.signature_check", inline), "false");
    assert!(said(&rows, "repository.keys", inline).starts_with("in the file itself sha256:"));
    assert_eq!(said(&rows, "repositories.apt.allow_unauthenticated", None), "true");
    assert_eq!(said(&rows, "repositories.apt.allow_insecure", None), "false");
    assert!(
        said(&rows, "repositories.apt.trusted_keys", None)
            .starts_with("etc/apt/trusted.gpg.d/debian.asc sha256:")
    );
}

#[test]
fn lines_that_are_wrong_are_named() {
    let (rows, faults) = facts(&[
        ("etc/apt/sources.list", "deb\nfoo http://x y\ndeb [a http://x y\ndeb http://x\n"),
        ("etc/apt/sources.list.d/a.sources", "Types: deb\nno field\n\nTypes: deb\n"),
    ]);
    assert_eq!(faults.len(), 7, "{faults:?}");
    assert!(!rows.iter().any(|it| it.id.starts_with("repository.")));
}

#[test]
fn a_repo_file_takes_from_the_main_file_what_it_does_not_say() {
    let (rows, faults) = facts(&[
        ("etc/dnf/dnf.conf", "[main]\ngpgcheck=1\nbest=True\n"),
        (
            "etc/yum.repos.d/site.repo",
            "[base]\nname=x\nmirrorlist=http://m?repo=base&arch=$basearch\nenabled=0\ngpgkey=file:///etc/pki/rpm-gpg/K\n\
             \x20 https://u:p@keys/K2\n\
             [vendor]\nbaseurl=ftp://u:p@vendor/\ngpgcheck=0\nrepo_gpgcheck=1\nsslverify=false\n[odd]\ngpgcheck=maybe\n",
        ),
        ("etc/pki/rpm-gpg/K", "key"),
    ]);
    assert!(faults.is_empty(), "{faults:?}");
    let base = Some("base");
    assert_eq!(said(&rows, "repository.urls", base), "http://m?repo=base&arch=$basearch");
    assert_eq!(said(&rows, "repository.enabled", base), "false");
    assert_eq!(said(&rows, "repository.signature_check", base), "true");
    assert_eq!(said(&rows, "repository.metadata_check", base), "absent");
    let row = rows
        .iter()
        .find(|it| it.id == "repository.signature_check" && it.subject.as_deref() == base)
        .unwrap();
    assert_eq!(row.source, "etc/dnf/dnf.conf");
    assert!(said(&rows, "repository.keys", base).ends_with(";https://keys/K2"));
    let vendor = Some("vendor");
    assert_eq!(said(&rows, "repository.urls", vendor), "ftp://vendor/");
    assert_eq!(said(&rows, "repository.signature_check", vendor), "false");
    assert_eq!(said(&rows, "repository.metadata_check", vendor), "true");
    assert_eq!(said(&rows, "repository.tls_verify", vendor), "false");
    assert_eq!(said(&rows, "repository.signature_check", Some("odd")), "error");
    assert_eq!(said(&rows, "repositories.dnf.gpgcheck", None), "true");
}

#[test]
fn pacman_and_apk_have_theirs() {
    let (rows, faults) = facts(&[
        (
            "etc/pacman.conf",
            "[options]\nSigLevel = Required DatabaseOptional\nColor\n[core]\nInclude = /etc/pacman.d/mirrorlist\n\
             [own]\nSigLevel = Never\nServer = http://u:p@own/$repo\n",
        ),
        ("usr/bin/pacman", ""),
        ("etc/pacman.d/mirrorlist", "# x\nServer = https://m/$repo\n"),
        ("etc/apk/repositories", "http://alpine/main\n@edge http://alpine/edge\n#x\n"),
        ("etc/apk/keys/a.pub", "k"),
    ]);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(said(&rows, "repository.urls", Some("core")), "https://m/$repo");
    assert_eq!(said(&rows, "repository.siglevel", Some("core")), "Required DatabaseOptional");
    assert_eq!(said(&rows, "repository.urls", Some("own")), "http://own/$repo");
    assert_eq!(said(&rows, "repository.siglevel", Some("own")), "Never");
    assert_eq!(
        said(&rows, "repository.urls", Some("etc/apk/repositories")),
        "http://alpine/main;@edge http://alpine/edge"
    );
    assert!(said(&rows, "repositories.apk.keys", None).starts_with("etc/apk/keys/a.pub sha256:"));
}
