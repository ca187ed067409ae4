//! Updates that are listed beside the programs: those of Office, of .NET before Windows 10, and all of
//! Windows before Vista.
//!
//! Source of truth: the Uninstall keys, as for software. An entry is an update when it names a parent
//! (`ParentKeyName`, `ParentDisplayName`) or a `ReleaseType` of updates; Windows shows such entries
//! among its updates too.

use holdpoint_common::row::UpdateRow;

use super::super::software::{self, Entry};
use super::kb;
use crate::scan::{Look, Reading};

/// Reads those entries.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let Some(entries) = software::entries(look) else {
        return look.missing("the registry has no Uninstall key");
    };
    let rows: Vec<UpdateRow> = entries.iter().filter(|it| it.is_update()).map(row).collect();
    Reading::of(&rows)
}

fn row(entry: &Entry) -> UpdateRow {
    UpdateRow {
        source: "windows/uninstall".to_owned(),
        name: entry.name.clone(),
        version: entry.version.clone(),
        kb: kb(&entry.name).or_else(|| kb(&entry.key)),
        state: "installed".to_owned(),
        kind: entry.release_type.as_deref().map(|it| it.to_lowercase().replace(' ', "-")),
        architecture: None,
        install_date: entry.install_date.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{rows_of, windows_host};

    #[test]
    fn an_entry_with_a_parent_is_an_update_and_no_software() {
        let (_dir, host) = windows_host(
            r#"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\Office14.STANDARD]
"DisplayName"="Microsoft Office Standard 2010"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{90140000-0012-0000-0000-0000000FF1CE}_Office14.STANDARD_{6CE0B2A0}]
"DisplayName"="Sicherheitsupdate für Microsoft Office 2010 (KB2553311)"
"ParentKeyName"="Office14.STANDARD"
"ReleaseType"="Security Update"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\KB2508429]
"DisplayName"="Hotfix für Windows XP"
"ReleaseType"="Hotfix"
"InstallDate"="20140301"
"#,
        );
        let (rows, faults, _) = rows_of::<UpdateRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let said: Vec<_> = rows
            .iter()
            .map(|it| (it.kb.as_deref(), it.kind.as_deref(), it.install_date.as_deref()))
            .collect();
        let office = (Some("KB2553311"), Some("security-update"), None);
        assert_eq!(said, [(Some("KB2508429"), Some("hotfix"), Some("2014-03-01")), office]);
    }
}
