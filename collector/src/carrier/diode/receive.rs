//! The receiving end: a socket that is only read, a thread that reads it, one that assembles.
//!
//! ```text
//! kernel's buffer -> reading thread -> ring -> assembling thread -> caller
//! ```
//! The ring is bounded; when it is full the reading thread waits and the kernel's buffer fills, and what that
//! cannot hold the kernel drops and counts ([`Watch::kernel_drops`]). The caller runs on the assembling
//! thread, so that one that is slow (a full disk) slows nothing but itself and is covered by both buffers.
//!
//! Nothing here sends. [`super::lock_down()`] takes the means to do it away from the whole process.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Ring, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::error;

use super::assemble::{Assembler, Object, Taken};
use super::counters::Counters;
use super::datagram::Pattern;
use super::os;
use super::quality::Session;

/// What the kernel's buffer should hold, in bytes: half a second of a fast line.
pub const BUFFER: usize = 64 * 1024 * 1024;
/// Longest that the kernel gives in one piece: datagrams that it has put together.
const PIECE: usize = 64 * 1024;
/// A chunk is handed over as soon as it has so many bytes or nothing more is there.
const CHUNK: usize = 256 * 1024;
/// Most bytes of a chunk while the ring is full, and what one more reading may add.
const FULL: usize = 1024 * 1024;
/// Chunks in the ring: 48 MiB when each is as large as it can be.
const RING: usize = 16;
/// How long a thread waits before it looks whether it shall end, in milliseconds.
const GLANCE: i64 = 100;

/// What arrives.
#[derive(Debug)]
pub enum Arrival {
    /// An object, complete and as it was sent.
    Object(Object),
    /// A datagram of a test of the link.
    Pattern(Pattern, Instant),
}

/// A socket that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot receive at {at}")]
pub struct ReceiveError {
    /// The address.
    pub at: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// A socket that is ready.
pub struct Receiver {
    socket: UdpSocket,
    state: UdpSocketState,
    at: SocketAddr,
    buffer: usize,
}

impl Receiver {
    /// Opens the socket and asks for a buffer of `buffer` bytes, [`BUFFER`] for example; beyond the limit of
    /// this host only a privileged process gets it.
    pub fn bind(at: SocketAddr, buffer: usize) -> Result<Self, ReceiveError> {
        let (socket, state, got) = open(at, buffer).map_err(|source| ReceiveError { at, source })?;
        let at = socket.local_addr().map_err(|source| ReceiveError { at, source })?;
        Ok(Self { socket, state, at, buffer: got })
    }

    /// The buffer that the kernel gave, in bytes, counted as it was asked for. What waits there needs more
    /// than its own length: 64 MiB hold about 40 MB.
    pub fn buffer(&self) -> usize {
        self.buffer
    }

