//! Peers that take room, time or turns: silence, half a protocol, and too much of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use holdpoint_common::proto::v1::ReportPart;
use holdpoint_common::proto::v1::report_part::Part;
use holdpoint_tests::peer::{Secured, Traffic};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::Code;

use super::frames::{
    CANCEL, CONTINUATION, END_HEADERS, END_STREAM, GO_AWAY, HEADERS, PING, RST_STREAM, call, frame, literal,
    next, open,
};
use super::{Agent, Site};

/// Silent connections, and how many of them come from one address.
const SILENT: u32 = 5_000;
const SILENT_PER_ADDRESS: u32 = 50;
/// Within this long the collector has closed them.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);
/// Connections that shake hands and never speak HTTP/2.
const MUTE: u32 = 200;
/// Streams that are opened and taken back.
const RESETS: u32 = 10_000;
/// Size of the headers that are too large, bytes.
const HEADER_BYTES: usize = 64 * 1024;
/// Header frames that never end, and their size in bytes.
const CONTINUATIONS: u32 = 2_000;
const CONTINUATION_BYTES: usize = 4 * 1024;
/// Connections of an attack.
const ATTACKERS: u32 = 6;
/// Pings of one connection that reads no answer, and how long it tries.
const PINGS: u32 = 200_000;
const UNREAD_FOR: Duration = Duration::from_secs(3);
/// A message over every limit, bytes.
const LARGE: usize = 6 * 1024 * 1024;
/// Longest wait for an answer to an attack.
const ANSWERED_WITHIN: Duration = Duration::from_mins(1);
/// A call that anybody with a certificate may make.
const CHECK_IN: &str = "/holdpoint.v1.AgentLink/CheckIn";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_takes_a_place_for_a_moment_and_keeps_nobody_waiting() {
    let site = Site::start().await;
    let (during, after) = (site.enrol().await, site.enrol().await);
    let quiet = site.memory();

    let count = SILENT.min(free_files() / 2);
    let mut silent = Vec::new();
    for number in 0..count {
        // Distinct source addresses, as a network of infected hosts has.
        let group = u8::try_from(number / SILENT_PER_ADDRESS).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 250, group, 1), 0))).unwrap();
        silent.push(socket.connect(site.zone.address).await.unwrap());
    }
    site.serve(during, &format!("{count} silent connections ({} open, {quiet} before)", open_files(&site)))
        .await;
    let started = Instant::now();
    for stream in silent {
        closed(stream, started).await;
    }
    println!("all closed {} s after the last one opened", started.elapsed().as_secs());
    site.serve(after, "the time after it").await;
    site.end().await;
}

/// File descriptors that this process may still open (`proc_pid_limits(5)`).
fn free_files() -> u32 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|it| it.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).and_then(|it| it.parse().ok()).unwrap_or(u32::MAX)
}

/// File descriptors of the collector.
fn open_files(site: &Site) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", site.zone.pid())).unwrap().count()
}

async fn closed(mut stream: TcpStream, since: Instant) {
    let left = CLOSED_WITHIN.saturating_sub(since.elapsed());
    let mut byte = [0];
    let read = tokio::time::timeout(left, stream.read(&mut byte)).await;
    let read = read.unwrap_or_else(|_| panic!("a silent connection is still open after {CLOSED_WITHIN:?}"));
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_protocol_takes_a_bounded_place() {
    let site = Site::start().await;
    let honest = site.enrol().await;
    let mut mute = Vec::new();
    for _ in 0..MUTE / 50 {
        // Each has an address of its own, and so a place of its own under the cap.
        let peer = site.enrol().await;
        for _ in 0..50 {
            mute.push(peer.secure(site.zone.address, &Traffic::default().into()).await.unwrap());
        }
    }
    site.serve(honest, &format!("{MUTE} connections without HTTP/2")).await;

    // More from one address than it may have: the surplus is dropped, others are served.
    let greedy = site.enrol().await;
    let mut refused = 0;
    for _ in 0..100 {
        match greedy.secure(site.zone.address, &Traffic::default().into()).await {
            Ok(stream) => mute.push(stream),
            Err(_) => refused += 1,
        }
    }
    assert!(refused >= 100 - 64, "{refused} of 100 refused");
    let honest = site.enrol().await;
    site.serve(honest, "100 connections from one address").await;
    drop(mute);
    site.end().await;
}

/// A connection that has said the preface.
async fn spoken(site: &Site) -> Secured {
    let peer = site.enrol().await;
    let mut stream = peer.secure(site.zone.address, &Traffic::default().into()).await.unwrap();
    open(&mut stream).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_of_http2_ends_the_call_or_the_connection() {
    let site = Site::start().await;

    attack(&site, "headers of 64 KiB", headers_too_large).await;
    attack(&site, "headers without end", headers_without_end).await;
    attack(&site, "rapid resets", rapid_resets).await;
    attack(&site, "questions whose answers nobody reads", unread_pongs).await;
    site.end().await;
}

/// Runs an attack over several connections while an honest agent is served.
async fn attack<F>(site: &Site, name: &str, by: impl Fn(Secured) -> F)
where
    F: Future<Output = String> + Send + 'static,
{
    let honest = site.enrol().await;
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        attackers.spawn(by(spoken(site).await));
    }
    let (answers, ()) = tokio::join!(attackers.join_all(), site.serve(honest, name));
    println!("{name}: {}", answers[0]);
}

/// Waits until the collector says that stream 1 or the connection is over; what it said.
async fn over(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let said = async {
        loop {
            match next(stream).await {
                Ok((GO_AWAY, _, payload)) => break format!("GOAWAY {:?}", payload.get(4..8)),
                Ok((RST_STREAM, 1, payload)) => break format!("RST_STREAM {payload:?}"),
                Ok((HEADERS, 1, _)) => break "an answer".to_owned(),
                Ok(_) => {}
                Err(cause) => break format!("closed: {}", cause.kind()),
            }
        }
    };
    tokio::time::timeout(ANSWERED_WITHIN, said).await.expect("an attack is answered")
}

async fn headers_too_large(mut stream: Secured) -> String {
    let mut block = call(CHECK_IN);
    literal(&mut block, "x-large", &"x".repeat(HEADER_BYTES));
    let pieces: Vec<&[u8]> = block.chunks(16 * 1024).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let kind = if at == 0 { HEADERS } else { CONTINUATION };
        let end = if at + 1 == pieces.len() { END_HEADERS } else { 0 };
        let flags = end | if at == 0 { END_STREAM } else { 0 };
        if stream.write_all(&frame(kind, flags, 1, piece)).await.is_err() {
            break;
        }
    }
    // A collector that has ended the connection is not there to be flushed to.
    let _ = stream.flush().await;
    over(&mut stream).await
}

