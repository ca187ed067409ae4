//! Kernel modules that carry media or rarely used protocols: loaded, built in, kept out.
//!
//! Sources of truth: `proc/modules`, `lib/modules/VERSION/modules.builtin`, modprobe.d(5) in its
//! directories, and the kernel's command line. World readable. A kernel without modules has no
//! `proc/modules`; what it can do is built in and not asked one by one.
//!
//! Known lies: who is root can load a module around modprobe; only `kernel.modules_disabled`, a
//! lockdown or the command line's `module_blacklist` stop that. A module that is loaded now was
//! perhaps loaded before it was kept out.

use std::collections::BTreeSet;

use super::layers::drop_ins;
use super::modprobe::{Settings, is_refusal, normal};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("etc/modprobe.d/*.conf"),
    Reads::content("run/modprobe.d/*.conf"),
    Reads::content("usr/local/lib/modprobe.d/*.conf"),
    Reads::content("usr/lib/modprobe.d/*.conf"),
    Reads::content("lib/modprobe.d/*.conf"),
];
/// What [`Kernel::read`] may touch.
pub(super) const KERNEL_READS: &[Reads] = &[
    Reads::content("proc/modules"),
    Reads::content("proc/cmdline"),
    Reads::content("proc/sys/kernel/osrelease"),
    Reads::content("lib/modules/*/modules.builtin"),
    Reads::content("usr/lib/modules/*/modules.builtin"),
];
/// What [`CommandLine::read`] may touch.
pub(super) const COMMAND_LINE_READS: &[Reads] = &[Reads::content("proc/cmdline")];

const DIRECTORIES: [&str; 5] =
    ["etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d"];
const MAX_BYTES: usize = 256 * 1024;
const MAX_MODULES: usize = 4 * 1024 * 1024;

const NF_TABLES: &str = "nf_tables";
/// Media and buses, file systems, protocols, radio: the names that hardening guides keep out.
const OF_INTEREST: [&str; 30] = [
    "usb_storage",
    "uas",
    "firewire_core",
    "firewire_ohci",
    "firewire_sbp2",
    "thunderbolt",
    "sr_mod",
    "mmc_block",
    "bluetooth",
    "btusb",
    "cfg80211",
    "cramfs",
    "freevxfs",
    "jffs2",
    "hfs",
    "hfsplus",
    "squashfs",
    "udf",
    "dccp",
    "sctp",
    "rds",
    "tipc",
    "n_hdlc",
    "ax25",
    "netrom",
    "x25",
    "rose",
    "can",
    "atm",
    "vivid",
];

/// The command line of the running kernel.
#[derive(Debug)]
pub(super) struct CommandLine(String);

impl CommandLine {
    /// Reads it; `None` where no kernel runs.
    pub(super) fn read(look: &mut Look<'_>) -> Option<Self> {
        look.text("proc/cmdline", MAX_BYTES).map(Self)
    }

    /// The values of a word, in order.
    pub(super) fn words<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        // What follows two dashes is for init.
        let words = self.0.split_whitespace().take_while(|it| *it != "--");
        words.filter_map(move |it| it.split_once('=')).filter(move |it| it.0 == key).map(|it| it.1)
    }
}

/// What the running kernel says about the modules that matter here.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    /// Those that are loaded; `None` for a kernel without modules, or none that runs.
    loaded: Option<BTreeSet<String>>,
    /// Those that are built in; `None` where no file says it.
    built_in: Option<BTreeSet<String>>,
    /// `None` where none runs.
    command_line: Option<CommandLine>,
}

impl Kernel {
    /// Reads it.
    pub(super) fn read(look: &mut Look<'_>) -> Self {
        let command_line = CommandLine::read(look);
        let matters = |it: &String| it == NF_TABLES || OF_INTEREST.contains(&it.as_str());
        let loaded = look.text("proc/modules", MAX_MODULES).map(|text| {
            let names = text.lines().filter_map(|it| it.split_whitespace().next());
            names.map(str::to_owned).filter(matters).collect()
        });
        let built_in = look.value("proc/sys/kernel/osrelease").and_then(|release| {
            let path = format!("lib/modules/{release}/modules.builtin");
            let text = look.text(&path, MAX_MODULES)?;
            Some(text.lines().filter_map(module_of).filter(matters).collect())
        });
        Self { loaded, built_in, command_line }
    }

    /// Whether the packet filter is there without loading anything. A kernel that runs and has no
    /// modules at all can load nothing, so whatever it answers is safe to ask.
    pub(super) fn has_nf_tables(&self) -> bool {
        let among =
            |names: &Option<BTreeSet<String>>| names.as_ref().is_some_and(|it| it.contains(NF_TABLES));
        let has_no_modules = self.loaded.is_none() && self.command_line.is_some();
        has_no_modules || among(&self.loaded) || among(&self.built_in)
    }
}

/// `kernel/drivers/usb/storage/usb-storage.ko` is `usb_storage`.
fn module_of(path: &str) -> Option<String> {
    let name = path.trim().rsplit('/').next()?;
    let name = name.split(".ko").next()?;
    (!name.is_empty()).then(|| normal(name))
}

