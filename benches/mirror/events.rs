//! `GET /events`: how long a change takes to its readers, and what a reader costs in memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rustix::net::{Shutdown, shutdown};
use serde_json::Value;

use crate::stage::{Gateway, Stage, get, read_answer, resident};
use crate::wire::{Answer, Lines};

/// How long a change may take until it counts as lost.
const LOST: Duration = Duration::from_secs(5);

/// How many changes may be lost until it makes no sense to go on.
const MOST_LOST: usize = 3;

/// The changes whose way is measured: the container ends, and it runs again.
pub(crate) const ACTS: [&str; 2] = ["kill", "start"];

/// What one kind of change took, each time.
#[derive(Default)]
pub(crate) struct Latency {
    /// From the call that caused it to a reader of the engine's own events.
    pub(crate) to_engine_reader: Vec<Duration>,
    /// From the call until the engine's own inspect told of it, asked at that event: it may have to wait for the engine,
    /// which cleans up behind a container that has ended before it tells anybody how that container is.
    pub(crate) to_inspect: Vec<Duration>,
    /// From the call to a reader of ours.
    pub(crate) to_our_reader: Vec<Duration>,
    /// From the time that the engine gives for it to a reader of ours.
    pub(crate) from_change: Vec<Duration>,
    /// From the answer of the engine's inspect to a reader of ours; nothing where ours was the first.
    pub(crate) from_inspect: Vec<Duration>,
    /// Changes that one of the readers did not hear of in time.
    pub(crate) lost: usize,
}

/// A container that runs is killed and started again so many times: what the kills took, and what the starts did.
pub(crate) fn latency(
    gateway: &Gateway,
    stage: &Stage,
    name: &str,
    rounds: usize,
) -> Result<[Latency; 2], String> {
    let full = format!("{}{name}", stage.prefix);
    let ours = our_reader(gateway, name)?;
    let theirs = engine_reader(stage, &full)?;
    let mut measured = [Latency::default(), Latency::default()];
    for round in 1..=rounds {
        for (latency, act) in measured.iter_mut().zip(ACTS) {
            let begun = SystemTime::now();
            stage.ask("POST", &format!("/containers/{full}/{act}"), "");
            let told = |reader: &Reader, whose| {
                let told = reader.wait(act == "start");
                told.map_err(|why| format!("{act} {round}, by {whose}: {why}"))
            };
            let told = told(&theirs, "the engine")
                .and_then(|engine| Ok((engine, told(&ours, "the gateway")?)));
            let (engine, gateway) = match told {
                Ok(both) => both,
                Err(why) if latency.lost == MOST_LOST => {
                    return Err(format!("too many lost changes, at last {why}"));
                }
                Err(why) => {
                    eprintln!("a lost change: {why}");
                    latency.lost += 1;
                    continue;
                }
            };
            latency.to_engine_reader.push(since(begun, engine.heard));
            latency.to_inspect.push(since(begun, engine.inspected));
            latency.to_our_reader.push(since(begun, gateway.heard));
            let happened = since(engine.happened, gateway.heard);
            latency.from_change.push(happened);
            let inspected = since(engine.inspected, gateway.heard);
            latency.from_inspect.push(inspected);
        }
    }
    Ok(measured)
}

/// What so many readers at once leave resident, after a change that all of them have heard of.
pub(crate) fn memory(
    gateway: &Gateway,
    stage: &Stage,
    name: &str,
    counts: &[usize],
) -> Result<Vec<(usize, u64)>, String> {
    let mut feeds = Vec::new();
    let mut measured = Vec::new();
    for count in counts {
        while feeds.len() < *count {
            let connected = our_feed(gateway);
            feeds.push(connected.map_err(|why| format!("reader {}: {why}", feeds.len() + 1))?);
        }
        for act in ["pause", "unpause"] {
            let path = format!("/containers/{}{name}/{act}", stage.prefix);
            stage.ask("POST", &path, "");
            for feed in &mut feeds {
                while feed.data()?.get("status").is_none() {}
            }
        }
        measured.push((*count, resident(gateway)));
    }
    Ok(measured)
}

/// A stream of lines over HTTP.
struct Feed<S> {
    stream: S,
    answer: Answer,
    lines: Lines,
}

impl<S: Read + Write> Feed<S> {
    fn open(mut stream: S, request: &str) -> Result<Self, String> {
        stream.write_all(request.as_bytes()).map_err(text)?;
        let mut feed = Self {
            stream,
            answer: Answer::new(),
            lines: Lines::default(),
        };
        while feed.answer.status == 0 {
            feed.read()?;
        }
        match feed.answer.status {
            200 => Ok(feed),
            status => Err(format!("HTTP {status}")),
        }
    }

    /// Waits for the next line.
    fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(line);
            }
            self.read()?;
        }
    }

    /// Waits for the next line of data in a stream of server-sent events.
    fn data(&mut self) -> Result<Value, String> {
        loop {
            if let Some(data) = self.line()?.strip_prefix("data:") {
                return serde_json::from_str(data).map_err(text);
            }
        }
    }

    fn read(&mut self) -> Result<(), String> {
        let mut buffer = [0; 16 * 1024];
        let length = self.stream.read(&mut buffer).map_err(text)?;
        let Some(came @ [_, ..]) = buffer.get(..length) else {
            return Err("the stream has ended".to_owned());
        };
        self.answer.take(came, |piece| self.lines.add(piece))
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "errors are given to it as they come"
)]
fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Waits until the gateway knows from the engine's events how all containers are; or tells why it never does.
pub(crate) fn wait_for_snapshot(gateway: &Gateway) -> Result<(), String> {
    our_feed(gateway).map(drop)
}

