//! What a caller sends beside the path, decoded once and checked: name, query and body.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::body::{self, NoObject};
use super::problem::Problem;
use crate::engine::Signal;
use crate::gateway::Failure;
use crate::policy::ContainerName;
use crate::server::{Refusal, Request, RequestBody};

/// The most parameters that a request can have.
const MAX_PARAMETERS: usize = 16;

/// The container's name in a path, decoded exactly once; one that is `known` already is lent.
///
/// # Errors
///
/// Text that cannot be a name is a container that does not exist.
pub(super) fn name<'known>(
    raw: &str,
    known: impl FnOnce(&str) -> Option<&'known ContainerName>,
) -> Result<Cow<'known, ContainerName>, Problem> {
    let decoded = decoded(raw);
    if let Some(name) = known(&decoded) {
        return Ok(Cow::Borrowed(name));
    }
    match decoded.parse() {
        Ok(name) => Ok(Cow::Owned(name)),
        Err(_) => Err(Problem::Failed(Failure::NotFound(decoded.into_owned()))),
    }
}

/// A part of a path as it is meant. What is not UTF-8 becomes a replacement character, which no name has.
pub(super) fn decoded(raw: &str) -> Cow<'_, str> {
    // Most names are as they are meant, and to decode takes longer than to see that.
    if raw.contains('%') {
        percent_decode_str(raw).decode_utf8_lossy()
    } else {
        Cow::Borrowed(raw)
    }
}

/// A request whose body is yet to be read.
pub(super) struct Unread<'request> {
    pub(super) request: &'request Request,
    pub(super) body: RequestBody,
}

impl Unread<'_> {
    /// Reads all of the body.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn read(self) -> impl Future<Output = Result<Bytes, Refusal>> {
        self.body.read(self.request.body_timeout)
    }
}

/// The parameters of a request; each must be taken by who knows it.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a request to its end. Parameters are in the query; a body must ask for nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with either.
    pub(super) async fn read(unread: Unread<'_>) -> Result<Self, Problem> {
        let parameters = Self::parse(unread.request.head.uri.query())?;
        no_body(&unread.read().await?)?;
        Ok(parameters)
    }

    /// # Errors
    ///
    /// Too many parameters, or one that is given twice: which of them would count is anybody's guess.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if parameters.len() == MAX_PARAMETERS {
                let why = format!("Too many parameters: at most {MAX_PARAMETERS}, and then {key}");
                return Err(Problem::Input(why));
            }
            if parameters.iter().any(|(known, _)| *known == key) {
                return Err(twice(&key));
            }
            parameters.push((key.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// What a parameter means, where it is given.
    ///
    /// # Errors
    ///
    /// Text that means nothing; `forms` says what does.
    pub(super) fn take_as<T>(
        &mut self,
        key: &str,
        read: impl Fn(&str) -> Option<T>,
        forms: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let meant = read(&value).map(Some);
        meant.ok_or_else(|| Problem::Input(format!("Bad parameter: {key}: {forms}")))
    }

    /// The signal to send, where one is given.
    ///
    /// # Errors
    ///
    /// Text that is no signal.
    pub(super) fn take_signal(&mut self) -> Result<Option<Signal>, Problem> {
        let Some(value) = self.take("signal") else {
            return Ok(None);
        };
        match value.parse() {
            Ok(signal) => Ok(Some(signal)),
            Err(why) => Err(Problem::Input(format!("Bad parameter: signal: {why}"))),
        }
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    ///
    /// A parameter that nobody took.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.0.first() {
            Some((key, _)) => Err(unknown(key)),
            None => Ok(()),
        }
    }

    /// The value of a parameter, where it is given.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// Reads a request to its end that takes no parameters.
///
/// # Errors
///
/// A parameter or a body.
pub(super) async fn nothing(unread: Unread<'_>) -> Result<(), Problem> {
    Parameters::read(unread).await?.finish()
}

/// Reads a request to its end whose parameters are in its body: a JSON object, or nothing at all.
///
/// # Errors
///
/// A parameter in the query, a body that is no JSON object, or a parameter that is given twice: which of them would count
/// is anybody's guess.
pub(super) async fn values(unread: Unread<'_>) -> Result<BTreeMap<String, Value>, Problem> {
    Parameters::parse(unread.request.head.uri.query())?.finish()?;
    named_values(&unread.read().await?)
}

pub(super) fn named_values(body: &[u8]) -> Result<BTreeMap<String, Value>, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(BTreeMap::new());
    }
    body::object(body).map_err(|wrong| match wrong {
        NoObject::Malformed => {
            let why = "Bad body: it has to be empty, or a JSON object with the parameters by name";
            Problem::Input(why.to_owned())
        }
        NoObject::Twice(key) => twice(&key),
    })
}

/// Makes sure that a body asks for nothing: it is empty, or an empty JSON object, as some clients send with every POST.
///
/// # Errors
///
/// Any other body, with its first parameter where it has one.
pub(super) fn no_body(body: &[u8]) -> Result<(), Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) {
        Ok(object) => match object.keys().next() {
            Some(key) => Err(unknown(key)),
            None => Ok(()),
        },
        Err(_) => Err(Problem::Input(
            "Bad body: this request takes none".to_owned(),
        )),
    }
}

