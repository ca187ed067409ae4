//! The beginning of a change: a plan, its skeleton, and what became of it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use holdpoint_collector::change::plan;
use holdpoint_common::proto::v1::{
    GetChangeRequest, ListChangesRequest, ListPlacementRequest, NewChangeRequest, SubmitChangeRequest,
};

use super::Which;
use super::decision::{read_plan, refused};
use super::skeleton::{Affected, skeleton};
use crate::command::{assets, status};
use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::change::{Change, Listed, Written};

/// `change new`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdpoint change new --from-status DSA-5532-1 --title 'OpenSSL on line 1' --out plan.toml\n  \
    holdpoint change new -f plan.toml\n\n\
    The first writes what `status` shows as affected, as the skeleton of a plan that a person completes; the second\n\
    drafts a change. A plan with faults is refused with all of them at once."
)]
pub struct New {
    /// The plan.
    #[arg(short, long, value_name = "FILE", required_unless_present = "from_status")]
    pub file: Option<PathBuf>,
    /// Write the skeleton of a plan for whatever this advisory or requirement affects now.
    #[arg(long, value_name = "SUBJECT", conflicts_with = "file", requires = "out")]
    pub from_status: Option<String>,
    /// The title of that plan.
    #[arg(long, requires = "from_status")]
    pub title: Option<String>,
    /// Where the skeleton goes; the file must not exist.
    #[arg(long, value_name = "FILE", requires = "from_status")]
    pub out: Option<PathBuf>,
}

/// `change list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  holdpoint change list --all -o csv")]
pub struct List {
    /// Also those that have ended.
    #[arg(long)]
    pub all: bool,
}

/// `change show`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdpoint change show CHG-0001\n  holdpoint change show CHG-0001 --log\n  \
    holdpoint change show CHG-0001 --plan > plan.toml"
)]
pub struct Show {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// Only its entries of the audit log.
    #[arg(long, conflicts_with = "plan")]
    pub log: bool,
    /// Only the plan, in its very bytes: what every signature is about.
    #[arg(long)]
    pub plan: bool,
}

/// Drafts a change, or writes the skeleton of a plan.
pub async fn new(options: New, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let New { file, from_status, title, out: path } = options;
    if let (Some(subject), Some(path)) = (from_status, path) {
        let (text, assets) = from_findings(&subject, title, connection).await?;
        let stages = plan::read(&text).map_err(|faults| refused(&path, faults))?.stages.len();
        let failed = |source| Failure::Write { path: path.clone(), source };
        File::create_new(&path).and_then(|mut it| it.write_all(text.as_bytes())).map_err(failed)?;
        out.print(&Written::new(&subject, &path, assets, stages))?;
        out.hint(&format!("complete it, then `holdpoint change new -f {}`", path.display()));
        return Ok(Exit::Done);
    }
    let file = file.ok_or_else(|| Failure::Argument("name the plan with -f".to_owned()))?;
    let text = read_plan(&file)?;
    // The form is checked here, so that a plan can be put right without asking anybody.
    plan::read(&text).map_err(|faults| refused(&file, faults))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let request = NewChangeRequest { plan: text.into_bytes(), file: name };
    out.print(&Change::from(answer(connection.changes().new_change(request)).await?))?;
    Ok(Exit::Done)
}

/// The skeleton, and how many assets it names.
async fn from_findings(
    subject: &str,
    title: Option<String>,
    connection: &Connection,
) -> Result<(String, usize), Failure> {
    let options = status::Options {
        advisory: Some(subject.to_owned()),
        verdict: Some("AFFECTED".to_owned()),
        ..status::Options::default()
    };
    let findings = status::ask(&options, connection).await?.findings;
    let mut ids: Vec<String> = findings.into_iter().map(|it| it.asset).collect();
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Err(Failure::No(format!(
            "`{subject}` affects no asset now: `holdpoint status` shows what does"
        )));
    }
    let known = assets::ask(&assets::Options::default(), connection).await?;
    let placed = answer(connection.knowledge().list_placement(ListPlacementRequest {})).await?.assets;
    let affected = ids.into_iter().map(|id| {
        let placed = placed.iter().find(|it| it.asset == id);
        let own = known.iter().find(|it| it.id == id);
        Affected {
            role: own.and_then(|it| it.role.clone()).or_else(|| placed?.role.clone()),
            criticality: placed.and_then(|it| it.criticality.clone()),
            partner: placed.and_then(|it| it.partner.clone()),
            id,
        }
    });
    let title = title.unwrap_or_else(|| format!("Remediate {subject}"));
    let affected: Vec<Affected> = affected.collect();
    Ok((skeleton(subject, &title, &affected), affected.len()))
}

