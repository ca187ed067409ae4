//! What the rows of each section are, and their limits.
//!
//! The row types are the wire's own: a row is defined once, in `rows.proto`. This module adds
//! which section a row belongs to, when it is too large, and how rows become JSON.

use prost::Message;
use serde_json::Value;

use crate::proto::v1;
pub use crate::proto::v1::{
    AccountRow, Coverage, FirmwareRow, HardeningRow, IdentityPart, ListenerRow, LiveRow, PlatformRow,
    SectionKind, SelfRow, ServiceRow, SoftwareRow, TextList, UpdateRow, hardening_row,
};

/// Largest encoded row, in bytes.
pub const MAX_ROW: usize = 16 * 1024;

/// A row of one kind of section.
pub trait Row: Message + Default + serde::Serialize {
    /// The section that holds such rows.
    const KIND: SectionKind;
}

macro_rules! rows {
    ($($row:ident => $kind:ident),+ $(,)?) => {
        $(impl Row for $row { const KIND: SectionKind = SectionKind::$kind; })+

        /// Decodes a row of a section for people and programs to read.
        ///
        /// # Errors
        /// The bytes are no message of that kind, or this version knows no rows of that kind.
        pub fn to_json(kind: SectionKind, row: &[u8]) -> Result<Value, InvalidRow> {
            match kind {
                $(SectionKind::$kind => json::<$row>(row),)+
                SectionKind::Unspecified | SectionKind::Devices => Err(InvalidRow::UnknownKind),
            }
        }
    };
}

rows! {
    PlatformRow => Platform,
    FirmwareRow => Firmware,
    SoftwareRow => Software,
    UpdateRow => Updates,
    ServiceRow => Services,
    ListenerRow => Listeners,
    AccountRow => Accounts,
    LiveRow => Live,
    HardeningRow => Hardening,
    SelfRow => Self_,
}

/// A row cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRow {
    /// Not a message of the expected kind.
    #[error("the row is not a message of its section's kind")]
    Decode(#[from] prost::DecodeError),
    /// A decoded row could not become JSON.
    #[error("the row cannot be shown as JSON")]
    Json(#[from] serde_json::Error),
    /// A newer agent's section.
    #[error("this version knows no rows of that section")]
    UnknownKind,
}

fn json<R: Row>(row: &[u8]) -> Result<Value, InvalidRow> {
    Ok(serde_json::to_value(R::decode(row)?)?)
}

/// Every section that this version reports, in the order in which it is shown.
pub const REPORTED: [SectionKind; 10] = [
    SectionKind::Platform,
    SectionKind::Firmware,
    SectionKind::Software,
    SectionKind::Updates,
    SectionKind::Services,
    SectionKind::Listeners,
    SectionKind::Accounts,
    SectionKind::Live,
    SectionKind::Hardening,
    SectionKind::Self_,
];

/// The section's name in JSON, on the command line and in messages.
pub fn section_name(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Unspecified => "unspecified",
        SectionKind::Platform => "platform",
        SectionKind::Firmware => "firmware",
        SectionKind::Software => "software",
        SectionKind::Updates => "updates",
        SectionKind::Services => "services",
        SectionKind::Listeners => "listeners",
        SectionKind::Accounts => "accounts",
        SectionKind::Live => "live",
        SectionKind::Hardening => "hardening",
        SectionKind::Devices => "devices",
        SectionKind::Self_ => "self",
    }
}

/// The section of that name.
pub fn section_named(name: &str) -> Option<SectionKind> {
    (1..=11).filter_map(|it| SectionKind::try_from(it).ok()).find(|&it| section_name(it) == name)
}

/// The status as it is printed; `None` for the value that no peer may send.
pub fn status_name(status: v1::SectionStatus) -> Option<&'static str> {
    match status {
        v1::SectionStatus::Unspecified => None,
        v1::SectionStatus::Complete => Some("complete"),
        v1::SectionStatus::Partial => Some("partial"),
        v1::SectionStatus::Failed => Some("failed"),
        v1::SectionStatus::Unsupported => Some("unsupported"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_fields_are_null_and_never_empty_text() {
        let row = SoftwareRow { name: "zlib1g".into(), source: "dpkg".into(), ..Default::default() };
        let value = to_json(SectionKind::Software, &row.encode_to_vec()).unwrap();
        assert_eq!(value["name"], "zlib1g");
        assert!(value["version"].is_null());
    }

    #[test]
    fn a_facts_value_is_shown_as_itself() {
        use hardening_row::Value::{Flag, List, Number, Text};
        let shown = |value| {
            let row = HardeningRow { id: "a.b".into(), value, ..Default::default() };
            to_json(SectionKind::Hardening, &row.encode_to_vec()).unwrap()["value"].clone()
        };
        assert_eq!(shown(Some(Flag(false))), false);
        assert_eq!(shown(Some(Number(2))), 2);
        assert_eq!(shown(Some(Text("no".into()))), "no");
        let items = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(shown(Some(List(TextList { items }))), serde_json::json!(["a", "b"]));
        assert!(shown(None).is_null());
    }

    #[test]
    fn every_section_has_its_own_name() {
        for kind in REPORTED {
            assert_eq!(section_named(section_name(kind)), Some(kind));
        }
        assert_eq!(section_named("unspecified"), None);
    }
}
