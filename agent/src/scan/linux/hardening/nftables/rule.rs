//! A rule as one short line, close to what `nft` prints, for the expressions that are common.
//!
//! The line is for people; the digest is over the canonical form. An expression that is not known
//! here is its name in brackets, so that nothing is left out silently.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::attributes::{attributes, find, number, plain, text};
use super::canonical::{DATA, ELEMENT, NAME};
use super::set::Sets;

/// Longest line, in characters.
const MAX_LINE: usize = 400;
/// Most expressions of one rule; the kernel allows 128.
const MAX_EXPRESSIONS: usize = 128;

/// Families of the kernel, as `nfgenmsg` numbers them.
pub(super) const IPV4: u8 = 2;
pub(super) const IPV6: u8 = 10;

/// What a register holds.
#[derive(Debug, Clone)]
struct Left {
    text: String,
    form: Form,
    mask: Option<Vec<u8>>,
}

/// How a value of it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Port,
    Ipv4,
    Ipv6,
    Protocol,
    Family,
    Name,
    State,
    /// A number of the kernel, in its own byte order.
    Host,
    Bytes,
}

/// The line of the expressions of a rule.
pub(super) fn line(family: u8, expressions: &[u8], sets: Sets<'_>) -> String {
    let mut line = Line { family, sets, registers: BTreeMap::new(), words: Vec::new() };
    for expression in attributes(expressions).filter(|it| it.kind == ELEMENT).take(MAX_EXPRESSIONS) {
        let name = text(expression.value, NAME).unwrap_or_default();
        line.add(&name, find(expression.value, DATA).unwrap_or_default());
    }
    let text = line.words.join(" ");
    match text.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

struct Line<'a> {
    family: u8,
    sets: Sets<'a>,
    registers: BTreeMap<u32, Left>,
    words: Vec<String>,
}

