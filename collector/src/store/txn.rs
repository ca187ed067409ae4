//! What happens together: a transaction, collected before anything is written.
//!
//! Knows the records and their limits. The checks that need no store run in the caller's task.

use holdpoint_proto::store::{
    AssetRecord, AuditRecord, DecisionRecord, DocumentRecord, EventRecord, MapRuleRecord, OperatorRecord,
    SnapshotRecord, TokenRecord,
};
use holdpoint_proto::v1::SectionKind;

use super::error::StoreError;
use super::keys::{Digest, MAX_NAME_BYTES, MAX_PAGE_KEY_BYTES, SectionKey, Volume};
use super::rows::{self, MAX_ROWS, MAX_SECTION_BYTES, Rows};
use super::value::MAX_VALUE;

/// Who stays out when space runs short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Agents' reports: refused first.
    Report,
    /// What operators do; small, and possible until a lower mark.
    Admin,
}

/// Changes that are written together or not at all.
#[derive(Debug)]
pub struct Txn {
    pub(super) class: Class,
    pub(super) ops: Vec<Op>,
    pub(super) expected: Vec<Expected>,
}

/// The rows of a section, to be kept as long as an asset of this or an earlier transaction
/// refers to them.
#[derive(Debug)]
pub struct NewSection {
    /// What the rows are.
    pub kind: SectionKind,
    /// [`super::section_digest`] of the rows.
    pub digest: Digest,
    /// Encoded rows in canonical order (sorted by their bytes).
    pub rows: Rows,
    /// zstd over the length-prefixed rows, where the caller has it; else the store compresses
    /// when it has to.
    pub payload: Option<Vec<u8>>,
    /// What this asset held before: when few rows differ, only the difference is stored.
    pub base: Option<Digest>,
}

#[derive(Debug)]
pub(super) enum Op {
    PutAsset(Box<AssetRecord>),
    DeleteAsset(String),
    PutSection(Box<NewSection>),
    AddEvent(EventRecord),
    AppendAudit(AuditRecord),
    PutToken(TokenRecord),
    DeleteToken(Digest),
    PutOperator(OperatorRecord),
    DeleteOperator(String),
    PutDocument(DocumentRecord, Option<Vec<u8>>),
    PutMapRule(MapRuleRecord),
    DeleteMapRule(String),
    PutSetting(String, Vec<u8>),
    DeleteSetting(String),
    PutDecision(Box<DecisionRecord>),
    PutSnapshot(Box<SnapshotRecord>),
    PutPage(Volume, Vec<u8>, Vec<u8>),
    DeletePage(Volume, Vec<u8>),
}

/// What must still be as the caller read it.
#[derive(Debug)]
pub(super) enum Expected {
    Asset { id: String, record: Option<Box<AssetRecord>> },
    Token { secret: Digest, record: Option<TokenRecord> },
    Operator { name: String, record: Option<OperatorRecord> },
}

impl Txn {
    /// A transaction for what an agent reports.
    pub fn report() -> Self {
        Self { class: Class::Report, ops: Vec::new(), expected: Vec::new() }
    }

    /// A transaction for what an operator does.
    pub fn admin() -> Self {
        Self { class: Class::Admin, ops: Vec::new(), expected: Vec::new() }
    }

    fn with(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }

    /// Refuses with [`StoreError::Conflict`] unless the asset is still as it was read.
    #[must_use]
    pub fn expect_asset(mut self, id: &str, record: Option<AssetRecord>) -> Self {
        self.expected.push(Expected::Asset { id: id.to_owned(), record: record.map(Box::new) });
        self
    }

    /// Refuses with [`StoreError::Conflict`] unless the token is still as it was read.
    #[must_use]
    pub fn expect_token(mut self, secret: Digest, record: Option<TokenRecord>) -> Self {
        self.expected.push(Expected::Token { secret, record });
        self
    }

    /// Refuses with [`StoreError::Conflict`] unless the operator is still as it was read.
    #[must_use]
    pub fn expect_operator(mut self, name: &str, record: Option<OperatorRecord>) -> Self {
        self.expected.push(Expected::Operator { name: name.to_owned(), record });
        self
    }

    /// Adds an asset, or replaces the one with its id. Rows that it is shown with must be in the
    /// store or in this transaction.
    #[must_use]
    pub fn put_asset(self, asset: AssetRecord) -> Self {
        self.with(Op::PutAsset(Box::new(asset)))
    }

