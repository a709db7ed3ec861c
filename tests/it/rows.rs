//! Every row of the endpoint table and of the error table, to the exact JSON.

use relayer_controller::api::{Endpoint, Need, ROWS, Row};
use relayer_controller::policy::Verb;
use serde_json::json;

use crate::http;
use crate::stage::{Stage, on_each_engine};

const EVERYTHING: &str = r#"
[containers.a]
allow = ["status", "start", "stop", "restart", "pause", "unpause", "kill", "logs", "stats", "exec"]
exec.probe = { argv = ["true"] }
[containers.b]
allow = ["status", "start"]
[containers.c]
allow = ["status"]
[containers.mute]
allow = ["restart"]
"#;

/// The path of a row for this container, and for the command that one of them has.
fn path(row: &Row, container: &str) -> String {
    if row.endpoint == Endpoint::Events {
        return format!("{}?container={container}", row.path);
    }
    let path = row.path.replace("{name}", container);
    path.replace("{command}", "probe")
}

/// Whether a request for a row is about one container.
fn is_of_one(row: &Row) -> bool {
    row.path.contains("{name}") || row.endpoint == Endpoint::Events
}

#[test]
fn status_of_one_and_of_all() {
    on_each_engine(EVERYTHING, |stage| {
        stage.check("GET", "/health", 200, r#""ok""#);
        stage.check("GET", "/ready", 200, r#"{"ready":true}"#);
        stage.check("GET", "/containers", 200, r#"{"containers":[]}"#);
        // Made in another order than that of their names.
        stage.running("b");
        stage.container("a");
        stage.running("mute");
        stage.running("unmanaged");
        stage.check(
            "GET",
            "/container/a/status",
            200,
            r#"{"container":"a","status":"created","running":false}"#,
        );
        stage.check(
            "GET",
            "/container/b/status",
            200,
            r#"{"container":"b","status":"running","running":true}"#,
        );
        stage.check(
            "GET",
            "/containers",
            200,
            r#"{"containers":[{"container":"a","status":"created","running":false},{"container":"b","status":"running","running":true}]}"#,
        );
    });
}

#[test]
fn a_life_of_a_container() {
    on_each_engine(EVERYTHING, |stage| {
        let a = stage.container("a");
        let steps = [
            ("start", "started", "running"),
            ("restart", "restarted", "running"),
            ("pause", "paused", "paused"),
            ("unpause", "unpaused", "running"),
            ("stop", "stopped", "exited"),
            ("restart", "restarted", "running"),
            ("kill", "killed", "exited"),
            ("start", "started", "running"),
            ("kill?signal=WINCH", "killed", "running"),
        ];
        for (verb, done, state) in steps {
            let answer = format!(r#"{{"status":"{done}","container":"a"}}"#);
            stage.check("POST", &format!("/container/a/{verb}"), 200, &answer);
            assert_eq!(
                stage.engine.state(&a),
                state,
                "{verb} on the {} engine",
                stage.kind
            );
            let running = state == "running";
            let status = format!(r#"{{"container":"a","status":"{state}","running":{running}}}"#);
            stage.check("GET", "/container/a/status", 200, &status);
            let all = format!(r#"{{"containers":[{status}]}}"#);
            stage.check("GET", "/containers", 200, &all);
        }
    });
}

#[test]
fn already_so_is_a_conflict() {
    on_each_engine(EVERYTHING, |stage| {
        stage.running("a");
        stage.check(
            "POST",
            "/container/a/start",
            409,
            r#"{"error":"Container already running"}"#,
        );
        stage.check(
            "POST",
            "/container/a/stop",
            200,
            r#"{"status":"stopped","container":"a"}"#,
        );
        stage.check(
            "POST",
            "/container/a/stop",
            409,
            r#"{"error":"Container already stopped"}"#,
        );
    });
}

#[test]
fn the_whole_view() {
    on_each_engine(EVERYTHING, |stage| {
        let a = stage.container("a");
        let fresh = stage.get("/container/a").json();
        let expected = json!({"container": "a", "status": "created", "running": false, "health": null,
            "image": "busybox:latest", "created_at": stage.engine.inspect(&a)["Created"], "started_at": null,
            "finished_at": null, "exit_code": null, "oom_killed": false, "restart_count": 0,
            "verbs": ["status", "start", "stop", "restart", "pause", "unpause", "kill", "logs", "stats", "exec"]});
        assert_eq!(fresh, expected, "{}", stage.kind);

        stage.post("/container/a/start");
        let running = stage.get("/container/a").json();
        assert_eq!(
            (&running["exit_code"], &running["finished_at"]),
            (&json!(null), &json!(null))
        );
        assert_eq!(
            running["started_at"],
            stage.engine.inspect(&a)["State"]["StartedAt"]
        );

        stage.post("/container/a/kill");
        let killed = stage.get("/container/a").json();
        assert_eq!(killed["exit_code"], 137, "{}", stage.kind);
        assert_eq!(
            killed["finished_at"],
            stage.engine.inspect(&a)["State"]["FinishedAt"]
        );
        // The environment, the command and the mounts hold secrets and are not shown.
        assert_eq!(
            killed.as_object().unwrap().len(),
            expected.as_object().unwrap().len()
        );
    });
}

#[test]
fn who_am_i() {
    on_each_engine(EVERYTHING, |stage| {
        let mut whoami = stage.get("/whoami").json();
        let revision = whoami.as_object_mut().unwrap().remove("revision").unwrap();
        assert_eq!(revision.as_str().unwrap().len(), 12);
        let expected = json!({"principal": "anonymous", "roles": [], "containers": {
            "a": ["status", "start", "stop", "restart", "pause", "unpause", "kill", "logs", "stats", "exec"],
            "b": ["status", "start"], "c": ["status"], "mute": ["restart"]}});
        assert_eq!(whoami, expected);
    });
}

#[test]
fn errors() {
    on_each_engine(EVERYTHING, |stage| {
        stage.running("a");
        stage.running("b");
        stage.running("unmanaged");
        let table = [
            // Managed but absent, not managed, and no name at all: the same answer.
            ("GET", "/container/c/status", 404, "Container not found: c"),
            (
                "POST",
                "/container/mute/restart",
                404,
                "Container not found: mute",
            ),
            (
                "GET",
                "/container/unmanaged/status",
                404,
                "Container not found: unmanaged",
            ),
            (
                "POST",
                "/container/unmanaged/stop",
                404,
                "Container not found: unmanaged",
            ),
            (
                "GET",
                "/container/nowhere",
                404,
                "Container not found: nowhere",
            ),
            ("POST", "/container/-/start", 404, "Container not found: -"),
            ("GET", "/nothing", 404, "Not found"),
            ("GET", "/container/a/stdout", 404, "Not found"),
            ("DELETE", "/container/a", 405, "Method not allowed"),
            ("GET", "/container/a/start", 405, "Method not allowed"),
            ("POST", "/container/a/status", 405, "Method not allowed"),
            (
                "POST",
                "/container/b/stop",
                403,
                "Forbidden: stop is not allowed on b",
            ),
            (
                "POST",
                "/container/b/exec/probe",
                403,
                "Forbidden: exec is not allowed on b",
            ),
            (
                "POST",
                "/container/a/exec/nope",
                404,
                "Command not found: nope",
            ),
            (
                "POST",
                "/container/b/kill",
                403,
                "Forbidden: kill is not allowed on b",
            ),
            (
                "GET",
                "/container/mute/status",
                403,
                "Forbidden: status is not allowed on mute",
            ),
            (
                "GET",
                "/container/mute",
                403,
                "Forbidden: status is not allowed on mute",
            ),
            ("POST", "/container/a/stop?t=3", 400, "Unknown parameter: t"),
            (
                "POST",
                "/container/a/start?signal=TERM",
                400,
                "Unknown parameter: signal",
            ),
            ("GET", "/containers?all=1", 400, "Unknown parameter: all"),
            ("GET", "/health?x", 400, "Unknown parameter: x"),
            (
                "POST",
                "/container/a/kill?signal=NOPE",
                400,
                "Bad parameter: signal: a signal is a name such as `TERM` or `SIGHUP`, or a number from 1 to 64",
            ),
        ];
        for (method, path, status, error) in table {
            stage.check(method, path, status, &json!({ "error": error }).to_string());
        }
        assert_eq!(
            stage.record.take_changes(),
            Vec::<String>::new(),
            "{}",
            stage.kind
        );
    });
}

#[test]
fn the_engine_says_no() {
    on_each_engine(EVERYTHING, |stage| {
        let a = stage.container("a");
        let error = format!("Docker error: Container {a} is not running");
        stage.check(
            "POST",
            "/container/a/pause",
            500,
            &json!({ "error": error }).to_string(),
        );
    });
}

#[test]
fn every_answer_has_its_headers() {
    on_each_engine(EVERYTHING, |stage| {
        let mut ids = Vec::new();
        for (method, path) in [
            ("GET", "/health"),
            ("GET", "/nothing"),
            ("PUT", "/health"),
            ("POST", "/container/b/stop"),
        ] {
            let answer = http::ask(stage.address, method, path);
            assert_eq!(answer.header("content-type"), "application/json", "{path}");
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
            ids.push(answer.header("x-request-id").to_owned());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4, "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 16));
        for (path, allow) in [("/health", "GET, HEAD"), ("/container/x/start", "POST")] {
            assert_eq!(
                http::ask(stage.address, "PATCH", path).header("allow"),
                allow
            );
        }
    });
}

#[test]
fn head_wherever_get() {
    on_each_engine(EVERYTHING, |stage| {
        stage.running("a");
        for row in ROWS.iter().filter(|row| row.method == "GET") {
            let path = path(row, "a");
            let head = http::ask(stage.address, "HEAD", &path);
            assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
            if row.endpoint == Endpoint::Events {
                // What happens has no end.
                continue;
            }
            let get = stage.get(&path);
            // Each look at the metrics is one more request, see `metrics`; what a container consumes changes; and a log has
            // no length, see `logs`.
            if !matches!(
                row.endpoint,
                Endpoint::Metrics | Endpoint::Stats | Endpoint::Logs
            ) {
                assert_eq!(
                    head.header("content-length"),
                    get.body.len().to_string(),
                    "{path}"
                );
            }
        }
        // HEAD of what is hidden tells no more than GET.
        assert_eq!(
            http::ask(stage.address, "HEAD", "/container/unmanaged").status,
            404
        );
    });
}

#[test]
fn problem_documents_on_request() {
    on_each_engine(EVERYTHING, |stage| {
        let accept = "Accept: application/problem+json\r\n";
        let answer = http::ask_with(stage.address, "POST", "/container/b/stop", accept, "");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let expected = json!({"type": "about:blank", "title": "Forbidden", "status": 403,
            "detail": "Forbidden: stop is not allowed on b"});
        assert_eq!(answer.json(), expected);
        let good = http::ask_with(stage.address, "GET", "/health", accept, "");
        assert_eq!(
            (good.header("content-type"), good.body.as_str()),
            ("application/json", r#""ok""#)
        );
    });
}

/// A page of another site changes nothing through its visitor's browser.
#[test]
fn other_sites_change_nothing() {
    on_each_engine(EVERYTHING, |stage| {
        let id = stage.running("a");
        let foreign = [
            "Origin: https://evil.example\r\n",
            "Origin: null\r\n",
            "Sec-Fetch-Site: cross-site\r\nContent-Type: text/plain\r\n",
        ];
        for headers in foreign {
            for row in ROWS.iter().filter(|row| row.method == "POST") {
                let path = path(row, "a");
                let answer = http::ask_with(stage.address, "POST", &path, headers, "");
                let error =
                    r#"{"error":"Forbidden: a page of another site cannot change anything"}"#;
                assert_eq!(
                    (answer.status, answer.body.as_str()),
                    (403, error),
                    "{path} {headers}"
                );
            }
        }
        assert_eq!(stage.record.take(), Vec::<String>::new());
        assert_eq!(stage.engine.state(&id), "running");
        let own = "Origin: http://test\r\n";
        let answer = http::ask_with(stage.address, "POST", "/container/a/stop", own, "");
        assert_eq!(answer.status, 200, "{answer:?}");
    });
}

/// The refusal that each row is tested for above; a row without one stops this test.
#[test]
fn every_row_has_a_test_of_its_refusal() {
    // `stop` and `kill` on `b`, `status` on `mute`: see `errors`. The others follow here, on a container that allows
    // nothing but `restart` or nothing but `status`.
    on_each_engine(EVERYTHING, |stage: &mut Stage| {
        stage.running("mute");
        stage.running("c");
        for row in ROWS {
            let Need::Verb(verb) = row.needs else {
                continue;
            };
            let refused_on = if verb == Verb::Status { "mute" } else { "c" };
            if let Endpoint::Batch(_) = row.endpoint {
                let body = json!({ "containers": [refused_on, "hidden"] }).to_string();
                let answer = http::ask_with(stage.address, row.method, row.path, "", &body);
                let forbidden = format!("Forbidden: {verb} is not allowed on {refused_on}");
                let expected = json!({ "results": [
                    { "container": refused_on, "error": forbidden, "code": 403 },
                    { "container": "hidden", "error": "Container not found: hidden", "code": 404 },
                ] });
                assert_eq!(
                    (answer.status, answer.json()),
                    (207, expected),
                    "{}",
                    row.path
                );
                continue;
            }
            let path = path(row, refused_on);
            let answer = http::ask(stage.address, row.method, &path);
            if is_of_one(row) {
                let error =
                    json!({ "error": format!("Forbidden: {verb} is not allowed on {refused_on}") });
                assert_eq!((answer.status, answer.json()), (403, error), "{path}");
            } else {
                assert!(
                    !answer.body.contains(refused_on),
                    "{path} shows what it may not: {}",
                    answer.body
                );
            }
            let hidden = http::ask(stage.address, row.method, &self::path(row, "hidden"));
            assert!(hidden.status == 404 || !is_of_one(row), "{path}");
        }
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
    });
}
