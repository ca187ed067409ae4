//! The parsers of foreign input, as functions over bytes that must never panic and always end.
//!
//! What arrives from a peer, a host's files or a carried-in file is read by one of these. Where a
//! parser promises more than an end (a text that reads back, a comparison that mirrors), the
//! target asserts it. Replayed by `e2e/corpus.rs`, driven for longer by `fuzz`; the corpus is
//! `fuzz/corpus/TARGET`. Nothing here knows how inputs are made.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Cursor};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use holdpoint_agent::host::{Agent, Host};
use holdpoint_agent::scan::firmware::fwupd::devices;
use holdpoint_agent::scan::linux::hardening::nftables::Ruleset;
use holdpoint_agent::scan::windows::hardening::descriptor::{Descriptor, FILE_WRITE, Sid};
use holdpoint_agent::scan::windows::version_resource;
use holdpoint_agent::scan::{Budget, Probe, probes, take_of};
use holdpoint_cli::archive::{self, MAX_MEMBER};
use holdpoint_collector::carrier::diode::datagram::{self, HEADER};
use holdpoint_collector::carrier::diode::{Assembler, Cause, Keys, Limits, ObjectId, Taken};
use holdpoint_collector::change::plan as plans;
use holdpoint_collector::evidence::certificates::Certificates;
use holdpoint_collector::evidence::manifest::Manifest;
use holdpoint_collector::evidence::{self, Excerpt, Pins, container};
use holdpoint_collector::hardening as rules;
use holdpoint_collector::knowledge::lint::lint;
use holdpoint_collector::knowledge::{self, Content, Knowledge, Requirement, Wanted, map_file};
use holdpoint_collector::triage::control;
use holdpoint_collector::triage::vector::Vector;
use holdpoint_common::bundle::resend::Code;
use holdpoint_common::bundle::{
    self as bundles, Algorithm, Body, Keyring, Kind, Line, Outcome, SigningKey, State, Stream, Trusted,
};
use holdpoint_common::identity::{Identity, Name, ZoneName};
use holdpoint_common::one_shot::{self, OneShot};
use holdpoint_common::pack::{self as packs, Pack};
use holdpoint_common::proto::v1::report_part::Part;
use holdpoint_common::proto::v1::{Delta, JournalEntry, ReportPart, SectionBody, SectionKind, SectionPart};
use holdpoint_common::row::{MAX_ROW, SoftwareRow, to_json};
use holdpoint_common::section::{Digest, MAX_REASON, MAX_REASONS, MAX_ROWS, Rows, unpack_delta};
use holdpoint_common::tls::{Anchor, Leaf, Purpose};
use holdpoint_common::token::{Token, TokenSecret};
use holdpoint_common::version::range::{Range, among_siblings};
use holdpoint_common::version::{Comparison, Scheme, range_line, vercmp_line};
use prost::Message;
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

/// A function that must return, whatever the bytes are.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("dpkg", dpkg),
    ("apk", apk),
    ("pacman", pacman),
    ("snap", snap),
    ("flatpak", flatpak),
    ("product", product),
    ("elf", elf),
    ("version_resource", version_resource),
    ("update_history", update_history),
    ("unit", unit),
    ("sockets", sockets),
    ("maps", maps),
    ("smbios", smbios),
    ("efivars", efivars),
    ("vpd", vpd),
    ("dbus", dbus),
    ("nftables", nftables),
    ("facts_d", facts_d),
    ("descriptor", descriptor),
    ("mountinfo", mountinfo),
    ("modprobe", modprobe),
    ("sshd", sshd),
    ("sudoers", sudoers),
    ("pam", pam),
    ("aptconf", aptconf),
    ("rpm_sqlite", rpm_sqlite),
    ("rpm_ndb", rpm_ndb),
    ("rpm_bdb", rpm_bdb),
    ("rpm_header", rpm_header),
    ("reg", reg),
    ("hive", hive),
    ("section", section),
    ("delta", delta),
    ("report", report),
    ("one_shot", one_shot),
    ("token", token),
    ("identity", identity),
    ("certificate", certificate),
    ("version", version),
    ("range", range),
    ("csaf", csaf),
    ("osv", osv),
    ("microsoft", microsoft),
    ("kev", kev),
    ("epss", epss),
    ("archive", archive),
    ("requirements", requirements),
    ("identity_rules", identity_rules),
    ("hardening", hardening),
    ("placement", placement),
    ("mapping", mapping),
    ("statements", statements),
    ("vpc", vpc),
    ("vector", vector),
    ("control", controls),
    ("evidence_pack", evidence_pack),
    ("plan", plan),
    ("bundle", bundle),
    ("pack", pack),
    ("diode_datagram", diode_datagram),
    ("diode_assembly", diode_assembly),
    ("medium", medium),
];

/// zstd level at which targets pack plain bytes: the cheapest.
const LEVEL: i32 = 1;
/// The version that a range is asked for when the input names none.
const SOME_VERSION: &str = "2.4.0";

/// The seeds of a target, each with its file name, in the order of names.
///
/// # Errors
/// The target has no corpus, or it cannot be read.
pub fn corpus(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths =
        fs::read_dir(dir)?.map(|it| it.map(|it| it.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, fs::read(&path)?))
        })
        .collect()
}

fn dpkg(bytes: &[u8]) {
    let places = ["var/lib/dpkg/status", "var/lib/dpkg/status.d/part", "var/lib/dpkg/updates/0000"];
    scan_files(&places, bytes, SectionKind::Software);
}

fn apk(bytes: &[u8]) {
    scan_files(&["lib/apk/db/installed"], bytes, SectionKind::Software);
}

fn pacman(bytes: &[u8]) {
    scan_files(&["var/lib/pacman/local/seen-1-1/desc"], bytes, SectionKind::Software);
}

fn snap(bytes: &[u8]) {
    link("snap/seen/current", "1");
    scan_files(
        &["var/lib/snapd/snaps/seen_1.snap", "snap/seen/1/meta/snap.yaml"],
        bytes,
        SectionKind::Software,
    );
}

fn flatpak(bytes: &[u8]) {
    const COMMIT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let place = "var/lib/flatpak/app/org.example.Seen/x86_64/stable";
    link(&format!("{place}/active"), COMMIT);
    scan_files(&[&format!("{place}/{COMMIT}/deploy")], bytes, SectionKind::Software);
}

