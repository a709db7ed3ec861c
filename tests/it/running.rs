//! Changes that run to their end, races that have one winner, and a stop that loses nothing.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::engine::OwnContainer;
use relayer_controller::pretend::Fault;
use serde_json::json;

use crate::gateway::Gateway;
use crate::http::{self, connect, read_all};
use crate::stage::{Stage, on_each_engine};

const FIVE: &str = r#"
[containers.c0]
allow = ["status", "start", "stop", "restart"]
[containers.c1]
allow = ["status", "start", "stop", "restart"]
[containers.c2]
allow = ["status", "start", "stop", "restart"]
[containers.c3]
allow = ["status", "start", "stop", "restart"]
[containers.c4]
allow = ["status", "start", "stop", "restart"]
"#;

#[test]
fn of_two_racing_starts_one_wins() {
    on_each_engine(FIVE, |stage| {
        stage.container("c0");
        for _ in 0..5 {
            let mut statuses: Vec<_> = thread::scope(|scope| {
                let racers: Vec<_> = (0..8)
                    .map(|_| scope.spawn(|| stage.post("/container/c0/start").status))
                    .collect();
                racers
                    .into_iter()
                    .map(|racer| racer.join().unwrap())
                    .collect()
            });
            statuses.sort_unstable();
            assert_eq!(
                statuses,
                [200, 409, 409, 409, 409, 409, 409, 409],
                "{}",
                stage.kind
            );
            assert_eq!(stage.post("/container/c0/stop").status, 200);
        }
    });
}

#[test]
fn the_others_stay_untouched() {
    on_each_engine(FIVE, |stage| {
        let ids: Vec<_> = (0..5).map(|i| stage.running(&format!("c{i}"))).collect();
        let bystander = stage.running("bystander");
        let started = |id: &String| stage.engine.inspect(id)["State"]["StartedAt"].clone();
        let before: Vec<_> = ids.iter().chain([&bystander]).map(started).collect();
        for verb in ["restart", "stop", "start"] {
            assert_eq!(stage.post(&format!("/container/c2/{verb}")).status, 200);
        }
        let after: Vec<_> = ids.iter().chain([&bystander]).map(started).collect();
        for (i, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(
                before == after,
                i != 2,
                "container {i} on the {} engine",
                stage.kind
            );
        }
    });
}

/// 500 quick requests of 16 clients on 5 containers: no 5xx, and each container ends as its last answer says.
#[test]
fn a_storm_of_changes() {
    on_each_engine(FIVE, |stage| {
        let ids: Vec<_> = (0..5).map(|i| stage.container(&format!("c{i}"))).collect();
        let log = storm(stage);
        assert_eq!(log.len(), 500);
        for (container, id) in ids.iter().enumerate() {
            let events: Vec<_> = log
                .iter()
                .filter(|event| event.container == container)
                .collect();
            explain(&events, &stage.engine.state(id), stage.kind);
            let status = stage.get(&format!("/container/c{container}/status")).json();
            assert_eq!(status["status"], stage.engine.state(id), "{}", stage.kind);
        }
    });
}

#[derive(Debug)]
struct Event {
    container: usize,
    verb: &'static str,
    status: u16,
    begun: Instant,
    ended: Instant,
}

fn storm(stage: &Stage) -> Vec<Event> {
    let clients = |client: usize| {
        let mut events = Vec::new();
        // 16 clients, 500 requests in all.
        let count = if client < 4 { 32 } else { 31 };
        for i in 0..count {
            let container = (client * 7 + i * 3) % 5;
            let verb = ["start", "stop", "restart", "stop", "start"][(client + i) % 5];
            let begun = Instant::now();
            let answer = stage.post(&format!("/container/c{container}/{verb}"));
            assert!(
                matches!(answer.status, 200 | 409),
                "{verb} c{container} on {}: {answer:?}",
                stage.kind
            );
            events.push(Event {
                container,
                verb,
                status: answer.status,
                begun,
                ended: Instant::now(),
            });
        }
        events
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..16)
            .map(|client| scope.spawn(move || clients(client)))
            .collect();
        running
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    })
}

