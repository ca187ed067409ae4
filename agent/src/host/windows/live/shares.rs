//! Shares: `NetShareEnum`. Their paths and descriptors are told to administrators, their names to everybody.
#![expect(unsafe_code, reason = "no safe interface lists shares with their descriptors")]

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_MORE_DATA};
use windows_sys::Win32::NetworkManagement::NetManagement::NetApiBufferFree;
use windows_sys::Win32::Security::{
    GetSecurityDescriptorControl, GetSecurityDescriptorLength, IsValidSecurityDescriptor, MakeSelfRelativeSD,
    PSECURITY_DESCRIPTOR, SE_SELF_RELATIVE,
};
use windows_sys::Win32::Storage::FileSystem::{NetShareEnum, SHARE_INFO_1, SHARE_INFO_502};

use super::super::network::Share;
use super::buffer::{Buffer, text_at};
use super::{failure, not_found};

/// Bytes that one answer should have at most.
const PIECE: u32 = 64 * 1024;
/// Most shares; a file server has some hundreds.
const MAX_SHARES: usize = 16_384;
/// Largest descriptor, by its own format.
const MAX_DESCRIPTOR: u32 = 64 * 1024;
/// `NERR_ServerNotStarted` of `lmerr.h`.
const NO_SERVER: u32 = 2_114;

pub(super) fn list() -> io::Result<Vec<Share>> {
    match each::<SHARE_INFO_502>() {
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => each::<SHARE_INFO_1>(),
        said => said,
    }
}

/// A structure in which shares are told.
///
/// # Safety
/// It is made of numbers and raw pointers, and is the one that `NetShareEnum` gives for its level.
unsafe trait Told: Copy {
    const LEVEL: u32;

    fn share(&self) -> Share;
}

// SAFETY: by its documentation.
unsafe impl Told for SHARE_INFO_502 {
    const LEVEL: u32 = 502;

    fn share(&self) -> Share {
        // SAFETY: the texts of the answer end with a zero, and live as long as it does.
        let (name, path) = unsafe { (text_at(self.shi502_netname), text_at(self.shi502_path)) };
        Share {
            name,
            path: Some(path).filter(|it| !it.is_empty()),
            kind: self.shi502_type,
            descriptor: descriptor(self.shi502_security_descriptor),
        }
    }
}

// SAFETY: by its documentation.
unsafe impl Told for SHARE_INFO_1 {
    const LEVEL: u32 = 1;

    fn share(&self) -> Share {
        // SAFETY: as above.
        let name = unsafe { text_at(self.shi1_netname) };
        Share { name, kind: self.shi1_type, ..Share::default() }
    }
}

/// An answer of the system's, given back after use.
struct Answer(*mut u8);

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the system allocated it for exactly this, and it is given back here alone.
            unsafe { NetApiBufferFree(self.0.cast()) };
        }
    }
}

fn each<T: Told>() -> io::Result<Vec<Share>> {
    let mut shares = Vec::new();
    let mut resume = 0;
    loop {
        let mut answer = Answer(ptr::null_mut());
        let (mut count, mut total) = (0, 0);
        // SAFETY: null means this machine; the numbers and the pointer outlive the call.
        let code = unsafe {
            NetShareEnum(
                ptr::null(),
                T::LEVEL,
                &raw mut answer.0,
                PIECE,
                &raw mut count,
                &raw mut total,
                &raw mut resume,
            )
        };
        match code {
            0 => {}
            // A piece without one share would never end.
            ERROR_MORE_DATA if count > 0 => {}
            ERROR_ACCESS_DENIED => return Err(io::ErrorKind::PermissionDenied.into()),
            NO_SERVER => return Err(not_found("the server service does not run")),
            code => return Err(failure(code)),
        }
        for number in 0..usize::try_from(count).unwrap_or(0) {
            if answer.0.is_null() || shares.len() == MAX_SHARES {
                return Err(io::Error::other(format!("more than {MAX_SHARES} shares")));
            }
            // SAFETY: the answer has `count` structures of the level, one behind the other.
            let it = unsafe { answer.0.cast::<T>().add(number).read_unaligned() };
            shares.push(it.share());
        }
        if code == 0 {
            return Ok(shares);
        }
    }
}

/// The bytes of a descriptor; `None` for none and for one that is broken.
fn descriptor(at: PSECURITY_DESCRIPTOR) -> Option<Vec<u8>> {
    // SAFETY: null is asked for first; anything else is the answer's own descriptor.
    if at.is_null() || unsafe { IsValidSecurityDescriptor(at) } == 0 {
        return None;
    }
    let (mut control, mut revision) = (0, 0);
    // SAFETY: the descriptor is valid; both numbers outlive the call.
    let known = unsafe { GetSecurityDescriptorControl(at, &raw mut control, &raw mut revision) } != 0;
    // SAFETY: the descriptor is valid.
    let length = unsafe { GetSecurityDescriptorLength(at) };
    if !known || length > MAX_DESCRIPTOR {
        return None;
    }
    if control & SE_SELF_RELATIVE != 0 {
        let length = usize::try_from(length).ok()?;
        // SAFETY: a valid self-relative descriptor is one piece of memory of its length.
        return Some(unsafe { std::slice::from_raw_parts(at.cast::<u8>(), length) }.to_vec());
    }
    let mut buffer = Buffer::of(usize::try_from(MAX_DESCRIPTOR).ok()?);
    let mut size = buffer.size();
    // SAFETY: the descriptor is valid; the call writes at most `size` bytes, which is the buffer's.
    let done = unsafe { MakeSelfRelativeSD(at, buffer.start(), &raw mut size) };
    (done != 0).then(|| buffer.first(length).to_vec())
}
