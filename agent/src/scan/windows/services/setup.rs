//! How a service is set up, of its key or of what the manager holds.

use std::collections::BTreeMap;

use crate::host::registry::{Data, Value};
use crate::host::windows::services::Setup;

/// Kinds by `winnt.h`.
const DRIVERS: u32 = 0x0b;
const PROGRAMS: u32 = 0x30;
const PER_USER: u32 = 0x40;
const INSTANCE: u32 = 0x80;

/// What a service is, of its `Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A driver of the kernel or of a file system.
    Driver,
    /// A program of the machine's.
    Service,
    /// What is started once for each user who is logged on.
    PerUser,
    /// One of those that were started so.
    Instance,
}

impl Kind {
    /// `None` for keys that are neither (adapters, settings of libraries).
    pub(super) fn of(kind: u32) -> Option<Self> {
        match kind {
            _ if kind & PROGRAMS != 0 && kind & INSTANCE != 0 => Some(Self::Instance),
            _ if kind & PROGRAMS != 0 && kind & PER_USER != 0 => Some(Self::PerUser),
            _ if kind & PROGRAMS != 0 => Some(Self::Service),
            _ if kind & DRIVERS != 0 => Some(Self::Driver),
            _ => None,
        }
    }
}

/// The name under which something is told of whose own name moves by itself.
///
/// Instances for one user end with a number of that user's session (`CDPUserSvc_3f2a1`). The antivirus
/// program of Windows loads its driver under a new name with every set of signatures (`MpKsl1a2b3c4d`).
pub(in crate::scan::windows) fn lasting_name(name: &str) -> &str {
    let is_number = |it: &str| (4..=16).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_hexdigit());
    match name.rsplit_once('_') {
        Some((start, number)) if !start.is_empty() && is_number(number) => start,
        _ => name,
    }
}

const ANTIVIRUS_DRIVER: &str = "MpKsl";

/// The same for drivers.
pub(super) fn lasting_driver(name: &str) -> &str {
    match name.split_at_checked(ANTIVIRUS_DRIVER.len()) {
        Some((start, number))
            if start.eq_ignore_ascii_case(ANTIVIRUS_DRIVER)
                && number.len() == 8
                && number.bytes().all(|it| it.is_ascii_hexdigit()) =>
        {
            start
        }
        Some(_) | None => name,
    }
}

/// A path of which the parts that are new with every set of signatures are left out.
pub(super) fn lasting_path(path: &str) -> String {
    let parts: Vec<&str> = path.split('\\').collect();
    let is_set = |it: &str| it.len() == 38 && it.starts_with('{') && it.ends_with('}');
    let parts: Vec<&str> = parts.into_iter().map(|it| if is_set(it) { "*" } else { it }).collect();
    let mut parts = parts;
    if let Some(name) = parts.last_mut()
        && let Some(stem) = name.strip_suffix(".sys")
        && lasting_driver(stem) != stem
    {
        *name = "MpKsl*.sys";
    }
    parts.join(r"\")
}

/// What the key of a service says; `None` when it is the key of something else.
pub(super) fn of_values(values: &[Value]) -> Option<Setup> {
    let by_name: BTreeMap<String, &Data> =
        values.iter().map(|it| (it.name.to_lowercase(), &it.data)).collect();
    let number = |name: &str| by_name.get(name)?.number().and_then(|it| u32::try_from(it).ok());
    let text = |name: &str| {
        let text = by_name.get(name)?.text()?.trim_matches(['\0', ' ']);
        (!text.is_empty()).then(|| text.to_owned())
    };
    let kind = number("type")?;
    Kind::of(kind)?;
    Some(Setup {
        kind,
        // A driver of the hardware's own enumeration may have none: it starts when it is needed.
        start: number("start").unwrap_or(3),
        is_delayed: number("delayedautostart").is_some_and(|it| it != 0),
        image: text("imagepath"),
        account: text("objectname"),
        display_name: text("displayname"),
    })
}

/// The word for when it starts; `None` for a number that has no meaning.
pub(super) fn start_mode(setup: &Setup) -> Option<&'static str> {
    match setup.start {
        0 => Some("boot"),
        1 => Some("system"),
        2 if setup.is_delayed => Some("delayed"),
        2 => Some("automatic"),
        3 => Some("manual"),
        4 => Some("disabled"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_move_are_told_without_what_moves() {
        for (name, said) in [
            ("CDPUserSvc_3f2a1", "CDPUserSvc"),
            ("cbdhsvc_1a2b3c4d5", "cbdhsvc"),
            ("OPC_UA_Server", "OPC_UA_Server"),
            ("clr_optimization_v4.0.30319_64", "clr_optimization_v4.0.30319_64"),
            ("_beef", "_beef"),
        ] {
            assert_eq!(lasting_name(name), said);
        }
        assert_eq!(lasting_driver("MpKsl1a2b3c4d"), "MpKsl");
        assert_eq!(lasting_driver("MpKslDrv"), "MpKslDrv");
        assert_eq!(
            lasting_path(r"C:\Defs\{01234567-89AB-CDEF-0123-456789ABCDEF}\MpKsl1a2b3c4d.sys"),
            r"C:\Defs\*\MpKsl*.sys"
        );
        assert_eq!(lasting_path(r"C:\Windows\x.sys"), r"C:\Windows\x.sys");
    }

    #[test]
    fn what_a_type_means_is_read_of_its_bits() {
        for (kind, said) in [
            (0x1, Some(Kind::Driver)),
            (0x2, Some(Kind::Driver)),
            (0x8, Some(Kind::Driver)),
            (0x4, None),
            (0x10, Some(Kind::Service)),
            (0x110, Some(Kind::Service)),
            (0x20, Some(Kind::Service)),
            (0x60, Some(Kind::PerUser)),
            (0xe0, Some(Kind::Instance)),
            (0, None),
        ] {
            assert_eq!(Kind::of(kind), said, "{kind:#x}");
        }
    }
}
