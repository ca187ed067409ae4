//! What every engine and the store on it must do: each test runs with each engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use holdpoint_proto::store::{
    AssetRecord, AuditEntry, AuditRecord, DecisionRecord, DocumentRecord, EventRecord, HeldRecord,
    MapRuleRecord, OperatorRecord, SectionState, SeenRecord, TokenRecord,
};
use holdpoint_proto::v1::{SectionKind, SectionStatus, SoftwareRow};
use proptest::prelude::*;
use prost::Message;

use super::backend::{self, Backend, Batch, MAX_PAGE_BYTES, Upkeep};
use super::keys::{self, Table};
use super::value::{self, MAX_PIECE};
use super::*;

fn config(engine: Engine) -> StoreConfig {
    StoreConfig { engine, low_free_bytes: 0, admin_free_bytes: 0, ballast_bytes: 0, ..StoreConfig::default() }
}

fn open(dir: &Path, engine: Engine) -> Store {
    let (store, report) = Store::open(dir, &config(engine)).unwrap();
    assert_eq!(report.engine, engine);
    assert_eq!(report.lost_data, None);
    store
}

fn software(programs: &[(&str, u32)]) -> Rows {
    let mut rows: Rows = programs
        .iter()
        .map(|(name, version)| {
            let version = Some(version.to_string());
            SoftwareRow { name: (*name).into(), version, source: "dpkg".into(), ..Default::default() }
                .encode_to_vec()
        })
        .collect();
    rows.sort();
    rows
}

fn image(count: u32) -> Rows {
    let names: Vec<String> = (0..count).map(|it| format!("package-{it}")).collect();
    software(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>())
}

fn key(rows: &Rows) -> SectionKey {
    SectionKey::new(SectionKind::Software, section_digest(rows))
}

fn section(rows: &Rows, base: Option<&Rows>) -> NewSection {
    NewSection {
        kind: SectionKind::Software,
        digest: section_digest(rows),
        rows: rows.clone(),
        payload: None,
        base: base.map(|it| section_digest(it)),
    }
}

fn asset(id: &str, rows: &Rows) -> AssetRecord {
    let state = SectionState {
        status: SectionStatus::Complete.into(),
        digest: section_digest(rows).to_vec(),
        rows: u32::try_from(rows.len()).unwrap(),
        ..Default::default()
    };
    let held = HeldRecord { kind: SectionKind::Software.into(), shown: Some(state), attempt: None };
    AssetRecord { id: id.into(), name: id.to_uppercase(), sections: vec![held], ..Default::default() }
}

fn report(id: &str, rows: &Rows, base: Option<&Rows>) -> Txn {
    Txn::report().put_section(section(rows, base)).put_asset(asset(id, rows))
}

fn event(asset: &str, at_ms: i64) -> EventRecord {
    EventRecord { at_ms, asset: asset.into(), kind: "test".into(), ..Default::default() }
}

fn audit(number: u64) -> AuditRecord {
    let entry = AuditEntry { number, action: "tested".into(), ..Default::default() };
    AuditRecord { entry: entry.encode_to_vec(), chain: vec![1; 32], signature: vec![2; 64] }
}

/// A store with one of everything.
fn fill(store: &Store) {
    let (base, bytes) = (image(400), b"[[requirement]]".repeat(10_000));
    store.commit_blocking(report("a", &base, None)).unwrap();
    let mut drifted = base.clone();
    drifted.retain(|row| *row != base[7]);
    store.commit_blocking(report("b", &drifted, Some(&base))).unwrap();
    let document =
        DocumentRecord { digest: sha256(&bytes).to_vec(), kind: "requirements".into(), ..Default::default() };
    store
        .commit_blocking(
            Txn::admin()
                .put_token(TokenRecord { secret_digest: vec![3; 32], uses_left: 2, ..Default::default() })
                .put_operator(OperatorRecord { name: "kim".into(), ..Default::default() })
                .put_document(document, bytes)
                .put_map_rule(MapRuleRecord { id: "m1".into(), ..Default::default() })
                .put_setting("site", b"north".to_vec())
                .put_page(Volume::Outbox, b"said/b", b"2")
                .put_page(Volume::Outbox, b"said/a", vec![7; 100_000])
                .put_page(Volume::Fleet, b"said/c", b"")
                .put_decision(DecisionRecord { number: 1, by: "kim".into(), ..Default::default() })
                .add_event(event("a", 1))
                .append_audit(audit(1)),
        )
        .unwrap();
    assert!(store.touch("a", SeenRecord { seen_ms: 77, health: None }));
}

