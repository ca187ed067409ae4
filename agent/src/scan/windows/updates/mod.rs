//! Servicing: what was installed, what waits for a restart, and how the host came there.
//!
//! None of these rows says whether something is fixed. On Windows 10 and later the build and its
//! revision do, which the platform has; before, the state of components and the versions of files do.
//!
//! Not read: the history that the update agent keeps in its database (`DataStore.edb`) and hands out by
//! COM. Asking for it starts the update agent's service, and an agent that looks starts nothing; the log
//! beside that database is read instead, see `history`.

mod cbs;
mod history;
mod uninstall;

use holdpoint_common::row::SectionKind;

use super::platform::ARCHITECTURE_READS;
use super::software::UNINSTALL_READS;
use crate::scan::probe::Probe;

pub(super) use cbs::{READS as ROLLUP_READS, pending_rollup, revision};

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    Probe { name: "windows/cbs", kind: SectionKind::Updates, reads: &[cbs::READS], run: cbs::probe },
    Probe {
        name: "windows/uninstall-updates",
        kind: SectionKind::Updates,
        reads: &[UNINSTALL_READS, ARCHITECTURE_READS],
        run: uninstall::probe,
    },
    Probe {
        name: "windows/update-history",
        kind: SectionKind::Updates,
        reads: &[history::READS],
        run: history::probe,
    },
];

/// The number of an article that a text names: "KB5040427".
fn kb(text: &str) -> Option<String> {
    // Five digits were enough before 2004; seven are today.
    const DIGITS: std::ops::RangeInclusive<usize> = 5..=8;
    text.match_indices(['K', 'k']).find_map(|(at, _)| {
        let before = text[..at].chars().next_back();
        let rest = text[at + 1..].strip_prefix(['B', 'b'])?;
        let end = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
        let is_word = !before.is_some_and(|it| it.is_ascii_alphanumeric());
        (is_word && DIGITS.contains(&end)).then(|| format!("KB{}", &rest[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_article_is_found_in_names_titles_and_paths() {
        for (text, found) in [
            ("Package_for_KB5040427", Some("KB5040427")),
            ("2024-07 Cumulative Update for Windows 10 (KB5040427)", Some("KB5040427")),
            (r"\\?\C:\Windows\Temp\windows10.0-kb5040427-x64.cab", Some("KB5040427")),
            ("Sicherheitsupdate für Windows 7 (KB976902)", Some("KB976902")),
            ("KB 5040427", None),
            ("16 KB1", None),
            ("BKB5040427", None),
            ("KB50404271234", None),
            ("KüKB", None),
        ] {
            assert_eq!(kb(text).as_deref(), found, "{text}");
        }
    }
}