/// What products say of themselves, in each form.
fn product(bytes: &[u8]) {
    let places = [
        "opt/a/release",
        "opt/b/package.json",
        "opt/c/application.ini",
        "opt/d/VERSION",
        "usr/local/lib/pkgconfig/seen.pc",
        "usr/local/lib/python3/dist-packages/seen.dist-info/METADATA",
    ];
    scan_files(&places, bytes, SectionKind::Software);
}

/// A library, because it needs no permission to count as a program.
fn elf(bytes: &[u8]) {
    scan_files(&["usr/local/lib/libseen.so"], bytes, SectionKind::Software);
}

/// The program as a whole, and the resource alone in a sound one.
fn version_resource(bytes: &[u8]) {
    for file in [bytes, &program_with(bytes)] {
        let Ok(found) = version_resource::read(file) else { panic!("bytes cannot fail to be read") };
        let texts = found.into_iter().flat_map(|it| [it.company, it.product, it.description]);
        assert!(texts.flatten().all(|it| !it.is_empty() && !it.contains('\n')), "a text is one line");
    }
}

/// A program of one section, which holds this resource.
fn program_with(resource: &[u8]) -> Vec<u8> {
    const ADDRESS: u32 = 0x1000;
    const OFFSET: usize = 0x200;
    let words = |words: &[u32]| words.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = vec![0; OFFSET];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &words(&[0x40]));
    // One section, 240 bytes of optional header, 16 directories, the third of resources.
    put(0x40, b"PE\0\0\x64\x86\x01\0");
    put(0x54, &[240, 0, 0, 0, 0x0b, 2]);
    put(0x58 + 108, &words(&[16]));
    put(0x58 + 128, &words(&[ADDRESS]));
    put(0x148 + 12, &words(&[ADDRESS, u32::MAX >> 1, 0x200]));
    let directory = |id: u32, to: u32| words(&[0, 0, 0, 1 << 16, id, to]);
    let length = u32::try_from(resource.len()).unwrap_or(0);
    file.extend(directory(16, (1 << 31) + 24));
    file.extend(directory(1, (1 << 31) + 48));
    file.extend(directory(0x409, 72));
    file.extend(words(&[ADDRESS + 88, length, 0, 0]));
    file.extend(resource);
    file
}

/// The log of the update agent, beside the registry of a Windows.
fn update_history(bytes: &[u8]) {
    const REGISTRY: &str = "registry.reg";
    const LOG: &str = "Windows/SoftwareDistribution/ReportingEvents.log";
    ROOT.with(|root| {
        let root = root.path().join("windows");
        let files: [(&str, &[u8]); 2] = [(REGISTRY, b"Windows Registry Editor Version 5.00\n"), (LOG, bytes)];
        for (path, bytes) in files {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap_or(&root)).expect("a directory");
            fs::write(&file, bytes).expect("a file");
        }
        scan(&root, SectionKind::Updates, &readers(&[LOG], SectionKind::Updates));
    });
}

fn unit(bytes: &[u8]) {
    scan_files(&["usr/lib/systemd/system/seen.service"], bytes, SectionKind::Services);
}

fn sockets(bytes: &[u8]) {
    scan_files(&["proc/net/tcp6", "proc/net/udp"], bytes, SectionKind::Listeners);
}

/// All that is read of a process and of the packages behind it; the process runs a program that is gone.
fn maps(bytes: &[u8]) {
    #[cfg(unix)]
    ROOT.with(|root| {
        let process = root.path().join("proc/7");
        if !process.exists() {
            fs::create_dir_all(&process).expect("a directory");
            symlink("/usr/sbin/daemon (deleted)", process.join("exe")).expect("a link");
        }
    });
    let paths = [
        "proc/stat",
        "proc/uptime",
        "proc/7/maps",
        "proc/7/stat",
        "proc/7/cgroup",
        "proc/7/mountinfo",
        "proc/self/mountinfo",
        "var/lib/dpkg/info/daemon.list",
        "var/lib/dpkg/diversions",
    ];
    scan_files(&paths, bytes, SectionKind::Live);
}

/// Bytes of an entry point that stand before the tables in an input; version 2 has one less.
const ENTRY_POINT: usize = 32;

/// Takes the first bytes as the entry point and the rest as the tables.
fn smbios(bytes: &[u8]) {
    let (entry, tables) = bytes.split_at(bytes.len().min(ENTRY_POINT));
    let dir = "sys/firmware/dmi/tables";
    put(&[&format!("{dir}/smbios_entry_point")], entry);
    scan_files(&[&format!("{dir}/DMI")], tables, SectionKind::Firmware);
}

fn efivars(bytes: &[u8]) {
    let dir = "sys/firmware/efi/efivars";
    let variables = [
        format!("{dir}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"),
        format!("{dir}/db-d719b2cb-3d3a-4596-a3bc-dad00e67656f"),
        format!("{dir}/dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f"),
    ];
    scan_files(&variables.each_ref().map(String::as_str), bytes, SectionKind::Firmware);
}

fn vpd(bytes: &[u8]) {
    let pages = ["sys/block/sda/device/vpd_pg89", "sys/block/sda/device/vpd_pg80"];
    scan_files(&pages, bytes, SectionKind::Firmware);
}

fn dbus(bytes: &[u8]) {
    if let Ok((rows, _)) = devices(bytes) {
        for row in Rows::encode(&rows).as_slice() {
            assert!(row.len() <= MAX_ROW, "a row over its limit");
        }
    }
}

/// Takes the bytes as an answer of the kernel, and everything that is said about it.
fn nftables(bytes: &[u8]) {
    let read = || {
        let mut ruleset = Ruleset::default();
        ruleset.add(bytes);
        ruleset
    };
    let ruleset = read();
    let lines =
        [ruleset.tables(), ruleset.base_chains(), ruleset.other_chains(), ruleset.sets(), ruleset.rules()];
    assert!(lines.iter().flatten().all(|it| !it.contains('\n')), "a fact is one line");
    assert_eq!(ruleset.digest(), read().digest(), "a digest moves by itself");
}

