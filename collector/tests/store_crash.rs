//! What the store survives: `kill -9`, a power cut, a full disk. Each with every engine.
//!
//! `HOLDPOINT_KILLS` and `HOLDPOINT_POWER_CUTS` set the number of rounds per engine. The tests
//! that mount a file system need root; they print so and do nothing without it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "what was left out is told")]

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use holdpoint_collector::store::{
    Engine, NewSection, SectionKey, Store, StoreConfig, StoreError, Txn, section_digest,
};
use holdpoint_proto::store::{AssetRecord, EventRecord, HeldRecord, SectionState};
use holdpoint_proto::v1::{SectionKind, SectionStatus, SoftwareRow};
use prost::Message;

/// Says to a copy of this program that it is the writer, and where and with which engine.
const WRITER_DIR: &str = "HOLDPOINT_CRASH_TEST_DIR";
const WRITER_ENGINE: &str = "HOLDPOINT_CRASH_TEST_ENGINE";
/// Reports in flight at any time.
const TASKS: u64 = 16;
const HOSTS: u64 = 12 * TASKS;
const PROGRAMS: u64 = 120;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const MIB: u64 = 1 << 20;

type Rows = Vec<Vec<u8>>;

fn config(engine: Engine) -> StoreConfig {
    StoreConfig {
        engine,
        low_free_bytes: 24 * MIB,
        admin_free_bytes: 8 * MIB,
        ballast_bytes: 0,
        ..StoreConfig::default()
    }
}

/// The rows of report `n`: most come from one of four images, every third has some of its own.
fn rows_of(n: u64) -> Rows {
    let image = n % 4;
    let mut rows: Rows = (0..PROGRAMS)
        .map(|program| {
            let own = n.is_multiple_of(3) && program % 40 == n % 40;
            let version = Some(if own { format!("{n}") } else { format!("1.{image}") });
            let name = format!("package-{program}");
            SoftwareRow { name, version, source: "dpkg".into(), ..Default::default() }.encode_to_vec()
        })
        .collect();
    rows.sort();
    rows
}

fn host_of(n: u64) -> String {
    format!("host-{}", n % HOSTS)
}

fn asset_with(id: &str, n: u64, kind: SectionKind, rows: &Rows) -> AssetRecord {
    let state = SectionState {
        status: SectionStatus::Complete.into(),
        digest: section_digest(rows).to_vec(),
        rows: u32::try_from(rows.len()).unwrap(),
        ..Default::default()
    };
    let held = HeldRecord { kind: kind.into(), shown: Some(state), attempt: None };
    AssetRecord { id: id.into(), sequence: n, sections: vec![held], ..Default::default() }
}

fn new_section(kind: SectionKind, rows: &Rows, base: Option<&Rows>) -> NewSection {
    let base = base.map(|it| section_digest(it));
    NewSection { kind, digest: section_digest(rows), rows: rows.clone(), payload: None, base }
}

fn report(n: u64) -> Txn {
    let rows = rows_of(n);
    let before = n.checked_sub(HOSTS).map(rows_of);
    Txn::report()
        .put_asset(asset_with(&host_of(n), n, SectionKind::Software, &rows))
        .add_event(EventRecord { at_ms: 1, asset: host_of(n), kind: "reported".into(), ..Default::default() })
        .put_section(new_section(SectionKind::Software, &rows, before.as_ref()))
        .put_setting(&host_of(n), noise_of(n))
}

