use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::baseline_entry::What;
use holdpoint_common::proto::store::{
    AssetRecord, AuditEntry, BaselineApproved, BaselineEntry, DriftDisposed, HeldRecord, SectionState,
    SnapshotRecord, SnapshotSection,
};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{
    FirmwareRow, ListenerRow, PlatformRow, Row, SectionKind, SoftwareRow, UpdateRow,
};
use holdpoint_common::section::{Digest, Rows};
use proptest::prelude::*;
use prost::Message;

use super::drift::{compare, gap_of};
use super::fold::lacking;
use super::*;
use crate::assess::RowSource;

const DAY: i64 = 86_400_000;
const KINDS: [SectionKind; 5] = [
    SectionKind::Platform,
    SectionKind::Firmware,
    SectionKind::Software,
    SectionKind::Listeners,
    SectionKind::Updates,
];

#[derive(Debug, Default)]
struct Kept(HashMap<Digest, Arc<Vec<Vec<u8>>>>);

impl RowSource for Kept {
    fn rows(&self, _: SectionKind, digest: &Digest) -> Result<Option<Arc<Vec<Vec<u8>>>>, String> {
        Ok(self.0.get(digest).cloned())
    }
}

/// A host: its rows, and how each section was read.
#[derive(Debug, Clone, Default)]
struct Host(BTreeMap<i32, (SectionStatus, Vec<Vec<u8>>)>);

impl Host {
    fn with<R: Row>(mut self, kind: SectionKind, rows: &[R]) -> Self {
        let rows = Rows::encode(rows).as_slice().to_vec();
        self.0.insert(kind.into(), (SectionStatus::Complete, rows));
        self
    }

    fn read(mut self, kind: SectionKind, status: SectionStatus) -> Self {
        self.0.get_mut(&i32::from(kind)).unwrap().0 = status;
        self
    }

    fn state(&self, kept: &mut Kept, kind: i32) -> SectionState {
        let (status, rows) = &self.0[&kind];
        let rows = Rows::from_encoded(rows.clone());
        kept.0.insert(rows.digest(), Arc::new(rows.as_slice().to_vec()));
        SectionState {
            digest: rows.digest().to_vec(),
            status: (*status).into(),
            received_ms: DAY,
            ..SectionState::default()
        }
    }

    fn record(&self, kept: &mut Kept) -> AssetRecord {
        let held = |&kind: &i32| {
            let state = self.state(kept, kind);
            HeldRecord { kind, shown: Some(state), attempt: None }
        };
        let sections = self.0.keys().map(held).collect();
        AssetRecord { id: "hmi".into(), sections, ..AssetRecord::default() }
    }

    fn snapshot(&self, kept: &mut Kept, sequence: u64) -> SnapshotRecord {
        let section = |&kind: &i32| SnapshotSection { kind, state: Some(self.state(kept, kind)) };
        SnapshotRecord {
            asset: "hmi".into(),
            nonce: vec![u8::try_from(sequence % 251).unwrap(); 16],
            sequence,
            sections: self.0.keys().map(section).collect(),
            ..SnapshotRecord::default()
        }
    }
}

fn package(name: &str, version: &str, source: &str) -> SoftwareRow {
    SoftwareRow {
        name: name.into(),
        version: Some(version.into()),
        architecture: Some("amd64".into()),
        source: source.into(),
        ..SoftwareRow::default()
    }
}

fn platform(build: &str, boot: &str, pending: bool) -> PlatformRow {
    PlatformRow {
        source: "linux/platform".into(),
        os_name: Some("Debian".into()),
        build: Some(build.into()),
        boot_id: Some(boot.into()),
        restart_pending: Some(pending),
        restart_reasons: pending.then(|| "kernel".to_owned()).into_iter().collect(),
        ..PlatformRow::default()
    }
}

fn listener(port: u32) -> ListenerRow {
    ListenerRow { protocol: "tcp".into(), address: "::".into(), port, ..ListenerRow::default() }
}

