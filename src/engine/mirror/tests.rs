//! The reducer against an engine that does anything, with hints that are lost and overtaken.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::hint::Subject;
use super::picture::{Managed, Picture};
use super::reducer::{Looked, Reducer};
use super::{Goal, Notice, Seen};
use crate::engine::{ContainerId, Moment, State, Status, View};
use crate::policy::{ContainerName, Prefix};

/// The managed ones; `x` and `y` are foreign.
const NAMES: [&str; 3] = ["a", "b", "c"];
const ALL_NAMES: [&str; 5] = ["a", "b", "c", "x", "y"];
const STATES: [State; 4] = [State::Created, State::Running, State::Paused, State::Exited];

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A container is made under this name, if that is free.
    Make(usize),
    /// The container of this name gets another name, if that is free.
    Rename(usize, usize),
    Remove(usize),
    Turn(usize, usize),
    /// The oldest hint comes, or is lost.
    Hint(bool),
    /// The next look begins.
    Begin,
    /// The engine answers a look that has begun.
    Answer(usize),
    /// The answer arrives.
    End(usize),
    /// A look takes long.
    Slow(usize),
    /// The engine lists what it has.
    List,
    Touch(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..ALL_NAMES.len();
    let step = prop_oneof![
        4 => name.clone().prop_map(Step::Make),
        2 => (name.clone(), name.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => name.clone().prop_map(Step::Remove),
        4 => (name.clone(), 0..STATES.len()).prop_map(|(name, state)| Step::Turn(name, state)),
        6 => any::<bool>().prop_map(Step::Hint),
        8 => Just(Step::Begin),
        8 => (0..4_usize).prop_map(Step::Answer),
        8 => (0..4_usize).prop_map(Step::End),
        1 => (0..4_usize).prop_map(Step::Slow),
        1 => Just(Step::List),
        1 => name.prop_map(Step::Touch),
    ];
    vec(step, 0..120)
}

/// What the engine answers to a look: name and state, or that there is no such container.
type Answer = Option<(usize, State)>;

/// An engine, the way to it, and the reducer at its end.
struct World {
    engine: BTreeMap<usize, (usize, State)>,
    made: usize,
    hints: Vec<Subject>,
    /// Looks under way: whose, since when, and what the engine answered by then.
    looks: Vec<(ContainerId, Instant, Option<Answer>)>,
    reducer: Reducer,
    now: Instant,
    /// What one who follows along believes.
    followed: BTreeMap<String, State>,
}

fn id(number: usize) -> ContainerId {
    format!("{number:064x}").parse().unwrap()
}

fn name(at: usize) -> &'static str {
    ALL_NAMES.get(at).copied().unwrap()
}

fn short(name: &str) -> ContainerName {
    name.parse().unwrap()
}

pub(super) fn view(name: &str, state: State) -> View {
    View {
        status: Status::new(name, state),
        health: None,
        image: None,
        created_at: None,
        started_at: None,
        finished_at: None,
        exit_code: None,
        oom_killed: false,
        restart_count: 0,
    }
}

impl World {
    fn new() -> Self {
        let prefix: Prefix = "p-".parse().unwrap();
        let names = NAMES.map(short);
        let mut reducer = Reducer::default();
        reducer.begin(Arc::new(Managed::new(&prefix, &names)));
        Self {
            engine: BTreeMap::new(),
            made: 0,
            hints: Vec::new(),
            looks: Vec::new(),
            reducer,
            now: Instant::now(),
            followed: BTreeMap::new(),
        }
    }

    fn number_of(&self, name: usize) -> Option<usize> {
        let mut all = self.engine.iter();
        all.find(|(_, (other, _))| *other == name)
            .map(|(number, _)| *number)
    }

    fn happen(&mut self, number: usize, name: usize, old_name: Option<usize>) {
        let full = |at: usize| format!("p-{}", ALL_NAMES.get(at).unwrap());
        self.hints.push(Subject {
            id: id(number),
            name: Some(full(name)),
            old_name: old_name.map(full),
            at: None,
        });
    }

