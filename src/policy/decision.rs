//! What the law answers, with the reason in it, and the permission that only the law can give.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{ContainerName, FullName, Verb};

/// Where a rule stands, so that every answer can say which line of which file decided. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule(Arc<str>);

impl Rule {
    /// A rule by its key and place, such as `containers.muxer.allow (relayer-controller.toml:12:1)`.
    #[must_use]
    pub fn new(key: &str, place: &str) -> Self {
        Self(format!("{key} ({place})").into())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The answer to "may this principal do this verb to this container?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, and the rule that says so.
    Allow {
        /// The rule that grants the verb.
        by: Rule,
    },
    /// No, and why.
    Deny(Denial),
}

/// Why the answer is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Nothing at all is allowed on it: the caller may not learn that it exists.
    Hidden {
        /// The rule that could have granted the verb; `None` where no rule is about the container.
        by: Option<Rule>,
    },
    /// The caller may see it, but nothing grants the verb.
    NotGranted {
        /// The rule that could have granted it.
        by: Rule,
    },
    /// A rule forbids the verb, whatever others grant.
    Forbidden {
        /// The rule that forbids.
        by: Rule,
    },
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden { by: None } => f.write_str("hidden: no rule is about it"),
            Self::Hidden { by: Some(by) } => write!(f, "hidden by {by}"),
            Self::NotGranted { by } => write!(f, "not granted by {by}"),
            Self::Forbidden { by } => write!(f, "forbidden by {by}"),
        }
    }
}

/// Something that can be asked of the engine about one container.
pub trait Operation {
    /// The verb that the caller needs for it.
    fn verb(&self) -> Verb;
}

/// An operation on one container that the law has allowed.
///
/// Its fields are private and [`Policy::permit`](super::Policy::permit) is the only place that makes one, so a
/// function that takes it cannot be reached by forgetting to ask.
///
/// It borrows from the law that allowed it: most are spent at once, and to count who holds a name or a rule is to write
/// where every other request does too. [`Permitted::into_owned`] is for those that outlive the request.
#[derive(Clone, Debug)]
pub struct Permitted<'law, T> {
    container: Cow<'law, ContainerName>,
    full_name: Cow<'law, FullName>,
    operation: T,
    by: Cow<'law, Rule>,
}

impl<'law, T> Permitted<'law, T> {
    pub(super) const fn new(
        container: &'law ContainerName,
        full_name: &'law FullName,
        operation: T,
        by: &'law Rule,
    ) -> Self {
        Self {
            container: Cow::Borrowed(container),
            full_name: Cow::Borrowed(full_name),
            operation,
            by: Cow::Borrowed(by),
        }
    }

    /// The same, on its own.
    #[must_use]
    pub fn into_owned(self) -> Permitted<'static, T> {
        Permitted {
            container: Cow::Owned(self.container.into_owned()),
            full_name: Cow::Owned(self.full_name.into_owned()),
            operation: self.operation,
            by: Cow::Owned(self.by.into_owned()),
        }
    }

    /// The short name of the container that it is about.
    #[must_use]
    pub fn container(&self) -> &ContainerName {
        &self.container
    }

    /// The same, to be kept: borrowed for as long as it is.
    #[must_use]
    pub fn shared_container(&self) -> Cow<'law, ContainerName> {
        self.container.clone()
    }

    /// The name by which the engine knows that container.
    #[must_use]
    pub fn full_name(&self) -> &FullName {
        &self.full_name
    }

    /// What was allowed.
    #[must_use]
    pub const fn operation(&self) -> &T {
        &self.operation
    }

    /// The rule that allowed it.
    #[must_use]
    pub fn by(&self) -> &Rule {
        &self.by
    }
}
