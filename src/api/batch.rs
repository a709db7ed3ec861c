//! Batches: a body with names into a batch, what came of each into one answer.

use std::collections::HashSet;

use hyper::StatusCode;
use schemars::JsonSchema;
use serde_json::Value;

use super::Api;
use super::body::{self, NoObject};
use super::input::{self, Parameters, Unread};
use super::problem::{Problem, status_of};
use super::reply::{self, ItemResult, Response, Results};
use crate::gateway::{BatchItem, BatchVerb, Caller, Chosen, Failure};
use crate::policy::ContainerName;

/// The most names that a batch can have.
const MOST_NAMES: usize = 1000;

/// What a body should be, as every refusal of one says.
const FORM: &str = r#"send {"containers":["a","b"]} or {"containers":"*"}"#;

/// The body of a batch, as it is described. It is read by hand, so that what is wrong with it can be said.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Which containers.
    #[expect(dead_code, reason = "it is only described")]
    containers: WantedContainers,
}

/// The containers of a batch.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum WantedContainers {
    /// These.
    #[expect(dead_code, reason = "it is only described")]
    Named(
        #[schemars(
            length(min = 1, max = MOST_NAMES),
            inner(regex(pattern = ContainerName::PATTERN)),
            extend("uniqueItems" = true)
        )]
        Vec<String>,
    ),
    /// All that exist and on which the caller is granted the verb.
    #[expect(dead_code, reason = "it is only described")]
    All(#[schemars(extend("const" = "*"))] String),
}

impl Api {
    /// Answers a batch: 200 where all of it went well, else 207.
    pub(super) async fn batch(
        &self,
        caller: Caller,
        verb: BatchVerb,
        unread: Unread<'_>,
    ) -> Result<Response, Problem> {
        Parameters::parse(unread.request.head.uri.query())?.finish()?;
        let chosen = chosen(&unread.read().await?)?;
        let items = self.gateway.batch(caller, verb, chosen).await?;
        let results: Vec<_> = items.iter().map(|item| result(verb, item)).collect();
        let is_bad = |result: &ItemResult| matches!(result, ItemResult::Bad { .. });
        let status = if results.iter().any(is_bad) {
            StatusCode::MULTI_STATUS
        } else {
            StatusCode::OK
        };
        Ok(reply::json(status, &Results { results }))
    }
}

fn result(verb: BatchVerb, item: &BatchItem) -> ItemResult<'_> {
    let container = item.container.as_str();
    let changed = match &item.answer {
        Ok(()) => true,
        Err(Failure::AlreadyRunning | Failure::AlreadyStopped) => false,
        Err(failure) => {
            return ItemResult::Bad {
                container,
                error: failure.to_string(),
                code: status_of(Err(failure)),
            };
        }
    };
    let status = match verb {
        BatchVerb::Start => "started",
        BatchVerb::Stop => "stopped",
        BatchVerb::Restart => "restarted",
    };
    ItemResult::Good {
        container,
        status,
        changed,
    }
}

/// The containers that a body names.
///
/// # Errors
///
/// What is wrong with it. Which of two keys would count, or what an empty list should mean, is anybody's guess.
pub(super) fn chosen(body: &[u8]) -> Result<Chosen, Problem> {
    let mut entries = body::object(body).map_err(|wrong| match wrong {
        NoObject::Malformed => bad("it is no JSON object"),
        NoObject::Twice(key) => input::twice(&key),
    })?;
    let containers = entries.remove("containers");
    if let Some(key) = entries.keys().next() {
        return Err(input::unknown(key));
    }
    let names = match containers {
        Some(Value::Array(names)) => names,
        Some(Value::String(text)) if text == "*" => return Ok(Chosen::All),
        Some(_) => return Err(bad("containers is neither a list nor \"*\"")),
        None => return Err(bad("containers is missing")),
    };
    if names.is_empty() {
        return Err(bad("containers is empty"));
    }
    if names.len() > MOST_NAMES {
        let why = format!("containers has more than {MOST_NAMES} names");
        return Err(bad(&why));
    }
    let mut seen = HashSet::new();
    let mut read = Vec::with_capacity(names.len());
    for value in names {
        let Value::String(text) = value else {
            return Err(bad("containers has something in it that is no text"));
        };
        let name: ContainerName = match text.parse() {
            Ok(name) => name,
            Err(why) => {
                let why = format!("Bad body: containers: `{text}` is no name: {why}");
                return Err(Problem::Input(why));
            }
        };
        if !seen.insert(name.clone()) {
            let why = format!("Bad body: containers: `{name}` is given twice");
            return Err(Problem::Input(why));
        }
        read.push(name);
    }
    Ok(Chosen::Named(read))
}

