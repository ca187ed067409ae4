//! Which Windows an entry of a monthly document means, and what its fixed builds say of a host.
//!
//! Microsoft names a release in words: "Windows Server 2019 (Server Core installation)", "Windows 10 Version
//! 21H2 for x64-based Systems". A host is that product when its build's branch, server or client, architecture
//! and installation type agree. A name that fits in part, and a host whose release the document no longer
//! names, are unknown; nothing is guessed from a neighbour. How builds are compared is in [`windows`].

use crate::knowledge::text::shown;
use crate::knowledge::{Advisory, HeldAdvisory, Identity, Kind, KnownFix, Stated, Versions, Vulnerability};

use super::asset::{Coverage, PlatformFacts};
use super::explain::{Step, Trace};
use super::index::Index;
use super::judge::covered;
use super::package::advisory_still_says;
use super::product::Place;
use super::subject::SubjectId;
use super::verdict::{Outcome, Reason};
use super::windows::{self, Build, Fix, Months, Track, WindowsHost};

/// Releases: line, version as it is displayed, and the build of its branch. "" is a line without versions.
const RELEASES: [(&str, &str, u64); 38] = [
    ("windows vista", "", 6_002),
    ("windows 7", "", 7_601),
    ("windows 8", "", 9_200),
    ("windows 8.1", "", 9_600),
    ("windows rt 8.1", "", 9_600),
    ("windows 10", "", 10_240),
    ("windows 10", "1507", 10_240),
    ("windows 10", "1511", 10_586),
    ("windows 10", "1607", 14_393),
    ("windows 10", "1703", 15_063),
    ("windows 10", "1709", 16_299),
    ("windows 10", "1803", 17_134),
    ("windows 10", "1809", 17_763),
    ("windows 10", "1903", 18_362),
    ("windows 10", "1909", 18_363),
    ("windows 10", "2004", 19_041),
    ("windows 10", "20h2", 19_042),
    ("windows 10", "21h1", 19_043),
    ("windows 10", "21h2", 19_044),
    ("windows 10", "22h2", 19_045),
    ("windows 11", "", 22_000),
    ("windows 11", "21h2", 22_000),
    ("windows 11", "22h2", 22_621),
    ("windows 11", "23h2", 22_631),
    ("windows 11", "24h2", 26_100),
    ("windows 11", "25h2", 26_200),
    ("windows server 2008", "", 6_003),
    ("windows server 2008 r2", "", 7_601),
    ("windows server 2012", "", 9_200),
    ("windows server 2012 r2", "", 9_600),
    ("windows server 2016", "", 14_393),
    ("windows server 2019", "", 17_763),
    ("windows server 2022", "", 20_348),
    ("windows server 2022", "23h2", 25_398),
    ("windows server", "1809", 17_763),
    ("windows server", "1909", 18_363),
    ("windows server", "20h2", 19_042),
    ("windows server 2025", "", 26_100),
];
/// Windows Server 2008 and Vista before and after their last change of build.
const SAME_AS_2008: [u64; 2] = [6_002, 6_003];
/// Months of the year as documents abbreviate them.
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// How far a name is the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fit {
    /// The host is that product.
    Yes,
    /// It may be, for what is said here.
    Part(String),
    /// The host is another release of the same line; the build of the branch that is named.
    OtherRelease(u64),
    /// The host is something else.
    No,
}

/// A product's name taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    /// "windows 10", "windows server 2019".
    line: String,
    /// "21h2"; empty where the line has one release.
    version: String,
    architecture: Option<&'static str>,
    is_server: bool,
    is_core: bool,
    /// The name is of a part that may or may not be there: ".NET Framework 4.8 on Windows 10 ...".
    is_part: bool,
}

