//! An enrolment that an installer ordered: `enroll.ini` in the state directory, carried out and deleted by
//! the service.
//!
//! ```text
//! [enroll]
//! collector=collector.plant.example:7443
//! token=hp1....
//! ```
//! An installer can write such a file and need not start a program. The directory's access list is for
//! administrators and the service alone, and the file is gone as soon as its token is used, refused, or not needed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::token::{InvalidToken, Token};
use zeroize::Zeroizing;

/// Name of the file in the state directory.
pub const FILE: &str = "enroll.ini";
/// Largest order that is read, bytes.
const MAX_BYTES: u64 = 16 * 1024;

/// An enrolment to be made.
#[derive(Debug)]
pub struct Order {
    /// `HOST:PORT`.
    pub collector: String,
    /// The token.
    pub token: Token,
}

/// Why an order cannot be carried out as it is.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The file cannot be read.
    #[error("cannot read {FILE}")]
    Read(#[source] io::Error),
    /// It names no collector or no token.
    #[error("{FILE} names no {what}: install again with COLLECTOR=HOST:PORT and TOKEN=...")]
    Missing {
        /// "collector" or "token".
        what: &'static str,
    },
    /// The token is no token.
    #[error("the token in {FILE} is not usable")]
    Token(#[from] InvalidToken),
}

/// The order that waits in a state directory; `None` when there is none.
///
/// # Errors
/// There is one, and it is not usable.
pub fn waiting(state: &Path) -> Result<Option<Order>, OrderError> {
    let mut bytes = Zeroizing::new(Vec::new());
    match File::open(state.join(FILE)) {
        Ok(file) => file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(OrderError::Read)?,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(OrderError::Read(cause)),
    };
    parse(&Zeroizing::new(text(&bytes))).map(Some)
}

/// Writes an order.
///
/// # Errors
/// The directory cannot be written to.
pub fn place(state: &Path, collector: &str, token: &str) -> io::Result<()> {
    let text = Zeroizing::new(format!("[enroll]\r\ncollector={collector}\r\ntoken={token}\r\n"));
    atomic_file::replace(&state.join(FILE), text.as_bytes(), Readable::Owner)
}

/// Deletes the order; nothing when there is none.
///
/// # Errors
/// The directory cannot be written to.
pub fn discard(state: &Path) -> io::Result<()> {
    match fs::remove_file(state.join(FILE)) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn parse(text: &str) -> Result<Order, OrderError> {
    let value = |name: &'static str| {
        let mut lines = text.lines().filter_map(|it| it.split_once('='));
        let found = lines.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        let found = found.map(|(_, value)| value.trim().trim_matches('"')).filter(|it| !it.is_empty());
        found.ok_or(OrderError::Missing { what: name })
    };
    Ok(Order { collector: value("collector")?.to_owned(), token: value("token")?.parse()? })
}

/// The text of a file that Windows wrote: UTF-16 with a byte-order mark, or bytes of which only ASCII matters.
fn text(bytes: &[u8]) -> String {
    match bytes.strip_prefix(&[0xff, 0xfe]) {
        Some(wide) => {
            let units = wide.chunks_exact(2).map(|it| u16::from_le_bytes([it[0], it[1]]));
            char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        None => {
            String::from_utf8_lossy(bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes)).into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = concat!(
        "hp1.",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    );

    /// A state directory in which that was written.
    fn written(bytes: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), bytes).unwrap();
        dir
    }

    #[test]
    fn an_order_is_read_as_windows_writes_it() {
        let plain = format!("[enroll]\r\ncollector=c.plant:7443\r\ntoken={TOKEN}\r\n");
        let wide: Vec<u8> =
            [0xfeff_u16].into_iter().chain(plain.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let marked = [b"\xef\xbb\xbf", plain.as_bytes()].concat();
        for bytes in [
            plain.as_bytes(),
            &wide,
            &marked,
            format!("TOKEN = {TOKEN}\nCollector = c.plant:7443").as_bytes(),
        ] {
            assert_eq!(waiting(written(bytes).path()).unwrap().unwrap().collector, "c.plant:7443");
        }
    }

    #[test]
    fn what_was_placed_waits_until_it_is_discarded() {
        let dir = tempfile::tempdir().unwrap();
        assert!(waiting(dir.path()).unwrap().is_none());
        place(dir.path(), "c:1", TOKEN).unwrap();
        assert_eq!(waiting(dir.path()).unwrap().unwrap().collector, "c:1");
        discard(dir.path()).unwrap();
        discard(dir.path()).unwrap();
        assert!(waiting(dir.path()).unwrap().is_none());
    }

    #[test]
    fn an_order_without_a_part_says_which_one_and_never_shows_the_token() {
        let missing = |text: &str| waiting(written(text.as_bytes()).path()).unwrap_err();
        assert!(matches!(
            missing("[enroll]\ncollector=\ntoken=x"),
            OrderError::Missing { what: "collector" }
        ));
        assert!(matches!(missing("[enroll]\ncollector=a:1\n"), OrderError::Missing { what: "token" }));
        let wrong = missing("collector=a:1\ntoken=hp1.secretsecret\n");
        assert!(matches!(wrong, OrderError::Token(_)));
        assert!(!format!("{wrong:?} {wrong}").contains("secretsecret"));
        for broken in [vec![0xff, 0xfe, 0x00], vec![b'='; 100_000]] {
            assert!(waiting(written(&broken).path()).is_err());
        }
    }
}
