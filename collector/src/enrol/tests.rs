//! Enrolment over a zone with a real store.

use std::time::Duration;

use holdpoint_common::clock::SetClock;
use holdpoint_common::proto::store::OperatorGrant;
use holdpoint_common::proto::v1::HostFacts;
use holdpoint_common::tls::Leaf;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;

use super::*;
use crate::pki::{LEAF_LIFE_MS, Origin, Pki};
use crate::store::{Store, StoreConfig};
use crate::zone::ZoneSettings;

const NOW: i64 = 1_800_000_000_000;
const HOUR: Duration = Duration::from_hours(1);

struct Running {
    service: Arc<EnrolService>,
    zone: Arc<Zone>,
    clock: Arc<SetClock>,
    _dir: tempfile::TempDir,
}

fn start() -> Running {
    let dir = tempfile::tempdir().unwrap();
    let name = holdpoint_common::identity::ZoneName {
        site: "plant".parse().unwrap(),
        zone: "line-1".parse().unwrap(),
    };
    Pki::init(dir.path(), &name, Origin::NewRoot, NOW).unwrap();
    let pki = Pki::open(dir.path(), &name, NOW).unwrap();
    let config =
        StoreConfig { ballast_bytes: 0, low_free_bytes: 0, admin_free_bytes: 0, ..StoreConfig::default() };
    let (store, _) = Store::open(&dir.path().join("store"), &config).unwrap();
    let clock = Arc::new(SetClock::new(NOW));
    let settings = ZoneSettings { clock: Arc::clone(&clock) as _, ..ZoneSettings::default() };
    let zone = Zone::open(dir.path(), settings, store, pki, NOW).unwrap();
    Running { service: Arc::new(EnrolService::new(Arc::clone(&zone))), zone, clock, _dir: dir }
}

fn csr() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default().serialize_request(&key).unwrap().der().to_vec()
}

fn facts(hostname: &str, machine: u8) -> HostFacts {
    HostFacts {
        hostname: hostname.to_owned(),
        fingerprint: vec![machine; 32],
        boot_id: "boot-1".into(),
        agent_version: "0.1.0".into(),
        ..HostFacts::default()
    }
}

fn hosts() -> Grant {
    Grant::Agent(AgentGrant::default())
}

fn again(asset: &str) -> Grant {
    Grant::Agent(AgentGrant { for_asset: Some(asset.to_owned()), ..AgentGrant::default() })
}

fn peer(answer: &EnrollResponse) -> Peer {
    let leaf = Leaf::read(&CertificateDer::from(answer.chain[0].clone())).unwrap();
    Peer::Certificate {
        identity: leaf.identity,
        fingerprint: leaf.fingerprint,
        issuer: Digest::of(&answer.chain[1]),
        not_before_ms: leaf.not_before_ms,
        not_after_ms: leaf.not_after_ms,
    }
}

impl Running {
    async fn token(&self, grant: Grant, uses: u32) -> String {
        let pin = self.zone.pki().fingerprint().unwrap();
        let (token, record) = token::make(grant, uses, HOUR, pin, self.zone.now_ms()).unwrap();
        self.zone.commit(Txn::admin().put_token(record), Vec::new()).await.unwrap();
        token.secret.reveal().to_string()
    }

    async fn enroll(&self, token: &str, host: Option<HostFacts>) -> Result<EnrollResponse, Status> {
        self.service.enroll_with(EnrollRequest { token: token.to_owned(), csr: csr(), host }).await
    }

    async fn enrolled(&self, hostname: &str, machine: u8) -> EnrollResponse {
        let token = self.token(hosts(), 1).await;
        self.enroll(&token, Some(facts(hostname, machine))).await.unwrap()
    }

    async fn renew(&self, peer: &Peer, host: Option<HostFacts>) -> Result<EnrollResponse, Status> {
        self.service.renew_for(peer, RenewRequest { csr: csr(), host }).await
    }

    fn admitted(&self, peer: &Peer) -> Result<String, Option<Reason>> {
        let admitted = self.zone.agent_caller(peer, Call::Other);
        admitted.map(|it| it.id.clone()).map_err(|it| Reason::of(&it))
    }

    fn audited(&self) -> usize {
        self.zone.store().audit(1, 100).unwrap().len()
    }
}

fn reason(result: Result<EnrollResponse, Status>) -> Option<Reason> {
    Reason::of(&result.unwrap_err())
}

