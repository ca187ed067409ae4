//! W24: what may run here.
//!
//! Sources of truth: AppLocker's policy with its service, software restriction policies of older systems,
//! the policies of code integrity that lie in `CodeIntegrity`, and services by which well-known third
//! products are told. Everybody may read them.
//!
//! Absence: a kind of rules without `EnforcementMode` is enforced as soon as it has rules; without rules
//! everything of that kind runs.
//!
//! Known lies: AppLocker without its service enforces nothing. A policy of code integrity does not say in
//! its name whether it audits or enforces; that stands in its signed bytes, which are not read.

use holdpoint_common::row::HardeningRow;
use holdpoint_common::section::Digest;

use super::ground::{self, Ground};
use super::keys::{control, policy, service};
use super::products;
use super::setting::{Absent, Place, RIGHTS, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    products::READS,
    &reads::<{ places(SETTINGS) }>(SETTINGS),
    &[
        Reads::key(policy!(r"Windows\SrpV2\*")),
        Reads::key(policy!(r"Windows\SrpV2\*\*")),
        Reads::metadata("Windows/System32/CodeIntegrity/SIPolicy.p7b"),
        Reads::content("Windows/System32/CodeIntegrity/CiPolicies/Active"),
    ],
];

const CHECKS: &[&str] = &["W24"];
const RULES: &str = policy!(r"Windows\SrpV2");
const SAFER: &str = policy!(r"Windows\Safer\CodeIdentifiers");
const GUARD: &str = policy!(r"Windows\DeviceGuard");
const MAX_RULES: usize = 4_096;
const MAX_POLICIES: usize = 256;

const SETTINGS: &[Setting] = &[
    Setting::start("applocker.service_start", CHECKS, &[Place::at(service!("AppIDSvc"), "Start")]),
    Setting::number(
        "restriction_policy.default_level",
        CHECKS,
        &[Place::at(SAFER, "DefaultLevel")],
        Absent::Means("no software restriction policy"),
    ),
    Setting::flag(
        "code_integrity.deployed_by_policy",
        CHECKS,
        &[Place::at(GUARD, "DeployConfigCIPolicy")],
        Absent::Means("no group policy brings one"),
    ),
    Setting::flag(
        "code_integrity.memory",
        CHECKS,
        &[
            Place::at(GUARD, "HypervisorEnforcedCodeIntegrity"),
            Place::at(control!(r"DeviceGuard\Scenarios\HypervisorEnforcedCodeIntegrity"), "Enabled"),
        ],
        Absent::Means(
            "nobody turned memory integrity on; new installations do that by themselves where they can",
        ),
    ),
    Setting::flag(
        "code_integrity.driver_blocklist",
        CHECKS,
        &[Place::at(control!(r"CI\Config"), "VulnerableDriverBlocklistEnable")],
        Absent::Means("the version's default: on from Windows 11 22H2"),
    ),
];

/// Kinds of rules, and their keys.
const KINDS: [(&str, &str); 5] = [
    ("programs", "Exe"),
    ("libraries", "Dll"),
    ("scripts", "Script"),
    ("installers", "Msi"),
    ("packages", "Appx"),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        for (subject, kind) in KINDS {
            let key = format!("{RULES}\\{kind}");
            rows.push(mode(look, ground, subject, &key));
            rows.push(rules(look, ground, subject, &key));
        }
        rows.push(policies(look));
        let found = products::installed(look, products::ALLOWLISTING);
        rows.push(products::row(ground, "allowlisting.products", CHECKS, found));
    })
}

fn mode(look: &mut Look<'_>, ground: &Ground, subject: &str, key: &str) -> HardeningRow {
    let fact = Fact::new("applocker.mode", CHECKS, &format!("{key}\\EnforcementMode")).about(subject);
    let outcome = look.registry_outcome(key, "EnforcementMode");
    let absent = "not set: enforced if there are rules of this kind, else everything runs";
    tell(ground, key, fact, outcome, absent, |fact, data| match data.number() {
        Some(0) => fact.text("audit"),
        Some(1) => fact.text("enforce"),
        Some(_) | None => fact.because("neither 0 nor 1").error(),
    })
}

/// Digest and number of the rules of one kind.
fn rules(look: &mut Look<'_>, ground: &Ground, subject: &str, key: &str) -> HardeningRow {
    let fact = Fact::new("applocker.rules", CHECKS, key).about(subject);
    let mut names = match look.registry_keys_outcome(key) {
        Outcome::Seen(names) if names.is_empty() => return fact.because("no rules of this kind").absent(),
        Outcome::Seen(names) => names,
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            return tell(ground, key, fact, other, "no rules of this kind", |fact, _| fact.absent());
        }
    };
    if names.len() > MAX_RULES {
        return fact.because(format!("more than {MAX_RULES} rules")).error();
    }
    names.sort();
    let mut text = Vec::new();
    for name in &names {
        match look.registry_outcome(&format!("{key}\\{name}"), "Value") {
            Outcome::Seen(data) => {
                let rule = data.text().unwrap_or_default();
                text.extend(name.to_lowercase().bytes().chain([0]).chain(rule.bytes()).chain([0]));
            }
            Outcome::Absent => {}
            Outcome::Denied => return fact.because(RIGHTS).denied(),
            Outcome::Failed(why) => return fact.because(why).error(),
        }
    }
    fact.because(format!("SHA-256 of {} rules", names.len())).text(&Digest::of(&text).to_string())
}

/// Names of the policies of code integrity that are there.
fn policies(look: &mut Look<'_>) -> HardeningRow {
    const ONE: &str = "Windows/System32/CodeIntegrity/SIPolicy.p7b";
    const MANY: &str = "Windows/System32/CodeIntegrity/CiPolicies/Active";
    let fact = Fact::new("code_integrity.policies", CHECKS, "Windows/System32/CodeIntegrity");
    if !look.exists("Windows/System32") {
        return fact.because("the system's files are not here").absent();
    }
    let mut names = Vec::new();
    if look.exists(ONE) {
        names.push("SIPolicy.p7b".to_owned());
    }
    let result = look.in_time().and_then(|()| look.host.root.list(MANY, MAX_POLICIES));
    match look.outcome(MANY, result) {
        Outcome::Seen(listing) => names.extend(listing.entries.into_iter().map(|it| it.name)),
        Outcome::Absent => {}
        Outcome::Denied => return fact.because(RIGHTS).denied(),
        Outcome::Failed(why) => return fact.because(why).error(),
    }
    fact.because("whether they audit or enforce is not read").list(names)
}
