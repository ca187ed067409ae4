//! L13: accounts that are more than they look, and how passwords are kept.
//!
//! Sources of truth: `etc/passwd`, and `etc/shadow`, which only root may read. Of a password
//! field its kind is read: whether there is one, whether it is locked, and by which method it was made.
//! Neither a password nor its hash leaves this module. A uid counts as the number that it is: `00` is root too.
//!
//! Absence: without `etc/passwd` there is nothing to say. Without `shadow` passwords are in
//! `passwd` alone, and what ageing is in force is not known.
//!
//! Known lies: users of a directory service are in neither file (`accounts.legacy_entries` names the
//! lines that let them in by the old way); whether a host lets an empty password in is decided by PAM and sshd.

use std::collections::BTreeMap;

use holdpoint_common::row::HardeningRow;

use super::super::accounts::{MAX_BYTES, state_of};
use super::files::{self, Found};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[Reads::content("etc/passwd"), Reads::content("etc/shadow")];

const PASSWD: &str = "etc/passwd";
const SHADOW: &str = "etc/shadow";
const CHECKS: &[&str] = &["L13"];
/// So many days and more are no limit.
const NO_LIMIT: i64 = 99_999;

/// How a hash begins, by crypt(5), and what the method is called.
const METHODS: [(&str, &str); 14] = [
    ("$y$", "yescrypt"),
    ("$gy$", "gost-yescrypt"),
    ("$7$", "scrypt"),
    ("$2a$", "bcrypt"),
    ("$2b$", "bcrypt"),
    ("$2x$", "bcrypt"),
    ("$2y$", "bcrypt"),
    ("$6$", "sha512"),
    ("$5$", "sha256"),
    ("$sha1", "sha1"),
    ("$md5", "sunmd5"),
    ("$1$", "md5"),
    ("$3$", "nt"),
    ("_", "bsdi-des"),
];

/// What a line of `shadow` says, without its secret.
struct Kept {
    state: &'static str,
    method: Option<&'static str>,
    has_ageing: bool,
}

/// Reads both files.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(passwd) = look.bytes(PASSWD, MAX_BYTES).map(files::text_of) else {
        return look.missing("etc/passwd is not there");
    };
    let shadow = files::read_up_to(look, SHADOW, MAX_BYTES);
    let users: Vec<Vec<&str>> = passwd
        .lines()
        .map(|it| it.split(':').collect::<Vec<_>>())
        .filter(|it| it.len() >= 7 && !it[0].is_empty() && !it[0].starts_with(['+', '-', '#']))
        .collect();
    let mut rows = of_passwd(&passwd, &users);
    rows.extend(of_passwords(&users, &shadow));
    Reading::of(&rows)
}

fn fact(id: &str, source: &str) -> Fact {
    Fact::new(&format!("accounts.{id}"), CHECKS, source)
}

fn of_passwd(passwd: &str, users: &[Vec<&str>]) -> Vec<HardeningRow> {
    let mut by_uid: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    for fields in users {
        if let Ok(uid) = fields[2].parse() {
            by_uid.entry(uid).or_default().push(fields[0]);
        }
        *by_name.entry(fields[0]).or_default() += 1;
    }
    let root = by_uid.get(&0).into_iter().flatten().map(|it| (*it).to_owned());
    let shared = by_uid.iter().filter(|it| it.1.len() > 1).map(|it| format!("{}: {}", it.0, it.1.join(", ")));
    let twice = by_name.iter().filter(|it| *it.1 > 1).map(|it| (*it.0).to_owned());
    // What lets users of a directory in by the old way; a whole line can hold a password.
    let legacy = passwd.lines().filter(|it| it.starts_with(['+', '-']));
    let legacy = legacy.map(|it| it.split(':').next().unwrap_or_default().to_owned());
    vec![
        fact("uid_zero", PASSWD).list(root),
        fact("duplicate_uids", PASSWD).list(shared),
        fact("duplicate_names", PASSWD).list(twice),
        fact("legacy_entries", PASSWD).list(legacy),
    ]
}

fn of_passwords(users: &[Vec<&str>], shadow: &Found) -> Vec<HardeningRow> {
    // A field that is not an `x` is the password itself, which everybody may read.
    let in_passwd = users.iter().filter(|it| it[1] != "x");
    let hashes = in_passwd.clone().filter(|it| state_of(it[1]) == "set").map(|it| it[0].to_owned());
    let mut rows = vec![fact("hash_in_passwd", PASSWD).list(hashes)];
    let mut kept: BTreeMap<&str, Kept> = in_passwd.clone().map(|it| (it[0], kept(it[1], None))).collect();
    let source = match shadow {
        Found::Text(text) => {
            let shadowed: BTreeMap<&str, Kept> = text.lines().filter_map(of_line).collect();
            let names = users.iter().filter(|it| it[1] == "x").map(|it| it[0]);
            let mut shadowed = shadowed;
            kept.extend(names.filter_map(|it| shadowed.remove_entry(it)));
            SHADOW
        }
        Found::Absent => PASSWD,
        gap @ (Found::Denied | Found::Broken(_)) => {
            let empty: Vec<_> = of_state(&kept, "none").collect();
            let row = fact("empty_password", SHADOW);
            // Those of `passwd` are true all the same.
            rows.push(if empty.is_empty() {
                gap.unanswered(row)
            } else {
                row.because("there may be more: etc/shadow could not be read").list(empty)
            });
            rows.push(gap.unanswered(fact("password_methods", SHADOW)));
            rows.push(gap.unanswered(fact("without_ageing", SHADOW)));
            return rows;
        }
    };
    let mut methods: BTreeMap<&str, usize> = BTreeMap::new();
    for it in kept.values() {
        if let Some(method) = it.method {
            *methods.entry(method).or_default() += 1;
        }
    }
    let empty: Vec<_> = of_state(&kept, "none").collect();
    rows.push(fact("empty_password", source).list(empty));
    rows.push(fact("password_methods", source).list(methods.iter().map(|it| format!("{}: {}", it.0, it.1))));
    let ageless =
        kept.iter().filter(|it| it.1.state == "set" && !it.1.has_ageing).map(|it| (*it.0).to_owned());
    rows.push(fact("without_ageing", source).list(ageless));
    rows
}

