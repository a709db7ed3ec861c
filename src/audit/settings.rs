//! What the deployer says about the audit trail.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The word for standard output.
const STDOUT: &str = "stdout";

const FORM: &str = "write `\"stdout\"`, or the path of a file, such as `\"/var/log/relayer-controller/audit.jsonl\"`";

/// The `[audit]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the records go; without one, none are written.
    pub output: Option<Output>,
    /// Whether what changes something is refused while its record cannot be written.
    pub required: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            output: None,
            required: true,
        }
    }
}

/// Where the records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To the standard output of this process.
    Stdout,
    /// To the end of this file, which is made where there is none, in a directory that has to exist.
    File(PathBuf),
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str(STDOUT),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Output {
    type Err = &'static str;

    /// # Errors
    ///
    /// A sentence that says what an output looks like.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == STDOUT {
            return Ok(Self::Stdout);
        }
        // A misspelt `stdout` shall not become a file of that name.
        if !text.contains(['/', '.']) {
            return Err(FORM);
        }
        if text.ends_with(['/', '.']) {
            return Err("this is a directory; name the file in it");
        }
        if text.starts_with('/') && text.rfind('/') == Some(0) {
            return Err(
                "the file needs a directory of its own, which is all of the disk that is written to",
            );
        }
        if text.contains(char::is_control) {
            return Err("a path has no control characters");
        }
        Ok(Self::File(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::Output;

    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed: Result<Output, _> = text.parse();
        match (parsed, expected) {
            (Ok(output), Ok(shown)) => assert_eq!(output.to_string(), shown),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }

    #[test]
    fn outputs() {
        assert_eq!("stdout".parse(), Ok(Output::Stdout));
        check("stdout", Ok("stdout"));
        check("/var/log/audit.jsonl", Ok("/var/log/audit.jsonl"));
        check("audit.jsonl", Ok("audit.jsonl"));
        check("./audit", Ok("./audit"));
        for word in ["", "-", "stdot", "STDOUT", "stderr", "syslog", "?"] {
            check(word, Err("`\"stdout\"`"));
        }
        for folder in ["/var/log/", "..", "./..", "/"] {
            check(folder, Err("is a directory"));
        }
        check("/var/log/a\0b", Err("control characters"));
        check("/var/log/a\nb", Err("control characters"));
    }
}
