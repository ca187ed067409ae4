//! Where every asset stands, from all files of placement, and what its exposure follows from.
//!
//! Exposure is derived from the conduits that lead into the asset's zone: none is small; one from another zone of the
//! plant is controlled; one from the internet, from `enterprise` or from a zone of level 4 and above is open; one from
//! a zone whose level nobody stated is controlled or open. A zone that no conduit names is open to every value:
//! absence from a list is not a result. A person's word in the column `exposure` goes before all of this.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::knowledge::placement::{Conduit, Level, Placed};
use crate::knowledge::{Knowledge, Source};

use super::inputs::Input;
use super::table::{EXPOSURE, HUMAN, HUMAN_IMPACT, HUMAN_IMPACT_EARLIER, MISSION, PUBLIC, Point, SAFETY};
use super::table::{SAFETY_EARLIER, ValueSet};

/// From this level on a network counts as widely accessible, in tenths.
const OUTSIDE: u8 = 40;

const SMALL: ValueSet = ValueSet::one(0);
const CONTROLLED: ValueSet = ValueSet::one(1);
const OPEN: ValueSet = ValueSet::one(2);

/// See the module.
#[derive(Debug, Default)]
pub struct Places {
    knowledge: Arc<Knowledge>,
    /// File and line of every asset; the newest file wins.
    assets: HashMap<String, (usize, usize)>,
    /// The highest level among the assets of a zone.
    levels: HashMap<String, Level>,
    /// Where connections into a zone begin; every zone that a conduit names is here.
    into: HashMap<String, BTreeSet<String>>,
    /// What follows for the zones of assets.
    reached: HashMap<String, (ValueSet, String)>,
    /// The files are older than allowed: what they say is open.
    stale: bool,
}

impl Places {
    /// Arranges what is known.
    pub fn of(knowledge: &Arc<Knowledge>, stale: bool) -> Self {
        let mut places = Self { knowledge: Arc::clone(knowledge), stale, ..Self::default() };
        for (file, held) in knowledge.placements.iter().enumerate() {
            for (line, placed) in held.content.assets.iter().enumerate() {
                places.assets.insert(placed.asset.clone(), (file, line));
            }
        }
        for &(file, line) in places.assets.values() {
            let stands = knowledge.placements.get(file).and_then(|it| it.content.assets.get(line));
            if let Some(Placed { zone: Some(zone), level: Some(level), .. }) = stands {
                let known = places.levels.entry(zone.clone()).or_insert(*level);
                *known = (*known).max(*level);
            }
        }
        for conduit in knowledge.placements.iter().flat_map(|it| &it.content.conduits) {
            let Conduit { from, to, both_ways, .. } = conduit;
            places.into.entry(to.clone()).or_default().insert(from.clone());
            let back = places.into.entry(from.clone()).or_default();
            if *both_ways {
                back.insert(to.clone());
            }
        }
        let zones: BTreeSet<String> = places.all().into_iter().filter_map(|it| it.0.zone.clone()).collect();
        places.reached = zones.into_iter().map(|it| (it.clone(), places.reach(&it))).collect();
        places
    }

    /// Whether the files are older than allowed.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Where an asset stands, and which file says so.
    pub fn asset(&self, id: &str) -> Option<(&Placed, &Arc<Source>)> {
        let &(file, line) = self.assets.get(id)?;
        let held = self.knowledge.placements.get(file)?;
        Some((held.content.assets.get(line)?, &held.source))
    }

