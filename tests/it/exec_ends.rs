//! How commands end: capped, out of time, without their caller, on record, and with nothing left of them.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::engine::OwnContainer;
use relayer_controller::pretend::Fault;
use serde_json::json;

use crate::audit::{Trail, said};
use crate::exec::{TABLES, check, check_error, run, top};
use crate::gateway::Gateway;
use crate::http::{self, connect};
use crate::running::wait;
use crate::stage::{Stage, on_each_engine};

/// However much is printed, what is kept is what may be, and the program is not held back.
#[test]
fn more_than_is_kept() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        let answer = run(stage, "endless", "");
        let told = answer.json();
        assert_eq!(answer.status, 504, "{answer:?}");
        assert_eq!(told["stdout"], "y\ny\ny\ny\ny\n", "{}", stage.kind);
        assert_eq!(told["truncated"], true, "{}", stage.kind);
        assert_eq!(told["left_running"], false, "{}", stage.kind);
        assert!(!top(stage, &id).contains(&"yes".to_owned()));
    });
}

/// What takes too long is gone when that is answered, with its children and whoever's it is.
#[test]
fn a_time_limit_ends_what_it_is_about() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        for (command, body) in [("sleep", r#"{"n":"300"}"#), ("family", ""), ("nobody", "")] {
            let since = Instant::now();
            let answer = run(stage, command, body);
            let mut told = answer.json();
            let took = told["duration_ms"].take();
            let expected = json!({
                "error": format!("{command} took longer than 500ms and was ended"),
                "container": "c0", "command": command, "left_running": false,
                "stdout": "", "stderr": "", "truncated": false, "duration_ms": null,
            });
            assert_eq!((answer.status, told), (504, expected), "{}", stage.kind);
            assert!((500..4000).contains(&took.as_u64().unwrap()), "{took}");
            assert!(since.elapsed() < Duration::from_secs(5), "{command}");
            let left = top(stage, &id);
            let is_sleeper = |process: &&String| process.contains("sleep 30");
            assert_eq!(left.iter().find(is_sleeper), None, "{}", stage.kind);
        }
        // Nothing else was touched.
        assert_eq!(stage.engine.state(&id), "running");
        check(stage, "sleep", r#"{"n":"0.1"}"#, &json!([0, "", "", false]));
        let accept = "Accept: application/problem+json\r\n";
        let path = "/container/c0/exec/family";
        let answer = http::ask_with(stage.address, "POST", path, accept, "");
        let told = answer.json();
        assert_eq!(told["title"], "Gateway Timeout", "{told}");
        assert_eq!(told["details"]["left_running"], false, "{told}");
    });
}

/// What a container offers no means to end is said to be left.
#[test]
fn where_there_is_no_shell() {
    let tables = "[containers.c0]\nallow = [\"exec\"]\n[containers.c0.exec.sleep]\nargv = [\"/tmp/sleep\", \"3\"]\ntimeout = \"500ms\"\n";
    on_each_engine(tables, |stage| {
        let name = format!("{}c0", stage.prefix);
        // It has thrown its shells away by the time that it is what it is.
        let program = "cp /bin/busybox /tmp/sleep; rm -rf /bin; exec /tmp/sleep 1000";
        let id = stage
            .engine
            .create_with(&name, program, &json!({ "pretend.no-shell": "" }));
        stage.engine.post(&format!("/containers/{id}/start"));
        let is_ready = |process: &String| process.contains("sleep 1000");
        wait(|| top(stage, &id).iter().any(is_ready));
        let answer = run(stage, "sleep", "");
        let told = answer.json();
        assert_eq!(answer.status, 504, "{answer:?}");
        assert_eq!(told["left_running"], true, "{}", stage.kind);
        let error = "sleep took longer than 500ms and may be running still: the container has no means to end it";
        assert_eq!(told["error"], error);
        assert!(top(stage, &id).contains(&"/tmp/sleep 3".to_owned()));
        wait(|| !top(stage, &id).contains(&"/tmp/sleep 3".to_owned()));
    });
}

