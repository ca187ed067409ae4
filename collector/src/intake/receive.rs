//! Taking a report off the wire: bounded in bytes, parts and time, whoever sends it.
//!
//! A section over its limit is passed over, not kept; the others are taken. What is held in
//! memory for all reports together is bounded by [`Doors`]: waiting there slows a storm down
//! and loses nothing.

use std::time::Duration;

use holdpoint_common::proto::v1::report_part::Part;
use holdpoint_common::proto::v1::{ReportHeader, ReportPart};
use holdpoint_common::section::Digest;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use super::parse::{Opening, SectionHead, opening};

/// Most payload bytes of one report that are kept.
pub(super) const MAX_REPORT: usize = 16 * 1024 * 1024;
/// Most payload bytes of one report at all, with those that are passed over.
const MAX_SENT: usize = 2 * MAX_REPORT;
/// Most parts of one report.
const MAX_PARTS: usize = 8_192;
/// Most sections of one report, known or not.
const MAX_SECTIONS: usize = 64;
/// A report up to this size needs no large door.
const SMALL_REPORT: usize = 256 * 1024;
/// Reports that are taken at the same time.
const SMALL_DOORS: usize = 128;
/// Of them, those that may be larger than [`SMALL_REPORT`]. Together: 128 * 256 KiB + 2 * 16 MiB.
const LARGE_DOORS: usize = 2;
/// Longest pause between two parts.
const PART_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for a door.
const DOOR_TIMEOUT: Duration = Duration::from_secs(25);

/// How many reports may be in memory.
#[derive(Debug)]
pub(super) struct Doors {
    small: Semaphore,
    large: Semaphore,
}

impl Default for Doors {
    fn default() -> Self {
        Self { small: Semaphore::new(SMALL_DOORS), large: Semaphore::new(LARGE_DOORS) }
    }
}

impl Doors {
    /// Waits until one more report may be in memory.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, Status> {
        through(&self.small).await
    }
}

async fn through(door: &Semaphore) -> Result<SemaphorePermit<'_>, Status> {
    match timeout(DOOR_TIMEOUT, door.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => {
            Err(Status::unavailable("the collector is taking other reports: try again later"))
        }
    }
}

/// A section as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Whole and within its limits.
    Taken { head: SectionHead, payload: Vec<u8> },
    /// Not taken; sending it again cannot help.
    Refused { kind: i32, digest: Option<Digest>, why: String },
}

/// The header of a report.
pub(super) async fn header<S>(parts: &mut S) -> Result<ReportHeader, Status>
where
    S: Stream<Item = Result<ReportPart, Status>> + Unpin,
{
    match next(parts).await? {
        Some(Part::Header(header)) => Ok(header),
        Some(Part::Section(_) | Part::Payload(_)) | None => {
            Err(Status::invalid_argument("a report starts with its header"))
        }
    }
}

/// The sections of a report, after its header.
pub(super) async fn sections<S>(parts: &mut S, doors: &Doors) -> Result<Vec<Incoming>, Status>
where
    S: Stream<Item = Result<ReportPart, Status>> + Unpin,
{
    let (mut sections, mut open): (Vec<Incoming>, Option<Filling>) = (Vec::new(), None);
    let (mut kept, mut sent, mut count) = (0, 0, 0);
    let mut large = None;
    while let Some(part) = next(parts).await? {
        count += 1;
        if count > MAX_PARTS {
            return Err(Status::invalid_argument("the report has too many parts"));
        }
        let piece = match part {
            Part::Header(_) => return Err(Status::invalid_argument("a report has one header")),
            Part::Section(mut section) => {
                if open.is_some() {
                    return Err(Status::invalid_argument("a section ends before its payload is complete"));
                }
                let first = std::mem::take(&mut section.payload);
                let filling = Filling::new(opening(section));
                if sections.len() == MAX_SECTIONS || sections.iter().any(|it| kind_of(it) == filling.kind()) {
                    return Err(Status::invalid_argument("a report has each section at most once"));
                }
                kept += filling.keeps();
                if kept > MAX_REPORT {
                    return Err(Status::out_of_range(
                        "the report is larger than 16 MiB: send fewer sections at a time",
                    ));
                }
                if kept > SMALL_REPORT && large.is_none() {
                    large = Some(through(&doors.large).await?);
                }
                open = Some(filling);
                first
            }
            Part::Payload(piece) => piece,
        };
        sent += piece.len();
        if sent > MAX_SENT {
            return Err(Status::out_of_range("the report is larger than 32 MiB"));
        }
        let Some(filling) = &mut open else {
            return Err(Status::invalid_argument("a payload without a section"));
        };
        filling.take(&piece)?;
        if filling.is_full() {
            sections.extend(open.take().map(Filling::done));
        }
    }
    if open.is_some() {
        return Err(Status::invalid_argument("the report ends before its last section is complete"));
    }
    Ok(sections)
}

/// A section whose payload is arriving.
struct Filling {
    opening: Opening,
    payload: Vec<u8>,
    missing: usize,
}

