//! `site ingest` against media that nobody should have carried here, and against what happens to honest ones.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use holdpoint_common::bundle::{Class, Kind, seal};
use holdpoint_common::clock::readable;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::TempDir;

use super::args::{IngestFormat, Site as Typed, SiteData, SiteIngest};
use super::config::Config;
use super::daemon;
use super::fleet::originals;
use super::local::Local;
use super::plant::{Plant, signer};
use super::verbs::{self, Out};
use crate::carrier::drop::{MANIFEST, Medium};

struct Desk {
    site: TempDir,
    medium: TempDir,
}

impl Desk {
    /// A site that trusts the zone, and an empty medium.
    async fn new(plant: &Plant) -> Self {
        let desk = Self { site: tempfile::tempdir().unwrap(), medium: tempfile::tempdir().unwrap() };
        daemon::init(desk.site.path(), &Config::new(&"plant".parse().unwrap())).unwrap();
        let request = holdpoint_proto::v1::SiteTrustRequest {
            site: "plant".into(),
            zone: plant.zone.zone.to_string(),
            algorithm: plant.root().algorithm().cose(),
            root: plant.root().as_bytes().to_vec(),
            statement: plant.enrolment(),
        };
        let mut local = Local::open(desk.site.path()).await.unwrap();
        local.admin.trust(request).await.unwrap();
        local.close().await.unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.medium.path().join(name)
    }

    async fn ingest(&self, paths: &[PathBuf]) -> (Value, ExitCode) {
        let typed = SiteIngest {
            paths: paths.to_vec(),
            data: SiteData { path: self.site.path().to_owned() },
            output: IngestFormat::Json,
        };
        let printed = RefCell::new(String::new());
        let print = |it: &str| printed.borrow_mut().push_str(it);
        let exit = verbs::run(Typed::Ingest(typed), &Out { print: &print, say: &|_| {} }).await.unwrap();
        (serde_json::from_str(&printed.borrow()).unwrap(), exit)
    }

    async fn whole(&self) -> (Value, ExitCode) {
        self.ingest(&[self.medium.path().to_owned()]).await
    }

    async fn zone(&self) -> holdpoint_proto::v1::FleetZone {
        let mut local = Local::open(self.site.path()).await.unwrap();
        let request = holdpoint_proto::v1::FleetZoneRequest { zone: "line-1".into() };
        let zone = local.fleet.zone(request).await.unwrap().into_inner();
        local.close().await.unwrap();
        zone
    }
}

fn outcome<'a>(report: &'a Value, name: &str) -> &'a str {
    let files = report["files"].as_array().unwrap();
    let file = files.iter().find(|it| it["file"].as_str().unwrap().contains(name));
    file.unwrap_or_else(|| panic!("{name} is not in {report:#}"))["outcome"].as_str().unwrap()
}

fn sum(report: &Value, word: &str) -> u64 {
    report["summary"][word].as_u64().unwrap_or(0)
}

/// Writes a medium as the zone does.
fn carry(to: &Path, plant: &Plant, number: i64, bundles: &[(u64, Vec<u8>)]) -> PathBuf {
    let stream = holdpoint_common::bundle::Stream {
        zone: plant.zone.clone(),
        collector: signer(plant.key).public().id(),
    };
    let mut medium = Medium::begin(to, &stream, plant.now_ms + number * 60_000).unwrap();
    for (sequence, bytes) in bundles {
        medium.bundle(plant.epoch.into(), *sequence, "delta", bytes).unwrap();
    }
    medium.end(&readable(plant.now_ms)).unwrap().folder
}

