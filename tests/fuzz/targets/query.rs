//! The query of a request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayer_controller::api::fuzz;

fuzz_target!(|text: &str| {
    fuzz::query(text);
    fuzz::events_query(text);
    fuzz::log_query(text);
    fuzz::wait_query(text);
});
