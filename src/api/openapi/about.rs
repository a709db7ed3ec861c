//! What there is to say of a row beside what the row says itself, in a few lines each.

use hyper::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use crate::api::media::{EVENT_STREAM, NDJSON};

/// What there is to say of a row.
///
/// Path parameters, errors and what the caller needs come out of the row. The rest is said in this way; where a row has
/// several of something, it is said several times:
///
/// ```text
/// About::new("tailThings", Tag::Containers, "Read its things", "The latest first.")
///     .takes(
///         Parameter::new("tail", "How many.", json!({"type": "string", "pattern": "^[0-9]+$|^all$"}), "20")
///             .or_else("Bad parameter: tail: a number or `all`"),
///     )
///     .reads(Sent::json::<Wanted>("Which of them.", json!({"colour": "red"})).or_nothing())
///     .gives(
///         Answer::ok("The things.")
///             .text(TEXT, "one\ntwo\n")
///             .lines(&Thing::new("one"))
///             .events(&Thing::new("one")),
///     )
///     .gives(Answer::new(StatusCode::MULTI_STATUS, "Some of them.").json(&Things::some()))
/// ```
///
/// An error that is new is a variant of [`Problem`](crate::api::problem::Problem), and is described in `errors`.
pub(super) struct About {
    /// The operation's name, under which programs made from the document know it. It never changes.
    pub(super) id: &'static str,
    pub(super) tag: Tag,
    /// A few words, without a full stop.
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) parameters: Vec<Parameter>,
    /// The headers that it heeds, by their names among the shared parameters.
    pub(super) headers: Vec<&'static str>,
    pub(super) body: Option<Sent>,
    pub(super) answers: Vec<Answer>,
}

/// Under which heading a row is listed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tag {
    /// What is about containers.
    Containers,
    /// What is about the gateway itself.
    Gateway,
}

impl Tag {
    /// All of them, in the order in which they are listed, and what they are about.
    pub(super) const ALL: [(Self, &str); 2] = [
        (
            Self::Containers,
            "Containers: what they do, and making them do something else.",
        ),
        (
            Self::Gateway,
            "The gateway itself: whether it serves, whom, and how.",
        ),
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Containers => "containers",
            Self::Gateway => "gateway",
        }
    }
}

impl About {
    pub(super) const fn new(
        id: &'static str,
        tag: Tag,
        summary: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            id,
            tag,
            summary,
            description,
            parameters: Vec::new(),
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
        }
    }

    pub(super) fn takes(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// It comes from memory, unless the caller wants it fresh.
    pub(super) fn refreshable(mut self) -> Self {
        self.headers.push("CacheControl");
        self
    }

    /// The same, and it has a tag by which it is not sent again.
    pub(super) fn conditional(self, answer: Answer) -> Self {
        let mut about = self.refreshable();
        about.headers.push("IfNoneMatch");
        let same = "It is what the client has: the tag of that is in `If-None-Match`.";
        about
            .gives(answer.tagged())
            .gives(Answer::new(StatusCode::NOT_MODIFIED, same).tagged())
    }

    pub(super) fn reads(mut self, body: Sent) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn gives(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }
}

/// A parameter in the query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Value,
    pub(super) example: &'static str,
    /// What is told of a value that is none.
    pub(super) refusal: Option<String>,
}

impl Parameter {
    pub(super) const fn new(
        name: &'static str,
        description: &'static str,
        schema: Value,
        example: &'static str,
    ) -> Self {
        Self {
            name,
            description,
            schema,
            example,
            refusal: None,
        }
    }

    /// What is told, as the error, of a value that is none.
    pub(super) fn or_else(mut self, refusal: impl Into<String>) -> Self {
        self.refusal = Some(refusal.into());
        self
    }
}

/// The body of a request.
pub(super) struct Sent {
    pub(super) description: &'static str,
    pub(super) shape: Shape,
    pub(super) example: Value,
    pub(super) is_required: bool,
}

impl Sent {
    pub(super) const fn json<T: JsonSchema>(description: &'static str, example: Value) -> Self {
        Self {
            description,
            shape: Shape::One(SchemaGenerator::subschema_for::<T>),
            example,
            is_required: true,
        }
    }

    /// It may be left out.
    pub(super) const fn or_nothing(mut self) -> Self {
        self.is_required = false;
        self
    }
}

