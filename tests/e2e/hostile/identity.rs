//! Peers without an identity, with a foreign one, or with somebody else's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint_collector::pki::{Origin, Pki, Request};
use holdpoint_common::channel::{self, ChannelSettings, ConnectError};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::{Credentials, new_key};
use holdpoint_common::enrolment::EnrolError;
use holdpoint_common::proto::DESCRIPTORS;
use holdpoint_common::refusal::Reason;
use holdpoint_common::tls;
use holdpoint_common::token::Token;
use holdpoint_tests::inventory::Host;
use holdpoint_tests::peer::Peer;
use holdpoint_tests::program::{succeed, text};
use prost::Message;
use prost_types::FileDescriptorSet;
use rcgen::CertificateParams;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request as Call, Status};

use super::{Site, reason};

/// Longest wait for what should happen soon.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_reach_enrolment_and_nothing_else() {
    let site = Site::start().await;
    let known = site.enrol().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = tls::client_config(None, known.credentials.trust(), clock).unwrap();
    let address = site.zone.address.to_string();
    let stranger = channel::connect(&address, Arc::new(config), ChannelSettings::default()).await.unwrap();

    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut asked = 0;
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let (refused, advice) = reason(empty_call(stranger.clone(), &path).await);
                let due = if path.ends_with("/Enroll") { None } else { Some(Reason::NoCertificate) };
                assert_eq!(refused, due, "{path}: {advice}");
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "{asked} calls: the schemas were not read");
    let (_, advice) = reason(empty_call(stranger.clone(), "/holdpoint.v1.Admin/CreateToken").await);
    assert!(advice.contains("enrol"), "{advice}");

    foreign_certificate(&site, &known).await;
    older_tls(&site).await;
    site.serve(known, "strangers' calls").await;
    site.end().await;
}

/// Calls a method with an empty message, whatever it takes.
async fn empty_call(channel: Channel, path: &str) -> Result<(), Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|it| Status::unavailable(it.to_string()))?;
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.unary(Call::new(()), path.parse().unwrap(), codec).await.map(drop)
}