impl Name {
    /// Takes a name apart; `None` when it names no Windows.
    fn read(product: &str) -> Option<Self> {
        let lower = product.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let (is_part, rest) = match lower.rsplit_once(" on ") {
            Some((_, host)) => (true, host),
            None => (false, lower.as_str()),
        };
        let rest = rest.strip_prefix("microsoft ").unwrap_or(rest);
        rest.strip_prefix("windows ")?;
        let architectures = [("arm64", "aarch64"), ("x64", "x86_64"), ("32-bit", "x86"), ("itanium", "ia64")];
        let architecture = architectures.iter().find(|it| rest.contains(it.0)).map(|it| it.1);
        let is_core = rest.contains("server core");
        let end = [" for ", " (", " edition"].iter().filter_map(|it| rest.find(it)).min();
        let title = rest[..end.unwrap_or(rest.len())].replace(',', "");
        let title = title.strip_suffix(" edition").unwrap_or(&title);
        let mut words: Vec<&str> = title.split(' ').filter(|it| !it.is_empty()).collect();
        let version = match words.iter().position(|it| *it == "version") {
            Some(at) => {
                let version = words.get(at + 1).copied().unwrap_or("?");
                words.truncate(at);
                version
            }
            // "Windows Server 2022, 23H2 Edition".
            None if words.len() > 3 && words.last().is_some_and(|it| is_half_year(it)) => {
                words.pop().unwrap_or("")
            }
            None => "",
        };
        Some(Self {
            line: words.join(" "),
            version: version.to_owned(),
            architecture,
            is_server: words.contains(&"server"),
            is_core,
            is_part,
        })
    }

    fn build(&self) -> Option<u64> {
        RELEASES.iter().find(|it| it.0 == self.line && it.1 == self.version).map(|it| it.2)
    }
}

fn is_half_year(word: &str) -> bool {
    matches!(word.as_bytes(), [b'0'..=b'9', b'0'..=b'9', b'h', b'1' | b'2'])
}

/// Whether a product's name means a host.
pub(super) fn fit(product: &str, platform: &PlatformFacts) -> Fit {
    let Some(name) = Name::read(product) else { return Fit::No };
    let own_name = platform.os_name.as_deref().unwrap_or("").to_lowercase();
    let kind = platform.installation_type.as_deref();
    let is_server = match kind {
        Some("Client") => Some(false),
        Some(it) if it.starts_with("Server") || it.starts_with("Nano") => Some(true),
        Some(_) | None if own_name.contains("server") => Some(true),
        Some(_) | None if own_name.is_empty() => None,
        Some(_) | None => Some(false),
    };
    let differs = |one: Option<&str>, two: Option<&str>| one.zip(two).is_some_and(|(one, two)| one != two);
    if is_server.is_some_and(|it| it != name.is_server)
        || differs(name.architecture, platform.architecture.as_deref())
    {
        return Fit::No;
    }
    match kind {
        Some("Server Core") if !name.is_core => return Fit::No,
        Some("Server" | "Client") if name.is_core => return Fit::No,
        Some(_) | None => {}
    }
    let release = release_fit(&name, platform, &own_name);
    if release != Fit::Yes {
        return release;
    }
    let open = |text: &str| Fit::Part(format!("{text}, and the document names `{}`", shown(product, 120)));
    if name.is_part {
        return open("whether that part of Windows is there is not known");
    }
    if is_server.is_none() || name.is_server && !matches!(kind, Some("Server" | "Server Core")) {
        return open("the host does not say whether it is a server with or without a desktop");
    }
    if name.architecture.is_some() && platform.architecture.is_none() {
        return open("the host does not say its architecture");
    }
    Fit::Yes
}

fn release_fit(name: &Name, platform: &PlatformFacts, own_name: &str) -> Fit {
    let own_build = platform.build.as_deref().and_then(Build::read).map(|it| it.build);
    let own_lines: Vec<&str> = RELEASES
        .iter()
        .filter(|it| Some(it.2) == own_build && it.0.contains("server") == name.is_server)
        .map(|it| it.0)
        .collect();
    let is_own_line = own_lines.contains(&name.line.as_str())
        || own_lines.is_empty()
            && own_name
                .strip_prefix(&name.line)
                .or_else(|| own_name.strip_prefix("microsoft ")?.strip_prefix(&name.line))
                .is_some_and(|rest| !rest.starts_with(" r2") && !rest.starts_with('.'));
    let wanted = name.build();
    match (wanted, own_build) {
        (Some(wanted), Some(own)) if wanted == own => Fit::Yes,
        (Some(wanted), Some(own)) if SAME_AS_2008.contains(&wanted) && SAME_AS_2008.contains(&own) => {
            Fit::Yes
        }
        (Some(wanted), Some(_)) if is_own_line => Fit::OtherRelease(wanted),
        // A release that this program does not know yet: the displayed version tells.
        (None, Some(_)) if is_own_line => {
            let own = platform.os_version.as_deref().unwrap_or("");
            if !own.is_empty() && own.eq_ignore_ascii_case(&name.version) {
                Fit::Yes
            } else if own.is_empty() || name.version.is_empty() {
                Fit::Part(format!("which build {} {} has is not known", name.line, name.version))
            } else {
                Fit::OtherRelease(u64::MAX)
            }
        }
        (Some(_) | None, None) if own_name.is_empty() || is_own_line => {
            Fit::Part("the host does not say its build".to_owned())
        }
        (Some(_) | None, Some(_) | None) => Fit::No,
    }
}

