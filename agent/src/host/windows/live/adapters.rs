//! Network adapters: `GetAdaptersAddresses`, which every user may ask.
#![expect(unsafe_code, reason = "no safe interface lists adapters with their gateways")]

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GAA_FLAG_INCLUDE_GATEWAYS, GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_DNS_SERVER, GAA_FLAG_SKIP_MULTICAST,
    GetAdaptersAddresses, IP_ADAPTER_ADDRESSES_LH, IP_ADAPTER_GATEWAY_ADDRESS_LH,
    IP_ADAPTER_UNICAST_ADDRESS_LH,
};
use windows_sys::Win32::NetworkManagement::Ndis::IfOperStatusUp;
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6, AF_UNSPEC, SOCKET_ADDRESS};

use super::super::network::Adapter;
use super::buffer::{Buffer, Plain};
use super::failure;

/// Largest answer; each adapter has about half a KiB, and each address a hundred bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Most adapters, and most addresses of one; a chain that leads into itself ends there.
const MAX_LINKS: usize = 4_096;
/// Most times that the answer may grow between being measured and being read.
const MAX_TRIES: usize = 8;

// SAFETY: numbers, raw pointers, and unions of numbers.
unsafe impl Plain for IP_ADAPTER_ADDRESSES_LH {}
// SAFETY: as above.
unsafe impl Plain for IP_ADAPTER_UNICAST_ADDRESS_LH {}
// SAFETY: as above.
unsafe impl Plain for IP_ADAPTER_GATEWAY_ADDRESS_LH {}

pub(super) fn list() -> io::Result<Vec<Adapter>> {
    let flags = GAA_FLAG_INCLUDE_GATEWAYS
        | GAA_FLAG_SKIP_ANYCAST
        | GAA_FLAG_SKIP_MULTICAST
        | GAA_FLAG_SKIP_DNS_SERVER;
    let mut buffer = Buffer::of(16 * 1024);
    for _ in 0..MAX_TRIES {
        let mut size = buffer.size();
        // SAFETY: the call writes at most `size` bytes, which is the buffer's.
        let code = unsafe {
            GetAdaptersAddresses(u32::from(AF_UNSPEC), flags, ptr::null(), buffer.start(), &raw mut size)
        };
        match code {
            0 => {
                let first = buffer.start();
                return all(&buffer, first);
            }
            ERROR_NO_DATA => return Ok(Vec::new()),
            ERROR_BUFFER_OVERFLOW => {
                let wanted = usize::try_from(size).unwrap_or(usize::MAX);
                if wanted > MAX_ANSWER {
                    return Err(io::Error::other(format!("adapters of more than {MAX_ANSWER} bytes")));
                }
                buffer = Buffer::of(wanted.saturating_add(wanted / 4));
            }
            code => return Err(failure(code)),
        }
    }
    Err(io::Error::other("the list of adapters grows faster than it can be read"))
}

fn all(buffer: &Buffer, first: *const IP_ADAPTER_ADDRESSES_LH) -> io::Result<Vec<Adapter>> {
    chain(buffer, first, |it| it.Next)?.iter().map(|it| adapter(buffer, it)).collect()
}

/// The structures of a chain.
fn chain<T: Plain>(buffer: &Buffer, first: *const T, next: fn(&T) -> *mut T) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    let mut at = first;
    while !at.is_null() {
        let it = buffer.read(at).ok_or_else(|| io::Error::other("the list of adapters is broken"))?;
        if found.len() == MAX_LINKS {
            return Err(io::Error::other(format!("more than {MAX_LINKS} adapters or addresses")));
        }
        at = next(&it);
        found.push(it);
    }
    Ok(found)
}

fn adapter(buffer: &Buffer, it: &IP_ADAPTER_ADDRESSES_LH) -> io::Result<Adapter> {
    let length = usize::try_from(it.PhysicalAddressLength).unwrap_or(0);
    let addresses = chain(buffer, it.FirstUnicastAddress, |it| it.Next)?;
    let gateways = chain(buffer, it.FirstGatewayAddress, |it| it.Next)?;
    Ok(Adapter {
        name: buffer.text(it.FriendlyName),
        description: buffer.text(it.Description),
        mac: it.PhysicalAddress.get(..length).filter(|it| !it.is_empty()).map(written),
        kind: it.IfType,
        is_up: it.OperStatus == IfOperStatusUp,
        addresses: addresses.iter().filter_map(|it| address(buffer, it.Address)).collect(),
        gateways: gateways.iter().filter_map(|it| address(buffer, it.Address)).collect(),
    })
}

fn written(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for (number, byte) in bytes.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{byte:02x}", if number == 0 { "" } else { ":" });
    }
    text
}

/// `sockaddr_in` or `sockaddr_in6`.
fn address(buffer: &Buffer, it: SOCKET_ADDRESS) -> Option<IpAddr> {
    let bytes = buffer.bytes_at(it.lpSockaddr, usize::try_from(it.iSockaddrLength).ok()?)?;
    match u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?) {
        AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?).into()),
        AF_INET6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?).into()),
        _ => None,
    }
}
