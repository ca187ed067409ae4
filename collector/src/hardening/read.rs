//! From the text of a file of rules to what it says. All or nothing: a rule that was left out would be a hole
//! that nobody sees. Everything that is wrong is named, not only the first fault.
//!
//! Source of truth: TOML that begins with `kind = "hardening"`, then `[profile]`, `[roles]` and lists of
//! `[[rule]]`, `[[override]]`, `[[disable]]` and `[[exception]]`.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use time::{Date, Month};
use toml::{Table, Value};

use super::condition::Condition;
use super::conditions;
use super::facts::catalog;
use super::file::{Change, Disabled, Exception, InvalidRules, Override, Profile, RuleFile};
use super::result::Missing;
use super::rule::{Applies, Asks, Family, Reference, RoleGroups, Rule, Severity};
use super::wire;
use crate::knowledge::Pattern;
use crate::knowledge::text::shown;

/// Largest file, in bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Most rules of a file, and most of each other list.
const MAX_ITEMS: usize = 5_000;
/// Longest text, in bytes.
pub(super) const MAX_TEXT: usize = 1_000;
/// Most entries of a list inside a rule.
pub(super) const MAX_LIST: usize = 200;
/// Most faults that are named.
const MAX_FAULTS: usize = 100;

/// Whether a text says that it is a file of rules: its first line that is no comment is `kind = "hardening"`.
pub fn looks_like(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|it| !it.is_empty() && !it.starts_with('#'));
    let Some((key, value)) = first.and_then(|it| it.split_once('=')) else { return false };
    let value = value.split('#').next().unwrap_or_default().trim();
    key.trim() == "kind" && (value == "\"hardening\"" || value == "'hardening'")
}

/// Reads a file of rules.
pub fn read(text: &str) -> Result<RuleFile, InvalidRules> {
    let one = |fault: String| InvalidRules { faults: vec![fault] };
    if text.len() > MAX_BYTES {
        return Err(one(format!("it is larger than {} MiB", MAX_BYTES / 1024 / 1024)));
    }
    if !looks_like(text) {
        return Err(one("it does not begin with `kind = \"hardening\"`".to_owned()));
    }
    let table: Table = text.parse().map_err(|it: toml::de::Error| {
        let line = it.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|it| format!("line {it}: ")).unwrap_or_default();
        one(format!("{place}{}", shown(it.message(), 200)))
    })?;
    let mut reader = Reader::default();
    let file = reader.file(table);
    if reader.faults.is_empty() {
        return Ok(file);
    }
    let more = reader.faults.len().saturating_sub(MAX_FAULTS);
    reader.faults.truncate(MAX_FAULTS);
    if more > 0 {
        reader.faults.push(format!("{more} more"));
    }
    Err(InvalidRules { faults: reader.faults })
}

/// Collects what is wrong. What is wrong is replaced by nothing, and the file is refused in the end.
#[derive(Debug, Default)]
struct Reader {
    faults: Vec<String>,
}

impl Reader {
    fn fault(&mut self, place: &str, what: impl AsRef<str>) {
        self.faults.push(format!("{place}: {}", shown(what.as_ref(), 300)));
    }

    fn file(&mut self, mut table: Table) -> RuleFile {
        table.remove("kind");
        let mut file = RuleFile::default();
        if let Some(value) = table.remove("profile") {
            file.profile = self.entry("profile", value).and_then(|it| self.profile(it));
        }
        if let Some(value) = table.remove("roles") {
            file.roles = self.entry("roles", value).map(|it| self.roles(it)).unwrap_or_default();
        }
        let is_vendor = file.profile.as_ref().is_some_and(|it| !it.applies.products.is_empty());
        let has_document = file.profile.as_ref().is_some_and(|it| it.document.is_some());
        for (place, it) in self.entries(&mut table, "rule") {
            file.rules.extend(self.rule(&place, it));
        }
        for (place, it) in self.entries::<wire::Override>(&mut table, "override") {
            if is_vendor && !has_document && it.document.is_none() {
                self.fault(&place, "a vendor's profile names the document that says so: `document`");
            }
            file.overrides.extend(self.overriding(&place, it));
        }
        for (place, it) in self.entries(&mut table, "disable") {
            file.disabled.extend(self.disabled(&place, it));
        }
        for (place, it) in self.entries(&mut table, "exception") {
            file.exceptions.extend(self.exception(&place, it));
        }
        for key in table.keys() {
            self.fault(
                "the file",
                format!(
                    "`{key}` is not known; known are profile, roles, rule, override, disable and exception"
                ),
            );
        }
        let mut seen = BTreeSet::new();
        for rule in &file.rules {
            if !seen.insert(rule.id.to_lowercase()) {
                self.fault(&format!("rule {}", rule.id), "the identifier is there twice");
            }
        }
        if file.items() == 0 && file.roles.is_empty() && self.faults.is_empty() {
            self.fault("the file", "it holds no rule, override, disable or exception");
        }
        file
    }

