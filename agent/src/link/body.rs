//! How a section travels: by name only, as what changed, or whole. Pure.
//!
//! The smallest form that the collector can use is chosen: a reference when it holds these very
//! rows, a delta when both sides hold the same base and the delta is smaller, else everything.

use std::io;

use holdpoint_common::proto::v1::report_part::Part;
use holdpoint_common::proto::v1::{ReportHeader, ReportPart, SectionBody, SectionPart};
use holdpoint_common::section::{Digest, Rows, pack_delta};

use super::seen::Seen;

/// Largest piece of a payload in one message, in bytes.
const PIECE: usize = 256 * 1024;

/// What the collector has of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    /// Nothing that helps.
    Nothing,
    /// These very rows, from this or another host.
    These,
    /// The rows with this digest.
    Base(Digest),
}

/// The chosen form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// By name only.
    Reference,
    /// What turns the base into the rows, packed.
    Delta {
        /// Digest of the base.
        base: Digest,
        /// The packed delta.
        packed: Vec<u8>,
    },
    /// Every row.
    Full,
}

/// Chooses; `rows_of` finds the rows of a base among what was acknowledged before.
///
/// # Errors
/// The compressor failed: memory is short.
pub fn choose(seen: &Seen, has: Has, rows_of: impl FnOnce(Digest) -> Option<Rows>) -> io::Result<Body> {
    let base = match has {
        Has::Nothing => return Ok(Body::Full),
        Has::These => return Ok(Body::Reference),
        Has::Base(base) if base == seen.digest => return Ok(Body::Reference),
        Has::Base(base) => base,
    };
    let Some(old) = rows_of(base) else { return Ok(Body::Full) };
    let packed = pack_delta(&seen.rows().delta_from(&old))?;
    Ok(if packed.len() < seen.packed.len() { Body::Delta { base, packed } } else { Body::Full })
}

/// The parts of a report, payloads in pieces.
pub fn parts(header: ReportHeader, sections: Vec<(&Seen, Body)>) -> Vec<ReportPart> {
    let mut parts = vec![ReportPart { part: Some(Part::Header(header)) }];
    for (seen, body) in sections {
        let (form, base, payload) = match body {
            Body::Reference => (SectionBody::Reference, Vec::new(), Vec::new()),
            Body::Delta { base, packed } => (SectionBody::Delta, base.to_vec(), packed),
            Body::Full => (SectionBody::Full, Vec::new(), seen.packed.clone()),
        };
        let mut pieces = payload.chunks(PIECE).map(<[u8]>::to_vec);
        let section = SectionPart {
            kind: seen.kind.into(),
            status: seen.status.into(),
            reasons: seen.reasons.clone(),
            digest: seen.digest.to_vec(),
            body: form.into(),
            base,
            payload_bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            payload: pieces.next().unwrap_or_default(),
        };
        parts.push(ReportPart { part: Some(Part::Section(section)) });
        parts.extend(pieces.map(|it| ReportPart { part: Some(Part::Payload(it)) }));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::v1::SectionStatus;
    use holdpoint_common::row::SectionKind;
    use holdpoint_common::section::{Section, unpack_delta};

    fn rows(range: std::ops::Range<u32>) -> Rows {
        Rows::from_encoded(range.map(|it| it.wrapping_mul(2_654_435_761).to_be_bytes().to_vec()).collect())
    }

    fn seen(rows: Rows) -> Seen {
        Seen::pack(Section::new(SectionKind::Software, SectionStatus::Complete, vec![], rows))
    }

    #[test]
    fn the_smallest_usable_form_is_chosen() {
        let (old, new) = (rows(0..500), seen(rows(1..501)));
        let none = |_: Digest| None;
        assert_eq!(choose(&new, Has::Nothing, none).unwrap(), Body::Full);
        assert_eq!(choose(&new, Has::These, none).unwrap(), Body::Reference);
        assert_eq!(choose(&new, Has::Base(new.digest), none).unwrap(), Body::Reference);
        assert_eq!(choose(&new, Has::Base(old.digest()), none).unwrap(), Body::Full, "the base is lost");
        let body = choose(&new, Has::Base(old.digest()), |_| Some(old.clone())).unwrap();
        let Body::Delta { base, packed } = body else { panic!("{body:?}") };
        assert_eq!(base, old.digest());
        assert_eq!(old.apply(&unpack_delta(&packed).unwrap()).unwrap().digest(), new.digest);
    }

    #[test]
    fn a_delta_larger_than_the_rows_is_not_sent() {
        let (old, new) = (rows(0..500), seen(rows(10_000..10_003)));
        assert_eq!(choose(&new, Has::Base(old.digest()), |_| Some(old)).unwrap(), Body::Full);
    }

    #[test]
    fn payloads_arrive_whole_in_pieces() {
        let seen = Seen { packed: vec![7; 2 * PIECE + 1], ..seen(rows(0..1)) };
        let parts = parts(ReportHeader::default(), vec![(&seen, Body::Full), (&seen, Body::Reference)]);
        let sizes: Vec<(usize, Option<u32>)> = parts
            .into_iter()
            .map(|it| match it.part.unwrap() {
                Part::Header(_) => (0, None),
                Part::Section(it) => (it.payload.len(), Some(it.payload_bytes)),
                Part::Payload(it) => (it.len(), None),
            })
            .collect();
        let whole = u32::try_from(2 * PIECE + 1).unwrap();
        assert_eq!(sizes, [(0, None), (PIECE, Some(whole)), (PIECE, None), (1, None), (0, Some(0))]);
    }
}