    /// The address that it reads from.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Starts both threads. A panic of `arrived` is counted and does not end them.
    pub fn start(
        self,
        assembler: Assembler,
        arrived: impl FnMut(Arrival) + Send + 'static,
    ) -> Result<Receiving, ReceiveError> {
        let failed = |source| ReceiveError { at: self.at, source };
        let watch = Watch {
            assembler: Arc::new(Mutex::new(assembler)),
            panics: Arc::default(),
            read_errors: Arc::default(),
            inode: os::inode(&self.socket),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (full, ring) = sync_channel(RING);
        let (back, empty) = sync_channel(RING + 2);
        let assembling = {
            let worker = Assembling { watch: watch.clone(), ring, back, arrived };
            spawn("diode-assemble", move || worker.run()).map_err(failed)?
        };
        let reading = {
            let errors = Arc::clone(&watch.read_errors);
            let (socket, state, stop) = (self.socket, self.state, Arc::clone(&stop));
            let worker = Reading { socket, state, stop, full, empty, errors };
            spawn("diode-receive", move || worker.run()).map_err(failed)?
        };
        Ok(Receiving { watch, stop, threads: vec![reading, assembling] })
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn open(at: SocketAddr, buffer: usize) -> io::Result<(UdpSocket, UdpSocketState, usize)> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    os::set_buffer(&socket, buffer)?;
    // The kernel reports twice what was asked for, because it counts its own structures too.
    let got = socket.recv_buffer_size()? / 2;
    socket.bind(&at.into())?;
    let socket = UdpSocket::from(socket);
    let state = UdpSocketState::new((&socket).into())?;
    Ok((socket, state, got))
}

/// Both threads at work. Dropping it ends them.
pub struct Receiving {
    watch: Watch,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Receiving {
    /// What to see of it, from wherever.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Whether one of the threads has ended without being told to.
    pub fn is_broken(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Ends both threads after what has been read is assembled.
    pub fn stop(mut self) -> Watch {
        self.end();
        self.watch.clone()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a thread that receives has panicked");
            }
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.end();
    }
}

/// What to see of a receiving end.
#[derive(Clone)]
pub struct Watch {
    assembler: Arc<Mutex<Assembler>>,
    panics: Arc<AtomicU64>,
    read_errors: Arc<AtomicU64>,
    inode: Option<u64>,
}

impl Watch {
    /// What became of everything so far.
    pub fn counters(&self) -> Counters {
        self.with(|it| it.counters().clone())
    }

    /// How the links do.
    pub fn sessions(&self) -> Vec<Session> {
        self.with(|it| it.quality().sessions().to_vec())
    }

    /// Objects that are not complete, and the bytes they take.
    pub fn waiting(&self) -> (usize, usize) {
        self.with(|it| (it.waiting(), it.bytes()))
    }

    /// Panics of the caller's function.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Readings of the socket that failed.
    pub fn read_errors(&self) -> u64 {
        self.read_errors.load(Ordering::Relaxed)
    }

    /// Datagrams that the kernel dropped because this end was too slow; `None` where it does not tell.
    pub fn kernel_drops(&self) -> Option<u64> {
        os::drops(self.inode?)
    }

    fn with<T>(&self, look: impl FnOnce(&Assembler) -> T) -> T {
        look(&self.assembler.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Datagrams on their way from one thread to the other, as the kernel gave them.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Length of each piece, and of the datagrams in it, the last of which may be shorter.
    pieces: Vec<(usize, usize)>,
}

struct Reading {
    socket: UdpSocket,
    state: UdpSocketState,
    stop: Arc<AtomicBool>,
    full: SyncSender<Chunk>,
    empty: Ring<Chunk>,
    errors: Arc<AtomicU64>,
}

impl Reading {
    fn run(self) {
        let mut space = vec![0; PIECE * BATCH_SIZE];
        let mut pieces = [RecvMeta::default(); BATCH_SIZE];
        let mut chunk = Chunk::default();
        while !self.stop.load(Ordering::Relaxed) {
            let more = self.read(&mut space, &mut pieces, &mut chunk);
            if chunk.pieces.is_empty() {
                if !more {
                    self.wait();
                }
            } else if !more || chunk.bytes.len() >= CHUNK {
                let Some(next) = self.hand_over(chunk, more) else { return };
                chunk = next;
            }
        }
        // The other thread may have ended before; then there is nobody to have it.
        drop(self.full.send(chunk));
    }

    /// Gives whether more may be there.
    fn read(&self, space: &mut [u8], pieces: &mut [RecvMeta], chunk: &mut Chunk) -> bool {
        let mut buffers: Vec<io::IoSliceMut<'_>> = space.chunks_mut(PIECE).map(io::IoSliceMut::new).collect();
        let count = match self.state.recv((&self.socket).into(), &mut buffers, pieces) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                // An error that stays is not asked for without end.
                thread::sleep(Duration::from_millis(1));
                return false;
            }
        };
        for (piece, buffer) in pieces.iter().zip(&buffers).take(count) {
            let bytes = buffer.get(..piece.len).unwrap_or_default();
            chunk.bytes.extend_from_slice(bytes);
            chunk.pieces.push((bytes.len(), piece.stride.max(1)));
        }
        true
    }

    /// Gives an empty chunk for the next datagrams, or the same one where there is more to read and room for it
    /// and none in the ring; `None` when the other thread has ended.
    fn hand_over(&self, chunk: Chunk, more: bool) -> Option<Chunk> {
        let chunk = match self.full.try_send(chunk) {
            Ok(()) => return Some(self.empty.try_recv().unwrap_or_default()),
            Err(TrySendError::Full(chunk)) => chunk,
            Err(TrySendError::Disconnected(_)) => return None,
        };
        if more && chunk.bytes.len() < FULL {
            return Some(chunk);
        }
        self.full.send(chunk).ok()?;
        Some(self.empty.try_recv().unwrap_or_default())
    }

    fn wait(&self) {
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
        let glance = Timespec { tv_sec: 0, tv_nsec: GLANCE * 1_000_000 };
        if poll(&mut sockets, Some(&glance)).is_err() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

struct Assembling<F> {
    watch: Watch,
    ring: Ring<Chunk>,
    back: SyncSender<Chunk>,
    arrived: F,
}

impl<F: FnMut(Arrival)> Assembling<F> {
    fn run(mut self) {
        while let Ok(mut chunk) = self.ring.recv() {
            let now = Instant::now();
            let mut rest = chunk.bytes.as_slice();
            for (length, stride) in chunk.pieces.drain(..) {
                let (piece, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                rest = behind;
                if piece.is_empty() {
                    self.take(piece, now);
                }
                for datagram in piece.chunks(stride) {
                    self.take(datagram, now);
                }
            }
            chunk.bytes.clear();
            // One that was large because the ring was full is not kept.
            if chunk.bytes.capacity() <= 2 * FULL {
                drop(self.back.try_send(chunk));
            }
        }
    }

    fn take(&mut self, datagram: &[u8], now: Instant) {
        let taken = self.watch.assembler.lock().unwrap_or_else(PoisonError::into_inner).take(datagram, now);
        let arrival = match taken {
            Taken::Complete(object) => Arrival::Object(object),
            Taken::Pattern(pattern) => Arrival::Pattern(pattern, now),
            Taken::Kept | Taken::Duplicate | Taken::Rejected(_) | Taken::Corrupt | Taken::Failed => return,
        };
        let arrived = &mut self.arrived;
        if catch_unwind(AssertUnwindSafe(|| arrived(arrival))).is_err() {
            self.watch.panics.fetch_add(1, Ordering::Relaxed);
        }
    }
}
