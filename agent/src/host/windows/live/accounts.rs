//! Local users, groups and policies: NetAPI32 and the audit policy, asked of this machine alone.
//!
//! Names are never looked up elsewhere: members come as identifiers, and only those of this machine and of
//! every Windows get a name. Lists come in small pieces with a rest between them, because the local security
//! authority that answers serves logons too.
#![expect(unsafe_code, reason = "no safe interface tells accounts and policies")]

use std::collections::BTreeMap;
use std::io;
use std::ptr;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_PARAMETER, ERROR_MORE_DATA,
    ERROR_PRIVILEGE_NOT_HELD,
};
use windows_sys::Win32::NetworkManagement::NetManagement::{
    FILTER_NORMAL_ACCOUNT, LOCALGROUP_INFO_0, LOCALGROUP_MEMBERS_INFO_0, NERR_GroupNotFound,
    NetApiBufferFree, NetLocalGroupEnum, NetLocalGroupGetMembers, NetUserEnum, NetUserModalsGet, USER_INFO_3,
    USER_MODALS_INFO_0, USER_MODALS_INFO_2, USER_MODALS_INFO_3,
};
use windows_sys::Win32::Security::Authentication::Identity::{
    AUDIT_POLICY_INFORMATION, AuditFree, AuditQuerySystemPolicy,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetFileSecurityW, GetLengthSid, IsValidSid, LookupAccountSidW,
    OWNER_SECURITY_INFORMATION, PSID,
};
use windows_sys::core::GUID;

use super::super::accounts::{
    Audited, Group, Lockout, MAX_GROUPS, MAX_MEMBERS, MAX_USERS, Member, Passwords, User,
};
use super::buffer::{Buffer, text_at, wide};
use super::privilege::Privilege;
use super::{failure, last_code};

/// Bytes that one answer should have at most: some hundred accounts.
const PIECE: u32 = 32 * 1024;
/// Rest between two pieces of a list.
const REST: Duration = Duration::from_millis(50);
/// Largest security descriptor, by its own format.
const MAX_DESCRIPTOR: u32 = 64 * 1024;
/// The subcategories of auditing are numbered without a gap (`ntsecapi.h`, MS-GPAC 2.2.1.1); a Windows knows
/// those of its time. Enumerating them is not asked for: not every system that runs the agent can.
const SUBCATEGORIES: std::ops::RangeInclusive<u32> = 0x0cce_9210..=0x0cce_924a;
const FIRST_SUBCATEGORY: GUID = GUID::from_u128(0x0cce9210_69ae_11d9_bed3_505054503030);
/// `TIMEQ_FOREVER` of `lmaccess.h`.
const FOREVER: u32 = u32::MAX;
/// A time before which no password of this kind was set: what the system counts from when it never was.
const NEVER_BEFORE: i64 = 315_532_800;
/// Bits of `AuditingInformation`.
const SUCCESS: u32 = 1;
const FAILURE: u32 = 2;

/// Groups that every Windows has, by the last part of their identifier `S-1-5-32-`.
const BUILT_IN: [u32; 23] = [
    544, 545, 546, 547, 548, 549, 550, 551, 552, 554, 555, 556, 557, 558, 559, 560, 561, 562, 568, 569, 573,
    578, 580,
];

/// Memory that the system gave, given back after use.
struct Answer(*mut u8);

impl Answer {
    fn none() -> Self {
        Self(ptr::null_mut())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: NetAPI32 allocated it for exactly this, and it is given back here alone.
            unsafe { NetApiBufferFree(self.0.cast()) };
        }
    }
}

/// One piece of a list: its code, its memory, and how many structures are in it.
struct Piece {
    code: u32,
    answer: Answer,
    count: u32,
}

