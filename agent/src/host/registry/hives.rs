//! The hive files of a machine that does not run, as the one registry that its Windows would show.
//!
//! `HKLM\SOFTWARE` and `HKLM\SYSTEM` and the user `.DEFAULT` stand in `Windows/System32/config`; every
//! other user's keys stand in `NTUSER.DAT` of the profile that `ProfileList` names. The files `SAM` and
//! `SECURITY` beside them are not opened. What Windows makes at each start (`HKLM\HARDWARE`, volatile
//! keys) is in no file, and absent here. `CurrentControlSet` is the set that `Select\Current` names.
//!
//! Only a few hives are open at a time, however many users a machine has.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::super::root::{HostRoot, is_absent};
use super::data::time;
use super::hive::{Found, Hive};
use super::name::{parts, same};
use super::{Data, Source, Value};

/// `HKLM\SOFTWARE`.
pub(super) const SOFTWARE: &str = "Windows/System32/config/SOFTWARE";
/// `HKLM\SYSTEM`.
pub(super) const SYSTEM: &str = "Windows/System32/config/SYSTEM";
/// The user `.DEFAULT`, which is the system's own account.
const DEFAULT: &str = "Windows/System32/config/DEFAULT";
/// File of a user's keys, in the folder of the profile.
const USER: &str = "NTUSER.DAT";
/// Names of the user `.DEFAULT`.
const DEFAULT_NAMES: [&str; 2] = [".DEFAULT", "S-1-5-18"];

/// Most hives that are open at a time; each holds at most 256 KiB of its file, and where its logs hold what.
const MAX_OPEN: usize = 3;
/// Most links that one path may cross.
const MAX_LINKS: usize = 8;
/// Most users whose profile is looked up.
const MAX_USERS: usize = 1_024;

/// The keys of which each names a user's profile.
const PROFILES: &[&str] = &["Microsoft", "Windows NT", "CurrentVersion", "ProfileList"];
const VERSION: &[&str] = &["Microsoft", "Windows NT", "CurrentVersion"];

