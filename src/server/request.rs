//! One request as the server hands it to a face: its head, numbered, and its body, yet to be read within limits.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{HOST, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts;
use hyper::{Request as HttpRequest, Version};

use super::{Peer, has_word};

/// The most bytes that the head of a request can have: request line and headers.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most bytes that a body can have.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// A request, without its body.
pub struct Request {
    /// What it is called in the log and in `X-Request-Id`.
    pub id: RequestId,
    /// Who sends it.
    pub peer: Peer,
    /// Its request line and headers.
    pub head: Parts,
    /// Whether it asks to speak WebSocket from then on.
    pub asks_for_websocket: bool,
    /// How long its body may take to come.
    pub body_timeout: Duration,
    /// Whether its body comes in chunks.
    pub(super) is_chunked: bool,
    /// How many bytes its target and its headers have.
    length: usize,
    /// How many Host headers it has.
    hosts: usize,
}

/// The body of a request, yet to be read.
pub struct RequestBody(Incoming);

/// Why the server does not let a request through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The head has more than [`MAX_HEAD_BYTES`].
    HeadTooLarge,
    /// More than [`MAX_BODY_BYTES`].
    BodyTooLarge,
    /// The client took longer than this to send the body.
    TooSlow(Duration),
    /// It is no HTTP/1.1 as it should be. Says what is wrong.
    Malformed(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadTooLarge => write!(f, "Header too large: at most {MAX_HEAD_BYTES} bytes"),
            Self::BodyTooLarge => write!(f, "Body too large: at most {MAX_BODY_BYTES} bytes"),
            Self::TooSlow(limit) => write!(
                f,
                "Request timeout: not all of it came within {}",
                humantime::format_duration(*limit)
            ),
            Self::Malformed(what) => write!(f, "Bad request: {what}"),
        }
    }
}

impl Request {
    pub(super) fn new(
        request: HttpRequest<Incoming>,
        peer: Peer,
        body_timeout: Duration,
    ) -> (Self, RequestBody) {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query();
        let mut request = Self {
            id: RequestId::next(),
            peer,
            asks_for_websocket: false,
            body_timeout,
            is_chunked: false,
            length: target.map_or(0, |target| target.as_str().len()),
            hosts: 0,
            head,
        };
        for (name, value) in &request.head.headers {
            // Four for `: ` and the line's end.
            request.length += name.as_str().len() + value.len() + 4;
            request.hosts += usize::from(name == HOST);
            request.is_chunked |= name == TRANSFER_ENCODING;
            request.asks_for_websocket |= name == UPGRADE && has_word([value], "websocket");
        }
        (request, RequestBody(body))
    }

    /// Checks the head against the limits.
    ///
    /// # Errors
    ///
    /// The limit that it breaks.
    pub fn check_head(&self) -> Result<(), Refusal> {
        if self.length > MAX_HEAD_BYTES {
            return Err(Refusal::HeadTooLarge);
        }
        match (self.head.version, self.hosts) {
            (_, 2..) => Err(Refusal::Malformed("more than one Host header")),
            (Version::HTTP_11, 0) => Err(Refusal::Malformed("no Host header")),
            _ => Ok(()),
        }
    }
}

impl RequestBody {
    /// Whether there is none.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.0.is_end_stream()
    }

    /// Reads all of it, which may take so long.
    ///
    /// # Errors
    ///
    /// When it is too large, too slow, or breaks off.
    pub async fn read(self, timeout: Duration) -> Result<Bytes, Refusal> {
        if self.is_absent() {
            return Ok(Bytes::new());
        }
        let Self(body) = self;
        // What the client announces is refused before it is sent.
        let limit = u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX);
        if body.size_hint().lower() > limit {
            return Err(Refusal::BodyTooLarge);
        }
        let body = Limited::new(body, MAX_BODY_BYTES).collect();
        match tokio::time::timeout(timeout, body).await {
            Err(_) => Err(Refusal::TooSlow(timeout)),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge),
            Ok(Err(_)) => Err(Refusal::Malformed("the body breaks off or is badly framed")),
            Ok(Ok(body)) => Ok(body.to_bytes()),
        }
    }
}

/// What a request is called in the log and in `X-Request-Id`: 16 hexadecimal digits, of which the first half is this
/// process's and the second counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u32, u32);

impl RequestId {
    /// The next one.
    #[must_use]
    pub fn next() -> Self {
        static PROCESS: OnceLock<u32> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let process = PROCESS.get_or_init(|| {
            let random = RandomState::new().hash_one(std::process::id());
            u32::try_from(random >> 32).unwrap_or_default()
        });
        Self(*process, COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Its digits, in ASCII.
    #[must_use]
    pub fn digits(self) -> [u8; 16] {
        let mut number = u64::from(self.0) << 32 | u64::from(self.1);
        let mut digits = [0; 16];
        for digit in digits.iter_mut().rev() {
            // Four bits: it is a digit always.
            let value = u8::try_from(number & 0xf).unwrap_or_default();
            *digit = value + if value < 10 { b'0' } else { b'a' - 10 };
            number >>= 4;
        }
        digits
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::RequestId;

    #[test]
    fn a_name_is_sixteen_digits() {
        for (id, expected) in [
            (RequestId(0, 0), "0000000000000000"),
            (RequestId(0x3e8a_a595, 0x9_0a0f), "3e8aa59500090a0f"),
            (RequestId(u32::MAX, u32::MAX), "ffffffffffffffff"),
        ] {
            assert_eq!(id.to_string(), expected);
        }
    }
}
