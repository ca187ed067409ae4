//! `assets`: every host of the zone.

use clap::Args;
use holdpoint_common::proto::v1::ListAssetsRequest;

use super::PAGE;
use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::view::asset::Asset;

/// `assets`.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:\n  holdpoint assets\n  holdpoint assets --retired -o json")]
pub struct Options {
    /// List retired assets too.
    #[arg(long)]
    pub retired: bool,
}

/// All pages, in the order of their identifiers.
pub async fn ask(options: &Options, connection: &Connection) -> Result<Vec<Asset>, Failure> {
    let mut inventory = connection.inventory();
    let mut assets = Vec::new();
    let mut after = String::new();
    loop {
        let request = ListAssetsRequest { limit: PAGE, after, with_retired: options.retired };
        let page = answer(inventory.list_assets(request)).await?;
        assets.extend(page.assets.into_iter().map(Asset::from));
        match page.next_after {
            Some(next) => after = next,
            None => return Ok(assets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;
    use crate::output::Output;

    #[tokio::test]
    async fn all_pages_are_fetched() {
        let connection = fake::collector().await;
        let assets = ask(&Options::default(), &connection).await.unwrap();
        assert_eq!(assets.len(), 3);
        let csv = Output::plain(Format::Csv, None).render(&assets).unwrap();
        let ids: Vec<_> = csv.lines().skip(1).filter_map(|it| it.split(',').next()).collect();
        assert_eq!(ids, ["hist-01", "hmi-01", "hmi-02"]);
    }
}
