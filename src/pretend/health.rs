//! Health checks: nothing is run, a label says what they come to.

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
    let check = check(container)?;
    let test = check.get("Test")?.get(0)?.as_str()?;
    let started = container.started.filter(|_| test.starts_with("CMD"))?;
    if container.process.is_none() || container.is_paused() {
        // dockerd says so of a container that it does not check at the moment.
        return Some("unhealthy");
    }
    let due = container.config.labels.get(HEALTH).and_then(|text| {
        let (word, after) = text.split_once(':')?;
        let after = started.checked_add(Duration::from_millis(after.parse().ok()?))?;
        let word = if word == "healthy" {
            "healthy"
        } else {
            "unhealthy"
        };
        (after <= now).then_some(word)
    });
    Some(due.unwrap_or("starting"))
}
