//! What every fact of this folder stands on: which Windows it is, and which hives are there at all.
//!
//! A value that is not there means different things on different versions; where the version itself
//! cannot be read, the reasons say so instead of guessing. A registry that is an export or a part of the
//! hives lacks whole trees, and what is missing with them is no setting that is absent.

use super::keys::{control, software};
use crate::host::Reads;
use crate::scan::{Look, Outcome};

/// What [`Ground::read`] touches.
pub(super) const READS: &[Reads] = &[Reads::key(VERSION), Reads::key(OPTIONS), Reads::key(CONTROL)];

/// The key that says which Windows it is.
pub(super) const VERSION: &str = software!(r"Windows NT\CurrentVersion");
const OPTIONS: &str = control!("ProductOptions");
const CONTROL: &str = r"HKLM\SYSTEM\CurrentControlSet\Control";

/// Builds at which a default changed; "Lifecycle" and "what's new" pages of Microsoft.
pub(super) mod build {
    /// Windows 8.1 and Server 2012 R2.
    pub(in super::super) const WINDOWS_8_1: u32 = 9_600;
    /// The first Windows 10.
    pub(in super::super) const WINDOWS_10: u32 = 10_240;
    /// Windows 10 1703.
    pub(in super::super) const V1703: u32 = 15_063;
    /// Windows 10 1709, which comes without SMBv1.
    pub(in super::super) const V1709: u32 = 16_299;
    /// Windows 11 22H2.
    pub(in super::super) const WINDOWS_11_22H2: u32 = 22_621;
    /// Windows 11 24H2 and Server 2025.
    pub(in super::super) const WINDOWS_11_24H2: u32 = 26_100;
}

/// What a host's facts are judged against here, and nowhere else: the meaning of what is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ground {
    /// Number of the build; `None` when it could not be read.
    pub(super) build: Option<u32>,
    /// What it was installed as; `None` when it could not be read.
    pub(super) role: Option<Role>,
    has_system: bool,
    has_software: bool,
}

/// `ProductType` of `ProductOptions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// `WinNT`.
    Workstation,
    /// `ServerNT`.
    Server,
    /// `LanmanNT`: its accounts are those of the domain.
    DomainController,
}

impl Ground {
    /// Reads the version.
    pub(super) fn read(look: &mut Look<'_>) -> Self {
        let number = ["CurrentBuildNumber", "CurrentBuild"].into_iter().find_map(|value| {
            match look.registry_outcome(VERSION, value) {
                Outcome::Seen(data) => data.text()?.trim().parse().ok(),
                Outcome::Absent | Outcome::Denied | Outcome::Failed(_) => None,
            }
        });
        let role = match look.registry_outcome(OPTIONS, "ProductType") {
            Outcome::Seen(data) => match data.text().map(str::to_lowercase).as_deref() {
                Some("winnt") => Some(Role::Workstation),
                Some("servernt") => Some(Role::Server),
                Some("lanmannt") => Some(Role::DomainController),
                _ => None,
            },
            Outcome::Absent | Outcome::Denied | Outcome::Failed(_) => None,
        };
        let mut is_there = |key| !matches!(look.registry_keys_outcome(key), Outcome::Absent);
        Self { build: number, role, has_system: is_there(CONTROL), has_software: is_there(VERSION) }
    }

    /// Whether this registry is one of a Windows at all.
    pub(super) fn is_windows(&self) -> bool {
        self.has_system || self.has_software
    }

    /// Why a key that is not there says nothing; `None` where its absence is an answer.
    pub(super) fn gap(&self, key: &str) -> Option<&'static str> {
        let is_below = |root: &str| key.get(..root.len()).is_some_and(|it| it.eq_ignore_ascii_case(root));
        if is_below(r"HKLM\SYSTEM\") && !self.has_system {
            Some("this registry has no SYSTEM hive")
        } else if is_below(r"HKLM\SOFTWARE\") && !self.has_software {
            Some("this registry has no SOFTWARE hive")
        } else {
            None
        }
    }

    /// What absence means where it depends on whether the build is at least one; says that it cannot be
    /// told when the build is not known.
    pub(super) fn since(&self, first: u32, newer: &str, older: &str) -> String {
        match self.build {
            Some(build) if build >= first => newer.to_owned(),
            Some(_) => older.to_owned(),
            None => format!(
                "what that means depends on the build, which is not known: from {first} on, {newer}; before, {older}"
            ),
        }
    }

    /// Whether it is a server of any kind; `None` when that is not known.
    pub(super) fn is_server(&self) -> Option<bool> {
        self.role.map(|it| match it {
            Role::Workstation => false,
            Role::Server | Role::DomainController => true,
        })
    }
}
