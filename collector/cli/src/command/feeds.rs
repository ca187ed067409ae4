//! `feeds`: what knowledge is how old.

use holdpoint_common::proto::v1::ListFeedsRequest;

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::view::feed::Feed;

/// Every kind of knowledge that was imported.
pub async fn ask(connection: &Connection) -> Result<Vec<Feed>, Failure> {
    let found = answer(connection.knowledge().list_feeds(ListFeedsRequest {})).await?;
    Ok(found.feeds.into_iter().map(Feed::from).collect())
}
