//! The marks of Windows that a restart waits, each as a row. Those that prove nothing alone are said by the
//! platform and are no rows.

use holdpoint_common::row::LiveRow;

use super::super::platform;
use super::at_rest;
use crate::scan::{Look, Reading};

/// Reads the marks.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    if look.host.windows.is_none() {
        return at_rest(look);
    }
    let marks = platform::read_marks(look).list.into_iter().filter(|it| !it.is_noisy);
    let rows: Vec<LiveRow> = marks
        .map(|it| LiveRow {
            source: it.source.to_owned(),
            kind: "restart-mark".to_owned(),
            state: "pending".to_owned(),
            ..LiveRow::default()
        })
        .collect();
    Reading::of(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::windows::recorded;
    use crate::scan::look::tests::{ample, rows_of, windows_host};

    #[test]
    fn each_mark_is_a_row_but_for_those_that_prove_nothing() {
        let (_dir, mut host) = windows_host(
            r#"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired]
"b0e8a1d6-0000-0000-0000-000000000000"=dword:00000001
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Session Manager]
"PendingFileRenameOperations"=hex(7):41,00,00,00,00,00
"#,
        );
        let budget = ample();
        let reading = probe(&mut Look::new(&host, &budget, "test"));
        assert_eq!(reading, Reading::Absent("this is no running Windows".to_owned()));
        host.windows = Some(recorded());
        let (rows, faults, _) = rows_of::<LiveRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let said: Vec<_> = rows.iter().map(|it| it.source.rsplit('\\').next().unwrap()).collect();
        assert_eq!(said, ["RebootRequired"]);
    }
}