pub(super) fn twice(key: &str) -> Problem {
    Problem::Input(format!("Parameter given twice: {key}"))
}

pub(super) fn unknown(key: &str) -> Problem {
    Problem::Input(format!("Unknown parameter: {key}"))
}

#[cfg(test)]
mod tests {
    use super::{ContainerName, Parameters, name, named_values, no_body};

    fn check_name(raw: &str, expected: Result<&str, &str>) {
        let known: [ContainerName; 2] = ["muxer", "mux"].map(|name| name.parse().unwrap());
        for known in [&known[..], &[]] {
            let lend = |text: &str| known.iter().find(|name| name.as_str() == text);
            let parsed = name(raw, lend).map_err(|problem| problem.to_string());
            let shown = parsed.as_ref().map(|name| name.as_str());
            assert_eq!(shown.map_err(String::as_str), expected, "{raw}");
        }
    }

    #[test]
    fn names_are_decoded_once() {
        check_name("muxer", Ok("muxer"));
        check_name("mux%65r", Ok("muxer"));
        check_name("mux%2565r", Err("Container not found: mux%65r"));
        check_name("a%2Fb", Err("Container not found: a/b"));
        check_name("%2e%2e", Err("Container not found: .."));
        check_name("a%00", Err("Container not found: a\0"));
        check_name("%ff", Err("Container not found: \u{fffd}"));
        check_name("a;x=1", Err("Container not found: a;x=1"));
        check_name("+a", Err("Container not found: +a"));
        check_name("m%C3%BCxer", Err("Container not found: müxer"));
        check_name("%D0%B0", Err("Container not found: а"));
    }

    fn check_kill(query: &str, expected: &str) {
        let parsed = Parameters::parse(Some(query)).and_then(|mut parameters| {
            let signal = parameters.take_signal()?;
            parameters.finish().map(|()| signal)
        });
        let shown = match parsed {
            Ok(signal) => signal.map_or("-".to_owned(), |signal| signal.as_str().to_owned()),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(shown, expected, "{query}");
    }

    #[test]
    fn parameters() {
        check_kill("", "-");
        check_kill("signal=TERM", "TERM");
        check_kill("signal=%54ERM", "TERM");
        check_kill("signal=RTMIN%2B3", "RTMIN+3");
        check_kill(
            "signal=",
            "Bad parameter: signal: a signal is a name such as `TERM` or `SIGHUP`, or a number from 1 to 64",
        );
        check_kill("signal=TERM&signal=KILL", "Parameter given twice: signal");
        check_kill("Signal=TERM", "Unknown parameter: Signal");
        check_kill("signal=TERM&t=3", "Unknown parameter: t");
        check_kill(
            "signal=TERM;t=3",
            "Bad parameter: signal: a signal is a name such as `TERM` or `SIGHUP`, or a number from 1 to 64",
        );
        check_kill("a%0ab=1", "Unknown parameter: a\nb");
    }

    #[test]
    fn not_any_number_of_parameters() {
        let many: Vec<_> = (0..17).map(|i| format!("p{i}=")).collect();
        check_kill(
            &many.join("&"),
            "Too many parameters: at most 16, and then p16",
        );
    }

    #[test]
    fn bodies_ask_for_nothing() {
        for nothing in ["", " \r\n", "{}", " { } "] {
            assert!(no_body(nothing.as_bytes()).is_ok(), "{nothing}");
        }
        for (something, expected) in [
            ("{\"signal\":\"KILL\"}", "Unknown parameter: signal"),
            ("signal=KILL", "Bad body: this request takes none"),
            ("[]", "Bad body: this request takes none"),
            ("{}{}", "Bad body: this request takes none"),
        ] {
            let problem = no_body(something.as_bytes()).unwrap_err();
            assert_eq!(problem.to_string(), expected, "{something}");
        }
    }

    fn check_object(body: &str, expected: &str) {
        let shown = match named_values(body.as_bytes()) {
            Ok(values) => serde_json::to_string(&values).unwrap(),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(shown, expected, "{body}");
    }

    #[test]
    fn parameters_in_a_body() {
        const NO_OBJECT: &str =
            "Bad body: it has to be empty, or a JSON object with the parameters by name";
        check_object("", "{}");
        check_object(" \r\n", "{}");
        check_object("{}", "{}");
        check_object(r#"{"b":"1","a":[2]}"#, r#"{"a":[2],"b":"1"}"#);
        check_object(r#"{"a":"1","b":"","a":"2"}"#, "Parameter given twice: a");
        check_object(r#"{"a":"1","\u0061":"1"}"#, "Parameter given twice: a");
        for bad in [
            "x",
            "[]",
            "null",
            "\"a\"",
            "{",
            "{}{}",
            "{'a':1}",
            "{\"a\"}",
            r#"{"a":"1",}"#,
            "url=x",
            r#"{"a":"\ud800"}"#,
            "\u{feff}{}",
            "{\"a\":\"\n\"}",
        ] {
            check_object(bad, NO_OBJECT);
        }
        check_object(&format!("{{\"a\":{}1", "[".repeat(10_000)), NO_OBJECT);
        assert!(named_values(b"{\"a\":\"\xff\"}").is_err());
    }
}
