//! What dumps of `nf_tables` say: tables, chains, rules, sets, and one digest over all of them.
//!
//! Pure: bytes in, values out. `linux/netfilter/nf_tables.h` names the attributes. The digest is
//! SHA-256 over the canonical form (see `canonical`): tables, chains, sets and objects in the order
//! of their names, rules in their own order. `nft` and this reader are of one mind about what a rule
//! says, but the digest is this reader's own and compares hosts and days, not tools.

mod attributes;
mod canonical;
mod rule;
mod set;

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};
use holdpoint_common::section::Digest;

use self::attributes::{attributes, find, is_whole, number, text};
use self::canonical::{ELEMENT, record};
use self::set::{Set, Sets, place};
use crate::host::messages;

/// Most rules of a host.
const MAX_RULES: usize = 65_536;
/// Most tables, and most chains or sets of a table.
const MAX_NAMES: usize = 4_096;
/// Most rules whose line is kept.
const MAX_LINES: usize = 4_096;

/// What the digest of another version of the canonical form must not look like.
const VERSION: &[u8] = b"holdpoint nf_tables 1";

/// `NFT_MSG_NEW*`.
const TABLE: u8 = 0;
const CHAIN: u8 = 3;
const RULE: u8 = 6;
const SET: u8 = 9;
const ELEMENTS: u8 = 12;
const OBJECT: u8 = 18;
const FLOWTABLE: u8 = 22;

/// Everything that was dumped. Sets and their elements have to be added before rules.
#[derive(Debug, Default)]
pub struct Ruleset {
    tables: BTreeMap<(u8, String), Table>,
    rules: usize,
    lines: Vec<((u8, String, String), String)>,
    faults: Vec<String>,
}

#[derive(Debug, Default)]
struct Table {
    flags: u32,
    chains: BTreeMap<String, Chain>,
    sets: BTreeMap<String, Set>,
    /// Objects and flow tables in canonical form, by kind and name.
    others: BTreeMap<(u8, String), Vec<u8>>,
}

#[derive(Debug, Default)]
struct Chain {
    base: Option<Base>,
    flags: u32,
    rules: usize,
    /// Over its rules so far, each after the one before.
    digest: Option<Digest>,
}

/// Where a chain is hooked in.
#[derive(Debug)]
struct Base {
    kind: String,
    hook: u32,
    priority: i32,
    policy: Option<u32>,
    devices: Vec<String>,
}

impl Ruleset {
    /// Adds an answer: messages in a row, as they came from the kernel.
    pub fn add(&mut self, answer: &[u8]) {
        for message in messages(answer) {
            match message {
                Ok(message) => {
                    if let Some(kind) = message.kind {
                        self.take(kind, message.family, message.attributes);
                    }
                }
                Err(cause) => self.fault(cause.to_string()),
            }
        }
    }

    /// The sets whose elements do not move: family, table, name.
    pub fn fixed_sets(&self) -> Vec<(u8, String, String)> {
        let sets = self.tables.iter().flat_map(|((family, table), it)| {
            it.sets
                .iter()
                .filter(|(_, set)| !set.moves())
                .map(|(name, _)| (*family, table.clone(), name.clone()))
        });
        sets.collect()
    }

    /// Notes that the elements of a set are not known.
    pub fn without_elements(&mut self, (family, table, name): &(u8, String, String), why: &str) {
        let table = self.tables.get_mut(&(*family, table.clone()));
        if let Some(set) = table.and_then(|it| it.sets.get_mut(name)) {
            set.unread = Some(why.to_owned());
        }
        self.fault(format!("elements of {name}: {why}"));
    }

