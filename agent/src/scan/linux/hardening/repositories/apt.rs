//! Repositories of apt: lines of `*.list`, stanzas of `*.sources`, and what apt lets through at all.

use holdpoint_common::row::HardeningRow;
use holdpoint_common::section::Digest;

use super::super::apt_conf::{AptConf, is_name};
use super::super::files::{self, Found};
use super::super::ini;
use super::{key, keys_of, of, overall, public, unread};
use crate::host::Reads;
use crate::scan::Look;

/// What is read of apt.
pub(super) const READS: &[Reads] = &[
    Reads::metadata("usr/bin/apt-get"),
    Reads::content("etc/apt/sources.list"),
    Reads::content("etc/apt/sources.list.d/*.list"),
    Reads::content("etc/apt/sources.list.d/*.sources"),
    Reads::content("etc/apt/trusted.gpg"),
    Reads::content("etc/apt/trusted.gpg.d/*"),
    Reads::content("etc/apt/keyrings/*"),
    Reads::content("usr/share/keyrings/*"),
];

const LIST: &str = "etc/apt/sources.list";
const PARTS: &str = "etc/apt/sources.list.d";
const TRUSTED: &str = "etc/apt/trusted.gpg.d";
/// Most repositories that are told of.
const MAX_SOURCES: usize = 512;

/// Switches that let unsigned things in; all off without a setting.
const LETS_IN: [(&str, &str); 5] = [
    ("apt.allow_unauthenticated", "APT::Get::AllowUnauthenticated"),
    ("apt.allow_insecure", "Acquire::AllowInsecureRepositories"),
    ("apt.allow_weak", "Acquire::AllowWeakRepositories"),
    ("apt.allow_downgrade_to_insecure", "Acquire::AllowDowngradeToInsecureRepositories"),
    ("apt.force_yes", "APT::Get::force-yes"),
];

/// A repository as both formats describe it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Source {
    is_disabled: bool,
    types: Vec<String>,
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    trusted: Option<bool>,
    allow_insecure: Option<bool>,
    signed_by: Option<String>,
}

pub(super) fn read(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    if files::exists(look, "usr/bin/apt-get") == Some(false) && files::exists(look, "etc/apt") == Some(false)
    {
        return;
    }
    switches(look, rows);
    trusted(look, rows);
    let mut all = vec![(LIST.to_owned(), files::read(look, LIST))];
    all.extend(files::read_all(look, PARTS, |it| is_name(it, "list") || is_name(it, "sources")));
    let mut told = 0;
    for (path, found) in all {
        let text = match &found {
            Found::Text(text) => text,
            Found::Absent => continue,
            gap @ (Found::Denied | Found::Broken(_)) => {
                rows.push(unread("apt", &path, gap));
                continue;
            }
        };
        let sources = if path.ends_with(".sources") { stanzas(text) } else { lines(text) };
        for source in sources {
            if told == MAX_SOURCES {
                look.fault(format!("{path}: more than {MAX_SOURCES} repositories"));
                return;
            }
            told += 1;
            match source {
                Ok(source) => tell(look, &source, &path, rows),
                Err((number, why)) => look.fault(format!("{path}: line {number}: {why}")),
            }
        }
    }
}

fn switches(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    let conf = AptConf::of(look);
    for (id, setting) in LETS_IN {
        rows.push(match (&conf.gap, conf.get(setting)) {
            (Some((_, gap)), _) => gap.unanswered(overall(id, "etc/apt/apt.conf")),
            (None, Some((value, source))) => match ini::flag(value) {
                Some(flag) => overall(id, source).flag(flag),
                None => overall(id, source).because(format!("{value:?} says neither yes nor no")).error(),
            },
            (None, None) => {
                overall(id, "etc/apt/apt.conf").because("not set: what apt does then").flag(false)
            }
        });
    }
}

/// Keys that are good for every repository that does not name its own.
fn trusted(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const OLD: &str = "etc/apt/trusted.gpg";
    let fact = overall("apt.trusted_keys", TRUSTED);
    rows.push(match keys_of(look, TRUSTED, |it| it.ends_with(".gpg") || it.ends_with(".asc")) {
        Ok(mut keys) => {
            if files::exists(look, OLD) == Some(true) {
                keys.push(key(look, OLD));
            }
            fact.list(keys)
        }
        Err(gap) => gap.unanswered(fact),
    });
}

