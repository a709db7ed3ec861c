//! The rules in force and the one function that decides by them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::managed::{Containers, Managed};
use super::rights::Rights;
use super::{
    Access, ContainerName, Decision, Denial, Facility, Membership, Operation, Permitted, Prefix,
    Principal, Role, Rule, Verb, VerbSet,
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
    containers: Containers,
    holders: Holders,
}

/// Who has which rights.
#[derive(Clone, Debug)]
enum Holders {
    Everybody(Rule),
    /// Principals with the same roles share what these come to.
    Principals(BTreeMap<Principal, (Rule, Arc<Rights>)>),
}

impl Policy {
    /// The law that manages these containers and no others.
    #[must_use]
    pub fn new(prefix: Prefix, ceilings: BTreeMap<ContainerName, Ceiling>, access: Access) -> Self {
        let containers = Containers::new(&prefix, ceilings);
        let holders = match access {
            Access::Everybody(rule) => Holders::Everybody(rule),
            Access::Principals(members) => Holders::Principals(worked_out(members, &containers)),
        };
        Self {
            prefix,
            containers,
            holders,
        }
    }

    /// What the full name of every managed container begins with.
    #[must_use]
    pub const fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// The name of a managed container, where this text is one. To know it is to be allowed nothing.
    #[must_use]
    pub fn name(&self, text: &str) -> Option<&ContainerName> {
        self.containers.get(text).map(|(name, _)| name)
    }

    /// Whether anybody has to say who they are: without principals, everybody is [`Principal::anonymous`].
    #[must_use]
    pub const fn has_principals(&self) -> bool {
        matches!(self.holders, Holders::Principals(_))
    }

    /// Whether this principal is one that the rules name; `anonymous` is one too, where there are none.
    #[must_use]
    pub fn knows(&self, principal: &Principal) -> bool {
        match &self.holders {
            Holders::Everybody(_) => principal.is_anonymous(),
            Holders::Principals(members) => members.contains_key(principal),
        }
    }

    /// The principals that the rules name, by name.
    pub fn principals(&self) -> impl Iterator<Item = &Principal> {
        let members = match &self.holders {
            Holders::Everybody(_) => None,
            Holders::Principals(members) => Some(members.keys()),
        };
        members.into_iter().flatten()
    }

    /// The names of the roles that this principal has.
    pub fn roles(&self, principal: &Principal) -> impl Iterator<Item = &str> {
        let roles = self.rights(principal).map(|(_, rights)| rights.roles());
        let roles: &[Arc<Role>] = roles.unwrap_or_default();
        roles.iter().map(|role| role.name.as_str())
    }

    /// Whether this principal may do this verb to this container, and by which rule.
    #[must_use]
    pub fn decide(&self, principal: &Principal, verb: Verb, container: &ContainerName) -> Decision {
        match self.containers.get(container.as_str()) {
            Some((_, managed)) => match self.judge(managed, principal, verb) {
                Ok(by) => Decision::Allow { by: by.clone() },
                Err(denial) => Decision::Deny(denial),
            },
            None => Decision::Deny(Denial::Hidden { by: None }),
        }
    }

    /// The rule that allows it, or why none does.
    fn judge<'law>(
        &'law self,
        managed: &'law Managed,
        principal: &Principal,
        verb: Verb,
    ) -> Result<&'law Rule, Denial> {
        match &self.holders {
            Holders::Everybody(_) => under(&managed.ceiling, verb),
            Holders::Principals(members) => match members.get(principal) {
                Some((membership, rights)) => rights.judge(verb, managed, membership),
                None => Err(Denial::Hidden { by: None }),
            },
        }
    }

    /// Whether this principal may use something of the gateway itself, and by which rule.
    #[must_use]
    pub fn decide_facility(&self, principal: &Principal, facility: Facility) -> Decision {
        match &self.holders {
            Holders::Everybody(rule) => Decision::Allow { by: rule.clone() },
            Holders::Principals(members) => match members.get(principal) {
                Some((membership, rights)) => match rights.permits(facility) {
                    Some(rule) => Decision::Allow { by: rule.clone() },
                    None => Decision::Deny(Denial::NotGranted {
                        by: membership.clone(),
                    }),
                },
                None => Decision::Deny(Denial::Hidden { by: None }),
            },
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
    ) -> Result<Permitted<'_, T>, Denial> {
        let Some((name, managed)) = self.containers.get(container.as_str()) else {
            return Err(Denial::Hidden { by: None });
        };
        let by = self.judge(managed, principal, operation.verb())?;
        Ok(Permitted::new(name, &managed.full_name, operation, by))
    }

    /// The containers that this principal may know of, by name, each with all that it may do to it.
    pub fn visible(
        &self,
        principal: &Principal,
    ) -> impl Iterator<Item = (&ContainerName, VerbSet)> {
        let holder = self.holder(principal);
        self.containers
            .iter()
            .map(move |(name, managed)| (name, holder.granted(managed)))
            .filter(|(_, granted)| !granted.is_empty())
    }

    /// All that this principal may do to this container; nothing where it is hidden.
    #[must_use]
    pub fn granted(&self, principal: &Principal, container: &ContainerName) -> VerbSet {
        match self.containers.get(container.as_str()) {
            Some((_, managed)) => self.holder(principal).granted(managed),
            None => VerbSet::default(),
        }
    }

    fn holder(&self, principal: &Principal) -> Holder<'_> {
        match &self.holders {
            Holders::Everybody(_) => Holder::Everybody,
            Holders::Principals(_) => match self.rights(principal) {
                Some((_, rights)) => Holder::Roles(rights),
                None => Holder::Nobody,
            },
        }
    }

    fn rights(&self, principal: &Principal) -> Option<(&Rule, &Rights)> {
        match &self.holders {
            Holders::Everybody(_) => None,
            Holders::Principals(members) => members
                .get(principal)
                .map(|(membership, rights)| (membership, &**rights)),
        }
    }
}

/// Whose rights are asked for.
enum Holder<'policy> {
    Everybody,
    Roles(&'policy Rights),
    Nobody,
}

impl Holder<'_> {
    fn granted(&self, managed: &Managed) -> VerbSet {
        match self {
            Self::Everybody => managed.ceiling.allow,
            Self::Roles(rights) => rights.granted(managed),
            Self::Nobody => VerbSet::default(),
        }
    }
}

/// What the ceiling alone decides, where there are no principals.
fn under(ceiling: &Ceiling, verb: Verb) -> Result<&Rule, Denial> {
    let by = &ceiling.rule;
    if ceiling.allow.contains(verb) {
        Ok(by)
    } else if ceiling.allow.is_empty() {
        Err(Denial::Hidden {
            by: Some(by.clone()),
        })
    } else {
        Err(Denial::NotGranted { by: by.clone() })
    }
}

fn worked_out(
    members: BTreeMap<Principal, Membership>,
    containers: &Containers,
) -> BTreeMap<Principal, (Rule, Arc<Rights>)> {
    let mut known: BTreeMap<Vec<String>, Arc<Rights>> = BTreeMap::new();
    let worked_out = |(principal, Membership { mut roles, rule }): (Principal, Membership)| {
        // Order means nothing: of several rules that would decide, the answer always names the same.
        roles.sort_by(|one, other| one.name.cmp(&other.name));
        let names = roles.iter().map(|role: &Arc<Role>| role.name.clone());
        let rights = known
            .entry(names.collect())
            .or_insert_with(|| Arc::new(Rights::new(roles, containers)));
        (principal, (rule, Arc::clone(rights)))
    };
    members.into_iter().map(worked_out).collect()
}
