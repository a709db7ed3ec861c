//! A batch as a graph: which of its items are of which service, and which services need each other.

use std::collections::{HashMap, HashSet};

use super::graph::Graph;
use crate::engine::Composed;
use crate::policy::ContainerName;

/// The most names of a cycle that are told.
const MOST_NAMES: usize = 8;

/// The services of all projects that a batch touches, those of containers that are not in it included: they order the
/// others. What compose did not make is a service of its own.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) graph: Graph,
    /// By service, the items that are of it.
    items: Vec<Vec<usize>>,
    /// By service, a container of it that the caller may know of.
    shown: Vec<Option<ContainerName>>,
}

impl Plan {
    /// The plan for these items, by their full names, among these containers. `visible` are those that the caller may
    /// know of, by their full names.
    pub(super) fn new(
        items: &[(usize, String)],
        composed: &[Composed],
        visible: &HashMap<String, ContainerName>,
    ) -> Self {
        let by_name: HashMap<&str, &Composed> = composed
            .iter()
            .map(|one| (one.full_name.as_str(), one))
            .collect();
        let touched = items
            .iter()
            .filter_map(|(_, name)| by_name.get(name.as_str()));
        let projects: HashSet<&str> = touched.map(|one| one.project.as_str()).collect();
        let of_projects = || {
            let composed = composed.iter();
            composed.filter(|one| projects.contains(one.project.as_str()))
        };
        let (mut numbers, mut shown) = (HashMap::new(), Vec::new());
        for one in of_projects() {
            let number = *numbers.entry(key(one)).or_insert_with(|| {
                shown.push(None);
                shown.len() - 1
            });
            if let Some(shown) = shown.get_mut(number) {
                show(shown, visible.get(&one.full_name));
            }
        }
        let mut plan = Self {
            items: vec![Vec::new(); shown.len()],
            shown,
            graph: Graph::default(),
        };
        for (item, name) in items {
            let composed = by_name.get(name.as_str());
            let number = composed.and_then(|one| numbers.get(&key(one)));
            if let Some(items) = number.and_then(|number| plan.items.get_mut(*number)) {
                items.push(*item);
            } else {
                plan.items.push(vec![*item]);
                plan.shown.push(visible.get(name).cloned());
            }
        }
        plan.graph = Graph::new(plan.items.len());
        for one in of_projects() {
            let number_of = |service| numbers.get(&(one.project.as_str(), service)).copied();
            for (service, condition) in &one.needs {
                // A service without containers stands in nobody's way.
                if let (Some(number), Some(needed)) = (number_of(&one.service), number_of(service))
                {
                    plan.graph.add(number, needed, *condition);
                }
            }
        }
        plan
    }

    /// The items of a service.
    pub(super) fn items(&self, service: usize) -> &[usize] {
        let items = self.items.get(service);
        items.map_or(&[], Vec::as_slice)
    }

    /// The cycle that a container of this service is in, in words; none where it is in none.
    ///
    /// SECURITY: a container that the caller may not know of is not named, nor how many such there are.
    pub(super) fn cycle(&self, container: &ContainerName, service: usize) -> Option<String> {
        let way = self.graph.cycle(service)?;
        let others = way.iter().skip(1);
        let names: Option<Vec<_>> = others
            .map(|service| self.shown.get(*service)?.as_ref())
            .collect();
        let Some(mut names) = names else {
            return Some(format!("{container} with a container that is not shown"));
        };
        let left_out = names.len().saturating_sub(MOST_NAMES);
        names.truncate(MOST_NAMES);
        let mut words = vec![container.to_string()];
        words.extend(names.into_iter().map(ToString::to_string));
        if left_out > 0 {
            words.push(format!("{left_out} more"));
        }
        words.push(container.to_string());
        Some(words.join(" -> "))
    }
}

fn key(one: &Composed) -> (&str, &str) {
    (&one.project, &one.service)
}

