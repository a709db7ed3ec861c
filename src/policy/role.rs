//! Roles: what they permit and forbid, and who has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ContainerName, Pattern, Principal, Rule, VerbSet};

/// Verbs, and the rule that names them.
#[derive(Clone, Debug)]
pub struct Verbs {
    /// The verbs.
    pub verbs: VerbSet,
    /// Where they stand.
    pub rule: Rule,
}

/// A set of permissions and prohibitions that principals can have.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name in the configuration.
    pub name: String,
    /// What it permits, within the ceilings.
    pub allow: Option<Verbs>,
    /// What it forbids, whatever other roles permit.
    pub forbid: Option<Verbs>,
    /// The containers that it is about; `None`: every managed one.
    pub containers: Option<Vec<Pattern>>,
    /// What it permits on the gateway itself, and where that stands.
    pub gateway: Option<(Vec<Facility>, Rule)>,
}

impl Role {
    /// Whether the role says anything about this container.
    #[must_use]
    pub fn covers(&self, container: &ContainerName) -> bool {
        match &self.containers {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(container)),
            None => true,
        }
    }
}

/// Something of the gateway itself that a role can permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Facility {
    /// Read the metrics.
    Metrics,
}

impl Facility {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Metrics];

    /// The word for it, in the configuration and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
        }
    }
}

/// Who may do anything at all.
#[derive(Clone, Debug)]
pub enum Access {
    /// There are no principals: whoever comes may do what the ceilings allow. Says where that is (not) written.
    Everybody(Rule),
    /// These principals, each by what its roles permit and none of them forbids.
    Principals(BTreeMap<Principal, Membership>),
}

/// The roles of one principal.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The roles. Their order means nothing.
    pub roles: Vec<Arc<Role>>,
    /// Where they are listed.
    pub rule: Rule,
}
