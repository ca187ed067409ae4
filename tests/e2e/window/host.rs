//! A host of the plant: a disk, a boot, a station's program that uses the library in question, and an agent.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use holdpoint_tests::program::{Running, tool, wait};

use super::plant;
use super::root::Root;

/// Where an agent keeps its state.
const STATE: &str = "/var/lib/holdpoint-agent";
const AGENT: &str = "agent";
const STATION: &str = "station";

/// What every host has on its disk.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// The root.
    pub(super) root: Root,
    /// Programs that lie over it.
    pub(super) programs: PathBuf,
}

impl Image {
    /// Puts the agent's program beside a root, and the kernel that runs: a host that has none cannot say
    /// whether it waits for a restart.
    pub(super) fn new(root: Root, programs: PathBuf, agent: &Path) -> Self {
        let bin = programs.join("usr/local/bin");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let modules = programs.join("usr/lib/modules").join(kernel.trim());
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(&modules).unwrap();
        fs::copy(agent, bin.join("holdpoint-agent")).unwrap();
        fs::write(modules.join("modules.dep"), "").unwrap();
        Self { root, programs }
    }
}

/// A host, on or off.
#[derive(Debug)]
pub(super) struct Host {
    /// Its name in the network.
    pub(super) name: String,
    number: u8,
    dir: PathBuf,
    image: Image,
    power: Option<(Running, u32)>,
    services: BTreeMap<&'static str, Running>,
}

impl Host {
    /// A host with a disk and an identity of its own, switched off. `number` counts from 1.
    pub(super) fn new(number: u8, image: &Image, hosts: &Path) -> Self {
        let name = format!("hmi-{number}");
        let dir = hosts.join(&name);
        for part in ["disk/etc", "work", "root"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        fs::write(dir.join("disk/etc/hostname"), format!("{name}\n")).unwrap();
        fs::write(dir.join("disk/etc/machine-id"), random_id().replace('-', "")).unwrap();
        Self { name, number, dir, image: image.clone(), power: None, services: BTreeMap::new() }
    }

    /// Boots, under a boot id that was never there.
    pub(super) fn switch_on(&mut self) {
        fs::write(self.dir.join("boot_id"), random_id()).unwrap();
        let on = self.dir.join("on");
        drop(fs::remove_file(&on));
        let mut command = tool("unshare");
        command.args(["--mount", "--pid", "--net", "--uts", "--fork", "--kill-child", "sh"]);
        command.arg(super::script("host.sh")).arg(&self.name).arg(&self.dir);
        command.args([&self.image.programs, &self.image.root.dir]);
        let mut power = Running::tool(&mut command).unwrap();
        let mut pid = None;
        wait("the host is on", || {
            assert_eq!(power.ended(), None, "{} does not start", self.name);
            pid = fs::read_to_string(&on).ok().and_then(|it| it.trim().parse().ok());
            pid.is_some()
        });
        let pid = pid.unwrap();
        self.power = Some((power, pid));
        plant::connect(&self.name, pid, self.number);
    }

    /// Takes the power away: no program ends in order.
    pub(super) fn switch_off(&mut self) {
        self.power = None;
        self.services.clear();
    }

    /// Boots again, with everything that starts by itself.
    pub(super) fn restart(&mut self) {
        self.switch_off();
        self.switch_on();
        self.start_station();
        self.start_agent();
    }

    /// Takes what the security suite has, from the disk: hosts have no way to a mirror.
    pub(super) fn upgrade(&self) {
        let package = &self.image.root.package;
        self.apt(&["install", "--only-upgrade", package]);
    }

    /// Installs what nobody planned.
    pub(super) fn install(&self, package: &str) {
        self.apt(&["install", package]);
    }

    fn apt(&self, arguments: &[&str]) {
        self.run(
            &[&["apt-get", "--quiet", "--yes", "--no-download", "--option", "Dpkg::Use-Pty=0"], arguments]
                .concat(),
        );
    }

    /// Starts what runs on a station all the time and uses the library.
    pub(super) fn start_station(&mut self) {
        let library = format!("LD_PRELOAD={}", self.image.root.library);
        self.start(STATION, &[&library, "sleep", "infinity"]);
    }

    /// Starts it again: the library of today is used.
    pub(super) fn restart_station(&mut self) {
        self.stop(STATION);
        self.start_station();
    }

    /// Gives the host an identity in the zone.
    pub(super) fn enrol(&self, port: u16, token: &str) {
        let collector = format!("{}:{port}", plant::COLLECTOR);
        let enroll =
            ["holdpoint-agent", "enroll", "--collector", &collector, "--token", token, "--state", STATE];
        wait("a busy collector takes the host in", || {
            let output = self.enter().args(enroll).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let is_asked_to_come_again = said.contains("no room at the moment");
            assert!(output.status.success() || is_asked_to_come_again, "{}: {said}", self.name);
            output.status.success()
        });
        // The hosts of a real line do not call at the same moment.
        let settings = self.state().join("agent.toml");
        let said = fs::read_to_string(&settings).unwrap();
        fs::write(settings, format!("first_contact_spread = \"0s\"\n{said}")).unwrap();
    }

    /// Starts the agent.
    pub(super) fn start_agent(&mut self) {
        self.start(AGENT, &["holdpoint-agent", "run", "--state", STATE]);
    }

    /// Stops the agent.
    pub(super) fn stop_agent(&mut self) {
        self.stop(AGENT);
    }

    /// Puts a file there that keeps the agent from looking, or takes it away.
    pub(super) fn forbid_looking(&self, forbid: bool) {
        let kill = format!("{STATE}/kill");
        if forbid {
            self.run(&["touch", &kill])
        } else {
            self.run(&["rm", &kill])
        };
    }

    /// The agent's state, as it is on the disk.
    pub(super) fn state(&self) -> PathBuf {
        self.dir.join("disk").join(STATE.trim_start_matches('/'))
    }

    /// The boot id of the present boot.
    pub(super) fn boot_id(&self) -> String {
        fs::read_to_string(self.dir.join("boot_id")).unwrap().trim().to_owned()
    }

    /// What its agent said.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(self.dir.join(AGENT)).unwrap_or_default()
    }

