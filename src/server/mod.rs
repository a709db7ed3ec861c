//! Edge: the accept loop.
mod listen;
pub use listen::{Listen, Settings};