/// All pieces of a list, each structure made into something that lives longer.
fn each<T: Copy, U>(
    most: usize,
    mut ask: impl FnMut() -> Piece,
    mut make: impl FnMut(&T) -> U,
) -> io::Result<Vec<U>> {
    let mut all = Vec::new();
    loop {
        let Piece { code, answer, count } = ask();
        match code {
            0 => {}
            // A piece without anything in it would never end.
            ERROR_MORE_DATA if count > 0 => {}
            ERROR_ACCESS_DENIED => return Err(io::ErrorKind::PermissionDenied.into()),
            code => return Err(failure(code)),
        }
        for number in 0..usize::try_from(count).unwrap_or(0) {
            if answer.0.is_null() || all.len() == most {
                return Err(io::Error::other(format!("more than {most} entries")));
            }
            // SAFETY: the answer has `count` structures of this type, one behind the other.
            let it = unsafe { answer.0.cast::<T>().add(number).read_unaligned() };
            all.push(make(&it));
        }
        if code == 0 {
            return Ok(all);
        }
        thread::sleep(REST);
    }
}

pub(super) fn users() -> io::Result<Vec<User>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let mut resume = 0;
    let ask = || {
        let (mut answer, mut count, mut total) = (Answer::none(), 0, 0);
        // SAFETY: null means this machine; the numbers and the pointer outlive the call.
        let code = unsafe {
            NetUserEnum(
                ptr::null(),
                3,
                FILTER_NORMAL_ACCOUNT,
                &raw mut answer.0,
                PIECE,
                &raw mut count,
                &raw mut total,
                &raw mut resume,
            )
        };
        Piece { code, answer, count }
    };
    each(MAX_USERS, ask, |it: &USER_INFO_3| {
        let set = now.saturating_sub(i64::from(it.usri3_password_age));
        User {
            // SAFETY: the texts of the answer end with a zero, and live as long as it does.
            name: unsafe { text_at(it.usri3_name) },
            rid: it.usri3_user_id,
            flags: it.usri3_flags,
            is_password_expired: it.usri3_password_expired != 0,
            password_set: Some(set).filter(|it| *it > NEVER_BEFORE),
            last_logon: Some(i64::from(it.usri3_last_logon)).filter(|it| *it > 0),
        }
    })
}

pub(super) fn groups() -> io::Result<Vec<Group>> {
    let known = built_in();
    let machine = machine()?;
    // Who may not list users still sees identifiers.
    let users: BTreeMap<u32, String> =
        users().unwrap_or_default().into_iter().map(|it| (it.rid, it.name)).collect();
    let mut resume = 0;
    let ask = || {
        let (mut answer, mut count, mut total) = (Answer::none(), 0, 0);
        // SAFETY: null means this machine; the numbers and the pointer outlive the call.
        let code = unsafe {
            NetLocalGroupEnum(
                ptr::null(),
                0,
                &raw mut answer.0,
                PIECE,
                &raw mut count,
                &raw mut total,
                &raw mut resume,
            )
        };
        Piece { code, answer, count }
    };
    let names = each(MAX_GROUPS, ask, |it: &LOCALGROUP_INFO_0| {
        // SAFETY: the text of the answer ends with a zero, and lives as long as it does.
        unsafe { text_at(it.lgrpi0_name) }
    })?;
    let name_of = |sid: &str| {
        let rid = machine.as_deref().and_then(|it| sid.strip_prefix(it)?.strip_prefix('-')?.parse().ok());
        rid.and_then(|rid: u32| users.get(&rid).cloned())
    };
    let mut groups = Vec::with_capacity(names.len());
    for name in names {
        let members = match members(&name) {
            Ok(sids) => Some(sids.into_iter().map(|sid| Member { name: name_of(&sid), sid }).collect()),
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => None,
            // It went away since it was listed.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(cause),
        };
        let sid = known.get(&name.to_lowercase()).cloned();
        groups.push(Group { name, sid, members });
    }
    Ok(groups)
}

