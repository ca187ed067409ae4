use holdpoint_common::decision::verify;

use super::super::super::fake;
use super::super::decision::send;
use super::*;
use crate::args::Format;
use crate::failure::Exit;
use crate::output::Output;

fn about() -> About {
    About::new(fake::CHANGE, fake::PLAN, Path::new("plan.toml")).unwrap()
}

fn record(observed: &[(&str, &str)]) -> Record {
    Record {
        id: fake::CHANGE.into(),
        test: "FTP-1".into(),
        observe: observed.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect(),
        role: "operations".into(),
        text: String::new(),
        offline: Offline::default(),
    }
}

#[test]
fn a_test_is_recorded_in_the_order_of_its_steps_and_judged_by_their_limits() {
    let decisions = record(&[("look", "pass"), ("trend", "3.5 s")]).decisions(&about()).unwrap();
    let test = decisions[0].test.as_ref().unwrap();
    let steps: Vec<_> = test.steps.iter().map(|it| (it.step.as_str(), it.passed)).collect();
    assert_eq!(steps, [("trend", true), ("look", true)]);
    assert_eq!(test.procedure_digest, decisions[0].plan_digest);
    let slow = record(&[("look", "pass"), ("trend", "6")]).decisions(&about()).unwrap();
    assert!(!slow[0].test.as_ref().unwrap().steps[0].passed);
}

#[test]
fn everything_that_is_wrong_with_a_record_is_told_at_once() {
    let wrong = record(&[("look", "fine"), ("other", "1"), ("look", "pass")]);
    let text = wrong.decisions(&about()).unwrap_err().to_string();
    for part in ["`look` was observed twice", "`trend` is missing", "the test has no step `other`"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let text = record(&[("look", "fine"), ("trend", "1")]).decisions(&about()).unwrap_err().to_string();
    assert!(text.contains("neither `pass` nor `fail`"), "{text}");
    let unknown = Record { test: "FTP-2".into(), ..record(&[]) };
    assert!(unknown.decisions(&about()).unwrap_err().to_string().contains("it has FTP-1"));
}

#[test]
fn without_a_name_everything_that_a_stage_expects_is_attested() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("compare.pdf");
    std::fs::write(&file, b"the same").unwrap();
    let attest = |expectation: &[&str], artefact_sha256: Option<Sha256>| Attest {
        id: fake::CHANGE.into(),
        stage: 1,
        asset: "hmi-01".into(),
        expectation: expectation.iter().map(ToString::to_string).collect(),
        method: "compare".into(),
        artefact: artefact_sha256.is_none().then(|| file.clone()),
        artefact_sha256,
        claim: "remediated".into(),
        text: String::new(),
        offline: Offline::default(),
    };
    let all = attest(&[], None).decisions(&about()).unwrap();
    assert_eq!(all.len(), 2);
    let word = all[0].attestation.as_ref().unwrap();
    assert_eq!((word.artefact.as_str(), word.artefact_digest.len()), ("compare.pdf", 32));
    assert_ne!(all[0].nonce, all[1].nonce, "no decision counts twice");
    let typed = sha256(&"AB".repeat(32)).unwrap();
    let one = attest(&["ssl"], Some(typed)).decisions(&about()).unwrap();
    assert_eq!(one[0].attestation.as_ref().unwrap().artefact_digest, [0xab; 32]);
    assert!(attest(&["other"], None).decisions(&about()).is_err());
    assert!(Attest { stage: 9, ..attest(&[], None) }.decisions(&about()).is_err());
    assert!(sha256("ab").is_err());
}

#[tokio::test]
async fn what_is_sent_is_signed_by_the_operators_own_key() {
    let connection = fake::collector().await.signing_as(fake::operator());
    let out = Output::plain(Format::Json, None);
    let explain = Explain { id: fake::CHANGE.into(), items: vec![1, 2], reason: "vendor's runtime".into() };
    assert_eq!(send(&explain, &connection, &out).await.unwrap(), Exit::Done);
    let failed = record(&[("look", "fail"), ("trend", "1")]);
    assert_eq!(send(&failed, &connection, &out).await.unwrap(), Exit::No, "recorded, and not passed");
    let unsigned = fake::collector().await;
    assert!(send(&explain, &unsigned, &out).await.is_err());
}

#[tokio::test]
async fn a_plan_that_is_not_the_one_of_its_digest_is_not_signed() {
    let connection = fake::collector().await.signing_as(fake::operator());
    let out = Output::plain(Format::Json, None);
    let explain = Explain { id: "CHG-SWAPPED".into(), items: vec![1], reason: "r".into() };
    let failure = send(&explain, &connection, &out).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
}

#[test]
fn a_signature_fits_what_was_decided() {
    let decision = about().decision("sign-off").unwrap();
    let signed = holdpoint_common::decision::sign(&decision, &fake::operator()).unwrap();
    assert_eq!(verify(&signed).unwrap().decision, decision);
}