/// Reads what is loaded and what is kept out.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let kernel = Kernel::read(look);
    let files = drop_ins(look, &DIRECTORIES, ".conf");
    if files.is_empty() && kernel.command_line.is_none() && kernel.loaded.is_none() {
        return look.missing("neither proc/modules nor a file of modprobe.d is there");
    }
    let mut settings = Settings::default();
    for file in files {
        if let Some(text) = look.text(&file, MAX_BYTES) {
            settings.add(&text, &file);
        }
    }
    let mut refused: BTreeSet<String> = BTreeSet::new();
    if let Some(line) = &kernel.command_line {
        for module in line.words("modprobe.blacklist").flat_map(|it| it.split(',')) {
            settings.add_blacklist(module, "proc/cmdline");
        }
        refused.extend(line.words("module_blacklist").flat_map(|it| it.split(',')).map(normal));
    }

    let mut rows = Vec::new();
    let listed = |names: &BTreeSet<String>| {
        OF_INTEREST.iter().filter(|it| names.contains(**it)).map(|it| (*it).to_owned()).collect::<Vec<_>>()
    };
    let fact = Fact::new("module.loaded", &["L10"], "proc/modules");
    rows.push(match (&kernel.loaded, &kernel.command_line) {
        (Some(loaded), _) => fact.list(listed(loaded)),
        (None, Some(_)) => fact.because("this kernel has no modules").absent(),
        (None, None) => fact.because("not a running system").absent(),
    });
    if let Some(built_in) = &kernel.built_in {
        rows.push(Fact::new("module.built_in", &["L10"], "modules.builtin").list(listed(built_in)));
    }
    for module in OF_INTEREST {
        let kept = settings.of(module);
        let (value, source, note) = match (&kept.install, kept.blacklist) {
            _ if refused.contains(module) => ("kernel", "proc/cmdline", None),
            (Some((command, source)), _) if is_refusal(command) => ("install", *source, None),
            (Some((command, source)), Some(_)) => ("blacklist", *source, Some(command)),
            (Some((command, source)), None) => ("command", *source, Some(command)),
            (None, Some(source)) => ("blacklist", source, None),
            (None, None) => ("none", "modprobe.d", None),
        };
        let fact = Fact::new("module.kept_out", &["L10"], source).about(module);
        let fact = match note {
            Some(command) => fact.because(format!("loading it runs: {command}")),
            None => fact,
        };
        rows.push(fact.text(value));
    }
    Reading::of(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};
    use holdpoint_common::row::HardeningRow;
    use holdpoint_common::row::hardening_row::Value;

    fn kept(rows: &[HardeningRow], module: &str) -> (String, String) {
        let row = rows.iter().find(|it| it.subject.as_deref() == Some(module)).unwrap();
        let Some(Value::Text(text)) = &row.value else { panic!("{row:?}") };
        (text.clone(), row.source.clone())
    }

    #[test]
    fn each_way_of_keeping_a_module_out_has_its_word() {
        let (_dir, host) = host(&[
            ("proc/modules", "usb_storage 81920 1 uas, Live 0x0\next4 1 1 - Live 0x0\n"),
            (
                "proc/cmdline",
                "quiet module_blacklist=dccp,n-hdlc modprobe.blacklist=btusb -- module_blacklist=udf\n",
            ),
            ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
            ("lib/modules/6.1.0-18-amd64/modules.builtin", "kernel/fs/squashfs/squashfs.ko\n"),
            ("etc/modprobe.d/site.conf", "install usb-storage /bin/false\nblacklist uas\n"),
            ("usr/lib/modprobe.d/site.conf", "install uas /bin/false\n"),
            ("lib/modprobe.d/y.conf", "install tipc /usr/bin/logger tipc\n"),
        ]);
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(kept(&rows, "usb_storage"), ("install".into(), "etc/modprobe.d/site.conf".into()));
        assert_eq!(kept(&rows, "uas").0, "blacklist");
        assert_eq!(kept(&rows, "btusb"), ("blacklist".into(), "proc/cmdline".into()));
        assert_eq!(kept(&rows, "dccp").0, "kernel");
        assert_eq!(kept(&rows, "n_hdlc").0, "kernel");
        assert_eq!(kept(&rows, "udf").0, "none");
        assert_eq!(kept(&rows, "tipc").0, "command");
        let list = |id: &str| rows.iter().find(|it| it.id == id).and_then(|it| it.value.clone());
        assert_eq!(
            list("module.loaded"),
            Some(Value::List(holdpoint_common::row::TextList { items: vec!["usb_storage".into()] }))
        );
        assert!(matches!(list("module.built_in"), Some(Value::List(it)) if it.items == ["squashfs"]));
    }

    #[test]
    fn a_kernel_without_modules_can_load_nothing() {
        let running = Kernel { command_line: Some(CommandLine(String::new())), ..Kernel::default() };
        assert!(running.has_nf_tables());
        assert!(!Kernel::default().has_nf_tables());
        let loads = Kernel { loaded: Some(BTreeSet::new()), ..running };
        assert!(!loads.has_nf_tables());
    }
}
