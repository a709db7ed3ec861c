//! The query of a request.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| relayer_controller::api::fuzz::query(text));
