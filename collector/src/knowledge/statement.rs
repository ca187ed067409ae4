//! What suppliers state about patches, and how their lists are read.
//!
//! Source of truth: the supplier's own file, kept byte for byte. A CSV is read by a [`Mapping`] that a person wrote
//! for its columns and words, or in our own columns; XML in the form of IEC TR 62443-2-3 is read by [`super::vpc`].
//! Every word that the supplier wrote is kept beside what it was taken for. An empty word is no statement, and a
//! word that the mapping does not know is undetermined: neither ever becomes an approval.

use super::sheet::{self, InvalidSheet, Sheet};
use super::skipped::Skipped;
use super::text::shown;
use super::{Held, Knowledge};

pub use super::mapping::{InvalidMapping, Mapping};

/// Most statements of one file.
pub const MAX_STATEMENTS: usize = 100_000;

/// Our own columns, for a list without a mapping.
const OWN: [&str; 9] =
    ["vendor", "product", "version", "patch", "state", "conditions", "date", "superseded_by", "note"];

/// Where a patch stands with its supplier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SupplierState {
    /// The supplier does not say. Silence is not approval.
    NoStatement,
    /// Offered; nobody has tested it.
    Available,
    /// The supplier tests it.
    InTest,
    /// It passed the supplier's test.
    Approved,
    /// It passed under conditions, each of which has to be acknowledged.
    ApprovedConditional,
    /// It failed the supplier's test.
    NotApproved,
    /// It is not relevant for the product.
    NotApplicable,
    /// The supplier's word can mean several of these.
    Undetermined,
    /// Released for use.
    Released,
    /// Another patch has taken its place.
    Superseded,
    /// Taken back.
    Withdrawn,
}

impl SupplierState {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::NoStatement,
        Self::Available,
        Self::InTest,
        Self::Approved,
        Self::ApprovedConditional,
        Self::NotApproved,
        Self::NotApplicable,
        Self::Undetermined,
        Self::Released,
        Self::Superseded,
        Self::Withdrawn,
    ];

    /// The word in answers and mappings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoStatement => "NoStatement",
            Self::Available => "Available",
            Self::InTest => "InTest",
            Self::Approved => "Approved",
            Self::ApprovedConditional => "ApprovedConditional",
            Self::NotApproved => "NotApproved",
            Self::NotApplicable => "NotApplicable",
            Self::Undetermined => "Undetermined",
            Self::Released => "Released",
            Self::Superseded => "Superseded",
            Self::Withdrawn => "Withdrawn",
        }
    }

    /// The state of that word, whatever its case.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str().eq_ignore_ascii_case(word))
    }

    /// Whether the owner may authorise without a deviation, conditions apart.
    pub fn is_approval(self) -> bool {
        matches!(self, Self::Approved | Self::ApprovedConditional | Self::Released)
    }
}

/// What a supplier states of one patch for one product.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// The supplier as written; empty when nobody says it.
    pub vendor: String,
    /// The product as written.
    pub product: String,
    /// Its versions, as written.
    pub versions: Option<String>,
    /// The patch as written: "KB5031356".
    pub patch: String,
    /// Where it stands.
    pub state: SupplierState,
    /// The supplier's own word.
    pub raw: String,
    /// What the approval depends on, as written.
    pub conditions: Option<String>,
    /// When the supplier said it, as written.
    pub date: Option<String>,
    /// What took its place.
    pub superseded_by: Option<String>,
    /// Whatever else is said.
    pub note: Option<String>,
}

impl Default for SupplierState {
    /// Nothing said is no statement.
    fn default() -> Self {
        Self::NoStatement
    }
}

/// One list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statements {
    /// The mapping by which it was read; `None` for our own columns and for XML.
    pub mapping: Option<String>,
    /// In file order.
    pub stated: Vec<Statement>,
}

impl Statements {
    /// The list as another version of its mapping reads the words that were kept; `None` when that is not its own.
    pub fn read_again(&self, mapping: &Mapping) -> Option<Self> {
        if self.mapping.as_deref() != Some(mapping.id.as_str()) {
            return None;
        }
        let stated =
            self.stated.iter().cloned().map(|it| Statement { state: mapping.state(&it.raw).0, ..it });
        Some(Self { mapping: self.mapping.clone(), stated: stated.collect() })
    }
}

