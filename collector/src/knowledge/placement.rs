//! Where assets stand: zone, level, role, what depends on them, and which conduits lead to them.
//!
//! Source of truth: the site's own files. CSV with `asset` and `zone` among its columns places assets, CSV with
//! `from` and `to` names conduits, TOML does both (`[[asset]]`, `[[conduit]]`). A column that is not known refuses
//! the file by its name. Nothing here looks at a host: an asset that nobody enrolled is kept like any other.

use std::collections::BTreeSet;

use crate::triage::table::{EXPOSURE, MISSION, Point, SAFETY, SAFETY_EARLIER};

use super::sheet::{self, InvalidSheet};
use super::skipped::Skipped;
use super::text::shown;

/// Most assets or conduits of one file.
pub const MAX_PLACED: usize = 100_000;
/// Longest value, in bytes.
const MAX_VALUE: usize = 400;

/// Columns of placed assets, in the order in which they are written.
pub const ASSET_COLUMNS: [&str; 13] = [
    "asset",
    "zone",
    "level",
    "role",
    "safety_impact",
    "mission_impact",
    "criticality",
    "process_line",
    "owner",
    "partner",
    "location",
    "exposure",
    "exposure_reason",
];
/// Columns of conduits.
pub const CONDUIT_COLUMNS: [&str; 5] = ["from", "to", "direction", "protocols", "device"];

/// One file of placement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// Where assets stand, each once.
    pub assets: Vec<Placed>,
    /// What leads from zone to zone.
    pub conduits: Vec<Conduit>,
}

/// Where an asset stands, as a person wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placed {
    /// The asset's id.
    pub asset: String,
    /// The zone that it stands in.
    pub zone: Option<String>,
    /// Purdue level: "2", "3.5".
    pub level: Option<Level>,
    /// Its role.
    pub role: Option<String>,
    /// Harm to people, a word of SSVC.
    pub safety: Option<&'static str>,
    /// Harm to the mission, a word of SSVC.
    pub mission: Option<&'static str>,
    /// The site's own word for how critical it is.
    pub criticality: Option<String>,
    /// The process line.
    pub process_line: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The asset that takes over.
    pub partner: Option<String>,
    /// Where it stands in the building.
    pub location: Option<String>,
    /// A person's word on exposure, which goes before what conduits say.
    pub exposure: Option<&'static str>,
    /// Why.
    pub exposure_reason: Option<String>,
}

/// A Purdue level in tenths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// Reads `2` or `3.5`; at most 5.
    pub fn read(text: &str) -> Option<Self> {
        let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
        let digit = |it: &str| (it.len() == 1).then(|| it.parse::<u8>().ok()).flatten();
        let tenths = digit(whole)? * 10 + digit(tenth)?;
        (tenths <= 50).then_some(Self(tenths))
    }

    /// In tenths.
    pub fn tenths(self) -> u8 {
        self.0
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}", self.0 / 10),
            tenth => write!(f, "{}.{tenth}", self.0 / 10),
        }
    }
}

/// A permitted path between two zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conduit {
    /// Where connections begin.
    pub from: String,
    /// Where they lead.
    pub to: String,
    /// Whether they may begin on either side.
    pub both_ways: bool,
    /// What may pass, as written.
    pub protocols: Option<String>,
    /// What guards it.
    pub device: Option<String>,
}

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlacement {
    /// Not the CSV that was expected.
    #[error(transparent)]
    Sheet(#[from] InvalidSheet),
    /// A heading that means nothing here, probably a typing error.
    #[error("the column `{column}` is not known; known are {known}")]
    UnknownColumn {
        /// As written.
        column: String,
        /// All that are.
        known: String,
    },
    /// The TOML cannot be read.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// Nothing in it can be used.
    #[error("it places no asset and names no conduit{}", .0.as_ref().map(|it| format!("; {it}")).unwrap_or_default())]
    Empty(Option<String>),
    /// More than a zone can mean.
    #[error("it has more than {MAX_PLACED} entries")]
    TooMany,
}

/// What a file says, and what was left out.
pub type Read = Result<(Placement, Vec<String>), InvalidPlacement>;

/// Reads a file when it looks like placement.
pub fn recognise(bytes: &[u8], text: &str) -> Option<Read> {
    let lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    let is_table = |it: &str| matches!(it.replace(' ', "").as_str(), "[[asset]]" | "[[conduit]]");
    if lines.take(200).any(is_table) {
        return Some(read_toml(text));
    }
    let headings: Vec<String> = sheet::headings(text, b',')?.iter().map(|it| it.to_lowercase()).collect();
    let has = |it: &str| headings.iter().any(|heading| heading == it);
    if has("asset") && has("zone") {
        return Some(read_csv(bytes, &ASSET_COLUMNS));
    }
    (has("from") && has("to")).then(|| read_csv(bytes, &CONDUIT_COLUMNS))
}

fn read_csv(bytes: &[u8], known: &'static [&'static str]) -> Read {
    let sheet = sheet::read(bytes, b',')?;
    let mut columns = Vec::new();
    for column in &sheet.columns {
        let lower = column.to_lowercase();
        columns.push(known.iter().find(|it| **it == lower).ok_or_else(|| {
            InvalidPlacement::UnknownColumn { column: shown(column, 60), known: known.join(", ") }
        })?);
    }
    let mut taken = Taken { skipped: sheet.skipped, ..Taken::default() };
    for (line, cells) in sheet.lines {
        let fields = columns.iter().zip(&cells).map(|(column, it)| (**column, it.as_str()));
        taken.take(&format!("line {line}"), known, &|wanted| {
            fields.clone().find(|it| it.0 == wanted).map(|it| it.1).filter(|it| !it.is_empty())
        })?;
    }
    taken.finish()
}

