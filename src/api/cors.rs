//! CORS: pages of the sites that the configuration lists may ask, and read the answer. Nobody else's may.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderValue, ORIGIN, VARY,
};
use hyper::{HeaderMap, Method, StatusCode};

use super::reply::{self, Response};
use crate::config::Browsers;

/// What a request is allowed as to the page that it comes from.
pub(super) struct Cors {
    /// The page's site, where it is listed.
    origin: Option<HeaderValue>,
    /// Whether the answer depends on the page's site.
    varies: bool,
}

impl Cors {
    /// What a request with these headers is allowed.
    pub(super) fn of(headers: &HeaderMap, browsers: &Browsers) -> Self {
        let origins = &browsers.origins;
        if origins.is_empty() {
            return Self {
                origin: None,
                varies: false,
            };
        }
        let is_listed = |sent: &&HeaderValue| {
            let mut origins = origins.iter();
            origins.any(|origin| origin.as_str().as_bytes() == sent.as_bytes())
        };
        Self {
            origin: headers.get(ORIGIN).filter(is_listed).cloned(),
            varies: true,
        }
    }

    /// Whether it comes from a page of a site that is listed.
    pub(super) const fn is_listed(&self) -> bool {
        self.origin.is_some()
    }

    /// The answer to a browser that asks beforehand whether a page may send a request: these are the path's methods.
    /// `None` where it does not ask, or not for a page of a site that is listed.
    pub(super) fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
        methods: &str,
    ) -> Option<Response> {
        let asks = method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || !self.is_listed() {
            return None;
        }
        let mut response = reply::nothing(StatusCode::NO_CONTENT);
        let answer = response.headers_mut();
        answer.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_str(methods).ok()?,
        );
        answer.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type"),
        );
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    /// Tells the browser whether the page may read this answer.
    pub(super) fn mark(self, response: &mut Response) {
        let headers = response.headers_mut();
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static("X-Request-Id, Retry-After");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}
