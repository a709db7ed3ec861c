//! Answers and errors as the document has them: by status, with headers, forms and examples.

use std::collections::BTreeMap;

use hyper::StatusCode;
use hyper::header::{HeaderName, RETRY_AFTER, SEC_WEBSOCKET_VERSION, WWW_AUTHENTICATE};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::about::{Answer, Content};
use super::errors::Sample;
use crate::api::media::PROBLEM_JSON;
use crate::api::problem::{Document, Form, More, Plain};
use crate::api::reply::{Error, ProblemDocument};

const JSON: &str = "application/json";

/// The headers beside those that every answer has, by their names in the document.
const HEADERS: [(HeaderName, &str); 3] = [
    (RETRY_AFTER, "Retry-After"),
    (SEC_WEBSOCKET_VERSION, "Sec-WebSocket-Version"),
    (WWW_AUTHENTICATE, "WWW-Authenticate"),
];

/// What [`HEADERS`] refers to.
pub(super) fn headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "What the request is called in the gateway's log.",
            "required": true,
            "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
            "example": "5f3a9c1e0000002a",
        },
        "ETag": {
            "description": "A strong tag: another state of things has another one.",
            "required": true,
            "schema": {"type": "string", "pattern": "^\"[A-Za-z0-9_-]{20}\"$"},
            "example": "\"_8-Wx4nXKXjA8n6hM7YO\"",
        },
        "Retry-After": {
            "description": "In how many seconds the same request may get another answer, where it may soon.",
            "schema": {"type": "integer", "minimum": 1},
            "example": 2,
        },
        "Sec-WebSocket-Version": {
            "description": "The version that there is.",
            "required": true,
            "schema": {"const": "13"},
            "example": "13",
        },
        "WWW-Authenticate": {
            "description": "How to show credentials.",
            "required": true,
            "schema": {"const": "Bearer"},
            "example": "Bearer",
        },
    })
}

/// The answers of all operations; errors that are the same for several are told only once.
#[derive(Default)]
pub(super) struct Responses {
    /// Those that operations refer to, by name.
    pub(super) shared: BTreeMap<String, Value>,
}

impl Responses {
    /// By status, what an operation answers with.
    pub(super) fn of(
        &mut self,
        answers: &[Answer],
        samples: &[Sample],
        generator: &mut SchemaGenerator,
    ) -> Value {
        let mut by_status = BTreeMap::<StatusCode, (Option<&Answer>, Vec<&Sample>)>::new();
        for answer in answers {
            by_status.entry(answer.status).or_default().0 = Some(answer);
        }
        for sample in samples {
            let status = sample.problem.status();
            by_status.entry(status).or_default().1.push(sample);
        }
        let mut responses = Map::new();
        for (status, (answer, samples)) in by_status {
            let is_shared = answer.is_none() && !samples.iter().any(|sample| sample.is_of_its_row);
            let response = response(answer, &samples, generator);
            let response = if is_shared {
                let name = shared_name(&samples);
                let reference = json!({"$ref": format!("#/components/responses/{name}")});
                self.shared.insert(name, response);
                reference
            } else {
                response
            };
            responses.insert(status.as_str().to_owned(), response);
        }
        responses.into()
    }
}

/// What it is called that these are told in one: `AddressLimitOrBusy`.
fn shared_name(samples: &[&Sample]) -> String {
    let names = samples.iter().map(|sample| {
        let (first, rest) = sample.name.split_at_checked(1).unwrap_or_default();
        first.to_uppercase() + rest
    });
    names.collect::<Vec<_>>().join("Or")
}

/// What is answered with one status: an answer, errors, or either.
fn response(
    answer: Option<&Answer>,
    samples: &[&Sample],
    generator: &mut SchemaGenerator,
) -> Value {
    let told = answer.map(|answer| answer.description);
    let told = told
        .into_iter()
        .chain(samples.iter().map(|sample| sample.when));
    let mut headers = Map::new();
    let mut refer = |name: &str| {
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        headers.insert(name.to_owned(), reference);
    };
    refer("X-Request-Id");
    if answer.is_some_and(|answer| answer.is_tagged) {
        refer("ETag");
    }
    for (header, name) in HEADERS {
        let has = |sample: &&Sample| {
            sample
                .problem
                .render(Form::Plain)
                .headers()
                .contains_key(&header)
        };
        if samples.iter().any(has) {
            refer(name);
        }
    }
    let mut forms = Forms::default();
    for content in answer.into_iter().flat_map(|answer| &answer.contents) {
        forms.add(content, generator);
    }
    for sample in samples {
        let (error, document) = (sample.problem.plain(), sample.problem.document());
        match sample.problem.more() {
            None => {
                forms.add_error(JSON, sample, &error, generator);
                forms.add_error(PROBLEM_JSON, sample, &document, generator);
            }
            Some(More::Unfinished(more)) => {
                forms.add_detailed(sample, (error, document), &more, generator);
            }
            Some(More::Unreached(more)) => {
                forms.add_detailed(sample, (error, document), more, generator);
            }
        }
    }
    json!({
        "description": told.collect::<Vec<_>>().join(" "),
        "headers": headers,
        "content": forms.content(),
    })
}

/// By media type: the schemas of which one holds, and examples by name.
#[derive(Default)]
struct Forms(BTreeMap<String, (Vec<Value>, Map<String, Value>)>);

impl Forms {
    fn add(&mut self, content: &Content, generator: &mut SchemaGenerator) {
        let schema = content.shape.schema(generator).to_value();
        let schema = match &content.narrowed {
            Some(narrowed) => json!({"allOf": [schema, narrowed]}),
            None => schema,
        };
        self.put(content.media_type, schema, "answer", &content.example);
    }

    fn add_error<T: Serialize + JsonSchema>(
        &mut self,
        media_type: &str,
        sample: &Sample,
        body: &T,
        generator: &mut SchemaGenerator,
    ) {
        let schema = generator.subschema_for::<T>().to_value();
        let example = serde_json::to_value(body).unwrap_or_default();
        self.put(media_type, schema, &sample.name, &example);
    }

    /// An error that has more than words.
    fn add_detailed<T: Serialize + JsonSchema>(
        &mut self,
        sample: &Sample,
        (error, document): (Error, ProblemDocument),
        more: &T,
        generator: &mut SchemaGenerator,
    ) {
        self.add_error(JSON, sample, &Plain { error, more }, generator);
        let document = Document {
            document,
            details: more,
        };
        self.add_error(PROBLEM_JSON, sample, &document, generator);
    }

    fn put(&mut self, media_type: &str, schema: Value, name: &str, example: &Value) {
        // Parameters of a media type, such as its charset, are none of its name.
        let media_type = media_type.split(';').next().unwrap_or_default();
        let (schemas, examples) = self.0.entry(media_type.to_owned()).or_default();
        if !schemas.contains(&schema) {
            schemas.push(schema);
        }
        examples.insert(name.to_owned(), json!({"value": example}));
    }

    fn content(self) -> Value {
        let forms = self
            .0
            .into_iter()
            .map(|(media_type, (mut schemas, examples))| {
                let schema = match (schemas.pop(), schemas.is_empty()) {
                    (Some(only), true) => only,
                    (last, _) => {
                        schemas.extend(last);
                        json!({"anyOf": schemas})
                    }
                };
                (media_type, json!({"schema": schema, "examples": examples}))
            });
        forms.collect::<Map<_, _>>().into()
    }
}
