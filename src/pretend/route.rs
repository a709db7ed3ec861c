//! Which request is meant: method and path into a route, as dockerd's router reads them.

use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::form::bad_escape;
use super::refusal::Refusal;

/// The newest API that the engine speaks; the one that it speaks when nothing is asked for.
pub(super) const API_VERSION: &str = "1.41";
/// The oldest API that it speaks.
pub(super) const MIN_API_VERSION: &str = "1.12";
/// What stays as it is in the path of a redirect.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// A request that the engine knows; the texts are references to containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Ping,
    Version,
    Events,
    List,
    Inspect(String),
    Logs(String),
    Stats(String),
    Start(String),
    Stop(String),
    Restart(String),
    Pause(String),
    Unpause(String),
    Kill(String),
    Rename(String),
    Create,
    Remove(String),
    Top(String),
    CreateExec(String),
    /// The text is the id of a program.
    StartExec(String),
    /// Likewise.
    InspectExec(String),
    /// OPTIONS of whatever path.
    Options,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To a route, under the API version that the path names.
    Known(Route, Option<Version>),
    /// To another path, with the same query.
    Moved(String),
    /// Nowhere.
    Unknown,
    /// It is no path at all.
    Malformed,
}

/// An API version that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version(String);

impl Target {
    /// Reads a path as it came: decoded once, and before anything else is looked at.
    pub(super) fn of(method: &Method, raw_path: &str) -> Self {
        if bad_escape(raw_path).is_some() {
            return Self::Malformed;
        }
        let path = percent_decode_str(raw_path).decode_utf8_lossy();
        let clean = clean(&path);
        if clean != path {
            return Self::Moved(utf8_percent_encode(&clean, PATH).to_string());
        }
        let (version, rest) = split_version(&path);
        match route(method, rest) {
            Some(route) => Self::Known(route, version),
            None => Self::Unknown,
        }
    }
}

impl Version {
    /// Refuses what is newer or older than the engine speaks.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let text = &self.0;
        if parts(text) > parts(API_VERSION) {
            return Err(Refusal::new(
                400,
                format!(
                    "client version {text} is too new. Maximum supported API version is {API_VERSION}"
                ),
            ));
        }
        if parts(text) < parts(MIN_API_VERSION) {
            return Err(Refusal::new(
                400,
                format!(
                    "client version {text} is too old. Minimum supported API version is {MIN_API_VERSION}, please upgrade your client to a newer version"
                ),
            ));
        }
        Ok(())
    }

    /// Whether it is from before 1.41, when one look was not to be had alone.
    pub(super) fn is_before_one_shot(&self) -> bool {
        parts(&self.0) < parts("1.41")
    }

    /// Whether it is from before 1.24, when errors were plain text and a start could have a body.
    pub(super) fn is_before_json_errors(&self) -> bool {
        parts(&self.0) < parts("1.24")
    }
}

/// The path without empty and dot segments; a slash at its end stays.
fn clean(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", segments.join("/"))
}

/// Splits `/v1.41` off, where something follows it.
fn split_version(path: &str) -> (Option<Version>, &str) {
    let versioned = || {
        let (version, _) = path.strip_prefix("/v")?.split_once('/')?;
        let rest = path.strip_prefix("/v")?.strip_prefix(version)?;
        let is_version = !version.is_empty()
            && version
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
        is_version.then(|| (Some(Version(version.to_owned())), rest))
    };
    versioned().unwrap_or((None, path))
}

/// The numbers of a version as dockerd compares them: an empty one is 0, and zeros at the end do not count.
fn parts(version: &str) -> Vec<u64> {
    let number = |text: &str| match text {
        "" => 0,
        digits => digits.parse().unwrap_or(u64::MAX),
    };
    let mut parts: Vec<_> = version.split('.').map(number).collect();
    while parts.last() == Some(&0) {
        parts.pop();
    }
    parts
}

