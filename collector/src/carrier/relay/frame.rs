//! A frame: 4 bytes of length, big-endian, and so many bytes of one object.

use holdpoint_common::bundle::MAX_OBJECT;

/// Bytes before an object.
pub const HEADER: usize = 4;

/// A length that no object has. What follows cannot be told from anything, so the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes, and an object has 1 to {MAX_OBJECT}")]
pub struct InvalidFrame(pub u64);

/// What stands before an object of this length.
///
/// # Errors
/// No object has it.
pub fn header(length: usize) -> Result<[u8; HEADER], InvalidFrame> {
    let found = InvalidFrame(u64::try_from(length).unwrap_or(u64::MAX));
    let length = u32::try_from(length).map_err(|_| found)?;
    self::length(length.to_be_bytes()).map(|_| length.to_be_bytes())
}

/// The length that a header states.
///
/// # Errors
/// No object has it.
pub fn length(header: [u8; HEADER]) -> Result<usize, InvalidFrame> {
    let stated = u32::from_be_bytes(header);
    let length = usize::try_from(stated).unwrap_or(usize::MAX);
    if (1..=MAX_OBJECT).contains(&length) { Ok(length) } else { Err(InvalidFrame(stated.into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_objects_survive_and_others_are_refused() {
        for good in [1, 4096, MAX_OBJECT] {
            assert_eq!(length(header(good).unwrap()), Ok(good));
        }
        assert!(header(0).is_err());
        assert!(header(MAX_OBJECT + 1).is_err());
        assert_eq!(length([0; 4]), Err(InvalidFrame(0)));
        assert_eq!(length([0xff; 4]), Err(InvalidFrame(u64::from(u32::MAX))));
    }
}
