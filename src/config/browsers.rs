//! Browsers: by which names this gateway may be called, and which pages of other sites may use it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::check::Check;
use super::document::Part;
use super::mistake::quoted;
use super::raw::{Field, OneOrMore, Server};

/// The most characters of a host's name.
const MAX_NAME: usize = 253;

/// Which browsers are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Browsers {
    /// The names with a dot by which this gateway may be called.
    pub hosts: Vec<Host>,
    /// The sites whose pages may use this gateway and read what it answers.
    pub origins: Vec<Origin>,
}

/// The name of a host: lower case, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(String);

/// A site as browsers call it in `Origin`: `scheme://host` or `scheme://host:port`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

/// Why a text is no [`Host`] or no [`Origin`], as a hint to who wrote it.
type Hint = String;

impl Host {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the name, in whatever case and with or without a dot at its end.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        without_dot(name).eq_ignore_ascii_case(&self.0)
    }

    fn parse(text: &str) -> Result<Self, Hint> {
        let alone = "write the name of the host alone";
        let name = without_dot(text);
        if text.contains("://") || text.contains('/') {
            return Err(format!(
                "{alone}, without a scheme and a path, such as `relay.example.org`"
            ));
        }
        if text.contains('*') {
            return Err(
                "a pattern would let names pass that are not yours: list each name".to_owned(),
            );
        }
        if text.parse::<IpAddr>().is_ok() || text.starts_with('[') {
            return Err("IP addresses need not be listed: remove it".to_owned());
        }
        if text.contains(':') {
            return Err(format!(
                "{alone}, without a port: the name holds for every port"
            ));
        }
        if !text.is_ascii() {
            return Err(
                "browsers send such a name as `xn--...` (Punycode): write it so".to_owned(),
            );
        }
        if !is_name(name) {
            return Err("a name is of letters, digits, `-`, `_` and single dots, such as `relay.example.org`".to_owned());
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl Origin {
    /// The origin as browsers send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, Hint> {
        const FORM: &str =
            "write `scheme://host` or `scheme://host:port`, such as `https://dash.example.org`";
        if text.contains('*') {
            return Err("a pattern would let pages of anybody read and change what you manage: list each origin".to_owned());
        }
        if text == "null" {
            return Err(
                "browsers say `null` for pages of anybody: give yours an address of its own"
                    .to_owned(),
            );
        }
        let (scheme, authority) = text.split_once("://").ok_or(FORM)?;
        if let Some((authority, _)) = authority.split_once('/') {
            return Err(format!(
                "browsers send no path and no slash: write {}",
                quoted(&format!("{scheme}://{authority}"))
            ));
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(format!(
                "browsers send lower case: write {}",
                quoted(&text.to_ascii_lowercase())
            ));
        }
        if !text.is_ascii() {
            return Err(
                "browsers send such a name as `xn--...` (Punycode): write it so".to_owned(),
            );
        }
        let (host, port) = split_port(authority).ok_or(FORM)?;
        if !is_scheme(scheme) || !is_name(host) && !is_ipv6(host) {
            return Err(FORM.to_owned());
        }
        match (scheme, port) {
            (_, None) => {}
            ("http", Some("80")) | ("https", Some("443")) => {
                return Err(format!(
                    "browsers leave the usual port out: write {}",
                    quoted(&format!("{scheme}://{host}"))
                ));
            }
            (_, Some(port)) => {
                let number = port.parse::<u16>().unwrap_or_default();
                if number == 0 || number.to_string() != port {
                    return Err("a port is a number from 1 to 65535".to_owned());
                }
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Check<'_> {
    /// Which browsers are served. Where a mistake is noted, what is answered is not used.
    pub(super) fn browsers(&mut self, raw: &Server) -> Browsers {
        let (hosts, cors) = (raw.hosts.clone(), raw.cors.clone());
        Browsers {
            hosts: self.each(
                &["server", "hosts"],
                hosts,
                "the name of a host",
                Host::parse,
            ),
            origins: self.each(&["server", "cors"], cors, "an origin", Origin::parse),
        }
    }

    /// The members of a list, each once.
    fn each<T: PartialEq>(
        &mut self,
        path: &[&str],
        field: Field<OneOrMore<String>>,
        kind: &str,
        parse: fn(&str) -> Result<T, Hint>,
    ) -> Vec<T> {
        let due = format!("{kind} in quotes, or a list of them");
        let members = match self.given(path, field, &due, |_| String::new()) {
            Some(OneOrMore::One(text)) => vec![Field::Given(text)],
            Some(OneOrMore::More(members)) => members,
            None => return Vec::new(),
        };
        let mut list = Vec::with_capacity(members.len());
        for (index, member) in members.into_iter().enumerate() {
            let part = Part::Element(index);
            let Field::Given(text) = member else {
                self.wrong_type(path, part, &format!("{kind} in quotes"), "");
                continue;
            };
            match parse(&text) {
                Ok(parsed) if list.contains(&parsed) => {
                    let what = format!("{} stands twice", quoted(&text));
                    self.add(path, part, what, "remove one of them");
                }
                Ok(parsed) => list.push(parsed),
                Err(hint) => {
                    let what = format!("{} is not {kind}", quoted(&text));
                    self.add(path, part, what, hint);
                }
            }
        }
        list
    }
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether this is a host's name or an IPv4 address.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| !label.is_empty() && label.bytes().all(plain);
    text.len() <= MAX_NAME && text.split('.').all(label)
}

fn is_ipv6(text: &str) -> bool {
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    inside.is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok())
}

fn is_scheme(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(plain)
}

/// Host and port; `None` where it is neither.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(end) = authority.strip_prefix('[').and(authority.find(']')) {
        let (host, rest) = authority.split_at_checked(end + 1)?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, Origin};

    fn check_host(text: &str, expected: Result<&str, &str>) {
        match (Host::parse(text), expected) {
            (Ok(host), Ok(expected)) => assert_eq!(host.as_str(), expected),
            (Err(hint), Err(part)) => assert!(hint.contains(part), "{text}: {hint}"),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }

    #[test]
    fn hosts() {
        check_host("relay.example.org", Ok("relay.example.org"));
        check_host("Relay.Example.ORG.", Ok("relay.example.org"));
        check_host("relay", Ok("relay"));
        check_host("xn--mller-kva.example", Ok("xn--mller-kva.example"));
        check_host("https://relay.example.org", Err("without a scheme"));
        check_host("relay.example.org/", Err("without a scheme and a path"));
        check_host("relay.example.org:8089", Err("without a port"));
        check_host("*.example.org", Err("list each name"));
        check_host("[::1]", Err("need not be listed"));
        check_host("fe80::1", Err("need not be listed"));
        check_host("10.0.0.1", Err("need not be listed"));
        check_host("müller.example", Err("xn--"));
        for text in ["", ".", "a..b", ".a", "a b", "a@b", "a..", &"a".repeat(254)] {
            check_host(text, Err("a name is of"));
        }
    }

    #[test]
    fn a_name_is_compared_as_people_mean_it() {
        let host = Host::parse("relay.example.org").unwrap();
        for (name, same) in [
            ("relay.example.org", true),
            ("RELAY.example.org.", true),
            ("relay.example.org..", false),
            ("xrelay.example.org", false),
            ("example.org", false),
            ("", false),
        ] {
            assert_eq!(host.is(name), same, "{name}");
        }
    }

    fn check_origin(text: &str, expected: Result<(), &str>) {
        match (Origin::parse(text), expected) {
            (Ok(origin), Ok(())) => assert_eq!(origin.as_str(), text),
            (Err(hint), Err(part)) => assert!(hint.contains(part), "{text}: {hint}"),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }

    #[test]
    fn origins() {
        for text in [
            "https://dash.example.org",
            "http://dash.example.org:8080",
            "http://localhost:3000",
            "http://10.0.0.1",
            "http://[fe80::1]:3000",
            "https://xn--mller-kva.example",
            "moz-extension://0f1e",
        ] {
            check_origin(text, Ok(()));
        }
        check_origin("*", Err("list each origin"));
        check_origin("https://*.example.org", Err("list each origin"));
        check_origin("null", Err("pages of anybody"));
        check_origin("https://a.example/", Err("write `https://a.example`"));
        check_origin("https://a.example/x/y", Err("write `https://a.example`"));
        check_origin("HTTPS://A.example", Err("write `https://a.example`"));
        check_origin("https://müller.example", Err("xn--"));
        check_origin("https://a.example:443", Err("write `https://a.example`"));
        check_origin("http://a.example:80", Err("write `http://a.example`"));
        for port in ["", "0", "65536", "080", "x", "80:80"] {
            check_origin(&format!("https://a.example:{port}"), Err("from 1 to 65535"));
        }
        for text in [
            "",
            "a.example",
            "//a.example",
            "https://",
            "https://a..b",
            "https://a b",
            "https://u@a.example",
            "1http://a",
            "https://[::1",
            "https://[::1]x",
            "https://[x]",
            "https://a.example?x",
            "https://a.example#x",
        ] {
            check_origin(text, Err("write `scheme://host`"));
        }
    }
}
