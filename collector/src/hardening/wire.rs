//! The form of a file of rules: what may be written, before anything of it is believed.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;
use toml::value::Datetime;

/// One value or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(it) => vec![it],
            Self::More(all) => all,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) document: Option<String>,
    #[serde(default)]
    pub(super) applies: Applies,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Applies {
    pub(super) os: Option<String>,
    pub(super) roles: Vec<String>,
    pub(super) not_roles: Vec<String>,
    pub(super) levels: Vec<u32>,
    pub(super) tags: Vec<String>,
    pub(super) not_tags: Vec<String>,
    pub(super) from_build: Option<u32>,
    pub(super) before_build: Option<u32>,
    pub(super) products: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) why: Option<String>,
    #[serde(default)]
    pub(super) applies: Applies,
    pub(super) expect: Option<Condition>,
    pub(super) not_checked: Option<NotChecked>,
    pub(super) when: Option<Condition>,
    #[serde(default)]
    pub(super) needs_running: bool,
    #[serde(default)]
    pub(super) references: Vec<String>,
    pub(super) severity: Option<String>,
    pub(super) weight: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotChecked {
    pub(super) reason: String,
    pub(super) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Override {
    pub(super) rule: String,
    #[serde(default)]
    pub(super) applies: Applies,
    pub(super) expect: Option<Condition>,
    #[serde(default)]
    pub(super) not_applicable: bool,
    pub(super) severity: Option<String>,
    pub(super) reason: String,
    pub(super) document: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disabled {
    pub(super) rule: String,
    #[serde(default)]
    pub(super) applies: Applies,
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    pub(super) rule: String,
    pub(super) asset: Option<String>,
    pub(super) role: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) reason: String,
    pub(super) owner: String,
    pub(super) expires: Datetime,
}

pub(super) type Roles = BTreeMap<String, Vec<String>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Condition {
    pub(super) all: Option<Vec<Condition>>,
    pub(super) any: Option<Vec<Condition>>,
    pub(super) fact: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) each: Option<String>,
    pub(super) equals: Option<Value>,
    pub(super) one_of: Option<Vec<Value>>,
    pub(super) none_of: Option<Vec<Value>>,
    pub(super) at_least: Option<i64>,
    pub(super) at_most: Option<i64>,
    pub(super) present: Option<bool>,
    pub(super) empty: Option<bool>,
    pub(super) matches: Option<OneOrMore<String>>,
    pub(super) contains: Option<OneOrMore<String>>,
    pub(super) contains_none: Option<OneOrMore<String>>,
    pub(super) equals_baseline: Option<bool>,
    pub(super) absent: Option<OneOrMore<Absent>>,
    pub(super) missing: Option<String>,
}

/// A word, or a value with a build.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Absent {
    Word(String),
    By(AbsentBy),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AbsentBy {
    pub(super) before: Option<u32>,
    pub(super) value: Option<Value>,
    pub(super) result: Option<String>,
}
