//! `enroll`: this operator's own key and profile. The key is made here and never leaves.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use holdpoint_common::clock::SystemClock;
use holdpoint_common::credentials::{ANCHORS_FILE, CERTIFICATE_FILE, KEY_FILE};
use holdpoint_common::enrolment::{EnrolError, Enrolled, enrol};
use holdpoint_common::identity::Subject;
use holdpoint_common::token::Token;

use super::Caller;
use crate::failure::{Exit, Failure};
use crate::profile::{Profile, ProfileError};
use crate::view::enrolled::Enrolled as View;

/// Longest token on stdin, in bytes.
const MAX_TOKEN: u64 = 1_024;

/// `enroll`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where the collector listens.
    #[arg(long, value_name = "HOST:PORT")]
    pub collector: String,
    /// What `holdpoint-collector operator add` printed; `-` reads it from stdin.
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    pub token: String,
    /// Overwrite a profile that exists.
    #[arg(long)]
    pub replace: bool,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint enroll --collector 10.1.2.3:7443 --token hp1.…
  holdpoint enroll --collector 10.1.2.3:7443 --token - --profile ./operator.toml < token

The profile goes to --profile FILE or to the user's configuration directory; key and certificates
go into a directory of the same name beside it.";

/// Exchanges the token for a certificate and writes the profile.
pub async fn run(options: &Options, caller: &Caller) -> Result<Exit, Failure> {
    let path = caller.profile.path().ok_or(ProfileError::None { usual: None })?;
    if path.exists() && !options.replace {
        return Err(Failure::Exists(path));
    }
    let token = token(&options.token, io::stdin())?;
    // Before the token is spent: a directory that cannot be written would waste it.
    let directory = directory_of(&path);
    make_private(&directory).map_err(|source| Failure::Write { path: directory.clone(), source })?;

    let enrolled = enrol(&options.collector, &token, None, Arc::new(SystemClock)).await.map_err(|error| {
        if let EnrolError::Refused(status) = error {
            return status.into();
        }
        Failure::Enroll { collector: options.collector.clone(), source: Box::new(error) }
    })?;
    enrolled.credentials.save(&directory).map_err(Failure::Credentials)?;
    profile(&options.collector, &enrolled, &directory).write(&path)?;

    caller.out.print(&View::new(&enrolled, &options.collector, &path))?;
    caller.out.hint(&next_step(&path, caller));
    Ok(Exit::Done)
}

fn token(typed: &str, stdin: impl Read) -> Result<Token, Failure> {
    let mut text = typed.to_owned();
    if typed == "-" {
        text.clear();
        stdin.take(MAX_TOKEN).read_to_string(&mut text).map_err(Failure::Stdin)?;
    }
    text.trim().parse().map_err(Failure::Token)
}

/// `operator.toml` keeps its files in `operator/`.
fn directory_of(profile: &Path) -> PathBuf {
    if profile.extension().is_some() { profile.with_extension("") } else { profile.with_extension("d") }
}

fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn profile(collector: &str, enrolled: &Enrolled, directory: &Path) -> Profile {
    let beside = Path::new(directory.file_name().unwrap_or_default());
    let name = match &enrolled.credentials.identity.subject {
        Subject::Operator(name) | Subject::Agent(name) => name.to_string(),
        Subject::Collector => "collector".to_owned(),
    };
    Profile {
        collector: collector.to_owned(),
        name,
        certificate: beside.join(CERTIFICATE_FILE),
        key: beside.join(KEY_FILE),
        ca: beside.join(ANCHORS_FILE),
    }
}

/// The profile needs to be named unless it lies where it is looked for.
fn next_step(path: &Path, caller: &Caller) -> String {
    if caller.profile.is_usual() {
        return "holdpoint assets".to_owned();
    }
    format!("holdpoint --profile {} assets", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Search;

    #[test]
    fn two_profiles_in_one_directory_keep_their_keys_apart() {
        assert_eq!(directory_of(Path::new("/c/operator.toml")), Path::new("/c/operator"));
        assert_eq!(directory_of(Path::new("/c/line-2.toml")), Path::new("/c/line-2"));
        assert_eq!(directory_of(Path::new("/c/profile")), Path::new("/c/profile.d"));
    }

    #[test]
    fn a_written_profile_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.toml");
        let relative = |it| Path::new("operator").join(it);
        let profile = Profile {
            collector: "[::1]:7443".into(),
            name: "anna".into(),
            certificate: relative(CERTIFICATE_FILE),
            key: relative(KEY_FILE),
            ca: relative(ANCHORS_FILE),
        };
        profile.write(&path).unwrap();
        let found = Search::new(Some(path.clone().into()), |_| None).find().unwrap();
        assert_eq!(found.profile.collector, "[::1]:7443");
        assert_eq!(found.profile.key, directory_of(&path).join(KEY_FILE));
    }

    #[test]
    fn a_token_on_stdin_is_bounded() {
        let failure = token("-", io::repeat(b'x')).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
    }
}