fn host() -> Host {
    let bios = FirmwareRow { kind: "bios".into(), version: Some("1.2".into()), ..FirmwareRow::default() };
    Host::default()
        .with(SectionKind::Platform, &[platform("1", "a", false)])
        .with(SectionKind::Firmware, &[bios])
        .with(SectionKind::Software, &[package("bash", "5", "dpkg"), package("scada", "1", "unowned")])
        .with(SectionKind::Listeners, &[listener(22)])
        .with::<UpdateRow>(SectionKind::Updates, &[])
        .read(SectionKind::Updates, SectionStatus::Unsupported)
}

/// Each part as `part: what is said`.
fn drift(before: &Host, now: &Host) -> Vec<String> {
    let mut kept = Kept::default();
    let (approved, record) = (before.snapshot(&mut kept, 1), now.record(&mut kept));
    let told = |part: Part| {
        let told = match compare(part, &approved, &record, &kept).unwrap() {
            Drift::Unsupported => "unsupported".to_owned(),
            Drift::Undetermined(gap) => gap.as_str().to_owned(),
            Drift::Compared(found) => {
                let one = |it: &Difference| {
                    let side = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".into());
                    format!("{} {}>{}", it.item, side(&it.approved), side(&it.now))
                };
                found.iter().map(one).collect::<Vec<_>>().join("; ")
            }
        };
        format!("{}: {told}", part.as_str())
    };
    Part::ALL.into_iter().map(told).filter(|it| !it.ends_with(": ")).collect()
}

#[test]
fn what_moves_by_itself_is_no_drift() {
    let rebooted = host().with(SectionKind::Platform, &[platform("1", "b", true)]);
    assert_eq!(drift(&host(), &rebooted), ["patches: unsupported"]);
    let mut installed = package("bash", "5", "dpkg");
    installed.install_date = Some("2026-01-01".into());
    let again = host().with(SectionKind::Software, &[installed, package("scada", "1", "unowned")]);
    assert_eq!(drift(&host(), &again), ["patches: unsupported"]);
}

#[test]
fn each_part_shows_what_is_new_gone_and_other() {
    let flashed = FirmwareRow { kind: "bios".into(), version: Some("1.3".into()), ..FirmwareRow::default() };
    let now = host()
        .with(SectionKind::Platform, &[platform("2", "b", false)])
        .with(SectionKind::Firmware, &[flashed])
        .with(SectionKind::Software, &[package("bash", "6", "dpkg"), package("nmap", "7", "dpkg")])
        .with(SectionKind::Listeners, &[listener(22), listener(4444)]);
    let told = [
        "operating-system: build 1>2; bios 1.2>1.3",
        "software: bash amd64 5 dpkg>6 dpkg; nmap amd64 ->7 dpkg",
        "custom-software: scada amd64 1>-",
        "ports: tcp :: 4444 ->",
        "patches: unsupported",
    ];
    assert_eq!(drift(&host(), &now), told);
}

#[test]
fn a_change_behind_a_cut_or_in_a_row_of_the_same_name_is_drift() {
    let long = |end: &str| package("bash", &format!("{}{end}", "9".repeat(400)), "dpkg");
    let (before, now) =
        (host().with(SectionKind::Software, &[long("1")]), host().with(SectionKind::Software, &[long("2")]));
    assert_eq!(drift(&before, &now).len(), 2, "{:?}", drift(&before, &now));
    let many = |last: &str| {
        let mut rows: Vec<SoftwareRow> =
            (0..6).map(|it| package("lib", &format!("1.{it}"), "dpkg")).collect();
        rows.push(package("lib", last, "dpkg"));
        host().with(SectionKind::Software, &rows)
    };
    let told = drift(&many("9.1"), &many("9.2"));
    assert!(told[0].starts_with("software: lib amd64 1.0 dpkg"), "{told:?}");
}

