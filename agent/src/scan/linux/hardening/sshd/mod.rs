//! L05: how the SSH server is configured, as OpenSSH itself would read it.
//!
//! Sources of truth: the command line that the distribution's service file takes from
//! `etc/default/ssh` and its like, then `etc/ssh/sshd_config` (`usr/etc/ssh/sshd_config` when that is
//! not there) with all that it includes. The first value of a keyword wins; lists of users,
//! ports and addresses add up; a `Match all` block is part of the global part and stronger. Includes are relative to `etc/ssh`, sorted by bytes, at most 16 deep. Often only root
//! may read them. Facts without a subject are the global part; what a `Match` block
//! sets is a fact about its criteria. Defaults that no OpenSSH in use disagrees on are facts too,
//! with that reason; for `PermitRootLogin` the version inside the program decides.
//! Prefixes of algorithm lists (`+ - ^`) are left as written, and default lists are not guessed.
//!
//! Absence: without `sshd` one fact says so and there are no others.
//!
//! Known lies: a daemon that started before the file was changed still runs with the old one; a unit
//! edited to take another file or other options is not followed; a socket unit (`ssh.socket`) that
//! listens itself makes `Port` mean nothing; a server built into another directory, and
//! other servers (dropbear), are not seen. PAM can allow what this file forbids and the other way round.

mod keywords;
mod line;
mod settings;

use holdpoint_common::row::HardeningRow;

use self::keywords::{Default, KEYWORDS, Keyword};
use self::settings::{EVERYBODY, Gap, Setting, Settings};
use super::files::{self, Found};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch. Host keys lie beside the configuration and are not on it.
pub const READS: &[Reads] = &[
    Reads::content("usr/sbin/sshd"),
    Reads::content("usr/bin/sshd"),
    Reads::content("etc/ssh/sshd_config*"),
    Reads::content("etc/ssh/sshd_config*/*"),
    Reads::content("etc/ssh/*.conf"),
    Reads::content("etc/ssh/*.d/*"),
    Reads::content("usr/etc/ssh/sshd_config*"),
    Reads::content("usr/etc/ssh/sshd_config*/*"),
    Reads::content("etc/crypto-policies/back-ends/opensshserver.config"),
    Reads::content("usr/share/crypto-policies/*/opensshserver.txt"),
    Reads::content("etc/default/ssh"),
    Reads::content("etc/sysconfig/ssh"),
    Reads::content("etc/sysconfig/sshd"),
    Reads::content("etc/conf.d/sshd"),
];

const CHECKS: &[&str] = &["L05"];
const PROGRAMS: [&str; 2] = ["usr/sbin/sshd", "usr/bin/sshd"];
const CONFIGS: [&str; 2] = ["etc/ssh/sshd_config", "usr/etc/ssh/sshd_config"];
/// Files from which service files take options, with the variable.
const OPTIONS: [(&str, &str); 6] = [
    ("etc/default/ssh", "SSHD_OPTS"),
    ("etc/sysconfig/ssh", "SSHD_OPTS"),
    ("etc/conf.d/sshd", "SSHD_OPTS"),
    ("etc/sysconfig/sshd", "OPTIONS"),
    ("etc/sysconfig/sshd", "CRYPTO_POLICY"),
    // RHEL 8; later ones have lines of `sshd_config` there.
    ("etc/crypto-policies/back-ends/opensshserver.config", "CRYPTO_POLICY"),
];

/// Reads the effective configuration.
pub fn probe(look: &mut Look<'_>) -> Reading {
    if !files::is_a_system(look) {
        return look.missing("etc is not there");
    }
    let installed = Fact::new("sshd.installed", CHECKS, PROGRAMS[0]);
    match files::any_exists(look, &PROGRAMS) {
        Some(true) => {}
        Some(false) => return Reading::of(&[installed.flag(false)]),
        None => return Reading::of(&[installed.because("it could not be looked for").error()]),
    }
    let mut rows = vec![installed.flag(true)];
    let mut settings = Settings::default();
    options(look, &mut settings);
    let main = match files::exists(look, CONFIGS[0]) {
        Some(false) if files::exists(look, CONFIGS[1]) == Some(true) => CONFIGS[1],
        _ => CONFIGS[0],
    };
    settings.add_file(look, main);
    for keyword in KEYWORDS {
        rows.push(global(look, &settings, keyword, main));
    }
    rows.extend(in_blocks(&settings));
    for row in rows.iter().filter(|it| it.state == "error" && settings.gap.is_none()) {
        look.fault(format!("{}: {}", row.source, row.reason.as_deref().unwrap_or_default()));
    }
    Reading::of(&rows)
}

