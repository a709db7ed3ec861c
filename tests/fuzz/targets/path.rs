//! The path of a request, as hyper lets it through.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use relayer_controller::api::fuzz::Paths;

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new().unwrap());

fuzz_target!(|text: &str| PATHS.check(text));
