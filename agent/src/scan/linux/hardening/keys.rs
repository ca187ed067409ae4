//! L21: which SSH keys open which account.
//!
//! Sources of truth: `etc/passwd` for accounts and their homes, and there `.ssh/authorized_keys` and
//! `authorized_keys2`, the places that OpenSSH asks by itself; files of `etc/ssh/authorized_keys` where a site keeps them by
//! account. Homes are mostly closed to everybody but root. A key is told by type and fingerprint, as
//! `ssh-keygen -l` prints it; comments, commands and environments, which name people and secrets, are not told.
//!
//! Absence: an account without such a file has no fact.
//!
//! Known lies: `AuthorizedKeysFile` and `AuthorizedKeysCommand` can name other places (facts of
//! `sshd` say so); a file with wrong owner or mode is ignored by sshd and told here; homes
//! that are not on the read list are an error for accounts that can log in.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64, BASE64_NOPAD};
use holdpoint_common::row::HardeningRow;

use super::super::accounts::MAX_BYTES;
use super::files::{self, Found};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch. On some hosts `root` and `home` lead into `var`.
pub const READS: &[Reads] = &[
    Reads::content("etc/passwd"),
    Reads::content("root/.ssh/authorized_keys"),
    Reads::content("root/.ssh/authorized_keys2"),
    Reads::content("home/*/.ssh/authorized_keys"),
    Reads::content("home/*/.ssh/authorized_keys2"),
    Reads::content("var/roothome/.ssh/authorized_keys"),
    Reads::content("var/roothome/.ssh/authorized_keys2"),
    Reads::content("var/home/*/.ssh/authorized_keys"),
    Reads::content("var/home/*/.ssh/authorized_keys2"),
    Reads::content("var/lib/*/.ssh/authorized_keys"),
    Reads::content("var/lib/*/.ssh/authorized_keys2"),
    Reads::content("etc/ssh/authorized_keys/*"),
];

const CHECKS: &[&str] = &["L21"];
const FILES: [&str; 2] = ["authorized_keys", "authorized_keys2"];
/// Where some sites keep one file for each account.
const CENTRAL: &str = "etc/ssh/authorized_keys";
/// Most accounts that are looked at.
const MAX_ACCOUNTS: usize = 4_096;
/// Largest key, decoded.
const MAX_KEY: usize = 16 * 1024;
/// Shells that let nobody in.
const NO_SHELLS: [&str; 6] = ["nologin", "false", "sync", "halt", "shutdown", "true"];

/// Reads the keys of every account.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(passwd) = look.bytes("etc/passwd", MAX_BYTES).map(files::text_of) else {
        return look.missing("etc/passwd is not there");
    };
    let mut rows = Vec::new();
    for (number, line) in passwd.lines().enumerate() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, _, _, _, home, shell] = fields.as_slice() else { continue };
        if number == MAX_ACCOUNTS {
            look.fault(format!("etc/passwd: more than {MAX_ACCOUNTS} accounts"));
            break;
        }
        if !name.is_empty() && !name.starts_with(['+', '-', '#']) {
            account(look, name, home, shell, &mut rows);
        }
    }
    for (path, found) in files::read_all(look, CENTRAL, |_| true) {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        rows.extend(told(&name, &path, &found));
    }
    Reading::of(&rows)
}

fn account(look: &mut Look<'_>, name: &str, home: &str, shell: &str, rows: &mut Vec<HardeningRow>) {
    let home = home.trim_matches('/');
    if !is_listed(home) {
        let shell = shell.rsplit('/').next().unwrap_or_default();
        // Daemons with a directory of their own cannot log in, and many of them share one.
        if !NO_SHELLS.contains(&shell) && !home.is_empty() && home != "nonexistent" {
            let reason = "not on the agent's read list";
            rows.push(fact(name, &format!("{home}/.ssh/{}", FILES[0])).because(reason).error());
        }
        return;
    }
    for file in FILES {
        let path = format!("{home}/.ssh/{file}");
        let found = files::read(look, &path);
        rows.extend(told(name, &path, &found));
    }
}

/// Whether a home is one of those that the read list names.
fn is_listed(home: &str) -> bool {
    let below = |start: &str| home.strip_prefix(start).is_some_and(|it| !it.is_empty() && !it.contains('/'));
    home == "root" || below("home/") || below("var/home/") || below("var/lib/")
}

fn fact(account: &str, source: &str) -> Fact {
    Fact::new("ssh.authorized_keys", CHECKS, source).about(account)
}

fn told(account: &str, path: &str, found: &Found) -> Option<HardeningRow> {
    let text = match found {
        Found::Text(text) => text,
        Found::Absent => return None,
        gap @ (Found::Denied | Found::Broken(_)) => return Some(gap.unanswered(fact(account, path))),
    };
    let mut wrong = 0_usize;
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')) {
        match key(line) {
            Some(key) => keys.push(key),
            None => wrong += 1,
        }
    }
    let fact = fact(account, path);
    // sshd passes over such a line too.
    let fact = if wrong == 0 { fact } else { fact.because(format!("{wrong} lines hold no key")) };
    Some(fact.list(keys))
}

