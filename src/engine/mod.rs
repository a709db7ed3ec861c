//! Edge: the Docker engine.
mod host;
pub use host::{Host, Settings};
