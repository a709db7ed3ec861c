//! The description of the API: it is the golden file, and it is about every row and nothing else.
//!
//! That it is valid OpenAPI, that its examples are as its schemas say, and that the gateway answers as it says, is what
//! `tests/openapi` checks.

use std::collections::{BTreeMap, BTreeSet};

use relayer_controller::api::{self, Need, ROWS};
use relayer_controller::engine::Signal;
use relayer_controller::policy::{ContainerName, Principal};
use serde_json::{Value, json};

use crate::http;
use crate::program::program;
use crate::stage::on_each_engine;

const GOLDEN: &str = "tests/golden/openapi.json";

const TABLES: &str = "[containers.a]\nallow = [\"status\"]\n";

fn document() -> Value {
    serde_json::from_str(&api::openapi()).unwrap()
}

/// By method and path, what the document says of it.
fn operations(document: &Value) -> BTreeMap<(String, String), &Value> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| ((method.to_uppercase(), path.clone()), operation))
    });
    each.collect()
}

/// What a reference leads to, or the value itself.
fn resolved<'document>(document: &'document Value, value: &'document Value) -> &'document Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.strip_prefix('#').unwrap())
            .unwrap(),
        None => value,
    }
}

#[test]
fn it_is_the_golden_file() {
    let told = api::openapi();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &told).unwrap();
    }
    // Not shown whole where they differ: a difference tool does that better.
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    let differs = told.lines().zip(golden.lines()).find(|(a, b)| a != b);
    assert_eq!(differs, None, "{GOLDEN}: UPDATE_GOLDEN=1 writes it anew");
    assert!(told == golden, "{GOLDEN} has another end");
}

#[test]
fn it_is_the_same_wherever_it_is_asked_for() {
    on_each_engine(TABLES, |stage| {
        let golden = std::fs::read_to_string(GOLDEN).unwrap();
        let answer = stage.get("/openapi.json");
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.body == golden);
        stage.check(
            "GET",
            "/openapi.json?pretty",
            400,
            r#"{"error":"Unknown parameter: pretty"}"#,
        );
        stage.check(
            "POST",
            "/openapi.json",
            405,
            r#"{"error":"Method not allowed"}"#,
        );
        let foreign = http::exchange(
            stage.address,
            b"GET /openapi.json HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(http::parse(&foreign).unwrap().status, 403);
        assert_eq!(stage.record.take(), Vec::<String>::new());
    });
    let printed = program().arg("openapi").output().unwrap();
    assert_eq!(
        (printed.status.code(), &printed.stderr[..]),
        (Some(0), &b""[..])
    );
    assert!(printed.stdout == std::fs::read(GOLDEN).unwrap());
}

#[test]
fn every_row_is_in_it_and_nothing_else() {
    let document = document();
    let rows: BTreeSet<_> = ROWS
        .iter()
        .map(|row| (row.method.to_owned(), row.path.to_owned()))
        .collect();
    let operations = operations(&document);
    assert_eq!(operations.keys().cloned().collect::<BTreeSet<_>>(), rows);
    let ids: BTreeSet<_> = operations
        .values()
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), rows.len(), "{ids:?}");
}

