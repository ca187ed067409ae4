//! The conduit's CA: a directory on a machine that is not connected.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use holdpoint_common::atomic_file::Readable;
use holdpoint_common::credentials::{new_key, pem_of_certificates};
use holdpoint_common::identity::Name;
use holdpoint_common::tls::Anchor;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::credentials::CA_FILE;
use super::leaf::PartyLeaf;
use super::request::{Requested, alt_names, usage};
use super::{ConduitError, read, write};

/// How long a certificate lives unless it is told otherwise. Years, because somebody has to carry the next one.
pub const DEFAULT_LIFE_DAYS: u32 = 1_096;

const CA_KEY_FILE: &str = "conduit-ca.key";
const ISSUED: &str = "issued";
const MS_PER_S: i64 = 1_000;
const MS_PER_DAY: i64 = 86_400_000;
/// Twenty years.
const AUTHORITY_LIFE_MS: i64 = 7_305 * MS_PER_DAY;
/// Certificates begin earlier than they are made: clocks of a plant and of an office differ.
const BACKDATE_MS: i64 = MS_PER_DAY;
const SERIAL_BYTES: usize = 16;

/// The authority, with its key.
pub struct Authority {
    dir: PathBuf,
    site: Name,
    anchor: Anchor,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({}, {:?})", self.site, self.anchor)
    }
}

impl Authority {
    /// Makes the authority of a site in a directory that has none.
    ///
    /// # Errors
    /// There is one already, or the files cannot be written.
    pub fn found(dir: &Path, site: &Name, now_ms: i64) -> Result<Self, ConduitError> {
        let (certificate_path, key_path) = (dir.join(CA_FILE), dir.join(CA_KEY_FILE));
        if let Some(held) = [&certificate_path, &key_path].into_iter().find(|it| it.exists()) {
            return Err(ConduitError::Exists(held.clone()));
        }
        fs::create_dir_all(dir).map_err(|source| ConduitError::Write { path: dir.to_owned(), source })?;
        let key = new_key().map_err(|_| ConduitError::NoRandomness)?;
        let mut params = params(now_ms, AUTHORITY_LIFE_MS)?;
        params.distinguished_name.push(DnType::OrganizationName, site.as_str());
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Holdpoint conduit CA {}", HEXLOWER.encode(&random::<8>()?)));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        // Key first: a certificate without its key would be taken for an authority.
        write(&key_path, Zeroizing::new(key.serialize_pem()).as_bytes(), Readable::Owner)?;
        let pem = pem_of_certificates(&[certificate.der().clone()]);
        write(&certificate_path, pem.as_bytes(), Readable::All)?;
        Self::load(dir)
    }

    /// Takes up an authority.
    ///
    /// # Errors
    /// Its files are not there or do not belong together.
    pub fn load(dir: &Path) -> Result<Self, ConduitError> {
        let (path, key_path) = (dir.join(CA_FILE), dir.join(CA_KEY_FILE));
        let unusable = |path: &Path, why| ConduitError::Unusable { path: path.to_owned(), why };
        let certificate = CertificateDer::from_pem_slice(&read(&path)?)
            .map_err(|_| unusable(&path, "holds no PEM certificate"))?;
        let anchor = Anchor::new(certificate.clone())
            .map_err(|_| unusable(&path, "is not a certificate authority's certificate"))?;
        let key = read(&key_path)?;
        let key = std::str::from_utf8(&key).ok().and_then(|it| KeyPair::from_pem(it).ok());
        let key = key.ok_or_else(|| unusable(&key_path, "holds no unencrypted PEM key"))?;
        let (site, public) =
            parts(&certificate).ok_or_else(|| unusable(&path, "was not made by `conduit init`"))?;
        if key.subject_public_key_info() != public {
            return Err(unusable(&key_path, "is not the key of the certificate beside it"));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { dir: dir.to_owned(), site, anchor, issuer })
    }

    /// The site whose conduit this is.
    pub fn site(&self) -> &Name {
        &self.site
    }

    /// What parties trust.
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// The authority's certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        pem_of_certificates(std::slice::from_ref(self.anchor.certificate()))
    }

    /// Signs what was requested, for so many days or as long as the authority lives, and keeps a copy: its
    /// fingerprint is what a revocation needs.
    ///
    /// # Errors
    /// It is of another site, or no certificate can be made.
    pub fn issue(
        &self,
        requested: &Requested,
        life_days: u32,
        now_ms: i64,
    ) -> Result<(CertificateDer<'static>, PartyLeaf), ConduitError> {
        if requested.party.site() != &self.site {
            let party = Box::new(requested.party.clone());
            return Err(ConduitError::OtherSite { party, site: self.site.to_string() });
        }
        let left = self.anchor.not_after_ms().saturating_sub(now_ms);
        if left <= 0 || now_ms < self.anchor.not_before_ms() {
            return Err(ConduitError::NotNow);
        }
        let mut params = params(now_ms, left.min(i64::from(life_days) * MS_PER_DAY))?;
        params.distinguished_name.push(DnType::CommonName, requested.party.file_stem());
        params.subject_alt_names = alt_names(&requested.party, &requested.names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = requested.purposes.iter().copied().map(usage).collect();
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(requested.key(), &self.issuer)?.der().clone();

        // What is handed out is what a peer will accept.
        let leaf = PartyLeaf::read(&certificate)
            .ok()
            .filter(|leaf| requested.purposes.iter().all(|it| leaf.is_by(&self.anchor, &certificate, *it)));
        let path = || self.dir.join(CA_FILE);
        let leaf = leaf.ok_or_else(|| ConduitError::Unusable {
            path: path(),
            why: "makes no certificate that counts",
        })?;
        self.keep(&certificate, &leaf)?;
        Ok((certificate, leaf))
    }

    fn keep(&self, certificate: &CertificateDer<'_>, leaf: &PartyLeaf) -> Result<(), ConduitError> {
        let folder = self.dir.join(ISSUED);
        fs::create_dir_all(&folder).map_err(|source| ConduitError::Write { path: folder.clone(), source })?;
        let path = folder.join(format!("{}-{}.crt", leaf.party.file_stem(), leaf.fingerprint));
        write(&path, pem_of_certificates(std::slice::from_ref(certificate)).as_bytes(), Readable::All)
    }
}

/// The site, and the public key with its algorithm.
fn parts(certificate: &CertificateDer<'_>) -> Option<(Name, Vec<u8>)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let site = parsed.subject().iter_organization().next()?.as_str().ok()?.parse().ok()?;
    Some((site, parsed.public_key().raw.to_vec()))
}

/// What every certificate has: a random serial, no name yet, and a life that began a day ago.
fn params(now_ms: i64, life_ms: i64) -> Result<CertificateParams, ConduitError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = moment(now_ms.saturating_sub(BACKDATE_MS))?;
    params.not_after = moment(now_ms.saturating_add(life_ms))?;
    let mut serial = random::<SERIAL_BYTES>()?;
    // Positive, and with no leading zero byte to be dropped.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn random<const N: usize>() -> Result<[u8; N], ConduitError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| ConduitError::NoRandomness)?;
    Ok(bytes)
}

/// A time that a certificate can hold.
fn moment(at_ms: i64) -> Result<OffsetDateTime, ConduitError> {
    OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(MS_PER_S)).map_err(|_| ConduitError::NotNow)
}
