//! English names of audit subcategories: Windows names them in its own language, and its numbers are the
//! same everywhere (MS-GPAC 2.2.1.1, `ntsecapi.h`).

/// All of them end like this.
const TAIL: &str = "-69ae-11d9-bed3-505054503030";

/// The last two digits of the first part, and the name.
const NAMES: [(&str, &str); 59] = [
    ("10", "Security State Change"),
    ("11", "Security System Extension"),
    ("12", "System Integrity"),
    ("13", "IPsec Driver"),
    ("14", "Other System Events"),
    ("15", "Logon"),
    ("16", "Logoff"),
    ("17", "Account Lockout"),
    ("18", "IPsec Main Mode"),
    ("19", "IPsec Quick Mode"),
    ("1a", "IPsec Extended Mode"),
    ("1b", "Special Logon"),
    ("1c", "Other Logon/Logoff Events"),
    ("1d", "File System"),
    ("1e", "Registry"),
    ("1f", "Kernel Object"),
    ("20", "SAM"),
    ("21", "Certification Services"),
    ("22", "Application Generated"),
    ("23", "Handle Manipulation"),
    ("24", "File Share"),
    ("25", "Filtering Platform Packet Drop"),
    ("26", "Filtering Platform Connection"),
    ("27", "Other Object Access Events"),
    ("28", "Sensitive Privilege Use"),
    ("29", "Non Sensitive Privilege Use"),
    ("2a", "Other Privilege Use Events"),
    ("2b", "Process Creation"),
    ("2c", "Process Termination"),
    ("2d", "DPAPI Activity"),
    ("2e", "RPC Events"),
    ("2f", "Audit Policy Change"),
    ("30", "Authentication Policy Change"),
    ("31", "Authorization Policy Change"),
    ("32", "MPSSVC Rule-Level Policy Change"),
    ("33", "Filtering Platform Policy Change"),
    ("34", "Other Policy Change Events"),
    ("35", "User Account Management"),
    ("36", "Computer Account Management"),
    ("37", "Security Group Management"),
    ("38", "Distribution Group Management"),
    ("39", "Application Group Management"),
    ("3a", "Other Account Management Events"),
    ("3b", "Directory Service Access"),
    ("3c", "Directory Service Changes"),
    ("3d", "Directory Service Replication"),
    ("3e", "Detailed Directory Service Replication"),
    ("3f", "Credential Validation"),
    ("40", "Kerberos Service Ticket Operations"),
    ("41", "Other Account Logon Events"),
    ("42", "Kerberos Authentication Service"),
    ("43", "Network Policy Server"),
    ("44", "Detailed File Share"),
    ("45", "Removable Storage"),
    ("46", "Central Policy Staging"),
    ("47", "User/Device Claims"),
    ("48", "Plug and Play Events"),
    ("49", "Group Membership"),
    ("4a", "Token Right Adjusted Events"),
];

/// The name of a subcategory, or its number where none is known.
pub(super) fn of(subcategory: &str) -> String {
    let known = subcategory.strip_prefix("0cce92").and_then(|it| it.strip_suffix(TAIL));
    let name = known.and_then(|known| NAMES.iter().find(|(it, _)| *it == known));
    name.map_or_else(|| subcategory.to_owned(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_number_has_its_name_and_a_strange_one_stays_itself() {
        assert_eq!(of("0cce9215-69ae-11d9-bed3-505054503030"), "Logon");
        assert_eq!(of("0cce92ff-69ae-11d9-bed3-505054503030"), "0cce92ff-69ae-11d9-bed3-505054503030");
        assert_eq!(of(""), "");
    }
}
