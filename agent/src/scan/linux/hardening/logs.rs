//! Whether logs survive a restart and reach another machine.
//!
//! Sources of truth: journald.conf(5) with its drop-ins, the directory `var/log/journal` that decides
//! for `Storage=auto`, and where rsyslog, syslog-ng and systemd-journal-upload send what they take.
//! World readable on most hosts. How old the oldest record is moves by itself and is not said.
//!
//! Known lies: a target in a template or a variable is shown as it stands; syslog-ng's files that the
//! main one includes from elsewhere than `conf.d` are not read; a file that is not loaded, because
//! `rsyslog.conf` was changed to include nothing, still counts.

use std::collections::BTreeMap;

use holdpoint_common::row::HardeningRow;

use super::layers::{assignments, drop_ins, enabled};
use crate::host::{EntryKind, Reads};
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("etc/systemd/journald.conf"),
    Reads::content("run/systemd/journald.conf"),
    Reads::content("usr/local/lib/systemd/journald.conf"),
    Reads::content("usr/lib/systemd/journald.conf"),
    Reads::content("etc/systemd/journald.conf.d/*.conf"),
    Reads::content("run/systemd/journald.conf.d/*.conf"),
    Reads::content("usr/local/lib/systemd/journald.conf.d/*.conf"),
    Reads::content("usr/lib/systemd/journald.conf.d/*.conf"),
    Reads::content("lib/systemd/journald.conf.d/*.conf"),
    Reads::metadata("var/log/journal"),
    Reads::content("etc/rsyslog.conf"),
    Reads::content("etc/rsyslog.d/*.conf"),
    Reads::content("etc/syslog-ng/syslog-ng.conf"),
    Reads::content("etc/syslog-ng/conf.d/*.conf"),
    Reads::content("etc/systemd/journal-upload.conf"),
    Reads::content("etc/systemd/journal-upload.conf.d/*.conf"),
];

const CHECKS: &[&str] = &["L15"];
const MAX_BYTES: usize = 1024 * 1024;
/// Where the main file may be, and the drop-ins, the strongest first.
const JOURNALD: [&str; 4] = [
    "etc/systemd/journald.conf",
    "run/systemd/journald.conf",
    "usr/local/lib/systemd/journald.conf",
    "usr/lib/systemd/journald.conf",
];
const JOURNALD_DROP_INS: [&str; 5] = [
    "etc/systemd/journald.conf.d",
    "run/systemd/journald.conf.d",
    "usr/local/lib/systemd/journald.conf.d",
    "usr/lib/systemd/journald.conf.d",
    "lib/systemd/journald.conf.d",
];
const KEYS: [(&str, &str); 8] = [
    ("Storage", "journald.storage"),
    ("ForwardToSyslog", "journald.forward_to_syslog"),
    ("SystemMaxUse", "journald.system_max_use"),
    ("SystemKeepFree", "journald.system_keep_free"),
    ("MaxRetentionSec", "journald.max_retention"),
    ("Compress", "journald.compress"),
    ("Seal", "journald.seal"),
    ("RateLimitBurst", "journald.rate_limit_burst"),
];

/// Reads where logs go.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut rows = Vec::new();
    journald(look, &mut rows);
    rsyslog(look, &mut rows);
    syslog_ng(look, &mut rows);
    upload(look, &mut rows);
    if rows.is_empty() {
        return look.missing("neither journald nor a syslog daemon is configured here");
    }
    Reading::of(&rows)
}

fn journald(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    // The first main file that is there is the only one.
    let main = JOURNALD.into_iter().find(|it| look.exists(it)).map(str::to_owned);
    let drop_ins = drop_ins(look, &JOURNALD_DROP_INS, ".conf");
    let directory = look.facts("var/log/journal");
    if main.is_none() && drop_ins.is_empty() && directory.is_none() {
        return;
    }
    let mut settings: BTreeMap<String, (String, String)> = BTreeMap::new();
    let named = main.clone().unwrap_or_else(|| JOURNALD[0].to_owned());
    for file in main.into_iter().chain(drop_ins) {
        let Some(text) = look.text(&file, MAX_BYTES) else { continue };
        for (key, value) in assignments(&text) {
            settings.insert(key.to_owned(), (value.to_owned(), file.clone()));
        }
    }
    for (key, id) in KEYS {
        rows.push(match settings.get(key) {
            Some((value, source)) if !value.is_empty() => Fact::new(id, CHECKS, source).text(value),
            Some(_) | None => {
                Fact::new(id, CHECKS, &named).because("no file says it: systemd's own default").absent()
            }
        });
    }
    let persists = directory.is_some_and(|it| it.kind == EntryKind::Directory);
    rows.push(Fact::new("journald.directory", CHECKS, "var/log/journal").flag(persists));
}

