//! The file as text, or one mistake that says why not.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::lines::Lines;
use super::mistake::{Mistake, Mistakes, Place, quoted};
use crate::authn::TokenHash;

/// Far more than anybody writes by hand, and little enough to read at once.
const MAX_BYTES: u64 = 1 << 20;

/// The text of the file.
pub(super) fn read(path: &Path) -> Result<String, Mistakes> {
    let name = path.display().to_string();
    let whole = |(what, hint): (String, String)| {
        let mistake = Mistake {
            place: Place::File,
            what,
            key: String::new(),
            hint,
        };
        Mistakes::new(&name, "", vec![mistake])
    };
    let metadata = fs::metadata(path);
    let unread = |error: &io::Error| whole(unread(error, metadata.as_ref().ok()));
    if let Some(other) = metadata.as_ref().ok().and_then(not_a_file) {
        return Err(whole(other));
    }
    let mut bytes = Vec::new();
    open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| unread(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(whole((
            "the file is larger than 1 MiB".to_owned(),
            "is it the right one? a configuration has a few kilobytes".to_owned(),
        )));
    }
    String::from_utf8(bytes)
        .map_err(|error| not_utf8(&name, error.as_bytes(), error.utf8_error().valid_up_to()))
}

/// The most that a file of tokens can have.
const MAX_TOKEN_BYTES: u64 = 1 << 16;

/// The length of a token that was made here: another one that begins like it was cut off.
const OWN_LENGTH: usize = 68;

/// The fewest characters of a token: anything shorter could be guessed.
const MIN_TOKEN: usize = 16;

/// The hashes of the tokens in a file: one a line, as the token itself or as its hash; empty lines and lines that begin
/// with `#` do not count.
///
/// # Errors
///
/// What is wrong with the file, and what to do. Says nothing of what is in it.
pub(super) fn read_tokens(path: &Path) -> Result<Vec<TokenHash>, (String, String)> {
    let name = path.display().to_string();
    // SECURITY: a secret that was pasted in the place of the path is not repeated.
    let shown = if name.contains('/') {
        quoted(&name)
    } else {
        "the file".to_owned()
    };
    let about = |(what, hint)| (format!("{shown}: {what}"), hint);
    let metadata = fs::metadata(path);
    if let Some(other) = metadata.as_ref().ok().and_then(not_a_file) {
        return Err(about(other));
    }
    let mut text = String::new();
    let read = open(path).and_then(|file| file.take(MAX_TOKEN_BYTES + 1).read_to_string(&mut text));
    if let Err(error) = read {
        let (what, mut hint) = unread(&error, metadata.as_ref().ok());
        if error.kind() == ErrorKind::NotFound {
            "it is read at once when it is there".clone_into(&mut hint);
        }
        return Err(about((what, hint)));
    }
    if text.len() as u64 > MAX_TOKEN_BYTES {
        let what = "it is larger than 64 KiB".to_owned();
        return Err(about((what, "is it the right one?".to_owned())));
    }
    let lines = text.lines().map(str::trim).enumerate();
    let tokens = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| token_of(line).map_err(|what| format!("line {}: {what}", index + 1)))
        .collect::<Result<Vec<_>, _>>();
    let hint = "one token a line, as it is or as `sha256:` and its hash; `relayer-controller token` prints a new one";
    match tokens {
        Ok(tokens) if tokens.is_empty() => Err(about((
            "there is no token in it".to_owned(),
            hint.to_owned(),
        ))),
        Ok(tokens) => Ok(tokens),
        Err(what) => Err(about((what, hint.to_owned()))),
    }
}

fn token_of(line: &str) -> Result<TokenHash, String> {
    if line.starts_with("sha256:") {
        return line
            .parse()
            .map_err(|_| "this is no hash of a token".to_owned());
    }
    if !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a token has no blanks and no letters outside ASCII".to_owned());
    }
    if line.starts_with("rlc_") && line.len() != OWN_LENGTH {
        return Err(format!(
            "a token that begins with `rlc_` has {OWN_LENGTH} characters"
        ));
    }
    if line.len() < MIN_TOKEN {
        return Err(format!("a token has at least {MIN_TOKEN} characters"));
    }
    Ok(TokenHash::of(line))
}

/// Opens an ordinary file to be read.
///
/// SECURITY: opening a pipe without a writer would wait for ever, also one that was put there a moment ago.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("not an ordinary file"))
    }
}

/// Why what is there cannot be read as a file.
fn not_a_file(metadata: &Metadata) -> Option<(String, String)> {
    if metadata.is_dir() {
        let hint = "name the file in it; if this is a mount, the file is missing on the host, and Docker has made \
                    a directory in its place";
        return Some(("this is a directory".to_owned(), hint.to_owned()));
    }
    (!metadata.is_file()).then(|| {
        let hint = "pipes and devices cannot be read again when the configuration is reloaded";
        ("this is not an ordinary file".to_owned(), hint.to_owned())
    })
}

fn unread(error: &io::Error, metadata: Option<&Metadata>) -> (String, String) {
    if error.kind() == ErrorKind::NotFound {
        let hint = "run with `--config FILE`, or set `RELAYER_CONTROLLER_CONFIG`";
        return ("there is no such file".to_owned(), hint.to_owned());
    }
    if error.kind() != ErrorKind::PermissionDenied {
        return (format!("the file cannot be read: {error}"), String::new());
    }
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let process = format!("{}:{}", user.as_raw(), group.as_raw());
    let hint = match metadata {
        // SECURITY: confinement, and not the mode, keeps a process that runs from other directories: see `confine`.
        Some(file) if file.mode() & 0o004 != 0 => {
            "its mode allows it: a gateway that runs reaches only the directories that it knew at its start; start again"
                .to_owned()
        }
        Some(file) => format!(
            "it belongs to {}:{} with mode {:04o}, and this process is {process}",
            file.uid(),
            file.gid(),
            file.mode() & 0o7777
        ),
        None => format!(
            "this process is {process}, and may not enter one of the directories on the way"
        ),
    };
    ("permission to read the file is denied".to_owned(), hint)
}

fn not_utf8(name: &str, bytes: &[u8], valid: usize) -> Mistakes {
    let text = String::from_utf8_lossy(bytes);
    let lines = Lines::new(&text);
    let wrong = bytes.get(valid).copied().unwrap_or_default();
    let mistake = Mistake {
        place: Place::text(
            &lines,
            valid..valid + char::REPLACEMENT_CHARACTER.len_utf8(),
        ),
        what: format!(
            "the byte 0x{wrong:02x}, number {} of the file, is not UTF-8",
            valid + 1
        ),
        key: String::new(),
        hint: "save the file as UTF-8".to_owned(),
    };
    Mistakes::new(name, &text, vec![mistake])
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    #[test]
    fn a_denied_file_is_told_with_its_owner() {
        let metadata = std::fs::metadata("/etc/shadow").unwrap();
        let (what, hint) =
            super::unread(&Error::from(ErrorKind::PermissionDenied), Some(&metadata));
        assert_eq!(what, "permission to read the file is denied");
        assert!(hint.starts_with("it belongs to 0:"), "{hint}");
    }
}
