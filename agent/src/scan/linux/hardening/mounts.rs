//! Mount options of places that everybody can write or that somebody can plug in.
//!
//! Sources of truth: `proc/1/mountinfo` for what is in effect, `etc/fstab` and autofs's maps for what
//! will be. The agent's service has a mount namespace of its own (a private `/tmp`, a read-only
//! host), so its own `mountinfo` would lie; that of process 1 needs the right to trace it. Where that
//! is refused the own one is read and every fact says so.
//!
//! A place that is no mount point has the options of the mount that it is on; `mount.separate` says
//! which. A place under an automount is mounted and unmounted by itself: only `mount.automount` is said.
//! Known lie: services with a mount namespace of their own see other options.

use super::layers::drop_ins;
use super::mountinfo::{Mount, covering, parse, unescaped};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("proc/*/mountinfo"),
    Reads::content("etc/fstab"),
    Reads::content("etc/auto.master"),
    Reads::content("etc/auto.master.d/*.autofs"),
];

const INIT: &str = "proc/1/mountinfo";
const OWN: &str = "proc/self/mountinfo";
const FSTAB: &str = "etc/fstab";
const MAX_BYTES: usize = 4 * 1024 * 1024;
const MAX_FSTAB: usize = 256 * 1024;
/// Most mounts of removable media, and most lines of fstab.
const MAX_ROWS: usize = 64;

/// Places that are always asked.
const PLACES: [&str; 14] = [
    "/",
    "/boot",
    "/boot/efi",
    "/dev/shm",
    "/home",
    "/opt",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/log",
    "/var/log/audit",
    "/var/tmp",
];
/// Below these, media are mounted.
const MEDIA: [&str; 3] = ["/media/", "/mnt/", "/run/media/"];

/// Reads mounts and what is configured to be mounted.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut rows = Vec::new();
    let (source, text, note) = in_effect(look);
    if let Some(text) = text {
        let (mounts, is_whole) = parse(&text);
        if !is_whole {
            look.fault(format!("{source}: a line cannot be read"));
        }
        let media = mounts.iter().map(|it| it.place.as_str()).filter(|it| is_medium(it)).take(MAX_ROWS);
        let mut places: Vec<&str> = PLACES.into_iter().chain(media).collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            effective(&mut rows, &mounts, place, source, note);
        }
    }
    if let Some(text) = look.text(FSTAB, MAX_FSTAB) {
        configured(&mut rows, &text);
    }
    automounts(look, &mut rows);
    if rows.is_empty() {
        return look.missing("neither proc/1/mountinfo nor etc/fstab is there");
    }
    Reading::of(&rows)
}

fn in_effect(look: &mut Look<'_>) -> (&'static str, Option<String>, Option<&'static str>) {
    let text = |bytes: Vec<u8>| Some(String::from_utf8_lossy(&bytes).into_owned());
    let read = look.in_time().and_then(|()| look.host.root.read(INIT, MAX_BYTES));
    match look.outcome(INIT, read) {
        Outcome::Seen(bytes) => (INIT, text(bytes), None),
        Outcome::Absent | Outcome::Failed(_) => (INIT, None, None),
        Outcome::Denied => {
            let note = "as the agent sees it: process 1 may not be asked (needs CAP_SYS_PTRACE)";
            (OWN, look.bytes(OWN, MAX_BYTES).and_then(text), Some(note))
        }
    }
}

fn is_medium(place: &str) -> bool {
    MEDIA.iter().any(|it| place.starts_with(it)) || place == "/mnt" || place == "/media"
}

type Rows = Vec<holdpoint_common::row::HardeningRow>;

fn effective(rows: &mut Rows, mounts: &[Mount], place: &str, source: &str, note: Option<&str>) {
    let fact = |id: &str| {
        let fact = Fact::new(id, &["L11"], source).about(place);
        match note {
            Some(note) => fact.because(note),
            None => fact,
        }
    };
    let Some(mount) = covering(mounts, place) else { return };
    let is_automount = mounts.iter().any(|it| it.place == place && it.kind == "autofs");
    if is_automount {
        rows.push(fact("mount.automount").flag(true));
        return;
    }
    let is_own = mount.place == place;
    let separate = fact("mount.separate");
    rows.push(if is_own {
        separate.flag(true)
    } else {
        let on = format!("part of {}", mount.place);
        separate.because(note.map_or(on.clone(), |note| format!("{on}; {note}"))).flag(false)
    });
    rows.push(fact("mount.options").list(mount.options.clone()));
    if is_own {
        rows.push(fact("mount.kind").text(&mount.kind));
    }
}

