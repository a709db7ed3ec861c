//! The order of batches: by compose's labels, each as soon as what it needs is done, and cycles not at all.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::batch::{FEW, ask, bad, check, composed, good, labels};
use crate::stage::{Stage, on_each_engine};

/// Tables of so many containers `n00`, `n01` and so on.
fn many(count: usize) -> String {
    let table = |number| {
        format!(
            "[containers.n{number:02}]\nallow = [\"status\", \"start\", \"stop\", \"restart\"]\nstop_timeout = \"1s\"\n"
        )
    };
    // What one costs the engine, thirty cost it thirty times; on a small machine that takes a while.
    let patient = "timeout = \"30s\"\n".to_owned();
    [patient].into_iter().chain((0..count).map(table)).collect()
}

/// A time of the engine's such that later ones are greater.
fn time(stage: &Stage, name: &str, key: &str) -> String {
    let seen = stage.engine.inspect(&format!("{}{name}", stage.prefix));
    let text = seen["State"][key].as_str().unwrap().to_owned();
    let text = text.strip_suffix('Z').unwrap();
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    format!("{seconds}.{decimals:0<9}")
}

/// A graph of 30 in which each needs up to three of those before it; by number.
fn graph() -> Vec<Vec<usize>> {
    let mut seed = 20_u64;
    let mut chance = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let needs = |number: usize| {
        let mut needs: Vec<_> = (0..chance(4)).map(|_| chance(number.max(1))).collect();
        needs.retain(|needed| *needed < number);
        needs.sort_unstable();
        needs.dedup();
        needs
    };
    (0..30).map(needs).collect()
}

/// How many there are on the longest path of a graph.
fn longest_path(graph: &[Vec<usize>]) -> usize {
    let mut depths: Vec<usize> = Vec::new();
    for needs in graph {
        let deepest = needs.iter().map(|needed| depths[*needed]).max();
        depths.push(deepest.unwrap_or_default() + 1);
    }
    depths.into_iter().max().unwrap()
}

/// Thirty that need each other start and stop in an order that respects every edge, and a stop, of which each takes its
/// time, takes that of the longest path.
#[test]
fn thirty_in_their_order() {
    let graph = graph();
    let (length, edges) = (longest_path(&graph), graph.iter().flatten().count());
    assert!(
        (4..=12).contains(&length) && edges >= 30,
        "{length} {edges}"
    );
    on_each_engine(&many(30), |stage| {
        let name = |number: usize| format!("n{number:02}");
        for (number, needs) in graph.iter().enumerate() {
            let needs: Vec<_> = needs
                .iter()
                .map(|needed| format!("{}:service_started:false", name(*needed)))
                .collect();
            let mut labels = labels(stage, &name(number), &needs.join(","));
            labels["pretend.stop-delay"] = json!("30000");
            let deaf = "trap '' TERM; while :; do sleep 1; done";
            let full_name = format!("{}{}", stage.prefix, name(number));
            stage.engine.create_with(&full_name, deaf, &labels);
        }
        let all: Vec<_> = (0..30).map(name).collect();
        // Asked for in the wrong order, too.
        let backwards: Vec<_> = all.iter().rev().collect();
        let answer = ask(stage, "start", &json!(backwards));
        assert_eq!(answer.status, 200, "{answer:?}");
        let begun = Instant::now();
        let stopped = ask(stage, "stop", &json!("*"));
        let took = begun.elapsed();
        assert_eq!(stopped.status, 200, "{stopped:?}");
        let times = |key| {
            let times = all.iter().map(|name| time(stage, name, key));
            times.collect::<Vec<_>>()
        };
        let (started, finished) = (times("StartedAt"), times("FinishedAt"));
        for (number, needs) in graph.iter().enumerate() {
            for needed in needs {
                let edge = format!("{number} needs {needed} on {}", stage.kind);
                assert!(started[*needed] < started[number], "start: {edge}");
                assert!(finished[number] < finished[*needed], "stop: {edge}");
            }
        }
        // Each takes a second.
        let path = Duration::from_secs(u64::try_from(length).unwrap());
        println!("{}: {took:?} for a path of {path:?}", stage.kind);
        assert!(took >= path, "{took:?}");
        // A real engine needs the processor for each; its sum would be thirty seconds and that thirty times.
        let most = if stage.pretend.is_some() {
            path + path / 2
        } else {
            Duration::from_secs(25)
        };
        assert!(took < most, "{took:?} on {}", stage.kind);
    });
}

