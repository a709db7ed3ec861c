//! Principals: who asks.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most characters that a principal's or a role's name can have.
const MAX_LENGTH: usize = 64;

/// Who asks, by a name of the configuration: letters, digits, `_`, `.`, `-` and `@`, at most 64 of them. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The rule for names as a regular expression.
    pub const PATTERN: &str = "^[A-Za-z0-9_.@-]{1,64}$";

    /// The name of [`Principal::anonymous`].
    pub const ANONYMOUS: &str = "anonymous";

    /// The caller who shows no credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(Self::ANONYMOUS.into())
    }

    /// Whether it is the caller who shows no credentials.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        &*self.0 == Self::ANONYMOUS
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text cannot name a principal or a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPrincipal;

impl fmt::Display for InvalidPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a name is letters, digits, `_`, `.`, `-` and `@`, at most {MAX_LENGTH} in all"
        )
    }
}

impl std::error::Error for InvalidPrincipal {}

impl FromStr for Principal {
    type Err = InvalidPrincipal;

    /// No name has a colon, which ends the name in Basic credentials, nor anything that could forge a line of a log.
    fn from_str(text: &str) -> Result<Self, InvalidPrincipal> {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@');
        if (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPrincipal)
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