#[tokio::test]
async fn a_token_makes_an_asset_that_its_certificate_speaks_for() {
    let running = start();
    let grant =
        AgentGrant { role: Some("hmi".into()), level: Some(2), tags: vec!["line-a".into()], for_asset: None };
    let token = running.token(Grant::Agent(grant), 1).await;
    let answer = running.enroll(&token, Some(facts("HMI 01", 7))).await.unwrap();

    assert_eq!(answer.identity, "spiffe://plant/zone/line-1/agent/hmi-01");
    assert_eq!(answer.anchors.len(), 1);
    assert_eq!(running.admitted(&peer(&answer)), Ok("hmi-01".to_owned()));
    let asset = running.zone.asset("hmi-01").unwrap();
    assert_eq!((asset.role.as_deref(), asset.level, asset.tags.len()), (Some("hmi"), Some(2), 1));
    assert_eq!((asset.hostname.as_str(), asset.fingerprint.as_slice()), ("HMI 01", [7; 32].as_slice()));
    assert_eq!(running.audited(), 1);
    let stored = running.zone.store().asset("hmi-01").unwrap().unwrap();
    assert_eq!(stored, *asset);
}

#[tokio::test]
async fn hosts_of_one_name_become_assets_of_different_names() {
    let running = start();
    let token = running.token(hosts(), 4).await;
    let mut names = Vec::new();
    for (machine, hostname) in [(1, "hmi"), (2, "HMI"), (3, "hmi"), (4, "日本")] {
        let answer = running.enroll(&token, Some(facts(hostname, machine))).await.unwrap();
        names.push(answer.identity.rsplit('/').next().unwrap().to_owned());
    }
    assert_eq!(names, ["hmi", "hmi-2", "hmi-3", "host"]);
    assert_eq!(numbered(&"x".repeat(MAX_NAME), 12), format!("{}-12", "x".repeat(MAX_NAME - 3)));
}

#[tokio::test]
async fn a_token_is_worth_its_uses_even_when_many_come_at_once() {
    let running = start();
    let token = running.token(hosts(), 3).await;
    let mut tasks = tokio::task::JoinSet::new();
    for machine in 0..8 {
        let (service, token) = (Arc::clone(&running.service), token.clone());
        tasks.spawn(async move {
            let host = Some(facts("hmi", machine));
            service.enroll_with(EnrollRequest { token, csr: csr(), host }).await
        });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|it| it.is_ok()).count(), 3);
    assert_eq!(running.zone.asset_count(), 3);
    assert!(results.into_iter().filter_map(Result::err).all(|it| Reason::of(&it) == Some(Reason::Token)));
}

