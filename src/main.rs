//! The `relayer-controller` program: all of it is in the library, see [`relayer_controller`].

use std::process::ExitCode;

fn main() -> ExitCode {
    relayer_controller::cli::main()
}
