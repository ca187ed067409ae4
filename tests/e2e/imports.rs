//! What the built Windows programs ask of Windows: every imported function is one that their oldest Windows
//! has, none is one that an agent has no use for, and the headers ask for the protections that there are.
//!
//! `tests/wine/run` builds the programs and names them in the environment. A real Windows 7 cannot be had here,
//! and Wine has newer functions whatever Windows it plays: the table of imports is what can be shown.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::tidy::rust_files;
use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT, IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
    IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA, IMAGE_DLLCHARACTERISTICS_NX_COMPAT, ImageNtHeaders32,
    ImageNtHeaders64,
};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, Import, PeFile};

/// What Windows has, as lines of DLL, function and version.
const KNOWN: &str = include_str!("../../deploy/cross/windows-imports");

/// A version of Windows: major and minor number and, from 10 on, its build.
type Version = (u16, u16, u32);

/// A program and the oldest Windows that it is built for.
struct Build {
    variable: &'static str,
    oldest: Version,
    read: fn(&[u8]) -> Program,
    protections: u16,
}

const SMALL: u16 = IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE | IMAGE_DLLCHARACTERISTICS_NX_COMPAT;
const WIDE: u16 = SMALL | IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA;

const BUILDS: [Build; 3] = [
    Build {
        variable: "HOLDPOINT_WINDOWS_AGENT",
        oldest: (10, 0, 10240),
        read: Program::read::<ImageNtHeaders64>,
        protections: WIDE,
    },
    Build {
        variable: "HOLDPOINT_WIN7_AGENT",
        oldest: (6, 1, 0),
        read: Program::read::<ImageNtHeaders64>,
        protections: WIDE,
    },
    Build {
        variable: "HOLDPOINT_WIN7_32_AGENT",
        oldest: (6, 1, 0),
        read: Program::read::<ImageNtHeaders32>,
        protections: SMALL,
    },
];

/// Beginnings of names of functions that no agent calls, and what they would do.
const NEVER: &[(&str, &str)] = &[
    ("CreateProcess", "starts a program"),
    ("WinExec", "starts a program"),
    ("ShellExecute", "starts a program"),
    ("LoadModule", "starts a program"),
    ("NtCreateProcess", "starts a program"),
    ("NtCreateUserProcess", "starts a program"),
    ("RtlCreateUserProcess", "starts a program"),
    ("_spawn", "starts a program"),
    ("_wspawn", "starts a program"),
    ("_exec", "starts a program"),
    ("_wexec", "starts a program"),
    ("system", "starts a program"),
    ("_wsystem", "starts a program"),
    ("_popen", "starts a program"),
    ("_wpopen", "starts a program"),
    ("listen", "opens a listening port"),
    ("accept", "takes a connection"),
    ("AcceptEx", "takes a connection"),
    ("WSAAccept", "takes a connection"),
    ("URLDownload", "downloads"),
    ("InternetOpen", "downloads"),
    ("WinHttpOpen", "downloads"),
    ("NtLoadDriver", "loads a driver"),
    ("ZwLoadDriver", "loads a driver"),
    ("CreateService", "changes services"),
    ("ChangeServiceConfig", "changes services"),
    ("StartServiceA", "changes services"),
    ("StartServiceW", "changes services"),
    ("ControlService", "changes services"),
    ("DeleteService", "changes services"),
    ("RegCreateKey", "changes the registry"),
    ("RegSetValue", "changes the registry"),
    ("RegSetKeyValue", "changes the registry"),
    ("RegDelete", "changes the registry"),
    ("RegSaveKey", "changes the registry"),
    ("RegLoadKey", "changes the registry"),
    ("RegRestoreKey", "changes the registry"),
    ("NtSetValueKey", "changes the registry"),
    ("NtCreateKey", "changes the registry"),
    ("ExitWindows", "restarts the machine"),
    ("InitiateSystemShutdown", "restarts the machine"),
    ("InitiateShutdown", "restarts the machine"),
    ("NtShutdownSystem", "restarts the machine"),
    ("SetSystemTime", "moves the clock"),
    ("NtSetSystemTime", "moves the clock"),
    ("WriteProcessMemory", "reaches into another program"),
    ("ReadProcessMemory", "reaches into another program"),
    ("CreateRemoteThread", "reaches into another program"),
    ("SetWindowsHook", "reaches into another program"),
    ("MsiInstall", "installs"),
    ("MsiConfigure", "installs"),
    ("MsiReinstall", "installs"),
    ("MsiApplyPatch", "installs"),
    ("CoCreateInstance", "asks WMI"),
];

/// What installing, starting and removing the agent's own service needs; one file may name it. Only an
/// administrator can call them with effect, and nothing that looks or reports comes there.
const OWN_SERVICE: [&str; 9] = [
    "CreateServiceW",
    "ChangeServiceConfigW",
    "ChangeServiceConfig2W",
    "StartServiceW",
    "ControlService",
    "DeleteService",
    "RegCreateKeyExW",
    "RegSetValueExW",
    "RegDeleteKeyExW",
];
const OWN_SERVICE_FILE: &str = "agent/src/host/live/windows/services.rs";

/// What a program's headers say.
#[derive(Debug)]
struct Program {
    /// Subsystem and system that it asks for at least.
    asks_for: [Version; 2],
    protections: u16,
    has_delayed_imports: bool,
    /// DLL in lower case, and function or `#ordinal`.
    imports: BTreeSet<(String, String)>,
}