/// Behind the snapshot, which comes as soon as there is one.
fn our_feed(gateway: &Gateway) -> Result<Feed<TcpStream>, String> {
    let stream = TcpStream::connect(gateway.address).map_err(text)?;
    stream.set_read_timeout(Some(LOST)).map_err(text)?;
    let mut feed = Feed::open(stream, &get("/events"))?;
    while feed.data()?.get("containers").is_none() {}
    Ok(feed)
}

/// A change as a reader heard of it.
struct Told {
    is_running: bool,
    heard: SystemTime,
    /// By the engine's own event; the time of hearing where that does not say.
    happened: SystemTime,
    /// When the engine's inspect told of it; the time of hearing where that was not asked.
    inspected: SystemTime,
}

/// A reader of events, on a thread of its own until it is dropped.
struct Reader {
    told: Receiver<Told>,
    stream: OwnedFd,
    reading: Option<JoinHandle<()>>,
}

impl Reader {
    fn of<S: Read + Write + Send + 'static>(
        mut feed: Feed<S>,
        stream: OwnedFd,
        next: impl Fn(&mut Feed<S>) -> Result<Option<Told>, String> + Send + 'static,
    ) -> Self {
        let (tell, told) = channel();
        let reading = thread::spawn(move || {
            // A stream that ends is noticed by who waits for what it tells.
            while let Ok(heard) = next(&mut feed) {
                if heard.is_some_and(|heard| tell.send(heard).is_err()) {
                    return;
                }
            }
        });
        Self {
            told,
            stream,
            reading: Some(reading),
        }
    }

    /// Waits for a change to this state. One to the other was about what happened before.
    fn wait(&self, is_running: bool) -> Result<Told, &'static str> {
        let end = Instant::now() + LOST;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok(told) if told.is_running == is_running => return Ok(told),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Err("not told in five seconds"),
                Err(RecvTimeoutError::Disconnected) => return Err("the stream has ended"),
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ended_already = shutdown(&self.stream, Shutdown::Both);
        let _ended = self.reading.take().map(JoinHandle::join);
    }
}

/// Of `GET /events`.
fn our_reader(gateway: &Gateway, name: &str) -> Result<Reader, String> {
    let feed = our_feed(gateway)?;
    feed.stream.set_read_timeout(None).map_err(text)?;
    let stream = feed.stream.try_clone().map_err(text)?;
    let name = Value::from(name);
    Ok(Reader::of(feed, stream.into(), move |feed| {
        let event = feed.data()?;
        let heard = SystemTime::now();
        // A new snapshot tells it as well as a change does.
        let listed = event.get("containers").and_then(Value::as_array);
        let mut entries = listed.into_iter().flatten().chain([&event]);
        let entry = entries.find(|entry| entry.get("container") == Some(&name));
        let is_running = entry.and_then(|entry| entry.get("running")?.as_bool());
        Ok(is_running.map(|is_running| Told {
            is_running,
            heard,
            happened: heard,
            inspected: heard,
        }))
    }))
}

/// Of the engine's own events; it inspects the container at each.
fn engine_reader(stage: &Stage, full: &str) -> Result<Reader, String> {
    let stream = UnixStream::connect(&stage.engine).map_err(text)?;
    // The engine's head comes before it listens, so it is asked for what has happened since.
    let now = since(SystemTime::UNIX_EPOCH, SystemTime::now());
    let events = format!(
        "/v1.41/events?since={}.{:09}",
        now.as_secs(),
        now.subsec_nanos()
    );
    let feed = Feed::open(stream, &get(&events))?;
    let stream = feed.stream.try_clone().map_err(text)?;
    let inspect = get(&format!("/v1.41/containers/{full}/json"));
    let full = Value::from(full);
    let asked = UnixStream::connect(&stage.engine).map_err(text)?;
    Ok(Reader::of(feed, stream.into(), move |feed| {
        let line = feed.line()?;
        let heard = SystemTime::now();
        let event: Value = serde_json::from_str(&line).map_err(text)?;
        if event.pointer("/Actor/Attributes/name") != Some(&full) {
            return Ok(None);
        }
        let is_running = match event.get("Action").and_then(Value::as_str) {
            Some("start") => true,
            Some("die") => false,
            Some(_) | None => return Ok(None),
        };
        let expected = format!("\"Running\":{is_running},");
        loop {
            (&asked).write_all(inspect.as_bytes()).map_err(text)?;
            if String::from_utf8_lossy(&read_answer(&mut &asked)).contains(&expected) {
                break;
            }
        }
        let inspected = SystemTime::now();
        let nanoseconds = event.get("timeNano").and_then(Value::as_u64);
        let nanoseconds = nanoseconds.ok_or("an event without a time")?;
        Ok(Some(Told {
            is_running,
            heard,
            happened: SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds),
            inspected,
        }))
    }))
}

fn since(begun: SystemTime, ended: SystemTime) -> Duration {
    ended.duration_since(begun).unwrap_or_default()
}