/// Twenty that take a second each are restarted at once.
#[test]
fn twenty_at_once() {
    on_each_engine(&many(20), |stage| {
        for number in 0..20 {
            let deaf = "trap '' TERM; while :; do sleep 1; done";
            let full_name = format!("{}n{number:02}", stage.prefix);
            let labels = json!({ "pretend.stop-delay": "30000" });
            let id = stage.engine.create_with(&full_name, deaf, &labels);
            stage.engine.post(&format!("/containers/{id}/start"));
        }
        let begun = Instant::now();
        let answer = ask(stage, "restart", &json!("*"));
        let took = begun.elapsed();
        assert_eq!(answer.status, 200, "{answer:?}");
        println!("{}: 20 restarts took {took:?}", stage.kind);
        let changes = stage.record.take_changes();
        assert_eq!(changes.len(), 20, "{changes:?}");
        assert!(took < Duration::from_secs(18), "{took:?} on {}", stage.kind);
    });
}

/// The short names of what the engine was told, in its order.
fn order(stage: &Stage, ids: &[(&str, &String)]) -> Vec<String> {
    let changes = stage.record.take_changes();
    let name = |change: &String| {
        let of = ids.iter().find(|(_, id)| change.contains(id.as_str()));
        of.unwrap().0.to_owned()
    };
    changes.iter().map(name).collect()
}

#[test]
fn each_verb_has_its_order() {
    on_each_engine(FEW, |stage| {
        // c is needed by what is not in the batch, not managed, and hidden from everybody.
        let a = composed(stage, "a", "between:service_started:false");
        let _between = composed(stage, "between", "c");
        let c = composed(stage, "c", "");
        let ids = [("a", &a), ("c", &c)];
        for (verb, expected) in [
            ("start", ["c", "a"]),
            ("restart", ["c", "a"]),
            ("stop", ["a", "c"]),
        ] {
            let answer = ask(stage, verb, &json!(["a", "c"]));
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(!answer.body.contains("between"), "{answer:?}");
            assert_eq!(order(stage, &ids), expected, "{verb} on {}", stage.kind);
        }
        // One that fails does not keep another from its try.
        stage.engine.remove(&c);
        let expected = json!([
            good("a", "started", true),
            bad("c", "Container not found: c", 404)
        ]);
        check(stage, "start", &json!(["a", "c"]), 207, &expected);
    });
}

#[test]
fn cycles_are_reported_and_not_followed() {
    on_each_engine(FEW, |stage| {
        composed(stage, "a", "b,d");
        composed(stage, "b", "a:service_healthy:true");
        let c = composed(stage, "c", "a");
        let d = composed(stage, "d", "");
        let results = json!([
            bad("a", "Dependency cycle: a -> b -> a", 409),
            bad("b", "Dependency cycle: b -> a -> b", 409),
            good("c", "started", true),
            good("d", "started", true),
        ]);
        check(stage, "start", &json!(["a", "b", "c", "d"]), 207, &results);
        assert_eq!(order(stage, &[("c", &c), ("d", &d)]), ["d", "c"]);
        let alone = json!([bad("a", "Dependency cycle: a -> b -> a", 409)]);
        for verb in ["start", "stop", "restart"] {
            check(stage, verb, &json!(["a"]), 207, &alone);
        }
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
    });
}