#[tokio::test]
async fn what_is_no_bundle_is_named_and_nothing_of_it_is_opened_followed_or_believed() {
    let mut plant = Plant::new("line-1", 1);
    let desk = Desk::new(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    let good = plant.delta(vec![asset]);
    fs::write(desk.path("good.bundle"), &good).unwrap();
    // Links, a pipe, a device, a folder with the name of a bundle.
    symlink("/etc/passwd", desk.path("link.bundle")).unwrap();
    symlink(desk.path("good.bundle"), desk.path("alias.bundle")).unwrap();
    symlink("/etc", desk.path("folder-link")).unwrap();
    let fifo = mknodat(CWD, desk.path("pipe.bundle"), FileType::Fifo, Mode::RUSR, 0);
    fifo.unwrap();
    let device = mknodat(CWD, desk.path("device.bundle"), FileType::CharacterDevice, Mode::RUSR, 0x0105);
    fs::create_dir_all(desk.path("deep.bundle/deeper/deepest")).unwrap();
    fs::write(desk.path("deep.bundle/deeper/hidden.bundle"), &good).unwrap();
    // Names that would hurt whoever used them.
    let long = format!("{}.bundle", "x".repeat(248));
    fs::write(desk.path(&long), b"x").unwrap();
    for name in [&b"..bundle"[..], b"-rf.bundle", b"a\n\x1b[31mred.bundle", b"\xff\xfe.bundle", b"...bundle"]
    {
        fs::write(desk.medium.path().join(std::ffi::OsStr::from_bytes(name)), b"x").unwrap();
    }
    fs::write(desk.path("autorun.inf"), b"run me").unwrap();
    File::create(desk.path("sparse.bundle")).unwrap().set_len(4 << 30).unwrap();

    let (report, exit) = desk.whole().await;
    assert_eq!(exit, ExitCode::from(1));
    assert_eq!(sum(&report, "accepted"), 1);
    for name in [
        "/link.bundle",
        "alias.bundle",
        "folder-link",
        "pipe.bundle",
        "autorun.inf",
        "sparse.bundle",
        "deeper",
    ] {
        assert_eq!(outcome(&report, name), "not_read", "{name}");
    }
    if device.is_ok() {
        assert_eq!(outcome(&report, "device.bundle"), "not_read");
    }
    for name in [&long, "/..bundle", "-rf.bundle", "red.bundle", "...bundle"] {
        assert_eq!(outcome(&report, name), "refused", "{name}");
    }
    let shown = report.to_string();
    assert!(!shown.contains('\u{1b}') && !shown.contains("\\u001b"), "a name drives no terminal");
    assert!(!shown.contains("root:"), "a link was followed");
    assert_eq!(desk.zone().await.assets, 1);
}

#[tokio::test]
async fn bombs_cut_files_and_flipped_bits_leave_nothing_behind() {
    let mut plant = Plant::new("line-1", 1);
    let desk = Desk::new(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    let good = plant.delta(vec![asset]);
    // Signed by the zone's own key: a body that is a gigabyte of nothing.
    let mut thief = plant.copy();
    let header = thief.header_of(Kind::Delta, 2).keep();
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..1_024 {
        std::io::Write::write_all(&mut packed, &vec![0; 1 << 20]).unwrap();
    }
    let bomb = [header, packed.finish().unwrap()].concat();
    let bomb = seal(&bomb, &thief.header_of(Kind::Delta, 2).stream, &signer(thief.key)).unwrap().bytes;
    assert!(bomb.len() < 1 << 20);
    fs::write(desk.path("bomb.bundle"), bomb).unwrap();
    for cut in [0, 1, 17, good.len() / 2, good.len() - 1] {
        fs::write(desk.path(&format!("cut-{cut}.bundle")), &good[..cut]).unwrap();
    }
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(desk.path("flipped.bundle"), flipped).unwrap();
    let (report, exit) = desk.whole().await;
    assert_eq!(exit, ExitCode::from(1));
    assert_eq!(sum(&report, "accepted"), 0);
    assert_eq!(outcome(&report, "bomb.bundle"), "refused");
    assert_eq!(outcome(&report, "cut-17"), "refused");
    assert_eq!(desk.zone().await.last_sequence, None);
    fs::write(desk.path("good.bundle"), &good).unwrap();
    let (report, _) = desk.whole().await;
    assert_eq!(outcome(&report, "good.bundle"), "accepted");
    assert_eq!(desk.zone().await.assets, 1);
}

#[tokio::test]
async fn media_may_come_in_any_order_twice_or_not_at_all_and_one_cycle_heals() {
    let mut plant = Plant::new("line-1", 1);
    let desk = Desk::new(&plant).await;
    let mut folders = Vec::new();
    for number in 0..10 {
        let asset = plant.asset(&format!("hmi-{number:02}"), "fresh", 0);
        let mut bundles = Vec::new();
        for records in [vec![asset], vec![]] {
            let bytes = plant.delta(records);
            bundles.push((plant.head, bytes));
        }
        folders.push(carry(desk.medium.path(), &plant, number, &bundles));
    }
    // The second, the fifth and the sixth are lost; the others come backwards, and two of them twice. What was
    // before the first that ever came, nobody can know: so that is the first one.
    let (mut accepted, mut late, mut duplicates) = (0, 0, 0);
    for number in [0, 9, 8, 7, 9, 6, 3, 2, 0] {
        let (report, exit) = desk.ingest(&[folders[number].clone()]).await;
        assert_eq!(exit, ExitCode::SUCCESS, "{report:#}");
        accepted += sum(&report, "accepted");
        late += sum(&report, "late");
        duplicates += sum(&report, "duplicate");
    }
    assert_eq!((accepted, late, duplicates), (4, 10, 4));
    let zone = desk.zone().await;
    let open: Vec<_> = zone.gaps.iter().filter(|it| it.state == "open").map(|it| (it.from, it.to)).collect();
    assert_eq!((open, zone.assets), (vec![(3, 4), (9, 12)], 7));
    assert!(zone.uncertain_since_ms.is_some());

    // The next medium has a whole cycle, and the root folder of the medium is named.
    let next = tempfile::tempdir().unwrap();
    let mut bundles = Vec::new();
    for bytes in plant.cycle() {
        bundles.push((plant.head - 3 + bundles.len() as u64, bytes));
    }
    carry(next.path(), &plant, 99, &bundles);
    let (report, exit) = desk.ingest(&[next.path().to_owned()]).await;
    assert_eq!((sum(&report, "accepted"), exit), (4, ExitCode::SUCCESS), "{report:#}");
    let zone = desk.zone().await;
    assert_eq!((zone.assets, zone.uncertain_since_ms), (10, None));
    assert!(zone.gaps.iter().all(|it| it.state == "healed"));
}

#[tokio::test]
async fn a_medium_whose_writing_was_cut_off_is_told_and_counts_as_far_as_it_goes() {
    let mut plant = Plant::new("line-1", 1);
    let desk = Desk::new(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    let bytes = plant.delta(vec![asset]);
    let folder = carry(desk.medium.path(), &plant, 0, &[(1, bytes)]);
    fs::remove_file(folder.join(MANIFEST)).unwrap();
    let (report, exit) = desk.whole().await;
    assert_eq!((sum(&report, "accepted"), exit), (1, ExitCode::from(1)));
    assert_eq!(report["cut_off"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_ingested_while_the_site_runs_goes_through_the_site() {
    let mut plant = Plant::new("line-1", 1);
    let desk = Desk::new(&plant).await;
    let running = daemon::start(desk.site.path()).await.unwrap();
    let asset = plant.asset("hmi-01", "fresh", 0);
    let gone = plant.set(Class::Asset, "hmi-02", None);
    fs::write(desk.path("one.bundle"), plant.delta(vec![asset, gone])).unwrap();
    let (report, _) = desk.whole().await;
    assert_eq!(sum(&report, "accepted"), 1);
    assert_eq!(desk.zone().await.assets, 1);
    assert_eq!(originals(running.keeper().store(), "line-1").unwrap().len(), 1);
    running.stop().await.unwrap();
    assert_eq!(desk.zone().await.assets, 1);
}
