//! W29: the host's firewall: for each profile whether it is on and what it does by default, and its rules.
//!
//! Sources of truth: group policy below `WindowsFirewall`, else the service's own key. Everybody may read
//! them. Policy beats preference value by value, and its rules come on top of the local ones unless policy
//! says that those do not count.
//!
//! Absence: a profile without `EnableFirewall` is on, and without a default action what comes in is blocked.
//!
//! Known lies: rules that services carry for themselves (`RestrictedServices`) and filters of the platform
//! below are not read. A third product may have taken over.

use holdpoint_common::row::HardeningRow;
use holdpoint_common::section::Digest;

use super::ground::{self, Ground};
use super::keys::{policy, service};
use super::setting::{Absent, Place, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::host::registry::Value;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    &reads::<{ places(SETTINGS) }>(SETTINGS),
    &[Reads::key(RULES), Reads::key(POLICY_RULES)],
];

const CHECKS: &[&str] = &["W29"];
const RULES: &str = service!(r"SharedAccess\Parameters\FirewallPolicy\FirewallRules");
const POLICY_RULES: &str = policy!(r"WindowsFirewall\FirewallRules");

/// Default actions.
const ACTIONS: &[(u64, &str)] = &[(0, "allow"), (1, "block")];

/// The key of policy has another name for the private profile than the service has, and an older one too.
const DOMAIN: &str = policy!(r"WindowsFirewall\DomainProfile");
const PRIVATE: &str = policy!(r"WindowsFirewall\PrivateProfile");
const STANDARD: &str = policy!(r"WindowsFirewall\StandardProfile");
const PUBLIC: &str = policy!(r"WindowsFirewall\PublicProfile");
const OWN_DOMAIN: &str = service!(r"SharedAccess\Parameters\FirewallPolicy\DomainProfile");
const OWN_PRIVATE: &str = service!(r"SharedAccess\Parameters\FirewallPolicy\StandardProfile");
const OWN_PUBLIC: &str = service!(r"SharedAccess\Parameters\FirewallPolicy\PublicProfile");

/// The facts of one profile, for its places from the strongest on.
macro_rules! profile {
    ($subject:literal, [$($key:expr),+]) => {
        [
            Setting::flag(
                "firewall.enabled",
                CHECKS,
                &[$(Place::at($key, "EnableFirewall")),+],
                Absent::Means("on: nothing turns it off"),
            )
            .about($subject),
            Setting::words(
                "firewall.default_inbound",
                CHECKS,
                &[$(Place::at($key, "DefaultInboundAction")),+],
                ACTIONS,
                Absent::Means("block: what no rule allows does not come in"),
            )
            .about($subject),
            Setting::words(
                "firewall.default_outbound",
                CHECKS,
                &[$(Place::at($key, "DefaultOutboundAction")),+],
                ACTIONS,
                Absent::Means("allow: what no rule blocks goes out"),
            )
            .about($subject),
            Setting::inverse(
                "firewall.only_policy_rules",
                CHECKS,
                &[$(Place::at($key, "AllowLocalPolicyMerge")),+],
                Absent::Means("rules of policy and local rules both count"),
            )
            .about($subject),
        ]
    };
}

const OF_DOMAIN: [Setting; 4] = profile!("domain", [DOMAIN, OWN_DOMAIN]);
const OF_PRIVATE: [Setting; 4] = profile!("private", [PRIVATE, STANDARD, OWN_PRIVATE]);
const OF_PUBLIC: [Setting; 4] = profile!("public", [PUBLIC, OWN_PUBLIC]);

const SETTINGS: &[Setting] = &[
    OF_DOMAIN[0],
    OF_DOMAIN[1],
    OF_DOMAIN[2],
    OF_DOMAIN[3],
    OF_PRIVATE[0],
    OF_PRIVATE[1],
    OF_PRIVATE[2],
    OF_PRIVATE[3],
    OF_PUBLIC[0],
    OF_PUBLIC[1],
    OF_PUBLIC[2],
    OF_PUBLIC[3],
    Setting::start("firewall.service_start", CHECKS, &[Place::at(service!("MpsSvc"), "Start")]),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        rule_set(look, ground, rows, "local", RULES);
        rule_set(look, ground, rows, "policy", POLICY_RULES);
    })
}

