//! Answers of the engine that go on: each has a connection of its own, which is closed when nobody reads on.

use std::fmt::Display;

use bollard::errors::Error as Theirs;
use bollard::{BollardRequest, body_full};
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Response, Uri, Version};
use serde::Deserialize;
use serde_json::Value;

use super::plain::Plain;
use super::transport::{Connection, Pool};
use super::{Engine, Error};

/// How much is read of an answer that says what went wrong.
const MAX_REFUSAL_BYTES: usize = 16 * 1024;

/// A question to the engine that bollard does not ask as we need it.
pub(super) struct Question {
    method: Method,
    path: String,
    body: Option<Value>,
    version: Version,
}

impl Question {
    /// A GET of this path and query, without the API's version.
    ///
    /// SECURITY: whatever of it comes from a caller has been parsed, and is written again by the one who calls this.
    pub(super) const fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            body: None,
            version: Version::HTTP_11,
        }
    }

    /// A POST of this value to this path and query.
    pub(super) const fn post(path: String, body: Value) -> Self {
        Self {
            method: Method::POST,
            path,
            body: Some(body),
            version: Version::HTTP_11,
        }
    }

    /// The same, to be answered without chunks: what comes while nobody reads then comes at once. The end of such an
    /// answer is the end of its connection, whatever ends that.
    pub(super) const fn without_chunks(mut self) -> Self {
        self.version = Version::HTTP_10;
        self
    }

    fn request(self) -> Result<BollardRequest, Theirs> {
        let body = self
            .body
            .map_or_else(Bytes::new, |body| body.to_string().into());
        let is_empty = body.is_empty();
        let mut request = BollardRequest::new(body_full(body));
        *request.method_mut() = self.method;
        *request.version_mut() = self.version;
        *request.uri_mut() = self.path.parse::<Uri>()?;
        if !is_empty {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
        }
        Ok(request)
    }
}

/// What the engine sends, as it comes. Dropped, it closes the connection.
pub(super) enum Upstream {
    /// In chunks, or of a known length.
    Framed {
        /// What is read.
        body: Incoming,
        /// What it comes on; none once all has come.
        _connection: Option<Connection>,
    },
    /// To the end of the connection.
    Plain(Plain),
}

impl Upstream {
    /// What comes next; none at the end. May wait for ever: not everything prints something.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] where the connection breaks.
    pub(super) async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        let broken = |error: &dyn Display| {
            Error::Broken(format!("the connection to the engine broke: {error}"))
        };
        let body = match self {
            Self::Framed { body, .. } => body,
            Self::Plain(plain) => {
                let chunk = plain.chunk().await.transpose()?;
                return Some(chunk.map_err(|error| broken(&error)));
            }
        };
        loop {
            let frame = match body.frame().await? {
                Ok(frame) => frame,
                Err(error) => return Some(Err(broken(&error))),
            };
            // Trailers are not for us.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Some(Ok(data));
            }
        }
    }
}

impl Engine {
    /// Asks, and gives the beginning of the answer once the engine has said yes. `call` is what it is counted as.
    ///
    /// # Errors
    ///
    /// The engine's own.
    pub(super) async fn open(
        &self,
        call: &'static str,
        question: Question,
    ) -> Result<Upstream, Error> {
        self.within(call, self.timeout, open(&self.pool, question))
            .await
    }

    /// Asks, and gives the whole answer, which has at most `limit` bytes. The connection is used again. `call` is what it
    /// is counted as.
    ///
    /// # Errors
    ///
    /// The engine's own, and [`Error::Garbled`] where the answer is longer.
    pub(super) async fn fetch(
        &self,
        call: &'static str,
        question: Question,
        limit: usize,
    ) -> Result<Bytes, Error> {
        self.within(call, self.timeout, fetch(&self.pool, question, limit))
            .await
    }
}

async fn fetch(pool: &Pool, question: Question, limit: usize) -> Result<Bytes, Theirs> {
    let response = pool.send(question.request()?).await?;
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let body = Limited::new(response.into_body(), limit).collect().await;
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => (*error).into(),
            Err(_) => Theirs::DockerStreamError {
                error: format!("an answer of more than {limit} bytes"),
            },
        }),
    }
}

async fn open(pool: &Pool, question: Question) -> Result<Upstream, Theirs> {
    let (connection, response) = pool.exchange(question.request()?).await?;
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    if !is_to_the_end(&response) {
        return Ok(Upstream::Framed {
            body: response.into_body(),
            _connection: Some(connection),
        });
    }
    Ok(match connection.take(response.into_body()).await {
        Ok((read, stream)) => Upstream::Plain(Plain::new(read, stream)),
        Err(body) => Upstream::Framed {
            body,
            _connection: None,
        },
    })
}

/// Whether the end of this answer is the end of its connection.
fn is_to_the_end(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    let is_framed = [CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .any(|name| headers.contains_key(name));
    !response.body().is_end_stream() && !is_framed
}

async fn refused(response: Response<Incoming>) -> Theirs {
    /// How the engine says no.
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let status_code = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_REFUSAL_BYTES);
    let body = body.collect().await.map(Collected::to_bytes);
    let message = match &body {
        Ok(body) => serde_json::from_slice::<Refusal>(body).map_or_else(
            |_| String::from_utf8_lossy(body).into_owned(),
            |refusal| refusal.message,
        ),
        Err(_) => String::new(),
    };
    Theirs::DockerResponseServerError {
        status_code,
        message,
    }
}
