//! Both programs on a line, with their directories, and what lies in the trays.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use holdpoint_collector::carrier::diode::{Keys, Slot};
use holdpoint_collector::carrier::tray::{Emptier, Filler, Limits};
use holdpoint_tests::diode::peak_kib;
use holdpoint_tests::mutation::Numbers;
use holdpoint_tests::program::{Running, succeed, text, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::line::{FROM, TO, Wire};

const COLLECTOR: &str = "holdpoint-collector";
const KEY: &str = "link-1.key";
/// Longest that nothing more arrives while something is still missing.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a receiver may take at most, KiB.
pub(super) const MOST_KIB: u64 = 256 * 1024;

/// A line with a directory for each end, and what was given to it.
pub(super) struct Diode {
    /// The line, or what of it comes to the receiving end when somebody has cut it.
    pub(super) wire: Wire,
    /// What the sending end sends to when somebody has cut it.
    pub(super) front: Option<Wire>,
    dir: tempfile::TempDir,
    numbers: Numbers,
    pub(super) sent: BTreeSet<Vec<u8>>,
}

impl Diode {
    /// As a person sets it up; `profile` changes both ends.
    pub(super) fn set_up(profile: &[(&str, i64)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let diode = Self {
            wire: Wire::set_up(),
            front: None,
            dir,
            numbers: Numbers::from_seed(1),
            sent: BTreeSet::new(),
        };
        let (sender, receiver) = (diode.sender(), diode.receiver());
        succeed(COLLECTOR, &["diode", "init", "--data", text(&sender), "--new-key"]);
        succeed(COLLECTOR, &["diode", "init", "--data", text(&receiver)]);
        fs::copy(sender.join(KEY), receiver.join(KEY)).unwrap();
        for end in [&sender, &receiver] {
            let file = end.join("diode.toml");
            let mut settings: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
            settings.insert("from".into(), FROM.into());
            settings.insert("to".into(), TO.into());
            let table = settings["profile"].as_table_mut().unwrap();
            table.extend(profile.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
            fs::write(&file, settings.to_string()).unwrap();
        }
        diode
    }

    pub(super) fn sender(&self) -> PathBuf {
        self.dir.path().join("sender")
    }

    pub(super) fn receiver(&self) -> PathBuf {
        self.dir.path().join("receiver")
    }

    /// What only the two ends have.
    pub(super) fn keys(&self) -> Keys {
        Keys::read(&[Slot { id: 1, file: self.sender().join(KEY) }]).unwrap()
    }

    /// Gives both ends another key under the same number.
    pub(super) fn change_key(&mut self) {
        let digits: String =
            (0..64).map(|_| char::from(b"0123456789abcdef"[self.numbers.index(16)])).collect();
        for end in [self.sender(), self.receiver()] {
            fs::write(end.join(KEY), &digits).unwrap();
        }
    }

    /// A verb of the sending end.
    pub(super) fn sending(&self, verb: &[&str]) -> Command {
        with(self.front.as_ref().unwrap_or(&self.wire).sender.collector(), verb, &self.sender())
    }

    /// A verb of the receiving end.
    pub(super) fn receiving(&self, verb: &[&str]) -> Command {
        with(self.wire.receiver.collector(), verb, &self.receiver())
    }

    pub(super) fn start_sending(&self) -> Running {
        Running::tool(&mut self.sending(&["send"])).unwrap()
    }

    /// The receiving end, when it receives.
    pub(super) fn start_receiving(&self) -> Running {
        self.when_it_receives(self.receiving(&["receive"]))
    }

    /// Starts what becomes a receiving end and waits until it is one.
    pub(super) fn when_it_receives(&self, mut command: Command) -> Running {
        let status = self.status_file();
        // That of an earlier one.
        drop(fs::remove_file(&status));
        let mut receiver = Running::tool(&mut command).unwrap();
        wait("the receiving end receives", || {
            assert_eq!(receiver.ended(), None, "it ended by itself");
            status.exists()
        });
        receiver
    }

    fn status_file(&self) -> PathBuf {
        self.receiver().join("status.json")
    }

    /// What the receiving end says of itself, as soon as it says so of what has been.
    pub(super) fn next_status(&self) -> Value {
        let file = self.status_file();
        fs::remove_file(&file).unwrap();
        wait("the status is written again", || file.exists());
        serde_json::from_slice(&fs::read(&file).unwrap()).unwrap()
    }

    /// Lays objects into the sender's tray.
    pub(super) fn fill(&mut self, count: usize, mut bytes: impl FnMut(usize) -> usize) {
        let mut filler = Filler::open(&self.sender().join("tray"), Limits::default()).unwrap();
        for number in 0..count {
            let mut object = vec![0; bytes(number)];
            self.numbers.fill(&mut object);
            filler.put(&object).unwrap();
            self.sent.insert(object);
        }
    }

    /// Whether every pass of everything is gone.
    pub(super) fn is_sent(&self) -> bool {
        Emptier::new(&self.sender().join("tray")).places().unwrap().is_empty()
    }

    /// How many objects lie in the receiver's tray.
    pub(super) fn arrived(&self) -> usize {
        self.outlet().places().unwrap().len()
    }

    fn outlet(&self) -> Emptier {
        Emptier::new(&self.receiver().join("tray"))
    }

    /// Takes what lies in the receiver's tray.
    pub(super) fn take(&self) -> BTreeSet<Vec<u8>> {
        let outlet = self.outlet();
        let places = outlet.places().unwrap();
        let taken = places.iter().map(|it| outlet.read(it).unwrap().unwrap()).collect();
        for place in &places {
            outlet.remove(place).unwrap();
        }
        taken
    }

    /// Waits for all that was sent, and takes it.
    pub(super) fn all_arrives(&self) {
        self.arrive(self.sent.len());
        let taken = self.take();
        assert!(taken.is_subset(&self.sent), "an object is there that nobody sent");
        let holes = self.sent.difference(&taken).count();
        assert_eq!(holes, 0, "holes of {}", self.sent.len());
    }

    /// Waits until so many objects lie in the receiver's tray, or no more come.
    pub(super) fn arrive(&self, count: usize) {
        let (mut there, mut since) = (0, Instant::now());
        while there < count && since.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
            let now = self.arrived();
            if now != there {
                (there, since) = (now, Instant::now());
            }
        }
    }
}

fn with(mut command: Command, verb: &[&str], data: &Path) -> Command {
    command.args(["--log", "warn", "diode"]).args(verb).args(["--data", text(data)]);
    command
}

/// Sends a signal.
pub(super) fn signal(process: &Running, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap(), signal).unwrap();
}

/// The process is alive and small.
pub(super) fn is_well(receiver: &mut Running) {
    assert_eq!(receiver.ended(), None, "the receiving end ended by itself");
    let peak = peak_kib(&receiver.pid().to_string());
    println!("peak memory {} MiB", peak / 1_024);
    assert!(peak > 0 && peak < MOST_KIB, "{peak} KiB");
}
