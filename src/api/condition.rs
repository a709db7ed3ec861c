//! What a client says of the answer that it may have already, and how old another one may be.

use hyper::HeaderMap;
use hyper::header::{CACHE_CONTROL, HeaderValue, IF_NONE_MATCH};

use super::reply::{self, Response};
use crate::engine::{Freshness, Rendered};

/// A request's conditions.
pub(super) struct Condition {
    /// Whether an answer from memory will do.
    pub(super) freshness: Freshness,
    /// The tags of the answers that the client has.
    has: Vec<HeaderValue>,
}

impl Condition {
    /// What these headers say: `Cache-Control: no-cache` and `If-None-Match`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut condition = Self {
            freshness: Freshness::Mirrored,
            has: Vec::new(),
        };
        // All are gone through once: that takes less than to look two of them up.
        for (name, value) in headers {
            if name == IF_NONE_MATCH {
                condition.has.push(value.clone());
            } else if name == CACHE_CONTROL && words(value).any(is_no_cache) {
                condition.freshness = Freshness::Fresh;
            }
        }
        condition
    }

    /// The answer; 304 where the client has it.
    pub(super) fn answer(&self, rendered: &Rendered) -> Response {
        if self.is_known(rendered.tag().as_bytes()) {
            reply::not_modified(rendered)
        } else {
            reply::kept(rendered)
        }
    }

    /// RFC 9110, 13.1.2: a list of tags or `*`, which are compared weakly.
    fn is_known(&self, tag: &[u8]) -> bool {
        let mut tags = self.has.iter().flat_map(words);
        tags.any(|word| word == b"*" || word.strip_prefix(b"W/").unwrap_or(word) == tag)
    }
}

/// What a header lists.
fn words(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let words = value.as_bytes().split(|byte| *byte == b',');
    words.map(<[u8]>::trim_ascii)
}

const fn is_no_cache(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"no-cache")
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{HeaderName, HeaderValue};

    use super::Condition;
    use crate::engine::{Freshness, Rendered};

    fn condition(lines: &[(&'static str, &str)]) -> Condition {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_str(value).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        Condition::of(&headers)
    }

    #[test]
    fn who_has_the_answer_is_told_so() {
        let rendered = Rendered::of(&"ok");
        let tag = rendered.tag().to_str().unwrap().to_owned();
        for (lines, expected) in [
            (vec![], 200),
            (vec![tag.clone()], 304),
            (vec![format!("W/{tag}")], 304),
            (vec![format!("\"other\" , {tag}")], 304),
            (vec!["\"other\"".to_owned(), tag.clone()], 304),
            (vec!["*".to_owned()], 304),
            (vec!["\"other\"".to_owned()], 200),
            (vec![tag.trim_matches('"').to_owned()], 200),
            (vec![String::new()], 200),
        ] {
            let lines: Vec<_> = lines
                .iter()
                .map(|tag| ("if-none-match", tag.as_str()))
                .collect();
            let response = condition(&lines).answer(&rendered);
            assert_eq!(response.status().as_u16(), expected, "{lines:?}");
            assert_eq!(response.headers()["etag"], tag);
        }
    }

    #[test]
    fn who_wants_it_fresh_is_heard() {
        for (line, expected) in [
            ("no-cache", Freshness::Fresh),
            ("max-age=0, No-Cache", Freshness::Fresh),
            ("no-store", Freshness::Mirrored),
            ("max-age=0", Freshness::Mirrored),
            ("no-cache-please", Freshness::Mirrored),
        ] {
            assert_eq!(
                condition(&[("cache-control", line)]).freshness,
                expected,
                "{line}"
            );
        }
        assert_eq!(condition(&[]).freshness, Freshness::Mirrored);
    }
}