#[test]
fn a_row_that_cannot_be_read_is_an_item() {
    let mut broken = host();
    broken.0.get_mut(&i32::from(SectionKind::Listeners)).unwrap().1.push(vec![0xff; 9]);
    assert!(
        drift(&host(), &broken).iter().any(|it| it.contains("cannot be read")),
        "{:?}",
        drift(&host(), &broken)
    );
}

#[test]
fn nothing_is_said_of_an_asset_that_is_silent_retired_or_never_reported() {
    let mut kept = Kept::default();
    let record = host().record(&mut kept);
    let gap = |record: &AssetRecord, now_ms| gap_of(record, None, 7 * DAY, now_ms);
    assert_eq!(gap(&record, 8 * DAY), None);
    assert_eq!(gap(&record, 8 * DAY + 1), Some(Gap::InventoryStale));
    assert_eq!(gap(&AssetRecord::default(), DAY), Some(Gap::SectionMissing));
    let retired = AssetRecord { retired_ms: Some(1), ..record };
    assert_eq!(gap(&retired, DAY), Some(Gap::Retired));
}

fn approved(version: u64, snapshot: SnapshotRecord) -> BaselineEntry {
    let what =
        BaselineApproved { snapshot: Some(snapshot), reason: "new".into(), ..BaselineApproved::default() };
    BaselineEntry { asset: "hmi".into(), version, what: Some(What::Approved(what)) }
}