    fn step(&mut self, step: Step) {
        self.now += Duration::from_millis(1);
        match step {
            Step::Make(name) if self.number_of(name).is_none() => {
                self.made += 1;
                self.engine.insert(self.made, (name, State::Created));
                self.happen(self.made, name, None);
            }
            Step::Rename(from, to) if self.number_of(to).is_none() => {
                if let Some(number) = self.number_of(from) {
                    self.engine.get_mut(&number).unwrap().0 = to;
                    self.happen(number, to, Some(from));
                }
            }
            Step::Make(_) | Step::Rename(..) => {}
            Step::Remove(name) => {
                if let Some(number) = self.number_of(name) {
                    self.engine.remove(&number);
                    self.happen(number, name, None);
                }
            }
            Step::Turn(name, state) => {
                if let Some(number) = self.number_of(name) {
                    self.engine.get_mut(&number).unwrap().1 = *STATES.get(state).unwrap();
                    self.happen(number, name, None);
                }
            }
            Step::Hint(is_lost) => {
                if !self.hints.is_empty() {
                    let hint = self.hints.remove(0);
                    if !is_lost {
                        self.reducer.hinted(&hint);
                    }
                }
            }
            Step::Begin => {
                if let Some(id) = self.reducer.next() {
                    assert!(
                        self.looks.iter().all(|(other, ..)| *other != id),
                        "two looks at one container"
                    );
                    self.looks.push((id, self.now, None));
                }
            }
            Step::Answer(at) => self.answer(at),
            Step::End(at) => self.end(at),
            Step::Slow(at) => {
                if let Some((id, began, _)) = self.looks.get(at).cloned() {
                    self.reducer.is_slow(&id, began);
                }
            }
            Step::List => self.list(),
            Step::Touch(name) => {
                if let Some(number) = self.number_of(name) {
                    self.reducer.touched(&id(number));
                }
            }
        }
        self.follow();
    }

    fn answer(&mut self, at: usize) {
        let engine = &self.engine;
        if let Some((looked_at, _, answer)) = self.looks.get_mut(at) {
            let found = engine.iter().find(|(number, _)| id(**number) == *looked_at);
            answer.get_or_insert(found.map(|(_, what)| *what));
        }
    }

    fn end(&mut self, at: usize) {
        let is_answered = |(_, _, answer): &(_, _, Option<_>)| answer.is_some();
        if self.looks.get(at).is_some_and(is_answered) {
            let (id, began, answer) = self.looks.remove(at);
            let looked = match answer.flatten() {
                Some((at, state)) if NAMES.contains(&name(at)) => {
                    Looked::Managed(short(name(at)), view(name(at), state))
                }
                Some(_) | None => Looked::Other,
            };
            self.reducer.looked(&id, began, looked, Moment::now());
        }
    }

    fn list(&mut self) {
        let listed = self
            .engine
            .iter()
            .map(|(number, (at, _))| (id(*number), name(*at)));
        let listed = listed.filter(|(_, name)| NAMES.contains(name));
        let listed: Vec<_> = listed.map(|(id, name)| (id, short(name))).collect();
        self.reducer.listed(listed);
    }

    /// Everything that is under way ends, and then the engine lists what it has, without further hints.
    fn settle(&mut self) {
        self.hints.clear();
        self.step(Step::List);
        loop {
            self.step(Step::Begin);
            if self.looks.is_empty() {
                return;
            }
            self.step(Step::Answer(0));
            self.step(Step::End(0));
        }
    }

    fn follow(&mut self) {
        for notice in self.reducer.take_notices() {
            match notice {
                Notice::Changed(seen) => {
                    let name = seen.name.as_str().to_owned();
                    self.followed.insert(name, seen.view.status.status);
                }
                Notice::Gone { name, .. } => {
                    assert!(self.followed.remove(name.as_str()).is_some(), "{name}");
                }
                Notice::OutOfMemory { .. } | Notice::NotCurrent => {}
                Notice::Current => self.followed = states(&self.reducer.picture(0, 0)),
            }
        }
    }
}

