//! The packet filter: what the kernel applies, and the files that it is loaded from.
//!
//! Sources of truth: `nf_tables` over netlink, which needs `CAP_NET_ADMIN`; our service does not have it,
//! so on most hosts these facts are `denied` and the saved files speak. iptables-nft is `nf_tables` too.
//! The tables of the older iptables are in `proc/net/*_tables_names` (root only); their rules are not
//! read. `nf_tables` is asked only where it is already there, because the kernel would load it.
//!
//! The digest leaves out all that moves: counters, quotas used, handles, and what sets hold that packets
//! or time change. It compares a host with itself and with its twin on the same kernel. Known lies: a
//! saved file is not what is loaded; `iif` and `oif` say an interface's number; only the agent's network namespace is seen; a comment does not count.

use std::io;

use holdpoint_common::row::HardeningRow;

use super::layers::{assignments, digest, drop_ins, tell};
use super::modules::Kernel;
use super::nftables::Ruleset;
use crate::host::{Ask, Live, Reads, is_absent};
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::metadata("sys/module/nf_tables"),
    Reads::content("proc/net/ip_tables_names"),
    Reads::content("proc/net/ip6_tables_names"),
    Reads::content("proc/net/arp_tables_names"),
    Reads::content("proc/*/net/ip_tables_names"),
    Reads::content("proc/*/net/ip6_tables_names"),
    Reads::content("proc/*/net/arp_tables_names"),
    Reads::content("etc/nftables.conf"),
    Reads::content("etc/sysconfig/nftables.conf"),
    Reads::content("etc/nftables/*.nft"),
    Reads::content("etc/nftables.d/*.nft"),
    Reads::content("etc/iptables/rules.v4"),
    Reads::content("etc/iptables/rules.v6"),
    Reads::content("etc/iptables/iptables.rules"),
    Reads::content("etc/iptables/ip6tables.rules"),
    Reads::content("etc/sysconfig/iptables"),
    Reads::content("etc/sysconfig/ip6tables"),
    Reads::content("etc/firewalld/firewalld.conf"),
    Reads::content("etc/firewalld/zones/*.xml"),
    Reads::content("etc/ufw/ufw.conf"),
    Reads::content("etc/ufw/user.rules"),
    Reads::content("etc/ufw/user6.rules"),
    Reads::content("etc/default/ufw"),
];

const SOURCE: &str = "netlink:nf_tables";
const CHECKS: &[&str] = &["L07"];
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How often a dump is begun again because the rules changed under it.
const ATTEMPTS: usize = 3;
const DENIED: &str = "needs CAP_NET_ADMIN, which the agent's unit does not grant";

/// Files that rules are loaded from at boot.
const SAVED: [&str; 10] = [
    "etc/nftables.conf",
    "etc/sysconfig/nftables.conf",
    "etc/iptables/rules.v4",
    "etc/iptables/rules.v6",
    "etc/iptables/iptables.rules",
    "etc/iptables/ip6tables.rules",
    "etc/sysconfig/iptables",
    "etc/sysconfig/ip6tables",
    "etc/ufw/user.rules",
    "etc/ufw/user6.rules",
];
/// Tables of the older iptables, by family.
const LEGACY: [(&str, &str); 3] =
    [("ip", "ip_tables_names"), ("ip6", "ip6_tables_names"), ("arp", "arp_tables_names")];

/// Reads the rules in effect and the files.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut rows = Vec::new();
    saved(look, &mut rows);
    firewalld(look, &mut rows);
    ufw(look, &mut rows);
    legacy(look, &mut rows);
    match &look.host.live {
        Some(live) => in_effect(look, live, &mut rows),
        None if rows.is_empty() => return look.missing("no rules of a packet filter are there"),
        None => rows.push(nft("digest").because("not a running system").absent()),
    }
    Reading::of(&rows)
}

fn nft(name: &str) -> Fact {
    Fact::new(&format!("packet_filter.nft.{name}"), CHECKS, SOURCE)
}

fn in_effect(look: &mut Look<'_>, live: &Live, rows: &mut Vec<HardeningRow>) {
    let is_loaded = look.exists("sys/module/nf_tables") || Kernel::read(look).has_nf_tables();
    if !is_loaded {
        rows.push(nft("digest").because("nf_tables is not loaded").absent());
        return;
    }
    let read = look.in_time().and_then(|()| ruleset(live));
    match look.outcome(SOURCE, read) {
        Outcome::Absent => rows.push(nft("digest").because("the kernel has no nf_tables").absent()),
        Outcome::Denied => rows.push(nft("digest").because(DENIED).denied()),
        Outcome::Failed(why) => rows.push(nft("digest").because(why).error()),
        Outcome::Seen(ruleset) => {
            for fault in ruleset.faults() {
                look.fault(format!("{SOURCE}: {fault}"));
            }
            rows.push(nft("digest").text(&ruleset.digest().to_string()));
            rows.push(nft("tables").list(ruleset.tables()));
            rows.push(nft("base_chains").list(ruleset.base_chains()));
            rows.push(nft("other_chains").list(ruleset.other_chains()));
            rows.push(nft("sets").list(ruleset.sets()));
            rows.push(nft("rules").list(ruleset.rules()));
            rows.push(nft("rule_count").number(i64::try_from(ruleset.rule_count()).unwrap_or(i64::MAX)));
        }
    }
}

