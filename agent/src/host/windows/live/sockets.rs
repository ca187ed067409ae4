//! Tables of endpoints: `GetExtendedTcpTable` and `GetExtendedUdpTable`, which every user may ask.
#![expect(unsafe_code, reason = "no safe interface gives the tables with their processes")]

use std::io;
use std::mem::offset_of;

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_NOT_SUPPORTED};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetExtendedTcpTable, GetExtendedUdpTable, MIB_TCP6ROW_OWNER_MODULE, MIB_TCPROW_OWNER_MODULE,
    MIB_UDP6ROW_OWNER_MODULE, MIB_UDPROW_OWNER_MODULE, TCP_TABLE_OWNER_MODULE_LISTENER,
    UDP_TABLE_OWNER_MODULE,
};
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6};

use super::super::network::{Endpoint, Table};
use super::super::tables::{Layout, TCP, TCP6, UDP, UDP6, endpoints as parsed};
use super::buffer::Buffer;
use super::{failure, not_found};

/// Largest table; a row has at most 192 bytes.
const MAX_TABLE: usize = 16 * 1024 * 1024;
/// Most times that a table may grow between being measured and being read.
const MAX_TRIES: usize = 8;

pub(super) fn endpoints(table: Table) -> io::Result<Vec<Endpoint>> {
    let mut buffer = Buffer::of(16 * 1024);
    for _ in 0..MAX_TRIES {
        let mut size = buffer.size();
        match ask(table, &mut buffer, &mut size) {
            0 => return parsed(table, buffer.bytes()).map_err(io::Error::other),
            ERROR_INSUFFICIENT_BUFFER => {
                let wanted = usize::try_from(size).unwrap_or(usize::MAX);
                if wanted > MAX_TABLE {
                    return Err(io::Error::other(format!("a table of more than {MAX_TABLE} bytes")));
                }
                buffer = Buffer::of(wanted.saturating_add(wanted / 4));
            }
            ERROR_NOT_SUPPORTED => return Err(not_found("this system has no such protocol")),
            code => return Err(failure(code)),
        }
    }
    Err(io::Error::other("the table grows faster than it can be read"))
}

fn ask(table: Table, buffer: &mut Buffer, size: &mut u32) -> u32 {
    let family = match table {
        Table::Tcp | Table::Udp => u32::from(AF_INET),
        Table::Tcp6 | Table::Udp6 => u32::from(AF_INET6),
    };
    match table {
        // SAFETY: the call writes at most `size` bytes, which is the buffer's.
        Table::Tcp | Table::Tcp6 => unsafe {
            GetExtendedTcpTable(buffer.start(), size, 0, family, TCP_TABLE_OWNER_MODULE_LISTENER, 0)
        },
        // SAFETY: as above.
        Table::Udp | Table::Udp6 => unsafe {
            GetExtendedUdpTable(buffer.start(), size, 0, family, UDP_TABLE_OWNER_MODULE, 0)
        },
    }
}

/// The layouts, which are read on every system, are those of the system's own declarations.
macro_rules! same {
    ($layout:expr, $row:ty, $address:ident, $port:ident) => {{
        let Layout { row, address, port, process, mark, .. } = $layout;
        assert!(row == size_of::<$row>());
        assert!(address == offset_of!($row, $address));
        assert!(port == offset_of!($row, $port));
        assert!(process == offset_of!($row, dwOwningPid));
        assert!(mark == offset_of!($row, OwningModuleInfo));
    }};
}

const _: () = {
    same!(TCP, MIB_TCPROW_OWNER_MODULE, dwLocalAddr, dwLocalPort);
    same!(TCP6, MIB_TCP6ROW_OWNER_MODULE, ucLocalAddr, dwLocalPort);
    same!(UDP, MIB_UDPROW_OWNER_MODULE, dwLocalAddr, dwLocalPort);
    same!(UDP6, MIB_UDP6ROW_OWNER_MODULE, ucLocalAddr, dwLocalPort);
};