fn read_toml(text: &str) -> Read {
    let syntax = |why: &str| InvalidPlacement::Syntax(shown(why, 200));
    let file: toml::Table = text.parse().map_err(|it: toml::de::Error| syntax(it.message()))?;
    let mut taken = Taken::default();
    for (key, value) in &file {
        let known: &'static [&'static str] = match key.as_str() {
            "asset" => &ASSET_COLUMNS,
            "conduit" => &CONDUIT_COLUMNS,
            _ => {
                let known = "asset, conduit".to_owned();
                return Err(InvalidPlacement::UnknownColumn { column: shown(key, 60), known });
            }
        };
        let listed = value.as_array().ok_or_else(|| syntax("it is no list of tables"))?;
        for (number, entry) in listed.iter().enumerate() {
            let table = entry.as_table().ok_or_else(|| syntax("it is no list of tables"))?;
            if let Some(column) = table.keys().find(|it| !known.contains(&it.as_str())) {
                let (column, known) = (shown(column, 60), known.join(", "));
                return Err(InvalidPlacement::UnknownColumn { column, known });
            }
            if let Some(key) = table.iter().find(|it| !it.1.is_str()).map(|it| it.0) {
                taken.skipped.at(&format!("{} {}", shown(key, 20), number + 1), "it is not text");
                continue;
            }
            taken.take(&format!("{key} {}", number + 1), known, &|wanted| {
                table.get(wanted).and_then(toml::Value::as_str).map(str::trim).filter(|it| !it.is_empty())
            })?;
        }
    }
    taken.finish()
}

#[derive(Default)]
struct Taken {
    found: Placement,
    seen: BTreeSet<String>,
    skipped: Skipped,
}

impl Taken {
    fn take<'a>(
        &mut self,
        place: &str,
        known: &[&str],
        field: &impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), InvalidPlacement> {
        if self.found.assets.len() + self.found.conduits.len() == MAX_PLACED {
            return Err(InvalidPlacement::TooMany);
        }
        let long = known.iter().find(|it| field(it).is_some_and(|it| it.len() > MAX_VALUE));
        if let Some(long) = long {
            self.skipped.at(place, &format!("`{long}` is longer than {MAX_VALUE} bytes"));
        } else if known.contains(&"asset") {
            match placed(field) {
                Ok(placed) if self.seen.insert(placed.asset.clone()) => self.found.assets.push(placed),
                Ok(placed) => {
                    let why = format!("the asset `{}` was placed before", shown(&placed.asset, 80));
                    self.skipped.at(place, &why);
                }
                Err(why) => self.skipped.at(place, &why),
            }
        } else {
            match conduit(field) {
                Ok(conduit) => self.found.conduits.push(conduit),
                Err(why) => self.skipped.at(place, &why),
            }
        }
        Ok(())
    }

    fn finish(self) -> Read {
        if self.found.assets.is_empty() && self.found.conduits.is_empty() {
            return Err(InvalidPlacement::Empty(self.skipped.first().map(str::to_owned)));
        }
        Ok((self.found, self.skipped.into_lines()))
    }
}

fn placed<'a>(field: &impl Fn(&str) -> Option<&'a str>) -> Result<Placed, String> {
    let text = |name: &str| field(name).map(str::to_owned);
    let asset = text("asset").ok_or("`asset` is missing")?;
    if asset.chars().any(|it| it.is_control() || it == '/') {
        return Err("an asset's id has no slash and no control character".to_owned());
    }
    let level = match field("level") {
        None => None,
        Some(text) => {
            let why = || format!("the level `{}` is none of 0 to 5, such as 2 or 3.5", shown(text, 20));
            Some(Level::read(text).ok_or_else(why)?)
        }
    };
    Ok(Placed {
        asset,
        zone: text("zone"),
        level,
        role: text("role"),
        safety: word(field("safety_impact"), &[SAFETY, SAFETY_EARLIER])?,
        mission: word(field("mission_impact"), &[MISSION])?,
        criticality: text("criticality"),
        process_line: text("process_line"),
        owner: text("owner"),
        partner: text("partner"),
        location: text("location"),
        exposure: word(field("exposure"), &[EXPOSURE])?,
        exposure_reason: text("exposure_reason"),
    })
}

