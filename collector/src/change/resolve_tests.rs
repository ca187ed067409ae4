use super::*;
use crate::change::plan;

/// A zone as a table: id, name, role, tags, criticality, partner.
struct Zone(Vec<Known>);

impl Inventory for Zone {
    fn assets(&self) -> Vec<Known> {
        self.0.clone()
    }

    fn affected_by(&self, subject: &str) -> Vec<String> {
        match subject {
            "DSA-1" => vec!["hmi-01".into(), "hmi-02".into(), "retired-01".into()],
            "DSA-1/CVE-2" => vec!["hmi-02".into()],
            _ => Vec::new(),
        }
    }

    fn knows(&self, subject: &str) -> bool {
        subject.starts_with("DSA-")
    }

    fn has_change(&self, id: &str) -> bool {
        id == "CHG-0001"
    }
}

fn zone() -> Zone {
    let one = |id: &str, role: &str, tags: &[&str], criticality: &str, partner: &str| Known {
        id: id.to_owned(),
        name: format!("Name of {id}"),
        role: Some(role.to_owned()),
        tags: tags.iter().map(ToString::to_string).collect(),
        criticality: (!criticality.is_empty()).then(|| criticality.to_owned()),
        partner: (!partner.is_empty()).then(|| partner.to_owned()),
        has_agent: role != "controller",
    };
    let mut assets = vec![
        one("hist-01", "historian", &[], "low", ""),
        one("hmi-01", "hmi", &["line-1"], "medium", "Name of hmi-02"),
        one("hmi-02", "hmi", &["line-1"], "high", ""),
        one("hmi-03", "hmi", &["line-2"], "A1", ""),
        one("plc-07", "controller", &[], "critical", ""),
        one("twin-01", "bench", &[], "", ""),
        one("twin-02", "bench", &[], "", ""),
    ];
    for twin in assets.iter_mut().filter(|it| it.id.starts_with("twin")) {
        twin.name = "Twin".into();
    }
    Zone(assets)
}

/// Resolves stages, each a tier and its other keys.
fn resolved(stages: &[(&str, &str)]) -> Result<Vec<Vec<String>>, Vec<String>> {
    with_head("", stages)
}

fn with_head(head: &str, stages: &[(&str, &str)]) -> Result<Vec<Vec<String>>, Vec<String>> {
    let stage =
        |(tier, keys): &(&str, &str)| format!("[[stage]]\ntitle = \"t\"\ntier = \"{tier}\"\n{keys}\n");
    let stages: String = stages.iter().map(stage).collect();
    let text =
        format!("title = \"t\"\n{head}\n[[expectation]]\nid = \"a\"\nadvisory = \"DSA-1/CVE-9\"\n{stages}");
    let plan = plan::read(&text)?;
    resolve(&plan, &zone())
}

#[test]
fn words_of_a_plan_become_assets() {
    let table: &[(&str, &[&str])] = &[
        ("assets = [\"hmi-01\"]", &["hmi-01"]),
        ("assets = [\"name of HMI-01\", \"hist-01\"]", &["hist-01", "hmi-01"]),
        ("roles = [\"Bench\"]", &["twin-01", "twin-02"]),
        ("tags = [\"line-2\"]\nassets = [\"hmi-03\"]", &["hmi-03"]),
        ("affected_by = [\"DSA-1/CVE-2\"]", &["hmi-02"]),
        ("assets = [\"plc-07\"]", &["plc-07"]),
    ];
    for (keys, assets) in table {
        assert_eq!(resolved(&[("hmi", keys)]).unwrap(), [*assets], "{keys}");
    }
}

