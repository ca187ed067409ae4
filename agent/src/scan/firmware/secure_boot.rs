//! Secure Boot: whether it holds, and whom it trusts and forbids.
//!
//! Source of truth: variables of UEFI in `sys/firmware/efi/efivars` (efivarfs): four bytes of attributes,
//! then the value. World readable; the kernel lets others than root read a hundred a second. Only the
//! variables named here are read, because each read makes the firmware work.
//!
//! Rows: `secure-boot` is the firmware's own state, and one named "shim" says when shim was told to check
//! nothing (`MokSBStateRT`). `secure-boot-key` is one certificate of a list (`db` and `KEK` trust, `dbx`
//! forbids, `PK` owns, `MokListRT` is what shim trusts besides), with its issuer, serial number, last
//! day and SHA-256, or all hashes of one type in one list: their count, and the SHA-256 over them in order.
//! `guid` says who put a certificate there.
//!
//! Absent on machines that did not start by UEFI, and where UEFI has no such variable. A machine that
//! started by UEFI and shows no variables (efivarfs is not mounted, or the kernel runs without runtime
//! services, as real-time kernels do) has the state "unknown". Known lie: `dbx` says nothing about
//! revocation by SBAT.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use holdpoint_common::row::FirmwareRow;
use holdpoint_common::section::Digest;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use super::signatures::{self, Entry};
use crate::host::Reads;
use crate::scan::look::said;
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/firmware/efi/efivars";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::metadata("sys/firmware/efi"),
    Reads::content("sys/firmware/efi/efivars"),
    Reads::content("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"),
    Reads::content("sys/firmware/efi/efivars/SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c"),
    Reads::content("sys/firmware/efi/efivars/PK-8be4df61-93ca-11d2-aa0d-00e098032b8c"),
    Reads::content("sys/firmware/efi/efivars/KEK-8be4df61-93ca-11d2-aa0d-00e098032b8c"),
    Reads::content("sys/firmware/efi/efivars/db-d719b2cb-3d3a-4596-a3bc-dad00e67656f"),
    Reads::content("sys/firmware/efi/efivars/dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f"),
    Reads::content("sys/firmware/efi/efivars/MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23"),
    Reads::content("sys/firmware/efi/efivars/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"),
];

/// Vendor of the variables that UEFI itself defines.
pub(in crate::scan) const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SECURITY: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
const SHIM: &str = "605dab50-e046-4300-abb6-3dd810dd8b23";

/// The variables that hold lists.
pub(in crate::scan) const LISTS: [(&str, &str); 5] =
    [("PK", GLOBAL), ("KEK", GLOBAL), ("db", SECURITY), ("dbx", SECURITY), ("MokListRT", SHIM)];

/// Largest variable; the largest forbidden lists have some 30 KiB, and firmware has room for little more.
const MAX_VARIABLE: usize = 512 * 1024;
const MAX_VARIABLES: usize = 16_384;
/// Bytes of attributes before a value.
const ATTRIBUTES: usize = 4;
/// Longest text that is kept of a name, in bytes.
const MAX_NAME: usize = 512;

/// Reads the state and the lists.
pub fn probe(look: &mut Look<'_>) -> Reading {
    if !look.exists("sys/firmware/efi") {
        return look.missing("sys/firmware/efi is not there: this machine did not start by UEFI");
    }
    let mut rows = Vec::new();
    let enabled = flag(look, "SecureBoot", GLOBAL);
    let setup = flag(look, "SetupMode", GLOBAL);
    rows.extend(enabled.map(|it| state(it, setup)));
    if flag(look, "MokSBStateRT", SHIM) == Some(true) {
        let (name, state) = (Some("shim".to_owned()), Some("disabled".to_owned()));
        rows.push(FirmwareRow { name, state, ..row("secure-boot") });
    }
    for (name, vendor) in LISTS {
        if let Some(value) = variable(look, name, vendor) {
            rows.extend(keys(look, name, &value));
        }
    }
    if rows.is_empty() {
        let shown = look.list(DIRECTORY, MAX_VARIABLES);
        if shown.is_some_and(|it| !it.entries.is_empty()) {
            return look.missing(format!("{DIRECTORY} has no Secure Boot"));
        }
        rows.push(FirmwareRow { state: Some("unknown".to_owned()), ..row("secure-boot") });
    }
    Reading::of(&rows)
}