/// Digest, number and open doors of one set of rules.
fn rule_set(look: &mut Look<'_>, ground: &Ground, rows: &mut Vec<HardeningRow>, subject: &str, key: &str) {
    let lines = look.registry_values_outcome(key).map_seen(|values| {
        let named = |it: Value| Some((it.name.to_lowercase(), it.data.text()?.to_owned()));
        let mut lines: Vec<(String, String)> = values.into_iter().filter_map(named).collect();
        lines.sort();
        lines
    });
    let fact = |id: &str| Fact::new(id, CHECKS, key).about(subject);
    rows.push(tell(ground, key, fact("firewall.rules"), lines.clone(), "no rules", |fact, lines| {
        let mut text = Vec::new();
        for (name, rule) in &lines {
            text.extend(name.bytes().chain([0]).chain(rule.bytes()).chain([0]));
        }
        fact.because(format!("SHA-256 of {} rules", lines.len())).text(&Digest::of(&text).to_string())
    }));
    rows.push(tell(ground, key, fact("firewall.open"), lines, "no rules", |fact, lines| {
        fact.because("rules in effect that let something in")
            .list(lines.iter().filter_map(|(_, it)| open(it)))
    }));
}

/// What a rule lets in, as "name: TCP 102 from 10.0.0.0/8"; `None` for every other rule.
fn open(rule: &str) -> Option<String> {
    let parts = || rule.split('|').filter_map(|it| it.split_once('='));
    let value = |key: &str| parts().find(|(it, _)| it.eq_ignore_ascii_case(key)).map(|it| it.1);
    let is = |key: &str, wanted: &str| value(key).is_some_and(|it| it.eq_ignore_ascii_case(wanted));
    if !is("Action", "Allow") || !is("Dir", "In") || !is("Active", "TRUE") {
        return None;
    }
    let all = |key: &str| -> Vec<&str> {
        parts().filter(|(it, _)| it.eq_ignore_ascii_case(key)).map(|it| it.1).collect()
    };
    let protocol = match value("Protocol") {
        Some("6") => "TCP".to_owned(),
        Some("17") => "UDP".to_owned(),
        Some("1") => "ICMP".to_owned(),
        Some("58") => "ICMPv6".to_owned(),
        Some(other) => format!("protocol {other}"),
        None => "any protocol".to_owned(),
    };
    let mut text = format!("{}: {protocol}", value("Name").unwrap_or("unnamed"));
    let doors = [all("LPort"), all("LPort2_10")].concat();
    if !doors.is_empty() {
        text = format!("{text} {}", doors.join(","));
    }
    let from = [all("RA4"), all("RA6")].concat();
    if !from.is_empty() {
        text = format!("{text} from {}", from.join(","));
    }
    if let Some(program) = value("App") {
        text = format!("{text} to {program}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::open;

    #[test]
    fn only_rules_in_effect_that_let_something_in_are_open() {
        assert_eq!(
            open(
                "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=102|RA4=10.0.0.0/8|Name=S7 ISO-TSAP|"
            ),
            Some("S7 ISO-TSAP: TCP 102 from 10.0.0.0/8".to_owned())
        );
        for rule in [
            "v2.31|Action=Block|Active=TRUE|Dir=In|Name=x|",
            "v2.31|Action=Allow|Active=FALSE|Dir=In|Name=x|",
            "v2.31|Action=Allow|Active=TRUE|Dir=Out|Name=x|",
            "",
        ] {
            assert_eq!(open(rule), None, "{rule}");
        }
        assert_eq!(
            open("Action=Allow|Dir=In|Active=TRUE|App=C:\\x.exe").as_deref(),
            Some("unnamed: any protocol to C:\\x.exe")
        );
    }
}
