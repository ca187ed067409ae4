//! Products as Windows Installer itself keeps them: with their patches and upgrade codes.
//!
//! Source of truth: `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData\SID\Products`, one
//! key a product, named by its packed code; `S-1-5-18` stands for the machine. Below it `InstallProperties`
//! repeats the Uninstall entry, and `Patches` lists what was applied (`AllPatches`, with `State` 1 for
//! applied, 2 superseded, 4 obsolete). `UpgradeCodes` leads from a family of versions to its products.
//! Every user may read them; both views of the registry share them.
//!
//! `Win32_Product` is never asked: it verifies, and repairs, every product while it lists them.

use std::collections::BTreeMap;

use super::super::values;
use super::guid::unpacked;
use super::uninstall::{day, packed_version};
use crate::host::Reads;
use crate::host::registry::Data;
use crate::scan::Look;

const USERS: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData";
/// The code that all versions of a product share, by who installed them: everybody, and the machine.
const UPGRADES: [&str; 2] = [
    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UpgradeCodes",
    r"HKLM\SOFTWARE\Classes\Installer\UpgradeCodes",
];
/// What this source may touch.
pub(super) const READS: &[Reads] = &[
    Reads::key(USERS),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-*\Products"),
    Reads::key(
        r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-*\Products\*\InstallProperties",
    ),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-*\Products\*\Patches"),
    Reads::key(
        r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-*\Products\*\Patches\*",
    ),
    Reads::key(UPGRADES[0]),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UpgradeCodes\*"),
    Reads::key(UPGRADES[1]),
    Reads::key(r"HKLM\SOFTWARE\Classes\Installer\UpgradeCodes\*"),
];

/// The machine, as the installer names whom a product is for.
const MACHINE: &str = "S-1-5-18";
const MAX_USERS: usize = 256;
/// Most products of one user, and most families.
const MAX_PRODUCTS: usize = 16_384;
/// Most patches of one product.
const MAX_PATCHES: usize = 256;
/// `State` of a patch that another one replaced, or that no longer applies.
const NOT_APPLIED: [u64; 2] = [2, 4];

/// A product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Product {
    /// Its code.
    pub(super) code: String,
    /// The user whose it is; `None` for the machine's.
    pub(super) user: Option<String>,
    /// What the installer calls it; `None` when it says nothing.
    pub(super) name: Option<String>,
    /// `DisplayVersion`.
    pub(super) version: Option<String>,
    /// `Publisher`.
    pub(super) publisher: Option<String>,
    /// Day of installation.
    pub(super) install_date: Option<String>,
    /// Whether Windows does not show it.
    pub(super) is_hidden: bool,
    /// The code that all versions share.
    pub(super) upgrade_code: Option<String>,
    /// What was applied, as "NAME (CODE)", in order.
    pub(super) patches: Vec<String>,
}

/// Reads the products of every user; none where there is no Windows Installer.
pub(super) fn products(look: &mut Look<'_>) -> Vec<Product> {
    let Some(mut users) = look.registry_keys(USERS) else { return Vec::new() };
    bounded(look, USERS, &mut users, MAX_USERS);
    let families = families(look);
    let mut found = Vec::new();
    for user in users {
        let place = format!(r"{USERS}\{user}\Products");
        let Some(mut codes) = values::keys(look, &place) else { continue };
        bounded(look, &place, &mut codes, MAX_PRODUCTS);
        for packed in codes {
            if let Err(late) = look.in_time() {
                look.fault(format!("{USERS}: {late}"));
                return found;
            }
            found.extend(product(look, &place, &packed, &user, &families));
        }
    }
    found
}

fn product(
    look: &mut Look<'_>,
    place: &str,
    packed: &str,
    user: &str,
    families: &BTreeMap<String, String>,
) -> Option<Product> {
    let code = unpacked(packed)?;
    let values = values::values(look, &format!(r"{place}\{packed}\InstallProperties")).unwrap_or_default();
    Some(Product {
        user: Some(user.to_owned()).filter(|it| it != MACHINE),
        name: values.text("DisplayName"),
        version: values.text("DisplayVersion").or_else(|| values.number("Version").and_then(packed_version)),
        publisher: values.text("Publisher"),
        install_date: values.text("InstallDate").as_deref().and_then(day),
        is_hidden: values.is_set("SystemComponent"),
        upgrade_code: families.get(&code).cloned(),
        patches: patches(look, &format!(r"{place}\{packed}\Patches")),
        code,
    })
}

/// The patches that are applied, in the order in which they were.
fn patches(look: &mut Look<'_>, place: &str) -> Vec<String> {
    let values = values::values(look, place).unwrap_or_default();
    let mut codes = match values.data("AllPatches") {
        Some(Data::List(codes)) => codes.clone(),
        Some(other) => other.text().map(str::to_owned).into_iter().collect(),
        None => Vec::new(),
    };
    bounded(look, place, &mut codes, MAX_PATCHES);
    let mut found = Vec::new();
    for packed in codes {
        let Some(code) = unpacked(&packed) else { continue };
        let patch = values::values(look, &format!(r"{place}\{packed}")).unwrap_or_default();
        if !patch.number("State").is_some_and(|it| NOT_APPLIED.contains(&it)) {
            found.push(
                patch.text("DisplayName").map_or_else(|| code.clone(), |name| format!("{name} ({code})")),
            );
        }
    }
    found
}

/// The code of the family of each product.
fn families(look: &mut Look<'_>) -> BTreeMap<String, String> {
    let mut families = BTreeMap::new();
    for place in UPGRADES {
        let Some(mut codes) = look.registry_keys(place) else { continue };
        bounded(look, place, &mut codes, MAX_PRODUCTS);
        for packed in codes {
            let Some(family) = unpacked(&packed) else { continue };
            let Some(products) = values::values(look, &format!(r"{place}\{packed}")) else { continue };
            families.extend(products.names().filter_map(unpacked).map(|it| (it, family.clone())));
        }
    }
    families
}

fn bounded(look: &mut Look<'_>, place: &str, names: &mut Vec<String>, most: usize) {
    if names.len() > most {
        look.fault(format!("{place}: more than {most} entries"));
        names.truncate(most);
    }
}
