//! Questions to a gateway, and its answers.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::address::Address;
use super::failure::{Failure, Refusal};
use super::path::Path;
use super::text::plain;
use super::token::{TOKEN, Token};
use super::trust::{self, Files};
use crate::cli::connection::{Connection, Tls};

/// How long a connection may take. For the answer there is no limit: a stop takes what the container takes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read of an answer which is not a stream, in bytes.
const MAX_DOCUMENT: usize = 16 << 20;

/// JSON texts, one a line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// Server-sent events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// One gateway, and who asks it.
pub(super) struct Client {
    address: Address,
    files: Files,
    tls: Option<Tls>,
    token: Option<Token>,
    /// Whether the token may go where others can read it.
    is_bold: bool,
}

/// A question.
pub(super) struct Ask {
    method: Method,
    path: Path,
    accept: &'static str,
    body: Bytes,
}

impl Ask {
    pub(super) const fn get(path: Path) -> Self {
        Self {
            method: Method::GET,
            path,
            accept: "application/json",
            body: Bytes::new(),
        }
    }

    /// A POST with a JSON text, or with nothing.
    pub(super) fn post(path: Path, body: Option<&serde_json::Value>) -> Self {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        Self {
            method: Method::POST,
            body,
            ..Self::get(path)
        }
    }

    /// For an answer in this form.
    pub(super) const fn for_answer_in(mut self, media_type: &'static str) -> Self {
        self.accept = media_type;
        self
    }
}

/// A good answer that is yet to be read.
pub(super) struct Answer {
    status: StatusCode,
    media_type: Option<HeaderValue>,
    body: Incoming,
    _connection: Connection,
}

/// A good answer: a JSON text.
pub(super) struct Document {
    pub(super) status: StatusCode,
    /// As it came.
    pub(super) text: Bytes,
}

impl Document {
    /// What it says.
    ///
    /// # Errors
    ///
    /// Where it does not say that.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read(&self.text)
    }
}

/// What a JSON text of the gateway says.
///
/// # Errors
///
/// Where it does not say that.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(text).map_err(|error| {
        // SECURITY: the error may repeat a part of the text.
        let error = error.to_string();
        Failure::Broken(format!(
            "the answer is not what a relayer-controller of this version says: {}",
            plain(&error)
        ))
    })
}

impl Client {
    /// One for this address.
    ///
    /// # Errors
    ///
    /// Where the token or a file of TLS cannot be used.
    pub(super) fn new(
        address: Address,
        files: Files,
        token: Option<Token>,
        is_bold: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            tls: trust::tls(&address, &files)?,
            address,
            files,
            token,
            is_bold,
        })
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// As [`Client::begin`]; and where the answer breaks off, or is no JSON text.
    pub(super) async fn document(&self, ask: Ask) -> Result<Document, Failure> {
        let answer = self.begin(ask).await?;
        let text = whole(answer.body).await?;
        if serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_err() {
            return Err(self.stranger(answer.status));
        }
        Ok(Document {
            status: answer.status,
            text,
        })
    }

    /// Asks, and gives a good answer when it begins.
    ///
    /// # Errors
    ///
    /// Where there is no gateway, or it says no.
    pub(super) async fn begin(&self, ask: Ask) -> Result<Answer, Failure> {
        let mut connection = self.connect().await?;
        let is_change = ask.method == Method::POST;
        let request = self.request(ask, &connection)?;
        let response = connection
            .send(request)
            .await
            .map_err(|error| self.unanswered(&error, is_change))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        Ok(Answer {
            status: response.status(),
            media_type: response.headers().get(CONTENT_TYPE).cloned(),
            body: response.into_body(),
            _connection: connection,
        })
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let address = &self.address;
        let opened = Connection::open(&address.place, self.tls.as_ref(), CONNECT_TIMEOUT).await;
        opened.map_err(|error| {
            let told = if let Some(advice) = self.advice(&error) {
                format!("cannot connect to {address}: {advice}")
            } else {
                format!(
                    "cannot connect to {address}: {error}; is relayer-controller running there? see `--url` \
                     (`RELAYER_CONTROLLER_URL`)"
                )
            };
            Failure::Unreachable(told)
        })
    }

    fn request(&self, ask: Ask, connection: &Connection) -> Result<Request<Full<Bytes>>, Failure> {
        let no = |why: String| Failure::Usage(format!("that cannot be asked for: {why}"));
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method;
        let target = format!("{}{}", self.address.base, ask.path);
        *request.uri_mut() = target
            .parse()
            .map_err(|error: hyper::http::uri::InvalidUri| no(error.to_string()))?;
        let headers = request.headers_mut();
        let host = HeaderValue::try_from(&self.address.host);
        headers.insert(HOST, host.map_err(|error| no(error.to_string()))?);
        headers.insert(ACCEPT, HeaderValue::from_static(ask.accept));
        let agent = concat!("relayer-controller/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if !ask.body.is_empty() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(CONTENT_TYPE, json);
        }
        if let Some(token) = &self.token {
            // SECURITY: whoever is on the way could read it, and be us from then on.
            let is_open = self.tls.is_none() && connection.peer.is_some_and(is_elsewhere);
            if is_open && !self.is_bold {
                return Err(Failure::Usage(format!(
                    "the token of {} would go to {} for everybody on the way to read, and was not sent; use `https://`, \
                     or say `--plaintext-token` where the network is your own",
                    token.source, self.address
                )));
            }
            headers.insert(AUTHORIZATION, token.header.clone());
        }
        Ok(request)
    }

    /// What TLS has to say about an error.
    fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        self.tls.as_ref()?;
        trust::words(&self.address, &self.files).advice(error)
    }

    fn unanswered(&self, error: &hyper::Error, is_change: bool) -> Failure {
        let address = &self.address;
        // Only now does TLS 1.3 tell a client that its certificate was not accepted.
        if let Some(advice) = self.advice(error) {
            return Failure::Unreachable(format!("cannot connect to {address}: {advice}"));
        }
        if error.is_parse() {
            let hint = if self.address.is_tls {
                ""
            } else {
                "; does it have TLS? then the address is `https://…`"
            };
            return Failure::Broken(format!(
                "what answers at {address} does not speak HTTP{hint}"
            ));
        }
        let hint = if is_change {
            "; it may have been done all the same: `relayer-controller ctl status` tells"
        } else {
            ""
        };
        Failure::Broken(format!(
            "{address} closed the connection without an answer: {}{hint}",
            why(error)
        ))
    }

    async fn refusal(&self, response: Response<Incoming>) -> Failure {
        /// How a gateway says no.
        #[derive(Deserialize)]
        struct Words {
            error: String,
        }
        let (head, body) = response.into_parts();
        if head.status.is_redirection() {
            let to = head.headers.get(LOCATION).map(HeaderValue::as_bytes);
            let to = String::from_utf8_lossy(to.unwrap_or_default()).into_owned();
            // SECURITY: whoever answers could have the token sent anywhere.
            return Failure::Broken(format!(
                "{} sends us on to `{}`, where we do not go; if that is right, say it in `--url`",
                self.address,
                plain(&to)
            ));
        }
        let text = match whole(body).await {
            Ok(text) => text,
            Err(failure) => return failure,
        };
        let Ok(words) = serde_json::from_slice::<Words>(&text) else {
            return self.stranger(head.status);
        };
        let told = plain(&words.error).into_owned();
        Failure::Refused(Box::new(Refusal {
            status: head.status,
            told: format!("{told}{}", self.hint(head.status, &told, &head.headers)),
            printed: serde_json::from_slice(&text).unwrap_or_default(),
            document: Some(text),
        }))
    }

    /// What to do about a refusal, where the gateway's own words do not say it.
    fn hint(&self, status: StatusCode, told: &str, headers: &HeaderMap) -> String {
        if status == StatusCode::UNAUTHORIZED {
            return match &self.token {
                None => format!(
                    ": it wants to know who asks; set `{TOKEN}`, or name a file that has the token in `--token-file`"
                ),
                Some(token) => format!(
                    ": it does not accept the token of {}; was it replaced, or has it expired?",
                    token.source
                ),
            };
        }
        if status == StatusCode::NOT_FOUND && told == "Not found" {
            let address = &self.address;
            return format!(
                ": the gateway at {address} does not know this; is it of an older version?"
            );
        }
        let wait = headers.get(RETRY_AFTER).and_then(|wait| wait.to_str().ok());
        match wait {
            Some(seconds) if !told.contains("try again") => {
                format!("; try again in {}s", plain(seconds))
            }
            Some(_) | None => String::new(),
        }
    }

    /// What answers is no gateway.
    fn stranger(&self, status: StatusCode) -> Failure {
        Failure::Broken(format!(
            "what answers at {} ({status}) is no relayer-controller; see `--url` (`RELAYER_CONTROLLER_URL`)",
            self.address
        ))
    }
}