fn ruleset(live: &Live) -> io::Result<Ruleset> {
    for _ in 1..ATTEMPTS {
        match one_ruleset(live) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
    one_ruleset(live)
}

fn one_ruleset(live: &Live) -> io::Result<Ruleset> {
    let mut filter = live.packet_filter()?;
    let mut ruleset = Ruleset::default();
    for ask in [Ask::Tables, Ask::Chains, Ask::Sets] {
        ruleset.add(&filter.dump(ask)?);
    }
    for place in ruleset.fixed_sets() {
        let (family, table, set) = &place;
        match filter.dump(Ask::Elements { family: *family, table, set }) {
            Ok(elements) => ruleset.add(&elements),
            // A set that went away meanwhile: the next dump is interrupted or does not name it.
            Err(cause) if is_absent(&cause) => ruleset.without_elements(&place, "it went away"),
            Err(cause) => return Err(cause),
        }
    }
    ruleset.add(&filter.dump(Ask::Rules)?);
    for ask in [Ask::Objects, Ask::Flowtables] {
        match filter.dump(ask) {
            Ok(answer) => ruleset.add(&answer),
            // Kernels before 4.10 and 4.16 do not know these.
            Err(cause)
                if matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(ruleset)
}

fn legacy(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    for (family, file) in LEGACY {
        let path = format!("proc/net/{file}");
        let read = look.in_time().and_then(|()| look.host.root.read(&path, MAX_BYTES));
        let outcome = look.outcome(&path, read);
        if outcome == Outcome::Absent {
            continue;
        }
        let fact = Fact::new("packet_filter.legacy_tables", CHECKS, &path).about(family);
        rows.push(tell(fact, outcome, "needs root", |fact, bytes| {
            let text = String::from_utf8_lossy(&bytes);
            let mut names: Vec<String> = text.lines().map(str::trim).map(str::to_owned).collect();
            names.sort_unstable();
            fact.list(names)
        }));
    }
}

fn saved(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    let mut files: Vec<String> = SAVED.iter().map(|it| (*it).to_owned()).collect();
    files.extend(drop_ins(look, &["etc/nftables"], ".nft"));
    files.extend(drop_ins(look, &["etc/nftables.d"], ".nft"));
    files.extend(drop_ins(look, &["etc/firewalld/zones"], ".xml"));
    for file in files {
        let read = look.in_time().and_then(|()| look.host.root.read(&file, MAX_BYTES));
        let outcome = look.outcome(&file, read);
        if outcome == Outcome::Absent {
            continue;
        }
        let fact = Fact::new("packet_filter.saved", CHECKS, &file).about(&file);
        rows.push(tell(fact, outcome, "needs root", |fact, bytes| fact.text(&digest(&bytes))));
    }
}

fn firewalld(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const FILE: &str = "etc/firewalld/firewalld.conf";
    setting(
        look,
        rows,
        FILE,
        &[
            ("DefaultZone", "packet_filter.firewalld.default_zone"),
            ("FirewallBackend", "packet_filter.firewalld.backend"),
            ("Lockdown", "packet_filter.firewalld.lockdown"),
        ],
    );
}

fn ufw(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    setting(look, rows, "etc/ufw/ufw.conf", &[("ENABLED", "packet_filter.ufw.enabled")]);
    setting(
        look,
        rows,
        "etc/default/ufw",
        &[
            ("DEFAULT_INPUT_POLICY", "packet_filter.ufw.input_policy"),
            ("DEFAULT_OUTPUT_POLICY", "packet_filter.ufw.output_policy"),
            ("DEFAULT_FORWARD_POLICY", "packet_filter.ufw.forward_policy"),
        ],
    );
}

/// Keys of a file of assignments, where there is that file.
fn setting(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>, file: &str, keys: &[(&str, &str)]) {
    const MAX: usize = 256 * 1024;
    let read = look.in_time().and_then(|()| look.host.root.read(file, MAX));
    let outcome = look.outcome(file, read);
    let text = match &outcome {
        Outcome::Seen(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Outcome::Absent => return,
        Outcome::Denied | Outcome::Failed(_) => String::new(),
    };
    for (key, id) in keys {
        let value = assignments(&text).filter(|it| it.0 == *key).last().map(|it| it.1.to_owned());
        rows.push(tell(Fact::new(id, CHECKS, file), outcome.clone(), "needs root", |fact, _| match value {
            Some(value) => fact.text(&value),
            None => fact.because("the file does not say it").absent(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};
    use holdpoint_common::row::hardening_row::Value;

    #[test]
    fn a_captured_host_has_its_files_and_no_rules() {
        let (_dir, host) = host(&[
            ("etc/nftables.conf", "flush ruleset\n"),
            ("etc/firewalld/firewalld.conf", "# x\nDefaultZone=public\n"),
            ("etc/ufw/ufw.conf", "ENABLED=yes\n"),
            ("proc/net/ip_tables_names", "nat\nfilter\n"),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let find = |id: &str| rows.iter().find(|it| it.id == id).unwrap();
        let saved = find("packet_filter.saved");
        assert_eq!(saved.subject.as_deref(), Some("etc/nftables.conf"));
        assert!(matches!(&saved.value, Some(Value::Text(it)) if it.len() == 64));
        assert_eq!(find("packet_filter.firewalld.default_zone").value, Some(Value::Text("public".into())));
        assert_eq!(find("packet_filter.firewalld.backend").state, "absent");
        assert_eq!(find("packet_filter.ufw.enabled").value, Some(Value::Text("yes".into())));
        assert!(
            matches!(&find("packet_filter.legacy_tables").value, Some(Value::List(it)) if it.items == ["filter", "nat"])
        );
        assert_eq!(find("packet_filter.nft.digest").reason.as_deref(), Some("not a running system"));
    }
}
