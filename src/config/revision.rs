//! The revision: which text is in force, in a form that fits into a line of the log.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The first twelve digits of the SHA-256 of a file's text, as `sha256sum` prints them. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(Arc<str>);

impl Revision {
    pub(super) fn of(text: &str) -> Self {
        let hash = Sha256::digest(text.as_bytes());
        let digits = hash.iter().take(6).map(|byte| format!("{byte:02x}"));
        Self(digits.collect::<String>().into())
    }

    /// The revision as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Revision;

    /// `printf test | sha256sum | cut -c 1-12`
    #[test]
    fn as_sha256sum_prints_it() {
        assert_eq!(Revision::of("test").as_str(), "9f86d081884c");
    }
}
