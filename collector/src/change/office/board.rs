//! What persons decide: signed with their own keys, taken in from whoever brings it.

use std::sync::Arc;

use holdpoint_common::decision::{self, Verified};
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    BoardMeeting, CollateralExplained, EvidenceExported, LessonsRecorded, PointReleased, SignedDecision,
};
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::Digest;
use holdpoint_common::tls::{Anchor, Purpose};
use tonic::Status;

use super::{ChangeOffice, New};
use crate::change::fold::Change;
use crate::evidence::Policy;
use crate::zone::{Call, Role, Shown, admit_operator, operator_of};

impl ChangeOffice {
    /// Takes in what a person signed, whoever brought it and however long it was on the way. The signature says who
    /// decided; the zone says whether that is an operator, in which role, and which person.
    ///
    /// # Errors
    /// Why it does not count.
    pub async fn decide(&self, mut signed: SignedDecision) -> Result<Arc<Change>, Status> {
        let verified = decision::verify(&signed).map_err(|it| Status::invalid_argument(it.to_string()))?;
        let (operator, person) = self.signer(&verified)?;
        signed.person = person;
        let decided = &verified.decision;
        let (id, stage) = (decided.change.clone(), decided.stage);
        let (action, text, what) = match decided.kind.as_str() {
            "sign-off" => ("change-signed", format!("as {}", decided.role), What::Decision(signed)),
            "veto" => {
                ("change-vetoed", format!("as {}: {}", decided.role, decided.text), What::Decision(signed))
            }
            "attest" => {
                let asset = decided.attestation.as_ref().map(|it| it.asset.clone()).unwrap_or_default();
                ("target-attested", format!("{asset}, stage {stage}"), What::Decision(signed))
            }
            "functional-test" => {
                let test = decided.test.as_ref().map(|it| it.procedure.clone()).unwrap_or_default();
                ("functional-test-recorded", test, What::Decision(signed))
            }
            "explain" => {
                let items = decided.items.clone();
                let text = decided.text.clone();
                (
                    "collateral-explained",
                    text,
                    What::Explained(CollateralExplained { items, decision: Some(signed) }),
                )
            }
            "point" => {
                let point = decided.point.clone();
                let text = format!("`{point}` of stage {stage}");
                ("point-released", text, What::Point(PointReleased { stage, point, decision: Some(signed) }))
            }
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(Status::invalid_argument(format!("nobody decides `{other}`")));
            }
        };
        self.write(&id, New::of(&operator, action, text, what)).await
    }

    /// Who signed, as the audit log writes it, and the person behind that name.
    fn signer(&self, verified: &Verified) -> Result<(String, String), Status> {
        let Verified { decision, leaf, certificate, .. } = verified;
        let issued =
            self.zone.pki().anchors().into_iter().any(|anchor| {
                Anchor::new(anchor).is_ok_and(|it| it.signed(certificate, leaf, Purpose::Client))
            });
        if !issued {
            return Err(
                Reason::Unknown.refuse("the certificate that signed was not issued by this zone's CA")
            );
        }
        let shown = Shown {
            identity: &leaf.identity,
            fingerprint: &leaf.fingerprint,
            not_before_ms: leaf.not_before_ms,
            not_after_ms: leaf.not_after_ms,
        };
        let name = operator_of(self.zone.name(), &shown)?;
        let record = self.zone.operator(name.as_str());
        let needs = match decision.kind.as_str() {
            "sign-off" | "veto" | "functional-test" => Some(role_of(&decision.role)?),
            _ => None,
        };
        let (grace, now) = (self.zone.settings().grace, self.zone.now_ms());
        admit_operator(name, record.as_deref(), &shown, Call::Other, needs, grace, now)?;
        let record = record.ok_or_else(|| Status::internal("the operator is gone"))?;
        let roles: Vec<Role> = record.roles.iter().filter_map(|it| it.parse().ok()).collect();
        let may_decide = roles.iter().any(|it| matches!(it, Role::Board(_) | Role::Engineer));
        if !may_decide {
            return Err(Reason::Role.refuse(format!(
                "`{name}` is neither an engineer nor of the board, and decides nothing about changes"
            )));
        }
        if record.key_on_collector {
            return Err(Status::failed_precondition(format!(
                "the key of `{name}` was made by the collector, so its signature is nobody's word: enrol this \
                 operator with `operator add` and `holdpoint enroll`"
            )));
        }
        let person = if record.person.is_empty() { record.name.clone() } else { record.person.clone() };
        Ok((leaf.identity.to_string(), person))
    }

    /// Keeps the record of a meeting of the board.
    ///
    /// # Errors
    /// There is nothing to record, or the change has gone on.
    pub async fn meet(
        &self,
        by: &str,
        id: &str,
        held_ms: i64,
        present: Vec<String>,
        minutes: String,
    ) -> Result<Arc<Change>, Status> {
        if present.len() > 100 || present.iter().any(|it| it.len() > 200) {
            return Err(Status::invalid_argument(
                "a meeting has at most 100 persons, named in 200 bytes each",
            ));
        }
        let text = format!("{} present", present.len());
        let what = What::Meeting(BoardMeeting { held_ms, present, minutes });
        self.write(id, New::of(by, "board-met", text, what)).await
    }

    /// Keeps what was learnt.
    ///
    /// # Errors
    /// There are no words, or the change has ended.
    pub async fn learn(&self, by: &str, id: &str, text: String) -> Result<Arc<Change>, Status> {
        let what = What::Lessons(LessonsRecorded { text: text.clone() });
        self.write(id, New::of(by, "lessons-recorded", text, what)).await
    }
}

impl ChangeOffice {
    /// Notes that evidence was taken out.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn exported(&self, by: &str, id: &str, pack: &[u8], policy: Policy) -> Result<(), Status> {
        let digest = Digest::of(pack);
        let text = format!("{} bytes, SHA-256 {digest}", pack.len());
        let what =
            What::Exported(EvidenceExported { digest: digest.to_vec(), policy: policy.as_str().to_owned() });
        self.write(id, New::of(by, "evidence-exported", text, what)).await.map(drop)
    }
}

fn role_of(word: &str) -> Result<Role, Status> {
    word.parse::<Role>().ok().filter(|it| matches!(it, Role::Board(_))).ok_or_else(|| {
        let word: String = word.chars().take(40).collect();
        Status::invalid_argument(format!("`{word}` is no role of the board"))
    })
}
