//! What a person decides: made of what was typed, signed with the operator's own key, sent or written to a file.
//!
//! A decision is about the very bytes of a plan. Their digest is computed here, from the text that a person can
//! read; what the collector says it to be has to agree.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use holdpoint_collector::change::plan::{self, Plan};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::decision::{sign, to_file};
use holdpoint_common::proto::store::Decision;
use holdpoint_common::proto::v1::{DecideRequest, GetChangeRequest};
use holdpoint_common::section::Digest;
use prost::Message;

use crate::command::Caller;
use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::change::{Carried, Change};

/// A decision on a station without a network.
#[derive(Debug, Default, Args)]
pub struct Offline {
    /// Ask no collector: write the signed decision into a file that `holdpoint import` takes in.
    #[arg(long, requires_all = ["plan", "out"])]
    pub offline: bool,
    /// With --offline: the plan in its very bytes, as `change show CHANGE --plan` writes it.
    #[arg(long, value_name = "FILE", requires = "offline")]
    pub plan: Option<PathBuf>,
    /// With --offline: where the signed decision goes; the file must not exist.
    #[arg(long, value_name = "FILE", requires = "offline")]
    pub out: Option<PathBuf>,
}

impl Offline {
    /// The plan and the file to write, when no collector is asked.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        self.plan.as_deref().zip(self.out.as_deref()).filter(|_| self.offline)
    }
}

/// Something that a person decides about a change.
pub trait Decides {
    /// The change.
    fn change(&self) -> &str;

    /// What is decided, not signed yet.
    ///
    /// # Errors
    /// What was typed does not fit the plan.
    fn decisions(&self, about: &About) -> Result<Vec<Decision>, Failure>;
}

/// What a decision is about.
#[derive(Debug)]
pub struct About {
    id: String,
    /// The plan that is decided about.
    pub plan: Plan,
    digest: Digest,
}

impl About {
    /// The plan of a change as it was written.
    ///
    /// # Errors
    /// This version cannot read it.
    pub fn new(id: &str, text: &str, file: &Path) -> Result<Self, Failure> {
        let plan = plan::read(text).map_err(|faults| refused(file, faults))?;
        Ok(Self { id: id.to_owned(), plan, digest: Digest::of(text.as_bytes()) })
    }

    async fn ask(id: &str, connection: &Connection) -> Result<Self, Failure> {
        let found = answer(connection.changes().get_change(GetChangeRequest { id: id.to_owned() })).await?;
        let about = Self::new(id, &found.plan, Path::new(id))?;
        if found.id != id || found.plan_digest != about.digest.as_bytes() {
            return Err(Failure::Incomplete("the plan that its digest names"));
        }
        Ok(about)
    }

    /// SHA-256 of the plan.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// A decision of a kind, with nothing decided yet.
    ///
    /// # Errors
    /// This machine has no random numbers.
    pub fn decision(&self, kind: &str) -> Result<Decision, Failure> {
        let mut nonce = vec![0; 16];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Failure::Incomplete("random numbers"))?;
        Ok(Decision {
            change: self.id.clone(),
            plan_digest: self.digest.to_vec(),
            kind: kind.to_owned(),
            at_ms: SystemClock.now_ms(),
            nonce,
            ..Decision::default()
        })
    }
}

/// Why a plan is refused, every fault on a line of its own.
pub fn refused(file: &Path, faults: Vec<String>) -> Failure {
    let lines: Vec<String> =
        std::iter::once(format!("{} is refused:", file.display())).chain(faults).collect();
    Failure::Argument(lines.join("\n"))
}

/// Reads a plan without reading more than a plan can have.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub fn read_plan(file: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::Read { path: file.to_owned(), source };
    let size = fs::metadata(file).map_err(failed)?.len();
    if usize::try_from(size).map_or(true, |it| it > plan::MAX_PLAN) {
        let why = format!("the plan is larger than {} KiB", plan::MAX_PLAN / 1024);
        return Err(refused(file, vec![why]));
    }
    let bytes = fs::read(file).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| refused(file, vec!["it is not UTF-8 text".to_owned()]))
}

