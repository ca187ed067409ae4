//! One zone CA: making, keeping and using it.
//!
//! Names of authorities are unique (zone, number, eight random bytes), because a client tells the
//! collector by name which of them it trusts.

use std::fs;
use std::io::Read;
use std::path::Path;

use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::credentials::{new_key, pem_of_certificates};
use holdpoint_common::identity::{Identity, Subject, ZoneName};
use holdpoint_common::proto::store::CertificateRecord;
use holdpoint_common::tls::{Anchor, Leaf, Purpose};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{AUTHORITY_LIFE_MS, BACKDATE_MS, Issued, Origin, PkiError, ROOT_LIFE_MS};

/// Largest certificate or key file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;
const SERIAL_BYTES: usize = 16;
const MS_PER_S: i64 = 1_000;

pub(super) struct Authority {
    number: u32,
    pub(super) anchor: Anchor,
    /// The certificate and whatever signed it.
    certificate_pem: String,
    key_pem: Zeroizing<String>,
    issuer: Issuer<'static, KeyPair>,
}

/// An offline root, on its way out.
pub(super) struct Root {
    pub(super) certificate_pem: String,
    pub(super) key_pem: Zeroizing<String>,
}

/// Makes or takes in an authority; a root comes with it when it was made here.
pub(super) fn found(
    zone: &ZoneName,
    number: u32,
    origin: Origin<'_>,
    now_ms: i64,
) -> Result<(Authority, Option<Root>), PkiError> {
    match origin {
        Origin::Brought { certificate, key } => {
            let authority = Authority::read(number, certificate, key, "the certificate brought in")?;
            let life = authority.anchor.not_before_ms()..authority.anchor.not_after_ms();
            if !life.contains(&now_ms) {
                return Err(unusable("the certificate brought in", "it is not valid now"));
            }
            Ok((authority, None))
        }
        Origin::Root { certificate, key } => {
            let root = Authority::read(number, certificate, key, "the root")?;
            Ok((signed_by(&root, zone, number, now_ms)?, None))
        }
        Origin::NewRoot => {
            let key = new_key()?;
            let mut params = params(now_ms, ROOT_LIFE_MS)?;
            params.distinguished_name = authority_name(zone, "root CA", number)?;
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let certificate = params.self_signed(&key).map_err(PkiError::Certificate)?;
            let made = Root {
                certificate_pem: pem_of_certificates(&[certificate.der().clone()]),
                key_pem: Zeroizing::new(key.serialize_pem()),
            };
            let root = Authority::read(number, &made.certificate_pem, &made.key_pem, "the new root")?;
            Ok((signed_by(&root, zone, number, now_ms)?, Some(made)))
        }
    }
}

fn signed_by(root: &Authority, zone: &ZoneName, number: u32, now_ms: i64) -> Result<Authority, PkiError> {
    let life = root.anchor.not_after_ms().saturating_sub(now_ms).min(AUTHORITY_LIFE_MS);
    if life <= 0 || now_ms < root.anchor.not_before_ms() {
        return Err(unusable("the root", "it is not valid now"));
    }
    let key = new_key()?;
    let mut params = params(now_ms, life)?;
    params.distinguished_name = authority_name(zone, "zone CA", number)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &root.issuer).map_err(PkiError::Certificate)?;
    let pem = pem_of_certificates(&[certificate.der().clone(), root.anchor.certificate().clone()]);
    Authority::read(number, &pem, &key.serialize_pem(), "the new zone CA")
}

impl Authority {
    pub(super) fn load(pki: &Path, number: u32) -> Result<Self, PkiError> {
        let certificate = read(&pki.join(format!("ca-{number}.crt")))?;
        let key = read(&pki.join(format!("ca-{number}.key")))?;
        Self::read(number, &certificate, &key, &format!("ca-{number}"))
    }

    /// Key first: a certificate without its key would be taken for an authority.
    pub(super) fn save(&self, pki: &Path) -> Result<(), PkiError> {
        let write = |end: &str, text: &str, readable| {
            let path = pki.join(format!("ca-{}.{end}", self.number));
            atomic_file::replace(&path, text.as_bytes(), readable)
                .map_err(|source| PkiError::Write { path, source })
        };
        write("key", &self.key_pem, Readable::Owner)?;
        write("crt", &self.certificate_pem, Readable::All)
    }

