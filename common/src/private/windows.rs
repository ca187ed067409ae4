//! Windows: access lists that are there from a file's first moment, and renames that are on disk.
//!
//! Lists are written in SDDL (MS-DTYP 2.5.1). An owner has the rights of its own entry (S-1-3-4) instead
//! of the implied ones.
#![expect(unsafe_code, reason = "a file with an access list has no safe interface")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE, MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW,
};

use super::Readable;

/// SYSTEM, administrators, and whoever owns the file.
const OWNER: [&str; 3] = ["SY", "BA", "S-1-3-4"];
/// `NT SERVICE\holdpoint-agent`: S-1-5-80 and the SHA-1 of the service's name in capitals, as UTF-16
/// (`sc showsid holdpoint-agent`). It is in the service's token under a virtual account, and under
/// `LocalService` when the service has a SID type. Where there is no such service it is nobody.
const AGENT: &str = "S-1-5-80-3029538348-4067373685-255131377-1779892518-3299644162";

/// A scanner that looks at a new file holds it for a moment: so often, and so long apart, a rename is
/// tried again.
const RENAMES: u32 = 10;
const BETWEEN_RENAMES: Duration = Duration::from_millis(20);

pub(super) fn create_file(path: &Path, readable: Readable) -> io::Result<File> {
    let path = wide(path)?;
    let list = list(readable, false).map(|it| Descriptor::parse(&it)).transpose()?;
    let attributes = list.as_ref().map(Descriptor::attributes);
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: `path` ends with 0, and the attributes, with the descriptor they point to, live over the call.
    let handle: HANDLE = unsafe {
        CreateFileW(
            path.as_ptr(),
            GENERIC_WRITE,
            share,
            attributes.as_ref().map_or(null(), |it| &raw const *it),
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL,
            null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is open, a file's, and nobody else's.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

pub(super) fn create_directory(path: &Path, readable: Readable) -> io::Result<()> {
    let path = wide(path)?;
    let list = list(readable, true).map(|it| Descriptor::parse(&it)).transpose()?;
    let attributes = list.as_ref().map(Descriptor::attributes);
    // SAFETY: as in `create_file`.
    done(unsafe { CreateDirectoryW(path.as_ptr(), attributes.as_ref().map_or(null(), |it| &raw const *it)) })
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (wide(from)?, wide(to)?);
    let mut left = RENAMES;
    loop {
        left -= 1;
        // SAFETY: both end with 0 and are read during the call alone.
        let moved = done(unsafe {
            MoveFileExW(from.as_ptr(), to.as_ptr(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)
        });
        match moved {
            Err(cause) if left > 0 && is_held(&cause) => thread::sleep(BETWEEN_RENAMES),
            done => return done,
        }
    }
}

fn is_held(cause: &io::Error) -> bool {
    let code = cause.raw_os_error().and_then(|it| u32::try_from(it).ok());
    matches!(code, Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION))
}

/// The access list in SDDL: protected, so that nothing of the directory's own comes with it; `None` where
/// the directory's is as good as any.
fn list(readable: Readable, inherited_inside: bool) -> Option<String> {
    let agent = match readable {
        Readable::Owner => None,
        Readable::Agent => Some(AGENT),
        Readable::All => return None,
    };
    let flags = if inherited_inside { "OICI" } else { "" };
    let entries = OWNER.into_iter().chain(agent).map(|who| format!("(A;{flags};FA;;;{who})"));
    Some(format!("D:P{}", entries.collect::<String>()))
}

/// A security descriptor that the system made.
struct Descriptor(PSECURITY_DESCRIPTOR);

impl Descriptor {
    fn parse(text: &str) -> io::Result<Self> {
        let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut made: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: `text` ends with 0; the system writes one pointer to `made`, which `drop` gives back.
        done(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut made,
                null_mut(),
            )
        })?;
        Ok(Self(made))
    }

    /// What a call takes; to be used while this lives.
    fn attributes(&self) -> SECURITY_ATTRIBUTES {
        let length = u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0);
        SECURITY_ATTRIBUTES { nLength: length, lpSecurityDescriptor: self.0, bInheritHandle: 0 }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for us, and it is given back once.
        let _: *mut c_void = unsafe { LocalFree(self.0) };
    }
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A path as the system takes it, with a 0 at its end.
fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let mut wide: Vec<u16> = path.as_os_str().encode_wide().collect();
    if wide.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a path with a zero in it"));
    }
    wide.push(0);
    Ok(wide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::Security::Authorization::{
        ConvertSecurityDescriptorToStringSecurityDescriptorW, GetNamedSecurityInfoW, SE_FILE_OBJECT,
    };
    use windows_sys::Win32::Security::DACL_SECURITY_INFORMATION;

    /// The access list that a file has, in SDDL.
    fn list_of(path: &Path) -> String {
        let path = wide(path).unwrap();
        let mut found: PSECURITY_DESCRIPTOR = null_mut();
        let (mut text, mut length) = (null_mut(), 0);
        // SAFETY: the pointers are to variables that live over the calls; what they get is given back below.
        unsafe {
            let code = GetNamedSecurityInfoW(
                path.as_ptr(),
                SE_FILE_OBJECT,
                DACL_SECURITY_INFORMATION,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut found,
            );
            assert_eq!(code, 0);
            let found = Descriptor(found);
            done(ConvertSecurityDescriptorToStringSecurityDescriptorW(
                found.0,
                SDDL_REVISION_1,
                DACL_SECURITY_INFORMATION,
                &raw mut text,
                &raw mut length,
            ))
            .unwrap();
            let units = std::slice::from_raw_parts(text, usize::try_from(length).unwrap());
            let said = String::from_utf16_lossy(units);
            LocalFree(text.cast());
            said.trim_end_matches('\0').to_owned()
        }
    }

    #[test]
    fn a_key_is_for_its_owner_administrators_and_the_agent_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        create_directory(&folder, Readable::Agent).unwrap();
        create_file(&folder.join("key"), Readable::Agent).unwrap();
        create_file(&dir.path().join("key"), Readable::Owner).unwrap();
        for path in [folder.clone(), folder.join("key"), dir.path().join("key")] {
            let list = list_of(&path);
            println!("{}: {list}", path.display());
            for everybody in [";WD)", ";BU)", ";AU)", ";IU)", ";S-1-1-0)", ";S-1-5-11)", ";S-1-5-32-545)"] {
                assert!(!list.contains(everybody), "{list}");
            }
        }
    }

    #[test]
    fn lists_are_protected_and_only_directories_pass_theirs_on() {
        let key = list(Readable::Owner, false).unwrap();
        assert_eq!(key, "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;S-1-3-4)");
        let state = list(Readable::Agent, true).unwrap();
        assert!(state.starts_with("D:P(A;OICI;FA;;;SY)") && state.contains(AGENT), "{state}");
        assert_eq!(list(Readable::All, false), None);
        Descriptor::parse(&state).unwrap();
    }

    #[test]
    fn a_path_with_a_zero_in_it_is_refused() {
        assert_eq!(wide(Path::new("a\0b")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
