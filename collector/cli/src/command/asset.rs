//! `asset`: one host, and what a person decides about it.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{
    GetAssetRequest, MergeAssetsRequest, RenameAssetRequest, RetireAssetRequest, SplitAssetRequest,
};
use holdpoint_common::row::{section_name, section_named};

use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::asset::{Changed, Details};

/// `asset`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show an asset and what it reported.
    Show(Show),
    /// Give an asset another name; its identifier stays.
    Rename {
        /// The asset.
        id: String,
        /// Its new name.
        name: String,
    },
    /// Take an asset out of service: its history stays, its certificate is refused.
    Retire {
        /// The asset.
        id: String,
        /// Why, for the record.
        #[arg(long)]
        reason: String,
    },
    /// Decide that a copy is the same machine with new hardware.
    Merge {
        /// The copy that was shown as a duplicate identity.
        copy: String,
        /// The asset that keeps its history and takes the copy's fingerprint.
        #[arg(long, value_name = "ID")]
        into: String,
    },
    /// Decide that a copy is a machine of its own; it must enrol with a token of its own.
    Split {
        /// The copy that was shown as a duplicate identity.
        copy: String,
        /// The name of the new asset.
        #[arg(long)]
        name: String,
    },
}

/// `asset show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdpoint asset show hmi-01\n  \
    holdpoint asset show hmi-01 --section software -o csv")]
pub struct Show {
    /// The asset.
    pub id: String,
    /// Show the rows of this section; may be repeated.
    #[arg(long = "section", value_name = "SECTION", value_parser = section)]
    pub sections: Vec<String>,
}

/// The name of a section, as typed.
fn section(text: &str) -> Result<String, String> {
    let known =
        || (1..=11).filter_map(|it| it.try_into().ok()).map(section_name).collect::<Vec<_>>().join(", ");
    section_named(text).map(|it| section_name(it).to_owned()).ok_or_else(|| format!("known are {}", known()))
}

/// Asks or decides.
pub async fn run(command: Command, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let mut inventory = connection.inventory();
    let changed = match command {
        Command::Show(options) => return show(options, connection, out).await,
        Command::Rename { id, name } => {
            answer(inventory.rename_asset(RenameAssetRequest { id, name })).await?
        }
        Command::Retire { id, reason } => {
            answer(inventory.retire_asset(RetireAssetRequest { id, reason })).await?
        }
        Command::Merge { copy, into } => {
            answer(inventory.merge_assets(MergeAssetsRequest { copy, into })).await?
        }
        Command::Split { copy, name } => {
            answer(inventory.split_asset(SplitAssetRequest { copy, name })).await?
        }
    };
    out.print(&Changed::from(changed))?;
    Ok(Exit::Done)
}

async fn show(options: Show, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let Show { id, sections } = options;
    let found = answer(connection.inventory().get_asset(GetAssetRequest { id })).await?;
    let details = Details::new(found, sections).ok_or(Failure::Incomplete("the asset"))?;
    out.print(&details)?;
    let mut all_there = true;
    for section in details.never_reported() {
        out.warn(&format!("this asset has never reported the section {section}"));
        all_there = false;
    }
    Ok(Exit::yes_or_no(all_there))
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[test]
    fn sections_are_named_as_in_the_contract() {
        assert_eq!(section("software").unwrap(), "software");
        assert!(section("sofware").unwrap_err().contains("software"));
    }

    #[tokio::test]
    async fn a_chosen_section_shows_its_rows() {
        let connection = fake::collector().await;
        let found =
            answer(connection.inventory().get_asset(GetAssetRequest { id: "hmi-01".into() })).await.unwrap();
        let details = Details::new(found, vec!["software".into(), "live".into()]).unwrap();
        let text = Output::plain(Format::Table, None).render(&details).unwrap();
        assert_eq!(
            text,
            "software: partial\n  snapd cannot be read\n\n\
             NAME     SOURCE  VERSION\nopenssl  dpkg    3.0.11-1\nzlib1g   dpkg    -\n"
        );
        assert_eq!(details.never_reported().collect::<Vec<_>>(), ["live"]);
    }

    #[tokio::test]
    async fn an_unknown_asset_is_a_no() {
        let connection = fake::collector().await;
        let show = Command::Show(Show { id: "hmi-99".into(), sections: Vec::new() });
        let failure = run(show, &connection, &Output::plain(Format::Json, None)).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::No);
    }
}