/// When which cumulative build was published, over all of Microsoft's documents that are held.
#[derive(Debug, Default)]
pub(super) struct Calendar(Vec<(Build, String, u32)>);

impl Calendar {
    /// Gathers the builds. A document that was revised later carries a later date, so of all that is said of a
    /// branch the earliest counts: no build is newer than one above it.
    pub(super) fn of(advisories: &[HeldAdvisory]) -> Self {
        let mut builds: Vec<(Build, String, u32)> = Vec::new();
        let own = |it: &&HeldAdvisory| it.advisory.kind == Kind::Microsoft && !it.is_withdrawn();
        for held in advisories.iter().filter(own) {
            let Some((month, _)) = months(&held.advisory) else { continue };
            for entry in held.advisory.entries.iter().filter(|it| it.identity == Identity::Windows) {
                let Versions::Builds(fixes) = &entry.versions else { continue };
                let cumulative = fixes.iter().filter(|it| Track::named(&it.track) == Track::Cumulative);
                for text in cumulative.filter_map(|it| it.build.as_deref()) {
                    builds.extend(Build::read(text).map(|it| (it, text.trim().to_owned(), month)));
                }
            }
        }
        builds.sort_unstable();
        builds.dedup_by(|next, kept| next.0 == kept.0);
        for at in (1..builds.len()).rev() {
            let (below, above) = builds.split_at_mut(at);
            if let (Some(below), Some(above)) = (below.last_mut(), above.first())
                && below.0.branch() == above.0.branch()
            {
                below.2 = below.2.min(above.2);
            }
        }
        Self(builds)
    }

    /// The builds of a host's branch, and of those that are serviced together with it.
    fn near(&self, own: Build) -> Vec<(&str, u32)> {
        let near = self.0.iter().filter(|it| it.0.branch() == own.branch() || it.0.is_family_of(own));
        near.map(|it| (it.1.as_str(), it.2)).collect()
    }
}

/// The earliest and the latest month that a document can be of, counted from the year 0: of its identifier
/// ("2024-Jan") and of the date of its revision.
fn months(advisory: &Advisory) -> Option<(u32, u32)> {
    let named = advisory.revision.id.split_once('-').and_then(|(year, month)| {
        let year: u32 = year.parse().ok().filter(|it| (1990..2200).contains(it))?;
        let month = month.to_ascii_lowercase();
        let month = MONTHS.iter().position(|it| month.starts_with(it))?;
        Some(year * 12 + u32::try_from(month).ok()?)
    });
    let dated = advisory.revision.released_ms.and_then(|at_ms| {
        let at = time::OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000)).ok()?;
        Some(u32::try_from(at.year()).ok()? * 12 + u32::from(u8::from(at.month())) - 1)
    });
    match (named, dated) {
        (Some(named), Some(dated)) => Some((named.min(dated), named.max(dated))),
        (Some(only), None) | (None, Some(only)) => Some((only, only)),
        (None, None) => None,
    }
}

/// A Windows host as it is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host<'a> {
    pub(super) platform: &'a PlatformFacts,
    pub(super) coverage: Coverage,
    /// Updates that a complete section lists as installed.
    pub(super) updates: &'a [Box<str>],
}

