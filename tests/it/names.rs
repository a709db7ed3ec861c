//! Ways to name a container that one may not touch: nothing that is refused reaches the engine.

use serde_json::json;

use crate::http;
use crate::stage::on_each_engine;

const ONE_ALLOWED: &str = r#"
[containers.allowed-a]
allow = ["status", "start", "stop", "restart", "pause", "unpause", "kill"]
"#;

const ODD_NAMES: &str = r#"
[containers.json]
allow = ["status", "stop"]
[containers.7]
allow = ["status", "stop"]
"#;

#[test]
fn forms_that_name_nothing() {
    on_each_engine(ONE_ALLOWED, |stage| {
        stage.running("allowed-a");
        let secret = stage.running("secret-b");
        let full = format!("{}secret-b", stage.prefix);
        let first = &secret[..1];
        let prefix = stage.prefix.clone();
        let names = [
            first,
            &secret[..2],
            &secret[..12],
            &secret,
            "secret-b",
            &full,
            "create",
            "prune",
            "%2Fsecret-b",
            "secret%2Db",
            "secret-b%2Fjson",
            "allowed-a%2F..%2Fsecret-b",
            "..",
            "%2e%2e",
            ".",
            "allowed-a%252F",
            "Allowed-a",
            "ALLOWED-A",
            "+allowed-a",
            "%20allowed-a",
            "allowed-a%20",
            "allowed-a%00",
            "allowed-a%0a",
            "allowed-a%5C",
            "allowed-a;x=1",
            "allowed-a%3Bx=1",
            "аllowed-a",
            "%D0%B0llowed-a",
            "allowed-a%E2%80%8B",
            "allowed-a%3Fsignal=KILL",
            "allowed-a%23",
            "a%2Frename%3Fname%3Db%23",
            "..%2F..%2Finfo%3Fx%3D",
            "-allowed-a",
            "_",
            "%",
            "%zz",
            "%e9",
            &prefix,
        ];
        for name in names {
            for (method, action) in [
                ("GET", "/status"),
                ("GET", ""),
                ("POST", "/stop"),
                ("POST", "/kill"),
            ] {
                let path = format!("/container/{name}{action}");
                let answer = http::ask(stage.address, method, &path);
                assert!(
                    matches!(answer.status, 404 | 400),
                    "{method} {path} on {}: {answer:?}",
                    stage.kind
                );
                assert!(!answer.body.contains("running\":"), "{path}: {answer:?}");
            }
        }
        let paths = [
            "/container//secret-b/status",
            "/container/allowed-a/../secret-b/stop",
            "/container/secret-b/./stop",
            "/container/allowed-a//stop",
            "/container/allowed-a/stop/",
            "//container/allowed-a/stop",
            "/container/allowed-a/stopX",
            "/container/allowed-a/Stop",
            "/Container/allowed-a/stop",
            "/container/allowed-a/%73top",
            "/%63ontainer/allowed-a/stop",
            "/container/allowed-a/stop%2F",
            "/containers/allowed-a/stop",
            "/v1.41/containers/allowed-a/stop",
            "/container/allowed-a/exec/",
            "/container/allowed-a/exec/x/start",
            "/container/allowed-a/archive?path=/etc/passwd",
            "/container/allowed-a/attach/ws?stdin=1",
            "/container/allowed-a/rename?name=x",
            "/info",
            "/_ping",
            "/version",
            "/v1.41/events",
            "/exec/x/start",
            "/debug/pprof",
        ];
        for path in paths {
            for method in ["GET", "HEAD", "POST", "DELETE"] {
                let answer = http::ask(stage.address, method, path);
                assert_eq!(
                    answer.status, 404,
                    "{method} {path} on {}: {answer:?}",
                    stage.kind
                );
            }
        }
        assert_eq!(
            stage.record.take(),
            Vec::<String>::new(),
            "a refused request reached the {} engine",
            stage.kind
        );
        assert_eq!(stage.engine.state(&secret), "running");
    });
}

#[test]
fn names_that_look_like_something_else() {
    on_each_engine(ODD_NAMES, |stage| {
        let json_container = stage.running("json");
        let seven = stage.running("7");
        stage.check(
            "GET",
            "/container/json/status",
            200,
            r#"{"container":"json","status":"running","running":true}"#,
        );
        stage.check(
            "POST",
            "/container/7/stop",
            200,
            r#"{"status":"stopped","container":"7"}"#,
        );
        assert_eq!(stage.engine.state(&json_container), "running");
        assert_eq!(stage.engine.state(&seven), "exited");
    });
}

/// Every change goes to a whole id, and to the one that has the name: never to a text that the engine would interpret.
#[test]
fn the_engine_is_asked_by_whole_id() {
    on_each_engine(ONE_ALLOWED, |stage| {
        let id = stage.container("allowed-a");
        for verb in [
            "start", "pause", "unpause", "restart", "kill", "start", "stop",
        ] {
            assert_eq!(
                stage.post(&format!("/container/allowed-a/{verb}")).status,
                200,
                "{verb}"
            );
        }
        let version_and_id = format!("/v1.41/containers/{id}/");
        let asked = stage.record.take();
        let changes: Vec<_> = asked
            .iter()
            .filter(|request| request.starts_with("POST "))
            .collect();
        assert_eq!(changes.len(), 7, "{changes:?}");
        for change in changes {
            let target = change.strip_prefix("POST ").unwrap();
            assert!(target.starts_with(&version_and_id), "{target}");
        }
        // A listing soon afterwards is asked for only when the engine has finished with the container: see the engine.
        assert_eq!(stage.get("/containers").status, 200);
        let asked = stage.record.take();
        assert_eq!(asked[0], format!("GET {version_and_id}json"));
        assert!(asked[1].contains("/containers/json?"), "{asked:?}");
    });
}

