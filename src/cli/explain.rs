//! `explain`: may this caller do that, and which line of the file says so?

use std::path::Path;

use super::{MISTAKE, NO, YES, complain, report, say};
use crate::config::{self, Environment};
use crate::policy::{ContainerName, Decision, Denial, Principal, Verb};

pub(super) fn run(file: &Path, principal: &Principal, verb: Verb, container: &ContainerName) -> u8 {
    let config = match config::load(file, &Environment::of_process()) {
        Ok(config) => config,
        Err(mistakes) => return report(&mistakes),
    };
    let policy = &config.policy;
    if !policy.knows(principal) {
        let known: Vec<_> = policy.principals().map(Principal::as_str).collect();
        let what = format!("{} has no [principals.{principal}]", file.display());
        if principal.is_anonymous() {
            say(&format!(
                "deny: {what}, so whoever shows no credentials is refused (401)"
            ));
            return NO;
        }
        let hint = if known.is_empty() {
            "everybody is `anonymous`".to_owned()
        } else {
            format!("its principals are {}", known.join(", "))
        };
        complain(&format!("{what}; {hint}"));
        return MISTAKE;
    }
    let full_name = config.policy.prefix().full(container);
    let (code, answer, why) = match config.policy.decide(principal, verb, container) {
        Decision::Allow { by } => (YES, "allow", format!("granted by {by}")),
        Decision::Deny(Denial::Hidden { by: None }) => {
            let why = format!("hidden: {} has no [containers.{container}]", file.display());
            (NO, "deny", why)
        }
        Decision::Deny(denial) => (NO, "deny", denial.to_string()),
    };
    say(&format!(
        "{answer}: {principal} {verb} {container} (the container {full_name})\n  {why}"
    ));
    code
}
