//! Tokens: secrets that are known by their hash alone.

use std::fmt;
use std::fmt::Write;
use std::io;
use std::str::FromStr;
use std::time::SystemTime;

use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a token that was made here begins with, so that people and scanners for leaked secrets recognise one.
const MARK: &str = "rlc_";

/// What the written form of a hash begins with.
const ALGORITHM: &str = "sha256:";

/// A secret. Shown by [`Secret::expose`] and by nothing else.
pub struct Secret(String);

impl Secret {
    /// A new one: `rlc_` and 256 random bits of the kernel's as 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// Where the kernel gives no random bytes.
    pub fn generate() -> io::Result<Self> {
        let mut bits = [0; 32];
        // Up to 256 bytes come whole or not at all: getrandom(2).
        if getrandom(&mut bits, GetRandomFlags::empty())? != bits.len() {
            return Err(io::Error::other("the kernel gave too few random bytes"));
        }
        Ok(Self(format!("{MARK}{}", digits(&bits))))
    }

    /// The secret itself, for whoever is to keep it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a token's text. A token has 256 random bits, so that nothing slower is needed to keep it from being
/// guessed.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The written form, `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn written(&self) -> String {
        format!("{ALGORITHM}{}", digits(&self.0))
    }

    /// The part by which it is looked up.
    pub(super) fn beginning(&self) -> [u8; 8] {
        self.0.first_chunk().copied().unwrap_or_default()
    }
}

/// In constant time.
impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// The text is no hash of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHash;

impl fmt::Display for InvalidHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a token is written as `sha256:` and 64 hexadecimal digits; `relayer-controller token` prints a new one",
        )
    }
}

impl std::error::Error for InvalidHash {}

impl FromStr for TokenHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let digits = text.strip_prefix(ALGORITHM).ok_or(InvalidHash)?;
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(InvalidHash);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else {
                return Err(InvalidHash);
            };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(hash))
    }
}

fn nibble(digit: u8) -> Result<u8, InvalidHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(InvalidHash),
    }
}

fn digits(bytes: &[u8; 32]) -> String {
    let mut digits = String::with_capacity(64);
    for byte in bytes {
        // Writing to a string does not fail.
        let _written = write!(digits, "{byte:02x}");
    }
    digits
}

/// One token of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The hash of its text.
    pub hash: TokenHash,
    /// The moment from which it is no longer accepted; `None`: never.
    pub expires: Option<SystemTime>,
}

#[cfg(test)]
mod tests {
    use super::{Secret, TokenHash};

    #[test]
    fn new_ones() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), 4 + 64);
        assert!(one.expose().starts_with("rlc_"));
        assert!(TokenHash::of(one.expose()) == TokenHash::of(one.expose()));
        assert!(TokenHash::of(one.expose()) != TokenHash::of(other.expose()));
    }

    /// `printf test | sha256sum`
    #[test]
    fn written_as_sha256sum_prints_it() {
        let written = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(TokenHash::of("test").written(), written);
        assert!(written.parse::<TokenHash>().unwrap() == TokenHash::of("test"));
        let upper = written.to_uppercase().replace("SHA256", "sha256");
        assert!(upper.parse::<TokenHash>().unwrap() == TokenHash::of("test"));
    }

    #[test]
    fn what_is_no_hash() {
        let good = TokenHash::of("test").written();
        let longer = format!("{good}0");
        let other = good.replace("sha256", "sha512");
        let bare = good.replace("sha256:", "");
        let spaced = good.replace("sha256:9", "sha256:+");
        for bad in ["", "sha256:", "test", &longer, &other, &bare, &spaced] {
            assert!(bad.parse::<TokenHash>().is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_shown_by_accident() {
        let secret = Secret::generate().unwrap();
        let hash = TokenHash::of(secret.expose());
        assert_eq!(format!("{secret:?} {hash:?}"), "Secret(…) TokenHash(…)");
    }
}
