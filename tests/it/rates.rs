//! Rates, cool-downs, and how many connections and changes there may be at once.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::engine::OwnContainer;

use crate::gateway::Gateway;
use crate::http::{self, Answer, connect, exchange};
use crate::stage::{Stage, new_prefix, on_each_engine};

const NOWHERE: &str = "unix:///nowhere/docker.sock";
const COOLING: &str = r#"
[containers.a]
allow = ["status", "start", "stop", "kill"]
cooldown = "1h"
[containers.b]
allow = ["status", "start", "stop"]
"#;

/// A gateway before no engine, with these lines in `[limits]`.
fn limited(lines: &str) -> Gateway {
    let tables = format!("[limits]\n{lines}\n[containers.a]\nallow = [\"status\"]\n");
    Gateway::start(&new_prefix(), NOWHERE, OwnContainer::default(), &tables)
}

/// Asserts that an answer says to wait for about an hour.
fn check_wait(answer: &Answer, error: &str, kind: &str) {
    let wait: u64 = answer.header("retry-after").parse().unwrap_or_default();
    assert_eq!(answer.status, 429, "{kind}: {answer:?}");
    assert!((3500..=3600).contains(&wait), "{kind}: {answer:?}");
    assert!(answer.body.contains(error), "{kind}: {answer:?}");
}

