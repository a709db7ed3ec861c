//! `token`: a new secret for a principal, and the line of the configuration that knows it.

use super::{NO, YES, complain, say};
use crate::authn::{Secret, TokenHash};

pub(super) fn run() -> u8 {
    match Secret::generate() {
        Ok(secret) => {
            let hash = TokenHash::of(secret.expose()).written();
            say(&format!("{}\ntoken = \"{hash}\"", secret.expose()));
            YES
        }
        Err(error) => {
            complain(&format!("the kernel gives no random bytes: {error}"));
            NO
        }
    }
}
