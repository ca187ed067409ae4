//! Which time sources the host is told to use. Whether it reaches them moves, and is not said here.
//!
//! Sources of truth: the configuration of chrony, systemd-timesyncd and ntpd (also ntpsec).
//! World readable on every distribution known. A compiled-in default is in no file and not reported.

use crate::host::Reads;
use crate::scan::Look;

/// What this source may touch.
pub(super) const READS: &[Reads] = &[
    Reads::content("etc/chrony/chrony.conf"),
    Reads::content("etc/chrony.conf"),
    Reads::content("etc/chrony/conf.d/*.conf"),
    Reads::content("etc/chrony/sources.d/*.sources"),
    Reads::content("etc/chrony.d/*.conf"),
    Reads::content("etc/systemd/timesyncd.conf"),
    Reads::content("etc/systemd/timesyncd.conf.d/*.conf"),
    Reads::content("etc/ntp.conf"),
    Reads::content("etc/ntpsec/ntp.conf"),
];

const MAX_BYTES: usize = 256 * 1024;
const MAX_FILES: usize = 256;
/// Most time sources of one row.
const MAX_SOURCES: usize = 64;

/// Files, and directories with the suffix of the files that count, of one daemon.
struct Daemon {
    files: &'static [&'static str],
    directories: &'static [(&'static str, &'static str)],
    parse: fn(&str) -> Vec<String>,
}

const DAEMONS: [Daemon; 3] = [
    Daemon {
        files: &["etc/chrony/chrony.conf", "etc/chrony.conf"],
        directories: &[
            ("etc/chrony/conf.d", ".conf"),
            ("etc/chrony/sources.d", ".sources"),
            ("etc/chrony.d", ".conf"),
        ],
        parse: directives,
    },
    Daemon {
        files: &["etc/systemd/timesyncd.conf"],
        directories: &[("etc/systemd/timesyncd.conf.d", ".conf")],
        parse: timesyncd,
    },
    Daemon { files: &["etc/ntp.conf", "etc/ntpsec/ntp.conf"], directories: &[], parse: directives },
];

/// The configured servers, in order of appearance, each once.
pub(super) fn read(look: &mut Look<'_>) -> Vec<String> {
    let mut sources: Vec<String> = Vec::new();
    for daemon in &DAEMONS {
        let mut texts: Vec<String> = Vec::new();
        for file in daemon.files {
            texts.extend(look.text(file, MAX_BYTES));
        }
        for (directory, suffix) in daemon.directories {
            let Some(listing) = look.list(directory, MAX_FILES) else { continue };
            for entry in listing.entries.iter().filter(|it| it.name.ends_with(suffix)) {
                let path = format!("{directory}/{}", entry.name);
                texts.extend(look.text(&path, MAX_BYTES));
            }
        }
        for source in texts.iter().flat_map(|it| (daemon.parse)(it)) {
            if !sources.contains(&source) && sources.len() < MAX_SOURCES {
                sources.push(source);
            }
        }
    }
    sources
}

/// chrony and ntpd: `server|pool|peer|refclock NAME options`.
fn directives(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let keyword = words.next()?.to_ascii_lowercase();
            let is_source = matches!(keyword.as_str(), "server" | "pool" | "peer" | "refclock");
            // ntpd accepts an address family before the name.
            words.find(|it| !matches!(*it, "-4" | "-6")).filter(|_| is_source).map(str::to_owned)
        })
        .collect()
}

/// timesyncd: `NTP=` in `[Time]`, a list; an empty value forgets what stood before.
fn timesyncd(text: &str) -> Vec<String> {
    let mut sources = Vec::new();
    for line in text.lines() {
        match line.trim().strip_prefix("NTP=") {
            Some(value) if value.trim().is_empty() => sources.clear(),
            Some(value) => sources.extend(value.split_whitespace().map(str::to_owned)),
            None => {}
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};

    #[test]
    fn every_daemons_servers_are_found_once_and_in_order() {
        let (_dir, host) = host(&[
            (
                "etc/chrony/chrony.conf",
                "# pool no\npool 2.debian.pool.ntp.org iburst\nserver gps-1.plant\nmakestep 1 3\n",
            ),
            ("etc/chrony/sources.d/plant.sources", "server gps-1.plant\npeer gps-2.plant\n"),
            ("etc/chrony/sources.d/README", "server not-me\n"),
            ("etc/systemd/timesyncd.conf", "[Time]\n#NTP=\nNTP=10.0.0.1 10.0.0.2\nFallbackNTP=x\n"),
            ("etc/ntp.conf", "server -4 10.0.0.3 prefer\nserver\n"),
        ]);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        assert_eq!(
            read(&mut look),
            ["2.debian.pool.ntp.org", "gps-1.plant", "gps-2.plant", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
        );
    }
}
