//! Edge: who a caller is, from what it shows: a token, a certificate, or its user on this machine.

mod header;
mod register;
mod token;

pub use header::{Malformed, Shown, TOKEN_SUBPROTOCOL};
pub use register::{Credentials, Identity, Register, Rejection};
pub use token::{InvalidHash, Secret, Token, TokenHash};