/// Signs and sends. The exit code is no when a functional test did not pass.
pub async fn send(decides: &dyn Decides, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let about = About::ask(decides.change(), connection).await?;
    let decisions = decides.decisions(&about)?;
    let mut answered = None;
    for decision in &decisions {
        let signed = connection.sign(decision)?.encode_to_vec();
        answered = Some(answer(connection.changes().decide(DecideRequest { signed })).await?);
    }
    out.print(&Change::from(answered.ok_or(Failure::Incomplete("the change"))?))?;
    Ok(exit_of(&decisions))
}

/// Signs and writes a file; no collector is asked.
pub fn write(decides: &dyn Decides, files: (&Path, &Path), caller: &Caller) -> Result<Exit, Failure> {
    let (plan, path) = files;
    let about = About::new(decides.change(), &read_plan(plan)?, plan)?;
    let decisions = decides.decisions(&about)?;
    let [decision] = decisions.as_slice() else {
        let why = "one file carries one decision: name the expectation with --expectation";
        return Err(Failure::Argument(why.to_owned()));
    };
    let credentials = caller.profile.find()?.credentials()?;
    let signed = sign(decision, &credentials).map_err(Failure::Sign)?;
    let failed = |source| Failure::Write { path: path.to_owned(), source };
    File::create_new(path).and_then(|mut it| it.write_all(&to_file(&signed))).map_err(failed)?;
    let by = credentials.identity.to_string();
    caller.out.print(&Carried::new(decision, by, path, &Digest::of(&signed.decision)))?;
    caller.out.hint(&format!("carry the file to the zone: `holdpoint import {}`", path.display()));
    Ok(exit_of(&decisions))
}

fn exit_of(decisions: &[Decision]) -> Exit {
    let tests = decisions.iter().filter_map(|it| it.test.as_ref());
    Exit::yes_or_no(tests.flat_map(|it| &it.steps).all(|it| it.passed))
}

#[cfg(test)]
mod tests {
    use holdpoint_common::decision::{from_file, verify};

    use super::super::super::fake;
    use super::super::board::Sign;
    use super::*;
    use crate::args::Format;
    use crate::profile::Search;

    #[test]
    fn a_decision_is_carried_without_a_collector() {
        let directory = tempfile::tempdir().unwrap();
        let profile = fake::profile(directory.path());
        let caller = Caller {
            out: Output::plain(Format::Json, None),
            profile: Search::new(Some(profile.into()), |_| None),
        };
        let plan = directory.path().join("plan.toml");
        let out = directory.path().join("decision.hpd");
        fs::write(&plan, fake::PLAN).unwrap();
        let sign = Sign {
            id: fake::CHANGE.into(),
            role: "operations".into(),
            rollback_verified: true,
            text: String::new(),
            offline: Offline { offline: true, plan: Some(plan.clone()), out: Some(out.clone()) },
        };
        let files = sign.offline.files().unwrap();
        assert_eq!(write(&sign, files, &caller).unwrap(), Exit::Done);
        let verified = verify(&from_file(&fs::read(&out).unwrap()).unwrap()).unwrap();
        let Decision { change, role, rollback_verified, plan_digest, .. } = verified.decision;
        assert_eq!((change.as_str(), role.as_str(), rollback_verified), (fake::CHANGE, "operations", true));
        assert_eq!(plan_digest, Digest::of(fake::PLAN.as_bytes()).to_vec());
        // A decision that was made is not written over.
        assert!(write(&sign, files, &caller).is_err());
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.toml");
        fs::write(&path, vec![b'#'; plan::MAX_PLAN + 1]).unwrap();
        assert_eq!(read_plan(&path).unwrap_err().exit(), Exit::Usage);
    }
}
