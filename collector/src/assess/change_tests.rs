//! A board that follows changes one by one says the same as one that is asked for the first time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use holdpoint_common::proto::store::SectionState;
use holdpoint_common::proto::v1::{SectionKind, SectionStatus, SoftwareRow};
use holdpoint_common::row::PlatformRow;
use holdpoint_common::version::Scheme;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::testing::{self, Shelf, asset, rule, software, with_platform};
use super::{Board, Filter, FindingView};
use crate::knowledge::map::{CONFIRMED, REJECTED};
use crate::knowledge::{
    AllowedAges, Branch, Ecosystem, Entry, Event, HeldAdvisory, Identity, Kind, Knowledge, KnownFix, Stated,
    Versions,
};

pub(super) const NOW: i64 = 2_000;
pub(super) const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const SERVER: &str = "Windows Server 2019";
pub(super) const ASSETS: usize = 4;

/// One thing that happens to a zone.
#[derive(Debug, Clone)]
pub(super) enum Happens {
    /// An advisory comes, or takes the place of the one of that number; of a kind, about a name, in a version.
    Advisory {
        number: u8,
        kind: u8,
        name: usize,
        version: u8,
    },
    Gone(u8),
    /// A rule comes or goes.
    Rule {
        name: usize,
        product: usize,
        confirmed: bool,
    },
    NoRules,
    /// An asset has one more row, or is of another release.
    Row {
        asset: usize,
        name: usize,
        version: u8,
    },
    Release {
        asset: usize,
        release: u8,
    },
    /// Time passes.
    Later,
    /// Somebody asks.
    Asked,
}

pub(super) fn happens() -> impl Strategy<Value = Happens> {
    let (name, asset) = (0..NAMES.len(), 0..ASSETS);
    prop_oneof![
        4 => (0_u8..5, 0_u8..4, name.clone(), 0_u8..4)
            .prop_map(|(number, kind, name, version)| Happens::Advisory { number, kind, name, version }),
        1 => (0_u8..5).prop_map(Happens::Gone),
        1 => (name.clone(), 0..NAMES.len(), any::<bool>())
            .prop_map(|(name, product, confirmed)| Happens::Rule { name, product, confirmed }),
        1 => Just(Happens::NoRules),
        2 => (asset.clone(), name, 0_u8..4).prop_map(|(asset, name, version)| Happens::Row { asset, name, version }),
        1 => (asset, 0_u8..5).prop_map(|(asset, release)| Happens::Release { asset, release }),
        1 => Just(Happens::Later),
        3 => Just(Happens::Asked),
    ]
}

pub(super) fn advisory(number: u8, kind: u8, name: usize, version: u8) -> HeldAdvisory {
    let package =
        Ecosystem { distribution: "debian".into(), release: Some("12".into()), scheme: Scheme::Deb };
    let events = vec![Event::Introduced("0".into()), Event::Fixed(format!("{version}"))];
    let build = KnownFix {
        build: Some(format!("10.0.17763.{version}")),
        track: "Security Update".into(),
        update: None,
    };
    let (kind, product, versions, identity) = match kind {
        0 => (
            Kind::Osv,
            NAMES[name],
            Versions::Events(vec![Branch { events, listed: Vec::new() }]),
            Identity::Package(package),
        ),
        1 => (Kind::Microsoft, SERVER, Versions::Builds(vec![build]), Identity::Windows),
        _ => (Kind::Csaf, NAMES[name], Versions::Range(format!("< {version}")), Identity::Named),
    };
    let entry = |it: u8| Entry {
        id: format!("E{it}"),
        vendor: "Example Controls".into(),
        product: product.into(),
        versions: versions.clone(),
        identity: identity.clone(),
        conditions: Vec::new(),
        model_numbers: Vec::new(),
        purl: None,
    };
    let entries = (0..=(number % 2)).map(entry).collect();
    testing::advisory(kind, &format!("ADV-{number}"), entries, Stated::Affected)
}

/// Everything that there is, from which a board can be asked for the first time.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) knowledge: Knowledge,
    pub(super) rows: [Vec<SoftwareRow>; ASSETS],
    pub(super) releases: [u8; ASSETS],
    /// The newest attempt at a section, where it was not complete.
    pub(super) attempts: Vec<(SectionKind, SectionStatus)>,
    pub(super) now_ms: i64,
}

