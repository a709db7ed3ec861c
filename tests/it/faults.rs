//! Engines that fail in every way, and clients that do: the gateway answers, and goes on.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::pretend::Fault;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::http::{self, Answer, connect, read_all};
use crate::stage::{Stage, on_each_engine};

const ONE: &str = "[containers.a]\nallow = [\"status\", \"start\", \"stop\", \"restart\"]\n";

/// Everything that asks the engine.
const ASKING: [(&str, &str); 4] = [
    ("GET", "/containers"),
    ("GET", "/container/a/status"),
    ("GET", "/container/a"),
    ("POST", "/container/a/restart"),
];

/// Asserts what is told of an engine that fails, and that the gateway itself is well.
fn check_failing(stage: &Stage, contains: &str) {
    for (method, path) in ASKING {
        // The mirror may be current all the same: it is not asked.
        let fresh = "Cache-Control: no-cache\r\n";
        let answer = http::ask_with(stage.address, method, path, fresh, "");
        assert_eq!(answer.status, 500, "{method} {path}: {answer:?}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(
            error.starts_with("Docker error: ") && error.contains(contains),
            "{method} {path}: {error}"
        );
        stage.check("GET", "/health", 200, r#""ok""#);
    }
}

fn check_well(stage: &Stage) {
    stage.wait_until_current();
    stage.check("GET", "/ready", 200, r#"{"ready":true}"#);
    stage.check(
        "GET",
        "/container/a/status",
        200,
        r#"{"container":"a","status":"running","running":true}"#,
    );
}

#[test]
fn an_engine_that_fails() {
    let stage = Stage::pretend(ONE);
    stage.running("a");
    let pretend = stage.pretend.as_ref().unwrap();
    let faults = [
        (Fault::Stall, "no answer"),
        (Fault::StallBody, "no answer"),
        (Fault::Fail, ""),
        (Fault::Garbage, ""),
        (Fault::NotJson, ""),
        (Fault::Cut, ""),
        (Fault::Redirect, ""),
    ];
    for (fault, contains) in faults {
        check_well(&stage);
        pretend.set_fault(Some(fault));
        check_failing(&stage, contains);
        pretend.set_fault(None);
    }
    check_well(&stage);
    let asked = stage.record.take();
    let followed = asked.iter().any(|request| request.contains("elsewhere"));
    assert!(!followed, "a redirect was followed: {asked:?}");
}

#[test]
fn an_engine_that_is_not_ready() {
    let stage = Stage::pretend(ONE);
    let pretend = stage.pretend.as_ref().unwrap();
    for fault in [Fault::Stall, Fault::Fail, Fault::Garbage] {
        pretend.set_fault(Some(fault));
        let asked = Instant::now();
        let answer = stage.get("/ready");
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.json()["ready"], false);
        assert!(
            !answer.json()["reason"].as_str().unwrap().is_empty(),
            "{answer:?}"
        );
        assert!(
            asked.elapsed() < Duration::from_secs(3),
            "a probe must not hang"
        );
        pretend.set_fault(None);
        stage.check("GET", "/ready", 200, r#"{"ready":true}"#);
    }
}

#[test]
fn an_engine_that_comes_later() {
    let stage = Stage::pretend(ONE);
    let pretend = stage.pretend.as_ref().unwrap();
    stage.block_on(pretend.go_down());
    check_failing(&stage, "");
    let answer = stage.get("/containers");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(stage.get("/ready").status, 503);
    stage.block_on(pretend.come_back()).unwrap();
    stage.running("a");
    check_well(&stage);
}

/// An engine killed under load and started again is served again within a second, without a restart of ours.
#[test]
fn an_engine_that_restarts_under_load() {
    let stage = Stage::pretend(ONE);
    stage.running("a");
    check_well(&stage);
    let pretend = stage.pretend.as_ref().unwrap();
    for _ in 0..5 {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for path in [
                "/containers",
                "/container/a/status",
                "/container/a",
                "/health",
            ] {
                let (done, address) = (&done, stage.address);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        let Answer { status, body, .. } = http::ask(address, "GET", path);
                        assert!(
                            status == 200 || (status == 500 && path != "/health"),
                            "{path}: {status} {body}"
                        );
                    }
                });
            }
            stage.block_on(async {
                pretend.go_down().await;
                // The load goes on meanwhile, and fails.
                tokio::time::sleep(Duration::from_millis(50)).await;
                pretend.come_back().await.unwrap();
            });
            let back = Instant::now();
            while stage.get("/container/a/status").status != 200 {
                assert!(
                    back.elapsed() < Duration::from_secs(1),
                    "not served again within a second"
                );
            }
            done.store(true, Ordering::Relaxed);
        });
    }
    check_well(&stage);
}

