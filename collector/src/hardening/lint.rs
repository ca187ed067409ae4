//! Looking a file of rules over before it is brought in: what is refused, and what deserves a look.

use super::conditions::is_fact;
use super::facts::catalog;
use super::file::{Change, RuleFile};
use super::read::read;
use super::rule::{Asks, is_named};
use super::shipped::shipped;

/// What is to be said of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lint {
    /// Why the file is refused; empty when it is not.
    pub faults: Vec<String>,
    /// What deserves a look.
    pub warnings: Vec<String>,
    /// Rules in it.
    pub rules: usize,
    /// Overrides and disabled rules in it.
    pub changes: usize,
    /// Exceptions in it.
    pub exceptions: usize,
}

/// Looks over the text of a file.
pub fn lint(text: &str, now_ms: i64) -> Lint {
    match read(text) {
        Ok(file) => Lint {
            faults: Vec::new(),
            warnings: warnings(&file, now_ms),
            rules: file.rules.len(),
            changes: file.overrides.len() + file.disabled.len(),
            exceptions: file.exceptions.len(),
        },
        Err(invalid) => Lint { faults: invalid.faults, ..Lint::default() },
    }
}

fn warnings(file: &RuleFile, now_ms: i64) -> Vec<String> {
    let mut warnings = Vec::new();
    for (id, fact) in facts(file) {
        debug_assert!(is_fact(fact), "read refuses other names");
        if catalog().types(fact).is_none() && !fact.starts_with("site.") {
            warnings.push(format!(
                "{id}: no agent of this release says `{fact}`; of an agent that does not, the answer is \
                 NOT_CHECKED"
            ));
        }
    }
    for exception in file.exceptions.iter().filter(|it| !it.is_valid(now_ms)) {
        warnings.push(format!(
            "exception {} for {}: it ended on {}",
            exception.rule,
            exception.scope(),
            exception.last_day
        ));
    }
    let named = file.overrides.iter().map(|it| ("override", &it.rule));
    let named = named.chain(file.disabled.iter().map(|it| ("disable", &it.rule)));
    let named = named.chain(file.exceptions.iter().map(|it| ("exception", &it.rule)));
    for (what, rule) in named {
        let own = file.rules.iter().any(|it| is_named(rule, &it.id));
        if !own && !shipped().iter().flat_map(|it| &it.1.rules).any(|it| is_named(rule, &it.id)) {
            warnings.push(format!(
                "{what} {rule}: neither this file nor what is shipped has such a rule; another file of the \
                 site may"
            ));
        }
    }
    warnings.sort();
    warnings.dedup();
    warnings
}

/// Every fact that a file asks for, with what asks.
fn facts(file: &RuleFile) -> Vec<(&str, &str)> {
    let of_rules = file.rules.iter().flat_map(|rule| {
        let asks = match &rule.asks {
            Asks::Facts(condition) => condition.leaves(),
            Asks::Nothing(_, _) => Vec::new(),
        };
        let when = rule.when.iter().flat_map(super::condition::Condition::leaves);
        asks.into_iter().chain(when).map(|it| (rule.id.as_str(), it.fact.as_str()))
    });
    let of_overrides = file.overrides.iter().flat_map(|it| match &it.change {
        Change::Expect(condition) => {
            condition.leaves().into_iter().map(|leaf| (it.rule.as_str(), leaf.fact.as_str())).collect()
        }
        Change::NotApplicable | Change::Nothing => Vec::new(),
    });
    of_rules.chain(of_overrides).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deserves_a_look_is_no_fault() {
        let text = "kind = \"hardening\"\n\
            [[rule]]\nid = \"S1\"\ntitle = \"t\"\nexpect = { fact = \"future.fact\", equals = true }\n\
            [[rule]]\nid = \"S2\"\ntitle = \"t\"\nexpect = { fact = \"site.marker\", equals = true }\n\
            [[disable]]\nrule = \"W99\"\nreason = \"r\"\n\
            [[exception]]\nrule = \"W06\"\nrole = \"hmi\"\nreason = \"r\"\nowner = \"o\"\nexpires = 2025-12-31\n";
        let linted = lint(text, 1_790_000_000_000);
        assert!(linted.faults.is_empty(), "{:?}", linted.faults);
        assert_eq!((linted.rules, linted.changes, linted.exceptions), (2, 1, 1));
        let [unknown, nobody, ended] = linted.warnings.as_slice() else { panic!("{:?}", linted.warnings) };
        assert!(unknown.starts_with("S1: no agent of this release says `future.fact`"), "{unknown}");
        assert!(nobody.starts_with("disable W99: "), "{nobody}");
        assert!(ended.contains("role hmi: it ended on 2025-12-31"), "{ended}");
    }
}
