//! Decision tables as data: read from the files beside this one, each with its version and digest.
//!
//! A table is complete: one row for every combination of its inputs' values, which reading it checks.
//! What an input's value is may be open; then the table answers with the worst of all that is possible.

use std::sync::LazyLock;

use holdpoint_common::section::Digest;

/// The possible values of an input, as positions in [`Point::values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueSet(u8);

impl ValueSet {
    /// One value.
    pub const fn one(position: u8) -> Self {
        Self(1 << position)
    }

    /// Any of the first `count` values.
    pub const fn any(count: usize) -> Self {
        Self(if count >= 8 { u8::MAX } else { (1 << count) - 1 })
    }

    /// Both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a value is possible.
    pub const fn has(self, position: u8) -> bool {
        self.0 & (1 << position) != 0
    }

    /// Whether only one value is possible.
    pub const fn is_known(self) -> bool {
        self.0.is_power_of_two()
    }

    /// The possible positions, lowest first.
    pub fn positions(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |&it| self.has(it))
    }

    /// As a number below `2^count`.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The reverse of [`ValueSet::bits`].
    pub const fn of_bits(bits: u8) -> Self {
        Self(bits)
    }
}

/// An input of a table: its name and its values, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The column.
    pub name: &'static str,
    /// The words, mildest first.
    pub values: &'static [&'static str],
}

impl Point {
    /// The position of a word.
    pub fn position(&self, word: &str) -> Option<u8> {
        let at = self.values.iter().position(|it| *it == word)?;
        u8::try_from(at).ok()
    }

    /// The set of words; `None` when one is not known or there is none.
    pub fn set(&self, words: &[impl AsRef<str>]) -> Option<ValueSet> {
        let set = words
            .iter()
            .try_fold(ValueSet(0), |set, word| Some(set.or(ValueSet::one(self.position(word.as_ref())?))))?;
        (set.0 != 0).then_some(set)
    }

    /// The words of a set, mildest first.
    pub fn words(&self, set: ValueSet) -> Vec<&'static str> {
        set.positions().filter_map(|it| self.values.get(usize::from(it)).copied()).collect()
    }

    /// Everything is possible.
    pub const fn any(&self) -> ValueSet {
        ValueSet::any(self.values.len())
    }
}

/// What is known of exploitation.
pub const EXPLOITATION: Point = Point { name: "exploitation", values: &["none", "public-poc", "active"] };
/// How far the system can be reached.
pub const EXPOSURE: Point = Point { name: "system_exposure", values: &["small", "controlled", "open"] };
/// Whether exploitation can be automated.
pub const AUTOMATABLE: Point = Point { name: "automatable", values: &["no", "yes"] };
/// Harm to people and mission together.
pub const HUMAN: Point = Point { name: "human_impact", values: &["low", "medium", "high", "very-high"] };
/// Harm to people, in the words after IEC 61508.
pub const SAFETY: Point =
    Point { name: "safety_impact", values: &["negligible", "marginal", "critical", "catastrophic"] };
/// The same in the earlier words.
pub const SAFETY_EARLIER: Point =
    Point { name: "safety_impact", values: &["none", "minor", "major", "hazardous", "catastrophic"] };
/// Harm to what the site is there for.
pub const MISSION: Point = Point {
    name: "mission_impact",
    values: &["degraded", "mef-support-crippled", "mef-failure", "mission-failure"],
};
/// What the host says of the vulnerable service.
pub const SERVICE: Point = Point { name: "service", values: &["idle", "running", "listening"] };
/// Whether the vulnerability is in the catalogue.
pub const IN_KEV: Point = Point { name: "in_kev", values: &["no", "yes"] };
/// Whether everybody can reach the asset.
pub const PUBLIC: Point = Point { name: "publicly_exposed", values: &["no", "yes"] };
/// What the attacker gains.
pub const TECHNICAL: Point = Point { name: "technical_impact", values: &["partial", "total"] };

/// A complete decision table.
#[derive(Debug)]
pub struct Table {
    /// Which one, in decisions.
    pub scheme: &'static str,
    /// Its version.
    pub version: &'static str,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// Its inputs.
    pub points: &'static [Point],
    /// Its outcomes, mildest first.
    pub outcomes: &'static [&'static str],
    /// Outcome of every combination, the last input counting fastest.
    rows: Vec<u8>,
}

/// What a table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The worst possible outcome, as a position.
    pub worst: u8,
    /// The mildest possible outcome.
    pub mildest: u8,
}

impl Answer {
    /// Whether what is not known could change the outcome.
    pub fn is_undetermined(self) -> bool {
        self.worst != self.mildest
    }
}

/// A file that is no complete table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{scheme} {version}: {why}")]
pub struct InvalidTable {
    scheme: &'static str,
    version: &'static str,
    why: String,
}