    /// Removes an asset and its last-seen. Its events stay.
    #[must_use]
    pub fn delete_asset(self, id: &str) -> Self {
        self.with(Op::DeleteAsset(id.to_owned()))
    }

    /// Offers the rows of a section. They are kept if an asset refers to them.
    #[must_use]
    pub fn put_section(self, section: NewSection) -> Self {
        self.with(Op::PutSection(Box::new(section)))
    }

    /// Adds an event; the oldest of the zone goes when there are too many.
    #[must_use]
    pub fn add_event(self, event: EventRecord) -> Self {
        self.with(Op::AddEvent(event))
    }

    /// Appends to the audit log. The entry's number must be the next one
    /// ([`super::Store::next_audit`]), else [`StoreError::Conflict`].
    #[must_use]
    pub fn append_audit(self, audit: AuditRecord) -> Self {
        self.with(Op::AppendAudit(audit))
    }

    /// Adds or replaces a token.
    #[must_use]
    pub fn put_token(self, token: TokenRecord) -> Self {
        self.with(Op::PutToken(token))
    }

    /// Removes a token.
    #[must_use]
    pub fn delete_token(self, secret_digest: Digest) -> Self {
        self.with(Op::DeleteToken(secret_digest))
    }

    /// Adds or replaces an operator.
    #[must_use]
    pub fn put_operator(self, operator: OperatorRecord) -> Self {
        self.with(Op::PutOperator(operator))
    }

    /// Removes an operator.
    #[must_use]
    pub fn delete_operator(self, name: &str) -> Self {
        self.with(Op::DeleteOperator(name.to_owned()))
    }

    /// Keeps a document with its bytes, at most 64 MiB, whose digest must be the record's.
    #[must_use]
    pub fn put_document(self, document: DocumentRecord, bytes: Vec<u8>) -> Self {
        self.with(Op::PutDocument(document, Some(bytes)))
    }

    /// Changes what is known of a document whose bytes are in the store already.
    #[must_use]
    pub fn update_document(self, document: DocumentRecord) -> Self {
        self.with(Op::PutDocument(document, None))
    }

    /// Adds or replaces a rule of the product map.
    #[must_use]
    pub fn put_map_rule(self, rule: MapRuleRecord) -> Self {
        self.with(Op::PutMapRule(rule))
    }

    /// Removes a rule of the product map.
    #[must_use]
    pub fn delete_map_rule(self, id: &str) -> Self {
        self.with(Op::DeleteMapRule(id.to_owned()))
    }

    /// Adds what a person decided. Nothing takes it away again.
    #[must_use]
    pub fn put_decision(self, decision: DecisionRecord) -> Self {
        self.with(Op::PutDecision(Box::new(decision)))
    }

    /// Keeps what a report said, with its rows, under the question that it answers. Nothing takes it away again.
    #[must_use]
    pub fn put_snapshot(self, snapshot: SnapshotRecord) -> Self {
        self.with(Op::PutSnapshot(Box::new(snapshot)))
    }

    /// Keeps some bytes under a name.
    #[must_use]
    pub fn put_setting(self, name: &str, bytes: Vec<u8>) -> Self {
        self.with(Op::PutSetting(name.to_owned(), bytes))
    }

    /// Forgets the bytes under a name.
    #[must_use]
    pub fn delete_setting(self, name: &str) -> Self {
        self.with(Op::DeleteSetting(name.to_owned()))
    }

    /// Adds or replaces a page of a volume. Keys are bytes, sort as bytes and have at most
    /// [`MAX_PAGE_KEY_BYTES`].
    #[must_use]
    pub fn put_page(self, volume: Volume, key: impl Into<Vec<u8>>, bytes: impl Into<Vec<u8>>) -> Self {
        self.with(Op::PutPage(volume, key.into(), bytes.into()))
    }

    /// Removes a page, whether or not it is there.
    #[must_use]
    pub fn delete_page(self, volume: Volume, key: impl Into<Vec<u8>>) -> Self {
        self.with(Op::DeletePage(volume, key.into()))
    }

