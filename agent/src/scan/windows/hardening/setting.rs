//! A setting as a table says it: where its value stands, the strongest place first, and what it means
//! when it stands nowhere.
//!
//! Group policy and preference compete for many settings. The first place that has a value wins, and the
//! row's source names it. A place that may not be read is an answer of its own: what stands below it
//! might not be in effect.

use holdpoint_common::row::HardeningRow;

use super::ground::Ground;
use crate::host::Reads;
use crate::host::registry::Data;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What reading a key needs that may not be read.
pub(super) const RIGHTS: &str = "needs an administrator's rights";

/// One place of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    key: &'static str,
    value: &'static str,
    /// The first build that does not look here any more.
    before: u32,
}

impl Place {
    /// A value of a key.
    pub(super) const fn at(key: &'static str, value: &'static str) -> Self {
        Self { key, value, before: u32::MAX }
    }

    /// The same place, of which builds from this one on take no notice.
    pub(super) const fn before(self, build: u32) -> Self {
        Self { before: build, ..self }
    }
}

/// How the value is said.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Flag,
    /// True where the value is 0.
    Inverse,
    Number,
    Text,
    List,
    /// A number that stands for a word; another number is said as it is.
    Words(&'static [(u64, &'static str)]),
}

/// How a service starts, by `Start` of its key.
pub(super) const START: &[(u64, &str)] =
    &[(0, "boot"), (1, "system"), (2, "automatic"), (3, "manual"), (4, "disabled")];

/// What it means that no place has a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Absent {
    /// The same everywhere.
    Means(&'static str),
    /// That depends on the version.
    Varies(fn(&Ground) -> String),
}

/// One fact that is one value of the registry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    id: &'static str,
    checks: &'static [&'static str],
    subject: Option<&'static str>,
    places: &'static [Place],
    shape: Shape,
    absent: Absent,
}

type Checks = &'static [&'static str];
type Places = &'static [Place];

impl Setting {
    const fn new(id: &'static str, checks: Checks, places: Places, shape: Shape, absent: Absent) -> Self {
        Self { id, checks, subject: None, places, shape, absent }
    }

    /// True where the number is not 0.
    pub(super) const fn flag(id: &'static str, checks: Checks, places: Places, absent: Absent) -> Self {
        Self::new(id, checks, places, Shape::Flag, absent)
    }

    /// True where the number is 0: for values that say what is *not*.
    pub(super) const fn inverse(id: &'static str, checks: Checks, places: Places, absent: Absent) -> Self {
        Self::new(id, checks, places, Shape::Inverse, absent)
    }

    /// A number, also where the registry keeps it as text.
    pub(super) const fn number(id: &'static str, checks: Checks, places: Places, absent: Absent) -> Self {
        Self::new(id, checks, places, Shape::Number, absent)
    }

    /// A text.
    pub(super) const fn text(id: &'static str, checks: Checks, places: Places, absent: Absent) -> Self {
        Self::new(id, checks, places, Shape::Text, absent)
    }

    /// A list of texts.
    pub(super) const fn list(id: &'static str, checks: Checks, places: Places, absent: Absent) -> Self {
        Self::new(id, checks, places, Shape::List, absent)
    }

    /// A number that stands for a word.
    pub(super) const fn words(
        id: &'static str,
        checks: Checks,
        places: Places,
        words: &'static [(u64, &'static str)],
        absent: Absent,
    ) -> Self {
        Self::new(id, checks, places, Shape::Words(words), absent)
    }

    /// How a service starts.
    pub(super) const fn start(id: &'static str, checks: Checks, places: Places) -> Self {
        Self::new(id, checks, places, Shape::Words(START), Absent::Means("the service is not installed"))
    }

    /// The same fact about one of several things.
    pub(super) const fn about(self, subject: &'static str) -> Self {
        Self { subject: Some(subject), ..self }
    }

    fn fact(&self, source: &str) -> Fact {
        let fact = Fact::new(self.id, self.checks, source);
        match self.subject {
            Some(subject) => fact.about(subject),
            None => fact,
        }
    }

    /// Reads it.
    pub(super) fn row(&self, look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
        let mut weakest: Option<&Place> = None;
        for place in self.places.iter().filter(|it| ground.build.is_none_or(|build| build < it.before)) {
            let source = format!("{}\\{}", place.key, place.value);
            match look.registry_outcome(place.key, place.value) {
                Outcome::Seen(data) => return self.say(self.fact(&source), &data),
                Outcome::Denied => return self.fact(&source).because(RIGHTS).denied(),
                Outcome::Failed(why) => return self.fact(&source).because(why).error(),
                Outcome::Absent => weakest = Some(place),
            }
        }
        let Some(place) = weakest else { return self.fact("registry").because("no place counts").absent() };
        let fact = self.fact(&format!("{}\\{}", place.key, place.value));
        let absent = match self.absent {
            Absent::Means(what) => what.to_owned(),
            Absent::Varies(what) => what(ground),
        };
        tell(ground, place.key, fact, Outcome::<Data>::Absent, &absent, |fact, _| fact.absent())
    }

    fn say(&self, fact: Fact, data: &Data) -> HardeningRow {
        match self.shape {
            Shape::Flag => or_wrong_type(fact, data, number(data), |fact, it| fact.flag(it != 0)),
            Shape::Inverse => or_wrong_type(fact, data, number(data), |fact, it| fact.flag(it == 0)),
            Shape::Number => or_wrong_type(fact, data, number(data), Fact::number),
            Shape::Text => or_wrong_type(fact, data, data.text(), Fact::text),
            Shape::List => or_wrong_type(fact, data, list(data), Fact::list),
            Shape::Words(words) => or_wrong_type(fact, data, number(data), |fact, it| {
                match words.iter().find(|(number, _)| i64::try_from(*number) == Ok(it)) {
                    Some((_, word)) => fact.text(word),
                    None => fact.because("a number without a meaning").number(it),
                }
            }),
        }
    }
}

