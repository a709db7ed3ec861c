//! What goes wrong, as HTTP says it: the only place that names status codes of errors.

use std::fmt;

use hyper::header::{
    ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::exec::Unfinished;
use super::handshake::VERSION;
use super::media::{PROBLEM_JSON, accepts};
use super::reply::{self, ABOUT_BLANK, Error, ProblemDocument, Response};
use crate::engine;
use crate::gateway::{Failure, Unreached};
use crate::limits::Wait;
use crate::policy::Principal;
use crate::server::Refusal;

/// How an error is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `{"error":"…"}`.
    Plain,
    /// A problem document.
    Document,
}

impl Form {
    /// The form that a request's `Accept` asks for.
    pub(super) fn asked_by(request: &HeaderMap) -> Self {
        if accepts(request, PROBLEM_JSON) {
            Self::Document
        } else {
            Self::Plain
        }
    }
}

/// An error as `{"error":"…"}`, and what there is besides the words.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{M}Error")]
pub(super) struct Plain<M> {
    #[serde(flatten)]
    pub(super) error: Error,
    #[serde(flatten)]
    pub(super) more: M,
}

/// An error as a problem document of RFC 9457, and what there is besides the words.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{M}Problem")]
pub(super) struct Document<M> {
    #[serde(flatten)]
    pub(super) document: ProblemDocument,
    /// Under a name of its own: a `status` in it is another than the document's.
    pub(super) details: M,
}

