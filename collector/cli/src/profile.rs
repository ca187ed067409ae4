//! The operator's profile: which collector, as whom, with which files.
//!
//! Source of truth: `operator.toml` with `collector`, `name`, `certificate`, `key` and `ca`. Paths
//! in it are relative to the file, so that a directory with a profile can be moved.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::credentials::{Credentials, CredentialsError};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Largest profile, in bytes.
const MAX_PROFILE: u64 = 64 * 1024;

/// A profile's name inside a directory.
pub const FILE: &str = "operator.toml";

/// The file as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// HOST:PORT.
    pub collector: String,
    /// The operator's name, for people; the certificate decides.
    pub name: String,
    /// PEM, relative to the profile.
    pub certificate: PathBuf,
    /// PEM, mode 0600.
    pub key: PathBuf,
    /// The zone CAs that may vouch for the collector, PEM.
    pub ca: PathBuf,
}

/// A profile and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Its content, with paths made absolute to the file.
    pub profile: Profile,
}

/// Where a profile may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    named: Option<PathBuf>,
    configuration: Option<PathBuf>,
}

/// Why there is no profile to work with.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Nobody named one and there is none at the usual place.
    #[error("no operator profile: neither --profile nor HOLDPOINT_PROFILE is given, and {}", usual_place(.usual.as_deref()))]
    None {
        /// The usual place; `None` when the account has no home.
        usual: Option<PathBuf>,
    },
    /// The file cannot be read.
    #[error("cannot read the profile {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a profile.
    #[error("the profile {} is malformed", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// Larger than a profile can be.
    #[error("{} is too large for a profile: it has more than {MAX_PROFILE} bytes", .path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The files that it names.
    #[error("the profile {} cannot be used", .path.display())]
    Credentials {
        /// Which profile.
        path: PathBuf,
        /// What is wrong with which file.
        source: CredentialsError,
    },
}

fn usual_place(path: Option<&Path>) -> String {
    path.map_or_else(
        || "this account has no configuration directory".to_owned(),
        |it| format!("there is no {}", it.display()),
    )
}

impl Profile {
    /// Writes the file; a crash leaves the old one or the new one.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |source| Failure::Write { path: path.to_owned(), source };
        let text = toml::to_string(self).map_err(|cause| failed(io::Error::other(cause)))?;
        atomic_file::replace(path, text.as_bytes(), Readable::Owner).map_err(failed)
    }
}

impl ProfileError {
    /// What to type next.
    pub fn hint(&self) -> String {
        match self {
            Self::None { .. } => "`holdpoint enroll --collector HOST:PORT --token TOKEN` makes one; \
                 `holdpoint-collector operator add NAME --data DIR --role viewer` prints the token"
                .into(),
            Self::Read { path, .. } | Self::TooLarge { path } => format!(
                "name another profile with --profile FILE, or make this one: `holdpoint enroll --collector \
                 HOST:PORT --token TOKEN --profile {}`",
                path.display()
            ),
            Self::Malformed { path, .. } | Self::Credentials { path, .. } => format!(
                "make it anew: `holdpoint enroll --collector HOST:PORT --token TOKEN --profile {} --replace`",
                path.display()
            ),
        }
    }
}

impl Search {
    /// What the command line names, or else the user's configuration directory.
    pub fn new(named: Option<OsString>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let named = named.filter(|it| !it.is_empty()).map(PathBuf::from);
        Self { named, configuration: configuration_directory(variable) }
    }

    /// The file that is read, and that `enroll` writes.
    pub fn path(&self) -> Option<PathBuf> {
        self.named.clone().or_else(|| self.usual())
    }

    /// Whether nobody named a file, so that the usual place counts.
    pub fn is_usual(&self) -> bool {
        self.named.is_none()
    }

    /// Reads the profile.
    pub fn find(&self) -> Result<Found, ProfileError> {
        let Some(path) = self.path() else {
            return Err(ProfileError::None { usual: None });
        };
        let text = match read(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && self.named.is_none() => {
                return Err(ProfileError::None { usual: Some(path) });
            }
            Err(source) => return Err(ProfileError::Read { path, source }),
            Ok(None) => return Err(ProfileError::TooLarge { path }),
            Ok(Some(text)) => text,
        };
        let mut profile: Profile =
            toml::from_str(&text).map_err(|source| ProfileError::Malformed { path: path.clone(), source })?;
        let beside = path.parent().unwrap_or(Path::new(""));
        for file in [&mut profile.certificate, &mut profile.key, &mut profile.ca] {
            *file = beside.join(&*file);
        }
        Ok(Found { path, profile })
    }

