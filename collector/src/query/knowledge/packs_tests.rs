//! Packs over a real zone and store: who may do what, what is refused, and what a crash leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use data_encoding::HEXLOWER;
use holdpoint_common::bundle::SigningKey;
use holdpoint_common::identity::ZoneName;
use holdpoint_common::one_shot::{Contents, write};
use holdpoint_common::pack::{self, FORMAT, Listed, Manifest, fingerprint};
use holdpoint_common::proto::store::pack_page::State;
use holdpoint_common::proto::store::{AssetRecord, AuditEntry, OperatorRecord};
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::proto::v1::import_result::Result as Outcome;
use holdpoint_common::proto::v1::knowledge_server::Knowledge;
use holdpoint_common::refusal::Reason;
use prost::Message;
use tonic::{Code, Extensions, Status, async_trait};

use crate::assess::RowSource;
use crate::intake::carried::{Carried, Kept, NotKept};
use crate::knowledge::AllowedAges;
use crate::packs::{MAX_WAITING, Quarantine, quarantine};
use crate::server::Peer;
use crate::store::Txn;
use crate::zone::world::{World, from};

use super::{Caller, Deed, KnowledgeService, Needs, Office, ZoneOffice, open};

const CURL: &[u8] = b"id,product,min_version,scheme\nR-CURL,curl,8.0,deb\n";
const VIM: &[u8] = b"id,product,min_version,scheme\nR-VIM,vim,9.1,deb\n";
const BASH: &[u8] = b"id,product,min_version,scheme\nR-BASH,bash,5.2,deb\n";
const MIXER: &[u8] = include_bytes!("../../../fixtures/csaf/exc-26-001.json");
const UPDATE: &[u8] = include_bytes!("../../../fixtures/csaf/exc-26-001-update.json");

/// Whoever compiles packs.
struct Desk(SigningKey);

impl Desk {
    fn new() -> Self {
        Self(pack::signing_key(pack::generate().unwrap().private_pem.as_bytes()).unwrap())
    }

    fn pack_for(&self, zones: &[&str], serial: u64, files: &[(&str, &str, &[u8])]) -> Vec<u8> {
        let manifest = Manifest {
            format: FORMAT,
            title: format!("number {serial}"),
            serial,
            made_ms: 1,
            zones: zones.iter().map(|&it| it.to_owned()).collect(),
            members: Vec::new(),
        };
        let members: Vec<_> =
            files.iter().map(|(name, kind, bytes)| (Listed::of(name, kind, bytes), bytes.to_vec())).collect();
        pack::make(manifest, &members, &self.0).unwrap()
    }

    fn pack(&self, serial: u64, files: &[(&str, &str, &[u8])]) -> Vec<u8> {
        self.pack_for(&[], serial, files)
    }

    fn id(&self, serial: u64) -> String {
        pack::id(&self.0.public().id(), serial)
    }
}

/// A zone with a desk that it trusts and three persons.
struct Site {
    world: World,
    service: KnowledgeService<ZoneOffice>,
    desk: Desk,
    /// Brings.
    kim: Peer,
    /// Releases.
    ada: Peer,
    admin: Peer,
}

impl Site {
    async fn new() -> Self {
        let world = World::new();
        let service = open(&world.zone, AllowedAges::default()).unwrap();
        let kim = world.operator("kim", &["engineer"]).await;
        let ada = world.operator("ada", &["engineer"]).await;
        let admin = world.operator("grace", &["admin"]).await;
        let site = Self { world, service, desk: Desk::new(), kim, ada, admin };
        site.trust("desk", &site.desk).await.unwrap();
        site
    }

    async fn restarted(self) -> Self {
        let Self { world, service, desk, kim, ada, admin } = self;
        drop(service);
        let world = world.restarted().await;
        let service = open(&world.zone, AllowedAges::default()).unwrap();
        service.finish_packs().await;
        Self { world, service, desk, kim, ada, admin }
    }

    async fn trust(&self, name: &str, desk: &Desk) -> Result<pb::PackSigner, Status> {
        let public = desk.0.public();
        let request = pb::TrustPackSignerRequest {
            public_pem: pack::public_pem(&public),
            name: name.into(),
            typed_fingerprint: fingerprint(&public),
        };
        self.service.trust_pack_signer(from(&self.admin, request)).await.map(tonic::Response::into_inner)
    }

