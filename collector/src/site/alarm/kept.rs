//! Alarms and refusals as pages.

use holdpoint_proto::store as pb;

use super::{Alarm, Alarms, Refusals};
use crate::site::page::{InvalidPage, bytes32};

impl Alarms {
    /// For whoever keeps them.
    pub fn to_page(&self) -> (Vec<pb::FleetAlarm>, u64) {
        (self.list.iter().map(to_page).collect(), self.beyond)
    }

    /// What [`Alarms::to_page`] gave.
    ///
    /// # Errors
    /// An alarm is of a kind that is not known.
    pub fn of_page(list: Vec<pb::FleetAlarm>, beyond: u64) -> Result<Self, InvalidPage> {
        let list = list.into_iter().map(of_page).collect::<Result<_, _>>()?;
        Ok(Self { list, beyond })
    }
}

fn to_page(alarm: &Alarm) -> pb::FleetAlarm {
    let Alarm { kind, sequence, text, first_ms, last_ms, told_ms, count, ended_ms, acknowledged } = alarm;
    let (by, at_ms) = acknowledged.clone().unzip();
    pb::FleetAlarm {
        kind: kind.as_str().to_owned(),
        sequence: *sequence,
        text: text.clone(),
        first_ms: *first_ms,
        last_ms: *last_ms,
        told_ms: *told_ms,
        count: *count,
        ended_ms: *ended_ms,
        acknowledged_by: by.unwrap_or_default(),
        acknowledged_ms: at_ms,
    }
}

fn of_page(page: pb::FleetAlarm) -> Result<Alarm, InvalidPage> {
    let pb::FleetAlarm { kind, sequence, text, first_ms, last_ms, told_ms, count, ended_ms, .. } = page;
    let (acknowledged_by, acknowledged_ms) = (page.acknowledged_by, page.acknowledged_ms);
    let kind = kind.parse().map_err(|_| InvalidPage("the kind of an alarm"))?;
    let acknowledged = acknowledged_ms.map(|it| (acknowledged_by, it));
    Ok(Alarm { kind, sequence, text, first_ms, last_ms, told_ms, count, ended_ms, acknowledged })
}

impl Refusals {
    /// For whoever keeps them.
    pub fn to_page(&self) -> pb::FleetRefusals {
        let Self { rejected, corrupt, limits, unverified, unverified_beyond, minute } = self;
        let unverified = unverified
            .iter()
            .map(|(key, count)| pb::FleetUnverified { key: key.as_bytes().to_vec(), count: *count });
        pb::FleetRefusals {
            rejected: *rejected,
            corrupt: *corrupt,
            limits: *limits,
            unverified: unverified.collect(),
            unverified_beyond: *unverified_beyond,
            minute: minute.0,
            in_minute: minute.1,
        }
    }

    /// What [`Refusals::to_page`] gave.
    ///
    /// # Errors
    /// The name of a key has another length.
    pub fn of_page(page: pb::FleetRefusals) -> Result<Self, InvalidPage> {
        let pb::FleetRefusals { rejected, corrupt, limits, unverified, unverified_beyond, minute, in_minute } =
            page;
        let key = |it: pb::FleetUnverified| Ok((bytes32(&it.key)?.into(), it.count));
        let unverified = unverified.into_iter().map(key).collect::<Result<_, InvalidPage>>()?;
        let minute = (minute, in_minute);
        Ok(Self { rejected, corrupt, limits, unverified, unverified_beyond, minute })
    }
}