fn states(picture: &Picture) -> BTreeMap<String, State> {
    let seen = picture.known.iter().filter_map(|(name, known)| {
        let seen = known.seen.as_ref()?;
        assert_eq!(seen.name, *name);
        Some((name.as_str().to_owned(), seen.view.status.status))
    });
    seen.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened in whatever order, after a whole listing the picture is what the engine has, and so is what
    /// those believe who followed along.
    #[test]
    fn it_comes_to_what_the_engine_has(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        let picture = world.reducer.picture(1, 1);
        let managed = world.engine.values().filter(|(at, _)| NAMES.contains(&name(*at)));
        let expected: BTreeMap<_, _> =
            managed.map(|(at, state)| (name(*at).to_owned(), *state)).collect();
        prop_assert!(picture.is_current());
        prop_assert_eq!(&states(&picture), &expected);
        prop_assert_eq!(picture.known.len(), expected.len());
        prop_assert_eq!(&world.followed, &expected);
        let ids: HashSet<_> = picture.known.values().map(|known| &known.seen.as_ref().unwrap().id).collect();
        prop_assert_eq!(ids.len(), expected.len());
        prop_assert_eq!(world.reducer.len(), expected.len());
    }

    /// The same without a listing at the end, where no hint is lost.
    #[test]
    fn hints_alone_will_do(steps in steps()) {
        let mut world = World::new();
        world.settle();
        for step in steps {
            let is_lost = matches!(step, Step::Hint(true) | Step::Slow(_) | Step::List);
            world.step(if is_lost { Step::Hint(false) } else { step });
        }
        while !world.hints.is_empty() {
            world.step(Step::Hint(false));
        }
        loop {
            world.step(Step::Begin);
            if world.looks.is_empty() {
                break;
            }
            world.step(Step::Answer(0));
            world.step(Step::End(0));
        }
        let managed = world.engine.values().filter(|(at, _)| NAMES.contains(&name(*at)));
        let expected: BTreeMap<_, _> =
            managed.map(|(at, state)| (name(*at).to_owned(), *state)).collect();
        prop_assert_eq!(&states(&world.reducer.picture(1, 1)), &expected);
        prop_assert_eq!(&world.followed, &expected);
    }
}

#[test]
fn what_is_foreign_costs_nothing() {
    let mut world = World::new();
    world.settle();
    for number in 0..5_000 {
        world.happen(number, 3 + number % 2, None);
        world.step(Step::Hint(false));
    }
    assert_eq!(world.reducer.next(), None);
    assert_eq!(world.reducer.len(), 0);
}

#[test]
fn many_hints_are_one_look() {
    let mut world = World::new();
    world.step(Step::Make(0));
    world.settle();
    for _ in 0..100 {
        world.happen(1, 0, None);
        world.step(Step::Hint(false));
    }
    world.step(Step::Begin);
    for _ in 0..100 {
        world.happen(1, 0, None);
        world.step(Step::Hint(false));
    }
    world.step(Step::Begin);
    assert_eq!(world.looks.len(), 1);
    world.step(Step::Answer(0));
    world.step(Step::End(0));
    // What was hinted at during the look is one further look.
    world.step(Step::Begin);
    assert_eq!(world.looks.len(), 1);
    world.step(Step::Answer(0));
    world.step(Step::End(0));
    assert_eq!(world.reducer.next(), None);
}

#[test]
fn what_takes_long_is_not_waited_for_and_not_shown() {
    let mut world = World::new();
    world.step(Step::Make(0));
    world.step(Step::Make(1));
    world.step(Step::List);
    world.step(Step::Begin);
    world.step(Step::Begin);
    world.step(Step::Answer(1));
    world.step(Step::End(1));
    assert!(!world.reducer.is_current());
    world.step(Step::Slow(0));
    let picture = world.reducer.picture(1, 1);
    assert!(picture.is_current());
    assert_eq!(states(&picture).len(), 1);
    assert_eq!(picture.known.len(), 2, "one that is there and not known");
    world.step(Step::Answer(0));
    world.step(Step::End(0));
    assert_eq!(states(&world.reducer.picture(2, 2)).len(), 2);
}

