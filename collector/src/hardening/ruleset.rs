//! All rules that hold in a zone: what is shipped, with the site's files laid over it in the order of import.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::facts::Facts;
use super::file::{Change, Exception, RuleFile};
use super::judge::{Asset, Reach, Seen, judge};
use super::result::{Elsewhere, Missing, Outcome};
use super::rule::{Applies, Asks, RoleGroups, Rule, Severity, is_named};
use super::shipped::shipped;
use crate::knowledge::{Held, Pattern};

/// See the module.
#[derive(Debug, Default)]
pub struct Ruleset {
    /// In the order in which they are listed.
    pub rules: Vec<Entry>,
    /// Names of roles that mean the same.
    pub roles: RoleGroups,
    /// What somebody answers for, with the file that says so.
    pub exceptions: Vec<(Exception, Arc<str>)>,
    /// What a person should look at; expired exceptions are not among them.
    pub warnings: Vec<String>,
    /// Every pattern of a product that anything here asks for.
    pub products: Vec<Pattern>,
}

/// A rule with everything that changes it.
#[derive(Debug)]
pub struct Entry {
    /// The rule.
    pub rule: Rule,
    /// The profile or file that brings it.
    pub file: Arc<str>,
    /// For whom the whole file is.
    scope: Applies,
    /// In the order in which they are laid over it; of those for an asset the last one wins.
    pub changes: Vec<Laid>,
}

/// Something that changes a rule for some assets.
#[derive(Debug)]
pub struct Laid {
    /// The profile or file that says so.
    pub file: Arc<str>,
    /// For whom the whole file is.
    scope: Applies,
    /// For whom.
    pub applies: Applies,
    /// What is asked instead.
    pub change: LaidChange,
    /// Another severity.
    pub severity: Option<Severity>,
    /// Why.
    pub reason: String,
    /// A vendor's document that says so.
    pub document: Option<String>,
}

/// See [`Laid`].
#[derive(Debug)]
pub enum LaidChange {
    /// Another expectation.
    Asks(Asks),
    /// Nothing is expected.
    NotApplicable,
    /// It is not checked.
    Disabled,
    /// Only the severity is another one.
    Nothing,
}

/// What a rule comes to for one asset.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What is asked.
    pub asks: &'a Asks,
    /// What changed it.
    pub laid: Option<&'a Laid>,
    /// Its severity here.
    pub severity: Severity,
    /// The profile or file that sets the expectation.
    pub file: &'a str,
}

impl Entry {
    /// For whom it is, in words.
    pub fn applies(&self) -> String {
        whom(&self.scope, &self.rule.applies)
    }
}

impl Laid {
    /// For whom it is, in words.
    pub fn whom(&self) -> String {
        whom(&self.scope, &self.applies)
    }
}

fn whom(scope: &Applies, own: &Applies) -> String {
    let all = Applies::default();
    match (*scope == all, *own == all) {
        (true, _) => own.to_string(),
        (false, true) => scope.to_string(),
        (false, false) => format!("{scope}, {own}"),
    }
}

impl Chosen<'_> {
    /// Its weight in a score.
    pub fn weight(&self) -> u32 {
        let own = self.severity != self.rule.severity;
        if own { self.severity.weight() } else { self.rule.weight() }
    }
}

impl Ruleset {
    /// What is shipped, and these files of the site over it.
    pub fn new(site: &[Held<RuleFile>]) -> Self {
        let mut ruleset = Self::default();
        for (name, file) in shipped() {
            ruleset.lay(&Arc::from(*name), file);
        }
        for held in site {
            ruleset.lay(&Arc::from(held.source.file.as_str()), &held.content);
        }
        ruleset.finish();
        ruleset
    }