fn each_engine(test: impl Fn(Engine, &Path)) {
    for &engine in Engine::BUILT {
        let dir = tempfile::tempdir().unwrap();
        test(engine, &dir.path().join("store"));
    }
}

fn sound(store: &Store) {
    assert_eq!(store.verify_blocking().unwrap(), []);
}

/// Reaches below the store, as a failing disk would.
fn with_backend<T>(store: &Store, work: impl FnOnce(&dyn Backend) -> T) -> T {
    work(store.inner.shared.read().backend.as_deref().unwrap())
}

fn put(backend: &dyn Backend, key: &[u8], stored: &[u8]) {
    let mut batch = Batch::default();
    batch.put(key.to_vec(), stored.to_vec());
    backend.apply(&batch).unwrap();
}

/// A backup in memory.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn backup(store: &Store) -> (BackupSummary, Vec<u8>) {
    let tape = Tape::default();
    let summary = store.export_blocking(Box::new(tape.clone())).unwrap();
    let bytes = tape.0.lock().unwrap().clone();
    (summary, bytes)
}

#[test]
fn entries_come_back_in_order_page_by_page_and_after_reopening() {
    each_engine(|engine, dir| {
        let (backend, _) = backend::open(engine, dir, Upkeep::Normal).unwrap();
        let mut batch = Batch::default();
        for number in 0..100_u8 {
            batch.put(vec![b'A', number], vec![number; 3]);
        }
        batch.put(b"B".to_vec(), b"other".to_vec());
        batch.put(b"A\x05".to_vec(), b"first".to_vec());
        batch.put(b"A\x05".to_vec(), b"later wins".to_vec());
        batch.delete(b"A\x06".to_vec());
        backend.apply(&batch).unwrap();
        backend.close().unwrap();

        let (backend, _) = backend::open(engine, dir, Upkeep::Normal).unwrap();
        assert_eq!(backend.get(b"A\x05").unwrap().unwrap(), b"later wins");
        assert_eq!(backend.get(b"A\x06").unwrap(), None);
        let (mut after, mut keys) = (None, Vec::new());
        loop {
            let page = backend.page(b"A", after.as_deref(), 7).unwrap();
            assert!(page.len() <= 7);
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            keys.extend(page.into_iter().map(|(key, _)| key[1]));
        }
        assert_eq!(keys, (0..100).filter(|&it| it != 6).collect::<Vec<u8>>());
        assert!(backend.size_on_disk().unwrap() > 0);
    });
}

#[test]
fn a_page_is_bounded_in_bytes_and_never_empty_before_the_end() {
    each_engine(|engine, dir| {
        let (backend, _) = backend::open(engine, dir, Upkeep::Normal).unwrap();
        for number in 0..=u8::MAX {
            put(backend.as_ref(), &[b'A', number], &vec![number; MAX_PIECE]);
        }
        let page = backend.page(b"A", None, 1000).unwrap();
        assert!(!page.is_empty() && page.len() <= MAX_PAGE_BYTES / MAX_PIECE);
    });
}

#[test]
fn large_values_are_cut_and_leave_no_chunk_behind() {
    each_engine(|engine, dir| {
        let (backend, _) = backend::open(engine, dir, Upkeep::Normal).unwrap();
        let backend = backend.as_ref();
        let key = Table::Setting.key(b"large");
        let chunks = || backend.page(&Table::Chunk.prefix(), None, 1000).unwrap().len();
        for (size, expected) in [(MAX_PIECE, 0), (MAX_PIECE + 1, 2), (1_000_000, 163), (3, 0)] {
            let content: Vec<u8> = (0..size).map(|it| u8::try_from(it % 251).unwrap()).collect();
            let mut batch = Batch::default();
            value::put(backend, &mut batch, key.clone(), &content).unwrap();
            assert!(batch.changes().all(|(_, stored)| stored.is_none_or(|it| it.len() < MAX_PIECE + 32)));
            backend.apply(&batch).unwrap();
            assert_eq!(value::get(backend, &key).unwrap().unwrap(), content);
            assert_eq!(chunks(), expected);
        }
    });
}

