//! `join`: the key and the profile of an operator of a site. The key is made here and never leaves; what is
//! carried is the request, and the certificate that answers it.

use std::path::PathBuf;

use clap::Args;
use holdpoint_collector::conduit::{CA_FILE, CERTIFICATE_FILE, KEY_FILE, save_request};
use holdpoint_common::conduit::Party;
use holdpoint_common::identity::Name;
use holdpoint_common::tls::Purpose;

use super::Caller;
use crate::failure::{Exit, Failure};
use crate::profile::{FILE, Profile};
use crate::view::joined::Joined;

/// `join`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The site.
    #[arg(long)]
    pub site: String,
    /// The person's name in the certificate.
    #[arg(long)]
    pub name: String,
    /// Where the site answers its operators.
    #[arg(long, value_name = "HOST:PORT")]
    pub server: String,
    /// A directory for the key, the request and the profile.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

const EXAMPLES: &str = "\
Example:
  holdpoint join --site plant --name anna --server 10.9.8.7:7446 --out ./plant
  holdpoint-collector conduit issue operator-anna.csr --data …        where the conduit's CA is
  holdpoint-collector conduit install operator-anna.crt --data ./plant
  holdpoint --profile ./plant/operator.toml fleet";

/// Makes the key, the request and the profile.
pub fn run(options: &Options, caller: &Caller) -> Result<Exit, Failure> {
    let Options { site, name, server, out } = options;
    let read = |what: &str, text: &str| {
        text.parse::<Name>().map_err(|cause| Failure::Argument(format!("--{what}: {cause}")))
    };
    let party = Party::SiteOperator { site: read("site", site)?, name: read("name", name)? };
    let path = out.join(FILE);
    if path.exists() {
        return Err(Failure::Exists(path));
    }
    let request = save_request(out, &party, &[Purpose::Client], &[])
        .map_err(|source| Failure::SiteProfile { path: path.clone(), source: Box::new(source) })?;
    let profile = Profile {
        collector: server.clone(),
        name: name.clone(),
        certificate: CERTIFICATE_FILE.into(),
        key: KEY_FILE.into(),
        ca: CA_FILE.into(),
    };
    profile.write(&path)?;
    caller.out.print(&Joined::new(&party.to_string(), server, &request, &path))?;
    caller.out.hint(&format!(
        "carry {} to the conduit's CA; then `holdpoint-collector conduit install {}.crt --data {}`",
        request.display(),
        party.file_stem(),
        out.display()
    ));
    Ok(Exit::Done)
}