fn facts_d(bytes: &[u8]) {
    scan_files(&["etc/holdpoint-agent/facts.d/site.toml"], bytes, SectionKind::Hardening);
}

/// Whatever is said of a descriptor is said of everybody in it.
fn descriptor(bytes: &[u8]) {
    let Ok(found) = Descriptor::parse(bytes) else { return };
    let named = found.entries.iter().flatten().map(|it| it.sid.as_str());
    assert!(found.owner.iter().map(Sid::as_str).chain(named).all(|it| it.starts_with("S-1-")));
    for sid in found.who_gets(FILE_WRITE) {
        assert!(found.rights_of(|it| it == sid) & FILE_WRITE != 0, "{sid} gets nothing");
    }
    let _ = found.open_to(FILE_WRITE);
}

fn mountinfo(bytes: &[u8]) {
    scan_files(&["proc/1/mountinfo", "etc/fstab"], bytes, SectionKind::Hardening);
}

fn modprobe(bytes: &[u8]) {
    scan_files(&["etc/modprobe.d/site.conf"], bytes, SectionKind::Hardening);
}

fn sshd(bytes: &[u8]) {
    // The program's version decides a default, and is found in the same damaged bytes.
    let paths = ["etc/ssh/sshd_config", "etc/ssh/sshd_config.d/x.conf", "usr/sbin/sshd"];
    scan_files(&paths, bytes, SectionKind::Hardening);
}

fn sudoers(bytes: &[u8]) {
    scan_files(&["etc/sudoers", "etc/sudoers.d/x", "usr/bin/sudo"], bytes, SectionKind::Hardening);
}

fn pam(bytes: &[u8]) {
    let paths = ["etc/pam.d/sshd", "etc/pam.d/passwd", "etc/security/pwquality.conf", "etc/login.defs"];
    scan_files(&paths, bytes, SectionKind::Hardening);
}

fn aptconf(bytes: &[u8]) {
    let paths =
        ["etc/apt/apt.conf", "etc/apt/sources.list", "etc/apt/sources.list.d/x.sources", "usr/bin/apt-get"];
    scan_files(&paths, bytes, SectionKind::Hardening);
}

/// A database, and behind the pages that it claims its write-ahead log. Damage to the log ends it at
/// the first wrong checksum, so that it is read once more with right ones.
fn rpm_sqlite(bytes: &[u8]) {
    let field = |at: usize, len: usize| {
        bytes.get(at..at + len).map_or(0, |it| it.iter().fold(0, |sum, it| sum << 8 | usize::from(*it)))
    };
    let end = field(28, 4).saturating_mul(field(16, 2)).min(bytes.len());
    let (main, log) = bytes.split_at(end);
    let mut sealed = log.to_vec();
    seal(&mut sealed);
    for log in [log, &sealed] {
        let files = [("var/lib/rpm/rpmdb.sqlite", main), ("var/lib/rpm/rpmdb.sqlite-wal", log)];
        scan_only("rpm_sqlite", &files);
    }
}

/// Writes the checksums and salts that SQLite would have written.
fn seal(log: &mut [u8]) {
    const HEADER: usize = 32;
    let Some((header, frames)) = log.split_at_mut_checked(HEADER) else { return };
    let word = |it: &[u8]| it.try_into().map_or(0, u32::from_be_bytes);
    let read = if header[3] & 1 == 1 { u32::from_be_bytes } else { u32::from_le_bytes };
    let add = |mut sums: (u32, u32), bytes: &[u8]| {
        for pair in bytes.chunks_exact(8) {
            let half = |at: usize| pair[at..at + 4].try_into().map_or(0, read);
            sums.0 = sums.0.wrapping_add(half(0)).wrapping_add(sums.1);
            sums.1 = sums.1.wrapping_add(half(4)).wrapping_add(sums.0);
        }
        sums
    };
    let page = usize::try_from(word(&header[8..12])).unwrap_or(0).clamp(512, 65_536);
    let mut sums = add((0, 0), &header[..24]);
    header[24..28].copy_from_slice(&sums.0.to_be_bytes());
    header[28..].copy_from_slice(&sums.1.to_be_bytes());
    for frame in frames.chunks_exact_mut(24 + page) {
        sums = add(add(sums, &frame[..8]), &frame[24..]);
        frame[8..16].copy_from_slice(&header[16..24]);
        frame[16..20].copy_from_slice(&sums.0.to_be_bytes());
        frame[20..24].copy_from_slice(&sums.1.to_be_bytes());
    }
}

/// Slots of a database of rpm's own format that a seed has, in bytes.
const SEED_SLOTS: usize = 128;
/// Slots that such a database has, in bytes.
const ALL_SLOTS: usize = 4096;

/// The first slots of a database, and what follows the last one; the empty ones between are added.
fn rpm_ndb(bytes: &[u8]) {
    let (slots, blobs) = bytes.split_at(SEED_SLOTS.min(bytes.len()));
    let empty = b"Slot\0\0\0\0\0\0\0\0\0\0\0\0".repeat((ALL_SLOTS - SEED_SLOTS) / 16);
    scan_only("rpm_ndb", &[("var/lib/rpm/Packages.db", &[slots, &empty, blobs].concat())]);
}

fn rpm_bdb(bytes: &[u8]) {
    scan_only("rpm_bdb", &[("var/lib/rpm/Packages", bytes)]);
}

/// A header in a sound database.
fn rpm_header(bytes: &[u8]) {
    let Ok(len) = u32::try_from(bytes.len()) else { return };
    let blocks = (16 + len + 12).div_ceil(16);
    let words = |words: &[u32]| words.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>();
    let mut file =
        [&b"RpmP"[..], &words(&[0, 1, 1, 2, 0, 0, 0]), b"Slot", &words(&[1, 256, blocks])].concat();
    while file.len() < ALL_SLOTS {
        file.extend_from_slice(b"Slot\0\0\0\0\0\0\0\0\0\0\0\0");
    }
    let mut blob = [&b"BlbS"[..], &words(&[1, 1, len]), bytes].concat();
    blob.resize(usize::try_from(blocks).unwrap_or(0) * 16 - 12, 0);
    let sum = blob.iter().fold((1_u32, 0_u32), |(plain, weighed), it| {
        let plain = (plain + u32::from(*it)) % 65_521;
        (plain, (weighed + plain) % 65_521)
    });
    file.extend(blob);
    file.extend(words(&[sum.1 << 16 | sum.0, len]));
    file.extend_from_slice(b"BlbE");
    scan_only("rpm_header", &[("usr/lib/sysimage/rpm/Packages.db", &file)]);
}

