//! The order in which services have their turns: each as soon as those that it waits for are done.

use super::graph::Graph;
use crate::engine::Condition;

/// Which way along the needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// What is needed goes first.
    NeededFirst,
    /// What needs others goes first.
    NeededLast,
}

/// The order of the groups of a graph, and what is still waited for.
#[derive(Debug)]
pub(super) struct Order(Vec<Group>);

/// Services that have their turn together: one, or those that need each other.
#[derive(Debug, Default)]
struct Group {
    services: Vec<usize>,
    /// Of how many edges it waits.
    waits_for: usize,
    followers: Vec<Follower>,
}

/// A group that waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Follower {
    pub(super) group: usize,
    /// The service that it waits for.
    pub(super) service: usize,
    /// Until what.
    pub(super) condition: Condition,
}

impl Order {
    /// The order for this graph.
    pub(super) fn new(graph: &Graph, direction: Direction) -> Self {
        let mut group_of = vec![0; graph.len()];
        let mut groups = Vec::new();
        for (number, services) in graph.groups().into_iter().enumerate() {
            for service in &services {
                if let Some(of) = group_of.get_mut(*service) {
                    *of = number;
                }
            }
            groups.push(Group {
                services,
                ..Group::default()
            });
        }
        let mut order = Self(groups);
        for (service, needed, condition) in graph.edges() {
            let (first, later, condition) = match direction {
                Direction::NeededFirst => (needed, service, condition),
                Direction::NeededLast => (service, needed, Condition::Started),
            };
            if let (Some(group), Some(follower)) = (group_of.get(first), group_of.get(later))
                && group != follower
            {
                order.add(*group, *follower, first, condition);
            }
        }
        order
    }

    fn add(&mut self, group: usize, follower: usize, service: usize, condition: Condition) {
        if let Some(group) = self.0.get_mut(group) {
            group.followers.push(Follower {
                group: follower,
                service,
                condition,
            });
        }
        if let Some(follower) = self.0.get_mut(follower) {
            follower.waits_for += 1;
        }
    }

    /// The groups that wait for nothing.
    pub(super) fn first(&self) -> Vec<usize> {
        let groups = self.0.iter().enumerate();
        let first = groups.filter(|(_, group)| group.waits_for == 0);
        first.map(|(number, _)| number).collect()
    }

    /// The services of a group.
    pub(super) fn services(&self, group: usize) -> &[usize] {
        let group = self.0.get(group);
        group.map_or(&[], |group| &group.services)
    }

    /// Who waits for a group.
    pub(super) fn followers(&self, group: usize) -> Vec<Follower> {
        let group = self.0.get(group);
        group.map_or_else(Vec::new, |group| group.followers.clone())
    }

    /// Takes note that one thing that a group waits for has come; answers whether it was the last one.
    pub(super) fn release(&mut self, group: usize) -> bool {
        let Some(group) = self.0.get_mut(group) else {
            return false;
        };
        group.waits_for = group.waits_for.saturating_sub(1);
        group.waits_for == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::{Condition, Direction, Graph, Order};
    use crate::gateway::batch::graph::tests::{graphs, pairs, reaches};

    /// Runs an order, always going on with the open group that chance picks; gives the services in their order.
    fn run(graph: &Graph, direction: Direction, mut chance: VecDeque<usize>) -> Vec<Vec<usize>> {
        let mut order = Order::new(graph, direction);
        let (mut open, mut done) = (order.first(), Vec::new());
        while !open.is_empty() {
            let pick = chance.pop_front().unwrap_or_default() % open.len();
            let group = open.swap_remove(pick);
            done.push(order.services(group).to_vec());
            for follower in order.followers(group) {
                if order.release(follower.group) {
                    open.push(follower.group);
                }
            }
        }
        done
    }

    fn check(graph: &Graph, direction: Direction, chance: Vec<usize>) {
        let done = run(graph, direction, chance.into());
        let mut all: Vec<_> = done.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..graph.len()).collect::<Vec<_>>(), "each once");
        let turn = |service: usize| done.iter().position(|group| group.contains(&service));
        for (one, other, there, back) in pairs(&reaches(graph)) {
            if there && !back {
                let needed_first = turn(other) < turn(one);
                assert_eq!(
                    needed_first,
                    direction == Direction::NeededFirst,
                    "{one} needs {other}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn every_edge_is_respected(graph in graphs(), chance in prop::collection::vec(0..100_usize, 12)) {
            check(&graph, Direction::NeededFirst, chance.clone());
            check(&graph, Direction::NeededLast, chance);
        }
    }

    #[test]
    fn by_edges_and_not_by_levels() {
        // 0 needs 1 and 1 needs 2; 3 needs 4. When 4 is done, 3 waits for nothing, whatever becomes of 2.
        let mut graph = Graph::new(5);
        for (service, needed) in [(0, 1), (1, 2), (3, 4)] {
            graph.add(service, needed, Condition::Healthy);
        }
        let mut order = Order::new(&graph, Direction::NeededFirst);
        let first = order.first();
        let first_services: Vec<_> = first
            .iter()
            .flat_map(|group| order.services(*group))
            .collect();
        assert_eq!(first.len(), 2, "{first_services:?}");
        let four = *first
            .iter()
            .find(|group| order.services(**group) == [4])
            .unwrap();
        let followers = order.followers(four);
        assert_eq!(
            (
                followers.len(),
                followers[0].service,
                followers[0].condition
            ),
            (1, 4, Condition::Healthy)
        );
        assert!(order.release(followers[0].group));
        assert_eq!(order.services(followers[0].group), [3]);
    }
}
