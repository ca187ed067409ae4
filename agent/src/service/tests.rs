use std::path::Path;

use aws_lc_rs::digest;
use holdpoint_common::row::{REPORTED, section_name};

use super::*;

const BUILD_MSI: &str = include_str!("../../../deploy/windows/build-msi");
const WXS: &str = include_str!("../../../deploy/windows/holdpoint-agent.wxs");

#[test]
fn a_command_line_is_read_back_as_it_was_meant() {
    let plan = Plan::new(
        Path::new(r"C:\Program Files\Holdpoint\holdpoint-agent.exe"),
        Path::new(r"D:\plant state\"),
        Account::Virtual,
        true,
    );
    assert_eq!(
        plan.command,
        r#""C:\Program Files\Holdpoint\holdpoint-agent.exe" service run --state "D:\plant state\\""#
    );
    assert_eq!(quoted(r"C:\a"), r#""C:\a""#);
    assert_eq!(quoted(r"C:\\"), r#""C:\\\\""#);
}

#[test]
fn a_service_has_no_privilege_that_its_account_lacks() {
    let of = |account| Plan::new(Path::new("a"), Path::new("b"), account, true).privileges;
    assert_eq!(of(Account::Virtual), ["SeChangeNotifyPrivilege"]);
    assert_eq!(of(Account::LocalService), ["SeChangeNotifyPrivilege"]);
    assert!(of(Account::LocalSystem).contains(&"SeSystemEnvironmentPrivilege"));
    for account in [Account::Virtual, Account::LocalService, Account::LocalSystem] {
        for strong in
            ["SeDebugPrivilege", "SeImpersonatePrivilege", "SeShutdownPrivilege", "SeLoadDriverPrivilege"]
        {
            assert!(!of(account).contains(&strong), "{account:?} {strong}");
        }
    }
}

#[test]
fn delays_grow() {
    assert!(RESTARTS.windows(2).all(|it| it[0] < it[1]));
}

/// `sc showsid`: S-1-5-80 and the SHA-1 of the name in capitals, as UTF-16, in five numbers.
fn service_sid(name: &str) -> String {
    let name: Vec<u8> = name.to_uppercase().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &name);
    hash.as_ref().chunks_exact(4).fold("S-1-5-80".to_owned(), |sid, it| {
        format!("{sid}-{}", u32::from_le_bytes([it[0], it[1], it[2], it[3]]))
    })
}

#[test]
fn the_installer_and_the_verbs_make_the_same_service() {
    // Known from Windows itself: `sc showsid trustedinstaller`.
    assert_eq!(
        service_sid("TrustedInstaller"),
        "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
    );
    assert!(BUILD_MSI.contains(&service_sid(NAME)), "the state's access list names {}", service_sid(NAME));
    for word in
        [NAME, DISPLAY_NAME, Account::Virtual.name(), order::FILE, "service run --state", EVENT_SOURCE_KEY]
    {
        assert!(WXS.contains(word), "the installer does not say {word}");
    }
    for delay in RESTARTS {
        assert!(BUILD_MSI.contains(&delay.as_millis().to_string()), "{delay:?}");
    }
    let plan = Plan::new(Path::new("a"), Path::new("b"), Account::Virtual, true);
    for privilege in plan.privileges {
        assert!(BUILD_MSI.contains(privilege), "{privilege}");
    }
}

#[test]
fn the_installer_removes_every_file_of_the_state_by_its_name() {
    let names =
        ["lock", "sequence", "machine", "believed", "journal", "key.pem", "key.entropy", settings::FILE];
    let sections = REPORTED.into_iter().map(section_name);
    let more = ["certificate.pem", "anchors.pem", settings::KILL_FILE, order::FILE];
    for name in names.into_iter().chain(sections).chain(more) {
        let is_listed = BUILD_MSI.split_whitespace().any(|it| it == name);
        assert!(is_listed, "build-msi does not remove {name}");
    }
}

#[test]
fn only_a_state_directory_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (state, other) = (dir.path().join("Holdpoint/Agent"), dir.path().join("other"));
    fs::create_dir_all(state.join("held")).unwrap();
    fs::write(state.join("lock"), "").unwrap();
    fs::write(state.join("held/software"), "").unwrap();
    remove_state(&state).unwrap();
    assert!(!dir.path().join("Holdpoint").exists(), "nothing is left, the folder above neither");
    remove_state(&state).unwrap();

    fs::create_dir(&other).unwrap();
    fs::write(other.join("recipe.txt"), "").unwrap();
    assert!(remove_state(&other).is_err());
    assert!(other.join("recipe.txt").exists());
}
