//! Names of containers, checked once where they enter.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most characters that a name or a prefix can have. Docker itself sets no limit.
const MAX_LENGTH: usize = 128;

/// A container's short name, without the prefix: `[A-Za-z0-9][A-Za-z0-9_.-]*`, at most 128 characters.
///
/// This is Docker's own rule for names, so no such text has a slash, a dot segment, a percent sign or a query in it.
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerName(Arc<str>);

/// What every managed container's full name begins with: empty, or as [`ContainerName`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Arc<str>);

/// The name by which the engine knows a container: prefix and short name. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FullName(Arc<str>);

/// The text cannot be a container's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName;

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a name is a letter or digit, then letters, digits, `_`, `.` and `-`, at most {MAX_LENGTH} in all"
        )
    }
}

impl std::error::Error for InvalidName {}

impl ContainerName {
    /// The rule for names as a regular expression, for those who check one beforehand.
    pub const PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Prefix {
    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of the container with this short name.
    #[must_use]
    pub fn full(&self, name: &ContainerName) -> FullName {
        FullName([&*self.0, &*name.0].concat().into())
    }
}

impl FullName {
    /// The name as text, without the slash that the engine puts before it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ContainerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for FullName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }
}

impl FromStr for Prefix {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() || is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_LENGTH
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