    /// Every placed asset with its file, by id.
    pub fn all(&self) -> Vec<(&Placed, &Arc<Source>)> {
        let mut ids: Vec<&String> = self.assets.keys().collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|it| self.asset(it)).collect()
    }

    /// Every conduit with its file.
    pub fn conduits(&self) -> impl Iterator<Item = (&Conduit, &Arc<Source>)> {
        self.knowledge
            .placements
            .iter()
            .flat_map(|it| it.content.conduits.iter().map(move |conduit| (conduit, &it.source)))
    }

    /// The zone of an asset.
    pub fn zone(&self, id: &str) -> Option<&str> {
        self.asset(id)?.0.zone.as_deref()
    }

    /// How far an asset can be reached.
    pub fn exposure(&self, id: &str) -> Input {
        let Some((placed, source)) = self.asset(id) else {
            return Input::open(EXPOSURE, "the asset is placed nowhere");
        };
        if self.stale {
            return Input::open(EXPOSURE, "placement is older than allowed").from(source);
        }
        if let Some(word) = placed.exposure {
            let reason = placed.exposure_reason.as_deref().unwrap_or("no reason given");
            let said = format!("{} says so in {}: {reason}", source.imported_by, source.file);
            return Input::known(EXPOSURE, EXPOSURE.set(&[word]).unwrap_or(EXPOSURE.any()), said)
                .from(source);
        }
        let Some(zone) = placed.zone.as_deref() else {
            return Input::open(EXPOSURE, "no zone is stated").from(source);
        };
        let (set, said) = self.reached_from(zone);
        Input::known(EXPOSURE, set, format!("{said}; nobody has confirmed it")).from(source)
    }

    /// Whether everybody can reach an asset: only a conduit from the internet says yes.
    pub fn public(&self, id: &str) -> Input {
        let exposure = self.exposure(id);
        let zone = self.zone(id).unwrap_or_default();
        let from_internet =
            self.into.get(zone).into_iter().flatten().any(|it| it.eq_ignore_ascii_case("internet"));
        let by_person = self.asset(id).is_some_and(|it| it.0.exposure.is_some());
        let set = if !exposure.set.has(2) {
            ValueSet::one(0)
        } else if exposure.set.is_known() && from_internet && !by_person {
            ValueSet::one(1)
        } else {
            PUBLIC.any()
        };
        Input { point: PUBLIC, set, ..exposure }
    }

    fn reached_from(&self, zone: &str) -> (ValueSet, String) {
        self.reached.get(zone).cloned().unwrap_or_else(|| self.reach(zone))
    }

    /// What the conduits into a zone say.
    fn reach(&self, zone: &str) -> (ValueSet, String) {
        let Some(sources) = self.into.get(zone) else {
            return (EXPOSURE.any(), format!("no conduit names the zone `{zone}`"));
        };
        let mut worst: Option<(ValueSet, &str)> = None;
        for source in sources {
            let set = match self.levels.get(source).map(|it| it.tenths()) {
                _ if ["internet", "enterprise"].iter().any(|it| source.eq_ignore_ascii_case(it)) => OPEN,
                Some(OUTSIDE..) => OPEN,
                Some(_) => CONTROLLED,
                None => CONTROLLED.or(OPEN),
            };
            // Surely open is worse than perhaps open, which is worse than controlled.
            let rank = |it: ValueSet| (it.has(2), !it.has(1));
            if worst.is_none_or(|it| rank(set) > rank(it.0)) {
                worst = Some((set, source));
            }
        }
        match worst {
            None => (SMALL, format!("no conduit leads into the zone `{zone}`")),
            Some((set, source)) if set.is_known() => {
                (set, format!("a conduit leads from `{source}` into the zone `{zone}`"))
            }
            Some((set, source)) => {
                let said =
                    format!("a conduit leads from `{source}`, whose level is not known, into `{zone}`");
                (set, said)
            }
        }
    }

    /// Harm to people, harm to the mission, and what follows from the two.
    pub fn impact(&self, id: &str) -> (Input, Input, Input) {
        let Some((placed, source)) = self.asset(id) else {
            let open = |point| Input::open(point, "the asset is placed nowhere");
            return (open(SAFETY), open(MISSION), human(&open(SAFETY), &open(MISSION)));
        };
        let read = |points: &[Point], word: Option<&str>| {
            let point = points.first().copied().unwrap_or(SAFETY);
            if self.stale {
                return Input::open(point, "placement is older than allowed").from(source);
            }
            let found = word.and_then(|it| points.iter().find_map(|point| Some((*point, point.set(&[it])?))));
            match found {
                Some((point, set)) => Input::known(point, set, source.file.clone()).from(source),
                None => Input::open(point, "placement does not say").from(source),
            }
        };
        let safety = read(&[SAFETY, SAFETY_EARLIER], placed.safety);
        let mission = read(&[MISSION], placed.mission);
        let human = human(&safety, &mission);
        (safety, mission, human)
    }
}