    fn lay(&mut self, name: &Arc<str>, file: &RuleFile) {
        let RuleFile { profile, roles, rules, overrides, disabled, exceptions } = file;
        let scope = profile.as_ref().map(|it| it.applies.clone()).unwrap_or_default();
        let label: Arc<str> = profile.as_ref().map_or_else(|| Arc::clone(name), |it| it.name.as_str().into());
        let document = profile.as_ref().and_then(|it| it.document.clone());
        for (group, names) in roles {
            let all = self.roles.entry(group.clone()).or_default();
            all.extend(names.iter().cloned());
            all.sort_unstable();
            all.dedup();
        }
        for rule in rules {
            let entry = Entry {
                rule: rule.clone(),
                file: Arc::clone(&label),
                scope: scope.clone(),
                changes: Vec::new(),
            };
            match self.rules.iter_mut().find(|it| it.rule.id.eq_ignore_ascii_case(&rule.id)) {
                Some(known) => *known = entry,
                None => self.rules.push(entry),
            }
        }
        for it in overrides {
            let change = match &it.change {
                Change::Expect(condition) => Some(Asks::Facts(condition.clone())),
                Change::NotApplicable | Change::Nothing => None,
            };
            let is_nothing = it.change == Change::Nothing;
            let found = self.change(&it.rule, |_| Laid {
                file: Arc::clone(&label),
                scope: scope.clone(),
                applies: it.applies.clone(),
                change: match &change {
                    Some(asks) => LaidChange::Asks(asks.clone()),
                    None if is_nothing => LaidChange::Nothing,
                    None => LaidChange::NotApplicable,
                },
                severity: it.severity,
                reason: it.reason.clone(),
                document: it.document.clone().or_else(|| document.clone()),
            });
            self.warn_unless(found, name, "an override", &it.rule);
        }
        for it in disabled {
            let found = self.change(&it.rule, |_| Laid {
                file: Arc::clone(&label),
                scope: scope.clone(),
                applies: it.applies.clone(),
                change: LaidChange::Disabled,
                severity: None,
                reason: it.reason.clone(),
                document: None,
            });
            self.warn_unless(found, name, "a disabled rule", &it.rule);
        }
        for it in exceptions {
            let found = self.rules.iter().any(|entry| is_named(&it.rule, &entry.rule.id));
            self.warn_unless(found, name, "an exception", &it.rule);
            self.exceptions.push((it.clone(), Arc::clone(name)));
        }
    }

    fn change(&mut self, named: &str, laid: impl Fn(&Rule) -> Laid) -> bool {
        let mut found = false;
        for entry in self.rules.iter_mut().filter(|it| is_named(named, &it.rule.id)) {
            let laid = laid(&entry.rule);
            entry.changes.push(laid);
            found = true;
        }
        found
    }

    fn warn_unless(&mut self, found: bool, file: &str, what: &str, rule: &str) {
        if !found {
            self.warnings.push(format!("{file}: {what} names `{rule}`, and there is no such rule"));
        }
    }

    fn finish(&mut self) {
        self.rules.sort_by(|a, b| {
            let key = |it: &Entry| (rank(&it.rule.id), it.rule.id.to_lowercase());
            key(a).cmp(&key(b))
        });
        let mut seen = BTreeSet::new();
        let of = |it: &Applies| it.products.clone();
        let all = self.rules.iter().flat_map(|entry| {
            let changes = entry.changes.iter().flat_map(|it| [of(&it.scope), of(&it.applies)]);
            [of(&entry.scope), of(&entry.rule.applies)].into_iter().chain(changes).flatten()
        });
        let all: Vec<Pattern> = all.filter(|it| seen.insert(it.as_str().to_owned())).collect();
        self.products = all;
    }