/// What a command starts and leaves behind does not hold its answer up, nor does it count as too long.
#[test]
fn a_child_that_stays_is_not_waited_for() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        let since = Instant::now();
        check(stage, "orphan", "", &json!([0, "started\n", "", false]));
        let took = since.elapsed();
        assert!(
            took < Duration::from_millis(1900),
            "{took:?} on {}",
            stage.kind
        );
        assert!(top(stage, &id).contains(&"sleep 4".to_owned()));
    });
}

/// A caller that hangs up ends nothing, and a stop of the gateway waits for what it began.
#[test]
fn a_command_outlives_its_caller() {
    let trail = Trail::new();
    let tables = format!("[audit]\noutput = \"{}\"\n{TABLES}", trail.path.display());
    on_each_engine(&tables, |stage| {
        stage.running("c0");
        let mut stream = connect(stage.address);
        stream
            .write_all(b"POST /container/c0/exec/long HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let is_start = |request: &String| request.contains("/exec/");
        wait(|| stage.record.take_changes().iter().any(is_start));
        drop(stream);
        assert!(stage.stop(), "drained in time");
        let keys = ["event", "command", "outcome", "status"];
        let told: Vec<_> = trail
            .take()
            .iter()
            .map(|record| said(record, &keys))
            .collect();
        let expected = [
            json!(["admitted", "long", null, null]),
            json!(["ended", "long", "done", 200]),
        ];
        assert_eq!(told, expected, "{}", stage.kind);
    });
}

#[test]
fn every_command_is_on_record() {
    let trail = Trail::new();
    let tables = format!("[audit]\noutput = \"{}\"\n{TABLES}", trail.path.display());
    on_each_engine(&tables, |stage| {
        stage.running("c0");
        stage.running("c2");
        for (path, body) in [
            ("c0/exec/false", ""),
            ("c0/exec/say", r#"{"what":"secret"}"#),
            ("c0/exec/nope", ""),
            ("c0/exec/strict", r#"{"a":"secret"}"#),
            ("c0/exec/missing", ""),
            ("c0/exec/sleep", r#"{"n":"9"}"#),
            ("c2/exec/true", ""),
            ("hidden/exec/true", ""),
        ] {
            let path = format!("/container/{path}");
            http::ask_with(stage.address, "POST", &path, "", body);
        }
        stage.get("/container/c0/exec");
        let keys = [
            "event",
            "verb",
            "container",
            "command",
            "decision",
            "outcome",
            "status",
        ];
        let records = trail.take();
        let told: Vec<_> = records.iter().map(|record| said(record, &keys)).collect();
        let c0 = |event: &str,
                  command: &str,
                  decision: &str,
                  outcome: Option<&str>,
                  status: Option<u16>| {
            json!([event, "exec", "c0", command, decision, outcome, status])
        };
        let expected = [
            c0("admitted", "false", "allow", None, None),
            c0("ended", "false", "allow", Some("done"), Some(200)),
            c0("admitted", "say", "allow", None, None),
            c0("ended", "say", "allow", Some("done"), Some(200)),
            c0("denied", "nope", "deny", None, Some(404)),
            c0("denied", "strict", "deny", None, Some(400)),
            c0("admitted", "missing", "allow", None, None),
            c0("ended", "missing", "allow", Some("failed"), Some(500)),
            c0("admitted", "sleep", "allow", None, None),
            c0("ended", "sleep", "allow", Some("failed"), Some(504)),
            json!(["denied", "exec", "c2", "true", "deny", null, 403]),
            json!(["denied", "exec", "hidden", "true", "deny", null, 404]),
        ];
        assert_eq!(told, expected, "{}", stage.kind);
        let all = serde_json::to_string(&records).unwrap();
        assert!(!all.contains("secret"), "{all}");
        assert_eq!(
            records[9]["error"], "sleep took longer than 500ms and was ended",
            "{}",
            stage.kind
        );
    });
}

/// The gateway runs nothing in its own container.
#[test]
fn not_in_its_own_container() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        let own = OwnContainer::with_id(id.parse().unwrap());
        let inside = Gateway::start(&stage.prefix, &stage.host, own, TABLES);
        stage.record.take();
        inside.check(
            "POST",
            "/container/c0/exec/true",
            403,
            r#"{"error":"Forbidden: exec is not allowed on c0"}"#,
        );
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
    });
}

/// A command has a place among the changes, and waits for no turn: a stop that takes long does not keep it.
#[test]
fn commands_count_as_changes() {
    let tables = format!("[limits]\nchanges = 1\n{TABLES}");
    on_each_engine(&tables, |stage| {
        stage.running("c0");
        thread::scope(|scope| {
            let long = scope.spawn(|| run(stage, "long", "").status);
            let is_start = |request: &String| request.contains("/exec/");
            wait(|| stage.record.take_changes().iter().any(is_start));
            let error = "Too many changes are under way: try again later";
            check_error(stage, "true", "", 429, error);
            assert_eq!(long.join().unwrap(), 200);
        });
        check(stage, "true", "", &json!([0, "", "", false]));
        // It begins no cool-down, and waits for none.
        assert_eq!(stage.post("/container/c0/stop").status, 200);
        assert_eq!(stage.post("/container/c0/stop").status, 429);
        check_error(stage, "true", "", 409, "Container not running");
    });
}

/// An engine that breaks off in the middle is an error, and what it had begun is ended.
#[test]
fn an_engine_that_fails() {
    let stage = Stage::pretend(TABLES);
    let id = stage.running("c0");
    let pretend = stage.pretend.as_ref().unwrap();
    for (path, fault, error) in [
        (
            "/exec",
            Fault::Fail,
            "Docker error: the pretend engine was told to fail",
        ),
        (
            "/start",
            Fault::Fail,
            "Docker error: the pretend engine was told to fail",
        ),
        (
            "/start",
            Fault::Stall,
            "Docker error: no answer from the engine within 3s",
        ),
        (
            "/start",
            Fault::NotJson,
            "Docker error: the engine's answer makes no sense: the output of a command is not framed as it should be",
        ),
    ] {
        pretend.set_fault_on(path, fault);
        check_error(&stage, "true", "", 500, error);
        pretend.set_fault(None);
    }
    pretend.set_fault_on("/start", Fault::Cut);
    let answer = run(&stage, "true", "");
    assert_eq!(answer.status, 500, "{answer:?}");
    pretend.set_fault(None);
    // What runs when the engine can no longer be asked how it is.
    thread::scope(|scope| {
        let broken = scope.spawn(|| run(&stage, "long", ""));
        wait(|| top(&stage, &id).contains(&"sleep 1".to_owned()));
        pretend.set_fault_on("/json", Fault::Fail);
        wait(|| !top(&stage, &id).contains(&"sleep 1".to_owned()));
        assert_eq!(broken.join().unwrap().status, 500);
    });
}

/// Many at once and many in a row leave nothing behind: no process, and no connection to the engine.
#[test]
fn nothing_is_left() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        let before = top(stage, &id).len();
        let (rounds, crowd, in_a_row) = if stage.pretend.is_some() {
            (20, 50, 1000)
        } else {
            (2, 50, 100)
        };
        for _ in 0..rounds {
            thread::scope(|scope| {
                let one = || check(stage, "both", "", &json!([3, "out\n", "err\n", false]));
                (0..crowd).for_each(|_| drop(scope.spawn(one)));
            });
        }
        for _ in 0..in_a_row {
            check(stage, "true", "", &json!([0, "", "", false]));
        }
        wait(|| top(stage, &id).len() <= before);
        if let Some(pretend) = &stage.pretend {
            // The most that are kept, and the test's own.
            wait(|| pretend.connections() <= 16 + 1);
        }
        assert!(stage.stop(), "no task is left");
    });
}
