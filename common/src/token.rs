//! Enrolment tokens: what a person carries from the collector to a host.
//!
//! ```text
//! hp1.PIN.SECRET    PIN     SHA-256 of the zone CA certificate, 52 characters
//!                   SECRET  20 random bytes, 32 characters
//! ```
//! Both parts are lower-case base32 (RFC 4648) without padding. The pin lets a host that trusts
//! nobody yet refuse every other collector before it sends the secret. Only the secret's digest
//! is kept by the collector; this module knows nothing of expiry, uses or grants.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use aws_lc_rs::rand;
use data_encoding::{Encoding, Specification};
use zeroize::Zeroizing;

use crate::section::Digest;

/// First part of a token: the format.
const FORMAT: &str = "hp1";
/// Random bytes of a secret.
pub const SECRET_BYTES: usize = 20;

/// Lower-case base32 that refuses everything but its one spelling.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
});

/// The text is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Not three parts, or another format.
    #[error("not a token: it starts with `{FORMAT}.` and has three parts")]
    Form,
    /// A part has another length or characters.
    #[error("the token's {part} is damaged: copy the whole token again")]
    Part {
        /// "pin" or "secret".
        part: &'static str,
    },
}

/// The part of a token that is shown to the collector.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl TokenSecret {
    /// Makes a new one.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }

    /// What the collector keeps and looks up.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_slice())
    }

    /// The secret as it travels in `EnrollRequest.token`.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32.encode(self.0.as_slice()))
    }
}

impl FromStr for TokenSecret {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        decode(text).map(|it| Self(Zeroizing::new(it))).ok_or(InvalidToken::Part { part: "secret" })
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// A token: which zone CA to trust, and the secret that is worth one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the zone CA certificate.
    pub pin: Digest,
    /// The secret for the collector.
    pub secret: TokenSecret,
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut parts = text.split('.');
        let (Some(FORMAT), Some(pin), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidToken::Form);
        };
        let pin = decode::<32>(pin).ok_or(InvalidToken::Part { part: "pin" })?;
        let pin = Digest::try_from(pin.as_slice()).map_err(|_| InvalidToken::Part { part: "pin" })?;
        Ok(Self { pin, secret: secret.parse()? })
    }
}

impl Token {
    /// The token as a person carries it, secret included; there is no `Display`, so that none is logged by accident.
    pub fn reveal(&self) -> Zeroizing<String> {
        let pin = BASE32.encode(self.pin.as_bytes());
        Zeroizing::new(format!("{FORMAT}.{pin}.{}", self.secret.reveal().as_str()))
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    // A length check first, so that hostile text is never decoded at length.
    if text.len() != BASE32.encode_len(N) {
        return None;
    }
    BASE32.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token { pin: Digest::of(b"zone CA"), secret: TokenSecret::random().unwrap() }
    }

    #[test]
    fn a_token_survives_its_text() {
        let token = token();
        let text = token.reveal();
        assert_eq!(text.len(), 3 + 1 + 52 + 1 + 32);
        assert_eq!(text.parse(), Ok(token.clone()));
        assert_eq!(token.secret.reveal().parse(), Ok(token.secret));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let text = token().reveal();
        let last_of_pin = text.split('.').nth(1).unwrap().chars().last().unwrap();
        // 52 characters carry 260 bits: four spare bits that must be zero.
        let spare_bits = text.replacen(&format!("{last_of_pin}."), "b.", 1);
        for wrong in [
            String::new(),
            text.to_uppercase(),
            format!("{} ", *text),
            format!("{}.", *text),
            format!("{}a", *text),
            text.replacen("hp1", "hp2", 1),
            text[..text.len() - 1].to_owned(),
            text.replacen('.', "..", 1),
            spare_bits,
            format!("hp1.{}", "a".repeat(1_000_000)),
        ] {
            assert!(wrong.parse::<Token>().is_err(), "{}", &wrong[..wrong.len().min(100)]);
        }
    }

    #[test]
    fn debugging_hides_the_secret() {
        let token = token();
        let secret = token.secret.reveal();
        assert!(!format!("{token:?}").contains(secret.as_str()));
    }

    #[test]
    fn no_two_secrets_are_equal() {
        assert_ne!(TokenSecret::random().unwrap(), TokenSecret::random().unwrap());
    }
}
