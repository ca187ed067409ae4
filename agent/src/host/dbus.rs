//! The wire format of D-Bus, as far as asking a few questions needs it. Bytes in, bytes out.
//!
//! Source of truth: the D-Bus specification, protocol version 1. Written here and not taken from a
//! crate: two calls with at most one text each and one kind of answer are what the agent needs, while
//! the kept crates bring an async runtime with some forty others (zbus), or `nix`, a derive macro and
//! messages of up to 128 MiB that become a tree of values (rustbus). Here an answer is read in place:
//! what nobody asked for is skipped by its length, so that a hostile bus cannot make 1 MiB grow, and
//! every length, depth and count is checked before it is used.

/// Largest message that is accepted, in bytes. fwupd's answer for 200 devices is some 200 KiB.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// Deepest nesting of containers and variants.
const MAX_DEPTH: usize = 32;
/// Bytes of the fixed part of a header, with the length of its fields.
pub const PROLOGUE: usize = 16;
const VERSION: u8 = 1;

/// Flag of a call that must never start a service.
const NO_AUTO_START: u8 = 0x2;

/// Why bytes are no message, or not the one that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// A length leads beyond the end.
    #[error("the message ends too early")]
    Cut,
    /// Over [`MAX_MESSAGE`].
    #[error("the message has more than {MAX_MESSAGE} bytes")]
    TooLarge,
    /// Neither byte order, or another version of the protocol.
    #[error("this is no message of D-Bus 1")]
    Protocol,
    /// A signature that names no types.
    #[error("the message names its types wrongly")]
    Types,
    /// Over the deepest nesting.
    #[error("the message is nested too deeply")]
    Depth,
    /// A string that is not UTF-8 or does not end where it should.
    #[error("the message has a malformed text")]
    Text,
}

type Read<T> = Result<T, InvalidMessage>;

