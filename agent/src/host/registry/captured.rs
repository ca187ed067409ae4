//! The registry of a machine that does not run.
//!
//! Its hive files stand where its Windows had them ([`super::hives`]). An export beside the files is taken before hives: whoever made it said what to look at. It is
//! `registry.reg` in the root's top folder, and every `registry/*.reg`, merged in the order of names.

use std::ffi::OsStr;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::SystemTime;

use super::super::root::{HostRoot, is_absent};
use super::hives::{Hives, SOFTWARE, SYSTEM};
use super::{Data, Registry, Source, Tree, Value};

/// An export in the top folder of a captured machine.
const EXPORT: &str = "registry.reg";
/// A folder of exports.
const EXPORTS: &str = "registry";
/// Most exports in the folder.
const MAX_EXPORTS: usize = 64;
/// Most bytes of one export; what is held of it has a bound of its own.
const MAX_EXPORT: u64 = 64 * 1024 * 1024;

/// The registry of a machine that does not run: its hive files, or an export beside them; `None` where
/// the root is no Windows.
pub(in super::super) fn captured(root: &HostRoot) -> Option<Registry> {
    match exported(root) {
        Ok(Some(tree)) => Some(Registry::new(tree)),
        Ok(None) => {
            let root = root.clone().ignoring_case();
            let is_windows = [SOFTWARE, SYSTEM].iter().any(|it| root.exists(it));
            is_windows.then(|| Registry::new(Hives::new(root)))
        }
        Err(why) => Some(Registry::new(Broken(why))),
    }
}

/// The exports of a root as one tree; `None` where there is none.
fn exported(root: &HostRoot) -> Result<Option<Tree>, String> {
    let mut files = Vec::new();
    match root.facts(EXPORT) {
        Ok(_) => files.push(EXPORT.to_owned()),
        Err(cause) if is_absent(&cause) => {}
        Err(cause) => return Err(format!("{EXPORT}: {cause}")),
    }
    match root.list(EXPORTS, MAX_EXPORTS) {
        Ok(listing) => {
            let exports = listing
                .entries
                .iter()
                .filter(|it| Path::new(&it.name).extension() == Some(OsStr::new("reg")));
            files.extend(exports.map(|it| format!("{EXPORTS}/{}", it.name)));
        }
        Err(cause) if is_absent(&cause) => {}
        Err(cause) => return Err(format!("{EXPORTS}: {cause}")),
    }
    if files.is_empty() {
        return Ok(None);
    }
    let mut tree = Tree::default();
    for file in &files {
        merge(root, file, &mut tree).map_err(|why| format!("{file}: {why}"))?;
    }
    Ok(Some(tree))
}

fn merge(root: &HostRoot, file: &str, tree: &mut Tree) -> Result<(), String> {
    let pieces = root.pieces(file).map_err(|cause| cause.to_string())?;
    if pieces.bytes() > MAX_EXPORT {
        return Err(format!("more than {MAX_EXPORT} bytes; export fewer keys"));
    }
    let export = BufReader::new(pieces.into_reader().take(MAX_EXPORT));
    tree.merge(export).map_err(|why| holdpoint_common::chain::Chain(&why).to_string())
}

/// A registry that is there and cannot be used: every question gets the reason.
#[derive(Debug)]
struct Broken(String);

impl Broken {
    fn why<T>(&self) -> io::Result<T> {
        Err(io::Error::new(io::ErrorKind::InvalidData, self.0.clone()))
    }
}

impl Source for Broken {
    fn keys(&self, _key: &str) -> io::Result<Vec<String>> {
        self.why()
    }

    fn values(&self, _key: &str) -> io::Result<Vec<Value>> {
        self.why()
    }

    fn value(&self, _key: &str, _name: &str) -> io::Result<Data> {
        self.why()
    }

    fn written(&self, _key: &str) -> io::Result<SystemTime> {
        self.why()
    }
}
