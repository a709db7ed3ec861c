//! Who needs whom: a graph of services, and the cycles in it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::engine::Condition;

/// Services by their numbers, and which others each needs. Whoever writes labels makes it: it may be of any shape, so
/// nothing here calls itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    needs: Vec<BTreeMap<usize, Condition>>,
}

impl Graph {
    /// A graph of so many services that need nothing.
    pub(super) fn new(services: usize) -> Self {
        Self {
            needs: vec![BTreeMap::new(); services],
        }
    }

    /// Adds that one service needs another; of several conditions the strictest counts.
    pub(super) fn add(&mut self, service: usize, needed: usize, condition: Condition) {
        if let Some(needs) = self.needs.get_mut(service) {
            let known = needs.entry(needed).or_insert(condition);
            *known = condition.max(*known);
        }
    }

    /// Whether a service says that it needs itself.
    pub(super) fn needs_itself(&self, service: usize) -> bool {
        self.needed(service).any(|needed| needed == service)
    }

    /// How many services there are.
    pub(super) fn len(&self) -> usize {
        self.needs.len()
    }

    /// Each service with one that it needs.
    pub(super) fn edges(&self) -> impl Iterator<Item = (usize, usize, Condition)> {
        let edges = self.needs.iter().enumerate();
        edges.flat_map(|(service, needs)| {
            let needs = needs.iter();
            needs.map(move |(needed, condition)| (service, *needed, *condition))
        })
    }

    /// The services in groups: those that need each other, directly or not, are in one, and everybody else is alone.
    ///
    /// Kosaraju's way: walk the graph and note who is left when, then walk it backwards from who was left last.
    pub(super) fn groups(&self) -> Vec<Vec<usize>> {
        let mut needed_by: HashMap<usize, Vec<usize>> = HashMap::new();
        for (service, needed, _) in self.edges() {
            needed_by.entry(needed).or_default().push(service);
        }
        let (mut groups, mut seen) = (Vec::new(), HashSet::new());
        for start in self.by_leaving().into_iter().rev() {
            let (mut group, mut open) = (Vec::new(), vec![start]);
            while let Some(service) = open.pop() {
                if seen.insert(service) {
                    group.push(service);
                    open.extend(needed_by.get(&service).into_iter().flatten());
                }
            }
            if !group.is_empty() {
                groups.push(group);
            }
        }
        groups
    }

    /// The services in the order in which a walk, depth first, leaves them.
    fn by_leaving(&self) -> Vec<usize> {
        let (mut left, mut seen) = (Vec::new(), HashSet::new());
        for start in 0..self.len() {
            let mut open = vec![(start, false)];
            while let Some((service, is_walked)) = open.pop() {
                if is_walked {
                    left.push(service);
                } else if seen.insert(service) {
                    open.push((service, true));
                    open.extend(self.needed(service).map(|needed| (needed, false)));
                }
            }
        }
        left
    }

    /// The shortest way from a service along its needs back to itself, without itself at the end; none where there is
    /// none.
    pub(super) fn cycle(&self, service: usize) -> Option<Vec<usize>> {
        let mut came_from = HashMap::new();
        let mut open = VecDeque::from([service]);
        while let Some(at) = open.pop_front() {
            for needed in self.needed(at) {
                if needed == service {
                    let back = |at: &usize| came_from.get(at).copied();
                    let mut way: Vec<_> = std::iter::successors(Some(at), back).collect();
                    way.reverse();
                    return Some(way);
                }
                if let std::collections::hash_map::Entry::Vacant(entry) = came_from.entry(needed) {
                    entry.insert(at);
                    open.push_back(needed);
                }
            }
        }
        None
    }

    fn needed(&self, service: usize) -> impl Iterator<Item = usize> {
        let needs = self.needs.get(service).into_iter();
        needs.flat_map(|needs| needs.keys().copied())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::{Condition, Graph};

    /// Any graph of at most twelve services.
    pub(in crate::gateway::batch) fn graphs() -> impl Strategy<Value = Graph> {
        let edge = |services: usize| (0..services, 0..services);
        let drawn = (1..12_usize).prop_flat_map(move |services| {
            let edges = prop::collection::vec(edge(services), 0..2 * services);
            (Just(services), edges)
        });
        drawn.prop_map(|(services, edges)| {
            let mut graph = Graph::new(services);
            for (service, needed) in edges {
                graph.add(service, needed, Condition::Started);
            }
            graph
        })
    }

    /// Who reaches whom along one need or more: worked out by trying, until nothing is new.
    pub(in crate::gateway::batch) fn reaches(graph: &Graph) -> Vec<Vec<bool>> {
        let mut reaches = vec![vec![false; graph.len()]; graph.len()];
        for (service, needed, _) in graph.edges() {
            reaches[service][needed] = true;
        }
        for by in 0..graph.len() {
            for from in 0..graph.len() {
                for to in 0..graph.len() {
                    reaches[from][to] |= reaches[from][by] && reaches[by][to];
                }
            }
        }
        reaches
    }

    /// Each service with each, and whether the first reaches the second, and the second the first.
    pub(in crate::gateway::batch) fn pairs(
        reaches: &[Vec<bool>],
    ) -> Vec<(usize, usize, bool, bool)> {
        let all = 0..reaches.len();
        let pairs = all
            .clone()
            .flat_map(|one| all.clone().map(move |other| (one, other)));
        pairs
            .map(|(one, other)| (one, other, reaches[one][other], reaches[other][one]))
            .collect()
    }

    proptest! {
        #[test]
        fn groups_are_those_that_reach_each_other(graph in graphs()) {
            let (reaches, groups) = (reaches(&graph), graph.groups());
            let mut all: Vec<_> = groups.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..graph.len()).collect::<Vec<_>>());
            for (one, other, there, back) in pairs(&reaches) {
                let together = groups.iter().any(|group| group.contains(&one) && group.contains(&other));
                prop_assert_eq!(together, one == other || there && back, "{} and {}", one, other);
            }
        }

        #[test]
        fn cycles_are_found_exactly(graph in graphs()) {
            let reaches = reaches(&graph);
            for (service, reached) in reaches.iter().enumerate() {
                let cycle = graph.cycle(service);
                prop_assert_eq!(cycle.is_some(), reached[service]);
                let Some(way) = cycle else { continue };
                prop_assert_eq!(way[0], service);
                let next = way.iter().skip(1).chain([&service]);
                for (at, next) in way.iter().zip(next) {
                    prop_assert!(graph.needed(*at).any(|needed| needed == *next));
                }
                let mut once = way.clone();
                once.sort_unstable();
                once.dedup();
                prop_assert_eq!(once.len(), way.len());
            }
        }
    }

    #[test]
    fn a_long_chain_and_a_long_cycle() {
        let mut graph = Graph::new(100_000);
        for service in 1..100_000 {
            graph.add(service - 1, service, Condition::Started);
        }
        assert_eq!(graph.groups().len(), 100_000);
        assert_eq!(graph.cycle(0), None);
        graph.add(99_999, 0, Condition::Started);
        assert_eq!(graph.groups().len(), 1);
        assert_eq!(graph.cycle(7).unwrap().len(), 100_000);
    }
}
