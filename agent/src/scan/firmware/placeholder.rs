//! Texts that vendors leave where a value belongs.

/// Texts that vendors leave where a value belongs; lower case.
const PLACEHOLDERS: [&str; 20] = [
    "to be filled by o.e.m.",
    "to be filled by oem",
    "default string",
    "default_string",
    "system serial number",
    "system product name",
    "system manufacturer",
    "system version",
    "base board serial number",
    "chassis serial number",
    "serial number",
    "not specified",
    "not applicable",
    "not available",
    "none",
    "n/a",
    "unknown",
    "invalid",
    "oem",
    "0123456789",
];

/// Identifiers that are the same on many boards; lower case, without dashes.
const SHARED_UUIDS: [&str; 3] = [
    // Boards whose vendor never set one.
    "03000200040005000006000700080009",
    "03020100050407060809101112131415",
    "fefefefefefefefefefefefefefefefe",
];

/// Whether a value says nothing about this one machine.
pub fn is_placeholder(value: &str) -> bool {
    let value = value.trim().to_lowercase();
    let compact: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    let first = compact.chars().next();
    let one_character = compact.chars().all(|it| Some(it) == first);
    compact.is_empty()
        || (one_character && matches!(first, Some('0' | 'f' | 'x')))
        || PLACEHOLDERS.contains(&value.as_str())
        || SHARED_UUIDS.contains(&compact.as_str())
        || "123456789012345678901234567890".starts_with(&compact) && compact.len() >= 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_placeholders_are_recognised_and_serials_are_not() {
        for text in [
            "",
            " ",
            "0",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "To Be Filled By O.E.M.",
            "Default string",
            "None",
            "123456789",
            "...........",
            "xxxxxx",
        ] {
            assert!(is_placeholder(text), "{text:?}");
        }
        for text in ["VMware-56 4d 2c", "SVPK1234567", "4C4C4544-0042-3510-8051-B4C04F313232", "1.0", "A"] {
            assert!(!is_placeholder(text), "{text:?}");
        }
    }
}