impl Table {
    /// Reads a table; every combination must be there once.
    pub fn read(
        scheme: &'static str,
        version: &'static str,
        points: &'static [Point],
        outcomes: &'static [&'static str],
        file: &str,
    ) -> Result<Self, InvalidTable> {
        let invalid = |why: String| InvalidTable { scheme, version, why };
        let mut lines = file.lines().filter(|it| !it.starts_with('#') && !it.is_empty());
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let names: Vec<&str> = points.iter().map(|it| it.name).chain(["outcome"]).collect();
        if header != names {
            return Err(invalid(format!("the header is {header:?}")));
        }
        let size = points.iter().map(|it| it.values.len()).product();
        let mut rows: Vec<Option<u8>> = vec![None; size];
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            let Some((outcome, inputs)) = cells.split_last().filter(|it| it.1.len() == points.len()) else {
                return Err(invalid(format!("`{line}` has another number of cells")));
            };
            let at = points.iter().zip(inputs).try_fold(0, |at, (point, word)| {
                Some(at * point.values.len() + usize::from(point.position(word)?))
            });
            let outcome = outcomes.iter().position(|it| it == outcome).and_then(|it| u8::try_from(it).ok());
            let (Some(slot), Some(outcome)) = (at.and_then(|it| rows.get_mut(it)), outcome) else {
                return Err(invalid(format!("`{line}` has a word that is not known")));
            };
            if slot.replace(outcome).is_some() {
                return Err(invalid(format!("`{line}` is there twice")));
            }
        }
        let rows: Option<Vec<u8>> = rows.into_iter().collect();
        let rows = rows.ok_or_else(|| invalid("a combination is missing".to_owned()))?;
        Ok(Self { scheme, version, digest: Digest::of(file.as_bytes()), points, outcomes, rows })
    }

    /// The worst and the mildest outcome over everything that is possible. An input that is not given is open.
    pub fn answer(&self, inputs: &[ValueSet]) -> Answer {
        let mut answer = Answer { worst: 0, mildest: u8::MAX };
        for (number, &outcome) in self.rows.iter().enumerate() {
            let mut rest = number;
            let possible = self.points.iter().enumerate().rev().all(|(at, point)| {
                let position = rest % point.values.len();
                rest /= point.values.len();
                let set = inputs.get(at).copied().unwrap_or(point.any());
                u8::try_from(position).is_ok_and(|it| set.has(it))
            });
            if possible {
                answer.worst = answer.worst.max(outcome);
                answer.mildest = answer.mildest.min(outcome);
            }
        }
        answer
    }

    /// The set of all outcomes that are possible.
    pub fn outcomes_of(&self, inputs: &[ValueSet]) -> ValueSet {
        let count = u8::try_from(self.outcomes.len()).unwrap_or(8);
        let mut set = ValueSet(0);
        let mut each = inputs.to_vec();
        each.resize(self.points.len(), ValueSet::any(8));
        for outcome in 0..count {
            if self.reaches(&each, outcome) {
                set = set.or(ValueSet::one(outcome));
            }
        }
        set
    }

    fn reaches(&self, inputs: &[ValueSet], wanted: u8) -> bool {
        self.rows.iter().enumerate().filter(|it| *it.1 == wanted).any(|(number, _)| {
            let mut rest = number;
            self.points.iter().zip(inputs).rev().all(|(point, set)| {
                let position = rest % point.values.len();
                rest /= point.values.len();
                u8::try_from(position).is_ok_and(|it| set.has(it))
            })
        })
    }

    /// The word of an outcome.
    pub fn word(&self, outcome: u8) -> &'static str {
        self.outcomes.get(usize::from(outcome)).copied().unwrap_or("unknown")
    }

    /// How many rows have each outcome, mildest first.
    pub fn counts(&self) -> Vec<usize> {
        (0..self.outcomes.len())
            .map(|outcome| self.rows.iter().filter(|it| usize::from(**it) == outcome).count())
            .collect()
    }
}

/// Outcomes of the deployer's table, mildest first.
pub const DEPLOYER_OUTCOMES: &[&str] = &["defer", "scheduled", "out-of-cycle", "immediate"];

fn built_in(table: Result<Table, InvalidTable>) -> Table {
    // The files are part of the program, and a test reads each of them.
    table.unwrap_or_else(|error| panic!("{error}"))
}

/// SSVC, deployer.
pub static DEPLOYER: LazyLock<Table> = LazyLock::new(|| {
    built_in(Table::read(
        "ssvc-deployer",
        "1.0.0",
        &[EXPLOITATION, EXPOSURE, AUTOMATABLE, HUMAN],
        DEPLOYER_OUTCOMES,
        include_str!("tables/ssvc-deployer-1.0.0.csv"),
    ))
});

/// SSVC, human impact for the words after IEC 61508.
pub static HUMAN_IMPACT: LazyLock<Table> = LazyLock::new(|| {
    built_in(Table::read(
        "ssvc-human-impact",
        "1.0.0",
        &[SAFETY, MISSION],
        HUMAN.values,
        include_str!("tables/human-impact-1.0.0.csv"),
    ))
});

