//! The description of the API for programs, as OpenAPI 3.1, out of the same table that dispatches.
//!
//! `rows` says in a few lines what each row is; the rest comes out of the row, of the types that are serialised, and of
//! the problems that it can come to.

mod about;
mod actions;
mod errors;
mod response;
mod rows;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use about::{About, Parameter, Tag};
use response::Responses;

use super::route::{Need, ROWS, Row};
use crate::config::CommandName;
use crate::policy::{ContainerName, Verb};
use crate::server::{MAX_BODY_BYTES, MAX_HEAD_BYTES};

/// A verb as it is shown.
pub(super) struct Word;

impl JsonSchema for Word {
    fn schema_name() -> Cow<'static, str> {
        "Verb".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One thing that can be done to a container.",
            "type": "string",
            "enum": Verb::ALL.map(Verb::as_str),
        })
    }
}

/// The document, with its keys in the order in which people read it.
#[derive(Serialize)]
struct Document {
    openapi: &'static str,
    info: Value,
    servers: Value,
    security: Value,
    tags: Value,
    paths: InOrder<InOrder<Value>>,
    components: Value,
}

/// An object whose keys stay in their order.
struct InOrder<T>(Vec<(&'static str, T)>);

impl<T: Serialize> Serialize for InOrder<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// The schemas of what is given and of what is taken: a key that may be left out of the one need not be one that is left
/// out of the other.
struct Generators {
    given: SchemaGenerator,
    taken: SchemaGenerator,
}

impl Generators {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            given: settings.clone().for_serialize().into_generator(),
            taken: settings.for_deserialize().into_generator(),
        }
    }

    /// Every schema that was referred to.
    fn schemas(mut self) -> Map<String, Value> {
        let mut schemas = self.given.take_definitions(true);
        schemas.extend(self.taken.take_definitions(true));
        schemas
    }
}

/// The description of the API: pretty printed JSON that ends with its last line. It is the same for every gateway of this
/// version.
#[must_use]
pub fn openapi() -> String {
    let (mut generators, mut responses) = (Generators::new(), Responses::default());
    let mut paths: Vec<(&str, InOrder<Value>)> = Vec::new();
    for row in ROWS {
        let operation = (
            if row.method == "GET" { "get" } else { "post" },
            operation(row, &mut generators, &mut responses),
        );
        match paths.iter_mut().find(|(path, _)| *path == row.path) {
            Some((_, operations)) => operations.0.push(operation),
            None => paths.push((row.path, InOrder(vec![operation]))),
        }
    }
    let document = Document {
        openapi: "3.1.0",
        info: info(),
        servers: json!([{"url": "/", "description": "Where this document came from."}]),
        security: json!([{}, {"bearer": []}, {"basic": []}, {"certificate": []}]),
        tags: Tag::ALL
            .map(|(tag, description)| json!({"name": tag.as_str(), "description": description}))
            .into(),
        paths: InOrder(paths),
        components: json!({
            "parameters": shared_parameters(),
            "headers": response::headers(),
            "responses": responses.shared,
            "schemas": generators.schemas(),
            "securitySchemes": security_schemes(),
        }),
    };
    // Our own types with text for keys: serialising them cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn info() -> Value {
    let description = format!(
        "{}.\n\n\
         Names of containers are short: without the prefix that all of them have. A parameter that an operation does not \
         list is refused (400), as is one that is given twice, and a body where none is taken, other than `{{}}`.\n\n\
         Errors are `{{\"error\": …}}`, or problem documents (RFC 9457) where `Accept` names `application/problem+json`. \
         A path that is not in here is answered 404, and another method 405 with `Allow`; `HEAD` works wherever `GET` \
         does. A head of more than {MAX_HEAD_BYTES} bytes is refused (431), as is a body of more than \
         {MAX_BODY_BYTES} (413); what is no HTTP at all, or twice as large, gets the bare status.\n\n\
         `Retry-After` is in whole seconds. No answer may be stored (`Cache-Control: no-store`).\n\n\
         Whether credentials are needed, and whose, is up to the configuration of each gateway; wrong ones are refused \
         everywhere (401).",
        env!("CARGO_PKG_DESCRIPTION").trim_end_matches('.'),
    );
    json!({
        "title": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "What can be asked of relayer-controller.",
        "description": description,
        "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": {"type": "http", "scheme": "bearer", "description": "A principal's token."},
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "The principal's name, and its token for the password.",
        },
        "certificate": {
            "type": "mutualTLS",
            "description": "A certificate with a name of the principal. An `Authorization` header counts before it.",
        },
    })
}

/// What several rows share: what a path can leave open, and headers.
fn shared_parameters() -> Value {
    json!({
        "CacheControl": {
            "name": "Cache-Control",
            "in": "header",
            "description": "`no-cache` asks the engine itself, whatever is in memory.",
            "schema": {"type": "string"},
            "example": "no-cache",
        },
        "IfNoneMatch": {
            "name": "If-None-Match",
            "in": "header",
            "description": "The tag of the answer that the client has.",
            "schema": {"type": "string"},
            "example": "\"_8-Wx4nXKXjA8n6hM7YO\"",
        },
        "name": {
            "name": "name",
            "in": "path",
            "required": true,
            "description": "The container's short name. A full name or an id is none.",
            "schema": {"type": "string", "pattern": ContainerName::PATTERN},
            "example": errors::EXAMPLE,
        },
        "command": {
            "name": "command",
            "in": "path",
            "required": true,
            "description": "The command's name, as the list of commands gives it.",
            "schema": {"type": "string", "pattern": CommandName::PATTERN},
            "example": "probe",
        },
    })
}

fn operation(row: &Row, generators: &mut Generators, responses: &mut Responses) -> Value {
    described(row, &rows::about(row.endpoint), generators, responses)
}

fn described(
    row: &Row,
    about: &About,
    generators: &mut Generators,
    responses: &mut Responses,
) -> Value {
    let in_path = row
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
    let in_query = about.parameters.iter().map(in_query);
    let in_header = about
        .headers
        .iter()
        .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
    let parameters: Vec<_> = in_path.chain(in_query).chain(in_header).collect();
    let problems = errors::of(row, about);
    let mut operation = Map::from_iter(
        [
            ("operationId", about.id.into()),
            ("tags", json!([about.tag.as_str()])),
            ("summary", about.summary.into()),
            ("description", description(row, about).into()),
            (
                "responses",
                responses.of(&about.answers, &problems, &mut generators.given),
            ),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(body) = &about.body {
        let schema = body.shape.schema(&mut generators.taken);
        let body = json!({
            "description": body.description,
            "required": body.is_required,
            "content": {"application/json": {"schema": schema, "example": body.example}},
        });
        operation.insert("requestBody".to_owned(), body);
    }
    operation.into()
}

fn description(row: &Row, about: &About) -> String {
    let has_name = row.path.contains("{name}");
    let needs = match row.needs {
        Need::Nothing => "Needs no credentials.".to_owned(),
        Need::Principal => "Needs no right, but a caller that the configuration knows.".to_owned(),
        Need::Facility(facility) => {
            format!("Needs the right to the gateway's `{}`.", facility.as_str())
        }
        Need::Verb(verb) if has_name => format!("Needs the verb `{verb}` on the container."),
        Need::Verb(verb) => {
            format!("About the containers on which the caller has the verb `{verb}`.")
        }
    };
    format!("{}\n\n{needs}", about.description)
}

fn in_query(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": parameter.schema,
        "example": parameter.example,
    })
}
