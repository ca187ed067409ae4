use super::super::hive::written::{self, hive, key, opened};
use crate::host::Host;
use crate::host::registry::{Data, Registry};
use crate::scan::look::tests::agent;
use std::fs;
use std::io;
use std::path::Path;
use tempfile::TempDir;

const CONFIG: &str = "WINDOWS/system32/config";

fn put(dir: &Path, path: &str, bytes: &[u8]) {
    let file = dir.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}

fn path_of(parts: &[&str], last: written::Key) -> written::Key {
    parts.iter().rev().fold(last, |below, name| key(name).below(below))
}

fn profile(sid: &str, path: &str) -> written::Key {
    key(sid).value("ProfileImagePath", 2, &written::wide(&format!("{path}\0")))
}

/// A mounted Windows whose names are in another case than Windows' own documentation has them.
fn machine() -> (TempDir, Registry) {
    let dir = tempfile::tempdir().unwrap();
    let list = key("ProfileList")
        .below(profile("S-1-5-18", r"%systemroot%\system32\config\systemprofile"))
        .below(profile("S-1-5-19", r"%systemroot%\ServiceProfiles\LocalService"))
        .below(profile("S-1-5-21-1-2-3-1001", r"C:\Users\operator"))
        .below(profile("S-1-5-21-1-2-3-1002", r"D:\Profiles\other"))
        .below(profile("S-1-5-21-1-2-3-1003", r"%SystemDrive%\Users\gone"));
    let version = key("CurrentVersion").text("SystemRoot", r"C:\WINDOWS").below(list);
    let target = r"\Registry\Machine\Software\Classes";
    let software = key("ROOT")
        .below(path_of(&["Microsoft", "Windows NT"], version))
        .below(key("Classes").below(key(".plc").text("", "Step7")))
        .below(
            key("WOW6432Node")
                .below(key("Classes").link(target))
                .below(key("Loop").link(r"\REGISTRY\MACHINE\SOFTWARE\WOW6432Node\Loop"))
                .below(key("Sam").link(r"\REGISTRY\MACHINE\SAM\SAM")),
        );
    let service = |start| path_of(&["Services", "Tcpip"], key("Parameters").number("Start", start));
    let system = key("ROOT")
        .below(key("ControlSet001").below(service(1)))
        .below(key("ControlSet002").below(service(2)))
        .below(key("Select").number("Current", 2));
    put(dir.path(), &format!("{CONFIG}/software"), &hive(&software));
    put(dir.path(), &format!("{CONFIG}/System"), &hive(&system));
    put(dir.path(), &format!("{CONFIG}/DEFAULT"), &hive(&key("ROOT").below(key("Environment"))));
    put(dir.path(), &format!("{CONFIG}/SAM"), &hive(&key("ROOT").below(key("SAM"))));
    let user = key("ROOT").below(key("Software").below(key("Vendor").text("Edition", "Runtime")));
    put(dir.path(), "users/Operator/ntuser.dat", &hive(&user));
    put(dir.path(), "windows/nothing", b"");
    put(dir.path(), "WINDOWS/ServiceProfiles/LocalService/NTUSER.DAT", &hive(&key("ROOT").below(key("Own"))));
    let registry = Host::captured(dir.path(), agent()).registry.unwrap();
    (dir, registry)
}

