//! The body of a request.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| relayer_controller::api::fuzz::body(bytes));