/// Asserts that there is an order of the events, true to their times, in which every answer is right and the end is the
/// state that was found.
fn explain(events: &[&Event], finally: &str, kind: &str) {
    assert!(events.len() <= 128, "one bit an event");
    let all = u128::MAX >> (128 - events.len());
    // Depth first; what was reached once need not be tried again.
    let (mut seen, mut open) = (HashSet::new(), vec![(0_u128, false)]);
    while let Some((done, runs)) = open.pop() {
        if done == all && runs == (finally == "running") {
            return;
        }
        let left = || (0..events.len()).filter(|i| done & (1 << i) == 0);
        // Nothing can come after an event that ended before it began.
        let first_end = left().map(|i| events[i].ended).min();
        for i in left().filter(|i| first_end.is_some_and(|end| events[*i].begun <= end)) {
            if let Some(runs) = after(events[i], runs)
                && seen.insert((done | 1 << i, runs))
            {
                open.push((done | 1 << i, runs));
            }
        }
    }
    panic!("{kind}: no order explains these and the end {finally}: {events:#?}");
}

/// Whether the container runs after an event, if the event's answer is right for what was before it.
fn after(event: &Event, runs: bool) -> Option<bool> {
    match (event.verb, event.status) {
        ("start", 200) => (!runs).then_some(true),
        ("start", 409) => runs.then_some(true),
        ("stop", 200) => runs.then_some(false),
        ("stop", 409) => (!runs).then_some(false),
        ("restart", 200) => Some(true),
        _ => None,
    }
}

/// A caller that hangs up does not end what it began.
#[test]
fn a_change_outlives_its_caller() {
    on_each_engine(FIVE, |stage| {
        let id = slow_to_stop(stage);
        let stream = begin_to_stop(stage);
        stream.shutdown(Shutdown::Both).unwrap();
        drop(stream);
        wait(|| stage.engine.state(&id) == "exited");
    });
}

/// Nor does one that hangs up so soon that the gateway hears of it together with what it asks.
#[test]
fn a_change_is_begun_whoever_hangs_up() {
    on_each_engine(FIVE, |stage| {
        let id = stage.container("c0");
        for (verb, after) in [("start", "running"), ("stop", "exited")].repeat(5) {
            let mut stream = connect(stage.address);
            let request = format!("POST /container/c0/{verb} HTTP/1.1\r\nHost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            drop(stream);
            wait(|| stage.engine.state(&id) == after);
        }
    });
}

/// Told to stop, the gateway answers what is in flight, closes what is idle, and takes no more.
#[test]
fn a_stop_loses_nothing() {
    on_each_engine(FIVE, |stage| {
        let id = slow_to_stop(stage);
        let mut idle = connect(stage.address);
        let mut busy = begin_to_stop(stage);
        assert!(stage.stop(), "drained in time");
        let answer = http::parse(&read_all(&mut busy)).unwrap();
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, r#"{"status":"stopped","container":"c0"}"#)
        );
        assert_eq!(read_all(&mut idle), "");
        assert_eq!(stage.engine.state(&id), "exited");
        assert!(
            TcpStream::connect(stage.address).is_err(),
            "still listening"
        );
    });
}

/// The same when its caller has hung up before the stop.
#[test]
fn a_stop_waits_for_what_nobody_waits_for() {
    on_each_engine(FIVE, |stage| {
        let id = slow_to_stop(stage);
        let stream = begin_to_stop(stage);
        drop(stream);
        assert!(stage.stop(), "drained in time");
        assert_eq!(stage.engine.state(&id), "exited");
    });
}