/// Judges every statement about a Windows that means the host, ascending by subject. With `only`, the trace is
/// about that one.
pub(super) fn judge(
    index: &Index,
    host: Host<'_>,
    only: Option<SubjectId>,
    trace: &mut Trace,
) -> Vec<(SubjectId, Outcome)> {
    let mut fits: Vec<(u32, Fit)> = Vec::new();
    for &number in &index.windows {
        let Some(product) = index.product(number) else { continue };
        match fit(&product.name.product, host.platform) {
            Fit::No => {}
            found @ (Fit::Yes | Fit::Part(_) | Fit::OtherRelease(_)) => fits.push((number, found)),
        }
    }
    let named = documents(index, &fits, |it| *it == Fit::Yes);
    let nearest = nearest(index, host.platform, &fits, &named);
    let own = host.platform.build.as_deref().and_then(Build::read);
    let builds = own.map(|it| index.calendar.near(it)).unwrap_or_default();
    let mut found = Vec::new();
    for (number, fit) in &fits {
        let Some(product) = index.product(*number) else { continue };
        for place in &product.places {
            if matches!(fit, Fit::OtherRelease(_)) && nearest.get(&place.advisory) != Some(number) {
                continue;
            }
            let Some(held) = index.advisory(place.advisory) else { continue };
            let months = months(&held.advisory).map(|(_, latest)| Months { fixed: latest, builds: &builds });
            for here in place.by_vulnerability() {
                let Some(&(vulnerability, ..)) = here.first() else { continue };
                if only.is_some_and(|it| here.iter().all(|subject| subject.2 != it)) {
                    continue;
                }
                let Some(said) = index.vulnerability(place.advisory, vulnerability) else { continue };
                trace.add(|| identity_step(&product.name.product, host, fit));
                let spoken = Spoken { advisory: &held.advisory, vulnerability: said, group: &place.entries };
                let joint = match fit {
                    Fit::Yes => spoken.judge(host, months, trace),
                    Fit::Part(_) | Fit::OtherRelease(_) => (spoken.says_bad() && !held.is_withdrawn())
                        .then(|| Outcome::unknown(Reason::BranchUnknown)),
                    Fit::No => None,
                };
                let joint = joint.and_then(|it| advisory_still_says(it, held.is_withdrawn(), trace));
                let Some(joint) = joint.map(|it| covered(it, host.coverage)) else { continue };
                Place::put(here, spoken.entries().map(|it| (it.0, joint)).collect(), &mut found);
            }
        }
    }
    found.sort_unstable_by_key(|it| it.0);
    found.dedup_by_key(|it| it.0);
    found
}

/// The advisories that name one of the products with such a fit.
fn documents(
    index: &Index,
    fits: &[(u32, Fit)],
    wanted: impl Fn(&Fit) -> bool,
) -> std::collections::HashSet<u32> {
    let products = fits.iter().filter(|it| wanted(&it.1)).filter_map(|it| index.product(it.0));
    products.flat_map(|it| it.places.iter().map(|place| place.advisory)).collect()
}

/// For each document that names other releases of the host's line and not the host's own: the one release that
/// stands for the doubt. The next newer one, since a release that is no longer serviced shares its code; else
/// the newest.
fn nearest(
    index: &Index,
    platform: &PlatformFacts,
    fits: &[(u32, Fit)],
    named: &std::collections::HashSet<u32>,
) -> std::collections::HashMap<u32, u32> {
    let own = platform.build.as_deref().and_then(Build::read).map_or(0, |it| it.build);
    let mut nearest: std::collections::HashMap<u32, (bool, u64, u32)> = std::collections::HashMap::new();
    for (number, fit) in fits {
        let Fit::OtherRelease(build) = fit else { continue };
        let Some(product) = index.product(*number) else { continue };
        let rank = (*build < own, build.abs_diff(own), *number);
        for place in product.places.iter().filter(|it| !named.contains(&it.advisory)) {
            let known = nearest.entry(place.advisory).or_insert(rank);
            *known = rank.min(*known);
        }
    }
    nearest.into_iter().map(|(advisory, (_, _, number))| (advisory, number)).collect()
}

