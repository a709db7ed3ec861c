//! Health checks: nothing is run, a label says what they come to. So of the programs that dockerd would run, no events
//! are told, only what they come to.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::container::Container;

/// The label with what a container's health check comes to and after how many milliseconds of a run, such as
/// `healthy:500`. It also gives a health check to a container that was made without one.
const HEALTH: &str = "pretend.health";

/// The health check that a container was made with, as `Config` shows it.
pub(super) fn check(container: &Container) -> Option<Map<String, Value>> {
    let labelled = || {
        let is_labelled = container.config.labels.contains_key(HEALTH);
        is_labelled.then(|| Map::from_iter([("Test".to_owned(), json!(["CMD", "pretend"]))]))
    };
    container.config.healthcheck.clone().or_else(labelled)
}

/// The engine's word for a container's health; none without a health check and before the first run.
pub(super) fn word(container: &Container, now: SystemTime) -> Option<&'static str> {
    is_checked(container).then_some(())?;
    container.started?;
    if container.process.is_none() || container.is_paused() {
        // dockerd says so of a container that it does not check at the moment.
        return Some("unhealthy");
    }
    let due = outcome(container).filter(|(date, _)| *date <= now);
    Some(due.map_or("starting", |(_, word)| word))
}

/// What the health check of this run comes to, and when.
pub(super) fn outcome(container: &Container) -> Option<(SystemTime, &'static str)> {
    let label = container.config.labels.get(HEALTH)?;
    let started = container.started.filter(|_| is_checked(container))?;
    let (word, after) = label.split_once(':')?;
    let date = started.checked_add(Duration::from_millis(after.parse().ok()?))?;
    let word = if word == "healthy" {
        "healthy"
    } else {
        "unhealthy"
    };
    Some((date, word))
}

fn is_checked(container: &Container) -> bool {
    let check = check(container);
    let test = check
        .as_ref()
        .and_then(|check| check.get("Test")?.get(0)?.as_str());
    test.is_some_and(|test| test.starts_with("CMD"))
}
