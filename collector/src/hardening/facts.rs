//! The facts of one asset, by name: what its agent said of hardening, and what follows from other sections.
//!
//! Source of truth: the rows of the section `hardening` as they came. Beside them stand a few facts that only
//! other sections know, with the section as their source: whether what is installed is in effect (`live.*`) and
//! what the agent says of itself (`agent.*`). Of a section that is not whole nothing follows.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use holdpoint_common::row::{
    HardeningRow, ListenerRow, LiveRow, SelfRow, ServiceRow, TextList, hardening_row,
};
use prost::Message;

use super::result::Missing;
use super::value::Type;

const TYPES: &str = include_str!("rules/facts.toml");

/// The facts that agents of this release say, with their types.
#[derive(Debug)]
pub struct Catalog(HashMap<String, Vec<Type>>);

impl Catalog {
    /// The types that a fact can have; `None` for one that no agent of this release says.
    pub fn types(&self, fact: &str) -> Option<Vec<Type>> {
        self.0.get(fact).cloned()
    }

    /// Every fact.
    pub fn facts(&self) -> impl Iterator<Item = &str> {
        let mut facts: Vec<&str> = self.0.keys().map(String::as_str).collect();
        facts.sort_unstable();
        facts.into_iter()
    }
}

/// The facts that agents of this release say.
pub fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        let table: toml::Table = TYPES.parse().unwrap_or_default();
        let types = |it: &str| {
            let word = |it: &str| match it {
                "flag" => Some(Type::Flag),
                "number" => Some(Type::Number),
                "text" => Some(Type::Text),
                "list" => Some(Type::List),
                _ => None,
            };
            it.split(" or ").filter_map(word).collect::<Vec<_>>()
        };
        let entries = table.into_iter().filter_map(|(fact, it)| Some((fact, types(it.as_str()?))));
        Catalog(entries.collect())
    });
    &CATALOG
}

/// The facts of one asset.
#[derive(Debug, Default)]
pub struct Facts {
    by_id: HashMap<String, Vec<HardeningRow>>,
    /// Beginnings of names of which nothing is said, and why.
    gaps: Vec<(&'static str, Missing)>,
    /// The facts of the newest baseline.
    approved: Option<Arc<Facts>>,
}

impl Facts {
    /// Facts as rows say them.
    pub fn of(rows: impl IntoIterator<Item = HardeningRow>) -> Self {
        let mut facts = Self::default();
        rows.into_iter().for_each(|it| facts.add(it));
        facts
    }

    /// Adds encoded rows; what is no row of this kind is left out.
    pub fn add_rows(&mut self, rows: &[Vec<u8>]) {
        rows.iter().filter_map(|it| HardeningRow::decode(it.as_slice()).ok()).for_each(|it| self.add(it));
    }

    /// Adds a fact.
    pub fn add(&mut self, row: HardeningRow) {
        self.by_id.entry(row.id.clone()).or_default().push(row);
    }

    /// The rows of a fact, in the order of the section.
    pub fn rows(&self, fact: &str) -> &[HardeningRow] {
        self.by_id.get(fact).map_or(&[], Vec::as_slice)
    }

    /// Why nothing is said of a fact.
    pub fn gap(&self, fact: &str) -> Missing {
        let gap = self.gaps.iter().find(|it| fact.starts_with(it.0));
        gap.map_or(Missing::FactMissing, |it| it.1)
    }

    /// Says why facts whose names begin so are not there.
    pub fn add_gap(&mut self, beginning: &'static str, why: Missing) {
        self.gaps.push((beginning, why));
    }

    /// What was approved; `None` without a baseline.
    pub fn approved(&self) -> Option<&Facts> {
        self.approved.as_deref()
    }

    /// Lays these facts beside what was approved.
    #[must_use]
    pub fn against(self, approved: Option<Arc<Facts>>) -> Self {
        Self { approved, ..self }
    }

    /// Adds what a whole `live` section says.
    pub fn add_live(&mut self, rows: &[Vec<u8>]) {
        let rows: Vec<LiveRow> = rows.iter().filter_map(|it| LiveRow::decode(it.as_slice()).ok()).collect();
        let named = |it: &LiveRow| {
            let what = it.file.as_deref().or(it.package.as_deref()).unwrap_or("?");
            let who = it.service.as_deref().or(it.program.as_deref()).unwrap_or("?");
            format!("{what}: {who}")
        };
        let of = |kind: &str, name: &dyn Fn(&LiveRow) -> String| {
            Some(listed(rows.iter().filter(|it| it.kind == kind).map(name)))
        };
        self.add(derived("live.old_code", "section live", of("mapped-file", &named)));
        self.add(derived("live.stale_services", "section live", of("service", &named)));
        let waits = |it: &LiveRow| it.package.clone().unwrap_or_else(|| it.source.clone());
        self.add(derived("live.restart_marks", "section live", of("restart-mark", &waits)));
        for row in rows.iter().filter(|it| it.kind == "kernel") {
            let mut fact =
                derived("live.kernel", &row.source, Some(hardening_row::Value::Text(row.state.clone())));
            let part = |it: &Option<String>| it.clone().unwrap_or_else(|| "?".to_owned());
            fact.reason = Some(format!("runs {}, installed {}", part(&row.running), part(&row.installed)));
            self.add(fact);
        }
    }

