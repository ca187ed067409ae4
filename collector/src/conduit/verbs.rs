//! What each verb of `conduit` does and says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use holdpoint_common::atomic_file::Readable;
use holdpoint_common::clock::{Clock, SystemClock, readable};
use holdpoint_common::credentials::pem_of_certificates;
use holdpoint_common::identity::InvalidName;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;

use super::args::{Conduit, ConduitInit, ConduitInstall, ConduitIssue};
use super::{Authority, CA_FILE, ConduitError, InvalidRequest, Requested, install, read, write};

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ConduitVerbError {
    /// The site is no name.
    #[error("--site")]
    Name(#[source] InvalidName),
    /// The rest.
    #[error(transparent)]
    Conduit(#[from] ConduitError),
}

/// Does what was typed; `say` tells people.
///
/// # Errors
/// The first thing that went wrong. Certificates that were issued before it stay.
pub fn run(typed: Conduit, say: &dyn Fn(&str)) -> Result<ExitCode, ConduitVerbError> {
    match typed {
        Conduit::Init(typed) => init(&typed, say)?,
        Conduit::Issue(typed) => issue(&typed, say)?,
        Conduit::Install(typed) => put_in(&typed, say)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn init(typed: &ConduitInit, say: &dyn Fn(&str)) -> Result<(), ConduitVerbError> {
    let site = typed.site.parse().map_err(ConduitVerbError::Name)?;
    let made = Authority::found(&typed.data, &site, SystemClock.now_ms())?;
    say(&format!(
        "conduit CA of {site}: {} until {}",
        made.anchor().fingerprint(),
        readable(made.anchor().not_after_ms())
    ));
    say(&format!("keep {} on a machine that is not connected", typed.data.display()));
    say("next: bring the requests of relays, sites and zones here and run `conduit issue`");
    Ok(())
}

fn issue(typed: &ConduitIssue, say: &dyn Fn(&str)) -> Result<(), ConduitVerbError> {
    let authority = Authority::load(&typed.data)?;
    for path in &typed.requests {
        issue_one(&authority, path, typed, say)?;
    }
    Ok(())
}

fn issue_one(
    authority: &Authority,
    path: &Path,
    typed: &ConduitIssue,
    say: &dyn Fn(&str),
) -> Result<(), ConduitError> {
    let refused = |source| ConduitError::Request { path: path.to_owned(), source };
    let der = CertificateSigningRequestDer::from_pem_slice(&read(path)?)
        .map_err(|_| refused(InvalidRequest::Malformed))?;
    let requested = Requested::read(&der).map_err(refused)?;
    say(&format!("{}: {}", path.display(), requested.party));
    say(&format!("  key   {}", requested.key_fingerprint()));
    if !requested.names.is_empty() {
        say(&format!("  names {}", requested.names.join(", ")));
    }
    let (certificate, leaf) = authority.issue(&requested, typed.days, SystemClock.now_ms())?;
    let beside = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let out: PathBuf = typed.out.clone().unwrap_or_else(|| beside.to_owned());
    fs::create_dir_all(&out).map_err(|source| ConduitError::Write { path: out.clone(), source })?;
    let stem = path.file_stem().map_or_else(|| requested.party.file_stem(), |it| it.to_string_lossy().into());
    let file = out.join(format!("{stem}.crt"));
    write(&file, pem_of_certificates(&[certificate]).as_bytes(), Readable::All)?;
    write(&out.join(CA_FILE), authority.certificate_pem().as_bytes(), Readable::All)?;
    say(&format!("  {} until {}", file.display(), readable(leaf.not_after_ms)));
    say(&format!("  certificate {}", leaf.fingerprint));
    Ok(())
}

fn put_in(typed: &ConduitInstall, say: &dyn Fn(&str)) -> Result<(), ConduitVerbError> {
    let ca = typed.certificate.with_file_name(CA_FILE);
    let installed = install(&typed.data, &read(&typed.certificate)?, &read(&ca)?)?;
    say(&format!(
        "{} is {} until {}",
        typed.data.display(),
        installed.party,
        readable(installed.leaf.not_after_ms)
    ));
    for anchor in &installed.ca {
        say(&format!("conduit CA {}", anchor.fingerprint()));
    }
    Ok(())
}