    /// What could not be read.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    fn fault(&mut self, what: String) {
        const MAX: usize = 8;
        if self.faults.len() < MAX && !self.faults.contains(&what) {
            self.faults.push(what);
        }
    }

    fn take(&mut self, kind: u8, family: u8, message: &[u8]) {
        if !is_whole(message) {
            self.fault("a message is cut off".to_owned());
        }
        let taken = match kind {
            TABLE => self.table(family, text(message, 1), |it| it.flags = number(message, 2).unwrap_or(0)),
            CHAIN => self.table(family, text(message, 1), |it| it.chain(message)),
            SET => self.table(family, text(message, 1), |it| {
                if let Some((_, name)) = place(message)
                    && it.sets.len() < MAX_NAMES
                {
                    it.sets.insert(name, Set::of(message));
                }
            }),
            ELEMENTS => self.table(family, text(message, 1), |it| {
                if let Some(set) = place(message).and_then(|(_, name)| it.sets.get_mut(&name)) {
                    set.add(find(message, 3).unwrap_or_default());
                }
            }),
            OBJECT | FLOWTABLE => self.table(family, text(message, 1), |it| it.other(kind, message)),
            RULE => self.rule(family, message),
            _ => Some(()),
        };
        if taken.is_none() {
            self.fault("a message names no table or there are too many".to_owned());
        }
    }

    fn table(&mut self, family: u8, name: Option<String>, change: impl FnOnce(&mut Table)) -> Option<()> {
        let key = (family, name?);
        if self.tables.len() >= MAX_NAMES && !self.tables.contains_key(&key) {
            return None;
        }
        change(self.tables.entry(key).or_default());
        Some(())
    }

    fn rule(&mut self, family: u8, message: &[u8]) -> Option<()> {
        let (table_name, chain_name) = (text(message, 1)?, text(message, 2)?);
        self.rules += 1;
        if self.rules > MAX_RULES {
            return None;
        }
        self.table(family, Some(table_name.clone()), |_| ())?;
        let table = self.tables.get_mut(&(family, table_name.clone()))?;
        let sets = Sets(Some(&table.sets));
        let expressions = find(message, 4).unwrap_or_default();
        let is_full = table.chains.len() >= MAX_NAMES && !table.chains.contains_key(&chain_name);
        if is_full {
            return None;
        }
        let chain = table.chains.entry(chain_name.clone()).or_default();
        let mut canonical = chain.digest.map(Digest::to_vec).unwrap_or_default();
        for expression in attributes(expressions).filter(|it| it.kind == ELEMENT) {
            canonical::expression(&mut canonical, expression.value, sets);
        }
        // Only rules of iptables-nft have it: which protocol their matches were told.
        record(&mut canonical, find(message, 5).unwrap_or_default());
        chain.digest = Some(Digest::of(&canonical));
        chain.rules += 1;
        if self.lines.len() < MAX_LINES {
            let line = rule::line(family, expressions, sets);
            self.lines.push(((family, table_name, chain_name), line));
        }
        Some(())
    }

    /// The digest over everything that was added.
    pub fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        let mut out = Vec::new();
        record(&mut out, VERSION);
        for ((family, name), table) in &self.tables {
            out.push(*family);
            record(&mut out, name.as_bytes());
            out.extend(table.flags.to_le_bytes());
            for (name, chain) in &table.chains {
                record(&mut out, name.as_bytes());
                chain.canonical(&mut out);
            }
            for (name, set) in table.sets.iter().filter(|(_, set)| !set.is_anonymous()) {
                record(&mut out, &set.canonical(name));
            }
            for ((kind, name), other) in &table.others {
                out.push(*kind);
                record(&mut out, name.as_bytes());
                record(&mut out, other);
            }
            record(&mut out, b"end");
            context.update(&out);
            out.clear();
        }
        context.update(&out);
        Digest::try_from(context.finish().as_ref()).unwrap_or_else(|_| Digest::of(VERSION))
    }

    /// Every table: "inet filter".
    pub fn tables(&self) -> Vec<String> {
        const DORMANT: u32 = 1;
        let name = |((family, name), table): (&(u8, String), &Table)| {
            let dormant = if table.flags & DORMANT == 0 { "" } else { " (dormant)" };
            format!("{} {name}{dormant}", family_name(*family))
        };
        self.tables.iter().map(name).collect()
    }

    /// Every chain that packets enter from the kernel: "inet filter input: filter hook input priority
    /// 0 policy drop, 12 rules".
    pub fn base_chains(&self) -> Vec<String> {
        self.chains(|family, chain| chain.base.as_ref().map(|it| it.line(family)))
    }

    /// Every other chain.
    pub fn other_chains(&self) -> Vec<String> {
        self.chains(|_, chain| chain.base.is_none().then(String::new))
    }

    fn chains(&self, line: impl Fn(u8, &Chain) -> Option<String>) -> Vec<String> {
        let mut lines = Vec::new();
        for ((family, table), it) in &self.tables {
            for (name, chain) in &it.chains {
                let Some(line) = line(*family, chain) else { continue };
                let comma = if line.is_empty() { "" } else { ", " };
                lines.push(format!(
                    "{} {table} {name}: {line}{comma}{} rules",
                    family_name(*family),
                    chain.rules
                ));
            }
        }
        lines
    }

    /// Every set with a name: "inet filter allowed: set, 12 elements".
    pub fn sets(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for ((family, table), it) in &self.tables {
            for (name, set) in it.sets.iter().filter(|(_, set)| !set.is_anonymous()) {
                lines.push(format!("{} {table} {name}: {}", family_name(*family), set.line()));
            }
        }
        lines
    }

    /// The first rules, a line each, in the order of chains' names and then their own.
    pub fn rules(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.lines.iter().collect();
        lines.sort_by(|a, b| a.0.cmp(&b.0));
        let line = |((family, table, chain), line): &((u8, String, String), String)| {
            format!("{} {table} {chain}: {line}", family_name(*family))
        };
        lines.into_iter().map(line).collect()
    }

    /// How many rules there are.
    pub fn rule_count(&self) -> usize {
        self.rules
    }
}