    fn entry<T: DeserializeOwned>(&mut self, place: &str, value: Value) -> Option<T> {
        value.try_into().map_err(|it: toml::de::Error| self.fault(place, it.message())).ok()
    }

    fn entries<T: DeserializeOwned>(&mut self, table: &mut Table, key: &str) -> Vec<(String, T)> {
        let listed = match table.remove(key) {
            None => return Vec::new(),
            Some(Value::Array(listed)) => listed,
            Some(other) => {
                self.fault("the file", format!("`{key}` is a {}, not a list of tables", other.type_str()));
                return Vec::new();
            }
        };
        if listed.len() > MAX_ITEMS {
            self.fault("the file", format!("it has more than {MAX_ITEMS} of `{key}`"));
            return Vec::new();
        }
        let mut entries = Vec::new();
        for (number, value) in listed.into_iter().enumerate() {
            let name = value.get("id").or_else(|| value.get("rule")).and_then(Value::as_str);
            let name = name.map(|it| format!(" ({})", shown(it, 60))).unwrap_or_default();
            let place = format!("{key} {}{name}", number + 1);
            if let Some(entry) = self.entry(&place, value) {
                entries.push((place, entry));
            }
        }
        entries
    }

    fn profile(&mut self, it: wire::Profile) -> Option<Profile> {
        let wire::Profile { name, document, applies } = it;
        let place = "profile";
        let name = self.name(place, "name", name)?;
        let document = document.and_then(|it| self.text(place, "document", &it));
        Some(Profile { name, document, applies: self.applies(place, applies)? })
    }

    fn roles(&mut self, roles: wire::Roles) -> RoleGroups {
        let mut groups = RoleGroups::new();
        for (group, roles) in roles {
            if roles.is_empty() || roles.len() > MAX_LIST {
                self.fault("roles", format!("`{group}` has none or more than {MAX_LIST} roles"));
            }
            groups.insert(group, roles);
        }
        groups
    }

    fn rule(&mut self, place: &str, it: wire::Rule) -> Option<Rule> {
        let wire::Rule {
            id,
            title,
            why,
            applies,
            expect,
            not_checked,
            when,
            needs_running,
            references,
            severity,
            weight,
        } = it;
        let id = self.name(place, "id", id)?;
        let asks = match (expect, not_checked) {
            (Some(expect), None) => Asks::Facts(self.condition(place, expect)?),
            (None, Some(wire::NotChecked { reason, text })) => {
                let why = match reason.as_str() {
                    "no-baseline" => Missing::NoBaseline,
                    "no-lifecycle" => Missing::NoLifecycle,
                    "not-collected" => Missing::NotCollected,
                    "not-reported" => Missing::NotReported,
                    "no-site-rule" => Missing::NoSiteRule,
                    other => {
                        self.fault(
                            place,
                            format!(
                                "`not_checked.reason` is `{other}`, not one of no-baseline, no-lifecycle, \
                                 not-collected, not-reported and no-site-rule"
                            ),
                        );
                        return None;
                    }
                };
                Asks::Nothing(why, self.text(place, "not_checked.text", &text)?)
            }
            (Some(_), Some(_)) | (None, None) => {
                self.fault(place, "it has either `expect` or `not_checked`");
                return None;
            }
        };
        if references.len() > MAX_LIST {
            self.fault(place, format!("it has more than {MAX_LIST} references"));
        }
        if weight.is_some_and(|it| it > 100) {
            self.fault(place, "`weight` is over 100");
        }
        let references: Vec<String> =
            references.into_iter().filter_map(|it| self.text(place, "references", &it)).collect();
        Some(Rule {
            id,
            title: self.text(place, "title", &title)?,
            why: why.and_then(|it| self.text(place, "why", &it)),
            applies: self.applies(place, applies)?,
            asks,
            when: match when {
                Some(when) => Some(self.condition(place, when)?),
                None => None,
            },
            needs_running,
            references: references.iter().map(|it| Reference::new(it)).collect(),
            severity: self.severity(place, severity.as_deref()).unwrap_or_default(),
            weight,
        })
    }

    fn overriding(&mut self, place: &str, it: wire::Override) -> Option<Override> {
        let wire::Override { rule, applies, expect, not_applicable, severity, reason, document } = it;
        let severity = self.severity(place, severity.as_deref());
        let change = match (expect, not_applicable) {
            (Some(_), true) => {
                self.fault(place, "it has either `expect` or `not_applicable`");
                return None;
            }
            (Some(expect), false) => Change::Expect(self.condition(place, expect)?),
            (None, true) => Change::NotApplicable,
            (None, false) if severity.is_some() => Change::Nothing,
            (None, false) => {
                self.fault(place, "it changes nothing: give `expect`, `not_applicable = true` or `severity`");
                return None;
            }
        };
        Some(Override {
            rule: self.name(place, "rule", rule)?,
            applies: self.applies(place, applies)?,
            change,
            severity,
            reason: self.text(place, "reason", &reason)?,
            document: document.and_then(|it| self.text(place, "document", &it)),
        })
    }

