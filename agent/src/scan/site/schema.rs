//! The format of a file in `facts.d`, checked before anything of it is used.
//!
//! What is wrong with one fact refuses the whole file: a site that mistyped a path should not
//! believe that it is watched.

mod registry;
mod windows;

use serde::Deserialize;

use crate::host::Family;

/// Most facts of a host.
pub(super) const MAX_FACTS: usize = 200;
/// Longest identifier, path or text.
const MAX_LENGTH: usize = 512;

/// One fact that the host's administrator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SiteFact {
    pub(super) id: String,
    pub(super) checks: Vec<String>,
    pub(super) what: What,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// Whether a path leads anywhere.
    Exists { path: String },
    /// Whether a line of a file fits.
    Line { path: String, wanted: Fit, show: bool },
    /// SHA-256 of a file.
    Hash { path: String },
    /// A kernel parameter, with `/` between its parts.
    Sysctl { key: String },
    /// How a service starts and whether it runs.
    Service { name: String },
    /// A value of the Windows registry.
    Registry { key: String, value: String },
}

/// What paths and kinds mean on this family of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) family: Family,
    /// Letter of the system drive, where it is known.
    pub(super) drive: Option<char>,
}

/// How a trimmed line fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fit {
    Equals(String),
    Prefix(String),
    Contains(String),
}