impl Line<'_> {
    fn add(&mut self, name: &str, data: &[u8]) {
        let done = match name {
            "meta" => self.meta(data),
            "ct" => self.conntrack(data),
            "payload" => self.payload(data),
            "bitwise" => self.bitwise(data),
            "cmp" => self.compare(data),
            "range" => self.range(data),
            "lookup" => self.lookup(data),
            "dynset" => self.dynamic_set(data),
            "immediate" => self.immediate(data),
            "limit" => self.limit(data),
            "match" | "target" => {
                // Matches of iptables, in the kernel's form of them.
                self.words.push(format!("[{name} {}]", text(data, 1).unwrap_or_default()));
                Some(())
            }
            "nat" => {
                let word = if number(data, 1) == Some(0) { "snat" } else { "dnat" };
                self.words.push(word.to_owned());
                Some(())
            }
            "log" => {
                let prefix = text(data, 2).map(|it| format!(" prefix \"{it}\"")).unwrap_or_default();
                self.words.push(format!("log{prefix}"));
                Some(())
            }
            "counter" => {
                self.words.push("counter".to_owned());
                Some(())
            }
            "reject" => {
                self.words.push("reject".to_owned());
                Some(())
            }
            "masq" => {
                self.words.push("masquerade".to_owned());
                Some(())
            }
            _ => None,
        };
        if done.is_none() {
            self.words.push(format!("[{name}]"));
        }
    }

    fn hold(&mut self, data: &[u8], register: u16, text: String, form: Form) -> Option<()> {
        self.registers.insert(number(data, register)?, Left { text, form, mask: None });
        Some(())
    }

    fn meta(&mut self, data: &[u8]) -> Option<()> {
        let key = number(data, 2)?;
        let (word, form) = match key {
            0 => ("meta length", Form::Host),
            1 => ("meta protocol", Form::Bytes),
            3 => ("meta mark", Form::Host),
            4 => ("iif", Form::Host),
            5 => ("oif", Form::Host),
            6 => ("iifname", Form::Name),
            7 => ("oifname", Form::Name),
            10 => ("meta skuid", Form::Host),
            11 => ("meta skgid", Form::Host),
            15 => ("meta nfproto", Form::Family),
            16 => ("meta l4proto", Form::Protocol),
            17 => ("meta ibrname", Form::Name),
            18 => ("meta obrname", Form::Name),
            23 => ("meta cgroup", Form::Host),
            _ => ("", Form::Host),
        };
        let word = if word.is_empty() { format!("meta key{key}") } else { word.to_owned() };
        if find(data, 1).is_some() { self.hold(data, 1, word, form) } else { self.set(data, 3, &word) }
    }

    fn conntrack(&mut self, data: &[u8]) -> Option<()> {
        let key = number(data, 2)?;
        let (word, form) = match key {
            0 => ("ct state".to_owned(), Form::State),
            1 => ("ct direction".to_owned(), Form::Host),
            2 => ("ct status".to_owned(), Form::Host),
            3 => ("ct mark".to_owned(), Form::Host),
            _ => (format!("ct key{key}"), Form::Bytes),
        };
        if find(data, 1).is_some() { self.hold(data, 1, word, form) } else { self.set(data, 4, &word) }
    }

    /// Something of the packet is set from a register.
    fn set(&mut self, data: &[u8], register: u16, word: &str) -> Option<()> {
        let from = self.registers.get(&number(data, register)?).map(|it| it.text.clone());
        self.words.push(format!("{word} set {}", from.unwrap_or_else(|| "?".to_owned())));
        Some(())
    }

    fn payload(&mut self, data: &[u8]) -> Option<()> {
        let (base, offset, length) = (number(data, 2)?, number(data, 3)?, number(data, 4)?);
        let is_v6 = self.family == IPV6;
        let (word, form) = match (base, offset, length) {
            (1, 9, 1) if !is_v6 => ("ip protocol", Form::Protocol),
            (1, 12, 1..=4) if !is_v6 => ("ip saddr", Form::Ipv4),
            (1, 16, 1..=4) if !is_v6 => ("ip daddr", Form::Ipv4),
            (1, 6, 1) if is_v6 => ("ip6 nexthdr", Form::Protocol),
            (1, 8, 1..=16) if is_v6 => ("ip6 saddr", Form::Ipv6),
            (1, 24, 1..=16) if is_v6 => ("ip6 daddr", Form::Ipv6),
            (2, 0, 2) => ("th sport", Form::Port),
            (2, 2, 2) => ("th dport", Form::Port),
            (2, 0, 1) => ("icmp type", Form::Bytes),
            _ => ("", Form::Bytes),
        };
        let word = match (word, base) {
            ("", 0) => format!("@ll,{offset},{length}"),
            ("", 1) => format!("@nh,{offset},{length}"),
            ("", 2) => format!("@th,{offset},{length}"),
            ("", _) => format!("@ih,{offset},{length}"),
            (word, _) => word.to_owned(),
        };
        if find(data, 1).is_some() { self.hold(data, 1, word, form) } else { self.set(data, 5, &word) }
    }

    fn bitwise(&mut self, data: &[u8]) -> Option<()> {
        let mut left = self.registers.get(&number(data, 1)?)?.clone();
        let mask = find(data, 4).and_then(|it| find(it, 1))?.to_vec();
        if left.form != Form::State && prefix(&mask).is_none() {
            left.text = format!("{} & {}", left.text, hex(&mask));
        }
        left.mask = Some(mask);
        self.registers.insert(number(data, 2)?, left);
        Some(())
    }

    fn compare(&mut self, data: &[u8]) -> Option<()> {
        let left = self.registers.get(&number(data, 1)?)?;
        let value = find(data, 3).and_then(|it| find(it, 1))?;
        let operation = number(data, 2)?;
        if let (Form::State, Some(mask), 1) = (left.form, &left.mask, operation)
            && value.iter().all(|it| *it == 0)
        {
            self.words.push(format!("{} {}", left.text, states(mask)));
            return Some(());
        }
        let sign = match operation {
            0 => " ",
            1 => " != ",
            2 => " < ",
            3 => " <= ",
            4 => " > ",
            5 => " >= ",
            _ => return None,
        };
        let text = format!("{}{sign}{}", left.text, left.value(value));
        if left.form == Form::Family && operation == 0 {
            self.family = value.first().copied().unwrap_or(self.family);
        }
        self.words.push(text);
        Some(())
    }

    fn range(&mut self, data: &[u8]) -> Option<()> {
        let left = self.registers.get(&number(data, 1)?)?;
        let side = |kind| find(data, kind).and_then(|it| find(it, 1)).map(|it| left.value(it));
        let sign = if number(data, 2)? == 0 { " " } else { " != " };
        let text = format!("{}{sign}{}-{}", left.text, side(3)?, side(4)?);
        self.words.push(text);
        Some(())
    }

    fn lookup(&mut self, data: &[u8]) -> Option<()> {
        let name = text(data, 1)?;
        let left = self.registers.get(&number(data, 2)?).cloned();
        let word = left.as_ref().map_or("?", |it| it.text.as_str());
        let is_map = find(data, 3).is_some();
        let sign = match (is_map, number(data, 5).unwrap_or(0) & 1) {
            (true, _) => " vmap ",
            (false, 1) => " != ",
            (false, _) => " ",
        };
        let right = match self.sets.get(&name).filter(|it| it.is_anonymous()) {
            Some(set) => {
                let key = |it: &[u8]| left.as_ref().map_or_else(|| hex(it), |left| left.element(it));
                set.braces(key, |data| find(data, 2).map(verdict))
            }
            None => format!("@{name}"),
        };
        let text = format!("{word}{sign}{right}");
        self.words.push(text);
        if let Some(register) = number(data, 3).filter(|it| *it != 0) {
            self.registers.insert(register, Left { text: "mapped".into(), form: Form::Bytes, mask: None });
        }
        Some(())
    }

    fn dynamic_set(&mut self, data: &[u8]) -> Option<()> {
        let word = match number(data, 3)? {
            0 => "add",
            1 => "update",
            2 => "delete",
            _ => return None,
        };
        let key = self.registers.get(&number(data, 4)?).map_or("?", |it| it.text.as_str());
        let text = format!("{word} @{} {{ {key} }}", text(data, 1)?);
        self.words.push(text);
        Some(())
    }

    fn immediate(&mut self, data: &[u8]) -> Option<()> {
        let value = find(data, 2)?;
        if let Some(code) = find(value, 2) {
            self.words.push(verdict(code));
        } else {
            let text = hex(find(value, 1)?);
            self.registers.insert(number(data, 1)?, Left { text, form: Form::Bytes, mask: None });
        }
        Some(())
    }

    fn limit(&mut self, data: &[u8]) -> Option<()> {
        let long = |kind| Some(u64::from_be_bytes(find(data, kind)?.try_into().ok()?));
        let unit = match long(2)? {
            1 => "second".to_owned(),
            60 => "minute".to_owned(),
            3_600 => "hour".to_owned(),
            86_400 => "day".to_owned(),
            604_800 => "week".to_owned(),
            other => format!("{other}s"),
        };
        let over = if number(data, 5).unwrap_or(0) & 1 == 0 { "" } else { "over " };
        let what = if number(data, 4).unwrap_or(0) == 0 { "" } else { " bytes" };
        self.words.push(format!("limit rate {over}{}{what}/{unit}", long(1)?));
        Some(())
    }
}

