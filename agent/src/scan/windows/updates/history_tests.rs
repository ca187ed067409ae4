use super::*;
use crate::scan::look::tests::{ample, host, rows_of, write};
use proptest::prelude::*;

fn line(at: &str, event: &str, sentence: &str) -> String {
    let id = "{00000000-0000-0000-0000-000000000000}";
    format!(
        "{id}\t{at}\t1\t{event}\t101\t{id}\t200\t0\tUpdateOrchestrator\tSuccess\tContent Install\t{sentence}\tx\r\n"
    )
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn read(lines: &[String]) -> Vec<(String, Option<String>, String, Option<String>)> {
    let (dir, host) = host(&[]);
    write(dir.path(), LOG, &utf16(&lines.concat()));
    let (rows, faults, _) = rows_of::<UpdateRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    rows.into_iter().map(|it| (it.name, it.version, it.state, it.install_date)).collect()
}

const INSTALLED: &str = "183 [AGENT_INSTALLING_SUCCEEDED]";
const FAILED: &str = "182 [AGENT_INSTALLING_FAILED]";
const PENDING: &str = "201 [AGENT_INSTALLING_PENDING]";
const REMOVED: &str = "0 [AGENT_UNINSTALLING_SUCCEEDED]";

fn about(title: &str) -> String {
    format!("Installation Successful: Windows successfully installed the following update: {title}")
}

#[test]
fn events_count_in_the_order_of_time_and_not_of_lines() {
    let title = "2024-07 Cumulative Update for Windows 10 (KB5040427)";
    let rows = read(&[
        // Half past eleven in UTC, and half past nine: the second is the older one.
        line("2024-07-09 13:30:00:000+0200", REMOVED, &about(title)),
        line("2024-07-09 11:30:00:000+0200", INSTALLED, &about(title)),
    ]);
    assert_eq!(rows, [(title.to_owned(), None, "removed".to_owned(), None)]);
}

#[test]
fn a_failure_takes_nothing_back_and_is_said_where_nothing_else_is() {
    let failure =
        |title: &str| format!("Installation Failure: the following update with error 0x800f0831: {title}.");
    let rows = read(&[
        line("2024-07-09 10:00:00:000+0000", PENDING, &about("A (KB5040427)")),
        line("2024-07-10 10:00:00:000+0000", INSTALLED, &about("A (KB5040427)")),
        line("2024-08-10 10:00:00:000+0000", FAILED, &failure("A (KB5040427)")),
        line("2024-08-11 10:00:00:000+0000", FAILED, &failure("B (KB5041234)")),
        line("2024-08-12 23:30:00:000-0500", PENDING, &about("C (KB5041235)")),
    ]);
    let state = |name: &str, state: &str, day: Option<&str>| {
        (name.to_owned(), None, state.to_owned(), day.map(str::to_owned))
    };
    let a = state("A (KB5040427)", "installed", Some("2024-07-10"));
    let c = state("C (KB5041235)", "install-pending", Some("2024-08-13"));
    assert_eq!(rows, [a, state("B (KB5041234)", "failed", None), c]);
}

#[test]
fn daily_signatures_are_one_update_whose_version_changes() {
    let title =
        |version: &str| about(&format!("Security Intelligence Update - KB2267602 (Version {version})"));
    let rows = read(&[
        line("2024-07-09 10:00:00:000+0000", INSTALLED, &title("1.437.120.0")),
        line("2024-07-10 10:00:00:000+0000", INSTALLED, &title("1.437.131.0")),
    ]);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].0, "Security Intelligence Update - KB2267602");
    assert_eq!(rows[0].1.as_deref(), Some("1.437.131.0"));
}

#[test]
fn in_another_language_and_of_windows_7_the_article_is_the_name() {
    let german =
        "Installation erfolgreich: Das Update wurde installiert. Sicherheitsupdate für Windows 7 (KB976902)";
    let rows = read(&[line("2014-01-13 14:39:48:468+0100", "183", german)]);
    assert_eq!(rows[0].0, "KB976902");
}

#[test]
fn what_is_no_event_changes_nothing_and_what_is_no_log_is_a_gap() {
    let torn = line("2024-07-09 10:00:00:000+0000", INSTALLED, &about("A"))[..60].to_owned();
    let other = line("2024-07-09 10:00:00:000+0000", "147 [AGENT_DETECTION_FINISHED]", "found 0 updates");
    let dateless = line("yesterday", INSTALLED, &about("B"));
    assert_eq!(read(&[other, dateless, torn]), []);
    let (dir, host) = host(&[]);
    write(dir.path(), LOG, b"{00000000}\t2024");
    let (_, faults, _) = rows_of::<UpdateRow>(&host, probe);
    assert_eq!(faults, [format!("{LOG}: no UTF-16 text")]);
}

#[test]
fn without_a_log_there_is_no_such_source() {
    let (_dir, host) = host(&[]);
    let budget = ample();
    let reading = probe(&mut Look::new(&host, &budget, "test"));
    assert_eq!(reading, Reading::Absent("the update agent has left no log".to_owned()));
}

#[test]
fn more_updates_than_anybody_has_are_a_gap() {
    let mut history = History::default();
    for number in 0..MAX_UPDATES {
        history.add(&line("2024-07-09 10:00:00:000+0000", INSTALLED, &about(&number.to_string()))).unwrap();
    }
    assert!(history.add(&line("2024-07-09 10:00:00:000+0000", INSTALLED, &about("one more"))).is_err());
    assert!(history.add(&line("2024-07-09 10:00:00:000+0000", REMOVED, &about("7"))).is_ok());
}

proptest! {
    #[test]
    fn the_order_of_lines_does_not_matter(shift in 0..6_usize) {
        let outcomes = [PENDING, INSTALLED, FAILED, REMOVED, INSTALLED, FAILED];
        let mut lines: Vec<String> = outcomes
            .iter()
            .enumerate()
            .map(|(hour, it)| line(&format!("2024-07-09 1{hour}:00:00:000+0000"), it, &about("A")))
            .collect();
        lines.rotate_left(shift);
        let mut history = History::default();
        for it in &lines {
            history.add(it).unwrap();
        }
        let rows = history.rows();
        prop_assert_eq!(rows[0].state.as_str(), "installed");
    }

    #[test]
    fn no_damage_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut history = History::default();
        let mut log = vec![0xff, 0xfe];
        log.extend(bytes);
        let _ = each_line(log.as_slice(), |it| history.add(it));
        let _ = history.rows();
    }
}