    async fn bring(&self, bytes: &[u8]) -> Result<pb::Pack, String> {
        let mut call = Extensions::new();
        call.insert(self.kim.clone());
        let caller = self.service.office.introduce(&call, Needs::Engineer).unwrap();
        let brought = self.service.bring_pack(caller, "x.pack".into(), Ok(bytes.to_vec())).await.unwrap();
        brought.quarantined.ok_or(brought.refused)
    }

    async fn release(&self, peer: &Peer, pack: &str) -> Result<pb::Pack, Status> {
        let request = pb::ReleasePackRequest { pack: pack.into() };
        self.service.release_pack(from(peer, request)).await.map(tonic::Response::into_inner)
    }

    async fn reject(&self, pack: &str) -> Result<pb::Pack, Status> {
        let request = pb::RejectPackRequest { pack: pack.into(), reason: "not now".into() };
        self.service.reject_pack(from(&self.ada, request)).await.map(tonic::Response::into_inner)
    }

    async fn list(&self, pack: Option<&str>) -> Result<Vec<pb::Pack>, Status> {
        let request = pb::ListPacksRequest { pack: pack.map(Into::into) };
        Ok(self.service.list_packs(from(&self.ada, request)).await?.into_inner().packs)
    }

    async fn listed(&self, pack: &str) -> pb::Pack {
        self.list(Some(pack)).await.unwrap().pop().unwrap()
    }

    fn known(&self) -> BTreeSet<String> {
        self.service.library.current().requirements.iter().map(|it| it.requirement.id.clone()).collect()
    }

    /// Action and text of every entry of the audit log that is about packs or imports.
    fn entries(&self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        crate::audit::each(self.world.zone.store(), |it: AuditEntry| {
            if it.action.starts_with("pack-") || it.action.starts_with("import") {
                found.push((it.action, it.subject, it.text));
            }
        })
        .unwrap();
        found
    }

    fn actions(&self) -> Vec<String> {
        self.entries().into_iter().map(|it| it.0).collect()
    }
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|&it| it.to_owned()).collect()
}

