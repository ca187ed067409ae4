//! The archive around the members: zip as its first version wrote it, every byte decided.
//!
//! Any program that opens zip opens it. Members are stored as they are, in the order of their names, with one fixed
//! date, without attributes, extra fields or comments; so the members alone decide every byte, and [`read`] refuses
//! a file with any other. Written here and not by a library: a pack has to be the same in ten years.
//!
//! ```text
//! for each member   local header (30 bytes), name, bytes
//! for each member   directory entry (46 bytes), name
//! end               directory's size and place (22 bytes)
//! ```

use flate2::Crc;

use super::member::Member;
use super::shown;

/// Largest file, in bytes.
pub const MAX_PACK: usize = 1024 * 1024 * 1024;
/// Most members; one more and zip needs another form.
pub const MAX_MEMBERS: usize = 65_534;

const LOCAL: u32 = 0x0403_4b50;
const DIRECTORY: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// What it takes to read it: 1.0, stored files alone.
const VERSION: u16 = 10;
/// 1 January 1980, the oldest date that zip knows.
const DATE: u16 = 0x21;
/// Bytes of a local header before the name.
const LOCAL_BYTES: usize = 30;

/// Why bytes are no archive of this form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContainer {
    /// Over [`MAX_PACK`].
    #[error("the file has more than {MAX_PACK} bytes")]
    TooLarge,
    /// Over [`MAX_MEMBERS`].
    #[error("the file has more than {MAX_MEMBERS} members")]
    TooMany,
    /// Ends inside a member, or does not begin as one.
    #[error("the file is no evidence, or is cut off or damaged at byte {0}")]
    Cut(usize),
    /// A name that no member has.
    #[error("the file holds `{0}`, which belongs into no evidence")]
    Name(String),
    /// A member over its limit.
    #[error("`{0}` is larger than it may be")]
    Size(Member),
    /// Not in the order of names, or twice.
    #[error("`{0}` stands in the wrong place, or is there twice")]
    Order(Member),
    /// Something beside the members differs.
    #[error("byte {0} of the file is not what its members make it: it was changed after it was written")]
    NotCanonical(usize),
}