    fn read(number: u32, certificate_pem: &str, key_pem: &str, what: &str) -> Result<Self, PkiError> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|_| unusable(what, "it holds no PEM certificate"))?;
        let anchor = Anchor::new(certificate.clone())
            .map_err(|_| unusable(what, "it is not a certificate authority's certificate"))?;
        let key =
            KeyPair::from_pem(key_pem).map_err(|_| unusable(what, "its key is no unencrypted PEM key"))?;
        if key.subject_public_key_info() != public_key(&certificate) {
            return Err(unusable(what, "certificate and key do not belong together"));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|_| unusable(what, "its name or key usage is not understood"))?;
        Ok(Self {
            number,
            anchor,
            certificate_pem: certificate_pem.to_owned(),
            key_pem: Zeroizing::new(key_pem.to_owned()),
            issuer,
        })
    }

    /// Issues a leaf that lives for `life_ms`, at most as long as the authority.
    pub(super) fn issue(
        &self,
        identity: &Identity,
        key: &impl PublicKeyData,
        life_ms: i64,
        now_ms: i64,
    ) -> Result<Issued, PkiError> {
        let left = self.anchor.not_after_ms().saturating_sub(now_ms);
        if left <= 0 || now_ms < self.anchor.not_before_ms() {
            return Err(PkiError::NoneValid);
        }
        let (common_name, usage, purpose) = match &identity.subject {
            Subject::Agent(name) | Subject::Operator(name) => {
                (name.as_str(), ExtendedKeyUsagePurpose::ClientAuth, Purpose::Client)
            }
            Subject::Collector => ("collector", ExtendedKeyUsagePurpose::ServerAuth, Purpose::Server),
        };
        let mut params = params(now_ms, life_ms.min(left))?;
        params.distinguished_name.push(DnType::CommonName, common_name);
        let uri = identity.to_string().try_into().map_err(PkiError::Certificate)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(key, &self.issuer).map_err(PkiError::Certificate)?;
        let certificate = certificate.der().clone();

        // What is handed out is what a peer will accept, whatever a brought-in authority looks like.
        let leaf = Leaf::read(&certificate).ok().filter(|it| self.anchor.signed(&certificate, it, purpose));
        let leaf = leaf.ok_or_else(|| unusable("the zone CA", "its signatures are not accepted"))?;
        let record = CertificateRecord {
            fingerprint: leaf.fingerprint.to_vec(),
            not_before_ms: leaf.not_before_ms,
            not_after_ms: leaf.not_after_ms,
            issuer: self.anchor.fingerprint().to_vec(),
            revoked_ms: None,
            revoked_reason: String::new(),
        };
        Ok(Issued { chain: vec![certificate, self.anchor.certificate().clone()], record })
    }
}

/// What every certificate has: a random serial, no name yet, and a life that began an hour ago.
fn params(now_ms: i64, life_ms: i64) -> Result<CertificateParams, PkiError> {
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

fn authority_name(zone: &ZoneName, kind: &str, number: u32) -> Result<DistinguishedName, PkiError> {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, zone.site.as_str());
    name.push(DnType::OrganizationalUnitName, zone.zone.as_str());
    name.push(DnType::CommonName, format!("Holdpoint {kind} {number} {}", HEXLOWER.encode(&random::<8>()?)));
    Ok(name)
}

fn random<const N: usize>() -> Result<[u8; N], PkiError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| PkiError::NoRandomness)?;
    Ok(bytes)
}

/// A time that a certificate can hold. Its encoding has no year before 1 or after 9999.
fn moment(at_ms: i64) -> Result<OffsetDateTime, PkiError> {
    OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(MS_PER_S)).map_err(|_| PkiError::NoneValid)
}

fn public_key(certificate: &CertificateDer<'_>) -> Vec<u8> {
    x509_parser::parse_x509_certificate(certificate)
        .map(|(_, parsed)| parsed.public_key().raw.to_vec())
        .unwrap_or_default()
}

fn read(path: &Path) -> Result<Zeroizing<String>, PkiError> {
    let mut text = Zeroizing::new(String::new());
    fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
        .map_err(|source| PkiError::Read { path: path.to_owned(), source })?;
    Ok(text)
}

fn unusable(what: &str, why: &'static str) -> PkiError {
    PkiError::Unusable { what: what.to_owned(), why }
}
