//! What a plan declares to move: the products of its expectations with what belongs to them, and what it allows.

use std::collections::BTreeSet;

use holdpoint_common::proto::store::ControlRecord;
use holdpoint_common::proto::v1::{ListenerRow, LiveRow};
use holdpoint_common::row::SectionKind;
use prost::Message;

use super::{Moved, is_allowed};
use crate::change::expectation::{Finding, Pair, Reading, decoded, is_service};
use crate::change::plan::{Allowed, Expectation, Plan, Protocol, Wanted};
use crate::knowledge::name_pattern::{NamePattern, normal};
use crate::knowledge::{NameKind, Pattern, Wanted as Required};

/// Beginnings of names of packages that bring the kernel.
const KERNELS: [&str; 3] = ["linux-image", "kernel", "linux-lts"];
/// Beginnings of names of the packages by which a Windows is updated.
const ROLLUPS: [&str; 2] = ["Package_for_RollupFix", "Package_for_ServicingStack"];

/// See the module.
#[derive(Debug)]
pub struct Declared<'a> {
    allowed: &'a [Allowed],
    /// Installed names and source packages, lower case.
    products: BTreeSet<String>,
    sources: BTreeSet<String>,
    /// Names of firmware, lower case.
    firmware: BTreeSet<String>,
    services: BTreeSet<String>,
    /// Names that have to be new enough.
    required: Vec<(&'a Pattern, NameKind)>,
    /// Names that have to be gone.
    absent: Vec<&'a NamePattern>,
    listeners: Vec<(Protocol, u16)>,
    facts: Vec<&'a ControlRecord>,
    kernel: bool,
    build: bool,
    restart: bool,
}

/// The part of a software row that says whose it is.
#[derive(Clone, PartialEq, Message)]
struct Names {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, optional, tag = "6")]
    source_package: Option<String>,
}

impl Names {
    /// The source package, which is the name where the row says nothing else; both in lower case.
    fn lower(self) -> (String, String) {
        let name = self.name.to_lowercase();
        let source = self.source_package.map_or_else(|| name.clone(), |it| it.to_lowercase());
        (name, source)
    }
}

impl<'a> Declared<'a> {
    /// What the plan allows; its expectations are still to be added.
    pub fn of(plan: &'a Plan) -> Self {
        Self {
            allowed: &plan.allowed,
            products: BTreeSet::new(),
            sources: BTreeSet::new(),
            firmware: BTreeSet::new(),
            services: BTreeSet::new(),
            required: Vec::new(),
            absent: Vec::new(),
            listeners: Vec::new(),
            facts: Vec::new(),
            kernel: false,
            build: false,
            restart: false,
        }
    }

    /// Adds an expectation, with what was found of it before and after.
    pub fn add(&mut self, expectation: &'a Expectation, before: &Reading, after: &Reading) {
        for it in before.instances.iter().chain(&after.instances) {
            let name = it.name.to_lowercase();
            if it.kind == SectionKind::Platform {
                self.kernel |= name == "kernel";
                self.build |= name == "build";
            } else if it.kind == SectionKind::Firmware {
                self.firmware.insert(name);
            } else {
                self.products.insert(name);
            }
        }
        match &expectation.wanted {
            Wanted::AtLeast(requirement) => match &requirement.wanted {
                Required::Kernel => self.kernel = true,
                Required::Build { .. } => self.build = true,
                Required::Software { name, by, .. } => self.required.push((name, *by)),
            },
            Wanted::Fact(control) => self.facts.push(control),
            Wanted::Absent { name, .. } => self.absent.push(name),
            Wanted::ServiceRunning(name) => {
                self.services.insert(name.clone());
            }
            Wanted::Listener { protocol, port, .. } => self.listeners.push((*protocol, *port)),
            Wanted::NotAffected { control, .. } => {
                // The control moves where it is what helps.
                let still = matches!(after.finding, Finding::Fails | Finding::Several);
                self.facts.extend(control.as_ref().filter(|_| still));
            }
            Wanted::Restarted => self.restart = true,
        }
    }

    /// Looks up in both snapshots what belongs to the products: the packages that were built from one source with
    /// them, and the services of all these.
    pub(super) fn widen(&mut self, pair: &Pair<'_>) {
        let both = [pair.pre, pair.post];
        let rows =
            || both.into_iter().flat_map(|it| decoded::<Names>(it, SectionKind::Software)).map(Names::lower);
        for (name, source) in rows() {
            if self.is_named(&name, &source) {
                self.sources.insert(source);
            }
        }
        for (name, source) in rows() {
            if self.sources.contains(&source) {
                self.products.insert(name);
            }
        }
        self.kernel |= self.products.iter().any(|it| KERNELS.iter().any(|kernel| it.starts_with(kernel)));
        let mut services = Vec::new();
        for snapshot in both {
            let listeners = decoded::<ListenerRow>(snapshot, SectionKind::Listeners);
            services.extend(listeners.map(|it| (it.package, it.service)));
            let live = decoded::<LiveRow>(snapshot, SectionKind::Live).filter(|it| it.kind == "service");
            services.extend(live.map(|it| (it.package, it.service)));
        }
        for (package, service) in services {
            if package.is_some_and(|it| self.products.contains(&it.to_lowercase())) {
                self.services.extend(service);
            }
        }
    }

