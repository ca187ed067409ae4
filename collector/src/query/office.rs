//! What the Knowledge service and the board need of the zone around them.

use std::sync::Arc;

use holdpoint_common::proto::store::AssetRecord;
use tonic::{Extensions, Status, async_trait};

use super::knowledge::{Deed, Needs, Office};
use crate::assess::Board;
use crate::audit::Act;
use crate::server::Peer;
use crate::store::Txn;
use crate::zone::{Role, Watcher, Zone};

/// The zone as an office: its gate, its clock, its store.
#[derive(Debug, Clone)]
pub struct ZoneOffice(pub Arc<Zone>);

#[async_trait]
impl Office for ZoneOffice {
    fn admit(&self, call: &Extensions, needs: Needs) -> Result<String, Status> {
        let role = match needs {
            Needs::Viewer => Role::Viewer,
            Needs::Engineer => Role::Engineer,
        };
        let peer = call.get::<Peer>().unwrap_or(&Peer::NoCertificate);
        self.0.operator_caller(peer, role)?;
        Ok(self.0.actor(peer))
    }

    fn now_ms(&self) -> i64 {
        self.0.now_ms()
    }

    fn seen_ms(&self, asset: &str) -> Option<i64> {
        self.0.last_seen(asset).map(|it| it.seen_ms)
    }

    fn asset_id(&self, id_or_name: &str) -> Result<String, Status> {
        self.0.find_asset(id_or_name).map(|it| it.id.clone())
    }

    async fn commit(&self, txn: Txn, deed: Deed) -> Result<(), Status> {
        let Deed { by, action, subject, text } = deed;
        self.0.commit(txn, vec![Act { by, action, subject, text }]).await
    }
}

impl Watcher for Board {
    fn asset_changed(&self, record: &Arc<AssetRecord>) {
        Board::asset_changed(self, record);
    }
}