fn rsyslog(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const MAIN: &str = "etc/rsyslog.conf";
    let Some(main) = look.text(MAIN, MAX_BYTES) else { return };
    let mut targets = forwards(&main);
    for file in drop_ins(look, &["etc/rsyslog.d"], ".conf") {
        targets.extend(look.text(&file, MAX_BYTES).iter().flat_map(|it| forwards(it)));
    }
    targets.sort_unstable();
    targets.dedup();
    rows.push(Fact::new("rsyslog.forwards", CHECKS, MAIN).list(targets));
}

/// Where rsyslog's rules send: `SELECTOR @host:port` (UDP), `@@` (TCP), and actions of type `omfwd` or
/// `omrelp`.
fn forwards(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut code = String::with_capacity(text.len());
    for line in text.lines().map(str::trim) {
        let line = line.split_once(" #").map_or(line, |it| it.0);
        if line.starts_with('#') {
            continue;
        }
        if let Some(target) = line.split_whitespace().nth(1) {
            if let Some(target) = target.strip_prefix("@@") {
                targets.push(format!("tcp {}", after_options(target)));
            } else if let Some(target) = target.strip_prefix('@') {
                targets.push(format!("udp {}", after_options(target)));
            }
        }
        code.push_str(line);
        code.push(' ');
    }
    for action in code.split("action(").skip(1) {
        let body = action.split(')').next().unwrap_or_default();
        let parameter = |key: &str| {
            let at = body.to_ascii_lowercase().find(&format!("{key}="))?;
            let value = body.get(at + key.len() + 1..)?.trim_start();
            value.strip_prefix('"')?.split('"').next().map(str::to_owned)
        };
        let kind = parameter("type").unwrap_or_default();
        let Some(target) = parameter("target").filter(|_| matches!(kind.as_str(), "omfwd" | "omrelp")) else {
            continue;
        };
        let protocol = match kind.as_str() {
            "omrelp" => "relp".to_owned(),
            _ => parameter("protocol").unwrap_or_else(|| "udp".to_owned()),
        };
        let port = parameter("port").map(|it| format!(":{it}")).unwrap_or_default();
        targets.push(format!("{protocol} {target}{port}"));
    }
    targets
}

/// `@(z9)host` compresses.
fn after_options(target: &str) -> &str {
    target.strip_prefix('(').and_then(|it| it.split_once(')')).map_or(target, |it| it.1)
}

fn syslog_ng(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const MAIN: &str = "etc/syslog-ng/syslog-ng.conf";
    let Some(main) = look.text(MAIN, MAX_BYTES) else { return };
    let mut targets = destinations(&main);
    for file in drop_ins(look, &["etc/syslog-ng/conf.d"], ".conf") {
        targets.extend(look.text(&file, MAX_BYTES).iter().flat_map(|it| destinations(it)));
    }
    targets.sort_unstable();
    targets.dedup();
    rows.push(Fact::new("syslog_ng.forwards", CHECKS, MAIN).list(targets));
}

