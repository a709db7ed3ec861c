//! The body of a request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayer_controller::api::fuzz;

fuzz_target!(|bytes: &[u8]| {
    fuzz::body(bytes);
    fuzz::object(bytes);
});
