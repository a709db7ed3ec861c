//! Rights: what a set of roles comes to, worked out once when the rules are read, so that deciding is a look-up.

use std::collections::HashMap;
use std::sync::Arc;

use super::managed::{Containers, Managed};
use super::{Ceiling, ContainerName, Denial, Facility, Role, Rule, Verb, VerbSet, Verbs};

/// What one set of roles may do to each managed container.
#[derive(Debug)]
pub(super) struct Rights {
    roles: Vec<Arc<Role>>,
    /// What there is to say of containers, each only once: of most of them the roles say the same.
    cells: Vec<Cell>,
    /// By the container's number, the place of its cell.
    places: Box<[u32]>,
}

/// What the roles say about one container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cell {
    granted: VerbSet,
    /// By the verb's place in [`Verb::ALL`].
    verdicts: [Verdict; Verb::ALL.len()],
}

/// What decides about one verb. Roles are named by their place in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Verdict {
    /// This role permits it, and so does the ceiling.
    Granted(usize),
    /// This role forbids it.
    Forbidden(usize),
    /// A role permits it, but the ceiling does not.
    AboveCeiling,
    /// No role permits it.
    NotPermitted,
}

impl Rights {
    /// Works out what these roles come to under the ceilings of these containers.
    pub(super) fn new(roles: Vec<Arc<Role>>, containers: &Containers) -> Self {
        let (mut cells, mut known) = (Vec::new(), HashMap::new());
        let places = containers.iter().map(|(container, managed)| {
            let cell = Cell::new(&roles, container, &managed.ceiling);
            *known.entry(cell).or_insert_with_key(|cell| {
                cells.push(cell.clone());
                // There are fewer containers than that.
                u32::try_from(cells.len() - 1).unwrap_or(u32::MAX)
            })
        });
        let places = places.collect();
        Self {
            roles,
            cells,
            places,
        }
    }

    pub(super) fn roles(&self) -> &[Arc<Role>] {
        &self.roles
    }

    /// All that is granted on a container.
    pub(super) fn granted(&self, managed: &Managed) -> VerbSet {
        self.cell(managed)
            .map_or_else(VerbSet::default, |cell| cell.granted)
    }

    /// The rule that allows one verb on this container, or why none does; `membership` is the rule that names the roles.
    pub(super) fn judge<'law>(
        &'law self,
        verb: Verb,
        managed: &'law Managed,
        membership: &'law Rule,
    ) -> Result<&'law Rule, Denial> {
        let unknown = Denial::Hidden { by: None };
        let Some(cell) = self.cell(managed) else {
            return Err(unknown);
        };
        let Some(verdict) = cell.verdicts.get(verb as usize) else {
            return Err(unknown);
        };
        let Some(by) = self.rule(*verdict, &managed.ceiling, membership) else {
            return Err(unknown);
        };
        match verdict {
            Verdict::Granted(_) => Ok(by),
            Verdict::Forbidden(_) | Verdict::AboveCeiling | Verdict::NotPermitted
                if cell.granted.is_empty() =>
            {
                Err(Denial::Hidden {
                    by: Some(by.clone()),
                })
            }
            Verdict::Forbidden(_) => Err(Denial::Forbidden { by: by.clone() }),
            Verdict::AboveCeiling | Verdict::NotPermitted => {
                Err(Denial::NotGranted { by: by.clone() })
            }
        }
    }

    fn cell(&self, managed: &Managed) -> Option<&Cell> {
        let place = self.places.get(managed.number)?;
        self.cells.get(usize::try_from(*place).ok()?)
    }

    /// The rule behind a verdict.
    fn rule<'rule>(
        &'rule self,
        verdict: Verdict,
        ceiling: &'rule Ceiling,
        membership: &'rule Rule,
    ) -> Option<&'rule Rule> {
        match verdict {
            Verdict::Granted(place) => self
                .roles
                .get(place)?
                .allow
                .as_ref()
                .map(|allow| &allow.rule),
            Verdict::Forbidden(place) => {
                let forbid = self.roles.get(place)?.forbid.as_ref();
                forbid.map(|forbid| &forbid.rule)
            }
            Verdict::AboveCeiling => Some(&ceiling.rule),
            Verdict::NotPermitted => Some(membership),
        }
    }

    /// The rule by which the roles permit something of the gateway itself.
    pub(super) fn permits(&self, facility: Facility) -> Option<&Rule> {
        self.roles
            .iter()
            .filter_map(|role| role.gateway.as_ref())
            .find(|(facilities, _)| facilities.contains(&facility))
            .map(|(_, rule)| rule)
    }
}

impl Cell {
    fn new(roles: &[Arc<Role>], container: &ContainerName, ceiling: &Ceiling) -> Self {
        let covering: Vec<_> = roles
            .iter()
            .enumerate()
            .filter(|(_, role)| role.covers(container))
            .collect();
        let verdicts = Verb::ALL.map(|verb| {
            let names = |verbs: &Option<Verbs>| {
                verbs
                    .as_ref()
                    .is_some_and(|named| named.verbs.contains(verb))
            };
            let forbids = covering.iter().find(|(_, role)| names(&role.forbid));
            let permits = covering.iter().find(|(_, role)| names(&role.allow));
            match (forbids, permits) {
                (Some((place, _)), _) => Verdict::Forbidden(*place),
                (None, Some((place, _))) if ceiling.allow.contains(verb) => {
                    Verdict::Granted(*place)
                }
                (None, Some(_)) => Verdict::AboveCeiling,
                (None, None) => Verdict::NotPermitted,
            }
        });
        let granted = Verb::ALL
            .into_iter()
            .zip(verdicts)
            .filter(|(_, verdict)| matches!(verdict, Verdict::Granted(_)))
            .map(|(verb, _)| verb)
            .collect();
        Self { granted, verdicts }
    }
}
