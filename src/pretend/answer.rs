//! How answers look on the wire.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SERVER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::json::ENGINE_VERSION;
use super::refusal::Refusal;
use super::route::API_VERSION;

/// The body of every answer; only one that was told to fails.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// JSON with a line's end after it, as dockerd writes it.
pub(super) fn json_value(status: StatusCode, value: &Value) -> Response<Body> {
    json_bytes(status, format!("{value}\n"))
}

/// Bytes that are said to be JSON.
pub(super) fn json_bytes(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    with_body(status, JSON, body)
}

/// Plain text.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    with_body(status, TEXT, body)
}

/// A status without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Bytes that come as they become known, until the stream ends.
pub(super) fn streamed(
    kind: &'static str,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> Response<Body> {
    streamed_until_broken(kind, pieces.map(Ok))
}

/// As [`streamed`]; the connection is cut at the first error.
pub(super) fn streamed_until_broken(
    kind: &'static str,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response<Body> {
    let frames = StreamBody::new(pieces.map(|piece| piece.map(Frame::data)));
    let mut response = Response::new(frames.boxed_unsync());
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A refusal in the engine's own words; clients of old API versions get plain text.
pub(super) fn refusal(refusal: &Refusal, plain: bool) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if plain {
        text(status, format!("{}\n", refusal.message))
    } else {
        json_value(status, &json!({ "message": refusal.message }))
    }
}

/// What Go's HTTP server says, before dockerd sees the request, and hangs up.
pub(super) fn bad_request(reason: &str) -> Response<Body> {
    let mut response = text(StatusCode::BAD_REQUEST, format!("400 Bad Request{reason}"));
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Adds what every answer of a known route carries.
pub(super) fn introduce(headers: &mut HeaderMap) {
    headers.insert("api-version", HeaderValue::from_static(API_VERSION));
    headers.insert("docker-experimental", HeaderValue::from_static("false"));
    headers.insert("ostype", HeaderValue::from_static("linux"));
    if let Ok(server) = HeaderValue::try_from(format!("Docker/{ENGINE_VERSION} (linux)")) {
        headers.insert(SERVER, server);
    }
}

fn with_body(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}
