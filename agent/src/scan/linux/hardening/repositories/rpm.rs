//! Repositories of dnf, yum and zypper: `*.repo` files, and what the main file says for all.

use holdpoint_common::row::HardeningRow;

use super::super::files::{self, Found};
use super::super::ini::{self, Section};
use super::{key, keys_of, of, overall, public, unread};
use crate::host::Reads;
use crate::scan::Look;

/// What is read of them.
pub(super) const READS: &[Reads] = &[
    Reads::content("etc/dnf/dnf.conf"),
    Reads::content("etc/yum.conf"),
    Reads::content("etc/yum/yum.conf"),
    Reads::content("etc/zypp/zypp.conf"),
    Reads::content("usr/etc/zypp/zypp.conf"),
    Reads::content("etc/yum.repos.d/*.repo"),
    Reads::content("etc/distro.repos.d/*.repo"),
    Reads::content("usr/share/dnf5/repos.d/*.repo"),
    Reads::content("etc/zypp/repos.d/*.repo"),
    Reads::content("etc/pki/rpm-gpg/*"),
];

/// A package manager: its name here, its main files, the strongest first, and its directories.
type Manager = (&'static str, &'static [&'static str], &'static [&'static str]);

const MANAGERS: [Manager; 2] = [
    (
        "dnf",
        &["etc/dnf/dnf.conf", "etc/yum.conf", "etc/yum/yum.conf"],
        &["etc/yum.repos.d", "etc/distro.repos.d", "usr/share/dnf5/repos.d"],
    ),
    ("zypper", &["etc/zypp/zypp.conf", "usr/etc/zypp/zypp.conf"], &["etc/zypp/repos.d"]),
];
/// Most repositories that are told of.
const MAX_SOURCES: usize = 512;
/// Names of the switch for packages; dnf5 has another word for it.
const PACKAGES: [&str; 2] = ["gpgcheck", "pkg_gpgcheck"];
const METADATA: [&str; 1] = ["repo_gpgcheck"];

pub(super) fn read(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    let mut has_any = false;
    for (manager, mains, directories) in MANAGERS {
        let main = main_of(look, manager, mains, rows);
        let mut told = 0;
        for directory in directories {
            for (path, found) in files::read_all(look, directory, |it| it.ends_with(".repo")) {
                has_any = true;
                let text = match &found {
                    Found::Text(text) => text,
                    Found::Absent => continue,
                    gap @ (Found::Denied | Found::Broken(_)) => {
                        rows.push(unread(manager, &path, gap));
                        continue;
                    }
                };
                for section in
                    ini::sections(text).iter().filter(|it| !matches!(it.name.as_str(), "" | "main"))
                {
                    if told == MAX_SOURCES {
                        look.fault(format!("{path}: more than {MAX_SOURCES} repositories"));
                        return;
                    }
                    told += 1;
                    tell(look, section, &path, &main, rows);
                }
            }
        }
        has_any |= !matches!(main, Main::None);
    }
    if has_any {
        const KEYS: &str = "etc/pki/rpm-gpg";
        let fact = overall("rpm.keys", KEYS);
        rows.push(match keys_of(look, KEYS, |_| true) {
            Ok(keys) => fact.list(keys),
            Err(gap) => gap.unanswered(fact),
        });
    }
}

/// What a main file says for every repository.
enum Main {
    None,
    Of(&'static str, Section),
    Gap(&'static str, Found),
}

fn main_of(
    look: &mut Look<'_>,
    manager: &str,
    mains: &'static [&'static str],
    rows: &mut Vec<HardeningRow>,
) -> Main {
    for path in mains {
        match files::read(look, path) {
            Found::Absent => {}
            Found::Text(text) => {
                let main = ini::sections(&text).into_iter().find(|it| it.name == "main").unwrap_or_default();
                for (id, names) in [("gpgcheck", &PACKAGES[..]), ("repo_gpgcheck", &METADATA[..])] {
                    let fact = overall(&format!("{manager}.{id}"), path);
                    rows.push(match switch(&main, names) {
                        Switch::Set(flag) => fact.flag(flag),
                        Switch::Wrong(why) => fact.because(why).error(),
                        Switch::NotSet => fact.because(DEPENDS).absent(),
                    });
                }
                return Main::Of(path, main);
            }
            gap @ (Found::Denied | Found::Broken(_)) => {
                rows.push(unread(manager, path, &gap));
                return Main::Gap(path, gap);
            }
        }
    }
    Main::None
}

const DEPENDS: &str = "not set: its default depends on the package manager and its version";

enum Switch {
    Set(bool),
    Wrong(String),
    NotSet,
}

fn switch(section: &Section, names: &[&str]) -> Switch {
    match names.iter().find_map(|it| section.get(it)) {
        None => Switch::NotSet,
        Some(value) => match ini::flag(value) {
            Some(flag) => Switch::Set(flag),
            None => Switch::Wrong(format!("{value:?} says neither yes nor no")),
        },
    }
}

fn tell(look: &mut Look<'_>, repository: &Section, path: &str, main: &Main, rows: &mut Vec<HardeningRow>) {
    let about = repository.name.as_str();
    let urls = ["baseurl", "mirrorlist", "metalink"].into_iter().filter_map(|it| repository.get(it));
    let urls = urls.flat_map(|it| it.split([' ', ','])).filter(|it| !it.is_empty()).map(public);
    rows.push(of("urls", about, path).list(urls));
    let fact = of("enabled", about, path);
    rows.push(match switch(repository, &["enabled"]) {
        Switch::Set(flag) => fact.flag(flag),
        Switch::Wrong(why) => fact.because(why).error(),
        Switch::NotSet => fact.because("not set: it is on").flag(true),
    });
    for (id, names) in [("signature_check", &PACKAGES[..]), ("metadata_check", &METADATA[..])] {
        rows.push(match (switch(repository, names), main) {
            (Switch::Set(flag), _) => of(id, about, path).flag(flag),
            (Switch::Wrong(why), _) => of(id, about, path).because(why).error(),
            (Switch::NotSet, Main::Of(source, main)) => match switch(main, names) {
                Switch::Set(flag) => of(id, about, source).flag(flag),
                Switch::Wrong(why) => of(id, about, source).because(why).error(),
                Switch::NotSet => of(id, about, path).because(DEPENDS).absent(),
            },
            (Switch::NotSet, Main::Gap(source, gap)) => gap.unanswered(of(id, about, source)),
            (Switch::NotSet, Main::None) => of(id, about, path).because(DEPENDS).absent(),
        });
    }
    if let Switch::Set(flag) = switch(repository, &["sslverify", "ssl_verify"]) {
        rows.push(of("tls_verify", about, path).flag(flag));
    }
    let fact = of("keys", about, path);
    rows.push(match repository.get("gpgkey") {
        None => fact.absent(),
        Some(names) => {
            let names: Vec<&str> = names.split([' ', ',']).filter(|it| !it.is_empty()).collect();
            let keys: Vec<String> = names
                .into_iter()
                .map(|it| match it.strip_prefix("file:///") {
                    Some(path) => key(look, path),
                    None => public(it),
                })
                .collect();
            fact.list(keys)
        }
    });
}
