//! The trail: records from everywhere, one thread that writes them, and word of whether they were written.

use std::fmt;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::line::line;
use super::output::{OpenError, Sink};
use super::{Record, Settings};

/// The most records that wait for the thread, with the places that are held for records to come. It has to be well above
/// the number of changes that can be under way, each of which holds a place for its end.
pub const CAPACITY: usize = 2048;

/// How long a record may take to be written before it counts as not written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where records are handed in. Cheap to clone; without an output they go nowhere, and that is no failure.
#[derive(Clone, Debug, Default)]
pub struct Trail(Option<Open>);

#[derive(Clone, Debug)]
struct Open {
    lines: mpsc::Sender<Line>,
    required: bool,
    writing: Writing,
}

/// Since when the thread has been at one line; none while it waits for the next.
#[derive(Clone, Debug, Default)]
struct Writing(Arc<Mutex<Option<Instant>>>);

impl Writing {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Whether nothing that is handed in now can be written in time.
    fn is_stalled(&self) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

/// A line on its way, and who waits for it to be written.
struct Line {
    text: Vec<u8>,
    written: Option<oneshot::Sender<bool>>,
}

impl Trail {
    /// Opens the output and starts the thread that writes to it.
    ///
    /// # Errors
    ///
    /// Why the output cannot be written to.
    pub fn open(settings: &Settings) -> Result<(Self, Ending), OpenError> {
        let Some(output) = &settings.output else {
            return Ok((Self::default(), Ending(None)));
        };
        let sink = Sink::open(output)?;
        let (lines, queue) = mpsc::channel(CAPACITY);
        let (alive, ended) = blocking::channel();
        let writing = Writing::default();
        let own = writing.clone();
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || run(sink, queue, &own, alive))
            .map_err(|error| OpenError::of(output, error))?;
        let open = Open {
            lines,
            required: settings.required,
            writing,
        };
        Ok((Self(Some(open)), Ending(Some(ended))))
    }

    /// Whether what changes something is to be refused while its record cannot be written.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.required)
    }

    /// Writes a record, and waits until it is written, at most 5 s.
    ///
    /// # Errors
    ///
    /// When it was not written by then; it may be later.
    pub async fn record(&self, record: &Record) -> Result<(), Unwritten> {
        let written = async { self.place().await?.record(record).await };
        timeout(PATIENCE, written).await.map_err(|_| Unwritten)?
    }

    /// Takes a place for a record to come, which needs to wait for none then; waits for it at most 5 s.
    ///
    /// # Errors
    ///
    /// When there was no place by then.
    pub async fn place(&self) -> Result<Place, Unwritten> {
        let Some(open) = &self.0 else {
            return Ok(Place(None));
        };
        // Whoever comes later does not wait for what those before have waited for in vain.
        if open.writing.is_stalled() {
            return Err(Unwritten);
        }
        let permit = timeout(PATIENCE, open.lines.clone().reserve_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Place(Some(permit))),
            Ok(Err(_)) | Err(_) => Err(Unwritten),
        }
    }
}

/// A place for one record.
#[must_use]
pub struct Place(Option<mpsc::OwnedPermit<Line>>);

impl Place {
    /// Writes a record, and waits until it is written, at most 5 s.
    ///
    /// # Errors
    ///
    /// When it was not written by then; it may be later.
    pub async fn record(self, record: &Record) -> Result<(), Unwritten> {
        let Some(permit) = self.0 else {
            return Ok(());
        };
        let (written, told) = oneshot::channel();
        permit.send(Line {
            text: line(record),
            written: Some(written),
        });
        match timeout(PATIENCE, told).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(Unwritten),
        }
    }

    /// Hands a record in where nobody can wait for it.
    pub fn leave(self, record: &Record) {
        if let Some(permit) = self.0 {
            permit.send(Line {
                text: line(record),
                written: None,
            });
        }
    }
}

/// The end of the thread that writes, to be waited for when the program ends.
#[derive(Debug, Default)]
#[must_use]
pub struct Ending(Option<blocking::Receiver<Never>>);

impl Ending {
    /// Waits until everything has been handed in and written, at most so long; answers whether it was. What is handed in
    /// ends when the last [`Trail`] and [`Place`] are gone.
    #[must_use]
    pub fn wait(self, most: Duration) -> bool {
        self.0.is_none_or(|ended| {
            matches!(
                ended.recv_timeout(most),
                Err(blocking::RecvTimeoutError::Disconnected)
            )
        })
    }
}

