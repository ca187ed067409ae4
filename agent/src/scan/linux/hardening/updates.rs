//! L03: what installs updates or restarts the host without being asked.
//!
//! Sources of truth: the links by which timers and services of systemd are started, scripts of
//! cron; apt's configuration (`apt_conf`); `etc/dnf/automatic.conf`, the file of dnf5's plug-in, `etc/yum/yum-cron.conf`,
//! `etc/transactional-update.conf`, `etc/sysconfig/automatic_online_update`; a prepared
//! offline update. All world readable.
//!
//! Absence: a tool that is not installed has no facts. What apt's script does without a setting is
//! in every version the same, and is said with that reason.
//!
//! Known lies: until when snap holds its refreshes lies in snapd's state, which is not read; GNOME
//! Software and management agents that install by themselves keep their switches in databases of their own.
//! A timer that something else than `timers.target` wants is not seen.

use holdpoint_common::row::HardeningRow;

use super::apt_conf::{self, AptConf};
use super::files::{self, Found};
use super::ini;
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[&[Reads]] = &[OWN, apt_conf::READS];

const OWN: &[Reads] = &[
    Reads::content("etc/systemd/system/timers.target.wants"),
    Reads::content("etc/systemd/system/multi-user.target.wants"),
    Reads::metadata("etc/systemd/system/*"),
    Reads::content("etc/cron.hourly"),
    Reads::content("etc/cron.daily"),
    Reads::content("etc/cron.weekly"),
    Reads::metadata("usr/bin/apt-get"),
    Reads::metadata("usr/bin/unattended-upgrade"),
    Reads::metadata("usr/bin/snap"),
    Reads::content("etc/dnf/automatic.conf"),
    Reads::content("etc/dnf/dnf5-plugins/automatic.conf"),
    Reads::content("usr/share/dnf5/dnf5-plugins/automatic.conf"),
    Reads::content("etc/yum/yum-cron.conf"),
    Reads::content("etc/yum/yum-cron-hourly.conf"),
    Reads::content("etc/transactional-update.conf"),
    Reads::content("usr/etc/transactional-update.conf"),
    Reads::content("etc/sysconfig/automatic_online_update"),
    Reads::metadata("system-update"),
    Reads::metadata("etc/system-update"),
];

const CHECKS: &[&str] = &["L03"];
const UNITS: &str = "etc/systemd/system";
/// Units that fetch or install updates, or restart for them.
const UPDATERS: [&str; 24] = [
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "bootc-fetch-apply-updates.timer",
    "dnf-automatic-download.timer",
    "dnf-automatic-install.timer",
    "dnf-automatic-notifyonly.timer",
    "dnf-automatic.timer",
    "dnf5-automatic.timer",
    "flatpak-system-update.timer",
    "fwupd-refresh.timer",
    "mintupdate-automation-upgrade.timer",
    "os-update.timer",
    "packagekit-background.timer",
    "pamac-upgradeall.timer",
    "podman-auto-update.timer",
    "rebootmgr.service",
    "rpm-ostreed-automatic.timer",
    "snapd.refresh.timer",
    "snapd.service",
    "transactional-update.timer",
    "unattended-upgrades.service",
    "update-notifier-download.timer",
    "yum-cron.service",
    "zypper-automatic-update.timer",
];
/// Scripts of cron that do the same.
const SCRIPTS: [&str; 8] = [
    "0yum-daily.cron",
    "0yum-hourly.cron",
    "apt-compat",
    "dnf-automatic",
    "opensuse.org-online_update",
    "packagekit-background.cron",
    "suse.de-automatic-online-update",
    "yum-cron",
];