#[test]
fn a_flipped_bit_or_a_swapped_value_is_noticed_wherever_it_is() {
    each_engine(|engine, dir| {
        let (backend, _) = backend::open(engine, dir, Upkeep::Normal).unwrap();
        let backend = backend.as_ref();
        let key = Table::Operator.key(b"kim");
        let mut batch = Batch::default();
        value::put_new(&mut batch, key.clone(), b"content");
        value::put_new(&mut batch, Table::Setting.key(b"large"), &vec![7; MAX_PIECE * 2]);
        backend.apply(&batch).unwrap();
        let stored = backend.get(&key).unwrap().unwrap();

        for at in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            put(backend, &key, &flipped);
            let noticed = value::get(backend, &key);
            assert!(matches!(noticed, Err(StoreError::Corrupt { table: "operators", .. })), "bit {at}");
        }
        put(backend, &Table::Operator.key(b"eve"), &stored);
        assert!(value::get(backend, &Table::Operator.key(b"eve")).is_err());

        let (chunk, mut bytes) = backend.page(&Table::Chunk.prefix(), None, 1).unwrap().remove(0);
        bytes[5000] ^= 1;
        put(backend, &chunk, &bytes);
        assert!(value::get(backend, &Table::Setting.key(b"large")).is_err());
    });
}

#[test]
fn everything_is_there_after_reopening() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        sound(&store);
        store.clone().close_blocking().unwrap();
        assert!(matches!(store.asset("a"), Err(StoreError::Unavailable { .. })));
        drop(store);

        let store = open(dir, engine);
        sound(&store);
        let base = image(400);
        assert_eq!(store.asset("a").unwrap(), Some(asset("a", &base)));
        assert_eq!(store.assets(Some("a"), 10).unwrap().len(), 1);
        assert_eq!(store.section(key(&base)).unwrap().as_deref(), Some(&base));
        assert_eq!(rows::decompress(&store.section_payload(key(&base)).unwrap().unwrap()), Some(base));
        assert_eq!(store.seen("a").unwrap().seen_ms, 77);
        assert_eq!(store.token(&[3; 32]).unwrap().unwrap().uses_left, 2);
        assert_eq!(store.operator("kim").unwrap().unwrap().name, "kim");
        assert_eq!((store.operators().unwrap().len(), store.tokens().unwrap().len()), (1, 1));
        let bytes = b"[[requirement]]".repeat(10_000);
        assert_eq!(store.document_bytes(&sha256(&bytes)).unwrap(), Some(bytes));
        assert_eq!((store.documents().unwrap().len(), store.map_rules().unwrap().len()), (1, 1));
        assert_eq!(store.setting("site").unwrap().unwrap(), b"north");
        let said = [(b"said/a".to_vec(), vec![7; 100_000]), (b"said/b".to_vec(), b"2".to_vec())];
        assert_eq!(store.pages(Volume::Outbox, b"said/").unwrap(), said);
        assert_eq!(store.page(Volume::Fleet, b"said/c").unwrap(), Some(Vec::new()));
        assert_eq!(store.page(Volume::Fleet, b"said/a").unwrap(), None, "a volume of its own");
        let decisions = store.decisions().unwrap();
        assert_eq!((decisions.len(), decisions[0].by.as_str()), (1, "kim"));
        assert_eq!(store.events(Some("a"), None, 10).unwrap(), [(1, event("a", 1))]);
        assert_eq!(store.audit(1, 10).unwrap(), [audit(1)]);
        assert_eq!((store.next_audit(), store.last_audit().unwrap()), (2, Some(audit(1))));
        assert_eq!(store.stats().assets, 2);
    });
}

