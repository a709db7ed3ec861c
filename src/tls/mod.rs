//! What the server and the engine both need for TLS: certificates and keys out of files, kept current.

mod current;
mod error;
mod pem;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use current::Current;
pub use error::Error;
pub use pem::{PemFile, authorities, identity};

/// The cryptography to use. It is handed to whoever needs it; no default is set for the whole process.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