/// Bytes that look random and are the report's own: a few large ones, so that values in many
/// pieces are crashed too.
fn noise_of(n: u64) -> Vec<u8> {
    let size = if n.is_multiple_of(5) { 50_000 } else { 10 };
    let mut state = n + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

fn shown(asset: &AssetRecord) -> SectionKey {
    let held = &asset.sections[0];
    SectionKey::of(held.kind, &held.shown.as_ref().unwrap().digest).unwrap()
}

/// Not a test of its own: the writer that the tests below start and stop. Without their
/// variables it has nothing to do.
#[test]
fn writer_of_the_crash_tests() {
    let (Ok(dir), Ok(engine)) = (env::var(WRITER_DIR), env::var(WRITER_ENGINE)) else { return };
    let (store, opened) = Store::open(Path::new(&dir), &config(engine.parse().unwrap())).unwrap();
    assert_eq!(opened.lost_data, None);
    let next = store.assets(None, 1000).unwrap().iter().map(|it| it.sequence + 1).max().unwrap_or(0);
    let from = next.next_multiple_of(HOSTS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // A host's reports come one after the other, as an agent's do.
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let store = store.clone();
                tokio::spawn(async move {
                    for n in (from + task..).step_by(usize::try_from(TASKS).unwrap()) {
                        match store.commit(report(n)).await {
                            Ok(_) => {}
                            // A fast machine fills the small disk before its power goes: enough was written.
                            Err(StoreError::Full) => std::future::pending().await,
                            Err(cause) => panic!("{cause}"),
                        }
                        // One write each, so that a line is whole or absent.
                        let mut out = std::io::stdout().lock();
                        out.write_all(format!("acked {n}\n").as_bytes()).unwrap();
                        out.flush().unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

struct Writer {
    child: Child,
    acked: thread::JoinHandle<Vec<u64>>,
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "a process that can be killed without killing the test")]
    fn start(dir: &Path, engine: Engine) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "writer_of_the_crash_tests", "--nocapture", "--test-threads=1"])
            .env(WRITER_DIR, dir)
            .env(WRITER_ENGINE, engine.name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let acked = thread::spawn(move || {
            // The test harness prints lines too, and the first of ours may follow on one of them.
            let lines = out.lines().map_while(Result::ok);
            lines.filter_map(|line| line.rsplit_once("acked ").and_then(|(_, n)| n.parse().ok())).collect()
        });
        Self { child, acked }
    }

    fn freeze(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    }

    /// Ends it without a chance to clean up; returns what it had acknowledged.
    fn kill(mut self) -> Vec<u64> {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the writer ended by itself: {status}");
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.acked.join().unwrap()
    }
}

/// The newest acknowledged report of each host.
#[derive(Default)]
struct Acked(BTreeMap<String, u64>);

impl Acked {
    fn add(&mut self, numbers: &[u64]) {
        for &n in numbers {
            let newest = self.0.entry(host_of(n)).or_default();
            *newest = n.max(*newest);
        }
    }

    /// Every acknowledged report, or a later one of the same host, is there, whole.
    fn check(&self, dir: &Path, engine: Engine) {
        let (store, opened) = Store::open(dir, &config(engine)).unwrap();
        assert_eq!(opened.lost_data, None, "{opened:?}");
        assert!(opened.quarantined.is_none() && opened.damaged.is_empty(), "{opened:?}");
        for (host, &acked) in &self.0 {
            let asset =
                store.asset(host).unwrap().unwrap_or_else(|| panic!("{host} is lost, {acked} was acked"));
            assert!(asset.sequence >= acked, "{host} went back from {acked} to {}", asset.sequence);
            let rows = store.section(shown(&asset)).unwrap();
            assert_eq!(rows.as_deref(), Some(&rows_of(asset.sequence)), "{host}");
            assert_eq!(store.setting(host).unwrap(), Some(noise_of(asset.sequence)), "{host}");
            assert!(store.assets_with_section(shown(&asset)).contains(&Arc::from(host.as_str())));
        }
        assert_eq!(store.verify_blocking().unwrap(), [], "torn transactions");
        store.close_blocking().unwrap();
    }
}

/// Anything below the limit, differently each time; it is printed where it decides something.
fn random(below: u64) -> u64 {
    let mut bytes = [0; 8];
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % below
}

fn rounds(variable: &str, default: u64) -> u64 {
    env::var(variable).ok().map_or(default, |it| it.parse().unwrap())
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    for &engine in Engine::BUILT {
        let dir = tempfile::tempdir().unwrap();
        let (mut acked, mut total) = (Acked::default(), 0);
        for round in 0..rounds("HOLDPOINT_KILLS", 10) {
            // Every fifth round tries to hit the opening itself.
            let delay = if round % 5 == 4 { random(60) } else { 200 + random(900) };
            let writer = Writer::start(dir.path(), engine);
            thread::sleep(Duration::from_millis(delay));
            let numbers = writer.kill();
            total += numbers.len();
            acked.add(&numbers);
            eprintln!("{engine}: round {round}, killed after {delay} ms, {} acked", numbers.len());
            acked.check(dir.path(), engine);
        }
        assert!(total > 0, "nothing was ever acknowledged: the test has tested nothing");
        eprintln!("{engine}: {total} acknowledged reports, none lost");
    }
}

/// Whether this process may mount. A refusal in spite of that is a failure, not a reason to skip.
fn may_mount() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let may = u64::from_str_radix(effective.trim(), 16).unwrap() & CAP_SYS_ADMIN != 0;
    if !may {
        eprintln!("skipped: mounting a file system needs root (CAP_SYS_ADMIN)");
    }
    may
}

#[expect(clippy::disallowed_methods, reason = "file systems are made and mounted by the system's own tools")]
fn run(program: &str, args: &[&str]) {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Unmounts when the test is over, however it ends.
struct Mount {
    at: PathBuf,
}

impl Mount {
    fn loop_file(image: &Path, at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        run("mount", &["-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()]);
        Self { at: at.to_owned() }
    }

    fn memory(size: &str, at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", at.to_str().unwrap()]);
        Self { at: at.to_owned() }
    }
}

impl Drop for Mount {
    #[expect(clippy::disallowed_methods, reason = "unmounting has no call in the standard library")]
    fn drop(&mut self) {
        // Lazily, because a failing test may still have files open; nothing else can be done here.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// What has reached the device, as one moment: copied until two readings agree, because the
/// kernel goes on writing although the writer is frozen.
fn snapshot(image: &Path, to: &Path) {
    for _ in 0..20 {
        run("cp", &["--sparse=always", image.to_str().unwrap(), to.to_str().unwrap()]);
        if equal(image, to) {
            return;
        }
    }
    panic!("the device never came to rest");
}

fn equal(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (File::open(one).unwrap(), File::open(other).unwrap());
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = one.read(&mut a).unwrap();
        if read == 0 {
            return true;
        }
        other.read_exact(&mut b[..read]).unwrap();
        if a[..read] != b[..read] {
            return false;
        }
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    if !may_mount() {
        return;
    }
    for &engine in Engine::BUILT {
        let mut total = 0;
        for round in 0..rounds("HOLDPOINT_POWER_CUTS", 3) {
            let work = tempfile::tempdir().unwrap();
            let (image, cut) = (work.path().join("disk.img"), work.path().join("cut.img"));
            File::create(&image).unwrap().set_len(384 * MIB).unwrap();
            run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]);
            let delay = 300 + random(5_700);

            let disk = Mount::loop_file(&image, &work.path().join("disk"));
            let writer = Writer::start(&disk.at.join("store"), engine);
            thread::sleep(Duration::from_millis(delay));
            writer.freeze();
            snapshot(&image, &cut);
            let numbers = writer.kill();
            drop(disk);

            total += numbers.len();
            eprintln!("{engine}: round {round}, power cut after {delay} ms, {} acked", numbers.len());
            let mut acked = Acked::default();
            acked.add(&numbers);
            let survivor = Mount::loop_file(&cut, &work.path().join("survivor"));
            acked.check(&survivor.at.join("store"), engine);
        }
        assert!(total > 0, "nothing was ever acknowledged: the test has tested nothing");
        eprintln!("{engine}: {total} acknowledged reports, none lost");
    }
}

/// Reports whose rows cannot be compressed, about 30 KB each, and what was acknowledged of them.
#[derive(Default)]
struct Bulk {
    acked: Vec<Rows>,
}

impl Bulk {
    fn next() -> Rows {
        let mut noise = vec![0; 30_000];
        File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
        let mut rows: Rows = noise.chunks(1000).map(<[u8]>::to_vec).collect();
        rows.sort();
        rows
    }

    fn commit(&mut self, store: &Store) -> Result<(), StoreError> {
        let (kind, rows) = (SectionKind::Hardening, Self::next());
        let n = u64::try_from(self.acked.len()).unwrap();
        let asset = asset_with(&format!("bulky-{n}"), n, kind, &rows);
        let txn = Txn::report().put_section(new_section(kind, &rows, None)).put_asset(asset);
        store.commit_blocking(txn).map(|_| self.acked.push(rows))
    }

    fn fill(&mut self, store: &Store) {
        loop {
            match self.commit(store) {
                Ok(()) => {}
                Err(StoreError::Full) => return,
                Err(error) => panic!("a full disk is told as one, not as {error:?}"),
            }
            assert!(self.acked.len() < 10_000, "the disk never became full");
        }
    }

    fn check(&self, store: &Store) {
        assert!(!self.acked.is_empty());
        for (n, rows) in self.acked.iter().enumerate() {
            let asset = patiently(|| store.asset(&format!("bulky-{n}")));
            let asset = asset.unwrap_or_else(|| panic!("bulky-{n} is lost"));
            assert_eq!(patiently(|| store.section(shown(&asset))).as_deref(), Some(rows));
        }
    }
}

/// Takes all the space that is left.
fn take_the_rest(path: &Path) {
    let mut file = File::create(path).unwrap();
    for piece in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
}

/// Reads; an engine that met the full disk in the background is opened again meanwhile.
fn patiently<T>(mut read: impl FnMut() -> Result<T, StoreError>) -> T {
    let mut answer = None;
    eventually("the store answers", || match read() {
        Ok(found) => {
            answer = Some(found);
            true
        }
        Err(StoreError::Unavailable { .. }) => false,
        Err(error) => panic!("{error:?}"),
    });
    answer.unwrap()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < limit, "never happened: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_disk_that_others_fill_refuses_reports_and_recovers() {
    if !may_mount() {
        return;
    }
    for &engine in Engine::BUILT {
        let work = tempfile::tempdir().unwrap();
        let disk = Mount::memory("60m", &work.path().join("disk"));
        let (dir, ballast) = (disk.at.join("store"), disk.at.join("store/store.ballast"));
        let (early, late) = (disk.at.join("early"), disk.at.join("late"));
        let config = StoreConfig {
            engine,
            low_free_bytes: 12 * MIB,
            admin_free_bytes: 4 * MIB,
            ballast_bytes: 8 * MIB,
            ..StoreConfig::default()
        };
        let mut bulk = Bulk::default();
        fs::write(&early, vec![1; 16 << 20]).unwrap();
        let (store, _) = Store::open(&dir, &config).unwrap();
        assert!(ballast.exists());
        bulk.fill(&store);
        store.commit_blocking(Txn::admin().put_setting("operator", vec![1])).unwrap();

        take_the_rest(&late);
        assert!(matches!(bulk.commit(&store), Err(StoreError::Full)));
        let admin = Txn::admin().put_setting("operator", vec![2]);
        assert!(matches!(store.commit_blocking(admin), Err(StoreError::Full)));
        bulk.check(&store);
        // The engine's last own write may not fit any more; what was acknowledged is on disk.
        assert!(matches!(store.close_blocking(), Ok(()) | Err(StoreError::Full)));

        // It opens while the disk is still full, as often as it is asked to.
        for _ in 0..3 {
            let (store, opened) = Store::open(&dir, &config).unwrap();
            assert_eq!(opened.lost_data, None);
            bulk.check(&store);
            assert!(matches!(bulk.commit(&store), Err(StoreError::Full)));
        }

        let (store, _) = Store::open(&dir, &config).unwrap();
        fs::remove_file(&late).unwrap();
        fs::remove_file(&early).unwrap();
        eventually("reports go on when there is space", || bulk.commit(&store).is_ok());
        eventually("the ballast returns when there is space", || ballast.exists());
        bulk.check(&store);
        assert_eq!(store.verify_blocking().unwrap(), []);
        eprintln!("{engine}: {} acknowledged on a disk that others filled, none lost", bulk.acked.len());
    }
}

#[test]
fn an_engine_that_meets_the_full_disk_itself_goes_on_when_there_is_space() {
    if !may_mount() {
        return;
    }
    for &engine in Engine::BUILT {
        let work = tempfile::tempdir().unwrap();
        let disk = Mount::memory("60m", &work.path().join("disk"));
        let dir = disk.at.join("store");
        let [first, second, rest] = ["first", "second", "rest"].map(|it| disk.at.join(it));
        fs::write(&first, vec![1; 12 << 20]).unwrap();
        fs::write(&second, vec![1; 12 << 20]).unwrap();
        // No mark and no ballast: nothing keeps the engine from the wall.
        let mut bulk = Bulk::default();
        let (store, _) = Store::open(&dir, &config(engine)).unwrap();
        bulk.fill(&store);
        // At the wall and without a ballast to give up, sled may refuse to read as well.
        fs::remove_file(&first).unwrap();
        eventually("the same process goes on when there is space", || bulk.commit(&store).is_ok());
        bulk.fill(&store);
        drop(store);

        take_the_rest(&rest);
        // redb opens on a full disk, sled may not. Either way the attempt damages nothing.
        for _ in 0..3 {
            match Store::open(&dir, &config(engine)) {
                Ok((store, opened)) => {
                    assert_eq!(opened.lost_data, None);
                    bulk.check(&store);
                }
                Err(StoreError::Full) => assert_eq!(engine, Engine::Sled),
                Err(error) => panic!("{engine}: {error:?}"),
            }
        }
        fs::remove_file(&rest).unwrap();
        fs::remove_file(&second).unwrap();

        let (store, opened) = Store::open(&dir, &config(engine)).unwrap();
        assert_eq!(opened.lost_data, None);
        bulk.check(&store);
        bulk.commit(&store).unwrap();
        assert_eq!(store.verify_blocking().unwrap(), []);
        eprintln!("{engine}: {} acknowledged up to the wall, none lost", bulk.acked.len());
    }
}
