//! Where the gateway is, as `--url` says it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use hyper::Uri;

use crate::cli::connection::Place;

/// The address of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// What to connect to.
    pub(super) place: Place,
    /// Whether TLS is spoken there.
    pub(super) is_tls: bool,
    /// The `Host` of requests.
    pub(super) host: String,
    /// What a proxy in front of the gateway has before each path; empty, or `/` and more.
    pub(super) base: String,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Unix(_) => self.place.fmt(f),
            Place::Tcp(..) => {
                let scheme = if self.is_tls { "https" } else { "http" };
                write!(f, "{scheme}://{}{}", self.host, self.base)
            }
        }
    }
}

/// What such an address looks like.
const FORMS: &str =
    "a gateway is reached by `http://host:port`, `https://host:port` or `unix:///path/of/a.sock`";

impl FromStr for Address {
    type Err = String;

    /// # Errors
    ///
    /// A sentence that says what is wrong, and repeats no password.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err(
                    "a Unix socket is written with its whole path, as `unix:///run/relayer-controller.sock`"
                        .to_owned(),
                );
            }
            return Ok(Self {
                place: Place::Unix(PathBuf::from(path)),
                is_tls: false,
                host: "localhost".to_owned(),
                base: String::new(),
            });
        }
        over_tcp(text)
    }
}

fn over_tcp(text: &str) -> Result<Address, String> {
    // SECURITY: such a URL ends up in histories and process lists, and is not repeated here.
    if text.contains('@') {
        return Err(
            "a URL has no user and no password; the token is in `RELAYER_CONTROLLER_TOKEN` or a file".to_owned(),
        );
    }
    let uri: Uri = text.parse().map_err(|_| FORMS.to_owned())?;
    let (is_tls, default_port) = match uri.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        Some("tcp") => return Err(format!("{FORMS}; `tcp://` is for Docker engines")),
        Some(_) => return Err(FORMS.to_owned()),
        None => return Err(format!("{FORMS}; did you mean `http://{text}`?")),
    };
    let authority = uri.authority().ok_or(FORMS)?;
    let host = authority.host();
    let port = match authority.as_str().strip_prefix(host) {
        Some("") => default_port,
        Some(port) => port
            .strip_prefix(':')
            .and_then(|port| port.parse().ok())
            .filter(|port| *port != 0)
            .ok_or("a port is a number from 1 to 65535")?,
        None => return Err(FORMS.to_owned()),
    };
    if host.is_empty() {
        return Err(FORMS.to_owned());
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("the URL of a gateway has no `?` and no `#`".to_owned());
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    Ok(Address {
        place: Place::Tcp(bare.unwrap_or(host).to_owned(), port),
        is_tls,
        host: authority.as_str().to_owned(),
        base: uri.path().trim_end_matches('/').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::Address;

    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        let parsed = text.parse::<Address>();
        let told = parsed
            .as_ref()
            .map(|address| (address.place.to_string(), address.to_string()));
        match (told, expected) {
            (Ok((place, shown)), Ok(expected)) => {
                assert_eq!((place.as_str(), shown.as_str()), expected, "{text}");
            }
            (Err(told), Err(part)) => {
                assert!(told.contains(part), "{text}: {told}");
                assert!(!told.contains("secret"), "{text}: {told}");
            }
            (told, _) => panic!("{text}: {told:?}"),
        }
    }

    #[test]
    fn addresses() {
        for (text, place, shown) in [
            (
                "http://127.0.0.1:8089",
                "127.0.0.1:8089",
                "http://127.0.0.1:8089",
            ),
            (
                "http://localhost:8089/",
                "localhost:8089",
                "http://localhost:8089",
            ),
            ("http://relay", "relay:80", "http://relay"),
            (
                "https://relay.example.org",
                "relay.example.org:443",
                "https://relay.example.org",
            ),
            ("HTTP://[::1]:1", "[::1]:1", "http://[::1]:1"),
            ("https://[::1]", "[::1]:443", "https://[::1]"),
            (
                "https://relay.example.org/controller/",
                "relay.example.org:443",
                "https://relay.example.org/controller",
            ),
            (
                "unix:///run/x.sock",
                "unix:///run/x.sock",
                "unix:///run/x.sock",
            ),
            (
                "unix:/run/x.sock",
                "unix:///run/x.sock",
                "unix:///run/x.sock",
            ),
        ] {
            check(text, Ok((place, shown)));
        }
    }

    #[test]
    fn what_is_none() {
        for (text, part) in [
            ("", "a gateway is reached by"),
            ("localhost:8089", "did you mean `http://localhost:8089`?"),
            ("8089", "a gateway is reached by"),
            ("/run/x.sock", "a gateway is reached by"),
            ("ftp://relay", "a gateway is reached by"),
            ("tcp://relay:2375", "Docker engines"),
            ("http://", "a gateway is reached by"),
            ("http://:8089", "a gateway is reached by"),
            ("http://relay:", "1 to 65535"),
            ("http://relay:0", "1 to 65535"),
            ("http://relay:80890", "1 to 65535"),
            ("http://relay:x", "1 to 65535"),
            ("http://a b", "a gateway is reached by"),
            ("http://relay/?token=secret", "no `?`"),
            ("http://relay/#secret", "no `#`"),
            ("http://bot:secret@relay", "no user and no password"),
            ("unix:x.sock", "whole path"),
            ("unix://x.sock", "whole path"),
            ("unix:", "whole path"),
        ] {
            check(text, Err(part));
        }
    }
}
