//! Bodies of requests: JSON objects in which every key is there once.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoObject {
    /// It is no JSON object, or more than that.
    Malformed,
    /// This key comes twice; which of the two would count is anybody's guess.
    Twice(String),
}

/// Reads a JSON object.
///
/// # Errors
///
/// What is wrong with it. `serde_json`'s own maps take the last of two values in silence.
pub(super) fn object(body: &[u8]) -> Result<BTreeMap<String, Value>, NoObject> {
    let Members(members) = serde_json::from_slice(body).map_err(|_| NoObject::Malformed)?;
    let mut values = BTreeMap::new();
    for (key, value) in members {
        if values.contains_key(&key) {
            return Err(NoObject::Twice(key));
        }
        values.insert(key, value);
    }
    Ok(values)
}

/// The members of an object in their order, also those whose key was there before.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reading)
    }
}

#[cfg(test)]
mod tests {
    use super::{NoObject, object};

    fn check(body: &str, expected: Result<&str, NoObject>) {
        let read = object(body.as_bytes());
        let shown = read.map(|values| serde_json::to_string(&values).unwrap());
        assert_eq!(shown, expected.map(ToOwned::to_owned), "{body}");
    }

    #[test]
    fn only_objects_with_each_key_once() {
        check("{}", Ok("{}"));
        check(
            r#" {"b":[1],"a":{"x":null}} "#,
            Ok(r#"{"a":{"x":null},"b":[1]}"#),
        );
        check(
            r#"{"a":1,"b":2,"a":3}"#,
            Err(NoObject::Twice("a".to_owned())),
        );
        // The same key in other words.
        check(
            r#"{"a":1,"\u0061":3}"#,
            Err(NoObject::Twice("a".to_owned())),
        );
        check(r#"{"a":1,"A":3}"#, Ok(r#"{"A":3,"a":1}"#));
        for malformed in [
            "",
            "[]",
            "null",
            "{}{}",
            "{\"a\":1,}",
            "{a:1}",
            "\"{}\"",
            "a=1",
            "{\"a\":NaN}",
            "\u{feff}{}",
        ] {
            check(malformed, Err(NoObject::Malformed));
        }
    }
}
