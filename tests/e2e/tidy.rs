//! Rules about the source, as a table of words and the only places that may say them.

use std::fs;
use std::path::{Path, PathBuf};

/// A word, where it must not stand, and the places inside that which may say it.
struct Rule {
    word: &'static str,
    inside: &'static [&'static str],
    allowed: &'static [&'static str],
    why: &'static str,
}

const EVERYWHERE: &[&str] = &["proto/src", "common/src", "agent/src", "collector/src", "collector/cli/src"];

const RULES: &[Rule] = &[
    Rule {
        word: "sled::",
        inside: EVERYWHERE,
        allowed: &["collector/src/store/sled.rs", "collector/src/store/backend.rs"],
        why: "one file names this engine, so that it can be replaced",
    },
    Rule {
        word: "redb::",
        inside: EVERYWHERE,
        allowed: &["collector/src/store/redb.rs", "collector/src/store/backend.rs"],
        why: "one file names this engine, so that it can be replaced",
    },
    Rule {
        word: "Command::new(",
        inside: EVERYWHERE,
        allowed: &[],
        why: "no part of Holdpoint starts a process",
    },
    Rule {
        word: "TcpListener",
        inside: &["agent/src", "common/src"],
        // Tests that show how the cage refuses it.
        allowed: &["agent/src/host/live/linux/cage_tests.rs"],
        why: "an agent opens no listening port",
    },
    Rule {
        word: "target_os",
        inside: EVERYWHERE,
        allowed: &[
            "agent/src/host/live",
            "collector/src/carrier/diode/os",
            "collector/src/carrier/relay/os",
            "collector/src/memory.rs",
            "collector/src/store/real_sync.rs",
            "collector/src/store/sled.rs",
        ],
        why: "everything but the live host compiles and is tested everywhere",
    },
    Rule {
        word: "unsafe {",
        inside: EVERYWHERE,
        allowed: &[
            "collector/src/carrier/relay/os",
            "collector/src/store/real_sync.rs",
            "agent/src/host/live",
            "agent/src/host/registry/live.rs",
            "agent/src/host/windows/live",
            "common/src/private/windows.rs",
        ],
        why: "unsafe stays in the smallest wrappers of the operating system",
    },
    Rule {
        word: "also_allowing(",
        inside: EVERYWHERE,
        allowed: &["agent/src/host/root.rs", "agent/src/scan/site/mod.rs"],
        why: "only the host's own administrator makes the read list longer",
    },
    Rule {
        word: "packet_filter()",
        inside: EVERYWHERE,
        allowed: &["agent/src/host/live", "agent/src/scan/linux/hardening/packet_filter.rs"],
        why: "who asks the packet filter first makes sure that asking loads nothing",
    },
    Rule {
        word: "holdpoint_collector",
        inside: &["proto/src", "common/src", "agent/src"],
        allowed: &[],
        why: "the agent never sees the collector",
    },
    Rule {
        word: "holdpoint_agent",
        inside: &["proto/src", "common/src", "collector/src"],
        allowed: &[],
        why: "the collector never sees the agent",
    },
    Rule {
        word: "anyhow::",
        inside: &["proto/src", "common/src", "agent/src", "collector/src"],
        allowed: &["agent/src/command", "collector/src/main.rs"],
        why: "libraries have typed errors",
    },
    Rule {
        word: "#[ignore",
        inside: &["proto", "common", "agent", "collector", "tests/src"],
        allowed: &[],
        why: "a test either says something or is not there",
    },
];

#[test]
fn every_word_stands_where_it_may() {
    let root = workspace();
    let mut faults = Vec::new();
    for rule in RULES {
        for folder in rule.inside {
            for file in rust_files(&root.join(folder)) {
                let path =
                    file.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
                if rule.allowed.iter().any(|it| path.starts_with(it)) {
                    continue;
                }
                let text = fs::read_to_string(&file).expect("source is text");
                for (number, line) in text.lines().enumerate() {
                    let code = line.split("//").next().unwrap_or("");
                    if code.contains(rule.word) {
                        faults.push(format!("{path}:{}: `{}`: {}", number + 1, rule.word, rule.why));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_rules_look_at_real_files() {
    let root = workspace();
    for rule in RULES {
        for folder in rule.inside {
            assert!(!rust_files(&root.join(folder)).is_empty(), "{folder} has no source");
        }
        for place in rule.allowed {
            assert!(root.join(place).exists(), "{place} is gone; so should be its exception");
        }
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every Rust file below a folder, in a fixed order; build output is left out, and no link is followed:
/// those of a captured host lead anywhere.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|it| it.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if path.file_name().is_none_or(|it| it != "target" && it != "generated") {
                found.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}