/// A place in a message, from which values are read in order.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Cursor<'a> {
    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count).ok_or(InvalidMessage::Cut)?;
        let taken = self.bytes.get(self.at..end).ok_or(InvalidMessage::Cut)?;
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, to: usize) -> Read<()> {
        self.take(self.at.next_multiple_of(to) - self.at).map(|_| ())
    }

    fn byte(&mut self) -> Read<u8> {
        self.take(1)?.first().copied().ok_or(InvalidMessage::Cut)
    }

    /// A 32-bit number; a boolean is one too.
    ///
    /// # Errors
    /// The message ends before.
    pub fn u32(&mut self) -> Read<u32> {
        self.align(4)?;
        let bytes = <[u8; 4]>::try_from(self.take(4)?).map_err(|_| InvalidMessage::Cut)?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// The message ends before.
    pub fn u64(&mut self) -> Read<u64> {
        self.align(8)?;
        let bytes = <[u8; 8]>::try_from(self.take(8)?).map_err(|_| InvalidMessage::Cut)?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// A string or an object path.
    ///
    /// # Errors
    /// It is cut, not UTF-8, or has no end.
    pub fn text(&mut self) -> Read<&'a str> {
        let length = self.length()?;
        let text = self.take(length)?;
        self.end_of_text()?;
        std::str::from_utf8(text).map_err(|_| InvalidMessage::Text)
    }

    /// A signature: the types of what follows.
    ///
    /// # Errors
    /// It is cut, not UTF-8, or has no end.
    pub fn signature(&mut self) -> Read<&'a str> {
        let length = usize::from(self.byte()?);
        let text = self.take(length)?;
        self.end_of_text()?;
        std::str::from_utf8(text).map_err(|_| InvalidMessage::Text)
    }

    fn end_of_text(&mut self) -> Read<()> {
        if self.byte()? == 0 { Ok(()) } else { Err(InvalidMessage::Text) }
    }

    fn length(&mut self) -> Read<usize> {
        usize::try_from(self.u32()?).map_err(|_| InvalidMessage::Cut)
    }

    /// An array whose elements have a type that starts so (`{`, `a`, `s`): a cursor over the elements.
    ///
    /// # Errors
    /// It is longer than the message.
    pub fn array(&mut self, element: u8) -> Read<Self> {
        let length = self.length()?;
        self.align(alignment(element)?)?;
        let start = self.at;
        self.take(length)?;
        Ok(Self { bytes: self.bytes.get(..self.at).ok_or(InvalidMessage::Cut)?, at: start, ..*self })
    }

    /// Goes to the next entry of a dictionary, or into a structure.
    ///
    /// # Errors
    /// The message ends before.
    pub fn enter(&mut self) -> Read<()> {
        self.align(8)
    }

    /// Goes over one value of the first type of a signature.
    ///
    /// # Errors
    /// The value or its type is malformed, or nested too deeply.
    pub fn skip(&mut self, signature: &str) -> Read<()> {
        self.skip_one(signature.as_bytes(), MAX_DEPTH).map(|_| ())
    }

    /// Returns how many bytes of the signature the value took.
    fn skip_one(&mut self, types: &[u8], depth: usize) -> Read<usize> {
        let depth = depth.checked_sub(1).ok_or(InvalidMessage::Depth)?;
        let (first, rest) = types.split_first().ok_or(InvalidMessage::Types)?;
        match first {
            b's' | b'o' => self.text().map(|_| 1),
            b'g' => self.signature().map(|_| 1),
            b'v' => {
                let types = self.signature()?.as_bytes();
                let taken = self.skip_one(types, depth)?;
                if taken == types.len() { Ok(1) } else { Err(InvalidMessage::Types) }
            }
            b'a' => {
                let element = rest.first().ok_or(InvalidMessage::Types)?;
                let taken = type_length(rest, depth, true)?;
                self.array(*element)?;
                Ok(1 + taken)
            }
            b'(' => {
                self.align(8)?;
                let mut taken = 0;
                while rest.get(taken) != Some(&b')') {
                    taken += self.skip_one(rest.get(taken..).unwrap_or_default(), depth)?;
                }
                if taken == 0 { Err(InvalidMessage::Types) } else { Ok(taken + 2) }
            }
            b'{' => Err(InvalidMessage::Types),
            simple => {
                let size = alignment(*simple)?;
                self.align(size)?;
                self.take(size).map(|_| 1)
            }
        }
    }
}

/// How values of a type are aligned; for numbers that is their size too.
fn alignment(first: u8) -> Read<usize> {
    match first {
        b'y' | b'g' | b'v' => Ok(1),
        b'n' | b'q' => Ok(2),
        b'b' | b'i' | b'u' | b'h' | b's' | b'o' | b'a' => Ok(4),
        b'x' | b't' | b'd' | b'(' | b'{' => Ok(8),
        _ => Err(InvalidMessage::Types),
    }
}

/// How many bytes of a signature its first type takes.
fn type_length(types: &[u8], depth: usize, in_array: bool) -> Read<usize> {
    let depth = depth.checked_sub(1).ok_or(InvalidMessage::Depth)?;
    let (first, rest) = types.split_first().ok_or(InvalidMessage::Types)?;
    let until = match first {
        b'a' => return Ok(1 + type_length(rest, depth, true)?),
        b'(' => b')',
        b'{' if in_array => b'}',
        simple if *simple != b'{' => return alignment(*simple).map(|_| 1),
        _ => return Err(InvalidMessage::Types),
    };
    let mut taken = 0;
    while rest.get(taken) != Some(&until) {
        taken += type_length(rest.get(taken..).unwrap_or_default(), depth, false)?;
    }
    if taken == 0 { Err(InvalidMessage::Types) } else { Ok(taken + 2) }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An answer.
    Return,
    /// A refusal.
    Error,
    /// A call, a signal, or what a later version adds.
    Other,
}

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// What it is.
    pub kind: Kind,
    /// The serial number of the call that it answers.
    pub reply_to: Option<u32>,
    /// The name of a refusal.
    pub error: Option<&'a str>,
    /// The types of its body.
    pub signature: &'a str,
    /// Its body, from the start.
    pub body: Cursor<'a>,
}

