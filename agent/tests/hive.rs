//! Hives as hivex writes and reads them, key by key beside what it exports, and what reading a large one
//! costs.
//!
//! Needs `hivexregedit` (Debian's package `libwin-hivex-perl`); without it a test says that it was left
//! out.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![expect(clippy::print_stdout, reason = "a test that is left out says so")]

#[expect(dead_code, reason = "the logs are of other tests")]
#[path = "../src/host/registry/hive/written.rs"]
mod written;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};

use holdpoint_agent::host::registry::{Data, Registry, Source, Tree};
use holdpoint_agent::host::{Agent, Host};
use written::{hive, key, put, seal};

const SOFTWARE: &str = "Windows/System32/config/SOFTWARE";

#[expect(clippy::disallowed_methods, reason = "the one place where these tests start programs")]
fn hivexregedit(arguments: &[&str]) -> Option<Output> {
    let output = Command::new("hivexregedit").args(arguments).env("LC_ALL", "C.UTF-8").output();
    if output.is_err() {
        println!("left out: hivexregedit is not here");
    }
    let output = output.ok()?;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output)
}

fn registry(root: &Path) -> Registry {
    let agent = Agent { version: "0.0.0-test".into(), digest: None, config_digest: None };
    Host::captured(root, agent).registry.unwrap()
}

/// A root with one hive.
fn root(hive: &[u8]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join(SOFTWARE);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, hive).unwrap();
    root
}

/// What differs between a hive and an export of it, below a key.
fn differences(hive: &Registry, export: &Tree, key: &str, seen: &mut usize) -> Vec<String> {
    *seen += 1;
    let sorted = |mut names: Vec<String>| {
        names.sort_unstable();
        names
    };
    let (there, exported) = (sorted(hive.keys(key).unwrap()), sorted(export.keys(key).unwrap()));
    let mut all = Vec::new();
    if there != exported {
        all.push(format!("{key}: {there:?}, but {exported:?}"));
    }
    let mut values = hive.values(key).unwrap();
    values.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut exported = export.values(key).unwrap();
    exported.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if values != exported {
        all.push(format!("{key}: {values:?}, but {exported:?}"));
    }
    for name in there {
        all.extend(differences(hive, export, &format!("{key}\\{name}"), seen));
    }
    all
}

/// An export with a little of everything, for hivex to make a hive of.
fn export() -> String {
    let mut text = "Windows Registry Editor Version 5.00\n\n".to_owned();
    // hivexregedit wants an empty line before each key.
    let mut line = |it: String| text.push_str(&(it.replace('[', "\n[") + "\n"));
    line("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Products]".to_owned());
    for at in 0..700 {
        line(format!("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Products\\{{{at:08X}-0000}}]"));
        line(format!("\"DisplayName\"=\"Product {at}\"\n\"Number\"=dword:{at:08x}"));
    }
    let mut path = "HKEY_LOCAL_MACHINE\\SOFTWARE".to_owned();
    for at in 0..60 {
        path = format!("{path}\\Depth {at}");
        line(format!("[{path}]\n@=\"{at}\""));
    }
    line("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Values]".to_owned());
    let large: Vec<String> = (0..16_000_u32).map(|at| format!("{:02x}", at % 251)).collect();
    line(format!("\"large\"=hex:{}", large.join(",")));
    line("\"nothing\"=hex(0):\n\"one\"=hex:01\n\"wide\"=hex(b):01,02,03,04,05,06,07,08".to_owned());
    line(
        "\"expand\"=hex(2):25,00,41,00,25,00,00,00\n\"list\"=hex(7):61,00,00,00,62,00,00,00,00,00".to_owned(),
    );
    line("\"short\"=hex(4):01,02\n\"odd\"=hex(1):41,00,42\n\"resources\"=hex(8):01,00,00,00,05".to_owned());
    text
}