impl Fit {
    pub(super) fn fits(&self, line: &str) -> bool {
        match self {
            Self::Equals(text) => line == text,
            Self::Prefix(text) => line.starts_with(text.as_str()),
            Self::Contains(text) => line.contains(text.as_str()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    fact: Vec<Raw>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    kind: Kind,
    #[serde(default)]
    checks: Vec<String>,
    path: Option<String>,
    equals: Option<String>,
    prefix: Option<String>,
    contains: Option<String>,
    show: Option<bool>,
    key: Option<String>,
    name: Option<String>,
    value: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    File,
    Line,
    Hash,
    Sysctl,
    Service,
    Registry,
}

/// Reads a file; the reason when it is refused.
pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Vec<SiteFact>, String> {
    let File { fact } = toml::from_str(text).map_err(|cause| one_line(cause.message()))?;
    if fact.len() > MAX_FACTS {
        return Err(format!("more than {MAX_FACTS} facts"));
    }
    let mut facts: Vec<SiteFact> = Vec::with_capacity(fact.len());
    for raw in fact {
        let id = raw.id.clone();
        let fact = checked(raw, dialect).map_err(|why| format!("{}: {why}", one_line(&id)))?;
        if facts.iter().any(|it| it.id == fact.id) {
            return Err(format!("{id}: named twice"));
        }
        facts.push(fact);
    }
    Ok(facts)
}

fn one_line(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(MAX_LENGTH).collect()
}

fn checked(raw: Raw, dialect: Dialect) -> Result<SiteFact, String> {
    let Raw { id, kind, checks, path, equals, prefix, contains, show, key, name, value } = raw;
    if !is_id(&id) {
        return Err("an id is `site.` and words of a-z, 0-9 and _ with dots between".to_owned());
    }
    if checks.len() > 8 || checks.iter().any(|it| it.is_empty() || it.len() > 32) {
        return Err("at most 8 checks of at most 32 characters".to_owned());
    }
    let given = [
        ("path", path.is_some()),
        ("equals", equals.is_some()),
        ("prefix", prefix.is_some()),
        ("contains", contains.is_some()),
        ("show", show.is_some()),
        ("key", key.is_some()),
        ("name", name.is_some()),
        ("value", value.is_some()),
    ];
    let allowed: &[&str] = match kind {
        Kind::File | Kind::Hash => &["path"],
        Kind::Line => &["path", "equals", "prefix", "contains", "show"],
        Kind::Sysctl => &["key"],
        Kind::Service => &["name"],
        Kind::Registry => &["key", "value"],
    };
    if let Some((word, _)) = given.iter().find(|(word, is_given)| *is_given && !allowed.contains(word)) {
        return Err(format!("`{word}` does not belong to this kind"));
    }
    let what = match kind {
        Kind::File => What::Exists { path: path_of(path, false, dialect)? },
        Kind::Hash => What::Hash { path: path_of(path, true, dialect)? },
        Kind::Line => {
            let wanted = match (equals, prefix, contains) {
                (Some(text), None, None) => Fit::Equals(text),
                (None, Some(text), None) => Fit::Prefix(text),
                (None, None, Some(text)) => Fit::Contains(text),
                _ => return Err("a line has one of `equals`, `prefix` and `contains`".to_owned()),
            };
            let (Fit::Equals(text) | Fit::Prefix(text) | Fit::Contains(text)) = &wanted;
            if text.is_empty() || text.trim() != text || text.len() > MAX_LENGTH || text.contains('\n') {
                return Err("the text of a line is 1 to 512 bytes without blanks around it".to_owned());
            }
            What::Line { path: path_of(path, true, dialect)?, wanted, show: show.unwrap_or(false) }
        }
        Kind::Sysctl => What::Sysctl { key: sysctl_of(key)? },
        Kind::Service => {
            let name = name.ok_or("`name` is missing")?;
            let others = match dialect.family {
                Family::Linux => "-_.@:\\",
                Family::Windows => "-_.@:$ +()[]#",
            };
            let is_plain = |it: char| it.is_ascii_alphanumeric() || others.contains(it);
            if name.is_empty() || name.len() > 255 || !name.chars().all(is_plain) {
                return Err("`name` is no name of a service".to_owned());
            }
            What::Service { name: name.strip_suffix(".service").unwrap_or(&name).to_owned() }
        }
        Kind::Registry => {
            let (key, value) = registry::checked(key, value)?;
            What::Registry { key, value }
        }
    };
    Ok(SiteFact { id, checks, what })
}

fn is_id(id: &str) -> bool {
    let is_word = |it: &str| {
        !it.is_empty() && it.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
    };
    id.len() <= 128 && id.strip_prefix("site.").is_some_and(|it| it.split('.').all(is_word))
}

/// An absolute path without detours, relative to the root; `is_read` when its content is.
fn path_of(path: Option<String>, is_read: bool, dialect: Dialect) -> Result<String, String> {
    let path = path.ok_or("`path` is missing")?;
    let inside = match dialect.family {
        Family::Linux => path.strip_prefix('/').ok_or("`path` is not absolute")?.to_owned(),
        Family::Windows => windows::inside(&path, dialect.drive)?,
    };
    let is_plain = inside.split('/').all(|it| !matches!(it, "" | "." | ".."));
    if !is_plain || path.len() > MAX_LENGTH || path.contains('*') || path.chars().any(char::is_control) {
        return Err("`path` has empty parts, dots, stars or is too long".to_owned());
    }
    match (dialect.family, inside.split('/').next()) {
        (Family::Linux, Some("proc")) => return Err("`path` is below /proc: use the kind sysctl".to_owned()),
        (Family::Linux, Some("sys" | "dev")) if is_read => {
            return Err("what is below /sys and /dev is not read".to_owned());
        }
        (Family::Linux | Family::Windows, _) => {}
    }
    let is_secret = match dialect.family {
        Family::Linux => is_secret(&inside),
        Family::Windows => windows::is_secret(&inside),
    };
    if is_read && is_secret {
        return Err(format!("{path} holds secrets and is never read"));
    }
    Ok(inside)
}

/// Files whose content is nobody's business, whoever asks. Not a complete list and not meant as one: the
/// administrator who writes `facts.d` can read them all; this keeps a slip from leaving the host.
fn is_secret(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let starts = |start: &[&str]| start.iter().any(|it| path.starts_with(it));
    let within = |part: &str| path.split('/').any(|it| it == part);
    let ends = |end: &[&str]| end.iter().any(|it| name.to_ascii_lowercase().ends_with(it));
    starts(&["etc/shadow", "etc/gshadow", "etc/security/opasswd", "etc/krb5.keytab"])
        || starts(&["etc/NetworkManager/system-connections/", "etc/wpa_supplicant/", "etc/wireguard/"])
        || starts(&["var/lib/holdpoint-agent/", "var/lib/holdpoint/", "etc/ipsec.secrets", "etc/swanctl/"])
        || (name.starts_with("ssh_host_") && !ends(&[".pub"]))
        || (within(".ssh")
            && !matches!(name, "authorized_keys" | "known_hosts" | "config")
            && !ends(&[".pub"]))
        || within("private")
        || ends(&[".key", ".keytab", ".p12", ".pfx", ".jks", ".kdbx", "-secrets"])
        || matches!(name, ".netrc" | ".pgpass" | ".my.cnf" | "credentials" | "shadow" | "shadow-")
}

fn sysctl_of(key: Option<String>) -> Result<String, String> {
    let key = key.ok_or("`key` is missing")?;
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.' | '/');
    let key = if key.contains('/') { key } else { key.replace('.', "/") };
    let is_path = key.split('/').all(|it| !matches!(it, "" | "." | ".."));
    if key.len() > 128 || !key.chars().all(is_plain) || !is_path {
        return Err("`key` is no name of a kernel parameter".to_owned());
    }
    // Keys, and what moves by itself.
    let refused = ["kernel/random/", "fs/file-nr", "fs/inode-", "fs/dentry-state", "kernel/ns_last_pid"];
    if key.contains("secret") || key.ends_with("_key") || refused.iter().any(|it| key.starts_with(it)) {
        return Err("this parameter is a secret or moves by itself".to_owned());
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: Dialect = Dialect { family: Family::Linux, drive: None };

    fn parse_here(text: &str) -> Result<Vec<SiteFact>, String> {
        parse(text, LINUX)
    }

    fn one(body: &str) -> Result<What, String> {
        parse_here(&format!("[[fact]]\nid = \"site.x\"\n{body}")).map(|it| it[0].what.clone())
    }

    #[test]
    fn every_kind_is_read() {
        assert_eq!(one("kind = \"file\"\npath = \"/etc/x\""), Ok(What::Exists { path: "etc/x".into() }));
        assert_eq!(
            one("kind = \"line\"\npath = \"/etc/x\"\nprefix = \"a\"\nshow = true"),
            Ok(What::Line { path: "etc/x".into(), wanted: Fit::Prefix("a".into()), show: true })
        );
        assert_eq!(one("kind = \"hash\"\npath = \"/opt/x\""), Ok(What::Hash { path: "opt/x".into() }));
        assert_eq!(
            one("kind = \"sysctl\"\nkey = \"vm.swappiness\""),
            Ok(What::Sysctl { key: "vm/swappiness".into() })
        );
        assert_eq!(
            one("kind = \"service\"\nname = \"a@b.service\""),
            Ok(What::Service { name: "a@b".into() })
        );
        assert_eq!(
            one("kind = \"registry\"\nkey = 'hklm\\Software\\X'\nvalue = \"Y\""),
            Ok(What::Registry { key: "HKLM\\Software\\X".into(), value: "Y".into() })
        );
        assert_eq!(parse_here(""), Ok(vec![]));
    }

    #[test]
    fn what_is_unclear_is_refused() {
        for body in [
            "kind = \"file\"",
            "kind = \"file\"\npath = \"etc/x\"",
            "kind = \"file\"\npath = \"/etc/../x\"",
            "kind = \"file\"\npath = \"/etc/*\"",
            "kind = \"file\"\npath = \"/etc//x\"",
            "kind = \"file\"\npath = \"/proc/1/environ\"",
            "kind = \"file\"\npath = \"/etc/x\"\nshow = true",
            "kind = \"line\"\npath = \"/etc/x\"",
            "kind = \"line\"\npath = \"/etc/x\"\nequals = \"a\"\nprefix = \"a\"",
            "kind = \"line\"\npath = \"/etc/x\"\nequals = \" a\"",
            "kind = \"line\"\npath = \"/sys/x\"\nequals = \"a\"",
            "kind = \"hash\"\npath = \"/dev/sda\"",
            "kind = \"sysctl\"\nkey = \"../../etc/shadow\"",
            "kind = \"sysctl\"\nkey = \"net.ipv4.tcp_fastopen_key\"",
            "kind = \"sysctl\"\nkey = \"kernel.random.uuid\"",
            "kind = \"service\"\nname = \"a/b\"",
            "kind = \"command\"\nname = \"id\"",
            "kind = \"file\"\npath = \"/x\"\ncommand = \"id\"",
        ] {
            assert!(one(body).is_err(), "{body}");
        }
        for id in ["x", "site.", "site..a", "site.A", "sshd.port", "site.a b"] {
            let text = format!("[[fact]]\nid = \"{id}\"\nkind = \"file\"\npath = \"/x\"");
            assert!(parse_here(&text).is_err(), "{id}");
        }
        let twice = "[[fact]]\nid = \"site.a\"\nkind = \"file\"\npath = \"/x\"\n".repeat(2);
        assert_eq!(parse_here(&twice), Err("site.a: named twice".to_owned()));
    }

    #[test]
    fn secrets_are_never_read_but_may_be_seen_to_exist() {
        for path in [
            "/etc/shadow",
            "/etc/shadow-",
            "/etc/gshadow",
            "/etc/ssh/ssh_host_ed25519_key",
            "/root/.ssh/id_rsa",
            "/etc/pki/tls/private/x.pem",
            "/etc/ssl/private/y",
            "/opt/app/server.key",
            "/var/lib/holdpoint-agent/identity",
        ] {
            for kind in ["hash", "line"] {
                let more = if kind == "line" { "contains = \"a\"\nshow = true" } else { "" };
                let body = format!("kind = \"{kind}\"\npath = \"{path}\"\n{more}");
                assert!(one(&body).is_err_and(|it| it.contains("secrets")), "{body}");
            }
            assert!(one(&format!("kind = \"file\"\npath = \"{path}\"")).is_ok(), "{path}");
        }
        assert!(one("kind = \"hash\"\npath = \"/etc/ssh/ssh_host_ed25519_key.pub\"").is_ok());
        assert!(one("kind = \"hash\"\npath = \"/root/.ssh/authorized_keys\"").is_ok());
    }

    #[test]
    fn the_sample_is_read() {
        let sample = include_str!("../../../../deploy/config/facts.d/site.toml");
        let facts = parse_here(sample).unwrap();
        assert!(facts.iter().any(|it| matches!(it.what, What::Line { .. })));
        assert!(facts.len() >= 6);
    }
}