#[tokio::test]
async fn bad_tokens_and_requests_change_nothing() {
    let running = start();
    let token = running.token(hosts(), 1).await;
    let host = || Some(facts("hmi", 1));
    assert_eq!(reason(running.enroll("", host()).await), Some(Reason::Token));
    assert_eq!(reason(running.enroll(&token[1..], host()).await), Some(Reason::Token));
    let unknown = TokenSecret::random().unwrap().reveal().to_string();
    assert_eq!(reason(running.enroll(&unknown, host()).await), Some(Reason::Token));
    assert_eq!(reason(running.enroll(&token, None).await), Some(Reason::Token), "a host's token");
    let request = EnrollRequest { token: token.clone(), csr: vec![1, 2, 3], host: host() };
    assert_eq!(running.service.enroll_with(request).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!((running.zone.asset_count(), running.audited()), (0, 0));

    assert!(running.enroll(&token, host()).await.is_ok(), "nothing above has spent it");
    assert_eq!(reason(running.enroll(&token, host()).await), Some(Reason::Token), "used up");

    let late = running.token(hosts(), 1).await;
    running.clock.advance(3_600_000);
    assert_eq!(reason(running.enroll(&late, host()).await), Some(Reason::Token), "expired");
}

#[tokio::test]
async fn a_retired_asset_comes_back_as_itself_and_its_old_certificate_does_not() {
    let running = start();
    let first = running.enrolled("hmi", 1).await;
    running
        .zone
        .change_asset("hmi", |record, _| {
            record.retired_ms = Some(NOW);
            record.retired_reason = "scrapped".into();
            record.sequence = 40;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(running.admitted(&peer(&first)), Err(Some(Reason::Retired)));

    let token = running.token(again("hmi"), 1).await;
    let second = running.enroll(&token, Some(facts("other-name", 2))).await.unwrap();

    assert_eq!(second.identity, first.identity);
    assert_eq!(running.admitted(&peer(&second)), Ok("hmi".to_owned()));
    assert_eq!(running.admitted(&peer(&first)), Err(Some(Reason::Revoked)));
    let asset = running.zone.asset("hmi").unwrap();
    assert_eq!((asset.retired_ms, asset.fingerprint.as_slice()), (None, [2; 32].as_slice()));
    assert_eq!(asset.sequence, 40, "reports go on above what was seen");
    assert_eq!(asset.certificates[0].revoked_reason, "replaced");
}

#[tokio::test]
async fn a_renewed_certificate_works_beside_the_old_one() {
    let running = start();
    let first = running.enrolled("hmi", 1).await;
    let second = running.renew(&peer(&first), Some(facts("hmi", 1))).await.unwrap();
    assert_eq!(second.identity, first.identity);
    assert_eq!(running.admitted(&peer(&first)), Ok("hmi".to_owned()));
    assert_eq!(running.admitted(&peer(&second)), Ok("hmi".to_owned()));
    assert_eq!(running.audited(), 2);

    // A peer whose answers are lost asks again and again; the certificate that it holds stays.
    for _ in 0..2 * MAX_CERTIFICATES {
        running.renew(&peer(&first), Some(facts("hmi", 1))).await.unwrap();
    }
    assert_eq!(running.zone.asset("hmi").unwrap().certificates.len(), MAX_CERTIFICATES);
    assert_eq!(running.admitted(&peer(&first)), Ok("hmi".to_owned()));
}

#[tokio::test]
async fn an_expired_agent_renews_within_the_grace_and_no_later() {
    let running = start();
    let first = running.enrolled("hmi", 1).await;
    running.clock.advance(LEAF_LIFE_MS + 1);
    assert_eq!(running.admitted(&peer(&first)), Err(Some(Reason::Expired)));
    let second = running.renew(&peer(&first), Some(facts("hmi", 1))).await.unwrap();
    assert_eq!(running.admitted(&peer(&second)), Ok("hmi".to_owned()));
    running.clock.advance(400 * 86_400_000);
    assert_eq!(reason(running.renew(&peer(&first), Some(facts("hmi", 1))).await), Some(Reason::Expired));
}

#[tokio::test]
async fn a_copy_of_a_host_cannot_renew_the_original_away() {
    let running = start();
    let first = running.enrolled("hmi", 1).await;
    let copied = running.renew(&peer(&first), Some(facts("hmi", 2))).await;
    assert_eq!(reason(copied), Some(Reason::Duplicate));
    let silent = running.renew(&peer(&first), None).await.unwrap_err();
    assert_eq!(silent.code(), Code::InvalidArgument);
    assert_eq!(running.zone.asset("hmi").unwrap().certificates.len(), 1);
}

#[tokio::test]
async fn nobody_renews_without_a_certificate_of_the_zone() {
    let running = start();
    for peer in [Peer::NoCertificate, Peer::Local] {
        assert_eq!(reason(running.renew(&peer, Some(facts("hmi", 1))).await), Some(Reason::NoCertificate));
    }
    let Peer::Certificate { identity, fingerprint, issuer, not_before_ms, not_after_ms } =
        peer(&running.enrolled("hmi", 1).await)
    else {
        panic!("a certificate")
    };
    let mut foreign = identity;
    foreign.zone.zone = "line-2".parse().unwrap();
    let foreign = Peer::Certificate { identity: foreign, fingerprint, issuer, not_before_ms, not_after_ms };
    assert_eq!(reason(running.renew(&foreign, Some(facts("hmi", 1))).await), Some(Reason::WrongZone));
}

#[tokio::test]
async fn an_operator_enrols_with_the_own_key_and_renews() {
    let running = start();
    let add = |_: Option<&OperatorRecord>, _: &mut Txn| {
        let record = OperatorRecord {
            name: "anna".into(),
            roles: vec!["engineer".into()],
            key_on_collector: true,
            ..OperatorRecord::default()
        };
        Ok((record, (), Vec::new()))
    };
    running.zone.change_operator("anna", Txn::admin(), add).await.unwrap();
    let token = running.token(Grant::Operator(OperatorGrant { name: "anna".into() }), 1).await;
    assert_eq!(reason(running.enroll(&token, Some(facts("hmi", 1))).await), Some(Reason::Token));

    let first = running.enroll(&token, None).await.unwrap();
    assert_eq!(first.identity, "spiffe://plant/zone/line-1/operator/anna");
    assert_eq!(first.roles, ["engineer"]);
    assert!(!running.zone.operator("anna").unwrap().key_on_collector);
    let second = running.renew(&peer(&first), None).await.unwrap();
    assert_eq!(second.roles, ["engineer"]);
    for peer in [peer(&first), peer(&second)] {
        let call = running.zone.operator_call(&peer, Call::Other, Some(crate::zone::Role::Engineer));
        assert_eq!(call.unwrap().as_str(), "anna");
    }

    // A renewal by the second one shows that it is in use, which ends the first.
    running.renew(&peer(&second), None).await.unwrap();
    assert_eq!(reason(running.renew(&peer(&first), None).await), Some(Reason::Revoked));

    // A new token replaces what the operator held elsewhere.
    let token = running.token(Grant::Operator(OperatorGrant { name: "anna".into() }), 1).await;
    running.enroll(&token, None).await.unwrap();
    assert_eq!(reason(running.renew(&peer(&second), None).await), Some(Reason::Revoked));
}