fn global(look: &mut Look<'_>, settings: &Settings, keyword: &Keyword, main: &str) -> HardeningRow {
    // `Match all` is about everybody, and what a block sets comes before what the global part says.
    let everybody = [Some(EVERYBODY), None].into_iter().map(|block| {
        let of = settings.all.iter().enumerate();
        let of = of.filter(move |(_, it)| it.block.as_deref() == block && keyword.is_set_by(&it.line));
        of.take(if keyword.adds_up() { usize::MAX } else { 1 }).collect()
    });
    let set: Vec<(usize, &Setting)> =
        everybody.into_iter().find(|it: &Vec<_>| !it.is_empty()).unwrap_or_default();
    let first = set.first().map(|it| it.1);
    let fact = fact(keyword, first.map_or(main, |it| &it.file));
    // What was missed could have set it first, or could have added to it.
    if let Some(Gap { after, file, found }) = &settings.gap
        && (keyword.adds_up() || set.first().is_none_or(|it| it.0 >= *after))
    {
        return match found {
            Found::Denied => fact.because(format!("only root may read {file}")).denied(),
            Found::Broken(why) => fact.because(format!("{file}: {why}")).error(),
            Found::Text(_) | Found::Absent => fact.absent(),
        };
    }
    if !set.is_empty() {
        let lines: Vec<&[String]> = set.iter().map(|it| it.1.line.arguments.as_slice()).collect();
        return keyword.row(fact, &lines);
    }
    match keyword.default {
        Default::Always(value) => {
            let value: Vec<String> = value.split(' ').map(str::to_owned).collect();
            keyword.row(fact.because("OpenSSH's default"), &[&value])
        }
        Default::Varies if keyword.fact == "permit_root_login" => root_login(look, fact),
        Default::Varies => fact.because("not set: OpenSSH's own list, which depends on its version").absent(),
        Default::Nothing => fact.because("not set").absent(),
    }
}

fn fact(keyword: &Keyword, source: &str) -> Fact {
    Fact::new(&format!("sshd.{}", keyword.fact), CHECKS, source)
}

/// Root could log in with a password by default before OpenSSH 7.0.
fn root_login(look: &mut Look<'_>, fact: Fact) -> HardeningRow {
    let version = PROGRAMS.iter().find_map(|it| version(look, it));
    let Some(major) = version else {
        return fact.because("not set, and the version that decides the default was not found").absent();
    };
    let fact = fact.because(format!("OpenSSH's default in version {major}"));
    fact.text(if major >= 7 { "prohibit-password" } else { "yes" })
}

/// The major version that a program says it is.
fn version(look: &mut Look<'_>, path: &str) -> Option<u32> {
    const MARK: &[u8] = b"OpenSSH_";
    const PIECE: usize = 64 * 1024;
    const MAX_PROGRAM: u64 = 16 * 1024 * 1024;
    let pieces = look.host.root.pieces(path).ok()?;
    let end = pieces.bytes().min(MAX_PROGRAM);
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    while offset < end {
        let length = usize::try_from(end - offset).map_or(PIECE, |it| it.min(PIECE));
        let piece = &mut buffer[..length];
        look.in_time().and_then(|()| pieces.read_at(offset, piece)).ok()?;
        let mut rest: &[u8] = piece;
        while let Some(at) = rest.iter().position(|it| *it == MARK[0]) {
            rest = &rest[at..];
            let digits = rest.strip_prefix(MARK).unwrap_or_default();
            let digits = &digits[..digits.iter().take_while(|it| it.is_ascii_digit()).count()];
            if let Some(major) = std::str::from_utf8(digits).ok().and_then(|it| it.parse().ok()) {
                return Some(major);
            }
            rest = &rest[1..];
        }
        // Pieces overlap, so that a mark on their border is seen.
        let step = if length == PIECE { PIECE - 2 * MARK.len() } else { length };
        offset = offset.saturating_add(u64::try_from(step).ok()?);
    }
    None
}

/// Facts of `Match` blocks, in the order of the file; within a block the first value wins.
fn in_blocks(settings: &Settings) -> Vec<HardeningRow> {
    let mut rows: Vec<HardeningRow> = Vec::new();
    let mut done: Vec<(&str, &str)> = Vec::new();
    for setting in &settings.all {
        let Some(block) = setting.block.as_deref().filter(|it| *it != EVERYBODY) else { continue };
        let Some(keyword) = KEYWORDS.iter().find(|it| it.is_set_by(&setting.line)) else { continue };
        if done.contains(&(block, keyword.fact)) {
            continue;
        }
        done.push((block, keyword.fact));
        let lines: Vec<&[String]> = settings
            .all
            .iter()
            .filter(|it| it.block.as_deref() == Some(block) && keyword.is_set_by(&it.line))
            .map(|it| it.line.arguments.as_slice())
            .collect();
        rows.push(keyword.row(fact(keyword, &setting.file).about(block), &lines));
        if rows.len() == MAX_BLOCK_ROWS {
            break;
        }
    }
    rows
}

/// Most facts of `Match` blocks.
const MAX_BLOCK_ROWS: usize = 512;

/// Options of the command line come before the file.
fn options(look: &mut Look<'_>, settings: &mut Settings) {
    for (path, variable) in OPTIONS {
        let Some(text) = files::read(look, path).text() else { continue };
        for line in text.lines() {
            let Some(value) = line.trim_start().strip_prefix(variable).and_then(|it| it.strip_prefix('='))
            else {
                continue;
            };
            let value = value.trim().trim_matches(['"', '\'']);
            let mut words = value.split_whitespace();
            while let Some(word) = words.next() {
                let mut of = |flag: &str| match word.strip_prefix(flag) {
                    Some("") => words.next().map(str::to_owned),
                    Some(joined) => Some(joined.trim_matches(['"', '\'']).to_owned()),
                    None => None,
                };
                if let Some(option) = of("-o") {
                    settings.add_option(&option, path);
                } else if let Some(port) = of("-p") {
                    settings.add_option(&format!("Port {port}"), path);
                } else if let Some(other) = of("-f") {
                    look.fault(format!("{path}: the service reads {other}, which is not followed"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
