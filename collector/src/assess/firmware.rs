//! Firmware rows as installed things, so that the product map can speak of them.
//!
//! A controller, a drive or a management processor is a product of an advisory like any program: its name is the
//! component's or the model's, its publisher the vendor, its version the firmware's. The model stands where an
//! installer's code would, because it is the exact key of hardware: often the order number.

use holdpoint_common::proto::v1::SoftwareRow;
use holdpoint_common::row::FirmwareRow;
use prost::Message;

use super::map_rules::FIRMWARE;

/// Kinds that are settings and keys, not products.
const NO_PRODUCTS: [&str; 2] = ["secure-boot", "secure-boot-key"];

/// Firmware rows in the form of software rows.
pub(super) fn as_software(rows: &[Vec<u8>]) -> Vec<Vec<u8>> {
    rows.iter().filter_map(|it| FirmwareRow::decode(it.as_slice()).ok()).filter_map(one).collect()
}

fn one(row: FirmwareRow) -> Option<Vec<u8>> {
    let FirmwareRow { kind, name, vendor, model, version, state, .. } = row;
    if NO_PRODUCTS.contains(&kind.as_str()) || state.as_deref() == Some("absent") {
        return None;
    }
    let row = SoftwareRow {
        name: model.clone().or(name)?,
        version,
        source: FIRMWARE.to_owned(),
        publisher: vendor,
        product_code: model,
        ..SoftwareRow::default()
    };
    Some(row.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_installed_under_its_model_and_an_empty_place_is_not() {
        let row = |kind: &str, state: Option<&str>| {
            let row = FirmwareRow {
                kind: kind.into(),
                name: Some("slot 3".into()),
                model: Some("1756-EN2T Series A".into()),
                vendor: Some("Rockwell Automation".into()),
                version: Some("5.009".into()),
                state: state.map(Into::into),
                ..FirmwareRow::default()
            };
            row.encode_to_vec()
        };
        let found = as_software(&[
            row("device", None),
            row("device", Some("absent")),
            row("secure-boot", None),
            vec![9],
        ]);
        let [only] = found.as_slice() else { panic!("{found:?}") };
        let row = SoftwareRow::decode(only.as_slice()).unwrap();
        assert_eq!((row.name.as_str(), row.source.as_str()), ("1756-EN2T Series A", "firmware"));
        assert_eq!(
            (row.version.as_deref(), row.publisher.as_deref()),
            (Some("5.009"), Some("Rockwell Automation"))
        );
    }
}
