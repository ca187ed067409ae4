use super::super::cases::row;
use super::*;
use crate::knowledge::AllowedAges;
use holdpoint_common::proto::store::{HeldRecord, SectionState};
use holdpoint_common::proto::v1::{ListenerRow, SectionStatus};
use holdpoint_common::section::Rows;
use std::sync::atomic::{AtomicUsize, Ordering};

const NOW: i64 = 1_790_000_000_000;

#[derive(Debug, Default)]
struct Sections(HashMap<Digest, Arc<Vec<Vec<u8>>>>, AtomicUsize);

impl RowSource for Sections {
    fn rows(&self, kind: SectionKind, digest: &Digest) -> Result<Option<Arc<Vec<Vec<u8>>>>, String> {
        if kind == SectionKind::Hardening {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.0.get(digest).cloned())
    }
}

impl Sections {
    fn put<R: holdpoint_common::row::Row>(
        &mut self,
        record: &mut AssetRecord,
        kind: SectionKind,
        status: SectionStatus,
        rows: &[R],
    ) {
        let rows = Rows::encode(rows);
        let digest = rows.digest();
        self.0.insert(digest, Arc::new(rows.as_slice().to_vec()));
        let state = SectionState {
            digest: digest.to_vec(),
            status: status.into(),
            received_ms: NOW,
            ..SectionState::default()
        };
        let shown = Some(state.clone());
        record.sections.retain(|it| it.kind != i32::from(kind));
        record.sections.push(HeldRecord { kind: kind.into(), shown, attempt: Some(state) });
    }
}

fn windows(
    sections: &mut Sections,
    id: &str,
    role: &str,
    status: SectionStatus,
    facts: &[(&str, &str)],
) -> AssetRecord {
    let mut record = AssetRecord {
        id: id.to_owned(),
        name: id.to_owned(),
        role: Some(role.to_owned()),
        ..AssetRecord::default()
    };
    let platform = PlatformRow {
        source: "windows/platform".into(),
        os_id: Some("windows".into()),
        build: Some("10.0.19044.4529".into()),
        boot_id: Some("b".into()),
        ..PlatformRow::default()
    };
    sections.put(&mut record, SectionKind::Platform, SectionStatus::Complete, &[platform]);
    let rows: Vec<_> = facts.iter().map(|(name, said)| row(name, said)).collect();
    sections.put(&mut record, SectionKind::Hardening, status, &rows);
    record
}

fn world<'a>(
    assets: &'a [Arc<AssetRecord>],
    rows: &'a Sections,
    ages: &'a AllowedAges,
    now_ms: i64,
) -> World<'a> {
    World { assets, rows, files: &[], ages, seen: &|_| None, now_ms }
}

const FACTS: &[(&str, &str)] = &[("smb1.server", "true"), ("names.llmnr", "false")];