/// Identifiers of the members of a group.
fn members(group: &str) -> io::Result<Vec<String>> {
    let group = wide(group);
    let mut resume = 0;
    let ask = || {
        let (mut answer, mut count, mut total) = (Answer::none(), 0, 0);
        // SAFETY: null means this machine; the name ends with a zero; all of it outlives the call.
        let code = unsafe {
            NetLocalGroupGetMembers(
                ptr::null(),
                group.as_ptr(),
                0,
                &raw mut answer.0,
                PIECE,
                &raw mut count,
                &raw mut total,
                &raw mut resume,
            )
        };
        Piece { code, answer, count }
    };
    let sids = each(MAX_MEMBERS, ask, |it: &LOCALGROUP_MEMBERS_INFO_0| {
        // SAFETY: the identifiers of the answer live as long as it does.
        unsafe { sid_text(it.lgrmi0_sid) }
    });
    match sids {
        Err(cause) if cause.raw_os_error() == Some(NERR_GroupNotFound.cast_signed()) => {
            Err(io::ErrorKind::NotFound.into())
        }
        Err(cause) => Err(cause),
        Ok(sids) => sids
            .into_iter()
            .map(|it| it.ok_or_else(|| io::Error::other("a member with a broken identifier")))
            .collect(),
    }
}

/// The names of the groups that every Windows has, in lower case, with their identifiers. They are this
/// machine's own, so that no other one is asked.
fn built_in() -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for rid in BUILT_IN {
        // Revision 1, two parts, authority 5: S-1-5-32-RID, whose bytes have to be aligned as numbers are.
        let sid =
            [u32::from_le_bytes([1, 2, 0, 0]), u32::from_le_bytes([0, 0, 0, 5]), 32_u32.to_le(), rid.to_le()];
        let (mut name, mut domain) = ([0_u16; 257], [0_u16; 257]);
        let (mut name_size, mut domain_size) = (257, 257);
        let mut kind = 0;
        // SAFETY: null means this machine; the identifier is whole; both texts have the size that is said.
        let found = unsafe {
            LookupAccountSidW(
                ptr::null(),
                sid.as_ptr().cast_mut().cast(),
                name.as_mut_ptr(),
                &raw mut name_size,
                domain.as_mut_ptr(),
                &raw mut domain_size,
                &raw mut kind,
            )
        };
        if found != 0 {
            // SAFETY: the call ended the text with a zero.
            let name = unsafe { text_at(name.as_ptr()) };
            known.insert(name.to_lowercase(), format!("S-1-5-32-{rid}"));
        }
    }
    known
}

/// The start of the identifiers of this machine's accounts; `None` where the system does not say it.
fn machine() -> io::Result<Option<String>> {
    modals(2, |it: &USER_MODALS_INFO_2| {
        // SAFETY: the identifier of the answer lives as long as it does.
        unsafe { sid_text(it.usrmod2_domain_id) }
    })
}

pub(super) fn passwords() -> io::Result<Passwords> {
    modals(0, |it: &USER_MODALS_INFO_0| Passwords {
        min_length: it.usrmod0_min_passwd_len,
        max_age: seconds(it.usrmod0_max_passwd_age),
        min_age: Duration::from_secs(it.usrmod0_min_passwd_age.into()),
        history: it.usrmod0_password_hist_len,
    })
}

pub(super) fn lockout() -> io::Result<Lockout> {
    modals(3, |it: &USER_MODALS_INFO_3| Lockout {
        threshold: it.usrmod3_lockout_threshold,
        duration: seconds(it.usrmod3_lockout_duration),
        window: Duration::from_secs(it.usrmod3_lockout_observation_window.into()),
    })
}

fn seconds(count: u32) -> Option<Duration> {
    (count != FOREVER).then(|| Duration::from_secs(count.into()))
}

/// One level of the policy for accounts. `T` is the structure of that level.
fn modals<T: Copy, U>(level: u32, make: impl FnOnce(&T) -> U) -> io::Result<U> {
    let mut answer = Answer::none();
    // SAFETY: null means this machine; the pointer outlives the call.
    let code = unsafe { NetUserModalsGet(ptr::null(), level, &raw mut answer.0) };
    match code {
        0 if !answer.0.is_null() => {
            // SAFETY: the answer is one structure of the level.
            let it = unsafe { answer.0.cast::<T>().read_unaligned() };
            Ok(make(&it))
        }
        0 => Err(io::Error::other("the system gave no answer")),
        ERROR_ACCESS_DENIED => Err(io::ErrorKind::PermissionDenied.into()),
        code => Err(failure(code)),
    }
}

/// Memory of the auditing functions, given back after use.
struct AuditAnswer<T>(*mut T);