/// Lists changes.
pub async fn list(options: &List, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let request = ListChangesRequest { all: options.all };
    let found = answer(connection.changes().list_changes(request)).await?;
    out.print(&found.changes.into_iter().map(Listed::from).collect::<Vec<_>>())?;
    Ok(Exit::Done)
}

/// Shows a change.
pub async fn show(options: Show, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let Show { id, log, plan } = options;
    let found = answer(connection.changes().get_change(GetChangeRequest { id })).await?;
    if plan {
        out.raw(found.plan.as_bytes())?;
    } else if log {
        out.print(&Change::from(found).into_log())?;
    } else {
        out.print(&Change::from(found))?;
    }
    Ok(Exit::Done)
}

/// Puts a change before the board.
pub async fn submit(which: Which, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let Which { id } = which;
    let request = SubmitChangeRequest { id };
    out.print(&Change::from(answer(connection.changes().submit_change(request)).await?))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::super::super::fake;
    use super::*;
    use crate::args::Format;

    fn options(file: Option<PathBuf>) -> New {
        New { file, from_status: None, title: None, out: None }
    }

    #[tokio::test]
    async fn a_plan_with_faults_is_refused_with_all_of_them_before_anybody_is_asked() {
        let connection = fake::collector().await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plan.toml");
        let out = Output::plain(Format::Json, None);
        std::fs::write(&file, "titel = \"x\"\nsoak_days = 0\n").unwrap();
        let failure = new(options(Some(file.clone())), &connection, &out).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        let text = failure.to_string();
        for part in ["title: it is missing", "soak_days: ", "expectation: ", "stage: ", "titel: "] {
            assert!(text.contains(&format!("\n  {part}")), "{part} is not in {text}");
        }
        std::fs::write(&file, fake::PLAN).unwrap();
        assert_eq!(new(options(Some(file)), &connection, &out).await.unwrap(), Exit::Done);
        let missing = new(options(Some("/nowhere/plan.toml".into())), &connection, &out).await.unwrap_err();
        assert_eq!(missing.exit(), Exit::Usage);
    }

    #[tokio::test]
    async fn a_skeleton_is_a_plan_of_what_is_affected() {
        let connection = fake::collector().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.toml");
        let out = Output::plain(Format::Json, None);
        let from = || New { from_status: Some("DSA-1".into()), out: Some(path.clone()), ..options(None) };
        assert_eq!(new(from(), &connection, &out).await.unwrap(), Exit::Done);
        let plan = plan::read(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(plan.subjects().into_iter().collect::<Vec<_>>(), ["DSA-1"]);
        // What a person has written there is not lost.
        assert!(new(from(), &connection, &out).await.is_err());
    }

    #[tokio::test]
    async fn a_change_is_shown_as_it_is_asked_for() {
        let connection = fake::collector().await;
        let out = Output::plain(Format::Csv, None);
        for (log, plan) in [(false, false), (true, false), (false, true)] {
            let options = Show { id: fake::CHANGE.into(), log, plan };
            assert_eq!(show(options, &connection, &out).await.unwrap(), Exit::Done);
        }
        let options = Show { id: "CHG-9999".into(), log: false, plan: false };
        assert_eq!(show(options, &connection, &out).await.unwrap_err().exit(), Exit::No);
        assert_eq!(list(&List { all: true }, &connection, &out).await.unwrap(), Exit::Done);
    }
}
