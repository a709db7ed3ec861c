//! The rules in force and the one function that decides by them.

use std::collections::BTreeMap;

use super::{
    ContainerName, Decision, Denial, Operation, Permitted, Prefix, Principal, Rule, Verb, VerbSet,
};

/// The most that anybody may do to one container.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// The verbs that it lets through.
    pub allow: VerbSet,
    /// Where it stands.
    pub rule: Rule,
}

/// All the rules in force.
#[derive(Clone, Debug)]
pub struct Policy {
    prefix: Prefix,
    ceilings: BTreeMap<ContainerName, Ceiling>,
}

impl Policy {
    /// The law that manages these containers and no others.
    #[must_use]
    pub const fn new(prefix: Prefix, ceilings: BTreeMap<ContainerName, Ceiling>) -> Self {
        Self { prefix, ceilings }
    }

    /// What the full name of every managed container begins with.
    #[must_use]
    pub const fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Whether this principal may do this verb to this container, and by which rule.
    #[must_use]
    pub fn decide(&self, principal: &Principal, verb: Verb, container: &ContainerName) -> Decision {
        let Some(ceiling) = self.ceilings.get(container) else {
            return Decision::Deny(Denial::Hidden);
        };
        let granted = Self::under(principal, ceiling);
        let by = ceiling.rule.clone();
        if granted.contains(verb) {
            Decision::Allow { by }
        } else if granted.is_empty() {
            Decision::Deny(Denial::Hidden)
        } else {
            Decision::Deny(Denial::NotGranted { by })
        }
    }

    /// Turns an operation into a permitted one.
    ///
    /// # Errors
    ///
    /// The denial of [`Policy::decide`], when the answer is no.
    pub fn permit<T: Operation>(
        &self,
        principal: &Principal,
        operation: T,
        container: &ContainerName,
    ) -> Result<Permitted<T>, Denial> {
        match self.decide(principal, operation.verb(), container) {
            Decision::Allow { by } => Ok(Permitted::new(
                container.clone(),
                self.prefix.full(container),
                operation,
                by,
            )),
            Decision::Deny(denial) => Err(denial),
        }
    }

    /// The containers that this principal may know of, by name, each with all that it may do to it.
    pub fn visible(
        &self,
        principal: &Principal,
    ) -> impl Iterator<Item = (&ContainerName, VerbSet)> {
        self.ceilings
            .iter()
            .map(|(name, ceiling)| (name, Self::under(principal, ceiling)))
            .filter(|(_, granted)| !granted.is_empty())
    }

    /// All that this principal may do to this container; nothing where it is hidden.
    #[must_use]
    pub fn granted(&self, principal: &Principal, container: &ContainerName) -> VerbSet {
        self.ceilings
            .get(container)
            .map_or_else(VerbSet::default, |ceiling| Self::under(principal, ceiling))
    }

    /// What is left for this principal under a ceiling. Without roles, everybody has all of it.
    const fn under(_principal: &Principal, ceiling: &Ceiling) -> VerbSet {
        ceiling.allow
    }
}