#[test]
fn each_fault_is_found() {
    let table: &[(&str, &str)] = &[
        ("assets = [\"hmi-9\"]", "stage[1].assets: there is no asset `hmi-9`"),
        (
            "assets = [\"twin\"]",
            "stage[1].assets: `twin` is the name of several assets: write one of twin-01, twin-02",
        ),
        ("assets = []", "stage[1]: it names no asset"),
        ("roles = [\"scada\"]", "stage[1].roles: no asset has the role `scada`"),
        ("tags = [\"LINE-1\"]", "stage[1].tags: no asset has the tag `LINE-1`"),
        ("affected_by = [\"DSA-7\"]", "stage[1].affected_by: `DSA-7` affects no asset now"),
        (
            "affected_by = [\"ICSA-1\"]",
            "stage[1].affected_by: no advisory or requirement `ICSA-1` was imported",
        ),
        (
            "tags = [\"line-1\"]",
            "stage[1]: `hmi-01` and `hmi-02` are redundancy partners: put them into two stages",
        ),
    ];
    for (keys, fault) in table {
        assert_eq!(resolved(&[("hmi", keys)]).unwrap_err(), [*fault], "{keys}");
    }
}

#[test]
fn stages_follow_the_order_of_the_plant() {
    let hist = ("supporting", "assets = [\"hist-01\"]");
    let medium = ("hmi", "assets = [\"hmi-01\"]");
    let high = ("hmi", "assets = [\"hmi-02\"]");
    let unknown = ("hmi", "assets = [\"hmi-03\"]");
    let controller = ("controllers", "assets = [\"plc-07\"]");
    assert!(resolved(&[hist, medium, high, controller]).is_ok());
    // A word that nobody ordered is before and after everything.
    assert!(resolved(&[medium, unknown, high]).is_ok());
    assert!(resolved(&[high, unknown]).is_ok());
    let faults = resolved(&[high, unknown, medium]).unwrap_err();
    assert_eq!(
        faults,
        ["stage[3]: its criticality is medium, and stage 1 before it is high: the least critical goes first"]
    );
    let faults = resolved(&[medium, controller, hist, high]).unwrap_err();
    assert_eq!(
        faults,
        [
            "stage[3].tier: supporting comes before controllers, and stage 2 is controllers already",
            "stage[4].tier: hmi comes before controllers, and stage 2 is controllers already",
        ]
    );
    // Criticality is compared within a tier alone.
    assert!(resolved(&[("supporting", "assets = [\"hmi-02\"]"), medium]).is_ok());
}

#[test]
fn every_fault_is_told_at_once() {
    let faults = with_head(
        "refers_to = \"CHG-9\"\n[[expectation]]\nid = \"b\"\nadvisory = \"RHSA-1/CVE-1\"",
        &[("hmi", "assets = [\"hmi-01\"]"), ("supporting", "assets = [\"hmi-01\", \"x\"]")],
    )
    .unwrap_err();
    assert_eq!(
        faults,
        [
            "refers_to: there is no change `CHG-9`",
            "expectation: no advisory or requirement `RHSA-1` was imported",
            "stage[2].assets: there is no asset `x`",
            "stage[2]: `hmi-01` is in stage 1 as well",
            "stage[2].tier: supporting comes before hmi, and stage 1 is hmi already",
        ]
    );
    assert!(with_head("refers_to = \"CHG-0001\"", &[("hmi", "assets = [\"hmi-01\"]")]).is_ok());
}

#[test]
fn faults_and_assets_are_bounded() {
    let names: Vec<String> = (0..500).map(|it| format!("\"none-{it}\"")).collect();
    let faults = resolved(&[("hmi", &format!("assets = [{}]", names.join(", ")))]).unwrap_err();
    assert_eq!((faults.len(), faults.last().unwrap().as_str()), (MAX_FAULTS, "and 301 more"));
    let many = (0..=MAX_ASSETS).map(|it| Known {
        id: format!("a{it}"),
        name: format!("a{it}"),
        role: Some("hmi".into()),
        ..Known::default()
    });
    let text = "title = \"t\"\n[[expectation]]\nid = \"a\"\nrestarted = true\n\
                [[stage]]\ntitle = \"t\"\ntier = \"hmi\"\nroles = [\"hmi\"]\n";
    let faults = resolve(&plan::read(text).unwrap(), &Zone(many.collect())).unwrap_err();
    assert_eq!(faults, ["stage: 10001 assets are meant, over the limit of 10000"]);
}
