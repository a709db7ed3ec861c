//! A picture: what is known of every managed container at one moment. Pure, and never changed once it is shown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::Seen;
use crate::engine::{ContainerId, Look, Rendered};
use crate::policy::{ContainerName, FullName, Permitted, Prefix};

/// Something of managed containers. Their names are the configuration's, and callers only look names up: nobody can choose
/// some that collide, and so a quick hash will do.
pub(super) type ByName<T> = HashMap<ContainerName, T, RandomState>;

/// Which containers are managed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Managed {
    prefix: Option<Prefix>,
    names: HashMap<FullName, ContainerName>,
}

impl Managed {
    /// The containers with these short names after this prefix.
    pub fn new<'name>(
        prefix: &Prefix,
        names: impl IntoIterator<Item = &'name ContainerName>,
    ) -> Self {
        let names = names.into_iter();
        Self {
            prefix: Some(prefix.clone()),
            names: names
                .map(|name| (prefix.full(name), name.clone()))
                .collect(),
        }
    }

    /// What all their full names begin with.
    pub(super) fn prefix(&self) -> &str {
        self.prefix.as_ref().map_or("", Prefix::as_str)
    }

    /// The short name of the one that the engine knows by this name; none where it is not managed.
    pub(super) fn name_of(&self, full_name: &str) -> Option<&ContainerName> {
        self.names.get(full_name)
    }

    fn contains(&self, full_name: &FullName) -> bool {
        self.names.contains_key(full_name)
    }

    /// Whether this is the full name of the one with this short name.
    fn calls(&self, name: &ContainerName, full_name: &FullName) -> bool {
        full_name.as_str().strip_suffix(name.as_str()) == Some(self.prefix())
    }
}

/// What is known of every managed container at one moment.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    pub(super) version: u64,
    pub(super) content: u64,
    pub(super) managed: Arc<Managed>,
    pub(super) is_current: bool,
    pub(super) known: ByName<Known>,
}

/// What is known of one container.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// None where the engine cannot or will not tell now.
    pub(super) seen: Option<Arc<Seen>>,
    /// When the look began that told it.
    pub(super) looked_at: Instant,
}

/// What a picture says of one name.
pub(in crate::engine) enum Find<'picture> {
    /// There is a container of that name, and it was seen.
    Seen(&'picture Arc<Seen>),
    /// There is none.
    Absent,
    /// That is not known: the engine is to be asked.
    Unknown,
}

impl Picture {
    /// Its number: of two, the later one's is greater.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The number of what it shows: while that is the same, so is all that is seen.
    #[must_use]
    pub const fn content(&self) -> u64 {
        self.content
    }

