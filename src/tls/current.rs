//! Something that is made of files, made again when they change.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;

type Make<T> = Box<dyn Fn() -> Result<T, Error> + Send + Sync>;

/// What the files gave when they were last right.
pub struct Current<T> {
    files: Vec<PathBuf>,
    make: Make<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    made: Arc<T>,
    /// The files as they were when the last word on them was spoken: taken over, or found wrong for good.
    settled: Vec<Stamp>,
    /// The files as they were when they were first found wrong.
    suspect: Vec<Stamp>,
}

/// What tells one content of a file from another; `None` while there is none. Links are followed, so that a swapped
/// link is a change.
type Stamp = Option<[i64; 7]>;

impl<T> Current<T> {
    /// Makes it for the first time.
    ///
    /// # Errors
    ///
    /// What is wrong with the files.
    pub fn new(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        // Before reading: what changes meanwhile is seen at the next look.
        let settled = stamps(&files);
        let first = Arc::new(make()?);
        Ok(Self {
            files,
            make: Box::new(make),
            state: Mutex::new(State {
                made: first,
                settled,
                suspect: Vec::new(),
            }),
        })
    }

    /// What is in force.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.made)
    }

    /// Looks at the files, and makes it again if they have changed. Blocks while it reads.
    ///
    /// Broken files change nothing. The log says so once, and only if they stay as they are to the next look: who
    /// replaces two files replaces one of them first.
    pub fn look(&self) {
        match self.see() {
            Seen::Nothing | Seen::Unsettled => {}
            Seen::Change => {
                tracing::info!(files = ?self.files, "changed TLS files were taken over");
            }
            Seen::Fault(error) => {
                let error = error.to_string();
                tracing::warn!(
                    ?error,
                    "changed TLS files are wrong; the old ones stay in force"
                );
            }
        }
    }

    fn see(&self) -> Seen {
        let now = stamps(&self.files);
        {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.settled == now {
                return Seen::Nothing;
            }
        }
        let made = (self.make)();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have looked at the same moment.
        if state.settled == now {
            return Seen::Nothing;
        }
        match made {
            Ok(made) => {
                state.made = Arc::new(made);
                state.settled = now;
                Seen::Change
            }
            Err(error) if state.suspect == now => {
                state.settled = now;
                Seen::Fault(error)
            }
            Err(_) => {
                state.suspect = now;
                Seen::Unsettled
            }
        }
    }
}

/// What a look at the files showed.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// They are as they were.
    Nothing,
    /// They were taken over.
    Change,
    /// They are wrong; perhaps somebody is about to mend that.
    Unsettled,
    /// They were wrong the last time too, and just as they are now.
    Fault(Error),
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
    let metadata = file.metadata().ok()?;
    Some([
        metadata.dev().cast_signed(),
        metadata.ino().cast_signed(),
        metadata.size().cast_signed(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        // Changes when a file's mode does: it may be readable only now.
        metadata.ctime(),
        metadata.ctime_nsec(),
    ])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Current, Seen};
    use crate::tls::{Error, PemFile};

    /// The text of two files, which must be the same.
    fn pair(one: &Path, other: &Path) -> Result<String, Error> {
        let [one, two] = [one, other].map(|path| fs::read_to_string(path).unwrap_or_default());
        let file = PemFile {
            setting: "x",
            path: other,
        };
        if one == two && !one.is_empty() {
            Ok(one)
        } else {
            Err(file.error("differs", ""))
        }
    }

    #[test]
    fn a_change_is_taken_over_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["1", "2"] {
            fs::create_dir(folder.path().join(version)).unwrap();
            for file in ["a", "b"] {
                fs::write(folder.path().join(version).join(file), version).unwrap();
            }
        }
        let link = folder.path().join("current");
        symlink("1", &link).unwrap();
        let (a, b) = (link.join("a"), link.join("b"));
        let files = vec![a.clone(), b.clone()];
        let made = Current::new(files, {
            let (a, b) = (a.clone(), b.clone());
            move || pair(&a, &b)
        });
        let current = made.unwrap();
        let check = |seen: Seen, expected: &str| {
            assert_eq!(current.see(), seen);
            assert_eq!(*current.get(), expected);
        };
        check(Seen::Nothing, "1");
        let new = folder.path().join("new");
        symlink("2", &new).unwrap();
        fs::rename(&new, &link).unwrap();
        check(Seen::Change, "2");
        fs::write(&a, "33").unwrap();
        check(Seen::Unsettled, "2");
        fs::remove_file(&b).unwrap();
        check(Seen::Unsettled, "2");
        let differs = pair(&a, &b).unwrap_err();
        check(Seen::Fault(differs), "2");
        check(Seen::Nothing, "2");
        fs::write(&b, "33").unwrap();
        check(Seen::Change, "33");
        check(Seen::Nothing, "33");
    }

    #[test]
    fn broken_files_make_nothing_at_first() {
        let nowhere = Path::new("/nowhere");
        assert!(Current::new(Vec::new(), || pair(nowhere, nowhere)).is_err());
    }
}
