//! The engine's events, each a hint to look at a container again: read as widely as engines write them.

use serde::Deserialize;

use crate::engine::{ContainerId, Moment};

/// What an event hints at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Look at this container.
    Look(Subject),
    /// This container's memory did not suffice, and one of its processes was killed.
    OutOfMemory(Subject),
    /// Nothing that matters here.
    Nothing,
    /// It cannot be said what: look at everything.
    Anything,
}

/// Which container, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) id: ContainerId,
    /// The name that it had, where the event says so.
    pub(super) name: Option<String>,
    /// Its old name, where it got another.
    pub(super) old_name: Option<String>,
    pub(super) at: Option<Moment>,
}

/// What happens to containers and leaves their state as it is; of `exec_…` there is one for each health check.
const IDLE: [&str; 10] = [
    "archive-path",
    "attach",
    "commit",
    "copy",
    "detach",
    "export",
    "extract-to-dir",
    "prune",
    "resize",
    "top",
];

impl Hint {
    /// Reads a line of the engine's. What is unknown is no reason to stop reading: bollard (0.21.1) ends the stream at
    /// the first word that is not in its lists.
    pub(super) fn read(line: &[u8]) -> Self {
        /// As engines write it, as far as it matters.
        #[derive(Deserialize)]
        struct Event {
            #[serde(rename = "Type", default)]
            kind: Option<String>,
            #[serde(rename = "Action", default)]
            action: Option<String>,
            #[serde(rename = "Actor", default)]
            actor: Option<Actor>,
            #[serde(rename = "timeNano", default)]
            nanos: Option<u64>,
        }
        #[derive(Deserialize)]
        struct Actor {
            #[serde(rename = "ID", default)]
            id: Option<String>,
            #[serde(rename = "Attributes", default)]
            attributes: Option<Attributes>,
        }
        #[derive(Default, Deserialize)]
        struct Attributes {
            #[serde(default)]
            name: Option<String>,
            #[serde(rename = "oldName", default)]
            old_name: Option<String>,
        }
        if line.trim_ascii().is_empty() {
            return Self::Nothing;
        }
        let Ok(event) = serde_json::from_slice::<Event>(line) else {
            return Self::Anything;
        };
        // It is asked for containers alone; an engine that sends more is not asked about them.
        if event.kind.is_some_and(|kind| kind != "container") {
            return Self::Nothing;
        }
        let action = event.action.unwrap_or_default();
        if action.starts_with("exec_") || IDLE.contains(&action.as_str()) {
            return Self::Nothing;
        }
        let Some(actor) = event.actor else {
            return Self::Anything;
        };
        let Some(id) = actor.id.and_then(|id| id.parse().ok()) else {
            return Self::Anything;
        };
        let attributes = actor.attributes.unwrap_or_default();
        let subject = Subject {
            id,
            name: attributes.name,
            // Docker writes the slash that it puts before names, Podman does not.
            old_name: attributes
                .old_name
                .map(crate::engine::inspected::without_slash),
            at: event.nanos.map(Moment::from_nanos),
        };
        if action == "oom" {
            Self::OutOfMemory(subject)
        } else {
            Self::Look(subject)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Hint;

    const ID: &str = "19376fe48d992c56674c61dcb31ff000c0b60ffe838f7a207b94657eca68995c";

    fn check(line: &str, expected: &str) {
        let line = line.replace("ID64", ID);
        let hint = match Hint::read(line.as_bytes()) {
            Hint::Look(subject) => format!("look at {:?}", subject.name),
            Hint::OutOfMemory(subject) => format!("memory of {:?}", subject.name),
            Hint::Nothing => "nothing".to_owned(),
            Hint::Anything => "anything".to_owned(),
        };
        assert_eq!(hint, expected, "{line}");
    }

    #[test]
    fn whatever_an_engine_writes() {
        let start = r#"{"status":"start","id":"ID64","from":"busybox","Type":"container","Action":"start","Actor":{"ID":"ID64","Attributes":{"image":"busybox","name":"web"}},"scope":"local","time":1795427452,"timeNano":1795427452123456789}"#;
        check(start, r#"look at Some("web")"#);
        for (from, to, expected) in [
            (
                "\"start\",\"Actor",
                "\"oom\",\"Actor",
                r#"memory of Some("web")"#,
            ),
            (
                "\"start\",\"Actor",
                "\"exec_start: true\",\"Actor",
                "nothing",
            ),
            (
                "\"start\",\"Actor",
                "\"health_status: healthy\",\"Actor",
                r#"look at Some("web")"#,
            ),
            (
                "\"start\",\"Actor",
                "\"a word of tomorrow\",\"Actor",
                r#"look at Some("web")"#,
            ),
            ("\"container\"", "\"sandbox\"", "nothing"),
            ("\"Type\":\"container\",", "", r#"look at Some("web")"#),
            (",\"name\":\"web\"", "", "look at None"),
            ("\"name\":\"web\"", "\"name\":7", "anything"),
            (r#""ID":"ID64","#, "", "anything"),
            (r#""ID":"ID64""#, r#""ID":"../info""#, "anything"),
            ("1795427452123456789", "-1", "anything"),
            ("}", "", "anything"),
        ] {
            assert_ne!(start.replace(from, to), start);
            check(&start.replace(from, to), expected);
        }
        check("", "nothing");
        check("\r\n", "nothing");
        check("null", "anything");
        check("[]", "anything");
        check("\u{0}", "anything");
    }
}
