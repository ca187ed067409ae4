//! The canonical form of rules and sets: what their digest is over.
//!
//! Every attribute counts as the kernel says it, but for those that move by themselves or that
//! only name a place in the kernel: counters, what a quota has used, when something was last seen,
//! expiry, handles. A set without a name of its own counts by what it holds. Comments do not filter
//! and do not count.

use super::attributes::{attributes, find, plain};
use super::set::Sets;

/// `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`, `NFTA_LIST_ELEM`.
pub(super) const NAME: u16 = 1;
pub(super) const DATA: u16 = 2;
pub(super) const ELEMENT: u16 = 1;

/// Deepest nesting of expressions in expressions.
const MAX_DEPTH: usize = 4;

/// Adds a length and bytes, so that no two different rows of records look alike.
pub(super) fn record(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(bytes);
}

/// Adds one expression of a rule.
pub(super) fn expression(out: &mut Vec<u8>, bytes: &[u8], sets: Sets<'_>) {
    nested(out, bytes, sets, 0);
}

fn nested(out: &mut Vec<u8>, bytes: &[u8], sets: Sets<'_>, depth: usize) {
    let name = find(bytes, NAME).map(plain).unwrap_or_default();
    record(out, name.as_bytes());
    let data = find(bytes, DATA).unwrap_or_default();
    for attribute in attributes(data) {
        if moves(&name, attribute.kind) {
            continue;
        }
        let kind = attribute.kind.to_le_bytes();
        match role(&name, attribute.kind) {
            Role::Set => {
                record(out, &kind);
                record(out, &sets.meaning(&plain(attribute.value)));
            }
            Role::Expression if depth < MAX_DEPTH => {
                record(out, &kind);
                nested(out, attribute.value, sets, depth + 1);
            }
            Role::Expressions if depth < MAX_DEPTH => {
                record(out, &kind);
                for it in attributes(attribute.value).filter(|it| it.kind == ELEMENT) {
                    nested(out, it.value, sets, depth + 1);
                }
            }
            Role::Value | Role::Expression | Role::Expressions => {
                record(out, &kind);
                record(out, attribute.value);
            }
        }
    }
    record(out, b"end");
}

/// Values that change without anybody changing a rule.
fn moves(name: &str, kind: u16) -> bool {
    match name {
        "counter" | "last" => true,
        // NFTA_QUOTA_CONSUMED
        "quota" => kind == 4,
        _ => false,
    }
}

enum Role {
    Value,
    /// The name of a set.
    Set,
    Expression,
    Expressions,
}

fn role(name: &str, kind: u16) -> Role {
    match (name, kind) {
        // NFTA_LOOKUP_SET, NFTA_DYNSET_SET_NAME, NFTA_OBJREF_SET_NAME
        ("lookup" | "dynset", 1) | ("objref", 4) => Role::Set,
        // NFTA_DYNSET_EXPR, NFTA_INNER_EXPR
        ("dynset", 7) | ("inner", 5) => Role::Expression,
        // NFTA_DYNSET_EXPRESSIONS
        ("dynset", 10) => Role::Expressions,
        _ => Role::Value,
    }
}

/// Whether an object's data moves: counters do, of a quota the used part.
pub(super) fn object(out: &mut Vec<u8>, kind: u32, data: &[u8]) {
    const COUNTER: u32 = 1;
    const QUOTA: u32 = 2;
    for attribute in attributes(data) {
        if kind == COUNTER || (kind == QUOTA && attribute.kind == 4) {
            continue;
        }
        record(out, &attribute.kind.to_le_bytes());
        record(out, attribute.value);
    }
}