/// An answer that is no error.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) description: &'static str,
    pub(super) contents: Vec<Content>,
    /// Whether it has an entity tag.
    pub(super) is_tagged: bool,
}

/// One form of an answer.
pub(super) struct Content {
    pub(super) media_type: &'static str,
    pub(super) shape: Shape,
    /// What holds beside the type.
    pub(super) narrowed: Option<Value>,
    pub(super) example: Value,
}

impl Answer {
    pub(super) const fn new(status: StatusCode, description: &'static str) -> Self {
        Self {
            status,
            description,
            contents: Vec::new(),
            is_tagged: false,
        }
    }

    const fn tagged(mut self) -> Self {
        self.is_tagged = true;
        self
    }

    pub(super) const fn ok(description: &'static str) -> Self {
        Self::new(StatusCode::OK, description)
    }

    /// As JSON, such as this.
    pub(super) fn json<T: Serialize + JsonSchema>(self, example: &T) -> Self {
        let shape = Shape::One(SchemaGenerator::subschema_for::<T>);
        let example = serde_json::to_value(example).unwrap_or_default();
        self.with("application/json", shape, example)
    }

    /// As text, such as this.
    pub(super) fn text(self, media_type: &'static str, example: &str) -> Self {
        let shape = Shape::One(SchemaGenerator::subschema_for::<String>);
        self.with(media_type, shape, example.into())
    }

    /// As JSON texts such as this, one a line.
    pub(super) fn lines<T: Serialize + JsonSchema>(self, example: &T) -> Self {
        let line = serde_json::to_string(example).unwrap_or_default();
        let shape = Shape::Lines(SchemaGenerator::subschema_for::<T>);
        self.with(NDJSON, shape, format!("{line}\n").into())
    }

    /// As server-sent events, each with JSON such as this for its data.
    pub(super) fn events<T: Serialize + JsonSchema>(self, example: &T) -> Self {
        let data = serde_json::to_string(example).unwrap_or_default();
        let shape = Shape::Events(SchemaGenerator::subschema_for::<T>);
        self.with(EVENT_STREAM, shape, format!("data: {data}\n\n").into())
    }

    /// As server-sent events and as lines, such as these, each with its name where it has one.
    pub(super) fn told<T: Serialize + JsonSchema>(self, examples: &[(&str, T)]) -> Self {
        let (mut lines, mut events) = (String::new(), String::new());
        for (name, example) in examples {
            let json = serde_json::to_string(example).unwrap_or_default();
            if !name.is_empty() {
                events.extend(["event: ", name, "\n"]);
            }
            events.extend(["data: ", &json, "\n\n"]);
            lines.extend([&json, "\n"]);
        }
        let of = SchemaGenerator::subschema_for::<T>;
        self.with(EVENT_STREAM, Shape::Events(of), events.into())
            .with(NDJSON, Shape::Lines(of), lines.into())
    }

    /// Of the form before this, which is JSON: what holds beside the type, as a JSON Schema.
    pub(super) fn narrowed(mut self, schema: Value) -> Self {
        if let Some(content) = self.contents.last_mut() {
            content.narrowed = Some(schema);
        }
        self
    }

    fn with(mut self, media_type: &'static str, shape: Shape, example: Value) -> Self {
        self.contents.push(Content {
            media_type,
            shape,
            narrowed: None,
            example,
        });
        self
    }
}

/// What a body is made of; each by the function that gives the schema of its type.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// One of the type.
    One(fn(&mut SchemaGenerator) -> Schema),
    /// Lines of JSON, each of the type.
    Lines(fn(&mut SchemaGenerator) -> Schema),
    /// Server-sent events with data of the type.
    Events(fn(&mut SchemaGenerator) -> Schema),
}

impl Shape {
    /// The schema of such a body.
    pub(super) fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        let (of, description) = match self {
            Self::One(of) => return of(generator),
            Self::Lines(of) => (of, "JSON texts, one a line, each as `contentSchema` says."),
            Self::Events(of) => (
                of,
                "Server-sent events, the data of each as `contentSchema` says.",
            ),
        };
        // OpenAPI 3.1 has no word for the items of a stream.
        json_schema!({
            "type": "string",
            "description": description,
            "contentMediaType": "application/json",
            "contentSchema": of(generator),
        })
    }
}
