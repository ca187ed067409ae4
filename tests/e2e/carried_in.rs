//! Files that a person carries in, good and hostile, with the programs as a person starts them.

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use holdpoint_tests::program::{ZoneProcess, ask, program, run, text};
use serde_json::Value;
use zip::write::SimpleFileOptions;

const MIB: usize = 1024 * 1024;
/// What neither program may need, whatever it is given.
const CEILING: usize = 256 * MIB;
const ADVISORY: &[u8] = include_bytes!("../../collector/fixtures/csaf/exc-26-001.json");
const UPDATE: &[u8] = include_bytes!("../../collector/fixtures/csaf/exc-26-001-update.json");
const RECORD: &[u8] = include_bytes!("../../collector/fixtures/osv/example-2026-1.json");
const MONTH: &[u8] = include_bytes!("../../collector/fixtures/microsoft/2026-nov.xml");
const CATALOG: &[u8] = include_bytes!("../../collector/fixtures/kev/catalog.json");
const SCORES: &[u8] = include_bytes!("../../collector/fixtures/epss/scores.csv");

struct Site {
    zone: ZoneProcess,
    profile: PathBuf,
}

impl Site {
    fn new() -> Self {
        let zone = ZoneProcess::start();
        Self { profile: zone.operator(), zone }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.zone.beside(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// Imports and gives the exit code, the answer, and the most memory that the command had.
    fn import(&self, path: &Path) -> (Option<i32>, Value, usize) {
        let arguments = ["--profile", text(&self.profile), "-o", "json", "import", text(path)];
        let answer = File::create(self.zone.beside("answer.json")).unwrap();
        let mut command = program("holdpoint");
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(answer)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut peak = 0;
        let status = loop {
            peak = peak.max(peak_memory(child.id()).unwrap_or(0));
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        let answer = fs::read(self.zone.beside("answer.json")).unwrap();
        (status.code(), serde_json::from_slice(&answer).unwrap(), peak)
    }

    fn feeds(&self) -> Vec<(String, u64)> {
        let feeds = ask(&self.profile, &["feeds"]);
        let feeds = feeds.as_array().unwrap().iter();
        feeds.map(|it| (it["kind"].as_str().unwrap().to_owned(), it["items"].as_u64().unwrap())).collect()
    }
}

/// The most memory that a process ever had, in bytes.
fn peak_memory(pid: u32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<usize>().ok().map(|it| it * 1024)
}

fn gzip(write: impl FnOnce(&mut GzEncoder<Vec<u8>>)) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    write(&mut encoder);
    encoder.finish().unwrap()
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The reason for which a file was refused; files are named by the end of their path.
fn reason<'a>(answer: &'a Value, file: &str) -> &'a str {
    let refused = answer["refused"].as_array().unwrap().iter();
    let mut found = refused.filter(|it| it["file"].as_str().unwrap().ends_with(file));
    found.next().unwrap_or_else(|| panic!("{file} was not refused: {answer:#}"))["reason"].as_str().unwrap()
}

fn taken<'a>(answer: &'a Value, file: &str) -> &'a Value {
    let all = answer["taken"].as_array().unwrap().iter();
    let mut found = all.filter(|it| it["file"].as_str().unwrap().ends_with(file));
    found.next().unwrap_or_else(|| panic!("{file} was not taken: {answer:#}"))
}

