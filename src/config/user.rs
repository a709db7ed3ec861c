//! The user who serves.

use crate::confine::{InvalidUser, User};

use super::check::Check;
use super::mistake::quoted;
use super::raw::Field;

impl Check<'_> {
    /// The user to become, or none if it is absent or wrong.
    pub(super) fn user(&mut self, field: Field<String>) -> Option<User> {
        self.text(&["server", "user"], field, |text| {
            text.parse().map_err(|invalid| wrong(text, invalid))
        })
    }
}

/// What is wrong with the user, and what to do about it.
fn wrong(text: &str, invalid: InvalidUser) -> (String, String) {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    match invalid {
        InvalidUser::Root => (
            format!("{} is root", quoted(text)),
            "root is what this avoids: take any other number, such as `65532`, or remove the setting"
                .to_owned(),
        ),
        InvalidUser::UserName => (
            format!("{} is the name of a user, not a number", quoted(user)),
            format!(
                "there is no list of users in the image; the number is what `id -u {user}` says"
            ),
        ),
        InvalidUser::GroupName => (
            format!("{} is the name of a group, not a number", quoted(group)),
            format!(
                "there is no list of groups in the image; the number is the third field of `getent group {group}`"
            ),
        ),
        InvalidUser::Form => (
            format!("{} is no user", quoted(text)),
            "a user is written by number, as `65532`, or with a group, as `65532:998`".to_owned(),
        ),
    }
}
