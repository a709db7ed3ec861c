//! Batches: every item is decided and answered alone.

use relayer_controller::api::{Endpoint, Need, ROWS};
use relayer_controller::engine::OwnContainer;
use relayer_controller::policy::Verb;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::http::{self, Answer};
use crate::principals::{self, May};
use crate::stage::{Stage, on_each_engine};

pub(crate) const FEW: &str = r#"
[containers.a]
allow = ["status", "start", "stop", "restart"]
[containers.b]
allow = ["status", "start", "stop", "restart"]
[containers.c]
allow = ["status", "start", "stop", "restart"]
[containers.d]
allow = ["status", "start", "stop", "restart"]
[containers.blind]
allow = ["start", "stop", "restart"]
[containers.seen]
allow = ["status"]
"#;

/// What compose writes on a container of this service.
pub(crate) fn labels(stage: &Stage, service: &str, depends_on: &str) -> Value {
    json!({"com.docker.compose.project": stage.prefix, "com.docker.compose.service": service,
        "com.docker.compose.depends_on": depends_on})
}

/// Makes a container of a service that is called as it is.
pub(crate) fn composed(stage: &Stage, name: &str, depends_on: &str) -> String {
    let full_name = format!("{}{name}", stage.prefix);
    stage
        .engine
        .create(&full_name, &labels(stage, name, depends_on))
}

pub(crate) fn ask(gateway: &Gateway, verb: &str, containers: &Value) -> Answer {
    let body = json!({ "containers": containers }).to_string();
    http::ask_with(
        gateway.address,
        "POST",
        &format!("/containers/{verb}"),
        "",
        &body,
    )
}

/// Asserts the status and the results of a batch.
pub(crate) fn check(stage: &Stage, verb: &str, containers: &Value, status: u16, results: &Value) {
    let answer = ask(stage, verb, containers);
    let said = (answer.status, answer.json());
    let expected = (status, json!({ "results": results }));
    assert_eq!(said, expected, "{verb} {containers} on {}", stage.kind);
}

pub(crate) fn good(container: &str, status: &str, changed: bool) -> Value {
    json!({ "container": container, "status": status, "changed": changed })
}

pub(crate) fn bad(container: &str, error: &str, code: u16) -> Value {
    json!({ "container": container, "error": error, "code": code })
}

#[test]
fn each_item_is_answered_alone() {
    on_each_engine(FEW, |stage| {
        stage.container("a");
        stage.running("b");
        stage.container("hidden");
        stage.container("seen");
        check(
            stage,
            "start",
            &json!(["b", "a"]),
            200,
            &json!([good("b", "started", false), good("a", "started", true)]),
        );
        check(
            stage,
            "stop",
            &json!(["seen", "a", "hidden", "c", "nowhere", "b"]),
            207,
            &json!([
                bad("seen", "Forbidden: stop is not allowed on seen", 403),
                good("a", "stopped", true),
                bad("hidden", "Container not found: hidden", 404),
                bad("c", "Container not found: c", 404),
                bad("nowhere", "Container not found: nowhere", 404),
                good("b", "stopped", true),
            ]),
        );
        let both = json!([good("a", "stopped", false), good("b", "stopped", false)]);
        check(stage, "stop", &json!(["a", "b"]), 200, &both);
        let both = json!([good("b", "restarted", true), good("a", "restarted", true)]);
        check(stage, "restart", &json!(["b", "a"]), 200, &both);
        let exact = r#"{"results":[{"container":"a","status":"stopped","changed":true},{"container":"c","error":"Container not found: c","code":404}]}"#;
        assert_eq!(ask(stage, "stop", &json!(["a", "c"])).body, exact);
    });
}

/// All that exist and on which the verb is granted, by name; of others nothing is said.
#[test]
fn everything() {
    on_each_engine(FEW, |stage| {
        check(stage, "start", &json!("*"), 200, &json!([]));
        for name in ["d", "b", "blind", "seen", "hidden"] {
            stage.container(name);
        }
        let all = json!([
            good("b", "started", true),
            good("blind", "started", true),
            good("d", "started", true)
        ]);
        check(stage, "start", &json!("*"), 200, &all);
        for name in ["seen", "hidden"] {
            let full_name = format!("{}{name}", stage.prefix);
            assert_eq!(stage.engine.state(&full_name), "created");
        }
    });
}