fn tell(look: &mut Look<'_>, source: &Source, path: &str, rows: &mut Vec<HardeningRow>) {
    let uris: Vec<String> = source.uris.iter().map(|it| public(it)).collect();
    let about = [&source.types, &uris, &source.suites, &source.components];
    let about = about.iter().map(|it| it.join(" ")).filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
    rows.push(of("urls", &about, path).list(uris));
    rows.push(of("enabled", &about, path).flag(!source.is_disabled));
    let lets_in = source.trusted == Some(true) || source.allow_insecure == Some(true);
    let fact = of("signature_check", &about, path);
    rows.push(match (source.trusted, source.allow_insecure) {
        (Some(true), _) => fact.because("trusted=yes").flag(!lets_in),
        (_, Some(true)) => fact.because("allow-insecure=yes").flag(!lets_in),
        (Some(false) | None, Some(false) | None) => fact.flag(!lets_in),
    });
    let fact = of("keys", &about, path);
    rows.push(match &source.signed_by {
        None => fact.because("not set: every trusted key is good for it").absent(),
        Some(inline) if inline.contains("BEGIN PGP") => {
            fact.list([format!("in the file itself sha256:{}", Digest::of(inline.as_bytes()))])
        }
        Some(names) => {
            let names = names.split([' ', ',', '\n']).filter(|it| !it.is_empty());
            let keys: Vec<String> = names
                .map(|it| if let Some(path) = it.strip_prefix('/') { key(look, path) } else { it.to_owned() })
                .collect();
            fact.list(keys)
        }
    });
}

type Parsed = Result<Source, (usize, &'static str)>;

/// `TYPE [OPTION=VALUE ...] URI SUITE COMPONENT ...`
fn lines(text: &str) -> Vec<Parsed> {
    let mut sources = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            sources.push(one_line(line).map_err(|why| (index + 1, why)));
        }
    }
    sources
}

fn one_line(line: &str) -> Result<Source, &'static str> {
    let (kind, rest) = line.split_once([' ', '\t']).ok_or("no URI")?;
    if !matches!(kind, "deb" | "deb-src") {
        return Err("not a type of repository");
    }
    let mut source = Source { types: vec![kind.to_owned()], ..Source::default() };
    let mut rest = rest.trim_start();
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']').ok_or("options that do not end")?;
        for option in options.split_whitespace() {
            let (name, value) = option.split_once('=').ok_or("an option without a value")?;
            source.set(name.trim_end_matches(['+', '-']), value);
        }
        rest = after;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    source.uris.extend(words.next());
    source.suites.extend(words.next());
    source.components.extend(words);
    if source.suites.is_empty() { Err("no suite") } else { Ok(source) }
}

/// Stanzas of fields, by deb822(5): a line that starts with a blank goes on with the field before it.
fn stanzas(text: &str) -> Vec<Parsed> {
    let mut sources = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut first = 1;
    for (index, line) in text.lines().chain([""]).enumerate() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            if !fields.is_empty() {
                sources.push(stanza(&fields).map_err(|why| (first, why)));
            }
            fields.clear();
            first = index + 2;
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        } else {
            sources.push(Err((index + 1, "not a field")));
        }
    }
    sources
}

fn stanza(fields: &[(String, String)]) -> Result<Source, &'static str> {
    let mut source = Source::default();
    for (name, value) in fields {
        let words = || value.split_whitespace().map(str::to_owned).collect();
        match name.to_ascii_lowercase().as_str() {
            "types" => source.types = words(),
            "uris" => source.uris = words(),
            "suites" => source.suites = words(),
            "components" => source.components = words(),
            "enabled" => source.is_disabled = ini::flag(value) == Some(false),
            other => source.set(other, value),
        }
    }
    if source.types.is_empty() || source.uris.is_empty() || source.suites.is_empty() {
        return Err("types, URIs or suites are missing");
    }
    Ok(source)
}

impl Source {
    fn set(&mut self, name: &str, value: &str) {
        match name.to_ascii_lowercase().as_str() {
            "trusted" => self.trusted = ini::flag(value),
            "allow-insecure" => self.allow_insecure = ini::flag(value),
            "signed-by" => self.signed_by = Some(value.to_owned()),
            _ => {}
        }
    }
}
