//! Waiting until a container is what it should be: that it is, that it never will be, and everything in between.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::audit::{Trail, told};
use crate::http::{self, Answer, connect, parse, read_all};
use crate::running::{slow_to_stop, wait};
use crate::stage::{Stage, on_each_engine};

const FEW: &str = r#"
[containers.a]
allow = ["status", "start", "stop", "restart", "logs"]
[containers.b]
allow = ["status", "start", "stop", "restart"]
[containers.c0]
allow = ["status", "stop"]
[containers.blind]
allow = ["start", "stop", "restart"]
"#;

/// Runs until SIGTERM, with `/ok` there after a while.
const OK_LATER: &str =
    "trap 'exit 0' TERM; sleep 0.5; touch /ok; while :; do sleep 1 & wait $!; done";

/// Makes a container with this program and these labels, and a health check that is good once `/ok` is there.
fn checked(stage: &Stage, name: &str, program: &str, labels: &Value) -> String {
    create(stage, name, program, labels, &json!({}))
}

fn create(stage: &Stage, name: &str, program: &str, labels: &Value, policy: &Value) -> String {
    let body = json!({ "Image": "busybox:latest", "Cmd": ["/bin/sh", "-c", program], "Labels": labels,
        "Healthcheck": { "Test": ["CMD-SHELL", "test -e /ok"], "Interval": 200_000_000 },
        "HostConfig": { "NetworkMode": "none", "RestartPolicy": policy } });
    let path = format!("/containers/create?name={}{name}", stage.prefix);
    let said = stage.engine.ask("POST", &path, Some(&body));
    assert_eq!(said.status, 201, "{}", said.body);
    said.body["Id"].as_str().unwrap().to_owned()
}

fn check(stage: &Stage, path: &str, status: u16, body: &Value) {
    let answer = stage.post(path);
    let said = (answer.status, answer.json());
    assert_eq!(said, (status, body.clone()), "{path} on {}", stage.kind);
}

