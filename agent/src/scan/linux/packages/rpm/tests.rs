//! Tests of the rpm probe as a whole.

use std::fs;
use std::path::Path;
use std::time::Duration;

use holdpoint_common::row::SoftwareRow;
use proptest::prelude::*;

use super::bdb::Order;
use super::*;
use crate::host::Host;
use crate::scan::Budget;
use crate::scan::look::tests::{agent, ample, rows_of, write};
use written::{Value, header, number, package, text};

/// What a reader says to a test.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) headers: Vec<(u64, Vec<u8>)>,
    pub(super) faults: Vec<String>,
}

impl Visitor for Seen {
    fn header(&mut self, number: u64, blob: &mut Blob<'_>) -> io::Result<()> {
        match whole(blob) {
            Ok(bytes) => self.headers.push((number, bytes)),
            Err(cause) => self.faults.push(cause.to_string()),
        }
        Ok(())
    }

    fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    fn in_time(&self) -> io::Result<()> {
        Ok(())
    }
}

fn whole(blob: &mut Blob<'_>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(blob.len()).unwrap_or(0)];
    blob.read(0, &mut bytes)?;
    Ok(bytes)
}

impl Seen {
    /// The headers in the order of their numbers; no fault is there.
    pub(super) fn sound(mut self) -> Vec<Vec<u8>> {
        assert!(self.faults.is_empty(), "{:?}", self.faults);
        self.headers.sort();
        let (numbers, headers): (Vec<_>, Vec<_>) = self.headers.into_iter().unzip();
        assert!(numbers.into_iter().eq(1..=u64::try_from(headers.len()).unwrap()));
        headers
    }
}

/// Headers that lie on a page, at the edge of one, and over many.
pub(super) fn packages() -> Vec<Vec<u8>> {
    [0, 10, 200, 600, 3_000, 3_500, 4_000, 9_000, 100_000]
        .into_iter()
        .enumerate()
        .map(|(place, bytes)| package(&format!("package-{place}"), bytes))
        .collect()
}

fn host(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Host) {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(dir.path(), path, content);
    }
    let host = Host::captured(dir.path(), agent());
    (dir, host)
}

fn reading(host: &Host) -> (Reading, Vec<String>) {
    let budget = ample();
    let mut look = Look::new(host, &budget, "test");
    let reading = probe(&mut look);
    (reading, look.finish().1)
}

