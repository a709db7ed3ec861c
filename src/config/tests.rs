//! The shipped file, the layers, and broken files with the very words that people get to read.

mod golden;
mod layers;
mod properties;
mod shipped;

use super::{Config, Environment, Mistakes, parse};

/// The least that is a configuration.
const LEAST: &str = "[containers.muxer]\nallow = [\"status\"]\n";

/// Parses a file of this text with these variables, written `NAME=value`.
fn read(text: &str, variables: &[&str]) -> Result<Config, Mistakes> {
    let pair = |variable: &&str| {
        let (name, value) = variable.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    let environment: Environment = variables.iter().map(pair).collect();
    parse("relayer-controller.toml", text, &environment)
}