fn three() -> [(&'static str, &'static str, &'static [u8]); 3] {
    [("curl.csv", "requirements", CURL), ("vim.csv", "requirements", VIM), ("bash.csv", "requirements", BASH)]
}

#[tokio::test]
async fn a_pack_counts_when_another_person_has_released_it_and_not_before() {
    let site = Site::new().await;
    let bytes = site.desk.pack_for(&["plant/line-1"], 7, &three());
    let pack = site.bring(&bytes).await.unwrap();
    assert_eq!(
        (pack.id.as_str(), pack.state.as_str(), pack.known),
        (site.desk.id(7).as_str(), "waiting", false)
    );
    assert_eq!((pack.signer.as_str(), pack.files, pack.brought_person.as_str()), ("desk", 3, "kim"));
    let items: Vec<_> = pack.members.iter().map(|it| (it.name.as_str(), it.items, it.unchanged)).collect();
    assert_eq!(items, [("curl.csv", 1, false), ("vim.csv", 1, false), ("bash.csv", 1, false)]);
    assert!(site.known().is_empty(), "it waits");

    let site = site.restarted().await;
    let id = site.desk.id(7);
    assert_eq!(site.listed(&id).await.members.len(), 3, "it still waits, and says what it would do");
    assert!(site.known().is_empty());
    assert!(site.bring(&bytes).await.unwrap().known, "the very same pack again");

    let refused = site.release(&site.kim, &id).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(
        refused.message(),
        "the pack is not released: `kim` brought it, so another person releases it"
    );
    let viewer = site.world.operator("vi", &["viewer"]).await;
    assert_eq!(Reason::of(&site.release(&viewer, &id).await.unwrap_err()), Some(Reason::Role));
    assert!(site.known().is_empty());

    let released = site.release(&site.ada, &id.to_uppercase()).await.unwrap();
    assert_eq!((released.state.as_str(), released.decided_person.as_str()), ("released", "ada"));
    assert_eq!(site.known(), ids(&["R-CURL", "R-VIM", "R-BASH"]));
    assert_eq!(
        site.actions(),
        [
            "pack-signer-trusted",
            "pack-quarantined",
            "pack-released",
            "imported",
            "imported",
            "imported",
            "pack-taken"
        ]
    );
    let (_, subject, text) = &site.entries()[2];
    let digest = HEXLOWER.encode(&released.digest);
    assert_eq!(subject, &format!("{id} {digest}"));
    for part in ["desk ", "brought by kim (spiffe://plant/", "released by ada", "3 files"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(site.world.zone.audit().verify().unwrap().faults.is_empty());

    let site = site.restarted().await;
    assert_eq!(site.known(), ids(&["R-CURL", "R-VIM", "R-BASH"]));
    assert!(site.bring(&bytes).await.unwrap().known, "released is known too");
    assert_eq!(site.listed(&id).await.state, "released");
    let again = site.release(&site.admin, &id).await.unwrap_err();
    assert!(again.message().contains("released already"), "{again}");
}

#[tokio::test]
async fn two_names_of_one_person_are_one_person() {
    let site = Site::new().await;
    site.bring(&site.desk.pack(1, &three())).await.unwrap();
    let id = site.desk.id(1);
    let second = site.world.operator("kim-2", &["engineer"]).await;
    let change = async |name: &str, change: fn(&mut OperatorRecord)| {
        let made = |before: Option<&OperatorRecord>, _: &mut Txn| {
            let mut record = before.cloned().unwrap();
            change(&mut record);
            Ok((record, (), Vec::new()))
        };
        site.world.zone.change_operator(name, Txn::admin(), made).await.unwrap();
    };
    change("kim-2", |it| it.person = "kim".into()).await;
    let refused = site.release(&second, &id).await.unwrap_err();
    assert!(refused.message().contains("`kim` brought it"), "{refused}");
    change("ada", |it| it.key_on_collector = true).await;
    let refused = site.release(&site.ada, &id).await.unwrap_err();
    assert!(refused.message().contains("made by the collector"), "{refused}");
    let refused = site.release(&Peer::Local, &id).await.unwrap_err();
    assert!(refused.message().contains("is no person"), "{refused}");
    assert!(site.known().is_empty());
    assert_eq!(site.release(&site.admin, &id).await.unwrap().decided_person, "grace", "an admin may");
}

#[tokio::test]
async fn a_changed_pack_and_one_of_strangers_or_for_others_is_refused() {
    let site = Site::new().await;
    let bytes = site.desk.pack(1, &three());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        site.bring(&changed).await.unwrap_err();
    }
    for cut in [0, 1, 8, 41, 105, 109, bytes.len() / 2, bytes.len() - 1] {
        site.bring(&bytes[..cut]).await.unwrap_err();
    }
    site.bring(&[&bytes[..], b"\n"].concat()).await.unwrap_err();

    let stranger = Desk::new();
    let refused = site.bring(&stranger.pack(1, &three())).await.unwrap_err();
    assert!(
        refused.contains("whom this zone does not trust") && refused.contains("holdpoint pack trust"),
        "{refused}"
    );
    let shown: String = fingerprint(&stranger.0.public()).chars().take(24).collect();
    assert!(refused.contains(&shown), "{refused}");
    let refused = site.bring(&site.desk.pack_for(&["plant/line-2"], 1, &three())).await.unwrap_err();
    assert_eq!(refused, "it is for plant/line-2, and this is plant/line-1");
    assert!(site.list(None).await.unwrap().is_empty());
    assert_eq!(site.actions(), ["pack-signer-trusted"], "nothing of it was kept");
    let too_large = site.service.bring_pack(
        Caller { by: "b".into(), person: "kim".into(), key_made_here: false },
        "x".into(),
        Err(pack::InvalidPack::TooLarge),
    );
    assert_eq!(too_large.await.unwrap().refused, "the pack is larger than 128 MiB");
}

#[tokio::test]
async fn a_pack_with_one_bad_file_is_refused_whole() {
    let site = Site::new().await;
    let good = ("curl.csv", "requirements", CURL);
    for (bad, why) in [
        (("a.json", "csaf", &b"{\"document\": "[..]), "`a.json`: it is cut off"),
        (("a.txt", "csaf", b"hello"), "`a.txt`: it is no kind of file"),
        (("vim.csv", "kev", VIM), "`vim.csv` is listed as kev and is requirements"),
    ] {
        let refused = site.bring(&site.desk.pack(1, &[good, bad])).await.unwrap_err();
        assert!(refused.starts_with(why), "{refused}");
    }
    let mut agent = site.world.agent("hmi").await;
    agent.has_software(Vec::new());
    let host = pb::HostFacts { fingerprint: vec![5; 32], ..pb::HostFacts::default() };
    let sections = agent.sections.keys().map(|&it| agent.full(it)).collect();
    let scan = write(Contents { host, host_time_ms: 1, sections }, None).unwrap();
    let refused = site.bring(&site.desk.pack(1, &[good, ("hmi.oneshot", "csaf", &scan)])).await.unwrap_err();
    assert!(refused.contains("is a scan of a host"), "{refused}");
    assert!(site.list(None).await.unwrap().is_empty() && site.known().is_empty());
}

#[tokio::test]
async fn an_older_pack_never_comes_after_a_newer_one() {
    let site = Site::new().await;
    let old = site.desk.pack(3, &three()[..1]);
    site.bring(&old).await.unwrap();
    site.bring(&site.desk.pack(5, &three()[1..2])).await.unwrap();
    let refused = site.bring(&site.desk.pack(5, &three()[2..])).await.unwrap_err();
    assert!(refused.starts_with("its signer gave the serial 5 to another pack too"), "{refused}");
    site.release(&site.ada, &site.desk.id(5)).await.unwrap();

    let overtaken = site.listed(&site.desk.id(3)).await;
    assert!(overtaken.hindrance.unwrap().contains("5 of the same signer was released already"));
    let refused = site.release(&site.ada, &site.desk.id(3)).await.unwrap_err();
    assert!(refused.message().contains("it is out of date"), "{refused}");
    assert!(site.bring(&old).await.unwrap().known);
    site.reject(&site.desk.id(3)).await.unwrap();
    assert_eq!(site.bring(&old).await.unwrap_err(), "it was rejected by ada: not now");
    for serial in [1, 4, 5] {
        let refused = site.bring(&site.desk.pack(serial, &three())).await.unwrap_err();
        let said = format!("its serial is {serial}, and 5 of the same signer was released already");
        assert!(refused.starts_with(&said), "{refused}");
    }
    assert_eq!(site.known(), ids(&["R-VIM"]));

    // Another signer counts by itself; trust that was taken and given again forgets no serial.
    let other = Desk::new();
    site.trust("bench", &other).await.unwrap();
    site.bring(&other.pack(1, &three()[..1])).await.unwrap();
    let request = pb::DistrustPackSignerRequest { signer: "desk".into(), reason: "a new key".into() };
    site.service.distrust_pack_signer(from(&site.admin, request)).await.unwrap();
    let refused = site.bring(&site.desk.pack(6, &three())).await.unwrap_err();
    assert_eq!(refused, "its signer `desk` is not trusted any more");
    assert_eq!(site.trust("desk", &site.desk).await.unwrap().released_serial, 5);
    assert!(site.bring(&site.desk.pack(4, &three())).await.unwrap_err().contains("out of date"));
    site.bring(&site.desk.pack(6, &three())).await.unwrap();
}

#[tokio::test]
async fn a_signer_is_trusted_by_an_admin_who_typed_its_fingerprint() {
    let site = Site::new().await;
    let desk = Desk::new();
    let public = desk.0.public();
    let request = |typed: &str| pb::TrustPackSignerRequest {
        public_pem: pack::public_pem(&public),
        name: "bench".into(),
        typed_fingerprint: typed.into(),
    };
    let own = fingerprint(&public);
    let refused = site.service.trust_pack_signer(from(&site.ada, request(&own))).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::Role));
    let others = fingerprint(&site.desk.0.public());
    for typed in ["", &own[..10], &others] {
        let refused = site.service.trust_pack_signer(from(&site.admin, request(typed))).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{typed}");
    }
    let taken = site.trust("desk", &desk).await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
    site.service.trust_pack_signer(from(&site.admin, request(&own))).await.unwrap();

    // What waits of somebody who is trusted no more stays where it is.
    site.bring(&desk.pack(1, &three())).await.unwrap();
    let key = HEXLOWER.encode(desk.0.public().id().as_bytes());
    let distrust = |signer: &str, reason: &str| {
        let request = pb::DistrustPackSignerRequest { signer: signer.into(), reason: reason.into() };
        site.service.distrust_pack_signer(from(&site.admin, request))
    };
    assert_eq!(distrust("nobody", "r").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(distrust(&key[..12], " ").await.unwrap_err().code(), Code::InvalidArgument);
    distrust(&key[..12], "it was stolen").await.unwrap();
    let refused = site.release(&site.ada, &desk.id(1)).await.unwrap_err();
    assert!(refused.message().ends_with("its signer `bench` is not trusted any more"), "{refused}");
    let listed =
        site.service.list_pack_signers(from(&site.kim, pb::ListPackSignersRequest {})).await.unwrap();
    let trusted = |it: &pb::PackSigner| (it.name.clone(), it.distrusted_ms.is_none());
    let listed: BTreeSet<_> = listed.into_inner().signers.iter().map(trusted).collect();
    assert_eq!(listed, [("desk".to_owned(), true), ("bench".to_owned(), false)].into());
    let entries = site.entries();
    let (action, subject, text) = &entries[1];
    assert_eq!((action.as_str(), text), ("pack-signer-trusted", &format!("fingerprint {own}")));
    assert!(subject.starts_with("bench "));
}

