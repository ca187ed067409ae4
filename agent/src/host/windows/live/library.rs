//! Functions that not every Windows has, looked up when they are needed.
#![expect(unsafe_code, reason = "a library is loaded and asked by calls of the system")]

use std::ffi::CStr;
use std::io;
use std::os::windows::ffi::OsStringExt;

use windows_sys::Win32::Foundation::{FreeLibrary, HMODULE, MAX_PATH};
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};
use windows_sys::Win32::System::SystemInformation::GetSystemDirectoryW;

use super::buffer::wide;

/// A function of a type that the caller has to know.
pub(super) type Function = unsafe extern "system" fn() -> isize;

/// A library of the system's own folder, while it is used.
pub(super) struct Library(HMODULE);

impl Library {
    /// Loads it by its full path, so that no other folder can give another one.
    pub(super) fn of_system(name: &str) -> io::Result<Self> {
        let mut folder = [0_u16; MAX_PATH as usize];
        // SAFETY: the call writes at most as many characters as the array has.
        let length = unsafe { GetSystemDirectoryW(folder.as_mut_ptr(), MAX_PATH) };
        let folder = usize::try_from(length).ok().filter(|it| *it > 0).and_then(|it| folder.get(..it));
        let folder = folder.ok_or_else(io::Error::last_os_error)?;
        let folder = std::ffi::OsString::from_wide(folder).to_string_lossy().into_owned();
        let path = wide(&format!("{folder}\\{name}"));
        // SAFETY: the path ends with a zero; libraries of the system may be loaded at any time.
        let library = unsafe { LoadLibraryW(path.as_ptr()) };
        if library.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(library)) }
    }

    /// A function of it; `Unsupported` where this Windows has none of the name.
    pub(super) fn function(&self, name: &'static CStr) -> io::Result<Function> {
        // SAFETY: the library is loaded as long as `self` lives; the name ends with a zero.
        unsafe { GetProcAddress(self.0, name.as_ptr().cast()) }.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                format!("this Windows has no {}", name.to_string_lossy()),
            )
        })
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: it was loaded once by `of_system`, and no function of it outlives its caller's use.
        unsafe { FreeLibrary(self.0) };
    }
}
