//! What is told of every action, in order; where dockerd's own order is a matter of luck, the usual one.

use std::time::{Duration, UNIX_EPOCH};

use super::{NAME, act, engine, second};
use crate::pretend::container::Config;
use crate::pretend::event::Told;
use crate::pretend::exec::Wish;
use crate::pretend::program::Program;
use crate::pretend::state::Containers;

/// What was told from this place on: each action with what is the event's own, and its second.
fn told(engine: &Containers, place: usize) -> String {
    let events = engine.feed.from(place).unwrap().map(|told| match told {
        Told::Raw(line) => line.clone(),
        Told::Event(event) => {
            let own = ["exitCode", "signal", "oldName"].iter();
            let own = own.filter_map(|key| event.attributes.get(*key));
            let words: Vec<_> = [&event.action].into_iter().chain(own).cloned().collect();
            let second = event.at.duration_since(UNIX_EPOCH).unwrap().as_secs();
            format!("{} @{second}", words.join(" "))
        }
    });
    events.collect::<Vec<_>>().join(", ")
}

#[test]
fn what_is_told_of_every_action_in_every_state() {
    for (state, action, expected) in [
        ("created", "start", "start @3"),
        ("created", "stop", ""),
        ("created", "restart", "start @3, restart @3"),
        ("created", "pause", ""),
        ("created", "kill", ""),
        ("created", "remove", "destroy @3"),
        ("running", "start", ""),
        ("running", "stop", "kill 15 @3, die 0 @3, stop @3"),
        (
            "running",
            "stop at once",
            "kill 15 @3, kill 9 @3, die 0 @3, stop @3",
        ),
        (
            "running",
            "restart",
            "kill 15 @3, die 0 @3, stop @3, start @3, restart @3",
        ),
        ("running", "pause", "pause @3"),
        ("running", "unpause", ""),
        ("running", "kill", "kill 9 @3, die 137 @3"),
        ("running", "term", "kill 15 @3, die 0 @3"),
        ("running", "hup", "kill 1 @3"),
        ("running", "kill 99", ""),
        ("running", "remove", ""),
        (
            "running",
            "force remove",
            "kill 9 @3, die 137 @3, destroy @3",
        ),
        ("paused", "start", ""),
        (
            "paused",
            "stop",
            "kill 15 @3, unpause @3, die 0 @3, stop @3",
        ),
        ("paused", "pause", ""),
        ("paused", "unpause", "unpause @3"),
        ("paused", "kill", "kill 9 @3, die 137 @3"),
        ("paused", "hup", "kill 1 @3, unpause @3"),
        (
            "paused",
            "force remove",
            "kill 9 @3, die 137 @3, destroy @3",
        ),
        ("exited", "start", "start @3"),
        ("exited", "restart", "start @3, restart @3"),
        ("exited", "stop", ""),
        ("exited", "force remove", "destroy @3"),
    ] {
        let mut engine = engine(state, Duration::ZERO);
        let place = engine.feed.end();
        // What is refused is told to nobody.
        drop(act(&mut engine, action, second(3)));
        engine.settle(second(3));
        assert_eq!(told(&engine, place), expected, "{action} when {state}");
    }
}

/// Begins a stop at second 10 of a process that leaves after 5, acts at 11, and looks at second 60.
#[test]
fn what_is_told_of_a_slow_stop() {
    for (stop, action, expected) in [
        ("stop", "start", "kill 15 @10, die 0 @15, stop @15"),
        (
            "stop",
            "stop",
            "kill 15 @10, kill 15 @11, die 0 @15, stop @15, stop @15",
        ),
        (
            "stop in 2s",
            "start",
            "kill 15 @10, kill 9 @12, die 137 @12, stop @12",
        ),
        (
            "stop",
            "stop in 2s",
            "kill 15 @10, kill 15 @11, kill 9 @13, die 137 @13, stop @13, stop @13",
        ),
        (
            "stop",
            "kill",
            "kill 15 @10, kill 9 @11, die 137 @11, stop @11",
        ),
        (
            "stop",
            "pause",
            "kill 15 @10, pause @11, kill 9 @20, die 137 @20, stop @20",
        ),
        (
            "stop",
            "force remove",
            "kill 15 @10, kill 9 @11, die 137 @11, stop @11, destroy @11",
        ),
        (
            "restart",
            "stop",
            "kill 15 @10, kill 15 @11, die 0 @15, stop @15, stop @15, start @15, restart @15",
        ),
        (
            "restart",
            "restart",
            "kill 15 @10, kill 15 @11, die 0 @15, stop @15, stop @15, start @15, restart @15, restart @15",
        ),
        (
            "restart",
            "force remove",
            "kill 15 @10, kill 9 @11, die 137 @11, stop @11, destroy @11",
        ),
    ] {
        let mut engine = engine("running", Duration::from_secs(5));
        let place = engine.feed.end();
        act(&mut engine, stop, second(10)).unwrap();
        engine.settle(second(11));
        act(&mut engine, action, second(11)).unwrap();
        engine.settle(second(60));
        assert_eq!(told(&engine, place), expected, "{stop}, then {action}");
    }
}