    /// Whether it is what the engine has; otherwise it says nothing.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.is_current
    }

    /// What it says of a container.
    pub(in crate::engine) fn find(&self, permitted: &Permitted<'_, Look>) -> Find<'_> {
        let (name, full_name) = (permitted.container(), permitted.full_name());
        // Of the same short name under another prefix nothing is known.
        if !self.is_current || !self.managed.calls(name, full_name) {
            return Find::Unknown;
        }
        match self.known.get(name) {
            Some(known) => known.seen.as_ref().map_or(Find::Unknown, Find::Seen),
            None if self.managed.contains(full_name) => Find::Absent,
            None => Find::Unknown,
        }
    }

    /// What was seen of those of these containers that exist, in the order given, but for those of which the engine does
    /// not tell. None where nothing is known: it is not current, or one of them was not managed then.
    #[must_use]
    pub fn seen(&self, permitted: &[Permitted<'_, Look>]) -> Option<Vec<Arc<Seen>>> {
        let is_managed = |one: &Permitted<'_, Look>| self.managed.contains(one.full_name());
        let is_known = self.is_current && permitted.iter().all(is_managed);
        let seen = |one: &Permitted<'_, Look>| self.known.get(one.container())?.seen.clone();
        is_known.then(|| permitted.iter().filter_map(seen).collect())
    }

    /// The answers to `status` of those of these containers that exist, in the order given; none where that is not known
    /// of all.
    #[must_use]
    pub fn statuses(&self, permitted: &[Permitted<'_, Look>]) -> Option<Vec<Rendered>> {
        let mut statuses = Vec::with_capacity(permitted.len());
        for permitted in permitted {
            match self.find(permitted) {
                Find::Seen(seen) => statuses.push(seen.status.clone()),
                Find::Absent => {}
                Find::Unknown => return None,
            }
        }
        Some(statuses)
    }

    /// The container that is seen under this name.
    pub(super) fn id_of(&self, name: &ContainerName) -> Option<&ContainerId> {
        let seen = self.known.get(name)?.seen.as_ref()?;
        Some(&seen.id)
    }

    /// The container of this name as a look told that began at this time or later.
    pub(super) fn since(&self, name: &ContainerName, began: Instant) -> Option<&Arc<Seen>> {
        let known = self.known.get(name)?;
        (self.is_current && known.looked_at >= began)
            .then_some(known.seen.as_ref())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Instant;

    use super::{ByName, Find, Known, Managed, Picture};
    use crate::engine::mirror::tests::view;
    use crate::engine::{ContainerId, Look, Moment, Seen, State};
    use crate::policy::{Access, Ceiling, ContainerName, Policy, Prefix, Principal, Rule, Verb};

    /// Of the managed `p-a`, `p-b` and `p-c` the first was seen, and of the second the engine does not tell.
    fn picture(is_current: bool) -> Picture {
        let names = ["a", "b", "c"].map(|name| name.parse::<ContainerName>().unwrap());
        let prefix: Prefix = "p-".parse().unwrap();
        let id: ContainerId = "0".repeat(64).parse().unwrap();
        let seen = Arc::new(Seen::new(
            id,
            names[0].clone(),
            view("a", State::Running),
            Moment::now(),
        ));
        let known = [(names[0].clone(), Some(seen)), (names[1].clone(), None)];
        let known = known.map(|(name, seen)| {
            let looked_at = Instant::now();
            (name, Known { seen, looked_at })
        });
        Picture {
            managed: Arc::new(Managed::new(&prefix, &names)),
            is_current,
            known: known.into_iter().collect::<ByName<_>>(),
            ..Picture::default()
        }
    }

    /// Asserts what is found of a container by a law under which it has this prefix.
    fn check(picture: &Picture, prefix: &str, name: &str, expected: &str) {
        let name: ContainerName = name.parse().unwrap();
        let rule = Rule::new("containers.a.allow", "test.toml:1:1");
        let ceiling = Ceiling {
            allow: [Verb::Status].into_iter().collect(),
            rule: rule.clone(),
        };
        let ceilings = BTreeMap::from([(name.clone(), ceiling)]);
        let prefix = prefix.parse().unwrap();
        let policy = Policy::new(prefix, ceilings, Access::Everybody(rule));
        let permitted = policy.permit(&Principal::anonymous(), Look, &name).unwrap();
        let found = match picture.find(&permitted) {
            Find::Seen(_) => "seen",
            Find::Absent => "absent",
            Find::Unknown => "unknown",
        };
        assert_eq!(found, expected, "{}", permitted.full_name());
    }

    #[test]
    fn what_is_found() {
        let current = picture(true);
        check(&current, "p-", "a", "seen");
        check(&current, "p-", "b", "unknown");
        check(&current, "p-", "c", "absent");
        check(&current, "p-", "d", "unknown");
        check(&picture(false), "p-", "a", "unknown");
    }

    /// After a reload with another prefix the same short names are other containers.
    #[test]
    fn nothing_is_found_under_another_prefix() {
        for prefix in ["q-", "", "p", "p-p-", "xp-"] {
            for name in ["a", "b", "c"] {
                check(&picture(true), prefix, name, "unknown");
            }
        }
    }
}
