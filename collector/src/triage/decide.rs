//! From inputs to a decision by each scheme, and from a recorded decision to the same one again.
//!
//! What is recorded is the encoding of [`TriageComputed`]: scheme, version and digest of the table, each input with its
//! source, the outcome. Computing it again from its own inputs must give the same bytes; a table with another digest
//! cannot, and says so.

use holdpoint_common::proto::store::{TriageComputed, TriageInput};
use holdpoint_common::section::Digest;

use super::inputs::{Input, Of, Sources};
use super::places::{Places, human};
use super::table::{
    AUTOMATABLE, BOD_26_04, DEPLOYER, EXPLOITATION, EXPOSURE, IN_KEV, MISSION, NOW_NEXT_NEVER, PUBLIC, Point,
    SAFETY, SAFETY_EARLIER, SERVICE, TECHNICAL, Table, ValueSet,
};

/// A scheme by which can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// SSVC, deployer. `status` sorts by it.
    Deployer,
    /// Now, next, never.
    NowNextNever,
    /// BOD 26-04.
    Bod2604,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 3] = [Self::Deployer, Self::NowNextNever, Self::Bod2604];

    /// Its table.
    pub fn table(self) -> &'static Table {
        match self {
            Self::Deployer => &DEPLOYER,
            Self::NowNextNever => &NOW_NEXT_NEVER,
            Self::Bod2604 => &BOD_26_04,
        }
    }

    /// The scheme of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.table().scheme == name)
    }
}

/// A decision, as it comes out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// By which scheme.
    pub scheme: Scheme,
    /// What it rests on.
    pub inputs: Vec<Input>,
    /// The worst outcome that is possible.
    pub outcome: &'static str,
    /// What is open could change it.
    pub undetermined: bool,
    /// The inputs that are open.
    pub missing: Vec<&'static str>,
}

/// Everything that decisions about one finding rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    exploitation: Input,
    in_kev: Input,
    automatable: Input,
    technical: Input,
    exposure: Input,
    public: Input,
    safety: Input,
    mission: Input,
    service: Input,
}

impl Gathered {
    /// Asks every source.
    pub fn of(sources: Sources<'_>, places: &Places, of: Of<'_>, asset: &str, service: Input) -> Self {
        let (safety, mission, _) = places.impact(asset);
        Self {
            exploitation: sources.exploitation(of),
            in_kev: sources.in_kev(of),
            automatable: sources.automatable(of),
            technical: sources.technical_impact(of),
            exposure: places.exposure(asset),
            public: places.public(asset),
            safety,
            mission,
            service,
        }
    }

    /// The decision by a scheme.
    pub fn decide(&self, scheme: Scheme) -> Decision {
        let Self { exploitation, in_kev, automatable, technical, exposure, public, safety, mission, service } =
            self.clone();
        let inputs = match scheme {
            // What the host says of the service has no place in the table; it is recorded with the others.
            Scheme::Deployer => vec![exploitation, exposure, automatable, safety, mission, service],
            Scheme::NowNextNever => vec![exploitation, exposure, service],
            Scheme::Bod2604 => vec![in_kev, public, automatable, technical],
        };
        decide(scheme, inputs)
    }
}

/// Decides by a scheme from its inputs, in the order of [`Gathered::decide`].
fn decide(scheme: Scheme, mut inputs: Vec<Input>) -> Decision {
    let set = |inputs: &[Input], at: usize| inputs.get(at).map_or(ValueSet::any(8), |it| it.set);
    let sets: Vec<ValueSet> = match scheme {
        Scheme::Deployer => {
            let human = match (inputs.get(3), inputs.get(4)) {
                (Some(safety), Some(mission)) => human(safety, mission),
                _ => Input::open(super::table::HUMAN, "not given"),
            };
            let sets = vec![set(&inputs, 0), set(&inputs, 1), set(&inputs, 2), human.set];
            inputs.insert(5, human);
            sets
        }
        Scheme::NowNextNever | Scheme::Bod2604 => inputs.iter().map(|it| it.set).collect(),
    };
    let table = scheme.table();
    let answer = table.answer(&sets);
    let undetermined = answer.is_undetermined();
    let counts =
        |it: &&Input| scheme != Scheme::Deployer || ![SERVICE, super::table::HUMAN].contains(&it.point);
    let open = inputs.iter().filter(counts).filter(|it| !it.set.is_known()).map(|it| it.point.name);
    let missing = if undetermined { open.collect() } else { Vec::new() };
    Decision { scheme, outcome: table.word(answer.worst), undetermined, missing, inputs }
}

impl Decision {
    /// As it is recorded.
    pub fn record(&self) -> TriageComputed {
        let table = self.scheme.table();
        TriageComputed {
            scheme: table.scheme.to_owned(),
            version: table.version.to_owned(),
            table_digest: table.digest.to_vec(),
            inputs: self.inputs.iter().map(Input::record).collect(),
            outcome: self.outcome.to_owned(),
            undetermined: self.undetermined,
            missing: self.missing.iter().map(|&it| it.to_owned()).collect(),
        }
    }
}

