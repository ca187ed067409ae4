//! Repositories of pacman and apk.

use holdpoint_common::row::HardeningRow;

use super::super::files::{self, Found};
use super::super::ini;
use super::{keys_of, of, overall, public, unread};
use crate::host::Reads;
use crate::scan::Look;

/// What is read of them.
pub(super) const READS: &[Reads] = &[
    Reads::metadata("usr/bin/pacman"),
    Reads::content("etc/pacman.conf"),
    Reads::content("etc/pacman.d/*"),
    Reads::content("etc/apk/repositories"),
    Reads::content("etc/apk/repositories.d/*.list"),
    Reads::content("etc/apk/keys/*"),
];

/// Each section but `options` is a repository; `SigLevel` of its own is stronger than the common one.
pub(super) fn pacman(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const CONFIG: &str = "etc/pacman.conf";
    const DEFAULT: &str = "Required DatabaseOptional";
    // Other distributions have its library, and with it the file.
    if files::exists(look, "usr/bin/pacman") != Some(true) {
        return;
    }
    let text = match files::read(look, CONFIG) {
        Found::Text(text) => text,
        Found::Absent => return,
        gap @ (Found::Denied | Found::Broken(_)) => return rows.push(unread("pacman", CONFIG, &gap)),
    };
    let sections = ini::sections(&text);
    let options = sections.iter().find(|it| it.name == "options");
    let common =
        options.map(|it| it.all("siglevel").collect::<Vec<_>>().join(" ")).filter(|it| !it.is_empty());
    let fact = overall("pacman.siglevel", CONFIG);
    rows.push(match &common {
        Some(level) => fact.text(level),
        None => fact.because("not set: what pacman does then").text(DEFAULT),
    });
    for section in sections.iter().filter(|it| !matches!(it.name.as_str(), "" | "options")) {
        let about = section.name.as_str();
        let mut urls: Vec<String> = section.all("server").map(public).collect();
        for path in section.all("include") {
            let path = path.trim_start_matches('/');
            match files::read(look, path) {
                Found::Text(list) => {
                    let lists = ini::sections(&list);
                    urls.extend(lists.iter().flat_map(|it| it.all("server")).map(public));
                }
                Found::Absent => {}
                gap @ (Found::Denied | Found::Broken(_)) => rows.push(unread("pacman", path, &gap)),
            }
        }
        rows.push(of("urls", about, CONFIG).list(urls));
        rows.push(of("enabled", about, CONFIG).flag(true));
        let own = section.all("siglevel").collect::<Vec<_>>().join(" ");
        let level = if own.is_empty() { common.as_deref().unwrap_or(DEFAULT) } else { own.as_str() };
        rows.push(of("siglevel", about, CONFIG).text(level));
    }
}

/// A line is a URL, with a tag before it where packages have to ask for it by name.
pub(super) fn apk(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const LIST: &str = "etc/apk/repositories";
    const KEYS: &str = "etc/apk/keys";
    let mut all = vec![(LIST.to_owned(), files::read(look, LIST))];
    all.extend(files::read_all(look, "etc/apk/repositories.d", |it| it.ends_with(".list")));
    let mut is_here = false;
    for (path, found) in all {
        let text = match &found {
            Found::Text(text) => text,
            Found::Absent => continue,
            gap @ (Found::Denied | Found::Broken(_)) => {
                rows.push(unread("apk", &path, gap));
                continue;
            }
        };
        is_here = true;
        let lines = text.lines().map(|it| it.split('#').next().unwrap_or_default().trim());
        let urls: Vec<String> = lines
            .filter(|it| !it.is_empty())
            .map(|it| match it.split_once([' ', '\t']) {
                Some((tag, url)) if tag.starts_with('@') => format!("{tag} {}", public(url.trim())),
                _ => public(it),
            })
            .collect();
        rows.push(of("urls", &path, &path).list(urls));
    }
    if is_here {
        let fact = overall("apk.keys", KEYS);
        rows.push(match keys_of(look, KEYS, |_| true) {
            Ok(keys) => fact.list(keys),
            Err(gap) => gap.unanswered(fact),
        });
    }
}