/// Lines of fstab(5) for places of interest, and those that a user may mount.
fn configured(rows: &mut Rows, text: &str) {
    let mut count = 0;
    for line in text.lines().map(str::trim).filter(|it| !it.starts_with('#')) {
        let mut fields = line.split_whitespace();
        let (Some(_), Some(place), Some(kind), options) =
            (fields.next(), fields.next(), fields.next(), fields.next().unwrap_or("defaults"))
        else {
            continue;
        };
        let place = unescaped(place);
        let is_asked = PLACES.contains(&place.as_str())
            || is_medium(&place)
            || options.split(',').any(|it| matches!(it, "noauto" | "user" | "users" | "owner" | "group"));
        if !is_asked || count == MAX_ROWS {
            continue;
        }
        count += 1;
        let fact = Fact::new("mount.configured", &["L11"], FSTAB).about(&place).because(format!("as {kind}"));
        rows.push(fact.list(options.split(',').map(without_secret)));
    }
}

/// Network file systems take passwords as options; those are never said.
fn without_secret(option: &str) -> String {
    match option.split_once('=') {
        Some((key, _)) if key.to_ascii_lowercase().contains("pass") => format!("{key}=(not shown)"),
        Some(_) | None => option.to_owned(),
    }
}

/// Where autofs mounts, by its master map; what it mounts there is in maps that are not read.
fn automounts(look: &mut Look<'_>, rows: &mut Rows) {
    let files = std::iter::once("etc/auto.master".to_owned())
        .chain(drop_ins(look, &["etc/auto.master.d"], ".autofs"))
        .collect::<Vec<_>>();
    let mut places = Vec::new();
    let mut source = None;
    for file in files {
        let Some(text) = look.text(&file, MAX_FSTAB) else { continue };
        let place =
            |line: &str| line.split_whitespace().next().filter(|it| it.starts_with('/')).map(str::to_owned);
        places.extend(text.lines().filter_map(place));
        source.get_or_insert(file);
    }
    if let Some(source) = source {
        rows.push(Fact::new("mount.autofs", &["L11"], &source).list(places));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};
    use holdpoint_common::row::HardeningRow;
    use holdpoint_common::row::hardening_row::Value;

    fn find<'a>(rows: &'a [HardeningRow], id: &str, place: &str) -> Option<&'a HardeningRow> {
        rows.iter().find(|it| it.id == id && it.subject.as_deref() == Some(place))
    }

    fn list(row: Option<&HardeningRow>) -> Vec<String> {
        match row.and_then(|it| it.value.clone()) {
            Some(Value::List(list)) => list.items,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_in_effect_comes_from_process_one() {
        let (_dir, host) = host(&[
            (
                "proc/1/mountinfo",
                "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n31 27 0:31 / /tmp rw,nosuid,nodev - tmpfs t rw\n\
                 32 27 8:1 / /media/stick rw,nosuid - vfat /dev/sda1 ro\n33 27 0:5 / /boot/efi rw - autofs x rw\n",
            ),
            ("proc/self/mountinfo", "1 1 1:1 / /tmp ro - tmpfs private ro\n"),
            (
                "etc/fstab",
                "# x\n/dev/vda / ext4 defaults 0 1\n//nas/a /mnt/nas cifs username=u,password=geheim,noexec 0 0\n\
                 /dev/sdb1 /usb vfat noauto,user\n/dev/sdc1 /data ext4 rw\nbroken\n",
            ),
            ("etc/auto.master", "+auto.master\n/net -hosts\n# /x y\n"),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(list(find(&rows, "mount.options", "/tmp")), ["nodev", "nosuid", "rw"]);
        assert_eq!(list(find(&rows, "mount.options", "/media/stick")), ["nosuid", "ro"]);
        let home = find(&rows, "mount.separate", "/home").unwrap();
        assert_eq!((&home.value, home.reason.as_deref()), (&Some(Value::Flag(false)), Some("part of /")));
        assert!(find(&rows, "mount.automount", "/boot/efi").is_some());
        assert!(find(&rows, "mount.options", "/boot/efi").is_none());
        assert_eq!(
            list(find(&rows, "mount.configured", "/mnt/nas")),
            ["username=u", "password=(not shown)", "noexec"]
        );
        assert!(find(&rows, "mount.configured", "/usb").is_some());
        assert!(find(&rows, "mount.configured", "/data").is_none());
        assert_eq!(list(rows.iter().find(|it| it.id == "mount.autofs")), ["/net"]);
    }

    #[test]
    fn broken_lines_make_the_answer_partial() {
        let (_dir, host) =
            host(&[("proc/1/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n\u{0}\u{1}garbage\n")]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!(faults, ["proc/1/mountinfo: a line cannot be read"]);
        assert!(find(&rows, "mount.options", "/").is_some());
    }
}
