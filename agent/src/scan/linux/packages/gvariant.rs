//! The one record in `GVariant` form that is read: flatpak's `deploy`, of type `(ssasta{sv})`.
//!
//! Source of truth: `GLib`'s "`GVariant` serialisation" (framing offsets at the end of each
//! container, as wide as its size needs, little-endian) and flatpak's `flatpak_deploy_data`:
//! origin, commit, subpaths, installed size, metadata. Only `appdata-version` is taken out.

/// The application's version in a deployment record; `None` when it has none.
///
/// # Errors
/// The bytes are no such record; says so.
pub(super) fn deployed_version(bytes: &[u8]) -> Result<Option<String>, String> {
    let broken = || "it is no deployment record".to_owned();
    let metadata = metadata(bytes).ok_or_else(broken)?;
    let entries = array(metadata).ok_or_else(broken)?;
    for entry in entries {
        let (key, value) = dictionary_entry(entry).ok_or_else(broken)?;
        if key == b"appdata-version" {
            return Ok(text_of_variant(value).and_then(crate::scan::look::said));
        }
    }
    Ok(None)
}

/// The bytes of the last member of `(ssasta{sv})`.
fn metadata(bytes: &[u8]) -> Option<&[u8]> {
    let width = width_of(bytes.len());
    // One offset for each member that is not fixed, the last member left out; the first one last.
    let end_of_body = bytes.len().checked_sub(3 * width)?;
    let end_of_subpaths = offset(bytes, end_of_body, width)?;
    let size = end_of_subpaths.checked_next_multiple_of(8)?;
    // The installed size is fixed and 8 bytes long, and the array is aligned to 8 as well.
    bytes.get(size.checked_add(8)?..end_of_body)
}

/// The elements of an array whose elements are not fixed and aligned to 8.
fn array(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let width = width_of(bytes.len());
    // The last element ends where the offsets begin.
    let table = offset(bytes, bytes.len().checked_sub(width)?, width)?;
    let offsets = bytes.get(table..)?;
    if !offsets.len().is_multiple_of(width) {
        return None;
    }
    let mut start = 0_usize;
    let mut elements = Vec::with_capacity(offsets.len() / width);
    for at in (table..bytes.len()).step_by(width) {
        let end = offset(bytes, at, width)?;
        elements.push(bytes.get(start.checked_next_multiple_of(8)?..end)?);
        start = end;
    }
    Some(elements)
}

/// Key and value of `{sv}`.
fn dictionary_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let width = width_of(bytes.len());
    let end_of_body = bytes.len().checked_sub(width)?;
    let end_of_key = offset(bytes, end_of_body, width)?;
    let key = bytes.get(..end_of_key)?.strip_suffix(b"\0")?;
    let value = bytes.get(end_of_key.checked_next_multiple_of(8)?..end_of_body)?;
    Some((key, value))
}

/// The text of a variant that holds one: text, 0, then 0 and the type `s`.
fn text_of_variant(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes.strip_suffix(b"\0\0s")?).ok()
}

/// How wide the offsets of a container of that size are.
fn width_of(bytes: usize) -> usize {
    if u8::try_from(bytes).is_ok() {
        1
    } else if u16::try_from(bytes).is_ok() {
        2
    } else {
        4
    }
}

fn offset(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let digits = bytes.get(at..at.checked_add(width)?)?;
    Some(digits.iter().rev().fold(0, |value, digit| value << 8 | usize::from(*digit)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lays members out as `GVariant` does: each aligned, then the given ends, last one first.
    struct Container(Vec<u8>, Vec<usize>);

    impl Container {
        fn new() -> Self {
            Self(Vec::new(), Vec::new())
        }

        fn put(&mut self, align: usize, bytes: &[u8], has_offset: bool) {
            self.0.resize(self.0.len().next_multiple_of(align), 0);
            self.0.extend_from_slice(bytes);
            if has_offset {
                self.1.push(self.0.len());
            }
        }

        fn finish(mut self, is_array: bool) -> Vec<u8> {
            if !is_array {
                self.1.reverse();
            }
            let width =
                [1, 2, 4].into_iter().find(|it| width_of(self.0.len() + it * self.1.len()) == *it).unwrap();
            for end in self.1 {
                self.0.extend_from_slice(&u32::try_from(end).unwrap().to_le_bytes()[..width]);
            }
            self.0
        }
    }

    fn entry(key: &str, value: &str) -> Vec<u8> {
        let mut entry = Container::new();
        entry.put(1, format!("{key}\0").as_bytes(), true);
        entry.put(8, format!("{value}\0\0s").as_bytes(), false);
        entry.finish(false)
    }

    /// A deployment record as flatpak writes it.
    pub(in super::super) fn deploy(commit: &str, version: Option<&str>) -> Vec<u8> {
        let mut metadata = Container::new();
        metadata.put(8, &entry("appdata-name", "Operator station"), true);
        if let Some(version) = version {
            metadata.put(8, &entry("appdata-version", version), true);
        }
        metadata.put(8, &entry("runtime", "org.freedesktop.Platform/x86_64/23.08"), true);
        let mut record = Container::new();
        record.put(1, b"flathub\0", true);
        record.put(1, format!("{commit}\0").as_bytes(), true);
        record.put(1, b"", true);
        record.put(8, &123_456_u64.to_be_bytes(), false);
        record.put(8, &metadata.finish(true), false);
        record.finish(false)
    }

    #[test]
    fn the_version_is_found_in_short_and_long_records() {
        for version in ["1", "4.2.1", &"9".repeat(300), &"9".repeat(70_000)] {
            assert_eq!(deployed_version(&deploy("c", Some(version))).unwrap().as_deref(), Some(version));
        }
        assert_eq!(deployed_version(&deploy("c", None)), Ok(None));
    }

    #[test]
    fn a_record_of_glib_itself_reads_the_same() {
        // GLib.Variant('(ssasta{sv})', ('flathub', 'abc', [], 7, {'appdata-version': GLib.Variant('s', '1.2')}))
        let bytes =
            b"flathub\0abc\0\0\0\0\0\x07\0\0\0\0\0\0\0appdata-version\x001.2\0\0s\x10\x17\x0c\x0c\x08";
        assert_eq!(deployed_version(bytes).unwrap().as_deref(), Some("1.2"));
    }

    #[test]
    fn what_is_no_record_is_said_to_be_none() {
        for bytes in [&b""[..], b"x", b"not a record at all", &[255; 40]] {
            assert!(deployed_version(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_damage_panics(at in 0..300_usize, byte in any::<u8>(), end in 0..400_usize) {
            let mut bytes = deploy("0123", Some("4.2.1"));
            let length = bytes.len();
            bytes[at % length] = byte;
            let _ = deployed_version(&bytes);
            let _ = deployed_version(&bytes[..end.min(length)]);
        }
    }
}