#[tokio::test]
async fn the_quarantine_is_bounded() {
    let site = Site::new().await;
    let most = u64::try_from(MAX_WAITING).unwrap();
    for serial in 1..=most {
        site.bring(&site.desk.pack(serial, &three()[..1])).await.unwrap();
    }
    let refused = site.bring(&site.desk.pack(most + 1, &three())).await.unwrap_err();
    assert!(refused.starts_with("16 packs wait already"), "{refused}");
    let rejected = site.reject(&site.desk.id(2)).await.unwrap();
    assert_eq!((rejected.state.as_str(), rejected.reason.as_str()), ("rejected", "not now"));
    site.bring(&site.desk.pack(most + 1, &three())).await.unwrap();
    assert!(site.reject(&site.desk.id(2)).await.is_err(), "once");
    let store = site.world.zone.store();
    let contents = store.pages(crate::store::Volume::Packs, b"h").unwrap().len();
    assert_eq!(contents, MAX_WAITING, "what was rejected has left its page alone");
}

#[tokio::test]
async fn what_is_older_than_what_is_held_is_left_out_and_said() {
    let site = Site::new().await;
    let files = [("exc.json", "csaf", MIXER), ("curl.csv", "requirements", CURL)];
    let fresh = site.bring(&site.desk.pack(1, &files)).await.unwrap();
    assert_eq!(fresh.members[0].left_out, None);
    let taken = site.service.take_file("kim".into(), "exc-a.json".into(), UPDATE.to_vec()).await.unwrap();
    assert!(matches!(taken.result, Some(Outcome::Taken(_))));
    let now = site.listed(&site.desk.id(1)).await;
    assert!(now.members[0].left_out.as_deref().unwrap().ends_with("is older"), "{now:?}");
    let released = site.release(&site.ada, &site.desk.id(1)).await.unwrap();
    assert_eq!(released.members[0].left_out, now.members[0].left_out, "and who releases it is told");
    assert_eq!(site.known(), ids(&["R-CURL"]));
    assert!(site.actions().contains(&"import-left-out".to_owned()));
    let files = [("exc.json", "csaf", MIXER), ("exc-a.json", "csaf", UPDATE)];
    let revised = Site::new().await.bring(&site.desk.pack(1, &files)).await;
    assert!(revised.is_err(), "another zone trusts another desk");
    let other = Site::new().await;
    let pack = other.bring(&other.desk.pack(1, &files)).await.unwrap();
    assert!(!pack.members[1].changes.is_empty(), "each file is read as if those before it were taken");
}