#[test]
fn a_refused_transaction_leaves_nothing_behind() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        let before = backup(&store).0.digest;
        let (known, unknown) = (image(400), image(3));
        let note = || Txn::report().add_event(event("a", 5)).put_setting("site", b"south".to_vec());

        let refused = store.commit_blocking(note().put_asset(asset("c", &unknown)));
        assert!(matches!(refused, Err(StoreError::UnknownSection { .. })));
        let refused =
            store.commit_blocking(note().put_page(Volume::Fleet, vec![0; MAX_PAGE_KEY_BYTES + 1], b""));
        assert!(matches!(refused, Err(StoreError::Invalid { what: "a page", .. })));
        let refused = store.commit_blocking(note().append_audit(audit(7)));
        assert!(matches!(refused, Err(StoreError::Conflict { what: "the audit log" })));
        let refused = store.commit_blocking(note().expect_asset("a", None));
        assert!(matches!(refused, Err(StoreError::Conflict { what: "the asset" })));
        let other = TokenRecord { secret_digest: vec![3; 32], uses_left: 1, ..Default::default() };
        let refused = store.commit_blocking(note().expect_token([3; 32], Some(other)));
        assert!(matches!(refused, Err(StoreError::Conflict { what: "the token" })));
        let refused = store.commit_blocking(note().expect_operator("kim", None));
        assert!(matches!(refused, Err(StoreError::Conflict { what: "the operator" })));
        let mut wrong = section(&unknown, None);
        wrong.digest = [0; 32];
        assert!(matches!(store.commit_blocking(note().put_section(wrong)), Err(StoreError::Invalid { .. })));
        let mut wrong = section(&unknown, None);
        wrong.payload = Some(rows::compress(&known).unwrap());
        assert!(matches!(store.commit_blocking(note().put_section(wrong)), Err(StoreError::Invalid { .. })));
        let mut wrong = section(&unknown, None);
        wrong.rows.reverse();
        assert!(matches!(store.commit_blocking(note().put_section(wrong)), Err(StoreError::Invalid { .. })));
        for id in ["", "a\0b", &"x".repeat(201)] {
            let refused = store.commit_blocking(note().put_asset(asset(id, &known)));
            assert!(matches!(refused, Err(StoreError::Invalid { .. })));
        }

        assert_eq!(backup(&store).0.digest, before);
        store.commit_blocking(note().expect_asset("a", Some(asset("a", &known)))).unwrap();
        assert_ne!(backup(&store).0.digest, before);
    });
}

#[test]
fn many_waiting_transactions_share_a_flush() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        let before = store.stats();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let commits = (0..200).map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let txn = Txn::admin().put_setting(&format!("s{number}"), vec![1]);
                    store.commit(txn).await.unwrap()
                })
            });
            let mut sequences = BTreeSet::new();
            for commit in commits.collect::<Vec<_>>() {
                sequences.insert(commit.await.unwrap());
            }
            assert_eq!(sequences.len(), 200, "each has a number of its own");
        });
        let after = store.stats();
        assert_eq!(after.transactions - before.transactions, 200);
        assert!(after.flushes - before.flushes <= 40, "{} flushes", after.flushes - before.flushes);
    });
}

#[test]
fn equal_rows_of_another_kind_are_another_section() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        let rows = software(&[("openssl", 1)]);
        let mut first = asset("a", &rows);
        first.sections[0].kind = SectionKind::Services.into();
        let mut offered = section(&rows, None);
        offered.kind = SectionKind::Services;
        store.commit_blocking(Txn::report().put_section(offered).put_asset(first)).unwrap();
        assert!(store.software_named("openssl").unwrap().is_empty());
        assert!(!store.has_section(key(&rows)));

        store.commit_blocking(report("b", &rows, None)).unwrap();
        let hits = store.software_named("openssl").unwrap();
        assert_eq!(hits.len(), 1);
        assert_eq!(store.assets_with_section(hits[0].section), [Arc::from("b")]);
        sound(&store);
    });
}

#[test]
fn a_drifted_host_costs_a_few_keys_and_not_its_whole_inventory() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        let base = image(400);
        store.commit_blocking(report("base", &base, None)).unwrap();
        let one = backup(&store).0.entries;
        for number in 0..50_u32 {
            let mut rows = base.clone();
            rows.remove(3);
            rows.extend(software(&[("package-3", 100 + number)]));
            rows.sort();
            store.commit_blocking(report(&format!("host-{number}"), &rows, Some(&base))).unwrap();
        }
        let entries = backup(&store).0.entries - one;
        assert!(entries <= 50 * 6, "{entries} keys for 50 drifted hosts");
        assert_eq!(store.software_named("package-5").unwrap().len(), 51);
        sound(&store);

        // A difference to a difference is written as one to the base.
        let first = store.asset("host-0").unwrap().unwrap();
        let held = SectionKey::of(3, &first.sections[0].shown.as_ref().unwrap().digest).unwrap();
        let mut rows = store.section(held).unwrap().unwrap().to_vec();
        let before = rows.clone();
        rows.extend(software(&[("extra", 1)]));
        rows.sort();
        store.commit_blocking(report("host-0", &rows, Some(&before))).unwrap();
        assert_eq!(store.section(key(&rows)).unwrap().as_deref(), Some(&rows));
        assert!(!store.has_section(held), "what it was before went with the last who held it");
        sound(&store);
    });
}