/// Network drivers inside `destination NAME { ... };`, with the host that is their first argument.
fn destinations(text: &str) -> Vec<String> {
    const DRIVERS: [&str; 6] = ["network", "syslog", "tcp6", "tcp", "udp6", "udp"];
    let code: String =
        text.lines().map(|it| it.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let mut targets = Vec::new();
    for block in code.split("destination ").skip(1) {
        let body = block.split_once('{').map(|it| it.1).unwrap_or_default();
        let end = body.find("};").unwrap_or(body.len());
        let mut rest = &body[..end];
        while let Some(at) = rest.find('(') {
            let word = rest[..at].trim_end().rsplit([' ', '\t', ';', '{']).next().unwrap_or_default();
            let argument = rest[at + 1..].trim_start();
            rest = &rest[at + 1..];
            let host = argument.strip_prefix('"').and_then(|it| it.split('"').next());
            if let Some(host) = host.filter(|_| DRIVERS.contains(&word)) {
                targets.push(format!("{word} {host}"));
            }
        }
    }
    targets
}

fn upload(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const MAIN: &str = "etc/systemd/journal-upload.conf";
    let files: Vec<String> = std::iter::once(MAIN.to_owned())
        .chain(drop_ins(look, &["etc/systemd/journal-upload.conf.d"], ".conf"))
        .collect();
    let mut url = None;
    for file in files {
        let Some(text) = look.text(&file, MAX_BYTES) else { continue };
        let last = assignments(&text).filter(|it| it.0 == "URL").last();
        url = last.map(|it| (without_user(it.1), file.clone())).or(url);
    }
    let Some((url, source)) = url else { return };
    let is_enabled = enabled(look).contains("systemd-journal-upload.service");
    rows.push(Fact::new("journal_upload.url", CHECKS, &source).text(&url));
    rows.push(Fact::new("journal_upload.enabled", CHECKS, "etc/systemd/system/*.wants").flag(is_enabled));
}

/// A name and a password in a URL are nobody's business.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |it| it);
    let (host, path) = rest.split_once('/').map_or((rest, ""), |it| it);
    let host = host.rsplit('@').next().unwrap_or(host);
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    if path.is_empty() { format!("{scheme}{host}") } else { format!("{scheme}{host}/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};
    use holdpoint_common::row::hardening_row::Value;

    #[test]
    fn the_strongest_file_says_how_journald_stores() {
        let (_dir, host) = host(&[
            ("etc/systemd/journald.conf", "[Journal]\n#Storage=none\nStorage=volatile\nCompress=yes\n"),
            ("usr/lib/systemd/journald.conf", "[Journal]\nSeal=no\n"),
            ("etc/systemd/journald.conf.d/50-site.conf", "[Journal]\nStorage=persistent\n"),
            ("usr/lib/systemd/journald.conf.d/50-site.conf", "[Journal]\nStorage=none\n"),
            ("usr/lib/systemd/journald.conf.d/10-syslog.conf", "[Journal]\nForwardToSyslog=yes\n"),
            ("var/log/journal/x/y", ""),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let find = |id: &str| rows.iter().find(|it| it.id == id).unwrap();
        let storage = find("journald.storage");
        assert_eq!(
            (&storage.value, storage.source.as_str()),
            (&Some(Value::Text("persistent".into())), "etc/systemd/journald.conf.d/50-site.conf")
        );
        assert_eq!(find("journald.forward_to_syslog").value, Some(Value::Text("yes".into())));
        assert_eq!(find("journald.seal").state, "absent");
        assert_eq!(find("journald.directory").value, Some(Value::Flag(true)));
    }

    #[test]
    fn every_way_of_sending_logs_on_is_found() {
        assert_eq!(
            forwards(
                "# *.* @no\n*.* @10.0.0.1\nauth.* @@(o)log.plant:6514 # x\n*.* /var/log/messages\n\
                 *.* action(type=\"omfwd\"\n  target=\"siem\" Port=\"514\" protocol=\"tcp\")\n\
                 action(type=\"omfile\" target=\"x\")\naction(type=\"omrelp\" target=\"r\")\nmodule(load=\"imudp\")\n"
            ),
            ["udp 10.0.0.1", "tcp log.plant:6514", "tcp siem:514", "relp r"]
        );
        assert_eq!(
            destinations(
                "source s { network(ip(0.0.0.0)); };\ndestination d { file(\"/x\"); tcp(\"log\" port(514)); };\n\
                 # destination e { udp(\"no\"); };\ndestination f { network(\"n.plant\" transport(\"tls\")); };"
            ),
            ["tcp log", "network n.plant"]
        );
        assert_eq!(without_user("https://u:p@h:19532/a"), "https://h:19532/a");
        for text in ["action(", "action(target=\"", "destination ", "destination x {((((", "* @@("] {
            forwards(text);
            destinations(text);
        }
    }
}