/// What there is besides the words.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum More<'problem> {
    /// A command took too long.
    Unfinished(Unfinished<'problem>),
    /// A container did not become what it should.
    Unreached(&'problem Unreached),
}

/// Why a request gets an error for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// No such path.
    NoSuchPath,
    /// The path is known; these are its methods.
    OtherMethod(String),
    /// It shows no credentials where some are needed, or wrong ones; the answer does not tell which.
    Unauthorized,
    /// It would change something, and comes from a page of another site.
    CrossSite,
    /// It asks for a WebSocket, and comes from a page of another site.
    CrossSiteSocket,
    /// It asks for a WebSocket of another version than there is.
    OtherVersion,
    /// Its `Host` is a name by which this gateway is not called.
    ForeignHost(String),
    /// Too many requests from where it comes from.
    AddressLimit(Wait),
    /// Too many requests of this principal.
    PrincipalLimit(Principal, Wait),
    /// A parameter or body that is not as it should be; the text names it.
    Input(String),
    /// The server did not let it through.
    Refused(Refusal),
    /// The gateway did not carry it out.
    Failed(Failure),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPath => f.write_str("Not found"),
            Self::OtherMethod(_) => f.write_str("Method not allowed"),
            Self::Unauthorized => f.write_str("Unauthorized"),
            Self::CrossSite => {
                f.write_str("Forbidden: a page of another site cannot change anything")
            }
            Self::CrossSiteSocket => f.write_str(
                "Forbidden: a page of another site cannot open a WebSocket unless server.cors of the configuration \
                 lists its origin",
            ),
            Self::OtherVersion => {
                f.write_str("Bad header: sec-websocket-version: 13 is the only version that there is")
            }
            Self::ForeignHost(host) => write!(
                f,
                "Forbidden: the host {host} is not listed in server.hosts of the configuration"
            ),
            Self::AddressLimit(wait) => {
                write!(
                    f,
                    "Too many requests from this address: try again in {wait}"
                )
            }
            Self::PrincipalLimit(principal, wait) => {
                write!(f, "Too many requests of {principal}: try again in {wait}")
            }
            Self::Input(what) => f.write_str(what),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// The status that a request is answered with, by what came of it.
pub(super) fn status_of(answer: Result<(), &Failure>) -> u16 {
    answer.map_or_else(status, |()| StatusCode::OK).as_u16()
}

const fn status(failure: &Failure) -> StatusCode {
    match failure {
        Failure::NotFound(_) | Failure::NoSuchCommand(_) => StatusCode::NOT_FOUND,
        Failure::Forbidden { .. } | Failure::FacilityForbidden(_) => StatusCode::FORBIDDEN,
        Failure::AlreadyRunning
        | Failure::AlreadyStopped
        | Failure::NotRunning
        | Failure::Cycle(_) => StatusCode::CONFLICT,
        Failure::Busy | Failure::CoolingDown { .. } => StatusCode::TOO_MANY_REQUESTS,
        Failure::Unrecorded | Failure::Stopping | Failure::NotAwaited(..) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Failure::Unmet(_) => StatusCode::FAILED_DEPENDENCY,
        Failure::BadParameter(_) | Failure::NoHealthCheck(_) => StatusCode::BAD_REQUEST,
        Failure::TookTooLong(_) | Failure::Unreached(_) => StatusCode::GATEWAY_TIMEOUT,
        Failure::Engine(_) | Failure::Broken => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Problem {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::OtherMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Input(_) | Self::Refused(Refusal::Malformed(_)) => StatusCode::BAD_REQUEST,
            Self::Refused(Refusal::HeadTooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Refused(Refusal::BodyTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Refused(Refusal::TooSlow(_)) => StatusCode::REQUEST_TIMEOUT,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::CrossSite | Self::CrossSiteSocket | Self::ForeignHost(_) => StatusCode::FORBIDDEN,
            Self::OtherVersion => StatusCode::UPGRADE_REQUIRED,
            Self::AddressLimit(_) | Self::PrincipalLimit(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed(failure) => status(failure),
        }
    }

    /// In how many seconds the same request may get another answer, where it may soon.
    fn retry_after(&self) -> Option<u64> {
        use engine::Error::{
            Broken, Garbled, NotFound, OwnContainer, Refused, TimedOut, Unreachable,
        };
        match self {
            Self::AddressLimit(wait)
            | Self::PrincipalLimit(_, wait)
            | Self::Failed(Failure::CoolingDown { wait, .. }) => Some(wait.seconds()),
            Self::Failed(
                Failure::Busy
                | Failure::Unrecorded
                | Failure::Stopping
                | Failure::NotAwaited(..)
                | Failure::Engine(Unreachable(_) | Broken(_) | TimedOut(_)),
            ) => Some(1),
            Self::NoSuchPath
            | Self::OtherMethod(_)
            | Self::Unauthorized
            | Self::CrossSite
            | Self::CrossSiteSocket
            | Self::OtherVersion
            | Self::ForeignHost(_)
            | Self::Input(_)
            | Self::Refused(_)
            | Self::Failed(
                Failure::NotFound(_)
                | Failure::Forbidden { .. }
                | Failure::FacilityForbidden(_)
                | Failure::AlreadyRunning
                | Failure::AlreadyStopped
                | Failure::NotRunning
                | Failure::NoSuchCommand(_)
                | Failure::BadParameter(_)
                | Failure::TookTooLong(_)
                | Failure::Engine(NotFound | OwnContainer | Refused { .. } | Garbled(_))
                | Failure::Cycle(_)
                | Failure::Unmet(_)
                | Failure::NoHealthCheck(_)
                | Failure::Unreached(_)
                | Failure::Broken,
            ) => None,
        }
    }

    /// The body of the answer to those who ask for no other form.
    pub(super) fn plain(&self) -> Error {
        Error {
            error: self.to_string(),
        }
    }

    /// The body of the answer to those who ask for a problem document.
    pub(super) fn document(&self) -> ProblemDocument {
        let status = self.status();
        ProblemDocument {
            kind: ABOUT_BLANK,
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.to_string(),
        }
    }

    /// What the answer has besides the words.
    pub(super) fn more(&self) -> Option<More<'_>> {
        match self {
            Self::Failed(Failure::TookTooLong(told)) => {
                Some(More::Unfinished(Unfinished::new(told)))
            }
            Self::Failed(Failure::Unreached(unreached)) => Some(More::Unreached(unreached)),
            Self::Failed(
                Failure::NotFound(_)
                | Failure::Forbidden { .. }
                | Failure::FacilityForbidden(_)
                | Failure::AlreadyRunning
                | Failure::AlreadyStopped
                | Failure::NotRunning
                | Failure::NoSuchCommand(_)
                | Failure::BadParameter(_)
                | Failure::Engine(_)
                | Failure::Busy
                | Failure::Unrecorded
                | Failure::CoolingDown { .. }
                | Failure::Cycle(_)
                | Failure::Unmet(_)
                | Failure::Stopping
                | Failure::NoHealthCheck(_)
                | Failure::NotAwaited(..)
                | Failure::Broken,
            )
            | Self::NoSuchPath
            | Self::OtherMethod(_)
            | Self::Unauthorized
            | Self::CrossSite
            | Self::CrossSiteSocket
            | Self::OtherVersion
            | Self::ForeignHost(_)
            | Self::AddressLimit(_)
            | Self::PrincipalLimit(..)
            | Self::Input(_)
            | Self::Refused(_) => None,
        }
    }

    /// The answer in the form that the caller asked for.
    pub(super) fn render(&self, form: Form) -> Response {
        let status = self.status();
        let mut response = match form {
            Form::Plain => match self.more() {
                None => reply::json(status, &self.plain()),
                Some(more) => {
                    let error = self.plain();
                    reply::json(status, &Plain { error, more })
                }
            },
            Form::Document => match self.more() {
                None => reply::json_as(PROBLEM_JSON, status, &self.document()),
                Some(details) => {
                    let document = self.document();
                    reply::json_as(PROBLEM_JSON, status, &Document { document, details })
                }
            },
        };
        let headers = response.headers_mut();
        if let Self::OtherMethod(methods) = self
            && let Ok(methods) = HeaderValue::from_str(methods)
        {
            headers.insert(ALLOW, methods);
        }
        if let Self::Unauthorized = self {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::OtherVersion = self {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
        }
        if let Self::Refused(Refusal::TooSlow(_)) = self {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
