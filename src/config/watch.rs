//! Watching: tells when the text of the configuration, or of a file that it names, has become another one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::file;

/// How often the files are looked at besides: there are file systems that tell of no change.
const POLL: Duration = Duration::from_secs(2);

/// How long a text has to stay as it is before it counts.
///
/// SECURITY: an editor that writes in place empties the file first. Half a file may be a whole configuration, without
/// the half that forbids.
const SETTLE: Duration = Duration::from_secs(1);

/// How long after one sign of life the files are looked at: many signs are one look.
const PAUSE: Duration = Duration::from_millis(20);

/// More than any of the files may have: see `file`.
const MAX_BYTES: u64 = 2 << 20;

/// The watch over one configuration.
pub struct Watch {
    /// What each file was when it was last told.
    seen: BTreeMap<PathBuf, State>,
    /// Wakes the look at the files early; without it they are only looked at now and then.
    _watcher: Option<RecommendedWatcher>,
    stirred: Arc<Notify>,
    told_stale: bool,
}

/// What a file is at one moment. What cannot be read has no hash.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    /// Device, inode, size, and the times of the last writing and of the last change of anything: as long as these stay,
    /// the file is not read.
    marks: Option<[i128; 5]>,
    hash: Option<[u8; 32]>,
}

impl Watch {
    /// Watches these files. What they are now counts as known.
    pub async fn new(files: Vec<PathBuf>) -> Self {
        let stirred = Arc::new(Notify::new());
        // First, so that no change falls between.
        let watcher = watcher(&files, &stirred);
        Self {
            seen: states(files).await,
            _watcher: watcher,
            stirred,
            told_stale: false,
        }
    }

    /// Whether these are the files that are watched.
    #[must_use]
    pub fn covers(&self, file: &Path, others: &[PathBuf]) -> bool {
        let all: BTreeSet<&Path> = std::iter::once(file)
            .chain(others.iter().map(PathBuf::as_path))
            .collect();
        self.seen.keys().map(PathBuf::as_path).eq(all)
    }

    /// Waits until one of the files has another text, and for that to settle.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                () = self.stirred.notified() => tokio::time::sleep(PAUSE).await,
                () = tokio::time::sleep(POLL) => {}
            }
            self.look_for_stale();
            if !self.differs() {
                continue;
            }
            let mut now = self.states().await;
            loop {
                tokio::time::sleep(SETTLE).await;
                let later = self.states().await;
                let is_settled = same_texts(&later, &now);
                now = later;
                if is_settled {
                    break;
                }
            }
            let is_changed = !same_texts(&now, &self.seen);
            self.seen = now;
            if is_changed {
                return;
            }
        }
    }

    /// Takes what the files are now for known: somebody is about to read them.
    pub async fn note(&mut self) {
        self.seen = self.states().await;
    }

    /// Whether anything may have changed, told without reading.
    fn differs(&self) -> bool {
        self.seen
            .iter()
            .any(|(path, seen)| State::marks(path) != seen.marks)
    }

    async fn states(&self) -> BTreeMap<PathBuf, State> {
        states(self.seen.keys().cloned().collect()).await
    }

    /// A file that is mounted by itself keeps its inode when an editor on the host puts a new file in its place, and
    /// then never changes again. In the container it can be told: the file has no name any more.
    fn look_for_stale(&mut self) {
        let nameless = |path: &&PathBuf| fs::metadata(path).is_ok_and(|file| file.nlink() == 0);
        let stale = self.seen.keys().find(nameless);
        if let (Some(file), false) = (stale, self.told_stale) {
            tracing::warn!(
                ?file,
                "the file was replaced on the host, and the mount still shows the old one: mount its directory \
                 instead, and start again"
            );
        }
        self.told_stale = stale.is_some();
    }
}

/// What these files are now. The disk takes its time, which shall hold nobody up.
async fn states(files: Vec<PathBuf>) -> BTreeMap<PathBuf, State> {
    let state = |file: PathBuf| {
        let state = State::of(&file);
        (file, state)
    };
    let read = tokio::task::spawn_blocking(move || files.into_iter().map(state).collect());
    // Reading does not panic; and what is not known counts as another text at the next look.
    read.await.unwrap_or_default()
}