/// Where the kernel's names of keys begin, and ours.
const KERNEL_NAMES: [(&str, &str); 2] = [(r"\REGISTRY\MACHINE\", r"HKLM\"), (r"\REGISTRY\USER\", r"HKU\")];

/// The hives of one machine.
#[derive(Debug)]
pub(super) struct Hives {
    root: HostRoot,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The hive asked last stands first.
    open: VecDeque<(String, Hive)>,
    users: Option<Vec<User>>,
    /// Name of the current control set.
    control_set: Option<String>,
}

/// A user that has a profile.
#[derive(Debug, Clone)]
struct User {
    sid: String,
    /// The file of its keys; or why it is in no file of this root.
    file: Result<String, String>,
}

impl Hives {
    /// The hives of a root that ignores case.
    pub(super) fn new(root: HostRoot) -> Self {
        Self { root, state: Mutex::default() }
    }

    fn with<T>(
        &self,
        key: &str,
        ask: impl FnOnce(&mut Hive, &super::hive::Key) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = key.to_owned();
        for _ in 0..MAX_LINKS {
            let (file, inside) = state.locate(&self.root, &key)?;
            let path: Vec<&str> = inside.iter().map(String::as_str).collect();
            let hive = state.hive(&self.root, &file)?;
            match hive.find(&path).map_err(|cause| of_file(&file, cause))? {
                Found::Key(key) => return ask(hive, &key).map_err(|cause| of_file(&file, cause)),
                Found::Link(target, crossed) => key = followed(&target, &path[crossed..])?,
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("{key} crosses more than {MAX_LINKS} links")))
    }
}

/// Where a link and the rest of a path lead, in the names that probes use.
fn followed(target: &str, rest: &[&str]) -> io::Result<String> {
    let known = KERNEL_NAMES.iter().find_map(|(kernel, ours)| {
        let is_below = target.get(..kernel.len()).is_some_and(|it| it.eq_ignore_ascii_case(kernel));
        is_below.then(|| format!("{ours}{}", &target[kernel.len()..]))
    });
    let why =
        || io::Error::new(io::ErrorKind::InvalidData, format!("a link leads to {target:?}, which is no key"));
    let target = known.ok_or_else(why)?;
    if super::is_secret(&target) {
        return Err(io::Error::other("a link leads to keys that hold secrets, which the agent never reads"));
    }
    Ok(format!("{target}\\{}", rest.join("\\")))
}

/// Says which file is broken; that something is absent needs no file.
fn of_file(file: &str, cause: io::Error) -> io::Error {
    if is_absent(&cause) { cause } else { io::Error::new(cause.kind(), format!("{file}: {cause}")) }
}

fn no_key() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such key")
}

impl State {
    /// The file that holds a key, and the path of the key in it.
    fn locate(&mut self, root: &HostRoot, key: &str) -> io::Result<(String, Vec<String>)> {
        let all: Vec<&str> = parts(key).collect();
        let owned = |path: &[&str]| path.iter().map(|it| (*it).to_owned()).collect::<Vec<String>>();
        match all.as_slice() {
            [top, hive, rest @ ..] if same(top, "HKLM") && same(hive, "SOFTWARE") => {
                Ok((SOFTWARE.to_owned(), owned(rest)))
            }
            [top, hive, set, rest @ ..]
                if same(top, "HKLM") && same(hive, "SYSTEM") && same(set, "CurrentControlSet") =>
            {
                let mut path = vec![self.control_set(root)?];
                path.extend(owned(rest));
                Ok((SYSTEM.to_owned(), path))
            }
            [top, hive, rest @ ..] if same(top, "HKLM") && same(hive, "SYSTEM") => {
                Ok((SYSTEM.to_owned(), owned(rest)))
            }
            [top, user, rest @ ..] if same(top, "HKU") => {
                if DEFAULT_NAMES.iter().any(|it| same(it, user)) {
                    return Ok((DEFAULT.to_owned(), owned(rest)));
                }
                let found = self.users(root)?.iter().find(|it| same(&it.sid, user)).ok_or_else(no_key)?;
                let file = found.file.clone();
                Ok((file.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?, owned(rest)))
            }
            _ => Err(no_key()),
        }
    }

    /// An open hive.
    fn hive(&mut self, root: &HostRoot, file: &str) -> io::Result<&mut Hive> {
        let found = self.open.iter().position(|(it, _)| it == file).and_then(|at| self.open.remove(at));
        let opened = match found {
            Some(it) => it,
            None => {
                self.open.truncate(MAX_OPEN - 1);
                (file.to_owned(), Hive::open(root, file).map_err(|cause| of_file(file, cause))?)
            }
        };
        self.open.push_front(opened);
        Ok(&mut self.open[0].1)
    }

    fn control_set(&mut self, root: &HostRoot) -> io::Result<String> {
        if let Some(known) = &self.control_set {
            return Ok(known.clone());
        }
        let hive = self.hive(root, SYSTEM)?;
        let current = value(hive, &["Select"], "Current").map_err(|cause| of_file(SYSTEM, cause))?;
        let broken =
            || io::Error::new(io::ErrorKind::InvalidData, format!(r"{SYSTEM}: Select\Current is no number"));
        let set = format!("ControlSet{:03}", current.number().ok_or_else(broken)?);
        self.control_set = Some(set.clone());
        Ok(set)
    }

    /// The users that have a profile.
    fn users(&mut self, root: &HostRoot) -> io::Result<&[User]> {
        if self.users.is_none() {
            let hive = self.hive(root, SOFTWARE)?;
            let users = profiles(hive).map_err(|cause| of_file(SOFTWARE, cause))?;
            self.users = Some(users);
        }
        Ok(self.users.as_deref().unwrap_or_default())
    }

    fn names(&mut self, root: &HostRoot, key: &str) -> io::Result<Option<Vec<String>>> {
        let mut all = parts(key);
        let (Some(top), None) = (all.next(), all.next()) else { return Ok(None) };
        if same(top, "HKLM") {
            let there =
                [("SOFTWARE", SOFTWARE), ("SYSTEM", SYSTEM)].into_iter().filter(|(_, it)| root.exists(it));
            return Ok(Some(there.map(|(name, _)| name.to_owned()).collect()));
        }
        if same(top, "HKU") {
            let mut names: Vec<String> = Vec::new();
            if root.exists(DEFAULT) {
                names.extend(DEFAULT_NAMES.map(str::to_owned));
            }
            for user in self.users(root)? {
                // A profile whose file is gone is a user that nobody could load.
                let is_gone = matches!(&user.file, Ok(file) if !root.exists(file));
                if !is_gone && !names.iter().any(|it| same(it, &user.sid)) {
                    names.push(user.sid.clone());
                }
            }
            return Ok(Some(names));
        }
        Ok(None)
    }
}

fn value(hive: &mut Hive, path: &[&str], name: &str) -> io::Result<Data> {
    match hive.find(path)? {
        Found::Key(key) => hive.value(&key, name),
        Found::Link(..) => Err(no_key()),
    }
}

/// The users of `ProfileList`, each with the file of its keys.
fn profiles(hive: &mut Hive) -> io::Result<Vec<User>> {
    let windows = value(hive, VERSION, "SystemRoot").ok();
    let windows = windows.as_ref().and_then(Data::text).unwrap_or(r"C:\Windows").to_owned();
    let list = match hive.find(PROFILES)? {
        Found::Key(key) => hive.keys(&key)?,
        Found::Link(..) => return Err(no_key()),
    };
    if list.len() > MAX_USERS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {MAX_USERS} profiles")));
    }
    let mut users = Vec::new();
    for sid in list.into_iter().filter(|it| it.starts_with("S-")) {
        let path: Vec<&str> = PROFILES.iter().copied().chain([sid.as_str()]).collect();
        let file = match value(hive, &path, "ProfileImagePath") {
            Ok(data) => match data.text() {
                Some(profile) => profile_file(profile, &windows),
                None => Err(format!("the profile of {sid} has no path")),
            },
            Err(cause) if is_absent(&cause) => Err(format!("the profile of {sid} has no path")),
            Err(cause) => return Err(cause),
        };
        users.push(User { sid, file });
    }
    Ok(users)
}

