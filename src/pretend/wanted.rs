//! Which events somebody asks for, by dockerd's filters.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::event::Event;
use super::refusal::Refusal;

/// The filters that look at a name or an id, whatever kind of thing has it, as in dockerd.
const NAMES: [&str; 9] = [
    "config",
    "container",
    "daemon",
    "network",
    "node",
    "plugin",
    "secret",
    "service",
    "volume",
];

/// The events of which the beginning may be asked for.
const WITH_MORE: [&str; 3] = ["exec_create", "exec_start", "health_status"];

/// The filters, each with the texts that it looks for, and whether those are switched on.
///
/// dockerd leaves alone the filters that it does not know, and so does this.
#[derive(Debug, Default)]
pub(super) struct Wanted(BTreeMap<String, BTreeMap<String, bool>>);

impl Wanted {
    /// Reads both of dockerd's spellings: `{"type":["a"]}`, and `{"type":{"a":true}}`.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let first = text.chars().next().filter(|first| !"{[\"".contains(*first));
            let words = first
                .map(|first| format!("invalid character '{first}' looking for beginning of value"));
            Refusal::new(500, words.unwrap_or_else(|| error.to_string()))
        })?;
        if let Ok(lists) = serde_json::from_value::<BTreeMap<String, Vec<String>>>(value.clone()) {
            let on = |texts: Vec<String>| texts.into_iter().map(|text| (text, true)).collect();
            let filters = lists.into_iter().map(|(name, texts)| (name, on(texts)));
            return Ok(Self(filters.collect()));
        }
        let none = Map::new();
        let object = value.as_object().or(value.is_null().then_some(&none));
        let object = object.ok_or_else(|| wrong(&value, "map[string]map[string]bool"))?;
        let mut filters = BTreeMap::new();
        for (name, texts) in object {
            let inner = texts.as_object().or(texts.is_null().then_some(&none));
            let inner = inner.ok_or_else(|| wrong(texts, "map[string]bool"))?;
            let inner = inner.iter().map(|(text, on)| match on.as_bool() {
                Some(on) => Ok((text.clone(), on)),
                None => Err(wrong(on, "bool")),
            });
            filters.insert(name.clone(), inner.collect::<Result<_, _>>()?);
        }
        Ok(Self(filters))
    }

    /// Whether an event is asked for.
    pub(super) fn includes(&self, event: &Event) -> bool {
        let attribute = |key: &str| event.attributes.get(key).map_or("", String::as_str);
        let action = event.action.as_str();
        let is_event = if self.has_any("event", &WITH_MORE) {
            self.begins("event", action)
        } else {
            self.is("event", action)
        };
        let (image, id) = (attribute("image"), event.id.as_str());
        let untagged = image.rsplit_once(':').map_or(image, |(name, _)| name);
        let names = NAMES.iter();
        is_event
            && self.is("type", "container")
            && self.is("scope", "local")
            && [image, untagged, id]
                .iter()
                .any(|text| self.is("image", text))
            && names
                .clone()
                .all(|key| self.begins(key, id) || self.begins(key, attribute("name")))
            && self.has_labels(event)
    }

    /// The texts of a filter, if it looks for any.
    fn texts(&self, name: &str) -> Option<&BTreeMap<String, bool>> {
        self.0.get(name).filter(|texts| !texts.is_empty())
    }

    fn is(&self, name: &str, text: &str) -> bool {
        let texts = self.texts(name);
        texts.is_none_or(|texts| texts.get(text).is_some_and(|on| *on))
    }

    fn begins(&self, name: &str, text: &str) -> bool {
        let texts = self.texts(name);
        texts.is_none_or(|texts| texts.keys().any(|beginning| text.starts_with(beginning)))
    }

    fn has_any(&self, name: &str, wanted: &[&str]) -> bool {
        let texts = self.texts(name);
        texts.is_some_and(|texts| wanted.iter().any(|one| texts.contains_key(*one)))
    }

    /// Every label must be there; to dockerd all attributes are labels.
    fn has_labels(&self, event: &Event) -> bool {
        let texts = self.texts("label");
        texts.is_none_or(|texts| {
            texts.keys().all(|label| match label.split_once('=') {
                Some((key, value)) => event.attributes.get(key).is_some_and(|has| has == value),
                None => event.attributes.contains_key(label),
            })
        })
    }
}

/// What Go's decoder says of a value of another kind.
fn wrong(value: &Value, wanted: &str) -> Refusal {
    let kind = kind_of(value);
    let message = format!("json: cannot unmarshal {kind} into Go value of type {wanted}");
    Refusal::new(500, message)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::UNIX_EPOCH;

    use super::Wanted;
    use crate::pretend::event::Event;

    #[test]
    fn filters_pick_as_dockerd_picks() {
        let attributes = [("name", "muxer"), ("image", "repo:5000/box:1"), ("a", "b")];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut event = Event {
            id: "4a".repeat(32),
            action: "start".to_owned(),
            attributes: BTreeMap::from(attributes),
            at: UNIX_EPOCH,
        };
        for (action, filters, expected) in [
            ("start", "", true),
            ("start", "{}", true),
            ("start", "null", true),
            ("start", r#"{"nosuch":["x"]}"#, true),
            ("start", r#"{"Type":["x"]}"#, true),
            ("start", r#"{"type":[]}"#, true),
            ("start", r#"{"type":null}"#, true),
            ("start", r#"{"type":["container"]}"#, true),
            ("start", r#"{"type":["image","container"]}"#, true),
            ("start", r#"{"type":["image"]}"#, false),
            ("start", r#"{"type":["contain"]}"#, false),
            ("start", r#"{"type":{"container":true}}"#, true),
            ("start", r#"{"type":{"container":false}}"#, false),
            ("start", r#"{"scope":["swarm"]}"#, false),
            ("start", r#"{"container":["muxer"]}"#, true),
            ("start", r#"{"container":["mux"]}"#, true),
            ("start", r#"{"container":["uxer"]}"#, false),
            ("start", r#"{"container":["4a4a"]}"#, true),
            ("start", r#"{"network":["mux"]}"#, true),
            ("start", r#"{"network":["bridge"]}"#, false),
            ("start", r#"{"image":["repo:5000/box"]}"#, true),
            ("start", r#"{"image":["repo:5000/box:1"]}"#, true),
            ("start", r#"{"image":["box"]}"#, false),
            ("start", r#"{"label":["a"]}"#, true),
            ("start", r#"{"label":["a=b","name=muxer"]}"#, true),
            ("start", r#"{"label":["a=b","c"]}"#, false),
            ("start", r#"{"label":["a=c"]}"#, false),
            ("start", r#"{"event":["start","die"]}"#, true),
            ("start", r#"{"event":["sta"]}"#, false),
            ("start", r#"{"event":["sta","health_status"]}"#, true),
            (
                "health_status: healthy",
                r#"{"event":["health_status"]}"#,
                true,
            ),
            (
                "health_status: healthy",
                r#"{"event":["health_status: unhealthy"]}"#,
                false,
            ),
            ("exec_create: sh -c x", r#"{"event":["exec_create"]}"#, true),
            ("exec_die", r#"{"event":["exec_create"]}"#, false),
        ] {
            action.clone_into(&mut event.action);
            let wanted = Wanted::parse(filters).unwrap();
            assert_eq!(wanted.includes(&event), expected, "{action} {filters}");
        }
    }
}