    /// Whether the transaction would change nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Everything that can be refused without looking into the store.
    pub(super) fn check(&self, stored: impl Fn(SectionKey) -> bool) -> Result<(), StoreError> {
        for op in &self.ops {
            match op {
                Op::PutAsset(asset) => name("an asset's id", &asset.id)?,
                Op::DeleteAsset(id) => name("an asset's id", id)?,
                Op::PutSection(section) => {
                    if !stored(SectionKey::new(section.kind, section.digest)) {
                        check_section(section)?;
                    }
                }
                Op::AddEvent(event) => {
                    if !event.asset.is_empty() {
                        name("an event's asset", &event.asset)?;
                    }
                }
                Op::PutToken(token) => {
                    if token.secret_digest.len() != 32 {
                        return Err(StoreError::Invalid {
                            what: "a token",
                            why: "its digest is not 32 bytes",
                        });
                    }
                }
                Op::PutOperator(operator) => name("an operator's name", &operator.name)?,
                Op::DeleteOperator(operator) => name("an operator's name", operator)?,
                Op::PutDocument(document, bytes) => check_document(document, bytes.as_deref())?,
                Op::PutMapRule(rule) => name("a map rule's id", &rule.id)?,
                Op::DeleteMapRule(id) => name("a map rule's id", id)?,
                Op::PutSetting(setting, bytes) => {
                    name("a setting's name", setting)?;
                    if bytes.len() > MAX_VALUE {
                        return Err(StoreError::Invalid { what: "a setting", why: "it is too large" });
                    }
                }
                Op::DeleteSetting(setting) => name("a setting's name", setting)?,
                Op::PutDecision(decision) => {
                    if decision.number == 0 {
                        return Err(StoreError::Invalid { what: "a decision", why: "it has no number" });
                    }
                }
                Op::PutSnapshot(snapshot) => {
                    if snapshot.nonce.len() != 16 {
                        return Err(StoreError::Invalid {
                            what: "a snapshot",
                            why: "its nonce is not 16 bytes",
                        });
                    }
                }
                Op::PutPage(_, key, bytes) => {
                    page_key(key)?;
                    if bytes.len() > MAX_VALUE {
                        return Err(StoreError::Invalid { what: "a page", why: "it is too large" });
                    }
                }
                Op::DeletePage(_, key) => page_key(key)?,
                Op::AppendAudit(_) | Op::DeleteToken(_) => {}
            }
        }
        Ok(())
    }
}

fn name(what: &'static str, name: &str) -> Result<(), StoreError> {
    if name.is_empty() {
        Err(StoreError::Invalid { what, why: "it is empty" })
    } else if name.len() > MAX_NAME_BYTES {
        Err(StoreError::Invalid { what, why: "it is longer than 200 bytes" })
    } else if name.contains('\0') {
        Err(StoreError::Invalid { what, why: "it contains a NUL" })
    } else {
        Ok(())
    }
}

fn page_key(key: &[u8]) -> Result<(), StoreError> {
    let fits = (1..=MAX_PAGE_KEY_BYTES).contains(&key.len());
    if fits {
        Ok(())
    } else {
        Err(StoreError::Invalid { what: "a page", why: "its key is too long or empty" })
    }
}

fn check_section(section: &NewSection) -> Result<(), StoreError> {
    let invalid = |why| Err(StoreError::Invalid { what: "a section", why });
    let NewSection { kind, digest, rows, payload, base: _ } = section;
    if *kind == SectionKind::Unspecified {
        return invalid("its kind is not known");
    }
    if rows.len() > MAX_ROWS {
        return invalid("it has too many rows");
    }
    if rows.iter().map(|row| 4 + row.len()).sum::<usize>() > MAX_SECTION_BYTES {
        return invalid("its rows are too large together");
    }
    if !rows.is_sorted() {
        return invalid("its rows are not in canonical order");
    }
    if rows::section_digest(rows) != *digest {
        return invalid("its rows have another digest");
    }
    if payload.as_ref().is_some_and(|it| it.len() > MAX_VALUE || rows::decompress(it).as_ref() != Some(rows))
    {
        return invalid("its payload holds other rows");
    }
    Ok(())
}

fn check_document(document: &DocumentRecord, bytes: Option<&[u8]>) -> Result<(), StoreError> {
    let invalid = |why| Err(StoreError::Invalid { what: "a document", why });
    if document.digest.len() != 32 {
        return invalid("its digest is not 32 bytes");
    }
    let Some(bytes) = bytes else { return Ok(()) };
    if bytes.len() > MAX_VALUE {
        return invalid("it is larger than 64 MiB");
    }
    if rows::sha256(bytes).as_slice() != document.digest {
        return invalid("its bytes have another digest");
    }
    Ok(())
}
