//! Principals: who asks.

use std::fmt;
use std::sync::Arc;

/// Who asks. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The name of [`Principal::anonymous`].
    pub const ANONYMOUS: &str = "anonymous";

    /// The caller who shows no credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(Self::ANONYMOUS.into())
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
