//! What an engine sends of a log: the same lines however it is divided, and none longer than may be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayer_controller::engine::{MAX_LINE_BYTES, decode};

fuzz_target!(|input: (bool, u8, Vec<u8>)| {
    let (is_terminal, size, bytes) = input;
    let whole = decode(is_terminal, [bytes.as_slice()]);
    let divided = decode(is_terminal, bytes.chunks(usize::from(size) + 1));
    assert_eq!(whole, divided);
    let (lines, _) = whole;
    assert!(lines.iter().all(|line| line.bytes.len() <= MAX_LINE_BYTES));
    let printed: usize = lines.iter().map(|line| line.bytes.len()).sum();
    assert!(printed <= bytes.len());
});