/// A word of one of the points, whatever its case and blanks.
fn word(text: Option<&str>, points: &[Point]) -> Result<Option<&'static str>, String> {
    let Some(text) = text else { return Ok(None) };
    let wanted = text.to_lowercase().replace([' ', '_'], "-");
    let mut words: Vec<&'static str> = Vec::new();
    for word in points.iter().flat_map(|it| it.values) {
        if !words.contains(word) {
            words.push(word);
        }
    }
    words.iter().find(|it| **it == wanted).map(|it| Some(*it)).ok_or_else(|| {
        let name = points.first().map_or("", |it| it.name);
        format!("`{}` is no {name}; use one of {}", shown(text, 40), words.join(", "))
    })
}

fn conduit<'a>(field: &impl Fn(&str) -> Option<&'a str>) -> Result<Conduit, String> {
    let text = |name: &str| field(name).map(str::to_owned);
    let both_ways = match field("direction").map(str::to_lowercase).as_deref() {
        // Nothing said is the worse of the two.
        None | Some("both") => true,
        Some("one-way") => false,
        Some(other) => {
            return Err(format!("the direction `{}` is neither one-way nor both", shown(other, 20)));
        }
    };
    let from = text("from").ok_or("`from` is missing")?;
    let to = text("to").ok_or("`to` is missing")?;
    if from == to {
        return Err("a conduit leads from one zone to another".to_owned());
    }
    Ok(Conduit { from, to, both_ways, protocols: text("protocols"), device: text("device") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSETS: &str = "\
zone,asset,level,Safety_Impact,mission_impact,exposure,exposure_reason,role
# control room
line-1,hmi-01,2,Critical,MEF failure,,,hmi
line-1,plc-07,1,hazardous,mission-failure,small,\"cabinet, locked\",
line-1,hmi-01,2,,,,,
line-1,hmi-02,7,,,,,
line-1,hmi-03,2,deadly,,,,
dmz,jump-01,3.5,,,,,
";

    fn read(text: &str) -> Read {
        recognise(text.as_bytes(), text).unwrap()
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_is_taken() {
        let (found, skipped) = read(ASSETS).unwrap();
        let ids: Vec<_> = found.assets.iter().map(|it| it.asset.as_str()).collect();
        assert_eq!(ids, ["hmi-01", "plc-07", "jump-01"]);
        assert_eq!(found.assets[0].mission, Some("mef-failure"));
        assert_eq!(found.assets[1].exposure_reason.as_deref(), Some("cabinet, locked"));
        assert_eq!(found.assets[2].level.unwrap().to_string(), "3.5");
        assert_eq!(
            skipped,
            [
                "line 5: the asset `hmi-01` was placed before",
                "line 6: the level `7` is none of 0 to 5, such as 2 or 3.5",
                "line 7: `deadly` is no safety_impact; use one of negligible, marginal, critical, \
                 catastrophic, none, minor, major, hazardous",
            ]
        );
    }

    #[test]
    fn toml_says_the_same_and_conduits_too() {
        let text = "[[asset]]\nasset = \"a\"\nzone = \"z\"\n[[conduit]]\nfrom = \"internet\"\nto = \"z\"\n\
                    direction = \"one-way\"\nprotocols = \"https\"\n[[conduit]]\nfrom = \"z\"\nto = \"z\"\n";
        let (found, skipped) = read(text).unwrap();
        assert_eq!((found.assets.len(), found.conduits.len(), skipped.len()), (1, 1, 1));
        assert!(!found.conduits[0].both_ways);
        let (found, _) = read("from,to,direction,protocols,device\na,b,,rdp,fw-1\n").unwrap();
        assert!(found.conduits[0].both_ways, "what is not said is the worse");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let refusal = |it: &str| read(it).unwrap_err().to_string();
        assert!(
            refusal("asset,zone,saftey_impact\na,b,c\n").starts_with("the column `saftey_impact` is not")
        );
        assert!(refusal("[[asset]]\nasset = \"a\"\nzoen = \"z\"\n").starts_with("the column `zoen` is not"));
        assert!(refusal("asset,zone\n").starts_with("it places no asset"));
        assert!(recognise(b"id,product\n", "id,product\n").is_none());
    }
}
