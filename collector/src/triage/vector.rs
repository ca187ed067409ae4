//! What a CVSS vector says that triage asks: automatable, technical impact, and maturity of the exploit.
//!
//! Read from the metrics and never from the score. The rules are ours and lean to the worse side: what no rule
//! decides is open, and an open input counts as the worst of what it can be.

use std::collections::BTreeMap;

use super::table::{AUTOMATABLE, EXPLOITATION, TECHNICAL, ValueSet};

/// Longest vector that is read, in bytes: CVSS 4.0 with every metric is shorter.
const MAX_VECTOR: usize = 500;

const NO: ValueSet = ValueSet::one(0);
const YES: ValueSet = ValueSet::one(1);

/// The metrics of a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector<'a> {
    /// 2, 3 or 4.
    major: u8,
    metrics: BTreeMap<&'a str, &'a str>,
}

impl<'a> Vector<'a> {
    /// Reads a vector; `None` for what is none, or says a metric twice.
    pub fn read(text: &'a str) -> Option<Self> {
        let text = text.trim().trim_start_matches('(').trim_end_matches(')');
        if text.len() > MAX_VECTOR {
            return None;
        }
        let (major, rest) = match text.strip_prefix("CVSS:") {
            Some(named) => {
                let (version, rest) = named.split_once('/')?;
                let major = match version {
                    "3.0" | "3.1" => 3,
                    "4.0" => 4,
                    _ => return None,
                };
                (major, rest)
            }
            None => (2, text),
        };
        let mut metrics = BTreeMap::new();
        for part in rest.split('/') {
            let (metric, value) = part.split_once(':')?;
            if metrics.insert(metric, value).is_some() {
                return None;
            }
        }
        metrics.contains_key("AV").then_some(Self { major, metrics })
    }

    fn is(&self, metric: &str, value: &str) -> bool {
        self.metrics.get(metric).is_some_and(|it| *it == value)
    }

    /// Whether an attacker can automate reconnaissance to exploitation.
    ///
    /// 1. CVSS 4.0 `AU` says it. 2. Local or physical access, or a person who must act: no. 3. Over the network, low
    ///    complexity, no attack requirements, no privileges, nobody who acts: yes. 4. Everything else is open.
    pub fn automatable(&self) -> ValueSet {
        match self.metrics.get("AU") {
            Some(&"Y") if self.major == 4 => return YES,
            Some(&"N") if self.major == 4 => return NO,
            _ => {}
        }
        let at_the_machine = self.is("AV", "L") || self.is("AV", "P");
        let person = match self.major {
            3 => self.is("UI", "R"),
            4 => self.is("UI", "P") || self.is("UI", "A"),
            _ => false,
        };
        if at_the_machine || person {
            return NO;
        }
        let requirements = self.major == 4 && !self.is("AT", "N");
        let easy = self.is("AV", "N") && self.is("AC", "L") && self.is("PR", "N") && self.is("UI", "N");
        if self.major >= 3 && easy && !requirements { YES } else { AUTOMATABLE.any() }
    }

    /// What the attacker gains: total with high confidentiality and integrity impact, partial with neither high;
    /// one of the two is open.
    pub fn technical_impact(&self) -> ValueSet {
        let (confidentiality, integrity, high) = match self.major {
            4 => ("VC", "VI", "H"),
            3 => ("C", "I", "H"),
            _ => ("C", "I", "C"),
        };
        if !self.metrics.contains_key(confidentiality) || !self.metrics.contains_key(integrity) {
            return TECHNICAL.any();
        }
        match (self.is(confidentiality, high), self.is(integrity, high)) {
            (true, true) => YES,
            (false, false) => NO,
            (true, false) | (false, true) => TECHNICAL.any(),
        }
    }

    /// What the publisher says of exploits (`E`): attacked is active, proof of concept and better is a public one.
    /// `None` when the vector does not say; silence and "unproven" are no proof of absence.
    pub fn exploitation(&self) -> Option<ValueSet> {
        let word = match (self.major, *self.metrics.get("E")?) {
            (4, "A") => "active",
            (4 | 3, "P") | (3, "F" | "H") | (2, "POC" | "F" | "H") => "public-poc",
            _ => return None,
        };
        EXPLOITATION.set(&[word])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn automatable(vector: &str) -> Vec<&'static str> {
        AUTOMATABLE.words(Vector::read(vector).unwrap().automatable())
    }

    #[test]
    fn only_a_remote_attack_without_any_condition_is_automatable_for_sure() {
        assert_eq!(automatable("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), ["yes"]);
        assert_eq!(automatable("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"), ["yes"]);
        assert_eq!(automatable("CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"), ["no"]);
        assert_eq!(automatable("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"), ["no"]);
        assert_eq!(automatable("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H"), ["no", "yes"]);
        assert_eq!(automatable("CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), ["no", "yes"]);
        assert_eq!(automatable("CVSS:4.0/AV:N/AC:H/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/AU:Y"), ["yes"]);
        assert_eq!(automatable("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/AU:N"), ["no"]);
        assert_eq!(automatable("AV:N/AC:L/Au:N/C:C/I:C/A:C"), ["no", "yes"], "version 2 asks for nobody");
        assert_eq!(automatable("AV:L/AC:L/Au:N/C:C/I:C/A:C"), ["no"]);
    }

    #[test]
    fn technical_impact_is_total_partial_or_open() {
        let of = |it: &str| TECHNICAL.words(Vector::read(it).unwrap().technical_impact());
        assert_eq!(of("CVSS:3.1/AV:N/C:H/I:H/A:N"), ["total"]);
        assert_eq!(of("CVSS:3.1/AV:N/C:N/I:L/A:H"), ["partial"]);
        assert_eq!(of("CVSS:3.1/AV:N/C:H/I:N/A:H"), ["partial", "total"]);
        assert_eq!(of("CVSS:3.1/AV:N"), ["partial", "total"]);
        assert_eq!(of("AV:N/C:C/I:C/A:C"), ["total"]);
    }

    #[test]
    fn only_a_word_of_the_publisher_says_that_there_is_a_proof_of_concept() {
        let of = |it: &str| Vector::read(it).unwrap().exploitation().map(|it| EXPLOITATION.words(it));
        assert_eq!(of("CVSS:3.1/AV:N/E:P/RL:O/RC:C"), Some(vec!["public-poc"]));
        assert_eq!(of("CVSS:4.0/AV:N/E:A"), Some(vec!["active"]));
        assert_eq!(of("CVSS:3.1/AV:N/E:U"), None);
        assert_eq!(of("CVSS:3.1/AV:N"), None);
    }

    #[test]
    fn what_is_no_vector_says_nothing() {
        for text in
            ["", "9.8", "CVSS:5.0/AV:N", "AV:N/AV:L", "CVSS:3.1/AC:L", "CVSS:3.1", &"AV:N/".repeat(200)]
        {
            assert_eq!(Vector::read(text), None, "{text}");
        }
    }
}