#[test]
fn the_oldest_events_go_when_there_are_too_many() {
    each_engine(|engine, dir| {
        let config = StoreConfig { max_events: 10, ..config(engine) };
        let (store, _) = Store::open(dir, &config).unwrap();
        for number in 0..30 {
            let asset = if number % 2 == 0 { "even" } else { "odd" };
            store.commit_blocking(Txn::report().add_event(event(asset, number))).unwrap();
        }
        let events = store.events(None, None, 100).unwrap();
        assert_eq!(
            events.iter().map(|(_, it)| it.at_ms).collect::<Vec<_>>(),
            (20..30).rev().collect::<Vec<_>>()
        );
        let odd = store.events(Some("odd"), None, 2).unwrap();
        assert_eq!(odd.iter().map(|(_, it)| it.at_ms).collect::<Vec<_>>(), [29, 27]);
        let odd = store.events(Some("odd"), Some(odd[1].0), 100).unwrap();
        assert_eq!(odd.iter().map(|(_, it)| it.at_ms).collect::<Vec<_>>(), [25, 23, 21]);
        assert_eq!(store.stats().events, 10);
        assert!(store.events(Some("od"), None, 10).unwrap().is_empty());
    });
}

#[test]
fn software_is_found_by_pattern_in_pages() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        let long = "x".repeat(300);
        let rows = software(&[("OpenSSL", 1), ("openssh-server", 2), ("zlib1g", 3), (&long, 4)]);
        store.commit_blocking(report("a", &rows, None)).unwrap();
        store.commit_blocking(report("b", &software(&[("openssl", 9)]), None)).unwrap();

        let (mut after, mut names) = (None, Vec::new());
        loop {
            let page = store.software_matching(&NamePattern::new("open*"), after.as_deref(), 1).unwrap();
            let rows = page.hits.iter().flat_map(|hit| hit.rows.iter());
            names.extend(rows.map(|row| SoftwareRow::decode(row.as_slice()).unwrap().name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(names, ["OpenSSL", "openssh-server", "openssl"]);
        assert_eq!(store.software_named(&long).unwrap().len(), 1);
        assert!(store.software_named(&"x".repeat(301)).unwrap().is_empty(), "a shared stem is not a match");
        assert_eq!(store.software_matching(&NamePattern::new("xx*"), None, 10).unwrap().hits.len(), 1);
    });
}

#[test]
fn a_backup_moves_between_the_engines_and_is_the_same() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        let (summary, bytes) = backup(&store);
        for &to in Engine::BUILT {
            let restored = dir.with_file_name(format!("restored-{to}"));
            assert_eq!(Store::restore(&mut bytes.as_slice(), &restored, to).unwrap(), summary);
            let copy = open(&restored, to);
            assert_eq!(backup(&copy).0, summary);
            assert_eq!(copy.seen("a").unwrap().seen_ms, 77);
            sound(&copy);
            drop(copy);
            let again = Store::restore(&mut bytes.as_slice(), &restored, to);
            assert!(matches!(again, Err(StoreError::NotEmpty { .. })));
            fs::remove_dir_all(&restored).unwrap();
        }
    });
}