/// Waits until the collector ends the connection; what it said.
async fn ended(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let said = async {
        loop {
            match next(stream).await {
                Ok((GO_AWAY, _, payload)) => break format!("GOAWAY {:?}", payload.get(4..8)),
                Ok(_) => {}
                Err(cause) => break format!("closed: {}", cause.kind()),
            }
        }
    };
    tokio::time::timeout(ANSWERED_WITHIN, said).await.expect("an attack ends the connection")
}

async fn headers_without_end(stream: Secured) -> String {
    let (mut from, mut to) = tokio::io::split(stream);
    let mut block = call(CHECK_IN);
    literal(&mut block, "x-first", "x");
    let sent = async {
        to.write_all(&frame(HEADERS, 0, 1, &block)).await?;
        let mut more = Vec::new();
        literal(&mut more, "x-more", &"x".repeat(CONTINUATION_BYTES));
        for _ in 0..CONTINUATIONS {
            to.write_all(&frame(CONTINUATION, 0, 1, &more)).await?;
        }
        to.flush().await
    };
    let (sent, said) = tokio::join!(sent, ended(&mut from));
    told(&said, &sent)
}

async fn rapid_resets(stream: Secured) -> String {
    let (mut from, mut to) = tokio::io::split(stream);
    let block = call(CHECK_IN);
    let sent = async {
        for number in 0..RESETS {
            let id = 2 * number + 1;
            let mut both = frame(HEADERS, END_HEADERS, id, &block);
            both.extend(frame(RST_STREAM, 0, id, &CANCEL));
            to.write_all(&both).await?;
        }
        to.flush().await
    };
    let (sent, said) = tokio::join!(sent, ended(&mut from));
    told(&said, &sent)
}

fn told(said: &str, sent: &io::Result<()>) -> String {
    format!("{said}, sending: {:?}", sent.as_ref().map_err(io::Error::kind))
}

/// Pings whose answers stay in the pipe: the collector stops reading before they fill its memory.
async fn unread_pongs(mut stream: Secured) -> String {
    let ping = frame(PING, 0, 0, &[7; 8]);
    let sent = async {
        for _ in 0..PINGS {
            stream.write_all(&ping).await?;
        }
        stream.flush().await
    };
    match tokio::time::timeout(UNREAD_FOR, sent).await {
        Ok(sent) => format!("sending: {:?}", sent.map_err(|it| it.kind())),
        Err(_) => "the collector stopped reading".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_is_too_large_or_never_comes_ends() {
    let site = Site::start().await;
    let slow = site.agent().await;
    let large = site.agent().await;
    let honest = site.enrol().await;
    let (stalled, refused, ()) =
        tokio::join!(stall(slow), too_large(large), site.serve(honest, "a stalled report and one of 6 MiB"));
    assert_eq!(stalled.0, Code::DeadlineExceeded, "{stalled:?}");
    println!("a stalled report ended after {} s: {}", stalled.2.as_secs(), stalled.1);
    assert_eq!(refused.0, Code::OutOfRange, "{refused:?}");
    println!("a message of 6 MiB: {}", refused.1);
    site.end().await;
}

/// A header, then silence.
async fn stall(mut agent: Agent) -> (Code, String, Duration) {
    agent.peer.sequence += 1;
    let header = ReportPart { part: Some(Part::Header(agent.peer.header())) };
    let parts = tokio_stream::iter([header]).chain(tokio_stream::pending());
    let started = Instant::now();
    let answer = tokio::time::timeout(ANSWERED_WITHIN, agent.link.report(parts)).await;
    let status = answer.expect("a stalled report ends").unwrap_err();
    (status.code(), status.message().to_owned(), started.elapsed())
}

/// One message of 6 MiB.
async fn too_large(mut agent: Agent) -> (Code, String) {
    agent.peer.sequence += 1;
    let parts = [Part::Header(agent.peer.header()), Part::Payload(vec![0; LARGE])]
        .map(|it| ReportPart { part: Some(it) });
    let status = agent.link.report(tokio_stream::iter(parts)).await.unwrap_err();
    (status.code(), status.message().to_owned())
}