#[test]
fn every_kind_is_taken_from_a_folder_and_again_from_an_archive() {
    let site = Site::new();
    let folder = site.folder("feeds");
    let packed = gzip(|it| it.write_all(SCORES).unwrap());
    let files: [(&str, &[u8]); 5] = [
        ("a/exc-26-001.json", ADVISORY),
        ("a/example-2026-1.json", RECORD),
        ("2026-nov.xml", MONTH),
        ("kev.json", CATALOG),
        ("epss.csv.gz", &packed),
    ];
    fs::create_dir(folder.join("a")).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let (code, answer, _) = site.import(&folder);
    assert_eq!(code, Some(0), "{answer:#}");
    let kinds = ["csaf", "osv", "microsoft", "kev", "epss"];
    for ((name, _), kind) in files.iter().zip(kinds) {
        assert_eq!(taken(&answer, name)["kind"], kind);
    }
    assert!(taken(&answer, "exc-26-001.json")["faults"].as_u64().unwrap() > 0);
    let feeds = site.feeds();
    for (kind, items) in [("csaf", 1), ("osv", 1), ("microsoft", 1), ("kev", 2), ("epss", 3)] {
        assert!(feeds.contains(&(kind.to_owned(), items)), "{kind}: {feeds:?}");
    }

    for (name, bytes) in [
        ("again.zip", zip_of(&files)),
        ("again.tar", tar_of(&files)),
        ("again.tar.gz", gzip(|it| it.write_all(&tar_of(&files)).unwrap())),
        ("again.tar.zst", zstd::encode_all(tar_of(&files).as_slice(), 1).unwrap()),
    ] {
        let archive = site.zone.beside(name);
        fs::write(&archive, bytes).unwrap();
        let (code, answer, _) = site.import(&archive);
        assert_eq!(code, Some(0), "{name}: {answer:#}");
        for (member, _) in files {
            assert_eq!(taken(&answer, member)["unchanged"], true, "{name}: {member}");
        }
    }

    let lint = ask(&site.profile, &["feeds", "lint", "--advisory", "exc-26-001"]);
    assert_eq!(lint["total"], taken(&answer, "exc-26-001.json")["faults"], "{lint:#}");
    let unknown =
        run("holdpoint", &["--profile", text(&site.profile), "feeds", "lint", "--advisory", "NONE"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn a_revision_says_what_it_changes_and_hashes_are_checked_before_anything_is_sent() {
    let site = Site::new();
    let folder = site.folder("advisories");
    let good = "2b8d"; // No hash of anything.
    fs::write(folder.join("one.json"), ADVISORY).unwrap();
    fs::write(folder.join("one.json.sha256"), good).unwrap();
    let (code, answer, _) = site.import(&folder);
    assert_eq!(code, Some(1));
    assert!(reason(&answer, "one.json").contains("it holds no SHA-256 of this file"), "{answer:#}");

    fs::write(folder.join("one.json.sha256"), format!("{}  one.json\n", "0".repeat(64))).unwrap();
    let (_, answer, _) = site.import(&folder);
    assert!(reason(&answer, "one.json").starts_with("its SHA-256 is not the one in"), "{answer:#}");
    assert!(site.feeds().contains(&("csaf".to_owned(), 0)), "nothing was sent");

    let digest = holdpoint_common::section::Digest::of(ADVISORY).to_string();
    fs::write(folder.join("one.json.sha256"), format!("{digest}  one.json\n")).unwrap();
    fs::write(folder.join("one.json.asc"), "-----BEGIN PGP SIGNATURE-----\n").unwrap();
    let (code, answer, _) = site.import(&folder);
    assert_eq!(code, Some(0), "{answer:#}");
    let beside: Vec<&str> =
        answer["companions"].as_array().unwrap().iter().map(|it| it["result"].as_str().unwrap()).collect();
    assert_eq!(beside, ["matches", "present, not checked: no key is pinned"]);

    let bundle = site.zone.beside("update.zip");
    let digest = holdpoint_common::section::Digest::of(UPDATE).to_string();
    fs::write(&bundle, zip_of(&[("u/two.json", UPDATE), ("u/two.json.sha256", digest.as_bytes())])).unwrap();
    let (code, answer, _) = site.import(&bundle);
    assert_eq!(code, Some(0), "{answer:#}");
    assert_eq!(answer["companions"][0]["result"], "matches");
    let changes = taken(&answer, "two.json")["changes"].as_array().unwrap();
    assert!(changes.iter().any(|it| it.as_str().unwrap().contains("removed")), "{changes:#?}");
}

/// Text that no packing makes much smaller.
fn noise(bytes: usize) -> String {
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:016x}")
    };
    let mut state = 1;
    (0..bytes / 16).map(|_| step(&mut state)).collect::<Vec<_>>().concat()
}

/// Texts that are too much of something.
fn write_hostile_texts(folder: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let head = r#"{"document": {"csaf_version": "2.0", "tracking": {"id": "A", "version": "1"}}, "#;
    let filled = |start: &str, unit: &str, end: &str| {
        let count = (31 * MIB - start.len()) / unit.len();
        [start, &unit.repeat(count), end].concat().into_bytes()
    };
    write("objects.json", &filled(&format!("{head}\"product_tree\": {{\"branches\": [{{}}"), ",{}", "]}}"));
    write("empty.json", &filled(&format!("{head}\"x\": [0"), ",0", "]}"));
    let status = format!("{head}\"vulnerabilities\": [{{\"product_status\": {{\"known_affected\": [\"\"");
    write("strings.json", &filled(&status, ",\"\"", "]}}]}"));
    // Noise, which no packing makes smaller, where nobody looks.
    write("noise.json", format!("{head}\"a\": \"{}\"}}", noise(31 * MIB)).as_bytes());
    write("nested.json", "[".repeat(1_000_000).as_bytes());
    write("nested-objects.json", "{\"a\":".repeat(1_000_000).as_bytes());
    let entity = |it: u32| format!("<!ENTITY e{it} \"{}\">", format!("&e{};", it - 1).repeat(10));
    let entities = (1..10).map(entity).collect::<Vec<_>>().concat();
    write(
        "entities.xml",
        format!("<!DOCTYPE x [<!ENTITY e0 \"ha\">{entities}]><cvrf:cvrfdoc>&e9;</cvrf:cvrfdoc>").as_bytes(),
    );
    write("elements.xml", &filled("<cvrfdoc>", "<a/>", "</cvrfdoc>"));
    write("columns.csv", format!("id,product,min_version,scheme{}\n", ",x".repeat(1_000_000)).as_bytes());
    write(
        "columns-below.csv",
        format!("id,product,min_version,scheme\na,b,1,deb{}\n", ",x".repeat(1_000_000)).as_bytes(),
    );
    let scores = "#model_version:v1,score_date:2026-11-20\ncve,epss,percentile\n";
    write("scores.csv", format!("{scores}{}\n", ",".repeat(1_000_000)).as_bytes());
    write("latin.csv", b"id,product,min_version,scheme\n\xff\xfe,b,1,deb\n");
    write("latin.xml", b"<cvrfdoc>\xff</cvrfdoc>");
    let advisory = String::from_utf8(ADVISORY.to_vec()).unwrap();
    write("twice.json", advisory.replace("\"P2\"", "\"P1\"").as_bytes());
}

/// Files that are large, or become large.
fn write_hostile_archives(folder: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let zeros = vec![0_u8; 64 * MIB];
    write("zeros.csv.gz", &gzip(|it| (0..16).for_each(|_| it.write_all(&zeros).unwrap())));
    File::create(folder.join("huge.json")).unwrap().set_len(1 << 30).unwrap();
    let mut sparse = File::create(folder.join("huge.zip")).unwrap();
    sparse.write_all(b"PK\x03\x04").unwrap();
    sparse.set_len(1 << 30).unwrap();
    let members: Vec<(String, &[u8])> = (0..20).map(|it| (format!("{it}.json"), zeros.as_slice())).collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, it)| (name.as_str(), *it)).collect();
    let flat = zip_of(&members);
    write("flat.zip", &flat);
    write("nested.zip", &zip_of(&[("inner.zip", &flat), ("kev.json", CATALOG)]));
    write(
        "slip.zip",
        &zip_of(&[("../../../../tmp/holdpoint-slipped.json", RECORD), ("/etc/holdpoint.xml", MONTH)]),
    );
    write(
        "zeros.tar.gz",
        &gzip(|it| {
            let mut header = tar::Header::new_gnu();
            header.set_path("zeros.json").unwrap();
            header.set_size(1 << 40);
            header.set_cksum();
            it.write_all(header.as_bytes()).unwrap();
            (0..8).for_each(|_| it.write_all(&zeros).unwrap());
        }),
    );
    write("zz-good.json", ADVISORY);
}

