//! A connection to a D-Bus message bus that already runs: a few questions, then it is closed.
//!
//! Nothing is ever started: every call is marked so ([`Call`]), and nobody listens for signals. The
//! whole conversation has one limit of time, however slowly the other side speaks, and one of
//! messages; what is on the other side of the socket may be anything.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use super::dbus::{Call, Kind, Message, PROLOGUE, length};

/// How long a whole conversation may take. Less than the five seconds within which the agent obeys its
/// kill file.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(4);
/// Most messages that are read while one answer is awaited; a new client gets one or two signals.
const MAX_MESSAGES: usize = 16;
/// Longest line of the greeting, in bytes.
const MAX_LINE: u64 = 512;
const BUFFER: usize = 8 * 1024;

/// A socket on which reading and writing can be made to end.
pub(super) trait Duplex: Read + Write {
    /// Lets each later read and write take at most that long.
    fn take_at_most(&self, time: Duration) -> io::Result<()>;
}

#[cfg(unix)]
impl Duplex for std::os::unix::net::UnixStream {
    fn take_at_most(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

/// A connection that was greeted.
pub struct Bus {
    stream: BufReader<Timed>,
    last_serial: u32,
}

/// What a service said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A whole message, for [`Message::parse`].
    Reply(Vec<u8>),
    /// It refused; the name of the error.
    Refused(String),
}

impl Bus {
    /// Greets the bus on the other side of a socket.
    pub(super) fn greet(stream: Box<dyn Duplex>, limit: Duration) -> io::Result<Self> {
        let timed = Timed { stream, start: Instant::now(), limit };
        let mut bus = Self { stream: BufReader::with_capacity(BUFFER, timed), last_serial: 0 };
        // The kernel tells the bus who we are; we claim nothing.
        bus.send(b"\0AUTH EXTERNAL\r\nDATA\r\n")?;
        if bus.line()? != "DATA" || !bus.line()?.starts_with("OK ") {
            return Err(malformed("the bus does not greet as a bus does"));
        }
        bus.send(b"BEGIN\r\n")?;
        match bus.ask("Hello", None)? {
            Answer::Reply(_) => Ok(bus),
            Answer::Refused(name) => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("the bus refuses: {name}")))
            }
        }
    }

    /// Whether a service runs that owns a name.
    ///
    /// # Errors
    /// The bus does not answer, or not as a bus does.
    pub fn has_owner(&mut self, name: &str) -> io::Result<bool> {
        match self.ask("NameHasOwner", Some(name))? {
            Answer::Reply(bytes) => {
                let mut message = Message::parse(&bytes).map_err(malformed)?;
                let answers = message.signature == "b";
                if answers {
                    Ok(message.body.u32().map_err(malformed)? == 1)
                } else {
                    Err(malformed("no yes or no"))
                }
            }
            Answer::Refused(name) => Err(io::Error::other(format!("the bus refuses: {name}"))),
        }
    }

    fn ask(&mut self, member: &str, argument: Option<&str>) -> io::Result<Answer> {
        self.call(&Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member,
            argument,
        })
    }

    /// Asks a service, and waits for its answer.
    ///
    /// # Errors
    /// The bus does not answer in time, or not as a bus does.
    pub fn call(&mut self, call: &Call<'_>) -> io::Result<Answer> {
        self.last_serial += 1;
        let serial = self.last_serial;
        self.send(&call.encode(serial))?;
        for _ in 0..MAX_MESSAGES {
            let bytes = self.receive()?;
            let message = Message::parse(&bytes).map_err(malformed)?;
            match (message.kind, message.reply_to) {
                (Kind::Return, Some(it)) if it == serial => return Ok(Answer::Reply(bytes)),
                (Kind::Error, Some(it)) if it == serial => {
                    return Ok(Answer::Refused(message.error.unwrap_or("no name").to_owned()));
                }
                (Kind::Return | Kind::Error | Kind::Other, _) => {}
            }
        }
        Err(malformed(format!("the bus sends {MAX_MESSAGES} messages and no answer")))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            None => Err(malformed("the bus does not greet as a bus does")),
        }
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; PROLOGUE];
        self.stream.read_exact(&mut bytes)?;
        bytes.resize(length(&bytes).map_err(malformed)?, 0);
        self.stream.read_exact(&mut bytes[PROLOGUE..])?;
        Ok(bytes)
    }
}

fn malformed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A socket with a limit over everything that goes through it.
struct Timed {
    stream: Box<dyn Duplex>,
    start: Instant,
    limit: Duration,
}