impl Program {
    fn read<Pe: ImageNtHeaders>(bytes: &[u8]) -> Self {
        let file = PeFile::<Pe>::parse(bytes).expect("a program for Windows");
        let header = file.nt_headers().optional_header();
        let table = file.import_table().expect("its imports can be read").expect("it has imports");
        let mut imports = BTreeSet::new();
        let mut descriptors = table.descriptors().expect("a list of DLLs");
        while let Some(descriptor) = descriptors.next().expect("a DLL") {
            let dll = table.name(descriptor.name.get(LE)).expect("its name").to_ascii_lowercase();
            let dll = String::from_utf8(dll).expect("a name in ASCII");
            let mut thunks =
                table.thunks(descriptor.original_first_thunk.get(LE)).expect("a list of functions");
            while let Some(thunk) = thunks.next::<Pe>().expect("a function") {
                let function = match table.import::<Pe>(thunk).expect("its name") {
                    Import::Ordinal(number) => format!("#{number}"),
                    Import::Name(_, name) => String::from_utf8(name.to_vec()).expect("a name in ASCII"),
                };
                imports.insert((dll.clone(), function));
            }
        }
        let delayed = file.data_directory(IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT);
        Self {
            asks_for: [
                (header.major_subsystem_version(), header.minor_subsystem_version(), 0),
                (header.major_operating_system_version(), header.minor_operating_system_version(), 0),
            ],
            protections: header.dll_characteristics(),
            has_delayed_imports: delayed.is_some_and(|it| it.virtual_address.get(LE) != 0),
            imports,
        }
    }
}

/// The programs that were built, with their bytes; says which were not.
fn programs() -> Vec<(&'static Build, Vec<u8>)> {
    let mut found = Vec::new();
    for build in &BUILDS {
        match std::env::var_os(build.variable).filter(|it| !it.is_empty()).map(PathBuf::from) {
            Some(path) => found.push((build, std::fs::read(path).expect("the program is there"))),
            None => println!("left out: {} names no program (tests/wine/run builds it)", build.variable),
        }
    }
    found
}

fn known() -> Vec<(&'static str, &'static str, Version)> {
    let lines = KNOWN.lines().filter(|it| !it.is_empty() && !it.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let (dll, function) = (words.next().unwrap(), words.next().expect("a function"));
            let mut numbers = words.next().expect("a version").split('.');
            let (major, minor) = (numbers.next().unwrap(), numbers.next().expect("MAJOR.MINOR"));
            let build = numbers.next().unwrap_or("0").parse().unwrap();
            assert_eq!((words.next(), numbers.next()), (None, None), "{line}");
            (dll, function, (major.parse().unwrap(), minor.parse().unwrap(), build))
        })
        .collect()
}

#[test]
fn the_list_of_what_windows_has_is_in_order_and_names_nothing_twice() {
    let names: Vec<_> = known().into_iter().map(|(dll, function, _)| (dll, function)).collect();
    assert!(names.len() > 100);
    for pair in names.windows(2) {
        assert!(pair[0] < pair[1], "{pair:?}");
    }
}

#[test]
fn every_import_is_one_that_the_oldest_windows_has() {
    let known = known();
    for (build, bytes) in programs() {
        let program = (build.read)(&bytes);
        println!("{}: {} functions", build.variable, program.imports.len());
        let mut faults = Vec::new();
        for (dll, function) in &program.imports {
            match known.iter().find(|(a, b, _)| a == dll && b == function) {
                Some((.., since)) if *since <= build.oldest => {}
                Some((.., since)) => faults.push(format!("{dll} {function} came with {since:?}")),
                None => faults.push(format!(
                    "{dll} {function} is not in deploy/cross/windows-imports: look up what brought it"
                )),
            }
        }
        assert!(faults.is_empty(), "{}:\n{}", build.variable, faults.join("\n"));
        assert!(!program.has_delayed_imports, "{}: imports that are looked up later", build.variable);
        for asked in program.asks_for {
            assert!(asked <= build.oldest, "{} asks for {asked:?}", build.variable);
        }
    }
}

#[test]
fn nothing_is_imported_or_named_that_acts_on_the_host() {
    for (build, bytes) in programs() {
        let program = (build.read)(&bytes);
        let is_own = |function: &str| OWN_SERVICE.contains(&function);
        for (dll, function) in program.imports.iter().filter(|(_, it)| !is_own(it)) {
            if let Some((_, why)) = NEVER.iter().find(|(start, _)| function.starts_with(start)) {
                panic!("{}: {dll} {function} {why}", build.variable);
            }
        }
        // A function can be asked for by its name while the program runs. Names of imports stand in the
        // program too.
        let text = String::from_utf8_lossy(&bytes);
        for (start, why) in NEVER.iter().filter(|(start, _)| start.len() >= 10) {
            // `NtCreateKeyedEvent` is no `NtCreateKey`.
            let goes_on =
                |at: usize| text[at + start.len()..].starts_with(|it: char| it.is_ascii_lowercase());
            let named = text.match_indices(start).filter(|(at, _)| !goes_on(*at)).count();
            let imported = program.imports.iter().filter(|(_, it)| it.starts_with(start)).count();
            assert!(named <= imported, "{}: says {start}, which {why}", build.variable);
        }
    }
}

#[test]
fn what_changes_a_service_or_the_registry_is_named_in_one_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = rust_files(&root.join("agent/src"));
    assert!(files.len() > 100);
    for file in files.iter().filter(|it| !it.ends_with(OWN_SERVICE_FILE)) {
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines() {
            let code = line.split("//").next().unwrap_or("");
            let named = code.split(|it: char| !it.is_alphanumeric()).find(|it| OWN_SERVICE.contains(it));
            assert_eq!(named, None, "{}", file.display());
        }
    }
}

#[test]
fn every_protection_that_there_is_is_asked_for() {
    for (build, bytes) in programs() {
        let protections = (build.read)(&bytes).protections;
        assert_eq!(protections & build.protections, build.protections, "{}", build.variable);
    }
}