#[test]
fn every_form_in_every_place_gives_the_same_rows() {
    let headers = packages();
    let forms = [
        ("rpmdb.sqlite", written::sqlite(&headers, 4096)),
        ("Packages.db", written::ndb(&headers)),
        ("Packages", written::bdb(&headers, Order::Little, 4096)),
        ("Packages", written::bdb(&headers, Order::Big, 4096)),
    ];
    for place in PLACES {
        for (file, content) in &forms {
            let (_dir, host) =
                host(&[(&format!("{place}/{file}"), content), ("etc/os-release", b"ID=rhel\n")]);
            let (mut rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
            assert!(faults.is_empty(), "{faults:?}");
            rows.sort_by(|a, b| a.name.cmp(&b.name));
            assert_eq!(rows.len(), headers.len());
            assert_eq!(
                rows[3],
                SoftwareRow {
                    name: "package-3".into(),
                    version: Some("1.2-3.el9".into()),
                    architecture: Some("x86_64".into()),
                    source: "rpm".into(),
                    publisher: Some("Red Hat, Inc.".into()),
                    source_package: Some("package-3".into()),
                    source_version: Some("1.2-3.el9".into()),
                    install_date: Some("2023-11-14".into()),
                    purl: Some("pkg:rpm/redhat/package-3@1.2-3.el9?arch=x86_64".into()),
                    ..SoftwareRow::default()
                }
            );
        }
    }
}

#[test]
fn only_the_distributions_own_packages_have_its_url_and_an_epoch_is_in_it() {
    let of = |vendor: &str| {
        header(
            &[
                (1000, text("libstdc++")),
                (1001, text("1~rc1")),
                (1002, text("2^x")),
                (1003, number(3)),
                (1011, text(vendor)),
                (1022, text("noarch")),
            ],
            &[],
        )
    };
    let database = written::ndb(&[of("SUSE LLC <https://www.suse.com/>"), of("openSUSE"), of("ACME")]);
    let (_dir, host) = host(&[("var/lib/rpm/Packages.db", &database), ("etc/os-release", b"ID=sles\n")]);
    let (rows, _, _) = rows_of::<SoftwareRow>(&host, probe);
    let urls: Vec<_> = rows.iter().map(|it| it.purl.as_deref()).collect();
    let own = "pkg:rpm/suse/libstdc%2B%2B@1~rc1-2%5Ex?arch=noarch&epoch=3";
    assert_eq!(urls, [Some(own), None, None]);
    assert_eq!(rows[0].version.as_deref(), Some("3:1~rc1-2^x"));
}

#[test]
fn a_trusted_key_is_a_row_without_architecture_and_an_epoch_of_0_is_none() {
    let key = header(
        &[
            (1000, text("gpg-pubkey")),
            (1001, text("fd431d51")),
            (1002, text("4ae0493b")),
            (1003, number(0)),
            (1044, text("(none)")),
        ],
        &[],
    );
    let (_dir, host) = host(&[("var/lib/rpm/Packages.db", &written::ndb(&[key]))]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    let expected = SoftwareRow {
        name: "gpg-pubkey".into(),
        version: Some("fd431d51-4ae0493b".into()),
        source: "rpm".into(),
        ..SoftwareRow::default()
    };
    assert_eq!((rows, faults), (vec![expected], vec![]));
}

#[test]
fn no_database_is_absent_and_an_empty_one_is_complete() {
    let (_dir, empty) = host(&[]);
    assert_eq!(reading(&empty), (Reading::Absent("no rpm database".into()), vec![]));
    for (file, content) in [
        ("var/lib/rpm/rpmdb.sqlite", written::sqlite(&[], 512)),
        ("var/lib/rpm/Packages.db", written::ndb(&[])),
        ("var/lib/rpm/Packages", written::bdb(&[], Order::Big, 512)),
    ] {
        let (_dir, host) = host(&[(file, &content)]);
        assert_eq!(reading(&host), (Reading::Rows(vec![]), vec![]), "{file}");
    }
}

#[test]
fn a_database_that_is_none_is_never_silent() {
    for file in ["rpmdb.sqlite", "Packages.db", "Packages"] {
        for (content, why) in [(vec![], "it is empty"), (vec![7; 8192], "it is no")] {
            let path = format!("usr/lib/sysimage/rpm/{file}");
            let (_dir, host) = host(&[(&path, &content)]);
            let (Reading::Failed(said), faults) = reading(&host) else { panic!("{file}") };
            assert!(said.starts_with(&format!("{path}: {why}")), "{said}");
            assert!(faults.is_empty(), "{faults:?}");
        }
    }
    let (dir, host) = host(&[]);
    fs::create_dir_all(dir.path().join("var/lib/rpm/Packages")).unwrap();
    assert!(matches!(reading(&host).0, Reading::Failed(_)));
}

#[test]
fn of_two_databases_the_newer_form_is_read_and_the_other_is_said() {
    let new = written::sqlite(&[package("new", 9)], 512);
    let old = written::bdb(&[package("old", 9)], Order::Little, 512);
    let (_dir, two) = host(&[("var/lib/rpm/Packages", &old), ("var/lib/rpm/rpmdb.sqlite", &new)]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&two, probe);
    assert_eq!(rows.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["new"]);
    assert_eq!(faults, ["var/lib/rpm/rpmdb.sqlite was read; var/lib/rpm/Packages is there too"]);
    let (_dir, leftover) = host(&[("var/lib/rpm/Packages", &old), ("var/lib/rpm/rpmdb.sqlite", b"")]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&leftover, probe);
    assert_eq!((rows[0].name.as_str(), faults), ("old", vec![]), "an empty file is no database");
}

#[cfg(unix)]
#[test]
fn a_database_that_is_reached_by_two_ways_is_read_once() {
    let (dir, host) = host(&[("usr/share/rpm/rpmdb.sqlite", &written::sqlite(&[package("one", 9)], 512))]);
    for (link, target) in [("var/lib/rpm", "../../usr/share/rpm"), ("usr/lib/sysimage/rpm", "/usr/share/rpm")]
    {
        let link = dir.path().join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, link).unwrap();
    }
    let list = crate::host::ReadList::new(READS.iter().chain(release::READS));
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host.limited_to(list), probe);
    assert_eq!((rows.len(), faults), (1, vec![]));
}

