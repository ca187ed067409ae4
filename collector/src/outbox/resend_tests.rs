//! A code from the site against a real outbox: what leaves again, what does not, and who may type it.

use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::bundle::resend::{Code, NotHere};
use holdpoint_common::bundle::{Epoch, KeyId, Stream};
use holdpoint_common::proto::store::AuditEntry;
use holdpoint_common::proto::v1::ResendOutboxRequest;
use holdpoint_common::proto::v1::admin_server::Admin;
use prost::Message;
use tonic::Code as Kind;

use super::office::Office;
use super::office_tests::{Sender, full};
use super::resend::NotResent;
use super::run::Running;
use crate::admin::AdminService;
use crate::server::Peer;
use crate::zone::world::{World, from};

fn place(sender: &mut Sender) -> (Stream, Epoch, u64) {
    sender.ask(|office: &mut Office, _| {
        let show = office.show();
        (office.stream().clone(), show.epoch, show.head)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_very_same_bundles_leave_again_as_long_as_they_are_kept() {
    let mut sender = Sender::of(World::new(), full(), vec!["relay"], 4);
    for _ in 0..3 {
        sender.interval();
    }
    let first = sender.taken();
    let (stream, epoch, head) = place(&mut sender);
    assert!(head > 3, "{head}");
    let code = |from, to| Code::of(&stream, &epoch, from, to).unwrap();
    let resent = sender.ask(|office, _| office.resend(&code(1, head)).unwrap()).unwrap();
    assert_eq!((resent.bundles, resent.missing, resent.no_room), (head, vec![], vec![]));
    let again = sender.taken();
    assert_eq!(u64::try_from(again.len()).unwrap(), head);
    assert!(again.iter().all(|it| first.contains(it)), "byte for byte");
    assert_eq!(place(&mut sender).2, head, "and no number is given");

    let resent = sender.ask(|office, _| office.resend(&code(head, head + 2)).unwrap()).unwrap();
    assert_eq!((resent.bundles, resent.missing), (1, vec![(head + 1, head + 2)]));
    for _ in 0..12 {
        sender.interval();
        sender.taken();
    }
    let resent = sender.ask(|office, _| office.resend(&code(1, head)).unwrap()).unwrap();
    assert_eq!((resent.bundles, resent.missing), (0, vec![(1, head)]), "its cycle is long over");
    assert!(sender.taken().is_empty());

    let others = Stream { collector: KeyId::from([9; 32]), ..stream.clone() };
    let code = Code::of(&others, &epoch, 1, 1).unwrap();
    let refused = sender.ask(|office, _| office.resend(&code).unwrap()).unwrap_err();
    assert!(matches!(refused, NotResent::NotHere(NotHere::Stream)));
    let code = Code::of(&stream, &Epoch::from([9; 16]), 1, 1).unwrap();
    let refused = sender.ask(|office, _| office.resend(&code).unwrap()).unwrap_err();
    assert!(matches!(refused, NotResent::NotHere(NotHere::Epoch)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_carrier_there_is_nobody_to_hand_it_to() {
    let mut sender = Sender::of(World::new(), full(), Vec::new(), 4);
    let (stream, epoch, _) = place(&mut sender);
    let code = Code::of(&stream, &epoch, 1, 1).unwrap();
    let refused = sender.ask(|office, _| office.resend(&code).unwrap()).unwrap_err();
    assert!(matches!(refused, NotResent::NoCarrier));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_code_a_minute_is_taken_on_the_collectors_machine_and_written_down() {
    let mut sender = Sender::of(World::new(), full(), vec!["relay"], 4);
    sender.interval();
    let (stream, epoch, head) = place(&mut sender);
    let code = Code::of(&stream, &epoch, 1, head).unwrap().to_string();
    let zone = Arc::clone(&sender.world.zone);
    let (settings, sources) = sender.given_up();
    let running = Running::start(settings, sources).unwrap();
    let service = AdminService::new(Arc::clone(&zone)).with_outbox(Some(Arc::clone(running.outbox())));
    let request = |code: &str| ResendOutboxRequest { code: code.into(), person: "kim".into() };
    let off = service.resend_outbox(from(&Peer::Local, request(&code))).await.unwrap_err();
    assert!(off.message().contains("resend_codes = true"), "{off}");

    let service = service.with_resend_codes(true);
    let admin = sender.world.operator("grace", &["admin"]).await;
    let remote = service.resend_outbox(from(&admin, request(&code))).await.unwrap_err();
    assert_eq!(remote.code(), Kind::PermissionDenied, "no network carries a code");
    let wrong = code.replace(&code[..1], if code.starts_with('7') { "8" } else { "7" });
    let wrong = service.resend_outbox(from(&Peer::Local, request(&wrong))).await.unwrap_err();
    assert_eq!(wrong.code(), Kind::InvalidArgument, "and it costs nobody's minute");
    while running.outbox().show().is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let resent = service.resend_outbox(from(&Peer::Local, request(&code))).await.unwrap().into_inner();
    assert_eq!((resent.from, resent.to, resent.bundles), (1, head, head));
    let soon = service.resend_outbox(from(&Peer::Local, request(&code))).await.unwrap_err();
    assert!(soon.message().starts_with("one code a minute"), "{soon}");
    let last = zone.store().last_audit().unwrap().unwrap();
    let entry = AuditEntry::decode(last.entry.as_slice()).unwrap();
    assert_eq!((entry.action.as_str(), entry.by.as_str()), ("outbox-resent", "local"));
    assert!(entry.text.starts_with(&format!("kim typed {code}: {head} of {head}")), "{}", entry.text);
    sender.world.clock.advance(60_000);
    let others = Code::of(&stream, &Epoch::from([9; 16]), 1, 1).unwrap().to_string();
    let refused = service.resend_outbox(from(&Peer::Local, request(&others))).await.unwrap_err();
    assert!(refused.message().contains("earlier incarnation"), "{refused}");
    tokio::task::block_in_place(|| running.stop());
}