/// An office whose store refuses from some change on, as a full disk does.
struct Faulty {
    inner: Arc<ZoneOffice>,
    left: AtomicUsize,
}

impl Faulty {
    fn works(&self) -> Result<(), Status> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1));
        left.map(drop).map_err(|_| Status::resource_exhausted("the disk is full"))
    }
}

#[async_trait]
impl Office for Faulty {
    fn admit(&self, call: &Extensions, needs: Needs) -> Result<String, Status> {
        self.inner.admit(call, needs)
    }

    fn introduce(&self, call: &Extensions, needs: Needs) -> Result<Caller, Status> {
        self.inner.introduce(call, needs)
    }

    fn zone(&self) -> &ZoneName {
        self.inner.zone()
    }

    fn quarantine(&self) -> &Arc<Quarantine> {
        self.inner.quarantine()
    }

    fn now_ms(&self) -> i64 {
        self.inner.now_ms()
    }

    fn enrolled(&self, asset: &str) -> Option<(Option<String>, Option<u32>)> {
        self.inner.enrolled(asset)
    }

    fn seen_ms(&self, asset: &str) -> Option<i64> {
        self.inner.seen_ms(asset)
    }

    fn assets(&self) -> Vec<Arc<AssetRecord>> {
        self.inner.assets()
    }