impl Filling {
    fn new(opening: Opening) -> Self {
        let missing = match &opening {
            Opening::Taken(head) => head.payload_bytes,
            Opening::Refused { payload_bytes, .. } => *payload_bytes,
        };
        Self { opening, payload: Vec::new(), missing }
    }

    fn kind(&self) -> i32 {
        match &self.opening {
            Opening::Taken(head) => head.kind.into(),
            Opening::Refused { kind, .. } => *kind,
        }
    }

    /// Bytes that will be kept.
    fn keeps(&self) -> usize {
        match &self.opening {
            Opening::Taken(head) => head.payload_bytes,
            Opening::Refused { .. } => 0,
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Status> {
        self.missing = self
            .missing
            .checked_sub(piece.len())
            .ok_or_else(|| Status::invalid_argument("a section has more payload than it said"))?;
        if matches!(self.opening, Opening::Taken(_)) {
            self.payload.extend_from_slice(piece);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.missing == 0
    }

    fn done(self) -> Incoming {
        match self.opening {
            Opening::Taken(head) => Incoming::Taken { head, payload: self.payload },
            Opening::Refused { kind, digest, why, payload_bytes: _ } => {
                Incoming::Refused { kind, digest, why }
            }
        }
    }
}

fn kind_of(section: &Incoming) -> i32 {
    match section {
        Incoming::Taken { head, .. } => head.kind.into(),
        Incoming::Refused { kind, .. } => *kind,
    }
}

async fn next<S>(parts: &mut S) -> Result<Option<Part>, Status>
where
    S: Stream<Item = Result<ReportPart, Status>> + Unpin,
{
    match timeout(PART_TIMEOUT, parts.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(part)) => match part?.part {
            Some(part) => Ok(Some(part)),
            None => Err(Status::invalid_argument("a part of a kind that this collector does not know")),
        },
        Err(_) => Err(Status::deadline_exceeded("the report stopped arriving")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::v1::{SectionBody, SectionPart, SectionStatus};
    use holdpoint_common::row::SectionKind;

    fn part(part: Part) -> ReportPart {
        ReportPart { part: Some(part) }
    }

    fn section(kind: SectionKind, payload_bytes: u32, payload: &[u8]) -> ReportPart {
        part(Part::Section(SectionPart {
            kind: kind.into(),
            status: SectionStatus::Complete.into(),
            digest: vec![1; 32],
            body: SectionBody::Full.into(),
            payload_bytes,
            payload: payload.to_vec(),
            ..SectionPart::default()
        }))
    }

    async fn take(parts: Vec<ReportPart>) -> Result<Vec<Incoming>, Status> {
        sections(&mut tokio_stream::iter(parts.into_iter().map(Ok)), &Doors::default()).await
    }

    #[tokio::test]
    async fn a_section_over_its_limit_is_passed_over_and_the_others_are_taken() {
        let piece = vec![0; 3 * 1024 * 1024];
        let taken = take(vec![
            section(SectionKind::Software, 6 * 1024 * 1024, &piece),
            part(Part::Payload(piece.clone())),
            section(SectionKind::Services, 4, b"ab"),
            part(Part::Payload(b"cd".to_vec())),
        ])
        .await
        .unwrap();
        assert!(matches!(&taken[0], Incoming::Refused { why, .. } if why.contains("4 MiB")), "{taken:?}");
        assert!(matches!(&taken[1], Incoming::Taken { payload, .. } if payload == b"abcd"));
    }

    #[tokio::test]
    async fn reports_that_break_their_own_word_are_refused() {
        for parts in [
            vec![section(SectionKind::Software, 3, b"abcd")],
            vec![section(SectionKind::Software, 3, b"ab")],
            vec![section(SectionKind::Software, 3, b"ab"), section(SectionKind::Services, 0, b"")],
            vec![section(SectionKind::Software, 0, b""), section(SectionKind::Software, 0, b"")],
            vec![part(Part::Payload(b"a".to_vec()))],
            vec![part(Part::Header(ReportHeader::default()))],
            vec![ReportPart { part: None }],
        ] {
            let refused = take(parts).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
        }
    }

    #[tokio::test]
    async fn a_report_larger_than_its_limit_is_refused_before_it_is_in_memory() {
        let kinds =
            [SectionKind::Platform, SectionKind::Firmware, SectionKind::Software, SectionKind::Updates];
        let four_mib = 4 * 1024 * 1024;
        let payload = vec![0; four_mib];
        let mut parts: Vec<_> =
            kinds.iter().map(|&kind| section(kind, u32::try_from(four_mib).unwrap(), &payload)).collect();
        parts.push(section(SectionKind::Services, 1, b""));
        assert_eq!(take(parts).await.unwrap_err().code(), tonic::Code::OutOfRange);
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_that_stops_arriving_ends() {
        let mut parts = tokio_stream::pending::<Result<ReportPart, Status>>();
        assert_eq!(header(&mut parts).await.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    }
}
