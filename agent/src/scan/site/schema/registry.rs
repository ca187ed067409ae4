//! Which value of the registry a site may name.

use super::MAX_LENGTH;

/// Keys below which secrets are kept, in lower case.
const SECRET_KEYS: [&str; 6] = [
    r"hklm\sam",
    r"hklm\security",
    r"hklm\system\currentcontrolset\control\lsa\jd",
    r"hklm\system\currentcontrolset\services\snmp\parameters\validcommunities",
    r"hklm\software\microsoft\windows nt\currentversion\winlogon\credentials",
    r"hklm\software\microsoft\wbem\cimom\secrets",
];
/// Words in the names of values that are secrets: the agent says never what they hold.
const SECRET_VALUES: [&str; 8] =
    ["password", "passwd", "pwd", "secret", "passphrase", "privatekey", "presharedkey", "credential"];

/// A key with `HKLM` or `HKU` in front and its value, or why it is none.
pub(super) fn checked(key: Option<String>, value: Option<String>) -> Result<(String, String), String> {
    let key = key.ok_or("`key` is missing")?;
    let value = value.unwrap_or_default();
    let (hive, rest) = key.split_once('\\').ok_or("`key` is HKLM or HKU and a path with `\\`")?;
    let hive = match hive.to_ascii_uppercase().as_str() {
        "HKLM" | "HKEY_LOCAL_MACHINE" => "HKLM",
        "HKU" | "HKEY_USERS" => "HKU",
        _ => return Err("`key` starts with HKLM or HKU".to_owned()),
    };
    let is_plain = |it: &str| !it.is_empty() && !it.contains('*') && !it.chars().any(char::is_control);
    if key.len() > MAX_LENGTH || value.len() > MAX_LENGTH || !rest.split('\\').all(is_plain) {
        return Err("`key` has empty parts, stars or is too long".to_owned());
    }
    if value.chars().any(char::is_control) {
        return Err("`value` is no name of a value".to_owned());
    }
    let key = format!("{hive}\\{rest}");
    let folded = key.to_lowercase();
    let is_below =
        |it: &&str| folded == **it || folded.strip_prefix(*it).is_some_and(|it| it.starts_with('\\'));
    let name = value.to_lowercase();
    let is_secret = SECRET_KEYS.iter().any(is_below) || SECRET_VALUES.iter().any(|it| name.contains(it));
    if is_secret {
        return Err(format!("{key}\\{value} is a secret and is never read"));
    }
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &str) -> Result<(String, String), String> {
        checked(Some(key.to_owned()), Some(value.to_owned()))
    }

    #[test]
    fn a_key_is_a_hive_and_a_path() {
        assert_eq!(
            check(r"HKEY_LOCAL_MACHINE\SOFTWARE\Plant", "Line"),
            Ok((r"HKLM\SOFTWARE\Plant".to_owned(), "Line".to_owned()))
        );
        for key in [r"HKCU\Software", "HKLM", r"HKLM\", r"HKLM\a\\b", r"HKLM\a\*", "HKLM/Software"] {
            assert!(check(key, "x").is_err(), "{key}");
        }
        assert!(checked(None, None).is_err());
    }

    #[test]
    fn secrets_are_never_read() {
        for (key, value) in [
            (r"HKLM\SAM\SAM\Domains", "F"),
            (r"hklm\security", ""),
            (r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon", "DefaultPassword"),
            (r"HKLM\SOFTWARE\TightVNC\Server", "PasswordViewOnly"),
            (r"HKLM\SYSTEM\CurrentControlSet\Services\SNMP\Parameters\ValidCommunities", "public"),
        ] {
            assert!(check(key, value).is_err_and(|it| it.contains("secret")), "{key}");
        }
        assert!(check(r"HKLM\SAMPLE\Security", "x").is_ok(), "a name that only begins alike");
    }
}
