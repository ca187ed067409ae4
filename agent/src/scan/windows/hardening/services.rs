//! W30 to W32: doors that no listener shows, services that are seldom needed, and paths of services that
//! somebody else could fill.
//!
//! Sources of truth: `PortProxy`, the reservations of the HTTP driver, and the keys of the services, which
//! everybody may read but for a few. All listeners and all services are sections of their own; here are the
//! facts that rules ask for by name.
//!
//! Absence: a service without a key is not installed.
//!
//! Known lies: a program is writable too when a folder above it is; only the program itself is asked.
//! Libraries that it loads are not.

use std::collections::BTreeMap;

use holdpoint_common::row::HardeningRow;

use super::files;
use super::ground::{self, Ground};
use super::keys::service;
use super::products::SERVICES;
use super::setting::{RIGHTS, START, rows, tell};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch. Of the programs that services name, wherever they are, the system is asked for the
/// access list alone.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    files::READS,
    &[Reads::key(SERVICES), Reads::key(service!("*")), Reads::key(PROXIES), Reads::key(RESERVED)],
];

const PROXIES: &str = service!(r"PortProxy\*\tcp");
const RESERVED: &str = service!(r"HTTP\Parameters\UrlAclInfo");
const MAX_SERVICES: usize = 4_096;

const PORTS: &[&str] = &["W30"];
const UNUSED: &[&str] = &["W31"];
const PATHS: &[&str] = &["W32"];

/// Services that a plant seldom needs.
const SELDOM: [&str; 16] = [
    "Spooler",
    "RemoteRegistry",
    "RemoteAccess",
    "SSDPSRV",
    "upnphost",
    "TlntSvr",
    "FTPSVC",
    "MSFTPSVC",
    "W3SVC",
    "SNMP",
    "SNMPTRAP",
    "simptcp",
    "Fax",
    "LxssManager",
    "WMPNetworkSvc",
    "XblAuthManager",
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, &[], |look, ground, rows| {
        rows.push(port_proxies(look, ground));
        rows.push(reservations(look, ground));
        for name in SELDOM {
            rows.push(start(look, ground, name));
        }
        rows.push(unquoted(look, ground));
        rows.push(writable(look, ground));
    })
}

/// Ports that the host passes on to others.
fn port_proxies(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let fact = Fact::new("network.port_proxies", PORTS, PROXIES);
    let mut lines = Vec::new();
    let mut is_there = false;
    for kind in ["v4tov4", "v4tov6", "v6tov4", "v6tov6"] {
        let key = format!("{SERVICES}\\PortProxy\\{kind}\\tcp");
        match look.registry_values_outcome(&key) {
            Outcome::Seen(values) => {
                is_there = true;
                let line = |name: &str, to: Option<&str>| format!("{kind} {name} to {}", to.unwrap_or("?"));
                lines.extend(values.iter().map(|it| line(&it.name, it.data.text())));
            }
            Outcome::Absent => {}
            Outcome::Denied => return fact.because(RIGHTS).denied(),
            Outcome::Failed(why) => return fact.because(why).error(),
        }
    }
    lines.sort();
    let outcome = if is_there { Outcome::Seen(lines) } else { Outcome::Absent };
    tell(ground, SERVICES, fact, outcome, "no port is passed on", Fact::list)
}

/// Addresses that programs may serve through the HTTP driver, which listens in their place.
fn reservations(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let outcome = look.registry_values_outcome(RESERVED);
    let fact = Fact::new("network.url_reservations", PORTS, RESERVED);
    tell(ground, RESERVED, fact, outcome, "no address is reserved", |fact, values| {
        let mut names: Vec<String> = values.into_iter().map(|it| it.name).collect();
        names.sort();
        fact.list(names)
    })
}

fn start(look: &mut Look<'_>, ground: &Ground, name: &str) -> HardeningRow {
    let key = format!("{SERVICES}\\{name}");
    let outcome = look.registry_outcome(&key, "Start");
    let fact = Fact::new("services.start", UNUSED, &format!("{key}\\Start")).about(name);
    tell(ground, &key, fact, outcome, "the service is not installed", |fact, data| {
        let word = data.number().and_then(|it| START.iter().find(|(number, _)| *number == it));
        match word {
            Some((_, word)) => fact.text(word),
            None => fact.because("no way to start").error(),
        }
    })
}

/// Services whose path Windows would look for in several places: `C:\Plant View\run.exe` is first taken
/// for `C:\Plant.exe`.
fn unquoted(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let fact = Fact::new("services.unquoted_paths", PATHS, SERVICES);
    let names = match look.registry_keys_outcome(SERVICES) {
        Outcome::Seen(names) => names,
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            return tell(ground, SERVICES, fact, other, "no services are here", |fact, _| fact.absent());
        }
    };
    if names.len() > MAX_SERVICES {
        return fact.because(format!("more than {MAX_SERVICES} services")).error();
    }
    let mut lines = Vec::new();
    let mut kept = 0_usize;
    for name in &names {
        let key = format!("{SERVICES}\\{name}");
        let image = match look.registry_outcome(&key, "ImagePath") {
            Outcome::Seen(data) => data.text().map(str::to_owned),
            Outcome::Absent => None,
            Outcome::Denied => {
                kept += 1;
                None
            }
            Outcome::Failed(why) => return fact.because(why).error(),
        };
        let Some(image) = image.filter(|it| is_ambiguous(it)) else { continue };
        // Drivers are found by their path alone.
        let is_program = match look.registry_outcome(&key, "Type") {
            Outcome::Seen(data) => data.number().is_some_and(|it| it & 0x30 != 0),
            Outcome::Absent | Outcome::Denied | Outcome::Failed(_) => false,
        };
        if is_program {
            lines.push(format!("{name}: {image}"));
        }
    }
    if kept == names.len() && kept > 0 {
        return fact.because(RIGHTS).denied();
    }
    lines.sort();
    let fact = if kept > 0 { fact.because(format!("{kept} services may not be read")) } else { fact };
    fact.list(lines)
}