    fn is_named(&self, name: &str, source: &str) -> bool {
        self.products.contains(name)
            || self.absent.iter().any(|it| it.matches(&normal(name)).is_some())
            || self.required.iter().any(|(pattern, by)| match by {
                NameKind::Name => pattern.matches_lower(name),
                NameKind::SourcePackage => pattern.matches_lower(source),
            })
    }

    /// Whether a row of software is of what is declared.
    pub(super) fn is_product(&self, encoded: &[u8]) -> bool {
        Names::decode(encoded).is_ok_and(|it| {
            let (name, source) = it.lower();
            self.products.contains(&name) || self.sources.contains(&source) || self.is_named(&name, &source)
        })
    }

    /// Whether it is declared that an item moves like that.
    pub(super) fn covers(&self, kind: SectionKind, moved: &Moved) -> bool {
        let Moved { item, before, after } = moved;
        is_allowed(self.allowed, kind, item)
            || match kind {
                SectionKind::Platform => self.covers_platform(item),
                SectionKind::Services => self.covers_service(moved),
                SectionKind::Listeners => self.covers_listener(moved),
                SectionKind::Hardening => self.facts.iter().any(|it| is_fact(it, item)),
                SectionKind::Firmware => self.firmware.iter().any(|it| item.to_lowercase().contains(it)),
                SectionKind::Updates => {
                    let is_rollup = ROLLUPS.iter().any(|it| item.starts_with(it));
                    // What a newer update takes the place of.
                    let is_replaced =
                        before.is_some() && after.as_ref().is_none_or(|it| it.ends_with("superseded"));
                    self.build && (is_rollup || is_replaced)
                }
                SectionKind::Unspecified
                | SectionKind::Software
                | SectionKind::Accounts
                | SectionKind::Live
                | SectionKind::Devices
                | SectionKind::Self_ => false,
            }
    }

    fn covers_platform(&self, field: &str) -> bool {
        match field {
            "kernel_running" => self.kernel || self.build || self.restart,
            "kernel_newest" => self.kernel || self.build,
            "build" | "os_version" => self.build,
            _ => false,
        }
    }

    /// A service of a declared product may change, but not stop.
    fn covers_service(&self, Moved { item, before, after }: &Moved) -> bool {
        let runs = |it: &Option<String>| it.as_ref().is_some_and(|it| it.starts_with("running"));
        let stopped = runs(before) && !runs(after);
        let name = item.strip_suffix(".service").unwrap_or(item).to_lowercase();
        let is_own = self.services.iter().any(|it| is_service(it, item))
            || self.products.contains(&name)
            || self.sources.contains(&name);
        let versions = |it: &Option<String>| {
            it.as_ref().is_none_or(|it| it.starts_with("file_version=") && !it.contains(", "))
        };
        let only_version = versions(before) && versions(after);
        is_own && !stopped || self.build && only_version
    }

    /// A port that is expected may open or close; of others a declared product may be another owner than before.
    fn covers_listener(&self, Moved { item, before, after }: &Moved) -> bool {
        let mut parts = item.split(' ');
        let protocol = parts.next().map_or("", |it| it.strip_suffix('6').unwrap_or(it));
        let port = parts.next_back().and_then(|it| it.parse::<u16>().ok());
        let is_expected = self.listeners.iter().any(|it| {
            Some(it.1) == port
                && protocol
                    == match it.0 {
                        Protocol::Tcp => "tcp",
                        Protocol::Udp => "udp",
                    }
        });
        let is_own = |it: &String| {
            it.split(' ').any(|word| {
                self.products.contains(&word.to_lowercase())
                    || self.services.iter().any(|it| is_service(it, word))
            })
        };
        is_expected || before.is_some() && after.as_ref().is_some_and(is_own)
    }
}

/// Whether an item of hardening is the fact of a control.
fn is_fact(control: &ControlRecord, item: &str) -> bool {
    match (item.strip_prefix(control.fact.as_str()), &control.subject) {
        (Some(rest), Some(subject)) => rest.trim_start() == subject && rest.starts_with(' '),
        (Some(rest), None) => rest.is_empty() || rest.starts_with(' '),
        (None, _) => false,
    }
}
