//! `check`: is the configuration as it should be?

use std::path::Path;

use super::{YES, report, say};
use crate::config::{self, Environment};

pub(super) fn run(file: &Path) -> u8 {
    match config::load(file, &Environment::of_process()) {
        Ok(config) => {
            let count = config.containers.len();
            let prefix = config.policy.prefix();
            say(&format!(
                "{}: good; {count} managed container{} with the prefix `{prefix}`",
                file.display(),
                if count == 1 { "" } else { "s" },
            ));
            YES
        }
        Err(mistakes) => report(&mistakes),
    }
}
