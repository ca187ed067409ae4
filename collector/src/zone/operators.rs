//! The operators of the zone and their roles, as the store has them.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use holdpoint_common::proto::store::OperatorRecord;
use tonic::Status;

use super::change::Shown;
use super::{Zone, read, write};
use crate::audit::Act;
use crate::store::Txn;

#[derive(Debug)]
pub(super) struct Operators {
    records: RwLock<BTreeMap<String, Arc<OperatorRecord>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Operators {
    pub(super) fn new(records: Vec<OperatorRecord>) -> Self {
        let records = records.into_iter().map(|it| (it.name.clone(), Arc::new(it))).collect();
        Self { records: RwLock::new(records), turn: Arc::default() }
    }

    pub(super) fn publish(&self, record: OperatorRecord) {
        write(&self.records).insert(record.name.clone(), Arc::new(record));
    }
}

impl Zone {
    /// An operator by name.
    pub fn operator(&self, name: &str) -> Option<Arc<OperatorRecord>> {
        read(&self.operators.records).get(name).cloned()
    }

    /// Every operator, sorted by name.
    pub fn operators(&self) -> Vec<Arc<OperatorRecord>> {
        read(&self.operators.records).values().cloned().collect()
    }

    /// Adds or changes an operator: one change at a time, together with what `txn` holds, on
    /// disk before it counts. `change` gets `None` for a name that is not known yet and returns
    /// what the audit log shall say.
    ///
    /// # Errors
    /// What `change` says, or the store refuses.
    pub async fn change_operator<T>(
        self: &Arc<Self>,
        name: &str,
        mut txn: Txn,
        change: impl FnOnce(Option<&OperatorRecord>, &mut Txn) -> Result<(OperatorRecord, T, Vec<Act>), Status>,
    ) -> Result<T, Status> {
        let turn = Arc::clone(&self.operators.turn).lock_owned().await;
        let before = self.operator(name);
        let (after, result, acts) = change(before.as_deref(), &mut txn)?;
        if after.name != name {
            return Err(Status::internal("a change of an operator changed the name"));
        }
        super::amend(&mut txn, |it| it.put_operator(after.clone()));
        self.write(txn, acts, Shown { operator: Some(after), ..Shown::default() }, turn).await?;
        Ok(result)
    }
}
