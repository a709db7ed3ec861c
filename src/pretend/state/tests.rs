//! Every action in every state, and every way to name a container.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Containers, Done, Outlook};
use crate::pretend::container::{Config, STOP_DELAY};
use crate::pretend::refusal::Refusal;
use crate::pretend::signal::Signal;

mod told;

const NAME: &str = "muxer";

fn second(number: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(number)
}

/// An engine with one container in this state, whose process takes so long to leave.
fn engine(state: &str, stop_delay: Duration) -> Containers {
    let mut engine = Containers::default();
    let delay = stop_delay.as_millis().to_string();
    let config = Config {
        labels: BTreeMap::from([(STOP_DELAY.to_owned(), delay)]),
        ..Config::default()
    };
    engine.create(NAME, config, second(0)).unwrap();
    if state != "created" {
        engine.start(NAME, second(1)).unwrap();
    }
    match state {
        "paused" => drop(engine.pause(NAME, second(2)).unwrap()),
        "exited" => drop(engine.kill(NAME, Signal::Kill, second(2)).unwrap()),
        _ => {}
    }
    engine.settle(second(2));
    assert_eq!(engine.find(NAME).unwrap().status(), state);
    engine
}

fn act(engine: &mut Containers, action: &str, now: SystemTime) -> Result<Done, Refusal> {
    match action {
        "start" => engine.start(NAME, now),
        "stop" => engine.stop(NAME, None, now),
        "stop at once" => engine.stop(NAME, Some(0), now),
        "stop in 2s" => engine.stop(NAME, Some(2), now),
        "stop some day" => engine.stop(NAME, Some(i64::MAX), now),
        "stop patiently" => engine.stop(NAME, Some(-1), now),
        "restart" => engine.restart(NAME, None, now),
        "pause" => engine.pause(NAME, now),
        "unpause" => engine.unpause(NAME, now),
        "kill" => engine.kill(NAME, Signal::Kill, now),
        "term" => engine.kill(NAME, Signal::Term, now),
        "hup" => engine.kill(NAME, Signal::Other(1), now),
        "kill 99" => engine.kill(NAME, Signal::Unsupported(99), now),
        "remove" => engine.remove(NAME, false, now),
        "force remove" => engine.remove(NAME, true, now),
        unknown => panic!("{unknown}"),
    }
}

/// The answer and the state after it, with `ID` for the id.
fn outcome(engine: &mut Containers, action: &str, now: SystemTime) -> String {
    let id = engine.find(NAME).unwrap().id.clone();
    let answer = match act(engine, action, now) {
        Ok(Done::Changed | Done::When(_)) => "204".to_owned(),
        Ok(Done::Unchanged) => "304".to_owned(),
        Err(refusal) => format!("{} {}", refusal.status, refusal.message),
    };
    engine.settle(now);
    format!("{answer} -> {}", shown(engine)).replace(&id, "ID")
}

fn shown(engine: &Containers) -> String {
    engine.find(NAME).map_or_else(
        |_| "gone".to_owned(),
        |container| format!("{} {}", container.status(), container.exit_code),
    )
}

#[test]
fn every_action_in_every_state_is_answered_as_by_dockerd() {
    let not_running = "409 Container ID is not running";
    let kill_refused = "409 Cannot kill container: muxer: Container ID is not running";
    let unsupported =
        "500 Cannot kill container: muxer: The linux daemon does not support signal 99";
    let cannot_start = "409 cannot start a paused container, try unpause instead";
    let not_paused = "500 Container ID is not paused";
    let already_paused = "409 Container ID is already paused";
    let remove_running = "409 You cannot remove a running container ID. Stop the container before attempting removal or force remove";
    let remove_paused = "409 You cannot remove a paused container ID. Unpause and then stop the container before attempting removal or force remove";
    let states = ["created", "running", "paused", "exited"];
    for (action, answers, after) in [
        (
            "start",
            ["204", "304", cannot_start, "204"],
            ["running 0", "running 0", "paused 0", "running 0"],
        ),
        (
            "stop",
            ["304", "204", "204", "304"],
            ["created 0", "exited 0", "exited 0", "exited 137"],
        ),
        (
            "restart",
            ["204"; 4],
            ["running 0", "running 0", "running 0", "running 0"],
        ),
        (
            "pause",
            [not_running, "204", already_paused, not_running],
            ["created 0", "paused 0", "paused 0", "exited 137"],
        ),
        (
            "unpause",
            [not_paused, not_paused, "204", not_paused],
            ["created 0", "running 0", "running 0", "exited 137"],
        ),
        (
            "kill",
            [kill_refused, "204", "204", kill_refused],
            ["created 0", "exited 137", "exited 137", "exited 137"],
        ),
        (
            "term",
            [kill_refused, "204", "204", kill_refused],
            ["created 0", "exited 0", "exited 0", "exited 137"],
        ),
        (
            "hup",
            [kill_refused, "204", "204", kill_refused],
            ["created 0", "running 0", "running 0", "exited 137"],
        ),
        (
            "kill 99",
            [unsupported; 4],
            ["created 0", "running 0", "paused 0", "exited 137"],
        ),
        (
            "remove",
            ["204", remove_running, remove_paused, "204"],
            ["gone", "running 0", "paused 0", "gone"],
        ),
        ("force remove", ["204"; 4], ["gone"; 4]),
    ] {
        for ((state, answer), after) in states.iter().zip(answers).zip(after) {
            let mut engine = engine(state, Duration::ZERO);
            let actual = outcome(&mut engine, action, second(3));
            let expected = format!("{answer} -> {after}");
            assert_eq!(actual, expected, "{action} when {state}");
        }
    }
}

