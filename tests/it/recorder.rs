//! A relay between gateway and engine that writes down what passes, so that a test can see what reached the engine.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::stats::until;

/// Something that happens at a moment of the test's choice.
type Deed = Box<dyn FnOnce() + Send>;

/// Whether the answer to a request is kept back.
type Held = Option<Arc<dyn Fn(&str) -> bool + Send + Sync>>;

/// The requests that reached the engine, as `METHOD target`, what is to happen before the next change does, and which
/// answers are kept back.
#[derive(Clone, Default)]
pub(crate) struct Record(
    Arc<Mutex<Vec<String>>>,
    Arc<Mutex<Option<Deed>>>,
    watch::Sender<Held>,
);

impl Record {
    /// What came since the last time, but for what the mirror asks by itself.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut taken = std::mem::take(&mut *self.0.lock().unwrap());
        taken.retain(|request| !is_of_mirror(request));
        taken
    }

    /// What the mirror asked since the last time.
    pub(crate) fn take_of_mirror(&self) -> Vec<String> {
        let mut taken = std::mem::take(&mut *self.0.lock().unwrap());
        taken.retain(|request| is_of_mirror(request));
        taken
    }

    /// Makes something happen between the gateway's look at a container and its act on it.
    pub(crate) fn before_the_next_change(&self, deed: impl FnOnce() + Send + 'static) {
        *self.1.lock().unwrap() = Some(Box::new(deed));
    }

    /// Keeps back what the engine answers to such requests, until all are released.
    pub(crate) fn hold(&self, is_held: impl Fn(&str) -> bool + Send + Sync + 'static) {
        self.2.send_replace(Some(Arc::new(is_held)));
    }

    pub(crate) fn release(&self) {
        self.2.send_replace(None);
    }

    /// Waits, at most ten seconds, until such a request has come; what came is not taken.
    pub(crate) fn wait_for(&self, is_meant: impl Fn(&str) -> bool) {
        until("asked", || {
            let came = self.0.lock().unwrap();
            came.iter().any(|request| is_meant(request))
        });
    }

    /// Waits, at most ten seconds, until the mirror has asked so often since the last time; what it asked is taken.
    pub(crate) fn wait_for_mirror(&self, count: usize, is_meant: impl Fn(&str) -> bool) {
        let mut came = 0;
        until("asked so often", || {
            let asked = self.take_of_mirror();
            came += asked.iter().filter(|line| is_meant(line)).count();
            came >= count
        });
    }

    /// Of what came since the last time, all that changes something.
    pub(crate) fn take_changes(&self) -> Vec<String> {
        let mut taken = self.take();
        taken.retain(|request| !request.starts_with("GET ") && !request.starts_with("HEAD "));
        taken
    }
}

/// Whether it is a question of the mirror's, or a ping: with one each connection begins, and so does each stage.
fn is_of_mirror(request: &str) -> bool {
    let marks = ["/events?", "/json?all=1", "/json?size=false"];
    request.ends_with("/_ping") || marks.iter().any(|mark| request.contains(mark))
}

/// Relays every connection to `listener` to the engine, for as long as the runtime runs.
pub(crate) async fn relay(listener: UnixListener, engine: PathBuf, record: Record) {
    loop {
        let Ok((accepted, _)) = listener.accept().await else {
            return;
        };
        let (engine, record) = (engine.clone(), record.clone());
        tokio::spawn(async move {
            let Ok(upstream) = UnixStream::connect(engine).await else {
                return;
            };
            let Ok((sender, connection)) =
                client::conn::http1::handshake(TokioIo::new(upstream)).await
            else {
                return;
            };
            tokio::spawn(connection);
            let sender = tokio::sync::Mutex::new(sender);
            let service = service_fn(|request| pass(request, &sender, &record));
            let served = server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(accepted), service);
            // Either side may break off, as in the tests of hang-ups.
            let _broken_off = served.await;
        });
    }
}

async fn pass(
    request: Request<Incoming>,
    sender: &tokio::sync::Mutex<client::conn::http1::SendRequest<Incoming>>,
    record: &Record,
) -> Result<Response<Incoming>, hyper::Error> {
    let line = format!("{} {}", request.method(), request.uri());
    let deed = line
        .starts_with("POST ")
        .then(|| record.1.lock().unwrap().take());
    record.0.lock().unwrap().push(line.clone());
    if let Some(deed) = deed.flatten() {
        tokio::task::spawn_blocking(deed).await.unwrap();
    }
    let mut sender = sender.lock().await;
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    let mut held = record.2.subscribe();
    let is_let_go = |held: &Held| !held.as_ref().is_some_and(|is_held| is_held(&line));
    // The sender is kept in the record.
    drop(held.wait_for(is_let_go).await);
    Ok(answer)
}