/// An engine with one running container that has these labels, and what was told of it until second 60.
fn life(labels: &[(&str, &str)], acts: &[(u64, &str)]) -> String {
    let mut engine = Containers::default();
    let labels = labels.iter();
    let labels = labels.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let config = Config {
        labels: labels.collect(),
        ..Config::default()
    };
    engine.create(NAME, config, second(0)).unwrap();
    for (date, action) in [(1, "start")].iter().chain(acts) {
        engine.settle(second(*date));
        act(&mut engine, action, second(*date)).unwrap();
    }
    engine.settle(second(60));
    told(&engine, 0)
}

#[test]
fn what_is_told_of_lives_that_nobody_looks_at() {
    let healthy = ("pretend.health", "healthy:2000");
    for (labels, acts, expected) in [
        (&[("pretend.exit", "3:5000")][..], &[][..], "die 3 @6"),
        (&[("pretend.oom", "5000")], &[], "oom @6, die 137 @6"),
        (
            &[("pretend.oom", "5000")],
            &[(2, "pause"), (9, "unpause")],
            "pause @2, unpause @9, oom @9, die 137 @9",
        ),
        (
            &[("pretend.oom", "5000"), ("pretend.exit", "3:4000")],
            &[],
            "die 3 @5",
        ),
        (&[healthy], &[], "health_status: healthy @3"),
        (
            &[healthy, ("pretend.exit", "1:1000")],
            &[(5, "start")],
            "die 1 @2, start @5, die 1 @6",
        ),
        (
            &[healthy],
            &[(2, "pause"), (9, "unpause")],
            "pause @2, unpause @9, health_status: healthy @9",
        ),
        (
            &[healthy],
            &[(4, "pause"), (9, "unpause")],
            "health_status: healthy @3, pause @4, unpause @9, health_status: healthy @9",
        ),
        (
            &[("pretend.health", "unhealthy:2000")],
            &[(4, "pause"), (9, "unpause")],
            "health_status: unhealthy @3, pause @4, unpause @9",
        ),
        (
            &[healthy],
            &[(4, "restart")],
            "health_status: healthy @3, kill 15 @4, die 0 @4, stop @4, start @4, restart @4, health_status: healthy @6",
        ),
        (&[("pretend.health", "x")], &[], ""),
    ] {
        let expected = format!("create @0, start @1, {expected}");
        let expected = expected.trim_end_matches(", ");
        assert_eq!(life(labels, acts), expected, "{labels:?} {acts:?}");
    }
}

#[test]
fn what_happened_in_several_containers_is_told_by_its_dates() {
    let mut engine = Containers::default();
    for (name, exit) in [("aa", "1:9000"), ("bb", "2:5000"), ("cc", "3:7000")] {
        let config = Config {
            labels: [("pretend.exit".to_owned(), exit.to_owned())].into(),
            ..Config::default()
        };
        engine.create(name, config, second(0)).unwrap();
        engine.start(name, second(1)).unwrap();
    }
    assert_eq!(engine.due(), Some(second(6)));
    let place = engine.feed.end();
    engine.settle(second(60));
    assert_eq!(told(&engine, place), "die 2 @6, die 3 @8, die 1 @10");
    assert_eq!(engine.due(), None);
}

#[test]
fn programs_are_told_of_and_end_before_their_container() {
    let mut engine = engine("running", Duration::ZERO);
    let place = engine.feed.end();
    let mut run = |words: &[&str], date| {
        let wish = Wish {
            program: Program {
                argv: words.iter().map(|word| (*word).to_owned()).collect(),
                has_shell: true,
                ..Program::default()
            },
            ..Wish::default()
        };
        let id = engine.create_exec(NAME, wish, second(date)).unwrap();
        engine.start_exec(&id, second(date)).unwrap();
    };
    run(&["sleep", "2"], 10);
    run(&["sleep", "100"], 10);
    run(&["nosuch"], 10);
    engine.settle(second(11));
    assert_eq!(engine.due(), Some(second(12)));
    engine.settle(second(30));
    act(&mut engine, "kill", second(30)).unwrap();
    engine.settle(second(30));
    assert_eq!(
        told(&engine, place),
        "exec_create: sleep 2 @10, exec_start: sleep 2 @10, exec_create: sleep 100 @10, exec_start: sleep 100 @10, \
         exec_create: nosuch  @10, exec_start: nosuch  @10, exec_die 0 @12, kill 9 @30, exec_die 137 @30, die 137 @30"
    );
}
