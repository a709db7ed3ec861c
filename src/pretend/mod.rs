//! A pretend Docker engine: an in-process server on a Unix socket that answers as dockerd 20.10 (API 1.41) does.
//!
//! It serves the routes that the gateway uses, and those that tests need to set containers up. Status codes, messages
//! and transitions are dockerd's, compared with a real one by a test; what it cannot imitate it refuses. Its containers
//! run no programs, see the modules on processes and programs for what they do instead. And it can be told to fail, see [`Fault`].

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::container::Config;
use self::engine::Engine;
pub use self::fault::Fault;
pub use self::log::Output;
use self::refusal::Refusal;

mod answer;
mod container;
mod engine;
mod event;
mod exec;
mod fault;
mod filter;
mod form;
mod health;
mod json;
mod listen;
mod log;
mod logs;
mod process;
mod program;
mod refusal;
mod route;
mod serve;
mod signal;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod time;
mod wanted;

/// How long to wait before the next try when a connection cannot be accepted.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);

/// A running pretend engine. Cheap to clone; with the last clone the server stops and the socket is removed.
#[derive(Clone)]
pub struct Pretend(Arc<Inner>);

struct Inner {
    socket: PathBuf,
    engine: Arc<Engine>,
    connections: TaskTracker,
    listening: Mutex<Option<Listening>>,
}

/// The server on the socket; none while the engine is down.
struct Listening {
    accepting: JoinHandle<()>,
    stop: CancellationToken,
}

impl Pretend {
    /// Binds the socket and serves an engine without containers.
    ///
    /// # Errors
    ///
    /// When the socket cannot be bound; a file that is already there is an error.
    pub async fn serve(socket: impl Into<PathBuf>) -> io::Result<Self> {
        let pretend = Self(Arc::new(Inner {
            socket: socket.into(),
            engine: Arc::new(Engine::new()),
            connections: TaskTracker::new(),
            listening: Mutex::default(),
        }));
        pretend.come_back().await?;
        Ok(pretend)
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.0.socket
    }

    /// Adds a container with these labels, and answers its id. The label `pretend.stop-delay` says how many
    /// milliseconds its process takes to leave after SIGTERM; `pretend.exit=1:200` that it leaves with 1 after 200
    /// milliseconds by itself; `pretend.oom=200` that the kernel kills it after 200 milliseconds for want of memory;
    /// `pretend.health=healthy:500` what its health check comes to, and when; `pretend.cpu` how
    /// much of one processor it uses, in percent; and `pretend.print-every` how many milliseconds there are between two
    /// lines that it prints.
    ///
    /// # Errors
    ///
    /// Docker's own words when the name is invalid or taken.
    pub fn add(&self, name: &str, labels: &[(&str, &str)], running: bool) -> io::Result<String> {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>();
        let config = Config {
            image: "busybox:latest".to_owned(),
            command: vec!["pretend".to_owned()],
            labels,
            stop_timeout: None,
            healthcheck: None,
            terminal: false,
        };
        let added = self.0.engine.change(|state, now| {
            let id = state.create(name, config, now)?;
            if running {
                state.start(&id, now)?;
            }
            Ok(id)
        });
        added.map_err(|refusal: Refusal| io::Error::other(refusal.message))
    }

    /// Makes a container print this, all at one moment.
    ///
    /// # Errors
    ///
    /// Docker's own words when there is no such container.
    pub fn print(&self, name: &str, output: Output, text: &[u8]) -> io::Result<()> {
        let printed = self
            .0
            .engine
            .change(|state, now| state.print(name, output, text, now));
        printed.map_err(|refusal| io::Error::other(refusal.message))
    }

    /// Makes every request from the next one on meet this fault, or none.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.0
            .engine
            .set_fault(fault.map(|fault| (fault, String::new())));
    }

    /// Makes the requests whose path contains this text meet the fault, and no others.
    pub fn set_fault_on(&self, text: &str, fault: Fault) {
        self.0.engine.set_fault(Some((fault, text.to_owned())));
    }

    /// Breaks off every stream of events in the middle of a line: the connections are closed without a last chunk.
    /// Those that come after this are not touched.
    pub fn cut_events(&self) {
        self.0.engine.change(|state, _| state.feed.cuts += 1);
    }

    /// Sends a line, its end added, to every open stream of events, whatever is in it and whatever was asked for.
    pub fn send_event(&self, line: &str) {
        self.0.engine.change(|state, _| state.feed.send(line));
    }

    /// Loses every event, and every line that is sent, until it is told to do so no more.
    pub fn set_deaf(&self, is_deaf: bool) {
        self.0
            .engine
            .change(|state, _| state.feed.is_deaf = is_deaf);
    }

    /// The streams of events that are open now. What happens after one is counted is told to it.
    #[must_use]
    pub fn event_streams(&self) -> usize {
        self.0.engine.listeners()
    }

    /// Closes the listener and every connection at once, and removes the socket: as if dockerd were killed.
    ///
    /// The containers stay, and what has begun goes on. Answers when all is closed.
    pub async fn go_down(&self) {
        let Some(listening) = self.0.take_listening() else {
            return;
        };
        listening.stop.cancel();
        // The task only ends by its stop signal; it does not panic.
        drop(listening.accepting.await);
        self.0.connections.close();
        self.0.connections.wait().await;
        self.0.connections.reopen();
        self.0.remove_socket();
    }

    /// Binds the socket again, as a new file, before the same containers; the events of before are forgotten. Does
    /// nothing when it is not down.
    ///
    /// # Errors
    ///
    /// When the socket cannot be bound.
    #[expect(
        clippy::unused_async,
        reason = "binding needs a runtime, and a caller that awaits has one"
    )]
    pub async fn come_back(&self) -> io::Result<()> {
        let mut listening = self
            .0
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if listening.is_some() {
            return Ok(());
        }
        let listener = UnixListener::bind(&self.0.socket)?;
        self.0.engine.change(|state, _| state.feed.forget());
        let stop = CancellationToken::new();
        let accepting = tokio::spawn(accept(
            listener,
            Arc::clone(&self.0.engine),
            self.0.connections.clone(),
            stop.clone(),
        ));
        *listening = Some(Listening { accepting, stop });
        Ok(())
    }

    /// The connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.connections.len()
    }
}

impl Inner {
    fn take_listening(&self) -> Option<Listening> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn remove_socket(&self) {
        // Somebody else may have removed it, which is as good.
        drop(std::fs::remove_file(&self.socket));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(listening) = self.take_listening() {
            listening.stop.cancel();
            self.remove_socket();
        }
    }
}

/// Accepts until the stop signal, which ends the connections too.
async fn accept(
    listener: UnixListener,
    engine: Arc<Engine>,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Too many open files, mostly: trying at once would only burn the processor.
            sleep(ACCEPT_BACK_OFF).await;
            continue;
        };
        let talk = talk(stream, Arc::clone(&engine));
        connections.spawn(stop.clone().run_until_cancelled_owned(talk));
    }
}

/// Serves one connection until either side closes it.
async fn talk(stream: UnixStream, engine: Arc<Engine>) {
    let service = service_fn(|request| Box::pin(serve::serve(&engine, request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let mut stream = connection.into_parts().io.into_inner();
    let garbage = ended.is_err_and(|error| {
        std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<fault::PastHttp>)
    });
    if garbage {
        // The client may be gone, and the connection ends here anyway.
        drop(stream.write_all(fault::GARBAGE).await);
    }
}