/// Scans the software of a host that has these files and no others.
fn scan_only(name: &str, files: &[(&str, &[u8])]) {
    ROOT.with(|root| {
        let root = root.path().join(name);
        write_files(&root, files);
        let rpm: Vec<&Probe> = probes().filter(|it| it.name == "linux/rpm").collect();
        scan(&root, SectionKind::Software, &rpm);
    });
}

/// An export of a registry.
fn reg(bytes: &[u8]) {
    registry("reg", &[("registry.reg", bytes)]);
}

/// The first block of a hive and its bins without what is empty behind them; from a log's first word on,
/// what stands in its log. Checksums and hashes are made right: damage would end at the first wrong one.
fn hive(bytes: &[u8]) {
    const BLOCK: usize = 512;
    const BIN: usize = 4096;
    let starts_log = |it: &[u8]| it == b"HvLE" || it == b"DIRT";
    let end = bytes.windows(4).position(starts_log).unwrap_or(bytes.len());
    let (hive, entries) = bytes.split_at(end);
    let (block, bins) = hive.split_at(BLOCK.min(end));
    let mut file = block.to_vec();
    file.resize(BIN, 0);
    file.extend_from_slice(bins);
    file.resize(file.len().next_multiple_of(BIN), 0);
    seal_block(&mut file);
    let mut log = file[..BLOCK].to_vec();
    log.copy_within(4..8, 8);
    log[28] = if entries.starts_with(b"HvLE") { 6 } else { 1 };
    seal_block(&mut log);
    log.extend_from_slice(entries);
    seal_entries(&mut log[BLOCK..]);
    let name = "Windows/System32/config/SOFTWARE";
    registry("hive", &[(name, &file), (&format!("{name}.LOG1"), &log)]);
}

/// Writes the checksum of a hive's first block.
fn seal_block(file: &mut [u8]) {
    let words = file[..508].chunks_exact(4).map(|it| it.try_into().map_or(0, u32::from_le_bytes));
    let sum = words.fold(0, |sum, word| sum ^ word).clamp(1, u32::MAX - 1);
    file[508..512].copy_from_slice(&sum.to_le_bytes());
}

/// Writes the two hashes of each entry of a hive's log.
fn seal_entries(mut log: &mut [u8]) {
    const HEAD: usize = 40;
    while log.starts_with(b"HvLE") && log.len() >= HEAD {
        let size = log[4..8].try_into().map_or(0, u32::from_le_bytes);
        let size = usize::try_from(size).unwrap_or(0).clamp(HEAD, log.len());
        let (entry, rest) = log.split_at_mut(size);
        let body = marvin(&entry[HEAD..]);
        entry[24..32].copy_from_slice(&body.to_le_bytes());
        let own = marvin(&entry[..32]);
        entry[32..HEAD].copy_from_slice(&own.to_le_bytes());
        log = rest;
    }
}

/// Marvin32 with the seed of Windows' logs, over whole words.
fn marvin(bytes: &[u8]) -> u64 {
    let (mut low, mut high) = (0x7A4E_55C5_u32, 0x82EF_4D88_u32);
    let words = bytes.chunks_exact(4).map(|it| it.try_into().map_or(0, u32::from_le_bytes));
    for word in words.chain([0x80, 0]) {
        low = low.wrapping_add(word);
        high ^= low;
        low = low.rotate_left(20).wrapping_add(high);
        high = high.rotate_left(9) ^ low;
        low = low.rotate_left(27).wrapping_add(high);
        high = high.rotate_left(19);
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Reads the registry of a host that has these files and no others, as far down as keys are asked for.
fn registry(name: &str, files: &[(&str, &[u8])]) {
    const MOST_KEYS: usize = 64;
    ROOT.with(|root| {
        let root = root.path().join(name);
        write_files(&root, files);
        let agent = Agent { version: "0.0.0".to_owned(), digest: None, config_digest: None };
        let registry = Host::captured(root, agent).registry.expect("the files of a registry");
        let mut keys = vec!["HKLM".to_owned(), "HKU".to_owned()];
        for _ in 0..MOST_KEYS {
            let Some(key) = keys.pop() else { break };
            drop((registry.written(&key), registry.gap(&key)));
            for value in registry.values(&key).unwrap_or_default() {
                drop((value.data.text_as_shown(), value.data.type_name()));
                assert!(registry.value(&key, &value.name).is_ok(), "a value is listed and not found");
            }
            let below = registry.keys(&key).unwrap_or_default();
            keys.extend(below.into_iter().take(MOST_KEYS).map(|it| format!("{key}\\{it}")));
        }
    });
}

thread_local! {
    /// The root of a host that each thread scans again and again, in memory where there is such a place.
    static ROOT: TempDir =
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory");
}

/// Scans a host of which these files are all that a section reads. The front door is slower than
/// the parser alone, and covers everything between the file and the section that is sent.
fn scan_files(paths: &[&str], bytes: &[u8], kind: SectionKind) {
    put(paths, bytes);
    let readers = readers(paths, kind);
    ROOT.with(|root| scan(root.path(), kind, &readers));
}

/// The probes that read any of these files; the others of the section would only take time.
fn readers(paths: &[&str], kind: SectionKind) -> Vec<&'static Probe> {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<String, Vec<&'static Probe>>> = const { RefCell::new(BTreeMap::new()) };
    }
    KNOWN.with_borrow_mut(|known| {
        let reads = |it: &&Probe| {
            let list = it.read_list();
            it.kind == kind && paths.iter().any(|path| list.may_read(Path::new(path)))
        };
        known.entry(paths.join(" ")).or_insert_with(|| probes().filter(reads).collect()).clone()
    })
}

