//! The Windows event log: where notices are written, and who is registered to write them.
//!
//! The messages are `%1`, the whole text, of `EventCreate.exe`: a file of every Windows since XP whose
//! message table has the numbers 1 to 1000 for programs without a table of their own. So the event viewer
//! shows clean sentences, also after the agent was removed.
#![expect(unsafe_code, reason = "the event log has no safe interface")]

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::EventLog::{
    EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE, RegisterEventSourceW, ReportEventW,
};

use super::{done, wide};
use crate::notice::{Notice, Severity, Sink};

/// An open way into the application log, for as long as the program runs.
struct EventLog {
    handle: HANDLE,
}

// SAFETY: the handle is a name for the system, which takes reports from any thread.
unsafe impl Send for EventLog {}
// SAFETY: as above; nothing in here changes.
unsafe impl Sync for EventLog {}

impl EventLog {
    /// Opens it under the name of a source.
    ///
    /// # Errors
    /// The service of the event log does not run or refuses.
    fn open(source: &str) -> io::Result<Self> {
        let source = wide(source);
        // SAFETY: the name ends with 0; no server means this machine.
        let handle = unsafe { RegisterEventSourceW(null(), source.as_ptr()) };
        if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self { handle }) }
    }

    /// Writes a notice.
    ///
    /// # Errors
    /// The log is full or refuses.
    fn write(&self, notice: Notice, text: &str) -> io::Result<()> {
        let kind = match notice.severity() {
            Severity::Information => EVENTLOG_INFORMATION_TYPE,
            Severity::Warning => EVENTLOG_WARNING_TYPE,
            Severity::Error => EVENTLOG_ERROR_TYPE,
        };
        // A zero within would end the text.
        let text = wide(&text.replace('\0', " "));
        let texts = [text.as_ptr()];
        // SAFETY: one text that ends with 0 and lives over the call; no data, no user.
        done(unsafe {
            ReportEventW(
                self.handle,
                kind,
                0,
                u32::from(notice.id()),
                null_mut(),
                1,
                0,
                texts.as_ptr(),
                null(),
            )
        })
    }
}

/// Where notices of a source go. One that the log does not take is lost: there is nobody to tell.
///
/// # Errors
/// The service of the event log does not run or refuses.
pub(in crate::host) fn event_log(source: &str) -> io::Result<Sink> {
    let log = EventLog::open(source)?;
    Ok(Box::new(move |notice, text| {
        let _ = log.write(notice, text);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_taken() {
        let log = EventLog::open("Holdpoint Agent").unwrap();
        log.write(Notice::Started, "agent starts (identity: spiffe://a/b)").unwrap();
        log.write(Notice::Failed, "with a \0 and 100 %1 %n signs, 日本").unwrap();
    }
}
