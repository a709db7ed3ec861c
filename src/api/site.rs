//! Browsers: a page of another site cannot change anything through its visitor's browser, nor pass for our own.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{HOST, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Method};

use super::problem::Problem;
use crate::config::Host;
use crate::server::Refusal;

/// Checks that a request which may change something, or asks for a WebSocket, does not come from a page of another site.
///
/// SECURITY: a browser sends a plain POST to any address that it reaches, loopback included, and asks nobody; and it lets
/// any page read what comes over a WebSocket. But it says where the page is from, and a page cannot make it lie. Programs
/// that are no browsers send neither header.
///
/// # Errors
///
/// [`Problem::CrossSite`] and [`Problem::CrossSiteSocket`].
pub(super) fn check(
    method: &Method,
    headers: &HeaderMap,
    asks_for_websocket: bool,
) -> Result<(), Problem> {
    // Nothing answers OPTIONS but the preflight, which changes nothing.
    let is_read = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    if is_read && !asks_for_websocket {
        return Ok(());
    }
    let text = |name| {
        headers
            .get(name)
            .map(|value: &hyper::http::HeaderValue| value.to_str().unwrap_or_default())
    };
    let is_own = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        // `none` is the user's own doing, such as a bookmark.
        (Some(site), _) => site == "same-origin" || site == "none",
        // Older browsers. A proxy that changes Host hides the page's own site from us: refused, to be safe.
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == text(HOST.as_str())
        }
        (None, None) => true,
    };
    if is_own {
        Ok(())
    } else if is_read {
        Err(Problem::CrossSiteSocket)
    } else {
        Err(Problem::CrossSite)
    }
}

/// Checks that a request calls this gateway by one of its own names.
///
/// SECURITY: whoever owns a domain can let its name lead to any address, loopback included, after a browser has loaded
/// a page from there (DNS rebinding). To the browser the page is then our own: it may change things and read answers. But
/// the browser says by which name it calls, and nobody else owns names without a dot, `localhost`, or an IP address.
///
/// # Errors
///
/// [`Problem::ForeignHost`], or that it is no name at all.
pub(super) fn check_host(head: &Parts, hosts: &[Host]) -> Result<(), Problem> {
    // Gone through, because it takes longer to look up where it belongs.
    let sent = head.headers.iter().find(|(name, _)| **name == HOST);
    let sent = sent.map(|(_, host)| host.to_str().unwrap_or("?"));
    let target = head.uri.authority().map(Authority::as_str);
    for authority in sent.into_iter().chain(target) {
        let Some(name) = name(authority) else {
            return Err(Refusal::Malformed("the Host is no name of a host").into());
        };
        if is_foreign(name) && !hosts.iter().any(|host| host.is(name)) {
            return Err(Problem::ForeignHost(name.to_owned()));
        }
    }
    Ok(())
}