/// SSVC, human impact for the earlier words.
pub static HUMAN_IMPACT_EARLIER: LazyLock<Table> = LazyLock::new(|| {
    built_in(Table::read(
        "ssvc-human-impact-calculator",
        "2",
        &[SAFETY_EARLIER, MISSION],
        HUMAN.values,
        include_str!("tables/human-impact-calculator.csv"),
    ))
});

/// Now, next, never.
pub static NOW_NEXT_NEVER: LazyLock<Table> = LazyLock::new(|| {
    built_in(Table::read(
        "now-next-never",
        "1",
        &[EXPLOITATION, EXPOSURE, SERVICE],
        &["never", "next", "now"],
        include_str!("tables/now-next-never-1.csv"),
    ))
});

/// BOD 26-04.
pub static BOD_26_04: LazyLock<Table> = LazyLock::new(|| {
    built_in(Table::read(
        "bod-26-04",
        "1.0.0",
        &[IN_KEV, PUBLIC, AUTOMATABLE, TECHNICAL],
        &["fix-on-system-upgrade", "60-days", "14-days", "3-days", "3-days-forensic-investigation"],
        include_str!("tables/bod-26-04-1.0.0.csv"),
    ))
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_table_is_the_one_that_was_reviewed() {
        let tables: [(&Table, &str, &[usize]); 5] = [
            (&DEPLOYER, "fe7f2ac7b41484dd430c631b89627ad20505a3f077270cc7de4139d1aa820d97", &[7, 42, 20, 3]),
            (
                &HUMAN_IMPACT,
                "e54dc39893eb0c21d2a2127f6d7a88f8333732cae1463e2143c525400c8dc2d2",
                &[4, 3, 2, 7],
            ),
            (
                &HUMAN_IMPACT_EARLIER,
                "963aa8292c53bec7b48180007930e3d034018e86e606f41bd3d30dde66d9d6ae",
                &[4, 4, 4, 8],
            ),
            (
                &NOW_NEXT_NEVER,
                "8570f5580dbc9a66df2d4d7b1bf990b3d0c20851b6e3e0d6638dcd352ab83af5",
                &[7, 12, 8],
            ),
            (
                &BOD_26_04,
                "8976f4fbd5e278fe77313dbe8fea965baa286cc0a903d0bbf2c9a9a3350804bf",
                &[2, 3, 6, 2, 3],
            ),
        ];
        for (table, digest, counts) in tables {
            assert_eq!(table.digest.to_string(), digest, "{}", table.scheme);
            assert_eq!(table.counts(), counts, "{}", table.scheme);
        }
    }

    #[test]
    fn a_table_with_a_hole_a_double_or_a_foreign_word_is_none() {
        const POINTS: &[Point] = &[IN_KEV];
        let read = |file: &str| Table::read("t", "1", POINTS, &["a", "b"], file).map(|it| it.counts());
        assert_eq!(read("in_kev,outcome\nno,a\nyes,b\n"), Ok(vec![1, 1]));
        for bad in ["no,a\n", "no,a\nno,b\nyes,a\n", "no,a\nyes,c\n", "no,a\nmaybe,a\n", "no\nyes,a\n"] {
            assert!(read(&format!("in_kev,outcome\n{bad}")).is_err(), "{bad}");
        }
        assert!(read("outcome,in_kev\nno,a\nyes,b\n").is_err());
    }

    #[test]
    fn rows_are_read_from_the_right_columns() {
        let one = |words: [&str; 4]| {
            let sets: Vec<_> =
                DEPLOYER.points.iter().zip(words).map(|(point, it)| point.set(&[it]).unwrap()).collect();
            DEPLOYER.word(DEPLOYER.answer(&sets).worst)
        };
        assert_eq!(one(["active", "open", "no", "very-high"]), "immediate");
        assert_eq!(one(["none", "small", "no", "medium"]), "defer");
        assert_eq!(one(["none", "controlled", "yes", "low"]), "scheduled");
        assert_eq!(one(["public-poc", "open", "yes", "high"]), "out-of-cycle");
    }

    fn sets(table: &'static Table) -> impl Strategy<Value = Vec<ValueSet>> {
        table.points.iter().map(|it| (1..=it.any().bits()).prop_map(ValueSet)).collect::<Vec<_>>()
    }

    proptest! {
        #[test]
        fn what_is_not_known_never_makes_an_outcome_milder(
            known in sets(&DEPLOYER),
            opened in 0..4_usize,
        ) {
            let mut more = known.clone();
            more[opened] = DEPLOYER.points[opened].any();
            let (known, more) = (DEPLOYER.answer(&known), DEPLOYER.answer(&more));
            prop_assert!(more.worst >= known.worst && more.mildest <= known.mildest);
        }

        #[test]
        fn a_worse_input_never_makes_an_outcome_milder(known in sets(&DEPLOYER), at in 0..4_usize) {
            let worst = u8::try_from(DEPLOYER.points[at].values.len()).unwrap() - 1;
            let mut worse = known.clone();
            worse[at] = ValueSet::one(worst);
            prop_assert!(DEPLOYER.answer(&worse).worst >= DEPLOYER.answer(&known).worst);
        }
    }
}