impl Answer {
    /// Whether it is JSON texts, one a line.
    ///
    /// # Errors
    ///
    /// Where it is something else.
    pub(super) fn ndjson(self) -> Result<Self, Failure> {
        self.in_form(NDJSON)
    }

    /// Whether it is server-sent events.
    ///
    /// # Errors
    ///
    /// Where it is something else.
    pub(super) fn event_stream(self) -> Result<Self, Failure> {
        self.in_form(EVENT_STREAM)
    }

    fn in_form(self, media_type: &str) -> Result<Self, Failure> {
        let given = self.media_type.as_ref().map(HeaderValue::as_bytes);
        if given.is_some_and(|given| given.starts_with(media_type.as_bytes())) {
            return Ok(self);
        }
        Err(Failure::Broken(
            "the answer does not come line by line; is the gateway of an older version?".to_owned(),
        ))
    }

    /// What comes next; none at the end.
    ///
    /// # Errors
    ///
    /// Where it breaks off before its end.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| broken_off(&error))?;
            // Trailers are not for us.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// Whether this machine is not the other end too. By the address that was reached: a name can lead anywhere.
fn is_elsewhere(peer: SocketAddr) -> bool {
    !peer.ip().to_canonical().is_loopback()
}

async fn whole(body: Incoming) -> Result<Bytes, Failure> {
    match Limited::new(body, MAX_DOCUMENT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::Broken(format!(
            "the answer is longer than {} MiB",
            MAX_DOCUMENT >> 20
        ))),
        Err(error) => Err(broken_off(error.as_ref())),
    }
}

fn broken_off(error: &(dyn Error + 'static)) -> Failure {
    Failure::Broken(format!("the answer broke off: {}", why(error)))
}

/// The innermost reason: what lies around it says that there is one.
fn why(error: &(dyn Error + 'static)) -> String {
    let mut why = error;
    while let Some(inner) = why.source() {
        why = inner;
    }
    why.to_string()
}

#[cfg(test)]
mod tests {
    use super::is_elsewhere;

    #[test]
    fn only_loopback_is_this_machine() {
        for (peer, expected) in [
            ("127.0.0.1:1", false),
            ("127.8.9.10:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("10.0.0.7:1", true),
            ("0.0.0.0:1", true),
            ("[::ffff:10.0.0.7]:1", true),
            ("[fe80::1]:1", true),
        ] {
            assert_eq!(is_elsewhere(peer.parse().unwrap()), expected, "{peer}");
        }
    }
}
