//! Which containers a list request asks for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::container::Container;
use super::form::Form;
use super::refusal::Refusal;
use super::state::Containers;

/// The filters that dockerd has and a pretend engine has not.
const NOT_PRETENDED: [&str; 12] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "is-task",
    "isolation",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

/// Reads the parameters of a list request, and picks the containers that they ask for, newest first.
pub(super) fn list<'a>(
    containers: &'a Containers,
    form: &Form,
) -> Result<Vec<&'a Container>, Refusal> {
    let limit = form.number("limit")?.filter(|limit| *limit > 0);
    let filters = parse(form.get("filters"))?;
    let all = form.is_on("all") || limit.is_some();
    let picked = containers
        .newest_first()
        .into_iter()
        .filter(|container| all || container.process.is_some())
        .filter(|container| matches(containers, container, &filters));
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    Ok(picked.take(limit.unwrap_or(usize::MAX)).collect())
}

/// Every filter by its name, with the texts that it looks for.
type Filters = BTreeMap<String, Vec<String>>;

fn parse(text: &str) -> Result<Filters, Refusal> {
    if text.is_empty() {
        return Ok(Filters::new());
    }
    let malformed = |reason: String| Refusal::new(500, reason);
    let value: Value = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let Value::Object(object) = value else {
        return Err(malformed("the filters are no JSON object".to_owned()));
    };
    let mut filters = Filters::new();
    for (name, value) in object {
        let alternatives = alternatives(&value)
            .ok_or_else(|| malformed(format!("the filter `{name}` is no list of texts")))?;
        check(&name, &alternatives)?;
        filters.insert(name, alternatives);
    }
    Ok(filters)
}

/// Both of Docker's spellings: `["a"]`, and the older `{"a":true}`.
fn alternatives(value: &Value) -> Option<Vec<String>> {
    if let Value::Object(object) = value {
        let names = object
            .iter()
            .map(|(name, on)| on.is_boolean().then(|| name.clone()));
        return names.collect();
    }
    let texts = value.as_array()?.iter();
    texts.map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Refuses what dockerd refuses, and loudly what it would serve and this engine would serve wrongly.
fn check(name: &str, alternatives: &[String]) -> Result<(), Refusal> {
    let is_plain = |text: &String| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte))
    };
    match name {
        "id" | "label" => Ok(()),
        "name" if alternatives.iter().all(is_plain) => Ok(()),
        "name" => Err(Refusal::new(
            500,
            "the pretend engine reads no regular expressions but characters of names",
        )),
        known if NOT_PRETENDED.contains(&known) => Err(Refusal::new(
            500,
            format!("the pretend engine has no filter `{known}`"),
        )),
        unknown => Err(Refusal::new(400, format!("Invalid filter '{unknown}'"))),
    }
}

fn matches(containers: &Containers, container: &Container, filters: &Filters) -> bool {
    filters
        .iter()
        .filter(|(_, alternatives)| !alternatives.is_empty())
        .all(|(name, alternatives)| match name.as_str() {
            "id" => alternatives
                .iter()
                .any(|prefix| is_the_one(containers, container, prefix)),
            // The only filter of which every text must hold.
            "label" => alternatives.iter().all(|label| has_label(container, label)),
            _ => alternatives
                .iter()
                .any(|pattern| occurs(pattern, &format!("/{}", container.name))),
        })
}

/// Whether the prefix names this container and no other. The empty one names none.
fn is_the_one(containers: &Containers, container: &Container, prefix: &str) -> bool {
    let (first, more) = containers.find_prefix(prefix);
    !prefix.is_empty() && !more && first.is_some_and(|first| first.id == container.id)
}

fn has_label(container: &Container, label: &str) -> bool {
    let labels = &container.config.labels;
    match label.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|has| has == value),
        None => labels.contains_key(label),
    }
}

/// Whether the pattern matches somewhere in the text, a dot standing for any character.
fn occurs(pattern: &str, text: &str) -> bool {
    let pattern = pattern.as_bytes();
    pattern.is_empty()
        || text.as_bytes().windows(pattern.len()).any(|window| {
            window
                .iter()
                .zip(pattern)
                .all(|(byte, wanted)| *wanted == b'.' || byte == wanted)
        })
}
