//! JSON that is ready to be sent, with the tag by which a client asks whether it is still the same.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hyper::header::HeaderValue;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// How much of the SHA-256 is in a tag, in bytes: no two texts that anybody will see have the same.
const TAG_BYTES: usize = 15;

/// A JSON text and its tag. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    json: Bytes,
    tag: HeaderValue,
}

impl Rendered {
    /// What this value is in JSON.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        // Our own types with text for keys: that cannot fail.
        Self::from_json(serde_json::to_vec(value).unwrap_or_default())
    }

    /// A text that is JSON already.
    #[must_use]
    pub fn from_json(json: impl AsRef<[u8]>) -> Self {
        let json = json.as_ref();
        let digest = Sha256::digest(json);
        let tag = URL_SAFE_NO_PAD.encode(digest.get(..TAG_BYTES).unwrap_or_default());
        let tag = format!("\"{tag}\"");
        // Both in one piece of memory, which has one count of who holds it: every answer takes and gives back both, and at
        // a count waits for those of other threads.
        let mut tagged = Bytes::from([json, tag.as_bytes()].concat());
        let json = tagged.split_to(json.len());
        // Letters, digits, `-` and `_`: that cannot fail.
        let tag = HeaderValue::from_maybe_shared(tagged);
        Self {
            json,
            tag: tag.unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
        }
    }

    /// The text.
    #[must_use]
    pub const fn json(&self) -> &Bytes {
        &self.json
    }

    /// A strong entity tag of RFC 9110, with its quotes: other bytes have another one.
    #[must_use]
    pub const fn tag(&self) -> &HeaderValue {
        &self.tag
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.json))
    }
}

#[cfg(test)]
mod tests {
    use super::Rendered;

    #[test]
    fn a_tag_is_of_the_bytes() {
        let (one, same, other) = (Rendered::of(&1), Rendered::from_json("1"), Rendered::of(&2));
        assert_eq!(one, same);
        assert_ne!(one.tag(), other.tag());
        let tag = one.tag().to_str().unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 22);
    }
}