/// The file of a profile below the root, which is the drive that Windows is on.
fn profile_file(profile: &str, windows: &str) -> Result<String, String> {
    let drive = windows.get(..2).unwrap_or("C:");
    let full = ["%SystemRoot%", "%windir%", "%SystemDrive%"].into_iter().zip([windows, windows, drive]);
    let expanded = full.fold(profile.to_owned(), |path, (name, value)| {
        let starts = path.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name));
        if starts { format!("{value}{}", &path[name.len()..]) } else { path }
    });
    match expanded.get(..2) {
        Some(it) if it.eq_ignore_ascii_case(drive) => {
            let inside = expanded[2..].trim_matches('\\').replace('\\', "/");
            Ok(format!("{inside}/{USER}"))
        }
        Some(_) | None => Err(format!("the profile {profile:?} is not on the drive of Windows ({drive})")),
    }
}

impl Source for Hives {
    fn keys(&self, key: &str) -> io::Result<Vec<String>> {
        let names = self.state.lock().unwrap_or_else(PoisonError::into_inner).names(&self.root, key)?;
        match names {
            Some(names) => Ok(names),
            None => self.with(key, Hive::keys),
        }
    }

    fn values(&self, key: &str) -> io::Result<Vec<Value>> {
        if ["HKLM", "HKU"].iter().any(|it| same(it, key.trim_matches('\\'))) {
            return Ok(Vec::new());
        }
        self.with(key, Hive::values)
    }

    fn value(&self, key: &str, name: &str) -> io::Result<Data> {
        self.with(key, |hive, key| hive.value(key, name))
    }

    fn written(&self, key: &str) -> io::Result<SystemTime> {
        self.with(key, |_, key| Ok(time(key.written)))
    }

    fn gap(&self, key: &str) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, _) = state.locate(&self.root, key).ok()?;
        state.hive(&self.root, &file).ok()?.gap().map(str::to_owned)
    }
}

#[cfg(test)]
#[path = "hives_tests.rs"]
mod tests;
