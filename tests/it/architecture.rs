//! The house plan: a module uses only floors below its own, neighbours do not know each other, and rooms stay small.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the ground up. A new module has to be given one here.
const FLOORS: [&[&str]; 7] = [
    &["policy", "address", "tls"],
    &[
        "audit",
        "authn",
        "confine",
        "engine",
        "limits",
        "metrics",
        "pretend",
        "server",
        "telemetry",
    ],
    &["config"],
    &["gateway"],
    &["api"],
    &["app"],
    &["cli"],
];

/// Words that a pure room cannot contain: the clock, the network, files, the environment, other crates' I/O.
const IMPURE: [&str; 10] = [
    "std::time",
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::thread",
    "std::process",
    "tokio",
    "hyper",
    "tracing",
];

/// What is pure besides the whole of `policy`.
const PURE_FILES: [&str; 6] = [
    "src/engine/command.rs",
    "src/engine/stats/compute.rs",
    "src/engine/stats/sample.rs",
    "src/engine/view.rs",
    "src/engine/id.rs",
    "src/gateway/failure.rs",
];

/// The longest that a file can be, in lines.
const MAX_LINES: usize = 500;

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The top-level module that the file belongs to.
    fn module(&self) -> String {
        let inside = self.path.strip_prefix("src").unwrap();
        let first = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        first.trim_end_matches(".rs").to_owned()
    }

    /// The text without its tests' module and comments.
    fn code(&self) -> String {
        let product = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = product
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(Path::new("src"), &mut found);
    assert!(found.len() > 30, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source { path, text });
        }
    }
}

/// The top-level modules that a text names as `crate::module`. A group, `crate::{…}`, is none that is on a floor.
fn uses(code: &str) -> Vec<String> {
    let names = code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        rest.split_at(end.unwrap_or(rest.len())).0.to_owned()
    });
    names.collect()
}

#[test]
fn a_module_uses_only_floors_below_its_own() {
    let mut floors = BTreeMap::new();
    for (floor, modules) in FLOORS.iter().enumerate() {
        floors.extend(modules.iter().map(|module| ((*module).to_owned(), floor)));
    }
    let mut broken = Vec::new();
    for source in sources() {
        let module = source.module();
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(own) = floors.get(&module) else {
            broken.push(format!("{module}: which floor is it on?"));
            continue;
        };
        let code = source.code();
        if code.contains("super::super") {
            broken.push(format!(
                "{}: `super::super` hides where it leads",
                source.path.display()
            ));
        }
        for used in uses(&code) {
            let is_below = floors.get(&used).is_some_and(|floor| floor < own);
            if used != module && !is_below {
                broken.push(format!(
                    "{} uses {used}, which is not below it",
                    source.path.display()
                ));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_law_is_pure() {
    let mut broken = Vec::new();
    for source in sources() {
        let is_listed = PURE_FILES.iter().any(|pure| source.path == Path::new(pure));
        let is_policy = source.module() == "policy" && !source.path.ends_with("tests.rs");
        if !is_policy && !is_listed {
            continue;
        }
        let code = source.code().replace("std::time::Duration", "");
        for word in IMPURE {
            if code.contains(word) {
                broken.push(format!("{} names {word}", source.path.display()));
            }
        }
        if is_policy {
            let foreign = code.lines().filter(|line| {
                line.starts_with("use ")
                    && !line.starts_with("use std::")
                    && !line.starts_with("use super::")
            });
            broken.extend(foreign.map(|line| format!("{}: {line}", source.path.display())));
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn rooms_are_small_and_say_what_they_are() {
    let mut broken = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            broken.push(format!("{}: {lines} lines", source.path.display()));
        }
        if !source.text.starts_with("//! ") {
            broken.push(format!("{}: no opening sentence", source.path.display()));
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_program_is_thin() {
    let main = fs::read_to_string("src/main.rs").unwrap();
    assert!(main.lines().count() < 20);
}

#[test]
fn uses_are_found() {
    let code =
        "use crate::policy::Verb;\nuse crate::{engine, server};\nlet x = crate::config::load();";
    assert_eq!(uses(code), ["policy", "", "config"]);
}
