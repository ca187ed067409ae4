//! What only persons can say: explanations, attestations, functional tests. Each is signed by whoever says it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use clap::{Args, Subcommand};
use data_encoding::HEXLOWER_PERMISSIVE;
use holdpoint_collector::change::plan::Procedure;
use holdpoint_common::proto::store::{Attestation, Decision, FunctionalTest, StepResult};

use super::board::ROLES;
use super::decision::{About, Decides, Offline};
use super::stage;
use crate::failure::Failure;
use crate::input::pair;

/// Largest artefact that is hashed, in bytes: a project archive, a film of a display.
const MAX_ARTEFACT: u64 = 16 * 1024 * 1024 * 1024;
/// Bytes that are hashed at once.
const BUFFER: usize = 64 * 1024;

/// `change explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint change explain CHG-0001 3 4 --reason 'the vendor package brings its own runtime'\n\n\
    What moved beside the plan blocks closing until a person has explained it."
)]
pub struct Explain {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// Numbers of what moved, as `change show` lists them.
    #[arg(required = true, value_name = "ITEM")]
    pub items: Vec<u32>,
    /// Why it moved.
    #[arg(long)]
    pub reason: String,
}

/// `change attest`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint change attest CHG-0001 --stage 3 --asset plc-07 --artefact compare.pdf \\\n      \
    --method 'online compare in the engineering tool'\n\n\
    Two persons attest with the same artefact. It counts apart in every report, with grade E."
)]
pub struct Attest {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// The stage.
    #[arg(long, value_name = "N", value_parser = stage)]
    pub stage: u32,
    /// The asset.
    #[arg(long, value_name = "ID")]
    pub asset: String,
    /// Only this expectation, may be repeated [default: everything that the stage expects].
    #[arg(long, value_name = "EXPECTATION")]
    pub expectation: Vec<String>,
    /// How it was looked at.
    #[arg(long)]
    pub method: String,
    /// The photograph, printout or project file that shows it; its SHA-256 is signed, and it stays where it is.
    #[arg(long, value_name = "FILE", required_unless_present = "artefact_sha256")]
    pub artefact: Option<PathBuf>,
    /// Its SHA-256, where the file itself is elsewhere.
    #[arg(long, value_name = "HEX", conflicts_with = "artefact", value_parser = sha256)]
    pub artefact_sha256: Option<Sha256>,
    /// What it shows.
    #[arg(long, default_value = "remediated", value_parser = ["remediated", "not-remediated"])]
    pub claim: String,
    /// What else there is to say.
    #[arg(long, default_value = "")]
    pub text: String,
    /// On a station without a network.
    #[command(flatten)]
    pub offline: Offline,
}

/// `change test`.
#[derive(Debug, Subcommand)]
pub enum Test {
    /// Record what came out of a functional test, and sign it.
    Record(Record),
}

/// `change test record`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint change test record CHG-0001 FTP-1 --role operations --observe trend=3.2s \\\n      \
    --observe alarm=unacknowledged --observe handover=pass\n\n\
    The exit code is 1 when a step did not pass; the record is kept all the same."
)]
pub struct Record {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// The test, as the plan names it.
    pub test: String,
    /// What was observed in a step; each step of the test once.
    #[arg(long, value_name = "STEP=VALUE", required = true, value_parser = pair)]
    pub observe: Vec<(String, String)>,
    /// The role in which you sign; the plan says which may.
    #[arg(long, value_parser = ROLES)]
    pub role: String,
    /// What else there is to say.
    #[arg(long, default_value = "")]
    pub text: String,
    /// On a station without a network.
    #[command(flatten)]
    pub offline: Offline,
}

/// A digest as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha256(Vec<u8>);

fn sha256(text: &str) -> Result<Sha256, &'static str> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().filter(|it| it.len() == 32);
    bytes.map(Sha256).ok_or("write 64 hexadecimal digits")
}

impl Decides for Explain {
    fn change(&self) -> &str {
        &self.id
    }

    fn decisions(&self, about: &About) -> Result<Vec<Decision>, Failure> {
        let (items, text) = (self.items.clone(), self.reason.clone());
        Ok(vec![Decision { items, text, ..about.decision("explain")? }])
    }
}

impl Decides for Attest {
    fn change(&self) -> &str {
        &self.id
    }

