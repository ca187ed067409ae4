//! W11 to W13 and W38: what is remembered of secrets, and what is told to nobody in particular.
//!
//! Sources of truth: `Control\Lsa` and its neighbours, and policy where it has a key of its own. Everybody
//! may read them; no secret is among them.

use super::ground::{self, Ground, build};
use super::keys::{control, policy, service};
use super::setting::{Absent, Place, Setting, places, reads, rows};
use crate::host::Reads;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[ground::READS, &reads::<{ places(SETTINGS) }>(SETTINGS)];

const LSA: &str = control!("Lsa");
const MSV: &str = control!(r"Lsa\MSV1_0");
const SERVER: &str = service!(r"LanmanServer\Parameters");

const NTLM: &[&str] = &["W11"];
const PROTECTION: &[&str] = &["W12"];
const ANONYMOUS: &[&str] = &["W38"];

const SETTINGS: &[Setting] = &[
    Setting::number(
        "ntlm.lm_compatibility",
        NTLM,
        &[Place::at(LSA, "LmCompatibilityLevel")],
        Absent::Means("3: sends NTLMv2 only, and still accepts LM and NTLMv1"),
    ),
    Setting::flag(
        "ntlm.no_lm_hash",
        NTLM,
        &[Place::at(LSA, "NoLMHash")],
        Absent::Means("on: LM hashes are not kept unless something says so"),
    ),
    Setting::number(
        "ntlm.min_client_security",
        NTLM,
        &[Place::at(MSV, "NtlmMinClientSec")],
        Absent::Means("536870912: 128 bits, from Windows 7 on"),
    ),
    Setting::number(
        "ntlm.min_server_security",
        NTLM,
        &[Place::at(MSV, "NtlmMinServerSec")],
        Absent::Means("536870912: 128 bits, from Windows 7 on"),
    ),
    Setting::number(
        "lsa.protection",
        PROTECTION,
        &[Place::at(policy!(r"Windows\System"), "RunAsPPL"), Place::at(LSA, "RunAsPPL")],
        Absent::Varies(protection),
    ),
    Setting::number(
        "lsa.credential_guard",
        PROTECTION,
        &[Place::at(policy!(r"Windows\DeviceGuard"), "LsaCfgFlags"), Place::at(LSA, "LsaCfgFlags")],
        Absent::Varies(guard),
    ),
    Setting::flag(
        "lsa.wdigest",
        &["W13"],
        &[Place::at(control!(r"SecurityProviders\WDigest"), "UseLogonCredential")],
        Absent::Varies(wdigest),
    ),
    Setting::number(
        "anonymous.restrict",
        ANONYMOUS,
        &[Place::at(LSA, "RestrictAnonymous")],
        Absent::Means("0: shares and policies are told to everybody"),
    ),
    Setting::number(
        "anonymous.restrict_sam",
        ANONYMOUS,
        &[Place::at(LSA, "RestrictAnonymousSAM")],
        Absent::Means("1: accounts are not told"),
    ),
    Setting::flag(
        "anonymous.is_everyone",
        ANONYMOUS,
        &[Place::at(LSA, "EveryoneIncludesAnonymous")],
        Absent::Means("off: what everyone may do does not hold for somebody without a name"),
    ),
    Setting::flag(
        "anonymous.restrict_null_sessions",
        ANONYMOUS,
        &[Place::at(SERVER, "RestrictNullSessAccess")],
        Absent::Means("on: sessions without a name reach only what is listed for them"),
    ),
    Setting::list(
        "anonymous.pipes",
        ANONYMOUS,
        &[Place::at(SERVER, "NullSessionPipes")],
        Absent::Means("none"),
    ),
    Setting::list(
        "anonymous.shares",
        ANONYMOUS,
        &[Place::at(SERVER, "NullSessionShares")],
        Absent::Means("none"),
    ),
    Setting::text(
        "anonymous.remote_sam",
        ANONYMOUS,
        &[Place::at(LSA, "RestrictRemoteSAM")],
        Absent::Varies(remote_sam),
    ),
];

fn protection(ground: &Ground) -> String {
    ground.since(
        build::WINDOWS_11_22H2,
        "off, but for new installations of Windows 11 22H2 and later that are managed, which turn it on by themselves",
        "off",
    )
}

fn guard(ground: &Ground) -> String {
    ground.since(
        build::WINDOWS_11_22H2,
        "on by default for Enterprise and Education where the hardware can",
        "off",
    )
}

fn wdigest(ground: &Ground) -> String {
    ground.since(
        build::WINDOWS_8_1,
        "off",
        "on: this Windows keeps passwords in memory unless the value is 0 and update KB2871997 is there",
    )
}

fn remote_sam(ground: &Ground) -> String {
    ground.since(14_393, "administrators only, on what is no domain controller", "everybody who logs on")
}

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |_, _, _| {})
}
