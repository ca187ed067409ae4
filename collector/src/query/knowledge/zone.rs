//! The zone as the office of the service, and how library, board and zone are put together.

use std::sync::Arc;

use holdpoint_common::proto::store::AssetRecord;
use tonic::{Extensions, Status, async_trait};

use crate::assess::{Board, RowSource};
use crate::audit::Act;
use crate::intake::carried::{Carried, Kept, NotKept, OneShots};
use crate::knowledge::{AllowedAges, Library, LibraryError};
use crate::server::Peer;
use crate::store::Txn;
use crate::triage::Ledger;
use crate::zone::{Role, Watcher, Zone};

use super::{Deed, KnowledgeService, Needs, Office};

/// The zone around the service.
#[derive(Debug)]
pub struct ZoneOffice {
    zone: Arc<Zone>,
    one_shots: OneShots,
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
    let office = ZoneOffice { zone: Arc::clone(zone), one_shots: OneShots::new(Arc::clone(zone)) };
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
        let role = match needs {
            Needs::Viewer => Role::Viewer,
            Needs::Engineer => Role::Engineer,
        };
        self.zone.operator_caller(&peer, role)?;
        Ok(self.zone.actor(&peer))
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
}
