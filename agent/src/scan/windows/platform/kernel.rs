//! The kernel's image on disk: which version its own resource states, and whether it is the one that runs.

use std::time::{Duration, SystemTime};

use super::super::version_resource;
use super::restart::Marks;
use crate::host::Reads;
use crate::scan::Look;

/// The kernel's image.
const IMAGE: &str = "Windows/System32/ntoskrnl.exe";
/// What this source may touch.
pub(in crate::scan::windows) const READS: &[Reads] = &[Reads::content(IMAGE)];

/// Version of the kernel's image on disk: "10.0.19041.5129". Its revision is that of the update which
/// last changed the kernel, and may stay behind that of the system.
pub(in crate::scan::windows) fn file_version(look: &mut Look<'_>) -> Option<String> {
    let read = look.in_time().and_then(|()| look.host.root.pieces(IMAGE));
    let read = read.and_then(|it| version_resource::read(&it));
    let found = look.note(IMAGE, read)?;
    let version = found.and_then(|it| it.file_version);
    if version.is_none() {
        look.fault(format!("{IMAGE}: states no version"));
    }
    version
}

/// The version that runs, where that is certain.
pub(in crate::scan::windows) fn running(
    look: &mut Look<'_>,
    marks: &Marks,
    on_disk: Option<&str>,
) -> Option<String> {
    let windows = look.host.windows.clone()?;
    let on_disk = on_disk.filter(|_| marks.servicing_is_done())?;
    let begun = look.note("time of the boot", windows.system.booted()).and_then(time_of)?;
    let facts = look.facts(IMAGE)?;
    let is_older = |it: Option<SystemTime>| it.is_some_and(|it| it < begun);
    (is_older(facts.created) && is_older(facts.modified)).then(|| on_disk.to_owned())
}

/// A time that Windows counts in units of 100 ns since 1601; `None` for one before 1970.
fn time_of(filetime: u64) -> Option<SystemTime> {
    const TICK: u64 = 100;
    const TICKS: u64 = 10_000_000;
    const UNIX_EPOCH: u64 = 116_444_736_000_000_000;
    let since = filetime.checked_sub(UNIX_EPOCH)?;
    let nanoseconds = u32::try_from(since % TICKS * TICK).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(since / TICKS, nanoseconds))
}
