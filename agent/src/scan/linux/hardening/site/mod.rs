//! Facts that the host's own administrator asks for, in `etc/holdpoint-agent/facts.d/*.toml`.
//!
//! `deploy/config/facts.d/README.md` describes the format. Nobody else can add one: a collector cannot
//! tell an agent what to read, and a file that anybody but root can write is refused, as is every file
//! then when that holds for its directory. The paths that the accepted files name are added to the read
//! list of this probe alone, each as it stands; a link that ends elsewhere is refused, and the reason
//! names where it ends. Secrets are not read (see `schema`).
//!
//! A value that moves by itself would make every report different; that is for the site to avoid.

mod schema;

use std::collections::BTreeSet;
use std::io;

use aws_lc_rs::digest::{Context, SHA256};
use holdpoint_common::row::HardeningRow;
use holdpoint_common::section::Digest;

use self::schema::{MAX_FACTS, SiteFact, What};
use super::super::systemd;
use super::fact::Fact;
use super::layers::{number_or_text, tell};
use crate::host::{Access, HostRoot, Reads, is_absent};
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch before any file of a site is read.
pub const READS: &[Reads] = &[Reads::content("etc/holdpoint-agent/facts.d/*.toml")];

const DIRECTORY: &str = "etc/holdpoint-agent/facts.d";
const MAX_FILES: usize = 64;
const MAX_BYTES: usize = 64 * 1024;
/// Largest file that lines are looked for in, and largest that is hashed.
const MAX_TEXT: usize = 1024 * 1024;
const MAX_HASHED: u64 = 16 * 1024 * 1024;
const RIGHTS: &str = "the agent may not read it";

/// Reads the site's facts.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(listing) = look.list(DIRECTORY, MAX_FILES) else {
        return look.missing("no facts.d is there");
    };
    let mut rows = Vec::new();
    let mut facts = Vec::new();
    let loose = ["etc/holdpoint-agent", DIRECTORY].into_iter().find_map(|it| loose(look, it));
    for entry in listing.entries.iter().filter(|it| it.name.ends_with(".toml")) {
        let file = format!("{DIRECTORY}/{}", entry.name);
        let read = match &loose {
            Some(why) => Err(why.clone()),
            None => accepted(look, &file),
        };
        match read {
            Ok(read) => facts.extend(read.into_iter().map(|it| (file.clone(), it))),
            Err(why) => {
                look.fault(format!("{file}: {why}"));
                rows.push(Fact::new("facts_d.file", &[], &file).about(&entry.name).because(why).error());
            }
        }
    }
    if facts.len() > MAX_FACTS {
        look.fault(format!("{DIRECTORY}: more than {MAX_FACTS} facts; the rest is left out"));
        facts.truncate(MAX_FACTS);
    }
    let root = look.host.root.also_allowing(facts.iter().filter_map(|(_, it)| it.what.path()));
    let mut seen = BTreeSet::new();
    for (file, fact) in &facts {
        if let Err(late) = look.in_time() {
            look.fault(late.to_string());
            break;
        }
        if seen.insert(fact.id.as_str()) {
            rows.push(row(look, &root, file, fact));
        } else {
            look.fault(format!("{file}: {} is in another file too; the first one counts", fact.id));
        }
    }
    Reading::of(&rows)
}

/// Why the files in a directory, or one file, may be somebody else's than the administrator's.
fn loose(look: &mut Look<'_>, path: &str) -> Option<String> {
    let facts = look.facts(path)?;
    if facts.mode & 0o022 != 0 {
        return Some(format!("refused: /{path} can be written by others than its owner"));
    }
    // Who owns a file of a captured machine depends on how it was captured.
    (look.host.live.is_some() && facts.uid != 0).then(|| format!("refused: /{path} is not owned by root"))
}

fn accepted(look: &mut Look<'_>, file: &str) -> Result<Vec<SiteFact>, String> {
    if let Some(why) = loose(look, file) {
        return Err(why);
    }
    let bytes = look.in_time().and_then(|()| look.host.root.read(file, MAX_BYTES));
    let bytes = bytes.map_err(|cause| cause.to_string())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "not UTF-8".to_owned())?;
    schema::parse(text)
}

impl What {
    /// The path that it touches, and how.
    fn path(&self) -> Option<(String, Access)> {
        match self {
            Self::Exists { path } => Some((path.clone(), Access::Look)),
            Self::Line { path, .. } | Self::Hash { path } => Some((path.clone(), Access::Read)),
            Self::Sysctl { key } => Some((format!("proc/sys/{key}"), Access::Read)),
            // A service is looked for in systemd's own list; a registry there is none.
            Self::Service { .. } | Self::Registry => None,
        }
    }
}

