//! Services and drivers: which there are, what they run, as whom, when they start, whether they run.
//!
//! Sources of truth: the keys below `Services`, which everybody may read but for a few, and on a running
//! system the service control manager, which holds the states, and the set-up of services whose key may
//! not be read. A captured machine has no states. Keys without a `Type` are settings and no services.
//!
//! What moves by itself is not told. A service that starts by hand, on a trigger or for each user who is
//! logged on runs when somebody needs it: its state is "unknown". Instances for one user are told as the
//! one service that they come from. Drivers stay as they are, so their states are told.
//!
//! Known lies: some automatic services end when they have nothing to do (updaters of browsers); a
//! name that begins with `@` is one of a library's texts and is told as it is written. Arguments can
//! hold a secret; what looks like one is masked.

mod images;
mod setup;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use holdpoint_common::row::{SectionKind, ServiceRow};

use super::image_path::{self, ImagePath, Places, masked};
use crate::host::windows::services::{Service, Setup, State};
use crate::host::{Reads, is_absent};
use crate::scan::probe::Probe;
use crate::scan::{Look, Reading};
use images::Images;
use setup::Kind;
pub(super) use setup::lasting_name;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[Probe {
    name: "windows/services",
    kind: SectionKind::Services,
    reads: &[READS, image_path::READS, images::READS],
    run: probe,
}];

const KEY: &str = r"HKLM\SYSTEM\CurrentControlSet\Services";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services"),
    Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services\*"),
    Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services\*\Parameters"),
    Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services\*\TriggerInfo"),
];

/// Most keys that are looked at; a full engineering station has some 900.
const MAX_SERVICES: usize = 16_384;
const AUTOMATIC: u32 = 2;
const MANUAL: u32 = 3;
/// What runs a service that names no account.
const NO_ACCOUNT: &str = "LocalSystem";
/// The program that loads services from libraries.
const SHARED_HOST: &str = r"\svchost.exe";

/// Reads every service and driver.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let written = look.registry_keys(KEY);
    let known = known(look);
    if written.is_none() && known.is_none() {
        return look.missing(format!("{KEY} is not there"));
    }
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let managed = known.iter().flat_map(BTreeMap::values).map(|it| it.name.clone());
    for name in written.into_iter().flatten().chain(managed) {
        if names.len() == MAX_SERVICES {
            look.fault(format!("{KEY}: more than {MAX_SERVICES} services"));
            break;
        }
        names.entry(name.to_lowercase()).or_insert(name);
    }
    let places = Places::read(look);
    let mut images = Images::default();
    let mut rows: BTreeMap<String, ServiceRow> = BTreeMap::new();
    for (folded, name) in &names {
        if let Err(late) = look.in_time() {
            look.fault(format!("services after {name}: {late}"));
            break;
        }
        let now = known.as_ref().and_then(|it| it.get(folded));
        let Some(setup) = setup(look, name, now) else { continue };
        let Some(kind) = Kind::of(setup.kind) else { continue };
        let mut row = row(look, name, kind, &setup, &places);
        // Where a shared host loads a library, the library is what the service is.
        if let Some(file) = row.library.as_ref().or(row.image_path.as_ref()) {
            let stated = images.stated(look, file, &places);
            (row.file_version, row.company) = (stated.version, stated.company);
        }
        if known.is_some() {
            row.state = Some(state(look, name, kind, &setup, now).to_owned());
        }
        // A service that is started for each user is told once: as it is set up, where that is known.
        match rows.entry(row.name.to_lowercase()) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(row);
            }
            std::collections::btree_map::Entry::Occupied(mut place) if kind != Kind::Instance => {
                place.insert(row);
            }
            std::collections::btree_map::Entry::Occupied(_) => {}
        }
    }
    images.tell(look);
    // No Windows is without one: what is here is a part of a registry, and proves nothing.
    if rows.is_empty() && look.gaps() == 0 {
        return Reading::Failed(format!("{KEY} names no service: this is a part of a registry"));
    }
    Reading::of(&rows.into_values().collect::<Vec<_>>())
}

/// What the manager knows, by name in lower case; `None` where there is no running system to ask.
fn known(look: &mut Look<'_>) -> Option<BTreeMap<String, Service>> {
    let windows = look.host.windows.clone()?;
    let result = look.in_time().and_then(|()| windows.services.list());
    let all = look.note("the service control manager", result)?;
    Some(all.into_iter().map(|it| (it.name.to_lowercase(), it)).collect())
}

