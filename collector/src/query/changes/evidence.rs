//! Evidence of a change, made where the log is and streamed to whoever asks.

use std::sync::Arc;

use holdpoint_common::chain::Chain;
use holdpoint_common::proto::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Stream, blocking};
use crate::change::ChangeOffice;
use crate::evidence::{self, Excerpt, Input, Policy};
use crate::zone::status_of;

/// Bytes of a message.
const PART: usize = 256 * 1024;
/// Messages that wait for a slow reader.
const QUEUE: usize = 4;

/// Makes a pack, notes that it was made, and streams it.
pub(super) async fn export(
    office: &Arc<ChangeOffice>,
    by: &str,
    request: pb::ExportEvidenceRequest,
) -> Result<Stream<pb::EvidencePart>, Status> {
    let pb::ExportEvidenceRequest { id, policy } = request;
    let word = if policy.is_empty() { Policy::Rows.as_str() } else { policy.as_str() };
    let policy =
        Policy::named(word).ok_or_else(|| Status::invalid_argument("the policy is `rows` or `digests`"))?;
    let change = office.change(&id)?;
    let first = change.steps.first().map_or(1, |it| it.audit_number);
    let maker = Arc::clone(office);
    let pack = blocking(move || {
        let zone = maker.zone();
        let excerpt = Excerpt::gather(zone.store(), &change.id, first).map_err(|it| status_of(&it))?;
        let excerpt = excerpt.ok_or_else(|| {
            Status::failed_precondition("the audit log is damaged: `holdpoint audit verify` says where")
        })?;
        let input = Input {
            change: &change.id,
            zone: zone.name(),
            excerpt: &excerpt,
            certificates: &zone.pki().anchors(),
            rows: zone.store(),
            policy,
            exported_ms: zone.now_ms(),
            key: zone.audit().key(),
        };
        evidence::export(&input).map_err(|it| Status::failed_precondition(Chain(&it).to_string()))
    })
    .await?;
    office.exported(by, &id, &pack, policy).await?;
    let (parts, stream) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        for bytes in pack.chunks(PART) {
            // A reader that went away needs no more.
            if parts.send(Ok(pb::EvidencePart { bytes: bytes.to_vec() })).await.is_err() {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(stream))
}