fn row(look: &mut Look<'_>, root: &HostRoot, file: &str, fact: &SiteFact) -> HardeningRow {
    let checks: Vec<&str> = fact.checks.iter().map(String::as_str).collect();
    let about = |subject: &str| Fact::new(&fact.id, &checks, file).about(subject);
    match &fact.what {
        What::Exists { path } => {
            let outcome = match look.outcome(path, root.facts(path)) {
                // For this kind absence is the answer.
                Outcome::Absent => return about(path).flag(false),
                there @ (Outcome::Seen(_) | Outcome::Denied | Outcome::Failed(_)) => there,
            };
            tell(about(path), outcome, RIGHTS, |fact, _| fact.flag(true))
        }
        What::Line { path, wanted, show } => {
            let outcome = look.outcome(path, root.read(path, MAX_TEXT));
            tell(about(path), outcome, RIGHTS, |fact, bytes| {
                let text = String::from_utf8_lossy(&bytes);
                let line = text.lines().map(str::trim).find(|it| wanted.fits(it));
                match (line, show) {
                    (Some(line), true) => fact.text(line),
                    (None, true) => fact.because("no line fits").absent(),
                    (line, false) => fact.flag(line.is_some()),
                }
            })
        }
        What::Hash { path } => {
            let outcome = look.outcome(path, hash(root, path));
            tell(about(path), outcome, RIGHTS, |fact, digest| fact.text(&digest.to_string()))
        }
        What::Sysctl { key } => {
            let path = format!("proc/sys/{key}");
            let outcome = look.outcome(&path, root.read(&path, MAX_BYTES));
            tell(about(key), outcome, RIGHTS, |fact, bytes| {
                number_or_text(fact, String::from_utf8_lossy(&bytes).trim())
            })
        }
        What::Service { name } => match systemd::of_name(look, name) {
            Some(service) => {
                let mode = service.start_mode.as_deref().unwrap_or("unknown");
                let state = service.state.as_deref().unwrap_or("unknown");
                about(name).text(&format!("{mode}, {state}"))
            }
            None => about(name).because("no such unit").absent(),
        },
        What::Registry => about("registry").because("this host has no registry").absent(),
    }
}