/// Whether a command line has a blank in the path of its program and no quotes around it.
fn is_ambiguous(image: &str) -> bool {
    let image = image.trim_start();
    if image.starts_with('"') {
        return false;
    }
    let folded = image.to_ascii_lowercase();
    // What follows the program is its arguments, blanks and all.
    let end = folded.find(".exe").unwrap_or(folded.find(" -").or(folded.find(" /")).unwrap_or(folded.len()));
    image.get(..end).is_some_and(|it| it.contains(' '))
}

/// Programs of services that others than administrators own or may write.
fn writable(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let fact = Fact::new("services.writable_programs", PATHS, "GetFileSecurityW");
    if look.host.windows.is_none() {
        return fact.because("only a running system says who may write a file").absent();
    }
    let Some(root) = files::system_root(look) else {
        return fact.because("where Windows is installed is not known").error();
    };
    let names = match look.registry_keys_outcome(SERVICES) {
        Outcome::Seen(names) if names.len() > MAX_SERVICES => {
            return fact.because(format!("more than {MAX_SERVICES} services")).error();
        }
        Outcome::Seen(names) => names,
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            return tell(ground, SERVICES, fact, other, "no services are here", |fact, _| fact.absent());
        }
    };
    let mut programs: BTreeMap<String, String> = BTreeMap::new();
    for name in names {
        // What may not be read was counted with the paths above.
        let Outcome::Seen(image) = look.registry_outcome(&format!("{SERVICES}\\{name}"), "ImagePath") else {
            continue;
        };
        let path = image.text().and_then(|it| program_of(it, &root));
        programs.extend(path.map(|it| (it.to_lowercase(), name)));
    }
    let (mut open, mut asked, mut refused) = (Vec::new(), 0_usize, 0_usize);
    for (path, name) in &programs {
        match files::others_who_write(look, path) {
            Outcome::Seen(others) => {
                asked += 1;
                if !others.is_empty() {
                    open.push(format!("{name}: {path}: {}", others.join(", ")));
                }
            }
            // A service whose program is gone does not start.
            Outcome::Absent => {}
            Outcome::Denied | Outcome::Failed(_) => refused += 1,
        }
    }
    if asked == 0 && refused > 0 {
        return fact.because(RIGHTS).denied();
    }
    let fact = if refused > 0 { fact.because(format!("{refused} programs may not be asked")) } else { fact };
    fact.list(open)
}

/// The program of a command line as an absolute path; `None` where it names none that can be told.
fn program_of(image: &str, root: &str) -> Option<String> {
    let image = image.trim();
    let path = match image.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => {
            let folded = image.to_ascii_lowercase();
            let end = [".exe", ".sys"].iter().find_map(|it| folded.find(it).map(|at| at + it.len()));
            image.get(..end.unwrap_or(image.len()))?
        }
    };
    let folded = path.to_ascii_lowercase();
    let rest = |start: &str| folded.starts_with(start).then(|| &path[start.len()..]);
    if let Some(rest) =
        rest(r"\systemroot\").or_else(|| rest(r"%systemroot%\")).or_else(|| rest(r"%windir%\"))
    {
        return Some(format!(r"{root}\{rest}"));
    }
    if let Some(rest) = rest(r"system32\") {
        return Some(format!(r"{root}\System32\{rest}"));
    }
    let path = rest(r"\??\").unwrap_or(path);
    let is_absolute = path.get(1..3) == Some(r":\") && path.starts_with(|it: char| it.is_ascii_alphabetic());
    (is_absolute && !path.contains('%')).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{is_ambiguous, program_of};

    #[test]
    fn a_command_line_names_a_program_in_many_ways() {
        let of = |image| program_of(image, r"C:\Windows");
        for (image, path) in [
            (r#""C:\Plant View\run.exe" -k"#, r"C:\Plant View\run.exe"),
            (r"%SystemRoot%\system32\svchost.exe -k x", r"C:\Windows\system32\svchost.exe"),
            (r"\SystemRoot\System32\drivers\a.sys", r"C:\Windows\System32\drivers\a.sys"),
            (r"System32\drivers\a.sys", r"C:\Windows\System32\drivers\a.sys"),
            (r"\??\D:\x.sys", r"D:\x.sys"),
        ] {
            assert_eq!(of(image).as_deref(), Some(path), "{image}");
        }
        for image in ["", "run.exe", r"%ProgramFiles%\x.exe", r"\\server\share\x.exe", "ü"] {
            assert_eq!(of(image), None, "{image}");
        }
    }

    #[test]
    fn a_path_with_blanks_and_without_quotes_is_ambiguous() {
        for image in [r"C:\Program Files\HMI\run.exe -k", r"C:\Plant View\Service", r"C:\a b\c.EXE"] {
            assert!(is_ambiguous(image), "{image}");
        }
        for image in [
            r#""C:\Program Files\HMI\run.exe" -k"#,
            r"C:\Windows\system32\svchost.exe -k netsvcs -p",
            r"\SystemRoot\System32\drivers\x.sys",
            r"C:\Plant\run -f /x y",
            "",
        ] {
            assert!(!is_ambiguous(image), "{image}");
        }
    }
}