    fn rows(&self) -> Arc<dyn RowSource> {
        self.inner.rows()
    }

    fn asset_id(&self, id_or_name: &str) -> Result<String, Status> {
        self.inner.asset_id(id_or_name)
    }

    async fn bring(&self, carried: Carried) -> Result<Kept, NotKept> {
        self.inner.bring(carried).await
    }

    async fn commit(&self, txn: Txn, deed: Deed) -> Result<(), Status> {
        self.works()?;
        self.inner.commit(txn, deed).await
    }

    async fn keep(&self, txn: Txn) -> Result<(), Status> {
        self.works()?;
        self.inner.keep(txn).await
    }
}

impl Site {
    /// The same service over a store that takes so many more changes.
    fn failing_after(&self, changes: usize) -> KnowledgeService<Faulty> {
        let KnowledgeService { office, library, board, hardening, packs_only } = &self.service;
        let office = Faulty { inner: Arc::clone(office), left: AtomicUsize::new(changes) };
        KnowledgeService {
            office: Arc::new(office),
            library: Arc::clone(library),
            board: Arc::clone(board),
            hardening: Arc::clone(hardening),
            packs_only: *packs_only,
        }
    }
}

const ALL: [&str; 3] = ["R-BASH", "R-CURL", "R-VIM"];

/// A release is five changes: its beginning, three files, its end.
#[tokio::test]
async fn a_crash_at_any_place_of_a_release_is_finished_at_the_next_start() {
    for changes in 0..=5 {
        let site = Site::new().await;
        site.bring(&site.desk.pack(1, &three())).await.unwrap();
        let id = site.desk.id(1);
        let request = pb::ReleasePackRequest { pack: id.clone() };
        let released = site.failing_after(changes).release_pack(from(&site.ada, request)).await;
        assert_eq!(released.is_ok(), changes == 5, "{changes}");
        assert_eq!(site.known().len(), changes.saturating_sub(1).min(3), "memory is as far as the disk");

        let site = site.restarted().await;
        if changes == 0 {
            assert!(site.known().is_empty() && site.listed(&id).await.state == "waiting");
            site.release(&site.ada, &id).await.unwrap();
        }
        assert_eq!(
            (site.listed(&id).await.state.as_str(), site.known()),
            ("released", ids(&ALL)),
            "{changes}"
        );
        let actions = site.actions();
        let count = |action: &str| actions.iter().filter(|it| *it == action).count();
        assert_eq!((count("pack-released"), count("imported"), count("pack-taken")), (1, 3, 1), "{changes}");
        assert!(site.world.zone.audit().verify().unwrap().faults.is_empty());
    }
}