#[test]
fn what_comes_to_be_so_is_answered() {
    on_each_engine(FEW, |stage| {
        let id = checked(
            stage,
            "a",
            OK_LATER,
            &json!({ "pretend.health": "healthy:500" }),
        );
        for (path, status) in [
            ("start?wait=healthy", "started"),
            ("restart?wait=running&timeout=10s", "restarted"),
            ("restart?timeout=20s&wait=healthy", "restarted"),
        ] {
            let body = json!({ "status": status, "container": "a" });
            check(stage, &format!("/container/a/{path}"), 200, &body);
            let state = stage.engine.inspect(&id)["State"].clone();
            assert_eq!(state["Status"], "running", "{path} on {}", stage.kind);
            if path.contains("healthy") {
                assert_eq!(state["Health"]["Status"], "healthy", "{path}");
            }
        }
        let stopped = json!({ "status": "stopped", "container": "a" });
        check(stage, "/container/a/stop?wait=exited", 200, &stopped);
        // A job is waited for to its end.
        let full_name = format!("{}b", stage.prefix);
        let labels = json!({ "pretend.exit": "7:500" });
        let b = stage
            .engine
            .create_with(&full_name, "sleep 0.5; exit 7", &labels);
        let started = json!({ "status": "started", "container": "b" });
        check(stage, "/container/b/start?wait=exited", 200, &started);
        assert_eq!(stage.engine.state(&b), "exited");
    });
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_done() {
    on_each_engine(FEW, |stage| {
        stage.container("a");
        stage.container("blind");
        for (path, status, error) in [
            (
                "/container/a/start?wait=healthy",
                400,
                "Bad parameter: wait: a has no health check, so it never becomes healthy",
            ),
            (
                "/container/a/start?wait=ready",
                400,
                "Bad parameter: wait: it is `healthy`, `running` or `exited`",
            ),
            (
                "/container/a/stop?wait=running",
                400,
                "Bad parameter: wait: after a stop only `exited` can be waited for",
            ),
            (
                "/container/a/start?timeout=1s",
                400,
                "Bad parameter: timeout: it goes with `wait`, which is not given",
            ),
            (
                "/container/a/start?wait=running&timeout=1h",
                400,
                "Bad parameter: timeout: it is a duration such as `30s` or `2m`, at most `10m`",
            ),
            // Who may not look may not wait either.
            (
                "/container/blind/start?wait=running",
                403,
                "Forbidden: status is not allowed on blind",
            ),
            (
                "/container/c0/start?wait=running",
                403,
                "Forbidden: start is not allowed on c0",
            ),
            (
                "/container/hidden/start?wait=running",
                404,
                "Container not found: hidden",
            ),
            (
                "/container/b/start?wait=healthy",
                404,
                "Container not found: b",
            ),
        ] {
            check(stage, path, status, &json!({ "error": error }));
        }
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
        // One whose check is switched off has none.
        let body = json!({ "Image": "busybox:latest", "Cmd": ["/bin/sh"], "Healthcheck": { "Test": ["NONE"] } });
        let path = format!("/containers/create?name={}b", stage.prefix);
        assert_eq!(stage.engine.ask("POST", &path, Some(&body)).status, 201);
        assert_eq!(stage.post("/container/b/start?wait=healthy").status, 400);
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
        // What was so already stays a conflict.
        stage.post("/container/a/start");
        let error = json!({ "error": "Container already running" });
        check(stage, "/container/a/start?wait=running", 409, &error);
    });
}

#[test]
fn who_dies_on_the_way_is_not_waited_for() {
    on_each_engine(FEW, |stage| {
        let labels = json!({ "pretend.health": "healthy:60000", "pretend.exit": "3:300" });
        for name in ["a", "b"] {
            checked(stage, name, "echo no input; sleep 0.3; exit 3", &labels);
        }
        let begun = Instant::now();
        let body = |name: &str| {
            json!({ "error": format!("{name} did not become healthy: exited with code 3"), "container": name,
                "status": "exited", "health": "unhealthy", "exit_code": 3 })
        };
        // Who may not read its logs is shown none.
        check(stage, "/container/b/start?wait=healthy", 504, &body("b"));
        let mut with_logs = body("a");
        let last = if stage.pretend.is_some() {
            "pretend: started"
        } else {
            "no input"
        };
        with_logs["logs"] = json!([last]);
        check(
            stage,
            "/container/a/restart?wait=healthy&timeout=1m",
            504,
            &with_logs,
        );
        assert!(begun.elapsed() < Duration::from_secs(20));
        let accept = "Accept: application/problem+json\r\n";
        let path = "/container/b/start?wait=healthy";
        let answer = http::ask_with(stage.address, "POST", path, accept, "");
        let mut details = body("b");
        let detail = details.as_object_mut().unwrap().remove("error").unwrap();
        let document = json!({ "type": "about:blank", "title": "Gateway Timeout", "status": 504, "detail": detail,
            "details": details });
        assert_eq!((answer.status, answer.json()), (504, document));
    });
}

#[test]
fn patience_ends() {
    on_each_engine(FEW, |stage| {
        let labels = json!({ "pretend.health": "unhealthy:0" });
        checked(
            stage,
            "b",
            "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done",
            &labels,
        );
        let begun = Instant::now();
        let answer = stage.post("/container/b/start?wait=healthy&timeout=700ms");
        let took = begun.elapsed();
        let said = answer.json();
        assert_eq!(
            (answer.status, &said["status"]),
            (504, &json!("running")),
            "{said}"
        );
        let error = said["error"].as_str().unwrap();
        let health = said["health"].as_str().unwrap();
        let expected = format!(
            "b did not become healthy after 700ms: it is running, and its health check says {health}"
        );
        assert_eq!(
            (error, &said["exit_code"]),
            (expected.as_str(), &Value::Null)
        );
        assert!(
            took >= Duration::from_millis(700) && took < Duration::from_secs(8),
            "{took:?}"
        );
        let said = stage
            .post("/container/b/restart?wait=exited&timeout=100ms")
            .json();
        let error = said["error"].as_str().unwrap();
        assert_eq!(error, "b did not exit after 100ms: it is running");
    });
}

/// One that the engine is about to restart is not dead.
#[test]
fn a_restart_policy_is_waited_for() {
    let Some(socket) = crate::engines::real() else {
        return;
    };
    let stage = Stage::real(&socket, FEW);
    let program = "test -e /ok && exec sleep 60; touch /ok; exit 1";
    let policy = json!({ "Name": "on-failure", "MaximumRetryCount": 5 });
    let id = create(&stage, "a", program, &json!({}), &policy);
    let started = json!({ "status": "started", "container": "a" });
    check(&stage, "/container/a/start?wait=healthy", 200, &started);
    assert_eq!(stage.engine.inspect(&id)["RestartCount"], 1);
}

#[test]
fn what_is_removed_meanwhile() {
    on_each_engine(FEW, |stage| {
        for (until, status) in [("exited", 200), ("healthy", 504)] {
            let id = checked(stage, "a", OK_LATER, &json!({}));
            let mut caller = begin(stage, &format!("/container/a/start?wait={until}"));
            await_looks(stage);
            stage.engine.remove(&id);
            let answer = parse(&read_all(&mut caller)).unwrap();
            assert_eq!(
                answer.status, status,
                "{until} on {}: {answer:?}",
                stage.kind
            );
            if status == 504 {
                let said = answer.json();
                assert_eq!(said["error"], "a did not become healthy: it is gone");
                let status = &said["status"];
                assert!(status.is_null() || status == "removing", "{said}");
            }
        }
    });
}

#[test]
fn an_engine_that_goes_away_meanwhile() {
    let stage = Stage::pretend(FEW);
    checked(
        &stage,
        "b",
        "x",
        &json!({ "pretend.health": "healthy:1500" }),
    );
    let pretend = stage.pretend.as_ref().unwrap();
    let answer = during_a_wait(
        &stage,
        "/container/b/start?wait=healthy&timeout=300ms",
        || {
            stage.block_on(pretend.go_down());
        },
    );
    let said = answer.json();
    let error = said["error"].as_str().unwrap();
    let begin = "b did not become healthy after 300ms: the engine does not say how it is: ";
    assert!(error.starts_with(begin), "{error}");
    assert_eq!((answer.status, &said["status"]), (504, &Value::Null));
    stage.block_on(pretend.come_back()).unwrap();
    // One that comes back in time is no matter.
    let answer = during_a_wait(&stage, "/container/b/restart?wait=healthy", || {
        stage.block_on(pretend.go_down());
        stage.block_on(pretend.come_back()).unwrap();
    });
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Does something as soon as a change has been made and its container is being looked at.
fn during_a_wait(stage: &Stage, path: &str, deed: impl FnOnce()) -> Answer {
    let mut caller = begin(stage, path);
    await_looks(stage);
    deed();
    parse(&read_all(&mut caller)).unwrap()
}

fn begin(stage: &Stage, path: &str) -> TcpStream {
    stage.record.take();
    let mut stream = connect(stage.address);
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Waits until there is a look after a change.
fn await_looks(stage: &Stage) {
    let mut seen = Vec::new();
    wait(|| {
        seen.extend(stage.record.take());
        let change = seen.iter().position(|line| line.starts_with("POST "));
        change.is_some_and(|at| seen.len() > at + 2)
    });
}

#[test]
fn who_leaves_is_not_waited_for() {
    let stage = Stage::pretend(FEW);
    checked(&stage, "b", "x", &json!({}));
    let caller = begin(&stage, "/container/b/start?wait=healthy&timeout=10m");
    await_looks(&stage);
    drop(caller);
    // Looks are never further apart than a quarter of a second.
    wait(|| {
        stage.record.take();
        thread::sleep(Duration::from_millis(600));
        stage.record.take().is_empty()
    });
    assert_eq!(stage.get("/container/b/status").json()["status"], "running");
}

#[test]
fn a_stop_of_the_gateway_waits_for_no_waiter() {
    on_each_engine(FEW, |stage| {
        checked(stage, "b", "sleep 60", &json!({}));
        let mut caller = begin(stage, "/container/b/start?wait=healthy&timeout=10m");
        await_looks(stage);
        let told = Instant::now();
        assert!(stage.stop(), "drained in time");
        assert!(
            told.elapsed() < Duration::from_secs(3),
            "{:?}",
            told.elapsed()
        );
        let answer = parse(&read_all(&mut caller)).unwrap();
        let error =
            "It was done, but relayer-controller is stopping and did not see b become healthy";
        assert_eq!(
            (answer.status, answer.json()),
            (503, json!({ "error": error }))
        );
        assert_eq!(answer.header("retry-after"), "1");
    });
}

#[test]
fn fifty_waiters() {
    let table = |number| format!("[containers.w{number}]\nallow = [\"status\", \"start\"]\n");
    let tables: String = (0..50).map(table).collect();
    let stage = Stage::pretend(&tables);
    for number in 0..50 {
        let labels = json!({ "pretend.health": "healthy:1000" });
        checked(&stage, &format!("w{number}"), "x", &labels);
    }
    let begun = Instant::now();
    thread::scope(|scope| {
        for number in 0..50 {
            let stage = &stage;
            scope.spawn(move || {
                let body = json!({ "status": "started", "container": format!("w{number}") });
                check(
                    stage,
                    &format!("/container/w{number}/start?wait=healthy"),
                    200,
                    &body,
                );
            });
        }
    });
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let looks = stage.record.take().len();
    // About a dozen each in a second, and what a start takes.
    assert!(looks < 50 * 30, "{looks}");
}

/// The change is on record as it ended, whatever the waiting came to, and so is one that was refused.
#[test]
fn what_was_waited_for_is_on_record() {
    let trail = Trail::new();
    on_each_engine(&trail.tables(""), |stage| {
        slow_to_stop(stage);
        let stopped = json!({ "status": "stopped", "container": "c0" });
        check(stage, "/container/c0/stop?wait=exited", 200, &stopped);
        let answer = stage.post("/container/c0/start?wait=exited&timeout=50ms");
        assert_eq!(answer.status, 504, "{answer:?}");
        let answer = stage.post("/container/c0/restart?wait=healthy");
        assert_eq!(answer.status, 400, "{answer:?}");
        let expected = json!([
            ["admitted", "stop", "c0", "allow", null, null],
            ["ended", "stop", "c0", "allow", "done", 200],
            ["admitted", "start", "c0", "allow", null, null],
            ["ended", "start", "c0", "allow", "done", 200],
            ["denied", "restart", "c0", "deny", null, 400],
        ]);
        assert_eq!(told(&trail.take()), expected);
    });
}
