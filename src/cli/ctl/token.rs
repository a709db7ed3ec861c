//! The token that says who asks: out of the environment or a file, and never out of an argument.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use hyper::header::HeaderValue;

use super::failure::Failure;

/// The variable with the token itself.
pub(super) const TOKEN: &str = "RELAYER_CONTROLLER_TOKEN";

/// The variable with the name of a file that has it.
const TOKEN_FILE: &str = "RELAYER_CONTROLLER_TOKEN_FILE";

/// The longest that a token can be, in bytes: one that `relayer-controller token` makes has 68.
const MAX_BYTES: usize = 4096;

/// A token, ready to be sent.
#[derive(Debug)]
pub(super) struct Token {
    /// The value of the `Authorization` header, which is shown nowhere.
    pub(super) header: HeaderValue,
    /// Where it is from, for messages.
    pub(super) source: String,
}

impl Token {
    /// The token to send, if there is one: of the file that `--token-file` names, or else of the environment.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or is no token, or the environment names two.
    pub(super) fn find(argument: Option<&Path>) -> Result<Option<Self>, Failure> {
        if let Some(path) = argument {
            return read("--token-file", path).map(Some);
        }
        match (variable(TOKEN), variable(TOKEN_FILE)) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Failure::Usage(format!(
                "`{TOKEN}` and `{TOKEN_FILE}` are both set; unset one of them"
            ))),
            (Some(text), None) => {
                let text = text.to_string_lossy();
                parse(&text, format!("`{TOKEN}`")).map(Some)
            }
            (None, Some(path)) => read(TOKEN_FILE, &PathBuf::from(path)).map(Some),
        }
    }
}

/// A variable of the environment; an empty one counts as not set, as compose passes them on.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn read(setting: &str, path: &Path) -> Result<Token, Failure> {
    let source = format!("`{}` (`{setting}`)", path.display());
    let mut bytes = Vec::new();
    // A pipe is as good as a file: `--token-file <(pass show relay)`.
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            Failure::Usage(format!("the token cannot be read from {source}: {error}"))
        })?;
    parse(&String::from_utf8_lossy(&bytes), source)
}

/// SECURITY: the messages never repeat any of the text.
fn parse(text: &str, source: String) -> Result<Token, Failure> {
    let no = |why: &str| Failure::Usage(format!("{source} {why}"));
    let token = text.trim();
    if token.is_empty() {
        return Err(no("has no token in it"));
    }
    if token.len() > MAX_BYTES {
        return Err(no("is too long to be a token"));
    }
    if token.lines().count() > 1 {
        return Err(no(
            "has more than one line; of what `relayer-controller token` prints, the first line is the token",
        ));
    }
    if token.starts_with("sha256:") {
        return Err(no(
            "has the hash of a token, which is for the gateway's TOML; the token is the other line, and begins `rlc_`",
        ));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(no(
            "has something else in it than a token: letters, digits and signs without blanks",
        ));
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| no("has something else in it than a token"))?;
    header.set_sensitive(true);
    Ok(Token { header, source })
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(text: &str, expected: &str) {
        let told = match parse(text, "`X`".to_owned()) {
            Ok(token) => {
                assert!(!format!("{token:?}").contains("rlc_"), "{token:?}");
                token.header.to_str().unwrap().to_owned()
            }
            Err(failure) => failure.to_string(),
        };
        assert!(told.starts_with(expected), "{told}");
        assert!(!told.starts_with('`') || !told.contains("s3cret"), "{told}");
    }

    #[test]
    fn tokens() {
        check("rlc_s3cret", "Bearer rlc_s3cret");
        check(" rlc_s3cret\r\n", "Bearer rlc_s3cret");
        check("", "`X` has no token");
        check("\n", "`X` has no token");
        check(
            "rlc_s3cret\ntoken = \"sha256:s3cret\"\n",
            "`X` has more than one line",
        );
        check("sha256:s3cret", "`X` has the hash of a token");
        check("s3cret s3cret", "`X` has something else");
        check("s3cret\u{7}", "`X` has something else");
        check("s3cr\u{e9}t", "`X` has something else");
        check(&"s3cret".repeat(1000), "`X` is too long");
    }
}