#[tokio::test]
async fn a_release_that_stopped_halfway_goes_on_when_it_is_asked_for_again() {
    let site = Site::new().await;
    site.bring(&site.desk.pack(1, &three())).await.unwrap();
    let id = site.desk.id(1);
    let request = pb::ReleasePackRequest { pack: id.clone() };
    site.failing_after(2).release_pack(from(&site.ada, request)).await.unwrap_err();
    assert_eq!((site.listed(&id).await.state.as_str(), site.known()), ("releasing", ids(&["R-CURL"])));
    assert!(site.reject(&id).await.unwrap_err().message().contains("released already"));
    assert!(site.release(&site.kim, &id).await.is_err(), "still not by who brought it");
    let older = site.bring(&site.desk.pack(1, &three()[..1])).await.unwrap_err();
    assert!(older.contains("out of date"), "the serial counts from the beginning on: {older}");
    site.release(&site.admin, &id).await.unwrap();
    assert_eq!(site.known(), ids(&ALL));
    assert_eq!(site.listed(&id).await.decided_person, "ada", "who released it, not who went on");
}

#[tokio::test]
async fn what_arrived_in_part_is_swept_away() {
    for changes in 0..=1 {
        let site = Site::new().await;
        let bytes = site.desk.pack(1, &three());
        let caller = Caller { by: "b".into(), person: "kim".into(), key_made_here: false };
        let failing = site.failing_after(changes);
        failing.bring_pack(caller, "x".into(), Ok(bytes.clone())).await.unwrap_err();
        assert!(site.list(None).await.unwrap().is_empty(), "it never was here");
        let site = site.restarted().await;
        let pages = site.world.zone.store().pages(crate::store::Volume::Packs, b"").unwrap();
        assert_eq!(pages.len(), 1, "the signer");
        site.bring(&bytes).await.unwrap();
    }
    // Members without a page that waits, as a stop between two writes leaves them.
    let site = Site::new().await;
    site.bring(&site.desk.pack(1, &three())).await.unwrap();
    let mut record = site.service.office.quarantine().packs().unwrap().pop().unwrap();
    record.page.set_state(State::Arriving);
    site.service.office.keep(quarantine::put_pack(Txn::admin(), &record)).await.unwrap();
    assert!(site.list(Some(&site.desk.id(1))).await.is_err(), "nobody sees it");
    let site = site.restarted().await;
    assert_eq!(site.world.zone.store().pages(crate::store::Volume::Packs, b"").unwrap().len(), 1);
}

#[tokio::test]
async fn where_only_packs_come_in_plain_files_do_not_and_scans_do() {
    let site = Site::new().await;
    let service = open(&site.world.zone, AllowedAges::default()).unwrap().by_packs_only(true);
    let take = async |bytes: &[u8], as_asset: Option<&str>| {
        let as_asset = as_asset.map(str::to_owned);
        match service.take_any("kim".into(), "f".into(), bytes.to_vec(), as_asset).await.unwrap().result {
            Some(Outcome::Taken(taken)) => Ok(taken.kind),
            Some(Outcome::Refused(refused)) => Err(refused.reason),
            None => panic!("an answer"),
        }
    };
    for bytes in [CURL, MIXER, b"nonsense"] {
        let refused = take(bytes, None).await.unwrap_err();
        assert!(refused.contains("signed packs only") && refused.contains("import --pack"), "{refused}");
    }
    let mut agent = site.world.agent("hmi").await;
    agent.has_software(Vec::new());
    let host = pb::HostFacts { fingerprint: vec![5; 32], ..pb::HostFacts::default() };
    let sections = agent.sections.keys().map(|&it| agent.full(it)).collect();
    let scan = write(Contents { host, host_time_ms: 1, sections }, None).unwrap();
    assert_eq!(take(&scan, Some("xp")).await.unwrap(), "one-shot");
}

#[tokio::test]
async fn entries_of_the_log_are_messages_that_anybody_reads() {
    let site = Site::new().await;
    site.bring(&site.desk.pack(1, &three())).await.unwrap();
    site.reject(&site.desk.id(1)).await.unwrap();
    let last = site.world.zone.store().last_audit().unwrap().unwrap();
    let entry = AuditEntry::decode(last.entry.as_slice()).unwrap();
    assert_eq!(entry.action, "pack-rejected");
    assert!(
        entry.text.contains("brought by kim") && entry.text.ends_with("rejected by ada: not now"),
        "{entry:?}"
    );
}
