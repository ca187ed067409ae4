//! Disks: which there are, and what each said when it was found.
//!
//! A disk is opened without any right to read or write it, which every user may; what is asked is what
//! the system keeps in memory (`StorageDeviceProperty`), so that no disk has to wake or to answer.
#![expect(unsafe_code, reason = "no safe interface lists disks or asks for their properties")]

use std::io;
use std::ptr;

use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    DIGCF_DEVICEINTERFACE, DIGCF_PRESENT, HDEVINFO, SP_DEVICE_INTERFACE_DATA,
    SP_DEVICE_INTERFACE_DETAIL_DATA_W, SetupDiDestroyDeviceInfoList, SetupDiEnumDeviceInterfaces,
    SetupDiGetClassDevsW, SetupDiGetDeviceInterfaceDetailW,
};
use windows_sys::Win32::Foundation::{CloseHandle, ERROR_NO_MORE_ITEMS, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_SHARE_READ, FILE_SHARE_WRITE, OPEN_EXISTING,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::{
    GUID_DEVINTERFACE_DISK, IOCTL_STORAGE_GET_DEVICE_NUMBER, IOCTL_STORAGE_QUERY_PROPERTY,
    STORAGE_PROPERTY_QUERY,
};

use windows_sys::core::GUID;

use super::super::hardware::Disk;
use super::buffer::{Buffer, wide};
use super::{failure, last_code};

/// What disks are listed by.
static CLASS: GUID = GUID_DEVINTERFACE_DISK;
/// Most disks; a storage server has some hundreds.
const MAX_DISKS: u32 = 4_096;
/// Largest description; the texts of a disk have some hundred bytes.
const MAX_DESCRIPTOR: usize = 4 * 1024;

/// The devices of a class, while they are listed.
struct Devices(HDEVINFO);

impl Drop for Devices {
    fn drop(&mut self) {
        // SAFETY: the list is open, and given back here alone.
        unsafe { SetupDiDestroyDeviceInfoList(self.0) };
    }
}

pub(super) fn list() -> io::Result<Vec<Disk>> {
    // SAFETY: the identifier outlives the call; null means every enumerator and no window.
    let devices = unsafe {
        SetupDiGetClassDevsW(
            &raw const CLASS,
            ptr::null(),
            ptr::null_mut(),
            DIGCF_PRESENT | DIGCF_DEVICEINTERFACE,
        )
    };
    if devices == HDEVINFO::try_from(-1).unwrap_or_default() {
        return Err(io::Error::last_os_error());
    }
    let devices = Devices(devices);
    let mut disks = Vec::new();
    for number in 0..MAX_DISKS {
        match path(&devices, number)? {
            Some(path) => disks.push(described(&path)),
            None => return Ok(disks),
        }
    }
    Err(io::Error::other(format!("more than {MAX_DISKS} disks")))
}

/// The path under which a disk is opened; `None` behind the last one.
fn path(devices: &Devices, number: u32) -> io::Result<Option<String>> {
    let mut interface = SP_DEVICE_INTERFACE_DATA {
        cbSize: u32::try_from(size_of::<SP_DEVICE_INTERFACE_DATA>()).unwrap_or(0),
        ..SP_DEVICE_INTERFACE_DATA::default()
    };
    // SAFETY: the list is open; the structure says its own size and outlives the call.
    let found = unsafe {
        SetupDiEnumDeviceInterfaces(devices.0, ptr::null(), &raw const CLASS, number, &raw mut interface)
    };
    if found == 0 {
        return match last_code() {
            ERROR_NO_MORE_ITEMS => Ok(None),
            code => Err(failure(code)),
        };
    }
    let mut buffer = Buffer::of(MAX_DESCRIPTOR);
    let size = u32::try_from(size_of::<SP_DEVICE_INTERFACE_DETAIL_DATA_W>()).unwrap_or(0);
    // SAFETY: the first member is the size of the fixed part, as the call wants it.
    unsafe { buffer.start::<u32>().write(size) };
    // SAFETY: the call writes at most as many bytes as the buffer has.
    let done = unsafe {
        SetupDiGetDeviceInterfaceDetailW(
            devices.0,
            &raw const interface,
            buffer.start(),
            buffer.size(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // The path stands behind the size, which has four bytes.
    let path = buffer.bytes().get(4..).unwrap_or_default().as_ptr();
    Ok(Some(buffer.text(path.cast())))
}

/// A disk that is open without any right.
struct Open(HANDLE);

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed here alone.
        unsafe { CloseHandle(self.0) };
    }
}

fn described(path: &str) -> Disk {
    let disk = match open(path) {
        Ok(disk) => disk,
        Err(cause) => return Disk { number: None, descriptor: Err(cause.kind()) },
    };
    // A property and a kind of query, both 0: describe the device.
    let query = [0; size_of::<STORAGE_PROPERTY_QUERY>()];
    let descriptor = ask(&disk, IOCTL_STORAGE_QUERY_PROPERTY, &query).map_err(|it| it.kind());
    let number = ask(&disk, IOCTL_STORAGE_GET_DEVICE_NUMBER, &[]).ok().and_then(|it| {
        // STORAGE_DEVICE_NUMBER: kind, number, partition.
        Some(u32::from_ne_bytes(it.get(4..8)?.try_into().ok()?))
    });
    Disk { number, descriptor }
}

fn open(path: &str) -> io::Result<Open> {
    let path = wide(path);
    let shared = FILE_SHARE_READ | FILE_SHARE_WRITE;
    // SAFETY: the path ends with a zero; no right is asked for, and nothing is created.
    let handle =
        unsafe { CreateFileW(path.as_ptr(), 0, shared, ptr::null(), OPEN_EXISTING, 0, ptr::null_mut()) };
    if handle == INVALID_HANDLE_VALUE { Err(io::Error::last_os_error()) } else { Ok(Open(handle)) }
}

fn ask(disk: &Open, question: u32, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut buffer = Buffer::of(MAX_DESCRIPTOR);
    let mut written = 0;
    // SAFETY: the disk is open; both sizes are those of their buffers, which outlive the call.
    let done = unsafe {
        DeviceIoControl(
            disk.0,
            question,
            query.as_ptr().cast(),
            u32::try_from(query.len()).unwrap_or(0),
            buffer.start(),
            buffer.size(),
            &raw mut written,
            ptr::null_mut(),
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(buffer.first(written).to_vec()) }
}
