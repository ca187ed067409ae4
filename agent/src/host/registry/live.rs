//! The registry of the running Windows.
//!
//! Always the 64-bit view, with rights to read and no others. Only calls that Windows has had since 2000
//! are made; none writes, loads a hive or takes a privilege. `windows-sys` gives their declarations and no
//! code, so that nothing stands between this and the documented calls.
//!
//! What the system answers is bounded as a file would be: any program may write into its own keys.

#![expect(unsafe_code, reason = "the registry has no other interface")]

use std::io;
use std::ptr::{null, null_mut};
use std::time::SystemTime;

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, ERROR_SUCCESS, FILETIME};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, HKEY_USERS, KEY_ENUMERATE_SUB_KEYS, KEY_QUERY_VALUE, KEY_WOW64_64KEY,
    RegCloseKey, RegEnumKeyExW, RegEnumValueW, RegOpenKeyExW, RegQueryInfoKeyW, RegQueryValueExW,
};

use super::data::{decode, time};
use super::limit::{Held, MAX_KEYS, MAX_VALUE, MAX_VALUES};
use super::name::{parts, same};
use super::{Data, Source, Value};

/// Most characters of a key's name with the NUL behind it.
const KEY_NAME: usize = 256;
/// Most characters of a value's name with the NUL behind it.
const VALUE_NAME: usize = 16_384;
/// Bytes for a value's data before its size is known; most values fit.
const FIRST: usize = 1024;
/// How often a value that grows while it is read is asked for.
const TRIES: usize = 8;

/// The registry of the system that runs the agent.
#[derive(Debug)]
pub(super) struct Running;

/// An open key.
struct Key(HKEY);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the handle was opened by `Key::open`, is owned by this value and closed once.
        unsafe { RegCloseKey(self.0) };
    }
}

impl Key {
    fn open(path: &str) -> io::Result<Self> {
        let no_key = || io::Error::new(io::ErrorKind::NotFound, "no such key");
        let mut parts = parts(path);
        let root = match parts.next() {
            Some(it) if same(it, "HKLM") => HKEY_LOCAL_MACHINE,
            Some(it) if same(it, "HKU") => HKEY_USERS,
            Some(_) | None => return Err(no_key()),
        };
        let below: Vec<&str> = parts.collect();
        let below = wide(&below.join("\\")).ok_or_else(no_key)?;
        let rights = KEY_QUERY_VALUE | KEY_ENUMERATE_SUB_KEYS | KEY_WOW64_64KEY;
        let mut key: HKEY = null_mut();
        // SAFETY: `below` ends with a NUL and outlives the call; `key` is written before it returns success.
        done(unsafe { RegOpenKeyExW(root, below.as_ptr(), 0, rights, &raw mut key) })?;
        Ok(Self(key))
    }

    /// The name of the key below with that number; `None` behind the last.
    fn child(&self, number: u32, name: &mut [u16; KEY_NAME]) -> io::Result<Option<String>> {
        let mut len = size(name.len());
        // SAFETY: `name` has room for `len` units, which the call is told; all other places may be null.
        let code = unsafe {
            RegEnumKeyExW(
                self.0,
                number,
                name.as_mut_ptr(),
                &raw mut len,
                null(),
                null_mut(),
                null_mut(),
                null_mut(),
            )
        };
        if code == ERROR_NO_MORE_ITEMS {
            return Ok(None);
        }
        done(code)?;
        Ok(Some(text(name, len)))
    }

    /// The value with that number; `None` behind the last.
    fn value_at(&self, number: u32, name: &mut [u16], data: &mut Vec<u8>) -> io::Result<Option<Value>> {
        for _ in 0..TRIES {
            let (mut name_len, mut data_len, mut kind) = (size(name.len()), size(data.len()), 0);
            // SAFETY: both buffers have the room that the call is told; the places live until it returns.
            let code = unsafe {
                RegEnumValueW(
                    self.0,
                    number,
                    name.as_mut_ptr(),
                    &raw mut name_len,
                    null(),
                    &raw mut kind,
                    data.as_mut_ptr(),
                    &raw mut data_len,
                )
            };
            match code {
                ERROR_NO_MORE_ITEMS => return Ok(None),
                ERROR_MORE_DATA => grow(data, data_len)?,
                code => {
                    done(code)?;
                    let name = text(name, name_len);
                    return Ok(Some(Value { name, data: decode(kind, taken(data, data_len)) }));
                }
            }
        }
        Err(io::Error::other("a value grows faster than it can be read"))
    }

    fn value(&self, name: &str) -> io::Result<Data> {
        let name = wide(name).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such value"))?;
        let mut data = vec![0; FIRST];
        for _ in 0..TRIES {
            let (mut data_len, mut kind) = (size(data.len()), 0);
            // SAFETY: `name` ends with a NUL; `data` has the room that the call is told.
            let code = unsafe {
                RegQueryValueExW(
                    self.0,
                    name.as_ptr(),
                    null(),
                    &raw mut kind,
                    data.as_mut_ptr(),
                    &raw mut data_len,
                )
            };
            if code == ERROR_MORE_DATA {
                grow(&mut data, data_len)?;
            } else {
                done(code)?;
                return Ok(decode(kind, taken(&data, data_len)));
            }
        }
        Err(io::Error::other("the value grows faster than it can be read"))
    }