/// How a service is set up: by its key, else by the manager. Services are many and come and go, so that
/// none is counted as a source of its own; a gap is told all the same.
fn setup(look: &mut Look<'_>, name: &str, now: Option<&Service>) -> Option<Setup> {
    let key = format!(r"{KEY}\{name}");
    let values = match &look.host.registry {
        Some(registry) => registry.values(&key),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    let why = match values {
        Ok(values) => match setup::of_values(&values) {
            Some(setup) => return Some(setup),
            // The key of something else; a service without one is told as the manager holds it.
            None => None,
        },
        Err(cause) if is_absent(&cause) => None,
        Err(cause) => Some(cause),
    };
    let held = now.and_then(|now| {
        let windows = look.host.windows.as_ref()?;
        let setup = windows.services.setup(&now.name).ok()?;
        Some(Setup { kind: now.kind, ..setup })
    });
    if held.is_none()
        && let Some(cause) = why
    {
        look.note::<()>(&key, Err(cause));
    }
    // It is there and runs: what is known is told, and the rest is a gap.
    if held.is_none()
        && let Some(now) = now
    {
        look.fault(format!("{}: its set-up cannot be read", now.name));
        let display_name = Some(now.display_name.clone()).filter(|it| !it.is_empty());
        return Some(Setup { kind: now.kind, start: u32::MAX, display_name, ..Setup::default() });
    }
    held
}

/// What is told of a service whether or not it runs.
fn row(look: &mut Look<'_>, name: &str, kind: Kind, setup: &Setup, places: &Places) -> ServiceRow {
    let mut row = ServiceRow {
        source: "windows/services".to_owned(),
        name: name.to_owned(),
        display_name: setup.display_name.clone(),
        start_mode: setup::start_mode(setup).map(str::to_owned),
        ..ServiceRow::default()
    };
    let image = match kind {
        Kind::Driver => ImagePath::of_driver(setup.image.as_deref(), name, places),
        Kind::Service | Kind::PerUser | Kind::Instance => {
            setup.image.as_deref().map(|it| ImagePath::of_service(it, places)).unwrap_or_default()
        }
    };
    match kind {
        Kind::Driver => {
            setup::lasting_driver(name).clone_into(&mut row.name);
            row.kind = Some("driver".to_owned());
            row.image_path = Some(image.path).filter(|it| !it.is_empty());
            if row.name != name {
                row.display_name = None;
                row.image_path = row.image_path.as_deref().map(setup::lasting_path);
            }
        }
        Kind::Service | Kind::PerUser | Kind::Instance => {
            row.kind = Some("service".to_owned());
            if image.path.to_lowercase().ends_with(SHARED_HOST) {
                row.library = library(look, name).map(|it| places.path(&it));
            }
            row.image_path = Some(image.path).filter(|it| !it.is_empty());
            row.arguments = Some(masked(&image.arguments)).filter(|it| !it.is_empty());
            // What is started for a user runs as that user.
            if kind == Kind::Service {
                row.account =
                    setup.account.clone().or_else(|| setup.image.is_some().then(|| NO_ACCOUNT.to_owned()));
            }
        }
    }
    if kind == Kind::Instance {
        lasting_name(name).clone_into(&mut row.name);
        row.display_name = row.display_name.map(|it| lasting_name(&it).to_owned());
    }
    row
}

/// The library of a service that has no program of its own.
fn library(look: &mut Look<'_>, name: &str) -> Option<String> {
    let registry = look.host.registry.as_ref()?;
    let key = format!(r"{KEY}\{name}");
    let below = registry.value(&format!(r"{key}\Parameters"), "ServiceDll");
    // Some have it beside their other values.
    let found = match below {
        Err(cause) if is_absent(&cause) => registry.value(&key, "ServiceDll"),
        said => said,
    };
    match found {
        Ok(data) => data.text().map(str::to_owned),
        Err(cause) if is_absent(&cause) => None,
        Err(cause) => look.note(&format!(r"{key}\Parameters\ServiceDll"), Err(cause)),
    }
}

/// The word for its state, where it does not move by itself.
fn state(look: &Look<'_>, name: &str, kind: Kind, setup: &Setup, now: Option<&Service>) -> &'static str {
    let comes_and_goes = match kind {
        Kind::Driver => false,
        Kind::PerUser | Kind::Instance => true,
        Kind::Service => setup.start == MANUAL || setup.start == AUTOMATIC && has_triggers(look, name),
    };
    if comes_and_goes {
        return "unknown";
    }
    match now.map(|it| it.state) {
        Some(State::Running) => "running",
        Some(State::Paused) => "paused",
        Some(State::Passing) => "unknown",
        // The manager learns of a new key when the system starts; until then nothing runs.
        Some(State::Stopped) | None => "stopped",
    }
}

fn has_triggers(look: &Look<'_>, name: &str) -> bool {
    let registry = look.host.registry.as_ref();
    registry.is_some_and(|it| it.values(&format!(r"{KEY}\{name}\TriggerInfo")).is_ok())
}