fn disposed(version: u64, item: u8, word: &str, until_ms: Option<i64>) -> BaselineEntry {
    let what =
        DriftDisposed { items: vec![vec![item; 32]], r#as: word.into(), reason: "why".into(), until_ms };
    BaselineEntry { asset: "hmi".into(), version, what: Some(What::Disposed(what)) }
}

fn log(entries: &[BaselineEntry]) -> Vec<AuditEntry> {
    let entry = |(at, it): (usize, &BaselineEntry)| AuditEntry {
        number: u64::try_from(at).unwrap() + 1,
        at_ms: i64::try_from(at).unwrap() + 1,
        by: "kim".into(),
        detail: Some(Detail::Baseline(it.encode_to_vec())),
        ..AuditEntry::default()
    };
    entries.iter().enumerate().map(entry).collect()
}

#[test]
fn a_version_follows_the_one_before_with_a_newer_snapshot() {
    let mut kept = Kept::default();
    let mut snapshot = |sequence| host().snapshot(&mut kept, sequence);
    let mut baselines = Baselines::fold(&log(&[approved(1, snapshot(5))]));
    let refused = |baselines: &Baselines, entry: &BaselineEntry| baselines.admit(entry).unwrap_err().0;
    assert!(refused(&baselines, &approved(3, snapshot(6))).contains("does not follow"));
    assert!(refused(&baselines, &approved(2, snapshot(5))).contains("not newer"));
    let mut other = snapshot(6);
    other.asset = "other".into();
    assert!(refused(&baselines, &approved(2, other)).contains("another asset"));
    let empty = SnapshotRecord { sections: Vec::new(), ..snapshot(6) };
    assert!(refused(&baselines, &approved(2, empty)).contains("nothing to approve"));
    assert!(baselines.covers(&snapshot(5)) && !baselines.covers(&snapshot(6)));
    let entries = log(&[approved(1, snapshot(5)), approved(2, snapshot(9))]);
    for entry in &entries {
        baselines.follow(entry);
    }
    let history = baselines.of("hmi").unwrap();
    assert_eq!((history.versions.len(), history.snapshot.sequence), (2, 9));
}

#[test]
fn a_section_that_was_not_read_takes_its_part_out_of_the_baseline() {
    let mut kept = Kept::default();
    let half = host().read(SectionKind::Firmware, SectionStatus::Partial);
    let snapshot = half.snapshot(&mut kept, 5);
    assert_eq!(lacking(&snapshot), [(Part::OperatingSystem, Gap::SectionIncomplete)]);
    let baselines = Baselines::fold(&log(&[approved(1, snapshot)]));
    assert_eq!(baselines.of("hmi").unwrap().newest().unwrap().lacks.len(), 1);
    assert!(!baselines.covers(&host().snapshot(&mut kept, 4)), "the change read more than was approved");
    assert!(baselines.covers(&half.snapshot(&mut kept, 4)));
    assert!(drift(&half, &host()).contains(&"operating-system: no-baseline".to_owned()));
}

#[test]
fn what_is_done_about_drift_ends_and_is_about_one_version() {
    let mut kept = Kept::default();
    let mut snapshot = |sequence| host().snapshot(&mut kept, sequence);
    let first = approved(1, snapshot(5));
    let baselines = Baselines::fold(&log(std::slice::from_ref(&first)));
    for (word, until_ms) in [("revert", None), ("investigate", None), ("ignore", Some(9))] {
        assert!(baselines.admit(&disposed(1, 1, word, until_ms)).is_err(), "{word}");
    }
    assert!(baselines.admit(&disposed(2, 1, "authorised", None)).is_err());
    assert!(Baselines::default().admit(&disposed(0, 1, "authorised", None)).is_err());
    let entries = [
        first,
        disposed(1, 1, "revert", Some(100)),
        disposed(1, 2, "authorised", None),
        disposed(1, 2, "authorised", None),
    ];
    let baselines = Baselines::fold(&log(&entries));
    let history = baselines.of("hmi").unwrap();
    let reverted = &history.disposed[&Digest::try_from([1; 32].as_slice()).unwrap()];
    assert!(reverted.counts(99) && !reverted.counts(100), "over at its millisecond");
    assert_eq!(history.authorised_ms(), Some(3), "saying it again gives no more time");
    let renewed = Baselines::fold(&log(&[entries.to_vec(), vec![approved(2, snapshot(6))]].concat()));
    let history = renewed.of("hmi").unwrap();
    assert!(history.disposed.is_empty() && history.authorised_ms().is_none());
}

fn status() -> impl Strategy<Value = SectionStatus> {
    prop_oneof![
        3 => Just(SectionStatus::Complete),
        1 => Just(SectionStatus::Partial),
        1 => Just(SectionStatus::Failed),
        1 => Just(SectionStatus::Unsupported),
        1 => Just(SectionStatus::Unspecified),
    ]
}

fn some_host() -> impl Strategy<Value = Host> {
    let packages = proptest::collection::vec((0..4_u8, 0..3_u8, any::<bool>()), 0..5);
    let statuses = proptest::collection::vec(proptest::option::weighted(0.9, status()), KINDS.len());
    (packages, proptest::collection::vec(1..4_u32, 0..3), 0..3_u8, statuses).prop_map(
        |(packages, ports, build, statuses)| {
            let software: Vec<SoftwareRow> = packages
                .iter()
                .map(|(name, version, own)| {
                    package(&format!("p{name}"), &version.to_string(), if *own { "unowned" } else { "dpkg" })
                })
                .collect();
            let ports: Vec<ListenerRow> = ports.into_iter().map(listener).collect();
            let mut host = host()
                .with(SectionKind::Platform, &[platform(&build.to_string(), "x", false)])
                .with(SectionKind::Software, &software)
                .with(SectionKind::Listeners, &ports);
            for (kind, status) in KINDS.into_iter().zip(statuses) {
                match status {
                    Some(status) => host = host.read(kind, status),
                    None => {
                        host.0.remove(&i32::from(kind));
                    }
                }
            }
            host
        },
    )
}

proptest! {
    /// Whatever is missing, on either side: "no drift" is said only where both sides were read and are the same.
    #[test]
    fn nothing_that_is_missing_reads_as_no_drift(before in some_host(), now in some_host(), lost in any::<bool>()) {
        let mut kept = Kept::default();
        let (approved, record) = (before.snapshot(&mut kept, 1), now.record(&mut kept));
        if lost {
            kept.0.clear();
        }
        for part in Part::ALL {
            let whole = |host: &Host| {
                let read = |kind: &SectionKind| host.0.get(&i32::from(*kind)).map(|it| it.0);
                let states: Vec<_> = part.kinds().iter().map(read).collect();
                let is_fine = |it: &Option<SectionStatus>| {
                    matches!(it, Some(SectionStatus::Complete | SectionStatus::Unsupported))
                };
                (states.iter().all(is_fine), states)
            };
            let ((then_fine, then), (now_fine, states)) = (whole(&before), whole(&now));
            let drift = compare(part, &approved, &record, &kept).unwrap();
            match drift {
                Drift::Compared(found) => {
                    prop_assert!(then_fine && now_fine && then == states);
                    let items = |host: &Host| {
                        let rows = |kind: &SectionKind| {
                            parts::items(part, *kind, host.0[&i32::from(*kind)].1.iter().map(Vec::as_slice))
                        };
                        part.kinds().iter().filter(|it| {
                            host.0[&i32::from(**it)].0 == SectionStatus::Complete
                        }).flat_map(rows).collect::<Items>()
                    };
                    prop_assert_eq!(found.is_empty(), items(&before) == items(&now));
                    if !found.is_empty() {
                        prop_assert!(!lost, "rows that are gone say nothing");
                    }
                }
                Drift::Unsupported => {
                    prop_assert!(states.iter().all(|it| *it == Some(SectionStatus::Unsupported)));
                    prop_assert_eq!(then, states);
                }
                Drift::Undetermined(_) => {}
            }
        }
    }

    /// The digest of a difference is the same from whatever report it is seen, and another one for another value.
    #[test]
    fn the_same_difference_has_the_same_digest(before in some_host(), now in some_host()) {
        let seen = |host: &Host, sequence| {
            let mut kept = Kept::default();
            let (approved, record) = (before.snapshot(&mut kept, sequence), host.record(&mut kept));
            match compare(Part::Software, &approved, &record, &kept).unwrap() {
                Drift::Compared(found) => found.into_iter().map(|it| (it.digest, it)).collect::<BTreeMap<_, _>>(),
                Drift::Unsupported | Drift::Undetermined(_) => BTreeMap::new(),
            }
        };
        let (one, again) = (seen(&now, 1), seen(&now, 7));
        prop_assert_eq!(&one, &again);
        let items: std::collections::BTreeSet<_> = one.values().map(|it| it.item.clone()).collect();
        prop_assert_eq!(items.len(), one.len());
    }

    /// Entries in any order, right and wrong: what is folded from a prefix stays when the prefix is folded again.
    #[test]
    fn folding_any_prefix_twice_is_the_same(
        steps in proptest::collection::vec((0..3_u8, 0..4_u64, 0..6_u64, 0..3_u8), 0..20),
        cut in 0..20_usize,
    ) {
        let mut kept = Kept::default();
        let entries: Vec<BaselineEntry> = steps
            .iter()
            .map(|&(kind, version, sequence, item)| match kind {
                0 => approved(version, host().snapshot(&mut kept, sequence)),
                1 => disposed(version, item, "authorised", None),
                _ => disposed(version, item, "revert", Some(50)),
            })
            .collect();
        let log = log(&entries);
        let prefix = &log[..cut.min(log.len())];
        let once = Baselines::fold(prefix);
        prop_assert_eq!(&once, &Baselines::fold(prefix));
        prop_assert_eq!(&once, &Baselines::fold(prefix.iter().chain(prefix)));
        let mut rest = once;
        for entry in &log {
            rest.follow(entry);
        }
        prop_assert_eq!(rest, Baselines::fold(&log), "going on from a prefix comes to the same");
    }
}
