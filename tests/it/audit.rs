//! The audit trail: what was admitted, what came of it and what was refused, and nothing that is not on record is done.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use relayer_controller::pretend::Fault;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::connect;
use crate::running::{begin_to_stop, slow_to_stop, wait};
use crate::stage::{Stage, on_each_engine};

const KEYS: [&str; 15] = [
    "event",
    "time",
    "request_id",
    "revision",
    "principal",
    "peer",
    "verb",
    "container",
    "command",
    "decision",
    "rule",
    "outcome",
    "status",
    "duration_ms",
    "error",
];

/// The file of one test's audit trail, in a folder that can be taken away.
pub(crate) struct Trail {
    folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Trail {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("inner/audit.jsonl");
        fs::create_dir(folder.path().join("inner")).unwrap();
        Self { folder, path }
    }

    /// The TOML's tables: the trail's, with these lines in it, and two containers.
    pub(crate) fn tables(&self, lines: &str) -> String {
        let output = self.path.display();
        format!(
            "[audit]\noutput = \"{output}\"\n{lines}\n\
             [containers.c0]\nallow = [\"status\", \"start\", \"stop\", \"restart\"]\n\
             [containers.c1]\nallow = [\"status\"]\n"
        )
    }

    /// What was recorded since the last time, with the file rotated away by copying and truncating.
    pub(crate) fn take(&self) -> Vec<Value> {
        let records = records(&self.path);
        fs::OpenOptions::new()
            .write(true)
            .open(&self.path)
            .unwrap()
            .set_len(0)
            .unwrap();
        records
    }

    fn take_away(&self) {
        fs::rename(
            self.folder.path().join("inner"),
            self.folder.path().join("away"),
        )
        .unwrap();
    }

    fn bring_back(&self) {
        fs::rename(
            self.folder.path().join("away"),
            self.folder.path().join("inner"),
        )
        .unwrap();
    }
}

/// The records in a file, each with all keys in their order.
pub(crate) fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let record = |line: &str| {
        let places: Vec<_> = KEYS
            .iter()
            .map(|key| line.find(&format!("\"{key}\":")))
            .collect();
        assert!(places.is_sorted() && places[0] == Some(1), "{line}");
        serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"))
    };
    text.lines().map(record).collect()
}

/// What a record says under these keys.
pub(crate) fn said(record: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| record[key].clone()).collect()
}

/// Event, verb, container, decision, outcome and status of each record.
pub(crate) fn told(records: &[Value]) -> Value {
    let keys = [
        "event",
        "verb",
        "container",
        "decision",
        "outcome",
        "status",
    ];
    records.iter().map(|record| said(record, &keys)).collect()
}

#[test]
fn a_change_is_on_record_before_it_acts_and_when_it_has() {
    let trail = Trail::new();
    on_each_engine(&trail.tables(""), |stage| {
        stage.running("c0");
        for (verb, outcome, status) in [
            ("stop", "done", 200),
            ("stop", "already_stopped", 409),
            ("start", "done", 200),
            ("start", "already_running", 409),
            ("restart", "done", 200),
        ] {
            let (tell, seen) = channel();
            let path = trail.path.clone();
            stage
                .record
                .before_the_next_change(move || tell.send(records(&path)).unwrap());
            let answer = stage.post(&format!("/container/c0/{verb}"));
            assert_eq!(answer.status, status, "{answer:?}");
            let before = seen.recv().unwrap();
            let admitted = json!(["admitted", verb, "c0", "allow", null, null]);
            let ended = json!(["ended", verb, "c0", "allow", outcome, status]);
            assert_eq!(
                told(&before),
                json!([admitted]),
                "before the {} engine acts",
                stage.kind
            );
            let after = trail.take();
            assert_eq!(told(&after), json!([admitted, ended]), "{}", stage.kind);
            check_whole(&after, answer.header("x-request-id"));
        }
    });
}

/// Asserts what the two records of a change have in common and what each has of its own.
fn check_whole(records: &[Value], request_id: &str) {
    let [admitted, ended] = records else {
        panic!("{records:?}")
    };
    for key in &KEYS[2..11] {
        assert_eq!(admitted[key], ended[key], "{key}");
    }
    assert_eq!(admitted["request_id"], request_id);
    assert_eq!(admitted["principal"], "anonymous");
    let text = |key: &str| admitted[key].as_str().unwrap();
    assert_eq!(text("revision").len(), 12);
    assert!(text("peer").starts_with("127.0.0.1:"), "{admitted}");
    assert!(
        text("rule").starts_with("containers.c0.allow (test.toml:"),
        "{admitted}"
    );
    assert_eq!(
        (text("time").len(), text("time").ends_with('Z')),
        (24, true)
    );
    assert!(admitted["time"].as_str() <= ended["time"].as_str());
    assert_eq!(said(admitted, &KEYS[11..]), json!([null, null, null, null]));
    assert!(
        ended["duration_ms"].is_u64() && ended["error"].is_null(),
        "{ended}"
    );
}