impl<T> Drop for AuditAnswer<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the auditing functions allocated it, and it is given back here alone.
            unsafe { AuditFree(self.0.cast()) };
        }
    }
}

pub(super) fn audited() -> io::Result<Vec<Audited>> {
    // Who may read the policy by its own descriptor needs no privilege, so its lack is no answer yet.
    let _on = Privilege::on("SeSecurityPrivilege");
    let mut found = Vec::new();
    for number in SUBCATEGORIES {
        let subcategory = GUID { data1: number, ..FIRST_SUBCATEGORY };
        let mut policy = AuditAnswer::<AUDIT_POLICY_INFORMATION>(ptr::null_mut());
        // SAFETY: the list has one entry, and outlives the call as the pointer does.
        let done = unsafe { AuditQuerySystemPolicy(&raw const subcategory, 1, &raw mut policy.0) };
        if !done && last_code() == ERROR_INVALID_PARAMETER {
            // This Windows has no such subcategory.
            continue;
        }
        if !done || policy.0.is_null() {
            return Err(audit_failure());
        }
        // SAFETY: the answer has one structure for the one subcategory that was asked for.
        let it = unsafe { policy.0.read_unaligned() };
        found.push(Audited {
            subcategory: written(&it.AuditSubCategoryGuid),
            success: it.AuditingInformation & SUCCESS != 0,
            failure: it.AuditingInformation & FAILURE != 0,
        });
    }
    Ok(found)
}

fn audit_failure() -> io::Error {
    match last_code() {
        ERROR_ACCESS_DENIED | ERROR_PRIVILEGE_NOT_HELD => io::ErrorKind::PermissionDenied.into(),
        code => failure(code),
    }
}

fn written(guid: &GUID) -> String {
    let GUID { data1, data2, data3, data4: [a, b, c, d, e, f, g, h] } = guid;
    format!("{data1:08x}-{data2:04x}-{data3:04x}-{a:02x}{b:02x}-{c:02x}{d:02x}{e:02x}{f:02x}{g:02x}{h:02x}")
}

pub(super) fn file_descriptor(path: &str) -> io::Result<Vec<u8>> {
    let path = wide(path);
    let wanted = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let mut buffer = Buffer::of(1_024);
    loop {
        let mut needed = 0;
        // SAFETY: the path ends with a zero; the call writes at most the buffer's size.
        let done = unsafe {
            GetFileSecurityW(path.as_ptr(), wanted, buffer.start(), buffer.size(), &raw mut needed)
        };
        if done != 0 {
            // A system that does not repeat the size leaves zeros behind the descriptor.
            return Ok(if needed == 0 { buffer.bytes().to_vec() } else { buffer.first(needed).to_vec() });
        }
        let code = last_code();
        if code != ERROR_INSUFFICIENT_BUFFER || needed <= buffer.size() {
            return Err(failure(code));
        }
        if needed > MAX_DESCRIPTOR {
            return Err(io::Error::other(format!(
                "a security descriptor of more than {MAX_DESCRIPTOR} bytes"
            )));
        }
        buffer = Buffer::of(usize::try_from(needed).unwrap_or(0));
    }
}

/// An identifier as text; `None` for none and for one that is broken.
///
/// # Safety
/// The pointer is null or leads to memory of an identifier's length.
unsafe fn sid_text(sid: PSID) -> Option<String> {
    // SAFETY: null is asked for first; else the caller promises an identifier.
    if sid.is_null() || unsafe { IsValidSid(sid) } == 0 {
        return None;
    }
    // SAFETY: it is valid.
    let length = usize::try_from(unsafe { GetLengthSid(sid) }).ok()?;
    // SAFETY: a valid identifier is one piece of memory of its length.
    let bytes = unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), length) };
    let authority = bytes.get(2..8)?.iter().fold(0_u64, |sum, it| sum << 8 | u64::from(*it));
    let mut text = format!("S-{}-{authority}", bytes.first()?);
    for part in bytes.get(8..)?.chunks_exact(4) {
        text = format!("{text}-{}", u32::from_le_bytes([part[0], part[1], part[2], part[3]]));
    }
    Some(text)
}