/// Of several containers of a service the first by name is shown, so that the same question has the same answer.
fn show(shown: &mut Option<ContainerName>, name: Option<&ContainerName>) {
    if let Some(name) = name
        && shown.as_ref().is_none_or(|shown| name < shown)
    {
        *shown = Some(name.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Composed, ContainerName, Plan};
    use crate::engine::Condition;

    /// Containers such as `p-web-1 web a b`: full name, service and needs, with the project before the first hyphen.
    fn composed(lines: &[&str]) -> Vec<Composed> {
        let one = |line: &&str| {
            let mut words = line.split(' ');
            let full_name = words.next().unwrap();
            let (project, _) = full_name.split_once('-').unwrap();
            Composed {
                full_name: full_name.to_owned(),
                project: project.to_owned(),
                service: words.next().unwrap().to_owned(),
                needs: words
                    .map(|need| (need.to_owned(), Condition::Started))
                    .collect(),
            }
        };
        lines.iter().map(one).collect()
    }

    fn visible(names: &[&str]) -> HashMap<String, ContainerName> {
        let names = names
            .iter()
            .map(|name| (format!("p-{name}"), name.parse().unwrap()));
        names.collect()
    }

    /// The edges between items, by their full names, and `(...)` for services without one.
    fn check(items: &[&str], lines: &[&str], expected: &[&str]) {
        let numbered = items.iter().map(|name| (*name).to_owned()).enumerate();
        let numbered: Vec<_> = numbered.collect();
        let plan = Plan::new(&numbered, &composed(lines), &visible(&["a", "b"]));
        let shown = |service| {
            let names: Vec<_> = plan
                .items(service)
                .iter()
                .map(|item| items[*item])
                .collect();
            if names.is_empty() {
                "(...)".to_owned()
            } else {
                names.join("+")
            }
        };
        let mut edges: Vec<_> = plan
            .graph
            .edges()
            .map(|(one, other, _)| format!("{} needs {}", shown(one), shown(other)))
            .collect();
        edges.sort();
        assert_eq!(edges, expected, "{items:?} of {lines:?}");
        let all: usize = (0..plan.graph.len())
            .map(|service| plan.items(service).len())
            .sum();
        assert_eq!(all, items.len());
    }

    #[test]
    fn edges() {
        check(&[], &[], &[]);
        check(&["p-a", "p-b"], &[], &[]);
        check(&["p-a", "p-b"], &["p-a a b", "p-b b"], &["p-a needs p-b"]);
        // Only within one project.
        check(&["p-a", "q-b"], &["p-a a b", "q-b b"], &[]);
        check(
            &["p-a"],
            &["p-a a b", "p-b b", "q-b b x", "q-x x"],
            &["p-a needs (...)"],
        );
        // Through what is not in the batch, and whatever its name is.
        check(
            &["p-a", "p-c"],
            &["p-a a b", "p-other b c", "p-c c"],
            &["(...) needs p-c", "p-a needs (...)"],
        );
        // To all containers of a service.
        check(
            &["p-a", "p-b-1", "p-b-2"],
            &["p-a a b", "p-b-1 b", "p-b-2 b"],
            &["p-a needs p-b-1+p-b-2"],
        );
        check(&["p-a"], &["p-a a nowhere"], &[]);
        check(&["p-a"], &["p-a a a"], &["p-a needs p-a"]);
    }

    fn check_cycle(lines: &[&str], expected: Option<&str>) {
        let items = [(0, "p-a".to_owned())];
        let plan = Plan::new(&items, &composed(lines), &visible(&["a", "b"]));
        let service = (0..plan.graph.len()).find(|service| plan.items(*service) == [0]);
        let told = plan.cycle(&"a".parse().unwrap(), service.unwrap());
        assert_eq!(told.as_deref(), expected, "{lines:?}");
    }

    #[test]
    fn cycles_in_words() {
        check_cycle(&["p-a a b", "p-b b"], None);
        check_cycle(&["p-a a a"], Some("a -> a"));
        check_cycle(&["p-a a b", "p-b b a"], Some("a -> b -> a"));
        let not_shown = Some("a with a container that is not shown");
        check_cycle(&["p-a a c", "p-c c a"], not_shown);
        check_cycle(&["p-a a b", "p-b b c", "p-c c a"], not_shown);
        // In no cycle itself.
        check_cycle(&["p-a a b", "p-b b c", "p-c c b"], None);
    }

    #[test]
    fn a_long_cycle_is_told_in_short() {
        let names: Vec<_> = (0..12).map(|number| format!("s{number:02}")).collect();
        let next = |number: usize| names[(number + 1) % 12].clone();
        let lines: Vec<_> = (0..12)
            .map(|number| format!("p-{0} {0} {1}", names[number], next(number)))
            .collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let shown: Vec<_> = names.iter().map(String::as_str).collect();
        let items = [(0, "p-s00".to_owned())];
        let plan = Plan::new(&items, &composed(&lines), &visible(&shown));
        let told = plan.cycle(&names[0].parse().unwrap(), 0).unwrap();
        assert_eq!(
            told,
            "s00 -> s01 -> s02 -> s03 -> s04 -> s05 -> s06 -> s07 -> s08 -> 3 more -> s00"
        );
    }
}