    /// The exceptions that hold for an asset and a rule, valid ones first, then by the later end.
    pub fn exception(
        &self,
        rule: &str,
        asset: &Asset,
        id: &str,
        name: &str,
        now_ms: i64,
    ) -> Option<(&Exception, &str)> {
        let has_role = |it: &str| {
            let own = asset.role.as_deref().unwrap_or_default();
            it.eq_ignore_ascii_case(own)
                || self.roles.get(it).is_some_and(|all| all.iter().any(|it| it.eq_ignore_ascii_case(own)))
        };
        let is_for = |it: &Exception| {
            is_named(&it.rule, rule)
                && it.asset.as_ref().is_none_or(|it| it.matches(id) || it.matches(name))
                && it.role.as_deref().is_none_or(has_role)
                && it.tag.as_ref().is_none_or(|tag| asset.tags.iter().any(|it| it.eq_ignore_ascii_case(tag)))
        };
        let found = self.exceptions.iter().filter(|it| is_for(&it.0));
        let (exception, file) = found.max_by_key(|it| (it.0.is_valid(now_ms), it.0.expires_ms))?;
        Some((exception, file))
    }

    /// What the rule with that number comes to for an asset, and whether it is about it.
    pub fn choose<'a>(&'a self, entry: &'a Entry, asset: &Asset) -> (Chosen<'a>, Reach) {
        let mut chosen = Chosen {
            rule: &entry.rule,
            asks: &entry.rule.asks,
            laid: None,
            severity: entry.rule.severity,
            file: &entry.file,
        };
        let reach =
            both(entry.scope.reaches(asset, &self.roles), entry.rule.applies.reaches(asset, &self.roles));
        for laid in &entry.changes {
            let for_it =
                both(laid.scope.reaches(asset, &self.roles), laid.applies.reaches(asset, &self.roles));
            if for_it != Reach::Yes {
                continue;
            }
            chosen.severity = laid.severity.unwrap_or(chosen.severity);
            match &laid.change {
                LaidChange::Nothing => continue,
                LaidChange::Asks(asks) => chosen.asks = asks,
                LaidChange::NotApplicable | LaidChange::Disabled => {}
            }
            chosen.laid = Some(laid);
            chosen.file = &laid.file;
        }
        (chosen, reach)
    }

    /// Judges one rule.
    pub fn judge<'a>(&'a self, entry: &'a Entry, asset: &Asset, facts: &'a Facts) -> (Chosen<'a>, Seen<'a>) {
        let (chosen, reach) = self.choose(entry, asset);
        let bare = |outcome| Seen { outcome, parts: Vec::new() };
        let seen = match (reach, chosen.laid.map(|it| &it.change)) {
            (Reach::No(elsewhere), _) => bare(Outcome::NotApplicable(elsewhere)),
            (_, Some(LaidChange::Disabled)) => bare(Outcome::NotChecked(Missing::Disabled)),
            (_, Some(LaidChange::NotApplicable)) => bare(Outcome::NotApplicable(Elsewhere::Profile)),
            (Reach::Unknown(missing), _) => {
                bare(Outcome::NotChecked(asset.gap.filter(|_| asset.family.is_none()).unwrap_or(missing)))
            }
            (Reach::Yes, _) => judge(chosen.rule, chosen.asks, asset, facts),
        };
        (chosen, seen)
    }
}

/// Shipped checks first, by their letters as on the page; the site's own behind them.
fn rank(id: &str) -> u8 {
    let mut letters = id.chars();
    let (first, second) = (letters.next(), letters.next());
    match first {
        Some('W') if second.is_some_and(|it| it.is_ascii_digit()) => 0,
        Some('L') if second.is_some_and(|it| it.is_ascii_digit()) => 1,
        Some('A') if second.is_some_and(|it| it.is_ascii_digit()) => 2,
        Some(_) | None => 3,
    }
}

/// Of two conditions both have to hold.
fn both(scope: Reach, own: Reach) -> Reach {
    match (scope, own) {
        (Reach::No(Elsewhere::OtherSystem), _) | (_, Reach::No(Elsewhere::OtherSystem)) => {
            Reach::No(Elsewhere::OtherSystem)
        }
        (Reach::No(it), _) | (_, Reach::No(it)) => Reach::No(it),
        (Reach::Unknown(it), _) | (_, Reach::Unknown(it)) => Reach::Unknown(it),
        (Reach::Yes, Reach::Yes) => Reach::Yes,
    }
}

#[cfg(test)]
#[path = "ruleset_tests.rs"]
mod tests;