#[test]
fn what_a_path_leaves_open_is_a_parameter() {
    let document = document();
    for ((method, path), operation) in operations(&document) {
        let open: Vec<_> = path
            .split(['{', '}'])
            .skip(1)
            .step_by(2)
            .map(ToOwned::to_owned)
            .collect();
        let parameters = operation["parameters"].as_array();
        let parameters = parameters.into_iter().flatten();
        let told: Vec<_> = parameters
            .map(|parameter| resolved(&document, parameter))
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| {
                assert!(parameter["schema"]["pattern"].is_string(), "{parameter}");
                parameter["name"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(told, open, "{method} {path}");
    }
}

/// Which errors there are for a row, as somebody who reads the table of errors would say.
#[test]
fn every_error_of_a_row_is_in_it() {
    let document = document();
    for row in ROWS {
        let operation = &operations(&document)[&(row.method.to_owned(), row.path.to_owned())];
        let responses = operation["responses"].as_object().unwrap();
        let is_change = row.method == "POST";
        // Its names are in the query, and it is told from memory.
        let is_events = row.path == "/events";
        let is_of_one = row.path.contains("{name}") || is_events;
        let is_batch = is_change && !is_of_one;
        let ends_with = |ends: &[&str]| ends.iter().any(|end| row.path.ends_with(end));
        let mut expected = BTreeSet::from(["200", "400", "401", "408", "413", "431"]);
        let further = [
            ("101", is_events),
            ("426", is_events),
            ("403", row.path != "/health"),
            ("404", is_of_one),
            ("207", is_batch),
            (
                "409",
                is_of_one && ends_with(&["/start", "/stop", "/stats", "/{command}"]),
            ),
            ("304", path_is_tagged(row.path)),
            ("429", row.path != "/health"),
            ("500", matches!(row.needs, Need::Verb(_)) && !is_events),
            ("503", row.path == "/ready" || is_change && is_of_one),
            (
                "504",
                is_of_one && ends_with(&["/start", "/stop", "/restart", "/{command}"]),
            ),
        ];
        expected.extend(
            further
                .iter()
                .filter(|(_, is)| *is)
                .map(|(status, _)| *status),
        );
        let told: BTreeSet<_> = responses.keys().map(String::as_str).collect();
        assert_eq!(told, expected, "{} {}", row.method, row.path);
        for (status, response) in responses {
            let response = resolved(&document, response);
            let headers: Vec<_> = response["headers"].as_object().unwrap().keys().collect();
            let is_tagged = path_is_tagged(row.path);
            let more = match status.as_str() {
                "200" | "304" if is_tagged => &["ETag"][..],
                "401" => &["WWW-Authenticate"],
                "426" => &["Sec-WebSocket-Version"],
                "429" | "500" => &["Retry-After"],
                "503" if is_change => &["Retry-After"],
                _ => &[],
            };
            assert_eq!(headers, [more, &["X-Request-Id"]].concat(), "{status}");
            let content = response["content"].as_object().unwrap();
            if status.as_str() >= "400" && (row.path, status.as_str()) != ("/ready", "503") {
                let forms: Vec<_> = content.keys().collect();
                assert_eq!(forms, ["application/json", "application/problem+json"]);
            }
            for (form, content) in content {
                let examples = content["examples"].as_object();
                assert!(
                    examples.is_some_and(|examples| !examples.is_empty()),
                    "{form}"
                );
            }
        }
    }
}

#[test]
fn the_words_of_a_change_are_told() {
    let document = document();
    for (verb, word) in [
        ("start", "started"),
        ("stop", "stopped"),
        ("restart", "restarted"),
        ("pause", "paused"),
        ("unpause", "unpaused"),
        ("kill", "killed"),
    ] {
        let path = format!("/container/{{name}}/{verb}");
        let good =
            &document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"];
        let narrowed = &good["schema"]["allOf"][1]["properties"]["status"];
        assert_eq!(narrowed, &json!({ "const": word }));
        assert_eq!(
            good["examples"]["answer"]["value"],
            json!({"status": word, "container": "muxer"})
        );
    }
}

/// What the document lists as a signal is one.
#[test]
fn signals_are_signals() {
    let document = document();
    let parameter = &document["paths"]["/container/{name}/kill"]["post"]["parameters"][1];
    let forms = parameter["schema"]["anyOf"].as_array().unwrap();
    let names = forms[0]["enum"].as_array().unwrap().iter();
    let patterns: Vec<_> = forms[1..]
        .iter()
        .map(|form| regex_lite::Regex::new(form["pattern"].as_str().unwrap()).unwrap())
        .collect();
    let names: Vec<_> = names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 36);
    let numbered = |base: &str, sign: char| {
        (0..20)
            .map(|number| format!("{base}{sign}{number}"))
            .collect::<Vec<_>>()
    };
    let numbers = (0..70).map(|number| number.to_string()).collect();
    let others = [numbered("RTMIN", '+'), numbered("RTMAX", '-'), numbers].concat();
    for signal in &others {
        let is_told = patterns.iter().any(|pattern| pattern.is_match(signal));
        assert_eq!(is_told, signal.parse::<Signal>().is_ok(), "{signal}");
    }
    assert!(names.iter().all(|name| name.parse::<Signal>().is_ok()));
}

/// A pattern in the document lets through what the gateway does, and nothing else.
#[test]
fn patterns_are_the_rules_for_names() {
    let [name, principal] = [ContainerName::PATTERN, Principal::PATTERN]
        .map(|pattern| regex_lite::Regex::new(pattern).unwrap());
    let long = |length| "a".repeat(length);
    for text in [
        "",
        "a",
        "0",
        "A9",
        "-",
        "a-",
        "_a",
        "a_",
        ".",
        "a.b",
        "a/b",
        "a b",
        "a\n",
        "ä",
        "a@b",
        "@",
        "a%20",
        &long(64),
        &long(65),
        &long(128),
        &long(129),
    ] {
        assert_eq!(
            name.is_match(text),
            text.parse::<ContainerName>().is_ok(),
            "{text:?}"
        );
        assert_eq!(
            principal.is_match(text),
            text.parse::<Principal>().is_ok(),
            "{text:?}"
        );
    }
}

fn path_is_tagged(path: &str) -> bool {
    path == "/containers" || path.ends_with("/status")
}
