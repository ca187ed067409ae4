//! Sends the bytes of one file, part by part.

use std::future::Future;
use std::time::Duration;

use holdpoint_common::proto::v1::{
    ImportHeader, ImportPackResult, ImportPart, ImportResult, import_part, import_result,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use crate::connection::Connection;
use crate::failure::Failure;

/// Bytes of one part.
const PART: usize = 64 * 1024;

/// Parts that wait for the network.
const PARTS_AHEAD: usize = 4;

/// How long one file may take, transfer and judgement together.
const PATIENCE: Duration = Duration::from_mins(10);

/// Sends one file and waits for the verdict about it.
pub(super) async fn send(
    file: String,
    bytes: Vec<u8>,
    as_asset: Option<&str>,
    connection: &Connection,
) -> Result<import_result::Result, Failure> {
    let mut knowledge = connection.knowledge();
    let answered = with_parts(file, bytes, as_asset, |parts| async move { knowledge.import(parts).await });
    let ImportResult { result } = answered.await?;
    result.ok_or(Failure::Incomplete("what became of the file"))
}

/// Sends one pack and waits for the verdict about it.
pub(super) async fn send_pack(
    file: String,
    bytes: Vec<u8>,
    connection: &Connection,
) -> Result<ImportPackResult, Failure> {
    let mut knowledge = connection.knowledge();
    with_parts(file, bytes, None, |parts| async move { knowledge.import_pack(parts).await }).await
}

/// Makes a call with the parts of a file.
async fn with_parts<T, F>(
    file: String,
    bytes: Vec<u8>,
    as_asset: Option<&str>,
    call: impl FnOnce(ReceiverStream<ImportPart>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let header = ImportHeader { file, size, as_asset: as_asset.map(str::to_owned) };
    let (sender, parts) = tokio::sync::mpsc::channel(PARTS_AHEAD);
    let feed = async move {
        let part = |it| ImportPart { part: Some(it) };
        if sender.send(part(import_part::Part::Header(header))).await.is_err() {
            return;
        }
        for bytes in bytes.chunks(PART) {
            // Who does not take any more has answered already.
            if sender.send(part(import_part::Part::Bytes(bytes.to_vec()))).await.is_err() {
                return;
            }
        }
    };
    let call = tokio::time::timeout(PATIENCE, call(ReceiverStream::new(parts)));
    let ((), answered) = tokio::join!(feed, call);
    let late = |_| Status::deadline_exceeded("the file took too long");
    Ok(answered.map_err(late).and_then(|it| it)?.into_inner())
}
