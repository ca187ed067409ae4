//! What the driver of a network card says: `ETHTOOL_GDRVINFO`, the question behind `ethtool -i`.
//!
//! The kernel takes it on a socket of any family. This one is of the local family, so that the agent
//! has no socket that could reach a network. No right is needed. Known side effect: a card that the
//! kernel put to sleep wakes for the length of the question.
#![expect(unsafe_code, reason = "no safe interface puts this question")]

use std::io;
use std::os::fd::OwnedFd;
use std::ptr;

use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::NicDriver;

/// `SIOCETHTOOL` of linux/sockios.h; the same on every architecture.
const SIOCETHTOOL: rustix::ioctl::Opcode = 0x8946;
/// `ETHTOOL_GDRVINFO` of linux/ethtool.h.
const GET_DRIVER_INFO: u32 = 3;
/// `IFNAMSIZ`: the longest name of a card, with its end.
const NAME: usize = 16;

/// `struct ifreq` with the member that this question uses; at least as long as the kernel's.
#[repr(C)]
struct Request {
    name: [u8; NAME],
    data: *mut DriverInfo,
    rest: [u64; 2],
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
#[derive(Default)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    version: [u8; 32],
    firmware: [u8; 32],
    bus: [u8; 32],
    option_rom: [u8; 32],
    reserved: [u8; 12],
    counts: [u32; 5],
}

pub(super) struct NicSocket(OwnedFd);

impl NicSocket {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self(socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?))
    }

    pub(super) fn driver(&self, nic: &str) -> io::Result<NicDriver> {
        let mut info = DriverInfo { command: GET_DRIVER_INFO, ..DriverInfo::default() };
        let mut request = Request { name: [0; NAME], data: ptr::null_mut(), rest: [0; 2] };
        // The last byte stays the end of the name.
        match request.name[..NAME - 1].get_mut(..nic.len()) {
            Some(name) => name.copy_from_slice(nic.as_bytes()),
            None => return Err(io::Error::new(io::ErrorKind::NotFound, "no card has so long a name")),
        }
        request.data = &raw mut info;
        // SAFETY: SIOCETHTOOL takes a `struct ifreq`, which `Request` covers; its pointer leads to a
        // `struct ethtool_drvinfo`, all of which the kernel may write, and `info` outlives the call.
        match unsafe { ioctl(&self.0, Updater::<SIOCETHTOOL, Request>::new(&mut request)) } {
            Ok(()) => Ok(NicDriver { driver: text(&info.driver), firmware: text(&info.firmware) }),
            // Drivers need not answer.
            Err(Errno::OPNOTSUPP) => Ok(NicDriver::default()),
            Err(Errno::NODEV) => Err(io::Error::new(io::ErrorKind::NotFound, "no such card")),
            Err(cause) => Err(cause.into()),
        }
    }
}

/// The text before the first zero; the kernel does not promise one.
fn text(field: &[u8]) -> Option<String> {
    let text = field.split(|it| *it == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<DriverInfo>(), 196);
        assert!(size_of::<Request>() >= 40);
    }

    #[test]
    fn a_card_that_is_not_there_is_absent() {
        let socket = NicSocket::open().unwrap();
        for name in ["nosuchnic0", "xxxxxxxxxxxxxxxx"] {
            assert_eq!(socket.driver(name).err().unwrap().kind(), io::ErrorKind::NotFound, "{name}");
        }
        // Every system has this one, and it has no hardware.
        assert!(socket.driver("lo").is_ok());
    }

    #[test]
    fn a_field_without_an_end_is_read_to_its_last_byte() {
        assert_eq!(text(&[b'a'; 32]).unwrap().len(), 32);
        assert_eq!(text(b"1.61, 0x80000f76\0junk"), Some("1.61, 0x80000f76".to_owned()));
        assert_eq!(text(&[0; 32]), None);
    }
}
