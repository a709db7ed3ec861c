//! Answers: values into JSON, with the headers that every answer has.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use futures_util::Stream;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use crate::engine::{Status, View};
use crate::server;
use crate::server::Body;

/// An answer.
pub(super) type Response = hyper::Response<Body>;

/// The answer to `/containers`.
#[derive(Serialize)]
pub(super) struct Containers {
    pub(super) containers: Vec<Status>,
}

/// The answer to `/container/<name>`.
#[derive(Serialize)]
pub(super) struct Container {
    #[serde(flatten)]
    pub(super) view: View,
    /// What this caller may do to it.
    pub(super) verbs: Vec<&'static str>,
}

/// The answer to a change.
#[derive(Serialize)]
pub(super) struct Changed<'name> {
    /// What was done, such as `started`.
    pub(super) status: &'static str,
    pub(super) container: &'name str,
}

/// The answer to `/ready`.
#[derive(Serialize)]
pub(super) struct Ready {
    pub(super) ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// The answer to `/whoami`.
#[derive(Serialize)]
pub(super) struct Whoami<'caller> {
    pub(super) principal: String,
    pub(super) roles: Vec<&'caller str>,
    /// Which configuration is in force.
    pub(super) revision: &'caller str,
    /// By container, what the caller may do to it.
    pub(super) containers: BTreeMap<&'caller str, Vec<&'static str>>,
}

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

/// A good answer that comes piece by piece.
pub(super) fn stream(
    media_type: &'static str,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    with_body(media_type, server::streamed(pieces))
}

fn whole(media_type: &'static str, body: Bytes) -> Response {
    with_body(media_type, server::whole(body))
}

fn with_body(media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    // State is true for a moment; and without this a cache may keep even a 404.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