impl Left {
    /// A value that is compared with it.
    fn value(&self, bytes: &[u8]) -> String {
        let masked = self.mask.as_deref().and_then(prefix);
        // A shorter load than the address is a prefix, and so is a mask of leading ones.
        match self.form {
            Form::Ipv4 => address(bytes, 4, masked, |it: [u8; 4]| Ipv4Addr::from(it).to_string()),
            Form::Ipv6 => address(bytes, 16, masked, |it: [u8; 16]| Ipv6Addr::from(it).to_string()),
            Form::Port
            | Form::Protocol
            | Form::Family
            | Form::Name
            | Form::State
            | Form::Host
            | Form::Bytes => self.element(bytes),
        }
    }

    /// An element of a set of it.
    fn element(&self, bytes: &[u8]) -> String {
        match (self.form, bytes) {
            (Form::Port, [high, low]) => u16::from_be_bytes([*high, *low]).to_string(),
            (Form::Ipv4, [a, b, c, d]) => Ipv4Addr::new(*a, *b, *c, *d).to_string(),
            (Form::Ipv6, bytes) => {
                <[u8; 16]>::try_from(bytes).map_or_else(|_| hex(bytes), |it| Ipv6Addr::from(it).to_string())
            }
            (Form::Protocol, [number, ..]) => protocol(*number),
            (Form::Family, [IPV4, ..]) => "ipv4".to_owned(),
            (Form::Family, [IPV6, ..]) => "ipv6".to_owned(),
            (Form::Name, bytes) => {
                // A name that is compared without its zero stands for all that start with it.
                let star = if bytes.contains(&0) || bytes.len() == 16 { "" } else { "*" };
                format!("\"{}{star}\"", plain(bytes))
            }
            (Form::State, bytes) => states(bytes),
            (Form::Host, bytes) => host_number(bytes).map_or_else(|| hex(bytes), |it| it.to_string()),
            (Form::Port | Form::Ipv4 | Form::Protocol | Form::Family | Form::Bytes, bytes) => hex(bytes),
        }
    }
}