/// Whatever happened, connections to the engine stay few.
#[test]
fn connections_to_the_engine_do_not_pile_up() {
    let stage = Stage::pretend(ONE);
    stage.running("a");
    let pretend = stage.pretend.as_ref().unwrap();
    for fault in [
        None,
        Some(Fault::Cut),
        Some(Fault::Garbage),
        Some(Fault::Stall),
        None,
    ] {
        pretend.set_fault(fault);
        thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| http::ask(stage.address, "GET", "/container/a/status"));
            }
        });
    }
    let open = || stage.pretend.as_ref().unwrap().connections();
    let since = Instant::now();
    while open() > 20 {
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "{} connections stay open",
            open()
        );
        thread::yield_now();
    }
    check_well(&stage);
}

/// A container that the engine is busy with does not keep everybody from the listing.
#[test]
fn a_listing_does_not_wait_for_a_stuck_container() {
    let stage = Stage::pretend(ONE);
    let id = stage.running("a");
    assert_eq!(stage.post("/container/a/restart").status, 200);
    let pretend = stage.pretend.as_ref().unwrap();
    pretend.set_fault_on(&format!("{id}/json"), Fault::Stall);
    let asked = Instant::now();
    assert_eq!(stage.get("/containers").status, 200);
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
}

/// Changes outlive their callers; so they have a limit of their own, and beyond it callers are told to come again.
#[test]
fn changes_that_pile_up_are_refused() {
    let stage = Stage::pretend(ONE);
    stage.running("a");
    let pretend = stage.pretend.as_ref().unwrap();
    pretend.set_fault_on("restart", Fault::Stall);
    let answers: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..48)
            .map(|_| scope.spawn(|| stage.post("/container/a/restart")))
            .collect();
        // The first one holds the turn until its time is up; by then all have asked.
        thread::sleep(Duration::from_secs(1));
        pretend.set_fault(None);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert_eq!(refused.len(), 48 - 32);
    for answer in refused {
        assert_eq!(
            answer.body,
            r#"{"error":"Too many changes are under way: try again later"}"#
        );
        assert_eq!(answer.header("retry-after"), "1");
    }
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 31, "all but the one that stalled");
    check_well(&stage);
}

#[test]
fn a_client_that_is_slow() {
    on_each_engine(ONE, |stage| {
        stage.running("a");
        // A head that comes byte by byte, and one that stops coming.
        for pause in [Duration::from_millis(100), Duration::from_secs(2)] {
            let mut stream = connect(stage.address);
            let begun = Instant::now();
            for byte in b"GET /health HTTP/1.1\r\nHost: somewhere-far-away" {
                if stream.write_all(&[*byte]).is_err() || begun.elapsed() > Duration::from_secs(5) {
                    break;
                }
                thread::sleep(pause);
            }
            assert!(
                begun.elapsed() < Duration::from_secs(6),
                "a slow head holds its connection"
            );
        }
        let mut stream = connect(stage.address);
        stream.write_all(b"GET /health HT").unwrap();
        let answer = http::parse(&read_all(&mut stream)).expect("told why");
        assert_eq!(answer.status, 408, "{answer:?}");
        assert_eq!(
            answer.body,
            r#"{"error":"Request timeout: not all of it came within 1s"}"#
        );
        assert_eq!(answer.header("x-request-id").len(), 16);
        // A body that stops coming.
        let mut stream = connect(stage.address);
        stream
            .write_all(b"POST /container/a/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            .unwrap();
        let answer = http::parse(&read_all(&mut stream)).expect("told why");
        assert_eq!(answer.status, 408, "{answer:?}");
        // An idle connection is closed without a word.
        let mut stream = connect(stage.address);
        assert_eq!(read_all(&mut stream), "");
        check_well(stage);
    });
}

#[test]
fn a_thousand_idle_connections() {
    // Both ends of each are open files of this process, and many systems begin with 1024.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let stage = Stage::pretend(ONE);
    stage.running("a");
    let idle: Vec<_> = (0..1000).map(|_| connect(stage.address)).collect();
    for _ in 0..20 {
        stage.check("GET", "/health", 200, r#""ok""#);
        check_well(&stage);
    }
    for mut stream in idle {
        assert_eq!(read_all(&mut stream), "", "closed by the gateway");
    }
}
