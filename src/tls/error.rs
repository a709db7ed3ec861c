//! What is wrong with a file of certificates or keys.

use std::fmt;
use std::path::PathBuf;

/// A file that cannot be used. Says which setting names it, what is wrong and what to do; never what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub(super) setting: &'static str,
    pub(super) path: PathBuf,
    pub(super) what: String,
    pub(super) advice: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            path,
            what,
            advice,
        } = self;
        write!(
            f,
            "`{setting}` cannot be used: `{}`: {what}",
            path.display()
        )?;
        if advice.is_empty() {
            Ok(())
        } else {
            write!(f, "; {advice}")
        }
    }
}

impl std::error::Error for Error {}
