//! A privilege that the program's account holds, switched on for the length of one question.
#![expect(unsafe_code, reason = "the token of the process is asked by calls of the system")]

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{CloseHandle, ERROR_SUCCESS, HANDLE, LUID};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, SE_PRIVILEGE_ENABLED,
    TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES, TOKEN_QUERY,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::buffer::wide;
use super::{denied, last_code};

/// A privilege while it is on. It is off again afterwards, as it is in a fresh program.
pub(super) struct Privilege {
    token: HANDLE,
    before: TOKEN_PRIVILEGES,
}

impl Privilege {
    /// Switches one on.
    ///
    /// # Errors
    /// The account does not hold it (`PermissionDenied`).
    pub(super) fn on(name: &str) -> io::Result<Self> {
        let name = wide(name);
        let mut luid = LUID::default();
        // SAFETY: null means this machine; the name ends with a zero.
        if unsafe { LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &raw mut luid) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let mut token = ptr::null_mut();
        let rights = TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY;
        // SAFETY: the handle of the own process needs no closing; the token's is closed on drop.
        if unsafe { OpenProcessToken(GetCurrentProcess(), rights, &raw mut token) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let wanted = TOKEN_PRIVILEGES {
            PrivilegeCount: 1,
            Privileges: [LUID_AND_ATTRIBUTES { Luid: luid, Attributes: SE_PRIVILEGE_ENABLED }],
        };
        // What the call fills in: nothing where the privilege was on already.
        let mut it = Self { token, before: TOKEN_PRIVILEGES::default() };
        let size = u32::try_from(size_of::<TOKEN_PRIVILEGES>()).unwrap_or(0);
        let mut used = 0;
        // SAFETY: the token is open for this; both lists have room for the one privilege.
        let done = unsafe {
            AdjustTokenPrivileges(token, 0, &raw const wanted, size, &raw mut it.before, &raw mut used)
        };
        match last_code() {
            ERROR_SUCCESS if done != 0 => Ok(it),
            _ => {
                it.before.PrivilegeCount = 0;
                Err(denied("the agent's account does not hold the privilege"))
            }
        }
    }
}

impl Drop for Privilege {
    fn drop(&mut self) {
        if self.before.PrivilegeCount > 0 {
            // SAFETY: the token is open, and the list is what the system gave for exactly this.
            unsafe {
                AdjustTokenPrivileges(
                    self.token,
                    0,
                    &raw const self.before,
                    0,
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            };
        }
        // SAFETY: it is open, and closed here alone.
        unsafe { CloseHandle(self.token) };
    }
}