fn put(paths: &[&str], bytes: &[u8]) {
    ROOT.with(|root| {
        for path in paths {
            let file = root.path().join(path);
            if fs::write(&file, bytes).is_err() {
                fs::create_dir_all(file.parent().unwrap_or(root.path())).expect("a directory");
                fs::write(&file, bytes).expect("a file");
            }
        }
    });
}

/// Writes files below a folder.
fn write_files(root: &Path, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        let file = root.join(path);
        if fs::write(&file, bytes).is_err() {
            fs::create_dir_all(file.parent().unwrap_or(root)).expect("a directory");
            fs::write(&file, bytes).expect("a file");
        }
    }
}

/// Makes a link in the root, where there is none yet.
fn link(path: &str, target: &str) {
    ROOT.with(|root| {
        let path = root.path().join(path);
        if path.symlink_metadata().is_err() {
            fs::create_dir_all(path.parent().unwrap_or(root.path())).expect("a directory");
            symlink(target, path).expect("a link");
        }
    });
}

fn scan(root: &Path, kind: SectionKind, readers: &[&'static Probe]) {
    assert!(!readers.is_empty(), "no probe reads what this target writes");
    let agent = Agent { version: "0.0.0".to_owned(), digest: None, config_digest: None };
    let budget = Budget::measured_by(Duration::MAX, || Duration::ZERO);
    let section = take_of(kind, readers.iter().copied(), &Host::captured(root, agent), &budget);
    assert!(section.reasons.len() <= MAX_REASONS, "more reasons than a section may carry");
    assert!(section.reasons.iter().all(|it| it.len() <= MAX_REASON), "a reason over its limit");
    assert!(section.rows.len() <= MAX_ROWS, "more rows than a section may have");
    for row in section.rows.as_slice() {
        assert!(row.len() <= MAX_ROW, "a row over its limit");
        to_json(kind, row).expect("the agent's own row can be shown");
    }
}

/// Takes the bytes as what travels, and as the listing inside it: damage to a compressed frame
/// rarely reaches the reader of listings.
fn section(bytes: &[u8]) {
    for packed in [bytes, &packed(bytes)] {
        if let Ok(rows) = Rows::unpack(packed) {
            let again = Rows::unpack(&rows.pack().expect("memory")).expect("own listing");
            assert_eq!(again.digest(), rows.digest(), "rows change on their way");
            show(&rows);
        }
    }
}

/// What every delta is applied to.
static BASE: LazyLock<Rows> = LazyLock::new(|| {
    let row = |name: &str| SoftwareRow { name: name.to_owned(), ..SoftwareRow::default() };
    Rows::encode(&["bash", "curl", "openssl", "vim"].map(row))
});

fn delta(bytes: &[u8]) {
    for packed in [bytes, &packed(bytes)] {
        if let Ok(delta) = unpack_delta(packed) {
            apply(&delta);
        }
    }
}

fn apply(delta: &Delta) {
    if let Ok(rows) = BASE.apply(delta) {
        let back = rows.delta_from(&BASE);
        assert_eq!(BASE.apply(&back).expect("own delta").digest(), rows.digest(), "a delta is not stable");
        show(&rows);
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, LEVEL).expect("memory")
}

/// Reads rows as every kind, as an operator's table would.
fn show(rows: &Rows) {
    for kind in [SectionKind::Software, SectionKind::Platform, SectionKind::Self_, SectionKind::Devices] {
        for row in rows.as_slice() {
            drop(to_json(kind, row));
        }
    }
}

fn report(bytes: &[u8]) {
    let Ok(part) = ReportPart::decode(bytes) else { return };
    match part.part {
        None => {}
        Some(Part::Header(header)) => {
            drop(Digest::try_from(header.fingerprint.as_slice()));
            header.journal.iter().for_each(journal_entry);
        }
        Some(Part::Section(part)) => section_part(&part),
        Some(Part::Payload(payload)) => section(&payload),
    }
}

fn journal_entry(entry: &JournalEntry) {
    for row in entry.added_rows.iter().chain(&entry.removed_rows) {
        drop(to_json(entry.kind(), row));
    }
}

fn section_part(part: &SectionPart) {
    drop(Digest::try_from(part.digest.as_slice()));
    drop(Digest::try_from(part.base.as_slice()));
    match part.body() {
        SectionBody::Delta => delta(&part.payload),
        SectionBody::Unspecified | SectionBody::Full | SectionBody::Reference => section(&part.payload),
    }
}

fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    drop(TokenSecret::from_str(&text));
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.reveal().as_str(), text, "a token has two spellings");
    }
}

fn identity(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(identity) = text.parse::<Identity>() {
        assert_eq!(identity.to_string(), text, "an identity has two spellings");
    }
    if let Some(name) = Name::from_free_text(&text) {
        assert_eq!(name.as_str().parse(), Ok(name), "a made name is no name");
    }
}

fn certificate(bytes: &[u8]) {
    let certificate = CertificateDer::from(bytes);
    let leaf = Leaf::read(&certificate);
    if let Ok(anchor) = Anchor::new(certificate.clone().into_owned())
        && let Ok(leaf) = leaf
    {
        anchor.signed(&certificate, &leaf, Purpose::Client);
    }
}

fn version(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (a, b) = text.split_once('\0').unwrap_or((&text, SOME_VERSION));
    for scheme in Scheme::all() {
        let (there, back) = (scheme.compare(a, b), scheme.compare(b, a));
        let mirrors = match there {
            Comparison::Less => back == Comparison::Greater,
            Comparison::Equal => back == Comparison::Equal,
            Comparison::Greater => back == Comparison::Less,
            Comparison::NotComparable(_) => matches!(back, Comparison::NotComparable(_)),
        };
        assert!(mirrors, "{scheme} answers differently when the sides change");
        let own = scheme.compare(a, a);
        assert!(
            matches!(own, Comparison::Equal | Comparison::NotComparable(_)),
            "{scheme}: a version is not itself"
        );
        one_line(&vercmp_line(scheme, a, b));
    }
}

fn range(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (range, version) = text.split_once('\0').unwrap_or((&text, SOME_VERSION));
    let read = Range::parse(range);
    for scheme in Scheme::all() {
        assert_eq!(
            among_siblings([&read, &read], scheme, version),
            read.contains(scheme, version),
            "{scheme}: a range disagrees with itself"
        );
        one_line(&range_line(scheme, range, version));
    }
}

