use std::collections::BTreeMap;
use std::io;
use std::time::SystemTime;

use super::super::registry::{Source, Value};
use super::*;

/// Keys by their lower-case path.
#[derive(Debug, Default, Clone)]
struct Keys(BTreeMap<String, Vec<Value>>);

impl Keys {
    fn with(mut self, key: &str, values: &[(&str, Data)]) -> Self {
        let values = values.iter().map(|(name, data)| Value { name: (*name).into(), data: data.clone() });
        self.0.insert(key.to_lowercase(), values.collect());
        self
    }

    fn at(&self, key: &str) -> io::Result<&Vec<Value>> {
        self.0.get(&key.to_lowercase()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Source for Keys {
    fn keys(&self, key: &str) -> io::Result<Vec<String>> {
        self.at(key)?;
        let start = key.to_lowercase() + "\\";
        let below = self.0.keys().filter_map(|it| it.strip_prefix(&start));
        Ok(below.filter(|it| !it.contains('\\')).map(str::to_owned).collect())
    }

    fn values(&self, key: &str) -> io::Result<Vec<Value>> {
        self.at(key).cloned()
    }

    fn value(&self, key: &str, name: &str) -> io::Result<Data> {
        let value = self.at(key)?.iter().find(|it| it.name.eq_ignore_ascii_case(name));
        value.map(|it| it.data.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn written(&self, _: &str) -> io::Result<SystemTime> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A filter that protects drive C but for some paths, set up in one of its copies.
fn filtered(copy: &str, enabled: u32, volume: u32, except: &[&str]) -> Keys {
    let except = Data::List(except.iter().map(|it| (*it).to_owned()).collect());
    let settings = format!(r"{UWF_STATIC}\{copy}");
    Keys::default()
        .with(UWF, &[("Start", Data::Number(0))])
        .with(UWF_STATIC, &[("UpdatedSettings", Data::Number(u32::from(copy == "Copy1")))])
        .with(&settings, &[("UwfEnabled", Data::Number(enabled))])
        .with(
            &format!(r"{settings}\0"),
            &[
                ("DriveLetter", Data::Text("C:".into())),
                ("VolumeEnabled", Data::Number(volume)),
                ("FileExceptionsUserDefined", except),
            ],
        )
}

fn word(keys: Keys, directory: &str) -> &'static str {
    Storage::of(Some(&Registry::new(keys)), Path::new(directory)).word()
}

const STATE: &str = r"C:\ProgramData\Holdpoint\agent";

#[test]
fn a_host_without_a_filter_keeps_what_is_written() {
    assert_eq!(Storage::of(None, Path::new("/var/lib/holdpoint-agent")), Storage::Kept);
    assert_eq!(word(Keys::default(), STATE), "kept");
}

#[test]
fn a_protected_volume_is_volatile_in_whichever_copy_is_in_force() {
    for copy in ["Copy0", "Copy1"] {
        assert_eq!(word(filtered(copy, 1, 1, &[]), STATE), "volatile", "{copy}");
        assert_eq!(word(filtered(copy, 0, 1, &[]), STATE), "kept", "the filter is off");
        assert_eq!(word(filtered(copy, 1, 0, &[]), STATE), "kept", "the volume is not protected");
        assert_eq!(word(filtered(copy, 1, 1, &[]), r"D:\state"), "kept", "another volume");
    }
    let next_session = filtered("Copy0", 1, 1, &[]);
    let now_off = next_session
        .with(&format!(r"{UWF_STATIC}\UsingCopyV"), &[])
        .with(&format!(r"{UWF_STATIC}\CopyV"), &[("UwfEnabled", Data::Number(0))]);
    assert_eq!(word(now_off, STATE), "kept", "what is set for the next start is not in force");
}

#[test]
fn an_exclusion_of_the_directory_or_one_above_it_keeps_it_and_no_other() {
    for except in [r"\ProgramData\Holdpoint\agent", r"\programdata\holdpoint", r"C:\ProgramData\Holdpoint\"] {
        assert_eq!(word(filtered("Copy0", 1, 1, &[except]), STATE), "kept", "{except}");
    }
    for except in [r"\ProgramData\Hold", r"\ProgramData\Holdpoint\agent\held", "", r"\"] {
        assert_eq!(word(filtered("Copy0", 1, 1, &[except]), STATE), "volatile", "{except}");
    }
    assert_eq!(
        word(
            filtered("Copy0", 1, 1, &[r"\ProgramData\Holdpoint\agent"]),
            r"C:\ProgramData\Holdpoint\agent\."
        ),
        "kept"
    );
}

#[test]
fn a_person_reads_how_to_exclude_the_directory() {
    let storage = Storage::of(Some(&Registry::new(filtered("Copy0", 1, 1, &[]))), Path::new(STATE));
    let advice = storage.warning().unwrap();
    assert!(advice.contains(r"uwfmgr file add-exclusion C:\ProgramData\Holdpoint\agent"), "{advice}");
    assert_eq!(Storage::Kept.warning(), None);
}

#[test]
fn what_cannot_be_understood_is_unknown_and_never_kept() {
    let odd = Keys::default().with(UWF, &[("Start", Data::Text("0".into()))]);
    assert_eq!(word(odd, STATE), "unknown");
    assert_eq!(word(filtered("Copy0", 1, 1, &[]), r"\\server\share\state"), "unknown");
    let older = |start| Keys::default().with(OLDER[1].1, &[("Start", Data::Number(start))]);
    assert_eq!(word(older(0), STATE), "unknown");
    assert_eq!(word(older(4), STATE), "kept");
}

#[test]
fn a_filter_that_was_installed_and_never_set_up_filters_nothing() {
    assert_eq!(word(Keys::default().with(UWF, &[("Start", Data::Number(0))]), STATE), "kept");
    assert_eq!(word(Keys::default().with(UWF, &[("Start", Data::Number(4))]), STATE), "kept");
}
