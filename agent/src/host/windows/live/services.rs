//! The service control manager, asked for names, states and set-up, and for nothing that changes.
#![expect(unsafe_code, reason = "no safe interface asks the service control manager")]

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, ERROR_SERVICE_DOES_NOT_EXIST};
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ENUM_SERVICE_STATUS_PROCESSW, EnumServicesStatusExW, OpenSCManagerW, OpenServiceW,
    QUERY_SERVICE_CONFIGW, QueryServiceConfig2W, QueryServiceConfigW, SC_ENUM_PROCESS_INFO, SC_HANDLE,
    SC_MANAGER_CONNECT, SC_MANAGER_ENUMERATE_SERVICE, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, SERVICE_DRIVER,
    SERVICE_QUERY_CONFIG, SERVICE_STATE_ALL, SERVICE_WIN32,
};

use super::super::services::{Service, Setup, State};
use super::buffer::{Buffer, Plain, wide};
use super::{last_code, not_found};

/// The most that one answer of the manager may have, by its documentation.
const PIECE: usize = 256 * 1024;
/// The most that a set-up may have, by its documentation.
const MAX_SETUP: usize = 8 * 1024;
/// Most services and drivers; a full engineering station has some 900.
const MAX_SERVICES: usize = 16_384;

// SAFETY: numbers and raw pointers.
unsafe impl Plain for ENUM_SERVICE_STATUS_PROCESSW {}
// SAFETY: numbers and raw pointers.
unsafe impl Plain for QUERY_SERVICE_CONFIGW {}

/// The manager or one of its services, while it is asked.
struct Handle(SC_HANDLE);

impl Handle {
    fn manager(rights: u32) -> io::Result<Self> {
        // SAFETY: null means this machine and its only database.
        Self::opened(unsafe { OpenSCManagerW(ptr::null(), ptr::null(), rights) })
    }

    fn service(&self, name: &str) -> io::Result<Self> {
        let name = wide(name);
        // SAFETY: the manager is open; the name ends with a zero.
        Self::opened(unsafe { OpenServiceW(self.0, name.as_ptr(), SERVICE_QUERY_CONFIG) })
    }

    fn opened(handle: SC_HANDLE) -> io::Result<Self> {
        if !handle.is_null() {
            return Ok(Self(handle));
        }
        match last_code() {
            ERROR_SERVICE_DOES_NOT_EXIST => Err(not_found("no such service")),
            code => Err(super::failure(code)),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed here alone.
        unsafe { CloseServiceHandle(self.0) };
    }
}

pub(super) fn list() -> io::Result<Vec<Service>> {
    let manager = Handle::manager(SC_MANAGER_CONNECT | SC_MANAGER_ENUMERATE_SERVICE)?;
    let mut buffer = Buffer::of(PIECE);
    let mut all = Vec::new();
    let mut resume = 0;
    loop {
        let (mut needed, mut count) = (0, 0);
        // SAFETY: the manager is open; the call writes at most as many bytes as the buffer has, and
        // the numbers behind the pointers outlive it.
        let done = unsafe {
            EnumServicesStatusExW(
                manager.0,
                SC_ENUM_PROCESS_INFO,
                SERVICE_WIN32 | SERVICE_DRIVER,
                SERVICE_STATE_ALL,
                buffer.start(),
                buffer.size(),
                &raw mut needed,
                &raw mut count,
                &raw mut resume,
                ptr::null(),
            )
        };
        let is_last = done != 0;
        if !is_last {
            let code = last_code();
            // A piece without one service would never end.
            if code != ERROR_MORE_DATA || count == 0 {
                return Err(super::failure(code));
            }
        }
        for it in buffer.array::<ENUM_SERVICE_STATUS_PROCESSW>(count)? {
            all.push(Service {
                name: buffer.text(it.lpServiceName),
                display_name: buffer.text(it.lpDisplayName),
                kind: it.ServiceStatusProcess.dwServiceType,
                state: State::from(it.ServiceStatusProcess.dwCurrentState),
                process: it.ServiceStatusProcess.dwProcessId,
            });
        }
        if all.len() > MAX_SERVICES {
            return Err(io::Error::other(format!("more than {MAX_SERVICES} services")));
        }
        if is_last {
            return Ok(all);
        }
    }
}

pub(super) fn setup(name: &str) -> io::Result<Setup> {
    let service = Handle::manager(SC_MANAGER_CONNECT)?.service(name)?;
    let mut buffer = Buffer::of(MAX_SETUP);
    let mut needed = 0;
    // SAFETY: the service is open to be asked; the call writes at most as many bytes as the buffer has.
    let done = unsafe { QueryServiceConfigW(service.0, buffer.start(), buffer.size(), &raw mut needed) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    let found = buffer.array::<QUERY_SERVICE_CONFIGW>(1)?;
    let Some(found) = found.first() else { return Err(io::Error::other("the manager gave no set-up")) };
    let text = |at| Some(buffer.text(at)).filter(|it| !it.is_empty());
    Ok(Setup {
        kind: found.dwServiceType,
        start: found.dwStartType,
        is_delayed: is_delayed(&service),
        image: text(found.lpBinaryPathName),
        account: text(found.lpServiceStartName),
        display_name: text(found.lpDisplayName),
    })
}

/// Drivers have no such setting: a refusal means no.
fn is_delayed(service: &Handle) -> bool {
    let mut buffer = Buffer::of(size_of::<u64>());
    let mut needed = 0;
    // SAFETY: as above; the answer is one number of four bytes.
    let done = unsafe {
        QueryServiceConfig2W(
            service.0,
            SERVICE_CONFIG_DELAYED_AUTO_START_INFO,
            buffer.start(),
            buffer.size(),
            &raw mut needed,
        )
    };
    done != 0 && buffer.first(4).iter().any(|it| *it != 0)
}
