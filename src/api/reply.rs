//! Answers: values into JSON, with the headers that every answer has.

use std::collections::BTreeMap;
use std::io;
use std::sync::LazyLock;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, VARY};
use hyper::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::X_REQUEST_ID;
use super::openapi::Word;
use crate::engine::{Rendered, Status, View};
use crate::policy::{ContainerName, Principal};
use crate::server;
use crate::server::Body;

/// An answer.
pub(super) type Response = hyper::Response<Body>;

/// All managed containers that exist and that the caller may see.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Containers {
    /// Sorted by name.
    pub(super) containers: Vec<Status>,
}

/// All that is shown of a container, and what the caller may do to it. Times are RFC 3339 in UTC.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Container<'seen> {
    #[serde(flatten)]
    pub(super) view: &'seen View,
    /// What this caller may do to it.
    #[schemars(with = "Vec<Word>")]
    pub(super) verbs: Vec<&'static str>,
}

/// A change that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Changed<'name> {
    /// What was done, such as `started`.
    pub(super) status: &'static str,
    /// The short name.
    #[schemars(regex(pattern = ContainerName::PATTERN))]
    pub(super) container: &'name str,
}

/// What came of a batch.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Results<'name> {
    /// In the order in which they were asked for; by name where all were.
    pub(super) results: Vec<ItemResult<'name>>,
}

/// What came of one item of a batch.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(deny_unknown_fields)]
pub(super) enum ItemResult<'name> {
    /// It is so.
    Good {
        /// The short name.
        #[schemars(regex(pattern = ContainerName::PATTERN))]
        container: &'name str,
        /// What was done, such as `started`.
        status: &'static str,
        /// Whether it was not so already.
        changed: bool,
    },
    /// It is not.
    Bad {
        /// The name as it was asked for.
        container: &'name str,
        /// As a request for this container alone would have been answered.
        error: String,
        /// The HTTP status of that answer.
        #[schemars(range(min = 400, max = 599))]
        code: u16,
    },
}

/// Whether the engine answers.
#[expect(
    clippy::struct_field_names,
    reason = "the answer is `{\"ready\":true}`"
)]
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Ready {
    /// Whether it does.
    pub(super) ready: bool,
    /// Why it does not.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// Given where state is not served from memory: reads go to the engine meanwhile.
    #[schemars(with = "String", extend("const" = NOT_CURRENT))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mirror: Option<&'static str>,
}

/// What is said of a mirror that is not current.
pub(super) const NOT_CURRENT: &str = "not current";

/// Who the caller is, and what it may do.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Whoami<'caller> {
    /// Its name in the configuration; `anonymous` where it shows no credentials.
    #[schemars(regex(pattern = Principal::PATTERN))]
    pub(super) principal: String,
    /// The roles that it has.
    pub(super) roles: Vec<&'caller str>,
    /// Which configuration is in force: the first twelve digits of the SHA-256 of its text.
    #[schemars(regex(pattern = "^[0-9a-f]{12}$"))]
    pub(super) revision: &'caller str,
    /// By container, what the caller may do to it.
    #[schemars(
        with = "BTreeMap<String, Vec<Word>>",
        extend("propertyNames" = { "pattern": ContainerName::PATTERN })
    )]
    pub(super) containers: BTreeMap<&'caller str, Vec<&'static str>>,
}

/// Why a request was not answered as it was meant to be.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Error {
    /// The reason, for people.
    pub(super) error: String,
}

/// The same as a problem document of RFC 9457, for those who ask for `application/problem+json`.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Problem")]
pub(super) struct ProblemDocument {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    #[schemars(extend("const" = ABOUT_BLANK))]
    pub(super) kind: &'static str,
    /// The status in words.
    pub(super) title: &'static str,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    pub(super) status: u16,
    /// The reason, for people: what `error` is otherwise.
    pub(super) detail: String,
}

/// The kind of a problem that its status says all about.
pub(super) const ABOUT_BLANK: &str = "about:blank";

/// State is true for a moment; and without this a cache may keep even a 404.
const NO_STORE: &str = "no-store";