impl<'a> Message<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// The bytes are no message.
    pub fn parse(bytes: &'a [u8]) -> Read<Self> {
        let total = length(bytes)?;
        let bytes = bytes.get(..total).ok_or(InvalidMessage::Cut)?;
        let big_endian = is_big_endian(bytes)?;
        let mut cursor = Cursor { bytes, at: 12, big_endian };
        let mut fields = cursor.array(b'(')?;
        cursor.align(8)?;
        let kind = match bytes.get(1) {
            Some(2) => Kind::Return,
            Some(3) => Kind::Error,
            _ => Kind::Other,
        };
        // Alignment inside a body counts from its own start, which is aligned.
        let body = Cursor { bytes: bytes.get(cursor.at..).unwrap_or_default(), at: 0, big_endian };
        let mut message = Self { kind, reply_to: None, error: None, signature: "", body };
        while !fields.is_done() {
            fields.enter()?;
            let code = fields.byte()?;
            match (code, fields.signature()?) {
                (4, "s") => message.error = Some(fields.text()?),
                (5, "u") => message.reply_to = Some(fields.u32()?),
                (8, "g") => message.signature = fields.signature()?,
                (_, other) => fields.skip(other)?,
            }
        }
        Ok(message)
    }
}

fn is_big_endian(bytes: &[u8]) -> Read<bool> {
    match (bytes.first(), bytes.get(3)) {
        (Some(b'l'), Some(&VERSION)) => Ok(false),
        (Some(b'B'), Some(&VERSION)) => Ok(true),
        _ => Err(InvalidMessage::Protocol),
    }
}

/// How long the message is that starts with these bytes, of which [`PROLOGUE`] are needed.
///
/// # Errors
/// They start no message, or one that is too large.
pub fn length(start: &[u8]) -> Read<usize> {
    let big_endian = is_big_endian(start)?;
    let body = Cursor { bytes: start, at: 4, big_endian }.length()?;
    let fields = Cursor { bytes: start, at: 12, big_endian }.length()?;
    PROLOGUE
        .checked_add(fields)
        .map(|it| it.next_multiple_of(8))
        .and_then(|it| it.checked_add(body))
        .filter(|it| *it <= MAX_MESSAGE)
        .ok_or(InvalidMessage::TooLarge)
}

/// A call that never starts the service that it is for.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The name of the service.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
    /// Its one argument.
    pub argument: Option<&'a str>,
}

impl Call<'_> {
    /// The bytes that are sent.
    pub fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Vec::new();
        if let Some(argument) = self.argument {
            put_text(&mut body, argument);
        }
        let mut fields = Vec::new();
        for (code, kind, value) in [
            (1, b'o', self.path),
            (2, b's', self.interface),
            (3, b's', self.member),
            (6, b's', self.destination),
        ] {
            pad(&mut fields);
            fields.extend([code, 1, kind, 0]);
            put_text(&mut fields, value);
        }
        if self.argument.is_some() {
            pad(&mut fields);
            fields.extend([8, 1, b'g', 0, 1, b's', 0]);
        }
        let mut bytes = vec![b'l', 1, NO_AUTO_START, VERSION];
        bytes.extend(size(&body));
        bytes.extend(serial.to_le_bytes());
        bytes.extend(size(&fields));
        bytes.extend(fields);
        pad(&mut bytes);
        bytes.extend(body);
        bytes
    }
}

/// Callers put texts at multiples of four.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend(size(text.as_bytes()));
    out.extend(text.as_bytes());
    out.push(0);
}

fn size(bytes: &[u8]) -> [u8; 4] {
    // What is sent is a few names long.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(8), 0);
}

#[cfg(test)]
#[path = "dbus_tests.rs"]
pub(crate) mod tests;