    fn written(&self) -> io::Result<SystemTime> {
        let mut written = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
        // SAFETY: every place but the last may be null, and the last lives until the call returns.
        done(unsafe {
            RegQueryInfoKeyW(
                self.0,
                null_mut(),
                null_mut(),
                null(),
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut written,
            )
        })?;
        Ok(time(u64::from(written.dwHighDateTime) << 32 | u64::from(written.dwLowDateTime)))
    }
}

impl Source for Running {
    fn keys(&self, key: &str) -> io::Result<Vec<String>> {
        let key = Key::open(key)?;
        let (mut names, mut held, mut buffer) = (Vec::new(), Held::default(), [0; KEY_NAME]);
        for number in 0..=MAX_KEYS {
            let Some(name) = key.child(number, &mut buffer)? else { return Ok(names) };
            held.add(name.len())?;
            names.push(name);
        }
        Err(io::Error::other(format!("more than {MAX_KEYS} keys below one key")))
    }

    fn values(&self, key: &str) -> io::Result<Vec<Value>> {
        let key = Key::open(key)?;
        let (mut values, mut held) = (Vec::new(), Held::default());
        let (mut name, mut data) = (vec![0; VALUE_NAME], vec![0; FIRST]);
        for number in 0..=MAX_VALUES {
            let Some(value) = key.value_at(number, &mut name, &mut data)? else { return Ok(values) };
            held.add(value.name.len() + value.data.bytes())?;
            values.push(value);
        }
        Err(io::Error::other(format!("more than {MAX_VALUES} values in one key")))
    }

    fn value(&self, key: &str, name: &str) -> io::Result<Data> {
        Key::open(key)?.value(name)
    }

    fn written(&self, key: &str) -> io::Result<SystemTime> {
        Key::open(key)?.written()
    }
}

fn done(code: u32) -> io::Result<()> {
    if code == ERROR_SUCCESS {
        return Ok(());
    }
    Err(i32::try_from(code)
        .map_or_else(|_| io::Error::other(format!("error {code:#x}")), io::Error::from_raw_os_error))
}

/// Makes room for data that was said to have so many bytes.
fn grow(data: &mut Vec<u8>, wanted: u32) -> io::Result<()> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    if wanted > MAX_VALUE {
        let why = format!("a value of {wanted} bytes, more than {MAX_VALUE}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    // What a provider of performance data says is no size, and never enough.
    data.resize(wanted.max(data.len() * 2).min(MAX_VALUE), 0);
    Ok(())
}

fn taken(data: &[u8], len: u32) -> Vec<u8> {
    data[..usize::try_from(len).unwrap_or(usize::MAX).min(data.len())].to_vec()
}

fn text(units: &[u16], len: u32) -> String {
    String::from_utf16_lossy(&units[..usize::try_from(len).unwrap_or(usize::MAX).min(units.len())])
}

/// Text as the calls take it; `None` where it has a NUL in it and would be cut there.
fn wide(text: &str) -> Option<Vec<u16>> {
    (!text.contains('\0')).then(|| text.encode_utf16().chain([0]).collect())
}

fn size(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = r"HKLM\Software\Microsoft\Windows NT\CurrentVersion";

    #[test]
    fn the_running_registry_answers_as_any_other() {
        let build = Running.value(VERSION, "currentBUILD").unwrap();
        assert!(build.text().unwrap().parse::<u32>().is_ok(), "{build:?}");
        let values = Running.values(VERSION).unwrap();
        let listed = values.iter().find(|it| same(&it.name, "CurrentBuild")).unwrap();
        assert_eq!(listed.data, build);
        assert!(Running.keys(r"HKLM\SOFTWARE").unwrap().iter().any(|it| same(it, "Microsoft")));
        assert!(Running.keys("HKLM").unwrap().iter().any(|it| same(it, "SYSTEM")));
        assert!(Running.keys("HKU").unwrap().iter().any(|it| it.starts_with("S-1-5-")));
        assert!(Running.written(VERSION).unwrap() > SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for key in ["", "HKCU", r"HKLM\SOFTWARE\Nobody\Nothing", "HKLM\\SOFTWARE\0\\Microsoft"] {
            assert_eq!(Running.keys(key).unwrap_err().kind(), io::ErrorKind::NotFound, "{key:?}");
        }
        assert_eq!(Running.value(VERSION, "Nothing").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn many_values_and_large_ones_are_read_whole() {
        let services = r"HKLM\SYSTEM\CurrentControlSet\Services";
        let names = Running.keys(services).unwrap();
        assert!(!names.is_empty());
        for name in names {
            for value in Running.values(&format!(r"{services}\{name}")).unwrap() {
                assert_eq!(Running.value(&format!(r"{services}\{name}"), &value.name).unwrap(), value.data);
            }
        }
    }
}