/// What does not end in time is given up, and the gateway says so.
#[test]
fn a_stop_has_a_deadline() {
    let stage = Stage::pretend(FIVE);
    stage.running("c0");
    let lines = "listen = \"127.0.0.1:0\"\nshutdown_timeout = \"200ms\"\n";
    let own = OwnContainer::default();
    let mut hasty = Gateway::start_with(lines, &stage.prefix, &stage.host, own, FIVE);
    let pretend = stage.pretend.as_ref().unwrap();
    pretend.set_fault_on("restart", Fault::Stall);
    let mut caller = connect(hasty.address);
    caller
        .write_all(b"POST /container/c0/restart HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    wait(|| !stage.record.take_changes().is_empty());
    let told = Instant::now();
    assert!(!hasty.stop(), "the engine never answers");
    assert!(
        told.elapsed() < Duration::from_secs(2),
        "{:?}",
        told.elapsed()
    );
}

/// The TOML's time to stop is the one that the engine gets, and after it the container is killed.
#[test]
fn a_stop_timeout_is_kept() {
    let tables =
        "[containers.c0]\nallow = [\"stop\", \"start\", \"restart\"]\nstop_timeout = \"1s\"\n";
    on_each_engine(tables, |stage| {
        let name = format!("{}c0", stage.prefix);
        let deaf = "trap '' TERM; while :; do sleep 1; done";
        let label = json!({ "pretend.stop-delay": "30000" });
        let id = stage.engine.create_with(&name, deaf, &label);
        for (verb, exited) in [("start", false), ("restart", false), ("stop", true)] {
            assert_eq!(
                stage.post(&format!("/container/c0/{verb}")).status,
                200,
                "{verb}"
            );
            let state = stage.engine.inspect(&id)["State"].clone();
            assert_eq!(
                state["Status"] == "exited",
                exited,
                "{verb} on {}",
                stage.kind
            );
        }
        assert_eq!(
            stage.engine.inspect(&id)["State"]["ExitCode"],
            137,
            "{}",
            stage.kind
        );
        let changes = stage.record.take_changes();
        assert!(changes[1].ends_with("/restart?t=1"), "{changes:?}");
        assert!(changes[2].ends_with("/stop?t=1"), "{changes:?}");
    });
}

/// Makes and starts a container `c0` that takes a second to stop.
pub(crate) fn slow_to_stop(stage: &Stage) -> String {
    let id = stage.engine.create_with(
        &format!("{}c0", stage.prefix),
        "trap 'sleep 1; exit 0' TERM; while :; do sleep 1 & wait $!; done",
        &json!({ "pretend.stop-delay": "1000" }),
    );
    stage.engine.post(&format!("/containers/{id}/start"));
    id
}

/// Asks for a stop of `c0` and waits until the engine has been asked for it.
pub(crate) fn begin_to_stop(stage: &Stage) -> TcpStream {
    let mut stream = connect(stage.address);
    stream
        .write_all(b"POST /container/c0/stop HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let is_stop = |request: &String| request.contains("/stop");
    wait(|| stage.record.take_changes().iter().any(is_stop));
    stream
}

/// Waits, at most ten seconds, until something is so.
pub(crate) fn wait(mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "it never came to be so"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// Who reads after an answer reads what the answer said, whoever else acts meanwhile on other containers.
#[test]
fn a_status_agrees_with_the_answer_before_it() {
    on_each_engine(FIVE, |stage| {
        let expected = BTreeMap::from([
            ("start", "running"),
            ("stop", "exited"),
            ("restart", "running"),
        ]);
        (0..5).for_each(|i| drop(stage.container(&format!("c{i}"))));
        thread::scope(|scope| {
            for i in 0..5 {
                let (expected, stage) = (&expected, &*stage);
                scope.spawn(move || {
                    for verb in [
                        "start", "stop", "restart", "stop", "start", "restart", "stop",
                    ] {
                        assert_eq!(
                            stage.post(&format!("/container/c{i}/{verb}")).status,
                            200,
                            "{verb}"
                        );
                        let status = stage.get(&format!("/container/c{i}/status")).json();
                        assert_eq!(
                            status["status"], expected[verb],
                            "{verb} on the {} engine",
                            stage.kind
                        );
                        let all = stage.get("/containers").json();
                        assert_eq!(
                            all["containers"][i]["status"], expected[verb],
                            "{verb} on {}",
                            stage.kind
                        );
                    }
                });
            }
        });
    });
}