/// Computes a recorded decision again from its own inputs.
///
/// # Errors
/// One sentence on why this version cannot.
pub fn recompute(recorded: &TriageComputed) -> Result<TriageComputed, String> {
    let TriageComputed { scheme, version, table_digest, inputs, .. } = recorded;
    let known = Scheme::named(scheme).ok_or_else(|| format!("this version has no scheme `{scheme}`"))?;
    let table = known.table();
    if table.version != version || table.digest.as_bytes() != table_digest.as_slice() {
        return Err(format!("it was decided by {scheme} {version} with another table than this version has"));
    }
    let wanted: &[&[Point]] = match known {
        Scheme::Deployer => {
            &[&[EXPLOITATION], &[EXPOSURE], &[AUTOMATABLE], &[SAFETY, SAFETY_EARLIER], &[MISSION], &[SERVICE]]
        }
        Scheme::NowNextNever => &[&[EXPLOITATION], &[EXPOSURE], &[SERVICE]],
        Scheme::Bod2604 => &[&[IN_KEV], &[PUBLIC], &[AUTOMATABLE], &[TECHNICAL]],
    };
    let read: Option<Vec<Input>> = wanted.iter().map(|points| read(inputs, points)).collect();
    let read = read.ok_or("its inputs are not those of the scheme")?;
    Ok(decide(known, read).record())
}

fn read(inputs: &[TriageInput], points: &[Point]) -> Option<Input> {
    let input = inputs.iter().find(|it| points.iter().any(|point| point.name == it.name))?;
    let (point, set) = points.iter().find_map(|point| Some((*point, point.set(&input.values)?)))?;
    let digest = match input.digest.as_slice() {
        [] => None,
        digest => Some(Digest::try_from(digest).ok()?),
    };
    Some(Input { point, set, source: input.source.clone(), as_of_ms: input.as_of_ms, digest })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::super::inputs::tests::{kev, source};
    use super::super::places::tests::knowing;
    use super::*;
    use crate::knowledge::Knowledge;

    const REMOTE: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

    fn gathered(vector: Option<&str>, listed: &[&str], file: &str, service: ValueSet) -> Gathered {
        let knowledge = Knowledge { kev: Some(kev(listed)), ..Knowledge::default() };
        let sources = Sources { knowledge: &knowledge, kev_stale: false };
        let places = Places::of(&knowing(&[file]), false);
        let service = Input::known(SERVICE, service, "listeners");
        let of = Of { vulnerability: "CVE-2026-1", vector, source: &source("a.json") };
        Gathered::of(sources, &places, of, "hmi", service)
    }

    const PLACED: &str =
        "asset,zone,safety_impact,mission_impact,exposure\nhmi,line,critical,mef-failure,controlled\n";

    #[test]
    fn each_scheme_decides_by_its_own_inputs() {
        let all = gathered(Some(REMOTE), &["CVE-2026-1"], PLACED, ValueSet::one(2));
        let said = |scheme| {
            let decision = all.decide(scheme);
            (decision.outcome, decision.missing)
        };
        assert_eq!(said(Scheme::Deployer), ("out-of-cycle", vec![]));
        assert_eq!(said(Scheme::NowNextNever), ("now", vec![]));
        assert_eq!(said(Scheme::Bod2604), ("3-days-forensic-investigation", vec![]));
    }

    #[test]
    fn an_open_input_counts_as_the_worst_and_is_named() {
        let nowhere = gathered(Some(REMOTE), &["CVE-2026-1"], "asset,zone\nother,z\n", SERVICE.any());
        let decision = nowhere.decide(Scheme::Deployer);
        assert_eq!((decision.outcome, decision.undetermined), ("immediate", true));
        assert_eq!(decision.missing, ["system_exposure", "safety_impact", "mission_impact"]);
        let placed = "asset,zone,safety_impact,exposure\nhmi,line,catastrophic,open\n";
        let decided = gathered(Some(REMOTE), &["CVE-2026-1"], placed, SERVICE.any()).decide(Scheme::Deployer);
        assert_eq!(
            (decided.outcome, decided.undetermined),
            ("immediate", false),
            "the mission changes nothing"
        );
        assert!(decided.missing.is_empty());
    }

    #[test]
    fn a_recorded_decision_comes_out_again_byte_for_byte_or_says_why_not() {
        for placed in [PLACED, "asset,zone,safety_impact\nhmi,z,major\n", "asset,zone\nx,z\n"] {
            for (vector, service) in [(Some(REMOTE), ValueSet::one(0)), (None, SERVICE.any())] {
                for scheme in Scheme::ALL {
                    let recorded = gathered(vector, &[], placed, service).decide(scheme).record();
                    let again = recompute(&recorded).unwrap();
                    assert_eq!(again.encode_to_vec(), recorded.encode_to_vec(), "{scheme:?}");
                }
            }
        }
        let recorded = gathered(None, &[], PLACED, SERVICE.any()).decide(Scheme::Deployer).record();
        let milder = TriageComputed { outcome: "defer".into(), ..recorded.clone() };
        assert_ne!(
            recompute(&milder).unwrap(),
            milder,
            "an outcome that was altered does not come out again"
        );
        let other = TriageComputed { table_digest: vec![0; 32], ..recorded.clone() };
        assert!(recompute(&other).unwrap_err().contains("another table"));
        let fewer = TriageComputed { inputs: Vec::new(), ..recorded };
        assert!(recompute(&fewer).is_err());
    }

    proptest! {
        #[test]
        fn a_listed_vulnerability_is_never_milder_than_the_same_unlisted(
            placed in prop::sample::select(vec![PLACED, "asset,zone\nx,z\n"]),
            vector in prop::sample::select(vec![None, Some(REMOTE)]),
        ) {
            for scheme in Scheme::ALL {
                let place = |word: &str| scheme.table().outcomes.iter().position(|it| *it == word);
                let listed = gathered(vector, &["CVE-2026-1"], placed, SERVICE.any()).decide(scheme);
                let free = gathered(vector, &[], placed, SERVICE.any()).decide(scheme);
                prop_assert!(place(listed.outcome) >= place(free.outcome));
            }
        }
    }
}