/// Why a list is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStatements {
    /// Not the CSV that was expected.
    #[error(transparent)]
    Sheet(#[from] InvalidSheet),
    /// A heading of our own columns that means nothing.
    #[error("the column `{0}` is not known; known are {known}", known = OWN.join(", "))]
    UnknownColumn(String),
    /// The XML cannot be read.
    #[error(transparent)]
    Vpc(#[from] super::vpc::InvalidVpc),
    /// The mapping cannot be used.
    #[error(transparent)]
    Mapping(#[from] InvalidMapping),
    /// Nothing in it can be used.
    #[error("it holds no usable statement{}", .0.as_ref().map(|it| format!("; {it}")).unwrap_or_default())]
    Empty(Option<String>),
    /// More than a supplier can mean.
    #[error("it has more than {MAX_STATEMENTS} statements")]
    TooMany,
}

/// What a list says, and what was left out.
pub type Read = Result<(Statements, Vec<String>), InvalidStatements>;

/// Reads a CSV when a mapping recognises its header, or when it is in our own columns.
pub fn recognise(bytes: &[u8], text: &str, held: &Knowledge) -> Option<Read> {
    let newest = held.mappings.iter().rev().map(|it: &Held<Mapping>| it.content.as_ref());
    for mapping in newest {
        if sheet::headings(text, mapping.delimiter).is_some_and(|it| mapping.recognises(&it)) {
            return Some(read_mapped(bytes, mapping));
        }
    }
    let headings = sheet::headings(text, b',')?;
    let has = |name: &str| headings.iter().any(|it| it.eq_ignore_ascii_case(name));
    ["vendor", "product", "patch", "state"].into_iter().all(has).then(|| read_own(bytes))
}

fn read_own(bytes: &[u8]) -> Read {
    let sheet = sheet::read(bytes, b',')?;
    if let Some(column) = sheet.columns.iter().find(|it| !OWN.contains(&it.to_lowercase().as_str())) {
        return Err(InvalidStatements::UnknownColumn(shown(column, 60)));
    }
    let state = |raw: &str| match SupplierState::named(raw) {
        Some(state) => (state, true),
        None if raw.is_empty() => (SupplierState::NoStatement, true),
        None => (SupplierState::Undetermined, false),
    };
    take(sheet, None, &|name| Some(name.to_owned()), &state, "")
}

fn read_mapped(bytes: &[u8], mapping: &Mapping) -> Read {
    let sheet = sheet::read(bytes, mapping.delimiter)?;
    let column = |name: &str| mapping.columns.get(name).cloned();
    take(sheet, Some(mapping.id.clone()), &column, &|raw| mapping.state(raw), &mapping.vendor)
}

fn take(
    sheet: Sheet,
    mapping: Option<String>,
    column: &impl Fn(&'static str) -> Option<String>,
    state: &impl Fn(&str) -> (SupplierState, bool),
    vendor: &str,
) -> Read {
    let Sheet { columns, lines, mut skipped } = sheet;
    let position = |name: &'static str| {
        let wanted = column(name)?;
        columns.iter().position(|it| it.eq_ignore_ascii_case(&wanted))
    };
    let places = OWN.map(position);
    let mut stated = Vec::new();
    for (line, cells) in lines {
        if stated.len() == MAX_STATEMENTS {
            return Err(InvalidStatements::TooMany);
        }
        let cell = |at: usize| places[at].and_then(|it| cells.get(it)).filter(|it| !it.is_empty()).cloned();
        let place = format!("line {line}");
        let Some(patch) = cell(3) else {
            skipped.at(&place, "it names no patch");
            continue;
        };
        let raw = cell(4).unwrap_or_default();
        let (state, known) = state(&raw);
        if !known {
            let why = format!("`{}` is a word that is not known: taken as Undetermined", shown(&raw, 60));
            skipped.at(&place, &why);
        }
        stated.push(Statement {
            vendor: cell(0).unwrap_or_else(|| vendor.to_owned()),
            product: cell(1).unwrap_or_default(),
            versions: cell(2),
            patch,
            state,
            raw,
            conditions: cell(5),
            date: cell(6),
            superseded_by: cell(7),
            note: cell(8),
        });
    }
    finish(mapping, stated, skipped)
}

/// The list, unless nothing is in it.
pub(super) fn finish(mapping: Option<String>, stated: Vec<Statement>, skipped: Skipped) -> Read {
    if stated.is_empty() {
        return Err(InvalidStatements::Empty(skipped.first().map(str::to_owned)));
    }
    Ok((Statements { mapping, stated }, skipped.into_lines()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holdpoint_common::section::Digest;
    use proptest::prelude::*;

    use super::super::Source;
    use super::*;

    fn knowing(mapping: &str) -> Knowledge {
        let source = Source {
            digest: Digest::of(b"m"),
            file: "m.toml".into(),
            imported_ms: 1,
            imported_by: "kim".into(),
        };
        let content = Arc::new(Mapping::read(mapping).unwrap());
        Knowledge { mappings: vec![Held { content, source: Arc::new(source) }], ..Knowledge::default() }
    }

    fn read(text: &str, held: &Knowledge) -> Read {
        recognise(text.as_bytes(), text, held).unwrap()
    }

    const ROCKWELL: &str = include_str!("../../../deploy/mappings/rockwell.toml");

    #[test]
    fn a_list_is_read_by_the_mapping_for_its_columns_and_every_word_is_kept() {
        let held = knowing(ROCKWELL);
        let (list, notes) = read(
            "Product,Version,Microsoft Patch,Qualification,Notes,Date\n\
             FactoryTalk View SE,13.00,KB5031356,Fully Qualified,,2023-10-12\n\
             FactoryTalk View SE,12.00,KB5031356,Partially Qualified,not with the web client,\n\
             FactoryTalk View SE,11.00,KB5031356,Not Qualified,,\n\
             FactoryTalk View SE,10.00,KB5031356,Not Tested,,\n\
             FactoryTalk View SE,9.00,KB5031356,,,\n\
             FactoryTalk View SE,8.00,KB5031356,Looks Good,,\n\
             FactoryTalk View SE,7.00,,Fully Qualified,,\n",
            &held,
        )
        .unwrap();
        let states: Vec<_> = list.stated.iter().map(|it| (it.state.as_str(), it.raw.as_str())).collect();
        assert_eq!(
            states,
            [
                ("Approved", "Fully Qualified"),
                ("ApprovedConditional", "Partially Qualified"),
                ("Undetermined", "Not Qualified"),
                ("NoStatement", "Not Tested"),
                ("NoStatement", ""),
                ("Undetermined", "Looks Good"),
            ]
        );
        assert_eq!(list.stated[1].conditions.as_deref(), Some("not with the web client"));
        assert_eq!(list.stated[0].vendor, "Rockwell Automation");
        assert_eq!(
            notes,
            [
                "line 7: `Looks Good` is a word that is not known: taken as Undetermined",
                "line 8: it names no patch"
            ]
        );
    }

    #[test]
    fn the_shipped_mappings_are_mappings() {
        for text in [
            ROCKWELL,
            include_str!("../../../deploy/mappings/siemens.toml"),
            include_str!("../../../deploy/mappings/emerson.toml"),
        ] {
            let mapping = Mapping::read(text).unwrap();
            assert_eq!(mapping.state("").0, SupplierState::NoStatement);
            assert!(mapping.vendor.len() > 3 && !mapping.states.is_empty());
        }
    }

    #[test]
    fn our_own_columns_need_no_mapping_and_foreign_ones_are_refused_by_name() {
        let own = "vendor,product,patch,state\nEmerson,DeltaV,KB1,approved\nEmerson,DeltaV,KB2,\n";
        let (list, notes) = read(own, &Knowledge::default()).unwrap();
        assert_eq!((list.stated.len(), notes.len()), (2, 0));
        assert_eq!(list.stated[1].state, SupplierState::NoStatement);
        let other = "vendor,product,patch,state,stat\nE,D,K,Approved,x\n";
        let refused = read(other, &Knowledge::default()).unwrap_err();
        assert_eq!(refused, InvalidStatements::UnknownColumn("stat".into()));
        assert!(recognise(b"a,b\n", "a,b\n", &Knowledge::default()).is_none());
    }

    #[test]
    fn a_corrected_mapping_reads_the_same_words_again() {
        let held = knowing(ROCKWELL);
        let (list, _) = read("Product,Microsoft Patch,Qualification\nA,KB1,Looks Good\n", &held).unwrap();
        let better = Mapping::read(&format!("{ROCKWELL}\n\"Looks Good\" = \"Approved\"\n")).unwrap();
        let again = list.read_again(&better).unwrap();
        assert_eq!(again.stated[0].state, SupplierState::Approved);
        assert_eq!(again.stated[0].raw, "Looks Good");
        assert!(list.read_again(&Mapping { id: "other".into(), ..better }).is_none());
    }

    proptest! {
        #[test]
        fn neither_silence_nor_a_word_that_nobody_mapped_approves(word in "[ A-Za-z_]{0,20}") {
            let held = knowing(ROCKWELL);
            let mapped = held.mappings[0].content.states.contains_key(&word.trim().to_lowercase());
            prop_assume!(!mapped);
            let text = format!("Product,Microsoft Patch,Qualification\nA,KB1,{word}\n");
            let (list, _) = read(&text, &held).unwrap();
            prop_assert!(!list.stated[0].state.is_approval());
        }
    }
}