#[test]
fn a_truncated_or_altered_backup_is_refused_and_leaves_nothing() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        store.commit_blocking(report("a", &image(20), None).add_event(event("a", 1))).unwrap();
        let (_, bytes) = backup(&store);
        let restored = dir.with_file_name("restored");
        let plain = zstd::stream::decode_all(bytes.as_slice()).unwrap();
        for at in (0..plain.len()).step_by(plain.len() / 23) {
            let mut altered = plain.clone();
            altered[at] ^= 0x10;
            let altered = zstd::stream::encode_all(altered.as_slice(), 1).unwrap();
            let refused = Store::restore(&mut altered.as_slice(), &restored, engine);
            assert!(matches!(refused, Err(StoreError::Backup { .. })), "byte {at}: {refused:?}");
            assert!(!restored.exists());
        }
        for length in [0, 10, bytes.len() / 2, bytes.len() - 1] {
            let refused = Store::restore(&mut &bytes[..length], &restored, engine);
            assert!(matches!(refused, Err(StoreError::Backup { .. })), "{length} bytes: {refused:?}");
        }
        let longer = zstd::stream::encode_all([plain.as_slice(), b"x"].concat().as_slice(), 1).unwrap();
        assert!(matches!(
            Store::restore(&mut longer.as_slice(), &restored, engine),
            Err(StoreError::Backup { .. })
        ));
        assert!(!restored.exists() && !dir.with_file_name("restored.restoring").exists());
        Store::restore(&mut bytes.as_slice(), &restored, engine).unwrap();
    });
}

#[test]
fn a_store_moves_to_every_engine_and_back() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        let before = backup(&store).0;
        drop(store);
        for &to in Engine::BUILT.iter().chain([&engine]) {
            assert_eq!(Store::convert(dir, to).unwrap().digest, before.digest);
            // The configuration names the wrong engine on purpose: the store knows better.
            let (store, report) = Store::open(dir, &config(Engine::Sled)).unwrap();
            assert_eq!((report.engine, report.lost_data), (to, None));
            assert_eq!(backup(&store).0, before);
            sound(&store);
        }
    });
}

#[test]
fn compaction_keeps_everything_and_the_store_goes_on() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        let before = backup(&store).0;
        store.compact_blocking().unwrap();
        assert_eq!(backup(&store).0, before);
        store.commit_blocking(report("c", &image(10), None)).unwrap();
        drop(store);

        let store = open(dir, engine);
        sound(&store);
        assert_eq!(store.stats().assets, 3);
        assert!(!open::old_dir(dir, engine).exists(), "the old files go with a clean opening");
    });
}

#[test]
fn an_interrupted_compaction_goes_back_to_the_old_files() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        let before = backup(&store).0;
        drop(store);
        fs::rename(open::data_dir(dir, engine), open::old_dir(dir, engine)).unwrap();
        fs::create_dir(open::new_dir(dir, engine)).unwrap();

        let store = open(dir, engine);
        assert_eq!(backup(&store).0, before);
        assert!(!open::new_dir(dir, engine).exists());
    });
}

#[test]
fn overgrown_files_are_rewritten_at_opening() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        let before = backup(&store).0;
        drop(store);
        let config = StoreConfig { rebuild_min_bytes: 0, rebuild_factor: 0, ..config(engine) };
        let (store, report) = Store::open(dir, &config).unwrap();
        assert!(report.rebuilt.is_some());
        assert_eq!(backup(&store).0, before);
    });
}

#[test]
fn an_emptied_store_is_noticed_until_somebody_has_seen_to_it() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        drop(store);
        fs::remove_dir_all(open::data_dir(dir, engine)).unwrap();

        let lost = Some(LostData { expected: 3, found: None });
        for _ in 0..2 {
            let (store, report) = Store::open(dir, &config(engine)).unwrap();
            assert_eq!((report.lost_data, report.created), (lost, false));
            assert_eq!(report.sequence, 3, "no number is used twice");
            store.close_blocking().unwrap();
        }
        let (store, _) = Store::open(dir, &config(engine)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.acknowledge_loss()).unwrap();
        drop(store);
        drop(open(dir, engine));
    });
}

#[test]
fn a_store_that_went_back_in_time_is_noticed() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        store.commit_blocking(Txn::admin().put_setting("a", vec![1])).unwrap();
        store.close_blocking().unwrap();
        let data = open::data_dir(dir, engine);
        let copy = dir.with_file_name("copy");
        fs::create_dir(&copy).unwrap();
        for file in
            fs::read_dir(&data).unwrap().map(Result::unwrap).filter(|it| it.file_type().unwrap().is_file())
        {
            fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        let store = open(dir, engine);
        store.commit_blocking(Txn::admin().put_setting("a", vec![2])).unwrap();
        store.close_blocking().unwrap();
        fs::remove_dir_all(&data).unwrap();
        fs::rename(&copy, &data).unwrap();

        let (store, report) = Store::open(dir, &config(engine)).unwrap();
        assert_eq!(report.lost_data, Some(LostData { expected: 2, found: Some(1) }));
        assert_eq!(store.setting("a").unwrap(), Some(vec![1]));
    });
}

