//! Reports that break a limit or their own word.

use holdpoint_common::proto::v1::report_part::Part;
use holdpoint_common::proto::v1::{
    Outcome, ReportAck, ReportPart, SectionBody, SectionKind, SectionPart, SectionStatus, SoftwareRow,
};
use holdpoint_common::section::{
    Digest, MAX_LISTING, MAX_PACKED, MAX_REASON, MAX_ROWS, Rows, Section, pack_delta,
};
use holdpoint_tests::peer::{all_stored, part};
use prost::Message;
use tonic::{Code, Status};

use super::{Agent, Site};

/// What a bomb expands to, bytes.
const BOMB: u64 = 256 * 1024 * 1024;
/// A level that is fast enough for tests.
const LEVEL: i32 = 3;

impl Agent {
    /// Sends one section and tells its outcome.
    async fn send(&mut self, section: SectionPart) -> (Outcome, String) {
        let ack = self.peer.send(&mut self.link, vec![section]).await.unwrap();
        outcome(&ack, 0)
    }
}

fn outcome(ack: &ReportAck, at: usize) -> (Outcome, String) {
    let it = &ack.outcomes[at];
    (it.outcome(), it.reason.clone())
}

fn section(kind: SectionKind, rows: Vec<Vec<u8>>) -> Section {
    Section::new(kind, SectionStatus::Complete, Vec::new(), Rows::from_encoded(rows))
}

fn full(section: &Section) -> SectionPart {
    part(section, SectionBody::Full, section.rows.pack().unwrap()).unwrap()
}

fn software(name: &str) -> SoftwareRow {
    SoftwareRow { source: "dpkg".into(), name: name.into(), ..SoftwareRow::default() }
}