/// The headers of an answer that whoever asked may keep, and ask about each time; another caller may see something else.
///
/// Copied whole, with places for what differs, because it takes longer to look up where each of them belongs. Those places
/// come first: they are found by going through.
static KEPT: LazyLock<HeaderMap> = LazyLock::new(|| {
    headers([
        (ETAG, ""),
        (X_REQUEST_ID, ""),
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "private, no-cache"),
        (VARY, "Authorization"),
    ])
});

/// The headers of an answer that is not modified: those of [`KEPT`] but for what tells of a body.
static NOT_MODIFIED: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut headers = KEPT.clone();
    headers.remove(CONTENT_TYPE);
    headers
});

/// An answer without a body.
pub(super) fn nothing(status: StatusCode) -> Response {
    let mut response = Response::new(server::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    json_as("application/json", status, value)
}

/// An answer in a media type that is JSON too.
pub(super) fn json_as(
    media_type: &'static str,
    status: StatusCode,
    value: &impl Serialize,
) -> Response {
    // Our own types with text for keys: serialising them cannot fail.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = whole(media_type, body.into());
    *response.status_mut() = status;
    response
}

/// A good answer in another media type.
pub(super) fn text(media_type: &'static str, text: String) -> Response {
    whole(media_type, text.into())
}

/// A good answer in JSON that is written already.
pub(super) fn written(json: Bytes) -> Response {
    whole("application/json", json)
}

/// The same, which whoever asked may keep, and ask about each time.
pub(super) fn kept(rendered: &Rendered) -> Response {
    let mut response = Response::new(server::whole(rendered.json().clone()));
    *response.headers_mut() = tagged(&KEPT, rendered);
    response
}

/// The answer to whoever has kept it as it is.
pub(super) fn not_modified(rendered: &Rendered) -> Response {
    let mut response = nothing(StatusCode::NOT_MODIFIED);
    *response.headers_mut() = tagged(&NOT_MODIFIED, rendered);
    response
}

/// Says in an answer what its request is called in the log. One that was ready has a place for that.
pub(super) fn set_request_id(response: &mut Response, id: HeaderValue) {
    let headers = response.headers_mut();
    let mut all = headers.iter_mut();
    match all.find(|(name, _)| *name == X_REQUEST_ID) {
        Some((_, place)) => *place = id,
        None => {
            headers.insert(X_REQUEST_ID, id);
        }
    }
}

fn tagged(headers: &HeaderMap, rendered: &Rendered) -> HeaderMap {
    let mut headers = headers.clone();
    if let Some((_, place)) = headers.iter_mut().find(|(name, _)| *name == ETAG) {
        *place = rendered.tag().clone();
    }
    headers
}

fn headers<const COUNT: usize>(all: [(HeaderName, &'static str); COUNT]) -> HeaderMap {
    let all = all.into_iter();
    all.map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect()
}

/// A listing of containers whose statuses are written already: a [`Containers`].
pub(super) fn containers(statuses: &[Rendered]) -> Rendered {
    let (before, after) = (br#"{"containers":["#, b"]}");
    let length = statuses
        .iter()
        .map(|status| status.json().len() + 1)
        .sum::<usize>();
    let mut json = BytesMut::with_capacity(before.len() + length + after.len());
    json.put_slice(before);
    for (number, status) in statuses.iter().enumerate() {
        if number > 0 {
            json.put_u8(b',');
        }
        json.put_slice(status.json());
    }
    json.put_slice(after);
    Rendered::from_json(json)
}

/// A good answer that comes piece by piece.
pub(super) fn stream(
    media_type: &'static str,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    with_body(media_type, NO_STORE, server::streamed(pieces))
}

fn whole(media_type: &'static str, body: Bytes) -> Response {
    with_body(media_type, NO_STORE, server::whole(body))
}

fn with_body(media_type: &'static str, caching: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

#[cfg(test)]
mod tests {
    use super::{Containers, containers};
    use crate::engine::{Rendered, State, Status};

    #[test]
    fn a_listing_is_written_as_it_is_described() {
        let all = ["a", "b", "c"].map(|name| Status::new(name, State::Running));
        for count in 0..=all.len() {
            let some = all[..count].to_vec();
            let written: Vec<_> = some.iter().map(Rendered::of).collect();
            assert_eq!(
                containers(&written),
                Rendered::of(&Containers { containers: some })
            );
        }
    }
}
