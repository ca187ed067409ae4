//! The skeleton of a plan: what an advisory affects, in an order that the collector will take, for a person to
//! complete. Tiers are guessed from roles, and the file says so.

use std::collections::BTreeMap;
use std::fmt::Write;

use holdpoint_collector::change::plan::Tier;
use toml::Value;

/// Words of criticality in their order.
const CRITICALITIES: [&str; 4] = ["low", "medium", "high", "critical"];
/// Parts of roles by which a controller is known.
const CONTROLLERS: [&str; 5] = ["plc", "controller", "rtu", "ied", "safety"];
/// Parts of roles by which what operators see is known.
const STATIONS: [&str; 5] = ["hmi", "scada", "operator", "station", "view"];

/// An asset that is affected.
#[derive(Debug, Clone, Default)]
pub struct Affected {
    /// Its identifier.
    pub id: String,
    /// Its role.
    pub role: Option<String>,
    /// How critical it is, in the site's words.
    pub criticality: Option<String>,
    /// The asset that takes over.
    pub partner: Option<String>,
}

/// Where a stage stands: tier, criticality, and the half of redundant pairs.
type Place = (Tier, usize, usize);

/// The text of a plan that lacks what only persons know.
pub fn skeleton(subject: &str, title: &str, affected: &[Affected]) -> String {
    let mut text = format!(
        "# What {subject} affected on the day of writing. Complete it, then `holdpoint change new -f` this file.\n\
         # deploy/config/change/plan.toml explains every key.\n\n\
         title = {}\n\n{BOARD}\n\
         [[expectation]]\nid = \"fixed\"\nadvisory = {}\n\n\
         # Tiers are guessed from roles: supporting, hmi, controllers. Look them over.\n",
        quoted(title),
        quoted(subject),
        subject = subject.replace(char::is_control, " "),
    );
    for ((tier, criticality, half), assets) in stages(affected) {
        let word = CRITICALITIES.get(criticality.wrapping_sub(1));
        let word = word.map_or_else(String::new, |it| format!(", {it} criticality"));
        let half = if half == 0 { "" } else { ", redundancy partners" };
        let title = format!("{}{word}{half}", tier.as_str());
        let assets: Vec<String> = assets.into_iter().map(quoted).collect();
        // A string takes whatever is written to it.
        let _ = write!(
            text,
            "\n[[stage]]\ntitle = {}\ntier = {}\nassets = [{}]\n",
            quoted(&title),
            quoted(tier.as_str()),
            assets.join(", ")
        );
    }
    text
}

/// What `change submit` asks for.
const BOARD: &str = "\
# The board needs all of this before it can sign; remove the marks and fill it in.
# [window]
# start = 2027-03-04T06:00:00Z
# latest_rollback = 2027-03-04T09:00:00Z
# hard_stop = 2027-03-04T10:00:00Z
# end = 2027-03-04T10:30:00Z
# [rollback]
# procedure = \"\"
# verified_by = \"\"
# [backup]
# place = \"\"
# sha256 = \"\"
# taken = 2027-03-03T20:00:00Z
# restore_tested = 2027-03-04T04:00:00Z
# [safety_review]
# by = \"\"
# summary = \"\"
# [package]
# source = \"\"
# sha256 = \"\"
# signature = \"\"
";

fn stages(affected: &[Affected]) -> BTreeMap<Place, Vec<&str>> {
    let mut stages: BTreeMap<Place, Vec<&str>> = BTreeMap::new();
    for it in affected {
        let tier = tier(it.role.as_deref().unwrap_or_default());
        // Where nobody said how critical an asset is, nothing is compared, and it comes first.
        let criticality = it.criticality.as_deref().and_then(|word| {
            CRITICALITIES.iter().position(|it| it.eq_ignore_ascii_case(word.trim())).map(|it| it + 1)
        });
        let place = (tier, criticality.unwrap_or(0), 0);
        let is_partner = |other: &&str| {
            let other = affected.iter().find(|it| it.id == **other);
            other.is_some_and(|two| {
                two.partner.as_deref() == Some(&it.id) || it.partner.as_deref() == Some(&two.id)
            })
        };
        let beside = stages.get(&place).is_some_and(|stage| stage.iter().any(is_partner));
        stages.entry((place.0, place.1, usize::from(beside))).or_default().push(&it.id);
    }
    stages
}

fn tier(role: &str) -> Tier {
    let role = role.to_lowercase();
    let is_one_of = |words: &[&str]| words.iter().any(|it| role.contains(it));
    match () {
        () if is_one_of(&CONTROLLERS) => Tier::Controllers,
        () if is_one_of(&STATIONS) => Tier::Hmi,
        () => Tier::Supporting,
    }
}

/// Text as TOML writes it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use holdpoint_collector::change::plan;

    use super::*;

    fn affected(id: &str, role: &str, criticality: &str, partner: Option<&str>) -> Affected {
        Affected {
            id: id.into(),
            role: Some(role.into()),
            criticality: Some(criticality.into()),
            partner: partner.map(Into::into),
        }
    }

    #[test]
    fn a_skeleton_is_read_as_a_plan_in_the_order_of_the_plant() {
        let all = [
            affected("hmi-01", "hmi", "high", Some("hmi-02")),
            affected("hmi-02", "hmi", "high", None),
            affected("hmi-03", "HMI", "low", None),
            affected("plc-07", "plc", "critical", None),
            affected("hist-01", "historian", "A1", None),
        ];
        let text = skeleton("DSA-1", "A \"title\"\nof two lines", &all[..]);
        let faults = plan::read(&text).unwrap_err();
        assert!(matches!(faults.as_slice(), [one] if one.starts_with("title: ")), "{faults:?}");
        let plan = plan::read(&skeleton("DSA-1", "A \"title\"", &all)).unwrap();
        assert_eq!(plan.title, "A \"title\"");
        assert_eq!(plan.missing().len(), 12, "the board asks for what only persons know");
        let stages: Vec<_> = plan.stages.iter().map(|it| (it.tier, it.targets.assets.join(" "))).collect();
        assert_eq!(
            stages,
            [
                (Tier::Supporting, "hist-01".to_owned()),
                (Tier::Hmi, "hmi-03".to_owned()),
                (Tier::Hmi, "hmi-01".to_owned()),
                (Tier::Hmi, "hmi-02".to_owned()),
                (Tier::Controllers, "plc-07".to_owned()),
            ]
        );
    }

    #[test]
    fn what_the_board_asks_for_can_be_uncommented() {
        let text = skeleton("DSA-1", "t", &[affected("a", "hmi", "low", None)]);
        let filled: String = text
            .lines()
            .map(|it| match it.strip_prefix("# ") {
                Some(line) if line.starts_with('[') || line.contains(" = ") => {
                    let digest = "ab".repeat(32);
                    let value = if line.starts_with("sha256") { digest.as_str() } else { "x" };
                    line.replace("\"\"", &format!("\"{value}\"")) + "\n"
                }
                _ => format!("{it}\n"),
            })
            .collect();
        assert_eq!(plan::read(&filled).unwrap().missing(), Vec::<&str>::new(), "{filled}");
    }
}
