//! Media types: in which form a caller wants an answer.

use hyper::HeaderMap;
use hyper::header::ACCEPT;

/// The media type of RFC 9457.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
/// The media type of server-sent events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// The media type of JSON texts, one a line.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// The media type of plain text.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// The form of an answer that can be a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// What the row gives to those who ask for nothing else.
    Plain,
    /// JSON texts, one a line.
    Ndjson,
    /// Server-sent events.
    EventStream,
}

impl Media {
    /// The form that a request's `Accept` names: of both the one with the greater weight, and server-sent events where
    /// neither has it.
    pub(super) fn asked_by(request: &HeaderMap) -> Self {
        let (events, lines) = (weight(request, EVENT_STREAM), weight(request, NDJSON));
        if events > 0.0 && events >= lines {
            Self::EventStream
        } else if lines > 0.0 {
            Self::Ndjson
        } else {
            Self::Plain
        }
    }
}

/// Whether the caller asks for this media type: names it, and not with a weight of nothing.
pub(super) fn accepts(request: &HeaderMap, media_type: &str) -> bool {
    weight(request, media_type) > 0.0
}

/// The weight with which the caller names this media type; nothing where it does not.
fn weight(request: &HeaderMap, media_type: &str) -> f32 {
    let ranges = request
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let weights = ranges.filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next()?.eq_ignore_ascii_case(media_type);
        let weight = parts
            .filter_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .find_map(|weight| weight.parse::<f32>().ok());
        is_named.then(|| weight.unwrap_or(1.0))
    });
    weights.fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::ACCEPT;

    use super::{Media, PROBLEM_JSON, accepts};

    #[test]
    fn who_asks_for_problem_documents() {
        for (accept, expected) in [
            ("*/*", false),
            ("application/json", false),
            ("application/problem+json", true),
            ("application/json, Application/Problem+JSON;q=0.5", true),
            ("application/problem+json;q=0", false),
            ("application/problem+jsonx", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(accepts(&headers, PROBLEM_JSON), expected, "{accept}");
        }
    }

    #[test]
    fn who_asks_for_which_form() {
        for (accept, expected) in [
            ("*/*", Media::Plain),
            ("text/plain", Media::Plain),
            ("application/json", Media::Plain),
            ("application/x-ndjson", Media::Ndjson),
            ("text/event-stream", Media::EventStream),
            (
                "application/x-ndjson, text/event-stream",
                Media::EventStream,
            ),
            ("text/event-stream;q=0, application/x-ndjson", Media::Ndjson),
            ("text/event-stream; Q=0.0", Media::Plain),
            (
                "text/event-stream;q=0.5, application/x-ndjson",
                Media::Ndjson,
            ),
            (
                "text/event-stream;q=0.5, application/x-ndjson;q=0.4",
                Media::EventStream,
            ),
            ("application/x-ndjson;q=NaN", Media::Plain),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Media::asked_by(&headers), expected, "{accept}");
        }
    }
}