fn address<const N: usize>(
    bytes: &[u8],
    whole: usize,
    masked: Option<usize>,
    show: impl Fn([u8; N]) -> String,
) -> String {
    let mut padded = [0; N];
    let kept = bytes.len().min(whole);
    padded[..kept].copy_from_slice(&bytes[..kept]);
    let bits = masked.unwrap_or(kept * 8);
    if bits == whole * 8 { show(padded) } else { format!("{}/{bits}", show(padded)) }
}

/// How many leading ones a mask has, when it has nothing else.
fn prefix(mask: &[u8]) -> Option<usize> {
    let ones = mask.iter().take_while(|it| **it == 0xff).count();
    let (next, rest) = mask.get(ones..)?.split_first().unwrap_or((&0, &[]));
    let more = usize::try_from(next.leading_ones()).ok()?;
    let is_prefix = rest.iter().all(|it| *it == 0) && next.count_ones() == next.leading_ones();
    is_prefix.then_some(ones * 8 + more)
}

fn verdict(attributes: &[u8]) -> String {
    let chain = || text(attributes, 2).unwrap_or_default();
    match number(attributes, 1).map(u32::cast_signed) {
        Some(0) => "drop".to_owned(),
        Some(1) => "accept".to_owned(),
        Some(3) => "queue".to_owned(),
        Some(-1) => "continue".to_owned(),
        Some(-2) => "break".to_owned(),
        Some(-3) => format!("jump {}", chain()),
        Some(-4) => format!("goto {}", chain()),
        Some(-5) => "return".to_owned(),
        Some(other) => format!("verdict {other}"),
        None => "verdict ?".to_owned(),
    }
}

fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        2 => "igmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        47 => "gre".to_owned(),
        50 => "esp".to_owned(),
        51 => "ah".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        89 => "ospf".to_owned(),
        112 => "vrrp".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

fn states(bytes: &[u8]) -> String {
    let Some(bits) = host_number(bytes) else { return hex(bytes) };
    let known = [(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")];
    let words: Vec<&str> = known.iter().filter(|it| bits & it.0 != 0).map(|it| it.1).collect();
    let rest = bits & !known.iter().fold(0, |all, it| all | it.0);
    if words.is_empty() || rest != 0 { format!("{bits:#x}") } else { words.join(",") }
}

fn host_number(bytes: &[u8]) -> Option<u32> {
    Some(match *bytes {
        [one] => u32::from(one),
        [a, b] => u32::from(u16::from_ne_bytes([a, b])),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    const MAX: usize = 32;
    let more = if bytes.len() > MAX { "..." } else { "" };
    bytes.iter().take(MAX).fold("0x".to_owned(), |text, it| format!("{text}{it:02x}")) + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_of_leading_ones_is_a_prefix() {
        assert_eq!(prefix(&[255, 255, 255, 0]), Some(24));
        assert_eq!(prefix(&[255, 240, 0, 0]), Some(12));
        assert_eq!(prefix(&[255, 255, 255, 255]), Some(32));
        assert_eq!(prefix(&[255, 0, 255, 0]), None);
        assert_eq!(prefix(&[5, 0, 0, 0]), None);
        assert_eq!(prefix(&[]), Some(0));
    }
}