fn bad(what: &str) -> Problem {
    Problem::Input(format!("Bad body: {what}: {FORM}"))
}

#[cfg(test)]
mod tests {
    use super::{Chosen, chosen};

    fn check(body: &str, expected: &str) {
        let told = match chosen(body.as_bytes()) {
            Ok(Chosen::All) => "*".to_owned(),
            Ok(Chosen::Named(names)) => {
                let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                names.join(" ")
            }
            Err(problem) => problem.to_string(),
        };
        let expected = expected.replace(
            "FORM",
            r#"send {"containers":["a","b"]} or {"containers":"*"}"#,
        );
        assert_eq!(told, expected, "{body}");
    }

    #[test]
    fn bodies() {
        check(r#"{"containers":["b","a"]}"#, "b a");
        check(r#" { "containers" : "*" } "#, "*");
        check(r#"{"containers":["\u0061"]}"#, "a");
        for no_object in [
            "",
            "containers=a",
            "[]",
            "\"*\"",
            "null",
            "{\"containers\":[\"a\"]} {}",
            "{\"containers\":[\"a\",]}",
            "{\"containers\":[\"\u{0}\"]}",
            "{\"containers\":NaN}",
        ] {
            check(no_object, "Bad body: it is no JSON object: FORM");
        }
        check("{}", "Bad body: containers is missing: FORM");
        for other in ["\"a\"", "\"**\"", "null", "7", "{\"a\":1}", "true"] {
            let body = format!("{{\"containers\":{other}}}");
            check(
                &body,
                "Bad body: containers is neither a list nor \"*\": FORM",
            );
        }
        check(
            r#"{"containers":[]}"#,
            "Bad body: containers is empty: FORM",
        );
        for other in ["7", "null", "[\"a\"]", "{}"] {
            let body = format!("{{\"containers\":[\"a\",{other}]}}");
            check(
                &body,
                "Bad body: containers has something in it that is no text: FORM",
            );
        }
        check(
            r#"{"containers":["a","b","a"]}"#,
            "Bad body: containers: `a` is given twice",
        );
        check(
            r#"{"containers":["a"],"containers":["b"]}"#,
            "Parameter given twice: containers",
        );
        check(
            r#"{"containers":["a"],"wait":"healthy"}"#,
            "Unknown parameter: wait",
        );
        check(r#"{"Containers":["a"]}"#, "Unknown parameter: Containers");
        for no_name in ["", "*", "a/b", "..", "a b", "-a", "a\\n"] {
            let body = format!("{{\"containers\":[\"{no_name}\"]}}");
            let told = no_name.replace("\\n", "\n");
            check(
                &body,
                &format!(
                    "Bad body: containers: `{told}` is no name: a name is a letter or digit, then letters, digits, `_`, `.` and `-`, at most 128 in all"
                ),
            );
        }
    }

    #[test]
    fn not_any_number_of_names() {
        let body = |count: usize| {
            let names: Vec<_> = (0..count).map(|number| format!("\"n{number}\"")).collect();
            format!("{{\"containers\":[{}]}}", names.join(","))
        };
        assert!(chosen(body(1000).as_bytes()).is_ok());
        check(
            &body(1001),
            "Bad body: containers has more than 1000 names: FORM",
        );
        // Nested deeper than anything could mean.
        let deep = format!("{{\"containers\":{}", "[".repeat(60_000));
        check(&deep, "Bad body: it is no JSON object: FORM");
    }
}
