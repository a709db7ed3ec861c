//! What compose writes on the containers that it makes: of which service they are, and which others that needs.

use std::collections::{BTreeMap, HashMap};

/// The label with the project; who lacks it was not made by compose.
pub(super) const PROJECT: &str = "com.docker.compose.project";

const SERVICE: &str = "com.docker.compose.service";
const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// `True` on what `docker compose run` made: nothing depends on that.
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// The most services that one container can need. Whoever makes images and containers writes labels, of any length.
const MOST_NEEDS: usize = 256;

/// A container that compose made, by its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// The name by which the engine knows it.
    pub full_name: String,
    /// The project; services of other projects are others, whatever they are called.
    pub project: String,
    /// The service; several containers can be of one.
    pub service: String,
    /// Which services of the project it needs, and what it needs of them.
    pub needs: BTreeMap<String, Condition>,
}

/// What a container needs of another before it starts; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// That it was started.
    Started,
    /// That its health check says `healthy`.
    Healthy,
    /// That it has exited with 0.
    Completed,
}

impl Composed {
    /// Reads the labels of the container of this name; none where they make it no part of a project.
    pub(super) fn read(full_name: String, labels: &HashMap<String, String>) -> Option<Self> {
        if labels.get(ONE_OFF).is_some_and(|text| text == "True") {
            return None;
        }
        let depends_on = labels.get(DEPENDS_ON).map_or("", String::as_str);
        let mut needs = BTreeMap::new();
        for (service, condition) in depends_on.split(',').filter_map(need).take(MOST_NEEDS) {
            let known = needs.entry(service.to_owned()).or_insert(condition);
            *known = condition.max(*known);
        }
        Some(Self {
            full_name,
            project: labels.get(PROJECT)?.clone(),
            service: labels.get(SERVICE)?.clone(),
            needs,
        })
    }
}

/// Reads `service`, `service:condition` or `service:condition:restart`. A condition that is not known still orders.
fn need(text: &str) -> Option<(&str, Condition)> {
    let mut parts = text.split(':').map(str::trim);
    let service = parts.next().filter(|service| !service.is_empty())?;
    let condition = match parts.next() {
        Some("service_healthy") => Condition::Healthy,
        Some("service_completed_successfully") => Condition::Completed,
        Some(_) | None => Condition::Started,
    };
    Some((service, condition))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Composed, DEPENDS_ON, ONE_OFF, PROJECT, SERVICE};

    fn check(depends_on: &str, expected: &str) {
        let labels = [(PROJECT, "p"), (SERVICE, "s"), (DEPENDS_ON, depends_on)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let read = Composed::read("p-s-1".to_owned(), &HashMap::from(labels)).unwrap();
        assert_eq!(format!("{:?}", read.needs), expected, "{depends_on}");
    }

    #[test]
    fn needs() {
        check("", "{}");
        check("a", r#"{"a": Started}"#);
        check("b,a", r#"{"a": Started, "b": Started}"#);
        check("a:service_started:false", r#"{"a": Started}"#);
        check(
            "a:service_healthy:true,b:service_completed_successfully:false",
            r#"{"a": Healthy, "b": Completed}"#,
        );
        check(
            "a:service_healthy:true,a:service_started:false",
            r#"{"a": Healthy}"#,
        );
        check("a:service_nonsense:x:y:z", r#"{"a": Started}"#);
        check(" a , b ", r#"{"a": Started, "b": Started}"#);
        check(",,:service_healthy:true,:,", "{}");
        check("\n,\0,s", r#"{"\0": Started, "s": Started}"#);
        let many: Vec<_> = (0..100_000).map(|number| format!("s{number}")).collect();
        let labels = HashMap::from(
            [
                (PROJECT, "p"),
                (SERVICE, "s"),
                (DEPENDS_ON, &many.join(",")),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        let read = Composed::read(String::new(), &labels).unwrap();
        assert_eq!(read.needs.len(), super::MOST_NEEDS);
    }

    #[test]
    fn who_is_part_of_a_project() {
        for (labels, expected) in [
            (&[(PROJECT, "p"), (SERVICE, "s")][..], true),
            (&[(PROJECT, "p")], false),
            (&[(SERVICE, "s")], false),
            (&[(PROJECT, "p"), (SERVICE, "s"), (ONE_OFF, "False")], true),
            (&[(PROJECT, "p"), (SERVICE, "s"), (ONE_OFF, "True")], false),
        ] {
            let labels = labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let read = Composed::read(String::new(), &labels.collect());
            assert_eq!(read.is_some(), expected, "{read:?}");
        }
    }
}
