//! One target under libFuzzer; `tests/fuzz/guided` builds it with the coverage that this needs.
//!
//! One program for all targets, so that the workspace is built and linked once: which one it is
//! stands in `HOLDPOINT_FUZZ_TARGET`, because the command line is libFuzzer's own.
#![no_main]

use std::sync::LazyLock;

use holdpoint_tests::targets::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("HOLDPOINT_FUZZ_TARGET").unwrap_or_default();
    let known = TARGETS.iter().find(|(name, _)| *name == wanted);
    known.unwrap_or_else(|| panic!("there is no target `{wanted}`")).1
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