#[test]
fn a_hive_that_hivex_wrote_reads_as_hivex_exports_it() {
    let root = root(&hive(&key("ROOT")));
    let (file, reg) = (root.path().join(SOFTWARE), root.path().join("made.txt"));
    fs::write(&reg, export()).unwrap();
    let prefix = r"HKEY_LOCAL_MACHINE\SOFTWARE";
    let (file, reg) = (file.to_str().unwrap(), reg.to_str().unwrap());
    if hivexregedit(&["--merge", "--prefix", prefix, file, reg]).is_none() {
        return;
    }
    let output = hivexregedit(&["--export", "--prefix", prefix, file, "\\"]).unwrap();
    let exported = Tree::from_export(&String::from_utf8(output.stdout).unwrap()).unwrap();
    let mut seen = 0;
    let found = differences(&registry(root.path()), &exported, r"HKLM\SOFTWARE", &mut seen);
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(seen, 1 + 1 + 700 + 60 + 1);
    // And as what it was made of.
    let made = Tree::from_export(&export()).unwrap();
    let found = differences(&registry(root.path()), &made, r"HKLM\SOFTWARE", &mut seen);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn hivex_reads_the_hives_that_tests_write() {
    let list = [written::List::Lh, written::List::Lf, written::List::Li, written::List::Ri];
    let root_key = list.into_iter().fold(key("ROOT"), |all, list| {
        all.below(
            key(&format!("{list:?}"))
                .list(list)
                .below(key("One").number("n", 1))
                .below(key("Two").text("t", "x")),
        )
    });
    let bytes = hive(&root_key.below(key("Large").value("large", 3, &vec![7; 40_000])));
    let root = root(&bytes);
    let prefix = r"HKEY_LOCAL_MACHINE\SOFTWARE";
    let file = root.path().join(SOFTWARE);
    let Some(output) = hivexregedit(&["--export", "--prefix", prefix, file.to_str().unwrap(), "\\"]) else {
        return;
    };
    let exported = Tree::from_export(&String::from_utf8(output.stdout).unwrap()).unwrap();
    let mut seen = 0;
    let found = differences(&registry(root.path()), &exported, r"HKLM\SOFTWARE", &mut seen);
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(seen, 14);
}

/// Peak of this process's memory, in KiB; tests of this file run beside it in some runners.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_hive_of_a_quarter_gibibyte_costs_no_more_memory_than_a_small_one() {
    const LARGE: u32 = 256 * 1024 * 1024;
    /// What a listing and the pages of a hive may take, in KiB; the rest of the runner moves by less.
    const MOST: u64 = 12 * 1024;
    // A hive is as large as its file says; values spread over all of it are read.
    let names: Vec<String> = (0..5_000).map(|at| format!("Product {at}")).collect();
    let many =
        names.iter().fold(key("Products"), |all, name| all.below(key(name).value("where", 3, &[0; 5])));
    let mut bytes = hive(&key("ROOT").below(many));
    put(&mut bytes, 40, LARGE);
    seal(&mut bytes);
    let root = root(&bytes);
    let file = File::options().write(true).open(root.path().join(SOFTWARE)).unwrap();
    file.set_len(4096 + u64::from(LARGE)).unwrap();
    let step = (LARGE - 4096 * 1024) / 5_000 / 8 * 8;
    let mut cells =
        bytes.windows(2).enumerate().filter(|(at, it)| *it == b"vk" && at % 8 == 4).map(|(at, _)| at);
    for (number, value) in (0..).zip(cells.by_ref().take(5_000)) {
        let place = 4096 * 1024 + number * step;
        file.write_all_at(&place.to_le_bytes(), u64::try_from(value).unwrap() + 8).unwrap();
        let cell = [&(-16_i32).to_le_bytes()[..], b"far!!"].concat();
        file.write_all_at(&cell, 4096 + u64::from(place)).unwrap();
    }
    drop((bytes, names));
    // From here on the peak counts anew (proc(5)).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let registry = registry(root.path());
    let names = registry.keys(r"HKLM\SOFTWARE\Products").unwrap();
    assert_eq!(names.len(), 5_000);
    for name in names.iter().step_by(7) {
        let value = registry.value(&format!(r"HKLM\SOFTWARE\Products\{name}"), "where").unwrap();
        assert_eq!(value, Data::Bytes { kind: 3, bytes: b"far!!".into() });
    }
    let more = peak() - before;
    println!("{more} KiB more at the peak");
    assert!(more <= MOST, "{more} KiB");
}