    /// Runs a program there that must succeed; what it printed.
    pub(super) fn run(&self, command: &[&str]) -> String {
        let output = self.enter().args(command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {command:?}: {}\n{said}{wrong}", self.name, output.status);
        said
    }

    fn start(&mut self, name: &'static str, command: &[&str]) {
        let said = File::options().create(true).append(true).open(self.dir.join(name)).unwrap();
        let mut starts = self.enter();
        // Who starts it is outside: what has to be ended is the process inside.
        starts.args(["sh", "-c", "echo $$ >/run/$0; exec env \"$@\"", name]).args(command);
        let running = Running::tool(starts.stdout(said.try_clone().unwrap()).stderr(said)).unwrap();
        self.services.insert(name, running);
        let started = PathBuf::from(format!("/proc/{}/root/run/{name}", self.pid()));
        wait("the service starts", || fs::read_to_string(&started).is_ok_and(|it| it.ends_with('\n')));
    }

    fn stop(&mut self, name: &'static str) {
        self.run(&["sh", "-c", "kill -KILL \"$(cat /run/$0)\" && rm /run/$0", name]);
        let mut running = self.services.remove(name).unwrap();
        wait("the service ends", || running.ended().is_some());
    }

    fn pid(&self) -> u32 {
        self.power.as_ref().map(|it| it.1).unwrap()
    }

    /// A command inside, where its arguments follow.
    fn enter(&self) -> Command {
        let mut command = tool("nsenter");
        command.args(["--target", &self.pid().to_string()]);
        command.args(["--mount", "--pid", "--net", "--uts", "--root", "--wd"]);
        command.args(["/usr/bin/env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        command.arg("DEBIAN_FRONTEND=noninteractive");
        command
    }
}

/// Random numbers in the form of a boot id.
fn random_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap()
}
