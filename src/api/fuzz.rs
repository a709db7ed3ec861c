//! What fuzzing reaches of this face: each function takes whatever a caller may send, and panics where an answer is wrong.

use std::time::Duration;

use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::input::{self, Parameters};
use super::problem::Problem;
use super::route::{Route, Routes};
use super::{Action, ROWS, batch, events, logs};
use crate::gateway::Chosen;

/// A query: every parameter is taken, refused, or left over and named.
pub fn query(text: &str) {
    let given: Vec<_> = form_urlencoded::parse(text.as_bytes()).collect();
    let mut parameters = match Parameters::parse(Some(text)) {
        Ok(parameters) => parameters,
        Err(problem) => {
            let mut keys: Vec<_> = given.iter().map(|(key, _)| key).collect();
            keys.sort();
            keys.dedup();
            assert!(given.len() > 16 || keys.len() < given.len(), "{problem}");
            return assert_bad_request(&problem);
        }
    };
    let signal = given.iter().find(|(key, _)| key == "signal");
    match parameters.take_signal() {
        Ok(taken) => {
            assert_eq!(taken.is_some(), signal.is_some());
            if let Some(taken) = taken {
                let text = taken.as_str();
                let is_part =
                    |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "+-".contains(c);
                assert!(!text.is_empty() && text.chars().all(is_part), "{text}");
                assert_eq!(text.parse(), Ok(taken.clone()), "{text}");
            }
        }
        Err(problem) => {
            assert!(signal.is_some());
            assert_bad_request(&problem);
        }
    }
    let left = given.iter().filter(|(key, _)| key != "signal").count();
    match parameters.finish() {
        Ok(()) => assert_eq!(left, 0),
        Err(problem) => {
            assert!(left > 0);
            assert_bad_request(&problem);
        }
    }
}

/// The query of the events: names, or nothing but the refusal of it.
pub fn events_query(text: &str) {
    let given = form_urlencoded::parse(text.as_bytes()).count();
    match events::only(Some(text)) {
        Ok(None) => assert_eq!(given, 0),
        Ok(Some(names)) => assert!(names.len() >= given && !names.is_empty()),
        Err(problem) => assert_bad_request(&problem),
    }
}

/// The query of a log: what is taken can be asked of the engine, and nothing is left over in silence.
pub fn log_query(text: &str) {
    let given: Vec<_> = form_urlencoded::parse(text.as_bytes()).collect();
    let asked = Parameters::parse(Some(text)).and_then(|mut parameters| {
        let asked = logs::asked(&mut parameters)?;
        parameters.finish().map(|()| asked)
    });
    match asked {
        Ok((read, _)) => {
            let is_known = |key: &str| {
                ["tail", "since", "until", "follow", "stream", "timestamps"].contains(&key)
            };
            assert!(given.iter().all(|(key, _)| is_known(key)));
            assert!(!(read.follow && read.until.is_some()));
            assert_eq!(
                read.since.is_some(),
                given.iter().any(|(key, _)| key == "since")
            );
        }
        Err(problem) => assert_bad_request(&problem),
    }
}

/// What a change is to be waited for.
pub fn wait_query(text: &str) {
    for action in [Action::Start, Action::Stop, Action::Kill] {
        let taken = Parameters::parse(Some(text)).and_then(|mut parameters| {
            let taken = parameters.take_patience(action)?;
            parameters.finish().map(|()| taken)
        });
        match taken {
            Ok(Some(patience)) => {
                assert!(action != Action::Kill);
                assert!(!patience.timeout.is_zero());
                assert!(patience.timeout <= Duration::from_mins(10));
            }
            Ok(None) => assert!(form_urlencoded::parse(text.as_bytes()).next().is_none()),
            Err(problem) => assert_bad_request(&problem),
        }
    }
}

/// A body with parameters, and one with names: what is taken is what `serde_json` reads, and has each key once.
pub fn object(bytes: &[u8]) {
    let read = serde_json::from_slice::<Value>(bytes).ok();
    match input::named_values(bytes) {
        Ok(values) => {
            let expected = read
                .clone()
                .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            assert_eq!(Value::Object(values.into_iter().collect()), expected);
        }
        Err(problem) => assert_bad_request(&problem),
    }
    match batch::chosen(bytes) {
        Ok(Chosen::All) => assert_eq!(read, Some(serde_json::json!({ "containers": "*" }))),
        Ok(Chosen::Named(names)) => {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            assert_eq!(read, Some(serde_json::json!({ "containers": names })));
        }
        Err(problem) => assert_bad_request(&problem),
    }
}

/// A body where none is expected: only what asks for nothing passes.
pub fn body(bytes: &[u8]) {
    let read = serde_json::from_slice::<Value>(bytes);
    let is_nothing = bytes.trim_ascii().is_empty()
        || read.is_ok_and(|value| value.as_object().is_some_and(serde_json::Map::is_empty));
    match input::no_body(bytes) {
        Ok(()) => assert!(is_nothing),
        Err(problem) => {
            assert!(!is_nothing, "{problem}");
            assert_bad_request(&problem);
        }
    }
}

/// The table of rows, to look paths up in.
pub struct Paths(Routes);

impl Paths {
    /// Reads the table.
    ///
    /// # Errors
    ///
    /// Where it contradicts itself.
    pub fn new() -> Result<Self, matchit::InsertError> {
        Routes::new().map(Self)
    }

    /// A path: it leads to a row only if it is that row's with its open parts filled in, and to a container only by a name
    /// that is one.
    pub fn check(&self, text: &str) {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
            let (counted, route) = self.0.find(&method, text);
            let counted = counted.route;
            let known = counted == "other" || ROWS.iter().any(|row| row.path == counted);
            assert!(known, "{counted}");
            let (row, segments) = match route {
                Route::Found(row, segments) => (row, segments),
                Route::OtherMethod(methods) => {
                    assert_ne!(counted, "other");
                    assert!(!methods.split(", ").any(|other| other == method.as_str()));
                    continue;
                }
                Route::Unknown => {
                    assert_eq!(counted, "other");
                    continue;
                }
            };
            let asked = if method == Method::HEAD {
                "GET"
            } else {
                method.as_str()
            };
            assert_eq!(row.method, asked);
            let open = [
                ("{name}", &*segments.name),
                ("{command}", &*segments.command),
            ];
            for (key, segment) in open {
                assert_eq!(row.path.contains(key), !segment.is_empty());
                assert!(!segment.contains('/'));
            }
            // By parts: what fills one in may look like another.
            let filled = row.path.split('/').map(|part| {
                let segment = open.iter().find(|(key, _)| *key == part);
                segment.map_or(part, |(_, segment)| segment)
            });
            assert!(filled.eq(text.split('/')), "{}", row.path);
            name(&segments.name);
        }
    }
}

fn name(raw: &str) {
    let decoded: Vec<u8> = percent_decode_str(raw).collect();
    match input::name(raw, |_| None) {
        Ok(name) => {
            let name = name.as_str();
            assert_eq!(name.as_bytes(), decoded);
            assert!((1..=128).contains(&name.len()));
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            assert!(name.bytes().all(is_part), "{name}");
            assert!(name.starts_with(|first: char| first.is_ascii_alphanumeric()));
        }
        Err(problem) => assert_eq!(problem.status(), StatusCode::NOT_FOUND),
    }
}

fn assert_bad_request(problem: &Problem) {
    assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
    assert!(!problem.to_string().is_empty());
}
