//! The map; written in full when the rooms stand.

pub mod config;
pub mod engine;
pub mod policy;
pub mod server;
pub mod telemetry;
/// stub
pub mod cli {
    /// stub
    pub fn main() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}