impl Table {
    fn chain(&mut self, message: &[u8]) {
        let Some(name) = text(message, 3).filter(|_| self.chains.len() < MAX_NAMES) else { return };
        let hook = find(message, 4);
        let chain = self.chains.entry(name).or_default();
        chain.flags = number(message, 10).unwrap_or(0);
        chain.base = hook.map(|hook| {
            let devices = find(hook, 4).into_iter().flat_map(attributes).map(|it| it.value);
            let mut devices: Vec<String> =
                find(hook, 3).into_iter().chain(devices).map(attributes::plain).collect();
            devices.sort();
            devices.dedup();
            Base {
                kind: text(message, 7).unwrap_or_default(),
                hook: number(hook, 1).unwrap_or(u32::MAX),
                priority: number(hook, 2).unwrap_or(0).cast_signed(),
                policy: number(message, 5),
                devices,
            }
        });
    }

    fn other(&mut self, kind: u8, message: &[u8]) {
        let Some(name) = text(message, 2).filter(|_| self.others.len() < MAX_NAMES) else { return };
        let mut canonical = Vec::new();
        if kind == OBJECT {
            let object = number(message, 3).unwrap_or(0);
            canonical.extend(object.to_le_bytes());
            canonical::object(&mut canonical, object, find(message, 4).unwrap_or_default());
        } else {
            for attribute in [3, 7] {
                record(&mut canonical, find(message, attribute).unwrap_or_default());
            }
        }
        self.others.insert((kind, name), canonical);
    }
}

impl Chain {
    fn canonical(&self, out: &mut Vec<u8>) {
        out.extend(self.flags.to_le_bytes());
        if let Some(base) = &self.base {
            record(out, base.kind.as_bytes());
            out.extend(base.hook.to_le_bytes());
            out.extend(base.priority.to_le_bytes());
            out.extend(base.policy.unwrap_or(u32::MAX).to_le_bytes());
            for device in &base.devices {
                record(out, device.as_bytes());
            }
        }
        record(out, self.digest.as_ref().map(|it| it.as_bytes().as_slice()).unwrap_or_default());
    }
}

impl Base {
    fn line(&self, family: u8) -> String {
        let policy = match self.policy {
            Some(0) => " policy drop",
            Some(1) => " policy accept",
            Some(_) => " policy ?",
            None => "",
        };
        let devices = if self.devices.is_empty() {
            String::new()
        } else {
            format!(" devices {}", self.devices.join(","))
        };
        let hook = hook_name(family, self.hook);
        format!("{} hook {hook}{devices} priority {}{policy}", self.kind, self.priority)
    }
}

fn family_name(family: u8) -> String {
    match family {
        1 => "inet".to_owned(),
        2 => "ip".to_owned(),
        3 => "arp".to_owned(),
        5 => "netdev".to_owned(),
        7 => "bridge".to_owned(),
        10 => "ip6".to_owned(),
        other => format!("family{other}"),
    }
}

fn hook_name(family: u8, hook: u32) -> String {
    const ARP: u8 = 3;
    const NETDEV: u8 = 5;
    let name = match (family, hook) {
        (NETDEV, 0) | (_, 5) => "ingress",
        (NETDEV, 1) => "egress",
        (ARP, 1) | (_, 3) => "output",
        (ARP, 0) | (_, 1) => "input",
        (_, 0) => "prerouting",
        (_, 2) => "forward",
        (_, 4) => "postrouting",
        _ => return format!("hook{hook}"),
    };
    name.to_owned()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