fn one_line(line: &str) {
    assert_eq!(line.matches('\t').count(), 1, "an answer has one tab");
    assert!(!line.contains('\n'), "an answer is one line");
}

fn csaf(bytes: &[u8]) {
    knowledge_file("input.json", bytes);
}

fn osv(bytes: &[u8]) {
    knowledge_file("input.json", bytes);
}

fn microsoft(bytes: &[u8]) {
    knowledge_file("input.xml", bytes);
}

fn kev(bytes: &[u8]) {
    knowledge_file("input.json", bytes);
}

/// As it is, which may be packed.
fn epss(bytes: &[u8]) {
    knowledge_file("input.csv", bytes);
}

/// An archive of any kind: whatever it holds, names are harmless and no member is larger than a file may be.
fn archive(bytes: &[u8]) {
    let Ok(Some(kind)) = archive::kind_of(&mut Cursor::new(bytes)) else { return };
    let receive = |member: archive::Member| {
        assert!(!member.name.is_empty() && !member.name.starts_with('/'), "a name from the root");
        assert!(!member.name.chars().any(char::is_control), "a name with control characters");
        assert!(member.name.split('/').all(|it| it != ".."), "a name that leads up");
        match member.content {
            Ok(content) => assert!(content.len() as u64 <= MAX_MEMBER, "a member over its limit"),
            Err(refusal) => assert!(!refusal.is_empty(), "a refusal without a word"),
        }
        ControlFlow::Continue(())
    };
    if let Err(refusal) = archive::read(kind, || Ok(Cursor::new(bytes)), |_| true, receive) {
        assert!(!refusal.to_string().is_empty(), "a refusal without a word");
    }
}

/// As it is, and with its digest made right, so that what lies behind it is reached.
fn one_shot(bytes: &[u8]) {
    let tail = 32 + size_of::<u32>();
    let said = bytes.len().saturating_sub(tail);
    let digest = Digest::of(&bytes[..said]);
    let mended = [&bytes[..said], digest.as_bytes(), &0_u32.to_le_bytes()].concat();
    for file in [bytes, &mended] {
        match OneShot::read(file) {
            Ok(read) => {
                assert!(read.sections.len() <= one_shot::MAX_SECTIONS);
                let payloads: usize = read.sections.iter().map(|it| it.payload.len()).sum();
                assert!(payloads <= file.len(), "more than the file holds");
            }
            Err(refusal) => assert!(!refusal.to_string().is_empty(), "a refusal without a word"),
        }
    }
}

/// A file that is taken reads back from what is written of it; its patterns are held against names that nearly match.
fn identity_rules(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = match map_file::read(text) {
        Ok(file) => file,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty(), "a refusal without a word");
            return;
        }
    };
    assert!(file.rules.len() + file.declared.len() <= map_file::MAX_RULES);
    let _ = map_file::lint([&file], 0);
    let written = map_file::write(&[], [&file]);
    assert_eq!(map_file::read(&written.text), Ok(file.clone()), "what is written is not what was read");
    for pattern in file.rules.iter().filter_map(|it| it.installed.name.as_ref()) {
        let name =
            pattern.as_str().to_lowercase().replace('*', "aaaaaaaaaaaaaaab").replace("{version}", "1.1.1.1");
        let _ = pattern.matches(&name);
    }
}

fn requirements(bytes: &[u8]) {
    knowledge_file("input.csv", bytes);
    knowledge_file("input.toml", bytes);
}

/// As it is, and behind the line that says what it is, so that what lies behind it is reached.
fn hardening(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for text in [text.clone().into_owned(), format!("kind = \"hardening\"\n{text}")] {
        let linted = rules::lint(&text, 0);
        match rules::read(&text) {
            Ok(file) => {
                assert!(linted.faults.is_empty(), "refused and taken");
                assert!(file.items() > 0 || !file.roles.is_empty(), "taken without anything in it");
                for rule in &file.rules {
                    let _ = (rule.expected(), rule.applies.to_string());
                }
            }
            Err(invalid) => {
                assert!(!invalid.faults.is_empty() && invalid.faults == linted.faults);
                assert!(invalid.faults.iter().all(|it| !it.is_empty()), "a refusal without a word");
            }
        }
    }
}

/// A plan is taken with all that it has to have, or refused with at least one word and never with too many.
fn plan(bytes: &[u8]) {
    match plans::read(&String::from_utf8_lossy(bytes)) {
        Ok(plan) => {
            assert!(!plan.stages.is_empty() && !plan.expectations.is_empty(), "nothing to verify");
            for stage in &plan.stages {
                assert!(!stage.expectations.is_empty(), "a stage that expects nothing");
                assert!(stage.expectations.iter().all(|it| *it < plan.expectations.len()));
            }
            for step in plan.tests.iter().flat_map(|it| &it.steps) {
                let _ = (step.limits.to_string(), step.limits.admit("1"));
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty() && faults.len() <= plans::MAX_FAULTS);
            assert!(faults.iter().all(|it| !it.is_empty() && !it.contains('\n')), "a fault is one line");
        }
    }
}

fn knowledge_file(name: &str, bytes: &[u8]) {
    match knowledge::read(name, bytes, &Knowledge::default()) {
        Ok((Content::Requirements(listed), _)) => listed.iter().for_each(requirement),
        Ok((Content::Advisory(advisory), _)) => {
            let faults = lint(&advisory);
            assert!(faults.iter().all(|it| !it.text.is_empty()), "a fault without a word");
            for entry in &advisory.entries {
                assert!(!entry.id.contains('\n'), "an identifier is one line");
                drop(entry.versions.text());
            }
        }
        Ok((content, _)) => drop(content.items()),
        Err(refusal) => assert!(!refusal.to_string().is_empty(), "a refusal without a word"),
    }
}

fn requirement(requirement: &Requirement) {
    let minimum = &requirement.minimum;
    let own = requirement.scheme.compare(minimum, minimum);
    assert_eq!(own, Comparison::Equal, "an accepted minimum cannot be compared");
    match &requirement.wanted {
        Wanted::Software { name: pattern, .. } | Wanted::Build { os: pattern } => {
            // What a pattern of many stars takes longest for is a long name that nearly matches.
            let _ = pattern.matches(&requirement.product().replace('*', "aaaaaaaaaaaaaaab"));
        }
        Wanted::Kernel => {}
    }
}

