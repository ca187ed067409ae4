//! Devices that fwupd knows, when it runs.
//!
//! Source of truth: `org.freedesktop.fwupd.GetDevices` on the system's message bus; no right is needed,
//! but fwupd tells serial numbers to trusted callers only. Nothing is ever started: the bus is called only
//! when somebody is connected to it already (`proc/net/unix`; a service manager that listens in its place
//! would start it), fwupd only when its name has an owner, and every call forbids starting a service.
//! One connection a scan, closed at its end, four seconds for all of it; see [`Bus`](crate::host::Bus).
//!
//! Absence means: no such bus, or fwupd does not run now. fwupd ends by itself when nobody asks it for two
//! hours, so these rows come and go with it, and asking it more often than that keeps it running.
//!
//! Reported is what an update changes; times at which fwupd noticed a device are not. `guid` is the first
//! of the identifiers by which updates are found, else fwupd's own for the device.

use holdpoint_common::row::FirmwareRow;
use time::OffsetDateTime;

use crate::host::dbus::{Call, Cursor, InvalidMessage, Message};
use crate::host::{Answer, Live, Reads, is_absent};
use crate::scan::look::said;
use crate::scan::{Look, Reading};

/// What this probe may touch. The socket is the live host's, and connected to, not opened.
pub const READS: &[Reads] = &[
    Reads::content("proc/net/unix"),
    Reads::content("proc/*/net/unix"),
    Reads::metadata("run/dbus/system_bus_socket"),
];

const SOCKETS: &str = "proc/net/unix";
/// Largest table of sockets: some 50,000.
const MAX_SOCKETS: usize = 4 * 1024 * 1024;
/// State of a socket of the table that is connected.
const CONNECTED: &str = "03";

const NAME: &str = "org.freedesktop.fwupd";
const GET_DEVICES: Call<'_> =
    Call { destination: NAME, path: "/", interface: NAME, member: "GetDevices", argument: None };
/// What the answer is: an array of dictionaries.
const DEVICES: &str = "aa{sv}";
/// Most devices that are told.
const MAX_DEVICES: usize = 2_048;
/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 512;

/// Reads one row for each device.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(live) = look.host.live.as_ref() else {
        return Reading::Absent("no message bus: this is no running system".to_owned());
    };
    if !bus_runs(look, live) {
        return look.missing("no message bus runs");
    }
    let answer = look.in_time().and_then(|()| ask(live));
    let Some(answer) = look.note("the message bus", answer) else {
        return look.missing("no message bus runs");
    };
    let Some(answer) = answer else { return Reading::Absent(format!("{NAME} does not run")) };
    match devices(&answer) {
        Ok((rows, fault)) => {
            if let Some(why) = fault {
                look.fault(format!("{NAME}: {why}"));
            }
            Reading::of(&rows)
        }
        Err(why) => Reading::Failed(format!("{NAME}: {why}")),
    }
}

/// Whether somebody is connected to the bus; its socket alone proves nothing.
fn bus_runs(look: &mut Look<'_>, live: &Live) -> bool {
    let Some(table) = look.bytes(SOCKETS, MAX_SOCKETS) else { return false };
    // The older name of the place leads to the newer one.
    let place = live.system_bus.to_string_lossy();
    table.split(|it| *it == b'\n').any(|line| {
        let text = String::from_utf8_lossy(line);
        let mut fields = text.split_ascii_whitespace().skip(5);
        fields.next() == Some(CONNECTED)
            && fields.nth(1).is_some_and(|it| it == place || it.strip_prefix("/var") == Some(&*place))
    })
}

/// Asks for the devices; `None` when nobody is there to answer.
fn ask(live: &Live) -> std::io::Result<Option<Vec<u8>>> {
    let refused = std::io::ErrorKind::ConnectionRefused;
    let mut bus = match live.bus() {
        Ok(bus) => bus,
        Err(cause) if is_absent(&cause) || cause.kind() == refused => return Ok(None),
        Err(cause) => return Err(cause),
    };
    if !bus.has_owner(NAME)? {
        return Ok(None);
    }
    match bus.call(&GET_DEVICES)? {
        Answer::Reply(bytes) => Ok(Some(bytes)),
        // It ended meanwhile, or has nothing to tell.
        Answer::Refused(name)
            if name == "org.freedesktop.DBus.Error.ServiceUnknown"
                || name == "org.freedesktop.DBus.Error.NameHasNoOwner"
                || name == "org.freedesktop.fwupd.NothingToDo" =>
        {
            Ok(None)
        }
        Answer::Refused(name) => Err(std::io::Error::other(format!("fwupd refuses: {name}"))),
    }
}

/// Reads the answer to `GetDevices`; with the rows why there may be more.
///
/// # Errors
/// The answer is malformed.
pub fn devices(answer: &[u8]) -> Result<(Vec<FirmwareRow>, Option<&'static str>), InvalidMessage> {
    let mut message = Message::parse(answer)?;
    if message.signature != DEVICES {
        return Err(InvalidMessage::Types);
    }
    let mut rows = Vec::new();
    let mut devices = message.body.array(b'a')?;
    while !devices.is_done() {
        if rows.len() == MAX_DEVICES {
            return Ok((rows, Some("there are too many devices")));
        }
        rows.push(device(devices.array(b'{')?)?);
    }
    Ok((rows, None))
}

fn device(mut fields: Cursor<'_>) -> Result<FirmwareRow, InvalidMessage> {
    let mut row = FirmwareRow {
        source: "firmware/fwupd".to_owned(),
        kind: "device".to_owned(),
        ..FirmwareRow::default()
    };
    let mut id = None;
    while !fields.is_done() {
        fields.enter()?;
        let key = fields.text()?;
        match (key, fields.signature()?) {
            ("Name", "s") => row.name = text(fields.text()?),
            ("Vendor", "s") => row.vendor = text(fields.text()?),
            ("Version", "s") => row.version = text(fields.text()?),
            ("Serial", "s") => row.serial = text(fields.text()?),
            ("DeviceId", "s") => id = text(fields.text()?),
            ("Guid", "as") => {
                let mut guids = fields.array(b's')?;
                if !guids.is_done() {
                    row.guid = text(guids.text()?).map(|it| it.to_lowercase());
                }
            }
            ("UpdateState", "u") => row.state = update_state(fields.u32()?).map(str::to_owned),
            ("VersionBuildDate", "t") => row.date = day(fields.u64()?),
            (_, other) => fields.skip(other)?,
        }
    }
    row.guid = row.guid.or(id);
    Ok(row)
}

fn text(text: &str) -> Option<String> {
    said(text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default())
}

fn day(seconds: u64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    (seconds != 0).then(|| time.date().to_string())
}

/// `FwupdUpdateState`; 0 is no update that fwupd remembers.
fn update_state(state: u32) -> Option<&'static str> {
    match state {
        1 => Some("pending"),
        2 => Some("success"),
        3 | 5 => Some("error"),
        4 => Some("needs-reboot"),
        _ => None,
    }
}

#[cfg(test)]
#[path = "fwupd_tests.rs"]
mod tests;
