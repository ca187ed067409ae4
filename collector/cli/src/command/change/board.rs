//! The board: signatures, vetoes, meetings, and the points at which work waits.

use clap::Args;
use holdpoint_common::proto::store::Decision;
use holdpoint_common::proto::v1::RecordMeetingRequest;

use super::decision::{About, Decides, Offline};
use super::stage;
use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::input::moment;
use crate::output::Output;
use crate::view::change::Change;

/// The roles of the board, as they are typed.
pub(super) const ROLES: [&str; 5] =
    ["ot-security", "control-engineer", "operations", "maintenance", "plant-safety"];

/// `change sign`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdpoint change sign CHG-0001 --role maintenance --rollback-verified\n  \
    holdpoint change sign CHG-0001 --role operations --offline --plan plan.toml --out operations.hpd\n\n\
    All five roles have to sign, by at least two persons. Whoever verified the rollback, operations and plant\n\
    safety are never one person alone."
)]
pub struct Sign {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// The role of the board in which you sign.
    #[arg(long, value_parser = ROLES)]
    pub role: String,
    /// You have verified that the rollback procedure works.
    #[arg(long)]
    pub rollback_verified: bool,
    /// What you want to say with it.
    #[arg(long, default_value = "")]
    pub text: String,
    /// On a station without a network.
    #[command(flatten)]
    pub offline: Offline,
}

/// `change veto`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint change veto CHG-0001 --role operations --reason 'the batch runs until Monday'\n\n\
    A veto is final. An open stage may still be completed, verified and rolled back; a new change can refer to this one."
)]
pub struct Veto {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// As whom: only operations and plant safety can.
    #[arg(long, value_parser = ["operations", "plant-safety"])]
    pub role: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// On a station without a network.
    #[command(flatten)]
    pub offline: Offline,
}

/// `change meeting`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint change meeting CHG-0001 --present Ada --present Kim --minutes 'stage 2 on Thursday'"
)]
pub struct Meeting {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// When the board met [default: now].
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub held: Option<i64>,
    /// Who was there; may be repeated.
    #[arg(long, value_name = "NAME", required = true)]
    pub present: Vec<String>,
    /// What was said and decided.
    #[arg(long)]
    pub minutes: String,
}

/// `change release`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint change release CHG-0001 'shift supervisor has handed over' --stage 2 --text 'Kim, 06:05'"
)]
pub struct Release {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// The point, as the plan names it.
    pub point: String,
    /// The stage.
    #[arg(long, value_name = "N", value_parser = stage)]
    pub stage: u32,
    /// What you have seen.
    #[arg(long)]
    pub text: String,
}

impl Decides for Sign {
    fn change(&self) -> &str {
        &self.id
    }

    fn decisions(&self, about: &About) -> Result<Vec<Decision>, Failure> {
        let Self { id: _, role, rollback_verified, text, offline: _ } = self;
        Ok(vec![Decision {
            role: role.clone(),
            rollback_verified: *rollback_verified,
            text: text.clone(),
            ..about.decision("sign-off")?
        }])
    }
}

impl Decides for Veto {
    fn change(&self) -> &str {
        &self.id
    }

    fn decisions(&self, about: &About) -> Result<Vec<Decision>, Failure> {
        let (role, text) = (self.role.clone(), self.reason.clone());
        Ok(vec![Decision { role, text, ..about.decision("veto")? }])
    }
}

impl Decides for Release {
    fn change(&self) -> &str {
        &self.id
    }

    fn decisions(&self, about: &About) -> Result<Vec<Decision>, Failure> {
        let stages = (1..).zip(&about.plan.stages);
        let planned = stages.filter(|it| it.0 == self.stage).flat_map(|it| &it.1.points);
        let names: Vec<&str> = planned.map(|it| it.name.as_str()).collect();
        if !names.contains(&self.point.as_str()) {
            let known = if names.is_empty() { "no points".to_owned() } else { names.join("`, `") };
            return Err(Failure::Argument(format!(
                "stage {} has no point `{}`; the plan has `{known}` there",
                self.stage, self.point
            )));
        }
        let (point, text) = (self.point.clone(), self.text.clone());
        Ok(vec![Decision { stage: self.stage, point, text, ..about.decision("point")? }])
    }
}

/// Keeps the record of a meeting.
pub async fn meet(
    options: Meeting,
    connection: &Connection,
    out: &Output,
    now_ms: i64,
) -> Result<Exit, Failure> {
    let Meeting { id, held, present, minutes } = options;
    let request = RecordMeetingRequest { id, held_ms: held.unwrap_or(now_ms), present, minutes };
    out.print(&Change::from(answer(connection.changes().record_meeting(request)).await?))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use holdpoint_collector::change::BoardRole;

    use super::*;

    #[test]
    fn every_role_of_the_board_can_be_typed() {
        let known: Vec<&str> = BoardRole::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(known, ROLES);
        assert!(["operations", "plant-safety"].iter().all(|it| BoardRole::named(it).unwrap().may_veto()));
    }
}