fn route(method: &Method, path: &str) -> Option<Route> {
    if method == Method::OPTIONS {
        return Some(Route::Options);
    }
    let reading = method == Method::GET;
    match path {
        "/_ping" if reading || method == Method::HEAD => return Some(Route::Ping),
        "/version" if reading => return Some(Route::Version),
        "/events" if reading => return Some(Route::Events),
        "/containers/json" if reading => return Some(Route::List),
        "/containers/create" if method == Method::POST => return Some(Route::Create),
        _ => {}
    }
    if let Some((id, last)) = path
        .strip_prefix("/exec/")
        .and_then(|rest| rest.rsplit_once('/'))
    {
        let id = id.to_owned();
        return match last {
            "json" if reading => Some(Route::InspectExec(id)),
            "start" if method == Method::POST => Some(Route::StartExec(id)),
            _ => None,
        };
    }
    let rest = path.strip_prefix("/containers/")?;
    if method == Method::DELETE {
        return Some(Route::Remove(rest.to_owned()));
    }
    // A reference may have slashes in it: dockerd looks for the last one.
    let (reference, last) = rest.rsplit_once('/')?;
    let reference = reference.to_owned();
    match last {
        "json" if reading => Some(Route::Inspect(reference)),
        "logs" if reading => Some(Route::Logs(reference)),
        "stats" if reading => Some(Route::Stats(reference)),
        "top" if reading => Some(Route::Top(reference)),
        _ if method != Method::POST => None,
        "exec" => Some(Route::CreateExec(reference)),
        "start" => Some(Route::Start(reference)),
        "stop" => Some(Route::Stop(reference)),
        "restart" => Some(Route::Restart(reference)),
        "pause" => Some(Route::Pause(reference)),
        "unpause" => Some(Route::Unpause(reference)),
        "kill" => Some(Route::Kill(reference)),
        "rename" => Some(Route::Rename(reference)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_dockerd_leads_them() {
        for (method, path, expected) in [
            (Method::GET, "/_ping", "Known(Ping, None)"),
            (Method::HEAD, "/_ping", "Known(Ping, None)"),
            (Method::HEAD, "/version", "Unknown"),
            (Method::POST, "/version", "Unknown"),
            (Method::GET, "/version/", "Unknown"),
            (Method::GET, "/", "Unknown"),
            (Method::GET, "/v1.41", "Unknown"),
            (Method::GET, "/v/version", "Unknown"),
            (Method::GET, "/vx/version", "Unknown"),
            (
                Method::GET,
                "/v1.41./version",
                r#"Known(Version, Some(Version("1.41.")))"#,
            ),
            (Method::GET, "/%63ontainers/json", "Known(List, None)"),
            (
                Method::GET,
                "/containers/a%2Fjson",
                r#"Known(Inspect("a"), None)"#,
            ),
            (
                Method::GET,
                "/containers/a/b/json",
                r#"Known(Inspect("a/b"), None)"#,
            ),
            (
                Method::GET,
                "/containers/%252F/json",
                r#"Known(Inspect("%2F"), None)"#,
            ),
            (
                Method::DELETE,
                "/containers/a/b",
                r#"Known(Remove("a/b"), None)"#,
            ),
            (Method::POST, "/containers/a/json", "Unknown"),
            (Method::GET, "/containers/a/start", "Unknown"),
            (Method::OPTIONS, "/nope", "Known(Options, None)"),
            (
                Method::GET,
                "/containers//json",
                r#"Moved("/containers/json")"#,
            ),
            (Method::GET, "//a%20b/./c/", r#"Moved("/a%20b/c/")"#),
            (Method::GET, "/a/../../version", r#"Moved("/version")"#),
            (Method::GET, "/containers/%zz/json", "Malformed"),
            (Method::GET, "/containers/%e9%8/json", "Malformed"),
        ] {
            let target = Target::of(&method, path);
            assert_eq!(format!("{target:?}"), expected, "{method} {path}");
        }
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, expected) in [
            ("1.41", "good"),
            ("1.41.", "good"),
            ("01.041.0.0", "good"),
            ("1.12", "good"),
            ("1.41.1", "too new"),
            ("1.42", "too new"),
            ("2", "too new"),
            ("99999999999999999999", "too new"),
            ("1.11", "too old"),
            (".", "too old"),
        ] {
            let actual = Version(version.to_owned())
                .check()
                .map_or_else(|refusal| refusal.message, |()| "good".to_owned());
            assert!(actual.contains(expected), "{version}: {actual}");
        }
    }
}
