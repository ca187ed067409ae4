//! HTTP/2 by hand (RFC 9113), because an honest library refuses to say what these tests say.

use std::io;

use holdpoint_tests::peer::Secured;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// Types of frames.
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GO_AWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;

/// Flags of HEADERS and CONTINUATION.
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// Error code `CANCEL`.
pub(super) const CANCEL: [u8; 4] = [0, 0, 0, 8];

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Says the preface and empty settings.
pub(super) async fn open(stream: &mut Secured) -> io::Result<()> {
    stream.write_all(PREFACE).await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    stream.flush().await
}

/// A frame on the wire; the payload is below 16 MiB.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a gRPC call, in literals and the static table (RFC 7541).
pub(super) fn call(path: &str) -> Vec<u8> {
    // `:method: POST` and `:scheme: https` are entries of the table; `:path` is named by one.
    let mut block = vec![0x83, 0x87, 0x04];
    text(&mut block, path);
    literal(&mut block, ":authority", "collector");
    literal(&mut block, "content-type", "application/grpc");
    literal(&mut block, "te", "trailers");
    block
}

/// A header that is not to be remembered.
pub(super) fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    text(block, name);
    text(block, value);
}

/// A string without Huffman coding; its length is an integer with a prefix of 7 bits.
fn text(block: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if let Ok(short @ 0..127) = u8::try_from(length) {
        block.push(short);
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        block.push(u8::try_from(length).unwrap());
    }
    block.extend(text.bytes());
}

/// The next frame: its kind, stream and payload.
pub(super) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    let id = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
    Ok((head[3], id, payload))
}
