//! `openapi`: the description of the API, the same as a gateway gives at `/openapi.json`.

use super::{YES, say};
use crate::api::openapi;

pub(super) fn run() -> u8 {
    // Saying it ends its last line again.
    say(openapi().trim_end());
    YES
}
