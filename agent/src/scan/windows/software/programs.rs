//! Programs with an Uninstall entry, and products of Windows Installer without one; each once.

use std::collections::BTreeMap;

use holdpoint_common::row::SoftwareRow;

use super::msi::{self, Product};
use super::uninstall::{self, Entry};
use crate::scan::{Look, Reading};

/// What a row says of software that Windows does not show.
const HIDDEN: &str = "hidden";

/// Reads both lists and merges them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let entries = uninstall::entries(look);
    let products = msi::products(look);
    if entries.is_none() && products.is_empty() {
        return look.missing("the registry has no Uninstall key");
    }
    Reading::of(&merged(entries.unwrap_or_default(), products))
}

fn merged(entries: Vec<Entry>, products: Vec<Product>) -> Vec<SoftwareRow> {
    let mut products: BTreeMap<(String, Option<String>), Product> =
        products.into_iter().map(|it| ((it.code.clone(), it.user.clone()), it)).collect();
    let mut rows = Vec::new();
    for entry in entries {
        let place = entry.product_code.clone().map(|code| (code, entry.user.clone()));
        let product = place.and_then(|it| products.remove(&it));
        if !entry.is_update() {
            rows.push(row(entry, product.unwrap_or_default()));
        }
    }
    rows.extend(products.into_values().filter_map(alone));
    rows
}

fn row(entry: Entry, product: Product) -> SoftwareRow {
    // Windows Installer puts the entry of a package for 32 bits into that view and of no other.
    let architecture = entry.product_code.as_ref().and(match entry.source {
        "registry32" => Some("x86"),
        "registry64" => Some("x64"),
        _ => None,
    });
    SoftwareRow {
        name: entry.name,
        version: entry.version,
        architecture: architecture.map(str::to_owned),
        source: entry.source.to_owned(),
        publisher: entry.publisher,
        install_date: entry.install_date,
        state: entry.is_hidden.then(|| HIDDEN.to_owned()),
        product_code: entry.product_code,
        upgrade_code: product.upgrade_code,
        patches: product.patches,
        user: entry.user,
        ..SoftwareRow::default()
    }
}

/// A product that only the installer knows: of a user whose hive is not loaded, or whose entry is gone.
fn alone(product: Product) -> Option<SoftwareRow> {
    Some(SoftwareRow {
        name: product.name?,
        version: product.version,
        source: "msi".to_owned(),
        publisher: product.publisher,
        install_date: product.install_date,
        state: product.is_hidden.then(|| HIDDEN.to_owned()),
        product_code: Some(product.code),
        upgrade_code: product.upgrade_code,
        patches: product.patches,
        user: product.user,
        ..SoftwareRow::default()
    })
}

#[cfg(test)]
#[path = "programs_tests.rs"]
mod tests;
