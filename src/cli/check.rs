//! `check`: is the configuration as it should be?

use std::path::Path;

use super::{YES, report, say};
use crate::config::{self, Environment};

pub(super) fn run(file: &Path) -> u8 {
    match config::load(file, &Environment::of_process()) {
        Ok(config) => {
            let count = config.containers.len();
            let prefix = config.policy.prefix();
            let plural = |count: usize| if count == 1 { "" } else { "s" };
            let who = match (
                config.policy.has_principals(),
                config.policy.principals().count(),
            ) {
                (false, _) => "everybody is `anonymous`".to_owned(),
                (true, principals) => format!("{principals} principal{}", plural(principals)),
            };
            say(&format!(
                "{}: good; {count} managed container{} with the prefix `{prefix}`; {who}; revision {}",
                file.display(),
                plural(count),
                config.revision,
            ));
            YES
        }
        Err(mistakes) => report(&mistakes),
    }
}