/// Settings of apt's daily script: fact, setting, and what holds without it.
const PERIODIC: [(&str, &str, &str); 4] = [
    ("enable", "APT::Periodic::Enable", "1"),
    ("update_package_lists", "APT::Periodic::Update-Package-Lists", "0"),
    ("download_upgradeable", "APT::Periodic::Download-Upgradeable-Packages", "0"),
    ("unattended_upgrade", "APT::Periodic::Unattended-Upgrade", "0"),
];
/// Settings of unattended-upgrades that are on or off, and what holds without them.
const UNATTENDED: [(&str, &str, bool); 3] = [
    ("automatic_reboot", "Unattended-Upgrade::Automatic-Reboot", false),
    ("automatic_reboot_with_users", "Unattended-Upgrade::Automatic-Reboot-WithUsers", true),
    ("install_on_shutdown", "Unattended-Upgrade::InstallOnShutdown", false),
];
const LISTS: [(&str, &str); 3] = [
    ("allowed_origins", "Unattended-Upgrade::Allowed-Origins"),
    ("origins_pattern", "Unattended-Upgrade::Origins-Pattern"),
    ("package_blacklist", "Unattended-Upgrade::Package-Blacklist"),
];

/// Settings of files: tool, its files with the strongest first, section, settings.
const TOOLS: [(&str, &[&str], &str, &[&str]); 5] = [
    (
        "dnf_automatic",
        &["etc/dnf/automatic.conf"],
        "commands",
        &["upgrade_type", "download_updates", "apply_updates", "reboot"],
    ),
    (
        "dnf5_automatic",
        &["etc/dnf/dnf5-plugins/automatic.conf", "usr/share/dnf5/dnf5-plugins/automatic.conf"],
        "commands",
        &["upgrade_type", "download_updates", "apply_updates", "reboot"],
    ),
    (
        "yum_cron",
        &["etc/yum/yum-cron.conf"],
        "commands",
        &["update_cmd", "download_updates", "apply_updates"],
    ),
    (
        "transactional_update",
        &["etc/transactional-update.conf", "usr/etc/transactional-update.conf"],
        "",
        &["reboot_method", "update_method"],
    ),
    (
        "online_update",
        &["etc/sysconfig/automatic_online_update"],
        "",
        &["aou_enable_cronjob", "aou_skip_interactive_patches"],
    ),
];

/// Reads what is started and how it is set.
pub fn probe(look: &mut Look<'_>) -> Reading {
    if !files::is_a_system(look) {
        return look.missing("etc is not there");
    }
    let mut rows = vec![started(look), scheduled(look), prepared(look)];
    if files::exists(look, "usr/bin/apt-get") == Some(true) {
        apt(look, &mut rows);
    }
    for (tool, paths, section, settings) in TOOLS {
        of_tool(look, tool, paths, section, settings, &mut rows);
    }
    if files::exists(look, "usr/bin/snap") == Some(true) {
        let reason = "snapd keeps when it refreshes in its own state, which is not read";
        rows.push(fact("snap.refresh_hold", "var/lib/snapd/state.json").because(reason).error());
    }
    Reading::of(&rows)
}

fn fact(id: &str, source: &str) -> Fact {
    Fact::new(&format!("updates.{id}"), CHECKS, source)
}

fn started(look: &mut Look<'_>) -> HardeningRow {
    let mut units = Vec::new();
    for directory in ["timers.target.wants", "multi-user.target.wants"] {
        match files::names(look, &format!("{UNITS}/{directory}"), |it| UPDATERS.contains(&it)) {
            Ok(names) => units.extend(names),
            Err(gap) => return gap.unanswered(fact("units", UNITS)),
        }
    }
    // A link to nothing in place of a unit keeps it from starting, whatever wants it.
    units.retain(|it| !is_masked(look, it));
    units.sort_unstable();
    fact("units", UNITS).list(units)
}

fn is_masked(look: &Look<'_>, unit: &str) -> bool {
    let link = look.host.root.read_link(&format!("{UNITS}/{unit}"));
    link.is_ok_and(|it| it == std::path::Path::new("/dev/null"))
}

fn scheduled(look: &mut Look<'_>) -> HardeningRow {
    let mut scripts = Vec::new();
    for directory in ["etc/cron.hourly", "etc/cron.daily", "etc/cron.weekly"] {
        match files::names(look, directory, |it| SCRIPTS.contains(&it)) {
            Ok(names) => scripts.extend(names.into_iter().map(|it| format!("{directory}/{it}"))),
            Err(gap) => return gap.unanswered(fact("scripts", directory)),
        }
    }
    fact("scripts", "etc/cron.daily").list(scripts)
}

