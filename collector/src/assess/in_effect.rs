//! What an asset's `live` section takes away from good news: installed is not in effect.
//!
//! A package whose old code is still mapped, whose service was not started again, or for which the
//! package manager asks for a restart, is fixed on disk only. A section that is missing or not
//! complete takes nothing away: it is the rows that speak.

use std::collections::BTreeMap;

use holdpoint_common::row::LiveRow;
use prost::Message;

use crate::knowledge::text::shown;

use super::explain::Step;
use super::verdict::Outcome;

/// Packages of distributions that hold the kernel itself, where the name says no release.
const KERNELS: [&str; 6] =
    ["kernel", "kernel-core", "kernel-default", "kernel-uek", "linux-lts", "linux-virt"];
/// Most packages that are remembered of one asset.
const MAX_PACKAGES: usize = 4_096;

/// Packages of which something older than what is installed still runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct NotInEffect(BTreeMap<Box<str>, Waits>);

/// What has to happen until a package is in effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Waiting {
    /// A process still maps the old file.
    OldCode,
    /// A service was not started since its package changed.
    Service,
    /// The kernel was not booted.
    Kernel,
    /// The package manager asks for a restart.
    Restart,
}

/// What the asset waits for until a package is in effect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Waits {
    outcome: Outcome,
    waiting: Waiting,
    /// In words, for a person.
    because: Box<str>,
}

impl NotInEffect {
    /// Reads the rows of a `live` section.
    pub(super) fn read(rows: &[Vec<u8>]) -> Self {
        let mut found: BTreeMap<Box<str>, Waits> = BTreeMap::new();
        for row in rows.iter().filter_map(|it| LiveRow::decode(it.as_slice()).ok()) {
            if let (LiveRow { installed: Some(installed), .. }, "kernel", "older") =
                (&row, row.kind.as_str(), row.state.as_str())
            {
                found.extend(kernels(installed).map(|name| (name, Waits::for_kernel(&row))));
            }
            let (LiveRow { package: Some(package), .. }, Some(waits)) = (&row, waits(&row)) else { continue };
            if found.len() == MAX_PACKAGES {
                break;
            }
            // Of several reasons the first in order speaks, whatever the order of rows.
            let known = found.entry(package.as_str().into()).or_insert_with(|| waits.clone());
            if waits < *known {
                *known = waits;
            }
        }
        Self(found)
    }

    /// The outcome of an installed package, with what is in effect laid over it.
    pub(super) fn over(&self, package: &str, outcome: Outcome) -> Outcome {
        self.of(package).filter(|_| outcome.verdict().is_good()).unwrap_or(outcome)
    }

    /// What stands in the place of good news about a package.
    pub(super) fn of(&self, package: &str) -> Option<Outcome> {
        self.0.get(package).map(|it| it.outcome)
    }

    /// What a package waits for until it is in effect, and that in words.
    pub(super) fn waiting(&self, package: &str) -> Option<(Waiting, String)> {
        self.0.get(package).map(|it| (it.waiting, it.because.to_string()))
    }

    /// Why a package is not in effect.
    pub(super) fn step(&self, package: &str) -> Option<Step> {
        self.0.get(package).map(|it| Step::new("live", it.because.to_string()))
    }
}

/// Packages that bring the kernel of a release: "6.1.0-21-amd64", with its build after a blank where that differs.
fn kernels(installed: &str) -> impl Iterator<Item = Box<str>> {
    let release = installed.split(' ').next().unwrap_or("");
    let named = ["linux-image", "linux-image-unsigned"].map(|it| format!("{it}-{release}").into());
    named.into_iter().chain(KERNELS.into_iter().map(Into::into))
}

impl Waits {
    fn for_kernel(row: &LiveRow) -> Self {
        let part = |it: &Option<String>| shown(it.as_deref().unwrap_or("not known"), 120);
        let text = format!(
            "the kernel {} runs, and {} waits for a restart",
            part(&row.running),
            part(&row.installed)
        );
        Self { outcome: Outcome::RESTART_PENDING, waiting: Waiting::Kernel, because: text.into() }
    }
}

fn waits(row: &LiveRow) -> Option<Waits> {
    let LiveRow { kind, state, program, service, file, .. } = row;
    let who = match (service, program) {
        (Some(service), _) => format!("service {service}"),
        (None, Some(program)) => program.clone(),
        (None, None) => "a process".to_owned(),
    };
    let (outcome, waiting, because) = match (kind.as_str(), state.as_str()) {
        ("mapped-file", "deleted" | "replaced") => {
            let file = file.as_deref().unwrap_or("a file");
            let text = format!("{who} still runs code of {file}, which was {state} since");
            (Outcome::OLD_CODE, Waiting::OldCode, text)
        }
        ("service", "stale") => {
            let text = format!("{who} was started before its package last changed");
            (Outcome::OLD_CODE, Waiting::Service, text)
        }
        ("restart-mark", "pending") => {
            let text = "the package manager asks for a restart".to_owned();
            (Outcome::RESTART_PENDING, Waiting::Restart, text)
        }
        _ => return None,
    };
    Some(Waits { outcome, waiting, because: because.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::verdict::Reason;
    use holdpoint_common::section::Rows;

    fn row(kind: &str, state: &str, package: &str) -> LiveRow {
        LiveRow {
            kind: kind.into(),
            state: state.into(),
            package: Some(package.into()),
            program: Some("/usr/sbin/sshd".into()),
            file: Some("/usr/lib/libssl.so.3".into()),
            ..LiveRow::default()
        }
    }

    #[test]
    fn old_code_takes_good_news_and_leaves_the_rest() {
        let rows = Rows::encode(&[
            row("mapped-file", "deleted", "libssl3"),
            row("restart-mark", "pending", "libc6"),
            row("kernel", "current", "linux-image"),
            LiveRow {
                kind: "kernel".into(),
                state: "older".into(),
                running: Some("6.1.0-18-amd64".into()),
                installed: Some("6.1.0-21-amd64".into()),
                ..LiveRow::default()
            },
        ]);
        let live = NotInEffect::read(rows.as_slice());
        assert_eq!(live.over("libssl3", Outcome::FIXED), Outcome::OLD_CODE);
        assert_eq!(live.over("libssl3", Outcome::NOT_AFFECTED), Outcome::OLD_CODE);
        assert_eq!(live.over("libc6", Outcome::FIXED), Outcome::RESTART_PENDING);
        assert_eq!(live.over("linux-image", Outcome::FIXED), Outcome::FIXED);
        assert_eq!(live.over("linux-image-6.1.0-21-amd64", Outcome::FIXED), Outcome::RESTART_PENDING);
        assert_eq!(live.over("linux-image-6.1.0-18-amd64", Outcome::AFFECTED), Outcome::AFFECTED);
        let doubt = Outcome::unknown(Reason::VersionMissing);
        assert_eq!(live.over("libssl3", doubt), doubt);
        assert_eq!(live.over("libssl3", Outcome::AFFECTED), Outcome::AFFECTED);
        assert!(live.step("libssl3").unwrap().text.contains("still runs code of /usr/lib/libssl.so.3"));
    }
}
