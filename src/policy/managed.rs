//! The containers that are managed, by name.

use std::collections::{BTreeMap, HashMap};

use super::{Ceiling, ContainerName, FullName, Prefix};

/// A managed container.
#[derive(Clone, Debug)]
pub(super) struct Managed {
    /// Counted in the order of short names.
    pub(super) number: usize,
    pub(super) full_name: FullName,
    pub(super) ceiling: Ceiling,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Containers {
    /// In the order of short names.
    all: Vec<(ContainerName, Managed)>,
    /// The place of each: every request looks one up, and shall take no longer where there are many.
    places: HashMap<ContainerName, usize>,
}

impl Containers {
    pub(super) fn new(prefix: &Prefix, ceilings: BTreeMap<ContainerName, Ceiling>) -> Self {
        let numbered = ceilings.into_iter().enumerate();
        let all = numbered.map(|(number, (name, ceiling))| {
            let full_name = prefix.full(&name);
            let managed = Managed {
                number,
                full_name,
                ceiling,
            };
            (name, managed)
        });
        let all: Vec<_> = all.collect();
        let places = all
            .iter()
            .map(|(name, managed)| (name.clone(), managed.number));
        Self {
            places: places.collect(),
            all,
        }
    }

    /// The one with this short name.
    pub(super) fn get(&self, name: &str) -> Option<&(ContainerName, Managed)> {
        self.all.get(*self.places.get(name)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(ContainerName, Managed)> {
        self.all.iter()
    }
}