    /// Adds what the agent says of itself.
    pub fn add_self(&mut self, rows: &[Vec<u8>]) {
        for row in rows.iter().filter_map(|it| SelfRow::decode(it.as_slice()).ok()) {
            let items = row.cage.clone();
            let cage = Some(hardening_row::Value::List(TextList { items }));
            self.add(derived("agent.cage", "section self", cage));
            let key = row.key_protection.clone().map(hardening_row::Value::Text);
            self.add(derived("agent.key_protection", "section self", key));
            let config = row.config_digest.clone().map(hardening_row::Value::Text);
            self.add(derived("agent.config_digest", "section self", config));
        }
    }

    /// Adds what a whole `listeners` section says: what listens, and on how many sockets the agent itself does.
    pub fn add_listeners(&mut self, rows: &[Vec<u8>]) {
        let rows: Vec<ListenerRow> =
            rows.iter().filter_map(|it| ListenerRow::decode(it.as_slice()).ok()).collect();
        let is_agent = |it: &&ListenerRow| {
            let name =
                it.program.as_deref().unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default();
            name.eq_ignore_ascii_case("holdpoint-agent") || name.eq_ignore_ascii_case("holdpoint-agent.exe")
        };
        let own = i64::try_from(rows.iter().filter(is_agent).count()).unwrap_or(i64::MAX);
        self.add(derived("agent.listeners", "section listeners", Some(hardening_row::Value::Number(own))));
        let named = |it: &ListenerRow| {
            let who = it.service.as_deref().or(it.program.as_deref()).unwrap_or("?");
            format!("{} {} {}: {who}", it.protocol, it.address, it.port)
        };
        self.add(derived("listeners.all", "section listeners", Some(listed(rows.iter().map(named)))));
    }

    /// Adds which services a whole `services` section has, and how each is started; whether it runs just now is not
    /// part of it.
    pub fn add_services(&mut self, rows: &[Vec<u8>]) {
        let named = |it: ServiceRow| {
            let ServiceRow { name, start_mode, image_path, account, .. } = it;
            let parts = [start_mode, account, image_path].into_iter().flatten();
            format!("{name}: {}", parts.collect::<Vec<_>>().join(", "))
        };
        let rows = rows.iter().filter_map(|it| ServiceRow::decode(it.as_slice()).ok());
        self.add(derived("services.all", "section services", Some(listed(rows.map(named)))));
    }
}

fn listed(items: impl Iterator<Item = String>) -> hardening_row::Value {
    let mut items: Vec<String> = items.collect();
    items.sort_unstable();
    items.dedup();
    hardening_row::Value::List(TextList { items })
}

fn derived(id: &str, source: &str, value: Option<hardening_row::Value>) -> HardeningRow {
    let state = if value.is_some() { "observed" } else { "absent" };
    HardeningRow {
        id: id.to_owned(),
        source: source.to_owned(),
        state: state.to_owned(),
        value,
        ..HardeningRow::default()
    }
}

/// Whether a list or text in a row is all that there is. Agents cut what is too long and say so in the reason.
pub(super) fn is_whole(row: &HardeningRow) -> bool {
    const MARKS: [&str; 3] = ["there may be more", "the list is not whole", "cut"];
    let Some(reason) = row.reason.as_deref() else { return true };
    let counted = reason.rsplit("; ").any(|part| {
        let number = part.strip_prefix("and ").and_then(|it| it.strip_suffix(" more"));
        number.is_some_and(|it| it.parse::<u64>().is_ok())
    });
    let marked = |part: &str| {
        MARKS
            .iter()
            .any(|it| part.strip_prefix(it).is_some_and(|rest| !rest.starts_with(char::is_alphabetic)))
            || part.ends_with(MARKS[1])
    };
    !counted && !reason.split("; ").any(marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_list_is_not_whole() {
        let row = |reason: &str| HardeningRow { reason: Some(reason.into()), ..HardeningRow::default() };
        for cut in [
            "and 72 more",
            "x; and 1 more",
            "there may be more: etc/shadow could not be read",
            "stopped after 20000 entries: the list is not whole",
            "cut after 2048 characters",
            "x; cut: the aliases stand for more than 16384 members",
        ] {
            assert!(!is_whole(&row(cut)), "{cut}");
        }
        for whole in ["2 rules", "OpenSSH's default", "as ext4", "and so on", "cutlery"] {
            assert!(is_whole(&row(whole)), "{whole}");
        }
        assert!(is_whole(&HardeningRow::default()));
    }

    #[test]
    fn what_is_in_effect_becomes_facts() {
        let rows = [
            LiveRow {
                kind: "kernel".into(),
                state: "older".into(),
                running: Some("6.1".into()),
                ..Default::default()
            },
            LiveRow {
                kind: "mapped-file".into(),
                state: "deleted".into(),
                file: Some("/usr/lib/libssl.so.3".into()),
                service: Some("ssh".into()),
                ..Default::default()
            },
        ];
        let mut facts = Facts::default();
        facts.add_live(&rows.map(|it| it.encode_to_vec()));
        let value = |id: &str| facts.rows(id)[0].value.clone();
        assert_eq!(value("live.kernel"), Some(hardening_row::Value::Text("older".into())));
        let items = vec!["/usr/lib/libssl.so.3: ssh".to_owned()];
        assert_eq!(value("live.old_code"), Some(hardening_row::Value::List(TextList { items })));
        assert_eq!(value("live.restart_marks"), Some(hardening_row::Value::List(TextList::default())));
    }

    #[test]
    fn every_type_of_the_catalogue_is_read() {
        assert!(catalog().0.len() > 200, "{}", catalog().0.len());
        assert!(catalog().0.values().all(|it| !it.is_empty()));
        assert_eq!(catalog().types("smb1.server"), Some(vec![Type::Flag]));
        assert_eq!(catalog().types("smb1.nothing"), None);
    }
}