/// What is accepted names every asset once, and no column stays unread.
fn placement(bytes: &[u8]) {
    for name in ["input.csv", "input.toml"] {
        if let Ok((Content::Placement(placed), _)) = knowledge::read(name, bytes, &Knowledge::default()) {
            let ids: std::collections::BTreeSet<&str> =
                placed.assets.iter().map(|it| it.asset.as_str()).collect();
            assert_eq!(ids.len(), placed.assets.len(), "an asset stands in two places");
        }
    }
    knowledge_file("input.csv", bytes);
}

/// A mapping never makes an approval out of silence.
fn mapping(bytes: &[u8]) {
    if let Ok((Content::Mapping(read), _)) = knowledge::read("input.toml", bytes, &Knowledge::default()) {
        assert!(!read.state("").0.is_approval() && !read.state("\u{0}").0.is_approval());
    }
    knowledge_file("input.toml", bytes);
}

/// Lists with the shipped mapping held, and without.
fn statements(bytes: &[u8]) {
    static HELD: LazyLock<Knowledge> = LazyLock::new(|| {
        let file = include_bytes!("../../deploy/mappings/rockwell.toml");
        let Ok((Content::Mapping(read), _)) = knowledge::read("m.toml", file, &Knowledge::default()) else {
            panic!("the shipped mapping is one");
        };
        let source = knowledge::Source {
            digest: Digest::of(file),
            file: "m.toml".into(),
            imported_ms: 0,
            imported_by: String::new(),
        };
        let mappings = vec![knowledge::Held { content: read.into(), source: source.into() }];
        Knowledge { mappings, ..Knowledge::default() }
    });
    for held in [&*HELD, &Knowledge::default()] {
        if let Ok((Content::Statements(list), _)) = knowledge::read("input.csv", bytes, held) {
            for it in &list.stated {
                assert!(!it.raw.is_empty() || !it.state.is_approval(), "silence was taken for approval");
            }
        }
    }
}

fn vpc(bytes: &[u8]) {
    if let Ok((Content::Statements(list), _)) = knowledge::read("input.xml", bytes, &Knowledge::default()) {
        for it in &list.stated {
            assert!(!it.raw.is_empty() || !it.state.is_approval(), "silence was taken for approval");
        }
    }
    knowledge_file("input.xml", bytes);
}

/// Every input that a vector gives is some value.
fn vector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(vector) = Vector::read(text) {
        for set in [vector.automatable(), vector.technical_impact()] {
            assert!(set.positions().count() > 0, "an input without a value");
        }
        let _ = vector.exploitation();
    }
}

/// A control that is read is written as one that reads the same.
fn controls(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(read) = control::read(text) {
        let typed = control::Typed(&read).to_string();
        assert_eq!(control::read(&typed).as_ref(), Ok(&read), "{typed}");
    }
}

/// As a pack, and as each of the parts that a pack has; whatever is read is written the same.
fn evidence_pack(bytes: &[u8]) {
    let checked = evidence::check(bytes, &Pins::default());
    assert_eq!(checked.valid, checked.faults.is_empty());
    let said = [&checked.proves, &checked.proves_not, &checked.faults];
    assert!(said.iter().all(|it| it.len() <= evidence::MAX_FAULTS && it.iter().all(|it| !it.is_empty())));
    if let Ok(members) = container::read(bytes) {
        assert_eq!(container::write(&members).as_deref(), Ok(bytes), "two files of the same members");
    }
    if let Ok(excerpt) = Excerpt::read(bytes) {
        assert_eq!(excerpt.to_bytes(), bytes, "two forms of the same entries");
        let _ = excerpt.verified("CHG-0001", &[1; 32]);
    }
    if let Ok(manifest) = Manifest::read(bytes) {
        assert_eq!(manifest.to_bytes().ok().as_deref(), Some(bytes), "two forms of the same manifest");
    }
    let _ = Certificates::read([(Digest::of(bytes), bytes)]);
}

/// A collector whose private key everybody knows, so that an input reaches what stands behind its signature.
struct KnownCollector {
    key: SigningKey,
    stream: Stream,
    keys: Keyring,
}

static KNOWN_COLLECTOR: LazyLock<KnownCollector> = LazyLock::new(|| {
    // PKCS#8 of RFC 8410 around an Ed25519 seed of 32 bytes, each 1: the key of `common/src/bundle/vectors.txt`.
    let head = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let key = SigningKey::from_pkcs8(Algorithm::Ed25519, &[&head[..], &[1; 32]].concat()).expect("a key");
    let name = |text: &str| text.parse::<Name>().expect("a name");
    let zone = ZoneName { site: name("plant"), zone: name("line-1") };
    let stream = Stream { zone, collector: key.public().id() };
    let trusted = Trusted { stream: stream.clone(), epoch: 1, key: key.public() };
    KnownCollector { key, stream, keys: [trusted].into_iter().collect() }
});

/// The input is an object, what a known collector signed, and a body that is unpacked already.
fn bundle(bytes: &[u8]) {
    let KnownCollector { key, stream, keys } = &*KNOWN_COLLECTOR;
    let signed = bundles::seal(bytes, stream, key).expect("the key signs").bytes;
    for object in [bytes, &signed] {
        match bundles::open(object, keys) {
            Ok(read) => {
                // A body that another compressor packed less well may be one that this one makes no bundle of.
                if let Ok(made) = bundles::make(&read.header, read.body.clone(), key) {
                    let again = bundles::open(&made.bytes, keys).expect("what is made is opened");
                    assert_eq!((again.header, again.body), (read.header, read.body));
                }
            }
            Err(refusal) => assert!(!refusal.to_string().is_empty(), "a refusal without a word"),
        }
    }
    for kind in [Kind::Delta, Kind::KeyStatement] {
        match Body::read(kind, bytes) {
            Ok(Body::Records(records)) => {
                assert!(records.len() <= bundles::MAX_RECORDS);
                let mut state = State::default();
                assert!(records.iter().all(|it| state.apply(it) == Outcome::Applied), "a key twice");
            }
            Ok(Body::Statements(statements)) => assert!(statements.len() <= bundles::MAX_STATEMENTS),
            Ok(Body::Nothing) => panic!("only a beacon has no body"),
            Err(flaw) => assert!(!flaw.to_string().is_empty(), "a flaw without a word"),
        }
    }
    if let Err(refusal) = Line::found(&stream.zone, &key.public(), bytes) {
        assert!(!refusal.to_string().is_empty(), "a refusal without a word");
    }
}