fn zeros() -> Vec<u8> {
    zstd::encode_all(std::io::Read::take(std::io::repeat(0), BOMB), LEVEL).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_section_over_a_limit_is_refused_with_its_reason_and_the_others_are_taken() {
    let site = Site::start().await;
    let good = section(SectionKind::Software, vec![software("good").encode_to_vec()]);

    let mut agent = site.agent().await;
    let many = (0..=u32::try_from(MAX_ROWS).unwrap()).map(|it| it.to_be_bytes().to_vec()).collect();
    let many = full(&section(SectionKind::Hardening, many));
    let ack = agent.peer.send(&mut agent.link, vec![many, full(&good)]).await.unwrap();
    let (refused, why) = outcome(&ack, 0);
    assert_eq!(refused, Outcome::Refused);
    assert!(why.contains("65536 rows"), "{why}");
    assert_eq!(outcome(&ack, 1).0, Outcome::Stored);

    let payload = vec![0; MAX_PACKED + 1];
    let (head, tail) = payload.split_at(MAX_PACKED / 2);
    let large = SectionPart {
        payload_bytes: u32::try_from(payload.len()).unwrap(),
        ..part(&good, SectionBody::Full, head.to_vec()).unwrap()
    };
    let parts = large_report(&mut agent, large, tail);
    let ack = agent.link.report(tokio_stream::iter(parts)).await.unwrap().into_inner();
    let (refused, why) = outcome(&ack, 0);
    assert_eq!(refused, Outcome::Refused);
    assert!(why.contains("4 MiB"), "{why}");

    let mut agent = site.agent().await;
    let excuses = SectionPart {
        status: SectionStatus::Partial.into(),
        reasons: vec!["x".repeat(MAX_REASON + 1)],
        ..full(&good)
    };
    let (refused, why) = agent.send(excuses).await;
    assert_eq!(refused, Outcome::Refused);
    assert!(why.contains("reasons"), "{why}");

    // Twenty sections, most of a kind that only a newer agent could know.
    let twenty: Vec<_> =
        (0..20).map(|it| SectionPart { kind: if it == 0 { 3 } else { 100 + it }, ..full(&good) }).collect();
    let ack = agent.peer.send(&mut agent.link, twenty).await.unwrap();
    assert_eq!(outcome(&ack, 0).0, Outcome::Stored, "{ack:?}");
    for at in 1..20 {
        let (refused, why) = outcome(&ack, at);
        assert_eq!(refused, Outcome::Refused);
        assert!(why.contains("not know"), "{why}");
    }
    let twice = agent.peer.send(&mut agent.link, vec![full(&good), full(&good)]).await.unwrap_err();
    assert_eq!(twice.code(), Code::InvalidArgument);
    assert!(twice.message().contains("at most once"), "{twice:?}");

    let other = site.enrol().await;
    site.serve(other, "sections over their limits").await;
    site.end().await;
}

/// A header, a section and the rest of its payload.
fn large_report(agent: &mut Agent, section: SectionPart, rest: &[u8]) -> Vec<ReportPart> {
    agent.peer.sequence += 1;
    [Part::Header(agent.peer.header()), Part::Section(section), Part::Payload(rest.to_vec())]
        .map(|it| ReportPart { part: Some(it) })
        .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_does_not_go_off() {
    let site = Site::start().await;
    let mut agent = site.agent().await;
    let good = section(SectionKind::Software, vec![software("good").encode_to_vec()]);
    assert_eq!(agent.send(full(&good)).await.0, Outcome::Stored);
    let bomb = zeros();
    assert!(bomb.len() < MAX_LISTING / 100);

    let claimed = section(SectionKind::Software, vec![software("other").encode_to_vec()]);
    let (refused, why) = agent.send(part(&claimed, SectionBody::Full, bomb.clone()).unwrap()).await;
    assert_eq!(refused, Outcome::Refused);
    assert!(why.contains("expands"), "{why}");
    let delta = part(&claimed, SectionBody::Delta, bomb).unwrap();
    let delta = SectionPart { base: good.digest.to_vec(), ..delta };
    assert_eq!(agent.send(delta).await.0, Outcome::Refused);

    let other = site.enrol().await;
    site.serve(other, "bombs").await;
    let shown = site.witness.asset(&agent.peer.asset()).await.unwrap();
    assert_eq!(shown.sections[0].rows, good.rows.as_slice(), "what was complete before is still shown");
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delta_that_leads_elsewhere_is_answered_by_asking_for_the_whole() {
    let site = Site::start().await;
    let mut agent = site.agent().await;
    let old = section(SectionKind::Software, vec![software("a").encode_to_vec()]);
    let new =
        section(SectionKind::Software, vec![software("a").encode_to_vec(), software("b").encode_to_vec()]);
    let other = section(SectionKind::Software, vec![software("c").encode_to_vec()]);
    assert_eq!(agent.send(full(&old)).await.0, Outcome::Stored);

    let wrong = pack_delta(&other.rows.delta_from(&old.rows)).unwrap();
    let wrong = SectionPart { base: old.digest.to_vec(), ..part(&new, SectionBody::Delta, wrong).unwrap() };
    let ack = agent.peer.send(&mut agent.link, vec![wrong]).await.unwrap();
    let (again, why) = outcome(&ack, 0);
    assert_eq!(again, Outcome::WantFull, "{why}");
    let wanted = &ack.directives.as_ref().unwrap().wanted;
    assert_eq!((wanted[0].kind(), wanted[0].base.as_slice()), (SectionKind::Software, &[][..]), "{wanted:?}");

    // Nobody may start from rows that it has not reported itself.
    let stolen = pack_delta(&new.rows.delta_from(&old.rows)).unwrap();
    let unknown = Digest::of(b"rows of somebody else").to_vec();
    let stolen = SectionPart { base: unknown, ..part(&new, SectionBody::Delta, stolen).unwrap() };
    assert_eq!(agent.send(stolen).await.0, Outcome::WantFull);
    assert_eq!(agent.send(full(&new)).await.0, Outcome::Stored);
    // Whole rows under a digest that is not theirs cannot be mended.
    let liar = SectionPart { payload_bytes: 0, payload: Vec::new(), ..full(&other) };
    let payload = new.rows.pack().unwrap();
    let liar = SectionPart { payload_bytes: u32::try_from(payload.len()).unwrap(), payload, ..liar };
    assert_eq!(agent.send(liar).await.0, Outcome::Refused);
    let shown = site.witness.asset(&agent.peer.asset()).await.unwrap();
    assert_eq!(shown.sections[0].rows, new.rows.as_slice());
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_agent_says_in_a_row_is_kept_byte_for_byte() {
    let site = Site::start().await;
    let mut agent = site.agent().await;
    let mut row = software("from the future").encode_to_vec();
    // Field 9999, length-delimited; field 10000, varint.
    prost::encoding::encode_key(9_999, prost::encoding::WireType::LengthDelimited, &mut row);
    row.extend([4, b'n', b'e', b'w', b'!']);
    prost::encoding::encode_key(10_000, prost::encoding::WireType::Varint, &mut row);
    row.extend([0xff, 0x01]);
    let first = section(SectionKind::Software, vec![row.clone()]);
    assert_eq!(agent.send(full(&first)).await.0, Outcome::Stored);
    // A delta from it keeps it as well.
    let second = section(SectionKind::Software, vec![row.clone(), software("z").encode_to_vec()]);
    let delta = pack_delta(&second.rows.delta_from(&first.rows)).unwrap();
    let delta =
        SectionPart { base: first.digest.to_vec(), ..part(&second, SectionBody::Delta, delta).unwrap() };
    assert_eq!(agent.send(delta).await.0, Outcome::Stored);

    let shown = site.witness.asset(&agent.peer.asset()).await.unwrap();
    assert_eq!(shown.sections[0].rows, second.rows.as_slice());
    assert!(shown.sections[0].rows.contains(&row));
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_was_heard_before_is_refused_and_named() {
    let site = Site::start().await;
    let mut agent = site.agent().await;
    let rows = |name: &str| full(&section(SectionKind::Software, vec![software(name).encode_to_vec()]));
    for name in ["one", "two"] {
        assert!(all_stored(&agent.peer.send(&mut agent.link, vec![rows(name)]).await.unwrap()));
    }
    let before = site.witness.assets().await.unwrap()[&agent.peer.asset()].clone();
    for sequence in [2, 1] {
        agent.peer.sequence = sequence - 1;
        let refused: Status = agent.peer.send(&mut agent.link, vec![rows("replayed")]).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("sequence_floor 2"), "{refused:?}");
    }
    let after = site.witness.assets().await.unwrap()[&agent.peer.asset()].clone();
    assert_eq!((after.sequence, &after.sections), (2, &before.sections));
    assert!(after.alarms.iter().any(|it| it.kind == "sequence-went-back"), "{:?}", after.alarms);
    site.end().await;
}
