//! Zip, by its directory, one entry at a time: memory does not grow with the number of entries.

use std::io::{Read, Seek};
use std::ops::ControlFlow;

use zip::ZipReadOptions;
use zip::read::Config;
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::{Counts, InvalidArchive, Member, content, harmless, shown};

impl From<ZipError> for InvalidArchive {
    fn from(error: ZipError) -> Self {
        Self::Read(shown(&error.to_string()))
    }
}

pub(super) fn read<R: Read + Seek>(
    directory: R,
    mut bodies: R,
    counts: &mut Counts,
    wanted: &impl Fn(&str) -> bool,
    receive: &mut impl FnMut(Member) -> ControlFlow<()>,
) -> Result<(), InvalidArchive> {
    let mut archive = ZipIterable::try_new(directory, Config::default())?;
    for entry in archive.files()? {
        // A directory that is damaged ends here: what it would have named is not known.
        let entry = entry?;
        counts.member()?;
        let is_file = entry.is_file();
        let Some(name) = harmless(entry.name_raw()).filter(|it| is_file && wanted(it)) else { continue };
        let content = match entry.with_reader(&mut bodies, ZipReadOptions::default()) {
            Ok(member) => content(member, counts)?,
            Err(error) => Err(format!("it cannot be unpacked: {}", shown(&error.to_string()))),
        };
        if receive(Member { name, content }).is_break() {
            break;
        }
    }
    Ok(())
}
