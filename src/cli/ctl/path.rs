//! Paths and queries of the API.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::policy::ContainerName;

/// Everything but what RFC 3986 calls unreserved.
///
/// SECURITY: a name with a slash in it must not lead elsewhere.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path with its query.
#[derive(Clone, Debug)]
pub(super) struct Path {
    text: String,
    has_query: bool,
}

impl Path {
    /// One as it stands here.
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            has_query: false,
        }
    }

    /// That of a container.
    pub(super) fn container(name: &ContainerName) -> Self {
        Self::new("/container").then(name.as_str())
    }

    /// With one more segment.
    pub(super) fn then(mut self, segment: &str) -> Self {
        self.text.push('/');
        self.text.extend(utf8_percent_encode(segment, SEGMENT));
        self
    }

    /// With a parameter, where it has a value.
    pub(super) fn with(mut self, key: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.text.push(if self.has_query { '&' } else { '?' });
            self.has_query = true;
            self.text.push_str(key);
            self.text.push('=');
            self.text.extend(utf8_percent_encode(value, SEGMENT));
        }
        self
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn values_stay_values() {
        let name = "ffmpeg-kick".parse().unwrap();
        for (path, expected) in [
            (Path::new("/containers"), "/containers"),
            (
                Path::container(&name).then("stop"),
                "/container/ffmpeg-kick/stop",
            ),
            (
                Path::container(&name).then("exec").then("a/../b?c#d%"),
                "/container/ffmpeg-kick/exec/a%2F..%2Fb%3Fc%23d%25",
            ),
            (
                Path::new("/x")
                    .with("a", None)
                    .with("b", Some("1+1 &c=d"))
                    .with("e", Some("\u{e9}")),
                "/x?b=1%2B1%20%26c%3Dd&e=%C3%A9",
            ),
        ] {
            assert_eq!(path.to_string(), expected);
        }
    }
}