/// A certificate with a good name from an authority that the zone never saw.
async fn foreign_certificate(site: &Site, known: &Peer) {
    let dir = tempfile::tempdir().unwrap();
    let (zone, now) = (&known.credentials.identity.zone, SystemClock.now_ms());
    Pki::init(dir.path(), zone, Origin::NewRoot, now).unwrap();
    let foreign = Pki::open(dir.path(), zone, now).unwrap();
    let key = new_key().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap();
    let request = Request::read(request.der()).unwrap();
    let issued = foreign.issue(&known.credentials.identity, &request, now).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let forged = Credentials::new(issued.chain, key, known.credentials.anchors.clone()).unwrap();

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = tls::client_config(Some(&forged), forged.trust(), clock).unwrap();
    let address = site.zone.address.to_string();
    let refused = channel::connect(&address, Arc::new(config), ChannelSettings::default()).await;
    let Err(ConnectError::Refused { alert, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(alert, "UnknownCA");
}

/// A client that knows nothing newer than TLS 1.2 (RFC 5246) is told so by alert.
async fn older_tls(site: &Site) {
    let extensions: &[u8] = &[
        0, 10, 0, 6, 0, 4, 0, 29, 0, 23, // supported_groups: x25519, secp256r1
        0, 11, 0, 2, 1, 0, // ec_point_formats: uncompressed
        0, 13, 0, 6, 0, 4, 4, 3, 8, 4, // signature_algorithms
    ];
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    // No session, two suites of TLS 1.2, no compression.
    hello.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let mut message = vec![1, 0];
    message.extend(u16::try_from(hello.len()).unwrap().to_be_bytes());
    message.extend(hello);
    let mut record = vec![0x16, 3, 1];
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend(message);

    let mut tcp = TcpStream::connect(site.zone.address).await.unwrap();
    tcp.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, tcp.read_to_end(&mut answer)).await.expect("an answer").unwrap();
    // Record type alert, two bytes: fatal, protocol_version.
    assert_eq!((answer[0], &answer[5..]), (0x15, &[2, 70][..]), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_buys_what_it_says_and_no_more() {
    let site = Site::start().await;
    let data = site.zone.data();
    let host = |number| Host { number, image: 1, updated: 0 };

    let once: Token = site.zone.token(1).parse().unwrap();
    Peer::enrol(site.zone.address, &once, host(60)).await.unwrap();
    let (why, advice) = refusal(Peer::enrol(site.zone.address, &once, host(61)).await);
    assert_eq!(why, Some(Reason::Token));
    assert!(advice.contains("used up") && advice.contains("token create"), "{advice}");

    let short = succeed(
        "holdpoint-collector",
        &["token", "create", "--data", text(&data), "--uses", "1000", "--ttl", "1s"],
    );
    let short: Token = short.parse().unwrap();
    let started = Instant::now();
    let mut number = 1_000;
    let (why, advice) = loop {
        let enrolled = Peer::enrol(site.zone.address, &short, host(number)).await;
        if enrolled.is_err() {
            break refusal(enrolled);
        }
        assert!(started.elapsed() < SOON, "the token never expires");
        number += 1;
    };
    assert_eq!(why, Some(Reason::Token));
    assert!(advice.contains("expired") && advice.contains("clock"), "{advice}");

    // The pin is checked by the one who enrols, before the secret is shown.
    let other = Site::start().await;
    let foreign = Peer::enrol(site.zone.address, &other.token, host(62)).await.unwrap_err();
    assert!(matches!(&foreign, EnrolError::Connect(_)), "{foreign:?}");
    other.end().await;
    site.end().await;
}

fn refusal(enrolled: Result<Peer, EnrolError>) -> (Option<Reason>, String) {
    let Err(EnrolError::Refused(status)) = enrolled else { panic!("{enrolled:?}") };
    reason::<()>(Err(status))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_with_one_certificate_are_both_shown_and_neither_overwrites_the_other() {
    let site = Site::start().await;
    let mut original = site.agent().await;
    let wanted = original.peer.check_in(&mut original.link, &original.held, 0).await.unwrap().wanted;
    original.peer.report(&mut original.link, &wanted, &original.held, &[]).await.unwrap();
    let id = original.peer.asset();

    // A machine that nobody enrolled, with a copied disk.
    let credentials = Credentials {
        identity: original.peer.credentials.identity.clone(),
        chain: original.peer.credentials.chain.clone(),
        key: original.peer.credentials.key.clone_key(),
        anchors: original.peer.credentials.anchors.clone(),
    };
    let machine = Host { number: 90, image: 3, updated: 0 };
    let mut copy = Peer::with(machine, credentials, 7);
    let held = site.images.sections_of(&machine);
    let mut link = copy.connect(site.zone.address, &Arc::default()).await.unwrap();
    let (why, advice) = reason(copy.check_in(&mut link, &held, 0).await);
    assert_eq!(why, Some(Reason::Duplicate));
    assert!(advice.contains("asset merge") && advice.contains("asset split"), "{advice}");
    let (why, _) = reason(copy.report(&mut link, &[], &held, &[]).await);
    assert_eq!(why, Some(Reason::Duplicate));

    // A machine that is an asset of its own, and speaks as another.
    let mut thief = site.enrol().await;
    thief.credentials = copy.credentials;
    let mut link = thief.connect(site.zone.address, &Arc::default()).await.unwrap();
    let (why, advice) = reason(thief.check_in(&mut link, &held, 0).await);
    assert_eq!(why, Some(Reason::Duplicate));
    assert!(advice.contains("presents the certificate of"), "{advice}");

    let assets = site.witness.assets().await.unwrap();
    let alarms = |id: &str| assets[id].alarms.iter().map(|it| it.kind.clone()).collect::<Vec<_>>();
    assert_eq!(alarms(&id), ["duplicate-identity"]);
    let copies: Vec<_> = assets.keys().filter(|it| it.starts_with(&format!("{id}.copy-"))).collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!(alarms(copies[0]), ["duplicate-identity"]);
    assert_eq!((assets[&id].sequence, assets[&id].software_count), (1, 400), "the original's report stands");
    original.peer.check_in(&mut original.link, &original.held, 0).await.expect("the original is served");
    site.end().await;
}