/// The row of the firmware's own state.
pub(in crate::scan) fn state(is_enabled: bool, is_setup: Option<bool>) -> FirmwareRow {
    let state = match (is_enabled, is_setup) {
        (true, _) => "enabled",
        (false, Some(true)) => "setup",
        (false, _) => "disabled",
    };
    FirmwareRow { state: Some(state.to_owned()), ..row("secure-boot") }
}

fn row(kind: &str) -> FirmwareRow {
    FirmwareRow { source: "firmware/secure-boot".to_owned(), kind: kind.to_owned(), ..FirmwareRow::default() }
}

/// The value of a variable, without its attributes.
fn variable(look: &mut Look<'_>, name: &str, vendor: &str) -> Option<Vec<u8>> {
    let mut bytes = look.bytes(&format!("{DIRECTORY}/{name}-{vendor}"), MAX_VARIABLE)?;
    if bytes.len() < ATTRIBUTES {
        look.fault(format!("{name}: the variable is cut off"));
        return None;
    }
    bytes.drain(..ATTRIBUTES);
    Some(bytes)
}

/// A variable that is yes or no.
fn flag(look: &mut Look<'_>, name: &str, vendor: &str) -> Option<bool> {
    match variable(look, name, vendor)?.as_slice() {
        [0] => Some(false),
        [1] => Some(true),
        _ => {
            look.fault(format!("{name}: neither yes nor no"));
            None
        }
    }
}

/// The rows of a variable that holds lists: one for each certificate, and one for all hashes of a type.
pub(in crate::scan) fn keys(look: &mut Look<'_>, name: &str, value: &[u8]) -> Vec<FirmwareRow> {
    let (entries, fault) = signatures::entries(value);
    if let Some(why) = fault {
        look.fault(format!("{name}: {why}"));
    }
    let key = || FirmwareRow { name: Some(name.to_owned()), ..row("secure-boot-key") };
    let mut rows = Vec::new();
    let mut hashes: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
    for (number, entry) in entries.iter().enumerate() {
        if entry.kind != signatures::X509 {
            hashes.entry(&entry.kind).or_default().insert(entry.data);
        } else if let Some(it) = certificate(entry, key()) {
            rows.push(it);
        } else {
            look.fault(format!("{name}: entry {} is no certificate", number + 1));
        }
    }
    for (kind, hashes) in hashes {
        let plural = if hashes.len() == 1 { "hash" } else { "hashes" };
        let all: Vec<u8> = hashes.iter().copied().flatten().copied().collect();
        rows.push(FirmwareRow {
            model: Some(signatures::name(kind).to_owned()),
            version: Some(format!("{} {plural}", hashes.len())),
            digest: Some(Digest::of(&all).to_string()),
            ..key()
        });
    }
    rows
}

fn certificate(entry: &Entry<'_>, key: FirmwareRow) -> Option<FirmwareRow> {
    // Some firmware pads a certificate to the size of its list.
    let (padding, read) = X509Certificate::from_der(entry.data).ok()?;
    let der = entry.data.get(..entry.data.len() - padding.len())?;
    let mut serial = String::new();
    for byte in read.raw_serial().iter().take(MAX_NAME) {
        // Writing to a string cannot fail.
        let _ = write!(serial, "{byte:02x}");
    }
    Some(FirmwareRow {
        model: called(read.subject()),
        vendor: called(read.issuer()),
        serial: said(&serial),
        date: Some(read.validity().not_after.to_datetime().date().to_string()),
        guid: Some(signatures::guid(entry.owner)),
        digest: Some(Digest::of(der).to_string()),
        ..key
    })
}

/// A common name, or the whole name where there is none.
fn called(name: &X509Name<'_>) -> Option<String> {
    let common = name.iter_common_name().next().and_then(|it| it.as_str().ok()).and_then(said);
    let mut text = common.or_else(|| said(&name.to_string()))?;
    text.truncate(text.floor_char_boundary(MAX_NAME));
    Some(text)
}

#[cfg(test)]
#[path = "secure_boot_tests.rs"]
mod tests;
