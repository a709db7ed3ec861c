//! A row that has something of everything, as the document describes it.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::about::{About, Answer, Parameter, Sent, Tag};
use super::{Generators, Need, Responses, Row, described};
use crate::api::route::Endpoint;
use crate::policy::Verb;

/// A thing.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Thing {
    colour: Option<&'static str>,
}

/// A wish.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(rename = "colour")]
    _colour: Option<String>,
}

/// Asserts one value in the description of a row that has something of everything.
fn check(pointer: &str, expected: &Value) {
    let thing = Thing {
        colour: Some("red"),
    };
    let number = json!({"type": "integer"});
    let about = About::new("makeThings", Tag::Gateway, "Make things", "At once.")
        .takes(Parameter::new("count", "How many.", number, "2").or_else("Bad parameter: count"))
        .reads(Sent::json::<Wish>("Which.", json!({})).or_nothing())
        .gives(
            Answer::ok("All.")
                .json(&thing)
                .text("text/plain; x=y", "red")
                .lines(&thing)
                .events(&thing),
        )
        .gives(
            Answer::new(StatusCode::MULTI_STATUS, "Some.")
                .json(&thing)
                .narrowed(json!({"required": []})),
        )
        .gives(Answer::new(StatusCode::INTERNAL_SERVER_ERROR, "None.").json(&thing));
    let row = Row {
        method: "POST",
        path: "/container/{name}/things",
        needs: Need::Verb(Verb::Exec),
        endpoint: Endpoint::Health,
    };
    let (mut generators, mut responses) = (Generators::new(), Responses::default());
    let told = described(&row, &about, &mut generators, &mut responses);
    let told = json!({"operation": told, "schemas": generators.schemas()});
    assert_eq!(
        told.pointer(pointer),
        Some(expected),
        "{pointer} in {told:#}"
    );
}

#[test]
fn what_a_request_has() {
    check(
        "/operation/description",
        &json!("At once.\n\nNeeds the verb `exec` on the container."),
    );
    check(
        "/operation/parameters/0/$ref",
        &json!("#/components/parameters/name"),
    );
    check("/operation/parameters/1/name", &json!("count"));
    check("/operation/requestBody/required", &json!(false));
    let content = "/operation/requestBody/content/application~1json";
    check(
        &format!("{content}/schema"),
        &json!({"$ref": "#/components/schemas/Wish"}),
    );
    check(&format!("{content}/example"), &json!({}));
    // What may be left out of a request is in every answer.
    check("/schemas/Wish/additionalProperties", &json!(false));
    check("/schemas/Thing/required", &json!(["colour"]));
}

#[test]
fn what_answers_have() {
    let thing = json!({"$ref": "#/components/schemas/Thing"});
    let ok = "/operation/responses/200/content";
    check(&format!("{ok}/application~1json/schema"), &thing);
    check(
        &format!("{ok}/application~1json/examples"),
        &json!({"answer": {"value": {"colour": "red"}}}),
    );
    check(
        &format!("{ok}/text~1plain/schema"),
        &json!({"type": "string"}),
    );
    check(
        &format!("{ok}/application~1x-ndjson/schema/contentSchema"),
        &thing,
    );
    let line = json!("{\"colour\":\"red\"}\n");
    check(
        &format!("{ok}/application~1x-ndjson/examples/answer/value"),
        &line,
    );
    check(
        &format!("{ok}/text~1event-stream/schema/contentSchema"),
        &thing,
    );
    let event = json!("data: {\"colour\":\"red\"}\n\n");
    check(
        &format!("{ok}/text~1event-stream/examples/answer/value"),
        &event,
    );
    let some = "/operation/responses/207/content/application~1json/schema";
    check(some, &json!({"allOf": [thing, {"required": []}]}));
}

#[test]
fn what_errors_have() {
    let bad = "/operation/responses/400/content/application~1json/examples/countParameter/value";
    check(bad, &json!({"error": "Bad parameter: count"}));
    let forbidden = "/operation/responses/403/content/application~1json/examples/forbidden/value";
    check(
        forbidden,
        &json!({"error": "Forbidden: exec is not allowed on muxer"}),
    );
    // One status for an answer and for errors: it is either.
    let broken = "/operation/responses/500/content/application~1json";
    let either =
        json!([{"$ref": "#/components/schemas/Thing"}, {"$ref": "#/components/schemas/Error"}]);
    check(&format!("{broken}/schema/anyOf"), &either);
    check(
        &format!("{broken}/examples/answer/value"),
        &json!({"colour": "red"}),
    );
    check(
        "/operation/responses/413/$ref",
        &json!("#/components/responses/BodyTooLarge"),
    );
}
