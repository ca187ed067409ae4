//! Tables and variables of firmware, and the family of the TPM.
#![expect(unsafe_code, reason = "no safe interface gives firmware tables and variables")]

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{
    ERROR_ENVVAR_NOT_FOUND, ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_FUNCTION, ERROR_PRIVILEGE_NOT_HELD,
};
use windows_sys::Win32::System::SystemInformation::GetSystemFirmwareTable;
use windows_sys::Win32::System::WindowsProgramming::GetFirmwareEnvironmentVariableW;

use super::buffer::{Buffer, wide};
use super::library::Library;
use super::privilege::Privilege;
use super::{denied, failure, last_code, not_found};

/// `'RSMB'`: SMBIOS, as firmware left it.
const SMBIOS: u32 = u32::from_be_bytes(*b"RSMB");
/// Largest answer: the largest tables, and the header before them.
const MAX_SMBIOS: u32 = 1024 * 1024 + 8;
/// Largest variable; the largest forbidden lists have some 30 KiB.
const MAX_VARIABLE: usize = 512 * 1024;
/// The privilege that variables of firmware need.
const PRIVILEGE: &str = "SeSystemEnvironmentPrivilege";
/// `TBS_E_TPM_NOT_FOUND` of `winerror.h`.
const NO_TPM: u32 = 0x8028_400F;

pub(super) fn smbios() -> io::Result<Vec<u8>> {
    // SAFETY: without a buffer the call only says how large one has to be.
    let size = unsafe { GetSystemFirmwareTable(SMBIOS, 0, ptr::null_mut(), 0) };
    if size == 0 {
        return Err(match last_code() {
            ERROR_INVALID_FUNCTION => not_found("this machine has no SMBIOS"),
            code => failure(code),
        });
    }
    if size > MAX_SMBIOS {
        return Err(io::Error::other(format!("SMBIOS tables of more than {MAX_SMBIOS} bytes")));
    }
    let mut buffer = Buffer::of(usize::try_from(size).unwrap_or(0));
    // SAFETY: the call writes at most as many bytes as the buffer has.
    let written = unsafe { GetSystemFirmwareTable(SMBIOS, 0, buffer.start(), buffer.size()) };
    if written == 0 || written > buffer.size() {
        return Err(io::Error::last_os_error());
    }
    Ok(buffer.first(written).to_vec())
}

/// A variable that nobody has: only machines that started by UEFI look for it.
pub(super) fn started_by_uefi() -> io::Result<bool> {
    let nothing = || ask("", "00000000-0000-0000-0000-000000000000", &mut Buffer::of(0)).err();
    let mut code = nothing();
    if code == Some(ERROR_PRIVILEGE_NOT_HELD) {
        let _on = Privilege::on(PRIVILEGE)?;
        code = nothing();
    }
    match code {
        Some(ERROR_INVALID_FUNCTION) => Ok(false),
        Some(ERROR_PRIVILEGE_NOT_HELD) => Err(denied("the system does not say it to this account")),
        Some(_) | None => Ok(true),
    }
}

pub(super) fn variable(name: &str, vendor: &str) -> io::Result<Vec<u8>> {
    let _on = Privilege::on(PRIVILEGE)?;
    let mut buffer = Buffer::of(16 * 1024);
    loop {
        match ask(name, vendor, &mut buffer) {
            Ok(written) => return Ok(buffer.first(written).to_vec()),
            Err(ERROR_INSUFFICIENT_BUFFER) if buffer.bytes().len() < MAX_VARIABLE => {
                buffer = Buffer::of(buffer.bytes().len() * 2);
            }
            Err(ERROR_INSUFFICIENT_BUFFER) => {
                return Err(io::Error::other(format!("a variable of more than {MAX_VARIABLE} bytes")));
            }
            Err(ERROR_ENVVAR_NOT_FOUND) => return Err(not_found("no such variable")),
            Err(ERROR_INVALID_FUNCTION) => return Err(not_found("this machine did not start by UEFI")),
            Err(ERROR_PRIVILEGE_NOT_HELD) => return Err(denied("variables of firmware need a privilege")),
            Err(code) => return Err(failure(code)),
        }
    }
}

/// How many bytes a variable has, or the number of the error.
fn ask(name: &str, vendor: &str, buffer: &mut Buffer) -> Result<u32, u32> {
    let (name, vendor) = (wide(name), wide(&format!("{{{vendor}}}")));
    // SAFETY: both names end with a zero; the call writes at most as many bytes as the buffer has.
    let written = unsafe {
        GetFirmwareEnvironmentVariableW(name.as_ptr(), vendor.as_ptr(), buffer.start(), buffer.size())
    };
    if written == 0 { Err(last_code()) } else { Ok(written) }
}

/// `TPM_DEVICE_INFO`.
#[repr(C)]
#[derive(Default)]
struct Module {
    version: u32,
    family: u32,
    interface: u32,
    revision: u32,
}

pub(super) fn tpm_family() -> io::Result<u32> {
    type Ask = unsafe extern "system" fn(u32, *mut Module) -> u32;
    let library = Library::of_system("tbs.dll")?;
    let function = library.function(c"Tbsi_GetDeviceInfo")?;
    // SAFETY: this is the type of `Tbsi_GetDeviceInfo` (`tbs.h`).
    let ask: Ask = unsafe { std::mem::transmute(function) };
    let mut module = Module::default();
    let size = u32::try_from(size_of::<Module>()).unwrap_or(0);
    // SAFETY: the call writes one such structure, which outlives it.
    match unsafe { ask(size, &raw mut module) } {
        0 => Ok(module.family),
        NO_TPM => Err(not_found("this machine has no TPM")),
        code => Err(io::Error::other(format!("the TPM's service answers {code:#x}"))),
    }
}