/// Human impact by the table of the words in which safety was assessed.
pub(super) fn human(safety: &Input, mission: &Input) -> Input {
    let table = if safety.point == SAFETY_EARLIER { &*HUMAN_IMPACT_EARLIER } else { &*HUMAN_IMPACT };
    let said = format!("{} {} of safety and mission impact", table.scheme, table.version);
    let set = table.outcomes_of(&[safety.set, mission.set]);
    Input { point: HUMAN, set, source: said, as_of_ms: None, digest: Some(table.digest) }
}

#[cfg(test)]
pub(crate) mod tests {
    use holdpoint_common::section::Digest;

    use super::*;
    use crate::knowledge::{Held, placement};

    /// Knowledge with placement files, the last one being the newest.
    pub(crate) fn knowing(files: &[&str]) -> Arc<Knowledge> {
        let held = |(number, text): (usize, &&str)| Held {
            content: Arc::new(placement::recognise(text.as_bytes(), text).unwrap().unwrap().0),
            source: Arc::new(Source {
                digest: Digest::of(text.as_bytes()),
                file: format!("p{number}.csv"),
                imported_ms: 1_000,
                imported_by: "kim".into(),
            }),
        };
        let placements = files.iter().enumerate().map(held).collect();
        Arc::new(Knowledge { placements, ..Knowledge::default() })
    }

    const ASSETS: &str = "asset,zone,level,safety_impact,mission_impact,exposure\nhmi,line,2,critical,mef-failure,\n\
        jump,dmz,3.5,,,\nerp,office,4,none,degraded,\nplc,line,1,hazardous,degraded,small\nlone,island,2,,,\n\
        far,lab,,,,\n";
    const CONDUITS: &str = "from,to,direction,protocols,device\ndmz,line,one-way,rdp,fw\noffice,dmz,one-way,,\n\
        internet,office,one-way,,\nline,safety,one-way,,\nlab,attic,one-way,,\n";

    fn words(places: &Places, id: &str) -> Vec<&'static str> {
        EXPOSURE.words(places.exposure(id).set)
    }

    #[test]
    fn exposure_follows_from_the_conduits_that_lead_in() {
        let places = Places::of(&knowing(&[ASSETS, CONDUITS, "asset,zone\nsis,safety\nbox,attic\n"]), false);
        assert_eq!(words(&places, "hmi"), ["controlled"], "from the DMZ only");
        assert_eq!(words(&places, "jump"), ["open"], "from level 4");
        assert_eq!(words(&places, "erp"), ["open"]);
        assert_eq!(words(&places, "plc"), ["small"], "a person says so");
        assert_eq!(words(&places, "lone"), ["small", "controlled", "open"], "no conduit names its zone");
        assert_eq!(words(&places, "far"), ["small"], "a conduit leads out and none leads in");
        assert_eq!(words(&places, "sis"), ["controlled"]);
        assert_eq!(words(&places, "box"), ["controlled", "open"], "nobody knows the lab's level");
        assert_eq!(words(&places, "nobody"), ["small", "controlled", "open"]);
        let public = |id| PUBLIC.words(places.public(id).set);
        assert_eq!((public("erp"), public("hmi")), (vec!["yes"], vec!["no"]));
        assert_eq!(public("jump"), ["no", "yes"], "the enterprise's network is not the internet");
    }

    #[test]
    fn a_newer_file_wins_and_a_stale_one_says_nothing() {
        let newer = "asset,zone,exposure\nhmi,line,open\n";
        assert_eq!(words(&Places::of(&knowing(&[ASSETS, newer]), false), "hmi"), ["open"]);
        assert_eq!(words(&Places::of(&knowing(&[ASSETS, newer]), true), "hmi").len(), 3);
    }

    #[test]
    fn impact_is_read_by_the_table_of_its_words() {
        let places = Places::of(&knowing(&[ASSETS]), false);
        let human = |id| {
            let human = places.impact(id).2;
            (HUMAN.words(human.set), human.digest)
        };
        assert_eq!(human("hmi"), (vec!["high"], Some(HUMAN_IMPACT.digest)));
        assert_eq!(human("erp"), (vec!["low"], Some(HUMAN_IMPACT_EARLIER.digest)));
        assert_eq!(human("plc"), (vec!["high"], Some(HUMAN_IMPACT_EARLIER.digest)));
        assert_eq!(human("lone").0, ["low", "medium", "high", "very-high"], "what is not said is open");
    }
}