impl World {
    pub(super) fn happens(&mut self, it: &Happens) -> bool {
        let knowledge = &mut self.knowledge;
        match *it {
            Happens::Advisory { number, kind, name, version } => {
                let new = advisory(number, kind, name, version);
                knowledge.advisories.retain(|it| it.advisory.revision.id != new.advisory.revision.id);
                knowledge.advisories.push(new);
            }
            Happens::Gone(number) => {
                let id = format!("ADV-{number}");
                knowledge.advisories.retain(|it| it.advisory.revision.id != id);
            }
            Happens::Rule { name, product, confirmed } => {
                let decision = if confirmed { CONFIRMED } else { REJECTED };
                let mut rule = rule(decision, "Example Controls", NAMES[product], NAMES[name], "natural");
                rule.expires_ms = (product == 0).then_some(self.now_ms + 2);
                let rules = Arc::make_mut(&mut knowledge.rules);
                rules.retain(|it| it.id != rule.id);
                rules.push(rule);
            }
            Happens::NoRules => knowledge.rules = Arc::default(),
            Happens::Row { asset, name, version } => {
                let mut row = software(NAMES[name], Some(&format!("{version}.1")));
                if version % 2 == 0 {
                    row.source = "dpkg".into();
                }
                self.rows[asset].push(row);
                return false;
            }
            Happens::Release { asset, release } => {
                self.releases[asset] = release;
                return false;
            }
            Happens::Later => {
                self.now_ms += 1;
                return false;
            }
            Happens::Asked => return false,
        }
        knowledge.revision += 1;
        true
    }

    pub(super) fn tell(&self, board: &Board, sections: &Shelf, number: usize) {
        let record = asset(&format!("hmi-{number}"), sections, &self.rows[number], SectionStatus::Complete);
        let row = |id: &str, version: &str, build: Option<&str>| PlatformRow {
            source: "linux/platform".into(),
            os_id: Some(id.into()),
            os_name: Some(if build.is_some() { "Windows Server 2019" } else { id }.into()),
            os_version: Some(version.into()).filter(|it: &String| !it.is_empty()),
            build: build.map(Into::into),
            installation_type: build.map(|_| "Server".into()),
            ..PlatformRow::default()
        };
        let mut record = match self.releases[number] {
            0 => record,
            1 => with_platform(record, sections, row("debian", "12", None)),
            2 => with_platform(record, sections, row("debian", "", None)),
            3 => with_platform(record, sections, row("ubuntu", "22.04", None)),
            _ => with_platform(record, sections, row("windows", "1809", Some("10.0.17763.2"))),
        };
        for held in &mut record.sections {
            let failed = self.attempts.iter().find(|it| held.kind == i32::from(it.0));
            held.attempt = failed.map(|it| SectionState { status: it.1.into(), ..SectionState::default() });
        }
        board.asset_changed(&record);
    }

    /// What a board says that is asked for the first time.
    pub(super) fn judged(&self) -> Vec<FindingView> {
        let sections = Arc::new(Shelf::default());
        let board = Board::open(sections.clone(), AllowedAges::default());
        board.knowledge_changed(&Arc::new(self.knowledge.clone()), self.now_ms);
        for number in 0..ASSETS {
            self.tell(&board, &sections, number);
        }
        self.asked(&board)
    }

    fn asked(&self, board: &Board) -> Vec<FindingView> {
        board
            .page(&Filter { limit: 1_000, ..Filter::default() }, self.now_ms, &|_| Some(self.now_ms))
            .unwrap()
            .findings
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn following_changes_says_the_same_as_judging_everything(story in prop::collection::vec(happens(), 1..40)) {
        let shelf = Arc::new(Shelf::default());
        let board = Board::open(shelf.clone(), AllowedAges::default());
        let mut world = World { now_ms: NOW, ..World::default() };
        for number in 0..ASSETS {
            world.tell(&board, &shelf, number);
        }
        for it in story {
            if world.happens(&it) {
                board.knowledge_changed(&Arc::new(world.knowledge.clone()), world.now_ms);
            }
            match it {
                Happens::Row { asset, .. } | Happens::Release { asset, .. } => world.tell(&board, &shelf, asset),
                Happens::Asked => {
                    prop_assert_eq!(world.asked(&board), world.judged());
                }
                Happens::Advisory { .. } | Happens::Gone(_) | Happens::Rule { .. } | Happens::NoRules | Happens::Later => {}
            }
        }
    }
}

#[test]
fn whoever_asks_beside_others_while_it_changes_is_told_what_holds_in_the_end() {
    let shelf = Arc::new(Shelf::default());
    let board = Board::open(shelf.clone(), AllowedAges::default());
    let mut world = World { now_ms: NOW, ..World::default() };
    let mut random = TestRunner::deterministic();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..3 {
            let (board, is_over) = (&board, &is_over);
            scope.spawn(move || {
                let one = Filter { asset: Some(format!("hmi-{number}")), ..Filter::default() };
                while !is_over.load(Ordering::Relaxed) {
                    for filter in [&Filter::default(), &one] {
                        // Until an asset is told of it is not there; what changes too fast is asked for again.
                        drop(board.page(filter, NOW, &|_| Some(NOW)));
                    }
                }
            });
        }
        for _ in 0..1_500 {
            let it = happens().new_tree(&mut random).unwrap().current();
            if matches!(it, Happens::Later) {
                continue;
            }
            if world.happens(&it) {
                board.knowledge_changed(&Arc::new(world.knowledge.clone()), world.now_ms);
            }
            if let Happens::Row { asset, .. } | Happens::Release { asset, .. } = it {
                world.rows[asset].truncate(8);
                world.tell(&board, &shelf, asset);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for number in 0..ASSETS {
        world.tell(&board, &shelf, number);
    }
    assert_eq!(world.asked(&board), world.judged());
}