#[test]
fn every_denial_is_on_record_and_no_look_that_is_allowed() {
    let trail = Trail::new();
    on_each_engine(&trail.tables(""), |stage| {
        stage.running("c1");
        stage.running("hidden");
        for path in [
            "/container/c1/status",
            "/container/c1",
            "/containers",
            "/whoami",
            "/health",
        ] {
            assert_eq!(stage.get(path).status, 200);
        }
        assert_eq!(trail.take(), Vec::<Value>::new());
        for (method, path, verb, container, status, rule) in [
            (
                "POST",
                "/container/c1/stop",
                "stop",
                "c1",
                403,
                "not granted by containers.c1.allow (test.toml:",
            ),
            (
                "POST",
                "/container/hidden/kill",
                "kill",
                "hidden",
                404,
                "hidden",
            ),
            (
                "GET",
                "/container/hidden/status",
                "status",
                "hidden",
                404,
                "hidden",
            ),
            (
                "GET",
                "/container/hidden",
                "status",
                "hidden",
                404,
                "hidden",
            ),
        ] {
            let answer = crate::http::ask(stage.address, method, path);
            assert_eq!(answer.status, status, "{path}");
            let denied = trail.take();
            assert_eq!(
                told(&denied),
                json!([["denied", verb, container, "deny", null, status]])
            );
            assert!(
                denied[0]["rule"].as_str().unwrap().starts_with(rule),
                "{denied:?}"
            );
            assert_eq!(denied[0]["request_id"], answer.header("x-request-id"));
        }
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
    });
}

#[test]
fn a_change_that_fails_says_why() {
    let trail = Trail::new();
    let stage = Stage::pretend(&trail.tables(""));
    stage.running("c0");
    let pretend = stage.pretend.as_ref().unwrap();
    pretend.set_fault_on("stop", Fault::Fail);
    let answer = stage.post("/container/c0/stop");
    let ended = trail.take();
    assert_eq!(ended[1]["error"], answer.json()["error"]);
    assert_eq!(
        told(&ended[1..]),
        json!([["ended", "stop", "c0", "allow", "failed", 500]])
    );
    // Managed and allowed, and not there.
    pretend.set_fault(None);
    stage.engine.remove(&format!("{}c0", stage.prefix));
    stage.check(
        "POST",
        "/container/c0/stop",
        404,
        r#"{"error":"Container not found: c0"}"#,
    );
    assert_eq!(
        told(&trail.take()[1..]),
        json!([["ended", "stop", "c0", "allow", "failed", 404]])
    );
}

#[test]
fn what_becomes_of_a_change_whose_caller_has_gone() {
    let trail = Trail::new();
    on_each_engine(&trail.tables(""), |stage| {
        slow_to_stop(stage);
        drop(begin_to_stop(stage));
        assert_eq!(records(&trail.path).len(), 1);
        wait(|| records(&trail.path).len() == 2);
        assert_eq!(
            told(&trail.take()[1..]),
            json!([["ended", "stop", "c0", "allow", "done", 200]])
        );
    });
}

#[test]
fn one_change_too_many_is_on_record() {
    let trail = Trail::new();
    let stage = Stage::pretend(&trail.tables(""));
    stage.running("c0");
    let pretend = stage.pretend.as_ref().unwrap();
    pretend.set_fault_on("restart", Fault::Stall);
    let callers: Vec<_> = (0..32)
        .map(|_| {
            let mut caller = connect(stage.address);
            caller
                .write_all(b"POST /container/c0/restart HTTP/1.1\r\nHost: x\r\n\r\n")
                .unwrap();
            caller
        })
        .collect();
    wait(|| records(&trail.path).len() == 32);
    let answer = stage.post("/container/c0/restart");
    assert_eq!(answer.status, 429);
    let denied = records(&trail.path).pop().unwrap();
    assert_eq!(
        told(std::slice::from_ref(&denied)),
        json!([["denied", "restart", "c0", "deny", null, 429]])
    );
    assert_eq!(denied["error"], answer.json()["error"]);
    pretend.set_fault(None);
    drop(callers);
}

#[test]
fn what_cannot_be_on_record_is_not_done() {
    let trail = Trail::new();
    on_each_engine(&trail.tables(""), |stage| {
        let id = stage.running("c0");
        stage.running("c1");
        trail.take_away();
        let error =
            r#"{"error":"Audit record could not be written: see the log of relayer-controller"}"#;
        let answer = stage.post("/container/c0/stop");
        assert_eq!((answer.status, answer.body.as_str()), (503, error));
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
        assert_eq!(stage.engine.state(&id), "running");
        // A no is a no, and a look changes nothing.
        assert_eq!(stage.post("/container/c1/stop").status, 403);
        assert_eq!(stage.get("/container/c0/status").status, 200);

        trail.bring_back();
        assert_eq!(stage.post("/container/c0/stop").status, 200);
        assert_eq!(
            told(&trail.take()),
            json!([
                ["admitted", "stop", "c0", "allow", null, null],
                ["ended", "stop", "c0", "allow", "done", 200]
            ])
        );
    });
}

#[test]
fn a_trail_that_is_not_required_stops_nothing() {
    let trail = Trail::new();
    on_each_engine(&trail.tables("required = false"), |stage| {
        stage.running("c0");
        trail.take_away();
        assert_eq!(stage.post("/container/c0/stop").status, 200);
        trail.bring_back();
        assert_eq!(stage.post("/container/c0/start").status, 200);
        assert_eq!(trail.take().len(), 2);
    });
}

#[test]
fn every_kind_of_rotation_is_survived() {
    let trail = Trail::new();
    let stage = Stage::pretend(&trail.tables(""));
    stage.running("c0");
    let old = trail.path.with_extension("1");
    let restart = || assert_eq!(stage.post("/container/c0/restart").status, 200);
    restart();
    fs::rename(&trail.path, &old).unwrap();
    restart();
    assert_eq!((records(&old).len(), records(&trail.path).len()), (2, 2));
    fs::remove_file(&trail.path).unwrap();
    restart();
    assert_eq!(trail.take().len(), 2);
    restart();
    assert_eq!(records(&trail.path).len(), 2);
}
