//! Replays the corpus of every fuzz target, and a little real fuzzing around each seed.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use holdpoint_agent::scan::firmware::fwupd::devices;
use holdpoint_cli::archive;
use holdpoint_collector::knowledge::{Knowledge, read};
use holdpoint_common::bundle::resend::Code;
use holdpoint_common::identity::Identity;
use holdpoint_common::one_shot::{OneShot, Proof};
use holdpoint_common::pack::{Manifest, Pack};
use holdpoint_common::section::{InvalidSection, Rows, unpack_delta};
use holdpoint_common::tls::{Anchor, Leaf};
use holdpoint_common::token::Token;
use holdpoint_tests::mutation::{Numbers, mutate};
use holdpoint_tests::targets::{TARGETS, Target, corpus};
use rustls::pki_types::CertificateDer;

/// Inputs that are made of each seed.
const MUTATIONS: u64 = 300;
/// What the inputs of one target may take together: some are whole scans of a debug build.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Largest seed, in bytes: a corpus is read by people.
const MAX_SEED: usize = 4 * 1024;

#[test]
fn every_target_survives_its_corpus_and_the_neighbours_of_each_seed() {
    let mut faults = Vec::new();
    for (name, target) in TARGETS {
        let seeds = corpus(name).unwrap_or_default();
        let begun = Instant::now();
        if seeds.is_empty() {
            faults.push(format!("{name} has no corpus"));
        }
        for (at, (file, seed)) in seeds.iter().enumerate() {
            let place = format!("{name}/{file}");
            if seed.len() > MAX_SEED {
                faults.push(format!("{place} is over {MAX_SEED} bytes"));
            }
            faults.extend(fault(*target, seed, &place));
            let other = &seeds[(at + 1) % seeds.len()].1;
            let share = PATIENCE * u32::try_from(at + 1).unwrap() / u32::try_from(seeds.len()).unwrap();
            let mut numbers = (0..MUTATIONS).take_while(|_| begun.elapsed() < share);
            faults.extend(numbers.find_map(|number| {
                let input = mutate(seed, other, &mut Numbers::from_seed(number));
                fault(*target, &input, &format!("{place}, mutation {number}"))
            }));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_corpus_belongs_to_a_target_that_is_gone() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == *target), "{}", name.display());
    }
}

#[test]
fn the_valid_seeds_are_taken_so_that_damage_starts_deep_inside() {
    let bytes = |target: &str, file: &str| {
        let seeds = corpus(target).unwrap();
        seeds.into_iter().find(|(name, _)| name == file).unwrap().1
    };
    let text = |target: &str, file: &str| String::from_utf8(bytes(target, file)).unwrap();
    text("token", "valid").parse::<Token>().unwrap();
    text("identity", "agent").parse::<Identity>().unwrap();
    assert_eq!(Rows::unpack(&bytes("section", "packed")).unwrap().len(), 3);
    assert_eq!(unpack_delta(&bytes("delta", "packed")).unwrap().added.len(), 1);
    assert!(matches!(Rows::unpack(&bytes("section", "bomb")), Err(InvalidSection::TooLarge)));
    Leaf::read(&CertificateDer::from(bytes("certificate", "leaf"))).unwrap();
    Anchor::new(CertificateDer::from(bytes("certificate", "authority"))).unwrap();
    let signed = OneShot::read(&bytes("one_shot", "signed")).unwrap();
    assert!(matches!(signed.proof, Proof::Signed { sequence: 1, .. }));
    assert_eq!(OneShot::read(&bytes("one_shot", "unsigned")).unwrap().sections.len(), 2);
    assert_eq!(devices(&bytes("dbus", "devices")).unwrap().0.len(), 2);
    assert_eq!(Pack::read(&bytes("pack", "valid")).unwrap().members.len(), 2);
    assert_eq!(Manifest::read(&bytes("pack", "manifest.json")).unwrap().serial, 7);
    text("pack", "code").parse::<Code>().unwrap();
    for (target, file, items) in [
        ("csaf", "valid.json", 3),
        ("osv", "valid.json", 3),
        ("microsoft", "valid.xml", 2),
        ("kev", "valid.json", 2),
        ("epss", "valid.csv", 3),
        ("epss", "packed.csv.gz", 3),
        ("requirements", "valid.csv", 3),
        ("requirements", "valid.toml", 2),
        ("identity_rules", "valid.toml", 4),
    ] {
        let (content, skipped) = read(file, &bytes(target, file), &Knowledge::default()).unwrap();
        assert_eq!((content.items(), skipped.len()), (items, 0), "{file}: {skipped:?}");
    }
    for file in ["valid.zip", "valid.tar", "valid.tar.gz", "valid.tar.zst"] {
        let bytes = bytes("archive", file);
        let kind = archive::kind_of(&mut Cursor::new(&bytes)).unwrap().expect("an archive");
        let mut members = 0;
        let receive = |member: archive::Member| {
            members += usize::from(member.content.is_ok());
            ControlFlow::Continue(())
        };
        archive::read(kind, || Ok(Cursor::new(&bytes)), |_| true, receive).unwrap();
        assert_eq!(members, 2, "{file}");
    }
}

fn fault(target: Target, input: &[u8], place: &str) -> Option<String> {
    catch_unwind(|| target(input)).err().map(|_| format!("{place} panics: {}", input.escape_ascii()))
}