#[test]
fn what_is_hidden_is_not_shown_by_a_cycle() {
    on_each_engine(FEW, |stage| {
        composed(stage, "a", "hidden");
        composed(stage, "hidden", "other");
        composed(stage, "other", "a");
        composed(stage, "b", "b");
        let why = "Dependency cycle: a with a container that is not shown";
        let results = json!([
            bad("hidden", "Container not found: hidden", 404),
            bad("a", why, 409),
            bad("b", "Dependency cycle: b -> b", 409),
        ]);
        check(stage, "start", &json!(["hidden", "a", "b"]), 207, &results);
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
    });
}

/// Makes a container with this program of a shell and a health check that is good once `/ok` is there.
fn checked(stage: &Stage, name: &str, program: &str, labels: &Value) -> String {
    let body = json!({ "Image": "busybox:latest", "Cmd": ["/bin/sh", "-c", program], "Labels": labels,
        "Healthcheck": { "Test": ["CMD-SHELL", "test -e /ok"], "Interval": 200_000_000 },
        "HostConfig": { "NetworkMode": "none" } });
    let path = format!("/containers/create?name={}{name}", stage.prefix);
    let said = stage.engine.ask("POST", &path, Some(&body));
    assert_eq!(said.status, 201, "{}", said.body);
    said.body["Id"].as_str().unwrap().to_owned()
}

#[test]
fn conditions_are_waited_for() {
    on_each_engine(FEW, |stage| {
        let mut healthy = labels(stage, "b", "");
        healthy["pretend.health"] = json!("healthy:700");
        let program =
            "trap 'exit 0' TERM; sleep 0.7; touch /ok; while :; do sleep 1 & wait $!; done";
        checked(stage, "b", program, &healthy);
        composed(
            stage,
            "a",
            "b:service_healthy:true,d:service_completed_successfully:false",
        );
        let mut done = labels(stage, "d", "");
        done["pretend.exit"] = json!("0:300");
        let full_name = format!("{}d", stage.prefix);
        stage.engine.create_with(&full_name, "sleep 0.3", &done);
        let all = json!([
            good("a", "started", true),
            good("b", "started", true),
            good("d", "started", true)
        ]);
        check(stage, "start", &json!(["a", "b", "d"]), 200, &all);
        let b = stage.engine.inspect(&format!("{}b", stage.prefix));
        assert_eq!(b["State"]["Health"]["Status"], "healthy");
        assert!(time(stage, "d", "FinishedAt") < time(stage, "a", "StartedAt"));
    });
}

#[test]
fn a_condition_that_is_not_met() {
    on_each_engine(FEW, |stage| {
        let mut dying = labels(stage, "b", "");
        dying["pretend.health"] = json!("healthy:60000");
        dying["pretend.exit"] = json!("3:200");
        checked(stage, "b", "sleep 0.2; exit 3", &dying);
        composed(stage, "a", "b:service_healthy:true");
        composed(stage, "c", "a");
        let mut blind = labels(stage, "blind", "");
        blind["pretend.exit"] = json!("4:100");
        let full_name = format!("{}blind", stage.prefix);
        stage
            .engine
            .create_with(&full_name, "sleep 0.1; exit 4", &blind);
        composed(stage, "d", "blind:service_completed_successfully:true");
        let why = "Dependency b did not become healthy: exited with code 3";
        let results = json!([
            bad("a", why, 424),
            good("b", "started", true),
            // What it needs had its try.
            good("c", "started", true),
            // Who may not see the state of a container is not told it.
            bad("d", "Dependency blind did not exit with code 0", 424),
            good("blind", "started", true),
        ]);
        check(
            stage,
            "start",
            &json!(["a", "b", "c", "d", "blind"]),
            207,
            &results,
        );
        let unchecked = json!(["a", "b"]);
        let full_name = format!("{}b", stage.prefix);
        stage.engine.remove(&full_name);
        composed(stage, "b", "");
        let why = "Dependency b did not become healthy: it is running, and has no health check";
        let results = json!([bad("a", why, 424), good("b", "started", true)]);
        check(stage, "start", &unchecked, 207, &results);
    });
}
