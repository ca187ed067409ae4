//! What measures the diode carrier: objects that say which they are, both ends, and two kinds of hostile line.
//!
//! Both ends make the same bytes from the number of an object, so the receiving one compares every object that
//! arrives without having been told of any.

mod ends;
mod figures;
mod hostile;

use holdpoint_collector::carrier::diode::{
    InvalidProfile, KeyError, Keys, LockDownError, ReceiveError, Refused, WireError,
};

use crate::mutation::Numbers;

pub use ends::{Receive, Send};
pub use figures::{Figures, peak_kib};
pub use hostile::{Flood, Parts, Storm};

/// Number of the key of every test.
pub const KEY: u8 = 1;
/// Bytes of an object that say which it is.
const NUMBER: usize = 8;

/// Why a run gives no figures.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The profile that was typed.
    #[error(transparent)]
    Profile(#[from] InvalidProfile),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The sending socket.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The receiving socket.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// The line takes nothing.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The receiver could still send.
    #[error(transparent)]
    LockDown(#[from] LockDownError),
    /// A plain socket.
    #[error("cannot open a socket")]
    Socket(#[from] std::io::Error),
    /// A finding.
    #[error(transparent)]
    Misjudged(#[from] hostile::Misjudged),
    /// No datagram came.
    #[error("nothing arrived within {0:?}")]
    Silence(std::time::Duration),
}

/// The link key that everybody knows.
///
/// # Errors
/// Never: it is one key.
pub fn keys() -> Result<Keys, KeyError> {
    Keys::new(&[(KEY, [0x42; 32])])
}

/// Makes objects of one length that differ in their number alone, so that making them costs next to nothing.
#[derive(Debug, Clone)]
pub struct Objects(Vec<u8>);

impl Objects {
    /// Objects of so many bytes.
    pub fn of(length: usize) -> Self {
        let mut bytes = vec![0; length];
        Numbers::from_seed(1).fill(&mut bytes);
        Self(bytes)
    }

    /// The object of a number. A length below eight bytes has room for fewer numbers.
    pub fn make(&mut self, number: u64) -> &[u8] {
        for (to, from) in self.0.iter_mut().zip(number.to_le_bytes()) {
            *to = from;
        }
        &self.0
    }

    /// The number of an object; `None` when it is none of these.
    pub fn number(&self, object: &[u8]) -> Option<u64> {
        let rest = self.0.get(NUMBER..).unwrap_or_default();
        let mut number = [0; NUMBER];
        for (to, from) in number.iter_mut().zip(object) {
            *to = *from;
        }
        let same = object.len() == self.0.len() && object.get(NUMBER..).unwrap_or_default() == rest;
        same.then_some(u64::from_le_bytes(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_known_by_its_number_and_a_damaged_one_is_not() {
        for length in [3, 8, 5_000] {
            let mut objects = Objects::of(length);
            let object = objects.make(77).to_vec();
            assert_eq!(objects.number(&object), Some(77));
            assert_eq!(objects.number(&object[1..]), None);
        }
        let mut objects = Objects::of(5_000);
        let mut object = objects.make(77).to_vec();
        object[4_999] ^= 1;
        assert_eq!(objects.number(&object), None);
    }
}