#[test]
fn what_a_package_says_wrongly_is_a_fault_and_the_rest_stays() {
    let odd = header(
        &[
            (1000, text("odd")),
            (1001, text("1")),
            (1002, text("2")),
            (1003, text("no number")),
            (1011, Value::Text("x".repeat(5_000))),
        ],
        &[],
    );
    let nameless = header(&[(1001, text("1"))], &[]);
    let bare = header(&[(1000, text("bare"))], &[]);
    let headers = [odd, nameless, b"no header".to_vec(), bare, package("good", 9)];
    let (_dir, host) = host(&[("var/lib/rpm/Packages.db", &written::ndb(&headers))]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    let said: Vec<_> = rows.iter().map(|it| (it.name.as_str(), it.version.as_deref())).collect();
    assert_eq!(said, [("odd", Some("1-2")), ("bare", None), ("good", Some("1.2-3.el9"))]);
    let file = "var/lib/rpm/Packages.db";
    assert_eq!(
        faults,
        [
            format!("{file}: odd: tag 1011 is longer than a row may say"),
            format!("{file}: odd: tag 1003 has type 6"),
            format!("{file}: header 2: it names no package"),
            format!("{file}: header 3: a header with 1852776552 entries"),
            format!("{file}: bare: it has no version"),
        ]
    );
}

#[test]
fn a_transaction_that_was_cut_off_is_said() {
    let database = written::sqlite(&[package("one", 9)], 512);
    for (journal, faults) in [(&b"\xd9\xd5\x05\xf9"[..], 1), (&[0, 0], 0), (&[], 0)] {
        let (_dir, host) =
            host(&[("var/lib/rpm/rpmdb.sqlite", &database), ("var/lib/rpm/rpmdb.sqlite-journal", journal)]);
        let (rows, said, _) = rows_of::<SoftwareRow>(&host, probe);
        assert_eq!((rows.len(), said.len()), (1, faults), "{said:?}");
    }
}

#[test]
fn a_database_that_changes_is_read_again_once_and_then_said() {
    let (dir, host) = host(&[("var/lib/rpm/Packages.db", &written::ndb(&[package("one", 9)]))]);
    let path = dir.path().join("var/lib/rpm/Packages.db");
    let database = Database { path: "var/lib/rpm/Packages.db".into(), format: Format::Ndb };
    let budget = ample();
    let look = Look::new(&host, &budget, "test");
    for (changes, readings, faults) in [(0, 1, 0), (1, 2, 0), (9, 2, 1)] {
        let (mut seen, mut left) = (0, changes);
        let outcome = read(&look, &database, Vec::new, |rows, number, _, _| {
            seen += 1;
            rows.push(number);
            if left > 0 {
                left -= 1;
                let names = vec![package("one", 9); seen + changes];
                fs::write(&path, written::ndb(&names)).unwrap();
            }
            // The rest of what was just written does not belong to this reading.
            if rows.len() == 1 { Ok(()) } else { Err(wrong("enough")) }
        });
        assert_eq!(outcome.faults.into_iter().filter(|it| it.contains("changed")).count(), faults);
        assert!(seen >= readings && !outcome.state.is_empty());
        fs::write(&path, written::ndb(&[package("one", 9)])).unwrap();
    }
}

#[test]
fn after_its_time_a_scan_reads_no_further() {
    let (_dir, host) = host(&[("var/lib/rpm/rpmdb.sqlite", &written::sqlite(&packages(), 512))]);
    let asked = std::cell::Cell::new(0);
    let budget = Budget::measured_by(Duration::from_secs(1), move || {
        asked.set(asked.get() + 1);
        if asked.get() > 40 { Duration::from_secs(1) } else { Duration::ZERO }
    });
    let mut look = Look::new(&host, &budget, "test");
    let Reading::Rows(rows) = probe(&mut look) else { panic!("no rows") };
    assert!((1..packages().len()).contains(&rows.len()), "{}", rows.len());
    let faults = look.finish().1;
    assert_eq!(faults, ["var/lib/rpm/rpmdb.sqlite: the scan's time of 1s is used up"]);
}

#[cfg(unix)]
#[test]
fn a_log_that_cannot_be_read_is_said_and_the_database_still_is() {
    let (dir, host) = host(&[("var/lib/rpm/rpmdb.sqlite", &written::sqlite(&packages(), 512))]);
    fs::create_dir(dir.path().join("var/lib/rpm/rpmdb.sqlite-wal")).unwrap();
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    let why = "var/lib/rpm/rpmdb.sqlite: its write-ahead log: not a regular file";
    assert_eq!((rows.len(), faults), (packages().len(), vec![why.to_owned()]));
}

#[test]
fn packages_without_end_do_not_fill_the_memory() {
    let vendor = "x".repeat(4_000);
    let headers: Vec<_> = (0..2_500)
        .map(|it| header(&[(1000, text(&format!("p{it}"))), (1001, text("1")), (1011, text(&vendor))], &[]))
        .collect();
    let file = written::bdb(&headers, Order::Big, 8192);
    let (_dir, host) = host(&[("var/lib/rpm/Packages", &file)]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    assert!((2_000..2_200).contains(&rows.len()), "{}", rows.len());
    assert_eq!(faults, ["var/lib/rpm/Packages: its packages need more than 8388608 bytes"]);
}

/// Databases of few bytes, of which every one matters; also the seeds of the fuzz targets.
fn small() -> [(&'static str, &'static str, Vec<u8>); 4] {
    let headers = [package("one", 9), package("two", 600)];
    [
        ("rpm_sqlite", "rpmdb.sqlite", written::sqlite(&headers, 512)),
        ("rpm_ndb", "Packages.db", written::ndb(&headers)),
        ("rpm_bdb", "Packages", written::bdb(&headers, Order::Little, 512)),
        ("rpm_header", "", package("one", 9)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_damage_panics_and_a_cut_is_never_complete(
        which in 0_usize..3, at in any::<prop::sample::Index>(), byte in any::<u8>(), is_cut in any::<bool>(),
    ) {
        let (_, file, mut bytes) = small()[which].clone();
        let at = at.index(bytes.len());
        if is_cut { bytes.truncate(at) } else { bytes[at] = byte }
        let mut seen = Seen::default();
        let result = match file {
            "rpmdb.sqlite" => sqlite::read(&bytes, None, &mut seen),
            "Packages.db" => ndb::read(&bytes, &mut seen),
            _ => bdb::read(&bytes, &mut seen),
        };
        prop_assert!(seen.headers.len() <= 16, "damage makes pairs of what is none, but not many");
        if is_cut {
            prop_assert!(result.is_err() || !seen.faults.is_empty(), "{file} cut at {at}");
        }
    }
}

/// A seed of this format has no place for its empty slots; the target adds them again.
fn squeezed(ndb: &[u8]) -> Vec<u8> {
    [&ndb[..128], &ndb[ndb::PAGE..]].concat()
}

#[test]
fn the_seeds_of_the_fuzz_targets_are_what_is_written_here() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let mut seeds = Vec::new();
    for (target, _, bytes) in small() {
        let bytes = if target == "rpm_ndb" { squeezed(&bytes) } else { bytes };
        seeds.push((target, "valid", bytes.clone()));
        seeds.push((target, "cut-off", bytes[..bytes.len() * 2 / 3].to_vec()));
    }
    let [mut sqlite, mut ndb, mut bdb, mut header] = small().map(|it| it.2);
    // A way down that leads up again; a chain that leads to itself; lengths that nothing has.
    sqlite[512 + 8..512 + 12].copy_from_slice(&2_u32.to_be_bytes());
    ndb[32 + 12..32 + 16].copy_from_slice(&u32::MAX.to_le_bytes());
    let ndb = squeezed(&ndb);
    bdb[512 + 16..512 + 20].copy_from_slice(&1_u32.to_le_bytes());
    header[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    let hostile = [("rpm_sqlite", sqlite), ("rpm_ndb", ndb), ("rpm_bdb", bdb), ("rpm_header", header)];
    seeds.extend(hostile.into_iter().map(|(target, bytes)| (target, "hostile", bytes)));
    let mut logged = written::sqlite(&[package("one", 9)], 512);
    let later = written::sqlite(&[package("one", 9), package("two", 9)], 512);
    let frames: Vec<_> = later.chunks(512).enumerate().map(|(page, it)| (page + 1, it)).collect();
    let pages = frames.len();
    let frames: Vec<_> =
        frames.into_iter().map(|(page, it)| (page, it, if page == pages { pages } else { 0 })).collect();
    logged.extend(written::wal(&frames[1..], 512, true));
    seeds.push(("rpm_sqlite", "with-log", logged));
    seeds.push(("rpm_bdb", "big-endian", written::bdb(&[package("one", 9)], Order::Big, 512)));
    for (target, name, bytes) in seeds {
        let path = corpus.join(target).join(name);
        if std::env::var_os("HOLDPOINT_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert!(fs::read(&path).is_ok_and(|it| it == bytes), "{}", path.display());
    }
}
