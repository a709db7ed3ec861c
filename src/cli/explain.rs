//! `explain`: may this caller do that, and which line of the file says so?

use std::path::Path;

use super::{NO, YES, report, say};
use crate::config::{self, Environment};
use crate::policy::{ContainerName, Decision, Denial, Principal, Verb};

pub(super) fn run(file: &Path, principal: &Principal, verb: Verb, container: &ContainerName) -> u8 {
    let config = match config::load(file, &Environment::of_process()) {
        Ok(config) => config,
        Err(mistakes) => return report(&mistakes),
    };
    let full_name = config.policy.prefix().full(container);
    let (code, answer, why) = match config.policy.decide(principal, verb, container) {
        Decision::Allow { by } => (YES, "allow", format!("granted by {by}")),
        Decision::Deny(Denial::Hidden) => {
            let why = format!(
                "hidden: {} has no [containers.{container}] that allows anything",
                file.display()
            );
            (NO, "deny", why)
        }
        Decision::Deny(denial @ (Denial::NotGranted { .. } | Denial::Forbidden { .. })) => {
            (NO, "deny", denial.to_string())
        }
    };
    say(&format!(
        "{answer}: {principal} {verb} {container} (the container {full_name})\n  {why}"
    ));
    code
}
