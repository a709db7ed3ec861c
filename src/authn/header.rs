//! What a request shows: a token as `Bearer` or as the password of `Basic`, or where a browser cannot send that, in the
//! list of subprotocols of a WebSocket.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

use super::TokenHash;

/// What a subprotocol begins with that is no such thing, but a token in the Base64 of URLs. A browser lets a page say
/// nothing else beside the address of a WebSocket, and an address is written down everywhere.
pub const TOKEN_SUBPROTOCOL: &str = "base64url.bearer.authorization.relayer-controller.";

/// What a request shows in its `Authorization` header. The secret is hashed at once and kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The user that `Basic` names; it must be the token's principal.
    pub user: Option<String>,
    /// The token.
    pub hash: TokenHash,
}

/// Why a header cannot be understood. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// More than one header, or a subprotocol beside it.
    Twice,
    /// Neither `Bearer` nor `Basic`.
    Scheme,
    /// Nothing, or no text, where the token should be.
    NoToken,
    /// `Basic` without the Base64 of `name:token`.
    Basic,
    /// A subprotocol without the Base64 of a token.
    Subprotocol,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Twice => "credentials more than once",
            Self::Scheme => "neither Bearer nor Basic credentials",
            Self::NoToken => "no token in the credentials",
            Self::Basic => "Basic credentials that are not Base64 of `name:token`",
            Self::Subprotocol => "a subprotocol that is not Base64 of a token",
        })
    }
}

impl Shown {
    /// What the headers show; `None` where they show nothing.
    ///
    /// # Errors
    ///
    /// Where something is shown that is not understood. It must not count as nothing.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        let offered = Self::offered(headers)?;
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(offered);
        };
        if values.next().is_some() || offered.is_some() {
            return Err(Malformed::Twice);
        }
        let value = value.to_str().map_err(|_| Malformed::NoToken)?;
        let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        let rest = rest.trim_start();
        if scheme.eq_ignore_ascii_case("bearer") {
            Self::new(None, rest).map(Some)
        } else if scheme.eq_ignore_ascii_case("basic") {
            let decoded = STANDARD.decode(rest).map_err(|_| Malformed::Basic)?;
            let decoded = String::from_utf8(decoded).map_err(|_| Malformed::Basic)?;
            let (user, token) = decoded.split_once(':').ok_or(Malformed::Basic)?;
            Self::new(Some(user.to_owned()), token).map(Some)
        } else {
            Err(Malformed::Scheme)
        }
    }

    /// The token among the subprotocols.
    fn offered(headers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let values: Result<Vec<_>, _> = values.map(|value| value.to_str()).collect();
        let values = values.map_err(|_| Malformed::Subprotocol)?;
        let mut tokens = values
            .iter()
            .flat_map(|value| value.split(','))
            .filter_map(|one| one.trim().strip_prefix(TOKEN_SUBPROTOCOL));
        let Some(token) = tokens.next() else {
            return Ok(None);
        };
        if tokens.next().is_some() {
            return Err(Malformed::Twice);
        }
        let token = URL_SAFE_NO_PAD.decode(token).ok();
        let token = token.and_then(|token| String::from_utf8(token).ok());
        Self::new(None, &token.ok_or(Malformed::Subprotocol)?).map(Some)
    }

    fn new(user: Option<String>, token: &str) -> Result<Self, Malformed> {
        if token.is_empty() {
            return Err(Malformed::NoToken);
        }
        let hash = TokenHash::of(token);
        Ok(Self { user, hash })
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

    use super::{Malformed, Shown, TOKEN_SUBPROTOCOL, TokenHash};

    fn check(values: &[&str], expected: Result<Option<(Option<&str>, &str)>, Malformed>) {
        let headers: HeaderMap = values
            .iter()
            .map(|value| (AUTHORIZATION, value.parse().unwrap()))
            .collect();
        let expected = expected.map(|shown| {
            shown.map(|(user, token)| Shown {
                user: user.map(str::to_owned),
                hash: TokenHash::of(token),
            })
        });
        assert_eq!(Shown::read(&headers), expected, "{values:?}");
    }

    #[test]
    fn forms() {
        check(&[], Ok(None));
        check(&["Bearer abc"], Ok(Some((None, "abc"))));
        check(&["bearer   abc "], Ok(Some((None, "abc"))));
        check(&["BEARER a b"], Ok(Some((None, "a b"))));
        // `bot:abc`, `bot:a:b` and `:abc`.
        check(&["Basic Ym90OmFiYw=="], Ok(Some((Some("bot"), "abc"))));
        check(&["basic Ym90OmE6Yg=="], Ok(Some((Some("bot"), "a:b"))));
        check(&["Basic OmFiYw=="], Ok(Some((Some(""), "abc"))));
    }

    fn check_offered(
        values: &[&str],
        authorization: Option<&str>,
        expected: Result<Option<&str>, Malformed>,
    ) {
        let mut headers: HeaderMap = values
            .iter()
            .map(|value| (SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap()))
            .collect();
        headers.extend(authorization.map(|value| (AUTHORIZATION, value.parse().unwrap())));
        let expected = expected.map(|token| {
            token.map(|token| Shown {
                user: None,
                hash: TokenHash::of(token),
            })
        });
        assert_eq!(Shown::read(&headers), expected, "{values:?}");
    }

    #[test]
    fn subprotocols() {
        let token = |text: &str| format!("{TOKEN_SUBPROTOCOL}{text}");
        let twice = Err(Malformed::Twice);
        check_offered(&["relayer-controller.events"], None, Ok(None));
        // `abc` and `a?b>`.
        check_offered(&[&token("YWJj")], None, Ok(Some("abc")));
        check_offered(
            &[&format!("x, {}, y", token("YT9iPg"))],
            None,
            Ok(Some("a?b>")),
        );
        check_offered(&["x", &token("YWJj")], None, Ok(Some("abc")));
        check_offered(&[&token("YWJj"), &token("YWJj")], None, twice);
        check_offered(&[&token("YWJj")], Some("Bearer abc"), twice);
        check_offered(&["x"], Some("Bearer abc"), Ok(Some("abc")));
        for bad in ["YWJj=", "%%%", "YT9iPg==", "_w"] {
            check_offered(&[&token(bad)], None, Err(Malformed::Subprotocol));
        }
        check_offered(&[&token("")], None, Err(Malformed::NoToken));
    }

    #[test]
    fn what_is_not_understood() {
        check(&["Bearer a", "Bearer a"], Err(Malformed::Twice));
        check(&["Bearer a", "Basic b"], Err(Malformed::Twice));
        check(&[""], Err(Malformed::Scheme));
        check(&["abc"], Err(Malformed::Scheme));
        check(&["Digest abc"], Err(Malformed::Scheme));
        check(&["Token abc"], Err(Malformed::Scheme));
        check(&["Bearer"], Err(Malformed::NoToken));
        check(&["Bearer "], Err(Malformed::NoToken));
        check(&["Basic"], Err(Malformed::Basic));
        check(&["Basic %%%"], Err(Malformed::Basic));
        // `bot`, `bot:` and bytes that are no text.
        check(&["Basic Ym90"], Err(Malformed::Basic));
        check(&["Basic Ym90Og=="], Err(Malformed::NoToken));
        check(&["Basic //86YWJj"], Err(Malformed::Basic));
    }
}