/// A link whose key everybody knows.
static KNOWN_LINK: LazyLock<Keys> = LazyLock::new(|| Keys::new(&[(1, [1; 32])]).expect("one key"));

/// The same bytes with the right first bytes and the right MAC, so that an input reaches what stands behind.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(first) = bytes.first_chunk_mut() {
        *first = *b"HD\x01\x01";
    }
    datagram::seal(&mut bytes, &KNOWN_LINK);
    bytes
}

/// The input is a datagram of a stranger, and one of the holder of the key.
fn diode_datagram(bytes: &[u8]) {
    let stranger = datagram::parse(&KNOWN_LINK, bytes);
    let holder = sealed(bytes);
    assert!(stranger.is_err() || bytes == holder, "a datagram of a stranger is believed");
    match datagram::parse(&KNOWN_LINK, &holder) {
        Ok(_) => assert!(holder.len() > HEADER),
        Err(cause) => assert!([Cause::Length, Cause::Bounds].contains(&cause), "{cause:?}"),
    }
}

/// The input is datagrams, each behind its length in two bytes. Every second is taken as it is, too.
fn diode_assembly(mut bytes: &[u8]) {
    let limits = Limits { of_stream: 3, objects: 5, bytes: 64 * 1024, remembered: 4, ..Limits::default() };
    let mut assembler = Assembler::new(KNOWN_LINK.clone(), &[], limits);
    let mut now = Instant::now();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        bytes = rest;
        if length % 4 == 0 {
            assembler.take(datagram, now);
        }
        match assembler.take(&sealed(datagram), now) {
            Taken::Complete(object) => assert_eq!(ObjectId::of(&object.bytes), object.id),
            Taken::Failed => panic!("the code fails on shards that were judged"),
            Taken::Kept | Taken::Duplicate | Taken::Pattern(_) | Taken::Rejected(_) | Taken::Corrupt => {}
        }
        assert!(assembler.bytes() <= limits.bytes && assembler.waiting() <= limits.objects);
        now += Duration::from_secs(u64::from(length % 7 == 0) * 300);
    }
}

/// The input is what lies on a medium: for each entry its kind, its name and its content, each behind its length in
/// a byte. Whatever lies there, only plain files are read, and nothing but what a collector signed is opened.
fn medium(mut bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("medium");
    fs::create_dir(&root).expect("a folder");
    let secret = b"what no medium may show";
    fs::write(dir.path().join("secret"), secret).expect("a file");
    let part = |bytes: &mut &[u8]| {
        let (length, rest) = bytes.split_first()?;
        let (part, rest) = rest.split_at_checked(usize::from(*length))?;
        *bytes = rest;
        Some(part.to_vec())
    };
    let mut entries = 0;
    while let Some((kind, rest)) = bytes.split_first() {
        bytes = rest;
        let Some((name, content)) = part(&mut bytes).and_then(|name| Some((name, part(&mut bytes)?))) else {
            break;
        };
        let path = root.join(OsStr::from_bytes(&name));
        // A name that leads elsewhere cannot lie on a medium; a file system refuses others.
        if name.is_empty() || name.contains(&b'/') || name == b"." || name == b".." || entries == 64 {
            continue;
        }
        entries += 1;
        let made = match kind % 4 {
            0 => fs::write(&path, &content),
            1 => symlink(dir.path().join("secret"), &path),
            2 => fs::create_dir(&path).and_then(|()| fs::write(path.join("a.bundle"), &content)),
            _ => symlink(OsStr::from_bytes(&content), &path),
        };
        drop(made);
    }
    let contents = holdpoint_collector::site::medium::look(&[root]);
    for entry in &contents.entries {
        assert!(!entry.shown.chars().any(char::is_control), "a name that moves a terminal");
        let Ok(object) = entry.read() else { continue };
        assert_ne!(object, secret, "a link was followed");
        let _ = bundles::claimed_kind(&object);
        drop(bundles::open(&object, &KNOWN_COLLECTOR.keys));
    }
}

/// The input is a pack, a manifest, a member, a key file, and a code that a person types.
fn pack(bytes: &[u8]) {
    let key = &KNOWN_COLLECTOR.key;
    match Pack::read(bytes) {
        Ok(read) => {
            assert_eq!([read.head, &read.members.concat()].concat(), bytes, "bytes that nobody signed");
            assert!(read.members.iter().all(|it| !packs::is_archive(it)), "an archive in a pack");
        }
        Err(refusal) => assert!(!refusal.to_string().is_empty(), "a refusal without a word"),
    }
    let manifest = packs::Manifest::read(bytes).unwrap_or_else(|_| packs::Manifest {
        format: packs::FORMAT,
        title: "a title".to_owned(),
        serial: 1,
        made_ms: 0,
        zones: Vec::new(),
        members: Vec::new(),
    });
    if !manifest.members.is_empty() {
        assert_eq!(manifest.to_bytes().ok().as_deref(), Some(bytes), "two forms of the same manifest");
    }
    let name = String::from_utf8_lossy(bytes.get(..16).unwrap_or(bytes)).into_owned();
    for name in ["a.csv", &name] {
        let member = (packs::Listed::of(name, "csaf", bytes), bytes.to_vec());
        if let Ok(made) = packs::make(manifest.clone(), &[member], key) {
            let read = Pack::read(&made).expect("what is made is read");
            assert_eq!((read.members.as_slice(), read.manifest.serial), (&[bytes][..], manifest.serial));
        }
    }
    if let Ok(public) = packs::public_key(bytes) {
        assert_eq!(packs::public_key(packs::public_pem(&public).as_bytes()), Ok(public));
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(code) = text.parse::<Code>()
    {
        assert_eq!(code.to_string(), text.to_uppercase(), "two codes for the same bundles");
    }
}