/// A record could not be written in time; the log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten;

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the audit record could not be written")
    }
}

impl std::error::Error for Unwritten {}

/// What is never said: that the other end is gone is the message.
enum Never {}

/// Writes what is handed in until nobody is left who could hand anything in.
fn run(
    mut sink: Sink,
    mut queue: mpsc::Receiver<Line>,
    writing: &Writing,
    _alive: blocking::Sender<Never>,
) {
    while let Some(Line { text, written }) = queue.blocking_recv() {
        writing.set(Some(Instant::now()));
        let result = sink.write(&text);
        writing.set(None);
        if let Err(error) = &result {
            tracing::error!(%error, "an audit record could not be written");
        }
        if let Some(written) = written {
            // Whoever waited may have lost patience.
            let _gone = written.send(result.is_ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use serde_json::Value;
    use tempfile::tempdir;
    use tokio::runtime::Builder;

    use super::{CAPACITY, Trail, Unwritten};
    use crate::audit::{Event, Output, Record, Settings};

    const WHILE: Duration = Duration::from_secs(10);

    fn at(path: &Path, required: bool) -> Settings {
        Settings {
            output: Some(Output::File(path.to_owned())),
            required,
        }
    }

    fn record(request_id: usize) -> Record {
        Record {
            request_id: Some(request_id.to_string()),
            ..Record::now(Event::Admitted)
        }
    }

    /// The ids of the requests, in the order of the lines.
    fn ids(text: &str) -> Vec<usize> {
        let id = |line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["request_id"].as_str().unwrap().parse().unwrap()
        };
        text.lines().map(id).collect()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut runtime = Builder::new_current_thread();
        runtime.enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn what_was_acknowledged_is_in_the_file() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let (trail, ending) = Trail::open(&at(&path, true)).unwrap();
        block_on(async {
            for id in 0..10 {
                trail.record(&record(id)).await.unwrap();
                assert_eq!(
                    ids(&fs::read_to_string(&path).unwrap()),
                    (0..=id).collect::<Vec<_>>()
                );
            }
        });
        drop(trail);
        assert!(ending.wait(WHILE));
    }

    #[test]
    fn the_end_waits_for_what_was_left() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let (trail, ending) = Trail::open(&at(&path, true)).unwrap();
        let places: Vec<_> = block_on(async {
            futures_util::future::join_all((0..CAPACITY).map(|_| trail.place())).await
        });
        drop(trail);
        for (id, place) in places.into_iter().enumerate() {
            place.unwrap().leave(&record(id));
        }
        assert!(ending.wait(WHILE));
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(ids(&text), (0..CAPACITY).collect::<Vec<_>>());
    }

    #[test]
    fn the_end_is_not_waited_for_without_end() {
        let folder = tempdir().unwrap();
        let (trail, ending) = Trail::open(&at(&folder.path().join("a"), true)).unwrap();
        assert!(!ending.wait(Duration::from_millis(10)), "it could go on");
        drop(trail);
    }

    #[test]
    fn without_an_output_everything_is_as_well_as_written() {
        let (trail, ending) = Trail::open(&Settings::default()).unwrap();
        assert!(!trail.is_required());
        assert_eq!(block_on(trail.record(&record(1))), Ok(()));
        block_on(trail.place()).unwrap().leave(&record(2));
        assert!(ending.wait(Duration::ZERO));
    }

    #[test]
    fn a_record_that_cannot_be_written_and_the_next_that_can() {
        let folder = tempdir().unwrap();
        let inner = folder.path().join("inner");
        let path = inner.join("a.jsonl");
        fs::create_dir(&inner).unwrap();
        let (trail, _ending) = Trail::open(&at(&path, false)).unwrap();
        assert!(!trail.is_required());
        fs::remove_dir_all(&inner).unwrap();
        assert_eq!(block_on(trail.record(&record(1))), Err(Unwritten));
        fs::create_dir(&inner).unwrap();
        assert_eq!(block_on(trail.record(&record(2))), Ok(()));
        assert_eq!(ids(&fs::read_to_string(&path).unwrap()), [2]);
    }
}