/// Whether the next start installs updates before anything else.
fn prepared(look: &mut Look<'_>) -> HardeningRow {
    const LINKS: [&str; 2] = ["system-update", "etc/system-update"];
    // What the link leads to does not matter, and need not be there.
    let link = LINKS.into_iter().find(|it| look.host.root.read_link(it).is_ok());
    fact("offline_update_prepared", link.unwrap_or(LINKS[0])).flag(link.is_some())
}

fn apt(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    let conf = AptConf::of(look);
    let installed = files::exists(look, "usr/bin/unattended-upgrade");
    let row = fact("apt.unattended_upgrades_installed", "usr/bin/unattended-upgrade");
    rows.push(installed.map_or_else(|| row.clone().error(), |it| row.clone().flag(it)));
    for (id, setting, default) in PERIODIC {
        let (value, source, reason) = found(&conf, setting, default);
        let mut row = fact(&format!("apt.{id}"), source);
        if let Some((_, gap)) = &conf.gap {
            rows.push(gap.unanswered(row));
            continue;
        }
        if let Some(reason) = reason {
            row = row.because(reason);
        }
        // Days, or "always", or a number with a unit.
        rows.push(match value.parse() {
            Ok(days) => row.number(days),
            Err(_) => row.text(value),
        });
    }
    if installed == Some(false) {
        return;
    }
    for (id, setting, default) in UNATTENDED {
        let (value, source, reason) = found(&conf, setting, if default { "true" } else { "false" });
        let mut row = fact(&format!("apt.{id}"), source);
        if let Some(reason) = reason {
            row = row.because(reason);
        }
        rows.push(match (&conf.gap, ini::flag(value)) {
            (Some((_, gap)), _) => gap.unanswered(row),
            (None, Some(flag)) => row.flag(flag),
            (None, None) => row.because(format!("{value:?} says neither yes nor no")).error(),
        });
    }
    let (time, source, _) = found(&conf, "Unattended-Upgrade::Automatic-Reboot-Time", "now");
    rows.push(match &conf.gap {
        Some((_, gap)) => gap.unanswered(fact("apt.automatic_reboot_time", source)),
        None => fact("apt.automatic_reboot_time", source).text(time),
    });
    for (id, setting) in LISTS {
        let id = format!("apt.{id}");
        rows.push(match (&conf.gap, conf.list(setting)) {
            (Some((_, gap)), _) => gap.unanswered(fact(&id, "etc/apt/apt.conf")),
            (None, Some((items, source))) => fact(&id, source).list(items),
            (None, None) => fact(&id, "etc/apt/apt.conf").absent(),
        });
    }
}

fn found<'a>(conf: &'a AptConf, setting: &str, default: &'a str) -> (&'a str, &'a str, Option<&'static str>) {
    match conf.get(setting) {
        Some((value, source)) => (value, source, None),
        None => (default, "etc/apt/apt.conf", Some("not set: what apt does then")),
    }
}