#[test]
fn the_gateway_is_not_among_them() {
    on_each_engine(FEW, |stage| {
        let own = stage.running("a");
        stage.running("b");
        let own = OwnContainer::with_id(own.parse().unwrap());
        let gateway = Gateway::start(&stage.prefix, &stage.host, own, FEW);
        let answer = ask(&gateway, "stop", &json!("*"));
        let expected = json!({ "results": [good("b", "stopped", true)] });
        assert_eq!((answer.status, answer.json()), (200, expected));
        let answer = ask(&gateway, "stop", &json!(["a"]));
        let forbidden = bad("a", "Forbidden: stop is not allowed on a", 403);
        assert_eq!(answer.json(), json!({ "results": [forbidden] }));
    });
}

#[test]
fn bad_requests() {
    on_each_engine(FEW, |stage| {
        stage.container("a");
        let form = r#"send {"containers":["a","b"]} or {"containers":"*"}"#;
        let long = format!("{{\"containers\":[\"{}\"]}}", "a".repeat(70_000));
        for (path, body, status, error) in [
            (
                "/containers/start",
                "",
                400,
                format!("Bad body: it is no JSON object: {form}"),
            ),
            (
                "/containers/stop",
                "{}",
                400,
                format!("Bad body: containers is missing: {form}"),
            ),
            (
                "/containers/restart",
                r#"{"containers":[]}"#,
                400,
                format!("Bad body: containers is empty: {form}"),
            ),
            (
                "/containers/start",
                r#"{"containers":["a","a"]}"#,
                400,
                "Bad body: containers: `a` is given twice".to_owned(),
            ),
            (
                "/containers/start",
                r#"{"containers":["a"],"containers":"*"}"#,
                400,
                "Parameter given twice: containers".to_owned(),
            ),
            (
                "/containers/start?wait=running",
                r#"{"containers":["a"]}"#,
                400,
                "Unknown parameter: wait".to_owned(),
            ),
            (
                "/containers/start",
                &long,
                413,
                "Body too large: at most 65536 bytes".to_owned(),
            ),
        ] {
            let answer = http::ask_with(stage.address, "POST", path, "", body);
            let expected = json!({ "error": error });
            assert_eq!((answer.status, answer.json()), (status, expected), "{path}");
        }
        stage.check(
            "GET",
            "/containers/start",
            405,
            r#"{"error":"Method not allowed"}"#,
        );
        assert_eq!(stage.record.take(), Vec::<String>::new());
    });
}

/// Every kind of caller gets for each item what it gets for that container alone.
#[test]
fn every_caller() {
    on_each_engine(&principals::tables(""), |stage| {
        let names = ["a", "b", "mute", "hidden"];
        for name in names {
            stage.running(name);
        }
        for (headers, may) in principals::callers(false) {
            for row in ROWS {
                let (Endpoint::Batch(_), Need::Verb(verb)) = (row.endpoint, row.needs) else {
                    continue;
                };
                let line = format!("{} {}", row.method, row.path);
                let ask = |containers: Value| {
                    let body = json!({ "containers": containers }).to_string();
                    let source = principals::next_address();
                    http::ask_from_with(source, stage.address, &line, headers, &body)
                };
                let (each, all) = (ask(json!(names)), ask(json!("*")));
                check_caller(verb, may, &each, &all, &format!("{line} of {headers:?}"));
            }
        }
    });
}

fn check_caller(verb: Verb, may: May, named: &Answer, all: &Answer, who: &str) {
    let rights = match may {
        May::Nobody => return assert_eq!((named.status, all.status), (401, 401), "{who}"),
        May::ReadMetrics => &[][..],
        May::Do(rights) => rights,
    };
    let results = named.json()["results"].clone();
    for result in results.as_array().unwrap() {
        let found = rights.iter().find(|(name, _)| result["container"] == *name);
        let expected = match found {
            None => json!(404),
            Some((_, verbs)) if verbs.contains(&verb) => Value::Null,
            Some(_) => json!(403),
        };
        assert_eq!(result["code"], expected, "{who}: {result}");
    }
    assert_eq!(results.as_array().unwrap().len(), 4);
    let shown = all.json()["results"].clone();
    let shown = shown.as_array().unwrap().iter();
    let shown: Vec<_> = shown.map(|one| one["container"].clone()).collect();
    let granted = rights.iter().filter(|(_, verbs)| verbs.contains(&verb));
    let granted: Vec<_> = granted.map(|(name, _)| json!(name)).collect();
    assert_eq!(shown, granted, "{who}");
}
