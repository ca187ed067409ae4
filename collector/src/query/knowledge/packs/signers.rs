//! Whose packs the zone takes: decided by an admin, with a fingerprint that was typed.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use holdpoint_common::bundle::Algorithm;
use holdpoint_common::pack::{self, fingerprint, is_typed};
use holdpoint_common::proto::store::PackSignerPage;
use holdpoint_common::proto::v1 as pb;
use tonic::Status;

use crate::knowledge::text::shown;
use crate::packs::{MAX_SIGNERS, Signer, quarantine};
use crate::query::knowledge::{Deed, KnowledgeService, Office, blocking, why};
use crate::store::Txn;

use super::{MIN_DIGITS, failed, named};

/// Longest name of a signer, in characters.
const MAX_SIGNER_NAME: usize = 100;

impl<O: Office> KnowledgeService<O> {
    /// Believes a key from now on. The person has typed its fingerprint from elsewhere.
    pub(in crate::query::knowledge) async fn trust(
        &self,
        by: String,
        request: pb::TrustPackSignerRequest,
    ) -> Result<pb::PackSigner, Status> {
        let pb::TrustPackSignerRequest { public_pem, name, typed_fingerprint } = request;
        if public_pem.len() > pack::MAX_KEY_FILE {
            return Err(Status::invalid_argument("that is no key: far too large"));
        }
        let key = pack::public_key(public_pem.as_bytes())
            .map_err(|it| Status::invalid_argument(format!("the key is refused: {it}")))?;
        let name = shown(&name, MAX_SIGNER_NAME);
        if name.is_empty() {
            return Err(Status::invalid_argument("say what this zone calls the signer"));
        }
        if !is_typed(&key, &typed_fingerprint) {
            return Err(Status::invalid_argument(format!(
                "what was typed is not the fingerprint of this key: at least its first {} digits are compared with \
                 those that the signer reads out",
                pack::MIN_TYPED
            )));
        }
        let quarantine = Arc::clone(self.office.quarantine());
        let _turn = quarantine.turn().await;
        let signers = self.every_signer().await?;
        if let Some(other) =
            signers.iter().find(|it| it.page.name == name && it.key != key && it.is_trusted())
        {
            return Err(Status::already_exists(format!("{} is trusted under this name", named(other))));
        }
        let before = signers.iter().find(|it| it.key == key);
        if before.is_none() && signers.len() >= MAX_SIGNERS {
            return Err(Status::resource_exhausted(format!("there are {MAX_SIGNERS} signers already")));
        }
        let page = PackSignerPage {
            name,
            algorithm: quarantine::algorithm_number(&key),
            key: key.as_bytes().to_vec(),
            trusted_ms: self.office.now_ms(),
            trusted_by: by.clone(),
            // Trust that comes back forgets nothing: what was out of date stays so.
            released_serial: before.map_or(0, |it| it.page.released_serial),
            ..PackSignerPage::default()
        };
        let signer = Signer { key, page };
        let text = format!("fingerprint {}", fingerprint(&signer.key));
        let deed = Deed { by, action: "pack-signer-trusted", subject: named(&signer), text };
        self.office.commit(quarantine::put_signer(Txn::admin(), &signer), deed).await?;
        Ok(signer_message(&signer))
    }

    /// Believes a key no more. Packs of it that wait cannot be released.
    pub(in crate::query::knowledge) async fn distrust(
        &self,
        by: String,
        request: pb::DistrustPackSignerRequest,
    ) -> Result<pb::PackSigner, Status> {
        let pb::DistrustPackSignerRequest { signer: typed, reason } = request;
        let reason = why(&reason, "say why its packs are not taken any more")?;
        let quarantine = Arc::clone(self.office.quarantine());
        let _turn = quarantine.turn().await;
        let is_meant = |it: &Signer| {
            let key = HEXLOWER.encode(it.id().as_bytes());
            it.page.name == typed || typed.len() >= MIN_DIGITS && key.starts_with(&typed.to_ascii_lowercase())
        };
        let mut meant = self.every_signer().await?.into_iter().filter(|it| it.is_trusted() && is_meant(it));
        let (mut signer, more) = (meant.next(), meant.next());
        let Some(signer) = signer.as_mut().filter(|_| more.is_none()) else {
            let typed = shown(&typed, 80);
            return Err(Status::not_found(format!(
                "no signer that is trusted is called `{typed}`, or several are: `holdpoint pack signers` lists them"
            )));
        };
        signer.page.distrusted_ms = Some(self.office.now_ms());
        signer.page.distrusted_by.clone_from(&by);
        signer.page.reason.clone_from(&reason);
        let deed = Deed { by, action: "pack-signer-distrusted", subject: named(signer), text: reason };
        self.office.commit(quarantine::put_signer(Txn::admin(), signer), deed).await?;
        Ok(signer_message(signer))
    }

    /// Whose packs are taken, or were.
    pub(in crate::query::knowledge) async fn signers(&self) -> Result<Vec<pb::PackSigner>, Status> {
        Ok(self.every_signer().await?.iter().map(signer_message).collect())
    }

    pub(super) async fn every_signer(&self) -> Result<Vec<Signer>, Status> {
        let quarantine = Arc::clone(self.office.quarantine());
        blocking(move || quarantine.signers()).await?.map_err(|it| failed(&it))
    }
}

fn signer_message(signer: &Signer) -> pb::PackSigner {
    let algorithm = match signer.key.algorithm() {
        Algorithm::Ed25519 => "ed25519",
        Algorithm::Es256 => "es256",
    };
    let key = signer.id().as_bytes().to_vec();
    let PackSignerPage {
        name,
        algorithm: _,
        key: _,
        trusted_ms,
        trusted_by,
        distrusted_ms,
        distrusted_by,
        reason,
        released_serial,
    } = signer.page.clone();
    pb::PackSigner {
        name,
        key,
        algorithm: algorithm.to_owned(),
        trusted_ms,
        trusted_by,
        distrusted_ms,
        distrusted_by,
        reason,
        released_serial,
    }
}
