//! The tables of endpoints as the IP helper lays them out: a count, then rows of one size.
//!
//! Source of truth: `tcpmib.h` and `udpmib.h`, `MIB_*ROW_OWNER_MODULE`; 32- and 64-bit programs see the
//! same layout. Ports are in network order in the lower half of their number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::{Endpoint, Table};

/// Where the first row starts: rows are aligned to eight bytes.
const FIRST: usize = 8;

/// Where in a row its values stand, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Size of a row.
    pub(super) row: usize,
    /// The local address.
    pub(super) address: usize,
    /// How many bytes it has.
    pub(super) width: usize,
    /// The local port.
    pub(super) port: usize,
    /// The process.
    pub(super) process: usize,
    /// The first number about the owner: the mark of a service.
    pub(super) mark: usize,
}

pub(super) const TCP: Layout = Layout { row: 160, address: 4, width: 4, port: 8, process: 20, mark: 32 };
pub(super) const TCP6: Layout = Layout { row: 192, address: 0, width: 16, port: 20, process: 52, mark: 64 };
pub(super) const UDP: Layout = Layout { row: 160, address: 0, width: 4, port: 4, process: 8, mark: 32 };
pub(super) const UDP6: Layout = Layout { row: 176, address: 0, width: 16, port: 20, process: 24, mark: 48 };

/// A table that is shorter than it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's table of endpoints is cut off")]
pub(super) struct Cut;

/// Reads every row of a table.
pub(super) fn endpoints(table: Table, bytes: &[u8]) -> Result<Vec<Endpoint>, Cut> {
    let layout = match table {
        Table::Tcp => TCP,
        Table::Tcp6 => TCP6,
        Table::Udp => UDP,
        Table::Udp6 => UDP6,
    };
    let count = usize::try_from(number(bytes, 0).ok_or(Cut)?).map_err(|_| Cut)?;
    let size = count.checked_mul(layout.row).ok_or(Cut)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let rows = bytes.get(FIRST..).and_then(|it| it.get(..size)).ok_or(Cut)?;
    rows.chunks_exact(layout.row).map(|row| endpoint(row, layout).ok_or(Cut)).collect()
}

fn endpoint(row: &[u8], layout: Layout) -> Option<Endpoint> {
    let address = row.get(layout.address..layout.address + layout.width)?;
    let address = match <[u8; 4]>::try_from(address) {
        Ok(it) => IpAddr::V4(Ipv4Addr::from(it)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
    };
    let port = row.get(layout.port..layout.port + 2)?;
    Some(Endpoint {
        address,
        port: u16::from_be_bytes(port.try_into().ok()?),
        process: number(row, layout.process)?,
        mark: number(row, layout.mark)?,
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table of one row.
    fn table(layout: Layout, address: &[u8], port: u16, process: u32, mark: u32) -> Vec<u8> {
        let mut row = vec![0xee; layout.row];
        row[layout.address..layout.address + layout.width].copy_from_slice(address);
        row[layout.port..layout.port + 2].copy_from_slice(&port.to_be_bytes());
        row[layout.process..layout.process + 4].copy_from_slice(&process.to_le_bytes());
        row[layout.mark..layout.mark + 4].copy_from_slice(&mark.to_le_bytes());
        [&[1, 0, 0, 0, 0, 0, 0, 0], row.as_slice()].concat()
    }

    #[test]
    fn rows_of_every_table_are_read_where_the_system_lays_them() {
        let six = Ipv6Addr::LOCALHOST.octets();
        for (kind, layout, address, said) in [
            (Table::Tcp, TCP, &[127, 0, 0, 1][..], "127.0.0.1"),
            (Table::Tcp6, TCP6, &six, "::1"),
            (Table::Udp, UDP, &[0, 0, 0, 0], "0.0.0.0"),
            (Table::Udp6, UDP6, &six, "::1"),
        ] {
            let bytes = table(layout, address, 3389, 1_204, 77);
            let found = endpoints(kind, &bytes).unwrap();
            let expected = Endpoint { address: said.parse().unwrap(), port: 3389, process: 1_204, mark: 77 };
            assert_eq!(found, [expected], "{kind:?}");
            for end in 8..bytes.len() {
                assert_eq!(endpoints(kind, &bytes[..end]), Err(Cut), "{kind:?} {end}");
            }
        }
    }

    #[test]
    fn an_empty_table_has_no_rows_and_a_count_beyond_memory_is_refused() {
        assert_eq!(endpoints(Table::Tcp, &[0; 4]), Ok(Vec::new()));
        assert_eq!(endpoints(Table::Tcp, &[0xff; 64]), Err(Cut));
        assert_eq!(endpoints(Table::Tcp, &[]), Err(Cut));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            for table in [Table::Tcp, Table::Tcp6, Table::Udp, Table::Udp6] {
                let _ = endpoints(table, &bytes);
            }
        }
    }
}
