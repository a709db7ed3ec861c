//! The handshake of a WebSocket (RFC 6455, section 4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, StatusCode, Version};
use hyper_tungstenite::tungstenite::handshake::derive_accept_key;

use super::problem::Problem;
use super::reply::Response;
use crate::server::{Body, Request, has_word};

/// What is spoken over a WebSocket here.
pub(super) const SUBPROTOCOL: &str = "relayer-controller.events";

/// The only version that there is.
pub(super) const VERSION: HeaderValue = HeaderValue::from_static("13");

/// How many bytes a key is of.
const KEY_BYTES: usize = 16;

/// A handshake that can be answered.
pub(super) struct Handshake {
    accept: HeaderValue,
    has_subprotocol: bool,
}

impl Handshake {
    /// The handshake that a request asks for; none where it asks for none.
    ///
    /// # Errors
    ///
    /// Where it does so in a way that cannot be answered.
    pub(super) fn asked_by(request: &Request) -> Result<Option<Self>, Problem> {
        let head = &request.head;
        let headers = &head.headers;
        let can_ask = head.method == Method::GET && head.version == Version::HTTP_11;
        if !can_ask || !request.asks_for_websocket {
            return Ok(None);
        }
        if !has_word(headers.get_all(CONNECTION), "upgrade") {
            return Err(bad(&CONNECTION, "a WebSocket needs `Upgrade` in it"));
        }
        if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            return Err(Problem::OtherVersion);
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let is_key = |key: &&[u8]| {
            STANDARD
                .decode(key)
                .is_ok_and(|bytes| bytes.len() == KEY_BYTES)
        };
        let accept = key
            .filter(is_key)
            .and_then(|key| HeaderValue::try_from(derive_accept_key(key)).ok());
        let accept = accept.ok_or_else(|| {
            bad(
                &SEC_WEBSOCKET_KEY,
                "it is the Base64 of 16 bytes that were chosen at random",
            )
        })?;
        let mut offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().peekable();
        let has_subprotocol = offered.peek().is_some();
        if has_subprotocol && !has_word(offered, SUBPROTOCOL) {
            let why = format!("offer `{SUBPROTOCOL}`, which is what is spoken here");
            return Err(bad(&SEC_WEBSOCKET_PROTOCOL, &why));
        }
        Ok(Some(Self {
            accept,
            has_subprotocol,
        }))
    }

    /// The answer to it.
    pub(super) fn answer(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if self.has_subprotocol {
            // SECURITY: of what was offered this alone is repeated; beside it may be a token.
            let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
            headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
        }
        response
    }
}

fn bad(header: &HeaderName, what: &str) -> Problem {
    Problem::Input(format!("Bad header: {header}: {what}"))
}
