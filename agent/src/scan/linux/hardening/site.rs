//! Facts that the host's own administrator asks for, in `etc/holdpoint-agent/facts.d/*.toml`; see
//! `crate::scan::site` for what holds on every host.
//!
//! A file that anybody but root can write is refused, as is every file then when that holds for its
//! directory.

use super::super::systemd;
use crate::host::{Family, Reads};
use crate::scan::site::{self, Site};
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch before any file of a site is read.
pub const READS: &[Reads] = &[Reads::content("etc/holdpoint-agent/facts.d/*.toml")];

const DIRECTORY: &str = "etc/holdpoint-agent/facts.d";

/// Reads the site's facts.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let site = Site {
        family: Family::Linux,
        drive: None,
        directory: DIRECTORY,
        parent: "etc/holdpoint-agent",
        loose,
        service,
    };
    site::read(look, &site)
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

/// How a unit starts and whether it runs.
fn service(look: &mut Look<'_>, name: &str) -> Outcome<String> {
    match systemd::of_name(look, name) {
        Some(service) => {
            let mode = service.start_mode.as_deref().unwrap_or("unknown");
            let state = service.state.as_deref().unwrap_or("unknown");
            Outcome::Seen(format!("{mode}, {state}"))
        }
        None => Outcome::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ReadList;
    use crate::scan::look::tests::{host, rows_of, write};
    use holdpoint_common::row::HardeningRow;
    use holdpoint_common::row::hardening_row::Value;
    use holdpoint_common::section::Digest;
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
                key = 'HKLM\Software\X'
                value = "Y"
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
