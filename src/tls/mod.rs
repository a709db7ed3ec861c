//! What all that speaks TLS needs: certificates and keys out of files, kept current, and words for what went wrong.

mod current;
mod error;
mod fault;
mod pem;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use current::Current;
pub use error::Error;
pub use fault::{Words, fault};
pub use pem::{PemFile, authorities, identity};

/// The cryptography to use. It is handed to whoever needs it; no default is set for the whole process.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