/// A fact by what became of its key or value; `absent` says what it means that it is not there.
pub(super) fn tell<T>(
    ground: &Ground,
    key: &str,
    fact: Fact,
    outcome: Outcome<T>,
    absent: &str,
    observed: impl FnOnce(Fact, T) -> HardeningRow,
) -> HardeningRow {
    match outcome {
        Outcome::Seen(value) => observed(fact, value),
        Outcome::Absent => match ground.gap(key) {
            Some(gap) => fact.because(gap).error(),
            None => fact.because(absent).absent(),
        },
        Outcome::Denied => fact.because(RIGHTS).denied(),
        Outcome::Failed(why) => fact.because(why).error(),
    }
}

/// A number, also from text that is one: Windows keeps some settings so.
pub(super) fn number(data: &Data) -> Option<i64> {
    match data {
        Data::Text(text) | Data::Expand(text) => text.trim().parse().ok(),
        Data::Number(_) | Data::Wide(_) => data.number().and_then(|it| i64::try_from(it).ok()),
        Data::List(_) | Data::Bytes { .. } => None,
    }
}

/// A list, also from text where one item needs none.
fn list(data: &Data) -> Option<Vec<String>> {
    match data {
        Data::List(items) => Some(items.iter().filter(|it| !it.is_empty()).cloned().collect()),
        Data::Text(text) | Data::Expand(text) => {
            Some(if text.is_empty() { Vec::new() } else { vec![text.clone()] })
        }
        Data::Number(_) | Data::Wide(_) | Data::Bytes { .. } => None,
    }
}

fn or_wrong_type<T>(
    fact: Fact,
    data: &Data,
    value: Option<T>,
    say: impl FnOnce(Fact, T) -> HardeningRow,
) -> HardeningRow {
    match value {
        Some(value) => say(fact, value),
        None => fact.because(format!("{} is not what this value holds", data.type_name())).error(),
    }
}

/// How many places tables have, for [`reads`].
pub(super) const fn places(table: &[Setting]) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < table.len() {
        count += table[at].places.len();
        at += 1;
    }
    count
}

/// The keys of a table, so that a read list cannot differ from what is read; `N` is [`places`] of it.
pub(super) const fn reads<const N: usize>(table: &[Setting]) -> [Reads; N] {
    let mut all = [Reads::key(""); N];
    let (mut filled, mut at) = (0, 0);
    while at < table.len() {
        let mut place = 0;
        while place < table[at].places.len() {
            all[filled] = Reads::key(table[at].places[place].key);
            (filled, place) = (filled + 1, place + 1);
        }
        at += 1;
    }
    all
}

/// A probe that is a table and nothing else, or the start of one: `more` adds its rows.
pub(super) fn rows(
    look: &mut Look<'_>,
    table: &[Setting],
    more: impl FnOnce(&mut Look<'_>, &Ground, &mut Vec<HardeningRow>),
) -> Reading {
    let ground = Ground::read(look);
    if !ground.is_windows() {
        return look.missing("this registry is no Windows's");
    }
    let mut rows: Vec<_> = table.iter().map(|it| it.row(look, &ground)).collect();
    more(look, &ground, &mut rows);
    if let Some(gap) = rows
        .iter()
        .filter(|it| it.state == "error")
        .find_map(|it| it.reason.clone().filter(|it| it.starts_with("this registry has no")))
    {
        look.fault(gap);
    }
    Reading::of(&rows)
}

#[cfg(test)]
#[path = "setting_tests.rs"]
mod tests;
