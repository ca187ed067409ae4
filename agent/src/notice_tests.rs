use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::{info, warn};
use tracing_subscriber::prelude::*;

use super::*;

type Said = Arc<Mutex<Vec<(Notice, String)>>>;

/// What is said while something runs.
fn said(act: impl FnOnce()) -> Vec<(Notice, String)> {
    let heard = Said::default();
    let ears = Arc::clone(&heard);
    let notices = Notices::to(Box::new(move |notice, text| {
        ears.lock().unwrap().push((notice, text.to_owned()));
    }));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(notices), act);
    heard.lock().unwrap().clone()
}

#[test]
fn a_notice_is_a_sentence_with_what_belongs_to_it() {
    let said = said(|| {
        info!(notice = Notice::Started.id(), identity = %"spiffe://a/b", collector = "c:7443", "agent starts");
        info!("a line for nobody's event log");
        warn!(notice = Notice::Refused.id(), reason = "token", attempt = 3_u32, "the collector refuses");
    });
    assert_eq!(
        said,
        [
            (Notice::Started, "agent starts (identity: spiffe://a/b, collector: c:7443)".to_owned()),
            (Notice::Refused, "the collector refuses (reason: token, attempt: 3)".to_owned()),
        ]
    );
}

#[test]
fn the_same_sentence_is_said_once() {
    let said = said(|| {
        for _ in 0..100 {
            warn!(notice = Notice::Refused.id(), reason = "clock", "refused");
        }
        warn!(notice = Notice::Refused.id(), reason = "revoked", "refused");
    });
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let said = said(|| info!(notice = Notice::Failed.id(), "{}", "ü".repeat(MAX_TEXT)));
    assert!(said[0].1.len() <= MAX_TEXT && said[0].1.starts_with('ü'));
}

#[test]
fn every_notice_has_its_own_number_which_the_generic_message_file_knows() {
    let ids: BTreeSet<u16> = ALL.into_iter().map(Notice::id).collect();
    assert_eq!(ids.len(), ALL.len());
    // EventCreate.exe has messages 1 to 1000.
    assert!(ids.iter().all(|it| (1..=1_000).contains(it)));
    assert!(ALL.into_iter().all(|it| Notice::of(u64::from(it.id())) == Some(it)));
    assert_eq!(Notice::of(4_711), None);
}