#[test]
fn files_that_no_engine_can_open_are_set_aside_and_told() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        drop(store);
        let data = open::data_dir(dir, engine);
        for file in
            fs::read_dir(&data).unwrap().map(Result::unwrap).filter(|it| it.file_type().unwrap().is_file())
        {
            let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
            fs::write(file.path(), vec![0x5a; length]).unwrap();
        }

        let (store, report) = Store::open(dir, &config(engine)).unwrap();

        assert!(report.lost_data.is_some(), "{report:?}");
        assert_eq!(store.asset("a").unwrap(), None);
        store.commit_blocking(report_of_three()).unwrap();
        sound(&store);
        if let Some(aside) = &report.quarantined {
            assert!(aside.exists());
        } else {
            assert_eq!(engine, Engine::Sled, "sled may take files without a readable segment for new ones");
        }
    });
}

fn report_of_three() -> Txn {
    report("a", &image(3), None)
}

#[test]
fn one_damaged_record_does_not_keep_the_store_closed() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        with_backend(&store, |backend| {
            for key in [Table::Asset.key(b"a"), keys::store()] {
                let mut stored = backend.get(&key).unwrap().unwrap();
                *stored.last_mut().unwrap() ^= 1;
                put(backend, &key, &stored);
            }
        });
        assert!(!store.verify_blocking().unwrap().is_empty());
        store.close_blocking().unwrap();

        let (store, report) = Store::open(dir, &config(engine)).unwrap();
        assert_eq!(report.damaged.len(), 2, "{report:?}");
        assert!(matches!(store.asset("a"), Err(StoreError::Corrupt { table: "assets", .. })));
        assert_eq!(store.asset("b").unwrap().unwrap().id, "b");
        assert_eq!(store.next_audit(), 2);
        let again = store.commit_blocking(report_of_three().add_event(event("a", 2))).unwrap();
        assert!(again.sequence > 3);
        assert_eq!(store.events(None, None, 10).unwrap().len(), 2);
    });
}

#[test]
fn an_index_that_is_not_complete_is_built_anew() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        fill(&store);
        let before = backup(&store).0;
        with_backend(&store, |backend| {
            let mut batch = Batch::default();
            for (key, _) in backend.page(&Table::Software.prefix(), None, 100).unwrap() {
                batch.delete(key);
            }
            backend.apply(&batch).unwrap();
        });
        assert!(store.software_named("package-0").unwrap().is_empty());
        assert!(!store.verify_blocking().unwrap().is_empty());
        assert_eq!(store.reindex_blocking().unwrap(), 401);
        assert_eq!(backup(&store).0, before);
        sound(&store);

        let mut record = store.inner.shared.read().catalog.record.clone();
        record.index_stale = true;
        with_backend(&store, |backend| {
            let mut batch = Batch::default();
            value::put_new(&mut batch, keys::store(), &record.encode_to_vec());
            backend.apply(&batch).unwrap();
        });
        drop(store);
        let (store, report) = Store::open(dir, &config(engine)).unwrap();
        assert!(report.reindexed);
        assert_eq!(backup(&store).0, before);
    });
}

#[test]
fn reports_are_refused_below_the_mark_and_operators_are_not() {
    each_engine(|engine, dir| {
        let config = StoreConfig { low_free_bytes: u64::MAX, ..config(engine) };
        let (store, _) = Store::open(dir, &config).unwrap();
        assert!(matches!(store.commit_blocking(report_of_three()), Err(StoreError::Full)));
        assert!(!store.stats().admits_reports);
        store.commit_blocking(Txn::admin().put_setting("a", vec![1])).unwrap();
    });
}

#[test]
fn a_store_has_one_owner() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        let second = Store::open(dir, &config(engine));
        assert!(matches!(second, Err(StoreError::Locked { .. })));
        let clone = store.clone();
        drop(store);
        assert!(matches!(Store::convert(dir, engine), Err(StoreError::Locked { .. })));
        drop(clone);
        drop(open(dir, engine));
    });
}

