//! Lists that vendors keep themselves, where the Uninstall key tells too little.
//!
//! - Siemens, `SOFTWARE\Siemens\AUTSW` of either view: one key a product, with `ProdName`, `VersionString`
//!   (as the vendor's own list of installed software shows it: "V5.6 + SP2"), `Release` and `TechnVersion`.
//!   Uninstall entries of STEP 7, WinCC and PCS 7 often keep the version of the first installation.
//! - Microsoft SQL Server, which several of these products bring along: `Instance Names\SQL` leads to the
//!   instances, and `Setup` of each says its edition and patch level.
//!
//! A row of either has the place that it was read from as its path. These rows stand beside those of the
//! Uninstall key and replace none of them.

use holdpoint_common::row::SoftwareRow;

use super::super::values::{self, Values};
use super::native_source;
use crate::host::Reads;
use crate::scan::look::said;
use crate::scan::{Look, Reading};

const SIEMENS: [&str; 2] = [r"HKLM\SOFTWARE\Siemens\AUTSW", r"HKLM\SOFTWARE\WOW6432Node\Siemens\AUTSW"];
const SQL: [&str; 2] = [
    r"HKLM\SOFTWARE\Microsoft\Microsoft SQL Server",
    r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Microsoft SQL Server",
];
/// What this probe may touch.
pub(super) const READS: &[Reads] = &[
    Reads::key(SIEMENS[0]),
    Reads::key(r"HKLM\SOFTWARE\Siemens\AUTSW\*"),
    Reads::key(SIEMENS[1]),
    Reads::key(r"HKLM\SOFTWARE\WOW6432Node\Siemens\AUTSW\*"),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Microsoft SQL Server\Instance Names\SQL"),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Microsoft SQL Server\*\Setup"),
    Reads::key(r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Microsoft SQL Server\Instance Names\SQL"),
    Reads::key(r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Microsoft SQL Server\*\Setup"),
];

/// Most products of one list.
const MAX_PRODUCTS: usize = 1_024;

/// Reads the lists.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let sources = [native_source(look), "registry32"];
    let mut rows = Vec::new();
    let mut is_there = false;
    for ((siemens, sql), source) in SIEMENS.into_iter().zip(SQL).zip(sources) {
        if let Some(names) = look.registry_keys(siemens) {
            is_there = true;
            for name in bounded(look, siemens, names) {
                let place = format!(r"{siemens}\{name}");
                let values = values::values(look, &place).unwrap_or_default();
                rows.extend(product(&values).map(|it| at(it, source, place)));
            }
        }
        let list = format!(r"{sql}\Instance Names\SQL");
        if let Some(instances) = look.registry_values(&list) {
            is_there = true;
            let instances = Values::new(instances);
            let names = instances.names().map(str::to_owned).collect();
            for name in bounded(look, &list, names) {
                let Some(id) = instances.text(&name).filter(|it| !it.contains('\\')) else { continue };
                let place = format!(r"{sql}\{id}\Setup");
                let Some(values) = values::values(look, &place) else { continue };
                rows.push(at(instance(&name, &values), source, place));
            }
        }
    }
    if is_there { Reading::of(&rows) } else { look.missing("no list of a known vendor is here") }
}

fn bounded(look: &mut Look<'_>, place: &str, mut names: Vec<String>) -> Vec<String> {
    if names.len() > MAX_PRODUCTS {
        look.fault(format!("{place}: more than {MAX_PRODUCTS} products"));
        names.truncate(MAX_PRODUCTS);
    }
    names
}

/// A product of Siemens; `None` for a key without a name, which is a part of others.
fn product(values: &Values) -> Option<SoftwareRow> {
    Some(SoftwareRow {
        name: values.text("ProdName")?,
        version: ["VersionString", "Release", "TechnVersion"].iter().find_map(|it| values.text(it)),
        source_version: values.text("Release"),
        ..SoftwareRow::default()
    })
}

fn instance(name: &str, values: &Values) -> SoftwareRow {
    let edition = values.text("Edition").map(|it| format!(" ({it})")).unwrap_or_default();
    SoftwareRow {
        name: format!("Microsoft SQL Server, instance {}{edition}", said(name).unwrap_or_default()),
        version: values.text("PatchLevel").or_else(|| values.text("Version")),
        ..SoftwareRow::default()
    }
}

fn at(row: SoftwareRow, source: &str, place: String) -> SoftwareRow {
    SoftwareRow { source: source.to_owned(), path: Some(place), ..row }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, rows_of, windows_host};

    #[test]
    fn a_vendors_own_list_says_the_version_that_the_vendor_shows() {
        let (_dir, host) = windows_host(
            r#"
[HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node\Siemens\AUTSW\STEP7]
"ProdName"="STEP 7"
"VersionString"="V5.6 + SP2"
"Release"="V05.06.02.00_01.34.00.01"
[HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node\Siemens\AUTSW\Parts]
"TechnVersion"="1"
"#,
        );
        let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let some = |it: &str| Some(it.to_owned());
        let expected = SoftwareRow {
            name: "STEP 7".to_owned(),
            version: some("V5.6 + SP2"),
            source_version: some("V05.06.02.00_01.34.00.01"),
            source: "registry32".to_owned(),
            path: some(r"HKLM\SOFTWARE\WOW6432Node\Siemens\AUTSW\STEP7"),
            ..SoftwareRow::default()
        };
        assert_eq!(rows, [expected]);
    }

    #[test]
    fn an_instance_of_a_database_says_its_patch_level() {
        let (_dir, host) = windows_host(
            r#"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Microsoft SQL Server\Instance Names\SQL]
"WINCC"="MSSQL13.WINCC"
"GONE"="MSSQL10.GONE"
"EVIL"="..\\..\\Setup"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Microsoft SQL Server\MSSQL13.WINCC\Setup]
"Edition"="Standard Edition"
"Version"="13.2.5026.0"
"PatchLevel"="13.3.6300.2"
"#,
        );
        let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let said: Vec<_> = rows.iter().map(|it| (it.name.as_str(), it.version.as_deref())).collect();
        assert_eq!(said, [("Microsoft SQL Server, instance WINCC (Standard Edition)", Some("13.3.6300.2"))]);
    }

    #[test]
    fn without_those_vendors_there_is_no_such_source() {
        let (_dir, host) = windows_host("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]");
        let budget = ample();
        let reading = probe(&mut Look::new(&host, &budget, "test"));
        assert_eq!(reading, Reading::Absent("no list of a known vendor is here".to_owned()));
    }
}