/// Writes members, which are in order, as one file.
///
/// # Errors
/// They are too many or too large, or not in order.
pub fn write<B: AsRef<[u8]>>(members: &[(Member, B)]) -> Result<Vec<u8>, InvalidContainer> {
    let size: usize = members.iter().map(|it| it.1.as_ref().len() + 256).sum();
    let mut file = Vec::with_capacity(size.min(MAX_PACK));
    lay_out(members, &mut |piece| {
        if file.len() + piece.len() > MAX_PACK {
            return Err(InvalidContainer::TooLarge);
        }
        file.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(file)
}

/// Reads a file that [`write()`] could have written.
///
/// # Errors
/// It is over a limit, or any byte is another.
pub fn read(file: &[u8]) -> Result<Vec<(Member, &[u8])>, InvalidContainer> {
    if file.len() > MAX_PACK {
        return Err(InvalidContainer::TooLarge);
    }
    let mut members = Vec::new();
    let mut at = 0;
    while let Some((member, bytes, end)) = next(file, at)? {
        if members.len() == MAX_MEMBERS {
            return Err(InvalidContainer::TooMany);
        }
        members.push((member, bytes));
        at = end;
    }
    let mut rest = file;
    lay_out(&members, &mut |piece| match rest.split_at_checked(piece.len()) {
        Some((head, tail)) if head == piece => {
            rest = tail;
            Ok(())
        }
        _ => {
            let same = rest.iter().zip(piece).take_while(|(one, two)| one == two).count();
            Err(InvalidContainer::NotCanonical(file.len() - rest.len() + same))
        }
    })?;
    if rest.is_empty() { Ok(members) } else { Err(InvalidContainer::NotCanonical(file.len() - rest.len())) }
}

type Found<'a> = (Member, &'a [u8], usize);

/// The member whose local header stands at `at`, and where the next one begins; `None` at the directory.
fn next(file: &[u8], at: usize) -> Result<Option<Found<'_>>, InvalidContainer> {
    let cut = || InvalidContainer::Cut(at);
    let header = file.get(at..).ok_or_else(cut)?;
    let (signature, _) = header.split_first_chunk::<4>().ok_or_else(cut)?;
    match u32::from_le_bytes(*signature) {
        LOCAL => {}
        DIRECTORY => return Ok(None),
        _ => return Err(cut()),
    }
    let (header, rest) = header.split_first_chunk::<LOCAL_BYTES>().ok_or_else(cut)?;
    let [.., s0, s1, s2, s3, n0, n1, _, _] = *header;
    let size = usize::try_from(u32::from_le_bytes([s0, s1, s2, s3])).unwrap_or(usize::MAX);
    let length = usize::from(u16::from_le_bytes([n0, n1]));
    let (name, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    let name = String::from_utf8_lossy(name);
    let member = Member::named(&name).ok_or_else(|| InvalidContainer::Name(shown(&name)))?;
    if size > member.max_bytes() {
        return Err(InvalidContainer::Size(member));
    }
    let (bytes, _) = rest.split_at_checked(size).ok_or_else(cut)?;
    Ok(Some((member, bytes, at + LOCAL_BYTES + length + size)))
}

/// Says every piece of the file, in order.
fn lay_out<B: AsRef<[u8]>>(
    members: &[(Member, B)],
    put: &mut impl FnMut(&[u8]) -> Result<(), InvalidContainer>,
) -> Result<(), InvalidContainer> {
    if members.len() > MAX_MEMBERS {
        return Err(InvalidContainer::TooMany);
    }
    if let Some((_, (member, _))) =
        members.iter().zip(members.iter().skip(1)).find(|(one, two)| one.0 >= two.0)
    {
        return Err(InvalidContainer::Order(*member));
    }
    let small = |it: usize| u32::try_from(it).map_err(|_| InvalidContainer::TooLarge);
    let mut directory = Vec::new();
    let mut place = 0_usize;
    for (member, bytes) in members {
        let bytes = bytes.as_ref();
        if bytes.len() > member.max_bytes() {
            return Err(InvalidContainer::Size(*member));
        }
        let name = member.to_string();
        let mut crc = Crc::new();
        crc.update(bytes);
        let mut shared = Vec::new();
        // Version needed, flags, method (stored), time, date.
        for it in [VERSION, 0, 0, 0, DATE] {
            shared.extend_from_slice(&it.to_le_bytes());
        }
        for it in [crc.sum(), small(bytes.len())?, small(bytes.len())?] {
            shared.extend_from_slice(&it.to_le_bytes());
        }
        let length = u16::try_from(name.len()).map_err(|_| InvalidContainer::TooLarge)?;
        // Length of the name, and of the extra field that is not there.
        shared.extend_from_slice(&length.to_le_bytes());
        shared.extend_from_slice(&[0; 2]);
        put(&LOCAL.to_le_bytes())?;
        put(&shared)?;
        put(name.as_bytes())?;
        put(bytes)?;
        directory.extend_from_slice(&DIRECTORY.to_le_bytes());
        directory.extend_from_slice(&VERSION.to_le_bytes());
        directory.extend_from_slice(&shared);
        // No comment, first disk, no attributes.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&small(place)?.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
        place += LOCAL_BYTES + name.len() + bytes.len();
    }
    put(&directory)?;
    let count = u16::try_from(members.len()).map_err(|_| InvalidContainer::TooMany)?.to_le_bytes();
    put(&END.to_le_bytes())?;
    put(&[0; 4])?;
    put(&count)?;
    put(&count)?;
    put(&small(directory.len())?.to_le_bytes())?;
    put(&small(place)?.to_le_bytes())?;
    put(&[0; 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Vec<(Member, Vec<u8>)> {
        vec![
            (Member::Audit, b"entries".to_vec()),
            (Member::Manifest, Vec::new()),
            (Member::Plan, b"title = 'a'".to_vec()),
        ]
    }

    #[test]
    fn what_is_written_is_read_by_us_and_by_everybody() {
        let file = write(&members()).unwrap();
        let read: Vec<(Member, Vec<u8>)> =
            super::read(&file).unwrap().into_iter().map(|(name, bytes)| (name, bytes.to_vec())).collect();
        assert_eq!(read, members());

        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(file)).unwrap();
        assert_eq!(archive.len(), 3);
        for (name, bytes) in members() {
            let mut found = Vec::new();
            std::io::Read::read_to_end(&mut archive.by_name(&name.to_string()).unwrap(), &mut found).unwrap();
            assert_eq!(found, bytes);
        }
    }

    #[test]
    fn no_byte_can_be_another_one() {
        let file = write(&members()).unwrap();
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                assert!(read(&changed).is_err(), "byte {at}, bit {bit}");
            }
            assert!(read(&file[..at]).is_err(), "cut off at {at}");
            let mut longer = file.clone();
            longer.insert(at, file[at]);
            assert!(read(&longer).is_err(), "a byte more at {at}");
        }
        assert!(read(&[&file[..], b"\0"].concat()).is_err());
        assert!(read(&[b"\0", &file[..]].concat()).is_err());
        assert!(read(b"").is_err());
    }

    #[test]
    fn other_archives_are_refused_by_name_order_or_size() {
        let twice = [(Member::Plan, b""), (Member::Plan, b"")];
        assert_eq!(write(&twice), Err(InvalidContainer::Order(Member::Plan)));
        let large = [(Member::Signature, [0; 65])];
        assert_eq!(write(&large), Err(InvalidContainer::Size(Member::Signature)));
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file("../plan.toml", stored).unwrap();
        let file = writer.finish().unwrap().into_inner();
        assert_eq!(read(&file), Err(InvalidContainer::Name("../plan.toml".into())));
    }
}