/// A look that takes long, and that another one is to follow, may tell what was before.
#[test]
fn what_took_long_is_not_shown_where_it_is_out_of_date() {
    let mut world = World::new();
    world.step(Step::Make(0));
    world.settle();
    world.step(Step::Touch(0));
    world.step(Step::Begin);
    world.step(Step::Answer(0));
    world.step(Step::Turn(0, 1));
    world.step(Step::Touch(0));
    world.step(Step::Slow(0));
    world.step(Step::End(0));
    assert!(states(&world.reducer.picture(1, 1)).is_empty());
    world.step(Step::Begin);
    world.step(Step::Answer(0));
    world.step(Step::End(0));
    let picture = world.reducer.picture(2, 2);
    assert_eq!(states(&picture), [("a".to_owned(), State::Running)].into());
}

/// Of two that had one name, the one that was looked at first is looked at again, though it has no name by then.
#[test]
fn who_has_a_name_is_asked_again_where_it_is_not_clear() {
    let mut world = World::new();
    world.settle();
    world.step(Step::Make(0));
    world.step(Step::Hint(false));
    world.step(Step::Begin);
    world.step(Step::Answer(0));
    world.step(Step::Rename(0, 3));
    world.step(Step::Make(0));
    world.step(Step::Hint(true));
    world.step(Step::Hint(false));
    world.step(Step::Begin);
    world.step(Step::Answer(1));
    world.step(Step::End(1));
    world.step(Step::End(0));
    world.step(Step::Begin);
    assert_eq!(world.looks.len(), 1);
    world.step(Step::Answer(0));
    world.step(Step::End(0));
    assert_eq!(world.reducer.len(), 1);
}

/// What has happened is looked at before what is only listed.
#[test]
fn a_hint_goes_before_a_listing() {
    let mut world = World::new();
    for name in 0..NAMES.len() {
        world.step(Step::Make(name));
    }
    world.settle();
    world.step(Step::List);
    world.step(Step::Touch(2));
    assert_eq!(world.reducer.next(), Some(id(3)));
    let rest: HashSet<_> = std::iter::from_fn(|| world.reducer.next()).collect();
    assert_eq!(rest, [id(1), id(2)].into());
}

#[test]
fn goals() {
    let seen = |state, started_at: Option<&str>| {
        let view = View {
            started_at: started_at.map(ToOwned::to_owned),
            ..view("a", state)
        };
        Seen::new(id(1), short("a"), view, Moment::now())
    };
    let ran = Goal::Ran {
        before: Some("1".to_owned()),
    };
    let first = Goal::Ran { before: None };
    for (goal, state, started_at, expected) in [
        (&ran, State::Running, Some("1"), false),
        (&ran, State::Running, Some("2"), true),
        (&ran, State::Exited, Some("2"), true),
        (&first, State::Created, None, false),
        (&first, State::Running, Some("1"), true),
        (&Goal::Stopped, State::Running, Some("1"), false),
        (&Goal::Stopped, State::Exited, Some("1"), true),
        (&Goal::Paused, State::Running, Some("1"), false),
        (&Goal::Paused, State::Paused, Some("1"), true),
        (&Goal::Unpaused, State::Paused, Some("1"), false),
        (&Goal::Unpaused, State::Running, Some("1"), true),
    ] {
        assert_eq!(
            goal.is_reached(&seen(state, started_at)),
            expected,
            "{goal:?} {state}"
        );
    }
}

#[test]
fn a_picture_says_nothing_of_another_prefix() {
    let prefixes: [Prefix; 2] = ["p-".parse().unwrap(), "q-".parse().unwrap()];
    let names = NAMES.map(short);
    let managed = prefixes
        .each_ref()
        .map(|prefix| Managed::new(prefix, &names));
    assert_ne!(managed[0], managed[1]);
    let known: HashMap<_, _> = [("p-a", true), ("q-a", false)].into();
    for (full_name, is_known) in known {
        assert_eq!(
            managed[0].name_of(full_name).is_some(),
            is_known,
            "{full_name}"
        );
    }
}