    fn decisions(&self, about: &About) -> Result<Vec<Decision>, Failure> {
        let all = &about.plan.expectations;
        let planned = (1..).zip(&about.plan.stages).find(|it| it.0 == self.stage);
        let planned =
            planned.ok_or_else(|| Failure::Argument(format!("the plan has no stage {}", self.stage)))?;
        let expected: Vec<&str> =
            planned.1.expectations.iter().filter_map(|&it| Some(all.get(it)?.id.as_str())).collect();
        let wanted: Vec<&str> = match self.expectation.as_slice() {
            [] => expected.clone(),
            some => some.iter().map(String::as_str).collect(),
        };
        if let Some(unknown) = wanted.iter().find(|it| !expected.contains(it)) {
            return Err(Failure::Argument(format!(
                "stage {} does not expect `{unknown}`; it expects {}",
                self.stage,
                expected.join(", ")
            )));
        }
        let (artefact, digest) = match (&self.artefact, &self.artefact_sha256) {
            (Some(file), _) => (file_name(file), digest_of(file)?),
            (None, Some(Sha256(digest))) => (String::new(), digest.clone()),
            (None, None) => return Err(Failure::Argument("name the artefact with --artefact".to_owned())),
        };
        let decision = |expectation: &str| {
            let attestation = Attestation {
                asset: self.asset.clone(),
                expectation: expectation.to_owned(),
                method: self.method.clone(),
                artefact_digest: digest.clone(),
                artefact: artefact.clone(),
                claim: self.claim.clone(),
            };
            let (stage, text) = (self.stage, self.text.clone());
            Ok(Decision { stage, text, attestation: Some(attestation), ..about.decision("attest")? })
        };
        wanted.into_iter().map(decision).collect()
    }
}

impl Decides for Record {
    fn change(&self) -> &str {
        &self.id
    }

    fn decisions(&self, about: &About) -> Result<Vec<Decision>, Failure> {
        let tests = &about.plan.tests;
        let procedure = tests.iter().find(|it| it.id == self.test).ok_or_else(|| {
            let known: Vec<&str> = tests.iter().map(|it| it.id.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Failure::Argument(format!("the plan has no test `{}`; it has {known}", self.test))
        })?;
        let test = FunctionalTest {
            procedure: procedure.id.clone(),
            procedure_digest: about.digest().to_vec(),
            steps: results(procedure, &self.observe).map_err(|it| Failure::Argument(it.join("\n")))?,
        };
        let decision = Decision {
            role: self.role.clone(),
            text: self.text.clone(),
            test: Some(test),
            ..about.decision("functional-test")?
        };
        Ok(vec![decision])
    }
}

/// What came out of each step, in the order of the procedure.
fn results(procedure: &Procedure, observed: &[(String, String)]) -> Result<Vec<StepResult>, Vec<String>> {
    let (mut results, mut faults) = (Vec::new(), Vec::new());
    let mut by_step = BTreeMap::new();
    for (step, value) in observed {
        if by_step.insert(step.as_str(), value.as_str()).is_some() {
            faults.push(format!("`{step}` was observed twice"));
        }
    }
    for step in &procedure.steps {
        let Some(value) = by_step.remove(step.id.as_str()) else {
            faults.push(format!("`{}` is missing: {} ({})", step.id, step.text, step.limits));
            continue;
        };
        match step.limits.admit(value) {
            Ok(passed) => {
                results.push(StepResult { step: step.id.clone(), observed: value.to_owned(), passed });
            }
            Err(why) => faults.push(format!("`{}`: {why}", step.id)),
        }
    }
    faults.extend(by_step.keys().map(|it| format!("the test has no step `{it}`")));
    if faults.is_empty() { Ok(results) } else { Err(faults) }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn digest_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > MAX_ARTEFACT {
        return Err(Failure::Argument(format!(
            "{} is larger than {} GiB",
            path.display(),
            MAX_ARTEFACT >> 30
        )));
    }
    let (mut hash, mut buffer) = (Context::new(&SHA256), vec![0; BUFFER]);
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        match buffer.get(..read) {
            Some(part) if read > 0 => hash.update(part),
            Some(_) | None => return Ok(hash.finish().as_ref().to_vec()),
        }
    }
}

#[cfg(test)]
#[path = "witness_tests.rs"]
mod tests;
