//! Snaps, from disk: `snapd` is not asked.
//!
//! Sources of truth: `var/lib/snapd/snaps/NAME_REVISION.snap`, the revisions that are kept; the link
//! `snap/NAME/current` (`var/lib/snapd/snap/NAME/current` on other distributions), the revision
//! in use; `meta/snap.yaml` below it while the snap is mounted. World readable. `state.json` would
//! add nothing that a row holds, and it keeps the keys of store accounts: it is not read.
//!
//! One row for each snap: that of the revision in use, whose place is the row's path. Revisions that
//! are kept for going back are no rows. A snap without `current` is disabled: a row with that
//! state. A version comes from `snap.yaml` and from nowhere else, so it is unknown where the
//! snap is not mounted (an offline image); a revision is another kind of number and no version.
//!
//! Known lies: the version is what the publisher writes, and two revisions can have the same one.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::row::SoftwareRow;

use crate::host::{EntryKind, Reads, is_absent};
use crate::scan::{Look, Reading};

const SNAPS: &str = "var/lib/snapd/snaps";
/// Where snaps are mounted, one directory for each.
const MOUNTS: [&str; 2] = ["snap", "var/lib/snapd/snap"];
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("var/lib/snapd/snaps"),
    Reads::metadata("snap/*/*"),
    Reads::content("snap/*/*/meta/snap.yaml"),
    Reads::metadata("var/lib/snapd/snap/*/*"),
    Reads::content("var/lib/snapd/snap/*/*/meta/snap.yaml"),
];

const MAX_FILES: usize = 16_384;
const MAX_YAML: usize = 1024 * 1024;
const DISABLED: &str = "disabled";

/// Reads the snaps.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(listing) = look.list(SNAPS, MAX_FILES) else {
        return look.missing(format!("no snaps: {SNAPS} is not there"));
    };
    let mut kept: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in listing.entries.iter().filter(|it| it.kind != EntryKind::Directory) {
        let Some(file) = entry.name.strip_suffix(".snap") else { continue };
        match file.rsplit_once('_') {
            Some((name, revision)) if is_name(name) && is_name(revision) => {
                kept.entry(name).or_default().insert(revision);
            }
            Some(_) | None => look.fault(format!("{SNAPS}/{}: no name and revision", entry.name)),
        }
    }
    if kept.is_empty() {
        return look.missing("no snaps are installed");
    }
    let mut rows = Vec::new();
    for (name, revisions) in &kept {
        if let Err(late) = look.in_time() {
            look.fault(late.to_string());
            break;
        }
        rows.push(row(look, name, revisions));
    }
    Reading::of(&rows)
}

fn row(look: &mut Look<'_>, name: &str, revisions: &BTreeSet<&str>) -> SoftwareRow {
    let row = SoftwareRow { name: name.to_owned(), source: "snap".to_owned(), ..SoftwareRow::default() };
    let Some((mount, revision)) = current(look, name) else {
        return SoftwareRow { state: Some(DISABLED.to_owned()), ..row };
    };
    // A snap that is tried out from a directory (`snap try`) has a revision and no file.
    if !revisions.contains(revision.as_str()) && !revision.starts_with('x') {
        look.fault(format!("{mount}/{name}/current: revision {revision} has no file in {SNAPS}"));
    }
    let place = format!("{mount}/{name}/{revision}");
    let yaml = format!("{place}/meta/snap.yaml");
    // Each snap is no source of its own: coverage must not move with their number.
    let said = match look.host.root.read(&yaml, MAX_YAML) {
        Ok(bytes) => parse(&String::from_utf8_lossy(&bytes)),
        Err(cause) => {
            if !is_absent(&cause) {
                look.note::<()>(&yaml, Err(cause));
            }
            Said::default()
        }
    };
    SoftwareRow {
        version: said.version,
        architecture: said.architecture,
        path: Some(format!("/{place}")),
        ..row
    }
}

/// The revision in use, with the directory where it is mounted.
fn current(look: &mut Look<'_>, name: &str) -> Option<(&'static str, String)> {
    for mount in MOUNTS {
        let link = format!("{mount}/{name}/current");
        match look.host.root.read_link(&link) {
            Ok(target) => match target.to_str().filter(|it| is_name(it)) {
                Some(revision) => return Some((mount, revision.to_owned())),
                None => look.fault(format!("{link}: it leads to no revision")),
            },
            Err(cause) if is_absent(&cause) => {}
            Err(cause) => {
                look.note::<()>(&link, Err(cause));
            }
        }
    }
    None
}

/// Whether a text is one part of a path and no way out of it.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && !text.contains('/')
}

/// What `snap.yaml` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    version: Option<String>,
    /// The architecture, where there is only one.
    architecture: Option<String>,
}

/// Reads the two fields of the top level. They are plain or quoted words in every snap that the
/// store's review lets through; whatever else YAML can do is not guessed.
fn parse(text: &str) -> Said {
    let mut said = Said::default();
    let mut architectures: Vec<String> = Vec::new();
    let mut field = "";
    for line in text.lines() {
        // `- x` on the left edge belongs to the field above it.
        if let Some(item) = line.trim_start().strip_prefix("- ").filter(|_| field == "architectures") {
            architectures.extend(scalar(item));
        } else if !line.starts_with([' ', '\t', '#', '-'])
            && let Some((name, value)) = line.split_once(':')
        {
            field = name;
            match name {
                "version" => said.version = scalar(value),
                "architectures" => {
                    let items = value.trim().strip_prefix('[').and_then(|it| it.split(']').next());
                    architectures.extend(items.into_iter().flat_map(|it| it.split(',')).filter_map(scalar));
                }
                _ => {}
            }
        }
    }
    if let [only] = architectures.as_slice() {
        said.architecture = Some(only.clone());
    }
    said
}

