//! Browsers: a page of another site cannot change anything through its visitor's browser.

use hyper::header::{HOST, ORIGIN};
use hyper::{HeaderMap, Method};

use super::problem::Problem;

/// Checks that a request which may change something does not come from a page of another site.
///
/// SECURITY: a browser sends a plain POST to any address that it reaches, loopback included, and asks nobody. But it
/// says where the page is from, and a page cannot make it lie. Programs that are no browsers send neither header.
///
/// # Errors
///
/// [`Problem::CrossSite`].
pub(super) fn check(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method == Method::GET || method == Method::HEAD {
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
    } else {
        Err(Problem::CrossSite)
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method};

    use super::check;

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
            assert_eq!(check(&Method::POST, &headers).is_ok(), expected, "{sent:?}");
            assert!(check(&Method::GET, &headers).is_ok(), "{sent:?}");
        }
    }
}