/// A name with a dot is a pattern to the engine's filter: its look-alikes are not taken for it.
#[test]
fn a_dot_is_not_any_character() {
    let tables = "[containers.\"a.b\"]\nallow = [\"status\", \"stop\"]\n";
    on_each_engine(tables, |stage| {
        let lookalike = stage.running("axb");
        stage.running("xa.b");
        stage.running("a.bx");
        stage.check(
            "POST",
            "/container/a.b/stop",
            404,
            r#"{"error":"Container not found: a.b"}"#,
        );
        stage.check("GET", "/containers", 200, r#"{"containers":[]}"#);
        assert_eq!(stage.engine.state(&lookalike), "running");
        let id = stage.running("a.b");
        stage.check(
            "POST",
            "/container/a.b/stop",
            200,
            r#"{"status":"stopped","container":"a.b"}"#,
        );
        assert_eq!(stage.engine.state(&id), "exited");
    });
}

/// A container *named* by another's id: the engine takes the id for the id.
#[test]
fn a_name_that_is_anothers_id() {
    on_each_engine(ONE_ALLOWED, |stage| {
        let secret = stage.running("secret-b");
        let short = &secret[..12];
        let shadow = stage.engine.create(short, &json!({}));
        let answer = stage.post(&format!("/container/{short}/kill"));
        stage.engine.remove(&shadow);
        assert_eq!(answer.status, 404);
        assert_eq!(stage.engine.state(&secret), "running");
    });
}

#[test]
fn a_renamed_container_leaves_its_name_at_once() {
    on_each_engine(ONE_ALLOWED, |stage| {
        let first = stage.running("allowed-a");
        // So that the gateway has seen it under this name.
        stage.check(
            "GET",
            "/container/allowed-a/status",
            200,
            r#"{"container":"allowed-a","status":"running","running":true}"#,
        );
        stage.engine.post(&format!(
            "/containers/{first}/rename?name={}elsewhere",
            stage.prefix
        ));
        stage.check(
            "POST",
            "/container/allowed-a/stop",
            404,
            r#"{"error":"Container not found: allowed-a"}"#,
        );
        // Another takes the name: it is the one that is meant now.
        let second = stage.running("secret-b");
        stage.engine.post(&format!(
            "/containers/{second}/rename?name={}allowed-a",
            stage.prefix
        ));
        stage.check(
            "POST",
            "/container/allowed-a/stop",
            200,
            r#"{"status":"stopped","container":"allowed-a"}"#,
        );
        assert_eq!(stage.engine.state(&first), "running", "{}", stage.kind);
        assert_eq!(stage.engine.state(&second), "exited", "{}", stage.kind);
    });
}

#[test]
fn a_recreated_container_is_the_new_one() {
    on_each_engine(ONE_ALLOWED, |stage| {
        let first = stage.running("allowed-a");
        assert_eq!(stage.get("/container/allowed-a/status").status, 200);
        stage.engine.remove(&first);
        stage.check(
            "POST",
            "/container/allowed-a/stop",
            404,
            r#"{"error":"Container not found: allowed-a"}"#,
        );
        // No memory of its absence either.
        let second = stage.container("allowed-a");
        stage.check(
            "POST",
            "/container/allowed-a/start",
            200,
            r#"{"status":"started","container":"allowed-a"}"#,
        );
        assert_eq!(stage.engine.state(&second), "running");
    });
}

/// Between look and act `allowed-a` is renamed away and `secret-b` takes its name: what was looked at is acted on.
#[test]
fn a_name_that_changes_hands_between_look_and_act() {
    on_each_engine(ONE_ALLOWED, |stage| {
        let (allowed, secret) = (stage.running("allowed-a"), stage.running("secret-b"));
        let (engine, prefix) = (stage.engine.clone(), stage.prefix.clone());
        let (first, second) = (allowed.clone(), secret.clone());
        stage.record.before_the_next_change(move || {
            engine.post(&format!(
                "/containers/{first}/rename?name={prefix}elsewhere"
            ));
            engine.post(&format!(
                "/containers/{second}/rename?name={prefix}allowed-a"
            ));
        });
        let stopped = r#"{"status":"stopped","container":"allowed-a"}"#;
        stage.check("POST", "/container/allowed-a/stop", 200, stopped);
        assert_eq!(stage.engine.state(&secret), "running", "{}", stage.kind);
        assert_eq!(stage.engine.state(&allowed), "exited", "{}", stage.kind);
    });
}

#[test]
fn a_container_that_goes_between_look_and_act() {
    on_each_engine(ONE_ALLOWED, |stage| {
        let id = stage.running("allowed-a");
        let engine = stage.engine.clone();
        stage
            .record
            .before_the_next_change(move || engine.remove(&id));
        let gone = r#"{"error":"Container not found: allowed-a"}"#;
        stage.check("POST", "/container/allowed-a/stop", 404, gone);
    });
}

#[test]
fn a_container_that_is_made_anew_between_look_and_act() {
    on_each_engine(ONE_ALLOWED, |stage| {
        let id = stage.running("allowed-a");
        let (engine, name) = (stage.engine.clone(), format!("{}allowed-a", stage.prefix));
        stage.record.before_the_next_change(move || {
            engine.remove(&id);
            engine.create(&name, &json!({}));
        });
        let started = r#"{"status":"started","container":"allowed-a"}"#;
        stage.check("POST", "/container/allowed-a/start", 200, started);
        let new = format!("{}allowed-a", stage.prefix);
        assert_eq!(stage.engine.state(&new), "running", "{}", stage.kind);
    });
}
