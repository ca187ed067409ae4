//! Where assets stand: `placement`. Its CSV is what `import` reads.

use holdpoint_collector::knowledge::placement::{ASSET_COLUMNS, CONDUIT_COLUMNS};
use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{joined, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// A person's words about an asset beside the machine's.
#[derive(Debug, Serialize)]
pub struct Placed {
    asset: String,
    zone: Option<String>,
    level: Option<String>,
    role: Option<String>,
    safety_impact: Option<String>,
    mission_impact: Option<String>,
    criticality: Option<String>,
    process_line: Option<String>,
    owner: Option<String>,
    partner: Option<String>,
    location: Option<String>,
    exposure: Option<String>,
    exposure_reason: Option<String>,
    file: Option<String>,
    imported: Option<String>,
    imported_by: Option<String>,
    enrolled: bool,
    own_role: Option<String>,
    own_level: Option<u32>,
    conflicts: Vec<String>,
    exposure_counts_as: Vec<String>,
    exposure_source: Option<String>,
}

impl From<pb::PlacedAsset> for Placed {
    fn from(wire: pb::PlacedAsset) -> Self {
        let pb::PlacedAsset {
            asset,
            zone,
            level,
            role,
            safety_impact,
            mission_impact,
            criticality,
            process_line,
            owner,
            partner,
            location,
            exposure,
            exposure_reason,
            file,
            imported_ms,
            imported_by,
            enrolled,
            own_role,
            own_level,
            conflicts,
            exposure_counts_as,
            exposure_source,
        } = wire;
        Self {
            asset,
            zone: some_text(zone),
            level: some_text(level),
            role: some_text(role),
            safety_impact: some_text(safety_impact),
            mission_impact: some_text(mission_impact),
            criticality: some_text(criticality),
            process_line: some_text(process_line),
            owner: some_text(owner),
            partner: some_text(partner),
            location: some_text(location),
            exposure: some_text(exposure),
            exposure_reason: some_text(exposure_reason),
            file: some_text(file),
            imported: imported_ms.and_then(time),
            imported_by: some_text(imported_by),
            enrolled,
            own_role: some_text(own_role),
            own_level,
            conflicts,
            exposure_counts_as,
            exposure_source: text(exposure_source),
        }
    }
}

impl Answer for Vec<Placed> {
    fn page(&self) -> Page {
        let mut table = Table::new([
            "asset",
            "zone",
            "level",
            "role",
            "own_role",
            "safety_impact",
            "mission_impact",
            "exposure_counts_as",
            "exposure_source",
            "enrolled",
            "conflicts",
            "file",
        ]);
        for it in self {
            table.row([
                Some(it.asset.clone()),
                it.zone.clone(),
                it.level.clone(),
                it.role.clone(),
                it.own_role.clone(),
                it.safety_impact.clone(),
                it.mission_impact.clone(),
                joined(&it.exposure_counts_as),
                it.exposure_source.clone(),
                Some(it.enrolled.to_string()),
                joined(&it.conflicts),
                it.file.clone(),
            ]);
        }
        Page::of(table.dense()).or_line("no asset is placed: import a placement CSV")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(ASSET_COLUMNS);
        for it in self.iter().filter(|it| it.file.is_some()) {
            table.row([
                Some(it.asset.clone()),
                it.zone.clone(),
                it.level.clone(),
                it.role.clone(),
                it.safety_impact.clone(),
                it.mission_impact.clone(),
                it.criticality.clone(),
                it.process_line.clone(),
                it.owner.clone(),
                it.partner.clone(),
                it.location.clone(),
                it.exposure.clone(),
                it.exposure_reason.clone(),
            ]);
        }
        table
    }
}

/// A permitted path between two zones.
#[derive(Debug, Serialize)]
pub struct Conduit {
    from: String,
    to: String,
    direction: &'static str,
    protocols: Option<String>,
    device: Option<String>,
    file: String,
}

impl From<pb::Conduit> for Conduit {
    fn from(wire: pb::Conduit) -> Self {
        let pb::Conduit { from, to, both_ways, protocols, device, file } = wire;
        let direction = if both_ways { "both" } else { "one-way" };
        Self { from, to, direction, protocols: some_text(protocols), device: some_text(device), file }
    }
}

impl Answer for Vec<Conduit> {
    fn page(&self) -> Page {
        Page::of(self.records().dense()).or_line("no conduit is named: exposure is open to every value")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(CONDUIT_COLUMNS);
        for it in self {
            table.row([
                Some(it.from.clone()),
                Some(it.to.clone()),
                Some(it.direction.to_owned()),
                it.protocols.clone(),
                it.device.clone(),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_collector::knowledge::placement;
    use proptest::prelude::*;

    use super::*;
    use crate::args::Format;
    use crate::output::Output;

    fn csv<T>(answer: &T) -> placement::Placement
    where
        T: Answer,
    {
        let text = Output::plain(Format::Csv, None).render(answer).unwrap();
        placement::recognise(text.as_bytes(), &text).unwrap().unwrap().0
    }

    proptest! {
        #[test]
        fn what_is_written_as_csv_is_imported_as_the_same(
            location in "[=+@-]?[A-Za-z0-9,;\"' .]{0,20}[a-z]",
            level in prop::sample::select(vec!["0", "2", "3.5", "5"]),
            safety in prop::sample::select(vec!["negligible", "catastrophic", "hazardous"]),
        ) {
            let sent = pb::PlacedAsset {
                asset: "hmi-01".into(),
                zone: Some("line, 1".into()),
                level: Some(level.into()),
                safety_impact: Some(safety.into()),
                exposure: Some("controlled".into()),
                location: Some(location.clone()),
                file: Some("p.csv".into()),
                conflicts: vec!["role".into()],
                ..pb::PlacedAsset::default()
            };
            let unplaced = pb::PlacedAsset { asset: "hmi-02".into(), ..pb::PlacedAsset::default() };
            let read = csv(&[sent, unplaced].map(Placed::from).into_iter().collect::<Vec<_>>());
            prop_assert_eq!(read.assets.len(), 1, "what nobody placed is not placed by a round trip");
            let back = &read.assets[0];
            prop_assert_eq!(back.zone.as_deref(), Some("line, 1"));
            prop_assert_eq!(back.level.map(|it| it.to_string()), Some(level.to_owned()));
            prop_assert_eq!((back.safety, back.exposure), (Some(safety), Some("controlled")));
            prop_assert_eq!(back.location.as_deref(), Some(location.trim()));
        }
    }

    #[test]
    fn conduits_make_the_same_way() {
        let sent = |both_ways| pb::Conduit {
            from: "dmz".into(),
            to: "line-1".into(),
            both_ways,
            protocols: Some("rdp, https".into()),
            ..pb::Conduit::default()
        };
        let read = csv(&[sent(true), sent(false)].map(Conduit::from).into_iter().collect::<Vec<_>>());
        assert_eq!(read.conduits.iter().map(|it| it.both_ways).collect::<Vec<_>>(), [true, false]);
        assert_eq!(read.conduits[0].protocols.as_deref(), Some("rdp, https"));
    }
}