/// `[OPTIONS] TYPE BASE64 [COMMENT]` as "ssh-ed25519 SHA256:... [command, from="..."]".
fn key(line: &str) -> Option<String> {
    if let Some(key) = plain(line) {
        return Some(key);
    }
    let end = outside_quotes(line, |it| it == ' ' || it == '\t')?;
    let key = plain(line[end..].trim_start())?;
    let mut options = Vec::new();
    let mut rest = &line[..end];
    while !rest.is_empty() {
        let end = outside_quotes(rest, |it| it == ',').unwrap_or(rest.len());
        let option = &rest[..end];
        let name = option.split('=').next().unwrap_or_default().to_ascii_lowercase();
        // Where from one may come is the only value that is a fact.
        options.push(if name == "from" { option.to_owned() } else { name });
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Some(format!("{key} [{}]", options.join(", ")))
}

/// Where a character first stands outside quotes; a backslash keeps a quote from counting.
fn outside_quotes(text: &str, is_it: impl Fn(char) -> bool) -> Option<usize> {
    let mut in_quotes = false;
    let mut is_held = false;
    for (at, it) in text.char_indices() {
        match it {
            '"' if !is_held => in_quotes = !in_quotes,
            it if !in_quotes && is_it(it) => return Some(at),
            _ => {}
        }
        is_held = it == '\\' && !is_held;
    }
    None
}

/// A key without options: the type stands inside the key once more.
fn plain(text: &str) -> Option<String> {
    let mut words = text.split([' ', '\t']).filter(|it| !it.is_empty());
    let (kind, encoded) = (words.next()?, words.next()?);
    if encoded.len() > MAX_KEY * 4 / 3 {
        return None;
    }
    let blob = BASE64.decode(encoded.as_bytes()).or_else(|_| BASE64_NOPAD.decode(encoded.as_bytes())).ok()?;
    let (own, rest) = field(&blob)?;
    if own != kind.as_bytes() {
        return None;
    }
    let bits = if kind == "ssh-rsa" { format!(" {}", modulus_bits(rest)?) } else { String::new() };
    Some(format!("{kind}{bits} SHA256:{}", BASE64_NOPAD.encode(digest(&SHA256, &blob).as_ref())))
}

/// A field of a key: its length in four bytes, then itself.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// The size of an RSA key is that of its second number.
fn modulus_bits(bytes: &[u8]) -> Option<usize> {
    let (_, rest) = field(bytes)?;
    let (modulus, _) = field(rest)?;
    let start = modulus.iter().position(|it| *it != 0)?;
    let first = usize::try_from(modulus[start].leading_zeros()).ok()?;
    Some((modulus.len() - start) * 8 - first)
}

#[cfg(test)]
mod tests {
    use holdpoint_common::row::hardening_row::Value;

    use super::*;
    use crate::host::ReadList;
    use crate::scan::look::tests::{host, rows_of};

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYNGxAlJTctL9mXVwFVjIVwQSNBkKPUYgxTMpQBZAO1";

    #[test]
    fn a_key_is_told_by_its_fingerprint_and_nobody_by_name() {
        let text = format!(
            "# owner\n{KEY} anna@laptop\nfrom=\"10.0.0.1,10.0.0.2\",no-pty,command=\"/bin/x --password \\\"SECRET, y\\\"\" {KEY} SECRET\n\nnonsense\n"
        );
        let (_dir, host) = host(&[
            (
                "etc/passwd",
                "root:x:0:0::/root:/bin/sh\nop:x:1000:1000::/home/op:/bin/bash\nsrv:x:9:9::/srv/x:/bin/sh\n\
                 bin:x:2:2::/bin:/usr/sbin/nologin\nnobody:x:6:6::/nonexistent:/bin/sh\n",
            ),
            ("root/.ssh/authorized_keys", &text),
            ("home/op/.ssh/authorized_keys2", ""),
            ("etc/ssh/authorized_keys/vendor", KEY),
        ]);
        let host = host.limited_to(ReadList::new(READS));
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let about: Vec<_> =
            rows.iter().map(|it| (it.subject.as_deref().unwrap(), it.state.as_str())).collect();
        assert_eq!(
            about,
            [("root", "observed"), ("op", "observed"), ("srv", "error"), ("vendor", "observed")]
        );
        let Some(Value::List(keys)) = &rows[0].value else { panic!() };
        assert_eq!(keys.items.len(), 2);
        assert!(keys.items[0].starts_with("ssh-ed25519 SHA256:") && keys.items[0].len() == 12 + 7 + 43);
        assert!(
            keys.items[1].ends_with(" [from=\"10.0.0.1,10.0.0.2\", no-pty, command]"),
            "{:?}",
            keys.items
        );
        assert_eq!(rows[0].reason.as_deref(), Some("1 lines hold no key"));
        let all = format!("{rows:?}");
        assert!(!all.contains("SECRET") && !all.contains("anna"));
    }

    #[test]
    fn a_key_that_lies_about_its_type_is_none() {
        let rsa = KEY.replace("ssh-ed25519", "ssh-rsa");
        for line in [rsa.as_str(), "ssh-rsa", "ssh-rsa AAAA", "ssh-rsa AAAAB3NzaC1yc2H/////", "\"x ssh-rsa A"]
        {
            assert_eq!(key(line), None, "{line}");
        }
    }
}
