use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// A tar of these files, as it is written by others.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(len(bytes));
        // The builder refuses names that leave the archive; an attacker's does not.
        let field = &mut header.as_gnu_mut().unwrap().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, ::zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// What is told of every member: its name with its text or the refusal; and how it ended.
fn told(archive: &[u8]) -> (Vec<(String, String)>, Result<(), String>) {
    let kind = kind_of(&mut Cursor::new(archive)).unwrap().expect("an archive");
    let mut found = Vec::new();
    let ended = read(
        kind,
        || Ok(Cursor::new(archive)),
        |_| true,
        |Member { name, content }| {
            let text =
                content.map_or_else(|it| it, |it| String::from_utf8_lossy(&it[..it.len().min(20)]).into());
            found.push((name, text));
            ControlFlow::Continue(())
        },
    );
    (found, ended.map_err(|it| it.to_string()))
}

const FILES: [(&str, &[u8]); 3] =
    [("dir/a.json", b"{}"), ("dir/.hidden", b"x"), ("../../etc/\x1b[31mb.csv", b"id")];

#[test]
fn the_end_of_a_long_name_begins_with_a_whole_part() {
    let tail = "/a".repeat(MAX_NAME / 2);
    for (name, shown) in [
        // A root, a way up, and half a part would be left by themselves.
        (format!("long{tail}"), &tail[1..]),
        (format!("long..{}", &tail[2..]), &tail[3..]),
        (format!("a/{}", "b".repeat(2 * MAX_NAME)), &*"b".repeat(MAX_NAME)),
        (format!("a/{}", "b".repeat(MAX_NAME - 2)), &*format!("a/{}", "b".repeat(MAX_NAME - 2))),
    ] {
        assert_eq!(harmless(name.as_bytes()).as_deref(), Some(shown));
    }
}

#[test]
fn members_are_read_from_every_kind_and_their_names_are_harmless() {
    let tar = tar_of(&FILES);
    let zstd = zstd::encode_all(tar.as_slice(), 1).unwrap();
    for (archive, kind) in [
        (zip_of(&FILES), Kind::Zip),
        (tar.clone(), Kind::Tar),
        (gzip(&tar), Kind::TarGzip),
        (zstd, Kind::TarZstd),
    ] {
        assert_eq!(kind_of(&mut Cursor::new(&archive)).unwrap(), Some(kind));
        let (found, ended) = told(&archive);
        ended.unwrap();
        let expected = [("dir/a.json", "{}"), ("etc/ [31mb.csv", "id")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(found, expected, "{kind:?}");
    }
}

#[test]
fn what_is_no_archive_of_files_is_none() {
    for bytes in [&b"{}"[..], b"", b"PK", &gzip(b"cve,epss"), &gzip(b""), &[0x1f, 0x8b, 8, 0xff]] {
        assert_eq!(kind_of(&mut Cursor::new(bytes)).unwrap(), None);
    }
}

#[test]
fn a_member_that_is_too_large_is_refused_and_the_next_one_is_read() {
    let size = usize::try_from(MAX_MEMBER).unwrap();
    // Numbers, so that it packs about as well as text and the ratio is not what stops it.
    let numbers: Vec<u8> = (0..64 * 1024_u32).flat_map(u32::to_le_bytes).collect();
    let large = numbers.repeat(size / numbers.len() + 1);
    let files: [(&str, &[u8]); 2] = [("large.json", &large), ("small.json", b"{}")];
    for archive in [zip_of(&files), gzip(&tar_of(&files))] {
        let (found, ended) = told(&archive);
        ended.unwrap();
        assert_eq!(found[0], ("large.json".into(), "it is larger than 32 MiB".into()));
        assert_eq!(found[1], ("small.json".into(), "{}".into()));
    }
}

#[test]
fn bombs_end_at_their_ratio() {
    let zeros = vec![0_u8; 24 * 1024 * 1024];
    let files: Vec<(String, &[u8])> = (0..8).map(|it| (format!("{it}.json"), zeros.as_slice())).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, it)| (name.as_str(), *it)).collect();
    for archive in [zip_of(&files), gzip(&tar_of(&files))] {
        let (found, ended) = told(&archive);
        assert_eq!(ended.unwrap_err(), "it unpacks to more than 150 times its size; the rest is not read");
        assert!(found.len() < files.len(), "{} members were read", found.len());
    }
}

#[test]
fn an_archive_inside_an_archive_is_not_opened() {
    let inner = zip_of(&[("a.json", b"{}")]);
    let (found, ended) = told(&zip_of(&[("inner.zip", &inner), ("b.json", b"{}")]));
    ended.unwrap();
    assert_eq!(found[0].1, "it is an archive inside an archive, which is not opened");
    assert_eq!(found[1].0, "b.json");
}

#[test]
fn a_header_that_never_ends_is_not_kept() {
    // A name that claims to be 200 MiB long.
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::GNULongName);
    header.set_size(200 * 1024 * 1024);
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    archive.resize(archive.len() + 8 * 1024 * 1024, b'a');
    let (found, ended) = told(&gzip(&archive));
    assert!(found.is_empty());
    assert_eq!(ended.unwrap_err(), "the archive cannot be read: a header is longer than any header is");
}

#[test]
fn links_and_devices_are_no_files() {
    let mut builder = ::tar::Builder::new(Vec::new());
    for kind in
        [::tar::EntryType::Symlink, ::tar::EntryType::Link, ::tar::EntryType::Char, ::tar::EntryType::Fifo]
    {
        let mut header = ::tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder.append_link(&mut header, "passwd", "/etc/passwd").unwrap();
    }
    let (found, ended) = told(&builder.into_inner().unwrap());
    assert_eq!((found, ended), (Vec::new(), Ok(())));
}

#[test]
fn a_damaged_archive_keeps_what_was_read_before() {
    let archive = tar_of(&[("a.json", b"{}"), ("b.json", b"{}")]);
    let (found, ended) = told(&archive[..512 + 512 + 300]);
    assert_eq!(found.len(), 1);
    assert!(ended.unwrap_err().starts_with("the archive cannot be read: "));
    let zip = zip_of(&[("a.json", b"{}")]);
    let (found, ended) = told(&zip[..zip.len() - 10]);
    assert!(found.is_empty() && ended.is_err());
}

#[test]
fn the_receiver_may_end_it() {
    let archive = zip_of(&[("a.json", b"{}"), ("b.json", b"{}")]);
    let mut seen = 0;
    let receive = |_| {
        seen += 1;
        ControlFlow::Break(())
    };
    read(Kind::Zip, || Ok(Cursor::new(&archive)), |_| true, receive).unwrap();
    assert_eq!(seen, 1);
}
