//! Local users, groups and the policies for them.
//!
//! Everything is asked of this host alone: no name is looked up elsewhere and no directory is asked. A
//! member from a domain is therefore an identifier without a name.

use std::fmt;
use std::io;
use std::time::Duration;

/// Most users of a host; a domain controller, which has more, is not asked.
pub const MAX_USERS: usize = 4_096;
/// Most local groups, and most members of one.
pub const MAX_GROUPS: usize = 1_024;
/// See [`MAX_GROUPS`].
pub const MAX_MEMBERS: usize = 4_096;

/// Local users, groups and the policies for them.
pub trait Accounts: fmt::Debug + Send + Sync {
    /// Every local user. Source: `NetUserEnum`, level 3, in batches.
    ///
    /// # Errors
    /// The system refuses (`PermissionDenied`), or has more of them than anybody needs.
    fn users(&self) -> io::Result<Vec<User>>;

    /// Every local group with its members. Source: `NetLocalGroupEnum` and `NetLocalGroupGetMembers`, level
    /// 0, which gives identifiers and looks no name up.
    ///
    /// # Errors
    /// As [`Accounts::users`].
    fn groups(&self) -> io::Result<Vec<Group>>;

    /// What passwords have to be like. Source: `NetUserModalsGet`, level 0, which every user may ask.
    ///
    /// # Errors
    /// The system refuses.
    fn passwords(&self) -> io::Result<Passwords>;

    /// When an account is locked. Source: `NetUserModalsGet`, level 3.
    ///
    /// # Errors
    /// The system refuses.
    fn lockout(&self) -> io::Result<Lockout>;

    /// The audit policy in effect. Source: `AuditQuerySystemPolicy` for every subcategory that
    /// this Windows knows.
    ///
    /// # Errors
    /// Asking needs the privilege to manage auditing (`PermissionDenied`).
    fn audited(&self) -> io::Result<Vec<Audited>>;

    /// Owner and access list of a file or directory at an absolute path, as a self-relative security
    /// descriptor. Source: `GetFileSecurityW`; nothing is opened.
    ///
    /// # Errors
    /// It is not there (`NotFound`), or its list may not be read (`PermissionDenied`).
    fn file_descriptor(&self, path: &str) -> io::Result<Vec<u8>>;
}

/// A local user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Last part of its identifier: 500 is the built-in administrator, 501 the guest.
    pub rid: u32,
    /// `usri3_flags` by `lmaccess.h`.
    pub flags: u32,
    /// Whether it has to change its password at the next logon.
    pub is_password_expired: bool,
    /// When its password was set, seconds since 1970; `None` when that never happened.
    pub password_set: Option<i64>,
    /// When it logged on last, seconds since 1970; `None` when it never did.
    pub last_logon: Option<i64>,
}

impl User {
    /// `UF_ACCOUNTDISABLE`.
    pub fn is_disabled(&self) -> bool {
        self.flags & 0x0002 != 0
    }

    /// Names of the flags that say something about how it may be used, in order of their bits.
    pub fn flag_names(&self) -> Vec<&'static str> {
        // UF_* of lmaccess.h.
        const FLAGS: [(u32, &str); 7] = [
            (0x0002, "disabled"),
            (0x0010, "locked-out"),
            (0x0020, "password-not-required"),
            (0x0040, "password-cannot-change"),
            (0x0080, "password-reversible"),
            (0x1_0000, "password-never-expires"),
            (0x4_0000, "smart-card-required"),
        ];
        let mut names: Vec<_> =
            FLAGS.iter().filter(|(bit, _)| self.flags & bit != 0).map(|it| it.1).collect();
        if self.is_password_expired {
            names.push("password-expired");
        }
        names
    }
}

/// A local group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name, in the language of the system.
    pub name: String,
    /// Its identifier, where it is one that every Windows has.
    pub sid: Option<String>,
    /// Its members; `None` where they may not be known.
    pub members: Option<Vec<Member>>,
}

/// A member of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// Its identifier.
    pub sid: String,
    /// Its name, where it is one of this host.
    pub name: Option<String>,
}

/// What passwords have to be like (`USER_MODALS_INFO_0`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passwords {
    /// Fewest characters.
    pub min_length: u32,
    /// Longest age; `None` when they never expire.
    pub max_age: Option<Duration>,
    /// Age before which it cannot be changed.
    pub min_age: Duration,
    /// How many old ones cannot be used again.
    pub history: u32,
}

/// When an account is locked (`USER_MODALS_INFO_3`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lockout {
    /// After how many wrong passwords; 0 means never.
    pub threshold: u32,
    /// For how long; `None` until an administrator unlocks it.
    pub duration: Option<Duration>,
    /// Within which time wrong passwords are counted together.
    pub window: Duration,
}

/// What is audited of one subcategory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audited {
    /// Its number as a GUID, lower case.
    pub subcategory: String,
    /// What succeeds.
    pub success: bool,
    /// What fails.
    pub failure: bool,
}

/// Answers that a test brings. What it does not bring is not there.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) users: super::Answer<Vec<User>>,
    pub(crate) groups: super::Answer<Vec<Group>>,
    pub(crate) passwords: super::Answer<Passwords>,
    pub(crate) lockout: super::Answer<Lockout>,
    pub(crate) audited: super::Answer<Vec<Audited>>,
    pub(crate) descriptors: super::Answers<&'static str, Vec<u8>>,
}

#[cfg(test)]
impl Accounts for Recorded {
    fn users(&self) -> io::Result<Vec<User>> {
        self.users.give()
    }

    fn groups(&self) -> io::Result<Vec<Group>> {
        self.groups.give()
    }

    fn passwords(&self) -> io::Result<Passwords> {
        self.passwords.give()
    }

    fn lockout(&self) -> io::Result<Lockout> {
        self.lockout.give()
    }

    fn audited(&self) -> io::Result<Vec<Audited>> {
        self.audited.give()
    }

    fn file_descriptor(&self, path: &str) -> io::Result<Vec<u8>> {
        super::find(&self.descriptors, &path)
    }
}