#[test]
fn last_seen_goes_with_its_asset() {
    each_engine(|engine, dir| {
        let store = open(dir, engine);
        assert!(!store.touch("a", SeenRecord { seen_ms: 1, health: None }), "there is no such asset");
        fill(&store);
        store.commit_blocking(Txn::admin().delete_asset("a")).unwrap();
        assert_eq!(store.seen("a"), None);
        drop(store);
        let store = open(dir, engine);
        assert_eq!(store.seen("a"), None);
        assert_eq!(store.events(Some("a"), None, 10).unwrap().len(), 1, "its history stays");
        sound(&store);
    });
}

/// What one step of the model does.
#[derive(Debug, Clone)]
enum Step {
    Report { asset: u8, rows: Vec<(u8, u32)>, hint: bool },
    Delete { asset: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let programs = proptest::collection::vec((0..6_u8, 0..3_u32), 0..5);
    prop_oneof![
        6 => (0..5_u8, programs, any::<bool>()).prop_map(|(asset, rows, hint)| Step::Report { asset, rows, hint }),
        1 => (0..5_u8).prop_map(|asset| Step::Delete { asset }),
    ]
}

const NAMES: [&str; 6] = ["alpha", "beta", "gamma", "Beta", "alphabet", "nul\0name"];

/// Forty programs that nobody changes, so that a difference is worth it, and those that vary.
fn inventory(varying: &[(u8, u32)]) -> Rows {
    let fixed: Vec<String> = (0..40).map(|it| format!("fixed-{it}")).collect();
    let mut programs: Vec<(&str, u32)> = fixed.iter().map(|name| (name.as_str(), 1)).collect();
    programs.extend(varying.iter().map(|&(name, version)| (NAMES[usize::from(name)], version)));
    software(&programs)
}

fn named(rows: &Rows, name: &str) -> Rows {
    let is = |row: &&Vec<u8>| SoftwareRow::decode(row.as_slice()).unwrap().name == name;
    rows.iter().filter(is).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Overlays answer like complete sections, and exactly what is referred to is kept.
    #[test]
    fn the_store_is_its_model(steps in proptest::collection::vec(step(), 1..25), sled in any::<bool>()) {
        let engine = if sled { Engine::BUILT[0] } else { Engine::BUILT[Engine::BUILT.len() - 1] };
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), engine);
        let mut model: BTreeMap<String, Rows> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Report { asset, rows, hint } => {
                    let (id, rows) = (format!("asset-{asset}"), inventory(&rows));
                    let base = model.get(&id).filter(|_| hint);
                    store.commit_blocking(report(&id, &rows, base)).unwrap();
                    model.insert(id, rows);
                }
                Step::Delete { asset } => {
                    let id = format!("asset-{asset}");
                    store.commit_blocking(Txn::admin().delete_asset(&id)).unwrap();
                    model.remove(&id);
                }
            }
            let held: BTreeMap<SectionKey, &Rows> = model.values().map(|rows| (key(rows), rows)).collect();
            for (&key, &rows) in &held {
                let loaded = store.section(key).unwrap();
                prop_assert_eq!(loaded.as_deref(), Some(rows));
            }
            let shown = |key: &SectionKey| !store.assets_with_section(*key).is_empty();
            for name in NAMES.iter().chain(&["fixed-7", "no such"]) {
                let expected: BTreeMap<SectionKey, Rows> = held
                    .iter()
                    .map(|(&key, rows)| (key, named(rows, name)))
                    .filter(|(_, rows)| !rows.is_empty())
                    .collect();
                let hits = store.software_named(name).unwrap();
                let found: BTreeMap<SectionKey, Rows> = hits
                    .into_iter()
                    .filter(|hit| shown(&hit.section))
                    .map(|hit| (hit.section, hit.rows.to_vec()))
                    .collect();
                prop_assert_eq!(found, expected, "{}", name);
            }
            // Besides what is held, only bases of what is held are kept.
            let core = store.inner.shared.read();
            for (section, _) in core.catalog.sections() {
                let base = core.catalog.overlays(section).next().is_some();
                prop_assert!(held.contains_key(&section) || base);
            }
        }
        prop_assert_eq!(store.verify_blocking().unwrap(), vec![]);
        let before = backup(&store).0;
        drop(store);
        let store = open(dir.path(), engine);
        prop_assert_eq!(store.verify_blocking().unwrap(), vec![]);
        prop_assert_eq!(backup(&store).0, before);
    }
}