#[test]
fn an_address_has_its_rate() {
    let gateway = limited("per_address = \"1/h\"");
    gateway.check("GET", "/nothing", 404, r#"{"error":"Not found"}"#);
    let error = r#"{"error":"Too many requests from this address: try again in 1h"}"#;
    for (method, path) in [
        ("GET", "/whoami"),
        ("GET", "/containers"),
        ("GET", "/ready"),
        ("POST", "/container/a/stop"),
        ("POST", "/health"),
        ("GET", "/nothing"),
    ] {
        check_wait(&http::ask(gateway.address, method, path), error, path);
    }
    // So are those that would be refused for another reason.
    let foreign = "Sec-Fetch-Site: cross-site\r\n";
    let answer = http::ask_with(gateway.address, "POST", "/container/a/stop", foreign, "");
    check_wait(&answer, error, "cross-site");
    // Health checks are not counted.
    for _ in 0..10 {
        gateway.check("GET", "/health", 200, r#""ok""#);
    }
}

#[test]
fn a_principal_has_its_rate() {
    let gateway = limited("per_principal = \"2/h\"");
    assert_eq!(gateway.get("/whoami").status, 200);
    assert_eq!(gateway.get("/whoami").status, 200);
    let answer = gateway.get("/whoami");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1700..=1800).contains(&wait), "{answer:?}");
    let error = r#"{"error":"Too many requests of anonymous: try again in 30m"}"#;
    assert_eq!((answer.status, answer.body.as_str()), (429, error));
    gateway.check("GET", "/health", 200, r#""ok""#);
    gateway.check("GET", "/nothing", 404, r#"{"error":"Not found"}"#);
}

#[test]
fn who_waits_as_long_as_it_is_told_passes() {
    for key in ["per_address", "per_principal"] {
        let gateway = limited(&format!("{key} = \"2/s\""));
        let mut passed = 0;
        let refused = loop {
            let answer = gateway.get("/whoami");
            if answer.status == 429 {
                break answer;
            }
            passed += 1;
            assert!(passed < 1000, "{key}: no end");
        };
        assert!(passed >= 2, "{key}: {passed}");
        let wait = refused.header("retry-after").parse().unwrap();
        assert_eq!(wait, 1, "{key}");
        thread::sleep(Duration::from_secs(wait));
        assert_eq!(gateway.get("/whoami").status, 200, "{key}");
    }
}

#[test]
fn a_change_cools_the_container_down() {
    on_each_engine(COOLING, |stage| {
        let (a, b) = (stage.container("a"), stage.container("b"));
        let started = r#"{"status":"started","container":"a"}"#;
        stage.check("POST", "/container/a/start", 200, started);
        assert_eq!(stage.record.take_changes().len(), 1);
        let error = r#"{"error":"a is cooling down: try again in "#;
        for verb in ["start", "stop", "kill", "kill?signal=TERM"] {
            let answer = stage.post(&format!("/container/a/{verb}"));
            check_wait(&answer, error, stage.kind);
        }
        // The law comes first.
        let denied = r#"{"error":"Forbidden: pause is not allowed on a"}"#;
        stage.check("POST", "/container/a/pause", 403, denied);
        assert_eq!(stage.record.take(), Vec::<String>::new(), "{}", stage.kind);
        assert_eq!(stage.get("/container/a/status").status, 200);
        for verb in ["start", "stop", "start"] {
            let answer = stage.post(&format!("/container/b/{verb}"));
            assert_eq!(answer.status, 200, "{}: {answer:?}", stage.kind);
        }
        assert_eq!(stage.engine.state(&a), "running");
        assert_eq!(stage.engine.state(&b), "running");
    });
}

#[test]
fn what_changes_nothing_cools_nothing_down() {
    on_each_engine(COOLING, |stage| {
        let gone = r#"{"error":"Container not found: a"}"#;
        stage.check("POST", "/container/a/start", 404, gone);
        stage.running("a");
        let already = r#"{"error":"Container already running"}"#;
        stage.check("POST", "/container/a/start", 409, already);
        let stopped = r#"{"status":"stopped","container":"a"}"#;
        stage.check("POST", "/container/a/stop", 200, stopped);
        assert_eq!(stage.post("/container/a/stop").status, 429);
    });
    let nobody = Gateway::start(&new_prefix(), NOWHERE, OwnContainer::default(), COOLING);
    for _ in 0..3 {
        assert_eq!(nobody.post("/container/a/start").status, 500);
    }
}

#[test]
fn a_cooldown_ends() {
    let tables = COOLING.replace("1h", "300ms");
    on_each_engine(&tables, |stage| {
        stage.container("a");
        assert_eq!(stage.post("/container/a/start").status, 200);
        // Told in whole seconds, so this is never too early.
        thread::sleep(Duration::from_secs(1));
        assert_eq!(stage.post("/container/a/stop").status, 200);
    });
}

#[test]
fn of_a_hundred_changes_one_is_admitted() {
    on_each_engine(COOLING, |stage| {
        stage.running("a");
        let verbs = ["stop", "kill", "stop", "kill?signal=TERM"];
        let statuses = at_once(stage, 100, |i| format!("/container/a/{}", verbs[i % 4]));
        assert_eq!(
            statuses,
            BTreeMap::from([(200, 1), (429, 99)]),
            "{}",
            stage.kind
        );
        assert_eq!(stage.record.take_changes().len(), 1, "{}", stage.kind);
    });
}

/// Posts to so many paths at once; answers how often each status came.
fn at_once(stage: &Stage, count: usize, path: impl Fn(usize) -> String) -> BTreeMap<u16, usize> {
    let address = stage.address;
    let clients: Vec<_> = (0..count)
        .map(|i| {
            let path = path(i);
            thread::spawn(move || http::ask(address, "POST", &path).status)
        })
        .collect();
    let mut statuses = BTreeMap::new();
    for client in clients {
        *statuses.entry(client.join().unwrap()).or_default() += 1;
    }
    statuses
}

#[test]
fn so_many_changes_at_once() {
    on_each_engine(&format!("[limits]\nchanges = 1\n{COOLING}"), |stage| {
        stage.container("a");
        stage.container("b");
        let (reached, is_reached) = channel();
        let (release, is_released) = channel();
        stage.record.before_the_next_change(move || {
            reached.send(()).unwrap();
            is_released.recv().unwrap();
        });
        let address = stage.address;
        let first = thread::spawn(move || http::ask(address, "POST", "/container/a/start").status);
        is_reached.recv_timeout(Duration::from_secs(10)).unwrap();
        let answer = stage.post("/container/b/start");
        let error = r#"{"error":"Too many changes are under way: try again later"}"#;
        assert_eq!((answer.status, answer.body.as_str()), (429, error));
        assert_eq!(answer.header("retry-after"), "1");
        release.send(()).unwrap();
        assert_eq!(first.join().unwrap(), 200, "{}", stage.kind);
        assert_eq!(
            stage.post("/container/b/start").status,
            200,
            "{}",
            stage.kind
        );
    });
}

#[test]
fn so_many_connections_of_one_address() {
    let gateway = limited("connections_per_address = 2");
    let held: Vec<TcpStream> = (0..2).map(|_| connect(gateway.address)).collect();
    // They are taken in the order in which they came.
    let request = "GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(gateway.address, request.as_bytes()), "");
    drop(held);
    let begun = Instant::now();
    while !exchange(gateway.address, request.as_bytes()).starts_with("HTTP/1.1 200") {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "no seat is free again"
        );
    }
    // One after the other, any number.
    for _ in 0..20 {
        let answer = exchange(gateway.address, request.as_bytes());
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 200"),
            "{answer}"
        );
    }
}
