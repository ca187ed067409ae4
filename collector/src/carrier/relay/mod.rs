//! The relay: objects over TCP and TLS, outwards, and not a byte of payload back.
//!
//! ```text
//! zone's tray ─► send ═══TLS 1.3═══► listen ─► spool/SITE/ZONE ─► send ═══TLS 1.3═══► listen ─► site
//!                                    ingest                       forward
//! ```
//! On the wire: 4 bytes of length, big-endian, and the object, again and again ([`frame`]).
//!
//! **What goes back.** The side that is called finishes the handshake, says `close_notify`, and ends its half of
//! the connection (`FIN`) before it has read the first byte of the first object. From there on it holds only the
//! reading half of the socket and the kernel would refuse to send for it, so no answer to a key update, no alert
//! and no acknowledgement can leave, whatever a caller sends. Its certificate has an Ed25519 key, so even the
//! handshake has one length: the bytes towards the zone are the same for 1 kB and for 100 MB, and a test counts
//! them. The caller reads up to that `close_notify`, by which it knows that it was let in, and then holds only the
//! writing half. What is left of a way back is TCP itself: acknowledgements, windows and resets, which a relay
//! that somebody else owns could time.
//!
//! **What the caller knows.** That the next host's kernel has the bytes, which is not delivery: people are told
//! "sent". An object leaves the tray when its bytes were acknowledged and the connection outlived them by two
//! seconds ([`Timing::settle`]); when the connection breaks before, it is sent again. What the other side had read
//! and not yet stored when it was killed is lost on this hop, and heals by repetition like all that is lost.
//!
//! **A full disk.** The called side asks for room before it reads an object. Without room it ends its connections
//! and lets nobody in; what had not been read was young enough to lie in the caller's tray still.
//!
//! `ingest` and `forward` are two processes under two users with one folder between them. Ingest cannot open a
//! connection and forward cannot accept one ([`Role`]); neither holds a key that could sign an object.

pub mod args;
mod config;
mod desk;
pub mod frame;
mod incoming;
mod listen;
mod os;
mod outgoing;
mod pace;
mod send;
mod trays;
pub mod verbs;
mod zones;

pub use config::{Config, ConfigError, Destination, FILE as CONFIG_FILE, IngestSection, SpoolSection};
pub use desk::{Bounds, Desk, DeskError, Tally};
pub use listen::{Counters, Limits, ListenError, Listener, Sink, Took, listen};
pub use os::{Role, restrict};
pub use send::{HostPort, InvalidHostPort, SendError, Sender, Sent, Timing, send};
pub use trays::Trays;
pub use zones::{Believed, Zones, ZonesError};

/// The one application protocol of the conduit's objects.
pub const PROTOCOL: &[u8] = b"holdpoint-objects/1";

#[cfg(test)]
mod tests;