#[test]
fn hives_are_one_registry() {
    let (_dir, registry) = machine();
    assert_eq!(registry.keys("HKLM").unwrap(), ["SOFTWARE", "SYSTEM"]);
    assert_eq!(registry.keys(r"HKLM\System").unwrap(), ["ControlSet001", "ControlSet002", "Select"]);
    let key = r"HKLM\SYSTEM\CurrentControlSet\Services\tcpip\Parameters";
    assert_eq!(registry.value(key, "start").unwrap(), Data::Number(2));
    assert!(registry.written(key).unwrap() > std::time::SystemTime::UNIX_EPOCH);
    assert_eq!(registry.gap(key), None);
    assert_eq!(registry.keys(r"HKLM\HARDWARE").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn users_are_found_by_their_profiles() {
    let (_dir, registry) = machine();
    let users = [".DEFAULT", "S-1-5-18", "S-1-5-19", "S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1002"];
    assert_eq!(registry.keys("HKU").unwrap(), users, "a profile without its file is nobody");
    assert_eq!(registry.keys(r"HKU\.default").unwrap(), ["Environment"]);
    assert_eq!(registry.keys(r"HKU\S-1-5-18").unwrap(), ["Environment"]);
    assert_eq!(registry.keys(r"HKU\S-1-5-19").unwrap(), ["Own"]);
    let edition = registry.value(r"HKU\S-1-5-21-1-2-3-1001\SOFTWARE\vendor", "Edition").unwrap();
    assert_eq!(edition, Data::Text("Runtime".into()));
    let error = registry.keys(r"HKU\S-1-5-21-1-2-3-1002").unwrap_err();
    assert_eq!(error.to_string(), r#"the profile "D:\\Profiles\\other" is not on the drive of Windows (C:)"#);
    assert_eq!(registry.keys(r"HKU\S-1-5-21-9").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn links_are_followed_to_keys_and_never_to_secrets() {
    let (_dir, registry) = machine();
    let node = r"HKLM\SOFTWARE\WOW6432Node";
    assert_eq!(registry.value(&format!(r"{node}\Classes\.PLC"), "").unwrap(), Data::Text("Step7".into()));
    assert_eq!(registry.keys(&format!(r"{node}\classes")).unwrap(), [".plc"]);
    let error = |key: &str| registry.keys(&format!(r"{node}\{key}")).unwrap_err().to_string();
    assert!(error("Loop\\x").contains("more than 8 links"), "{}", error("Loop\\x"));
    assert!(error("Sam").contains("never reads"), "{}", error("Sam"));
    for key in [r"HKLM\SAM", r"HKLM\SAM\SAM", r"hklm\security\Policy"] {
        assert!(registry.keys(key).unwrap_err().to_string().contains("never reads"), "{key}");
    }
}

#[test]
fn a_broken_hive_breaks_its_own_keys_and_says_which_file() {
    let (dir, _) = machine();
    put(dir.path(), &format!("{CONFIG}/System"), b"not a hive");
    let registry = Host::captured(dir.path(), agent()).registry.unwrap();
    let error = registry.keys(r"HKLM\SYSTEM\CurrentControlSet\Services").unwrap_err();
    assert_eq!(error.to_string(), "Windows/System32/config/SYSTEM: no hive of a registry");
    assert!(registry.keys(r"HKLM\SOFTWARE").is_ok());
}

#[test]
fn a_hive_that_was_not_closed_is_a_gap_of_its_own_keys() {
    let (dir, _) = machine();
    let mut hive = hive(&key("ROOT").below(key("Software")));
    opened(&mut hive, 4, 3);
    put(dir.path(), "users/Operator/ntuser.dat", &hive);
    let registry = Host::captured(dir.path(), agent()).registry.unwrap();
    let user = r"HKU\S-1-5-21-1-2-3-1001";
    assert_eq!(registry.keys(user).unwrap(), ["Software"]);
    assert!(registry.gap(user).unwrap().contains("Users/operator/NTUSER.DAT was not closed"));
    assert_eq!((registry.gap(r"HKLM\SOFTWARE"), registry.gap(r"HKU\.DEFAULT")), (None, None));
}

#[test]
fn an_export_beside_hives_is_taken_first_and_several_are_merged_in_order() {
    let (dir, _) = machine();
    let first = "Windows Registry Editor Version 5.00\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\A]\n\"x\"=\"1\"\n";
    let second =
        first.replace("\"1\"", "\"2\"").replace("\\A]", "\\B]") + "[-HKEY_LOCAL_MACHINE\\SOFTWARE\\A]\n";
    put(dir.path(), "registry/1.reg", first.as_bytes());
    put(dir.path(), "registry/2.reg", second.as_bytes());
    put(dir.path(), "registry/readme.txt", b"not an export");
    let registry = Host::captured(dir.path(), agent()).registry.unwrap();
    assert_eq!(registry.keys(r"HKLM\SOFTWARE").unwrap(), ["B"]);
    assert_eq!(registry.written(r"HKLM\SOFTWARE\B").unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[test]
fn a_root_without_hives_is_no_windows() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "etc/hostname", b"plc");
    put(dir.path(), "registry/notes.txt", b"a folder of a Linux host");
    put(dir.path(), "windows/System32/config/systemprofile/x", b"");
    assert!(Host::captured(dir.path(), agent()).registry.is_none());
}