fn of_tool(
    look: &mut Look<'_>,
    tool: &str,
    paths: &[&str],
    section: &str,
    settings: &[&str],
    rows: &mut Vec<HardeningRow>,
) {
    let mut read = Vec::new();
    for path in paths {
        match files::read(look, path) {
            Found::Text(text) => read.push((*path, ini::sections(&text))),
            Found::Absent => {}
            gap @ (Found::Denied | Found::Broken(_)) => {
                rows.extend(settings.iter().map(|it| gap.unanswered(fact(&format!("{tool}.{it}"), path))));
                return;
            }
        }
    }
    let Some((first, _)) = read.first() else { return };
    for setting in settings {
        let value = read.iter().find_map(|(path, sections)| {
            let section = sections.iter().filter(|it| it.name == section).find_map(|it| it.get(setting))?;
            Some((section.trim_matches(['"', '\'']), *path))
        });
        let id = format!("{tool}.{setting}");
        rows.push(match value {
            Some((value, path)) => match (value, ini::flag(value)) {
                // `never` of `reboot` is a word among others.
                ("never", _) | (_, None) => fact(&id, path).text(value),
                (_, Some(flag)) => fact(&id, path).flag(flag),
            },
            None => fact(&id, first).because("not set: the tool's own default").absent(),
        });
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_common::row::hardening_row::Value;

    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    fn said(rows: &[HardeningRow], id: &str) -> String {
        let row = rows.iter().find(|it| it.id == format!("updates.{id}")).unwrap();
        match &row.value {
            Some(Value::Flag(it)) => it.to_string(),
            Some(Value::Number(it)) => it.to_string(),
            Some(Value::Text(it)) => it.clone(),
            Some(Value::List(it)) => it.items.join(";"),
            None => row.state.clone(),
        }
    }

    #[test]
    fn what_apt_does_by_itself_is_told_with_its_source() {
        let (dir, host) = host(&[
            ("usr/bin/apt-get", ""),
            ("usr/bin/unattended-upgrade", ""),
            ("etc/apt/apt.conf.d/20auto-upgrades", "APT::Periodic::Unattended-Upgrade \"1\";\n"),
            (
                "etc/apt/apt.conf.d/50unattended-upgrades",
                "Unattended-Upgrade::Allowed-Origins { \"o:a\"; };\nUnattended-Upgrade::Automatic-Reboot \"true\";\n",
            ),
        ]);
        let wants = dir.path().join("etc/systemd/system/timers.target.wants");
        std::fs::create_dir_all(&wants).unwrap();
        for name in ["apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer"] {
            std::os::unix::fs::symlink(format!("/usr/lib/systemd/system/{name}"), wants.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("/dev/null", wants.with_file_name("apt-daily.timer")).unwrap();
        std::os::unix::fs::symlink("/var/lib/update", dir.path().join("system-update")).unwrap();
        let host = host.limited_to(crate::host::ReadList::new(READS.iter().copied().flatten()));
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(said(&rows, "units"), "apt-daily-upgrade.timer");
        assert_eq!(said(&rows, "offline_update_prepared"), "true");
        assert_eq!(said(&rows, "apt.unattended_upgrade"), "1");
        assert_eq!(said(&rows, "apt.update_package_lists"), "0");
        assert_eq!(said(&rows, "apt.automatic_reboot"), "true");
        assert_eq!(said(&rows, "apt.automatic_reboot_time"), "now");
        assert_eq!(said(&rows, "apt.allowed_origins"), "o:a");
        assert_eq!(said(&rows, "apt.package_blacklist"), "absent");
    }

    #[test]
    fn other_tools_have_facts_only_where_they_are() {
        let (_dir, host) = host(&[
            (
                "etc/dnf/automatic.conf",
                "[commands]\napply_updates = yes\nreboot = never\n[email]\nreboot = x\n",
            ),
            ("etc/yum/yum-cron.conf", "[commands]\napply_updates = no\n"),
            ("usr/etc/transactional-update.conf", "REBOOT_METHOD=kured\n"),
            ("etc/cron.daily/0yum-daily.cron", ""),
            ("usr/bin/snap", ""),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(said(&rows, "dnf_automatic.apply_updates"), "true");
        assert_eq!(said(&rows, "dnf_automatic.reboot"), "never");
        assert_eq!(said(&rows, "dnf_automatic.upgrade_type"), "absent");
        assert_eq!(said(&rows, "yum_cron.apply_updates"), "false");
        assert_eq!(said(&rows, "transactional_update.reboot_method"), "kured");
        assert_eq!(said(&rows, "scripts"), "etc/cron.daily/0yum-daily.cron");
        assert_eq!(said(&rows, "snap.refresh_hold"), "error");
        assert!(!rows.iter().any(|it| it.id.starts_with("updates.apt.")));
    }
}