    fn disabled(&mut self, place: &str, it: wire::Disabled) -> Option<Disabled> {
        let wire::Disabled { rule, applies, reason } = it;
        Some(Disabled {
            rule: self.name(place, "rule", rule)?,
            applies: self.applies(place, applies)?,
            reason: self.text(place, "reason", &reason)?,
        })
    }

    fn exception(&mut self, place: &str, it: wire::Exception) -> Option<Exception> {
        let wire::Exception { rule, asset, role, tag, reason, owner, expires } = it;
        if asset.is_none() && role.is_none() && tag.is_none() {
            self.fault(place, "it is for nobody: give `asset`, `role` or `tag`");
            return None;
        }
        let day = expires.date.filter(|_| expires.time.is_none() && expires.offset.is_none());
        let day = day.and_then(|it| {
            let month = Month::try_from(it.month).ok()?;
            Date::from_calendar_date(i32::from(it.year), month, it.day).ok()
        });
        let Some(day) = day else {
            self.fault(place, "`expires` is no day, such as 2027-03-31 without quotes");
            return None;
        };
        let asset = match asset {
            Some(asset) => Some(self.pattern(place, "asset", &asset)?),
            None => None,
        };
        if asset.as_ref().is_some_and(Pattern::is_anything) {
            self.fault(place, "`asset` would be every asset; disable the rule, or name a role");
            return None;
        }
        let end = day.next_day().unwrap_or(day).midnight().assume_utc().unix_timestamp();
        Some(Exception {
            rule: self.name(place, "rule", rule)?,
            asset,
            role: role.and_then(|it| self.text(place, "role", &it)),
            tag: tag.and_then(|it| self.text(place, "tag", &it)),
            reason: self.text(place, "reason", &reason)?,
            owner: self.text(place, "owner", &owner)?,
            expires_ms: end.saturating_mul(1_000),
            last_day: day.to_string(),
        })
    }

    fn applies(&mut self, place: &str, it: wire::Applies) -> Option<Applies> {
        let wire::Applies {
            os,
            roles,
            not_roles,
            levels,
            tags,
            not_tags,
            from_build,
            before_build,
            products,
        } = it;
        let os = match os.as_deref() {
            None => None,
            Some("windows") => Some(Family::Windows),
            Some("linux") => Some(Family::Linux),
            Some(other) => {
                self.fault(place, format!("`os` is `{other}`, neither windows nor linux"));
                return None;
            }
        };
        for list in [&roles, &not_roles, &tags, &not_tags, &products] {
            if list.len() > MAX_LIST || list.iter().any(|it| it.is_empty() || it.len() > MAX_TEXT) {
                self.fault(place, "`applies` has a list that is too long, or an empty text in one");
            }
        }
        let products =
            products.iter().map(|it| self.pattern(place, "products", it)).collect::<Option<Vec<_>>>()?;
        if products.iter().any(Pattern::is_anything) {
            self.fault(place, "`products` would be everything that is installed");
        }
        Some(Applies { os, roles, not_roles, levels, tags, not_tags, from_build, before_build, products })
    }

    fn condition(&mut self, place: &str, it: wire::Condition) -> Option<Condition> {
        match conditions::condition(it, catalog()) {
            Ok(condition) => Some(condition),
            Err(faults) => {
                for fault in faults {
                    self.fault(place, fault);
                }
                None
            }
        }
    }

    fn severity(&mut self, place: &str, word: Option<&str>) -> Option<Severity> {
        let severity = match word? {
            "low" => Severity::Low,
            "medium" => Severity::Medium,
            "high" => Severity::High,
            "critical" => Severity::Critical,
            other => {
                self.fault(
                    place,
                    format!("`severity` is `{other}`, not one of low, medium, high and critical"),
                );
                return None;
            }
        };
        Some(severity)
    }

    fn pattern(&mut self, place: &str, key: &str, text: &str) -> Option<Pattern> {
        Pattern::new(text).map_err(|it| self.fault(place, format!("`{key}`: {it}"))).ok()
    }

    /// An identifier: letters, digits, dots, dashes and underscores.
    fn name(&mut self, place: &str, key: &str, name: String) -> Option<String> {
        const MAX: usize = 64;
        let is_fine = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_');
        let starts = name.starts_with(|it: char| it.is_ascii_alphanumeric());
        if !starts || name.len() > MAX || !name.chars().all(is_fine) {
            let what = "1 to 64 letters, digits, dots, dashes and underscores";
            self.fault(place, format!("`{key}` is not {what}"));
            return None;
        }
        Some(name)
    }

    fn text(&mut self, place: &str, key: &str, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
            self.fault(place, format!("`{key}` is not one line of 1 to {MAX_TEXT} bytes"));
            return None;
        }
        Some(text.to_owned())
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
