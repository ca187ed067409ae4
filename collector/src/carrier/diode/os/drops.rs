//! What the kernel says of a socket: datagrams that it dropped; nothing where it is another kernel.
//!
//! Source of truth: `/proc/net/udp` and `udp6`, one line a socket, whose last column counts them. The line is
//! found by the socket's inode.

use std::fs;
use std::net::UdpSocket;

const FILES: [&str; 2] = ["/proc/self/net/udp", "/proc/self/net/udp6"];
/// Column of the inode.
const INODE: usize = 9;

/// The socket's inode; `None` where it has none.
pub(in super::super) fn inode(socket: &UdpSocket) -> Option<u64> {
    rustix::fs::fstat(socket).ok().map(|it| it.st_ino)
}

/// Datagrams dropped by the kernel for that socket since it was opened.
pub(in super::super) fn drops(inode: u64) -> Option<u64> {
    FILES.iter().find_map(|file| drops_in(&fs::read_to_string(file).ok()?, inode))
}

fn drops_in(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let same = words.nth(INODE)?.parse::<u64>() == Ok(inode);
        words.next_back().filter(|_| same)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_stand_in_the_last_column_of_the_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            \x20 203: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 12\n\
            \x20 204: 00000000:1F91 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12 2 0000000000000000 3\n";
        assert_eq!(
            (drops_in(table, 4711), drops_in(table, 12), drops_in(table, 3)),
            (Some(12), Some(3), None)
        );
        assert_eq!(drops_in("", 1), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_real_socket_is_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(drops(inode(&socket).unwrap()), Some(0));
    }
}
