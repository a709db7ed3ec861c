//! Principals: who asks.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most characters that a principal's or a role's name can have.
const MAX_LENGTH: usize = 64;

/// Who asks, by a name of the configuration: letters, digits, `_`, `.`, `-` and `@`, at most 64 of them. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(Name);

/// Each name has one form only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Anonymous,
    Given(Arc<str>),
}

impl Principal {
    /// The rule for names as a regular expression.
    pub const PATTERN: &str = "^[A-Za-z0-9_.@-]{1,64}$";

    /// The name of [`Principal::anonymous`].
    pub const ANONYMOUS: &str = "anonymous";

    /// The caller who shows no credentials.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self(Name::Anonymous)
    }

    /// Whether it is the caller who shows no credentials.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        matches!(self.0, Name::Anonymous)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Anonymous => Self::ANONYMOUS,
            Name::Given(name) => name,
        }
    }
}

impl Ord for Principal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Principal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
        if !(1..=MAX_LENGTH).contains(&text.len()) || !text.bytes().all(plain) {
            return Err(InvalidPrincipal);
        }
        Ok(match text {
            Self::ANONYMOUS => Self::anonymous(),
            name => Self(Name::Given(name.into())),
        })
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