fn identity_step(product: &str, host: Host<'_>, fit: &Fit) -> Step {
    let platform = host.platform;
    let part = |it: &Option<String>| shown(it.as_deref().unwrap_or("not known"), 80);
    let mut text = format!(
        "the host is {}, build {}, version {}, {}, installation {}; the document names `{}`",
        part(&platform.os_name),
        part(&platform.build),
        part(&platform.os_version),
        part(&platform.architecture),
        part(&platform.installation_type),
        shown(product, 120),
    );
    match fit {
        Fit::Yes => text.push_str(", which is this host"),
        Fit::Part(why) => {
            text.push_str(": ");
            text.push_str(why);
        }
        Fit::OtherRelease(_) => {
            text.push_str(", another release of that line, and does not name this host's release at all");
        }
        Fit::No => {}
    }
    Step::new("identity", text)
}

/// What one vulnerability of a document says of one product.
struct Spoken<'a> {
    advisory: &'a Advisory,
    vulnerability: &'a Vulnerability,
    /// Positions of the product's entries, ascending.
    group: &'a [u32],
}

impl Spoken<'_> {
    /// Entries with what is stated, each once for each status.
    fn entries(&self) -> impl Iterator<Item = (u32, Stated)> {
        let spoken = self.vulnerability.statements.iter();
        spoken.copied().filter(|(entry, _)| self.group.binary_search(entry).is_ok())
    }

    fn says_bad(&self) -> bool {
        self.entries().any(|it| matches!(it.1, Stated::Affected | Stated::UnderInvestigation))
    }

    fn judge(&self, host: Host<'_>, months: Option<Months<'_>>, trace: &mut Trace) -> Option<Outcome> {
        let mut fixes: Vec<&KnownFix> = Vec::new();
        let (mut is_affected, mut is_denied, mut is_open) = (false, false, false);
        for (position, stated) in self.entries() {
            let Some(entry) = usize::try_from(position).ok().and_then(|it| self.advisory.entries.get(it))
            else {
                continue;
            };
            trace.add(|| {
                let text = format!(
                    "entry {} ({}) is written `{}`",
                    entry.id,
                    stated.as_str(),
                    shown(&entry.versions.text(), 400)
                );
                Step::new("range", text).resting_on(entry.id.clone())
            });
            if let Some(condition) = entry.conditions.first() {
                trace.add(|| Step::new("range", format!("it holds only with: {}", shown(condition, 200))));
                return Some(Outcome::unknown(Reason::RangeConditional));
            }
            match (stated, &entry.versions) {
                (Stated::Affected, Versions::Builds(more)) => {
                    is_affected = true;
                    fixes.extend(more);
                }
                (Stated::Affected, Versions::All) => return Some(Outcome::AFFECTED),
                (Stated::Affected, _) => return Some(Outcome::unknown(Reason::RangeUnparsed)),
                (Stated::NotAffected, Versions::All) => is_denied = true,
                // What is fixed is what the affected entry does not reach; alone it says nothing of others.
                (Stated::NotAffected | Stated::Fixed, _) => {}
                (Stated::UnderInvestigation, _) => is_open = true,
            }
        }
        if is_affected && is_denied {
            trace.add(|| Step::new("siblings", "one entry says affected and another says not affected"));
            return Some(Outcome::unknown(Reason::SiblingConflict));
        }
        if is_open {
            return Some(Outcome::unknown(Reason::AdvisoryOutdated));
        }
        if is_denied {
            return Some(Outcome::NOT_AFFECTED);
        }
        if !is_affected {
            return self.entries().next().map(|_| Outcome::unknown(Reason::BranchUnknown));
        }
        let updates: Vec<&str> = host.updates.iter().map(AsRef::as_ref).collect();
        let windows_host = WindowsHost {
            build: host.platform.build.as_deref().unwrap_or(""),
            updates: &updates,
            restart_pending: host.platform.restart_pending,
            // No source on the host says so for certain: between two builds nothing is believed.
            is_hotpatched: false,
        };
        let fixes: Vec<Fix<'_>> = fixes
            .into_iter()
            .map(|it| Fix {
                build: it.build.as_deref(),
                track: Track::named(&it.track),
                update: it.update.as_deref(),
            })
            .collect();
        let verdict = windows::judge(&windows_host, &fixes, months);
        trace.add(|| Step::new("comparison", verdict.why));
        Some(verdict.outcome)
    }
}

#[cfg(test)]
#[path = "microsoft_tests.rs"]
mod tests;