/// The name in `name` or `name:port`; `None` where it is neither. It may be empty, as clients without a name send it.
fn name(authority: &str) -> Option<&str> {
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        Some(_) | None => (authority, ""),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = name.bytes().all(plain) || ipv6(name).is_some();
    (is_name && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}

/// Whether a name may be anybody's.
fn is_foreign(name: &str) -> bool {
    const LOCAL: &[u8] = b".localhost";
    let name = name.strip_suffix('.').unwrap_or(name);
    let end = name.as_bytes().last_chunk::<{ LOCAL.len() }>();
    let is_local = || end.is_some_and(|end| end.eq_ignore_ascii_case(LOCAL));
    let is_address = || name.parse::<Ipv4Addr>().is_ok() || ipv6(name).is_some();
    name.contains('.') && !is_local() && !is_address()
}

fn ipv6(text: &str) -> Option<Ipv6Addr> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    inside.parse().ok()
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method, Request};

    use super::{check, check_host};
    use crate::config::{Environment, parse};

    fn check_called(host: &str, target: &str, expected: &str) {
        let text =
            "[server]\nhosts = [\"Relay.Example.org\"]\n[containers.a]\nallow = [\"status\"]\n";
        let config = parse("x.toml", text, &Environment::default()).unwrap();
        let request = Request::builder().uri(target).header("host", host).body(());
        let (head, ()) = request.unwrap().into_parts();
        let told = match check_host(&head, &config.browsers.hosts) {
            Ok(()) => String::new(),
            Err(problem) => problem.to_string(),
        };
        let expected = match expected {
            "" => String::new(),
            "?" => "Bad request: the Host is no name of a host".to_owned(),
            name => format!(
                "Forbidden: the host {name} is not listed in server.hosts of the configuration"
            ),
        };
        assert_eq!(told, expected, "{host} {target}");
    }

    #[test]
    fn by_which_names_it_is_called() {
        for own in [
            "",
            "gateway",
            "gateway:8089",
            "relayer_controller",
            "localhost",
            "LOCALHOST:1",
            "localhost.",
            "relay.localhost:8089",
            "127.0.0.1",
            "10.0.0.7:8089",
            "[::1]",
            "[::1]:8089",
            "[fe80::1]:",
            "relay.example.org",
            "RELAY.example.org.:443",
        ] {
            check_called(own, "/", "");
        }
        for (foreign, name) in [
            ("evil.example", "evil.example"),
            ("evil.example:8089", "evil.example"),
            ("evil.example.", "evil.example."),
            (
                "relay.example.org.evil.example",
                "relay.example.org.evil.example",
            ),
            ("xrelay.example.org", "xrelay.example.org"),
            ("example.org", "example.org"),
            ("relay.example.org..", "relay.example.org.."),
            ("localhost.evil.example", "localhost.evil.example"),
            ("evillocalhost.example", "evillocalhost.example"),
            ("127.0.0.1.evil.example", "127.0.0.1.evil.example"),
            ("127.1", "127.1"),
            ("0x7f.0.0.1", "0x7f.0.0.1"),
            ("..", ".."),
        ] {
            check_called(foreign, "/", name);
        }
        for broken in [
            "a b",
            "x@y",
            "evil.example@localhost",
            "localhost/evil.example",
            "a,b",
            "localhost:80:80",
            "localhost:x",
            "::1",
            "[::1",
            "[evil.example]",
            "[::1]x",
            "m\u{fc}ller",
            "a%2eb",
        ] {
            check_called(broken, "/", "?");
        }
    }

    #[test]
    fn both_names_count() {
        check_called("gateway", "http://gateway/health", "");
        check_called("gateway", "http://evil.example/health", "evil.example");
        check_called("evil.example", "http://gateway/health", "evil.example");
        check_called("gateway", "http://relay.example.org:8089/health", "");
    }

    #[test]
    fn who_may_change_something() {
        let table: [(&[(&str, &str)], bool); 13] = [
            (&[], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "")], false),
            (
                &[
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "https://proxied.example"),
                ],
                true,
            ),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://gateway:8089"),
                ],
                false,
            ),
            (&[("origin", "http://gateway:8089")], true),
            (&[("origin", "http://gateway")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "gateway:8089")], false),
        ];
        for (sent, expected) in table {
            let mut headers =
                HeaderMap::from_iter([(hyper::header::HOST, "gateway:8089".parse().unwrap())]);
            for (name, value) in sent {
                headers.insert(
                    name.parse::<hyper::header::HeaderName>().unwrap(),
                    value.parse().unwrap(),
                );
            }
            let is_let_in = |method, socket| check(&method, &headers, socket).is_ok();
            assert_eq!(is_let_in(Method::POST, false), expected, "{sent:?}");
            assert!(is_let_in(Method::GET, false), "{sent:?}");
            assert_eq!(is_let_in(Method::GET, true), expected, "{sent:?}");
        }
    }
}
