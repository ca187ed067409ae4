//! Program files are made here: no file of somebody else's is needed to test the reading of them.

use super::*;
use proptest::prelude::*;

/// Where the resources of a made file are, in the file and when it is loaded.
const OFFSET: u32 = 0x200;
const ADDRESS: u32 = 0x1000;

fn block(key: &str, value: &[u8], is_text: bool, children: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; 6];
    out.extend(key.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(value);
    for child in children {
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(child);
    }
    let length = u16::try_from(out.len()).unwrap().to_le_bytes();
    let units = if is_text { value.len() / 2 } else { value.len() };
    out[..2].copy_from_slice(&length);
    out[2..4].copy_from_slice(&u16::try_from(units).unwrap().to_le_bytes());
    out[4] = u8::from(is_text);
    out
}

fn string(key: &str, value: &str) -> Vec<u8> {
    let bytes: Vec<u8> = value.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    block(key, &bytes, true, &[])
}

fn resource(version: [u16; 4], texts: &[(&str, &str)]) -> Vec<u8> {
    let mut fixed = vec![0_u8; 52];
    fixed[..4].copy_from_slice(&0xfeef_04bd_u32.to_le_bytes());
    for at in [8, 16] {
        for (number, part) in [version[1], version[0], version[3], version[2]].iter().enumerate() {
            fixed[at + number * 2..at + number * 2 + 2].copy_from_slice(&part.to_le_bytes());
        }
    }
    let texts: Vec<Vec<u8>> = texts.iter().map(|(key, value)| string(key, value)).collect();
    let table = block("040704B0", &[], true, &texts);
    block("VS_VERSION_INFO", &fixed, false, &[block("StringFileInfo", &[], true, &[table])])
}

/// A program of one section, which holds its resources: two languages, of which English says the version.
fn program_of(resource: &[u8], is_wide: bool) -> Vec<u8> {
    let mut file = vec![0_u8; 0x80];
    file[..2].copy_from_slice(b"MZ");
    file[60] = 0x80;
    let directories = if is_wide { 112 } else { 96 };
    let optional = directories + 16 * 8;
    file.extend(b"PE\0\0\x64\x86\x01\0");
    file.extend([0; 12]);
    file.extend(u16::try_from(optional).unwrap().to_le_bytes());
    file.extend([0; 2]);
    let mut header = vec![0_u8; optional];
    header[..2].copy_from_slice(&(if is_wide { 0x20b_u16 } else { 0x10b }).to_le_bytes());
    header[directories - 4] = 16;
    header[directories + 16..directories + 20].copy_from_slice(&ADDRESS.to_le_bytes());
    file.extend(header);
    let mut section = vec![0_u8; 40];
    section[..5].copy_from_slice(b".rsrc");
    section[12..16].copy_from_slice(&ADDRESS.to_le_bytes());
    section[16..20].copy_from_slice(&0x8000_u32.to_le_bytes());
    section[20..24].copy_from_slice(&OFFSET.to_le_bytes());
    file.extend(section);
    file.resize(OFFSET as usize, 0);
    let directory = |entries: &[(u32, u32)]| {
        let mut out = vec![0_u8; 16];
        out[14] = u8::try_from(entries.len()).unwrap();
        out.extend(entries.iter().flat_map(|(id, to)| [id.to_le_bytes(), to.to_le_bytes()].concat()));
        out
    };
    file.extend(directory(&[(3, IS_DIRECTORY | 0x7000), (RT_VERSION, IS_DIRECTORY + 32)]));
    file.extend(directory(&[(1, IS_DIRECTORY + 56)]));
    file.extend(directory(&[(0x0407, 104), (PREFERRED_LANGUAGE, 88)]));
    for length in [resource.len(), 0] {
        file.extend((ADDRESS + 0x100).to_le_bytes());
        file.extend(u32::try_from(length).unwrap().to_le_bytes());
        file.extend([0; 8]);
    }
    file.resize(OFFSET as usize + 0x100, 0);
    file.extend(resource);
    file
}

/// A program that says this version and who made it.
pub(in crate::scan) fn program(version: [u16; 4], company: &str) -> Vec<u8> {
    program_of(&resource(version, &[("CompanyName", company)]), true)
}

#[test]
fn a_program_says_its_version_and_its_maker_in_both_widths() {
    let texts = [
        ("CompanyName", "Müller Anlagenbau 測試"),
        ("FileDescription", "Prüfstand"),
        ("FileVersion", "10.0.19041.1 (WinBuild.160101.0800)"),
        ("ProductName", " "),
    ];
    for is_wide in [true, false] {
        let file = program_of(&resource([10, 0, 19_041, 5_129], &texts), is_wide);
        let found = read(file.as_slice()).unwrap().unwrap();
        assert_eq!(found.file_version.as_deref(), Some("10.0.19041.5129"), "its numbers, not its text");
        assert_eq!(found.product_version.as_deref(), Some("10.0.19041.5129"));
        assert_eq!(found.company.as_deref(), Some("Müller Anlagenbau 測試"));
        assert_eq!((found.description.as_deref(), found.product), (Some("Prüfstand"), None));
    }
}

#[test]
fn what_is_no_program_has_no_version_and_is_no_error() {
    let good = program([1, 2, 3, 4], "x");
    let mut foreign = good.clone();
    foreign[0x80] = b'N';
    let mut without_resources = good.clone();
    without_resources[0x80 + 24 + 112 + 16..][..4].fill(0);
    for file in [b"".as_slice(), b"MZ", &[0; 4_096], &foreign, &without_resources] {
        assert_eq!(read(file).unwrap(), None);
    }
    for cut in [10, 0x90, 0x180, 0x210, 0x230, 0x260, 0x300, good.len() - 1] {
        assert_eq!(read(&good[..cut]).unwrap(), None, "cut after {cut} bytes");
    }
}

#[test]
fn four_zeros_are_no_version() {
    let found = read(program([0; 4], "Vendor").as_slice()).unwrap().unwrap();
    assert_eq!((found.file_version, found.company.as_deref()), (None, Some("Vendor")));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    struct Sick;
    impl Source for Sick {
        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Err(io::Error::other("the disk is sick"))
        }
    }
    assert!(read(&Sick).is_err());
}

#[test]
fn a_directory_that_leads_to_itself_ends() {
    let mut file = program([1, 2, 3, 4], "x");
    // The language's entries lead back to the first directory.
    let languages = OFFSET as usize + 56 + 16;
    for entry in [4, 12] {
        file[languages + entry..languages + entry + 4].copy_from_slice(&IS_DIRECTORY.to_le_bytes());
    }
    assert_eq!(read(file.as_slice()).unwrap(), None);
}

#[test]
fn a_giant_claim_reserves_nothing() {
    let mut file = program([1, 2, 3, 4], "x");
    let length = OFFSET as usize + 88 + 4;
    file[length..length + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(read(file.as_slice()).unwrap(), None);
}

proptest! {
    #[test]
    fn no_damage_panics(at in 0_usize..0x400, byte in any::<u8>(), cut in 0_usize..0x400) {
        let mut file = program([1, 2, 3, 4], "Vendor");
        let length = file.len();
        file[at % length] = byte;
        let _ = read(file.as_slice());
        let _ = read(&file[..cut.min(length)]);
    }
}