fn same_texts(one: &BTreeMap<PathBuf, State>, other: &BTreeMap<PathBuf, State>) -> bool {
    let texts = |states: &BTreeMap<PathBuf, State>| -> Vec<_> {
        states.values().map(|state| state.hash).collect()
    };
    texts(one) == texts(other)
}

impl State {
    fn of(path: &Path) -> Self {
        let marks = Self::marks(path);
        let hash = hash(path);
        Self { marks, hash }
    }

    fn marks(path: &Path) -> Option<[i128; 5]> {
        let file = fs::metadata(path).ok()?;
        let moment = |seconds: i64, nanoseconds: i64| {
            i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
        };
        Some([
            i128::from(file.dev()),
            i128::from(file.ino()),
            i128::from(file.size()),
            moment(file.mtime(), file.mtime_nsec()),
            moment(file.ctime(), file.ctime_nsec()),
        ])
    }
}

fn hash(path: &Path) -> Option<[u8; 32]> {
    let mut bytes = Vec::new();
    let file = file::open(path).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(Sha256::digest(&bytes).into())
}

/// Watches the directories, because a watch on a file ends when another one takes its place.
fn watcher(files: &[PathBuf], stirred: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let notify = Arc::clone(stirred);
    let told = move |event: Result<notify::Event, notify::Error>| {
        // To look at the files is an access too; that must not be a reason to look again.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            notify.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(told)
        .inspect_err(|error| tracing::debug!(%error, "files are only looked at now and then"))
        .ok()?;
    for file in files {
        let directory = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
            tracing::debug!(?directory, %error, "a directory is only looked at now and then");
        }
    }
    Some(watcher)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::Watch;

    /// Changes a file while it is watched; answers whether that was told within a time.
    fn told(prepare: impl Fn(&TempDir) -> Vec<PathBuf>, change: impl Fn(&TempDir)) -> bool {
        let folder = TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut watch = Watch::new(prepare(&folder)).await;
            change(&folder);
            let limit = Duration::from_secs(4);
            tokio::time::timeout(limit, watch.changed()).await.is_ok()
        })
    }

    fn file(folder: &TempDir) -> PathBuf {
        folder.path().join("a.toml")
    }

    fn one(folder: &TempDir) -> Vec<PathBuf> {
        fs::write(file(folder), "one").unwrap();
        vec![file(folder)]
    }

    #[test]
    fn every_way_to_save_a_file() {
        assert!(told(one, |folder| fs::write(file(folder), "two").unwrap()));
        let replace = |folder: &TempDir| {
            let new = folder.path().join("new");
            fs::write(&new, "two").unwrap();
            fs::rename(new, file(folder)).unwrap();
        };
        assert!(told(one, replace));
        assert!(told(one, |folder| fs::remove_file(file(folder)).unwrap()));
        let late = |folder: &TempDir| vec![file(folder)];
        assert!(told(late, |folder| fs::write(file(folder), "two").unwrap()));
    }

    /// As Kubernetes mounts them: the file is a link through a directory that is swapped.
    #[test]
    fn a_directory_that_is_swapped() {
        let prepare = |folder: &TempDir| {
            for (version, text) in [("v1", "one"), ("v2", "two")] {
                fs::create_dir(folder.path().join(version)).unwrap();
                fs::write(folder.path().join(version).join("a.toml"), text).unwrap();
            }
            symlink("v1", folder.path().join("..data")).unwrap();
            symlink("..data/a.toml", file(folder)).unwrap();
            vec![file(folder)]
        };
        let swap = |folder: &TempDir| {
            symlink("v2", folder.path().join("new")).unwrap();
            fs::rename(folder.path().join("new"), folder.path().join("..data")).unwrap();
        };
        assert!(told(prepare, swap));
    }

    #[test]
    fn the_same_text_is_no_change() {
        assert!(!told(one, |folder| fs::write(file(folder), "one").unwrap()));
        assert!(!told(one, |folder| {
            fs::write(folder.path().join("other"), "x").unwrap();
        }));
    }
}
