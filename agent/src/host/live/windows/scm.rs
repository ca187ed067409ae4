//! The service control manager, from the side of a service: it starts us, tells us to stop, hears how we are.
//!
//! [`serve`] is called by the program's first thread and returns when the service has ended. Between
//! "stop" and the end there are at most [`STOP_LIMIT`]: everything that matters is on disk before each
//! wait, so a program that hangs in a read of the host is ended as it is.
#![expect(unsafe_code, reason = "the service manager calls back, which no safe interface of std can")]

use std::ffi::c_void;
use std::io;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use windows_sys::Win32::Foundation::{ERROR_CALL_NOT_IMPLEMENTED, ERROR_SERVICE_SPECIFIC_ERROR, NO_ERROR};
use windows_sys::Win32::System::Services::{
    RegisterServiceCtrlHandlerExW, SERVICE_ACCEPT_SHUTDOWN, SERVICE_ACCEPT_STOP, SERVICE_CONTROL_INTERROGATE,
    SERVICE_CONTROL_SHUTDOWN, SERVICE_CONTROL_STOP, SERVICE_RUNNING, SERVICE_START_PENDING, SERVICE_STATUS,
    SERVICE_STATUS_CURRENT_STATE, SERVICE_STOP_PENDING, SERVICE_STOPPED, SERVICE_TABLE_ENTRYW,
    SERVICE_WIN32_OWN_PROCESS, SetServiceStatus, StartServiceCtrlDispatcherW,
};

use super::{done, wide};
use crate::host::service_manager::Body;

/// From "stop" to the end of the process, at most.
const STOP_LIMIT: Duration = Duration::from_secs(4);
/// What the manager is told of how long starting and stopping take, milliseconds.
const WAIT_HINT_MS: u32 = 5_000;

/// The one service of this process.
struct Service {
    body: Mutex<Option<Body>>,
    name: Vec<u16>,
    stop: watch::Sender<bool>,
    /// How the manager knows us; null before it called.
    status: AtomicPtr<c_void>,
}

static SERVICE: OnceLock<Service> = OnceLock::new();

/// Runs `body` as a service and returns when it has ended.
///
/// # Errors
/// The service manager did not start this program: 1063 (`ERROR_FAILED_SERVICE_CONTROLLER_CONNECT`).
pub(in crate::host) fn serve(name: &str, body: Body) -> io::Result<()> {
    let service = Service {
        body: Mutex::new(Some(body)),
        name: wide(name),
        stop: watch::Sender::new(false),
        status: AtomicPtr::new(null_mut()),
    };
    let service = SERVICE.get_or_init(|| service);
    let table = [
        SERVICE_TABLE_ENTRYW {
            lpServiceName: service.name.as_ptr().cast_mut(),
            lpServiceProc: Some(service_main),
        },
        SERVICE_TABLE_ENTRYW { lpServiceName: null_mut(), lpServiceProc: None },
    ];
    // SAFETY: the table ends with an empty entry; it and the name live over the call, which returns when
    // the service has stopped.
    done(unsafe { StartServiceCtrlDispatcherW(table.as_ptr()) })
}

/// Called by the manager on a thread of its own.
unsafe extern "system" fn service_main(_: u32, _: *mut *mut u16) {
    let Some(service) = SERVICE.get() else { return };
    // SAFETY: the name ends with 0; the handler needs no context and lives as long as the program.
    let status = unsafe { RegisterServiceCtrlHandlerExW(service.name.as_ptr(), Some(handler), null_mut()) };
    if status.is_null() {
        return;
    }
    service.status.store(status, Ordering::Release);
    service.say(SERVICE_START_PENDING, 0);
    let body = service.body.lock().unwrap_or_else(PoisonError::into_inner).take();
    service.say(SERVICE_RUNNING, 0);
    let stop = service.stop.subscribe();
    // A panic must not leave through a caller that is not Rust.
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body.map_or(0, |it| it(stop))));
    service.say(SERVICE_STOPPED, ended.unwrap_or(u32::MAX));
}

/// Called by the manager on the program's first thread.
unsafe extern "system" fn handler(control: u32, _: u32, _: *mut c_void, _: *mut c_void) -> u32 {
    let Some(service) = SERVICE.get() else { return ERROR_CALL_NOT_IMPLEMENTED };
    match control {
        SERVICE_CONTROL_STOP | SERVICE_CONTROL_SHUTDOWN => {
            service.say(SERVICE_STOP_PENDING, 0);
            service.stop.send_replace(true);
            // Without a thread for it the manager's own patience has to do.
            let _ = thread::Builder::new().name("stop".to_owned()).spawn(|| {
                thread::sleep(STOP_LIMIT);
                service.say(SERVICE_STOPPED, 0);
                std::process::exit(0);
            });
            NO_ERROR
        }
        SERVICE_CONTROL_INTERROGATE => NO_ERROR,
        _ => ERROR_CALL_NOT_IMPLEMENTED,
    }
}

impl Service {
    fn say(&self, state: SERVICE_STATUS_CURRENT_STATE, code: u32) {
        let is_pending = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;
        let accepts =
            if state == SERVICE_RUNNING { SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN } else { 0 };
        let status = SERVICE_STATUS {
            dwServiceType: SERVICE_WIN32_OWN_PROCESS,
            dwCurrentState: state,
            dwControlsAccepted: accepts,
            dwWin32ExitCode: if code == 0 { NO_ERROR } else { ERROR_SERVICE_SPECIFIC_ERROR },
            dwServiceSpecificExitCode: code,
            dwCheckPoint: u32::from(is_pending),
            dwWaitHint: if is_pending { WAIT_HINT_MS } else { 0 },
        };
        let handle = self.status.load(Ordering::Acquire);
        // SAFETY: the handle is the manager's own word for us and needs no closing; the status is read
        // during the call. There is nobody to tell when it fails.
        unsafe { SetServiceStatus(handle, &raw const status) };
    }
}
