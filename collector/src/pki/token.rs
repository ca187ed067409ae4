//! What a token is worth, as pure functions over its record.
//!
//! A token is looked up by the digest of its secret, so comparing takes no secret-dependent
//! time that would help a guesser. Writing the record, in the same transaction as what the token
//! bought, is the caller's part.

use std::time::Duration;

use holdpoint_common::clock::readable;
use holdpoint_common::proto::store::TokenRecord;
use holdpoint_common::proto::store::token_record::Grant;
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::Digest;
use holdpoint_common::token::{NoRandomness, Token, TokenSecret};
use tonic::Status;

/// Life of a token unless said otherwise.
pub const DEFAULT_TTL: Duration = Duration::from_hours(24);
/// Longest life of a token.
pub const MAX_TTL: Duration = Duration::from_hours(24 * 366);
/// Most uses of one token.
pub const MAX_USES: u32 = 100_000;

/// Makes a token and the record of it. No uses or no time ask for the defaults; both are bounded.
///
/// # Errors
/// No randomness.
pub fn make(
    grant: Grant,
    uses: u32,
    ttl: Duration,
    pin: Digest,
    now_ms: i64,
) -> Result<(Token, TokenRecord), NoRandomness> {
    let secret = TokenSecret::random()?;
    let ttl = if ttl.is_zero() { DEFAULT_TTL } else { ttl.min(MAX_TTL) };
    let once = match &grant {
        Grant::Agent(agent) => agent.for_asset.is_some(),
        Grant::Operator(_) => true,
    };
    let record = TokenRecord {
        secret_digest: secret.digest().to_vec(),
        created_ms: now_ms,
        expires_ms: now_ms.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)),
        uses_left: if once { 1 } else { uses.clamp(1, MAX_USES) },
        grant: Some(grant),
    };
    Ok((Token { pin, secret }, record))
}

/// Takes one use of a token: its grant, and the record to write back.
///
/// # Errors
/// A refusal that says what is wrong with it and how to get another one.
pub fn redeem(record: Option<&TokenRecord>, now_ms: i64) -> Result<(Grant, TokenRecord), Status> {
    const ANOTHER: &str =
        "make another with `holdpoint-collector token create` (hosts) or `operator add` (people)";
    let refuse = |why: String| Err(Reason::Token.refuse(format!("{why}: {ANOTHER}")));
    let Some(record) = record else {
        return refuse("this collector does not know the token".to_owned());
    };
    let Some(grant) = record.grant.clone() else {
        return refuse("the token grants nothing".to_owned());
    };
    if now_ms >= record.expires_ms {
        let (ended, now) = (readable(record.expires_ms), readable(now_ms));
        return refuse(format!("the token expired {ended} (the collector's clock says {now})"));
    }
    let Some(uses_left) = record.uses_left.checked_sub(1) else {
        return refuse("the token is used up".to_owned());
    };
    Ok((grant, TokenRecord { uses_left, ..record.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::store::{AgentGrant, OperatorGrant};

    const HOUR: Duration = Duration::from_hours(1);

    fn agents() -> Grant {
        Grant::Agent(AgentGrant::default())
    }

    fn made(grant: Grant, uses: u32, ttl: Duration) -> TokenRecord {
        make(grant, uses, ttl, Digest::of(b"zone CA"), 1_000).unwrap().1
    }

    fn reason(result: Result<(Grant, TokenRecord), Status>) -> Option<Reason> {
        Reason::of(&result.unwrap_err())
    }

    #[test]
    fn a_token_is_worth_its_uses_until_it_expires() {
        let (token, record) = make(agents(), 2, HOUR, Digest::of(b"zone CA"), 1_000).unwrap();
        assert_eq!(record.secret_digest, token.secret.digest().to_vec());
        assert_eq!(record.expires_ms, 3_601_000);

        let (_, once) = redeem(Some(&record), 3_600_999).unwrap();
        let (grant, twice) = redeem(Some(&once), 2_000).unwrap();
        assert_eq!(grant, agents());
        assert_eq!(reason(redeem(Some(&twice), 2_000)), Some(Reason::Token));
        assert_eq!(reason(redeem(Some(&record), 3_601_000)), Some(Reason::Token));
        assert_eq!(reason(redeem(None, 2_000)), Some(Reason::Token));
    }

    #[test]
    fn a_token_for_one_asset_or_person_works_once() {
        let again = AgentGrant { for_asset: Some("hmi-01".into()), ..AgentGrant::default() };
        assert_eq!(made(Grant::Agent(again), 50, HOUR).uses_left, 1);
        assert_eq!(made(Grant::Operator(OperatorGrant { name: "anna".into() }), 50, HOUR).uses_left, 1);
    }

    #[test]
    fn uses_and_time_have_defaults_and_bounds() {
        assert_eq!(made(agents(), 0, Duration::ZERO).uses_left, 1);
        assert_eq!(made(agents(), 0, Duration::ZERO).expires_ms, 1_000 + 86_400_000);
        assert_eq!(made(agents(), u32::MAX, HOUR).uses_left, MAX_USES);
        assert_eq!(made(agents(), 1, Duration::MAX).expires_ms, 1_000 + 366 * 86_400_000);
    }
}