impl Timed {
    fn ready(&self) -> io::Result<()> {
        match self.limit.checked_sub(self.start.elapsed()).filter(|it| !it.is_zero()) {
            Some(left) => self.stream.take_at_most(left),
            None => Err(self.too_late()),
        }
    }

    fn too_late(&self) -> io::Error {
        let limit = humantime::format_duration(self.limit);
        io::Error::new(io::ErrorKind::TimedOut, format!("the bus gave no answer within {limit}"))
    }

    fn judged<T>(&self, result: io::Result<T>) -> io::Result<T> {
        // A socket whose time is over says that it would block.
        result
            .map_err(|cause| if cause.kind() == io::ErrorKind::WouldBlock { self.too_late() } else { cause })
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.ready()?;
        let result = self.stream.read(buffer);
        self.judged(result)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ready()?;
        let result = self.stream.write(bytes);
        self.judged(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::super::dbus::tests::{answer, refusal};
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::thread;

    const SHORT: Duration = Duration::from_millis(200);

    /// Greets a bus that says what it is told to say, without listening.
    fn greeted_by(script: &[u8], limit: Duration) -> (io::Result<Bus>, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(script).unwrap();
        (Bus::greet(Box::new(ours), limit), theirs)
    }

    fn greeting() -> Vec<u8> {
        let mut script = b"DATA\r\nOK 1234deadbeef\r\n".to_vec();
        script.extend(answer(1, "s", &[4, 0, 0, 0, b':', b'1', b'.', b'7', 0]));
        script
    }

    fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
        result.err().expect("a refusal").kind()
    }

    #[test]
    fn a_bus_is_asked_who_runs() {
        let mut script = greeting();
        // A signal that nobody asked for, and an answer to somebody else's call.
        script.extend(answer(99, "", &[]));
        script.extend(answer(2, "b", &1_u32.to_le_bytes()));
        script.extend(answer(3, "b", &0_u32.to_le_bytes()));
        script.extend(refusal(4, "org.freedesktop.DBus.Error.LimitsExceeded"));
        let (bus, _theirs) = greeted_by(&script, TIME_LIMIT);
        let mut bus = bus.unwrap();
        assert!(bus.has_owner("a.b").unwrap());
        assert!(!bus.has_owner("a.c").unwrap());
        assert!(bus.has_owner("a.d").is_err());
    }

    #[test]
    fn silence_ends_with_the_limit_at_every_step() {
        let whole = greeting();
        for said in [0, 3, 12, whole.len() - 1] {
            let start = Instant::now();
            let (bus, _theirs) = greeted_by(&whole[..said], SHORT);
            assert_eq!(kind(bus), io::ErrorKind::TimedOut, "{said}");
            assert!(start.elapsed() < SHORT * 10, "{said}");
        }
    }

    #[test]
    fn a_bus_that_speaks_a_byte_at_a_time_ends_with_the_limit_too() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let slow = thread::spawn(move || {
            for byte in [b"DATA\r\nOK ".to_vec(), vec![b'a'; 1_000]].concat() {
                if theirs.write_all(&[byte]).is_err() {
                    break;
                }
                thread::sleep(SHORT / 10);
            }
        });
        assert_eq!(kind(Bus::greet(Box::new(ours), SHORT)), io::ErrorKind::TimedOut);
        slow.join().unwrap();
    }

    #[test]
    fn what_is_no_bus_is_told_from_one() {
        for script in ["HTTP/1.1 400 Bad Request\r\n\r\n", "REJECTED EXTERNAL\r\n", "DATA\r\nREJECTED\r\n"] {
            assert_eq!(kind(greeted_by(script.as_bytes(), SHORT).0), io::ErrorKind::InvalidData, "{script}");
        }
        let endless = vec![b'D'; 4_096];
        assert_eq!(kind(greeted_by(&endless, SHORT).0), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_message_that_claims_to_be_huge_is_never_waited_for() {
        let mut script = greeting();
        script.extend(b"l\x02\x01\x01\xff\xff\xff\x7f\0\0\0\0\0\0\0\0");
        let (bus, _theirs) = greeted_by(&script, TIME_LIMIT);
        assert_eq!(kind(bus.unwrap().has_owner("a.b")), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_bus_that_never_answers_but_always_talks_is_left() {
        let mut script = greeting();
        for _ in 0..100 {
            script.extend(answer(99, "", &[]));
        }
        let (bus, _theirs) = greeted_by(&script, TIME_LIMIT);
        assert_eq!(kind(bus.unwrap().has_owner("a.b")), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_bus_that_hangs_up_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(Bus::greet(Box::new(ours), SHORT).is_err());
    }
}