/// SHA-256 of a file, in pieces.
fn hash(root: &HostRoot, path: &str) -> io::Result<Digest> {
    const PIECE: usize = 64 * 1024;
    let pieces = root.pieces(path)?;
    if pieces.bytes() > MAX_HASHED {
        return Err(io::Error::other(format!("more than {MAX_HASHED} bytes")));
    }
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < pieces.bytes() {
        let left = usize::try_from(pieces.bytes() - at).unwrap_or(PIECE).min(PIECE);
        pieces.read_at(at, &mut buffer[..left]).map_err(|cause| {
            if is_absent(&cause) { io::Error::other("it went away while it was read") } else { cause }
        })?;
        context.update(&buffer[..left]);
        at += u64::try_from(left).unwrap_or(u64::MAX);
    }
    Digest::try_from(context.finish().as_ref()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ReadList;
    use crate::scan::look::tests::{host, rows_of, write};
    use holdpoint_common::row::hardening_row::Value;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    const FILE: &str = "etc/holdpoint-agent/facts.d/site.toml";

    /// A host on which only the owner writes, whatever the umask of who runs this is.
    fn tight(files: &[(&str, &str)]) -> (tempfile::TempDir, crate::host::Host) {
        let (dir, host) = host(files);
        set_permissions(dir.path().join("etc/holdpoint-agent"), Permissions::from_mode(0o755)).unwrap();
        set_permissions(dir.path().join(DIRECTORY), Permissions::from_mode(0o755)).unwrap();
        for entry in std::fs::read_dir(dir.path().join(DIRECTORY)).unwrap() {
            set_permissions(entry.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
        }
        let host = host.limited_to(ReadList::new(READS.iter().chain(systemd::READS)));
        (dir, host)
    }

    fn find<'a>(rows: &'a [HardeningRow], id: &str) -> &'a HardeningRow {
        rows.iter().find(|it| it.id == id).unwrap_or_else(|| panic!("no {id}"))
    }

    #[test]
    fn each_kind_says_what_it_found() {
        let (_dir, host) = tight(&[
            (
                FILE,
                r#"
                [[fact]]
                id = "site.marker"
                kind = "file"
                path = "/opt/site/backup-ok"
                [[fact]]
                id = "site.line"
                checks = ["S1"]
                kind = "line"
                path = "/etc/site.conf"
                prefix = "level ="
                show = true
                [[fact]]
                id = "site.hidden"
                kind = "line"
                path = "/etc/site.conf"
                contains = "password"
                [[fact]]
                id = "site.hash"
                kind = "hash"
                path = "/etc/site.conf"
                [[fact]]
                id = "site.swap"
                kind = "sysctl"
                key = "vm.swappiness"
                [[fact]]
                id = "site.service"
                kind = "service"
                name = "hmi"
                [[fact]]
                id = "site.registry"
                kind = "registry"
                key = "HKLM/Software/X"
                "#,
            ),
            ("etc/site.conf", "  level = 3\npassword = geheim\n"),
            ("proc/sys/vm/swappiness", "60\n"),
            ("usr/lib/systemd/system/hmi.service", "[Service]\nExecStart=/x\n[Install]\nWantedBy=a.target\n"),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(find(&rows, "site.marker").value, Some(Value::Flag(false)));
        assert_eq!(find(&rows, "site.line").value, Some(Value::Text("level = 3".into())));
        assert_eq!(find(&rows, "site.line").checks, ["S1"]);
        assert_eq!(find(&rows, "site.hidden").value, Some(Value::Flag(true)));
        assert_eq!(
            find(&rows, "site.hash").value,
            Some(Value::Text(Digest::of(b"  level = 3\npassword = geheim\n").to_string()))
        );
        assert_eq!(find(&rows, "site.swap").value, Some(Value::Number(60)));
        assert_eq!(find(&rows, "site.service").value, Some(Value::Text("disabled, unknown".into())));
        assert_eq!(find(&rows, "site.registry").state, "absent");
        assert!(!format!("{rows:?}").contains("geheim"));
    }

    #[test]
    fn only_the_paths_of_accepted_files_can_be_read_and_no_link_leads_elsewhere() {
        let body = "[[fact]]\nid = \"site.a\"\nkind = \"hash\"\npath = \"/etc/a\"\n\
                    [[fact]]\nid = \"site.b\"\nkind = \"line\"\npath = \"/etc/b\"\nequals = \"secret\"\n";
        let (dir, host) = tight(&[(FILE, body), ("etc/a", "x"), ("etc/shadow", "secret\n")]);
        symlink("shadow", dir.path().join("etc/b")).unwrap();
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(find(&rows, "site.a").state, "observed");
        assert_eq!(find(&rows, "site.b").state, "error");
        assert_eq!(faults, ["etc/b: /etc/shadow is not on the agent's read list"]);
        assert!(host.root.read("etc/a", 10).is_err(), "the probe's own list is as it was");
    }

    #[test]
    fn a_file_that_others_can_write_or_that_is_wrong_is_refused_and_the_others_count() {
        let good = "[[fact]]\nid = \"site.good\"\nkind = \"file\"\npath = \"/etc\"\n";
        let (dir, host) = tight(&[
            ("etc/holdpoint-agent/facts.d/a.toml", good),
            (
                "etc/holdpoint-agent/facts.d/b.toml",
                "[[fact]]\nid = \"site.b\"\nkind = \"file\"\npath = \"/etc\"\n",
            ),
            (
                "etc/holdpoint-agent/facts.d/c.toml",
                "[[fact]]\nid = \"other\"\nkind = \"file\"\npath = \"/etc\"\n",
            ),
            ("etc/holdpoint-agent/facts.d/d.toml", good),
            ("etc/holdpoint-agent/facts.d/README", "x"),
        ]);
        let b = dir.path().join("etc/holdpoint-agent/facts.d/b.toml");
        set_permissions(b, Permissions::from_mode(0o664)).unwrap();
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(find(&rows, "site.good").value, Some(Value::Flag(true)));
        let refused: Vec<_> = rows.iter().filter(|it| it.state == "error").collect();
        assert_eq!(
            refused.iter().filter_map(|it| it.subject.as_deref()).collect::<Vec<_>>(),
            ["b.toml", "c.toml"]
        );
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(rows.iter().all(|it| it.id != "site.b"));
    }

    #[test]
    fn a_directory_that_others_can_write_makes_every_file_suspect() {
        let (dir, host) = tight(&[(FILE, "[[fact]]\nid = \"site.a\"\nkind = \"file\"\npath = \"/etc\"\n")]);
        set_permissions(dir.path().join(DIRECTORY), Permissions::from_mode(0o777)).unwrap();
        let (rows, _, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!((rows.len(), rows[0].state.as_str()), (1, "error"));
        write(dir.path(), "x", b"");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let (dir, host) = tight(&[(FILE, "")]);
        std::fs::write(dir.path().join(FILE), [0xff, 0xfe]).unwrap();
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(rows[0].reason.as_deref(), Some("not UTF-8"));
        assert_eq!(faults.len(), 1);
    }
}