#[test]
fn pages_go_through_all_results_and_keep_to_the_filter() {
    let mut sections = Sections::default();
    let assets: Vec<Arc<AssetRecord>> = ["a", "b", "c"]
        .map(|id| Arc::new(windows(&mut sections, id, "hmi", SectionStatus::Complete, FACTS)))
        .to_vec();
    let (board, ages) = (Board::default(), AllowedAges::default());
    let world = world(&assets, &sections, &ages, NOW);
    let whole = board.page(&Filter { limit: MAX_LIMIT, ..Filter::default() }, &world);
    assert!(whole.lines.len() > 3 * 80 && whole.next_after.is_none(), "{}", whole.lines.len());
    assert!(whole.lines.iter().all(|it| !it.rule.starts_with('L')), "rules of another system are left out");

    let (mut after, mut paged) = (None, Vec::new());
    loop {
        let page = board.page(&Filter { limit: 37, after, ..Filter::default() }, &world);
        paged.extend(page.lines);
        match page.next_after {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(paged, whole.lines);

    let failed = Filter { verdict: Some(Verdict::Fail), rule: Some("W06".into()), ..Filter::default() };
    let failed = board.page(&failed, &world);
    let told: Vec<_> = failed.lines.iter().map(|it| (it.asset.as_str(), it.rule.as_str())).collect();
    assert_eq!(told, [("a", "W06.server"), ("b", "W06.server"), ("c", "W06.server")]);
    let other = Filter { role: Some("server".into()), ..Filter::default() };
    assert!(board.page(&other, &world).lines.is_empty());
}

#[test]
fn a_section_that_is_partial_old_or_missing_checks_nothing() {
    let mut sections = Sections::default();
    let partial = windows(&mut sections, "partial", "hmi", SectionStatus::Partial, FACTS);
    let whole = windows(&mut sections, "whole", "hmi", SectionStatus::Complete, FACTS);
    let mut bare = whole.clone();
    "bare".clone_into(&mut bare.id);
    bare.sections.retain(|it| it.kind != i32::from(SectionKind::Hardening));
    let nothing = AssetRecord { id: "nothing".into(), ..AssetRecord::default() };
    let assets = [bare, nothing, partial, whole].map(Arc::new);
    let (board, ages) = (Board::default(), AllowedAges::default());
    let words = |now_ms| {
        let world = world(&assets, &sections, &ages, now_ms);
        let filter = Filter { rule: Some("W08".into()), ..Filter::default() };
        let lines = board.page(&filter, &world).lines;
        let lines = lines.into_iter().filter(|it| it.rule == "W08");
        let code = |it: Line| {
            let reason = it.told.reason.unwrap_or_default();
            format!("{} {} {}", it.asset, it.told.verdict, reason.split(':').next().unwrap_or_default())
        };
        lines.map(code).map(|it| it.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        words(NOW),
        [
            "bare NOT_CHECKED section-missing",
            "nothing NOT_CHECKED section-missing",
            "partial NOT_CHECKED section-incomplete",
            "whole PASS",
        ]
    );
    let old = NOW + 8 * 86_400_000;
    assert_eq!(words(old).last().unwrap(), "whole NOT_CHECKED inventory-stale");
    let scores = board.scores(None, None, 0, "", &world(&assets, &sections, &ages, NOW));
    let of = |id: &str| scores.assets.iter().find(|it| it.0 == id).unwrap().2;
    assert_eq!((of("partial").passed, of("partial").percent()), (0, None));
    assert!(of("whole").passed > 0 && of("whole").not_checked > 0);
    assert_eq!(scores.zone.passed, of("whole").passed);
}

#[test]
fn equal_machines_are_judged_once() {
    const ASSETS: usize = 10_000;
    let mut sections = Sections::default();
    let image = windows(&mut sections, "x", "hmi", SectionStatus::Complete, FACTS);
    let assets: Vec<Arc<AssetRecord>> =
        (0..ASSETS).map(|it| Arc::new(AssetRecord { id: format!("hmi-{it:05}"), ..image.clone() })).collect();
    let (board, ages) = (Board::default(), AllowedAges::default());
    let world = world(&assets, &sections, &ages, NOW);
    let scores = board.scores(None, None, 1, "", &world);
    assert_eq!(scores.zone.failed % u64::try_from(ASSETS).unwrap(), 0);
    assert_eq!(scores.next_after.as_deref(), Some("hmi-00000"));
    assert_eq!(sections.1.load(Ordering::Relaxed), 1, "the rows are read once");
    board.scores(None, None, 1, "", &world);
    assert_eq!(sections.1.load(Ordering::Relaxed), 1);
}

#[test]
fn what_equals_the_baseline_is_judged_against_the_newest_one() {
    use crate::baseline::Shelf;
    use holdpoint_common::proto::store::audit_entry::Detail;
    use holdpoint_common::proto::store::baseline_entry::What;
    use holdpoint_common::proto::store::{
        AuditEntry, BaselineApproved, BaselineEntry, SnapshotRecord, SnapshotSection,
    };

    let mut sections = Sections::default();
    let complete = SectionStatus::Complete;
    let host = |sections: &mut Sections, admins, status| {
        let mut record = windows(sections, "hmi", "hmi", status, &[("accounts.administrators", admins)]);
        // A baseline of nothing that its parts ask for is none.
        sections.put::<ListenerRow>(&mut record, SectionKind::Listeners, complete, &[]);
        record
    };
    let approved = |number: u64, record: &AssetRecord| {
        let section = |it: &HeldRecord| SnapshotSection { kind: it.kind, state: it.shown.clone() };
        let snapshot = SnapshotRecord {
            asset: "hmi".into(),
            nonce: vec![1; 16],
            sequence: number,
            sections: record.sections.iter().map(section).collect(),
            ..SnapshotRecord::default()
        };
        let what = BaselineApproved { snapshot: Some(snapshot), reason: "x".into(), ..Default::default() };
        let entry = BaselineEntry { asset: "hmi".into(), version: number, what: Some(What::Approved(what)) };
        let detail = Some(Detail::Baseline(entry.encode_to_vec()));
        AuditEntry { number, detail, ..AuditEntry::default() }
    };
    let (old, new) = (host(&mut sections, "[a]", complete), host(&mut sections, "[a; b]", complete));
    let partial = host(&mut sections, "[a; b]", SectionStatus::Partial);
    let shelf = Shelf::default();
    let (board, ages) = (Board::with(shelf.clone()), AllowedAges::default());
    let assets = [Arc::new(new.clone())];
    let told = || {
        let filter = Filter { rule: Some("W17".into()), ..Filter::default() };
        let page = board.page(&filter, &world(&assets, &sections, &ages, NOW));
        let line = page.lines.into_iter().find(|it| it.rule == "W17").unwrap().told;
        format!("{} {}", line.verdict, line.reason.unwrap_or_default().split(':').next().unwrap())
    };
    assert_eq!(told(), "NOT_CHECKED no-baseline");
    for (entries, said) in [
        (vec![approved(1, &old)], "FAIL "),
        (vec![approved(1, &old), approved(2, &new)], "PASS "),
        (vec![approved(1, &partial)], "NOT_CHECKED no-baseline"),
        (vec![], "NOT_CHECKED no-baseline"),
    ] {
        shelf.publish(Arc::new(crate::baseline::Baselines::fold(&entries)));
        assert_eq!(told(), said);
        assert_eq!(told(), said, "remembered");
    }
}