/// A plain or quoted value of one line; `None` for anything else.
fn scalar(text: &str) -> Option<String> {
    let text = text.trim();
    for quote in ['\'', '"'] {
        if let Some(rest) = text.strip_prefix(quote) {
            let (inner, rest) = rest.split_once(quote)?;
            let rest = rest.trim_start();
            let is_simple = !inner.contains('\\') && (rest.is_empty() || rest.starts_with('#'));
            return (is_simple && !inner.is_empty()).then(|| inner.to_owned());
        }
    }
    let plain = text.split(" #").next().unwrap_or(text).trim_end();
    let is_plain =
        !plain.is_empty() && !plain.starts_with(['#', '|', '>', '&', '*', '!', '{', '[', '%', '@', '`']);
    (is_plain && plain != "~" && plain != "null").then(|| plain.to_owned())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host, rows_of};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    const YAML: &str = "name: core20\nversion: '20240227' # built\nsummary: |\n  version: 1\narchitectures:\n- amd64\napps:\n  x:\n    version: 3\n";

    fn use_revision(root: &Path, mount: &str, name: &str, target: &str) {
        let dir = root.join(mount).join(name);
        fs::create_dir_all(&dir).unwrap();
        symlink(target, dir.join("current")).unwrap();
    }

    #[test]
    fn the_revision_in_use_is_the_row_and_older_ones_are_none() {
        let (dir, host) = host(&[
            ("var/lib/snapd/snaps/core20_2182.snap", ""),
            ("var/lib/snapd/snaps/core20_2318.snap", ""),
            ("var/lib/snapd/snaps/partial/x", ""),
            ("snap/core20/2318/meta/snap.yaml", YAML),
            ("snap/core20/2182/meta/snap.yaml", "version: old\n"),
        ]);
        use_revision(dir.path(), "snap", "core20", "2318");
        let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let expected = SoftwareRow {
            name: "core20".into(),
            version: Some("20240227".into()),
            architecture: Some("amd64".into()),
            source: "snap".into(),
            path: Some("/snap/core20/2318".into()),
            ..SoftwareRow::default()
        };
        assert_eq!(rows, [expected]);
    }

    #[test]
    fn what_is_not_mounted_has_no_version_and_what_has_no_link_is_disabled() {
        let (dir, host) = host(&[
            ("var/lib/snapd/snaps/scada_x1.snap", ""),
            ("var/lib/snapd/snaps/off_7.snap", ""),
            ("var/lib/snapd/snaps/scada_second_9.snap", ""),
        ]);
        use_revision(dir.path(), "snap", "scada", "x1");
        use_revision(dir.path(), "var/lib/snapd/snap", "scada_second", "9");
        let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let said: Vec<_> = rows
            .iter()
            .map(|it| (it.name.as_str(), it.version.as_deref(), it.state.as_deref(), it.path.as_deref()))
            .collect();
        assert_eq!(
            said,
            [
                ("off", None, Some("disabled"), None),
                ("scada", None, None, Some("/snap/scada/x1")),
                ("scada_second", None, None, Some("/var/lib/snapd/snap/scada_second/9")),
            ]
        );
    }

    #[test]
    fn hostile_links_and_names_lead_nowhere() {
        let (dir, host) = host(&[
            ("var/lib/snapd/snaps/a_1.snap", ""),
            ("var/lib/snapd/snaps/b_1.snap", ""),
            ("var/lib/snapd/snaps/.._1.snap", ""),
            ("var/lib/snapd/snaps/nothing.snap", ""),
            ("snap/b/2/meta/snap.yaml", "version: 1\n"),
        ]);
        use_revision(dir.path(), "snap", "a", "../../etc");
        use_revision(dir.path(), "snap", "b", "2");
        let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
        assert_eq!(rows.len(), 2);
        assert_eq!(
            faults,
            [
                "var/lib/snapd/snaps/.._1.snap: no name and revision",
                "var/lib/snapd/snaps/nothing.snap: no name and revision",
                "snap/a/current: it leads to no revision",
                "snap/b/current: revision 2 has no file in var/lib/snapd/snaps",
            ]
        );
    }

    #[test]
    fn snapd_without_snaps_is_absent() {
        for files in [&[][..], &[("var/lib/snapd/snaps/partial/x", "")][..]] {
            let (_dir, host) = host(files);
            let budget = ample();
            assert!(matches!(probe(&mut Look::new(&host, &budget, "test")), Reading::Absent(_)));
        }
    }

    #[test]
    fn only_simple_values_are_taken() {
        let version = |value: &str| parse(&format!("version: {value}\n")).version;
        for (value, expected) in [
            ("1.0", "1.0"),
            ("\"1.0 x\"", "1.0 x"),
            ("'2:3' # c", "2:3"),
            ("1.0 # c", "1.0"),
            ("git#1", "git#1"),
        ] {
            assert_eq!(version(value).as_deref(), Some(expected), "{value}");
        }
        for value in ["", "|", ">-", "*x", "\"a\\n\"", "'open", "'a' b", "~", "[1]", "''"] {
            assert_eq!(version(value), None, "{value}");
        }
        let architecture = |text: &str| parse(text).architecture;
        assert_eq!(architecture("architectures: [amd64]\n").as_deref(), Some("amd64"));
        assert_eq!(architecture("architectures:\n  - 'all'\n").as_deref(), Some("all"));
        assert_eq!(architecture("architectures:\n  - amd64\n  - arm64\n"), None);
    }
}
