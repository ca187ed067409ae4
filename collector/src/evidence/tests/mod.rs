//! Packs of a whole change, checked as they are and after somebody had them in hand.

mod story;
mod tampering;

use super::*;
use story::{HOSTILE, Story, authority};

fn found(sentences: &[String], part: &str) -> bool {
    sentences.iter().any(|it| it.contains(part))
}

/// The report in a pack.
fn page(pack: &[u8]) -> String {
    let members = container::read(pack).unwrap();
    let report = members.into_iter().find(|it| it.0 == member::Member::Report).unwrap().1;
    String::from_utf8(report.to_vec()).unwrap()
}

#[test]
fn a_closed_change_is_proven_without_a_collector() {
    let story = Story::whole();
    let pack = story.pack(Policy::Rows);
    assert_eq!(pack, story.pack(Policy::Rows), "the same evidence is the same file");
    let checked = check(&pack, &Pins::default());
    assert!(checked.valid, "{:#?}", checked.faults);
    assert_eq!((checked.change.as_deref(), checked.state.as_deref()), (Some(story::ID), Some("closed")));
    for part in [
        "no byte beside them",
        "are what was chained and signed",
        "may follow the ones before it by the rules of changes, folded again here: the change is closed",
        "plan.toml is the plan that was drafted",
        "9 decisions of 2 persons are signed by their own keys",
        "6 snapshots are what the entries say",
        "the rows of 4 sections (6 rows)",
        "each of 3 targets that were judged has a verdict: 1 ATTESTED_ONLY, 2 REMEDIATED",
        "judged again here from the rows of both snapshots, with the same result: verdicts, 8; targets of which what \
         moved was compared, 4; of which what is named did move, 0",
        "report.html says what the entries say",
    ] {
        assert!(found(&checked.proves, part), "{part}: {:#?}", checked.proves);
    }
    for part in [
        "whose key that is: nobody's word says so here",
        "whose authority",
        "that nothing was written about the change after entry",
        "that the collector judged rightly what was not judged again here",
        "more than grade B in 6 snapshots",
        "what 1 attested targets are",
        "whose keys answered in 6 snapshots",
        "when anything happened",
    ] {
        assert!(found(&checked.proves_not, part), "{part}: {:#?}", checked.proves_not);
    }
}

#[test]
fn what_is_pinned_is_compared() {
    let story = Story::whole();
    let pack = story.pack(Policy::Digests);
    let other = tempfile::tempdir().unwrap();
    let (_, other_root) = authority(other.path());
    let anchors = [story.pki.anchors(), vec![story.root.clone()]];
    for anchors in anchors {
        let checked = check(&pack, &Pins { audit_key: Some(story.public()), anchors });
        assert!(checked.valid, "{:#?}", checked.faults);
        assert!(found(&checked.proves, "it is the one that you pinned"));
        assert!(found(&checked.proves, "which is the pinned one or leads to it"));
        assert!(!found(&checked.proves_not, "whose key that is"), "{:#?}", checked.proves_not);
        assert!(!found(&checked.proves_not, "whose authority"), "{:#?}", checked.proves_not);
    }
    let wrong = check(&pack, &Pins { audit_key: Some([7; 32]), anchors: Vec::new() });
    assert!(!wrong.valid && found(&wrong.faults, "another zone's evidence, or a forgery"));
    let wrong = check(&pack, &Pins { audit_key: None, anchors: vec![other_root] });
    assert!(!wrong.valid && found(&wrong.faults, "does not lead to the pinned authority"));
}

#[test]
fn what_is_not_in_the_pack_is_not_proven() {
    let story = Story::whole();
    let checked = check(&story.pack(Policy::Digests), &Pins::default());
    assert!(checked.valid && found(&checked.proves_not, "the pack holds their digests alone"));
    assert!(!found(&checked.proves, "rows of"));

    let checked = check(&story.without_rows().pack(Policy::Rows), &Pins::default());
    assert!(checked.valid && found(&checked.proves_not, "what 4 of 4 sections say"), "{checked:#?}");
}

#[test]
fn a_change_that_has_not_got_far_is_evidence_of_just_that() {
    let mut story = Story::new();
    story.board();
    let checked = check(&story.pack(Policy::Rows), &Pins::default());
    assert!(checked.valid, "{:#?}", checked.faults);
    assert_eq!(checked.state.as_deref(), Some("authorised"));
    assert!(found(&checked.proves_not, "stage 1 (2 targets), stage 2 (1 targets): not judged"));
}

#[test]
fn the_page_says_everything_and_nothing_in_it_is_markup_of_others() {
    let story = Story::whole();
    let page = page(&story.pack(Policy::Rows));
    assert!(!page.contains("<script") && !page.contains(HOSTILE));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for part in [
        "OpenSSL on the &lt;stations&gt;",
        "openssl at least 3.0.11 (deb)",
        "plant-safety",
        "the backup is of the same image",
        "boot-6",
        "REMEDIATED",
        "asked for by operations",
        "2.5 s",
        "compare in the engineering tool",
        "seen by no machine",
        "left out: no agent",
        "How to check it",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["http://", "https://", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(outside), "the page loads nothing: {outside}");
    }
    if let Some(file) = option_env!("HOLDPOINT_SHOW_PAGE") {
        std::fs::write(file, page).unwrap();
    }
}
