//! The zone as the office of the service, and how library, board and zone are put together.

use std::sync::Arc;

use holdpoint_common::identity::{Name, ZoneName};
use holdpoint_common::proto::store::AssetRecord;
use tonic::{Extensions, Status, async_trait};

use crate::assess::{Board, RowSource};
use crate::audit::Act;
use crate::intake::carried::{Carried, Kept, NotKept, OneShots};
use crate::knowledge::{AllowedAges, Library, LibraryError};
use crate::packs::Quarantine;
use crate::server::Peer;
use crate::store::Txn;
use crate::triage::Ledger;
use crate::zone::{Role, Watcher, Zone};

use super::{Caller, Deed, KnowledgeService, Needs, Office};

/// The zone around the service.
#[derive(Debug)]
pub struct ZoneOffice {
    zone: Arc<Zone>,
    one_shots: OneShots,
    quarantine: Arc<Quarantine>,
}

/// The knowledge of a zone cannot be opened.
pub type OpenError = LibraryError;

/// Reads what the zone was told, judges every asset in the background, and follows every change from now on.
///
/// # Errors
/// The store cannot be read.
pub fn open(zone: &Arc<Zone>, ages: AllowedAges) -> Result<KnowledgeService<ZoneOffice>, OpenError> {
    let library = Arc::new(Library::open(zone.store())?);
    let board = Board::open(Arc::new(zone.store().clone()), ages);
    board.decided(Arc::new(Ledger::of(zone.store().decisions()?)), None);
    board.knowledge_changed(&library.current(), zone.now_ms());
    // Watching comes first: a change between the two lines is told twice, never lost.
    zone.watch(Arc::new(Told(Arc::clone(&board))));
    for record in zone.assets() {
        board.asset_changed(&record);
    }
    let quarantine = Arc::new(Quarantine::new(zone.store().clone()));
    let office =
        ZoneOffice { zone: Arc::clone(zone), one_shots: OneShots::new(Arc::clone(zone)), quarantine };
    Ok(KnowledgeService::new(Arc::new(office), library, board))
}

/// The board hears of every asset that changed.
struct Told(Arc<Board>);

impl Watcher for Told {
    fn asset_changed(&self, record: &Arc<AssetRecord>) {
        self.0.asset_changed(record);
    }
}

#[async_trait]
impl Office for ZoneOffice {
    fn admit(&self, call: &Extensions, needs: Needs) -> Result<String, Status> {
        let peer = call.get::<Peer>().cloned().unwrap_or(Peer::NoCertificate);
        self.let_in(&peer, needs)?;
        Ok(self.zone.actor(&peer))
    }

    fn introduce(&self, call: &Extensions, needs: Needs) -> Result<Caller, Status> {
        let peer = call.get::<Peer>().cloned().unwrap_or(Peer::NoCertificate);
        let name = self.let_in(&peer, needs)?;
        let nobody = || {
            Status::failed_precondition(
                "the collector's own account is no person: use an operator's profile (`holdpoint enroll`)",
            )
        };
        let record = self.zone.operator(name.as_str()).filter(|_| !matches!(peer, Peer::Local));
        let record = record.ok_or_else(nobody)?;
        let person = if record.person.is_empty() { record.name.clone() } else { record.person.clone() };
        Ok(Caller { by: self.zone.actor(&peer), person, key_made_here: record.key_on_collector })
    }

    fn zone(&self) -> &ZoneName {
        self.zone.name()
    }

    fn quarantine(&self) -> &Arc<Quarantine> {
        &self.quarantine
    }

    fn now_ms(&self) -> i64 {
        self.zone.now_ms()
    }

    fn seen_ms(&self, asset: &str) -> Option<i64> {
        self.zone.last_seen(asset).map(|it| it.seen_ms)
    }

    fn assets(&self) -> Vec<Arc<AssetRecord>> {
        self.zone.assets()
    }

    fn rows(&self) -> Arc<dyn RowSource> {
        Arc::new(self.zone.store().clone())
    }

    fn enrolled(&self, asset: &str) -> Option<(Option<String>, Option<u32>)> {
        self.zone.asset(asset).map(|it| (it.role.clone(), it.level))
    }

    fn asset_id(&self, id_or_name: &str) -> Result<String, Status> {
        self.zone.find_asset(id_or_name).map(|it| it.id.clone())
    }

    async fn bring(&self, carried: Carried) -> Result<Kept, NotKept> {
        self.one_shots.take(carried).await
    }

    async fn commit(&self, txn: Txn, deed: Deed) -> Result<(), Status> {
        let Deed { by, action, subject, text } = deed;
        self.zone.commit(txn, vec![Act { by, action, subject, text, detail: None }]).await
    }

    async fn keep(&self, txn: Txn) -> Result<(), Status> {
        self.zone.commit(txn, Vec::new()).await
    }
}

impl ZoneOffice {
    fn let_in(&self, peer: &Peer, needs: Needs) -> Result<Name, Status> {
        let role = match needs {
            Needs::Viewer => Role::Viewer,
            Needs::Engineer => Role::Engineer,
            Needs::Admin => Role::Admin,
            Needs::Second => {
                let admin = self.zone.operator_caller(peer, Role::Admin);
                // What is missing is told of the role that most people have.
                return admin.or_else(|_| self.zone.operator_caller(peer, Role::Engineer));
            }
        };
        self.zone.operator_caller(peer, role)
    }
}
