//! L04: where packages come from, and whether what is fetched has to be signed.
//!
//! Sources of truth: apt's `sources.list` and the files of `sources.list.d` in both formats; the
//! `*.repo` files of dnf, yum and zypper with what their main file says for all; `etc/pacman.conf`;
//! `etc/apk/repositories`. World readable where the distribution did not change that. Each repository has the same facts
//! about it: `repository.urls`, `.enabled`, `.signature_check`, `.metadata_check`, `.keys`. Keys are named
//! with the SHA-256 of their files. Names, passwords and tokens in a URL are left out before it is kept.
//!
//! Absence: a package manager without a file has no facts. What is not written and has another
//! default in another version is absent, with that reason.
//!
//! Known lies: `$releasever` and the like are left as written; options on a command line, an environment,
//! dnf5's `repos.override.d` and zypper's services and plug-ins are not seen; the names that are tried in a mirror list are
//! those of today.

mod apt;
mod others;
mod rpm;

use holdpoint_common::row::HardeningRow;
use holdpoint_common::section::Digest;

use super::apt_conf;
use super::files::{self, Found};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[&[Reads]] = &[apt_conf::READS, apt::READS, rpm::READS, others::READS];

const CHECKS: &[&str] = &["L04"];
/// Largest file of a key.
const MAX_KEY: usize = 1024 * 1024;

/// Reads every package manager's list.
pub fn probe(look: &mut Look<'_>) -> Reading {
    if !files::is_a_system(look) {
        return look.missing("etc is not there");
    }
    let mut rows = Vec::new();
    apt::read(look, &mut rows);
    rpm::read(look, &mut rows);
    others::pacman(look, &mut rows);
    others::apk(look, &mut rows);
    Reading::of(&rows)
}

/// A fact of one repository.
fn of(id: &str, about: &str, source: &str) -> Fact {
    Fact::new(&format!("repository.{id}"), CHECKS, source).about(about)
}

/// A fact of a package manager as a whole.
fn overall(id: &str, source: &str) -> Fact {
    Fact::new(&format!("repositories.{id}"), CHECKS, source)
}

/// A list of repositories that cannot be read is a fact too: there may be others.
fn unread(manager: &str, path: &str, gap: &Found) -> HardeningRow {
    gap.unanswered(overall(&format!("{manager}.sources"), path).about(path))
}

/// The words of a URL that let somebody in.
const SECRETS: [&str; 6] = ["token", "key", "secret", "pass", "sig", "auth"];

/// A URL without who logs in and by what.
fn public(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // Without a scheme it is a path, and an at sign is part of a name.
    let host =
        if scheme.is_empty() { authority } else { authority.rsplit_once('@').map_or(authority, |it| it.1) };
    let Some((path, query)) = path.split_once('?') else { return format!("{scheme}{host}{path}") };
    let query: Vec<&str> = query
        .split('&')
        .filter(|it| {
            let name = it.split('=').next().unwrap_or_default().to_ascii_lowercase();
            !SECRETS.iter().any(|secret| name.contains(secret))
        })
        .collect();
    if query.is_empty() {
        format!("{scheme}{host}{path}")
    } else {
        format!("{scheme}{host}{path}?{}", query.join("&"))
    }
}

/// A file of keys by its path and digest; one that is not there or not to be read by its path alone.
fn key(look: &mut Look<'_>, path: &str) -> String {
    let result = look.in_time().and_then(|()| look.host.root.read(path, MAX_KEY));
    match result {
        Ok(bytes) => format!("{path} sha256:{}", Digest::of(&bytes)),
        Err(_) => path.to_owned(),
    }
}

/// Every key of a directory.
fn keys_of(
    look: &mut Look<'_>,
    directory: &str,
    is_key: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Found> {
    let names = files::names(look, directory, is_key)?;
    Ok(names.into_iter().map(|it| key(look, &format!("{directory}/{it}"))).collect())
}

#[cfg(test)]
mod tests;