/// Each has to be refused in a clear sentence, the good one among them has to be taken, and neither program may
/// need more memory than it has for honest work.
#[test]
fn hostile_files_cost_no_memory_and_stop_nothing() {
    let site = Site::new();
    let folder = site.folder("hostile");
    write_hostile_texts(&folder);
    write_hostile_archives(&folder);

    let (code, answer, peak) = site.import(&folder);
    assert_eq!(code, Some(1));
    for (file, expected) in [
        ("/objects.json", "more than 300000 objects"),
        ("/empty.json", "2000000 values"),
        ("/strings.json", "2000000 values"),
        ("/nested.json", "nested more than 64 levels"),
        ("/nested-objects.json", "nested more than 64 levels"),
        ("/entities.xml", "declares a document type"),
        ("/elements.xml", "tracking identifier is empty"),
        ("/scores.csv", "line 3 is longer than 200 bytes"),
        ("/latin.csv", "not UTF-8"),
        ("/latin.xml", "not UTF-8"),
        ("/twice.json", "the product id `P1` is given twice"),
        ("/zeros.csv.gz", "it unpacks to more than 32 MiB"),
        ("/huge.json", "it is larger than 32 MiB"),
        ("/huge.zip", "the archive cannot be read"),
        ("/flat.zip", "more than 150 times its size"),
        ("/flat.zip/0.json", "it is larger than 32 MiB"),
        ("/nested.zip/inner.zip", "an archive inside an archive"),
        ("/zeros.tar.gz", "more than 150 times its size"),
    ] {
        assert!(reason(&answer, file).contains(expected), "{file}: {}", reason(&answer, file));
    }
    for file in ["/columns.csv", "/columns-below.csv"] {
        assert!(!reason(&answer, file).is_empty());
    }
    assert_eq!(taken(&answer, "/nested.zip/kev.json")["kind"], "kev");
    assert_eq!(taken(&answer, "/slip.zip/tmp/holdpoint-slipped.json")["kind"], "osv");
    assert!(!Path::new("/tmp/holdpoint-slipped.json").exists() && !Path::new("/etc/holdpoint.xml").exists());
    assert_eq!(taken(&answer, "/noise.json")["items"], 0, "an advisory that says nothing is held as such");
    assert_eq!(taken(&answer, "/zz-good.json")["kind"], "csaf");
    let collector = peak_memory(site.zone.pid()).unwrap();
    println!("most memory: command {} MiB, collector {} MiB", peak / MIB, collector / MIB);
    assert!(peak < CEILING, "the command had {} MiB", peak / MIB);
    assert!(collector < CEILING, "the collector had {} MiB", collector / MIB);
}
