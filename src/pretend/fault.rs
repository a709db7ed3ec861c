//! What can go wrong with an engine, on demand.

use std::convert::Infallible;
use std::future::pending;
use std::{fmt, io};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use tokio::task::yield_now;

use super::answer::{Body, empty, json_bytes};

/// How the engine fails. The fault comes in place of the work: what was asked is not done. What is being answered
/// already, such as a stream, goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It takes the request, and never answers.
    Stall,
    /// It answers a head, and never the body.
    StallBody,
    /// It answers 500 with a message.
    Fail,
    /// It answers bytes that are no HTTP, and closes.
    Garbage,
    /// It answers 200 with a body that is no JSON.
    NotJson,
    /// It closes the connection in the middle of the body.
    Cut,
    /// It answers 301 to another path.
    Redirect,
}

/// What [`Fault::Garbage`] writes.
pub(super) const GARBAGE: &[u8] = b"\x15\x03\x01 this is no HTTP\r\n\r\n";
/// The length that an unfinished body claims to have.
const CLAIMED_LENGTH: &str = "4096";

/// The answer is to be written past the HTTP server.
#[derive(Clone, Copy, Debug)]
pub(super) struct PastHttp;

impl fmt::Display for PastHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("told to answer garbage")
    }
}

impl std::error::Error for PastHttp {}

/// What a faulty engine answers.
pub(super) async fn answer(fault: Fault) -> Result<Response<Body>, PastHttp> {
    match fault {
        Fault::Stall => Ok(pending().await),
        Fault::StallBody => Ok(unfinished(
            StreamBody::new(stream::pending::<Result<_, Infallible>>())
                .map_err(|never| match never {})
                .boxed_unsync(),
        )),
        Fault::Fail => Ok(json_bytes(
            StatusCode::INTERNAL_SERVER_ERROR,
            "{\"message\":\"the pretend engine was told to fail\"}\n",
        )),
        Fault::Garbage => Err(PastHttp),
        Fault::NotJson => Ok(json_bytes(StatusCode::OK, "<html>this is no JSON</html>\n")),
        Fault::Cut => Ok(unfinished(cut())),
        Fault::Redirect => {
            let mut response = empty(StatusCode::MOVED_PERMANENTLY);
            let elsewhere = HeaderValue::from_static("/elsewhere");
            response.headers_mut().insert(LOCATION, elsewhere);
            Ok(response)
        }
    }
}

/// The first bytes of a body, and then an error that makes the server hang up.
fn cut() -> Body {
    let first = Frame::data(Bytes::from_static(b"[{\"Id\":\"4"));
    let frames = stream::iter([Ok(first)]).chain(stream::once(async {
        // Lets the server write out the first bytes before it learns that no others come.
        yield_now().await;
        Err(io::Error::other("told to cut the body"))
    }));
    StreamBody::new(frames).boxed_unsync()
}

fn unfinished(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static(CLAIMED_LENGTH));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