fn of_state<'a>(kept: &'a BTreeMap<&str, Kept>, state: &'a str) -> impl Iterator<Item = String> + 'a {
    kept.iter().filter(move |it| it.1.state == state).map(|it| (*it.0).to_owned())
}

/// `NAME:PASSWORD:CHANGED:MINIMUM:MAXIMUM:...`
fn of_line(line: &str) -> Option<(&str, Kept)> {
    let mut fields = line.split(':');
    let (name, password) = (fields.next()?, fields.next()?);
    Some((name, kept(password, fields.nth(2))))
}

fn kept(password: &str, maximum: Option<&str>) -> Kept {
    let state = state_of(password);
    let method = (state == "set").then(|| method_of(password));
    let days = maximum.and_then(|it| it.trim().parse::<i64>().ok());
    Kept { state, method, has_ageing: days.is_some_and(|it| (0..NO_LIMIT).contains(&it)) }
}

fn method_of(password: &str) -> &'static str {
    const DES: usize = 13;
    if let Some((_, name)) = METHODS.iter().find(|it| password.starts_with(it.0)) {
        return name;
    }
    let is_des = password.len() == DES
        && password.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'/'));
    if is_des { "des" } else { "unknown" }
}

#[cfg(test)]
mod tests {
    use holdpoint_common::row::hardening_row::Value;

    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    const PASSWD_TEXT: &str = "root:x:0:0::/root:/bin/sh\ntoor:x:00:0::/:/bin/sh\nop:x:1000:1000::/:/bin/sh\n\
        twin:x:1000:1000::/:/bin/sh\nopen::1001:1001::/:/bin/sh\nold:abJnggxhB/yWI:1002:1002::/:/bin/sh\n\
        op:x:1003:1003::/:/bin/sh\n+@plant::::::\n+\n#no:x:0:0::/:/bin/sh\nshort:x:0\n";
    const SHADOW_TEXT: &str = "root:$y$j9T$SECRET:19000:0:99999:7:::\ntoor:!:19000::::::\n\
        op:$6$SECRET:19000:0:90:7:::\ntwin::19000:0:90:7:::\ngone::19000::::::\nopen:$1$x:1::::::\n";

    fn list(rows: &[HardeningRow], id: &str) -> Vec<String> {
        let row = rows.iter().find(|it| it.id == format!("accounts.{id}")).unwrap();
        let Some(Value::List(list)) = &row.value else { panic!("{row:?}") };
        list.items.clone()
    }

    #[test]
    fn kinds_are_told_and_secrets_are_not() {
        let (_dir, host) = host(&[(PASSWD, PASSWD_TEXT), (SHADOW, SHADOW_TEXT)]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty());
        assert_eq!(list(&rows, "uid_zero"), ["root", "toor"]);
        assert_eq!(list(&rows, "duplicate_uids"), ["0: root, toor", "1000: op, twin"]);
        assert_eq!(list(&rows, "duplicate_names"), ["op"]);
        assert_eq!(list(&rows, "legacy_entries"), ["+@plant", "+"]);
        assert_eq!(list(&rows, "hash_in_passwd"), ["old"]);
        assert_eq!(
            list(&rows, "empty_password"),
            ["open", "twin"],
            "passwd decides for who is not an x there"
        );
        assert_eq!(list(&rows, "password_methods"), ["des: 1", "sha512: 1", "yescrypt: 1"]);
        assert_eq!(list(&rows, "without_ageing"), ["old", "root"]);
        let all = format!("{rows:?}");
        assert!(!all.contains("SECRET") && !all.contains("abJn"));
    }

    #[test]
    fn a_shadow_file_that_cannot_be_read_is_no_proof_of_passwords() {
        let (dir, host) = host(&[(PASSWD, "root:x:0:0::/root:/bin/sh\n")]);
        std::fs::create_dir(dir.path().join(SHADOW)).unwrap();
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(faults, ["etc/shadow: not a regular file"]);
        for id in ["accounts.empty_password", "accounts.password_methods", "accounts.without_ageing"] {
            assert_eq!(rows.iter().find(|it| it.id == id).unwrap().state, "error", "{id}");
        }
    }

    #[test]
    fn every_method_has_a_name() {
        for (field, method) in [
            ("$2b$12$abc", "bcrypt"),
            ("$5$a", "sha256"),
            ("_J9..", "bsdi-des"),
            ("rounds", "unknown"),
            ("$9$", "unknown"),
        ] {
            assert_eq!(method_of(field), method, "{field}");
        }
    }
}
