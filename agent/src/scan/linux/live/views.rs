//! Whether a path of another process leads where the same path leads the agent.
//!
//! A process can have its own mounts (a container, but also every service that systemd puts behind
//! `PrivateTmp` or `ProtectSystem`) and its own root. Source of truth: `proc/PID/mountinfo`,
//! `proc_pid_mountinfo(5)`, of the process and of the agent. A path means the same when the mount
//! that covers it is the same directory of the same file system in both. In doubt it does not.

use crate::host::Reads;
use crate::scan::Look;

/// What this source may touch.
pub(super) const READS: &[Reads] = &[Reads::content("proc/*/mountinfo")];

const MAX_MOUNTINFO: usize = 4 * 1024 * 1024;

/// The mounts of the agent, and of the process that was asked for last.
#[derive(Debug, Default)]
pub(super) struct Views {
    own: Option<Vec<u8>>,
    other: Option<(String, Option<Vec<u8>>)>,
}

impl Views {
    /// Whether the path leads both to the same place.
    pub(super) fn agree(&mut self, look: &Look<'_>, process: &str, path: &str) -> bool {
        let root = &look.host.root;
        let read = |of: &str| root.read(&format!("proc/{of}/mountinfo"), MAX_MOUNTINFO).ok();
        let own = self.own.get_or_insert_with(|| read("self").unwrap_or_default());
        if self.other.as_ref().is_none_or(|(number, _)| number != process) {
            self.other = Some((process.to_owned(), read(process)));
        }
        let Some((_, Some(other))) = &self.other else { return false };
        agree(own, other, path)
    }
}

fn agree(own: &[u8], other: &[u8], path: &str) -> bool {
    // Equal lists are one name space with one root, also when that root is no mount of its own.
    own == other && !own.is_empty()
        || place(&String::from_utf8_lossy(own), path)
            .is_some_and(|it| Some(it) == place(&String::from_utf8_lossy(other), path))
}

/// Where a path is, whatever is mounted where: device, and path on it.
fn place(mountinfo: &str, path: &str) -> Option<(String, String)> {
    let mut best: Option<(usize, String, String)> = None;
    for line in mountinfo.lines() {
        let mut fields = line.split(' ').skip(2);
        let (Some(device), Some(root), Some(point)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let point = unescaped(point);
        let Some(below) = below(path, &point) else { continue };
        // Of two mounts on one place the later one is seen.
        if best.as_ref().is_none_or(|(length, ..)| point.len() >= *length) {
            let root = unescaped(root);
            let on_device = format!("{}/{below}", root.trim_end_matches('/'));
            best = Some((point.len(), device.to_owned(), on_device));
        }
    }
    best.map(|(_, device, path)| (device, path))
}

/// The rest of a path below a mount point, without the leading `/`.
fn below<'a>(path: &'a str, point: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(point.trim_end_matches('/'))?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescaped(text: &str) -> String {
    const ESCAPES: [(&str, &str); 4] = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    let mut text = text.to_owned();
    for (escape, meant) in ESCAPES {
        if text.contains(escape) {
            text = text.replace(escape, meant);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
28 27 254:1 / /opt rw,relatime - ext4 /dev/vdb rw
29 27 0:21 / /proc rw - proc proc rw
";

    fn says(other: &str, path: &str) -> bool {
        agree(HOST.as_bytes(), other.as_bytes(), path)
    }

    #[test]
    fn a_service_with_its_own_tmp_sees_the_hosts_libraries() {
        let service = "\
127 101 254:0 / / ro,relatime - ext4 /dev/vda rw
128 127 254:1 / /opt ro - ext4 /dev/vdb rw
129 127 254:0 /tmp/systemd-private-1 /tmp rw - ext4 /dev/vda rw
";
        assert!(says(service, "/usr/lib/a.so") && says(service, "/opt/x/a.so"));
        assert!(!says(service, "/tmp/a.so"));
    }

    #[test]
    fn a_container_does_not() {
        for other in [
            "400 300 0:57 / / rw - overlay overlay rw\n",
            "400 300 254:0 /var/lib/machines/a / rw - ext4 /dev/vda rw\n",
            "400 300 0:21 / /proc rw - proc proc rw\n",
            "",
            "rubbish\n\n1 2 254:0\n",
        ] {
            assert!(!says(other, "/usr/lib/a.so"), "{other}");
        }
    }

    #[test]
    fn the_last_mount_on_a_place_is_the_one_that_is_seen() {
        let covered = format!("{HOST}40 28 254:7 / /opt rw - ext4 /dev/vdc rw\n");
        assert!(!says(&covered, "/opt/a.so") && says(&covered, "/optional/a.so"));
    }

    #[test]
    fn one_changed_root_is_a_place_of_its_own() {
        let changed = b"29 27 0:21 / /proc rw - proc proc rw\n";
        assert!(agree(changed, changed, "/usr/lib/a.so"));
        assert!(!agree(b"", b"", "/usr/lib/a.so"));
    }

    #[test]
    fn spaces_in_mount_points_are_read() {
        assert_eq!(
            place("1 0 8:1 /a\\040b /mnt/c\\134d rw - x x rw\n", "/mnt/c\\d/e"),
            Some(("8:1".into(), "/a b/e".into()))
        );
    }
}