    fn usual(&self) -> Option<PathBuf> {
        Some(self.configuration.as_ref()?.join("holdpoint").join(FILE))
    }
}

impl Found {
    /// Reads certificate, key and zone CAs.
    pub fn credentials(&self) -> Result<Credentials, ProfileError> {
        let Profile { certificate, key, ca, .. } = &self.profile;
        Credentials::load_files(certificate, key, ca)
            .map_err(|source| ProfileError::Credentials { path: self.path.clone(), source })
    }

    /// Whether other accounts of this machine can read the key.
    #[cfg(unix)]
    pub fn key_is_exposed(&self) -> bool {
        use std::os::unix::fs::PermissionsExt;
        const OTHERS: u32 = 0o077;
        std::fs::metadata(&self.profile.key).is_ok_and(|it| it.permissions().mode() & OTHERS != 0)
    }

    /// Access lists are not judged here.
    #[cfg(not(unix))]
    pub fn key_is_exposed(&self) -> bool {
        false
    }
}

/// The text, or `None` when it is too large.
fn read(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    File::open(path)?.take(MAX_PROFILE + 1).read_to_string(&mut text)?;
    Ok(u64::try_from(text.len()).is_ok_and(|it| it <= MAX_PROFILE).then_some(text))
}

fn configuration_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| variable(name).map(PathBuf::from).filter(|it| it.is_absolute());
    if cfg!(windows) {
        return path("APPDATA");
    }
    path("XDG_CONFIG_HOME").or_else(|| Some(path("HOME")?.join(".config")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use holdpoint_common::chain::Chain;

    use super::*;

    const TEXT: &str = "collector = \"127.0.0.1:7443\"\nname = \"anna\"\ncertificate = \"anna/certificate.pem\"\n\
                        key = \"/keys/anna.pem\"\nca = \"anna/anchors.pem\"\nnewer = 1\n";

    fn home(dir: &Path) -> Search {
        Search::new(None, |it| (it == "HOME" || it == "APPDATA").then(|| dir.as_os_str().to_owned()))
    }

    #[test]
    fn paths_are_relative_to_the_profile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anna.toml");
        fs::write(&path, TEXT).unwrap();
        let found = Search::new(Some(path.clone().into()), |_| None).find().unwrap();
        assert_eq!(found.path, path);
        assert_eq!(found.profile.certificate, dir.path().join("anna/certificate.pem"));
        assert_eq!(found.profile.key, Path::new("/keys/anna.pem"));
    }

    #[test]
    fn without_a_profile_the_error_says_where_it_looked_and_what_to_type() {
        let dir = tempfile::tempdir().unwrap();
        let error = home(dir.path()).find().unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
        assert!(error.hint().contains("holdpoint enroll --collector"));
    }

    #[test]
    fn an_empty_variable_is_no_profile() {
        assert_eq!(Search::new(Some("".into()), |_| None).path(), None);
    }

    #[cfg(unix)]
    #[test]
    fn the_configuration_directory_follows_the_xdg_rule() {
        let path = |variables: &'static [(&'static str, &'static str)]| {
            let find = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, it)| (*it).into());
            Search::new(None, find).path()
        };
        assert_eq!(
            path(&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]),
            Some("/c/holdpoint/operator.toml".into())
        );
        assert_eq!(
            path(&[("XDG_CONFIG_HOME", "c"), ("HOME", "/h")]),
            Some("/h/.config/holdpoint/operator.toml".into())
        );
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let find = |text: &[u8]| {
            let path = dir.path().join("operator.toml");
            fs::write(&path, text).unwrap();
            Search::new(Some(path.into()), |_| None)
        };
        let malformed = find(b"collector = ").find().unwrap_err();
        assert!(matches!(malformed, ProfileError::Malformed { .. }), "{malformed}");
        let missing = find(b"collector = \"a:1\"").find().unwrap_err();
        assert!(Chain(&missing).to_string().contains("name"), "{}", Chain(&missing));
        let large = find(&vec![b' '; 100_000]).find().unwrap_err();
        assert!(matches!(large, ProfileError::TooLarge { .. }), "{large}");
        let no_key = find(TEXT.as_bytes()).find().unwrap().credentials().unwrap_err();
        assert!(Chain(&no_key).to_string().contains("/keys/anna.pem"), "{}", Chain(&no_key));
        assert!(no_key.hint().contains("--replace"));
    }
}