/// Begins a stop at second 10 of a process that leaves after 5, acts at 11, and looks at second 60.
#[test]
fn a_slow_stop_goes_its_way_unless_something_else_happens() {
    for (stop, action, answer, at_the_end) in [
        ("stop", "start", "304 -> running 0", "exited 0 at 15"),
        ("stop", "stop", "204 -> running 0", "exited 0 at 15"),
        ("stop", "stop in 2s", "204 -> running 0", "exited 137 at 13"),
        (
            "stop",
            "stop at once",
            "204 -> exited 137",
            "exited 137 at 11",
        ),
        ("stop", "term", "204 -> running 0", "exited 0 at 15"),
        ("stop", "kill", "204 -> exited 137", "exited 137 at 11"),
        ("stop", "pause", "204 -> paused 0", "exited 137 at 20"),
        (
            "stop",
            "unpause",
            "500 Container ID is not paused -> running 0",
            "exited 0 at 15",
        ),
        ("stop", "restart", "204 -> running 0", "running 0 at 15"),
        ("stop", "force remove", "204 -> gone", "gone"),
        (
            "stop in 2s",
            "start",
            "304 -> running 0",
            "exited 137 at 12",
        ),
        (
            "stop patiently",
            "start",
            "304 -> running 0",
            "exited 0 at 15",
        ),
        ("stop patiently", "pause", "204 -> paused 0", "paused 0"),
        ("stop some day", "pause", "204 -> paused 0", "paused 0"),
        ("restart", "start", "304 -> running 0", "running 0 at 15"),
        ("restart", "stop", "204 -> running 0", "running 0 at 15"),
        ("restart", "kill", "204 -> running 0", "running 0 at 11"),
    ] {
        let mut engine = engine("running", Duration::from_secs(5));
        act(&mut engine, stop, second(10)).unwrap();
        engine.settle(second(11));
        let actual = outcome(&mut engine, action, second(11));
        assert_eq!(actual, answer, "{stop}, then {action}");
        engine.settle(second(60));
        let finished = engine.find(NAME).ok().and_then(|found| found.finished);
        let at = finished.map_or_else(String::new, |date| {
            format!(" at {}", date.duration_since(UNIX_EPOCH).unwrap().as_secs())
        });
        let actual = format!("{}{at}", shown(&engine));
        assert_eq!(actual, at_the_end, "{stop}, then {action}");
    }
}

#[test]
fn what_was_due_while_frozen_happens_at_the_thaw() {
    let mut engine = engine("running", Duration::from_secs(5));
    let Done::When(run) = act(&mut engine, "stop patiently", second(10)).unwrap() else {
        panic!("a stop of a running container ends a run");
    };
    assert_eq!(engine.outlook(&run), Outlook::EndsAt(second(15)));
    act(&mut engine, "pause", second(11)).unwrap();
    assert_eq!(engine.outlook(&run), Outlook::GoesOn);
    act(&mut engine, "unpause", second(30)).unwrap();
    engine.settle(second(30));
    assert_eq!(engine.outlook(&run), Outlook::Over);
    assert_eq!(engine.find(NAME).unwrap().finished, Some(second(30)));
}

#[test]
fn references_are_full_ids_then_names_then_unique_beginnings_of_ids() {
    let mut engine = Containers::default();
    let mut add = |name: &str| engine.create(name, Config::default(), second(0)).unwrap();
    let first = add("first");
    let by_full_id = add(&first);
    let (short, _) = first.split_at(12);
    let by_short_id = add(short);
    let (prefix, _) = first.split_at(20);
    let (_, not_prefix) = first.split_at(8);
    let (other_prefix, _) = by_full_id.split_at(20);
    // With twenty more, two of them begin with the same digit out of sixteen.
    let more: Vec<_> = (0..20)
        .map(|number| add(&format!("more-{number}")))
        .collect();
    let digits = "0123456789abcdef".chars();
    let shared = digits
        .filter(|digit| more.iter().filter(|id| id.starts_with(*digit)).count() > 1)
        .map(String::from)
        .next()
        .unwrap();
    for (reference, expected) in [
        (first.as_str(), first.as_str()),
        (short, by_short_id.as_str()),
        (prefix, first.as_str()),
        (other_prefix, by_full_id.as_str()),
        ("first", first.as_str()),
        ("First", "404 No such container: First"),
        ("firs", "404 No such container: firs"),
        (not_prefix, &format!("404 No such container: {not_prefix}")),
        (
            &shared,
            &format!("500 Multiple IDs found with provided prefix: {shared}"),
        ),
        ("", "400 invalid name or ID supplied: \"\""),
    ] {
        let found = engine.find(reference).map_or_else(
            |refusal| format!("{} {}", refusal.status, refusal.message),
            |container| container.id.clone(),
        );
        assert_eq!(found, expected, "{reference}");
    }
}
